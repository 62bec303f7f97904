"""Flow: decisions of a library's reviewers -> its own calibration of the classifier, with figures.

Only doubtful photos wait for a person, so decisions alone tell of those. Where a sample of what is
shown was looked at, its photos count for all that they stand for. What few decisions can't tell
stays near the shipped calibration, and nothing is shown that the shipped one withholds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kadr.errors import KadrError
from kadr.law import audit, calibration, review, sampling, scene
from kadr.law.calibration import INTERCEPTS, SLOPES, Calibration
from kadr.law.policy import Policy
from kadr.stores import Store
from kadr.types import Floats, Ruling

LEAST = 10
"""Decisions of each kind, to hide and to allow, below which nothing is learned."""
SAMPLED = 50
"""Photos of a sample that people must have looked at: doubts alone don't tell whether what was
learned is worse for the photos that are shown."""
FOLDS = 5
_SLOPE_SPREAD, _INTERCEPT_SPREAD = 0.3, 1.0
"""Standard deviations, about the shipped calibration, of what is expected of libraries."""
_HEAVIEST = 10.0
"""A photo of a sample counts for no more decisions than so many: few would outweigh all others."""


class TooFewDecisionsError(KadrError):
    """There are too few decisions to learn from."""


@dataclass(frozen=True, slots=True)
class Reviewed:
    """Photos that people decided about.

    `odds` float64 [n] are those of scene and words by the shipped calibration; `hidden` bool [n]:
    people hid them; `weights` float64 [n], one on average: how many photos each stands for.
    `sampled` of them are of the sample of what is shown.
    """

    odds: Floats
    hidden: NDArray[np.bool_]
    weights: Floats
    sampled: int = 0


@dataclass(frozen=True, slots=True)
class Quality:
    """How well probabilities fit decisions: all shares are of photos by their weights.

    `recall` of the photos that people hid, and `over_blocking` of those that they allowed, are
    withheld by the machine alone. `brier`: mean squared error (Brier 1950).
    """

    brier: float
    recall: float
    over_blocking: float


@dataclass(frozen=True, slots=True)
class Lesson:
    """What decisions teach: a calibration, and how it fares on decisions that it wasn't fitted to.

    `before` is the calibration in force, `after` is cross-validated. `objection`: why the lesson
    must not be adopted, None where it may.
    """

    calibration: Calibration
    decisions: int
    hidden: int
    sampled: int
    before: Quality
    after: Quality
    objection: str | None


def learn(store: Store, policy: Policy) -> Lesson:
    """What the decisions of a library teach about the classifier; changes nothing.

    Raises:
        TooFewDecisionsError: there are too few.
    """
    with store.reading():
        reviewed, before = read(store, policy), calibration.in_force(store)[0]
    classifier = scene.load().version
    return lesson(reviewed, before or Calibration(classifier), policy.review)


def lesson(reviewed: Reviewed, before: Calibration, limit: float) -> Lesson:
    """What decisions teach, where photos are withheld from the probability `limit` on.

    Raises:
        TooFewDecisionsError: there are too few.
    """
    hidden = int(reviewed.hidden.sum())
    if min(hidden, len(reviewed.hidden) - hidden) < LEAST:
        raise TooFewDecisionsError(
            f"Of photos that the classifier knows people hid {hidden:,} and allowed "
            f"{len(reviewed.hidden) - hidden:,}: too few to learn from, {LEAST} of each are "
            "needed. Go on with kadr review"
        )
    found = fit(reviewed, before, limit)
    old = quality(reviewed, before.corrected(reviewed.odds), limit)
    new = quality(reviewed, _held_out(reviewed, before, limit), limit)
    return Lesson(
        found, len(reviewed.hidden), hidden, reviewed.sampled, old, new,
        _objection(reviewed.sampled, old, new),
    )  # fmt: skip


def adopt(store: Store, learned: Lesson, who: str) -> None:
    """Put a calibration in force and on record; assessments follow with the next indexing.

    Raises:
        KadrError: it is worse than the one in force.
    """
    if learned.objection is not None:
        raise KadrError(f"It isn't adopted. {learned.objection}")
    calibration.adopt(
        store, learned.calibration, who=who, when=audit.now(), decisions=learned.decisions,
        sampled=learned.sampled, before=_brief(learned.before), after=_brief(learned.after),
    )  # fmt: skip


def forget(store: Store, who: str) -> None:
    """Take the library's calibration back, so that the shipped one holds with the next indexing.

    Raises:
        KadrError: there is none.
    """
    if store.meta(calibration.NOTE) is None and calibration.in_force(store) == (None, None):
        raise KadrError("The library has no calibration of its own, so there is nothing to forget.")
    calibration.adopt(store, None, who=who, when=audit.now())


# What people decided.


def read(store: Store, policy: Policy) -> Reviewed:
    """The photos that people decided about, with what the classifier says of them."""
    ruled = _decided(store)
    classifier, assessed = scene.load(), store.assessments(list(ruled))
    numbers, vectors = store.vectors(sorted(assessed), classifier.encoder)
    odds = classifier.log_odds(vectors) if len(numbers) else np.empty(0)
    named = np.array([bool(assessed[one].words) for one in numbers.tolist()], np.bool_)
    odds = odds + classifier.evidence.word * named
    weights, sampled = _weights(store, policy, numbers.tolist())
    whole = np.isfinite(odds)
    hidden = np.array([ruled[one].verdict == "hide" for one in numbers.tolist()], np.bool_)
    kept = weights[whole]
    scaled = kept / kept.mean() if len(kept) else kept
    return Reviewed(odds[whole], hidden[whole], scaled, int(sampled[whole].sum()))


def _decided(store: Store) -> dict[int, Ruling]:
    """Decisions that nobody disputes, by the photo's number."""
    requests = store.requests()
    disputed = {digest for digest, one in requests.items() if one.kind == "disputed"}
    numbers = {d: store.number(d) for d in store.all_rulings() if d not in disputed}
    return store.rulings([number for number in numbers.values() if number is not None])


