"""The audit log proves itself: whatever is done to a byte of it, whatever crashes."""

import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kadr.errors import LibraryError
from kadr.law import audit, chain
from kadr.law.audit import AuditLog
from kadr.law.policy import PRESETS
from kadr.law.rules import fingerprint
from kadr.stores.sqlite import MEMORY, Run, Store
from kadr.types import Assessment

UNDER_16 = PRESETS["under-16"]
PHOTO = "ab" * 32
FOUND = Assessment(("boy",), 0.7, None, (), 0.71234567, "v1")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path / "library.kadr", create=True)) as opened:
        yield opened


@pytest.fixture
def log(store: Store) -> AuditLog:
    return audit.beside(store)


def path_of(log: AuditLog) -> Path:
    assert log.path is not None
    return log.path


def filled(log: AuditLog, lines: int = 4) -> bytes:
    for number in range(lines):
        log.append("refused", policy="under-16", number=number)
    return path_of(log).read_bytes()


def events(log: AuditLog) -> list[str]:
    return [entry.event for entry in log.entries()]


def test_lines_are_chained_json(log: AuditLog, store: Store) -> None:
    assert log.verify() == []
    lines = [json.loads(line) for line in filled(log, 3).splitlines()]
    assert [line["sequence"] for line in lines] == [1, 2, 3]
    assert [line["previous"] for line in lines] == [chain.START, *(li["hash"] for li in lines[:2])]
    assert lines[0]["facts"] == {"policy": "under-16", "number": 0}
    assert lines[0]["time"].endswith("+00:00")
    assert store.meta("audit") == lines[2]["hash"]
    assert path_of(log).name == "library.kadr.audit.jsonl"
    assert log.verify() == chain.verify(path_of(log)) == []
    assert [entry.facts["number"] for entry in log.entries("refused")] == [0, 1, 2]
    assert list(log.entries("ruled")) == []


def test_lone_surrogates_and_any_script_are_kept(log: AuditLog) -> None:
    log.append("refused", query="кто\udcff\n\u2028 \x00")
    (entry,) = log.entries()
    assert entry.facts["query"] == "кто\udcff\n\u2028 \x00"
    assert log.verify() == []


# Strangers' hands


def changed(data: bytes, kind: str, at: int, byte: int) -> bytes:
    at %= len(data)
    if kind == "change":
        return data[:at] + bytes([byte]) + data[at + 1 :]
    if kind == "insert":
        return data[:at] + bytes([byte]) + data[at:]
    if kind == "delete":
        return data[:at] + data[at + 1 :]
    if kind == "truncate":
        return data[:at]
    lines = data.splitlines(keepends=True)
    one, other = at % len(lines), byte % len(lines)
    if kind == "swap":
        lines[one], lines[other] = lines[other], lines[one]
    elif kind == "remove":
        del lines[one]
    elif kind == "repeat":
        lines.insert(other, lines[one])
    return b"".join(lines)


KINDS = ("change", "insert", "delete", "truncate", "swap", "remove", "repeat")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, str, Path]:
    """Give a log that went through a crash, its anchor, and a place for what is made of it."""
    folder = tmp_path_factory.mktemp("sound")
    with closing(Store(folder / "library.kadr", create=True)) as store:
        log = audit.beside(store)
        filled(log, 2)
        with path_of(log).open("ab") as file:
            file.write(b'{"event":"ru')
        data, anchor = filled(log, 3), store.meta("audit")
        assert events(log) == ["refused", "refused", "torn", *["refused"] * 3]
        assert log.verify() == []
    assert anchor is not None
    return data, anchor, folder / "other.jsonl"


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(KINDS), st.integers(0, 10**6), st.integers(0, 255))
def test_any_change_is_found(sound: tuple[bytes, str, Path], kind: str, at: int, byte: int) -> None:
    data, anchor, place = sound
    other = changed(data, kind, at, byte)
    place.write_bytes(other)
    assert bool(chain.verify(place, anchor)) == (other != data)


