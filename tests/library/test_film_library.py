"""Films in a library: kept whole or not at all, found as photos are, hidden as the law says."""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from blocks import packet
from kadr.law import policy as law
from kadr.law import review
from kadr.law.verdict import verdicts
from kadr.library.ingest import IndexCallbacks, IndexResult
from kadr.library.library import Library
from kadr.photos import films, kinds, surveyor
from kadr.photos.video import Shot
from kadr.stores import open_store
from kadr.types import Assessment, Filters, Hit, Ruling
from libraries import colour_matcher, paint
from tiny_films import fields, make_film, make_sound

pytestmark = pytest.mark.skipif(not kinds.reads_films(), reason="needs the extra video")
SCENES = 4


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with a film of four scenes and two photos."""
    make_film(tmp_path / "films" / "holiday.mp4", [fields(n) for n in range(SCENES)])
    for seed in (40, 41):
        paint(tmp_path / "films" / f"{seed}.png", seed)
    return tmp_path / "films"


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Library.open(tmp_path / "library.kadr", model=colour_matcher()) as opened:
        yield opened


@pytest.fixture
def undecoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have any decoding of a film fail the test."""

    def fail(*_: Any) -> Iterator[Shot]:
        raise AssertionError("decoded")

    monkeypatch.setattr(surveyor, "survey", fail)


def paths(library: Library) -> list[str]:
    """Names of all that is there."""
    return sorted(Path(os.fsdecode(path)).name for _, path in library.store.paths())


def frames(library: Library, film: str = "holiday.mp4") -> list[str]:
    return [name for name in paths(library) if name.startswith(f"{film}#t=")]


def index(library: Library, folder: Path, **options: Any) -> tuple[IndexResult, list[str]]:
    skipped: list[str] = []
    callbacks = IndexCallbacks(skip=lambda path, reason: skipped.append(f"{path.name}: {reason}"))
    return library.index(folder, callbacks=callbacks, **options), skipped


