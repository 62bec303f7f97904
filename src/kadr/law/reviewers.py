"""Flow: several reviewers -> one record: a sheet for them to fill in, and how they agree."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from kadr.data import tables
from kadr.errors import KadrError
from kadr.law import review
from kadr.law.policy import Policy
from kadr.law.review import Decision, Doubt, Outcome
from kadr.law.verdict import verdict
from kadr.stores import Store
from kadr.types import Problem, Ruling, Verdict

COLUMNS = (
    "digest", "path", "probability", "scene", "faces", "words", "proposal",
    "verdict", "why", "who", "when",
)  # fmt: skip
"""Of the sheet for reviewers, who fill in `verdict` (allow or hide) and `why`.

`proposal` tells what was decided about a near duplicate.
"""
_DISPUTED = "another not; both are on record, and the photo is at the head of the queue"
_WITHDRAWN = (
    "it was withdrawn since; left out. Decide anew in kadr review, or by kadr review decide"
)


def to_csv(doubts: Iterable[Doubt]) -> str:
    """The sheet: a row for each photo, to be filled in.

    Texts that a spreadsheet would take for a formula get an apostrophe in front.
    """
    rows = []
    for doubt in doubts:
        assessment, ruled = doubt.assessment, doubt.ruling
        path = _text(doubt.paths[0])
        machine = ("", "", "", "")
        if assessment is not None:
            ages = assessment.faces or ()
            faces = " ".join(f"{age:.0f}" for age in ages)
            scene = "" if assessment.scene is None else f"{assessment.scene:.4f}"
            machine = (f"{assessment.probability:.4f}", scene, faces, " ".join(assessment.words))
        decided = (ruled.verdict, ruled.why, ruled.who, ruled.when) if ruled else ("",) * 4
        rows.append((doubt.digest, path, *machine, _proposed(doubt), *decided))
    return tables.write(COLUMNS, rows, line_end="\r\n")


def _proposed(doubt: Doubt) -> str:
    """Such as "hide: by Anna, about /photos/beach-1.jpg"."""
    if doubt.proposal is None:
        return ""
    said = doubt.proposal.ruling
    return f"{said.verdict}: by {said.who}, about {_text(doubt.proposal.paths[0])}"


def _text(path: Path) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a sheet's rows, and what is wrong with it. `blank` rows decide nothing."""

    outcomes: Mapping[Outcome, int]
    blank: int
    problems: tuple[Problem, ...]


def from_csv(store: Store, sheet: bytes | str, name: str, who: str = "") -> Imported:
    """Put the decisions of a sheet on record. Doing it again changes nothing.

    A row that is wrong is left out and named, and so is every disagreement: of two rows of the
    sheet, which then decide nothing, or of a row with another person's decision, which stands.

    Args:
        store: the library.
        sheet: CSV with at least the columns digest and verdict, as any spreadsheet saves it.
        name: the sheet's, for messages.
        who: made the decisions of the rows that name nobody.

    Raises:
        KadrError: it is no such sheet.
    """
    reading = _Sheet(store, name, who)
    reading.read(sheet)
    return reading.imported()


@dataclass(slots=True)
class _Sheet:
    """A sheet on its way into the records."""

    store: Store
    name: str
    who: str
    blank: int = 0
    problems: list[Problem] = field(default_factory=list)
    decided: dict[str, list[tuple[int, Ruling]]] = field(default_factory=lambda: defaultdict(list))
    """Row and decision, by digest."""

    def read(self, sheet: bytes | str) -> None:
        try:
            table = tables.read(sheet, self.name, ("digest", "verdict"))
        except tables.HeaderError as error:
            raise KadrError(
                f"{self.name} has no columns digest and verdict. Fill in what kadr review export "
                "wrote."
            ) from error
        for row in table.rows:
            cells = {tables.plain_name(key): cell for key, cell in table.named(row).items()}
            self._row(row.number, {key: tables.as_meant(cell) for key, cell in cells.items()})

    def _row(self, number: int, cells: Mapping[str, str]) -> None:
        if not cells["verdict"].strip():
            self.blank += 1
            return
        digest = cells["digest"].strip().lower()
        if not review.is_known(self.store, digest):
            self._report(number, "digest", f"{digest!r} isn't in the library; left out")
            return
        who = cells.get("who", "").strip() or self.who
        try:
            said = review.ruling(cells["verdict"], who, cells.get("why", ""), cells.get("when"))
        except KadrError as error:
            self._report(number, None, str(error))
        else:
            self.decided[digest].append((number, said))

    def imported(self) -> Imported:
        known = review.opinions(self.store)
        outcomes: Counter[Outcome] = Counter()
        for digest, rows in self.decided.items():
            for number, said, outcome in self._apply(digest, rows, known):
                outcomes[outcome] += 1
                if outcome == "disputed":
                    self._report(number, "verdict", f"{said.who} says {said.verdict}, {_DISPUTED}")
        problems = sorted(self.problems, key=lambda problem: problem.row or 0)
        return Imported(dict(outcomes), self.blank, tuple(problems))

    def _apply(
        self,
        digest: str,
        rows: Sequence[tuple[int, Ruling]],
        known: Mapping[str, Mapping[str, str]],
    ) -> Iterator[tuple[int, Ruling, Outcome]]:
        if len({(said.who, said.verdict) for _, said in rows}) > len({r.who for _, r in rows}):
            for number, said in rows:
                self._report(number, "verdict", f"{said.who} says both allow and hide; left out")
            return
        stands = self.store.ruling(digest)
        split = stands is None and len({said.verdict for _, said in rows}) > 1
        for number, said in rows:
            if known.get(digest, {}).get(said.who) == said.verdict:
                if stands is None and self.store.request(digest) is None:
                    self._report(number, "verdict", f"{said.who} said so before, and {_WITHDRAWN}")
                yield number, said, "unchanged"
            elif stands and stands.who == said.who and stands.when >= said.when:
                self._report(
                    number,
                    "when",
                    f"{said.who} decided otherwise on {stands.when}; left out. A new decision has "
                    "another time or none, another person's another name",
                )
            elif split:
                review.dispute(self.store, digest, said)
                yield number, said, "disputed"
            else:
                try:
                    yield number, said, review.decide(self.store, digest, said)
                except KadrError as error:  # it gives no reason where it needs one
                    self._report(number, "why", str(error))

    def _report(self, number: int, column: str | None, message: str) -> None:
        self.problems.append(Problem(self.name, number, column, message))


