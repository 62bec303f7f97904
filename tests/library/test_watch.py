"""Folders that are watched: they go, come back and are made again, and nothing else is looked at."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kadr.library import watch as watching
from kadr.photos.ignore import Rules


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "POLL", 0.05)
    monkeypatch.setattr(watching, "QUIET", 50)


class Watch:
    """Folders under watch, and what was reported; `tick` has a photo that changes all the time."""

    def __init__(self, *folders: Path, tick: Path | None = None) -> None:
        self.reported: list[str] = []
        self.end = threading.Event()
        self.ticking = threading.Thread(target=self._tick, args=(tick or folders[0],), daemon=True)
        library = folders[0].parent / "library.kadr"
        self.lists: Iterator[list[Path]] = watching.watch(
            folders, library, Rules, self.reported.append
        )
        assert next(self.lists) == []
        self.ticking.start()

    def _tick(self, folder: Path) -> None:
        while not self.end.wait(0.02):
            if folder.is_dir():
                (folder / "tick.jpg").touch()

    def until(self, folder: Path) -> None:
        """Wait until a folder is to be indexed again."""
        while folder not in next(self.lists):
            pass

    def close(self) -> None:
        self.end.set()
        self.ticking.join()


def folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def test_a_folder_that_is_renamed_and_made_again_is_watched_again(tmp_path: Path) -> None:
    photos, other = folder(tmp_path / "photos"), folder(tmp_path / "other")
    with closing(Watch(photos, other, tick=other)) as watch:
        photos.rename(tmp_path / "aside")
        while not watch.reported:
            watch.until(other)
        assert f"{photos} isn't there any more" in watch.reported[0]
        folder(photos)
        watch.until(photos)
        (photos / "b.jpg").touch()
        watch.until(photos)


def test_a_folder_that_is_missing_is_waited_for(tmp_path: Path) -> None:
    there, missing = folder(tmp_path / "there"), tmp_path / "missing"
    with closing(Watch(there, missing)) as watch:
        watch.until(there)
        folder(missing)
        watch.until(missing)


def test_where_no_folder_is_there_it_waits_too(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    with closing(Watch(missing)) as watch:
        folder(missing)
        watch.until(missing)


def test_a_system_that_reports_nothing_is_looked_at_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_folders: Path, **_options: object) -> Iterator[set[object]]:
        raise OSError("limit reached")

    monkeypatch.setattr("watchfiles.watch", fail)
    monkeypatch.setattr(watching, "RESCAN", 0)
    photos = folder(tmp_path / "photos")
    reported: list[str] = []
    lists = watching.watch([photos], tmp_path / "library.kadr", Rules, reported.append)
    assert [next(lists), next(lists)] == [[photos], [photos]]
    assert len(reported) == 1


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (".Trash/a.jpg", []), ("@eaDir/a.jpg", []), ("link/a.jpg", []), ("a.txt", []),
        ("private/a.jpg", []), ("library.kadr-wal", []), ("own/a.jpg", ["own"]), ("a.jpg", ["."]),
        ("gone/deep/a.jpg", ["."]), ("own/.kadrignore", ["own"]), ("private/.nomedia", ["."]),
    ],
)  # fmt: skip
def test_changes_count_where_a_walk_would_go(
    tmp_path: Path, changed: str, expected: list[str]
) -> None:
    for name in (".Trash", "@eaDir", "far", "own", "private"):
        folder(tmp_path / name)
    (tmp_path / "private" / ".nomedia").touch()
    (tmp_path / "link").symlink_to(tmp_path / "far")
    for name in ("a.txt", "library.kadr-wal"):
        (tmp_path / name).touch()
    found = watching._touched([tmp_path / changed], [tmp_path], tmp_path / "library.kadr", Rules)
    assert found == [tmp_path / name for name in expected]
