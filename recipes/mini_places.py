"""Makes src/kadr/models/mini/places.onnx: how much each place of a photo adds to its vector.

Usage: python recipes/mini_places.py

Needs onnx and takes a second. It reads image.onnx, which stays as it is: vectors are named by its
digest. `recipes/mini.py` does the same once it has made the towers.

A tower's vector is (sqrt(m + f) - mean) @ linear / length, where m is the mean of the activations a
over P places. And sqrt(m + f) = sqrt(f) + m / (sqrt(m + f) + sqrt(f)): it is the sum over places of

    (a / (sqrt(m + f) + sqrt(f)) + sqrt(f) - mean) @ linear / (P * length)

with nothing left over. What a channel's root has above its value at zero goes to the places in
proportion to their activations, the rest evenly.

The file holds the nodes for this and no weights, and is no model by itself. Protobuf messages merge
by concatenation, so image.onnx followed by places.onnx are the towers with an output `places`
float32 [n, rows, columns, dim] beside `vectors`.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from kadr.encoders.mini import IMAGE_WEIGHTS, PLACES


def main() -> None:
    """Make the file."""
    ship(IMAGE_WEIGHTS, PLACES)


def ship(towers: Path, target: Path) -> None:
    """Write what `towers` needs to have the output `places`."""
    graph = onnx.shape_inference.infer_shapes(onnx.load(towers)).graph
    sizes = {value.name: _sizes(value) for value in (*graph.value_info, *graph.output)}
    pools = [node for node in graph.node if node.op_type == "ReduceMean"]
    grids = {sizes[pool.input[0]][2:] for pool in pools}
    if len(grids) != 1:
        raise ValueError(f"{towers}: the towers see different grids, {grids}: they don't add up.")
    (grid,) = grids
    shape = ["n", *grid, sizes["vectors"][1]]
    parts = [f"places.{number}" for number in range(len(pools))]
    extra = helper.make_graph(
        [
            *(node for pair in zip(pools, parts, strict=True) for node in _tower(graph, *pair)),
            helper.make_node("Sum", parts, ["places"], "places"),
        ],
        graph.name,
        [],
        [helper.make_tensor_value_info("places", TensorProto.FLOAT, shape)],
        [
            numpy_helper.from_array(np.array([1, 2], np.int64), "places.axes"),
            numpy_helper.from_array(np.array(np.prod(grid), np.float32), "places.count"),
        ],
    )
    target.write_bytes(ModelProto(graph=extra).SerializeToString())
    onnx.checker.check_model(towers.read_bytes() + target.read_bytes(), full_check=True)


def _tower(graph: GraphProto, pool: NodeProto, name: str) -> list[NodeProto]:
    """The nodes behind one tower's activations [n, channels, rows, columns], to its places."""
    add = _next(graph, pool, "Add")
    root = _next(graph, add, "Sqrt")
    centre = _next(graph, root, "Sub")
    linear = _next(graph, centre, "MatMul")
    length = _next(graph, linear, "Div").input[1]
    steps = [
        ("Sqrt", [add.input[1]], "zero"),  # a root's value where the channel is silent
        ("Add", [root.output[0], f"{name}.zero"], "roots"),
        ("Unsqueeze", [f"{name}.roots", "places.axes"], "divisor"),
        ("Transpose", [pool.input[0]], "activations"),
        ("Div", [f"{name}.activations", f"{name}.divisor"], "shares"),
        ("Sub", [f"{name}.zero", centre.input[1]], "even"),
        ("Add", [f"{name}.shares", f"{name}.even"], "rows"),
        ("MatMul", [f"{name}.rows", linear.input[1]], "joint"),
        ("Mul", [length, "places.count"], "whole"),
        ("Unsqueeze", [f"{name}.whole", "places.axes"], "length"),
    ]
    nodes = [helper.make_node(kind, given, [f"{name}.{out}"]) for kind, given, out in steps]
    nodes[3].attribute.append(helper.make_attribute("perm", [0, 2, 3, 1]))
    return [*nodes, helper.make_node("Div", [f"{name}.joint", f"{name}.length"], [name])]


def _next(graph: GraphProto, node: NodeProto, kind: str) -> NodeProto:
    """The one node of this kind that takes the node's output."""
    (found,) = (n for n in graph.node if n.op_type == kind and node.output[0] in n.input)
    return found


def _sizes(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    return tuple(size.dim_value for size in value.type.tensor_type.shape.dim)


if __name__ == "__main__":
    main()
