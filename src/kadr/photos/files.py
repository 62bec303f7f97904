"""Files: their digest and state, and writing that never shows a reader half of one."""

import errno
import hashlib
import os
import stat
import time
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import IO, TypeAlias
from uuid import uuid4

from kadr.errors import KadrError
from kadr.photos import films
from kadr.types import ImageFile, Skipped

State: TypeAlias = tuple[int, int]
"""Size in bytes and time of change in ns."""
SETTLED = 2.0
"""Seconds after a file's last change from which a digest of it may be remembered: until then it may
change once more at what the file system takes for the same moment."""
_STREAMS = {"/dev/stdout": 1, "/dev/stderr": 2}


def state(file: Path | int) -> State | None:
    """Size in bytes and time of change in ns of a file, by its path or descriptor.

    A frame's are its film's. None where there is none, and for what is no file: to open a pipe
    would wait for ever.
    """
    try:
        status = os.stat(films.file_of(file) if isinstance(file, Path) else file)  # noqa: PTH116
    except OSError:
        return None
    return stamp(status) if stat.S_ISREG(status.st_mode) else None


def opened(path: Path) -> IO[bytes]:
    """A stranger's file, to be read; what took its place since it was looked at isn't waited for.

    Raises:
        OSError: it can't be read, or is no file but a pipe, a socket or a device.
    """
    file = open(path, "rb", opener=_at_once)  # noqa: SIM115 - Path.open() takes no opener
    if state(file.fileno()) is None:
        file.close()
        raise OSError(errno.EINVAL, "no file but a pipe, a socket or a device")
    return file


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def identity(file: Path | int) -> tuple[int, ...]:
    """What differs once a file was replaced or written to; nobody can set the time of that.

    Raises:
        OSError: there is no such file.
    """
    status = os.stat(file)  # noqa: PTH116 - of a descriptor too
    return (
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    )  # fmt: skip


def stamp(status: os.stat_result) -> State:
    """Size in bytes and time of change in ns of what was asked for.

    Times before 1677 and after 2262, which no 64 bits of nanoseconds hold, are brought to there.
    """
    return status.st_size, min(max(status.st_mtime_ns, -(2**63)), 2**63 - 1)


def spelled(path: Path) -> Path:
    """A path as it is written on disk, where accents may be signs of their own (NFC or NFD)."""
    if os.path.lexists(path) or str(path).isascii():
        return path
    parent = spelled(path.parent)
    exact = parent / path.name
    if os.path.lexists(exact):
        return exact
    try:
        names = sorted(os.listdir(parent))  # noqa: PTH208
    except OSError:
        return exact
    wanted = unicodedata.normalize("NFC", path.name)
    same = (name for name in names if unicodedata.normalize("NFC", name) == wanted)
    return parent / next(same, path.name)


def digest(source: Path | IO[bytes] | bytes) -> str:
    """SHA-256 of a file, named or open, or of what one holds: 64 hexadecimal digits.

    Of a frame's path: the frame's digest, which its film has to be read for.

    Raises:
        OSError: the file can't be read.
    """
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    if isinstance(source, Path):
        frame = films.frame(source)
        if frame is not None:
            return films.digest(film_digest(frame.film), frame.at)
        with source.open("rb") as file:
            return digest(file)
    return hashlib.file_digest(source, "sha256").hexdigest()  # type: ignore[arg-type]


def film_digest(film: Path) -> str:
    """SHA-256 of a film; each state of one is read once, for it is large and has many frames.

    Raises:
        OSError: it can't be read.
    """
    state = identity(film)
    if time.time() - state[-1] / 1e9 < SETTLED:
        return digest(film)
    return _film_digest(film, state)


@lru_cache(maxsize=256)
def _film_digest(film: Path, _state: tuple[int, ...]) -> str:
    return digest(film)


def identify(path: Path, root: Path) -> ImageFile | Skipped:
    """The file's id (its path below `root`) and SHA-256 digest, or why it can't be read."""
    try:
        if not stat.S_ISREG(films.file_of(path).stat().st_mode):  # a pipe would wait for ever
            return Skipped(path, "not a file")
        return ImageFile(path.relative_to(root).as_posix(), digest(path), path)
    except OSError as error:
        return Skipped(path, f"can't be read: {error.strerror or error}")


def lies_below(folder: Path, path: Path) -> bool:
    """Whether a path leads to a place below a folder, once every `..` and link is followed."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # a NUL, a loop of links
        return False


def is_plain(path: Path, folder: Path) -> bool:
    """Whether a path is a file below a folder, or a folder of such files, and nothing is a link."""
    try:
        if path.is_symlink() or not lies_below(folder, path):
            return False
        if path.is_dir():
            return path.resolve() != folder.resolve() and all(
                is_plain(below, folder) for below in path.iterdir()
            )
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def save(path: Path, data: bytes, mode: int = 0o666) -> Path:
    """Put the bytes beside `path`, then in its place: a reader never sees half a file.

    A folder that is missing is made. The file gets `mode`, less what the umask forbids. What is no
    file, such as a pipe or /dev/stdout, is written to and never replaced.

    Raises:
        KadrError: nothing can be written there.
    """
    try:
        if str(path) in _STREAMS:
            _write_stream(_STREAMS[str(path)], data)
        elif path.exists() and not path.is_file():
            path.write_bytes(data)
        else:
            _replace(path, data, mode)
    except OSError as error:
        raise KadrError(
            f"{path}: can't be written ({error.strerror or error}). "
            "Name a file in a folder that you may write to."
        ) from error
    return path


def _replace(path: Path, data: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".kadr-{uuid4().hex}.part")
    try:
        with open(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "wb") as file:  # noqa: PTH123 - with a mode
            file.write(data)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _write_stream(descriptor: int, data: bytes) -> None:
    """Go on where the stream is: opened by its name, a redirected one would start over."""
    with open(os.dup(descriptor), "wb") as stream:  # noqa: PTH123 - it has no path
        stream.write(data)
