"""What requests and answers look like, with ranges: the OpenAPI document is made of these."""

from typing import Annotated, Literal, TypeAlias

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator

from kadr.service.config import Scope
from kadr.types import Source

MOST_TEXT = 300
"""Characters of a text: some hundred tokens at worst, which take half a second."""
MOST_TEXTS = 1000
"""Characters of all texts in one request."""
MOST_WORDS = 16
"""Words of a text that is explained: each costs an encoding of all the others."""
MOST_NAME = 200
"""Characters of a collection's name as it is sent; in Unicode's form NFC at most 100."""
MOST_CHANGED = 1000
"""Photos that are put into a collection, or taken out, by one request."""
MOST_NUMBER = 2**53 - 1
"""The greatest whole number that JSON's readers agree on."""

Number: TypeAlias = Annotated[int, Field(ge=1, le=MOST_NUMBER)]
Cursor: TypeAlias = Annotated[str, Field(min_length=1, max_length=40)]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


# Requests.


class PartShape(_Shape):
    """A term of a weighted sum: a text, a photo of the library, or an uploaded picture."""

    text: str | None = Field(default=None, min_length=1, max_length=MOST_TEXT, examples=["snow"])
    photo: Number | None = Field(default=None, description="A photo's id.")
    picture: int | None = Field(
        default=None, ge=0, le=3, description="Which of the uploaded `pictures`, from 0."
    )
    weight: float = Field(
        default=1.0, ge=-100, le=100, allow_inf_nan=False, description="Negative to subtract."
    )

    @model_validator(mode="after")
    def _one(self) -> "PartShape":
        if sum(given is not None for given in (self.text, self.photo, self.picture)) != 1:
            raise ValueError("name one of text, photo, picture")
        if self.weight == 0:
            raise ValueError("a weight of 0 adds nothing")
        return self


class FilterShape(_Shape):
    """Which photos are looked at, as the query parameters of the same names."""

    after: str | None = Field(default=None, max_length=30, examples=["2024-05"])
    before: str | None = Field(default=None, max_length=30, examples=["2025"])
    folder: str | None = Field(default=None, max_length=1000, examples=["Holidays/2024"])
    in_: str | None = Field(
        default=None,
        validation_alias=AliasChoices("in", "in_"),
        max_length=1000,
        description="The last names of a folder, in any case.",
        examples=["2021/summer"],
    )
    camera: str | None = Field(default=None, max_length=200, examples=["Canon"])
    near: str | None = Field(default=None, max_length=60, examples=["55.75,37.62,5"])
    kind: str | None = Field(default=None, max_length=10, examples=["jpeg"])
    min_size: str | None = Field(default=None, max_length=21, examples=["1920x1080"])
    collection: str | None = Field(default=None, max_length=MOST_NAME, examples=["favourites"])
    place: str | None = Field(default=None, max_length=200, examples=["berlin"])
    box: str | None = Field(default=None, max_length=100, examples=["13.0,52.3,13.8,52.7"])


class SearchShape(_Shape):
    """A weighted sum of texts and pictures, and which page of which photos is wanted."""

    parts: list[PartShape] = Field(min_length=1, max_length=16)
    n: int = Field(default=10, ge=1, le=200)
    cursor: Cursor | None = Field(default=None, description="`next` of the page before.")
    at_least: float | None = Field(default=None, ge=0, le=1)
    filters: FilterShape = FilterShape()
    without: list[Annotated[str, Field(min_length=1, max_length=MOST_TEXT)]] = Field(
        default=[], max_length=8, description="What photos must not show."
    )

    @model_validator(mode="after")
    def _added(self) -> "SearchShape":
        if all(part.weight < 0 for part in self.parts):
            raise ValueError("at least one part must be added")
        if sum(map(len, (*(part.text or "" for part in self.parts), *self.without))) > MOST_TEXTS:
            raise ValueError(f"the texts have more than {MOST_TEXTS} characters together")
        return self


class KeyShape(_Shape):
    """An API key."""

    key: str = Field(max_length=200)


