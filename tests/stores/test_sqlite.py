"""The library's file: whatever is done to it in whatever order, it contradicts itself nowhere."""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kadr.errors import LibraryError
from kadr.stores.sqlite import (
    MEMORY,
    NewFile,
    NewPhoto,
    Store,
    connection,
    drop_note,
    put_note,
    rounded,
    scan,
)
from kadr.stores.sqlite.scan import BLOCK, WASTE
from kadr.types import Filters, PhotoFacts, Skipped
from libraries import FACTS, digest, new_file, new_photo

ODD_NAMES = (
    os.fsdecode(b"\xff\xfe.jpg"), "a\nb.jpg", "\U0001f4f7 кадр.jpg", "it's \"so\".jpg", " x .jpg",
    "%_*[a]?.jpg", "é.jpg", "e\u0301.jpg",
)  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "library.kadr"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    opened = Store(path, create=True)
    yield opened
    opened.close()


def add(store: Store, files: dict[str, object], modified: int = 0) -> dict[str, int]:
    """Keep contents by path; the numbers of their photos."""
    wanted = {digest(c): c for c in files.values() if not store.settled(digest(c))}
    store.keep(
        [new_photo(c) for c in wanted.values()],
        [new_file(Path(p), c, modified) for p, c in files.items()],
    )
    return {p: number(store, c) for p, c in files.items()}


def number(store: Store, content: object) -> int:
    found = store.number(digest(content).hex())
    assert found is not None
    return found


def matching(store: Store, filters: Filters) -> set[str]:
    numbers = store.matching(filters).tolist()
    assert numbers == sorted(numbers)
    return {str(p) for paths in store.present(numbers).values() for p in paths}


