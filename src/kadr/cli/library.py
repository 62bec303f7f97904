"""The commands of `kadr library`: what is in it, what is wrong with it, what it should forget."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kadr.cli import completion
from kadr.cli.console import hint, note, print_json, progress, say, warn
from kadr.cli.options import JsonFlag, LibraryOption

if TYPE_CHECKING:
    from kadr.library.library import Library
    from kadr.stores import Store

app = typer.Typer(
    help="See, check and change what is in the library.\n\n"
    "Without a command it prints how much is in it, and of which folders."
)


@app.callback(invoke_without_command=True)
def library_command(
    context: typer.Context, library: LibraryOption = None, as_json: JsonFlag = False
) -> None:
    """Print what is in the library."""
    if context.invoked_subcommand is not None:
        return
    from kadr.library.library import Library

    with Library.open(library, create=False) as opened:
        totals, folders = opened.totals(), opened.folders
        encoder, name, others = opened.encoder, opened.name, opened.store.vector_sets()
    from kadr.matcher.installed import named
    from kadr.photos.objects import is_object

    model = named(encoder) if encoder else None
    if as_json:
        about = {"path": name, "model": model, "encoder": encoder}
        print_json({**about, "vector_sets": others, "folders": folders, **asdict(totals)})
        return
    by = "" if model is None else f", encoded by {model}"
    by += "" if model == encoder else f" ({encoder})"
    say(f"{name}: {totals.bytes / 1e6:.1f} MB{by}")
    say(f"Photos: {totals.photos:,}. Files: {totals.files:,}, copies among them: {totals.copies:,}")
    say(*(f"Vectors of {named(other)} too: {count:,}" for other, count in others.items()))
    if totals.missing:
        say(f"Paths no longer there: {totals.missing:,} (kadr index --prune forgets them)")
    if totals.problems:
        say(f"Files that can't be read: {totals.problems:,} (kadr library problems lists them)")
    for folder in folders:
        say(f"  {folder}" + ("" if is_object(folder) or folder.is_dir() else "  (not there)"))


@app.command("problems")
def problems_command(library: LibraryOption = None, as_json: JsonFlag = False) -> None:
    """List the files that can't be read, and why. Exits 1 where there are any."""
    from kadr.library.library import Library

    with Library.open(library, create=False) as opened:
        problems = opened.problems()
    if as_json:
        print_json({"problems": [asdict(problem) for problem in problems]})
    else:
        say(*(f"{problem.path}: {problem.reason}" for problem in problems))
        hint("Mended some? kadr index --retry" if problems else "Every file could be read.")
    raise typer.Exit(1 if problems else 0)


@app.command("ignored")
def ignored_command(library: LibraryOption = None, as_json: JsonFlag = False) -> None:
    """List what indexing leaves out below the library's folders, and why.

    Hidden and system folders, links to folders, what a .kadrignore or --exclude matches, and files
    of formats that can't be read, such as RAW and video. A folder stands for all that is in it.
    """
    from kadr.library.library import Library

    with Library.open(library, create=False) as opened:
        entries, patterns = list(opened.ignored()), opened.excluded
    if as_json:
        left_out = [{"path": one.path, "why": one.met, "reason": one.reason} for one in entries]
        print_json({"ignored": left_out, "excluded": patterns})
        return
    say(*(f"{one.path}: {one.reason}" for one in entries))
    say(*(f"{folder} --exclude {' '.join(lines)}" for folder, lines in patterns.items()))


