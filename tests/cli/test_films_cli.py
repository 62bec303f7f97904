"""Films by the real command line: what it says of them, and what it gives of them."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kadr.cli.main import app
from kadr.law import review
from kadr.library.library import Library
from kadr.photos import films, kinds
from kadr.types import Ruling
from libraries import paint
from shell import Shell
from tiny_films import fields, make_film

needs_av = pytest.mark.skipif(not kinds.reads_films(), reason="needs the extra video")
QUERY = ("search", "coloured", "squares", "--at-least", "0")


def test_without_the_extra_films_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.mp4", "b.MOV", "c.mxf"):
        (tmp_path / "photos" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "photos" / name).touch()
    monkeypatch.setattr(kinds, "reads_films", lambda: False)
    arguments = ["index", str(tmp_path / "photos"), "--library", str(tmp_path / "l.kadr")]
    said = CliRunner().invoke(app, arguments).output
    assert "3 video (" in said
    assert "2 films aren't read: pip install 'kadr[video]'" in said
    monkeypatch.setattr(kinds, "reads_films", lambda: True)
    assert "aren't read: pip" not in CliRunner().invoke(app, arguments).output


@needs_av
def test_from_index_to_copy(tmp_path: Path) -> None:
    shell, film = Shell(tmp_path), tmp_path / "photos" / "holiday.mp4"
    make_film(film, [fields(n) for n in range(3)])
    paint(tmp_path / "photos" / "photo.png", 40)
    (tmp_path / "photos" / "empty.mov").touch()
    indexed = shell("index", tmp_path / "photos", "--library", "l.kadr")
    assert indexed.stdout.startswith("l.kadr: 4 new, 1 skipped")
    assert "Films, whose frames are counted among them: 1" in indexed.stdout
    assert indexed.stderr.splitlines()[0].endswith("not a readable film (the file is empty)")
    found = shell(*QUERY, "--kind", "film", "--library", "l.kadr").stdout.splitlines()
    assert len(found) == 1
    assert f"{film} at 0:0" in found[0]
    assert "(also at 0:0" in found[0]
    each = shell(*QUERY, "kind:video", "--frames", "--library", "l.kadr").stdout.splitlines()
    assert len(each) == 3
    said = json.loads(shell(*QUERY, "kind:film", "--json", "--library", "l.kadr").stdout)
    (hit,) = said["hits"]
    assert hit["path"] == str(film)
    assert sorted([hit["at"], *hit["moments"]]) == [0.0, 3.0, 6.0]
    names = shell(*QUERY, "kind:film", "--frames", "--paths0", "--library", "l.kadr").stdout
    assert names == f"{film}\0"
    like = shell("similar", f"{film}#t=4.5", "-n", "1", "--frames", "--library", "l.kadr")
    assert f"{film} at 0:03" in like.stdout
    sheets = ("--sheet", "s.html", "--copy-to", "copies")
    shell(*QUERY, "kind:film", *sheets, "--library", "l.kadr")
    assert "holiday.mp4 · 0:0" in (tmp_path / "s.html").read_text("utf-8")
    assert (tmp_path / "copies" / "holiday.mp4").read_bytes() == film.read_bytes()
    moment = shell("search", str(film), "--library", "l.kadr", code=2)
    assert "Name a moment of it" in moment.stderr


@needs_av
def test_a_film_that_the_law_hides_in_part_is_not_given(tmp_path: Path) -> None:
    shell, film = Shell(tmp_path), tmp_path / "photos" / "holiday.mp4"
    make_film(film, [fields(n) for n in range(3)])
    law = ("--policy", "under-16", "--library", "l.kadr")
    shell("index", tmp_path / "photos", *law)
    with Library.open(tmp_path / "l.kadr", policy="under-16") as opened:
        for at, verdict in ((0.0, "allow"), (3.0, "hide"), (6.0, "allow")):
            digest = opened.store.digest_at(films.named(film, at))
            ruling = Ruling(verdict, "test", "2026-01-01T00:00:00+00:00", "")  # type: ignore[arg-type]
            review.decide(opened.store, str(digest), ruling)
    found = shell(*QUERY, "--frames", *law)
    assert found.stdout.count("holiday.mp4 at ") == 2
    copied = shell(*QUERY, "--copy-to", "copies", "--paths0", *law)
    assert "shows what the law hides too" in copied.stderr
    assert copied.stdout == ""
    assert not list((tmp_path / "copies").glob("*"))
