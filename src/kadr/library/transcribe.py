"""Flow: photos of a library -> the text in them, as words on record.

A few photos at a time are kept: stopped or killed, it goes on where it was. Who indexes meanwhile
isn't kept waiting.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from kadr.errors import ImageError, ReadOnlyError
from kadr.photos.ocr_worker import OcrWorker
from kadr.stores import Store, Stored
from kadr.types import PictureText

BATCH = 8
"""Photos that are kept at once: as many seconds of work, or so, are lost where it is killed."""
LOOKUP = 256
"""Photos whose paths are asked for at once."""


@dataclass(frozen=True, slots=True)
class Transcribed:
    """Of how many photos the text was read, and how many have any.

    `failed` can't be read by this engine, and aren't tried again; `unreachable` lie on a disk that
    is unplugged, or have changed since they were indexed.
    """

    read: int = 0
    with_text: int = 0
    failed: int = 0
    unreachable: int = 0


def transcribe(
    store: Store,
    engine: str,
    *,
    retry: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Transcribed:
    """Read the text in the photos in which an engine of this version hasn't.

    Raises: as `kadr.library.library.Library.read_texts`.
    """
    if store.readonly:
        raise ReadOnlyError(f"{store.name} may only be read, so no text can be kept there.")
    result, done = Transcribed(), 0
    with OcrWorker(engine) as worker:
        photos = store.unread(worker.engine, retry=retry)
        texts = _texts(store, worker, photos)
        while batch := list(islice(texts, BATCH)):
            store.keep_picture_texts({n: text for n, text in batch if text is not None})
            result = _with(result, [text for _, text in batch])
            done += len(batch)
            if progress is not None:
                progress(done, len(photos))
    return result


def _with(so_far: Transcribed, texts: Sequence[PictureText | None]) -> Transcribed:
    known = [text for text in texts if text is not None]
    failed = sum(text.problem is not None for text in known)
    return Transcribed(
        so_far.read + len(known) - failed,
        so_far.with_text + sum(bool(text.lines) for text in known),
        so_far.failed + failed,
        so_far.unreachable + len(texts) - len(known),
    )


def _texts(
    store: Store, worker: OcrWorker, photos: Sequence[int]
) -> Iterator[tuple[int, PictureText | None]]:
    """The text of each photo that lies somewhere; None where no file of it can be read."""
    for start in range(0, len(photos), LOOKUP):
        there = store.stored(store.present(photos[start : start + LOOKUP]))
        for number in there:
            yield number, _text(worker, there[number])


def _text(worker: OcrWorker, photo: Stored) -> PictureText | None:
    for path in photo.paths:
        try:
            return worker.read(path, photo.digest)
        except ImageError:  # another file of this content may be there
            continue
    return None
