"""Flow: photos of a library -> assessments on record, from their texts, vectors and faces."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, TypeAlias

from kadr.law.assessor import Assessor
from kadr.law.copies import CopyFinder
from kadr.photos import films, reader
from kadr.photos.reader import Reader
from kadr.stores import Store, Stored
from kadr.types import Assessment, PhotoFacts, Vectors

if TYPE_CHECKING:
    from PIL import Image

BATCH = 256
FACE_SIDE = 800
"""A photo isn't reduced below this many pixels a side where faces, or its parts, are looked at."""

OnAssessed: TypeAlias = Callable[[Mapping[str, Assessment]], None]
"""Called with assessments by the photo's hex digest."""


def assess(
    store: Store,
    assessor: Assessor,
    photos: Sequence[int],
    on_assessed: OnAssessed | None = None,
    copies: CopyFinder | None = None,
    read: Reader = reader.read,
) -> None:
    """Assess photos, and put their assessments on record.

    Args:
        store: the library, `writing` held.
        assessor: the layers.
        photos: their numbers; one that lies nowhere is passed over, for its texts can't be had.
        on_assessed: called batch by batch, within the transaction that keeps the batch.
        copies: finds changed copies; one that has looked at the library before needn't do so again.
        read: opens a photo where its faces, or its parts, are looked at.
    """
    copies = copies or CopyFinder(store)
    for start in range(0, len(photos), BATCH):
        due: Sequence[int] = photos[start : start + BATCH]
        while due:  # another process may give a photo another name while this one computes
            roots, known = store.folders(), store.stored(store.present(due))
            made = _computed(store, assessor, known, roots, read)
            due = _kept(store, known, roots, made, on_assessed, copies)


def _computed(
    store: Store,
    assessor: Assessor,
    known: Mapping[int, Stored],
    roots: Sequence[Path],
    read: Reader,
) -> dict[int, Assessment]:
    assessments: dict[int, Assessment] = {}
    for there, vectors in _by_vectors(store, known, assessor.encoder):
        before = store.assessments([photo.id for photo in there])
        made = assessor.assess(
            [texts(photo, roots) for photo in there],
            vectors,
            [partial(_opened, read, photo) for photo in there],
            [before.get(photo.id) for photo in there],
            [not photo.facts.texts_complete for photo in there],
        )
        assessments |= zip([photo.id for photo in there], made, strict=True)
    return assessments


def _kept(
    store: Store,
    known: Mapping[int, Stored],
    roots: Sequence[Path],
    assessments: Mapping[int, Assessment],
    on_assessed: OnAssessed | None,
    copies: CopyFinder,
) -> list[int]:
    """Keep assessments of what the photos still are; the photos that are another thing by now.

    An older assessment in place of one that knows more names could show what that one hides.
    """
    if not known:
        return []
    with store.durable():  # what counts is in the log, and nothing else
        now, folders = store.stored(store.present(list(known))), store.folders()
        same = {
            number: assessments[number]
            for number, photo in known.items()
            if number in now and _said(now[number], folders) == _said(photo, roots)
        }
        if on_assessed is not None and same:
            on_assessed({known[number].digest: one for number, one in same.items()})
        store.keep_assessments(same)
        copies.keep(list(same))
    return [number for number in known if number not in same]


def _said(photo: Stored, roots: Sequence[Path]) -> tuple[str, bool, list[str]]:
    """What an assessment is made from, besides the vectors."""
    return photo.digest, photo.facts.texts_complete, texts(photo, roots)


def _by_vectors(
    store: Store, photos: Mapping[int, Stored], encoder: str
) -> Iterator[tuple[list[Stored], Vectors | None]]:
    """The photos that have vectors of an encoder, with these; then those that have none."""
    numbers, vectors = store.vectors(list(photos), encoder)
    if len(numbers):
        yield [photos[number] for number in numbers.tolist()], vectors
    there = set(numbers.tolist())
    if others := [photo for number, photo in photos.items() if number not in there]:
        yield others, None


def _opened(read: Reader, photo: Stored) -> "Image.Image":
    return read(photo.paths[0], FACE_SIDE, photo.digest)[0]


def texts(photo: Stored, roots: Sequence[Path]) -> list[str]:
    """All that is written about a photo of a library: see `written`."""
    return written(photo.paths, photo.facts, roots)


def written(paths: Sequence[PurePath], facts: PhotoFacts, roots: Sequence[PurePath]) -> list[str]:
    """All that is written about a photo: names of its files and folders, and inside the files.

    Of folders, the indexed one (`roots`) and those below it: what lies above isn't about photos.
    """
    names = [
        name
        for path in paths
        for name in (films.stem(path), *(folder.name for folder in _folders(path, roots)))
    ]
    return list(dict.fromkeys([*names, *facts.texts]))


def _folders(path: PurePath, roots: Sequence[PurePath]) -> Iterator[PurePath]:
    """The folders that hold a file, up to the indexed one; its own where none was indexed."""
    root = next((root for root in roots if path.is_relative_to(root)), path.parent)
    return (folder for folder in path.parents if folder.is_relative_to(root))
