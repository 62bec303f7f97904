"""Tokens are those of the published tokenizers."""

import importlib.metadata
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

import clip_models
from clip_models import CONTEXT
from kadr.encoders import clip_text
from kadr.encoders.clip_files import ModelFolder
from kadr.errors import KadrError

START, END = "<|startoftext|>", "<|endoftext|>"
SENTENCES = [
    "a photo of a dog",
    "Two DOGS run, in the  snow!!",
    "the man's 3 boats (1999) — don't look",
    "naïve café, 日本の猫 and a собака",
    "underscores_and-hyphens / slashes",
    "",
    "word " * 200,
    "emoji 🐕 and #hashtags @ 50%",
]


def published() -> Any:
    """OpenAI's own simple_tokenizer.py; its package would import torch."""
    (path,) = [
        Path(str(file.locate()))
        for file in importlib.metadata.files("openai-clip") or []
        if file.name == "simple_tokenizer.py"
    ]
    spec = importlib.util.spec_from_file_location("simple_tokenizer", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.SimpleTokenizer()


def as_json(known: Any) -> Tokenizer:
    """The same vocabulary in the format of tokenizer.json, as hubs have it for CLIP."""
    merges = sorted(known.bpe_ranks, key=known.bpe_ranks.get)
    made = Tokenizer(models.BPE(known.encoder, merges, end_of_word_suffix="</w>", unk_token=END))
    made.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    words = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(words), "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([START, END])
    ends = [(token, known.encoder[token]) for token in (START, END)]
    made.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=ends
    )
    return made


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    folder = clip_models.immich(tmp_path_factory.mktemp("clip") / "model")
    known = published()
    as_json(known).save(str(folder / "textual/tokenizer.json"))
    clip_models.write(folder / "textual/tokenizer_config.json", {"pad_token": END})
    return known, folder


@pytest.mark.parametrize("text", SENTENCES)
def test_clips_tokens(clip: tuple[Any, Path], text: str) -> None:
    known, folder = clip
    ids, mask = clip_text.Tokenizer(ModelFolder(str(folder)), 77)([text])
    start, end = known.encoder[START], known.encoder[END]
    wanted = [start, *known.encode(text)[:75], end]
    assert ids.shape == mask.shape == (1, 77)
    assert ids[0, : len(wanted)].tolist() == wanted
    assert set(ids[0, len(wanted) :].tolist()) <= {end}
    assert ids.dtype == np.int64


def siglip(folder: Path, **own: Any) -> Path:
    clip_models.transformers_js(folder)
    clip_models.unigram().save(str(folder / "tokenizer.json"))
    clip_models.write(folder / "tokenizer_config.json", {"pad_token": "<pad>"} | own)
    return folder


def test_siglip_has_64_places_its_end_and_no_punctuation(tmp_path: Path) -> None:
    folder = siglip(tmp_path / "m", tokenizer_class="SiglipTokenizer", model_max_length=64)
    tokenizer = clip_text.Tokenizer(ModelFolder(str(folder)), None)
    ids, mask = tokenizer(["A DOG, on_the (beach)!"])
    plain = clip_models.unigram().encode("a dog on the beach").ids
    assert ids[0, : len(plain)].tolist() == plain
    assert ids.shape == (1, 64)
    assert ids[0, len(plain) - 1] == clip_models.unigram().token_to_id("</s>")
    assert set(ids[0, len(plain) :].tolist()) == {clip_models.unigram().token_to_id("<pad>")}
    assert mask.sum() == len(plain)


def test_siglip_2_keeps_punctuation_and_says_no_length(tmp_path: Path) -> None:
    folder = siglip(tmp_path / "m", tokenizer_class="GemmaTokenizer", model_max_length=10**30)
    tokenizer = clip_text.Tokenizer(ModelFolder(str(folder)), None)
    ids, _ = tokenizer(["A Dog, on the beach"])
    plain = clip_models.unigram().encode("a dog, on the beach").ids
    assert ids.shape == (1, 64)
    assert ids[0, : len(plain)].tolist() == plain


@pytest.mark.parametrize(
    ("clean", "cleaned"),
    [
        ("canonicalize", "a dog on the beach"),
        ("lower", "a dog, on_the &beach!"),
        (None, "A Dog, on_the &beach!"),
    ],
)
def test_cleaning_is_as_immichs_config_says(
    tmp_path: Path, clean: str | None, cleaned: str
) -> None:
    folder = clip_models.immich(tmp_path / "m")
    text = {"context_length": CONTEXT, "tokenizer_kwargs": {"clean": clean}}
    clip_models.write(folder / "config.json", {"text_cfg": text})
    tokenizer = clip_text.Tokenizer(ModelFolder(str(folder)), None)
    assert tokenizer._clean(" A Dog,  on_the &amp;amp;beach!\n") == cleaned
    assert tokenizer.context == CONTEXT


def test_the_graph_goes_before_the_files(tmp_path: Path) -> None:
    folder = clip_models.immich(tmp_path / "m")
    assert clip_text.Tokenizer(ModelFolder(str(folder)), 5)(["a"])[0].shape == (1, 5)


def test_padding_of_the_tokenizers_own_file(tmp_path: Path) -> None:
    folder = clip_models.immich(tmp_path / "m")
    made = clip_models.tokenizer()
    made.enable_padding(length=6, pad_id=0, pad_token="[pad]")
    made.save(str(folder / "textual/tokenizer.json"))
    clip_models.write(folder / "textual/tokenizer_config.json", {})
    assert clip_text.Tokenizer(ModelFolder(str(folder)), None).context == 6


@pytest.mark.parametrize(
    ("own", "described", "reason"),
    [
        ({}, None, "name no padding"),
        ({"pad_token": "[unheard of]"}, None, "name no padding"),
        ({"pad_token": "[pad]"}, {}, "not a readable tokenizer"),
        ({"pad_token": "[pad]"}, {"model": {"type": "BPE", "vocab": 5}}, "not a readable"),
    ],
)
def test_a_tokenizer_that_is_none(tmp_path: Path, own: Any, described: Any, reason: str) -> None:
    folder = clip_models.immich(tmp_path / "m")
    clip_models.write(folder / "textual/tokenizer_config.json", own)
    if described is not None:
        clip_models.write(folder / "textual/tokenizer.json", described)
    with pytest.raises(KadrError, match=reason):
        clip_text.Tokenizer(ModelFolder(str(folder)), None)


def test_a_long_text_takes_no_longer(tmp_path: Path) -> None:
    tokenizer = clip_text.Tokenizer(ModelFolder(str(clip_models.immich(tmp_path / "m"))), None)
    assert tokenizer(["a " * 5_000_000])[0].shape == (1, CONTEXT)
