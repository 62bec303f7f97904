"""Photos that show the same, whatever was done to them; and others that don't."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageEnhance

from kadr.data import drawn as scenes
from kadr.library.duplicates import Group
from kadr.library.library import Library
from kadr.stores import open_store
from libraries import engine

COUNT = 12


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """Drawn scenes 0 to 11; of the first four there are other versions. Indexed by mini."""
    scratch = tmp_path_factory.mktemp("duplicates")
    scenes.generate(scratch / "archive", images=COUNT, seed=6)
    drawn = sorted((scratch / "archive").rglob("*.jpg"), key=lambda path: path.name)
    folder = scratch / "photos"
    folder.mkdir()
    for number, path in enumerate(drawn):
        shutil.copy(path, folder / f"{number:02}.jpg")
    shutil.copy(drawn[0], folder / "00-copy.jpg")
    for number, change in (
        (1, lambda photo: photo.resize((200, 150))),
        (1, lambda photo: photo.resize((800, 600), Image.Resampling.BICUBIC)),
        (2, lambda photo: photo),
        (3, lambda photo: ImageEnhance.Brightness(photo).enhance(1.08)),
    ):
        with Image.open(drawn[number]) as photo:
            changed = change(photo.convert("RGB"))
            name = f"{number:02}-{changed.width}.jpg"
            changed.save(folder / name, quality=55 if number == 2 else 90)
    shutil.copy(folder / "02-400.jpg", folder / "02-copy.jpg")
    with Library.open(scratch / "library.kadr") as opened:
        opened.index([folder])
        yield opened


def names(groups: list[Group]) -> list[list[str]]:
    return [[path.name for photo in group.photos for path in photo.paths] for group in groups]


def test_versions_are_grouped_the_one_to_keep_first_and_others_stay_apart(library: Library) -> None:
    calls: list[tuple[int, int]] = []
    found = names(library.duplicates(lambda *call: calls.append(call)))
    assert found == [
        ["01-800.jpg", "01.jpg", "01-200.jpg"],
        ["02.jpg", "02-400.jpg", "02-copy.jpg"],
        ["03-400.jpg", "03.jpg"],
        ["00.jpg", "00-copy.jpg"],
    ]
    assert calls == [(COUNT + 4, COUNT + 4)]


def test_nothing_is_changed_on_disk(library: Library) -> None:
    (folder,) = library.folders
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    library.duplicates()
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert len(before) == COUNT + 6


def test_missing_files_are_in_no_group(library: Library, tmp_path: Path) -> None:
    (folder,) = library.folders
    gone = [folder / name for name in ("00-copy.jpg", "01-800.jpg", "03.jpg")]
    for path in gone:
        path.rename(tmp_path / path.name)
    try:
        library.index()
        assert names(library.duplicates()) == [
            ["01.jpg", "01-200.jpg"],
            ["02.jpg", "02-400.jpg", "02-copy.jpg"],
        ] or names(library.duplicates()) == [
            ["02.jpg", "02-400.jpg", "02-copy.jpg"],
            ["01.jpg", "01-200.jpg"],
        ]
    finally:
        for path in gone:
            (tmp_path / path.name).rename(path)
        library.index()


def test_where_all_files_are_missing_there_is_none(library: Library) -> None:
    store = library._store
    paths = [bytes(path) for path, *_ in store.contents()]
    store.mark(paths, missing=True)
    assert library.duplicates() == []
    store.mark(paths, missing=False)


def test_another_process_may_forget_photos_meanwhile(library: Library) -> None:
    expected = names(library.duplicates())
    other = open_store(library.path)
    first = next(path for path, *_ in other.contents())

    def write(statement: str) -> None:
        if "FROM vectors" in statement:
            engine(library.store)._base.set_trace_callback(None)
            other.mark([bytes(first)], missing=True)
            other.prune()

    engine(library.store)._base.set_trace_callback(write)
    assert names(library.duplicates()) == expected
    other.close()
    library.index()
    assert names(library.duplicates()) == expected


def test_an_empty_library_has_none(tmp_path: Path) -> None:
    with Library.open(tmp_path / "empty.kadr") as empty:
        assert empty.duplicates() == []


def test_one_photo_has_none_and_its_copy_is_one(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.new("RGB", (64, 48), (200, 30, 30)).save(folder / "a.png")
    with Library.open(tmp_path / "l.kadr") as one:
        one.index([folder])
        assert one.duplicates() == []
        shutil.copy(folder / "a.png", folder / "b.png")
        one.index()
        assert names(one.duplicates()) == [["a.png", "b.png"]]


def test_links_to_a_file_are_no_copies_of_it(tmp_path: Path) -> None:
    """Whoever deletes all but the first would else keep a link to nothing."""
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.effect_noise((64, 48), 80).convert("RGB").save(photos / "m.png")
    (photos / "a-link.png").symlink_to("m.png")
    (photos / "z-hard.png").hardlink_to(photos / "m.png")
    with Library.open(tmp_path / "library.kadr") as library:
        library.index([photos])
        assert library.duplicates() == []
        shutil.copy(photos / "m.png", photos / "zz-copy.png")
        library.index()
        (group,) = library.duplicates()
    assert [path.name for photo in group.photos for path in photo.paths] == ["m.png", "zz-copy.png"]
