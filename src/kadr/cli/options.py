"""Options that several commands share, each written once."""

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from functools import partial, wraps
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer

from kadr.cli import completion
from kadr.errors import KadrError
from kadr.report.wording import Language

LAW = "What the law hides"
WHICH, HOW = "Which photos are looked at", "What is done with the photos found"

_law = partial(typer.Option, rich_help_panel=LAW)
_which = partial(typer.Option, rich_help_panel=WHICH)
_how = partial(typer.Option, rich_help_panel=HOW)


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose parameters that are dataclasses become their fields, each an option.

    A parameter that is `tuple[X, ...]` is an option that can be repeated, X a Literal too.
    """
    groups: dict[str, Any] = {}
    shown: list[inspect.Parameter] = []
    for one in _parameters(command):
        if is_dataclass(one.annotation):
            groups[one.name] = one.annotation
            shown += _parameters(one.annotation)
        else:
            shown.append(one)

    @wraps(command)
    def run(**given: Any) -> None:
        given = {name: _plain(value) for name, value in given.items()}
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
        command(**given)

    del run.__wrapped__  # typer would look through it
    run.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in shown}
    return run


def _parameters(function: Any) -> list[inspect.Parameter]:
    """The parameters of a function or a dataclass as typer takes them, by name alone."""
    hints = get_type_hints(function, include_extras=True)
    return [
        one.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=_repeatable(hints[one.name]))
        for one in inspect.signature(function).parameters.values()
    ]


def _repeatable(hint: Any) -> Any:
    """The type of an option, a list in place of a tuple; typer takes no list of Literals."""
    if get_origin(hint) is Annotated:
        kind, *more = get_args(hint)
        return Annotated[(_repeatable(kind), *more)]
    if get_origin(hint) is not tuple:
        return hint
    return list.__class_getitem__(_enumerated(get_args(hint)[0]))


def _enumerated(kind: Any) -> Any:
    values = get_args(kind) if get_origin(kind) is Literal else ()
    return StrEnum("Choice", [(value, value) for value in values]) if values else kind


def _plain(value: Any) -> Any:
    return tuple(getattr(one, "value", one) for one in value) if isinstance(value, list) else value


def inherited(context: typer.Context, option: typer.CallbackParam, value: Any) -> Any:
    """An option, or the same one before the subcommand: kadr library --library F problems.

    That one is as good as this one wherever this one isn't given as a flag.
    """
    source = context.get_parameter_source(option.name or "")
    above = context.parent.params if context.parent else {}
    is_flag = source is not None and source.name == "COMMANDLINE"
    return value if is_flag else above.get(option.name, value)


def _library(context: typer.Context, option: typer.CallbackParam, value: str | None) -> Any:
    if value is not None and Path(value).is_dir():
        file = Path(value, "library.kadr")
        raise KadrError(f"{value} is a folder. Name the library's file: {file}")
    return inherited(context, option, value)


def model_folder(context: typer.Context, value: Path | None) -> Path | None:
    """The folder of a matcher, which may be named as `kadr models` names it."""
    if value is None or context.resilient_parsing:  # a shell completes
        return None
    from kadr.matcher import installed

    return installed.resolve(str(value))


def _chosen_device(context: typer.Context, value: str | None) -> str | None:
    """Note a device where models look for it, KADR_DEVICE, for as long as the command runs.

    It reaches whatever loads a matcher, in processes that the command starts too, without being
    handed through them all.

    Raises:
        KadrError: the installed onnxruntime has no such device.
    """
    if value is not None and not context.resilient_parsing:  # no shell completes
        from kadr.encoders import onnx_session

        onnx_session.providers(value)
        before = os.environ.get(onnx_session.DEVICE)
        os.environ[onnx_session.DEVICE] = value
        context.call_on_close(partial(_note_device, before))
    return value


def _note_device(value: str | None) -> None:
    from kadr.encoders import onnx_session

    if value is None:
        os.environ.pop(onnx_session.DEVICE, None)
    else:
        os.environ[onnx_session.DEVICE] = value


LibraryOption = Annotated[
    str | None,
    typer.Option(
        "--library",
        envvar="KADR_LIBRARY",
        help="The library's file, or postgresql://USER@HOST/DATABASE. Default: library.kadr in the "
        "user's data folder.",
        callback=_library,
        autocompletion=completion.libraries,
    ),
]
JsonFlag = Annotated[
    bool, typer.Option("--json", help="Print JSON instead of text.", callback=inherited)
]
ModelOption = Annotated[
    Path | None,
    typer.Option(
        "--model",
        envvar="KADR_MODEL",
        help="A matcher's folder, or a name of kadr models. Default: the shipped mini.",
        callback=model_folder,
        autocompletion=completion.models,
    ),
]
LibraryModelOption = Annotated[
    Path | None,
    typer.Option(
        "--model",
        envvar="KADR_MODEL",
        help="A matcher's folder, or a name of kadr models. Default: the library's own, mini for a "
        "new library.",
        callback=model_folder,
        autocompletion=completion.models,
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="DEVICE",
        help="What the models of kadr models run on: auto, cpu, cuda, rocm, migraphx, directml, "
        "coreml, openvino; mini runs on the processor. Default: KADR_DEVICE, then auto.",
        callback=_chosen_device,
        is_eager=True,  # a raw folder that --model names is made a model of there
    ),
]
CacheOption = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        envvar="KADR_CACHE",
        help="File of cached vectors. Default: vectors.sqlite in the system's folder of caches.",
    ),
]
LanguageOption = Annotated[
    Language,
    typer.Option(
        "--language",
        envvar="KADR_LANGUAGE",
        help="Language of answers, of the law's notices, of sheets and of reports. Where none is "
        "named, Russian if that is the system's (LC_ALL, LC_MESSAGES, LANG).",
    ),
]
PolicyOption = Annotated[
    str,
    _law(
        "--policy",
        envvar="KADR_POLICY",
        help="What the law hides: none, under-16, or a policy file (TOML).",
        autocompletion=completion.policies,
    ),
]
PoliciesOption = Annotated[
    tuple[str, ...],
    _law(
        "--policy",
        help="What the law hides: none, under-16, or a policy file (TOML); repeat it to compare.",
        autocompletion=completion.policies,
    ),
]
CountryOption = Annotated[
    str | None,
    _law(
        "--country",
        envvar="KADR_COUNTRY",
        help="Whose rules of a policy file: RU. Unknown: the strictest.",
        callback=inherited,
    ),
]


@dataclass(frozen=True)
class PageOptions:
    """Which part of an answer is wanted."""

    limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="Photos on a page.")] = 10
    page: Annotated[int, typer.Option("--page", min=1, help="Which page.")] = 1
    frames: Annotated[
        bool,
        typer.Option("--frames", help="Every frame of a film, not only its best one on a page."),
    ] = False


@dataclass(frozen=True)
class FilterOptions:
    """Which photos are looked at, as a person writes it (`kadr.library.filters`)."""

    after: Annotated[
        str | None,
        _which(
            help="Taken on this day or later: 2024, 2024-05-17. No date in a photo: its file's."
        ),
    ] = None
    before: Annotated[str | None, _which(help="Taken before this day begins: 2025, 2024-06.")] = (
        None
    )
    folder: Annotated[
        Path | None,
        _which("--in", help="Only photos below this folder.", autocompletion=completion.folders),
    ] = None
    camera: Annotated[str | None, _which(help="Only photos whose camera's name holds this.")] = None
    place: Annotated[
        str | None, _which(help="Only photos of a town, region or country: berlin, Берлин.")
    ] = None
    near: Annotated[
        str | None,
        _which(help="Taken near a place: LATITUDE,LONGITUDE,KILOMETRES, such as 55.75,37.62,5."),
    ] = None
    kind: Annotated[
        str | None, _which(help="jpeg, png, webp, gif, tiff, bmp, avif, heic, raw or film.")
    ] = None
    min_size: Annotated[
        str | None, _which(help="At least so many pixels: 1024 (both sides), 1920x1080.")
    ] = None
    collection: Annotated[
        str | None,
        _which(
            help="Only photos of this collection, such as favourites.",
            autocompletion=completion.collections,
        ),
    ] = None


Paths0Flag = Annotated[
    bool,
    _how("--paths0", help="Print only the paths of matches, each ended by a NUL, for xargs -0."),
]


@dataclass(frozen=True)
class OutputOptions:
    """What is done with the photos found."""

    sheet: Annotated[
        Path | None, _how(help="Write a page or picture of the photos: F.html, F.png or F.jpg.")
    ] = None
    preview: Annotated[bool, _how("--preview", help="Show small pictures in the terminal.")] = False
    paths0: Paths0Flag = False


@dataclass(frozen=True)
class LawOptions:
    """Which policy is in force."""

    policy: PolicyOption = "none"
    country: CountryOption = None
