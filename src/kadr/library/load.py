"""Flow: what `kadr encode` wrote -> library. The same rows that indexing makes; nothing is decoded.

Rows are checked as a stranger's. Each batch is one transaction, so an interrupted run goes on.
"""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import compress, islice
from pathlib import Path

from kadr.encoding import storage
from kadr.encoding.parts import Output, Survey
from kadr.encoding.rows import About, Row
from kadr.encoding.sources import sidecars_below
from kadr.errors import DataError, LibraryError
from kadr.law import scene
from kadr.library import placing
from kadr.library.admission import Admission, are_current, check_root
from kadr.library.ingest import PASSED, IndexCallbacks, joined
from kadr.matcher.bundle import Matcher
from kadr.photos import files, sidecar_facts, sidecars
from kadr.photos.files import State
from kadr.photos.folders import check as check_folder
from kadr.photos.objects import NO_PATH, is_object, is_spelled, located
from kadr.stores import FileState, NewFile, NewPhoto, Store
from kadr.types import Assessment, Sidecar


@dataclass(frozen=True, slots=True)
class Loaded:
    """What loading did, counted in files.

    `loaded` contents are new to the library; `known` files are new paths of contents that it had;
    `unchanged` files it knew already; `skipped` couldn't be read when they were encoded, are no
    photos, or lie beside the root; `ignored` ones are left out by the library's rules; `changed`
    files are others by now, and `gone` ones no longer there: none of these is loaded.
    """

    files: int = 0
    unchanged: int = 0
    loaded: int = 0
    known: int = 0
    skipped: int = 0
    ignored: int = 0
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
    files here, or the root itself. `remote`: it mounts an object store, whose times of change are
    its own. `scattered`: they lie in any of the library's folders.
    """

    root: str
    folder: Path
    remote: bool
    scattered: bool = False

    def path(self, row: Row) -> Path:
        """Where a row's file lies here.

        Raises:
            LibraryError: it lies beside the root, or its name is no path here (`a//b`).
        """
        if is_object(self.folder):
            path = located(row.path)
            if not is_spelled(row.path):
                raise LibraryError(NO_PATH)
            if path == self.folder or not path.is_relative_to(self.folder):
                raise LibraryError(f"no place below {self.root} has its name")
            return path
        below = row.path.removeprefix(self.root.rstrip("/") + "/")
        if below == row.path or not {"", ".", ".."}.isdisjoint(below.split("/")):
            raise LibraryError(f"no place below {self.root} has its name")
        return self.folder / below


def place(about: About, at: Path | None) -> Place:
    """Where encoded photos lie here.

    Args:
        about: what their rows note.
        at: the folder that holds the same tree; None, or the URL that they were encoded from: where
            they were encoded from.

    Raises:
        LibraryError: `at` is another URL.
    """
    root = located(about.root)
    if at is None or (is_object(at) and at == root):
        scattered = about.listed and not is_object(root)
        return Place(about.root, root, remote=False, scattered=scattered)
    if is_object(at):
        raise LibraryError(
            f"--at {at}: the photos were encoded from {about.root}. Name that, or a folder that "
            "holds them, such as a mount."
        )
    return Place(about.root, at, storage.is_url(about.root))


@dataclass(frozen=True)
class Source:
    """What `kadr encode` wrote, and where the photos lie here."""

    output: Output
    survey: Survey
    about: About
    place: Place


def found(encoded: str, at: Path | None, folders: Sequence[Path]) -> Source:
    """What was encoded, having checked that its photos lie where they are said to.

    Args:
        encoded: folder or URL of what `kadr encode` wrote.
        at: the folder that holds the photos; None: where they were encoded from.
        folders: those of the library, where they must lie if `at` is None.

    Raises:
        DataError: there is nothing there; the photos' folder isn't there, or holds none of them.
        LibraryError: the photos are in none of these folders, and `at` is missing or another URL.
    """
    output = Output(encoded)
    survey = output.survey()
    if survey.about is None:
        raise DataError(f"{encoded}: no encoded photos here. Make some: kadr encode SOURCE")
    where = place(survey.about, at)
    if at is None:
        check_root(survey.about, (path for path, *_ in survey.done), folders, encoded)
    if not is_object(where.folder):
        check_folder(where.folder)
        if not _is_there(survey, where):  # another folder: the library needn't know it
            raise DataError(
                f"{where.folder}: none of the photos lies here. Name the folder that holds them: "
                "--at FOLDER"
            )
    return Source(output, survey, survey.about, where)


def _is_there(survey: Survey, at: Place) -> bool:
    """Whether any of the photos lies where they are said to, or none could be read anywhere."""
    root = at.root.rstrip("/") + "/"
    paths = [path for path, size, _, _ in survey.done if size >= 0]
    return not paths or any(os.path.lexists(at.folder / path.removeprefix(root)) for path in paths)


def check(about: About, matcher: Matcher, where: str) -> None:
    """Whether rows hold vectors of the matcher's encoder, and of the law's or none besides.

    Raises:
        LibraryError: they hold others.
    """
    encoder = matcher.image_encoder
    if (about.encoder, about.dim) != (encoder.name, encoder.dim):
        raise LibraryError(
            f"{where} holds vectors of {about.encoder}, this library's matcher makes those of "
            f"{encoder.name}. Encode with the library's model, or name the one that encoded: "
            "--model MODEL"
        )
    classifier = scene.load()
    law = classifier.encoder, len(classifier.first.hidden)
    if about.law_encoder is not None and (
        (about.law_encoder, about.law_dim) != law or about.law_encoder == encoder.name
    ):
        raise LibraryError(
            f"{where} holds vectors of {about.law_encoder} for the law, which takes those of "
            f"{classifier.encoder}. Encode again with this version of kadr."
        )


def load(
    store: Store,
    matcher: Matcher,
    source: Source,
    callbacks: IndexCallbacks,
) -> Loaded:
    """Add what was encoded to a library.

    Args:
        store: the library, `writing` held, of this matcher (`kadr.library.ingest.adopt`).
        matcher: whose image encoder made the vectors (`check`).
        source: the rows, and where the photos are.
        callbacks: report progress, what is skipped, and what is kept.

    Raises:
        DataError: a row isn't as `kadr encode` writes it. What was loaded before it stays.
        LibraryError: the library can't be written.
    """
    survey = source.survey
    loading = _Loading(store, matcher, source.place, callbacks, survey)
    result = Loaded()
    callbacks.progress(0, 0, survey.count)
    for name in source.output.names():
        waiting = source.output.rows(name)
        while rows := list(islice(waiting, PASSED)):
            result = result.plus(loading.keep(rows))
            callbacks.progress(result.files, result.skipped, survey.count)
    loading.mark_gone()
    placing.rename(store)
    store.sweep()
    return result


class _Files:
    """What files are by now."""

    listed: Mapping[str, State] | None = None

    def __init__(self) -> None:
        self._folders = sidecars.Folders()

    def states(self, paths: Sequence[Path]) -> Iterable[State | None]:
        """Their states; None where there is none."""
        return map(files.state, paths)

    def sidecar(self, _row: Row, path: Path) -> Sidecar | None:
        """What is said beside a file: what lies there now."""
        return sidecar_facts.read_beside(path, self._folders.state(path))


class _Objects:
    """What objects are by now: `listed` at once below a root, asked for one by one of a list."""

    def __init__(self, root: str, *, listed: bool) -> None:
        self._bucket = storage.Bucket(root)
        self.listed: Mapping[str, State] | None = None
        if not listed:
            self.listed = {one.url: (one.size, one.modified) for one in self._bucket.found()}
            self._beside = sidecars_below(self.listed)

    def states(self, paths: Sequence[Path]) -> Iterable[State | None]:
        """Their states; None where there is none."""
        urls = list(map(os.fspath, paths))
        if self.listed is not None:
            return map(self.listed.get, urls)
        found = self._bucket.states(urls)
        return (None if one is None else (one.size, one.modified) for one in found)

    def sidecar(self, row: Row, path: Path) -> Sidecar | None:
        """What was said beside an object when it was encoded.

        Raises:
            ValueError: by now something else lies there.
        """
        if self.listed is not None:
            now = self._beside(os.fspath(path))
            if now != (row.sidecar.state if row.sidecar else ""):
                raise ValueError(f"{path}: its sidecar has changed")
        return row.sidecar


def _stated(at: Place, survey: Survey) -> _Files | _Objects:
    if not is_object(at.folder):
        return _Files()
    return _Objects(at.root, listed=survey.about is not None and survey.about.listed)


def _latest(survey: Survey) -> dict[str, int]:
    """When each photo changed last that was encoded: an object store lists one version only."""
    latest: dict[str, int] = {}
    for path, _, modified, _ in survey.done:
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
        survey: Survey,
    ) -> None:
        self._store, self._matcher = store, matcher
        self._at, self._callbacks = at, callbacks
        self._latest = _latest(survey) if at.remote else {}
        self._now = _stated(at, survey)
        self._states = store.states(at.folder)
        self._admission = Admission(store, None if at.scattered else at.folder)
        self._unread: set[str] = set()

    def keep(self, rows: Sequence[Row]) -> Loaded:
        """Keep a batch; what became of each row."""
        found: Counter[str] = Counter(files=len(rows))
        new: list[tuple[Row, NewFile]] = []
        paths = [self._path(row) for row in rows]
        states = iter(self._now.states([path for path in paths if path is not None]))
        for row, path in zip(rows, paths, strict=True):
            file = "skipped" if path is None else self._file(row, path, next(states))
            if isinstance(file, str):
                found[file] += 1
            else:
                new.append((row, file))
        current = are_current([file for _, file in new])
        found["changed"] += current.count(False)
        new = list(compress(new, current))
        photos = self._photos(row for row, _ in new)
        self._store_all(photos, new)
        for row, file in new:
            found[self._outcome(row, file, photos)] += 1
        return Loaded(**found)

    def _path(self, row: Row) -> Path | None:
        """Where a row's file lies here; None where its name is no path, as some objects' are."""
        try:
            return self._at.path(row)
        except LibraryError as error:
            self._callbacks.skip(located(row.path), str(error))
            return None

    def mark_gone(self) -> None:
        """Take objects that are no longer there out of the answers: no indexing looks for them."""
        listed = self._now.listed
        if listed is not None:
            known = (path for path, one in self._states.items() if not one.missing)
            gone = [path for path in known if os.fsdecode(path) not in listed]
            self._store.mark(gone, missing=True)

    def _file(self, row: Row, path: Path, state: State | None) -> NewFile | str:
        """A row's file as it lies here, or which count it belongs to instead."""
        if row.digest is None and row.path in self._unread:  # tried again, in vain
            return "unchanged"
        if self._admission.refuses(path) is not None:
            return "ignored"
        if state is None and row.size >= 0:
            return "gone"
        if state is not None and not self._is_current(row, state):
            return "changed"
        size, modified = state or (row.size, row.modified)
        problem = None if row.digest else row.problem
        try:
            said = self._now.sidecar(row, path)
        except ValueError:
            return "changed"
        file = NewFile(path, size, modified, row.digest, problem, said)
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
        placed = placing.named(
            joined(self._matcher, (row.photo for row in new.values() if row.photo))
        )
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
        and state.sidecar == (file.sidecar.state if file.sidecar else "")
    )
