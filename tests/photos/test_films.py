"""Films: their frames' names, which of them are chosen, and strangers' bytes."""

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadr.errors import ImageError
from kadr.photos import films, folders, images, kinds, reader, scenes, surveyor, video
from kadr.photos.ignore import Rules
from kadr.photos.video import Shot
from tiny_films import CODECS, SIDES, fields, make_film, make_sound, turned

needs_av = pytest.mark.skipif(not kinds.reads_films(), reason="needs the extra video")
PICTURES = [fields(seed) for seed in range(4)]


def surveyed(path: Path, size: int = 64) -> list[Shot]:
    """What a survey in this process gives."""
    return [one for one in video.survey(path, size) if isinstance(one, Shot)]


def nearest(shot: Shot, pictures: list[np.ndarray] | None = None) -> int:
    """Which picture a frame shows."""
    seen = np.asarray(shot.image.resize(SIDES), np.int16)
    far = [np.abs(seen - one.astype(np.int16)).mean() for one in pictures or PICTURES]
    assert min(far) < 12, far
    return int(np.argmin(far))


class TestNames:
    @given(st.integers(0, 43_200_000), st.sampled_from(["a.mp4", "Ferien 1.MOV", "x#t=3.webm"]))
    def test_a_frame_is_its_film_and_its_moment(self, milliseconds: int, name: str) -> None:
        film, at = Path("/films", name), milliseconds / 1000
        path = films.named(film, at)
        assert films.frame_named(path) == films.FramePath(film, at)
        assert films.file_of(path) == film
        assert films.stem(path) == film.stem
        digest = films.digest("ab" * 32, at)
        assert len(bytes.fromhex(digest)) == 32
        assert films.seconds(digest) == at

    @pytest.mark.parametrize(
        "name", ["a.mp4", "#t=3", "a.jpg#t=3", "a.mp4#t=3.jpg", "a.mp4#t=", "a.mp4#t=-1", ".mp4#t=3",
                 "a.mp4#t=1e5", "a.mp4#t=3,5", "a.mp4#t=٣"],
    )  # fmt: skip
    def test_other_names_are_no_frames(self, name: str) -> None:
        assert films.frame_named(Path("/p", name)) is None
        assert films.stem(Path("/p", name)) == Path(name).stem

    def test_a_file_of_that_very_name_is_no_frame(self, tmp_path: Path) -> None:
        path = tmp_path / "a.mp4#t=3"
        assert films.frame(path) is not None
        from PIL import Image

        Image.new("RGB", (40, 30), "red").save(path, "JPEG")
        assert films.frame(path) is None
        assert films.file_of(path) == path
        photo, facts = reader.read(path, 30)
        assert (photo.size, facts.kind) == ((40, 30), "jpeg")

    @pytest.mark.parametrize(("at", "told"), [(0, "0:00"), (754.5, "12:34"), (3723.9, "1:02:03")])
    def test_a_moment_is_told_as_players_do(self, at: float, told: str) -> None:
        assert films.clock(at) == told
        assert films.shown(films.named(Path("/f/a.mp4"), at)) == f"/f/a.mp4 at {told}"


