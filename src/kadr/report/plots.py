"""Plots as SVG that sits inside a page and takes the page's colours and font."""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from kadr.evaluate import Evaluation
from kadr.metrics import Bin, PrecisionRecallCurve, RocCurve
from kadr.report.wording import Wording
from kadr.types import Floats

# matplotlib draws with stand-ins; the page's style sheet says what they are in light and dark.
INK, LINE, DATA = "#010203", "#010204", "#010205"
_VARIABLES = {INK: "--muted", LINE: "--line", DATA: "--data"}

WIDE, HIGH = 5.0, 3.5
"""Inches of every plot, so that their texts are equally large."""

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": INK,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.major.pad": 6,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "lines.linewidth": 2,
    "lines.solid_capstyle": "round",
}

TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)

Draw: TypeAlias = Callable[[Axes], None]


@dataclass(frozen=True, slots=True)
class Plot:
    """One plot: title and description in words, picture as an SVG element."""

    title: str
    description: str
    svg: str


def curves(evaluation: Evaluation, say: Wording) -> tuple[Plot, ...]:
    """ROC, precision-recall, reliability and scores by grade, as far as there is data."""
    found = []
    figures = evaluation.pair_figures[0] if evaluation.pair_figures else None
    if evaluation.roc is not None:
        roc = evaluation.roc
        text = say("plots.roc_alt", auc=say.interval(figures.roc_auc)) if figures else ""
        found.append(_plot("roc", text, say, lambda axes: _draw_roc(axes, roc, say)))
    if evaluation.precision_recall is not None:
        curve = evaluation.precision_recall
        base = figures.matches / figures.pairs if figures and figures.pairs else None
        text = say("plots.pr_alt", ap=say.interval(figures.average_precision)) if figures else ""
        found.append(_plot("pr", text, say, lambda axes: _draw_pr(axes, curve, base, say)))
    if evaluation.reliability:
        bins = evaluation.reliability
        ece = say.interval(figures.expected_calibration_error) if figures else ""
        text = say("plots.reliability_alt", ece=ece) if figures else ""
        found.append(
            _plot("reliability", text, say, lambda axes: _draw_reliability(axes, bins, say))
        )
    if any(len(scores) for scores in evaluation.scores_by_grade.values()):
        found.append(_scores_by_grade(evaluation.scores_by_grade, say))
    return tuple(found)


def labels(evaluation: Evaluation, say: Wording) -> tuple[Plot, ...]:
    """What the judges said: counts of grades, and the targets made of them."""
    counts = evaluation.grade_counts
    in_words = "; ".join(f"{grade}: {say.count(n)}" for grade, n in sorted(counts.items()))
    return (
        _plot("grades", in_words, say, lambda axes: _draw_grades(axes, counts, say)),
        _plot(
            "targets",
            say("plots.targets_alt"),
            say,
            lambda axes: _draw_targets(axes, evaluation.target_histogram, say),
        ),
    )


def _plot(name: str, description: str, say: Wording, draw: Draw) -> Plot:
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=(WIDE, HIGH), layout="constrained")
        draw(figure.add_subplot())
        return Plot(say(f"plots.{name}"), description, _svg(figure))


def _draw_roc(axes: Axes, curve: RocCurve, say: Wording) -> None:
    _unit_square(axes, say, "false_positive_rate", "true_positive_rate")
    axes.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=(0, (2, 3)))
    axes.plot(curve.false_positive_rate, curve.true_positive_rate, color=DATA)
    axes.annotate(say("plots.chance"), (0.62, 0.56), color=INK)


def _draw_pr(axes: Axes, curve: PrecisionRecallCurve, base: float | None, say: Wording) -> None:
    _unit_square(axes, say, "recall", "precision")
    if base is not None:
        axes.axhline(base, color=INK, linewidth=1, linestyle=(0, (2, 3)))
        axes.annotate(say("plots.chance"), (0.01, base + 0.02), color=INK)
    axes.plot(curve.recall, curve.precision, color=DATA)


