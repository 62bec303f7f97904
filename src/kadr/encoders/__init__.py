"""Encoders: photos and texts to vectors. One file per engine, found by a spec string.

A spec is `name` or `name:argument`. Names come from the tables below and from installed plugins
(entry points in the groups `kadr.image_encoders` and `kadr.text_encoders`).

Specs joined by `+` put their vectors side by side. An argument may hold a `+` too, so a `+` divides
only where a known name follows that ends there, or goes on with `:` or another `+`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, cast, runtime_checkable

from kadr.errors import KadrError, MissingExtraError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from kadr.types import Vectors

IMAGE_ENGINES = {
    "mini": "kadr.encoders.mini:MiniImages",
    "efficientnet-lite0": "kadr.encoders.efficientnet_lite:lite0",
    "efficientnet-lite1": "kadr.encoders.efficientnet_lite:lite1",
    "efficientnet-lite2": "kadr.encoders.efficientnet_lite:lite2",
    "resnet18": "kadr.encoders.torchvision:resnet18",
    "resnet50": "kadr.encoders.torchvision:resnet50",
    "torchvision": "kadr.encoders.torchvision:TorchvisionModel",
    "timm": "kadr.encoders.timm:TimmModel",
    "clip": "kadr.encoders.clip_onnx:ClipImages",
}
TEXT_ENGINES = {
    "mini": "kadr.encoders.mini:MiniTexts",
    "e5": "kadr.encoders.e5:MultilingualE5Small",
    "tfidf": "kadr.encoders.tfidf:Tfidf",
    "word2vec": "kadr.encoders.word2vec:word2vec",
    "glove": "kadr.encoders.glove:glove",
    "bert": "kadr.encoders.bert:Bert",
    "minilm": "kadr.encoders.bert:minilm",
    "clip": "kadr.encoders.clip_onnx:ClipTexts",
}
RESEARCH, HUB = "'kadr[research]'", "'kadr[hub]'"
"""What pip installs for the engines above that the default install doesn't run."""
EXTRAS = {"clip": HUB, "tfidf": "'kadr[study]'"}
"""Of the engines that need another extra than `research`."""


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


@runtime_checkable
class LocatingImageEncoder(ImageEncoder, Protocol):
    """An image encoder that can tell what each place of a photo adds to the vector."""

    def locate(self, images: Sequence[NDArray[np.uint8]]) -> Vectors:
        """Prepared photos to float32 [n, rows, columns, dim], top row and left column first.

        Summed over rows and columns it is what `encode` gives.
        """
        ...


