"""Why a photo was found: what each word did, and where the match lies."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from kadr.data import dataset
from kadr.matcher import bundle as matcher
from kadr.matcher import explain, relevance
from kadr.matcher.alignment import Alignment
from kadr.matcher.bundle import Matcher
from kadr.matcher.explain import MOST_WORDS, spans, without
from kadr.matcher.relevance import Embeddings, Examples
from kadr.photos.images import decode
from kadr.report.heatmap import overlay
from kadr.types import Floats, Vectors, WordEffect

COLOURS = ("red", "green", "blue")
PALETTE = {"red": (250, 10, 10), "green": (10, 250, 10), "blue": (10, 10, 250)}
ROWS, COLUMNS = 2, 4
NOUNS = re.compile(
    "(dog|boy|girl|bike|bird|horse|shirt|hat|car|rock|ball)s?|m[ae]n|wom[ae]n|child(ren)?|people|"
    "person|snow|beach|water|grass|bicycle|street|mountain|field",
    re.IGNORECASE,
)
FUNCTION_WORDS = re.compile("an?|the|in|on|of|at|to|and|with|is|are|by|from|into", re.IGNORECASE)
TEXTS = st.text(max_size=80) | st.text("ab é'’-.,! \n\u0301\u200c", max_size=30)


class Places:
    """Mean colour of a photo, and of each of 2x4 places."""

    name, dim, size = "colours-in-places", 3, 8

    def prepare(self, image: Image.Image) -> NDArray[np.uint8]:
        return np.asarray(image.resize((COLUMNS, ROWS), Image.Resampling.BOX))

    def encode(self, images: Sequence[NDArray[np.uint8]]) -> Vectors:
        return np.asarray(self.locate(images).sum((1, 2)))

    def locate(self, images: Sequence[NDArray[np.uint8]]) -> Vectors:
        return np.stack(images).astype(np.float32) / np.float32(255 * ROWS * COLUMNS)


class Palette:
    """How often a text names each colour; any other word is nothing."""

    name, dim = "names-of-colours", 3

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.batches.append(list(texts))
        return np.array([[t.lower().count(c) for c in COLOURS] for t in texts], np.float32)


class Blind:
    """Places, without telling where."""

    name, dim, size = "colours", 3, 8
    prepare, encode = Places.prepare, Places.encode


@pytest.fixture(scope="module")
def colours() -> Matcher:
    """Finds photos by the names of their colours, having learned from random ones."""
    random = np.random.default_rng(0)
    pictures = random.dirichlet(np.full(3, 0.3), 400).astype(np.float32)
    named = random.integers(0, 2, (400, 3)).astype(np.float32)
    image_bank, text_bank = (
        np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))
        for rows in (pictures, named + np.float32(0.1))
    )
    mean = np.full(3, 0.3, np.float32)
    # A mean that isn't zero and a map that turns: both must be shared out among the places.
    turn = np.array([[1, 0.2, 0], [-0.2, 1, 0], [0, 0.1, 0.9]], np.float32)
    space = Alignment(mean, turn, mean, turn, image_bank, text_bank, np.full(3, 0.7, np.float32))
    images = Embeddings(pictures, space.images(pictures))
    texts = Embeddings(named, space.texts(named))
    match = (pictures * named).sum(1) > 0.5
    truth: Floats = match.astype(np.float64)
    groups = [str(number) for number in range(400)]
    head = relevance.fit(Examples(images, texts, truth, np.ones(400), groups, truth))
    return Matcher("places", "palette", Places(), Palette(), space, head)


def striped(path: Path, *stripes: str) -> Path:
    """A photo of four vertical stripes."""
    photo = Image.new("RGB", (80, 40))
    for number, name in enumerate(stripes):
        photo.paste(PALETTE[name], (20 * number, 0, 20 * number + 20, 40))
    photo.save(path)
    return path


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("explain")
    return [
        striped(folder / "red.png", "red", "red", "red", "green"),
        striped(folder / "blue.png", "blue", "red", "blue", "blue"),
    ]


def side(scorer: Matcher, paths: Sequence[Path]) -> Embeddings:
    encoder = scorer.image_encoder
    pixels = [encoder.prepare(decode(path, encoder.size)) for path in paths]
    return scorer.images(encoder.encode(pixels))


class TestWords:
    def test_a_word_of_the_photo_pulls_up_and_one_of_another_down(
        self, colours: Matcher, paths: list[Path]
    ) -> None:
        red, blue = explain.words(colours, "Red over blue!", side(colours, paths))
        assert [effect.word for effect in red] == ["Red", "over", "blue"]
        up, nothing, down = (effect.effect for effect in red)
        assert up is not None
        assert down is not None
        assert up > 0.5
        assert down < -0.5
        assert nothing == pytest.approx(0)
        assert (blue[0].effect or 0) < 0 < (blue[2].effect or 0)

    def test_an_effect_is_the_change_of_log_odds(self, colours: Matcher, paths: list[Path]) -> None:
        images = side(colours, paths)
        texts = colours.texts(colours.text_encoder.encode(["red green", "green", "red"]))
        probability = colours.relevance.table(images, texts)
        whole, *parts = np.log(probability / (1 - probability))
        found = explain.words(colours, "red green", images)
        effects = np.array([[effect.effect for effect in row] for row in found])
        np.testing.assert_allclose(effects, np.stack([whole - part for part in parts], axis=1))

    @pytest.mark.parametrize("text", ["red", "Red!", "« red »"])
    def test_the_only_word_has_no_effect_to_tell(
        self, colours: Matcher, paths: list[Path], text: str
    ) -> None:
        (row, _) = explain.words(colours, text, side(colours, paths))
        assert row == (WordEffect(text.strip("«! »"), None),)

    def test_the_only_known_word_has_none_either(self, colours: Matcher, paths: list[Path]) -> None:
        (row, _) = explain.words(colours, "something red", side(colours, paths))
        assert row == (WordEffect("something", 0.0), WordEffect("red", None))

    @pytest.mark.parametrize("text", ["", " ", "?!", "…"])
    def test_no_word_no_effect(self, colours: Matcher, paths: list[Path], text: str) -> None:
        assert explain.words(colours, text, side(colours, paths)) == ((), ())

    def test_all_texts_are_encoded_together(self, colours: Matcher, paths: list[Path]) -> None:
        encoder = Palette()
        explain.words(replace(colours, text_encoder=encoder), "red and blue", side(colours, paths))
        assert encoder.batches == [["red and blue", "and blue", "red blue", "red and"]]


class TestSpans:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("A dog's T-shirt, and a mother-in-law.", "A|dog's|T-shirt|and|a|mother-in-law"),
            ("'quoted' - and rock ’n’ roll", "quoted|and|rock|n|roll"),
            ("Ёж и что-то ещё…", "Ёж|и|что-то|ещё"),
            ("и\u0306ог cafe\u0301", "и\u0306ог|cafe\u0301"),  # letters with marks of their own
            ("कुत्ता दौड़ता", "कुत्ता|दौड़ता"),
            ("می\u200cخواهم", "می\u200cخواهم"),
            ("10 men, 2nd floor; a--b", "10|men|2nd|floor|a|b"),
            ("狗在跑", "狗在跑"),
        ],
    )
    def test_words(self, text: str, words: str) -> None:
        assert [text[span] for span in spans(text)] == words.split("|")

    @given(TEXTS)
    def test_words_stand_where_they_are_said_to(self, text: str) -> None:
        found = spans(text)
        assert all(text[span].strip() == text[span] != "" for span in found)
        assert all(a.stop < b.start for a, b in pairwise(found))
        between = [text[a.stop : b.start] for a, b in pairwise(found)]
        assert not any(c.isalnum() for gap in between for c in gap)
        assert len(found) == MOST_WORDS or sum(map(str.isalnum, text)) == sum(
            c.isalnum() for span in found for c in text[span]
        )

    @given(TEXTS)
    def test_without_a_word_the_others_are_left(self, text: str) -> None:
        words = [text[span] for span in spans(text)]
        for number, span in enumerate(spans(text)):
            rest = without(text, span)
            left = [rest[place] for place in spans(rest)][: len(words) - 1]
            assert left == words[:number] + words[number + 1 :]

    def test_punctuation_stays_in_its_place(self) -> None:
        text = "A dog, a cat"
        assert [without(text, span) for span in spans(text)] == [
            *("dog, a cat", "A, a cat", "A dog, cat", "A dog, a"),
        ]

    def test_a_long_text_is_explained_at_its_beginning(self) -> None:
        text = " ".join(f"word{number}" for number in range(500))
        assert [text[span] for span in spans(text)] == text.split()[:MOST_WORDS]


def openers(paths: Sequence[Path]) -> list[Callable[[int], Image.Image]]:
    return [partial(decode, path) for path in paths]


class TestHeat:
    def test_adds_up_to_the_cosine(self, colours: Matcher, paths: list[Path]) -> None:
        images = side(colours, paths)
        for text in ("red", "green and blue", "nothing known"):
            query = colours.texts(colours.text_encoder.encode([text]))
            _, cosines = colours.pairs(images, query.take(np.zeros(2, np.intp)))
            heats = explain.heat(colours, text, openers(paths))
            sums = [float(places.sum()) for places in heats if places is not None]
            np.testing.assert_allclose(sums, cosines, atol=1e-6)

    def test_is_where_the_colour_is(self, colours: Matcher, paths: list[Path]) -> None:
        for text, hottest in (("red", [1]), ("blue", [0, 2, 3])):
            _, places = explain.heat(colours, text, openers(paths))
            assert places is not None
            assert places.shape == (ROWS, COLUMNS)
            assert places.dtype == np.float32
            others = [column for column in range(COLUMNS) if column not in hottest]
            assert places[:, hottest].min() > places[:, others].max()

    def test_none_where_it_can_not_be_told(self, colours: Matcher, paths: list[Path]) -> None:
        blind = replace(colours, image_encoder=Blind())
        assert explain.heat(blind, "red", openers(paths)) == (None, None)

    def test_none_where_the_photo_is_gone(
        self, colours: Matcher, paths: list[Path], tmp_path: Path
    ) -> None:
        gone, there = explain.heat(colours, "red", openers([tmp_path / "gone.png", paths[0]]))
        assert gone is None
        assert there is not None


def test_explanations_hold_words_and_places(colours: Matcher, paths: list[Path]) -> None:
    images = side(colours, paths)
    found = explain.explain(colours, "red and blue", images, openers(paths))
    assert [why.words for why in found] == list(explain.words(colours, "red and blue", images))
    for why, places in zip(
        found, explain.heat(colours, "red and blue", openers(paths)), strict=True
    ):
        assert why.heat is not None
        assert places is not None
        np.testing.assert_array_equal(np.array(why.heat, np.float32), places)
    assert explain.explain(colours, "red", images.take(np.array([], np.intp)), []) == ()


class TestOverlay:
    def test_is_light_where_it_is_hot_and_dark_elsewhere(self) -> None:
        photo = Image.new("RGB", (140, 70), (120, 120, 120))
        heat = np.full((7, 7), -0.01)
        heat[1, 5] = 0.03
        light = np.asarray(overlay(photo, heat).convert("L"), dtype=np.float32)
        assert light.shape == (70, 140)
        row, column = divmod(int(light.argmax()), 140)
        assert (row // 10, column // 20) == (1, 5)
        assert light.max() > 150
        assert light[50:, :60].max() < 90
        steps = np.abs(np.diff(light, axis=1)).max()
        assert steps < 20, "smooth: no edge of a place shows"

    @pytest.mark.parametrize("heat", [-1.0, 0.0])
    def test_nothing_warm_leaves_the_photo(self, heat: float) -> None:
        photo = Image.effect_noise((30, 20), 50).convert("RGB")
        shown = overlay(photo, np.full((7, 7), heat))
        assert shown is not photo
        np.testing.assert_array_equal(np.asarray(shown), np.asarray(photo))

    def test_takes_the_heat_of_an_explanation(self) -> None:
        photo = Image.new("RGB", (1, 3), "white")
        assert overlay(photo, ((0.1, -0.2), (0.0, 0.3))).size == (1, 3)


@pytest.fixture(scope="module")
def captioned(archive: Path) -> list[tuple[str, Path]]:
    """A caption of each test photo, and the photo's path."""
    found = dataset.load(archive)
    captions = {query.image: query.text for query in found.test_queries}
    pairs = [(captions[name], path) for name, path in sorted(found.test_images.items())]
    assert len(pairs) == 100
    return pairs


