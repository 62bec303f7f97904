"""The service and the record: ids that say nothing, decisions of several, libraries to read only."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from starlette.testclient import TestClient

from kadr.errors import KadrError
from kadr.library.library import Library
from kadr.matcher import bundle as matcher
from kadr.service import keys
from kadr.service.app import create_app
from kadr.service.config import SCOPES, Service
from libraries import assess, colour_matcher, paint

COUNT = 12
QUERY = "a red dog and a blue car"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return matcher.save(colour_matcher(), tmp_path_factory.mktemp("model") / "model")


@pytest.fixture
def place(tmp_path: Path, model: Path) -> Path:
    """Give a library whose photos are shown, but for one that is hidden and one in doubt."""
    for seed in range(COUNT):
        paint(tmp_path / "photos" / f"{seed:02}.png", seed)
    path = tmp_path / "library.kadr"
    with Library.open(path, model=model) as library:
        library.index([tmp_path / "photos"])
        assess(library.store, dict.fromkeys(range(1, COUNT + 1), 0.0) | {3: 0.9, 4: 0.5})
    return path


def client(place: Path, model: Path, ring: Path | None = None) -> TestClient:
    service = Service(
        place,
        model=model,
        anonymous=frozenset() if ring else frozenset(SCOPES),
        rate=None,
        keys=ring,
    )
    return TestClient(create_app(service))


def ids(told: object) -> Iterator[int]:
    """All ids in an answer."""
    if isinstance(told, dict):
        if "digest" in told:
            yield told["id"]
        for value in told.values():
            yield from ids(value)
    elif isinstance(told, list):
        for value in told:
            yield from ids(value)


def test_ids_told_outside_say_nothing(place: Path, model: Path) -> None:
    """Neither how many photos there are, nor where one stands among them, nor that any is hidden."""
    with client(place, model) as visitor:
        listed = visitor.get("/api/v1/photos", params={"n": 50}).json()
        found = visitor.get("/api/v1/search", params={"q": QUERY, "n": 50}).json()
        queue = visitor.get("/api/v1/review").json()
        told = [*ids(listed), *ids(found)]
        assert len(set(told)) == COUNT - 2
        assert set(ids(listed)) == set(ids(found))
        waiting = list(ids(queue))
        assert len(waiting) == 1
        assert all(2**20 < one < 2**53 for one in [*told, *waiting])
        gaps = np.diff(np.sort(np.array(sorted(set(told)), np.float64)))
        assert gaps.min() > 2**20
        for one in told[:3]:
            assert visitor.get(f"/api/v1/photos/{one}/facts").json()["id"] == one
            similar = visitor.get(f"/api/v1/similar/{one}", params={"n": 50}).json()
            assert set(ids(similar)) == set(told) - {one}
            assert (
                visitor.get(f"/api/v1/photos/{one}/explain", params={"q": "red"}).status_code == 200
            )
            part = {"parts": [{"photo": one, "weight": 1}]}
            answer = visitor.post("/api/v1/search", data={"query": json.dumps(part)})
            assert answer.status_code == 200, answer.text
        for number in range(1, COUNT + 2):
            assert visitor.get(f"/api/v1/photos/{number}").status_code == 404
        assert visitor.get(f"/api/v1/photos/{waiting[0]}").status_code == 451


def test_two_keys_have_no_name_in_common(tmp_path: Path) -> None:
    ring = tmp_path / "keys.json"
    keys.add(ring, "Anna", ["read"])
    for name in ("Anna", " anna ", "ANNA"):
        with pytest.raises(KadrError, match="There is a key named"):
            keys.add(ring, name, ["review"])
    keys.add(ring, "Boris", ["read"])
    keys.remove(ring, "Anna")
    keys.add(ring, "anna", ["read"])
    assert [key.name for key in keys.read(ring)] == ["Boris", "anna"]


def test_several_reviewers_need_reasons_and_disputes_hide(place: Path, model: Path) -> None:
    ring = place.with_name("keys.json")
    headers = {
        name: {"Authorization": f"Bearer {keys.add(ring, name, ['read', 'review'])}"}
        for name in ("Anna", "Boris", "Clara")
    }
    with client(place, model, ring) as visitor:
        (waiting,) = ids(visitor.get("/api/v1/review", headers=headers["Anna"]).json())

        def decide(who: str, decision: str, why: str = "") -> tuple[int, str]:
            answer = visitor.post(
                f"/api/v1/review/{waiting}",
                json={"decision": decision, "why": why},
                headers=headers[who],
            )
            return answer.status_code, answer.json().get("outcome", answer.json().get("detail"))

        def status() -> int:
            return visitor.get(f"/api/v1/photos/{waiting}", headers=headers["Anna"]).status_code

        assert decide("Anna", "hide") == (200, "ruled")
        code, detail = decide("Boris", "withdraw")
        assert (code, "needs a reason" in detail) == (422, True)
        assert status() == 451
        assert decide("Boris", "withdraw", "it is a doll") == (200, "withdrawn")
        assert decide("Anna", "allow") == (200, "ruled")
        assert status() == 200
        assert decide("Boris", "hide") == (200, "disputed")
        assert status() == 451
        assert decide("Boris", "hide") == (200, "disputed")
        assert decide("Clara", "allow") == (200, "seconded")
        assert status() == 451
        assert decide("Clara", "allow", "it is a doll") == (200, "ruled")
        assert status() == 200
        assert visitor.get("/api/v1/review", headers=headers["Anna"]).json()["waiting"] == 0


def test_a_library_that_may_only_be_read_is_served(place: Path, model: Path) -> None:
    before = {path.name: path.read_bytes() for path in place.parent.iterdir() if path.is_file()}
    with (
        patch(
            "os.access",
            lambda path, mode: not (mode & os.W_OK and Path(path) in {place, place.parent}),
        ),
        client(place, model) as visitor,
    ):
        assert visitor.get("/ready").status_code == 200
        assert len(visitor.get("/api/v1/search", params={"q": QUERY}).json()["hits"]) == 10
        assert len(visitor.get("/api/v1/photos").json()["photos"]) == 10
        refused = visitor.get("/api/v1/search", params={"q": "a little girl"}).json()
        assert refused["refused"]
        (waiting,) = ids(visitor.get("/api/v1/review").json())
        answer = visitor.post(f"/api/v1/review/{waiting}", json={"decision": "hide", "why": ""})
        assert answer.status_code == 403
        assert answer.json()["detail"] == "This library may only be read."
    assert {p.name: p.read_bytes() for p in place.parent.iterdir() if p.is_file()} == before
