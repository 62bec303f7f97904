"""kadr doctor tells what is here, what isn't, and what is wrong."""

import json
import os
import subprocess
import tomllib
from pathlib import Path

import pytest

from forks import run_kadr
from kadr.cli import doctor
from light import kadr as without_study

ROOT = Path(__file__).parents[2]


def run(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "KADR_LIBRARY": str(folder / "library.kadr")}
    return run_kadr(["doctor", *arguments], environment, folder)


def test_it_is_well_here(tmp_path: Path) -> None:
    done = run(tmp_path, "--json")
    found = {one["what"]: one for one in json.loads(done.stdout)["findings"]}
    assert done.returncode == 0
    assert found["packages"]["state"] == "ok"
    assert " ms a photo" in found["model mini"]["found"]
    assert found["library"]["state"] == "missing"
    assert "kadr index FOLDER" in found["library"]["found"]
    assert found["extra study"]["state"] == "ok"
    assert not (tmp_path / "library.kadr").exists()


def test_broken_library_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "library.kadr").write_text("no library, " * 50, encoding="utf-8")
    done = run(tmp_path)
    assert done.returncode == 1
    assert "! library" in done.stdout


def test_broken_device_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KADR_DEVICE", "abacus")
    done = run(tmp_path)
    assert done.returncode == 1
    assert "! device" in done.stdout
    assert "abacus" in done.stdout


def test_every_extra_is_told_what_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(project["optional-dependencies"]) == set(doctor._FOR)


def test_it_runs_without_the_extras(tmp_path: Path) -> None:
    assert without_study(tmp_path, "doctor").returncode == 0


@pytest.mark.parametrize(
    ("marker", "extra", "holds"),
    [
        ("", None, True),
        (' extra == "hub"', "hub", True),
        (" extra == 'hub'", None, False),
        ("", "hub", False),
        (' python_version >= "3.99" and extra == "hub"', "hub", False),
        (' python_version >= "3.9" and extra == "hub"', "hub", True),
    ],
)
def test_markers(marker: str, extra: str | None, holds: bool) -> None:
    assert doctor._holds(marker, extra) is holds
