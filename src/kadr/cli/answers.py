"""Answers and groups of duplicates: as lines, JSON, bare paths, a sheet, copies."""

import os
import shlex
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import typer

from kadr.cli.console import hint, note, print_bytes, say, warn
from kadr.errors import KadrError

if TYPE_CHECKING:
    from kadr.library.duplicates import Group
    from kadr.library.library import Library
    from kadr.photos.objects import ObjectPath
    from kadr.report.wording import Wording
    from kadr.types import Answer, Explanation, Hit, ImageFile


def matching(answer: "Answer") -> list["Hit"]:
    """The hits that count as matches."""
    from kadr.library.search import is_match

    return [hit for hit in answer.hits if is_match(answer, hit)]


def print_answer(
    answer: "Answer", first: int = 1, *, preview: bool = False, language: str = "en"
) -> None:
    """Print found photos, and a line above those that are merely near.

    Args:
        answer: what was found.
        first: rank of its first hit.
        preview: print small pictures below, where the terminal can show them.
        language: of what is said; the answer's own notices have theirs.
    """
    from kadr.library.search import is_match
    from kadr.report.wording import Wording

    wording = Wording(language)

    if answer.notice:
        say(answer.notice)
    sure = True
    for rank, hit in enumerate(answer.hits, start=first):
        if sure and not hit.in_part and not is_match(answer, hit):  # its words say why it is there
            sure = False
            say(_less_sure(answer, wording))
        say(_line(rank, hit, wording))
        if hit.explanation is not None and len(hit.explanation.words) > 1:
            say(f"{'':14}{_words(hit.explanation)}")
        if preview:
            from kadr.cli import previews

            previews.show(hit.image.path, sys.stdout, digest=hit.image.digest)
    if answer.withheld:
        say(answer.withheld)


def print_suggestion(answer: "Answer", language: str = "en") -> None:
    """Offer the year that the query names as a filter, on stderr."""
    if answer.suggestion is not None:
        from kadr.report.wording import Wording

        one = answer.suggestion
        span = ["--after", one.after, "--before", one.before]
        command = shlex.join(["kadr", "search", *one.query.split(), *span])
        note(Wording(language)("answer.only", when=one.after, command=command))


def _less_sure(answer: "Answer", wording: "Wording") -> str:
    if not answer.matches:
        return wording("sheet.hidden" if answer.withheld else "sheet.nearest")
    return wording("answer.below", least=f"{100 * (answer.at_least or 0):.3g}%")


TOLD = 5
"""Further moments of a film that a line tells."""


def _line(rank: int, hit: "Hit", wording: "Wording") -> str:
    from kadr.photos import films

    figure = f"{hit.similarity:7.3f}" if hit.probability is None else f"{hit.probability:7.1%}"
    more = len(hit.copies)
    key = "answer.copy" if more == 1 else "answer.copies"
    copies = f"  ({wording(key, count=str(more))})" if more else ""
    told = f"  [{on_record(hit, wording)}]" if hit.on_record else ""
    where = films.shown(hit.image.path)
    return f"{rank:3} {figure}  {where}{_moments(hit, wording)}{copies}{told}"


def _moments(hit: "Hit", wording: "Wording") -> str:
    """The film's further moments, in their order: " (also at 3:10, 45:02)"."""
    from kadr.photos import films

    if not hit.moments:
        return ""
    told = ", ".join(films.clock(at) for at in sorted(hit.moments[:TOLD]))
    more = len(hit.moments) - TOLD
    key = "answer.more_moments" if more > 0 else "answer.moments"
    return f"  ({wording(key, moments=told, count=str(more))})"


def on_record(hit: "Hit", wording: "Wording") -> str:
    """Where the query's words stand on a photo's record: `tagged: wedding; date: 2021`."""
    words: dict[str, list[str]] = {}
    for one in hit.on_record:
        words.setdefault(one.source, []).append(one.word)
    told = (wording(f"answer.record_{one}", words=" ".join(said)) for one, said in words.items())
    return "; ".join(told)


def _words(explanation: "Explanation") -> str:
    return "  ".join(
        word.word if word.effect is None else f"{word.word} {word.effect:+.1f}"
        for word in explanation.words
    )


def as_json(query: str, answer: "Answer", policy: str, first: int = 1) -> dict[str, Any]:
    """An answer as --json prints it; `first` is the rank of its first hit."""
    return {
        "query": query,
        "policy": policy,
        "matches": answer.matches,
        "at_least": answer.at_least,
        "hits": [
            _hit_as_json(rank, hit, answer) for rank, hit in enumerate(answer.hits, start=first)
        ],
        "notice": answer.notice,
        "withheld": answer.withheld,
        "suggestion": answer.suggestion,
        "more": answer.next is not None,
    }


def _hit_as_json(rank: int, hit: "Hit", answer: "Answer") -> dict[str, Any]:
    from kadr.library.search import is_match
    from kadr.photos import films

    return {
        "rank": rank,
        "probability": hit.probability,
        "similarity": hit.similarity,
        "matches": is_match(answer, hit),
        "on_record": [asdict(one) for one in hit.on_record],
        "in_part": hit.in_part,
        "path": films.file_of(hit.image.path),
        "copies": [films.file_of(path) for path in hit.copies],
        **({} if hit.at is None else {"at": hit.at, "moments": hit.moments}),
        "digest": hit.image.digest,
        **(asdict(hit.facts) if hit.facts else {}),
        **({"explanation": hit.explanation} if hit.explanation else {}),
    }


