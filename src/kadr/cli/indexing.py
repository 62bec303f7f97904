"""Indexing on the command line: progress, result, and watching folders."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kadr.cli.console import Stage, hint, print_json, printable, progress
from kadr.errors import DataError, LibraryError
from kadr.photos import kinds
from kadr.photos.folders import check as check_folder

if TYPE_CHECKING:
    from kadr.library.ingest import IndexCallbacks, IndexResult
    from kadr.library.library import Library


@dataclass(frozen=True)
class Indexing:
    """The options of `kadr index`."""

    prune: bool = False
    retry: bool = False
    reread: bool = False
    reencode: bool = False
    as_json: bool = False


def check(library: Path, folders: Sequence[Path]) -> None:
    """Check folders before a library is made for nothing; those that it knows may be unplugged.

    Raises:
        DataError: a folder that it doesn't know isn't there.
    """
    from kadr.library.library import Library

    known: tuple[Path, ...] = ()
    if library.exists():
        with Library.open(library, create=False) as opened:
            known = opened.folders
    for folder in folders:
        if folder not in known:
            check_folder(folder)


def index(library: "Library", folders: Sequence[Path], how: Indexing) -> "IndexResult":
    """Bring the library in step with folders, and print the result."""
    result, seconds = _index(library, folders, how)
    _report(library, result, seconds, how)
    return result


def follow(library: "Library", folders: Sequence[Path], how: Indexing) -> None:
    """Index folders, then whatever changes in them, until stopped.

    Raises:
        LibraryError: the library is gone.
    """
    from kadr.library.watch import watch

    again = Indexing(prune=how.prune, as_json=how.as_json)
    watched = watch(folders, library.path, library.rules, _say)
    next(watched)  # from here on nothing is missed
    index(library, folders, how)
    count = "1 folder" if len(folders) == 1 else f"{len(folders)} folders"
    typer.echo(f"Following {count}. Ctrl-C stops.", err=True)
    for changed in watched:
        if not library.path.exists():
            raise LibraryError(f"{library.path} is gone. Bring it back, and run kadr index again.")
        with suppress(DataError):  # it is gone by now, which is the next change
            result, seconds = _index(library, changed, again)
            if result.files != result.unchanged or result.gone or result.pruned:
                _report(library, result, seconds, again)


def _say(text: str) -> None:
    typer.echo(f"kadr: {printable(text)}", err=True)


def _index(
    library: "Library", folders: Sequence[Path], how: Indexing
) -> tuple["IndexResult", float]:
    started = time.monotonic()
    with progress() as stage:
        result = library.index(
            folders,
            prune=how.prune,
            retry=how.retry,
            reread=how.reread,
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
            f"kadr: {printable(folder)} isn't there, is empty or can't be read, as a disk that is "
            "unplugged. What the library knows of it was kept; kadr library remove forgets it.",
            err=True,
        )


def _print(library: Path, result: "IndexResult", seconds: float) -> None:
    counts = {
        "new": result.encoded,
        "renamed, moved or copied": result.known,
        "read again": result.reread,
        "unchanged": result.unchanged,
        "no longer there": result.gone if not result.pruned else 0,
        "forgotten": result.pruned,
        "skipped": result.skipped,
    }
    summary = ", ".join(f"{count:,} {word}" for word, count in counts.items() if count)
    rate = f" ({result.encoded / seconds:.0f} photos/s)" if result.encoded else ""
    typer.echo(f"{printable(library)}: {summary or 'no photo found'}; {seconds:.1f} s{rate}")
    if result.unsupported:
        typer.echo(f"Can't be read, so left out: {_by_group(result.unsupported)}")
    if result.ignored:
        reasons = (f"{count:,} ({reason})" for reason, count in sorted(result.ignored.items()))
        typer.echo(f"Ignored: {', '.join(reasons)}. kadr library ignored lists them.")
    if result.skipped:
        hint("What was skipped, and why: kadr library problems")
    if result.gone and not result.pruned:
        hint("Paths that are no longer there are hidden; kadr index --prune forgets them.")
    if result.encoded and not (result.unchanged or result.known):
        hint("Now search: kadr search what you look for")


def _by_group(unsupported: Mapping[str, int]) -> str:
    """Such as "6 RAW (3 CR2, 2 NEF, 1 ARW), 1 video (1 MP4)"."""
    groups: dict[str, list[tuple[str, int]]] = {}
    for format_, count in sorted(unsupported.items(), key=lambda item: (-item[1], item[0])):
        kind = kinds.by_name(f"x.{format_}")
        groups.setdefault(kind.group if kind else "other", []).append((format_, count))
    return ", ".join(
        f"{sum(count for _, count in formats):,} {group}"
        f" ({', '.join(f'{count:,} {format_}' for format_, count in formats)})"
        for group, formats in groups.items()
    )