class TestInStep:
    def test_frames_are_photos(self, library: Library, folder: Path) -> None:
        result, skipped = index(library, folder)
        assert skipped == []
        assert (result.files, result.encoded, result.films) == (SCENES + 2, SCENES + 2, 1)
        assert library.totals().photos == SCENES + 2
        assert frames(library) == [f"holiday.mp4#t={at}" for at in ("0", "3", "6", "9")]
        assert library.catalogue.facets().kinds == ("film", "png")
        assert list(library.verify()) == []

    def test_nothing_is_read_twice(
        self, library: Library, folder: Path, request: pytest.FixtureRequest
    ) -> None:
        index(library, folder)
        request.getfixturevalue("undecoded")
        result, _ = index(library, folder)
        assert (result.files, result.unchanged, result.films) == (SCENES + 2, SCENES + 2, 1)
        shutil.copy(folder / "holiday.mp4", folder / "copy.mp4")
        (folder / "holiday.mp4").rename(folder / "moved.mp4")
        result, _ = index(library, folder)
        assert (result.known, result.encoded, result.gone) == (2 * SCENES, 0, SCENES)
        os.utime(folder / "moved.mp4")
        result, _ = index(library, folder, prune=True)
        assert (result.known, result.gone, result.pruned) == (SCENES, 0, SCENES)
        assert len(frames(library, "moved.mp4")) == len(frames(library, "copy.mp4")) == SCENES
        assert library.totals().photos == SCENES + 2

    def test_a_changed_film_has_its_new_frames_alone(self, library: Library, folder: Path) -> None:
        index(library, folder)
        make_film(folder / "holiday.mp4", [fields(n) for n in (7, 8)], 4)
        result, _ = index(library, folder)
        assert (result.encoded, result.gone) == (2, 0)
        assert frames(library) == ["holiday.mp4#t=0", "holiday.mp4#t=4"]
        assert library.totals().photos == 4
        assert list(library.verify()) == []

    def test_a_deleted_film_leaves_with_all_its_frames(
        self, library: Library, folder: Path
    ) -> None:
        index(library, folder)
        kept = (folder / "holiday.mp4").read_bytes()
        (folder / "holiday.mp4").unlink()
        result, _ = index(library, folder)
        assert result.gone == SCENES
        assert frames(library) == []
        (folder / "holiday.mp4").write_bytes(kept)
        index(library, folder)
        assert len(frames(library)) == SCENES
        (folder / "holiday.mp4").unlink()
        result, _ = index(library, folder, prune=True)
        assert result.pruned == SCENES
        assert library.totals().photos == 2

    def test_a_film_that_cannot_be_read_is_one_line_and_not_read_again(
        self, library: Library, folder: Path, request: pytest.FixtureRequest
    ) -> None:
        make_sound(folder / "sound.mp4")
        (folder / "empty.mov").touch()
        (folder / "cut.mp4").write_bytes((folder / "holiday.mp4").read_bytes()[:2000])
        result, skipped = index(library, folder)
        assert (result.skipped, result.films) == (3, 1)
        assert sorted(line.partition(":")[0] for line in skipped) == [
            "cut.mp4", "empty.mov", "sound.mp4",
        ]  # fmt: skip
        assert [one.path.name for one in library.problems()] == [
            "cut.mp4",
            "empty.mov",
            "sound.mp4",
        ]
        request.getfixturevalue("undecoded")
        result, skipped = index(library, folder)
        assert (result.skipped, result.unchanged, skipped) == (3, SCENES + 2, [])

    def test_a_film_becomes_readable_and_unreadable(self, library: Library, folder: Path) -> None:
        film, whole = folder / "holiday.mp4", (folder / "holiday.mp4").read_bytes()
        film.write_bytes(whole[:2000])
        index(library, folder)
        film.write_bytes(whole)
        assert index(library, folder)[0].encoded == SCENES
        assert library.problems() == []
        film.write_bytes(whole[:2000])
        assert index(library, folder)[0].skipped == 1
        assert frames(library) == []
        assert library.totals().photos == 2

    def test_words_on_record_are_the_films(self, library: Library, folder: Path) -> None:
        index(library, folder)
        (hit,) = library.search("holiday", filters=Filters(kind="film")).hits
        assert [one.source for one in hit.on_record] == ["name"]
        assert library.search("mp4").hits[0].on_record == ()


