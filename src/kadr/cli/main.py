"""The command line. Parses, calls one flow, prints; decides nothing about relevance or law."""

import io
import json
import os
import sys
import time
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kadr.cli import data as archives
from kadr.cli import demo, photos, results, review, serve
from kadr.cli.console import (
    CacheOption,
    JsonFlag,
    Language,
    LanguageOption,
    ModelOption,
    PolicyName,
    jsonable,
    load_matcher,
    open_cache,
    print_json,
    printable,
    progress,
)
from kadr.cli.data import DataArgument, MaxBrokenOption
from kadr.errors import KadrError

if TYPE_CHECKING:
    from kadr.study.compare import Comparison
    from kadr.study.evaluate import Evaluation

INTERRUPTED = 130

app = typer.Typer(
    help="kadr finds the photo you describe, and says how sure it is.\n\n"
    "Begin with: kadr index FOLDER, then kadr search a dog runs on the beach",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)
photos.register(app)
serve.register(app)
review.register(app)
RESEARCH = "A matcher of your own"
app.add_typer(archives.app, name="data", rich_help_panel=RESEARCH)


class Features(StrEnum):
    """Features of a pair."""

    aligned = "aligned"
    concat = "concat"


class Classifier(StrEnum):
    """Heads."""

    logistic = "logistic"
    boosting = "boosting"
    mlp = "mlp"


class Experts(StrEnum):
    """How several grades become one."""

    majority = "majority"
    median = "median"
    mean = "mean"
    dawid_skene = "dawid-skene"


class Judges(StrEnum):
    """Whose judgements are learned from."""

    both = "both"
    experts = "experts"
    crowd = "crowd"


class Space(StrEnum):
    """Joint spaces of the mini pair."""

    shipped = "shipped"
    fitted = "fitted"


COMPARED: dict[str, list[Any]] = {
    "image_encoder": ["mini"],
    "text_encoder": ["mini", "tfidf"],
    "features": list(Features),
    "classifier": list(Classifier),
    "experts": [Experts.majority],
    "expert_weight": [0.6],
    "judges": [Judges.both],
    "policy": [PolicyName.under_16],
    "alignment": [Space.shipped],
}
"""What kadr compare measures unless told otherwise."""

ImagesOption = Annotated[Path, typer.Option("--images", help="Folder of photos.")]


def main() -> None:
    """Run the command line; an expected error is one line on stderr and exit code 2."""
    # Else the threads of OpenMP (the text encoder's, boosting's) spin while they wait for each
    # other, and with another process at work a search takes fifty times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file's name may be no text
    try:
        app(standalone_mode=True)
    except KadrError as error:
        print(f"kadr: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except SystemExit as stop:
        if stop.code == INTERRUPTED:  # typer has caught the KeyboardInterrupt
            typer.echo("kadr: stopped. What was encoded is kept; run it again to go on.", err=True)
        raise


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"kadr {version('kadr')}")
        raise typer.Exit


