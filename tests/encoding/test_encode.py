"""Encoding: the rows that indexing makes, each photo once whoever dies, bad ones with reasons."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from encoded_photos import Mortal, encoded, rows
from kadr.encoding import encode as module
from kadr.encoding import parts, sources
from kadr.encoding.encode import LostWorkerError, Options, encode
from kadr.encoding.parts import Output, Part
from kadr.encoding.sources import Source
from kadr.encoding.worker import Report, Task, Worker
from kadr.errors import BundleError, DataError, KadrError
from kadr.law import policy as law
from kadr.matcher import bundle
from kadr.photos import files, images
from libraries import corner_matcher, paint

UNDER_16 = law.preset("under-16")
READABLE = 11


def names(out: Path) -> list[str]:
    return sorted(row.path for row in rows(out))


def test_every_photo_is_a_row(photos: Path, model: Path, tmp_path: Path) -> None:
    result = encoded(photos, tmp_path / "out", model)
    assert (result.files, result.encoded, result.problems, result.done) == (15, 15, 4, 0)
    assert result.parts == len(list((tmp_path / "out").glob("part-*.parquet"))) == 4
    assert result.encoder == bundle.load_images(model).name
    found = {Path(row.path).name: row for row in rows(tmp_path / "out")}
    assert len(found) == 15
    assert found["broken.jpg"].digest == bytes.fromhex(files.digest(photos / "broken.jpg"))
    assert found["broken.jpg"].problem == found["broken too.jpg"].problem
    assert found["pipe.png"].digest is None
    one, copy = found["3.png"].photo, found["again.png"].photo
    assert one is not None
    assert copy is not None
    assert one.digest == copy.digest
    assert found["IMG_20190503_101112.png"].photo is not None
    assert found["IMG_20190503_101112.png"].photo.facts is not None
    assert found["IMG_20190503_101112.png"].photo.facts.taken == "2019-05-03T10:11:12"


def test_workers_run_on_the_device_that_was_named(
    photos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On another machine, whose environment says something else."""
    seen: list[str | None] = []

    class Elsewhere:
        def run(self, task: Task, parts: Sequence[Part]) -> Iterator[Report]:
            monkeypatch.setenv("KADR_DEVICE", "cuda")
            worker = Worker(task)
            seen.append(os.environ["KADR_DEVICE"])
            yield from map(worker.run, parts)

    for device, there in (("cpu", "cpu"), (None, "cuda")):
        if device is None:
            monkeypatch.delenv("KADR_DEVICE", raising=False)
        else:
            monkeypatch.setenv("KADR_DEVICE", device)
        out = str(tmp_path / f"{device}")
        assert encode(str(photos), out, Elsewhere(), Options(model)).encoded == 15
        assert seen.pop() == there


def test_each_bad_photo_is_told_with_its_reason(photos: Path, model: Path, tmp_path: Path) -> None:
    told: list[tuple[str, str]] = []
    progress: list[tuple[int, int, int]] = []
    encode(
        str(photos),
        str(tmp_path / "out"),
        Mortal(),
        Options(model, size=5),
        lambda *counts: progress.append(counts),
        lambda path, reason: told.append((Path(path).name, reason)),
    )
    assert sorted(name for name, _ in told) == [
        "broken too.jpg", "broken.jpg", "empty.png", "pipe.png",
    ]  # fmt: skip
    assert all(reason for _, reason in told)
    assert progress[0] == (0, 0, 15)
    assert [done for done, _, _ in progress] == [0, 5, 10, 15]
    assert progress[-1] == (15, 4, 15)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lives=st.lists(st.integers(1, 3), max_size=4), told=st.booleans(), size=st.integers(1, 6))
def test_lost_workers_lose_nothing_and_repeat_nothing(
    photos: Path,
    model: Path,
    tmp_path_factory: pytest.TempPathFactory,
    lives: list[int],
    told: bool,
    size: int,
) -> None:
    out = tmp_path_factory.mktemp("out")
    engine = Mortal(*lives, told=told)
    result = encode(str(photos), str(out), engine, Options(model, size=size))
    assert max(Counter(engine.asked).values()) == 1
    assert result.encoded == 15
    assert max(Counter(names(out)).values()) == 1
    assert len(names(out)) == 15


