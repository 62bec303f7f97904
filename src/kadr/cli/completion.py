"""What a shell offers for the values of options and arguments: quick, and silent where it can't.

Nothing here may import numpy, and no error may show: it would stand in the line that is typed.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import typer

from kadr.errors import KadrError

Complete = Callable[[typer.Context, str], list[str]]
MANIFEST = "manifest.json"
"""What makes a folder a matcher."""


def _offered(values: Callable[[typer.Context, str], Iterable[str]]) -> Complete:
    """Those of the values that go on from what is typed, as the shell takes them; never an error.

    Where nothing is offered the shell completes files.
    """

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        try:
            found = dict.fromkeys(values(ctx, incomplete))
        except Exception:  # noqa: BLE001 - whatever it is, it would stand in the line that is typed
            return []
        return [_typed(one) for one in found if one.startswith(incomplete) and one.isprintable()]

    return complete


def _typed(value: str) -> str:
    """A value as it is typed; bash takes it as it is, the other shells quote it themselves."""
    if os.environ.get("_KADR_COMPLETE") == "complete_bash":
        return re.sub(r"[^\w@%+=:,./~-]", r"\\\g<0>", value)
    return value


@_offered
def models(_ctx: typer.Context, incomplete: str) -> Iterator[str]:
    """The menu's names, models that are installed, and matchers' folders here."""
    yield from _models()
    yield from _beside(incomplete, lambda path: (path / MANIFEST).is_file())


@_offered
def model_names(_ctx: typer.Context, _incomplete: str) -> Iterator[str]:
    """The menu's names, and models that are installed."""
    yield from _models()


@_offered
def installed_models(_ctx: typer.Context, _incomplete: str) -> Iterator[str]:
    """Models that are installed."""
    yield from _installed()


def _models() -> Iterator[str]:
    from kadr.encoders import menu

    yield "mini"
    yield from (entry.name for entry in menu.MENU)
    yield from _installed()


def _installed() -> Iterator[str]:
    from kadr.encoders import menu

    for place in sorted(menu.folder().glob("[!.]*/")):
        if (place / MANIFEST).is_file():
            yield place.name


@_offered
def policies(_ctx: typer.Context, incomplete: str) -> Iterator[str]:
    """Presets, and TOML files here."""
    from kadr.law.policy import PRESETS

    yield from PRESETS
    yield from _beside(incomplete, lambda path: path.suffix.lower() == ".toml")


@_offered
def libraries(_ctx: typer.Context, incomplete: str) -> Iterator[str]:
    """Libraries' files here, and the one that is taken without a name."""
    from kadr.stores import default_spec

    yield from _beside(incomplete, lambda path: path.suffix == ".kadr")
    if "://" not in default_spec() and Path(default_spec()).is_file():
        yield default_spec()


@_offered
def folders(ctx: typer.Context, incomplete: str) -> list[str]:
    """The folders that the library was made of."""
    from kadr.stores.sqlite import glance

    return [_home(one, incomplete) for one in glance.folders(_library(ctx))]


@_offered
def collections(ctx: typer.Context, _incomplete: str) -> list[str]:
    """The library's collections."""
    from kadr.stores.sqlite import glance

    return glance.collections(_library(ctx))


def _library(ctx: typer.Context) -> Path:
    """The library's file that the command line names so far, or the environment.

    Raises:
        KadrError: it is on a server, which is too slow to be asked.
    """
    from kadr.stores import default_spec

    above = ctx.parent.params.get("library") if ctx.parent else None
    spec = str(ctx.params.get("library") or above or default_spec())
    if "://" in spec:
        raise KadrError(f"{spec.partition(':')[0]} isn't asked for completions")
    return Path(spec)


def _home(path: str, incomplete: str) -> str:
    """A path with ~ for the home where ~ was typed."""
    home = str(Path.home())
    is_below = incomplete.startswith("~") and path.startswith(home + os.sep)
    return "~" + path.removeprefix(home) if is_below else path


def _beside(incomplete: str, fits: Callable[[Path], bool]) -> Iterator[str]:
    """What fits in the folder whose name is typed, or in this one; as it would be typed."""
    typed = incomplete.rpartition("/")[0]
    there = Path(typed + "/").expanduser() if "/" in incomplete else Path()
    names = sorted(path.name for path in there.iterdir() if fits(path))
    prefix = incomplete[: len(typed) + 1] if "/" in incomplete else ""
    yield from (f"{prefix}{name}" for name in names if not name.startswith("."))
