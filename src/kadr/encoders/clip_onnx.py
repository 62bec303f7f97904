"""CLIP and its kin (SigLIP, SigLIP 2, MobileCLIP ...) from ONNX files, without torch.

Born aligned: a photo and its text lie near to one another as they come. All that a tower wants is
taken from the model's own files and from its graph; see `kadr.encoders.clip_files`.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kadr.encoders import onnx_graph
from kadr.encoders.clip_files import ModelFolder, Side
from kadr.encoders.clip_preprocess import Preprocessing
from kadr.encoders.onnx_session import Session
from kadr.errors import KadrError
from kadr.types import Vectors

if TYPE_CHECKING:
    from PIL import Image

    from kadr.encoders.clip_text import Tokenizer

PHOTOS, TEXTS = 16, 32
"""Encoded at once at most, where the graph takes more than one."""
PER_PIXEL = 500
"""Bytes of memory that a tower takes in fp32 for each pixel of a photo: 450 for the largest one of
the menu, SO400M at 384 pixels, and 240 for B/16 (benchmarks/vision.py)."""
ROOM, ROOM_ON_CARD = 2**28, 2**30
"""Bytes that photos may take together. On a processor many aren't faster than few."""
_VECTORS = (
    *("image_embeds", "text_embeds", "embedding", "image_embedding", "text_embedding"),
    *("sentence_embedding", "pooler_output"),
)
"""Names of the output that is wanted, best first."""
_FLOATS = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_INTEGERS = {"tensor(int32)": np.int32, "tensor(int64)": np.int64}
_TEXT_INPUTS = {
    "ids": {"text", "input_ids"},
    "mask": {"attention_mask"},
    "segments": {"token_type_ids"},
    "places": {"position_ids"},
}


class _Tower:
    """One side of a model: what both sides share."""

    side: Side

    def __init__(self, spec: str | Path) -> None:
        self._folder = ModelFolder(str(spec))
        layout = self._folder.layout
        self._model = layout.image_model if self.side == "image" else layout.text_model
        self._opening = Lock()

    @cached_property
    def dim(self) -> int:
        """The length of the vectors: what the listing says, else the graph, else a trial."""
        listed = self._folder.dim(self.side)
        if listed:
            return listed
        shapes = onnx_graph.read(self._folder.path / self._model, self._folder.path).outputs
        fixed = shapes[self._output(shapes)][-1]
        return fixed or int(self._trial().shape[-1])

    def _trial(self) -> Vectors:
        raise KadrError(f"{self._model}: doesn't say how long its vectors are.")

    @property
    def _session(self) -> Session:
        with self._opening:  # workers come at once
            return self._opened

    @cached_property
    def _opened(self) -> Session:
        return Session(self._folder.path / self._model, self._folder.path)

    def _output(self, shapes: dict[str, tuple[int | None, ...]]) -> str:
        flat = [name for name, shape in shapes.items() if len(shape) == 2]
        chosen = next((name for name in _VECTORS if name in flat), flat[0] if flat else None)
        if chosen is None:
            raise KadrError(f"{self._folder.path / self._model}: gives no vector for each input.")
        return chosen

    @cached_property
    def _chosen(self) -> str:
        shapes = {
            output.name: tuple(d if isinstance(d, int) else None for d in output.shape or ())
            for output in self._session.outputs
        }
        return self._output(shapes)

    def _unit(self, feed: dict[str, NDArray[Any]], count: int) -> Vectors:
        vectors = self._session.run(self._chosen, feed)
        where = self._folder.path / self._model
        if vectors.shape != (count, self.dim):
            wanted = (count, self.dim)
            raise KadrError(f"{where}: gives {vectors.shape} for {count} inputs, not {wanted}.")
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not lengths.all() or not np.isfinite(lengths).all():
            raise KadrError(f"{where}: gives a vector without a direction.")
        return np.asarray(vectors / lengths, np.float32)

    def _wrong_input(self, found: Any) -> KadrError:
        return KadrError(
            f"{self._folder.path / self._model}: an input that isn't known, {found.name!r} "
            f"({found.type} {found.shape})."
        )


