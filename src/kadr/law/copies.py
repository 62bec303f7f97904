"""Changed copies of a photo: what the law holds back with the photo that it hides.

A copy is known by its perceptual hash, whichever way it was turned or mirrored and in whatever
colours; by the hash of a part (a collage, a screenshot, a photo that was cut); or by its vector.
"""

from collections.abc import Collection, Sequence

import numpy as np
import simsimd
from numpy.typing import NDArray

from kadr.law import scene
from kadr.photos import hashes
from kadr.stores import PARTS, Store, rounded

VERSION = "copies-2"
BITS = 8
"""Hashes that differ in no more bits than this, of 64, are of the same picture; or in all but so
many, for that is its negative. Of 2,086 unrelated photos none was as near to one of 100 hidden."""
ALIKE = 0.86
"""Cosine of two vectors of `mini` from which a photo is a changed copy. Of 1,783 unrelated photos
35 were as like to one of 1,376 hidden, 33 of them rooms and streets; at 0.78 they were 142."""
SUSPECTED = 0.05
"""Probability of a child from which a photo is compared with all others. A policy whose limit of
review is lower holds back no copies of the photos below."""
_WHOLE, _QUARTERS, _MIDDLE, _WITHIN = 0, (1, 2, 3, 4), 5, 6
_PAIRS = (*((quarter, _WHOLE) for quarter in _QUARTERS), (_WITHIN, _WHOLE), (_WITHIN, _WITHIN),
          (_WHOLE, _MIDDLE), (_WHOLE, _WITHIN))  # fmt: skip
"""Which part of the copy is compared with which part of the photo, besides the whole."""
_BLOCK = 1 << 21
"""Pairs compared at once."""


class CopyFinder:
    """Finds changed copies among a library's photos. It holds some 300 bytes of each."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._encoder = scene.load().encoder
        self._photos = np.empty(0, np.int64)
        self._hashes = np.empty((0, PARTS), np.uint64)
        self._vectors = np.empty((0, 0), np.int8)

    def keep(self, photos: Sequence[int]) -> None:
        """Put on record which photos are copies of a suspected one, these among them.

        These are compared with all that are suspected; those of them that are, with all photos.
        """
        self._read()
        suspected = self._rows(self._store.suspected(SUSPECTED))
        compared = self._rows(photos)
        self._keep(compared, suspected)
        self._keep(np.arange(len(self._photos)), np.intersect1d(compared, suspected))

    def _keep(self, copies: NDArray[np.intp], sources: NDArray[np.intp]) -> None:
        step = max(1, _BLOCK // max(len(sources), 1))
        for start in range(0, len(copies) if len(sources) else 0, step):
            part = copies[start : start + step]
            left, right = np.nonzero(self._near(part, sources))
            self._store.keep_copies(
                [
                    (copy, source)
                    for copy, source in zip(
                        self._photos[part[left]].tolist(),
                        self._photos[sources[right]].tolist(),
                        strict=True,
                    )
                    if copy != source
                ]
            )

    def _read(self) -> None:
        """Read the photos that came since."""
        last = int(self._photos[-1]) if len(self._photos) else 0
        pages = [
            (photos, marks, rounded(vectors)[1])
            for photos, marks, vectors in self._store.fingerprints(last, self._encoder)
        ]
        if not pages:
            return
        photos, marks, vectors = zip(*pages, strict=True)
        dim = vectors[0].shape[1]
        if self._vectors.shape[1] != dim:  # until now no photo had one
            self._vectors = np.zeros((len(self._photos), dim), np.int8)
        self._photos = np.concatenate([self._photos, *photos])
        self._hashes = np.concatenate([self._hashes, *marks])
        self._vectors = np.concatenate([self._vectors, *vectors])

    def _rows(self, photos: Collection[int]) -> NDArray[np.intp]:
        return np.flatnonzero(np.isin(self._photos, np.array(list(photos), np.int64)))

    def _near(self, copies: NDArray[np.intp], sources: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which copies [n] are of which sources [m]: bool [n, m]."""
        near = np.zeros((len(copies), len(sources)), np.bool_)
        for way in hashes.turned(self._hashes[sources, _WHOLE]).T:
            near |= _same(self._hashes[copies, _WHOLE], way)
        for part, of in _PAIRS:
            near |= _same(self._hashes[copies, part], self._hashes[sources, of])
        if self._vectors.shape[1]:
            near |= _alike(self._vectors[copies], self._vectors[sources])
        content = [_content(self._hashes[rows, _WHOLE]) for rows in (copies, sources)]
        return near & content[0][:, None] & content[1]


def _same(copies: NDArray[np.uint64], sources: NDArray[np.uint64]) -> NDArray[np.bool_]:
    apart = np.bitwise_count(copies[:, None] ^ sources[None])
    near = (apart <= BITS) | (apart >= 64 - BITS)
    return np.asarray(near & _content(copies)[:, None] & _content(sources))


def _content(marks: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Whether there is anything to see: half the bits of a hash are set, but of a plain surface."""
    return np.asarray(np.abs(np.bitwise_count(marks).astype(np.int8) - 32) <= BITS)


def _alike(copies: NDArray[np.int8], sources: NDArray[np.int8]) -> NDArray[np.bool_]:
    dots = np.asarray(simsimd.cdist(copies, sources, metric="dot", out_dtype="f32"))
    lengths = [np.linalg.norm(rows.astype(np.float32), axis=1) for rows in (copies, sources)]
    least = ALIKE * lengths[0][:, None] * lengths[1][None]
    return np.asarray((dots >= least) & (least > 0))  # zero: there is no vector
