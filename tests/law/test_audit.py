"""The audit log proves itself: whatever is done to it, whatever crashes."""

import json
import multiprocessing
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kadr.errors import LibraryError
from kadr.law import audit
from kadr.law.policy import PRESETS
from kadr.law.rules import fingerprint
from kadr.stores import MEMORY, Store, chain, open_store
from kadr.types import Assessment, Ruling
from libraries import engine, new_file, new_photo

UNDER_16 = PRESETS["under-16"]
PHOTO = "ab" * 32
ASSESSMENT = Assessment(("boy",), 0.7, None, (), 0.71234567, "v1")
RULING = Ruling("hide", "Anna", "2026-01-01T00:00:00+00:00", "")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(open_store(tmp_path / "library.kadr", create=True)) as opened:
        yield opened


def fill(store: Store, count: int = 4) -> None:
    for number in range(count):
        audit.append(store, "refused", policy="under-16", number=number)


def events(store: Store) -> list[str]:
    return [entry.event for entry in audit.entries(store)]


def execute(store: Store, statement: str, *values: object) -> None:
    """As another hand does it, past everything."""
    with closing(sqlite3.connect(engine(store).path, isolation_level=None)) as base:
        base.execute(statement, values)


def test_entries_are_chained(store: Store) -> None:
    assert store.log_problems() == []
    fill(store, 3)
    entries = list(audit.entries(store))
    assert [entry.sequence for entry in entries] == [1, 2, 3]
    assert [entry.previous for entry in entries] == [chain.START, *(e.hash for e in entries[:2])]
    assert entries[0].facts == {"policy": "under-16", "number": 0}
    assert entries[0].time.endswith("+00:00")
    assert store.log_problems() == []
    assert [entry.facts["number"] for entry in audit.entries(store, "refused")] == [0, 1, 2]
    assert list(audit.entries(store, "ruled")) == []
    lines = [json.loads(chain.to_line(entry)) for entry in entries]
    assert lines[1] == {
        "sequence": 2, "time": entries[1].time, "event": "refused",
        "facts": {"policy": "under-16", "number": 1},
        "previous": entries[0].hash, "hash": entries[1].hash,
    }  # fmt: skip


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501])
def test_a_long_log_is_read_whole(store: Store, count: int) -> None:
    with store.durable():
        fill(store, count)
    assert [entry.sequence for entry in audit.entries(store)] == list(range(1, count + 1))
    assert store.log_problems() == []


def test_lone_surrogates_and_any_script_are_kept(store: Store) -> None:
    audit.append(store, "refused", query="кто\udcff\n\u2028 \x00")
    (entry,) = audit.entries(store)
    assert entry.facts["query"] == "кто\udcff\n\u2028 \x00"
    assert chain.from_line(chain.to_line(entry)) == entry
    assert store.log_problems() == []


# Strangers' hands


CHANGES = {
    "change time": "UPDATE audit SET time = '2020-01-01T00:00:00+00:00' WHERE sequence = {}",
    "change event": "UPDATE audit SET event = 'ruled' WHERE sequence = {}",
    "change facts": "UPDATE audit SET facts = replace(facts, 'under-16', 'under-17') WHERE sequence = {}",
    "bytes": "UPDATE audit SET hash = CAST(hash AS BLOB), time = x'00', seal = x'ff' WHERE sequence = {}",
    "no UTF-8": "UPDATE audit SET facts = CAST(x'ff22' AS TEXT), event = CAST(x'80' AS TEXT) WHERE sequence = {}",
    "numbers": "UPDATE audit SET hash = 1, previous = 2.5, event = 3, seal = 4 WHERE sequence = {}",
    "deep facts": f"UPDATE audit SET facts = '{{{{}}}}' || '{'[' * 9999}' WHERE sequence = {{}}",
    "odd facts": "UPDATE audit SET facts = '[1e999]' WHERE sequence = {}",
    "no facts": "UPDATE audit SET facts = 'x' WHERE sequence = {}",
    "change previous": "UPDATE audit SET previous = hash WHERE sequence = {}",
    "change hash": "UPDATE audit SET hash = previous WHERE sequence = {}",
    "remove": "DELETE FROM audit WHERE sequence = {}",
    "cut": "DELETE FROM audit WHERE sequence >= {}",
    "move": "UPDATE audit SET sequence = sequence + 1000 WHERE sequence = {}",
    "repeat": "INSERT INTO audit SELECT 5, time, event, facts, previous, hash, seal FROM audit WHERE sequence = {}",
    "change seal": "UPDATE audit SET seal = replace(seal, substr(seal, 1, 1), 'x') WHERE sequence = {}",
    "change end": "UPDATE meta SET value = '0000' || substr(value, 5) WHERE key = 'audit.end' AND {}",
    "change anchor": "UPDATE meta SET value = '0000' || substr(value, 5) WHERE key = 'audit' AND {}",
    "no end": "DELETE FROM meta WHERE key = 'audit.end' AND {}",
}


