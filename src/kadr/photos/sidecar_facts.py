"""What sidecars say of a photo: XMP, read as in its file, in bounded time and memory."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from kadr.photos import dates, files, places, xmp
from kadr.photos.metadata import LIMIT
from kadr.photos.sidecars import UNREAD
from kadr.photos.texts import Texts
from kadr.types import PhotoFacts, Sidecar

MOST = 8
"""Sidecars of a photo that are read; of more, its words are incomplete."""


def read_beside(photo: Path, state: str) -> Sidecar | None:
    """What the sidecars in a state say, which lie beside a photo; None where there are none."""
    return parsed(state, lambda name: _content(photo.parent / name))


def parsed(state: str, content_of: Callable[[str], bytes]) -> Sidecar | None:
    """What sidecars say, by their names in a state; `content_of` may raise OSError.

    One that can't be read is noted so that it is read again once it can be.
    """
    if not state:
        return None
    packets, noted, complete, left = list[bytes](), json.loads(state), True, LIMIT
    for place, (name, size, modified) in enumerate(noted):
        if place >= MOST or size > left:
            complete = False
            continue
        complete &= (size, modified) != UNREAD
        try:
            packets.append(content_of(name))
            left -= len(packets[-1])
        except OSError:
            noted[place], complete = [name, *UNREAD], False
    return _said(json.dumps(noted), packets, complete=complete)


def joined(facts: PhotoFacts, beside: Iterable[Sidecar]) -> PhotoFacts:
    """What a photo's file says, with what is said beside each of its copies.

    All texts count. A date or a place beside the photo was put there later, so it is believed more.
    """
    texts, said = Texts(), list(beside)
    for text in (*facts.texts, *(text for one in said for text in one.texts)):
        texts.add(text)
    taken = next((one.taken for one in said if one.taken), facts.taken)
    where = next(
        ((one.latitude, one.longitude) for one in said if one.latitude is not None),
        (facts.latitude, facts.longitude),
    )
    complete = facts.texts_complete and texts.complete and all(one.complete for one in said)
    return replace(
        facts,
        taken=taken,
        latitude=where[0],
        longitude=where[1],
        texts=texts.all(),
        texts_complete=complete,
    )


def _said(state: str, packets: Sequence[bytes], *, complete: bool) -> Sidecar:
    said, texts = xmp.parse(packets), Texts()
    for text in said.texts:
        texts.add(text)
    moments = (dates.parse(said.values.get(key, "")) for key in xmp.DATES[:2])
    latitude, longitude = (said.values.get(f"GPS{key}", "") for key in ("Latitude", "Longitude"))
    where = places.from_xmp(latitude, longitude)
    return Sidecar(
        state,
        texts.all(),
        complete and said.complete and texts.complete,
        next(filter(None, moments), None),
        *(where or (None, None)),
    )


def _content(path: Path) -> bytes:
    """At most a byte more than is read of all packets. Raises OSError, for what is no file too."""
    with files.opened(path) as file:
        return file.read(LIMIT + 1)
