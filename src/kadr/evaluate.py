"""Flow: matcher + archive -> figures, on images that the matcher has not learned from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from kadr import labels, metrics, relevance, vectors
from kadr.dataset import own_image
from kadr.errors import DataError
from kadr.matcher import Matcher
from kadr.metrics import Bin, PrecisionRecallCurve, RocCurve
from kadr.relevance import Examples, Side
from kadr.safety import policy as law
from kadr.types import Dataset, Floats, Interval, Label
from kadr.vectors import VectorCache

MATCH = 0.5
SHOWN = 5
"""Photos shown for each query of the visual test."""
EXAMPLES = 10
"""Queries of the visual test, and failures."""
TAU_RESAMPLES = 200

Pair = tuple[str, str]
Stage = Callable[[str, int, int], None]
Score = Callable[[Sequence[Pair]], Floats]


@dataclass(frozen=True, slots=True)
class PairFigures:
    """How well probabilities agree with the experts on some pairs. All intervals are by image."""

    name: str
    pairs: int
    images: int
    matches: int
    roc_auc: Interval
    average_precision: Interval
    brier: Interval
    expected_calibration_error: Interval
    mae: Interval
    rmse: Interval
    constant_mae: float
    constant_rmse: float
    tau_c: Interval
    tau_b: Interval | None


@dataclass(frozen=True, slots=True)
class RetrievalFigures:
    """How high the right photo stands among `images`, over `queries` test queries."""

    name: str
    queries: int
    images: int
    recall_1: Interval
    recall_5: Interval
    recall_10: Interval
    mean_reciprocal_rank: Interval
    median_rank: float


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
    """A test query, the rank of its photo, and the photos found; `refused` where the law speaks."""

    text: str
    image: str
    rank: int
    shown: tuple[Shown, ...]
    refused: bool


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
    agreement: labels.Agreement
    exclusions: law.ExclusionReport
    examples: tuple[Example, ...]
    failures: tuple[Example, ...]
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class _Encoded:
    """Both sides of the archive, and where everything stands."""

    images: Side
    texts: Side
    image_rows: Mapping[str, int]
    text_rows: Mapping[str, int]

    def pick(self, pairs: Sequence[Pair]) -> tuple[Side, Side]:
        image_rows = np.array([self.image_rows[image] for _, image in pairs], dtype=np.intp)
        text_rows = np.array([self.text_rows[query] for query, _ in pairs], dtype=np.intp)
        return self.images.take(image_rows), self.texts.take(text_rows)

    def knows(self, pair: Pair) -> bool:
        return pair[0] in self.text_rows and pair[1] in self.image_rows


def evaluate(
    matcher: Matcher,
    dataset: Dataset,
    cache: VectorCache,
    *,
    policy: law.Policy,
    cross_validate: bool = True,
    seed: int = 0,
    on_progress: Stage | None = None,
) -> Evaluation:
    """Measure a matcher on an archive.

    Pairs come from images whose bytes the matcher has not been trained on; test queries from
    the test images. `policy` says which images the law takes out of the second set of figures.

    Raises:
        DataError: the matcher has seen every judged image.
    """
    encoded, digests, skipped = _encode(matcher, dataset, cache, on_progress or _silent)
    verdicts = labels.verdicts(dataset.judgements)
    chosen = matcher.manifest.get("config", {})
    everything = labels.combine(
        dataset.judgements,
        dataset.votes,
        experts=chosen.get("experts", "majority"),
        expert_weight=chosen.get("expert_weight", labels.EXPERT_WEIGHT),
    )
    matches = [(item.query, item.image) for item in everything if item.target >= MATCH]
    exclusions = law.assess(dataset, policy, matches)
    seen = set(matcher.manifest.get("training_photos", ()))
    held_out = [pair for pair in verdicts if encoded.knows(pair) and digests[pair[1]] not in seen]
    if not held_out:
        raise DataError(
            "This matcher has learned from every judged image here: nothing is left to measure "
            "it on. Train with a --test-share above 0, or evaluate on another archive."
        )
    measure = partial(_pair_figures, matcher, encoded, dataset)
    legal = [pair for pair in held_out if pair[1] not in exclusions.images]
    own = partial(_score, matcher, encoded)
    sets: dict[str, tuple[list[Pair], Score]] = {"image-disjoint": (held_out, own)}
    if policy.hides_children:
        sets["image-disjoint, after the law"] = (legal, own)
    # A joint space fitted to this archive has seen texts and images that these figures must not.
    cross_validate = cross_validate and bool(matcher.manifest.get("aligned_elsewhere", True))
    if cross_validate:
        hidden = exclusions.images if _obeyed_law(matcher) else {}
        part = [
            item
            for item in everything
            if encoded.knows((item.query, item.image))
            and digests[item.image] in seen
            and item.image not in hidden
        ]
        images = {image for _, image in held_out}
        scores = _without_their_queries(matcher, encoded, dataset, part, images, verdicts)

        def unseen(pairs: Sequence[Pair]) -> Floats:
            return np.array([scores[pair] for pair in pairs])

        if scores:
            sets["image-and-query-disjoint"] = (held_out, unseen)
            if policy.hides_children:
                sets["image-and-query-disjoint, after the law"] = (legal, unseen)
    probabilities, _ = matcher.pairs(*encoded.pick(held_out))
    truth = np.array([verdicts[pair] for pair in held_out])
    drawable = bool(truth.any() and not truth.all())
    retrieval, examples, failures = _retrieval(
        matcher, encoded, dataset, set(exclusions.images), policy, seed
    )
    grades = labels.grades(dataset.judgements, "median")
    held_grades = np.array([grades[pair] for pair in held_out])
    return Evaluation(
        policy=policy.name,
        pair_figures=tuple(
            figures
            for name, (pairs, score) in sets.items()
            if (figures := measure(name, pairs, score)) is not None
        ),
        retrieval=retrieval,
        cross_validated=(
            _cross_validated(matcher, encoded, dataset, everything, verdicts)
            if cross_validate
            else None
        ),
        reliability=metrics.reliability(probabilities, truth, bins=10),
        roc=metrics.roc_curve(probabilities, truth) if drawable else None,
        precision_recall=(
            metrics.precision_recall_curve(probabilities, truth) if drawable else None
        ),
        scores_by_grade={
            f"{low:g}": probabilities[(held_grades >= low) & (held_grades < low + 1)]
            for low in (1, 2, 3, 4)
        },
        grade_counts=_grade_counts(dataset),
        target_histogram=tuple(
            np.histogram([item.target for item in everything], bins=20, range=(0, 1))[0].tolist()
        ),
        agreement=labels.agreement(dataset.judgements),
        exclusions=law.report(exclusions, set(dataset.train_images), everything),
        examples=examples,
        failures=failures,
        skipped=skipped,
    )


def _encode(
    matcher: Matcher, dataset: Dataset, cache: VectorCache, report: Stage
) -> tuple[_Encoded, dict[str, str], tuple[str, ...]]:
    paths = {**dataset.train_images, **dataset.test_images}
    files, unreadable = vectors.identify(paths.values(), dataset.folder, cache)
    found = vectors.encode_images(
        matcher.image_encoder, files, cache, lambda d, t: report("photos", d, t)
    )
    queries = {**dataset.queries, **{query.id: query for query in dataset.test_queries}}
    ids = sorted(queries)
    text_vectors = vectors.encode_texts(
        matcher.text_encoder,
        [queries[query].text for query in ids],
        cache,
        lambda d, t: report("texts", d, t),
    )
    encoded = _Encoded(
        matcher.images(found.vectors),
        matcher.texts(text_vectors),
        {file.path.name: row for row, file in enumerate(found.files)},
        {query: row for row, query in enumerate(ids)},
    )
    skipped = tuple(f"{item.path}: {item.reason}" for item in (*unreadable, *found.skipped))
    return encoded, {file.path.name: file.digest for file in found.files}, skipped


def _score(matcher: Matcher, encoded: _Encoded, pairs: Sequence[Pair]) -> Floats:
    return matcher.pairs(*encoded.pick(pairs))[0]


def _learn(
    matcher: Matcher,
    encoded: _Encoded,
    part: Sequence[Label],
    verdicts: Mapping[Pair, bool],
) -> relevance.Relevance:
    """A head of the matcher's kind on other labels, under the matcher's calibration."""
    head = relevance.fit(
        Examples(
            *encoded.pick([(item.query, item.image) for item in part]),
            np.array([item.target for item in part]),
            relevance.training_weights(part, verdicts),
            [item.image for item in part],
            np.full(len(part), np.nan),
        ),
        features=matcher.relevance.features,
        classifier=matcher.relevance.classifier,
        calibrate=False,
    )
    known = matcher.relevance
    return replace(head, slope=known.slope, intercept=known.intercept)


def _without_their_queries(
    matcher: Matcher,
    encoded: _Encoded,
    dataset: Dataset,
    part: Sequence[Label],
    held_images: set[str],
    verdicts: Mapping[Pair, bool],
) -> dict[Pair, float]:
    """Pairs of held-out images, each scored by a head that saw neither its image nor its text.

    The crowd judged nearly every text with some training image, so the matcher itself has no such
    pairs: heads are trained anew, five times, each without a fifth of the texts.
    """
    texts = {query: item.text for query, item in dataset.queries.items()}
    names = sorted(set(texts.values()))
    if len(names) < relevance.FOLDS or not part:
        return {}
    fold = dict(zip(names, relevance.folds(names, relevance.FOLDS, 42).tolist(), strict=True))
    judged = sorted({*verdicts, *labels.shares(dataset.votes)})
    held = [pair for pair in judged if pair[1] in held_images and encoded.knows(pair)]
    scores: dict[Pair, float] = {}
    for number in range(relevance.FOLDS):
        learn = [item for item in part if fold[texts[item.query]] != number]
        ask = [pair for pair in held if fold[texts[pair[0]]] == number]
        if learn and ask:
            head = _learn(matcher, encoded, learn, verdicts)
            scores.update(zip(ask, head.probability(*encoded.pick(ask)).tolist(), strict=True))
    return scores


def _obeyed_law(matcher: Matcher) -> bool:
    return law.load(matcher.manifest.get("config", {}).get("policy", "none")).hides_children


def _pair_figures(
    matcher: Matcher,
    encoded: _Encoded,
    dataset: Dataset,
    name: str,
    pairs: Sequence[Pair],
    score: Score,
) -> PairFigures | None:
    verdicts = labels.verdicts(dataset.judgements)
    truth = np.array([verdicts[pair] for pair in pairs], dtype=np.bool_)
    if len(pairs) == 0 or truth.all() or not truth.any():
        return None
    p = score(pairs)
    groups = np.array([image for _, image in pairs])
    expert = labels.grades(dataset.judgements, "mean")
    targets = np.array([(expert[pair] - 1) / 3 for pair in pairs])
    constants = matcher.manifest.get("training_targets", {"mean": 0.5, "median": 0.5})
    grades, own = _grade_rows(dataset, pairs)
    boot = partial(metrics.bootstrap, groups=groups)
    return PairFigures(
        name=name,
        pairs=len(pairs),
        images=len(set(groups.tolist())),
        matches=int(truth.sum()),
        roc_auc=boot(lambda i: metrics.roc_auc(p[i], truth[i])),
        average_precision=boot(lambda i: metrics.average_precision(p[i], truth[i])),
        brier=boot(lambda i: metrics.brier(p[i], truth[i])),
        expected_calibration_error=boot(
            lambda i: metrics.expected_calibration_error(p[i], truth[i])
        ),
        mae=boot(lambda i: metrics.mae(p[i], targets[i])),
        rmse=boot(lambda i: metrics.rmse(p[i], targets[i])),
        constant_mae=metrics.mae(np.full_like(targets, constants["median"]), targets),
        constant_rmse=metrics.rmse(np.full_like(targets, constants["mean"]), targets),
        tau_c=boot(
            lambda i: metrics.tau_c_expert(p[i], grades[i], own[i]), resamples=TAU_RESAMPLES
        ),
        tau_b=_tau_b(encoded, dataset, {image for _, image in pairs}, score),
    )


def _tau_b(encoded: _Encoded, dataset: Dataset, images: set[str], score: Score) -> Interval | None:
    shares = {
        pair: share
        for pair, share in labels.shares(dataset.votes).items()
        if pair[1] in images and encoded.knows(pair)
    }
    if len(shares) < 2:
        return None
    p = score(list(shares))
    values = np.array(list(shares.values()))
    groups = np.array([image for _, image in shares])
    return metrics.bootstrap(
        lambda i: metrics.tau_b_crowd(p[i], values[i]), groups, resamples=TAU_RESAMPLES
    )


def _grade_rows(dataset: Dataset, pairs: Sequence[Pair]) -> tuple[Floats, NDArray[np.bool_]]:
    """Every expert's grade [n, raters] (NaN: none), and which pairs are own captions."""
    raters = sorted({item.rater for item in dataset.judgements})
    column = {rater: number for number, rater in enumerate(raters)}
    row = {pair: number for number, pair in enumerate(pairs)}
    grades = np.full((len(pairs), len(raters)), np.nan)
    for item in dataset.judgements:
        if (item.query, item.image) in row:
            grades[row[item.query, item.image], column[item.rater]] = item.grade
    return grades, np.array([own_image(query) == image for query, image in pairs])


