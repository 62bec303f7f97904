"""`kadr demo`: the whole pipeline from nothing."""

import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kadr.cli import answers, results
from kadr.cli.console import note, open_cache, progress, say
from kadr.cli.outputs import check_folder
from kadr.errors import DataError

if TYPE_CHECKING:
    from kadr.library.library import Library
    from kadr.types import Dataset


def demo_command(
    out: Annotated[Path, typer.Option(help="Folder of everything that the demo makes.")] = Path(
        "demo"
    ),
    offline: Annotated[bool, typer.Option(help="Don't try to download the real archive.")] = False,
    images: Annotated[int, typer.Option(min=50, help="Scenes to draw without the archive.")] = 400,
    serve: Annotated[
        bool | None,
        typer.Option(
            help="End by serving the page to search on. Default: where somebody watches.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """The whole pipeline from nothing: data, training, figures, report, searches, the page."""
    from kadr import report as reports
    from kadr.data import dataset
    from kadr.law import policy as law
    from kadr.library.library import Library
    from kadr.matcher import bundle as matcher
    from kadr.study import evaluate, train

    check_folder(out)
    if out.exists() and any(out.iterdir()) and not (out / "archive").exists():
        raise DataError(f"{out} holds other files. Name a new folder with --out.")
    out.mkdir(parents=True, exist_ok=True)
    data, real = _demo_archive(out / "archive", offline=offline, images=images)
    archive, rules = dataset.load(data), law.PRESETS["under-16"]
    started = time.monotonic()
    with open_cache(out / "vectors.sqlite") as vectors, progress() as report:
        trained = train.train(
            archive,
            train.Config(alignment="shipped" if real else "fitted"),
            vectors,
            on_progress=report,
        )
        matcher.save(trained.matcher, out / "model")
        evaluation = evaluate.evaluate(
            trained.matcher, archive, vectors, policy=rules, on_progress=report
        )
        reports.write(
            evaluation,
            out / "report.html",
            photos={**archive.train_images, **archive.test_images},
            manifest=trained.matcher.manifest,
            disclaimer=rules.disclaimer(),
        )
    results.print_trained(trained, len(archive.skipped), out / "model", time.monotonic() - started)
    results.print_evaluation(evaluation, rules)
    first = "a dog runs in the water" if real else "a dog near a tree"
    second = "люди катаются на лыжах" if real else "красная машина на улице"
    for query, policy in ((first, "none"), (second, "none"), ("a little girl", "under-16")):
        with Library.open(out / "library.kadr", model=out / "model", policy=policy) as library:
            library.index([data / "test_images"])
            if rules.name == policy and not real:
                review_by_captions(library, archive, archive.test_images)
            option = "" if policy == "none" else f" --policy {policy}"
            say("", f"$ kadr search {query!r} --library {library.name}{option} -n 3")
            answers.print_answer(library.search(query, 3))
    say(
        "",
        f"Look at {out / 'report.html'} (figures, plots, found photos). Next: "
        "kadr index FOLDER, then kadr search 'what you look for'",
    )
    again = f"kadr serve --library {out / 'library.kadr'}"
    if serve if serve is not None else sys.stderr.isatty():
        say("", "The page to search on opens; Ctrl-C ends it.", f"$ {again}")
        _serve(out / "library.kadr")
    else:
        say(f"Search on a page: {again}")


def review_by_captions(library: "Library", archive: "Dataset", photos: Mapping[str, Path]) -> None:
    """Decide about drawn scenes by their captions, which tell what was drawn.

    The machine can't: it learned from photos, and is unsure of nearly every drawing.
    """
    from kadr.law import policy as law
    from kadr.law import review
    from kadr.photos import files
    from kadr.types import ImageFile

    children = law.assess(archive, library.policy).images
    for name, path in photos.items():
        file = files.identify(path, path.parent)
        if isinstance(file, ImageFile):
            decision = "hide" if name in children else "allow"
            why = "its captions, which tell what was drawn"
            review.decide(library.store, file.digest, review.ruling(decision, "kadr demo", why))


def _serve(library: Path) -> None:
    from kadr.cli import serve
    from kadr.service.config import LOOPBACK, Service

    service = Service(library, anonymous=None, hosts=LOOPBACK)
    serve.serve(service, "127.0.0.1", 0, browse=True)


def _demo_archive(folder: Path, *, offline: bool, images: int) -> tuple[Path, bool]:
    """The real archive where it can be had, drawn scenes elsewhere; and which it is."""
    from kadr.data import drawn as scenes
    from kadr.data import fetch

    drawn = folder / "drawn"
    if drawn.exists():
        return drawn, False
    real = folder / "real"
    if real.exists():
        return real, True
    if not offline:
        try:
            with progress() as report:
                fetch.fetch(real, on_progress=partial(report, "download"), connect_timeout=3.0)
        except DataError as error:
            note(f"The real archive can't be had ({error})")
        else:
            return real, True
    say(f"Drawing {images} scenes in its layout instead. Their figures say nothing of photos.")
    with progress() as report:
        scenes.generate(drawn, images=images, on_progress=partial(report, "scenes"))
    return drawn, False
