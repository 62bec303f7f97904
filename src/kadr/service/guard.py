"""Runs before every request: gives it an id, logs it, and rejects what can't be right.

Plain ASGI, because it must see a body as it arrives, and runs for each request.
"""

import asyncio
import logging
import re
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import limits
from fastapi import HTTPException
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kadr.errors import KadrError
from kadr.service import metrics, problems
from kadr.service.config import Service
from kadr.service.problems import ProblemError
from kadr.service.visitors import Authenticator

LOG = logging.getLogger("kadr.access")
POLICY = "; ".join(
    (
        "default-src 'none'", "script-src 'self'", "style-src 'self'",
        "img-src 'self' blob: data:", "connect-src 'self'", "base-uri 'none'",
        "frame-ancestors 'none'", "form-action 'none'",
    )
)  # fmt: skip
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
SAFE = {"GET", "HEAD", "OPTIONS"}
SMALL_BODY = 100_000
"""Bytes in a body that isn't an upload."""
SESSION = "/api/v1/session"
UPLOADS = re.compile(r"/api/v1/(?:search|score|photos)")
PICTURES = re.compile(r"/api/v1/(?:photos/[0-9]+|review/[0-9]+/picture)")
MORE_PICTURES = 10
"""Pictures allowed for each search allowed: a page of results shows that many or more."""


class Guard:
    """Wraps the whole application."""

    def __init__(
        self, app: ASGIApp, service: Service, authenticator: Authenticator, rate: "Rate | None"
    ) -> None:
        self._app = app
        self._service = service
        self._authenticator = authenticator
        self._rate = rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["request_id"] = problems.new_id()
        state["peer"] = scope["client"][0] if scope.get("client") else None
        response = _Response(scope, send)
        try:
            self._check(scope)
            body = _Body(scope, receive, self._service)
            await self._app(scope, body.receive, response.send)
        except ProblemError as error:
            answer = problems.response(
                error.status, error.detail, state["request_id"], error.headers
            )
            await answer(scope, receive, response.send)
        except asyncio.CancelledError:  # the service stops, and has waited long enough
            if not response.started:
                detail = "The service is stopping. Ask again."
                answer = problems.response(503, detail, state["request_id"], problems.RETRY)
                await answer(scope, receive, response.send)
            raise
        except KadrError as error:
            await problems.unusable(error, state["request_id"])(scope, receive, response.send)
        except Exception:  # outside Starlette's own handler: this answer needs the headers too
            LOG.exception("failed", extra={"request_id": state["request_id"]})
            if response.started:
                raise
            detail = "Something went wrong. The service's log says what."
            answer = problems.response(500, detail, state["request_id"])
            await answer(scope, receive, response.send)
        finally:
            response.end(self._service.log_queries)

    def _check(self, scope: Scope) -> None:
        """Raises ProblemError for a request that is rejected here."""
        headers, service = Headers(scope=scope), self._service
        if service.hosts is not None and _host(headers.get("host", "")) not in service.hosts:
            raise ProblemError(
                421, "The service doesn't answer to this name. Start it with --name NAME."
            )
        if not scope["path"].startswith("/api/"):
            return
        if self._rate is not None:
            self._rate.count(scope, _visitor(headers, service, scope))
        if scope["method"] not in SAFE:
            if not _own_origin(headers):
                raise ProblemError(
                    403, "Another site's page asked for this. Use the service's own page."
                )
            # Before the body: FastAPI reads a form before it asks who sent it.
            if scope["path"] != SESSION:
                self._authenticator.admit(Request(scope))


class Rate:
    """Counts the requests of each visitor."""

    def __init__(self, rate: str) -> None:
        """Raises KadrError where it isn't a rate."""
        try:
            item = limits.parse(rate)
        except ValueError:
            item = None
        if item is None or item.amount < 1:
            raise KadrError(f"{rate!r} isn't a rate. Write one such as 600/minute, or off.")
        self._asking = item
        self._looking = type(item)(item.amount * MORE_PICTURES, item.multiples, namespace="looking")
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def count(self, scope: Scope, visitor: str) -> None:
        """Raises ProblemError, 429, once a visitor has asked too often."""
        item = self._looking if PICTURES.fullmatch(scope["path"]) else self._asking
        if self._limiter.hit(item, visitor):
            return
        reset = self._limiter.get_window_stats(item, visitor).reset_time
        wait = max(1, min(60, round(reset - time.time())))
        raise ProblemError(429, f"Too many requests. Wait {wait} s.", {"Retry-After": str(wait)})


