"""Settings: flags > environment > the settings file > default, of commands and of the service."""

import json
import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from kadr.cli.main import app
from kadr.cli.settings import MOST_BYTES, SHARED, SettingsFile, variable
from kadr.errors import KadrError
from services import API, FAKES, paint_library, serving
from shell import Shell, one_line


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give an environment without kadr's variables, and a home of its own."""
    for name in variables():
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("KADR_")}


def shown(*arguments: str | Path, file: Path | None = None) -> dict[str, dict[str, Any]]:
    """What `kadr config --json` tells, by key; the environment stays as it is."""
    named, before = ["--config", str(file)] if file else [], variables()
    done = CliRunner().invoke(app, [*named, "config", "--json", *map(str, arguments)])
    assert done.exit_code == 0, done.output + repr(done.exception)
    assert variables() == before
    return {one["key"]: one for one in json.loads(done.stdout)["settings"]}


def refused(text: str, folder: Path, *arguments: str) -> str:
    """What is said of a settings file."""
    file = folder / "settings.toml"
    file.write_text(text, encoding="utf-8")
    done = CliRunner().invoke(app, ["--config", str(file), *(arguments or ["config"])])
    assert isinstance(done.exception, KadrError), done.output
    told = str(done.exception)
    assert "\n" not in told
    return told.removeprefix(f"{file}:")


def test_flags_outrank_the_environment_which_outranks_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(
        'library = "~/file.kadr"\n\ncountry = "DE"\npolicy = "under-16"\n[serve]\nport = 9000\n'
        'name = [\n  "a",\n]\nseconds = 3\n',
        encoding="utf-8",
    )
    monkeypatch.setenv("KADR_POLICY", "none")
    monkeypatch.setenv("KADR_COUNTRY", "FR")
    found = shown("--country", "RU", file=file)
    said = {key: (found[key]["value"], found[key]["origin"], found[key]["where"]) for key in found}
    assert said["country"] == ("RU", "flag", "--country")
    assert said["policy"] == ("none", "environment", "KADR_POLICY")
    assert said["library"] == (str(tmp_path / "file.kadr"), "file", f"{file}:1")
    assert said["device"] == ("auto", "default", None)
    assert said["serve.port"] == (9000, "file", f"{file}:6")
    assert said["serve.name"] == (["a"], "file", f"{file}:7")
    assert said["serve.seconds"] == (3, "file", f"{file}:10")
    assert said["serve.rate"] == ("600/minute", "default", None)


@pytest.mark.parametrize(
    ("variables", "language", "where"),
    [
        ({"LANG": "ru_RU.UTF-8"}, "ru", "LANG"),
        ({"LANG": "ru_RU.UTF-8", "LC_ALL": "C.UTF-8"}, "en", None),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "ru"}, "ru", "LC_MESSAGES"),
        ({"LANG": "ru_RU.UTF-8", "KADR_LANGUAGE": "en"}, "en", "KADR_LANGUAGE"),
    ],
)
def test_language_is_the_systems_where_none_is_named(
    variables: dict[str, str], language: str, where: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LC_ALL")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = shown()["language"]
    assert (found["value"], found["where"]) == (language, where)


def test_every_variable_of_a_setting_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"language": "ru", "device": "cpu"}
    for key in SHARED:
        monkeypatch.setenv(variable(key), values.get(key, "/x.toml"))
    found = shown()
    assert {found[key]["where"] for key in SHARED} == {variable(key) for key in SHARED}


def test_empty_values_count_as_unset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('language = ""\npolicy = ""\n', encoding="utf-8")
    monkeypatch.setenv("KADR_COUNTRY", "")
    assert {one["origin"] for one in shown(file=file).values()} == {"default"}


def test_file_of_the_user_is_found_without_being_named(tmp_path: Path) -> None:
    place = tmp_path / "config" / "kadr" / "config.toml"
    done = CliRunner().invoke(app, ["config", "init"])
    assert done.stdout == f"{place}\n"
    assert all(one["origin"] == "default" for one in shown().values())
    place.write_text(place.read_text("utf-8").replace("# port = 8427", "port = 1"), "utf-8")
    assert shown()["serve.port"]["origin"] == "file"
    again = CliRunner().invoke(app, ["config", "init"])
    assert "is there already" in str(again.exception)


def test_example_names_every_setting_and_its_defaults_hold() -> None:
    text = CliRunner().invoke(app, ["config", "init", "--example"]).stdout
    assert tomllib.loads(text) == {"search": {}, "serve": {}}
    in_force = "\n".join(
        line.removeprefix("# ") if " = " in line else line for line in text.split("\n")
    )
    values = tomllib.loads(in_force)
    found = shown()
    for key, one in found.items():
        table, _, name = key.rpartition(".")
        value = (values[table] if table else values)[name]
        assert value == one["value"] or value == "..."


