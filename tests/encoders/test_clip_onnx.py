"""Towers of both layouts give unit vectors, whatever inputs and outputs their graphs have."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import clip_models
from clip_models import CONTEXT, DIM, SIDE, Shape
from kadr.encoders import load_image_encoder, load_text_encoder, onnx_session
from kadr.encoders.clip_onnx import ClipImages, ClipTexts, photos_at_once
from kadr.errors import KadrError, MissingExtraError
from kadr.matcher import installed

SHAPES = {
    "one at a time": Shape(),
    "batches": Shape(None),
    "bytes": Shape(1, "uint8", channels_last=True),
    "bytes, channels first": Shape(None, "uint8"),
    "half": Shape(None, "float16"),
    "mask": Shape(1, masked=True, integers="int64"),
    "pooled": Shape(None, outputs="pooler_output"),
}
TEXTS = ["a dog on the beach", "a cat", ""]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def photos(count: int = 3) -> list[Image.Image]:
    dice = np.random.default_rng(5)
    return [
        Image.fromarray(dice.integers(0, 256, (20 + n, 30 - n, 3), np.uint8)) for n in range(count)
    ]


@pytest.mark.parametrize("layout", ["immich", "transformers_js"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_unit_vectors_of_any_export(tmp_path: Path, layout: str, shape: Shape) -> None:
    folder = getattr(clip_models, layout)(tmp_path / "model", shape)
    images, texts = load_image_encoder(f"clip:{folder}"), load_text_encoder(f"clip:{folder}")
    assert images.dim == texts.dim == DIM
    seen = images.encode([images.prepare(photo) for photo in photos()])
    read = texts.encode(TEXTS)
    for vectors in (seen, read):
        assert vectors.dtype == np.float32
        assert vectors.shape == (3, DIM)
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
        assert not np.allclose(vectors[0], vectors[1])
    alone = np.concatenate([texts.encode([text]) for text in TEXTS])
    assert np.allclose(read, alone, atol=1e-6)
    assert images.encode([]).shape == texts.encode([]).shape == (0, DIM)


def test_what_goes_into_the_graph_is_the_published_recipe(tmp_path: Path) -> None:
    """The vectors are those of pixels worked out by hand."""
    folder = clip_models.transformers_js(tmp_path / "model")
    images = ClipImages(folder)
    photo = photos(1)[0]
    squashed = np.asarray(photo.resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float64)
    scaled = ((squashed / 255 - 0.5) / 0.5).transpose(2, 0, 1).ravel()
    weights = np.random.default_rng(0).normal(size=(3 * SIDE * SIDE, DIM)).astype(np.float32)
    by_hand = scaled @ weights
    made = images.encode([images.prepare(photo)])[0]
    assert np.allclose(made, by_hand / np.linalg.norm(by_hand), atol=1e-5)


def test_texts_are_cut_padded_and_ended(tmp_path: Path) -> None:
    folder = clip_models.immich(tmp_path / "model")
    texts = ClipTexts(folder)
    ids, mask = texts._tokenizer(["a dog", "a dog " * 20])
    assert ids.tolist() == [[3, 4, 1] + [0] * (CONTEXT - 3), [3, 4] * 4 + [1]]
    assert mask.sum(1).tolist() == [3, CONTEXT]


def test_the_name_tells_weights_settings_and_precision_apart(tmp_path: Path) -> None:
    folder = clip_models.transformers_js(tmp_path / "a", suffixes=("", "_fp16", "_quantized"))
    names = {ClipImages(spec).name for spec in (folder, f"fp16:{folder}", f"int8:{folder}")}
    assert len(names) == 3
    assert ClipImages(f"fp32:{folder}").name == ClipImages(folder).name
    copied = shutil.copytree(folder, tmp_path / "b")
    assert ClipImages(copied).name == ClipImages(folder).name
    config = clip_models.TRANSFORMERS | {"image_mean": [0.4, 0.5, 0.5]}
    clip_models.write(copied / "preprocessor_config.json", config)
    assert ClipImages(copied).name != ClipImages(folder).name
    assert ClipTexts(copied).name == ClipTexts(folder).name


def test_int8_is_taken_where_there_is_no_other(tmp_path: Path) -> None:
    folder = clip_models.transformers_js(tmp_path / "a", suffixes=("_quantized", "_fp16"))
    assert "-int8-" in ClipImages(folder).name
    with pytest.raises(KadrError, match="no fp32 weights"):
        ClipImages(f"fp32:{folder}")


@pytest.mark.parametrize(
    ("side", "processor", "card"), [(16, 16, 16), (224, 10, 16), (384, 3, 14), (8000, 1, 1)]
)
def test_a_batch_is_as_large_as_memory_allows(side: int, processor: int, card: int) -> None:
    assert photos_at_once(side * side, on_processor=True) == processor
    assert photos_at_once(side * side, on_processor=False) == card


def test_photos_that_dont_fit_together_go_one_after_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = ClipImages(clip_models.transformers_js(tmp_path / "model"))
    prepared = [images.prepare(photo) for photo in photos(11)]
    expected = images.encode(prepared)
    tried: list[int] = []
    whole = onnx_session.Session.run

    def run(self: onnx_session.Session, output: str, feed: Mapping[str, Any]) -> Any:
        tried.append(len(next(iter(feed.values()))))
        if tried[-1] > 4:
            raise KadrError("Failed to allocate memory")
        return whole(self, output, feed)

    monkeypatch.setattr(onnx_session.Session, "run", run)
    assert np.allclose(images.encode(prepared), expected, atol=1e-6)
    assert tried == [11, 5, 2, 2, 2, 2, 2, 1]
    tried.clear()
    images.encode(prepared[:2])
    assert tried == [2]
    monkeypatch.setattr(onnx_session.Session, "run", lambda *_: whole(*_)[:0])
    with pytest.raises(KadrError, match="for 1 inputs"):
        images.encode(prepared)


def test_a_device_is_chosen_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = ClipImages(clip_models.immich(tmp_path / "model"))
    monkeypatch.setenv("KADR_DEVICE", "cpu")
    assert images.encode([images.prepare(photos(1)[0])]).shape == (1, DIM)
    monkeypatch.setenv("KADR_DEVICE", "abacus")
    other = ClipImages(tmp_path / "model")
    with pytest.raises(KadrError, match=r"no device 'abacus' .* It has: auto, .*cpu"):
        other.encode([other.prepare(photos(1)[0])])


def test_a_missing_extra_is_one_line_before_anything_is_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = clip_models.immich(tmp_path / "model")
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingExtraError, match=r"needs tokenizers: pip install 'kadr\[hub\]'"):
        load_text_encoder(f"clip:{folder}")
    with pytest.raises(MissingExtraError, match=r"need tokenizers: pip install 'kadr\[hub\]'"):
        installed.pull("siglip2-b16")


def test_nllb_is_told_the_language(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    folder = clip_models.immich(tmp_path / "model")
    words = ["[pad]", "</s>", "[unk]", "eng_Latn", "rus_Cyrl", "a", "собака"]
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, "[unk]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="eng_Latn $A </s>", special_tokens=[("eng_Latn", 3), ("</s>", 1)]
    )
    made.save(str(folder / "textual/tokenizer.json"))
    own = {"pad_token": "[pad]", "tokenizer_class": "NllbTokenizer"}
    clip_models.write(folder / "textual/tokenizer_config.json", own)
    ids, _ = ClipTexts(folder)._tokenizer(["a", "собака"])
    assert ids[:, :3].tolist() == [[3, 5, 1], [4, 6, 1]]
    made.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    made.save(str(folder / "textual/tokenizer.json"))
    ids, _ = ClipTexts(folder)._tokenizer(["a", "собака"])
    assert ids[:, :3].tolist() == [[3, 5, 1], [4, 6, 1]]
