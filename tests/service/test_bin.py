"""The bin over REST: who may look into it, restore and empty it; the law holds there too."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from kadr.library.library import Library
from kadr.matcher import bundle as matcher
from kadr.service.app import create_app
from kadr.service.config import SCOPES, Scope, Service
from libraries import colour_matcher, paint

API = "/api/v1"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return matcher.save(colour_matcher(), tmp_path_factory.mktemp("model") / "model")


def served(
    model: Path, home: Path, scopes: frozenset[Scope] = frozenset(SCOPES), policy: str = "none"
) -> TestClient:
    (home / "uploads").mkdir(exist_ok=True)
    service = Service(
        home / "l.kadr", model=model, policy=policy, anonymous=scopes, rate=None,
        uploads=home / "uploads",
    )  # fmt: skip
    return TestClient(create_app(service))


@pytest.fixture
def client(model: Path, tmp_path: Path) -> Iterator[TestClient]:
    with served(model, tmp_path) as opened:
        yield opened


def add(client: TestClient, home: Path, name: str, seed: int) -> int:
    content = paint(home / "painted" / f"{seed}.png", seed).read_bytes()
    (photo,) = client.post(f"{API}/photos", files=[("photos", (name, content))]).json()["added"]
    return int(photo["id"])


def test_what_is_deleted_is_restored_or_gone(client: TestClient, tmp_path: Path) -> None:
    one, two = add(client, tmp_path, "one.png", 1), add(client, tmp_path, "two.png", 2)
    for photo in (one, two):
        assert client.delete(f"{API}/photos/{photo}").status_code == 204
    assert client.get(f"{API}/photos").json()["photos"] == []
    assert client.get(f"{API}/photos/{one}").status_code == 404
    rows = client.get(f"{API}/bin").json()["photos"]
    assert {(row["photo"], row["name"]) for row in rows} == {(one, "one.png"), (two, "two.png")}
    entry = next(row["id"] for row in rows if row["photo"] == one)
    left = client.post(f"{API}/bin/{entry}").json()["photos"]
    assert [row["photo"] for row in left] == [two]
    assert [photo["id"] for photo in client.get(f"{API}/photos").json()["photos"]] == [one]
    assert client.get(f"{API}/photos/{one}").status_code == 200
    assert client.post(f"{API}/bin/{entry}").status_code == 404
    assert client.delete(f"{API}/bin").status_code == 204
    assert client.get(f"{API}/bin").json()["photos"] == []
    assert [path.name for path in (tmp_path / "uploads").iterdir()] == ["one.png"]


def test_one_alone_is_deleted_for_good(client: TestClient, tmp_path: Path) -> None:
    client.delete(f"{API}/photos/{add(client, tmp_path, 'one.png', 1)}")
    (row,) = client.get(f"{API}/bin").json()["photos"]
    assert client.delete(f"{API}/bin/{row['id']}").status_code == 204
    assert client.delete(f"{API}/bin/{row['id']}").status_code == 404
    assert client.delete(f"{API}/bin/..%2F..").status_code in {404, 422}


def test_what_is_deleted_is_seen_small(client: TestClient, tmp_path: Path) -> None:
    client.delete(f"{API}/photos/{add(client, tmp_path, 'one.png', 1)}")
    (row,) = client.get(f"{API}/bin").json()["photos"]
    path = f"{API}/bin/{row['id']}/picture"
    seen = client.get(path)
    assert (seen.status_code, seen.headers["content-type"]) == (200, "image/jpeg")
    assert seen.headers["cache-control"] == "private, no-cache"
    with (
        Image.open(io.BytesIO(seen.content)) as small,
        Image.open(tmp_path / "painted/1.png") as whole,
    ):
        difference = np.asarray(small.convert("L"), int) - np.asarray(whole.convert("L"), int)
    assert np.abs(difference).mean() < 12
    assert client.get(path, headers={"If-None-Match": seen.headers["etag"]}).status_code == 304
    assert client.get(f"{API}/bin/{'a' * 32}/picture").status_code == 404
    # Another content in its place isn't what was deleted.
    (binned,) = (tmp_path / "uploads/.kadr-bin").rglob("*.png")
    paint(binned, 7)
    assert client.get(path).status_code == 422


def test_what_was_forgotten_has_no_picture(client: TestClient, model: Path, tmp_path: Path) -> None:
    client.delete(f"{API}/photos/{add(client, tmp_path, 'one.png', 1)}")
    with Library.open(tmp_path / "l.kadr", model=model) as library:
        library.store.forget([tmp_path / "uploads/one.png"])
    (row,) = client.get(f"{API}/bin").json()["photos"]
    assert row["photo"] is None
    assert client.get(f"{API}/bin/{row['id']}/picture").status_code == 404


def test_only_who_may_write_looks_into_it(model: Path, tmp_path: Path) -> None:
    one = f"/{'a' * 32}"
    with served(model, tmp_path, frozenset({"read"})) as reader:
        for method, path in (("GET", ""), ("GET", f"{one}/picture"), ("DELETE", ""), ("POST", one)):
            assert reader.request(method, f"{API}/bin{path}").status_code in {401, 403}


def test_originals_take_the_owner_s_leave(model: Path, tmp_path: Path) -> None:
    paint(tmp_path / "photos/mine.png", 5)
    with Library.open(tmp_path / "l.kadr", model=model) as library:
        library.index(tmp_path / "photos")
    with served(model, tmp_path) as client:
        (photo,) = client.get(f"{API}/photos").json()["photos"]
        refused = client.delete(f"{API}/photos/{photo['id']}")
        assert refused.status_code == 409
        assert "kadr library bin --originals" in refused.json()["detail"]
        assert not client.get(f"{API}/library").json()["deletes_originals"]
        with Library.open(tmp_path / "l.kadr", model=model) as library:
            library.allow_deleting(originals=True)
        assert client.get(f"{API}/library").json()["deletes_originals"]
        assert client.delete(f"{API}/photos/{photo['id']}").status_code == 204
        assert not (tmp_path / "photos/mine.png").exists()


def test_what_the_law_hides_isn_t_told_from_the_bin(model: Path, tmp_path: Path) -> None:
    with served(model, tmp_path) as client:
        photo = add(client, tmp_path, "a little boy.png", 3)
        client.delete(f"{API}/photos/{photo}")
        (row,) = client.get(f"{API}/bin").json()["photos"]
        picture = f"{API}/bin/{row['id']}/picture"
        tag = client.get(picture).headers["etag"]
    with served(model, tmp_path, policy="under-16") as client:
        assert client.get(f"{API}/bin").json()["photos"] == []
        refused = [client.get(picture, headers=held) for held in ({}, {"If-None-Match": tag})]
        assert [one.status_code for one in refused] == [404, 404]
        assert client.delete(f"{API}/bin").status_code == 204
    assert len(list((tmp_path / "uploads/.kadr-bin").rglob("*.png"))) == 1


@pytest.mark.parametrize("scope", ["read", "write"])
def test_one_scope_alone_does_not_do(model: Path, tmp_path: Path, scope: Scope) -> None:
    with served(model, tmp_path, frozenset({scope})) as client:
        for method, path in (("GET", "/bin"), ("DELETE", "/bin"), ("POST", f"/bin/{'a' * 32}")):
            assert client.request(method, API + path).status_code == 401, method
