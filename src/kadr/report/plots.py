"""Plots as SVG that sits inside a page and takes the page's colours and font."""

import io
import math
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from kadr.metrics.calibration import Bin
from kadr.metrics.ranking import PrecisionRecallCurve, RocCurve
from kadr.report.table import choice, differing
from kadr.report.wording import Wording, shortened
from kadr.study.compare import Row
from kadr.study.evaluate import Evaluation
from kadr.types import Floats

# matplotlib draws with stand-ins; the page's style sheet says what they are in light and dark.
INK, LINE, DATA, MARK, TEXT = "#010203", "#010204", "#010205", "#010206", "#010207"
_VARIABLES = {INK: "--muted", LINE: "--line", DATA: "--data", MARK: "--mark", TEXT: "--ink"}

WIDE, HIGH = 5.0, 3.5
"""Inches of every plot, so that their texts are equally large."""

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": 10,
    "text.color": INK,
    "text.parse_math": False,  # a dollar in an encoder's name is a dollar
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

MOST_DOTS, MOST_GROUPS = 48, 20
"""More dots than these make way for the preferred ones; more groups stay in the table."""
ROW, GAP = 0.17, 0.7
"""Inches of a dot's line; lines between groups."""
COLOURS = {"aligned": DATA, "concat": MARK}
MARKERS = {"logistic": "o", "boosting": "s", "mlp": "^"}

Draw: TypeAlias = Callable[[Axes], None]
Group: TypeAlias = tuple[str, Sequence[Row]]


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


def comparison(rows: Sequence[Row], say: Wording) -> tuple[Plot, ...]:
    """ROC-AUC of the rows with intervals, and the best of each pair of encoders."""
    found = [_dots(rows, say)] if rows else []
    images, texts = (
        [*dict.fromkeys(str(choice(row, key)) for row in rows)]
        for key in ("image_encoder", "text_encoder")
    )
    if len(images) > 1 and len(texts) > 1:

        def draw(axes: Axes) -> None:
            _draw_encoders(axes, rows, images, texts, say)

        high = 0.9 + 0.55 * len(images)
        found.append(_plot("encoders", say("plots.encoders_alt"), say, draw, high))
    return tuple(found)


def _dots(rows: Sequence[Row], say: Wording) -> Plot:
    groups, notes = _groups(rows, say)
    shared = ", ".join(say(f"training.{key}").lower() for key in _grouping(rows))
    text = say(
        "plots.dots_alt",
        best=say.interval(rows[0].seen.roc_auc),
        groups=shared or say("plots.dots_each"),
    )
    best = rows[0].seen.roc_auc.value

    def draw(axes: Axes) -> None:
        axes.axvline(best, color=INK, linewidth=1, linestyle=(0, (1, 3)))
        _draw_dots(axes, groups, say)

    high = 1.1 + ROW * sum(_lines(group) + GAP for group in groups)
    return _plot("dots", " ".join([text, *notes]), say, draw, high)


def _lines(group: Group) -> int:
    """As many as the dots or the name need."""
    name, members = group
    return max(len(members), name.count("\n") + 1)


def _grouping(rows: Sequence[Row]) -> list[str]:
    """The choices that make a group of the dots: all but features and head."""
    return [key for key in differing(rows) if key not in {"features", "classifier"}]


def _groups(rows: Sequence[Row], say: Wording) -> tuple[list[Group], list[str]]:
    """Rows that share encoders and labels, by name; of too many those that matter, and a note."""
    # Where features and head alone differ, each dot has a name of its own.
    keys, notes = _grouping(rows) or ["features", "classifier"], []
    groups: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(choice(row, key) for key in keys), []).append(row)
    if len(rows) > MOST_DOTS:
        groups = {name: _preferred(members) for name, members in groups.items()}
        notes.append(say("plots.dots_chosen"))
    if len(groups) > MOST_GROUPS:
        count, every = say.count(MOST_GROUPS), say.count(len(groups))
        notes.append(say("plots.dots_cut", count=count, all=every))
    named: list[Group] = [(_label(name, say), members) for name, members in groups.items()]
    return named[:MOST_GROUPS], notes


def _preferred(rows: Sequence[Row]) -> list[Row]:
    """For each kind of features the head that validation prefers; the first where it is silent."""
    best: dict[object, Row] = {}
    for row in rows:
        key = choice(row, "features")
        if key not in best or row.validation > best[key].validation:
            best[key] = row
    return [*best.values()]


def _label(parts: Sequence[object], say: Wording) -> str:
    """Names on lines of their own."""
    return "\n".join(shortened(say.plain(part), 24) for part in parts)


