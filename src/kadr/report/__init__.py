"""The HTML report, the comparison's table and the contact sheet: figures and photos to look at.

Measures nothing. `page` writes the report, `comparison` the table, `sheet` a search's photos; what
they need is imported when they run.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from kadr.study.compare import Comparison
    from kadr.study.evaluate import Evaluation

__all__ = ["comparison_text", "write", "write_comparison"]


def write(  # noqa: PLR0913 - a page shows all of it
    evaluation: "Evaluation",
    path: Path,
    *,
    photos: Mapping[str, Path],
    manifest: Mapping[str, Any],
    language: Literal["en", "ru"] = "en",
    disclaimer: str,
    comparison: "Comparison | None" = None,
) -> Path:
    """Write an evaluation as one HTML file that needs nothing else; give its path back.

    Args:
        evaluation: the figures.
        path: the file to write; an old one is replaced at once or not at all.
        photos: image name -> file, for the photos of the visual test.
        manifest: what the matcher's bundle says of its training.
        language: of every word but the captions.
        disclaimer: what stands in place of a photo that the law hides.
        comparison: of combinations, shown in a section of its own.

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
        comparison=comparison,
    )


def write_comparison(
    comparison: "Comparison", folder: Path, *, language: Literal["en", "ru"] = "en"
) -> tuple[Path, ...]:
    """Write comparison.csv, comparison.md and comparison.html into a folder, made if need be.

    Each is whole or not written at all. The CSV is the same in every language: plain numbers in
    full precision, an interval in three columns, empty where a figure is undefined.

    Raises:
        KadrError: a file can't be written.
    """
    from kadr.report import comparison as comparisons

    return comparisons.write(comparison, folder, language=language)


def comparison_text(comparison: "Comparison", *, language: Literal["en", "ru"] = "en") -> str:
    """The best combinations and what the figures say, in lines of at most 110 columns."""
    from kadr.report import comparison as comparisons
    from kadr.report.wording import Wording

    return comparisons.text(comparison, Wording(language))
