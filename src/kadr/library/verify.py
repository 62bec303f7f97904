"""Flow: library -> what is wrong in its file, and which photos aren't what they were."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from kadr.law import proof
from kadr.photos import files, films, object_store
from kadr.photos.images import MAX_BYTES
from kadr.photos.objects import ObjectPath, is_object
from kadr.stores import Store


def verify(store: Store, on_progress: Callable[[int, int], None] | None = None) -> Iterator[str]:
    """What is wrong in the library's file, where it isn't as its log says, and which files changed.

    Reads every file again. `on_progress` is called with the files read and their total.
    """
    yield from store.check()
    yield from proof.verify(store)
    contents = list(store.contents())
    for done, (path, size, modified, digest) in enumerate(contents, start=1):
        try:
            actual, state = _object(path) if is_object(path) else _file(path)
        except OSError as error:
            yield f"{path}: can't be read ({object_store.line(error)})"
        else:
            if actual != digest and object_store.is_same((size, modified), state):
                yield f"{path}: its content changed without a trace; a copy may be better"
            elif actual != digest:
                yield f"{path}: changed since it was indexed. Run kadr index."
        if on_progress:
            on_progress(done, len(contents))


def _file(path: Path) -> tuple[str, files.State]:
    """Digest and state of a file."""
    if films.frame(path) is not None:
        state = files.state(path)
        if state is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return files.digest(path), state
    with files.opened(path) as file:
        status = os.fstat(file.fileno())
        return files.digest(file), files.stamp(status)


def _object(path: ObjectPath) -> tuple[str, files.State | None]:
    """The same of an object."""
    content = object_store.fetched(path, MAX_BYTES)
    return files.digest(content), object_store.soon(object_store.state, path).result()
