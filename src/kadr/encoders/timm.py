"""Any network of timm without its classifier: `timm:NAME[:FILE]`.

Weights come from the model hub, or from FILE, a checkpoint on disk.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import timm
from numpy.typing import NDArray
from PIL import Image

from kadr.encoders import hub
from kadr.encoders.clip_preprocess import trim
from kadr.encoders.network import Network
from kadr.errors import KadrError
from kadr.types import Vectors

ON_THE_HUB = ("model.safetensors", "pytorch_model.bin")


class TimmModel:
    """Pooled features, with the preprocessing that the weights' configuration names."""

    def __init__(self, argument: str) -> None:
        """Load a network.

        Args:
            argument: a name that `timm.list_models()` gives, with or without a tag
                (`resnet18.a1_in1k`), or `name:file`.

        Raises:
            KadrError: no such network, or its weights can't be had.
        """
        model, _, file = argument.partition(":")
        module = _from_file(model, Path(file)) if file else _from_hub(model)
        config = timm.data.resolve_model_data_config(module)
        self._transform = timm.data.create_transform(**config, use_prefetcher=True)
        self._network = Network(module, config["mean"], config["std"])
        _, height, width = config["input_size"]
        self.size = int(max(height, width) / config["crop_pct"])
        self.dim = self._network.dim(height, width)
        self.name = (
            f"timm-{model}-{self._network.digest}-{height}x{width}-{config['crop_mode']}-"
            f"{config['crop_pct']}-{config['interpolation']}"
        )

    def prepare(self, image: Image.Image) -> NDArray[np.uint8]:
        """The crop that goes with the weights: uint8 [height, width, 3]."""
        # `use_prefetcher` makes timm stop short of floats, at uint8 [3, height, width].
        return np.ascontiguousarray(np.moveaxis(np.asarray(self._transform(trim(image))), 0, -1))

    def encode(self, images: Sequence[NDArray[np.uint8]]) -> Vectors:
        """Prepared photos to float32 [n, dim]."""
        return self._network.features(images, self.dim)


def _from_hub(model: str) -> Any:
    config = _configuration(model)
    if not config.hf_hub_id:
        raise KadrError(
            f"the hub has no weights of timm's {model}: name a file, timm:{model}:FILE."
        )
    names = (config.hf_hub_filename,) if config.hf_hub_filename else ON_THE_HUB
    file = hub.file(config.hf_hub_id, names)
    return _build(model, file, {"file": str(file)})


def _from_file(model: str, file: Path) -> Any:
    classifier = _configuration(model).classifier
    classifier = classifier if isinstance(classifier, str) else classifier[0]
    weights = _read(file)
    # The classifier is left out in the end, but timm checks the other weights only beside one.
    head = weights.get(f"{classifier}.weight")
    classes = 0 if head is None else len(head)
    return _build(model, file, {"state_dict": weights, "num_classes": classes})


def _read(file: Path) -> dict[str, Any]:
    """A state_dict or a training checkpoint that holds one, as timm finds it there."""
    if not file.is_file():
        raise KadrError(f"{file}: no such weights file.")
    try:
        weights: dict[str, Any] = timm.models.load_state_dict(str(file), weights_only=True)
    except Exception as error:  # a damaged or hostile file makes the readers raise anything
        raise KadrError(
            f"{file}: not a readable weights file ({type(error).__name__}). It must hold a "
            "state_dict, as torch.save or safetensors write it."
        ) from error
    return weights


def _build(model: str, file: Path, source: dict[str, Any]) -> Any:
    try:
        module = timm.create_model(model, pretrained=True, pretrained_cfg_overlay=source)
        module.reset_classifier(0)
    except Exception as error:  # a file of another network makes it raise anything
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise KadrError(f"{file}: not the weights of timm's {model} ({line}).") from error
    return module


def _configuration(model: str) -> Any:
    if not timm.is_model(model):
        near = ", ".join(timm.list_models(f"*{model.partition('.')[0]}*")[:5])
        hint = f"Near it: {near}." if near else "timm.list_models() gives the names."
        raise KadrError(f"timm has no network {model!r}. {hint}")
    try:
        return timm.get_pretrained_cfg(model)
    except RuntimeError as error:  # a tag that the network doesn't have
        raise KadrError(f"timm has no weights {model!r} ({error}).") from error