class ClipImages(_Tower):
    """The image tower of a folder, by `FOLDER` or `PRECISION:FOLDER`."""

    side: Side = "image"

    def __init__(self, spec: str | Path) -> None:
        """Read what the files say; weights are read with the first photo.

        Raises:
            KadrError: they say nothing that can be done.
        """
        super().__init__(spec)
        layout = self._folder.layout
        config = self._folder.json(layout.preprocessing)
        read = Preprocessing.from_open_clip if layout.is_immich else Preprocessing.from_transformers
        try:
            self._steps = read(config)
        except KadrError as error:
            raise KadrError(f"{self._folder.path}: {error}") from None
        self.size = max(self._steps.height, self._steps.width, self._steps.edge or 0)
        digest = self._folder.digest("image")
        self.name = f"clip-images-{digest}-{layout.precision}-{self._steps.name}"

    def prepare(self, image: "Image.Image") -> NDArray[np.uint8]:
        """One RGB photo to uint8 [height, width, 3]."""
        return self._steps.pixels(image)

    def encode(self, images: Sequence[NDArray[np.uint8]]) -> Vectors:
        """Prepared photos to float32 [n, dim], unit length.

        Raises:
            KadrError: the model can't be run.
        """
        parts = [np.empty((0, self.dim), np.float32)]
        done = 0
        while done < len(images):
            batch = images[done : done + self._most]
            try:
                parts.append(self._unit({self._input.name: self._fed(np.stack(batch))}, len(batch)))
            except KadrError:  # of memory each device says it in words of its own
                if len(batch) == 1:
                    raise
                self._most = len(batch) // 2
            else:
                done += len(batch)
        return np.concatenate(parts)

    @cached_property
    def _most(self) -> int:
        """So many photos go through the graph at once; fewer once that was too many."""
        if self._input.shape[0] == 1:
            return 1
        pixels = self._steps.height * self._steps.width
        return photos_at_once(pixels, on_processor=self._session.on_processor)

    def _trial(self) -> Vectors:
        black = np.zeros((1, self._steps.height, self._steps.width, 3), np.uint8)
        return self._session.run(self._chosen, {self._input.name: self._fed(black)})

    def _fed(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        """Photos uint8 [n, height, width, 3] as the graph takes them.

        One that takes bytes scales them itself.
        """
        if self._input.type == "tensor(uint8)":
            return pixels if self._channels_last else pixels.transpose(0, 3, 1, 2)
        scaled = self._steps.scaled(pixels).astype(_FLOATS[self._input.type], copy=False)
        return scaled.transpose(0, 2, 3, 1) if self._channels_last else scaled

    @property
    def _channels_last(self) -> bool:
        return _has_channels_last(self._input.shape)

    @cached_property
    def _input(self) -> Any:
        """The graph's one input.

        Raises:
            KadrError: it has others, or takes other photos than the files say.
        """
        first, *more = self._session.inputs
        known = first.type == "tensor(uint8)" or first.type in _FLOATS
        if more or not known or len(first.shape) != 4 or not _takes_one(first.shape[0]):
            raise self._wrong_input(more[0] if more else first)
        sides = first.shape[1:3] if _has_channels_last(first.shape) else first.shape[2:]
        made = [self._steps.height, self._steps.width]
        if any(isinstance(s, int) and s != m for s, m in zip(sides, made, strict=True)):
            raise KadrError(
                f"{self._folder.path / self._model}: takes photos of {sides} pixels, and "
                f"{self._folder.layout.preprocessing} makes {made}."
            )
        return first


class ClipTexts(_Tower):
    """The text tower of a folder, by `FOLDER` or `PRECISION:FOLDER`."""

    side: Side = "text"

    def __init__(self, spec: str | Path) -> None:
        """Read what the files say; weights are read with the first text.

        Raises:
            KadrError: they say nothing that can be done.
            ImportError: `tokenizers` isn't installed.
        """
        import tokenizers  # noqa: F401 - what is missing is told now, not with the first text

        super().__init__(spec)
        precision = self._folder.layout.precision
        self.name = f"clip-texts-{self._folder.digest('text')}-{precision}"

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Texts to float32 [n, dim], unit length.

        Raises:
            KadrError: the tokenizer can't be read, or the model can't be run.
        """
        step = 1 if self._session.inputs[0].shape[:1] == [1] else TEXTS
        batches = [texts[i : i + step] for i in range(0, len(texts), step)]
        parts = [self._unit(self._feed(batch), len(batch)) for batch in batches]
        return np.concatenate(parts) if parts else np.empty((0, self.dim), np.float32)

    def _trial(self) -> Vectors:
        return self._session.run(self._chosen, self._feed(["a photo"]))

    def _feed(self, texts: Sequence[str]) -> dict[str, NDArray[Any]]:
        ids, mask = self._tokenizer(texts)
        places = np.broadcast_to(np.arange(ids.shape[1]), ids.shape)
        values = {"ids": ids, "mask": mask, "segments": np.zeros_like(ids), "places": places}
        feed: dict[str, NDArray[Any]] = {}
        for one in self._session.inputs:
            kind = next((kind for kind, names in _TEXT_INPUTS.items() if one.name in names), None)
            if kind is None or one.type not in _INTEGERS or len(one.shape) != 2:
                raise self._wrong_input(one)
            feed[one.name] = np.ascontiguousarray(values[kind], _INTEGERS[one.type])
        return feed

    @cached_property
    def _tokenizer(self) -> "Tokenizer":
        from kadr.encoders.clip_text import Tokenizer

        shapes = [one.shape for one in self._session.inputs if one.name in _TEXT_INPUTS["ids"]]
        fixed = shapes[0][-1] if shapes and shapes[0] else None
        return Tokenizer(self._folder, fixed if isinstance(fixed, int) else None)


def photos_at_once(pixels: int, *, on_processor: bool) -> int:
    """How many photos of so many pixels go through a tower together: 1 to PHOTOS."""
    room = ROOM if on_processor else ROOM_ON_CARD
    return min(max(room // (PER_PIXEL * pixels), 1), PHOTOS)


def _has_channels_last(shape: Sequence[Any]) -> bool:
    return bool(shape[3] == 3 and shape[1] != 3)


def _takes_one(batch: Any) -> bool:
    """Whether a graph takes one input at a time, or any number."""
    return batch == 1 or not isinstance(batch, int)
