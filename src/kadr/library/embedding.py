"""Queries -> unit vectors of the joint space."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np

from kadr.encoders import ImageEncoder
from kadr.errors import ImageError, LibraryError
from kadr.library.queries import Expression, Part
from kadr.matcher.bundle import Matcher
from kadr.matcher.relevance import Embeddings
from kadr.photos import films, kinds, reader
from kadr.photos.objects import is_object
from kadr.stores import Store
from kadr.types import Picture, Vectors

if TYPE_CHECKING:
    from PIL import Image

PictureSource: TypeAlias = Path | Picture | int
"""A file, a picture at hand, or the number of a photo of the library."""


@dataclass(frozen=True)
class Embedding:
    """Where a query points: unit vector float32 [dim] of the joint space.

    `text` is the query's side of a pair where it is one text: only then is there a probability.
    `without` are the sides of what photos must not show.
    """

    vector: Vectors
    text: Embeddings | None = None
    without: tuple[Embeddings, ...] = ()


def embed(
    matcher: Matcher, store: Store, queries: Sequence[Expression]
) -> Iterator[Embedding | None]:
    """Queries, encoded together; None where the matcher knows no word of one.

    Raises as `embed_pictures` does.
    """
    parts = [part for query in queries for part in query.parts]
    negated = [text for query in queries for text in query.without]
    said = (text for text in (*(part.text for part in parts), *negated) if text is not None)
    texts = list(dict.fromkeys(said))
    raw = matcher.text_encoder.encode(texts)
    sides = {
        text: matcher.texts(row[None]) for text, row in zip(texts, raw, strict=True) if row.any()
    }
    pictures = embed_pictures(
        matcher, store, [part.picture for part in parts if part.picture is not None]
    )
    for query in queries:
        without = tuple(sides[text] for text in query.without if text in sides)
        if query.text is None:
            total = _sum(query.parts, sides, pictures)
            yield None if total is None else Embedding(total, None, without)
        else:
            side = sides.get(query.text)
            yield None if side is None else Embedding(side.joint.vectors[0], side, without)


def embed_pictures(
    matcher: Matcher, store: Store, sources: Sequence[PictureSource]
) -> dict[PictureSource, Vectors]:
    """Each picture's place in the joint space: float32 [dim].

    Raises:
        ImageError: a picture can't be read.
        LibraryError: there is no photo of that number.
    """
    distinct = list(dict.fromkeys(sources))
    if not distinct:
        return {}
    joint = matcher.images(encoded(matcher.image_encoder, store, distinct)).joint.vectors
    return dict(zip(distinct, joint, strict=True))


def encoded(encoder: ImageEncoder, store: Store, sources: Sequence[PictureSource]) -> Vectors:
    """The encoder's vectors of distinct pictures: float32 [n, dim].

    Raises as `embed_pictures` does.
    """
    known, stored = store.vectors([one for one in sources if isinstance(one, int)], encoder.name)
    others = [one for one in sources if not isinstance(one, int)]
    fresh = _encoded(encoder, others)
    rows: dict[PictureSource, Vectors] = dict(zip(known.tolist(), stored, strict=True))
    rows |= zip(others, fresh, strict=True)
    try:
        return np.stack([rows[one] for one in sources])
    except KeyError:
        raise LibraryError(
            "There is no photo of that number. It may have been forgotten."
        ) from None


_vectors = WeakKeyDictionary[Picture, dict[str, Vectors]]()
"""Vectors of pictures at hand, by the encoder's name: the law asks for them before the search."""


def _encoded(encoder: ImageEncoder, sources: Sequence[Path | Picture]) -> list[Vectors]:
    held = [_vectors.get(one, {}) if isinstance(one, Picture) else {} for one in sources]
    known = [kept.get(encoder.name) for kept in held]
    missing = [one for one, vector in zip(sources, known, strict=True) if vector is None]
    fresh = encoder.encode([encoder.prepare(opened(one, encoder.size)) for one in missing])
    for one, vector in zip(missing, fresh, strict=True):
        if isinstance(one, Picture):
            _vectors.setdefault(one, {})[encoder.name] = vector
    made = iter(fresh)
    return [next(made) if vector is None else vector for vector in known]


def opened(source: Path | Picture, size: int) -> "Image.Image":
    """A picture, decoded so that its shorter side has `size` pixels, where it has so many.

    Raises:
        ImageError: it can't be read.
    """
    if isinstance(source, Picture):
        from PIL import Image

        return Image.fromarray(source.pixels)
    from kadr.photos import images  # searching by text alone needs no decoders

    try:
        if is_object(source) or films.frame(source) is not None:
            return reader.read(source, size)[0]
        return images.decode(source, size)
    except ImageError as error:
        is_film = source.suffix.lower() in kinds.FILM_SUFFIXES
        hint = f"Name a moment of it: {source}{films.MARK}12.5" if is_film else "Name another photo"
        raise ImageError(f"{source}: {error}. {hint}.") from error


def _sum(
    parts: Sequence[Part],
    sides: Mapping[str, Embeddings],
    pictures: Mapping[PictureSource, Vectors],
) -> Vectors | None:
    """The weighted sum of unit vectors, of unit length; parts without a known word left out."""
    terms = []
    for part in parts:
        if part.picture is not None:
            terms.append(part.weight * pictures[part.picture])
        elif part.text is not None and part.text in sides:
            terms.append(part.weight * sides[part.text].joint.vectors[0])
    if not terms:
        return None
    total = np.sum(terms, axis=0)
    length = float(np.linalg.norm(total))
    return np.asarray(total / length, np.float32) if length > 1e-6 else None
