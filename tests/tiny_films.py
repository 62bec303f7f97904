"""Films of a few seconds, made of coloured fields."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE = 8
SIDES = 96, 64
CODECS = {
    "mp4": "libx264", "mov": "libx264", "m4v": "libx264", "mkv": "libx264", "webm": "libvpx",
    "avi": "mpeg4", "3gp": "libx264", "m2ts": "libx264", "mpg": "mpeg2video",
}  # fmt: skip
"""A codec for each container."""


def fields(seed: int) -> NDArray[np.uint8]:
    """A picture of 4x4 coloured fields, another one for each seed."""
    colours = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    width, height = SIDES
    return np.kron(colours, np.ones((height // 4, width // 4, 1), np.uint8))


def make_film(
    path: Path,
    scenes: Sequence[NDArray[np.uint8]],
    seconds: float = 3.0,
    *,
    tags: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
    faststart: bool = False,
    tracks: int = 1,
    cover: NDArray[np.uint8] | None = None,
) -> Path:
    """A film that shows each picture for some seconds, in each of its tracks, behind a cover."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    suffix = path.suffix[1:].lower()
    kind = {"m2ts": "mpegts", "mkv": "matroska", "mpg": "mpeg", "m4v": "mp4"}
    flags = "+".join(
        [*(["faststart"] if faststart else []), *(["use_metadata_tags"] if tags else [])]
    )
    settings = {"movflags": flags} if flags else {}
    rate = 25 if suffix == "mpg" else RATE  # MPEG-2 knows few
    with av.open(
        str(path), "w", format=kind.get(suffix, suffix), container_options=settings
    ) as container:
        container.metadata.update(tags or {})
        streams = []
        for _ in range(tracks):
            stream = container.add_stream(CODECS.get(suffix, "libx264"), rate=rate)
            stream.width, stream.height, stream.pix_fmt = *SIDES, "yuv420p"
            stream.options = options or {}
            streams.append(stream)
        if cover is not None:
            _add_cover(container, cover)
        for picture in scenes:
            for _ in range(round(seconds * rate)):
                for stream in streams:
                    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                    container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode())
    return path


def _add_cover(container: Any, picture: NDArray[np.uint8]) -> None:
    """A picture that is attached, as the covers of bought films are."""
    import av
    from av.stream import Disposition

    stream = container.add_stream("mjpeg", rate=1)
    stream.width, stream.height, stream.pix_fmt = *SIDES, "yuvj420p"
    stream.disposition = Disposition.attached_pic
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuvj420p")
    for packet in [*stream.encode(frame), *stream.encode()]:
        container.mux(packet)


def make_sound(path: Path) -> Path:
    """A film without pictures."""
    import av

    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=16000)
        stream.layout = "mono"
        for _ in range(4):
            frame = av.AudioFrame.from_ndarray(
                np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
            )
            frame.sample_rate = 16000
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def turned(path: Path) -> Path:
    """The film with a matrix that has a player turn it a quarter with the clock, as phones write."""
    content = path.read_bytes()
    start = content.index(b"tkhd") + 4 + 40  # ISO/IEC 14496-12, 8.3.2
    one, quarter = (0x10000).to_bytes(4), (-0x10000).to_bytes(4, signed=True)
    matrix = [bytes(4), one, bytes(4), quarter, bytes(4), bytes(4), bytes(4), bytes(4)]
    path.write_bytes(content[:start] + b"".join(matrix) + content[start + 32 :])
    return path
