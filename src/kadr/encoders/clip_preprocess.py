"""A photo as a CLIP-like image tower wants it: resized, cut or padded, and scaled as its files say.

Two recipes are published. open_clip's `preprocess_cfg.json` names a `resize_mode`; transformers'
`preprocessor_config.json` says each step. They differ in how they round the place of a cut.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kadr.errors import KadrError

if TYPE_CHECKING:
    from PIL import Image

Resize: TypeAlias = Literal["shortest", "longest", "squash", "none"]
_Size: TypeAlias = tuple[int, int]

VERSION = 1
"""Counts changes of this file that change pixels; it is in the name of the vectors."""
LARGEST = 2048
"""Pixels of a side. The largest known towers take 576."""
LONGEST = 8
"""A photo's long side, in short sides, that is looked at where the short side is what counts:
else a 1x60,000 strip would take gigabytes, and the centre crop throws the ends away."""
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
_RESAMPLE = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}


@dataclass(frozen=True)
class Preprocessing:
    """The steps from an RGB photo to a tower's input.

    `height` and `width` are what comes out; `edge` is what the short or long side is resized to,
    where it is another. `resample` is Pillow's number. Pixels p become (p * rescale - mean) / std.
    """

    height: int
    width: int
    resize: Resize = "shortest"
    edge: int | None = None
    resample: int = 3
    fill: int = 0
    rounds_crop: bool = True
    rescale: float = 1 / 255
    mean: tuple[float, ...] = CLIP_MEAN
    std: tuple[float, ...] = CLIP_STD

    @classmethod
    def from_open_clip(cls, config: Mapping[str, Any]) -> Self:
        """What a `preprocess_cfg.json` says; open_clip's defaults where it is silent.

        Raises:
            KadrError: it says something that no photo can be made to fit.
        """
        height, width = _pair(config.get("size") or 224)
        mode: Any = config.get("resize_mode") or "shortest"
        if mode not in {"shortest", "longest", "squash"} or config.get("mode", "RGB") != "RGB":
            raise KadrError(f"preprocess_cfg.json: unknown resize_mode {mode!r}, or not RGB.")
        resample = 2 if config.get("interpolation") == "bilinear" else 3  # "random" in training
        mean, std = config.get("mean") or CLIP_MEAN, config.get("std") or CLIP_STD
        return cls(
            height,
            width,
            resize=mode,
            resample=resample,
            fill=int(_finite([config.get("fill_color") or 0])[0]) & 255,
            mean=_channels(mean),
            std=_channels(std),
        )

    @classmethod
    def from_transformers(cls, config: Mapping[str, Any]) -> Self:
        """What a `preprocessor_config.json` says.

        Raises:
            KadrError: it says something that no photo can be made to fit, or not enough.
        """
        size = config.get("size", 224)
        shortest = config.get("do_center_crop", "crop_size" in config)
        cut = _pair(config.get("crop_size", size)) if shortest else None
        resize, edge, out = _transformers_size(size)
        if not config.get("do_resize", True):
            resize = "none"
        if cut is None and out is None:
            raise KadrError(
                "preprocessor_config.json: says no size that all photos are brought to."
            )
        height, width = cut or out or (0, 0)
        normalises = config.get("do_normalize", True)
        return cls(
            height,
            width,
            resize=resize,
            edge=edge,
            resample=_resample(config.get("resample", 3)),
            rounds_crop=False,
            rescale=_finite([config.get("rescale_factor", 1 / 255)])[0]
            if config.get("do_rescale", True)
            else 1.0,
            mean=_channels(config.get("image_mean") or CLIP_MEAN) if normalises else (0.0,) * 3,
            std=_channels(config.get("image_std") or CLIP_STD) if normalises else (1.0,) * 3,
        )

    @property
    def name(self) -> str:
        """Short, for the name of the vectors."""
        return f"{self.resize}{self.width}x{self.height}.{self.resample}.v{VERSION}"

    def pixels(self, image: "Image.Image") -> NDArray[np.uint8]:
        """An RGB photo of any shape to uint8 [height, width, 3]."""
        from PIL import Image  # the texts do without

        resampling = Image.Resampling(self.resample)
        if self.resize == "squash":
            return np.asarray(image.resize((self.width, self.height), resampling))
        if self.resize != "none":
            if self.resize == "shortest":
                image = trim(image)
            image = image.resize(self._resized(*image.size), resampling)
        return np.asarray(self._cut(image))

    def scaled(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Photos uint8 [n, height, width, 3] to float32 [n, 3, height, width]."""
        values = (np.arange(256) * self.rescale).astype(np.float32)[:, None]
        table = (values - np.asarray(self.mean, np.float32)) / np.asarray(self.std, np.float32)
        return np.stack([table[pixels[..., c], c] for c in range(3)], axis=1)

    def _resized(self, width: int, height: int) -> _Size:
        if self.edge is None and (self.resize == "longest" or self.height != self.width):
            ratios = height / self.height, width / self.width
            ratio = max(ratios) if self.resize == "longest" else min(ratios)
            return max(1, round(width / ratio)), max(1, round(height / ratio))
        short, long = sorted((width, height))
        edge = self.edge or self.height
        longer = int(edge * long / short)
        return (edge, longer) if width <= height else (longer, edge)

    def _cut(self, image: "Image.Image") -> "Image.Image":
        """The middle, on a ground of `fill` where the photo is smaller."""
        from PIL import Image

        if image.width < self.width or image.height < self.height:
            size = max(image.width, self.width), max(image.height, self.height)
            ground = Image.new("RGB", size, (self.fill,) * 3)
            ground.paste(image, ((size[0] - image.width) // 2, (size[1] - image.height) // 2))
            image = ground
        place = round if self.rounds_crop else math.floor
        left, top = place((image.width - self.width) / 2), place((image.height - self.height) / 2)
        return image.crop((left, top, left + self.width, top + self.height))


def trim(image: "Image.Image") -> "Image.Image":
    """The middle of a photo that is much longer than wide; any other as it is."""
    width, height = image.size
    longest = LONGEST * min(width, height)
    if max(width, height) <= longest:
        return image
    left, top = max(0, (width - longest) // 2), max(0, (height - longest) // 2)
    return image.crop((left, top, width - left, height - top))


def _transformers_size(size: Any) -> tuple[Resize, int | None, _Size | None]:
    """How a photo is resized, to what edge, and the size that then comes out if it is one."""
    if isinstance(size, Mapping) and "shortest_edge" in size:
        return "shortest", _side(size["shortest_edge"]), None
    if isinstance(size, Mapping):
        return "squash", None, _pair(size)
    return "shortest", _side(size), None  # an int of old: the short edge


def _pair(size: Any) -> _Size:
    """Height and width."""
    if isinstance(size, Mapping):
        edge = size.get("shortest_edge", 224)
        size = [size.get("height", edge), size.get("width", edge)]
    if not isinstance(size, Sequence) or isinstance(size, str):
        size = [size]
    if len(size) not in {1, 2}:
        raise KadrError("the preprocessing names no size of a photo.")
    return _side(size[0]), _side(size[-1])


def _side(value: Any) -> int:
    if not isinstance(value, int) or not 1 <= value <= LARGEST:
        raise KadrError(
            f"the preprocessing wants sides of {value!r} pixels, not of 1 to {LARGEST}."
        )
    return value


def _resample(value: Any) -> int:
    known = _RESAMPLE.get(value, -1) if isinstance(value, str) else value
    if not isinstance(known, int) or not 0 <= known <= 5:
        raise KadrError(f"the preprocessing wants an unknown interpolation, {value!r}.")
    return known


def _channels(values: Any) -> tuple[float, ...]:
    if not isinstance(values, Sequence) or isinstance(values, str):
        values = [values] * 3
    if len(values) != 3:
        raise KadrError("the preprocessing doesn't name a mean and deviation of three channels.")
    return tuple(_finite(values))


def _finite(values: Sequence[Any]) -> list[float]:
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError, OverflowError):
        numbers = [math.nan]
    if not all(map(math.isfinite, numbers)):
        raise KadrError("the preprocessing scales pixels by what is no number.")
    return numbers
