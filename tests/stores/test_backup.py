"""A library's file is copied and brought back, by the real commands."""

import json
import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from forks import run_kadr
from kadr import Library
from kadr.errors import LibraryError
from kadr.stores.sqlite.backup import copy


def kadr(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return run_kadr(arguments, os.environ, folder)


def ignore(_done: int, _total: int) -> None:
    pass


@pytest.fixture
def library(tmp_path: Path) -> Path:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("red", "blue", "green"):
        Image.new("RGB", (40, 30), name).save(photos / f"{name}.jpg")
    with Library.open(tmp_path / "one.kadr", policy="under-16") as opened:
        opened.index(photos)
    return tmp_path / "one.kadr"


def test_backup_and_restore_keep_everything(library: Path) -> None:
    folder = library.parent
    told = kadr(folder, "library", "backup", "kept/two.kadr", "--library", "one.kadr")
    assert (told.returncode, told.stderr) == (0, "")
    library.unlink()
    done = kadr(folder, "library", "restore", "kept/two.kadr", "--library", "one.kadr", "--json")
    assert json.loads(done.stdout)["to"] == "one.kadr"
    verified = kadr(folder, "library", "verify", "--library", "one.kadr")
    assert verified.stdout == "The library is sound\n"
    assert kadr(folder, "audit", "verify", "--library", "one.kadr").returncode == 0
    assert oct(library.stat().st_mode)[-3:] == "600"
    assert not list(folder.rglob("*.part*"))


def test_copy_is_of_one_instant_while_somebody_writes(library: Path, tmp_path: Path) -> None:
    with Library.open(library) as opened, opened.store.durable():
        opened.store.note(half="written")
        copy(library, tmp_path / "copy.kadr", ignore)
    with Library.open(tmp_path / "copy.kadr", create=False) as copied:
        assert copied.store.meta("half") is None
        assert copied.totals().photos == 3


def test_older_format_stays_what_it_is(library: Path, tmp_path: Path) -> None:
    base = sqlite3.connect(library)
    base.execute("PRAGMA user_version=3")
    base.commit()
    base.close()
    assert copy(library, tmp_path / "old.kadr", ignore) == 3
    assert sqlite3.connect(tmp_path / "old.kadr").execute("PRAGMA user_version").fetchone() == (3,)


@pytest.mark.parametrize("name", ["there.kadr", "one.kadr"])
def test_nothing_is_overwritten(library: Path, name: str) -> None:
    (library.parent / "there.kadr").write_bytes(b"somebody's")
    before = (library.parent / name).read_bytes()
    told = kadr(library.parent, "library", "backup", name, "--library", "one.kadr")
    assert told.returncode == 2
    assert told.stderr.startswith(f"kadr: {name} is there already.")
    assert (library.parent / name).read_bytes() == before


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
def test_log_of_a_dead_library_is_not_taken_for_that_of_a_copy(library: Path, suffix: str) -> None:
    left = library.parent / f"two.kadr{suffix}"
    left.write_bytes(b"what the dead one wrote last")
    with pytest.raises(LibraryError, match=rf"two\.kadr{suffix} is there already"):
        copy(library, library.parent / "two.kadr", ignore)
    assert not (library.parent / "two.kadr").exists()
    assert left.exists()


def test_what_is_no_library_or_damaged_is_refused(library: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.kadr"
    text.write_text("no database at all, " * 100, encoding="utf-8")
    with pytest.raises(LibraryError, match="file is not a database"):
        copy(text, tmp_path / "new.kadr", ignore)
    with sqlite3.connect(tmp_path / "other.sqlite") as other:
        other.execute("CREATE TABLE t (x)")
    with pytest.raises(LibraryError, match="isn't a library of kadr"):
        copy(tmp_path / "other.sqlite", tmp_path / "new.kadr", ignore)
    with pytest.raises(LibraryError, match="no library here"):
        copy(tmp_path / "nowhere", tmp_path / "new.kadr", ignore)
    broken = tmp_path / "broken.kadr"
    shutil.copy(library, broken)
    with broken.open("r+b") as file:
        file.seek(12_000)
        file.write(b"\xff" * 30_000)
    with pytest.raises(LibraryError, match=r"damaged|malformed"):
        copy(broken, tmp_path / "new.kadr", ignore)
    assert not (tmp_path / "new.kadr").exists()
    assert not list(tmp_path.glob("*.part*"))


def test_library_on_a_server_is_told_how(tmp_path: Path) -> None:
    spec = "postgresql://kadr:secret@db.example/photos"
    told = kadr(tmp_path, "library", "backup", "x.kadr", "--library", spec)
    assert told.returncode == 2
    assert "pg_dump" in told.stderr
    assert "secret" not in told.stderr
