"""What an ONNX file says of itself, read before any runtime opens it.

The file may come from anybody. It is walked as protobuf, field by field, and no weight is read:
tensors in other files must lie in the model's own folder, what a tensor claims to hold must be
there, and there are no loops or functions, so that a run ends. Field numbers are onnx.proto3's.
"""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TypeAlias

from kadr.errors import KadrError
from kadr.photos import files

MOST_FIELDS = 2_000_000
"""Of a graph. The largest known towers have 100,000."""
DEEPEST = 8
"""Graphs within graphs."""
MOST_BYTES = 2**31
"""Protobuf allows no larger message; weights beyond that lie in files of their own."""

_MODEL_GRAPH = 7
_MODEL_OTHER = (20, 25)
"""Training graphs, and functions."""
_GRAPH_NODE, _GRAPH_TENSOR, _GRAPH_SPARSE, _GRAPH_OUTPUT = 1, 5, 15, 12
_NODE_OPERATOR, _NODE_ATTRIBUTE = 4, 5
_ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS, _ATTRIBUTE_SPARSE = (5, 10), (6, 11), (22, 23)
_TENSOR_DIMS, _TENSOR_EXTERNAL = 1, 13
_ENDLESS = (b"Loop", b"Scan")

_Span: TypeAlias = tuple[int, int]


@dataclass
class Graph:
    """What matters of a graph.

    `external`: the files beside the model that hold weights. `outputs`: the shape of each output,
    None where a dimension isn't fixed.
    """

    external: set[str] = field(default_factory=set)
    outputs: dict[str, tuple[int | None, ...]] = field(default_factory=dict)


def read(path: Path, folder: Path | None = None) -> Graph:
    """Check a model, and the files that its weights lie in.

    Args:
        path: the ONNX file.
        folder: that nothing may lie outside of; None: files beside the model aren't looked at, as
            they may not be there yet.

    Raises:
        KadrError: it is no ONNX file, or one that isn't safe to open.
    """
    try:
        check_size(path)
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            graph = _Walk(path, data).model()
    except OSError as error:
        raise KadrError(f"{path}: can't be read ({error.strerror or error}).") from error
    except (ValueError, IndexError) as error:
        raise KadrError(f"{path}: not an ONNX model ({error}). Get it again.") from error
    for location in sorted(graph.external):
        _check_location(path, location, folder)
    return graph


def check_size(path: Path) -> None:
    """Refuse what is too small or too large for a model, before any of it is read.

    Raises:
        KadrError: it is.
    """
    size = path.stat().st_size if path.is_file() else 0
    if not 0 < size < MOST_BYTES:
        raise KadrError(f"{path}: {size:,} bytes are no ONNX model.")


def _check_location(path: Path, location: str, folder: Path | None) -> None:
    posix, windows = PurePosixPath(location), PureWindowsPath(location)
    leaves = posix.is_absolute() or windows.anchor or ".." in posix.parts or "\\" in location
    if not location or "\0" in location or leaves:
        raise KadrError(f"{path}: its weights lie in {location!r}, outside the model's folder.")
    if folder is None:
        return
    beside = path.parent / location
    if not files.is_plain(beside, folder):
        raise KadrError(f"{path}: its weights lie in {location!r}, which is no file beside it.")


