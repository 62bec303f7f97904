"""Settings: flags > environment > the settings file > default. The file is read here alone.

What many commands share stands at the top of the file: each key stands in for the environment
variable KADR_KEY, where that isn't set. What one command alone takes stands in its table.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import typer

from kadr.errors import KadrError

SHARED = (
    "library",
    "model",
    "models",
    "device",
    "policy",
    "country",
    "language",
    "cache",
    "secrets",
)
"""Keys at the top of the file."""
TABLES: Mapping[str, tuple[str, ...] | None] = {"search": ("limit", "at-least"), "serve": None}
"""Commands with a table, and which of their options may stand there; None: all but the shared."""
MOST_BYTES = 65_536
"""No settings file is larger."""
MOST_LINES = 1000
"""In a longer file the lines of keys aren't told."""

_KINDS: tuple[tuple[type, tuple[type, ...], str], ...] = (
    (bool, (bool,), "true or false"),
    (int, (int,), "a whole number"),
    (float, (int, float), "a number"),
    (object, (str,), "a text in quotes"),
)
"""What an option's value is, what it is in TOML, and how that is called."""


def default_path() -> Path:
    """Where the settings file is looked for: config.toml in the user's folder of settings."""
    from platformdirs import user_config_path

    return user_config_path("kadr") / "config.toml"


def cache_path() -> Path:
    """KADR_CACHE, or vectors.sqlite in the system's cache folder."""
    named = os.environ.get(variable("cache"))
    if named:
        return Path(named)
    from platformdirs import user_cache_path

    return user_cache_path("kadr") / "vectors.sqlite"


def variable(key: str) -> str:
    """The environment variable of a shared key."""
    return f"KADR_{key.upper()}"


@dataclass(frozen=True)
class SettingsFile:
    """A settings file that is TOML, and may yet be wrong. `text` ends its lines by newlines."""

    path: Path
    text: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)

    def line(self, *keys: str) -> int | None:
        """Where a key stands: the parts of a file that end with a whole statement are TOML too."""
        lines, begun = self.text.split("\n"), 0
        if len(lines) > MOST_LINES:  # each further one is parsed with all before
            return None
        for number in range(1, len(lines) + 1):
            try:
                held: Any = tomllib.loads("\n".join(lines[:number]))
            except tomllib.TOMLDecodeError:
                continue
            for key in keys:
                held = held.get(key) if isinstance(held, dict) else None
            if held is not None:
                return begun + 1
            begun = number
        return None

    def where(self, *keys: str) -> str:
        """FILE:LINE of a key."""
        return f"{self.path}:{self.line(*keys) or '?'}"

    def wrong(self, keys: tuple[str, ...], message: str) -> KadrError:
        """What is said of a key."""
        return KadrError(f"{self.where(*keys)}: {'.'.join(keys)} {message}")

    def shared(self) -> dict[str, str]:
        """What stands at the top, by key.

        Raises:
            KadrError: a key is unknown, or its value no text.
        """
        self._allow((), self.values, (*SHARED, *TABLES))
        return {
            key: _expanded(self._checked((key,), value, *_KINDS[-1][1:]))
            for key, value in self.values.items()
            if key in SHARED
        }

    def table(
        self, name: str, options: Mapping[str, Any], context: typer.Context
    ) -> dict[str, Any]:
        """What stands in a command's table, by key; `options` are those that may.

        Raises:
            KadrError: a key is unknown, or its value doesn't fit.
        """
        table = self.values.get(name, {})
        if not isinstance(table, dict):
            raise self.wrong((name,), f"must be a table: [{name}] on a line of its own.")
        self._allow((name,), table, options)
        return {key: self._fitting((name, key), table[key], options[key], context) for key in table}

    def check(self, key: str, option: Any, value: str, context: typer.Context) -> None:
        """Check a shared value as an option of a command takes it.

        Raises:
            KadrError: it doesn't fit; the message names the line.
        """
        try:
            if option.callback is None:
                option.process_value(context, value)
            _CHECKS.get(key, lambda _: None)(value)
        except (KadrError, typer.BadParameter) as error:
            raise KadrError(f"{self.where(key)}: {key}: {_message(error)}") from error

    def _allow(self, keys: tuple[str, ...], given: Iterable[str], known: Iterable[str]) -> None:
        for key in given:
            if key not in known:
                near = difflib.get_close_matches(key, known, 1)
                hint = f"Is {near[0]} meant? " if near else ""
                raise self.wrong((*keys, key), f"is unknown. {hint}Known: {', '.join(known)}.")

    def _fitting(
        self, keys: tuple[str, ...], value: Any, option: Any, context: typer.Context
    ) -> Any:
        """A value of a table as the option takes it; a list where that can be repeated."""
        if not option.multiple:
            return self._one(keys, value, lambda one: option.process_value(context, one))
        values = self._checked(keys, value, (list,), 'a list, such as ["a", "b"]')
        return [
            self._one(keys, one, lambda one: option.process_value(context, [one])[0])
            for one in values
        ]

    def _one(self, keys: tuple[str, ...], value: Any, convert: Callable[[Any], Any]) -> Any:
        value = _expanded(value) if isinstance(value, str) else value
        try:
            converted = convert(value)
        except typer.BadParameter as error:
            raise self.wrong(keys, f"doesn't fit: {_message(error)}") from error
        _, kinds, wanted = next(one for one in _KINDS if isinstance(converted, one[0]))
        return self._checked(keys, value, kinds, wanted)

    def _checked(
        self, keys: tuple[str, ...], value: Any, kinds: tuple[type, ...], wanted: str
    ) -> Any:
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise self.wrong(keys, f"must be {wanted}.")
        if isinstance(value, str) and "\0" in value:
            raise self.wrong(keys, "holds a null character. Leave it out.")
        return value


