"""Collections over REST: made, filled, named, searched; the law holds in each."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from kadr.law import review
from kadr.library.library import Library
from kadr.matcher import bundle as matcher
from kadr.service import keys
from kadr.service.app import create_app
from kadr.service.config import SCOPES, Service
from libraries import colour_matcher, paint
from postgres_servers import server

API = "/api/v1"
COLLECTIONS = f"{API}/collections"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return matcher.save(colour_matcher(), tmp_path_factory.mktemp("model") / "model")


@pytest.fixture(params=["file", "server"])
def service(request: pytest.FixtureRequest, model: Path, tmp_path: Path) -> Service:
    spec = server().empty() if request.param == "server" else str(tmp_path / "l.kadr")
    for seed in range(4):
        paint(tmp_path / "photos" / f"{seed}.png", seed)
    with Library.open(spec, model=model) as library:
        library.index([tmp_path / "photos"])
    return Service(spec, model=model, policy="none", anonymous=frozenset(SCOPES), rate=None)


@pytest.fixture
def client(service: Service) -> Iterator[TestClient]:
    with TestClient(create_app(service)) as opened:
        yield opened


def ids(client: TestClient, **filters: str) -> list[int]:
    listing = client.get(f"{API}/photos", params=filters)
    assert listing.status_code == 200, listing.text
    return [photo["id"] for photo in listing.json()["photos"]]


def put(client: TestClient, name: str, **change: list[int]) -> Any:
    answer = client.post(f"{COLLECTIONS}/{quote(name)}/photos", json=change)
    assert answer.status_code == 200, answer.text
    return answer.json()


def sizes(client: TestClient, **asked: int) -> dict[str, int]:
    told = client.get(COLLECTIONS, params=asked).json()["collections"]
    return {one["name"]: one["photos"] for one in told}


def test_favourites_from_the_first_star_to_the_last(client: TestClient) -> None:
    one, two, *_ = ids(client)
    assert sizes(client) == {}
    assert client.put(f"{COLLECTIONS}/favourites").json() == {"name": "favourites", "photos": 0}
    assert put(client, "favourites", add=[one, two, one]) == {"name": "favourites", "photos": 2}
    assert client.put(f"{COLLECTIONS}/favourites").json()["photos"] == 2, "it stays as it is"
    assert set(ids(client, collection="favourites")) == {one, two}
    (told,) = client.get(COLLECTIONS).json()["collections"]
    assert told["cover"] == ids(client, collection="favourites")[0], "the newest"
    query = {"q": "a red dog", "collection": "favourites"}
    found = client.get(f"{API}/search", params=query).json()["hits"]
    assert {hit["photo"]["id"] for hit in found} == {one, two}
    alike = client.get(f"{API}/similar/{one}", params={"collection": "favourites"}).json()["hits"]
    assert [hit["photo"]["id"] for hit in alike] == [two]
    assert sizes(client, photo=one) == {"favourites": 2}
    assert put(client, "favourites", add=[], remove=[one])["photos"] == 1
    assert sizes(client, photo=one) == {}
    assert client.delete(f"{COLLECTIONS}/favourites").status_code == 204
    assert sizes(client) == {}
    assert len(ids(client)) == 4


def test_a_new_name_in_any_script(client: TestClient) -> None:
    one, *_ = ids(client)
    name = "Лето & море, 100 % cafe\u0301"
    client.put(f"{COLLECTIONS}/a")
    put(client, "a", add=[one])
    renamed = client.patch(f"{COLLECTIONS}/a", json={"name": name}).json()
    assert renamed == {"name": name.replace("e\u0301", "\u00e9"), "photos": 1}
    assert ids(client, collection=name) == [one]
    assert client.get(f"{API}/photos", params={"collection": "a"}).status_code == 422


def test_a_hidden_photo_is_not_counted_nor_told_of(service: Service) -> None:
    with Library.open(service.library, model=service.model) as library:
        digests = sorted(photo.digest for photo in library.catalogue.newest(4).photos)
        for digest in digests[1:]:
            library.rule(digest, review.ruling("allow", "Anna", "a car"))
        hidden, shown = (
            library.public_id(library.photo_number(digest) or 0) for digest in digests[:2]
        )
    with TestClient(create_app(replace(service, policy="none"))) as open_:
        open_.put(f"{COLLECTIONS}/a")
        assert put(open_, "a", add=[hidden, shown])["photos"] == 2
    with TestClient(create_app(replace(service, policy="under-16"))) as client:
        assert sizes(client) == {"a": 1}
        assert ids(client, collection="a") == [shown]
        for change in ({"add": [shown, hidden]}, {"remove": [hidden]}):
            refused = client.post(f"{COLLECTIONS}/a/photos", json=change)
            assert refused.status_code == 451
        assert client.get(COLLECTIONS, params={"photo": hidden}).status_code == 451
    with TestClient(create_app(replace(service, policy="none"))) as open_:
        assert sizes(open_) == {"a": 2}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "told"),
    [
        ("PUT", "/a%2Fb", None, 404, "nothing here"),
        ("PUT", "/%20", None, 422, "is no name of a collection"),
        ("PUT", "/" + "a" * 101, None, 422, "is no name of a collection"),
        ("PUT", "/" + "a" * 201, None, 422, "at most 200"),
        ("PUT", "/a%0Ab", None, 422, "is no name of a collection"),
        ("DELETE", "/none", None, 404, "no collection"),
        ("PATCH", "/none", {"name": "b"}, 404, "no collection"),
        ("PATCH", "/there", {"name": "other"}, 409, "already"),
        ("PATCH", "/there", {"name": "a/b"}, 422, "is no name of a collection"),
        ("PATCH", "/there", {"name": ""}, 422, "at least 1"),
        ("POST", "/none/photos", {"remove": []}, 422, "name photos"),
        ("POST", "/there/photos", {"add": [7]}, 404, "no photo 7"),
        ("POST", "/there/photos", {"add": [0]}, 422, "greater than"),
        ("POST", "/there/photos", {"add": [2**53]}, 422, "less than"),
        ("POST", "/there/photos", {"add": [5], "remove": [5]}, 422, "at once"),
        ("POST", "/there/photos", {"add": list(range(1, 1002))}, 422, "at most 1000"),
    ],
)
def test_what_can_not_be_done_is_told(
    client: TestClient, method: str, path: str, body: object, status: int, told: str
) -> None:
    for name in ("there", "other"):
        client.put(f"{COLLECTIONS}/{name}")
    answer = client.request(method, COLLECTIONS + path, json=body)
    assert answer.status_code == status, answer.text
    assert told in answer.json()["detail"]
    assert sizes(client) == {"other": 0, "there": 0}


def test_a_collection_that_is_not_there_takes_no_photo(client: TestClient) -> None:
    one, *_ = ids(client)
    answer = client.post(f"{COLLECTIONS}/none/photos", json={"add": [one]})
    assert (answer.status_code, sizes(client)) == (404, {})


def test_there_are_not_too_many(
    client: TestClient, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kadr.library.collection.MOST", 2)
    for name in "ab":
        assert client.put(f"{COLLECTIONS}/{name}").status_code == 200
    assert client.put(f"{COLLECTIONS}/c").status_code == 409
    assert client.put(f"{COLLECTIONS}/a").status_code == 200


def test_changing_takes_the_scope_to_write(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    key = keys.add(file, "reader", ["read"])
    shut = replace(service, anonymous=None, keys=file)
    with TestClient(create_app(shut), headers={"Authorization": f"Bearer {key}"}) as client:
        assert client.get(COLLECTIONS).status_code == 200
        asked = {
            "PUT": ("/a", None),
            "PATCH": ("/a", {"name": "b"}),
            "DELETE": ("/a", None),
            "POST": ("/a/photos", {"add": [1]}),
        }
        for method, (path, body) in asked.items():
            assert client.request(method, COLLECTIONS + path, json=body).status_code == 403