class DecisionShape(_Shape):
    """What a person decided about a photo."""

    decision: Literal["allow", "hide", "withdraw"]
    why: str = Field(default="", max_length=2000, description="The reason, which is kept.")
    alike: Number | None = Field(
        default=None,
        description="The id of a near duplicate whose decision this one follows; the reason, which "
        "is kept, then names it.",
    )


class CollectionNameShape(_Shape):
    """A collection's new name."""

    name: str = Field(min_length=1, max_length=MOST_NAME, examples=["Holidays"])


class CollectionChangeShape(_Shape):
    """Photos, by their ids, that are put into a collection and taken out of it."""

    add: list[Number] = Field(default=[], max_length=MOST_CHANGED)
    remove: list[Number] = Field(default=[], max_length=MOST_CHANGED)

    @model_validator(mode="after")
    def _some(self) -> "CollectionChangeShape":
        if not self.add and not self.remove:
            raise ValueError("name photos to add or to remove")
        if set(self.add) & set(self.remove):
            raise ValueError("a photo can't be added and removed at once")
        return self


class AppealShape(_Shape):
    """A wish that a person looks at a photo again."""

    why: str = Field(min_length=1, max_length=2000, description="The reason, which is kept.")


# Answers.


class PlaceShape(_Shape):
    """What a place is called, from the smallest name to the largest."""

    said: list[str] = Field(description="By the photo's own file.")
    english: list[str] = Field(examples=[["Berlin", "Germany"]])
    russian: list[str] = Field(examples=[["Берлин", "Германия"]])


class PhotoShape(_Shape):
    """A photo of the library."""

    id: int = Field(ge=1)
    digest: str = Field(
        description="SHA-256 of its content; a frame's begins with its film's.",
        pattern="^[0-9a-f]{64}$",
    )
    name: str = Field(description="Its file's name.", examples=["beach.jpg"])
    folder: str = Field(description="Its folder, from the indexed one on.")
    kind: str = Field(examples=["jpeg"])
    width: int = Field(ge=1, description="Pixels, upright.")
    height: int = Field(ge=1, description="Pixels, upright.")
    taken: str | None = Field(description="ISO 8601, in the camera's local time.")
    camera: str | None
    latitude: float | None = Field(ge=-90, le=90)
    longitude: float | None = Field(ge=-180, le=180)
    place: PlaceShape | None = Field(description="What the place is called, where that is known.")
    copies: int = Field(ge=0, description="Further files of the same content.")
    uploaded: bool = Field(
        description="Whether it was added by upload; such photos can be deleted."
    )
    at: float | None = Field(
        ge=0, description="Of a frame of a film: the second that it is shown at; else null."
    )


class FactsShape(PhotoShape):
    """A photo of the library, and where it lies."""

    path: str | None = Field(
        description="Its file's path, on this machine, where nobody needs a key; else null."
    )


class WordShape(_Shape):
    """A word of a query."""

    word: str
    effect: float | None = Field(
        description="What it adds to the log-odds of a match; null: unknown."
    )


class ExplanationShape(_Shape):
    """Why a photo fits a text."""

    probability: float = Field(ge=0, le=1)
    similarity: float = Field(ge=-1.001, le=1.001)
    words: list[WordShape]
    heat: list[list[float]] | None = Field(
        description="What each place of the photo adds to the similarity, rows from the top."
    )


class WordOnRecordShape(_Shape):
    """A word of the query, and where it stands on a photo's record."""

    word: str = Field(examples=["wedding"])
    source: Source = Field(
        description="In a title, caption or keyword in its file (`text`), in its name, in a "
        "folder's, in the camera's, in month and year, in the place's, or in the picture itself; "
        "the first of these."
    )
    regions: list[tuple[float, float, float, float]] = Field(
        description="Of the lines that hold it, where it stands in the picture: left, top, right "
        "and bottom as fractions of the upright photo."
    )


