"""Where results go is checked before the work begins: here there is nothing to work on."""

import os
from pathlib import Path

import pytest

from kadr.cli.outputs import check_file, check_folder
from kadr.errors import KadrError
from shell import Shell, one_line


@pytest.fixture
def kadr(tmp_path: Path) -> Shell:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    return Shell(tmp_path)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("search car --sheet page.txt", "page.txt: a contact sheet ends in .html"),
        ("search car --sheet file/page.html", "is a file. Name a folder"),
        ("search car --copy-to file", "file is a file. Name a folder"),
        ("search car --copy-to file/below", "file is a file. Name a folder"),
        ("similar no.jpg --sheet page", "a contact sheet ends in .html"),
        ("train nowhere --out file", "file is a file. Name a folder"),
        ("evaluate nowhere --json folder", "folder is a folder. Name a file"),
        ("evaluate nowhere --report folder", "folder is a folder. Name a file"),
        ("compare nowhere --out file", "file is a file. Name a folder"),
        ("score nowhere.csv --images nowhere --out folder", "folder is a folder. Name a file"),
        ("review export folder", "folder is a folder. Name a file"),
        ("audit export folder", "folder is a folder. Name a file"),
        ("data fetch file", "file is a file. Name a folder"),
        ("data generate file", "file is a file. Name a folder"),
        ("demo --out file", "file is a file. Name a folder"),
    ],
)
def test_a_wrong_output_is_told_first(kadr: Shell, command: str, said: str) -> None:
    assert said in one_line(kadr(*command.split(), code=2))
    assert (kadr.home / "file").read_text() == "mine"
    assert {path.name for path in kadr.home.iterdir()} == {"file", "folder"}


def test_what_can_be_written_passes(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    for file in (None, tmp_path / "new" / "file", tmp_path / "file", tmp_path / "pipe"):
        check_file(file)
    check_file(Path("/dev/stdout"))
    for folder in (None, tmp_path, tmp_path / "new" / "folder", Path("relative")):
        check_folder(folder)


def test_what_no_permission_is_for_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may all
    for check, path in ((check_file, "file"), (check_file, "new"), (check_folder, "new")):
        with pytest.raises(KadrError, match="Permission denied"):
            check(tmp_path / path)
