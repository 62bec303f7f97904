"""Commands over a photo library: index, search, similar, duplicates."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kadr.cli import answers
from kadr.cli.console import (
    CountryOption,
    JsonFlag,
    Language,
    LanguageOption,
    LibraryOption,
    PolicyOption,
    hint,
    load_policy,
    print_json,
    printable,
    progress,
)
from kadr.cli.library import app as library_app
from kadr.errors import KadrError

if TYPE_CHECKING:
    from kadr.library.queries import Expression
    from kadr.types import Answer, Filters

_WHICH, _HOW = "Which photos are looked at", "What is done with the photos found"

ModelOption = Annotated[
    Path | None,
    typer.Option(
        "--model",
        help="A trained matcher's folder. Default: the library's own, mini for a new library.",
    ),
]
LimitOption = Annotated[int, typer.Option("-n", "--limit", min=1, help="Photos on a page.")]
PageOption = Annotated[int, typer.Option("--page", min=1, help="Which page.")]
AfterOption = Annotated[
    str | None,
    typer.Option(
        "--after",
        help="Taken on this day or later: 2024, 2024-05-17. No date in a photo: its file's.",
        rich_help_panel=_WHICH,
    ),
]
BeforeOption = Annotated[
    str | None,
    typer.Option(
        "--before", help="Taken before this day begins: 2025, 2024-06.", rich_help_panel=_WHICH
    ),
]
InOption = Annotated[
    Path | None,
    typer.Option("--in", help="Only photos below this folder.", rich_help_panel=_WHICH),
]
CameraOption = Annotated[
    str | None,
    typer.Option(
        "--camera", help="Only photos whose camera's name holds this.", rich_help_panel=_WHICH
    ),
]
NearOption = Annotated[
    str | None,
    typer.Option(
        "--near",
        help="Taken near a place: LATITUDE,LONGITUDE,KILOMETRES, such as 55.75,37.62,5.",
        rich_help_panel=_WHICH,
    ),
]
KindOption = Annotated[
    str | None,
    typer.Option(
        "--kind", help="jpeg, png, webp, gif, tiff, bmp, avif or heic.", rich_help_panel=_WHICH
    ),
]
MinSizeOption = Annotated[
    str | None,
    typer.Option(
        "--min-size",
        help="At least so many pixels: 1024 (both sides), 1920x1080.",
        rich_help_panel=_WHICH,
    ),
]
SheetOption = Annotated[
    Path | None,
    typer.Option(
        help="Write a page or picture of the photos: F.html, F.png or F.jpg.", rich_help_panel=_HOW
    ),
]
PreviewFlag = Annotated[
    bool,
    typer.Option("--preview", help="Show small pictures in the terminal.", rich_help_panel=_HOW),
]
Paths0Flag = Annotated[
    bool,
    typer.Option(
        "--paths0",
        help="Print only the paths of matches, each ended by a NUL, for xargs -0.",
        rich_help_panel=_HOW,
    ),
]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    panel = "Your photos"
    app.command("index", rich_help_panel=panel)(index_command)
    app.command("search", rich_help_panel=panel)(search_command)
    app.command("similar", rich_help_panel=panel)(similar_command)
    app.command("duplicates", rich_help_panel=panel)(duplicates_command)
    app.add_typer(library_app, name="library", rich_help_panel=panel)


def index_command(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders of photos. Default: those that the library knows."),
    ] = None,
    library: LibraryOption = None,
    model: ModelOption = None,
    prune: Annotated[
        bool,
        typer.Option("--prune", help="Forget files that are gone; else they are only hidden."),
    ] = False,
    retry: Annotated[
        bool, typer.Option("--retry", help="Read again what could not be read.")
    ] = False,
    reread: Annotated[
        bool,
        typer.Option(
            "--reread", help="Read again what files say of themselves: dates, places, words."
        ),
    ] = False,
    reencode: Annotated[
        bool, typer.Option("--reencode", help="Encode all photos again, where --model is another.")
    ] = False,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            "--exclude", help="Leave out what this pattern matches, as in .gitignore; remembered."
        ),
    ] = None,
    no_exclude: Annotated[
        bool, typer.Option("--no-exclude", help="Forget the patterns remembered before.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Then follow the folders' changes until Ctrl-C.")
    ] = False,
    policy: PolicyOption = "none",
    country: CountryOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Add folders of photos to the library, or bring it in step with them.

    Only what is new or changed is read: renamed, moved and copied photos cost no decoding, and a
    run with nothing to do takes a moment. Stopped by Ctrl-C, it goes on where it was. Photos are
    never changed, and never leave this machine. Hidden and system folders, links to folders, and
    what --exclude or a file .kadrignore matches are left out; kadr library ignored lists them.
    Exits 1 where a folder of the library isn't there.
    """
    from kadr.cli import indexing
    from kadr.library.library import Library, default_path, resolved
    from kadr.photos.ignore import compiled

    chosen = [resolved(folder) for folder in folders or ()]
    indexing.check(library or default_path(), chosen)
    compiled(exclude or ())
    how = indexing.Indexing(prune, retry, reread, reencode, as_json)
    rules = load_policy(policy, country)
    with Library.open(library, model=model, policy=rules, create=bool(chosen)) as opened:
        if exclude or no_exclude:
            for folder in chosen or opened.folders:
                kept = () if no_exclude else opened.excluded.get(folder, ())
                opened.exclude(folder, (*kept, *(exclude or ())))
        if watch:
            indexing.follow(opened, chosen or opened.folders, how)
        outcome = indexing.index(opened, chosen, how)
    raise typer.Exit(1 if outcome.absent else 0)


