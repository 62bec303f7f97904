"""What a vision tower takes: memory and time by the batch, time by the precision.

Usage: python benchmarks/vision.py [--shape b16] [--layers 12] [--batches 1 16]

The tower has a ViT's shape and random weights, so it says nothing of quality. Each row comes from a
process of its own: CPU seconds a photo, and by how many bytes the process grew at most once the
weights were there. Linux only; needs the development group's `onnx`.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto as T
from onnx import helper, numpy_helper

BATCHES = (1, 2, 4, 8, 16, 32)
REPEATS, ROUNDS = 2, 3


@dataclass(frozen=True)
class Tower:
    """A vision transformer: photo's and patch's side in pixels, width, heads, width within."""

    side: int
    patch: int
    width: int
    heads: int
    inner: int


SHAPES = {
    "b32": Tower(224, 32, 768, 12, 3072),
    "b16": Tower(224, 16, 768, 12, 3072),
    "l16": Tower(256, 16, 1024, 16, 4096),
    "so400m": Tower(384, 16, 1152, 16, 4304),
}


class Graph:
    """An ONNX graph as it grows."""

    def __init__(self, seed: int = 0) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.arrays: list[onnx.TensorProto] = []
        self._dice = np.random.default_rng(seed)

    def weight(self, *shape: int) -> str:
        """Random weights; their name."""
        values = self._dice.normal(0, 0.02, shape).astype(np.float32)
        return self.constant(values)

    def constant(self, values: NDArray[Any]) -> str:
        """An array that is part of the file; its name."""
        name = f"w{len(self.arrays)}"
        self.arrays.append(numpy_helper.from_array(values, name))
        return name

    def add(self, operator: str, *inputs: str, **attributes: object) -> str:
        """A node; its output's name."""
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def linear(self, value: str, taken: int, given: int) -> str:
        """A linear layer of the last dimension."""
        product = self.add("MatMul", value, self.weight(taken, given))
        return self.add("Add", product, self.weight(given))

    def normed(self, value: str, width: int) -> str:
        """The last dimension with mean 0 and deviation 1."""
        ones, zeros = np.ones(width, np.float32), np.zeros(width, np.float32)
        return self.add("LayerNormalization", value, self.constant(ones), self.constant(zeros))

    def split(self, value: str, heads: int, width: int, order: list[int]) -> str:
        """Tokens divided among heads, the dimensions in this order."""
        shape = self.constant(np.array([0, -1, heads, width // heads], np.int64))
        return self.add("Transpose", self.add("Reshape", value, shape), perm=order)

    def block(self, value: str, tower: Tower) -> str:
        """Attention and two layers, each beside a shortcut, as torch's exporter writes them."""
        width, heads = tower.width, tower.heads
        before = self.normed(value, width)
        query, key, content = (self.linear(before, width, width) for _ in range(3))
        scores = self.add(
            "MatMul",
            self.split(query, heads, width, [0, 2, 1, 3]),
            self.split(key, heads, width, [0, 2, 3, 1]),
        )
        scale = self.constant(np.array((width // heads) ** -0.5, np.float32))
        shares = self.add("Softmax", self.add("Mul", scores, scale), axis=-1)
        mixed = self.add("MatMul", shares, self.split(content, heads, width, [0, 2, 1, 3]))
        shape = self.constant(np.array([0, -1, width], np.int64))
        joined = self.add("Reshape", self.add("Transpose", mixed, perm=[0, 2, 1, 3]), shape)
        value = self.add("Add", value, self.linear(joined, width, width))
        hidden = self.linear(self.normed(value, width), width, tower.inner)
        half, root = (self.constant(np.array(x, np.float32)) for x in (0.5, 2**0.5))
        one = self.constant(np.array(1, np.float32))
        bell = self.add("Add", self.add("Erf", self.add("Div", hidden, root)), one)
        gelu = self.add("Mul", self.add("Mul", hidden, bell), half)
        return self.add("Add", value, self.linear(gelu, tower.inner, width))


def make(tower: Tower, layers: int, path: Path) -> None:
    """Write a tower of so many blocks."""
    graph = Graph()
    patch = graph.weight(tower.width, 3, tower.patch, tower.patch)
    stride = [tower.patch] * 2
    patches = graph.add("Conv", "image", patch, kernel_shape=stride, strides=stride)
    shape = graph.constant(np.array([0, tower.width, -1], np.int64))
    value = graph.add("Transpose", graph.add("Reshape", patches, shape), perm=[0, 2, 1])
    for _ in range(layers):
        value = graph.block(value, tower)
    graph.add("ReduceMean", value, axes=[1], keepdims=0)
    graph.nodes[-1].output[0] = "embedding"
    size = ["batch", 3, tower.side, tower.side]
    made = helper.make_graph(
        graph.nodes,
        "tower",
        [helper.make_tensor_value_info("image", T.FLOAT, size)],
        [helper.make_tensor_value_info("embedding", T.FLOAT, ["batch", tower.width])],
        graph.arrays,
    )
    opset = [helper.make_opsetid("", 17)]
    path.write_bytes(helper.make_model(made, opset_imports=opset, ir_version=8).SerializeToString())


def halved(path: Path, target: Path) -> None:
    """The same in fp16, as onnxconverter writes it: all tensors but those in and out."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    made = convert_float_to_float16(onnx.load(path), keep_io_types=True)
    target.write_bytes(made.SerializeToString())


def quantised(path: Path, target: Path) -> None:
    """The same in int8 as transformers.js's script makes it, activations quantised as they come."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(path, target, weight_type=QuantType.QUInt8)


def measure(path: Path, side: int, batch: int) -> None:
    """Print CPU seconds a photo, and the bytes that encoding took."""
    from kadr.encoders.onnx_session import Session

    session = Session(path, path.parent)
    photos = np.random.default_rng(0).normal(size=(batch, 3, side, side)).astype(np.float32)
    before = peak()
    session.run("embedding", {"image": photos})
    grown = peak() - before
    started = time.process_time()
    for _ in range(REPEATS):
        session.run("embedding", {"image": photos})
    seconds = (time.process_time() - started) / REPEATS / batch
    print(f"{seconds:.4f} {grown:.0f} {before:.0f}")


def peak() -> float:
    """The most megabytes that this process has held; Linux alone tells."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (kilobytes,) = re.findall(r"VmHWM:\s*(\d+)", status)
    return int(kilobytes) / 1024


def measured(path: Path, tower: Tower, batch: int) -> str:
    """A row of what `measure` prints in a process of its own."""
    command = [sys.executable, __file__, "--measure", str(path), str(tower.side), str(batch)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, grown, there = done.stdout.split()
    return f"{seconds} | {grown} | {there}"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="b16")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--batches", type=int, nargs="*", default=BATCHES)
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        path, side, batch = options.measure
        measure(Path(path), int(side), int(batch))
        return
    tower = SHAPES[options.shape]
    with tempfile.TemporaryDirectory() as scratch:
        whole = Path(scratch, "fp32.onnx")
        make(tower, options.layers, whole)
        print("| precision | batch | CPU s a photo | MB more at most | MB before |")
        print("|---|---|---|---|---|")
        for batch in options.batches:
            print(f"| fp32 | {batch} | {measured(whole, tower, batch)} |", flush=True)
        halved(whole, Path(scratch, "fp16.onnx"))
        quantised(whole, Path(scratch, "int8.onnx"))
        for _ in range(ROUNDS):  # by turns: a busy machine is slower at one time than at another
            for precision in ("fp32", "fp16", "int8"):
                row = measured(Path(scratch, f"{precision}.onnx"), tower, 1)
                print(f"| {precision} | 1 | {row} |", flush=True)


if __name__ == "__main__":
    main()
