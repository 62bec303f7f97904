"""uvicorn, with the limits that it lacks: on the head of a request, and on its own patience."""

import asyncio
import contextlib
import errno
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kadr.errors import KadrError
from kadr.service import connections, forwarding, problems
from kadr.service.config import Service
from kadr.service.connections import Connections
from kadr.service.guard import HEADERS, LOG

KEEP_ALIVE = 15
"""Seconds that a connection may be idle between two requests."""
HEAD_SECONDS = 10
"""Within which the head of a request must arrive."""
HEAD_BYTES, HEAD_LINES = 32_768, 100
ACCEPTED = 128
"""Connections that are accepted at once, before any of them is counted."""
BACKLOG = 2000
"""Connections that the system holds until they are accepted."""
GRACE = 10
"""Seconds that requests get to finish when the service stops."""


class StrictProtocol(HttpToolsProtocol):
    """Ends what takes too long, or is too long, before it is processed."""

    body_seconds = 15.0
    message_bytes = 30_000_000
    open_connections = Connections()
    service: Service | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start waiting for a head."""
        super().connection_made(transport)
        self._bytes, self._in_head = 0, True
        self._patience = self.loop.call_later(HEAD_SECONDS, self.close)
        peer = self.client[0] if self.client else None
        self._address = forwarding.visitor(peer)
        is_proxy = self.service is not None and self.service.trusts(peer)
        if not self.open_connections.add(self, self._address, is_proxy=is_proxy):
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._patience.cancel()
        self.open_connections.remove(self, self._address)
        super().connection_lost(exc)

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered; one whose head isn't complete doesn't count."""
        return self.cycle is None or self.cycle.response_complete

    def close(self) -> None:
        """End the connection."""
        if not self.transport.is_closing():
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Pass bytes on, up to the limit of a head or of a body."""
        while data and not self.transport.is_closing():
            most = HEAD_BYTES if self._in_head else self.message_bytes
            room = most - self._bytes
            if room <= 0:
                self._refuse(431 if self._in_head else 413)
                return
            part, data = data[:room], data[room:]
            self._bytes += len(part)
            super().data_received(part)

    def on_message_begin(self) -> None:
        """The first bytes of a request."""
        super().on_message_begin()
        self._wait(HEAD_SECONDS)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One line of the head. A trailer isn't one: nothing here reads it."""
        if not self._in_head or len(self.headers) >= HEAD_LINES:
            raise ValueError("a trailer, or too many lines")  # httptools ends the request
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is complete, the body begins."""
        self._in_head = False
        self._wait(self.body_seconds)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is complete; another may follow."""
        self._bytes, self._in_head = 0, True
        self._patience.cancel()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what isn't HTTP in the same shape as everything else."""
        self._refuse(400, msg)

    def _wait(self, seconds: float) -> None:
        self._patience.cancel()
        self._patience = self.loop.call_later(seconds, self.close)

    def _refuse(self, status: int, detail: str = "The request is too long.") -> None:
        if self.is_idle:  # no answer is under way
            request_id = problems.new_id()
            more = {"X-Request-ID": request_id, "Cache-Control": "no-store", "Connection": "close"}
            answer = problems.response(status, detail, request_id, HEADERS | more)
            LOG.info("refused", extra={"request_id": request_id, "status": status})
            head = [f"HTTP/1.1 {status} {problems.phrase(status)}".encode()]
            head += [name + b": " + value for name, value in answer.raw_headers]
            self.transport.write(b"\r\n".join([*head, b"", bytes(answer.body)]))
        self.close()


class _Server(uvicorn.Server):
    """Says when it is ready, and exits with 0 when it was asked to stop.

    uvicorn would raise the signal again.
    """

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start. The callback may take long, as opening a browser does."""
        asyncio.get_running_loop().set_exception_handler(_OutOfFiles())
        await super().startup(sockets)
        for listening in sockets or ():
            listening.listen(BACKLOG)  # asyncio has one figure for both
        if self.started:
            threading.Thread(target=self._on_ready, daemon=True).start()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle the signals that stop a service."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        taken = [signal.SIGINT, signal.SIGTERM]
        before = {one: signal.signal(one, self.handle_exit) for one in taken}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)


class _OutOfFiles:
    """Logs once that connections can't be accepted: the loop tries again and again, and says so."""

    _ERRORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

    def __init__(self) -> None:
        self._is_logged = False

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Handle an error that nobody else handles."""
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in self._ERRORS:
            loop.default_exception_handler(context)
        elif not self._is_logged:
            self._is_logged = True
            logging.getLogger("kadr.service").error(
                "no connection can be accepted", extra={"error": error.strerror}
            )


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes any free one.

    Raises:
        KadrError: the address isn't available.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol named: only then asyncio turns off Nagle's delay, 40 ms for each answer.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise KadrError(
            f"{host}:{port} isn't available ({reason}). Choose another port with --port; 0 takes "
            "any that is free."
        ) from error
    return listening


def run(
    app: FastAPI, service: Service, listening: socket.socket, on_ready: Callable[[], None]
) -> None:
    """Serve until a signal comes, then finish what has begun.

    Args:
        app: the application.
        service: its settings.
        listening: the socket.
        on_ready: called once, on another thread, when requests are answered.

    Raises:
        KadrError: the service couldn't start.
    """

    class Protocol(StrictProtocol):
        body_seconds = service.seconds + 5  # the guard, which answers, comes first
        message_bytes = service.most_bytes + 1_000_000
        open_connections = Connections(connections.allowed())

    Protocol.service = service

    server = _Server(
        uvicorn.Config(
            app,
            http=Protocol,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=ACCEPTED,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=GRACE,
            lifespan="on",
        ),
        on_ready,
    )
    with contextlib.suppress(SystemExit):  # uvicorn's way to say that the start failed
        server.run(sockets=[listening])
    if not server.started:
        raise KadrError(f"The service couldn't start: {app.state.failure or 'see above'}")
