"""kadr review and kadr audit: keys, sheets, figures, proof."""

import csv
import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from kadr.law import audit, review, sampling, scene
from kadr.law.policy import PRESETS
from kadr.library import ingest
from kadr.stores import NewFile, NewPhoto, Store, chain, open_store
from kadr.types import Assessment, PhotoFacts
from libraries import colour_matcher, digest, engine, paint
from shell import Result, Shell, one_line

FOUND = {
    "a.png": Assessment(("boy", "kid"), 0.4, (12.0, 41.0), (), 0.4, "v1"),
    "b.png": Assessment((), 0.5, None, (), 0.5, "v1"),
    "c.png": Assessment((), None, None, ("scene",), 0.7, "v1"),
    "d.png": Assessment((), 0.1, (), (), 0.1, "v1"),
}
"""The queue of under-16 is c, a, b."""


@pytest.fixture
def kadr(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
def store(kadr: Shell) -> Iterator[Store]:
    place = kadr.home / ".local" / "share" / "kadr" / "library.kadr"
    folder = kadr.home / "photos"
    for number, name in enumerate(FOUND):
        paint(folder / name, number)
    with closing(open_store(place, create=True)) as opened:
        with opened.writing():
            matcher = colour_matcher()
            ingest.adopt(opened, matcher, "")
            opened.add_folder(folder)
            ingest.ingest(opened, matcher, [folder])
        numbers = {name: opened.number(review.find(opened, str(folder / name))) for name in FOUND}
        opened.keep_assessments({n: FOUND[name] for name, n in numbers.items() if n is not None})
        yield opened


def decisions(store: Store) -> dict[str, tuple[str, str, str]]:
    """Verdict, who and why, by name."""
    found: dict[str, tuple[str, str, str]] = {}
    for photo, ruled in store.all_rulings().items():
        number = store.number(photo)
        assert number is not None
        found[store.present([number])[number][0].name] = (ruled.verdict, ruled.who, ruled.why)
    return found


def typed(kadr: Shell, keys: str, *arguments: str, code: int = 0) -> Result:
    """What kadr review says to lines of a pipe."""
    result = subprocess.run(
        [sys.executable, "-m", "kadr.cli.main", "review", *arguments],
        input=keys, env=kadr.environment, cwd=kadr.home, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == code, result.stderr
    return result


# Keys


def test_lines_of_a_pipe_are_keys(kadr: Shell, store: Store) -> None:
    result = typed(kadr, "h\na\ns\nq\n", "--who", "Anna", "--why", "looked")
    assert decisions(store) == {
        "c.png": ("hide", "Anna", "looked"),
        "a.png": ("allow", "Anna", "looked"),
    }
    assert "Policy under-16" in result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "a allow   h hide   s skip   u undo   q quit   ? help"
    folder = kadr.home / "photos"
    assert lines[1:] == [
        f"1 of 3  {folder / 'c.png'}", "  a child: 70%   failed: scene", "  hide",
        f"2 of 3  {folder / 'a.png'}",
        "  a child: 40%   scene 40%   apparent ages 12, 41   words boy, kid", "  allow",
        f"3 of 3  {folder / 'b.png'}", "  a child: 50%   scene 50%",
        "That was the last one. u undoes it, any other key ends.", "Decided: 2 of 3",
    ]  # fmt: skip
    assert kadr("audit", "verify").stdout.startswith("The log is sound. Entries: 2, ")


def test_undo_skip_help_and_the_end(kadr: Shell, store: Store) -> None:
    result = typed(kadr, "u\n?\n\nh\nu\na\ns\nh\nu\n", "--who", "Anna")
    assert decisions(store) == {"c.png": ("allow", "Anna", "")}
    assert result.stdout.count("s skip") == 3
    assert "Nothing to undo" in result.stdout
    assert result.stdout.endswith("Decided: 1 of 3\n")
    assert typed(kadr, "", "--who", "Anna").stdout.endswith("Decided: 0 of 2\n")
    typed(kadr, "РЫФ"[:1].lower() + "\nр\n", "--who", "Анна")  # the h of a Russian keyboard
    assert decisions(store)["b.png"] == ("hide", "Анна", "")
    assert typed(kadr, "").stdout == "No photo waits for a decision\n"
    assert kadr("audit", "verify").stdout.startswith("The log is sound")


def test_a_dispute_is_decided_with_a_reason(kadr: Shell, store: Store) -> None:
    photo = review.find(store, str(kadr.home / "photos" / "c.png"))
    review.decide(store, photo, review.ruling("allow", "Anna"))
    review.decide(store, photo, review.ruling("hide", "Boris"))
    result = typed(kadr, "h\nq\n", "--who", "Clara")
    assert "disputed by Boris" in result.stdout
    assert "needs a reason: write why" in result.stdout
    assert "left as it is" in result.stdout
    assert store.request(photo) is not None
    result = kadr("review", "decide", photo, "withdraw", "--why", " ", "--who", "Clara", code=2)
    assert "needs a reason" in one_line(result)
    typed(kadr, "h\nu\nh\nq\n", "--who", "Clara", "--why", "she is 12")
    assert decisions(store)["c.png"] == ("hide", "Clara", "she is 12")
    assert store.request(photo) is None
    assert kadr("audit", "verify").stdout.startswith("The log is sound")


def test_somebody_else_was_faster(kadr: Shell, store: Store) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "kadr.cli.main", "review", "--who", "Anna"],
        env=kadr.environment | {"PYTHONUNBUFFERED": "1"}, cwd=kadr.home,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert any(line.startswith("1 of 3") for line in process.stdout)
        for name, said in (("c.png", "hide"), ("a.png", "hide")):
            photo = review.find(store, str(kadr.home / "photos" / name))
            review.decide(store, photo, review.ruling(said, "Boris"))
        process.stdin.write("a\na\n")  # c, which is shown already; then b, for a is done
        process.stdin.close()
        shown = process.stdout.read()
    assert "allow: in dispute" in shown
    assert "2 of 3" not in shown
    assert {name: said[:2] for name, said in decisions(store).items()} == {
        "c.png": ("hide", "Boris"), "a.png": ("hide", "Boris"), "b.png": ("allow", "Anna")
    }  # fmt: skip
    assert "1 of 1" in typed(kadr, "q\n").stdout


def test_nothing_waits_where_nothing_is_hidden(kadr: Shell, store: Store) -> None:
    result = typed(kadr, "h\n", "--policy", "none")
    assert result.stdout == "Policy none hides nothing. No photo waits for a decision\n"


def test_policy_file_decides_what_waits(kadr: Shell, store: Store) -> None:
    law = kadr.home / "law.toml"
    law.write_text(
        '[policies.strict]\nextends = "under-16"\nreview = 0.05\n'
        '[countries]\nDE = "strict"\nFR = "under-16"\n'
    )
    for country, count in (("fr", 3), ("DE", 4), ("XX", 4)):
        shown = kadr("review", "--policy", law, "--country", country, "--json").stdout
        assert len(json.loads(shown)["photos"]) == count
    shown = kadr("review", "--policy", law, "--country", "FR", "stats", "--json").stdout
    assert json.loads(shown)["left"] == 3
    shown = kadr("review", "--policy", "none", "stats", "--policy", law, "--json").stdout
    assert (json.loads(shown)["policy"], json.loads(shown)["left"]) == ("strict", 4)
    assert "under-18" in kadr("review", "--policy", "under-18", code=2).stderr


def test_json_lists_and_asks_nothing(kadr: Shell, store: Store) -> None:
    told = json.loads(kadr("review", "--json").stdout)
    assert told["policy"] == "under-16"
    assert [Path(photo["paths"][0]).name for photo in told["photos"]] == ["c.png", "a.png", "b.png"]
    assert told["photos"][1]["assessment"]["faces"] == [12.0, 41.0]
    assert told["photos"][0]["ruling"] is None


def test_names_that_command_the_terminal_are_escaped(kadr: Shell, store: Store) -> None:
    bad = kadr.home / "photos" / "\x1b[31mred\n.png"
    (kadr.home / "photos" / "c.png").rename(bad)
    with store.writing():
        ingest.ingest(store, colour_matcher(), [bad.parent])
    review.appeal(store, review.find(store, str(bad)), "\x1b[1mMax", "a\nb")
    shown = typed(kadr, "q\n").stdout
    assert "\x1b" not in shown
    assert r"\x1b[31mred\n.png" in shown
    assert r"appealed by \x1b[1mMax" in shown


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_keys_of_a_terminal(kadr: Shell, store: Store) -> None:
    terminal = Terminal(kadr, "review", "--who", "Anna")
    terminal.wait("1 of 3")
    terminal.press("?", "a allow   h hide", again=True)
    terminal.press("h", "2 of 3")
    terminal.press("s", "3 of 3")
    terminal.press("a", "That was the last one")
    terminal.press("u", "3 of 3", again=True)
    terminal.press("\x03", "Decided: 1 of 3")
    assert terminal.code() == 0
    assert decisions(store) == {"c.png": ("hide", "Anna", "")}
    assert any(block in terminal.seen for block in "▀█▓▒░")


class Terminal:
    """A command in a terminal of its own."""

    def __init__(self, kadr: Shell, *arguments: str) -> None:
        import pty
        import termios

        self.parent, child = pty.openpty()
        termios.tcsetwinsize(child, (40, 120))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kadr.cli.main", *arguments],
            env=kadr.environment | {"TERM": "xterm"}, cwd=kadr.home,
            stdin=child, stdout=child, stderr=child, start_new_session=True,
        )  # fmt: skip
        os.close(child)
        os.set_blocking(self.parent, False)
        self.seen = ""

    def read(self) -> None:
        try:
            self.seen += os.read(self.parent, 65536).decode("utf-8", "replace")
        except BlockingIOError:
            time.sleep(0.01)
        except OSError:  # Linux says so at the end
            time.sleep(0.01)

    def wait(self, text: str, start: int = 0, seconds: float = 30) -> bool:
        end = time.monotonic() + seconds
        while text not in self.seen[start:]:
            if time.monotonic() > end:
                return False
            self.read()
        return True

    def press(self, key: str, expected: str, *, again: bool = False) -> None:
        """Press a key until it is heard: what is typed before the question is thrown away."""
        start = len(self.seen) if again else 0
        for _ in range(10):
            os.write(self.parent, key.encode())
            if self.wait(expected, start, seconds=3):
                return
        raise AssertionError(self.seen)

    def code(self) -> int:
        code = self.process.wait(30)
        self.read()
        os.close(self.parent)
        return code