class TestChoice:
    def look(self, value: int) -> scenes.Look:
        picture = np.full((scenes.HEIGHT, scenes.WIDTH, 3), value, np.uint8)
        picture[::2] = 255 - value
        return picture

    def test_at_most_one_in_two_seconds_and_one_in_ten(self) -> None:
        chooser = scenes.Chooser()
        times = [at / 4 for at in range(200)]
        kept = [at for at in times if chooser.wants(at, self.look(round(at * 4) % 2 * 200))]
        gaps = np.diff(kept)
        assert gaps.min() >= scenes.GAP
        still = scenes.Chooser()
        assert [at for at in times if still.wants(at, self.look(10))] == [0, 10, 20, 30, 40]

    def test_what_shows_nothing_is_passed_over(self) -> None:
        chooser = scenes.Chooser()
        black = np.zeros((scenes.HEIGHT, scenes.WIDTH, 3), np.uint8)
        assert not chooser.wants(1.0, black)
        assert chooser.left(1.5) == 1.0
        assert chooser.wants(1.5, self.look(0))
        assert chooser.left(1.5) is None
        assert not chooser.wants(4.0, black)
        assert chooser.left(5.0) is None
        assert chooser.left(6.0) == 4.0

    def test_what_is_dark_is_taken_every_ten_seconds(self) -> None:
        dark, chooser = self.look(0) // 16 + 20, scenes.Chooser()
        assert dark.std() < scenes.CONTRAST
        times = [at / 4 for at in range(200)]
        assert [at for at in times if chooser.wants(at, dark)] == [10, 20, 30, 40]
        mixed = scenes.Chooser()
        assert [at for at in times if mixed.wants(at, dark if at else self.look(0))] == [
            0, 10, 20, 30, 40,
        ]  # fmt: skip

    def test_large_packets_between_keyframes_are_looked_at(self) -> None:
        spans = scenes.Spans()
        assert spans.add(0.0, 1000, key=True)
        for number in range(1, 80):
            assert not spans.add(number / 10, 900 if number == 45 else 20, key=False)
        assert not spans.add(0.2, 1000, key=True)  # too near to be decoded
        assert spans.add(8.0, 1000, key=True)
        assert list(spans.before(8.0)) == [(0.0, [4.5])]
        assert list(spans.before(8.0)) == []
        spans.end(21.0)
        assert list(spans.before(99.0)) == [(8.0, [18.5, 20.5])]


