"""What all commands share: options, progress, hints, JSON, how a name is shown."""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from kadr.cli.settings import Settings

if TYPE_CHECKING:
    from kadr.law.policy import Policy
    from kadr.matcher.bundle import Matcher


LAW = "What the law hides"


class PolicyName(StrEnum):
    """Preset policies."""

    under_16 = "under-16"
    none = "none"


class Language(StrEnum):
    """Languages of reports and notices."""

    en = "en"
    ru = "ru"


_JOINERS = "\u200c\u200d"
"""They print nothing, but Persian words and many emoji hold them."""

ModelOption = Annotated[
    Path | None,
    typer.Option("--model", help="A trained matcher's folder. Default: the shipped mini."),
]
LibraryOption = Annotated[
    Path | None,
    typer.Option(
        "--library",
        help="The library's file. Default: KADR_LIBRARY, then the user's data folder.",
    ),
]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
CacheOption = Annotated[
    Path | None,
    typer.Option("--cache", help="File of cached vectors. Default: KADR_CACHE, then the system's."),
]
LanguageOption = Annotated[
    Language, typer.Option("--language", help="Language of notices and of the report.")
]


def load_matcher(model: Path | None) -> "Matcher":
    """The named matcher, or the shipped one."""
    from kadr.matcher import bundle as matcher

    return matcher.load(model or matcher.MINI)


PolicyOption = Annotated[
    str,
    typer.Option(
        "--policy",
        envvar="KADR_POLICY",
        help="What the law hides: none, under-16, or a policy file (TOML).",
        rich_help_panel=LAW,
    ),
]
CountryOption = Annotated[
    str | None,
    typer.Option(
        "--country",
        envvar="KADR_COUNTRY",
        help="Whose rules of a policy file: RU. Unknown: the strictest.",
        rich_help_panel=LAW,
    ),
]


def load_policy(name: str, country: str | None) -> "Policy":
    """The policy in force; it is said, on a terminal even where it hides nothing."""
    from kadr.law import rules

    policy = rules.load(name, country)
    if policy.hides_children:
        what = f"photos of people under {policy.age} and searches for them are hidden"
        typer.echo(f"Policy {policy.name}: {what}", err=True)
    else:
        hint(f"Policy {policy.name}: nothing is hidden")
    return policy


class Stage(Protocol):
    """Says how far a stage of the work is."""

    def __call__(self, name: str, done: int, total: int, note: str = "", /) -> None:
        """The stage's name, how much of how much is done, and a word beside it."""
        ...


@contextmanager
def open_cache(path: Path | None) -> Iterator[Any]:
    """The cache of vectors; what went wrong with it is said at the end."""
    from kadr.encoders.vectors import VectorCache

    cache = VectorCache(path or Settings.from_environment().cache)
    try:
        yield cache
    finally:
        if cache.problem:
            typer.echo(f"kadr: {cache.problem}", err=True)
        cache.close()


@contextmanager
def progress() -> Iterator[Stage]:
    """A bar on stderr for what takes longer than a second; nothing where nobody watches."""
    if not sys.stderr.isatty():
        yield lambda _name, _done, _total, _note="": None
        return
    started, tasks, bars = time.monotonic(), dict[str, Any](), list[Any]()

    def stage(name: str, done: int, total: int, note: str = "") -> None:
        if not bars:
            if time.monotonic() - started < 1 and done < total:
                return
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
            )

            if done >= total:
                return
            columns = (TextColumn("{task.description}"), BarColumn(24), MofNCompleteColumn())
            more = TimeRemainingColumn(), TextColumn("left  {task.fields[note]}")
            bar = Progress(*columns, *more, console=Console(stderr=True))
            bar.start()
            bars.append(bar)
        if name not in tasks:
            tasks[name] = bars[0].add_task(name, total=total or None, completed=done, note=note)
        bars[0].update(tasks[name], completed=done, total=total or None, note=note)

    try:
        yield stage
    finally:
        for bar in bars:
            bar.stop()


def hint(text: str) -> None:
    """Say what could be done next, where somebody watches."""
    if sys.stderr.isatty():
        typer.echo(text, err=True)


def printable(name: Path | str) -> str:
    """A path or a text on one line: newlines, commands to the terminal, broken bytes escaped."""
    return "".join(
        letter
        if letter.isprintable() or letter in _JOINERS
        else letter.encode("unicode_escape").decode("ascii")
        for letter in os.fspath(name)
    )


def jsonable(value: Any) -> Any:
    """A value as JSON can hold it."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    elif hasattr(value, "tolist"):  # an array; numpy isn't imported for this question
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, Path):
        return os.fspath(value)
    if isinstance(value, float) and value != value:  # noqa: PLR0124 - NaN has no JSON
        return None
    return value


def print_json(value: Any) -> None:
    """Print JSON."""
    typer.echo(json.dumps(jsonable(value), ensure_ascii=False, indent=1))
