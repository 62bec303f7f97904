"""Photos on disk: scan a folder, hash a file, decode it safely. No models."""

import ctypes
import hashlib
import io
import logging
import math
import os
import re
import stat
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from threading import Condition, Lock
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.AvifImagePlugin import AvifImageFile
from PIL.JpegImagePlugin import JpegImageFile

from kadr.errors import DataError, ImageError
from kadr.photos import facts
from kadr.types import ImageFile, PhotoFacts, Skipped

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".tif", ".tiff"}
    | {".bmp", ".avif", ".heic", ".heif", ".hif"}
)
MAX_PIXELS = 178_956_970
"""A photo with more pixels than this is refused before its pixels are read (about 179 MP)."""

MAX_BYTES = 2**30
"""A larger file is refused unread; some decoders read the whole file into memory."""

KEPT_PIXELS = 20_000_000
"""A photo that is decoded to more pixels than this is reduced before it is handed on."""

SCANS = 20
"""A progressive JPEG may make a decoder go over so many times `MAX_PIXELS` pixels, no more."""

_BAND = 2**22
"""Pixels that change their mode at a time, so that a giant isn't held in three modes at once."""

# Pillow's memory comes in blocks; glibc gives those over 32 MiB back as soon as they are free, and
# keeps a thread's smaller ones: several threads would each go on holding a giant.
Image.core.set_block_size(2**26)  # type: ignore[attr-defined]

# Where nobody asks for Pillow's log, Python writes its errors to stderr.
logging.getLogger("PIL").addHandler(logging.NullHandler())

_KINDS = {
    "JPEG": "jpeg",
    "PNG": "png",
    "WEBP": "webp",
    "GIF": "gif",
    "TIFF": "tiff",
    "BMP": "bmp",
    "AVIF": "avif",
    "HEIF": "heic",
}
"""The names of Pillow's formats. No other format is tried: some start other programs."""

_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)

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


def scan(folder: Path, on_unreadable: Callable[[Path, str], None] | None = None) -> Iterator[Path]:
    """Paths of the photos below a folder, in a stable order.

    Hidden files and folders are passed over, links to folders are not followed, so that a loop
    of links ends. `on_unreadable` is told of each subfolder that can't be listed, and why.

    Raises:
        DataError: the folder doesn't exist or can't be read.
    """
    if not os.path.isdir(folder):  # noqa: PTH112 - Path.is_dir() raises where a parent is shut
        raise DataError(f"{folder}: no such folder. Name a folder that holds photos.")
    waiting = [os.fspath(folder)]  # os.walk() recurses, and fails 1,000 folders deep
    while waiting:
        parent = waiting.pop()
        try:
            with os.scandir(parent) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            reason = error.strerror or str(error)
            if parent == os.fspath(folder):
                hint = "Check its permissions."
                raise DataError(f"{folder}: can't be read ({reason}). {hint}") from error
            if on_unreadable is not None:
                on_unreadable(Path(parent), reason)
            continue
        seen = [entry for entry in entries if not entry.name.startswith(".")]
        yield from (Path(entry.path) for entry in seen if _may_be_photo(entry))
        waiting += [entry.path for entry in reversed(seen) if _is_folder(entry)]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:  # on file systems that have to be asked once more
        return False


def _may_be_photo(entry: os.DirEntry[str]) -> bool:
    suffix = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122
    return suffix in SUFFIXES and not os.path.isdir(entry.path)  # noqa: PTH112


