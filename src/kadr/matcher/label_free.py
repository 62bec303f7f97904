"""Flow: a pair of encoders -> a matcher, without judgements and without photos.

For encoders that were taught together, as those of CLIP (Radford et al. 2021), whose vectors share
a space already.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from kadr.encoders import TextEncoder, load_image_encoder, load_text_encoder
from kadr.errors import KadrError
from kadr.matcher import reference_texts
from kadr.matcher.alignment import Alignment
from kadr.matcher.bundle import Matcher
from kadr.matcher.null_scores import NullScores
from kadr.types import Vectors

BATCH = 32

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the number of texts encoded, and their total."""


def build(image_spec: str, text_spec: str, on_progress: Progress | None = None) -> Matcher:
    """The matcher of a pair that shares a space.

    Args:
        image_spec: see `kadr.encoders`.
        text_spec: of the same dimensions.
        on_progress: called as the reference texts are encoded, some two thousand.

    Raises:
        KadrError: an encoder can't be had, or they share no space.
    """
    images, texts = load_image_encoder(image_spec), load_text_encoder(text_spec)
    if images.dim != texts.dim:
        raise KadrError(
            f"{image_spec} makes vectors of {images.dim} figures, {text_spec} of {texts.dim}: they "
            "share no space. Train a matcher of them: kadr train"
        )
    captions, things = reference_texts.captions(), reference_texts.things()
    vectors = _encode(texts, [*captions, *things], on_progress)
    space = shared(vectors[: len(captions)]).with_things(vectors[len(captions) :])
    scores = NullScores.learn(space.text_bank)
    return Matcher(image_spec, text_spec, images, texts, space, scores, {"judged": False})


def shared(captions: Vectors) -> Alignment:
    """The space that encoders share already; both banks are captions, vectors [n, dim]."""
    dim = captions.shape[1]
    zero, same = np.zeros(dim, np.float32), np.eye(dim, dtype=np.float32)
    bank = captions / np.maximum(np.linalg.norm(captions, axis=1, keepdims=True), 1e-12)
    return Alignment(zero, same, zero, same, bank, bank, np.ones(dim, np.float32))


def _encode(encoder: TextEncoder, texts: Sequence[str], on_progress: Progress | None) -> Vectors:
    rows = []
    for start in range(0, len(texts), BATCH):
        rows.append(encoder.encode(texts[start : start + BATCH]))
        if on_progress is not None:
            on_progress(min(start + BATCH, len(texts)), len(texts))
    return np.concatenate(rows)
