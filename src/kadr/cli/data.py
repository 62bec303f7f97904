"""The commands of `kadr data`: get, check, study or draw an annotated archive."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from kadr.cli import results
from kadr.cli.console import note, print_json, progress, say
from kadr.cli.options import JsonFlag
from kadr.cli.outputs import check_folder

app = typer.Typer(help="Get, check, study or generate an annotated archive.", no_args_is_help=True)

DataArgument = Annotated[
    Path, typer.Argument(help="Folder of the annotated archive (holds train_dataset.csv).")
]
MaxBrokenOption = Annotated[
    float,
    typer.Option("--max-broken", min=0, max=1, help="Share of broken rows that is tolerated."),
]


@app.command("fetch")
def fetch_command(
    folder: Annotated[Path, typer.Argument(help="Where to put it: a new or empty folder.")],
    url: Annotated[str | None, typer.Option(help="Another address of the archive.")] = None,
) -> None:
    """Download the archive (about 50 MB). An interrupted download goes on where it stopped."""
    from kadr.data import fetch

    check_folder(folder)
    with progress() as report:
        path = fetch.fetch(
            folder, url=url or fetch.ARCHIVE_URL, on_progress=partial(report, "download")
        )
    say(f"The archive is in {path}. Look at it: kadr data check {path}")


@app.command("check")
def check_command(
    data: DataArgument,
    as_json: JsonFlag = False,
    max_broken: MaxBrokenOption = 0.01,
    show: Annotated[int, typer.Option(help="How many problems to print.")] = 20,
) -> None:
    """Print what an archive holds and what is wrong with it. Exits 1 where something is wrong."""
    from kadr.data import dataset

    archive = dataset.load(data, max_broken_share=max_broken, check_photos=True)
    summary = asdict(dataset.describe(archive, compare_photos=True))
    if as_json:
        problems = [asdict(problem) for problem in archive.skipped]
        print_json({"summary": summary, "problems": problems})
    else:
        for name, value in summary.items():
            say(f"{name.replace('_', ' '):28} {results.plain(value)}")
        note(*map(dataset.format_problem, archive.skipped[:show]))
        if len(archive.skipped) > show:
            note(f"… and {len(archive.skipped) - show} more (--show, --json)")
    raise typer.Exit(1 if archive.skipped else 0)


@app.command("judges")
def judges_command(
    data: DataArgument, as_json: JsonFlag = False, max_broken: MaxBrokenOption = 0.01
) -> None:
    """Print how far experts and crowd agree, and how each expert errs.

    The confusion tables need crowd-kit, of the research extra; without it a note says so.
    """
    from kadr.data import dataset, judges

    study = judges.study(dataset.load(data, max_broken_share=max_broken))
    if as_json:
        print_json(asdict(study))
    else:
        results.print_study(study)


@app.command("generate")
def generate_command(
    folder: Annotated[Path, typer.Argument(help="Where to put it: a new or empty folder.")],
    images: Annotated[int, typer.Option(min=10, help="How many scenes to draw.")] = 300,
    seed: Annotated[int, typer.Option(help="The same seed draws the same archive.")] = 0,
) -> None:
    """Draw a small archive of made-up scenes in the real one's layout; its truth is known."""
    from kadr.data import drawn

    check_folder(folder)
    with progress() as report:
        drawn.generate(folder, images=images, seed=seed, on_progress=partial(report, "scenes"))
    say(f"{images} scenes are in {folder}. Train on them: kadr train {folder} --out model")
