"""Flow: library -> what is wrong in its file, and which photos aren't what they were."""

import os
from collections.abc import Callable, Iterator

from kadr.law import proof
from kadr.photos import files
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
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                same = files.digest(file) == digest
        except OSError as error:
            yield f"{path}: can't be read ({error.strerror or error})"
        else:
            if not same and files.stamp(status) == (size, modified):
                yield f"{path}: its content changed without a trace; a copy may be better"
            elif not same:
                yield f"{path}: changed since it was indexed. Run kadr index."
        if on_progress:
            on_progress(done, len(contents))