@app.command("remove")
def remove_command(
    folder: Annotated[
        Path,
        typer.Argument(
            help="The folder to forget; its photos stay.", autocompletion=completion.folders
        ),
    ],
    library: LibraryOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Forget a folder and what is below it. No photo is touched."""
    from kadr.library.library import Library, resolved

    with Library.open(library, create=False) as opened:
        count = opened.remove(folder)
        above = [known for known in opened.folders if resolved(folder).is_relative_to(known)]
    if as_json:
        print_json({"removed": count})
    else:
        say(f"Files forgotten: {count:,}. The photos themselves stay where they are.")
    if above:
        warn(
            f"{above[0]} is still in the library: its next indexing will add what is below it "
            "again, this folder too"
        )


@app.command("move")
def move_command(
    source: Annotated[
        str,
        typer.Option(
            "--from",
            help="The library: a file, or postgresql://...",
            autocompletion=completion.libraries,
        ),
    ],
    target: Annotated[
        str, typer.Option("--to", help="Where to: one that isn't there or is empty.")
    ],
    as_json: JsonFlag = False,
) -> None:
    """Copy a library to another file or server, and compare both: all but the photos themselves.

        kadr library move --from photos.kadr --to postgresql://kadr@db/photos

    Stopped, it goes on where it was when it is run again; until it has ended nothing searches the
    new library. The old one stays as it is; whoever may read it may move it. Links to photos by
    their id, as the service gives them, are other ones in the new library.
    """
    from contextlib import closing

    from kadr.library.library import Library
    from kadr.library.move import move

    with (
        Library.open(source, create=False) as opened,
        closing(_new_store(opened, target)) as other,
        progress() as report,
    ):
        alignment = opened.matcher.alignment
        moved = move(
            opened.store, other, lambda rows: alignment.images(rows).vectors,
            partial(report, "photos"), _say_waiting,
        )  # fmt: skip
    if as_json:
        print_json({"from": opened.name, "to": other.name, **asdict(moved)})
        return
    say(
        f"Photos: {moved.photos:,}. Files: {moved.files:,}. Entries of the audit log: "
        f"{moved.entries:,}. {other.name} holds what {opened.name} does."
    )


@app.command("backup")
def backup_command(
    target: Annotated[Path, typer.Argument(help="The file to make; it must not be there.")],
    library: LibraryOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Copy the library's file as it is now, while others search and write.

        kadr library backup photos-2026-05.kadr

    The copy holds neither the photos nor what lies beside the library: the key of the audit log
    (.audit.key) and the keys of the service (.keys.json). Copy those apart. A library on PostgreSQL
    is backed up by pg_dump, or copied to a file by kadr library move.
    """
    from kadr.stores import default_spec

    source = _file(library or default_spec())
    _copy(source, target, as_json=as_json)


@app.command("restore")
def restore_command(
    backup: Annotated[
        Path,
        typer.Argument(help="What kadr library backup made.", autocompletion=completion.libraries),
    ],
    library: LibraryOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Make the library from a backup, where there is none. The backup stays.

    Move a damaged library away first, with its -wal and -shm, and end what has it open. Its keys
    beside it stay in force.
    """
    from kadr.stores import default_spec

    _copy(backup, _file(library or default_spec()), as_json=as_json)


@app.command("upgrade")
def upgrade_command(
    library: LibraryOption = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only tell; exits 1 where there is something to do.")
    ] = False,
    backup: Annotated[
        Path | None,
        typer.Option(
            "--backup", help="Where the copy goes. Default: LIBRARY.format-N.kadr beside it."
        ),
    ] = None,
    no_backup: Annotated[
        bool, typer.Option("--no-backup", help="Make no copy; a server is backed up by pg_dump.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Bring a library of an older kadr to this one's format, after a copy of it.

        kadr library upgrade --check
        kadr library upgrade

    Whatever opens an older library does the same without a copy. An older kadr refuses a newer
    library. To go back: install the older kadr, move the library away, and kadr library restore
    the copy.
    """
    from kadr.stores import default_spec, formats, named, open_store

    spec = library or default_spec()
    before, now = formats(spec)
    is_due, copy = before < now, None
    if is_due and not check:
        if not no_backup:
            copy = _backed_up(spec, backup, before)
        open_store(spec).close()
    if as_json:
        told = {"path": named(spec), "format": formats(spec)[0], "from": before, "to": now}
        print_json({**told, "due": is_due, "backup": copy})
    elif not is_due:
        say(f"{named(spec)} has format {now}, that of this kadr. There is nothing to do.")
    elif check:
        say(f"{named(spec)} has format {before}, this kadr makes {now} of it: kadr library upgrade")
    else:
        say(f"{named(spec)}: format {before} is {now} now." + (f" Before: {copy}" if copy else ""))
    raise typer.Exit(1 if is_due and check else 0)


def _backed_up(spec: str, target: Path | None, version: int) -> Path:
    """Where a library was copied to before its upgrade.

    Raises:
        LibraryError: it is on a server, or the copy can't be made.
    """
    from kadr.errors import LibraryError
    from kadr.stores import named
    from kadr.stores.sqlite import backup

    if "://" in spec:
        raise LibraryError(
            f"{named(spec)} is on a server: back it up with pg_dump, then kadr library upgrade "
            "--no-backup"
        )
    source = Path(spec)
    copy = target or source.with_name(f"{source.stem}.format-{version}.kadr")
    with progress() as report:
        backup.copy(source, copy, partial(report, "pages"))
    return copy


def _copy(source: Path, target: Path, *, as_json: bool) -> None:
    from kadr.stores.sqlite import backup

    with progress() as report:
        version = backup.copy(source, target, partial(report, "pages"))
    size = target.stat().st_size
    if as_json:
        print_json({"from": source, "to": target, "format": version, "bytes": size})
    else:
        say(f"{target}: {size / 1e6:.1f} MB, the same as {source}")


def _file(spec: str) -> Path:
    """A library that is a file.

    Raises:
        LibraryError: it is on a server.
    """
    if "://" in spec:
        from kadr.errors import LibraryError
        from kadr.stores import named

        raise LibraryError(
            f"{named(spec)} is on a server: back it up with pg_dump, or copy it to a file: "
            "kadr library move"
        )
    return Path(spec)


def _new_store(source: "Library", target: str) -> "Store":
    """Where a library moves to; it isn't made where the matcher of the old one can't be loaded."""
    from kadr.stores import open_store

    _ = source.matcher
    return open_store(target, create=True, moving=True)


@app.command("bin")
def bin_command(
    restore: Annotated[
        list[str] | None, typer.Option("--restore", help="Bring back the photo of this id, or all.")
    ] = None,
    empty: Annotated[
        bool, typer.Option("--empty", help="Delete what is in the bin for good.")
    ] = False,
    originals: Annotated[
        bool | None,
        typer.Option(
            "--originals/--uploads-only",
            help="What may be deleted on the page: all photos, or those that were uploaded.",
        ),
    ] = None,
    library: LibraryOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List what was deleted on the page of kadr serve, restore it, or delete it for good.

        kadr library bin --restore all

    Deleted photos lie in .kadr-bin in their folder until the bin is emptied. Only those that were
    uploaded can be deleted, unless --originals allows it of all.
    """
    from kadr.errors import KadrError
    from kadr.library.library import Library

    if restore and empty:
        raise KadrError("Choose one of --restore and --empty.")
    with Library.open(library, create=False) as opened:
        if originals is not None:
            opened.allow_deleting(originals=originals)
        found = opened.binned()
        wanted = [one for one in found if restore and {one.id, "all"} & set(restore)]
        if restore and len(wanted) < len(set(restore) - {"all"}):
            raise KadrError("There is no such photo in the bin. kadr library bin lists the ids.")
        restored = opened.restore(wanted, partial(_say_waiting, opened.name)) if wanted else ()
        gone = opened.empty_bin(found, partial(_say_waiting, opened.name)) if empty else 0
        left, allowed = opened.binned(), opened.deletes_originals
    if as_json:
        rows = [asdict(one) for one in left]
        print_json({"bin": rows, "restored": restored, "emptied": gone, "originals": allowed})
        return
    say(*(f"Restored: {path}" for path in restored))
    if empty:
        say(f"Deleted for good: {gone:,}")
    say(*(f"{one.id}  {one.deleted}  {one.origin}" for one in left))
    if not left:
        hint("The bin is empty.")
    which = "all photos" if allowed else "uploaded photos"
    tell = hint if originals is None else say
    tell(f"What may be deleted on the page: {which} (--originals, --uploads-only).")


def _say_waiting(name: str) -> None:
    warn(f"another process writes to {name}; waiting for it (Ctrl-C gives up)")


@app.command("verify")
def verify_command(library: LibraryOption = None, as_json: JsonFlag = False) -> None:
    """Check the library's file, and every photo's content against its digest.

    Reads every photo. Exits 1 where something is wrong.
    """
    from kadr.library.library import Library

    with Library.open(library, create=False) as opened, progress() as report:
        problems = list(opened.verify(partial(report, "photos")))
    if as_json:
        print_json({"problems": problems})
    else:
        say(*problems)
        if problems:
            note(f"Problems: {len(problems):,}")
        else:
            say("The library is sound")
    raise typer.Exit(1 if problems else 0)