def identify(path: Path, root: Path) -> ImageFile | Skipped:
    """The file's id (its path below `root`) and SHA-256 digest, or why it can't be read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
            return Skipped(path, "not a file")
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return Skipped(path, f"can't be read: {error.strerror or error}")
    return ImageFile(path.relative_to(root).as_posix(), digest, path)


def decode(path: Path, size: int) -> Image.Image:
    """The photo as RGB, upright, no smaller than `size` pixels a side where the file allows it.

    JPEGs are decoded at a reduced size where that loses nothing, and whatever has more than
    `KEPT_PIXELS` is reduced. Transparency becomes white, 16-bit samples become 8-bit, the first
    frame of an animation is taken. Threads may decode at the same time: those whose photos
    together have more than `MAX_PIXELS` wait for one another.

    Raises:
        ImageError: the file is missing, empty, truncated, too large or no photo.
    """
    return read(path, size)[0]


def read(
    source: Path | bytes, size: int, most_pixels: int | None = None
) -> tuple[Image.Image, PhotoFacts]:
    """The photo as `decode` gives it, and what its file says of it.

    Args:
        source: a file, or what one holds.
        size: as for `decode`.
        most_pixels: a photo with more is refused; None: MAX_PIXELS.

    Raises:
        ImageError: as for `decode`; broken facts are None and no error.
    """
    _hush_decoders()
    try:
        with ExitStack() as work, _open(source) as file:
            return _read(file, size, work, MAX_PIXELS if most_pixels is None else most_pixels)
    except ImageError:
        raise
    except Exception as error:  # a hostile file makes a decoder raise anything
        raise ImageError(f"not a readable photo ({_reason(error)})") from error


def _read(
    file: IO[bytes], size: int, work: ExitStack, most_pixels: int
) -> tuple[Image.Image, PhotoFacts]:
    image = _identified(file)
    try:
        _check_work(image, most_pixels)
        stored = image.size
        work.enter_context(_pixels_in_work.take(_draft(image, size)))
        image.load()
        if not isinstance(image, JpegImageFile):
            stored = image.size  # only a TIFF's or a HEIC's pixels tell which way they lie
        kind, tags, texts = _KINDS[image.format or ""], facts.exif(image), facts.texts(image)
        orientation = facts.orientation(tags)
        photo = _rgb(image, size)
        if orientation not in _UPRIGHT:
            return photo, facts.read(tags, kind, stored, texts)
        upright = stored if orientation < 5 else stored[::-1]
        return photo.transpose(_UPRIGHT[orientation]), facts.read(tags, kind, upright, texts)
    finally:
        image.close()  # its pixels go before another's come


def perceptual_hash(image: Image.Image) -> int:
    """64 bits that stay nearly the same where a photo is resized, recompressed or retouched.

    The pHash of N. Krawetz ("Looks Like It", 2011): signs of low frequencies about their median.
    Compare two by the number of bits in which they differ, 0 to 64.
    """
    import imagehash  # brings scipy.fftpack

    small = image.reduce(max(1, min(image.size) // 128))  # imagehash reduces a large photo slowly
    return int(str(imagehash.phash(small)), 16)


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


class _AvifFile(AvifImageFile):
    """Pillow's, but for this: it refuses a photo for its broken EXIF."""

    def _open(self) -> None:
        assert self.fp is not None
        try:
            super()._open()
        except Exception:
            self.fp.seek(0)
            content = self.fp.read()
            if b"Exif" not in content:
                raise
            # An item of a kind that nobody knows is passed over (ISO/IEC 14496-12, 8.11.6).
            self.fp = io.BytesIO(content.replace(b"Exif", b"none"))
            super()._open()


_DECODERS = re.compile(r"PIL\.|pillow_heif")


def _hush_decoders() -> None:
    """Pillow warns of what is refused or read here all the same; `-W error` would refuse more.

    A filter, and not warnings.catch_warnings(), because that isn't made for threads.
    """
    if not warnings.filters or warnings.filters[0] != ("ignore", None, Warning, _DECODERS, 0):
        warnings.filterwarnings("ignore", module=_DECODERS.pattern)


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
    return source.open("rb")


def _identified(file: IO[bytes]) -> Image.Image:
    """The photo by its first bytes, before its pixels are read; its name may say anything."""
    head = file.read(256)
    file.seek(0)
    brands = _brands(head)
    if head.startswith(b"\xff\xd8\xff"):
        return JpegImageFile(file)  # of the pictures in an MPO the first
    if brands & _AVIF_BRANDS:
        return _AvifFile(file)
    if brands & _HEIF_BRANDS:
        from pillow_heif import HeifImageFile

        return HeifImageFile(file)  # type: ignore[no-untyped-call]
    _load_plugins()
    return Image.open(file, formats=["PNG", "GIF", "BMP", "WEBP", "TIFF"])


@cache
def _load_plugins() -> None:
    """Those of Pillow that it doesn't load by itself; without them it would load all of its own."""
    from PIL import TiffImagePlugin, WebPImagePlugin  # noqa: F401 - they register themselves

    with suppress(OSError, AttributeError):  # not every build of Pillow lets one reach libtiff
        libtiff = ctypes.CDLL(Image.core.__file__)  # type: ignore[attr-defined]
        libtiff.TIFFSetErrorHandler(None)  # or it writes what is wrong with a file to stderr
        libtiff.TIFFSetWarningHandler(None)


