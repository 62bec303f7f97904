"""Flow: matcher + archive -> figures, on images that the matcher has not learned from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from kadr.data import agreement, labels
from kadr.encoders.vectors import VectorCache
from kadr.errors import DataError
from kadr.law import policy as law
from kadr.matcher import relevance
from kadr.matcher.bundle import Matcher
from kadr.matcher.null_scores import NullScores
from kadr.matcher.relevance import Examples, Relevance
from kadr.metrics import calibration, ranking, resampling
from kadr.metrics.calibration import Bin
from kadr.metrics.ranking import PrecisionRecallCurve, RocCurve
from kadr.study import encoded, figures, protocols
from kadr.study.encoded import Encoded, Progress, Projected
from kadr.study.figures import Judged, PairFigures, RetrievalFigures, Surest, Threshold
from kadr.study.protocols import PairScorer
from kadr.types import Dataset, Floats, Interval, Label, Pair

SHOWN = 5
"""Photos shown for each query of the visual test."""
EXAMPLES = 10
"""Queries of the visual test, and failures."""
CROSS_VALIDATION = "published protocols"


@dataclass(frozen=True, slots=True)
class CrossValidated:
    """The published protocols on all images: heads trained anew on four fifths, five times."""

    pairs: int
    roc_auc: Interval
    tau_c: Interval
    tau_b: Interval


@dataclass(frozen=True, slots=True)
class Shown:
    """One photo of the visual test; `hidden` where the law takes the photo itself."""

    image: str
    probability: float
    right: bool
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Example:
    """A test query, the rank of its photo, and the photos found.

    `refused` where the law refuses the text, `hidden` where it takes the query's own photo.
    """

    text: str
    image: str
    rank: int
    shown: tuple[Shown, ...]
    refused: bool
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """Test queries before the law: `refused` by their text; `hidden`: the photo alone is taken."""

    queries: int = 0
    refused: int = 0
    hidden: int = 0


@dataclass(frozen=True)
class Evaluation:
    """Every figure, and the data of every plot. Nothing below needs computing again."""

    policy: str
    pair_figures: tuple[PairFigures, ...]
    retrieval: tuple[RetrievalFigures, ...]
    cross_validated: CrossValidated | None
    reliability: tuple[Bin, ...]
    roc: RocCurve | None
    precision_recall: PrecisionRecallCurve | None
    scores_by_grade: Mapping[str, Floats]
    grade_counts: Mapping[int, int]
    target_histogram: tuple[int, ...]
    agreement: agreement.ExpertAgreement
    exclusions: law.ExclusionReport
    examples: tuple[Example, ...]
    failures: tuple[Example, ...]
    skipped: tuple[str, ...]
    wordless: tuple[str, ...]
    unmeasured: Mapping[str, str] = field(default_factory=dict)
    """Sets of figures that couldn't be measured, with the key of the reason: see `report`."""
    thresholds: tuple[Threshold, ...] = ()
    surest: tuple[Surest, ...] = ()
    """Of the held-out pairs, as `reliability` and the curves are."""
    asked: Asked = Asked()


