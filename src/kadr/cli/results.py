"""What training, evaluation and the study of judges found, as lines of text."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kadr.cli.console import say

if TYPE_CHECKING:
    from kadr.data.agreement import CrowdAgreement, ExpertAgreement
    from kadr.data.dawid_skene import Confusion
    from kadr.data.judges import ExpertAuc, JudgeStudy
    from kadr.law.policy import ExclusionReport, Policy
    from kadr.study.evaluate import Evaluation
    from kadr.study.train import Trained
    from kadr.types import Interval


def print_trained(trained: "Trained", broken: int, out: Path, seconds: float) -> None:
    """What was learned from, what the law took out, and the held-out figures."""
    law, manifest = trained.exclusions, trained.matcher.manifest
    say(f"Trained on {manifest['pairs']} pairs in {seconds:.0f} s: {out}")
    left_out = _left_out(law) if manifest["policy"]["hides_children"] else "nothing is left out"
    say(f"Law ({manifest['policy']['name']}): {left_out}")
    words = sorted(law.by_word.items(), key=lambda item: -item[1].images)
    if words:
        say("  by word: " + ", ".join(f"{word} {removed.images}" for word, removed in words))
    if trained.coverage.left_out:
        say(f"  {trained.coverage.left_out} pairs have no label: the experts all differ")
    _say_wordless(trained.wordless)
    if broken or trained.skipped:
        say(f"  {broken} broken rows and {len(trained.skipped)} photos were skipped")
    if not manifest["metrics"]:
        _say_unmeasured({"Held out": "held_out"})
    else:
        m = manifest["metrics"]
        say(
            f"Held out: ROC-AUC {m['roc_auc']:.3f}, average precision "
            f"{m['average_precision']:.3f}, ECE {m['expected_calibration_error']:.3f} "
            f"({m['held_out_pairs']} pairs)"
        )


def _left_out(law: "ExclusionReport") -> str:
    return (
        f"{law.images_removed} of {law.images_total} images ({law.images_share:.1%}) and "
        f"{law.pairs_removed} of {law.pairs_total} pairs ({law.pairs_share:.1%}) were left out"
    )


def print_study(study: "JudgeStudy") -> None:
    """How experts and crowd agree, as `kadr data judges` prints it."""
    for notice in study.notices:
        say(f"Note: {notice}", "")
    coverage = study.coverage
    say("Judged pairs")
    _print_rows([
        ("by experts", f"{study.expert_pairs:7,}"),
        ("by the crowd", f"{study.crowd_pairs:7,}"),
    ])  # fmt: skip
    say("", "Labels by the most frequent grade and the crowd's votes")
    _print_rows([
        ("of experts only", f"{coverage.expert_only:7,}"),
        ("of the crowd only", f"{coverage.crowd_only:7,}"),
        ("of both", f"{coverage.both:7,}"),
        ("no most frequent grade", f"{coverage.undecided:7,}"),
        ("so without a label", f"{coverage.left_out:7,}"),
    ])  # fmt: skip
    if study.agreement is not None:
        _print_agreement(study.agreement)
    if study.expert_aucs:
        say("", "One expert's grade against the verdict of the others (ROC-AUC)")
        _print_rows(
            (f"expert {item.rater}", f"{_figure('roc_auc', item.roc_auc)}  {_matches(item)}")
            for item in study.expert_aucs
        )
    for confusion in study.confusions or ():
        _print_confusion(confusion)
    if study.crowd is not None and study.crowd_auc is not None:
        _print_crowd(study.crowd, study.crowd_auc)


def _matches(item: "ExpertAuc") -> str:
    return f"{item.pairs:,} pairs, {item.matches:,} matches"


def _print_agreement(agreement: "ExpertAgreement") -> None:
    say("", f"Agreement of the experts on {agreement.pairs:,} pairs")
    _print_rows([
        ("Krippendorff's alpha", _figure("alpha", agreement.alpha)),
        ("all agree", f"{agreement.all_agree:.1%}"),
        ("some agree", f"{agreement.some_agree:.1%}"),
        ("all differ", f"{agreement.all_differ:.1%}"),
    ])  # fmt: skip
    say("", "Mean grade, and how far it is from the mean of all")
    _print_rows(
        (f"expert {item.rater}", f"{item.mean:.2f}  {item.difference:+.2f}")
        for item in agreement.severity
    )


def _print_confusion(confusion: "Confusion") -> None:
    say("", f"Expert {confusion.rater} by Dawid and Skene: share of each grade given")
    _print_rows([
        ("true grade", "".join(f"{given:8}" for given in range(1, 5))),
        *(
            (str(true), _shares(row))
            for true, row in enumerate(confusion.matrix.tolist(), start=1)
        ),
    ])  # fmt: skip


def _shares(row: list[float]) -> str:
    if not any(map(math.isnan, row)):
        return "".join(f"{share:8.3f}" for share in row)
    return f"  {_figure('matrix', math.nan)}"


def _print_crowd(crowd: "CrowdAgreement", auc: "Interval") -> None:
    say("", f"The crowd beside the experts on the {crowd.pairs:,} pairs of both")
    _print_rows([
        ("mean share of yes", f"{crowd.crowd_share:.3f}"),
        ("mean expert target", f"{crowd.expert_target:.3f}"),
        ("Spearman's rho", _figure("spearman", crowd.spearman)),
        ("Kendall's tau-b", _figure("kendall", crowd.kendall)),
        ("ROC-AUC, median >= 3", _figure("crowd_auc", auc)),
    ])  # fmt: skip
    say("", "Mean share of yes by the experts' median grade")
    _print_rows(
        (f"grade {item.grade:g}", f"{item.share:.3f}  {item.pairs:5,} pairs")
        for item in crowd.by_grade
    )


def _print_rows(rows: Iterable[tuple[str, str]]) -> None:
    for name, value in rows:
        say(f"  {name:24} {value}")


def _say_wordless(texts: tuple[str, ...]) -> None:
    if texts:
        say(
            f"  {len(texts)} texts hold no word that the text encoder knows, so nothing can be "
            f"found by them: {texts[0]!r}" + (", …" if len(texts) > 1 else "")
        )


def print_evaluation(evaluation: "Evaluation", policy: "Policy") -> None:
    """All figures of an evaluation, with intervals; `policy` is the one it was made under."""
    removed = evaluation.exclusions
    hides = f"it hides {removed.images_removed} of {removed.images_total} judged images"
    say(f"Law ({policy.name}): {hides if policy.hides_children else 'it hides nothing'}")
    _say_wordless(evaluation.wordless)
    for figures in evaluation.pair_figures:
        say(
            "",
            f"{figures.name}: {figures.pairs} pairs of {figures.images} images, "
            f"{figures.matches} matches",
        )
        _print_figures(
            figures,
            ("ROC-AUC", "roc_auc"),
            ("average precision", "average_precision"),
            ("Brier", "brier"),
            ("ECE", "expected_calibration_error"),
            ("tau-c", "tau_c"),
            ("tau-b (crowd)", "tau_b"),
        )
        for name, key in (("MAE", "mae"), ("RMSE", "rmse")):
            constant = getattr(figures, f"constant_{key}")
            text = _figure(key, getattr(figures, key))
            say(f"  {name:20} {text}  constant {constant:.3f}")
    for retrieval in evaluation.retrieval:
        say("", f"{retrieval.name}: {retrieval.queries} queries, {retrieval.images} images")
        _print_figures(
            retrieval,
            ("recall@1", "recall_1"),
            ("recall@5", "recall_5"),
            ("recall@10", "recall_10"),
            ("MRR", "mean_reciprocal_rank"),
        )
        say(f"  {'median rank':20} {retrieval.median_rank:g}")
    if (published := evaluation.cross_validated) is not None:
        say("", "published protocols, 5-fold by image, all images")
        _print_figures(
            published,
            ("ROC-AUC", "roc_auc"),
            ("Flickr8k-Expert tau-c", "tau_c"),
            ("Flickr8k-CF tau-b", "tau_b"),
            width=22,
        )
    _say_unmeasured(evaluation.unmeasured)


def not_held_out() -> str:
    """Why training has no held-out figures, where it has none."""
    from kadr.report import undefined

    return undefined.reason("held_out", undefined.english())


def _say_unmeasured(reasons: Mapping[str, str]) -> None:
    from kadr.report import undefined

    for name, key in reasons.items():
        say("", f"{name}: not measured, {undefined.reason(key, undefined.english())}")


def _print_figures(figures: Any, *rows: tuple[str, str], width: int = 20) -> None:
    """Each row is a label and the figure's name; one that wasn't asked for is None."""
    for label, key in rows:
        if (figure := getattr(figures, key)) is not None:
            say(f"  {label:{width}} {_figure(key, figure)}")


def _figure(key: str, figure: "float | Interval") -> str:
    """A figure with its interval; in words where it, or the interval, can't be computed."""
    from kadr.report import undefined

    value = figure if isinstance(figure, float) else figure.value
    reason = undefined.why(key, figure)
    if math.isnan(value):
        return undefined.english()("undefined.says", why=str(reason))
    if reason is not None:
        return f"{value:.3f} ({reason})"
    if isinstance(figure, float):
        return f"{value:.3f}"
    return f"{value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"


def plain(value: Any) -> str:
    """A figure of an archive as text."""
    if isinstance(value, dict):
        return ", ".join(f"{key}: {count}" for key, count in value.items())
    if isinstance(value, tuple):
        return "; ".join(" = ".join(group) for group in value) or "none"
    return str(value)
