"""The commands of `kadr collection`: photos that are put together under a name."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from kadr.cli import completion
from kadr.cli.console import hint, load_policy, print_bytes, print_json, say
from kadr.cli.options import JsonFlag, LawOptions, LibraryOption, Paths0Flag, grouped
from kadr.errors import KadrError

if TYPE_CHECKING:
    from pathlib import Path

    from kadr.library.library import Library
    from kadr.stores import Store

app = typer.Typer(
    no_args_is_help=True,
    help="Put photos together under a name, such as favourites.\n\n"
    "A collection holds contents: a photo that is renamed, moved, or comes back is still in it. "
    "kadr search --collection NAME looks at its photos alone.",
)

NameArgument = Annotated[
    str, typer.Argument(help="The collection's name.", autocompletion=completion.collections)
]
PhotosArgument = Annotated[
    list[str] | None, typer.Argument(help="Photos, by their paths or digests.")
]
ReadPaths0Flag = Annotated[
    bool,
    typer.Option(
        "--paths0", help="Read paths from standard input, as kadr search --paths0 prints them."
    ),
]
PAGE = 500
"""Photos that are listed at once."""


@app.command("list")
@grouped
def list_command(
    *,
    name: Annotated[
        str | None,
        typer.Argument(help="List the photos of this one.", autocompletion=completion.collections),
    ] = None,
    library: LibraryOption = None,
    paths0: Paths0Flag = False,
    law: LawOptions,
    as_json: JsonFlag = False,
) -> None:
    """List the collections, and how many photos are in each; or the photos of one."""
    from kadr.library.library import Library

    if as_json and paths0:
        raise KadrError("--json and --paths0 both say what is printed. Choose one.")
    if paths0 and name is None:
        raise KadrError("--paths0 prints photos. Name their collection.")
    policy = load_policy(law.policy, law.country)
    with Library.open(library, policy=policy, create=False) as opened:
        if name is not None:
            _print_photos(opened, name, as_json=as_json, paths0=paths0)
            return
        sizes = opened.catalogue.collections()
    if as_json:
        named = [{"name": one, "photos": count} for one, count in sizes.items()]
        print_json({"collections": named})
        return
    say(*(f"{one}: {count:,}" for one, count in sizes.items()))
    if not sizes:
        hint("No collection. Make one: kadr collection add NAME PHOTO")


def _print_photos(library: "Library", name: str, *, as_json: bool, paths0: bool) -> None:
    from kadr.library import collection

    name = collection.known(library.store, name)
    paths = list(_paths(library, name))
    if as_json:
        print_json({"name": name, "photos": paths})
    elif paths0:
        print_bytes(b"".join(os.fsencode(path) + b"\0" for path in paths))
    else:
        say(*paths)


def _paths(library: "Library", name: str) -> "Iterator[Path]":
    """Where the photos of a collection lie, the newest first."""
    from kadr.types import Filters

    cursor: int | None = 0
    while cursor is not None:
        listing = library.catalogue.newest(PAGE, cursor, Filters(collection=name))
        yield from (photo.paths[0] for photo in listing.photos)
        cursor = listing.next


@app.command("add")
def add_command(
    name: NameArgument,
    photos: PhotosArgument = None,
    library: LibraryOption = None,
    paths0: ReadPaths0Flag = False,
) -> None:
    """Put photos into a collection, which is made where there is none of this name.

        kadr collection add favourites ~/Photos/beach.jpg
        kadr search sunset --paths0 | kadr collection add Sunsets --paths0

    Where the library doesn't know one of them, none is added.
    """
    from kadr.library import collection

    def add(store: "Store", digests: Sequence[str]) -> str:
        with store.durable():
            kept = collection.make(store, name)
            collection.change(store, kept, add=digests)
        return kept

    _change(library, _named(photos, paths0=paths0), add)


@app.command("remove")
def remove_command(
    name: NameArgument,
    photos: PhotosArgument = None,
    library: LibraryOption = None,
    paths0: ReadPaths0Flag = False,
) -> None:
    """Take photos out of a collection. They stay in the library."""
    from kadr.library import collection

    def remove(store: "Store", digests: Sequence[str]) -> str:
        kept = collection.known(store, name)
        collection.change(store, kept, remove=digests)
        return kept

    _change(library, _named(photos, paths0=paths0), remove)


@app.command("rename")
def rename_command(
    name: NameArgument,
    new: Annotated[str, typer.Argument(help="The name that it gets.")],
    library: LibraryOption = None,
) -> None:
    """Give a collection another name."""
    from kadr.library import collection

    with _opened(library) as store:
        collection.rename(store, name, new)


@app.command("delete")
def delete_command(name: NameArgument, library: LibraryOption = None) -> None:
    """Delete a collection. Its photos stay in the library."""
    from kadr.library import collection

    with _opened(library) as store:
        collection.delete(store, name)


@contextmanager
def _opened(library: str | None) -> "Iterator[Store]":
    from kadr.library.library import Library

    with Library.open(library, create=False) as opened:
        yield opened.store


def _named(photos: Sequence[str] | None, *, paths0: bool) -> list[str]:
    """The photos that the command line names, or standard input.

    Raises:
        KadrError: neither does, or both.
    """
    if paths0 and photos:
        raise KadrError("Name photos on the command line or by --paths0, not both.")
    if paths0:
        read = sys.stdin.buffer.read().split(b"\0")
        return [os.fsdecode(path) for path in read if path]
    if not photos:
        raise KadrError("Name photos by their paths or digests, or pipe them in: --paths0")
    return list(photos)


def _change(
    library: str | None, photos: Sequence[str], change: "Callable[[Store, Sequence[str]], str]"
) -> None:
    """Change a collection by photos, all of which the library must know."""
    from kadr.law import review

    with _opened(library) as store:
        digests = [review.find(store, photo) for photo in photos]
        name = change(store, digests)
        count = len(store.collected(name))
    say(f"{name}: {count:,} {'photo' if count == 1 else 'photos'}")