class HitShape(_Shape):
    """A found photo."""

    kind: Literal["photo"] = "photo"
    rank: int = Field(ge=1, description="On this page.")
    probability: float | None = Field(
        ge=0, le=1, description="That the text describes it; null where the query is more than that"
    )
    similarity: float = Field(ge=-1.001, le=1.001, description="Cosine in the joint space.")
    matches: bool = Field(description="False: it is only among the nearest.")
    probable: bool = Field(description="A match whatever else the photo might show; else a maybe.")
    on_record: list[WordOnRecordShape] = Field(
        description="The query's words, where all that tell something stand on the photo's record: "
        "such photos come first, whatever their probability. Else empty, or see `in_part`."
    )
    moments: list[float] = Field(
        description="Seconds of further frames of the film that match, best first."
    )
    in_part: bool = Field(description="Only most of the words, those in `on_record`, stand there.")
    photo: PhotoShape


class SuggestionShape(_Shape):
    """A year or month that the query's words name: the query without it, and filters for it."""

    query: str
    after: str = Field(examples=["2021"])
    before: str = Field(examples=["2022"])


class AnswerShape(_Shape):
    """A page of found photos, best first."""

    policy: str
    country: str | None = Field(description="Whose rules apply; null: the strictest.")
    matches: bool = Field(description="False: nothing matches well, hits are the nearest there are")
    at_least: float | None = Field(description="The probability from which a hit counts.")
    refused: bool = Field(description="The query asks for what the law hides.")
    notice: str | None = Field(description="Why something is missing.")
    next: str | None = Field(description="The cursor of the next page; null after the last one.")
    withheld: str | None = Field(
        description="The policy's disclaimer where the library holds photos that the policy hides, "
        "whatever is asked for; null where it holds none."
    )
    suggestion: SuggestionShape | None = Field(
        description="Filters that the query's words ask for, if photos pass them; not applied."
    )
    hits: list[HitShape]


class ListingShape(_Shape):
    """Photos, newest first."""

    photos: list[PhotoShape]
    next: str | None = Field(description="The cursor of the next page; null after the last one.")


class ClusterShape(_Shape):
    """Photos close together on the map."""

    photos: int = Field(ge=1)
    latitude: float = Field(ge=-90, le=90, description="Of their middle.")
    longitude: float = Field(ge=-180, le=180)
    box: str = Field(
        description="The filter `box` that brings just these photos.",
        examples=["13.377,52.515,13.411,52.52"],
    )
    cover: int = Field(ge=1, description="The id of one of them.")
    place: PlaceShape | None = Field(description="What the place of that one is called.")


class MapShape(_Shape):
    """A part of the map."""

    photos: int = Field(ge=0, description="All that tell where they were taken, also elsewhere.")
    clusters: list[ClusterShape] = Field(description="The largest first.")


class LandShape(_Shape):
    """Where towns are: cells of half a degree, which draw the continents."""

    cells: list[int] = Field(
        description="Rows from the south pole on, 720 cells a row from the date line to the east; "
        "each number is how far it is from the last cell. Empty without the extra `places`."
    )


class MonthShape(_Shape):
    """How many photos were taken in a month."""

    month: str | None = Field(description="YYYY-MM; null: without a date.", examples=["2024-05"])
    photos: int = Field(ge=1)


class TimelineShape(_Shape):
    """Photos by month, the newest first, those without a date last."""

    months: list[MonthShape]


class StretchShape(_Shape):
    """Photos that follow each other in time."""

    photos: list[PhotoShape]


class SkippedShape(_Shape):
    """An uploaded file that wasn't added."""

    file: int = Field(ge=0, description="Which one, from 0.")
    reason: str


class AddedShape(_Shape):
    """What became of uploaded files."""

    added: list[PhotoShape]
    withheld: int = Field(ge=0, description="Added, and hidden by law.")
    skipped: list[SkippedShape]


class ScoreShape(_Shape):
    """How well a text matches a picture."""

    text: str
    probability: float = Field(ge=0, le=1)
    similarity: float = Field(ge=-1.001, le=1.001)


class ScoresShape(_Shape):
    """A score for each text, in their order."""

    scores: list[ScoreShape]