def _brands(head: bytes) -> set[bytes]:
    """What a file of the MP4 family says it can be read as; ISO/IEC 14496-12, 4.3."""
    if head[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(head[:4]), len(head))
    return {head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))}


def _check_work(image: Image.Image, most_pixels: int) -> None:
    """Refuses what would take too much memory or too long."""
    pixels = image.width * image.height
    if pixels > most_pixels:
        raise ImageError(f"{image.width}x{image.height} pixels are more than are read")
    scans = _scans(image)
    if scans * pixels > SCANS * most_pixels:
        raise ImageError(f"{image.width}x{image.height} pixels in {scans} scans are too many")


def _scans(image: Image.Image) -> int:
    """How often a progressive JPEG is gone over, at most; 1 for all else."""
    if not (isinstance(image, JpegImageFile) and image.info.get("progressive")):
        return 1
    assert image.fp is not None
    start = image.fp.tell()
    image.fp.seek(0)
    scans = image.fp.read().count(b"\xff\xda")
    image.fp.seek(start)
    return scans


def _draft(image: Image.Image, size: int) -> int:
    """Has a JPEG decoded small where it may be; the pixels that the decoder will hold at most."""
    whole = image.width * image.height
    if isinstance(image, JpegImageFile):  # not a HEIC, whose draft is a thumbnail of anything
        image.draft("RGB", (size, size))
        return whole if image.info.get("progressive") else image.width * image.height
    copies = 2 if image.format in {"WEBP", "AVIF", "HEIF"} else 1
    return whole * copies


def _rgb(image: Image.Image, size: int) -> Image.Image:
    """Any mode to 8-bit RGB, and a giant to a smaller photo."""
    factor = _reduction(image, size)
    if factor == 1 and image.mode == "RGB" and not image.has_transparency_data:
        return image.copy()  # a photo that holds neither its file nor its decoder
    white = _white(image)
    canvas = Image.new("RGB", (-(-image.width // factor), -(-image.height // factor)))
    for top, band in _bands(image, factor):
        part = _flatten(band, white)
        canvas.paste(part.reduce(factor) if factor > 1 else part, (0, top // factor))
    return canvas


def _reduction(image: Image.Image, size: int) -> int:
    """By how much a giant's sides are divided: twice `size` is left, or `KEPT_PIXELS`."""
    pixels = image.width * image.height
    if pixels <= KEPT_PIXELS:
        return 1
    return max(math.ceil(math.sqrt(pixels / KEPT_PIXELS)), min(image.size) // (2 * size))


def _bands(image: Image.Image, factor: int) -> Iterator[tuple[int, Image.Image]]:
    """The image from top to bottom in parts, each a multiple of `factor` high but the last."""
    rows = factor * max(1, _BAND // (image.width * factor))
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _flatten(image: Image.Image, white: float) -> Image.Image:
    """Any mode to 8-bit RGB; `white` is the wide sample that becomes 255."""
    if _has_wide_samples(image):
        grey = np.clip(_samples(image) * (255.0 / white), 0, 255).astype(np.uint8)
        return Image.fromarray(grey).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        canvas = Image.new("RGBA", image.size, "white")
        canvas.alpha_composite(image)
        return canvas.convert("RGB")
    return image.convert("RGB")


def _has_wide_samples(image: Image.Image) -> bool:
    return image.mode.startswith(("I", "F"))  # 16 or 32 bits: convert() would clip them to white


def _white(image: Image.Image) -> float:
    """The sample that is white: 65535 where any is more than 8 bits can hold, else 255."""
    if not _has_wide_samples(image):
        return 255.0
    bright = any(_samples(band).max(initial=0.0) > 255 for _, band in _bands(image, 1))
    return 65535.0 if bright else 255.0


def _samples(image: Image.Image) -> NDArray[np.float32]:
    """Finite float32 [height, width]."""
    samples = np.asarray(image, dtype=np.float32)
    return np.nan_to_num(samples, posinf=0.0, neginf=0.0)


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "its bytes are no photo, or damaged at the start"
    if isinstance(error, Image.DecompressionBombError):
        return "more pixels than are read"
    if isinstance(error, MemoryError):
        return "not enough memory for its pixels"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).splitlines()[0][:120] if str(error).strip() else type(error).__name__
