"""Words on record: how names, texts and queries become keys that meet."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadr.stores import words
from kadr.types import Place
from libraries import FACTS


def meets(query: str, *, text: str = "", path: str = "/p/x.jpg", taken: str | None = None) -> bool:
    """Whether all of a query's words are on the record of a photo, whose library is /p."""
    facts = replace(FACTS, texts=(text,), taken=taken, camera="Apple iPhone 12")
    held = set(" ".join(words.columns(facts, [Path(path)], [Path("/p")])).split())
    asked = words.wanted(query)
    return bool(asked.keys) and all(held.intersection(any_of) for any_of in asked.keys)


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("grandma birthday", "grandma-birthday.jpg"),
        ("grandma's birthdays", "grandmaBirthday2021.jpg"),
        ("birthday 2021", "grandmaBirthday2021.jpg"),
        ("grandmaBirthday2021", "grandmaBirthday2021.jpg"),
        ("xml file", "XMLFile.png"),
        ("IMG_1234", "IMG_1234.JPG"),
        ("IMG_1234.JPG", "IMG_1234.JPG"),
        ("img_1234.jpg", "IMG_1234.JPG"),
        ("dsc01234", "DSC01234.jpg"),
        ("01234", "DSC01234.jpg"),
        ("babushka", "бабушка.jpg"),
        ("бабушки", "babushka.jpg"),
        ("бабушкой", "Babushka2.jpg"),
        ("Moskva", "Москве.jpg"),
        ("Москва", "moskva.jpg"),
        ("новый год", "noviy-god.jpg"),
        ("новый год", "novyj_god.jpg"),
        ("Щукино", "shchukino.jpg"),
        ("ёлка", "Елка.jpg"),
        ("день рождения", "ДеньРождения.jpg"),
    ],
)
def test_names(query: str, name: str) -> None:
    assert meets(query, path=f"/p/{name}")
    assert meets(query, path=f"/p/{name.partition('.')[0]}/1.jpg")


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("dad", "4dad693b08cb0e.jpg"),
        ("cab", "1000268201_693b08cab0e.jpg"),
        ("jpg", "wedding.jpg"),
        ("busy", "bus.jpg"),
        ("wedding dog", "wedding.jpg"),
    ],
)
def test_names_that_say_something_else(query: str, name: str) -> None:
    assert not meets(query, path=f"/p/{name}")


def test_what_lies_above_the_library_is_no_record() -> None:
    facts, roots = FACTS, [Path("/home/anna/Wedding")]
    path = Path("/home/anna/Wedding/Beach/Day 1/1.jpg")
    _, name, folder, *_ = words.columns(facts, [path], roots)
    assert (name, set(folder.split()) >= {"beach", "day", "1"}) == ("1", True)
    assert not {"wed", "anna", "home"} & set(folder.split())


def test_a_russian_spelling_is_looked_for_in_names_alone() -> None:
    assert meets("сад", path="/p/sad.jpg")
    assert not meets("сад", text="a sad dog")
    assert meets("sad", text="a sad dog")
    assert meets("vera", text="Вера и Надежда")


@pytest.mark.parametrize("month", range(1, 13))
def test_months_are_said_in_both_languages(month: int) -> None:
    english, russian = words._MONTHS[month - 1]
    genitive = russian[:-1] + "я" if russian[-1] in "ьй" else russian + "а"
    for query in (english, russian, genitive, f"{english} 2021"):
        assert meets(query, taken=f"2021-{month:02}-09T10:00:00")
        other = month % 12 + 1
        assert not meets(query, taken=f"2021-{other:02}-09T10:00:00")


def test_places_are_said_in_both_languages_and_parts() -> None:
    place = Place(("New York City", "United States"), ("Нью-Йорк", "США"), ("Times Square",))
    facts = replace(FACTS, place=place)
    held = set(words.columns(facts, [Path("/p/1.jpg")], [Path("/p")])[5].split())
    for query in ("New York", "Нью-Йорке", "square", "США"):
        assert all(held.intersection(any_of) for any_of in words.wanted(query).keys)
    assert not held.intersection(words.wanted("London").keys[0])


def test_a_thing_that_is_a_maker_too_finds_no_camera() -> None:
    assert meets("iphone")
    assert not meets("apple")


def test_words_that_tell_nothing_apart_are_passed_over() -> None:
    assert words.wanted("a photo of the dog").words == ("dog",)
    assert words.wanted("фото с собакой").words == ("собакой",)
    assert words.wanted("the who").words == ("the", "who"), "a query of nothing else means them"
    assert words.wanted("!?").keys == ()


def test_sources_are_the_best_of_each_word() -> None:
    row = words.columns(
        replace(FACTS, texts=("Wedding",), taken="2021-05-01T00:00:00"),
        [Path("/p/beach/wedding-anna.jpg")],
        [Path("/p")],
    )
    found = words.sources(words.wanted("wedding anna beach 2021"), row)
    assert found == ("text", "name", "folder", "date")


def test_what_strangers_write_is_bounded() -> None:
    long = replace(FACTS, texts=tuple(f"{'x' * 9000} word{n} {n}" for n in range(10_000)))
    paths = [Path("/p", *(f"{part}aB9" * 40 for part in "abcdef"), f"{'n1' * 120}.jpg")] * 64
    started = time.process_time()
    columns = words.columns(long, paths, [Path("/p")])
    assert all(len(column.split()) <= words.MOST + 1 for column in columns)
    assert max(map(len, " ".join(columns).split())) <= words.LONGEST + 1
    assert time.process_time() - started < 30, "a bound against minutes, not a measurement"
    assert words.wanted("x" * 10_000).keys == ()
    assert words.wanted(" ".join(map(str, range(99)))).keys == ()


@given(text=st.text(), name=st.text(min_size=1).filter(lambda name: "/" not in name))
def test_keys_are_what_both_engines_take(text: str, name: str) -> None:
    path = Path("/p") / name.replace("\0", "0") / "1.jpg"
    columns = words.columns(replace(FACTS, texts=(text,), camera=text), [path], [Path("/p")])
    for key in " ".join(columns).split(" "):
        assert all(sign.isalnum() or sign == "_" or ord(sign) > 127 for sign in key)
        assert not {"'", '"', "\\", "\0"} & set(key)
        key.encode()
