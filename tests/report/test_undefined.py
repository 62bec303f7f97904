"""Figures without a number: each says why, in text, on the page and in JSON."""

import json
import math
import re
import string
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from archives import write_archive
from comparisons import study
from kadr import report
from kadr.cli import results
from kadr.cli.console import to_json
from kadr.data import dataset, judges
from kadr.report import undefined
from kadr.report.table import FIGURES, build
from kadr.report.wording import Language, Wording, texts
from kadr.types import Dataset, Interval, Judgement

NAN = math.nan


@pytest.fixture(scope="module")
def alike(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """An archive whose experts all say 1."""
    drawn = dataset.load(write_archive(tmp_path_factory.mktemp("alike") / "archive", images=12))
    said = tuple(Judgement(j.query, j.image, j.rater, 1) for j in drawn.judgements)
    return replace(drawn, judgements=said)


def test_the_study_of_judges_says_why(alike: Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    results.print_study(judges.study(alike))
    printed = capsys.readouterr().out
    assert not re.search(r"\bnan\b", printed)
    (alpha,) = [line for line in printed.splitlines() if "alpha" in line]
    assert "can't be computed: no two grades differ" in alpha
    assert printed.count("all verdicts are alike") == 4  # three experts, and the crowd


def test_json_has_null_and_the_reason(alike: Dataset) -> None:
    written = json.loads(to_json(judges.study(alike)))
    assert written["agreement"]["alpha"] is None
    assert written["agreement"]["undefined"] == {"alpha": undefined.reason("alpha", Wording("en"))}
    assert written["expert_aucs"][0]["roc_auc"] == {"value": None, "low": None, "high": None}
    assert "all verdicts are alike" in written["expert_aucs"][0]["undefined"]["roc_auc"]
    assert "undefined" not in written["coverage"]


def test_a_figure_without_an_interval_keeps_its_value() -> None:
    figure = Interval(0.75, NAN, NAN)
    assert results._figure("roc_auc", figure).startswith("0.750 (no interval: there are too few")
    assert "no interval" in json.loads(to_json({"roc_auc": figure}))["undefined"]["roc_auc"]
    assert results._figure("roc_auc", Interval(0.75, 0.7, 0.8)) == "0.750 [0.700, 0.800]"


@pytest.mark.parametrize(
    "value", [1.0, None, 3, "nan", Interval(1, 1, 1), [1.0, 2.0], np.ones((2, 2)), {"a": NAN}]
)
def test_what_is_there_needs_no_reason(value: object) -> None:
    assert undefined.why("alpha", value) is None


def test_every_figure_has_a_reason_of_its_own_in_both_languages() -> None:
    for language in get_args(Language):
        for key in ("roc_auc", "tau_c", "tau_b", "average_precision", "validation", "alpha"):
            assert undefined.reason(key, Wording(language)) != Wording(language)("undefined.other")
        assert undefined.reason("unknown", Wording(language)) == Wording(language)(
            "undefined.other"
        )
    group = {key: text for key, text in texts().items() if key.startswith("undefined.")}
    assert all(set(text["ru"]) & set("абвгдежзиклмнопрст") for text in group.values())
    assert not any(set(text["en"]) - set(string.printable) for text in group.values())


@pytest.mark.parametrize("language", get_args(Language))
def test_a_comparison_names_what_is_missing(language: Language) -> None:
    made = study(2, 1)
    rows = tuple(replace(one, unseen=None, validation=NAN) for one in made.rows)
    legend = build(replace(made, rows=rows), say := Wording(language)).legend
    missing = [note for note in legend if note.startswith("–")]
    names = [say(f"figures.{key}") for key in ("unseen_roc_auc", "validation")]
    assert [note.removeprefix("– ").partition(":")[0] for note in missing] == names
    assert {figure.key for figure in FIGURES} >= {"unseen_roc_auc", "validation"}
    assert all(note in report.comparison_text(replace(made, rows=rows), language=language).replace("\n", " ")
               or len(note) > 110 for note in missing)  # fmt: skip
    assert not [note for note in build(made, say).legend if note.startswith("–")]