@pytest.mark.parametrize("later", [0, 2])
@pytest.mark.parametrize("place", [1, 2, 4])
@pytest.mark.parametrize("change", CHANGES)
def test_any_change_is_found_and_no_later_entry_covers_it(
    store: Store, change: str, place: int, later: int
) -> None:
    fill(store)
    execute(store, CHANGES[change].format(place))
    fill(store, later)
    assert store.log_problems()


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 255))
def test_every_byte_of_an_exported_line_matters(at: int, byte: int) -> None:
    line = chain.to_line(chain.following(None, audit.now(), "refused", {"policy": "under-16"}))
    at %= len(line)
    other = line[:at] + bytes([byte]) + line[at + 1 :]
    assert (chain.from_line(other) is None) == (other != line)


def test_what_is_wrong_is_said(store: Store) -> None:
    fill(store)
    execute(store, "UPDATE audit SET event = 'ruled' WHERE sequence = 2")
    assert store.log_problems() == ["entry 2: was changed"]
    execute(store, "DELETE FROM audit WHERE sequence = 2")
    assert store.log_problems() == ["entry 3: doesn't follow from the one before it"]
    execute(store, "DELETE FROM audit WHERE sequence = 4")
    assert store.log_problems()[1:] == [
        "the end isn't as the library left it: entries were cut off or added"
    ]


@pytest.mark.parametrize("column", ["time", "event", "facts", "previous"])
def test_a_changed_entry_is_not_believed(store: Store, column: str) -> None:
    """Though its hash and its seal are the library's."""
    fill(store, 3)
    execute(store, f"UPDATE audit SET {column} = '{{}}' WHERE sequence = 2")
    assert [entry.sequence for entry in audit.entries(store)] == [1, 3]


def forge(store: Store, event: str, facts: dict[str, object], seal: str = "") -> None:
    """Add an entry that fits the chain, and name it as the end, without knowing the key."""
    last = list(audit.entries(store))[-1]
    entry = chain.following(last, audit.now(), event, facts)
    row = entry.sequence, entry.time, event, json.dumps(facts), entry.previous, entry.hash
    execute(store, "INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?)", *row, seal)
    execute(store, "UPDATE meta SET value = ? WHERE key = 'audit'", entry.hash)


@pytest.mark.parametrize("seal", ["", "ab" * 32, "кто", "its own"])
def test_a_forged_entry_is_never_believed(store: Store, seal: str) -> None:
    fill(store, 2)
    known = [entry.sequence for entry in audit.entries(store)]
    with closing(sqlite3.connect(engine(store).path)) as base:
        (own,) = base.execute("SELECT seal FROM audit WHERE sequence = 2").fetchone()
    forge(store, "ruled", {"photo": PHOTO}, own if seal == "its own" else seal)
    for later in range(3):
        assert [entry.sequence for entry in audit.entries(store, "refused")][:2] == known
        assert list(audit.entries(store, "ruled")) == []
        assert "entry 3: isn't the library's own" in store.log_problems()
        fill(store, 1)
        assert events(store) == ["refused", "refused", "broken", *["refused"] * (later + 1)]


