"""Writes man/ from the command line itself: kadr(1), and a page for each command.

Usage: python recipes/man_pages.py

`pip install` puts them into share/man/man1, where `man kadr-search` finds them beside an
environment's bin. A command with commands of its own has one page for all. click-man reads click's
commands, which typer's no longer are, so the little roff that is needed is written here.
"""

import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cli_page
from typer.main import get_command

from kadr.cli.main import app

FOLDER = Path(__file__).parents[1] / "man"
EXIT = """0 all is well; 1 it ran, but found nothing or passed something over; 2 wrong use or an
error, named on stderr in one line; 130 stopped by Ctrl+C."""


def pages() -> dict[str, str]:
    """Every page by its file's name."""
    program = get_command(app)
    names = program.list_commands(None)  # type: ignore[attr-defined]
    commands = {name: program.get_command(None, name) for name in names}  # type: ignore[attr-defined]
    first = _page(
        "kadr", program, [*_listed(commands), *_files()], [f"kadr-{one}" for one in names]
    )
    return {"kadr.1": first} | {
        f"kadr-{name}.1": _page(f"kadr {name}", command, [], ["kadr"])
        for name, command in commands.items()
    }


def _page(path: str, command: Any, more: list[str], see: list[str]) -> str:
    name = path.replace(" ", "-")
    title, *paragraphs = _paragraphs(command.help)
    return "\n".join([
        '.\\" Made by recipes/man_pages.py from the commands themselves.',
        f'.TH {_roff(name.upper())} 1 "" "kadr {version("kadr")}" "kadr"',
        ".SH NAME",
        f"{_roff(name)} \\- {_roff(title.partition('. ')[0].rstrip('.'))}",
        ".SH SYNOPSIS",
        *_synopsis(path, command),
        ".SH DESCRIPTION",
        *_described([title, *paragraphs]),
        *_options(command),
        *_children(path, command),
        *more,
        ".SH EXIT STATUS",
        _roff(" ".join(EXIT.split())),
        ".SH SEE ALSO",
        ",\n".join(f".BR {_roff(one)} (1)" for one in see).replace(",\n.BR", " ,\n.BR"),
        "",
    ])  # fmt: skip


def _synopsis(path: str, command: Any) -> Iterator[str]:
    words = [f"\\fB{_roff(path)}\\fR", "[\\fIOPTIONS\\fR]"]
    words += [f"\\fI{_roff(one.name.upper())}\\fR" for one in _arguments(command)]
    words += ["\\fICOMMAND\\fR"] * bool(getattr(command, "commands", None))
    yield " ".join(words)


def _arguments(command: Any) -> list[Any]:
    return [one for one in command.params if one.param_type_name == "argument"]


def _options(command: Any, section: str | None = ".SH OPTIONS") -> Iterator[str]:
    types = cli_page.types(command)
    shown = [one for one in command.params if not cli_page.HIDDEN & set(one.opts)]
    if shown and section:
        yield section
    for item in shown:
        name, default, told = cli_page.described(item, types)
        if default and default != "required":
            told = f"{told} Default: {default.strip('`')}."
        yield from (".TP", f"\\fB{_roff(name)}\\fR", _roff(told))


def _children(path: str, command: Any) -> Iterator[str]:
    """The commands of a group; kadr's own have pages of their own."""
    if path == "kadr" or not getattr(command, "commands", None):
        return
    yield ".SH COMMANDS"
    for name in command.list_commands(None):
        child = command.get_command(None, name)
        yield f".SS {_roff(f'{path} {name}')}"
        yield from _synopsis(f"{path} {name}", child)
        yield ".PP"
        yield from _described(_paragraphs(child.help))
        yield from _options(child, section=None)


def _listed(commands: dict[str, Any]) -> Iterator[str]:
    yield ".SH COMMANDS"
    for name, command in commands.items():
        yield from (".TP", f"\\fB{_roff(name)}\\fR", _roff(_paragraphs(command.help)[0]))


def _files() -> Iterator[str]:
    yield from (".SH FILES", ".TP", "\\fB~/.config/kadr/config.toml\\fR")
    yield "Settings, on Linux; kadr config says where they are, and which are in force."


def _paragraphs(text: str) -> list[str]:
    return cli_page.plain_text(text).split("\n\n")


def _described(paragraphs: list[str]) -> Iterator[str]:
    for number, one in enumerate(paragraphs):
        if one.startswith(" "):
            yield from (".PP", ".RS", ".nf", *map(_roff, _dedented(one)), ".fi", ".RE")
        else:
            yield from ([".PP"] if number else [])
            yield _roff(" ".join(one.split()))


def _dedented(block: str) -> list[str]:
    return [line.strip() if line.startswith("    ") else line for line in block.split("\n")]


def _roff(text: str) -> str:
    """A text on one line that troff takes as text; hyphens can be copied."""
    text = text.replace("`", "").replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^(?=[.'])", r"\\&", text)


def write() -> None:
    """Write every page; one of a command that is gone goes too."""
    made = pages()
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.1"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
    print(FOLDER)