# What came of it.


@dataclass(frozen=True, slots=True)
class ReviewerAgreement:
    """Two reviewers: photos that both judged, alike among them, and Cohen's kappa.

    Kappa is agreement beyond chance, at most 1 (Cohen 1960); None where chance alone would make
    them agree always.
    """

    reviewers: tuple[str, str]
    photos: int
    alike: int
    kappa: float | None


@dataclass(frozen=True, slots=True)
class Stats:
    """How far the review is.

    `left` photos wait, `asked` of them because of an appeal or a dispute. `decided` counts the
    decisions in force. `machine` counts those about photos of the library by what the machine alone
    makes of the photo and what the person said. `judged_twice` photos had several reviewers, who
    agreed all in `agreed`.
    """

    left: int
    asked: int
    decided: Mapping[Decision, int]
    machine: Mapping[Verdict, Mapping[Decision, int]]
    judged_twice: int
    agreed: int
    pairs: tuple[ReviewerAgreement, ...]


def stats(store: Store, policy: Policy) -> Stats:
    """How much is left, how reviewers agree, and how they judge the machine."""
    waiting = review.queue(store, policy)
    opinions = [said for said in review.opinions(store).values() if len(said) > 1]
    ruled = store.all_rulings()
    return Stats(
        left=len(waiting),
        asked=sum(doubt.request is not None for doubt in waiting),
        decided=_counts(decided.verdict for decided in ruled.values()),
        machine=_against_machine(store, policy, ruled),
        judged_twice=len(opinions),
        agreed=sum(len(set(said.values())) == 1 for said in opinions),
        pairs=tuple(_agreements(opinions)),
    )


def _counts(decisions: Iterable[Decision]) -> dict[Decision, int]:
    counted = Counter(decisions)
    return {"allow": counted["allow"], "hide": counted["hide"]}


def _against_machine(
    store: Store, policy: Policy, ruled: Mapping[str, Ruling]
) -> dict[Verdict, dict[Decision, int]]:
    numbers = {number: said for d, said in ruled.items() if (number := store.number(d)) is not None}
    assessed = store.assessments(list(numbers))
    by_verdict: dict[Verdict, list[Decision]] = {"show": [], "review": [], "hide": []}
    for number, said in numbers.items():
        by_verdict[verdict(policy, assessed.get(number), None)].append(said.verdict)
    return {alone: _counts(decisions) for alone, decisions in by_verdict.items()}


def _agreements(opinions: Sequence[Mapping[str, str]]) -> Iterator[ReviewerAgreement]:
    together: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for said in opinions:
        for one, other in combinations(sorted(said), 2):
            together[one, other].append((said[one], said[other]))
    for reviewers, pairs in sorted(together.items()):
        alike = sum(one == other for one, other in pairs)
        yield ReviewerAgreement(reviewers, len(pairs), alike, _kappa(pairs))


def _kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Cohen's kappa of two people's verdicts."""
    total = len(pairs)
    left, right = Counter(one for one, _ in pairs), Counter(other for _, other in pairs)
    chance = sum(left[name] * right[name] for name in left) / total**2
    seen = sum(one == other for one, other in pairs) / total
    return None if chance == 1 else (seen - chance) / (1 - chance)
