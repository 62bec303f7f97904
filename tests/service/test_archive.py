"""Several photos in one download: whole, named safely, and none that the law hides by then."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from kadr.library.library import Library
from kadr.matcher import bundle as matcher
from kadr.service import archive, keys
from kadr.service.app import create_app
from kadr.service.config import Service
from kadr.stores import open_store
from kadr.types import Filters
from libraries import assess, colour_matcher, paint
from shell import DISCLAIMER

API = "/api/v1"


@pytest.fixture
def service(tmp_path: Path) -> Service:
    """Give a library of five photos: three are of one name, the last is hidden."""
    model = matcher.save(colour_matcher(), tmp_path / "model")
    for seed, path in enumerate(("a/x.png", "b/X.png", "c/x.png", "a/y.png", "a/z.png")):
        paint(tmp_path / "photos" / path, seed)
    with Library.open(tmp_path / "library.kadr", model=model) as library:
        library.index([tmp_path / "photos"])
        store = library.store
        for number in store.matching(Filters()).tolist():
            (file,) = store.present([number])[number]
            assess(store, {number: 0.9 if file.name == "z.png" else 0.0})
    return Service(tmp_path / "library.kadr", model=model, anonymous=None, rate=None)


@pytest.fixture
def client(service: Service) -> Iterator[TestClient]:
    with TestClient(create_app(service), base_url="http://127.0.0.1") as opened:
        yield opened


def listed(client: TestClient) -> dict[str, int]:
    photos = client.get(f"{API}/photos").json()["photos"]
    return {f"{one['folder']}/{one['name']}": one["id"] for one in photos}


def hidden(service: Service) -> int:
    store = open_store(service.library)
    (number,) = [n for n, path in store.paths() if path.endswith(b"z.png") and n is not None]
    found = store.public_id(number)
    store.close()
    return found


def fetched(client: TestClient, *photos: int) -> zipfile.ZipFile:
    answer = client.get(f"{API}/archive", params={"photos": list(photos)})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    found = zipfile.ZipFile(io.BytesIO(answer.content))
    assert found.testzip() is None
    return found


def test_photos_are_whole_and_equal_names_get_numbers(client: TestClient, service: Service) -> None:
    known = listed(client)
    assert len(known) == 4
    found = fetched(client, *known.values(), *known.values())
    names = [name.casefold() for name in found.namelist()]
    assert sorted(names) == ["x (2).png", "x (3).png", "x.png", "y.png"]
    contents = {found.read(name) for name in found.namelist()}
    photos = Path(service.library).parent / "photos"
    wanted = {path.read_bytes() for path in photos.rglob("*.png") if path.name != "z.png"}
    assert contents == wanted


def test_what_the_law_hides_is_left_out_without_its_name(
    client: TestClient, service: Service
) -> None:
    secret, known = hidden(service), listed(client)
    found = fetched(client, secret, *known.values(), 987654321)
    assert found.read(archive.LEFT_OUT).decode().splitlines() == [
        DISCLAIMER, "There is no photo 987654321."
    ]  # fmt: skip
    assert len(found.namelist()) == 5
    answer = client.get(f"{API}/archive", params={"photos": str(secret)})
    assert (answer.status_code, answer.json()["detail"]) == (451, DISCLAIMER)


def test_a_photo_that_changed_meanwhile_is_left_out(client: TestClient, service: Service) -> None:
    known = listed(client)
    path = next(Path(service.library).parent.glob("photos/a/x.png"))
    paint(path, 77)
    found = fetched(client, *known.values())
    assert len(found.namelist()) == 4
    assert archive.LEFT_OUT in found.namelist()


@pytest.mark.parametrize(
    "photos", [[], [""], ["0"], ["x"], ["1,2"], ["9007199254740992"], ["1"] * 501]
)
def test_what_names_no_photos_is_refused(client: TestClient, photos: list[str]) -> None:
    assert client.get(f"{API}/archive", params={"photos": photos}).status_code == 422


def test_too_many_bytes_are_refused(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MOST_BYTES", 100)
    answer = client.get(
        f"{API}/archive", params={"photos": str(next(iter(listed(client).values())))}
    )
    assert answer.status_code == 413
    assert "Choose fewer" in answer.json()["detail"]


def test_a_path_is_told_at_home_alone(client: TestClient, service: Service) -> None:
    name, photo = next(iter(listed(client).items()))
    facts = client.get(f"{API}/photos/{photo}/facts").json()
    assert Path(facts["path"]) == Path(service.library).parent / name
    for elsewhere in ({"host": "photos.example"}, {"x-forwarded-for": "203.0.113.5"}):
        asked = client.get(f"{API}/photos/{photo}/facts", headers=elsewhere)
        assert asked.status_code != 200 or asked.json()["path"] is None
    given = keys.add(keys.of(service.library), "family", ["read", "write", "review"])
    locked = Service(**vars(service) | {"keys": keys.of(service.library)})
    with TestClient(create_app(locked), base_url="http://127.0.0.1") as other:
        bearer = {"Authorization": f"Bearer {given}"}
        facts = other.get(f"{API}/photos/{photo}/facts", headers=bearer).json()
    assert facts["path"] is None


def test_a_photo_handed_to_review_waits_there(client: TestClient) -> None:
    name, photo = next(iter(listed(client).items()))
    address = f"{API}/review/{photo}/appeal"
    assert client.post(address, json={"why": ""}).status_code == 422
    before = client.get(f"{API}/review").json()["waiting"]
    assert client.post(address, json={"why": "looks young"}).status_code == 204
    queue = client.get(f"{API}/review").json()
    assert queue["waiting"] == before + 1
    (found,) = [one for one in queue["photos"] if one["photo"]["id"] == photo]
    assert (found["request"]["kind"], found["request"]["why"]) == ("appealed", "looks young")
    assert name in listed(client)
