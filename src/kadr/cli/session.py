"""A person at the keyboard decides about photos, one by one."""

import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import typer

from kadr.cli.console import say

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from kadr.law.review import Decision, Doubt, Outcome
    from kadr.stores import Store
    from kadr.types import Assessment

_KEYS = "a allow   h hide   s skip   u undo   q quit   ? help"
_CYRILLIC = str.maketrans("фрыгйн", "ahsuqy")
"""Keys of the Russian layout where these letters are."""

OUTCOMES: "dict[Outcome, str]" = {
    "ruled": "in force",
    "seconded": "agree with those in force",
    "disputed": "in dispute",
    "unchanged": "known already",
}
"""What became of a decision."""
DONE = {"allow": "allowed", "hide": "hidden"}


@dataclass
class Session:
    """Shows photos in doubt, and keeps what `who` decides about them, for the reason `why`."""

    store: "Store"
    doubts: "list[Doubt]"
    who: str
    why: str
    place: int = 0
    decided: list[list[int]] = field(default_factory=list)
    """Places whose decisions can be undone, those together that were decided together."""
    ahead: str = ""
    """A key that was pressed already."""

    def run(self) -> None:
        """Ask until the person quits, or the last photo is decided."""
        say(_KEYS)
        asked = -1
        while self.place < len(self.doubts) or self.decided:
            if self.place != asked:
                asked = self.place
                if not self._show():
                    continue
            key, self.ahead = self.ahead or _key(), ""
            if key == "q" or (self.place == len(self.doubts) and key != "u"):
                break
            self._press(key)
            if key == "u":
                asked = -1
        say(f"Decided: {sum(map(len, self.decided)):,} of {len(self.doubts):,}")

    def _show(self) -> bool:
        """Show where the person is; False where somebody else was faster."""
        if self.place == len(self.doubts):
            say("That was the last one. u undoes it, any other key ends.")
            return True
        doubt = self.doubts[self.place]
        if self._is_overtaken(doubt):
            self.place += 1
            return False
        doubt = self.doubts[self.place] = self._with_proposal(doubt)
        _preview(doubt.paths, doubt.digest)
        first, *more = _lines(doubt)
        say(f"{self.place + 1} of {len(self.doubts)}  {first}", *(f"  {line}" for line in more))
        return True

    def _is_overtaken(self, doubt: "Doubt") -> bool:
        return self.store.ruling(doubt.digest) != doubt.ruling

    def _with_proposal(self, doubt: "Doubt") -> "Doubt":
        """With what was decided about a near duplicate by now."""
        from kadr.law import proposals

        found = proposals.propose(self.store, {doubt.digest: doubt.alike})
        return replace(doubt, proposal=found.get(doubt.digest))

    def _press(self, key: str) -> None:
        if key in {"a", "h"}:
            self._decide("allow" if key == "a" else "hide")
        elif key == "y":
            self._accept()
        elif key == "s":
            self.place += 1
        elif key == "u":
            self._undo()
        else:
            say(_KEYS)

    def _decide(self, decision: "Decision") -> None:
        place = self.place
        if self._ruled(lambda why: self._rule(place, decision, why), decision):
            self.decided.append([place])
            self._offer(place, decision)

    def _accept(self) -> None:
        """Decide as it was decided about a near duplicate, which the reason names."""
        place = self.place
        proposal = self.doubts[place].proposal if place < len(self.doubts) else None
        if proposal is None:
            say("No near duplicate was decided, so nothing is proposed")
            return
        decision = proposal.ruling.verdict
        if self._ruled(lambda why: self._rule(place, decision, why, proposal.photo), decision):
            self.decided.append([place])

    def _ruled(self, rule: "Callable[[str], Outcome]", decision: "Decision") -> bool:
        """Decide, and go on; whether the decision is in force. Asks for a reason that is needed."""
        from kadr.law.review import MissingReasonError

        outcome: Outcome | None
        try:
            outcome = rule(self.why)
        except MissingReasonError as error:
            say(f"  {error}")
            why = _reason()
            outcome = rule(why) if why else None
        told = "left as it is" if outcome is None else decision
        say(f"  {told}" + (f": {OUTCOMES[outcome]}" if outcome not in {"ruled", None} else ""))
        self.place += 1
        return outcome == "ruled"

    def _rule(self, place: int, decision: "Decision", why: str, photo: str = "") -> "Outcome":
        """Decide about the photo at a place, with `photo` as about that near duplicate."""
        from kadr.law import review

        doubt, ruling = self.doubts[place], review.ruling(decision, self.who, why)
        if photo and doubt.ruling is None and doubt.request is None:
            return review.decide_alike(self.store, doubt.digest, ruling, photo)
        return review.decide(self.store, doubt.digest, ruling, over=doubt.ruling)

    def _offer(self, place: int, decision: "Decision") -> None:
        """List the photos that wait and look like the one just decided; y decides them alike."""
        photo = self.doubts[place]
        others = [
            other for other in range(place + 1, len(self.doubts)) if self._waits(other, photo)
        ]
        if not others:
            return
        for other in others:
            doubt = self.doubts[other]
            _preview(doubt.paths, doubt.digest, columns=16)
            say(f"  {doubt.paths[0]}")
        say(
            f"  {len(others):,} more that look like it wait: y decides alike, any other key goes on"
        )
        key = _key()
        if key != "y":
            self.ahead = key if key in {"q", "u"} else ""
            return
        done = [other for other in others if self._is_ruled_alike(other, decision, photo.digest)]
        self.decided[-1] += done
        say(f"  {decision}: {len(done):,} more")

    def _is_ruled_alike(self, place: int, decision: "Decision", photo: str) -> bool:
        from kadr.law.review import MissingReasonError

        try:
            return self._rule(place, decision, self.why, photo) == "ruled"
        except MissingReasonError:  # it is in dispute by now
            return False

    def _waits(self, place: int, photo: "Doubt") -> bool:
        """Whether a photo looks like another, and nobody has asked or decided about it."""
        doubt = self.doubts[place]
        is_open = doubt.ruling is None and doubt.request is None
        return is_open and doubt.digest in photo.alike and not self._is_overtaken(doubt)

    def _undo(self) -> None:
        from kadr.law import review
        from kadr.law.review import NoDecisionError, OvertakenError

        if not self.decided:
            say("Nothing to undo")
            return
        places = self.decided.pop()
        self.place = places[0]
        for place in places:
            try:
                review.undo(self.store, self.doubts[place], self.who)
            except (NoDecisionError, OvertakenError) as error:
                say(f"  {error}")


