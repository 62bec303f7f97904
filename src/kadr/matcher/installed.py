"""Models installed on this machine: each a bundle in a folder of its own, by name.

A pulled model is made beside its place and moved there when it is whole; what came of a stopped
download stays in `.NAME.part` and is gone on with.
"""

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from kadr.encoders import HUB as HUB_EXTRA
from kadr.encoders import clip_files, menu, model_files, onnx_session, snapshot
from kadr.encoders.clip_files import INNER, LISTING, Layout, Side
from kadr.encoders.model_files import HUB, RAW
from kadr.encoders.snapshot import Snapshot
from kadr.errors import BundleError, KadrError, MissingExtraError
from kadr.matcher import bundle, label_free
from kadr.matcher.bundle import Matcher
from kadr.photos import files
from kadr.types import AnyPath, Precision

MEASURED = "measured.json"
"""In a model's folder: what this machine reached."""
_TRIED = 8
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,120}")

OnProgress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being done, and how much of how much is."""


@dataclass(frozen=True)
class Installed:
    """A model on this machine; `rate` in photos per second, None where it wasn't measured."""

    name: str
    folder: Path
    source: str
    revision: str | None
    precision: Precision
    bytes: int
    dim: int
    rate: float | None


@dataclass(frozen=True)
class _Source:
    """What a name or spec stands for: a repository of the hub, or a folder."""

    name: str
    repository: str | None = None
    folder: Path | None = None


def resolve(spec: str) -> Path:
    """The bundle that `--model` names: an installed model, a folder, or `folder:` of a raw model.

    Nothing is downloaded. A raw model is made a bundle of the first time.

    Raises:
        KadrError: the model isn't installed; the message holds the command that does that.
    """
    if spec.startswith(RAW):
        source = _source(spec)
        there = menu.folder() / source.name
        return there if _is_current(source, there) else pull(spec).folder
    known = spec.startswith(HUB) or menu.entry(spec) is not None
    if known or _NAME.fullmatch(spec):
        there = menu.folder() / (_source(spec).name if known else spec)
        if (there / bundle.MANIFEST).is_file():
            return there
    if spec == bundle.MINI.name and not Path(spec).exists():
        return bundle.MINI
    if known and not Path(spec).exists():
        raise KadrError(f"{spec} isn't installed. Get it: kadr models pull {spec}")
    if snapshot.REPOSITORY.fullmatch(spec) and not Path(spec).exists():
        raise KadrError(f"{spec}: no such folder. A model of the hub is {HUB}{spec}")
    return Path(spec)


def load(spec: AnyPath = bundle.MINI.name) -> Matcher:
    """The matcher that a name or a folder stands for; nothing in it is executed.

    Raises:
        KadrError: it isn't installed.
        BundleError: no bundle, a broken one, or one made with other encoder weights.
    """
    return bundle.load(resolve(os.fspath(spec)))


def installed() -> list[Installed]:
    """The models of this machine, by name; what is broken is left out."""
    found = []
    for place in sorted(menu.folder().glob("*/")):
        if not place.name.startswith("."):
            try:
                found.append(show(place.name))
            except KadrError:
                continue
    return found


def show(name: str) -> Installed:
    """One of them.

    Raises:
        KadrError: there is none of this name, or it is broken.
    """
    place = menu.folder() / _source(name).name
    if not (place / bundle.MANIFEST).is_file():
        raise KadrError(f"{name} isn't installed. kadr models lists what is, and what can be.")
    manifest = bundle.read_manifest(place)
    listing = clip_files.read_json(place / INNER / LISTING, clip_files.MOST_JSON)
    try:
        return Installed(
            place.name,
            place,
            str(listing["source"]),
            listing.get("revision"),
            listing["precision"],
            sum(path.stat().st_size for path in place.rglob("*") if path.is_file()),
            int(manifest["image_encoder"]["dim"]),
            _rate(place),
        )
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise BundleError(f"{place}: broken ({error}). Remove it and pull it again.") from error


def named(encoder: str) -> str:
    """The model whose photos' vectors are called so; where none is, what they are called."""
    for place in (bundle.MINI, *sorted(menu.folder().glob("[!.]*/"))):
        with suppress(KadrError, KeyError, TypeError):
            if bundle.read_manifest(place)["image_encoder"]["name"] == encoder:
                return place.name
    return encoder


