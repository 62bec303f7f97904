"""kadr audit: the log proves what was done."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kadr.cli.console import JsonFlag, LibraryOption, print_json, printable

if TYPE_CHECKING:
    from kadr.law.chain import Entry
    from kadr.stores.sqlite import Store

audit_app = typer.Typer(
    help="Prove what was assessed, decided, refused and changed.", no_args_is_help=True
)


@contextmanager
def opened(library: Path | None) -> "Iterator[Store]":
    """The library's file: the named one, or the default."""
    from kadr.library.library import default_path
    from kadr.stores.sqlite import Store

    with closing(Store(library or default_path())) as store:
        yield store


@audit_app.callback()
def _audit(context: typer.Context, library: LibraryOption = None) -> None:
    context.obj = library


@audit_app.command("verify")
def verify_command(
    context: typer.Context,
    library: LibraryOption = None,
    contains: Annotated[
        str | None,
        typer.Option(help="A hash that was noted earlier, elsewhere; its line must be there."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Check that no line of the audit log was changed, removed, added or moved.

    Prints the last line's hash: kept elsewhere, it proves later that all lines up to it are as
    they were (--contains). Exits 1 where something is wrong.
    """
    from kadr.law import audit

    with opened(library or context.obj) as store:
        log = audit.beside(store)
        found, hashes = log.verify(), [entry.hash for entry in log.entries()]
    if contains is not None and contains.lower() not in hashes:
        found.append(f"no line has the hash {printable(contains)}")
    last = hashes[-1] if hashes else None
    if as_json:
        print_json({"log": log.path, "lines": len(hashes), "last": last, "problems": found})
    else:
        for line in found:
            typer.echo(printable(line))
        state = f"Problems: {len(found):,}" if found else "The log is sound"
        known = f", the last one's hash: {last}" if last else ""
        typer.echo(f"{state}. Lines: {len(hashes):,}{known}")
    raise typer.Exit(1 if found else 0)


@audit_app.command("show")
def show_command(
    context: typer.Context,
    library: LibraryOption = None,
    photo: Annotated[
        str | None, typer.Option(help="Only what was done with this photo: its path or digest.")
    ] = None,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="The last so many.")] = 50,
    as_json: JsonFlag = False,
) -> None:
    """Print the last lines of the audit log, oldest first."""
    from collections import deque

    from kadr.law import audit, review

    with opened(library or context.obj) as store:
        digest = review.find(store, photo) if photo else None
        entries = audit.beside(store).entries()
        chosen = (entry for entry in entries if digest is None or _is_about(entry, digest))
        shown = deque(chosen, limit)
    if as_json:
        print_json({"entries": [asdict(entry) for entry in shown]})
    else:
        for entry in shown:
            typer.echo(f"{entry.sequence:6}  {entry.time}  {entry.event:9}  {_told(entry)}")


def _is_about(entry: "Entry", digest: str) -> bool:
    several = [row if isinstance(row, str) else row[0] for row in entry.facts.get("photos", ())]
    return entry.facts.get("photo") == digest or digest in several


def _told(entry: "Entry") -> str:
    facts = dict(entry.facts)
    if "photos" in facts:
        facts["photos"] = f"{len(facts['photos']):,}"
    told = (f"{name} {value}" for name, value in facts.items() if value not in (None, "", False))
    return printable(", ".join(told))
