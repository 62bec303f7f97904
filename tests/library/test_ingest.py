"""Folders to a library: counts are exact, nothing is read twice, and no kill loses anything."""

import hashlib
import os
import random
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import unicodedata
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from kadr.encoders import load_image_encoder
from kadr.encoders.vectors import BATCH, in_order
from kadr.errors import DataError, ImageError, LibraryError
from kadr.library import ingest
from kadr.library.ingest import QUEUE, IndexCallbacks, IndexResult
from kadr.library.library import Library
from kadr.matcher import bundle as matcher
from kadr.photos import files, hashes, images
from kadr.stores import open_store
from kadr.types import PhotoFacts, Vectors
from libraries import Content, assert_same, colour_matcher, content, engine, paint

PLUGINS = Path(__file__).parents[1] / "plugins"


class Counted:
    """The fake image encoder; counts photos, and may be interrupted at a batch."""

    def __init__(self, interrupted_at: int | None = None) -> None:
        self._inner = load_image_encoder("colours")
        self.name, self.dim, self.size = self._inner.name, self._inner.dim, self._inner.size
        self.prepared = self.encoded = self.batches = self.most = 0
        self.interrupted_at = interrupted_at
        self._lock = threading.Lock()

    def prepare(self, image: Image.Image) -> NDArray[np.uint8]:
        with self._lock:
            self.prepared += 1
            self.most = max(self.most, self.prepared - self.encoded)
        return self._inner.prepare(image)

    def encode(self, images: Sequence[NDArray[np.uint8]]) -> Vectors:
        self.batches += 1
        if self.batches == self.interrupted_at:
            raise KeyboardInterrupt
        vectors = self._inner.encode(images)
        with self._lock:
            self.encoded += len(images)
        return vectors


class Run:
    """Indexes one folder into one library, over and over."""

    def __init__(self, path: Path, folder: Path) -> None:
        self.path, self.folder = path, folder
        self.skipped: list[tuple[str, str]] = []
        self.progress: list[tuple[int, int, int]] = []

    @contextmanager
    def library(self, encoder: Counted | None = None) -> Iterator[Library]:
        model = replace(colour_matcher(), image_encoder=encoder or Counted())
        with Library.open(self.path, model=model) as library:
            yield library

    def __call__(
        self,
        *folders: Path,
        encoder: Counted | None = None,
        prune: bool = False,
        retry: bool = False,
    ) -> IndexResult:
        self.skipped.clear()
        self.progress.clear()
        callbacks = IndexCallbacks(
            lambda *call: self.progress.append(call),
            lambda path, reason: self.skipped.append((path.name, reason)),
        )
        with self.library(encoder) as library:
            return library.index(
                folders or [self.folder], prune=prune, retry=retry, callbacks=callbacks
            )

    def names(self) -> set[str]:
        """What searches can find."""
        store = open_store(self.path)
        found = store.present(engine(store).scan().photos.tolist())
        store.close()
        return {path.name for paths in found.values() for path in paths}

    def problems(self) -> dict[str, str]:
        with self.library() as library:
            return {problem.path.name: problem.reason for problem in library.problems()}

    def check(self) -> None:
        store = open_store(self.path)
        assert store.check() == []
        store.close()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    folder = tmp_path / "photos"
    folder.mkdir()
    return Run(tmp_path / "library.kadr", folder)


def photos(folder: Path, count: int, start: int = 0) -> list[Path]:
    return [paint(folder / f"{n:04}.png", n) for n in range(start, start + count)]


def spoil(path: Path) -> None:
    path.write_bytes(b"no photo " + path.name.encode())


def fresh(run: Run, name: str = "fresh.kadr") -> Content:
    """What a library made at once of the folder holds."""
    other = Run(run.path.with_name(name), run.folder)
    other()
    found = content(other.path)
    for file in other.path.parent.glob(name + "*"):
        file.unlink()
    return found


