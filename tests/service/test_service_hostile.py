"""Hostile requests by the thousand to a real service: none crashes it, leaks, or reads elsewhere.

After each group the service answers, its memory is bounded, no file is made or read where none
should be, and its log tells of no failure. Every answer is looked at: its status, its headers, its
content, and whether it says what nobody may know.
"""

import contextlib
import hashlib
import io
import itertools
import json
import os
import random
import re
import socket
import struct
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest
from PIL import Image

from kadr.service import keys
from kadr.service.config import SCOPES
from kadr.service.file_names import SUFFIXES, safe_name
from services import (
    HIDDEN_BY_PERSON,
    HIDDEN_BY_WORDS,
    SECRET,
    SECRET_YEAR,
    Running,
    draw_library,
    number_of,
    serving,
)

DISCLAIMER = "This image is unavailable in your country in compliance with local laws"
CANARY = "canary-7f3a9c"
"""Content of files that no answer may hold."""
GROUPS = {
    "traversal": 700, "parameters": 500, "existence": 30, "file names": 70, "pictures": 350,
    "ranges": 700, "bodies": 150, "headers": 200, "sockets": 60, "hosts": 90, "keys": 150,
    "countries": 60, "hidden": 200,
}  # fmt: skip
"""How many requests each group makes at least."""
GROWTH = 700
"""MB that the service and its decoder may take more than before."""
SECURITY = (
    "content-security-policy", "x-content-type-options", "referrer-policy",
    "cross-origin-resource-policy", "cross-origin-opener-policy", "permissions-policy",
    "cache-control", "x-request-id",
)  # fmt: skip
MAGIC = {"image/jpeg": b"\xff\xd8\xff", "image/png": b"\x89PNG"}
PAGE = {"text/html", "text/css", "text/javascript", "image/svg+xml"}


def test_there_are_thousands() -> None:
    assert sum(GROUPS.values()) >= 2000


@dataclass
class Answer:
    """What came back: status, headers by their lower names, body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def kind(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0]


@dataclass
class Attacker:
    """Asks a service, looks at every answer, and counts them."""

    service: Running
    home: Path
    secrets: tuple[str, ...] = ()
    count: int = 0
    statuses: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.client = self.service.client()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def ask(self, method: str, url: str, **more: Any) -> Answer:
        """A request that httpx is willing to send."""
        got = self.client.request(method, url, **more)
        answer = Answer(got.status_code, dict(got.headers), got.content)
        return self.look(answer, method, repr((url, more.get("params"))))

    def get(self, url: str, **parameters: Any) -> Answer:
        return self.ask("GET", url, params=parameters)

    def raw(self, target: bytes, method: bytes = b"GET", head: bytes = b"", body: bytes = b"") -> Answer:  # fmt: skip
        """A request with any bytes for its target and head."""
        host = (
            b""
            if head.lower().startswith(b"host:")
            else f"Host: 127.0.0.1:{self.service.port}\r\n".encode()
        )
        whole = b"%s %s HTTP/1.1\r\n%s%sConnection: close\r\n\r\n%s" % (
            method,
            target,
            host,
            head,
            body,
        )
        answers = self.answers(whole, method.decode("latin-1"))
        assert len(answers) == 1, (target, head)
        return answers[0]

    def answers(self, sent: bytes, method: str = "GET", seconds: float = 20) -> list[Answer]:
        """What comes back on a connection of one's own until it ends."""
        with socket.create_connection(("127.0.0.1", self.service.port), seconds) as connection:
            with contextlib.suppress(OSError):  # closed in the middle; why, was said before that
                connection.sendall(sent)
            came = received(connection)
        said = sent[:2000].decode("latin-1")
        return [self.look(one, method, said) for one in parsed(came, method)]

    def look(self, answer: Answer, method: str = "GET", said: str = "") -> Answer:
        """Check what every answer must be; what the request itself said is no secret."""
        self.count += 1
        self.statuses.add(answer.status)
        assert answer.status != 500, answer.body
        told = answer.body + json.dumps(answer.headers).encode()
        for secret in (*self.leaks(), *self.secrets):
            assert secret in said or secret.encode() not in told, (secret, told[:2000])
        assert [name for name in SECURITY if name not in answer.headers] == [], answer
        if answer.status in {204, 304} or method == "HEAD":
            assert not answer.body
        elif answer.status >= 400:
            assert answer.kind == "application/problem+json", answer
            assert answer.json["status"] == answer.status
            assert answer.json["detail"]
        elif answer.kind == "application/json":
            assert answer.json is not None
        elif answer.kind in MAGIC:
            assert answer.status == 206 or answer.body.startswith(MAGIC[answer.kind])
        else:
            assert answer.kind in PAGE | {"text/plain"}, answer.headers
        return answer

    def leaks(self) -> tuple[str, ...]:
        here = (str(self.home), str(Path(__file__).parents[2]), str(Path.home()))
        return (*here, CANARY, "root:x:", "Traceback", "site-packages", "/tmp/", "library.kadr")


