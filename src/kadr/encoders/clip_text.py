"""A text as a CLIP-like text tower wants it: cleaned, in tokens, padded, as its files say."""

import html
import re
import string
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kadr.encoders import tokenizer_steps
from kadr.encoders.clip_files import MOST_TOKENIZER, ModelFolder
from kadr.encoders.language import language
from kadr.errors import KadrError

Clean: TypeAlias = Callable[[str], str]

LONGEST_CONTEXT = 4096
"""Tokens. The largest known towers take 512."""
LONGEST_TEXT = 10_000
"""Characters of a text that are looked at: a tokenizer's time grows faster than the text."""
MOST_VALUES, MOST_OBJECTS = 3_000_000, 200_000
"""Commas and opening braces of a tokenizer.json. One of 256,000 pieces and 580,000 merges has some
1,420,000 commas and a few thousand braces."""
_FIXED = {"siglip": 64, "siglip2": 64, "clip": 77}
"""Context lengths of kinds of models whose files leave it to the library."""
_FLORES = {"en": "eng_Latn", "ru": "rus_Cyrl"}
_LANGUAGE = re.compile(r"[a-z]{3}_[A-Z][a-z]{3}")
"""A code of FLORES-200, which NLLB's tokens begin with."""
_PUNCTUATION = str.maketrans("", "", string.punctuation)


class Tokenizer:
    """Texts to token ids, int64 [n, context], and which of them are text."""

    def __init__(self, model: ModelFolder, context: int | None) -> None:
        """Read the tokenizer of a model.

        Args:
            model: its folder.
            context: the length that its graph takes, None where any will do.

        Raises:
            KadrError: it can't be read.
        """
        config = model.json(model.layout.config)
        own = model.json(model.layout.tokenizer_config)
        self._clean = _cleaning(model, config, own)
        self._tokenizer = _load(model)
        self.context = context or _context(config, own, self._tokenizer.padding or {})
        if not 1 <= self.context <= LONGEST_CONTEXT:
            raise KadrError(f"{model.path}: a context of {self.context:,} tokens.")
        self._pad(model, own)
        self._languages = self._language_ids() if _is_nllb(config, own) else {}

    def __call__(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Ids and mask, int64 [n, context] each."""
        cleaned = [self._clean(_paired(text[:LONGEST_TEXT])) for text in texts]
        encoded = self._tokenizer.encode_batch(cleaned)
        ids = np.array([one.ids for one in encoded], np.int64).reshape(-1, self.context)
        mask = np.array([one.attention_mask for one in encoded], np.int64)
        if self._languages:
            for row, text in zip(ids, cleaned, strict=True):
                self._tell_language(row, text)
        return ids, mask.reshape(-1, self.context)

    def _pad(self, model: ModelFolder, own: Mapping[str, Any]) -> None:
        token = own.get("pad_token")
        token = token.get("content") if isinstance(token, Mapping) else token
        if token is None:
            token = (self._tokenizer.padding or {}).get("pad_token")
        number = self._tokenizer.token_to_id(token) if isinstance(token, str) else None
        if number is None:
            raise KadrError(f"{model.path}: the tokenizer's files name no padding that it knows.")
        self._tokenizer.enable_padding(length=self.context, pad_id=number, pad_token=token)
        self._tokenizer.enable_truncation(self.context)

    def _language_ids(self) -> dict[str, int]:
        ids = {code: self._tokenizer.token_to_id(code) for code in _FLORES.values()}
        return {code: number for code, number in ids.items() if number is not None}

    def _tell_language(self, row: NDArray[np.int64], text: str) -> None:
        """Put the text's language where the tokenizer has put one, or before all else."""
        number = self._languages.get(_FLORES[language(text)])
        if number is None:
            return
        if not _LANGUAGE.fullmatch(self._tokenizer.id_to_token(int(row[0])) or ""):
            end = row[-1]
            row[1:] = row[:-1].copy()
            row[-1] = end
        row[0] = number


def canonical(text: str) -> str:
    """Lower-cased, without punctuation, in single spaces (big_vision's canonicalize, SigLIP's)."""
    return " ".join(text.replace("_", " ").translate(_PUNCTUATION).lower().split())


def _paired(text: str) -> str:
    """Without the halves of UTF-16 pairs, which aren't text to a tokenizer."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _unescaped(text: str) -> str:
    return " ".join(html.unescape(html.unescape(text)).split())


def _cleaning(model: ModelFolder, config: Mapping[str, Any], own: Mapping[str, Any]) -> Clean:
    """What is done to a text before the tokenizer, which does what its own file says."""
    if model.layout.is_immich:
        text_config = config.get("text_cfg")
        settings = text_config.get("tokenizer_kwargs") if isinstance(text_config, Mapping) else None
        wanted = settings.get("clean") if isinstance(settings, Mapping) else None
        if wanted == "canonicalize":
            return lambda text: canonical(_unescaped(text))
        if wanted == "lower":
            return lambda text: _unescaped(text).lower()
        return _unescaped
    kind = str(own.get("tokenizer_class"))
    if kind.startswith("Siglip") and not kind.startswith("Siglip2"):
        return canonical
    is_siglip = str(config.get("model_type")).startswith("siglip")
    if own.get("do_lower_case") or is_siglip:  # SigLIP 2 was trained on lower-cased texts
        return str.lower
    return lambda text: text


def _context(config: Mapping[str, Any], own: Mapping[str, Any], padding: Mapping[str, Any]) -> int:
    """How many tokens a text has, where the graph leaves it open.

    `padding` is the tokenizer's own, of which `length` is a number or None.
    """
    text: Any = next((config[k] for k in ("text_cfg", "text_config") if k in config), {})
    text = text if isinstance(text, Mapping) else {}
    candidates = (
        padding.get("length"),
        text.get("context_length"),
        text.get("max_position_embeddings"),
        own.get("model_max_length"),
        _FIXED.get(str(config.get("model_type"))),
    )
    return next((c for c in candidates if isinstance(c, int) and 1 <= c <= LONGEST_CONTEXT), 77)


def _load(model: ModelFolder) -> Any:
    import tokenizers

    path = model.path / model.layout.tokenizer
    _check_counts(path)
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(path))
    except BaseException as error:  # a panic of its Rust is no Exception
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        raise KadrError(f"{path}: not a readable tokenizer ({str(error)[:150]}).") from error
    if (problem := tokenizer_steps.problem(tokenizer)) is not None:
        raise KadrError(f"{path}: {problem}. Get the model from whoever published it.")
    return tokenizer


def _check_counts(path: Path) -> None:
    """Refuse what would be many times as large in memory as it is on disk.

    Raises:
        KadrError: it can't be read, or holds more values than any tokenizer.
    """
    try:
        with path.open("rb") as file:
            described = file.read(MOST_TOKENIZER + 1)
    except OSError as error:
        raise KadrError(f"{path}: can't be read ({error.strerror or error}).") from error
    counts = described.count(b","), described.count(b"{")
    if len(described) > MOST_TOKENIZER or counts[0] > MOST_VALUES or counts[1] > MOST_OBJECTS:
        raise KadrError(
            f"{path}: {len(described):,} bytes with {counts[0]:,} values are too many for a "
            "tokenizer."
        )


def _is_nllb(config: Mapping[str, Any], own: Mapping[str, Any]) -> bool:
    text = config.get("text_cfg")
    named = text.get("hf_model_name") if isinstance(text, Mapping) else None
    return "nllb" in f"{own.get('tokenizer_class')} {named}".lower()