class TestCounts:
    def test_every_file_is_counted_once(self, run: Run) -> None:
        files = photos(run.folder, 40)
        assert run() == IndexResult(files=40, encoded=40)
        assert run.progress[0] == (0, 0, 40)
        assert run.progress[-1] == (40, 0, 40)
        assert run.progress == sorted(run.progress)
        assert run() == IndexResult(files=40, unchanged=40)
        for path in files[:5]:
            path.rename(path.with_name("renamed-" + path.name))
        for path in files[5:8]:
            shutil.copy2(path, path.with_name("copy-" + path.name))
        for seed, path in enumerate(files[8:12], start=500):
            paint(path, seed)
        for path in files[12:18]:
            path.unlink()
        for path in files[18:20]:
            spoil(path)
        photos(run.folder, 7, start=100)
        encoder = Counted()
        outcome = run(encoder=encoder)
        assert outcome == IndexResult(
            files=44, unchanged=23, encoded=11, known=8, skipped=2, gone=11
        )
        assert encoder.encoded == 11
        assert encoder.prepared == 11
        assert sorted(name for name, _ in run.skipped) == ["0018.png", "0019.png"]
        assert run.progress[-1] == (44, 2, 44)
        assert run() == IndexResult(files=44, unchanged=42, skipped=2)
        run.check()
        assert len(run.names()) == 42

    def test_a_broken_file_and_its_copies_are_all_skipped(self, run: Run) -> None:
        spoil(run.folder / "a.jpg")
        shutil.copy2(run.folder / "a.jpg", run.folder / "b.jpg")
        assert run() == IndexResult(files=2, skipped=2)
        assert [name for name, _ in run.skipped] == ["a.jpg", "b.jpg"]
        shutil.copy2(run.folder / "a.jpg", run.folder / "c.jpg")
        assert run() == IndexResult(files=3, skipped=3)
        assert [name for name, _ in run.skipped] == ["c.jpg"]
        assert run.problems().keys() == {"a.jpg", "b.jpg", "c.jpg"}

    def test_equal_files_are_encoded_once(self, run: Run) -> None:
        for name in ("a.png", "b.png", "c.jpg"):
            paint(run.folder / name, 1)
        assert run() == IndexResult(files=3, encoded=1, known=2)
        assert run.names() == {"a.png", "b.png", "c.jpg"}

    def test_files_that_pass_their_names_on_cost_nothing(self, run: Run) -> None:
        """As a camera's numbering that moves on by one: each content's old name is overwritten."""
        count = ingest.PASSED + 40
        files = photos(run.folder, count)
        run()
        before = content(run.path).scan
        for old, new in zip(files[::-1], [run.folder / "last.png", *files[:0:-1]], strict=True):
            old.rename(new)
        paint(files[0], 9999)
        encoder = Counted()
        outcome = run(encoder=encoder)
        assert outcome == IndexResult(files=count + 1, encoded=1, known=count)
        assert encoder.prepared == 1
        run.check()
        assert run() == IndexResult(files=count + 1, unchanged=count + 1)
        assert before.keys() < content(run.path).scan.keys()

    def test_several_folders_are_added_up(self, run: Run, tmp_path: Path) -> None:
        photos(run.folder, 3)
        photos(tmp_path / "other", 4, start=10)
        outcome = run(run.folder, tmp_path / "other")
        assert outcome == IndexResult(files=7, encoded=7)
        with run.library() as library:
            assert library.index() == IndexResult(files=7, unchanged=7)

    def test_beside_a_folder_nothing_is_touched(self, run: Run) -> None:
        photos(run.folder / "a", 3)
        photos(run.folder / "b", 3, start=10)
        run()
        for name in ("a", "b"):
            (run.folder / name / ("0000.png" if name == "a" else "0010.png")).unlink()
        assert run(run.folder / "a") == IndexResult(files=2, unchanged=2, gone=1)
        store = open_store(run.path)
        assert store.totals().missing == 1
        store.close()


