"""Decodes in processes of limited memory and time: a stranger's file may be an attack.

A process that takes too long is killed; one that dies is replaced. Each has a pipe of its own, so
that no process can disturb another by dying.
"""

import asyncio
import io
import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from kadr.errors import ImageError
from kadr.photos import reader
from kadr.photos.limits import confine
from kadr.photos.objects import is_object
from kadr.service import metrics
from kadr.service.config import Service
from kadr.service.objects import MOST_WHOLE
from kadr.service.worker_pool import BusyError
from kadr.types import PhotoFacts, Picture, Pixels

T = TypeVar("T")
WORKERS = 2
WAITING = 128
"""Pictures that may wait in the queue."""
TASKS = 2000
"""A process is replaced after so many, so that a decoder's leak stays bounded."""
STARTUP = 60.0
"""Seconds that a process may take to start."""
QUALITY = 82
TOO_MUCH = "can't be decoded within the memory that is allowed"


class Decoder:
    """Decodes files and uploads."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._pending = 0
        self._threads = ThreadPoolExecutor(WORKERS, thread_name_prefix="decoder")
        self._own = threading.local()
        self._workers: set[_Worker] = set()
        for _ in range(WORKERS):  # start the processes before the first picture comes
            self._threads.submit(self._worker)

    def stop(self) -> None:
        """Stop at once; what is being decoded fails."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for worker in tuple(self._workers):
            worker.end()
        self._threads.shutdown()
        for worker in self._workers:  # started meanwhile
            worker.end()

    async def thumbnail(self, path: Path, digest: str, side: int) -> bytes:
        """A JPEG of a file, upright, at most `side` pixels a side, without metadata.

        Raises:
            ImageError: it can't be decoded within the limits, or isn't what was indexed: its
                SHA-256 isn't `digest`.
            BusyError: too much waits.
        """
        return await self._run(_thumbnail, path, digest, side)

    def read(
        self, path: Path, size: int, digest: str | None = None
    ) -> tuple[Image.Image, PhotoFacts]:
        """A `kadr.photos.reader.Reader`, for other threads than the event loop's."""
        if is_object(path):
            content = reader.fetched(path, MOST_WHOLE, self._service.seconds)
            task = self._threads.submit(self._do, _decoded, (content, path.name, size, digest))
        else:
            task = self._threads.submit(self._do, _read, (path, size, digest))
        pixels, facts = task.result()
        return Image.fromarray(pixels), facts

    async def reduced(self, content: bytes, digest: str, side: int) -> bytes:
        """As `thumbnail`, of what an object holds.

        Raises: as `thumbnail`.
        """
        return await self._run(_reduced, content, digest, side)

    async def picture(self, content: bytes, size: int) -> Picture:
        """An upload's pixels for a query; `size` is that of `kadr.photos.images.decode`.

        Raises: as `thumbnail`.
        """
        return await self._run(_picture, content, size, self._service.most_pixels)

    async def kind(self, content: bytes) -> str:
        """An upload's format, such as "jpeg", once all of it has been decoded.

        Raises: as `thumbnail`.
        """
        return await self._run(_kind, content, self._service.most_pixels)

    async def _run(self, work: Callable[..., T], *arguments: Any) -> T:
        if self._pending >= WAITING:
            metrics.TURNED_AWAY.labels("decoder").inc()
            raise BusyError("Too many pictures wait. Ask again in a second.")
        self._pending += 1
        try:
            loop = asyncio.get_running_loop()
            result: T = await loop.run_in_executor(self._threads, self._do, work, arguments)
            return result
        finally:
            self._pending -= 1

    def _do(self, work: Callable[..., T], arguments: tuple[Any, ...]) -> T:
        """Run `work` in this thread's process; again if it dies, for it may have been killed."""
        with suppress(EOFError, OSError):
            return self._worker().do(work, arguments, self._service.seconds)
        try:
            return self._worker().do(work, arguments, self._service.seconds)
        except (EOFError, OSError) as error:
            raise ImageError(TOO_MUCH) from error

    def _worker(self) -> "_Worker":
        """This thread's process; a new one where it died or has done enough."""
        worker: _Worker | None = getattr(self._own, "worker", None)
        if worker is None or not worker.is_good():
            if worker is not None:
                worker.end()
                self._workers.discard(worker)
            worker = self._own.worker = _Worker(self._service.memory)
            self._workers.add(worker)
        return worker


class _Worker:
    """A process that decodes, and the pipe to it."""

    def __init__(self, memory: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, memory), daemon=True)
        self._process.start()
        theirs.close()  # so that its end is noticed here
        self._tasks = 0

    def is_good(self) -> bool:
        """Whether it is alive, and not due to be replaced."""
        return self._process.is_alive() and self._tasks < TASKS

    def do(self, work: Callable[..., T], arguments: tuple[Any, ...], seconds: float) -> T:
        """The result of `work` on the arguments.

        Raises:
            ImageError: `work` raised it, or took too long.
            EOFError, OSError: the process ended.
        """
        if self._tasks == 0 and not self._pipe.poll(STARTUP):
            self.end()
        if self._tasks == 0:
            self._pipe.recv()
        self._tasks += 1
        late = threading.Event()

        def time_is_up() -> None:
            late.set()
            self._process.kill()

        clock = threading.Timer(seconds, time_is_up)
        clock.start()
        try:
            self._pipe.send((work, arguments))
            good, value = self._pipe.recv()
        except (EOFError, OSError):
            if late.is_set():
                raise ImageError(f"takes more than {seconds:g} s to decode") from None
            raise
        finally:
            clock.cancel()
        if good:
            result: T = value
            return result
        raise ImageError(value)

    def end(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.join()
        self._pipe.close()


def _serve(pipe: Connection, memory: int) -> None:
    """The process's loop: do what comes through the pipe until it closes."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the service's to handle
    import kadr.photos.images  # noqa: F401 - its memory isn't the pictures'

    confine(memory)  # where memory can't be limited, pixels are
    pipe.send("ready")
    with suppress(EOFError, OSError):
        while True:
            work, arguments = pipe.recv()
            pipe.send(_done(work, arguments))


def _done(work: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[bool, Any]:
    """True and the result, or False and the reason."""
    try:
        return True, work(*arguments)
    except MemoryError:
        return False, TOO_MUCH
    except ImageError as error:
        return False, str(error)
    except OSError:
        return False, "can't be read any more"


def _decoded(content: bytes, name: str, size: int, digest: str | None) -> tuple[Pixels, PhotoFacts]:
    photo, facts = reader.decoded(content, name, size, digest)
    return np.asarray(photo), facts


def _read(path: Path, size: int, digest: str | None) -> tuple[Pixels, PhotoFacts]:
    photo, facts = reader.read(path, size, digest)
    return np.asarray(photo), facts


def _thumbnail(path: Path, digest: str, side: int) -> bytes:
    return _small(reader.read(path, side, digest)[0], side)


def _reduced(content: bytes, digest: str, side: int) -> bytes:
    return _small(reader.decoded(content, "", side, digest)[0], side)


def _small(photo: Image.Image, side: int) -> bytes:
    photo.thumbnail((side, side))
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def _picture(content: bytes, size: int, most_pixels: int) -> Picture:
    from kadr.photos import files, images

    photo, facts = images.read(content, size, most_pixels)
    return Picture(files.digest(content), np.asarray(photo), facts.texts)


def _kind(content: bytes, most_pixels: int) -> str:
    from kadr.photos import images

    return images.read(content, 32, most_pixels)[1].kind