def _weights(store: Store, policy: Policy, numbers: list[int]) -> tuple[Floats, NDArray[np.bool_]]:
    """How many photos each stands for, and which are of the sample; both [n]."""
    sample = sampling.latest(store, policy)
    weights, sampled = np.ones(len(numbers)), np.zeros(len(numbers), np.bool_)
    if sample is None:
        return weights, sampled
    said = sampling.decisions(store, sample)
    _, looked, _, _ = sampling.counts(list(said.values()))
    drawn = {store.number(digest) for digest, decision in said.items() if decision}
    sampled = np.array([number in drawn for number in numbers], np.bool_)
    doubtful = int((~sampled).sum())
    stands = sample.population / max(looked, 1)
    others = (doubtful + len(review.queue(store, policy))) / max(doubtful, 1)
    weights[sampled] = min(stands / others, _HEAVIEST)
    return weights, sampled


# What it teaches.


def fit(reviewed: Reviewed, before: Calibration, limit: float) -> Calibration:
    """The likeliest calibration, where most libraries need one near the shipped.

    It withholds whatever the shipped one withholds, for doubts say too little of the photos that
    nobody looked at; and of those that people hid all that `before` withholds.
    """
    from scipy.optimize import minimize

    truth, odds, weights = reviewed.hidden, reviewed.odds, reviewed.weights
    pivot, floor = _pivot(reviewed, before, limit), _log_odds(limit)

    def calibrated(found: Floats) -> tuple[float, float]:
        slope, above = float(found[0]), float(found[1])
        return slope, floor - slope * pivot + above

    def loss(found: Floats) -> float:
        slope, intercept = calibrated(found)
        corrected = slope * odds + intercept
        surprise = np.logaddexp(0, np.where(truth, -corrected, corrected))
        prior = ((slope - 1) / _SLOPE_SPREAD) ** 2 + (intercept / _INTERCEPT_SPREAD) ** 2
        return float(weights @ surprise + prior / 2)

    start = np.array([1.0, max(0.0, pivot - floor)])
    best = minimize(loss, start, method="L-BFGS-B", bounds=[SLOPES, (0, None)])
    slope, intercept = calibrated(best.x)
    if not INTERCEPTS[0] <= intercept <= INTERCEPTS[1]:
        return before
    return Calibration(before.classifier, slope, intercept)


def _pivot(reviewed: Reviewed, before: Calibration, limit: float) -> float:
    """The least log-odds, by the shipped calibration, that must stay withheld."""
    floor = _log_odds(limit)
    withheld = reviewed.odds[reviewed.hidden & (before.corrected(reviewed.odds) >= floor)]
    return min(floor, float(withheld.min(initial=floor)))


def quality(reviewed: Reviewed, odds: Floats, limit: float) -> Quality:
    """How well corrected log-odds [n] fit the decisions."""
    p, weights = scene.probability(odds), reviewed.weights
    withheld = odds >= _log_odds(limit)
    recall, over = (
        float(np.average(withheld[flags], weights=weights[flags]))
        for flags in (reviewed.hidden, ~reviewed.hidden)
    )
    return Quality(float(np.average((p - reviewed.hidden) ** 2, weights=weights)), recall, over)


def _held_out(reviewed: Reviewed, before: Calibration, limit: float) -> Floats:
    """Log-odds of each photo by a calibration that was fitted to the others, fold by fold."""
    order = np.lexsort((np.random.default_rng(0).random(len(reviewed.odds)), reviewed.hidden))
    fold = np.empty(len(order), np.intp)
    fold[order] = np.arange(len(order)) % FOLDS  # as many of each kind in every fold
    odds = np.empty_like(reviewed.odds)
    for number in range(FOLDS):
        held = fold == number
        rest = Reviewed(reviewed.odds[~held], reviewed.hidden[~held], reviewed.weights[~held])
        odds[held] = fit(rest, before, limit).corrected(reviewed.odds[held])
    return odds


def _objection(sampled: int, before: Quality, after: Quality) -> str | None:
    if sampled < SAMPLED:
        return (
            f"Of a sample {sampled:,} photos were looked at, {SAMPLED} are needed: doubts alone "
            "don't tell what this does to photos that are shown. kadr review sample"
        )
    if after.brier > before.brier:
        return (
            "What was learned fits decisions that it doesn't know worse than what is in force. "
            "Decide about more photos"
        )
    return None


def _log_odds(p: float) -> float:
    inside = float(np.clip(p, 1e-6, 1 - 1e-6))
    return float(np.log(inside) - np.log1p(-inside))


def _brief(quality: Quality) -> Mapping[str, Any]:
    return {
        "brier": round(quality.brier, 4),
        "recall": round(quality.recall, 4),
        "over_blocking": round(quality.over_blocking, 4),
    }
