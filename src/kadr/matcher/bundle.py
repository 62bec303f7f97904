"""The bundle: encoders, alignment and relevance, saved as one folder with one manifest."""

import json
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from kadr.encoders import (
    ImageEncoder,
    TextEncoder,
    load_image_encoder,
    load_text_encoder,
    state,
)
from kadr.errors import BundleError
from kadr.matcher import alignment, null_scores, relevance, weights
from kadr.matcher.alignment import Alignment
from kadr.matcher.null_scores import NullScores
from kadr.matcher.relevance import Embeddings, Relevance
from kadr.photos import files
from kadr.types import AnyPath, Floats, Vectors

FORMAT = 2
MINI = Path(__file__).parents[1] / "models" / "mini"
MANIFEST = "manifest.json"
WEIGHTS = "weights.npz"

_BROKEN = (
    *(OSError, EOFError, KeyError, TypeError, ValueError, AttributeError),
    *(zipfile.BadZipFile, zlib.error, MemoryError),
)
"""What reading a damaged or forged bundle raises."""


@dataclass(frozen=True, repr=False)
class Matcher:
    """Scores photos against texts. `manifest` says how it was trained and on what.

    `relevance` learned from judgements, or does without any.
    """

    image_spec: str
    text_spec: str
    image_encoder: ImageEncoder
    text_encoder: TextEncoder
    alignment: Alignment
    relevance: Relevance | NullScores
    manifest: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        learned = self.relevance
        kind = "no judgements" if isinstance(learned, NullScores) else learned.classifier
        dim = self.alignment.image_map.shape[1]
        return f"<Matcher {self.image_spec} + {self.text_spec}: {dim} dimensions, {kind}>"

    def images(self, vectors: Vectors, density: Vectors | None = None) -> Embeddings:
        """Image encoder vectors [n, dim], ready for pairing; `density` as `Alignment.images`."""
        return Embeddings(vectors, self.alignment.images(vectors, density))

    def texts(self, vectors: Vectors) -> Embeddings:
        """Text encoder vectors [n, dim], ready for pairing."""
        return Embeddings(vectors, self.alignment.texts(vectors))

    def among(self, photos: Callable[[], Vectors]) -> "Matcher":
        """The same where texts are asked of these photos, image encoder vectors [n, dim].

        They are asked for only if it makes a difference: if the matcher learned from no judgements.
        """
        if isinstance(self.relevance, Relevance):
            return self
        vectors = photos()
        joint = self.alignment.images(vectors).vectors if len(vectors) else vectors
        return replace(self, relevance=self.relevance.among(joint, self.alignment.text_bank))

    def pairs(self, images: Embeddings, texts: Embeddings) -> tuple[Floats, Floats]:
        """Probability and cosine similarity of image i with text i: float64 [n] each."""
        cosine = np.einsum("ij,ij->i", images.joint.vectors, texts.joint.vectors)
        return self.relevance.probability(images, texts), cosine.astype(np.float64)


def save(matcher: Matcher, folder: AnyPath) -> Path:
    """Write the bundle beside `folder` first, then put it in its place.

    Raises:
        BundleError: `folder` holds something that is no bundle, or can't be written.
    """
    folder = Path(folder)
    arrays = {f"alignment.{n}": a for n, a in matcher.alignment.arrays().items()}
    arrays |= {f"relevance.{n}": a for n, a in matcher.relevance.arrays().items()}
    arrays |= {f"text_encoder.{n}": a for n, a in state(matcher.text_encoder).items()}
    try:
        if folder.exists() and not _is_ours(folder):
            raise BundleError(f"{folder} holds other files. Name an empty folder or a new one.")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as scratch:
            fresh = Path(scratch, "bundle")
            fresh.mkdir()
            np.savez_compressed(fresh / WEIGHTS, **arrays)  # type: ignore[arg-type]
            described = _manifest(matcher, fresh, folder)
            (fresh / MANIFEST).write_text(described, encoding="utf-8")
            if folder.exists():
                _move_into(
                    fresh, folder, weights.kept(matcher.image_spec, matcher.text_spec, folder)
                )
            else:
                fresh.replace(folder)
    except OSError as error:
        raise BundleError(f"{folder}: can't be written ({error.strerror or error}).") from error
    return folder


