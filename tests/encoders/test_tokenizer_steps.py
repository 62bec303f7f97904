"""A tokenizer's steps: those of known models pass, those that never end are told."""

import base64
from typing import Any

import pytest

from kadr.encoders import tokenizer_steps

CLIP = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s+(?!\S)|\s+"
)
SIGLIP = r"[!\"\#\$%\&'\(\)\*\+,\-\.:;=\?@\[\\\]\^_`\{\|\}\~]"


@pytest.mark.parametrize("pattern", [CLIP, GPT2, LLAMA3, O200K, SIGLIP, r"\s+", " {2,}", "a{3}"])
def test_patterns_of_known_models_are_quick(pattern: str) -> None:
    assert tokenizer_steps.is_quick(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+b", "(a|aa)+$", "(a*)*c", "((a){2,9}){2,9}", "(?:a|b){5,}", "a*a*a*c", "a?" * 30,
        "(a|a)" * 30, r"(?<x>a\g<x>)", r"(a)\k<1>", "(?~ab)", "(?>a+)", "[a", "a" * 3000,
    ],
)  # fmt: skip
def test_patterns_that_may_not_end_are_not(pattern: str) -> None:
    assert not tokenizer_steps.is_quick(pattern)


def tokenizer(normalizer: Any, pre_tokenizer: Any = None) -> Any:
    import tokenizers

    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0}, unk_token="a"))
    made.normalizer = normalizer
    if pre_tokenizer is not None:
        made.pre_tokenizer = pre_tokenizer
    return made


def test_steps_that_grow_or_never_end() -> None:
    from tokenizers import Regex, normalizers, pre_tokenizers

    longer = normalizers.Replace("a", "aaaaaaaa")
    table = base64.b64encode(bytes(4) + b"x" * 999 + b"\0").decode()
    for grows in (
        normalizers.Replace("a", "b" * 200_000),
        normalizers.Replace(Regex("a"), "b" * 300),
        normalizers.Replace("", "b" * 300),
        normalizers.Prepend("b" * 300),
        normalizers.Sequence([longer, normalizers.Sequence([longer, longer])]),
        normalizers.Sequence([normalizers.ByteLevel()] * 8),
    ):
        assert "times as long" in str(tokenizer_steps.problem(tokenizer(grows)))
    assert tokenizer_steps._growth({"type": "Precompiled", "precompiled_charsmap": table}) == 999
    endless = normalizers.Replace(Regex("(a*)*(a*)*c"), "")
    split = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex("(a|aa)+$"), "isolated")])
    many = normalizers.Sequence([normalizers.NFC()] * 40)
    assert "for ever" in str(tokenizer_steps.problem(tokenizer(endless)))
    assert "for ever" in str(tokenizer_steps.problem(tokenizer(normalizers.NFC(), split)))
    assert "40 steps" in str(tokenizer_steps.problem(tokenizer(many)))


def test_steps_of_known_models_pass() -> None:
    from tokenizers import Regex, normalizers, pre_tokenizers

    clip = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    split = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(CLIP), "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    gemma = normalizers.Replace(" ", "▁")
    assert tokenizer_steps.problem(tokenizer(clip, split)) is None
    assert tokenizer_steps.problem(tokenizer(gemma, pre_tokenizers.Metaspace())) is None
    assert tokenizer_steps.problem(tokenizer(normalizers.BertNormalizer())) is None
