"""Flow: what `kadr encode` wrote -> library. The same rows that indexing makes; nothing is decoded.

Rows are checked as a stranger's. Each batch is one transaction, so an interrupted run goes on.
"""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path, PurePosixPath

from kadr.encoding import storage
from kadr.encoding.parts import Output, Survey
from kadr.encoding.rows import About, Row
from kadr.errors import LibraryError
from kadr.library.ingest import PASSED, IndexCallbacks, joined
from kadr.matcher.bundle import Matcher
from kadr.photos import files
from kadr.stores import FileState, NewFile, NewPhoto, Store
from kadr.types import Assessment


@dataclass(frozen=True, slots=True)
class Loaded:
    """What loading did, counted in files.

    `loaded` contents are new to the library; `known` files are new paths of contents that it had;
    `unchanged` files it knew already; `skipped` couldn't be read when they were encoded, or are no
    photos; `changed` files are others by now, and `gone` ones no longer there: neither is loaded.
    """

    files: int = 0
    unchanged: int = 0
    loaded: int = 0
    known: int = 0
    skipped: int = 0
    changed: int = 0
    gone: int = 0

    def plus(self, other: "Loaded") -> "Loaded":
        """Both together."""
        sums = (getattr(self, one.name) + getattr(other, one.name) for one in fields(self))
        return Loaded(*sums)


@dataclass(frozen=True)
class Place:
    """Where the encoded photos lie here.

    `root` is the folder or URL that they were encoded from, `folder` the one that holds the same
    files here. `remote`: they were in an object store, whose times of change are its own.
    """

    root: str
    folder: Path
    remote: bool

    def path(self, row: Row) -> Path:
        """Where a row's file lies here.

        Raises:
            LibraryError: it lies beside the root.
        """
        below = row.path.removeprefix(self.root.rstrip("/") + "/")
        if below == row.path or PurePosixPath(below).is_absolute():
            raise LibraryError(f"{row.path!r} isn't below {self.root}. Encode again.")
        return self.folder / below


def place(about: About, at: Path | None, where: str) -> Place:
    """Where encoded photos lie here.

    Args:
        about: what their rows note.
        at: the folder that holds the same tree; None: the one that they were encoded from.
        where: the rows' own place, for what is said.

    Raises:
        LibraryError: they were encoded from an object store, and no folder is named.
    """
    remote = storage.is_url(about.root)
    if remote and at is None:
        raise LibraryError(
            f"{where}: its photos are in {about.root}, and a library opens files. Mount it, and "
            "name the folder: --at FOLDER"
        )
    return Place(about.root, Path(about.root) if at is None else at, remote)


def is_there(survey: Survey, at: Place) -> bool:
    """Whether any of the photos lies where they are said to, or none could be read anywhere."""
    root = at.root.rstrip("/") + "/"
    paths = [path for path, size, _ in survey.done if size >= 0]
    return not paths or any(os.path.lexists(at.folder / path.removeprefix(root)) for path in paths)


def check(about: About, matcher: Matcher, where: str) -> None:
    """Raises LibraryError where rows hold vectors of another encoder than the matcher's."""
    encoder = matcher.image_encoder
    if (about.encoder, about.dim) != (encoder.name, encoder.dim):
        raise LibraryError(
            f"{where} holds vectors of {about.encoder}, this library's matcher makes those of "
            f"{encoder.name}. Encode with the library's model, or name the one that encoded: "
            "--model MODEL"
        )


def load(
    store: Store,
    matcher: Matcher,
    output: Output,
    survey: Survey,
    at: Place,
    callbacks: IndexCallbacks,
) -> Loaded:
    """Add what was encoded to a library.

    Args:
        store: the library, `writing` held, of this matcher (`kadr.library.ingest.adopt`).
        matcher: whose image encoder made the vectors (`check`).
        output: where the rows are.
        survey: of the same.
        at: where the photos are.
        callbacks: report progress, what is skipped, and what is kept.

    Raises:
        DataError: a row isn't as `kadr encode` writes it. What was loaded before it stays.
        LibraryError: the library can't be written.
    """
    loading = _Loading(store, matcher, at, callbacks, _latest(survey) if at.remote else {})
    result = Loaded()
    callbacks.progress(0, 0, survey.count)
    for name in output.names():
        waiting = output.rows(name)
        while rows := list(islice(waiting, PASSED)):
            result = result.plus(loading.keep(rows))
            callbacks.progress(result.files, result.skipped, survey.count)
    store.sweep()
    return result