# Near duplicates


@pytest.fixture
def burst(store: Store, kadr: Shell) -> dict[str, str]:
    """Have c, a and b look alike: their digests by name."""
    digests = {name: review.find(store, str(kadr.home / "photos" / name)) for name in FOUND}
    c, a, b = (store.number(digests[name]) for name in ("c.png", "a.png", "b.png"))
    assert c is not None
    store.keep_copies([(one, c) for one in (a, b) if one is not None])
    return digests


def test_near_duplicates_are_decided_alike_by_a_key(
    kadr: Shell, store: Store, burst: dict[str, str]
) -> None:
    result = typed(kadr, "h\ny\nu\nq\n", "--who", "Anna")
    folder = kadr.home / "photos"
    assert result.stdout.splitlines()[3:] == [
        "  hide", f"  {folder / 'a.png'}", f"  {folder / 'b.png'}",
        "  2 more that look like it wait: y decides alike, any other key goes on",
        "  hide: 2 more", "That was the last one. u undoes it, any other key ends.",
        f"1 of 3  {folder / 'c.png'}", "  a child: 70%   failed: scene", "Decided: 0 of 3",
    ]  # fmt: skip
    assert decisions(store) == {}
    typed(kadr, "р\nн\nq\n", "--who", "Anna", "--why", "Max")  # h and y of a Russian keyboard
    why = f"like {burst['c.png']}: Max"
    assert decisions(store) == {
        "c.png": ("hide", "Anna", "Max"), "a.png": ("hide", "Anna", why),
        "b.png": ("hide", "Anna", why),
    }  # fmt: skip
    assert [e.facts["why"] for e in audit.entries(store, "ruled")][-3:] == ["Max", why, why]
    assert kadr("audit", "verify").stdout.startswith("The log is sound")


