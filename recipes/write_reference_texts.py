"""Writes the texts that are shipped with every matcher: what things are called, and captions.

Usage: python recipes/write_reference_texts.py

They are those of `classes.txt` and `things.txt`, which were written for this.
"""

from pathlib import Path

from mini_classes import CLASSES, THINGS, article, read

from kadr.matcher import reference_texts


def main() -> None:
    """Write both files."""
    classes = read(CLASSES)
    things = {article(one.names[0]) for one in [*classes, *read(THINGS)]}
    write(reference_texts.THINGS, sorted(things, key=str.casefold))
    write(reference_texts.CAPTIONS, [one.caption for one in classes])


def write(path: Path, lines: list[str]) -> None:
    """A text a line."""
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
