"""What the default install brings is enough to index, search and obey the law; the rest says so."""

import tomllib
from pathlib import Path

import pytest
from PIL import Image

from archives import write_archive
from light import kadr

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name, colour in {"red.jpg": "red", "blue.jpg": "blue"}.items():
        Image.new("RGB", (90, 60), colour).save(photos / name)
    (tmp_path / "pairs.csv").write_text("image,text\nred.jpg,something red\n", encoding="utf-8")
    return tmp_path


def test_photos_are_indexed_and_searched(folder: Path) -> None:
    for command in (
        ("index", "photos", "--policy", "under-16"),
        ("search", "что-то красное", "--sheet", "found.png", "--at-least", "0"),
        ("search", "something red", "--sheet", "found.html", "--at-least", "0"),
        ("search", "something red", "--explain", "--at-least", "0"),
        ("similar", "photos/red.jpg"),
        ("library", "verify"),
        ("models",),
        ("score", "pairs.csv", "--images", "photos", "--out", "scores.csv"),
        ("audit", "verify"),
    ):
        done = kadr(folder, *command)
        assert done.returncode == 0, (command, done.stderr)
    assert kadr(folder, "duplicates").returncode == 1  # there is none


def test_what_needs_the_extra_says_so_in_a_line(folder: Path) -> None:
    archive = str(write_archive(folder / "archive"))
    for command in (
        ("train", archive, "--out", "model"),
        ("evaluate", archive),
        ("compare", archive, "--out", "comparison"),
        ("demo", "--out", "demo"),
    ):
        done = kadr(folder, *command)
        assert done.returncode != 0
        assert done.stderr.count("\n") <= 2, done.stderr
        assert "pip install 'kadr[study]'" in done.stderr, (command, done.stderr)


def test_no_default_dependency_is_the_extras() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {line.split(">")[0].split("=")[0] for line in project["dependencies"]}
    assert not named & {"krippendorff", "lightgbm", "matplotlib", "scipy", "scikit-learn", "torch"}
