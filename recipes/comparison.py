"""Prints the comparisons of docs/results.md: encoders and heads, ways to join judgements.

Usage: python recipes/comparison.py ARCHIVE --out DIR [--cache FILE] [--jobs N]

ARCHIVE is the folder that holds train_dataset.csv; the encoders need the extra `research`. Expect
two hours on 2 cores. What is measured is kept in DIR, so an interrupted run goes on.
"""

import argparse
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import get_args

from results import show

from kadr import report
from kadr.data import Experts, Judges, dataset
from kadr.encoders import vectors
from kadr.matcher import Classifier, Features, Space
from kadr.study import compare, train

LITES = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2")
IMAGES = ("mini", *LITES, "+".join(LITES))
TEXTS = ("mini", "tfidf", "glove", "minilm", "mini+tfidf", "minilm+glove")
CONCATENATED = ("mini", "efficientnet-lite0")
WEIGHTS = tuple(round(0.1 * step, 1) for step in range(11))


def encoders() -> list[train.Config]:
    """Each image encoder with each text encoder and each head; two of them concatenated as well.

    Logistic heads are tuned in each row, the slower ones for the pair `mini` alone.
    """
    base = train.Config(policy="none")
    pairs = [
        replace(base, image_encoder=image, text_encoder=text)
        for image, text in product(IMAGES, TEXTS)
    ]
    tuned = [replace(config, search=True) for config in pairs]
    mini = [replace(base, alignment=space, search=True) for space in get_args(Space)]
    others = [config for config in pairs if config != base]
    return [
        *tuned,
        mini[1],
        *(replace(c, features="concat") for c in tuned if c.image_encoder in CONCATENATED),
        *(replace(c, classifier="mlp") for c in (*mini, *others)),
        *(replace(c, classifier="boosting") for c in (*mini, *others)),
    ]


def label_choices() -> list[train.Config]:
    """How experts become one grade, whose word counts, with the law and without."""
    return [
        train.Config(policy=policy, judges=judges, experts=experts)
        for policy, judges, experts in product(
            ("none", "under-16"), get_args(Judges), get_args(Experts)
        )
        if judges != "crowd" or experts == "majority"
    ]


def weights() -> list[train.Config]:
    """The experts' share where the crowd judged too."""
    return [train.Config(policy="none", expert_weight=weight) for weight in WEIGHTS]


def main() -> None:
    """Measure what is missing, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--out", type=Path, default=Path("comparison"))
    parser.add_argument("--cache", type=Path, default=Path("comparison-cache.sqlite"))
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    archive, cache = dataset.load(options.archive), vectors.VectorCache(options.cache)

    def measure(name: str, configs: list[train.Config]) -> compare.Comparison:
        folder = options.out / name
        found = compare.compare(archive, configs, cache, folder, jobs=options.jobs)
        report.write_comparison(found, folder)
        return found

    print_encoders(measure("encoders", encoders()))
    print_labels(measure("labels", label_choices()))
    print_weights(measure("weights", weights()))


def print_encoders(found: compare.Comparison) -> None:
    """ROC-AUC and R@10 of each pair of encoders, head by head."""
    for classifier, features in product(get_args(Classifier), get_args(Features)):
        rows = {
            (c.image_encoder, c.text_encoder): row
            for row in found.rows
            if (c := row.config)
            and (c.classifier, c.features, c.alignment) == (classifier, features, "fitted")
        }
        if rows:
            print(f"\n{classifier}, {features}: ROC-AUC, with new texts too, R@10\n")
            _grid(rows)
    for row in found.rows:
        if row.config and row.config.alignment == "shipped":
            print(f"\n{row.name}: {_line(row)}")


def _grid(rows: dict[tuple[str, str], compare.Row]) -> None:
    print("| image, text | " + " | ".join(TEXTS) + " |")
    print("|---" * (len(TEXTS) + 1) + "|")
    for image in IMAGES:
        cells = [_cell(rows[image, text]) if (image, text) in rows else "" for text in TEXTS]
        if any(cells):
            print(f"| {image} | " + " | ".join(cells) + " |")


def _cell(row: compare.Row) -> str:
    assert row.unseen is not None
    assert row.retrieval is not None
    figures = (row.seen.roc_auc, row.unseen.roc_auc, row.retrieval.recall_10)
    return " ".join(f"{figure.value:.3f}" for figure in figures)


def _line(row: compare.Row) -> str:
    assert row.unseen is not None
    assert row.retrieval is not None
    figures = (
        ("ROC-AUC", row.seen.roc_auc),
        ("new texts", row.unseen.roc_auc),
        ("AP", row.seen.average_precision),
        ("ECE", row.seen.expected_calibration_error),
        ("tau-c", row.seen.tau_c),
        ("R@1", row.retrieval.recall_1),
        ("R@10", row.retrieval.recall_10),
    )
    figures_text = ", ".join(f"{name} {show(figure)}" for name, figure in figures)
    return f"{figures_text}; validation {row.validation:.4f}; {dict(row.settings)}"


def print_labels(found: compare.Comparison) -> None:
    """One row for each way to join judgements, in the order of the choices."""
    columns: tuple[tuple[str, Callable[[compare.Row], str]], ...] = (
        ("ROC-AUC", lambda row: show(row.seen.roc_auc)),
        ("against the best", _behind),
        ("AP", lambda row: f"{row.seen.average_precision.value:.3f}"),
        ("ECE", lambda row: f"{row.seen.expected_calibration_error.value:.3f}"),
        ("tau-c", lambda row: f"{row.seen.tau_c.value:.3f}"),
        ("validation", lambda row: f"{row.validation:.4f}"),
    )
    print("\n| law | judges | experts | " + " | ".join(name for name, _ in columns) + " |")
    print("|---" * (len(columns) + 3) + "|")
    for row in _in_order(found, label_choices()):
        assert row.config is not None
        chosen = (row.config.policy, row.config.judges, row.config.experts)
        print("| " + " | ".join([*chosen, *(show(row) for _, show in columns)]) + " |")


def print_weights(found: compare.Comparison) -> None:
    """Each weight, and the brief's against the best on the same resamples."""
    print("\n| experts' share | ROC-AUC | against the best | validation |\n|---|---|---|---|")
    rows = list(_in_order(found, weights()))
    for row in rows:
        assert row.config is not None
        cells = (show(row.seen.roc_auc), _behind(row), f"{row.validation:.4f}")
        print(f"| {row.config.expert_weight:g} | " + " | ".join(cells) + " |")
    highest = max(rows, key=lambda row: row.validation)
    assert highest.config is not None
    print(f"\nHighest in validation: {highest.config.expert_weight:g}")


def _behind(row: compare.Row) -> str:
    if row.behind is None:
        return "best"
    return f"{row.behind.value:+.4f} [{row.behind.low:+.4f}, {row.behind.high:+.4f}]"


def _in_order(found: compare.Comparison, configs: Iterable[train.Config]) -> Iterable[compare.Row]:
    rows = {row.config: row for row in found.rows}
    return [rows[config] for config in configs if config in rows]


if __name__ == "__main__":
    main()
