"""Prints docs/results.md's table: heads trained on 70 % of the archive, measured on the other 30 %.

Usage: python recipes/results.py ARCHIVE [--cache FILE]

Expect three minutes on 2 cores. ARCHIVE is the folder that holds train_dataset.csv.
"""

import argparse
from pathlib import Path

from kadr.data import dataset
from kadr.encoders import vectors
from kadr.law import policy
from kadr.matcher import bundle as matcher
from kadr.study import evaluate, protocols, train
from kadr.types import Interval

VARIANTS = {
    "shipped mini": None,
    "logistic": train.Config(policy="none"),
    "logistic, expert mean": train.Config(policy="none", experts="mean"),
    "logistic, law": train.Config(),
}
COLUMNS = (
    "matcher", "ROC-AUC", "query-disjoint", "after the law", "AP", "ECE", "Brier",
    "RMSE (constant)", "R@1", "R@5", "R@10", "5-fold AUC", "5-fold tau-c", "5-fold tau-b",
)  # fmt: skip


def main() -> None:
    """Print the table, a row as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("results-cache.sqlite"))
    options = parser.parse_args()
    archive, cache = dataset.load(options.archive), vectors.VectorCache(options.cache)
    print("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS), flush=True)
    for name, config in VARIANTS.items():
        chosen = matcher.load() if config is None else train.train(archive, config, cache).matcher
        found = evaluate.evaluate(chosen, archive, cache, policy=policy.PRESETS["under-16"])
        print("| " + " | ".join([name, *cells(found)]) + " |", flush=True)


def cells(found: evaluate.Evaluation) -> list[str]:
    """One row of the table."""
    figures = {item.name: item for item in found.pair_figures}
    all_images = figures[protocols.IMAGE_DISJOINT]
    no_queries = figures[protocols.QUERY_DISJOINT_HEAD]
    legal = figures[protocols.IMAGE_DISJOINT + protocols.AFTER_LAW]
    retrieval, cross = found.retrieval[0], found.cross_validated
    assert cross is not None
    return [
        show(all_images.roc_auc),
        show(no_queries.roc_auc),
        show(legal.roc_auc),
        show(all_images.average_precision),
        show(all_images.expected_calibration_error),
        f"{all_images.brier.value:.3f}",
        f"{all_images.rmse.value:.3f} ({all_images.constant_rmse:.3f})",
        *(show(r) for r in (retrieval.recall_1, retrieval.recall_5, retrieval.recall_10)),
        *(show(r) for r in (cross.roc_auc, cross.tau_c, cross.tau_b)),
    ]


def show(interval: Interval) -> str:
    """Value and interval."""
    return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


if __name__ == "__main__":
    main()
