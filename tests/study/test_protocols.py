"""Protocols: who is left out, and what scores whom."""

from dataclasses import replace

import numpy as np
import pytest

from archives import write_archive
from kadr.data import dataset
from kadr.study import protocols
from kadr.types import Dataset, Pair


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return dataset.load(write_archive(tmp_path_factory.mktemp("protocols") / "archive", images=30))


def test_equal_texts_share_a_fold(drawn: Dataset) -> None:
    one, other = sorted(drawn.queries)[:2]
    twin = replace(drawn.queries[other], text=drawn.queries[one].text)
    folds = protocols.text_folds(replace(drawn, queries={**drawn.queries, other: twin}))
    assert sorted(i for fold in folds for i in fold) == sorted(drawn.queries)
    assert [one in fold for fold in folds] == [other in fold for fold in folds]


def test_too_few_have_no_folds(drawn: Dataset) -> None:
    few = dict(list(drawn.queries.items())[:1])
    assert protocols.text_folds(replace(drawn, queries=few)) == ()
    assert protocols.image_folds([f"{n}.jpg" for n in range(9)]) == ()
    assert len(protocols.image_folds([f"{n}.jpg" for n in range(10)])) == 5


def test_a_pair_is_scored_without_its_fold() -> None:
    pairs: list[Pair] = [("a", "1.jpg"), ("b", "2.jpg"), ("a", "2.jpg"), ("c", "1.jpg")]
    folds = (frozenset({"a"}), frozenset({"b"}), frozenset({"d"}))
    trained: list[int] = []

    def train(number: int) -> protocols.PairScorer | None:
        trained.append(number)
        return None if number == 1 else lambda held: np.full(len(held), float(number))

    scores = protocols.score_by_folds(pairs, folds, lambda pair: pair[0], train)
    assert scores == {("a", "1.jpg"): 0.0, ("a", "2.jpg"): 0.0}
    assert trained == [0, 1]  # nobody trains for a fold without pairs


def test_every_default_seed_is_the_same() -> None:
    """One constant, wherever nobody asks for another seed."""
    import inspect

    from kadr.matcher import SEED, alignment, relevance
    from kadr.study.train import Config

    defaults = [inspect.signature(fit).parameters["seed"].default
                for fit in (alignment.fit, relevance.fit)]  # fmt: skip
    assert {Config().seed, protocols.SEED, *defaults} == {SEED}