def test_every_byte_matters(sound: tuple[bytes, str, Path]) -> None:
    data, anchor, place = sound
    for at in range(len(data)):
        for other in (changed(data, "change", at, data[at] ^ 1), changed(data, "delete", at, 0)):
            if other != data:
                place.write_bytes(other)
                assert chain.verify(place, anchor), at


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(KINDS), st.integers(0, 10**6), st.integers(0, 255))
def test_no_later_line_covers_a_change(
    tmp_path_factory: pytest.TempPathFactory, kind: str, at: int, byte: int
) -> None:
    with closing(Store(tmp_path_factory.mktemp("late") / "library.kadr", create=True)) as store:
        log = audit.beside(store)
        data = filled(log)
        other = changed(data, kind, at, byte)
        path_of(log).write_bytes(other)
        filled(log, 2)
        whole = other in {data, data[:-1]}  # the newline that was taken is there again
        assert bool(log.verify()) != whole


def test_what_is_wrong_is_said(log: AuditLog, store: Store) -> None:
    lines, path = filled(log).splitlines(keepends=True), path_of(log)

    def said(*kept: bytes) -> list[str]:
        path.write_bytes(b"".join(kept))
        return log.verify()

    one, two, three, four = lines
    assert said(one, two.replace(b"1", b"7", 1), three, four) == [
        "line 2: was changed, or was never a line of this log"
    ]
    assert said(one, three, four) == ["line 2: lines before it are missing"]
    assert said(two, three, four) == ["line 1: lines before it are missing"]
    assert said(one, two, two, three, four) == ["line 3: was moved, or doesn't belong there"]
    assert said(one, three, two, four)[0] == "line 2: lines before it are missing"
    missing = "the end is missing: the last line that the library knows isn't there"
    assert said(one, two, three) == said() == [missing]
    assert chain.verify(path) == []  # without its anchor nobody can tell


def test_log_that_is_gone_is_missed(log: AuditLog, store: Store) -> None:
    filled(log)
    path_of(log).unlink()
    assert "is gone" in log.verify()[0]
    log.append("refused")
    assert events(log) == ["broken", "refused"]
    assert "notes that the log didn't end then as the library knew" in log.verify()[0]
    assert chain.verify(path_of(log).with_name("never.jsonl")) == []


def test_older_library_is_told_from_a_crash(log: AuditLog, store: Store) -> None:
    filled(log)
    early = store.meta("audit")
    assert early is not None
    log.append("refused")
    store.note(audit=early)
    assert log.verify() == []  # as after a crash
    log.append("refused")
    assert events(log) == ["refused"] * 6
    store.note(audit=early)
    assert "the last 2 lines are unknown to the library" in log.verify()[0]
    log.append("refused")
    assert events(log) == [*["refused"] * 6, "broken", "refused"]


def test_new_library_goes_on_with_an_old_log(log: AuditLog, store: Store, tmp_path: Path) -> None:
    filled(log)
    store.close()
    for file in tmp_path.glob("library.kadr*"):
        if "audit" not in file.name:
            file.unlink()
    with closing(Store(tmp_path / "library.kadr", create=True)) as new:
        again = audit.beside(new)
        again.append("refused")
        assert [entry.sequence for entry in again.entries()] == [1, 2, 3, 4, 5]
        assert again.verify() == []


# Crashes


@pytest.mark.parametrize("lines", [0, 1, 3])
def test_torn_line_is_completed_wherever_it_tore(lines: int, tmp_path: Path) -> None:
    with closing(Store(tmp_path / "library.kadr", create=True)) as store:
        log = audit.beside(store)
        before = filled(log, lines) if lines else b""
        anchor = store.meta("audit")
        last = filled(log, 1)[len(before) :]
        for end in range(1, len(last) + 1):
            path_of(log).write_bytes(before + last[:end])
            with store.transaction() as run:
                run("DELETE FROM meta WHERE key = 'audit'")
                if anchor:
                    run("INSERT INTO meta VALUES ('audit', ?)", (anchor,))
            assert log.verify() == [], end
            log.append("refused", again=end)
            whole = end >= len(last) - 1
            assert events(log) == ["refused"] * lines + ["refused" if whole else "torn", "refused"]
            assert log.verify() == [], end
            assert path_of(log).read_bytes().startswith(before + last[:end])


