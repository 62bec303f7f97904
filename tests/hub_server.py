"""A model hub on this machine: what kadr asks of the real one, and its misfortunes."""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

REPOSITORY = "someone/tiny-clip"
REVISION = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """A server and what it hands out. `sent` counts the bytes of each file that went out."""

    files: dict[str, bytes]
    address: str = ""
    cut_after: int | None = None
    """Bytes of an answer after which the connection breaks, as often as `cuts` says."""
    cuts: int = 0
    ranges: bool = True
    token: str | None = None
    change: Callable[[str, bytes], bytes] = lambda _, data: data
    """What becomes of a file on its way."""
    listing: Callable[[dict[str, Any]], Any] = lambda listed: listed
    headers: dict[str, str] = field(default_factory=dict)
    """Of every answer."""
    asked: list[str] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=dict)

    def described(self) -> Any:
        siblings = []
        for name, data in self.files.items():
            one: dict[str, Any] = {"rfilename": name, "size": len(data)}
            if name.endswith(".json"):
                one["blobId"] = hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()
            else:
                one["blobId"] = "0" * 40
                digest = hashlib.sha256(data).hexdigest()
                one["lfs"] = {"sha256": digest, "size": len(data), "pointerSize": 130}
            siblings.append(one)
        return self.listing({"id": REPOSITORY, "sha": REVISION, "siblings": siblings})


def of(folder: Path) -> dict[str, bytes]:
    """The files of a folder, as a hub has them."""
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


@contextmanager
def serve(files: dict[str, bytes]) -> Iterator[Hub]:  # noqa: C901 - a class in it
    """Hand out files on loopback."""
    hub = Hub(files)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.asked.append(self.path)
            if hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}":
                self._answer(401, b"who are you")
            elif path == f"/api/models/{REPOSITORY}/revision/main":
                self._answer(200, json.dumps(hub.described()).encode())
            else:
                name = path.removeprefix(f"/{REPOSITORY}/resolve/{REVISION}/")
                if name == path or name not in hub.files:
                    self._answer(404, b"nothing")
                else:
                    self._file(name, hub.change(name, hub.files[name]))

        def _file(self, name: str, data: bytes) -> None:
            wanted = self.headers.get("Range", "")
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
            if not wanted or not hub.ranges:
                self._answer(200, data, name)
                return
            self._answer(206, data[start:], name, f"bytes {start}-{len(data) - 1}/{len(data)}")

        def _answer(self, code: int, body: bytes, name: str = "", part: str = "") -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            if part:
                self.send_header("Content-Range", part)
            for header, value in hub.headers.items():
                self.send_header(header, value)
            self.end_headers()
            if name and hub.cut_after is not None and hub.cuts > 0 and len(body) > hub.cut_after:
                hub.cuts -= 1
                body = body[: hub.cut_after]
                self.close_connection = True
            hub.sent[name] = hub.sent.get(name, 0) + len(body)
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hub.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()
