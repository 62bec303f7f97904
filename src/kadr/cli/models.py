"""The commands of `kadr models`: which there are, what is published of them, and getting them."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import typer

from kadr.cli import completion
from kadr.cli.console import hint, note, print_json, progress, say
from kadr.cli.options import DeviceOption, JsonFlag

if TYPE_CHECKING:
    from kadr.encoders.menu import Entry
    from kadr.matcher.installed import Installed, OnProgress

Precision: TypeAlias = Literal["auto", "fp32", "fp16", "int8"]
"""auto, and `kadr.types.Precision`, which --help has no time to import."""

app = typer.Typer(
    help="Get stronger models than mini, and see which there are.\n\n"
    "mini ships inside. Larger models are downloaded when you ask for one, and work without a "
    "network from then on: kadr models pull siglip2-b16, then kadr index FOLDER --model "
    "siglip2-b16. They need pip install 'kadr\\[hub]'.\n\nWithout a command it lists the models."
)
NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="A name that kadr models lists, or hub:OWNER/NAME.",
        autocompletion=completion.installed_models,
    ),
]
_HEADER = ("name", "languages", "MB", "length", "recall en/ru", "photos/s", "licence", "")


@app.callback(invoke_without_command=True)
def models_command(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List the models: those that kadr knows by name, and those that are installed."""
    if context.invoked_subcommand is not None:
        return
    from kadr.encoders.menu import MENU, RECALL_SOURCE
    from kadr.matcher import installed

    here = {one.name: one for one in installed.installed()}
    if as_json:
        known = [_described(entry, here.get(entry.name)) for entry in MENU]
        others = [_described(None, one) for name, one in here.items() if not _is_known(name)]
        print_json({"models": known + others, "recall_source": RECALL_SOURCE})
        return
    rows = [_row(entry, here.get(entry.name)) for entry in MENU]
    rows += [_row(None, one) for name, one in here.items() if not _is_known(name)]
    say(*_table([_HEADER, _MINI, *rows]))
    say(
        "",
        f"Recall in per cent: {RECALL_SOURCE}.",
        "MB of what isn't installed: four bytes a parameter. photos/s: measured on this machine.",
    )
    hint("Get one: kadr models pull siglip2-b16")


@app.command("pull")
def pull_command(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A name that kadr models lists, hub:OWNER/NAME or folder:PATH.",
            autocompletion=completion.model_names,
        ),
    ],
    precision: Annotated[
        Precision,
        typer.Option(
            "--precision",
            help="Of the weights, where a model comes in several. auto: fp32 on a processor, fp16 "
            "on a graphics card; what there is of it.",
        ),
    ] = "auto",
    _device: DeviceOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Download a model and make it ready; stopped, it goes on where it was.

    Each file is checked against its digest. Nothing but weights (ONNX) and settings (JSON) is
    read, and no code of a repository is run. HF_ENDPOINT, HF_TOKEN, HF_HOME, HF_HUB_OFFLINE and
    proxies are respected.
    """
    from kadr.matcher import installed

    with progress() as report:
        wanted = None if precision == "auto" else precision
        result = installed.pull(name, wanted, report if sys.stderr.isatty() else _told_once(name))
    if not sys.stderr.isatty():
        note(f"{result.name} is ready")
    if as_json:
        print_json(_described(None, result))
        return
    say(f"{result.name}: {result.bytes / 1e6:,.0f} MB in {result.folder}")
    hint(f"Now: kadr index FOLDER --model {result.name}")


def _told_once(name: str) -> "OnProgress":
    """Says that something is done, once it is, where there is no bar to see."""
    told: list[str] = []

    def report(what: str, done: int, total: int) -> None:
        del what, done, total
        if not told:
            told.append(name)
            note(f"Getting {name}, which may take minutes. Stopped, it goes on where it was.")

    return report


@app.command("show")
def show_command(name: NameArgument, as_json: JsonFlag = False) -> None:
    """Print what is known of a model."""
    from kadr.encoders import menu
    from kadr.errors import KadrError
    from kadr.matcher import installed

    entry, here = menu.entry(name), None
    try:
        here = installed.show(name)
    except KadrError:
        if entry is None and name != SHIPPED["name"]:
            raise
    facts = SHIPPED if name == SHIPPED["name"] else _described(entry, here)
    if as_json:
        print_json(facts)
        return
    say(*(f"{key.replace('_', ' ')}: {value}" for key, value in facts.items() if value is not None))


@app.command("remove")
def remove_command(name: NameArgument, as_json: JsonFlag = False) -> None:
    """Delete a model from this machine, and what a stopped download of it left."""
    from kadr.matcher import installed

    place = installed.remove(name)
    if as_json:
        print_json({"removed": place})
    else:
        say(f"Removed: {place}")


SHIPPED = {
    "name": "mini",
    "installed": True,
    "languages": "English, Russian",
    "dim": 256,
    "licence": "Apache-2.0",
    "source": "ships inside kadr; --model mini",
}
_MINI = ("mini", "English, Russian", "20", "256", "-", "-", "Apache-2.0", "shipped")


def _is_known(name: str) -> bool:
    from kadr.encoders import menu

    return menu.entry(name) is not None


def _described(entry: "Entry | None", here: "Installed | None") -> dict[str, Any]:
    published = {k: v for k, v in asdict(entry).items() if k != "name"} if entry else {}
    name = entry.name if entry else here.name if here else ""
    found = asdict(here) if here else {}
    return {"name": name, "installed": here is not None, **published, **found}


def _row(entry: "Entry | None", here: "Installed | None") -> tuple[str, ...]:
    name = entry.name if entry else here.name if here else ""
    size = f"{here.bytes / 1e6:,.0f}" if here else _expected(entry)
    dim = here.dim if here else entry.dim if entry else None
    recalls = [_figure(entry.english), _figure(entry.russian)] if entry else ["-"]
    rate = f"{here.rate:.0f}" if here and here.rate else "-"
    return (
        name,
        entry.languages if entry else "-",
        size,
        str(dim or "-"),
        "/".join(recalls),
        rate,
        entry.licence if entry else "-",
        "installed" if here else "",
    )


def _expected(entry: "Entry | None") -> str:
    return f"{entry.parameters * 4:,.0f}" if entry and entry.parameters else "-"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _table(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Rows in columns as wide as their widest."""
    filled = list(rows)
    widths = [max(len(row[column]) for row in filled) for column in range(len(filled[0]))]
    for row in filled:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
