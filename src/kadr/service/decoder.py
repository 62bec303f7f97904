"""Decoding in processes of limited memory and time: what strangers send may be made to hurt.

A process that takes too long is killed, one that dies is replaced. Each has a pipe of its own:
whenever one ends, and however, the others don't notice.
"""

import asyncio
import io
import multiprocessing
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from kadr.errors import ImageError
from kadr.service import metrics
from kadr.service.config import Service
from kadr.service.worker_pool import BusyError
from kadr.types import Picture

T = TypeVar("T")
WORKERS = 2
WAITING = 128
"""Pictures that may wait for being decoded."""
TASKS = 2000
"""After so many a process is replaced: a decoder's leak ends with it."""
BEGINNING = 60.0
"""Seconds that a process may take to begin."""
QUALITY = 82
TOO_MUCH = "can't be decoded within the memory that is allowed"


class Decoder:
    """Makes pictures of files and uploads."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._pending = 0
        self._threads = ThreadPoolExecutor(WORKERS, thread_name_prefix="decoder")
        self._own = threading.local()
        self._workers: set[_Worker] = set()
        for _ in range(WORKERS):  # the first pictures shouldn't wait for processes to begin
            self._threads.submit(self._worker)

    def stop(self) -> None:
        """End at once; what is being decoded fails."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for worker in tuple(self._workers):
            worker.end()
        self._threads.shutdown()
        for worker in self._workers:  # begun meanwhile
            worker.end()

    async def thumbnail(self, path: Path, state: tuple[int, int], side: int) -> bytes:
        """A JPEG of a file, no side longer than `side`, upright, without the file's facts.

        Raises:
            ImageError: it can't be decoded within the limits, or its size and time of change aren't
                `state` any more.
            BusyError: too much waits.
        """
        return await self._run(_thumbnail, path, state, side)

    async def picture(self, content: bytes, size: int) -> Picture:
        """An upload as a query takes it; `size` as `kadr.photos.images.decode` takes it.

        Raises: as `thumbnail`.
        """
        return await self._run(_picture, content, size, self._service.most_pixels)

    async def kind(self, content: bytes) -> str:
        """What an upload is, "jpeg" and so on, where all of it can be decoded.

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
        """One picture, by this thread's process. If that dies, somebody may have killed it."""
        with suppress(EOFError, OSError):
            return self._worker().do(work, arguments, self._service.seconds)
        try:
            return self._worker().do(work, arguments, self._service.seconds)
        except (EOFError, OSError) as error:
            raise ImageError(TOO_MUCH) from error

    def _worker(self) -> "_Worker":
        """This thread's process, alive."""
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
        """Whether it lives, and has done no more than it should."""
        return self._process.is_alive() and self._tasks < TASKS

    def do(self, work: Callable[..., T], arguments: tuple[Any, ...], seconds: float) -> T:
        """What `work` makes of the arguments.

        Raises:
            ImageError: `work` raised it, or took too long.
            EOFError, OSError: the process ended.
        """
        if self._tasks == 0 and not self._pipe.poll(BEGINNING):
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
    """The process: does what comes through the pipe, until that ends."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the service's to handle
    import kadr.photos.images  # noqa: F401 - its memory isn't the pictures'

    if sys.platform != "win32":  # where memory can't be limited, pixels are
        import resource

        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    pipe.send("ready")
    with suppress(EOFError, OSError):
        while True:
            work, arguments = pipe.recv()
            pipe.send(_done(work, arguments))


def _done(work: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[bool, Any]:
    """Whether it went well, and what came of it, or why not."""
    try:
        return True, work(*arguments)
    except MemoryError:
        return False, TOO_MUCH
    except ImageError as error:
        return False, str(error)
    except OSError:
        return False, "can't be read any more"


def _thumbnail(path: Path, state: tuple[int, int], side: int) -> bytes:
    from kadr.photos import files, images

    photo = images.decode(path, side)
    if files.state(path) != state:
        raise ImageError("changed while it was read")
    photo.thumbnail((side, side))
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def _picture(content: bytes, size: int, most_pixels: int) -> Picture:
    import numpy as np

    from kadr.photos import files, images

    photo, _ = images.read(content, size, most_pixels)
    return Picture(files.digest(content), np.asarray(photo))


def _kind(content: bytes, most_pixels: int) -> str:
    from kadr.photos import images

    return images.read(content, 32, most_pixels)[1].kind
