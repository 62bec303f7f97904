"""The command line. Parses, calls one flow, prints; decides nothing about relevance or law."""

import atexit
import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from inspect import cleandoc
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup

from kadr.cli import settings
from kadr.cli.console import INTERRUPTED, STOPPED, printable, say, warn
from kadr.cli.failures import TRACEBACK, explained
from kadr.cli.options import LAW
from kadr.errors import KadrError

PHOTOS, RESEARCH = "Your photos", "A matcher of your own"
COMMANDS = {
    "index": ("indexing.index_command", PHOTOS),
    "encode": ("encoding.encode_command", PHOTOS),
    "ocr": ("ocr.ocr_command", PHOTOS),
    "search": ("search.search_command", PHOTOS),
    "similar": ("search.similar_command", PHOTOS),
    "duplicates": ("search.duplicates_command", PHOTOS),
    "serve": ("serve.serve_command", PHOTOS),
    "train": ("study.train_command", RESEARCH),
    "evaluate": ("study.evaluate_command", RESEARCH),
    "compare": ("study.compare_command", RESEARCH),
    "score": ("study.score_command", RESEARCH),
    "demo": ("demo.demo_command", RESEARCH),
    "library": ("library.app", PHOTOS),
    "collection": ("collection.app", PHOTOS),
    "models": ("models.app", PHOTOS),
    "doctor": ("doctor.doctor_command", PHOTOS),
    "config": ("config.app", PHOTOS),
    "keys": ("keys.app", PHOTOS),
    "review": ("review.app", LAW),
    "audit": ("audit.app", LAW),
    "data": ("data.app", RESEARCH),
}
"""Where in this package each command, or group of commands, is written, and its panel in --help."""


class _Group(TyperGroup):
    """The commands. What a wrong command line holds is quoted safely.

    A command is built when it is called or listed: all of them together take longer to import than
    a search does.
    """

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands: Any = dict.fromkeys(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in COMMANDS and self.commands[cmd_name] is None:
            self.commands[cmd_name] = _built(cmd_name)
        return super().get_command(ctx, cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is called; from here on the settings file has its say."""
        found = super().resolve_command(ctx, args)
        if found[1] is None:
            return found
        try:
            settings.take_effect(ctx, found[1], ctx.params.get("_config"))
        except KadrError:
            if not ctx.resilient_parsing:  # completion of commands stays silent
                raise
        return found

    def make_context(self, *args: Any, **extra: Any) -> Any:
        with _quoted():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        with _quoted():
            return super().invoke(ctx)


class _QueryCommand(TyperCommand):
    """A command whose words are a query: `-leash` is one of them, no options -l -e -a -s -h."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, [_LEFT_OUT.sub("\N{MINUS SIGN}", one) for one in args])


_LEFT_OUT = re.compile(r"\A-(?=[^\W\d_]{2}|[\"«“])")
"""The hyphen before a word of a query; `-n5` is an option."""


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


def _built(name: str) -> Any:
    where, panel = COMMANDS[name]
    module, attribute = where.split(".")
    written = getattr(import_module(f"kadr.cli.{module}"), attribute)
    alone = typer.Typer()
    if isinstance(written, typer.Typer):
        alone.add_typer(written, name=name, rich_help_panel=panel)
    else:
        kind = _QueryCommand if name == "search" else None
        alone.command(name, cls=kind, rich_help_panel=panel)(written)
        alone.callback()(_root)  # else the one command would stand for the group
    command = typer.main.get_group(alone).commands[name]
    _unwrap(command)
    return command


def _unwrap(command: Any) -> None:
    """Join the lines of each paragraph of a help: rich breaks them where the terminal ends."""
    paragraphs = cleandoc(command.help or "").split("\n\n")
    command.help = "\n\n".join(
        one if one.startswith(" ") else one.replace("\n", " ") for one in paragraphs
    )
    for child in getattr(command, "commands", {}).values():
        _unwrap(child)


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
        _end(1)
    except SystemExit as stop:
        if stop.code == INTERRUPTED:  # typer has caught the KeyboardInterrupt
            warn(STOPPED)
        _end(stop.code)
    except Exception as error:
        if TRACEBACK in os.environ and not isinstance(error, KadrError):
            raise
        _leave_stdout()
        warn(explained(error))
        _end(2)


def _end(code: str | int | None) -> NoReturn:
    """End with this code, in good order unless Daft ran: its threads then abort the process."""
    if "daft" in sys.modules and not isinstance(code, str):
        atexit._run_exitfuncs()  # Ray's ends the cluster that it started
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        os._exit(code or 0)
    sys.exit(code)


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
    _config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            envvar="KADR_CONFIG",
            help="The file of settings. Default: config.toml in the user's folder of settings.",
        ),
    ] = None,
) -> None:
    pass


if __name__ == "__main__":
    main()
