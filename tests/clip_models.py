"""Models like CLIP, small enough to make in a test, in the layouts that hubs hand out.

Their weights are random, but an image's vector depends on each of its pixels and a text's on each
of its tokens.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

SIDE, DIM, CONTEXT = 16, 12, 9
WORDS = ("[pad]", "[end]", "[unk]", "a", "dog", "cat", "on", "the", "beach", "собака", "на")
TRANSFORMERS = {
    "do_resize": True,
    "do_rescale": True,
    "do_normalize": True,
    "rescale_factor": 1 / 255,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "resample": 3,
    "size": {"height": SIDE, "width": SIDE},
}


@dataclass(frozen=True)
class Shape:
    """Of a tiny tower: what varies between exports."""

    batch: int | None = 1
    pixels: str = "float"
    channels_last: bool = False
    integers: str = "int32"
    masked: bool = False
    outputs: str = "embedding"


def immich(folder: Path, shape: Shape | None = None, **preprocessing: Any) -> Path:
    """Make a folder in Immich's layout."""
    shape = shape or Shape()
    (folder / "visual").mkdir(parents=True)
    (folder / "textual").mkdir()
    save(image_tower(shape, "image"), folder / "visual/model.onnx")
    save(text_tower(shape, "text"), folder / "textual/model.onnx")
    write(folder / "visual/preprocess_cfg.json", {"size": SIDE} | preprocessing)
    text = {"context_length": CONTEXT, "vocab_size": len(WORDS)}
    write(folder / "config.json", {"embed_dim": DIM, "text_cfg": text})
    write(folder / "textual/tokenizer_config.json", {"pad_token": "[pad]"})
    tokenizer().save(str(folder / "textual/tokenizer.json"))
    return folder


def transformers_js(
    folder: Path, shape: Shape | None = None, suffixes: tuple[str, ...] = ("",)
) -> Path:
    """Make a folder in transformers.js's layout, in precisions by their suffixes."""
    shape = shape or Shape(None, integers="int64", outputs="pooler_output")
    (folder / "onnx").mkdir(parents=True)
    for number, suffix in enumerate(suffixes):
        save(
            image_tower(shape, "pixel_values", seed=number),
            folder / f"onnx/vision_model{suffix}.onnx",
        )
        save(text_tower(shape, "input_ids", seed=number), folder / f"onnx/text_model{suffix}.onnx")
    write(folder / "preprocessor_config.json", TRANSFORMERS)
    write(folder / "config.json", {"model_type": "siglip", "text_config": {}})
    own = {"pad_token": {"content": "[pad]"}, "model_max_length": CONTEXT}
    write(folder / "tokenizer_config.json", own)
    tokenizer().save(str(folder / "tokenizer.json"))
    return folder


def tokenizer() -> Tokenizer:
    """Words and an end token."""
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, "[unk]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="$A [end]", special_tokens=[("[end]", 1)]
    )
    return made


@cache  # its training isn't repeatable
def unigram() -> Tokenizer:
    """Pieces as SentencePiece makes them, lower-cased, as SigLIP has."""
    made = Tokenizer(models.Unigram())
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    corpus = ["a dog on the beach", "the cat and the dog", "собака на пляже", "two dogs run"] * 20
    trainer = trainers.UnigramTrainer(
        vocab_size=60,
        special_tokens=["<pad>", "</s>", "<unk>"],
        unk_token="<unk>",
        show_progress=False,
    )
    made.train_from_iterator(corpus, trainer)
    made.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", made.token_to_id("</s>"))]
    )
    return made


def image_tower(shape: Shape, name: str, seed: int = 0) -> onnx.ModelProto:
    """Pixels times a matrix."""
    kind = {"float": T.FLOAT, "float16": T.FLOAT16, "uint8": T.UINT8}[shape.pixels]
    size = [SIDE, SIDE, 3] if shape.channels_last else [3, SIDE, SIDE]
    weights = np.random.default_rng(seed).normal(size=(3 * SIDE * SIDE, DIM)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", [name], ["pixels"], to=T.FLOAT),
        helper.make_node("Flatten", ["pixels"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], [shape.outputs]),
    ]
    given = helper.make_tensor_value_info(name, kind, [shape.batch or "batch", *size])
    return model(nodes, [given], shape, {"weights": weights})


def text_tower(shape: Shape, name: str, seed: int = 0) -> onnx.ModelProto:
    """The mean of the tokens' vectors, each times its place."""
    kind = {"int32": T.INT32, "int64": T.INT64}[shape.integers]
    dice = np.random.default_rng(seed + 100)
    table = dice.normal(size=(300, DIM)).astype(np.float32)
    length = CONTEXT if shape.batch else "context"
    nodes = [
        helper.make_node("Gather", ["table", name], ["rows"]),
        helper.make_node("ReduceMean", ["rows"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("Tanh", ["mean"], [shape.outputs]),
    ]
    size = [shape.batch or "batch", length]
    given = [helper.make_tensor_value_info(name, kind, size)]
    if shape.masked:
        given.append(helper.make_tensor_value_info("attention_mask", kind, size))
    return model(nodes, given, shape, {"table": table})


def model(
    nodes: list[onnx.NodeProto], given: list[Any], shape: Shape, arrays: dict[str, Any]
) -> onnx.ModelProto:
    """A graph with one output [batch, DIM]."""
    out = helper.make_tensor_value_info(shape.outputs, T.FLOAT, [shape.batch or "batch", DIM])
    tensors = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "tower", given, [out], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def save(made: onnx.ModelProto, path: Path) -> None:
    path.write_bytes(made.SerializeToString())


def write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def move_weights(path: Path, name: str) -> None:
    """Put a model's weights into a file beside it."""
    made = onnx.load(path)
    onnx.save_model(
        made,
        path,
        save_as_external_data=True,
        location=name,
        size_threshold=0,
        convert_attribute=False,
    )
