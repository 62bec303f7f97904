"""Photos that show the same, whatever was done to them; and others that don't."""

import shutil
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from kadr.data import drawn as scenes
from kadr.errors import LibraryError
from kadr.library import duplicates
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
    other = open_store(library.name)
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


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


@pytest.fixture(scope="module")
def scene(library: Library) -> Image.Image:
    (folder,) = library.folders
    with Image.open(folder / "05.jpg") as photo:
        return photo.convert("RGB")


def indexed(folder: Path) -> list[Group]:
    with Library.open(folder.parent / "library.kadr") as library:
        library.index([folder])
        return library.duplicates()


def camera(model: str = "", taken: str = "") -> Image.Exif:
    exif = Image.Exif()
    exif[272] = model
    if taken:
        exif.get_ifd(0x8769)[36867] = taken
    return exif


def spare(groups: list[Group]) -> list[str]:
    return [path.name for group in groups for path in group.spare]


def test_what_the_camera_wrote_is_kept(photos: Path, scene: Image.Image) -> None:
    scene.save(photos / "IMG_1.jpg", quality=60, exif=camera("Pixel", "2024:05:06 07:08:09"))
    scene.save(photos / "A (1).jpg", quality=97)
    scene.resize((200, 150)).save(photos / "B.png")
    (group,) = found = indexed(photos)
    assert group.photos[0].paths[0].name == "IMG_1.jpg"
    assert sorted(spare(found)) == ["A (1).jpg", "B.png"]


def test_nothing_is_spare_that_has_what_the_kept_one_lacks(
    photos: Path, scene: Image.Image
) -> None:
    scene.resize((200, 150)).save(photos / "small.jpg", exif=camera("Pixel"))
    scene.save(photos / "big.jpg", quality=90)
    found = indexed(photos)
    assert names(found) == [["small.jpg", "big.jpg"]]
    assert spare(found) == []


def test_the_jpeg_of_a_raw_is_kept(photos: Path, scene: Image.Image) -> None:
    scene.save(photos / "b.jpg", quality=90)
    (photos / "b.CR2").touch()
    scene.save(photos / "a.jpg", quality=95)
    assert names(indexed(photos)) == [["b.jpg", "a.jpg"]]


def test_two_shots_of_one_camera_are_no_copies(photos: Path, scene: Image.Image) -> None:
    scene.save(photos / "a.jpg", exif=camera("Pixel", "2024:05:06 07:08:09"))
    scene.save(photos / "b.jpg", exif=camera("Pixel", "2024:05:06 07:08:10"))
    assert indexed(photos) == []


def test_empty_pictures_are_copies_where_all_their_pixels_are_equal(photos: Path) -> None:
    Image.new("RGB", (400, 300), "red").save(photos / "a.png")
    Image.new("RGB", (400, 300), "red").save(photos / "b.bmp")
    Image.new("RGB", (400, 300), "blue").save(photos / "c.png")
    Image.new("RGB", (200, 150), "red").save(photos / "d.png")
    assert [sorted(group) for group in names(indexed(photos))] == [["a.png", "b.bmp"]]


def test_a_chain_is_no_group(photos: Path, library: Library, scene: Image.Image) -> None:
    (folder,) = library.folders
    with Image.open(folder / "06.jpg") as photo:
        last = photo.convert("RGB")
    for step in range(11):
        Image.blend(scene, last, step / 10).save(photos / f"{step:02}.jpg", quality=92)
    assert not any({"00.jpg", "10.jpg"} <= set(group) for group in names(indexed(photos)))


@given(
    st.sets(st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(lambda pair: pair[0] < pair[1]))
)
def test_every_pair_of_a_group_are_copies(pairs: set[tuple[int, int]]) -> None:
    groups = duplicates._cliques(range(10), dict.fromkeys(pairs, 1.0))
    assert sorted(photo for group in groups for photo in group) == list(range(10))
    for group in groups:
        assert all(tuple(sorted(pair)) in pairs for pair in combinations(group, 2))


def test_a_file_that_changed_since_is_in_no_group(photos: Path, scene: Image.Image) -> None:
    scene.save(photos / "a.png")
    shutil.copy(photos / "a.png", photos / "b.png")
    with Library.open(photos.parent / "library.kadr") as library:
        library.index([photos])
        (photos / "b.png").write_bytes(b"another")
        assert library.duplicates() == []


def test_what_a_person_calls_no_duplicates_is_remembered(photos: Path, scene: Image.Image) -> None:
    scene.save(photos / "a.jpg", quality=90)
    scene.save(photos / "b.jpg", quality=60)
    with Library.open(photos.parent / "library.kadr") as library:
        library.index([photos])
        library.set_distinct([photos / "a.jpg", photos / "b.jpg"])
        assert library.duplicates() == []
        (photos / "b.jpg").rename(photos / "c.jpg")
        library.index()
        assert library.duplicates() == []
        library.set_distinct([photos / "c.jpg", photos / "a.jpg"], distinct=False)
        assert len(library.duplicates()) == 1
        for wrong in (["a.jpg", "none.jpg"], ["a.jpg", "a.jpg"]):
            with pytest.raises(LibraryError):
                library.set_distinct([photos / name for name in wrong])