@app.callback()
def _root(
    _version_flag: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command("train", rich_help_panel=RESEARCH)
def train_command(
    data: DataArgument,
    out: Annotated[Path, typer.Option(help="Folder of the new matcher.")],
    image_encoder: Annotated[str, typer.Option(help="Image encoder.")] = "mini",
    text_encoder: Annotated[str, typer.Option(help="Text encoder.")] = "mini",
    features: Annotated[Features, typer.Option(help="Features of a pair.")] = Features.aligned,
    classifier: Annotated[Classifier, typer.Option(help="Head.")] = Classifier.logistic,
    experts: Annotated[
        Experts, typer.Option(help="How the experts' grades become one.")
    ] = Experts.majority,
    expert_weight: Annotated[
        float, typer.Option(min=0, max=1, help="Experts' share where the crowd judged too.")
    ] = 0.6,
    policy: Annotated[
        PolicyName, typer.Option(help="What the law keeps out of training.")
    ] = PolicyName.under_16,
    test_share: Annotated[
        float, typer.Option(min=0, max=0.9, help="Share of images held out; 0 trains on all.")
    ] = 0.3,
    seed: Annotated[int, typer.Option(help="Of the split and the head.")] = 42,
    alignment: Annotated[
        Space, typer.Option(help="Mini's joint space: shipped (photos), or fitted to this data.")
    ] = Space.shipped,
    judges: Annotated[
        Judges, typer.Option(help="Whose judgements are learned from.")
    ] = Judges.both,
    search: Annotated[
        bool, typer.Option(help="Tune the head by cross-validation inside the training fold.")
    ] = False,
    max_broken: MaxBrokenOption = 0.01,
    cache: CacheOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Learn from human judgements what a match is."""
    from kadr.data import dataset
    from kadr.matcher import bundle as matcher
    from kadr.study import train

    if out.exists() and not out.is_dir():
        raise KadrError(f"{out} is a file. Name a new folder with --out.")
    started = time.monotonic()
    config = train.Config(
        image_encoder,
        text_encoder,
        features.value,
        classifier.value,
        experts.value,
        expert_weight,
        policy.value,
        test_share,
        seed,
        alignment.value,
        judges.value,
        search,
    )
    archive = dataset.load(data, max_broken_share=max_broken)
    with open_cache(cache) as vectors, progress() as stage:
        trained = train.train(archive, config, vectors, on_progress=stage)
    matcher.save(trained.matcher, out)
    if as_json:
        print_json({
            "out": str(out),
            "metrics": trained.matcher.manifest["metrics"],
            "pairs": trained.matcher.manifest["pairs"],
            "law": asdict(trained.exclusions),
            "skipped": [p.message for p in archive.skipped] + list(trained.skipped),
        })  # fmt: skip
    else:
        results.print_trained(trained, len(archive.skipped), out, time.monotonic() - started)


@app.command("evaluate", rich_help_panel=RESEARCH)
def evaluate_command(
    data: DataArgument,
    model: ModelOption = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures here; - prints them.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write the HTML report here.")] = None,
    comparison: Annotated[
        Path | None,
        typer.Option(
            help="Folder of kadr compare, for the report. Default: the report's own, if it is one."
        ),
    ] = None,
    language: LanguageOption = Language.en,
    policy: Annotated[
        PolicyName, typer.Option(help="The law for the figures after it.")
    ] = PolicyName.under_16,
    cross_validate: Annotated[
        bool, typer.Option(help="Also the published protocols, 5-fold by image.")
    ] = True,
    seed: Annotated[int, typer.Option(help="Chooses the queries of the visual test.")] = 0,
    max_broken: MaxBrokenOption = 0.01,
    cache: CacheOption = None,
) -> None:
    """Measure a matcher on images that it has not learned from."""
    from kadr import report as reports
    from kadr.data import dataset
    from kadr.law import policy as law
    from kadr.photos import files
    from kadr.study import evaluate

    compared = _comparison(comparison, report)
    archive = dataset.load(data, max_broken_share=max_broken)
    loaded, rules = load_matcher(model), law.PRESETS[policy.value]
    with open_cache(cache) as vectors, progress() as stage:
        found = evaluate.evaluate(
            loaded,
            archive,
            vectors,
            policy=rules,
            cross_validate=cross_validate,
            seed=seed,
            on_progress=stage,
        )
    if json_file is not None and str(json_file) == "-":
        print_json(_figures(found))
    else:
        results.print_evaluation(found)
        if json_file is not None:
            text = json.dumps(_figures(found), indent=1, ensure_ascii=False) + "\n"
            files.save(json_file, text.encode("utf-8"))
    if report is not None:
        reports.write(
            found,
            report,
            photos={**archive.train_images, **archive.test_images},
            manifest=loaded.manifest,
            language=language.value,
            disclaimer=rules.disclaimer(language.value),
            comparison=compared,
        )
        typer.echo(f"The report is in {report}", err=True)


@app.command("compare", rich_help_panel=RESEARCH)
def compare_command(
    data: DataArgument,
    out: Annotated[Path, typer.Option(help="Folder of the table and the kept measurements.")],
    image_encoder: Annotated[
        list[str], typer.Option(help="Image encoder; repeat it for more than one.")
    ] = COMPARED["image_encoder"],
    text_encoder: Annotated[
        list[str], typer.Option(help="Text encoder; repeat it for more than one.")
    ] = COMPARED["text_encoder"],
    features: Annotated[list[Features], typer.Option(help="Features of a pair.")] = COMPARED[
        "features"
    ],
    classifier: Annotated[list[Classifier], typer.Option(help="Head.")] = COMPARED["classifier"],
    experts: Annotated[
        list[Experts], typer.Option(help="How the experts' grades become one.")
    ] = COMPARED["experts"],
    expert_weight: Annotated[
        list[float], typer.Option(min=0, max=1, help="Experts' share where the crowd judged too.")
    ] = COMPARED["expert_weight"],
    judges: Annotated[
        list[Judges], typer.Option(help="Whose judgements are learned from.")
    ] = COMPARED["judges"],
    policy: Annotated[
        list[PolicyName], typer.Option(help="What the law keeps out of training.")
    ] = COMPARED["policy"],
    alignment: Annotated[
        list[Space], typer.Option(help="Mini's joint space: shipped, or fitted to this data.")
    ] = COMPARED["alignment"],
    search: Annotated[
        bool, typer.Option(help="Tune each head by cross-validation inside the training fold.")
    ] = True,
    test_share: Annotated[
        float, typer.Option(min=0.05, max=0.9, help="Share of images held out.")
    ] = 0.3,
    seed: Annotated[int, typer.Option(help="Of the split and the heads.")] = 42,
    jobs: Annotated[int, typer.Option(min=1, help="Processes side by side.")] = 1,
    language: LanguageOption = Language.en,
    max_broken: MaxBrokenOption = 0.01,
    cache: CacheOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Measure every combination of the choices on held-out images, and rank them in one table.

    Repeat an option to compare its values: --text-encoder tfidf --text-encoder mini. What is
    measured is kept in the folder: adding one choice later costs that choice alone, and an
    interrupted run goes on where it stopped. Exits 1 where a combination couldn't be measured.
    """
    from itertools import product

    from kadr import report as reports
    from kadr.data import dataset
    from kadr.study import compare, train

    configs = [
        train.Config(
            *(image, text, pair.value, head.value, grades.value, weight, law.value),
            test_share=test_share,
            seed=seed,
            alignment=space.value,
            judges=who.value,
            search=search,
        )
        for image, text, space, grades, weight, who, law, pair, head in product(
            image_encoder, text_encoder, alignment, experts, expert_weight, judges, policy,
            features, classifier,
        )
    ]  # fmt: skip
    archive = dataset.load(data, max_broken_share=max_broken)
    with open_cache(cache) as vectors, progress() as stage:
        found = compare.compare(archive, configs, vectors, out, jobs=jobs, on_progress=stage)
    written = reports.write_comparison(found, out, language=language.value)
    if as_json:
        print_json(asdict(found))
    else:
        typer.echo(reports.comparison_text(found, language=language.value))
        typer.echo(f"The table is in {', '.join(path.name for path in written)} in {out}", err=True)
    for which, why in found.failed.items():
        typer.echo(f"kadr: {which}: {why}", err=True)
    raise typer.Exit(1 if found.failed else 0)


@app.command("score", rich_help_panel=RESEARCH)
def score_command(
    pairs: Annotated[Path, typer.Argument(help="CSV with the columns image and text.")],
    images: ImagesOption,
    out: Annotated[Path, typer.Option(help="CSV to write: probability and similarity added.")],
    model: ModelOption = None,
    cache: CacheOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Say for each pair of a photo and a text how probably they match.

    A row whose photo can't be read keeps its place with empty figures; the command then exits 1.
    """
    from kadr.photos import files
    from kadr.study import score

    table = score.read_pairs(pairs)
    loaded = load_matcher(model)
    with open_cache(cache) as vectors, progress() as stage:
        found = score.score(table, images, loaded, vectors, stage)
    files.save(out, score.to_csv(table, found).encode("utf-8"))
    problems = [f"{printable(item.path)}: {item.reason}" for item in found.skipped]
    for problem in problems:
        typer.echo(f"kadr: {problem}", err=True)
    scored = sum(item is not None for item in found.scores)
    if as_json:
        print_json({"out": str(out), "scored": scored, "unreadable": problems})
    else:
        typer.echo(f"{scored} of {len(table.rows)} pairs are scored in {out}")
    raise typer.Exit(1 if scored < len(table.rows) else 0)


app.command("demo", rich_help_panel=RESEARCH)(demo.demo_command)


def _comparison(folder: Path | None, report: Path | None) -> "Comparison | None":
    """The comparison that a report shows: the named one, or the one in the report's folder."""
    from kadr.study import compare

    if folder is not None:
        if report is None:
            raise KadrError("--comparison is shown in the report: name its file with --report.")
        return compare.load(folder)
    if report is None or not (report.parent / compare.TABLE).exists():
        return None
    try:
        found = compare.load(report.parent)
    except KadrError as error:
        typer.echo(f"kadr: the report goes without a comparison. {error}", err=True)
        return None
    typer.echo(f"The report shows the comparison in {report.parent / compare.TABLE}", err=True)
    return found


def _figures(found: "Evaluation") -> dict[str, Any]:
    plotted = ("roc", "precision_recall", "scores_by_grade")
    return {name: jsonable(value) for name, value in vars(found).items() if name not in plotted}


if __name__ == "__main__":
    main()
