"""The library is as its log says, or it is told; and what was damaged is never shown."""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from kadr.law import audit, proof, review, verdict
from kadr.law.policy import PRESETS, Policy
from kadr.library import verify
from kadr.stores import Selection, Store, chain, open_store
from kadr.types import Assessment
from libraries import engine, new_file, new_photo

LAW = PRESETS["under-16"]
ALWAYS = replace(LAW, faces="always")
COUNT = 20


def assessed(number: int) -> Assessment:
    """Half of the photos are hidden."""
    probability = 0.95 - number * 0.001 if number % 2 else 0.05 + number * 0.001
    return Assessment(("boy",), probability, (7.0,), (), probability, "v1")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Under a law: assessments, decisions, an appeal and a dispute, all on record."""
    with closing(open_store(tmp_path / "library.kadr", create=True)) as opened:
        audit.in_force(opened, LAW, "Anna")
        photos = [new_photo(number) for number in range(COUNT)]
        opened.keep(photos, [new_file(tmp_path / f"{n}.jpg", n) for n in range(COUNT)])
        assessments = {number_of(opened, n): assessed(n) for n in range(COUNT)}
        with opened.durable():
            opened.keep_assessments(assessments)
            digests = {key(n): assessed(n) for n in range(COUNT)}
            audit.assessed(opened, LAW, digests.items())
        for number, said, who in (
            (2, "hide", "Anna"), (3, "allow", "Anna"), (4, "allow", "Anna"), (4, "hide", "Boris"),
        ):  # fmt: skip
            review.decide(opened, key(number), review.ruling(said, who, "seen"))
        review.appeal(opened, key(5), "Max", "I am 18")
        yield opened


def key(number: int) -> str:
    return new_photo(number).digest.hex()


def number_of(store: Store, photo: int) -> int:
    number = store.number(key(photo))
    assert number is not None
    return number


def shown(path: Path, policy: Policy = LAW) -> set[int]:
    with closing(open_store(path)) as store:
        numbers = {number_of(store, n): n for n in range(COUNT)}
        photos = store.sample(Selection(shown=verdict.shown(policy)), COUNT)
        assert set(photos.tolist()) == set(numbers) - verdict.hidden(store, policy, list(numbers))
        return {numbers[number] for number in photos.tolist()}


def execute(store: Store, statement: str) -> None:
    with closing(sqlite3.connect(engine(store).path, isolation_level=None)) as base:
        base.execute(statement)


def test_a_sound_library_has_no_problem(store: Store) -> None:
    assert proof.verify(store) == []
    assert list(verify.verify(store))[:COUNT] == [  # the files are drawn from nothing
        line for line in verify.verify(store) if "can't be read" in line
    ]
    assert shown(engine(store).path) == {0, 3, *range(6, COUNT, 2)}


DAMAGE = {
    "an assessment's probability": ("UPDATE assessments SET probability = 0.01 WHERE photo = 2", "assessments are damaged"),
    "an assessment and its mark": (
        "UPDATE assessments SET probability = 0, mark = (photo * 1000003 + 7) WHERE photo = 2", "its assessment isn't"),
    "an assessment's version": ("UPDATE assessments SET version = 'v2' WHERE photo = 2", "its assessment isn't"),
    "an assessment's words": ("UPDATE assessments SET words = '[]' WHERE photo = 2", "its assessment isn't"),
    "another's assessment": (
        "UPDATE assessments SET photo = 99 WHERE photo = 2", "damaged"),
    "a ruling deleted": ("DELETE FROM rulings WHERE verdict = 'hide'", "the log's decision is gone"),
    "rulings turned": ("UPDATE rulings SET verdict = 'allow'", "decisions are damaged"),
    "rulings turned, marks too": (
        "UPDATE rulings SET verdict = 'allow', mark = 'allow' || hex(digest)", "the decision isn't the log's"),
    "a ruling made up": (
        "INSERT INTO rulings VALUES (x'" + "ab" * 32 + "', 'allow', 'Anna', '2026-01-01', '', 'allow'"
        " || hex(x'" + "ab" * 32 + "'))", "the decision isn't in the log"),
    "a ruling's author": ("UPDATE rulings SET who = 'Clara'", "the decision isn't the log's"),
    "a dispute deleted": ("DELETE FROM requests WHERE kind = 'disputed'", "the log's appeal or dispute is gone"),
    "an appeal deleted": ("DELETE FROM requests WHERE kind = 'appealed'", "the log's appeal or dispute is gone"),
    "a dispute turned": ("UPDATE requests SET kind = 'appealed'", "the appeal or dispute isn't the log's"),
    "the log emptied": ("DELETE FROM audit", "the end isn't as the library left it"),
    "an entry deleted": ("DELETE FROM audit WHERE sequence = 4", "doesn't follow"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_library_that_is_not_as_the_log_says_is_told(store: Store, kind: str) -> None:
    statement, told = DAMAGE[kind]
    execute(store, statement)
    problems = [*store.check(), *proof.verify(store)]
    assert any(told in problem for problem in problems), problems
    assert any(told in line for line in verify.verify(store))
    audit.append(store, "refused")  # what comes later covers nothing
    assert [*store.check(), *proof.verify(store)]


def test_what_was_damaged_without_malice_is_not_shown(store: Store) -> None:
    before = shown(engine(store).path)
    for statement in (
        "UPDATE assessments SET probability = 0.01",
        "UPDATE rulings SET verdict = 'allow'",
    ):
        execute(store, statement)
    assert shown(engine(store).path) < before
    assert shown(engine(store).path) & {1, 2, 4, *range(5, COUNT, 2)} == set()
    assert set(store.unassessed()) >= {number_of(store, n) for n in range(COUNT) if n % 2}


def test_many_problems_are_counted(store: Store) -> None:
    execute(store, "UPDATE assessments SET words = '[]'")
    lines = [line for line in proof.verify(store) if "assessment" in line]
    assert len(lines) == 20
    assert "more" not in lines[-1]
    for number in range(100):
        store.set_ruling(f"{number:064}", review.ruling("allow", "Anna"))
    assert "and 80 more of this kind" in proof.verify(store)


def test_no_flipped_bit_shows_a_hidden_photo(store: Store, tmp_path: Path) -> None:
    """In any row of assessments, rulings and requests, wherever it lies in the file."""
    before = shown(engine(store).path)
    store.close()
    data = engine(store).path.read_bytes()
    random_ = random.Random(1)
    spots = pages_of(engine(store).path, ("assessments", "rulings", "requests"))
    other = tmp_path / "other.kadr"
    for _ in range(1500):
        at, bit = random_.choice(spots), random_.randrange(8)
        changed = bytearray(data)
        changed[at] ^= 1 << bit
        other.write_bytes(changed)
        try:
            seen = shown(other)
        except Exception as error:  # noqa: BLE001 - what can't be read shows nothing
            assert "library" in str(error) or isinstance(error, AssertionError), error
            continue
        if seen - before:
            with closing(open_store(other)) as damaged:
                assert [*damaged.check(), *proof.verify(damaged)], (at, bit)
                # A key of the table itself was hit, so the row is another photo's or nobody's.
                assert len(seen - before) == 1


def pages_of(path: Path, tables: tuple[str, ...]) -> list[int]:
    """Places in the file of the root pages of these tables, without what is free on them."""
    with closing(sqlite3.connect(path)) as base:
        (size,) = base.execute("PRAGMA page_size").fetchone()
        roots = [
            base.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()[0]
            for name in tables
        ]
    data, spots = path.read_bytes(), list[int]()
    for root in roots:
        page = data[(root - 1) * size : root * size]
        start = int.from_bytes(page[5:7])
        spots += range((root - 1) * size + start, root * size)
    return spots


# Exports


def exported(store: Store) -> bytes:
    return b"".join(map(chain.to_line, audit.entries(store)))


def test_an_export_is_checked_against_a_library_that_went_on(store: Store) -> None:
    data = exported(store)
    assert proof.verify_export(store, data) == []
    audit.append(store, "refused")
    assert proof.verify_export(store, data) == []
    assert proof.verify_export(store, b"") == []


@pytest.mark.parametrize("cut", [1, 3])
def test_an_export_shows_what_was_cut_from_the_library(store: Store, cut: int) -> None:
    data, count = exported(store), len(list(audit.entries(store)))
    execute(store, f"DELETE FROM audit WHERE sequence > {count - cut}")
    assert proof.verify_export(store, data) == [
        f"entry {number}: isn't in the library's log"
        for number in range(count - cut + 1, count + 1)
    ]


def test_an_export_shows_that_an_older_library_was_restored(store: Store, tmp_path: Path) -> None:
    with (
        closing(sqlite3.connect(engine(store).path)) as base,
        closing(sqlite3.connect(tmp_path / "o")) as to,
    ):
        base.backup(to)
    (tmp_path / "o.audit.key").write_bytes(
        engine(store).path.with_name("library.kadr.audit.key").read_bytes()
    )
    review.decide(store, key(8), review.ruling("hide", "Anna"))
    data = exported(store)
    with closing(open_store(tmp_path / "o")) as older:
        assert proof.verify(older) == []  # by itself it is whole
        assert "isn't in the library's log" in proof.verify_export(older, data)[0]


@pytest.mark.parametrize("kind", ["changed", "removed", "moved", "repeated", "noise", "rewritten"])
def test_a_changed_export_is_told(store: Store, kind: str) -> None:
    lines = exported(store).splitlines(keepends=True)
    stranger = chain.following(chain.from_line(lines[0]), audit.now(), "refused", {})
    made = {
        "changed": [lines[0], lines[1].replace(b"v1", b"v2"), *lines[2:]],
        "removed": [lines[0], *lines[2:]],
        "moved": [lines[1], lines[0], *lines[2:]],
        "repeated": [lines[0], *lines],
        "noise": [*lines, b"noise"],
        "rewritten": [lines[0], chain.to_line(stranger)],
    }
    assert proof.verify_export(store, b"".join(made[kind]))


# What was there before the law


def test_what_was_assessed_before_a_law_is_put_on_record_once(tmp_path: Path) -> None:
    with closing(open_store(tmp_path / "library.kadr", create=True)) as store:
        store.keep(
            [new_photo(n) for n in range(3)], [new_file(tmp_path / f"{n}", n) for n in range(3)]
        )
        store.keep_assessments({number_of(store, n): assessed(n) for n in range(3)})
        assert not audit.is_kept(store, PRESETS["none"])
        assert not audit.in_force(store, PRESETS["none"], "Anna")
        assert list(audit.entries(store)) == []
        for policy in (LAW, ALWAYS, PRESETS["none"]):
            audit.in_force(store, policy, "Anna")
        (entry,) = audit.entries(store, "assessed")
        assert len(entry.facts["photos"]) == 3
        assert audit.is_kept(store, PRESETS["none"])
        assert proof.verify(store) == []
