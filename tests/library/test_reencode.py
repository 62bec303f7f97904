"""A library is switched to another encoder: it answers at every moment, and by one encoder alone."""

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from kadr.encoders import ImageEncoder, load_image_encoder
from kadr.encoders.vectors import BATCH
from kadr.errors import LibraryError
from kadr.law import copies, review, scene
from kadr.law.policy import PRESETS
from kadr.law.verdict import hidden
from kadr.library.ingest import Cost, IndexCallbacks, IndexResult
from kadr.library.library import Library
from kadr.matcher import bundle as matcher
from kadr.matcher.bundle import Matcher
from kadr.stores import open_store
from kadr.types import Filters, Picture, Vectors
from libraries import assert_same, colour_matcher, content, corner_matcher, paint

LAW = PRESETS["under-16"]
PLUGINS = Path(__file__).parents[1] / "plugins"
COUNT = 3 * BATCH + 5
COLOURS, CORNERS = "fake-colour-grid-4x4", "fake-corners"


class Watched:
    """An image encoder that calls something before each batch."""

    def __init__(self, inner: ImageEncoder, before: Callable[[int], None]) -> None:
        self._inner, self._before, self.batches = inner, before, 0
        self.name, self.dim, self.size = inner.name, inner.dim, inner.size

    def prepare(self, image: Image.Image) -> NDArray[np.uint8]:
        return self._inner.prepare(image)

    def encode(self, images: Sequence[NDArray[np.uint8]]) -> Vectors:
        self._before(self.batches)
        self.batches += 1
        return self._inner.encode(images)


def watched(before: Callable[[int], None]) -> Matcher:
    whole = corner_matcher()
    return replace(whole, image_encoder=Watched(whole.image_encoder, before))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number in range(COUNT):
        paint(tmp_path / "photos" / f"{number:03}.png", number)
    return tmp_path / "photos"


@pytest.fixture
def models(tmp_path: Path) -> tuple[Path, Path]:
    return (
        matcher.save(colour_matcher(), tmp_path / "colours"),
        matcher.save(corner_matcher(), tmp_path / "corners"),
    )


@pytest.fixture
def library(photos: Path, models: tuple[Path, Path], tmp_path: Path) -> Path:
    with Library.open(tmp_path / "library.kadr", model=models[0]) as opened:
        assert opened.index([photos]) == IndexResult(files=COUNT, encoded=COUNT)
    return tmp_path / "library.kadr"


def switch(library: Path, model: Matcher | Path, **more: Any) -> IndexResult:
    with Library.open(library, model=model) as opened:
        return opened.index(reencode=True, **more)


def sound(library: Path) -> None:
    with closing(open_store(library)) as store:
        assert store.check() == []


def fresh(library: Path, photos: Path, model: Matcher | Path) -> None:
    """What was switched holds what a new library would."""
    place = library.with_name("fresh.kadr")
    with Library.open(place, model=model) as opened:
        opened.index([photos])
    assert_same(content(library), content(place))


