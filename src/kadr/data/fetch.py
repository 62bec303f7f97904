"""The annotated archive on the web -> a folder on disk; nothing half done is left behind."""

import errno
import json
import re
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import httpx

from kadr.errors import DataError

ARCHIVE_URL = "https://code.s3.yandex.net/datasets/dsplus_integrated_project_4.zip"
KEY_FILE = "train_dataset.csv"
"""The folder inside the zip that holds this file is the archive."""

MAX_ZIP_BYTES = 2 * 1024**3
MAX_UNZIPPED_BYTES = 4 * 1024**3
MAX_UNZIP_RATIO = 100
MAX_ENTRIES = 50_000
CHUNK_BYTES = 1024**2
READ_TIMEOUT = 30.0

_CONTENT_RANGE = re.compile(r"bytes (?P<start>\d+)-\d+/(?P<total>\d+)")
_ODD_CHARACTERS = frozenset("\\:\0")
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_JUNK = frozenset({"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"})
_BROKEN_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    ValueError,
    LookupError,
    NotImplementedError,
    RuntimeError,
    struct.error,
)

Progress = Callable[[int, int | None], None]


def fetch(
    folder: Path,
    *,
    url: str = ARCHIVE_URL,
    on_progress: Progress | None = None,
    connect_timeout: float = 5.0,
) -> Path:
    """Download the archive and unzip it to `folder`; an interrupted download goes on.

    All work happens in the sibling `<folder>.part`, which becomes `folder` in one rename.

    Args:
        folder: Must be absent or empty. Its parents are made.
        url: A zip that holds train_dataset.csv in any of its folders.
        on_progress: Called with the bytes downloaded so far and their total (None: unknown).
        connect_timeout: Seconds to wait for the host.

    Returns:
        The absolute path of the folder that holds train_dataset.csv.

    Raises:
        DataError: The folder is in use, the host fails, the disk is full, the zip is broken or
            isn't safe to unzip.
    """
    with _disk_errors():
        folder = folder.resolve()
        _refuse_used(folder)
        staging = _Staging.open(folder, url)
        if not staging.zip.exists():
            _download(staging, on_progress or _silent, connect_timeout)
        try:
            _unzip(staging.zip, staging.unzipped)
        except DataError:
            staging.forget()
            raise
        _move(staging.unzipped, folder)
        shutil.rmtree(staging.folder)
    return folder


@dataclass(frozen=True, slots=True)
class _Staging:
    """An unfinished download: where its pieces are, and which file on the web it is of."""

    folder: Path
    url: str

    @classmethod
    def open(cls, target: Path, url: str) -> "_Staging":
        """Make the staging folder, or take up one that an earlier run left."""
        staging = cls(target.with_name(f"{target.name}.part"), url)
        if staging.folder.exists() and not staging.folder.is_dir():
            raise DataError(f"{staging.folder} is in the way: move it, then fetch again")
        staging.folder.mkdir(parents=True, exist_ok=True)
        if not staging.source.exists() and any(staging.folder.iterdir()):
            raise DataError(
                f"{staging.folder} is no unfinished download: move it, then fetch again"
            )
        if staging.note().get("url") != url:
            staging.forget()
        return staging

    @property
    def source(self) -> Path:
        """Says which file is being downloaded; marks the folder as ours."""
        return self.folder / "source.json"

    @property
    def part(self) -> Path:
        """The bytes downloaded so far."""
        return self.folder / "archive.zip.part"

    @property
    def zip(self) -> Path:
        """The whole download."""
        return self.folder / "archive.zip"

    @property
    def unzipped(self) -> Path:
        """The archive while it is being unzipped."""
        return self.folder / "unzipped"

    def note(self) -> dict[str, str]:
        """Return what `forget` or `restart` wrote; nothing where that can't be read."""
        try:
            note = json.loads(self.source.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return note if isinstance(note, dict) else {}

    def forget(self) -> None:
        """Drop every byte of an earlier download."""
        self.zip.unlink(missing_ok=True)
        shutil.rmtree(self.unzipped, ignore_errors=True)
        self.restart("")

    def restart(self, validator: str) -> None:
        """Begin the download anew; `validator` tells this version of the file from others."""
        # The part goes first: a crash between both lines leaves nothing to resume wrongly.
        self.part.unlink(missing_ok=True)
        note = {"url": self.url, "validator": validator}
        self.source.write_text(json.dumps(note), encoding="utf-8")

    def resumable(self) -> tuple[int, str]:
        """Return how many bytes are there and their validator; 0 where they can't be trusted."""
        validator = self.note().get("validator", "")
        size = self.part.stat().st_size if self.part.exists() else 0
        return (size, validator) if validator else (0, "")


def _silent(done: int, total: int | None) -> None:
    """Report to nobody."""


def _refuse_used(folder: Path) -> None:
    if (folder / KEY_FILE).exists():
        raise DataError(f"{folder} holds the archive already: check it with `kadr data check DIR`")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} isn't empty: name a new folder")
    if folder.is_mount() or folder == Path.cwd():
        raise DataError(f"{folder} can't be replaced: name a new folder below it")


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = f"{error.filename or 'the disk'}: {error.strerror or error}"
        cure = "free some space" if error.errno == errno.ENOSPC else "mend that or name another"
        raise DataError(f"{reason}: {cure}, then fetch again, it goes on") from error


