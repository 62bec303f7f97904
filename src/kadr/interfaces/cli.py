"""The command line. Parses, calls one flow, prints; decides nothing about relevance or law."""

import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kadr.errors import DataError, KadrError
from kadr.interfaces.settings import Settings

if TYPE_CHECKING:
    from kadr.compare import Comparison
    from kadr.evaluate import Evaluation
    from kadr.judges import ExpertAuc, JudgeStudy
    from kadr.labels import Agreement, Confusion, CrowdAgreement
    from kadr.matcher import Matcher
    from kadr.train import Trained
    from kadr.types import Answer, Interval

INTERRUPTED = 130

app = typer.Typer(
    help="kadr finds the photo you describe, and says how sure it is.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)
data_app = typer.Typer(
    help="Get, check, study or generate an annotated archive.", no_args_is_help=True
)
app.add_typer(data_app, name="data")


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


class PolicyName(StrEnum):
    """Preset policies."""

    under_16 = "under-16"
    none = "none"


class Language(StrEnum):
    """Languages of reports and notices."""

    en = "en"
    ru = "ru"


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

DataArgument = Annotated[
    Path, typer.Argument(help="Folder of the annotated archive (holds train_dataset.csv).")
]
ModelOption = Annotated[
    Path | None,
    typer.Option("--model", help="A trained matcher's folder. Default: the shipped mini."),
]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
CacheOption = Annotated[
    Path | None,
    typer.Option("--cache", help="File of cached vectors. Default: KADR_CACHE, then the system's."),
]
LimitOption = Annotated[
    float,
    typer.Option("--max-broken", min=0, max=1, help="Share of broken rows that is tolerated."),
]
ImagesOption = Annotated[Path, typer.Option("--images", help="Folder of photos.")]
LanguageOption = Annotated[
    Language, typer.Option("--language", help="Language of notices and of the report.")
]


def main() -> None:
    """Run the command line; an expected error is one line on stderr and exit code 2."""
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


@data_app.command("fetch")
def data_fetch(
    folder: Annotated[Path, typer.Argument(help="Where to put it: a new or empty folder.")],
    url: Annotated[str | None, typer.Option(help="Another address of the archive.")] = None,
) -> None:
    """Download the archive (about 50 MB). An interrupted download goes on where it stopped."""
    from kadr import fetch

    with _progress() as stage:
        path = fetch.fetch(
            folder,
            url=url or fetch.ARCHIVE_URL,
            on_progress=lambda done, total: stage("download", done, total or 0),
        )
    typer.echo(f"The archive is in {path}. Look at it: kadr data check {path}")


@data_app.command("check")
def data_check(
    data: DataArgument,
    as_json: JsonFlag = False,
    max_broken: LimitOption = 0.01,
    show: Annotated[int, typer.Option(help="How many problems to print.")] = 20,
) -> None:
    """Print what an archive holds and what is wrong with it. Exits 1 where something is wrong."""
    from kadr import dataset

    archive = dataset.load(data, max_broken_share=max_broken, check_photos=True)
    summary = dataset.describe(archive, compare_photos=True)
    if as_json:
        problems = [asdict(problem) for problem in archive.skipped]
        _print_json({"summary": asdict(summary), "problems": problems})
    else:
        for name, value in asdict(summary).items():
            typer.echo(f"{name.replace('_', ' '):28} {_plain(value)}")
        for problem in archive.skipped[:show]:
            typer.echo(dataset.format_problem(problem), err=True)
        if len(archive.skipped) > show:
            typer.echo(f"… and {len(archive.skipped) - show} more (--show, --json)", err=True)
    raise typer.Exit(1 if archive.skipped else 0)


@data_app.command("judges")
def data_judges(
    data: DataArgument, as_json: JsonFlag = False, max_broken: LimitOption = 0.01
) -> None:
    """Print how far experts and crowd agree, and how each expert errs.

    The confusion tables need crowd-kit, of the research extra; without it a note says so.
    """
    from kadr import dataset, judges

    found = judges.study(dataset.load(data, max_broken_share=max_broken))
    if as_json:
        _print_json(asdict(found))
    else:
        _print_study(found)


@data_app.command("generate")
def data_generate(
    folder: Annotated[Path, typer.Argument(help="Where to put it: a new or empty folder.")],
    images: Annotated[int, typer.Option(min=10, help="How many scenes to draw.")] = 300,
    seed: Annotated[int, typer.Option(help="The same seed draws the same archive.")] = 0,
) -> None:
    """Draw a small archive of made-up scenes in the real one's layout; its truth is known."""
    from kadr import scenes

    with _progress() as stage:
        scenes.generate(
            folder, images=images, seed=seed, on_progress=lambda d, t: stage("scenes", d, t)
        )
    typer.echo(f"{images} scenes are in {folder}. Train on them: kadr train {folder} --out model")


@app.command("train")
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
    max_broken: LimitOption = 0.01,
    cache: CacheOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Learn from human judgements what a match is."""
    from kadr import dataset, matcher, train

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
    with _cache(cache) as vectors, _progress() as stage:
        trained = train.train(archive, config, vectors, on_progress=stage)
    matcher.save(trained.matcher, out)
    if as_json:
        _print_json({
            "out": str(out),
            "metrics": trained.matcher.manifest["metrics"],
            "pairs": trained.matcher.manifest["pairs"],
            "law": asdict(trained.exclusions),
            "skipped": [p.message for p in archive.skipped] + list(trained.skipped),
        })  # fmt: skip
    else:
        _print_trained(trained, len(archive.skipped), out, time.monotonic() - started)


@app.command("evaluate")
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
    max_broken: LimitOption = 0.01,
    cache: CacheOption = None,
) -> None:
    """Measure a matcher on images that it has not learned from."""
    from kadr import dataset, evaluate, files
    from kadr import report as reports
    from kadr.safety import policy as law

    compared = _comparison(comparison, report)
    archive = dataset.load(data, max_broken_share=max_broken)
    loaded, rules = _matcher(model), law.load(policy.value)
    with _cache(cache) as vectors, _progress() as stage:
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
        _print_json(_figures(found))
    else:
        _print_evaluation(found)
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


@app.command("compare")
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
    max_broken: LimitOption = 0.01,
    cache: CacheOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Measure every combination of the choices on held-out images, and rank them in one table.

    Repeat an option to compare its values: --text-encoder tfidf --text-encoder mini. What is
    measured is kept in the folder: adding one choice later costs that choice alone, and an
    interrupted run goes on where it stopped. Exits 1 where a combination couldn't be measured.
    """
    from itertools import product

    from kadr import compare, dataset, train
    from kadr import report as reports

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
    with _cache(cache) as vectors, _progress() as stage:
        found = compare.compare(archive, configs, vectors, out, jobs=jobs, on_progress=stage)
    written = reports.write_comparison(found, out, language=language.value)
    if as_json:
        _print_json(asdict(found))
    else:
        typer.echo(reports.comparison_text(found, language=language.value))
        typer.echo(f"The table is in {', '.join(path.name for path in written)} in {out}", err=True)
    for which, why in found.failed.items():
        typer.echo(f"kadr: {which}: {why}", err=True)
    raise typer.Exit(1 if found.failed else 0)


@app.command("score")
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
    from kadr import files, score

    table = score.read_pairs(pairs)
    loaded = _matcher(model)
    with _cache(cache) as vectors, _progress() as stage:
        found = score.score(table, images, loaded, vectors, stage)
    files.save(out, score.to_csv(table, found).encode("utf-8"))
    problems = [f"{_printable(item.path)}: {item.reason}" for item in found.skipped]
    for problem in problems:
        typer.echo(f"kadr: {problem}", err=True)
    scored = sum(item is not None for item in found.scores)
    if as_json:
        _print_json({"out": str(out), "scored": scored, "unreadable": problems})
    else:
        typer.echo(f"{scored} of {len(table.rows)} pairs are scored in {out}")
    raise typer.Exit(1 if scored < len(table.rows) else 0)


@app.command("search")
def search_command(
    query: Annotated[str, typer.Argument(help="What the photo shows, in English or Russian.")],
    images: ImagesOption,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="How many photos.")] = 10,
    model: ModelOption = None,
    policy: Annotated[
        PolicyName, typer.Option(help="Which searches the law refuses.")
    ] = PolicyName.under_16,
    sheet: Annotated[
        Path | None, typer.Option(help="Write a contact sheet: F.html or F.png.")
    ] = None,
    language: LanguageOption = Language.en,
    cache: CacheOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Find photos in a folder: rank, probability, path. Exits 1 where nothing was found."""
    from kadr import search
    from kadr.safety import policy as law

    if not query.strip():
        raise KadrError("The query is empty. Say what the photo shows.")
    loaded, rules = _matcher(model), law.load(policy.value)
    with _cache(cache) as vectors, _progress() as stage:
        collection = search.collect(
            images, loaded, vectors, lambda done, total: stage("photos", done, total)
        )
    searcher = search.Searcher(loaded, collection, rules)
    answer = searcher.search(query, limit, language=language.value)
    for skipped in collection.skipped:
        typer.echo(f"kadr: {_printable(skipped.path)}: {skipped.reason}", err=True)
    _print_answer(query, answer, rules.name, as_json=as_json)
    if sheet is not None:
        from kadr.report.sheet import write_sheet

        write_sheet(query, answer, sheet, language=language.value)
        typer.echo(f"The contact sheet is in {sheet}", err=True)
    raise typer.Exit(0 if answer.hits else 1)


@app.command("demo")
def demo_command(
    out: Annotated[Path, typer.Option(help="Folder of everything that the demo makes.")] = Path(
        "demo"
    ),
    offline: Annotated[bool, typer.Option(help="Don't try to download the real archive.")] = False,
    images: Annotated[int, typer.Option(min=50, help="Scenes to draw without the archive.")] = 400,
) -> None:
    """The whole pipeline from nothing: data, training, figures, report, three searches."""
    from kadr import dataset, evaluate, matcher, report, train
    from kadr.safety import policy as law
    from kadr.search import Searcher, collect

    if out.exists() and any(out.iterdir()) and not (out / "archive").exists():
        raise DataError(f"{out} holds other files. Name a new folder with --out.")
    out.mkdir(parents=True, exist_ok=True)
    data, real = _demo_archive(out / "archive", offline=offline, images=images)
    archive, rules = dataset.load(data), law.load("under-16")
    started = time.monotonic()
    with _cache(out / "vectors.sqlite") as vectors, _progress() as stage:
        trained = train.train(
            archive,
            train.Config(alignment="shipped" if real else "fitted"),
            vectors,
            on_progress=stage,
        )
        matcher.save(trained.matcher, out / "model")
        found = evaluate.evaluate(
            trained.matcher, archive, vectors, policy=rules, on_progress=stage
        )
        report.write(
            found,
            out / "report.html",
            photos={**archive.train_images, **archive.test_images},
            manifest=trained.matcher.manifest,
            disclaimer=rules.disclaimer(),
        )
        collection = collect(data / "test_images", trained.matcher, vectors)
    _print_trained(trained, len(archive.skipped), out / "model", time.monotonic() - started)
    _print_evaluation(found)
    searcher = Searcher(trained.matcher, collection, rules)
    real_queries = ("a dog runs in the water", "люди катаются на лыжах", "a little girl")
    drawn_queries = ("a dog near a tree", "красная машина на улице", "a little girl")
    for query in real_queries if real else drawn_queries:
        typer.echo(f"\n$ kadr search {query!r} --images {data / 'test_images'} -n 3")
        _print_answer(query, searcher.search(query, 3), rules.name, as_json=False)
    typer.echo(
        f"\nLook at {out / 'report.html'} (figures, plots, found photos). Next: "
        "kadr search 'what you look for' --images FOLDER"
    )


def _demo_archive(folder: Path, *, offline: bool, images: int) -> tuple[Path, bool]:
    """The real archive where it can be had, drawn scenes elsewhere; and which it is."""
    from kadr import fetch, scenes

    drawn = folder / "drawn"
    if drawn.exists():
        return drawn, False
    real = folder / "real"
    if real.exists():
        return real, True
    if not offline:
        try:
            with _progress() as stage:
                fetch.fetch(
                    real,
                    on_progress=lambda done, total: stage("download", done, total or 0),
                    connect_timeout=3.0,
                )
        except DataError as error:
            typer.echo(f"The real archive can't be had ({error})", err=True)
        else:
            return real, True
    typer.echo(
        f"Drawing {images} scenes in its layout instead. Their figures say nothing of photos."
    )
    with _progress() as stage:
        scenes.generate(drawn, images=images, on_progress=lambda d, t: stage("scenes", d, t))
    return drawn, False


def _matcher(model: Path | None) -> "Matcher":
    from kadr import matcher

    return matcher.load(model or matcher.MINI)


def _comparison(folder: Path | None, report: Path | None) -> "Comparison | None":
    """The comparison that a report shows: the named one, or the one in the report's folder."""
    from kadr import compare

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


