"""Cursors: random tokens. The places that they stand for stay here.

A place would say how many hidden photos came before it.
"""

import hashlib
import secrets
import threading
from typing import TypeAlias

from cachetools import LRUCache

from kadr.service.problems import ProblemError

KEPT = 50_000
"""Cursors that are remembered, some 20 MB; the least recently used are forgotten first."""

_Place: TypeAlias = tuple[bytes, int]
"""The digest of a listing, and a place in it."""


class Cursors:
    """The cursors of all listings. They live as long as the service. Threads may share them."""

    def __init__(self, kept: int = KEPT) -> None:
        self._places: LRUCache[str, _Place] = LRUCache(kept)
        self._lock = threading.Lock()

    def of(self, *listing: str) -> "ListingCursors":
        """Those of one listing: what was asked, of which photos, under which policy."""
        return ListingCursors(self, hashlib.sha256(repr(listing).encode()).digest())

    def keep(self, place: _Place) -> str:
        """A new cursor of a place."""
        cursor = secrets.token_urlsafe(16)
        with self._lock:
            self._places[cursor] = place
        return cursor

    def find(self, cursor: str) -> _Place | None:
        """The place of a cursor; None where it is forgotten or was never made."""
        with self._lock:
            return self._places.get(cursor)


class ListingCursors:
    """The cursors of one listing; those of others don't open its places."""

    def __init__(self, cursors: Cursors, listing: bytes) -> None:
        self._cursors = cursors
        self._listing = listing

    def seal(self, place: int | None) -> str | None:
        """The cursor of a place; None, the end, stays None."""
        return None if place is None else self._cursors.keep((self._listing, place))

    def open(self, cursor: str | None) -> int:
        """The place of a cursor; None is the first.

        Raises:
            ProblemError: 422, it belongs to another listing, or to none.
        """
        if cursor is None:
            return 0
        listing, place = self._cursors.find(cursor) or (b"", 0)
        if listing != self._listing:
            raise ProblemError(
                422,
                "This cursor isn't known: it belongs to another listing, or is too old. "
                "Ask for the first page, without a cursor.",
            )
        return place
