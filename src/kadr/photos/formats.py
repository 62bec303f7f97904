"""Which format a photo's bytes are in, and Pillow's decoder for it."""

import ctypes
import io
import logging
import re
import warnings
from contextlib import suppress
from functools import cache
from typing import IO

from PIL import Image
from PIL.AvifImagePlugin import AvifImageFile
from PIL.JpegImagePlugin import JpegImageFile

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
}
"""The names of Pillow's formats. No other format is tried: some start other programs."""

_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)


def open_image(file: IO[bytes]) -> Image.Image:
    """The photo, recognised by its first bytes, whatever its name; its pixels aren't read yet."""
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
    """The plugins that Pillow doesn't load by itself; if one is missing, it loads all it has."""
    from PIL import TiffImagePlugin, WebPImagePlugin  # noqa: F401 - they register themselves

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
