"""kadr audit: the log proves what was done."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kadr.cli.console import print_json, say
from kadr.cli.options import JsonFlag, LibraryOption

if TYPE_CHECKING:
    from kadr.law.chain import Entry
    from kadr.stores.sqlite import Store

app = typer.Typer(
    help="Prove what was assessed, decided, refused and changed.", no_args_is_help=True
)


@contextmanager
def opened(library: Path | None) -> "Iterator[Store]":
    """The library's file: the named one, or the default."""
    from kadr.library.library import default_path
    from kadr.stores.sqlite import Store

    with closing(Store(library or default_path())) as store:
        yield store


@app.callback()
def _audit(library: LibraryOption = None) -> None:
    pass  # the commands take its options over


@app.command("verify")
def verify_command(
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

    with opened(library) as store:
        log = audit.beside(store)
        problems, hashes = log.verify(), [entry.hash for entry in log.entries()]
    if contains is not None and contains.lower() not in hashes:
        problems.append(f"no line has the hash {contains}")
    last = hashes[-1] if hashes else None
    if as_json:
        print_json({"log": log.path, "lines": len(hashes), "last": last, "problems": problems})
    else:
        state = f"Problems: {len(problems):,}" if problems else "The log is sound"
        known = f", the last one's hash: {last}" if last else ""
        say(*problems, f"{state}. Lines: {len(hashes):,}{known}")
    raise typer.Exit(1 if problems else 0)


@app.command("show")
def show_command(
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

    with opened(library) as store:
        digest = review.find(store, photo) if photo else None
        entries = audit.beside(store).entries()
        chosen = (entry for entry in entries if digest is None or _is_about(entry, digest))
        shown = deque(chosen, limit)
    if as_json:
        print_json({"entries": [asdict(entry) for entry in shown]})
    else:
        say(*map(_line, shown))


def _is_about(entry: "Entry", digest: str) -> bool:
    several = [row if isinstance(row, str) else row[0] for row in entry.facts.get("photos", ())]
    return entry.facts.get("photo") == digest or digest in several


def _line(entry: "Entry") -> str:
    facts = dict(entry.facts)
    if "photos" in facts:
        facts["photos"] = f"{len(facts['photos']):,}"
    shown = ", ".join(f"{k} {v}" for k, v in facts.items() if v not in (None, "", False))
    return f"{entry.sequence:6}  {entry.time}  {entry.event:9}  {shown}"
