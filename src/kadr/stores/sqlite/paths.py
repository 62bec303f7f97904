"""Paths as the file keeps them: in the file system's bytes."""

import os
from pathlib import Path


def path_of(raw: bytes) -> Path:
    """A path from its bytes."""
    return Path(os.fsdecode(raw))


def below(folder: Path) -> tuple[bytes, bytes]:
    """All paths below a folder are >= the first and < the second."""
    start = os.fsencode(folder).rstrip(os.sep.encode()) + os.sep.encode()
    return start, start[:-1] + bytes([start[-1] + 1])
