"""Photos in object storage for visitors: read beside the event loop, and never for long."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from kadr.errors import MissingExtraError
from kadr.library.catalogue import PhotoObject
from kadr.photos import object_store
from kadr.photos.objects import ObjectPath
from kadr.service import metrics
from kadr.service.problems import ProblemError
from kadr.service.worker_pool import BusyError

LOG = logging.getLogger("kadr.service")
T = TypeVar("T")
PART = 2**22
"""Bytes that are asked for at a time, and compared with what was indexed."""
FEW = 8
"""Objects that are held whole to be decoded."""
MOST_WHOLE = 2**27
"""Bytes of one that is held whole."""
WAITING = 256
"""Requests to stores that may wait."""


class ObjectReader:
    """Reads objects: a store that hangs keeps its own photos from visitors, and nothing else."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._few = asyncio.Semaphore(FEW)
        self._pending = 0

    async def check(self, photo: PhotoObject) -> None:
        """Raises ProblemError: 404, the object changed or is gone; 503, its store doesn't say."""
        state = await self._do(object_store.state, photo.path)
        if not object_store.is_same(photo.state, state):
            raise changed()

    async def reduced(
        self, photo: PhotoObject, decode: Callable[[bytes], Awaitable[bytes]]
    ) -> bytes:
        """What `decode` makes of an object's content; it compares the digest.

        Raises:
            ProblemError: as `check`; 422, it is too large.
        """
        if photo.state[0] > MOST_WHOLE:
            megabytes = photo.state[0] / 1e6
            raise ProblemError(422, f"No smaller copy: {megabytes:,.0f} MB are too many.")
        try:
            await asyncio.wait_for(self._few.acquire(), self._seconds)
        except TimeoutError as error:
            raise _unavailable(photo.path, error) from error
        try:
            return await decode(await self._do(object_store.read, photo.path, photo.state[0]))
        finally:
            self._few.release()

    async def parts(self, photo: PhotoObject, start: int, length: int) -> AsyncIterator[bytes]:
        """A part of an object, piece by piece; the first piece is had before this returns.

        Raises:
            ProblemError: as `check`.
        """
        first = await self._part(photo, start, min(length, PART))
        return self._rest(photo, first, start, length)

    async def _rest(
        self, photo: PhotoObject, piece: bytes, start: int, length: int
    ) -> AsyncIterator[bytes]:
        end = start + length
        yield piece
        while (start := start + len(piece)) < end:
            try:
                piece = await self._part(photo, start, min(end - start, PART))
            except (ProblemError, BusyError):  # the answer has begun: it is cut short
                return
            yield piece

    async def _part(self, photo: PhotoObject, start: int, length: int) -> bytes:
        return await self._do(object_store.part, photo.path, photo.state, start, length)

    async def _do(self, call: Callable[..., T], path: ObjectPath, *arguments: Any) -> T:
        """The result of a call that asks a store.

        Raises:
            BusyError: too many wait.
            ProblemError: 404, there is no such object by now; 503, the store doesn't say.
        """
        if self._pending >= WAITING:
            metrics.TURNED_AWAY.labels("objects").inc()
            raise BusyError("Too many photos are fetched. Ask again in a second.")
        self._pending += 1
        try:
            future = asyncio.wrap_future(object_store.soon(call, path, *arguments))
            return await asyncio.wait_for(future, self._seconds)
        except FileNotFoundError as error:
            raise changed() from error
        except (OSError, MissingExtraError) as error:  # TimeoutError is an OSError
            raise _unavailable(path, error) from error
        finally:
            self._pending -= 1


def changed() -> ProblemError:
    """404: a photo isn't what it was when it was indexed."""
    return ProblemError(404, "The photo's file changed or is gone. It must be indexed again.")


def _unavailable(path: ObjectPath, error: Exception) -> ProblemError:
    """503; what the store said is for the log alone."""
    said = "doesn't answer" if isinstance(error, TimeoutError) else object_store.line(error)
    LOG.error("object store", extra={"photo": str(path), "error": said})
    detail = "The photo's store doesn't answer at the moment. Ask again in some seconds."
    return ProblemError(503, detail, {"Retry-After": "3"})