class FolderShape(_Shape):
    """A folder, and how many photos are in it or below it."""

    name: str
    photos: int = Field(ge=1)


class AlbumShape(FolderShape):
    """A folder that has photos of its own, and one of its photos."""

    cover: int = Field(ge=1, description="The id of its newest photo.")


class AlbumsShape(_Shape):
    """The folders that have photos of their own."""

    folders: list[AlbumShape]


class LibraryShape(_Shape):
    """What there is, and what the visitor may do.

    Hidden photos are counted for reviewers alone: what others see says nothing of them.
    """

    photos: int = Field(ge=0)
    folders: list[FolderShape]
    cameras: list[str]
    kinds: list[str]
    first_taken: str | None
    last_taken: str | None
    encoder: str | None
    policy: str
    hides: bool
    hidden: int | None = Field(
        ge=0, description="Photos that the policy hides, for whom may review; else null."
    )
    disclaimer: str
    scopes: list[Scope]
    keys: bool = Field(description="Whether the service asks for keys.")
    uploads: bool = Field(description="Whether photos can be added.")
    suffixes: list[str] = Field(description="Of files that can be read, but aren't images to most.")
    deletes_originals: bool = Field(
        description="Whether photos that weren't uploaded can be deleted too."
    )
    version: str


class BinnedShape(_Shape):
    """A deleted photo that is still there."""

    id: str = Field(pattern="^[0-9a-f]{32}$")
    name: str
    folder: str = Field(description="Where it lay, from the indexed folder on.")
    deleted: str = Field(description="ISO 8601, in UTC.")
    bytes: int = Field(ge=0)
    photo: int | None = Field(
        ge=1, description="The id that it had, and will have; null: the library has forgotten it."
    )


class BinShape(_Shape):
    """What was deleted and is still there, the latest first."""

    photos: list[BinnedShape]


class CollectionShape(_Shape):
    """A collection; hidden photos aren't counted."""

    name: str
    photos: int = Field(ge=0)


class CoveredCollectionShape(CollectionShape):
    """A collection, and a photo that stands for it."""

    cover: int | None = Field(
        ge=1, description="The newest of those that may be seen; null: there is none."
    )


class CollectionsShape(_Shape):
    """Collections, by name."""

    collections: list[CoveredCollectionShape]


class AssessmentShape(_Shape):
    """What the machine found about a photo, for the law."""

    words: list[str] = Field(description="In names and texts of the file.")
    scene: float | None = Field(description="Probability by what the photo shows.")
    faces: list[float] | None = Field(description="Apparent ages in years.")
    failed: list[str] = Field(description="Layers that couldn't speak.")
    probability: float = Field(ge=0, le=1)


class RulingShape(_Shape):
    """What a person decided."""

    verdict: Literal["allow", "hide"]
    who: str
    when: str
    why: str


class RequestShape(_Shape):
    """Somebody's wish that a person looks again."""

    kind: str
    who: str
    when: str
    why: str


class ProposalShape(_Shape):
    """What was decided about a near duplicate; nothing follows from it until a person decides."""

    photo: int = Field(ge=1, description="The near duplicate's id.")
    name: str
    ruling: RulingShape


class DoubtShape(_Shape):
    """A photo that waits for a person."""

    photo: PhotoShape
    assessment: AssessmentShape | None
    ruling: RulingShape | None
    request: RequestShape | None
    alike: list[int] = Field(description="Ids of near duplicates that wait too.")
    proposal: ProposalShape | None


class QueueShape(_Shape):
    """Photos that wait for a person, those first whose decision settles most."""

    waiting: int = Field(ge=0)
    sampled: int = Field(
        ge=0, description="Photos of the sample of what is shown that nobody has looked at yet."
    )
    photos: list[DoubtShape]


class OutcomeShape(_Shape):
    """What a decision did."""

    outcome: Literal["ruled", "seconded", "disputed", "unchanged", "withdrawn"]


class StatusShape(_Shape):
    """Whether the service is well."""

    status: Literal["ok", "ready"]
