"""Is a person under 16 in the photo? Told from the vector that `mini` gives to the photo.

`recipes/mini_children.py` makes the weights: small networks that learned from captions, side by
side, calibrated by Platt's method on photos that neither they nor the towers have seen.
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kadr.encoders import ImageEncoder, load_image_encoder
from kadr.errors import BundleError
from kadr.matcher import heads
from kadr.types import Floats, Vectors

SIDE = 224
"""Pixels a side of a photo that its encoder needs."""
WEIGHTS = Path(__file__).parents[1] / "models" / "mini" / "children.npz"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What else than the scene adds to the log-odds that a child is in the photo.

    `prior` are the log-odds where the scene tells nothing. `word`: a text that belongs to the photo
    names a child. `no_face`: faces were looked for, and none was found. `face`: the youngest looks
    16; `per_year`: for each year younger, from `oldest` down to `youngest` years.
    """

    prior: float
    word: float
    no_face: float
    face: float
    per_year: float
    youngest: float
    oldest: float


@dataclass(frozen=True)
class SceneClassifier:
    """The classifier of one image encoder's vectors, and what goes with its log-odds.

    `hidden` float16 [dim, units] and `hidden_bias` float32 [units] give the units, of which the
    negative ones are silent; `out` float32 [units] and `bias` give log-odds.
    """

    encoder: str
    version: str
    hidden: NDArray[np.float16]
    hidden_bias: Vectors
    out: Vectors
    bias: float
    evidence: Evidence

    def probability(self, vectors: Vectors) -> Floats:
        """That a person under 16 is in the photo: vectors float32 [n, dim] to float64 [n].

        NaN where a vector isn't finite.
        """
        return probability(self.log_odds(vectors))

    def log_odds(self, vectors: Vectors) -> Floats:
        """The same as log-odds, float64 [n]."""
        rows = vectors.astype(np.float64)
        whole = np.isfinite(rows).all(axis=1)
        rows[~whole] = 0
        units = np.maximum(rows @ self.hidden.astype(np.float64) + self.hidden_bias, 0)
        odds = np.asarray(units @ self.out.astype(np.float64) + self.bias, dtype=np.float64)
        odds[~whole] = np.nan
        return odds


def load(path: Path = WEIGHTS) -> SceneClassifier:
    """The classifier that is shipped with `mini`.

    Raises:
        BundleError: the file is missing or broken.
    """
    try:
        content = path.read_bytes()
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = dict(file)
        return _restore(arrays, f"children-{hashlib.sha256(content).hexdigest()[:12]}")
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise BundleError(
            f"{path}: the scene classifier can't be read ({error}). Install kadr again."
        ) from error


@cache
def image_encoder() -> ImageEncoder:
    """The encoder whose vectors it takes: that of `mini`, whichever the library is searched with.

    Raises:
        KadrError: its weights can't be had.
    """
    return load_image_encoder("mini")


def save(path: Path, scene: SceneClassifier) -> None:
    """Write what `load` reads."""
    arrays: dict[str, Any] = {
        field.name: np.asarray(getattr(scene, field.name))
        for field in fields(scene)
        if field.name not in ("version", "evidence")
    }
    arrays |= {f.name: np.asarray(getattr(scene.evidence, f.name)) for f in fields(Evidence)}
    np.savez_compressed(path, **arrays)


def probability(log_odds: Floats | float) -> Floats:
    """Log-odds to probabilities, float64 of the same shape; NaN stays NaN."""
    return heads.sigmoid(np.asarray(log_odds, np.float64))


def _restore(arrays: Mapping[str, NDArray[Any]], version: str) -> SceneClassifier:
    hidden, hidden_bias, out = (arrays[name] for name in ("hidden", "hidden_bias", "out"))
    if hidden.ndim != 2 or not hidden.shape[1:] == hidden_bias.shape == out.shape:
        raise ValueError("its arrays don't fit each other")
    return SceneClassifier(
        encoder=str(arrays["encoder"]),
        version=version,
        hidden=hidden,
        hidden_bias=hidden_bias,
        out=out,
        bias=float(arrays["bias"]),
        evidence=Evidence(*(float(arrays[field.name]) for field in fields(Evidence))),
    )
