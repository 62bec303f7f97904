"""The command `kadr doctor`: whether what kadr needs is here, and how to get what isn't."""

import platform
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Literal, TypeAlias

import typer

from kadr.cli.console import print_json, say
from kadr.cli.options import JsonFlag, LibraryOption

State: TypeAlias = Literal["ok", "missing", "wrong"]
"""`missing` is something that one may do without."""
_MARKS = {"ok": "+", "missing": "-", "wrong": "!"}
_FOR = {
    "study": "training, evaluation, reports; what reviewers teach",
    "hub": "larger models by name (kadr models)",
    "research": "torch, and encoders that run on it",
    "postgres": "a library on a server",
    "faces": "apparent ages of faces, for the law",
    "objects": "photos in S3 and other object storage",
    "cluster": "encoding on many machines (kadr encode --ray)",
    "raw": "RAW files of cameras",
    "places": "names of the places where photos were taken",
    "video": "films: their frames are found as photos are",
    "ocr": "text in photos, in Latin and Chinese script, not in Cyrillic (kadr ocr)",
    "notebook": "the notebooks",
}
"""What each extra is for."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, and what was found, with what to do about it."""

    what: str
    state: State
    found: str


def doctor_command(library: LibraryOption = None, as_json: JsonFlag = False) -> None:
    """Look whether everything works: Python, engines, model, library, extras, and how fast it is.

        kadr doctor

    + is well, - isn't installed and may be done without, ! is wrong. Exits 1 where anything is
    wrong. Nothing is changed.
    """
    findings = list(_findings(library))
    if as_json:
        print_json({"findings": [asdict(one) for one in findings]})
    else:
        width = max(len(one.what) for one in findings)
        say(*(f"{_MARKS[one.state]} {one.what:{width}}  {one.found}" for one in findings))
    raise typer.Exit(1 if any(one.state == "wrong" for one in findings) else 0)


def _findings(library: str | None) -> Iterator[Finding]:
    yield Finding("kadr", "ok", f"{metadata.version('kadr')}, Python {platform.python_version()}, "
                  f"{platform.system()} {platform.machine()}")  # fmt: skip
    yield from _packages()
    yield _model()
    yield _devices()
    yield _library(library)
    yield _places()
    yield from _extras()


def _packages() -> Iterator[Finding]:
    """What the default install needs; a broken environment lacks some."""
    lacking = sorted(name for name in _required(None) if _version(name) is None)
    told = f"missing: {', '.join(lacking)}. Install kadr again: pip install --force-reinstall kadr"
    yield Finding("packages", "wrong" if lacking else "ok", told if lacking else "all there")


def _extras() -> Iterator[Finding]:
    for extra in metadata.metadata("kadr").get_all("Provides-Extra") or ():
        lacking = [name for name in _required(extra) if _version(name) is None]
        what, purpose = f"extra {extra}", _FOR.get(extra, "")
        if lacking:
            yield Finding(what, "missing", f"{purpose}: pip install 'kadr[{extra}]'")
        else:
            yield Finding(what, "ok", purpose)


def _required(extra: str | None, package: str = "kadr") -> set[str]:
    """The packages that kadr, or one of its extras, names for this Python; with their extras'."""
    named = set()
    for line in metadata.requires(package) or ():
        requirement, _, marker = line.partition(";")
        found = re.match(r"([\w.-]+)\s*(?:\[([\w,.-]+)\])?", requirement.strip())
        if found and _holds(marker, extra):
            named.add(found[1])
            if found[1] == "kadr" or _version(found[1]) is not None:
                for further in (found[2] or "").split(",") if found[2] else ():
                    named |= _required(further, found[1])
    return named - {"kadr"}


def _holds(marker: str, extra: str | None) -> bool:
    """Whether a requirement is one of the extra (None: of none), and of this Python."""
    wanted = re.search(r"extra == ['\"]([\w-]+)['\"]", marker)
    python = re.search(r"python_version >= ['\"](\d+)\.(\d+)['\"]", marker)
    fits = python is None or sys.version_info[:2] >= (int(python[1]), int(python[2]))
    return fits and (wanted[1] if wanted else None) == extra


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _model() -> Finding:
    """Encodes a grey photo and a text, as a search does."""
    from kadr.cli.failures import explained

    try:
        import numpy as np
        from PIL import Image

        from kadr.matcher import bundle

        mini = bundle.load()
        grey = mini.image_encoder.prepare(Image.new("RGB", (640, 480), "grey"))
        mini.text_encoder.encode(["a dog"])
        photo = _milliseconds(lambda: mini.image_encoder.encode([grey]))
        text = _milliseconds(lambda: mini.text_encoder.encode(["a dog runs on the beach"]))
        vector = mini.image_encoder.encode([grey])
        if not np.isfinite(vector).all():
            return Finding("model mini", "wrong", "gives no numbers: install onnxruntime again")
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what doctor is asked for
        return Finding("model mini", "wrong", explained(error))
    return Finding("model mini", "ok", f"{photo:.0f} ms a photo, {text:.0f} ms a text, one thread")


def _milliseconds(run: Callable[[], object]) -> float:
    """The quickest of five."""
    times = []
    for _ in range(5):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return 1000 * min(times)


def _devices() -> Finding:
    from kadr.encoders import onnx_session
    from kadr.errors import KadrError

    try:
        chosen = onnx_session.providers()[0]
    except KadrError as error:
        return Finding("device", "wrong", str(error))
    return Finding(
        "device", "ok", f"models by name run on {chosen.removesuffix('ExecutionProvider')}"
    )


def _library(spec: str | None) -> Finding:
    from kadr.errors import KadrError
    from kadr.library.library import Library
    from kadr.stores import default_spec, exists, named

    where = spec or default_spec()
    try:
        if not exists(where):
            return Finding("library", "missing", f"{named(where)}: none yet: kadr index FOLDER")
        with Library.open(where, create=False) as library:
            gone = [str(one) for one in library.local_folders if not one.is_dir()]
            told = f"{library.name}: {library.totals().photos:,} photos"
    except KadrError as error:
        return Finding("library", "wrong", str(error))
    return Finding("library", "ok", told + (f"; not there: {', '.join(gone)}" if gone else ""))


def _places() -> Finding:
    from kadr.cli.settings import cache_path
    from kadr.encoders import menu

    told = f"models in {menu.folder()}, vectors of studies in {cache_path()}"
    return Finding("files", "ok", told)
