"""Several encoders as one: their vectors side by side, each part of a row at unit length."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kadr.encoders import ImageEncoder, TextEncoder
from kadr.types import Vectors


class JoinedImages:
    """Image encoders side by side. `parts` are they, in the order of the spec."""

    def __init__(self, parts: Sequence[ImageEncoder]) -> None:
        self.parts = tuple(parts)
        self.name = "+".join(part.name for part in parts)
        self.dim = sum(part.dim for part in parts)
        self.size = max(part.size for part in parts)

    def prepare(self, image: Image.Image) -> NDArray[np.uint8]:
        """What each part wants, one after the other: uint8 [bytes]."""
        return np.concatenate([part.prepare(image).ravel() for part in self.parts])

    def encode(self, images: Sequence[NDArray[np.uint8]]) -> Vectors:
        """Prepared photos to float32 [n, dim]."""
        ends = np.cumsum([int(np.prod(shape)) for shape in self._shapes])[:-1]
        split = [np.split(image, ends) for image in images]
        return side_by_side([
            part.encode([pixels[number].reshape(shape) for pixels in split])
            for number, (part, shape) in enumerate(zip(self.parts, self._shapes, strict=True))
        ])  # fmt: skip

    @cached_property
    def _shapes(self) -> list[tuple[int, ...]]:
        blank = Image.new("RGB", (8, 8))
        return [part.prepare(blank).shape for part in self.parts]


class JoinedTexts:
    """Text encoders side by side. `parts` are they, in the order of the spec."""

    def __init__(self, parts: Sequence[TextEncoder]) -> None:
        self.parts = tuple(parts)
        self.name = "+".join(part.name for part in parts)
        self.dim = sum(part.dim for part in parts)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Texts to float32 [n, dim]."""
        return side_by_side([part.encode(texts) for part in self.parts])


def side_by_side(parts: Sequence[Vectors]) -> Vectors:
    """Rows of each part at unit length (zeros stay zeros), one part beside the other."""
    norms = (np.linalg.norm(part, axis=1, keepdims=True) for part in parts)
    return np.hstack([
        np.divide(part, norm, out=np.zeros_like(part), where=norm > 0)
        for part, norm in zip(parts, norms, strict=True)
    ])  # fmt: skip