def remove(name: str) -> Path:
    """Delete a model, and what a stopped download of it left.

    Raises:
        KadrError: there is nothing of this name, or another process is at it.
    """
    if name == bundle.MINI.name:
        raise KadrError("mini ships inside kadr: it can't be removed.")
    place = menu.folder() / _source(name).name
    with _locked(place):
        there = [
            path
            for path, ours in ((place, _is_ours(place)), (_staging(place), True))
            if path.is_dir() and ours
        ]
        if not there:
            raise KadrError(f"{name} isn't installed, so there is nothing to remove.")
        for path in there:
            try:
                shutil.rmtree(path)
            except OSError as error:
                raise KadrError(f"{path}: can't be removed ({error.strerror or error}).") from error
    return place


def pull(
    spec: str, precision: Precision | None = None, on_progress: OnProgress | None = None
) -> Installed:
    """Install a model: download or copy its files, and make a matcher of them.

    Args:
        spec: a name of the menu, `hub:OWNER/NAME`, or `folder:PATH`.
        precision: of the weights, for models that come in several; None: that of the model where
            it is installed, else the best for the device (`kadr.encoders.clip_files.layout`).
        on_progress: told of each step.

    Raises:
        KadrError: no network, no such model, or one that can't be used. What came is kept.
        MissingExtraError: `tokenizers` isn't installed; told before anything is downloaded.
    """
    _check_extra()
    source = _source(spec)
    place = menu.folder() / (f"{source.name}-{precision}" if precision else source.name)
    _check_place(source, place)
    best = show(place.name).precision if _is_ours(place) else onnx_session.best_precision()
    report = on_progress or (lambda *_: None)
    place.parent.mkdir(parents=True, exist_ok=True)
    with _locked(place), _named(_staging(place), source):
        target = _staging(place) / INNER
        if source.folder is not None:
            spec = f"{precision}:{source.folder}" if precision else str(source.folder)
            model = clip_files.ModelFolder(spec, best)
            listing = model_files.copied(source.folder, model, target, report)
        else:
            found, layout = model_files.offered(_repository(source), precision, best)
            if _is_of(place, found, layout):
                return show(place.name)
            listing = model_files.downloaded(found, layout, target, report)
        _made(_staging(place), listing, report)
        _put(_staging(place), place)
    return show(place.name)


@contextmanager
def _named(staging: Path, source: _Source) -> Iterator[None]:
    """Errors name the model, not the hidden folder that it is made in."""
    try:
        yield
    except KadrError as error:
        model = str(source.folder or source.repository)
        told = str(error).replace(str(staging / INNER), model).replace(str(staging), model)
        raise type(error)(told) from error


def _check_place(source: _Source, place: Path) -> None:
    """Refuse to replace what isn't this model, or the very files that it is made of.

    Raises:
        KadrError: it would be.
    """
    known = menu.entry(place.name) is not None or place.name == bundle.MINI.name
    if source.folder is not None and known:
        raise KadrError(f"{place.name} is what kadr calls another model. Rename {source.folder}.")
    if source.folder is not None and (
        source.folder.is_relative_to(place) or place.is_relative_to(source.folder)
    ):
        raise KadrError(f"{source.folder} lies among the installed models. Name one elsewhere.")
    if not place.exists():
        return
    wanted = f"{RAW}{source.folder}" if source.folder else f"{HUB}{source.repository}"
    there = show(place.name).source if _is_ours(place) else "something else"
    if there != wanted:
        raise KadrError(
            f"{place} holds {there}. Remove it (kadr models remove {place.name}), or rename the "
            "folder that you name."
        )


def _is_ours(place: Path) -> bool:
    """Whether a folder is an installed model."""
    return all((place / name).is_file() for name in (bundle.MANIFEST, INNER / LISTING))


def _put(staging: Path, place: Path) -> None:
    """Move a model to its place; one that is there stays until then."""
    old = place.with_name(f".{place.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.replace(old)
    staging.replace(place)
    shutil.rmtree(old, ignore_errors=True)


def _check_extra() -> None:
    try:
        import tokenizers  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            f"models of a hub need {error.name}: pip install {HUB_EXTRA}"
        ) from error