class TestKilled:
    @pytest.mark.parametrize("shown", [0, 1, 3])
    def test_no_half_of_a_film_stays(
        self, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, shown: int
    ) -> None:
        real = surveyor.survey

        def cut(path: Path, size: int) -> Iterator[Shot]:
            for number, shot in enumerate(real(path, size)):
                if number == shown:
                    raise KeyboardInterrupt
                yield shot

        with Library.open(tmp_path / "l.kadr", model=colour_matcher()) as opened:
            with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
                patch.setattr(surveyor, "survey", cut)
                opened.index(folder)
            assert frames(opened) == []
            assert list(opened.verify()) == []
        with Library.open(tmp_path / "l.kadr", model=colour_matcher()) as opened:
            assert opened.index(folder).encoded == SCENES
            assert len(frames(opened)) == SCENES

    def test_nor_where_the_store_is_stopped_in_the_middle(
        self, library: Library, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        index(library, folder)
        make_film(folder / "holiday.mp4", [fields(n) for n in (7, 8)], 4)
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(library.store, "forget", interrupted)
            library.index(folder)
        assert len(frames(library)) == SCENES
        assert index(library, folder)[0].encoded == 2
        assert len(frames(library)) == 2


def interrupted(_paths: object) -> int:
    raise KeyboardInterrupt


class TestAnswers:
    def hits(self, library: Library, **options: Any) -> Sequence[Hit]:
        return library.search("a red dog", at_least=0.0, **options).hits

    def test_a_films_frames_are_one_hit_unless_asked_for(
        self, library: Library, folder: Path
    ) -> None:
        index(library, folder)
        films_found = [hit for hit in self.hits(library) if hit.at is not None]
        (hit,) = films_found
        assert hit.at is not None
        assert films.frame_named(hit.image.path) == films.FramePath(folder / "holiday.mp4", hit.at)
        assert {hit.at, *hit.moments} == {0.0, 3.0, 6.0, 9.0}
        each = self.hits(library, frames=True)
        assert len(each) == SCENES + 2
        best = next(one for one in each if one.at is not None)
        assert (best.image, best.moments) == (hit.image, ())

    @pytest.mark.parametrize("limit", [1, 2, 3])
    def test_pages_hold_every_film_and_photo_once(
        self, library: Library, folder: Path, limit: int
    ) -> None:
        make_film(folder / "other.webm", [fields(n) for n in range(20, 23)])
        index(library, folder)
        cursor: int | None = 0
        seen: list[object] = []
        while cursor is not None:
            answer = library.search("a red dog", limit, cursor=cursor, at_least=0.0)
            assert 0 < len(answer.hits) <= limit
            for hit in answer.hits:
                film = films.file_of(hit.image.path)
                seen += [(film, at) for at in (hit.at, *hit.moments)]
            cursor = answer.next
        assert len(seen) == len(set(seen)) == SCENES + 3 + 2

    def test_only_films(self, library: Library, folder: Path) -> None:
        index(library, folder)
        assert [hit.at is None for hit in self.hits(library, filters=Filters(kind="film"))] == [
            False
        ]

    def test_alike(self, library: Library, folder: Path) -> None:
        index(library, folder)
        first = films.named(folder / "holiday.mp4", 0.0)
        found = library.similar(first, frames=True).hits
        assert len(found) == SCENES + 1
        assert first not in [hit.image.path for hit in found]
        elsewhere = films.named(folder / "holiday.mp4", 4.2)
        nearest = library.similar(elsewhere, frames=True).hits[0]
        assert nearest.at == 3.0

    def test_frames_of_one_film_are_no_duplicates_and_never_spare(
        self, library: Library, folder: Path
    ) -> None:
        make_film(folder / "still.mp4", [fields(30)], 25)
        shutil.copy(folder / "holiday.mp4", folder / "copy.mp4")
        index(library, folder)
        groups = library.duplicates()
        assert {path.name.partition("#")[0] for one in groups for path in one.photos[0].paths} == {
            "copy.mp4", "holiday.mp4",
        }  # fmt: skip
        assert [group.spare for group in groups] == [()] * SCENES

    def test_to_forget_a_frame_is_to_forget_its_film(self, library: Library, folder: Path) -> None:
        index(library, folder)
        number = library.store.number(
            str(library.store.digest_at(films.named(folder / "holiday.mp4", 3.0)))
        )
        assert number is not None
        assert library.forget(number) == SCENES
        assert library.totals().photos == 2


class TestLaw:
    def test_a_film_is_withheld_where_one_frame_is(self, tmp_path: Path, folder: Path) -> None:
        with Library.open(tmp_path / "l.kadr", model=colour_matcher(), policy="under-16") as opened:
            opened.index(folder)
            digests = [str(opened.store.digest_at(films.named(folder / "holiday.mp4", 3.0 * n)))
                       for n in range(SCENES)]  # fmt: skip
            rule(opened, digests, "allow")
            first = films.named(folder / "holiday.mp4", 0.0)
            assert not opened.catalogue.withholds(first, digests[0])
            rule(opened, digests[2:3], "hide")
            assert opened.catalogue.withholds(first, digests[0])
            shown = opened.search("a red dog", frames=True, filters=Filters(kind="film")).hits
            assert sorted(hit.at or 0.0 for hit in shown) == [0.0, 3.0, 9.0]
            (hit,) = opened.search("a red dog", at_least=0.0, filters=Filters(kind="film")).hits
            assert 6.0 not in {hit.at, *hit.moments}

    def test_a_name_that_tells_of_a_child_is_of_all_frames(
        self, tmp_path: Path, folder: Path
    ) -> None:
        (folder / "holiday.mp4").rename(folder / "our kids.mp4")
        with Library.open(tmp_path / "l.kadr", model=colour_matcher(), policy="under-16") as opened:
            opened.index(folder)
            numbers = [n for n, path in opened.store.paths() if b"our kids" in path and n]
            assert len(numbers) == SCENES
            found = opened.store.assessments(numbers).values()
            assert [one.words for one in found] == [("kid",)] * SCENES

    def test_what_is_said_beside_it_is_said_of_all_frames(
        self, tmp_path: Path, folder: Path, request: pytest.FixtureRequest
    ) -> None:
        beside = folder / "holiday.mp4.xmp"
        with Library.open(tmp_path / "l.kadr", model=colour_matcher(), policy="under-16") as opened:
            opened.index(folder)
            assert said(opened) == [()] * SCENES
            request.getfixturevalue("undecoded")
            beside.write_bytes(packet("<dc:title>two children on a swing</dc:title>"))
            result = opened.index(folder)
            assert (result.reread, result.unchanged, result.films) == (SCENES, 2, 1)
            assert said(opened) == [("child",)] * SCENES
            number = next(n for n, path in opened.store.paths() if b"#t=" in path and n)
            assert verdicts(opened.store, law.preset("under-16"), [number])[number] != "show"
            assert opened.index(folder).unchanged == SCENES + 2
            beside.rename(folder / "holiday.XMP")
            assert opened.index(folder).reread == SCENES
            assert said(opened) == [("child",)] * SCENES
            (folder / "holiday.XMP").write_bytes(packet("<dc:title>granite cliffs</dc:title>"))
            opened.index(folder)
            assert said(opened) == [()] * SCENES
            assert opened.search("granite cliffs").hits[0].on_record
            (folder / "holiday.XMP").write_bytes(b"<broken")
            opened.index(folder)
            assert all("words" in one.failed for one in judged(opened))
            (folder / "holiday.XMP").unlink()
            opened.index(folder)
            assert said(opened) == [()] * SCENES
            assert not any("words" in one.failed for one in judged(opened))

    def test_a_new_film_has_its_sidecar_s_words(self, tmp_path: Path, folder: Path) -> None:
        (folder / "holiday.xmp").write_bytes(packet("<dc:title>two children</dc:title>"))
        with Library.open(tmp_path / "l.kadr", model=colour_matcher(), policy="under-16") as opened:
            opened.index(folder)
            assert said(opened) == [("child",)] * SCENES

    def test_a_second_track_waits_for_a_person(self, tmp_path: Path, folder: Path) -> None:
        make_film(folder / "holiday.mp4", [fields(n) for n in range(SCENES)], tracks=2)
        with Library.open(tmp_path / "l.kadr", model=colour_matcher(), policy="under-16") as opened:
            opened.index(folder)
            numbers = [n for n, path in opened.store.paths() if b"#t=" in path and n]
            found = verdicts(opened.store, law.preset("under-16"), numbers).values()
            assert set(found) <= {"review", "hide"}
            assert all("words" in one.failed for one in judged(opened))


def judged(library: Library) -> list[Assessment]:
    """The assessments of all frames."""
    numbers = [n for n, path in library.store.paths() if b"#t=" in path and n]
    return list(library.store.assessments(numbers).values())


def said(library: Library) -> list[tuple[str, ...]]:
    """The words of the law for all frames."""
    return [one.words for one in judged(library)]


def rule(library: Library, digests: Sequence[str], verdict: str) -> None:
    ruling = Ruling(verdict, "test", "2026-01-01T00:00:00+00:00", "")  # type: ignore[arg-type]
    for digest in digests:
        review.decide(library.store, digest, ruling)


def test_frames_move_with_their_library(tmp_path: Path, folder: Path) -> None:
    from kadr.library.move import move

    with Library.open(tmp_path / "l.kadr", model=colour_matcher()) as opened:
        opened.index(folder)
        target = open_store(tmp_path / "other.kadr", create=True, moving=True)
        move(
            opened.store,
            target,
            lambda v: opened.matcher.alignment.images(v).vectors,
            lambda *_: None,
        )
        assert len(list(target.all_files())) == SCENES + 2
        target.close()
