"""What is printed is safe for a terminal, and JSON is JSON."""

import json
import re
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadr.cli import console

CLI = Path(console.__file__).parent
TEXTS = st.text(st.characters(codec=None))  # lone surrogates too
HOSTILE = {
    "escape": "\x1b[31m",
    "newline": "\n",
    "C1": "\x9b31m",
    "bidi": "\u202egpj.exe",
    "isolate": "\u2066",
    "mark": "\u200f",
    "surrogate": "\udcff",
    "line separator": "\u2028",
    "delete": "\x7f",
}


@given(TEXTS)
def test_any_text_is_one_harmless_line(text: str) -> None:
    shown = console.printable(text)
    assert shown.replace("\u200c", "").replace("\u200d", "").isprintable()
    assert console.printable(shown) == shown


@given(st.dictionaries(TEXTS, TEXTS | st.floats(allow_nan=False) | st.none()))
def test_json_says_the_same_and_prints_nothing_raw(value: dict[str, object]) -> None:
    for ascii_only in (False, True):
        text = console.to_json(value, ascii_only=ascii_only)
        assert json.loads(text) == value
        assert console.printable(text.replace("\n", "")) == text.replace("\n", "")
        assert text.isascii() or not ascii_only


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE.keys())
def test_all_ways_of_printing_escape(hostile: str, capsys: pytest.CaptureFixture[str]) -> None:
    console.say(f"a{hostile}b")
    console.note(f"a{hostile}b")
    console.warn(Path(f"a{hostile}b"))
    console.print_json({"name": f"a{hostile}b"})
    shown = "".join(capsys.readouterr())
    assert hostile not in shown.replace("\n", "")
    assert len(shown.splitlines()) == 3 + len('{\n"name"\n}'.splitlines())


def test_letters_of_all_languages_stay(capsys: pytest.CaptureFixture[str]) -> None:
    names = "фото 写真 می‌خواهم 👩‍👩‍👧 é"
    console.say(names)
    assert capsys.readouterr().out == f"{names}\n"


def test_all_is_printed_in_one_place() -> None:
    direct = re.compile(
        r"\btyper\.(echo|secho)\(|(?<!\.)\bprint\(|std(out|err)\.(buffer\.)?write\("
    )
    found = {
        path.name for path in CLI.glob("*.py") if direct.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"console.py"}


# Progress without a terminal


def test_long_work_says_now_and_then_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    told, said = list[str](), threading.Event()

    def keep(line: object) -> None:
        told.append(str(line))
        said.set()

    monkeypatch.setattr(console, "EVERY", 0.001)
    monkeypatch.setattr(console, "note", keep)
    with console.progress() as report:
        assert said.wait(60)  # nothing was reported, and yet
        report("photos", 1200, 5000, "a.jpg")
        told.clear()
        while not any(line.startswith("photos 1,200 of 5,000 a.jpg, after ") for line in told):
            said.clear()
            assert said.wait(60)
    count = len(told)
    assert not [one for one in threading.enumerate() if one.name == "progress"]
    assert len(told) == count


def test_short_work_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress() as report:
        report("photos", 1, None)
    assert capsys.readouterr() == ("", "")
