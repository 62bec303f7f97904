"""Decoding in processes of limited memory and time: what strangers send may be made to hurt.

A process that takes too long is killed, one that dies is replaced; its request alone fails.
"""

import asyncio
import hashlib
import io
import multiprocessing
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from pebble import ProcessExpired, ProcessPool

from kadr.errors import ImageError
from kadr.interfaces.api import metrics
from kadr.interfaces.api.config import Service
from kadr.interfaces.api.desk import BusyError
from kadr.types import Picture

T = TypeVar("T")
WORKERS = 2
WAITING = 128
"""Pictures that may wait for being decoded."""
QUALITY = 82


class Darkroom:
    """Makes pictures of files and uploads."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._pending = 0
        self._pool = ProcessPool(
            WORKERS,
            max_tasks=2000,  # a decoder's leak ends with its process
            initializer=_begin,
            initargs=(service.memory,),
            context=multiprocessing.get_context("spawn"),
        )

    def stop(self) -> None:
        """End at once; what is being decoded fails."""
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()

    async def thumbnail(self, path: Path, state: tuple[int, int], side: int) -> bytes:
        """A JPEG of a file, no side longer than `side`, upright, without the file's facts.

        Raises:
            ImageError: it can't be decoded within the limits, or its size and time of change aren't
                `state` any more.
            BusyError: too much waits.
        """
        return await self._run(_thumbnail, path, state, side)

    async def picture(self, content: bytes, size: int) -> Picture:
        """An upload as a query takes it; `size` as `kadr.images.decode` takes it.

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
            metrics.TURNED_AWAY.labels("darkroom").inc()
            raise BusyError("Too many pictures wait. Ask again in a second.")
        self._pending += 1
        task = self._pool.schedule(work, args=arguments, timeout=self._service.seconds)
        try:
            # Shielded: to cancel a task that runs would kill its process.
            return await asyncio.shield(asyncio.wrap_future(task))
        except TimeoutError as error:
            raise ImageError(f"takes more than {self._service.seconds:g} s to decode") from error
        except ProcessExpired as error:
            raise ImageError("can't be decoded within the memory that is allowed") from error
        finally:
            self._pending -= 1


def _begin(memory: int) -> None:
    """Limit this process. Not every system can limit memory; all limit pixels."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the service's to handle
    import kadr.images  # noqa: F401 - its memory isn't the pictures'

    if sys.platform != "win32":
        import resource

        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def _decoded(source: Path | bytes, size: int, most_pixels: int | None = None) -> Any:
    from kadr import images

    try:
        return images.read(source, size, most_pixels)
    except MemoryError as error:
        raise ImageError("can't be decoded within the memory that is allowed") from error


def _thumbnail(path: Path, state: tuple[int, int], side: int) -> bytes:
    photo, _ = _decoded(path, side)
    status = path.stat()
    if (status.st_size, status.st_mtime_ns) != state:
        raise ImageError("changed while it was read")
    photo.thumbnail((side, side))
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def _picture(content: bytes, size: int, most_pixels: int) -> Picture:
    import numpy as np

    photo, _ = _decoded(content, size, most_pixels)
    return Picture(hashlib.sha256(content).hexdigest(), np.asarray(photo))


def _kind(content: bytes, most_pixels: int) -> str:
    return str(_decoded(content, 32, most_pixels)[1].kind)
