"""The commands of `kadr library`: what is in it, what is wrong with it, what it should forget."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from kadr.cli.console import (
    JsonFlag,
    LibraryOption,
    hint,
    print_json,
    printable,
    progress,
)

app = typer.Typer(
    help="See, check and change what is in the library.\n\n"
    "Without a command it prints how much is in it, and of which folders."
)


@dataclass(frozen=True)
class _Before:
    """Options that stood before a subcommand: kadr library --library F problems."""

    library: Path | None
    as_json: bool


@app.callback(invoke_without_command=True)
def library_command(
    context: typer.Context, library: LibraryOption = None, as_json: JsonFlag = False
) -> None:
    """Print what is in the library."""
    context.obj = _Before(library, as_json)
    if context.invoked_subcommand is not None:
        return
    from kadr.library.library import Library

    with Library.open(library, create=False) as opened:
        totals, folders = opened.totals(), opened.folders
        encoder, path = opened.encoder, opened.path
    if as_json:
        print_json({"path": path, "encoder": encoder, "folders": folders, **asdict(totals)})
        return
    by = f", encoded by {encoder}" if encoder else ""
    typer.echo(f"{printable(path)}: {totals.bytes / 1e6:.1f} MB{by}")
    typer.echo(
        f"Photos: {totals.photos:,}. Files: {totals.files:,}, copies among them: {totals.copies:,}"
    )
    if totals.missing:
        typer.echo(f"Paths no longer there: {totals.missing:,} (kadr index --prune forgets them)")
    if totals.problems:
        typer.echo(
            f"Files that can't be read: {totals.problems:,} (kadr library problems lists them)"
        )
    for folder in folders:
        typer.echo(f"  {printable(folder)}" + ("" if folder.is_dir() else "  (not there)"))


@app.command("problems")
def problems_command(
    context: typer.Context, library: LibraryOption = None, as_json: JsonFlag = False
) -> None:
    """List the files that can't be read, and why. Exits 1 where there are any."""
    from kadr.library.library import Library

    with Library.open(library or context.obj.library, create=False) as opened:
        problems = opened.problems()
    if as_json or context.obj.as_json:
        print_json({"problems": [asdict(problem) for problem in problems]})
    else:
        for problem in problems:
            typer.echo(f"{printable(problem.path)}: {problem.reason}")
        hint("Mended some? kadr index --retry" if problems else "Every file could be read.")
    raise typer.Exit(1 if problems else 0)


@app.command("ignored")
def ignored_command(
    context: typer.Context, library: LibraryOption = None, as_json: JsonFlag = False
) -> None:
    """List what indexing leaves out below the library's folders, and why.

    Hidden and system folders, links to folders, what a .kadrignore or --exclude matches, and files
    of formats that can't be read, such as RAW and video. A folder stands for all that is in it.
    """
    from kadr.library.library import Library

    with Library.open(library or context.obj.library, create=False) as opened:
        entries, patterns = list(opened.ignored()), opened.excluded
    if as_json or context.obj.as_json:
        left_out = [{"path": one.path, "why": one.met, "reason": one.reason} for one in entries]
        print_json({"ignored": left_out, "excluded": patterns})
        return
    for one in entries:
        typer.echo(f"{printable(one.path)}: {printable(one.reason)}")
    for folder, lines in patterns.items():
        typer.echo(f"{printable(folder)} --exclude {printable(' '.join(lines))}")


@app.command("remove")
def remove_command(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="The folder to forget; its photos stay.")],
    library: LibraryOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Forget a folder and what is below it. No photo is touched."""
    from kadr.library.library import Library, resolved

    with Library.open(library or context.obj.library, create=False) as opened:
        count = opened.remove(folder)
        above = [known for known in opened.folders if resolved(folder).is_relative_to(known)]
    if as_json or context.obj.as_json:
        print_json({"removed": count})
    else:
        typer.echo(f"Files forgotten: {count:,}. The photos themselves stay where they are.")
    if above:
        typer.echo(
            f"kadr: {printable(above[0])} is still in the library: its next indexing will add "
            "what is below it again, this folder too",
            err=True,
        )


@app.command("verify")
def verify_command(
    context: typer.Context, library: LibraryOption = None, as_json: JsonFlag = False
) -> None:
    """Check the library's file, and every photo's content against its digest.

    Reads every photo. Exits 1 where something is wrong.
    """
    from kadr.library.library import Library

    place = library or context.obj.library
    with Library.open(place, create=False) as opened, progress() as stage:
        problems = list(opened.verify(lambda done, total: stage("photos", done, total)))
    if as_json or context.obj.as_json:
        print_json({"problems": problems})
    else:
        for line in problems:
            typer.echo(printable(line))
        typer.echo(
            f"Problems: {len(problems):,}" if problems else "The library is sound",
            err=bool(problems),
        )
    raise typer.Exit(1 if problems else 0)
