"""Flow: a text and found photos -> why: what each word did, and where in the photo the match lies.

Words: one is left out at a time, and the photo judged anew (Li et al. 2016, "Understanding Neural
Networks through Representation Erasure"). The effects of words don't add up to the whole.
Places: what each adds to the cosine similarity. They add up to it, since only linear maps follow
them; but a place has seen its surroundings, and probability looks at more than this one cosine.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from kadr.encoders import LocatingImageEncoder
from kadr.errors import ImageError
from kadr.matcher.bundle import Matcher
from kadr.matcher.relevance import Embeddings
from kadr.types import Explanation, Floats, Vectors, WordEffect

if TYPE_CHECKING:
    from PIL import Image

    Picture: TypeAlias = Callable[[int], Image.Image]
    """Opens a photo at a size, as `kadr.photos.images.decode` does."""

MOST_WORDS = 40
"""The first so many words of a text are explained: each costs an encoding of the whole text."""

_WORD = re.compile("w+(?:[-'\u2019\u2010\u2011\u00ad\u200c\u200d]w+)*")
"""Hyphens, apostrophes and joiners stand inside a word; w is any letter, mark or digit."""


def explain(
    matcher: Matcher, text: str, images: Embeddings, pictures: "Sequence[Picture]"
) -> tuple[Explanation, ...]:
    """Why photo i, `images` row i and what `pictures[i]` opens, fits the text or doesn't."""
    return tuple(
        Explanation(effects, None if places is None else tuple(map(tuple, places.tolist())))
        for effects, places in zip(
            words(matcher, text, images), heat(matcher, text, pictures), strict=True
        )
    )


def words(matcher: Matcher, text: str, images: Embeddings) -> tuple[tuple[WordEffect, ...], ...]:
    """What each word of the text did for each photo, in the text's order; see `WordEffect`."""
    found = spans(text)
    texts = matcher.text_encoder.encode([text, *(without(text, span) for span in found)])
    scores = _log_odds(matcher.relevance.table(images, matcher.texts(texts)))
    # A text of which nothing is known has a score too: that of no text in particular.
    known = [bool(left.any()) and len(found) > 1 for left in texts[1:]]
    return tuple(
        tuple(
            WordEffect(text[span], float(whole - part) if is_known else None)
            for span, part, is_known in zip(found, parts, known, strict=True)
        )
        for whole, *parts in scores.T
    )


def heat(matcher: Matcher, text: str, pictures: "Sequence[Picture]") -> tuple[Vectors | None, ...]:
    """What each place of each photo adds to the cosine similarity: float32 [rows, columns].

    The sum is the cosine. None where the image encoder can't tell, or the photo can't be read.
    """
    encoder = matcher.image_encoder
    if not isinstance(encoder, LocatingImageEncoder):
        return (None,) * len(pictures)
    query = matcher.texts(matcher.text_encoder.encode([text])).joint.vectors[0]
    return tuple(_heat(matcher, encoder, query, picture) for picture in pictures)


def spans(text: str) -> tuple[slice, ...]:
    """Where the first `MOST_WORDS` words of a text stand."""
    # The patterns of `re` know letters, but not the marks that some scripts write on them.
    shadow = "".join("w" if unicodedata.category(c)[0] in "LMN" else c for c in text)
    return tuple(slice(*match.span()) for match in islice(_WORD.finditer(shadow), MOST_WORDS))


def without(text: str, span: slice) -> str:
    """The text without the word that stands there, and without the space before it."""
    return (text[: span.start].rstrip() + text[span.stop :]).strip()


def _heat(
    matcher: Matcher, encoder: LocatingImageEncoder, query: Vectors, picture: "Picture"
) -> Vectors | None:
    try:
        photo = picture(encoder.size)
    except ImageError:
        return None
    (places,) = encoder.locate([encoder.prepare(photo)])
    rows, columns, _ = places.shape
    space = matcher.alignment
    joint = (places - space.image_mean / (rows * columns)) @ space.image_map
    length = max(float(np.linalg.norm(joint.sum((0, 1)))), 1e-12)
    return np.asarray(joint @ query / length, dtype=np.float32)


def _log_odds(probabilities: Floats) -> Floats:
    odds: Floats = np.log(probabilities) - np.log1p(-probabilities)
    return odds