def _preview(paths: "Sequence[Path]", digest: str, columns: int = 40) -> None:
    """A small picture where the terminal can show one."""
    if sys.stdout.isatty():
        from kadr.cli import previews

        say("")
        any(previews.show(path, sys.stdout, columns, digest=digest) for path in paths)


def _key() -> str:
    """One key of the terminal, or the first letter of a line; q at the end of either."""
    if not sys.stdin.isatty():
        line = sys.stdin.readline()
        return line.strip()[:1].lower().translate(_CYRILLIC) if line else "q"
    try:
        return typer.getchar().lower().translate(_CYRILLIC)
    except (EOFError, KeyboardInterrupt):  # what was decided is kept
        return "q"


def _reason() -> str:
    """A line of the terminal; nothing where nobody is there to write one."""
    if not sys.stdin.isatty():
        return ""
    try:
        why: str = typer.prompt("  Why", default="", show_default=False)
    except typer.Abort:
        return ""
    return why.strip()


def _lines(doubt: "Doubt") -> list[str]:
    """A photo in doubt: where it is, and why it is."""
    more = len(doubt.paths) - 1
    lines = [f"{doubt.paths[0]}" + (f"  (and {more} more)" if more else "")]
    lines.append("   ".join(_findings(doubt.assessment)) if doubt.assessment else "not assessed")
    if (request := doubt.request) is not None:
        lines.append(f"{request.kind} by {request.who}, {request.when}: {request.why}")
    if (proposal := doubt.proposal) is not None:
        done, said = DONE[proposal.ruling.verdict], proposal.ruling
        lines.append(f"a near duplicate was {done} by {said.who}, {said.when}: {proposal.paths[0]}")
        lines.append(f"y {said.verdict}, as that one")
    if (ruling := doubt.ruling) is not None:
        lines.append(f"in force: {ruling.verdict}, by {ruling.who}, {ruling.when}: {ruling.why}")
    return lines


def _findings(assessment: "Assessment") -> list[str]:
    findings = [f"a child: {assessment.probability:.0%}"]
    if assessment.scene is not None:
        findings.append(f"scene {assessment.scene:.0%}")
    if assessment.faces is not None:
        ages = ", ".join(f"{age:.0f}" for age in assessment.faces)
        findings.append(f"apparent ages {ages}" if ages else "no face")
    if assessment.words:
        findings.append(f"words {', '.join(assessment.words)}")
    if assessment.failed:
        findings.append(f"failed: {', '.join(assessment.failed)}")
    return findings
