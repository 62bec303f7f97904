"""A mixed folder of photos, encoded by fakes in this process, for tests."""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from kadr.encoding.encode import Encoded, LostWorkerError, Options, OwnProcess, encode
from kadr.encoding.parts import Output, Part
from kadr.encoding.rows import Row
from kadr.encoding.worker import Report, Task
from kadr.law.policy import Policy
from libraries import paint


class Mortal(OwnProcess):
    """The engine without any, whose worker ends after so many parts, again and again."""

    def __init__(self, *lives: int, told: bool = True) -> None:
        self.lives, self.told = list(lives), told
        self.asked: list[str] = []

    def run(self, task: Task, parts: Sequence[Part]) -> Iterator[Report]:
        life = self.lives.pop(0) if self.lives else len(parts)
        for number, report in enumerate(super().run(task, parts)):
            self.asked.append(report.part)
            if number + 1 == life < len(parts) and not self.told:
                break  # written, and nobody heard of it
            yield report
            if number + 1 == life:
                break
        if life < len(parts):
            raise LostWorkerError("killed")


def shelf(folder: Path) -> Path:
    """Photos of all kinds: plain, below folders, named for a child, copied, broken, hidden, odd."""
    for number in range(7):
        paint(folder / f"{number}.png", number)
    paint(folder / "our kids" / "IMG_20190503_101112.png", 20)
    paint(folder / "ünï" / "café.png", 21)
    shutil.copy(folder / "3.png", folder / "our kids" / "again.png")
    Image.new("RGB", (40, 30), "red").save(folder / "red.jpg", comment=b"a child on a swing")
    (folder / "broken.jpg").write_bytes(b"no photo")
    shutil.copy(folder / "broken.jpg", folder / "broken too.jpg")
    (folder / "empty.png").touch()
    (folder / "film.mxf").write_bytes(b"x")
    paint(folder / ".hidden" / "0.png", 22)
    os.mkfifo(folder / "pipe.png")
    return folder


def encoded(
    source: Path | str,
    out: Path | str,
    model: Path,
    policy: Policy | None = None,
    *,
    size: int = 4,
) -> Encoded:
    """Encode by this process."""
    options = Options(model, policy, size)
    return encode(os.fspath(source), os.fspath(out), OwnProcess(), options)


def rows(out: Path | str) -> list[Row]:
    """All rows of an output."""
    output = Output(os.fspath(out))
    return [row for name in output.names() for row in output.rows(name)]
