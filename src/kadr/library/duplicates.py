"""Flow: library -> groups of photos that show the same, copies and near ones; deletes nothing."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import simsimd
from numpy.typing import NDArray

from kadr.law import verdict
from kadr.law.policy import Policy
from kadr.stores import Store, Stored, rounded

ALIKE = ((10, 0.60), (18, 0.88), (64, 0.965))
"""Two photos are near duplicates where their perceptual hashes differ in at most so many bits and
the cosine of their image vectors is at least this, by any of the pairs: the same photo in other
colours, cut or shifted a little, mirrored (docs/results.md)."""
OnProgress: TypeAlias = Callable[[int, int], None]
"""Called with the photos compared and their total."""
ROWS = 256
"""Photos compared with all others at once."""


@dataclass(frozen=True, slots=True)
class Group:
    """Photos that show the same: the biggest first, in pixels, then the one with most copies."""

    photos: tuple[Stored, ...]


def find_duplicates(
    store: Store, policy: Policy, on_progress: OnProgress | None = None
) -> list[Group]:
    """Groups of equal and nearly equal photos, the largest groups first.

    Args:
        store: the library.
        policy: the photos that it hides are in no group.
        on_progress: called as photos are compared.
    """
    with store.reading():  # else another process may take a photo away between two questions
        return _find(store, policy, on_progress)


def _find(store: Store, policy: Policy, on_progress: OnProgress | None) -> list[Group]:
    numbers, hashes = store.hashes()
    hidden = verdict.hidden(store, policy, numbers.tolist())
    shown = np.array([number not in hidden for number in numbers.tolist()], np.bool_)
    numbers, hashes = numbers[shown], hashes[shown]
    pairs = _near(store, numbers, hashes, on_progress)
    member = _components(len(numbers), pairs)
    sizes = np.bincount(member, minlength=1)
    present = store.present(numbers.tolist())
    several = {number for number, paths in present.items() if len(paths) > 1}
    wanted = {n: present[n] for n, m in zip(numbers.tolist(), member.tolist(), strict=True)
              if n in present and (sizes[m] > 1 or n in several)}  # fmt: skip
    photos = store.stored({number: _apart(paths) for number, paths in wanted.items()})
    groups: dict[int, list[Stored]] = {}
    for number, group in zip(numbers.tolist(), member.tolist(), strict=True):
        if number in photos and photos[number].paths:
            groups.setdefault(group, []).append(photos[number])
    ordered = [Group(tuple(sorted(group, key=_size))) for group in groups.values()]
    several_files = [group for group in ordered if sum(len(p.paths) for p in group.photos) > 1]
    return sorted(several_files, key=lambda group: (-len(group.photos), group.photos[0].paths[0]))


def _apart(paths: tuple[Path, ...]) -> tuple[Path, ...]:
    """Paths of different files: of several links to one file, one that is no symbolic link.

    Else whoever deletes all but the first of a group deletes the file, and keeps a link to nothing.
    """
    by_inode: dict[tuple[int, int], Path] = {}
    for path in sorted(paths, key=lambda one: (os.path.islink(one), one)):  # noqa: PTH114
        with suppress(OSError):
            status = path.stat()
            by_inode.setdefault((status.st_dev, status.st_ino), path)
    return tuple(sorted(by_inode.values()))


def _size(photo: Stored) -> tuple[int, int, str]:
    return -photo.facts.width * photo.facts.height, -len(photo.paths), str(photo.paths[0])


def _near(
    store: Store,
    numbers: NDArray[np.int64],
    hashes: NDArray[np.uint64],
    on_progress: OnProgress | None,
) -> NDArray[np.intp]:
    """Pairs [n, 2] of places among `numbers` that are near duplicates."""
    parts = [(photos, rounded(rows)) for photos, rows in store.every_vector()]
    if not parts or not len(numbers):
        return np.empty((0, 2), np.intp)
    kept = np.isin(np.concatenate([photos for photos, _ in parts]), numbers)
    vectors = np.concatenate([bytes_ for _, (_, bytes_) in parts])[kept]
    lengths = np.linalg.norm(vectors.astype(np.float32), axis=1).clip(1e-6)
    pairs = []
    for start in range(0, len(vectors), ROWS):
        block = slice(start, start + ROWS)
        dots = simsimd.cdist(vectors[block], vectors[start:], metric="dot", out_dtype="f32")
        cosines = np.asarray(dots) / lengths[block, None] / lengths[None, start:]
        left, right = np.nonzero(cosines >= min(cosine for _, cosine in ALIKE))
        later = right > left
        left, right = left[later], right[later]
        bits = np.bitwise_count(hashes[start + left] ^ hashes[start + right])
        likeness = cosines[left, right]
        near = np.zeros(len(left), np.bool_)
        for most, least in ALIKE:
            near |= (bits <= most) & (likeness >= least)
        pairs.append(np.stack([left[near], right[near]], axis=1) + start)
        if on_progress:
            on_progress(min(start + ROWS, len(vectors)), len(vectors))
    return np.concatenate(pairs)


def _components(count: int, pairs: NDArray[np.intp]) -> NDArray[np.int32]:
    """The group of each of `count` places that pairs join."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(len(pairs), np.int8)
    graph = coo_array((ones, (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], np.int32)
