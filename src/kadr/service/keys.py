"""API keys: who may do what. The file holds hashes, so reading it doesn't give the keys away."""

import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from kadr.errors import KadrError
from kadr.photos import files
from kadr.service.config import SCOPES, Scope
from kadr.stores import beside

_KEY = re.compile("kadr_([0-9a-f]{8})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class Key:
    """A key as stored: its public part, owner, scopes, and the SHA-256 of its secret.

    The secret is 256 random bits, so a fast hash is as good as a slow one.
    """

    id: str
    name: str
    scopes: tuple[Scope, ...]
    hash: str
    created: str


def of(library: str | Path) -> Path:
    """The file of a library's keys, by its spec."""
    path = beside(library)
    return path.with_name(path.name + ".keys.json")


def add(path: Path, name: str, scopes: Sequence[Scope]) -> str:
    """Make a key. It is returned this once and never again.

    Raises:
        KadrError: it has no name or no scope, another key has the name, or the file can't be
            written.
    """
    if not name.strip():
        raise KadrError("A key needs a name to distinguish it: --name phone")
    if not scopes:
        raise KadrError(f"A key needs a scope. Choose from: {', '.join(SCOPES)}.")
    public, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    ordered = tuple(scope for scope in SCOPES if scope in scopes)
    with _turn(path):
        known = read(path)
        if any(one.name.casefold() == name.strip().casefold() for one in known):
            raise KadrError(
                f"There is a key named {name.strip()!r}. The record tells people apart by the names"
                " of their keys: choose another, or remove that one first."
            )
        _write(path, [*known, Key(public, name.strip(), ordered, _hash(secret), moment)])
    return f"kadr_{public}_{secret}"


def remove(path: Path, key: str) -> Key:
    """Revoke a key, by its public part or its name.

    Raises:
        KadrError: there is no such key, or more than one has the name.
    """
    with _turn(path):
        known = read(path)
        meant = [one for one in known if key in {one.id, one.name}]
        if len(meant) != 1:
            what = "There is no key" if not meant else "More than one key has the name"
            raise KadrError(f"{what} {key!r}. kadr keys list shows them; name one by its id.")
        _write(path, [one for one in known if one != meant[0]])
    return meant[0]


def read(path: Path) -> list[Key]:
    """All keys; none where there is no file.

    Raises:
        KadrError: the file is broken. Then nobody gets in.
    """
    try:
        return _keys(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise KadrError(f"{path}: the keys can't be read ({error}). Make them anew.") from error


def _keys(rows: Any) -> list[Key]:
    if not isinstance(rows, list):
        raise TypeError("not a list")
    return [_key(row) for row in rows]


def _key(row: dict[str, Any]) -> Key:
    key = Key(**(row | {"scopes": tuple(row["scopes"])}))
    if not set(key.scopes) <= set(SCOPES) or not all(
        isinstance(text, str) for text in (key.id, key.name, key.hash, key.created)
    ):
        raise ValueError(f"{key.id!r} isn't a key")
    return key


class Keyring:
    """The keys of a service. Adding or removing one takes effect at once."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._keys: dict[str, Key] = {}
        self._seen: tuple[int, int, int] | None = None
        self._needed = False

    @property
    def needed(self) -> bool:
        """Whether visitors need a key: once there has been a key file, they always do.

        A file that vanishes or is emptied doesn't open a service that was closed.
        """
        self._current()
        return self._needed

    def find(self, given: str) -> Key | None:
        """The key that a visitor sent, compared in constant time; None where it isn't valid."""
        match = _KEY.fullmatch(given)
        if not match:
            return None
        known = self._current().get(match[1])
        expected = known.hash if known else _hash("")  # takes as long for a key that doesn't exist
        same = hmac.compare_digest(_hash(match[2]), expected)
        return known if same else None

    def by_id(self, id_: str) -> Key | None:
        """The key with this public part; None where it was removed."""
        return self._current().get(id_)

    def _current(self) -> dict[str, Key]:
        if self._path is None:
            return self._keys
        try:
            status = os.stat(self._path)  # noqa: PTH116 - at each request
        except FileNotFoundError:
            self._keys, self._seen = {}, None
            return self._keys
        except OSError as error:
            raise KadrError(f"{self._path}: the keys can't be read ({error}).") from error
        self._needed = True
        seen = (status.st_mtime_ns, status.st_size, status.st_ino)
        if seen != self._seen:
            self._keys, self._seen = {key.id: key for key in read(self._path)}, seen
        return self._keys


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


@contextmanager
def _turn(path: Path) -> Iterator[None]:
    """Only one process changes the keys at a time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(path.name + ".lock"), mode=0o600)
        lock.acquire()
    except OSError as error:
        raise KadrError(
            f"{path}: the keys can't be changed ({error.strerror or error}). "
            "Keep the library in a folder that you may write to."
        ) from error
    try:
        yield
    finally:
        lock.release()


def _write(path: Path, keys: Sequence[Key]) -> None:
    text = json.dumps([asdict(key) for key in keys], indent=1, ensure_ascii=False)
    files.save(path, text.encode() + b"\n", mode=0o600)