def _source(spec: str) -> _Source:
    """What a name or spec stands for.

    Raises:
        KadrError: nothing.
    """
    if spec.startswith(RAW):
        path = Path(spec.removeprefix(RAW)).expanduser().resolve()
        name = re.sub(r"[^\w.-]", "-", path.name).strip(".-") or "model"
        return _Source(name, folder=path)
    if spec.startswith(HUB):
        repository = spec.removeprefix(HUB)
        if not snapshot.REPOSITORY.fullmatch(repository) or ".." in repository:
            raise KadrError(f"{spec!r} is no name of a repository. Such are hub:OWNER/NAME.")
        return _Source(repository.replace("/", "--"), repository=repository)
    entry = menu.entry(spec)
    if entry is not None:
        return _Source(spec, repository=entry.repository)
    if snapshot.REPOSITORY.fullmatch(spec) and ".." not in spec:
        raise KadrError(f"{spec!r} names no model. One of the hub is {HUB}{spec}")
    if not _NAME.fullmatch(spec):
        raise KadrError(f"{spec!r} names no model. Known: {_known()}, hub:OWNER/NAME, folder:PATH.")
    return _Source(spec)


def _known() -> str:
    return ", ".join(entry.name for entry in menu.MENU)


def _staging(place: Path) -> Path:
    return place.with_name(f".{place.name}.part")


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    """One process at a time pulls or removes a model; the second finds it whole."""
    from filelock import FileLock, Timeout

    lock = FileLock(place.with_name(f".{place.name}.lock"))
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with lock.acquire(timeout=0):
            try:
                yield
            finally:
                _tidy(place, Path(lock.lock_file))
    except Timeout:
        raise KadrError(f"{place.name}: another process is pulling it. Wait for it.") from None
    except OSError as error:
        raise KadrError(f"{place}: can't be written ({error.strerror or error}).") from error


def _tidy(place: Path, lock: Path) -> None:
    """Leave no trace of a model that isn't there, unless some of it came.

    Whoever waits for the lock at that moment may hold one that nobody sees: two downloads at once
    are then noticed by their digests.
    """
    for folder, _, _ in os.walk(_staging(place), topdown=False):
        with suppress(OSError):  # it isn't empty
            Path(folder).rmdir()
    if not place.exists() and not _staging(place).exists():
        with suppress(OSError):  # Windows keeps what is open
            lock.unlink()


def _repository(source: _Source) -> str:
    if source.repository is None:
        raise KadrError(f"no such model. Known: {_known()}, hub:OWNER/NAME, folder:PATH.")
    return source.repository


def _is_of(place: Path, found: Snapshot, layout: Layout) -> bool:
    """Whether a model was pulled from this commit, in this precision."""
    if not (place / bundle.MANIFEST).is_file():
        return False
    listing = clip_files.read_json(place / INNER / LISTING, clip_files.MOST_JSON)
    known = listing.get("source"), listing.get("revision"), listing.get("precision")
    return known == (f"{HUB}{found.repository}", found.revision, layout.precision)


def _made(staging: Path, listing: dict[str, Any], report: OnProgress) -> None:
    """The bundle of what lies in a folder, tried on photos of noise."""
    spec = f"clip:{listing['precision']}:{staging / INNER}"

    def write() -> None:
        text = json.dumps(listing, indent=1, sort_keys=True) + "\n"
        files.save(staging / INNER / LISTING, text.encode())

    write()
    made = label_free.build(spec, spec, lambda done, all_: report("texts", done, all_))
    dims: dict[Side, int] = {"image": made.image_encoder.dim, "text": made.text_encoder.dim}
    listing["dims"] = dims
    write()
    bundle.save(made, staging)
    rate = _measured(made)
    files.save(staging / MEASURED, json.dumps({"photos_per_second": rate}).encode())


def _measured(made: bundle.Matcher) -> float:
    """Photos per second; the first ones, which start the model, aren't counted."""
    from PIL import Image

    encoder, dice = made.image_encoder, np.random.default_rng(0)
    noise = dice.integers(0, 256, (encoder.size, encoder.size, 3), np.uint8)
    photos = [encoder.prepare(Image.fromarray(noise))] * _TRIED
    encoder.encode(photos[:1])
    started = time.perf_counter()
    encoder.encode(photos)
    return round(_TRIED / max(time.perf_counter() - started, 1e-6), 1)


def _rate(place: Path) -> float | None:
    try:
        rate = json.loads((place / MEASURED).read_text(encoding="utf-8"))["photos_per_second"]
        return float(rate)
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def _is_current(source: _Source, there: Path) -> bool:
    """Whether a bundle was made of a folder's files as they are now."""
    if source.folder is None or not (there / bundle.MANIFEST).is_file():
        return False
    listing = clip_files.read_json(there / INNER / LISTING, clip_files.MOST_JSON)
    model = clip_files.ModelFolder(str(source.folder))
    return listing.get("source") == f"{RAW}{source.folder}" and all(
        files.state(model.path / name) == files.state(there / INNER / name)
        for name in listing.get("files", {})
    )
