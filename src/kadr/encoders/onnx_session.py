"""An ONNX model from a stranger as a function, in bounded memory, on the device that is wanted."""

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kadr.encoders import onnx_graph
from kadr.errors import KadrError
from kadr.types import Precision

DEVICE = "KADR_DEVICE"
"""Environment variable: one of the names below, or auto."""
PROVIDERS = {
    "cuda": "CUDAExecutionProvider",
    "rocm": "ROCMExecutionProvider",
    "migraphx": "MIGraphXExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
AUTOMATIC = ("cuda", "rocm", "migraphx", "directml", "cpu")
"""Taken in this order where the installed build has them. CoreML and OpenVINO compile some models
for minutes, so they are taken only by name."""
HALVES = ("cuda", "rocm", "migraphx", "directml", "coreml")
"""They compute in fp16, at least as fast as in fp32 and in half the memory."""
MOST_MEMORY = 16 * 2**30
"""Bytes that all models of this process may take on the processor, if the machine has so many."""


def providers(device: str | None = None) -> list[str]:
    """What runs a model: onnxruntime's names, the first one that can goes first.

    Raises:
        KadrError: the installed onnxruntime has no such device.
    """
    import onnxruntime

    there = set(onnxruntime.get_available_providers())
    wanted = (device or os.environ.get(DEVICE) or "auto").lower()
    if wanted == "auto":
        wanted = next(name for name in AUTOMATIC if PROVIDERS[name] in there)
    if PROVIDERS.get(wanted) not in there:
        known = ", ".join(name for name, provider in PROVIDERS.items() if provider in there)
        raise KadrError(f"no device {wanted!r} for this onnxruntime. It has: auto, {known}.")
    return list(dict.fromkeys([PROVIDERS[wanted], PROVIDERS["cpu"]]))


def best_precision(device: str | None = None) -> Precision:
    """What a model's weights are best in on a device: fp16 where it computes in it, else fp32.

    Raises:
        KadrError: the installed onnxruntime has no such device.
    """
    return "fp16" if providers(device)[0] in {PROVIDERS[name] for name in HALVES} else "fp32"


class Session:
    """A model opened.

    `inputs` and `outputs` are onnxruntime's, with `name`, `type` and `shape`; `on_processor`: it
    runs on the processor, not on a graphics card or the like.
    """

    def __init__(self, model: Path, folder: Path) -> None:
        """Open a model whose files all lie below `folder`.

        Raises:
            KadrError: it isn't safe, or can't be opened.
        """
        self._model = model
        onnx_graph.read(model, folder)
        import onnxruntime

        _bound_memory()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.add_session_config_entry("session.use_env_allocators", "1")
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=providers())
        except KadrError:
            raise
        except Exception as error:  # onnxruntime raises a class of its own for each status
            raise KadrError(f"{model}: can't be opened ({_line(error)}). Get it again.") from error
        self.inputs = self._session.get_inputs()
        self.outputs = self._session.get_outputs()
        self.on_processor = self._session.get_providers()[0] == PROVIDERS["cpu"]

    def run(self, output: str, feed: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """One output as float32, finite.

        Raises:
            KadrError: the model can't be run, takes too much memory, or gives no numbers.
        """
        try:
            result = np.asarray(self._session.run([output], dict(feed))[0])
        except Exception as error:  # as above
            raise KadrError(f"{self._model}: can't be run ({_line(error)}).") from error
        if result.dtype.kind != "f" or not np.isfinite(result).all():
            raise KadrError(f"{self._model}: gives {output!r} that isn't finite numbers.")
        return result.astype(np.float32)


@cache
def _bound_memory() -> None:
    """A graph of a few bytes may ask for any amount; one arena with an end serves all of them."""
    import onnxruntime

    memory = onnxruntime.OrtMemoryInfo(
        "Cpu",
        onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR,
        0,
        onnxruntime.OrtMemType.DEFAULT,
    )
    most = min(MOST_MEMORY, _machine_memory() * 3 // 4)
    arena = onnxruntime.OrtArenaCfg({"max_mem": most, "arena_extend_strategy": 1})
    onnxruntime.create_and_register_allocator(memory, arena)


def _machine_memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return MOST_MEMORY


def _line(error: Exception) -> str:
    text = (str(error).splitlines() or [type(error).__name__])[0]
    return text[-200:] if len(text) > 200 else text
