"""What encoding hands over to a library: a row for each file, and its form in Parquet.

Whoever reads rows may have got them from a stranger: all of them are checked.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from kadr.encoding.sources import LONGEST, is_photo
from kadr.errors import DataError
from kadr.photos import texts
from kadr.photos.objects import SCHEMES
from kadr.stores import PARTS, NewPhoto
from kadr.types import Assessment, PhotoFacts, Sidecar, Vectors

if TYPE_CHECKING:
    import pyarrow as pa

    Table: TypeAlias = pa.Table

FORMAT = 2
MOST_WRITTEN = {"path": LONGEST, "": 4 * texts.TOTAL}
"""Bytes that a row of a column holds at most."""
_NOTE = b"kadr"
_VECTORS = ("vector", "law_vector")
_KINDS = frozenset({"jpeg", "png", "webp", "gif", "tiff", "bmp", "avif", "heic", "raw"})
_TAKEN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", re.ASCII)
_LAYERS = frozenset({"words", "scene", "faces"})


@dataclass(frozen=True, slots=True)
class About:
    """What all rows of an output have in common.

    `encoder` made `dim` figures a photo, `law_encoder` the `law_dim` that the law's classifier
    needs besides; None: it needs none, or no law was in force. `layers` is the version of the
    layers that assessed the photos. `root` and `listed` are as in `kadr.encoding.sources.Source`.
    """

    encoder: str
    dim: int
    root: str
    listed: bool = False
    law_encoder: str | None = None
    law_dim: int = 0
    layers: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A file: path or URL, size in bytes, time of change in ns, and what is known of its content.

    `photo` has no place in a joint space. Without a digest, `problem` says why the file couldn't be
    read; with one, why its content is no photo. `assessment` is of the texts of this path alone,
    with those of `sidecar`, which the photo's facts don't hold.
    """

    path: str
    size: int
    modified: int
    digest: bytes | None = None
    problem: str | None = None
    photo: NewPhoto | None = None
    assessment: Assessment | None = None
    sidecar: Sidecar | None = None


def to_table(rows: Sequence[Row], about: About) -> "Table":
    """Rows as a table; `about` is noted in it."""
    import pyarrow as pa

    return pa.Table.from_pylist([_values(row, about) for row in rows], schema=schema(about))


def schema(about: About) -> "pa.Schema":
    """The columns: their names, types, and what may be missing."""
    import pyarrow as pa

    # pyarrow reads no file with lists of a fixed length where one is missing.
    vector = pa.list_(pa.float32())
    text, real, texts_ = pa.string(), pa.float64(), pa.list_(pa.string())
    needed = {
        "path": pa.binary(), "size": pa.int64(), "modified": pa.int64(), "sidecar_state": text,
    }  # fmt: skip
    sidecar = {
        "texts": texts_, "complete": pa.bool_(), "taken": text, "latitude": real, "longitude": real,
    }  # fmt: skip
    assessment = {
        "words": texts_, "scene": real, "faces": pa.list_(real), "failed": texts_,
        "probability": real, "version": text,
    }  # fmt: skip
    optional = {
        "digest": pa.binary(32), "problem": text, "kind": text, "width": pa.int64(),
        "height": pa.int64(), "taken": text, "camera": text, "latitude": real, "longitude": real,
        "texts": texts_, "texts_complete": pa.bool_(), "hash": pa.uint64(),
        "parts": pa.list_(pa.uint64()), "vector": vector,
        "assessment": pa.struct(list(assessment.items())),
        "sidecar": pa.struct(list(sidecar.items())),
    }  # fmt: skip
    if about.law_encoder is not None:
        optional["law_vector"] = vector
    note = json.dumps({"format": FORMAT, **asdict(about)})
    there = [pa.field(name, kind, nullable=False) for name, kind in needed.items()]
    return pa.schema([*there, *optional.items()], {_NOTE: note.encode()})