def received(connection: socket.socket) -> bytes:
    parts = list[bytes]()
    with contextlib.suppress(OSError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def parsed(came: bytes, method: str = "GET") -> Iterator[Answer]:
    """The answers that a connection brought; no answer of the service comes in chunks."""
    while came:
        head, _, came = came.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        status = int(first.split(" ")[1])
        if status == 100:  # only says: go on
            continue
        length = 0 if method == "HEAD" or status in {204, 304} else int(headers["content-length"])
        yield Answer(status, headers, came[:length])
        came = came[length:]


# The service, and what must be so after each group.


def tree(home: Path) -> dict[str, tuple[int, int]]:
    """All files below a folder with size and time, but those that a service may write."""
    return {
        str(path.relative_to(home)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(home.rglob("*"))
        if path.is_file() and not path.name.startswith("library.kadr") and "up" not in path.parts
    }


def read_times(paths: Sequence[Path]) -> list[int]:
    return [path.stat().st_atime_ns for path in paths]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(scope="module")
def canaries(home: Path) -> list[Path]:
    """Give files beside the library that nobody may be given; one is a photo."""
    secret = home / "secret.txt"
    secret.write_text(CANARY)
    photo = home / "private.jpg"
    Image.new("RGB", (40, 30), "teal").save(photo, "JPEG", comment=CANARY.encode())
    for path in (secret, photo):
        os.utime(path, (1e9, 1e9))  # read times are kept where they are older than the change
    return [secret, photo]


@pytest.fixture(scope="module")
def library(home: Path, canaries: list[Path]) -> Path:
    return draw_library(home)


@pytest.fixture(scope="module")
def service(home: Path, library: Path) -> Iterator[Running]:
    with serving(library, "--uploads", home / "up", "--seconds", "4") as running:
        yield running


SECRETS = (SECRET, HIDDEN_BY_WORDS, HIDDEN_BY_PERSON, f"{SECRET_YEAR}-06")


@pytest.fixture
def attacker(
    service: Running, home: Path, canaries: list[Path], request: pytest.FixtureRequest
) -> Iterator[Attacker]:
    before, read, memory = tree(home), read_times(canaries), service.memory()
    with Attacker(service, home, SECRETS) as attacker:
        yield attacker
    assert_well(service)
    assert tree(home) == before
    assert read_times(canaries) == read
    assert service.memory() - memory < GROWTH
    for path in (home / "up").glob("*"):
        assert any(safe_name(path.name, kind) == path.name for kind in SUFFIXES)


def assert_well(service: Running) -> None:
    with service.client() as client:
        assert client.get("/ready").status_code == 200
        assert client.get("/api/v1/search", params={"q": "a dog"}).status_code == 200
    written = service.written()
    assert "Traceback" not in written, written[-5000:]
    assert '"level": "ERROR"' not in written, written[-5000:]


def enough(attacker: Attacker, group: str) -> None:
    assert attacker.count >= GROUPS[group], f"{group}: {attacker.count}"


# Paths.

UPWARDS = (
    b"../", b"..%2f", b"%2e%2e/", b"%2e%2e%2f", b"%252e%252e%252f", b"..\\", b"..%5c", b"....//",
    b"..;/", b"%c0%ae%c0%ae/", b"%ef%bc%8e%ef%bc%8e%ef%bc%8f", b"..%00/", b"%u002e%u002e/",
)  # fmt: skip
GOALS = (b"etc/passwd", b"secret.txt", b"pyproject.toml")
PLACES = (b"/", b"/web/", b"/api/v1/photos/", b"/api/v1/similar/", b"/api/v1/review/")


def test_paths_lead_nowhere(attacker: Attacker) -> None:
    for up, goal, place, depth in itertools.product(UPWARDS, GOALS, PLACES, (1, 3, 8, 14)):
        answer = attacker.raw(place + up * depth + goal)
        assert answer.status in {400, 404, 405, 422}, (place, up, goal)
    here = str(attacker.home).encode()
    absolute = (b"/etc/passwd", b"%2fetc%2fpasswd", b"//etc/passwd", b"file:///etc/passwd", here + b"/secret.txt", b"~/secret.txt", b"C:%5cwindows")  # fmt: skip
    for place, path in itertools.product(PLACES, absolute):
        assert attacker.raw(place + path).status in {400, 404, 405, 422}
    for path in (b"/web/%00", b"/web/a%00.js", b"/web/" + b"a" * 5000, b"/web/.", b"/web/..", b"/web/%2e", b"/web//", b"/web/__pycache__", b"/.git/config", b"/library.kadr", b"/web/app.js%00.css"):  # fmt: skip
        assert attacker.raw(path).status == 404, path
    enough(attacker, "traversal")


FILTERS = ("after", "before", "folder", "camera", "near", "kind", "min_size", "country", "lang", "cursor")  # fmt: skip


def paths_of(home: Path) -> list[str]:
    """Names of files that are there and that aren't, in every way of writing them."""
    there = [
        str(home / "secret.txt"),
        str(home / "private.jpg"),
        str(home / "Photos"),
        "/etc/passwd",
    ]
    return [
        *there, *(f"file://{path}" for path in there), *(f"../../..{path}" for path in there),
        "./private.jpg", "~/private.jpg", "~root/x.jpg", "Photos/../secret.txt", "Photos/..",
        "Photos/./Walks", "Photos//Walks", "Photos/Walks/../../private.jpg", "Photos\\..\\x",
        "Photos/\0", "..", ".", "/", "\0", "C:\\x.jpg", "\\\\host\\share", "Photos/%2e%2e",
        "．．／secret.txt", "Photos/\u202e", "Photos/" + "a/" * 400, "~",
    ]  # fmt: skip


def test_paths_in_parameters_are_text(attacker: Attacker) -> None:
    routes = ("/api/v1/photos", f"/api/v1/similar/{shown_photo(attacker)}")
    for route, name, path in itertools.product(routes, FILTERS, paths_of(attacker.home)):
        answer = attacker.get(route, **{name: path})
        assert answer.status in {200, 422}, (name, path)
        if answer.status == 200 and name == "folder":
            assert not answer.json.get("photos", answer.json.get("hits")), path
    enough(attacker, "parameters")


def test_queries_tell_of_no_file(attacker: Attacker) -> None:
    home = attacker.home
    pairs = [
        (str(home / "private.jpg"), str(home / "nothere.jpg")),
        ("./private.jpg", "./nothere.jpg"), ("~/private.jpg", "~/nothere.jpg"),
        ("private.jpg", "nothere.jpg"), ("/etc/passwd", "/etc/nothere"), ("/etc", "/nothere"),
        ("/dev/zero", "/dev/nothere"), ("/proc/self/environ", "/proc/self/nothere"),
    ]  # fmt: skip
    for there, missing in pairs:
        found = [attacker.get("/api/v1/search", q=path, n=1) for path in (there, missing)]
        assert [one.status for one in found] == [200, 200]
        for one in found:  # answered as a text alone is, never by similarity
            assert one.json["hits"][0].get("probability", 0) is not None
        asked = [
            {"query": (None, json.dumps({"parts": [{"text": path}, {"text": "snow"}]}))}
            for path in (there, missing)
        ]
        assert {attacker.ask("POST", "/api/v1/search", files=one).status for one in asked} == {200}
    enough(attacker, "existence")


def test_file_names_of_uploads_lead_nowhere(attacker: Attacker) -> None:
    photo, home = jpeg(1), str(attacker.home)
    names = [
        "../../secret.txt", "/etc/passwd", f"{home}/secret.txt", "..\\..\\x.jpg", "a\0.jpg", ".",
        "..", "", "~/x.jpg", "a" * 4000, "x.jpg\r\nX-Evil: 1", "🙂.jpg", "CON", "x.php", "x.html",
        "%2e%2e%2fx.jpg", ".htaccess", "x.jpg/", "/", "\\", "a;b=c", '"', "library.kadr", "-rf",
    ]  # fmt: skip
    for name in names:
        part = (
            name.replace("\r\n", "%0D%0A").encode("utf-8", "surrogateescape").replace(b'"', b"%22")
        )
        for route, fieldname, more in (
            ("/api/v1/photos", b"photos", b""),
            ("/api/v1/score", b"picture", formfield(b"texts", b"dog")),
            ("/api/v1/search", b"pictures", formfield(b"query", b'{"parts":[{"picture":0}]}')),
        ):
            body = formfield(fieldname, photo, part) + more + b"--b--\r\n"
            answer = attacker.ask(
                "POST",
                route,
                content=body,
                headers={"content-type": "multipart/form-data; boundary=b"},
            )
            assert answer.status in {200, 201, 400, 422}, (name, answer)
            if answer.status in {400, 422}:
                assert not name or "\0" in name or len(name) > 255, (name, answer)
    # Whatever its name, it is the same photo, so there is one file, named as the first was.
    assert [path.name for path in (attacker.home / "up").glob("*")] in ([], ["secret.txt.jpg"])
    enough(attacker, "file names")


def formfield(name: bytes, value: bytes, filename: bytes | None = None) -> bytes:
    named = b'; filename="%s"' % filename if filename is not None else b""
    return b'--b\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n' % (
        name,
        named,
        value,
    )


# Pictures.


def picture(seed: int = 0, side: int = 64) -> Image.Image:
    fields = random.Random(seed).randbytes(8 * 8 * 3)
    return Image.frombytes("RGB", (8, 8), fields).resize((side, side))


def encoded(kind: str, seed: int = 0, **options: Any) -> bytes:
    file = io.BytesIO()
    if kind == "HEIF":
        import pillow_heif

        pillow_heif.from_pillow(picture(seed)).save(file, quality=50)
    else:
        picture(seed).save(file, kind, **options)
    return file.getvalue()


def jpeg(seed: int) -> bytes:
    return encoded("JPEG", seed)


def chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def png(width: int, height: int, pixels: bytes = b"", *more: bytes, depth: int = 8, colour: int = 2) -> bytes:  # fmt: skip
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"".join(
        [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", head), *more, chunk(b"IDAT", pixels or zlib.compress(b"\0" * 100)), chunk(b"IEND", b"")]
    )  # fmt: skip


def gif(width: int, height: int, frames: int = 1) -> bytes:
    frame = b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x4c\x01\x00"
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff" + frame * frames + b";"  # fmt: skip


def bmp(width: int, height: int) -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 100, 0, 0, 54) + head + b"\0" * 100


def tiff(width: int, height: int, compression: int = 1, strip: bytes = b"\0" * 100) -> bytes:
    tags = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, compression), (262, 3, 1), (273, 4, 8), (277, 3, 1), (278, 4, height), (279, 4, len(strip))]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(strip)) + strip + struct.pack("<H", len(tags)) + entries + b"\0\0\0\0"  # fmt: skip


def resized_jpeg(width: int, height: int) -> bytes:
    """A JPEG whose head says another size."""
    file = bytearray(jpeg(2))
    place = file.index(b"\xff\xc0")
    file[place + 5 : place + 9] = struct.pack(">HH", height, width)
    return bytes(file)


