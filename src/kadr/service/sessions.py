"""Sessions of the page: a browser's cookie holds a key's id and an end, sealed, never the key.

Nothing of them is kept, so all services of a library know them, and they outlive a restart.
"""

import hashlib
import hmac
import time
from collections.abc import Callable

from cachetools import TTLCache

from kadr.service.keys import Key, Keyring
from kadr.service.seals import Seals

DAYS = 30
KEPT = 10_000
"""Sessions that were left and are remembered; the oldest are forgotten first."""
_ID, _END = 4, 5
"""Bytes of a key's id, and of the second at which a session ends."""


class Sessions:
    """The sessions of a library's services. Removing a key ends those that it began."""

    def __init__(
        self, keys: Keyring, secret: bytes, clock: Callable[[], float] = time.time
    ) -> None:
        """Take the library's secret: `seals.secret_of`; `clock` gives the second since 1970."""
        self._keys = keys
        self._seals = Seals(secret, "sessions")
        self._clock = clock
        self._left: TTLCache[str, bool] = TTLCache(KEPT, DAYS * 86400)

    def begin(self, key: Key) -> str:
        """The token of a new session."""
        end = int(self._clock()) + DAYS * 86400
        return self._seals.seal(bytes.fromhex(key.id) + end.to_bytes(_END) + _mark(key))

    def end(self, token: str) -> None:
        """End a session, in this process: what others know of is the key alone."""
        if self._seals.open(token) is not None:
            self._left[token] = True

    def key(self, token: str) -> Key | None:
        """The key of a session; None where the session or the key is no more."""
        content = self._seals.open(token)
        if content is None or token in self._left:
            return None
        id_, end, mark = content[:_ID], content[_ID : _ID + _END], content[_ID + _END :]
        key = self._keys.by_id(id_.hex())
        if key is None or int.from_bytes(end) <= self._clock():
            return None
        return key if hmac.compare_digest(mark, _mark(key)) else None


def _mark(key: Key) -> bytes:
    """What only this key has: another one may have its id."""
    return hashlib.sha256(b"kadr session" + key.hash.encode()).digest()[:16]
