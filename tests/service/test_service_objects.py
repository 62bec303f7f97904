"""Photos in object storage through the service: streamed, in parts, and never for long."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from encoded_photos import encoded
from kadr.law import review
from kadr.library.library import Library
from kadr.matcher import bundle as matcher
from kadr.photos import files, object_store
from kadr.photos.objects import located
from kadr.service import objects
from kadr.service.app import create_app
from kadr.service.config import SCOPES, Service
from kadr.types import Ruling
from libraries import colour_matcher, paint
from services import FAKES
from services import serving as running

PHOTOS = "/api/v1/photos"
SMALL = {"size": "320"}
COUNT = 3


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return matcher.save(colour_matcher(), tmp_path_factory.mktemp("model") / "model")


@pytest.fixture
def library(bucket: Any, model: Path, tmp_path: Path) -> Path:
    """Give a library of photos in the bucket, and one file here."""
    for seed in range(COUNT):
        path = paint(tmp_path / f"{seed}.bmp", seed, "BMP")
        bucket.upload_file(str(path), f"in/{path.name}")
    encoded(f"s3://{bucket.name}/in", tmp_path / "out", model)
    paint(tmp_path / "here" / "9.png", 9)
    with Library.open(tmp_path / "l.kadr", model=model) as opened:
        opened.load_encoded(str(tmp_path / "out"), at=located(f"s3://{bucket.name}/in"))
        opened.index([tmp_path / "here"])
    return tmp_path / "l.kadr"


@contextmanager
def serving(library: Path, model: Path, policy: str = "none", **options: Any) -> Iterator[Any]:
    service = Service(
        library, model=model, policy=policy, anonymous=frozenset(SCOPES), rate=None, **options
    )
    with TestClient(create_app(service)) as client:
        yield client


def addresses(client: TestClient) -> dict[str, str]:
    """Where each photo is, by its file's name."""
    photos = client.get(PHOTOS).json()["photos"]
    return {photo["name"]: f"{PHOTOS}/{photo['id']}" for photo in photos}


