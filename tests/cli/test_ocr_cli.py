"""kadr ocr by the real command line: reads what is new, and searches find what it read."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from kadr.errors import ReadOnlyError
from kadr.law import review
from kadr.library.library import Library
from kadr.library.transcribe import BATCH
from kadr.photos import kinds
from kadr.stores import open_store
from kadr.types import Ruling
from shell import Shell, one_line
from signs import paint_sign

OCR = ("ocr", "--engine", "signs", "--library", "l.kadr")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path)
    for name, colour in (("1", "red"), ("2", "grey"), ("3", "lime"), ("4", "black"), ("5", "cyan")):
        paint_sign(tmp_path / "photos" / f"{name}.png", colour)
    shell("index", tmp_path / "photos", "--library", "l.kadr")
    return shell


def found(shell: Shell, *query: str, code: int = 0) -> dict[str, list[dict[str, object]]]:
    """What of the query is on record, by the names of the photos that it finds."""
    said = json.loads(shell("search", *query, "--json", "--library", "l.kadr", code=code).stdout)
    return {Path(hit["path"]).name: hit["on_record"] for hit in said["hits"] if hit["on_record"]}


def test_what_is_read_is_found(shell: Shell, tmp_path: Path) -> None:
    done = shell(*OCR)
    assert done.stdout.startswith("l.kadr: 4 read, 3 with text; ")
    region = [0.25, 0.4, 0.75, 0.6]
    assert found(shell, "sale") == {
        "1.png": [{"word": "sale", "source": "picture", "regions": [region]}]
    }
    assert found(shell, "faint", code=1) == {}, "it was read too unsurely"
    lines = shell("search", "sale", "--library", "l.kadr").stdout
    assert "1.png  [in the picture: sale]" in lines
    assert "1.png  [на снимке: sale]" in shell(
        "search", "sale", "--language", "ru", "--library", "l.kadr"
    ).stdout  # fmt: skip
    assert shell(*OCR).stdout == "l.kadr: the text of all photos has been read.\n"


def test_only_what_is_new_is_read(shell: Shell, tmp_path: Path) -> None:
    shell(*OCR)
    (tmp_path / "photos" / "1.png").rename(tmp_path / "photos" / "moved.png")
    paint_sign(tmp_path / "photos" / "6.png", "red", seed=1)
    shell("index", "--reread", "--library", "l.kadr")
    again = json.loads(shell(*OCR, "--json").stdout)
    assert {key: again[key] for key in ("read", "with_text", "failed", "unreachable")} == {
        "read": 1, "with_text": 1, "failed": 0, "unreachable": 0
    }  # fmt: skip
    assert found(shell, "sale").keys() == {"moved.png", "6.png"}
    retried = json.loads(shell(*OCR, "--retry", "--json").stdout)
    assert (retried["read"], retried["failed"]) == (0, 1)
    shell("library", "move", "--from", "l.kadr", "--to", "m.kadr")
    both = [open_store(tmp_path / name) for name in ("l.kadr", "m.kadr")]
    old, new = ([photo.picture for photo in store.all_photos()] for store in both)
    assert old == new
    assert sum(text is not None for text in old) == 6
    for store in both:
        store.close()


def test_what_isnt_there_waits(shell: Shell, tmp_path: Path) -> None:
    photo = tmp_path / "photos" / "1.png"
    photo.rename(tmp_path / "away.png")
    done = shell(*OCR)
    assert done.stdout.startswith("l.kadr: 3 read, 2 with text; ")
    assert "1 aren't there" in done.stderr
    (tmp_path / "away.png").rename(photo)
    assert shell(*OCR).stdout.startswith("l.kadr: 1 read, 1 with text; ")


def test_the_law_reads_no_signs_and_tells_none_of_hidden_photos(
    shell: Shell, tmp_path: Path
) -> None:
    shell(*OCR)
    law = ("--policy", "under-16")
    shell("index", *law, "--library", "l.kadr")
    with Library.open(tmp_path / "l.kadr", policy="under-16") as opened:
        for name, verdict in (("1", "hide"), ("2", "allow"), ("3", "allow")):
            digest = opened.store.digest_at(tmp_path / "photos" / f"{name}.png")
            ruling = Ruling(verdict, "test", "2026-01-01T00:00:00+00:00", "")  # type: ignore[arg-type]
            review.decide(opened.store, str(digest), ruling)
        numbers = opened.store.numbers(
            [bytes.fromhex(str(opened.store.digest_at(tmp_path / "photos" / "3.png")))]
        )
        assert opened.store.assessments(numbers)[numbers[0]].words == ()
    assert found(shell, "menu", *law).keys() == {"3.png"}
    hidden = shell("search", "sale", *law, "--library", "l.kadr", code=1)
    assert found(shell, "sale", *law, code=1) == {}
    assert "in the picture" not in hidden.stdout
    assert "1.png" not in hidden.stdout


@pytest.mark.skipif(not kinds.reads_films(), reason="needs the extra video")
def test_frames_of_films_are_read_too(shell: Shell, tmp_path: Path) -> None:
    from tiny_films import fields, make_film

    scenes = [fields(seed) for seed in range(2)]
    scenes[1][16:48, 24:72] = (255, 0, 0)
    make_film(tmp_path / "photos" / "film.mp4", scenes)
    shell("index", "--library", "l.kadr")
    shell(*OCR)
    said = json.loads(shell("search", "sale", "--json", "--library", "l.kadr").stdout)
    assert [hit["at"] for hit in said["hits"] if hit["path"].endswith("film.mp4")] == [3.0]


def test_it_goes_on_where_it_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", Shell(tmp_path).environment["PYTHONPATH"])
    for seed in range(BATCH + 2):
        paint_sign(tmp_path / "photos" / f"{seed}.png", "red", seed)

    def stop(done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with Library.open(tmp_path / "l.kadr") as library:
        library.index(tmp_path / "photos")
        with pytest.raises(KeyboardInterrupt):
            library.read_texts(engine="signs", progress=stop)
        assert len(library.store.unread("fake-signs-1")) == 2
        assert library.read_texts(engine="signs").read == 2
        assert library.read_texts(engine="signs").read == 0
        assert library.read_texts(engine="signs", retry=True).read == 0


def test_what_is_lacking_is_told_in_a_line(shell: Shell) -> None:
    if find_spec("rapidocr") is None:
        assert "pip install 'kadr[ocr]'" in one_line(shell("ocr", "--library", "l.kadr", code=2))
    assert "no such OCR engine" in one_line(
        shell("ocr", "--engine", "none", "--library", "l.kadr", code=2)
    )


def test_what_may_only_be_read_is_refused(shell: Shell, tmp_path: Path) -> None:
    with Library.open(tmp_path / "l.kadr", create=False) as library:
        library.store._access = "read"  # type: ignore[attr-defined]
        with pytest.raises(ReadOnlyError, match="may only be read"):
            library.read_texts(engine="signs")
