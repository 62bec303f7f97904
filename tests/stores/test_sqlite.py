"""The library's file: whatever is done to it in whatever order, it contradicts itself nowhere."""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kadr.errors import LibraryError
from kadr.stores import MEMORY, Selection, open_store, rounded
from kadr.stores.sqlite import SqliteStore, connection, scan
from kadr.stores.sqlite.migrations import FORMAT
from kadr.stores.sqlite.scan import BLOCK, WASTE
from kadr.stores.words import wanted
from kadr.types import Filters
from libraries import add, digest, matching, new_file, new_photo, number


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "library.kadr"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(path, create=True)
    yield opened
    opened.close()


def without_places(base: sqlite3.Connection) -> None:
    """As tables were before photos had places, sidecars and text in them."""
    base.execute("DROP TABLE picture_texts")
    base.execute("DROP INDEX files_with_sidecars")
    base.execute("ALTER TABLE files DROP COLUMN sidecar")
    base.execute("ALTER TABLE files DROP COLUMN sidecar_said")
    base.execute("ALTER TABLE photos DROP COLUMN own")
    base.execute("DROP INDEX photos_place")
    base.execute("ALTER TABLE photos DROP COLUMN place")
    base.execute("ALTER TABLE photos DROP COLUMN place_folded")


class TestOpening:
    def test_a_missing_library_is_told(self, path: Path) -> None:
        with pytest.raises(LibraryError, match=r"no library here.*kadr index FOLDER"):
            SqliteStore(path)
        assert not path.parent.exists()

    def test_what_was_made_can_be_opened(self, path: Path) -> None:
        for create in (True, False, True):
            store = SqliteStore(path, create=create)
            assert store.check() == []
            store.close()

    def test_an_empty_file_becomes_a_library_only_where_asked(self, path: Path) -> None:
        path.parent.mkdir()
        path.touch()
        with pytest.raises(LibraryError, match="isn't a library of kadr"):
            SqliteStore(path)
        SqliteStore(path, create=True).close()
        SqliteStore(path).close()

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
            SqliteStore(path, create=create)
        assert path.read_bytes() == before

    @pytest.mark.parametrize("create", [True, False])
    @pytest.mark.parametrize("size", [99, 5000])
    def test_garbage_is_no_library_and_stays(self, path: Path, size: int, *, create: bool) -> None:
        path.parent.mkdir()
        garbage = np.random.default_rng(0).bytes(size)
        path.write_bytes(garbage)
        with pytest.raises(LibraryError, match=r"library\.kadr"):
            SqliteStore(path, create=create)
        assert path.read_bytes() == garbage

    def test_a_newer_format_is_refused(self, store: SqliteStore, path: Path) -> None:
        store._base.execute("PRAGMA user_version=99")
        with pytest.raises(LibraryError, match=f"has format 99, this kadr reads {FORMAT}"):
            SqliteStore(path)

    def test_words_of_photos_that_were_there_are_made_by_the_next_index(
        self, tmp_path: Path
    ) -> None:
        with closing(open_store(tmp_path / "l.kadr", create=True)) as store:
            add(store, {"/p/wedding.jpg": 1, "/p/beach.jpg": 2})
        with closing(sqlite3.connect(tmp_path / "l.kadr")) as base:
            base.execute("DROP TABLE words")
            without_places(base)
            base.execute("DELETE FROM meta WHERE key = 'words'")
            base.execute("CREATE INDEX photos_with_texts ON photos (encoded)")
            base.execute("PRAGMA user_version=7")
            base.commit()
        with closing(open_store(tmp_path / "l.kadr")) as store:
            assert store.recorded(wanted("wedding"), Selection()).photos.tolist() == []
            assert store.keep_words() == 2
            assert store.recorded(wanted("wedding"), Selection()).photos.tolist() == [1]
            assert store.keep_words() == 0

    def test_words_stay_on_record_where_places_are_new(self, tmp_path: Path) -> None:
        with closing(open_store(tmp_path / "l.kadr", create=True)) as store:
            add(store, {"/p/wedding.jpg": 1})
        with closing(sqlite3.connect(tmp_path / "l.kadr")) as base:
            (row,) = base.execute("SELECT text, name, folder, camera, date FROM words").fetchall()
            base.execute("DROP TABLE words")
            base.execute(
                "CREATE VIRTUAL TABLE words USING fts5 (text, name, folder, camera, date,"
                " tokenize = \"ascii tokenchars '_'\", detail = column)"
            )
            base.execute("INSERT INTO words (rowid, text, name, folder, camera, date)"
                         " VALUES (1, ?, ?, ?, ?, ?)", row)  # fmt: skip
            without_places(base)
            base.execute("UPDATE meta SET value = '1' WHERE key = 'words'")
            base.execute("PRAGMA user_version=8")
            base.commit()
        with closing(open_store(tmp_path / "l.kadr")) as store:
            assert store.recorded(wanted("wedding"), Selection()).photos.tolist() == [1]
            assert store.stored({1: ()})[1].facts.place is None
            assert store.keep_words() == 1

    def test_words_stay_on_record_where_text_in_pictures_is_new(self, tmp_path: Path) -> None:
        with closing(open_store(tmp_path / "l.kadr", create=True)) as store:
            add(store, {"/p/wedding.jpg": 1})
        with closing(sqlite3.connect(tmp_path / "l.kadr")) as base:
            known = "text, name, folder, camera, date, place"
            rows = base.execute(f"SELECT {known} FROM words").fetchall()
            base.execute("DROP TABLE words")
            base.execute(
                f"CREATE VIRTUAL TABLE words USING fts5 ({known},"
                " tokenize = \"ascii tokenchars '_'\", detail = column)"
            )
            base.execute(
                f"INSERT INTO words (rowid, {known}) VALUES (1, ?, ?, ?, ?, ?, ?)", rows[0]
            )
            base.execute("DROP TABLE picture_texts")
            base.execute("PRAGMA user_version=10")
            base.commit()
        with closing(open_store(tmp_path / "l.kadr")) as store:
            assert store.recorded(wanted("wedding"), Selection()).photos.tolist() == [1]
            assert store.keep_words() == 0, "no other word has changed"
            assert store.unread("engine-1") == [1]

    def test_a_folder_is_no_library(self, tmp_path: Path) -> None:
        with pytest.raises(LibraryError, match="can't be opened"):
            SqliteStore(tmp_path, create=True)

    def test_several_may_make_it_at_once(self, tmp_path: Path) -> None:
        failed: list[BaseException] = []

        def make(barrier: threading.Barrier, path: Path) -> None:
            barrier.wait()
            try:
                SqliteStore(path, create=True).close()
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

    def test_damaged_pages_are_told(self, store: SqliteStore, path: Path) -> None:
        add(store, {f"/p/{n}.jpg": n for n in range(300)})
        store.close()
        damaged = bytearray(path.read_bytes())
        damaged[8192:] = b"\xa5" * (len(damaged) - 8192)
        path.write_bytes(damaged)

        def use() -> None:
            opened = SqliteStore(path)
            try:
                opened.scan()
                if problems := opened.check():
                    raise LibraryError(f"{path}: can't be read ({problems})")
            finally:
                opened.close()

        with pytest.raises(LibraryError, match="can't be read"):
            use()


