"""kadr index: progress, result, and watching folders."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kadr.cli.console import Progress, hint, load_policy, note, print_json, progress, say, warn
from kadr.cli.options import (
    DeviceOption,
    JsonFlag,
    LawOptions,
    LibraryModelOption,
    LibraryOption,
    grouped,
)
from kadr.errors import DataError, KadrError, LibraryError

if TYPE_CHECKING:
    from kadr.library.ingest import Cost, IndexCallbacks, IndexResult
    from kadr.library.library import Library
    from kadr.library.load import Loaded


@dataclass(frozen=True)
class IndexOptions:
    """What an indexing does besides adding what is new."""

    prune: Annotated[
        bool, typer.Option("--prune", help="Forget files that are gone; else they are only hidden.")
    ] = False
    retry: Annotated[bool, typer.Option("--retry", help="Read again what could not be read.")] = (
        False
    )
    reread: Annotated[
        bool,
        typer.Option(
            "--reread", help="Read again what files say of themselves: dates, places, words."
        ),
    ] = False
    reencode: Annotated[
        bool,
        typer.Option(
            "--reencode",
            help="Encode all photos again, where --model is another. Until all are done, searches "
            "use the model before.",
        ),
    ] = False


@dataclass(frozen=True)
class LoadOptions:
    """Photos that were encoded elsewhere."""

    encoded: Annotated[
        str | None,
        typer.Option("--from", help="Load what kadr encode wrote there; nothing is decoded."),
    ] = None
    at: Annotated[
        Path | None,
        typer.Option(
            help="With --from: the folder where the photos lie here, such as a mount. Default: "
            "where they were encoded, if that is in a folder of the library. A URL that the photos "
            "were encoded from may be named too.",
        ),
    ] = None


@grouped
def index_command(
    *,
    folders: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders of photos. Default: those that the library knows."),
    ] = None,
    library: LibraryOption = None,
    model: LibraryModelOption = None,
    _device: DeviceOption = None,
    options: IndexOptions,
    exclude: Annotated[
        tuple[str, ...],
        typer.Option(help="Leave out what this pattern matches, as in .gitignore; remembered."),
    ] = (),
    no_exclude: Annotated[
        bool, typer.Option("--no-exclude", help="Forget the patterns remembered before.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Then follow the folders' changes until Ctrl-C.")
    ] = False,
    load: LoadOptions,
    law: LawOptions,
    as_json: JsonFlag = False,
) -> None:
    """Add folders of photos to the library, or bring it in step with them.

    Only what is new or changed is read: renamed, moved and copied photos cost no decoding, and a
    run with nothing to do takes a moment. Stopped by Ctrl-C, it goes on where it was. Photos are
    never changed, and never leave this machine. Hidden and system folders, links to folders, and
    what --exclude or a file .kadrignore matches are left out; kadr library ignored lists them.
    Exits 1 where a folder of the library isn't there, or --from passed over files that changed or
    went away.
    """
    from kadr.library.library import Library, resolved
    from kadr.photos.ignore import compiled
    from kadr.stores import default_spec, exists

    if load.encoded is not None or load.at is not None:
        changing = any((folders, exclude, no_exclude, watch, *vars(options).values()))
        _load(load, library, model, law, alone=not changing, as_json=as_json)
        return
    chosen = [resolved(folder) for folder in folders or ()]
    _check(library or default_spec(), chosen)
    compiled(exclude)
    policy = load_policy(law.policy, law.country)
    is_first = model is None and not exists(library or default_spec())
    with Library.open(library, model=model, policy=policy, create=bool(chosen)) as opened:
        if exclude or no_exclude:
            for folder in chosen or opened.local_folders:
                kept = () if no_exclude else opened.excluded.get(folder, ())
                opened.exclude(folder, (*kept, *exclude))
        if watch:
            _follow(opened, chosen or opened.local_folders, options, as_json=as_json)
        before, judge = opened.encoder, opened.store.meta("model")
        result, seconds = _index(opened, chosen, options)
        _tell_switched(before, opened.encoder)
        if opened.encoder == before:
            _tell_judge(judge, opened.store.meta("model"))
        _print(opened, result, seconds, as_json=as_json)
        if is_first and result.encoded:
            hint("mini, which ships inside, encoded them. Larger models find more: kadr models")
    raise typer.Exit(1 if result.absent else 0)


def _tell_switched(before: str | None, encoder: str | None) -> None:
    """Say which model searches use, where it is another one by now."""
    if encoder is not None and before not in {None, encoder}:
        from kadr.matcher.installed import named

        note(f"Searches use {named(encoder)} now.")


def _tell_judge(before: str | None, model: str | None) -> None:
    """Say which matcher's probabilities answers have, where it is another one by now."""
    if model and before and before != model:
        note(f"{Path(model).name} judges what matches now; before it was {Path(before).name}.")


