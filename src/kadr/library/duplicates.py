"""Flow: library -> groups of photos that are copies of one another; deletes nothing.

Whoever deletes what is spare loses nothing: each photo of a group is compared with every other, by
what the files show now, and a spare one has nothing that the kept one lacks.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TypeAlias

import numpy as np
import simsimd
from numpy.typing import NDArray

from kadr.errors import ImageError, LibraryError
from kadr.law import verdict
from kadr.law.policy import Policy
from kadr.library import likeness
from kadr.library.keeping import Version, keeps_all, rank, version
from kadr.library.likeness import Appearance, Appearances
from kadr.photos import files, images
from kadr.stores import Store, Stored, rounded

OnProgress: TypeAlias = Callable[[int, int], None]
"""Called with the photos compared and their total."""
Pair: TypeAlias = tuple[int, int, int]
"""Two places in a list of photos, and how the first is turned to look like the second."""
ROWS = 256
"""Photos compared with all others at once."""
EVEN = 4
"""Bits of 16 by which the even frequencies of turned copies differ at most."""
WHOLE = 2**16
"""A side at which no photo is decoded smaller than it is."""


@dataclass(frozen=True, slots=True)
class Group:
    """Photos that are copies of one another, the one to keep first.

    `spare` are paths of which each may be deleted while the first path is kept.
    """

    photos: tuple[Stored, ...]
    spare: tuple[Path, ...] = ()


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


def set_distinct(store: Store, photos: Sequence[Path], *, distinct: bool = True) -> None:
    """Remember that photos are no duplicates of one another, or take that back.

    Raises:
        LibraryError: one isn't in the library.
    """
    digests = []
    for path in photos:
        digest = store.digest_at(path)
        if digest is None:
            raise LibraryError(f"{path}: not in the library. Name a photo that is: kadr duplicates")
        digests.append(digest)
    pairs = [pair for pair in combinations(digests, 2) if pair[0] != pair[1]]
    if not pairs:
        raise LibraryError("Name two different photos or more that are no duplicates.")
    store.set_distinct(pairs, distinct=distinct)


def _find(store: Store, policy: Policy, on_progress: OnProgress | None) -> list[Group]:
    numbers, hashes = store.hashes()
    hidden = verdict.hidden(store, policy, numbers.tolist())
    shown = np.array([number not in hidden for number in numbers.tolist()], np.bool_)
    numbers, hashes = numbers[shown], hashes[shown]
    candidates = [
        (int(numbers[left]), int(numbers[right]), how)
        for left, right, how in _candidates(store, numbers, hashes, on_progress)
    ]
    paths = store.present(numbers.tolist())
    several = {number for number, of in paths.items() if len(of) > 1}
    wanted = several.union(*((left, right) for left, right, _ in candidates))
    photos = store.stored({n: _apart(store, paths[n]) for n in sorted(wanted & paths.keys())})
    photos = {number: photo for number, photo in photos.items() if photo.paths}
    edges = _copies(photos, candidates, store.distinct())
    groups = [_group([photos[n] for n in clique]) for clique in _cliques(sorted(photos), edges)]
    groups = [group for group in groups if sum(len(photo.paths) for photo in group.photos) > 1]
    return sorted(groups, key=lambda group: (-len(group.photos), group.photos[0].paths[0]))


def _apart(store: Store, paths: Iterable[Path]) -> tuple[Path, ...]:
    """Paths of different files that are as they were indexed.

    Of several links to one file one is left, if possible no symbolic link: else whoever deletes all
    but the first of a group deletes the file, and keeps a link to nothing.
    """
    by_inode: dict[tuple[int, int], Path] = {}
    for path in sorted(paths, key=lambda one: (os.path.islink(one), one)):  # noqa: PTH114
        try:
            status = path.stat()
        except OSError:
            continue
        if files.stamp(status) == store.state(path):
            by_inode.setdefault((status.st_dev, status.st_ino), path)
    return tuple(sorted(by_inode.values()))


def _group(photos: Sequence[Stored]) -> Group:
    """A group in order, and what of it is spare."""
    versions: Mapping[Path, Version] = {
        path: version(photo, path) for photo in photos for path in photo.paths
    }
    ordered = []
    for photo in photos:
        best = sorted(photo.paths, key=lambda path: rank(versions[path]))
        ordered.append((rank(versions[best[0]]), best, photo))
    ordered.sort(key=lambda one: (one[0], -len(one[1]), str(one[1][0])))
    kept, *others = (path for _, best, _ in ordered for path in best)
    spare = tuple(path for path in others if keeps_all(versions[kept], versions[path]))
    whole = (
        Stored(photo.id, photo.digest, photo.facts, photo.hash, tuple(best))
        for _, best, photo in ordered
    )
    return Group(tuple(whole), spare)


# Candidates, by what the library holds.


def _candidates(
    store: Store,
    numbers: NDArray[np.int64],
    hashes: NDArray[np.uint64],
    on_progress: OnProgress | None,
) -> list[Pair]:
    """Pairs of places among `numbers` that are alike (`likeness.alike`)."""
    parts = [(photos, rounded(rows)) for photos, rows in store.every_vector()]
    if not parts or not len(numbers):
        return []
    kept = np.isin(np.concatenate([photos for photos, _ in parts]), numbers)
    vectors = np.concatenate([bytes_ for _, (_, bytes_) in parts])[kept]
    inverse = 1 / np.linalg.norm(vectors.astype(np.float32), axis=1).clip(1e-6)
    turned = likeness.turned(hashes)
    even = [_even(hashes), _even(turned[3])]
    least = min(cosine for _, cosine in likeness.ALIKE)
    pairs: list[Pair] = []
    for start in range(0, len(vectors), ROWS):
        block = slice(start, start + ROWS)
        dots = simsimd.cdist(vectors[block], vectors[start:], metric="dot", out_dtype="f32")
        cosines = np.asarray(dots) * inverse[block, None]
        cosines *= inverse[None, start:]
        left, right = np.nonzero(cosines >= least)
        later = right > left
        left, right = left[later], right[later]
        near = likeness.upright(hashes[start + left], hashes[start + right], cosines[left, right])
        upright = set(
            zip((left[near] + start).tolist(), (right[near] + start).tolist(), strict=True)
        )
        pairs += [(*pair, 0) for pair in upright]
        pairs += [pair for pair in _turned(hashes, turned, even, start) if pair[:2] not in upright]
        if on_progress:
            on_progress(min(start + ROWS, len(vectors)), len(vectors))
    return pairs


def _turned(
    hashes: NDArray[np.uint64],
    turned: NDArray[np.uint64],
    even: Sequence[NDArray[np.uint16]],
    start: int,
) -> list[Pair]:
    """Pairs of a block's photos with later ones whose hashes are close once one is turned."""
    near = [
        np.bitwise_count(signs[start : start + ROWS, None] ^ even[0][None, start:]) <= EVEN
        for signs in even
    ]
    left, right = np.nonzero(near[0] | near[1])
    later = right > left
    left, right = left[later] + start, right[later] + start
    bits = np.bitwise_count(turned[:, left] ^ hashes[right])
    how, close = bits.argmin(axis=0) + 1, bits.min(axis=0) <= likeness.TURNED
    chosen = (left[close].tolist(), right[close].tolist(), how[close].tolist())
    return list(zip(*chosen, strict=True))


