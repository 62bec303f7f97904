"""Is a person under 16 in the photo? Told from the vectors that `mini` gives to the photo.

A first look takes the whole photo, a second one parts of it too, where the first is unsure. Each
tells whether a person is there at all, and whether a child is, given a person: where nobody is
there, nothing else counts. `recipes/mini_children.py` makes the weights: small networks that
learned from captions, and from things and animals, side by side; what they say of children is
calibrated by Platt's method on photos that neither they nor the towers have seen.
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kadr.encoders import ImageEncoder, load_image_encoder
from kadr.errors import BundleError
from kadr.matcher import heads
from kadr.types import Floats, Vectors

if TYPE_CHECKING:
    from PIL import Image

SIDE = 224
"""Pixels a side of a photo that its encoder needs."""
PART = 0.6
"""Side of a part that the second look sees, of the photo's."""
CORNERS = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.5, 0.5))
"""Where the parts lie, of the room that there is: the corners and the middle."""
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
class Look:
    """Networks side by side, of one hidden layer: whether somebody is there, and a child.

    `hidden` float16 [dim, units] and `hidden_bias` float32 [units] give the units, of which the
    negative ones are silent; `out` float32 [units, 3] and `bias` [3] give logits of nobody, adults
    only, and a child. `slope` and `offset` calibrate the log-odds of a child, given a person.
    """

    hidden: NDArray[np.float16]
    hidden_bias: Vectors
    out: Vectors
    bias: Vectors
    slope: float
    offset: float

    def log_odds(self, rows: Vectors) -> Floats:
        """That a child is in the photo: float32 [n, dim] to float64 [n].

        NaN where a row isn't finite.
        """
        exact = rows.astype(np.float64)
        whole = np.isfinite(exact).all(axis=1)
        exact[~whole] = 0
        person, child = self.parts(exact)
        return np.where(whole, joined(person, self.slope * child + self.offset), np.nan)

    def parts(self, rows: Vectors | Floats) -> tuple[Floats, Floats]:
        """Log-odds of a person, and of a child given a person before calibration: float64 [n]."""
        exact = rows.astype(np.float64)
        units = np.maximum(exact @ self.hidden.astype(np.float64) + self.hidden_bias, 0)
        nobody, adults, child = (units @ self.out.astype(np.float64) + self.bias).T
        return np.logaddexp(adults, child) - nobody, child - adults


@dataclass(frozen=True)
class SceneClassifier:
    """The classifier of one image encoder's vectors, and what goes with its log-odds.

    A second look is worth its time where the first gives a probability from `unsure[0]` to
    `unsure[1]`.
    """

    encoder: str
    version: str
    first: Look
    second: Look
    unsure: tuple[float, float]
    evidence: Evidence

    def probability(self, vectors: Vectors) -> Floats:
        """That a person under 16 is in the photo: vectors float32 [n, dim] to float64 [n].

        NaN where a vector isn't finite.
        """
        return probability(self.log_odds(vectors))

    def log_odds(self, vectors: Vectors) -> Floats:
        """The same as log-odds, float64 [n]; the first look."""
        return self.first.log_odds(vectors)

    def is_unsure(self, log_odds: Floats) -> NDArray[np.bool_]:
        """Which photos deserve a second look, by what the first said: bool of the same shape."""
        low, high = self.unsure
        p = probability(log_odds)
        return np.asarray((p >= low) & (p <= high))

    def second_log_odds(self, vectors: Vectors, parts: Vectors) -> Floats:
        """Log-odds by vectors [n, dim] of photos and [n, parts, dim] of their parts: float64 [n].

        NaN where a vector isn't finite.
        """
        return self.second.log_odds(together(vectors, parts))


def joined(person: Floats, child: Floats) -> Floats:
    """Log-odds of a child, from those of a person, and of a child given a person.

    The probabilities are multiplied, so nothing is likelier than that a person is there.
    """
    # 1 / p - 1 of p = 1 / ((1 + exp(-person)) (1 + exp(-child))), which nothing rounds to 0 or 1
    return -np.logaddexp(np.logaddexp(-person, -child), -person - child)


def together(vectors: Vectors, parts: Vectors) -> Vectors:
    """What the second look takes: the photo, the mean of its parts, and their maxima.

    Vectors float32 [n, dim] and [n, parts, dim] to float32 [n, 3 * dim].
    """
    return np.hstack([vectors, parts.mean(axis=1), parts.max(axis=1)])


def cut(photo: "Image.Image") -> "Sequence[Image.Image]":
    """The parts of a photo that the second look sees."""
    width, height = (max(1, round(PART * side)) for side in photo.size)
    room = photo.width - width, photo.height - height
    places = [(round(x * room[0]), round(y * room[1])) for x, y in CORNERS]
    return [photo.crop((x, y, x + width, y + height)) for x, y in places]


def look_at_parts(photo: "Image.Image") -> Vectors:
    """Vectors of a photo's parts, float32 [parts, dim].

    Raises:
        KadrError: the encoder's weights can't be had.
    """
    encoder = image_encoder()
    return encoder.encode([encoder.prepare(part) for part in cut(photo)])


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
        "encoder": np.asarray(scene.encoder),
        "unsure": np.asarray(scene.unsure),
    }
    for name in ("first", "second"):
        look = getattr(scene, name)
        arrays |= {f"{name}.{f.name}": np.asarray(getattr(look, f.name)) for f in fields(Look)}
    arrays |= {f.name: np.asarray(getattr(scene.evidence, f.name)) for f in fields(Evidence)}
    np.savez_compressed(path, **arrays)


def probability(log_odds: Floats | float) -> Floats:
    """Log-odds to probabilities, float64 of the same shape; NaN stays NaN."""
    return heads.sigmoid(np.asarray(log_odds, np.float64))


def _restore(arrays: Mapping[str, NDArray[Any]], version: str) -> SceneClassifier:
    first, second = _look(arrays, "first"), _look(arrays, "second")
    if len(second.hidden) != 3 * len(first.hidden):
        raise ValueError("its looks don't fit each other")
    low, high = arrays["unsure"].tolist()
    return SceneClassifier(
        encoder=str(arrays["encoder"]),
        version=version,
        first=first,
        second=second,
        unsure=(low, high),
        evidence=Evidence(*(float(arrays[field.name]) for field in fields(Evidence))),
    )


def _look(arrays: Mapping[str, NDArray[Any]], name: str) -> Look:
    hidden, hidden_bias, out, bias, slope, offset = (
        arrays[f"{name}.{field.name}"] for field in fields(Look)
    )
    if hidden.ndim != 2 or out.shape != (*hidden_bias.shape, 3) or bias.shape != (3,):
        raise ValueError("its arrays don't fit each other")
    if hidden.shape[1:] != hidden_bias.shape:
        raise ValueError("its arrays don't fit each other")
    return Look(hidden, hidden_bias, out, bias, float(slope), float(offset))
