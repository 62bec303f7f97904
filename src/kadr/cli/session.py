"""A person at the keyboard decides about photos, one by one."""

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import typer

from kadr.cli.console import say

if TYPE_CHECKING:
    from kadr.law.review import Decision, Doubt, Outcome
    from kadr.stores import Store
    from kadr.types import Assessment

_KEYS = "a allow   h hide   s skip   u undo   q quit   ? help"
_CYRILLIC = str.maketrans("фрыгй", "ahsuq")
"""Keys of the Russian layout where these letters are."""

OUTCOMES: "dict[Outcome, str]" = {
    "ruled": "in force",
    "seconded": "agree with those in force",
    "disputed": "in dispute",
    "unchanged": "known already",
}
"""What became of a decision."""


@dataclass
class Session:
    """Shows photos in doubt, and keeps what `who` decides about them, for the reason `why`."""

    store: "Store"
    doubts: "list[Doubt]"
    who: str
    why: str
    place: int = 0
    decided: list[int] = field(default_factory=list)
    """Places whose decisions can be undone."""

    def run(self) -> None:
        """Ask until the person quits, or the last photo is decided."""
        say(_KEYS)
        asked = -1
        while self.place < len(self.doubts) or self.decided:
            if self.place != asked:
                asked = self.place
                if not self._show():
                    continue
            key = _key()
            if key == "q" or (self.place == len(self.doubts) and key != "u"):
                break
            self._press(key)
            if key == "u":
                asked = -1
        say(f"Decided: {len(self.decided):,} of {len(self.doubts):,}")

    def _show(self) -> bool:
        """Show where the person is; False where somebody else was faster."""
        if self.place == len(self.doubts):
            say("That was the last one. u undoes it, any other key ends.")
            return True
        doubt = self.doubts[self.place]
        stands = self.store.ruling(doubt.digest)
        if stands != doubt.ruling and self.place not in self.decided:
            self.place += 1
            return False
        if sys.stdout.isatty():
            from kadr.cli import previews

            say("")
            any(previews.show(path, sys.stdout, digest=doubt.digest) for path in doubt.paths)
        first, *more = _lines(doubt)
        say(f"{self.place + 1} of {len(self.doubts)}  {first}", *(f"  {line}" for line in more))
        return True

    def _press(self, key: str) -> None:
        if key in {"a", "h"}:
            self._decide("allow" if key == "a" else "hide")
        elif key == "s":
            self.place += 1
        elif key == "u":
            self._undo()
        else:
            say(_KEYS)

    def _decide(self, decision: "Decision") -> None:
        from kadr.law.review import MissingReasonError

        outcome: Outcome | None
        try:
            outcome = self._rule(decision, self.why)
        except MissingReasonError as error:
            say(f"  {error}")
            why = _reason()
            outcome = self._rule(decision, why) if why else None
        told = "left as it is" if outcome is None else decision
        say(f"  {told}" + (f": {OUTCOMES[outcome]}" if outcome not in {"ruled", None} else ""))
        if outcome == "ruled":
            self.decided.append(self.place)
        self.place += 1

    def _rule(self, decision: "Decision", why: str) -> "Outcome":
        from kadr.law import review

        doubt = self.doubts[self.place]
        ruling = review.ruling(decision, self.who, why)
        return review.decide(self.store, doubt.digest, ruling, over=doubt.ruling)

    def _undo(self) -> None:
        from kadr.law import review
        from kadr.law.review import NoDecisionError, OvertakenError

        if not self.decided:
            say("Nothing to undo")
            return
        self.place = self.decided.pop()
        try:
            review.undo(self.store, self.doubts[self.place], self.who)
        except (NoDecisionError, OvertakenError) as error:
            say(f"  {error}")


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
