"""The matcher that all libraries of a service share: its networks are held once."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kadr.matcher import bundle
from kadr.matcher.bundle import Matcher


class SharedMatcher:
    """Loads the matcher of a folder once; another one once the library is switched to it.

    The one before stays in memory for as long as a library searches with it.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._key: tuple[Path, Mapping[str, Any]] | None = None
        """Where, and what was there: another precision of the same weights is another matcher."""
        self._matcher: Matcher | None = None

    def load(self, folder: Path) -> Matcher:
        """The matcher; may be called from any thread. Raises as `kadr.matcher.bundle.load` does."""
        with self._turn:
            key = folder.resolve(), bundle.read_manifest(folder)
            if self._matcher is None or key != self._key:
                self._matcher, self._key = bundle.load(folder), key
            return self._matcher

    @property
    def size(self) -> int:
        """Pixels a side of a picture that its image encoder needs; 0 until it is loaded."""
        return 0 if self._matcher is None else self._matcher.image_encoder.size