class TextEncoder(Protocol):
    """Turns texts into vectors."""

    name: str
    """Identifies the vectors: engine, weights, preprocessing. Equal names mean equal vectors."""
    dim: int

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Texts to float32 [n, dim], finite. Each row depends on its own text alone."""
        ...


@runtime_checkable
class LearnedTextEncoder(TextEncoder, Protocol):
    """A text encoder without weights of its own: it learns from the training texts.

    `name` holds a digest of what it learned.
    """

    @classmethod
    def learn(cls, texts: Sequence[str]) -> Self:
        """An encoder that knows these texts. Raises KadrError where they teach nothing."""
        ...

    @classmethod
    def restore(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The encoder whose `arrays` these are. Raises KeyError or ValueError for any others."""
        ...

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What it learned, as plain arrays that `numpy.load` reads without pickle."""
        ...


def load_image_encoder(spec: str) -> ImageEncoder:
    """The image encoder that `spec` names, its weights read.

    Raises:
        KadrError: no such encoder, or its weights can't be had.
        MissingExtraError: its package isn't installed.
    """
    parts = _split(spec, IMAGE_ENGINES, "image")
    if len(parts) > 1:
        from kadr.encoders.joined import JoinedImages

        return JoinedImages([load_image_encoder(part) for part in parts])
    engine, arguments = _engine(spec, IMAGE_ENGINES, "image")
    return cast("ImageEncoder", _start(spec, "image", engine, arguments))


def load_text_encoder(
    spec: str, *, texts: Sequence[str] = (), arrays: Mapping[str, NDArray[Any]] | None = None
) -> TextEncoder:
    """The text encoder that `spec` names, its weights read.

    Args:
        spec: which encoder.
        texts: training texts, for one that learns from them.
        arrays: its `state` after training; goes before `texts`.

    Raises:
        KadrError: no such encoder, its weights can't be had, or it needs texts to learn from.
        MissingExtraError: its package isn't installed.
        KeyError, ValueError: `arrays` belong to another encoder.
    """
    parts = _split(spec, TEXT_ENGINES, "text")
    if len(parts) > 1:
        from kadr.encoders.joined import JoinedTexts, of_part

        return JoinedTexts(
            [
                load_text_encoder(part, texts=texts, arrays=of_part(number, arrays or {}))
                for number, part in enumerate(parts)
            ]
        )
    engine, arguments = _engine(spec, TEXT_ENGINES, "text")
    if hasattr(engine, "learn") and not arguments:
        return _learned(spec, engine, texts, arrays or {})
    return cast("TextEncoder", _start(spec, "text", engine, arguments))


def state(encoder: TextEncoder) -> dict[str, NDArray[Any]]:
    """What an encoder learned in training, for `load_text_encoder`; empty for any other."""
    arrays = getattr(encoder, "arrays", None)
    return arrays() if arrays else {}


def split(spec: str, kind: Literal["image", "text"]) -> list[str]:
    """The specs that are joined by `+` in this one."""
    return _split(spec, IMAGE_ENGINES if kind == "image" else TEXT_ENGINES, kind)


def _split(spec: str, engines: dict[str, str], kind: str) -> list[str]:
    if "+" not in spec:  # to look for plugins takes as long as a tenth of a search
        return [spec]
    names = "|".join(map(re.escape, engines | _plugins(kind)))
    return re.split(rf"\+(?=(?:{names})(?:[:+]|$))", spec)


def _engine(spec: str, engines: dict[str, str], kind: str) -> tuple[Any, tuple[str, ...]]:
    """The class or function behind a spec, and what it is called with."""
    name, _, argument = spec.partition(":")
    target = engines.get(name) or _plugins(kind).get(name)
    if target is None:
        known = ", ".join(sorted(engines | _plugins(kind)))
        raise KadrError(f"{spec!r}: no such {kind} encoder. Known: {known}.")
    module, _, attribute = target.partition(":")
    try:
        engine = getattr(import_module(module), attribute)
    except (ImportError, RuntimeError) as error:
        raise _missing(name, kind, error) from error
    return engine, (argument,) if argument else ()


def _start(spec: str, kind: str, engine: Any, arguments: tuple[str, ...]) -> object:
    try:
        return engine(*arguments)
    except ImportError as error:
        raise _missing(spec.partition(":")[0], kind, error) from error
    except (OSError, TypeError) as error:
        raise KadrError(f"{spec!r}: the {kind} encoder doesn't start ({error}).") from error


def _learned(
    spec: str,
    engine: type[LearnedTextEncoder],
    texts: Sequence[str],
    arrays: Mapping[str, NDArray[Any]],
) -> TextEncoder:
    if arrays:
        return engine.restore(arrays)
    if texts:
        return engine.learn(texts)
    raise KadrError(
        f"{spec!r} learns its vocabulary in training (kadr train --text-encoder {spec}) and can't "
        "be used by itself."
    )


def _missing(name: str, kind: str, error: Exception) -> KadrError:
    """What an engine that can't be imported lacks."""
    if "torchvision::" in _root(error):
        # What an import says where torchvision was built for another torch.
        return MissingExtraError(
            f"the {kind} encoder {name!r} needs a torchvision that fits the torch beside it "
            f"({_root(error)}): pip install torch torchvision --index-url "
            "https://download.pytorch.org/whl/cpu"
        )
    if not isinstance(error, ImportError):
        return KadrError(f"the {kind} encoder {name!r} can't be imported ({error}).")
    install = error.name if name in _plugins(kind) else EXTRAS.get(name, RESEARCH)
    return MissingExtraError(
        f"the {kind} encoder {name!r} needs {error.name or error}: pip install {install}"
    )


def _root(error: BaseException) -> str:
    """What the first of a chain of errors said."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return str(error)


def _plugins(kind: str) -> dict[str, str]:
    return {point.name: point.value for point in entry_points(group=f"kadr.{kind}_encoders")}
