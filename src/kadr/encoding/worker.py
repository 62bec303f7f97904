"""A worker: encodes part after part, its models loaded once."""

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from kadr.encoders import ImageEncoder, onnx_session
from kadr.encoders.vectors import BATCH, in_order
from kadr.encoding import storage
from kadr.encoding.parts import Output, Part
from kadr.encoding.rows import About, Row
from kadr.encoding.sources import Entry
from kadr.encoding.steps import (
    Decoded,
    Encoders,
    decode,
    encode,
    identify,
    law_vectors,
    recheck,
)
from kadr.errors import BundleError, ImageError, KadrError
from kadr.law.assess import FACE_SIDE, written
from kadr.law.assessor import Assessor
from kadr.law.policy import Faces
from kadr.matcher import bundle
from kadr.photos import files, images, object_store, reader, sidecar_facts
from kadr.stores import NewFile, NewPhoto
from kadr.types import PhotoFacts, Sidecar, Vectors

if TYPE_CHECKING:
    from PIL import Image

QUEUE = 3 * BATCH
"""Photos that are decoded ahead of the model: bounds the memory."""
READERS = 16
"""Objects that are read at once: a store answers slowly, and many at a time."""


@dataclass(frozen=True)
class Task:
    """What is done with every photo; `about` is what its rows must note.

    `model` is a matcher's folder, in the same place on every machine. `faces` and `unsure` are what
    the law's `Assessor` takes. `device` is what models run on, as KADR_DEVICE says it; None: what
    each machine's own says.
    """

    model: Path
    out: str
    about: About
    faces: Faces = "never"
    unsure: tuple[float, float] = (0.0, 1.0)
    device: str | None = None


@dataclass(frozen=True)
class Report:
    """What became of a part, by its name: how many photos, and which can't be read, and why.

    `error` is why the part couldn't be written at all.
    """

    part: str
    photos: int = 0
    problems: tuple[tuple[str, str], ...] = ()
    error: str | None = None

    def to_json(self) -> str:
        """As text, for the way between processes."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> "Report":
        """What `to_json` wrote."""
        said = json.loads(text)
        problems = tuple((path, reason) for path, reason in said.pop("problems"))
        return Report(**said, problems=problems)


_Step: TypeAlias = tuple[Row, Decoded | None]
"""A file's row so far, and its content where it could be decoded."""


