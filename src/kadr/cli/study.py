"""A matcher of your own: train, evaluate, compare, score."""

import time
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kadr.cli import results
from kadr.cli.console import (
    jsonable,
    load_matcher,
    note,
    open_cache,
    print_bytes,
    print_json,
    printable,
    progress,
    say,
    to_json,
    warn,
)
from kadr.cli.data import DataArgument, MaxBrokenOption
from kadr.cli.options import (
    CacheOption,
    CountryOption,
    DeviceOption,
    JsonFlag,
    LanguageOption,
    ModelOption,
    PoliciesOption,
    PolicyOption,
    grouped,
)
from kadr.cli.outputs import check_file, check_folder
from kadr.data import Experts, Judges
from kadr.errors import KadrError
from kadr.matcher import SEED, Classifier, Features, Space

if TYPE_CHECKING:
    from kadr.study.compare import Comparison
    from kadr.study.evaluate import Evaluation

_FEATURES = typer.Option(help="Features of a pair.")
_CLASSIFIER = typer.Option(help="Head.")
_EXPERTS = typer.Option(help="How the experts' grades become one.")
_WEIGHT = typer.Option(min=0, max=1, help="Experts' share where the crowd judged too.")
_JUDGES = typer.Option(help="Whose judgements are learned from.")


@dataclass(frozen=True)
class TrainOptions:
    """The fields of `kadr.study.train.Config`, which says more of each."""

    image_encoder: Annotated[str, typer.Option(help="Image encoder.")] = "mini"
    text_encoder: Annotated[str, typer.Option(help="Text encoder.")] = "mini"
    features: Annotated[Features, _FEATURES] = "aligned"
    classifier: Annotated[Classifier, _CLASSIFIER] = "logistic"
    experts: Annotated[Experts, _EXPERTS] = "majority"
    expert_weight: Annotated[float, _WEIGHT] = 0.6
    policy: PolicyOption = "under-16"
    country: CountryOption = None
    test_share: Annotated[
        float, typer.Option(min=0, max=0.9, help="Share of images held out; 0 trains on all.")
    ] = 0.3
    seed: Annotated[int, typer.Option(help="Of the split and the head.")] = SEED
    alignment: Annotated[
        Space, typer.Option(help="Mini's joint space: shipped (photos), or fitted to this data.")
    ] = "shipped"
    judges: Annotated[Judges, _JUDGES] = "both"
    search: Annotated[
        bool, typer.Option(help="Tune the head by cross-validation inside the training fold.")
    ] = False


@dataclass(frozen=True)
class CompareOptions:
    """Fields of `kadr.study.train.Config`, each with the values to be compared."""

    image_encoder: Annotated[
        tuple[str, ...], typer.Option(help="Image encoder; repeat it for more than one.")
    ] = ("mini",)
    text_encoder: Annotated[
        tuple[str, ...], typer.Option(help="Text encoder; repeat it for more than one.")
    ] = ("mini", "tfidf")
    features: Annotated[tuple[Features, ...], _FEATURES] = ("aligned", "concat")
    classifier: Annotated[tuple[Classifier, ...], _CLASSIFIER] = ("logistic", "boosting", "mlp")
    experts: Annotated[tuple[Experts, ...], _EXPERTS] = ("majority",)
    expert_weight: Annotated[tuple[float, ...], _WEIGHT] = (0.6,)
    judges: Annotated[tuple[Judges, ...], _JUDGES] = ("both",)
    policy: PoliciesOption = ("under-16",)
    country: CountryOption = None
    alignment: Annotated[
        tuple[Space, ...], typer.Option(help="Mini's joint space: shipped, or fitted to this data.")
    ] = ("shipped",)

    def combinations(self) -> list[dict[str, Any]]:
        """Every choice of one value for each field; what costs an encoding changes last."""
        names = (
            *("image_encoder", "text_encoder", "alignment", "experts", "expert_weight"),
            *("judges", "policy", "features", "classifier"),
        )
        choices = product(*(getattr(self, name) for name in names))
        alike = {"country": self.country}
        return [alike | dict(zip(names, chosen, strict=True)) for chosen in choices]


