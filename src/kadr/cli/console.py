"""What all commands share: printing, progress, JSON, what is loaded by an option."""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import typer

from kadr.cli.settings import cache_path
from kadr.errors import KadrError

if TYPE_CHECKING:
    from kadr.encoders.vectors import VectorCache
    from kadr.law.policy import Policy
    from kadr.library.library import Library
    from kadr.matcher.bundle import Matcher


INTERRUPTED = 130
"""Exit code of what a person stopped."""
STOPPED = "stopped. What is done is kept; run it again to go on."
EVERY = 30.0
"""Seconds after which long work says how far it is, where there is no terminal."""

_JOINERS = "\u200c\u200d"
"""They print nothing, but Persian words and many emoji hold them."""


def say(*lines: object) -> None:
    """Print lines. Whatever they quote, it neither ends a line nor commands the terminal."""
    for line in lines:
        typer.echo(printable(str(line)))


def note(*lines: object) -> None:
    """Print lines on stderr, as `say` does on stdout."""
    for line in lines:
        typer.echo(printable(str(line)), err=True)


def warn(problem: object) -> None:
    """Name a problem on stderr."""
    note(f"kadr: {problem}")


def hint(text: str) -> None:
    """Say what could be done next, where somebody watches."""
    if sys.stderr.isatty():
        note(text)


def printable(name: Path | str) -> str:
    """A path or a text on one line that is safe for a terminal.

    Escaped are newlines, control characters (C0, C1), those that turn the direction of writing
    (bidi), and bytes that are no text.
    """
    return _escaped(os.fspath(name), lambda letter: letter.encode("unicode_escape").decode("ascii"))


def _escaped(text: str, escape: Callable[[str], str], kept: str = "") -> str:
    kept += _JOINERS
    return "".join(c if c.isprintable() or c in kept else escape(c) for c in text)


def jsonable(value: Any) -> Any:
    """A value as JSON can hold it."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    elif hasattr(value, "tolist"):  # an array; numpy isn't imported for this question
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()} | _undefined(value)
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, Path):
        return os.fspath(value)
    if isinstance(value, float) and value != value:  # noqa: PLR0124 - NaN has no JSON
        return None
    return value


def _undefined(record: dict[Any, Any]) -> dict[str, dict[str, str]]:
    """Why figures of a record are null, under the name `undefined`; nothing where none is."""
    if not _holds_nan(record):
        return {}
    from kadr.report import undefined

    reasons = undefined.reasons({str(key): value for key, value in record.items()})
    return {"undefined": reasons} if reasons else {}


def _holds_nan(value: Any) -> bool:
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return any(map(_holds_nan, value))
    return isinstance(value, float) and value != value  # noqa: PLR0124


def to_json(value: Any, *, ascii_only: bool = False) -> str:
    """A value as JSON text, what isn't printable escaped."""
    text = json.dumps(jsonable(value), ensure_ascii=ascii_only, indent=1)
    return _escaped(text, lambda letter: json.dumps(letter)[1:-1], kept="\n")


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    typer.echo(to_json(value, ascii_only=not sys.stdout.encoding.lower().startswith("utf")))


def print_bytes(data: bytes) -> None:
    """Print bytes as they are."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def read_text(file: Path) -> str:
    """A text file in UTF-8; - is standard input.

    Raises:
        KadrError: it can't be read.
    """
    is_stdin = str(file) == "-"
    try:
        return sys.stdin.read() if is_stdin else file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        name = "standard input" if is_stdin else file
        raise KadrError(f"{name}: can't be read ({error}). Name a text file in UTF-8.") from error


class Progress(Protocol):
    """Shows how far a stage of the work is."""

    def __call__(self, stage: str, done: int, total: int | None, note: str = "", /) -> None:
        """So much of `total` is done, None where nobody knows; `note` is a word beside it."""
        ...


@contextmanager
def progress() -> Iterator[Progress]:
    """A bar on stderr for what takes longer than a second; where nobody watches, lines.

    A line comes every `EVERY` seconds, whether anything was reported since or not.
    """
    if not sys.stderr.isatty():
        with _lines() as tell:
            yield tell
        return
    started, tasks, bars = time.monotonic(), dict[str, Any](), list[Any]()

    def report(stage: str, done: int, total: int | None, note: str = "") -> None:
        if not bars:
            if done == total or time.monotonic() - started < 1:
                return
            bars.append(_bar())
        if stage not in tasks:
            tasks[stage] = bars[0].add_task(printable(stage), total=total, note="")
        bars[0].update(tasks[stage], completed=done, total=total, note=printable(note))

    try:
        yield report
    finally:
        for bar in bars:
            bar.stop()


@contextmanager
def _lines() -> Iterator[Progress]:
    """How far the work is, in a line on stderr every `EVERY` seconds."""
    started, ended = time.monotonic(), threading.Event()
    latest = "at work"

    def report(stage: str, done: int, total: int | None, note: str = "", /) -> None:
        nonlocal latest
        of = "" if total is None else f" of {total:,}"
        latest = f"{stage} {done:,}{of} {note}".rstrip()

    def tell() -> None:
        while not ended.wait(EVERY):
            note(f"{latest}, after {time.monotonic() - started:,.0f} s")

    teller = threading.Thread(target=tell, name="progress", daemon=True)
    teller.start()
    try:
        yield report
    finally:
        ended.set()
        teller.join()


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}", markup=False), BarColumn(24), MofNCompleteColumn())
    more = TimeRemainingColumn(), TextColumn("left  {task.fields[note]}", markup=False)
    bar = Progress(*columns, *more, console=Console(stderr=True))
    bar.start()
    return bar


@contextmanager
def open_cache(path: Path | None) -> Iterator["VectorCache"]:
    """The cache of vectors; what went wrong with it is said at the end."""
    from kadr.encoders.vectors import VectorCache

    cache = VectorCache(path or cache_path())
    try:
        yield cache
    finally:
        if cache.problem:
            warn(cache.problem)
        cache.close()


def load_matcher(model: Path | None) -> "Matcher":
    """The named matcher, or the shipped one."""
    from kadr.matcher import bundle as matcher

    return matcher.load(model or matcher.MINI)


def tell_unseen(library: "Library", policy: str) -> None:
    """Say how many photos are hidden for want of what the law's classifier needs.

    `policy` is as the user names it.
    """
    if count := library.unseen_by_law():
        warn(
            f"{count:,} photos are hidden until the law's classifier can see them: kadr index "
            f"--policy {policy}"
        )


def load_policy(name: str, country: str | None) -> "Policy":
    """The policy in force; it is said, on a terminal even where it hides nothing."""
    from kadr.law import rules

    policy = rules.load(name, country)
    if policy.hides_children:
        what = f"photos of people under {policy.age} and searches for them are hidden"
        note(f"Policy {policy.name}: {what}")
    else:
        hint(f"Policy {policy.name}: nothing is hidden")
    return policy
