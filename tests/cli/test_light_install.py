"""What the default install brings is enough to index, search and obey the law; the rest says so."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from PIL import Image

from archives import write_archive

ROOT = Path(__file__).parents[2]
BLOCKER = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
from kadr.cli.main import main
sys.exit(main())
"""
STUDY = ("krippendorff", "lightgbm", "matplotlib", "scipy", "sklearn", "pandas")


def kadr(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """kadr where nothing of the extra `study` can be imported."""
    code = BLOCKER.format(names=set(STUDY))
    environment = {
        **os.environ,
        "KADR_LIBRARY": str(folder / "library.kadr"),
        "KADR_CACHE": str(folder / "cache.sqlite"),
        "OPENBLAS_NUM_THREADS": "1",
    }
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


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
