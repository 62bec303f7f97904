"""Flow: photos of a library -> assessments on record, from their texts, vectors and faces."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

from kadr.law.assessor import Assessor
from kadr.photos import images
from kadr.stores import Store, Stored
from kadr.types import Assessment

BATCH = 256
FACE_SIDE = 800
"""A photo isn't reduced below this many pixels a side where faces are looked for."""

OnAssessed: TypeAlias = Callable[[Mapping[str, Assessment]], None]
"""Called with assessments by the photo's hex digest."""


def assess(
    store: Store,
    assessor: Assessor,
    photos: Sequence[int],
    on_assessed: OnAssessed | None = None,
) -> None:
    """Assess photos, and put their assessments on record.

    Args:
        store: the library, `writing` held.
        assessor: the layers.
        photos: their numbers; one that lies nowhere is passed over, for its texts can't be had.
        on_assessed: called batch by batch, within the transaction that keeps the batch.
    """
    for start in range(0, len(photos), BATCH):
        numbers, vectors = store.vectors(photos[start : start + BATCH])
        known = store.stored(store.present(numbers.tolist()))
        rows = [row for row, number in enumerate(numbers.tolist()) if number in known]
        there = [known[number] for number in numbers[rows].tolist()]
        if not there:
            continue
        before = store.assessments([photo.id for photo in there])
        assessments = assessor.assess(
            [texts(photo) for photo in there],
            vectors[rows],
            [partial(images.decode, photo.paths[0], FACE_SIDE) for photo in there],
            [before[p.id].faces if p.id in before else None for p in there],
        )
        with store.durable():  # what counts is in the log, and nothing else
            if on_assessed is not None:
                on_assessed({p.digest: one for p, one in zip(there, assessments, strict=True)})
            store.keep_assessments({p.id: one for p, one in zip(there, assessments, strict=True)})


def texts(photo: Stored) -> list[str]:
    """All that is written about a photo: names of its files and their folders, and inside them."""
    names = [name for path in photo.paths for name in (path.stem, path.parent.name)]
    return list(dict.fromkeys([*names, *photo.facts.texts]))
