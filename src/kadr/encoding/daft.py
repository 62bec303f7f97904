"""The engine that spreads parts over workers: Daft, on this machine or on a Ray cluster.

Daft is asked for one thing: to run a worker's method on a column of parts. What is read and written
goes by no hand but the worker's.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from kadr.encoding import storage
from kadr.encoding.encode import LostWorkerError
from kadr.encoding.parts import Part
from kadr.encoding.sources import Entry
from kadr.encoding.worker import Report, Task, Worker
from kadr.errors import KadrError, MissingExtraError
from kadr.photos import object_store

# Neither tells anybody that it ran. Set before they are imported.
_QUIET = {"DO_NOT_TRACK": "1", "DAFT_ANALYTICS_ENABLED": "0", "RAY_USAGE_STATS_ENABLED": "0",
          "DAFT_PROGRESS_BAR": "0", "RAY_DISABLE_DASHBOARD": "1"}  # fmt: skip


@dataclass(frozen=True)
class Cluster:
    """Where workers run.

    `address` of a Ray cluster, as `ray.init` takes it; None: this machine, without Ray. `workers`:
    how many at once; None: one here, and one for each machine (or GPU asked for) of a cluster.
    `gpus` are those that each takes, or the share of one.
    """

    address: str | None = None
    workers: int | None = None
    gpus: float = 0


class DaftEngine:
    """Runs parts."""

    def __init__(self, cluster: Cluster | None = None) -> None:
        """Start, or join a cluster.

        Raises:
            MissingExtraError: Daft, or Ray where it is asked for, isn't installed.
            KadrError: the cluster can't be reached.
        """
        self._cluster = cluster or Cluster()
        self._daft = _started(self._cluster.address)

    def run(self, task: Task, parts: Sequence[Part]) -> Iterator[Report]:
        """Encode parts; a report for each, in any order.

        Raises:
            LostWorkerError: workers ended. What they had written stays.
        """
        if not parts:
            return
        workers = self._workers()
        frame = self._frame(parts)
        worker = self._worker(task, min(workers, len(parts)))
        done = frame.select(worker.run(frame["part"]).alias("report"))
        try:
            for row in done.iter_rows(results_buffer_size=1):
                yield Report.from_json(row["report"])
        except (KeyboardInterrupt, KadrError):
            raise
        except Exception as error:  # whatever Daft, Ray or a library below them makes of it
            raise LostWorkerError(_last(error)) from error

    def _workers(self) -> int:
        if self._cluster.workers is not None:
            return self._cluster.workers
        if self._cluster.address is None:
            return 1  # its threads take all cores
        import ray

        if self._cluster.gpus:
            return max(1, int(ray.cluster_resources().get("GPU", 0) / self._cluster.gpus))
        return max(1, len([node for node in ray.nodes() if node["Alive"]]))

    def _frame(self, parts: Sequence[Part]) -> Any:
        """A row for each part; on a cluster each is a partition, so that any worker may take it."""
        import pyarrow as pa

        entry = pa.struct(
            [("path", pa.binary()), ("size", pa.int64()), ("modified", pa.int64()),
             ("problem", pa.string()), ("sidecar", pa.string())]
        )  # fmt: skip
        column = [[_values(one) for one in part.entries] for part in parts]
        table = pa.table({"part": pa.array(column, pa.list_(entry))})
        frame = self._daft.from_arrow(table)
        return frame if self._cluster.address is None else frame.into_partitions(len(parts))

    def _worker(self, task: Task, workers: int) -> Any:
        daft = self._daft

        class DaftWorker:
            """A worker as Daft calls one."""

            def __init__(self, task: Task) -> None:
                self._worker = Worker(task)

            @daft.method.batch(return_dtype=daft.DataType.string(), batch_size=1)  # type: ignore[untyped-decorator]
            def run(self, parts: Any) -> list[str]:
                made = (Part(tuple(map(_entry, entries))) for entries in parts.to_pylist())
                return [self._worker.run(part).to_json() for part in made]

        return daft.cls(DaftWorker, max_concurrency=workers, gpus=self._cluster.gpus)(task)


@cache
def _started(address: str | None) -> Any:
    """Daft, which takes one runner in the life of a process."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import daft
    except ImportError as error:
        raise storage.missing(error) from error
    if address is not None:
        _join(address)
    try:
        if address is None:
            daft.set_runner_native()
        else:
            daft.set_runner_ray()
    except Exception as error:
        raise KadrError(
            f"Daft doesn't start ({object_store.line(error)}). It runs in one way in a process: "
            "encode with and without a cluster by two."
        ) from error
    return daft


def _join(address: str) -> None:
    """Connect to a Ray cluster, or start one here, for Daft to find."""
    logging.getLogger("ray").setLevel(logging.ERROR)
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError(
            f"--ray needs {error.name or error}: pip install {storage.EXTRA}. Without --ray this "
            "machine encodes alone."
        ) from error
    own = {"include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **own)
    except Exception as error:  # whatever Ray makes of a name, a network or a version
        raise KadrError(
            f"{address}: no Ray cluster answers ({object_store.line(error)}). Name one as ray.init "
            "does: auto, ray://HOST:10001, HOST:6379, or local."
        ) from error


def _values(entry: Entry) -> dict[str, Any]:
    return {
        "path": entry.path.encode("utf-8", "surrogateescape"),
        "size": entry.size,
        "modified": entry.modified,
        "problem": entry.problem,
        "sidecar": entry.sidecar,
    }


def _entry(values: dict[str, Any]) -> Entry:
    path = values.pop("path").decode("utf-8", "surrogateescape")
    return Entry(path, **values)


def _last(error: Exception) -> str:
    """The line of a traceback that says what happened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:200]
