"""Writes docs/cli.md from the command line itself.

Usage: python recipes/cli_page.py

Names, defaults and help come from the commands that typer builds, types and ranges from the
annotations of their functions, so that neither the terminal's width nor typer's own help layout
shows. Options for shell completion differ from system to system and are left out.
"""

import inspect
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from typer.main import get_command

from kadr.cli.main import app

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
HEAD = """# The command line

Made by `python recipes/cli_page.py` from the commands themselves; a test compares the two.

Exit codes: 0 all is well; 1 it ran, but found nothing or passed something over (each command says
what; `kadr index --from`: files that changed since they were encoded, or aren't there; `kadr
encode` never, since photos that can't be read are rows); 2 wrong use or an error, named on stderr
in one line; 130 stopped by Ctrl+C. Results go to stdout, progress and problems to stderr; what they
quote is escaped where it could command a terminal. `KADR_TRACEBACK=1` shows where an unexpected
error came from.

`kadr --install-completion` teaches your shell (bash, zsh, fish, PowerShell; open a new one then) to
complete commands, options and their values: models, policies, libraries, and the folders and
collections of the library in use, where that is a file. `man kadr` and `man kadr-search` show the
same as this page.
"""
NAMES: dict[Any, str] = {str: "TEXT", int: "INTEGER", float: "NUMBER", Path: "PATH", bool: ""}
HIDDEN = {"--install-completion", "--show-completion"}


def page() -> str:
    """The whole page as Markdown."""
    return "\n".join([HEAD, *_command(get_command(app), "kadr")])


def _command(command: Any, path: str) -> Iterator[str]:
    yield f"## `{path}`\n"
    yield f"{plain_text(command.help)}\n"
    names = command.list_commands(None) if hasattr(command, "list_commands") else []
    children = {name: command.get_command(None, name) for name in names}
    if children:
        yield "| Command | |\n|---|---|"
        for name, child in children.items():
            yield f"| `{path} {name}` | {_cell(plain_text(child.help).splitlines()[0])} |"
        yield ""
    kinds = types(command)
    rows = [_row(item, kinds) for item in command.params if not HIDDEN & set(item.opts)]
    if rows:
        yield "| Argument or option | Default | |\n|---|---|---|"
        yield from rows
        yield ""
    for name, child in children.items():
        yield from _command(child, f"{path} {name}")


def _row(item: Any, types: dict[str, tuple[Any, Any]]) -> str:
    name, default, told = described(item, types)
    name = " / ".join(f"`{part}`" for part in name.split(" / "))
    return f"| {_cell(name)} | {default} | {_cell(told)} |"


def described(item: Any, types: dict[str, tuple[Any, Any]]) -> tuple[str, str, str]:
    """A parameter's name with what it takes, its default, and what it is for."""
    kind, info = types[item.name]
    if item.param_type_name == "argument":
        name = item.name.upper()
    else:
        every = [
            ", ".join(item.opts),
            *([", ".join(item.secondary_opts)] * bool(item.secondary_opts)),
        ]
        value = _value(kind)
        name = " / ".join(f"{part}{' ' + value if value else ''}" for part in every)
    default = "required" if item.required else _default(item.default)
    return name, default, plain_text(item.help) + _range(info) + _variable(item)


def types(command: Any) -> dict[str, tuple[Any, Any]]:
    """Each parameter's plain type, and what its annotation says about it."""
    if command.callback is None:
        return {}
    found = {}
    hints = get_type_hints(inspect.unwrap(command.callback), include_extras=True)
    for name, hint in hints.items():
        if get_origin(hint) is Annotated:
            kind, info, *_ = get_args(hint)
            found[name] = (_plain(kind), info)
    return found


def _plain(kind: Any) -> Any:
    if get_origin(kind) in {Union, UnionType}:
        return next(part for part in get_args(kind) if part is not NoneType)
    return kind


def _value(kind: Any) -> str:
    if get_origin(kind) is list:
        return _value(get_args(kind)[0])
    if inspect.isclass(kind) and issubclass(kind, Enum):
        return "|".join(member.value for member in kind)
    if get_origin(kind) is Literal:
        return "|".join(get_args(kind))
    return NAMES[kind]


def _default(value: Any) -> str:
    if value is None or value is False or value == "":
        return ""
    if value is True:
        return "on"
    if isinstance(value, list | tuple):
        return ", ".join(_default(item) for item in value)
    return f"`{value}`"


def _range(info: Any) -> str:
    low, high = info.min, info.max
    if low is None and high is None:
        return ""
    if high is None:
        return f" At least {low:g}."
    return f" From {low:g} to {high:g}."


def _variable(item: Any) -> str:
    return f" Environment: `{item.envvar}`." if item.envvar else ""


def plain_text(text: str) -> str:
    """A help as its author wrote it."""
    return inspect.cleandoc(text).replace("\\[", "[")  # escaped for rich


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
