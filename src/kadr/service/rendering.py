"""kadr's own types as visitors see them: numbers and names, never paths."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from kadr.law.proposals import Proposal
from kadr.law.review import Doubt
from kadr.library.catalogue import Album, Facets, Listing
from kadr.library.mapping import Cluster
from kadr.library.search import is_match, is_probable
from kadr.photos import films
from kadr.service.cursors import ListingCursors
from kadr.service.folder_names import FolderNames, text
from kadr.service.shapes import (
    AlbumShape,
    AnswerShape,
    AssessmentShape,
    ClusterShape,
    DoubtShape,
    ExplanationShape,
    FolderShape,
    HitShape,
    ListingShape,
    MapShape,
    PhotoShape,
    PlaceShape,
    ProposalShape,
    RequestShape,
    RulingShape,
    SuggestionShape,
    WordOnRecordShape,
    WordShape,
)
from kadr.service.visitors import RequestPolicy
from kadr.stores import Stored
from kadr.types import Answer, Assessment, Explanation, Hit, PhotoFacts, Place, Score


class Renderer:
    """Renders photos of one library."""

    def __init__(
        self, names: FolderNames, uploads: Path | None, public_id: Callable[[int], int]
    ) -> None:
        """`uploads` is the folder of photos that were added by upload."""
        self.names = names
        self._public_id = public_id
        self._uploads = uploads

    def photo(self, photo: Stored) -> PhotoShape:
        """A photo of the library."""
        return self._photo(photo.id, photo.digest, photo.paths, photo.facts)

    def _photo(
        self, number: int, digest: str, paths: Sequence[Path], facts: PhotoFacts
    ) -> PhotoShape:
        path, frame = films.file_of(paths[0]), films.frame_named(paths[0])
        uploaded = frame is None and self._uploads is not None and path.parent == self._uploads
        return PhotoShape(
            id=self._public_id(number),
            digest=digest,
            name=text(path.name),
            folder=self.names.name(path.parent),
            kind=facts.kind,
            width=facts.width,
            height=facts.height,
            taken=facts.taken,
            camera=facts.camera,
            latitude=facts.latitude,
            longitude=facts.longitude,
            place=_place(facts.place),
            copies=len(paths) - 1,
            uploaded=uploaded,
            at=None if frame is None else frame.at,
        )

    def listing(self, listing: Listing, cursors: ListingCursors) -> ListingShape:
        """A page of photos without a query."""
        photos = [self.photo(photo) for photo in listing.photos]
        return ListingShape(photos=photos, next=cursors.seal(listing.next))

    def answer(self, answer: Answer, law: RequestPolicy, cursors: ListingCursors) -> AnswerShape:
        """A page of an answer."""
        return AnswerShape(
            policy=law.policy.name,
            country=law.country,
            matches=answer.matches,
            at_least=answer.at_least,
            refused=answer.refused,
            notice=answer.notice,
            next=cursors.seal(answer.next),
            withheld=answer.withheld,
            suggestion=_suggestion(answer),
            hits=[self._hit(rank, hit, answer) for rank, hit in enumerate(answer.hits, start=1)],
        )

    def map(
        self, photos: int, clusters: Sequence[Cluster], covers: Mapping[int, Stored]
    ) -> MapShape:
        """A part of the map, as `Catalogue.map` tells of it."""
        return MapShape(
            photos=photos,
            clusters=[
                ClusterShape(
                    photos=one.photos,
                    latitude=one.latitude,
                    longitude=one.longitude,
                    box=",".join(map(_decimal, one.box)),
                    cover=self._public_id(one.cover),
                    place=_place(covers[one.cover].facts.place),
                )
                for one in clusters
                if one.cover in covers
            ],
        )

    def _hit(self, rank: int, hit: Hit, answer: Answer) -> HitShape:
        assert hit.facts is not None
        paths = (hit.image.path, *hit.copies)
        return HitShape(
            rank=rank,
            probability=hit.probability,
            similarity=hit.similarity,
            matches=is_match(answer, hit),
            probable=is_probable(answer, hit),
            on_record=[
                WordOnRecordShape(word=one.word, source=one.source, regions=list(one.regions))
                for one in hit.on_record
            ],
            moments=list(hit.moments),
            in_part=hit.in_part,
            photo=self._photo(int(hit.image.id), hit.image.digest, paths, hit.facts),
        )

    def folders(self, facets: Facets) -> list[FolderShape]:
        """The folders that photos can be filtered by."""
        counts = [(self.names.name(folder), count) for folder, count in facets.folders.items()]
        return [FolderShape(name=name, photos=count) for name, count in sorted(counts)]

    def albums(self, albums: Sequence[Album]) -> list[AlbumShape]:
        """Folders with their covers, by name."""
        shapes = [
            AlbumShape(
                name=self.names.name(one.folder),
                photos=one.photos,
                cover=self._public_id(one.cover),
            )
            for one in albums
        ]
        return sorted(shapes, key=lambda shape: shape.name.casefold())

    def doubt(self, doubt: Doubt, facts: PhotoFacts, waiting: Mapping[str, int]) -> DoubtShape:
        """A photo in the review queue; `waiting` are the numbers of all in it, by digest."""
        alike = [self._public_id(waiting[one]) for one in doubt.alike if one in waiting]
        return DoubtShape(
            photo=self._photo(doubt.photo, doubt.digest, doubt.paths, facts),
            assessment=_assessment(doubt.assessment) if doubt.assessment else None,
            ruling=RulingShape(**asdict(doubt.ruling)) if doubt.ruling else None,
            request=RequestShape(**asdict(doubt.request)) if doubt.request else None,
            alike=alike,
            proposal=self._proposal(doubt.proposal) if doubt.proposal else None,
        )

    def _proposal(self, proposal: Proposal) -> ProposalShape:
        return ProposalShape(
            photo=self._public_id(proposal.number),
            name=text(films.file_of(proposal.paths[0]).name),
            ruling=RulingShape(**asdict(proposal.ruling)),
        )


def _decimal(degrees: float) -> str:
    """Exactly so many degrees, without an exponent."""
    return np.format_float_positional(degrees, trim="0")


def _place(place: Place | None) -> PlaceShape | None:
    if place is None or not (place.said or place.names):
        return None
    return PlaceShape(said=list(place.said), english=list(place.names), russian=list(place.russian))


def _assessment(assessment: Assessment) -> AssessmentShape:
    return AssessmentShape(
        words=list(assessment.words),
        scene=assessment.scene,
        faces=None if assessment.faces is None else list(assessment.faces),
        failed=list(assessment.failed),
        probability=assessment.probability,
    )


def explanation(score: Score, why: Explanation) -> ExplanationShape:
    """A score and what speaks for it."""
    return ExplanationShape(
        probability=score.probability,
        similarity=score.similarity,
        words=[WordShape(word=one.word, effect=one.effect) for one in why.words],
        heat=None if why.heat is None else [list(row) for row in why.heat],
    )


def _suggestion(answer: Answer) -> SuggestionShape | None:
    return None if answer.suggestion is None else SuggestionShape(**asdict(answer.suggestion))
