"""The archive on disk: what is accepted, what is refused, and in which words."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from archives import write_archive
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kadr import dataset
from kadr.errors import DataError
from kadr.types import Dataset, Problem

ANNOTATIONS = (
    "train_dataset.csv",
    "ExpertAnnotations.tsv",
    "CrowdAnnotations.tsv",
    "test_queries.csv",
    "test_images.csv",
)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_archive(tmp_path / "tiny")


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_archive(tmp_path_factory.mktemp("pristine") / "tiny", images=4)


def edit_line(path: Path, row: int, change: Callable[[bytes], bytes]) -> None:
    lines = path.read_bytes().split(b"\n")
    lines[row - 1] = change(lines[row - 1])
    path.write_bytes(b"\n".join(lines))


def with_field(column: int, value: bytes, delimiter: bytes = b"\t") -> Callable[[bytes], bytes]:
    def change(line: bytes) -> bytes:
        fields = line.split(delimiter)
        fields[column] = value
        return delimiter.join(fields)

    return change


def only_problem(folder: Path) -> Problem:
    (problem,) = dataset.load(folder, max_broken_share=0.5).skipped
    return problem


def rows(path: Path, delimiter: str) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file, delimiter=delimiter))


@given(images=st.integers(4, 14), seed=st.integers(0, 2**16))
@settings(max_examples=10, deadline=None)
def test_a_valid_archive_comes_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, images: int, seed: int
) -> None:
    folder = write_archive(tmp_path_factory.mktemp("a") / "tiny", images, seed)
    loaded = dataset.load(folder, check_photos=True)
    assert loaded.skipped == ()
    texts = {row[1]: row[2] for row in rows(folder / "train_dataset.csv", ",")[1:]}
    assert {query.id: query.text for query in loaded.queries.values()} == texts
    grades = [
        (row[0], row[1], str(rater), int(grade))
        for row in rows(folder / "ExpertAnnotations.tsv", "\t")
        for rater, grade in enumerate(row[2:], start=1)
    ]
    assert [(j.image, j.query, j.rater, j.grade) for j in loaded.judgements] == grades
    votes = [
        (row[0], row[1], int(row[3]), int(row[4]))
        for row in rows(folder / "CrowdAnnotations.tsv", "\t")
    ]
    assert [(v.image, v.query, v.yes, v.no) for v in loaded.votes] == votes
    tests = [tuple(row[1:]) for row in rows(folder / "test_queries.csv", "|")[1:]]
    assert [(q.id, q.text, q.image) for q in loaded.test_queries] == tests
    assert len(loaded.train_images) == images
    assert [path.name for path in loaded.test_images.values()] == list(loaded.test_images)
    assert set(loaded.digests) == set(ANNOTATIONS)


def test_the_same_seed_writes_the_same_archive(tmp_path: Path) -> None:
    first, second = (write_archive(tmp_path / name, seed=3) for name in "ab")
    files = [path.relative_to(first) for path in first.rglob("*") if path.is_file()]
    assert len(files) == 20
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in files)


@pytest.mark.parametrize("name", ANNOTATIONS)
@given(content=st.binary(max_size=400))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_arbitrary_bytes_raise_nothing_but_data_errors(
    pristine: Path, name: str, content: bytes
) -> None:
    assert_loads_or_refuses(pristine, name, content)


@pytest.mark.parametrize("name", ANNOTATIONS)
@given(data=st.data())
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_damaged_file_raises_nothing_but_data_errors_and_accounts_for_its_rows(
    pristine: Path, name: str, data: st.DataObject
) -> None:
    whole = (pristine / name).read_bytes()
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 20)))
    damage = data.draw(st.binary(max_size=6) | st.sampled_from([b'"', b"\0", b"\xff", b"\r\n"]))
    assert_loads_or_refuses(pristine, name, whole[:start] + damage + whole[end:])


def assert_loads_or_refuses(folder: Path, name: str, content: bytes) -> None:
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(content)
    try:
        loaded = dataset.load(folder, max_broken_share=1.0)
    except DataError as error:
        assert str(error)
    else:
        assert rows_used(loaded, name) + rows_skipped(loaded, name) == filled_rows(name, content)
    finally:
        (folder / name).write_bytes(whole)


def rows_used(loaded: Dataset, name: str) -> int:
    pairs = {(j.query, j.image) for j in loaded.judgements}
    used = {
        # Every expert pair of the tiny archive stands in train_dataset.csv too.
        "ExpertAnnotations.tsv": len(pairs),
        "CrowdAnnotations.tsv": len(loaded.votes),
        "test_queries.csv": len(loaded.test_queries),
        "test_images.csv": len(loaded.test_images),
    }
    return used.get(name, -1)


def rows_skipped(loaded: Dataset, name: str) -> int:
    return sum(problem.file == name for problem in loaded.skipped)


def filled_rows(name: str, content: bytes) -> int:
    lines = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    filled = sum(bool(line.decode("utf-8-sig", "surrogateescape").strip()) for line in lines)
    return filled - name.endswith(".csv")
