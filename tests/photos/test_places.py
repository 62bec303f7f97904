"""Coordinates in EXIF and XMP, and those that are no place."""

import math
from typing import Any

import pytest
from PIL.TiffImagePlugin import IFDRational

from kadr.photos import places


def gps(latitude: Any, longitude: Any, sides: str = "NE") -> dict[int, Any]:
    return {1: sides[0], 2: latitude, 3: sides[1], 4: longitude}


@pytest.mark.parametrize(
    ("tags", "place"),
    [
        (gps((33.0, 51.0, 27.0), (151.0, 12.0, 54.0), "SE"), (-33.8575, 151.215)),
        (gps((33.5,), (151.0, 12.9), "NW"), (33.5, -151.215)),
        (gps(33.5, 151.25), (33.5, 151.25)),
        (gps((0.0, 0.0, 0.0), (6.0, 0.0, 0.0)), (0.0, 6.0)),
        (gps((51.0, 28.0, 60.0), (0.0, 0.0, 0.0)), (51.483333, 0.0)),
        ({**gps((1.0,), (2.0,)), 1: "n\0", 3: b"E"}, (1.0, 2.0)),
        (gps((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)), None),
        (gps((0.0, 0.0, 0.1), (0.0, 0.0, 0.1)), None),
        (gps((91.0,), (1.0,)), None),
        (gps((90.0, 0.0, 1.0), (1.0,)), None),
        (gps((1.0,), (181.0,)), None),
        (gps((1.0, 61.0), (1.0,)), None),
        (gps((1.0, 1.0, 75.0), (1.0,)), None),
        (gps((-1.0,), (1.0,)), None),
        (gps((1.0, -5.0), (1.0,)), None),
        (gps((math.nan,), (1.0,)), None),
        (gps((math.inf,), (1.0,)), None),
        (gps((IFDRational(1, 0), 0.0, 0.0), (1.0,)), None),
        (gps((IFDRational(0, 0), 0.0, 0.0), (1.0,)), None),
        (gps((1.0,), (1.0,), "EN"), None),
        (gps((), ()), None),
        (gps("1", "x"), None),
        (gps(None, (1.0,)), None),
        ({}, None),
    ],
)
def test_in_exif(tags: dict[int, Any], place: tuple[float, float] | None) -> None:
    assert places.from_exif(tags) == (pytest.approx(place, abs=1e-6) if place else None)


@pytest.mark.parametrize(
    ("latitude", "longitude", "place"),
    [
        ("55,45.1N", "37,37.2E", (55.751667, 37.62)),
        ("55,45,6N", "37,37,12E", (55.751667, 37.62)),
        ("33,51.45S", "151,12.9W", (-33.8575, -151.215)),
        ("55.75N", "37.62 e", (55.75, 37.62)),
        ("0,0.0N", "0,0.0E", None),
        ("95,0N", "37,0E", None),
        ("55,75N", "37,0E", None),
        ("55,45.1", "37,37.2", None),
        ("55,45.1E", "37,37.2N", None),
        ("1" * 1000 + "N", "37,0E", None),
        ("", "", None),
    ],
)
def test_in_xmp(latitude: str, longitude: str, place: tuple[float, float] | None) -> None:
    assert places.from_xmp(latitude, longitude) == (
        pytest.approx(place, abs=1e-5) if place else None
    )
