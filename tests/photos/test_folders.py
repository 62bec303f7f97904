"""Scanning folders, and naming what is in them by path and content."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kadr.errors import DataError
from kadr.photos import files, folders
from kadr.types import ImageFile, Skipped


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def scanned(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in folders.scan(root)]


def test_scan_finds_photos_in_a_stable_order(tmp_path: Path) -> None:
    names = [
        "b.JPG",
        "a.jpeg",
        "z/y/c.png",
        "собака.webp",
        "🐕.gif",
        "new\nline.bmp",
        "e\u0301.tif",
    ]
    touch(tmp_path, *names, "notes.txt", "jpg", ".jpg", ".hidden.png", ".git/d.png", "z/.t/e.jpg")
    found = scanned(tmp_path)
    assert sorted(found) == sorted(names)
    assert found == scanned(tmp_path)
    assert found[-1] == "z/y/c.png"


def test_scan_ends_where_links_loop(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.jpg")
    (tmp_path / "in" / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "self.jpg").symlink_to(tmp_path / "self.jpg")
    assert scanned(tmp_path) == ["self.jpg", "in/a.jpg"]
    assert isinstance(files.identify(tmp_path / "self.jpg", tmp_path), Skipped)


def test_scan_finds_names_that_are_no_text(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\xfe.jpg")
    try:
        touch(tmp_path, name)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert scanned(tmp_path) == [name]
    identified = files.identify(tmp_path / name, tmp_path)
    assert isinstance(identified, ImageFile)
    assert identified.id == name


def test_scan_goes_as_deep_as_folders_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(1100):  # deeper than Python recurses
        Path("d").mkdir()
        os.chdir("d")
    Path("a.jpg").write_bytes(b"x")
    os.chdir(tmp_path)
    assert [len(path.parts) for path in folders.scan(Path())] == [1101]
    while Path("d").is_dir():  # shutil.rmtree() recurses, and would fail here after the test
        os.chdir("d")
    Path("a.jpg").unlink()
    while not Path.cwd().samefile(tmp_path):
        os.chdir("..")
        Path("d").rmdir()


def test_scan_takes_no_folder_for_a_photo(tmp_path: Path) -> None:
    touch(tmp_path, "folder.jpg/a.jpg")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "folder.jpg", target_is_directory=True)
    assert scanned(tmp_path) == ["folder.jpg/a.jpg"]


def test_scan_of_no_folder_says_so(tmp_path: Path) -> None:
    touch(tmp_path, "file.jpg")
    for path, what in ((tmp_path / "none", "no such folder"), (tmp_path / "file.jpg", "a file")):
        with pytest.raises(DataError, match=what):
            list(folders.scan(path))


def test_unreadable_root_is_an_error_and_unreadable_child_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "open/a.jpg", "shut/b.jpg")
    real, shut = os.scandir, tmp_path / "shut"

    def scandir(path: str) -> Iterator[os.DirEntry[str]]:
        if os.fspath(path) == os.fspath(shut):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)  # chmod doesn't stop root, whom CI may be
    told: list[tuple[Path, str]] = []
    found = list(folders.scan(tmp_path, lambda path, reason: told.append((path, reason))))
    assert found == [tmp_path / "open" / "a.jpg"]
    assert told == [(shut, "Permission denied")]
    assert scanned(tmp_path) == ["open/a.jpg"]
    with pytest.raises(DataError, match="Check its permissions"):
        list(folders.scan(shut))


def test_identify_names_by_path_and_digests_by_content(tmp_path: Path) -> None:
    touch(tmp_path, "one/a.jpg", "two/b.jpg")
    one, two = (files.identify(path, tmp_path) for path in folders.scan(tmp_path))
    assert isinstance(one, ImageFile)
    assert isinstance(two, ImageFile)
    assert (one.id, two.id) == ("one/a.jpg", "two/b.jpg")
    assert (
        one.digest
        == two.digest
        == "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    )


def test_identify_says_why_not(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")  # opening it would wait for ever
    for name in ("pipe.jpg", "gone.jpg"):
        skipped = files.identify(tmp_path / name, tmp_path)
        assert isinstance(skipped, Skipped)
        assert skipped.reason
