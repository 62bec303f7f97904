"""Model folders from anybody: a clear line each, in bounded memory and time."""

import json
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto as T
from onnx import helper
from PIL import Image

import clip_models
from clip_models import DIM, SIDE, Shape
from kadr.encoders import clip_files, onnx_graph
from kadr.encoders.clip_onnx import ClipImages, ClipTexts
from kadr.errors import KadrError
from kadr.photos import files

MEGABYTES = 600
"""That a process may grow by over what it had."""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("kadr.encoders.onnx_session.MOST_MEMORY", 2**28)


def encode(folder: Path) -> None:
    images = ClipImages(folder)
    images.encode([images.prepare(Image.new("RGB", (30, 20), (200, 10, 10)))])
    ClipTexts(folder).encode(["a dog"])


def graph(folder: Path) -> onnx.ModelProto:
    return onnx.load(folder / "visual/model.onnx")


def put(folder: Path, made: onnx.ModelProto) -> None:
    clip_models.save(made, folder / "visual/model.onnx")


def external(location: str) -> Callable[[Path], None]:
    """Weights that lie elsewhere."""

    def change(folder: Path) -> None:
        made = graph(folder)
        tensor = made.graph.initializer[0]
        data = tensor.raw_data
        tensor.ClearField("raw_data")
        tensor.data_location = T.EXTERNAL
        tensor.external_data.add(key="location", value=location)
        tensor.external_data.add(key="length", value=str(len(data)))
        put(folder, made)
        (folder.parent / "stolen.bin").write_bytes(data)

    return change


def linked(folder: Path) -> None:
    external("weights.bin")(folder)
    (folder / "visual/weights.bin").symlink_to(folder.parent / "stolen.bin")


def linked_folder(folder: Path) -> None:
    external("inner/stolen.bin")(folder)
    (folder / "visual/inner").symlink_to(folder.parent)


def hidden_in_attribute(folder: Path) -> None:
    made = graph(folder)
    tensor = T(dims=[4], data_type=T.FLOAT, data_location=T.EXTERNAL, name="t")
    tensor.external_data.add(key="location", value="/etc/passwd")
    node = helper.make_node("Constant", [], ["secret"])
    node.attribute.append(onnx.AttributeProto(name="value", type=4, t=tensor))
    made.graph.node.append(node)
    put(folder, made)


def giant_tensor(folder: Path) -> None:
    made = graph(folder)
    made.graph.initializer[0].dims[0] = 10**13
    put(folder, made)


def giant_result(folder: Path) -> None:
    made = graph(folder)
    made.graph.initializer.append(helper.make_tensor("many", T.INT64, [1], [10**10]))
    made.graph.node.append(helper.make_node("ConstantOfShape", ["many"], ["zeros"]))
    made.graph.node.append(helper.make_node("ReduceSum", ["zeros"], ["nought"], keepdims=0))
    made.graph.node[-3].output[0] = "before"
    made.graph.node.append(helper.make_node("Add", ["before", "nought"], ["embedding"]))
    put(folder, made)


def loop(folder: Path) -> None:
    made = graph(folder)
    made.graph.node.append(helper.make_node("Loop", ["", ""], ["x"]))
    put(folder, made)


def not_numbers(folder: Path) -> None:
    made = graph(folder)
    made.graph.node[-1].output[0] = "before"
    made.graph.node.append(helper.make_node("Log", ["negative"], ["nan"]))
    made.graph.initializer.append(helper.make_tensor("negative", T.FLOAT, [1], [-1.0]))
    made.graph.node.append(helper.make_node("Add", ["before", "nan"], ["embedding"]))
    put(folder, made)


def nothing_but_zeros(folder: Path) -> None:
    made = graph(folder)
    made.graph.initializer[0].raw_data = bytes(len(made.graph.initializer[0].raw_data))
    put(folder, made)


def other_side(folder: Path) -> None:
    clip_models.write(folder / "visual/preprocess_cfg.json", {"size": SIDE * 2})


def no_vector(folder: Path) -> None:
    made = graph(folder)
    made.graph.node[-1].output[0] = "before"
    made.graph.initializer.append(helper.make_tensor("shape", T.INT64, [3], [1, 1, DIM]))
    made.graph.node.append(helper.make_node("Reshape", ["before", "shape"], ["embedding"]))
    del made.graph.output[:]
    made.graph.output.append(helper.make_tensor_value_info("embedding", T.FLOAT, [1, 1, DIM]))
    put(folder, made)


def lying_shape(folder: Path) -> None:
    made = graph(folder)
    made.graph.output[0].type.tensor_type.shape.dim[1].dim_value = DIM * 2
    put(folder, made)


def odd_input(folder: Path) -> None:
    made = graph(folder)
    made.graph.input.append(helper.make_tensor_value_info("password", T.FLOAT, [1]))
    put(folder, made)


