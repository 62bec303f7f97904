"""The folder of a CLIP-like model: which of the layouts that hubs hand out it has, and its files.

Immich's: visual/model.onnx, visual/preprocess_cfg.json, textual/model.onnx, textual/tokenizer.json,
textual/tokenizer_config.json, config.json. transformers.js's: onnx/vision_model*.onnx,
onnx/text_model*.onnx, preprocessor_config.json, tokenizer.json, tokenizer_config.json, config.json.
"""

import hashlib
import json
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from kadr.encoders import onnx_graph
from kadr.errors import KadrError
from kadr.photos import files
from kadr.types import Precision

Side: TypeAlias = Literal["image", "text"]

LISTING = "files.json"
"""What a download knew of each file: its size and SHA-256."""
INNER = Path("encoders", "model")
"""Where in a bundle a model's own files lie."""
SETTLED = 2.0
"""Seconds. A file that changed less than so long ago may change again without its time telling."""
MOST_JSON = 8 * 2**20
MOST_BYTES = 16 * 2**30
"""Of a file of weights; those of the largest model that Immich hands out have 7 GB together."""
MOST_TOKENIZER = 40 * 2**20
"""Bytes; the largest known tokenizer.json, of 256,000 pieces, has 34 MB. `clip_text` bounds what it
holds too: the worst of them took 750 MB of memory."""

_TOKENIZER = ("tokenizer.json", "tokenizer_config.json")
_SUFFIXES: dict[Precision, tuple[str, ...]] = {
    "fp32": ("",),
    "fp16": ("_fp16",),
    "int8": ("_quantized", "_int8", "_uint8"),
}
_PREFERRED: dict[Precision, tuple[Precision, ...]] = {
    "fp32": ("fp32", "int8", "fp16"),
    "fp16": ("fp16", "fp32", "int8"),
    "int8": ("int8", "fp32", "fp16"),
}
"""What is taken where the best isn't there."""


@dataclass(frozen=True)
class Layout:
    """Paths of a model's files below its folder."""

    image_model: str
    text_model: str
    preprocessing: str
    tokenizer: str
    tokenizer_config: str
    config: str
    precision: Precision

    def paths(self, side: Side) -> tuple[str, ...]:
        """What one tower needs, less the files that its weights may lie in."""
        if side == "image":
            return self.image_model, self.preprocessing
        return self.text_model, self.tokenizer, self.tokenizer_config, self.config

    @property
    def is_immich(self) -> bool:
        """Else it is transformers.js's."""
        return self.image_model.startswith("visual/")


def layout(
    names: Collection[str], precision: Precision | None = None, best: Precision = "fp32"
) -> Layout:
    """The layout that a folder or a repository with these files has.

    Args:
        names: paths of the files.
        precision: of the weights; None: the best there is.
        best: which is the best where there are several. fp32 is what the published figures are
            measured with; processors compute fp16 in fp32 anyway, so int8 comes before it.

    Raises:
        KadrError: it has neither layout, or not in this precision.
    """
    for one in (precision,) if precision else _PREFERRED[best]:
        for candidate in _candidates(one):
            if {*candidate.paths("image"), *candidate.paths("text")} <= set(names):
                return candidate
    there = precision and any(
        {candidate.image_model, candidate.text_model} <= set(names)
        for one in get_args(Precision)
        for candidate in _candidates(one)
    )
    if there:
        raise KadrError(f"no {precision} weights in this model. Leave the precision out.")
    raise KadrError(
        "neither Immich's layout (visual/model.onnx, textual/model.onnx ...) nor transformers.js's "
        "(onnx/vision_model.onnx, onnx/text_model.onnx ...), or a file of it is missing."
    )


def _candidates(precision: Precision) -> Iterable[Layout]:
    if precision == "fp32":
        tokenizer, config = (f"textual/{name}" for name in _TOKENIZER)
        yield Layout(
            "visual/model.onnx",
            "textual/model.onnx",
            "visual/preprocess_cfg.json",
            tokenizer,
            config,
            "config.json",
            "fp32",
        )
    for suffix in _SUFFIXES[precision]:
        yield Layout(
            f"onnx/vision_model{suffix}.onnx",
            f"onnx/text_model{suffix}.onnx",
            "preprocessor_config.json",
            *_TOKENIZER,
            "config.json",
            precision,
        )