def test_the_key_is_private_and_made_when_it_is_needed(store: Store) -> None:
    key = engine(store).path.with_name("library.kadr.audit.key")
    assert not key.exists()
    umask = os.umask(0)
    try:
        fill(store, 1)
    finally:
        os.umask(umask)
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.read_bytes() not in engine(store).path.read_bytes()


@pytest.mark.parametrize("how", ["gone", "another", "short"])
def test_a_lost_key_is_recorded_and_told(store: Store, how: str) -> None:
    fill(store, 2)
    key = engine(store).path.with_name("library.kadr.audit.key")
    key.unlink()
    if how != "gone":
        key.write_bytes(b"x" * (32 if how == "another" else 3))
    with closing(open_store(engine(store).path)) as other:
        assert other.log_problems()
        fill(other, 1)
        assert [entry.event for entry in audit.entries(other)] == ["broken", "refused"]
        problems = other.log_problems()
    assert "entry 1: isn't the library's own" in problems
    assert "entry 3: notes that the log was damaged before it" in problems


def test_without_the_key_the_log_can_be_read_but_not_vouched_for(store: Store) -> None:
    fill(store, 2)
    key = engine(store).path.with_name("library.kadr.audit.key")
    key.unlink()
    with closing(open_store(engine(store).path)) as other:
        assert len(list(audit.entries(other))) == 2
        (problem,) = other.log_problems()
        assert f"{key} is missing or can't be read" in problem


# Crashes


class Crash(BaseException):
    pass


def rule(store: Store, photo: str = PHOTO) -> None:
    with store.durable():
        store.set_ruling(photo, RULING)
        audit.append(store, "ruled", photo=photo)


@pytest.mark.parametrize("step", range(12))
def test_change_and_entry_come_together(store: Store, step: int) -> None:
    """The process dies at any statement; the next one goes on."""
    fill(store, 2)
    seen = 0

    def crash(_statement: str) -> None:
        nonlocal seen
        seen += 1
        if seen > step:
            engine(store)._base.set_trace_callback(None)
            engine(store)._base.interrupt()

    engine(store)._base.set_trace_callback(crash)
    with suppress(LibraryError):
        rule(store)
    engine(store)._base.set_trace_callback(None)
    with closing(open_store(engine(store).path)) as other:
        told = [entry.facts["photo"] for entry in audit.entries(other, "ruled")]
        assert told == list(other.all_rulings())
        assert other.log_problems() == []
        rule(other, "cd" * 32)
        assert len(list(audit.entries(other, "ruled"))) == len(told) + 1
        assert other.log_problems() == []


@pytest.mark.parametrize("when", ["before", "between", "after"])
def test_a_failed_change_leaves_no_entry(store: Store, when: str) -> None:
    with pytest.raises(Crash), store.durable():
        if when != "before":
            store.set_ruling(PHOTO, RULING)
        if when == "after":
            audit.append(store, "ruled", photo=PHOTO)
        raise Crash
    assert (events(store), store.all_rulings()) == ([], {})
    rule(store)
    assert events(store) == ["ruled"]


KILLED = """
import sys
from contextlib import closing, suppress
from pathlib import Path
from kadr.law import audit
from kadr.stores import open_store

with closing(open_store(Path(sys.argv[1]))) as store:
    print("go", flush=True)
    while True:
        with store.durable():
            store.note(n=str(int(store.meta("n") or 0) + 1))
            audit.append(store, "ruled")
"""


def test_killed_processes_leave_a_sound_log(store: Store) -> None:
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(engine(store).path)], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.readline()
        count = len(events(store))
        while len(events(store)) < count + 3:
            assert process.poll() is None
        process.kill()
        process.wait()
        process.stdout.close()
        assert store.log_problems() == []
    audit.append(store, "refused")
    assert store.log_problems() == []
    assert len(list(audit.entries(store, "ruled"))) == int(store.meta("n") or 0)