@dataclass(frozen=True)
class InForce:
    """The settings file of this run, and the shared keys that nothing outranks in it.

    `locale` is the variable of the system that gave the language, where nothing else did.
    """

    file: SettingsFile
    keys: frozenset[str] = frozenset()
    locale: str | None = None


def read(path: Path) -> SettingsFile:
    """Read a settings file.

    Raises:
        KadrError: it can't be read, is larger than `MOST_BYTES`, or no TOML in UTF-8.
    """
    try:
        if path.is_fifo():  # opening it would wait for ever
            raise KadrError(f"{path}: is a pipe. Name a settings file.")
        with path.open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise KadrError(f"{path}: is larger than {MOST_BYTES:,} bytes. Name a settings file.")
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
        return SettingsFile(path, text, tomllib.loads(text))
    except OSError as error:
        reason = error.strerror or str(error)
        raise KadrError(f"{path}: can't be read ({reason}). Name a settings file.") from error
    except UnicodeDecodeError as error:
        raise KadrError(f"{path}: isn't UTF-8 ({error}). Save it as UTF-8.") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        line = re.search(r"at line (\d+)", str(error))
        number = line[1] if line else data.rstrip().count(b"\n") + 1  # "at end of document"
        raise KadrError(f"{path}:{number}: isn't TOML: {error}. Mend that place.") from error


def take_effect(context: typer.Context, command: Any, named: Path | None) -> None:
    """Let the file speak where flags and environment don't, for as long as a command runs.

    Args:
        context: of the program; it keeps what is in force (`InForce`) as its `obj`.
        command: the one that is called.
        named: the file that the user named; None: `default_path()`, if it is there.

    Raises:
        KadrError: the file is wrong. Of the tables only the command's own is looked at.
    """
    path = named or default_path()
    # `kadr config init` makes it.
    may_lack = named is None or command.name == "config"
    file = SettingsFile(path) if may_lack and not path.exists() else read(path)
    given = {key: value for key, value in file.shared().items() if value}
    spoken = {k: v for k, v in given.items() if not os.environ.get(variable(k))}
    is_named = spoken.get("language") or os.environ.get(variable("language"))
    locale = None if is_named else _russian()
    for key, value in (spoken | ({"language": "ru"} if locale else {})).items():
        context.call_on_close(partial(_restore, variable(key), os.environ.get(variable(key))))
        os.environ[variable(key)] = value
    for key, option in _options(command).items():
        if key in spoken and not context.resilient_parsing:  # no shell completes
            file.check(key, option, spoken[key], context)
    context.obj = InForce(file, frozenset(spoken), locale)
    if command.name in TABLES:
        options = table_options(command)
        table = file.table(command.name, options, context)
        context.default_map = {command.name: {options[k].name: v for k, v in table.items()}}


def table_options(command: Any) -> dict[str, Any]:
    """The options of a command that may stand in its table, by key."""
    chosen = TABLES[command.name]
    options = _options(command)
    return {key: options[key] for key in chosen or options if key not in SHARED}


def _options(command: Any) -> dict[str, Any]:
    """The options of a command by their long names, without hyphens in front."""
    return {
        option.opts[-1].removeprefix("--"): option
        for option in command.params
        if option.param_type_name == "option" and option.opts[-1] != "--help"
    }


def _russian() -> str | None:
    """The variable by which the system is set to Russian; the first that is set decides."""
    name = next((one for one in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(one)), None)
    return name if name and os.environ[name].lower().startswith("ru") else None


def _restore(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def _expanded(value: str) -> str:
    """A path as a shell would read it."""
    return os.path.expanduser(value) if value.startswith("~") else value  # noqa: PTH111 - a text


def _message(error: Exception) -> str:
    return str(getattr(error, "message", error)).removeprefix("Value error, ").rstrip(".") + "."


def _check_policy(value: str) -> None:
    from kadr.law import rules

    rules.by_country(value)


def _check_device(value: str) -> None:
    from kadr.encoders import onnx_session

    known = ("auto", *onnx_session.PROVIDERS)
    if value.lower() not in known:
        raise KadrError(f"there is no device {value!r}. Choose one of: {', '.join(known)}.")


def _check_model(value: str) -> None:
    from kadr.matcher import installed

    installed.resolve(value)


_CHECKS = {"policy": _check_policy, "device": _check_device, "model": _check_model}
"""What a value is besides a text; the commands that take it load what these import anyway."""