def _cross_validated(
    matcher: Matcher,
    encoded: _Encoded,
    dataset: Dataset,
    everything: Sequence[Label],
    verdicts: Mapping[Pair, bool],
) -> CrossValidated | None:
    """Every pair scored by a head that saw none of its image. The alignment stays as it is."""
    usable = [item for item in everything if encoded.knows((item.query, item.image))]
    experts = [pair for pair in verdicts if encoded.knows(pair)]
    crowd = {p: s for p, s in labels.shares(dataset.votes).items() if encoded.knows(p)}
    images = sorted({item.image for item in usable})
    if len(images) < 2 * relevance.FOLDS or not crowd:
        return None
    fold = dict(zip(images, relevance.folds(images, relevance.FOLDS, 42).tolist(), strict=True))
    scores: dict[Pair, float] = {}
    for number in range(relevance.FOLDS):
        part = [item for item in usable if fold[item.image] != number]
        held = sorted({p for p in (*experts, *crowd) if fold.get(p[1]) == number})
        head = _learn(matcher, encoded, part, verdicts)
        scores.update(zip(held, head.probability(*encoded.pick(held)).tolist(), strict=True))
    s = np.array([scores[pair] for pair in experts])
    c = np.array([scores[pair] for pair in crowd])
    truth = np.array([verdicts[pair] for pair in experts])
    shares = np.array(list(crowd.values()))
    grades, own = _grade_rows(dataset, experts)
    expert_images = np.array([image for _, image in experts])
    return CrossValidated(
        pairs=int((~own).sum()),
        roc_auc=metrics.bootstrap(lambda i: metrics.roc_auc(s[i], truth[i]), expert_images),
        tau_c=metrics.bootstrap(
            lambda i: metrics.tau_c_expert(s[i], grades[i], own[i]),
            expert_images,
            resamples=TAU_RESAMPLES,
        ),
        tau_b=metrics.bootstrap(
            lambda i: metrics.tau_b_crowd(c[i], shares[i]),
            np.array([image for _, image in crowd]),
            resamples=TAU_RESAMPLES // 4,
        ),
    )


