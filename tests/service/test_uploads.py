"""Uploads: where they are held and decoded, what they are called, what is said of those refused."""

import asyncio
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import HTTPException
from fastapi.testclient import TestClient
from PIL import Image

from kadr.errors import ImageError
from kadr.matcher import bundle as matcher
from kadr.service.app import create_app
from kadr.service.config import SCOPES, Service
from kadr.service.decoder import Decoder
from kadr.service.upload_form import Budget
from libraries import colour_matcher, paint

QUERY = "a red dog and a blue car"
BOUNDARY = "xxBOUNDARYxx"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return matcher.save(colour_matcher(), tmp_path_factory.mktemp("model") / "model")


@pytest.fixture
def client(model: Path, tmp_path: Path) -> Iterator[TestClient]:
    service = Service(
        tmp_path / "l.kadr", model=model, policy="none", anonymous=frozenset(SCOPES), rate=None,
        uploads=tmp_path / "uploads", most_bytes=6_000_000,
    )  # fmt: skip
    (tmp_path / "uploads").mkdir()
    with TestClient(create_app(service)) as opened:
        yield opened


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    return tmp_path / "uploads"


def noise(side: int = 1100) -> bytes:
    """A photo of more than a megabyte."""
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def painted(tmp_path: Path, seed: int) -> bytes:
    return paint(tmp_path / "painted" / f"{seed}.png", seed).read_bytes()


def add(client: TestClient, *files: tuple[str, bytes]) -> Any:
    return client.post("/api/v1/photos", files=[("photos", file) for file in files])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_sent_never_touches_the_disk(
    client: TestClient, uploads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rollover(_file: object) -> None:
        raise AssertionError("an upload was written to a temporary file")

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", rollover)
    content = noise()
    assert len(content) > 3_000_000
    scored = client.post("/api/v1/score", files={"picture": content}, data={"texts": ["a red dog"]})
    assert scored.status_code == 200
    found = client.post(
        "/api/v1/search",
        files={"pictures": content},
        data={"query": '{"parts": [{"picture": 0}]}'},
    )
    assert found.status_code == 200
    assert names(uploads) == []
    assert add(client, ("big.png", content)).status_code == 201
    assert names(uploads) == ["big.png"]


def test_all_uploads_together_are_bounded(client: TestClient, tmp_path: Path) -> None:
    content = painted(tmp_path, 1)
    held = client.app.state.resources  # type: ignore[attr-defined]
    held.uploads = Budget(100)
    answer = add(client, ("a.png", content))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert "Too much is uploaded" in answer.json()["detail"]
    held.uploads = Budget(len(content) + 1000)
    for number in range(3):  # what was held is given back
        assert add(client, (f"{number}.png", painted(tmp_path, number))).status_code == 201
    asyncio.run(asyncio.sleep(0))
    with pytest.raises(HTTPException):
        held.uploads.take(len(content) + 1001)
    held.uploads.take(len(content) + 1000)


def disposition(value: str) -> str:
    return f'form-data; name="photos"; {value}'


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ('filename="Grandma 1985.PNG"', "Grandma 1985.PNG"),
        ('filename="бабушка.png"', "бабушка.png"),
        ("filename*=UTF-8''%D0%B1%D0%B0%D0%B1%D0%B0.png", "баба.png"),
        ("filename=\"baba.png\"; filename*=UTF-8''%D0%B1%D0%B0%D0%B1%D0%B0.png", "баба.png"),
        ("filename*=UTF-8''..%2F..%2Fevil.png", "evil.png"),
        ("filename*=ISO-8859-1'fr'%E9t%E9.png", "été.png"),
        ('filename="=?utf-8?B?0LHQsNCx0LA=?=.png"', "=_utf-8_B_0LHQsNCx0LA=_=.png"),
        ('filename="=?utf-8?B?0LHQsNCx0LAucG5n?="', "баба.png"),
        ('filename="C:\\photos\\a.png"', "a.png"),
        ('filename=".."', "photo.png"),
    ],
)
def test_names_are_kept_as_clients_send_them(
    client: TestClient, tmp_path: Path, uploads: Path, parameters: str, name: str
) -> None:
    body = (
        f"--{BOUNDARY}\r\nContent-Disposition: {disposition(parameters)}\r\n\r\n".encode()
        + painted(tmp_path, 1)
        + f"\r\n--{BOUNDARY}--\r\n".encode()
    )
    answer = client.post(
        "/api/v1/photos",
        content=body,
        headers={"content-type": f"multipart/form-data; boundary={BOUNDARY}"},
    )
    assert answer.status_code == 201, answer.text
    (added,) = answer.json()["added"]
    assert added["name"] == name
    assert names(uploads) == [name]
    assert [path for path in tmp_path.rglob("*evil*") if path.parent != uploads] == []


