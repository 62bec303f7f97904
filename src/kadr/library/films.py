"""Flow: a film -> the frames that stand for its scenes, as photos, or why it has none.

All its frames are kept at once, when the last one is encoded: a library never holds half a film.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeAlias

from kadr.encoders.vectors import BATCH
from kadr.encoding.steps import Decoded, Encoders, decode, encode, identify, law_vectors, recheck
from kadr.errors import ImageError
from kadr.library.changes import ChangedFilm
from kadr.photos import films, surveyor
from kadr.photos.video import Shot
from kadr.stores import NewFile, NewPhoto, Store
from kadr.stores.columns import path_of

Joined: TypeAlias = Callable[[Iterable[NewPhoto]], list[NewPhoto]]
"""Gives encoded photos their places in the joint space."""


@dataclass(frozen=True, slots=True)
class Brought:
    """What became of a film: numbers of its frames, how many were encoded, or what is wrong."""

    kept: tuple[int, ...] = ()
    encoded: int = 0
    problem: str | None = None


class FilmReader:
    """Brings films into a library, `writing` held."""

    def __init__(self, store: Store, encoders: Encoders, joined: Joined) -> None:
        self._store, self._encoders, self._joined = store, encoders, joined

    def bring(self, film: ChangedFilm, *, retry: bool, again: bool) -> Brought:
        """Keep a film's frames in place of those that the library had of its path.

        Args:
            film: as it is, and what was known of it.
            retry: read it although it couldn't be read before.
            again: read it although its frames are known.
        """
        file = identify(film.file)
        if file.digest is None:
            return self._keep(film, [], [file])
        known = self._known(file.digest)
        if known and not again:
            return self._keep(film, [], [_frame(file, at) for at in known])
        broken = self._store.problem(file.digest)
        if broken is not None and not (retry or again):
            return self._keep(film, [], [file])
        try:
            photos = list(self._encoded(file, surveyor.survey(file.path, self._encoders.size)))
            frames = [_frame(file, films.seconds(photo.digest.hex())) for photo in photos]
        except ImageError as error:
            photos, frames = [NewPhoto(file.digest, problem=str(error))], [file]
        file = recheck(file)
        if file.problem is not None:
            return self._keep(film, [], [file])
        return self._keep(film, photos, frames)

    def _known(self, digest: bytes) -> list[float]:
        """The seconds of the frames of a content that is whole in the library; else none."""
        known = list(self._store.frames(digest.hex()))
        whole = all(self._store.settled(bytes.fromhex(one)) for one in known)
        return [films.seconds(one) for one in known] if whole else []

    def _encoded(self, film: NewFile, shots: Iterator[Shot]) -> Iterator[NewPhoto]:
        """Frames with their vectors; of each batch no more is kept than these."""
        while batch := list(islice(shots, BATCH)):
            decoded = [self._decoded(film, shot) for shot in batch]
            others = law_vectors(self._encoders.law, decoded)
            yield from self._joined(encode(self._encoders.image, decoded, others))

    def _decoded(self, film: NewFile, shot: Shot) -> Decoded:
        assert film.digest is not None
        digest = bytes.fromhex(films.digest(film.digest.hex(), shot.at))
        step = decode(self._encoders, digest, lambda _size: (shot.image, shot.facts))
        if isinstance(step, str):
            raise ImageError(step)
        return step

    def _keep(
        self, film: ChangedFilm, photos: Sequence[NewPhoto], files: Sequence[NewFile]
    ) -> Brought:
        """Keep frames, or a film that has none, and forget what its path had before."""
        store, wanted = self._store, {file.path for file in files}
        with store.durable():
            store.keep(photos, files)
            store.forget(path for path in map(path_of, film.known) if path not in wanted)
        problem = files[0].problem or (files[0].digest and store.problem(files[0].digest))
        if problem:
            return Brought(problem=problem)
        numbers = store.numbers(file.digest for file in files if file.digest is not None)
        return Brought(tuple(numbers), sum(photo.vector is not None for photo in photos))


def _frame(film: NewFile, at: float) -> NewFile:
    """A frame's row: its film's size and time of change, and what is said beside the film."""
    assert film.digest is not None
    digest = bytes.fromhex(films.digest(film.digest.hex(), at))
    return replace(film, path=films.named(film.path, at), digest=digest)
