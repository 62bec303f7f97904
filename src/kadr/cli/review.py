"""kadr review: people decide what the machine can't."""

import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kadr.cli.audit import audit_app, opened
from kadr.cli.console import (
    LAW,
    CountryOption,
    JsonFlag,
    LibraryOption,
    hint,
    load_policy,
    print_json,
    printable,
)
from kadr.errors import KadrError

if TYPE_CHECKING:
    from kadr.law.policy import Policy
    from kadr.law.review import Doubt, Outcome
    from kadr.law.reviewers import Stats
    from kadr.stores import Store
    from kadr.types import Assessment

DEFAULT = "under-16"
"""Whoever reviews, reviews for a law."""

review_app = typer.Typer(
    help="Decide about the photos that the machine is unsure of, the biggest doubt first.\n\n"
    "Keys: a allow, h hide, s skip, u undo, q quit, ? help. A decision is in force at once, "
    "outranks the machine, and is kept with who, when and why. Where stdin is no terminal, each of "
    "its lines is a key. --json lists the photos and asks nothing."
)

PolicyOption = Annotated[
    str | None,
    typer.Option(
        "--policy",
        envvar="KADR_POLICY",
        help=f"What the law hides: a preset, or a policy file (TOML). Default: {DEFAULT}.",
        rich_help_panel=LAW,
    ),
]
WhoOption = Annotated[
    str | None, typer.Option("--who", help="Who decides. Default: the user's name.")
]
WhyOption = Annotated[str, typer.Option("--why", help="The reason, which is kept.")]
PhotoArgument = Annotated[str, typer.Argument(help="A photo's path, or its digest.")]

_KEYS = "a allow   h hide   s skip   u undo   q quit   ? help"
_CYRILLIC = str.maketrans("фрыгй", "ahsuq")
"""Keys of the Russian layout where these letters are."""


class Decision(StrEnum):
    """What can be decided about a photo."""

    allow = "allow"
    hide = "hide"
    withdraw = "withdraw"


@dataclass(frozen=True)
class _Before:
    """Options that stood before a subcommand: kadr review --library F stats."""

    library: Path | None = None
    policy: str | None = None
    country: str | None = None
    who: str | None = None
    as_json: bool = False


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(review_app, name="review", rich_help_panel=LAW)
    app.add_typer(audit_app, name="audit", rich_help_panel=LAW)


def _policy(context: typer.Context, policy: str | None, country: str | None) -> "Policy":
    before = context.obj
    return load_policy(policy or before.policy or DEFAULT, country or before.country)


def _who(context: typer.Context, who: str | None) -> str:
    from kadr.law import review

    return who or context.obj.who or review.user()


# kadr review


@review_app.callback(invoke_without_command=True)
def review_command(  # noqa: PLR0913, PLR0917 - a command has as many parameters as options
    context: typer.Context,
    library: LibraryOption = None,
    policy: PolicyOption = None,
    country: CountryOption = None,
    who: WhoOption = None,
    why: WhyOption = "",
    as_json: JsonFlag = False,
) -> None:
    """Show the photos in doubt, one by one, and take decisions."""
    context.obj = _Before(library, policy, country, who, as_json)
    if context.invoked_subcommand is not None:
        return
    from kadr.law import review

    rules = _policy(context, policy, country)
    with opened(library) as store:
        doubts = review.queue(store, rules)
        if as_json:
            print_json({"policy": rules.name, "photos": [_as_json(doubt) for doubt in doubts]})
        elif not doubts:
            why_none = "" if rules.hides_children else f"Policy {rules.name} hides nothing. "
            typer.echo(f"{why_none}No photo waits for a decision")
        else:
            _Session(store, doubts, _who(context, who), why).run()


@review_app.command("export")
def export_command(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The CSV to write.")],
    library: LibraryOption = None,
    policy: PolicyOption = None,
    country: CountryOption = None,
) -> None:
    """Write the photos in doubt as a sheet, for reviewers to fill in verdict and why."""
    from kadr.law import review, reviewers
    from kadr.photos import files

    rules = _policy(context, policy, country)
    with opened(library or context.obj.library) as store:
        doubts = review.queue(store, rules)
    text = "\ufeff" + reviewers.to_csv(doubts)  # without the mark Excel takes it for no UTF-8
    files.save(file, text.encode("utf-8"), mode=0o600)  # it names people and places
    typer.echo(f"Photos in {printable(file)}: {len(doubts):,}", err=True)
    hint("Filled in, it comes back by: kadr review import")


