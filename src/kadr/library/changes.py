"""What changed below a folder since it was indexed: by size and time of change, nothing is read."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from kadr.encoding.steps import stated
from kadr.errors import DataError
from kadr.photos import films, folders, sidecars
from kadr.photos.folders import Entry
from kadr.photos.ignore import Rules
from kadr.photos.objects import is_object
from kadr.stores import FileState, NewFile, Store
from kadr.stores.columns import path_of
from kadr.types import Sidecar, Skipped


def rules_for(store: Store, folder: Path) -> Rules:
    """What is left out below a folder: by the library's folder that holds it, else by itself."""
    roots = [root for root in store.folders() if folder.is_relative_to(root)]
    return Rules(roots[0] if roots else folder, store.excluded())


@dataclass(frozen=True, slots=True)
class ChangedFilm:
    """A film that is new or changed, and the paths that the library knows of it and its frames.

    `same`: only what lies beside it changed.
    """

    file: NewFile
    known: tuple[bytes, ...]
    same: bool = False


@dataclass
class Changes:
    """What a walk through a folder finds, compared with what the library knows."""

    seen: set[bytes] = field(default_factory=set)
    changed: list[NewFile] = field(default_factory=list)
    same: set[bytes] = field(default_factory=set)
    """Paths that didn't change, though they may be read again, or what lies beside them."""
    back: list[bytes] = field(default_factory=list)
    broken: int = 0
    closed: list[bytes] = field(default_factory=list)
    """Folders that can't be listed: nothing is concluded about the files in them."""
    skipped: list[Skipped] = field(default_factory=list)
    """Those folders, and files of patterns that can't be understood."""
    films: list[ChangedFilm] = field(default_factory=list)
    known_films: int = 0
    replaced: set[bytes] = field(default_factory=set)
    """Paths of the changed films, and of the frames that they had; `seen` holds them too."""
    ignored: Counter[str] = field(default_factory=Counter)
    unsupported: Counter[str] = field(default_factory=Counter)

    def gone(self, states: Mapping[bytes, FileState]) -> list[bytes]:
        """Paths that were there."""
        closed = tuple(self.closed)
        return [
            path
            for path, state in states.items()
            if path not in self.seen and not state.missing and not path.startswith(closed)
        ]


def find_changes(
    store: Store, folder: Path, states: Mapping[bytes, FileState], *, retry: bool, reread: bool
) -> Changes:
    """Compare what is below a folder with what the library knows of it; sidecars are unread.

    Args:
        store: the library.
        folder: absolute.
        states: what the library knows of the paths below it.
        retry: what couldn't be decoded counts as changed.
        reread: so does everything else.

    Raises:
        DataError: the folder isn't there or can't be read.
    """
    rules, changes = rules_for(store, folder), Changes()
    frames = _frames(states)
    for entry in _walk(folder, rules):
        if entry.met == "film":
            own = frames.get(os.fsencode(entry.path), [])
            _compare_film(changes, _stated(entry), own, states, again=reread, retry=retry)
        elif entry.met == "photo":
            _compare(changes, _stated(entry), states, retry=retry, reread=reread)
        elif entry.met == "unreadable":
            changes.closed.append(os.fsencode(entry.path) + os.sep.encode())
            changes.skipped.append(Skipped(entry.path, entry.reason))
        else:
            (changes.ignored if entry.met == "ignored" else changes.unsupported)[entry.reason] += 1
    changes.skipped += [Skipped(path, reason) for path, reason in rules.problems]
    return changes


def left_out(store: Store) -> Iterator[Entry]:
    """What is left out below the library's folders, as far as they are there."""
    for folder in store.folders():
        if is_object(folder):  # what an object store holds is listed where it is encoded
            continue
        with suppress(DataError):
            rules = rules_for(store, folder)
            yield from (
                entry for entry in _walk(folder, rules) if entry.met not in {"photo", "film"}
            )
            yield from (Entry(path, "unreadable", reason) for path, reason in rules.problems)


def _walk(folder: Path, rules: Rules) -> Iterator[Entry]:
    try:
        reason = rules.excludes(folder)
    except OSError as error:
        raise DataError(f"{folder}: can't be read ({error.strerror or error}).") from error
    if reason is not None:
        folders.check(folder)
        yield Entry(folder, "ignored", reason)
    else:
        yield from folders.walk(folder, rules)


def _stated(entry: Entry) -> NewFile:
    """A file with its state, and with that of its sidecars, which are unread."""
    beside = sidecars.state_beside(entry.path.parent, entry.sidecars)
    return replace(stated(entry.path), sidecar=Sidecar(beside) if beside else None)


def _compare(
    changes: Changes,
    file: NewFile,
    states: Mapping[bytes, FileState],
    *,
    retry: bool,
    reread: bool,
) -> None:
    path = os.fsencode(file.path)
    changes.seen.add(path)
    state = states.get(path)
    if state is None or not _same(state, file, retry=retry):
        changes.changed.append(file)
        return
    if not _same_beside(state, file):
        changes.same.add(path)
        changes.changed.append(file)
        return
    if state.missing:
        changes.back.append(path)
    if reread and not state.broken:
        changes.same.add(path)
        changes.changed.append(file)
    else:
        changes.broken += state.broken


def _frames(states: Mapping[bytes, FileState]) -> dict[bytes, list[bytes]]:
    """The frames that are known, by the paths of their films."""
    mark, found = films.MARK.encode(), dict[bytes, list[bytes]]()
    for path in states:
        if mark in path and (frame := films.frame_named(path_of(path))) is not None:
            found.setdefault(os.fsencode(frame.film), []).append(path)
    return found


def _compare_film(
    changes: Changes,
    film: NewFile,
    frames: Sequence[bytes],
    states: Mapping[bytes, FileState],
    *,
    again: bool,
    retry: bool,
) -> None:
    """A film is as it was where all its frames are, or where it itself is known as unreadable."""
    path = os.fsencode(film.path)
    own = [*frames, *([path] if path in states else [])]
    changes.seen.update(own)
    same = bool(own) and all(_same(states[one], film, retry=retry) for one in own)
    if again or not same or not all(_same_beside(states[one], film) for one in own):
        changes.seen.add(path)
        changes.replaced.update([path, *own])
        changes.films.append(ChangedFilm(film, tuple(own), same))
        return
    changes.known_films += 1
    changes.back += [one for one in own if states[one].missing]
    changes.broken += sum(states[one].broken for one in own)


def _same(state: FileState, file: NewFile, *, retry: bool) -> bool:
    return (
        (state.size, state.modified) == (file.size, file.modified)
        and state.settled
        and not (retry and state.broken)
    )


def _same_beside(state: FileState, file: NewFile) -> bool:
    return state.sidecar == (file.sidecar.state if file.sidecar else "")
