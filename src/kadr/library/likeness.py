"""Step: two photos -> whether they are copies of one another, resized, recompressed, turned or cut.

`alike` names candidates, by what a library holds of them. `Appearances` compares what candidates
show, place by place: a solid colour, a gradient, a blank scan or a dark screen has too little to
show for that, and pages of text differ.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kadr.photos import hashes as perceptual

ALIKE = ((10, 0.60), (18, 0.88), (64, 0.965))
"""Two photos are alike where their perceptual hashes differ in at most so many bits and the cosine
of their image vectors is at least this, by any of the pairs (docs/results.md)."""
TURNED = 12
"""So are those whose hashes differ in at most so many bits once one is turned or mirrored; an image
vector isn't the same then."""

TELLING = (16, 48)
"""Bits that are set in the hash of a photo that shows something: half of the 64, more or less."""
AT_ONCE = 2**22
"""Pairs of hashes that are compared at once."""

SIDE = 64
"""Pixels of a side of what is compared."""
BLOCK = 8
"""Pixels of a side of a place."""
BUSY = 3.0
"""Grey levels of 256 by which the pixels of a place must differ for it to show something."""
PLACES = 12
"""A photo of fewer such places, of the 64, shows too little to be compared."""
SAME = (0.93, 0.85)
"""Correlation of all of two copies, and the share of the places that must correlate too."""
CUT = (0.75, 0.60)
"""The same for a copy that was cut: its pixels fall between those of the whole."""
PLACE = 0.7
"""Correlation of a place in two copies."""
SCALES = (61, 58, 55, 51)
"""Sides of a cut copy within the whole's `SIDE`."""

Bits: TypeAlias = NDArray[np.uint64]
Floats: TypeAlias = NDArray[np.floating[Any]]


def turned(hashes: Bits) -> Bits:
    """Perceptual hashes [7, n] of photos [n] if they were mirrored and turned in every way."""
    return np.ascontiguousarray(perceptual.turned(hashes)[:, 1:].T)


def unturned(picture: Floats, how: int) -> Floats:
    """A picture [side, side], mirrored and turned as row `how` - 1 of `turned`; 0: as it is."""
    across, flip = divmod(how, 4)
    turned_ = picture.T if across else picture
    return turned_[:: -1 if flip & 2 else 1, :: -1 if flip & 1 else 1]


def alike(left: Bits, right: Bits, cosines: Floats) -> NDArray[np.bool_]:
    """Which pairs of photos may be copies of one another: by hashes [n], [n] and cosines [n].

    Two hashes of 64 bits and the cosine of two image vectors are all that a library needs to hold.
    """
    bits = np.bitwise_count(turned(left) ^ right[None]).min(axis=0)
    return np.asarray(upright(left, right, cosines) | (bits <= TURNED))


def upright(left: Bits, right: Bits, cosines: Floats) -> NDArray[np.bool_]:
    """Which pairs are alike as they are, neither turned nor mirrored."""
    bits = np.bitwise_count(left ^ right)
    near = np.zeros(np.broadcast(bits, cosines).shape, np.bool_)
    for most, least in ALIKE:
        near |= (bits <= most) & (cosines >= least)
    return near


def turned_pairs(hashes: Bits) -> NDArray[np.int64]:
    """Pairs of photos [n, 3] whose hashes are close once the first is turned, and how.

    A mirror keeps or turns all signs of a class of frequencies (even or odd down, even or odd
    across), so in one of the four classes two turned copies are nearly the same or nearly opposite.
    Photos are looked up by that, not compared each with each: copies of up to 8 different bits are
    all found, of 10 nine in ten. A hash with few bits set, or few unset, is a nearly empty photo's:
    it would be near to many, and tells nothing.
    """
    bits = np.bitwise_count(hashes)
    told = np.flatnonzero((bits >= TELLING[0]) & (bits <= TELLING[1]))
    different, member = np.unique(hashes[told], return_inverse=True)
    codes = np.unique(np.concatenate([*_turned_codes(different), np.empty(0, np.int64)]))
    left, right = np.divmod(codes, max(len(different), 1))
    left, right = _members(left, right, member)
    left, right = told[np.minimum(left, right)], told[np.maximum(left, right)]
    if not len(left):
        return np.empty((0, 3), np.int64)
    how = np.bitwise_count(turned(hashes[left]) ^ hashes[right]).argmin(axis=0) + 1
    return np.column_stack([left, right, how]).astype(np.int64)


