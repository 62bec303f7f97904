"""Whatever goes wrong is one line and an exit code, never a traceback."""

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from kadr.cli import main
from kadr.cli.failures import TRACEBACK, explained
from kadr.errors import LibraryError
from shell import RUN, Shell


class OrtError(Exception):
    """As onnxruntime's are: derived from Exception alone."""

    __module__ = "onnxruntime.capi.onnxruntime_pybind11_state"


ERRORS: dict[str, tuple[Exception, str]] = {
    "expected": (LibraryError("no library here"), "no library here"),
    "path": (
        PermissionError(errno.EACCES, "Permission denied", "a"),
        "a: Permission denied. Check",
    ),
    "two paths": (OSError(errno.EXDEV, "Cross-device", "a", None, "b"), "a and b: Cross-device"),
    "no path": (OSError("broken"), "broken. Check the path"),
    "full": (OSError(errno.ENOSPC, "No space", "a"), "a: the disk is full"),
    "many": (OSError(errno.EMFILE, "Too many", "a"), "too many files are open"),
    "loop": (RuntimeError("Symlink loop from 'a'"), "Symlink loop from 'a'. Name the file itself"),
    "memory": (MemoryError(), "there isn't enough memory"),
    "depth": (RecursionError("maximum"), "nested too deeply"),
    "unicode": (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"), "isn't valid Unicode"),
    "sqlite": (sqlite3.OperationalError("locked"), "a database can't be used (locked)"),
    "onnxruntime": (OrtError("[ONNXRuntimeError]\nmore"), "can't be run ([ONNXRuntimeError])"),
    "mistake": (KeyError("x"), "unexpected KeyError: 'x'. This is a mistake in kadr"),
}


@pytest.fixture(autouse=True)
def only_the_command_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Daft was imported by another test, a command would end this process too."""
    monkeypatch.setattr(main, "_end", sys.exit)


@pytest.mark.parametrize(("error", "said"), ERRORS.values(), ids=ERRORS.keys())
def test_any_error_is_one_line(
    error: Exception,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(**_options: object) -> None:
        raise error

    monkeypatch.setattr(main, "app", fail)
    with pytest.raises(SystemExit) as ended:
        main.main()
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2
    assert line.startswith("kadr: ")
    assert said in explained(error)
    assert said in line


def test_a_mistake_can_be_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_options: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr(main, "app", fail)
    monkeypatch.setenv(TRACEBACK, "1")
    with pytest.raises(KeyError):
        main.main()


@pytest.mark.parametrize(("arguments", "code"), [(["--version"], 0), (["search"], 2)])
def test_what_daft_leaves_running_aborts_nobody(
    arguments: list[str], code: int, tmp_path: Path
) -> None:
    """Its threads call into a Python that is ending; here it is a module that does."""
    (tmp_path / "daft.py").write_text(
        "import os\nclass Threads:\n    def __del__(self, abort=os.abort): abort()\n"
        "threads = Threads()\n"
    )
    program = "import atexit, daft; atexit.register(print, 'ended'); from kadr.cli.main import main"
    result = subprocess.run(
        [sys.executable, "-c", f"{program}; main()", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
    )
    assert result.returncode == code, result.stderr
    assert result.stdout.endswith("ended\n")


# Arguments of any kind


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder of files that are none of what a command wants, and of a library."""
    folder = tmp_path_factory.mktemp("wrong")
    (folder / "photos").mkdir()
    Image.new("RGB", (8, 8), "red").save(folder / "photos" / "red.png")
    (folder / "folder").mkdir()
    (folder / "empty").touch()
    (folder / "binary").write_bytes(bytes(range(256)) * 20)
    (folder / "deep").write_text("[" * 5_000)
    (folder / "deep.toml").write_text("a=" + "[" * 5_000)
    (folder / "binary.toml").write_bytes(bytes(range(256)))
    (folder / "types.toml").write_text("[policies.x]\nextends = 3\n")
    (folder / "loop").symlink_to("loop")
    deep = folder / "matcher"
    deep.mkdir()
    shutil.copy(folder / "deep", deep / "manifest.json")
    return folder


ARGUMENTS = {
    "missing": "nowhere",
    "missing folder": "no/where",
    "folder": "folder",
    "empty": "empty",
    "binary": "binary",
    "nested": "deep",
    "nested TOML": "deep.toml",
    "binary TOML": "binary.toml",
    "other types": "types.toml",
    "matcher": "matcher",
    "below a file": "binary/x",
    "loop": "loop",
    "too long": "x" * 300,
    "hostile": "a\x1b[31m\n\u202eb",
    "no text": os.fsdecode(b"\xff\xfe"),
    "no name": "",
    "device": "/dev/null",
}
COMMANDS = """
index {}
index photos --library {}
index photos --model {}
index photos --policy {}
index --from {}
index --from {} --at photos
encode {} --to photos/red.png
search red --library {}
search red --policy {}
search red --in {}
search red --sheet {}
search red --copy-to {}
search ./{}
search red --near {}
search red --after {}
search --queries {}
similar {}
duplicates --library {}
library --library {}
library remove {}
library verify --library {}
keys add --name {} --library keys.kadr
keys list --library {}
keys remove {}
review --policy {}
review --library {}
review import {}
review export {}/x
review decide {} allow --why x
audit verify --library {}
audit show --photo {}
audit export {}/x
data check {}
data fetch new --url {}
train {} --out new
evaluate {}
evaluate nowhere --model {}
compare {} --out new
score {} --images photos --out new.csv
serve --library {} --rate no
serve --host {} --rate no
serve --rate {}
""".strip().splitlines()


@pytest.fixture
def run(
    wrong: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run a command in this process: its exit code, stdout and stderr."""
    monkeypatch.chdir(wrong)
    monkeypatch.setenv("KADR_LIBRARY", str(wrong / "library.kadr"))
    monkeypatch.setenv("KADR_CACHE", str(wrong / "cache.sqlite"))
    monkeypatch.setenv("HOME", str(wrong))

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["kadr", *arguments])
        try:
            main.main()
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        return (code, *capfd.readouterr())

    return run


@pytest.mark.parametrize("command", COMMANDS)
def test_any_argument_is_answered(run: Callable[..., tuple[int, str, str]], command: str) -> None:
    for name, argument in ARGUMENTS.items():
        code, out, err = run(*(part.replace("{}", argument) for part in command.split()))
        case = (command, name, code, out, err)
        assert code in {0, 1, 2}, case
        assert "Traceback" not in err, case
        assert "unexpected" not in err, case
        assert not {"\x1b", "\u202e"} & set(out + err), case
        if code == 2 and "Usage:" not in err:
            *policy, line = err.splitlines()
            assert line.startswith("kadr: "), case
            assert all(one.startswith("Policy ") for one in policy), case


def test_a_wrong_model_leaves_no_library(run: Callable[..., tuple[int, str, str]]) -> None:
    code, _, err = run("index", "photos", "--library", "new.kadr", "--model", "no-matcher")
    assert (code, err.startswith("kadr: no-matcher: ")) == (2, True)
    assert not Path("new.kadr").exists()


def test_a_file_is_told_from_a_folder_that_is_missing(
    run: Callable[..., tuple[int, str, str]], wrong: Path
) -> None:
    photo = wrong / "photos" / "red.png"
    said = f"kadr: {photo}: a file, not a folder. Name the folder that holds it.\n"
    assert run("index", "photos/red.png", "--library", "new.kadr") == (2, "", said)
    assert not Path("new.kadr").exists()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may all")
@pytest.mark.parametrize(
    "command", ["index photos", "keys add --name x", "search x --copy-to shut/copies"]
)
def test_a_folder_without_permission(
    run: Callable[..., tuple[int, str, str]], wrong: Path, command: str
) -> None:
    shut = wrong / "shut"
    shut.mkdir(mode=0o500)
    try:
        code, _, err = run(*command.split(), "--library", str(shut / "library.kadr"))
    finally:
        shut.rmdir()
    assert (code, len(err.splitlines())) == (2, 1)


# Streams that are closed, full or narrow


@pytest.fixture
def kadr(tmp_path: Path) -> Shell:
    (tmp_path / "photos").mkdir()
    for colour in ("red", "blue"):
        Image.new("RGB", (8, 8), colour).save(tmp_path / "photos" / f"{colour}.png")
    return Shell(tmp_path)


def shell(kadr: Shell, redirected: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", f'"$@" {redirected}', "sh", *RUN, *arguments],
        env=kadr.environment | {"COLUMNS": "20"},
        cwd=kadr.home,
        capture_output=True,
        text=True,
        check=False,
    )


def test_closed_streams_reach_no_file(kadr: Shell) -> None:
    """The library's file would be the first to be opened, and get what is printed."""
    assert shell(kadr, "<&- >&- 2>&-", "index", "photos").returncode == 0
    assert shell(kadr, "<&-", "library", "verify").stdout == "The library is sound\n"
    for redirected, command in (
        ("<&-", "review"),
        (">&-", "search red --paths0"),
        ("2>&-", "duplicates"),
        ("<&- >&- 2>&-", "library --json"),
    ):
        done = shell(kadr, redirected, *command.split())
        assert done.returncode in {0, 1}
        assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["keys", "list", "--json"]])
def test_a_full_disk_is_told(kadr: Shell, arguments: list[str]) -> None:
    done = shell(kadr, ">/dev/full", *arguments)
    assert done.returncode == 2
    assert done.stderr == "kadr: the disk is full. Make room and run it again.\n"


def test_queries_come_from_no_stream(kadr: Shell) -> None:
    done = shell(kadr, "<&-", "search", "--queries", "-")
    assert done.stderr == "kadr: standard input holds no query. Write one a line.\n"


@pytest.mark.parametrize("argument", ["--\x1b[31m", "\x1b[31m", "search\u202e"])
def test_a_wrong_command_line_is_quoted_safely(kadr: Shell, argument: str) -> None:
    done = shell(kadr, "", argument)
    assert done.returncode == 2
    assert not {"\x1b", "\u202e"} & set(done.stderr)
