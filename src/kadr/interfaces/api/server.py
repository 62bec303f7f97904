"""uvicorn, with what it lacks for strangers: an end to connections that never ask anything."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kadr.errors import KadrError

KEEP_ALIVE = 15
"""Seconds that a connection may be idle between two requests."""
FIRST_WORDS = 10
"""Seconds in which the head of a request must have come."""
CONNECTIONS = 2000
GRACE = 10
"""Seconds that requests get to end when the service stops."""


class PatientProtocol(HttpToolsProtocol):
    """Closes a connection whose request doesn't begin, or whose head doesn't end."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait."""
        super().connection_made(transport)
        self._patience = self.loop.call_later(FIRST_WORDS, self._lose_patience)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._patience.cancel()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """The first bytes of a request."""
        super().on_message_begin()
        self._patience.cancel()
        self._patience = self.loop.call_later(FIRST_WORDS, self._lose_patience)

    def on_headers_complete(self) -> None:
        """The head is whole; the body has its own limit."""
        self._patience.cancel()
        super().on_headers_complete()

    def _lose_patience(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes any free one.

    Raises:
        KadrError: the address can't be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(CONNECTIONS)
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise KadrError(
            f"{host}:{port} can't be listened on ({reason}). Choose another with --port; 0 takes "
            "any that is free."
        ) from error
    return listening


def run(app: FastAPI, listening: socket.socket, on_ready: Callable[[], None]) -> None:
    """Serve until a signal comes, then end what has begun.

    Args:
        app: what is served.
        listening: where.
        on_ready: called once, on another thread, when requests are answered.

    Raises:
        KadrError: the service couldn't begin.
    """
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            http=PatientProtocol,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=GRACE,
            limit_concurrency=CONNECTIONS,
            lifespan="on",
        )
    )
    with _telling(server, on_ready):
        server.run(sockets=[listening])
    if not server.started:
        raise KadrError("The service couldn't begin; the lines above say why.")


@contextlib.contextmanager
def _telling(server: uvicorn.Server, on_ready: Callable[[], None]) -> Iterator[None]:
    over = threading.Event()

    def wait() -> None:
        while not server.started:
            if over.wait(0.05):
                return
        on_ready()

    threading.Thread(target=wait, daemon=True).start()
    try:
        yield
    finally:
        over.set()