class TestNumbers:
    def test_numbers_are_never_given_again(self, store: SqliteStore, path: Path) -> None:
        first = add(store, {"/p/1.jpg": 1})["/p/1.jpg"]
        store.mark([b"/p/1.jpg"], missing=True)
        store.prune()
        store.close()
        again = SqliteStore(path)
        assert add(again, {"/p/1.jpg": 1})["/p/1.jpg"] > first
        again.close()

    def test_more_numbers_than_sqlite_takes_at_once(self, store: SqliteStore) -> None:
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
        self.store = SqliteStore(MEMORY, create=True)
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
        self.store.rescan(lambda vectors: -vectors[:, :4], space="half")
        self.store.rescan(lambda vectors: vectors, space="whole")

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
    def test_blocks_are_filled_whatever_the_batches(self, store: SqliteStore) -> None:
        for start in range(0, 3 * BLOCK, 100):
            add(store, {f"/p/{n}.jpg": n for n in range(start, start + 100)})
        sizes = [len(raw) // 8 for (raw,) in store.read("SELECT photos FROM blocks")]
        assert sizes == [BLOCK, BLOCK, BLOCK, 800 - 3 * BLOCK]
        scan = store.scan()
        assert scan.vectors.shape == (800, 8)
        exact = store.vectors(scan.photos.tolist())[1]
        exact = exact / np.linalg.norm(exact, axis=1, keepdims=True)
        np.testing.assert_allclose(scan.vectors * scan.scales[:, None], exact, atol=0.5 / 127)

    def test_compacting_keeps_what_the_rows_say(self, store: SqliteStore) -> None:
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

    def test_an_empty_library_has_no_rows(self, store: SqliteStore) -> None:
        assert len(store.scan().photos) == 0
        assert list(store.every_vector()) == []
        assert store.vectors([1, 2])[0].tolist() == []


def test_only_a_durable_transaction_waits_for_the_disk(store: SqliteStore) -> None:
    with store.durable(), store.durable():
        assert store.read("PRAGMA synchronous") == [(2,)]
        store.note(key="value")
    assert store.read("PRAGMA synchronous") == [(1,)]
    assert store.meta("key") == "value"


def test_what_is_joined_is_kept_together_or_not_at_all(store: SqliteStore, path: Path) -> None:
    other = SqliteStore(path)
    with pytest.raises(KeyboardInterrupt), store.durable():
        store.note(key="value")
        add(store, {"/p/1.jpg": 1})
        assert (other.meta("key"), other.totals().files) == (None, 0)
        raise KeyboardInterrupt
    assert (store.meta("key"), store.totals().files) == (None, 0)
    with store.durable():
        store.note(key="value")
        add(store, {"/p/1.jpg": 1})
    assert (other.meta("key"), other.totals().files) == ("value", 1)
    other.close()


class TestSeveralConnections:
    def test_a_reader_works_while_another_writes(self, store: SqliteStore, path: Path) -> None:
        numbers = add(store, {"/p/1.jpg": 1})
        reader = SqliteStore(path)
        with store.transaction() as run:
            run("UPDATE files SET missing = 1")
            assert reader.present(list(numbers.values()))
            assert len(reader.scan().photos) == 1
            assert matching(reader, Filters()) == {"/p/1.jpg"}
        assert reader.present(list(numbers.values())) == {}
        reader.close()

    def test_a_change_is_noticed_whoever_made_it(self, store: SqliteStore, path: Path) -> None:
        other = SqliteStore(path)
        before = store.changes(), other.changes()
        assert (store.changes(), other.changes()) == before
        add(store, {"/p/1.jpg": 1})
        assert store.changes() != before[0]
        assert other.changes() != before[1]
        other.close()

    @pytest.mark.parametrize("moment", ["SELECT photos, scales", "SELECT photo FROM vectors"])
    def test_another_one_writes_between_two_questions(
        self, store: SqliteStore, path: Path, moment: str
    ) -> None:
        add(store, {f"/p/{n}.jpg": n for n in range(600)})
        reader = SqliteStore(path)

        def write(statement: str) -> None:
            if statement.startswith(moment):
                reader._base.set_trace_callback(None)
                store.mark([f"/p/{n}.jpg".encode() for n in range(300)], missing=True)
                store.prune()
                store.rescan(lambda vectors: vectors[:, :4], space="half")

        reader._base.set_trace_callback(write)
        if moment.startswith("SELECT photos"):
            assert reader.scan().vectors.shape == (600, 8)
        else:
            assert reader.check() == []
        assert reader.scan().vectors.shape == (300, 4)
        assert reader.check() == []
        reader.close()

    def test_only_one_at_a_time_writes(self, store: SqliteStore, path: Path) -> None:
        other = SqliteStore(path)
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

    def test_an_error_within_frees_the_turn(self, store: SqliteStore) -> None:
        with pytest.raises(KeyboardInterrupt), store.writing():
            raise KeyboardInterrupt
        with store.writing(lambda: pytest.fail("still held")):
            pass


class TestDiskFull:
    def test_what_was_kept_stays_and_the_next_try_goes_on(
        self, store: SqliteStore, path: Path
    ) -> None:
        store._base.execute("PRAGMA max_page_count = 60")
        kept = 0
        with pytest.raises(LibraryError, match=r"disk is full.*kept.*make room"):
            for kept in range(0, 100_000, 20):
                add(store, {f"/p/{n}.jpg": n for n in range(kept, kept + 20)})
        assert kept > 0
        assert store.totals().files == kept
        assert store.check() == []
        other = SqliteStore(path)
        assert other.totals().files == kept
        other.close()
        store._base.execute("PRAGMA max_page_count = 100000")
        add(store, {f"/p/{n}.jpg": n for n in range(kept, kept + 20)})
        assert store.totals().files == kept + 20
        assert store.check() == []

    def test_a_failure_half_way_keeps_nothing_of_the_batch(self, store: SqliteStore) -> None:
        add(store, {"/p/1.jpg": 1})
        broken = replace(new_photo(3), joint=np.zeros(5, np.float32))
        with pytest.raises(ValueError, match="same shape"):
            store.keep([new_photo(2), broken], [new_file(Path("/p/2.jpg"), 2)])
        assert store.number(digest(2).hex()) is None
        assert store.check() == []
        add(store, {"/p/2.jpg": 2})


def spoil(store: SqliteStore, statement: str) -> list[str]:
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
        (
            "UPDATE vectors SET vector = x'00000000' WHERE photo = 2",
            "1 vectors of the library's encoder are of another length",
        ),
    ],
)
def test_check_sees_contradictions(store: SqliteStore, statement: str, told: str) -> None:
    add(store, {f"/p/{n}.jpg": n for n in range(3)})
    assert any(told in line for line in spoil(store, statement))


def test_totals_tell_the_size_of_the_file(store: SqliteStore, path: Path) -> None:
    add(store, {"/p/1.jpg": 1})
    sizes: Callable[[], int] = lambda: sum(  # noqa: E731
        file.stat().st_size
        for file in path.parent.iterdir()
        if file.name.endswith(("kadr", "-wal"))
    )
    assert store.totals().bytes == sizes() > 0
    memory = SqliteStore(MEMORY, create=True)
    assert memory.totals().bytes > 0
    memory.close()