def append_many(path: Path, who: int) -> None:
    with closing(open_store(path)) as store:
        for number in range(20):
            audit.append(store, "refused", who=who, number=number)


def test_processes_append_side_by_side(store: Store) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=append_many, args=(engine(store).path, who)) for who in range(3)
    ]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        assert store.log_problems() == []
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    told = [(entry.facts["who"], entry.facts["number"]) for entry in audit.entries(store)]
    assert sorted(told) == [(who, number) for who in range(3) for number in range(20)]
    assert store.log_problems() == []


def test_a_full_disk_loses_nothing(store: Store) -> None:
    fill(store, 1)
    base = engine(store)._base
    pages = base.execute("PRAGMA page_count").fetchone()[0]
    base.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(LibraryError, match="disk is full"), store.durable():
        store.set_ruling(PHOTO, RULING)
        audit.append(store, "ruled", photo=PHOTO, why="x" * 100_000)
    base.execute("PRAGMA max_page_count = 100000")
    assert (events(store), store.all_rulings()) == (["refused"], {})
    rule(store)
    assert store.log_problems() == []


# What is in it


def test_assessments_are_told_by_digest(store: Store) -> None:
    audit.assessed(store, UNDER_16, [(PHOTO, ASSESSMENT)])
    (entry,) = audit.entries(store, "assessed")
    mark = audit.checksum(PHOTO, ASSESSMENT)
    assert entry.facts == {"policy": "under-16", "photos": [[PHOTO, 0.7123, "review", "v1", mark]]}
    assert mark != audit.checksum("cd" * 32, ASSESSMENT)
    assert mark != audit.checksum(PHOTO, replace(ASSESSMENT, probability=0.71234568))


@pytest.mark.parametrize("law", [True, False])
@pytest.mark.parametrize("how", ["prune", "remove", "forget", "sweep"])
def test_what_was_forgotten_is_told_where_a_law_was_in_force(
    store: Store, how: str, *, law: bool
) -> None:
    if law:
        audit.in_force(store, UNDER_16, "Anna")
    store.keep([new_photo(1)], [new_file(Path("/p/1.jpg"), 1)])
    digest = new_photo(1).digest.hex()
    if how == "prune":
        store.mark([b"/p/1.jpg"], missing=True)
        store.prune()
    elif how == "remove":
        store.remove(Path("/p"))
    elif how == "forget":
        store.forget([Path("/p/1.jpg")])
    else:
        store.keep([new_photo(2)], [new_file(Path("/p/1.jpg"), 2)])
        store.sweep()
    told = [entry.facts for entry in audit.entries(store, "forgotten")]
    assert told == ([{"photos": [digest]}] if law else [])


def test_query_is_kept_only_where_the_policy_says_so(store: Store) -> None:
    audit.refused(store, UNDER_16, "a secret child")
    audit.refused(store, replace(UNDER_16, logs_queries=True), "a secret child")
    assert [entry.facts for entry in audit.entries(store, "refused")] == [
        {"policy": "under-16"},
        {"policy": "under-16", "query": "a secret child"},
    ]


def test_policy_is_told_when_it_changes(store: Store) -> None:
    none, strict = PRESETS["none"], replace(UNDER_16, review=0.1)
    assert not audit.in_force(store, none, "Anna")
    assert events(store) == []
    for policy, told in [(UNDER_16, True), (UNDER_16, False), (strict, True), (none, True)]:
        assert audit.in_force(store, policy, "Anna") == told
    facts = [entry.facts for entry in audit.entries(store, "policy")]
    assert [(f["name"], f["before"], f["digest"], f["who"]) for f in facts] == [
        ("under-16", None, fingerprint(UNDER_16), "Anna"),
        ("under-16", fingerprint(UNDER_16), fingerprint(strict), "Anna"),
        ("none", fingerprint(strict), fingerprint(none), "Anna"),
    ]


def test_a_library_in_memory_has_a_log_as_long_as_it_lives() -> None:
    with closing(open_store(MEMORY, create=True)) as store:
        rule(store)
        assert (events(store), store.log_problems()) == (["ruled"], [])