@review_app.command("import")
def import_command(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A sheet that was filled in.")],
    library: LibraryOption = None,
    who: WhoOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Put the decisions of a sheet on record. Doing it again changes nothing.

    A row that is wrong is left out and named; so is every disagreement of two reviewers, which
    brings the photo to the head of the queue. Exits 1 where there are any.
    """
    from kadr.law import reviewers

    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        reason = error.strerror or str(error)
        raise KadrError(f"{printable(file)}: can't be read ({reason}). Name a sheet.") from error
    except UnicodeDecodeError as error:
        raise KadrError(f"{printable(file)} isn't UTF-8. Save it as CSV UTF-8.") from error
    with opened(library or context.obj.library) as store:
        imported = reviewers.from_csv(store, text, printable(file), _who(context, who))
    if as_json or context.obj.as_json:
        print_json(imported)
    else:
        counts = [f"{n:,} {_OUTCOMES[outcome]}" for outcome, n in imported.outcomes.items()]
        typer.echo(
            f"{', '.join(counts) or 'No decision'}; {imported.blank:,} rows without a verdict"
        )
        for problem in imported.problems:
            typer.echo(
                f"kadr: {problem.file}, row {problem.row}: {printable(problem.message)}", err=True
            )
    raise typer.Exit(1 if imported.problems else 0)


_OUTCOMES: "dict[Outcome, str]" = {
    "ruled": "in force",
    "seconded": "agree with those in force",
    "disputed": "in dispute",
    "unchanged": "known already",
}


@review_app.command("stats")
def stats_command(
    context: typer.Context,
    library: LibraryOption = None,
    policy: PolicyOption = None,
    country: CountryOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Tell how much is left, how reviewers agree, and how they judge the machine."""
    from kadr.law import reviewers

    rules = _policy(context, policy, country)
    with opened(library or context.obj.library) as store:
        stats = reviewers.stats(store, rules)
    if as_json or context.obj.as_json:
        print_json({"policy": rules.name, **asdict(stats)})
    else:
        _print_stats(stats)


@review_app.command("decide")
def decide_command(
    context: typer.Context,
    photo: PhotoArgument,
    decision: Annotated[
        Decision, typer.Argument(help="withdraw takes the decision in force back.")
    ],
    why: WhyOption,
    library: LibraryOption = None,
    who: WhoOption = None,
) -> None:
    """Decide about one photo, whoever decided before."""
    from kadr.law import review

    name = _who(context, who)
    with opened(library or context.obj.library) as store:
        digest = review.find(store, photo)
        if decision is Decision.withdraw:
            review.withdraw(store, digest, name, why)
        else:
            said = review.ruling(decision.value, name, why)
            review.decide(store, digest, said, over=store.ruling(digest))
    typer.echo(f"{digest}: {decision.value}, by {printable(name)}")


@review_app.command("appeal")
def appeal_command(
    context: typer.Context,
    photo: PhotoArgument,
    why: WhyOption,
    library: LibraryOption = None,
    who: WhoOption = None,
) -> None:
    """Ask for a photo to be looked at again, whatever the machine or a person said.

    It comes to the head of the queue; kadr audit show --photo shows what became of it.
    """
    from kadr.law import review

    with opened(library or context.obj.library) as store:
        digest = review.find(store, photo)
        review.appeal(store, digest, _who(context, who), why)
    typer.echo(f"{digest}: will be looked at again")


@dataclass
class _Session:
    """A person at the keyboard."""

    store: "Store"
    doubts: "list[Doubt]"
    who: str
    why: str
    place: int = 0
    decided: list[int] = field(default_factory=list)
    """Places whose decisions can be undone."""

    def run(self) -> None:
        typer.echo(_KEYS)
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
        typer.echo(f"Decided: {len(self.decided):,} of {len(self.doubts):,}")

    def _show(self) -> bool:
        """Show where the person is; False where somebody else was faster."""
        if self.place == len(self.doubts):
            typer.echo("That was the last one. u undoes it, any other key ends.")
            return True
        doubt = self.doubts[self.place]
        stands = self.store.ruling(doubt.digest)
        if stands != doubt.ruling and self.place not in self.decided:
            self.place += 1
            return False
        if sys.stdout.isatty():
            from kadr.cli import previews

            typer.echo("")
            previews.show(doubt.paths[0], sys.stdout)
        typer.echo(f"{self.place + 1} of {len(self.doubts)}  {_line(doubt)}")
        return True

    def _press(self, key: str) -> None:
        if key in {"a", "h"}:
            self._decide("allow" if key == "a" else "hide")
        elif key == "s":
            self.place += 1
        elif key == "u":
            self._undo()
        else:
            typer.echo(_KEYS)

    def _decide(self, decision: str) -> None:
        from kadr.law import review

        doubt = self.doubts[self.place]
        said = review.ruling(decision, self.who, self.why)
        outcome = review.decide(self.store, doubt.digest, said, over=doubt.ruling)
        typer.echo(f"  {decision}" + ("" if outcome == "ruled" else f": {_OUTCOMES[outcome]}"))
        if outcome == "ruled":
            self.decided.append(self.place)
        self.place += 1

    def _undo(self) -> None:
        from kadr.law import review

        if not self.decided:
            typer.echo("Nothing to undo")
            return
        self.place = self.decided.pop()
        review.undo(self.store, self.doubts[self.place], self.who)


def _key() -> str:
    """One key of the terminal, or the first letter of a line; q at the end of either."""
    if not sys.stdin.isatty():
        line = sys.stdin.readline()
        return line.strip()[:1].lower().translate(_CYRILLIC) if line else "q"
    try:
        return typer.getchar().lower().translate(_CYRILLIC)
    except (EOFError, KeyboardInterrupt):  # what was decided is kept
        return "q"


def _line(doubt: "Doubt") -> str:
    """A photo in doubt: where it is, and why it is."""
    more = len(doubt.paths) - 1
    lines = [printable(doubt.paths[0]) + (f"  (and {more} more)" if more else "")]
    assessment = doubt.assessment
    if assessment is None:
        lines.append("not assessed")
    else:
        lines.append("   ".join(_layers(assessment)))
    if (asked := doubt.request) is not None:
        lines.append(f"{asked.kind} by {asked.who}, {asked.when}: {asked.why}")
    if (ruled := doubt.ruling) is not None:
        lines.append(f"in force: {ruled.verdict}, by {ruled.who}, {ruled.when}: {ruled.why}")
    return "\n  ".join([lines[0], *map(printable, lines[1:])])


def _layers(assessment: "Assessment") -> "Iterator[str]":
    """What each layer says of a photo."""
    yield f"a child: {assessment.probability:.0%}"
    if assessment.scene is not None:
        yield f"scene {assessment.scene:.0%}"
    if assessment.faces is not None:
        ages = ", ".join(f"{age:.0f}" for age in assessment.faces)
        yield f"apparent ages {ages}" if ages else "no face"
    if assessment.words:
        yield f"words {printable(', '.join(assessment.words))}"
    if assessment.failed:
        yield f"failed: {', '.join(assessment.failed)}"


def _as_json(doubt: "Doubt") -> dict[str, Any]:
    return {
        "digest": doubt.digest,
        "paths": doubt.paths,
        "assessment": asdict(doubt.assessment) if doubt.assessment else None,
        "ruling": asdict(doubt.ruling) if doubt.ruling else None,
        "request": asdict(doubt.request) if doubt.request else None,
    }


def _print_stats(stats: "Stats") -> None:
    typer.echo(f"Photos left: {stats.left:,}, of them by appeal or dispute: {stats.asked:,}")
    typer.echo(f"Decisions: {_counts(stats.decided)}")
    for alone, decisions in stats.machine.items():
        typer.echo(f"  where the machine alone says {alone}: {_counts(decisions)}")
    typer.echo(f"Photos that several judged: {stats.judged_twice:,}, all alike: {stats.agreed:,}")
    for pair in stats.pairs:
        kappa = "" if pair.kappa is None else f", kappa {pair.kappa:.2f}"
        names = printable(" and ".join(pair.reviewers))
        typer.echo(f"  {names}: {pair.alike:,} of {pair.photos:,} alike{kappa}")


def _counts(decisions: Any) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in decisions.items())
