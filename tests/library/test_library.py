"""The library as a whole: which file, which matcher, which policy, and whether it is sound."""

import os
import shutil
from pathlib import Path

import pytest

from kadr.errors import BundleError, DataError, LibraryError, PolicyError
from kadr.law import policy as law
from kadr.library import library as module
from kadr.library.ingest import IndexResult
from kadr.library.library import Library
from kadr.matcher import bundle as matcher
from kadr.stores import MEMORY, default_spec, open_store
from libraries import assert_same, colour_matcher, content, corner_matcher, engine, paint


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for number in range(6):
        paint(folder / f"{number}.png", number)
    return folder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "library.kadr"


@pytest.fixture
def library(path: Path, photos: Path) -> Path:
    """An indexed library's file."""
    with Library.open(path, model=colour_matcher()) as opened:
        opened.index([photos])
    return path


class TestPlace:
    def test_it_is_what_the_environment_says(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("KADR_LIBRARY", str(tmp_path / "mine" / "l.kadr"))
        assert default_spec() == str(tmp_path / "mine" / "l.kadr")
        with Library.open() as opened:
            assert opened.name == str(tmp_path / "mine" / "l.kadr")
            assert opened.file == tmp_path / "mine" / "l.kadr"
            assert opened.file.exists()

    @pytest.mark.parametrize("value", [None, ""])
    def test_else_it_is_in_the_user_s_data(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str | None
    ) -> None:
        monkeypatch.delenv("KADR_LIBRARY", raising=False)
        if value is not None:
            monkeypatch.setenv("KADR_LIBRARY", value)
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
        assert Path(default_spec()) == tmp_path / "kadr" / "library.kadr"

    def test_a_search_makes_none(self, path: Path) -> None:
        with pytest.raises(LibraryError, match="no library here"):
            Library.open(path, create=False)
        assert not path.exists()

    def test_in_memory_it_leaves_nothing(
        self, photos: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.chdir(tmp_path)
        with Library.open(MEMORY, model=colour_matcher()) as opened:
            assert opened.index([photos]) == IndexResult(files=6, encoded=6)
            assert len(opened.search("red").hits) == 6
            assert opened.totals().bytes > 0
            assert opened.remove(photos) == 6
        assert list(tmp_path.iterdir()) == [photos]

    def test_a_folder_that_can_t_be_written_is_told(
        self, library: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = os.open

        def shut(file: str | Path, *arguments: int, **options: int) -> int:
            if os.fspath(file).endswith(".lock"):
                raise PermissionError(13, "Permission denied", file)
            return real(file, *arguments, **options)

        with Library.open(library, model=colour_matcher()) as opened:
            monkeypatch.setattr(os, "open", shut)
            with pytest.raises(LibraryError, match="can't be opened for writing"):
                opened.index()


class TestFolders:
    def test_one_must_be_named_first(self, path: Path, tmp_path: Path) -> None:
        with Library.open(path, model=colour_matcher()) as opened:
            with pytest.raises(LibraryError, match="knows no folder yet"):
                opened.index()
            with pytest.raises(DataError, match="no such folder"):
                opened.index([tmp_path / "nowhere"])
            assert opened.folders == ()

    def test_it_has_one_name_however_it_is_reached(
        self, path: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "link").symlink_to(photos)
        monkeypatch.chdir(tmp_path)
        with Library.open(path, model=colour_matcher()) as opened:
            opened.index([Path("photos")])
            again = opened.index([tmp_path / "link", photos / ".." / "photos"])
            assert again == IndexResult(files=12, unchanged=12)
            assert opened.folders == (photos,)
            assert opened.totals().files == 6
            assert opened.remove(Path("link")) == 6

    def test_removing_leaves_the_photos(self, library: Path, photos: Path) -> None:
        with Library.open(library, model=colour_matcher()) as opened:
            assert opened.remove(photos) == 6
            assert opened.totals().photos == 0
            assert opened.search("red").hits == ()
            assert len(list(photos.iterdir())) == 6
            with pytest.raises(LibraryError, match="isn't in the library"):
                opened.remove(photos)


class TestMatcher:
    def test_a_search_takes_the_one_that_indexed(
        self, path: Path, photos: Path, tmp_path: Path
    ) -> None:
        bundle = matcher.save(colour_matcher(), tmp_path / "model")
        with Library.open(path, model=bundle) as opened:
            opened.index([photos])
        with Library.open(path, create=False) as opened:
            assert opened.matcher.image_encoder.name == "fake-colour-grid-4x4"
            assert opened.encoder == "fake-colour-grid-4x4"
            assert len(opened.search("red").hits) == 6
            assert opened.index() == IndexResult(files=6, unchanged=6)

    def test_one_that_was_moved_away_is_told(
        self, path: Path, photos: Path, tmp_path: Path
    ) -> None:
        bundle = matcher.save(colour_matcher(), tmp_path / "model")
        with Library.open(path, model=bundle) as opened:
            opened.index([photos])
        shutil.rmtree(bundle)
        with Library.open(path) as opened:
            assert opened.totals().photos == 6, "what needs no matcher goes on"
            with pytest.raises(BundleError, match="no matcher here"):
                opened.search("red")

    def test_another_encoder_is_refused_until_asked(self, library: Path, photos: Path) -> None:
        before = content(library)
        with Library.open(library, model=corner_matcher()) as opened:
            with pytest.raises(LibraryError, match=r"holds vectors of fake-colour.*--reencode"):
                opened.index([photos])
            with pytest.raises(LibraryError, match="holds vectors of fake-colour"):
                opened.search("red")
        assert content(library).files == before.files
        assert content(library).meta == before.meta

    def test_reencoding_makes_all_vectors_anew(self, library: Path, photos: Path) -> None:
        (photos / "bad.png").write_text("no photo")
        with Library.open(library, model=corner_matcher()) as opened:
            assert opened.index(reencode=True) == IndexResult(
                files=7, unchanged=6, reencoded=6, skipped=1
            )
            assert opened.encoder == "fake-corners"
            assert len(opened.search("red").hits) == 6
            assert list(opened.verify()) == []
            assert opened.index(reencode=True) == IndexResult(files=7, unchanged=6, skipped=1)
        fresh = library.with_name("fresh.kadr")
        with Library.open(fresh, model=corner_matcher()) as opened:
            opened.index([photos])
        assert_same(content(library), content(fresh))

    def test_a_search_after_reencoding_uses_the_new_one(self, library: Path, photos: Path) -> None:
        with Library.open(library, model=colour_matcher()) as opened:
            assert len(opened.search("red").hits) == 6
            with Library.open(library, model=corner_matcher()) as other:
                other.index(reencode=True)
            with pytest.raises(LibraryError, match="holds vectors of fake-corners"):
                opened.search("red")

    def test_another_joint_space_is_fitted_to(self, library: Path, photos: Path) -> None:
        """The same encoder, a newly trained alignment: nothing is decoded."""
        other = colour_matcher(3)
        assert other.alignment.digest() != colour_matcher().alignment.digest()
        with Library.open(library, model=other) as opened:
            answer = opened.search("a red dog")
            vectors = opened._store.vectors([int(hit.image.id) for hit in answer.hits])[1]
            text = other.texts(other.text_encoder.encode(["a red dog"]))
            cosines = other.images(vectors).joint.vectors @ text.joint.vectors[0]
            assert [hit.similarity for hit in answer.hits] == pytest.approx(cosines, abs=1e-5)
            assert opened.index() == IndexResult(files=6, unchanged=6)
        fresh = library.with_name("fresh.kadr")
        with Library.open(fresh, model=other) as opened:
            opened.index([photos])
        assert_same(content(library), content(fresh))


class TestPolicy:
    def test_none_is_the_default(self, library: Path) -> None:
        with Library.open(library, model=colour_matcher()) as opened:
            assert opened.policy == law.PRESETS["none"]
            assert opened.search("a girl").hits

    @pytest.mark.parametrize("policy", ["under-16", law.PRESETS["under-16"]])
    def test_a_preset_or_a_policy_refuses(self, library: Path, policy: str | law.Policy) -> None:
        with Library.open(library, model=colour_matcher(), policy=policy) as opened:
            answer = opened.search("a girl", language="ru")
            assert answer.hits == ()
            assert answer.notice == law.PRESETS["under-16"].disclaimer("ru")

    @pytest.mark.parametrize(
        ("country", "name"), [("us", "open"), ("de", "closed"), (None, "closed")]
    )
    def test_a_policy_file_is_one_too(
        self, library: Path, tmp_path: Path, country: str | None, name: str
    ) -> None:
        rules = tmp_path / "rules.toml"
        rules.write_text(
            '[policies.open]\nextends = "none"\n[policies.closed]\nextends = "under-16"\n'
            '[countries]\nUS = "open"\nDE = "closed"\n',
            encoding="utf-8",
        )
        with Library.open(
            library, model=colour_matcher(), policy=str(rules), country=country
        ) as opened:
            assert opened.policy.name == name

    def test_an_unknown_one_is_told_before_a_file_is_made(self, path: Path) -> None:
        with pytest.raises(PolicyError):
            Library.open(path, policy="unheard-of")
        assert not path.exists()


class TestVerify:
    def test_a_sound_library_is_silent(self, library: Path) -> None:
        calls: list[tuple[int, int]] = []
        with Library.open(library, model=colour_matcher()) as opened:
            assert list(opened.verify(lambda *call: calls.append(call))) == []
        assert calls == [(n, 6) for n in range(1, 7)]

    def test_it_tells_rot_from_change_and_loss(self, library: Path, photos: Path) -> None:
        rotten, changed, lost = (photos / f"{number}.png" for number in range(3))
        status, raw = rotten.stat(), bytearray(rotten.read_bytes())
        raw[-20] ^= 1
        rotten.write_bytes(raw)
        os.utime(rotten, ns=(status.st_atime_ns, status.st_mtime_ns))
        paint(changed, 99)
        os.utime(changed, ns=(1, 1))
        lost.unlink()
        with Library.open(library, model=colour_matcher()) as opened:
            found = list(opened.verify())
            assert len(found) == 3
            assert found[0].startswith(f"{rotten}: its content changed without a trace")
            assert found[1].startswith(f"{changed}: changed since it was indexed")
            assert found[2].startswith(f"{lost}: can't be read")
            opened.index(prune=True)
            assert [line.split(":")[0] for line in opened.verify()] == [str(rotten)]

    def test_contradictions_inside_come_first(self, library: Path) -> None:
        store = open_store(library)
        engine(store)._base.execute("DELETE FROM vectors WHERE photo = 1")
        store.close()
        with Library.open(library, model=colour_matcher()) as opened:
            assert list(opened.verify()) == ["1 photos that were encoded have no vector"]


def test_names_of_folders_that_can_t_be_followed_are_told(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(LibraryError, match="can't be followed"):
        module.resolved(tmp_path / "loop")
