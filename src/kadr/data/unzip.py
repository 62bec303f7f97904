"""A zip from elsewhere -> the folder in it that holds one file; refused whole if unsafe."""

import errno
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from kadr.errors import DataError

MAX_UNZIPPED_BYTES = 4 * 1024**3
MAX_UNZIP_RATIO = 100
MAX_ENTRIES = 50_000

_ODD_CHARACTERS = frozenset("\\:\0")
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_JUNK = frozenset({"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"})
_BROKEN_ZIP = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError),
    *(ValueError, LookupError, NotImplementedError, RuntimeError),
)


def unzip(path: Path, target: Path, key_file: str) -> None:
    """Unzip the outermost folder that holds `key_file` to `target`, which is replaced.

    Raises:
        DataError: The zip is broken, lacks the file, or has an entry that isn't safe.
        OSError: The disk is full, or something on it stands in the way.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = _checked_entries(archive, path.stat().st_size)
            root = _root(entries, key_file)
            inside = {name: entry for name, entry in entries.items() if name.is_relative_to(root)}
            check_space(target.parent, sum(entry.file_size for entry in inside.values()))
            shutil.rmtree(target, ignore_errors=True)
            for name, entry in inside.items():
                _extract(archive, entry, target / name.relative_to(root))
    except _BROKEN_ZIP as error:
        raise DataError(
            f"the download is no whole zip ({error}): check the address, then fetch again"
        ) from error


def check_space(folder: Path, needed: int) -> None:
    """Raise the error of a full disk before it is full."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        reason = f"needs {megabytes(needed)} and has {megabytes(free)}"
        raise OSError(errno.ENOSPC, reason, str(folder))


def megabytes(size: int) -> str:
    """A size as a person reads it."""
    return f"{size / 1e6:,.0f} MB"


def _checked_entries(
    archive: zipfile.ZipFile, zip_bytes: int
) -> dict[PurePosixPath, zipfile.ZipInfo]:
    """Return the files to unzip by path; refuse a zip with anything unsafe in it."""
    infos = archive.infolist()
    unzipped = sum(info.file_size for info in infos)
    if len(infos) > MAX_ENTRIES:
        raise _unsafe(f"{len(infos):,} entries, more than {MAX_ENTRIES:,}")
    if unzipped > min(MAX_UNZIPPED_BYTES, MAX_UNZIP_RATIO * zip_bytes):
        raise _unsafe(f"{megabytes(zip_bytes)} would become {megabytes(unzipped)}")
    files: dict[PurePosixPath, zipfile.ZipInfo] = {}
    seen: set[str] = set()
    for info in infos:
        _check_entry(info)
        name = PurePosixPath(info.filename)
        if info.is_dir() or _is_junk(name):
            continue
        if str(name).casefold() in seen:
            raise _unsafe(f"{info.filename!r} is in it twice")
        seen.add(str(name).casefold())
        files[name] = info
    return files


def _check_entry(info: zipfile.ZipInfo) -> None:
    # orig_filename still has what zipfile cuts off (NUL) or turns into a slash.
    name = info.orig_filename
    kind = stat.S_IFMT(info.external_attr >> 16)
    if name.startswith("/") or not _ODD_CHARACTERS.isdisjoint(name):
        raise _unsafe(f"{name!r} is no plain relative path")
    if ".." in PurePosixPath(name).parts:
        raise _unsafe(f"{name!r} leaves the folder")
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        raise _unsafe(f"{name!r} is a link or a device")
    if info.flag_bits & 1 or info.compress_type not in _METHODS:
        raise _unsafe(f"{name!r} is encrypted or compressed in an unusual way")


def _unsafe(reason: str) -> DataError:
    return DataError(f"the zip isn't safe to unzip ({reason}): fetch it from another address")


def _is_junk(name: PurePosixPath) -> bool:
    return not _JUNK.isdisjoint(name.parts) or name.name.startswith("._")


def _root(names: Iterable[PurePosixPath], key_file: str) -> PurePosixPath:
    """Return the outermost folder that holds key_file."""
    roots = sorted((len(name.parts), name.parent) for name in names if name.name == key_file)
    if not roots:
        raise DataError(f"the zip holds no {key_file}, so it isn't the archive: check the address")
    return roots[0][1]


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> None:
    """Write one file; zipfile stops at the size that was checked, and compares the CRC."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(entry) as packed, path.open("wb") as file:
        shutil.copyfileobj(packed, file, 1024**2)
