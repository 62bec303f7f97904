"""kadr index: how far it is, what came of it, and following folders."""

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
    from kadr.library.ingest import Outcome, Watcher
    from kadr.library.library import Library

QUIET = 500
"""Milliseconds without a change after which a followed folder is looked at."""
PATIENCE = 3000
"""Milliseconds after which it is looked at though changes go on."""


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
    from kadr.library.ingest import check
    from kadr.library.library import Library, resolved

    chosen = [resolved(folder) for folder in folders or ()]
    for folder in chosen:
        check(folder)  # before a library is made for nothing
    policy = load_policy(law.policy, law.country)
    with Library.open(library, model=model, policy=policy, create=bool(chosen)) as opened:
        if watch:
            _follow(opened, chosen or opened.folders, options, as_json=as_json)
        outcome, seconds = _index(opened, chosen, options)
        _print(opened, outcome, seconds, as_json=as_json)
    raise typer.Exit(1 if outcome.absent else 0)


def _follow(
    library: "Library", folders: Sequence[Path], options: IndexOptions, *, as_json: bool
) -> None:
    """Index folders, then whatever changes in them, until stopped.

    Raises:
        LibraryError: the folders can't be followed.
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
                outcome, seconds = _index(library, touched, again)
                if outcome.files != outcome.unchanged or outcome.gone or outcome.pruned:
                    _print(library, outcome, seconds, as_json=as_json)


def _index(
    library: "Library", folders: Sequence[Path], options: IndexOptions
) -> tuple["Outcome", float]:
    started = time.monotonic()
    with progress() as report:
        outcome = library.index(
            folders, **vars(options), watcher=_watcher(report), on_wait=_say_waiting
        )
    return outcome, time.monotonic() - started


def _watcher(report: Progress) -> "Watcher":
    from kadr.library.ingest import Watcher

    start: list[tuple[float, int]] = []

    def advance(done: int, skipped: int, total: int) -> None:
        now = time.monotonic()
        if done <= (start[0][1] if start else done):  # the next folder's count begins anew
            start[:] = [(now, done)]
        rate = (done - start[0][1]) / max(now - start[0][0], 1e-3)
        report("photos", done, total, f"{rate:.0f}/s, {skipped} skipped")

    return Watcher(advance, lambda path, reason: warn(f"{path}: {reason}"))


def _say_waiting() -> None:
    warn("another process is indexing this library; waiting for it (Ctrl-C gives up)")


def _print(library: "Library", outcome: "Outcome", seconds: float, *, as_json: bool) -> None:
    if as_json:
        about = {"library": library.path, "policy": library.policy.name, **asdict(outcome)}
        print_json({**about, "seconds": round(seconds, 3)})
    else:
        _print_counts(library.path, outcome, seconds)
    for folder in outcome.absent:
        warn(
            f"{folder} isn't there or is empty, as a disk that isn't mounted is. "
            "What the library knows of it was kept; kadr library remove forgets it."
        )


def _print_counts(library: Path, outcome: "Outcome", seconds: float) -> None:
    counts = {
        "new": outcome.encoded,
        "renamed, moved or copied": outcome.known,
        "unchanged": outcome.unchanged,
        "no longer there": outcome.gone if not outcome.pruned else 0,
        "forgotten": outcome.pruned,
        "skipped": outcome.skipped,
    }
    summary = ", ".join(f"{count:,} {word}" for word, count in counts.items() if count)
    rate = f" ({outcome.encoded / seconds:.0f} photos/s)" if outcome.encoded else ""
    say(f"{library}: {summary or 'no photo found'}; {seconds:.1f} s{rate}")
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
