"""The bin: what is deleted lies there, in no answer, until it is restored or gone for good."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kadr.errors import LibraryError
from kadr.library import deletion
from kadr.library.deletion import NotAllowedError
from kadr.library.library import Library
from libraries import colour_matcher, paint


@pytest.fixture(params=["sqlite", "postgresql"])
def spec(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "l.kadr")
    from postgres_servers import server

    return server().empty()


@pytest.fixture
def library(spec: str, tmp_path: Path) -> Iterator[Library]:
    """Three photos, one of them in a folder of its own."""
    for seed, name in enumerate(("1.png", "2.png", "deep/er/3.png")):
        paint(tmp_path / "photos" / name, seed)
    with Library.open(spec, model=colour_matcher()) as opened:
        opened.index(tmp_path / "photos")
        yield opened


def named(library: Library) -> set[str]:
    return {photo.paths[0].name for photo in library.catalogue.newest(10).photos}


def delete(library: Library, name: str) -> None:
    (number,) = (
        photo.id for photo in library.catalogue.newest(10).photos if photo.paths[0].name == name
    )
    library.delete(number)


def test_what_was_there_before_is_deleted_only_where_the_owner_allows_it(
    library: Library, tmp_path: Path
) -> None:
    with pytest.raises(NotAllowedError, match="kadr library bin --originals"):
        delete(library, "1.png")
    (photo,) = (one for one in library.catalogue.newest(9).photos if one.paths[0].name == "1.png")
    library.delete(photo.id, uploads=tmp_path / "photos")
    assert named(library) == {"2.png", "3.png"}
    library.allow_deleting(originals=True)
    assert library.deletes_originals
    delete(library, "2.png")
    library.allow_deleting(originals=False)
    with pytest.raises(NotAllowedError):
        delete(library, "3.png")


def test_what_is_restored_is_as_it_was(library: Library, tmp_path: Path) -> None:
    library.allow_deleting(originals=True)
    path = tmp_path / "photos/deep/er/3.png"
    content, before = path.read_bytes(), library.catalogue.newest(10).photos
    delete(library, "3.png")
    assert not path.exists()
    assert named(library) == {"1.png", "2.png"}
    assert all(hit.image.path.name != "3.png" for hit in library.search("a red dog"))
    assert library.index(tmp_path / "photos").encoded == 0, "what is in the bin isn't indexed"
    (one,) = library.binned()
    assert (one.origin, one.bytes) == (path, len(content))
    assert library.restore([one]) == (path,)
    assert path.read_bytes() == content
    assert library.catalogue.newest(10).photos == before
    assert library.binned() == []
    assert not (tmp_path / "photos" / deletion.FOLDER).exists()


def test_nothing_is_written_over(library: Library, tmp_path: Path) -> None:
    library.allow_deleting(originals=True)
    delete(library, "1.png")
    other = paint(tmp_path / "photos" / "1.png", 77).read_bytes()
    assert library.restore(library.binned())[0].name == "1 (2).png"
    library.index(tmp_path / "photos")
    assert named(library) == {"1.png", "1 (2).png", "2.png", "3.png"}
    assert (tmp_path / "photos/1.png").read_bytes() == other


def test_what_is_emptied_is_gone(library: Library, tmp_path: Path) -> None:
    library.allow_deleting(originals=True)
    delete(library, "1.png")
    delete(library, "3.png")
    assert library.empty_bin(library.binned()) == 2
    assert library.binned() == []
    assert library.totals().missing == 0
    assert named(library) == {"2.png"}
    assert list(library.store.check()) == []


def test_what_the_library_has_forgotten_can_still_be_restored(
    library: Library, tmp_path: Path
) -> None:
    library.allow_deleting(originals=True)
    delete(library, "1.png")
    library.index(tmp_path / "photos", prune=True)
    (one,) = library.binned()
    assert one.photo is None
    library.restore([one])
    assert named(library) == {"1.png", "2.png", "3.png"}


@pytest.mark.parametrize("after", [True, False], ids=["after the move", "before the move"])
def test_a_kill_in_the_middle_loses_nothing(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    library.allow_deleting(originals=True)
    move = deletion._move

    def killed(path: Path, target: Path, root: Path) -> None:
        if after:
            move(path, target, root)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(deletion, "_move", killed)
        with pytest.raises(KeyboardInterrupt):
            delete(library, "1.png")
    assert named(library) >= {"2.png", "3.png"}
    assert len(library.binned()) == after
    if after:
        library.index(tmp_path / "photos")
        assert named(library) == {"2.png", "3.png"}
        library.restore(library.binned())
    library.index(tmp_path / "photos")
    assert named(library) == {"1.png", "2.png", "3.png"}


def test_what_cannot_be_moved_stays(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.allow_deleting(originals=True)

    def denied(_path: Path, _target: Path) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", denied)
        with pytest.raises(LibraryError, match=r"1\.png: can't be moved"):
            delete(library, "1.png")
    assert named(library) == {"1.png", "2.png", "3.png"}


def test_strange_things_in_the_bin_are_let_be(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "photos" / deletion.FOLDER / ("a" * 32)
    folder.mkdir(parents=True)
    (folder / "link.png").symlink_to("/etc/passwd")
    (folder.parent / "note.txt").write_text("mine")
    assert library.binned() == []
    library.allow_deleting(originals=True)
    delete(library, "1.png")
    library.empty_bin(library.binned())
    assert os.path.lexists(folder / "link.png")
    assert (folder.parent / "note.txt").read_text() == "mine"


def test_the_law_s_record_tells_of_it_and_hides_what_is_hidden(spec: str, tmp_path: Path) -> None:
    for seed, name in enumerate(("1.png", "a boy.png")):
        paint(tmp_path / "photos" / name, seed)
    with Library.open(spec, model=colour_matcher()) as opened:
        opened.index(tmp_path / "photos")
        opened.allow_deleting(originals=True)
    with Library.open(spec, model=colour_matcher(), policy="under-16") as opened:
        opened.index(tmp_path / "photos")
        photos = {row[0] for row in opened.store.choices()}
        digests = [one.digest for one in opened.store.stored(dict.fromkeys(photos, ())).values()]
        for number in photos:
            opened.delete(number)
        assert all(one.origin.name != "a boy.png" for one in opened.binned())
        told = list(opened.store.entries("binned"))
        assert sorted(d for entry in told for d in entry.facts["photos"]) == sorted(digests)
    with Library.open(spec, model=colour_matcher()) as opened:
        assert len(opened.binned()) == 2
        opened.restore([one for one in opened.binned() if one.origin.name == "1.png"])
        opened.empty_bin(opened.binned())
        assert len(list(opened.store.entries("restored"))) == 1
        assert len(list(opened.store.entries("emptied"))) == 1
        assert opened.store.log_problems() == []


def test_no_link_is_followed(library: Library, tmp_path: Path) -> None:
    library.allow_deleting(originals=True)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious.txt").write_text("precious")
    photos = tmp_path / "photos"
    delete(library, "1.png")
    (photos / deletion.FOLDER / ("a" * 32)).symlink_to(outside)
    (one,) = library.binned()
    assert library.empty_bin(library.binned()) == 1
    delete(library, "3.png")
    (entry,) = library.binned()
    (photos / "deep" / "er").rmdir()
    (photos / "deep" / "er").symlink_to(outside)
    with pytest.raises(LibraryError, match="a link is on its way"):
        library.restore([entry])
    assert [path.name for path in outside.iterdir()] == ["precious.txt"]
    assert one.path.name == "1.png"


def test_a_bin_that_is_a_link_is_none(library: Library, tmp_path: Path) -> None:
    library.allow_deleting(originals=True)
    (tmp_path / "outside" / ("b" * 32)).mkdir(parents=True)
    (tmp_path / "outside" / ("b" * 32) / "1.png").write_bytes(b"precious")
    (tmp_path / "photos" / deletion.FOLDER).symlink_to(tmp_path / "outside")
    assert library.binned() == []
    with pytest.raises(LibraryError, match="a link is on its way"):
        delete(library, "1.png")
    assert (tmp_path / "photos" / "1.png").exists()


def test_an_entry_is_what_was_deleted_not_what_had_its_name_later(
    library: Library, tmp_path: Path
) -> None:
    library.allow_deleting(originals=True)
    delete(library, "1.png")
    paint(tmp_path / "photos" / "1.png", 99)
    library.index(tmp_path / "photos")
    delete(library, "1.png")
    first, second = library.binned()
    assert None in {first.photo, second.photo}, "the library has forgotten the older content"
    assert first.photo != second.photo
