"""What the labels of photos are called: of ImageNet's thousand classes, and of other things.

`classes.txt` and `things.txt` were written for this purpose, a line for each label: the label, its
other names (wider ones too: a goldfish is a fish), its Russian names, and a caption that a person
could give such a photo.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

CLASSES = Path(__file__).parent / "classes.txt"
"""ImageNet's, in the order of its numbers."""
THINGS = Path(__file__).parent / "things.txt"


@dataclass(frozen=True)
class Named:
    """A label, its names (the label first), its Russian names, and a caption."""

    label: str
    names: tuple[str, ...]
    russian: tuple[str, ...]
    caption: str

    @property
    def texts(self) -> list[str]:
        """What people would type: the caption, names with their article, names alone."""
        articles = [article(name) for name in self.names[:4]]
        return list(dict.fromkeys([self.caption, *articles, *self.names[:2]]))


def read(path: Path) -> list[Named]:
    """The labels of a file, in its order."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        label, others, russian, caption = (part.strip() for part in line.split("|"))
        names = tuple(dict.fromkeys([label, *_parts(others)]))
        found.append(Named(label, names, tuple(_parts(russian)), caption))
    return found


def article(name: str) -> str:
    """A name as one speaks of one of it; plurals and names of their own stay as they are."""
    if name[0].isupper() or (name.endswith("s") and not name.endswith("ss")):
        return name
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def table(path: Path) -> list[dict[str, str]]:
    """Rows of a tab-separated table."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def _parts(text: str) -> list[str]:
    return [part for part in text.split(", ") if part]
