"""Comparisons made by hand, without measuring anything."""

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import product

from kadr.study.compare import Comparison, Row, name
from kadr.study.figures import PairFigures, RetrievalFigures
from kadr.study.train import Config
from kadr.types import Difference, Interval

SCRIPT = "<script>alert(1)</script>"
HOSTILE = ("=1+1", "+a|b", "-a\nb", "@a`*_[x](y)", f"{SCRIPT}|$\\x$", "{0}", "\udcff\u202e口🙂")
IMAGES = (
    "mini",
    "resnet18",
    "mobilenet",
    "dinov2",
    "clip-b32",
    "a-very-long-name/of-an/image-tower",
)
TEXTS = ("mini", "tfidf", "bow", "hashing", "llm:intfloat/multilingual-e5-large-instruct")
HEADS: Mapping[str, Mapping[str, float]] = {
    "logistic": {"C": 0.001},
    "boosting": {"num_leaves": 8, "num_iterations": 250},
    "mlp": {"alpha": 3.0},
}


def interval(value: float, half: float = 0.02) -> Interval:
    return Interval(value, value - half, min(value + half, 1))


def figures(auc: float, set_name: str = "image-disjoint") -> PairFigures:
    return PairFigures(
        set_name, 1726, 300, 238, interval(auc), interval(auc - 0.3), interval(0.07, 0.01),
        interval(0.015, 0.005), interval(0.12), interval(0.19), 0.2, 0.3, interval(auc - 0.4), None,
    )  # fmt: skip


def retrieval(recall: float) -> RetrievalFigures:
    parts = (interval(recall / 2), interval(recall * 0.9), interval(recall), interval(recall / 2))
    return RetrievalFigures("test queries", 500, 100, *parts, 3.0)


def row(config: Config, auc: float, *, lost: float = 0.01, validation: float | None = None) -> Row:
    """A combination that reaches this ROC-AUC, and loses some of it on unseen texts."""
    return Row(
        name(config), config, HEADS.get(config.classifier, {}),
        auc + 0.01 if validation is None else validation, figures(auc),
        figures(auc - lost, "query-disjoint pipeline"), retrieval(auc), 11.7, 6.25,
    )  # fmt: skip


BASELINES = tuple(
    Row(which, None, {}, math.nan, figures(auc), None, found, 0.0, 0.0)
    for which, auc, found in (("constant", 0.5, None), ("random", 0.48, retrieval(0.1)))
)


def ranked(*rows: Row, failed: Mapping[str, str] | None = None, same: float = 0.01) -> Comparison:
    """Order rows; those nearer than `same` to the best can't be told from it."""
    best, *others = sorted(rows, key=lambda one: -one.seen.roc_auc.value)
    kept = [best]
    for one in others:
        gap = one.seen.roc_auc.value - best.seen.roc_auc.value
        p = 0.4 if -gap < same else 0.002
        kept.append(replace(one, behind=Difference(gap, gap - 0.01, gap + 0.01, p)))
    return Comparison(tuple(kept), BASELINES, failed or {})


def study(
    images: int = 3, texts: int = 3, *, failed: Mapping[str, str] | None = None
) -> Comparison:
    """Every combination of so many encoders, both kinds of features and the three heads."""
    made = []
    for (i, image), (t, text), (f, pair), (h, head) in product(
        enumerate(IMAGES[:images]), enumerate(TEXTS[:texts]),
        enumerate(("aligned", "concat")), enumerate(HEADS),
    ):  # fmt: skip
        config = Config(image, text, pair, head)  # type: ignore[arg-type]
        auc = 0.92 - 0.03 * i - 0.02 * t - 0.1 * f - 0.004 * h
        made.append(row(config, auc, lost=0.03 if text == "tfidf" else 0.002))
    return ranked(*made, failed=failed)


def hostile() -> Comparison:
    """Names, reasons and figures that nobody should trust."""
    made = []
    for number, (image, text) in enumerate(product(HOSTILE, HOSTILE[:5])):
        config = Config(image, text, seed=7, judges="crowd" if number % 2 else "both")
        one = row(config, 0.9 - 0.005 * number)
        if number % 3 == 0:
            one = replace(one, unseen=None, retrieval=None, validation=math.nan)
        made.append(one)
    found = ranked(*made, failed={name: f"no {name}\n| at all" for name in HOSTILE})
    nothing = replace(
        found.rows[4].seen,
        roc_auc=Interval(0.8, math.nan, math.nan),
        tau_c=Interval(*[math.nan] * 3),
    )
    odd = replace(found.rows[4], seen=nothing, behind=None)
    return replace(found, rows=(*found.rows[:4], odd, *found.rows[5:]))
