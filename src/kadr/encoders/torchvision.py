"""Any classifier of torchvision, without its last layer. ImageNet weights, or a file's."""

import warnings
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from kadr.encoders.torch_images import Preprocessing, TorchImages, drop_classifier, load_weights
from kadr.errors import KadrError, MissingExtraError

PAIR = "pip install torch torchvision --index-url https://download.pytorch.org/whl/cpu"


def load(spec: str) -> TorchImages:
    """`NAME` takes torchvision's best ImageNet weights, `NAME:FILE` those in a file.

    Raises:
        KadrError: no such network, or its weights can't be had.
        MissingExtraError: torch and torchvision don't fit each other.
    """
    name, _, file = spec.partition(":")
    models = _models()
    try:
        weights = models.get_model_weights(name).DEFAULT
    except ValueError as error:
        raise KadrError(
            f"torchvision has no classifier {name!r}. See torchvision.models."
        ) from error
    if file:
        network = models.get_model(name, weights=None)
        origin = load_weights(network, Path(file))
    else:
        network, origin = _download(models, name, weights), weights.name
    dim = drop_classifier(network)
    return TorchImages(network, f"torchvision-{name}-{origin}", dim, _preprocessing(weights))


def _named(name: str, file: str = "") -> TorchImages:
    return load(f"{name}:{file}" if file else name)


resnet18 = partial(_named, "resnet18")
resnet50 = partial(_named, "resnet50")


def _models() -> Any:
    try:
        import torchvision.models
    except RuntimeError as error:  # PyPI's torchvision beside a torch built for the CPU
        raise MissingExtraError(
            f"torch and torchvision here don't fit each other ({error}): {PAIR}"
        ) from error
    return torchvision.models


def _download(models: Any, name: str, weights: Any) -> Any:
    try:
        return models.get_model(name, weights=weights)
    except OSError as error:
        raise KadrError(
            f"{name}'s weights can't be had from {weights.url} ({error}). Get the file where there "
            f"is a network, and name it: torchvision:{name}:FILE."
        ) from error


def _preprocessing(weights: Any) -> Preprocessing:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # on antialiasing, which PIL does anyway
        step = weights.transforms()
    return Preprocessing(
        crop=step.crop_size[0],
        resize=step.resize_size[0],
        mean=tuple(step.mean),
        std=tuple(step.std),
        resampling=Image.Resampling[step.interpolation.name],
    )