def evaluate(
    matcher: Matcher,
    dataset: Dataset,
    cache: VectorCache,
    *,
    policy: law.Policy,
    cross_validate: bool = True,
    seed: int = 0,
    on_progress: Progress | None = None,
) -> Evaluation:
    """Measure a matcher on an archive.

    Pairs come from images whose bytes the matcher has not been trained on; test queries from
    the test images. `policy` says which images the law takes out of the second set of figures.

    Raises:
        DataError: the matcher has seen every judged image.
    """
    both = encoded.encode(
        dataset,
        matcher.image_encoder,
        matcher.text_encoder,
        cache,
        with_test=True,
        on_progress=on_progress,
    )
    sides = encoded.project(both, matcher.alignment)
    judged = figures.judged(dataset)
    everything = _labels(matcher, dataset)
    exclusions = law.assess(dataset, policy, labels.matches(everything))
    seen = set(matcher.manifest.get("training_photos", ()))
    held_out = [
        pair for pair in judged.verdicts if both.knows(pair) and both.digests[pair[1]] not in seen
    ]
    if not held_out:
        raise DataError(
            "This matcher has learned from every judged image here: nothing is left to measure "
            "it on. Train with a --test-share above 0, or evaluate on another archive."
        )
    # A joint space fitted to this archive has seen texts and images that these figures must not.
    unmeasured: dict[str, str] = {}
    if cross_validate and not matcher.manifest.get("aligned_elsewhere", True):
        cross_validate = False
        unmeasured |= dict.fromkeys((protocols.QUERY_DISJOINT_HEAD, CROSS_VALIDATION), "fitted")
    own: PairScorer = lambda pairs: matcher.pairs(*sides.pick(pairs))[0]  # noqa: E731
    sets = {protocols.IMAGE_DISJOINT: own}
    if cross_validate:
        hidden = exclusions.images if _obeyed_law(matcher) else {}
        part = [
            item
            for item in everything
            if both.knows((item.query, item.image))
            and both.digests[item.image] in seen
            and item.image not in hidden
        ]
        images = {image for _, image in held_out}
        unseen = _without_their_queries(matcher, sides, dataset, part, images, judged)
        if unseen:
            sets[protocols.QUERY_DISJOINT_HEAD] = lambda pairs: np.array([unseen[p] for p in pairs])
        else:
            unmeasured[protocols.QUERY_DISJOINT_HEAD] = "texts"
    parts = {"": held_out}
    if policy.hides_children:
        parts[protocols.AFTER_LAW] = [p for p in held_out if p[1] not in exclusions.images]
    probabilities = own(held_out)
    truth = np.array([judged.verdicts[pair] for pair in held_out])
    drawable = bool(truth.any() and not truth.all())
    search = _search(matcher, sides, dataset, set(exclusions.images), policy, seed)
    grades = labels.median_grades(dataset.judgements)
    held_grades = np.array([grades[pair] for pair in held_out])
    pair_figures = tuple(_pair_figures(matcher, both, judged, parts, sets))
    measured = {item.name for item in pair_figures}
    for name in (name + suffix for name in sets for suffix in parts):
        if name not in measured:
            unmeasured[name] = "alike"
    cross = _cross_validated(matcher, sides, everything, judged) if cross_validate else None
    if cross_validate and cross is None:
        unmeasured[CROSS_VALIDATION] = "few"
    if not search.figures:
        unmeasured[protocols.TEST_QUERIES] = "no_queries"
    return Evaluation(
        policy=policy.name,
        pair_figures=pair_figures,
        retrieval=search.figures,
        cross_validated=cross,
        reliability=calibration.reliability(probabilities, truth, bins=10, binning="width"),
        roc=ranking.roc_curve(probabilities, truth) if drawable else None,
        precision_recall=(
            ranking.precision_recall_curve(probabilities, truth) if drawable else None
        ),
        scores_by_grade={
            f"{low:g}": probabilities[(held_grades >= low) & (held_grades < low + 1)]
            for low in (1, 2, 3, 4)
        },
        grade_counts=_grade_counts(dataset),
        target_histogram=tuple(
            np.histogram([item.target for item in everything], bins=20, range=(0, 1))[0].tolist()
        ),
        agreement=agreement.expert_agreement(dataset.judgements),
        exclusions=law.report(exclusions, set(dataset.train_images), everything),
        examples=search.examples,
        failures=search.failures,
        skipped=both.skipped,
        wordless=both.wordless,
        unmeasured=unmeasured,
        thresholds=figures.thresholds(probabilities, truth),
        surest=figures.surest(probabilities, truth),
        asked=search.asked,
    )


def _labels(matcher: Matcher, dataset: Dataset) -> tuple[Label, ...]:
    """Labels of all pairs, made as the matcher's were."""
    chosen = matcher.manifest.get("config", {})
    return labels.combine(
        dataset.judgements,
        dataset.votes,
        experts=chosen.get("experts", "majority"),
        expert_weight=chosen.get("expert_weight", labels.EXPERT_WEIGHT),
    )


def _pair_figures(
    matcher: Matcher,
    both: Encoded,
    judged: Judged,
    parts: Mapping[str, Sequence[Pair]],
    sets: Mapping[str, PairScorer],
) -> Iterator[PairFigures]:
    """Each part of the held-out pairs by each way to score them."""
    constants = matcher.manifest.get("training_targets", {"mean": 0.5, "median": 0.5})
    for name, score in sets.items():
        for suffix, pairs in parts.items():
            images = {image for _, image in pairs}
            crowd = [pair for pair in judged.shares if pair[1] in images and both.knows(pair)]
            found = figures.pair_figures(name + suffix, judged, pairs, crowd, score, constants)
            if found is not None:
                yield found


def _learn(
    matcher: Matcher,
    sides: Projected,
    part: Sequence[Label],
    verdicts: Mapping[Pair, bool],
) -> Relevance | NullScores:
    """A head of the matcher's kind on other labels, under the matcher's calibration.

    One that learned from no label is the same without some.
    """
    known = matcher.relevance
    if isinstance(known, NullScores):
        return known
    head = relevance.fit(
        Examples(
            *sides.pick([(item.query, item.image) for item in part]),
            np.array([item.target for item in part]),
            relevance.training_weights(part, verdicts),
            [item.image for item in part],
            np.full(len(part), np.nan),
        ),
        features=known.features,
        classifier=known.classifier,
        grid=(known.settings,) if known.settings else (),
        calibrate=False,
    )
    return replace(head, slope=known.slope, intercept=known.intercept)


def _without_their_queries(
    matcher: Matcher,
    sides: Projected,
    dataset: Dataset,
    part: Sequence[Label],
    held_images: set[str],
    judged: Judged,
) -> dict[Pair, float]:
    """Pairs of held-out images by the protocol of the query-disjoint head."""
    folds = protocols.text_folds(dataset)

    def train(number: int) -> PairScorer | None:
        left = [item for item in part if item.query not in folds[number]]
        return _scorer(_learn(matcher, sides, left, judged.verdicts), sides) if left else None

    asked = sorted({*judged.verdicts, *judged.shares})
    held = [pair for pair in asked if pair[1] in held_images and sides.encoded.knows(pair)]
    return protocols.score_by_folds(held, folds, lambda pair: pair[0], train)


