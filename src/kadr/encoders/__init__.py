"""Encoders: photos and texts to vectors. One file per engine, found by a spec string.

A spec is `name`, `name:argument`, or specs joined by `+`, whose vectors stand side by side. Names
come from the tables below and from installed plugins (entry points in the groups
`kadr.image_encoders` and `kadr.text_encoders`). A `+` joins only where a known name follows it, so
that a path may hold one.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Protocol, Self, TypeAlias, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kadr.errors import KadrError, MissingExtraError
from kadr.types import Vectors

IMAGE_ENGINES = {
    "mini": "kadr.encoders.efficientnet:EfficientNetLite2",
    "efficientnet-lite0": "kadr.encoders.efficientnet_lite:lite0",
    "efficientnet-lite1": "kadr.encoders.efficientnet_lite:lite1",
    "efficientnet-lite2": "kadr.encoders.efficientnet_lite:lite2",
    "resnet18": "kadr.encoders.torchvision:resnet18",
    "resnet50": "kadr.encoders.torchvision:resnet50",
    "torchvision": "kadr.encoders.torchvision:load",
    "timm": "kadr.encoders.timm:load",
}
TEXT_ENGINES = {
    "mini": "kadr.encoders.e5:MultilingualE5Small",
    "e5": "kadr.encoders.e5:MultilingualE5Small",
    "tfidf": "kadr.encoders.tfidf:TfIdf",
    "word2vec": "kadr.encoders.word2vec:load",
    "glove": "kadr.encoders.glove:load",
    "bert": "kadr.encoders.bert:load",
    "minilm": "kadr.encoders.bert:minilm",
}
EXTRA = "pip install 'kadr[research]'"

Arrays: TypeAlias = dict[str, NDArray[Any]]


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
        """Texts to float32 [n, dim], finite. Each row depends on its own text alone.

        A text of which the encoder knows nothing is a row of zeros.
        """
        ...


@runtime_checkable
class LearnedTextEncoder(Protocol):
    """A text encoder that learns its words from training texts, and is kept in the bundle."""

    @classmethod
    def learn(cls, texts: Sequence[str]) -> Self:
        """Learn from training texts."""
        ...

    @classmethod
    def restore(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The encoder whose `arrays` these are."""
        ...

    def arrays(self) -> Arrays:
        """What `restore` needs; no array holds objects."""
        ...


def load_image_encoder(spec: str) -> ImageEncoder:
    """The image encoder that `spec` names.

    Raises:
        KadrError: no such encoder, or its weights can't be had.
        MissingExtraError: its package isn't installed.
    """
    parts = [cast("ImageEncoder", _start(part, "image")) for part in split(spec, "image")]
    if len(parts) == 1:
        return parts[0]
    from kadr.encoders.joined import JoinedImages

    return JoinedImages(parts)


def load_text_encoder(
    spec: str, *, texts: Sequence[str] = (), arrays: Mapping[str, NDArray[Any]] | None = None
) -> TextEncoder:
    """The text encoder that `spec` names.

    Args:
        spec: what to load.
        texts: training texts, for an encoder that learns its words from them.
        arrays: what such an encoder has learned (see `state`); `texts` are not read then.

    Raises:
        KadrError: no such encoder, its weights can't be had, or it has nothing to learn from.
        MissingExtraError: its package isn't installed.
    """
    names = split(spec, "text")
    parts = [
        _start_text(part, texts, None if arrays is None else _below(arrays, f"{number}."))
        for number, part in enumerate(names)
    ]
    if len(parts) == 1:
        return parts[0]
    from kadr.encoders.joined import JoinedTexts

    return JoinedTexts(parts)


def state(encoder: TextEncoder) -> Arrays:
    """What an encoder has learned, for `load_text_encoder`; empty where it learns nothing."""
    from kadr.encoders.joined import JoinedTexts

    parts = encoder.parts if isinstance(encoder, JoinedTexts) else (encoder,)
    return {
        f"{number}.{name}": array
        for number, part in enumerate(parts)
        if isinstance(part, LearnedTextEncoder)
        for name, array in part.arrays().items()
    }


def split(spec: str, kind: str) -> list[str]:
    """The specs that `spec` joins; `kind` is image or text."""
    known = "|".join(re.escape(name) for name in sorted(_engines(kind), key=len, reverse=True))
    return re.split(rf"\+(?=(?:{known})(?:[:+]|$))", spec)


def _start_text(
    spec: str, texts: Sequence[str], arrays: Mapping[str, NDArray[Any]] | None
) -> TextEncoder:
    name, _, argument = spec.partition(":")
    engine = _engine(name, spec, "text")
    if not hasattr(engine, "learn"):
        return cast("TextEncoder", _start(spec, "text"))
    if argument:
        raise KadrError(f"{spec!r}: {name} takes no argument.")
    learned = cast("type[LearnedTextEncoder]", engine)
    if arrays:
        return cast("TextEncoder", learned.restore(arrays))
    if not texts:
        raise KadrError(
            f"{name} learns its words from training texts: kadr train --text-encoder {name}."
        )
    return cast("TextEncoder", learned.learn(texts))


def _start(spec: str, kind: str) -> object:
    name, _, argument = spec.partition(":")
    engine = _engine(name, spec, kind)
    try:
        return engine(argument) if argument else engine()
    except ImportError as error:
        raise _missing(name, kind, error) from error
    except (OSError, TypeError) as error:
        raise KadrError(f"{spec!r}: the {kind} encoder doesn't start ({error}).") from error


def _engine(name: str, spec: str, kind: str) -> Callable[..., object]:
    target = _engines(kind).get(name)
    if target is None:
        known = ", ".join(sorted(_engines(kind)))
        raise KadrError(f"{spec!r}: no such {kind} encoder. Known: {known}.")
    module, _, attribute = target.partition(":")
    try:
        return cast("Callable[..., object]", getattr(import_module(module), attribute))
    except ImportError as error:
        raise _missing(name, kind, error) from error


def _missing(name: str, kind: str, error: ImportError) -> MissingExtraError:
    return MissingExtraError(f"the {kind} encoder {name!r} needs {error.name}: {EXTRA}")


def _engines(kind: str) -> dict[str, str]:
    own = IMAGE_ENGINES if kind == "image" else TEXT_ENGINES
    plugins = entry_points(group=f"kadr.{kind}_encoders")
    return {**{point.name: point.value for point in plugins}, **own}


def _below(arrays: Mapping[str, NDArray[Any]], prefix: str) -> Arrays:
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
