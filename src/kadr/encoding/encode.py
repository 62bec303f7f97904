"""Flow: a source of photos -> Parquet files of what a library keeps of them, part by part.

What has a file is done, so a run that was stopped or killed, wherever, is gone on with by running
it again.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias

from kadr.encoders import onnx_session
from kadr.encoding import parts, sources, worker
from kadr.encoding.parts import Output, Part
from kadr.encoding.rows import About, Row
from kadr.encoding.sources import Source
from kadr.encoding.worker import Report, Task
from kadr.errors import DataError, KadrError
from kadr.law import scene
from kadr.law.assessor import Assessor
from kadr.law.policy import Policy
from kadr.matcher import bundle

TRIES = 3
"""So often workers may be lost without a part being done."""

OnProgress: TypeAlias = Callable[[int, int, int], None]
"""Called with the number of photos done, those with a problem among them, and their total."""
OnSkip: TypeAlias = Callable[[str, str], None]
"""Called with each photo or folder that can't be read, and why."""


class LostWorkerError(KadrError):
    """Workers ended before their part was written; what they had written stays."""


class Engine(Protocol):
    """Spreads parts over workers."""

    def run(self, task: Task, parts: Sequence[Part]) -> Iterator[Report]:
        """Encode parts; a report for each, in any order.

        Raises:
            LostWorkerError: workers ended.
        """
        ...


class OwnProcess:
    """The engine without any: this process encodes part after part."""

    def run(self, task: Task, parts: Sequence[Part]) -> Iterator[Report]:
        """Encode parts."""
        yield from map(worker.Worker(task).run, parts)


@dataclass(frozen=True)
class Options:
    """How to encode.

    `model`: a matcher's folder. `policy`: where it hides, the law's vectors and assessments are
    made too. `size`: photos in a part. `exclude`: patterns of what is left out below a folder.
    """

    model: Path = bundle.MINI
    policy: Policy | None = None
    size: int = parts.SIZE
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True)
class Encoded:
    """What encoding did, counted in files.

    `files` are in the source; `done` were there before, `encoded` are new, `problems` of these
    can't be read, or are no photos. `parts` were written. `left_out` counts by reason, as in
    `kadr.encoding.sources.Manifest`. `encoder` made the vectors, `root` holds the photos.
    """

    encoder: str
    root: str
    files: int = 0
    done: int = 0
    encoded: int = 0
    problems: int = 0
    parts: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)


def _silent(*_arguments: object) -> None:
    pass


def encode(
    source: str,
    out: str,
    engine: Engine,
    options: Options | None = None,
    on_progress: OnProgress = _silent,
    on_skip: OnSkip = _silent,
) -> Encoded:
    """Encode what isn't in `out` yet.

    Args:
        source: a folder, a URL, or a list, as `kadr.encoding.sources.read` takes it.
        out: a folder or URL for the Parquet files.
        engine: spreads the work.
        options: how to encode.
        on_progress: called with every part.
        on_skip: called with every photo that can't be read.

    Raises:
        DataError: the source can't be read, or `out` holds what another model, law or source made.
        KadrError: nothing can be written, or workers end again and again.
    """
    options, output = options or Options(), Output(out)
    manifest = sources.read(source, options.exclude)
    for place, reason in manifest.unreadable:
        on_skip(place, reason)
    task = _task(options, output.place, manifest.source)
    with output.writing():
        survey = output.survey()
        _check(output.place, survey.about, task.about)
        left = parts.plan(manifest.entries, survey.done, options.size)
        before = len(manifest.entries) - sum(len(part.entries) for part in left)
        encoded = problems = 0
        on_progress(before, 0, len(manifest.entries))
        for report in _reports(engine, task, left):
            encoded += report.photos
            problems += len(report.problems)
            for path, reason in report.problems:
                on_skip(path, reason)
            on_progress(before + encoded, problems, len(manifest.entries))
    return Encoded(
        task.about.encoder,
        task.about.root,
        len(manifest.entries),
        before,
        encoded,
        problems,
        len(left),
        dict(manifest.left_out),
    )


