"""Forms with files: read into memory, never to the disk, and within a bound for all together."""

from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser

from kadr.service import metrics, problems
from kadr.service.file_names import extended_name, sent_name


class UploadRoute(APIRoute):
    """A route that takes files."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of the route, with its request's form in memory."""
        handle = super().get_route_handler()

        async def handle_in_memory(request: Request) -> Response:
            upload = _UploadRequest(request.scope, request.receive)
            try:
                return await handle(upload)
            finally:
                upload.release()

        return handle_in_memory


class Budget:
    """Bytes that all uploads together may hold."""

    def __init__(self, total: int) -> None:
        self._left = total

    def take(self, count: int) -> None:
        """Raises HTTPException, 503, where too much is being uploaded."""
        if count > self._left:
            metrics.TURNED_AWAY.labels("uploads").inc()
            detail = "Too much is uploaded at the same time. Send it again in a second."
            # FastAPI passes on its own exceptions where it reads a body, and hides all others.
            raise HTTPException(503, detail, problems.RETRY | {"Connection": "close"})
        self._left -= count

    def give_back(self, count: int) -> None:
        """Bytes are held no longer."""
        self._left += count


class _UploadRequest(Request):
    """A request whose form is parsed by `_Parser`."""

    _taken = 0

    async def stream(self) -> AsyncGenerator[bytes, None]:
        budget: Budget = self.app.state.resources.uploads
        async for part in super().stream():
            budget.take(len(part))
            self._taken += len(part)
            yield part

    def release(self) -> None:
        """The form is no longer needed."""
        budget: Budget = self.app.state.resources.uploads
        budget.give_back(self._taken)
        self._taken = 0

    async def _get_form(self, **limits: Any) -> FormData:
        if self._form is None and _is_multipart(self):
            try:
                self._form = await _Parser(self.headers, self.stream(), **limits).parse()
            except MultiPartException as error:
                raise HTTPException(400, error.message) from error
        return await super()._get_form(**limits)


def _is_multipart(request: Request) -> bool:
    media = request.headers.get("content-type", "").partition(";")[0]
    return media.strip().lower() == "multipart/form-data"


class _Parser(MultiPartParser):
    """Starlette's parser, but nothing touches the disk, and files have the names they were sent by.

    The guard bounds one form's size, `Budget` that of all.
    """

    spool_max_size = 2**62

    def on_headers_finished(self) -> None:
        """A part's head is whole."""
        part = self._current_part
        disposition = part.content_disposition or b""
        is_named = b"filename" in disposition.lower().replace(b"filename*", b"")
        if not is_named and extended_name(disposition) is not None:
            part.content_disposition = disposition + b'; filename="named"'  # or it is no file
        super().on_headers_finished()
        if part.file is not None:
            part.file.filename = sent_name(disposition, part.file.filename)
