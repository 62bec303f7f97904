"""Sessions of the page: a browser's cookie is a random token that stands for a key, never the key.

They live in memory: when the service starts anew, the page asks for the key again.
"""

import secrets

from cachetools import TTLCache

from kadr.service.keys import Key, Keyring

DAYS = 30
KEPT = 10_000
"""Sessions that are remembered; the oldest are forgotten first."""


class Sessions:
    """The sessions of a service. Removing a key ends those that it began."""

    def __init__(self, keys: Keyring) -> None:
        self._keys = keys
        self._begun: TTLCache[str, Key] = TTLCache(KEPT, DAYS * 86400)

    def begin(self, key: Key) -> str:
        """The token of a new session."""
        token = secrets.token_urlsafe(32)
        self._begun[token] = key
        return token

    def end(self, token: str) -> None:
        """Forget a session, if there is one."""
        self._begun.pop(token, None)

    def key(self, token: str) -> Key | None:
        """The key of a session; None where the session or the key is no more."""
        key = self._begun.get(token)
        return None if key is None else self._keys.still(key)
