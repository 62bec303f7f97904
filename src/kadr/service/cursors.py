"""Cursors: the places that they stand for, sealed. Any service of the library opens them.

A place that could be read would say how many hidden photos came before it.
"""

from kadr.service.problems import ProblemError
from kadr.service.seals import Seals

_BYTES = 7
"""Of a place."""


class Cursors:
    """The cursors of all listings of a library. Threads may share them."""

    def __init__(self, secret: bytes) -> None:
        """Take the library's secret: `seals.secret_of`."""
        self._seals = Seals(secret, "cursors")

    def of(self, *listing: str) -> "ListingCursors":
        """Those of one listing: what was asked, of which photos, under which policy."""
        return ListingCursors(self._seals, repr(listing).encode())


class ListingCursors:
    """The cursors of one listing; those of others don't open its places."""

    def __init__(self, seals: Seals, listing: bytes) -> None:
        self._seals = seals
        self._listing = listing

    def seal(self, place: int | None) -> str | None:
        """The cursor of a place below 2^56; None, the end, stays None."""
        return None if place is None else self._seals.seal(place.to_bytes(_BYTES), self._listing)

    def open(self, cursor: str | None) -> int:
        """The place of a cursor; None is the first.

        Raises:
            ProblemError: 422, it belongs to another listing, or to none.
        """
        if cursor is None:
            return 0
        place = self._seals.open(cursor, self._listing)
        if place is None:
            raise ProblemError(
                422,
                "This cursor isn't known: it belongs to another listing. "
                "Ask for the first page, without a cursor.",
            )
        return int.from_bytes(place)