def _draw_dots(axes: Axes, groups: Sequence[Group], say: Wording) -> None:
    rows = [row for _, members in groups for row in members]
    place, ticks = 0.0, list[float]()
    for group in groups:
        if ticks:
            axes.axhline(place - (1 + GAP) / 2, color=LINE, linewidth=0.6)
        middle = place + (_lines(group) - 1) / 2
        first = middle - (len(group[1]) - 1) / 2
        for number, row in enumerate(group[1]):
            _draw_dot(axes, row, first + number)
        ticks.append(middle)
        place += _lines(group) + GAP
    axes.set_yticks(ticks, [name for name, _ in groups], fontsize=9)
    axes.set(ylim=(place - GAP, -GAP))
    axes.grid(axis="x")
    _exact_ticks(axes, say)
    _legend(axes, rows, say)


def _exact_ticks(axes: Axes, say: Wording) -> None:
    """Ticks of the x-axis at round numbers, written with as many digits as their step has."""
    low, high = axes.get_xlim()
    places = MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(low, high)
    digits = max(1, -math.floor(math.log10(places[1] - places[0]) + 1e-9))
    shown = [float(place) for place in places if low <= place <= high]
    axes.set_xticks(shown, [say.number(place, digits) for place in shown])


def _draw_dot(axes: Axes, row: Row, place: float) -> None:
    figure = row.seen.roc_auc
    head, features = choice(row, "classifier"), choice(row, "features")
    colour = COLOURS.get(str(features), INK)
    axes.plot([figure.low, figure.high], [place, place], color=colour, linewidth=1.4, alpha=0.6)
    axes.plot(
        [figure.value], [place], color=colour, marker=MARKERS.get(str(head), "X"), markersize=6
    )
    if row.unseen:
        axes.plot([row.unseen.roc_auc.value], [place], color=TEXT, marker="|", markersize=9)


def _legend(axes: Axes, rows: Sequence[Row], say: Wording) -> None:
    """Only what differs, and the stroke."""
    handles = []
    for key in ("features", "classifier"):
        names = dict.fromkeys(str(choice(row, key)) for row in rows)
        for name in names if len(names) > 1 else ():
            colour = COLOURS.get(name, INK) if key == "features" else INK
            style = (
                {"linestyle": "", "marker": MARKERS.get(name, "X")}
                if key == "classifier"
                else {"linewidth": 4}
            )
            handles.append(Line2D([], [], color=colour, label=name, **style))
    if any(row.unseen for row in rows):
        label = say("plots.unseen_mark")
        handles.append(Line2D([], [], linestyle="", color=TEXT, marker="|", label=label))
    figure = axes.get_figure(root=True)
    if handles and figure:
        figure.legend(handles=handles, loc="outside upper left", ncols=3, frameon=False, fontsize=9)


def _draw_encoders(
    axes: Axes, rows: Sequence[Row], images: Sequence[str], texts: Sequence[str], say: Wording
) -> None:
    best: dict[tuple[int, int], Row] = {}
    for row in rows:
        at = (
            images.index(str(choice(row, "image_encoder"))),
            texts.index(str(choice(row, "text_encoder"))),
        )
        if at not in best or row.seen.roc_auc.value > best[at].seen.roc_auc.value:
            best[at] = row
    values = [row.seen.roc_auc.value for row in best.values()]
    low, span = min(values), max(max(values) - min(values), 1e-9)
    for (y, x), row in best.items():
        value, recall = row.seen.roc_auc.value, row.retrieval
        depth = 0.06 + 0.34 * (value - low) / span
        axes.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, color=DATA, alpha=depth, lw=0))
        axes.text(x, y - 0.03, say.number(value), ha="center", va="bottom", color=TEXT)
        if recall:
            below = say.number(recall.recall_10.value, 2)
            axes.text(x, y + 0.03, below, ha="center", va="top", color=TEXT, fontsize=8)
    axes.set_xticks(range(len(texts)), [_label([name], say) for name in texts], fontsize=9)
    axes.set_yticks(range(len(images)), [_label([name], say) for name in images], fontsize=9)
    if sum(map(len, texts)) > 40:
        for name in axes.get_xticklabels():
            name.set(rotation=30, ha="right", rotation_mode="anchor")
    axes.set(xlim=(-0.5, len(texts) - 0.5), ylim=(len(images) - 0.5, -0.5))
    axes.spines["bottom"].set_visible(False)


def _plot(name: str, description: str, say: Wording, draw: Draw, high: float = HIGH) -> Plot:
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=(WIDE, high), layout="constrained")
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
    small: dict[str, Any] = {
        "textcoords": "offset points",
        "ha": "left",
        "color": INK,
        "fontsize": 8,
    }
    for item in bins:
        x, share = item.mean_probability, item.share
        axes.plot([x, x], [share.low, share.high], color=DATA, linewidth=1.4)
        axes.plot([x], [share.value], color=DATA, marker="o", markersize=5, clip_on=False)
        axes.annotate(say.count(item.count), (x, share.value), (5, 2), **small)


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
    with warnings.catch_warnings():  # the page's fonts draw what matplotlib's lack
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
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