def _reports(engine: Engine, task: Task, left: Sequence[Part]) -> Iterator[Report]:
    """A report for each part; where workers are lost, what has no file is begun again.

    Where they are lost every time, the photo that ends them is looked for.
    """
    output, tries = Output(task.out), 0
    waiting = {part.name: part for part in left}
    while waiting:
        before, why = len(waiting), "they told nothing of it"
        try:
            for report in engine.run(task, list(waiting.values())):
                if report.error is not None:
                    raise KadrError(report.error)
                del waiting[report.part]
                yield report
        except LostWorkerError as error:
            why = str(error)
        written = {name.rpartition("/")[2] for name in output.names()} if waiting else set()
        for name in waiting.keys() & written:  # and not reported any more
            yield Report(name, len(waiting.pop(name).entries))
        tries = 0 if len(waiting) < before else tries + 1
        if tries == TRIES:
            yield from _Halving(engine, task, why).reports(list(waiting.values()))
            return


class _Halving:
    """Encodes parts one by one, by halves where a worker is lost, down to the photos that end it.

    A photo is blamed only where others are encoded: else it is the workers that lack something.
    """

    def __init__(self, engine: Engine, task: Task, why: str) -> None:
        self._engine, self._task, self._why = engine, task, why
        self._output = Output(task.out)
        self._suspects: list[Part] = []
        """Single photos that lost a worker since the last part that was done."""

    def reports(self, parts: Sequence[Part]) -> Iterator[Report]:
        """A report for each part, or for the pieces of it.

        Raises:
            KadrError: nothing can be encoded.
        """
        waiting, works = list(reversed(parts)), False
        while waiting:
            part = waiting.pop()
            report = self._alone(part)
            if report is not None:
                works = True
                yield from self._blamed()
                yield report
            elif len(part.entries) > 1:
                middle = len(part.entries) // 2
                waiting += [Part(part.entries[middle:]), Part(part.entries[:middle])]
            else:
                self._suspects.append(part)
                if len(self._suspects) == TRIES:
                    raise self._in_vain()
        if not works:
            raise self._in_vain()
        yield from self._blamed()

    def _alone(self, part: Part) -> Report | None:
        """What became of one part; None where its worker was lost."""
        try:
            reports = list(self._engine.run(self._task, [part]))
        except LostWorkerError as error:
            self._why = str(error)
            reports = []
        for report in reports:
            if report.error is not None:
                raise KadrError(report.error)
            return report
        is_written = any(name.endswith(part.name) for name in self._output.names())
        return Report(part.name, len(part.entries)) if is_written else None

    def _blamed(self) -> Iterator[Report]:
        """Rows of the suspects, with the reason."""
        reason = f"its worker was ended while it was encoded ({self._why})"
        for part in self._suspects:
            (entry,) = part.entries
            row = Row(entry.path, entry.size, entry.modified, problem=reason)
            self._output.write(part, [row], self._task.about)
            yield Report(part.name, 1, ((entry.path, reason),))
        self._suspects.clear()

    def _in_vain(self) -> KadrError:
        return KadrError(
            f"workers ended {TRIES} times without a part being done ({self._why}). What was encoded"
            " is kept; run it again once they have what they need, such as memory."
        )


def _task(options: Options, out: str, source: Source) -> Task:
    encoder = bundle.load_images(options.model)
    policy, law, layers = options.policy, None, None
    if policy is not None and policy.hides_children:
        assessor = Assessor(policy.faces, (policy.review, policy.hide))
        layers = assessor.version
        law = scene.image_encoder() if assessor.encoder != encoder.name else None
    about = About(
        encoder.name,
        encoder.dim,
        source.root,
        source.listed,
        law.name if law else None,
        law.dim if law else 0,
        layers,
    )
    unsure = (policy.review, policy.hide) if policy else (0.0, 1.0)
    faces = policy.faces if policy else "never"
    return Task(options.model, out, about, faces, unsure, os.environ.get(onnx_session.DEVICE))


def _check(place: str, there: About | None, wanted: About) -> None:
    """Raises DataError where the parts that are there don't go together with these."""
    if there is None or there == wanted:
        return
    differs = next(
        word
        for word, one, other in (
            (f"vectors of {there.encoder}", there.encoder, wanted.encoder),
            (f"photos of {there.root}", there.root, wanted.root),
            ("the photos of a list or of a folder", there.listed, wanted.listed),
            ("what another policy asks for", there, wanted),
        )
        if one != other
    )
    raise DataError(f"{place}: holds {differs}. Name another place with --to.")