def _load(
    load: LoadOptions,
    library: str | None,
    model: Path | None,
    law: LawOptions,
    *,
    alone: bool,
    as_json: bool,
) -> None:
    """Load what was encoded elsewhere.

    Raises:
        KadrError: options are given that don't go with it.
    """
    from kadr.encoding.parts import Output
    from kadr.library.library import Library
    from kadr.stores import MEMORY, default_spec, exists

    if load.encoded is None:
        raise KadrError("--at goes with --from, which names what kadr encode wrote.")
    if load.encoded.endswith(".parquet"):
        raise KadrError(f"{load.encoded} is one file. Name the folder that kadr encode wrote to.")
    if not alone:
        raise KadrError(
            "--from loads what kadr encode wrote, and takes --at, --library, --model and --policy "
            "with it. Index folders by another call of kadr index."
        )
    policy = load_policy(law.policy, law.country)
    started = time.monotonic()
    if not Output(load.encoded).names():  # no library is made for nothing
        raise DataError(
            f"{load.encoded}: no encoded photos here. Make some: kadr encode SOURCE --to OUT"
        )
    if not exists(library or default_spec()):
        with Library.open(MEMORY, model=model) as empty:
            empty.check_encoded(load.encoded, load.at)
    with (
        Library.open(library, model=model, policy=policy) as opened,
        progress() as report,
    ):
        result = opened.load_encoded(
            load.encoded, at=load.at, callbacks=_callbacks(report), on_wait=_say_waiting
        )
        name = opened.name
    seconds = time.monotonic() - started
    if as_json:
        about = {"library": name, "policy": policy.name, **asdict(result)}
        print_json({**about, "seconds": round(seconds, 3)})
    else:
        _print_loaded(name, result, seconds)
    _tell_passed(result)
    raise typer.Exit(1 if result.changed or result.gone else 0)


def _tell_passed(result: "Loaded") -> None:
    """Say which files weren't loaded."""
    count = result.changed + result.gone
    if count:
        what = "1 file" if count == 1 else f"{count:,} files"
        warn(
            f"{what} changed since kadr encode, or went away, and loaded nothing. kadr encode and "
            "kadr index --from once more, or kadr index FOLDER"
        )


def _print_loaded(library: str, result: "Loaded", seconds: float) -> None:
    counts = {
        "new": result.loaded,
        "copies": result.known,
        "unchanged": result.unchanged,
        "skipped": result.skipped,
        "left out": result.ignored,
    }
    summary = ", ".join(f"{count:,} {word}" for word, count in counts.items() if count)
    say(f"{library}: {summary or 'no photo found'}; {seconds:.1f} s")
    if result.skipped:
        hint("What was skipped, and why: kadr library problems")


def _check(library: str, folders: Sequence[Path]) -> None:
    """Check folders before a library is made for nothing; those that it knows may be unplugged.

    Raises:
        DataError: a folder that it doesn't know isn't there.
    """
    from kadr.library.library import Library
    from kadr.photos.folders import check
    from kadr.stores import exists

    known: tuple[Path, ...] = ()
    if exists(library):
        with Library.open(library, create=False) as opened:
            known = opened.local_folders
    for folder in folders:
        if folder not in known:
            check(folder)


def _follow(
    library: "Library", folders: Sequence[Path], options: IndexOptions, *, as_json: bool
) -> None:
    """Index folders, then whatever changes in them, until stopped.

    Raises:
        LibraryError: the library is gone.
    """
    from kadr.library.watch import watch

    watched = watch(folders, library.file, library.rules, warn)
    next(watched)  # from here on nothing is missed
    _print(library, *_index(library, folders, options), as_json=as_json)
    count = "1 folder" if len(folders) == 1 else f"{len(folders)} folders"
    note(f"Following {count}. Ctrl-C stops.")
    again = IndexOptions(prune=options.prune)
    for changed in watched:
        if not (library.file is None or library.file.exists()):
            raise LibraryError(f"{library.name} is gone. Bring it back, and run kadr index again.")
        with suppress(DataError):  # it is gone by now, which is the next change
            result, seconds = _index(library, changed, again)
            if result.files != result.unchanged or result.gone or result.pruned:
                _print(library, result, seconds, as_json=as_json)


def _index(
    library: "Library", folders: Sequence[Path], options: IndexOptions
) -> tuple["IndexResult", float]:
    started = time.monotonic()
    with progress() as report:
        result = library.index(
            folders, **vars(options), callbacks=_callbacks(report), on_wait=_say_waiting
        )
    return result, time.monotonic() - started


def _callbacks(report: Progress) -> "IndexCallbacks":
    from kadr.library.ingest import IndexCallbacks

    start: list[tuple[float, int]] = []

    def advance(done: int, skipped: int, total: int) -> None:
        now = time.monotonic()
        if done <= (start[0][1] if start else done):  # the next folder's count begins anew
            start[:] = [(now, done)]
        rate = (done - start[0][1]) / max(now - start[0][0], 1e-3)
        report("photos", done, total, f"{rate:.0f}/s, {skipped} skipped")

    return IndexCallbacks(advance, lambda path, reason: warn(f"{path}: {reason}"), cost=_say_cost)