class TestSwitch:
    def test_old_vectors_answer_until_all_are_there(
        self, library: Path, photos: Path, models: tuple[Path, Path]
    ) -> None:
        with Library.open(library) as held:
            answers = [held.search("red", COUNT)]

            def look(_batch: int) -> None:
                with Library.open(library) as other:
                    assert other.encoder == COLOURS
                    answers.extend([held.search("red", COUNT), other.search("red", COUNT)])

            done = switch(library, watched(look))
            assert done == IndexResult(files=COUNT, unchanged=COUNT, reencoded=COUNT)
            assert len(answers) == 9
            assert all(answer == answers[0] for answer in answers)
            sound(library)
            fresh(library, photos, corner_matcher())
            held.store.note(model=str(models[1]))  # a matcher at hand has no folder
            after = held.search("red", COUNT)
            assert held.matcher.image_encoder.name == CORNERS
            with Library.open(library, model=models[1]) as other:
                assert other.search("red", COUNT) == after
            assert [hit.similarity for hit in after.hits] != [
                hit.similarity for hit in answers[0].hits
            ]

    def test_a_page_that_is_continued_after_it_is_no_error(
        self, library: Path, models: tuple[Path, Path]
    ) -> None:
        with Library.open(library) as held:
            first = held.search("red", 5)
            assert first.next is not None
            switch(library, models[1])
            second = held.search("red", 5, cursor=first.next)
            assert len(second.hits) == 5
            explained = held.explained("red", first)
            assert len(explained.hits) == 5
            assert all(hit.explanation is not None for hit in explained.hits)
            assert len(held.similar(int(first.hits[0].image.id), 5).hits) == 5
            assert held.score(int(first.hits[0].image.id), ["red"])
            assert held.explain("red", int(first.hits[0].image.id))

    def test_one_opened_with_a_model_says_that_it_no_longer_fits(
        self, library: Path, models: tuple[Path, Path]
    ) -> None:
        with Library.open(library, model=models[0]) as held:
            assert held.search("red").hits
            switch(library, models[1])
            with pytest.raises(LibraryError, match=f"holds vectors of {CORNERS}"):
                held.search("red")

    def test_whoever_watches_goes_on_with_the_new_one(
        self, library: Path, photos: Path, models: tuple[Path, Path]
    ) -> None:
        with Library.open(library) as held:
            assert held.matcher.image_encoder.name == COLOURS
            switch(library, models[1])
            paint(photos / "new.png", 900)
            assert held.index().encoded == 1
            assert held.encoder == CORNERS
        fresh(library, photos, models[1])

    @pytest.mark.parametrize("at", [0, 1, 3])
    def test_interrupted_it_goes_on(self, library: Path, photos: Path, at: int) -> None:
        def stop(batch: int) -> None:
            if batch == at:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            switch(library, watched(stop))
        sound(library)
        with Library.open(library) as opened:
            assert opened.encoder == COLOURS
            assert len(opened.search("red", COUNT).hits) == COUNT
            paint(photos / "new.png", 900)
            assert opened.index() == IndexResult(files=COUNT + 1, unchanged=COUNT, encoded=1)
        costs: list[Cost] = []
        done = switch(library, corner_matcher(), callbacks=IndexCallbacks(cost=costs.append))
        left = COUNT + 1 - at * BATCH
        assert done == IndexResult(files=COUNT + 1, unchanged=COUNT + 1, reencoded=left)
        assert [(c.encoder, c.photos, c.bytes, c.law) for c in costs] == [
            (CORNERS, left, left * 48, False)
        ]
        sound(library)
        fresh(library, photos, corner_matcher())

    def test_without_a_model_it_goes_on_with_the_one_that_was_begun(
        self, library: Path, models: tuple[Path, Path]
    ) -> None:
        def stop(_photos: int, _skipped: int, _total: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            switch(library, models[1], callbacks=IndexCallbacks(progress=stop))
        with Library.open(library) as opened:
            left = COUNT - opened.store.vector_sets()[CORNERS]
            assert 0 < left < COUNT
            assert opened.index(reencode=True).reencoded == left
            assert opened.encoder == CORNERS
        with Library.open(library) as opened:
            assert opened.search("red").hits
            assert opened.index(reencode=True).reencoded == 0

    def test_it_is_refused_where_most_photos_would_be_lost(
        self, library: Path, photos: Path
    ) -> None:
        away = photos.with_name("away")
        away.mkdir()
        for path in sorted(photos.iterdir())[: COUNT // 2 + 1]:
            path.rename(away / path.name)
        with pytest.raises(LibraryError, match=f"{COUNT // 2 + 1} of its photos can't be read"):
            switch(library, corner_matcher())
        with Library.open(library) as opened:
            assert opened.encoder == COLOURS

    def test_what_an_unfinished_one_left_can_be_forgotten(self, library: Path) -> None:
        def stop(batch: int) -> None:
            if batch == 1:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            switch(library, watched(stop))
        with Library.open(library) as opened:
            assert opened.store.vector_sets() == {CORNERS: BATCH}
            opened.index(reencode=True)
            assert opened.store.vector_sets() == {}

    def test_photos_that_are_gone_wait(self, library: Path, photos: Path) -> None:
        away = shutil.move(photos / "000.png", photos.parent / "away.png")
        paint(photos / "001.png", 700)  # another content by now
        with Library.open(library, model=corner_matcher()) as opened:
            done = opened.index(reencode=True)
            assert (done.reencoded, done.waiting, done.encoded) == (COUNT - 2, 2, 1)
            assert opened.encoder == CORNERS
            assert len(opened.search("red", COUNT).hits) == COUNT - 1
            shutil.move(away, photos / "000.png")
            assert opened.index().encoded == 1
            assert len(opened.search("red", COUNT).hits) == COUNT
        sound(library)

    def test_a_photo_that_waits_can_be_ruled_on(
        self, library: Path, photos: Path, models: tuple[Path, Path]
    ) -> None:
        """By its path and by its digest; the decision holds once it is back."""
        away = shutil.move(photos / "000.png", photos.parent / "away.png")
        with Library.open(library, model=models[1]) as opened:
            assert opened.index(reencode=True).waiting == 1
            digest = review.find(opened.store, str(photos / "000.png"))
            assert review.find(opened.store, digest) == digest
            assert review.find(opened.store, str(away)) == digest
            assert review.is_known(opened.store, digest)
            assert not review.is_known(opened.store, "0" * 64)
            assert opened.rule(digest, review.ruling("hide", "Anna")) == "ruled"
            shutil.move(away, photos / "000.png")
            assert opened.index().encoded == 1
            number = opened.store.number(digest)
            assert number is not None
            assert hidden(opened.store, LAW, [number]) == {number}

    def test_a_matcher_at_hand_leaves_no_note_of_the_one_before(
        self, library: Path, models: tuple[Path, Path]
    ) -> None:
        switch(library, corner_matcher())
        with Library.open(library) as opened:
            assert opened.store.meta("model") == ""
        with Library.open(library, model=corner_matcher()) as opened:
            assert len(opened.search("red", COUNT).hits) == COUNT
        switch(library, models[0])
        with Library.open(library, model=colour_matcher()) as opened:
            opened.index(reencode=True)  # the same encoder: its folder stays
            assert opened.store.meta("model") == str(models[0])

    def test_the_cost_is_told_by_a_batch_that_doesnt_wait_for_the_model_to_start(
        self, library: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A clock of which the first batch takes ten seconds and each other one a second."""
        now = [0.0]
        monkeypatch.setattr("kadr.library.reencode.time.monotonic", lambda: now[0])

        def work(batch: int) -> None:
            now[0] += 1.0 if batch else 10.0

        costs: list[Cost] = []
        switch(library, watched(work), callbacks=IndexCallbacks(cost=costs.append))
        assert [cost.seconds for cost in costs] == [pytest.approx(COUNT / BATCH)]

    def test_without_any_photo_it_stays(self, library: Path, photos: Path) -> None:
        photos.rename(photos.with_name("unplugged"))
        with Library.open(library, model=corner_matcher()) as opened:
            with pytest.raises(LibraryError, match="of its photos can't be read"):
                opened.index(reencode=True)
            assert opened.encoder == COLOURS
        photos.with_name("unplugged").rename(photos)
        with Library.open(library) as opened:
            assert len(opened.search("red", COUNT).hits) == COUNT


CHILD = """
import sys, time
from pathlib import Path
from kadr.library.library import Library
from kadr.matcher import bundle

library, model, pause = sys.argv[1:]
loaded = bundle.load(Path(model))
fast = loaded.image_encoder.encode

def encode(images):
    time.sleep(float(pause))
    return fast(images)

loaded.image_encoder.encode = encode
print("ready", flush=True)
with Library.open(Path(library), model=Path(model), load=lambda _: loaded) as opened:
    print(opened.index(reencode=True).reencoded, flush=True)
"""


@pytest.fixture
def start(library: Path, models: tuple[Path, Path]) -> Iterator[Callable[..., Any]]:
    """Start a process that switches a library to a model, slowly."""
    started: list[subprocess.Popen[str]] = []

    def run(model: Path, pause: float) -> "subprocess.Popen[str]":
        paths = str(PLUGINS), os.environ.get("PYTHONPATH")
        child = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", CHILD, library, model, str(pause)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        )
        started.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        return child

    yield run
    for child in started:
        child.kill()
        child.wait()
        if child.stdout:
            child.stdout.close()


def test_a_killed_switch_goes_on(
    library: Path, photos: Path, models: tuple[Path, Path], start: Callable[..., Any]
) -> None:
    """SIGKILL at any instant: what is kept stays, and the old vectors answer."""
    instants, before = random.Random(3), 0
    for _ in range(5):
        child = start(models[1], 0.03)
        time.sleep(instants.uniform(0, 0.1))
        child.kill()
        child.wait()
        sound(library)
        with Library.open(library) as opened:
            kept = opened.store.vector_sets().get(CORNERS, 0)
            assert opened.encoder == CORNERS or kept >= before, "what was kept stays"
            before = kept
            assert len(opened.search("red", COUNT).hits) == COUNT
    switch(library, models[1])
    sound(library)
    fresh(library, photos, models[1])


def test_two_processes_every_search_answers_by_one_encoder(
    library: Path, models: tuple[Path, Path], start: Callable[..., Any]
) -> None:
    """While another process switches there and back, each answer is that of one of the two."""

    def answer(held: Library) -> tuple[tuple[str, float], ...]:
        found = held.search("a red dog and a blue car", COUNT)
        assert len(found.hits) == COUNT
        return tuple((hit.image.digest, round(hit.similarity, 4)) for hit in found.hits)

    expected = {}
    for model in models[1], models[0]:
        switch(library, model)
        with Library.open(library) as opened:
            expected[answer(opened)] = model.name
    assert sorted(expected.values()) == ["colours", "corners"]
    met = []
    with Library.open(library) as held:
        for model in (*models[::-1], models[1]):
            child = start(model, 0.02)
            while child.poll() is None:
                met.append(expected[answer(held)])
            assert child.returncode == 0
            met.append(expected[answer(held)])
            assert met[-1] == model.name
    assert len(met) > 20


# The law.


class LawsOwn:
    """Stands for mini's image encoder: its vectors say of a photo what a test wants."""

    name, dim, size = scene.load().encoder, len(scene.load().first.hidden), 64

    def prepare(self, image: Image.Image) -> NDArray[np.uint8]:
        return np.asarray(image.resize((4, 4), Image.Resampling.BOX))

    def encode(self, images: Sequence[NDArray[np.uint8]]) -> Vectors:
        seeds = [int(one.astype(np.int64).sum()) for one in images]
        return np.stack([np.random.default_rng(n).normal(size=self.dim) for n in seeds]).astype(
            np.float32
        )


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> LawsOwn:
    encoder = LawsOwn()
    monkeypatch.setattr(scene, "image_encoder", lambda: encoder)
    return encoder


def lawful(own: LawsOwn) -> Matcher:
    """A matcher of the law's encoder; its ranking means nothing."""
    whole = colour_matcher()
    space, random_ = whole.alignment, np.random.default_rng(0)
    wide = replace(
        space,
        image_mean=np.zeros(own.dim, np.float32),
        image_map=random_.normal(size=(own.dim, space.image_map.shape[1])).astype(np.float32),
    )
    return replace(whole, image_encoder=own, alignment=wide)


def everything(library: Library) -> list[int]:
    numbers: list[int] = library.store.matching(Filters()).tolist()
    return numbers


def scenes(library: Library) -> dict[int, float | None]:
    found = library.store.assessments(everything(library))
    return {number: one.scene for number, one in found.items()}


class TestLaw:
    def test_it_encodes_beside_another_encoder(
        self, own: LawsOwn, library: Path, photos: Path
    ) -> None:
        """A policy that hides is first used: all wait until they have the law's vectors too."""
        with Library.open(library, model=colour_matcher(), policy=LAW) as opened:
            assert hidden(opened.store, LAW, everything(opened)) == set(everything(opened))
            assert all(seen is None for seen in scenes(opened).values())
            costs: list[Cost] = []
            paint(photos / "new.png", 900)
            done = opened.index(callbacks=IndexCallbacks(cost=costs.append))
            assert (done.encoded, done.unchanged) == (1, COUNT)
            assert [(c.encoder, c.photos, c.law) for c in costs] == [
                (own.name, 1, True),
                (own.name, COUNT, True),
            ]
            assert opened.store.vector_sets() == {own.name: COUNT + 1}
            numbers, rows = opened.store.vectors(everything(opened), own.name)
            made = scene.load()
            sure = ~made.is_unsure(made.log_odds(rows))  # the others were looked at twice
            expected = dict(zip(numbers.tolist(), made.probability(rows).tolist(), strict=True))
            told, certain = scenes(opened), numbers[sure].tolist()
            assert len(certain) > COUNT / 2
            assert {n: told[n] for n in certain} == pytest.approx(
                {n: expected[n] for n in certain}, abs=1e-6
            )
            assert None not in told.values()
            assert opened.index(callbacks=IndexCallbacks(cost=costs.append)).unchanged == COUNT + 1
            assert len(costs) == 2, "nothing is paid twice"
            assert opened.store.unassessed(opened._assessor.version) == []
            picture = Picture("", np.zeros((64, 64, 3), np.uint8))
            assert isinstance(opened.refuses(picture), bool)
        sound(library)

    def test_without_a_law_nothing_is_paid(
        self, own: LawsOwn, library: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(scene, "image_encoder", lambda: pytest.fail("it was loaded"))
        with Library.open(library, model=colour_matcher()) as opened:
            opened.index(reencode=True)
            assert opened.store.vector_sets() == {}

    def test_what_can_t_be_read_waits_and_is_assessed_once(
        self, own: LawsOwn, library: Path, photos: Path
    ) -> None:
        with Library.open(library, model=colour_matcher(), policy=LAW) as opened:
            shutil.move(photos / "000.png", photos.parent / "away.png")
            opened.index()
            (gone,) = [n for n, seen in scenes(opened).items() if seen is None]
            assert gone in hidden(opened.store, LAW, [gone])
            shutil.move(photos.parent / "away.png", photos / "000.png")
            before = len(list(opened.store.entries("assessed")))
            opened.index()
            assert scenes(opened)[gone] is not None
            opened.index()
            assert len(list(opened.store.entries("assessed"))) == before + 1

    def test_a_hidden_photo_is_hidden_at_every_moment(
        self, own: LawsOwn, photos: Path, tmp_path: Path
    ) -> None:
        """From the law's encoder to another and back: by a person, by the scene, and as a copy."""
        path = tmp_path / "lawful.kadr"
        with Library.open(path, model=lawful(own), policy=LAW) as opened:
            opened.index([photos])
            numbers = everything(opened)
            shown = [n for n in numbers if n not in hidden(opened.store, LAW, numbers)]
            ruled = opened.store.stored(opened.store.present(shown[:1]))[shown[0]]
            review.decide(opened.store, ruled.digest, review.ruling("hide", "Anna"))
            concealed = hidden(opened.store, LAW, numbers)
            assert {shown[0]} < concealed < set(numbers)
            assessed = opened.store.assessments(numbers)
        looks = []

        def look(_batch: int) -> None:
            with closing(open_store(path)) as store:
                looks.append(hidden(store, LAW, numbers))
            with Library.open(path, model=lawful(own), policy=LAW) as other:
                found = other.search("red", COUNT).hits
                looks.append(set(numbers) - {int(hit.image.id) for hit in found})

        for model in (watched(look), lawful(own)):
            with Library.open(path, model=model, policy=LAW) as opened:
                opened.index(reencode=True)
                assert hidden(opened.store, LAW, numbers) == concealed
                assert opened.store.assessments(numbers) == assessed, "none is lost, none made anew"
                found = opened.search("red", COUNT).hits
                assert {int(hit.image.id) for hit in found} == set(numbers) - concealed
        assert len(looks) == 8
        assert all(one == concealed for one in looks)
        sound(path)

    def test_a_law_that_was_in_force_keeps_its_vectors(
        self, own: LawsOwn, photos: Path, tmp_path: Path
    ) -> None:
        path = tmp_path / "lawful.kadr"
        with Library.open(path, model=lawful(own), policy=LAW) as opened:
            opened.index([photos])
        with Library.open(path, model=corner_matcher()) as opened:
            opened.index(reencode=True)
            assert opened.store.vector_sets() == {own.name: COUNT}

    def test_an_assessment_without_the_scene_frees_no_copy(
        self, own: LawsOwn, photos: Path, tmp_path: Path
    ) -> None:
        path = tmp_path / "lawful.kadr"
        shutil.copy(photos / "000.png", photos / "child.png")
        with (photos / "child.png").open("ab") as file:
            file.write(b"\0")
        with Library.open(path, model=lawful(own)) as opened:
            opened.index([photos])
            original, copy = (
                opened.store.number(opened.store.digest_at(photos / name) or "")
                for name in ("child.png", "000.png")
            )
            assert original is not None
            assert copy is not None
            known = opened.store.assessments([original, copy])
            opened.store.keep_assessments(
                {
                    original: replace(known[original], probability=0.9),
                    copy: replace(known[copy], probability=0.0),
                }
            )
            copies.CopyFinder(opened.store).keep([original])
            assert copy in hidden(opened.store, LAW, [copy])
        with Library.open(path, model=corner_matcher()) as opened:
            opened.index(reencode=True)
            assert opened.store.vector_sets() == {}
            (photos / "child.png").rename(photos / "renamed.png")
            opened.index()
            assert opened.store.assessments([original])[original].failed == ("scene",)
            assert copy in hidden(opened.store, LAW, [copy])


def test_the_law_s_encoder_is_that_of_its_classifier() -> None:
    assert scene.image_encoder().name == scene.load().encoder
    assert scene.image_encoder().size == scene.SIDE
    assert load_image_encoder("corners").name == CORNERS