class Worker:
    """Encodes parts, on this machine or wherever an engine puts it."""

    def __init__(self, task: Task) -> None:
        self._task = task
        if task.device is not None:
            os.environ[onnx_session.DEVICE] = task.device
        self._output = Output(task.out)

    def run(self, part: Part) -> Report:
        """Encode a part and write its file; an error that would meet every part is reported."""
        try:
            rows = list(self.encode(part.entries))
            self._output.write(part, rows, self._task.about)
        except KadrError as error:
            return Report(part.name, error=str(error))
        problems = tuple((row.path, row.problem) for row in rows if row.problem is not None)
        return Report(part.name, len(rows), problems)

    def encode(self, entries: Sequence[Entry]) -> Iterator[Row]:
        """The rows of photos, in their order."""
        _ = self._encoders  # loaded here, not by several threads at once
        remote = storage.is_url(self._task.about.root)
        threads = READERS if remote else os.cpu_count() or 1
        with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
            step = partial(self._object, self._bucket) if remote else self._file
            steps = in_order(pool, step, entries, QUEUE)
            while batch := list(islice(steps, BATCH)):
                yield from self._encoded(batch)

    @cached_property
    def _encoders(self) -> Encoders:
        about = self._task.about
        image = bundle.load_images(self._task.model)
        law = _scene_encoder() if about.law_encoder else None
        if image.name != about.encoder or (law is not None and law.name != about.law_encoder):
            raise BundleError(
                f"{self._task.model}: makes vectors of {image.name} on a worker, those of"
                f" {about.encoder} are asked for. Install the same kadr and model everywhere."
            )
        return Encoders(image, law)

    @cached_property
    def _assessor(self) -> Assessor | None:
        if self._task.about.layers is None:
            return None
        return Assessor(self._task.faces, self._task.unsure)

    def _file(self, entry: Entry) -> _Step:
        path = Path(entry.path)
        beside = Sidecar(entry.sidecar) if entry.sidecar else None
        file = NewFile(path, entry.size, entry.modified, None, entry.problem, beside)
        file = identify(file)
        if file.digest is None:
            why = file.problem
            return Row(entry.path, file.size, file.modified, None, why, sidecar=beside), None
        decoded = decode(self._encoders, file.digest, partial(reader.read, path))
        file = recheck(file)
        row = Row(entry.path, file.size, file.modified, file.digest, file.problem)
        return _step(replace(row, sidecar=file.sidecar), decoded)

    def _object(self, bucket: storage.Bucket, entry: Entry) -> _Step:
        row = Row(entry.path, entry.size, entry.modified, problem=entry.problem)
        if entry.problem is not None:
            return row, None
        if entry.size > images.MAX_BYTES:
            reason = f"{entry.size / 1e9:.1f} GB are more than are read"
            return replace(row, problem=reason), None
        try:
            content = bucket.read(entry.path)
        except OSError as error:
            return replace(row, problem=f"can't be read: {object_store.line(error)}"), None
        if len(content) != entry.size:
            return replace(row, problem="changed while it was being read"), None
        folder = entry.path.rpartition("/")[0]
        said = sidecar_facts.parsed(entry.sidecar, lambda name: bucket.read(f"{folder}/{name}"))
        row = replace(row, sidecar=said)
        digest = bytes.fromhex(files.digest(content))
        read = partial(_read, content, storage.pure(entry.path).name)
        return _step(replace(row, digest=digest), decode(self._encoders, digest, read))

    @cached_property
    def _bucket(self) -> storage.Bucket:
        return storage.Bucket(self._task.about.root)

    def _encoded(self, batch: Sequence[_Step]) -> Iterator[Row]:
        """The rows of a batch; a content that is there twice is encoded once."""
        decoded = {one.digest: one for _, one in batch if one is not None}
        photos = list(decoded.values())
        others = law_vectors(self._encoders.law, photos)
        made = {p.digest: p for p in encode(self._encoders.image, photos, others)}
        rows = [row if one is None else replace(row, photo=made[one.digest]) for row, one in batch]
        return iter(self._assessed(rows))

    def _assessed(self, rows: Sequence[Row]) -> list[Row]:
        if self._assessor is None:
            return list(rows)
        there = [
            (
                row,
                row.photo,
                sidecar_facts.joined(row.photo.facts, [row.sidecar] if row.sidecar else []),
            )
            for row in rows
            if row.photo and row.photo.facts
        ]
        if not there:
            return list(rows)
        made = self._assessor.assess(
            [self._texts(row.path, facts) for row, _, facts in there],
            np.stack([self._seen(photo) for _, photo, _ in there]),
            [partial(self._opened, row) for row, _, _ in there],
            unread=[not facts.texts_complete for _, _, facts in there],
        )
        assessed = {id(row): one for (row, _, _), one in zip(there, made, strict=True)}
        return [replace(row, assessment=assessed.get(id(row))) for row in rows]

    def _seen(self, photo: NewPhoto) -> Vectors:
        """The vector that the law's classifier takes."""
        law = photo.others.get(self._task.about.law_encoder or "")
        vector = photo.vector if law is None else law
        assert vector is not None
        return vector

    def _texts(self, path: str, facts: PhotoFacts) -> list[str]:
        about = self._task.about
        roots = [] if about.listed else [storage.pure(about.root)]
        return written([storage.pure(path)], facts, roots)

    def _opened(self, row: Row) -> "Image.Image":
        assert row.digest is not None
        if not storage.is_url(row.path):
            return reader.read(Path(row.path), FACE_SIDE, row.digest.hex())[0]
        content = self._bucket.read(row.path)
        if bytes.fromhex(files.digest(content)) != row.digest:
            raise ImageError("changed since it was read")
        return images.read(content, FACE_SIDE)[0]


def _step(row: Row, decoded: Decoded | str) -> _Step:
    if row.problem is not None:
        return row, None
    if isinstance(decoded, str):
        return replace(row, problem=decoded), None
    return row, decoded


def _read(content: bytes, name: str, size: int) -> "tuple[Image.Image, PhotoFacts]":
    return images.read(content, size, name=name)


def _scene_encoder() -> ImageEncoder:
    from kadr.law import scene

    return scene.image_encoder()
