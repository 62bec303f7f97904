"""Films are surveyed by a process of their own, whose memory and time are limited.

It is killed where it takes too long, and may crash: a stranger's film may be an attack. What it
writes is a line of JSON for each frame, and its pixels.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from PIL import Image

from kadr.errors import ImageError
from kadr.photos import video
from kadr.photos.limits import confine
from kadr.photos.video import Shot
from kadr.types import PhotoFacts

MEMORY = 2**32
"""Bytes that the process may take."""
OPENING = 60.0
"""Seconds until it says how long the film lasts; then it has as many more, and the film's own."""
TOO_MUCH = "can't be decoded within the memory that is allowed, or makes the decoder crash"


def survey(path: Path, size: int) -> Iterator[Shot]:
    """The frames that stand for a film's scenes; see `kadr.photos.video.survey`.

    Raises:
        ImageError: it can't be read within the limits, or holds no picture.
    """
    with _started(path, size) as (process, clock):
        assert process.stdout is not None
        while (line := process.stdout.readline()).endswith(b"\n"):
            said = json.loads(line)
            if "error" in said:
                raise ImageError(said["error"])
            if "seconds" in said:
                clock.start(OPENING + said["seconds"])
            elif "at" in said:
                yield _shot(said, process.stdout)
            else:
                return
        raise ImageError(clock.reason or TOO_MUCH)


def _shot(said: dict[str, Any], stream: IO[bytes]) -> Shot:
    width, height = said["size"]
    pixels = stream.read(width * height * 3)
    if len(pixels) < width * height * 3:
        raise ImageError(TOO_MUCH)
    facts = PhotoFacts(**said["facts"] | {"texts": tuple(said["facts"]["texts"])})
    return Shot(said["at"], Image.frombytes("RGB", (width, height), pixels), facts)


class _Clock:
    """Kills a process once its time is up; `reason` says so then."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._timer: threading.Timer | None = None
        self.reason: str | None = None

    def start(self, seconds: float) -> None:
        """Begin anew."""
        self.stop()
        self._timer = threading.Timer(seconds, self._up, (seconds,))
        self._timer.daemon = True
        self._timer.start()

    def stop(self) -> None:
        """Kill nothing any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _up(self, seconds: float) -> None:
        self.reason = f"takes more than {seconds:.0f} s to decode"
        self._process.kill()


@contextmanager
def _started(path: Path, size: int) -> "Iterator[tuple[subprocess.Popen[bytes], _Clock]]":
    command = [sys.executable, "-m", __name__, os.fspath(path), str(size)]
    process = subprocess.Popen(  # noqa: S603 - itself
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    clock = _Clock(process)
    clock.start(OPENING)
    try:
        yield process, clock
    finally:
        clock.stop()
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def main(path: str, size: str) -> None:
    """The process: survey a film, and write what it shows to standard output."""
    confine(MEMORY)
    out = sys.stdout.buffer
    try:
        for one in video.survey(Path(path), int(size)):
            if isinstance(one, Shot):
                head = {"at": one.at, "size": one.image.size, "facts": asdict(one.facts)}
                _write(out, head, one.image.tobytes())
            else:
                _write(out, {"seconds": one})
        _write(out, {"end": True})
    except MemoryError:
        _write(out, {"error": TOO_MUCH})
    except ImageError as error:
        _write(out, {"error": str(error)})


def _write(out: IO[bytes], said: dict[str, Any], pixels: bytes = b"") -> None:
    out.write(json.dumps(said).encode() + b"\n" + pixels)
    out.flush()


if __name__ == "__main__":
    with suppress(BrokenPipeError):  # nobody waits for it any more
        main(*sys.argv[1:])
