"""Previews in terminals that we play ourselves: what they answer, what they then get."""

import base64
import io
import json
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kadr.cli import previews
from kadr.cli.previews import Protocol, show
from kadr.photos import files

pty = pytest.importorskip("pty", reason="Windows has no pseudo-terminals")
fcntl, struct, termios = (pytest.importorskip(name) for name in ("fcntl", "struct", "termios"))

PROTOCOLS: tuple[Protocol, ...] = ("iterm2", "kitty", "sixel", "blocks", "characters")
QUESTION = b"\x1b_Gi=31,"  # with the comma: a picture's id is random, and may begin so
PLAIN, SIXEL = b"\x1b[?62;22c", b"\x1b[?62;4;22c"
KITTY = b"\x1b_Gi=31;OK\x1b\\\x1b[?62;c"
LEFT, RIGHT = (220, 30, 30), (30, 30, 220)


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Red on the left, blue on the right, 3:2, with the place where it was taken."""
    image = Image.new("RGB", (600, 400), LEFT)
    image.paste(RIGHT, (300, 0, 600, 400))
    exif = Image.Exif()
    exif.get_ifd(0x8825)[1] = "N"
    path = tmp_path_factory.mktemp("photos") / "two\x1b[31m.jpg"
    image.save(path, exif=exif)
    return path


# Forced, into a stream that is no terminal


def forced(path: Path, protocol: Protocol, columns: int = 30) -> str:
    stream = io.StringIO()
    before = sys.__stdin__, sys.__stdout__
    assert show(path, stream, columns, protocol=protocol)
    assert (sys.__stdin__, sys.__stdout__) == before
    assert path.name not in stream.getvalue()
    return stream.getvalue()


def assert_two_halves(image: Image.Image) -> None:
    pixels = np.asarray(image.convert("RGB").resize((4, 1), Image.Resampling.BOX)).astype(int)
    np.testing.assert_allclose(pixels[0], [LEFT, LEFT, RIGHT, RIGHT], atol=12)


def test_iterm2_gets_a_small_jpeg_without_metadata(photo: Path) -> None:
    found = re.fullmatch(
        r"\x1b\]1337;File=inline=1;size=(\d+);width=30;preserveAspectRatio=1:(.*)\x07\n",
        forced(photo, "iterm2"),
    )
    assert found
    data = base64.b64decode(found[2], validate=True)
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.size, len(data)) == ("JPEG", (480, 320), int(found[1]))
    assert not image.getexif()
    assert_two_halves(image)


def test_kitty_gets_a_picture_and_its_place(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")  # a picture's number is sent as a colour
    shown = forced(photo, "kitty")
    messages = re.findall(r"\x1b_G([^;\x1b]*);?([^\x1b]*)\x1b\\", shown)
    image = Image.open(io.BytesIO(base64.b64decode("".join(data for _, data in messages))))
    assert image.format == "PNG"
    assert_two_halves(image)
    number = int(messages[0][0].split(",")[0].removeprefix("i="))
    assert f"a=p,i={number},c=30,r=10,U=1" in messages[-1][0]
    rows = shown.rpartition("\x1b\\")[2].splitlines()
    assert [row.count("\U0010eeee") for row in rows] == [30] * 10
    colour = ";".join(str(number >> shift & 255) for shift in (16, 8, 0))
    assert all(f"\x1b[38;2;{colour}m" in row for row in rows)


def test_sixel_gets_a_picture_over_blank_lines(photo: Path) -> None:
    shown = forced(photo, "sixel")
    assert shown.startswith((" " * 30 + "\n") * 10)
    assert '\x1bP0;0;0q"1;1;300;200' in shown
    assert shown.endswith("\x1b\\\x1b8")
    percents = [tuple(map(int, found)) for found in re.findall(r"#\d+;2;(\d+);(\d+);(\d+)", shown)]
    for colour in (LEFT, RIGHT):
        off = np.abs(np.array(percents) - np.array(colour) / 2.55).max(axis=1)
        assert off.min() <= 4


def test_half_blocks(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    rows = forced(photo, "blocks").splitlines()
    assert [row.count("▀") for row in rows] == [30] * 10
    cells = re.findall(r"\x1b\[38;2;(\d+);(\d+);(\d+);48;2;(\d+);(\d+);(\d+)m▀\x1b\[0m", rows[5])
    np.testing.assert_allclose(np.array(cells[3], dtype=int), LEFT * 2, atol=12)
    np.testing.assert_allclose(np.array(cells[-3], dtype=int), RIGHT * 2, atol=12)


def test_characters_are_plain_text(photo: Path) -> None:
    rows = forced(photo, "characters").splitlines()
    assert len(rows) == 10
    assert set("".join(rows)) <= set("█▓▒░ ")
    assert {len(row) for row in rows} == {30}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("size", [(3000, 4), (4, 3000), (1, 1), (2, 3), (400, 600)])
@pytest.mark.parametrize("columns", [-1, 1, 4, 40])
def test_strange_shapes_fit(
    tmp_path: Path, protocol: Protocol, size: tuple[int, int], columns: int
) -> None:
    path = tmp_path / "shape.png"
    Image.new("RGB", size, "red").save(path)
    shown = forced(path, protocol, columns)
    limit = max(4, columns)
    assert shown.count("\n") <= limit // 2 + 1
    if protocol in {"characters", "blocks"}:
        rows = re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()
        assert {len(row) for row in rows} <= set(range(1, limit + 1))
    if protocol == "iterm2":
        found = re.search(r"width=(\d+)", shown)
        assert found
        assert 1 <= int(found[1]) <= limit


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_is_no_photo_prints_nothing(tmp_path: Path, protocol: Protocol) -> None:
    stream = io.StringIO()
    (tmp_path / "text.jpg").write_text("no photo")
    os.mkfifo(tmp_path / "pipe.jpg")
    for name in ("text.jpg", "pipe.jpg", "nowhere.jpg", ".", "a\0b.jpg"):
        assert not show(tmp_path / name, stream, protocol=protocol)
    assert stream.getvalue() == ""


def test_only_what_was_indexed_is_shown(photo: Path) -> None:
    stream, digest = io.StringIO(), files.digest(photo)
    assert show(photo, stream, protocol="characters", digest=digest)
    shown = stream.getvalue()
    photo.write_bytes(photo.read_bytes() + b"\0")
    assert not show(photo, stream, protocol="characters", digest=digest)
    assert stream.getvalue() == shown


def test_nothing_goes_into_a_stream_that_is_no_terminal(photo: Path) -> None:
    stream = io.StringIO()
    assert not show(photo, stream)
    assert stream.getvalue() == ""
    assert previews.detect(stream, {"TERM_PROGRAM": "iTerm.app"}) is None


# In a pseudo-terminal

TAKE_TERMINAL = """
import fcntl, json, os, sys, termios
from pathlib import Path
fcntl.ioctl(1, termios.TIOCSCTTY, 0)
before = termios.tcgetattr(1)
from kadr.cli import previews
previews.PATIENCE = float(sys.argv[3])
"""
SHOW_TWICE = """
shown = [previews.show(Path(sys.argv[1]), sys.stdout, 20) for _ in range(2)]
kept = termios.tcgetattr(1) == before
heavy = "textual_image" in sys.modules
told = {"shown": shown, "kept": kept, "heavy": heavy}
Path(sys.argv[2]).write_text(json.dumps(told))
"""
SHOW_IN_BACKGROUND = """
job = os.fork()
if not job:
    os.setpgrp()
    os._exit(0 if previews.show(Path(sys.argv[1]), sys.stdout, 20) else 1)
