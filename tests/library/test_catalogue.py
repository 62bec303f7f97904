"""What a library shows without a query: order, pages, folders, and what the law leaves out."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kadr.law import policy as law
from kadr.library.catalogue import Catalogue, Facets, Month, OpenedPhoto
from kadr.library.named_folders import above
from kadr.stores import MEMORY, Store, open_store
from kadr.types import Filters
from libraries import FACTS, assess, new_file, new_photo

FREE, LAW = law.PRESETS["none"], law.PRESETS["under-16"]
ROOT = Path("/photos")


@pytest.fixture
def store() -> Iterator[Store]:
    opened = open_store(MEMORY, create=True)
    opened.add_folder(ROOT)
    yield opened
    opened.close()


def add(store: Store, path: str, taken: str | None = None, camera: str | None = None) -> int:
    """A photo that no other path has; its number."""
    photo = new_photo(path, facts=replace(FACTS, taken=taken, camera=camera))
    store.keep([photo], [new_file(ROOT / path, path, modified=0)])
    (number,) = store.numbers([photo.digest])
    return number


def listed(catalogue: Catalogue, limit: int, filters: Filters | None = None) -> list[int]:
    """All photos, page by page."""
    found, cursor = list[int](), 0
    while True:
        page = catalogue.newest(limit, cursor, filters)
        assert len(page.photos) <= limit
        found += [photo.id for photo in page.photos]
        if page.next is None:
            return found
        assert len(page.photos) == limit
        cursor = page.next


def test_the_newest_comes_first_by_the_cameras_date_else_the_files(store: Store) -> None:
    middle = add(store, "b.jpg", "2015-05-01T12:00:00")
    newest = add(store, "a.jpg", "2024-01-01T00:00:00")
    undated = add(store, "c.jpg")  # its file is of 1970
    assert listed(Catalogue(store, FREE), 10) == [newest, middle, undated]
    later = Filters(after="2015-01-01T00:00:00")
    assert listed(Catalogue(store, FREE), 10, later) == [newest, middle]


@settings(max_examples=30, deadline=None)
@given(hidden=st.sets(st.integers(1, 40)), limit=st.integers(1, 45))
def test_pages_hold_all_that_may_be_seen_once(hidden: set[int], limit: int) -> None:
    store = open_store(MEMORY, create=True)
    numbers = [add(store, f"{n:03}.jpg", f"{1990 + n % 7}-01-01T00:00:00") for n in range(40)]
    assess(store, {number: float(number in hidden) for number in numbers})
    seen = listed(Catalogue(store, LAW), limit)
    assert sorted(seen) == sorted(set(numbers) - hidden)
    whole = listed(Catalogue(store, FREE), limit)
    assert [number for number in whole if number not in hidden] == seen
    store.close()


def test_months_and_their_photos_are_one_order_without_what_is_hidden(store: Store) -> None:
    may = [add(store, f"{n}.jpg", f"2024-05-{n + 10}T00:00:00") for n in range(4)]
    undated, old = add(store, "u.jpg"), add(store, "o.jpg", "1999-12-31T23:59:59")
    assess(store, {number: float(number == may[1]) for number in [*may, undated, old]})
    catalogue = Catalogue(store, LAW)
    assert catalogue.months() == (Month("2024-05", 3), Month("1999-12", 1), Month(None, 1))
    order = [may[3], may[2], may[0], old, undated]
    assert [one.id for one in catalogue.by_time(0, 99)] == order
    assert [one.id for one in catalogue.by_time(2, 2)] == order[2:4]
    assert catalogue.by_time(5, 2) == ()
    assert catalogue.hidden() == 1
    recent = Filters(after="2024-05-13T00:00:00")
    assert [one.id for one in catalogue.by_time(0, 9, recent)] == [may[3]]
    assess(store, {may[3]: 1.0})
    assert [one.id for one in catalogue.by_time(0, 2)] == order[1:3]


def test_what_was_not_assessed_is_not_seen(store: Store) -> None:
    number = add(store, "a.jpg")
    catalogue = Catalogue(store, LAW)
    assert catalogue.newest(5).photos == ()
    assert catalogue.hides(number)
    assert catalogue.facets() == Facets(0, {}, (), (), None, None)
    assess(store, {number: 0.0})
    assert [photo.id for photo in catalogue.newest(5).photos] == [number]
    assert not catalogue.hides(number)
    assert catalogue.facets().photos == 1


def test_folders_hold_what_is_below_them_a_copy_counts_once(store: Store) -> None:
    add(store, "a/x.jpg", "2020-01-01T00:00:00", "Canon")
    add(store, "a/b/y.jpg", "2010-01-01T00:00:00")
    both = new_photo("both")
    store.keep([both], [new_file(ROOT / "a/z.jpg", "both"), new_file(ROOT / "c/z.jpg", "both")])
    found = Catalogue(store, FREE).facets()
    assert found.folders == {ROOT: 3, ROOT / "a": 3, ROOT / "a/b": 1, ROOT / "c": 1}
    assert (found.photos, found.cameras, found.kinds) == (3, ("Canon",), ("jpeg",))
    assert (found.first, found.last) == ("2010-01-01T00:00:00", "2020-01-01T00:00:00")


def test_what_is_gone_is_not_counted(store: Store) -> None:
    add(store, "a.jpg")
    store.mark([os.fsencode(ROOT / "a.jpg")], missing=True)
    catalogue = Catalogue(store, FREE)
    assert catalogue.newest(5).photos == ()
    assert catalogue.facets().photos == 0
    assert catalogue.photo(1) is None


def test_only_a_file_that_is_as_it_was_indexed_is_opened(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"as it was")
    store.add_folder(tmp_path)
    status = path.stat()
    file = replace(new_file(path, "a", status.st_mtime_ns), size=status.st_size)
    store.keep([new_photo("a")], [file])
    catalogue = Catalogue(store, FREE)
    photo = catalogue.photo(1)
    assert photo is not None
    found = catalogue.open(photo)
    assert isinstance(found, OpenedPhoto)
    with found.file:
        assert (found.path, found.file.read()) == (path, b"as it was")
    path.write_bytes(b"as it is now")
    assert catalogue.open(photo) is None
    path.unlink()
    assert catalogue.open(photo) is None
    os.mkfifo(path)
    assert catalogue.open(photo) is None  # and doesn't wait for a writer


@pytest.mark.parametrize(
    ("path", "folders"),
    [
        ("/photos/a/b/x.jpg", ["/photos/a/b", "/photos/a", "/photos"]),
        ("/photos/x.jpg", ["/photos"]),
        ("/elsewhere/a/x.jpg", ["/elsewhere/a"]),
    ],
)
def test_folders_above_a_file(path: str, folders: list[str]) -> None:
    assert above(Path(path), [ROOT]) == [Path(folder) for folder in folders]
