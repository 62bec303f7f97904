"""Evaluation protocols: which pairs are scored, and what the scorer has never seen.

Each set of figures that `evaluate` and `compare` print is named after its protocol:

- *image-disjoint*: nothing has learned from the pair's photo. Its text may have taught, beside
  other photos: the crowd judged nearly every text with some training photo.
- *query-disjoint head* (`evaluate`): image-disjoint, and the head is trained anew without the
  pair's text. Text encoder and joint space stay as they are, for they were learned elsewhere.
- *query-disjoint pipeline* (`compare`): image-disjoint, and all that learns from texts (vocabulary,
  joint space, head) is trained anew without the pair's text. Calibration alone has seen it.
- *test queries*: each query searches all test photos for its own, which nothing has learned from.

The two query-disjoint protocols leave out a fifth of the texts at a time; cross-validation leaves
out a fifth of the photos. `after the law` is the same on photos that a policy leaves in.
"""

from collections.abc import Callable, Collection, Sequence
from typing import TypeAlias

from kadr.matcher import SEED, relevance
from kadr.types import Dataset, Floats, Pair

__all__ = ["SEED"]

IMAGE_DISJOINT = "image-disjoint"
QUERY_DISJOINT_HEAD = "query-disjoint head"
QUERY_DISJOINT_PIPELINE = "query-disjoint pipeline"
TEST_QUERIES = "test queries"
AFTER_LAW = ", after the law"
"""Follows the name of a set."""

PairScorer: TypeAlias = Callable[[Sequence[Pair]], Floats]
"""Gives (query, image) pairs their probabilities."""

Folds: TypeAlias = tuple[frozenset[str], ...]
"""Disjoint parts of the queries' ids or of the images."""


def text_folds(dataset: Dataset) -> Folds:
    """Split the ids of all queries in five; equal texts share a fold. Empty with too few texts."""
    texts = sorted({query.text for query in dataset.queries.values()})
    if len(texts) < relevance.FOLDS:
        return ()
    parts = _folds(texts)
    return tuple(
        frozenset(i for i, query in dataset.queries.items() if query.text in part) for part in parts
    )


def image_folds(images: Collection[str]) -> Folds:
    """Split images in five. Empty with fewer than two for each fold."""
    return _folds(sorted(images)) if len(images) >= 2 * relevance.FOLDS else ()


def _folds(names: Sequence[str]) -> Folds:
    numbers = relevance.folds(names, relevance.FOLDS, SEED).tolist()
    return tuple(
        frozenset(name for name, own in zip(names, numbers, strict=True) if own == number)
        for number in range(relevance.FOLDS)
    )


def score_by_folds(
    pairs: Sequence[Pair],
    folds: Folds,
    fold_key: Callable[[Pair], str],
    train: Callable[[int], PairScorer | None],
) -> dict[Pair, float]:
    """Score each pair by what was trained without its fold.

    Args:
        pairs: those to score, each once.
        folds: of queries or images.
        fold_key: a pair's query or image, whichever the folds are of.
        train: trains without the fold of this number; None where nothing is left to learn from.
    """
    scores: dict[Pair, float] = {}
    for number, fold in enumerate(folds):
        held = [pair for pair in pairs if fold_key(pair) in fold]
        scorer = train(number) if held else None
        if scorer is not None:
            scores.update(zip(held, scorer(held).tolist(), strict=True))
    return scores
