"""Encoders without weights, and an OCR engine; found by the specs `colours`, `words`,
`learned-words` and `signs` as any plugin is."""

import hashlib
import os
import re
import time
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kadr.errors import KadrError, OcrError
from kadr.types import TextLine, Vectors


class ColourGrid:
    """Mean colours on a 4x4 grid."""

    name = "fake-colour-grid-4x4"
    dim = 48
    size = 32

    def prepare(self, image: Image.Image) -> NDArray[np.uint8]:
        return np.asarray(image.resize((4, 4), Image.Resampling.BOX))

    def encode(self, images: Sequence[NDArray[np.uint8]]) -> Vectors:
        if not images:
            return np.empty((0, self.dim), np.float32)
        return np.stack(images).reshape(len(images), self.dim).astype(np.float32) / np.float32(255)


class Corners:
    """The colours of the corners."""

    name = "fake-corners"
    dim = 12
    size = 48

    def prepare(self, image: Image.Image) -> NDArray[np.uint8]:
        return np.asarray(image.resize((2, 2), Image.Resampling.NEAREST))

    def encode(self, images: Sequence[NDArray[np.uint8]]) -> Vectors:
        if not images:
            return np.empty((0, self.dim), np.float32)
        return np.stack(images).reshape(len(images), self.dim).astype(np.float32) / np.float32(255)


class HashedWords:
    """A bag of words, each word hashed to one of 64 places."""

    name = "fake-hashed-words-64"
    dim = 64

    def encode(self, texts: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(texts), self.dim), np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.lower()):
                vectors[row, zlib.crc32(word.encode("utf-8", "surrogatepass")) % self.dim] += 1
        return vectors


class LearnedWords:
    """A bag of the words that it learned in training; any other word is nothing."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        self.dim = len(self.words)
        digest = hashlib.sha256("\n".join(self.words).encode("utf-8")).hexdigest()
        self.name = f"fake-learned-words-{digest[:16]}"

    @classmethod
    def learn(cls, texts: Sequence[str]) -> Self:
        words = {word for text in texts for word in re.findall(r"\w+", text.lower())}
        if not words:
            raise KadrError("learned-words: these texts have no word.")
        return cls(sorted(words))

    @classmethod
    def restore(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        return cls(arrays["words"].tolist())

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {"words": np.array(self.words)}

    def encode(self, texts: Sequence[str]) -> Vectors:
        column = {word: number for number, word in enumerate(self.words)}
        vectors = np.zeros((len(texts), self.dim), np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.lower()):
                if word in column:
                    vectors[row, column[word]] += 1
        return vectors


SAYS = {"red": "SALE 50%", "lime": "Kids' menu", "blue": "Öffnungszeiten", "cyan": "faint"}


class Signs:
    """Reads what the colour of a picture's middle says; some make it fail, hang or crash."""

    version = "fake-signs-1"

    def read(self, image: Image.Image) -> list[TextLine]:
        colour = image.getpixel((image.width // 2, image.height // 2))
        name = self._name(colour)
        print("an engine that talks")
        if name == "black":
            raise OcrError("too dark")
        if name == "magenta":
            os.abort()
        if name == "yellow":
            time.sleep(1000)
        said = SAYS.get(name or "")
        sure = 0.3 if name == "cyan" else 0.95
        return [TextLine(said, sure, (0.25, 0.4, 0.75, 0.6))] if said else []

    @staticmethod
    def _name(colour: Any) -> str | None:
        from PIL import ImageColor

        names = (*SAYS, "black", "magenta", "yellow")
        apart = {name: np.abs(np.subtract(ImageColor.getrgb(name), colour)).max() for name in names}
        nearest = min(apart, key=lambda name: apart[name])
        return nearest if apart[nearest] < 40 else None
