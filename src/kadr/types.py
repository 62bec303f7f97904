"""Frozen dataclasses that steps share. No input or output."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from kadr.errors import MissingExtraError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pandas import DataFrame

AnyPath: TypeAlias = str | os.PathLike[str]
"""A path as callers may name it."""

Precision: TypeAlias = Literal["fp32", "fp16", "int8"]
"""Of a network's weights, where a model comes in several."""
if TYPE_CHECKING:
    Vectors: TypeAlias = NDArray[np.float32]
    """Rows are items, columns dimensions: float32 [n, dim]."""

    Floats: TypeAlias = NDArray[np.float64]
    """Any array of figures: float64."""

    Pixels: TypeAlias = NDArray[np.uint8]
    """An RGB picture, upright: uint8 [height, width, 3]."""
else:
    Vectors = Floats = Pixels = Any  # completion in a shell has no time to import numpy

Pair: TypeAlias = tuple[str, str]
"""(query, image)."""

Box: TypeAlias = tuple[float, float, float, float]
"""West, south, east, north in degrees; east is less than west where it crosses the date line."""

Region: TypeAlias = tuple[float, float, float, float]
"""Left, top, right and bottom in an upright picture, as fractions in [0, 1]."""

GRADES = (1, 2, 3, 4)
"""What an expert may say of a pair, from no to yes."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """One expert's word: does the text of `query` describe `image`? Grade 1 (no) to 4 (yes)."""

    query: str
    image: str
    rater: str
    grade: int


@dataclass(frozen=True, slots=True)
class Votes:
    """The crowd's word: how many people said yes and no to one (query, image) pair."""

    query: str
    image: str
    yes: int
    no: int


@dataclass(frozen=True, slots=True)
class Label:
    """What the judges of one pair say together: target in [0, 1], weight > 0."""

    query: str
    image: str
    target: float
    weight: float


@dataclass(frozen=True, slots=True)
class Query:
    """A text with an id, and the image that it was written for (None where unknown)."""

    id: str
    text: str
    image: str | None


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in an input: where, what, and what to do.

    Row 1 is the file's first line; row None means the whole file, column None the whole row.
    """

    file: str
    row: int | None
    column: str | None
    message: str


@dataclass(frozen=True, repr=False)
class Dataset:
    """The annotated archive, validated.

    `queries` maps the id of every training query whose text is known to the query.
    `images` maps an image's file name to its path, for training and test photos that can be read.
    `digests` maps each annotation file's name to its SHA-256.
    `skipped` lists what was left out, and why.
    """

    folder: Path
    queries: Mapping[str, Query]
    judgements: tuple[Judgement, ...]
    votes: tuple[Votes, ...]
    test_queries: tuple[Query, ...]
    train_images: Mapping[str, Path]
    test_images: Mapping[str, Path]
    digests: Mapping[str, str]
    skipped: tuple[Problem, ...]

    def __repr__(self) -> str:
        photos = len(self.train_images) + len(self.test_images)
        told = f"{photos:,} photos, {len(self.judgements):,} judgements, {len(self.votes):,} votes"
        return f"<Dataset {self.folder}: {told}>"


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A photo on disk: `id` (its path below the scanned folder), SHA-256 of its bytes, path."""

    id: str
    digest: str
    path: Path


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Picture:
    """A picture that lies in no file here: SHA-256 (hex) of its bytes, and what they show.

    `pixels` are as `kadr.photos.images` decodes them; `texts` is what the bytes say besides, as in
    `PhotoFacts`.
    """

    digest: str
    pixels: Pixels
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """What a place is called, from the town to the country; all empty in the open sea.

    `names` are in English, `russian` ones in Russian (a town's own name where that isn't known).
    `said` is what the photo's file calls it. `others` are further spellings of the town, and of the
    part of it that is nearest.
    """

    names: tuple[str, ...] = ()
    russian: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    def all(self) -> tuple[str, ...]:
        """Every name once."""
        return tuple(dict.fromkeys((*self.said, *self.names, *self.russian, *self.others)))