def _values(row: Row, about: About) -> dict[str, Any]:
    said: dict[str, Any] = {
        "path": row.path.encode("utf-8", "surrogateescape"),
        "size": row.size,
        "modified": row.modified,
        "digest": row.digest,
        "problem": row.problem,
        "sidecar_state": "" if row.sidecar is None else row.sidecar.state,
        "sidecar": None if row.sidecar is None else asdict(row.sidecar),
    }
    if (photo := row.photo) is None or photo.facts is None:
        return said
    law = {} if about.law_encoder is None else {"law_vector": photo.others[about.law_encoder]}
    return said | asdict(photo.facts) | {
        "hash": photo.hash,
        "parts": photo.parts,
        "vector": photo.vector,
        **law,
        "assessment": None if row.assessment is None else asdict(row.assessment),
    }  # fmt: skip


def about(found: "pa.Schema", where: str) -> About:
    """What a file notes of its rows, checked with its columns.

    Raises:
        DataError: it isn't one that `kadr encode` wrote.
    """
    try:
        note = json.loads((found.metadata or {})[_NOTE])
        if note.pop("format") != FORMAT:
            raise DataError(f"{where}: of another version of kadr. Encode again, or update kadr.")
        noted = _typed(About(**note))
        _check(0 < noted.dim < 2**16 and 0 <= noted.law_dim < 2**16, "no dimensions")
        _check((noted.law_encoder is None) == (noted.law_dim == 0), "no dimensions of the law's")
        _check(bool(noted.root and noted.encoder), "no names")
        expected = schema(noted)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise foreign(where, "notes no encoder") from error
    for field in expected:
        place = found.get_field_index(field.name)
        if place < 0:
            raise foreign(where, f"has no column {field.name!r}")
        if found.field(place).type != field.type:
            raise foreign(where, f"column {field.name!r} is {found.field(place).type}")
    return noted


def _typed(noted: About) -> About:
    """The note, where each of its values is of its type. Raises TypeError where one isn't."""
    texts_ = noted.encoder, noted.root, noted.law_encoder or "", noted.layers or ""
    if not all(isinstance(text, str) and "\0" not in text for text in texts_):
        raise TypeError
    if type(noted.listed) is not bool or {type(noted.dim), type(noted.law_dim)} != {int}:
        raise TypeError
    if not noted.root.startswith((os.sep, *(f"{scheme}://" for scheme in SCHEMES))):
        raise ValueError
    return noted


def foreign(where: str, why: str) -> DataError:
    """The error for a file that isn't as `kadr encode` writes them."""
    return DataError(f"{where}: {why}, so kadr encode didn't write it. Remove it, or encode again.")


def from_table(table: "Table", noted: About, where: str) -> Iterator[Row]:
    """The rows of a table, each checked.

    Raises:
        DataError: a value is none that `kadr encode` writes.
    """
    names = schema(noted).names
    vectors = {name: _vectors(table, name) for name in _VECTORS if name in names}
    others = table.select([name for name in names if name not in vectors])
    for number, values in enumerate(others.to_pylist(), start=1):
        own = {name: rows[number - 1] for name, rows in vectors.items()}
        try:
            yield _row(values, own, noted)
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise foreign(where, f"row {number} is wrong ({error})") from error


def _vectors(table: "Table", name: str) -> list[Vectors | None]:
    """Vectors of a column, None where there is none; without a Python object for each figure."""
    column = table.column(name).combine_chunks()
    figures = column.values.to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
    offsets = column.offsets.to_pylist()
    return [
        figures[offsets[number] : offsets[number + 1]] if there else None
        for number, there in enumerate(column.is_valid().to_pylist())
    ]


def _row(values: Mapping[str, Any], vectors: Mapping[str, Vectors | None], noted: About) -> Row:
    path = values["path"].decode("utf-8", "surrogateescape")
    _check(len(values["path"]) <= LONGEST, "its path is too long")
    if not path or "\0" in path or not is_photo(path):
        raise ValueError(f"{path!r} names no photo")
    digest, problem = values["digest"], values["problem"]
    size, modified = int(values["size"]), int(values["modified"])
    _check(size >= 0 or (size == -1 and digest is None), "its size is wrong")
    row = Row(path, size, modified, digest, _line(problem), sidecar=_sidecar(values))
    if problem is not None:
        return row
    _check(digest is not None, "neither a digest nor a problem")
    photo, assessment = _photo(values, vectors, noted), _assessment(values["assessment"])
    return replace(row, photo=photo, assessment=assessment)


