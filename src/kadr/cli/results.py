"""What training, evaluation and the study of judges found, as lines of text."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kadr.cli.console import say

if TYPE_CHECKING:
    from kadr.data.judges import ExpertAuc, JudgeStudy
    from kadr.data.labels import Agreement, Confusion, CrowdAgreement
    from kadr.study.evaluate import Evaluation
    from kadr.study.train import Trained
    from kadr.types import Interval


def print_trained(trained: "Trained", broken: int, out: Path, seconds: float) -> None:
    """What was learned from, what the law took out, and the held-out figures."""
    law, manifest = trained.exclusions, trained.matcher.manifest
    say(f"Trained on {manifest['pairs']} pairs in {seconds:.0f} s: {out}")
    say(
        f"Law ({manifest['config']['policy']}): {law.images_removed} of {law.images_total} images "
        f"({law.images_share:.1%}) and {law.pairs_removed} of {law.pairs_total} pairs "
        f"({law.pairs_share:.1%}) were left out"
    )
    words = sorted(law.by_word.items(), key=lambda item: -item[1].images)
    if words:
        say("  by word: " + ", ".join(f"{word} {removed.images}" for word, removed in words))
    if trained.coverage.left_out:
        say(f"  {trained.coverage.left_out} pairs have no label: the experts all differ")
    _say_wordless(trained.wordless)
    if broken or trained.skipped:
        say(f"  {broken} broken rows and {len(trained.skipped)} photos were skipped")
    if manifest["metrics"]:
        m = manifest["metrics"]
        say(
            f"Held out: ROC-AUC {m['roc_auc']:.3f}, average precision "
            f"{m['average_precision']:.3f}, ECE {m['expected_calibration_error']:.3f} "
            f"({m['held_out_pairs']} pairs)"
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
            (f"expert {item.rater}", f"{_interval(item.roc_auc)}  {_matches(item)}")
            for item in study.expert_aucs
        )
    for confusion in study.confusions or ():
        _print_confusion(confusion)
    if study.crowd is not None and study.crowd_auc is not None:
        _print_crowd(study.crowd, study.crowd_auc)


def _matches(item: "ExpertAuc") -> str:
    return f"{item.pairs:,} pairs, {item.matches:,} matches"


def _print_agreement(agreement: "Agreement") -> None:
    say("", f"Agreement of the experts on {agreement.pairs:,} pairs")
    _print_rows([
        ("Krippendorff's alpha", f"{agreement.alpha:.3f}"),
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
            (str(true), "".join(f"{share:8.3f}" for share in row))
            for true, row in enumerate(confusion.matrix.tolist(), start=1)
        ),
    ])  # fmt: skip


def _print_crowd(crowd: "CrowdAgreement", auc: "Interval") -> None:
    say("", f"The crowd beside the experts on the {crowd.pairs:,} pairs of both")
    _print_rows([
        ("mean share of yes", f"{crowd.crowd_share:.3f}"),
        ("mean expert target", f"{crowd.expert_target:.3f}"),
        ("Spearman's rho", f"{crowd.spearman:.3f}"),
        ("Kendall's tau-b", f"{crowd.kendall:.3f}"),
        ("ROC-AUC, median >= 3", _interval(auc)),
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


def print_evaluation(evaluation: "Evaluation") -> None:
    """All figures of an evaluation, with intervals."""
    _say_wordless(evaluation.wordless)
    for figures in evaluation.pair_figures:
        say(
            "",
            f"{figures.name}: {figures.pairs} pairs of {figures.images} images, "
            f"{figures.matches} matches",
        )
        _print_intervals(
            ("ROC-AUC", figures.roc_auc),
            ("average precision", figures.average_precision),
            ("Brier", figures.brier),
            ("ECE", figures.expected_calibration_error),
            ("tau-c", figures.tau_c),
            ("tau-b (crowd)", figures.tau_b),
        )
        say(f"  {'MAE':20} {_interval(figures.mae)}  constant {figures.constant_mae:.3f}")
        say(f"  {'RMSE':20} {_interval(figures.rmse)}  constant {figures.constant_rmse:.3f}")
    for retrieval in evaluation.retrieval:
        say("", f"{retrieval.name}: {retrieval.queries} queries, {retrieval.images} images")
        _print_intervals(
            ("recall@1", retrieval.recall_1),
            ("recall@5", retrieval.recall_5),
            ("recall@10", retrieval.recall_10),
            ("MRR", retrieval.mean_reciprocal_rank),
        )
        say(f"  {'median rank':20} {retrieval.median_rank:g}")
    if (published := evaluation.cross_validated) is not None:
        say("", "published protocols, 5-fold by image, all images")
        _print_intervals(
            ("ROC-AUC", published.roc_auc),
            ("Flickr8k-Expert tau-c", published.tau_c),
            ("Flickr8k-CF tau-b", published.tau_b),
            width=22,
        )


def _print_intervals(*rows: tuple[str, "Interval | None"], width: int = 20) -> None:
    say(*(f"  {name:{width}} {_interval(figure)}" for name, figure in rows if figure is not None))


def _interval(interval: "Interval") -> str:
    return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def plain(value: Any) -> str:
    """A figure of an archive as text."""
    if isinstance(value, dict):
        return ", ".join(f"{key}: {count}" for key, count in value.items())
    if isinstance(value, tuple):
        return "; ".join(" = ".join(group) for group in value) or "none"
    return str(value)
