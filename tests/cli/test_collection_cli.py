"""kadr collection: made of paths, digests or a search, named anew, listed as the law allows."""

import json
import os
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from kadr.law import review
from kadr.matcher import bundle
from kadr.photos.files import digest
from kadr.stores import open_store
from libraries import colour_matcher, paint
from shell import RUN, Shell, one_line


@pytest.fixture
def kadr(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path)
    for seed in range(3):
        paint(tmp_path / "photos" / f"{seed}.png", seed)
    model = bundle.save(colour_matcher(), tmp_path / "model")
    shell("index", "photos", "--model", model)
    return shell


def listed(kadr: Shell, *name: str, policy: str = "none") -> list[str]:
    said = kadr("collection", "list", *name, "--policy", policy)
    return said.stdout.splitlines()


def test_from_the_first_photo_to_the_last(kadr: Shell) -> None:
    photos = kadr.home / "photos"
    assert listed(kadr) == []
    one = digest(photos / "1.png")
    said = kadr("collection", "add", "Лето", "photos/0.png", one).stdout
    assert said == "Лето: 2 photos\n"
    assert listed(kadr) == ["Лето: 2"]
    assert set(listed(kadr, "Лето")) == {str(photos / "0.png"), str(photos / "1.png")}
    (photos / "0.png").rename(photos / "renamed.png")
    kadr("index")
    assert str(photos / "renamed.png") in listed(kadr, "Лето")
    kadr("collection", "rename", "Лето", "Summer")
    kadr("collection", "remove", "Summer", "photos/1.png")
    assert listed(kadr, "Summer") == [str(photos / "renamed.png")]
    kadr("collection", "delete", "Summer")
    assert json.loads(kadr("collection", "list", "--json").stdout) == {"collections": []}
    assert kadr("library").stdout.count("Photos: 3")


def test_a_search_fills_one_and_looks_in_it(kadr: Shell) -> None:
    kadr("collection", "add", "favourites", "photos/2.png")
    found = kadr("search", "red dog", "--collection", "favourites", "--paths0", "--at-least", "0")
    assert found.stdout == f"{kadr.home / 'photos' / '2.png'}\0"
    odd = kadr.home / "photos" / os.fsdecode(b"\xff.png")
    paint(odd, 7)
    kadr("index")
    paths = b"".join(os.fsencode(one) + b"\0" for one in (odd, kadr.home / "photos" / "0.png"))
    done = subprocess.run(
        [*RUN, "collection", "add", "favourites", "--paths0"],
        input=paths, env=kadr.environment, cwd=kadr.home, capture_output=True, check=True,
    )  # fmt: skip
    assert done.stdout == b"favourites: 3 photos\n"
    again = kadr("collection", "list", "favourites", "--paths0").stdout
    assert set(again.split("\0")) > {str(odd)}
    alike = kadr("similar", "photos/0.png", "--collection", "favourites", "--json")
    assert len(json.loads(alike.stdout)["hits"]) == 2


def test_what_the_law_hides_is_not_listed_nor_counted(kadr: Shell) -> None:
    kadr("collection", "add", "a", "photos/0.png", "photos/1.png")
    library = kadr.home / ".local" / "share" / "kadr" / "library.kadr"
    with closing(open_store(library)) as store:
        for seed, verdict in ((0, "allow"), (1, "hide")):
            photo = digest(kadr.home / "photos" / f"{seed}.png")
            review.decide(store, photo, review.ruling(verdict, "Anna", "seen"))
    assert listed(kadr, policy="under-16") == ["a: 1"]
    assert listed(kadr, "a", policy="under-16") == [str(kadr.home / "photos" / "0.png")]
    assert listed(kadr) == ["a: 2"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("add", "a"), "Name photos by their paths"),
        (("add", "a", "photos/0.png", "none.png"), "none.png isn't in the library"),
        (("add", "a/b", "photos/0.png"), "is no name of a collection"),
        (("add", "x" * 101, "photos/0.png"), "is no name of a collection"),
        (("add", "a", "photos/0.png", "--paths0"), "not both"),
        (("remove", "none", "photos/0.png"), "There is no collection 'none'"),
        (("rename", "there", "other"), "There is a collection 'other' already"),
        (("rename", "none", "a"), "There is no collection 'none'"),
        (("delete", "none"), "There is no collection 'none'"),
        (("list", "none"), "There is no collection 'none'"),
        (("list", "--paths0"), "Name their collection"),
    ],
)
def test_what_can_not_be_done_is_one_line(
    kadr: Shell, arguments: tuple[str, ...], told: str
) -> None:
    for name in ("there", "other"):
        kadr("collection", "add", name, "photos/2.png")
    assert told in one_line(kadr("collection", *arguments, code=2))
    assert listed(kadr) == ["other: 1", "there: 1"]


def test_a_search_in_one_that_is_not_there_is_told(kadr: Shell) -> None:
    said = one_line(kadr("search", "red", "--collection", "none", code=2))
    assert "There is no collection 'none'. kadr collection list names" in said


def test_a_year_in_the_query_is_offered_as_a_filter(kadr: Shell) -> None:
    photo = kadr.home / "photos" / "IMG_20210704_101112.png"
    paint(photo, 11)
    kadr("index")
    searched = kadr("search", "red dog in 2021", "--at-least", "0")
    offer = "Only those of 2021? kadr search red dog --after 2021 --before 2022"
    assert searched.stderr.splitlines() == [offer]
    assert len(searched.stdout.splitlines()) == 4
    filtered = kadr(*offer.partition("kadr ")[2].split(), "--paths0", "--at-least", "0")
    assert (filtered.stdout, filtered.stderr) == (f"{photo}\0", "")
    assert kadr("search", "red dog in 1999", "--at-least", "0").stderr == ""
    found = json.loads(kadr("search", "red dog in July 2021", "--json", "--at-least", "0").stdout)
    assert found["suggestion"] == {"query": "red dog", "after": "2021-07", "before": "2021-08"}


def test_a_word_with_a_minus_is_no_option(kadr: Shell) -> None:
    said = json.loads(
        kadr("search", "red", "-snow", "dog", "-n2", "--json", "--at-least", "0").stdout
    )
    assert said["query"] == "red -snow dog"
    assert len(said["hits"]) <= 2
    assert "only leaves out" in one_line(kadr("search", "-snow", code=2))


def test_a_query_names_a_collection_or_a_folder(kadr: Shell) -> None:
    kadr("collection", "add", "Beach 1", "photos/2.png")
    paint(kadr.home / "photos" / "Trips" / "9.png", 9)
    kadr("index")
    wanted = {'collection:"beach 1"': None, 'collection:"Beach 1"': "2.png", "in:trips": "9.png"}
    for word, name in wanted.items():
        line = f"red dog {word}"
        if name is None:
            said = one_line(kadr("search", line, code=2))
            assert "There is no collection 'beach 1'. kadr collection list names" in said
        else:
            found = json.loads(kadr("search", line, "--json", "--at-least", "0").stdout)
            assert [Path(hit["path"]).name for hit in found["hits"]] == [name]
    said = one_line(kadr("search", "dog", "in:nowhere", code=2))
    assert "No folder of the library is called 'nowhere'" in said
