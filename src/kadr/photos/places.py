"""Where a photo was taken: coordinates in EXIF and XMP, if they are a place on Earth."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from PIL.ExifTags import GPS

_WRITTEN = re.compile(
    r"\s{0,9}(\d{1,3}(?:\.\d{1,12})?)(?:,(\d{1,2}(?:\.\d{1,12})?))?(?:,(\d{1,2}(?:\.\d{1,12})?))?"
    r"\s?([NSEWnsew])\s{0,9}",
    re.ASCII,
)
"""`55,45.1N` and `55,45,6N`, as XMP writes them."""
_ISO6709 = re.compile(
    r"([+-]\d{1,2}(?:\.\d{1,12})?)([+-]\d{1,3}(?:\.\d{1,12})?)(?:[+-/].{0,60})?", re.ASCII
)
"""`+55.7500+037.6200+144.2/`, as films write them: degrees."""
NOWHERE = 1e-4
"""So many degrees around 0, 0 are no place: cameras without a fix write that."""


def from_exif(gps: Mapping[int, Any]) -> tuple[float, float] | None:
    """Latitude and longitude in degrees north and east; None where they can't be believed."""
    return _place(
        _of_tag(gps.get(GPS.GPSLatitude), gps.get(GPS.GPSLatitudeRef), "NS"),
        _of_tag(gps.get(GPS.GPSLongitude), gps.get(GPS.GPSLongitudeRef), "EW"),
    )


def from_xmp(latitude: str, longitude: str) -> tuple[float, float] | None:
    """As `from_exif`."""
    return _place(_of_text(latitude, "NS"), _of_text(longitude, "EW"))


def from_iso6709(text: str) -> tuple[float, float] | None:
    """As `from_exif`, of degrees with signs (ISO 6709), as films write them."""
    match = _ISO6709.fullmatch(text[:100].strip())
    return _place(float(match[1]), float(match[2])) if match else None


def _place(latitude: float | None, longitude: float | None) -> tuple[float, float] | None:
    if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 180:
        return None
    if max(abs(latitude), abs(longitude)) < NOWHERE:
        return None
    return latitude, longitude


def _of_tag(value: object, side: object, sides: str) -> float | None:
    hemisphere = side.decode("latin-1") if isinstance(side, bytes) else side
    hemisphere = hemisphere.strip("\0 ").upper() if isinstance(hemisphere, str) else ""
    parts = value if isinstance(value, tuple) else (value,)
    try:
        return _degrees([float(part) for part in parts[:3]], hemisphere, sides)
    except (TypeError, ValueError, ArithmeticError):
        return None


def _of_text(text: str, sides: str) -> float | None:
    match = _WRITTEN.fullmatch(text[:60])
    if match is None:
        return None
    *parts, side = match.groups()
    return _degrees([float(part) for part in parts if part], side.upper(), sides)


def _degrees(parts: Sequence[float], hemisphere: str, sides: str) -> float | None:
    """Degrees, minutes and seconds as degrees, negative on the second of two sides."""
    if not parts or hemisphere not in tuple(sides):
        return None
    if not all(0 <= part <= 60 for part in parts[1:]) or not 0 <= parts[0] <= 180:  # false for NaN
        return None
    degrees = math.fsum(part / 60**place for place, part in enumerate(parts))
    return 0.0 - degrees if hemisphere == sides[1] else degrees