def scans(count: int, side: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    file = encoded("JPEG", 3, progressive=True)
    if side != 64:
        place = file.index(b"\xff\xc2")
        file = file[: place + 5] + struct.pack(">HH", side, side) + file[place + 9 :]
    last = file.rindex(b"\xff\xda")
    return file[:last] + file[last:-2] * count + file[-2:]


def boxed(brand: bytes, kind: str) -> bytes:
    """An AVIF or HEIC whose head says a giant size."""
    file = bytearray(encoded(kind))
    place = file.index(b"ispe")
    file[place + 8 : place + 16] = struct.pack(">II", 60_000, 60_000)
    return bytes(file.replace(b"mif1", brand, 1))


def strange_files() -> Iterator[tuple[str, bytes]]:
    """Files with their names, whose first word is the kind."""
    for kind in (giants, bombs, torsos, chimeras, no_pictures):
        yield from kind()


def giants() -> Iterator[tuple[str, bytes]]:
    zeros = zlib.compress(b"\0" * 30_000_000, 9)
    for side in (20_000, 60_000, 2**31 - 1):
        yield f"giant png {side}", png(side, side)
        yield f"giant bmp {side}", bmp(side, side)
        yield f"giant tiff {side}", tiff(side, side)
    for side in (20_000, 65_535):
        yield f"giant gif {side}", gif(side, side)
        yield f"giant jpeg {side}", resized_jpeg(side, side)
    yield "giant webp", b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\x10\0\0\0\xff\xff\xff\xff\xff\xff"
    yield "giant avif", boxed(b"avif", "AVIF")
    yield "giant heic", boxed(b"heic", "HEIF")
    yield "over 50 MP", png(7100, 7100, zeros)
    yield "wide", png(1_000_000, 49, zeros)
    yield "line", png(2**24, 1)
    yield "empty sides", png(0, 0)
    yield "negative", bmp(-5, -5)
    yield "zeros 27 MP", png(3000, 3000, zeros)
    yield "zeros 16 bit", png(2000, 2000, zeros, depth=16, colour=6)


def bombs() -> Iterator[tuple[str, bytes]]:
    zeros = zlib.compress(b"\0" * 30_000_000, 9)
    for name in (b"iCCP", b"zTXt", b"iTXt"):
        text = b"a\0\0" + (b"\0\0\0" if name == b"iTXt" else b"") + zeros
        yield (
            f"bomb {name.decode()}",
            png(8, 8, zlib.compress(b"\0" * 200), *[chunk(name, text)] * 20),
        )
    yield "bomb tiff deflate", tiff(7000, 7000, 8, zlib.compress(b"\0" * 49_000_000, 9))
    yield "bomb tiff lie", tiff(100, 100, 8, zeros)
    yield "bomb tiff loop", tiff(8, 8)[:-4] + struct.pack("<I", 108)
    yield "bomb gif frames", gif(2000, 2000, 20_000)
    yield "scans 2000", scans(2000, 64)
    yield "scans wide", scans(3000, 5000)
    yield "exif giant", encoded("JPEG", 1, exif=b"Exif\0\0" + b"II*\0\x08\0\0\0" + b"\xff" * 60_000)


def torsos() -> Iterator[tuple[str, bytes]]:
    for kind, step in itertools.product(("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "HEIF"), range(1, 9)):  # fmt: skip
        whole = encoded(kind, 5)
        yield f"torso {kind} {step}/9", whole[: len(whole) * step // 9]
    dice = random.Random(7)
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF", "HEIF"):
        for number in range(4):
            file = bytearray(encoded(kind, 9))
            for _ in range(dice.randint(1, 20)):
                file[dice.randrange(len(file))] = dice.randrange(256)
            yield f"bent {kind} {number}", bytes(file)


def chimeras() -> Iterator[tuple[str, bytes]]:
    html = b"<html><script>alert(1)</script>"
    yield "chimera html", encoded("JPEG", 1, comment=html)
    yield "chimera html first", html + jpeg(1)
    yield "chimera zip", jpeg(1) + b"PK\x03\x04" + b"\0" * 100
    yield "chimera pdf", b"%PDF-1.4\n" + jpeg(1)
    yield "chimera gif js", b"GIF89a/*" + gif(4, 4)[8:] + b"*/=1;alert(1)"
    yield "chimera png jpeg", png(8, 8) + jpeg(1)


def no_pictures() -> Iterator[tuple[str, bytes]]:
    xml = b'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    yield "no svg", xml + b'<svg xmlns="http://www.w3.org/2000/svg"><text>&x;</text></svg>'
    yield (
        "no svg link",
        b'<svg xmlns:xlink="http://www.w3.org/1999/xlink"><image xlink:href="/etc/passwd"/></svg>',
    )
    yield "no eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\n"
    yield "no pdf", b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\n"
    yield "no zip", b"PK\x03\x04" + b"\0" * 1000
    yield "no gzip", b"\x1f\x8b\x08" + zlib.compress(b"\0" * 10_000_000)
    yield "no mvg", b"push graphic-context\nimage over 0,0 0,0 '/etc/passwd'\npop graphic-context"
    yield "no ppm", b"P6 60000 60000 255\n"
    yield (
        "no psd",
        b"8BPS\0\x01"
        + b"\0" * 6
        + b"\0\x03"
        + struct.pack(">II", 60_000, 60_000)
        + b"\0\x08\0\x03",
    )
    yield "no ico", b"\0\0\1\0\1\0" + b"\0" * 100
    yield "no text", b"dog"
    yield "no bytes", b""
    yield "no zeros", b"\0" * 100_000
    yield "no elf", b"\x7fELF" + b"\0" * 100
    yield "no playlist", b"#EXTM3U\nfile:///etc/passwd\n"
    yield "no path", b"/etc/passwd"


NEVER = ("giant", "over", "wide", "line", "empty", "no ")


def test_strange_pictures_are_decoded_or_refused(attacker: Attacker) -> None:
    taken = 0
    for name, file in strange_files():
        scored = attacker.ask(
            "POST", "/api/v1/score", files={"picture": file}, data={"texts": "dog"}
        )
        query = (None, '{"parts":[{"picture":0}],"n":1}')
        found = attacker.ask("POST", "/api/v1/search", files={"pictures": file, "query": query})
        added = attacker.ask("POST", "/api/v1/photos", files={"photos": file})
        assert scored.status in {200, 422, 451}, (name, scored)
        assert found.status in {200, 422}, (name, found)
        assert added.status in {201, 422}, (name, added)
        refused = scored.status == 422
        assert refused == (found.status == 422) == (added.status == 422), (name, scored, added)
        if not refused:
            assert len(added.json["added"]) + added.json["withheld"] == 1, (name, added)
        if name.startswith(NEVER):
            assert refused, name
        taken += not refused
    assert taken >= 10  # not all is refused: what can be decoded is
    enough(attacker, "pictures")


# Parameters.

WRONG = (
    "", " ", "-1", "0", "1e9", "1e400", "NaN", "Infinity", "-0", "9" * 400, "0x10", "1.5", "true",
    "null", "[]", "{}", "'; DROP TABLE photos;--", "' OR 1=1--", "%", "_", "\0", "\x1b[2J", "𝟙",
    "١٢", "<script>alert(1)</script>", "${7*7}", "{{7*7}}", "%n%s%x", "A" * 5000, "a\r\nX-Evil: 1",
    "\ud7ff\ue000", "\u202e", "1,2", "1,2,3,4", "91,181,1", "nan,nan,nan", "1x1x1", "2024-13",
    "9999-99-99", "en,ru", "$(id)", "|id", "`id`", "*", "(?=(a+)+$)", "\uffff",
)  # fmt: skip


def test_wrong_values_are_told_as_wrong(attacker: Attacker, library: Path) -> None:
    described = attacker.get("/api/v1/openapi.json").json["paths"]
    for path in ("/api/v1/photos", "/api/v1/similar/{photo}", "/api/v1/library", "/api/v1/review"):
        for parameter in described[path]["get"]["parameters"]:
            for value in WRONG:
                name = parameter["name"]
                if parameter["in"] == "path":
                    answer = attacker.raw(path.replace("{photo}", quoted(value)).encode())
                else:
                    answer = attacker.get(path.replace("{photo}", "1"), **{name: value})
                assert answer.status in {200, 404, 405, 422, 451}, (path, name, value, answer)
                if parameter["schema"].get("type") == "integer" and answer.status == 200:
                    assert re.fullmatch(r"\s*\+?0*[1-9][0-9]*(\.0+)?\s*", value) or parameter["in"] == "path"  # fmt: skip
    for name, value in itertools.product(("n", "at_least", "cursor", "q"), WRONG):
        answer = attacker.get("/api/v1/search", **({"q": "dog"} | {name: value}))
        assert answer.status in {200, 422}, (name, value)
    shown = shown_photo(attacker)
    for value in WRONG:
        for route in (f"/api/v1/photos/{quoted(value)}", f"/api/v1/photos/{quoted(value)}/facts"):
            assert attacker.raw(route.encode()).status in {200, 404, 405, 422, 451}, route
        answer = attacker.get(f"/api/v1/photos/{shown}", size=value)
        assert answer.status == 422, value
        answer = attacker.get(f"/api/v1/photos/{shown}/explain", q=value)
        assert answer.status in {200, 422, 451}, value
    enough(attacker, "ranges")


def quoted(value: str) -> str:
    return "".join(f"%{byte:02x}" for byte in value.encode())


# Bodies.

JSONS = (
    b"", b"{", b"[", b"null", b"NaN", b"Infinity", b"1", b'""', b"[]", b"{}", b"\xff\xfe", b"\0",
    b"\xef\xbb\xbf{}", b"[" * 90_000, b'{"a":' * 15_000, b'{"FIELD":NaN}', b'{"FIELD":1e999}',
    b'{"FIELD":' + b"9" * 5000 + b"}", b'{"FIELD":"\\ud800"}', b'{"\\ud800":1}', b'{"FIELD":"\\u0000"}',
    b'{"FIELD":null}', b'{"FIELD":{}}', b'{"FIELD":["hide"]}', b'{"FIELD":"x","FIELD":"y"}',
    b'{"FIELD":"x","__proto__":{}}', b'{"FIELD":"' + b"a" * 90_000 + b'"}', b"x" * 99_999,
    b'{"FIELD":"x"}garbage', b"'FIELD'", b'{"FIELD":"../../etc/passwd"}', b'{"FIELD":"\xff"}',
    b'{"$ref":"/etc/passwd"}', b"\x1f\x8b\x08\0", b"<xml/>", b"FIELD=x", b"!!python/object:x",
)  # fmt: skip


WRONG_QUERIES: tuple[dict[str, Any], ...] = (
    {"parts": []}, {"parts": [{}]}, {"parts": [{"text": "a", "photo": 1}]},
    {"parts": [{"picture": 0}]}, {"parts": [{"picture": -1}]}, {"parts": [{"photo": 0}]},
    {"parts": [{"photo": 2**60}]}, {"parts": [{"text": "a", "weight": 0}]},
    {"parts": [{"text": "a", "weight": 101}]}, {"parts": [{"text": "a", "weight": -1}]},
    {"parts": [{"text": "a"}] * 17}, {"parts": [{"text": "a" * 1001}]},
    {"parts": [{"text": "a"}], "n": 0}, {"parts": [{"text": "a"}], "n": 201},
    {"parts": [{"text": "a"}], "filters": {"folder": "../.."}},
    {"parts": [{"text": "a"}], "filters": {"folder": "/etc"}},
    {"parts": [{"text": "a"}], "filters": {"path": "/etc"}},
    {"parts": [{"text": "a"}], "cursor": "x"}, {"parts": [{"text": "a"}], "at_least": 2},
)  # fmt: skip


def test_hostile_bodies_are_told_as_wrong(attacker: Attacker) -> None:
    for body, (route, name) in itertools.product(
        JSONS, (("/api/v1/session", b"key"), ("/api/v1/review/1", b"decision"))
    ):
        for kind in ("application/json", "text/plain"):
            answer = attacker.ask(
                "POST", route, content=body.replace(b"FIELD", name), headers={"content-type": kind}
            )
            assert answer.status in {400, 401, 413, 415, 422}, (route, body[:50], answer)
    for body in JSONS:
        query = body.replace(b"FIELD", b"parts")
        form = formfield(b"query", query) + b"--b--\r\n"
        assert post_form(attacker, "/api/v1/search", form).status in {400, 422}, body[:50]
    for wrong in WRONG_QUERIES:
        asked = formfield(b"query", json.dumps(wrong).encode()) + b"--b--\r\n"
        answer = post_form(attacker, "/api/v1/search", asked)
        # An unknown folder is as empty as one of hidden photos.
        is_empty = answer.status == 200 and answer.json["hits"] == [] and "folder" in str(wrong)
        assert answer.status in {404, 422} or is_empty, wrong
    many = b"".join(formfield(b"f%d" % number, b"x") for number in range(20_000))
    assert post_form(attacker, "/api/v1/score", many + b"--b--\r\n").status == 400
    plain = b"&".join(b"a%d=1" % number for number in range(100_000))
    answer = attacker.ask("POST", "/api/v1/score", content=plain, headers={"content-type": "application/x-www-form-urlencoded"})  # fmt: skip
    assert answer.status in {400, 422}
    files = b"".join(formfield(b"photos", b"x", b"x") for _ in range(3000))
    assert post_form(attacker, "/api/v1/photos", files + b"--b--\r\n").status in {400, 422}
    for charset in ("unicode_escape", "utf-7", "idna", "punycode", "undefined", "zlib", "utf-16", "hex", "../x", "x" * 3000):  # fmt: skip
        form = (
            formfield(b"texts", b"\\ud800 dog")
            + formfield(b"picture", jpeg(1), b"x")
            + b"--b--\r\n"
        )
        assert post_form(attacker, "/api/v1/score", form, charset=charset).status in {
            200,
            400,
            422,
            451,
        }
    for kind in ("", "multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=" + "x" * 9000, "multipart/mixed; boundary=b", "image/jpeg", "a", "\xff"):  # fmt: skip
        answer = attacker.ask("POST", "/api/v1/score", content=b"--b--\r\n", headers={"content-type": kind.encode("latin-1")})  # fmt: skip
        assert answer.status in {400, 415, 422}, kind
    torn = formfield(b"picture", jpeg(1), b"x")
    for cut in range(1, len(torn), len(torn) // 20):
        assert post_form(attacker, "/api/v1/score", torn[:cut]).status in {400, 422}
    giant = b"x" * 25_000_001
    assert post_form(attacker, "/api/v1/photos", giant).status == 413
    assert attacker.ask("POST", "/api/v1/session", content=b"x" * 100_001).status == 413
    enough(attacker, "bodies")


def post_form(attacker: Attacker, route: str, body: bytes, charset: str = "") -> Answer:
    kind = "multipart/form-data; boundary=b" + (f"; charset={charset}" if charset else "")
    return attacker.ask("POST", route, content=body, headers={"content-type": kind})


# Headers.

RANGES = (
    "bytes=0-0", "bytes=-1", "bytes=5-2", "bytes=-0", "bytes=", "bytes=-", "bytes=a-b", "bytes=0-,0-",
    "bytes=99999999-", "bytes=" + "9" * 5000 + "-", "bytes=-" + "9" * 5000, "bytes=0-1,4-5",
    "bytes=" + "0-1," * 2000 + "0-1", "bytes=" + ",".join(f"{n}-" for n in range(500)), "bits=0-1",
    "BYTES=0-1", "bytes =0-1", "bytes=0x0-0x9", "bytes=+1-2", "bytes=1-2-3", "bytes=0-" + "9" * 400,
    "bytes=\xb2-\xb3", "\xff", "bytes=0-0,-1", "bytes: 0-1", "bytes=00000000000000000000001-2",
)  # fmt: skip
OTHERS: dict[str, tuple[str, ...]] = {
    "If-None-Match": ("*", '""', "W/", ",", '"' * 3000, "W/" * 900 + '"x"', "a" * 9000, "\xff", '"x",' * 3000),
    "If-Range": ("x", '"x"', "Wed, 21 Oct 2015 07:28:00 GMT", "\xff", "a" * 9000),
    "If-Modified-Since": ("x", "Wed, 99 Foo 0000 00:00:00 GMT", "9" * 5000),
    "Accept-Language": ("", "*", "ru;q=nan", "," * 5000, "x" * 9000, "ru-" * 2000, "\xff", ";;;===", "en" + ";q=0.1" * 1000),
    "Accept-Encoding": ("gzip;q=nan", "br, " * 2000, "\xff"),
    "Accept": ("../../etc/passwd", "*/*;" * 2000, "\xff"),
    "Cookie": ("kadr_session", "kadr_session=", "kadr_session=\xff", "=;=;=", "a=b;" * 5000, "kadr_session=" + "x" * 9000, 'kadr_session="\\', "kadr_session=../..", "$Version=1; kadr_session=a"),
    "Authorization": ("", "Bearer", "Bearer ", "Bearer  x", "bearer \xff", "Basic Og==", "Basic ===", "Digest username=\"x\"", "Bearer " + "x" * 9000, "Bearer kadr_00000000_" + "a" * 43, "Negotiate x", "Bearer a, Bearer b"),
    "X-Forwarded-For": ("127.0.0.1", "::1", "x" * 9000, "\xff", "1.1.1.1," * 2000),
    "X-Forwarded-Host": ("evil.example", "\xff"), "X-Forwarded-Proto": ("javascript", "\xff"),
    "Forwarded": ("for=127.0.0.1;host=evil.example", "\xff"), "X-Original-URL": ("/api/v1/review",),
    "X-Rewrite-URL": ("/api/v1/review",), "X-HTTP-Method-Override": ("DELETE", "\xff"),
    "Expect": ("100-continue", "200-ok", "\xff"), "Upgrade": ("websocket", "h2c", "\xff"),
    "Content-Length": ("0",), "Content-Encoding": ("gzip", "br"), "TE": ("trailers", "\xff"),
    "X-Request-Id": ("../../x", "a" * 9000, "\xff"), "User-Agent": ("() { :;}; id", "%n%s", "\xff", "${jndi:ldap://x}"),
    "Sec-Fetch-Site": ("cross-site", "\xff"), "Max-Forwards": ("0",), "Via": ("1.1 x," * 2000,),
}  # fmt: skip


def test_strange_headers_change_nothing(attacker: Attacker, library: Path) -> None:
    shown = shown_photo(attacker)
    whole = attacker.get(f"/api/v1/photos/{shown}")
    routes = (f"/api/v1/photos/{shown}", f"/api/v1/photos/{shown}?size=320", "/web/app.js", "/")
    for route, value in itertools.product(routes, RANGES):
        answer = attacker.raw(route.encode(), head=b"Range: " + value.encode("latin-1") + b"\r\n")
        assert answer.status in {200, 206, 400, 416}, (route, value[:50], answer)
        if answer.status == 206 and route == routes[0]:
            assert answer.kind == "image/jpeg"
            assert answer.body in whole.body
    for name, values in OTHERS.items():
        for value, route in itertools.product(values, (routes[0], "/api/v1/library", "/health")):
            head = f"{name}: ".encode() + value.encode("latin-1") + b"\r\n"
            answer = attacker.raw(route.encode(), head=head)
            wanted = {200, 304, 401} if name in {"Authorization", "Cookie"} else {200, 304}
            if name == "Sec-Fetch-Site" and route.startswith("/api/"):
                wanted = {403}
            assert answer.status in wanted, (name, value[:50], route, answer)
    for evil in (b"a\r\nX-Evil: 1", b"a\rX-Evil: 1", b"a\nX-Evil: 1", b"a\0b", b"\x85\xa0"):
        for header in (b"X-A", b"Cookie", b"Accept-Language", b"Authorization", b"If-None-Match"):
            answer = attacker.raw(b"/api/v1/library", head=header + b": " + evil + b"\r\n")
            assert "x-evil" not in answer.headers
    for target in (
        b"/api/v1/photos?lang=en%0d%0aX-Evil:1",
        b"/%0d%0aX-Evil:1",
        b"/api/v1/photos/%0d%0aX-Evil:1/facts",
    ):
        assert "x-evil" not in attacker.raw(target).headers
    enough(attacker, "headers")


def shown_photo(attacker: Attacker) -> int:
    return int(attacker.get("/api/v1/photos", n=1, folder="Photos/Walks").json["photos"][0]["id"])


# Raw connections.

LOCAL = b"Host: 127.0.0.1\r\n"
HIDDEN_REQUEST = b"GET /api/v1/review HTTP/1.1\r\n" + LOCAL + b"\r\n"
POST = b"POST /api/v1/session HTTP/1.1\r\n" + LOCAL + b"Content-Type: application/json\r\n"
SMUGGLED = (
    POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN_REQUEST,
    POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + HIDDEN_REQUEST,
    POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}   " + HIDDEN_REQUEST,
    POST + b"Content-Length: 5, 6\r\n\r\n{}   " + HIDDEN_REQUEST,
    POST + b"Content-Length: -1\r\n\r\n" + HIDDEN_REQUEST,
    POST + b"Content-Length: +5\r\n\r\n{}   " + HIDDEN_REQUEST,
    POST + b"Content-Length: 0x5\r\n\r\n{}   " + HIDDEN_REQUEST,
    POST + b"Content-Length: 99999999999999999999999\r\n\r\n" + HIDDEN_REQUEST,
    POST + b"Content-Length : 5\r\n\r\n{}   " + HIDDEN_REQUEST,
    POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + HIDDEN_REQUEST,
    POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + HIDDEN_REQUEST,
    POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + HIDDEN_REQUEST,
    POST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n" + HIDDEN_REQUEST,
    POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n" + HIDDEN_REQUEST,
    POST + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\nab\r\n0\r\n\r\n" + HIDDEN_REQUEST,
    POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n0\r\n\r\n" + HIDDEN_REQUEST,
    POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n" + HIDDEN_REQUEST,
    POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}X\r\n0\r\n\r\n" + HIDDEN_REQUEST,
    POST + b"Transfer-Encoding: chunked\r\n\r\n2\n{}\n0\n\n" + HIDDEN_REQUEST,
    POST + b"X: a\r\n\tContent-Length: 5\r\n\r\n" + HIDDEN_REQUEST,
    POST + b"X: a\rContent-Length: 99\r\n\r\n" + HIDDEN_REQUEST,
    POST.replace(b"HTTP/1.1", b"HTTP/1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN_REQUEST,
)  # fmt: skip
GARBAGE = (
    b"\r\n\r\n\r\n", b"garbage\r\n\r\n", b"\0" * 100, b"\xff" * 100, b"GET\r\n\r\n", b"GET /\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\nX\r\n\r\n", b"GET / HTTP/1.1\r\n: x\r\n\r\n",
    b"GET  / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\n\n", b"FOO / HTTP/1.1\r\n" + LOCAL + b"\r\n",
    b"CONNECT evil:80 HTTP/1.1\r\n" + LOCAL + b"\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET /\xff HTTP/1.1\r\n" + LOCAL + b"\r\n",
    b"GET /\0 HTTP/1.1\r\n" + LOCAL + b"\r\n", b"GET / HTTP/1.1\r\nHost : 127.0.0.1\r\n\r\n",
    b"GET http://evil.example/health HTTP/1.1\r\nHost: evil.example\r\n\r\n", b"SSH-2.0-x\r\n",
    b"EHLO x\r\n", b"*1\r\n$4\r\nPING\r\n", b"GET " + b"/" * 40_000 + b" HTTP/1.1\r\n" + LOCAL + b"\r\n",
    b"GET / HTTP/1.1\r\n" + LOCAL + b"".join(b"X%d: a\r\n" % n for n in range(5000)) + b"\r\n",
    b"GET / HTTP/1.1\r\n" + LOCAL + b"X: " + b"a" * 1_000_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + LOCAL + b"a" * 1_000_000 + b": x\r\n\r\n",
)  # fmt: skip


def test_what_is_not_http_is_refused(attacker: Attacker) -> None:
    for sent in SMUGGLED:
        head, _, _ = sent.partition(b"\r\n\r\n")
        found = attacker.answers(sent, seconds=3)
        # The request that hides in the body is never answered as one of its own.
        assert len(found) <= 1 or b"HTTP/1.0" in head, head
        assert all(one.status >= 400 for one in found), head
    for sent in GARBAGE:
        found = attacker.answers(sent, seconds=3)
        assert all(one.status >= 400 for one in found), sent[:60]
    requests = 30
    pipelined = (b"GET /health HTTP/1.1\r\n" + LOCAL + b"\r\n") * (requests - 1)
    last = b"GET /health HTTP/1.1\r\n" + LOCAL + b"Connection: close\r\n\r\n"
    assert [one.status for one in attacker.answers(pipelined + last)] == [200] * requests
    enough(attacker, "sockets")


SCORE = b"POST /api/v1/score HTTP/1.1\r\n" + LOCAL + b"Content-Type: multipart/form-data; boundary=b\r\n"  # fmt: skip
HEALTH = b"GET /health HTTP/1.1\r\n" + LOCAL
SLOW = {
    "silent": (b"", b""),
    "slow head": (b"GET / HTTP/1.1\r\n", b"X: a\r\n"),
    "half a line": (b"GE", b""),
    "slow body": (SCORE + b"Content-Length: 10000\r\n\r\n--b\r\n", b"x"),
    "slow chunks": (SCORE + b"Transfer-Encoding: chunked\r\n\r\n5\r\n--b\r\n\r\n", b"1\r\nx\r\n"),
    "unread body": (HEALTH + b"Content-Length: 10000\r\n\r\n", b"x"),
    "trailers": (HEALTH + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: a\r\n"),
    "unfinished": (SCORE + b"Content-Length: 10000\r\n\r\n--b\r\n", b""),
}  # fmt: skip
"""What is sent at once, and what then comes again and again."""
PATIENCE = 25
"""Seconds in which all of these must have ended."""


@dataclass
class Dripping:
    """A connection that sends little, and what came back."""

    name: str
    connection: socket.socket
    came: bytes = b""

    def ended(self) -> bool:
        """Send another drop; whether the service has closed."""
        try:
            self.connection.send(SLOW[self.name][1])
            part = self.connection.recv(65536)
        except BlockingIOError:
            return False
        except OSError:
            return True
        self.came += part
        return not part


def test_slow_and_silent_connections_end(attacker: Attacker, service: Running) -> None:
    """All at once: each is closed within its patience, and others are served meanwhile."""
    opened = list[Dripping]()
    for name in [*SLOW] * 5:
        connection = socket.create_connection(("127.0.0.1", service.port), 5)
        connection.sendall(SLOW[name][0])
        connection.settimeout(0)
        opened.append(Dripping(name, connection))
    left, begun = opened, time.monotonic()
    while left and time.monotonic() - begun < PATIENCE:
        left = [one for one in left if not one.ended()]
        assert attacker.get("/health").status == 200
        time.sleep(0.25)
    for one in opened:
        one.connection.close()
    assert {one.name for one in left} == set()
    for one in opened:
        read = one.name in {"slow body", "slow chunks", "unfinished"}
        for answer in parsed(one.came):
            attacker.look(answer)
            assert answer.status in ({408} if read else {200, 400}), one.name
        assert one.came or not read


def test_clients_that_go_away_do_no_harm(attacker: Attacker, service: Running) -> None:
    photo = jpeg(3)
    body = formfield(b"picture", photo, b"x") + formfield(b"texts", b"dog") + b"--b--\r\n"
    head = (
        b"POST /api/v1/score HTTP/1.1\r\n"
        + LOCAL
        + b"Content-Type: multipart/form-data; boundary=b\r\n"
    )
    whole = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    shown = shown_photo(attacker)
    download = b"GET /api/v1/photos/%d HTTP/1.1\r\n" % shown + LOCAL + b"\r\n"
    search = b"GET /api/v1/search?q=dog HTTP/1.1\r\n" + LOCAL + b"\r\n"
    dice = random.Random(5)
    for _ in range(40):
        for sent in (whole, download, search, whole[: dice.randrange(len(whole))]):
            connection = socket.create_connection(("127.0.0.1", service.port), 5)
            connection.sendall(sent)
            how = dice.randrange(3)
            if how == 0:  # reset
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif how == 1:
                connection.shutdown(socket.SHUT_WR)
            connection.close()
    assert attacker.get("/ready").status == 200


# Who asks, from where.

NAMES = (
    "evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evil.example:80",
    "127.0.0.1@evil.example", "evil.example#127.0.0.1", "0.0.0.0", "2130706433", "0x7f.1", "127.1",
    "[::ffff:127.0.0.1]", "[::1", "", " ", "*", "..", "localhost..evil", "127.0.0.1, evil.example",
    "127.0.0.1\\evil", "xn--", "a" * 5000, "169.254.169.254", "metadata.google.internal", "\xff",
)  # fmt: skip
ORIGINS = (
    "http://evil.example", "https://evil.example", "null", "", "http://127.0.0.1", "file://", "http://",
    "http://127.0.0.1.evil.example", "http://127.0.0.1:1", "http://localhost", "javascript:x", "\xff",
    "http://[::1", "http://evil.example/127.0.0.1", "chrome-extension://x", "http://PORT@evil.example",
)  # fmt: skip


def test_other_sites_reach_nothing(attacker: Attacker, service: Running) -> None:
    for name in NAMES:
        for verb, target in (
            (b"GET", b"/"),
            (b"GET", b"/api/v1/photos"),
            (b"POST", b"/api/v1/session"),
        ):
            head = b"Host: " + name.encode("latin-1") + b"\r\nContent-Length: 0\r\n"
            answer = attacker.raw(target, verb, head)
            assert answer.status in {400, 421}, (name, answer)
    for origin in ORIGINS:
        for method, path in (("POST", "/api/v1/session"), ("POST", "/api/v1/review/1"), ("DELETE", "/api/v1/photos/1"), ("POST", "/api/v1/photos")):  # fmt: skip
            value = origin.replace("PORT", f"127.0.0.1:{service.port}").encode("latin-1")
            answer = attacker.ask(method, path, headers={b"Origin": value})
            assert answer.status == 403, (origin, answer)
    for site in ("cross-site", "same-site", "x", ""):
        answer = attacker.ask("POST", "/api/v1/session", headers={"Sec-Fetch-Site": site})
        assert answer.status == 403, site
    for path in ("/api/v1/photos", "/api/v1/search?q=dog"):  # a search may leave a line in the log
        for origin in ORIGINS:
            value = origin.replace("PORT", f"127.0.0.1:{service.port}").encode("latin-1")
            answer = attacker.ask("GET", path, headers={b"Origin": value})
            assert answer.status == 403, (origin, answer)
            assert not any(name.startswith("access-control") for name in answer.headers)
    own = {"Origin": service.address}
    assert attacker.ask("DELETE", "/api/v1/session", headers=own).status == 204
    enough(attacker, "hosts")


def operations(attacker: Attacker) -> Iterator[tuple[str, str]]:
    for path, item in attacker.get("/api/v1/openapi.json").json["paths"].items():
        for method in item:
            yield method.upper(), path.replace("{photo}", "1")


def needed(method: str, path: str) -> str:
    """The scope that a route needs."""
    if "/review" in path:
        return "review"
    changes = method in {"DELETE", "PUT", "PATCH"}
    adds = method == "POST" and path in {"/api/v1/photos", "/api/v1/collections/{name}/photos"}
    return "write" if changes or adds or "/bin" in path else "read"


@dataclass
class Keyed:
    """A service that wants keys, and one of each scope."""

    attacker: Attacker
    ring: Path
    given: dict[str, str]

    @property
    def routes(self) -> list[tuple[str, str]]:
        free = {"/health", "/ready", "/api/v1/session"}
        return [one for one in operations(self.attacker) if one[1] not in free]


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    home = tmp_path_factory.mktemp("keyed")
    library = draw_library(home, 3)
    ring = keys.of(library)
    given = {str(scope): keys.add(ring, f"{scope} key", (scope,)) for scope in SCOPES}
    secrets = (*SECRETS, *(key.hash for key in keys.read(ring)), *given.values())
    with (
        serving(library, "--uploads", home / "up") as service,
        Attacker(service, home, secrets) as attacker,
    ):
        yield Keyed(attacker, ring, given)
        assert not any(key in service.written() for key in given.values())


def test_guessed_keys_open_nothing(keyed: Keyed) -> None:
    attacker, read = keyed.attacker, keyed.given["read"]
    hashed = keys.read(keyed.ring)[0].hash
    for guess in (
        read[:-1], read + "a", read.upper(), read[:14] + "a" * 43, "kadr_00000000_" + "a" * 43,
        read.replace("kadr", "KADR"), "null", "undefined", "true", "' OR 1=1--", hashed, "*",
        read[:13] + "_" + hashed[:43], read[5:], f"{read},{keyed.given['review']}",
    ):  # fmt: skip
        for headers in ({"Authorization": f"Bearer {guess}"}, {"Cookie": f"kadr_session={guess}"}):
            assert attacker.ask("GET", "/api/v1/library", headers=headers).status == 401, guess
        assert attacker.ask("POST", "/api/v1/session", json={"key": guess}).status == 401
    ways: tuple[dict[str, str], ...] = (
        {}, {"Authorization": f"Basic {read}"}, {"X-Api-Key": read}, {"Authorization": read},
    )  # fmt: skip
    for headers, (method, path) in itertools.product(ways, keyed.routes):
        assert attacker.ask(method, path, headers=headers).status == 401, (method, path)
    assert attacker.get("/api/v1/library", key=read, token=read, access_token=read).status == 401


def test_no_key_opens_more_than_its_scope(keyed: Keyed) -> None:
    attacker, given = keyed.attacker, keyed.given
    tricks: tuple[dict[str, str], ...] = (
        {}, {"X-HTTP-Method-Override": "GET"}, {"X-Original-URL": "/health"},
        {"Cookie": f"kadr_session={given['review']}x"}, {"X-Scopes": "read write review"},
    )  # fmt: skip
    for (scope, key), (method, path), trick in itertools.product(
        given.items(), keyed.routes, tricks
    ):
        if scope != needed(method, path):
            headers = {"Authorization": f"Bearer {key}"} | trick
            assert attacker.ask(method, path, headers=headers).status == 403, (scope, method, path)
    for path in (
        "/api/v1/review/1", "/api/v1//review/1", "/api/v1/review/1/", "/API/V1/REVIEW/1",
        "/api/v1/photos/../review/1",
    ):  # fmt: skip
        headers, said = {"Authorization": f"Bearer {given['read']}"}, {"decision": "allow"}
        assert attacker.ask("POST", path, headers=headers, json=said).status in {403, 404, 405}
    enough(attacker, "keys")


def test_a_key_that_is_removed_opens_nothing_at_once(keyed: Keyed) -> None:
    key = keys.add(keyed.ring, "guest", ("read",))
    with keyed.attacker.service.client() as client:
        entered = client.post("/api/v1/session", json={"key": key})
        cookie = entered.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert client.get("/api/v1/library").status_code == 200
        keys.remove(keyed.ring, "guest")
        assert client.get("/api/v1/library").status_code == 401


def test_broken_keys_open_nothing_and_tell_no_path(keyed: Keyed) -> None:
    before = keyed.ring.read_bytes()
    keyed.ring.write_text("{")
    try:
        for headers in ({}, {"Authorization": f"Bearer {keyed.given['read']}"}):
            answer = keyed.attacker.ask("GET", "/api/v1/library", headers=headers)
            assert answer.status == 503
    finally:
        keyed.ring.write_bytes(before)


LAW = """
[countries]
RU = "under-16"
US = "none"
"""


def test_nobody_says_where_they_are(tmp_path: Path) -> None:
    library, law = draw_library(tmp_path, 3), tmp_path / "law.toml"
    law.write_text(LAW)
    hidden = number_of(library, tmp_path / "Photos" / SECRET / HIDDEN_BY_PERSON)
    where = ("--policy", law, "--country-header", "CF-IPCountry")
    asked = [f"/api/v1/photos/{hidden}", f"/api/v1/photos/{hidden}?size=320", f"/api/v1/photos/{hidden}/facts"]  # fmt: skip
    with serving(library, *where) as service, Attacker(service, tmp_path, SECRETS) as attacker:
        # No proxy is believed.
        for name, value, path in itertools.product(
            ("CF-IPCountry", "cf-ipcountry", "X-Country", "X-Forwarded-For", "Accept-Language", "X-Real-IP"),
            ("US", "us", "US, US"), asked,
        ):  # fmt: skip
            assert attacker.ask("GET", path, headers={name: value}).status == 451
        for path in asked:
            assert attacker.get(path, country="US").status == 451
            assert (
                attacker.ask(
                    "GET", path, headers=[("CF-IPCountry", "RU"), ("CF-IPCountry", "US")]
                ).status
                == 451
            )
        for country in ("US", "us", "uS", "RU", "XX", "", "U", "🇺🇸"):
            told = attacker.get("/api/v1/library", country=country).json
            assert told["hides"] is True
        enough(attacker, "countries")
    behind = (*where, "--proxy", "127.0.0.1", "--anonymous", "read")
    with serving(library, *behind) as service, Attacker(service, tmp_path) as proxy:
        for path in asked:
            assert proxy.ask("GET", path, headers={"CF-IPCountry": "US"}).status == 200
            assert proxy.ask("GET", path, headers={"CF-IPCountry": "RU"}).status == 451
            assert proxy.ask("GET", path, headers={"CF-IPCountry": "T1"}).status == 451
            # A visitor's own header came through beside the proxy's: neither is believed.
            for both in (("US", "RU"), ("RU", "US")):
                headers = [("CF-IPCountry", one) for one in both]
                assert proxy.ask("GET", path, headers=headers).status == 451, both


# What the law hides.


def hidden_ids(home: Path, library: Path) -> list[int]:
    return [number_of(library, home / "Photos" / SECRET / name) for name in (HIDDEN_BY_WORDS, HIDDEN_BY_PERSON)]  # fmt: skip


def test_hidden_photos_are_nowhere(attacker: Attacker, home: Path, library: Path) -> None:
    files = [home / "Photos" / SECRET / name for name in (HIDDEN_BY_WORDS, HIDDEN_BY_PERSON)]
    shown = shown_photo(attacker)
    for number, file in zip(hidden_ids(home, library), files, strict=True):
        content = file.read_bytes()

        digest = hashlib.sha256(content).hexdigest()
        attacker.secrets = (*SECRETS, digest)
        ways: list[dict[str, str]] = [
            {}, {"Range": "bytes=0-0"}, {"Range": "bytes=0-99999"}, {"Range": "bytes=-1"},
            {"If-None-Match": "*"}, {"If-None-Match": f'"{digest}"'}, {"If-None-Match": f'W/"{digest}"'},
            {"If-None-Match": f'"{digest}-320"'}, {"If-Match": "*"}, {"If-Range": f'"{digest}"', "Range": "bytes=0-9"},
            {"If-Modified-Since": "Wed, 21 Oct 2035 07:28:00 GMT"}, {"Cache-Control": "only-if-cached"},
            {"Accept": "image/avif"},
        ]  # fmt: skip
        paths = [
            f"/api/v1/photos/{number}", *(f"/api/v1/photos/{number}?size={side}" for side in (320, 640, 1600)),
            f"/api/v1/photos/{number}/facts", f"/api/v1/photos/{number}/explain?q=dog", f"/api/v1/similar/{number}",
            f"/api/v1/photos/0{number}", f"/api/v1/photos/+{number}", f"/api/v1/photos/{number}.0",
        ]  # fmt: skip
        for path, headers in itertools.product(paths, ways):
            answer = attacker.ask("GET", path, headers=headers)
            assert answer.status == 451, (path, headers)
            assert answer.json["detail"] == DISCLAIMER
            assert 'rel="blocked-by"' in answer.headers["link"]
            assert answer.headers["cache-control"] == "no-store"
            assert (
                not {"etag", "last-modified", "content-range", "accept-ranges"}
                & answer.headers.keys()
            )
        assert attacker.ask("DELETE", f"/api/v1/photos/{number}").status in {409, 451}
        for parts in ([{"picture": 0}], [{"text": "dog"}, {"picture": 0}]):
            answers = [
                search(attacker, {"parts": parts}, sent).json for sent in (content, content + b"\0")
            ]  # of bytes that the library knows, and hides, and of the same picture in others
            assert without_cursor(answers[0]) == without_cursor(answers[1])
        scored = [
            attacker.ask("POST", "/api/v1/score", files={"picture": sent}, data={"texts": "dog"})
            for sent in (content, content + b"\0")
        ]
        assert (scored[0].status, scored[0].json.get("scores")) == (
            scored[1].status, scored[1].json.get("scores"),
        )  # fmt: skip
        assert_disclaimer(search(attacker, {"parts": [{"photo": number}]}))
        assert_disclaimer(search(attacker, {"parts": [{"text": "dog"}, {"photo": number}]}))
        assert_disclaimer(
            search(attacker, {"parts": [{"photo": shown}, {"photo": number, "weight": -0.1}]})
        )
        added = attacker.ask("POST", "/api/v1/photos", files={"photos": content}).json
        assert (added["added"], added["withheld"]) == ([], 1)  # hidden still, under its new name
        assert attacker.get(f"/api/v1/photos/{number}").status == 451
    enough(attacker, "hidden")


def without_cursor(answer: dict[str, Any]) -> Any:
    """An answer but for its cursor, which is another one each time."""
    return {key: value for key, value in answer.items() if key != "next"}


def search(attacker: Attacker, query: dict[str, Any], content: bytes | None = None) -> Answer:
    files: dict[str, Any] = {"query": (None, json.dumps(query))}
    if content is not None:
        files["pictures"] = content
    return attacker.ask("POST", "/api/v1/search", files=files)


def assert_disclaimer(answer: Answer) -> None:
    if answer.status == 451:
        assert answer.json["detail"] == DISCLAIMER
        return
    assert answer.status == 200, answer
    assert answer.json["refused"]
    assert answer.json["hits"] == []


FINDING_HIDDEN: tuple[dict[str, str], ...] = (
    {"folder": f"Photos/{SECRET}"}, {"camera": SECRET}, {"camera": "3000"},
    {"after": SECRET_YEAR, "before": "1988"}, {"before": "2000"}, {"camera": SECRET[:4]},
)  # fmt: skip


def test_filters_find_no_hidden_photo(attacker: Attacker, home: Path, library: Path) -> None:
    for chosen in FINDING_HIDDEN:
        assert attacker.get("/api/v1/photos", **chosen).json == {"photos": [], "next": None}
        for more in ({"q": "dog"}, {"q": "dog", "at_least": "0"}):
            found = attacker.get("/api/v1/search", **more, **chosen).json
            assert (found["hits"], found["next"]) == ([], None)
        found = attacker.get(f"/api/v1/similar/{shown_photo(attacker)}", **chosen).json
        assert (found["hits"], found["next"]) == ([], None)
    told = attacker.get("/api/v1/library").json
    assert told["photos"] == sum(1 for _ in pages(attacker, "/api/v1/photos", "photos"))
    assert all(SECRET not in one["name"] for one in told["folders"])
    assert told["cameras"] == ["Canon EOS 5D"]
    assert told["first_taken"].startswith("2024")
    notices = {
        attacker.get("/api/v1/search", **chosen).json["withheld"]
        for chosen in (
            {"q": "dog"},
            {"q": "zebra", "n": "1"},
            *({"q": "dog"} | c for c in FINDING_HIDDEN),
        )
    }
    assert notices == {DISCLAIMER}, "the same, whatever is asked"
    assert len(attacker.get("/api/v1/search", q="dog", n=200).json["hits"]) == told["photos"]


def pages(attacker: Attacker, path: str, items: str, **chosen: Any) -> Iterator[tuple[Any, Any]]:
    """Each photo or hit on a page of its own, and the cursor that led to it."""
    cursor: Any = None
    while True:
        at = {} if cursor is None else {"cursor": cursor}
        found = attacker.get(path, n=1, **chosen, **at).json
        yield from ((one, cursor) for one in found[items])
        cursor = found["next"]
        if cursor is None:
            return


def test_cursors_do_not_count_hidden_photos(attacker: Attacker) -> None:
    """Those of one listing say nothing of another's: gaps would tell what is hidden, and where."""
    known = [cursor for _, cursor in pages(attacker, "/api/v1/search", "hits", q="dog")]
    for path, items, chosen in (
        ("/api/v1/photos", "photos", {}),
        ("/api/v1/photos", "photos", {"after": "1980"}),
        ("/api/v1/search", "hits", {"q": "dog", "after": "1980"}),
        (f"/api/v1/similar/{shown_photo(attacker)}", "hits", {}),
    ):  # fmt: skip
        cursors = [c for _, c in pages(attacker, path, items, **chosen) if c is not None]
        assert not any(isinstance(cursor, int) for cursor in cursors)
        places = [known.index(cursor) for cursor in cursors if cursor in known]
        assert places == [], (path, chosen)
        # Nor may one of theirs open a place of the known listing.
        answers = [attacker.get("/api/v1/search", q="dog", n=1, cursor=c) for c in cursors[:5]]
        assert {one.status for one in answers} == {422}, (path, chosen)


def test_reviewers_alone_see_what_is_hidden(tmp_path: Path) -> None:
    library = draw_library(tmp_path, 3)
    hidden = number_of(library, tmp_path / "Photos" / SECRET / HIDDEN_BY_PERSON)
    everybody = ("--anonymous", "read", "--anonymous", "write")
    with serving(library, *everybody) as service, Attacker(service, tmp_path, SECRETS) as attacker:
        for method, path in (
            ("GET", "/api/v1/review"), ("GET", "/api/v1/review?n=200"), ("GET", f"/api/v1/review/{hidden}/picture"),
            ("POST", f"/api/v1/review/{hidden}"), ("GET", f"/api/v1/review/{hidden}/picture?size=64"),
        ):  # fmt: skip
            for headers in ({}, {"If-None-Match": "*"}, {"Range": "bytes=0-1"}):
                body = {"json": {"decision": "allow"}} if method == "POST" else {}
                assert attacker.ask(method, path, headers=headers, **body).status in {401, 403}
        assert attacker.get(f"/api/v1/photos/{hidden}").status == 451
        told = attacker.get("/metrics").body.decode()
        assert SECRET not in told
        assert str(tmp_path) not in told


def test_the_log_keeps_no_queries(attacker: Attacker, service: Running) -> None:
    word = "xylophonist"
    attacker.get("/api/v1/search", q=word)
    attacker.get("/api/v1/photos", camera=word)
    attacker.get("/api/v1/photos", cursor=word)
    attacker.get(f"/{word}")
    search(attacker, {"parts": [{"text": word}]})
    search(attacker, {word: 1})
    attacker.raw(b"/\xff" + word.encode())
    assert word not in service.written()
    for line in service.written().splitlines():
        if line.startswith("{"):
            json.loads(line)


def test_nobody_is_told_that_it_runs(attacker: Attacker, home: Path) -> None:
    """ONNX Runtime, left to itself, keeps a device's id and tells its maker of sessions."""
    attacker.get("/api/v1/search", q="dog")
    assert not list(home.rglob("deviceid"))
    assert not (home / ".cache" / "Microsoft").exists()


def test_statuses_are_those_that_are_documented(attacker: Attacker) -> None:
    """A coarse look that the checks above look at something."""
    assert attacker.get("/api/v1/photos").status == 200
    with pytest.raises(AssertionError):
        attacker.look(Answer(500, {}, b""))
    with pytest.raises(AssertionError):
        attacker.look(Answer(200, {}, CANARY.encode()))
    with pytest.raises(AssertionError):
        attacker.look(Answer(404, dict.fromkeys(SECURITY, ""), b"plain"))
