"""Photos on a map: clusters of those that lie close together at a zoom (Web Mercator)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kadr.types import Box, Floats

CELLS = 4
"""Cells along the world's side at zoom 0, and twice as many at each further one: 64 pixels each."""
MOST = 1000
"""Clusters at once; where there would be more, they are those of a lesser zoom."""
_NORTHMOST = 85.0511287798066
"""Latitude at the edge of the square map; what lies beyond stands at the edge."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Photos close together: how many, their middle in degrees, the latest, and the box around."""

    photos: int
    latitude: float
    longitude: float
    cover: int
    box: Box


def clusters(numbers: NDArray[np.int64], places: Floats, box: Box, zoom: int) -> list[Cluster]:
    """The clusters of a part of the map, the largest first; a photo is in one of them.

    Cells are the same wherever the part begins, so that clusters stay while one moves about.

    Args:
        numbers: of photos [n].
        places: their latitudes and longitudes in degrees [n, 2].
        box: what part.
        zoom: 0 shows the world on 256 pixels, each further one twice as large.
    """
    there = inside(places, box)
    numbers, places = numbers[there], places[there]
    if not len(numbers):
        return []
    cells = _cells(places, zoom)
    while zoom and len(np.unique(cells)) > MOST:
        zoom -= 1
        cells = _cells(places, zoom)
    order = np.lexsort((numbers, cells))
    numbers, places, cells = numbers[order], places[order], cells[order]
    starts = np.flatnonzero(np.diff(cells, prepend=-1))
    counts = np.diff(starts, append=len(cells))
    middle = np.add.reduceat(places, starts) / counts[:, None]
    low, high = np.minimum.reduceat(places, starts), np.maximum.reduceat(places, starts)
    covers = numbers[starts + counts - 1]
    found = [
        Cluster(count, latitude, longitude, cover, (west, south, east, north))
        for count, (latitude, longitude), cover, (south, west), (north, east) in zip(
            counts.tolist(), middle.tolist(), covers.tolist(), low.tolist(), high.tolist(),
            strict=True,
        )
    ]  # fmt: skip
    return sorted(found, key=lambda one: -one.photos)


def inside(places: Floats, box: Box) -> NDArray[np.bool_]:
    """Which places lie in a box; west of its east where it crosses the date line."""
    west, south, east, north = box
    latitude, longitude = places.T
    from_west, to_east = longitude >= west, longitude <= east
    across = from_west & to_east if west <= east else from_west | to_east
    return np.asarray((latitude >= south) & (latitude <= north) & across)


def _cells(places: Floats, zoom: int) -> NDArray[np.int64]:
    """The cell of each place, by a number."""
    side = CELLS << zoom
    latitude = np.radians(np.clip(places[:, 0], -_NORTHMOST, _NORTHMOST))
    rows = (1 - np.arcsinh(np.tan(latitude)) / np.pi) / 2
    columns = (places[:, 1] + 180) % 360 / 360
    row, column = (np.clip((part * side).astype(np.int64), 0, side - 1) for part in (rows, columns))
    return row * side + column
