"""Flow: pairs of photos and texts -> the probability of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np

from kadr.data import tables
from kadr.encoders import vectors
from kadr.encoders.vectors import EncodedImages, VectorCache
from kadr.errors import DataError
from kadr.matcher.bundle import Matcher
from kadr.photos.files import lies_below
from kadr.study.encoded import Progress, silent
from kadr.types import Score, Skipped, Vectors

COLUMNS = ("image", "text")
"""Columns that a table of pairs must have."""
ADDED = ("probability", "similarity")


@dataclass(frozen=True, slots=True)
class Pairs:
    """A table of pairs: the names of its columns, `image` and `text` among them, and its rows.

    `separator` stands between its columns, and will between those of the scores.
    """

    columns: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]
    separator: str = ","


@dataclass(frozen=True, slots=True)
class Scores:
    """One score per pair, None where the photo can't be read; such photos with the reason."""

    scores: tuple[Score | None, ...]
    skipped: tuple[Skipped, ...]


def read_pairs(path: Path) -> Pairs:
    """Read a CSV with a header that names image and text; further columns are kept.

    Raises:
        DataError: It isn't such a file; the message names the row.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: can't be read ({error.strerror or error}).") from error
    table = tables.read(content, str(path), COLUMNS)
    for row in table.rows:
        if len(row.cells) != len(table.columns):
            raise DataError(
                f"{path}, row {row.number}: expected {len(table.columns)} columns. Mend the row."
            )
    if not table.rows:
        raise DataError(f"{path}: no pairs. Write one image and one text in each row.")
    return Pairs(table.columns, tuple(map(table.named, table.rows)), table.separator)


def score(
    pairs: Pairs,
    folder: Path,
    matcher: Matcher,
    cache: VectorCache,
    on_progress: Progress | None = None,
) -> Scores:
    """Score each pair; a photo is named by its path below `folder`.

    Raises:
        DataError: There is no such folder.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder. Name the photos' folder with --images.")
    report = on_progress or silent
    paths = [_photo(folder, row["image"]) for row in pairs.rows]
    inside, strange = _inside(paths, folder)
    files, unreadable = vectors.identify(inside, folder, cache)
    found = vectors.encode_images(
        matcher.image_encoder, files, cache, lambda done, total: report("photos", done, total)
    )
    texts = vectors.encode_texts(
        matcher.text_encoder,
        [row["text"] for row in pairs.rows],
        cache,
        lambda done, total: report("texts", done, total),
    )
    scores = _scores(matcher, paths, found, texts)
    return Scores(scores, (*strange, *unreadable, *found.skipped))


def to_csv(pairs: Pairs, scores: Scores) -> str:
    """Write the table with probability and similarity; unscored pairs keep their place, empty."""
    columns = [*pairs.columns, *(name for name in ADDED if name not in pairs.columns)]
    rows = []
    for row, scored in zip(pairs.rows, scores.scores, strict=True):
        figures: tuple[object, ...] = ("", "")
        if scored is not None:
            figures = (Decimal(f"{scored.probability:.6f}"), Decimal(f"{scored.similarity:.6f}"))
        cells = {**row, **dict(zip(ADDED, figures, strict=True))}
        rows.append([cells[column] for column in columns])
    return tables.write(columns, rows, separator=pairs.separator)


def _scores(
    matcher: Matcher, paths: Sequence[Path], found: EncodedImages, texts: Vectors
) -> tuple[Score | None, ...]:
    """Score text [n] with the photo at path [n]; None where that photo has no vector."""
    place = {file.path: position for position, file in enumerate(found.files)}
    kept = [row for row, path in enumerate(paths) if path in place]
    scores: list[Score | None] = [None] * len(paths)
    if kept:
        image_rows = np.array([place[paths[row]] for row in kept], dtype=np.intp)
        images = matcher.images(found.vectors).take(image_rows)
        probability, similarity = matcher.pairs(images, matcher.texts(texts[kept]))
        for row, p, s in zip(kept, probability.tolist(), similarity.tolist(), strict=True):
            scores[row] = Score(p, s)
    return tuple(scores)


def _photo(folder: Path, name: str) -> Path:
    """The photo of that name, with the spaces around it only where they belong to it."""
    path = folder / name
    try:
        return path if path.exists() else folder / name.strip()
    except (OSError, ValueError):  # no name of a file
        return path


def _inside(paths: Sequence[Path], folder: Path) -> tuple[list[Path], list[Skipped]]:
    """The distinct paths that lie below the folder, and the others with the reason."""
    inside: list[Path] = []
    strange: list[Skipped] = []
    for path in dict.fromkeys(paths):
        if lies_below(folder, path):
            inside.append(path)
        else:
            strange.append(Skipped(path, f"not a name below {folder}"))
    return inside, strange
