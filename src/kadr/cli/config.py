"""The commands of `kadr config`: which settings are in force, and where each comes from."""

import json
import os
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from inspect import cleandoc
from typing import Annotated, Any, Literal

import typer

from kadr.cli import settings
from kadr.cli.console import hint, print_bytes, print_json, say
from kadr.cli.options import (
    CacheOption,
    CountryOption,
    DeviceOption,
    JsonFlag,
    LanguageOption,
    LibraryOption,
    ModelOption,
    PolicyOption,
)
from kadr.errors import KadrError

Origin = Literal["flag", "environment", "file", "default"]

_FOLDERS = {
    "models": "Folder of the models that kadr models pulls. Default: models in the user's data "
    "folder.",
    "secrets": "Folder of what seals the audit log of a library on a server, and of its service's "
    "keys. Default: the user's data folder.",
}
"""Shared keys that no option has."""
_HEAD = """
Settings of kadr, for its commands and its service. A flag outranks the environment, which outranks
this file. A line is in force once its # is gone; ~/ is your home. `kadr config` shows what is.
"""

app = typer.Typer(
    help="Show the settings, and where each comes from: a flag, the environment, the settings file."
    "\n\nkadr config init writes a settings file to begin with."
)


@dataclass(frozen=True)
class Setting:
    """A setting: what it is set to, by what, where that is, and what it is for."""

    key: str
    value: Any
    origin: Origin
    where: str | None
    about: str


@app.callback(invoke_without_command=True)
def config_command(
    context: typer.Context,
    _library: LibraryOption = None,
    _model: ModelOption = None,
    _device: DeviceOption = None,
    _policy: PolicyOption = "none",
    _country: CountryOption = None,
    _language: LanguageOption = "en",
    _cache: CacheOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Print each setting, its value and its origin; the options show what they would change."""
    if context.invoked_subcommand is not None:
        return
    file: settings.SettingsFile = context.obj.file
    if context.find_root().params["_config"] and not file.path.exists():
        raise KadrError(f"{file.path} isn't there. kadr --config {file.path} config init makes it.")
    found = list(_settings(context))
    if as_json:
        print_json({"file": file.path, "settings": [asdict(one) for one in found]})
        return
    width = max(len(one.key) for one in found)
    values = {one.key: _shown(one.value) for one in found}
    wide = min(40, max(map(len, values.values())))
    for one in found:
        say(f"{one.key:{width}}  {values[one.key]:{wide}}  {one.where or one.origin}")
    if not file.path.exists():
        hint(f"{file.path} isn't there. kadr config init makes it.")


@app.command("init")
def init_command(
    context: typer.Context,
    example: Annotated[
        bool, typer.Option("--example", help="Print it instead of writing it.")
    ] = False,
) -> None:
    """Write a settings file to begin with: every key with what it means, none in force yet.

    kadr config init
    kadr --config /etc/kadr.toml config init
    """
    text = _example(list(_settings(context)))
    if example:
        print_bytes(text.encode())
        return
    path = context.obj.file.path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise KadrError(
            f"{path} is there already. kadr config init --example prints one."
        ) from error
    say(path)


def _settings(context: typer.Context) -> Iterator[Setting]:
    """Every setting, the shared ones first."""
    root = context.find_root()
    group: Any = root.command
    own: Any = group.get_command(root, "config")
    options = {option.opts[-1].removeprefix("--"): option for option in own.params}
    for key in settings.SHARED:
        option = options.get(key)
        yield _shared(context, key, option)
    for name in settings.TABLES:
        command = group.get_command(root, name)
        named = settings.table_options(command)
        given = context.obj.file.table(name, named, root)
        for key, option in named.items():
            yield _of_table(context.obj.file, name, key, option, given)


def _shared(context: typer.Context, key: str, option: Any) -> Setting:
    about = _FOLDERS[key] if option is None else _plain(option.help)
    name, in_force = settings.variable(key), context.obj
    source = context.get_parameter_source(option.name) if option is not None else None
    if source is not None and source.name == "COMMANDLINE":
        return Setting(key, _told(key, context.params[option.name]), "flag", f"--{key}", about)
    value = os.environ.get(name)
    if value:
        is_file = key in in_force.keys
        by_system = in_force.locale if key == "language" else None
        where = in_force.file.where(key) if is_file else by_system or name
        return Setting(key, _told(key, value), "file" if is_file else "environment", where, about)
    value = _DEFAULTS[key]() if key in _DEFAULTS else option.default if key == "language" else None
    return Setting(key, value, "default", None, about)


def _of_table(
    file: settings.SettingsFile, table: str, key: str, option: Any, given: Mapping[str, Any]
) -> Setting:
    name, about = f"{table}.{key}", _plain(option.help)
    if key in given:
        return Setting(name, given[key], "file", file.where(table, key), about)
    default = list(option.default) if isinstance(option.default, tuple) else option.default
    return Setting(name, default, "default", None, about)


def _told(key: str, value: Any) -> str:
    """A value without the password that an address may hold."""
    from kadr.stores import named

    return named(str(value)) if key == "library" else str(value)


def _library() -> str:
    from kadr.stores import default_spec

    return default_spec()


def _models() -> str:
    from kadr.encoders import menu

    return str(menu.folder())


_DEFAULTS: Mapping[str, Callable[[], str]] = {
    "library": _library,
    "models": _models,
    "device": lambda: "auto",
    "cache": lambda: str(settings.cache_path()),
}
"""Defaults that are the same for all commands, and depend on the machine."""


def _plain(text: str) -> str:
    return cleandoc(text).replace("\\[", "[")


def _shown(value: Any) -> str:
    if value is None or value in ("", [], ()):
        return "-"
    return value if isinstance(value, str) else _toml(value)


def _toml(value: Any) -> str:
    """A value of TOML; text, numbers, booleans and lists of them are written as in JSON."""
    return json.dumps(value, ensure_ascii=False)


def _example(found: list[Setting]) -> str:
    blocks, table = [_comment(_HEAD)], ""
    for one in found:
        name, _, key = one.key.rpartition(".")
        if name != table:
            table = name
            blocks.append(f"[{table}]\n")
        value = "..." if one.value is None or one.value == "" else one.value
        blocks.append(_comment(one.about) + f"# {key} = {_toml(value)}\n")
    return "\n".join(blocks)


def _comment(text: str) -> str:
    return textwrap.indent(textwrap.fill(" ".join(text.split()), 98), "# ") + "\n"
