"""What the figures say, in sentences. Each sentence is chosen by the figures' own intervals."""

import math
from collections.abc import Iterator

from kadr.report import undefined
from kadr.report.wording import Wording
from kadr.study import protocols
from kadr.study.evaluate import Evaluation
from kadr.study.figures import PairFigures, RetrievalFigures
from kadr.types import Interval

STRONG_AUC = 0.8
ECE_LEVELS = ((0.02, "trust"), (0.05, "close"), (0.1, "careful"), (math.inf, "poor"))
ALPHA_LEVELS = ((0.667, "low"), (0.8, "tentative"), (math.inf, "reliable"))
"""Krippendorff (2004), "Content Analysis", chapter 11."""
SAME = 0.005
"""Figures nearer than this are printed as the same."""
SMALL_SHARE, LARGE_SHARE = 0.1, 0.25


def measured(evaluation: Evaluation) -> PairFigures | None:
    """The figures of all held-out pairs, of which the curves are too."""
    sets = {figures.name: figures for figures in evaluation.pair_figures}
    return sets.get(protocols.IMAGE_DISJOINT)


def draw(evaluation: Evaluation, say: Wording) -> tuple[str, ...]:
    """The conclusions of an evaluation, most important first."""
    sets = {figures.name: figures for figures in evaluation.pair_figures}
    main = measured(evaluation)
    legal = sets.get(protocols.IMAGE_DISJOINT + protocols.AFTER_LAW)
    sentences: list[str] = []
    if main is None:
        sentences.append(say("conclusions.no_pairs"))
    else:
        sentences += _ranking(main, say)
    sentences += _queries(main, sets.get(protocols.QUERY_DISJOINT_HEAD), say)
    if main is not None:
        sentences += [_calibration(main, say), *_errors(main, say)]
    if evaluation.retrieval:
        sentences.append(_retrieval(evaluation.retrieval[0], say))
    if main is not None or evaluation.retrieval:
        sentences.append(say("conclusions.domain"))
    sentences += _law(evaluation, main, legal, say)
    sentences.append(_agreement(evaluation, say))
    sentences += [
        say(
            "conclusions.unmeasured",
            name=say.name("sets", name),
            why=undefined.reason(key, say),
        )
        for name, key in evaluation.unmeasured.items()
    ]
    if evaluation.skipped:
        sentences.append(say("conclusions.skipped", count=say.count(len(evaluation.skipped))))
    return tuple(sentences)


def _ranking(figures: PairFigures, say: Wording) -> Iterator[str]:
    auc = figures.roc_auc
    if not _known(auc):
        key = "unknown"
    elif auc.high < 0.5:
        key = "inverted"
    elif auc.low <= 0.5:
        key = "chance"
    else:
        key = "strong" if auc.low >= STRONG_AUC else "above"
    yield say(f"conclusions.auc_{key}", auc=say.interval(auc))
    precision, base = figures.average_precision, figures.matches / max(figures.pairs, 1)
    if _known(precision):
        key = "above" if precision.low > base else "not_above"
        yield say(f"conclusions.ap_{key}", ap=say.interval(precision), base=say.number(base))


def _queries(known: PairFigures | None, unseen: PairFigures | None, say: Wording) -> Iterator[str]:
    """Does the matcher know more of captions that it was trained on?"""
    if known is None or not _known(known.roc_auc):
        return
    if unseen is None or not _known(unseen.roc_auc):
        yield say("conclusions.gap_unknown")
        return
    before, after = known.roc_auc, unseen.roc_auc
    if abs(before.value - after.value) < SAME:
        key = "none"
    elif after.high < before.low:
        key = "clear"
    else:
        key = "within" if after.value < before.value else "higher"
    yield say(f"conclusions.gap_{key}", before=say.interval(before), after=say.interval(after))


def _calibration(figures: PairFigures, say: Wording) -> str:
    error = figures.expected_calibration_error
    if not math.isfinite(error.value):
        return say("conclusions.ece_unknown")
    # By the interval's upper end: a good sentence is said of what the pairs show for certain.
    worst = max(error.value, error.high) if _known(error) else error.value
    key = next(key for limit, key in ECE_LEVELS if worst <= limit)
    return say(f"conclusions.ece_{key}", ece=say.interval(error), pairs=say.count(figures.pairs))


def _errors(figures: PairFigures, say: Wording) -> Iterator[str]:
    """MAE and RMSE beside what a constant reaches."""
    errors = {
        "MAE": (figures.mae, figures.constant_mae),
        "RMSE": (figures.rmse, figures.constant_rmse),
    }
    verdicts = {name: _against(error, constant) for name, (error, constant) in errors.items()}
    for name, (error, constant) in errors.items():
        gain = abs(1 - error.value / constant) if constant else math.nan
        yield say(
            f"conclusions.error_{verdicts[name]}",
            name=name,
            error=say.interval(error),
            constant=say.number(constant),
            gain=say.percent(gain, 0),
        )
    if (verdicts["MAE"], verdicts["RMSE"]) == ("worse", "better"):
        yield say("conclusions.error_split")


def _against(error: Interval, constant: float) -> str:
    if not (_known(error) and math.isfinite(constant)):
        return "unknown"
    if error.high < constant:
        return "better"
    return "worse" if error.low > constant else "same"


def _retrieval(figures: RetrievalFigures, say: Wording) -> str:
    recall, chance = figures.recall_10, min(1.0, 10 / max(figures.images, 1))
    values = {
        "recall": say.interval(recall),
        "first": say.percent(figures.recall_1.value, 0),
        "share": say.percent(recall.value, 0),
        "images": say.count(figures.images),
        "chance": say.percent(chance),
        "median": say.count(figures.median_rank),
    }
    if not recall.low > chance:
        return say("conclusions.recall_chance", **values)
    return say(f"conclusions.recall_{'most' if recall.low >= 0.5 else 'some'}", **values)


def _law(
    evaluation: Evaluation, before: PairFigures | None, after: PairFigures | None, say: Wording
) -> Iterator[str]:
    removed = evaluation.exclusions
    if not removed.images_removed:
        yield say("conclusions.law_nothing")
        return
    share = removed.images_share
    key = "small" if share < SMALL_SHARE else "part" if share < LARGE_SHARE else "large"
    yield say(
        f"conclusions.law_{key}",
        images=say.count(removed.images_removed),
        share=say.percent(share),
        pairs=say.percent(removed.pairs_share),
        word=next(iter(removed.by_word), "–"),
    )
    if before and after and _known(before.roc_auc) and _known(after.roc_auc):
        change = after.roc_auc.value - before.roc_auc.value
        overlap = (
            after.roc_auc.low <= before.roc_auc.high and before.roc_auc.low <= after.roc_auc.high
        )
        key = "same" if overlap else "up" if change > 0 else "down"
        yield say(
            f"conclusions.law_{key}",
            before=say.interval(before.roc_auc),
            after=say.interval(after.roc_auc),
        )


def _agreement(evaluation: Evaluation, say: Wording) -> str:
    alpha = evaluation.agreement.alpha
    if not math.isfinite(alpha):
        return say("conclusions.alpha_unknown")
    key = next(key for limit, key in ALPHA_LEVELS if alpha < limit)
    return say(f"conclusions.alpha_{key}", alpha=say.number(alpha))


def _known(interval: Interval) -> bool:
    return all(math.isfinite(value) for value in (interval.value, interval.low, interval.high))
