"""Parts: what is to be encoded, cut into pieces, and the Parquet file that each becomes.

A part's name is a digest of the photos in it. Its file appears whole or not at all, last of all, so
what has a file is done; who does a part twice writes the same file twice.
"""

import hashlib
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from kadr.encoding import columns, rows, storage
from kadr.encoding.rows import About, Row
from kadr.encoding.sources import Entry
from kadr.errors import DataError
from kadr.photos import object_store

if TYPE_CHECKING:
    from pyarrow import NativeFile, RecordBatch
    from pyarrow.parquet import ParquetFile

SIZE = 1000
"""Photos in a part, unless asked otherwise: what a killed worker has to do again."""
_KEY = ("path", "size", "modified", "sidecar_state", "digest")
_PREFIX, _SUFFIX = "part-", ".parquet"

Key: TypeAlias = tuple[str, int, int, str]
"""Path or URL, size and time of change of a photo, and the state of its sidecars."""


@dataclass(frozen=True)
class Part:
    """Photos that are encoded and written together."""

    entries: tuple[Entry, ...]

    @property
    def name(self) -> str:
        """Of its file: the same for the same photos, whoever encodes them."""
        digest = hashlib.sha256()
        for entry in self.entries:
            digest.update(repr(entry.key).encode("utf-8", "surrogateescape"))
        return f"{_PREFIX}{digest.hexdigest()[:24]}{_SUFFIX}"


@dataclass(frozen=True)
class Survey:
    """What part files hold: what they note, the photos that are done, and how many rows."""

    about: About | None
    done: set[Key]
    count: int


def plan(entries: Iterable[Entry], done: set[Key], size: int) -> list[Part]:
    """Cut what isn't done into parts of so many photos, in their order."""
    left = [entry for entry in entries if entry.key not in done]
    return [Part(tuple(left[start : start + size])) for start in range(0, len(left), size)]


class Output:
    """A folder or URL of part files."""

    def __init__(self, place: str) -> None:
        """Look there; nothing is written. Raises as `kadr.encoding.storage.Bucket` does."""
        self._place = storage.opened(place)
        self.place = self._place.url

    def names(self) -> list[str]:
        """URLs or paths of the part files, by name. Raises DataError where they can't be listed."""
        start = f"{self.place.rstrip('/')}/{_PREFIX}"
        return [
            one.url
            for one in self._place.found()
            if one.url.startswith(start) and one.url.endswith(_SUFFIX)
            and "/" not in one.url[len(start) :]
        ]  # fmt: skip

    def writing(self) -> AbstractContextManager[None]:
        """Be the only process here that writes into a folder. No object store can tell.

        Raises:
            DataError: another one does.
        """
        return _locked(Path(self.place)) if not storage.is_url(self.place) else nullcontext()

    def write(self, part: Part, done: Sequence[Row], about: About) -> None:
        """Write a part's file, whole. Raises KadrError where it can't be written."""
        from pyarrow import parquet

        sink = io.BytesIO()
        # Vectors don't repeat: a dictionary of them would cost time and save nothing.
        named = ["path", "kind", "camera", "problem"]
        table = rows.to_table(done, about)
        parquet.write_table(table, sink, compression="zstd", use_dictionary=named)
        self._place.write(f"{self.place.rstrip('/')}/{part.name}", sink.getvalue())

    def survey(self) -> Survey:
        """What all part files hold together, vectors unread.

        Raises:
            DataError: one isn't as `kadr encode` writes them, or they differ from each other.
        """
        about: About | None = None
        done: set[Key] = set()
        count = 0
        for name in self.names():
            with self._open(name) as (noted, file, source):
                for batch in columns.batches(file, source, rows.MOST_WRITTEN, _KEY):
                    done.update(_keys(batch))
                count += file.metadata.num_rows
            if about is not None and noted != about:
                raise DataError(
                    f"{self.place}: holds parts of different runs, such as {name}. Name a place for"
                    " each model, law and source."
                )
            about = noted
        return Survey(about, done, count)

    def rows(self, name: str) -> Iterator[Row]:
        """The rows of a part file, each checked. Raises as `survey` does."""
        import pyarrow as pa

        with self._open(name) as (noted, file, source):
            for batch in columns.batches(file, source, rows.MOST_WRITTEN):
                yield from rows.from_table(pa.Table.from_batches([batch]), noted, name)

    @contextmanager
    def _open(self, name: str) -> "Iterator[tuple[About, ParquetFile, NativeFile]]":
        """What a part file notes, the file, and its bytes, if it isn't larger than any part."""
        try:
            import pyarrow as pa
            from pyarrow import parquet
        except ImportError as error:
            raise storage.missing(error) from error

        try:
            with self._place.open(name) as source, parquet.ParquetFile(source) as file:
                if columns.is_huge(file.metadata):
                    raise rows.foreign(name, "is larger than any part")
                yield rows.about(file.schema_arrow, name), file, source
        except (OSError, ValueError, pa.ArrowException) as error:
            raise rows.foreign(name, f"can't be read ({object_store.line(error)})") from error


def _keys(batch: "RecordBatch") -> Iterator[Key]:
    """Of the photos whose content was read: what couldn't be is tried again.

    Raises:
        ValueError: a path, a size, a time or a state is missing.
    """
    if any(batch.column(name).null_count for name in _KEY[:4]):
        raise ValueError("a row lacks its path, its size, its time or its sidecars' state")
    values = (batch.column(name).to_pylist() for name in _KEY)
    for path, size, modified, beside, digest in zip(*values, strict=True):
        if digest is not None:
            yield os.fsdecode(path), size, modified, beside


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout as error:
        raise DataError(f"{folder}: another kadr encode writes there. Wait for it.") from error
    except NotADirectoryError as error:
        raise DataError(f"{folder}: a file is in its place. Name a folder.") from error
    except FileExistsError as error:
        raise DataError(f"{folder}: a file. Name a folder.") from error
    except PermissionError as error:
        raise DataError(f"{folder}: can't be written ({error.strerror}). Name another.") from error