class TestOpening:
    def test_a_missing_library_is_told(self, path: Path) -> None:
        with pytest.raises(LibraryError, match=r"no library here.*kadr index FOLDER"):
            Store(path)
        assert not path.parent.exists()

    def test_what_was_made_can_be_opened(self, path: Path) -> None:
        for create in (True, False, True):
            store = Store(path, create=create)
            assert store.check() == []
            store.close()

    def test_an_empty_file_becomes_a_library_only_where_asked(self, path: Path) -> None:
        path.parent.mkdir()
        path.touch()
        with pytest.raises(LibraryError, match="isn't a library of kadr"):
            Store(path)
        Store(path, create=True).close()
        Store(path).close()

    @pytest.mark.parametrize("create", [True, False])
    @pytest.mark.parametrize("application", [0, 0x47504B47])
    def test_another_program_s_base_stays_as_it_is(
        self, path: Path, application: int, *, create: bool
    ) -> None:
        path.parent.mkdir()
        base = sqlite3.connect(path)
        base.executescript(f"CREATE TABLE photos (a); PRAGMA application_id={application};")
        base.close()
        before = path.read_bytes()
        with pytest.raises(LibraryError, match="isn't a library of kadr"):
            Store(path, create=create)
        assert path.read_bytes() == before

    @pytest.mark.parametrize("create", [True, False])
    @pytest.mark.parametrize("size", [99, 5000])
    def test_garbage_is_no_library_and_stays(self, path: Path, size: int, *, create: bool) -> None:
        path.parent.mkdir()
        garbage = np.random.default_rng(0).bytes(size)
        path.write_bytes(garbage)
        with pytest.raises(LibraryError, match=r"library\.kadr"):
            Store(path, create=create)
        assert path.read_bytes() == garbage

    def test_a_newer_format_is_refused(self, store: Store, path: Path) -> None:
        store._base.execute("PRAGMA user_version=2")
        with pytest.raises(LibraryError, match="has format 2, this kadr reads 1"):
            Store(path)

    def test_a_folder_is_no_library(self, tmp_path: Path) -> None:
        with pytest.raises(LibraryError, match="can't be opened"):
            Store(tmp_path, create=True)

    def test_several_may_make_it_at_once(self, tmp_path: Path) -> None:
        failed: list[BaseException] = []

        def make(barrier: threading.Barrier, path: Path) -> None:
            barrier.wait()
            try:
                Store(path, create=True).close()
            except Exception as error:  # noqa: BLE001 - told below
                failed.append(error)

        for trial in range(20):
            barrier = threading.Barrier(8)
            arguments = (barrier, tmp_path / f"{trial}.kadr")
            threads = [threading.Thread(target=make, args=arguments) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert failed == []

    def test_damaged_pages_are_told(self, store: Store, path: Path) -> None:
        add(store, {f"/p/{n}.jpg": n for n in range(300)})
        store.close()
        damaged = bytearray(path.read_bytes())
        damaged[8192:] = b"\xa5" * (len(damaged) - 8192)
        path.write_bytes(damaged)

        def use() -> None:
            opened = Store(path)
            try:
                opened.scan()
                if problems := opened.check():
                    raise LibraryError(f"{path}: can't be read ({problems})")
            finally:
                opened.close()

        with pytest.raises(LibraryError, match="can't be read"):
            use()


class TestFolders:
    def test_one_inside_another_is_none_of_its_own(self, store: Store) -> None:
        for name in ("/a/b/c", "/a/bc", "/a/b", "/a/b/d", "/z"):
            store.add_folder(Path(name))
        assert sorted(map(str, store.folders())) == ["/a/b", "/a/bc", "/z"]
        store.add_folder(Path("/a"))
        assert sorted(map(str, store.folders())) == ["/a", "/z"]
        store.add_folder(Path("/"))
        assert store.folders() == (Path("/"),)

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
        assert len(store.scan().photos) == 2

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
        store = Store(MEMORY, create=True)
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

    def test_numbers_are_never_given_again(self, store: Store, path: Path) -> None:
        first = add(store, {"/p/1.jpg": 1})["/p/1.jpg"]
        store.mark([b"/p/1.jpg"], missing=True)
        store.prune()
        store.close()
        again = Store(path)
        assert add(again, {"/p/1.jpg": 1})["/p/1.jpg"] > first
        again.close()

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
        facts = PhotoFacts("png", 1, 2, "2024-05-17T10:00:00", "Zenit E", -33.5, 151.25)
        photo = replace(new_photo(1, facts=facts), hash=2**64 - 1)
        store.keep([photo], [new_file(Path("/p/1.jpg"), 1)])
        one = number(store, 1)
        stored = store.stored(store.present([one]))[one]
        assert (stored.facts, stored.hash, stored.digest) == (facts, 2**64 - 1, digest(1).hex())
        assert store.hashes()[1].tolist() == [2**64 - 1]
        numbers, vectors = store.vectors([one + 1, one])
        assert numbers.tolist() == [one]
        np.testing.assert_array_equal(vectors[0], photo.vector)

    def test_more_numbers_than_sqlite_takes_at_once(self, store: Store) -> None:
        count = connection.LOOKUP * 2 + 1
        numbers = list(add(store, {f"/p/{n:05}.jpg": n for n in range(count)}).values())
        assert len(store.stored(store.present(numbers))) == count
        assert store.vectors(numbers[::-1])[0].tolist() == numbers[::-1]
        assert np.concatenate([found for found, _ in store.every_vector()]).tolist() == numbers


@dataclass
class Model:
    """What a store should hold: contents and missing by path."""

    files: dict[str, int]
    missing: set[str]


PATHS = [f"/{folder}/{n}.jpg" for folder in ("a", "ab", "a/b") for n in range(4)]
KEPT = st.dictionaries(st.sampled_from(PATHS), st.integers(0, 9), max_size=8)
STEPS = st.one_of(
    st.tuples(st.just("keep"), KEPT),
    st.tuples(st.just("gone"), st.sets(st.sampled_from(PATHS), max_size=6)),
    st.tuples(st.just("prune"), st.sampled_from([None, "/a", "/ab", "/a/b"])),
    st.tuples(st.just("remove"), st.sampled_from(["/a", "/ab", "/a/b"])),
    st.tuples(st.just("rescan"), st.none()),
)


def below(path: str, folder: str | None) -> bool:
    return folder is None or path.startswith(folder + "/")


class Sequence:
    """Does the same to a store and to a model of it, and compares both."""

    def __init__(self) -> None:
        self.store = Store(MEMORY, create=True)
        self.model = Model({}, set())
        self.ids: dict[bytes, int] = {}
        self.highest = 0

    def keep(self, files: dict[str, int]) -> None:
        add(self.store, dict(files))
        self.store.sweep()
        self.model.files |= files
        self.model.missing -= files.keys()

    def gone(self, paths: set[str]) -> None:
        self.store.mark([os.fsencode(path) for path in paths], missing=True)
        self.model.missing |= paths & self.model.files.keys()

    def prune(self, folder: str | None) -> None:
        gone = {path for path in self.model.missing if below(path, folder)}
        assert self.store.prune(Path(folder) if folder else None) == len(gone)
        self._forget(gone)

    def remove(self, folder: str) -> None:
        gone = {path for path in self.model.files if below(path, folder)}
        if not gone:
            with pytest.raises(LibraryError):
                self.store.remove(Path(folder))
            return
        assert self.store.remove(Path(folder)) == len(gone)
        self._forget(gone)

    def rescan(self, _: None) -> None:
        self.store.rescan(lambda vectors: -vectors[:, :4], "half")
        self.store.rescan(lambda vectors: vectors, "whole")

    def _forget(self, paths: set[str]) -> None:
        for path in paths:
            del self.model.files[path]
        self.model.missing -= paths

    def _check_waste(self) -> None:
        rows, alive = len(self.store.scan().photos), len(set(self.model.files.values()))
        assert rows - alive <= WASTE * rows

    def check(self) -> None:
        assert self.store.check() == []
        self._check_waste()
        there = {path: c for path, c in self.model.files.items() if path not in self.model.missing}
        assert {str(p): d for p, _, _, d in self.store.contents()} == {
            path: digest(c).hex() for path, c in there.items()
        }
        contents = set(self.model.files.values())
        photos = {c: number(self.store, c) for c in contents}
        assert self.store.totals().photos == len(set(there.values()))
        self._check_scan(set(photos.values()))
        shown = self.store.present(self.store.scan().photos.tolist())
        assert shown == {
            photos[c]: tuple(sorted((Path(p) for p in there if there[p] == c), key=os.fsencode))
            for c in set(there.values())
        }
        self._check_ids(photos)

    def _check_scan(self, alive: set[int]) -> None:
        scanned = self.store.scan().photos.tolist()
        assert len(scanned) == len(set(scanned))
        assert set(scanned) >= alive
        sizes = [len(raw) // 8 for (raw,) in self.store.read("SELECT photos FROM blocks")]
        assert all(size == 4 for size in sizes[:-1])
        assert all(0 < size <= 4 for size in sizes[-1:])

    def _check_ids(self, photos: dict[int, int]) -> None:
        now = {digest(c): n for c, n in photos.items()}
        fresh = [n for key, n in now.items() if self.ids.get(key) != n]
        assert all(n > self.highest for n in fresh)
        self.highest = max([self.highest, *now.values()])
        self.ids |= now


@settings(max_examples=150, deadline=None)
@given(steps=st.lists(STEPS, max_size=12))
def test_no_sequence_makes_it_contradict_itself(steps: list[tuple[str, object]]) -> None:
    with patch.object(scan, "BLOCK", 4):
        sequence = Sequence()
        for name, argument in steps:
            getattr(sequence, name)(argument)
            sequence.check()
        sequence.store.close()


class TestScan:
    def test_blocks_are_filled_whatever_the_batches(self, store: Store) -> None:
        for start in range(0, 3 * BLOCK, 100):
            add(store, {f"/p/{n}.jpg": n for n in range(start, start + 100)})
        sizes = [len(raw) // 8 for (raw,) in store.read("SELECT photos FROM blocks")]
        assert sizes == [BLOCK, BLOCK, BLOCK, 800 - 3 * BLOCK]
        scan = store.scan()
        assert scan.vectors.shape == (800, 8)
        exact = store.vectors(scan.photos.tolist())[1]
        exact = exact / np.linalg.norm(exact, axis=1, keepdims=True)
        np.testing.assert_allclose(scan.vectors * scan.scales[:, None], exact, atol=0.5 / 127)

    def test_compacting_keeps_what_the_rows_say(self, store: Store) -> None:
        numbers = add(store, {f"/p/{n}.jpg": n for n in range(600)})
        before = store.scan()
        rows = {
            n: (scale, row)
            for n, scale, row in zip(before.photos.tolist(), before.scales, before.vectors, strict=True)
        }  # fmt: skip
        store.mark([f"/p/{n}.jpg".encode() for n in range(0, 600, 3)], missing=True)
        store.prune()
        after = store.scan()
        assert after.photos.tolist() == [numbers[f"/p/{n}.jpg"] for n in range(600) if n % 3]
        for n, scale, row in zip(after.photos.tolist(), after.scales, after.vectors, strict=True):
            assert scale == pytest.approx(rows[n][0], rel=1e-6)
            np.testing.assert_array_equal(row, rows[n][1])

    @given(seed=st.integers(0, 9999), dim=st.integers(1, 300), power=st.integers(1, 4))
    def test_rounding_moves_a_cosine_by_little(self, seed: int, dim: int, power: int) -> None:
        rows = np.random.default_rng(seed).normal(size=(20, dim)) ** power
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        unit = rows.astype(np.float32)
        scales, vectors = rounded(unit)
        assert np.abs(vectors).max() <= 127
        errors = np.abs(unit @ (vectors * scales[:, None]).T - unit @ unit.T)
        bound = np.abs(unit).max(axis=1) * np.sqrt(dim) / 254
        assert (errors <= bound + 1e-6).all()

    def test_rounding_of_even_vectors_is_small(self) -> None:
        rows = np.random.default_rng(1).normal(size=(1000, 256)).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        scales, vectors = rounded(rows)
        assert np.abs(rows[:50] @ ((vectors * scales[:, None]) - rows).T).max() < 0.003

    def test_zero_vectors_are_no_trouble(self) -> None:
        scales, vectors = rounded(np.zeros((2, 4), np.float32))
        assert np.isfinite(scales).all()
        assert not vectors.any()

    def test_an_empty_library_has_no_rows(self, store: Store) -> None:
        assert len(store.scan().photos) == 0
        assert list(store.every_vector()) == []
        assert store.vectors([1, 2])[0].tolist() == []


def test_what_facets_and_reviews_ask_for(store: Store) -> None:
    numbers = add(store, {"/p/1.jpg": 1, "/p/2.jpg": 2})
    store.mark([b"/p/2.jpg"], missing=True)
    assert store.paths() == [(numbers["/p/1.jpg"], b"/p/1.jpg")]
    assert [row[0] for row in store.choices()] == sorted(numbers.values())
    assert store.digest_at(Path("/q/1.jpg"), Path("/p/2.jpg")) == digest(2).hex()
    assert store.digest_at(Path("/q/1.jpg")) is None


def test_only_a_durable_transaction_waits_for_the_disk(store: Store) -> None:
    with store.durable() as run:
        assert run("PRAGMA synchronous").fetchone() == (2,)
        put_note(run, "key", "value")
        put_note(run, "other", "value")
        drop_note(run, "other")
    assert store.read("PRAGMA synchronous") == [(1,)]
    assert (store.meta("key"), store.meta("other")) == ("value", None)


class TestSeveralConnections:
    def test_a_reader_works_while_another_writes(self, store: Store, path: Path) -> None:
        numbers = add(store, {"/p/1.jpg": 1})
        reader = Store(path)
        with store.transaction() as run:
            run("UPDATE files SET missing = 1")
            assert reader.present(list(numbers.values()))
            assert len(reader.scan().photos) == 1
            assert matching(reader, Filters()) == {"/p/1.jpg"}
        assert reader.present(list(numbers.values())) == {}
        reader.close()

    def test_a_change_is_noticed_whoever_made_it(self, store: Store, path: Path) -> None:
        other = Store(path)
        before = store.changes(), other.changes()
        assert (store.changes(), other.changes()) == before
        add(store, {"/p/1.jpg": 1})
        assert store.changes() != before[0]
        assert other.changes() != before[1]
        other.close()

    @pytest.mark.parametrize("moment", ["SELECT photos, scales", "SELECT photo FROM vectors"])
    def test_another_one_writes_between_two_questions(
        self, store: Store, path: Path, moment: str
    ) -> None:
        add(store, {f"/p/{n}.jpg": n for n in range(600)})
        reader = Store(path)

        def write(statement: str) -> None:
            if statement.startswith(moment):
                reader._base.set_trace_callback(None)
                store.mark([f"/p/{n}.jpg".encode() for n in range(300)], missing=True)
                store.prune()
                store.rescan(lambda vectors: vectors[:, :4], "half")

        reader._base.set_trace_callback(write)
        if moment.startswith("SELECT photos"):
            assert reader.scan().vectors.shape == (600, 8)
        else:
            assert reader.check() == []
        assert reader.scan().vectors.shape == (300, 4)
        assert reader.check() == []
        reader.close()

    def test_only_one_at_a_time_writes(self, store: Store, path: Path) -> None:
        other = Store(path)
        waited, events = threading.Event(), list[str]()

        def second() -> None:
            with other.writing(waited.set):
                events.append("second")

        with store.writing(lambda: events.append("the first waited")):
            thread = threading.Thread(target=second)
            thread.start()
            assert waited.wait(20)
            time.sleep(0.05)
            events.append("first")
        thread.join(20)
        assert events == ["first", "second"]
        other.close()

    def test_an_error_within_frees_the_turn(self, store: Store) -> None:
        with pytest.raises(KeyboardInterrupt), store.writing():
            raise KeyboardInterrupt
        with store.writing(lambda: pytest.fail("still held")):
            pass


class TestDiskFull:
    def test_what_was_kept_stays_and_the_next_try_goes_on(self, store: Store, path: Path) -> None:
        store._base.execute("PRAGMA max_page_count = 60")
        kept = 0
        with pytest.raises(LibraryError, match=r"disk is full.*kept.*make room"):
            for kept in range(0, 100_000, 20):
                add(store, {f"/p/{n}.jpg": n for n in range(kept, kept + 20)})
        assert kept > 0
        assert store.totals().files == kept
        assert store.check() == []
        other = Store(path)
        assert other.totals().files == kept
        other.close()
        store._base.execute("PRAGMA max_page_count = 100000")
        add(store, {f"/p/{n}.jpg": n for n in range(kept, kept + 20)})
        assert store.totals().files == kept + 20
        assert store.check() == []

    def test_a_failure_half_way_keeps_nothing_of_the_batch(self, store: Store) -> None:
        add(store, {"/p/1.jpg": 1})
        broken = replace(new_photo(3), joint=np.zeros(5, np.float32))
        with pytest.raises(ValueError, match="same shape"):
            store.keep([new_photo(2), broken], [new_file(Path("/p/2.jpg"), 2)])
        assert store.number(digest(2).hex()) is None
        assert store.check() == []
        add(store, {"/p/2.jpg": 2})


MOSCOW, PETERSBURG = (55.7558, 37.6173), (59.9343, 30.3351)
LONDON, PARIS, NEW_YORK = (51.5074, -0.1278), (48.8566, 2.3522), (40.7128, -74.0060)
SYDNEY, AUCKLAND = (-33.8688, 151.2093), (-36.8485, 174.7633)


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
        self, store: Store, one: tuple[float, float], other: tuple[float, float], kilometres: float
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
        assert store.present([one], Path("/b")) == {one: (Path("/b/1.jpg"),)}

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


def spoil(store: Store, statement: str) -> list[str]:
    store._base.execute("PRAGMA foreign_keys=OFF")
    store._base.execute(statement)
    return store.check()


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DELETE FROM vectors WHERE photo = 1", "1 photos that were encoded have no vector"),
        ("DELETE FROM photos WHERE id = 1", "1 files belong to no photo"),
        ("DELETE FROM blocks", "3 photos are not in the scan"),
        ("UPDATE photos SET encoded = 0 WHERE id = 2", "1 vectors belong to no photo"),
    ],
)
def test_check_sees_contradictions(store: Store, statement: str, told: str) -> None:
    add(store, {f"/p/{n}.jpg": n for n in range(3)})
    assert any(told in line for line in spoil(store, statement))


def test_totals_tell_the_size_of_the_file(store: Store, path: Path) -> None:
    add(store, {"/p/1.jpg": 1})
    sizes: Callable[[], int] = lambda: sum(  # noqa: E731
        file.stat().st_size
        for file in path.parent.iterdir()
        if file.name.endswith(("kadr", "-wal"))
    )
    assert store.totals().bytes == sizes() > 0
    memory = Store(MEMORY, create=True)
    assert memory.totals().bytes > 0
    memory.close()