def test_workers_that_end_again_and_again_are_told(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    class Dead(Mortal):
        def run(self, *_: Any) -> Any:
            self.asked.append("")
            raise LostWorkerError("out of memory")

    engine = Dead()
    with pytest.raises(KadrError, match=r"3 times .*out of memory"):
        encode(str(photos), str(tmp_path / "out"), engine, Options(model))
    assert len(engine.asked) > module.TRIES


class Poisoned(Mortal):
    """Loses its worker with any part that holds one of these photos."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.names = set(names)

    def run(self, task: Task, parts: Sequence[Part]) -> Iterator[Report]:
        for part in parts:
            self.asked.append(part.name)
            if self.names & {Path(entry.path).name for entry in part.entries}:
                raise LostWorkerError("out of memory")
            yield Worker(task).run(part)


@pytest.mark.parametrize("poison", [("3.png",), ("0.png", "3.png"), ("broken.jpg",)])
def test_a_photo_that_ends_its_worker_is_found_by_halves(
    photos: Path, model: Path, tmp_path: Path, poison: tuple[str, ...]
) -> None:
    skipped: list[tuple[str, str]] = []
    result = encode(
        str(photos), str(tmp_path / "out"), Poisoned(*poison), Options(model, size=8),
        on_skip=lambda path, reason: skipped.append((Path(path).name, reason)),
    )  # fmt: skip
    assert result.encoded == result.files == 15
    ended = "its worker was ended while it was encoded (out of memory)"
    assert {name for name, reason in skipped if reason == ended} == set(poison)
    found = {Path(row.path).name: row.problem for row in rows(tmp_path / "out")}
    assert len(found) == 15
    assert {name for name, problem in found.items() if problem == ended} == set(poison)
    again = encode(str(photos), str(tmp_path / "out"), Poisoned(), Options(model))
    assert again.encoded >= len(poison), "it is tried again, as what can't be read"
    assert sum(row.photo is not None for row in rows(tmp_path / "out")) == READABLE


def test_no_photo_is_blamed_where_none_can_be_encoded(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    everything = [path.name for path in photos.rglob("*")]
    with pytest.raises(KadrError, match="such as memory"):
        encode(str(photos), str(tmp_path / "out"), Poisoned(*everything), Options(model))
    assert not list((tmp_path / "out").glob("part-*"))


@pytest.mark.parametrize("at", range(1, 5))
def test_a_run_killed_anywhere_goes_on(
    photos: Path, model: Path, tmp_path: Path, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = 0
    write = Output.write

    def dying(*arguments: Any) -> None:
        nonlocal writes
        writes += 1
        if writes == at:
            raise KeyboardInterrupt
        write(*arguments)

    monkeypatch.setattr(Output, "write", dying)
    with pytest.raises(KeyboardInterrupt):
        encoded(photos, tmp_path / "out", model)
    monkeypatch.undo()
    kept = sum(row.digest is not None for row in rows(tmp_path / "out"))
    again = encoded(photos, tmp_path / "out", model)
    assert again.done == kept
    assert again.done + again.encoded == 15
    read = [row.path for row in rows(tmp_path / "out") if row.digest is not None]
    assert len(read) == len(set(read)) == 14


def test_a_second_run_does_only_what_is_new(photos: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    encoded(photos, out, model)
    again = encoded(photos, out, model)
    assert (again.done, again.encoded) == (14, 1)  # the pipe is looked at again
    assert encoded(photos, out, model).parts == 1
    assert len(list(out.glob("part-*"))) == 5  # and its part written over itself
    paint(photos / "new.png", 50)
    paint(photos / "0.png", 51)
    os.utime(photos / "0.png", ns=(1, 1))
    (photos / "1.png").unlink()
    third = encoded(photos, out, model)
    assert (third.files, third.done, third.encoded) == (15, 12, 3)
    found = [row for row in rows(out) if row.path.endswith("/0.png")]
    assert sorted(row.modified == 1 for row in found) == [False, True]


def test_another_model_law_or_source_wants_another_place(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    other = bundle.save(corner_matcher(), tmp_path / "corners")
    encoded(photos, out, model)
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    with pytest.raises(DataError, match=r"holds vectors of fake-colour.*--to"):
        encoded(photos, out, other)
    with pytest.raises(DataError, match="holds photos of"):
        encoded(photos / "our kids", out, model)
    with pytest.raises(DataError, match="another policy"):
        encoded(photos, out, model, UNDER_16)
    kept = {p: t for p, t in before.items() if p.name != ".lock"}
    assert {p: p.stat().st_mtime_ns for p in kept} == kept


def test_a_worker_with_another_model_makes_no_rows(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    other = bundle.save(corner_matcher(), tmp_path / "corners")
    task = module._task(Options(model), str(tmp_path / "out"), Source(str(photos)))
    (part,) = parts.plan(sources.read(str(photos)).entries, set(), 99)
    report = Worker(replace(task, model=other)).run(part)
    assert report.error is not None
    assert "Install the same kadr and model everywhere" in report.error
    with pytest.raises(BundleError):
        next(Worker(replace(task, model=other)).encode(part.entries))
    assert rows(tmp_path / "out") == []


def test_a_place_that_fills_up_ends_the_run_with_one_line(
    photos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kadr.photos.files._replace", full)
    with pytest.raises(KadrError, match="No space left on device"):
        encoded(photos, tmp_path / "out", model)


def test_a_file_that_changes_meanwhile_is_encoded_next_time(
    photos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = images.read

    def changing(source: Path | bytes, *arguments: Any, **named: Any) -> Any:
        found = read(source, *arguments, **named)
        if isinstance(source, Path) and source.name == "2.png":
            os.utime(source, ns=(5, 5))
        return found

    monkeypatch.setattr(images, "read", changing)
    encoded(photos, tmp_path / "out", model)
    (row,) = [row for row in rows(tmp_path / "out") if row.path.endswith("/2.png")]
    assert row.digest is None or row.problem is not None
    monkeypatch.undo()
    encoded(photos, tmp_path / "out", model)
    found = [row for row in rows(tmp_path / "out") if row.path.endswith("/2.png")]
    assert [row.modified for row in found if row.photo is not None] == [5]


def test_under_a_law_rows_are_assessed(photos: Path, model: Path, tmp_path: Path) -> None:
    """By the fakes' vectors and by those of the law's own encoder, which is another one."""
    encoded(photos, tmp_path / "out", model, UNDER_16)
    found = {Path(row.path).name: row for row in rows(tmp_path / "out") if row.photo}
    assert len(found) == READABLE
    for name, row in found.items():
        assert row.photo is not None
        (vector,) = row.photo.others.values()
        assert vector.shape == (256,)
        assert row.assessment is not None
        assert row.assessment.failed == ()
        named = row.path.split("/")[-2] == "our kids" or name == "red.jpg"
        assert bool(row.assessment.words) == named, name


def test_a_list_is_encoded(photos: Path, model: Path, tmp_path: Path) -> None:
    listed = [str(photos / "0.png"), str(photos / "our kids" / "again.png"), "/nowhere/x.png"]
    parquet.write_table(pa.table({"path": listed}), tmp_path / "list.parquet")
    result = encoded(tmp_path / "list.parquet", tmp_path / "out", model, UNDER_16)
    assert (result.encoded, result.problems) == (3, 1)
    assert names(tmp_path / "out") == sorted(listed)
    (row,) = [row for row in rows(tmp_path / "out") if "kids" in row.path]
    assert row.assessment is not None
    assert row.assessment.words == ("kid",)  # its own folder's name counts, none above


def test_an_object_store_gives_the_same_rows(
    bucket: Any, photos: Path, model: Path, tmp_path: Path
) -> None:
    (photos / "pipe.png").unlink()
    for path in photos.rglob("*"):
        if path.is_file():
            bucket.upload_file(str(path), f"all/{path.relative_to(photos)}")
    there, out = f"s3://{bucket.name}/all", f"s3://{bucket.name}/out"
    result = encoded(there, out, model, UNDER_16)
    encoded(photos, tmp_path / "here", model, UNDER_16)
    assert (result.encoded, result.problems) == (14, 3)

    def by_name(place: str | Path, root: str) -> dict[str, Any]:
        found = {}
        for row in rows(place):
            photo = row.photo
            plain = None if photo is None else replace(photo, vector=None, others={})
            vector = None if photo is None or photo.vector is None else photo.vector.tobytes()
            key = row.path.removeprefix(f"{root}/")
            found[key] = (row.size, row.digest, row.problem, plain, vector, row.assessment)
        return found

    said, own = by_name(out, there), by_name(tmp_path / "here", str(photos))
    assert said.keys() == own.keys()
    for name, values in own.items():
        assert said[name] == values, name
    again = encoded(there, out, model, UNDER_16)
    assert (again.done, again.encoded) == (14, 0)


def test_objects_that_are_gone_or_too_large_are_rows(
    bucket: Any, photos: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("0.png", "1.png", "2.png"):
        bucket.upload_file(str(photos / name), name)
    root = f"s3://{bucket.name}"
    task = module._task(Options(model), f"{root}/out", Source(root))
    entries = sources.read(root).entries
    bucket.Object("0.png").delete()
    bucket.put_object(Key="1.png", Body=b"other")
    monkeypatch.setattr(images, "MAX_BYTES", entries[2].size - 1)
    gone, changed, large = Worker(task).encode(
        [entries[0], replace(entries[1], size=7), entries[2]]
    )
    assert gone.problem is not None
    assert gone.problem.startswith("can't be read: ")
    assert changed.problem is not None
    assert large.problem is not None
    assert "more than are read" in large.problem
    assert {gone.digest, changed.digest, large.digest} == {None}


def test_a_folder_without_a_photo_is_told(model: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="no photo below it"):
        encoded(tmp_path / "none", tmp_path / "out", model)
    assert not (tmp_path / "out").exists()
