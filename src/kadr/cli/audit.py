"""kadr audit: the log proves what was done."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kadr.cli.console import note, print_bytes, print_json, say
from kadr.cli.options import JsonFlag, LibraryOption
from kadr.cli.outputs import check_file

if TYPE_CHECKING:
    from kadr.stores import Store
    from kadr.stores.chain import Entry

app = typer.Typer(
    help="Prove what was assessed, decided, refused and changed.", no_args_is_help=True
)


@contextmanager
def opened(library: str | None) -> "Iterator[Store]":
    """The library's store: the named one, or the default."""
    from kadr.stores import default_spec, open_store

    with closing(open_store(library or default_spec())) as store:
        yield store


@app.callback()
def _audit(library: LibraryOption = None) -> None:
    pass  # the commands take its options over


@app.command("verify")
def verify_command(
    library: LibraryOption = None,
    contains: Annotated[
        str | None,
        typer.Option(help="A hash that was noted earlier, elsewhere; its entry must be there."),
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option(help="An exported log, checked too: the library must hold its entries."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Check that the audit log is whole, and that the library is as it says.

    Finds entries that were changed, removed, added, moved or forged, and decisions and assessments
    that aren't those on record. Prints the last entry's hash: kept elsewhere, it proves later that
    all entries up to it are as they were (--contains). Exits 1 where something is wrong.
    """
    from kadr.law import audit, proof

    exported = None if log is None else log.read_bytes()
    with opened(library) as store, store.reading():
        problems, hashes = proof.verify(store), [entry.hash for entry in audit.entries(store)]
        if exported is not None:
            problems += proof.verify_export(store, exported)
        name = store.name
    if contains is not None and contains.lower() not in hashes:
        problems.append(f"no entry has the hash {contains}")
    last = hashes[-1] if hashes else None
    if as_json:
        print_json({"log": name, "lines": len(hashes), "last": last, "problems": problems})
    else:
        state = f"Problems: {len(problems):,}" if problems else "The log is sound"
        known = f", the last one's hash: {last}" if last else ""
        say(*problems, f"{state}. Entries: {len(hashes):,}{known}")
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
    """Print the last entries of the audit log, oldest first."""
    from collections import deque

    from kadr.law import audit, review

    with opened(library) as store:
        digest = review.find(store, photo) if photo else None
        entries = audit.entries(store)
        shown = deque((one for one in entries if digest is None or _is_about(one, digest)), limit)
    if as_json:
        print_json({"entries": [asdict(entry) for entry in shown]})
    else:
        say(*map(_line, shown))


@app.command("export")
def export_command(
    file: Annotated[Path, typer.Argument(help="The file to write; - is standard output.")],
    library: LibraryOption = None,
) -> None:
    """Write the audit log as JSON lines, an entry a line, for whoever keeps or checks it."""
    from kadr.law import audit
    from kadr.photos import files
    from kadr.stores import chain

    if str(file) != "-":
        check_file(file)
    with opened(library) as store:
        lines = [chain.to_line(entry) for entry in audit.entries(store)]
    if str(file) == "-":
        print_bytes(b"".join(lines))
    else:
        files.save(file, b"".join(lines), mode=0o600)
        note(f"Entries in {file}: {len(lines):,}")


def _is_about(entry: "Entry", digest: str) -> bool:
    several = [row if isinstance(row, str) else row[0] for row in entry.facts.get("photos", ())]
    return entry.facts.get("photo") == digest or digest in several


def _line(entry: "Entry") -> str:
    facts = dict(entry.facts)
    if "photos" in facts:
        facts["photos"] = f"{len(facts['photos']):,}"
    shown = ", ".join(f"{k} {v}" for k, v in facts.items() if v not in (None, "", False))
    return f"{entry.sequence:6}  {entry.time}  {entry.event:9}  {shown}"
