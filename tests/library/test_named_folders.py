"""Folders by their last names, as a query's `in:` names them."""

from pathlib import Path

import pytest

from kadr.errors import KadrError
from kadr.library import filters, named_folders, queries
from kadr.library.named_folders import NOWHERE, named
from kadr.stores import MEMORY, Store, open_store
from kadr.types import Filters
from libraries import add


@pytest.fixture
def store() -> Store:
    """Give a library of two indexed folders, one of which nobody's home should betray."""
    found = open_store(MEMORY, create=True)
    found.add_folder(Path("/home/me/Photos"))
    found.add_folder(Path("/disk/Old"))
    below = (
        "Photos/2021/Summer/1",
        "Photos/2022/summer/2",
        "Photos/2022/summer/summer/3",
        "Photos/4",
    )
    paths = [f"/home/me/{name}.jpg" for name in below]
    add(found, {path: key for key, path in enumerate([*paths, "/disk/Old/Лето/5.jpg"], start=1)})
    return found


@pytest.mark.parametrize(
    ("name", "folders"),
    [
        ("2021", ["/home/me/Photos/2021"]),
        ("2021/summer", ["/home/me/Photos/2021/Summer"]),
        ("SUMMER", ["/home/me/Photos/2021/Summer", "/home/me/Photos/2022/summer"]),
        ("/summer/", ["/home/me/Photos/2021/Summer", "/home/me/Photos/2022/summer"]),
        ("photos", ["/home/me/Photos"]),
        ("photos/2021", ["/home/me/Photos/2021"]),
        ("лето", ["/disk/Old/Лето"]),
        ("sum", []),
        ("me", []),
        ("me/Photos", []),
        ("/home/me/Photos", []),
        ("1.jpg", []),
        ("..", []),
        ("/", []),
    ],
)
def test_folders_by_their_last_names(store: Store, name: str, folders: list[str]) -> None:
    assert named(store, name) == tuple(map(Path, folders))


def test_new_folders_are_known_at_once(store: Store) -> None:
    assert named(store, "winter") == ()
    add(store, {"/disk/Old/winter/9.jpg": 9})
    assert named(store, "winter") == (Path("/disk/Old/winter"),)


def test_too_many_of_one_name(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named_folders, "MOST", 1)
    with pytest.raises(KadrError, match=r"2 folders are called 'summer'. Name the folder above"):
        named(store, "summer")


def test_a_query_s_folder_counts_instead_of_the_option_s(store: Store) -> None:
    option = Filters(folder=Path("/disk/Old"), kind="png")
    typed = filters.typed(queries.parse(["dog in:2021"]), option, store)
    assert typed == Filters(folders=(Path("/home/me/Photos/2021"),), kind="png")
    nowhere = filters.typed(queries.parse(["dog in:none"]), None, store)
    assert nowhere == Filters(folders=(NOWHERE,))
