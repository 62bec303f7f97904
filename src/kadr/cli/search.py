"""Commands that look into a photo library: search, similar, duplicates."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kadr.cli import answers
from kadr.cli.console import (
    hint,
    load_policy,
    print_json,
    progress,
    read_text,
    say,
    tell_unseen,
    warn,
)
from kadr.cli.options import (
    HOW,
    DeviceOption,
    FilterOptions,
    JsonFlag,
    LanguageOption,
    LawOptions,
    LibraryModelOption,
    LibraryOption,
    OutputOptions,
    PageOptions,
    Paths0Flag,
    grouped,
)
from kadr.cli.outputs import check_file, check_folder
from kadr.errors import KadrError

if TYPE_CHECKING:
    from kadr.law.policy import Policy
    from kadr.library.library import Library
    from kadr.library.queries import Expression
    from kadr.types import Answer, Filters, ImageFile


@grouped
def search_command(
    *,
    query: Annotated[
        list[str] | None,
        typer.Argument(help="What the photo shows, in English or Russian; or a picture's path."),
    ] = None,
    queries: Annotated[
        Path | None,
        typer.Option("--queries", help="A file of queries, one a line; - reads standard input."),
    ] = None,
    library: LibraryOption = None,
    paging: PageOptions,
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
    filtering: FilterOptions,
    output: OutputOptions,
    open_best: Annotated[
        bool, typer.Option("--open", help="Open the best match in a viewer.", rich_help_panel=HOW)
    ] = False,
    copy_to: Annotated[
        Path | None,
        typer.Option(
            help="Copy the matches into this folder; nothing is overwritten.", rich_help_panel=HOW
        ),
    ] = None,
    model: LibraryModelOption = None,
    _device: DeviceOption = None,
    law: LawOptions,
    language: LanguageOption = "en",
    as_json: JsonFlag = False,
) -> None:
    """Find photos: rank, probability, path. Exits 1 where nothing matches.

    A query is a text, a picture, or a weighted sum of both:

        kadr search a dog runs on the beach
        kadr search "люди катаются на лыжах" --after 2023 --in ~/Photos
        kadr search ./beach.jpg
        kadr search "dog on grass" + 0.5:./mydog.jpg - leash
        kadr search sunset --paths0 -n 100 | xargs -0 cp -t sunsets
        kadr search "candles on a cake" --kind film --open

    What else a query may hold:

        dog -leash            no leash is seen; so do: dog without a leash, dog no leash
        dog after:2021        taken then or later; before:2024-05
        dog camera:canon      whose camera is called so; kind:jpeg
        dog in:2021/summer    in a folder of these last names; collection:favourites
        dog place:berlin      taken in a town, region or country of that name
        bus in 2021           offers the year as a filter
        '"grandma birthday"'  only photos with these words on record, if there are any

    Words that stand in names, folders, titles, keywords, camera or date bring their photos first.

    Where nothing matches, the answer says so and shows the nearest: no photo is as probable as
    --at-least or, without this option, none stands out among the others. Sums and pictures have no
    probability: they are ranked by similarity.
    """
    from kadr.library.library import Library
    from kadr.library.search import Page

    _check_output(output, as_json=as_json)
    check_folder(copy_to)
    asked = _asked(query or [], queries)
    if output.sheet is not None and len(asked) > 1:
        raise KadrError("A contact sheet shows one query's photos. Ask one query.")
    wanted = _filters(filtering)
    first = Page(paging.limit, wanted, 0, at_least, language, paging.frames)
    policy = load_policy(law.policy, law.country)
    with Library.open(library, model=model, policy=policy, create=False) as opened:
        tell_unseen(opened, law.policy)
        _check_collection(opened, first.filters)
        _check_typed(opened, asked)
        _tell_unnamed(opened, first.filters, asked)

        def ask(cursors: Sequence[int], limit: int) -> "list[Answer]":
            pages = [replace(first, cursor=cursor, limit=limit) for cursor in cursors]
            return opened.answers(list(zip(asked, pages, strict=True)))

        shown = _turn(paging, len(asked), ask, language)
        if explain or copy_to or open_best or _opens_photos(output, policy):
            shown = [answers.as_indexed(answer) for answer in shown]
        are_given = copy_to is not None or open_best or output.paths0
        matches = answers.matched(opened, shown, are_given=are_given)
        if explain:
            shown = [opened.explained(*pair) for pair in zip(asked, shown, strict=True)]
    if explain and any(one.text is None for one in asked):
        warn("--explain tells of queries of one text, not of sums or pictures")
    named = [(one.source, answer) for one, answer in zip(asked, shown, strict=True)]
    if as_json:
        objects = _as_json(named, policy.name, paging)
        print_json(objects if queries else objects[0])
    else:
        _print(named, paging, output, matches, language, titled=queries is not None)
        if queries is None:
            answers.print_suggestion(shown[0], language)
    _write_sheet(named[0], output.sheet, language)
    if copy_to is not None:
        answers.copy(matches, copy_to)
    if open_best and matches:
        answers.show(matches[0].path)
    raise typer.Exit(0 if any(map(answers.matching, shown)) else 1)


@grouped
def similar_command(
    *,
    photo: Annotated[Path, typer.Argument(help="A photo, in the library or not.")],
    library: LibraryOption = None,
    paging: PageOptions,
    filtering: FilterOptions,
    output: OutputOptions,
    model: LibraryModelOption = None,
    _device: DeviceOption = None,
    law: LawOptions,
    language: LanguageOption = "en",
    as_json: JsonFlag = False,
) -> None:
    """Find photos that show what a photo shows: rank, similarity, path.

    The photo itself and its copies are left out. Exits 1 where there is no other photo.
    """
    from kadr.library.library import Library

    _check_output(output, as_json=as_json)
    filters = _filters(filtering)
    policy = load_policy(law.policy, law.country)
    with Library.open(library, model=model, policy=policy, create=False) as opened:
        tell_unseen(opened, law.policy)
        _check_collection(opened, filters)
        _tell_unnamed(opened, filters)

        def ask(cursors: Sequence[int], limit: int) -> "list[Answer]":
            similar = partial(
                opened.similar, photo, filters=filters, language=language, frames=paging.frames
            )
            return [similar(limit, cursor=cursor) for cursor in cursors]

        (answer,) = _turn(paging, 1, ask, language)
        if _opens_photos(output, policy):
            answer = answers.as_indexed(answer)
        matches = answers.matched(opened, [answer], are_given=output.paths0)
    named = (str(photo), answer)
    if as_json:
        print_json(_as_json([named], policy.name, paging)[0])
    else:
        _print([named], paging, output, matches, language)
    _write_sheet(named, output.sheet, language)
    raise typer.Exit(0 if answer.hits else 1)


@grouped
def duplicates_command(
    *,
    photos: Annotated[
        list[Path] | None, typer.Argument(help="With --distinct: photos that are no duplicates.")
    ] = None,
    distinct: Annotated[
        bool, typer.Option("--distinct", help="Remember that these photos are no duplicates.")
    ] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take --distinct back for them.")] = False,
    library: LibraryOption = None,
    paths0: Paths0Flag = False,
    law: LawOptions,
    as_json: JsonFlag = False,
) -> None:
    """List groups of photos that are copies: resized, recompressed, turned, a little cut.

    Nothing is deleted. The one to keep comes first: as the camera wrote it, then the biggest.
    --paths0 prints those that are spare, of which nothing would be lost: each shows what the first
    shows, in no more pixels, and its file says no more. Exits 1 where there is no group.
    """
    from kadr.library.library import Library

    _check_output(OutputOptions(paths0=paths0), as_json=as_json)
    if photos or distinct:
        _remember_distinct(library, photos or [], distinct=distinct, undo=undo)
        return
    policy = load_policy(law.policy, law.country)
    with Library.open(library, policy=policy, create=False) as opened, progress() as report:
        groups = opened.duplicates(partial(report, "compared"))
    if as_json:
        shown = [answers.group_as_json(group) for group in groups]
        print_json({"policy": policy.name, "groups": shown})
    elif paths0:
        answers.print_raw(path for group in groups for path in group.spare)
    else:
        answers.print_groups(groups)
    raise typer.Exit(0 if groups else 1)


def _remember_distinct(
    library: str | None, photos: Sequence[Path], *, distinct: bool, undo: bool
) -> None:
    from kadr.library.library import Library, resolved

    if not distinct:
        raise KadrError("Photos are named with --distinct only: kadr duplicates --distinct A B")
    with Library.open(library, create=False) as opened:
        opened.set_distinct([resolved(photo) for photo in photos], distinct=not undo)
    what = "They may be duplicates again" if undo else "Remembered: no duplicates of one another"
    say(f"{what} ({len(photos)} photos).")


def _check_output(output: OutputOptions, *, as_json: bool) -> None:
    if as_json and output.paths0:
        raise KadrError("--json and --paths0 both say what is printed. Choose one.")
    if output.sheet is not None:
        from kadr.report import sheet

        sheet.check_suffix(output.sheet)
        check_file(output.sheet)


def _opens_photos(output: OutputOptions, policy: "Policy") -> bool:
    """Whether photos are opened; a path that a law lets through names what was assessed, too."""
    return output.preview or output.sheet is not None or policy.hides_children


def _asked(words: Sequence[str], file: Path | None) -> "list[Expression]":
    from kadr.library import queries

    if file is None:
        typed = ["-" + word[1:] if word[:1] == queries.MINUS else word for word in words]
        return [queries.parse(typed)]
    if words:
        raise KadrError("Give queries on the command line or in a file, not both.")
    expressions = queries.read(read_text(file).splitlines())
    if not expressions:
        name = "standard input" if str(file) == "-" else file
        raise KadrError(f"{name} holds no query. Write one a line.")
    return expressions


def _filters(options: FilterOptions) -> "Filters":
    from kadr.library import filters
    from kadr.library.library import resolved
    from kadr.photos.objects import is_object

    folder = options.folder and resolved(options.folder)
    if folder is not None and not is_object(folder) and not folder.is_dir():
        raise KadrError(f"{options.folder}: no such folder. Name one that holds photos with --in.")
    return filters.parse(**(vars(options) | {"folder": folder}))


def _tell_unnamed(
    library: "Library", filters: "Filters | None", asked: Sequence["Expression"] = ()
) -> None:
    """Say so where a place is asked for by its name, and names were never looked up."""
    from kadr.photos import gazetteer
    from kadr.stores import GAZETTEER

    typed = any(key == "place" for one in asked for key, _ in one.filters)
    is_asked = typed or (filters is not None and filters.place is not None)
    if is_asked and library.store.meta(GAZETTEER) is None:
        warn(f"Only places that files name are known. {gazetteer.EXTRA}, then kadr index")


def _check_collection(library: "Library", filters: "Filters | None") -> None:
    """Raise KadrError where the filters name a collection that isn't there."""
    if filters is not None and filters.collection is not None:
        from kadr.library import collection

        collection.known(library.store, filters.collection)


