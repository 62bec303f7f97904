"""The nearest photos of a selection, by a scan of all vectors; what searches read again is held."""

from collections import OrderedDict
from typing import Any

import numpy as np
import simsimd
from numpy.typing import NDArray

from kadr.stores import Nearest, Selection, Shown
from kadr.stores.sqlite.photos import PhotoTables
from kadr.stores.sqlite.scan import Scan
from kadr.stores.words import TIERS, Recorded, Wanted, with_part
from kadr.types import Vectors

HELD = 8
"""Selections whose photos are held, those asked for last."""


class NearestPhotos(PhotoTables):
    """Finds photos by their vectors."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._read_at: tuple[int, int] | None = None
        """State of the library that all below is of."""
        self._searched = False
        self._scan: Scan | None = None
        self._selected: OrderedDict[Selection, NDArray[np.int64]] = OrderedDict()
        self._scored: tuple[bytes, NDArray[np.int64], Vectors] | None = None
        """The last vector, and what it was compared with: the next portion needs it again."""

    def count(self, selection: Selection) -> int:
        """About how many photos are selected: some that are gone by now may be counted."""
        self._refresh()
        if selection == Selection():  # to count the table takes as long as the search
            if self._scan is not None:
                return len(self._scan.photos)
            return int(self.read("SELECT coalesce(sum(length(photos)), 0) / 8 FROM blocks")[0][0])
        return len(self._photos(selection))

    def hides(self, shown: Shown) -> bool:
        """Whether there are photos that were encoded and may not be shown."""
        return len(self._photos(Selection(shown=shown))) < len(self._photos(Selection()))

    def sample(self, selection: Selection, count: int) -> NDArray[np.int64]:
        """At most so many of the selected photos, evenly spaced by number: int64 [n]."""
        photos = self._photos(selection)
        rows = np.linspace(0, len(photos) - 1, min(len(photos), count)).astype(np.intp)
        return np.asarray(photos[rows])

    def nearest(self, vector: Vectors, selection: Selection, first: int, count: int) -> Nearest:
        """Places `first` to `first + count` of the selected photos by their cosine."""
        photos, cosines = self._compared(vector)
        if selection != Selection():
            rows = np.flatnonzero(np.isin(photos, self._photos(selection)))
            photos, cosines = photos[rows], cosines[rows]
        best = _best(photos, cosines, first + count)[first:]
        return Nearest(photos[best], cosines[best])

    def cosines(self, vector: Vectors, selection: Selection, photos: NDArray[np.int64]) -> Nearest:
        """Those of these photos that are selected, by their cosine with a unit vector."""
        wanted = np.intersect1d(photos, self._photos(selection))
        known, cosines = self._compared(vector)
        rows = np.flatnonzero(np.isin(known, wanted))
        best = rows[_best(known[rows], cosines[rows], len(rows))]
        return Nearest(known[best], cosines[best])

    def recorded(self, wanted: Wanted, selection: Selection) -> Recorded:
        """Selected photos on whose record all these words stand, with their tiers."""
        found = np.empty(0, np.int64)
        if wanted.keys:
            found = self._holding(wanted, len(TIERS) - 1)
            found = found[np.isin(found, self._photos(selection))]
        tiers = np.zeros(len(found), np.int64)
        for tier in range(len(TIERS) - 1) if len(found) else ():
            tiers += ~np.isin(found, self._holding(wanted, tier))
        return with_part(found, tiers, self._in_part(wanted, selection))

    def _in_part(self, wanted: Wanted, selection: Selection) -> NDArray[np.int64]:
        """Selected photos on whose record most of the words stand, or all."""
        if not wanted.most:
            return np.empty(0, np.int64)
        found = self._matched(self._most(wanted))
        return np.asarray(found[np.isin(found, self._photos(selection))])

    def _holding(self, wanted: Wanted, tier: int) -> NDArray[np.int64]:
        return self._matched(self._tier(wanted, tier))

    def _matched(self, query: str) -> NDArray[np.int64]:
        return self.numbered("SELECT rowid AS photo FROM words WHERE words MATCH ?", (query,))

    def _photos(self, selection: Selection) -> NDArray[np.int64]:
        """The selected photos, sorted: int64 [n]."""
        self._refresh()
        held = self._selected.get(selection)
        if held is None:
            held = self._selected[selection] = self._read(selection)
            if len(self._selected) > HELD:
                self._selected.popitem(last=False)
        self._selected.move_to_end(selection)
        return held

    def _read(self, selection: Selection) -> NDArray[np.int64]:
        filters, shown = selection.filters, selection.shown
        if shown is None:
            return self.matching(filters)
        passing = self._photos(Selection(filters))
        return np.asarray(passing[np.isin(passing, self.all_shown(shown))])

    def _compared(self, vector: Vectors) -> tuple[NDArray[np.int64], Vectors]:
        """Photos as the library has them now int64 [n], and their cosines float32 [n].

        A command's only search doesn't hold the scan: 128 MB for half a million photos cost more
        than all the rest. From the second search on it is held.
        """
        self._refresh()
        is_first, self._searched = not self._searched, True
        key = vector.tobytes()
        if self._scored is None or self._scored[0] != key:
            if is_first:
                self._scored = (key, *self._streamed(vector))
            else:
                self._scan = self._scan or self.scan()
                self._scored = key, self._scan.photos, _cosines(self._scan, vector)
        return self._scored[1:]

    def _streamed(self, vector: Vectors) -> tuple[NDArray[np.int64], Vectors]:
        parts = [(block.photos, _cosines(block, vector)) for block in self.blocks()]
        numbers, cosines = zip(*parts, strict=True) if parts else ((), ())
        return (
            np.concatenate([np.empty(0, np.int64), *numbers]),
            np.concatenate([np.empty(0, np.float32), *cosines]),
        )

    def _refresh(self) -> None:
        """Let go of what was read of an older state of the library."""
        changes = self.changes()
        if changes != self._read_at:
            self._read_at, self._scan, self._scored = changes, None, None
            self._selected.clear()


def _cosines(scan: Scan, vector: Vectors) -> Vectors:
    """Cosine of every photo with a unit vector, to about 0.001: float32 [n]."""
    if not len(scan.photos):
        return np.empty(0, np.float32)
    scale = float(np.abs(vector).max()) / 127 or 1.0
    query = np.round(vector / scale).astype(np.int8)
    dots = simsimd.cdist(query[None], scan.vectors, metric="dot", out_dtype="f32")
    return np.asarray(np.asarray(dots, np.float32)[0] * scan.scales * np.float32(scale))


def _best(photos: NDArray[np.int64], cosines: Vectors, count: int) -> NDArray[np.intp]:
    """Rows of the greatest cosines, equal ones by their photo's number."""
    rows = np.arange(len(cosines))
    if count < len(cosines):
        edge = np.partition(cosines, len(cosines) - count)[len(cosines) - count]
        above, level = np.flatnonzero(cosines > edge), np.flatnonzero(cosines == edge)
        level = level[np.argsort(photos[level], kind="stable")]
        rows = np.concatenate([above, level[: count - len(above)]])
    return np.asarray(rows[np.lexsort((photos[rows], -cosines[rows]))], np.intp)
