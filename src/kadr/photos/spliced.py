"""A file made of parts of another one, without copying them."""

import io
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import IO, TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Part: TypeAlias = bytes | tuple[int, int]
"""Bytes themselves, or the start and end of a range of the other file."""

SMALL = 2**24
"""Bytes of a file that is put together in memory."""


def splice(source: IO[bytes], parts: Sequence[Part]) -> IO[bytes]:
    """Parts of a file and bytes between them, read as one file.

    In memory where it is small: that is read several times as fast.
    """
    if sum(map(_length, parts)) <= SMALL:
        return io.BytesIO(b"".join(_bytes(source, part) for part in parts))
    return io.BufferedReader(_Spliced(source, parts), 2**16)


class _Spliced(io.RawIOBase):
    """See `splice`."""

    def __init__(self, source: IO[bytes], parts: Sequence[Part]) -> None:
        self._source = source
        self._parts = [part for part in parts if _length(part)]
        self._ends = list(accumulate(map(_length, self._parts)))
        self._place = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """Where the next byte is read."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go elsewhere."""
        size = self._ends[-1] if self._ends else 0
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: size}[whence]
        self._place = max(0, origin + offset)
        return self._place

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Bytes from the present place on, at least one except at the end."""
        view = memoryview(buffer)
        number = bisect_right(self._ends, self._place)
        if number == len(self._parts):
            return 0
        part = self._parts[number]
        inside = self._place - (self._ends[number] - _length(part))
        if isinstance(part, bytes):
            piece = part[inside : inside + len(view)]
        else:
            self._source.seek(part[0] + inside)
            piece = self._source.read(min(len(view), part[1] - part[0] - inside))
        view[: len(piece)] = piece
        self._place += len(piece)
        return len(piece)


def _bytes(source: IO[bytes], part: Part) -> bytes:
    if isinstance(part, bytes):
        return part
    source.seek(part[0])
    return source.read(part[1] - part[0])


def _length(part: Part) -> int:
    return len(part) if isinstance(part, bytes) else part[1] - part[0]
