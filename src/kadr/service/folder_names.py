"""What folders are called outside: visitors never learn where a folder lies, and never say it."""

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from kadr.library.named_folders import NOWHERE


class FolderNames:
    """Names of the library's folders.

    A folder's name is its path from the indexed folder on, whose own name comes first. Names are
    only compared with one another: the disk is never asked about a visitor's text.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots: dict[str, Path] = {}
        for root in sorted(roots):
            name, number = unicodedata.normalize("NFC", text(root.name)) or "/", 1
            while name in self._roots:
                number += 1
                name = unicodedata.normalize("NFC", f"{text(root.name)} ({number})")
            self._roots[name] = root

    def name(self, folder: Path) -> str:
        """What a folder is called."""
        for name, root in self._roots.items():
            if folder.is_relative_to(root):
                return "/".join([name, *map(text, folder.relative_to(root).parts)])
        return text(folder.name)

    def folder(self, name: str) -> Path:
        """The folder of that name in or below an indexed one, whether or not it exists.

        `NOWHERE` where there can't be one: a filter for it finds nothing, as one for a folder whose
        photos are all hidden. An error would tell them apart.
        """
        root, *parts = unicodedata.normalize("NFC", name).split("/")
        if root not in self._roots or any(
            part in {"", ".", ".."} or "\0" in part for part in parts
        ):
            return NOWHERE
        return self._roots[root].joinpath(*parts)


def text(name: str) -> str:
    """A file's name as text; its bytes may be no valid UTF-8."""
    return os.fsencode(name).decode("utf-8", "replace")
