"""A library of format 1 and the log beside it become one library, once; nothing broken is believed."""

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from kadr.stores import chain, open_store
from kadr.stores.chain import Entry
from kadr.stores.sqlite import migrations

TIME = "2026-01-01T00:00:00+00:00"
EVENTS = ("policy", "assessed", "ruled")


def entries(count: int = 3) -> list[Entry]:
    made: list[Entry] = []
    for number in range(count):
        facts = {"photo": "ab" * 32, "number": number}
        last = made[-1] if made else None
        made.append(chain.following(last, TIME, EVENTS[number % 3], facts))
    return made


def old_library(
    folder: Path, data: bytes | None, anchor: str | None = None, pending: Sequence[object] = ()
) -> Path:
    """A library as format 1 has it, with its log beside it."""
    path = folder / "library.kadr"
    with closing(sqlite3.connect(path, isolation_level=None)) as base:
        base.execute("PRAGMA journal_mode=WAL")
        base.executescript(migrations._SCHEMA)
        base.execute(f"PRAGMA application_id={migrations.APPLICATION}")
        base.execute("PRAGMA user_version=1")
        notes = {"audit": anchor, "audit.pending": json.dumps(pending) if pending else None}
        for key, value in notes.items():
            if value is not None:
                base.execute("INSERT INTO meta VALUES (?, ?)", (key, value))
        base.execute(
            "INSERT INTO rulings VALUES (?, 'hide', 'Anna', ?, '')",
            (bytes.fromhex("ab" * 32), TIME),
        )
    if data is not None:
        path.with_name("library.kadr.audit.jsonl").write_bytes(data)
    return path


def taken(path: Path) -> list[Entry]:
    """What the log holds after two openings, which is what it holds after one."""
    with closing(open_store(path)) as store:
        first = list(store.entries())
        assert store.ruling("ab" * 32) is not None
        assert store.check() == []
        assert store.meta("audit.pending") is None
    with closing(open_store(path)) as store:
        assert list(store.entries()) == first
        assert list(chain.problems((e for e in first if e.event != "broken"), None)) == [] or any(
            e.event == "broken" for e in first
        )
        assert store.meta("audit") == (first[-1].hash if first else None)
    return first


def lines(made: Sequence[Entry]) -> bytes:
    return b"".join(map(chain.to_line, made))


def test_a_sound_log_is_taken_over_whole(tmp_path: Path) -> None:
    made = entries()
    path = old_library(tmp_path, lines(made), made[-1].hash)
    assert taken(path) == made
    assert path.with_name("library.kadr.audit.jsonl").read_bytes() == lines(made)
    with closing(open_store(path)) as store:
        assert store.record("refused", {}).previous == made[-1].hash


def test_a_library_without_a_log_gets_an_empty_one(tmp_path: Path) -> None:
    assert taken(old_library(tmp_path, None)) == []


@pytest.mark.parametrize("written", [False, True])
@pytest.mark.parametrize("end", [b"\n", b""])
def test_what_a_crash_left_due_is_added(tmp_path: Path, end: bytes, *, written: bool) -> None:
    made = entries()
    pending = (made[2].time, made[2].event, made[2].facts)
    data = lines(made[:2]) + (chain.to_line(made[2])[:-1] + end if written else b"")
    assert taken(old_library(tmp_path, data, made[1].hash, pending)) == made


@pytest.mark.parametrize("cut", [1, 40])
def test_half_a_line_is_no_damage(tmp_path: Path, cut: int) -> None:
    made = entries()
    pending = (made[2].time, made[2].event, made[2].facts)
    data = lines(made[:2]) + chain.to_line(made[2])[:cut]
    assert taken(old_library(tmp_path, data, made[1].hash, pending)) == made
    torn = b'{"eve'
    mark = chain.following(
        made[1], TIME, "torn", {"bytes": 5, "sha256": hashlib.sha256(torn).hexdigest()}
    )
    (tmp_path / "later").mkdir()
    data = lines(made[:2]) + torn + b"\n" + chain.to_line(mark)
    assert taken(old_library(tmp_path / "later", data, mark.hash)) == [*made[:2], mark]


def forged() -> dict[str, tuple[bytes | None, int, str]]:
    """What a stranger made of the log; how many of its entries are believed; what is said."""
    made = entries(4)
    raw = [chain.to_line(entry) for entry in made]
    changed = raw[1].replace(b'"number":1', b'"number":7')
    stranger = chain.following(made[3], TIME, "ruled", {"photo": "cd" * 32})
    return {
        "gone": (None, 0, "the end is missing"),
        "empty": (b"", 0, "the end is missing"),
        "cut": (lines(made[:2]), 2, "the end is missing"),
        "changed": (raw[0] + changed + raw[2] + raw[3], 1, "what stands before it was never"),
        "removed": (raw[0] + raw[2] + raw[3], 1, "doesn't follow"),
        "moved": (raw[0] + raw[2] + raw[1] + raw[3], 1, "doesn't follow"),
        "repeated": (raw[0] + raw[0] + raw[1] + raw[2] + raw[3], 1, "doesn't follow"),
        "added": (lines(made) + chain.to_line(stranger), 4, "doesn't know the last lines: 1"),
        "added without its end": (
            lines(made) + chain.to_line(stranger)[:-1], 4, "doesn't know the last lines: 1",
        ),
        "noise": (lines(made) + b"noise\nmore", 4, "the last lines were never entries"),
        "rewritten": (
            lines([made[0], chain.following(made[0], TIME, "refused", {})]), 2, "the end is missing",
        ),
    }  # fmt: skip


@pytest.mark.parametrize("kind", forged())
def test_a_broken_log_is_recorded_as_such(tmp_path: Path, kind: str) -> None:
    data, believed, said = forged()[kind]
    found = taken(old_library(tmp_path, data, entries(4)[-1].hash))
    assert [entry.event for entry in found[believed:]] == ["broken"]
    mark = found[-1].facts
    assert any(said in problem for problem in mark["problems"])
    assert mark["sha256"] == hashlib.sha256(data or b"").hexdigest()
    assert any("damaged" in problem for problem in chain.problems(found))


def test_a_kill_within_leaves_the_old_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = entries()
    path = old_library(tmp_path, lines(made), made[-1].hash)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("kadr.stores.sqlite.takeover.insert", crash)
        with pytest.raises(KeyboardInterrupt):
            open_store(path)
    with closing(sqlite3.connect(path)) as base:
        assert base.execute("PRAGMA user_version").fetchone() == (1,)
    assert taken(path) == made
