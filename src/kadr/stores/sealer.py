"""The key with which a library seals what it writes into its audit log."""

import hashlib
import hmac
import os
from pathlib import Path

_BYTES = 32


class Sealer:
    """Seals texts with a key that lies in a file of its own, readable by its owner alone.

    A seal is HMAC-SHA256 in hex. Whoever doesn't know the key can't make one.
    """

    def __init__(self, path: Path | None) -> None:
        """Name the key's file; None: a key that nobody keeps."""
        self._path = path
        self._key = None if path else os.urandom(_BYTES)

    def seal(self, text: str) -> str:
        """The seal of a text; makes the key where there is none.

        Raises:
            OSError: the key can't be read or written.
        """
        return self._sealed(self._known() or self._make(), text)

    def verify(self, text: object, seal: object) -> bool | None:
        """Whether a seal is that of a text; None where the key isn't there or can't be read."""
        try:
            key = self._known()
        except OSError:
            return None
        if key is None:
            return None
        return hmac.compare_digest(_bytes(self._sealed(key, text)), _bytes(seal))

    def _sealed(self, key: bytes, text: object) -> str:
        return hmac.digest(key, _bytes(text), hashlib.sha256).hex()

    def _known(self) -> bytes | None:
        if self._key is None and self._path is not None:
            try:
                key = self._path.read_bytes()
            except FileNotFoundError:
                return None
            self._key = key if len(key) == _BYTES else None
        return self._key

    def _make(self) -> bytes:
        assert self._path is not None
        key = os.urandom(_BYTES)
        self._path.unlink(missing_ok=True)  # one that is no key
        descriptor = create_private(self._path)
        try:
            os.write(descriptor, key)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._key = key
        return key


def _bytes(text: object) -> bytes:
    """Of whatever a stranger may have put into a column of texts."""
    return str(text).encode("utf-8", "backslashreplace")


def create_private(path: Path) -> int:
    """Make a file that is its owner's alone, whatever the umask; its descriptor.

    Raises:
        OSError: it is there already, or can't be made.
    """
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    if hasattr(os, "fchmod"):
        os.fchmod(descriptor, 0o600)
    return descriptor
