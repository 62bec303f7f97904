"""Photos on a map: clusters hold each photo once, wherever on Earth it was taken."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadr.library.mapping import MOST, Cluster, clusters, inside
from kadr.types import Box, Floats

WORLD = (-180.0, -90.0, 180.0, 90.0)
PLACES = st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 180)), min_size=1, max_size=60)


def of(places: list[tuple[float, float]], zoom: int = 0, box: Box = WORLD) -> list[Cluster]:
    return clusters(np.arange(1, len(places) + 1), np.array(places).reshape(-1, 2), box, zoom)


@given(places=PLACES, zoom=st.integers(0, 20))
def test_each_photo_is_in_one_cluster_and_in_its_box(
    places: list[tuple[float, float]], zoom: int
) -> None:
    found, spots = of(places, zoom), np.array(places)
    assert sum(one.photos for one in found) == len(places)
    assert sum(int(inside(spots, one.box).sum()) for one in found) == len(places)
    for one in found:
        west, south, east, north = one.box
        assert south - 1e-9 <= one.latitude <= north + 1e-9
        assert west - 1e-9 <= one.longitude <= east + 1e-9
        assert inside(spots[one.cover - 1 : one.cover], one.box).all()


def test_what_is_apart_comes_apart_with_the_zoom() -> None:
    berlin, potsdam, tokyo = (52.52, 13.40), (52.40, 13.06), (35.68, 139.69)
    assert [one.photos for one in of([berlin, potsdam, tokyo], 2)] == [2, 1]
    assert [one.photos for one in of([berlin, potsdam, tokyo], 12)] == [1, 1, 1]


def test_parts_of_the_map_across_the_date_line() -> None:
    fiji, samoa, berlin = (-17.0, 179.0), (-13.8, -172.0), (52.5, 13.4)
    across = of([fiji, samoa, berlin], 8, (170.0, -30.0, -160.0, 0.0))
    assert sorted(one.longitude for one in across) == [-172.0, 179.0]
    assert of([fiji, samoa, berlin], 8, (-160.0, -30.0, 170.0, 0.0)) == []
    assert of([], 3) == []


def test_poles_and_the_date_line_are_places_too() -> None:
    found = of([(90.0, 0.0), (-90.0, 0.0), (0.0, 180.0), (0.0, -180.0)], 6)
    assert sum(one.photos for one in found) == 4


def test_there_are_never_too_many() -> None:
    spots: Floats = np.random.default_rng(0).uniform((-80, -180), (80, 180), (20_000, 2))
    found = clusters(np.arange(len(spots)), spots, WORLD, 20)
    assert len(found) <= MOST
    assert sum(one.photos for one in found) == len(spots)


@pytest.mark.parametrize("zoom", [2, 12])
def test_a_hundred_thousand_take_a_moment(zoom: int) -> None:
    spots: Floats = np.random.default_rng(0).normal((50, 10), (5, 8), (100_000, 2))
    started = time.process_time()
    clusters(np.arange(len(spots)), spots, WORLD, zoom)
    assert time.process_time() - started < 5, "a bound against minutes, not a measurement"
