"""Sidecars in a library: found by, ruled by, and followed as they come, change and go."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from blocks import packet
from encoded_photos import encoded, rows
from kadr.law import policy as law
from kadr.law.verdict import verdicts
from kadr.library import watch
from kadr.library.ingest import IndexResult
from kadr.library.library import Library
from kadr.matcher import bundle
from kadr.photos.ignore import Rules
from kadr.photos.objects import located
from kadr.types import Assessment, Filters
from libraries import assert_same, colour_matcher, content, engine, paint

DAUGHTER = packet("<dc:description>my daughter, 6</dc:description>")
SEA = packet("<dc:title>granite cliffs</dc:title>", "photoshop:DateCreated='2019-07-01'")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle.save(colour_matcher(), tmp_path_factory.mktemp("model") / "colours")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number in range(3):
        paint(tmp_path / "photos" / f"{number}.png", number)
    return tmp_path / "photos"


@pytest.fixture
def library(tmp_path: Path, photos: Path, model: Path) -> Iterator[Library]:
    with Library.open(tmp_path / "library.kadr", model=model) as opened:
        assert opened.index(photos).encoded == 3
        yield opened


def on_record(library: Library, text: str) -> list[str]:
    hits = library.search(text, 50).hits
    return [hit.image.path.name for hit in hits if hit.on_record]


def assessment(library: Library, name: str) -> Assessment:
    """That of the photo of a file."""
    number = number_of(library, name)
    return library.store.assessments([number])[number]


def number_of(library: Library, name: str) -> int:
    digest = next(row[3] for row in library.store.contents() if row[0].name == name)
    number = library.store.number(digest)
    assert number is not None
    return number


def words(library: Library, name: str) -> tuple[str, ...]:
    """The words of the law for the photo of a file."""
    return assessment(library, name).words


def verdict_of(library: Library, name: str) -> str:
    """What becomes of the photo of a file under the law."""
    number = number_of(library, name)
    return verdicts(library.store, law.preset("under-16"), [number])[number]


def counts(result: IndexResult) -> tuple[int, int, int, int]:
    return result.unchanged, result.encoded, result.reread, result.known


def test_it_comes_changes_and_goes(library: Library, photos: Path) -> None:
    before = content(photos.parent / "library.kadr")
    (photos / "0.xmp").write_bytes(SEA)
    assert counts(library.index()) == (2, 0, 1, 0)
    assert on_record(library, "granite cliffs") == ["0.png"]
    summer = Filters(after="2019-07-01T00:00:00", before="2019-08-01T00:00:00")
    assert [hit.image.path.name for hit in library.search("red", filters=summer)] == ["0.png"]
    assert counts(library.index()) == (3, 0, 0, 0)
    (photos / "0.xmp").write_bytes(packet("<dc:title>limestone</dc:title>"))
    assert counts(library.index()) == (2, 0, 1, 0)
    assert on_record(library, "granite cliffs") == []
    assert on_record(library, "limestone") == ["0.png"]
    (photos / "0.xmp").rename(photos / "0.PNG.XMP")
    assert counts(library.index()) == (2, 0, 1, 0)
    assert on_record(library, "limestone") == ["0.png"]
    (photos / "0.PNG.XMP").unlink()
    assert counts(library.index()) == (2, 0, 1, 0)
    assert on_record(library, "limestone") == []
    assert_same(content(photos.parent / "library.kadr"), before)
    assert library.store.check() == []


def test_the_law_reads_it_as_the_file(library: Library, photos: Path) -> None:
    assert words(library, "0.png") == ()
    (photos / "0.png.xmp").write_bytes(DAUGHTER)
    library.index()
    assert words(library, "0.png") == ("daughter",)
    assert verdict_of(library, "0.png") == "hide"
    (photos / "0.png.xmp").unlink()
    library.index()
    assert words(library, "0.png") == ()


def test_one_that_is_broken_waits_for_a_person(library: Library, photos: Path) -> None:
    assert "words" not in assessment(library, "0.png").failed
    (photos / "0.xmp").write_bytes(SEA[:-30])
    library.index()
    assert "words" in assessment(library, "0.png").failed
    assert verdict_of(library, "0.png") == "review"


def test_words_beside_any_copy_count(library: Library, photos: Path) -> None:
    (photos / "z").mkdir()
    shutil.copy(photos / "0.png", photos / "z" / "copy.png")
    (photos / "z" / "copy.xmp").write_bytes(DAUGHTER)
    (photos / "0.xmp").write_bytes(SEA)
    library.index()
    assert words(library, "0.png") == ("daughter",)
    (photos / "z" / "copy.png").rename(photos.parent / "away.png")
    library.index()  # what is known of a copy that is gone for now leaves the answers alone
    library.index(reread=True)
    assert words(library, "0.png") == ()
    assert on_record(library, "granite cliffs") == ["0.png"]
    (photos.parent / "away.png").rename(photos / "z" / "copy.png")
    library.index()
    assert words(library, "0.png") == ("daughter",), "it is assessed anew, though it didn't change"
    shutil.rmtree(photos / "z")
    library.index(prune=True, reread=True)
    assert words(library, "0.png") == ()


def test_read_again_it_stays(library: Library, photos: Path) -> None:
    (photos / "0.xmp").write_bytes(SEA)
    library.index()
    library.index(reread=True)
    assert on_record(library, "granite cliffs") == ["0.png"]
    (photos / "0.xmp").unlink()
    library.index(reread=True)
    assert on_record(library, "granite cliffs") == []


def test_a_change_is_watched(tmp_path: Path) -> None:
    paint(tmp_path / "own" / "1.png", 1)
    for name in ("own/1.xmp", "own/1.PNG.XMP", "own/gone.xmp", "own/film.mp4.xmp"):
        if "gone" not in name:
            (tmp_path / name).touch()
        assert watch._touched([tmp_path / name], [tmp_path], None, Rules) == [tmp_path / "own"]


def test_removing_a_folder_takes_its_words(library: Library, photos: Path) -> None:
    other = photos.parent / "other"
    other.mkdir()
    shutil.copy(photos / "0.png", other / "copy.png")
    (other / "copy.xmp").write_bytes(SEA)
    library.index(other)
    assert on_record(library, "granite cliffs") == ["copy.png"]
    library.remove(other)
    assert on_record(library, "granite cliffs") == []


def test_photos_that_were_encoded_elsewhere(photos: Path, model: Path, tmp_path: Path) -> None:
    (photos / "0.xmp").write_bytes(DAUGHTER)
    policy = law.preset("under-16")
    encoded(photos, tmp_path / "out", model, policy)
    (row,) = (row for row in rows(tmp_path / "out") if row.path.endswith("0.png"))
    assert row.sidecar is not None
    assert row.sidecar.texts == ("my daughter, 6",)
    assert row.assessment is not None
    assert row.assessment.words == ("daughter",)
    assert row.photo is not None
    assert row.photo.facts is not None
    assert row.photo.facts.texts == ()
    encoded(photos, tmp_path / "plain", model)
    for name in ("loaded", "indexed"):
        with Library.open(tmp_path / f"{name}.kadr", model=model) as library:
            if name == "loaded":
                library.load_encoded(os.fspath(tmp_path / "plain"), at=photos)
                assert words(library, "0.png") == ("daughter",)
            assert library.index(photos).reread == 0
    assert_same(content(tmp_path / "loaded.kadr"), content(tmp_path / "indexed.kadr"))
    assert encoded(photos, tmp_path / "out", model, policy).encoded == 0
    (photos / "0.xmp").write_bytes(SEA)
    assert encoded(photos, tmp_path / "out", model, policy).encoded == 1


def test_in_object_storage(bucket: Any, photos: Path, model: Path, tmp_path: Path) -> None:
    url = f"s3://{bucket.name}/in"
    for number in range(3):
        bucket.upload_file(str(photos / f"{number}.png"), f"in/{number}.png")
    bucket.put_object(Key="in/0.XMP", Body=DAUGHTER)
    bucket.put_object(Key="in/1.png.xmp", Body=SEA)
    with Library.open(tmp_path / "l.kadr", model=model) as library:
        encoded(url, tmp_path / "out", model)
        assert library.load_encoded(os.fspath(tmp_path / "out"), at=located(url)).loaded == 3
        assert words(library, "0.png") == ("daughter",)
        assert on_record(library, "granite cliffs") == ["1.png"]
        assert library.load_encoded(os.fspath(tmp_path / "out")).unchanged == 3
        bucket.put_object(Key="in/1.png.xmp", Body=packet("<dc:title>limestone</dc:title>"))
        assert library.load_encoded(os.fspath(tmp_path / "out")).changed == 1, "encode it again"
        assert encoded(url, tmp_path / "out", model).encoded == 1
        loaded = library.load_encoded(os.fspath(tmp_path / "out"))
        assert (loaded.known, loaded.changed, loaded.unchanged) == (1, 1, 2)
        assert on_record(library, "limestone") == ["1.png"]
        assert on_record(library, "granite cliffs") == []


def test_only_what_sidecars_say_is_written_twice(library: Library, photos: Path) -> None:
    (photos / "0.xmp").write_bytes(SEA)
    library.index()
    (own,) = engine(library.store).read("SELECT count(*) FROM photos WHERE own IS NOT NULL")
    assert own == (1,)
