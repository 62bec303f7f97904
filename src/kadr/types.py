"""Frozen dataclasses that steps share. No behaviour, no input or output."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Vectors: TypeAlias = NDArray[np.float32]
"""Rows are items, columns dimensions: float32 [n, dim]."""

Floats: TypeAlias = NDArray[np.float64]
"""Any array of figures: float64."""

Experts: TypeAlias = Literal["majority", "median", "mean", "dawid-skene"]
"""How the grades of several experts become one."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """One expert's word: does the text of `query` describe `image`? Grade 1 (no) to 4 (yes)."""

    query: str
    image: str
    rater: str
    grade: int


@dataclass(frozen=True, slots=True)
class Votes:
    """The crowd's word: how many people said yes and no to one (query, image) pair."""

    query: str
    image: str
    yes: int
    no: int


@dataclass(frozen=True, slots=True)
class Label:
    """What the judges of one pair say together: target in [0, 1], weight > 0."""

    query: str
    image: str
    target: float
    weight: float


@dataclass(frozen=True, slots=True)
class Query:
    """A text with an id, and the image that it was written for (None where unknown)."""

    id: str
    text: str
    image: str | None


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in an input: where, what, and what to do.

    Row 1 is the file's first line; row None means the whole file, column None the whole row.
    """

    file: str
    row: int | None
    column: str | None
    message: str


@dataclass(frozen=True)
class Dataset:
    """The annotated archive, validated.

    `queries` maps the id of every training query whose text is known to the query.
    `images` maps an image's file name to its path, for training and test photos that can be read.
    `digests` maps each annotation file's name to its SHA-256.
    `skipped` lists what was left out, and why.
    """

    folder: Path
    queries: Mapping[str, Query]
    judgements: tuple[Judgement, ...]
    votes: tuple[Votes, ...]
    test_queries: tuple[Query, ...]
    train_images: Mapping[str, Path]
    test_images: Mapping[str, Path]
    digests: Mapping[str, str]
    skipped: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A photo on disk: `id` (its path below the scanned folder), SHA-256 of its bytes, path."""

    id: str
    digest: str
    path: Path


@dataclass(frozen=True, slots=True)
class Skipped:
    """A photo that was passed over, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and its bootstrap interval (95 % unless said otherwise)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure less that of another method on the same data, its 95 % interval, and p-value."""

    value: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, slots=True)
class Hit:
    """A found photo: probability of a match in [0, 1], cosine similarity in [-1, 1]."""

    image: ImageFile
    probability: float
    similarity: float


@dataclass(frozen=True, slots=True)
class Answer:
    """Found photos, best first; `notice` says why something is missing."""

    hits: tuple[Hit, ...]
    notice: str | None = None
