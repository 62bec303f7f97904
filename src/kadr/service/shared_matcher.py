"""The matcher that all libraries of a service share: its networks are held once."""

import threading
from pathlib import Path

from kadr.matcher import bundle
from kadr.matcher.bundle import Matcher


class SharedMatcher:
    """Loads the matcher of a folder once; another one once the library is switched to it.

    The one before stays in memory for as long as a library searches with it.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._key: tuple[Path, object] | None = None
        self._matcher: Matcher | None = None

    def load(self, folder: Path) -> Matcher:
        """The matcher; may be called from any thread. Raises as `kadr.matcher.bundle.load` does."""
        with self._turn:
            key = folder, bundle.read_manifest(folder).get("weights_digest")
            if self._matcher is None or key != self._key:
                self._matcher, self._key = bundle.load(folder), key
            return self._matcher

    @property
    def size(self) -> int:
        """Pixels a side of a picture that its image encoder needs; 0 until it is loaded."""
        return 0 if self._matcher is None else self._matcher.image_encoder.size
