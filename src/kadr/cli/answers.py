"""Answers and groups of duplicates: as lines, JSON, bare paths, a sheet, copies."""

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from kadr.cli.console import hint, printable
from kadr.errors import KadrError

if TYPE_CHECKING:
    from kadr.library.duplicates import Group
    from kadr.types import Answer, Hit, Withheld


def matching(answer: "Answer") -> list["Hit"]:
    """The hits that count as matches."""
    from kadr.library.search import is_match

    return [hit for hit in answer.hits if is_match(answer, hit)]


def print_answer(answer: "Answer", first: int = 1, *, preview: bool = False) -> None:
    """Print found photos, and a line above those that are merely near.

    Args:
        answer: what was found.
        first: rank of its first hit.
        preview: print small pictures below, where the terminal can show them.
    """
    from kadr.library.search import interleaved, is_match
    from kadr.types import Withheld

    if answer.notice:
        typer.echo(answer.notice)
    sure = True
    for rank, hit in enumerate(interleaved(answer), start=first):
        if isinstance(hit, Withheld):
            typer.echo(f"{rank:3} {'':7}  {hit.notice}")
            continue
        if sure and not is_match(answer, hit):
            sure = False
            typer.echo(_less_sure(answer))
        typer.echo(_line(rank, hit))
        if hit.explanation is not None and len(hit.explanation.words) > 1:
            typer.echo(f"{'':14}{_words(hit)}")
        if preview:
            from kadr.cli import previews

            previews.show(hit.image.path, sys.stdout)


def _less_sure(answer: "Answer") -> str:
    least = f"{100 * (answer.at_least or 0):.3g}%"
    if not answer.matches:
        if answer.withheld:
            return "Nothing that may be shown matches well. The nearest:"
        return "Nothing in the library matches well. The nearest:"
    return f"Below {least}, so probably no match:"


def _line(rank: int, hit: "Hit") -> str:
    figure = f"{hit.similarity:7.3f}" if hit.probability is None else f"{hit.probability:7.1%}"
    more = len(hit.copies)
    copies = f"  (and {more} {'copy' if more == 1 else 'copies'})" if more else ""
    return f"{rank:3} {figure}  {printable(hit.image.path)}{copies}"


def _words(hit: "Hit") -> str:
    assert hit.explanation is not None
    return "  ".join(
        f"{printable(word.word)} {word.effect:+.1f}"
        if word.effect is not None
        else printable(word.word)
        for word in hit.explanation.words
    )


def as_json(query: str, answer: "Answer", policy: str, first: int = 1) -> dict[str, Any]:
    """An answer as --json prints it; `first` is the rank of its first hit."""
    from kadr.library.search import interleaved

    return {
        "query": query,
        "policy": policy,
        "matches": answer.matches,
        "at_least": answer.at_least,
        "hits": [
            _hit_as_json(rank, hit, answer)
            for rank, hit in enumerate(interleaved(answer), start=first)
        ],
        "notice": answer.notice,
        "more": answer.next is not None,
    }


def _hit_as_json(rank: int, hit: "Hit | Withheld", answer: "Answer") -> dict[str, Any]:
    from kadr.library.search import is_match
    from kadr.types import Withheld

    if isinstance(hit, Withheld):
        return {"rank": rank, "withheld": hit.notice}
    return {
        "rank": rank,
        "probability": hit.probability,
        "similarity": hit.similarity,
        "matches": is_match(answer, hit),
        "path": hit.image.path,
        "copies": hit.copies,
        "digest": hit.image.digest,
        **(asdict(hit.facts) if hit.facts else {}),
        **({"explanation": hit.explanation} if hit.explanation else {}),
    }


def print_raw(paths: Iterable[Path]) -> None:
    """Print paths as the file system has them, each ended by a NUL."""
    for path in paths:
        sys.stdout.buffer.write(os.fsencode(path) + b"\0")
    sys.stdout.buffer.flush()


# What is done with the photos besides printing them.


def write_sheet(query: str, answer: "Answer", sheet: Path, language: str) -> None:
    """Write a contact sheet, and say where."""
    from kadr.report import sheet as sheets

    sheets.write_sheet(query, answer, sheet, language=language)
    typer.echo(f"The contact sheet is in {printable(sheet)}", err=True)


def copy(photos: Iterable[Path], folder: Path) -> None:
    """Copy photos. A name that is taken there gets a number; nothing is overwritten."""
    wanted = list(dict.fromkeys(photos))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for photo in wanted:
            shutil.copy2(photo, _free(folder, photo.name))
    except OSError as error:
        reason = error.strerror or str(error)
        raise KadrError(
            f"{printable(folder)}: photos can't be copied there ({reason}). Name another folder."
        ) from error
    count = "1 photo was" if len(wanted) == 1 else f"{len(wanted):,} photos were"
    typer.echo(f"{count} copied to {printable(folder)}", err=True)


def _free(folder: Path, name: str) -> Path:
    place, number = folder / name, 1
    while os.path.lexists(place):
        number += 1
        place = folder / f"{Path(name).stem}-{number}{Path(name).suffix}"
    return place


def show(photo: Path) -> None:
    """Open a photo in the system's viewer, and don't wait for it.

    Raises:
        KadrError: there is none.
    """
    if typer.launch(os.fspath(photo)) != 0:
        needed = "xdg-open, of the package xdg-utils" if sys.platform == "linux" else "a viewer"
        raise KadrError(f"--open needs {needed}. Open it yourself: {printable(photo)}")


# Groups of duplicates.


def print_groups(groups: Sequence["Group"]) -> None:
    """Print each group, an empty line after it."""
    for group in groups:
        for photo in group.photos:
            size = f"{photo.facts.width}x{photo.facts.height}"
            for path in photo.paths:
                typer.echo(f"{size:>11}  {printable(path)}")
        typer.echo("")
    if not groups:
        typer.echo("No duplicates")
    elif sys.stdout.isatty():
        files = sum(len(group_paths(group)) for group in groups)
        hint(f"{len(groups):,} groups, {files:,} files. --paths0 prints those that are spare.")


def group_paths(group: "Group") -> list[Path]:
    """All paths of a group, the biggest photo's first."""
    return [path for photo in group.photos for path in photo.paths]


def group_as_json(group: "Group") -> list[dict[str, Any]]:
    """A group as --json prints it."""
    return [
        {
            "path": path,
            "width": photo.facts.width,
            "height": photo.facts.height,
            "digest": photo.digest,
            "spare": path in group.spare,
        }
        for photo in group.photos
        for path in photo.paths
    ]
