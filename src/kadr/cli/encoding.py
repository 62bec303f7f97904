"""kadr encode: photos of any place to Parquet files, on one machine or many."""

import os
import shlex
import sys
import time
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from kadr.cli.console import (
    INTERRUPTED,
    STOPPED,
    Progress,
    hint,
    load_policy,
    print_json,
    progress,
    say,
    warn,
)
from kadr.cli.options import DeviceOption, JsonFlag, LawOptions, ModelOption, grouped

if TYPE_CHECKING:
    from kadr.encoding.encode import Encoded, OnProgress

CLUSTER = "Where it runs"


@dataclass(frozen=True)
class ClusterOptions:
    """Where workers run, and how much each gets at once."""

    ray: Annotated[
        str | None,
        typer.Option(
            help="A Ray cluster: auto, ray://HOST:10001, or local. Default: this machine alone.",
            rich_help_panel=CLUSTER,
        ),
    ] = None
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Workers at once. Default: one here; on a cluster one for each machine or GPU.",
            rich_help_panel=CLUSTER,
        ),
    ] = None
    gpus: Annotated[
        float,
        typer.Option(min=0, help="GPUs that each worker takes.", rich_help_panel=CLUSTER),
    ] = 0
    part: Annotated[
        int,
        typer.Option(
            min=1,
            max=100_000,
            help="Photos in a file: what a killed worker does again.",
            rich_help_panel=CLUSTER,
        ),
    ] = 1000


@grouped
def encode_command(
    *,
    source: Annotated[
        str,
        typer.Argument(
            help="A folder, s3://, gs:// or az://BUCKET/FOLDER, or a Parquet file with a column "
            "path or url.",
            show_default=False,
        ),
    ],
    to: Annotated[
        str,
        typer.Option("--to", help="Folder or URL for the Parquet files.", show_default=False),
    ],
    model: ModelOption = None,
    _device: DeviceOption = None,
    exclude: Annotated[
        tuple[str, ...],
        typer.Option(help="Leave out what this pattern matches, as in .gitignore."),
    ] = (),
    cluster: ClusterOptions,
    law: LawOptions,
    as_json: JsonFlag = False,
) -> None:
    r"""Encode photos of a folder, an object store or a list into Parquet files.

    For more photos than one machine should read. What has a file is done: stopped or killed, it
    goes on where it was. Photos that can't be read are rows with the reason. kadr index --from
    loads the files into a library. It needs pip install 'kadr\[cluster]'.
    """
    from kadr.encoding.daft import Cluster, DaftEngine
    from kadr.encoding.encode import Options, encode
    from kadr.matcher import bundle

    policy = load_policy(law.policy, law.country)
    options = Options(model or bundle.MINI, policy, cluster.part, exclude)
    started = time.monotonic()
    engine = DaftEngine(Cluster(cluster.ray, cluster.workers, cluster.gpus))
    try:
        with progress() as report, redirect_stdout(sys.stderr):  # Ray prints what befalls workers
            result = encode(source, to, engine, options, _advance(report), _warn)
    except KeyboardInterrupt:
        warn(STOPPED)
        os._exit(INTERRUPTED)  # Daft's threads are still at it, and abort who ends in good order
    _print(to, result, time.monotonic() - started, as_json=as_json)


def _advance(report: Progress) -> "OnProgress":
    start: list[tuple[float, int]] = []

    def advance(done: int, problems: int, total: int) -> None:
        start[:] = start or [(time.monotonic(), done)]
        rate = (done - start[0][1]) / max(time.monotonic() - start[0][0], 1e-3)
        report("photos", done, total, f"{rate:.0f}/s, {problems} with problems")

    return advance


def _warn(place: str, reason: str) -> None:
    warn(f"{place}: {reason}")


def _print(to: str, result: "Encoded", seconds: float, *, as_json: bool) -> None:
    if as_json:
        print_json({"to": to, **asdict(result), "seconds": round(seconds, 3)})
        return
    counts: Mapping[str, int] = {
        "encoded": result.encoded - result.problems,
        "with problems": result.problems,
        "done before": result.done,
    }
    summary = ", ".join(f"{count:,} {word}" for word, count in counts.items() if count)
    rate = f" ({result.encoded / seconds:.0f} photos/s)" if result.encoded else ""
    say(f"{to}: {summary or 'no photo found'}; {seconds:.1f} s{rate}")
    if result.left_out:
        reasons = (f"{count:,} ({reason})" for reason, count in sorted(result.left_out.items()))
        say(f"Left out: {', '.join(reasons)}")
    if result.files:
        at = shlex.quote(result.root)
        hint(f"Now load them: kadr index --from {shlex.quote(to)} --at {at}")
