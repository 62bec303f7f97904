"""Where results go is checked before the work begins."""

import os
from pathlib import Path

from kadr.errors import KadrError


def check_file(path: Path | None) -> None:
    """Check that a file can be written there, if one is wanted at all.

    Raises:
        KadrError: it can't.
    """
    if path is None or _is_stream(path):
        return
    if path.is_dir():
        raise KadrError(f"{path} is a folder. Name a file.")
    if path.exists() and not os.access(path, os.W_OK):
        raise KadrError(f"{path}: can't be written (Permission denied). Name another file.")
    check_folder(path.parent)


def check_folder(path: Path | None) -> None:
    """Check that files can be put into a folder, which may have to be made.

    Raises:
        KadrError: they can't.
    """
    if path is None:
        return
    there = next(one for one in (path, *path.absolute().parents) if os.path.lexists(one))
    if not there.is_dir():
        raise KadrError(f"{there} is a file. Name a folder.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise KadrError(f"{path}: nothing can be written there (Permission denied). Name another.")


def _is_stream(path: Path) -> bool:
    """Such as /dev/stdout, or a pipe."""
    return path.exists() and not path.is_file() and not path.is_dir()