def test_names_that_are_taken_and_contents_that_are_known(
    client: TestClient, tmp_path: Path, uploads: Path
) -> None:
    one, two = painted(tmp_path, 1), painted(tmp_path, 2)
    assert [p["name"] for p in add(client, ("a.png", one), ("a.png", two)).json()["added"]] == [
        "a.png", "a (2).png",
    ]  # fmt: skip
    again = add(client, ("other name.png", one)).json()["added"]
    assert [photo["name"] for photo in again] == ["a.png"]
    assert names(uploads) == ["a (2).png", "a.png"]


def test_strangers_bytes_are_decoded_in_the_limited_processes_alone(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Adding, explaining, showing, scoring: whatever opens an image here would fail."""

    def opened(*_given: object, **_named: object) -> None:
        raise AssertionError("decoded in the service's own process")

    for name in ("read", "decode"):
        monkeypatch.setattr(f"kadr.photos.images.{name}", opened)
    monkeypatch.setattr("kadr.photos.formats.open_image", opened)
    monkeypatch.setattr("PIL.Image.open", opened)
    content = painted(tmp_path, 1)
    (photo,) = add(client, ("a.png", content)).json()["added"]
    address = f"/api/v1/photos/{photo['id']}"
    why = client.get(f"{address}/explain", params={"q": QUERY})
    assert why.status_code == 200, why.text
    assert client.get(address, params={"size": "320"}).status_code == 200
    assert client.get(f"{address}/facts").json()["width"] == 16
    files, data = {"picture": content}, {"texts": [QUERY]}
    assert client.post("/api/v1/score", files=files, data=data).status_code == 200
    assert client.get(f"/api/v1/similar/{photo['id']}").status_code == 200


def test_a_success_never_adds_nothing(
    client: TestClient, tmp_path: Path, uploads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, read, is_late = painted(tmp_path, 1), Decoder.read, [True]

    def late(decoder: Decoder, path: Path, size: int, digest: str | None = None) -> Any:
        if is_late:
            raise ImageError("takes more than 10 s to decode")
        return read(decoder, path, size, digest)

    monkeypatch.setattr(Decoder, "read", late)
    answer = add(client, ("a.png", content), ("b.png", b"no photo"))
    assert answer.status_code == 422
    detail = answer.json()["detail"]
    assert "a.png: takes more than 10 s" in detail
    assert "b.png: not a readable photo" in detail
    assert [error["where"] for error in answer.json()["errors"]] == ["photos.0", "photos.1"]
    assert names(uploads) == []
    is_late.clear()  # it was no fault of the photo
    again = add(client, ("a.png", content), ("b.png", b"no photo"))
    assert again.status_code == 201, again.text
    assert [photo["name"] for photo in again.json()["added"]] == ["a.png"]
    assert [skipped["file"] for skipped in again.json()["skipped"]] == [1]


def test_fifty_megapixels_are_taken(model: Path, tmp_path: Path) -> None:
    service = Service(
        tmp_path / "l.kadr", model=model, policy="none", anonymous=frozenset(SCOPES),
        uploads=tmp_path / "uploads", seconds=60,
    )  # fmt: skip
    file = io.BytesIO()
    Image.new("RGB", (8160, 6144), "teal").save(file, "JPEG")
    (tmp_path / "uploads").mkdir()
    with TestClient(create_app(service)) as client:
        (photo,) = add(client, ("IMG_1.jpg", file.getvalue())).json()["added"]
    assert (photo["width"], photo["height"]) == (8160, 6144)