def _retrieval(
    matcher: Matcher,
    encoded: _Encoded,
    dataset: Dataset,
    hidden: set[str],
    policy: law.Policy,
    seed: int,
) -> tuple[tuple[RetrievalFigures, ...], tuple[Example, ...], tuple[Example, ...]]:
    names = sorted(name for name in dataset.test_images if name in encoded.image_rows)
    queries = [query for query in dataset.test_queries if query.image in set(names)]
    if not names or not queries:
        return (), (), ()
    table = _probabilities(matcher, encoded, names, [query.id for query in queries])
    column = {name: number for number, name in enumerate(names)}
    right = np.array([column[str(query.image)] for query in queries], dtype=np.intp)
    ranks = metrics.rank_of(table, right)
    found = [_retrieval_figures("test queries", ranks, right, len(names))]
    legal = np.array([name not in hidden for name in names])
    allowed = np.array([
        legal[right[n]] and not law.refuses(policy, query.text)
        for n, query in enumerate(queries)
    ], dtype=np.bool_)  # fmt: skip
    if policy.hides_children and allowed.any():
        kept = np.cumsum(legal) - 1
        after = metrics.rank_of(table[allowed][:, legal], kept[right[allowed]])
        found.append(
            _retrieval_figures(
                "test queries, after the law", after, right[allowed], int(legal.sum())
            )
        )

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
            not bool(allowed[number]),
        )

    random = np.random.default_rng(seed)
    chosen = random.choice(len(queries), size=min(EXAMPLES, len(queries)), replace=False)
    worst = np.argsort(-np.where(allowed, ranks, 0), kind="stable")[:EXAMPLES]
    return (
        tuple(found),
        tuple(show(int(number)) for number in chosen),
        tuple(show(int(number)) for number in worst if ranks[number] > 1),
    )


