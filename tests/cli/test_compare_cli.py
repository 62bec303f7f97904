"""kadr compare, end to end: what a person types, and what they get back."""

import json
import re
from pathlib import Path

import pytest

from kadr.data import drawn as scenes
from shell import FAKES, Shell, one_line

CHOICES = ("--features", "aligned", "--classifier", "logistic", "--no-search")


@pytest.fixture(scope="module")
def kadr(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return Shell(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("compare-cli") / "archive"
    scenes.generate(path, images=50, seed=2)
    return path


@pytest.fixture(scope="module")
def out(kadr: Shell, data: Path) -> Path:
    """Where one combination was measured, by processes that find the plugins themselves."""
    folder = kadr.home / "compared"
    kadr("compare", data, "--out", folder, *FAKES, *CHOICES, "--jobs", "2")
    return folder


def test_writes_what_load_reads(out: Path) -> None:
    table = json.loads((out / "comparison.json").read_text(encoding="utf-8"))
    (row,) = table["rows"]
    assert row["name"] == "colours · words · aligned · logistic"
    assert 0 < row["seen"]["roc_auc"]["value"] < 1
    assert table["failed"] == {}
    assert len(list((out / "measured").iterdir())) == 1


def test_a_failed_encoder_exits_1_beside_what_was_kept(kadr: Shell, data: Path, out: Path) -> None:
    (kept,) = (out / "measured").iterdir()
    before = kept.stat().st_mtime_ns, json.loads((out / "comparison.json").read_text("utf-8"))
    options = (*FAKES, "--text-encoder", "magic", *CHOICES)
    result = kadr("compare", data, "--out", out, *options, "--json", code=1)
    (line,) = [line for line in result.stderr.splitlines() if "magic" in line]
    assert re.match(r"kadr: colours · magic .*no such text encoder", line)
    found = json.loads(result.stdout)
    assert list(found["failed"]) == ["colours · magic · aligned · logistic"]
    assert found["rows"][0]["seen"] == before[1]["rows"][0]["seen"]
    assert found["rows"][0]["seconds"] == before[1]["rows"][0]["seconds"]
    assert [path.stat().st_mtime_ns for path in (out / "measured").iterdir()] == [before[0]]


def test_no_combination_at_all_is_one_line(kadr: Shell, data: Path, tmp_path: Path) -> None:
    options = ("--image-encoder", "magic", "--text-encoder", "words", *CHOICES)
    said = one_line(kadr("compare", data, "--out", tmp_path / "out", *options, code=2))
    assert "No combination could be measured" in said
    assert "magic" in said


def test_a_broken_measurement_is_one_line_that_names_it(kadr: Shell, data: Path, out: Path) -> None:
    (kept,) = (out / "measured").iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[: len(whole) // 2])
    try:
        said = one_line(kadr("compare", data, "--out", out, *FAKES, *CHOICES, code=2))
    finally:
        kept.write_bytes(whole)
    assert kept.name in said
    assert "Delete it" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--classifier", "magic"), "magic"),
        (("--jobs", "0"), "--jobs"),
        (("--test-share", "0"), "--test-share"),
        (("--judges", "nobody"), "nobody"),
        (("--expert-weight", "1.5"), "--expert-weight"),
    ],
)
def test_bad_choices_are_refused_before_anything_is_written(
    kadr: Shell, data: Path, tmp_path: Path, options: tuple[str, str], said: str
) -> None:
    folder = tmp_path / "out"
    assert said in kadr("compare", data, "--out", folder, *FAKES, *options, code=2).stderr
    assert not folder.exists()


def test_out_that_is_a_file_is_spared(kadr: Shell, data: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    result = kadr("compare", data, "--out", tmp_path / "mine", *FAKES, *CHOICES, code=2)
    assert "mine is a file. Name a folder." in one_line(result)
    assert (tmp_path / "mine").read_text() == "mine"