def _turned_codes(hashes: Bits) -> Iterator[NDArray[np.int64]]:
    """Pairs of different hashes that are close once one is turned, each as left * n + right."""
    keys = []
    for one in (hashes, perceptual.transposed(hashes)):
        keys.append((_class(one, 0, 0), _class(hashes, 0, 0), 2))
        for odd in ((0, 1), (1, 0), (1, 1)):
            signs, sought = _class(one, *odd), _class(hashes, *odd)
            keys += [(signs, sought, 1), (~signs, sought, 1)]
    ways = turned(hashes)
    for left_keys, right_keys, most in keys:
        order = np.argsort(right_keys, kind="stable")
        starts = np.concatenate([[0], np.bincount(right_keys, minlength=2**16).cumsum()])
        for mask in (np.uint16(one) for one in range(2**16) if one.bit_count() <= most):
            for left, right in _lookup(left_keys ^ mask, order, starts):
                bits = np.bitwise_count(ways[:, left] ^ hashes[right]).min(axis=0, initial=64)
                close = bits <= TURNED
                yield np.unique(left[close] * len(hashes) + right[close])


def _members(
    left: NDArray[np.int64], right: NDArray[np.int64], member: NDArray[np.intp]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of hashes as pairs of photos, of which `member` tells the hash."""
    order = np.argsort(member, kind="stable")
    counts = np.bincount(member, minlength=1)
    starts = counts.cumsum() - counts
    repeats = counts[left] * counts[right]
    within = np.arange(repeats.sum()) - np.repeat(repeats.cumsum() - repeats, repeats)
    left, right = np.repeat(left, repeats), np.repeat(right, repeats)
    first, second = np.divmod(within, counts[right])
    one, other = order[starts[left] + first], order[starts[right] + second]
    apart = (left != right) | (one < other)
    return one[apart], other[apart]


def _lookup(
    keys: NDArray[np.uint16], order: NDArray[np.int64], starts: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Places of keys, and the places from there on that `order` has under the same key."""
    first = starts[keys]
    counts = starts[keys.astype(np.int64) + 1] - first
    total = counts.cumsum()
    begin = 0
    while begin < len(keys):
        before = total[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(total, before + AT_ONCE, side="right")))
        block = slice(begin, end)
        left = np.repeat(np.arange(begin, end), counts[block])
        within = np.arange(len(left)) - np.repeat(
            total[block] - counts[block] - before, counts[block]
        )
        right = order[np.repeat(first[block], counts[block]) + within]
        later = right >= left
        yield left[later], right[later]
        begin = end


def _class(hashes: Bits, down: int, across: int) -> NDArray[np.uint16]:
    """The 16 bits of hashes whose frequencies are even (0) or odd (1) down and across."""
    raw = hashes.astype(">u8").view(np.uint8).reshape(-1, 8, 1)
    bits = np.unpackbits(raw, axis=2)[:, down::2, across::2].reshape(-1, 16)
    return np.ascontiguousarray(np.packbits(bits, axis=1)).view(np.uint16).reshape(-1)


@dataclass(frozen=True)
class Appearance:
    """What a photo shows, small: grey uint8 [128, 128], its sides made equal."""

    grey: NDArray[np.uint8]

    @classmethod
    def empty(cls) -> "Appearance":
        """Of a photo that shows nothing."""
        return cls(np.zeros((2 * SIDE, 2 * SIDE), np.uint8))


def appearance(photo: Image.Image) -> Appearance:
    """What an RGB photo shows."""
    side, grey = 2 * SIDE, photo.convert("L")
    sharp = Image.Resampling.BOX if min(grey.size) >= 2 * side else Image.Resampling.BICUBIC
    return Appearance(np.asarray(grey.resize((side, side), sharp), np.uint8))