def test_what_was_decided_about_a_near_duplicate_is_shown_and_decides_nothing(
    kadr: Shell, store: Store, burst: dict[str, str]
) -> None:
    review.decide(store, burst["c.png"], review.ruling("hide", "Boris"))
    result = typed(kadr, "s\ny\ny\nq\n", "--who", "Anna")
    assert result.stdout.count("a near duplicate was hidden by Boris") == 2
    assert "y hide, as that one" in result.stdout
    assert decisions(store)["b.png"] == ("hide", "Anna", f"like {burst['c.png']}")
    assert "a.png" not in decisions(store)
    (photo,) = json.loads(kadr("review", "--json").stdout)["photos"]
    assert photo["alike"] == [burst["c.png"]]
    assert photo["proposal"]["photo"] == burst["c.png"]
    assert photo["proposal"]["ruling"]["who"] == "Boris"
    kadr("review", "export", "out.csv")
    assert f"hide: by Boris, about {kadr.home / 'photos' / 'c.png'}" in (
        kadr.home / "out.csv"
    ).read_text("utf-8")


def test_another_key_decides_nothing_about_what_was_not_shown(
    kadr: Shell, store: Store, burst: dict[str, str]
) -> None:
    result = typed(kadr, "h\nh\na\nq\n", "--who", "Anna")  # the second h only goes on
    assert decisions(store) == {"c.png": ("hide", "Anna", ""), "a.png": ("allow", "Anna", "")}
    assert "any other key goes on" in result.stdout
    assert typed(kadr, "a\nq\n", "--who", "Anna").stdout.endswith("Decided: 1 of 1\n")


