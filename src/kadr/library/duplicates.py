"""Flow: library -> groups of photos that are copies of one another; deletes nothing.

Whoever deletes what is spare loses nothing: each photo of a group is compared with every other, by
what the files show now, and a spare one has nothing that the kept one lacks.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
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
from kadr.library.keeping import Companions, Version, keeps_all, rank, version
from kadr.library.likeness import Appearance, Appearances
from kadr.photos import files, films, images, reader
from kadr.photos.objects import is_object
from kadr.stores import Store, Stored, check_whole, rounded

OnProgress: TypeAlias = Callable[[int, int], None]
"""Called with the photos compared and their total."""
Pairs: TypeAlias = NDArray[np.int64]
"""Rows [n, 3] of two photos, and how the first is turned to look like the second."""
ROWS = 256
"""Photos compared with all others at once."""
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
        check_whole(store)
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
    candidates = _candidates(store, numbers, hashes, on_progress)
    candidates[:, :2] = numbers[candidates[:, :2]]
    paths = store.present(numbers.tolist())
    several = {number for number, of in paths.items() if len(of) > 1}
    wanted = several.union(np.unique(candidates[:, :2]).tolist()) & paths.keys()
    photos = store.stored({number: _apart(store, paths[number]) for number in sorted(wanted)})
    photos = {number: photo for number, photo in photos.items() if photo.paths}
    edges = _copies(photos, candidates, store.distinct())
    cliques = ([photos[n] for n in clique] for clique in _cliques(sorted(photos), edges))
    companions = Companions()
    groups = [
        _group(clique, companions)
        for clique in cliques
        if sum(len(photo.paths) for photo in clique) > 1
    ]
    return sorted(groups, key=lambda group: (-len(group.photos), group.photos[0].paths[0]))


def _apart(store: Store, paths: Iterable[Path]) -> tuple[Path, ...]:
    """Paths of different files that are as they were indexed.

    Of several links to one file one is left, if possible no symbolic link: else whoever deletes all
    but the first of a group deletes the file, and keeps a link to nothing.
    """
    by_inode: dict[object, Path] = {}
    for path in sorted(paths, key=lambda one: (os.path.islink(one), one)):  # noqa: PTH114
        if is_object(path):  # it has no links, and to ask for each would take long
            by_inode[path] = path
            continue
        try:
            status = films.file_of(path).stat()
        except OSError:
            continue
        if files.stamp(status) == store.state(path):
            by_inode.setdefault((status.st_dev, status.st_ino), path)
    return tuple(sorted(by_inode.values()))


def _group(photos: Sequence[Stored], companions: Companions) -> Group:
    """A group in order, and what of it is spare."""
    versions: Mapping[Path, Version] = {
        path: version(photo, path, companions) for photo in photos for path in photo.paths
    }
    ordered = []
    for photo in photos:
        best = sorted(photo.paths, key=lambda path: rank(versions[path]))
        ordered.append((rank(versions[best[0]]), best, photo))
    ordered.sort(key=lambda one: (one[0], -len(one[1]), str(one[1][0])))
    kept, *others = (path for _, best, _ in ordered for path in best)
    spare = tuple(
        path
        for path in others
        if not (is_object(path) or films.frame_named(path))
        and keeps_all(versions[kept], versions[path])
    )
    whole = tuple(replace(photo, paths=tuple(best)) for _, best, photo in ordered)
    return Group(whole, spare)


# Candidates, by what the library holds.


def _candidates(
    store: Store,
    numbers: NDArray[np.int64],
    hashes: NDArray[np.uint64],
    on_progress: OnProgress | None,
) -> Pairs:
    """Pairs of places among `numbers` that are alike (`likeness.alike`)."""
    parts = [(photos, rounded(rows)) for photos, rows in store.every_vector()]
    if not parts or not len(numbers):
        return np.empty((0, 3), np.int64)
    kept = np.isin(np.concatenate([photos for photos, _ in parts]), numbers)
    vectors = np.concatenate([bytes_ for _, (_, bytes_) in parts])[kept]
    lengths = np.linalg.norm(vectors.astype(np.float32), axis=1).clip(1e-6)
    least = min(cosine for _, cosine in likeness.ALIKE)
    pairs = [likeness.turned_pairs(hashes)]
    for start in range(0, len(vectors), ROWS):
        block = slice(start, start + ROWS)
        products = simsimd.cdist(vectors[block], vectors[start:], metric="dot", out_dtype="f32")
        dots: NDArray[np.float32] = np.asarray(products)
        near = np.flatnonzero(dots >= np.outer(least * lengths[block], lengths[start:]))
        left, right = np.divmod(near, dots.shape[1])
        later = right > left
        cosines = dots[left[later], right[later]]
        left, right = left[later] + start, right[later] + start
        cosines /= lengths[left] * lengths[right]
        alike = likeness.upright(hashes[left], hashes[right], cosines)
        left, right = left[alike], right[alike]
        pairs.append(np.column_stack([left, right, np.zeros_like(left)]))
        if on_progress:
            on_progress(min(start + ROWS, len(vectors)), len(vectors))
    return np.concatenate(pairs)


# Copies, by what the files show.


def _copies(
    photos: Mapping[int, Stored], candidates: Pairs, distinct: set[tuple[str, str]]
) -> dict[tuple[int, int], float]:
    """Those pairs that are copies, and how surely."""
    pairs = candidates[np.isin(candidates[:, :2], np.array(sorted(photos), np.int64)).all(axis=1)]
    pairs = pairs[~_shots(photos, pairs)]  # a thousand frames of a series are a million pairs
    among = np.unique(pairs[:, :2])
    with ThreadPoolExecutor(thread_name_prefix="decode") as pool:
        shown = list(pool.map(_appearance, (photos[n].paths[0] for n in among.tolist())))
    looks = Appearances([one or Appearance.empty() for one in shown])
    places = np.searchsorted(among, pairs[:, :2])
    copies = looks.copies(np.column_stack([places, pairs[:, 2]]))
    empty = among[looks.busy < likeness.PLACES].tolist()
    edges = {}
    for left, right, sure in [
        *((int(among[left]), int(among[right]), sure) for left, right, sure in copies),
        *((left, right, 1.0) for left, right in _equal({n: photos[n] for n in empty})),
    ]:
        ends = photos[left].digest, photos[right].digest
        if (min(ends), max(ends)) not in distinct:
            edges[min(left, right), max(left, right)] = sure
    return edges


def _shots(photos: Mapping[int, Stored], pairs: Pairs) -> NDArray[np.bool_]:
    """Which pairs one camera took at different moments: two shots, no copies; or one film."""
    numbers, places = np.unique(pairs[:, :2], return_inverse=True)
    film = [photos[n].digest[: films.PREFIX] for n in numbers.tolist()]
    _, sources = np.unique(film, return_inverse=True)
    facts = [photos[number].facts for number in numbers.tolist()]
    known = np.array([one.camera is not None and one.taken is not None for one in facts], np.bool_)
    _, cameras = np.unique([one.camera or "" for one in facts], return_inverse=True)
    _, moments = np.unique([one.taken or "" for one in facts], return_inverse=True)
    left, right = places.reshape(-1, 2).T
    same_camera = known[left] & known[right] & (cameras[left] == cameras[right])
    shots = same_camera & (moments[left] != moments[right])
    return np.asarray(shots | (sources[left] == sources[right]))


def _appearance(path: Path) -> Appearance | None:
    try:
        return likeness.appearance(reader.read(path, 4 * likeness.SIDE)[0])
    except ImageError:
        return None


def _equal(photos: Mapping[int, Stored]) -> Iterator[tuple[int, int]]:
    """Pairs of photos whose pixels are all equal."""
    sizes: dict[tuple[int, int], list[int]] = {}
    for number, photo in photos.items():
        if is_object(photo.paths[0]):  # as many bytes as there are photos would be fetched
            continue
        sizes.setdefault((photo.facts.width, photo.facts.height), []).append(number)
    for numbers in sizes.values():
        equal: dict[str, list[int]] = {}
        for number in numbers if len(numbers) > 1 else ():
            with suppress(ImageError):
                whole = images.decode(photos[number].paths[0], WHOLE)
                equal.setdefault(files.digest(whole.tobytes()), []).append(number)
        for together in equal.values():
            yield from combinations(together, 2)


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