@contextmanager
def _cache(path: Path | None) -> Iterator[Any]:
    from kadr.vectors import VectorCache

    cache = VectorCache(path or Settings.from_environment().cache)
    try:
        yield cache
    finally:
        if cache.problem:
            typer.echo(f"kadr: {cache.problem}", err=True)
        cache.close()


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on stderr for what takes longer than a second; nothing where nobody watches."""
    if not sys.stderr.isatty():
        yield lambda _stage, _done, _total: None
        return
    started, tasks, bars = time.monotonic(), dict[str, Any](), list[Any]()

    def stage(name: str, done: int, total: int) -> None:
        if not bars:
            if time.monotonic() - started < 1 and done < total:
                return
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
            )

            if done >= total:
                return
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
            bar = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))
            bar.start()
            bars.append(bar)
        if name not in tasks:
            tasks[name] = bars[0].add_task(name, total=total or None)
        bars[0].update(tasks[name], completed=done, total=total or None)

    try:
        yield stage
    finally:
        for bar in bars:
            bar.stop()


def _print_trained(trained: "Trained", broken: int, out: Path, seconds: float) -> None:
    law, manifest = trained.exclusions, trained.matcher.manifest
    typer.echo(f"Trained on {manifest['pairs']} pairs in {seconds:.0f} s: {out}")
    typer.echo(
        f"Law ({manifest['config']['policy']}): {law.images_removed} of {law.images_total} images "
        f"({law.images_share:.1%}) and {law.pairs_removed} of {law.pairs_total} pairs "
        f"({law.pairs_share:.1%}) were left out"
    )
    words = sorted(law.by_word.items(), key=lambda item: -item[1].images)
    if words:
        typer.echo("  by word: " + ", ".join(f"{word} {removed.images}" for word, removed in words))
    if trained.coverage.left_out:
        typer.echo(f"  {trained.coverage.left_out} pairs have no label: the experts all differ")
    _say_wordless(trained.wordless)
    if broken or trained.skipped:
        typer.echo(f"  {broken} broken rows and {len(trained.skipped)} photos were skipped")
    if manifest["metrics"]:
        m = manifest["metrics"]
        typer.echo(
            f"Held out: ROC-AUC {m['roc_auc']:.3f}, average precision "
            f"{m['average_precision']:.3f}, ECE {m['expected_calibration_error']:.3f} "
            f"({m['held_out_pairs']} pairs)"
        )


def _print_study(found: "JudgeStudy") -> None:
    for notice in found.notices:
        typer.echo(f"Note: {notice}\n")
    coverage = found.coverage
    typer.echo("Judged pairs")
    _print_rows([
        ("by experts", f"{found.expert_pairs:7,}"),
        ("by the crowd", f"{found.crowd_pairs:7,}"),
    ])  # fmt: skip
    typer.echo("\nLabels by the most frequent grade and the crowd's votes")
    _print_rows([
        ("of experts only", f"{coverage.expert_only:7,}"),
        ("of the crowd only", f"{coverage.crowd_only:7,}"),
        ("of both", f"{coverage.both:7,}"),
        ("no most frequent grade", f"{coverage.undecided:7,}"),
        ("so without a label", f"{coverage.left_out:7,}"),
    ])  # fmt: skip
    if found.agreement is not None:
        _print_agreement(found.agreement)
    if found.expert_aucs:
        typer.echo("\nOne expert's grade against the verdict of the others (ROC-AUC)")
        _print_rows(
            (f"expert {item.rater}", f"{_interval(item.roc_auc)}  {_matches(item)}")
            for item in found.expert_aucs
        )
    for confusion in found.confusions or ():
        _print_confusion(confusion)
    if found.crowd is not None and found.crowd_auc is not None:
        _print_crowd(found.crowd, found.crowd_auc)


def _matches(item: "ExpertAuc") -> str:
    return f"{item.pairs:,} pairs, {item.matches:,} matches"


def _print_agreement(agreement: "Agreement") -> None:
    typer.echo(f"\nAgreement of the experts on {agreement.pairs:,} pairs")
    _print_rows([
        ("Krippendorff's alpha", f"{agreement.alpha:.3f}"),
        ("all agree", f"{agreement.all_agree:.1%}"),
        ("some agree", f"{agreement.some_agree:.1%}"),
        ("all differ", f"{agreement.all_differ:.1%}"),
    ])  # fmt: skip
    typer.echo("\nMean grade, and how far it is from the mean of all")
    _print_rows(
        (f"expert {item.rater}", f"{item.mean:.2f}  {item.difference:+.2f}")
        for item in agreement.severity
    )


def _print_confusion(confusion: "Confusion") -> None:
    typer.echo(f"\nExpert {confusion.rater} by Dawid and Skene: share of each grade given")
    _print_rows([
        ("true grade", "".join(f"{given:8}" for given in range(1, 5))),
        *(
            (str(true), "".join(f"{share:8.3f}" for share in row))
            for true, row in enumerate(confusion.matrix.tolist(), start=1)
        ),
    ])  # fmt: skip


def _print_crowd(crowd: "CrowdAgreement", auc: "Interval") -> None:
    typer.echo(f"\nThe crowd beside the experts on the {crowd.pairs:,} pairs of both")
    _print_rows([
        ("mean share of yes", f"{crowd.crowd_share:.3f}"),
        ("mean expert target", f"{crowd.expert_target:.3f}"),
        ("Spearman's rho", f"{crowd.spearman:.3f}"),
        ("Kendall's tau-b", f"{crowd.kendall:.3f}"),
        ("ROC-AUC, median >= 3", _interval(auc)),
    ])  # fmt: skip
    typer.echo("\nMean share of yes by the experts' median grade")
    _print_rows(
        (f"grade {item.grade:g}", f"{item.share:.3f}  {item.pairs:5,} pairs")
        for item in crowd.by_grade
    )


def _print_rows(rows: Iterable[tuple[str, str]]) -> None:
    for name, value in rows:
        typer.echo(f"  {name:24} {value}")


def _say_wordless(texts: tuple[str, ...]) -> None:
    if texts:
        typer.echo(
            f"  {len(texts)} texts hold no word that the text encoder knows, so nothing can be "
            f"found by them: {texts[0]!r}" + (", …" if len(texts) > 1 else "")
        )


def _print_evaluation(found: "Evaluation") -> None:
    _say_wordless(found.wordless)
    for figures in found.pair_figures:
        typer.echo(
            f"\n{figures.name}: {figures.pairs} pairs of {figures.images} images, "
            f"{figures.matches} matches"
        )
        rows = (
            ("ROC-AUC", figures.roc_auc),
            ("average precision", figures.average_precision),
            ("Brier", figures.brier),
            ("ECE", figures.expected_calibration_error),
            ("tau-c", figures.tau_c),
            ("tau-b (crowd)", figures.tau_b),
        )
        for name, interval in rows:
            if interval is not None:
                typer.echo(f"  {name:20} {_interval(interval)}")
        typer.echo(f"  {'MAE':20} {_interval(figures.mae)}  constant {figures.constant_mae:.3f}")
        typer.echo(f"  {'RMSE':20} {_interval(figures.rmse)}  constant {figures.constant_rmse:.3f}")
    for retrieval in found.retrieval:
        typer.echo(f"\n{retrieval.name}: {retrieval.queries} queries, {retrieval.images} images")
        for name, interval in (
            ("recall@1", retrieval.recall_1),
            ("recall@5", retrieval.recall_5),
            ("recall@10", retrieval.recall_10),
            ("MRR", retrieval.mean_reciprocal_rank),
        ):
            typer.echo(f"  {name:20} {_interval(interval)}")
        typer.echo(f"  {'median rank':20} {retrieval.median_rank:g}")
    if found.cross_validated is not None:
        typer.echo("\npublished protocols, 5-fold by image, all images")
        for name, interval in (
            ("ROC-AUC", found.cross_validated.roc_auc),
            ("Flickr8k-Expert tau-c", found.cross_validated.tau_c),
            ("Flickr8k-CF tau-b", found.cross_validated.tau_b),
        ):
            typer.echo(f"  {name:22} {_interval(interval)}")


def _interval(interval: "Interval") -> str:
    return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def _print_answer(query: str, answer: "Answer", policy: str, *, as_json: bool) -> None:
    if as_json:
        hits = [
            {
                "rank": rank,
                "probability": hit.probability,
                "similarity": hit.similarity,
                "path": str(hit.image.path),
            }
            for rank, hit in enumerate(answer.hits, start=1)
        ]
        _print_json({"query": query, "policy": policy, "hits": hits, "notice": answer.notice})
        return
    if answer.notice:
        typer.echo(answer.notice)
    for rank, hit in enumerate(answer.hits, start=1):
        typer.echo(f"{rank:3}  {hit.probability:6.1%}  {_printable(hit.image.path)}")


def _printable(path: Path) -> str:
    """A path on one line: newlines and bytes that are no text are escaped."""
    text = os.fspath(path)
    if text.isprintable():
        return text
    return text.encode("unicode_escape", "backslashreplace").decode("ascii")


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {count}" for key, count in value.items())
    if isinstance(value, tuple):
        return "; ".join(" = ".join(group) for group in value) or "none"
    return str(value)


def _figures(found: "Evaluation") -> dict[str, Any]:
    plotted = ("roc", "precision_recall", "scores_by_grade")
    return {name: _jsonable(value) for name, value in vars(found).items() if name not in plotted}


def _jsonable(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _jsonable(asdict(value))
    if isinstance(value, dict):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    if hasattr(value, "tolist"):  # an array; numpy isn't imported for this question
        return _jsonable(value.tolist())
    if isinstance(value, float) and value != value:  # noqa: PLR0124 - NaN has no JSON
        return None
    return value


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(_jsonable(value), ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
