"""What every store does: the same answers to the same calls, whatever engine keeps the library."""

import os
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kadr.errors import LibraryError
from kadr.photos import films
from kadr.photos.objects import is_object, located
from kadr.stores import MEMORY, NewFile, NewPhoto, Selection, Shown, Store, open_store
from kadr.stores.columns import MOST_SIDECARS
from kadr.stores.words import IN_PART, MOST_IN_PART, SURE, regions, wanted
from kadr.types import (
    Assessment,
    Filters,
    PhotoFacts,
    PictureText,
    Place,
    Ruling,
    Sidecar,
    Skipped,
    TextLine,
)
from libraries import FACTS, add, assess, digest, matching, new_file, new_photo, number
from postgres_servers import server

MAKERS: dict[str, Callable[[Path], Store]] = {
    "sqlite": lambda folder: open_store(folder / "library.kadr", create=True),
    "memory": lambda _: open_store(MEMORY, create=True),
    "postgresql": lambda _: open_store(server().empty(), create=True),
}
"""Every engine, with an empty library in a folder."""


@pytest.fixture(params=MAKERS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with closing(MAKERS[request.param](tmp_path)) as made:
        yield made


ODD_NAMES = (
    os.fsdecode(b"\xff\xfe.jpg"), "a\nb.jpg", "\U0001f4f7 кадр.jpg", "it's \"so\".jpg", " x .jpg",
    "%_*[a]?.jpg", "é.jpg", "e\u0301.jpg",
)  # fmt: skip


class TestFolders:
    def test_one_inside_another_is_none_of_its_own(self, store: Store) -> None:
        for name in ("/a/b/c", "/a/bc", "/a/b", "/a/b/d", "/z"):
            store.add_folder(Path(name))
        assert sorted(map(str, store.folders())) == ["/a/b", "/a/bc", "/z"]
        store.add_folder(Path("/a"))
        assert sorted(map(str, store.folders())) == ["/a", "/z"]
        store.add_folder(Path("/"))
        assert store.folders() == (Path("/"),)

    def test_those_of_an_object_store_are_urls(self, store: Store) -> None:
        root = located("s3://bucket/für alle")
        store.add_folder(root)
        store.add_folder(root / "2024")
        urls = [f"{root}/2024/1.jpg", f"{root}/2.jpg", "s3://bucket/für alles/3.jpg"]
        files = [new_file(located(url), url) for url in urls]
        store.keep([new_photo(url) for url in urls], files)
        assert store.folders() == (root,)
        assert [str(row[0]) for row in store.contents()] == sorted(urls)
        assert all(is_object(path) for paths in store.present([1, 2, 3]).values() for path in paths)
        assert store.states(root).keys() == {os.fsencode(url) for url in urls[:2]}
        assert store.spelled(located(unicodedata.normalize("NFD", str(root)))) == root
        assert store.digest_at(located(urls[0])) == digest(urls[0]).hex()
        assert matching(store, Filters(folder=root)) == set(urls[:2])
        assert store.remove(root) == 2

    def test_removing_ends_at_names(self, store: Store) -> None:
        add(store, {"/a/b/1.jpg": 1, "/a/bc/2.jpg": 2, "/a/b.jpg": 3, "/a/b/d/4.jpg": 4})
        for name in ("/a/b", "/a/bc"):
            store.add_folder(Path(name))
        assert store.remove(Path("/a/b")) == 2
        assert store.folders() == (Path("/a/bc"),)
        assert {str(row[0]) for row in store.contents()} == {"/a/bc/2.jpg", "/a/b.jpg"}
        assert store.check() == []
        with pytest.raises(LibraryError, match=r"isn't in the library. Its folders: /a/bc"):
            store.remove(Path("/a/b"))

    @pytest.mark.parametrize("folder", ["/a/b", "/", "/a", "/a/bc"])
    def test_states_are_of_what_lies_below(self, store: Store, folder: str) -> None:
        paths = ("/a/b/1.jpg", "/a/bc/2.jpg", "/a/b.jpg", "/b/3.jpg", "/a/b/c/4.jpg")
        add(store, dict.fromkeys(paths, 1))
        expected = {p for p in paths if Path(p).is_relative_to(folder)}
        assert {os.fsdecode(p) for p in store.states(Path(folder))} == expected


class TestFiles:
    def test_equal_contents_are_one_photo(self, store: Store) -> None:
        numbers = add(store, {"/p/b.jpg": "x", "/p/a.jpg": "x", "/p/c.jpg": "y"})
        assert numbers["/p/a.jpg"] == numbers["/p/b.jpg"] != numbers["/p/c.jpg"]
        paths = store.present(list(numbers.values()))
        assert paths[numbers["/p/a.jpg"]] == (Path("/p/a.jpg"), Path("/p/b.jpg"))
        totals = store.totals()
        assert (totals.photos, totals.files, totals.copies) == (2, 3, 1)
        assert len(everything(store)) == 2

    def test_frames_are_known_by_their_film(self, store: Store) -> None:
        film, other = digest("film").hex(), digest("other").hex()
        wanted = [films.digest(film, at) for at in (0.0, 2.5, 43_000.0)]
        keys = [*wanted, films.digest(other, 0.0), digest("photo").hex()]
        photos = [replace(new_photo(key), digest=bytes.fromhex(key)) for key in keys]
        unread = NewPhoto(bytes.fromhex(film), problem="not a film")
        files = [NewFile(Path(f"/p/{key}"), 1, 0, bytes.fromhex(key)) for key in keys]
        gone = files[1]
        store.keep([*photos, unread], [*files, new_file(Path("/p/film"), "film")])
        store.mark([os.fsencode(gone.path)], missing=True)
        found = store.frames(film)
        assert list(found) == wanted
        assert [store.number(key) for key in wanted] == list(found.values())
        assert store.frames(wanted[1]) == found
        assert store.frames(digest("none").hex()) == {}

    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_any_name_comes_back(self, store: Store, name: str) -> None:
        path = Path("/p", name)
        found = add(store, {str(path): 1})
        assert store.present(list(found.values())) == {found[str(path)]: (path,)}
        assert list(store.states(Path("/p"))) == [os.fsencode(path)]
        assert [row[0] for row in store.contents()] == [path]
        assert matching(store, Filters(folder=Path("/p"))) == {str(path)}
        store.add_folder(path)
        assert store.folders() == (path,)
        store.mark([os.fsencode(path)], missing=True)
        assert store.prune() == 1

    @given(raw=st.lists(st.binary(min_size=1, max_size=12), min_size=1, max_size=8, unique=True))
    def test_any_bytes_are_a_name(self, raw: list[bytes]) -> None:
        names = {b"/p/" + name.replace(b"/", b"-").replace(b"\0", b"0") for name in raw}
        paths = {Path(os.fsdecode(name)) for name in names} - {Path("/p/."), Path("/p/..")}
        store = MAKERS["memory"](Path())
        store.keep([new_photo(1)], [new_file(path, 1) for path in paths])
        assert {row[0] for row in store.contents()} == paths
        assert store.states(Path("/p")).keys() == {os.fsencode(path) for path in paths}
        store.close()

    def test_a_missing_file_leaves_the_answers_and_comes_back(self, store: Store) -> None:
        numbers = add(store, {"/p/1.jpg": 1, "/p/2.jpg": 2})
        store.mark([b"/p/1.jpg"], missing=True)
        assert store.present(list(numbers.values())).keys() == {numbers["/p/2.jpg"]}
        assert store.hashes()[0].tolist() == [numbers["/p/2.jpg"]]
        assert matching(store, Filters()) == {"/p/2.jpg"}
        assert (store.totals().files, store.totals().missing) == (1, 1)
        store.mark([b"/p/1.jpg"], missing=False)
        assert store.present(list(numbers.values())).keys() == set(numbers.values())
        assert store.check() == []

    def test_pruning_forgets_the_missing_below_a_folder(self, store: Store) -> None:
        add(store, {f"/{folder}/{n}.jpg": (folder, n) for folder in "pq" for n in range(3)})
        store.mark([b"/p/1.jpg", b"/q/2.jpg"], missing=True)
        assert store.prune(Path("/p")) == 1
        assert store.totals().missing == 1
        assert store.prune() == 1
        assert store.totals().photos == 4
        assert store.check() == []

    def test_a_file_of_unknown_content_is_left_out(self, store: Store) -> None:
        store.keep([], [new_file(Path("/p/1.jpg"), 1)])
        assert list(store.contents()) == []
        assert store.check() == []

    def test_problems_are_listed_by_path(self, store: Store) -> None:
        store.keep(
            [NewPhoto(digest("bad"), problem="no photo")],
            [new_file(Path("/p/b.jpg"), "bad"), NewFile(Path("/p/a.jpg"), -1, -1, None, "shut")],
        )
        expected = [Skipped(Path("/p/a.jpg"), "shut"), Skipped(Path("/p/b.jpg"), "no photo")]
        assert store.problems() == expected
        states = store.states(Path("/p"))
        assert [s.broken for s in states.values()] == [True, True]
        assert not states[b"/p/a.jpg"].settled
        assert states[b"/p/b.jpg"].settled
        assert (store.totals().problems, store.totals().photos) == (2, 0)
        assert store.number(digest("bad").hex()) is None
        store.mark([b"/p/b.jpg"], missing=True)
        assert store.problems() == expected[:1]

    def test_facts_and_hashes_come_back(self, store: Store) -> None:
        facts = PhotoFacts(
            "png", 1, 2, "2024-05-17T10:00:00", "Zenit E", -33.5, 151.25, place=SYDNEY_NAMED
        )
        photo = replace(new_photo(1, facts=facts), hash=2**64 - 1)
        store.keep([photo], [new_file(Path("/p/1.jpg"), 1)])
        one = number(store, 1)
        stored = store.stored(store.present([one]))[one]
        assert (stored.facts, stored.hash, stored.digest) == (facts, 2**64 - 1, digest(1).hex())
        assert store.hashes()[1].tolist() == [2**64 - 1]
        numbers, vectors = store.vectors([one + 1, one])
        assert numbers.tolist() == [one]
        np.testing.assert_array_equal(vectors[0], photo.vector)


def test_what_facets_and_reviews_ask_for(store: Store) -> None:
    numbers = add(store, {"/p/1.jpg": 1, "/p/2.jpg": 2})
    store.mark([b"/p/2.jpg"], missing=True)
    assert store.paths() == [(numbers["/p/1.jpg"], b"/p/1.jpg")]
    assert [row[0] for row in store.choices()] == sorted(numbers.values())
    assert store.digest_at(Path("/q/1.jpg"), Path("/p/2.jpg")) == digest(2).hex()
    assert store.digest_at(Path("/q/1.jpg")) is None


SYDNEY_NAMED = Place(
    ("Sydney", "Australia"), ("Сидней", "Австралия"), ('It\'s "home"',), ("Сидни",)
)
MOSCOW, PETERSBURG = (55.7558, 37.6173), (59.9343, 30.3351)
LONDON, PARIS, NEW_YORK = (51.5074, -0.1278), (48.8566, 2.3522), (40.7128, -74.0060)
SYDNEY, AUCKLAND = (-33.8688, 151.2093), (-36.8485, 174.7633)


class TestPlaces:
    def keep(self, store: Store, name: str, spot: tuple[float, float], place: Place | None) -> int:
        facts = replace(FACTS, latitude=spot[0], longitude=spot[1], place=place)
        store.keep([new_photo(name, facts=facts)], [new_file(Path("/p", name), name)])
        return number(store, name)

    def test_photos_are_found_by_the_beginning_of_a_name(self, store: Store) -> None:
        self.keep(store, "1.jpg", SYDNEY, SYDNEY_NAMED)
        self.keep(store, "2.jpg", NEW_YORK, Place(("New York City", "Oman")))
        self.keep(store, "3.jpg", (44.4, 26.1), Place(("Bucharest", "Romania")))
        add(store, {"/p/4.jpg": 4})
        for text, expected in {
            "sydney": "1", "СИДНЕЙ": "1", "сид": "1", "home": "1", "new york": "2", "York": "2",
            "new-york": "2", "oman": "2", "rom": "3", "ork": "", "sydney australia": "1", "%": "123",
        }.items():  # fmt: skip
            assert matching(store, Filters(place=text)) == {f"/p/{one}.jpg" for one in expected}, (
                text
            )

    def test_words_of_places_are_on_record(self, store: Store) -> None:
        one = self.keep(store, "1.jpg", SYDNEY, SYDNEY_NAMED)
        assert store.recorded(wanted("Сиднее"), Selection()).photos.tolist() == [one]
        assert store.recorded(wanted("Сиднее"), Selection()).tiers.tolist() == [3]
        assert store.sources(wanted("australia"), [one]) == {one: ("place",)}
        store.keep_places({one: Place(("Perth",))})
        assert store.recorded(wanted("sydney"), Selection()).photos.tolist() == []
        assert store.recorded(wanted("perth"), Selection()).photos.tolist() == [one]
        assert store.stored({one: ()})[one].facts.place == Place(("Perth",))

    def test_where_photos_were_taken(self, store: Store) -> None:
        assert store.located(Selection())[1].shape == (0, 2)
        numbers = [
            self.keep(store, name, spot, None)
            for name, spot in {"1": SYDNEY, "2": MOSCOW, "3": PARIS, "4": LONDON}.items()
        ]
        add(store, {"/p/5": "5"})
        store.mark([b"/p/3"], missing=True)
        found, places = store.located(Selection())
        assert found.tolist() == [numbers[0], numbers[1], numbers[3]]
        np.testing.assert_allclose(places, [SYDNEY, MOSCOW, LONDON])
        assert store.located(Selection(Filters(box=(-1, 50, 1, 52))))[0].tolist() == numbers[3:]
        assert matching(store, Filters(box=(140, -40, -170, 0))) == {"/p/1"}
        assert matching(store, Filters(box=(-170, -40, 140, 0))) == set()
        near = Filters(near=(*LONDON, 10))
        assert store.located(Selection(near))[0].tolist() == numbers[3:]
        assert store.located(Selection(shown=Shown(0.5)))[0].tolist() == [], "not assessed"
        assess(store, {numbers[0]: 0.1, numbers[1]: 0.9})
        assert store.located(Selection(shown=Shown(0.5)))[0].tolist() == numbers[:1]


class TestFilters:
    def keep(self, store: Store, name: str, **facts: object) -> str:
        photo = new_photo(name, facts=replace(FACTS, **facts))  # type: ignore[arg-type]
        store.keep([photo], [new_file(Path("/p", name), name, int(facts.get("at", 0)))])  # type: ignore[call-overload]
        return f"/p/{name}"

    @pytest.mark.parametrize(
        ("one", "other", "kilometres"),
        [
            (MOSCOW, PETERSBURG, 634),
            (LONDON, PARIS, 344),
            (LONDON, NEW_YORK, 5570),
            (SYDNEY, AUCKLAND, 2156),
            ((0.0, 179.9), (0.0, -179.9), 22.24),
            ((0.0, 180.0), (0.0, -180.0), 0.01),
            ((89.9, 0.0), (89.9, 180.0), 22.24),
            ((90.0, 10.0), (90.0, -120.0), 0.01),
            ((-90.0, 0.0), (90.0, 0.0), 20015),
        ],
    )
    def test_near_is_the_great_circle(
        self,
        store: Store,
        one: tuple[float, float],
        other: tuple[float, float],
        kilometres: float,
    ) -> None:
        path = self.keep(store, "1.jpg", latitude=one[0], longitude=one[1])
        self.keep(store, "nowhere.jpg")
        assert matching(store, Filters(near=(*other, kilometres * 1.005))) == {path}
        if kilometres > 1:
            assert matching(store, Filters(near=(*other, kilometres * 0.995))) == set()

    def test_a_folder_is_no_prefix_of_a_name(self, store: Store) -> None:
        add(store, {"/a/b/1.jpg": 1, "/a/bc/2.jpg": 2, "/a/b.jpg": 3, "/a/b/c/4.jpg": 4})
        expected = {"/a/b/1.jpg", "/a/b/c/4.jpg"}
        assert matching(store, Filters(folder=Path("/a/b"))) == expected
        assert matching(store, Filters(folder=Path("/a/b/"))) == expected
        assert len(matching(store, Filters(folder=Path("/")))) == 4

    def test_a_copy_counts_for_the_folder_that_is_asked_for(self, store: Store) -> None:
        numbers = add(store, {"/a/1.jpg": 1, "/b/1.jpg": 1})
        assert store.matching(Filters(folder=Path("/b"))).tolist() == [numbers["/b/1.jpg"]]
        one = numbers["/b/1.jpg"]
        assert store.present([one], [Path("/b")]) == {one: (Path("/b/1.jpg"),)}

    def test_one_of_several_folders_will_do(self, store: Store) -> None:
        numbers = add(
            store, {"/a/1.jpg": 1, "/b/1.jpg": 1, "/c/2.jpg": 2, "/d/3.jpg": 3, "/bb.jpg": 4}
        )
        several = (Path("/b"), Path("/c"))
        one, two = numbers["/b/1.jpg"], numbers["/c/2.jpg"]
        assert store.matching(Filters(folders=several)).tolist() == sorted([one, two])
        assert store.matching(Filters(folder=Path("/c"), folders=several)).tolist() == [two]
        assert store.present([one], several) == {one: (Path("/b/1.jpg"),)}

    def test_dates_are_those_of_the_photo(self, store: Store) -> None:
        for day in ("2024-05-16T23:59:59", "2024-05-17T00:00:00", "2024-05-17T23:59:59"):
            self.keep(store, day + ".jpg", taken=day)
        after = matching(store, Filters(after="2024-05-17T00:00:00"))
        assert after == {"/p/2024-05-17T00:00:00.jpg", "/p/2024-05-17T23:59:59.jpg"}
        before = matching(store, Filters(before="2024-05-17T23:59:59"))
        assert before == {"/p/2024-05-16T23:59:59.jpg", "/p/2024-05-17T00:00:00.jpg"}

    def test_a_photo_without_a_date_has_its_file_s(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        try:
            moment = 1_715_900_000  # 2024-05-17 07:53:20 in Tokyo, 2024-05-16 in London
            add(store, {"/p/1.jpg": 1}, modified=moment * 10**9 + 5)
            assert matching(store, Filters(after="2024-05-17T07:53:20")) == {"/p/1.jpg"}
            assert matching(store, Filters(before="2024-05-17T07:53:21")) == {"/p/1.jpg"}
            assert matching(store, Filters(before="2024-05-17T07:53:20")) == set()
        finally:
            monkeypatch.undo()
            time.tzset()

    @pytest.mark.parametrize("asked", ["zenit", "ZENIT E", "t e"])
    def test_camera_is_part_of_the_name_in_any_case(self, store: Store, asked: str) -> None:
        path = self.keep(store, "1.jpg", camera="KMZ Zenit E")
        self.keep(store, "2.jpg", camera="KMZ Zorki")
        self.keep(store, "3.jpg")
        assert matching(store, Filters(camera=asked)) == {path}

    @pytest.mark.parametrize("asked", ["ЗЕНИТ", "зенит", "Зенит"])
    def test_a_camera_may_have_a_name_in_any_script(self, store: Store, asked: str) -> None:
        path = self.keep(store, "1.jpg", camera="ЗЕНИТ-Е")
        assert matching(store, Filters(camera=asked)) == {path}

    def test_kind_and_size(self, store: Store) -> None:
        wide = self.keep(store, "w.png", kind="png", width=800, height=100)
        high = self.keep(store, "h.jpg", width=100, height=800)
        assert matching(store, Filters(kind="png")) == {wide}
        assert matching(store, Filters(min_width=800)) == {wide}
        assert matching(store, Filters(min_height=101)) == {high}
        assert matching(store, Filters(min_width=100, min_height=100)) == {wide, high}
        assert matching(store, Filters(kind="png", min_height=101)) == set()

    def test_a_photo_that_has_a_problem_passes_none(self, store: Store) -> None:
        store.keep([NewPhoto(digest(1), problem="no photo")], [new_file(Path("/p/1.jpg"), 1)])
        assert matching(store, Filters(folder=Path("/p"))) == set()


class TestNotes:
    def test_the_last_value_counts(self, store: Store) -> None:
        assert store.meta("encoder") is None
        store.note(encoder="one", model="mini")
        store.note(encoder="other")
        assert (store.meta("encoder"), store.meta("model")) == ("other", "mini")

    def test_a_change_is_noticed(self, store: Store) -> None:
        before = store.changes()
        assert store.changes() == before
        store.note(encoder="one")
        assert store.changes() != before


class TestTransactions:
    def test_what_is_joined_is_kept_together(self, store: Store) -> None:
        with store.durable(), store.durable():
            store.note(key="value")
            add(store, {"/p/1.jpg": 1})
            store.record("refused", {})
        assert (store.meta("key"), store.totals().files) == ("value", 1)

    def test_or_not_at_all(self, store: Store) -> None:
        with pytest.raises(KeyboardInterrupt), store.durable():
            store.note(key="value")
            add(store, {"/p/1.jpg": 1})
            store.record("refused", {})
            raise KeyboardInterrupt
        assert (store.meta("key"), store.totals().files) == (None, 0)
        assert list(store.entries()) == []
        store.note(key="again")
        assert store.meta("key") == "again"

    def test_reading_may_be_nested(self, store: Store) -> None:
        with store.reading(), store.reading():
            assert store.folders() == ()
        store.note(key="value")

    def test_an_error_within_frees_the_turn(self, store: Store) -> None:
        with pytest.raises(KeyboardInterrupt), store.writing():
            raise KeyboardInterrupt
        with store.writing(lambda: pytest.fail("still held")):
            pass


def everything(store: Store, dim: int = 8) -> list[int]:
    """All photos that a search can find."""
    found = store.nearest(np.eye(1, dim, dtype=np.float32)[0], Selection(), 0, 1000)
    return [int(photo) for photo in found.photos]


def shown(store: Store, below: float) -> list[int]:
    """All photos that may be shown."""
    return [int(photo) for photo in store.sample(Selection(shown=Shown(below)), 1000)]


class TestNearest:
    VECTOR = np.eye(1, 8, dtype=np.float32)[0]

    def test_the_first_are_the_nearest(self, store: Store) -> None:
        numbers = list(add(store, {f"/p/{n}.jpg": n for n in range(300)}).values())
        found = store.nearest(self.VECTOR, Selection(), 0, 300)
        assert sorted(found.photos.tolist()) == sorted(numbers)
        assert not found.approximate
        known, rows = store.vectors(found.photos.tolist())
        exact = rows @ self.VECTOR / np.linalg.norm(rows, axis=1)
        np.testing.assert_allclose(found.cosines, exact, atol=0.01)
        assert (np.diff(found.cosines) <= 0).all()
        assert known.tolist() == found.photos.tolist()

    @given(
        parts=st.lists(st.integers(1, 9), min_size=1, max_size=12),
        ties=st.lists(st.integers(0, 3), min_size=1, max_size=24),
    )
    @settings(deadline=None, max_examples=25)
    def test_portions_are_of_one_order(self, parts: list[int], ties: list[int]) -> None:
        """However it is cut, none is left out or repeated; equal ones come by number."""
        for make in MAKERS.values():
            with tempfile.TemporaryDirectory() as folder, closing(make(Path(folder))) as store:
                photos = [
                    replace(new_photo(n), joint=np.eye(8, dtype=np.float32)[tie])
                    for n, tie in enumerate(ties)
                ]
                store.keep(photos, [new_file(Path(f"/p/{n}.jpg"), n) for n in range(len(ties))])
                numbers = [number(store, n) for n in range(len(ties))]
                whole = store.nearest(self.VECTOR, Selection(), 0, 100).photos.tolist()
                same = [n for n, tie in zip(numbers, ties, strict=True) if tie == 0]
                assert whole == sorted(same) + sorted(set(numbers) - set(same))
                first, got = 0, list[int]()
                for part in parts:
                    got += store.nearest(self.VECTOR, Selection(), first, part).photos.tolist()
                    first += part
                assert got == whole[:first]

    def test_months_come_newest_first_and_the_undated_last(self, store: Store) -> None:
        dates = ["2023-01-31T10:00:00", None, "2024-02-01T00:00:00", "2023-01-02T00:00:00", None]
        paths = [Path(f"/{'ab'[n % 2]}/{n}.jpg") for n in range(5)]
        photos = [
            replace(new_photo(n), facts=replace(FACTS, taken=taken, latitude=float(n), longitude=0))
            for n, taken in enumerate(dates)
        ]
        store.keep(photos, [new_file(path, n, modified=n) for n, path in enumerate(paths)])
        numbers = [number(store, n) for n in range(5)]

        def months(**selected: Any) -> list[tuple[str | None, list[int]]]:
            found = store.months(Selection(**selected))
            return [(month, [numbers.index(n) for n in of.tolist()]) for month, of in found]

        assert months() == [("2024-02", [2]), ("2023-01", [0, 3]), (None, [4, 1])]
        assert months(filters=Filters(folder=Path("/b"))) == [("2023-01", [3]), (None, [1])]
        assert months(filters=Filters(near=(0.0, 0.0, 150.0))) == [("2023-01", [0]), (None, [1])]
        sure = replace(ASSESSMENT, failed=(), probability=0.1)
        store.keep_assessments(
            {n: replace(sure, probability=0.9 if n == numbers[0] else 0.1) for n in numbers[:4]}
        )
        assert months(shown=Shown(0.5)) == [("2024-02", [2]), ("2023-01", [3]), (None, [1])]
        store.mark([os.fsencode(paths[2])], missing=True)
        assert months()[0] == ("2023-01", [0, 3])
        assert months(filters=Filters(kind="png")) == []

    def test_only_what_is_selected_is_looked_at(self, store: Store) -> None:
        numbers = add(store, {f"/{'ab'[n % 2]}/{n}.jpg": n for n in range(40)})
        inside = [n for path, n in numbers.items() if path.startswith("/a")]
        sure = replace(ASSESSMENT, failed=(), probability=0.1)
        store.keep_assessments(
            {n: replace(sure, probability=0.1 if n % 3 else 0.9) for n in numbers.values()}
        )
        folder = Filters(folder=Path("/a"))
        allowed = [n for n in inside if n % 3]
        for selection, expected in (
            (Selection(folder), inside),
            (Selection(folder, Shown(0.5)), allowed),
            (Selection(shown=Shown(0.5)), [n for n in numbers.values() if n % 3]),
            (Selection(shown=Shown(0.5, faces=True)), [n for n in numbers.values() if n % 3]),
            (Selection(Filters(kind="png")), []),
        ):
            assert store.count(selection) == len(expected)
            assert store.sample(selection, 100).tolist() == sorted(expected)
            assert len(set(store.sample(selection, 3).tolist())) == min(3, len(expected))
            found = store.nearest(self.VECTOR, selection, 0, 50).photos.tolist()
            assert sorted(found) == sorted(expected)
            some = np.array([*numbers.values(), 10**6], np.int64)[::2]
            named = store.cosines(self.VECTOR, selection, some).photos.tolist()
            assert sorted(named) == sorted(set(some.tolist()) & set(expected))

    def test_a_ruling_is_followed_at_once(self, store: Store) -> None:
        first, second = add(store, {"/p/1.jpg": 1, "/p/2.jpg": 2}).values()
        sure = replace(ASSESSMENT, failed=(), probability=0.1)
        store.keep_assessments({first: sure, second: sure})
        selection = Selection(shown=Shown(0.5))
        assert store.count(selection) == 2
        store.set_ruling(digest(1).hex(), RULING)
        assert store.nearest(self.VECTOR, selection, 0, 5).photos.tolist() == [second]
        assert store.count(selection) == 1
        assert store.hides(Shown(0.5))
        store.set_ruling(digest(1).hex(), replace(RULING, verdict="allow"))
        assert store.count(selection) == 2
        assert not store.hides(Shown(0.5))

    def test_what_waits_for_another_encoder_is_not_found(self, store: Store) -> None:
        add(store, {"/p/1.jpg": 1})
        store.note(encoder="one")
        store.switch_encoder("other", lambda rows: rows, model="", space="", keep=True)
        store.set_ruling(digest(1).hex(), replace(RULING, verdict="allow"))
        selection = Selection(shown=Shown(0.5))
        assert (store.count(Selection()), store.count(selection)) == (0, 0)
        assert everything(store) == []


class TestVectors:
    def test_every_vector_is_read(self, store: Store) -> None:
        numbers = add(store, {f"/p/{n}.jpg": n for n in range(300)})
        every = np.concatenate([n for n, _ in store.every_vector()])
        assert every.tolist() == sorted(numbers.values())

    def test_another_space_is_written_anew(self, store: Store) -> None:
        numbers = list(add(store, {"/p/1.jpg": 1, "/p/2.jpg": 2}).values())
        units = np.eye(4, dtype=np.float32)
        store.rescan(lambda vectors: units[: len(vectors)], space="half")
        assert store.meta("space") == "half"
        assert store.nearest(units[1], Selection(), 0, 1).photos.tolist() == numbers[1:]
        assert store.check() == []

    def test_vectors_of_two_encoders_lie_beside_each_other(self, store: Store) -> None:
        numbers = list(add(store, {"/p/1.jpg": 1, "/p/2.jpg": 2, "/p/3.jpg": 3}).values())
        store.note(encoder="one")
        assert (store.vector_sets(), store.lacking("other"), store.lacking("one")) == (
            {},
            numbers,
            [],
        )
        other = {number: np.full(3, number, np.float32) for number in numbers[:2]}
        store.add_vectors("other", {**other, 99: other[numbers[0]]})
        assert (store.vector_sets(), store.lacking("other")) == ({"other": 2}, numbers[2:])
        found, rows = store.vectors([*numbers[::-1], 99], "other")
        assert found.tolist() == numbers[1::-1]
        assert rows.tolist() == [[number] * 3 for number in found.tolist()]
        assert store.vectors(numbers)[1].shape == store.vectors(numbers, "one")[1].shape == (3, 8)
        assert store.vectors(numbers, "neither")[0].tolist() == []
        assert len(everything(store)) == 3
        assert store.check() == []
        store.drop_vectors("other")
        store.drop_vectors("neither")
        assert (store.vector_sets(), store.lacking("other")) == ({}, numbers)

    def test_vectors_of_another_encoder_come_and_go_with_their_photo(self, store: Store) -> None:
        both = replace(new_photo(1), others={"law": np.ones(2, np.float32)})
        store.keep([both], [new_file(Path("/p/1.jpg"), 1)])
        add(store, {"/p/2.jpg": 2})
        assert store.vector_sets() == {"law": 1}
        store.mark([b"/p/2.jpg"], missing=True)
        assert store.lacking("law") == [], "what lies nowhere can't be had"
        store.forget([Path("/p/1.jpg")])
        assert store.vector_sets() == {"law": 0}
        assert store.check() == []

    def test_vectors_of_another_length_are_refused(self, store: Store) -> None:
        """With one of them no search would work, and no law could look."""
        numbers = list(add(store, {"/p/1.jpg": 1, "/p/2.jpg": 2}).values())
        store.add_vectors("other", {numbers[0]: np.ones(3, np.float32)})
        longer = np.ones(9, np.float32)
        refused: list[Callable[[], None]] = [
            lambda: store.add_vectors("other", {numbers[1]: longer}),
            lambda: store.add_vectors("new", {numbers[0]: longer, numbers[1]: longer[1:]}),
            lambda: store.keep([replace(new_photo(3), vector=longer)], []),
            lambda: store.keep([replace(new_photo(3), others={"other": longer})], []),
        ]
        for write in refused:
            with pytest.raises(LibraryError, match=r"vectors of \d+ figures, and one of \d+ is"):
                write()
        assert store.vector_sets() == {"other": 1}
        assert not store.settled(digest(3))
        assert store.check() == []

    @pytest.mark.parametrize("keep", [False, True])
    def test_a_switch_changes_all_at_once(self, store: Store, keep: bool) -> None:
        numbers = list(add(store, {f"/p/{n}.jpg": n for n in range(300)}).values())
        store.keep_assessments(dict.fromkeys(numbers, ASSESSMENT))
        store.note(encoder="one", model="first", space="a")
        store.add_vectors("other", {n: np.full(3, n, np.float32) for n in numbers[1:]})
        with store.reading():
            before = store.changes()
        units = np.array([[0.6, 0.8]], np.float32)
        lost = store.switch_encoder(
            "other", lambda rows: rows[:, :2] * 0 + units, model="second", space="b", keep=keep
        )
        assert lost == 1
        assert store.changes() != before
        noted = [store.meta(key) for key in ("encoder", "model", "space")]
        assert noted == ["other", "second", "b"]
        found = store.nearest(units[0], Selection(), 0, 500)
        assert found.photos.tolist() == numbers[1:], "equal ones by number"
        np.testing.assert_allclose(found.cosines, 1, atol=0.01)
        assert store.vectors(numbers)[1].tolist() == [[n] * 3 for n in numbers[1:]]
        assert store.vector_sets() == ({"one": 300} if keep else {})
        assert not store.settled(digest(0)), "it waits"
        assert store.settled(digest(1))
        assert len(store.assessments(numbers)) == 300, "none is lost"
        assert store.check() == []
        back = store.switch_encoder("one", lambda rows: rows, model="", space="a", keep=False)
        assert (back, store.settled(digest(0))) == (0 if keep else 299, keep)
        assert store.check() == []

    def test_a_photo_that_waits_is_encoded_when_it_is_back(self, store: Store) -> None:
        (one,) = add(store, {"/p/1.jpg": 1}).values()
        store.note(encoder="one")
        store.switch_encoder("other", lambda rows: rows, model="", space="", keep=True)
        store.keep([NewPhoto(digest(1), problem="no photo")], [new_file(Path("/p/1.jpg"), 1)])
        assert store.switch_encoder("one", lambda rows: rows, model="", space="", keep=False) == 0
        assert store.check() == [], "what can't be decoded by now has no vector either"
        store.keep([new_photo(1)], [new_file(Path("/p/1.jpg"), 1)])
        assert store.vectors([one])[0].tolist() == [one]
        assert store.check() == []

    def test_an_empty_library_has_none(self, store: Store) -> None:
        assert list(store.every_vector()) == []
        found = store.nearest(np.ones(8, np.float32), Selection(), 0, 10)
        assert (found.photos.tolist(), found.cosines.tolist()) == ([], [])
        assert (store.count(Selection()), store.sample(Selection(), 5).tolist()) == (0, [])
        assert store.vectors([1, 2])[0].tolist() == []


ASSESSMENT = Assessment(("boy", "ребёнок"), 0.25, (3.5, 40.0), ("words",), 0.1 + 0.2, "v1")
RULING = Ruling("hide", "Анна", "2026-01-01T00:00:00+00:00", "I know them")


class TestLaw:
    @pytest.mark.parametrize(
        "one",
        [ASSESSMENT, Assessment((), None, None, (), 0.0, "v2"), replace(ASSESSMENT, faces=())],
    )
    def test_assessments_come_back(self, store: Store, one: Assessment) -> None:
        first, second = add(store, {"/p/1.jpg": 1, "/p/2.jpg": 2}).values()
        assert store.unassessed() == [first, second]
        store.keep_assessments({first: ASSESSMENT})
        store.keep_assessments({first: one})
        assert store.assessments([first, second, 99]) == {first: one}
        assert store.unassessed() == [second]
        assert store.unassessed(one.version) == [second]
        assert store.unassessed("other") == [first, second]

    def test_a_new_name_makes_an_assessment_old(self, store: Store) -> None:
        (first,) = add(store, {"/p/1.jpg": 1}).values()
        store.keep_assessments({first: ASSESSMENT})
        add(store, {"/p/kids.jpg": 1})
        assert store.assessments([first])[first].version == ""
        assert store.unassessed() == [first]

    def test_an_assessment_goes_with_its_photo_a_ruling_stays(self, store: Store) -> None:
        (first,) = add(store, {"/p/1.jpg": 1}).values()
        key = digest(1).hex()
        store.keep_assessments({first: ASSESSMENT})
        allowed = replace(RULING, verdict="allow")
        store.set_ruling(key, allowed)
        assert store.rulings([first, 99]) == {first: allowed}
        store.forget([Path("/p/1.jpg")])
        assert store.assessments([first]) == {}
        assert store.rulings([first]) == {}
        assert store.ruling(key) == allowed
        (again,) = add(store, {"/q/1.jpg": 1}).values()
        assert store.rulings([again]) == {again: allowed}

    def test_what_a_person_hides_is_known_again_when_it_was_forgotten(self, store: Store) -> None:
        (first,) = add(store, {"/p/1.jpg": 1}).values()
        store.set_ruling(digest(1).hex(), replace(RULING, verdict="hide"))
        store.forget([Path("/p/1.jpg")])
        assert store.present([first]) == {}
        assert [photos.tolist() for photos, _, _ in store.fingerprints(0, "none")] == [[first]]
        assert store.suspected(1.0) == [first]
        store.set_ruling(digest(1).hex(), None)
        store.sweep()
        assert list(store.fingerprints(0, "none")) == []

    def test_copies_stay_on_record_when_their_photo_goes(self, store: Store) -> None:
        first, second = add(store, {"/p/1.jpg": 1, "/p/2.jpg": 2}).values()
        sure = replace(ASSESSMENT, failed=(), probability=0.1)
        store.keep_assessments({first: sure, second: replace(sure, probability=0.9)})
        assert shown(store, 0.5) == [first]
        store.keep_copies([(first, second)])
        assert shown(store, 0.5) == []
        store.forget([Path("/p/2.jpg")])
        assert shown(store, 0.5) == []
        assert store.shown(Shown(0.95), [first, 99]) == [first]
        store.forget([Path("/p/1.jpg")])
        assert shown(store, 1.0) == []

    def test_the_last_ruling_is_in_force(self, store: Store) -> None:
        store.set_ruling("ab" * 32, RULING)
        other = replace(RULING, verdict="allow", when="2026-01-02T00:00:00+00:00")
        store.set_ruling("ab" * 32, other)
        store.set_ruling("cd" * 32, RULING)
        assert list(store.all_rulings().items()) == [("cd" * 32, RULING), ("ab" * 32, other)]
        store.set_ruling("ab" * 32, None)
        assert store.ruling("ab" * 32) is None
        assert store.all_rulings() == {"cd" * 32: RULING}

    def test_entries_come_back_in_order(self, store: Store) -> None:
        facts = {"photo": "ab" * 32, "why": "кто\udcff\n\x00", "none": None, "rows": [["a", 0.5]]}
        made = [store.record(event, facts) for event in ("ruled", "refused", "ruled")]
        assert list(store.entries()) == made
        assert list(store.entries("ruled")) == [made[0], made[2]]
        assert list(store.entries("appealed")) == []
        assert store.log_problems() == []
        assert store.record_problem() is None
        assert made[0].facts == facts


class TestCollections:
    def test_what_is_put_in_is_in_until_it_is_taken_out(self, store: Store) -> None:
        one, two = digest(1).hex(), digest(2).hex()
        store.make_collection("b \x00")
        store.make_collection("Лето")
        store.make_collection("Лето")
        assert store.collections() == ("b \x00", "Лето")
        store.collect("Лето", [one, two, one], collected=True)
        store.collect("Лето", [one], collected=True)
        assert store.collected("Лето") == {one, two}
        assert store.collections(holding=one) == ("Лето",)
        store.collect("Лето", [one, digest(3).hex()], collected=False)
        assert store.collected("Лето") == {two}
        assert store.collections(holding=one) == ()

    def test_one_that_is_not_there_holds_nothing(self, store: Store) -> None:
        store.collect("none", [digest(1).hex()], collected=True)
        store.rename_collection("none", "other")
        store.drop_collection("none")
        assert store.collections() == ()
        assert store.collected("none") == set()

    def test_a_new_name_keeps_what_it_holds_and_deleting_forgets_it(self, store: Store) -> None:
        store.make_collection("a")
        store.collect("a", [digest(1).hex()], collected=True)
        store.rename_collection("a", "b")
        assert store.collections() == ("b",)
        assert store.collected("b") == {digest(1).hex()}
        store.drop_collection("b")
        store.make_collection("b")
        assert store.collected("b") == set()

    def test_searches_find_in_it_by_content(self, store: Store) -> None:
        numbers = add(store, {"/p/1.jpg": 1, "/p/2.jpg": 2, "/q/copy.jpg": 1})
        store.make_collection("a")
        store.make_collection("b")
        store.collect("a", [digest(n).hex() for n in (1, "elsewhere")], collected=True)
        wanted = Filters(collection="a")
        assert store.matching(wanted).tolist() == [numbers["/p/1.jpg"]]
        assert store.matching(replace(wanted, folder=Path("/q"))).tolist() == [numbers["/p/1.jpg"]]
        assert matching(store, replace(wanted, folder=Path("/r"))) == set()
        assert store.matching(Filters(collection="b")).tolist() == []
        assert store.matching(Filters(collection="none")).tolist() == []
        vector = new_photo(2).joint
        assert vector is not None
        found = store.nearest(vector, Selection(wanted), 0, 9)
        assert found.photos.tolist() == [numbers["/p/1.jpg"]]
        assert store.count(Selection(wanted)) == 1
        assert store.count(Selection(wanted, Shown(0.5))) == 0, "nothing is on record of it"

    def test_sizes_are_of_what_lies_somewhere_and_may_be_shown(self, store: Store) -> None:
        add(store, {f"/p/{n}.jpg": n for n in range(4)})
        add(store, {"/p/copy.jpg": 1})
        numbers = [number(store, n) for n in range(4)]
        low = Assessment((), 0.1, None, (), 0.1, "v1")
        store.keep_assessments(
            {numbers[0]: replace(low, probability=0.9), numbers[1]: low, numbers[2]: low}
        )
        store.set_ruling(digest(3).hex(), Ruling("allow", "Anna", "2026-01-01", ""))
        store.mark([b"/p/2.jpg"], missing=True)
        for name in ("a", "b", "none"):
            store.make_collection(name)
        store.collect("a", [digest(n).hex() for n in (*range(4), "elsewhere")], collected=True)
        store.collect("b", [digest(0).hex()], collected=True)
        assert store.collection_sizes(None) == {"a": 3, "b": 1, "none": 0}
        assert store.collection_sizes(Shown(0.5)) == {"a": 2, "b": 0, "none": 0}
        assert store.collection_sizes(Shown(0.5), "a") == {"a": 2}
        assert store.collection_sizes(None, "other") == {}

    def test_a_photo_that_was_forgotten_is_in_it_when_it_comes_back(self, store: Store) -> None:
        add(store, {"/p/1.jpg": 1})
        store.make_collection("a")
        store.collect("a", [digest(1).hex()], collected=True)
        store.forget([Path("/p/1.jpg")])
        store.sweep()
        assert store.matching(Filters(collection="a")).tolist() == []
        add(store, {"/new/1.jpg": 1})
        assert matching(store, Filters(collection="a")) == {"/new/1.jpg"}

    def test_a_change_is_noticed(self, store: Store) -> None:
        store.make_collection("a")
        before = store.changes()
        store.collect("a", [digest(1).hex()], collected=True)
        assert store.changes() != before


SIGN = TextLine("GRAND SALE", 0.97, (0.25, 0.4, 0.75, 0.6))
SIGNS = PictureText(
    "engine-1",
    (SIGN, TextLine("Öffnungs\0zeit \ud800", SURE, (0.0, 0.0, 1.0, 0.1)),
     TextLine("smudge", SURE - 0.01, (0.0, 0.9, 0.1, 1.0))),
)  # fmt: skip


class TestPictureTexts:
    """What was read in pictures: kept by content, and found as words on record."""

    def recorded(self, store: Store, text: str) -> list[tuple[int, int]]:
        found = store.recorded(wanted(text), Selection())
        return list(zip(found.photos.tolist(), found.tiers.tolist(), strict=True))

    def test_they_are_kept_as_they_were_read(self, store: Store) -> None:
        one, two, three = add(store, {f"/p/{n}.jpg": n for n in "123"}).values()
        assert store.picture_texts([one, two]) == {}
        broken = PictureText("engine-1", problem="takes more than 60 s")
        kept = {one: SIGNS, two: broken, 1 << 40: SIGNS}
        store.keep_picture_texts(kept)
        assert store.picture_texts([one, two, three, 1 << 40]) == {one: SIGNS, two: broken}
        assert store.check() == []
        store.keep_picture_texts({one: broken})
        assert store.picture_texts([one]) == {one: broken}
        assert self.recorded(store, "sale") == []

    def test_unread_are_those_without_this_engines_result(self, store: Store) -> None:
        one, two, three, _gone = add(store, {f"/p/{n}.jpg": n for n in "1234"}).values()
        store.keep([NewPhoto(digest("bad"), "no photo")], [new_file(Path("/p/bad.jpg"), "bad")])
        store.mark([b"/p/4.jpg"], missing=True)
        assert store.unread("engine-1") == [one, two, three]
        store.keep_picture_texts({one: SIGNS, two: PictureText("engine-1", problem="too dark")})
        assert store.unread("engine-1") == [three]
        assert store.unread("engine-1", retry=True) == [two, three]
        assert store.unread("engine-2") == [one, two, three]

    def test_their_words_are_found_last_and_tell_where_they_stand(self, store: Store) -> None:
        add(store, {"/p/sale.jpg": 1, "/p/2.jpg": 2, "/p/grand.jpg": 3})
        first, second, third = (store.number(digest(n).hex()) or 0 for n in (1, 2, 3))
        store.keep_picture_texts({second: SIGNS, third: SIGNS})
        assert self.recorded(store, "sales") == [(first, 1), (second, 3), (third, 3)]
        assert self.recorded(store, "grand sale") == [(second, 3), (third, 3)]
        assert self.recorded(store, "smudge") == []
        asked = wanted("grand sale öffnungs")
        assert store.sources(asked, [third]) == {third: ("name", "picture", "picture")}
        assert regions(asked, SIGNS) == [(SIGN.region,), (SIGN.region,), ((0.0, 0.0, 1.0, 0.1),)]
        assert regions(asked, None) == [(), (), ()]

    def test_they_follow_the_content(self, store: Store) -> None:
        (one,) = add(store, {"/p/1.jpg": 1}).values()
        store.keep_picture_texts({one: SIGNS})
        store.keep([], [new_file(Path("/q/moved.jpg"), 1)])
        store.mark([b"/p/1.jpg"], missing=True)
        store.prune()
        store.update_facts([new_photo(1, facts=replace(FACTS, texts=("a caption",)))])
        assert self.recorded(store, "sale") == [(one, 3)]
        assert self.recorded(store, "moved") == [(one, 1)]
        assert store.picture_texts([one]) == {one: SIGNS}
        store.keep([new_photo(1)], [])
        assert self.recorded(store, "sale") == [(one, 3)], "encoded again"
        store.forget([Path("/q/moved.jpg")])
        (again,) = add(store, {"/p/1.jpg": 1}).values()
        assert store.picture_texts([one, again]) == {}
        assert self.recorded(store, "sale") == []

    def test_a_move_takes_them_along(self, store: Store) -> None:
        (one,) = add(store, {"/p/1.jpg": 1}).values()
        store.keep_picture_texts({one: SIGNS})
        assert [photo.picture for photo in store.all_photos()] == [SIGNS]
        store.keep([replace(new_photo(2), picture=SIGNS)], [new_file(Path("/p/2.jpg"), 2)])
        (two,) = store.numbers([digest(2)])
        assert self.recorded(store, "sale") == [(one, 3), (two, 3)]


class TestWordsOnRecord:
    """What names, texts, camera and date say finds photos, and follows whatever changes."""

    @staticmethod
    def found(
        store: Store, query: str, selection: Selection | None = None
    ) -> list[tuple[int, int]]:
        """Contents, 0 to 9, and their tiers."""
        recorded = store.recorded(wanted(query), selection or Selection())
        known = {store.number(digest(content).hex()): content for content in range(10)}
        photos, tiers = recorded.photos.tolist(), recorded.tiers.tolist()
        return [(known[photo], tier) for photo, tier in zip(photos, tiers, strict=True)]

    def test_a_photo_is_of_the_tier_of_its_least_word(self, store: Store) -> None:
        tagged = replace(
            FACTS, texts=("Anna's wedding",), taken="2021-05-17T10:00:00", camera="Zenit E"
        )
        store.add_folder(Path("/p"))
        store.keep([new_photo(0, facts=tagged), *map(new_photo, range(1, 4))], [])
        names = ("x/1.jpg", "wedding-anna.jpg", "wedding/anna.jpg", "beach/2.jpg")
        store.keep([], [new_file(Path("/p") / name, n) for n, name in enumerate(names)])
        assert self.found(store, "weddings") == [(0, 0), (1, 1), (2, 2)]
        assert self.found(store, "anna wedding") == [(0, 0), (1, 1), (2, 2)]
        assert self.found(store, "wedding May 2021") == [(0, 3)]
        assert self.found(store, "свадьба") == self.found(store, "the dog") == []
        assert self.found(store, "мая 2021 зенит") == [(0, 3)]
        assert self.found(store, "p") == [], "the library's folder itself is on no record"
        asked = wanted("wedding 2021 zenit")
        assert store.sources(asked, [1]) == {1: ("text", "date", "camera")}
        assert store.sources(wanted("anna"), [2, 3]) == {2: ("name",), 3: ("name",)}
        assert store.sources(asked, []) == {}

    def test_words_follow_names(self, store: Store) -> None:
        add(store, {"/p/wedding.jpg": 1, "/p/copy.jpg": 1, "/p/beach.jpg": 2})
        assert self.found(store, "wedding") == [(1, 1)]
        store.mark([b"/p/wedding.jpg"], missing=True)
        assert self.found(store, "wedding") == []
        store.mark([b"/p/wedding.jpg"], missing=False)
        assert self.found(store, "wedding") == [(1, 1)]
        store.forget([Path("/p/wedding.jpg")])
        assert self.found(store, "wedding") == []
        assert self.found(store, "copy") == [(1, 1)]
        store.keep([], [new_file(Path("/p/copy.jpg"), 2)])
        assert self.found(store, "copy") == [(2, 1)], "other content by now"
        store.sweep()
        assert self.found(store, "copy beach") == [(2, 1)]

    def test_words_follow_texts_and_folders(self, store: Store) -> None:
        add(store, {"/p/trip/1.jpg": 1})
        assert self.found(store, "trip") == [], "it lies in no folder of the library"
        store.add_folder(Path("/p/trip"))
        assert self.found(store, "trip") == []
        store.add_folder(Path("/p"))
        assert self.found(store, "trip") == [(1, 2)]
        store.update_facts(
            [replace(new_photo(1, facts=replace(FACTS, texts=("Trip",))), vector=None)]
        )
        assert self.found(store, "trip") == [(1, 0)]
        assert store.remove(Path("/p")) == 1
        assert len(store.recorded(wanted("trip"), Selection()).photos) == 0

    def test_filters_and_the_law_hold(self, store: Store) -> None:
        add(store, {f"/p/wedding {n}.jpg": n for n in range(4)})
        numbers = [number(store, n) for n in range(4)]
        store.keep_assessments(
            {
                one: Assessment((), 0.1 * n, None, (), 0.2 * n, "v")
                for n, one in enumerate(numbers)
                if n != 1
            }
        )
        assert len(self.found(store, "wedding")) == 4
        shown = Selection(shown=Shown(0.5))
        assert [content for content, _ in self.found(store, "wedding", shown)] == [0, 2]
        assert self.found(store, "3", shown) == self.found(store, "1", shown) == []
        assert self.found(store, "wedding", Selection(Filters(kind="png"))) == []

    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_any_name_is_taken(self, store: Store, name: str) -> None:
        store.add_folder(Path("/p"))
        facts = replace(FACTS, texts=(name, "a\0b \ud800 ' \" \\ : & | ! ( ) * NOT OR"))
        store.keep([new_photo(1, facts=facts)], [new_file(Path("/p", name, name), 1)])
        assert self.found(store, "b not or") == [(1, 0)]
        for query in (name, "' OR 1", "b:*", '"', "NOT", "a & !b", "NEAR(b or)", "{text}: b"):
            store.recorded(wanted(query), Selection())
        assert store.keep_words() == 0


class TestSidecars:
    SAID = Sidecar(
        '[["a.xmp", 3, 4]]', ("granite",), taken="2019-07-01T00:00:00", latitude=1.5, longitude=2.5
    )

    def file(self, path: str, said: Sidecar | None, modified: int = 0) -> NewFile:
        return replace(new_file(Path(path), 1, modified), sidecar=said)

    def facts(self, store: Store) -> PhotoFacts:
        photo = number(store, 1)
        return store.stored({photo: ()})[photo].facts

    def found(self, store: Store) -> list[int]:
        return list(store.recorded(wanted("granite"), Selection()).photos.tolist())

    def test_what_they_say_is_a_part_of_the_facts(self, store: Store) -> None:
        own = replace(FACTS, texts=("own",), taken="2001-01-01T00:00:00")
        store.keep([new_photo(1, facts=own)], [self.file("/p/a.jpg", self.SAID)])
        whole = replace(
            own, taken="2019-07-01T00:00:00", latitude=1.5, longitude=2.5, texts=("own", "granite")
        )
        assert self.facts(store) == whole
        assert self.found(store) == [number(store, 1)]
        assert store.states(Path("/p"))[b"/p/a.jpg"].sidecar == self.SAID.state
        assert [photo.facts for photo in store.all_photos()] == [own]
        assert [file.sidecar for file, _ in store.all_files()] == [self.SAID]
        other = replace(own, texts=("other",))
        store.update_facts([new_photo(1, facts=other)])
        assert self.facts(store) == replace(whole, texts=("other", "granite"))
        store.keep([], [self.file("/p/a.jpg", None)])
        assert self.facts(store) == other
        assert self.found(store) == []
        assert store.states(Path("/p"))[b"/p/a.jpg"].sidecar == ""
        assert store.check() == []

    def test_beside_every_file_that_is_there(self, store: Store) -> None:
        store.keep([new_photo(1)], [self.file("/p/a.jpg", None), self.file("/q/b.jpg", self.SAID)])
        assert self.facts(store).texts == ("granite",)
        store.mark([b"/q/b.jpg"], missing=True)
        assert self.facts(store) == FACTS
        store.mark([b"/q/b.jpg"], missing=False)
        assert self.facts(store).texts == ("granite",)
        store.forget([Path("/q/b.jpg")])
        assert self.facts(store) == FACTS

    def test_a_file_that_comes_back_has_its_photo_assessed_anew(self, store: Store) -> None:
        store.keep([new_photo(1)], [self.file("/p/a.jpg", None), self.file("/q/b.jpg", self.SAID)])
        store.mark([b"/q/b.jpg"], missing=True)
        store.keep_assessments({number(store, 1): Assessment((), None, None, (), 0.0, "v")})
        assert store.unassessed("v") == []
        store.mark([b"/q/b.jpg"], missing=False)
        assert store.unassessed("v") == [number(store, 1)]

    def test_of_too_many_words_lack(self, store: Store) -> None:
        files = [
            self.file(f"/p/{place:04}.jpg", replace(self.SAID, texts=(f"w{place % 7}",)))
            for place in range(MOST_SIDECARS + 1)
        ]
        store.keep([new_photo(1)], files[:-1])
        assert self.facts(store).texts_complete
        store.keep([], files[-1:])
        assert not self.facts(store).texts_complete


class TestMostWords:
    NAMES = ("/p/grandma-birthday.jpg", "/p/birthday.jpg", "/grandma/cake.jpg", "/p/1.jpg")

    def recorded(self, store: Store, text: str, *, whole: bool = False) -> dict[str, int]:
        found = store.recorded(wanted(text, whole=whole), Selection())
        assert found.photos.tolist() == sorted(found.photos.tolist())
        there = store.present(found.photos.tolist())
        pairs = zip(found.photos.tolist(), found.tiers.tolist(), strict=True)
        return {str(there[number][0]): tier for number, tier in pairs}

    def test_of_three_two_will_do(self, store: Store) -> None:
        store.add_folder(Path("/"))
        add(store, dict(zip(self.NAMES, range(4), strict=True)))
        assert self.recorded(store, "grandma birthday cake") == {
            "/p/grandma-birthday.jpg": IN_PART, "/grandma/cake.jpg": IN_PART,
        }  # fmt: skip
        assert self.recorded(store, "grandma birthday cake", whole=True) == {}
        assert self.recorded(store, "grandma birthday") == {"/p/grandma-birthday.jpg": 1}
        both = store.sources(wanted("grandma birthday cake"), [number(store, 0), number(store, 2)])
        assert both == {
            number(store, 0): ("name", "name", None), number(store, 2): ("folder", None, "name"),
        }  # fmt: skip

    def test_those_with_all_words_keep_their_tiers(self, store: Store) -> None:
        add(store, {"/p/a-b-cc.jpg": 1, "/p/a-b.jpg": 2})
        assert self.recorded(store, "cc b a-b")["/p/a-b-cc.jpg"] == 1

    def test_of_many_they_tell_nothing(self, store: Store) -> None:
        for count, found in ((MOST_IN_PART, MOST_IN_PART), (MOST_IN_PART + 1, 0)):
            add(store, {f"/p/red-dog {place:03}.jpg": place for place in range(count)})
            assert len(self.recorded(store, "red dog ball")) == found

    def test_a_sentence_is_of_what_is_seen(self, store: Store) -> None:
        add(store, {"/p/black-dog-runs-over-green.jpg": 1})
        assert len(self.recorded(store, "black dog runs over green grass")) == 1
        assert self.recorded(store, "black dog runs over green grass fast today") == {}

    def test_hidden_ones_count_for_nothing(self, store: Store) -> None:
        numbers = add(
            store, {f"/p/red-dog {place:03}.jpg": place for place in range(MOST_IN_PART + 1)}
        )
        low = dict.fromkeys(numbers.values(), 0.0) | {numbers["/p/red-dog 000.jpg"]: 0.9}
        assess(store, low)
        shown = Selection(shown=Shown(0.5))
        assert len(store.recorded(wanted("red dog ball"), shown).photos) == MOST_IN_PART
