"""Where photos and Parquet files lie: a folder here, or a bucket of an object store.

Object stores are reached by pyarrow: the credentials are found as their own tools find them.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from kadr.errors import DataError, KadrError, MissingExtraError
from kadr.photos import files

if TYPE_CHECKING:
    from pyarrow import NativeFile
    from pyarrow.fs import FileSystem

EXTRA = "'kadr[cluster]'"
SCHEMES = ("s3", "gs", "az")
"""Amazon S3 and whatever speaks like it, Google Cloud Storage, Azure Blob Storage."""
LOOKUP = 1000
"""Objects that are asked for at once."""
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_ACCOUNTS = ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT")


@dataclass(frozen=True, slots=True)
class Found:
    """An object: its URL or path, size in bytes, and time of change in ns."""

    url: str
    size: int
    modified: int


def is_url(place: str) -> bool:
    """Whether a place is in an object store.

    Raises:
        DataError: it is a URL of a kind that can't be read.
    """
    scheme, mark, rest = place.partition("://")
    if not mark:
        return False
    if scheme not in SCHEMES or not rest.strip("/"):
        kinds = ", ".join(f"{one}://BUCKET/FOLDER" for one in SCHEMES)
        raise DataError(f"{place}: can't be read. Name a folder, or {kinds}.")
    return True


def pure(place: str) -> PurePath:
    """A place as a path whose parts are its names: a bucket is the topmost folder."""
    return PurePosixPath("/" + place.partition("://")[2]) if is_url(place) else Path(place)


class Bucket:
    """What lies below one URL of an object store."""

    def __init__(self, url: str) -> None:
        """Connect.

        Raises:
            MissingExtraError: pyarrow isn't installed.
            DataError: the store can't be reached.
        """
        self.url = url.rstrip("/")
        self._scheme, _, rest = self.url.partition("://")
        try:
            self._files = _connected(self._scheme, rest.partition("/")[0])
        except ImportError as error:
            raise missing(error) from error
        except (OSError, ValueError) as error:
            raise self._unreachable(url, error) from error

    def found(self) -> Iterator[Found]:
        """All objects below the URL, by name.

        Raises:
            DataError: they can't be listed.
        """
        from pyarrow.fs import FileSelector, FileType

        try:
            listed = self._files.get_file_info(FileSelector(self._key(self.url), recursive=True))
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._unreachable(self.url, error) from error
        for one in sorted(listed, key=lambda info: str(info.path)):
            if one.type == FileType.File:
                yield Found(f"{self._scheme}://{one.path}", one.size, one.mtime_ns or 0)

    def states(self, urls: Sequence[str]) -> Iterator[Found | None]:
        """Objects by their URLs; None where there is none.

        Raises:
            DataError: the store can't be reached.
        """
        from pyarrow.fs import FileType

        for start in range(0, len(urls), LOOKUP):
            part = urls[start : start + LOOKUP]
            try:
                infos = self._files.get_file_info([self._key(url) for url in part])
            except OSError as error:
                raise self._unreachable(self.url, error) from error
            for url, info in zip(part, infos, strict=True):
                there = info.type == FileType.File
                yield Found(url, info.size, info.mtime_ns or 0) if there else None

    def read(self, url: str) -> bytes:
        """An object's content.

        Raises:
            OSError: it can't be read.
        """
        with self._files.open_input_stream(self._key(url)) as stream:
            return bytes(stream.read())

    def open(self, url: str) -> "NativeFile":
        """An object, to read parts of it.

        Raises:
            OSError: it can't be read.
        """
        return self._files.open_input_file(self._key(url))

    def write(self, url: str, content: bytes) -> None:
        """Write an object. Readers see it whole, or not at all, once it is closed.

        Raises:
            KadrError: it can't be written.
        """
        try:
            with self._files.open_output_stream(self._key(url)) as stream:
                stream.write(content)
        except OSError as error:
            raise KadrError(f"{url}: can't be written ({line(error)}).") from error

    def _key(self, url: str) -> str:
        return url.partition("://")[2]

    def _unreachable(self, url: str, error: Exception) -> DataError:
        return DataError(
            f"{url}: can't be reached ({line(error)}). Check its name, the network and the "
            "credentials."
        )


class Folder:
    """What lies in one folder here, by the same calls."""

    def __init__(self, path: str) -> None:
        self.url = os.fspath(files.spelled(Path(path).expanduser().absolute()))

    def found(self) -> Iterator[Found]:
        """The files in the folder, by name; none where it isn't there.

        Raises:
            DataError: it can't be read.
        """
        try:
            paths = sorted(Path(self.url).iterdir())
        except FileNotFoundError:
            return
        except OSError as error:
            raise DataError(f"{self.url}: can't be read ({error.strerror or error}).") from error
        for path in paths:
            state = files.state(path)
            if state is not None:
                yield Found(os.fspath(path), *state)

    def read(self, url: str) -> bytes:
        """A file's content.

        Raises:
            OSError: it can't be read.
        """
        return Path(url).read_bytes()

    def open(self, url: str) -> "NativeFile":
        """A file, to read parts of it.

        Raises:
            OSError: it can't be read.
        """
        import pyarrow as pa

        return pa.OSFile(url)

    def write(self, url: str, content: bytes) -> None:
        """Write a file, beside its place first. Raises KadrError where it can't be written."""
        files.save(Path(url), content)


def opened(place: str) -> Bucket | Folder:
    """A place to read Parquet files from, or to write them to. Raises as `Bucket` does."""
    return Bucket(place) if is_url(place) else Folder(place)


def missing(error: ImportError) -> MissingExtraError:
    """What a person has to install."""
    return MissingExtraError(
        f"encoding for many machines needs {error.name or error}: pip install {EXTRA}"
    )


def line(error: Exception) -> str:
    """What an error says, on one line."""
    said = getattr(error, "strerror", None) or str(error)
    first = str(said).strip().partition("\n")[0]
    return shorten(first, 200, placeholder=" …") or type(error).__name__


def _connected(scheme: str, bucket: str) -> "FileSystem":
    from pyarrow import fs

    if scheme == "gs":
        return fs.GcsFileSystem()
    if scheme == "az":
        account = _first(_ACCOUNTS)
        if account is None:
            raise DataError(f"az://{bucket}: whose? Set AZURE_STORAGE_ACCOUNT_NAME.")
        return fs.AzureFileSystem(account, account_key=os.environ.get("AZURE_STORAGE_KEY"))
    settings: dict[str, Any] = {"endpoint_override": _first(_ENDPOINTS)}
    region = _first(("AWS_REGION", "AWS_DEFAULT_REGION"))
    if region is None and settings["endpoint_override"] is None:
        region = fs.resolve_s3_region(bucket)
    return fs.S3FileSystem(region=region, **settings)


def _first(names: tuple[str, ...]) -> str | None:
    """The first of these environment variables that is set; pyarrow reads none of them."""
    return next(filter(None, map(os.environ.get, names)), None)
