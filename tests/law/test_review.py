"""Review: what waits for a person, what a decision does, and that it holds whatever happens."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadr.data import tables
from kadr.errors import KadrError, LibraryError
from kadr.law import audit, proof, review, reviewers
from kadr.law.policy import PRESETS, Policy
from kadr.law.proposals import Proposal
from kadr.law.review import Decision, Doubt, Outcome
from kadr.law.verdict import hidden, verdict, verdicts
from kadr.library import ingest
from kadr.stores import Shown, Store, open_store
from kadr.types import Assessment, Request, Ruling
from libraries import colour_matcher, digest, new_file, new_photo, paint

LAW = PRESETS["under-16"]  # review from 0.2, hide from 0.8


def found(probability: float, *failed: str) -> Assessment:
    return Assessment(("boy",), probability, (12.0, 40.4), failed, probability, "v1")


PHOTOS = {
    "shown": found(0.1),
    "far": found(0.7),
    "near": found(0.45),
    "hidden": found(0.9),
    "failed": found(0.1, "faces"),
    "all-failed": found(0.1, "faces", "scene"),
    "new": None,
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(open_store(tmp_path / "library.kadr", create=True)) as opened:
        photos = [new_photo(name) for name in PHOTOS]
        files = [new_file(tmp_path / f"{name}.jpg", name) for name in PHOTOS]
        opened.keep(photos, files)
        assessed = {opened.number(key(name)): one for name, one in PHOTOS.items() if one}
        opened.keep_assessments({number: one for number, one in assessed.items() if number})
        yield opened


def key(name: str) -> str:
    return digest(name).hex()


def names(store: Store, policy: Policy = LAW) -> list[str]:
    return [doubt.paths[0].stem for doubt in review.queue(store, policy)]


def decide(store: Store, name: str, said: Decision, who: str = "Anna", why: str = "") -> str:
    return review.decide(store, key(name), review.ruling(said, who, why))


def doubt(store: Store, name: str) -> Doubt:
    (wanted,) = (doubt for doubt in review.queue(store, LAW) if doubt.digest == key(name))
    return wanted


def told(store: Store) -> list[tuple[str, str | None]]:
    return [(e.event, e.facts.get("verdict")) for e in audit.entries(store)]


def of(store: Store, name: str) -> str:
    """What becomes of a photo."""
    number = store.number(key(name))
    assert number is not None
    return verdicts(store, LAW, [number])[number]


# The queue


def test_photos_of_which_the_machine_knows_least_come_first(store: Store) -> None:
    assert names(store) == ["new", "all-failed", "failed", "near", "far"]
    assert names(store, PRESETS["none"]) == []
    assert names(store, replace(LAW, review=0.05, hide=0.99))[3:] == [
        "shown",
        "near",
        "far",
        "hidden",
    ]


def test_photos_with_most_near_duplicates_come_first(store: Store) -> None:
    far, failed, hidden = (store.number(key(name)) for name in ("far", "failed", "hidden"))
    assert far is not None
    store.keep_copies([(one, far) for one in (failed, hidden) if one is not None])
    assert names(store) == ["new", "all-failed", "failed", "far", "near"]


def test_photo_that_lies_nowhere_waits_until_it_is_back(store: Store, tmp_path: Path) -> None:
    path = str(tmp_path / "near.jpg").encode()
    store.mark([path], missing=True)
    assert "near" not in names(store)
    store.mark([path], missing=False)
    assert "near" in names(store)


def test_appeals_come_first_the_oldest_before(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for minute, name in enumerate(("hidden", "shown", "near")):
        monkeypatch.setattr(audit, "now", lambda m=minute: f"2026-11-27T05:{m:02}:00+00:00")
        review.appeal(store, key(name), "Max", "it is my photo")
    assert names(store) == ["hidden", "shown", "near", "new", "all-failed", "failed", "far"]
    request = doubt(store, "hidden").request
    assert request == Request("appealed", "Max", "2026-11-27T05:00:00+00:00", "it is my photo")


# Deciding


@pytest.mark.parametrize(("said", "becomes"), [("allow", "show"), ("hide", "hide")])
@pytest.mark.parametrize("name", list(PHOTOS))
def test_decision_outranks_the_machine(
    store: Store, name: str, said: Decision, becomes: str
) -> None:
    before = of(store, name)
    assert decide(store, name, said, why="I know them") == "ruled"
    assert of(store, name) == becomes
    assert name not in names(store)
    ruled = store.ruling(key(name))
    assert ruled is not None
    assert (ruled.verdict, ruled.who, ruled.why) == (said, "Anna", "I know them")
    assert datetime.fromisoformat(ruled.when).utcoffset() == timedelta()
    (entry,) = audit.entries(store)
    assessment = PHOTOS[name]
    assert entry.facts == {
        "photo": key(name), "verdict": said, "who": "Anna", "why": "I know them",
        "when": ruled.when, "standing": None,
        "machine": [assessment.probability, "v1"] if assessment else None,
    }  # fmt: skip
    review.withdraw(store, key(name), "Boris", "wrong photo")
    assert of(store, name) == before
    assert told(store) == [("ruled", said), ("withdrawn", None)]
    assert proof.verify(store) == []
    with pytest.raises(KadrError, match="nothing can be taken back"):
        review.withdraw(store, key(name), "Boris")


def test_second_opinions_stand_beside_the_first(store: Store) -> None:
    assert decide(store, "near", "allow") == "ruled"
    assert decide(store, "near", "allow") == "unchanged"
    assert decide(store, "near", "allow", "Boris") == "seconded"
    assert decide(store, "near", "hide", "Clara") == "disputed"
    assert of(store, "near") == "review"
    ruled = store.ruling(key("near"))
    assert ruled is not None
    assert ruled.who == "Anna"
    assert names(store)[0] == "near"
    assert doubt(store, "near").request is not None
    # Who saw the dispute decides it.
    with pytest.raises(KadrError, match="needs a reason"):
        review.decide(store, key("near"), review.ruling("hide", "Boris"), over=ruled)
    said = review.ruling("hide", "Boris", "she is 12")
    assert review.decide(store, key("near"), said, over=ruled) == "ruled"
    assert of(store, "near") == "hide"
    assert "near" not in names(store)
    assert [event for event, _ in told(store)] == ["ruled", "seconded", "disputed", "ruled"]


def is_shown(store: Store, name: str) -> bool:
    number = store.number(key(name))
    assert number is not None
    shown = number not in hidden(store, LAW, [number])
    assert (
        shown == (number in store.shown(Shown(LAW.review), [number])) == (of(store, name) == "show")
    )
    return shown


@pytest.mark.parametrize("name", ["shown", "hidden"])
@pytest.mark.parametrize("first", ["allow", "hide"])
def test_what_is_disputed_is_hidden_until_it_is_decided(
    store: Store, first: Decision, name: str
) -> None:
    second: Decision = "hide" if first == "allow" else "allow"
    decide(store, name, first, "Anna")
    assert decide(store, name, second, "Boris", why="look") == "disputed"
    assert not is_shown(store, name)
    review.appeal(store, key(name), "Max", "show it")
    assert decide(store, name, first, "Clara") == "seconded"
    assert decide(store, name, second, "Clara") == "disputed"
    review.withdraw(store, key(name), "Anna", "unsure")
    assert not is_shown(store, name)
    request = store.request(key(name))
    assert request is not None
    assert (request.kind, request.who) == ("disputed", "Clara")
    with pytest.raises(KadrError, match="needs a reason"):
        decide(store, name, "allow", "Clara")
    assert not is_shown(store, name)
    assert decide(store, name, "allow", "Clara", why="a doll") == "ruled"
    assert is_shown(store, name)
    assert store.requests() == {}
    assert proof.verify(store) == []


def test_only_a_reason_ends_another_person_s_decision(store: Store) -> None:
    decide(store, "shown", "hide", "Anna", why="my child")
    standing = store.ruling(key("shown"))
    for why in ("", " ", "\n"):
        with pytest.raises(KadrError, match="needs a reason"):
            review.withdraw(store, key("shown"), "Boris", why)
        with pytest.raises(KadrError, match="needs a reason"):
            review.decide(store, key("shown"), review.ruling("allow", "Boris", why), over=standing)
    assert store.ruling(key("shown")) == standing
    assert [event for event, _ in told(store)] == ["ruled"]
    assert not is_shown(store, "shown")
    said = review.ruling("allow", "Boris", "a statue")
    assert review.decide(store, key("shown"), said, over=standing) == "ruled"
    (_, entry) = audit.entries(store, "ruled")
    assert entry.facts["standing"][:2] == ["hide", "Anna"]
    assert (entry.facts["who"], entry.facts["why"]) == ("Boris", "a statue")
    review.withdraw(store, key("shown"), "Boris")  # one's own
    with pytest.raises(KadrError, match="nothing can be taken back"):
        review.withdraw(store, key("shown"), "Boris", "x")
    assert proof.verify(store) == []


def test_third_person_with_a_reason_decides_a_dispute(store: Store) -> None:
    decide(store, "shown", "allow", "Anna")
    decide(store, "shown", "hide", "Boris", why="a child")
    assert decide(store, "shown", "allow", "Boris", why="again") == "seconded"
    assert not is_shown(store, "shown")
    assert decide(store, "shown", "allow", "Clara", why="a statue") == "ruled"
    assert is_shown(store, "shown")
    assert proof.verify(store) == []


def test_who_concedes_needs_no_reason(store: Store) -> None:
    decide(store, "shown", "allow", "Anna")
    decide(store, "shown", "hide", "Boris")
    assert decide(store, "shown", "hide", "Anna") == "ruled"
    assert (of(store, "shown"), store.requests()) == ("hide", {})


def test_nobody_undoes_what_another_decided_since(store: Store) -> None:
    waiting = doubt(store, "near")
    decide(store, "near", "allow", "Anna")
    standing = store.ruling(key("near"))
    review.decide(store, key("near"), review.ruling("hide", "Boris", "she is 12"), over=standing)
    with pytest.raises(KadrError, match="Somebody else has decided since"):
        review.undo(store, waiting, "Anna")
    assert of(store, "near") == "hide"


def test_sheet_row_without_a_reason_ends_no_dispute(store: Store) -> None:
    decide(store, "near", "allow", "Anna")
    decide(store, "near", "hide", "Boris")
    review.withdraw(store, key("near"), "Anna")
    rows = f"digest,verdict,who,why\n{key('near')},allow,Clara,\n{key('far')},allow,Clara,\n"
    done, problems = bring(store, rows)
    assert done == {"ruled": 1}
    assert "needs a reason" in problems[0]
    assert not is_shown(store, "near")


def test_person_may_change_their_mind(store: Store) -> None:
    decide(store, "near", "allow")
    assert decide(store, "near", "hide") == "ruled"
    assert of(store, "near") == "hide"


def test_appeal_ends_with_the_next_decision_and_the_log_shows_it(store: Store) -> None:
    decide(store, "hidden", "hide")
    review.appeal(store, key("hidden"), "Max", "I am 18")
    waiting = doubt(store, "hidden")
    assert of(store, "hidden") == "hide"  # until somebody looked
    said = review.ruling("hide", "Boris", "looks 10")
    assert review.decide(store, waiting.digest, said, over=waiting.ruling) == "ruled"
    assert "hidden" not in names(store)
    entries = list(audit.entries(store))
    assert [(e.event, e.facts["who"], e.facts["why"]) for e in entries] == [
        ("ruled", "Anna", ""), ("appealed", "Max", "I am 18"), ("ruled", "Boris", "looks 10")
    ]  # fmt: skip
    assert entries[1].facts["standing"][:2] == ["hide", "Anna"]
    with pytest.raises(KadrError, match="reason"):
        review.appeal(store, key("hidden"), "Max", " ")


def test_undo_is_as_if_nothing_had_been(store: Store) -> None:
    decide(store, "hidden", "hide")
    review.appeal(store, key("hidden"), "Max", "I am 18")
    waiting = doubt(store, "hidden")
    review.decide(store, waiting.digest, review.ruling("allow", "Anna"), over=waiting.ruling)
    review.undo(store, waiting, "Anna")
    assert doubt(store, "hidden") == waiting
    assert review.opinions(store)[waiting.digest] == {"Anna": "hide"}
    fresh = doubt(store, "near")
    decide(store, "near", "hide")
    review.undo(store, fresh, "Anna")
    assert doubt(store, "near") == fresh
    assert review.opinions(store)[fresh.digest] == {}
    assert proof.verify(store) == []


@pytest.mark.parametrize(
    ("said", "who", "when", "message"),
    [
        ("show", "Anna", None, "'show' is no decision. Write allow or hide."),
        ("hide", " ", None, "--who"),
        ("hide", "Anna", "yesterday", "is no time"),
        ("hide", "Anna", "2999-01-01", "yet to come"),
    ],
)
def test_no_decision_is_refused(said: str, who: str, when: str | None, message: str) -> None:
    with pytest.raises(KadrError, match=message):
        review.ruling(said, who, "", when)


def test_decision_may_have_been_made_earlier() -> None:
    assert review.ruling(" HIDE ", "Anna", "", "2026-01-02 03:04+03:00") == Ruling(
        "hide", "Anna", "2026-01-02T00:04:00+00:00", ""
    )
    assert review.ruling("hide", "Anna\udcff", "", "2026-01-02").who == "Anna\\udcff"


def test_photo_is_found_by_path_digest_and_content(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert review.find(store, "near.jpg") == review.find(store, key("near").upper()) == key("near")
    elsewhere = tmp_path / "copy.jpg"
    elsewhere.write_text("near")  # of the same digest
    assert review.find(store, str(elsewhere)) == key("near")
    for unknown in ("nowhere.jpg", "ab" * 32, "\udcff", ""):
        with pytest.raises(LibraryError, match="isn't in the library"):
            review.find(store, unknown)


# What decisions outlast


def test_decisions_outlast_names_pruning_and_models(tmp_path: Path) -> None:
    """By real indexing."""
    place, photos = tmp_path / "library.kadr", tmp_path / "photos"
    paths = [paint(photos / f"{seed}.png", seed) for seed in range(3)]

    def index(seed: int = 0, *, prune: bool = False) -> None:
        matcher = colour_matcher(seed)
        with closing(open_store(place, create=True)) as store, store.writing():
            ingest.adopt(store, matcher, "")
            ingest.ingest(store, matcher, [photos], ingest.IndexOptions(prune=prune))

    def shown() -> dict[str, str]:
        with closing(open_store(place)) as store:
            numbers = [n for n in map(store.number, kept) if n is not None]
            ruled = store.rulings(numbers)
            mean = {"show": "allow", "hide": "hide"}
            assert all(verdict(LAW, None, ruled[n]) in mean for n in numbers)
            assert proof.verify(store) == []
            return {store.stored(store.present([n]))[n].digest: ruled[n].verdict for n in numbers}

    index()
    with closing(open_store(place)) as store:
        for path, said in zip(paths, ("allow", "hide", "hide"), strict=True):
            photo = review.find(store, str(path))
            review.decide(store, photo, review.ruling(said, "Anna"))
        kept = {d: ruled.verdict for d, ruled in store.all_rulings().items()}
    assert len(kept) == 3
    assert shown() == kept
    index()
    assert shown() == kept
    paths[0].rename(photos / "renamed.png")
    (photos / "below").mkdir()
    paths[1].rename(photos / "below" / "moved.png")
    index(prune=True)
    assert shown() == kept
    index(seed=5)  # another joint space
    assert shown() == kept
    away = (photos / "renamed.png").rename(tmp_path / "away.png")
    index(prune=True)
    assert len(shown()) == 2
    away.rename(photos / "back.png")
    index()
    assert shown() == kept
    with closing(open_store(place)) as store:
        for encoder in ("another", colour_matcher().image_encoder.name):  # there and back, in vain
            lost = store.switch_encoder(encoder, lambda rows: rows, model="", space="", keep=False)
        assert lost == 0
        assert not store.settled(bytes.fromhex(next(iter(kept))))
    index()
    assert shown() == kept


# Sheets


def filled(store: Store, said: dict[str, str], **columns: str) -> str:
    """An export, filled in."""
    rows = list(csv.DictReader(io.StringIO(reviewers.to_csv(review.queue(store, LAW)))))
    for row in rows:
        row.update({"verdict": said.get(Path(row["path"]).stem, ""), **columns})
    return sheet(rows)


def sheet(rows: list[dict[str, str]], delimiter: str = ",") -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, rows[0].keys(), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def bring(store: Store, text: str, who: str = "") -> tuple[Mapping[Outcome, int], list[str]]:
    done = reviewers.from_csv(store, text, "sheet.csv", who)
    return done.outcomes, [f"{p.row}: {p.message}" for p in done.problems]


def test_sheet_has_what_a_reviewer_needs(store: Store) -> None:
    review.appeal(store, key("hidden"), "Max", "why")
    decide(store, "hidden", "hide", why="sure")
    review.appeal(store, key("hidden"), "Max", "why")
    rows = list(csv.DictReader(io.StringIO(reviewers.to_csv(review.queue(store, LAW)))))
    assert tuple(rows[0]) == reviewers.COLUMNS
    ruled = store.ruling(key("hidden"))
    assert ruled is not None
    assert rows[0] == {
        "digest": key("hidden"), "path": rows[0]["path"], "probability": "0.9000",
        "scene": "0.9000", "faces": "12 40", "words": "boy", "proposal": "",
        "verdict": "hide", "why": "sure", "who": "Anna", "when": ruled.when,
    }  # fmt: skip
    assert rows[1]["path"].endswith("new.jpg")
    assert {rows[1][name] for name in reviewers.COLUMNS[2:]} == {""}


@given(st.text(max_size=12), st.sampled_from("=+-@\t\r＝ "))
def test_no_cell_is_a_formula_and_every_text_comes_back(text: str, start: str) -> None:
    name = start + text
    ruled = Ruling("hide", name, "", name)
    proposal = Proposal("cd" * 32, 2, (Path("x"),), ruled)
    photo = Doubt(
        1, "ab" * 32, (Path(name + "x.jpg"),), None, ruled, None, (proposal.photo,), proposal
    )
    rows = list(csv.DictReader(io.StringIO(reviewers.to_csv([photo]), newline="")))
    for cell in rows[0].values():
        assert not cell.lstrip(" ").startswith(tuple("=+-@\t\r＝＋－＠"))
    assert tables.as_meant(rows[0]["who"]) == name


def test_sheet_comes_back_as_decisions(store: Store) -> None:
    text = filled(store, {"near": "allow", "far": " Hide ", "new": "hide"}, why="=sure")
    assert bring(store, text, "Anna") == ({"ruled": 3}, [])
    ruled = store.all_rulings()
    assert {ruled[key(n)].verdict for n in ("far", "new")} == {"hide"}
    assert ruled[key("near")].why == "=sure"
    assert names(store) == ["all-failed", "failed"]
    assert bring(store, text, "Anna") == ({"unchanged": 3}, [])
    assert len(told(store)) == 3
    assert proof.verify(store) == []


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_sheet_of_another_country_is_read(store: Store, delimiter: str) -> None:
    rows = list(csv.DictReader(io.StringIO(filled(store, {"near": "allow"}, who="Анна"))))
    assert bring(store, "\ufeff" + sheet(rows, delimiter)) == ({"ruled": 1}, [])
    ruled = store.ruling(key("near"))
    assert ruled is not None
    assert ruled.who == "Анна"


def test_rows_that_are_wrong_are_named_and_the_rest_is_kept(store: Store) -> None:
    text = "verdict,digest,who,when\n" + "\n".join(
        [
            f"hide,{key('near')},Anna,",
            f"hide,{'ab' * 32},Anna,",
            "hide,short,Anna,",
            f"show,{key('far')},Anna,",
            f"hide,{key('far')},,",
            f"hide,{key('far')},Anna,27.11.2026",
            f",{key('far')},Anna,",
        ]
    )
    done, problems = bring(store, text)
    assert done == {"ruled": 1}
    assert [problem[:40] for problem in problems] == [
        f"3: {'ab' * 32!r} isn't in the library; left out"[:40],
        "4: 'short' isn't in the library; left ou",
        "5: 'show' is no decision. Write allow or",
        "6: A decision needs the name of who made",
        "7: '27.11.2026' is no time. Write it as ",
    ]
    assert reviewers.from_csv(store, text, "sheet.csv").blank == 1
    for other in ("", "a,b\n1,2\n", "digest\nx\n"):
        with pytest.raises(KadrError, match="no columns digest and verdict"):
            bring(store, other)


def test_disagreements_are_told_and_wait(store: Store) -> None:
    sheets = [filled(store, {"near": said, "far": "hide"}, who=who)
              for said, who in (("allow", "Anna"), ("hide", "Boris"))]  # fmt: skip
    assert bring(store, sheets[0]) == ({"ruled": 2}, [])
    done, problems = bring(store, sheets[1])
    assert done == {"seconded": 1, "disputed": 1}
    assert len(problems) == 1
    assert "Boris says hide, another not" in problems[0]
    assert of(store, "near") == "review"
    assert names(store)[0] == "near"
    assert bring(store, sheets[1]) == ({"unchanged": 2}, [])


def test_two_rows_that_disagree_decide_nothing(store: Store) -> None:
    head = "digest,verdict,who\n"
    rows = [f"{key('near')},{said},{who}\n" for said, who in (("allow", "Anna"), ("hide", "Boris"))]
    done, problems = bring(store, head + "".join(rows))
    assert done == {"disputed": 2}
    assert len(problems) == 2
    assert of(store, "near") == "review"
    assert names(store)[0] == "near"
    torn = [f"{key('far')},{said},Anna\n" for said in ("allow", "hide")]
    done, problems = bring(store, head + "".join(torn))
    assert done == {}
    assert all("both allow and hide" in problem for problem in problems)
    assert of(store, "far") == "review"


def test_old_sheet_undoes_nothing(store: Store) -> None:
    old = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    text = filled(store, {"near": "hide"}, who="Anna", when=old)
    assert bring(store, text) == ({"ruled": 1}, [])
    decide(store, "near", "allow")
    done, problems = bring(store, text)
    assert done == {}
    assert "decided otherwise" in problems[0]
    assert of(store, "near") == "show"
    review.withdraw(store, key("near"), "Boris", "another photo was meant")
    done, problems = bring(store, text.replace(",hide,", ",allow,"))
    assert done == {"unchanged": 1}
    assert "withdrawn since" in problems[0]
    assert of(store, "near") == "review"


# Figures


def test_stats_tell_how_far_it_is(store: Store) -> None:
    decide(store, "hidden", "allow")
    decide(store, "shown", "hide")
    decide(store, "near", "hide")
    decide(store, "near", "allow", "Boris")
    done = reviewers.stats(store, LAW)
    assert (done.left, done.asked) == (5, 1)
    assert done.decided == {"allow": 1, "hide": 2}
    assert done.machine == {
        "show": {"allow": 0, "hide": 1}, "review": {"allow": 0, "hide": 1},
        "hide": {"allow": 1, "hide": 0},
    }  # fmt: skip
    assert (done.judged_twice, done.agreed) == (1, 0)
    assert json.dumps(done.decided)


def test_kappa_is_cohen_s(store: Store) -> None:
    said = {name: number for number, name in enumerate(PHOTOS)}
    for name, number in said.items():
        decide(store, name, "allow" if number < 4 else "hide")
        decide(store, name, "allow" if number in {0, 1, 2, 4} else "hide", "Boris")
    (pair,) = reviewers.stats(store, LAW).pairs
    assert (pair.reviewers, pair.photos, pair.alike) == (("Anna", "Boris"), 7, 5)
    chance = (4 * 4 + 3 * 3) / 49
    assert pair.kappa == pytest.approx((5 / 7 - chance) / (1 - chance))


@given(st.lists(st.tuples(st.sampled_from("ah"), st.sampled_from("ah")), min_size=1))
def test_kappa_keeps_its_bounds(pairs: list[tuple[str, str]]) -> None:
    kappa = reviewers._kappa(pairs)
    alike = all(one == other for one, other in pairs)
    if kappa is None:
        assert alike
    else:
        assert -1 <= kappa <= 1
        assert (kappa == 1) == alike
        assert kappa == pytest.approx(reviewers._kappa([(b, a) for a, b in pairs]))
