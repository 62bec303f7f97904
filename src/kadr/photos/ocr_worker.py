"""Text is read in a process of its own, whose memory and time are limited.

It is killed where a photo takes too long, and may crash: a stranger's photo may be an attack. It is
asked by a line of JSON for each photo, and answers by one.
"""

import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from PIL import Image

from kadr.errors import ImageError, KadrError, MissingExtraError, OcrError
from kadr.photos import ocr, reader
from kadr.photos.limits import confine
from kadr.photos.objects import located
from kadr.photos.ocr import OcrEngine
from kadr.types import PictureText, TextLine

MEMORY = 2**32
"""Bytes that the process may take."""
SECONDS = 60.0
"""That a photo may take."""
STARTUP = 120.0
"""That it may take to load its engine."""
TOO_MUCH = "needs more memory than is allowed, or makes the process crash"


class OcrWorker:
    """Reads text by an engine in a process, which is started when it is needed. A context."""

    def __init__(self, name: str, seconds: float = SECONDS) -> None:
        """Look up the engine.

        Args:
            name: of the engine, as `kadr.photos.ocr.load` takes it.
            seconds: that a photo may take.

        Raises:
            KadrError: there is no such engine, or its package isn't installed.
        """
        self._name = name
        self._seconds = seconds
        self.engine = ocr.load(name).version
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def read(self, path: Path, digest: str) -> PictureText:
        """The text in a photo or a frame; or the problem that it has, which it will have again.

        Raises:
            ImageError: the file isn't there, can't be read, or holds something else.
            MissingExtraError: the engine isn't whole.
            KadrError: it doesn't start.
        """
        if self._process is None:
            self._start()
        answer = self._answer({"path": os.fspath(path), "digest": digest}, self._seconds)
        if "unreadable" in answer:
            raise ImageError(answer["unreadable"])
        if "broken" in answer:
            raise MissingExtraError(answer["broken"])
        lines = (TextLine(text, sure, tuple(at)) for text, sure, at in answer.get("lines", ()))
        return PictureText(self.engine, tuple(lines), answer.get("problem"))

    def _start(self) -> None:
        """Start the process, and wait until its engine has read an empty picture."""
        self._process = subprocess.Popen(  # noqa: S603 - itself
            [sys.executable, "-m", __name__, self._name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        answer = self._answer(None, STARTUP)
        if "broken" in answer:
            self._end()
            raise MissingExtraError(answer["broken"])
        if "problem" in answer:
            raise KadrError(
                f"The OCR engine {self._name!r} doesn't start. Look with kadr doctor, and install "
                "it again."
            )

    def _answer(self, question: dict[str, str] | None, seconds: float) -> dict[str, Any]:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        is_late = threading.Event()

        def stop() -> None:
            is_late.set()
            process.kill()

        timer = threading.Timer(seconds, stop)
        timer.daemon = True
        timer.start()
        line = b""
        try:
            with suppress(BrokenPipeError):  # it is gone
                if question is not None:
                    _write(process.stdin, question)
                line = process.stdout.readline()
        finally:
            timer.cancel()
        if line.endswith(b"\n"):
            answer: dict[str, Any] = json.loads(line)
            return answer
        self._end()
        return {"problem": f"takes more than {seconds:.0f} s" if is_late.is_set() else TOO_MUCH}

    def _end(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(BrokenPipeError):
                assert stream is not None
                stream.close()
        self._process = None


def _write(stream: IO[bytes], said: dict[str, Any]) -> None:
    stream.write(json.dumps(said).encode() + b"\n")
    stream.flush()


def main(name: str) -> None:
    """The process: read text in the photos that standard input names, until it ends."""
    confine(MEMORY)
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what an engine prints is no answer
    try:
        engine = ocr.load(name)
        engine.read(Image.new("RGB", (64, 64), "white"))
    except KadrError as error:
        _write(out, {"broken": str(error)})
        return
    _write(out, {"ready": True})
    for line in sys.stdin.buffer:
        _write(out, _answer(engine, json.loads(line)))


def _answer(engine: OcrEngine, question: dict[str, str]) -> dict[str, Any]:
    try:
        image, _ = reader.read(located(question["path"]), ocr.SIDE, question["digest"])
        image.thumbnail((ocr.SIDE, ocr.SIDE))
        lines = engine.read(image.convert("RGB"))
        return {"lines": [(line.text, line.confidence, line.region) for line in lines]}
    except MemoryError:
        return {"problem": TOO_MUCH}
    except OcrError as error:
        return {"problem": str(error)}
    except MissingExtraError as error:
        return {"broken": str(error)}
    except KadrError as error:
        return {"unreadable": str(error)}


if __name__ == "__main__":
    with suppress(BrokenPipeError):  # nobody waits for it any more
        main(*sys.argv[1:])