class Requests:
    """What was asked of the store."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO", "werkzeug")
        self._log = caplog

    def take(self) -> list[str]:
        """Methods and paths since the last time."""
        said = [record.getMessage().split('"')[1] for record in self._log.records
                if record.name == "werkzeug"]  # fmt: skip
        self._log.clear()
        return [line.rpartition(" HTTP")[0].replace("\x1b[35m", "").replace("\x1b[1m", "")
                for line in said]  # fmt: skip


def test_originals_and_smaller_copies(
    library: Path, model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asked, original = Requests(caplog), tmp_path / "0.bmp"
    with serving(library, model) as client:
        address = addresses(client)["0.bmp"]
        asked.take()
        found = client.get(f"{PHOTOS.rpartition('/')[0]}/search", params={"q": "a red dog"})
        assert found.status_code == 200
        assert len(found.json()["hits"]) == COUNT + 1
        assert asked.take() == []  # the store isn't asked for each hit
        whole = client.get(address)
        assert (whole.status_code, whole.content) == (200, original.read_bytes())
        assert whole.headers["etag"] == f'"{files.digest(original)}"'
        assert whole.headers["content-type"] == "image/bmp"
        asked.take()
        small = client.get(address, params=SMALL)
        assert [one.split()[0] for one in asked.take()] == ["HEAD", "GET"]
        assert (small.status_code, small.headers["content-type"]) == (200, "image/jpeg")
        assert small.content[:3] == b"\xff\xd8\xff"
        asked.take()
        again = client.get(address, params=SMALL)
        assert again.content == small.content
        assert [one.split()[0] for one in asked.take()] == ["HEAD"]
        known = {"If-None-Match": small.headers["etag"]}
        assert client.get(address, params=SMALL, headers=known).status_code == 304


@pytest.mark.parametrize(("cached_bytes", "requests"), [(100, 2), (64_000_000, 1)])
def test_smaller_copies_in_memory_are_bounded_by_bytes(
    library: Path, model: Path, caplog: pytest.LogCaptureFixture, cached_bytes: int, requests: int
) -> None:
    asked = Requests(caplog)
    with serving(library, model, cached_bytes=cached_bytes) as client:
        address = addresses(client)["0.bmp"]
        first = client.get(address, params=SMALL)
        asked.take()
        assert client.get(address, params=SMALL).content == first.content
        assert len(asked.take()) == requests


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ("bytes=0-9", slice(0, 10)),
        ("bytes=100-199", slice(100, 200)),
        ("bytes=-7", slice(-7, None)),
        ("bytes=5-", slice(5, None)),
    ],
)  # fmt: skip
def test_only_the_part_that_is_asked_for_is_fetched(
    library: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    asked: str, wanted: slice,
) -> None:  # fmt: skip
    """Piece by piece, each compared with what was indexed."""
    whole = (tmp_path / "1.bmp").read_bytes()
    fetched: list[int] = []
    part = object_store.part

    def counted(path: Any, state: Any, first: int, length: int) -> bytes:
        fetched.append(length)
        return part(path, state, first, length)

    monkeypatch.setattr(object_store, "part", counted)
    monkeypatch.setattr(objects, "PART", 64)
    with serving(library, model) as client:
        address = addresses(client)["1.bmp"]
        answer = client.get(address, headers={"Range": asked})
        assert (answer.status_code, answer.content) == (206, whole[wanted])
        assert sum(fetched) == len(whole[wanted])
        assert max(fetched) <= 64
        assert client.get(address, headers={"Range": "bytes=99999-"}).status_code == 416


@pytest.mark.parametrize("others", [{"Body": b"BM" + b"x" * 500}, None])
def test_what_changed_or_is_gone_is_not_sent(
    library: Path, model: Path, bucket: Any, others: dict[str, bytes] | None
) -> None:
    """Neither from the store nor, as a smaller copy, from memory."""
    with serving(library, model) as client:
        address = addresses(client)["0.bmp"]
        seen = client.get(address, params=SMALL)
        assert seen.status_code == 200
        if others is None:
            bucket.Object("in/0.bmp").delete()
        else:
            bucket.put_object(Key="in/0.bmp", **others)
        for asking in ({}, {"Range": "bytes=0-9"}, {"If-None-Match": seen.headers["etag"]}):
            for size in ({}, SMALL, {"size": "640"}):
                answer = client.get(address, params=size, headers=asking)
                assert answer.status_code == 404, (asking, size)
                assert "s3:" not in answer.text


def test_another_content_of_the_same_state_is_not_made_small(
    library: Path, model: Path, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its digest is compared: a store's time has whole seconds."""
    bucket.upload_file(str(paint(tmp_path / "other.bmp", 77, "BMP")), "in/0.bmp")
    monkeypatch.setattr(object_store, "is_same", lambda *_: True)
    with serving(library, model) as client:
        assert client.get(addresses(client)["0.bmp"], params=SMALL).status_code == 422


def test_a_change_while_it_is_sent_cuts_it_short(
    library: Path, model: Path, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "PART", 64)
    whole, part = (tmp_path / "0.bmp").read_bytes(), object_store.part

    def changing(path: Any, state: Any, start: int, length: int) -> bytes:
        if start == 128:
            bucket.put_object(Key="in/0.bmp", Body=b"x" * (len(whole) + 1))
        return part(path, state, start, length)

    monkeypatch.setattr(object_store, "part", changing)
    with serving(library, model) as client:
        assert client.get(addresses(client)["0.bmp"]).content == whole[:128]


def test_what_is_too_large_has_no_smaller_copy(
    library: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "MOST_WHOLE", 100)
    with serving(library, model) as client:
        address = addresses(client)["0.bmp"]
        assert client.get(address, params=SMALL).status_code == 422
        assert client.get(address).status_code == 200


