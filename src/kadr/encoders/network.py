"""A PyTorch network as a function from prepared photos to feature vectors."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kadr.errors import KadrError
from kadr.types import Vectors


class Network:
    """A network in evaluation mode, and the scale of the pixels that it wants."""

    def __init__(
        self,
        module: Any,
        mean: Sequence[float],
        std: Sequence[float],
        forward: Callable[[Any], Any] | None = None,
    ) -> None:
        """Wrap a `torch.nn.Module`.

        Args:
            module: float32 [n, 3, height, width] -> [n, dim].
            mean: of each channel, for samples in [0, 1].
            std: of each channel, for samples in [0, 1].
            forward: what to call in the module's place.
        """
        self._module = module.eval()
        self._forward = forward or self._module
        self._mean = torch.tensor(mean, dtype=torch.float32).view(3, 1, 1) * 255
        self._std = torch.tensor(std, dtype=torch.float32).view(3, 1, 1) * 255
        self.digest = digest(self._module.state_dict())

    def dim(self, height: int, width: int) -> int:
        """The length of the vectors, found by a black photo.

        Raises:
            KadrError: the network gives something else than one finite vector for a photo.
        """
        with torch.inference_mode():
            vectors = self._forward(self._pixels([np.zeros((height, width, 3), np.uint8)]))
        if getattr(vectors, "ndim", 0) != 2 or not torch.isfinite(vectors).all():
            raise KadrError(
                "the network doesn't give one finite vector for a photo. Choose another network, "
                "or other weights."
            )
        return int(vectors.shape[1])

    def features(self, images: Sequence[NDArray[np.uint8]], dim: int) -> Vectors:
        """Photos, uint8 [height, width, 3] each, to float32 [n, dim]."""
        if not images:
            return np.empty((0, dim), np.float32)
        with torch.inference_mode():
            return np.asarray(self._forward(self._pixels(images)).numpy(), dtype=np.float32)

    def _pixels(self, images: Sequence[NDArray[np.uint8]]) -> Any:
        stacked = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
        return (stacked.float() - self._mean) / self._std


def digest(tensors: Any) -> str:
    """12 hex digits of the weights themselves: the same for a file, a package and a hub."""
    total = hashlib.sha256()
    for tensor in tensors.values():
        array = np.ascontiguousarray(tensor.detach().float().numpy())
        total.update(f"{array.shape}".encode())
        total.update(array.data)
    return total.hexdigest()[:12]


def read_weights(path: Path) -> dict[str, Any]:
    """A state_dict on disk: safetensors, or what `torch.save` wrote. Nothing in it is executed.

    Raises:
        KadrError: no such file, or it holds something else.
    """
    if not path.is_file():
        raise KadrError(f"{path}: no such weights file.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            weights = load_file(path)
        else:
            weights = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or hostile file makes the readers raise anything
        raise KadrError(
            f"{path}: not a readable weights file ({type(error).__name__}). It must hold a "
            "state_dict, as torch.save or safetensors write it."
        ) from error
    if not isinstance(weights, dict) or not all(torch.is_tensor(t) for t in weights.values()):
        raise KadrError(f"{path}: holds no weights alone. Save model.state_dict() there.")
    return weights
