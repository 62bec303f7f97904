"""Sidecars: which are a photo's, what they say, and what strangers put into them."""

import os
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blocks import packet
from kadr.encoding.steps import identify
from kadr.photos import files, films, folders, kinds, sidecar_facts, sidecars, texts
from kadr.photos.ignore import Rules
from kadr.photos.metadata import LIMIT
from kadr.stores import NewFile
from kadr.types import PhotoFacts, Sidecar

FACTS = PhotoFacts("jpeg", 4, 3, "2020-01-01T00:00:00", None, 1.0, 2.0, ("own",))
TITLE = packet("<dc:title>by the sea</dc:title>")


@pytest.mark.parametrize(
    ("photo", "names", "own"),
    [
        ("IMG_1.jpg", ["IMG_1.xmp", "IMG_1.jpg.xmp", "IMG_2.xmp"], ["IMG_1.jpg.xmp", "IMG_1.xmp"]),
        ("IMG_1.jpg", ["img_1.XMP", "IMG_1.JPG.Xmp"], ["IMG_1.JPG.Xmp", "img_1.XMP"]),
        ("IMG_1.jpg", ["IMG_1.png.xmp", "IMG_10.xmp", "IMG_1.jpg.xmp.bak", "MG_1.xmp"], []),
        ("IMG_1.jpg", ["IMG_1.CR2.xmp"], ["IMG_1.CR2.xmp"]),
        ("a.b.png", ["a.xmp", "a.b.xmp"], ["a.b.xmp"]),
        (unicodedata.normalize("NFD", "Café.jpg"), ["café.xmp"], ["café.xmp"]),
        ("IMG_1.jpg", [".xmp", "xmp"], []),
    ],
)  # fmt: skip
def test_whose_a_sidecar_is(photo: str, names: list[str], own: list[str]) -> None:
    assert sidecars.of_photo(photo, sidecars.by_photo(names)) == tuple(own)


def test_a_walk_and_a_look_at_one_photo_find_the_same(tmp_path: Path) -> None:
    for name in ("1.jpg", "1.xmp", "1.JPG.XMP", "2.jpg", "3.png", ".kadrignore"):
        (tmp_path / name).touch()
    (tmp_path / ".kadrignore").write_text("*.xmp\n*.XMP\n")  # they go with their photos
    (tmp_path / "2.xmp").mkdir()
    found = folders.walk(tmp_path, Rules(tmp_path))
    walked = {one.path.name: one.sidecars for one in found if one.met == "photo"}
    assert walked == {"1.jpg": ("1.JPG.XMP", "1.xmp"), "2.jpg": (), "3.png": ()}
    looked = sidecars.Folders()
    for name, beside in walked.items():
        state = sidecars.state_beside(tmp_path, beside)
        assert state.isascii()
        assert looked.state(tmp_path / name) == state
    assert looked.state(tmp_path / "gone" / "1.jpg") == ""


def read(folder: Path, **contents: bytes) -> Sidecar:
    for name, content in contents.items():
        (folder / f"{name}.xmp").write_bytes(content)
    names = tuple(f"{name}.xmp" for name in contents)
    said = sidecar_facts.read_beside(folder / "1.jpg", sidecars.state_beside(folder, names))
    assert said is not None
    return said


def test_what_it_says(tmp_path: Path) -> None:
    said = read(
        tmp_path,
        one=packet(
            "<dc:title>by the sea</dc:title><dc:subject><rdf:Bag><rdf:li>grandma</rdf:li></rdf:Bag>"
            "</dc:subject><photoshop:City>Bergen</photoshop:City>"
            "<Iptc4xmpExt:LocationCreated><rdf:Bag><rdf:li rdf:parseType='Resource'>"
            "<Iptc4xmpExt:CountryName>Norway</Iptc4xmpExt:CountryName></rdf:li></rdf:Bag>"
            "</Iptc4xmpExt:LocationCreated>",
            "exif:DateTimeOriginal='2021-05-17T10:11:12' exif:GPSLatitude='60,23.5N'"
            " exif:GPSLongitude='5,19.2E'",
        ),
        two=packet("<dc:title>by the sea</dc:title>", "xmp:CreateDate='2022-01-01'"),
    )
    assert said.texts == ("by the sea", "grandma", "Bergen", "Norway")
    assert said.taken == "2021-05-17T10:11:12"
    assert said.complete
    assert (said.latitude, said.longitude) == pytest.approx((60.391667, 5.32))


@pytest.mark.parametrize(
    "content",
    [TITLE[:-20], b"no XMP <at all", b"<!DOCTYPE x>" + TITLE, TITLE + b" " * LIMIT,
     packet("<dc:title>" + "x" * 11_000 + "</dc:title>")],
    ids=["cut", "none", "doctype", "too large", "a long text"],
)  # fmt: skip
def test_words_that_lack_are_noted(tmp_path: Path, content: bytes) -> None:
    assert not read(tmp_path, one=content).complete


