"""The commands of `kadr keys`: who may use the service."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from kadr.cli.console import hint, note, print_json, say
from kadr.cli.options import JsonFlag, LibraryOption, grouped
from kadr.service.config import Scope

app = typer.Typer(
    no_args_is_help=True,
    help="Make, list and remove the API keys of a library's service.\n\n"
    "Scopes: read searches and shows, write adds and deletes, review decides for the law.",
)


@app.command("add")
@grouped
def add_command(
    *,
    name: Annotated[str, typer.Option(help="Its owner; decisions are recorded under it.")],
    scope: Annotated[
        tuple[Scope, ...],
        typer.Option(help="What it allows; repeat it. Default: read."),
    ] = (),
    library: LibraryOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Make a key and print it. It is shown only once, and stored as a hash."""
    from kadr.service import keys

    scopes: list[Scope] = [*scope] or ["read"]
    key = keys.add(_file(library), name, scopes)
    if as_json:
        print_json({"key": key, "name": name, "scopes": scopes})
    else:
        say(key)
        hint("Keep it: it isn't shown again. Authorization: Bearer KEY, or enter it on the page.")


@app.command("list")
def list_command(library: LibraryOption = None, as_json: JsonFlag = False) -> None:
    """List keys: id, name, scopes, date."""
    from kadr.service import keys

    known = keys.read(_file(library))
    if as_json:
        print_json([
            {"id": k.id, "name": k.name, "scopes": k.scopes, "created": k.created} for k in known
        ])  # fmt: skip
        return
    say(*(f"{key.id}  {key.name}  {','.join(key.scopes)}  {key.created}" for key in known))
    if not known:
        (note if sys.stdout.isatty() else say)("No keys")


@app.command("remove")
def remove_command(
    key: Annotated[str, typer.Argument(help="Its id or its name.")], library: LibraryOption = None
) -> None:
    """Revoke a key, at once."""
    from kadr.service import keys

    file = _file(library)
    removed = keys.remove(file, key)
    note(f"{removed.id} {removed.name} is removed")
    if not keys.read(file):
        hint(
            "No key is left, so nobody gets in. Make another: kadr keys add --name NAME, or delete "
            f"{file} to need none on this machine."
        )


def _file(library: str | None) -> Path:
    from kadr.service import keys
    from kadr.stores import default_spec

    return keys.of(library or default_spec())
