"""Names of uploaded files, made safe: a stranger's name becomes a photo's, in one folder."""

import os
import re
import unicodedata
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from pathlib import Path
from urllib.parse import unquote_to_bytes

from kadr.errors import KadrError
from kadr.photos import files, kinds

SUFFIXES = {
    "jpeg": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "png": (".png", ".apng"),
    "webp": (".webp",),
    "gif": (".gif",),
    "tiff": (".tif", ".tiff"),
    "bmp": (".bmp",),
    "avif": (".avif",),
    "heic": (".heic", ".heif", ".hif"),
    "raw": (".dng", *kinds.RAW_SUFFIXES),
    "film": (".mp4", *kinds.FILM_SUFFIXES),
}
"""Suffixes of each kind of photo, and of films, the usual one first."""
LONGEST = 180
"""Bytes of a name without its suffix; file systems take 255, some of them fewer characters."""
UNNAMED = "photo"
_EXTENDED = re.compile(rb"filename\*\s*=\s*\"?([^'\"; ]*)'[^']*'([^\"; ]*)", re.IGNORECASE)
_ENCODED_WORD = re.compile(r"=\?[^?]+\?[bqBQ]\?[^?]*\?=")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])", re.IGNORECASE)
"""What Windows takes for a device, whatever follows the first dot."""
_FORBIDDEN = re.compile(r'[<>:"|?*]')
"""What Windows allows in no name; / and \\ end folders, which are left out."""
_BLANK_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Control and formatting characters: they would hide how a name really ends."""


def sent_name(disposition: bytes, filename: str | None) -> str:
    """The name that a part of a form was sent under.

    `filename*` (RFC 5987) comes before `filename`, which then is only its shadow in ASCII; some
    clients write an encoded word (RFC 2047) instead.
    """
    name = extended_name(disposition)
    if name is None:
        name = filename or ""
        if _ENCODED_WORD.fullmatch(name.strip()):
            try:
                name = str(make_header(decode_header(name)))
            except (HeaderParseError, LookupError, UnicodeError, ValueError):
                name = ""
    return name


def extended_name(disposition: bytes) -> str | None:
    """The `filename*` of a Content-Disposition header; None where there is none."""
    if (found := _EXTENDED.search(disposition)) is None:
        return None
    charset = "utf-8" if found[1].lower() == b"utf-8" else "latin-1"
    return unquote_to_bytes(found[2]).decode(charset, "replace")


def safe_name(name: str, kind: str) -> str:
    """A file name for a photo of this kind, as like `name` as is safe on every file system.

    Without folders, control characters and what systems reserve; in NFC; visible; of a length that
    leaves room for a number; with a suffix that says what the file is.
    """
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    kept = "".join(c for c in last if unicodedata.category(c) not in _BLANK_CATEGORIES)
    stem, suffix = os.path.splitext(_FORBIDDEN.sub("_", kept).strip(" ."))  # noqa: PTH122
    if suffix.lower() not in SUFFIXES[kind]:
        known = {one for suffixes in SUFFIXES.values() for one in suffixes}
        stem, suffix = stem + suffix * (suffix.lower() not in known), SUFFIXES[kind][0]
    stem = _cut(stem).strip(" .")
    if _RESERVED.fullmatch(stem.split(".")[0].strip()):
        stem = f"_{stem}"
    return (stem or UNNAMED) + suffix


def _cut(stem: str) -> str:
    return stem.encode()[:LONGEST].decode("utf-8", "ignore")


def keep(folder: Path, name: str, content: bytes) -> Path:
    """Save a file under this name; a number follows it where another file has it already.

    A file of the same name and content is the same file.

    Raises:
        KadrError: nothing can be written there.
    """
    try:
        return _keep(folder, name, content)
    except OSError as error:
        raise KadrError(
            f"{folder}: can't be written ({error.strerror or error}). "
            "Free some space, or name another folder with --uploads."
        ) from error


def _keep(folder: Path, name: str, content: bytes) -> Path:
    stem, suffix = os.path.splitext(name)  # noqa: PTH122
    folder.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        path = folder / (name if number == 1 else f"{stem} ({number}){suffix}")
        try:
            path.open("xb").close()  # it is ours, whoever else writes there now
        except FileExistsError:
            if _holds(path, content):
                return path
            number += 1
        else:
            return _fill(path, content)


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.stat().st_size == len(content) and path.read_bytes() == content
    except OSError:
        return False


def _fill(path: Path, content: bytes) -> Path:
    try:
        return files.save(path, content)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
