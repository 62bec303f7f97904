"""The command line. Parses, calls one flow, prints; decides nothing about relevance or law."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from kadr.cli import audit, data, demo, indexing, keys, library, review, search, serve, study
from kadr.cli.console import printable, say, warn
from kadr.cli.failures import TRACEBACK, explained
from kadr.cli.options import LAW
from kadr.errors import KadrError

INTERRUPTED = 130
PHOTOS, RESEARCH = "Your photos", "A matcher of your own"


class _Group(TyperGroup):
    """The commands. What a wrong command line holds is quoted safely."""

    def make_context(self, *args: Any, **extra: Any) -> Any:
        with _quoted():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        with _quoted():
            return super().invoke(ctx)


@contextmanager
def _quoted() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if isinstance(message := getattr(error, "message", None), str):
            error.message = printable(message)  # type: ignore[attr-defined]
        raise


app = typer.Typer(
    cls=_Group,
    help="kadr finds the photo you describe, and says how sure it is.\n\n"
    "Begin with: kadr index FOLDER, then kadr search a dog runs on the beach",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)
for name, photo_command in (
    ("index", indexing.index_command),
    ("search", search.search_command),
    ("similar", search.similar_command),
    ("duplicates", search.duplicates_command),
    ("serve", serve.serve_command),
):
    app.command(name, rich_help_panel=PHOTOS)(photo_command)
for name, research_command in (
    ("train", study.train_command),
    ("evaluate", study.evaluate_command),
    ("compare", study.compare_command),
    ("score", study.score_command),
    ("demo", demo.demo_command),
):
    app.command(name, rich_help_panel=RESEARCH)(research_command)
app.add_typer(library.app, name="library", rich_help_panel=PHOTOS)
app.add_typer(keys.app, name="keys", rich_help_panel=PHOTOS)
app.add_typer(review.app, name="review", rich_help_panel=LAW)
app.add_typer(audit.app, name="audit", rich_help_panel=LAW)
app.add_typer(data.app, name="data", rich_help_panel=RESEARCH)


def main() -> None:
    """Run the command line; an error is one line on stderr and exit code 2."""
    # Else the threads of OpenMP (the text encoder's, boosting's) spin while they wait for each
    # other, and with another process at work a search takes fifty times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    _open_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # an encoding may lack a letter
    try:
        try:
            app(standalone_mode=True)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        _leave_stdout()
        sys.exit(1)
    except SystemExit as stop:
        if stop.code == INTERRUPTED:  # typer has caught the KeyboardInterrupt
            warn("stopped. What was encoded is kept; run it again to go on.")
        raise
    except Exception as error:
        if TRACEBACK in os.environ and not isinstance(error, KadrError):
            raise
        _leave_stdout()
        warn(explained(error))
        sys.exit(2)


def _open_streams() -> None:
    """Lead closed streams nowhere: else the next file that is opened would take their place."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003 - gets `number`
        if getattr(sys, name) is None:
            stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)


def _leave_stdout() -> None:
    """What can't be printed now isn't tried again when the process ends."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        say(f"kadr {version('kadr')}")
        raise typer.Exit


@app.callback()
def _root(
    _version_flag: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


if __name__ == "__main__":
    main()
