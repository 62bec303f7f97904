"""HEIC as phones write it: what decoding takes, and what shortcuts do to the vectors.

Usage: python benchmarks/heic.py FOLDER [--photos 50] [--noise 3] [--quality 60] [--thumbnail 320]

FOLDER holds photos of any size. Each is made 4032x3024 with a sensor's noise and a colour profile,
and written as a grid of 512x512 tiles with a thumbnail. Told are CPU seconds of a photo, and the
cosine of `mini`'s vector to that of the whole photo: mean and least. `ffmpeg` needs the package
`av`; its row is the tiles' decoding and reduction alone, without colours.
"""

import argparse
import io
import random
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image

from kadr.encoders.mini import MiniImages
from kadr.photos import colours, images
from kadr.photos.folders import scan

LONG, SHORT, TILE = 4032, 3024, 512


def made(path: Path, options: argparse.Namespace) -> bytes:
    """A photo as a phone writes it."""
    photo = images.decode(path, SHORT)
    portrait = photo.width < photo.height
    photo = photo.resize((SHORT, LONG) if portrait else (LONG, SHORT), Image.Resampling.LANCZOS)
    grain = np.random.default_rng(0).normal(0, options.noise, (photo.height, photo.width, 1))
    noisy = np.clip(np.asarray(photo) + grain, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(noisy)).save(
        file,
        quality=options.quality,
        thumbnails=[options.thumbnail],
        icc_profile=colours.adobe_rgb(),
        enc_params={"preset": "ultrafast"},
    )
    return file.getvalue()


def whole(content: bytes, _size: int) -> Image.Image:
    """All pixels, their colours converted."""
    return images.read(content, SHORT)[0]


def reduced(content: bytes, size: int) -> Image.Image:
    """As kadr reads it for the matcher."""
    return images.read(content, size)[0]


def thumbnail(content: bytes, size: int) -> Image.Image:
    """The thumbnail inside, as Pillow's draft takes it where it is large enough."""
    image = pillow_heif.HeifImageFile(io.BytesIO(content))  # type: ignore[no-untyped-call]
    image.draft("RGB", (size, size))
    convert = colours.to_srgb(colours.adobe_rgb(), "RGB")
    assert convert is not None
    return convert(image)


def ffmpeg(content: bytes, _size: int) -> None:
    """Every tile by ffmpeg, to a quarter of its side."""
    import av

    decoder = None
    for packet in av.open(io.BytesIO(content)).demux():
        if packet.size and packet.stream.width == TILE:
            if decoder is None:
                decoder = av.CodecContext.create("hevc", "r")
                decoder.extradata = packet.stream.codec_context.extradata
                decoder.thread_count = 1
            for frame in decoder.decode(packet):
                side = TILE // 4
                frame.reformat(side, side, "rgb24", interpolation="AREA").to_ndarray()


def main() -> None:
    """Print a line for each way."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=50)
    parser.add_argument("--noise", type=float, default=3.0)
    parser.add_argument("--quality", type=int, default=60)
    parser.add_argument("--thumbnail", type=int, default=320)
    options = parser.parse_args()
    pillow_heif.options.GRID_TILE_SIZE = TILE
    encoder = MiniImages()
    ways: list[Callable[[bytes, int], Image.Image | None]] = [whole, reduced, thumbnail]
    ways += [ffmpeg] if find_spec("av") else []
    seconds, cosines, megabytes = [], [], []
    for path in random.Random(0).sample(sorted(scan(options.folder)), options.photos):
        content = made(path, options)
        megabytes.append(len(content) / 1e6)
        took, photos = [], []
        for way in ways:
            started = time.process_time()
            photos.append(way(content, encoder.size))
            took.append(time.process_time() - started)
        vectors = encoder.encode([encoder.prepare(one) for one in photos if one is not None])
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        seconds.append(took)
        cosines.append(unit @ unit[0])
    print(f"{options.photos} photos, {np.mean(megabytes):.1f} MB each")
    for number, way in enumerate(ways):
        told = f"{way.__name__:9} {np.mean(seconds, axis=0)[number]:.3f} s"
        if way is not ffmpeg:
            those = np.array(cosines)[:, number]
            told += f", cosine {those.mean():.4f}, least {those.min():.4f}"
        print(told)


if __name__ == "__main__":
    main()