def _probabilities(
    matcher: Matcher, encoded: _Encoded, names: Sequence[str], queries: Sequence[str]
) -> Floats:
    """Probability of each query [rows] with each image [columns]."""
    images = encoded.images.take(np.array([encoded.image_rows[n] for n in names], dtype=np.intp))
    texts = encoded.texts.take(np.array([encoded.text_rows[q] for q in queries], dtype=np.intp))
    return matcher.table(images, texts)[0]


def _retrieval_figures(
    name: str, ranks: NDArray[np.intp], right: NDArray[np.intp], images: int
) -> RetrievalFigures:
    boot = partial(metrics.bootstrap, groups=right)
    return RetrievalFigures(
        name=name,
        queries=len(ranks),
        images=images,
        recall_1=boot(lambda i: metrics.recall_at(ranks[i], 1)),
        recall_5=boot(lambda i: metrics.recall_at(ranks[i], 5)),
        recall_10=boot(lambda i: metrics.recall_at(ranks[i], 10)),
        mean_reciprocal_rank=boot(lambda i: metrics.mean_reciprocal_rank(ranks[i])),
        median_rank=metrics.median_rank(ranks),
    )


def _grade_counts(dataset: Dataset) -> dict[int, int]:
    counts = dict.fromkeys(range(1, 5), 0)
    for item in dataset.judgements:
        counts[item.grade] += 1
    return counts


def _silent(_stage: str, _done: int, _total: int) -> None:
    pass
