"""Which format a photo's bytes are in, and Pillow's decoder for it."""

import ctypes
import io
import logging
import re
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import IO

from PIL import Image, UnidentifiedImageError
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from kadr.errors import ImageError
from kadr.photos import gif, jpeg, kinds, png, raw
from kadr.photos.metadata import Metadata, iptc_of_photoshop

# Where nobody asks for Pillow's log, Python writes its errors to stderr.
logging.getLogger("PIL").addHandler(logging.NullHandler())

KINDS = {
    "JPEG": "jpeg",
    "PNG": "png",
    "WEBP": "webp",
    "GIF": "gif",
    "TIFF": "tiff",
    "BMP": "bmp",
    "AVIF": "avif",
    "HEIF": "heic",
    "RAW": "raw",
}
"""The names of Pillow's formats. No other format is tried: some start other programs."""

_TIFF_IPTC, _TIFF_PHOTOSHOP = 33723, 34377
_OPENERS: dict[bytes, Callable[[IO[bytes]], Image.Image]] = {
    b"GIF8": GifImageFile,
    b"RIFF": WebPImageFile,
    b"BM": BmpImageFile,
    b"II*\0": TiffImageFile,
    b"MM\0*": TiffImageFile,
    b"II+\0": TiffImageFile,
    b"MM\0+": TiffImageFile,
}
"""Pillow's decoders by the first bytes. Image.open() would try other formats too, and refuse more
pixels than it thinks right."""

_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)


def open_image(file: IO[bytes]) -> tuple[Image.Image, Metadata]:
    """The photo, recognised by its first bytes, whatever its name; its pixels aren't read yet.

    Raises:
        ImageError: it is a file of another kind.
    """
    head = file.read(256)
    file.seek(0)
    brands = _brands(head)
    if head.startswith(b"\xff\xd8\xff"):
        return jpeg.open_jpeg(file)  # of the pictures in an MPO the first
    if head.startswith(png.SIGNATURE):
        return png.open_png(file)
    if kinds.reads_raw() and raw.is_raw(file, head[: kinds.HEAD]):
        opened = raw.open_raw(file)
        if opened is not None:
            return opened
    image = _open_other(file, head, brands)
    if image.format == "GIF":
        return image, gif.read(file)
    return image, _metadata(image)


def _open_other(file: IO[bytes], head: bytes, brands: set[bytes]) -> Image.Image:
    if brands & _AVIF_BRANDS:
        return _AvifFile(file)
    if brands & _HEIF_BRANDS:
        from pillow_heif import HeifImageFile

        return HeifImageFile(file)  # type: ignore[no-untyped-call]
    for mark, opener in _OPENERS.items():
        if head.startswith(mark) and (mark != b"RIFF" or head[8:12] == b"WEBP"):
            _silence_libtiff()
            return opener(file)
    if (kind := kinds.by_content(head[: kinds.HEAD])) is not None:
        hint = "; pip install 'kadr[raw]' reads it" if kind.group == "RAW" else ""
        raise ImageError(f"not a readable photo (a {kind.group}: {kind.format}{hint})")
    raise UnidentifiedImageError


def _metadata(image: Image.Image) -> Metadata:
    """What Pillow read beside the pixels."""
    packet, icc = image.info.get("xmp"), image.info.get("icc_profile")
    iptc: bytes | None = None
    if isinstance(image, TiffImageFile):
        # Programs tag the record as integers of four bytes, so its raw bytes are what counts.
        raw = image.tag_v2._tagdata
        iptc = raw.get(_TIFF_IPTC) or iptc_of_photoshop(raw.get(_TIFF_PHOTOSHOP, b""))
    return Metadata(
        xmp=(packet,) if isinstance(packet, bytes) else (),
        iptc=(iptc,) if iptc else (),
        icc=icc if isinstance(icc, bytes) else b"",
    )


@cache
def _silence_libtiff() -> None:
    with suppress(OSError, AttributeError):  # not every build of Pillow lets one reach libtiff
        libtiff = ctypes.CDLL(Image.core.__file__)  # type: ignore[attr-defined]
        libtiff.TIFFSetErrorHandler(None)  # or it writes what is wrong with a file to stderr
        libtiff.TIFFSetWarningHandler(None)


def _brands(head: bytes) -> set[bytes]:
    """The brands that a file of the MP4 family claims (ISO/IEC 14496-12, 4.3)."""
    if head[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(head[:4]), len(head))
    return {head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))}


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


def silence_decoders() -> None:
    """Ignore Pillow's warnings: what it warns of is refused or read here anyway.

    A filter rather than warnings.catch_warnings(), which isn't safe in threads.
    """
    if not warnings.filters or warnings.filters[0] != ("ignore", None, Warning, _DECODERS, 0):
        warnings.filterwarnings("ignore", module=_DECODERS.pattern)
