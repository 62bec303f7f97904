"""A photo library: one file that knows folders of photos, and answers queries.

For example:

    with Library.open() as library:
        library.index([Path("photos")])
        for hit in library.search("a dog runs on the beach").hits:
            print(f"{hit.probability:.0%}  {hit.image.path}")

The file is long because the interface for Python is one class; its methods only compose.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from kadr.errors import ImageError, LibraryError
from kadr.law import rules
from kadr.law.policy import Policy, refuses
from kadr.law.verdict import verdict
from kadr.library import queries
from kadr.library.queries import Expression
from kadr.library.search import Page, Searcher, check_encoder
from kadr.matcher import bundle as matcher
from kadr.matcher.bundle import Matcher
from kadr.photos import files, reader
from kadr.photos.reader import Reader
from kadr.stores import Store, Totals, open_store
from kadr.types import (
    Answer,
    Assessment,
    Explanation,
    Filters,
    Picture,
    Ruling,
    Score,
    Skipped,
)

if TYPE_CHECKING:  # a search imports neither Pillow nor what else only these need
    from PIL import Image

    from kadr.law.assessor import Assessor
    from kadr.law.copies import CopyFinder
    from kadr.law.review import Doubt
    from kadr.law.review import Outcome as ReviewOutcome
    from kadr.library.catalogue import Catalogue
    from kadr.library.duplicates import Group
    from kadr.library.ingest import IndexCallbacks, IndexResult
    from kadr.photos.folders import Entry
    from kadr.photos.ignore import Rules


class Library:
    """Photos of some folders, by one matcher, in one file. Use it from one thread."""

    def __init__(
        self, store: Store, model: Path | None, policy: Policy, read: Reader = reader.read
    ) -> None:
        """Use `Library.open`."""
        self._read = read
        self._store = store
        self._policy = policy
        self._model = model
        self._loaded: Matcher | None = None
        self._searcher: Searcher | None = None
        self._space: str | None = None

    @classmethod
    def open(
        cls,
        path: Path | None = None,
        *,
        model: Path | Matcher | None = None,
        policy: str | Policy = "none",
        country: str | None = None,
        create: bool = True,
        read: Reader = reader.read,
    ) -> Self:
        """Open a library, or make one.

        Args:
            path: its file; None: KADR_LIBRARY, else library.kadr in the user's data folder;
                `:memory:` lives as long as the object.
            model: a trained matcher or its folder; None: the one that the library was indexed
                with, `mini` for a new one.
            policy: what searches show: a policy, a preset's name, or the path of a policy file,
                which ends in .toml.
            country: chooses a policy in such a file; without it, the strictest one holds.
            create: False: a missing library is an error.
            read: opens photos; a service gives one whose memory and time are limited.

        Raises:
            LibraryError: the file is no library, or is missing.
            BundleError: the matcher can't be read.
            PolicyError: there is no such preset or file, or the file is wrong.
        """
        chosen = rules.load(policy, country) if isinstance(policy, str) else policy
        loaded = matcher.load(model) if isinstance(model, Path) else model  # before a file is made
        store = open_store(path or default_path(), create=create)
        library = cls(store, model if isinstance(model, Path) else None, chosen, read)
        library._loaded = loaded
        return library

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._store.close()

    @property
    def path(self) -> Path:
        """The library's file."""
        return self._store.path

    @property
    def store(self) -> Store:
        """The library's file, opened, for flows beside searching."""
        return self._store

    @cached_property
    def catalogue(self) -> "Catalogue":
        """Its photos as they may be seen, without a query."""
        from kadr.library.catalogue import Catalogue

        return Catalogue(self._store, self._policy)

    @property
    def matcher(self) -> Matcher:
        """What encodes and scores, loaded when first needed."""
        if self._loaded is None:
            noted = self._store.meta("model")
            named = self._model or (Path(noted) if noted else None)
            self._loaded = matcher.load(named or matcher.MINI)
        return self._loaded

    # Folders.

    def index(  # noqa: PLR0913 - options by name
        self,
        folders: Sequence[Path] = (),
        *,
        prune: bool = False,
        retry: bool = False,
        reread: bool = False,
        reencode: bool = False,
        callbacks: "IndexCallbacks | None" = None,
        on_wait: Callable[[], None] | None = None,
    ) -> "IndexResult":
        """Bring the library in step with folders; without any, with all that it knows.

        Only what is new or changed is read, and only contents that are new are encoded. Each
        batch is kept at once: stopped or killed, it goes on where it was.

        Args:
            folders: to add or to look at again.
            prune: forget the files that are gone; else they only leave the answers.
            retry: read again what couldn't be decoded.
            reread: read again what all files say of themselves; nothing is encoded for it.
            reencode: encode all photos again where they were encoded by another encoder.
            callbacks: report progress and each skipped file.
            on_wait: called once where another process is indexing this library.

        Raises:
            DataError: a folder isn't there or can't be read.
            LibraryError: the library can't be written, or its vectors are another encoder's.
        """
        from kadr.law.copies import CopyFinder
        from kadr.library import ingest
        from kadr.photos.folders import check

        chosen = [resolved(folder) for folder in folders] or list(self.folders)
        if not chosen:
            raise LibraryError("The library knows no folder yet. Name one: kadr index FOLDER")
        for folder in chosen if folders else ():
            if folder not in self.folders:  # a disk may be unplugged
                check(folder)
        with self._store.writing(on_wait):
            self._log_policy()
            model = str(self._model.resolve()) if self._model else self._store.meta("model")
            ingest.adopt(self._store, self.matcher, model or "", reencode=reencode)
            for folder in chosen if folders else ():
                self._store.add_folder(folder)
            assess = partial(self._assess, copies=CopyFinder(self._store))
            assessing = replace(callbacks or ingest.IndexCallbacks(), kept=assess, read=self._read)
            result = ingest.ingest(
                self._store,
                self.matcher,
                chosen,
                ingest.IndexOptions(prune=prune, retry=retry, reread=reread),
                assessing,
            )
            assess(self._due())
            return result

    def _due(self) -> list[int]:
        """Photos that nothing is on record of; under a law, of by the layers that it asks for."""
        version = self._assessor.version if self._policy.hides_children else None
        return self._store.unassessed(version)

    def _assess(self, photos: Sequence[int], copies: "CopyFinder") -> None:
        from kadr.law import assess as assessing

        if photos:
            assessing.assess(
                self._store, self._assessor, photos, self._log_assessed, copies, self._read
            )

    # What is logged.

    def _log_policy(self) -> None:
        from kadr.law import audit, review

        audit.in_force(self._store, self._policy, review.user())

    def _log_assessed(self, assessments: Mapping[str, Assessment]) -> None:
        from kadr.law import audit

        if audit.is_kept(self._store, self._policy):
            audit.assessed(self._store, self._policy, assessments.items())

    def _log_refused(self, answer: Answer, query: str) -> None:
        if answer.refused:
            from kadr.law import audit

            audit.refused(self._store, self._policy, query)

    @cached_property
    def _assessor(self) -> "Assessor":
        from kadr.law.assessor import Assessor

        unsure = (self._policy.review, self._policy.hide)
        return Assessor(self.matcher.image_encoder.name, self._policy.faces, unsure)

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders that were indexed."""
        return self._store.folders()

    @property
    def excluded(self) -> Mapping[Path, Sequence[str]]:
        """Patterns of what is left out, by the folder that they were given for."""
        return self._store.excluded()

    def exclude(self, folder: Path, patterns: Sequence[str]) -> None:
        """Leave out what patterns as in .gitignore match below a folder, from the next indexing on.

        They replace those given for this folder before; none: nothing is left out but what always
        is (`kadr.photos.ignore`).

        Raises:
            DataError: a pattern means nothing.
        """
        from kadr.photos.ignore import compiled

        compiled(patterns)
        with self._store.writing():
            self._store.exclude(resolved(folder), patterns)

    def rules(self, folder: Path) -> "Rules":
        """What indexing leaves out below a folder."""
        from kadr.library.changes import rules_for

        return rules_for(self._store, folder)

    def ignored(self) -> "Iterator[Entry]":
        """What indexing leaves out below the folders: ignored, of no supported format, unreadable.

        A folder that isn't there is passed over.
        """
        from kadr.library.changes import left_out

        return left_out(self._store)

    def remove(self, folder: Path) -> int:
        """Forget a folder; the number of files forgotten. Its photos stay where they are."""
        with self._store.writing():
            return self._store.remove(resolved(folder))

    def forget(self, photo: int, on_wait: Callable[[], None] | None = None) -> int:
        """Forget a photo; the number of files forgotten. They stay where they are."""
        with self._store.writing(on_wait):
            return self._store.forget(self._store.present([photo]).get(photo, ()))

    def photo_number(self, digest: str) -> int | None:
        """The number of the photo with this SHA-256; None where the library has none."""
        return self._store.number(digest)

    def public_id(self, number: int) -> int:
        """The id by which a photo is named outside: it tells nothing of the number."""
        return self._store.public_id(number)

    def by_public_id(self, id_: int) -> int:
        """The number of such an id, whether there is a photo of it or not."""
        return self._store.by_public_id(id_)

    # Review.

    def review_queue(self) -> "list[Doubt]":
        """Photos that wait for a person under this policy; see `kadr.law.review.queue`."""
        from kadr.law import review

        return review.queue(self._store, self._policy)

    def rule(self, digest: str, ruling: Ruling) -> "ReviewOutcome":
        """Put a person's decision on record; see `kadr.law.review.decide`."""
        from kadr.law import review

        return review.decide(self._store, digest, ruling)

    def withdraw(self, digest: str, who: str, why: str = "") -> None:
        """Take a decision back; see `kadr.law.review.withdraw`."""
        from kadr.law import review

        review.withdraw(self._store, digest, who, why)

    # Answers.

    def search(
        self,
        query: str | Expression,
        limit: int = 10,
        *,
        filters: Filters | None = None,
        cursor: int = 0,
        at_least: float | None = None,
        language: str = "en",
    ) -> Answer:
        """Photos that a query describes, best first.

        A query for what the policy hides gets the policy's disclaimer and no photo. While the
        library doesn't change, its order doesn't either: no page repeats or leaves out a photo.

        Args:
            query: a text in English or Russian, a picture, or a weighted sum of both, as
                `kadr.library.queries` describes them.
            limit: hits on a page.
            filters: which photos are looked at.
            cursor: 0, or `next` of the page before.
            at_least: the probability from which a photo counts as a match.
            language: of notices.

        Raises:
            KadrError: a query can't be understood.
            ImageError: its picture can't be read.
            LibraryError: the vectors are another encoder's, or it names a photo that isn't there.
        """
        page = Page(limit, filters, cursor, at_least, language)
        (answer,) = self.answers([(queries.expression(query), page)])
        return answer

    def answers(self, requests: Sequence[tuple[Expression, Page]]) -> list[Answer]:
        """What `search` answers to several queries, which are encoded together."""
        answers = self._search().answers(requests)
        for (query, _), answer in zip(requests, answers, strict=True):
            self._log_refused(answer, query.source)
        return answers

    def similar(
        self,
        photo: Path | int,
        limit: int = 10,
        *,
        filters: Filters | None = None,
        cursor: int = 0,
        language: str = "en",
    ) -> Answer:
        """Photos like a file anywhere, or like a photo of the library, which is left out.

        Photos that the policy hides are left out without a word; of one of them nothing is told.
        Raises as `search` does.
        """
        answer = self._search().similar(photo, Page(limit, filters, cursor, language=language))
        self._log_refused(answer, "a photo that is hidden")
        return answer

    def score(self, picture: Picture | int, texts: Sequence[str]) -> list[Score]:
        """How well each text matches a picture at hand, or a photo of the library.

        Raises:
            LibraryError: there is no photo of that number.
        """
        return self._search().score(picture, texts)

    def refuses(self, query: str | Picture | Path) -> bool:
        """Whether the policy refuses a text, or a picture of the visitor's, as a query.

        A picture is refused where the machine alone would hide it. The library's photos and rulings
        are left aside: an answer to somebody's picture must not tell whether the library hides it.

        Raises:
            ImageError: the picture can't be read.
        """
        if isinstance(query, str):
            return bool(refuses(self._policy, query))
        if not (self._policy.hides_children and self._policy.refuses_queries):
            return False
        from kadr.law.assess import FACE_SIDE
        from kadr.library.embedding import encoded, opened

        texts = query.texts if isinstance(query, Picture) else (query.stem,)
        vectors = encoded(self.matcher, self._store, [query])
        (assessment,) = self._assessor.assess([texts], vectors, [lambda: opened(query, FACE_SIDE)])
        return verdict(self._policy, assessment, None) == "hide"

    def explain(self, text: str, photo: int) -> tuple[Score, Explanation]:
        """How well a text matches a photo of the library, and why.

        Raises:
            LibraryError: there is no photo of that number.
        """
        from kadr.matcher import explain

        searcher = self._search()
        with self._store.reading():  # another process may be forgetting it
            (score,) = searcher.score(photo, [text])
            _, vectors = self._store.vectors([photo])
            known = self._store.stored(self._store.present([photo])).get(photo)
        pictures = [self._opener(known.paths[0], known.digest) if known else _unreadable]
        (why,) = explain.explain(self.matcher, text, self.matcher.images(vectors), pictures)
        return score, why

    def explained(self, query: str | Expression, answer: Answer) -> Answer:
        """The same answer, its hits with what speaks for them. A query of one text only."""
        from kadr.matcher import explain

        text = queries.expression(query).text
        if text is None or not answer.hits:
            return answer
        numbers = [int(hit.image.id) for hit in answer.hits]
        _, vectors = self._store.vectors(numbers)
        pictures = [self._opener(hit.image.path, hit.image.digest) for hit in answer.hits]
        whys = explain.explain(self.matcher, text, self.matcher.images(vectors), pictures)
        hits = zip(answer.hits, whys, strict=True)
        return replace(answer, hits=tuple(replace(hit, explanation=why) for hit, why in hits))

    def _opener(self, path: Path, digest: str) -> "Callable[[int], Image.Image]":
        """Opens a photo at a size, while its file is what was indexed."""
        return lambda size: self._read(path, size, digest)[0]

    def duplicates(self, on_progress: Callable[[int, int], None] | None = None) -> "list[Group]":
        """Groups of photos that are copies of one another, the one to keep first."""
        from kadr.library.duplicates import find_duplicates

        return find_duplicates(self._store, self._policy, on_progress)

    def set_distinct(self, photos: Sequence[Path], *, distinct: bool = True) -> None:
        """Remember that photos, by their files, are no duplicates; or take that back.

        Raises:
            LibraryError: one isn't in the library.
        """
        from kadr.library import duplicates

        with self._store.writing():
            duplicates.set_distinct(self._store, photos, distinct=distinct)

    def _search(self) -> Searcher:
        if self._searcher is None:
            if self._policy.hides_children:
                self._log_policy()
            check_encoder(self._store, self.matcher)
            self._searcher = Searcher(self.matcher, self._store, self._policy, self.refuses)
            self._space = self.matcher.alignment.digest()
        if self._store.meta("space") not in {None, self._space}:  # another process may change it
            from kadr.library import ingest

            with self._store.writing():
                check_encoder(self._store, self.matcher)
                ingest.fit(self._store, self.matcher)
        return self._searcher

    # What it is made of.

    @property
    def encoder(self) -> str | None:
        """Whose vectors it holds; None while it is empty."""
        return self._store.meta("encoder")

    @property
    def policy(self) -> Policy:
        """Which policy its searches follow."""
        return self._policy

    def totals(self) -> Totals:
        """How much there is."""
        return self._store.totals()

    def problems(self) -> list[Skipped]:
        """The files that couldn't be read, and why."""
        return self._store.problems()

    def verify(self, on_progress: Callable[[int, int], None] | None = None) -> Iterator[str]:
        """What is wrong: in its file, then files whose content changed. Reads every file again."""
        from kadr.library.verify import verify as flow

        return flow(self._store, on_progress)


def _unreadable(_size: int) -> "Image.Image":
    raise ImageError("is gone")


def default_path() -> Path:
    """KADR_LIBRARY, else library.kadr in the user's data folder."""
    named = os.environ.get("KADR_LIBRARY")
    if named:
        return Path(named)
    from platformdirs import user_data_path

    return user_data_path("kadr") / "library.kadr"


def resolved(folder: Path) -> Path:
    """The one name of a folder, whichever way it was reached, in whichever Unicode form."""
    try:
        return files.spelled(folder.expanduser().resolve())
    except (OSError, RuntimeError) as error:
        raise LibraryError(f"{folder}: can't be followed ({error}). Name another.") from error
