"""Encoders: photos and texts to vectors. One file per engine, found by a spec string.

A spec is `name` or `name:argument`. Names come from the tables below and from installed plugins
(entry points in the groups `kadr.image_encoders` and `kadr.text_encoders`).
"""

from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import entry_points
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kadr.errors import KadrError, MissingExtraError
from kadr.types import Vectors

IMAGE_ENGINES = {"mini": "kadr.encoders.efficientnet:EfficientNetLite2"}
TEXT_ENGINES = {"mini": "kadr.encoders.e5:MultilingualE5Small"}


class ImageEncoder(Protocol):
    """Turns photos into vectors."""

    name: str
    """Identifies the vectors: engine, weights, preprocessing. Equal names mean equal vectors."""
    dim: int
    size: int
    """The side in pixels below which a photo should not be reduced before `prepare`."""

    def prepare(self, image: Image.Image) -> NDArray[np.uint8]:
        """One RGB photo as the array that `encode` wants. Runs on decoding threads."""
        ...

    def encode(self, images: Sequence[NDArray[np.uint8]]) -> Vectors:
        """Prepared photos to float32 [n, dim], finite."""
        ...


class TextEncoder(Protocol):
    """Turns texts into vectors."""

    name: str
    """Identifies the vectors: engine, weights, preprocessing. Equal names mean equal vectors."""
    dim: int

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Texts to float32 [n, dim], finite. Each row depends on its own text alone."""
        ...


def load_image_encoder(spec: str) -> ImageEncoder:
    """The image encoder that `spec` names.

    Raises:
        KadrError: no such encoder.
        MissingExtraError: its package isn't installed.
    """
    return cast("ImageEncoder", _load(spec, IMAGE_ENGINES, "image"))


def state(encoder: object) -> dict[str, NDArray[np.generic]]:
    """Nothing yet."""
    return {} if encoder else {}


def load_text_encoder(spec: str, *, texts: Sequence[str] = ()) -> TextEncoder:
    """The text encoder that `spec` names. Raises as `load_image_encoder` does."""
    return cast("TextEncoder", _load(spec, TEXT_ENGINES, "text"))


def _load(spec: str, engines: dict[str, str], kind: str) -> object:
    name, _, argument = spec.partition(":")
    target = engines.get(name) or _plugins(kind).get(name)
    if target is None:
        known = ", ".join(sorted(engines | _plugins(kind)))
        raise KadrError(f"{spec!r}: no such {kind} encoder. Known: {known}.")
    module, _, attribute = target.partition(":")
    try:
        engine = getattr(import_module(module), attribute)
    except ImportError as error:
        raise MissingExtraError(
            f"the {kind} encoder {name!r} needs {error.name}: pip install {error.name}"
        ) from error
    try:
        return engine(argument) if argument else engine()
    except (OSError, TypeError) as error:
        raise KadrError(f"{spec!r}: the {kind} encoder doesn't start ({error}).") from error


def _plugins(kind: str) -> dict[str, str]:
    return {point.name: point.value for point in entry_points(group=f"kadr.{kind}_encoders")}
