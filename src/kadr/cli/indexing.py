"""Indexing as a person sees it: how far it is, what came of it, and following folders."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kadr.cli.console import Stage, hint, print_json, printable, progress
from kadr.errors import DataError, LibraryError

if TYPE_CHECKING:
    from kadr.library.ingest import Outcome, Watcher
    from kadr.library.library import Library

QUIET = 500
"""Milliseconds without a change after which a followed folder is looked at."""
PATIENCE = 3000
"""Milliseconds after which it is looked at though changes go on."""


@dataclass(frozen=True)
class Indexing:
    """How an indexing is to go; the options of `kadr index`."""

    prune: bool = False
    retry: bool = False
    reencode: bool = False
    as_json: bool = False


def index(library: "Library", folders: Sequence[Path], how: Indexing) -> "Outcome":
    """Bring the library in step with folders, and say what came of it."""
    outcome, seconds = _index(library, folders, how)
    _tell(library, outcome, seconds, how)
    return outcome


def follow(library: "Library", folders: Sequence[Path], how: Indexing) -> None:
    """Index folders, then whatever changes in them, until stopped.

    Raises:
        LibraryError: the folders can't be followed.
    """
    there = [folder for folder in folders if folder.is_dir()]
    changes = _changes(there, library.path)
    next(changes)  # from here on nothing is missed
    index(library, folders, how)
    count = "1 folder" if len(there) == 1 else f"{len(there)} folders"
    typer.echo(f"Following {count}. Ctrl-C stops.", err=True)
    again = Indexing(prune=how.prune, as_json=how.as_json)
    for paths in changes:
        touched = _touched(paths, there)
        if touched:
            with suppress(DataError):  # it is gone by now, which is the next change
                outcome, seconds = _index(library, touched, again)
                if outcome.files != outcome.unchanged or outcome.gone or outcome.pruned:
                    _tell(library, outcome, seconds, again)


def _index(library: "Library", folders: Sequence[Path], how: Indexing) -> tuple["Outcome", float]:
    started = time.monotonic()
    with progress() as stage:
        outcome = library.index(
            folders,
            prune=how.prune,
            retry=how.retry,
            reencode=how.reencode,
            watcher=_watcher(stage),
            on_wait=_say_waiting,
        )
    return outcome, time.monotonic() - started


def _watcher(stage: Stage) -> "Watcher":
    from kadr.library.ingest import Watcher

    start: list[tuple[float, int]] = []

    def advance(done: int, skipped: int, total: int) -> None:
        now = time.monotonic()
        if done <= (start[0][1] if start else done):  # the next folder's count begins anew
            start[:] = [(now, done)]
        rate = (done - start[0][1]) / max(now - start[0][0], 1e-3)
        stage("photos", done, total, f"{rate:.0f}/s, {skipped} skipped")

    def skip(path: Path, reason: str) -> None:
        typer.echo(f"kadr: {printable(path)}: {reason}", err=True)

    return Watcher(advance, skip)


def _say_waiting() -> None:
    typer.echo(
        "kadr: another process is indexing this library; waiting for it (Ctrl-C gives up)", err=True
    )


def _tell(library: "Library", outcome: "Outcome", seconds: float, how: Indexing) -> None:
    if how.as_json:
        told = {"library": library.path, "policy": library.policy.name, **asdict(outcome)}
        print_json({**told, "seconds": round(seconds, 3)})
    else:
        _print(library.path, outcome, seconds)
    for folder in outcome.absent:
        typer.echo(
            f"kadr: {printable(folder)} isn't there or is empty, as a disk that isn't mounted is. "
            "What the library knows of it was kept; kadr library remove forgets it.",
            err=True,
        )


def _print(library: Path, outcome: "Outcome", seconds: float) -> None:
    counts = {
        "new": outcome.encoded,
        "renamed, moved or copied": outcome.known,
        "unchanged": outcome.unchanged,
        "no longer there": outcome.gone if not outcome.pruned else 0,
        "forgotten": outcome.pruned,
        "skipped": outcome.skipped,
    }
    told = ", ".join(f"{count:,} {word}" for word, count in counts.items() if count)
    rate = f" ({outcome.encoded / seconds:.0f} photos/s)" if outcome.encoded else ""
    typer.echo(f"{printable(library)}: {told or 'no photo found'}; {seconds:.1f} s{rate}")
    if outcome.skipped:
        hint("What was skipped, and why: kadr library problems")
    if outcome.gone and not outcome.pruned:
        hint("Paths that are no longer there are hidden; kadr index --prune forgets them.")
    if outcome.encoded and not (outcome.unchanged or outcome.known):
        hint("Now search: kadr search what you look for")


def _changes(folders: Sequence[Path], library: Path) -> Iterator[set[Path]]:
    """Paths that changed, the library's own files left out; first, at once, none."""
    from watchfiles import watch

    if not folders:
        raise LibraryError("No folder of the library is there, so none can be followed.")
    own = library.resolve()
    try:
        for changes in watch(
            *folders,
            watch_filter=None,
            debounce=PATIENCE,
            step=QUIET,
            rust_timeout=QUIET,
            yield_on_timeout=True,
            raise_interrupt=True,
            ignore_permission_denied=True,
        ):
            paths = {Path(path) for _, path in changes}
            yield {p for p in paths if not (p.parent == own.parent and p.name.startswith(own.name))}
    except (OSError, RuntimeError) as error:
        raise LibraryError(
            f"The folders can't be followed ({error}). Linux allows more with sysctl "
            "fs.inotify.max_user_watches; or run kadr index now and then."
        ) from error


def _touched(paths: Iterable[Path], folders: Sequence[Path]) -> list[Path]:
    """The folders to look at again: the nearest that are there, none inside another."""
    parents = set()
    for path in paths:
        parent = path.parent
        while not parent.is_dir() and parent != parent.parent:
            parent = parent.parent
        if any(parent.is_relative_to(folder) for folder in folders):
            parents.add(parent)
    return sorted(p for p in parents if not any(q in parents for q in p.parents))