class ModelFolder:
    """One model on disk, by `FOLDER` or `PRECISION:FOLDER`."""

    def __init__(self, spec: str, best: Precision = "fp32") -> None:
        """Look what is there; no weight is read.

        Args:
            spec: as above.
            best: the precision that is taken where the spec names none; see `layout`.

        Raises:
            KadrError: no such folder, an unknown layout, or a file that isn't a plain one.
        """
        before, colon, after = spec.partition(":")
        chosen = before if colon and before in get_args(Precision) else None
        self.path = Path(after if chosen else spec)
        if (self.path / INNER).is_dir():  # a bundle's
            self.path /= INNER
        if not self.path.is_dir():
            raise KadrError(f"{self.path}: no such folder. Name one that holds a CLIP-like model.")
        try:
            self.layout = layout(_names(self.path), chosen, best)  # type: ignore[arg-type]
        except KadrError as error:
            raise KadrError(f"{self.path}: {error}") from None
        for name in (*self.layout.paths("image"), *self.layout.paths("text")):
            if not files.is_plain(self.path / name, self.path):
                raise KadrError(
                    f"{self.path / name}: a link, or no plain file. Copy the file itself."
                )
        self._listed = self._read_listing()

    def json(self, name: str, most: int = MOST_JSON) -> dict[str, Any]:
        """A JSON object of the folder.

        Raises:
            KadrError: it is none, or too large or too deep to be one.
        """
        return read_json(self.path / name, most)

    def digest(self, side: Side) -> str:
        """12 hex digits of the files that one tower reads, external weights too.

        Raises:
            KadrError: one of them isn't what was downloaded.
        """
        names = self.layout.paths(side)
        onnx_graph.check_size(self.path / names[0])
        found = {name: self._examined(name) for name in names}
        beside = {
            (Path(names[0]).parent / name).as_posix(): name for name in found[names[0]].external
        }
        found |= {name: self._examined(name) for name in beside}
        total = hashlib.sha256()
        for name in sorted(found):
            total.update(f"{name}\0{found[name].sha256}\n".encode())
        return total.hexdigest()[:12]

    def dim(self, side: Side) -> int | None:
        """The length of the vectors where the listing says it."""
        dim = self._listed.get("dims", {}).get(side)
        return dim if isinstance(dim, int) and 0 < dim < 2**16 else None

    def _examined(self, name: str) -> "_Examined":
        path = self.path / name
        state = files.state(path)
        if state is None or not files.is_plain(path, self.path):
            raise KadrError(f"{path}: missing, or no plain file. Get the model again.")
        known = self._files.get(name)
        most = MOST_TOKENIZER if name.endswith(".json") else MOST_BYTES
        if state[0] > most:
            raise KadrError(f"{path}: {state[0]:,} bytes, where at most {most:,} are sensible.")
        if known is not None and known.get("size") != state[0]:
            raise KadrError(
                f"{path}: {state[0]:,} bytes, where {known.get('size'):,} were downloaded. "
                "Get the model again."
            )
        examined = _examined(path, self.path)
        if known is not None and known.get("sha256") != examined.sha256:
            raise KadrError(f"{path}: other bytes than were downloaded. Get the model again.")
        return examined

    @property
    def _files(self) -> dict[str, Any]:
        listed = self._listed.get("files", {})
        return listed if isinstance(listed, dict) else {}

    def _read_listing(self) -> dict[str, Any]:
        path = self.path / LISTING
        if not files.is_plain(path, self.path):
            return {}
        listed = read_json(path, MOST_JSON)
        entries = listed.get("files")
        sound = isinstance(entries, dict) and all(
            isinstance(entry, dict) and isinstance(entry.get("size"), int)
            for entry in entries.values()
        )
        if not sound or not isinstance(listed.get("dims", {}), dict):
            raise KadrError(f"{path}: not a list of downloaded files. Get the model again.")
        return listed


def read_json(path: Path, most: int) -> dict[str, Any]:
    """A JSON object of at most so many bytes.

    Raises:
        KadrError: it is none, or too large or too deep to be one.
    """
    try:
        size = path.stat().st_size
        if size > most:
            raise KadrError(f"{path}: {size:,} bytes, where at most {most:,} are sensible.")
        with path.open("rb") as file:
            found = json.loads(file.read(most))
    except OSError as error:
        raise KadrError(f"{path}: can't be read ({error.strerror or error}).") from error
    except RecursionError:
        raise KadrError(f"{path}: nested too deeply.") from None
    except ValueError as error:
        raise KadrError(f"{path}: no JSON ({str(error)[:100]}).") from error
    if not isinstance(found, dict):
        raise KadrError(f"{path}: no JSON object.")
    return found


def _names(folder: Path) -> set[str]:
    """Files of a folder, two levels down: neither layout goes deeper."""
    paths = [path for pattern in ("*", "*/*") for path in folder.glob(pattern)]
    return {path.relative_to(folder).as_posix() for path in paths if path.is_file()}


@dataclass(frozen=True)
class _Examined:
    """What a file is: its SHA-256, and the files beside it that hold weights of a graph."""

    sha256: str
    external: tuple[str, ...] = ()


def _examined(path: Path, folder: Path) -> _Examined:
    """Read a file once; if it is moved or its folder is, it is the same file.

    A list that came with it isn't believed: whoever makes a folder writes that too. What is hashed
    is one open file: another one may take its name meanwhile.
    """
    from platformdirs import user_cache_path

    try:
        with path.open("rb") as file:
            identity = files.identity(file.fileno())
            key = hashlib.sha256(repr(identity).encode()).hexdigest()
            cached = user_cache_path("kadr") / "digests" / f"{key}.json"
            known = _remembered(cached)
            if known is not None:
                return known
            is_graph = path.suffix == ".onnx"
            beside = tuple(sorted(onnx_graph.read(path, folder).external)) if is_graph else ()
            found = _Examined(files.digest(file), beside)
            states = {identity, files.identity(file.fileno()), files.identity(path)}
    except OSError as error:
        raise KadrError(f"{path}: can't be read ({error.strerror or error}).") from error
    if len(states) > 1:
        raise KadrError(f"{path}: changed while it was being read. Try again.")
    *_, changed = identity
    if time.time() - changed / 1e9 > SETTLED:
        with suppress(KadrError):  # then it is read again
            files.save(cached, json.dumps(asdict(found)).encode())
    return found


def _remembered(cached: Path) -> _Examined | None:
    try:
        known = json.loads(cached.read_text(encoding="utf-8"))
        return _Examined(str(known["sha256"]), tuple(map(str, known["external"])))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