class TestNothingNew:
    def test_no_file_is_read(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        photos(run.folder, 5)
        spoil(run.folder / "bad.jpg")
        run()
        monkeypatch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("read a known file"))
        monkeypatch.setattr(images, "read", lambda *_: pytest.fail("decoded a known file"))
        assert run() == IndexResult(files=6, unchanged=5, skipped=1)

    def test_a_rename_and_a_copy_decode_nothing(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, second, *_ = photos(run.folder, 3)
        run()
        (run.folder / "deep").mkdir()
        first.rename(run.folder / "deep" / "moved.jpg")
        shutil.copy(second, run.folder / "copy.png")
        monkeypatch.setattr(images, "read", lambda *_: pytest.fail("decoded a known content"))
        assert run() == IndexResult(files=4, unchanged=2, known=2, gone=1)
        assert run.names() == {"moved.jpg", "copy.png", "0001.png", "0002.png"}

    def test_a_touched_file_is_hashed_alone(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (path,) = photos(run.folder, 1)
        run()
        os.utime(path, ns=(5, 5))
        monkeypatch.setattr(images, "read", lambda *_: pytest.fail("decoded a known content"))
        assert run() == IndexResult(files=1, known=1)
        assert run() == IndexResult(files=1, unchanged=1)


class TestGone:
    def test_deleted_files_leave_the_answers_and_come_back(self, run: Run) -> None:
        files = photos(run.folder, 4)
        run()
        with run.library() as library:
            assert len(library.search("red").hits) == 4
            raw = files[1].read_bytes()
            status = files[1].stat()
            files[1].unlink()
            assert len(library.search("red").hits) == 3, "at once, without an index"
        assert run() == IndexResult(files=3, unchanged=3, gone=1)
        assert run() == IndexResult(files=3, unchanged=3)
        assert files[1].name not in run.names()
        files[1].write_bytes(raw)
        os.utime(files[1], ns=(status.st_atime_ns, status.st_mtime_ns))
        encoder = Counted()
        assert run(encoder=encoder) == IndexResult(files=4, unchanged=4)
        assert encoder.prepared == 0
        assert files[1].name in run.names()

    def test_pruning_forgets_them(self, run: Run) -> None:
        files = photos(run.folder, 4)
        run()
        files[0].unlink()
        assert run(prune=True) == IndexResult(files=3, unchanged=3, gone=1, pruned=1)
        with run.library() as library:
            assert (library.totals().photos, library.totals().missing) == (3, 0)
        run.check()

    def test_an_absent_root_keeps_the_library(self, run: Run, tmp_path: Path) -> None:
        photos(run.folder, 3)
        run()
        away = run.folder.rename(tmp_path / "away")
        with run.library() as library:
            for _ in range(2):
                assert library.index(prune=True) == IndexResult(absent=(run.folder,))
            assert library.totals().photos == 3
            assert library.search("red").hits == ()
            assert library.index([run.folder]) == IndexResult(absent=(run.folder,))
            with pytest.raises(DataError, match="no such folder"):
                library.index([tmp_path / "none"])
        away.rename(run.folder)
        assert run() == IndexResult(files=3, unchanged=3)
        assert len(run.names()) == 3

    def test_an_emptied_root_keeps_the_library_however_often(self, run: Run) -> None:
        """As a disk's mount point looks like when the disk isn't there."""
        files = photos(run.folder, 3)
        run()
        kept = [(path, path.read_bytes(), path.stat().st_mtime_ns) for path in files]
        for path in files:
            path.unlink()
        assert run() == IndexResult(gone=3)
        for _ in range(2):
            assert run(prune=True) == IndexResult(absent=(run.folder,))
        assert run.names() == set()
        for path, raw, modified in kept:
            path.write_bytes(raw)
            os.utime(path, ns=(modified, modified))
        encoder = Counted()
        assert run(encoder=encoder) == IndexResult(files=3, unchanged=3)
        assert encoder.prepared == 0

    def test_an_empty_folder_is_no_trouble(self, run: Run) -> None:
        assert run(prune=True) == IndexResult()

    def test_a_subfolder_that_can_t_be_read_keeps_what_was_known(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        photos(run.folder / "shut", 3)
        photos(run.folder / "shutter", 1, start=20)
        photos(run.folder / "open", 2, start=10)
        run()
        (run.folder / "open" / "0010.png").unlink()
        (run.folder / "shutter" / "0020.png").unlink()
        real = os.scandir

        def scandir(path: str) -> object:
            if Path(path).name == "shut":
                raise PermissionError(13, "Permission denied", path)
            return real(path)

        monkeypatch.setattr(os, "scandir", scandir)
        assert run(prune=True) == IndexResult(files=1, unchanged=1, gone=2, pruned=2)
        assert run.skipped == [("shut", "Permission denied")]
        monkeypatch.undo()
        assert run() == IndexResult(files=4, unchanged=4)

    def test_a_shut_folder_stops_no_search(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        photos(run.folder / "shut", 2)
        photos(run.folder / "open", 2, start=10)
        run()
        real = os.stat

        def stat(path: str | Path, **options: bool) -> os.stat_result:
            if "/shut/" in os.fspath(path):
                raise PermissionError(13, "Permission denied", path)
            return real(path, **options)

        with run.library() as library:
            monkeypatch.setattr(os, "stat", stat)
            hits = library.search("red").hits
        monkeypatch.undo()
        assert {hit.image.path.parent.name for hit in hits} == {"open"}


class TestProblems:
    def test_they_are_listed_and_not_read_again(self, run: Run) -> None:
        photos(run.folder, 1)
        (run.folder / "empty.jpg").touch()
        spoil(run.folder / "bad.jpg")
        (run.folder / "nowhere.jpg").symlink_to(run.folder / "none")
        assert run() == IndexResult(files=4, encoded=1, skipped=3)
        assert dict(run.skipped) == run.problems()
        assert run.problems().keys() == {"empty.jpg", "bad.jpg", "nowhere.jpg"}
        assert "empty" in run.problems()["empty.jpg"]
        assert "No such file" in run.problems()["nowhere.jpg"]
        assert run() == IndexResult(files=4, unchanged=1, skipped=3)
        run.check()

    def test_retry_reads_them_again(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        photos(run.folder, 3)
        spoil(run.folder / "bad.jpg")

        def fail(path: Path, size: int) -> tuple[Image.Image, PhotoFacts]:
            raise ImageError("no decoder for this")

        monkeypatch.setattr(images, "read", fail)
        assert run() == IndexResult(files=4, skipped=4)
        monkeypatch.undo()
        assert run() == IndexResult(files=4, skipped=4), "only where asked"
        assert run(retry=True) == IndexResult(files=4, encoded=3, skipped=1)
        assert run.problems().keys() == {"bad.jpg"}
        assert "not a readable photo" in run.problems()["bad.jpg"]
        assert run(retry=True) == IndexResult(files=4, unchanged=3, skipped=1)
        run.check()

    def test_a_mended_file_is_found(self, run: Run) -> None:
        spoil(run.folder / "a.png")
        run()
        paint(run.folder / "a.png", 1)
        assert run() == IndexResult(files=1, encoded=1)
        assert run.problems() == {}
        assert run.names() == {"a.png"}
        run.check()

    def test_a_file_that_becomes_broken_leaves_the_answers(self, run: Run) -> None:
        (path,) = photos(run.folder, 1)
        run()
        spoil(path)
        assert run() == IndexResult(files=1, skipped=1)
        assert run.names() == set()
        with run.library() as library:
            assert library.totals().photos == 0
        run.check()

    def test_a_file_that_changes_while_it_is_read_is_read_the_next_time(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path, *_ = photos(run.folder, 3)
        real = images.read

        def read(photo: Path, size: int) -> tuple[Image.Image, PhotoFacts]:
            if photo == path:
                paint(path, 77)
                os.utime(path, ns=(77, 77))
            return real(photo, size)

        monkeypatch.setattr(images, "read", read)
        assert run() == IndexResult(files=3, encoded=2, skipped=1)
        assert run.skipped == [("0000.png", "changed while it was being read")]
        assert run.names() == {"0001.png", "0002.png"}
        run.check()
        monkeypatch.undo()
        assert run() == IndexResult(files=3, unchanged=2, encoded=1)
        assert_same(content(run.path), fresh(run))

    def test_a_file_that_vanishes_is_told(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        path, *_ = photos(run.folder, 2)
        real = images.read

        def read(photo: Path, size: int) -> tuple[Image.Image, PhotoFacts]:
            path.unlink(missing_ok=True)
            return real(photo, size)

        monkeypatch.setattr(images, "read", read)
        outcome = run()
        assert (outcome.files, outcome.encoded, outcome.skipped) == (2, 1, 1)
        run.check()

    @pytest.mark.parametrize(
        "raw", [b"\xff\xfe.png", b"a\nb.png", "📷 кадр.png".encode(), b" .png"]
    )
    def test_any_name_is_indexed(self, run: Run, raw: bytes) -> None:
        name = os.fsdecode(raw)
        paint(run.folder / name, 1)
        assert run() == IndexResult(files=1, encoded=1)
        assert run.names() == {name}
        assert run() == IndexResult(files=1, unchanged=1)


NAMES = [f"{folder}{n}.png" for folder in ("", "a/", "ab/") for n in range(4)]
NAME, SEED = st.sampled_from(NAMES), st.integers(0, 7)
CHANGES = st.one_of(
    st.tuples(st.just("paint"), NAME, SEED),
    st.tuples(st.just("spoil"), NAME, SEED),
    st.tuples(st.just("delete"), NAME, st.none()),
    st.tuples(st.just("rename"), NAME, NAME),
    st.tuples(st.just("copy"), NAME, NAME),
)


class Folder:
    """A folder under change; each file that is written has a time of its own."""

    def __init__(self, root: Path) -> None:
        self.root, self.clock = root, 10**18
        for name in ("a", "ab"):
            (root / name).mkdir(parents=True)

    def change(self, kind: str, name: str, argument: object) -> None:
        path = self.root / name
        if kind in {"paint", "spoil"}:
            paint(path, int(str(argument))) if kind == "paint" else path.write_bytes(
                str(argument).encode()
            )
            self._stamp(path)
        elif path.exists() and kind == "delete":
            path.unlink()
        elif path.exists() and name != argument:
            other = self.root / str(argument)
            if kind == "rename":
                path.replace(other)
            else:
                shutil.copy(path, other)
                self._stamp(other)

    def _stamp(self, path: Path) -> None:
        self.clock += 10**9
        os.utime(path, ns=(self.clock, self.clock))


@settings(max_examples=25, deadline=None)
@given(rounds=st.lists(st.lists(CHANGES, max_size=10), min_size=1, max_size=3))
def test_step_by_step_or_at_once_is_the_same(
    rounds: list[list[tuple[str, str, object]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = Folder(tmp_path_factory.mktemp("steps") / "photos")
    (folder.root / "never-empty.png").write_bytes(paint(folder.root / "x.png", 99).read_bytes())
    run = Run(folder.root.parent / "library.kadr", folder.root)
    with patch.multiple(ingest, BATCH=2, PASSED=3, QUEUE=4):
        for changes in rounds:
            for change in changes:
                folder.change(*change)
            encoder = Counted()
            outcome = run(encoder=encoder, prune=True)
            assert outcome.encoded == encoder.encoded
            assert outcome.files == (
                outcome.unchanged + outcome.encoded + outcome.known + outcome.skipped
            )
            run.check()
        assert_same(content(run.path), fresh(run))


class TestMemory:
    @given(count=st.integers(0, 40), ahead=st.integers(1, 9))
    @settings(max_examples=25, deadline=None)
    def test_so_many_are_at_work_or_waiting(self, count: int, ahead: int) -> None:
        given_out = 0

        def items() -> Iterator[int]:
            nonlocal given_out
            for number in range(count):
                given_out += 1
                yield number

        with ThreadPoolExecutor(2) as pool:
            for taken, result in enumerate(in_order(pool, lambda n: n, items(), ahead)):
                assert result == taken
                assert given_out - taken <= ahead
        assert given_out == count

    def test_decoded_photos_wait_for_the_model_in_limits(self, run: Run) -> None:
        photos(run.folder, 3 * QUEUE)

        class Slow(Counted):
            def encode(self, images: Sequence[NDArray[np.uint8]]) -> Vectors:
                time.sleep(0.02)
                return super().encode(images)

        encoder = Slow()
        assert run(encoder=encoder) == IndexResult(files=3 * QUEUE, encoded=3 * QUEUE)
        assert encoder.most <= QUEUE + BATCH


class TestInterruption:
    def test_ctrl_c_keeps_what_was_encoded(self, run: Run) -> None:
        photos(run.folder, BATCH * 4)
        with pytest.raises(KeyboardInterrupt):
            run(encoder=Counted(interrupted_at=3))
        run.check()
        assert len(run.names()) == BATCH * 2
        encoder = Counted()
        assert run(encoder=encoder) == IndexResult(
            files=BATCH * 4, unchanged=BATCH * 2, encoded=BATCH * 2
        )
        assert run.progress[0] == (BATCH * 2, 0, BATCH * 4)
        assert_same(content(run.path), fresh(run))

    def test_a_full_disk_keeps_what_was_encoded(
        self, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        photos(run.folder, BATCH * 6)
        whole = Run(tmp_path / "whole.kadr", run.folder)
        open_store(whole.path, create=True).close()
        empty = _pages(whole.path)
        whole()
        most = (empty + _pages(whole.path)) // 2
        monkeypatch.setattr(
            "kadr.stores.sqlite.migrations._SCHEMA", f"PRAGMA max_page_count = {most};\n{_schema()}"
        )
        with pytest.raises(LibraryError, match="disk is full"):
            run()
        monkeypatch.undo()
        run.check()
        kept = len(run.names())
        assert kept % BATCH == 0
        assert 0 < kept < BATCH * 6
        assert run() == IndexResult(files=BATCH * 6, unchanged=kept, encoded=BATCH * 6 - kept)
        assert_same(content(run.path), fresh(run))

    def test_a_kill_at_any_statement_loses_nothing(self, run: Run, tmp_path: Path) -> None:
        """Copies the files at every statement, as a kill would leave them."""
        files = photos(run.folder, 14)
        run()
        for path in files[:3]:
            path.unlink()
        files[3].rename(files[0])
        paint(files[4], 400)
        spoil(files[5])
        photos(run.folder, 5, start=50)
        states = tmp_path / "states"
        with patch.multiple(ingest, BATCH=2, PASSED=3, QUEUE=4), run.library() as library:
            snapshots = _Snapshots(run.path, states)
            engine(library.store)._base.set_trace_callback(snapshots.take)
            library.index(prune=True)
            engine(library.store)._base.set_trace_callback(None)
        assert len(snapshots.seen) >= 6
        snapshots.tear(12)
        expected = fresh(run)
        for state in states.iterdir():
            again = Run(state / run.path.name, run.folder)
            again.check()
            again(prune=True)
            again.check()
            assert_same(content(again.path), expected)


def _pages(path: Path) -> int:
    with closing(sqlite3.connect(path)) as base:
        (count,) = base.execute("PRAGMA page_count").fetchone()
    return int(count)


def _schema() -> str:
    from kadr.stores.sqlite import migrations

    return migrations._SCHEMA.strip()


class _Snapshots:
    """Copies of a library's files, one for each state that they have been in."""

    def __init__(self, path: Path, folder: Path) -> None:
        self.path, self.folder, self.seen = path, folder, set[str]()

    def take(self, _statement: str) -> None:
        files = [self.path, self.path.with_name(self.path.name + "-wal")]
        raw = [(file.name, file.read_bytes()) for file in files if file.exists()]
        key = hashlib.sha256(repr(raw).encode()).hexdigest()
        if key in self.seen:
            return
        self.seen.add(key)
        self._write(f"{len(self.seen):04}", raw)

    def tear(self, count: int) -> None:
        """Adds states as a kill within a write leaves them: the log ends anywhere."""
        random_ = random.Random(0)
        log = self.path.name + "-wal"
        whole = max(self.folder.iterdir(), key=lambda state: (state / log).stat().st_size)
        base, frames = ((whole / name).read_bytes() for name in (self.path.name, log))
        for number in range(count):
            end = random_.randrange(len(frames))
            self._write(f"torn-{number}", [(self.path.name, base), (log, frames[:end])])

    def _write(self, name: str, raw: list[tuple[str, bytes]]) -> None:
        place = self.folder / name
        place.mkdir(parents=True)
        for file, bytes_ in raw:
            (place / file).write_bytes(bytes_)


CHILD = """
import sys, time
from pathlib import Path
from dataclasses import replace
from kadr.matcher import bundle as matcher
from kadr.library.library import Library

library, model, folder, pause, gate = sys.argv[1:]
loaded = matcher.load(Path(model))
encoder = loaded.image_encoder
fast = encoder.encode

words = ["encoding"] * (1 if gate else 8 if float(pause) else 0)

def encode(images):
    if words:
        print(words.pop(), flush=True)
    time.sleep(float(pause))
    while gate and not Path(gate).exists():
        time.sleep(0.01)
    return fast(images)

encoder.encode = encode
print("ready", flush=True)
with Library.open(Path(library), model=loaded) as opened:
    outcome = opened.index([Path(folder)], on_wait=lambda: print("waiting", flush=True))
print(outcome.files, outcome.unchanged, outcome.encoded, flush=True)
"""


class Children:
    """Processes that index slowly."""

    def __init__(self, run: Run, scratch: Path) -> None:
        self.run, self.model = run, matcher.save(colour_matcher(), scratch / "model")
        self.started: list[subprocess.Popen[str]] = []

    def start(self, pause: float = 0.0, gate: Path | None = None) -> subprocess.Popen[str]:
        paths = str(PLUGINS), os.environ.get("PYTHONPATH")
        child = subprocess.Popen(
            [
                *(sys.executable, "-W", "error", "-c", CHILD),
                *(self.run.path, self.model, self.run.folder, str(pause), str(gate or "")),
            ],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        )
        self.started.append(child)
        assert self.says(child) == "ready"
        return child

    @staticmethod
    def says(child: subprocess.Popen[str]) -> str:
        assert child.stdout is not None
        return child.stdout.readline().strip()

    def end(self) -> None:
        for child in self.started:
            child.kill()
            child.wait()
            out: IO[str] | None = child.stdout
            if out is not None:
                out.close()


@pytest.fixture
def children(run: Run, tmp_path: Path) -> Iterator[Children]:
    found = Children(run, tmp_path)
    yield found
    found.end()


def test_a_killed_process_loses_nothing(run: Run, children: Children) -> None:
    photos(run.folder, 40 * BATCH)
    random_ = random.Random(5)
    before = 0
    for number in range(8):
        child = children.start(pause=0.02)
        for _ in range(
            random_.randint(4, 8) if number % 2 else 0
        ):  # batches; the first ones are kept
            assert children.says(child) == "encoding"
        time.sleep(random_.uniform(0, 0.12))
        child.kill()
        child.wait()
        if run.path.exists():
            store = open_store(run.path, create=True)  # it may have been killed before it made it
            assert store.check() == []
            assert store.totals().photos >= before, "what was kept stays"
            before = store.totals().photos
            store.close()
    assert 0 < before < 40 * BATCH, "kills before, while and after encoding"
    outcome = run()
    assert outcome == IndexResult(files=40 * BATCH, unchanged=before, encoded=40 * BATCH - before)
    run.check()
    assert_same(content(run.path), fresh(run))


def test_two_processes_take_turns(run: Run, children: Children, tmp_path: Path) -> None:
    photos(run.folder, 3 * BATCH)
    gate = tmp_path / "gate"
    first = children.start(gate=gate)
    assert children.says(first) == "encoding"
    second = children.start()
    assert children.says(second) == "waiting"
    gate.touch()
    assert children.says(first) == f"{3 * BATCH} 0 {3 * BATCH}"
    assert children.says(second) == f"{3 * BATCH} {3 * BATCH} 0"
    assert (first.wait(20), second.wait(20)) == (0, 0)
    run.check()
    assert_same(content(run.path), fresh(run))


class TestOddValues:
    @pytest.mark.parametrize("seconds", [-11644473600, -(2**40), 2**40, 10413792000])
    def test_any_time_of_change_is_as_good_as_another(
        self, run: Run, monkeypatch: pytest.MonkeyPatch, seconds: int
    ) -> None:
        """Most file systems here don't keep such a time, so it is told for them."""
        photos(run.folder, 3)
        stamp = files.stamp

        def odd(status: os.stat_result) -> tuple[int, int]:
            class Status:
                st_size, st_mtime_ns = status.st_size, seconds * 10**9

            return stamp(Status())  # type: ignore[arg-type]

        monkeypatch.setattr(files, "stamp", odd)
        assert run() == IndexResult(files=3, encoded=3)
        assert run() == IndexResult(files=3, unchanged=3)
        assert len(run.names()) == 3

    def test_what_can_t_be_stored_is_skipped_alone(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        photos(run.folder, 5)
        real = images.read

        def read(path: Path, size: int) -> tuple[Image.Image, PhotoFacts]:
            photo, facts = real(path, size)
            return photo, replace(facts, camera="\udcff") if path.name == "0002.png" else facts

        monkeypatch.setattr(images, "read", read)
        assert run() == IndexResult(files=5, encoded=4, skipped=1)
        assert "can't be stored" in run.problems()["0002.png"]
        monkeypatch.undo()
        assert run() == IndexResult(files=5, unchanged=4, encoded=1)

    def test_one_that_breaks_the_encoder_is_skipped_alone(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        photos(run.folder, 3)
        calls = iter([ValueError("odd"), None, None])

        def fail(_photo: Image.Image) -> int:
            error = next(calls)
            if error:
                raise error
            return 0

        monkeypatch.setattr(hashes, "perceptual_hash", fail)
        assert run() == IndexResult(files=3, encoded=2, skipped=1)

    def test_pipes_and_sockets_are_listed_and_never_opened(self, run: Run) -> None:
        os.mkfifo(run.folder / "pipe.jpg")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(run.folder / "s.jpg"))
            photos(run.folder, 1)
            assert run() == IndexResult(files=3, encoded=1, skipped=2)
        assert run.problems().keys() == {"pipe.jpg", "s.jpg"}

    def test_a_root_that_can_t_be_read_ends_nothing(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shut, real = run.folder / "shut", os.scandir
        photos(shut, 2)
        photos(tmp_path / "open", 1, start=9)
        run(shut)

        def scandir(path: str) -> object:
            if Path(path) == shut:
                raise PermissionError(13, "Permission denied")
            return real(path)

        monkeypatch.setattr(os, "scandir", scandir)
        assert run(shut, tmp_path / "open") == IndexResult(files=1, encoded=1, absent=(shut,))
        assert len(run.names()) == 3


class TestLeftOut:
    def test_it_is_counted_and_leaves_the_answers(self, run: Run) -> None:
        photos(run.folder, 2)
        photos(run.folder / "drafts", 2, start=5)
        (run.folder / "a.MXF").touch()
        assert run() == IndexResult(files=4, encoded=4, unsupported={"MXF": 1})
        with run.library() as library:
            library.exclude(run.folder, ["drafts/"])
            assert library.index() == IndexResult(
                files=2, unchanged=2, gone=2, ignored={"--exclude": 1}, unsupported={"MXF": 1}
            )
            left_out = {entry.path.name: entry.reason for entry in library.ignored()}
            assert left_out == {"drafts": "--exclude", "a.MXF": "MXF"}
            assert library.index([run.folder / "drafts"]).files == 0
            library.exclude(run.folder, [])
            assert library.index().unchanged == 4
            library.exclude(run.folder, ["drafts/"])
            library.remove(run.folder)
            assert library.excluded == {}


class TestReread:
    def test_facts_are_read_again_and_nothing_is_encoded(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        paths = photos(run.folder, 3)
        shutil.copy(paths[0], run.folder / "copy.png")
        spoil(run.folder / "broken.jpg")
        run()
        real = images.read

        def read(path: Path, size: int) -> tuple[Image.Image, PhotoFacts]:
            photo, facts = real(path, size)
            return photo, replace(facts, taken="2016-01-02T03:04:05")

        monkeypatch.setattr(images, "read", read)
        encoder = Counted()
        with run.library(encoder) as library:
            before = library.totals().photos
            assert library.index(reread=True) == IndexResult(files=5, reread=4, skipped=1)
            assert library.totals().photos == before
            assert {taken for *_, taken in library.store.choices()} == {"2016-01-02T03:04:05"}
        assert encoder.encoded == 0
        run.check()


def test_a_folder_in_the_other_form_of_unicode_is_the_same(run: Run) -> None:
    composed = run.folder / unicodedata.normalize("NFC", "йод")
    photos(composed, 2)
    other = run.folder / unicodedata.normalize("NFD", "йод")
    assert run(other) == IndexResult(files=2, encoded=2)
    with run.library() as library:
        assert library.folders == (composed,)
        assert library.remove(other) == 2
