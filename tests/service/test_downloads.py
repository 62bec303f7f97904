"""What is sent of a photo: only what was indexed, from folders of the library, by its digest."""

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from kadr.library.library import Library
from kadr.matcher import bundle as matcher
from kadr.photos import files
from kadr.service.app import create_app
from kadr.service.config import SCOPES, Service
from kadr.service.decoder import Decoder
from kadr.stores import NewFile, open_store
from libraries import colour_matcher, paint

SIZES: tuple[dict[str, str], ...] = ({}, {"size": "320"})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return matcher.save(colour_matcher(), tmp_path_factory.mktemp("model") / "model")


def index(library: Path, model: Path, *folders: Path) -> None:
    with Library.open(library, model=model) as opened:
        opened.index(folders)


@contextmanager
def serving(library: Path, model: Path, **options: Any) -> Iterator[TestClient]:
    service = Service(
        library, model=model, policy="none", anonymous=frozenset(SCOPES), rate=None, **options
    )
    with TestClient(create_app(service)) as client:
        yield client


def only(client: TestClient) -> str:
    """The address of the only photo there is."""
    (photo,) = client.get("/api/v1/photos").json()["photos"]
    return f"/api/v1/photos/{photo['id']}"


def bitmap(path: Path, seed: int) -> Path:
    """A photo in a format whose files are equally long whatever they show."""
    return paint(path, seed, "BMP")


@pytest.mark.parametrize("is_old", [False, True])
def test_other_content_of_the_same_size_and_time_is_not_sent(
    model: Path, tmp_path: Path, is_old: bool
) -> None:
    path = bitmap(tmp_path / "photos" / "a.bmp", 1)
    if is_old:
        os.utime(path, (1_500_000_000, 1_500_000_000))
    index(tmp_path / "l.kadr", model, tmp_path / "photos")
    before = path.stat()
    with serving(tmp_path / "l.kadr", model) as client:
        address = only(client)
        seen = client.get(address)
        assert seen.content == path.read_bytes()
        assert seen.headers["etag"] == f'"{files.digest(path)}"'
        bitmap(path, 2)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert path.stat().st_size == before.st_size
        for size in SIZES:
            answer = client.get(address, params=size)
            assert answer.status_code in {404, 422}, size
        index(tmp_path / "l.kadr", model, tmp_path / "photos")


def test_a_copy_that_was_made_of_what_was_indexed_is_still_sent(
    model: Path, tmp_path: Path
) -> None:
    bitmap(tmp_path / "photos" / "a.bmp", 1)
    index(tmp_path / "l.kadr", model, tmp_path / "photos")
    with serving(tmp_path / "l.kadr", model) as client:
        address = only(client)
        first = client.get(address, params={"size": "320"})
        again = client.get(
            address,
            params={"size": "320"},
            headers={"If-None-Match": first.headers["etag"]},
        )
        assert (first.status_code, again.status_code) == (200, 304)


def test_a_link_to_a_file_elsewhere_is_not_sent(model: Path, tmp_path: Path) -> None:
    outside = bitmap(tmp_path / "elsewhere" / "secret.bmp", 1)
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "link.bmp").symlink_to(outside)
    index(tmp_path / "l.kadr", model, photos)
    with serving(tmp_path / "l.kadr", model) as client:
        listed = client.get("/api/v1/photos").json()["photos"]
        for photo in listed:
            for size in SIZES:
                assert client.get(f"/api/v1/photos/{photo['id']}", params=size).status_code == 404
    index(tmp_path / "l.kadr", model, tmp_path / "elsewhere")  # now it is the library's
    with serving(tmp_path / "l.kadr", model) as client:
        (photo,) = client.get("/api/v1/photos").json()["photos"]
        assert client.get(f"/api/v1/photos/{photo['id']}").status_code == 200


def test_a_folder_that_became_a_link_is_not_sent_from(model: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    bitmap(photos / "trip" / "a.bmp", 1)
    index(tmp_path / "l.kadr", model, photos)
    (photos / "trip").rename(tmp_path / "elsewhere")
    (photos / "trip").symlink_to(tmp_path / "elsewhere")
    with serving(tmp_path / "l.kadr", model) as client:
        address = only(client)
        for size in SIZES:
            assert client.get(address, params=size).status_code == 404


@pytest.mark.parametrize("is_inside", [False, True])
def test_a_library_of_a_stranger_makes_no_file_a_photo(
    model: Path, tmp_path: Path, is_inside: bool
) -> None:
    """It may name any file and any folder, but not know what a file holds."""
    bitmap(tmp_path / "photos" / "a.bmp", 1)
    index(tmp_path / "l.kadr", model, tmp_path / "photos")
    secret = tmp_path / "home" / "id_rsa"
    secret.parent.mkdir()
    secret.write_text("PRIVATE KEY")
    store = open_store(tmp_path / "l.kadr", create=False)
    with store.writing():
        digest = bytes.fromhex(files.digest(tmp_path / "photos" / "a.bmp"))
        (tmp_path / "photos" / "a.bmp").unlink()
        state = secret.stat()
        store.keep([], [NewFile(secret, state.st_size, state.st_mtime_ns, digest)])
        if is_inside:
            store.add_folder(Path("/"))
    store.close()
    with serving(tmp_path / "l.kadr", model) as client:
        address = only(client)
        for size in SIZES:
            answer = client.get(address, params=size)
            assert answer.status_code in {404, 422}
            assert b"PRIVATE" not in answer.content
        explained = client.get(f"{address}/explain", params={"q": "a red dog"})
        assert explained.status_code == 404 or explained.json()["heat"] is None


def giant(path: Path, side: int) -> None:
    """A white PNG of side x side pixels, in a few kilobytes."""
    row = bytes(1 + side)
    packed = zlib.compress(row * side, 9)
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", packed), (b"IEND", b""))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
            for kind, body in chunks
        )
    )


def test_a_copy_that_takes_too_long_is_refused_with_its_reason(model: Path, tmp_path: Path) -> None:
    giant(tmp_path / "photos" / "poster.png", 8000)
    index(tmp_path / "l.kadr", model, tmp_path / "photos")
    with serving(tmp_path / "l.kadr", model, seconds=0.001) as client:
        address = only(client)
        answer = client.get(address, params={"size": "1600"})
        assert answer.status_code == 422
        assert "takes more than 0.001 s to decode" in answer.json()["detail"]
        assert "without size" in answer.json()["detail"]
        assert client.get(address).status_code == 200


def test_a_photo_that_goes_while_its_copy_is_made_is_gone(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = bitmap(tmp_path / "photos" / "a.bmp", 1)
    index(tmp_path / "l.kadr", model, tmp_path / "photos")
    made = Decoder.thumbnail

    async def late(self: Decoder, *arguments: Any) -> bytes:
        path.unlink()
        return await made(self, *arguments)

    monkeypatch.setattr(Decoder, "thumbnail", late)
    with serving(tmp_path / "l.kadr", model) as client:
        answer = client.get(only(client), params={"size": "320"})
        assert answer.status_code == 404
        assert "changed or is gone" in answer.json()["detail"]


def test_a_giant_has_a_copy(model: Path, tmp_path: Path) -> None:
    giant(tmp_path / "photos" / "poster.png", 8000)
    index(tmp_path / "l.kadr", model, tmp_path / "photos")
    with serving(tmp_path / "l.kadr", model, seconds=60) as client:
        address = only(client)
        answer = client.get(address, params={"size": "1600"})
        assert answer.status_code == 200
