"""A repository of the model hub at one commit: what it holds, and its files, downloaded whole.

Sizes and digests are asked for first. Each file is written beside its place, goes on where it was
stopped, and takes its place once its digest is right. huggingface_hub isn't used: it begins a
stopped download anew, leaves orphans, and doesn't notice a damaged file in its cache. Its settings
hold: HF_ENDPOINT, HF_TOKEN, HF_HOME, HF_HUB_OFFLINE, and the proxies that HTTP clients heed.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote

from kadr.errors import KadrError
from kadr.photos import files

if TYPE_CHECKING:
    import httpx

OnProgress: TypeAlias = Callable[[str, int, int], None]
"""Called with a file's path, and its bytes done and in all."""

ENDPOINT = "https://huggingface.co"
PATIENCE = 20
"""Seconds that the hub may be silent."""
TRIES = 5
"""Connections in a row that bring nothing."""
MOST_LISTING = 16 * 2**20
MOST_FILES = 20_000
MOST_BYTES = 64 * 2**30
"""Of one file. The largest tower that Immich hands out has 5 GB."""
_BLOCK = 2**20
REPOSITORY = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}")
_TRUE = {"1", "ON", "YES", "TRUE"}


@dataclass(frozen=True)
class RemoteFile:
    """A file of a snapshot. The hub knows the SHA-256 of large files, and of others git's SHA-1."""

    size: int
    sha256: str | None
    git_sha1: str | None


@dataclass(frozen=True)
class Snapshot:
    """A repository at one commit."""

    repository: str
    revision: str
    files: Mapping[str, RemoteFile]


def find(repository: str, revision: str = "main") -> Snapshot:
    """What the hub has there now.

    Raises:
        KadrError: no network, no such repository, or no right to it.
    """
    if not REPOSITORY.fullmatch(repository) or ".." in repository:
        raise KadrError(f"{repository!r} is no name of a repository. Such are OWNER/NAME.")
    path = f"/api/models/{repository}/revision/{quote(revision, safe='')}?blobs=true"
    with (
        _client() as client,
        _explained(repository),
        client.stream("GET", _endpoint() + path) as answer,
    ):
        _check(answer, repository)
        body = b"".join(_bounded(answer, MOST_LISTING, f"{repository}: the list of files"))
    return _snapshot(repository, body)


def download(
    snapshot: Snapshot, path: str, folder: Path, on_progress: OnProgress | None = None
) -> str:
    """Bring one file into a folder, unless it is there already; its SHA-256.

    A download that was stopped goes on where it was. A file is there whole or not at all.

    Raises:
        KadrError: no network, or other bytes than the hub's own digest says.
    """
    remote, target = snapshot.files[path], folder / path
    if files.state(target) is not None:
        there = _digest_if_sound(target, remote)
        if there is not None:
            return there
        target.unlink()
    partial = target.with_name(f"{target.name}.{_mark(snapshot, path)}.part")
    partial.parent.mkdir(parents=True, exist_ok=True)
    report = on_progress or (lambda *_: None)
    with _client() as client, _explained(snapshot.repository):
        _fetch(client, snapshot, path, partial, report)
    digest = _digest_if_sound(partial, remote)
    if digest is None:
        partial.unlink()
        raise KadrError(
            f"{snapshot.repository}/{path}: other bytes than the hub's digest says. What came was "
            "thrown away; run it again."
        )
    partial.replace(target)
    return digest


def _fetch(
    client: "httpx.Client", snapshot: Snapshot, path: str, partial: Path, report: OnProgress
) -> None:
    import httpx

    size = snapshot.files[path].size
    url = f"{_endpoint()}/{snapshot.repository}/resolve/{snapshot.revision}/{quote(path)}"
    failures = 0
    with partial.open("ab") as file:
        furthest = file.tell()  # a hub that begins anew each time may never end
        while file.tell() < size or size == 0:
            try:
                _append(client, url, file, (snapshot.repository, path, size), report)
            except httpx.TransportError:
                failures = 0 if file.tell() > furthest else failures + 1
                if failures >= TRIES:
                    raise
            else:
                failures = 0 if file.tell() > furthest else failures + 1
            furthest = max(furthest, file.tell())
            if size == 0:
                break
            if failures >= TRIES:
                raise KadrError(f"{snapshot.repository}/{path}: the hub ends it too early.")


def _append(
    client: "httpx.Client",
    url: str,
    file: IO[bytes],
    what: tuple[str, str, int],
    report: OnProgress,
) -> None:
    repository, path, size = what
    start = file.tell()
    wanted = {"Range": f"bytes={start}-"} if start else {}
    with client.stream("GET", url, headers=wanted) as answer:
        _check(answer, repository)
        if start and not _continues(answer, start):
            file.seek(0)
            file.truncate()
        for block in _bounded(answer, size - file.tell(), f"{repository}/{path}"):
            file.write(block)
            report(path, file.tell(), size)
        file.flush()


