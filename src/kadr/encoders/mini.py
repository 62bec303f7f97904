"""The two towers of `mini`: photos and texts into one space of 256 dimensions, without torch.

`recipes/mini.py` makes both. Photos: EfficientNet-Lite0 and -Lite2 (Tan and Le 2019, ImageNet
weights, Apache-2.0), fine-tuned and in int8, side by side in one ONNX graph; it ends in pooling, a
square root and a linear map. Texts: multilingual-e5-small and the words themselves, each through a
linear map, one pair of maps for each language that it was taught.
"""

import os
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from kadr.encoders.e5 import LONGEST, MultilingualE5Small
from kadr.encoders.language import language
from kadr.photos import files
from kadr.types import Floats, Vectors

if TYPE_CHECKING:
    from PIL import Image

FOLDER = Path(__file__).parents[1] / "models" / "mini"
IMAGE_WEIGHTS = FOLDER / "image.onnx"
PLACES = FOLDER / "places.onnx"
"""Behind the bytes of image weights that the recipe made it is a model with one more output."""
TEXT_WEIGHTS = FOLDER / "text.npz"

SIDE = 224
GRID = 7
"""Places that a tower tells apart in each direction."""
CORES = os.cpu_count() or 1
GRAMS = (3, 4)
"""Lengths of the pieces of a Russian word: endings change, most of the pieces stay."""


class MiniImages:
    """Two EfficientNet-Lite towers that were taught what captions speak of."""

    dim = 256
    size = SIDE

    def __init__(self, weights: str | Path = IMAGE_WEIGHTS) -> None:
        self._weights = Path(weights)
        self.name = f"mini-images-{files.digest(self._weights)[:12]}"

    def prepare(self, image: "Image.Image") -> NDArray[np.uint8]:
        """Squashed to 224x224: uint8 [224, 224, 3]."""
        return prepare(image)

    def encode(self, images: Sequence[NDArray[np.uint8]]) -> Vectors:
        """Prepared photos to float32 [n, 256]."""
        if not images:
            return np.empty((0, self.dim), np.float32)
        session = self._session  # loaded here, not by several workers at once

        def run(pixels: NDArray[np.uint8]) -> Vectors:
            return np.asarray(session.run(None, {"pixels": pixels})[0], np.float32)

        parts = np.array_split(np.stack(images), min(len(images), CORES))
        return np.concatenate(list(self._workers.map(run, parts)))

    @cached_property
    def _workers(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(CORES, thread_name_prefix="mini")

    def locate(self, images: Sequence[NDArray[np.uint8]]) -> Vectors:
        """Prepared photos to float32 [n, 7, 7, 256]: what each place adds to the vector.

        Exact, but a place has seen its surroundings too: a tower's last layers look far around.
        """
        if not images:
            return np.empty((0, GRID, GRID, self.dim), np.float32)
        places = self._locating_session.run(["places"], {"pixels": np.stack(images)})[0]
        return np.asarray(places, np.float32)

    @cached_property
    def _session(self) -> Any:
        return _session(self._weights)

    @cached_property
    def _locating_session(self) -> Any:
        return _session(self._weights.read_bytes() + PLACES.read_bytes())


def _session(model: Path | bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Layers are too small to share: threads within one would spend a third of the time waiting for
    # each other. Photos are shared out instead.
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def prepare(image: "Image.Image") -> NDArray[np.uint8]:
    """A photo as the towers see it: uint8 [224, 224, 3]."""
    from PIL import Image  # the texts do without

    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC, reducing_gap=3.0))


class MiniTexts:
    """What a text says, from its sentence vector and from its words, in the language it is in."""

    dim = 256

    def __init__(self, weights: str | Path = TEXT_WEIGHTS) -> None:
        self._weights = Path(weights)
        self._sentences = MultilingualE5Small()
        self.name = f"mini-texts-{files.digest(self._weights)[:12]}+{self._sentences.name}"

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Texts to float32 [n, 256]."""
        sentences = self._sentences.encode(texts)
        rows = [
            self._languages[language(text)].vector(text, sentence)
            for text, sentence in zip(texts, sentences, strict=True)
        ]
        return np.stack(rows) if rows else np.empty((0, self.dim), np.float32)

    @cached_property
    def _languages(self) -> Mapping[str, "Language"]:
        with np.load(self._weights, allow_pickle=False) as file:
            arrays = dict(file)
        return {name: Language.restore(name, arrays) for name in TERMS}


@dataclass(frozen=True)
class Language:
    """How texts of one language become vectors.

    `sentence_map` float32 [384, dim] and `bias` [dim] take the sentence vector. `keys` uint32
    [terms], sorted, are the known terms by checksum; `rarity` float32 [terms] weighs them; a text's
    terms, scaled to unit length together, add their rows of `table` int8 [terms, dim] times
    `scale` [dim]. `neutral` float32 [dim] stands for the words where no term is known: their mean.
    """

    terms: Callable[[str], Iterable[str]]
    sentence_map: Vectors
    bias: Vectors
    keys: NDArray[np.uint32]
    rarity: Vectors
    table: NDArray[np.int8]
    scale: Vectors
    neutral: Vectors

    @classmethod
    def restore(cls, name: str, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The language whose `arrays` are among these, under its name."""
        fields = ("sentence_map", "bias", "keys", "rarity", "table", "scale", "neutral")
        return cls(TERMS[name], *(arrays[f"{name}.{field}"] for field in fields))

    def vector(self, text: str, sentence: Vectors) -> Vectors:
        """One text and its sentence vector [384] to float32 [dim]."""
        places, weights = weigh(self.terms(text), self.keys, self.rarity)
        words = self.neutral if not len(places) else (weights @ self.table[places]) * self.scale
        return np.asarray(self.bias + sentence @ self.sentence_map + words, dtype=np.float32)


def english_terms(text: str) -> list[str]:
    """Words, and pairs of neighbours."""
    words = re.findall("[a-z]+", text[:LONGEST].lower())
    return words + [" ".join(pair) for pair in pairwise(words)]


def russian_terms(text: str) -> list[str]:
    """Words and their pieces, with marks where a word begins and ends."""
    words = re.findall("[а-я]+", text[:LONGEST].lower().replace("ё", "е"))
    pieces = []
    for word in (f"<{word[:40]}>" for word in words):
        pieces += [word[i : i + n] for n in GRAMS for i in range(len(word) - n + 1)]
        pieces.append(f"={word}")
    return pieces


TERMS: Mapping[str, Callable[[str], Sequence[str]]] = {"en": english_terms, "ru": russian_terms}


def key(term: str) -> int:
    """A term's checksum, which stands for it in the weights."""
    return zlib.crc32(term.encode())


def weigh(
    terms: Iterable[str], keys: NDArray[np.uint32], rarity: Vectors
) -> tuple[NDArray[np.intp], Floats]:
    """Places of a text's known terms among `keys`, and TF-IDF weights of unit length together."""
    counts = Counter(map(key, terms))
    asked = np.fromiter(counts, dtype=np.uint32, count=len(counts))
    often = np.fromiter(counts.values(), dtype=np.float64, count=len(counts))
    places = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    known = keys[places] == asked
    places = places[known]
    weights = (1 + np.log(often[known])) * rarity[places]
    return places, weights / max(float(np.linalg.norm(weights)), 1e-12)