_, status = os.waitpid(job, os.WUNTRACED)
told = {"exited": os.WIFEXITED(status), "shown": status == 0}
Path(sys.argv[2]).write_text(json.dumps(told))
"""


@dataclass(frozen=True)
class Seen:
    """What a terminal was sent, and what the process in it said of itself."""

    output: bytes
    told: dict[str, Any]

    @property
    def picture(self) -> bytes:
        """The output without the question."""
        return self.output.replace(previews._QUESTION, b"")


def seen(
    photo: Path,
    folder: Path,
    answer: bytes,
    *,
    size: tuple[int, int, int, int] = (24, 80, 800, 480),
    stdin: int | None = None,
    code: str = SHOW_TWICE,
    environment: Mapping[str, str] | None = None,
    patience: float = 3600,
) -> Seen:
    """A process in a terminal of so many rows, columns, pixels that answers the question so.

    Far more patience than a busy machine needs: only a terminal that doesn't answer is given up.
    """
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    defaults = {"TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8", "PYTHONWARNINGS": "error"}
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *size))
    process = subprocess.Popen(
        [sys.executable, "-c", TAKE_TERMINAL + code, photo, folder / "told.json", str(patience)],
        stdin=slave if stdin is None else stdin,
        stdout=slave,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env={**kept, **defaults, **(environment or {})},
    )
    output, asked, limit = b"", False, time.monotonic() + 60
    with process:
        while process.poll() is None or select.select([master], [], [], 0)[0]:
            assert time.monotonic() < limit, output
            if select.select([master], [], [], 0.05)[0]:
                output += os.read(master, 65536)
            if QUESTION in output and not asked:
                asked = True
                os.write(master, answer)
        assert process.stderr
        assert process.stderr.read() == b""
    os.close(slave)
    os.close(master)
    assert process.returncode == 0
    assert output.count(QUESTION) <= 1
    return Seen(output, json.loads((folder / "told.json").read_text()))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [(KITTY, b"U=1"), (SIXEL, b"\x1bP0;0;0q"), (KITTY[:-4] + b"4;c", b"\x1bP0;0;0q"),
     (PLAIN, "▀".encode()), (b"\x1b_Gi=31;ENOENT:no\x1b\\" + PLAIN, "▀".encode()),
     ("ы".encode() + KITTY, b"U=1")],
    ids=["kitty", "sixel", "both", "none", "kitty that refuses", "a key before the answer"],
)  # fmt: skip
@pytest.mark.parametrize("stdin", [None, subprocess.DEVNULL], ids=["keys", "no keys"])
def test_a_terminal_gets_what_it_can_show(
    photo: Path, tmp_path: Path, answer: bytes, expected: bytes, stdin: int | None
) -> None:
    found = seen(photo, tmp_path, answer, stdin=stdin)
    marks = (b"\x1b]1337", b"U=1", b"\x1bP0;0;0q", "▀".encode())
    assert [mark for mark in marks if mark in found.output] == [expected]
    assert found.told["shown"] == [True, True]
    assert found.told["kept"]


@pytest.mark.parametrize("answer", [b"", b"\x1b", b"typed\n", b"\x1b[?62;4" + b"9" * 500, b"\xff"])
def test_a_terminal_that_does_not_answer_is_not_waited_for(
    photo: Path, tmp_path: Path, answer: bytes
) -> None:
    found = seen(photo, tmp_path, answer, patience=0.2)
    assert "▀".encode() in found.picture
    assert found.told["kept"]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"TERM_PROGRAM": "iTerm.app"}, b"\x1b]1337;File=inline=1"),
        ({"TERM_PROGRAM": "WezTerm"}, b"\x1b]1337;File=inline=1"),
        ({"LC_TERMINAL": "iTerm2"}, b"\x1b]1337;File=inline=1"),
        ({"TERM": "linux"}, "▀".encode()),
        ({"TERM_PROGRAM": "Apple_Terminal"}, "▀".encode()),
    ],
)
def test_a_known_terminal_is_not_asked(
    photo: Path, tmp_path: Path, environment: dict[str, str], expected: bytes
) -> None:
    found = seen(photo, tmp_path, KITTY, environment=environment)
    assert QUESTION not in found.output
    assert found.picture.count(b"\x1b]1337") == (2 if b"1337" in expected else 0)
    assert expected in found.output
    assert found.told["heavy"] is (b"1337" not in expected)


@pytest.mark.parametrize(
    ("environment", "answer", "expected"),
    [
        ({"LC_TERMINAL": "iTerm2", "TMUX": "/tmp/tmux"}, PLAIN, "▀"),
        ({"TERM_PROGRAM": "iTerm.app", "STY": "1.a"}, SIXEL, "\x1bP0;0;0q"),
        ({"NO_COLOR": "1"}, PLAIN, "░"),
        ({"PYTHONIOENCODING": "latin-1"}, SIXEL, "\x1bP0;0;0q"),
    ],
)
def test_surroundings_are_minded(
    photo: Path, tmp_path: Path, environment: dict[str, str], answer: bytes, expected: str
) -> None:
    found = seen(photo, tmp_path, answer, environment=environment)
    assert expected.encode() in found.picture
    assert b"\x1b]1337" not in found.output


@pytest.mark.parametrize(
    ("environment", "size"),
    [
        ({"TERM": "dumb", "TERM_PROGRAM": "iTerm.app"}, (24, 80, 0, 0)),
        ({"PYTHONIOENCODING": "latin-1"}, (24, 80, 0, 0)),
        ({"PYTHONIOENCODING": "latin-1"}, (0, 0, 0, 0)),
        ({}, (0, 0, 0, 0)),
    ],
)
def test_a_terminal_that_can_show_nothing_gets_nothing(
    photo: Path, tmp_path: Path, environment: dict[str, str], size: tuple[int, int, int, int]
) -> None:
    found = seen(photo, tmp_path, PLAIN, size=size, environment=environment)
    assert (found.picture, found.told["shown"]) == (b"", [False, False])


def test_a_narrow_terminal_without_pixels(photo: Path, tmp_path: Path) -> None:
    found = seen(photo, tmp_path, PLAIN, size=(24, 10, 0, 0))
    rows = found.picture.decode().splitlines()
    assert [row.count("▀") for row in rows] == [9] * 6


def test_a_job_in_the_background_is_not_stopped(photo: Path, tmp_path: Path) -> None:
    found = seen(photo, tmp_path, KITTY, code=SHOW_IN_BACKGROUND)
    assert QUESTION not in found.output
    assert found.told == {"exited": True, "shown": True}
