"""EfficientNet-Lite2 (Tan and Le 2019, ImageNet weights, Apache-2.0) as ONNX, int8, 5.4 MB."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kadr.types import Vectors

WEIGHTS = Path(__file__).parents[1] / "models" / "mini" / "image.onnx"


class EfficientNetLite2:
    """Pooled features of the last convolution, the mean over the photo and its mirror."""

    dim = 1280
    size = 260

    def __init__(self, weights: str | Path = WEIGHTS) -> None:
        self._weights = Path(weights)
        digest = hashlib.sha256(self._weights.read_bytes()).hexdigest()[:12]
        self.name = f"efficientnet-lite2-{digest}-mirror"

    def prepare(self, image: Image.Image) -> NDArray[np.uint8]:
        """Squashed to 260x260: uint8 [260, 260, 3]."""
        side = (self.size, self.size)
        return np.asarray(image.resize(side, Image.Resampling.BICUBIC, reducing_gap=3.0))

    def encode(self, images: Sequence[NDArray[np.uint8]]) -> Vectors:
        """Prepared photos to float32 [n, 1280]."""
        if not images:
            return np.empty((0, self.dim), np.float32)
        pixels = (np.stack(images).astype(np.float32) - 127.0) / 128.0
        pixels = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
        mirrored = np.ascontiguousarray(pixels[..., ::-1])
        plain, mirror = (self._session.run(None, {"pixels": p})[0] for p in (pixels, mirrored))
        return np.asarray((plain + mirror) / 2, dtype=np.float32)

    @cached_property
    def _session(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(
            self._weights, options, providers=["CPUExecutionProvider"]
        )
