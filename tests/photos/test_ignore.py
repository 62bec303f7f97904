"""One rule says what is left out below a folder: for a walk, and for a single path."""

import os
import unicodedata
from pathlib import Path

import pytest

from kadr.errors import DataError
from kadr.photos import folders
from kadr.photos.ignore import Rules, compiled


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def walked(root: Path, *patterns: str) -> dict[str, tuple[str, str]]:
    """What a walk says of each path; and a single path is judged the same."""
    rules = Rules(root, {root: patterns} if patterns else None)
    entries = list(folders.walk(root, rules))
    for entry in entries:
        assert bool(rules.excludes(entry.path)) == (entry.met == "ignored"), entry
    return {one.path.relative_to(root).as_posix(): (one.met, one.reason) for one in entries}


def photos(root: Path, *patterns: str) -> list[str]:
    return sorted(name for name, (met, _) in walked(root, *patterns).items() if met == "photo")


@pytest.mark.parametrize(
    "folder",
    [
        *("@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found"),
        *("__MACOSX", ".Trash-1000", ".thumbnails", ".Spotlight-V100", "a.lrdata", "@Recycle"),
        *("X.photoslibrary/resources", "iPhoto Library/Previews"),
    ],
)
def test_system_folders_are_left_out(tmp_path: Path, folder: str) -> None:
    touch(tmp_path, "a.jpg", f"{folder}/b.jpg", f"in/{folder}/deep/c.jpg")
    assert photos(tmp_path) == ["a.jpg"]


def test_originals_in_a_library_of_photos_are_taken_in(tmp_path: Path) -> None:
    touch(tmp_path, "X.photoslibrary/originals/1/a.jpg", "iPhoto Library/Masters/b.jpg")
    assert len(photos(tmp_path)) == 2


def test_a_mark_leaves_out_its_folder_but_not_the_one_that_was_named(tmp_path: Path) -> None:
    touch(tmp_path, "private/.nomedia", "private/in/a.jpg", "b.jpg", "private/c.jpg")
    assert walked(tmp_path) == {"b.jpg": ("photo", ""), "private": ("ignored", ".nomedia")}
    assert photos(tmp_path / "private") == ["c.jpg", "in/a.jpg"]
    (tmp_path / ".kadrignore").write_text("!.nomedia\n")
    assert photos(tmp_path) == ["b.jpg", "private/c.jpg", "private/in/a.jpg"]


def test_patterns_follow_git(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "keep.png", "drafts/a.jpg", "in/drafts/b.jpg", "in/c.png", ".h/d.jpg")
    (tmp_path / ".kadrignore").write_text("# no drafts\n*.png\n!keep.png\n/drafts/\n")
    (tmp_path / "in" / ".kadrignore").write_bytes(b"\xef\xbb\xbf!c.png\r\n")
    assert photos(tmp_path) == ["in/c.png", "in/drafts/b.jpg", "keep.png"]
    assert photos(tmp_path, "!.h/", "in/") == [".h/d.jpg", "keep.png"]
    assert walked(tmp_path, "in/")["in"] == ("ignored", "--exclude")
    assert walked(tmp_path)["drafts"] == ("ignored", ".kadrignore")


def test_patterns_are_compared_in_one_form_of_unicode(tmp_path: Path) -> None:
    touch(tmp_path, unicodedata.normalize("NFD", "й") + ".jpg", "b.jpg")
    assert photos(tmp_path, "й.jpg") == ["b.jpg"]


def test_a_link_to_a_folder_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "far/b.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "far")
    (tmp_path / "loop").symlink_to(tmp_path)
    found = walked(tmp_path)
    assert found["link"] == found["loop"] == ("ignored", "link to a folder")
    assert photos(tmp_path) == ["a.jpg", "far/b.jpg"]


def test_what_is_not_supported_is_told_by_format(tmp_path: Path) -> None:
    touch(tmp_path, "a.psd", "b.mxf", "c.txt", ".d.mxf")
    assert walked(tmp_path) == {"a.psd": ("unsupported", "PSD"), "b.mxf": ("unsupported", "MXF")}


@pytest.mark.parametrize("pattern", ["!", "a*b*c*d*e*f*g", "**/a/**/b/**/c/**/d/**/e/**"])
def test_a_pattern_that_means_nothing_or_takes_long_is_an_error(
    tmp_path: Path, pattern: str
) -> None:
    with pytest.raises(DataError):
        compiled([pattern])
    touch(tmp_path, "a.jpg", "b.png")
    (tmp_path / ".kadrignore").write_text(f"{pattern}\n*.png\n")
    rules = Rules(tmp_path)
    assert [entry.met for entry in folders.walk(tmp_path, rules)] == ["photo", "ignored"]
    assert [path.name for path, _ in rules.problems] == [".kadrignore"]


def test_a_file_of_patterns_that_can_t_be_read_shuts_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a.jpg", "in/b.jpg", "in/.kadrignore")
    real = os.stat

    def stat(path: str, **options: bool) -> os.stat_result:
        if str(path).endswith(".kadrignore"):
            raise PermissionError(13, "Permission denied")
        return real(path, **options)

    monkeypatch.setattr(os, "stat", stat)
    found = {one.path.name: one.met for one in folders.walk(tmp_path, Rules(tmp_path))}
    assert found == {"a.jpg": "photo", "in": "unreadable"}