def _photo(
    values: Mapping[str, Any], vectors: Mapping[str, Vectors | None], noted: About
) -> NewPhoto:
    vector, law = vectors["vector"], vectors.get("law_vector")
    _check(_is_vector(vector, noted.dim), "its vector is missing or wrong")
    _check(
        noted.law_encoder is None or _is_vector(law, noted.law_dim),
        "the vector for the law is missing or wrong",
    )
    parts = tuple(values["parts"] or ())
    _check(len(parts) == PARTS and None not in parts, "its hashes are missing")
    return NewPhoto(
        values["digest"],
        facts=_facts(values),
        hash=int(values["hash"]),
        vector=vector,
        parts=parts,
        others={} if law is None or noted.law_encoder is None else {noted.law_encoder: law},
    )


def _is_vector(vector: Vectors | None, dim: int) -> bool:
    return vector is not None and vector.shape == (dim,) and bool(np.isfinite(vector).all())


def _facts(values: Mapping[str, Any]) -> PhotoFacts:
    width, height, taken = values["width"], values["height"], values["taken"]
    place = values["latitude"], values["longitude"]
    _check_said(taken, place, values["texts"])
    said = tuple(texts.line(text, texts.LONGEST) for text in values["texts"])
    _check(values["kind"] in _KINDS, "no such format")
    _check(0 < width < 2**31 and 0 < height < 2**31, "a size in pixels is wrong")
    return PhotoFacts(
        values["kind"], width, height, taken, _line(values["camera"]), *place, said,
        bool(values["texts_complete"]),
    )  # fmt: skip


def _sidecar(values: Mapping[str, Any]) -> Sidecar | None:
    state, said = values["sidecar_state"], values["sidecar"]
    _check((said is None) == (state == ""), "its sidecar is missing")
    if said is None:
        return None
    _check(state.isascii() and len(state) <= texts.TOTAL, "the state of its sidecars is wrong")
    place = said["latitude"], said["longitude"]
    _check_said(said["taken"], place, said["texts"])
    lines = tuple(texts.line(text, texts.LONGEST) for text in said["texts"])
    return Sidecar(state, lines, bool(said["complete"]), said["taken"], *place)


def _check_said(
    taken: str | None, place: tuple[float | None, float | None], said: Sequence[str]
) -> None:
    """Raise ValueError where a date, a place or texts are none that a file says."""
    latitude, longitude = place
    _check(taken is None or _is_date(taken), "a date is wrong")
    if latitude is None or longitude is None:
        _check(place == (None, None), "a place is wrong")
    else:
        _check(abs(latitude) <= 90 and abs(longitude) <= 180, "a place is wrong")
    _check(len(said) <= texts.MOST and sum(map(len, said)) <= texts.TOTAL, "its texts are too long")


def _assessment(values: Mapping[str, Any] | None) -> Assessment | None:
    if values is None:
        return None
    scene, faces, failed = values["scene"], values["faces"], tuple(values["failed"])
    for probability in (values["probability"], scene):
        _check(probability is None or 0 <= probability <= 1, "a probability is wrong")
    _check(faces is None or all(0 <= age <= 200 for age in faces), "an age is wrong")
    _check(set(failed) <= _LAYERS, "no such layer")
    said = [*values["words"], values["version"]]
    _check(all(isinstance(text, str) for text in said), "a word is missing")
    _check(sum(map(len, said)) <= texts.TOTAL, "its words are too long")
    return Assessment(
        tuple(values["words"]),
        scene,
        None if faces is None else tuple(faces),
        failed,
        float(values["probability"]),
        values["version"],
    )


def _is_date(text: str) -> bool:
    return bool(_TAKEN.fullmatch(text) and datetime.fromisoformat(text))


def _line(text: str | None) -> str | None:
    return None if text is None else texts.line(text, texts.LONGEST)


def _check(condition: bool, why: str) -> None:
    if not condition:
        raise ValueError(why)
