"""The files that a bundle's encoders read: copied into it when it is saved, and sought in it alone.

A manifest may come from anybody, so a path in it leads nowhere but into its own folder: to files,
not to links, devices or pipes.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from typing import Literal, TypeAlias, get_args

from kadr.encoders import split
from kadr.errors import BundleError
from kadr.photos.files import is_plain
from kadr.types import Precision

Kind: TypeAlias = Literal["image", "text"]
FOLDER = "encoders"
"""Of a bundle, for the files that specs name."""
_NAMED = ("timm", "torchvision")
"""Engines whose argument is a network's name, and a file behind another colon."""
_BOTH_SIDES = ("clip",)
"""Engines whose folder holds both towers; a precision and a colon may stand before it."""
SHARED = "pair"
"""Begins the name of a folder that both sides read."""


def pack(spec: str, kind: Kind, bundle: Path, home: Path | None = None) -> str:
    """Copy the files that a spec names into a bundle; the spec that names them there.

    Files that lie in `home` already, the folder that the bundle is going to take the place of, stay
    where they are: a model of a hub has gigabytes.

    Raises:
        OSError: a file can't be copied.
    """

    def packed(number: int, engine: str, argument: str) -> str:
        source = Path(argument)
        if not argument or not source.exists():
            return argument
        source = source.resolve()
        if home is not None and source.is_relative_to((home / FOLDER).resolve()):
            return source.relative_to(home.resolve()).as_posix()
        owner = SHARED if engine.partition(":")[0] in _BOTH_SIDES else kind
        target = Path(FOLDER, f"{owner}-{number}-{source.name}")
        if owner == kind or not (bundle / target).exists():
            _copy(source, bundle / target)
        return target.as_posix()

    parts = enumerate(_arguments(spec, kind))
    return "+".join(
        engine + packed(number, engine, argument) for number, (engine, argument) in parts
    )


def kept(image_spec: str, text_spec: str, home: Path) -> set[str]:
    """Names in a bundle's folder of encoders that `pack` leaves where they are."""
    there = (home / FOLDER).resolve()
    arguments = [argument for _, argument in _arguments(image_spec, "image")]
    arguments += [argument for _, argument in _arguments(text_spec, "text")]
    paths = [Path(argument).resolve() for argument in arguments if argument]
    return {p.relative_to(there).parts[0] for p in paths if p != there and p.is_relative_to(there)}


def unpack(spec: str, kind: Kind, bundle: Path) -> str:
    """The spec of a manifest with the paths of this machine.

    Raises:
        BundleError: it names a path outside the bundle, or what is no plain file.
    """

    def unpacked(argument: str) -> str:
        if argument and is_plain(bundle / argument, bundle):
            return str(bundle / argument)
        if _is_path(argument, bundle):
            raise BundleError(
                f"{bundle}: the manifest names {argument!r}, which is no file of this folder. "
                "Train it again, or get the whole folder."
            )
        return argument

    return "+".join(engine + unpacked(argument) for engine, argument in _arguments(spec, kind))


def check(path: Path, bundle: Path) -> None:
    """Refuse a bundle whose own files are links, devices or pipes; a missing one is left alone.

    Raises:
        BundleError: it is no plain file of its folder.
    """
    if (path.exists() or path.is_symlink()) and not is_plain(path, bundle):
        raise BundleError(f"{path}: not a plain file of its folder. Get the bundle again.")


def _arguments(spec: str, kind: Kind) -> Iterator[tuple[str, str]]:
    """Each part of a spec: the engine with its colons, and what may be a path; either is empty."""
    for part in split(spec, kind):
        engine, colon, argument = part.partition(":")
        if engine in _NAMED:
            network, second, argument = argument.partition(":")
            yield f"{engine}{colon}{network}{second}", argument
        elif engine in _BOTH_SIDES and argument.partition(":")[0] in get_args(Precision):
            precision, second, argument = argument.partition(":")
            yield f"{engine}{colon}{precision}{second}", argument
        else:
            yield engine + colon, argument


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
        return
    shutil.copyfile(source, target)
    for beside in source.parent.glob(f"{source.name}.*"):  # gensim's arrays
        shutil.copyfile(beside, target.with_name(target.name + beside.name[len(source.name) :]))


def _is_path(argument: str, bundle: Path) -> bool:
    """Whether an argument names a place of this machine, rather than a model of a hub."""
    if not argument or "\0" in argument:
        return bool(argument)
    path = Path(argument)
    there = any(_is_there(place) for place in (path, bundle / path))
    anchored = path.is_absolute() or bool(PureWindowsPath(argument).anchor)
    return there or anchored or ".." in path.parts or argument.startswith((".", "~"))


def _is_there(path: Path) -> bool:
    try:
        return path.exists() or path.is_symlink()
    except OSError:  # a name too long
        return True
