"""Text encoders that learn their words: from training texts alone, and once for all."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kadr.data import dataset
from kadr.data import drawn as scenes
from kadr.encoders import TextEncoder, load_text_encoder, state
from kadr.encoders.vectors import VectorCache
from kadr.errors import KadrError
from kadr.matcher import bundle as matcher
from kadr.matcher.bundle import WEIGHTS, Matcher
from kadr.metrics import resampling
from kadr.study import compare as flow
from kadr.study import train
from kadr.study.train import Config
from kadr.types import Dataset, Interval

CONFIG = Config(image_encoder="colours", text_encoder="learned-words", policy="none")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path = tmp_path_factory.mktemp("learned") / "archive"
    scenes.generate(path, images=60, seed=3)
    return dataset.load(path)


@pytest.fixture(scope="module")
def cache() -> Iterator[VectorCache]:
    found = VectorCache(Path(":memory:"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def trained(drawn: Dataset, cache: VectorCache) -> Matcher:
    return train.train(drawn, CONFIG, cache).matcher


@pytest.fixture
def taught(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The texts of each call to `load_text_encoder` in a comparison."""
    calls: list[tuple[str, ...]] = []

    def spy(spec: str, *, texts: Sequence[str] = (), **rest: Any) -> TextEncoder:
        calls.append(tuple(texts))
        return load_text_encoder(spec, texts=texts, **rest)

    monkeypatch.setattr(flow, "load_text_encoder", spy)
    monkeypatch.setattr(flow, "RESAMPLES", 50)
    real = resampling.bootstrap

    def bootstrap(*arguments: Any, **options: Any) -> Interval:
        return real(*arguments, **options | {"resamples": 20})

    monkeypatch.setattr(resampling, "bootstrap", bootstrap)
    return calls


def test_state_is_what_restores_it() -> None:
    one = load_text_encoder("learned-words", texts=["a red car", "a dog"])
    assert state(one)["words"].tolist() == ["a", "car", "dog", "red"]
    two = load_text_encoder("learned-words", arrays=state(one))
    assert (two.name, two.dim) == (one.name, one.dim)
    texts = ["a red dog", "nothing", ""]
    np.testing.assert_array_equal(one.encode(texts), two.encode(texts))
    other = load_text_encoder("learned-words", texts=["a blue car"])
    assert other.name != one.name


def test_others_have_no_state() -> None:
    assert state(load_text_encoder("words")) == {}
    assert state(load_text_encoder("words", texts=["a", "b"])) == {}


def test_without_texts_it_says_how_to_train_it() -> None:
    with pytest.raises(KadrError, match="kadr train"):
        load_text_encoder("learned-words")


def test_words_are_those_of_training_texts(drawn: Dataset, trained: Matcher) -> None:
    lesson = train.gather(drawn, CONFIG)
    texts = {drawn.queries[item.query].text for item in lesson.labels}
    expected = load_text_encoder("learned-words", texts=sorted(texts))
    assert trained.text_encoder.name == expected.name


def test_a_bundle_holds_its_words(trained: Matcher, tmp_path: Path) -> None:
    folder = matcher.save(trained, tmp_path / "bundle")
    loaded = matcher.load(folder)
    assert loaded.text_encoder.name == trained.text_encoder.name
    texts = ["a red car near a tree", "something unheard-of"]
    np.testing.assert_array_equal(
        loaded.text_encoder.encode(texts), trained.text_encoder.encode(texts)
    )
    np.testing.assert_array_equal(
        state(loaded.text_encoder)["words"], state(trained.text_encoder)["words"]
    )


def test_same_inputs_give_the_same_bytes(
    drawn: Dataset, cache: VectorCache, trained: Matcher, tmp_path: Path
) -> None:
    one = matcher.save(trained, tmp_path / "one")
    two = matcher.save(train.train(drawn, CONFIG, cache).matcher, tmp_path / "two")
    assert (one / WEIGHTS).read_bytes() == (two / WEIGHTS).read_bytes()


def test_a_bundle_that_lost_its_words_is_refused(trained: Matcher, tmp_path: Path) -> None:
    """Saved by a version that kept no words, say."""
    wordless = replace(trained, text_encoder=load_text_encoder("words"))
    folder = matcher.save(wordless, tmp_path / "bundle")
    with pytest.raises(KadrError, match="learned-words"):
        matcher.load(folder)


def test_words_of_held_out_judgements_are_not_learned(
    drawn: Dataset, cache: VectorCache, trained: Matcher
) -> None:
    """A text that no training image was judged with is never read in training."""
    lesson = train.gather(drawn, CONFIG)
    used = {item.query for item in lesson.labels}
    spare = sorted(drawn.queries.keys() - used)
    query = spare[0] if spare else "nobody_asks.jpg#0"
    other = replace(drawn.queries[next(iter(drawn.queries))], id=query, text="Zyzzyva !")
    changed = replace(drawn, queries={**drawn.queries, query: other})
    again = train.train(changed, CONFIG, cache).matcher
    assert again.text_encoder.name == trained.text_encoder.name


def test_comparing_learns_words_without_each_fold(
    drawn: Dataset, cache: VectorCache, tmp_path: Path, taught: list[tuple[str, ...]]
) -> None:
    concat = replace(CONFIG, features="concat")
    found = flow.compare(drawn, [CONFIG, concat], cache, tmp_path)
    assert len(found.rows) == 2
    everything, *folds = [set(texts) for texts in taught]
    assert len(folds) == 5  # once for both combinations
    left_out = [everything - part for part in folds]
    assert all(part < everything for part in folds)
    assert set.union(*left_out) == everything
    assert sum(map(len, left_out)) == len(everything)
    lesson = train.gather(drawn, CONFIG)
    assert everything == {drawn.queries[item.query].text for item in lesson.labels}


def test_comparing_scores_a_fold_in_the_space_of_its_own_words(
    drawn: Dataset, cache: VectorCache, tmp_path: Path, taught: list[tuple[str, ...]]
) -> None:
    """Vocabularies differ in length: vectors of one fold's words wouldn't fit another's head."""
    (row,) = flow.compare(drawn, [CONFIG], cache, tmp_path).rows
    dims = {load_text_encoder("learned-words", texts=texts).dim for texts in taught}
    assert len(dims) > 1
    assert row.unseen is not None
    assert row.unseen.pairs == row.seen.pairs


def test_comparing_encoders_that_don_t_learn_loads_once(
    drawn: Dataset, cache: VectorCache, tmp_path: Path, taught: list[tuple[str, ...]]
) -> None:
    flow.compare(drawn, [replace(CONFIG, text_encoder="words")], cache, tmp_path)
    assert len(taught) == 1


def test_kept_measurements_of_learned_words_are_reused(
    drawn: Dataset,
    cache: VectorCache,
    tmp_path: Path,
    taught: list[tuple[str, ...]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = flow.compare(drawn, [CONFIG], cache, tmp_path)
    monkeypatch.setattr(train, "learn", lambda *_, **__: pytest.fail("learned again"))
    assert repr(flow.compare(drawn, [CONFIG], cache, tmp_path)) == repr(before)
