"""`kadr library upgrade`: from every older format, with a way back."""

import gzip
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kadr.cli.main import app
from kadr.errors import LibraryError
from kadr.stores import formats, open_store
from kadr.stores.sealer import Sealer
from kadr.stores.sqlite.migrations import APPLICATION, FORMAT, STEPS

RELEASES = Path(__file__).parents[1] / "releases"


def older(path: Path, version: int) -> Path:
    """A library as the kadr of a format made it."""
    with closing(sqlite3.connect(path)) as base, base:
        for step in STEPS[:version]:
            step(base.execute, path, Sealer(path.with_name(path.name + ".audit.key")))
        base.execute(f"PRAGMA application_id={APPLICATION}")
        base.execute(f"PRAGMA user_version={version}")
    return path


def upgrade(library: Path, *options: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["library", "upgrade", "--library", str(library), *options])
    assert done.exit_code == code, repr(done.exception) + done.output
    return done.stdout


@pytest.mark.parametrize("version", range(1, FORMAT))
def test_every_older_format_is_brought_up_and_back(version: int, tmp_path: Path) -> None:
    library = older(tmp_path / "photos.kadr", version)
    assert f"has format {version}, this kadr makes {FORMAT} of it" in upgrade(
        library, "--check", code=1
    )
    assert formats(library) == (version, FORMAT)
    copy = tmp_path / f"photos.format-{version}.kadr"
    assert not copy.exists()
    assert upgrade(library) == f"{library}: format {version} is {FORMAT} now. Before: {copy}\n"
    assert (formats(library), formats(copy)) == ((FORMAT, FORMAT), (version, FORMAT))
    assert "There is nothing to do." in upgrade(library)
    assert "There is nothing to do." in upgrade(library, "--check")
    library.unlink()
    restored = ["library", "restore", str(copy), "--library", str(library)]
    assert CliRunner().invoke(app, restored).exit_code == 0
    assert formats(library) == (version, FORMAT)


@pytest.mark.parametrize("release", sorted(RELEASES.iterdir()), ids=lambda path: path.name)
def test_libraries_of_releases_are_upgraded_whole(release: Path, tmp_path: Path) -> None:
    library = tmp_path / "photos.kadr"
    with gzip.open(release / "photos.kadr.gz") as packed, library.open("wb") as plain:
        shutil.copyfileobj(packed, plain)
    shutil.copy(release / "photos.kadr.audit.key", tmp_path)
    upgrade(library)
    with closing(open_store(library)) as store:
        assert store.totals().photos == 5
        assert list(store.check()) == []
        assert store.log_problems() == []


def test_copy_goes_where_it_is_wanted_and_replaces_nothing(tmp_path: Path) -> None:
    library = older(tmp_path / "photos.kadr", 3)
    taken = tmp_path / "photos.format-3.kadr"
    taken.touch()
    done = CliRunner().invoke(app, ["library", "upgrade", "--library", str(library)])
    assert isinstance(done.exception, LibraryError)
    assert formats(library)[0] == 3
    told = json.loads(upgrade(library, "--backup", str(tmp_path / "kept" / "a.kadr"), "--json"))
    assert (told["from"], told["to"], told["format"]) == (3, FORMAT, FORMAT)
    assert formats(told["backup"])[0] == 3


def test_without_a_copy_only_where_that_is_said(tmp_path: Path) -> None:
    library = older(tmp_path / "photos.kadr", 3)
    upgrade(library, "--no-backup")
    assert [path.name for path in tmp_path.glob("*.kadr")] == ["photos.kadr"]


def test_newer_missing_and_foreign_files_are_told(tmp_path: Path) -> None:
    newer = older(tmp_path / "newer.kadr", 1)
    with closing(sqlite3.connect(newer)) as base:
        base.execute("PRAGMA user_version=99")
    (tmp_path / "text.kadr").write_text("no library " * 500)
    for name, told in [
        ("newer.kadr", f"has format 99, this kadr knows {FORMAT}"),
        ("nowhere.kadr", "no library here"),
        ("text.kadr", "can't be read as a library"),
    ]:
        line = ["library", "upgrade", "--check", "--library", str(tmp_path / name)]
        assert told in str(CliRunner().invoke(app, line).exception)
