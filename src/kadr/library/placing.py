"""What the places are called where photos were taken: said when a photo comes, kept with it."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from kadr.photos import gazetteer
from kadr.stores import GAZETTEER, NewPhoto, Selection, Store
from kadr.types import PhotoFacts, Place

BATCH = 500
"""Photos whose places are kept at once."""


def named(photos: Iterable[NewPhoto]) -> list[NewPhoto]:
    """The photos with the names of their places, where the extra is there to tell them."""
    photos = list(photos)
    there = [
        (place, photo.facts)
        for place, photo in enumerate(photos)
        if photo.facts is not None and photo.facts.latitude is not None
    ]
    if not there or gazetteer.version() is None:
        return photos
    for (at, facts), found in zip(there, _names(facts for _, facts in there), strict=True):
        photos[at] = replace(photos[at], facts=replace(facts, place=found))
    return photos


def rename(store: Store) -> None:
    """Name the places of all photos that these names didn't name, or that lie elsewhere since.

    Without the extra nothing is taken back; what comes meanwhile is named once it is there.
    """
    version = gazetteer.version()
    if version is not None:
        named_before = version == store.meta(GAZETTEER)
        numbers = store.unplaced() if named_before else store.located(Selection())[0].tolist()
        for start in range(0, len(numbers), BATCH):
            part = store.stored(dict.fromkeys(numbers[start : start + BATCH], ()))
            found = _names(photo.facts for photo in part.values())
            store.keep_places(dict(zip(part, found, strict=True)))
    if version != store.meta(GAZETTEER):
        store.note(**{GAZETTEER: version})


def _names(facts: Iterable[PhotoFacts]) -> list[Place]:
    """The names of their places, besides what their files call them."""
    known = list(facts)
    spots = np.array([(one.latitude, one.longitude) for one in known], np.float64).reshape(-1, 2)
    return [
        replace(found, said=one.place.said if one.place else ())
        for one, found in zip(known, gazetteer.named(spots), strict=True)
    ]
