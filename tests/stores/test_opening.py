"""Who may read what is made, and that reading needs no more than the permission to read."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import pytest

from kadr.errors import LibraryError
from kadr.stores import open_store
from kadr.stores.sqlite import SqliteStore, migrations
from libraries import add, digest, engine

NOBODY = 65534


@pytest.fixture(params=[0, 0o022, 0o277])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


def test_only_the_owner_may_read_what_is_made(tmp_path: Path, umask: int) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    folder.chmod(0o755)
    with closing(SqliteStore(folder / "library.kadr", create=True)) as store, store.writing():
        add(store, {"/p/1.jpg": 1})
        store.record("refused", {})
        found = modes(folder)
    assert found.keys() == {
        "library.kadr", "library.kadr-wal", "library.kadr-shm", "library.kadr.lock",
        "library.kadr.audit.key",
    }  # fmt: skip
    assert set(found.values()) == {0o600}, (umask, found)


@pytest.mark.parametrize("spec", ["postgresql:photos", "postgres:photos", "postgresql:/photos"])
def test_an_address_without_its_slashes_is_no_file(spec: str, tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match=r"lacks its slashes.*postgresql://USER@HOST/DATABASE"):
        open_store(spec, create=True)
    open_store(str(tmp_path / spec.replace("/", "")), create=True).close()


def old_library(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as base:
        base.execute("PRAGMA journal_mode=WAL")
        base.executescript(migrations._SCHEMA)
        base.execute(f"PRAGMA application_id={migrations.APPLICATION}")
        base.execute("PRAGMA user_version=1")


def test_a_library_of_an_older_version_becomes_private_once(tmp_path: Path) -> None:
    path = tmp_path / "library.kadr"
    old_library(path)
    path.chmod(0o644)
    log = tmp_path / "library.kadr.audit.jsonl"
    log.touch()
    log.chmod(0o644)
    open_store(path).close()
    assert set(modes(tmp_path).values()) == {0o600}
    path.chmod(0o640)  # its owner shares it
    with closing(open_store(path)) as store:
        store.note(key="value")
    assert modes(tmp_path)["library.kadr"] == 0o640


def test_an_older_format_needs_to_be_written_to_once(tmp_path: Path) -> None:
    path = tmp_path / "library.kadr"
    old_library(path)
    with readonly(path), pytest.raises(LibraryError, match="Open it once where it may be written"):
        open_store(path)


# Reading


class readonly:  # noqa: N801 - a context manager
    """As another user sees it: root may write everything, so access is asked in their place."""

    def __init__(self, path: Path) -> None:
        self._refused = {path, path.parent}
        self._patch = patch("os.access", self._access)

    def _access(self, path: Path, mode: int) -> bool:
        return not (mode & os.W_OK and path in self._refused)

    def __enter__(self) -> None:
        self._patch.start()

    def __exit__(self, *_: object) -> None:
        self._patch.stop()


def library(path: Path, count: int = 3) -> None:
    with closing(SqliteStore(path, create=True)) as store:
        add(store, {f"/p/{n}.jpg": n for n in range(count)})
        store.record("refused", {})


@pytest.mark.parametrize("name", ["library.kadr", "a b?&#%41.kadr", "кадр.kadr", "\udcff.kadr"])
def test_reading_leaves_nothing_behind(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    library(path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with readonly(path), closing(open_store(path)) as store:
        assert store.readonly
        assert store.totals().photos == 3
        assert len(engine(store).scan().photos) == 3
        assert store.check() == []
        assert store.log_problems() == []
        assert store.number(digest(1).hex()) is not None
        store.changes()
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_writing_says_that_it_may_only_be_read(tmp_path: Path) -> None:
    path = tmp_path / "library.kadr"
    library(path)
    with readonly(path), closing(open_store(path, create=True)) as store:
        for write in (
            lambda: store.note(key="value"),
            lambda: store.record("refused", {}),
            lambda: store.set_ruling("ab" * 32, None),
            lambda: store.keep([], []),
            lambda: store.writing().__enter__(),
            lambda: store.durable().__enter__(),
        ):
            with pytest.raises(LibraryError, match="may only be read here"):
                write()


def test_what_others_write_is_seen(tmp_path: Path) -> None:
    """By who may only read: while somebody has it open, and once it was opened and closed."""
    path = tmp_path / "library.kadr"
    library(path)
    with readonly(path):
        reader = open_store(path)
    before = reader.changes()
    writer = open_store(path)
    assert isinstance(writer, SqliteStore)
    add(writer, {"/p/new.jpg": "new"})
    with readonly(path):
        assert reader.changes() != before
        assert reader.totals().photos == 4
        before = reader.changes()
        add(writer, {"/p/newer.jpg": "newer"})
        assert reader.changes() != before
        assert reader.totals().photos == 5
        with closing(open_store(path)) as another:
            assert another.totals().photos == 5
    reader.close()
    writer.close()


def test_a_library_that_was_left_open_is_read(tmp_path: Path) -> None:
    """A killed process leaves its log: what is in it counts."""
    path = tmp_path / "library.kadr"
    code = (
        "import os, sys; sys.path += sys.argv[2:]\nfrom pathlib import Path\n"
        "from kadr.stores import open_store\n"
        "store = open_store(Path(sys.argv[1]), create=True)\n"
        "store.note(key='value')\nos._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, path, *sys.path], check=True)
    assert path.with_name("library.kadr-wal").stat().st_size
    with readonly(path), closing(open_store(path)) as store:
        assert store.meta("key") == "value"


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0 or not shutil.which("setpriv"),
    reason="only root becomes another user",
)
@pytest.mark.parametrize("mode", [0o444, 0o400])
def test_another_user_reads_where_permissions_allow_it(tmp_path: Path, mode: int) -> None:
    folder = tmp_path
    while folder != folder.parent and folder.stat().st_uid == 0 and folder != Path("/tmp"):
        folder.chmod(0o755)
        folder = folder.parent
    path = tmp_path / "library.kadr"
    library(path)
    for file in tmp_path.iterdir():
        file.chmod(mode)
    tmp_path.chmod(0o555)
    code = (
        "import sys; sys.path += sys.argv[2:]\nfrom pathlib import Path\n"
        "from kadr.stores import open_store\n"
        "print(open_store(Path(sys.argv[1])).totals().photos)"
    )
    become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    done = subprocess.run(
        [*become, sys.executable, "-c", code, path, *sys.path],
        capture_output=True, text=True, check=False, env={"HOME": "/", "PATH": os.environ["PATH"]},
    )  # fmt: skip
    tmp_path.chmod(0o755)
    if "No module named" in done.stderr or "Permission denied: '/root" in done.stderr:
        pytest.skip("another user may not read kadr itself")
    if mode == 0o444:
        assert done.stdout == "3\n", done.stderr
    else:
        assert "LibraryError" in done.stderr
        assert "Check the permissions" in done.stderr
