"""A photo library: it knows folders of photos, and answers queries.

For example:

    with Library.open() as library:
        library.index([Path("photos")])
        for hit in library.search("a dog runs on the beach").hits:
            print(f"{hit.probability:.0%}  {hit.image.path}")

The file is long because the interface for Python is one class; its methods only compose.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeAlias, TypeVar

from kadr.errors import ImageError, KadrError, LibraryError
from kadr.law import rules
from kadr.law.policy import Policy, refuses
from kadr.law.verdict import hidden, verdict
from kadr.library import queries
from kadr.library.queries import Expression
from kadr.library.search import Page, Searcher, check_encoder
from kadr.matcher import bundle as matcher
from kadr.matcher.bundle import Matcher
from kadr.photos import files, films, ocr, reader
from kadr.photos.objects import is_object, located
from kadr.photos.reader import Reader
from kadr.stores import SWITCHING, Store, Totals, check_whole, default_spec, open_store
from kadr.types import (
    Answer,
    AnyPath,
    Assessment,
    Explanation,
    Filters,
    Hit,
    Picture,
    Ruling,
    Score,
    Skipped,
)

if TYPE_CHECKING:  # a search imports neither Pillow nor what else only these need
    from PIL import Image

    from kadr.encoders import ImageEncoder
    from kadr.law.assessor import Assessor
    from kadr.law.copies import CopyFinder
    from kadr.law.review import Doubt
    from kadr.law.review import Outcome as ReviewOutcome
    from kadr.library.catalogue import Catalogue
    from kadr.library.deletion import Binned
    from kadr.library.duplicates import Group
    from kadr.library.ingest import IndexCallbacks, IndexOptions, IndexResult
    from kadr.library.load import Loaded
    from kadr.library.reencode import Reencoded
    from kadr.library.transcribe import Transcribed
    from kadr.photos.folders import Entry
    from kadr.photos.ignore import Rules

Load: TypeAlias = Callable[[Path], Matcher]
"""Loads a matcher from its folder."""
Added = TypeVar("Added")
"""What was added to a library, counted."""


class Library:
    """Photos of some folders, by one matcher, in one store. Use it from one thread."""

    def __init__(
        self, store: Store, model: Path | Matcher | None, policy: Policy, read: Reader, load: Load
    ) -> None:
        """Use `Library.open`."""
        self._read = read
        self._load = load
        self._store = store
        self._policy = policy
        self._model = model
        self._loaded = model if isinstance(model, Matcher) else None
        self._searcher: Searcher | None = None
        self._space: str | None = None
        """The joint space of the searcher."""
        self._loaded_assessor: tuple[str | None, Assessor] | None = None
        self.calibration_problem: str | None = None
        """Why the library's own calibration of the law isn't used, once something was assessed."""

    @classmethod
    def open(  # noqa: PLR0913 - options by name
        cls,
        spec: AnyPath | None = None,
        *,
        model: AnyPath | Matcher | None = None,
        policy: AnyPath | Policy = "none",
        country: str | None = None,
        create: bool = True,
        read: Reader = reader.read,
        load: Load = matcher.load,
    ) -> Self:
        """Open a library, or make one.

        Args:
            spec: its file, or postgresql://USER@HOST/DATABASE; None: KADR_LIBRARY, else
                library.kadr in the user's data folder; `:memory:` lives as long as the object.
            model: a trained matcher, its folder, or the name of an installed model; None: the one
                that the library was indexed with, `mini` for a new one. Where another process
                switches the library to another model meanwhile, None follows it; a library that
                was opened with a model says that it no longer fits.
            policy: what searches show: a policy, a preset's name, or the path of a policy file,
                which ends in .toml.
            country: chooses a policy in such a file; without it, the strictest one holds.
            create: False: a missing library is an error.
            read: opens photos; a service gives one whose memory and time are limited.
            load: loads a matcher's folder; a service gives one that several libraries share.

        Raises:
            LibraryError: the file is no library, or is missing; the server can't be reached.
            BundleError: the matcher can't be read.
            PolicyError: there is no such preset or file, or the file is wrong.
        """
        chosen = policy if isinstance(policy, Policy) else rules.load(os.fspath(policy), country)
        if isinstance(model, str):
            from kadr.matcher import installed

            model = installed.resolve(model)
        elif isinstance(model, os.PathLike):
            model = Path(model)
        loaded = load(model) if isinstance(model, Path) else None  # before a file is made
        store = open_store(default_spec() if spec is None else os.fspath(spec), create=create)
        library = cls(store, model, chosen, read, load)
        library._loaded = loaded or library._loaded
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
        """Close the store."""
        self._store.close()

    def __repr__(self) -> str:
        try:
            photos, model = self._store.totals().photos, self._store.meta("model")
        except KadrError:  # it is closed
            return f"<Library {self.name}>"
        named = Path(model).name if model else matcher.MINI.name
        return f"<Library {self.name}: {photos:,} photos, {named}, policy {self._policy.name}>"

    @property
    def name(self) -> str:
        """Its spec without a password."""
        return self._store.name

    @property
    def file(self) -> Path | None:
        """Its file; None where it lives on a server or in memory."""
        return self._store.file

    @property
    def store(self) -> Store:
        """The library's memory, opened, for flows beside searching."""
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
            self._loaded = self._load(Path(noted) if noted else matcher.MINI)
        return self._loaded

    def _follow(self) -> None:
        """Let go of a matcher that the library named, where it names another one by now."""
        held = self._loaded
        if held is not None and self._model is None and not self._fits(held.alignment.digest()):
            self._loaded = None

    def _fits(self, space: str | None) -> bool:
        """Whether the library's vectors are the matcher's, and its scan is of this joint space."""
        encoder, noted = self._store.meta("encoder"), self._store.meta("space")
        return encoder in {None, self.matcher.image_encoder.name} and noted in {None, space}

    # Folders.

    def index(  # noqa: PLR0913 - options by name
        self,
        folders: AnyPath | Sequence[AnyPath] = (),
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
            folders: one or several, to add or to look at again.
            prune: forget the files that are gone; else they only leave the answers.
            retry: read again what couldn't be decoded.
            reread: read again what all files say of themselves; nothing is encoded for it.
            reencode: encode all photos again where they were encoded by another encoder. Searches
                use the vectors that are there until all photos that can be read have new ones.
                Without a model it goes on with what was stopped; with the one in force it forgets
                that.
            callbacks: report progress and each skipped file.
            on_wait: called once where another process is indexing this library.

        Raises:
            DataError: a folder isn't there, can't be read, or is in an object store.
            LibraryError: the library can't be written, or its vectors are another encoder's.
        """
        from kadr.library import ingest
        from kadr.photos.folders import check

        if isinstance(folders, (str, os.PathLike)):
            folders = (folders,)
        chosen = [resolved(folder) for folder in folders] or list(self.local_folders)
        if not chosen and self.folders:
            check(self.folders[0])  # says how objects are indexed
        if not chosen:
            raise LibraryError("The library knows no folder yet. Name one: kadr index FOLDER")
        for folder in chosen if folders else ():
            if is_object(folder) or folder not in self.folders:  # a disk may be unplugged
                check(folder)
        with self._writing(on_wait, () if reencode else chosen):
            self._log_policy()
            self._follow()
            if reencode and self._model is None and (pending := self._store.meta(SWITCHING)):
                self._loaded = self._load(Path(pending))
            given = replace(callbacks or ingest.IndexCallbacks(), read=self._read)
            again = self._adopt(given, reencode=reencode)
            for folder in chosen if folders else ():
                self._store.add_folder(folder)
            options = ingest.IndexOptions(prune=prune, retry=retry, reread=reread)
            result = self._ingest(chosen, options, given)
            return replace(result, reencoded=again.encoded, waiting=again.waiting)

    def load_encoded(
        self,
        encoded: str,
        *,
        at: AnyPath | None = None,
        callbacks: "IndexCallbacks | None" = None,
        on_wait: Callable[[], None] | None = None,
    ) -> "Loaded":
        """Add photos that `kadr encode` encoded: the same rows as by `index`, and none decoded.

        What the library knows is passed over. Stopped or killed, it goes on where it was.

        Args:
            encoded: folder or URL of what it wrote.
            at: the folder that holds the photos, or the URL that they were encoded from; None:
                where they were encoded from, if that lies in a folder of the library.
            callbacks: report progress and each skipped file.
            on_wait: called once where another process is indexing this library.

        Raises:
            DataError: there is nothing there, or not as `kadr encode` writes it; or the photos'
                folder isn't there, or holds none of them.
            LibraryError: the vectors are another encoder's, or the photos are in no folder of the
                library, and `at` is missing.
        """
        from kadr.library import ingest, load

        source = load.found(encoded, None if at is None else resolved(at), self.folders)
        about, place = source.about, source.place
        with self._writing(on_wait):
            self._log_policy()
            self._follow()
            load.check(about, self.matcher, encoded)
            given = replace(callbacks or ingest.IndexCallbacks(), read=self._read)
            self._adopt(given, reencode=False)
            if not about.listed or is_object(place.folder):
                self._store.add_folder(place.folder)
            return self._assessed(
                lambda callbacks, _: load.load(self._store, self.matcher, source, callbacks),
                [place.folder],
                given,
            )

    def check_encoded(self, encoded: str, at: Path | None = None) -> None:
        """Check what `load_encoded` would take, before a library is made for it.

        Raises:
            DataError, LibraryError: as `load_encoded` does.
        """
        from kadr.library import load

        source = load.found(encoded, None if at is None else resolved(at), self.folders)
        load.check(source.about, self.matcher, encoded)

    def read_texts(
        self,
        *,
        retry: bool = False,
        engine: str = ocr.DEFAULT,
        progress: Callable[[int, int], None] | None = None,
    ) -> "Transcribed":
        """Read the text in all photos in which this engine hasn't; searches then find its words.

        What is read is kept a few photos at a time: stopped or killed, it goes on where it was.

        Args:
            retry: try again where it couldn't be read.
            engine: what reads it, see `kadr.photos.ocr`.
            progress: called with the number of photos done and their total.

        Raises:
            KadrError: there is no such engine.
            LibraryError: the library can't be written.
            MissingExtraError: the engine's package isn't installed.
        """
        from kadr.library.transcribe import transcribe

        check_whole(self._store)
        return transcribe(self._store, engine, retry=retry, progress=progress)

    def _adopt(self, callbacks: "IndexCallbacks", *, reencode: bool) -> "Reencoded":
        """Make the library the matcher's; with `reencode`, although it is another's."""
        from kadr.law import audit, scene
        from kadr.library import ingest
        from kadr.library import reencode as again

        model = self._model
        left = self._store.meta(SWITCHING) if reencode and model is None else None
        noted = left or self._store.meta("model")
        if isinstance(model, Path):
            noted = str(model.resolve())
        elif model is not None and self.encoder != self.matcher.image_encoder.name:
            noted = ""  # it has no folder, and that of the one before would no longer fit
        keep = scene.load().encoder if audit.is_kept(self._store, self._policy) else None
        if reencode and self.encoder not in {None, self.matcher.image_encoder.name}:
            return again.switch(self._store, self.matcher, noted or "", callbacks, keep)
        ingest.adopt(self._store, self.matcher, noted or "")
        if reencode:
            again.forget_sets(self._store, {keep})
        return again.Reencoded()

    def _ingest(
        self, folders: Sequence[Path], options: "IndexOptions", callbacks: "IndexCallbacks"
    ) -> "IndexResult":
        """Bring the library in step with folders, and assess what is due."""
        from kadr.library import ingest

        return self._assessed(
            lambda assessing, law: ingest.ingest(
                self._store, self.matcher, folders, options, assessing, law
            ),
            folders,
            callbacks,
        )

    def _assessed(
        self,
        add: "Callable[[IndexCallbacks, ImageEncoder | None], Added]",
        folders: Sequence[Path],
        callbacks: "IndexCallbacks",
    ) -> "Added":
        """Add photos of folders, assess them as they come, and whatever else is due.

        `add` gets the callbacks that assess, and the encoder that the law needs besides.
        """
        from kadr.law.copies import CopyFinder

        assess = partial(self._assess, copies=CopyFinder(self._store))
        law = self._scene_encoder()
        result = add(replace(callbacks, kept=assess), law)
        if law is not None and self._complete(law, folders, callbacks):
            assess = partial(self._assess, copies=CopyFinder(self._store))  # that knows them too
        assess(self._due())
        return result

    def _scene_encoder(self) -> "ImageEncoder | None":
        """What the law's classifier needs besides the matcher's vectors; None: nothing."""
        from kadr.law import scene

        if not self._policy.hides_children:
            return None
        if self.matcher.image_encoder.name == self._assessor.encoder:
            return None
        return scene.image_encoder()

    def _complete(
        self, law: "ImageEncoder", folders: Sequence[Path], callbacks: "IndexCallbacks"
    ) -> int:
        """Give photos below folders the vectors that the law needs; how many got them."""
        from kadr.library import reencode

        lacking = self._store.lacking(law.name)
        below = {n for folder in folders for n in self._store.present(lacking, (folder,))}
        photos = [number for number in lacking if number in below]
        return reencode.encode_lacking(self._store, law, photos, callbacks, law=True)

    def _due(self) -> list[int]:
        """Photos that nothing is on record of; under a law, of by the layers that it asks for.

        One that lacks the vector for the scene need not be assessed without it again and again.
        """
        if not self._policy.hides_children:
            return self._store.unassessed(None)
        due = self._store.unassessed(self._assessor.version)
        lacking = set(self._store.lacking(self._assessor.encoder)) if due else set()
        if lacking:
            lacking -= set(self._store.unassessed(self._assessor.sceneless_version))
        return [number for number in due if number not in lacking]

    def _assess(self, photos: Sequence[int], copies: "CopyFinder") -> None:
        from kadr.law import assess as assessing

        if photos:
            assessing.assess(
                self._store, self._assessor, photos, self._log_assessed, copies, self._read
            )

    def unseen_by_law(self) -> int:
        """How many photos lack the vector that the law's classifier needs, under a law that hides.

        They are hidden until a person decides, or indexing under the policy gives it to them.
        """
        if not self._policy.hides_children or self.encoder is None:
            return 0
        from kadr.law import scene

        wanted = scene.load().encoder
        if wanted == self.encoder:
            return 0
        lacking = self._store.lacking(wanted)
        known = self._store.assessments(lacking)
        return sum(photo not in known or "scene" in known[photo].failed for photo in lacking)

    # What is logged.

    def _log_policy(self) -> None:
        from kadr.law import audit, review

        check_whole(self._store)  # the log is that of the library that comes
        audit.in_force(self._store, self._policy, review.user())

    def _log_assessed(self, assessments: Mapping[str, Assessment]) -> None:
        from kadr.law import audit

        if audit.is_kept(self._store, self._policy):
            audit.assessed(self._store, self._policy, assessments.items())

    def _log_refused(self, answer: Answer, query: str) -> None:
        if answer.refused:
            from kadr.law import audit

            audit.refused(self._store, self._policy, query)

    @property
    def _assessor(self) -> "Assessor":
        """The law's layers; as long as the library runs, its calibration may change."""
        from kadr.law import calibration
        from kadr.law.assessor import Assessor

        noted = self._store.meta(calibration.NOTE)
        if self._loaded_assessor is None or self._loaded_assessor[0] != noted:
            own, self.calibration_problem = calibration.in_force(self._store)
            unsure = (self._policy.review, self._policy.hide)
            assessor = Assessor(
                self._policy.faces,
                unsure,
                calibration=own,
                # Where nothing is hidden, a photo need not be opened twice; a law will look again.
                looks_twice=self._policy.hides_children,
            )
            self._loaded_assessor = noted, assessor
        return self._loaded_assessor[1]

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders that were indexed."""
        return self._store.folders()

    @property
    def local_folders(self) -> tuple[Path, ...]:
        """Those of them that indexing reads: all but those of object stores."""
        return tuple(folder for folder in self.folders if not is_object(folder))

    @property
    def excluded(self) -> Mapping[Path, Sequence[str]]:
        """Patterns of what is left out, by the folder that they were given for."""
        return self._store.excluded()

    def exclude(self, folder: AnyPath, patterns: Sequence[str]) -> None:
        """Leave out what patterns as in .gitignore match below a folder, from the next indexing on.

        They replace those given for this folder before; none: nothing is left out but what always
        is (`kadr.photos.ignore`).

        Raises:
            DataError: a pattern means nothing.
        """
        from kadr.photos.ignore import compiled

        compiled(patterns)
        with self._writing():
            self._store.exclude(resolved(folder), patterns)

    def rules(self, folder: AnyPath) -> "Rules":
        """What indexing leaves out below a folder."""
        from kadr.library.changes import rules_for

        return rules_for(self._store, located(folder))

    def ignored(self) -> "Iterator[Entry]":
        """What indexing leaves out below the folders: ignored, of no supported format, unreadable.

        A folder that isn't there is passed over.
        """
        from kadr.library.changes import left_out

        return left_out(self._store)

    def remove(self, folder: AnyPath) -> int:
        """Forget a folder; the number of files forgotten. Its photos stay where they are."""
        with self._writing():
            return self._store.remove(resolved(folder))

    def forget(self, photo: int, on_wait: Callable[[], None] | None = None) -> int:
        """Forget a photo; the number of files forgotten. They stay where they are.

        With a frame its film goes: what is left of that would no longer say what it shows.
        """
        with self._writing(on_wait):
            known = self._store.stored(self._store.present([photo])).get(photo)
            if known is None:
                return 0
            same = [photo]
            if films.frame_named(known.paths[0]) is not None:
                same = list(self._store.frames(known.digest).values())
            places = self._store.present(same).values()
            return self._store.forget(path for paths in places for path in paths)

    def delete(
        self,
        photo: int,
        *,
        uploads: AnyPath | None = None,
        on_wait: Callable[[], None] | None = None,
    ) -> None:
        """Move a photo's files into the bin, whence they can be restored.

        Args:
            photo: its number.
            uploads: the folder whose photos may be deleted though the library's owner hasn't
                allowed it of others (`allow_deleting`).
            on_wait: called once where another process is indexing this library.

        Raises:
            LibraryError: it may not be deleted, or can't be moved.
        """
        from kadr.library import deletion

        with self._writing(on_wait):
            known = self._store.stored(self._store.present([photo])).get(photo)
            if known is not None:
                deletion.check(
                    self._store, known.paths, None if uploads is None else resolved(uploads)
                )
                deletion.put(self._store, known.digest, known.paths)

    def binned(self, entry: str | None = None) -> "list[Binned]":
        """What is in the bin, or of this id, the latest first, as far as this policy shows it.

        A photo that the library has forgotten is told only where nothing is hidden.
        """
        from kadr.library import deletion

        found = deletion.listed(self._store, entry)
        if not self._policy.hides_children:
            return found
        known = sorted({one.photo for one in found if one.photo is not None})
        withheld = hidden(self._store, self._policy, known)
        return [one for one in found if one.photo is not None and one.photo not in withheld]

    def restore(
        self, chosen: "Sequence[Binned]", on_wait: Callable[[], None] | None = None
    ) -> tuple[Path, ...]:
        """Move files of the bin back; where they are now. What has to be is indexed.

        Raises:
            LibraryError: one can't be moved.
        """
        from kadr.library import deletion

        with self._writing(on_wait):
            paths = tuple(deletion.restore(self._store, one) for one in chosen)
        states = {path: self._store.state(path) for path in paths}
        folders = {path.parent for path, known in states.items() if known != files.state(path)}
        # Where it had other names, what is known of it under the law may be of those alone.
        photos = sorted({one.photo for one in chosen if one.photo is not None})
        stale = hidden(self._store, self._policy, photos) if self._policy.hides_children else ()
        folders |= {p.parent for p, one in zip(paths, chosen, strict=True) if one.photo in stale}
        if folders:
            self.index(sorted(folders), retry=True, on_wait=on_wait)
        return paths

    def empty_bin(
        self, chosen: "Sequence[Binned]", on_wait: Callable[[], None] | None = None
    ) -> int:
        """Delete files of the bin for good; how many.

        Raises:
            LibraryError: one can't be deleted.
        """
        from kadr.library import deletion

        with self._writing(on_wait):
            return deletion.empty(self._store, chosen)

    @property
    def deletes_originals(self) -> bool:
        """Whether photos of all folders may be deleted, not only those that were uploaded."""
        from kadr.library import deletion

        return self._store.meta(deletion.ORIGINALS) is not None

    def allow_deleting(self, *, originals: bool) -> None:
        """Let photos of all folders be deleted, or only those that were uploaded."""
        from kadr.library import deletion

        with self._writing():
            self._store.note(**{deletion.ORIGINALS: "yes" if originals else None})

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

    def review_queue(self, *, sample: bool = False) -> "list[Doubt]":
        """Photos that wait for a person under this policy; see `kadr.law.review.queue`.

        With `sample` those of the sample of what is shown, see `kadr.law.sampling.queue`.
        """
        from kadr.law import review, sampling

        queue = sampling.queue if sample else review.queue
        return queue(self._store, self._policy)

    def rule(self, digest: str, ruling: Ruling, alike: str | None = None) -> "ReviewOutcome":
        """Put a person's decision on record; see `kadr.law.review.decide`.

        With `alike` it follows from that about a near duplicate of this digest.
        """
        from kadr.law import review

        check_whole(self._store)
        if alike is not None:
            return review.decide_alike(self._store, digest, ruling, alike)
        return review.decide(self._store, digest, ruling)

    def appeal(self, digest: str, who: str, why: str) -> None:
        """Ask a person to look at a photo again; see `kadr.law.review.appeal`."""
        from kadr.law import review

        check_whole(self._store)
        review.appeal(self._store, digest, who, why)

    def withdraw(self, digest: str, who: str, why: str = "") -> None:
        """Take a decision back; see `kadr.law.review.withdraw`."""
        from kadr.law import review

        check_whole(self._store)
        review.withdraw(self._store, digest, who, why)

    # Answers.

    def search(  # noqa: PLR0913 - options by name
        self,
        query: str | Expression,
        limit: int = 10,
        *,
        filters: Filters | None = None,
        cursor: int = 0,
        at_least: float | None = None,
        language: str = "en",
        frames: bool = False,
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
            frames: each frame of a film is a hit; else those on a page are one, the best.

        Raises:
            KadrError: a query can't be understood.
            ImageError: its picture can't be read.
            LibraryError: the vectors are another encoder's, or it names a photo that isn't there.
        """
        page = Page(limit, filters, cursor, at_least, language, frames)
        (answer,) = self.answers([(queries.expression(query), page)])
        return answer

    def answers(self, requests: Sequence[tuple[Expression, Page]]) -> list[Answer]:
        """What `search` answers to several queries, which are encoded together."""
        with self._searching() as searcher:
            answers = [replace(one, render=self._html) for one in searcher.answers(requests)]
        for (query, _), answer in zip(requests, answers, strict=True):
            self._log_refused(answer, query.source)
        return answers

    def similar(
        self,
        photo: AnyPath | int,
        limit: int = 10,
        *,
        filters: Filters | None = None,
        cursor: int = 0,
        language: str = "en",
        frames: bool = False,
    ) -> Answer:
        """Photos like a file anywhere, or like a photo of the library, which is left out.

        Photos that the policy hides are left out without a word; of one of them nothing is told.
        Raises as `search` does.
        """
        page = Page(limit, filters, cursor, language=language, frames=frames)
        with self._searching() as searcher:
            answer = searcher.similar(photo if isinstance(photo, int) else located(photo), page)
        self._log_refused(answer, "a photo that is hidden")
        return replace(answer, render=self._html)

    def score(self, picture: Picture | int, texts: Sequence[str]) -> list[Score]:
        """How well each text matches a picture at hand, or a photo of the library.

        Raises:
            LibraryError: there is no photo of that number.
        """
        with self._searching() as searcher:
            return searcher.score(picture, texts)

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

        texts = query.texts if isinstance(query, Picture) else (films.stem(query),)
        encoder = self._scene_encoder() or self.matcher.image_encoder
        vectors = encoded(encoder, self._store, [query])
        (assessment,) = self._assessor.assess([texts], vectors, [lambda: opened(query, FACE_SIDE)])
        return verdict(self._policy, assessment, None) == "hide"

    def explain(self, text: str, photo: int) -> tuple[Score, Explanation]:
        """How well a text matches a photo of the library, and why.

        Raises:
            LibraryError: there is no photo of that number.
        """
        from kadr.matcher import explain

        with self._searching() as searcher:  # another process may be forgetting it
            (score,) = searcher.score(photo, [text])
            _, vectors = self._store.vectors([photo])
            known = self._store.stored(self._store.present([photo])).get(photo)
            judge = searcher.matcher
        pictures = [self._opener(known.paths[0], known.digest) if known else _unreadable]
        (why,) = explain.explain(judge, text, judge.images(vectors), pictures)
        return score, why

    def explained(self, query: str | Expression, answer: Answer) -> Answer:
        """The same answer, its hits with what speaks for them. A query of one text only."""
        from kadr.matcher import explain

        text = queries.expression(query).text
        if text is None or not answer.hits:
            return answer
        numbered = {int(hit.image.id): hit for hit in answer.hits}
        with self._searching() as searcher:
            numbers, vectors = self._store.vectors(list(numbered))
            judge = searcher.matcher
        hits = [numbered[number] for number in numbers.tolist()]  # others are gone by now
        pictures = [self._opener(hit.image.path, hit.image.digest) for hit in hits]
        made = explain.explain(judge, text, judge.images(vectors), pictures)
        whys = dict(zip(numbers.tolist(), made, strict=True))
        explained = (replace(hit, explanation=whys.get(n)) for n, hit in numbered.items())
        return replace(answer, hits=tuple(explained))

    def _html(self, answer: Answer) -> str:
        from kadr.library import notebook

        return notebook.html(answer, self._small)

    def _small(self, hit: Hit, size: int) -> "Image.Image | None":
        """A photo of an answer, if it may still be shown and is still what was indexed."""
        try:
            if hidden(self._store, self._policy, [int(hit.image.id)]):
                return None
            return self._opener(hit.image.path, hit.image.digest)(size)
        except KadrError:
            return None

    def _opener(self, path: Path, digest: str) -> "Callable[[int], Image.Image]":
        """Opens a photo at a size, while its file is what was indexed."""
        return lambda size: self._read(path, size, digest)[0]

    def duplicates(self, on_progress: Callable[[int, int], None] | None = None) -> "list[Group]":
        """Groups of photos that are copies of one another, the one to keep first."""
        from kadr.library.duplicates import find_duplicates

        return find_duplicates(self._store, self._policy, on_progress)

    def set_distinct(self, photos: Sequence[AnyPath], *, distinct: bool = True) -> None:
        """Remember that photos, by their files, are no duplicates; or take that back.

        Raises:
            LibraryError: one isn't in the library.
        """
        from kadr.library import duplicates

        with self._writing():
            paths = [located(photo) for photo in photos]
            duplicates.set_distinct(self._store, paths, distinct=distinct)

    @contextmanager
    def _writing(
        self, on_wait: Callable[[], None] | None = None, folders: Sequence[Path] = ()
    ) -> Iterator[None]:
        """A turn to write: see `Store.writing`."""
        with self._store.writing(on_wait, folders):
            check_whole(self._store)
            yield

    @contextmanager
    def _searching(self) -> Iterator[Searcher]:
        """What searches, of the encoder whose vectors are read within: all are of one instant."""
        while True:
            searcher = self._current()
            with self._store.reading():
                check_whole(self._store)  # a move may have begun since it was opened
                if self._fits(self._space):  # else another process has switched just now
                    yield searcher
                    return

    def _current(self) -> Searcher:
        """The searcher, made anew where another process has changed what the vectors are."""
        if self._searcher is None and self._policy.hides_children:
            self._log_policy()
        if self._searcher is None or not self._fits(self._space):
            self._follow()
            _ = self.matcher  # takes seconds to load, in which it may be switched once more
            self._follow()
            check_encoder(self._store, self.matcher)
            self._fit()
            self._searcher = Searcher(self.matcher, self._store, self._policy, self.refuses)
            self._space = self.matcher.alignment.digest()
        return self._searcher

    def _fit(self) -> None:
        """Bring the scan into the matcher's joint space."""
        if self._store.meta("space") in {None, self.matcher.alignment.digest()}:
            return
        from kadr.library import ingest

        with self._writing():
            check_encoder(self._store, self.matcher)
            ingest.fit(self._store, self.matcher)

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


def resolved(folder: AnyPath) -> Path:
    """The one name of a folder, whichever way it was reached, in whichever Unicode form."""
    place = located(folder)
    if is_object(place):
        return place
    try:
        return files.spelled(place.expanduser().resolve())
    except (OSError, RuntimeError) as error:
        raise LibraryError(f"{place}: can't be followed ({error}). Name another.") from error