@needs_av
class TestSurvey:
    @pytest.mark.parametrize("suffix", CODECS)
    def test_every_scene_is_found_and_read_again_exactly(self, tmp_path: Path, suffix: str) -> None:
        path = make_film(tmp_path / f"film.{suffix}", PICTURES)
        shots = surveyed(path)
        assert [nearest(shot) for shot in shots] == [0, 1, 2, 3]
        for number, shot in enumerate(shots):
            assert 3 * number <= shot.at < 3 * number + 1
            again, facts = video.frame(path, shot.at, 64)
            assert np.array_equal(np.asarray(again), np.asarray(shot.image))
            assert facts == shot.facts
            assert (facts.kind, facts.width, facts.height) == ("film", *SIDES)

    def test_scenes_without_keyframes_are_found(self, tmp_path: Path) -> None:
        options = {"g": "10000", "sc_threshold": "0"}
        path = make_film(tmp_path / "film.mp4", [fields(n) for n in range(4)], 6, options=options)
        assert {nearest(shot) for shot in surveyed(path)} == {0, 1, 2, 3}

    def test_a_still_film_gives_a_frame_now_and_then(self, tmp_path: Path) -> None:
        shots = surveyed(make_film(tmp_path / "still.mp4", PICTURES[:1], 25))
        assert 2 <= len(shots) <= 4
        assert max(np.diff([shot.at for shot in shots])) < scenes.LONGEST + 2 * scenes.GAP

    def test_a_black_film_gives_its_first_frame(self, tmp_path: Path) -> None:
        black = np.zeros_like(PICTURES[0])
        (shot,) = surveyed(make_film(tmp_path / "black.mp4", [black], 4))
        assert shot.at == 0

    def test_dark_parts_are_surveyed_to_the_end(self, tmp_path: Path) -> None:
        dark = [PICTURES[n] // 16 + 20 for n in (1, 2, 3)]
        shots = surveyed(make_film(tmp_path / "dark.mp4", [PICTURES[0], *dark], 4))
        assert [round(shot.at) for shot in shots] in ([0, 10, 12], [0, 10, 14], [0, 12], [0, 10])
        assert nearest(shots[0], [PICTURES[0], *dark]) == 0
        assert shots[-1].at > 8
        tail = surveyed(make_film(tmp_path / "tail.mp4", [PICTURES[0], dark[0]], 4))
        assert [shot.at for shot in tail] == [0, 4]

    @pytest.mark.parametrize("suffix", ["mp4", "mkv"])
    def test_another_track_that_isn_t_surveyed_leaves_words_incomplete(
        self, tmp_path: Path, suffix: str
    ) -> None:
        alone = make_film(tmp_path / f"alone.{suffix}", PICTURES[:1])
        assert surveyed(alone)[0].facts.texts_complete
        two = make_film(tmp_path / f"two.{suffix}", PICTURES[:2], tracks=2)
        assert [shot.facts.texts_complete for shot in surveyed(two)] == [False, False]
        assert not video.frame(two, 0.0, 64)[1].texts_complete

    def test_a_cover_leaves_words_incomplete(self, tmp_path: Path) -> None:
        (shot,) = surveyed(make_film(tmp_path / "cover.mp4", PICTURES[:1], cover=PICTURES[1]))
        assert nearest(shot) == 0
        assert not shot.facts.texts_complete

    def test_any_moment_can_be_named(self, tmp_path: Path) -> None:
        path = make_film(tmp_path / "film.mp4", PICTURES)
        photo, facts = reader.read(films.named(path, 7.3), 64)
        assert nearest(Shot(7.3, photo, facts)) == 2
        with pytest.raises(ImageError, match="shows no picture at 100 s"):
            reader.read(films.named(path, 100), 64)

    def test_phones_films_are_upright(self, tmp_path: Path) -> None:
        path = turned(make_film(tmp_path / "film.mp4", PICTURES[:1]))
        (shot,) = surveyed(path)
        upright = np.rot90(PICTURES[0], -1)
        assert shot.image.size == SIDES[::-1]
        assert (shot.facts.width, shot.facts.height) == SIDES[::-1]
        seen = np.asarray(shot.image, np.int16)
        assert np.abs(seen - upright.astype(np.int16)).mean() < 12

    def test_the_film_says_when_where_and_with_what(self, tmp_path: Path) -> None:
        tags = {
            "com.apple.quicktime.creationdate": "2021-05-03T12:30:00+0200",
            "creation_time": "2021-05-03T10:30:00Z",
            "com.apple.quicktime.location.ISO6709": "+55.7500+037.6200+144.000/",
            "com.apple.quicktime.make": "Apple",
            "com.apple.quicktime.model": "iPhone 12",
            "title": "Grandma's birthday",
        }
        path = make_film(tmp_path / "film.mov", PICTURES, tags=tags)
        first, *_, last = (shot.facts for shot in surveyed(path))
        assert first.taken == "2021-05-03T12:30:00"
        assert last.taken == "2021-05-03T12:30:09"
        assert (first.latitude, first.longitude) == (55.75, 37.62)
        assert first.camera == "Apple iPhone 12"
        assert first.texts == ("Grandma's birthday",)
        assert first.texts_complete

    def test_a_date_may_be_in_the_name_and_unset_clocks_say_none(self, tmp_path: Path) -> None:
        tags = {"creation_time": "1970-01-01T00:00:00Z"}
        path = make_film(tmp_path / "VID_20210503_101530.mp4", PICTURES[:1], tags=tags)
        assert surveyed(path)[0].facts.taken == "2021-05-03T10:15:30"
        nameless = make_film(tmp_path / "film.mp4", PICTURES[:1], tags=tags)
        assert surveyed(nameless)[0].facts.taken is None


@needs_av
class TestStrangersBytes:
    def refusal(self, path: Path) -> str:
        with pytest.raises(ImageError) as caught:
            list(surveyor.survey(path, 64))
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def test_what_is_no_film_is_one_line(self, tmp_path: Path) -> None:
        film = make_film(tmp_path / "film.mp4", PICTURES)
        cases = {
            "empty.mp4": b"",
            "text.mp4": b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
            "concat.avi": b"ffconcat version 1.0\nfile /etc/passwd\n",
            "photo.mp4": b"\xff\xd8\xff\xe0" + bytes(100),
            "cut.mp4": film.read_bytes()[:3000],
            "zeros.mkv": b"\x1a\x45\xdf\xa3" + bytes(5000),
        }
        for name, content in cases.items():
            path = tmp_path / name
            path.write_bytes(content)
            assert self.refusal(path).startswith("not a readable film ("), name
        assert "no moving picture" in self.refusal(make_sound(tmp_path / "sound.mp4"))
        assert "can't be read" in self.refusal(tmp_path / "gone.mp4")

    def test_a_film_that_is_cut_short_gives_what_is_there(self, tmp_path: Path) -> None:
        film = make_film(tmp_path / "film.mp4", PICTURES, faststart=True)
        film.write_bytes(film.read_bytes()[: film.stat().st_size * 2 // 3])
        assert nearest(surveyed(film)[0]) == 0

    def test_limits(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        film = make_film(tmp_path / "film.mp4", PICTURES)
        with monkeypatch.context() as patch:
            patch.setattr(video, "MAX_PIXELS", 6000)
            with pytest.raises(ImageError, match=r"96x64 pixels are more than are read"):
                surveyed(film)
        with monkeypatch.context() as patch:
            patch.setattr(video, "MAX_SECONDS", 5)
            with pytest.raises(ImageError, match="lasts more than"):
                surveyed(film)

    def test_a_process_that_takes_too_long_is_killed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(surveyor, "OPENING", 0.0)
        film = make_film(tmp_path / "film.mp4", PICTURES)
        assert "takes more than" in self.refusal(film)

    def test_a_process_that_dies_is_told_of(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(surveyor, "__name__", "no.such.module")
        assert self.refusal(tmp_path / "film.mp4") == surveyor.TOO_MUCH

    def test_damaged_films_raise_nothing_else(self, tmp_path: Path) -> None:
        whole = make_film(tmp_path / "film.mp4", PICTURES, 1).read_bytes()
        dice = random.Random(0)
        for number in range(12):
            content = bytearray(whole)
            for _ in range(dice.randrange(1, 200)):
                content[dice.randrange(len(content))] = dice.randrange(256)
            path = tmp_path / f"{number}.mp4"
            path.write_bytes(content)
            try:
                shots = list(surveyor.survey(path, 64))
            except ImageError as error:
                assert "\n" not in str(error)
            else:
                assert shots


class TestWalk:
    def entries(self, folder: Path) -> dict[str, tuple[str, str]]:
        return {one.path.name: (one.met, one.reason) for one in folders.walk(folder, Rules(folder))}

    def test_films_are_met_and_a_live_photo_is_one_photo(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("a.mp4", "IMG_1.HEIC", "IMG_1.MOV", "IMG_2.MOV", "b.ts", "a.mp4#t=3", "c.mxf"):
            (tmp_path / name).touch()
        monkeypatch.setattr(kinds, "reads_films", lambda: True)
        met = self.entries(tmp_path)
        assert met["a.mp4"] == met["IMG_2.MOV"] == ("film", "")
        assert met["IMG_1.MOV"] == ("ignored", folders.LIVE)
        assert met["b.ts"] == ("unsupported", "TS")
        assert "a.mp4#t=3" not in met
        assert list(folders.scan(tmp_path)) == [tmp_path / "IMG_1.HEIC"]
        monkeypatch.setattr(kinds, "reads_films", lambda: False)
        assert self.entries(tmp_path)["a.mp4"] == ("unsupported", "MP4")

    def test_a_film_named_as_a_photo_says_what_it_is(self, tmp_path: Path) -> None:
        path = tmp_path / "film.mp4"
        path.write_bytes(b"\0\0\0\x18ftypisom" + bytes(100))
        with pytest.raises(ImageError, match="a video: MP4"):
            images.decode(path, 64)
