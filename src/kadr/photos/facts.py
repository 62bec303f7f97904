"""What a photo's file says of it: when, where, with what, and in which words.

EXIF, IPTC, XMP, comments, and the file's name. What is broken is left out; nothing here makes a
photo unreadable.
"""

from collections.abc import Sequence
from datetime import datetime

from PIL import Image
from PIL.ExifTags import IFD, Base

from kadr.photos import dates, exif, iptc, places, xmp
from kadr.photos.metadata import Metadata
from kadr.photos.texts import LONGEST_NAME, Texts, line
from kadr.types import PhotoFacts, Place


def read(
    tags: Image.Exif,
    metadata: Metadata,
    kind: str,
    size: tuple[int, int],
    *,
    name: str = "",
    now: datetime | None = None,
) -> PhotoFacts:
    """The facts of a photo.

    Args:
        tags: its EXIF.
        metadata: what else its file says.
        kind: as `PhotoFacts.kind`.
        size: of the upright photo.
        name: of the file, which may hold a date.
        now: no photo is from a later moment; None: the clock's.
    """
    packet, records = xmp.parse(metadata.xmp), [iptc.parse(block) for block in metadata.iptc]
    words = _texts(tags, metadata, packet, records)
    place = places.from_exif(exif.directory(tags, IFD.GPSInfo)) or places.from_xmp(
        packet.values.get("GPSLatitude", ""), packet.values.get("GPSLongitude", "")
    )
    return PhotoFacts(
        kind,
        *size,
        taken=_taken(tags, packet, records, name, now),
        camera=camera(
            exif.text(exif.tag(tags, Base.Make)) or line(packet.values.get("Make", ""), 100),
            exif.text(exif.tag(tags, Base.Model)) or line(packet.values.get("Model", ""), 100),
        ),
        latitude=place[0] if place else None,
        longitude=place[1] if place else None,
        texts=words.all(),
        texts_complete=words.complete,
        place=_named(packet, records),
    )


def _named(packet: xmp.Xmp, records: Sequence[iptc.Iptc]) -> Place | None:
    """What the file calls the place, from the smallest name to the largest."""
    of_packet = (
        next((packet.values[key] for key in keys if key in packet.values), "")
        for keys in xmp.PLACES
    )
    said = [text for name in of_packet if (text := line(name, LONGEST_NAME))]
    said = said or next((list(one.places) for one in records if one.places), [])
    return Place(said=tuple(dict.fromkeys(said))) if said else None


def _texts(
    tags: Image.Exif, metadata: Metadata, packet: xmp.Xmp, records: Sequence[iptc.Iptc]
) -> Texts:
    words = Texts()
    words.complete = metadata.complete and packet.complete
    for source in (
        exif.words(tags),
        *(record.texts for record in records),
        packet.texts,
        metadata.comments,
    ):
        for text in source:
            words.add(text)
    return words


def _taken(
    tags: Image.Exif,
    packet: xmp.Xmp,
    records: Sequence[iptc.Iptc],
    name: str,
    now: datetime | None,
) -> str | None:
    """When the photo was taken, else digitised, else changed, by the first that can be believed."""
    details, said = exif.directory(tags, IFD.Exif), packet.values
    stated = [
        exif.text(details.get(Base.DateTimeOriginal)),
        said.get("DateTimeOriginal", ""),
        exif.text(details.get(Base.DateTimeDigitized)),
        *(said.get(key, "") for key in xmp.DATES[1:]),
        *(record.created for record in records),
        exif.text(exif.tag(tags, Base.DateTime)),
    ]
    moments = (dates.parse(text, now) for text in stated if text)
    return next(filter(None, moments), None) or dates.from_name(name, now)


def camera(make: str, model: str) -> str | None:
    """Make and model; of "NIKON CORPORATION" and "NIKON D90" the model says all."""
    first = model.casefold().split(maxsplit=1)[:1]
    named = first and first[0] in make.casefold().split()
    return (model if named else f"{make} {model}".strip()) or None