def test_near_duplicates_that_somebody_appealed_are_left_alone(
    kadr: Shell, store: Store, burst: dict[str, str]
) -> None:
    review.appeal(store, burst["b.png"], "Max", "it is me")
    result = typed(kadr, "s\nh\ny\nq\n", "--who", "Anna")
    assert "1 more that look like it wait" in result.stdout
    assert set(decisions(store)) == {"c.png", "a.png"}


# Sheets


def test_sheet_goes_out_and_comes_back(kadr: Shell, store: Store) -> None:
    result = kadr("review", "export", "out.csv")
    assert "Photos in out.csv: 3" in result.stderr
    place = kadr.home / "out.csv"
    assert place.read_bytes().startswith(b"\xef\xbb\xbfdigest,path,")
    with place.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row, said in zip(rows, ("hide", "allow", ""), strict=True):
        row["verdict"] = said
    write(kadr.home / "anna.csv", rows)
    assert kadr("review", "import", "anna.csv", "--who", "Anna").stdout == (
        "2 in force; 1 rows without a verdict\n"
    )
    assert {name: said[:2] for name, said in decisions(store).items()} == {
        "c.png": ("hide", "Anna"), "a.png": ("allow", "Anna")
    }  # fmt: skip
    rows[1]["verdict"] = "hide"
    rows[2]["verdict"] = "perhaps"
    write(kadr.home / "boris.csv", rows)
    done = kadr("review", "import", "boris.csv", "--who", "Boris", code=1)
    assert done.stdout == ("1 agree with those in force, 1 in dispute; 0 rows without a verdict\n")
    assert [line.split(":")[1] for line in done.stderr.splitlines()] == [
        " boris.csv, row 3", " boris.csv, row 4"
    ]  # fmt: skip
    again = json.loads(
        kadr("review", "import", "boris.csv", "--who", "Boris", "--json", code=1).stdout
    )
    assert again["outcomes"] == {"unchanged": 2}
    assert [problem["row"] for problem in again["problems"]] == [4]
    lines = kadr("review", "stats").stdout.splitlines()
    assert lines == [
        "Photos left: 2, of them by appeal or dispute: 1",
        "Decisions: allow 1, hide 1",
        "  where the machine alone says show: allow 0, hide 0",
        "  where the machine alone says review: allow 1, hide 1",
        "  where the machine alone says hide: allow 0, hide 0",
        "Photos that several judged: 2, all alike: 1",
        "  Anna and Boris: 1 of 2 alike, kappa 0.00",
    ]
    assert "Anna and Boris" not in json.loads(kadr("review", "stats", "--json").stdout)