@dataclass(frozen=True, slots=True)
class PhotoFacts:
    """What a photo's file says of it. None where it says nothing that can be believed.

    `kind` is what the file is, whatever its name: "jpeg", "png", "webp", "gif", "tiff", "bmp",
    "avif", "heic", "raw", or "film" for a frame of one. `width` and `height` are pixels of the
    upright photo as it is stored.
    `taken` is ISO 8601 to the second in the camera's local time: when the photo was taken, else
    digitised, else changed, else what the file's name says. `latitude` in [-90, 90] and `longitude`
    in [-180, 180] are degrees north and east (WGS 84), both or neither. `texts_complete` is False
    where the file holds words about the photo that are broken, or more than are read. `place` is
    what the file calls the place, and what that at its coordinates is called, where kadr knows.
    """

    kind: str
    width: int
    height: int
    taken: str | None
    camera: str | None
    latitude: float | None
    longitude: float | None
    texts: tuple[str, ...] = ()
    texts_complete: bool = True
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What XMP files beside a photo's file say of the photo; as `PhotoFacts` where it says so.

    `state` is a list in JSON of their names, sizes in bytes and times of change in ns, in ASCII.
    `complete` is False where one is broken, can't be read, or holds more than is read.
    """

    state: str
    texts: tuple[str, ...] = ()
    complete: bool = True
    taken: str | None = None
    latitude: float | None = None
    longitude: float | None = None


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line of text that was read in a picture: how surely, in [0, 1], and where it stands."""

    text: str
    confidence: float
    region: Region


@dataclass(frozen=True, slots=True)
class PictureText:
    """The text in a picture, as an engine read it; `engine` names it with its version.

    `problem` says why it couldn't.
    """

    engine: str
    lines: tuple[TextLine, ...] = ()
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Filters:
    """What a photo must fulfil, all at once; a default asks for nothing.

    A photo that lacks what a filter asks for (no date, no place) doesn't pass it.

    after: taken at this moment or later, `YYYY-MM-DDTHH:MM:SS` in the camera's own time.
    before: taken earlier than this moment, in the same form; texts in that form sort by time.
    folder: the photo is below this folder.
    folders: the photo is below one of these folders; empty: wherever it is.
    camera: the camera's make and model hold this text, in any case.
    place: a name of the place where it was taken, or a word in one, begins like this, in any case.
    box: taken inside of it.
    near: latitude and longitude in degrees, distance in km: taken no farther from there.
    kind: the file's format, as `PhotoFacts.kind`.
    min_width, min_height: at least so many pixels, upright as the photo is shown.
    collection: the photo is in the collection of this name.
    """

    after: str | None = None
    before: str | None = None
    folder: Path | None = None
    camera: str | None = None
    near: tuple[float, float, float] | None = None
    kind: str | None = None
    min_width: int = 0
    min_height: int = 0
    collection: str | None = None
    folders: tuple[Path, ...] = ()
    place: str | None = None
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """A photo that was passed over, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and its bootstrap interval (95 % unless said otherwise)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure less that of another method on the same data, its 95 % interval, and p-value."""

    value: float
    low: float
    high: float
    p: float


Verdict: TypeAlias = Literal["show", "review", "hide"]
"""What becomes of a photo under a policy. One to be reviewed is hidden until a person spoke."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the layers of the law say of a photo, before any policy.

    `words` are the lemmas that name a child in the texts that belong to it. `scene` is the
    probability in [0, 1], from the photo's vector, that a person under 16 is in it. `faces` are
    apparent ages in years, youngest first; None where nobody looked. `failed` names the layers that
    should have spoken and couldn't. `probability` joins the layers. `version` names them all, so
    that another version's assessment is made anew.
    """

    words: tuple[str, ...]
    scene: float | None
    faces: tuple[float, ...] | None
    failed: tuple[str, ...]
    probability: float
    version: str


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a person decided about a photo: `allow` or `hide`, who, when (ISO 8601, UTC), and why.

    It outranks every assessment, and holds for the content, wherever it lies.
    """

    verdict: Literal["allow", "hide"]
    who: str
    when: str
    why: str


@dataclass(frozen=True, slots=True)
class Request:
    """Somebody's wish that a person looks at a photo again, open until a person has decided.

    `kind` is `appealed`, or `disputed`: a decision that contradicts the one in force. A disputed
    photo isn't shown.
    """

    kind: str
    who: str
    when: str
    why: str


@dataclass(frozen=True, slots=True)
class WordEffect:
    """A word of a query, and how much its presence adds to the log-odds of a match.

    None where without it nothing is left of the query that the matcher knows.
    """

    word: str
    effect: float | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a photo fits a query: the query's words in order, and the places of the photo.

    `heat` has rows from top to bottom of what each place adds to the cosine similarity; its sum is
    the similarity. None where the image encoder can't tell.
    """

    words: tuple[WordEffect, ...]
    heat: tuple[tuple[float, ...], ...] | None


