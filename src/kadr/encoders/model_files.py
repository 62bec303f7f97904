"""The files of a CLIP-like model, brought into a folder, and the list of them."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kadr.encoders import clip_files, onnx_graph, snapshot
from kadr.encoders.clip_files import Layout, ModelFolder
from kadr.encoders.snapshot import OnProgress, Snapshot
from kadr.errors import KadrError
from kadr.photos import files
from kadr.types import Precision

HUB, RAW = "hub:", "folder:"
"""What a model's source begins with: a repository's name follows, or a folder's path."""


def offered(
    repository: str, precision: Precision | None, best: Precision
) -> tuple[Snapshot, Layout]:
    """What the hub has in a repository, and how it is laid out; see `clip_files.layout`.

    Raises:
        KadrError: no network, no such repository, or another layout.
    """
    found = snapshot.find(repository)
    try:
        return found, clip_files.layout(found.files, precision, best)
    except KadrError as error:
        raise KadrError(f"{repository}: {error}") from None


def downloaded(found: Snapshot, layout: Layout, target: Path, report: OnProgress) -> dict[str, Any]:
    """Bring a repository's files; the listing of them.

    Raises:
        KadrError: no network, or one of them is missing or not what the hub says.
    """

    def bring(name: str) -> str:
        if name not in found.files:
            raise KadrError(f"{found.repository}: {name}, where weights should lie, is missing.")
        return snapshot.download(found, name, target, report)

    about = {"source": f"{HUB}{found.repository}", "revision": found.revision}
    return _listing(layout, target, bring, about)


def copied(source: Path, model: ModelFolder, target: Path, report: OnProgress) -> dict[str, Any]:
    """Bring a folder's files; the listing of them.

    Raises:
        KadrError: one of them is missing, or no plain file.
    """

    def bring(name: str) -> str:
        path = model.path / name
        if not files.is_plain(path, model.path):
            raise KadrError(f"{path}: missing, or no plain file.")
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        size = path.stat().st_size
        report(name, 0, size)
        shutil.copy2(path, target / name)
        report(name, size, size)
        return files.digest(target / name)

    return _listing(model.layout, target, bring, {"source": f"{RAW}{source}", "revision": None})


def _listing(
    layout: Layout, target: Path, bring: Callable[[str], str], about: Mapping[str, Any]
) -> dict[str, Any]:
    """Bring all files of a layout, those that its graphs name too, and list them."""
    names = dict.fromkeys((*layout.paths("image"), *layout.paths("text")))
    listed: dict[str, Any] = {name: {"sha256": bring(name)} for name in names}
    for model in (layout.image_model, layout.text_model):
        graph = onnx_graph.read(target / model)
        beside = [(Path(model).parent / name).as_posix() for name in sorted(graph.external)]
        listed |= {name: {"sha256": bring(name)} for name in beside}
    for name, entry in listed.items():
        entry["size"] = (target / name).stat().st_size
    _forget_others(target, set(listed))
    return {**about, "format": 1, "precision": layout.precision, "files": listed}


def _forget_others(target: Path, kept: set[str]) -> None:
    """What a stopped download of another version left; of precisions, one is kept."""
    for path in sorted(target.rglob("*")):
        if path.is_file() and path.relative_to(target).as_posix() not in kept:
            path.unlink()
