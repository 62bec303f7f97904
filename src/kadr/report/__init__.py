"""The HTML report and the contact sheet: figures and photos to look at. Computes no figure.

`page` writes the report, `sheet` a search's photos; what they need is imported when they run.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from kadr.evaluate import Evaluation

__all__ = ["write"]


def write(
    evaluation: "Evaluation",
    path: Path,
    *,
    photos: Mapping[str, Path],
    manifest: Mapping[str, Any],
    language: Literal["en", "ru"] = "en",
    disclaimer: str,
) -> Path:
    """Write an evaluation as one HTML file that needs nothing else; give its path back.

    Args:
        evaluation: the figures.
        path: the file to write; an old one is replaced at once or not at all.
        photos: image name -> file, for the photos of the visual test.
        manifest: what the matcher's bundle says of its training.
        language: of every word but the captions.
        disclaimer: what stands in place of a photo that the law hides.

    Raises:
        KadrError: the file can't be written.
    """
    from kadr.report import page

    return page.write(
        evaluation,
        path,
        photos=photos,
        manifest=manifest,
        language=language,
        disclaimer=disclaimer,
    )