def _latest(survey: Survey) -> dict[str, int]:
    """When each photo changed last that was encoded: an object store lists one version only."""
    latest: dict[str, int] = {}
    for path, _, modified in survey.done:
        latest[path] = max(modified, latest.get(path, modified))
    return latest


class _Loading:
    """Puts rows into a library, batch by batch."""

    def __init__(
        self,
        store: Store,
        matcher: Matcher,
        at: Place,
        callbacks: IndexCallbacks,
        latest: dict[str, int],
    ) -> None:
        self._store, self._matcher = store, matcher
        self._at, self._callbacks, self._latest = at, callbacks, latest
        self._states = store.states(at.folder)
        self._unread: set[str] = set()

    def keep(self, rows: Sequence[Row]) -> Loaded:
        """Keep a batch; what became of each row."""
        found: Counter[str] = Counter(files=len(rows))
        new: list[tuple[Row, NewFile]] = []
        for row in rows:
            file = self._file(row)
            if isinstance(file, str):
                found[file] += 1
            else:
                new.append((row, file))
        photos = self._photos(row for row, _ in new)
        self._store_all(photos, new)
        for row, file in new:
            found[self._outcome(row, file, photos)] += 1
        return Loaded(**found)

    def _file(self, row: Row) -> NewFile | str:
        """A row's file as it lies here, or which count it belongs to instead."""
        if row.digest is None and row.path in self._unread:  # tried again, in vain
            return "unchanged"
        path = self._at.path(row)
        state = files.state(path)
        if state is None and row.size >= 0:
            return "gone"
        if state is not None and not self._is_current(row, state):
            return "changed"
        size, modified = state or (row.size, row.modified)
        file = NewFile(path, size, modified, row.digest, None if row.digest else row.problem)
        if row.digest is None:
            self._unread.add(row.path)
        return "unchanged" if _same(self._states.get(os.fsencode(path)), file) else file

    def _is_current(self, row: Row, state: tuple[int, int]) -> bool:
        if not self._at.remote:
            return state == (row.size, row.modified)
        newest = self._latest.get(row.path, row.modified)
        return state[0] == row.size and row.modified >= newest

    def _photos(self, rows: Iterable[Row]) -> dict[bytes, tuple[NewPhoto, Assessment | None]]:
        """Contents that the library doesn't know, each once, with their assessments."""
        new = {
            row.digest: row
            for row in rows
            if row.digest is not None and not self._store.settled(row.digest)
        }
        placed = joined(self._matcher, (row.photo for row in new.values() if row.photo))
        photos = {photo.digest: photo for photo in placed}
        return {
            digest: (photos.get(digest) or NewPhoto(digest, problem=row.problem), row.assessment)
            for digest, row in new.items()
        }

    def _store_all(
        self,
        photos: dict[bytes, tuple[NewPhoto, Assessment | None]],
        new: Sequence[tuple[Row, NewFile]],
    ) -> None:
        """Keep contents and files, then assess: faces that a worker saw aren't looked for again."""
        store = self._store
        with store.durable():
            store.keep([photo for photo, _ in photos.values()], [file for _, file in new])
            seen = {
                number: assessment
                for digest, (_, assessment) in photos.items()
                if assessment is not None
                for number in store.numbers([digest])
            }
            store.keep_assessments(seen)
            digests = dict.fromkeys(file.digest for _, file in new if file.digest is not None)
            self._callbacks.kept(store.numbers(digests))

    def _outcome(
        self,
        row: Row,
        file: NewFile,
        photos: dict[bytes, tuple[NewPhoto, Assessment | None]],
    ) -> str:
        """Which count a row belongs to; a content is new once."""
        problem = file.problem or (row.digest and self._store.problem(row.digest))
        if problem:
            self._callbacks.skip(file.path, problem)
            return "skipped"
        is_new = row.digest is not None and photos.pop(row.digest, None) is not None
        return "loaded" if is_new else "known"


def _same(state: FileState | None, file: NewFile) -> bool:
    """Whether a file is in the library as it is."""
    return (
        state is not None
        and (state.size, state.modified) == (file.size, file.modified)
        and state.settled
        and not state.missing
    )