def test_hidden_photos_are_451(
    library: Path, model: Path, bucket: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The law is asked first: nothing of them is fetched, and memory tells nothing."""
    asked, root = Requests(caplog), f"s3://{bucket.name}/in"
    with Library.open(library, model=model) as opened:
        for number in range(COUNT):
            digest = opened.store.digest_at(located(f"{root}/{number}.bmp"))
            assert digest is not None
            verdict = "hide" if number == 0 else "allow"
            ruling = Ruling(verdict, "test", "2026-01-01T00:00:00+00:00", "")  # type: ignore[arg-type]
            review.decide(opened.store, digest, ruling)
        hidden = opened.store.number(opened.store.digest_at(located(f"{root}/0.bmp")) or "")
        assert hidden is not None
        address = f"{PHOTOS}/{opened.public_id(hidden)}"
    with serving(library, model, "under-16") as client:
        assert "0.bmp" not in addresses(client)
        asked.take()
        for params in ({}, SMALL):
            assert client.get(address, params=params).status_code == 451
        assert asked.take() == []
        assert client.get(addresses(client)["1.bmp"], params=SMALL).status_code == 200


def test_the_real_command_shows_them(library: Path, model: Path, tmp_path: Path) -> None:
    """It finds the store by the environment, in a process of its own."""
    options = ("--model", model, "--policy", "none", "--seconds", "30")
    with running(library, *options, environment=FAKES) as service:
        with service.client() as client:
            photos = client.get(PHOTOS).json()["photos"]
            (address,) = (f"{PHOTOS}/{one['id']}" for one in photos if one["name"] == "0.bmp")
            assert client.get(address, params=SMALL).content[:3] == b"\xff\xd8\xff"
            part = client.get(address, headers={"Range": "bytes=2-9"})
        assert (part.status_code, part.content) == (206, (tmp_path / "0.bmp").read_bytes()[2:10])
        assert service.stop() == 0


@contextmanager
def elsewhere(monkeypatch: pytest.MonkeyPatch, address: str) -> Iterator[None]:
    """Have the store be somewhere else."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    object_store._kept.cache_clear()
    try:
        yield
    finally:
        object_store._kept.cache_clear()


def test_a_store_that_hangs_holds_nobody_else(
    library: Path, model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """More requests than threads wait for it; files and searches are answered meanwhile."""
    monkeypatch.setattr(object_store, "_SILENCE", 3.0)
    with socket.create_server(("127.0.0.1", 0), backlog=200) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with elsewhere(monkeypatch, address), serving(library, model, seconds=2.0) as client:
            places = addresses(client)
            answers: list[int] = []

            def ask(number: int) -> None:
                params = SMALL if number % 2 else {}
                answers.append(
                    client.get(places[f"{number % COUNT}.bmp"], params=params).status_code
                )

            threads = [threading.Thread(target=ask, args=(number,)) for number in range(24)]
            for thread in threads:
                thread.start()
            while not object_store._threads()._work_queue.qsize():
                time.sleep(0.01)  # all threads that read are held
            assert client.get(places["9.png"], params=SMALL).status_code == 200
            assert client.get(places["9.png"]).status_code == 200
            assert client.get("/api/v1/search", params={"q": "a dog"}).status_code == 200
            assert not answers or set(answers) == {503}
            for thread in threads:
                thread.join(60)
            assert answers == [503] * 24
    assert "object store" in caplog.text


def test_a_store_that_refuses(
    library: Path, model: Path, s3_server: str, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """What it says is in the log, without what was shown to it."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAWRONG")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SECRETWRONG")
    httpx.post(f"{s3_server}/moto-api/reset-auth", content=b"0", trust_env=False)
    try:
        with elsewhere(monkeypatch, s3_server), serving(library, model) as client:
            address = addresses(client)["0.bmp"]
            for params in ({}, SMALL):
                answer = client.get(address, params=params)
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "3")
                assert "s3:" not in answer.text
                assert "AWS" not in answer.text
    finally:
        httpx.post(f"{s3_server}/moto-api/reset-auth", content=b"inf", trust_env=False)
    said = str([vars(one) for one in caplog.records if one.name == "kadr.service"])
    assert "AWS Error" in said
    assert "WRONG" not in said
