"""Photos whose files lack their last bytes, but hardly any pixels."""

from collections.abc import Callable
from typing import IO

import numpy as np
from PIL import Image

from kadr.photos import jpeg
from kadr.photos.spliced import splice
from kadr.types import PhotoFacts

MISSING = 16
"""Bytes that may be missing in formats that tell their length; a JPEG's end is found by pixels."""
FAR = 32
"""Samples that differ by more show another picture."""
SHARE = 0.02
"""Of the pixels so many may depend on what was missing."""

_JPEG = b"\xff\xd8\xff"
_STARTS = (_JPEG, b"RIFF", b"II", b"MM", b"BM")

Photo = tuple[Image.Image, PhotoFacts]


def mend(file: IO[bytes], read: Callable[[IO[bytes]], Photo]) -> Photo | None:
    """A photo that couldn't be read as it is, read with bytes added at the end.

    It is read twice, with different bytes. Pixels that aren't in the file differ then; where there
    are more than a few of them, the photo isn't whole.

    Args:
        file: as it is.
        read: what reads a file; raises what it likes.

    Returns:
        The photo; None where it can't be read so either.
    """
    file.seek(0)
    head = file.read(12)
    if not (head.startswith(_STARTS) or head[4:8] == b"ftyp"):
        return None
    end = file.seek(0, 2)
    try:
        photo, facts = read(splice(file, [(0, end), *_ending(head, MISSING, 0)]))
        other, _ = read(splice(file, [(0, end), *_ending(head, max(1024, end // 8), 1)]))
    except Exception:  # noqa: BLE001 - the first reading told what is wrong
        return None
    return (photo, facts) if _alike(photo, other) else None


def _ending(head: bytes, length: int, number: int) -> tuple[bytes, ...]:
    """Bytes that may end a file of this beginning."""
    if head.startswith(_JPEG):
        noise = bytes(range(255)) * (length // 255 + 1)
        return (noise * number, jpeg.END)
    return ((b"\0", b"\xaa")[number] * MISSING,)


def _alike(one: Image.Image, other: Image.Image) -> bool:
    if one.size != other.size:
        return False
    far = np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16)).max(axis=2) > FAR
    return float(far.mean()) <= SHARE