def test_crash_amid_the_mark_of_a_crash(log: AuditLog) -> None:
    whole = filled(log, 1)
    for torn in (b'{"eve', b'{"eve\n{"event":"torn","facts', b'{"eve\n{"event":"torn"\n{'):
        path_of(log).write_bytes(whole + torn)
        assert log.verify() == []
        log.append("refused")
        assert events(log) == ["refused", "torn", "refused"]
        assert log.verify() == []
        path_of(log).write_bytes(whole)
        assert log._store is not None
        log._store.note(audit=json.loads(whole)["hash"])


def test_long_lines_are_found_from_the_end(log: AuditLog) -> None:
    log.append("assessed", photos=["x" * 64] * 5000)
    log.append("refused")
    log.append("assessed", photos=["y" * 64] * 9000)
    log.append("refused")
    assert [entry.sequence for entry in log.entries()] == [1, 2, 3, 4]
    assert log.verify() == []


class Crash(BaseException):
    pass


def rule(run: Run) -> None:
    values = bytes.fromhex(PHOTO), "hide", "Anna", audit.now(), ""
    run("INSERT OR REPLACE INTO rulings VALUES (?, ?, ?, ?, ?)", values)


@pytest.mark.parametrize("later", ["append", "record"])
@pytest.mark.parametrize("step", ["_change", "_write", "_anchor", "torn"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_change_and_line_come_together(
    store: Store, log: AuditLog, monkeypatch: pytest.MonkeyPatch, step: str, when: str, later: str
) -> None:
    filled(log, 2)
    name = "_write" if step == "torn" else step
    real: Callable[..., object] = getattr(log, name)

    def crash(*arguments: object, **named: object) -> None:
        if step == "torn":
            with path_of(log).open("ab") as file:
                (line,) = arguments
                assert isinstance(line, bytes)
                file.write(line[: 40 if when == "before" else -1])
        elif when == "after":
            real(*arguments, **named)
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(log, name, crash)
        with pytest.raises(Crash):
            log.record(rule, "ruled", photo=PHOTO)
    ruled = bool(store.read("SELECT 1 FROM rulings"))
    assert ruled == ((step, when) != ("_change", "before"))
    other = audit.beside(store)
    assert other.verify() == []
    if later == "append":
        other.append("refused")
    else:
        other.record(rule, "ruled", photo="other")
    assert other.verify() == []
    told = [entry.facts["photo"] for entry in other.entries("ruled")]
    assert told == [PHOTO] * ruled + ["other"] * (later == "record")
    assert store.meta("audit.pending") is None


def test_failed_change_leaves_no_line(store: Store, log: AuditLog) -> None:
    with pytest.raises(LibraryError):
        log.record(lambda run: run("INSERT INTO nowhere VALUES (1)"), "ruled")
    assert events(log) == []
    assert store.read("PRAGMA synchronous") == [(1,)]


KILLED = """
import sys
from contextlib import closing
from pathlib import Path
from kadr.law import audit
from kadr.stores.sqlite import Run, Store

with closing(Store(Path(sys.argv[1]))) as store:
    log = audit.beside(store)
    print("go", flush=True)
    while True:
        log.record(lambda run: run("INSERT OR REPLACE INTO meta VALUES ('n', coalesce("
                   "(SELECT value FROM meta WHERE key = 'n'), 0) + 1)"), "ruled")
"""


def test_killed_processes_leave_a_sound_log(store: Store, log: AuditLog) -> None:
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(store.path)], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.readline()
        lines = len(events(log))
        while len(events(log)) < lines + 3:
            assert process.poll() is None
        process.kill()
        process.wait()
        process.stdout.close()
        assert log.verify() == []
    log.append("refused")
    assert log.verify() == []
    assert len(list(log.entries("ruled"))) == int(store.meta("n") or 0)


def append_many(path: Path, who: int) -> None:
    with closing(Store(path)) as store:
        log = audit.beside(store)
        for number in range(20):
            log.append("refused", who=who, number=number)


def test_processes_append_side_by_side(store: Store, log: AuditLog) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=append_many, args=(store.path, who)) for who in range(3)]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        assert log.verify() == []
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    told = [(entry.facts["who"], entry.facts["number"]) for entry in log.entries()]
    assert sorted(told) == [(who, number) for who in range(3) for number in range(20)]
    assert log.verify() == []


