"""The files that a bundle's encoders read: copied into it when it is saved, and sought in it alone.

A manifest may come from anybody, so a path in it leads nowhere but into its own folder: to files,
not to links, devices or pipes.
"""

import shutil
import stat
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from typing import Literal, TypeAlias

from kadr.encoders import split
from kadr.errors import BundleError
from kadr.photos.files import lies_below

Kind: TypeAlias = Literal["image", "text"]
FOLDER = "encoders"
"""Of a bundle, for the files that specs name."""
_NAMED = ("timm", "torchvision")
"""Engines whose argument is a network's name, and a file behind another colon."""


def pack(spec: str, kind: Kind, bundle: Path) -> str:
    """Copy the files that a spec names into a bundle; the spec that names them there.

    Raises:
        OSError: a file can't be copied.
    """

    def packed(number: int, argument: str) -> str:
        source = Path(argument)
        if not argument or not source.exists():
            return argument
        target = Path(FOLDER, f"{kind}-{number}-{source.resolve().name}")
        _copy(source.resolve(), bundle / target)
        return target.as_posix()

    parts = enumerate(_arguments(spec, kind))
    return "+".join(engine + packed(number, argument) for number, (engine, argument) in parts)


def unpack(spec: str, kind: Kind, bundle: Path) -> str:
    """The spec of a manifest with the paths of this machine.

    Raises:
        BundleError: it names a path outside the bundle, or what is no plain file.
    """

    def unpacked(argument: str) -> str:
        if argument and _is_plain(bundle / argument, bundle):
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
    if (path.exists() or path.is_symlink()) and not _is_plain(path, bundle):
        raise BundleError(f"{path}: not a plain file of its folder. Get the bundle again.")


def _arguments(spec: str, kind: Kind) -> Iterator[tuple[str, str]]:
    """Each part of a spec: the engine with its colons, and what may be a path; either is empty."""
    for part in split(spec, kind):
        engine, colon, argument = part.partition(":")
        if engine in _NAMED:
            network, second, argument = argument.partition(":")
            yield f"{engine}{colon}{network}{second}", argument
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


def _is_plain(path: Path, bundle: Path) -> bool:
    """Whether a path is a file of the bundle, or a folder of such files, and nothing is a link."""
    try:
        if path.is_symlink() or not lies_below(bundle, path):
            return False
        if path.is_dir():
            return path.resolve() != bundle.resolve() and all(
                _is_plain(below, bundle) for below in path.iterdir()
            )
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return False