def print_raw(paths: Iterable[Path]) -> None:
    """Print paths as the file system has them, of frames the films', each ended by a NUL."""
    from kadr.photos import films

    wanted = dict.fromkeys(map(films.file_of, paths))
    print_bytes(b"".join(os.fsencode(path) + b"\0" for path in wanted))


def matched(
    library: "Library", answers: "Iterable[Answer]", *, are_given: bool
) -> "list[ImageFile]":
    """Photos that match.

    Where their files `are_given`, films any frame of which the law hides are left out, and named.
    """
    from kadr.photos import films

    kept, told = [], set[Path]()
    for photo in (hit.image for answer in answers for hit in matching(answer)):
        frame = films.frame_named(photo.path)
        if (
            frame is None
            or not are_given
            or not library.catalogue.withholds(photo.path, photo.digest)
        ):
            kept.append(photo)
        elif frame.film not in told:
            told.add(frame.film)
            warn(f"{frame.film} shows what the law hides too, so the film itself isn't given")
    return kept


# What is done with the photos besides printing them.


def as_indexed(answer: "Answer") -> "Answer":
    """The answer without photos whose files all changed since they were indexed; it names them.

    Nobody knows what they show by now. The others are given by a file that is what it was.
    """
    hits = []
    for hit in answer.hits:
        paths = (hit.image.path, *hit.copies)
        kept = next((path for path in paths if _has_digest(path, hit.image.digest)), None)
        if kept is None:
            warn(f"{hit.image.path} changed since it was indexed, so it's left out. Run kadr index")
        else:
            hits.append(replace(hit, image=replace(hit.image, path=kept)))
    return replace(answer, hits=tuple(hits))


def _has_digest(path: Path, digest: str) -> bool:
    from kadr.photos import files
    from kadr.photos.objects import is_object

    try:
        if is_object(path):
            return files.digest(_fetched(path)) == digest
        return files.state(path) is not None and files.digest(path) == digest
    except OSError:
        return False


def _fetched(path: "ObjectPath") -> bytes:
    from kadr.photos import images, object_store

    return object_store.fetched(path, images.MAX_BYTES)


def write_sheet(query: str, answer: "Answer", sheet: Path, language: str) -> None:
    """Write a contact sheet, and say where."""
    from kadr.report import sheet as sheets

    sheets.write_sheet(query, answer, sheet, language=language)
    note(f"The contact sheet is in {sheet}")


def copy(photos: "Iterable[ImageFile]", folder: Path) -> None:
    """Copy photos, and of frames the films. A name that is taken there gets a number.

    What is copied is what was indexed: a copy with another digest is taken away again.
    """
    from kadr.photos import films

    wanted = {films.file_of(photo.path): photo for photo in photos}
    folder.mkdir(parents=True, exist_ok=True)
    count = sum(_copy(photo, folder) for photo in wanted.values())
    note(f"{'1 photo was' if count == 1 else f'{count:,} photos were'} copied to {folder}")


def _copy(photo: "ImageFile", folder: Path) -> bool:
    from kadr.photos import files, films
    from kadr.photos.objects import is_object

    draft = folder / f".kadr-{uuid4().hex}.part"
    frame = films.frame(photo.path)
    source = photo.path if frame is None else frame.film
    try:
        if is_object(source):
            draft.write_bytes(_fetched(source))
        else:
            shutil.copy2(source, draft)
        digest = files.digest(draft)
        if (digest if frame is None else films.digest(digest, frame.at)) != photo.digest:
            return False
        draft.rename(_free(folder, source.name))
    finally:
        draft.unlink(missing_ok=True)
    return True


def _free(folder: Path, name: str) -> Path:
    place, number = folder / name, 1
    while os.path.lexists(place):
        number += 1
        place = folder / f"{Path(name).stem}-{number}{Path(name).suffix}"
    return place


def show(photo: Path) -> None:
    """Open a photo in the system's viewer, and don't wait for it.

    Raises:
        KadrError: there is none, or the photo isn't on this machine.
    """
    from kadr.photos import films
    from kadr.photos.objects import is_object

    frame = films.frame(photo)
    if frame is not None:
        note(f"It is at {films.clock(frame.at)} in the film")
        photo = frame.film
    if is_object(photo):
        raise KadrError(f"--open shows files. Bring the photo here by --copy-to FOLDER: {photo}")
    if typer.launch(os.fspath(photo)) != 0:
        needed = "xdg-open, of the package xdg-utils" if sys.platform == "linux" else "a viewer"
        raise KadrError(f"--open needs {needed}. Open it yourself: {photo}")


# Groups of duplicates.


def print_groups(groups: Sequence["Group"]) -> None:
    """Print each group, an empty line after it."""
    from kadr.photos import films

    for group in groups:
        for photo in group.photos:
            size = f"{photo.facts.width}x{photo.facts.height}"
            say(*(f"{size:>11}  {films.shown(path)}" for path in photo.paths))
        say("")
    if not groups:
        say("No duplicates")
    elif sys.stdout.isatty():
        files = sum(len(photo.paths) for group in groups for photo in group.photos)
        hint(f"{len(groups):,} groups, {files:,} files. --paths0 prints those that are spare.")


def group_as_json(group: "Group") -> list[dict[str, Any]]:
    """A group as --json prints it."""
    from kadr.photos import films

    return [
        {
            "path": films.file_of(path),
            **({} if (frame := films.frame_named(path)) is None else {"at": frame.at}),
            "width": photo.facts.width,
            "height": photo.facts.height,
            "digest": photo.digest,
            "spare": path in group.spare,
        }
        for photo in group.photos
        for path in photo.paths
    ]
