"""Several encoders as one: their vectors side by side, each part's rows scaled to unit length.

Unit length gives each part the same say, whatever the scale of its features.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kadr.encoders import ImageEncoder, TextEncoder, state
from kadr.types import Vectors


class JoinedImages:
    """Image encoders side by side."""

    def __init__(self, parts: Sequence[ImageEncoder]) -> None:
        self.parts = tuple(parts)
        self.name = "+".join(part.name for part in self.parts)
        self.dim = sum(part.dim for part in self.parts)
        self.size = max(part.size for part in self.parts)
        blank = Image.new("RGB", (8, 8))
        self._shapes = [part.prepare(blank).shape for part in self.parts]

    def prepare(self, image: Image.Image) -> NDArray[np.uint8]:
        """What each part wants, one after the other: uint8 [bytes]."""
        return np.concatenate([part.prepare(image).ravel() for part in self.parts])

    def encode(self, images: Sequence[NDArray[np.uint8]]) -> Vectors:
        """Prepared photos to float32 [n, dim]."""
        ends = np.cumsum([np.prod(shape) for shape in self._shapes])[:-1]
        pieces = [np.split(image, ends) for image in images]
        return self.join(
            [
                part.encode([piece[number].reshape(shape) for piece in pieces])
                for number, (part, shape) in enumerate(zip(self.parts, self._shapes, strict=True))
            ]
        )

    def join(self, vectors: Sequence[Vectors]) -> Vectors:
        """The parts' vectors [n, dim of the part] as float32 [n, dim]."""
        return _side_by_side(vectors)


class JoinedTexts:
    """Text encoders side by side."""

    def __init__(self, parts: Sequence[TextEncoder]) -> None:
        self.parts = tuple(parts)
        self.name = "+".join(part.name for part in self.parts)
        self.dim = sum(part.dim for part in self.parts)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Texts to float32 [n, dim]."""
        return self.join([part.encode(texts) for part in self.parts])

    def join(self, vectors: Sequence[Vectors]) -> Vectors:
        """The parts' vectors [n, dim of the part] as float32 [n, dim]."""
        return _side_by_side(vectors)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What the parts learned: the arrays of part n stand under "n."."""
        return {
            f"{number}.{name}": array
            for number, part in enumerate(self.parts)
            for name, array in state(part).items()
        }


def of_part(number: int, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The arrays of one part among `JoinedTexts.arrays()`."""
    prefix = f"{number}."
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}


def _side_by_side(vectors: Sequence[Vectors]) -> Vectors:
    return np.concatenate([_unit(part) for part in vectors], axis=1)


def _unit(vectors: Vectors) -> Vectors:
    """Rows of length one; a zero row, which knows nothing, stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