def test_turn_may_be_nested(log: AuditLog) -> None:
    with log.turn(), log.turn():
        log.append("refused")
    assert events(log) == ["refused"]


# What is in it


def test_assessments_are_told_by_digest(log: AuditLog) -> None:
    audit.assessed(log, UNDER_16, [(PHOTO, FOUND, "review")])
    (entry,) = log.entries("assessed")
    assert entry.facts == {
        "policy": "under-16", "photos": [[PHOTO, 0.7123, "review", "v1"]]
    }  # fmt: skip
    audit.forgotten(log, [PHOTO])
    (entry,) = log.entries("forgotten")
    assert entry.facts == {"photos": [PHOTO]}


def test_query_is_kept_only_where_the_policy_says_so(log: AuditLog) -> None:
    audit.refused(log, UNDER_16, "a secret child")
    assert b"secret" not in path_of(log).read_bytes()
    assert b"child" not in path_of(log).read_bytes()
    audit.refused(log, replace(UNDER_16, logs_queries=True), "a secret child")
    assert [entry.facts for entry in log.entries("refused")] == [
        {"policy": "under-16"},
        {"policy": "under-16", "query": "a secret child"},
    ]


def test_policy_is_told_when_it_changes(store: Store, log: AuditLog) -> None:
    none, strict = PRESETS["none"], replace(UNDER_16, review=0.1)
    assert not audit.in_force(store, none, "Anna")
    assert not path_of(log).exists()
    for policy, told in [(UNDER_16, True), (UNDER_16, False), (strict, True), (none, True)]:
        assert audit.in_force(store, policy, "Anna") == told
    facts = [entry.facts for entry in log.entries("policy")]
    assert [(f["name"], f["before"], f["digest"], f["who"]) for f in facts] == [
        ("under-16", None, fingerprint(UNDER_16), "Anna"),
        ("under-16", fingerprint(UNDER_16), fingerprint(strict), "Anna"),
        ("none", fingerprint(strict), fingerprint(none), "Anna"),
    ]


def test_library_in_memory_leaves_none() -> None:
    with closing(Store(MEMORY, create=True)) as store:
        log = audit.beside(store)
        log.append("refused")
        log.record(rule, "ruled")
        assert store.read("SELECT count(*) FROM rulings") == [(1,)]
        assert (log.path, list(log.entries()), log.verify()) == (None, [], [])
        assert store.meta("audit.pending") is None


def test_log_that_cannot_be_written_says_so(log: AuditLog) -> None:
    path_of(log).mkdir()
    with pytest.raises(LibraryError, match=r"audit\.jsonl: the audit log can't be used"):
        log.append("refused")
    with pytest.raises(LibraryError, match="can't be read"):
        log.verify()


def test_full_disk_loses_nothing(
    log: AuditLog, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(log, 1)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: WRITE(descriptor, data[:30]))
        with pytest.raises(LibraryError, match="disk is full"):
            log.record(rule, "ruled", photo=PHOTO)
    assert log.verify() == []
    log.append("refused")
    assert events(log) == ["refused", "torn", "ruled", "refused"]
    assert log.verify() == []


WRITE = os.write