Source: TypeAlias = Literal["text", "name", "folder", "camera", "date", "place", "picture"]
"""Where a word stands on a photo's record: in a title, caption or keyword in its file, in the
file's name, in a folder's, in the camera's, in the month and year, in what the place is called
where it was taken, or in the picture itself, as on a sign."""


@dataclass(frozen=True, slots=True)
class WordOnRecord:
    """A word of a query, and the best source in which it stands on a photo's record."""

    word: str
    source: Source
    regions: tuple[Region, ...] = ()
    """Of the lines that hold it, where it stands in the picture."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A found photo, or a frame of a film.

    `probability` of a match is in [0, 1], or None where the query is no single text, so that only
    likeness can be told. `similarity` is the cosine in the joint space, in [-1, 1]. `copies` are
    further files of the same content. `on_record`: the query's words, where all that tell something
    stand on the photo's record; it then matches whatever its probability. `in_part`: only most of
    them do, and `on_record` holds these.

    `at` is the second at which a film shows the frame, None for a photo; the image's path ends in
    it (`holiday.mp4#t=754.5`). `moments` are seconds of further frames of the film that match too,
    best first, which the answer leaves out.
    """

    image: ImageFile
    probability: float | None
    similarity: float
    copies: tuple[Path, ...] = ()
    facts: PhotoFacts | None = None
    explanation: Explanation | None = None
    on_record: tuple[WordOnRecord, ...] = ()
    at: float | None = None
    moments: tuple[float, ...] = ()
    in_part: bool = False


@dataclass(frozen=True, slots=True)
class Score:
    """Probability of a match in [0, 1], cosine similarity in [-1, 1]."""

    probability: float
    similarity: float


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A year or month that a query's words name, as filters, and the query without it.

    `after` and `before` are as people write them, 2021 or 2021-07.
    """

    query: str
    after: str
    before: str


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """Found photos, best first; `notice` says why something is missing.

    `withheld` is the policy's disclaimer where the library holds photos that the policy hides, and
    None where it holds none. It says so of the library, never of the query or the page: hidden
    photos leave before anything is ranked, counted or cut into pages.
    `refused`: the query asks for what the law hides, and `notice` is the disclaimer.

    `matches` is False where even the best hit is less probable than `at_least`: the hits are then
    the nearest there are. `next` is the cursor of the next page, None after the last one.

    `suggestion`: the query's words name a year or month of which the library shows photos, and the
    answer doesn't look at those alone.

    It iterates over its hits, and a notebook shows them as pictures: `render` makes its HTML.
    """

    hits: tuple[Hit, ...]
    notice: str | None = None
    matches: bool = False
    at_least: float | None = None
    next: int | None = None
    withheld: str | None = None
    refused: bool = False
    suggestion: Suggestion | None = None
    render: "Callable[[Answer], str] | None" = field(default=None, repr=False, compare=False)

    def __repr__(self) -> str:
        if not self.hits:
            return f"<Answer: no photo ({self.notice})>"
        best, sure = self.hits[0], self.hits[0].probability
        likely = f"{best.similarity:.2f} alike" if sure is None else f"{sure:.0%} sure"
        found = "nothing matches well" if not self.matches else f"{len(self.hits)} photos"
        return f"<Answer: {found}, first {best.image.path.name!r}, {likely}>"

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    def __getitem__(self, place: int) -> Hit:
        return self.hits[place]

    def to_frame(self) -> "DataFrame":
        """A row for each hit, best first.

        Raises:
            MissingExtraError: pandas isn't installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise MissingExtraError("A frame needs pandas: pip install pandas") from error
        return pandas.DataFrame([_row(hit) for hit in self.hits], columns=COLUMNS)

    def _repr_html_(self) -> str | None:
        return None if self.render is None else self.render(self)


COLUMNS = (
    *("path", "probability", "similarity", "taken", "camera", "kind", "width", "height"),
    *("latitude", "longitude", "copies", "on_record", "at"),
)
"""Of an answer's frame."""


def _row(hit: Hit) -> dict[str, object]:
    facts = hit.facts
    known = {} if facts is None else {name: getattr(facts, name) for name in COLUMNS[3:10]}
    own = {"path": str(hit.image.path), "probability": hit.probability}
    own |= {"similarity": hit.similarity, "copies": len(hit.copies)}
    return {**own, **known, "at": hit.at, "on_record": ", ".join(one.word for one in hit.on_record)}