def _visitor(headers: Headers, service: Service, scope: Scope) -> str:
    """Whose requests are counted together: those of one address, by a trusted proxy's word.

    Keys don't count: guessing them would start a new count with each guess.
    """
    peer = str(scope["state"]["peer"])
    if service.trusts(peer):
        lines = headers.getlist("x-forwarded-for") or [""]  # a proxy may add a line of its own
        return lines[-1].split(",")[-1].strip() or peer
    return peer


def _host(header: str) -> str:
    """The name in a Host header, without its port."""
    try:
        return (urlsplit(f"//{header}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _own_origin(headers: Headers) -> bool:
    """Whether this comes from the service's own page, or from no browser at all."""
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site", "none") in {"none", "same-origin"}
    try:
        return urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
    except ValueError:
        return False


@dataclass
class _Response:
    """One answer on its way out: adds its headers, measures and logs it."""

    scope: Scope
    out: Send

    def __post_init__(self) -> None:
        self.started = False
        self._status = 0
        self._bytes = 0
        self._begun = time.perf_counter()

    async def send(self, message: Message) -> None:
        """Pass on a part of the answer."""
        if message["type"] == "http.response.start":
            self.started, self._status = True, message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers["x-request-id"] = self.scope["state"]["request_id"]
            headers.setdefault("cache-control", "no-store")
        else:
            self._bytes += len(message.get("body", b""))
        await self.out(message)

    def end(self, log_queries: bool) -> None:
        """Count and log the request; the text of its query only if that is wanted."""
        seconds = time.perf_counter() - self._begun
        route = getattr(self.scope.get("route"), "path", "unmatched")
        method = self.scope["method"] if self.scope["method"] in _METHODS else "OTHER"
        metrics.REQUESTS.labels(method, route, str(self._status)).inc()
        metrics.SECONDS.labels(route).observe(seconds)
        entry: dict[str, Any] = {
            "request_id": self.scope["state"]["request_id"],
            "method": method,
            "route": route,
            "status": self._status,
            "ms": round(seconds * 1000, 1),
            "bytes": self._bytes,
            "key": self.scope["state"].get("visitor"),
        }
        if log_queries:
            entry["query"] = self.scope["query_string"].decode("latin-1")
        LOG.info("request", extra=entry)


_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class _Body:
    """A request's body, cut off where it is too long or too slow."""

    def __init__(self, scope: Scope, receive: Receive, service: Service) -> None:
        self._receive = receive
        uploads = UPLOADS.fullmatch(scope["path"]) and scope["method"] == "POST"
        self._most = service.most_bytes if uploads else SMALL_BODY
        self._left = self._most
        self._seconds = service.seconds
        self._ends = asyncio.get_running_loop().time() + service.seconds
        self._whole = False
        length = Headers(scope=scope).get("content-length", "")
        self._too_long = length.isdigit() and int(length) > self._most

    async def receive(self) -> Message:
        """The next part."""
        if self._whole:
            return await self._receive()
        if self._too_long:
            raise self._large()
        try:
            async with asyncio.timeout_at(self._ends):
                message = await self._receive()
        except TimeoutError:
            raise _refused(408, f"The request took more than {self._seconds:g} s.") from None
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            self._whole = not message.get("more_body", False)
            if self._left < 0:
                raise self._large()
        return message

    def _large(self) -> HTTPException:
        return _refused(413, f"A request may have at most {self._most:,} bytes.")


def _refused(status: int, detail: str) -> HTTPException:
    """FastAPI passes on its own exceptions from reading a body, and swallows all others."""
    return HTTPException(status, detail, {"Connection": "close"})
