"""Texts that are shipped: what things are called, and captions. Nobody's photos come with them.

They say how like a photo is to texts in general, so that a query can be told apart from chance.
`recipes/write_reference_texts.py` writes both files.
"""

from pathlib import Path

THINGS = Path(__file__).with_name("things.txt")
CAPTIONS = Path(__file__).with_name("captions.txt")


def things() -> list[str]:
    """What some thousand things are called, with an article: "an accordion"."""
    return THINGS.read_text(encoding="utf-8").splitlines()


def captions() -> list[str]:
    """A thousand captions, of a photo of each class of ImageNet."""
    return CAPTIONS.read_text(encoding="utf-8").splitlines()
