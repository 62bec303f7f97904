"""The files of the page. They are read once: a visitor's name is looked up, never opened."""

import hashlib
from dataclasses import dataclass
from mimetypes import guess_type
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from kadr.service.downloads import is_cached
from kadr.service.problems import ProblemError

WEB = Path(__file__).with_name("page")
INDEX = "index.html"
WORKER, MANIFEST = "sw.js", "manifest.webmanifest"
"""They lie beside the page: a worker is in charge of its own folder and those below."""


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    tag: str
    media: str


def router() -> APIRouter:
    """The routes of the page; they aren't part of the API."""
    files = {path.name: _read(path) for path in WEB.iterdir() if path.is_file()}
    routes = APIRouter(include_in_schema=False)

    @routes.get("/")
    async def _index(request: Request) -> Response:
        return _send(request, files[INDEX])

    @routes.get("/review")
    async def _review() -> Response:
        return RedirectResponse("./?view=review")

    @routes.get(f"/{WORKER}")
    async def _worker(request: Request) -> Response:
        return _send(request, files[WORKER])

    @routes.get(f"/{MANIFEST}")
    async def _manifest(request: Request) -> Response:
        return _send(request, files[MANIFEST])

    @routes.get("/web/{name}")
    async def _file(request: Request, name: str) -> Response:
        if name not in files:
            raise ProblemError(404, "There is nothing here.")
        return _send(request, files[name])

    return routes


def _read(path: Path) -> _File:
    content = path.read_bytes()
    known = "application/manifest+json" if path.name == MANIFEST else guess_type(path.name)[0]
    media = known or "application/octet-stream"
    return _File(content, f'"{hashlib.sha256(content).hexdigest()[:16]}"', media)


def _send(request: Request, file: _File) -> Response:
    headers = {"ETag": file.tag, "Cache-Control": "no-cache"}
    if is_cached(request, file.tag):
        return Response(status_code=304, headers=headers)
    return Response(file.content, headers=headers, media_type=file.media)
