"""Photos to vectors by any torch network: preprocessing, batches, weights from a file."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kadr.errors import KadrError
from kadr.types import Vectors


@dataclass(frozen=True)
class Preprocessing:
    """Shorter side to `resize` and the central `crop`, or squashed to `crop` where resize is None.

    Pixels from 0 to 1 become (pixel - mean) / std, per channel.
    """

    crop: int
    resize: int | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resampling: Image.Resampling = Image.Resampling.BILINEAR
    mirror: bool = False

    @property
    def name(self) -> str:
        """Tells two preprocessings apart."""
        values = (self.crop, self.resize, self.mean, self.std, int(self.resampling), self.mirror)
        return hashlib.sha256(repr(values).encode()).hexdigest()[:6]


class TorchImages:
    """A network without its classifier. With `mirror`, the mean over the photo and its mirror."""

    def __init__(self, network: Any, name: str, dim: int, preprocessing: Preprocessing) -> None:
        self.name = f"{name}-{preprocessing.name}"
        self.dim = dim
        self.size = preprocessing.resize or preprocessing.crop
        self._network = network.eval()
        self._preprocessing = preprocessing

    def prepare(self, image: Image.Image) -> NDArray[np.uint8]:
        """uint8 [crop, crop, 3]."""
        step = self._preprocessing
        if step.resize is None:
            side = (step.crop, step.crop)
            return np.asarray(image.resize(side, step.resampling, reducing_gap=3.0))
        scale = step.resize / min(image.size)
        width, height = (max(step.crop, round(side * scale)) for side in image.size)
        left, top = (width - step.crop) // 2, (height - step.crop) // 2
        # The box asks for the pixels of the crop alone: a panorama is never resized whole.
        box = (left / width * image.width, top / height * image.height,
               (left + step.crop) / width * image.width,
               (top + step.crop) / height * image.height)  # fmt: skip
        side = (step.crop, step.crop)
        return np.asarray(image.resize(side, step.resampling, box=box, reducing_gap=3.0))

    def encode(self, images: Sequence[NDArray[np.uint8]]) -> Vectors:
        """Prepared photos to float32 [n, dim]."""
        import torch

        if not images:
            return np.empty((0, self.dim), np.float32)
        step = self._preprocessing
        mean, std = (np.array(part, np.float32) for part in (step.mean, step.std))
        pixels = (np.stack(images).astype(np.float32) / 255 - mean) / std
        batch = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
        with torch.inference_mode():
            found = self._network(batch)
            if step.mirror:
                found = (found + self._network(batch.flip(3))) / 2
        return np.asarray(found.numpy(), dtype=np.float32).reshape(len(images), self.dim)


def load_weights(network: Any, file: Path) -> str:
    """Fill a network from a file of its weights (.safetensors, .pth); gives the file's digest.

    Of a .pth file tensors alone are read: nothing in it is executed.

    Raises:
        KadrError: the file can't be read or belongs to another network.
    """
    import torch
    from safetensors.torch import load_file

    try:
        if file.suffix == ".safetensors":
            weights = load_file(file)
        else:
            weights = torch.load(file, map_location="cpu", weights_only=True)
        network.load_state_dict(weights)
        with file.open("rb") as raw:
            return hashlib.file_digest(raw, "sha256").hexdigest()[:12]
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise KadrError(f"{file}: no weights of this network ({reason}).") from error


def drop_classifier(network: Any) -> int:
    """Put the identity in place of the last linear layer; gives how many features reach it."""
    import torch

    linear = [(n, m) for n, m in network.named_modules() if isinstance(m, torch.nn.Linear)]
    if not linear:
        raise KadrError("This network ends in no linear layer: name another.")
    path, last = linear[-1]
    parent, _, attribute = path.rpartition(".")
    setattr(network.get_submodule(parent), attribute, torch.nn.Identity())
    return int(last.in_features)
