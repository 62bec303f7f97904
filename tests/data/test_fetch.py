"""Downloading and unzipping, against a host on this machine and zips that mean harm."""

import errno
import hashlib
import io
import random
import shutil
import stat
import threading
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archives import write_archive
from kadr.data import dataset, fetch, unzip
from kadr.errors import DataError


@dataclass
class Host:
    """A web host with one file: what it does with a request, and what it was asked."""

    content: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: {"ETag": '"one"'})
    resumes: bool = True
    tells_length: bool = True
    break_after: int | None = None
    status: int | None = None
    content_range: str | None = None
    asked: list[dict[str, str]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/archive.zip"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        asked = dict(request.headers.items())
        self.asked.append(asked)
        start = self._start(asked)
        if self.status is not None and (start or not self.resumes):
            request.send_error(self.status)
            return
        body = self.content[start:]
        request.send_response(206 if start else 200)
        for name, value in self.headers.items():
            request.send_header(name, value)
        if start:
            span = f"bytes {start}-{len(self.content) - 1}/{len(self.content)}"
            request.send_header("Content-Range", self.content_range or span)
        if self.tells_length:
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body[: self.break_after])

    def _start(self, asked: dict[str, str]) -> int:
        known = asked.get("If-Range") in self.headers.values()
        if not (self.resumes and known):
            return 0
        return int(asked["Range"].removeprefix("bytes=").removesuffix("-"))


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    state = Host()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.answer(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def tiny_zip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return a tiny archive, nested and with a Mac's junk as the real one may be."""
    folder = write_archive(tmp_path_factory.mktemp("zip") / "tiny", images=4)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("read me.txt", "not part of the archive")
        archive.mkdir("data/to_upload/train_images")
        archive.writestr("data/to_upload/.DS_Store", b"junk")
        archive.writestr("__MACOSX/data/to_upload/._train_dataset.csv", b"junk")
        archive.writestr("__MACOSX/train_dataset.csv", b"junk")
        for path in sorted(folder.rglob("*.*")):
            archive.write(path, f"data/to_upload/{path.relative_to(folder).as_posix()}")
    return packed.getvalue()


def zip_of(*entries: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train_dataset.csv", b"image,query_id,query_text\n")
        for name, content in entries:
            archive.writestr(name, content)
    return packed.getvalue()


def entry(name: str, kind: int = 0) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("placeholder")
    info.filename = name
    info.external_attr = kind << 16
    return info


def files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_fetches_the_nested_archive_and_leaves_nothing_else(
    host: Host, tiny_zip: bytes, tmp_path: Path
) -> None:
    host.content = tiny_zip
    progress: list[tuple[int, int | None]] = []
    folder = fetch.fetch(
        tmp_path / "new" / "data",
        url=host.url,
        on_progress=lambda done, total: progress.append((done, total)),
    )
    assert folder == (tmp_path / "new" / "data").resolve()
    assert dataset.load(folder, check_photos=True).skipped == ()
    assert [path.name for path in folder.parent.iterdir()] == ["data"]
    assert not any("DS_Store" in name or "read me" in name for name in files_below(folder))
    assert progress[0] == (0, len(tiny_zip))
    assert progress[-1] == (len(tiny_zip), len(tiny_zip))


def test_an_empty_folder_is_taken(host: Host, tiny_zip: bytes, tmp_path: Path) -> None:
    host.content = tiny_zip
    (tmp_path / "data").mkdir()
    assert (fetch.fetch(tmp_path / "data", url=host.url) / "train_dataset.csv").exists()


@pytest.mark.parametrize(
    "headers",
    [{"ETag": '"one"'}, {"ETag": 'W/"one"', "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}],
    ids=["ETag", "date"],
)
def test_a_broken_download_goes_on(
    host: Host, tiny_zip: bytes, tmp_path: Path, headers: dict[str, str]
) -> None:
    host.content, host.headers, host.break_after = tiny_zip, headers, 1000
    with pytest.raises(DataError, match=r"broke off .*fetch again"):
        fetch.fetch(tmp_path / "data", url=host.url)
    assert not (tmp_path / "data").exists()
    host.break_after = None
    progress: list[int] = []
    fetch.fetch(tmp_path / "data", url=host.url, on_progress=lambda done, _: progress.append(done))
    assert host.asked[1]["Range"] == "bytes=1000-"
    assert progress[0] == 1000
    assert dataset.load(tmp_path / "data", check_photos=True).skipped == ()


def start_download(host: Host, folder: Path, content: bytes) -> None:
    host.content, host.break_after = content, 1000
    with pytest.raises(DataError, match="broke off"):
        fetch.fetch(folder, url=host.url)
    host.break_after = None


@pytest.mark.parametrize(
    ("change", "requests"),
    [
        ({"resumes": False}, 1),
        ({"headers": {"ETag": '"two"'}}, 1),
        ({"status": 416}, 2),
        ({"content_range": "bytes 7-99/100"}, 2),
        ({"content_range": "nonsense"}, 2),
    ],
)
def test_a_download_that_cannot_go_on_starts_over(
    host: Host, tiny_zip: bytes, tmp_path: Path, change: dict[str, object], requests: int
) -> None:
    start_download(host, tmp_path / "data", tiny_zip)
    for name, value in change.items():
        setattr(host, name, value)
    fetch.fetch(tmp_path / "data", url=host.url)
    assert host.asked[1]["Range"] == "bytes=1000-"
    assert len(host.asked) == 1 + requests
    assert "Range" not in host.asked[-1] or requests == 1
    assert dataset.load(tmp_path / "data", check_photos=True).skipped == ()


def test_without_a_validator_the_download_starts_over(
    host: Host, tiny_zip: bytes, tmp_path: Path
) -> None:
    host.headers = {}
    start_download(host, tmp_path / "data", tiny_zip)
    fetch.fetch(tmp_path / "data", url=host.url)
    assert "Range" not in host.asked[1]


def test_a_download_of_another_address_starts_over(
    host: Host, tiny_zip: bytes, tmp_path: Path
) -> None:
    start_download(host, tmp_path / "data", tiny_zip)
    fetch.fetch(tmp_path / "data", url=f"{host.url}?other")
    assert "Range" not in host.asked[1]


def test_a_host_in_trouble_does_not_cost_what_is_there(
    host: Host, tiny_zip: bytes, tmp_path: Path
) -> None:
    start_download(host, tmp_path / "data", tiny_zip)
    host.status = 503
    with pytest.raises(DataError, match="answers 503 Service Unavailable: check the address"):
        fetch.fetch(tmp_path / "data", url=host.url)
    host.status = None
    fetch.fetch(tmp_path / "data", url=host.url)
    assert [asked.get("Range") for asked in host.asked] == [None, "bytes=1000-", "bytes=1000-"]


def test_an_interrupt_keeps_what_came(host: Host, tiny_zip: bytes, tmp_path: Path) -> None:
    """Ctrl-C in the middle: the next run asks for the rest."""
    host.content = tiny_zip

    def interrupt(done: int, _total: int | None) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch.fetch(tmp_path / "data", url=host.url, on_progress=interrupt)
    part = (tmp_path / "data.part" / "archive.zip.part").stat().st_size
    assert part
    fetch.fetch(tmp_path / "data", url=host.url)
    assert host.asked[-1]["Range"] == f"bytes={part}-"


@pytest.mark.parametrize("upper", [False, True])
def test_the_digest_is_compared(host: Host, tiny_zip: bytes, tmp_path: Path, upper: bool) -> None:
    host.content = tiny_zip
    digest = hashlib.sha256(tiny_zip).hexdigest()
    with pytest.raises(DataError, match=f"SHA-256 is {digest}, not 00: check the address"):
        fetch.fetch(tmp_path / "data", url=host.url, sha256="00")
    assert files_below(tmp_path) == ["data.part", "data.part/source.json"]
    digest = digest.upper() if upper else digest
    folder = fetch.fetch(tmp_path / "data", url=host.url, sha256=digest)
    assert (folder / fetch.KEY_FILE).exists()


def test_a_missing_file_is_said(host: Host, tmp_path: Path) -> None:
    host.status, host.resumes = 404, False
    with pytest.raises(DataError, match="answers 404 Not Found: check the address"):
        fetch.fetch(tmp_path / "data", url=host.url)


def test_a_truncated_zip_of_unknown_length_is_said_and_dropped(
    host: Host, tiny_zip: bytes, tmp_path: Path
) -> None:
    host.content, host.tells_length, host.break_after = tiny_zip, False, 1000
    with pytest.raises(DataError, match="no whole zip"):
        fetch.fetch(tmp_path / "data", url=host.url)
    host.break_after = None
    fetch.fetch(tmp_path / "data", url=host.url)
    assert "Range" not in host.asked[1]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:1/archive.zip", "can't be reached .*kadr data generate DIR"),
        ("ftp://127.0.0.1/archive.zip", "is no web address"),
        ("http://127.0.0.1:port/", "is no web address"),
        ("archive.zip", "is no web address"),
    ],
)
def test_a_host_out_of_reach_is_said(host: Host, tmp_path: Path, url: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        fetch.fetch(tmp_path / "data", url=url)
    assert not (tmp_path / "data").exists()


def test_a_proxy_that_makes_no_sense_is_said(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "nonsense://127.0.0.1:1")
    with pytest.raises(DataError, match="the proxy of the environment"):
        fetch.fetch(tmp_path / "data", url=host.url)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<html>Not the file you asked for</html>", "no whole zip"),
        (b"", "no whole zip"),
        (zip_of((entry("../evil.txt"), b"x")), r"'\.\./evil\.txt' leaves the folder"),
        (zip_of((entry("a/../../evil.txt"), b"x")), "leaves the folder"),
        (zip_of((entry("/evil.txt"), b"x")), "no plain relative path"),
        (zip_of((entry("C:/evil.txt"), b"x")), "no plain relative path"),
        (zip_of((entry("..\\evil.txt"), b"x")), "no plain relative path"),
        (zip_of((entry("evil", stat.S_IFLNK), b"/etc")), "'evil' is a link or a device"),
        (zip_of((entry("evil", stat.S_IFIFO), b"")), "'evil' is a link or a device"),
        (zip_of(("a.jpg", b"x"), ("A.JPG", b"y")), "'A.JPG' is in it twice"),
        (zip_of(("zeros", bytes(10**7))), "0 MB would become 10 MB"),
    ],
)
def test_an_unsafe_zip_is_refused_whole(
    host: Host, tmp_path: Path, content: bytes, words: str
) -> None:
    host.content = content
    with pytest.raises(DataError, match=words):
        fetch.fetch(tmp_path / "below" / "data", url=host.url)
    assert files_below(tmp_path) == ["below", "below/data.part", "below/data.part/source.json"]


def test_a_zip_of_something_else_is_refused(host: Host, tmp_path: Path) -> None:
    host.content = zip_of().replace(b"train_dataset.csv", b"other_dataset.csv")
    with pytest.raises(DataError, match=r"holds no train_dataset\.csv"):
        fetch.fetch(tmp_path / "data", url=host.url)


def test_an_encrypted_zip_is_refused(host: Host, tmp_path: Path) -> None:
    content = bytearray(zip_of())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    host.content = bytes(content)
    with pytest.raises(DataError, match="encrypted"):
        fetch.fetch(tmp_path / "data", url=host.url)


def test_a_zip_that_lies_about_sizes_is_refused(host: Host, tmp_path: Path) -> None:
    content = bytearray(zip_of(("zeros", bytes(10**7))))
    directory = content.rindex(b"PK\x01\x02")
    content[directory + 24 : directory + 28] = (100).to_bytes(4, "little")
    host.content = bytes(content)
    with pytest.raises(DataError, match="no whole zip"):
        fetch.fetch(tmp_path / "data", url=host.url)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ("fetch.MAX_ZIP_BYTES", "larger than"),
        ("unzip.MAX_UNZIPPED_BYTES", "would become"),
        ("unzip.MAX_ENTRIES", "entries, more than 3"),
    ],
)
def test_each_limit_holds(
    host: Host,
    tiny_zip: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    words: str,
) -> None:
    monkeypatch.setattr(f"kadr.data.{limit}", 3)
    host.content, host.tells_length = tiny_zip, False
    with pytest.raises(DataError, match=words):
        fetch.fetch(tmp_path / "data", url=host.url)


