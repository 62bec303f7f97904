"""Objects of an object store, read whole or in part, each time for bounded seconds.

pyarrow reads them: its clients find credentials as the stores' own tools do.
"""

import errno
import os
import re
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from functools import cache
from textwrap import shorten
from typing import TYPE_CHECKING, Any, TypeVar

from kadr.errors import DataError, MissingExtraError
from kadr.photos.files import State
from kadr.photos.objects import ObjectPath

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

T = TypeVar("T")
EXTRA = "'kadr[objects]'"
THREADS = 16
"""Objects that are read at once: a store answers slowly, and many at a time."""
SECONDS = 60.0
"""Seconds after which whoever reads an object whole is told that its store doesn't answer."""
_SILENCE = 5.0
"""Seconds without a byte after which a client gives a request up, so that its thread is free."""
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_ACCOUNTS = ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT")
_QUERY = re.compile(r"\?\S{1,4000}")


def soon(call: Callable[..., T], *arguments: Any) -> "Future[T]":
    """Have another thread make a call that asks a store."""
    return _threads().submit(call, *arguments)


def fetched(path: ObjectPath, most: int, seconds: float = SECONDS) -> bytes:
    """An object's content, waited for no longer than some seconds. Raises as `read` does."""
    try:
        return soon(read, path, most).result(seconds)
    except TimeoutError as error:
        raise OSError(errno.ETIMEDOUT, "its store doesn't answer") from error


# Calls that wait for the store.


def state(path: ObjectPath) -> State | None:
    """The object's state; None where there is none.

    Raises:
        OSError: the store can't be reached, or refuses.
        MissingExtraError: pyarrow isn't installed.
    """
    from pyarrow.fs import FileType

    files, key = _client(path)
    info = files.get_file_info(key)
    return (info.size, info.mtime_ns or 0) if info.type == FileType.File else None


def is_same(one: State, other: State | None) -> bool:
    """Whether two states are one: some stores list thousandths of a second, and answer in whole."""
    if other is None or one[0] != other[0]:
        return False
    return one[1] // 1_000_000_000 == other[1] // 1_000_000_000


def read(path: ObjectPath, most: int) -> bytes:
    """The content of an object of at most so many bytes.

    Raises:
        FileNotFoundError: there is none.
        OSError: it is larger; otherwise as `state`.
    """
    files, key = _client(path)
    with files.open_input_file(key) as file:
        if file.size() > most:
            raise OSError(errno.EFBIG, f"{file.size() / 1e6:,.0f} MB are more than are read")
        return bytes(file.read())


def part(path: ObjectPath, indexed: State, start: int, length: int) -> bytes:
    """A part of an object that is what it was when it was indexed; only this part is asked for.

    It is compared after it was read, so that what comes is of no other content.

    Raises:
        FileNotFoundError: it is gone or has changed.
        OSError: as `state`.
    """
    files, key = _client(path)
    with files.open_input_file(key) as file:
        content = bytes(file.read_at(length, start)) if file.size() >= start + length else b""
    if len(content) != length or not is_same(indexed, state(path)):
        raise FileNotFoundError(errno.ENOENT, "changed since it was indexed")
    return content


def connected(scheme: str, bucket: str, *, silence: float | None = None) -> "FileSystem":
    """A client of a store.

    Args:
        scheme: one of SCHEMES.
        bucket: whose region is looked up where none is set.
        silence: seconds without a byte after which a request is given up; None: the client's own.

    Raises:
        ImportError: pyarrow isn't installed.
        DataError: nothing says whose storage it is.
        OSError: the store can't be reached.
    """
    from pyarrow import fs

    if scheme == "gs":
        limit = None if silence is None else timedelta(seconds=silence)
        return fs.GcsFileSystem(retry_time_limit=limit)
    if scheme == "az":
        account = _first(_ACCOUNTS)
        if account is None:
            raise DataError(f"az://{bucket}: whose? Set AZURE_STORAGE_ACCOUNT_NAME.")
        return fs.AzureFileSystem(account, account_key=os.environ.get("AZURE_STORAGE_KEY"))
    settings: dict[str, Any] = {"endpoint_override": _first(_ENDPOINTS)}
    if silence is not None:
        settings |= {"request_timeout": silence, "connect_timeout": silence}
        settings["retry_strategy"] = fs.AwsStandardS3RetryStrategy(max_attempts=2)
    region = _first(("AWS_REGION", "AWS_DEFAULT_REGION"))
    if region is None and settings["endpoint_override"] is None:
        region = fs.resolve_s3_region(bucket)
    return fs.S3FileSystem(region=region, **settings)


def line(error: Exception) -> str:
    """What an error says, on one line, without what a URL in it may sign."""
    if isinstance(error, FileNotFoundError):
        return "it isn't there"
    said = getattr(error, "strerror", None) or str(error)
    said = _QUERY.sub("", str(said).strip().partition("\n")[0])
    return shorten(said, 200, placeholder=" …") or type(error).__name__


def _client(path: ObjectPath) -> "tuple[FileSystem, str]":
    """The store's client, and the bucket and key that it knows the object by."""
    scheme, bucket, *names = path.parts
    try:
        files = _kept(scheme.rstrip(":"), bucket)
    except ImportError as error:
        raise MissingExtraError(
            f"photos in object storage need {error.name or error}: pip install {EXTRA}"
        ) from error
    return files, "/".join([bucket, *names])


@cache
def _kept(scheme: str, bucket: str) -> "FileSystem":
    return connected(scheme, bucket, silence=_SILENCE)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="objects")


def _first(names: tuple[str, ...]) -> str | None:
    """The first of these environment variables that is set; pyarrow reads none of them."""
    return next(filter(None, map(os.environ.get, names)), None)