def _draw_reliability(axes: Axes, bins: Sequence[Bin], say: Wording) -> None:
    _unit_square(axes, say, "probability", "share_true")
    axes.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=(0, (2, 3)))
    points = [(item.mean_probability, item.share_true) for item in bins if item.count]
    x, y = zip(*points, strict=True) if points else ((), ())
    axes.plot(x, y, color=DATA, marker="o", markersize=6)
    axes.annotate(say("plots.perfect"), (0.9, 0.93), color=INK, ha="right")


def _scores_by_grade(scores: Mapping[str, Floats], say: Wording) -> Plot:
    """One row per grade: overlaid histograms would hide each other."""
    with mpl.rc_context({**_STYLE, "svg.hashsalt": "scores"}):
        figure = Figure(figsize=(WIDE, HIGH), layout="constrained")
        rows = figure.subplots(len(scores), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (grade, values) in zip(rows, scores.items(), strict=True):
            if len(values):
                axes.hist(values, bins=25, range=(0, 1), color=DATA, rwidth=0.86)
            # Room above the bars for the row's name, which may stand over the highest of them.
            axes.set(xlim=(0, 1), ylim=(0, 1.5 * max(axes.get_ylim()[1], 1)), yticks=[])
            text = say("plots.grade_row", grade=grade, pairs=say.count(len(values)))
            axes.text(0.99, 0.98, text, ha="right", va="top", transform=axes.transAxes)
            axes.xaxis.set_major_formatter(_numbers(say))
        rows[-1].set_xlabel(say("plots.probability"))
        return Plot(say("plots.scores"), say("plots.scores_alt"), _svg(figure))


def _draw_grades(axes: Axes, counts: Mapping[int, int], say: Wording) -> None:
    grades = sorted(counts)
    bars = axes.bar([str(grade) for grade in grades], [counts[g] for g in grades], 0.6, color=DATA)
    axes.bar_label(bars, [say.count(counts[g]) for g in grades], padding=3, color=INK)
    axes.set(xlabel=say("plots.grade"), ylabel=say("plots.judgements"), yticks=[])
    axes.margins(y=0.12)


def _draw_targets(axes: Axes, histogram: Sequence[int], say: Wording) -> None:
    width = 1 / max(len(histogram), 1)
    axes.bar(
        [width * (n + 0.5) for n in range(len(histogram))], histogram, width * 0.86, color=DATA
    )
    if any(histogram):
        axes.set_yscale("log")
        axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: say.count(value)))
    axes.xaxis.set_major_formatter(_numbers(say))
    axes.grid(axis="y")
    axes.set(xlabel=say("plots.target"), ylabel=say("plots.pairs_log"), xlim=(0, 1))


def _unit_square(axes: Axes, say: Wording, x: str, y: str) -> None:
    axes.set(xlim=(0, 1.01), ylim=(0, 1.02), xlabel=say(f"plots.{x}"), ylabel=say(f"plots.{y}"))
    axes.grid(visible=True)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(TICKS)
        axis.set_major_formatter(_numbers(say))


def _numbers(say: Wording) -> FuncFormatter:
    return FuncFormatter(lambda value, _: say.number(value, 1))


def _svg(figure: Figure) -> str:
    """The bare element: no prologue, no metadata, no unused or doubled ids, the page's colours."""
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"\s+xmlns(:\w+)?=\"[^\"]*\"", "", svg).replace("xlink:href", "href")
    svg = re.sub(r"(<svg[^>]*?) width=\"[^\"]*\"", r"\1", svg)
    svg = re.sub(r"(<svg[^>]*?) height=\"[^\"]*\"", r"\1", svg)
    svg = svg.replace("<svg", '<svg aria-hidden="true"', 1)
    used = set(re.findall(r"#([\w-]+)", svg))
    svg = re.sub(r' id="([\w.-]+)"', lambda m: m[0] if m[1] in used else "", svg)
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    return re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