def _check_typed(library: "Library", asked: "Sequence[Expression]") -> None:
    """Raise KadrError where a query names a folder or a collection that isn't there."""
    from kadr.library import filters
    from kadr.library.named_folders import NOWHERE

    for one in asked:
        given = filters.typed(one, None, library.store)
        _check_collection(library, given)
        if given is not None and given.folders == (NOWHERE,):
            name = dict(one.filters)["in"]
            raise KadrError(
                f"No folder of the library is called {name!r}. kadr library names those that were "
                "indexed; in: takes the last name of one of them or below, such as in:2021/summer"
            )


def _turn(
    paging: PageOptions,
    queries: int,
    ask: "Callable[[Sequence[int], int], list[Answer]]",
    language: str,
) -> "list[Answer]":
    """Each query's page of that number; `ask` takes a cursor for each query, and a limit."""
    if paging.page == 1:
        return ask([0] * queries, paging.limit)
    from kadr.library.notices import notice
    from kadr.types import Answer

    before = ask([0] * queries, (paging.page - 1) * paging.limit)
    pages = ask([answer.next or 0 for answer in before], paging.limit)
    end = Answer((), notice("no more", language))
    return [
        page if answer.next is not None else end if answer.hits else answer
        for answer, page in zip(before, pages, strict=True)
    ]


def _first_rank(paging: PageOptions) -> int:
    return (paging.page - 1) * paging.limit + 1


def _as_json(
    named: Sequence[tuple[str, "Answer"]], policy: str, paging: PageOptions
) -> list[dict[str, object]]:
    return [answers.as_json(query, one, policy, _first_rank(paging)) for query, one in named]


def _print(
    named: Sequence[tuple[str, "Answer"]],
    paging: PageOptions,
    output: OutputOptions,
    matches: "Sequence[ImageFile]",
    language: str,
    *,
    titled: bool = False,
) -> None:
    """Print queries' answers, each below its query where they are `titled`."""
    if output.paths0:
        answers.print_raw(photo.path for photo in matches)
        return
    for number, (query, answer) in enumerate(named):
        if titled:
            say(*([""] if number else []), query)
        first = _first_rank(paging)
        answers.print_answer(answer, first, preview=output.preview, language=language)
    if any(answer.next is not None and answer.matches for _, answer in named):
        from kadr.report.wording import Wording

        hint(Wording(language)("answer.more", page=str(paging.page + 1)))


def _write_sheet(named: tuple[str, "Answer"], sheet: Path | None, language: str) -> None:
    if sheet is not None:
        answers.write_sheet(*named, sheet, language)
