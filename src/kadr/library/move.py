"""Flow: a library -> the same library in another store, as from a file to a server.

What decides over showing comes first and assessments last, with their copies, so that a half-moved
library shows nothing that it shouldn't; nor does it answer until the move has ended.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice, zip_longest
from typing import TypeAlias, TypeVar

import numpy as np

from kadr.errors import LibraryError
from kadr.law import audit, calibration
from kadr.stores import IDS, MOVING, POLICY, SWITCHING, NewPhoto, Store
from kadr.types import Vectors

BATCH = 1000
NOTES = ("encoder", "model", "space", SWITCHING, POLICY, audit.COMPLETE, calibration.NOTE)
"""What is noted of a library and goes with it; secrets and seals stay."""
_DONE = "moving.done"
"""Key of the note that holds the digest of the last photo that was moved."""

Joint: TypeAlias = Callable[[Vectors], Vectors]
"""Maps encoder vectors [n, dim] into the joint space that the source is searched in."""
OnProgress: TypeAlias = Callable[[int, int], None]
"""Called with the number of photos moved, and their total."""
OnWait: TypeAlias = Callable[[str], None]
"""Called with the name of a library that is waited for."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Moved:
    """What a move brought: contents, files, and entries of the audit log."""

    photos: int
    files: int
    entries: int


def move(
    source: Store,
    target: Store,
    joint: Joint,
    progress: OnProgress,
    on_wait: OnWait | None = None,
) -> Moved:
    """Copy all that a library holds into an empty one, and compare both. The source stays.

    Stopped or killed, it is gone on with when it is called again. `on_wait` is called with the name
    of a library that another process writes to, before that one is waited for.

    Raises:
        LibraryError: both are the same library, the target holds another one, or both differ in the
            end.
    """
    _check_apart(source, target)
    with _turn(source, on_wait), _turn(target, on_wait):
        is_resumed = _claim(source, target)
        if is_resumed and _is_of_other_vectors(source, target):
            _empty(target)
        _put_all(source, target, joint, progress)
        differences = list(compare(source, target))
        if differences and is_resumed:  # the source has changed since
            _empty(target)
            _put_all(source, target, joint, progress)
            differences = list(compare(source, target))
        if differences:
            _empty(target)
            raise LibraryError(
                f"{target.name} isn't the same as {source.name}: {'; '.join(differences[:3])}. If "
                "somebody changed it meanwhile, run it again."
            )
        target.note(**{MOVING: None, _DONE: None})
        totals = target.totals()
        return Moved(totals.photos, totals.files, sum(1 for _ in target.entries()))


def _check_apart(source: Store, target: Store) -> None:
    """Raise LibraryError where both are one library: its own lock would be waited for for ever.

    A path may be spelled in many ways, and so may an address; the secret of ids is a library's own.
    """
    if source.meta(IDS) == target.meta(IDS):
        raise LibraryError(
            f"{target.name} is the same library as {source.name}, or a copy of it. Name a new one."
        )


def _turn(store: Store, on_wait: OnWait | None) -> AbstractContextManager[None]:
    """A turn to write; what may only be read needs none, for changes are found in the end."""
    if store.readonly:
        return nullcontext()
    return store.writing(None if on_wait is None else partial(on_wait, store.name))


def _put_all(source: Store, target: Store, joint: Joint, progress: OnProgress) -> None:
    _put_decisions(source, target)
    _put_photos(source, target, joint, progress)
    _put_files(source, target)
    _put_records(source, target)
    target.adopt_log(source.entries())


def _claim(source: Store, target: Store) -> bool:
    """Note whose content comes, where nothing is; or whether the same move was stopped."""
    moving = target.meta(MOVING)
    if moving == source.name:
        return True
    if moving is not None:
        raise LibraryError(f"{moving} was on its way to {target.name}. Go on with that one.")
    held = target.folders(), target.collections(), target.all_files(), target.entries()
    is_used = any(True for _ in chain(*held))
    if is_used:
        raise LibraryError(f"{target.name} isn't empty. Name a new library.")
    target.note(**{MOVING: source.name})
    return False


def _is_of_other_vectors(source: Store, target: Store) -> bool:
    return any(target.meta(key) not in {None, source.meta(key)} for key in ("encoder", "space"))


def _empty(target: Store) -> None:
    """Forget what has come but the audit log: what the source has lost since mustn't stay."""
    with target.durable():
        target.note(**{_DONE: None, POLICY: None})  # else it would be on record as forgotten
        for digest in target.all_rulings():
            target.set_ruling(digest, None)
        for batch in _batches(target.all_files()):
            target.mark([bytes(file.path) for file, _ in batch], missing=True)
        target.prune()
        target.sweep()
        for folder in target.folders():
            target.remove(folder)
        for folder in target.excluded():
            target.exclude(folder, [])
        target.set_distinct(target.distinct(), distinct=False)
        for name in target.collections():
            target.drop_collection(name)
        for encoder in target.vector_sets():
            target.drop_vectors(encoder)
        target.rescan(lambda vectors: vectors)  # of no vector: the next may be of another length


