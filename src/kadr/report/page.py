"""Figures -> one HTML page: tables, plots, conclusions, and photos to judge by eye."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kadr.photos import files
from kadr.report import comparison as comparisons
from kadr.report import conclusions, output, plots, undefined
from kadr.report.frames import Frame, Framer
from kadr.report.table import Cell, cell
from kadr.report.wording import MISSING, Wording
from kadr.study.compare import Comparison
from kadr.study.evaluate import Evaluation, Example

PAIR_ROWS = (
    "roc_auc",
    "average_precision",
    "brier",
    "expected_calibration_error",
    "mae",
    "rmse",
    "tau_c",
    "tau_b",
)
RETRIEVAL_ROWS = ("recall_1", "recall_5", "recall_10", "mean_reciprocal_rank")
TRAINING = (
    "image_encoder",
    "text_encoder",
    "features",
    "classifier",
    "experts",
    "expert_weight",
    "policy",
    "test_share",
    "seed",
)


@dataclass(frozen=True, slots=True)
class Row:
    """A figure by its name, one cell per column."""

    name: str
    hint: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Strip:
    """One query of the visual test; no frames where the search is refused."""

    text: str
    rank: str
    refused: bool
    frames: tuple[Frame, ...]


def write(  # noqa: PLR0913 - a page shows all of it
    evaluation: Evaluation,
    path: Path,
    *,
    photos: Mapping[str, Path],
    manifest: Mapping[str, Any],
    language: str,
    disclaimer: str,
    comparison: Comparison | None,
) -> Path:
    """Write the page; `kadr.report.write` says more.

    Raises:
        KadrError: the file can't be written.
    """
    say = Wording(language)
    strips = _Strips(evaluation, photos, say)
    return files.save(
        path,
        output.render(
            "page.html.j2",
            say=say,
            disclaimer=disclaimer,
            evaluation=evaluation,
            headline=_headline(evaluation, say),
            conclusions=conclusions.draw(evaluation, say),
            pair_columns=[say.name("sets", item.name) for item in evaluation.pair_figures],
            pair_rows=tuple(_pair_rows(evaluation, say)),
            retrieval_columns=[say.name("sets", item.name) for item in evaluation.retrieval],
            retrieval_rows=tuple(_retrieval_rows(evaluation, say)),
            cross_validated=tuple(_cross_validated(evaluation, say)),
            threshold_rows=tuple(_threshold_rows(evaluation, say)),
            surest_rows=tuple(_surest_rows(evaluation, say)),
            choosing=_choosing(evaluation, say),
            asked_rows=tuple(_asked_rows(evaluation, say)),
            curves=plots.curves(evaluation, say),
            label_plots=plots.labels(evaluation, say),
            examples=strips.of(evaluation.examples),
            failures=strips.of(evaluation.failures),
            training=tuple(_training(manifest, say)),
            compared=comparisons.section(comparison, say) if comparison else None,
            digests=_table(manifest, "data"),
        ),
    )


def _headline(evaluation: Evaluation, say: Wording) -> tuple[Row, ...]:
    rows = []
    for figures in evaluation.pair_figures[:1]:
        rows += [
            _row(key, [cell(getattr(figures, key), say)], say)
            for key in ("roc_auc", "average_precision", "expected_calibration_error")
        ]
    for found in evaluation.retrieval[:1]:
        rows += [
            _row("recall_10", [cell(found.recall_10, say)], say),
            _row("median_rank", [_median(found.median_rank, found.images, say)], say),
        ]
    return tuple(rows)


def _median(rank: float, images: int, say: Wording) -> Cell:
    return Cell(say.count(rank), say("page.of_images", images=say.count(images)))


def _row(key: str, cells: Sequence[Cell], say: Wording) -> Row:
    hints = [say(f"hints.{key}")]
    if any(cell.value == MISSING for cell in cells):
        hints.append(f"{MISSING} {undefined.reason(key, say)}")
    return Row(say(f"figures.{key}"), "; ".join(filter(None, hints)), tuple(cells))


def _pair_rows(evaluation: Evaluation, say: Wording) -> Iterator[Row]:
    sets = evaluation.pair_figures
    for key in ("pairs", "images", "matches"):
        yield _row(key, [Cell(say.count(getattr(item, key))) for item in sets], say)
    for key in PAIR_ROWS:
        yield _row(key, [cell(getattr(item, key), say) for item in sets], say)
        if key in {"mae", "rmse"}:
            constant = f"constant_{key}"
            yield _row(constant, [Cell(say.number(getattr(item, constant))) for item in sets], say)


def _retrieval_rows(evaluation: Evaluation, say: Wording) -> Iterator[Row]:
    sets = evaluation.retrieval
    for key in ("queries", "images"):
        yield _row(key, [Cell(say.count(getattr(item, key))) for item in sets], say)
    for key in RETRIEVAL_ROWS:
        yield _row(key, [cell(getattr(item, key), say) for item in sets], say)
    yield _row("median_rank", [Cell(say.count(item.median_rank)) for item in sets], say)


def _cross_validated(evaluation: Evaluation, say: Wording) -> Iterator[Row]:
    found = evaluation.cross_validated
    if found is not None:
        yield _row("pairs", [Cell(say.count(found.pairs))], say)
        for key in ("roc_auc", "tau_c", "tau_b"):
            yield _row(key, [cell(getattr(found, key), say)], say)


def _threshold_rows(evaluation: Evaluation, say: Wording) -> Iterator[Row]:
    """Pairs shown, matches among them, precision and recall, by the least probability shown."""
    for item in evaluation.thresholds:
        counts = (Cell(say.count(item.shown)), Cell(say.count(item.matches)))
        figures = (cell(item.precision, say), cell(item.recall, say))
        yield Row(f"≥ {say.percent(item.at_least, 0)}", "", (*counts, *figures))


def _surest_rows(evaluation: Evaluation, say: Wording) -> Iterator[Row]:
    for item in evaluation.surest:
        yield Row(f"Precision@{say.count(item.k)}", "", (cell(item.precision, say),))


def _choosing(evaluation: Evaluation, say: Wording) -> str:
    """What the table of thresholds was measured on."""
    main = conclusions.measured(evaluation)
    if main is None:
        return ""
    share = say.percent(main.matches / main.pairs)
    return say("page.thresholds_caption", pairs=say.count(main.pairs), share=share)


def _asked_rows(evaluation: Evaluation, say: Wording) -> Iterator[tuple[str, str]]:
    """What the law does to the test queries: texts refused and photos hidden are two things."""
    asked = evaluation.asked
    left = asked.queries - asked.refused - asked.hidden
    for key, count in (("refused", asked.refused), ("hidden", asked.hidden), ("left", left)):
        yield say(f"page.asked_{key}"), say.count(count)


def _training(manifest: Mapping[str, Any], say: Wording) -> Iterator[tuple[str, str]]:
    """The choices of training as (name, value), as far as the manifest holds them."""
    config = _table(manifest, "config")
    for key in TRAINING:
        if key in config:
            yield say(f"training.{key}"), config[key]
    for key in ("pairs", "excluded_images"):
        if isinstance(value := manifest.get(key), int):
            yield say(f"training.{key}"), say.count(value)
    if versions := _table(manifest, "versions"):
        text = ", ".join(f"{name} {version}" for name, version in versions.items())
        yield say("training.versions"), text


def _table(manifest: Mapping[str, Any], key: str) -> dict[str, str]:
    """A part of the manifest as text; empty where an older bundle lacks it."""
    part = manifest.get(key)
    return {str(k): str(v) for k, v in part.items()} if isinstance(part, Mapping) else {}


class _Strips:
    """Queries of the visual test with their photos. A hidden photo's bytes are never read."""

    def __init__(self, evaluation: Evaluation, photos: Mapping[str, Path], say: Wording) -> None:
        everything = (*evaluation.examples, *evaluation.failures)
        self._hidden = {shown.image for item in everything for shown in item.shown if shown.hidden}
        self._hidden |= {item.image for item in everything if item.hidden}
        self._images = evaluation.retrieval[0].images if evaluation.retrieval else 0
        self._photos = photos
        self._say = say
        self._framer = Framer(say)

    def of(self, examples: Sequence[Example]) -> tuple[Strip, ...]:
        return tuple(
            Strip(
                example.text,
                self._rank(example),
                example.refused,
                () if example.refused else tuple(self._frames(example)),
            )
            for example in examples
        )

    def _rank(self, example: Example) -> str:
        if example.hidden:
            return self._say("page.own_hidden")
        rank, images = self._say.count(example.rank), self._say.count(self._images)
        if not self._images:
            return self._say("page.rank", rank=rank)
        return self._say("page.rank_of", rank=rank, images=images)

    def _frames(self, example: Example) -> Iterator[Frame]:
        """The photos found, and the right one behind them where it isn't among them."""
        for rank, shown in enumerate(example.shown, start=1):
            yield self._frame(rank, shown.image, shown.probability, right=shown.right)
        if not example.hidden and not any(shown.right for shown in example.shown):
            yield self._frame(example.rank, example.image, math.nan, right=True)

    def _frame(self, rank: int, image: str, probability: float, *, right: bool) -> Frame:
        return self._framer.frame(
            rank,
            self._photos.get(image),
            probability,
            hidden=image in self._hidden,
            right=right,
        )
