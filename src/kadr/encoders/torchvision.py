"""Any classification network of torchvision, without its last layer: `torchvision:NAME[:FILE]`.

ImageNet weights come from torch's hub, or from FILE, a state_dict on disk.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from numpy.typing import NDArray
from PIL import Image
from torchvision.transforms import functional

from kadr.encoders.clip_preprocess import trim
from kadr.encoders.network import Network, read_weights
from kadr.errors import KadrError
from kadr.types import Vectors

TRANSFORMED = {"transform_input": True, "init_weights": False}
BUILT_WITH = {"googlenet": TRANSFORMED, "inception_v3": TRANSFORMED}
"""What torchvision itself passes where it loads the weights of these networks."""


class TorchvisionModel:
    """The input of a network's last layer; for resnet18 its 512 pooled features."""

    def __init__(self, argument: str) -> None:
        """Load a network.

        Args:
            argument: a classification network of `torchvision.models`, or `name:file`.

        Raises:
            KadrError: no such network, or its weights can't be had.
        """
        model, _, file = argument.partition(":")
        weights = _default_weights(model)
        module = _from_file(model, Path(file)) if file else _from_hub(model, weights)
        self._transforms = weights.transforms()
        self._network = Network(module, self._transforms.mean, self._transforms.std)
        resize, crop = self._transforms.resize_size[0], self._transforms.crop_size[0]
        self.size = max(resize, crop)
        self.dim = self._network.dim(crop, crop)
        self.name = (
            f"torchvision-{model}-{self._network.digest}-resize{resize}-crop{crop}-"
            f"{self._transforms.interpolation.value}"
        )

    def prepare(self, image: Image.Image) -> NDArray[np.uint8]:
        """The centre crop that goes with the weights: uint8 [crop, crop, 3]."""
        wanted = self._transforms
        resized = functional.resize(trim(image), wanted.resize_size, wanted.interpolation)
        return np.asarray(functional.center_crop(resized, wanted.crop_size))

    def encode(self, images: Sequence[NDArray[np.uint8]]) -> Vectors:
        """Prepared photos to float32 [n, dim]."""
        return self._network.features(images, self.dim)


def resnet18(file: str = "") -> TorchvisionModel:
    """ResNet-18 (He et al. 2015, arXiv:1512.03385), as the task's authors use it."""
    return TorchvisionModel(f"resnet18:{file}")


def resnet50(file: str = "") -> TorchvisionModel:
    """ResNet-50 (He et al. 2015, arXiv:1512.03385)."""
    return TorchvisionModel(f"resnet50:{file}")


def _default_weights(model: str) -> Any:
    """The best weights on the hub, which also say how photos are prepared."""
    known = torchvision.models.list_models(module=torchvision.models)
    if model not in known:
        raise KadrError(
            f"torchvision has no classification network {model!r}. Known: {', '.join(known)}."
        )
    return torchvision.models.get_model_weights(model).DEFAULT


def _from_hub(model: str, weights: Any) -> Any:
    try:
        module = torchvision.models.get_model(model, weights=weights, progress=False)
    except Exception as error:  # the network fails in many ways, a damaged download in others
        raise KadrError(
            f"the weights of {model} can't be had from {weights.url} ({error}). Put that file "
            f"into $TORCH_HOME/hub/checkpoints, or name a weights file: torchvision:{model}:FILE."
        ) from error
    _drop_classifier(model, module)
    return module


def _from_file(model: str, file: Path) -> Any:
    module = torchvision.models.get_model(model, weights=None, **BUILT_WITH.get(model, {}))
    classifier = _drop_classifier(model, module)
    weights = read_weights(file)
    for name in [name for name in weights if name.startswith(f"{classifier}.")]:
        del weights[name]  # in place: the mapping also carries the version of its format
    try:
        lacking, unknown = module.load_state_dict(weights, strict=False)
    except Exception as error:  # other shapes; some networks have errors of their own
        raise KadrError(f"{file}: the weights of another network than {model}.") from error
    # Auxiliary classifiers serve training alone, and torchvision drops them after loading.
    lacking = [name for name in lacking if not name.lower().startswith("aux")]
    if lacking or unknown:
        raise KadrError(
            f"{file}: the weights of another network than {model}: {len(lacking)} tensors are "
            f"missing, {len(unknown)} are too many."
        )
    return module


def _drop_classifier(model: str, module: Any) -> str:
    """Replace the last linear layer by the identity, and say what it was called."""
    names: list[str] = [
        n for n, layer in module.named_modules() if isinstance(layer, torch.nn.Linear)
    ]
    if not names:
        raise KadrError(f"{model} ends in no linear layer to leave out. Choose another network.")
    module.set_submodule(names[-1], torch.nn.Identity())
    return names[-1]