def test_an_empty_one_says_nothing(tmp_path: Path) -> None:
    assert replace(read(tmp_path, one=b""), state="") == Sidecar("")


def test_one_that_can_t_be_read_is_read_again(tmp_path: Path) -> None:
    state = sidecars.state(("1.xmp", "pipe.xmp"), lambda _: (3, 5))
    os.mkfifo(tmp_path / "pipe.xmp")  # opening it would wait for ever
    said = sidecar_facts.read_beside(tmp_path / "1.jpg", state)
    assert said is not None
    assert said.state == sidecars.state(("1.xmp", "pipe.xmp"), lambda _: None) != state
    assert not said.complete


def test_a_loop_of_links_is_a_sidecar_that_can_t_be_read(tmp_path: Path) -> None:
    for name in ("1.jpg", "2.jpg"):
        (tmp_path / name).touch()
    (tmp_path / "1.jpg.xmp").symlink_to("1.jpg.xmp")
    found = {one.path.name: one.sidecars for one in folders.walk(tmp_path, Rules(tmp_path))}
    assert found == {"1.jpg": ("1.jpg.xmp",), "2.jpg": ()}
    said = sidecar_facts.read_beside(
        tmp_path / "1.jpg", sidecars.Folders().state(tmp_path / "1.jpg")
    )
    assert said == Sidecar(sidecars.state(("1.jpg.xmp",), lambda _: None), complete=False)


def test_a_folder_that_can_t_be_listed_hides_no_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: object) -> None:
        raise PermissionError

    (tmp_path / "1.jpg.xmp").write_bytes(TITLE)
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", refused)
        state = sidecars.Folders().state(tmp_path / "1.jpg")
    said = sidecar_facts.read_beside(tmp_path / "1.jpg", state)
    assert said is not None
    assert not said.complete, "others may lie there"
    assert said.state == state != sidecars.Folders().state(tmp_path / "1.jpg")


def test_films_and_their_frames_have_them_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.mp4", "a.mp4.xmp", "a.xmp"):
        (tmp_path / name).touch()
    monkeypatch.setattr(kinds, "reads_films", lambda: True)
    (film,) = folders.walk(tmp_path, Rules(tmp_path))
    assert (film.met, film.sidecars) == ("film", ("a.mp4.xmp", "a.xmp"))
    state = sidecars.state_beside(tmp_path, film.sidecars)
    assert sidecars.Folders().state(tmp_path / "a.mp4") == state
    assert sidecars.Folders().state(films.named(tmp_path / "a.mp4", 3.0)) == state


def test_a_pipe_in_a_file_s_place_is_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "1.jpg.xmp")
    state = sidecars.state(("1.jpg.xmp",), lambda _: (3, 5))
    said = sidecar_facts.read_beside(tmp_path / "1.jpg", state)
    assert said is not None
    assert not said.complete
    with pytest.raises(OSError, match="no file but a pipe"):
        files.opened(tmp_path / "1.jpg.xmp")
    taken = identify(NewFile(tmp_path / "1.jpg.xmp", 3, 5))
    assert taken.problem == "can't be read: no file but a pipe, a socket or a device"


def test_more_than_are_read_are_noted(tmp_path: Path) -> None:
    many = {f"x{number}": TITLE for number in range(sidecar_facts.MOST + 1)}
    assert not read(tmp_path, **many).complete
    del many["x0"]
    assert read(tmp_path, **many).complete


def test_facts_with_what_is_said_beside_each_copy() -> None:
    assert sidecar_facts.joined(FACTS, []) == FACTS
    one = Sidecar("1", ("a", "own"), taken="2021-01-01T00:00:00")
    other = Sidecar("2", ("b", "a"), taken="2022-01-01T00:00:00", latitude=3.0, longitude=4.0)
    assert sidecar_facts.joined(FACTS, [one, other]) == replace(
        FACTS, taken="2021-01-01T00:00:00", latitude=3.0, longitude=4.0, texts=("own", "a", "b")
    )
    assert not sidecar_facts.joined(FACTS, [one, replace(other, complete=False)]).texts_complete
    full = Sidecar("3", tuple(str(number) for number in range(texts.MOST)))
    assert not sidecar_facts.joined(FACTS, [full]).texts_complete


@settings(max_examples=200)
@given(st.binary(max_size=400) | st.text(max_size=300).map(packet))
def test_whatever_it_holds_it_is_read(content: bytes) -> None:
    said = sidecar_facts.parsed('[["1.xmp", 1, 1]]', lambda _: content)
    assert said is not None
    assert said.state == '[["1.xmp", 1, 1]]'