def _even(hashes: NDArray[np.uint64]) -> NDArray[np.uint16]:
    """The 16 bits of hashes that are even frequencies both ways: a mirror keeps their signs."""
    bits = np.unpackbits(hashes.astype(">u8").view(np.uint8).reshape(-1, 8, 1), axis=2)
    even = np.packbits(bits[:, ::2, ::2].reshape(-1, 16), axis=1)
    return np.ascontiguousarray(even).view(np.uint16).reshape(-1)


# Copies, by what the files show.


def _copies(
    photos: Mapping[int, Stored], candidates: Sequence[Pair], distinct: set[tuple[str, str]]
) -> dict[tuple[int, int], float]:
    """Those pairs that are copies, and how surely."""
    pairs = [
        (left, right, how)
        for left, right, how in candidates
        if left in photos and right in photos
        and not _are_distinct(photos[left], photos[right], distinct)
    ]  # fmt: skip
    among = sorted({number for left, right, _ in pairs for number in (left, right)})
    with ThreadPoolExecutor(thread_name_prefix="decode") as pool:
        shown = list(pool.map(_appearance, (photos[number].paths[0] for number in among)))
    looks = Appearances([one or Appearance.empty() for one in shown])
    place = {number: at for at, number in enumerate(among) if shown[at] is not None}
    empty = {n for n in place if looks.busy[place[n]] < likeness.PLACES}
    equal = _pixels({n: photos[n] for n in empty})
    edges = {}
    for left, right, how in pairs:
        if left in empty and right in empty:
            sure = float(equal.get(left, left) == equal.get(right, right))
        elif left in place and right in place:
            sure = looks.same(place[left], place[right], how)
        else:
            continue
        if sure:
            edges[min(left, right), max(left, right)] = sure
    return edges


def _are_distinct(one: Stored, other: Stored, distinct: set[tuple[str, str]]) -> bool:
    """Whether a person called them no duplicates, or one camera took them at different moments."""
    if (min(one.digest, other.digest), max(one.digest, other.digest)) in distinct:
        return True
    moments = one.facts.taken, other.facts.taken
    same_camera = one.facts.camera is not None and one.facts.camera == other.facts.camera
    return same_camera and None not in moments and moments[0] != moments[1]


def _appearance(path: Path) -> Appearance | None:
    try:
        return likeness.appearance(images.decode(path, 4 * likeness.SIDE))
    except ImageError:
        return None


def _pixels(photos: Mapping[int, Stored]) -> dict[int, object]:
    """What all pixels of photos are; equal for equal ones. Of those that may have an equal one."""
    sizes: dict[tuple[int, int], list[int]] = {}
    for number, photo in photos.items():
        sizes.setdefault((photo.facts.width, photo.facts.height), []).append(number)
    found: dict[int, object] = {}
    for numbers in sizes.values():
        for number in numbers if len(numbers) > 1 else ():
            try:
                whole = images.decode(photos[number].paths[0], WHOLE)
            except ImageError:
                continue
            found[number] = whole.size, files.digest(whole.tobytes())
    return found


# Groups of which every pair are copies.


def _cliques(photos: Sequence[int], edges: Mapping[tuple[int, int], float]) -> list[list[int]]:
    """Photos in groups, the surest pairs first: a group grows while all its pairs are edges.

    Complete linkage, as D. Defays' (1977); a set is a whole number, a bit for each photo.
    """
    bit = {photo: 1 << place for place, photo in enumerate(photos)}
    near = dict.fromkeys(photos, 0)
    for left, right in edges:
        near[left] |= bit[right]
        near[right] |= bit[left]
    group = {photo: [photo] for photo in photos}
    members = {photo: bit[photo] for photo in photos}
    common = {photo: near[photo] | bit[photo] for photo in photos}
    for left, right in sorted(edges, key=lambda pair: (-edges[pair], pair)):
        one, other = group[left], group[right]
        first, second = one[0], other[0]
        if one is other or members[second] & ~common[first]:
            continue
        one += other
        members[first] |= members[second]
        common[first] &= common[second]
        for photo in other:
            group[photo] = one
    return [list(one) for one in {id(one): one for one in group.values()}.values()]