class _Walk:
    """One walk through a file; ValueError where it isn't what protobuf writes."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self._path = path
        self._data = data
        self._fields_left = MOST_FIELDS
        self._graph = Graph()

    def model(self) -> Graph:
        graphs = 0
        for number, span in self._messages((0, len(self._data))):
            if number == _MODEL_GRAPH:
                graphs += 1
                self._walk_graph(span, 0)
            elif number in _MODEL_OTHER:  # functions can call one another without end
                raise ValueError("it holds functions, or a training graph")
        if graphs != 1:
            raise ValueError("no graph")
        return self._graph

    def _walk_graph(self, span: _Span, depth: int) -> None:
        if depth > DEEPEST:
            raise ValueError("graphs nested too deeply")
        for number, inner in self._messages(span):
            if number == _GRAPH_TENSOR:
                self._tensor(inner)
            elif number == _GRAPH_SPARSE:
                raise ValueError("it holds sparse tensors")
            elif number == _GRAPH_OUTPUT and depth == 0:
                self._output(inner)
        self._nodes(span, depth)

    def _nodes(self, span: _Span, depth: int) -> None:
        for number, node in self._messages(span):
            if number != _GRAPH_NODE:
                continue
            for part, inner in self._messages(node):
                if part == _NODE_OPERATOR and self._data[slice(*inner)] in _ENDLESS:
                    raise ValueError("it holds a loop")
                if part == _NODE_ATTRIBUTE:
                    self._attribute(inner, depth)

    def _attribute(self, span: _Span, depth: int) -> None:
        for number, inner in self._messages(span):
            if number in _ATTRIBUTE_TENSORS:
                self._tensor(inner)
            elif number in _ATTRIBUTE_GRAPHS:
                self._walk_graph(inner, depth + 1)
            elif number in _ATTRIBUTE_SPARSE:
                raise ValueError("it holds sparse tensors")

    def _tensor(self, span: _Span) -> None:
        """Two values at most lie in a byte: more would be made of nothing."""
        claimed, held = 1, 0
        for number, value in self._fields(span):
            if number == _TENSOR_DIMS:
                for dim in [value] if isinstance(value, int) else self._packed(value):
                    claimed *= dim
            elif isinstance(value, tuple):
                held += value[1] - value[0]
                if number == _TENSOR_EXTERNAL:
                    held += self._external(value)
            else:
                held += 8
        if claimed > 2 * held:
            raise ValueError(f"a tensor of {claimed:,} values holds {held:,} bytes")

    def _external(self, span: _Span) -> int:
        """One entry of what a tensor says of the file that it lies in; its bytes, if it says that.

        The runtime checks them against the file itself.
        """
        key, value = b"", b""
        for number, inner in self._messages(span):
            if number == 1:
                key = self._data[slice(*inner)][:16]
            elif number == 2:
                value = self._data[slice(*inner)][:4096]
        if key == b"location":
            self._graph.external.add(value.decode("utf-8"))
        return int(value) if key == b"length" and value.isdigit() else 0

    def _output(self, span: _Span) -> None:
        name, dims = "", list[int | None]()
        for number, inner in self._messages(span):
            if number == 1:
                name = self._data[slice(*inner)][:256].decode("utf-8")
            elif number == 2:  # type, then tensor type, then shape, then dimensions
                for _, tensor in self._only(inner, 1):
                    for _, shape in self._only(tensor, 2):
                        dims = [self._dim(dim) for _, dim in self._only(shape, 1)]
        self._graph.outputs[name] = tuple(dims)

    def _dim(self, span: _Span) -> int | None:
        fixed = [v for number, v in self._fields(span) if number == 1 and isinstance(v, int)]
        return fixed[0] if fixed and 0 < fixed[0] < 2**31 else None

    def _only(self, span: _Span, wanted: int) -> Iterator[tuple[int, _Span]]:
        return ((number, inner) for number, inner in self._messages(span) if number == wanted)

    def _packed(self, span: _Span) -> Iterator[int]:
        place, end = span
        while place < end:
            value, place = self._varint(place)
            yield value

    def _messages(self, span: _Span) -> Iterator[tuple[int, _Span]]:
        """The fields that have a length: messages, strings and bytes."""
        return ((n, value) for n, value in self._fields(span) if isinstance(value, tuple))

    def _fields(self, span: _Span) -> Iterator[tuple[int, int | _Span]]:
        place, end = span
        while place < end:
            self._fields_left -= 1
            if self._fields_left < 0:
                raise ValueError("too many fields")
            tag, place = self._varint(place)
            value, place = self._value(tag & 7, place)
            if place > end:
                raise ValueError("cut off")
            yield tag >> 3, value

    def _value(self, wire: int, place: int) -> tuple[int | _Span, int]:
        if wire == 0:
            return self._varint(place)
        if wire in {1, 5}:
            return 0, place + (8 if wire == 1 else 4)
        if wire != 2:
            raise ValueError("an unknown kind of field")
        length, place = self._varint(place)
        return (place, place + length), place + length

    def _varint(self, place: int) -> tuple[int, int]:
        value = shift = 0
        while shift < 70:
            byte = self._data[place]
            place += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value, place
            shift += 7
        raise ValueError("a number too long")
