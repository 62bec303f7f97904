"""kadr index: progress, result, and watching folders."""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kadr.cli.console import Progress, hint, load_policy, note, print_json, progress, say, warn
from kadr.cli.options import JsonFlag, LawOptions, LibraryModelOption, LibraryOption, grouped
from kadr.errors import DataError, LibraryError

if TYPE_CHECKING:
    from kadr.library.ingest import IndexCallbacks, IndexResult
    from kadr.library.library import Library

QUIET = 500
"""Milliseconds without a change before a watched folder is indexed again."""
PATIENCE = 3000
"""Milliseconds after which it is indexed although changes go on."""


@dataclass(frozen=True)
class IndexOptions:
    """What an indexing does besides adding what is new."""

    prune: Annotated[
        bool, typer.Option("--prune", help="Forget files that are gone; else they are only hidden.")
    ] = False
    retry: Annotated[bool, typer.Option("--retry", help="Read again what could not be read.")] = (
        False
    )
    reencode: Annotated[
        bool, typer.Option("--reencode", help="Encode all photos again, where --model is another.")
    ] = False


@grouped
def index_command(
    *,
    folders: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders of photos. Default: those that the library knows."),
    ] = None,
    library: LibraryOption = None,
    model: LibraryModelOption = None,
    options: IndexOptions,
    watch: Annotated[
        bool, typer.Option("--watch", help="Then follow the folders' changes until Ctrl-C.")
    ] = False,
    law: LawOptions,
    as_json: JsonFlag = False,
) -> None:
    """Add folders of photos to the library, or bring it in step with them.

    Only what is new or changed is read: renamed, moved and copied photos cost no decoding, and a
    run with nothing to do takes a moment. Stopped by Ctrl-C, it goes on where it was. Photos are
    never changed, and never leave this machine. Hidden files and folders, links to folders, and
    files that aren't named as photos are passed over. Exits 1 where a folder of the library isn't
    there.
    """
    from kadr.library.library import Library, resolved

    chosen = [resolved(folder) for folder in folders or ()]
    for folder in chosen:
        _check(folder)  # before a library is made for nothing
    policy = load_policy(law.policy, law.country)
    with Library.open(library, model=model, policy=policy, create=bool(chosen)) as opened:
        if watch:
            _follow(opened, chosen or opened.folders, options, as_json=as_json)
        result, seconds = _index(opened, chosen, options)
        _print(opened, result, seconds, as_json=as_json)
    raise typer.Exit(1 if result.absent else 0)


def _check(folder: Path) -> None:
    if os.path.isfile(folder):  # noqa: PTH113 - Path.is_file() raises where a parent is shut
        raise DataError(
            f"{folder} is a file. Name the folder that holds it: kadr index {folder.parent}"
        )
    if not os.path.isdir(folder):  # noqa: PTH112
        raise DataError(f"{folder}: no such folder. Name a folder that holds photos.")


def _follow(
    library: "Library", folders: Sequence[Path], options: IndexOptions, *, as_json: bool
) -> None:
    """Index folders, then whatever changes in them, until stopped.

    Raises:
        LibraryError: the folders can't be watched.
    """
    there = [folder for folder in folders if folder.is_dir()]
    changes = _changes(there, library.path)
    next(changes)  # from here on nothing is missed
    _print(library, *_index(library, folders, options), as_json=as_json)
    note(f"Following {'1 folder' if len(there) == 1 else f'{len(there)} folders'}. Ctrl-C stops.")
    again = IndexOptions(prune=options.prune)
    for paths in changes:
        touched = _touched(paths, there)
        if touched:
            with suppress(DataError):  # it is gone by now, which is the next change
                result, seconds = _index(library, touched, again)
                if result.files != result.unchanged or result.gone or result.pruned:
                    _print(library, result, seconds, as_json=as_json)


def _index(
    library: "Library", folders: Sequence[Path], options: IndexOptions
) -> tuple["IndexResult", float]:
    started = time.monotonic()
    with progress() as report:
        result = library.index(
            folders, **vars(options), callbacks=_callbacks(report), on_wait=_say_waiting
        )
    return result, time.monotonic() - started


def _callbacks(report: Progress) -> "IndexCallbacks":
    from kadr.library.ingest import IndexCallbacks

    start: list[tuple[float, int]] = []

    def advance(done: int, skipped: int, total: int) -> None:
        now = time.monotonic()
        if done <= (start[0][1] if start else done):  # the next folder's count begins anew
            start[:] = [(now, done)]
        rate = (done - start[0][1]) / max(now - start[0][0], 1e-3)
        report("photos", done, total, f"{rate:.0f}/s, {skipped} skipped")

    return IndexCallbacks(advance, lambda path, reason: warn(f"{path}: {reason}"))


def _say_waiting() -> None:
    warn("another process is indexing this library; waiting for it (Ctrl-C gives up)")


def _print(library: "Library", result: "IndexResult", seconds: float, *, as_json: bool) -> None:
    if as_json:
        about = {"library": library.path, "policy": library.policy.name, **asdict(result)}
        print_json({**about, "seconds": round(seconds, 3)})
    else:
        _print_counts(library.path, result, seconds)
    for folder in result.absent:
        warn(
            f"{folder} isn't there or is empty, as a disk that isn't mounted is. "
            "What the library knows of it was kept; kadr library remove forgets it."
        )


def _print_counts(library: Path, result: "IndexResult", seconds: float) -> None:
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
    say(f"{library}: {summary or 'no photo found'}; {seconds:.1f} s{rate}")
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