def write(path: Path, rows: Sequence[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def test_file_that_is_no_sheet_is_named(kadr: Shell, store: Store) -> None:
    assert "gone.csv: can't be read" in one_line(kadr("review", "import", "gone.csv", code=2))
    (kadr.home / "x.csv").write_bytes("вердикт".encode("cp1251"))
    assert "x.csv, row 1: can't be read as UTF-8 CSV" in one_line(
        kadr("review", "import", "x.csv", code=2)
    )
    (kadr.home / "x.csv").write_text("a,b\n")
    assert "x.csv has no columns" in one_line(kadr("review", "import", "x.csv", code=2))


# One photo


def test_appeal_and_its_outcome_are_shown(kadr: Shell, store: Store) -> None:
    photo = "photos/d.png"
    kadr("review", "decide", photo, "hide", "--why", "looks young", "--who", "Anna")
    assert decisions(store)["d.png"] == ("hide", "Anna", "looks young")
    shown = kadr("review", "appeal", photo, "--why", "I am 30", "--who", "Max").stdout
    assert shown.endswith(": will be looked at again\n")
    assert "1 of 4" in (first := typed(kadr, "q\n").stdout)
    assert f"appealed by Max, {audit.now()[:10]}" in first
    assert "in force: hide, by Anna" in first
    kadr("review", "decide", photo, "allow", "--why", "is 30", "--who", "Boris")
    entries = json.loads(kadr("audit", "show", "--photo", photo, "--json").stdout)["entries"]
    assert [(e["event"], e["facts"]["who"]) for e in entries] == [
        ("ruled", "Anna"), ("appealed", "Max"), ("ruled", "Boris")
    ]  # fmt: skip
    lines = kadr("audit", "show", "-n", "2").stdout.splitlines()
    assert re.match(r"     2  \d{4}-\S+\+00:00  appealed   ", lines[0])
    assert "why is 30" in lines[1]
    kadr("review", "decide", photo, "withdraw", "--why", "wrong photo", "--who", "Boris")
    assert "d.png" not in decisions(store)
    assert "nothing can be taken back" in one_line(
        kadr("review", "decide", photo, "withdraw", "--why", "again", code=2)
    )
    assert "isn't in the library" in one_line(
        kadr("review", "appeal", "photos/e.png", "--why", "x", code=2)
    )
    assert "reason" in one_line(kadr("review", "appeal", photo, "--why", " ", code=2))
    assert "--why" in kadr("review", "decide", photo, "hide", code=2).stderr


# Proof


def test_audit_finds_what_was_changed(kadr: Shell, store: Store) -> None:
    assert kadr("audit", "verify").stdout == "The log is sound. Entries: 0\n"
    for who in ("Anna", "Boris"):
        kadr("review", "decide", "photos/a.png", "hide", "--why", "x", "--who", who)
    told = json.loads(kadr("audit", "verify", "--json").stdout)
    assert (told["lines"], told["problems"]) == (2, [])
    first = json.loads(kadr("audit", "show", "--json").stdout)["entries"][0]
    early, digest = first["hash"], first["facts"]["photo"]
    assert kadr("audit", "verify", "--contains", early).stdout.endswith(f"{told['last']}\n")
    assert "no entry has the hash" in kadr("audit", "verify", "--contains", "ab", code=1).stdout
    with closing(sqlite3.connect(engine(store).path)) as base, base:
        base.execute("UPDATE audit SET facts = replace(facts, 'Boris', 'Clara')")
    result = kadr("audit", "verify", code=1)
    assert result.stdout.splitlines() == [
        "entry 2: was changed",
        f"{digest}: the decision isn't the log's",
        f"Problems: 2. Entries: 1, the last one's hash: {early}",
    ]
    place = engine(store).path
    assert "Problems" in kadr("audit", "--library", place, "verify", code=1).stdout
    assert "Problems" in kadr("audit", "verify", "--library", place, code=1).stdout
    assert "no library here" in kadr("audit", "verify", "--library", "none.kadr", code=2).stderr


def test_the_log_is_exported_as_json_lines(kadr: Shell, store: Store, tmp_path: Path) -> None:
    for who in ("Anna", "Boris"):
        kadr("review", "decide", "photos/a.png", "hide", "--why", "x", "--who", who)
    file = tmp_path / "log.jsonl"
    assert kadr("audit", "export", file).stderr == f"Entries in {file}: 2\n"
    assert file.stat().st_mode & 0o077 == 0
    lines = file.read_bytes().splitlines(keepends=True)
    shown = json.loads(kadr("audit", "show", "--json").stdout)["entries"]
    assert [json.loads(line) for line in lines] == shown
    assert [chain.from_line(line) for line in lines] == list(store.entries())
    assert kadr("audit", "export", "-").stdout == file.read_text()
    assert kadr("audit", "verify", "--log", file).stdout.startswith("The log is sound")
    kadr("review", "decide", "photos/b.png", "hide", "--why", "x", "--who", "Anna")
    assert kadr("audit", "verify", "--log", file).stdout.startswith("The log is sound")
    file.write_bytes(lines[0] + lines[1].replace(b"Boris", b"Clara"))
    assert "line 2: was changed" in kadr("audit", "verify", "--log", file, code=1).stdout
    assert "none.jsonl: No such file" in one_line(
        kadr("audit", "verify", "--log", "none.jsonl", code=2)
    )


# A sample of what is shown


def test_sample_is_drawn_looked_at_and_told(kadr: Shell, store: Store) -> None:
    assert "Draw one: kadr review sample" in one_error(kadr("review", "estimate", code=2))
    assert "hides nothing" in one_line(kadr("review", "sample", "--policy", "none", code=2))
    assert "No photo of a sample waits" in typed(kadr, "h\n", "--sample").stdout
    drawn = kadr("review", "sample", "-n", "5", "--seed", "3", "--who", "Anna")
    assert drawn.stdout == "Drawn: 1 of 1 photos that under-16 shows. Not looked at yet: 1\n"
    assert "Nobody has looked at the sample yet: 1 photos." in kadr("review", "estimate").stdout
    kadr("review", "export", "sample.csv", "--sample")
    assert "d.png" in (kadr.home / "sample.csv").read_text()
    told = json.loads(kadr("review", "--sample", "--json").stdout)
    assert [Path(photo["paths"][0]).name for photo in told["photos"]] == ["d.png"]
    assert "1 of 1" in typed(kadr, "h\n", "--sample", "--who", "Anna").stdout
    lines = kadr("review", "estimate").stdout.splitlines()
    assert lines[0] == (
        "Between 2.5% and 100.0% of what is shown shows a child (95%, 1 of 1 looked at)"
    )
    assert re.match(r"Drawn on \S+ from 1 photos that under-16 showed and nobody", lines[1])
    found = json.loads(kadr("review", "estimate", "--json").stdout)
    assert (found["children"], found["looked"], found["left"]) == (1, 1, 0)
    assert found["share"]["low"] == pytest.approx(0.025)
    assert found["sample"]["seed"] == 3
    assert "sampled" in kadr("audit", "show").stdout
    assert kadr("audit", "verify").stdout.startswith("The log is sound")


def one_error(result: Result) -> str:
    """The error that follows the line about the policy."""
    policy, error = result.stderr.splitlines()
    assert policy.startswith("Policy ")
    assert error.startswith("kadr: ")
    return error


# Learning from decisions


@pytest.fixture
def taught(kadr: Shell) -> Path:
    """Make a library of photos that people decided about, and saw children in more of them."""
    random = np.random.default_rng(3)
    classifier = scene.load()
    rows = random.normal(size=(240, 256)).astype(np.float32)
    rows *= 3 / np.linalg.norm(rows, axis=1, keepdims=True)
    p = classifier.probability(rows)
    hidden = random.random(240) < scene.probability(classifier.log_odds(rows) * 2 + 1.5)
    place = kadr.home / "taught.kadr"
    with closing(open_store(place, create=True)) as store:
        store.note(encoder=classifier.encoder)
        digests = [digest(number) for number in range(240)]
        facts = PhotoFacts("jpeg", 1, 1, None, None, None, None)
        pairs = list(zip(digests, rows, strict=True))
        store.keep(
            [NewPhoto(key, None, facts, 0, row, row) for key, row in pairs],
            [NewFile(kadr.home / f"{key.hex()}.jpg", 1, 0, key) for key in digests],
        )
        numbers = [store.number(key.hex()) or 0 for key in digests]
        store.keep_assessments(
            {
                n: Assessment((), one, None, (), one, "v1")
                for n, one in zip(numbers, p.tolist(), strict=True)
            }
        )
        sampling.draw(store, PRESETS["under-16"], 60, "Anna", seed=1)
        for key, flag in zip(digests, hidden.tolist(), strict=True):
            said = review.ruling("hide" if flag else "allow", "Anna")
            review.decide(store, key.hex(), said)
    return place


def test_decisions_teach_the_library(kadr: Shell, taught: Path) -> None:
    def learn(*arguments: str, code: int = 0) -> Result:
        return kadr("review", "learn", "--library", taught, *arguments, code=code)

    told = learn().stdout.splitlines()
    assert re.match(r"Learned from 240 decisions, \d+ of them to hide, 60 about the s", told[0])
    assert [line.split()[0] for line in told[1:3]] == ["in", "learned"]
    assert len(told) == 3
    found = json.loads(learn("--json").stdout)
    assert not found["adopted"]
    assert found["after"]["brier"] < found["before"]["brier"]
    assert found["objection"] is None
    assert "In force and on record" in learn("--adopt", "--who", "Anna").stdout
    shown = json.loads(kadr("audit", "show", "--library", taught, "--json").stdout)["entries"][-1]
    assert (shown["event"], shown["facts"]["who"]) == ("calibrated", "Anna")
    assert (
        learn("--forget").stdout == "The library's calibration is forgotten. Now run kadr index\n"
    )
    assert "nothing to forget" in one_error(learn("--forget", code=2))
    assert "contradict" in one_line(learn("--adopt", "--forget", code=2))
    assert kadr("audit", "verify", "--library", taught).stdout.startswith("The log is sound")


def test_too_few_decisions_teach_nothing(kadr: Shell, store: Store) -> None:
    kadr("review", "decide", "photos/a.png", "hide", "--why", "x")
    error = one_error(kadr("review", "learn", code=2))
    assert "Of photos that the classifier knows people hid 0 and allowed 0: too few" in error


def test_a_library_that_may_only_be_read_is_told_at_the_start(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from typer.testing import CliRunner

    from kadr.cli.main import app

    file = str(tmp_path / ".local" / "share" / "kadr" / "library.kadr")
    monkeypatch.setattr(type(store), "readonly", True)
    result = CliRunner().invoke(app, ["review", "--library", file], input="h\n")
    assert "may only be read here, so nothing can be decided" in str(result.exception)
    assert decisions(store) == {}
    listed = CliRunner().invoke(app, ["review", "--library", file, "--json"])
    assert (listed.exit_code, len(json.loads(listed.stdout)["photos"])) == (0, 3)
