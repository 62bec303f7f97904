"""Bytes to files that are whole: a reader never sees half of one."""

import os
import stat
from pathlib import Path
from uuid import uuid4

from kadr.errors import KadrError

_STREAMS = {"/dev/stdout": 1, "/dev/stderr": 2}


def state(file: Path | int) -> tuple[int, int] | None:
    """Size in bytes and time of change in ns of a file, by its path or descriptor.

    None where there is none, and for what is no file: to open a pipe would wait for ever.
    """
    try:
        status = os.stat(file)  # noqa: PTH116 - of a descriptor too
    except OSError:
        return None
    return (status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None


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