def odd_text_input(folder: Path) -> None:
    made = onnx.load(folder / "textual/model.onnx")
    made.graph.input.append(helper.make_tensor_value_info("password", T.INT32, [1, 9]))
    clip_models.save(made, folder / "textual/model.onnx")


def deep(folder: Path) -> None:
    (folder / "visual/preprocess_cfg.json").write_text("[" * 100_000 + "]" * 100_000)


def huge_json(folder: Path) -> None:
    with (folder / "config.json").open("wb") as file:
        file.truncate(2**33)


def crowded_tokenizer(folder: Path) -> None:
    pieces = ",".join(['["a",0]'] * 1_600_000)
    tokenizer = '{"model": {"type": "Unigram", "unk_id": 0, "vocab": [' + pieces + "]}}"
    (folder / "textual/tokenizer.json").write_text(tokenizer, encoding="utf-8")


def many_objects(folder: Path) -> None:
    steps = ",".join(['{"type":"Lowercase"}'] * 210_000)
    tokenizer = '{"normalizer": {"type": "Sequence", "normalizers": [' + steps + "]}}"
    (folder / "textual/tokenizer.json").write_text(tokenizer, encoding="utf-8")


def huge_tokenizer(folder: Path) -> None:
    with (folder / "textual/tokenizer.json").open("wb") as file:
        file.truncate(2**33)


def huge_model(folder: Path) -> None:
    with (folder / "visual/model.onnx").open("wb") as file:
        file.truncate(2**40)


def pipe(folder: Path) -> None:
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")


def link(folder: Path) -> None:
    (folder / "visual/model.onnx").rename(folder.parent / "elsewhere.onnx")
    (folder / "visual/model.onnx").symlink_to(folder.parent / "elsewhere.onnx")


def write(name: str, text: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_text(text)

    return change


HOSTILE: dict[str, tuple[Callable[[Path], None], str]] = {
    "weights above": (external("../../stolen.bin"), "outside the model's folder"),
    "weights at the root": (external("/etc/passwd"), "outside the model's folder"),
    "weights on a drive": (external("C:\\secret"), "outside the model's folder"),
    "weights with a NUL": (external("a\0b"), "outside the model's folder"),
    "weights missing": (external("gone.bin"), "no file beside it"),
    "weights by a link": (linked, "no file beside it"),
    "weights below a link": (linked_folder, "no file beside it"),
    "weights of an attribute": (hidden_in_attribute, "outside the model's folder"),
    "giant tensor": (giant_tensor, "a tensor of .* values holds"),
    "giant result": (giant_result, "can't be (run|opened)"),
    "loop": (loop, "holds a loop"),
    "NaN": (not_numbers, "isn't finite"),
    "zeros": (nothing_but_zeros, "without a direction"),
    "photos of another size": (other_side, "takes photos of"),
    "no vector": (no_vector, "gives no vector"),
    "other vectors than said": (lying_shape, "gives|can't be"),
    "unknown input": (odd_input, "input that isn't known, 'password'"),
    "unknown input of texts": (odd_text_input, "input that isn't known, 'password'"),
    "nested JSON": (deep, "nested too deeply"),
    "JSON without end": (huge_json, "at most .* are sensible"),
    "tokenizer of millions of pieces": (crowded_tokenizer, "too many for a tokenizer"),
    "tokenizer of many objects": (many_objects, "too many for a tokenizer"),
    "tokenizer without end": (huge_tokenizer, "at most .* are sensible"),
    "model without end": (huge_model, "bytes are no ONNX model"),
    "a pipe": (pipe, "neither Immich's layout|no plain file"),
    "a link": (link, "a link, or no plain file"),
    "no ONNX": (write("visual/model.onnx", "hello"), "not an ONNX model"),
    "empty ONNX": (write("visual/model.onnx", ""), "no ONNX model"),
    "no JSON": (write("config.json", "{"), "no JSON"),
    "JSON of another kind": (write("config.json", "[]"), "no JSON object"),
    "settings of another kind": (write("config.json", '{"text_cfg": 5}'), ""),
    "no list": (write("files.json", '{"files": [1]}'), "not a list of downloaded files"),
}


@pytest.mark.parametrize(("change", "reason"), HOSTILE.values(), ids=HOSTILE)
def test_one_line_and_little_memory(
    tmp_path: Path, change: Callable[[Path], None], reason: str
) -> None:
    folder = clip_models.immich(tmp_path / "a" / "model", Shape())
    change(folder)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if not reason:
        encode(folder)
        return
    with pytest.raises(KadrError, match=reason) as caught:
        encode(folder)
    assert "\n" not in str(caught.value)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < MEGABYTES


def test_a_file_that_was_cut_off_is_noticed(tmp_path: Path) -> None:
    folder = clip_models.immich(tmp_path / "model")
    names = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]
    entries = {
        n: {"size": (folder / n).stat().st_size, "sha256": files.digest(folder / n)} for n in names
    }
    clip_models.write(folder / "files.json", {"files": entries})
    ClipImages(folder)
    data = (folder / "visual/model.onnx").read_bytes()
    (folder / "visual/model.onnx").write_bytes(data[:-1])
    with pytest.raises(KadrError, match=r"model.onnx: .* bytes, where .* were downloaded"):
        ClipImages(folder)