class Appearances:
    """What some photos show, ready to be compared."""

    def __init__(self, photos: Sequence[Appearance]) -> None:
        self._photos = photos
        self._details = np.empty((len(photos), SIDE, SIDE), np.float32)
        for number, photo in enumerate(photos):
            self._details[number] = _detail(_small(photo))
        energy = _places(self._details).std(axis=2)
        self.busy: NDArray[np.intp] = (energy > BUSY).sum(axis=1)
        """How many of its 64 places show something, by photo."""

    def copies(self, pairs: NDArray[np.int64]) -> Iterator[tuple[int, int, float]]:
        """Those of the pairs that are copies, and how surely: 0 to 1.

        Args:
            pairs: [n, 3]: two photos, and how the first is turned. A pair of which one shows too
                little is no copy.
        """
        chosen = pairs[(self.busy[pairs[:, :2]] >= PLACES).all(axis=1)]
        for left, right, how in chosen.tolist():
            sure = self.same(left, right, how)
            if sure:
                yield left, right, sure

    def same(self, left: int, right: int, how: int) -> float:
        """How surely two photos are copies, 0 (they aren't) to 1; the left one is turned `how`."""
        one, other = unturned(self._details[left], how), self._details[right]
        whole, share = _agreement(one, other)
        if whole >= SAME[0] and share >= SAME[1]:
            return whole
        return 0.0 if how else max(self._cut(left, right), self._cut(right, left))

    def _cut(self, whole: int, part: int) -> float:
        """How surely one photo is a part of another."""
        box = _box(self._details[whole], self._photos[part])
        picture = Image.fromarray(self._photos[whole].grey)
        found = picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=box)
        one = _detail(np.asarray(found, np.float32))
        correlation, share = _agreement(one, self._details[part])
        return correlation if correlation >= CUT[0] and share >= CUT[1] else 0.0


def _box(detail: Floats, part: Appearance) -> tuple[float, float, float, float]:
    """Where a part lies best in the whole, in pixels of `Appearance.grey`; of a few sizes."""
    best, box = -1.0, (0.0, 0.0, 2.0 * SIDE, 2.0 * SIDE)
    spectrum = np.fft.rfft2(detail)
    for side in SCALES:
        reduced = Image.fromarray(part.grey).resize((side, side), Image.Resampling.BOX)
        small = _detail(np.asarray(reduced, np.float32))
        padded = np.zeros((SIDE, SIDE), np.float32)
        padded[:side, :side] = small
        free = SIDE - side + 1
        product = np.fft.irfft2(spectrum * np.conj(np.fft.rfft2(padded)), (SIDE, SIDE))[
            :free, :free
        ]
        energy = _sums(detail * detail, side) * (small * small).sum()
        likeness = product / np.sqrt(np.maximum(energy, 1e-3))
        top, left = np.unravel_index(int(likeness.argmax()), likeness.shape)
        if likeness[top, left] > best:
            best = float(likeness[top, left])
            box = (2.0 * left, 2.0 * top, 2.0 * (left + side), 2.0 * (top + side))
    return box


def _agreement(one: Floats, other: Floats) -> tuple[float, float]:
    """Correlation of two details, and the share of their places that correlate."""
    whole = float((one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum() + 1e-6))
    if whole < CUT[0]:
        return whole, 0.0
    left, right = _places(one[None])[0], _places(other[None])[0]
    left, right = left - left.mean(axis=1)[:, None], right - right.mean(axis=1)[:, None]
    spread = left.std(axis=1), right.std(axis=1)
    busy = np.maximum(*spread) > BUSY
    likeness = (left * right).mean(axis=1) / np.maximum(spread[0] * spread[1], 1e-6)
    return whole, float((likeness[busy] > PLACE).mean()) if busy.any() else 0.0


def _small(photo: Appearance) -> Floats:
    return np.asarray(photo.grey.reshape(SIDE, 2, SIDE, 2).astype(np.float32).mean(axis=(1, 3)))


def _places(details: Floats) -> Floats:
    """Pictures [n, 64, 64] as places [n, 64, 64]."""
    count = SIDE // BLOCK
    cut = details.reshape(-1, count, BLOCK, count, BLOCK)
    return np.asarray(cut.transpose(0, 1, 3, 2, 4).reshape(-1, count * count, BLOCK * BLOCK))


def _detail(picture: Floats, radius: int = 6) -> NDArray[np.float32]:
    """A picture less its local mean: neither brightness nor gradients are left."""
    padded = np.pad(picture, radius, mode="edge").astype(np.float64)
    side = 2 * radius + 1
    less: NDArray[np.float32] = (picture - _sums(padded, side) / side**2).astype(np.float32)
    return less


def _sums(picture: Floats, side: int) -> Floats:
    """Sums of all squares of this side."""
    total = np.pad(picture.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    sums: Floats = (
        total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
    )
    return sums
