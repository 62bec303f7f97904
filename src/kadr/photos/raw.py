"""RAW: the preview that a camera wrote into the file, else the sensor's pixels at half the size.

LibRaw reads them, by rawpy (extra `raw`). Which of both stands for the photo doesn't depend on the
size that is asked for, so the law judges what is shown.
"""

import io
from contextlib import suppress
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any

from PIL import Image, ImageCms
from PIL.ExifTags import Base

from kadr.errors import ImageError
from kadr.photos import exif, jpeg, kinds
from kadr.photos.metadata import Metadata

if TYPE_CHECKING:
    from rawpy import RawPy

PREVIEW = 1000
"""Pixels of a preview's longer side, from which on it stands for the photo."""

_TIFF = (b"II*\0", b"MM\0*")
_OLYMPUS = (b"IIRO", b"IIRS")
_DNG_VERSION, _XMP, _SUBFILE, _SUBFILES = 0xC612, 700, 0xFE, 0x14A
_COMPRESSIONS = frozenset({32767, 32769, 32770, 34713, 65000, 65535})
"""Those of Sony, Epson, Samsung, Nikon, Kodak and Pentax."""


class RawImage(Image.Image):
    """The sensor's pixels, read when they are asked for; until then `size` is the whole sensor's.

    Not turned upright: EXIF says how it lies.
    """

    format = "RAW"

    def __init__(self, raw: "RawPy") -> None:
        super().__init__()
        self._mode = "RGB"
        self._size = (raw.sizes.raw_width, raw.sizes.raw_height)
        self._raw: RawPy | None = raw

    def load(self) -> Any:
        """Decode at half the size, in sRGB."""
        if self._raw is not None:
            import rawpy

            try:
                pixels = self._raw.postprocess(half_size=True, use_camera_wb=True, user_flip=0)
            except rawpy.LibRawError as error:
                raise _refusal(error) from error
            self._raw.close()
            self._raw = None
            if pixels.shape[2] == 1:  # a sensor without colours
                pixels = pixels.repeat(3, axis=2)
            self.im = Image.fromarray(pixels).im
            self._size = self.im.size
        return super().load()

    def close(self) -> None:
        """Free the file's pixels."""
        if self._raw is not None:
            self._raw.close()
            self._raw = None
        super().close()


def is_raw(file: IO[bytes], head: bytes) -> bool:
    """Whether a file is a RAW; one that is a TIFF too is told by its tags.

    Args:
        file: at its start, and left there.
        head: its first `kinds.HEAD` bytes.
    """
    kind = kinds.by_content(head)
    if kind is not None:
        return kind.group == "RAW"
    return head.startswith(_TIFF) and _has_raw_tags(file)


def open_raw(file: IO[bytes]) -> tuple[Image.Image, Metadata] | None:
    """The photo, its pixels not read yet, and what the file says of it.

    None where LibRaw doesn't know a file that may be a plain TIFF.

    Raises:
        ImageError: it can't be read.
    """
    import rawpy

    content = file.read()
    file.seek(0)
    raw = rawpy.RawPy()
    try:
        raw.open_buffer(io.BytesIO(content))
    except rawpy.LibRawError as error:
        raw.close()
        if content.startswith(_TIFF):
            return None
        raise _refusal(error) from error
    size = raw.sizes.width, raw.sizes.height
    preview = _preview(raw)
    if preview is None:
        image: Image.Image = RawImage(raw)
        metadata = Metadata(
            icc=_srgb()
        )  # or EXIF's Adobe RGB would be taken for that of the pixels
    else:
        raw.close()
        image, metadata = preview
    if said := _exif(content):
        image.info["exif"] = said
        packet = exif.tag(exif.read(image), _XMP)
        metadata = replace(metadata, xmp=(packet,)) if isinstance(packet, bytes) else metadata
    return image, replace(metadata, size=size)


def _preview(raw: "RawPy") -> tuple[Image.Image, Metadata] | None:
    """The largest JPEG inside; None where it is too small to stand for the photo."""
    import rawpy

    try:
        found = raw.extract_thumb()
        if found.format != rawpy.ThumbFormat.JPEG or not isinstance(found.data, bytes):
            return None
        image, metadata = jpeg.open_jpeg(io.BytesIO(found.data))
    except Exception:  # noqa: BLE001 - none, or a broken one: the sensor's pixels are there
        return None
    if max(image.size) < PREVIEW:
        return None
    image.format = "RAW"
    return image, metadata


def _has_raw_tags(file: IO[bytes]) -> bool:
    """Whether the first directory of a TIFF is one that cameras write."""
    tags = Image.Exif()
    with suppress(Exception):  # broken: Pillow's decoder tells how
        tags.load_from_fp(file)
    file.seek(0)
    if exif.tag(tags, _DNG_VERSION) is not None:
        return True
    by_camera = exif.tag(tags, Base.Make) is not None
    is_reduced = exif.tag(tags, _SUBFILE) == 1 and exif.tag(tags, _SUBFILES) is not None
    return by_camera and (is_reduced or exif.tag(tags, Base.Compression) in _COMPRESSIONS)


def _exif(content: bytes) -> bytes:
    """The EXIF of the RAW itself; empty where only the preview has one, as in RAF and RW2."""
    if content.startswith(_TIFF):
        return content
    if content.startswith(_OLYMPUS):
        return _TIFF[0] + content[4:]
    start = content.find(b"CMT1", 0, 2**16)  # the box of a CR3 that holds the first directory
    if content[4:12] == b"ftypcrx " and start > 0:
        return content[start + 4 : start - 4 + int.from_bytes(content[start - 4 : start])]
    return b""


def _srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _refusal(error: Exception) -> ImageError:
    said = error.args[0] if error.args else error
    text = said.decode("ascii", "replace") if isinstance(said, bytes) else str(said)
    return ImageError(f"not a readable photo (LibRaw: {text[:100]})")