def test_weights_beside_the_model_are_read_and_counted(tmp_path: Path) -> None:
    folder = clip_models.immich(tmp_path / "model")
    plain = ClipImages(folder)
    photo = plain.prepare(Image.new("RGB", (30, 20), (1, 200, 90)))
    wanted = plain.encode([photo])
    external("weights.bin")(folder)
    (folder.parent / "stolen.bin").rename(folder / "visual/weights.bin")
    beside = ClipImages(folder)
    assert np.array_equal(beside.encode([photo]), wanted)
    first = beside.name
    data = bytearray((folder / "visual/weights.bin").read_bytes())
    data[100] ^= 1
    (folder / "visual/weights.bin").write_bytes(data)
    assert ClipImages(folder).name != first


def test_a_folder_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it is moved, as a pulled one is to its place."""
    monkeypatch.setattr(clip_files, "SETTLED", -1e9)
    folder = clip_models.immich(tmp_path / "model")
    name = ClipImages(folder).name
    with monkeypatch.context() as patched:
        patched.setattr("kadr.photos.files.digest", lambda _: pytest.fail("hashed again"))
        assert ClipImages(folder).name == name
        assert ClipImages(folder.rename(tmp_path / "moved")).name == name
    changed = tmp_path / "moved/visual/model.onnx"
    changed.write_bytes(changed.read_bytes())  # of the same size
    hashed: list[object] = []
    digest = files.digest

    def watched(file: Any) -> str:
        hashed.append(file)
        return digest(file)

    monkeypatch.setattr("kadr.photos.files.digest", watched)
    assert ClipImages(tmp_path / "moved").name == name
    assert [one.name for one in hashed if hasattr(one, "name")] == [str(changed)]


def test_a_file_that_may_still_change_is_hashed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a tick of the file system's clock its times tell nothing."""
    monkeypatch.setattr(clip_files, "SETTLED", 1e9)
    hashed: list[object] = []
    digest = files.digest

    def watched(file: Any) -> str:
        hashed.append(file)
        return digest(file)

    monkeypatch.setattr("kadr.photos.files.digest", watched)
    folder = clip_models.immich(tmp_path / "model")
    name, first = ClipImages(folder).name, len(hashed)
    assert ClipImages(folder).name == name
    assert len(hashed) == 2 * first > 0


def test_another_file_in_its_place_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither while it is hashed, nor ever after."""
    monkeypatch.setattr(clip_files, "SETTLED", -1e9)
    folder = clip_models.immich(tmp_path / "model")
    other = tmp_path / "other.json"
    other.write_text("{}")
    place = folder / "visual/preprocess_cfg.json"
    digest = files.digest

    def swapping(file: Any) -> str:
        if getattr(file, "name", "") == str(place) and other.exists():
            other.replace(place)
        return digest(file)

    monkeypatch.setattr("kadr.photos.files.digest", swapping)
    with pytest.raises(KadrError, match="changed while it was being read"):
        clip_files._examined(place, folder)
    assert clip_files._examined(place, folder).sha256 == digest(b"{}")


def test_a_list_of_files_is_not_believed(tmp_path: Path) -> None:
    """Neither what digests it names, nor which weights lie beside a graph."""
    folder = clip_models.immich(tmp_path / "model")
    external("weights.bin")(folder)
    (folder.parent / "stolen.bin").rename(folder / "visual/weights.bin")
    honest = ClipImages(folder).name
    model = folder / "visual/model.onnx"
    entry = {"size": model.stat().st_size, "sha256": files.digest(model), "external": []}
    clip_models.write(folder / "files.json", {"files": {"visual/model.onnx": entry}})
    assert ClipImages(folder).name == honest, "weights beside it count"
    for name in ("visual/model.onnx", "visual/weights.bin"):
        size = (folder / name).stat().st_size
        forged = {name: {"size": size, "sha256": "0" * 64}}
        clip_models.write(folder / "files.json", {"files": forged})
        with pytest.raises(KadrError, match=f"{name}: other bytes than were downloaded"):
            ClipImages(folder)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_model_or_none(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.onnx"
    path.write_bytes(data)
    try:
        onnx_graph.read(path, path.parent)
    except KadrError as error:
        assert "\n" not in str(error)


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_one_wrong_byte(tmp_path_factory: pytest.TempPathFactory, place: int, byte: int) -> None:
    path = tmp_path_factory.getbasetemp() / "bent.onnx"
    data = bytearray(clip_models.image_tower(Shape(), "image").SerializeToString())
    data[place % len(data)] = byte
    path.write_bytes(data)
    try:
        onnx_graph.read(path, path.parent)
    except KadrError as error:
        assert json.dumps(str(error)).count("\\n") == 0
