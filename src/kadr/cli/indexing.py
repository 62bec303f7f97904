"""Indexing on the command line: progress, result, and watching folders."""

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
    from kadr.library.ingest import IndexCallbacks, IndexResult
    from kadr.library.library import Library

QUIET = 500
"""Milliseconds without a change before a watched folder is indexed again."""
PATIENCE = 3000
"""Milliseconds after which it is indexed although changes go on."""


@dataclass(frozen=True)
class Indexing:
    """The options of `kadr index`."""

    prune: bool = False
    retry: bool = False
    reencode: bool = False
    as_json: bool = False


def index(library: "Library", folders: Sequence[Path], how: Indexing) -> "IndexResult":
    """Bring the library in step with folders, and print the result."""
    result, seconds = _index(library, folders, how)
    _report(library, result, seconds, how)
    return result


def follow(library: "Library", folders: Sequence[Path], how: Indexing) -> None:
    """Index folders, then whatever changes in them, until stopped.

    Raises:
        LibraryError: the folders can't be watched.
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
                result, seconds = _index(library, touched, again)
                if result.files != result.unchanged or result.gone or result.pruned:
                    _report(library, result, seconds, again)


def _index(
    library: "Library", folders: Sequence[Path], how: Indexing
) -> tuple["IndexResult", float]:
    started = time.monotonic()
    with progress() as stage:
        result = library.index(
            folders,
            prune=how.prune,
            retry=how.retry,
            reencode=how.reencode,
            callbacks=_callbacks(stage),
            on_wait=_say_waiting,
        )
    return result, time.monotonic() - started


def _callbacks(stage: Stage) -> "IndexCallbacks":
    from kadr.library.ingest import IndexCallbacks

    start: list[tuple[float, int]] = []

    def advance(done: int, skipped: int, total: int) -> None:
        now = time.monotonic()
        if done <= (start[0][1] if start else done):  # the next folder's count begins anew
            start[:] = [(now, done)]
        rate = (done - start[0][1]) / max(now - start[0][0], 1e-3)
        stage("photos", done, total, f"{rate:.0f}/s, {skipped} skipped")

    def skip(path: Path, reason: str) -> None:
        typer.echo(f"kadr: {printable(path)}: {reason}", err=True)

    return IndexCallbacks(advance, skip)


def _say_waiting() -> None:
    typer.echo(
        "kadr: another process is indexing this library; waiting for it (Ctrl-C gives up)", err=True
    )


def _report(library: "Library", result: "IndexResult", seconds: float, how: Indexing) -> None:
    if how.as_json:
        place = {"library": library.path, "policy": library.policy.name}
        print_json({**place, **asdict(result), "seconds": round(seconds, 3)})
    else:
        _print(library.path, result, seconds)
    for folder in result.absent:
        typer.echo(
            f"kadr: {printable(folder)} isn't there or is empty, as a disk that isn't mounted is. "
            "What the library knows of it was kept; kadr library remove forgets it.",
            err=True,
        )


def _print(library: Path, result: "IndexResult", seconds: float) -> None:
    counts = {
        "new": result.encoded,
        "renamed, moved or copied": result.known,
        "unchanged": result.unchanged,
        "no longer there": result.gone if not result.pruned else 0,
        "forgotten": result.pruned,
        "skipped": result.skipped,
    }
    summary = ", ".join(f"{count:,} {word}" for word, count in counts.items() if count)
    rate = f" ({result.encoded / seconds:.0f} photos/s)" if result.encoded else ""
    typer.echo(f"{printable(library)}: {summary or 'no photo found'}; {seconds:.1f} s{rate}")
    if result.skipped:
        hint("What was skipped, and why: kadr library problems")
    if result.gone and not result.pruned:
        hint("Paths that are no longer there are hidden; kadr index --prune forgets them.")
    if result.encoded and not (result.unchanged or result.known):
        hint("Now search: kadr search what you look for")


def _changes(folders: Sequence[Path], library: Path) -> Iterator[set[Path]]:
    """Paths that changed, without the library's own files; the first set is empty and immediate."""
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
    """The folders to index again: the nearest that exist, none inside another."""
    parents = set()
    for path in paths:
        parent = path.parent
        while not parent.is_dir() and parent != parent.parent:
            parent = parent.parent
        if any(parent.is_relative_to(folder) for folder in folders):
            parents.add(parent)
    return sorted(p for p in parents if not any(q in parents for q in p.parents))