def search_command(
    query: Annotated[
        list[str] | None,
        typer.Argument(help="What the photo shows, in English or Russian; or a picture's path."),
    ] = None,
    queries: Annotated[
        Path | None,
        typer.Option("--queries", help="A file of queries, one a line; - reads standard input."),
    ] = None,
    library: LibraryOption = None,
    limit: LimitOption = 10,
    page: PageOption = 1,
    at_least: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="The probability from which a photo counts as a match. Default: as measured.",
        ),
    ] = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain", help="Which words count, and where in the photo (--sheet, --json)."
        ),
    ] = False,
    after: AfterOption = None,
    before: BeforeOption = None,
    folder: InOption = None,
    camera: CameraOption = None,
    near: NearOption = None,
    kind: KindOption = None,
    min_size: MinSizeOption = None,
    sheet: SheetOption = None,
    preview: PreviewFlag = False,
    open_best: Annotated[
        bool,
        typer.Option("--open", help="Open the best match in a viewer.", rich_help_panel=_HOW),
    ] = False,
    copy_to: Annotated[
        Path | None,
        typer.Option(
            "--copy-to",
            help="Copy the matches into this folder; nothing is overwritten.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    paths0: Paths0Flag = False,
    model: ModelOption = None,
    policy: PolicyOption = "none",
    country: CountryOption = None,
    language: LanguageOption = Language.en,
    as_json: JsonFlag = False,
) -> None:
    """Find photos: rank, probability, path. Exits 1 where nothing matches.

    A query is a text, a picture, or a weighted sum of both:

        kadr search a dog runs on the beach
        kadr search "люди катаются на лыжах" --after 2023 --in ~/Photos
        kadr search ./beach.jpg
        kadr search "dog on grass" + 0.5:./mydog.jpg - leash
        kadr search sunset --paths0 -n 100 | xargs -0 cp -t sunsets

    Where nothing matches, the answer says so and shows the nearest: no photo is as probable as
    --at-least or, without this option, none stands out among the others. Sums and pictures have no
    probability: they are ranked by similarity.
    """
    from kadr.library.library import Library
    from kadr.library.search import Page

    _check_output(as_json=as_json, paths0=paths0)
    asked = _asked(query or [], queries)
    if sheet is not None and len(asked) > 1:
        raise KadrError("A contact sheet shows one query's photos. Ask one query.")
    filters = _filters(after, before, folder, camera, near, kind, min_size)
    rules = load_policy(policy, country)
    with Library.open(library, model=model, policy=rules, create=False) as opened:

        def ask(some: Sequence["Expression"], cursor: int = 0) -> "list[Answer]":
            wanted = Page(limit, filters, cursor, at_least, language.value)
            return opened.answers([(one, wanted) for one in some])

        def again(one: "Expression") -> "Callable[[int], Answer]":
            return lambda cursor: ask([one], cursor)[0]

        found = [
            _page(page, answer, again(one)) for one, answer in zip(asked, ask(asked), strict=True)
        ]
        if explain:
            found = [opened.explained(*pair) for pair in zip(asked, found, strict=True)]
    if explain and any(one.text is None for one in asked):
        typer.echo(
            "kadr: --explain tells of queries of one text, not of sums or pictures", err=True
        )
    how = _Print(rules.name, page, limit, preview=preview, paths0=paths0, as_json=as_json)
    _show([(one.source, a) for one, a in zip(asked, found, strict=True)], how, queries is not None)
    if sheet is not None:
        answers.write_sheet(asked[0].source, found[0], sheet, language.value)
    matches = [hit.image.path for answer in found for hit in answers.matching(answer)]
    if copy_to is not None:
        answers.copy(matches, copy_to)
    if open_best and matches:
        answers.show(matches[0])
    raise typer.Exit(0 if matches else 1)


def similar_command(
    photo: Annotated[Path, typer.Argument(help="A photo, in the library or not.")],
    library: LibraryOption = None,
    limit: LimitOption = 10,
    page: PageOption = 1,
    after: AfterOption = None,
    before: BeforeOption = None,
    folder: InOption = None,
    camera: CameraOption = None,
    near: NearOption = None,
    kind: KindOption = None,
    min_size: MinSizeOption = None,
    sheet: SheetOption = None,
    preview: PreviewFlag = False,
    paths0: Paths0Flag = False,
    model: ModelOption = None,
    policy: PolicyOption = "none",
    country: CountryOption = None,
    language: LanguageOption = Language.en,
    as_json: JsonFlag = False,
) -> None:
    """Find photos that show what a photo shows: rank, similarity, path.

    The photo itself and its copies are left out. Exits 1 where there is no other photo.
    """
    from kadr.library.library import Library

    _check_output(as_json=as_json, paths0=paths0)
    filters = _filters(after, before, folder, camera, near, kind, min_size)
    rules = load_policy(policy, country)
    with Library.open(library, model=model, policy=rules, create=False) as opened:

        def ask(cursor: int = 0) -> "Answer":
            return opened.similar(
                photo, limit, filters=filters, cursor=cursor, language=language.value
            )

        answer = _page(page, ask(), ask)
    how = _Print(rules.name, page, limit, preview=preview, paths0=paths0, as_json=as_json)
    _show([(str(photo), answer)], how)
    if sheet is not None:
        answers.write_sheet(str(photo), answer, sheet, language.value)
    raise typer.Exit(0 if answer.hits else 1)


def duplicates_command(
    photos: Annotated[
        list[Path] | None, typer.Argument(help="With --distinct: photos that are no duplicates.")
    ] = None,
    distinct: Annotated[
        bool, typer.Option("--distinct", help="Remember that these photos are no duplicates.")
    ] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take --distinct back for them.")] = False,
    library: LibraryOption = None,
    paths0: Paths0Flag = False,
    policy: PolicyOption = "none",
    country: CountryOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List groups of photos that are copies: resized, recompressed, turned, a little cut.

    Nothing is deleted. The one to keep comes first: as the camera wrote it, then the biggest.
    --paths0 prints those that are spare, of which nothing would be lost: each shows what the first
    shows, in no more pixels, and its file says no more. Exits 1 where there is no group.
    """
    from kadr.library.library import Library

    _check_output(as_json=as_json, paths0=paths0)
    if photos or distinct:
        _remember_distinct(library, photos or [], distinct=distinct, undo=undo)
        return
    rules = load_policy(policy, country)
    with Library.open(library, policy=rules, create=False) as opened, progress() as stage:
        groups = opened.duplicates(lambda done, total: stage("compared", done, total))
    if as_json:
        print_json(
            {"policy": rules.name, "groups": [answers.group_as_json(group) for group in groups]}
        )
    elif paths0:
        answers.print_raw(path for group in groups for path in group.spare)
    else:
        answers.print_groups(groups)
    raise typer.Exit(0 if groups else 1)


# Searching.


def _check_output(*, as_json: bool, paths0: bool) -> None:
    if as_json and paths0:
        raise KadrError("--json and --paths0 both say what is printed. Choose one.")


def _asked(words: Sequence[str], file: Path | None) -> "list[Expression]":
    from kadr.library import queries

    if file is None:
        return [queries.parse(words)]
    if words:
        raise KadrError("Give queries on the command line or in a file, not both.")
    name = "standard input" if str(file) == "-" else str(file)
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise KadrError(f"{name}: can't be read ({error}). Name a text file in UTF-8.") from error
    found = queries.read(text.splitlines())
    if not found:
        raise KadrError(f"{name} holds no query. Write one a line.")
    return found


def _filters(
    after: str | None,
    before: str | None,
    folder: Path | None,
    camera: str | None,
    near: str | None,
    kind: str | None,
    min_size: str | None,
) -> "Filters":
    from kadr.library import filters
    from kadr.library.library import resolved

    if folder is not None and not resolved(folder).is_dir():
        raise KadrError(
            f"{printable(folder)}: no such folder. Name one that holds photos with --in."
        )
    return filters.parse(
        after=after,
        before=before,
        folder=resolved(folder) if folder else None,
        camera=camera,
        near=near,
        kind=kind,
        min_size=min_size,
    )


def _page(number: int, answer: "Answer", ask: Callable[[int], "Answer"]) -> "Answer":
    """A page of an answer whose first one is at hand; `ask` takes the cursor of a page."""
    for _ in range(number - 1):
        if answer.next is None:
            from kadr.types import Answer

            return Answer((), "No more photos.") if answer.hits or answer.withheld else answer
        answer = ask(answer.next)
    return answer


@dataclass(frozen=True)
class _Print:
    """How answers are printed."""

    policy: str
    page: int
    limit: int
    preview: bool
    paths0: bool
    as_json: bool


def _show(found: Sequence[tuple[str, "Answer"]], how: _Print, several: bool = False) -> None:
    """Print answers; JSON of `several` is a list, even of one."""
    first = (how.page - 1) * how.limit + 1
    if how.as_json:
        told = [answers.as_json(query, answer, how.policy, first) for query, answer in found]
        print_json(told if several else told[0])
    elif how.paths0:
        answers.print_raw(hit.image.path for _, a in found for hit in answers.matching(a))
    else:
        for number, (query, answer) in enumerate(found):
            if several:
                typer.echo(("\n" if number else "") + printable(query))
            answers.print_answer(answer, first, preview=how.preview)
        if any(answer.next is not None and answer.matches for _, answer in found):
            hint(f"More: --page {how.page + 1}")


def _remember_distinct(
    library: Path | None, photos: Sequence[Path], *, distinct: bool, undo: bool
) -> None:
    from kadr.library.library import Library, resolved

    if not distinct:
        raise KadrError("Photos are named with --distinct only: kadr duplicates --distinct A B")
    with Library.open(library, create=False) as opened:
        opened.set_distinct([resolved(photo) for photo in photos], distinct=not undo)
    what = "They may be duplicates again" if undo else "Remembered: no duplicates of one another"
    typer.echo(f"{what} ({len(photos)} photos).")
