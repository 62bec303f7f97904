"""Cursors that tell nothing: the place they stand for would say how many hidden photos came before.

A synthetic initialisation vector (Rogaway and Shrimpton 2006): a code of the place is its own
check, and the key of the pad that hides it. Each listing has a key of its own, else a listing whose
places are known would be a table of the others' cursors.
"""

import base64
import binascii
import hmac
import secrets

from kadr.service.problems import ProblemError

_CODE, _PLACE = 8, 7
"""Bytes."""


class Cursors:
    """Makes the cursors of listings. Its key lives as long as the service."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def of(self, *listing: str) -> "ListingCursors":
        """Those of one listing: what was asked, of which photos, under which law."""
        return ListingCursors(hmac.digest(self._key, repr(listing).encode(), "sha256"))


class ListingCursors:
    """Seals places in one listing, and opens what it has sealed."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def seal(self, place: int | None) -> str | None:
        """The cursor of a place; None stays None."""
        if place is None:
            return None
        plain = place.to_bytes(_PLACE)
        code = self._digest(b"code", plain)[:_CODE]
        return base64.urlsafe_b64encode(code + self._pad(code, plain)).decode().rstrip("=")

    def open(self, cursor: str | None) -> int:
        """The place of a cursor; None is the first.

        Raises:
            ProblemError: 422, it is of another listing, or of none.
        """
        if cursor is None:
            return 0
        try:
            raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        except (binascii.Error, ValueError):
            raw = b""
        code, plain = raw[:_CODE], self._pad(raw[:_CODE], raw[_CODE:])
        if len(raw) != _CODE + _PLACE or not hmac.compare_digest(
            code, self._digest(b"code", plain)[:_CODE]
        ):
            raise ProblemError(
                422,
                "This cursor isn't known: it is of another listing, or the service began anew. "
                "Ask for the first page, without a cursor.",
            )
        return int.from_bytes(plain)

    def _pad(self, code: bytes, text: bytes) -> bytes:
        return bytes(a ^ b for a, b in zip(self._digest(b"pad", code), text, strict=False))

    def _digest(self, use: bytes, text: bytes) -> bytes:
        return hmac.digest(self._key, use + text, "sha256")