def _download(staging: _Staging, on_progress: Progress, connect_timeout: float) -> None:
    """Stream the file to `staging.zip`, from where an earlier run stopped if the host agrees."""
    url = staging.url
    try:
        with _client(connect_timeout) as client:
            if not _stream(client, staging, on_progress):
                staging.forget()
                _stream(client, staging, on_progress)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise DataError(f"{url!r} is no web address ({error}): mend it") from error
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
        raise DataError(
            f"{url} can't be reached ({_reason(error)}): check the network and the proxy,"
            " or work without it on `kadr data generate DIR`"
        ) from error
    except httpx.HTTPError as error:
        raise DataError(
            f"the download of {url} broke off ({_reason(error)}): fetch again,"
            " it goes on where it stopped if the host allows"
        ) from error
    staging.part.replace(staging.zip)


def _client(connect_timeout: float) -> httpx.Client:
    timeout = httpx.Timeout(READ_TIMEOUT, connect=connect_timeout)
    try:
        return httpx.Client(timeout=timeout, follow_redirects=True)
    except (ValueError, ImportError) as error:
        raise DataError(f"the proxy of the environment can't be used: {error}") from error


def _reason(error: httpx.HTTPError) -> str:
    return str(error) or type(error).__name__


def _stream(client: httpx.Client, staging: _Staging, on_progress: Progress) -> bool:
    """Write one response to `staging.part`; False where the host can't resume ours."""
    have, validator = staging.resumable()
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": validator}
    with client.stream("GET", staging.url, headers=headers) as response:
        match response.status_code:
            case httpx.codes.OK:
                staging.restart(_validator(response))
                _write(response, staging.part, 0, on_progress)
            case httpx.codes.PARTIAL_CONTENT if _goes_on(response, have, validator):
                _write(response, staging.part, have, on_progress)
            case httpx.codes.PARTIAL_CONTENT | httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE if have:
                return False
            case status:
                raise DataError(
                    f"{staging.url} answers {status} {response.reason_phrase}:"
                    " check the address, or try later"
                )
    return True


def _validator(response: httpx.Response) -> str:
    """Return what If-Range takes: a strong ETag, else the date; empty where there is neither."""
    etag = response.headers.get("ETag", "")
    if etag and not etag.startswith("W/"):
        return str(etag)
    return str(response.headers.get("Last-Modified", ""))


def _goes_on(response: httpx.Response, have: int, validator: str) -> bool:
    """Tell whether a partial response continues our bytes of the same version."""
    span = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    same = _validator(response) in {validator, ""}
    return have > 0 and same and span is not None and int(span["start"]) == have


def _total(response: httpx.Response) -> int | None:
    """Return the size of the whole file, None where the host doesn't tell."""
    span = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if span is not None:
        return int(span["total"])
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None


def _write(response: httpx.Response, part: Path, have: int, on_progress: Progress) -> None:
    """Append the body to `part`, which holds `have` bytes."""
    total = _total(response)
    _check_size(total or 0)
    _check_space(part, (total or 0) - have)
    with part.open("ab") as file:
        on_progress(have, total)
        for chunk in response.iter_raw():
            have += len(chunk)
            _check_size(have)
            file.write(chunk)
            on_progress(have, total)
    if total is not None and have != total:
        raise httpx.RemoteProtocolError(f"{have:,} of {total:,} bytes came")


def _check_size(size: int) -> None:
    if size > MAX_ZIP_BYTES:
        raise DataError(
            f"the download is larger than {_megabytes(MAX_ZIP_BYTES)}, so it isn't the archive:"
            " check the address"
        )


def _check_space(path: Path, needed: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        reason = f"needs {_megabytes(needed)} and has {_megabytes(free)}"
        raise OSError(errno.ENOSPC, reason, str(path.parent))


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


def _unzip(path: Path, target: Path) -> None:
    """Unzip the folder that holds KEY_FILE to `target`, having checked every entry."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = _checked_entries(archive, path.stat().st_size)
            root = _root(entries)
            inside = {name: entry for name, entry in entries.items() if name.is_relative_to(root)}
            _check_space(target, sum(entry.file_size for entry in inside.values()))
            shutil.rmtree(target, ignore_errors=True)
            for name, entry in inside.items():
                _extract(archive, entry, target / name.relative_to(root))
    except _BROKEN_ZIP as error:
        raise DataError(
            f"the download is no whole zip ({error}): check the address, then fetch again"
        ) from error


def _checked_entries(
    archive: zipfile.ZipFile, zip_bytes: int
) -> dict[PurePosixPath, zipfile.ZipInfo]:
    """Return the files to unzip by path; refuse a zip with anything unsafe in it."""
    infos = archive.infolist()
    unzipped = sum(info.file_size for info in infos)
    if len(infos) > MAX_ENTRIES:
        raise _unsafe(f"{len(infos):,} entries, more than {MAX_ENTRIES:,}")
    if unzipped > min(MAX_UNZIPPED_BYTES, MAX_UNZIP_RATIO * zip_bytes):
        raise _unsafe(f"{_megabytes(zip_bytes)} would become {_megabytes(unzipped)}")
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


def _root(names: Iterable[PurePosixPath]) -> PurePosixPath:
    """Return the outermost folder that holds KEY_FILE."""
    roots = sorted((len(name.parts), name.parent) for name in names if name.name == KEY_FILE)
    if not roots:
        raise DataError(f"the zip holds no {KEY_FILE}, so it isn't the archive: check the address")
    return roots[0][1]


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> None:
    """Write one file; zipfile stops at the size that was checked, and compares the CRC."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(entry) as packed, path.open("wb") as file:
        shutil.copyfileobj(packed, file, CHUNK_BYTES)


def _move(unzipped: Path, folder: Path) -> None:
    if folder.exists():
        folder.rmdir()
    unzipped.rename(folder)
