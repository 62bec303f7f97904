"""Threads with a library each, so that the event loop never blocks.

Searches that wait at the same time are answered together: their texts are encoded in one batch.
"""

import asyncio
import contextlib
import os
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from kadr.errors import KadrError
from kadr.law.policy import Policy
from kadr.library.library import Library
from kadr.library.queries import Expression
from kadr.library.search import Page
from kadr.service import metrics
from kadr.types import Answer

Open: TypeAlias = Callable[[Policy], Library]
"""Opens the library under a policy; called on the pool's thread."""
T = TypeVar("T")

BATCH = 4
"""The most searches answered together: more would wait for one another, and leave the other threads
idle (docs/results.md)."""


class BusyError(KadrError):
    """The queue is full."""


@dataclass(frozen=True)
class _Job:
    """Work on a library under a policy; with `ask`, a search whose answer `work` renders."""

    policy: Policy
    work: Callable[..., Any]
    ask: Callable[[Library], tuple[Expression, Page]] | None = None
    done: Future[Any] = field(default_factory=Future)


class WorkerPool:
    """Threads that share a queue; most pools have one thread."""

    def __init__(self, name: str, open_library: Open, waiting: int, threads: int = 1) -> None:
        self._name = name
        self._most = waiting
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=_Worker(open_library).serve, args=(self._jobs,), name=name)
            for _ in range(threads)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    def stop(self) -> None:
        """Finish the queue, then close the libraries."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    async def do(self, policy: Policy, work: Callable[[Library], T]) -> T:
        """The result of `work` on the library.

        Raises:
            BusyError: the queue is full.
        """
        result: T = await self._wait(_Job(policy, work))
        return result

    async def search(
        self,
        policy: Policy,
        ask: Callable[[Library], tuple[Expression, Page]],
        render: Callable[[Library, Answer], T],
    ) -> T:
        """The rendered answer to the search that `ask` returns; both run on a thread of the pool.

        Raises:
            BusyError: the queue is full.
        """
        result: T = await self._wait(_Job(policy, render, ask))
        return result

    async def _wait(self, job: _Job) -> Any:
        if self._jobs.qsize() >= self._most:
            metrics.TURNED_AWAY.labels(self._name).inc()
            raise BusyError("Too much is asked at the same time. Ask again in a second.")
        self._jobs.put(job)
        # A visitor who leaves cancels a job that waits; one that runs is finished.
        return await asyncio.wrap_future(job.done)


@dataclass(frozen=True)
class _Opened:
    """A library, and the identity of its file when it was opened."""

    library: Library
    identity: tuple[int, int] | None


class _Worker:
    """One thread of a pool. Opens the library once for each policy; there are few."""

    def __init__(self, open_library: Open) -> None:
        self._open = open_library
        self._libraries: dict[str, _Opened] = {}

    def serve(self, jobs: "queue.SimpleQueue[_Job | None]") -> None:
        """Take jobs from the queue, a batch at a time, until a None."""
        try:
            while (job := jobs.get()) is not None:
                batch = [job]
                with contextlib.suppress(queue.Empty):
                    while len(batch) < BATCH:
                        more = jobs.get_nowait()
                        if more is None:
                            jobs.put(None)
                            break
                        batch.append(more)
                self._serve([one for one in batch if one.done.set_running_or_notify_cancel()])
        finally:
            for opened in self._libraries.values():
                opened.library.close()

    def _serve(self, batch: Sequence[_Job]) -> None:
        searches = [job for job in batch if job.ask is not None]
        if searches:
            metrics.BATCH.observe(len(searches))
        for name in dict.fromkeys(job.policy.name for job in searches):
            self._search([job for job in searches if job.policy.name == name])
        for job in batch:
            if job.ask is None:
                self._do(job)

    def _do(self, job: _Job) -> None:
        try:
            library = self._library(job.policy)
        except Exception as error:  # noqa: BLE001 - raised again where it was asked for
            job.done.set_exception(error)
        else:
            _settle(job, library)

    def _search(self, jobs: Sequence[_Job]) -> None:
        """Answer as a batch; if that fails, one by one, so that each gets its own error."""
        try:
            library = self._library(jobs[0].policy)
            answers = library.answers([job.ask(library) for job in jobs if job.ask])
        except Exception as error:  # noqa: BLE001 - raised again where it was asked for
            if len(jobs) == 1:
                jobs[0].done.set_exception(error)
            else:
                for job in jobs:
                    self._search([job])
            return
        for job, answer in zip(jobs, answers, strict=True):
            _settle(job, library, answer)

    def _library(self, policy: Policy) -> Library:
        """The library, reopened if its file was replaced, such as by a backup.

        Raises:
            LibraryError: it is gone.
        """
        known = self._libraries.get(policy.name)
        if known is not None and known.identity == _identity(known.library.file):
            return known.library
        if known is not None:
            del self._libraries[policy.name]
            known.library.close()
        opened = self._open(policy)
        self._libraries[policy.name] = _Opened(opened, _identity(opened.file))
        return opened


def _identity(path: Path | None) -> tuple[int, int] | None:
    """The file's device and inode; None where there is no file."""
    if path is None:
        return None
    try:
        status = os.stat(path)  # noqa: PTH116 - for each job
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _settle(job: _Job, *given: Any) -> None:
    try:
        job.done.set_result(job.work(*given))
    except Exception as error:  # noqa: BLE001 - raised again where it was asked for
        job.done.set_exception(error)