@pytest.mark.parametrize("free", [0, "enough for the zip alone"])
def test_a_disk_without_space_is_said_before_it_is_full(
    host: Host,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    free: int | str,
) -> None:
    host.content = zip_of(("text", b"abc" * 3000))
    space = len(host.content) if isinstance(free, str) else free
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as full:
        full.setattr(shutil, "disk_usage", lambda _: usage._replace(free=space))
        with pytest.raises(DataError, match=r"needs .* free some space, then fetch again"):
            fetch.fetch(tmp_path / "data", url=host.url)
    asked = len(host.asked)
    if space:
        folder = fetch.fetch(tmp_path / "data", url=host.url)
        assert files_below(folder) == ["text", "train_dataset.csv"]
        assert len(host.asked) == asked
    assert asked == 1


@pytest.mark.parametrize("step", ["unzip._extract", "fetch._move"])
def test_a_crash_while_unzipping_leaves_nothing_half_done(
    host: Host,
    tiny_zip: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    host.content = tiny_zip

    def crash(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(f"kadr.data.{step}", crash)
        with pytest.raises(DataError, match="No space left on device: free some space"):
            fetch.fetch(tmp_path / "data", url=host.url)
    assert not (tmp_path / "data").exists()
    fetch.fetch(tmp_path / "data", url=host.url)
    assert len(host.asked) == 1
    assert files_below(tmp_path)[0] == "data"
    assert dataset.load(tmp_path / "data", check_photos=True).skipped == ()


def test_a_folder_in_use_is_refused(host: Host, tiny_zip: bytes, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x", encoding="utf-8")
    with pytest.raises(DataError, match="isn't empty: name a new folder"):
        fetch.fetch(tmp_path, url=host.url)
    with pytest.raises(DataError, match="isn't empty: name a new folder"):
        fetch.fetch(tmp_path / "mine.txt", url=host.url)
    whole = write_archive(tmp_path / "whole", images=4)
    with pytest.raises(DataError, match="holds the archive already"):
        fetch.fetch(whole, url=host.url)
    assert host.asked == []


def test_the_current_folder_is_refused(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="name a new folder below it"):
        fetch.fetch(Path(), url=host.url)


def test_a_part_that_is_not_ours_is_left_alone(host: Host, tmp_path: Path) -> None:
    mine = tmp_path / "data.part" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("x", encoding="utf-8")
    with pytest.raises(DataError, match="is no unfinished download: move it"):
        fetch.fetch(tmp_path / "data", url=host.url)
    assert files_below(tmp_path) == ["data.part", "data.part/mine.txt"]
    (tmp_path / "more.part").write_text("x", encoding="utf-8")
    with pytest.raises(DataError, match="is in the way: move it"):
        fetch.fetch(tmp_path / "more", url=host.url)
    assert host.asked == []


@given(seed=st.integers(0, 2**32), flips=st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_a_damaged_zip_raises_nothing_but_data_errors(
    tmp_path_factory: pytest.TempPathFactory, seed: int, flips: int
) -> None:
    rng = random.Random(seed)
    content = bytearray(zip_of(("a/b.jpg", b"photo" * 9), ("a/c.jpg", b"other")))
    for _ in range(flips):
        content[rng.randrange(len(content))] = rng.randrange(256)
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "archive.zip").write_bytes(content)
    with suppress(DataError), fetch._disk_errors():
        unzip.unzip(folder / "archive.zip", folder / "unzipped", fetch.KEY_FILE)
    assert {path.name for path in folder.iterdir()} <= {"archive.zip", "unzipped"}