def _say_cost(cost: "Cost") -> None:
    """What more vectors cost, once a batch has been measured."""
    from kadr.matcher.installed import named

    model = named(cost.encoder)
    price = (
        f"{cost.photos:,} photos at most, about {_span(cost.seconds)}, {cost.bytes / 1e6:.1f} MB"
    )
    if cost.law:
        note(f"The law's classifier needs vectors of {model} too: {price}")
    else:
        note(
            f"Encoding again by {model}: {price}. Until all are done, searches use the old "
            "vectors. Stopped, it goes on where it was: kadr index --reencode"
        )


def _span(seconds: float) -> str:
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 1):.0f} s"


def _say_waiting() -> None:
    warn("another process is indexing this library; waiting for it (Ctrl-C gives up)")


def _print(library: "Library", result: "IndexResult", seconds: float, *, as_json: bool) -> None:
    if as_json:
        about = {"library": library.name, "policy": library.policy.name, **asdict(result)}
        print_json({**about, "seconds": round(seconds, 3)})
    else:
        _print_counts(library.name, result, seconds)
        if result.skipped and (raws := _unreadable_raws(library)):
            say(f"Not readable, so skipped: {_by_group(raws)}")
    if library.calibration_problem:
        warn(library.calibration_problem)
    for folder in result.absent:
        warn(
            f"{folder} isn't there, is empty or can't be read, as a disk that is unplugged. "
            "What the library knows of it was kept; kadr library remove forgets it."
        )


def _print_counts(library: str, result: "IndexResult", seconds: float) -> None:
    counts = {
        "new": result.encoded,
        "renamed, moved or copied": result.known,
        "encoded again": result.reencoded,
        "read again": result.reread,
        "unchanged": result.unchanged,
        "no longer there": result.gone if not result.pruned else 0,
        "forgotten": result.pruned,
        "skipped": result.skipped,
    }
    summary = ", ".join(f"{count:,} {word}" for word, count in counts.items() if count)
    rate = f" ({result.encoded / seconds:.0f} photos/s)" if result.encoded else ""
    say(f"{library}: {summary or 'no photo found'}; {seconds:.1f} s{rate}")
    if result.films:
        say(f"Films, whose frames are counted among them: {result.films:,}")
    if result.unsupported:
        say(f"Can't be read, so left out: {_by_group(result.unsupported)}")
        if _has(result.unsupported, "RAW"):
            say("To read RAW files too: pip install 'kadr[raw]', then run kadr index again")
        if count := _films_left_out(result.unsupported):
            what = "1 film isn't" if count == 1 else f"{count:,} films aren't"
            say(f"{what} read: pip install 'kadr[video]', then run kadr index again")
    if result.ignored:
        reasons = (f"{count:,} ({reason})" for reason, count in sorted(result.ignored.items()))
        say(f"Ignored: {', '.join(reasons)}. kadr library ignored lists them.")
    if result.waiting:
        warn(
            f"{result.waiting:,} photos couldn't be encoded again, as on a disk that is unplugged. "
            "They wait, and are found again once kadr index finds them."
        )
    if result.skipped:
        hint("What was skipped, and why: kadr library problems")
    if result.gone and not result.pruned:
        hint("Paths that are no longer there are hidden; kadr index --prune forgets them.")
    if result.encoded and not (result.unchanged or result.known):
        hint("Now search: kadr search what you look for")


def _has(unsupported: Mapping[str, int], group: str) -> bool:
    """Whether files of a group were left out."""
    from kadr.photos import kinds

    said = (kinds.by_name(f"x.{format_}") for format_ in unsupported)
    return any(kind is not None and kind.group == group for kind in said)


def _films_left_out(unsupported: Mapping[str, int]) -> int:
    """How many films would be read with their extra."""
    from kadr.photos import kinds

    if kinds.reads_films():
        return 0
    formats = (suffix[1:].upper() for suffix in kinds.FILM_SUFFIXES)
    return sum(unsupported.get(format_, 0) for format_ in formats)


def _unreadable_raws(library: "Library") -> Mapping[str, int]:
    """How many RAW files of which formats the extra can't read either."""
    from kadr.photos import kinds

    said = (kinds.by_name(problem.path.name) for problem in library.problems())
    return Counter(kind.format for kind in said if kind is not None and kind.group == "RAW")


def _by_group(unsupported: Mapping[str, int]) -> str:
    """Such as "6 RAW (3 CR2, 2 NEF, 1 ARW), 1 video (1 MP4)"."""
    from kadr.photos import kinds

    groups: dict[str, list[tuple[str, int]]] = {}
    for format_, count in sorted(unsupported.items(), key=lambda item: (-item[1], item[0])):
        kind = kinds.by_name(f"x.{format_}")
        groups.setdefault(kind.group if kind else "other", []).append((format_, count))
    return ", ".join(
        f"{sum(count for _, count in formats):,} {group}"
        f" ({', '.join(f'{count:,} {format_}' for format_, count in formats)})"
        for group, formats in groups.items()
    )
