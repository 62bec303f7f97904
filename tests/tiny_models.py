"""Models small enough to make in a test, in the formats that hubs hand out.

Each function gives the spec of what it made, and skips the test where the engine's package is
missing.
"""

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest

Maker: TypeAlias = Callable[[Path], str]
"""Makes a model in a folder; gives its spec."""

_libraries: list[Any] = []
WORDS = ("a", "dog", "runs", "on", "beach", "man", "in", "boat", "after", "nul", "собака")
GUESTS = ("torchvision", "timm", "transformers")
"""They import torchvision."""


def need(*packages: str) -> None:
    """Skip the test unless these can be imported."""
    for package in packages:
        try:
            if package in GUESTS:
                _fit_torchvision()
            importlib.import_module(package)
        except ImportError as error:
            pytest.skip(f"{package} isn't installed ({error}): pip install 'kadr[research]'")


def _fit_torchvision() -> None:
    """Let a torchvision that was built for another torch be imported.

    Only its compiled operators don't load then, and no encoder uses one. Where they load, nothing
    is done.
    """
    if _libraries:
        return
    torch = importlib.import_module("torch")
    try:
        importlib.import_module("torchvision")
        _libraries.append(None)
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _libraries.append(library)  # it is undone when nobody holds it
    except ImportError:
        _libraries.append(None)


def ready(spec: str, *packages: str) -> Maker:
    """A spec that needs nothing made."""

    def make(_folder: Path) -> str:
        if packages:
            need(*packages)
        return spec

    return make


def resnet18(folder: Path) -> str:
    """torchvision's ResNet-18 with random weights."""
    need("torch", "torchvision")
    import torch
    import torchvision

    torch.manual_seed(0)
    path = folder / "resnet18.pth"
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), path)
    return f"resnet18:{path}"


def timm_resnet(folder: Path) -> str:
    """timm's smallest network with random weights."""
    need("torch", "timm")
    import timm
    import torch

    torch.manual_seed(0)
    path = folder / "test_resnet.pth"
    torch.save(timm.create_model("test_resnet", pretrained=False).state_dict(), path)
    return f"timm:test_resnet:{path}"


def clip_immich(folder: Path) -> str:
    """Towers of Immich's layout."""
    need("onnx", "tokenizers")
    import clip_models

    return f"clip:{clip_models.immich(folder / 'immich')}"


def clip_transformers_js(folder: Path) -> str:
    """Towers of transformers.js's layout, in int8's place."""
    need("onnx", "tokenizers")
    import clip_models

    made = clip_models.transformers_js(folder / "js", suffixes=("_quantized",))
    return f"clip:int8:{made}"


def bert(folder: Path, **config: int) -> str:
    """A BERT of two layers that reads letter by letter, with random weights."""
    need("torch", "transformers")
    import torch
    from transformers import BertConfig, BertModel

    letters = [chr(code) for code in (*range(33, 127), *range(0x430, 0x450))]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters]
    vocabulary += [f"##{letter}" for letter in letters]
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, **config}
    sizes = {"intermediate_size": 64, "max_position_embeddings": 64}
    model = BertModel(BertConfig(vocab_size=len(vocabulary), **shape, **sizes))
    model.save_pretrained(folder / "bert")
    (folder / "bert" / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    described = {"tokenizer_class": "BertTokenizer", "model_max_length": 64}
    (folder / "bert" / "tokenizer_config.json").write_text(json.dumps(described))
    return f"bert:{folder / 'bert'}"


def word_vectors() -> Any:
    """A few words with random vectors, as gensim holds them."""
    need("gensim")
    from gensim.models import KeyedVectors

    vectors = KeyedVectors(8)
    vectors.add_vectors(
        list(WORDS), np.random.default_rng(0).normal(size=(len(WORDS), 8)).astype("f4")
    )
    return vectors


def word2vec(folder: Path) -> str:
    """Word vectors in the binary format."""
    path = folder / "words.bin"
    word_vectors().save_word2vec_format(str(path), binary=True)
    return f"word2vec:{path}"
