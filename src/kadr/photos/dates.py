"""When a photo was taken: dates in EXIF, XMP, IPTC and in names of files, if they are plausible."""

import re
from datetime import datetime, timedelta

EARLIEST = 1826
"""The year of the oldest photo that is preserved."""

_CLOCK = r"(\d{1,2})[:.](\d\d)(?:[:.](\d\d))?(?:\.\d{1,9})?(?:\s?([AaPp])\.?[Mm]\b)?"
_WRITTEN = re.compile(
    rf"\s{{0,9}}(\d{{4}})[:/.-]\s?(\d{{1,2}})[:/.-]\s?(\d{{1,2}})(?!\d)(?:[T\s]\s{{0,3}}{_CLOCK}(?!\d))?",
    re.ASCII,
)
_COMPACT = re.compile(r"\s{0,9}(\d{4})(\d\d)(\d\d)(?:[T ]?(\d\d)(\d\d)(\d\d))?()(?!\d)", re.ASCII)
_NAMED = (
    # 20201018_123045, IMG-20201018-WA0007, PXL_20210503_101530123, 20201018123045
    re.compile(
        r"(?<!\d)((?:19|20)\d\d)(\d\d)(\d\d)(?:(?:[-_ T.]?(\d\d)(\d\d)(\d\d)\d{0,3})|(?!\d))()"
        r"(?!\d)",
        re.ASCII,
    ),
    # signal-2020-10-18-123045
    re.compile(
        r"(?<!\d)((?:19|20)\d\d)[-_.](\d\d)[-_.](\d\d)[-_ T](\d\d)(\d\d)(\d\d)()(?!\d)", re.ASCII
    ),
    # 2020-10-18 12.30.45, Screenshot 2021-05-03 at 10.15.30 AM, photo_2020-10-18_12-30-45
    re.compile(
        r"(?<!\d)((?:19|20)\d\d)[-_.](\d\d)[-_.](\d\d)(?!\d)"
        r"(?:(?:[-_T.]|,? {0,3}(?:\w{1,3}\.? )?)"
        r"(\d{1,2})[-_.:h](\d\d)(?:[-_.:m](\d\d))?(?:[\s\u202f]?([AaPp])[Mm])?(?!\d))?",
    ),
)


def parse(text: str, now: datetime | None = None) -> str | None:
    """The moment that metadata name, as ISO 8601 to the second; None where none can be believed.

    Zones are left out: it is the camera's local time. A date without a time is its midnight.

    Args:
        text: as EXIF, XMP or IPTC write it.
        now: later moments aren't believed; None: the clock's.
    """
    match = _WRITTEN.match(text) or _COMPACT.match(text)
    return _moment(match, now) if match else None


def from_name(name: str, now: datetime | None = None) -> str | None:
    """The moment in the name of a file, as `parse` gives it."""
    for pattern in _NAMED:
        for match in pattern.finditer(name[:255]):
            if moment := _moment(match, now):
                return moment
    return None


def _moment(match: re.Match[str], now: datetime | None) -> str | None:
    year, month, day, hour, minute, second, half = match.groups()
    hours = int(hour or 0)
    if half:
        hours = hours % 12 + 12 * (half in "pP")
    try:
        moment = datetime(int(year), int(month), int(day), hours, int(minute or 0))
    except ValueError:  # 0000:00:00, or digits that are no date
        return None
    moment += timedelta(seconds=min(int(second or 0), 59))
    latest = (now or datetime.now()) + timedelta(days=1)  # wherever on Earth the camera was
    return moment.isoformat() if moment.year >= EARLIEST and moment <= latest else None