def _scorer(head: Relevance | NullScores, sides: Projected) -> PairScorer:
    return lambda pairs: head.probability(*sides.pick(pairs))


def _obeyed_law(matcher: Matcher) -> bool:
    """Whether its policy hid anything; a matcher from elsewhere has no policy file read for it."""
    noted = matcher.manifest.get("policy")
    if isinstance(noted, Mapping):
        return bool(noted.get("hides_children"))
    # Trained before that was noted: under a preset.
    return law.preset(matcher.manifest.get("config", {}).get("policy", "none")).hides_children


def _cross_validated(
    matcher: Matcher, sides: Projected, everything: Sequence[Label], judged: Judged
) -> CrossValidated | None:
    """Every pair scored by a head that saw none of its image. The alignment stays as it is."""
    knows = sides.encoded.knows
    usable = [item for item in everything if knows((item.query, item.image))]
    experts = [pair for pair in judged.verdicts if knows(pair)]
    crowd = [pair for pair in judged.shares if knows(pair)]
    folds = protocols.image_folds({item.image for item in usable})
    if not folds or not crowd:
        return None

    def train(number: int) -> PairScorer:
        left = [item for item in usable if item.image not in folds[number]]
        return _scorer(_learn(matcher, sides, left, judged.verdicts), sides)

    asked = sorted({*experts, *crowd})
    scores = protocols.score_by_folds(asked, folds, lambda pair: pair[1], train)
    s = np.array([scores[pair] for pair in experts])
    truth = np.array([judged.verdicts[pair] for pair in experts])
    return CrossValidated(
        pairs=sum(not judged.own[pair] for pair in experts),
        roc_auc=resampling.bootstrap(
            lambda i: ranking.roc_auc(s[i], truth[i]), [image for _, image in experts]
        ),
        tau_c=figures.tau_c(judged, experts, s),
        tau_b=figures.tau_b(
            judged,
            crowd,
            np.array([scores[pair] for pair in crowd]),
            resamples=figures.TAU_RESAMPLES // 4,
        ),
    )


@dataclass(frozen=True)
class _Search:
    """What the test queries find."""

    figures: tuple[RetrievalFigures, ...] = ()
    examples: tuple[Example, ...] = ()
    failures: tuple[Example, ...] = ()
    asked: Asked = Asked()


def _search(
    matcher: Matcher,
    sides: Projected,
    dataset: Dataset,
    hidden: set[str],
    policy: law.Policy,
    seed: int,
) -> _Search:
    names = sorted(name for name in dataset.test_images if name in sides.encoded.image_rows)
    column = {name: number for number, name in enumerate(names)}
    queries = [query for query in dataset.test_queries if query.image in column]
    if not names or not queries:
        return _Search()
    table = matcher.relevance.table(*sides.cross([query.id for query in queries], names))
    right = np.array([column[str(query.image)] for query in queries], dtype=np.intp)
    ranks = ranking.rank_of(table, right)
    found = [figures.retrieval_figures(protocols.TEST_QUERIES, ranks, right, len(names))]
    legal = np.array([name not in hidden for name in names])
    refused = np.array([bool(law.refuses(policy, query.text)) for query in queries])
    own_hidden = ~legal[right] & policy.hides_children
    allowed = ~refused & legal[right]
    if policy.hides_children and allowed.any():
        kept, name = np.cumsum(legal) - 1, protocols.TEST_QUERIES + protocols.AFTER_LAW
        after = ranking.rank_of(table[allowed][:, legal], kept[right[allowed]])
        found.append(figures.retrieval_figures(name, after, right[allowed], int(legal.sum())))

    def show(number: int) -> Example:
        order = np.argsort(-table[number], kind="stable")[:SHOWN]
        query = queries[number]
        return Example(
            query.text,
            names[right[number]],
            int(ranks[number]),
            tuple(
                Shown(
                    names[i],
                    float(table[number, i]),
                    bool(i == right[number]),
                    policy.hides_children and not bool(legal[i]),
                )
                for i in order
            ),
            bool(refused[number]),
            bool(own_hidden[number]),
        )

    random = np.random.default_rng(seed)
    chosen = random.choice(len(queries), size=min(EXAMPLES, len(queries)), replace=False)
    worst = np.argsort(-np.where(allowed, ranks, 0), kind="stable")[:EXAMPLES]
    return _Search(
        tuple(found),
        tuple(show(int(number)) for number in chosen),
        tuple(show(int(number)) for number in worst if allowed[number] and ranks[number] > 1),
        Asked(len(queries), int(refused.sum()), int((own_hidden & ~refused).sum())),
    )


def _grade_counts(dataset: Dataset) -> dict[int, int]:
    counts = dict.fromkeys(range(1, 5), 0)
    for item in dataset.judgements:
        counts[item.grade] += 1
    return counts
