"""Measures models of a hub on the annotated archive, and prints a row of docs/models.md for each.

Usage: python recipes/try_hub.py NAME... --data ARCHIVE [--cache FILE]

Needs a network for what isn't installed, and the extra `hub`. NAME is what `kadr models pull`
takes. ARCHIVE is the folder that holds train_dataset.csv; its judgements only measure.
"""

import argparse
import resource
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from kadr.data import dataset
from kadr.encoders import vectors
from kadr.errors import KadrError
from kadr.law import policy
from kadr.matcher import bundle, installed
from kadr.study import evaluate, protocols
from kadr.types import Interval

COLUMNS = ("model", "R@1", "R@5", "R@10", "ROC-AUC", "tau-c", "ECE", "photos/s", "memory, MB")


def main() -> None:
    """Print the table, a row as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", metavar="NAME")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("try-hub-cache.sqlite"))
    options = parser.parse_args()
    print("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS), flush=True)
    for name in options.names:
        # A process each: its peak is this model's memory.
        with ProcessPoolExecutor(1, max_tasks_per_child=1) as alone:
            try:
                cells = alone.submit(row, name, options.data, options.cache).result()
            except KadrError as error:
                print(error, file=sys.stderr)
                continue
        print("| " + " | ".join([name, *cells]) + " |", flush=True)


def row(name: str, data: Path, cache: Path) -> list[str]:
    """Pull a model if it isn't there, and measure it."""
    try:
        folder = installed.resolve(name)
    except KadrError:
        folder = installed.pull(name).folder
    about = None if folder == bundle.MINI else installed.show(folder.name)
    found = evaluate.evaluate(
        bundle.load(folder),
        dataset.load(data),
        vectors.VectorCache(cache),
        policy=policy.PRESETS["none"],
        cross_validate=False,
    )
    pairs = next(one for one in found.pair_figures if one.name == protocols.IMAGE_DISJOINT)
    first = found.retrieval[0]
    ranks = (first.recall_1, first.recall_5, first.recall_10)
    figures = (*ranks, pairs.roc_auc, pairs.tau_c, pairs.expected_calibration_error)
    rate = f"{about.rate:.1f}" if about and about.rate else "-"
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [*map(_cell, figures), rate, f"{memory:,.0f}"]


def _cell(figure: Interval) -> str:
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"


if __name__ == "__main__":
    main()
