"""GIF (89a): its comments and XMP, wherever they stand among the frames."""

from collections.abc import Iterator
from typing import IO

from kadr.photos.metadata import LIMIT, Metadata

MOST_BLOCKS = 100_000
"""Blocks and pieces of blocks that are looked at."""
_EXTENSION, _IMAGE = 0x21, 0x2C
_COMMENT, _APPLICATION = 0xFE, 0xFF
_XMP = b"XMP DataXMP"
_TRAILER = b"\x01\xff\xfe\xfd\xfc"
"""Follows XMP, which isn't cut into pieces: by what begins so, readers of pieces find the end."""


class _EndError(Exception):
    """The file ends within a block, or there is more than is read."""


def read(file: IO[bytes]) -> Metadata:
    """What blocks say of a GIF."""
    comments: list[bytes | str] = []
    packets: list[bytes] = []
    complete = True
    try:
        for label, pieces in _Blocks(file).extensions():
            if label == _COMMENT:
                comments.append(b"".join(pieces))
            elif label == _APPLICATION and pieces[:1] == [_XMP]:
                packets.append(_packet(pieces[1:]))
    except _EndError:
        complete = False
    return Metadata(xmp=tuple(packets), comments=tuple(comments), complete=complete)


def _packet(pieces: list[bytes]) -> bytes:
    """XMP as it was before a reader of pieces took the byte before each for its length."""
    whole = b"".join(bytes([len(piece)]) + piece for piece in pieces)
    return whole.rpartition(_TRAILER)[0] or whole


class _Blocks:
    """Goes through a file, block by block."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._left = LIMIT
        self._blocks = MOST_BLOCKS

    def extensions(self) -> Iterator[tuple[int, list[bytes]]]:
        """Label and pieces of each extension with words."""
        self._file.seek(6)
        screen = self._take(7)
        self._skip_colours(screen[4])
        while (block := self._file.read(1)) and block[0] in {_EXTENSION, _IMAGE}:
            if block[0] == _IMAGE:
                self._skip_colours(self._take(9)[8])
                self._take(1)
                self._skip_pieces()
                continue
            label = self._take(1)[0]
            if label in {_COMMENT, _APPLICATION}:
                yield label, self._pieces()
            else:
                self._skip_pieces()

    def _skip_colours(self, flags: int) -> None:
        if flags & 0x80:
            self._take(3 * 2 ** ((flags & 7) + 1))

    def _pieces(self) -> list[bytes]:
        pieces = []
        while size := self._take(1)[0]:
            self._left -= size
            self._count()
            pieces.append(self._take(size))
        return pieces

    def _skip_pieces(self) -> None:
        while size := self._file.read(1):
            if not size[0]:
                return
            self._file.seek(size[0], 1)

    def _count(self) -> None:
        self._blocks -= 1
        if self._left < 0 or self._blocks < 0:
            raise _EndError

    def _take(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) < size:
            raise _EndError
        return data
