"""The bin: photos that were deleted lie there until it is emptied, in a hidden folder beside them.

Each lies in a folder of its own, at the path that it had below the library's folder:
`.kadr-bin/ID/2024/beach.jpg`. So the file system alone says what is in the bin, and a move is one
rename: whatever ends it, the photo lies where it lay or in the bin. The library knows its file as
missing meanwhile, with all that it holds of it, the law's word too.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from uuid import uuid4

from kadr.errors import LibraryError
from kadr.photos import films
from kadr.photos.objects import is_object
from kadr.stores import POLICY, Store

FOLDER = ".kadr-bin"
"""Its name, in a folder of the library; indexing passes over what is hidden."""
CONTENT = "bin.{}"
"""Key of the note of the content in an entry: another photo may have its name by now."""
ORIGINALS = "bin.originals"
"""Key of the note that says that photos of all folders may be deleted; else only uploads are."""
_ID = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Binned:
    """A file in the bin: where it lies, where it lay, when it was deleted (ISO 8601, UTC), bytes.

    `photo` is its number and `digest` its content's, None where the library has forgotten it.
    """

    id: str
    path: Path
    origin: Path
    deleted: str
    bytes: int
    photo: int | None
    digest: str | None


class NotAllowedError(LibraryError):
    """A photo that was there before the service came may not be deleted."""


def check(store: Store, paths: Sequence[Path], uploads: Path | None) -> None:
    """Whether a photo's files may be deleted.

    Raises:
        NotAllowedError: one is no upload, and the library's owner hasn't allowed more; or it is in
            an object store, or a frame of a film.
    """
    if any(films.frame_named(path) for path in paths):
        raise NotAllowedError("This is a frame of a film. Delete the film in its folder.")
    if any(map(is_object, paths)):
        raise NotAllowedError("This photo is in an object store. Delete it there.")
    if store.meta(ORIGINALS) is None and any(path.parent != uploads for path in paths):
        raise NotAllowedError(
            "This photo wasn't uploaded. Delete it in its folder, or let the library's owner allow "
            "it: kadr library bin --originals"
        )


def put(store: Store, digest: str, paths: Sequence[Path]) -> None:
    """Move a photo's files into the bin, and take it out of all answers.

    Raises:
        LibraryError: one can't be moved; what was moved before it stays in the bin.
    """
    with store.durable():
        store.mark([os.fsencode(path) for path in paths], missing=True)
        _record(store, "binned", [digest])
        for path in paths:
            root, entry = _root(store, path), uuid4().hex
            store.note(**{CONTENT.format(entry): digest})
            _move(path, root / FOLDER / entry / path.relative_to(root), root)


def listed(store: Store, entry: str | None = None) -> list[Binned]:
    """What is in the bin, the latest first; with `entry`, what has this id."""
    found = [one for root in _roots(store) for one in _in(store, root, entry)]
    return sorted(found, key=lambda one: (one.deleted, one.id), reverse=True)


def restore(store: Store, one: Binned) -> Path:
    """Move a file back to where it lay, beside what lies there by now; where it is.

    The library finds it there at once if nothing changed, else when its folder is indexed.

    Raises:
        LibraryError: it can't be moved.
    """
    target = _free(one.origin)
    _move(one.path, target, _root(store, one.origin))
    _tidy(store, one)
    with store.durable():
        if target == one.origin and one.digest and store.digest_at(target) == one.digest:
            store.mark([os.fsencode(target)], missing=False)
        _record(store, "restored", _digests(store, [one]))
    return target


def empty(store: Store, chosen: Sequence[Binned]) -> int:
    """Delete what lies in the bin for good; how many files.

    Raises:
        LibraryError: one can't be deleted; those before it are gone.
    """
    digests = _digests(store, chosen)
    for one in chosen:
        try:
            one.path.unlink(missing_ok=True)
        except OSError as error:
            raise _denied(one.path, error) from error
        _tidy(store, one)
    with store.durable():
        _record(store, "emptied", digests)
        store.forget([one.origin for one in chosen if _is_missing(store, one.origin)])
    return len(chosen)


def _record(store: Store, event: str, digests: Sequence[str]) -> None:
    if digests and store.meta(POLICY) is not None:  # where a law was in force, it is on record
        store.record(event, {"photos": list(digests)})


def _digests(store: Store, chosen: Sequence[Binned]) -> list[str]:
    numbers = dict.fromkeys((one.photo for one in chosen if one.photo is not None), ())
    return sorted(photo.digest for photo in store.stored(numbers).values())


def _roots(store: Store) -> list[Path]:
    return [folder for folder in store.folders() if not is_object(folder)]


def _root(store: Store, path: Path) -> Path:
    """The folder of the library that a file lies in, whose bin is its own."""
    return next((root for root in _roots(store) if path.is_relative_to(root)), path.parent)


def _in(store: Store, root: Path, entry: str | None) -> Iterator[Binned]:
    try:
        folders = [one for one in (root / FOLDER).iterdir() if _ID.fullmatch(one.name)]
    except OSError:  # there is none, or its disk isn't there
        return
    for folder in folders:
        if entry not in {None, folder.name} or not _is_inside(folder, root):
            continue
        digest = store.meta(CONTENT.format(folder.name))
        number = None if digest is None else store.number(digest)
        known = None if number is None else digest
        for path in sorted(_files(folder)):
            origin, status = root / path.relative_to(folder), folder.stat()
            deleted = datetime.fromtimestamp(status.st_mtime, UTC).isoformat(timespec="seconds")
            yield Binned(folder.name, path, origin, deleted, path.stat().st_size, number, known)


def _files(folder: Path) -> Iterator[Path]:
    """All plain files below a folder; links aren't followed."""
    for parent, _, names in os.walk(folder):
        for path in (Path(parent, name) for name in names):
            if path.is_file() and not path.is_symlink():
                yield path


def _is_inside(path: Path, root: Path) -> bool:
    """Whether no link on the way leads out of a folder; what isn't there yet leads nowhere."""
    return path.resolve() == root.resolve() / path.relative_to(root)


def _is_missing(store: Store, path: Path) -> bool:
    """Whether the library knows a file of this path that is gone."""
    return store.state(path) is not None and not os.path.lexists(path)


def _free(path: Path) -> Path:
    """The path, or one with a number where something lies there."""
    if not os.path.lexists(path):
        return path
    names = (path.with_stem(f"{path.stem} ({number})") for number in count(2))
    return next(one for one in names if not os.path.lexists(one))


def _move(path: Path, target: Path, root: Path) -> None:
    if not (_is_inside(path.parent, root) and _is_inside(target.parent, root)):
        raise LibraryError(f"{path.name}: a link is on its way. Move it by hand.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    except OSError as error:
        raise _denied(path, error) from error


def _denied(path: Path, error: OSError) -> LibraryError:
    return LibraryError(f"{path.name}: can't be moved or deleted ({error.strerror or error}).")


def _tidy(store: Store, one: Binned) -> None:
    """Remove the folders that held a file; one that isn't empty stays."""
    for folder in one.path.parents:
        try:
            folder.rmdir()
        except OSError:
            return
        if folder.name == one.id:
            store.note(**{CONTENT.format(one.id): None})
        if folder.name == FOLDER:
            return
