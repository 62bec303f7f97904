"""Photos decoded safely, whatever their bytes are."""

import io
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, Lock
from typing import IO

from PIL import Image, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from kadr.errors import ImageError
from kadr.photos import colours, endings, exif, facts, formats, frames, jpeg, pixels
from kadr.photos.spliced import SMALL
from kadr.types import PhotoFacts

MAX_PIXELS = 2**28
"""A photo with more pixels than this is refused before its pixels are read (268 MP: 1.1 GB)."""

MAX_DRAFTED_PIXELS = 2**30
"""As many may a JPEG have that isn't progressive: it is decoded at a reduced size."""

MAX_COPIED_PIXELS = 178_956_970
"""As many may a photo have in a format whose decoder holds several copies."""

MAX_BYTES = 2**30
"""A larger file is refused unread; some decoders read the whole file into memory."""

SCANS = 20
"""A progressive JPEG may make a decoder go over so many times `MAX_PIXELS` pixels, no more."""

# Pillow's memory comes in blocks; glibc gives those over 32 MiB back as soon as they are free, and
# keeps a thread's smaller ones: several threads would each go on holding a giant.
Image.core.set_block_size(2**26)  # type: ignore[attr-defined]

_COPIED = frozenset({"WEBP", "AVIF", "HEIF", "RAW"})

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What sets upright what was stored in each EXIF orientation."""


def decode(path: Path, size: int) -> Image.Image:
    """The photo as RGB, upright, no smaller than `size` pixels a side where the file allows it.

    JPEGs are decoded at a reduced size where that loses nothing, and whatever has more than
    `pixels.REDUCED_PIXELS` is reduced before its colours are converted. Transparency becomes white,
    16-bit samples become 8-bit, the first frame of an animation that shows something is taken, and
    colours are in sRGB.

    Threads may decode at the same time: those whose photos together have more than `MAX_PIXELS`
    wait for one another.

    Raises:
        ImageError: the file is missing, empty, truncated, too large or no photo.
    """
    return read(path, size)[0]


def read(
    source: Path | bytes, size: int, most_pixels: int | None = None, name: str = ""
) -> tuple[Image.Image, PhotoFacts]:
    """The photo as `decode` gives it, and what its file says of it.

    Args:
        source: a file, or what one holds.
        size: as for `decode`.
        most_pixels: a photo with more is refused; None: MAX_PIXELS, and more where little is held.
        name: of the file that the bytes are of, which may hold a date.

    Raises:
        ImageError: as for `decode`; broken facts are None and no error.
    """
    formats.silence_decoders()
    task = _Task(size, most_pixels, name if isinstance(source, bytes) else source.name)
    try:
        return _read_or_mend(source, task)
    except ImageError:
        raise
    except Exception as error:  # a hostile file makes a decoder raise anything
        raise ImageError(f"not a readable photo ({_reason(error)})") from error


@dataclass(frozen=True, slots=True)
class _Task:
    """How a file is to be read: see `read`; `name` is the file's."""

    size: int
    most_pixels: int | None
    name: str


def _read_or_mend(source: Path | bytes, task: _Task) -> tuple[Image.Image, PhotoFacts]:
    """The photo, in spite of some missing bytes at its end."""
    try:
        with _open(source) as file:
            return _read(file, task)
    except ImageError:
        raise
    except Exception:
        with _open(source) as file:
            mended = endings.mend(file, lambda padded: _read(padded, task))
        if mended is None:
            raise
        return mended


def _read(file: IO[bytes], task: _Task) -> tuple[Image.Image, PhotoFacts]:
    image, metadata = formats.open_image(file)
    try:
        _check_work(image, task.most_pixels)
        stored = image.size
        with _pixels_in_work.take(_draft(image, task.size)):
            image.load()
            if not isinstance(image, JpegImageFile):
                stored = image.size  # only a TIFF's or a HEIC's pixels tell which way they lie
            stored = metadata.size or stored
            tags = exif.read(image)
            frames.seek_shown(image, MAX_PIXELS)
            profile = metadata.icc or (colours.adobe_rgb() if exif.is_adobe_rgb(tags) else b"")
            photo = pixels.to_rgb(image, task.size, profile)
            orientation = exif.orientation(tags)
            if orientation in _UPRIGHT:
                photo = photo.transpose(_UPRIGHT[orientation])
                stored = stored if orientation < 5 else stored[::-1]
            kind = formats.KINDS[image.format or ""]
            return photo, facts.read(tags, metadata, kind, stored, name=task.name)
    finally:
        image.close()  # its pixels go before another's come


class _PixelsInWork:
    """How many pixels all threads together may decode; whoever asks first is served first."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.free = total
        self.turn = Lock()
        self.changed = Condition()

    @contextmanager
    def take(self, pixels: int) -> Iterator[None]:
        taken = min(pixels, self.total)
        with self.turn, self.changed:
            self.changed.wait_for(lambda: self.free >= taken)
            self.free -= taken
        try:
            yield
        finally:
            with self.changed:
                self.free += taken
                self.changed.notify()


_pixels_in_work = _PixelsInWork(MAX_PIXELS)


def _open(source: Path | bytes) -> IO[bytes]:
    if isinstance(source, bytes):
        if not source:
            raise ImageError("not a readable photo (the file is empty)")
        return io.BytesIO(source)
    status = source.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ImageError("not a readable photo (not a file)")
    if not status.st_size:
        raise ImageError("not a readable photo (the file is empty)")
    if status.st_size > MAX_BYTES:
        raise ImageError(f"{status.st_size / 1e9:.1f} GB are more than are read")
    if status.st_size <= SMALL:
        return io.BytesIO(source.read_bytes())
    return source.open("rb")


def _check_work(image: Image.Image, most_pixels: int | None) -> None:
    """Refuses what would take too much memory or too long."""
    area = image.width * image.height
    most = MAX_PIXELS if most_pixels is None else most_pixels
    passes = jpeg.scans(image) if isinstance(image, JpegImageFile) else 1
    if isinstance(image, JpegImageFile) and passes == 1 and most_pixels is None:
        most = MAX_DRAFTED_PIXELS
    elif image.format in _COPIED:
        most = min(most, MAX_COPIED_PIXELS)
    if area > most:
        raise ImageError(f"{image.width}x{image.height} pixels are more than are read ({most:,})")
    if passes * area > SCANS * most:
        raise ImageError(f"{image.width}x{image.height} pixels in {passes} scans are too many")


def _draft(image: Image.Image, size: int) -> int:
    """Has a JPEG decoded small where it may be; the pixels that the decoder will hold at most."""
    whole = image.width * image.height
    if isinstance(image, JpegImageFile):  # a HEIC's draft is a thumbnail, which may show anything
        image.draft("RGB", (size, size))
        return whole if image.info.get("progressive") else image.width * image.height
    copies = 2 if image.format in _COPIED else 1
    return whole * copies


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError | SyntaxError):
        return "its bytes are no photo, or damaged at the start"
    if isinstance(error, Image.DecompressionBombError):
        return "more pixels than are read"
    if isinstance(error, MemoryError):
        return "not enough memory for its pixels"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).splitlines()[0][:120] if str(error).strip() else type(error).__name__