def _put_decisions(source: Store, target: Store) -> None:
    """Rulings and requests hold for contents, whether these are there yet or not."""
    with target.durable():
        rulings, requests = source.all_rulings(), source.requests()
        for digest in target.all_rulings().keys() | rulings:
            target.set_ruling(digest, rulings.get(digest))
        for digest in target.requests().keys() | requests:
            target.set_request(digest, requests.get(digest))
        target.note(**{key: source.meta(key) for key in NOTES})
        for folder in source.folders():
            target.add_folder(folder)
        for folder, patterns in source.excluded().items():
            target.exclude(folder, patterns)
        target.set_distinct(source.distinct(), distinct=True)
        for name, digests in _collections(source).items():
            target.make_collection(name)
            target.collect(name, digests, collected=True)


def _put_photos(source: Store, target: Store, joint: Joint, progress: OnProgress) -> None:
    last, total = target.meta(_DONE) or "", source.totals().photos
    done = 0
    for batch in _batches(source.all_photos(bytes.fromhex(last))):
        with target.durable():
            target.keep(_in_space(batch, joint), [])
            target.note(**{_DONE: batch[-1].digest.hex()})
        done += len(batch)
        progress(min(done, total), total)


def _in_space(photos: list[NewPhoto], joint: Joint) -> list[NewPhoto]:
    """Photos with their places in the joint space."""
    vectors = [photo.vector for photo in photos if photo.vector is not None]
    places = iter(joint(np.stack(vectors)) if vectors else ())
    return [
        photo if photo.vector is None else replace(photo, joint=next(places)) for photo in photos
    ]


def _put_files(source: Store, target: Store) -> None:
    for batch in _batches(source.all_files()):
        with target.durable():
            target.keep([], [file for file, _ in batch])
            target.mark([bytes(file.path) for file, missing in batch if missing], missing=True)


def _put_records(source: Store, target: Store) -> None:
    """Together: an assessment without its copies on record would show copies of hidden photos."""
    with target.durable():
        for batch in _batches(source.assessed()):
            target.keep_assessments(
                {
                    number: assessment
                    for digest, assessment in batch
                    if (number := target.number(digest)) is not None
                }
            )
        target.put_copies(source.copies())


def compare(source: Store, target: Store) -> Iterator[str]:
    """In what two libraries differ; numbers and secrets may."""
    for what, one, other in (
        ("photos", map(_of_photo, source.all_photos()), map(_of_photo, target.all_photos())),
        ("files", source.all_files(), target.all_files()),
        ("copies", source.copies(), target.copies()),
        ("entries of the audit log", source.entries(), target.entries()),
    ):
        if any(left != right for left, right in zip_longest(one, other)):
            yield f"{what} differ"
    for what, left, right in (
        ("folders", set(source.folders()), set(target.folders())),
        ("exclusions", source.excluded(), target.excluded()),
        ("distinct photos", source.distinct(), target.distinct()),
        ("collections", _collections(source), _collections(target)),
        ("decisions", source.all_rulings(), target.all_rulings()),
        ("requests", source.requests(), target.requests()),
        ("assessments", _sum(source.assessed()), _sum(target.assessed())),
        ("counts", _counts(source), _counts(target)),
    ):
        if left != right:
            yield f"{what} differ"
    yield from (problem for problem in (*target.check(), *target.log_problems()))


def _collections(store: Store) -> dict[str, set[str]]:
    return {name: store.collected(name) for name in store.collections()}


def _of_photo(photo: NewPhoto) -> tuple[object, ...]:
    vector = None if photo.vector is None else photo.vector.tobytes()
    others = {encoder: one.tobytes() for encoder, one in photo.others.items()}
    said = photo.facts, photo.picture
    return photo.digest, photo.problem, said, photo.hash, photo.parts, vector, others


def _sum(rows: Iterable[object]) -> int:
    """The same for the same rows in whichever order, without holding them."""
    digests = (hashlib.sha256(repr(row).encode("utf-8", "backslashreplace")) for row in rows)
    return sum(int.from_bytes(one.digest()) for one in digests) % 2**256


def _counts(store: Store) -> tuple[int, ...]:
    totals = store.totals()
    return totals.photos, totals.files, totals.copies, totals.missing, totals.problems


def _batches(rows: Iterable[T]) -> Iterator[list[T]]:
    left = iter(rows)
    while batch := list(islice(left, BATCH)):
        yield batch