def load(folder: Path = MINI) -> Matcher:
    """Read a bundle; nothing in it is executed.

    Raises:
        BundleError: no bundle, a broken one, or one made with other encoder weights.
    """
    manifest = read_manifest(folder)
    weights.check(folder / WEIGHTS, folder)
    try:
        if manifest["weights_digest"] != files.digest(folder / WEIGHTS):
            raise BundleError(f"{folder}: {WEIGHTS} isn't the file that the manifest describes.")
        with (folder / WEIGHTS).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        image_spec = weights.unpack(manifest["image_encoder"]["spec"], "image", folder)
        text_spec = weights.unpack(manifest["text_encoder"]["spec"], "text", folder)
        images = load_image_encoder(image_spec)
        texts = load_text_encoder(text_spec, arrays=_below(arrays, "text_encoder."))
        _check_encoder(folder, manifest["image_encoder"], images)
        _check_encoder(folder, manifest["text_encoder"], texts)
        return Matcher(
            image_spec,
            text_spec,
            images,
            texts,
            alignment.restore(_below(arrays, "alignment.")),
            _relevance(manifest["relevance"], _below(arrays, "relevance.")),
            manifest.get("training", {}),
        )
    except _BROKEN as error:
        raise BundleError(f"{folder}: a broken bundle ({error}). Train it again.") from error


def load_images(folder: Path = MINI) -> ImageEncoder:
    """The image encoder of a bundle alone, for who only encodes photos. Raises as `load` does."""
    manifest = read_manifest(folder)
    try:
        described = manifest["image_encoder"]
        images = load_image_encoder(weights.unpack(described["spec"], "image", folder))
        _check_encoder(folder, described, images)
    except _BROKEN as error:
        raise BundleError(f"{folder}: a broken bundle ({error}). Train it again.") from error
    return images


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a bundle, without its weights. Raises as `load` does."""
    path = folder / MANIFEST
    weights.check(path, folder)
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BundleError(
            f"{folder}: no matcher here. kadr models lists those by name, kadr train makes one."
        ) from None
    except RecursionError:
        raise BundleError(f"{path}: nested too deeply for a manifest. Train it again.") from None
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: can't be read ({error}). Train it again.") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BundleError(f"{path}: not a bundle of format {FORMAT}. Train it again.")
    return manifest


def _is_ours(folder: Path) -> bool:
    """Whether a folder is empty or a bundle; other programs write a manifest.json too."""
    names = {path.name for path in folder.iterdir()}
    if MANIFEST in names:
        text = (folder / MANIFEST).read_text(encoding="utf-8", errors="replace")
        return not text or WEIGHTS in names or '"weights_digest"' in text
    return names <= {WEIGHTS, weights.FOLDER}  # a first save may have stopped half-way


def _manifest(matcher: Matcher, folder: Path, home: Path) -> str:
    """Describe a matcher; the files that its encoders read are copied into the folder.

    Not those that lie in `home`, where the folder is going to.
    """
    image = weights.pack(matcher.image_spec, "image", folder, home)
    text = weights.pack(matcher.text_spec, "text", folder, home)
    described = {
        "format": FORMAT,
        "weights_digest": files.digest(folder / WEIGHTS),
        "image_encoder": _describe(image, matcher.image_encoder),
        "text_encoder": _describe(text, matcher.text_encoder),
        "relevance": _describe_relevance(matcher.relevance),
        "training": matcher.manifest,
    }
    return json.dumps(described, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _relevance(described: Mapping[str, Any], arrays: dict[str, Any]) -> Relevance | NullScores:
    if described.get("judged") is False:
        return null_scores.restore(arrays)
    return relevance.restore(
        described["features"], described["classifier"], arrays, described.get("settings", {})
    )


def _describe_relevance(found: Relevance | NullScores) -> dict[str, Any]:
    if isinstance(found, NullScores):
        return {"judged": False}
    return {
        "features": found.features,
        "classifier": found.classifier,
        "settings": found.settings,
    }


def _describe(spec: str, encoder: ImageEncoder | TextEncoder) -> dict[str, str | int]:
    return {"spec": spec, "name": encoder.name, "dim": encoder.dim}


def _check_encoder(
    folder: Path, described: Mapping[str, Any], encoder: ImageEncoder | TextEncoder
) -> None:
    if described["name"] != encoder.name:
        raise BundleError(
            f"{folder} was trained with {described['name']}, here is {encoder.name}: their vectors "
            "differ. Install the version it was trained with, or train it again."
        )


def _below(arrays: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}


def _move_into(fresh: Path, folder: Path, kept: set[str]) -> None:
    """Weights first: a manifest that names other weights is noticed by `load`.

    Of the files of the bundle that was there, those of encoders stay that are `kept`.
    """
    if (fresh / weights.FOLDER).exists():
        there = folder / weights.FOLDER
        there.mkdir(exist_ok=True)
        for old in there.iterdir():
            if old.name not in kept:
                shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
        for new in (fresh / weights.FOLDER).iterdir():
            new.replace(there / new.name)
    for name in (WEIGHTS, MANIFEST):
        (fresh / name).replace(folder / name)
