"""What a visitor sees of two services whose libraries differ in photos that the law hides: nothing.

`tests/law/test_law.py` asks the library the same; here it is the whole answer, headers included.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from kadr.library.library import Library
from kadr.matcher import bundle as matcher
from kadr.photos.files import digest
from kadr.service.app import create_app
from kadr.service.config import Scope, Service
from kadr.stores import open_store
from libraries import assess, colour_matcher, paint

API = "/api/v1"
SEEDS = range(14)
HIDDEN = {3}
"""Both libraries hide this one; the other one hides these too, between its neighbours."""
READ: frozenset[Scope] = frozenset({"read"})
MORE = {20: "photos/new/00a.png", 21: "photos/apart/05b.bmp", 22: "photos/old/99.gif"}
"""Formats and a folder that no other photo has."""
VARYING = {"date", "x-request-id"}
"""Headers that no two answers share."""


@dataclass(frozen=True)
class Seen:
    """A service, and what it calls the photos that it shows, by their file names."""

    client: TestClient
    ids: Mapping[str, int]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Seen, Seen]]:
    home = tmp_path_factory.mktemp("hidden")
    model = matcher.save(colour_matcher(), home / "model")
    shown = {seed: f"photos/{'old' if seed % 2 else 'new'}/{seed:02}.png" for seed in SEEDS}
    one = library(home / "one", model, shown, HIDDEN)
    other = library(home / "other", model, shown | MORE, HIDDEN | MORE.keys())
    services = (Service(at, model=model, anonymous=READ, rate=None) for at in (one, other))
    first, second = (TestClient(create_app(service)) for service in services)
    with first, second:
        yield seen(first), seen(second)


def library(home: Path, model: Path, photos: Mapping[int, str], hidden: Set[int]) -> Path:
    """A library of painted photos; children are in those that are to be hidden."""
    for seed, path in photos.items():
        kind = Path(path).suffix[1:].upper()
        os.utime(paint(home / path, seed, kind), (1e9 + seed, 1e9 + seed))
    at = home / "library.kadr"
    with Library.open(at, model=model) as opened:
        opened.index([home / "photos"])
    store = open_store(at)
    for seed, path in photos.items():
        (number,) = store.numbers([bytes.fromhex(digest(home / path))])
        assess(store, {number: 0.9 if seed in hidden else 0.0})
    store.close()
    return at


def seen(client: TestClient) -> Seen:
    listed = client.get(f"{API}/photos", params={"n": 500}).json()["photos"]
    assert len(listed) == len(SEEDS) - len(HIDDEN)
    return Seen(client, {photo["name"]: photo["id"] for photo in listed})


def observed(service: Seen, asked: "Asked") -> list[tuple[int, object, dict[str, str]]]:
    """An answer, with photos by their names."""
    names = {str(number): name for name, number in service.ids.items()}

    def named(text: str) -> str:
        return re.sub(r"[0-9]+", lambda found: names.get(found[0], found[0]), text)

    path = re.sub("<(.*)>", lambda found: str(service.ids[found[1]]), asked.path)
    headers = dict(asked.headers)
    pages = []
    parameters = dict(asked.parameters)
    for _ in range(asked.pages):
        answer = service.client.get(path, params=parameters, headers=headers)
        told = {name: named(value) for name, value in answer.headers.items()}
        body: object = answer.content
        following = None
        if "json" in answer.headers.get("content-type", ""):
            told.pop("content-length", None)  # numbers of photos have different lengths
            found = answer.json()
            found.pop("request_id", None)
            following = found.get("next")
            found["next"] = following is not None
            body = named(json.dumps(found))
        pages.append((answer.status_code, body, {n: told[n] for n in told.keys() - VARYING}))
        if following is None:
            break
        parameters["cursor"] = following
    return pages


@dataclass(frozen=True)
class Asked:
    """A request, and how many pages of its answer; `<NAME>` in its path is that photo's number."""

    path: str
    parameters: Mapping[str, Any]
    headers: Mapping[str, str]
    pages: int


ON_RECORD = ["apart", "05b apart", "00a", "new 04", "old", "99"]
"""Words in the names of photos and folders, some of them of hidden ones alone."""
PHOTOS = [f"<{seed:02}.png>" for seed in SEEDS if seed not in HIDDEN]
PATHS = ["/search", "/photos", "/library", "/review", "/openapi.json", "/nothing"]


@st.composite
def requests(draw: st.DrawFn) -> Asked:
    photo = draw(st.sampled_from(PHOTOS))
    path = draw(
        st.sampled_from(
            [
                *(f"{API}{path}" for path in PATHS),
                f"{API}/photos/{photo}",
                f"{API}/photos/{photo}/facts",
                f"{API}/photos/{photo}/explain",
                f"{API}/similar/{photo}",
                "/health",
                "/ready",
            ]
        )
    )
    parameters = {
        "q": draw(
            st.sampled_from(["a red dog", "blue - 0.5:red", "zzz", "a little girl", "", *ON_RECORD])
        ),
        "n": draw(st.integers(1, 30)),
        "folder": draw(st.sampled_from([None, "photos/old", "photos/new", "photos/none"])),
        "kind": draw(st.sampled_from([None, "png", "jpeg"])),
        "at_least": draw(st.sampled_from([None, 0, 0.3, 1])),
        "lang": draw(st.sampled_from([None, "ru"])),
        "size": draw(st.sampled_from([None, "320"])),
    }
    headers = {
        "Accept-Language": draw(st.sampled_from([None, "ru", "de, en;q=0.5"])),
        "Range": draw(st.sampled_from([None, "bytes=0-9", "bytes=-5", "bytes=9999-"])),
        "If-None-Match": draw(st.sampled_from([None, "*", '"0"'])),
        "Accept-Encoding": draw(st.sampled_from([None, "gzip", "identity"])),
        "Origin": draw(st.sampled_from([None, "https://elsewhere.example"])),
        "X-Forwarded-For": draw(st.sampled_from([None, "198.51.100.7"])),
    }
    return Asked(
        path,
        {name: value for name, value in parameters.items() if value is not None},
        {name: value for name, value in headers.items() if value is not None},
        draw(st.integers(1, 4)),
    )


@settings(max_examples=150)
@given(asked=requests())
def test_no_answer_tells_what_is_hidden(both: tuple[Seen, Seen], asked: Asked) -> None:
    one, other = both
    assert observed(one, asked) == observed(other, asked)


def test_the_requests_reach_what_they_ask_for(both: tuple[Seen, Seen]) -> None:
    """Else equal refusals would prove nothing."""
    photo = "/photos/<00.png>"
    for path in ("/search", "/photos", "/library", photo, f"{photo}/facts", f"{photo}/explain",
                 "/similar/<00.png>"):  # fmt: skip
        for service in both:
            ((status, *_),) = observed(service, Asked(f"{API}{path}", {"q": "red", "n": 3}, {}, 1))
            assert status == 200, path
