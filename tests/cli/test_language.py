"""What the command line says of an answer, in English and Russian."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from kadr.cli.main import app
from kadr.library import notices
from kadr.library.library import Library
from kadr.matcher import bundle as matcher
from libraries import colour_matcher, paint


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a library of four photos, the name of one of which holds a word."""
    model = matcher.save(colour_matcher(), tmp_path / "model")
    for seed, name in enumerate(("red 2021-05-17", "свадьба", "walk", "walk 2")):
        paint(tmp_path / "photos" / f"{name}.png", seed)
    with Library.open(tmp_path / "photos.kadr", model=model) as opened:
        opened.index(tmp_path / "photos")
    monkeypatch.setenv("KADR_LIBRARY", str(tmp_path / "photos.kadr"))
    monkeypatch.setenv("KADR_MODEL", str(model))
    return tmp_path


def told(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["search", *arguments])
    assert done.exit_code in {0, 1}, repr(done.exception)
    return done.output


@pytest.mark.parametrize(
    ("language", "texts"),
    [
        ("en", ("Nothing in the library matches well. The nearest:", "in the name: свадьба",
                "Only those of 2021? kadr search red --after 2021", "No more photos.",
                "These are by what they show")),
        ("ru", ("В библиотеке нет ничего подходящего. Ближайшие:", "в имени: свадьба",
                "Только за 2021? kadr search red --after 2021", "Больше фото нет.",
                "Вот найденные по содержанию")),
    ],
)  # fmt: skip
def test_answers_are_in_the_language_that_is_wanted(
    library: Path, language: str, texts: tuple[str, ...]
) -> None:
    nearest, name, only, end, quoted = texts
    wanted = ("--language", language)
    assert nearest in told("blue", "--at-least", "1", *wanted)
    assert name in told("свадьба", *wanted)
    assert only in told("red", "in", "2021", *wanted)
    assert end in told("red", "--page", "9", *wanted)
    assert quoted in told('"red nowhere"', *wanted)


def test_every_notice_is_in_both_languages() -> None:
    for key in notices._TEXTS:
        english, russian = notices.notice(key, "en"), notices.notice(key, "ru-RU")
        assert english != russian
        assert notices.notice(key, "de") == english
