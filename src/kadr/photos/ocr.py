"""What reads text in pictures: one file per engine, found by its name.

Names come from the table below and from installed plugins (entry points `kadr.ocr_engines`).
"""

from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Protocol, cast

from kadr.errors import KadrError, MissingExtraError
from kadr.types import TextLine

if TYPE_CHECKING:
    from PIL import Image

ENGINES = {"rapidocr": "kadr.photos.rapidocr:RapidOcr"}
DEFAULT = "rapidocr"
SIDE = 1600
"""The longer side in pixels of a picture in which text is read; larger ones are reduced."""


class OcrEngine(Protocol):
    """Reads text in pictures. To make one costs nothing: the first `read` loads the networks."""

    version: str
    """Engine, weights, settings. Equal versions read the same."""

    def read(self, image: "Image.Image") -> list[TextLine]:
        """The lines in an RGB picture, upright, of at most SIDE pixels a side; in no order.

        Raises:
            OcrError: it can't be read.
            MissingExtraError: what the engine needs isn't whole.
        """
        ...


def load(name: str) -> OcrEngine:
    """The engine of a name.

    Raises:
        KadrError: there is none.
        MissingExtraError: its package isn't installed.
    """
    known = ENGINES | {one.name: one.value for one in entry_points(group="kadr.ocr_engines")}
    if name not in known:
        raise KadrError(f"{name!r}: no such OCR engine. Known: {', '.join(sorted(known))}.")
    module, _, attribute = known[name].partition(":")
    try:
        return cast(OcrEngine, getattr(import_module(module), attribute)())
    except ImportError as error:
        raise MissingExtraError(
            f"the OCR engine {name!r} needs {error.name or error}, which isn't installed."
        ) from error
