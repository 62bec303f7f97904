"""What a comparison says, in sentences: the best, what ties with it, what each choice costs."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kadr.report.table import choice, differing, standing
from kadr.report.wording import Wording
from kadr.study.compare import Comparison, Row
from kadr.types import Interval

SAME = 0.005
"""A difference in ROC-AUC below this is printed as none."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """What another value of a choice changes, pair by pair of rows that differ in nothing else.

    `roc_auc` [pairs] is on held-out images; `recall_10` [pairs] is empty where nobody searched.
    """

    value: object
    roc_auc: tuple[float, ...]
    recall_10: tuple[float, ...]


def draw(comparison: Comparison, say: Wording) -> tuple[str, ...]:
    """The conclusions of a comparison, most important first."""
    rows = comparison.rows
    names = short_names(rows, say)
    sentences: list[str] = []
    if rows:
        sentences += _best(rows, names, say)
        sentences += _chosen(rows, names, say)
        sentences += _costs(rows, say)
        sentences += _unseen(rows, names, say)
        sentences += _recall(rows, names, say)
        sentences += _baselines(comparison, say)
    if comparison.failed:
        sentences.append(say("contrasts.failed", count=say.count(len(comparison.failed))))
    return tuple(sentences)


def short_names(rows: Sequence[Row], say: Wording) -> tuple[str, ...]:
    """Each row by the choices in which rows differ."""
    columns = differing(rows)
    if not columns:
        return tuple(say.plain(row.name) for row in rows)
    return tuple(" · ".join(say.plain(choice(row, key)) for key in columns) for row in rows)


def contrasts(rows: Sequence[Row], key: str) -> tuple[Contrast, ...]:
    """Each other value of a choice against the best row's own, the least costly first."""
    alike: dict[tuple[object, ...], dict[object, Row]] = {}
    others = [other for other in differing(rows) if other != key]
    for row in rows:
        rest = tuple(choice(row, other) for other in others)
        alike.setdefault(rest, {}).setdefault(choice(row, key), row)
    reference, found = choice(rows[0], key), []
    for value in dict.fromkeys(choice(row, key) for row in rows):
        pairs = [
            (group[value], group[reference])
            for group in alike.values()
            if value in group and reference in group
        ]
        if value != reference and pairs:
            found.append(Contrast(value, *_differences(pairs)))
    return tuple(sorted(found, key=lambda item: -_mean(item.roc_auc)))


def _differences(
    pairs: Sequence[tuple[Row, Row]],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    roc_auc = tuple(one.seen.roc_auc.value - two.seen.roc_auc.value for one, two in pairs)
    recall = tuple(
        one.retrieval.recall_10.value - two.retrieval.recall_10.value
        for one, two in pairs
        if one.retrieval and two.retrieval
    )
    return roc_auc, recall


def _best(rows: Sequence[Row], names: Sequence[str], say: Wording) -> Iterator[str]:
    auc, others = say.interval(rows[0].seen.roc_auc), len(rows) - 1
    if not others:
        yield say("contrasts.only", name=names[0], auc=auc)
        return
    yield say("contrasts.best", name=names[0], auc=auc)
    stand = [standing(row, place) for place, row in enumerate(rows, start=1)]
    same, unknown = stand.count("same"), stand.count("unknown")
    counts = {"count": say.count(same), "others": say.count(others - unknown)}
    if others > unknown:
        yield say(f"contrasts.{'same' if same else 'none_same'}", **counts)
    if unknown:
        yield say("contrasts.unknown", count=say.count(unknown))


def _chosen(rows: Sequence[Row], names: Sequence[str], say: Wording) -> Iterator[str]:
    """What would be chosen without a look at the held-out images."""
    validated = [place for place, row in enumerate(rows) if math.isfinite(row.validation)]
    if len(rows) == 1 or not validated:
        return
    place = max(validated, key=lambda place: rows[place].validation)
    yield say(
        f"contrasts.chosen_{'other' if place else 'best'}",
        name=names[place],
        validation=say.number(rows[place].validation),
        auc=say.interval(rows[place].seen.roc_auc),
    )


def _costs(rows: Sequence[Row], say: Wording) -> Iterator[str]:
    """What each choice costs, all else equal."""
    for key in differing(rows):
        items = [_cost(item, say) for item in contrasts(rows, key)]
        if items:
            yield say(
                "contrasts.cost",
                choice=say(f"training.{key}"),
                reference=say.plain(choice(rows[0], key)),
                items="; ".join(items),
            )


def _cost(item: Contrast, say: Wording) -> str:
    values = {
        "value": say.plain(item.value),
        "change": say.signed(_mean(item.roc_auc)),
        "low": say.signed(min(item.roc_auc)),
        "high": say.signed(max(item.roc_auc)),
        "pairs": say.count(len(item.roc_auc)),
    }
    text = say(f"contrasts.{'item' if len(item.roc_auc) > 1 else 'item_once'}", **values)
    if not item.recall_10:
        return text
    return text + say("contrasts.item_recall", change=say.signed(_mean(item.recall_10)))


def _unseen(rows: Sequence[Row], names: Sequence[str], say: Wording) -> Iterator[str]:
    """What texts unseen in training cost."""
    changes = {
        place: row.unseen.roc_auc.value - row.seen.roc_auc.value
        for place, row in enumerate(rows)
        if row.unseen and math.isfinite(row.unseen.roc_auc.value)
    }
    if not changes:
        yield say("contrasts.unseen_unknown")
        return
    place = max(changes, key=lambda place: abs(changes[place]))
    unseen = rows[place].unseen
    alike = abs(changes[place]) < SAME or unseen is None
    yield say(
        f"contrasts.unseen_{'same' if alike else 'one' if len(changes) == 1 else 'differs'}",
        change=say.signed(_mean([*changes.values()])),
        count=say.count(len(changes)),
        name=names[place],
        before=say.number(rows[place].seen.roc_auc.value),
        after=say.number(unseen.roc_auc.value if unseen else math.nan),
        most=say.number(abs(changes[place])),
    )


def _recall(rows: Sequence[Row], names: Sequence[str], say: Wording) -> Iterator[str]:
    found = {place: row.retrieval for place, row in enumerate(rows) if row.retrieval}
    if not found:
        return
    place = max(found, key=lambda place: found[place].recall_10.value)
    best = found[place]
    yield say(
        f"contrasts.recall_{'other' if place else 'best'}",
        name=names[place],
        recall=say.interval(best.recall_10),
        own=say.interval(found[0].recall_10) if 0 in found else say.number(math.nan),
        chance=say.number(min(1.0, 10 / max(best.images, 1))),
    )


def _baselines(comparison: Comparison, say: Wording) -> Iterator[str]:
    """How far the best is above the baselines, and which rows aren't above chance."""
    rows = comparison.rows
    if comparison.baselines:
        best = max(comparison.baselines, key=lambda row: row.seen.roc_auc.value)
        gap = rows[0].seen.roc_auc.value - best.seen.roc_auc.value
        yield say(
            f"contrasts.baseline_{'above' if gap > 0 else 'below'}",
            name=say.name("baselines", best.name),
            auc=say.number(best.seen.roc_auc.value),
            gap=say.number(gap),
        )
    below = sum(not _above_chance(row.seen.roc_auc) for row in rows)
    if below:
        yield say("contrasts.chance", count=say.count(below), all=say.count(len(rows)))


def _above_chance(auc: Interval) -> bool:
    return auc.low > 0.5


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
