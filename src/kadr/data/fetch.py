"""The annotated archive on the web -> a folder on disk; nothing half done is left behind."""

import errno
import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from kadr.data.unzip import check_space, megabytes, unzip
from kadr.errors import DataError
from kadr.photos import files

ARCHIVE_URL = "https://code.s3.yandex.net/datasets/dsplus_integrated_project_4.zip"
KEY_FILE = "train_dataset.csv"
"""The folder inside the zip that holds this file is the archive."""
MAX_ZIP_BYTES = 2 * 1024**3
READ_TIMEOUT = 30.0

# In the staging folder: which file of the web it is of, its bytes so far, all of them, unzipped.
_NOTE, _PART, _ZIP, _UNZIPPED = "source.json", "archive.zip.part", "archive.zip", "unzipped"
_CONTENT_RANGE = re.compile(r"bytes (?P<start>\d+)-\d+/(?P<total>\d+)")

Progress = Callable[[int, int | None], None]


def fetch(
    folder: Path,
    *,
    url: str = ARCHIVE_URL,
    sha256: str | None = None,
    on_progress: Progress | None = None,
    connect_timeout: float = 5.0,
) -> Path:
    """Download the archive and unzip it to `folder`; an interrupted download resumes.

    All work happens in the sibling `<folder>.part`, which becomes `folder` in one rename.

    Args:
        folder: Must be absent or empty. Its parents are made.
        url: A zip that holds train_dataset.csv in any of its folders.
        sha256: What the zip must be, in hexadecimal; None takes any that is safe.
        on_progress: Called with the bytes downloaded so far and their total (None: unknown).
        connect_timeout: Seconds to wait for the host.

    Returns:
        The absolute path of the folder that holds train_dataset.csv.

    Raises:
        DataError: The folder is in use, the host fails, the disk is full, the zip is broken,
            another one than `sha256` says, or isn't safe to unzip.
    """
    with _disk_errors():
        folder = folder.resolve()
        _refuse_used(folder)
        staging = _staging(folder, url)
        if not (staging / _ZIP).exists():
            _download(staging, url, on_progress or (lambda _done, _total: None), connect_timeout)
        try:
            _check_digest(staging / _ZIP, sha256)
            unzip(staging / _ZIP, staging / _UNZIPPED, KEY_FILE)
        except DataError:
            _restart(staging, url)
            raise
        _move(staging / _UNZIPPED, folder)
        shutil.rmtree(staging)
    return folder


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
        raise DataError(f"{reason}: {cure}, then fetch again to resume") from error


def _staging(target: Path, url: str) -> Path:
    """Make the staging folder, or take up one that an earlier run left."""
    folder = target.with_name(f"{target.name}.part")
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} is in the way: move it, then fetch again")
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / _NOTE).exists() and any(folder.iterdir()):
        raise DataError(f"{folder} is no unfinished download: move it, then fetch again")
    if _note(folder).get("url") != url:
        _restart(folder, url)
    return folder


def _note(staging: Path) -> dict[str, str]:
    try:
        note = json.loads((staging / _NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return note if isinstance(note, dict) else {}


def _restart(staging: Path, url: str, validator: str = "") -> None:
    """Drop every byte of an earlier download; `validator` tells this version from others."""
    # The bytes go first: a crash before the note is written leaves nothing to resume wrongly.
    for name in (_PART, _ZIP):
        (staging / name).unlink(missing_ok=True)
    shutil.rmtree(staging / _UNZIPPED, ignore_errors=True)
    note = json.dumps({"url": url, "validator": validator})
    (staging / _NOTE).write_text(note, encoding="utf-8")


def _check_digest(path: Path, sha256: str | None) -> None:
    if sha256 is None:
        return
    digest = files.digest(path)
    if digest != sha256.lower():
        raise DataError(f"the download's SHA-256 is {digest}, not {sha256}: check the address")


def _download(staging: Path, url: str, on_progress: Progress, connect_timeout: float) -> None:
    """Stream the file to disk, from where an earlier run stopped if the host agrees."""
    try:
        with _client(connect_timeout) as client:
            if not _stream(client, staging, url, on_progress):
                _restart(staging, url)
                _stream(client, staging, url, on_progress)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise DataError(f"{url!r} is no web address ({error}): mend it") from error
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
        raise DataError(
            f"{url} can't be reached ({_reason(error)}): check the network and the proxy,"
            " or work without it on `kadr data generate DIR`"
        ) from error
    except httpx.HTTPError as error:
        raise DataError(
            f"the download of {url} broke off ({_reason(error)}): fetch again to resume"
        ) from error
    (staging / _PART).replace(staging / _ZIP)


def _client(connect_timeout: float) -> httpx.Client:
    timeout = httpx.Timeout(READ_TIMEOUT, connect=connect_timeout)
    try:
        return httpx.Client(timeout=timeout, follow_redirects=True)
    except (ValueError, ImportError) as error:
        raise DataError(f"the proxy of the environment can't be used: {error}") from error


def _reason(error: httpx.HTTPError) -> str:
    return str(error) or type(error).__name__


def _stream(client: httpx.Client, staging: Path, url: str, on_progress: Progress) -> bool:
    """Write one response to disk; False where the host can't resume what is there."""
    part, validator = staging / _PART, _note(staging).get("validator", "")
    have = part.stat().st_size if validator and part.exists() else 0
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": validator}
    with client.stream("GET", url, headers=headers) as response:
        span = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        match response.status_code:
            case httpx.codes.OK:
                _restart(staging, url, _validator(response))
                length = response.headers.get("Content-Length", "")
                _write(response, part, 0, int(length) if length.isdecimal() else None, on_progress)
            case httpx.codes.PARTIAL_CONTENT if span and have == int(span["start"]) > 0:
                if _validator(response) not in {validator, ""}:
                    return False
                _write(response, part, have, int(span["total"]), on_progress)
            case httpx.codes.PARTIAL_CONTENT | httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE if have:
                return False
            case status:
                reason = f"{status} {response.reason_phrase}"
                raise DataError(f"{url} answers {reason}: check the address, or try later")
    return True


def _validator(response: httpx.Response) -> str:
    """What If-Range takes: a strong ETag, else the date; empty where there is neither."""
    etag = str(response.headers.get("ETag", ""))
    strong = etag and not etag.startswith("W/")
    return etag if strong else str(response.headers.get("Last-Modified", ""))


def _write(
    response: httpx.Response, part: Path, have: int, total: int | None, on_progress: Progress
) -> None:
    """Append the body to `part`, which holds `have` bytes. What came stays, whatever happens."""
    _check_size(total or 0)
    check_space(part.parent, (total or 0) - have)
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
            f"the download is larger than {megabytes(MAX_ZIP_BYTES)}, so it isn't the archive:"
            " check the address"
        )


def _move(unzipped: Path, folder: Path) -> None:
    if folder.exists():
        folder.rmdir()
    unzipped.rename(folder)
