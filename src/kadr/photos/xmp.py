"""XMP packets (ISO 16684-1), read by expat: one pass, bounded, without entities.

Properties are known by their local names, whatever the prefix, and in both of RDF's forms: elements
and attributes.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from xml.parsers import expat

from kadr.photos import texts
from kadr.photos.metadata import LIMIT

MOST_ELEMENTS = 250_000
"""Elements and attributes that are read of all packets; the rest counts as unread."""

TEXTS = frozenset(
    {"title", "description", "subject", "Headline", "hierarchicalSubject", "TagsList"}
    | {"LastKeywordXMP", "LastKeywordIPTC", "Keyword", "Keywords", "keywords"}
    | {"SupplementalCategories", "categories", "CatalogSets", "PersonInImage"}
    | {"PersonName", "PersonDisplayName", "PersonDescription", "People", "Event"}
    | {"Caption", "caption", "Notes", "notes", "Instructions", "UserComment"}
    | {"ImageDescription", "logComment", "AltTextAccessibility", "ExtDescrAccessibility"}
    | {"Location", "Sublocation", "LocationName", "City", "State", "ProvinceState"}
    | {"Country", "CountryName", "WorldRegion"}
    | {"EventName", "AddlModelInfo", "PersonCharacteristic", "AboutCvTerm", "CvTermName"}
    | {"AOTitle", "AOContentDescription", "AOContributionDescription", "AOPhysicalDescription"}
    | {"Label", "Category", "shotName", "comment"}
)
"""Local names whose values are words about the photo: Dublin Core, Photoshop, Lightroom, IPTC Core
and Extension with their names of places, persons and works of art, EXIF, TIFF, dynamic media, and
the vendors' own."""
AGES = frozenset({"ModelAge", "MinorModelAgeDisclosure"})
"""Local names of people's ages in years (IPTC Extension), or of PLUS's codes for them: AG-U14."""
_IN_REGIONS = frozenset({"Name", "Description"})
"""Words about the photo too, within a list of regions (Metadata Working Group, IPTC)."""
_REGIONS = frozenset({"Regions", "RegionInfo", "RegionList", "ImageRegion"})
_ITEM = re.compile(r"value|resource|li|_[0-9]{1,6}")
"""RDF's own attributes that hold the value of a property."""
_AGE = re.compile(r"(?<![0-9])[0-9]{1,3}(?![0-9])")
DATES = ("DateTimeOriginal", "DateCreated", "DateTimeDigitized", "CreateDate")
"""Local names of dates: the one to be believed most first."""
PLACES = (
    ("Sublocation", "Location"), ("City",), ("ProvinceState", "State"), ("CountryName", "Country"),
)  # fmt: skip
"""Local names of where a photo shows or was taken (IPTC Extension and Core, Photoshop), from the
smallest to the largest; of several of one size the first that is there."""
_VALUES = frozenset({*DATES, "GPSLatitude", "GPSLongitude", "Make", "Model"}).union(*PLACES)
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Xmp:
    """What packets say. `values` are single properties by their local names.

    `complete` is False where a packet is broken, has a document type, or is larger than is read.
    """

    texts: tuple[str, ...]
    values: dict[str, str]
    complete: bool


class _TooManyError(Exception):
    """More is there than is read."""


def parse(packets: Iterable[bytes]) -> Xmp:
    """Read packets. Time and memory grow with their length, up to `LIMIT` bytes of them."""
    reader = _Reader()
    left, complete = LIMIT, True
    for packet in packets:
        if len(packet) > left:
            complete = False
            break
        left -= len(packet)
        complete &= reader.read(_decode(packet))
    return Xmp(tuple(reader.texts), reader.values, complete)


class _Reader:
    """Collects properties while expat goes through a packet."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.values: dict[str, str] = {}
        self._elements = 0
        self._begin()

    def _begin(self) -> None:
        self._path: list[str] = []
        self._regions = 0
        self._wanted = ""
        self._depth = 0
        self._said: list[str] = []

    def read(self, packet: str) -> bool:
        """Whether the whole packet could be read."""
        self._begin()
        start, end = packet.find("<"), packet.rfind(">")
        if start < 0:
            return not packet.strip()
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.buffer_size = 2**16
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._data
        parser.StartDoctypeDeclHandler = _refuse
        try:
            parser.Parse(packet[start : end + 1], True)  # noqa: FBT003 - it takes no names
        except (expat.ExpatError, _TooManyError):
            self._keep()
            return False
        return True

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1 + len(attributes)
        if self._elements > MOST_ELEMENTS:
            raise _TooManyError
        self._keep()
        prefix, _, local = name.rpartition(":")
        self._path.append(local)
        self._regions += local in _REGIONS
        if not self._wanted and prefix != "rdf" and self._is_wanted(local):
            self._wanted, self._depth = local, len(self._path)
        for key, value in attributes.items():
            self._attribute(key, value)

    def _attribute(self, key: str, value: str) -> None:
        prefix, _, local = key.rpartition(":")
        if self._wanted and _ITEM.fullmatch(local):
            self._tell(self._wanted, value)
        elif prefix not in {"xml", "xmlns"} and self._is_wanted(local):
            self._tell(local, value)

    def _end(self, _name: str) -> None:
        self._keep()
        if len(self._path) == self._depth:
            self._wanted, self._depth = "", 0
        self._regions -= self._path.pop() in _REGIONS

    def _data(self, data: str) -> None:
        if self._wanted:
            self._said.append(data)

    def _keep(self) -> None:
        """Take what was said since the last tag."""
        if self._said:
            self._tell(self._wanted, "".join(self._said))
            self._said.clear()

    def _tell(self, local: str, value: str) -> None:
        if not value.strip():
            return
        if local in _VALUES:
            self.values.setdefault(local, value.strip()[:100])
        if local in AGES:
            self.texts += _aged(value)
        elif local in TEXTS or local not in _VALUES:
            self.texts.append(value)

    def _is_wanted(self, local: str) -> bool:
        if local in TEXTS or local in _VALUES or local in AGES:
            return True
        return self._regions > 0 and local in _IN_REGIONS


def _aged(value: str) -> list[str]:
    """What an age or its code says, in words as a caption has them; else the value itself."""
    ages = [int(age) for age in _AGE.findall(value)]
    return [f"{age} years old" if age else "0 months old" for age in ages] or [value]


def _refuse(*_: object) -> None:
    raise _TooManyError


def _decode(packet: bytes) -> str:
    """A packet in UTF-8, UTF-16 or UTF-32 as characters that XML allows."""
    head = packet[:4]
    if head in {b"\xff\xfe\0\0", b"\0\0\xfe\xff"}:
        text = packet.decode("utf-32", "replace")
    elif head[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        text = packet.decode("utf-16", "replace")
    elif len(head) == 4 and (head[1:] == b"\0\0\0" or head[:3] == b"\0\0\0"):
        text = packet.decode("utf-32-le" if head[0] else "utf-32-be", "replace")
    elif len(head) > 1 and not (head[0] and head[1]):
        text = packet.decode("utf-16-le" if head[0] else "utf-16-be", "replace")
    else:
        text = texts.decode(packet)
    return _FORBIDDEN.sub(" ", text)