@grouped
def train_command(
    *,
    data: DataArgument,
    out: Annotated[Path, typer.Option(help="Folder of the new matcher.")],
    options: TrainOptions,
    max_broken: MaxBrokenOption = 0.01,
    _device: DeviceOption = None,
    cache: CacheOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Learn from human judgements what a match is."""
    from kadr.data import dataset
    from kadr.law import rules
    from kadr.matcher import bundle as matcher
    from kadr.study import train

    check_folder(out)
    rules.load(options.policy, options.country)  # a wrong file is told before an hour is spent
    started = time.monotonic()
    archive = dataset.load(data, max_broken_share=max_broken)
    with open_cache(cache) as vectors, progress() as report:
        trained = train.train(archive, train.Config(**vars(options)), vectors, on_progress=report)
    matcher.save(trained.matcher, out)
    if as_json:
        metrics = trained.matcher.manifest["metrics"]
        print_json({
            "out": str(out),
            "metrics": metrics,
            **({} if metrics else {"undefined": {"metrics": results.not_held_out()}}),
            "pairs": trained.matcher.manifest["pairs"],
            "policy": trained.matcher.manifest["policy"],
            "law": asdict(trained.exclusions),
            "skipped": [p.message for p in archive.skipped] + list(trained.skipped),
        })  # fmt: skip
    else:
        results.print_trained(trained, len(archive.skipped), out, time.monotonic() - started)


@grouped
def evaluate_command(
    *,
    data: DataArgument,
    model: ModelOption = None,
    _device: DeviceOption = None,
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
    language: LanguageOption = "en",
    policy: PolicyOption = "under-16",
    country: CountryOption = None,
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
    from kadr.law import rules
    from kadr.photos import files
    from kadr.study import evaluate

    check_file(report)
    if str(json_file) != "-":
        check_file(json_file)
    compared = _comparison(comparison, report)
    law = rules.load(policy, country)
    archive = dataset.load(data, max_broken_share=max_broken)
    matcher = load_matcher(model)
    with open_cache(cache) as vectors, progress() as show:
        evaluation = evaluate.evaluate(
            matcher,
            archive,
            vectors,
            policy=law,
            cross_validate=cross_validate,
            seed=seed,
            on_progress=show,
        )
    if json_file is not None and str(json_file) == "-":
        print_json(_figures(evaluation))
    else:
        results.print_evaluation(evaluation, law)
        if json_file is not None:
            files.save(json_file, f"{to_json(_figures(evaluation))}\n".encode())
    if report is not None:
        reports.write(
            evaluation,
            report,
            photos={**archive.train_images, **archive.test_images},
            manifest=matcher.manifest,
            language=language,
            disclaimer=law.disclaimer(language),
            comparison=compared,
        )
        note(f"The report is in {report}")


@grouped
def compare_command(
    *,
    data: DataArgument,
    out: Annotated[Path, typer.Option(help="Folder of the table and the kept measurements.")],
    options: CompareOptions,
    search: Annotated[
        bool, typer.Option(help="Tune each head by cross-validation inside the training fold.")
    ] = True,
    test_share: Annotated[
        float, typer.Option(min=0.05, max=0.9, help="Share of images held out.")
    ] = 0.3,
    seed: Annotated[int, typer.Option(help="Of the split and the heads.")] = SEED,
    jobs: Annotated[int, typer.Option(min=1, help="Processes side by side.")] = 1,
    language: LanguageOption = "en",
    max_broken: MaxBrokenOption = 0.01,
    _device: DeviceOption = None,
    cache: CacheOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Measure every combination of the choices on held-out images, and rank them in one table.

    Repeat an option to compare its values: --text-encoder tfidf --text-encoder mini. What is
    measured is kept in the folder: adding one choice later costs that choice alone, and an
    interrupted run goes on where it stopped. Exits 1 where a combination couldn't be measured.
    """
    from kadr import report as reports
    from kadr.data import dataset
    from kadr.law import rules
    from kadr.study import compare, train

    check_folder(out)
    for policy in options.policy:
        rules.load(policy, options.country)
    configs = [
        train.Config(**chosen, test_share=test_share, seed=seed, search=search)
        for chosen in options.combinations()
    ]
    archive = dataset.load(data, max_broken_share=max_broken)
    with open_cache(cache) as vectors, progress() as report:
        comparison = compare.compare(archive, configs, vectors, out, jobs=jobs, on_progress=report)
    written = reports.write_comparison(comparison, out, language=language)
    if as_json:
        print_json(asdict(comparison))
    else:
        say(*reports.comparison_text(comparison, language=language).split("\n"))
        note(f"The table is in {', '.join(path.name for path in written)} in {out}")
    for which, why in comparison.failed.items():
        warn(f"{which}: {why}")
    raise typer.Exit(1 if comparison.failed else 0)


def score_command(
    pairs: Annotated[Path, typer.Argument(help="CSV with the columns image and text.")],
    images: Annotated[Path, typer.Option("--images", help="Folder of photos.")],
    out: Annotated[
        Path,
        typer.Option(
            help="CSV to write: probability and similarity added; - writes it to standard output."
        ),
    ],
    model: ModelOption = None,
    _device: DeviceOption = None,
    cache: CacheOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Say for each pair of a photo and a text how probably they match.

    A row whose photo can't be read keeps its place with empty figures; the command then exits 1.
    """
    from kadr.photos import files
    from kadr.study import score

    is_stdout = str(out) == "-"
    if is_stdout and as_json:
        raise KadrError("--json and --out - both say what is printed. Choose one.")
    check_file(None if is_stdout else out)
    table = score.read_pairs(pairs)
    matcher = load_matcher(model)
    with open_cache(cache) as vectors, progress() as report:
        result = score.score(table, images, matcher, vectors, report)
    content = score.to_csv(table, result).encode("utf-8")
    if is_stdout:
        print_bytes(content)
    else:
        files.save(out, content)
    problems = [printable(f"{item.path}: {item.reason}") for item in result.skipped]
    for problem in problems:
        warn(problem)
    scored = sum(item is not None for item in result.scores)
    if as_json:
        print_json({"out": str(out), "scored": scored, "unreadable": problems})
    elif is_stdout:
        note(f"{scored} of {len(table.rows)} pairs are scored")
    else:
        say(f"{scored} of {len(table.rows)} pairs are scored in {out}")
    raise typer.Exit(1 if scored < len(table.rows) else 0)


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
        comparison = compare.load(report.parent)
    except KadrError as error:
        warn(f"the report goes without a comparison. {error}")
        return None
    note(f"The report shows the comparison in {report.parent / compare.TABLE}")
    return comparison


def _figures(evaluation: "Evaluation") -> dict[str, Any]:
    plotted = ("roc", "precision_recall", "scores_by_grade")
    return {
        name: jsonable(value) for name, value in vars(evaluation).items() if name not in plotted
    }