def test_passwords_are_never_told(tmp_path: Path) -> None:
    address = "postgresql://anna:hunter2@db.example/photos"
    file = tmp_path / "settings.toml"
    file.write_text(f'library = "{address}"\n', encoding="utf-8")
    for arguments in ([], ["--library", address]):
        done = CliRunner().invoke(app, ["--config", str(file), "config", *arguments])
        assert "anna@db.example" in done.output
        assert "hunter2" not in done.output


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('polcy = "x"', "1: polcy is unknown. Is policy meant? Known: library, model, "),
        ("[serve]\nprt = 1", "2: serve.prt is unknown. Is port meant? Known: host, port, "),
        ("[serve]\nlibrary = 'x'", "2: serve.library is unknown. "),
        ("[search]\npaths0 = true", "2: search.paths0 is unknown. "),
        ('\npolicy = "under-15"', "2: policy: There is no policy 'under-15'. Choose one of: none"),
        ('language = "fr"', "1: language: 'fr' is not one of 'en', 'ru'."),
        ('device = "gpu"', "1: device: there is no device 'gpu'. Choose one of: auto, "),
        ("policy = true", "1: policy must be a text in quotes."),
        ('library = "\\u0000x"', "1: library holds a null character."),
        ("a = [\n" + "1,\n" * 20_000 + "]", "?: a is unknown."),
        ('[serve]\nport = "90"', "2: serve.port must be a whole number."),
        ("[serve]\nport = 99999999", "2: serve.port doesn't fit: "),
        ("[serve]\nport = true", "2: serve.port must be a whole number."),
        ("[serve]\nhost = 4", "2: serve.host must be a text in quotes."),
        ('[serve]\nbrowse = "yes"', "2: serve.browse must be true or false."),
        ('[serve]\nname = "a"', '2: serve.name must be a list, such as ["a", "b"].'),
        ("[serve]\nname = [3]", "2: serve.name must be a text in quotes."),
        ('[serve]\nanonymous = ["x"]', "2: serve.anonymous doesn't fit: 'x' is not one of 'read'"),
        ("serve = 3", "1: serve must be a table: [serve] on a line of its own."),
        ("b = 1\na = ", "2: isn't TOML: "),
        ("b = 1\na = ?\n", "2: isn't TOML: "),
        ("x" * MOST_BYTES + "=1", " is larger than 65,536 bytes. "),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, told: str, tmp_path: Path) -> None:
    assert refused(text, tmp_path).startswith(told)


def test_a_command_checks_what_it_takes_and_leaves_the_rest(tmp_path: Path) -> None:
    assert refused('policy = "under-15"', tmp_path, "search", "x").startswith("1: policy: ")
    assert refused('poliy = "none"', tmp_path, "doctor").startswith("1: poliy is unknown.")
    assert "no library here" in refused("[serve]\nport = 'x'", tmp_path, "search", "x")


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    kadr = Shell(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b'policy = "\xe9"')
    os.mkfifo(tmp_path / "pipe.toml")
    for name, told in [
        ("nowhere.toml", "can't be read (No such file or directory)"),
        (".", "can't be read (Is a directory)"),
        ("latin.toml", "isn't UTF-8"),
        ("/dev/zero", "is larger than 65,536 bytes"),
        ("pipe.toml", "is a pipe"),
    ]:
        assert told in one_line(kadr("--config", name, "library", code=2))
    assert "kadr --config no.toml config init" in one_line(
        kadr("--config", "no.toml", "config", code=2)
    )
    kadr("--config", "sub/no.toml", "config", "init")
    assert "port" in kadr("--config", "sub/no.toml", "config").stdout


@given(
    st.lists(st.sampled_from(["# c", "", 'a{} = """x\nb9 = 1\n"""', "a{} = [\n 1,\n]", "a{} = 1"]))
)
def test_lines_are_those_where_a_statement_begins(statements: list[str]) -> None:
    text, lines, count = "", {}, 1
    for number, one in enumerate(statements):
        lines[f"a{number}"] = count if "{}" in one else None
        text += one.replace("{}", str(number)) + "\n"
        count += one.count("\n") + 1
    file = SettingsFile(Path("f"), text, tomllib.loads(text))
    assert {key: file.line(key) for key in lines} == lines


def test_option_before_the_subcommand_outranks_environment_and_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KADR_LIBRARY", str(tmp_path / "environment.kadr"))
    for arguments in (
        ["--library", "flag.kadr", "problems"],
        ["problems", "--library", "flag.kadr"],
    ):
        done = CliRunner().invoke(app, ["library", *arguments])
        assert str(done.exception).startswith("flag.kadr: no library")


def test_service_takes_its_table_and_the_shared_settings(tmp_path: Path) -> None:
    library, _ = paint_library(tmp_path)
    file = tmp_path / "settings.toml"
    file.write_text(
        'country = "RU"\n[serve]\nanonymous = ["read"]\nmax-bytes = 4321\nport = 1\n',
        encoding="utf-8",
    )
    with serving(library, environment=FAKES | {"KADR_CONFIG": str(file)}) as service:
        assert service.port != 1  # a flag outranks it
        with service.client() as client:
            about = client.get(f"{API}/library").json()
            assert about["photos"] > 0
            assert client.post(f"{API}/photos", content=b"x").status_code == 401
            answer = client.get(f"{API}/search", params={"q": "red"}).json()
            assert answer["country"] == "RU"
