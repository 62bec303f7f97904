"""Photos on disk: scan a folder, hash a file, decode it safely. No models."""

import hashlib
import os
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from kadr.errors import DataError, ImageError
from kadr.types import ImageFile, Skipped

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".tif", ".tiff", ".bmp"}
)
MAX_PIXELS = 178_956_970
"""A photo with more pixels than this is refused before its pixels are read (about 179 MP)."""

# Pillow warns at half of the limit above; photos of that size are ordinary panoramas.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def scan(folder: Path) -> Iterator[Path]:
    """Paths of the photos below a folder, in a stable order.

    Hidden files and folders are passed over, links to folders are not followed, so that a loop
    of links ends.

    Raises:
        DataError: the folder doesn't exist or can't be read.
    """
    if not os.path.isdir(folder):  # noqa: PTH112 - Path.is_dir() raises where a parent is shut
        raise DataError(f"{folder}: no such folder. Name a folder that holds photos.")

    def refuse_root(error: OSError) -> None:
        if error.filename == os.fspath(folder):
            raise DataError(f"{folder}: can't be read ({error.strerror}). Check its permissions.")

    for parent, folders, names in os.walk(folder, onerror=refuse_root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES:  # noqa: PTH122
                yield Path(parent, name)


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

    JPEGs are decoded at a reduced size where that loses nothing. Transparency becomes white,
    16-bit samples become 8-bit, the first frame of an animation is taken.

    Raises:
        ImageError: the file is missing, empty, truncated, too large or no photo.
    """
    try:
        with Image.open(path) as image:
            _check_size(image)
            image.draft("RGB", (size, size))
            return _flatten(ImageOps.exif_transpose(image))
    except ImageError:
        raise
    except Exception as error:  # a hostile file makes a decoder raise anything
        raise ImageError(f"not a readable photo ({_reason(error)})") from error


def _check_size(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(f"{image.width}x{image.height} pixels are more than are read")


def _flatten(image: Image.Image) -> Image.Image:
    """Any mode to 8-bit RGB."""
    if image.mode.startswith(("I", "F")):  # 16- or 32-bit grey: convert() would clip it to white
        samples = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=0.0, neginf=0.0)
        top = 65535.0 if samples.max(initial=0.0) > 255 else 255.0
        grey = np.clip(samples * (255.0 / top), 0, 255).astype(np.uint8)
        return Image.fromarray(grey).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        canvas = Image.new("RGBA", image.size, "white")
        canvas.alpha_composite(image)
        return canvas.convert("RGB")
    return image.convert("RGB")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).splitlines()[0][:120] if str(error) else type(error).__name__