@pytest.mark.archive
class TestRealPhotos:
    def test_nouns_speak_for_their_photos(self, captioned: list[tuple[str, Path]]) -> None:
        """Measured on all 100: the mean is 0.98 for nouns, 79 % above 0; 0.03 for
        function words.
        """
        mini = matcher.load()
        effects: list[WordEffect] = []
        for text, path in captioned[::4]:
            effects += explain.words(mini, text, side(mini, [path]))[0]

        def of(words: re.Pattern[str]) -> Floats:
            return np.array([e.effect for e in effects if words.fullmatch(e.word)])

        nouns, others = of(NOUNS), of(FUNCTION_WORDS)
        assert len(nouns) > 20
        assert nouns.mean() > 0.5
        assert (nouns > 0).mean() > 0.7
        assert abs(others.mean()) < 0.15

    def test_heat_adds_up_to_the_cosine(self, captioned: list[tuple[str, Path]]) -> None:
        mini = matcher.load()
        for text, path in captioned[:10]:
            query = mini.texts(mini.text_encoder.encode([text]))
            _, (cosine,) = mini.pairs(side(mini, [path]), query)
            (places,) = explain.heat(mini, text, openers([path]))
            assert places is not None
            assert float(places.sum()) == pytest.approx(cosine, abs=1e-4)

    def test_two_things_in_one_photo_are_in_two_places(self, archive: Path) -> None:
        """A girl on the left, ducks on the right: seen by eye."""
        mini, path = matcher.load(), archive / "test_images" / "607339469_af851c4119.jpg"
        hottest = []
        for text in ("a girl in a purple shirt", "ducks"):
            (places,) = explain.heat(mini, text, openers([path]))
            assert places is not None
            hottest.append(int(places.sum(0).argmax()))
        girl, ducks = hottest
        assert girl <= 3
        assert ducks >= 4
