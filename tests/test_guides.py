"""The guides are walks that end: every command of them runs, in a folder of its reader's own."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main
from PIL import Image
from typer.testing import CliRunner

from documents import blocks, examples
from kadr.cli.main import app
from services import serving

DOCS = Path(__file__).parents[1] / "docs"
GUIDES = [DOCS / f"{name}.md" for name in ("start", "family", "company")]
PAGES = sorted({*DOCS.parent.glob("README*.md"), *DOCS.glob("*.md")})
MATCHES_LITTLE = ("kadr search ", "kadr similar ", "kadr duplicates", "kadr review estimate")
"""As grep, they exit with 1 where nothing is found, and these photos are of one colour each."""
SPAN = re.compile(r"`(kadr [^`]+)`")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the reader's folder, with photos, a library and a cache of its own, and go there."""
    (tmp_path / "photos").mkdir()
    for name, colour in (("beach.jpg", "khaki"), ("slope.jpg", "white"), ("IMG_0412.jpg", "teal")):
        Image.new("RGB", (64, 48), colour).save(tmp_path / "photos" / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KADR_LIBRARY", str(tmp_path / "library.kadr"))
    monkeypatch.setenv("KADR_CACHE", str(tmp_path / "cache.sqlite"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_every_command_of_a_guide_runs(
    page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = 0
    for command, shown in examples(page):
        program, *arguments = shlex.split(command)
        if program == "export":
            monkeypatch.setenv(*arguments[0].split("=", 1))
        elif arguments[0] == "serve":
            options = [one for one in arguments[1:] if one != "--browse"]
            with serving(folder / "library.kadr", *options) as service:
                assert "kadr" in service.written()
        elif program == "kadr":
            done = CliRunner().invoke(app, arguments)
            expected = {0, 1} if command.startswith(MATCHES_LITTLE) else {0}
            assert done.exit_code in expected, f"{command}\n{done.output}{done.exception!r}"
            assert done.stdout == shown or not shown, command
        else:
            assert program == "pip", command
        ran += 1
    assert ran >= 10


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_the_russian_guide_has_the_same_commands(page: Path) -> None:
    assert list(examples(page.with_suffix(".ru.md"))) == list(examples(page))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_named_in_a_text_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    lines = {
        line
        for block in blocks(page, "sh")
        for line in block.splitlines()
        if line.startswith("kadr ")
    }
    lines |= {command for command, _ in examples(page) if command.startswith("kadr ")}
    for line in sorted(lines | {span.replace("\n", " ") for span in SPAN.findall(text)}):
        assert unknown(re.split(r" [|>#] ", line)[0].split()[1:]) == [], line


def test_what_no_command_has_is_noticed() -> None:
    assert unknown(["serch", "a", "dog"]) == ["serch"]
    assert unknown(["library", "restor", "FILE"]) == ["restor"]
    assert unknown(["search", "a", "dog", "--in", "photos", "--att=0"]) == ["--att"]


def unknown(words: list[str]) -> list[str]:
    """Which commands and long options of a line kadr doesn't have. Values may be anything."""
    command: Any = typer.main.get_command(app)
    context = command.make_context("kadr", [], resilient_parsing=True)
    own = {"--help"} | {option for one in command.params for option in one.opts}
    while words and hasattr(command, "get_command") and re.fullmatch("[a-z]+", words[0]):
        found = command.get_command(context, words[0])
        if found is None:
            return words[:1]
        command, words = found, words[1:]
        own |= {option for one in command.params for option in [*one.opts, *one.secondary_opts]}
    options = [word.split("=")[0].strip(".,;:)[]") for word in words if word.startswith("--")]
    return [option for option in options if option not in own]