def _continues(answer: "httpx.Response", start: int) -> bool:
    ranged = answer.headers.get("content-range", "")
    return answer.status_code == 206 and ranged.startswith(f"bytes {start}-")


def _bounded(answer: "httpx.Response", most: int, what: str) -> Iterator[bytes]:
    """An answer's bytes, of which there may be so many."""
    left, encoding = most, answer.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":  # a few bytes of it can be gigabytes
        raise KadrError(
            f"{what}: the hub sends it encoded ({encoding[:40]}), which nobody asked for."
        )
    for block in answer.iter_raw():  # larger blocks would be lost where the connection breaks
        left -= len(block)
        if left < 0:
            raise KadrError(f"{what} is longer than the hub said. Try it again, or another mirror.")
        yield block


def _digest_if_sound(path: Path, remote: RemoteFile) -> str | None:
    """The SHA-256 of a file that is what the hub has; None where it isn't."""
    sha256, sha1 = hashlib.sha256(), hashlib.sha1(f"blob {remote.size}\0".encode())  # noqa: S324 - git's own
    if path.stat().st_size != remote.size:
        return None
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            sha256.update(block)
            if remote.sha256 is None:
                sha1.update(block)
    found = sha256.hexdigest()
    if remote.sha256 is not None:
        return found if found == remote.sha256 else None
    return found if remote.git_sha1 in {None, sha1.hexdigest()} else None


def _mark(snapshot: Snapshot, path: str) -> str:
    """Tells a partial file of these bytes from one of others."""
    remote = snapshot.files[path]
    known = remote.sha256 or remote.git_sha1 or snapshot.revision
    return hashlib.sha256(f"{known} {remote.size}".encode()).hexdigest()[:12]


def _snapshot(repository: str, body: bytes) -> Snapshot:
    try:
        described = json.loads(body)
        revision, siblings = described["sha"], described["siblings"]
        if not re.fullmatch(r"[0-9a-f]{40,64}", revision) or len(siblings) > MOST_FILES:
            raise ValueError("no commit, or too many files")  # noqa: TRY301 - one answer for all
        found = {one["rfilename"]: _remote(one) for one in siblings if _is_inner(one["rfilename"])}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise KadrError(f"{repository}: the hub's list of files can't be read.") from error
    return Snapshot(repository, revision, found)


def _remote(one: Mapping[str, Any]) -> RemoteFile:
    large = one.get("lfs") or {}
    size = large.get("size", one.get("size"))
    if not isinstance(size, int) or not 0 <= size <= MOST_BYTES:
        raise ValueError("a file without a size")
    sha256, sha1 = large.get("sha256"), one.get("blobId") if not large else None
    for digest, length in ((sha256, 64), (sha1, 40)):
        if digest is not None and not re.fullmatch(f"[0-9a-f]{{{length}}}", digest):
            raise ValueError("a digest that is none")
    return RemoteFile(size, sha256, sha1)


def _is_inner(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith("/") and not {"..", "\\", "\0"} & {*parts, *path}


def _client() -> "httpx.Client":
    import httpx

    if os.environ.get("HF_HUB_OFFLINE", "").upper() in _TRUE:
        raise KadrError("HF_HUB_OFFLINE is set, so nothing is downloaded. Unset it to go online.")
    headers = {"User-Agent": "kadr", "Accept-Encoding": "identity"}
    if token := _token():
        headers["Authorization"] = f"Bearer {token}"
    return httpx.Client(headers=headers, timeout=PATIENCE, follow_redirects=True)


def _endpoint() -> str:
    return (os.environ.get("HF_ENDPOINT") or ENDPOINT).rstrip("/")


def _token() -> str | None:
    """What `hf auth login` left, or HF_TOKEN."""
    if named := os.environ.get("HF_TOKEN", "").strip():
        return _checked_token(named)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    home = Path(os.environ.get("HF_HOME") or Path(cache, "huggingface"))
    path = Path(os.environ.get("HF_TOKEN_PATH") or home / "token").expanduser()
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return _checked_token(token) if token else None


def _checked_token(token: str) -> str:
    """A token that a header can hold; else the HTTP client's error would tell it."""
    if not (token.isascii() and token.isprintable()):
        raise KadrError("HF_TOKEN, or the hub's token file, holds what is no token. Set it anew.")
    return token


def _check(answer: "httpx.Response", repository: str) -> None:
    if answer.status_code in {401, 403, 404}:
        raise KadrError(
            f"{repository}: the hub has no such thing, or not for everyone (HTTP "
            f"{answer.status_code}). Check the name; a private one needs HF_TOKEN."
        )
    if answer.status_code not in {200, 206}:
        raise KadrError(
            f"{repository}: the hub answers HTTP {answer.status_code}. Try again later."
        )


@contextmanager
def _explained(repository: str) -> Iterator[None]:
    import httpx

    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise KadrError(
            f"{repository}: the model hub can't be reached at {_endpoint()} ({reason}). What came "
            "is kept; go online and run it again."
        ) from error
    except OSError as error:
        raise KadrError(f"{repository}: can't be stored ({error.strerror or error}).") from error
