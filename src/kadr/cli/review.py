"""kadr review: people decide what the machine can't."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from kadr.cli.audit import opened
from kadr.cli.console import hint, load_policy, note, print_json, printable, read_text, say, warn
from kadr.cli.options import LAW, CountryOption, JsonFlag, LibraryOption, inherited
from kadr.cli.outputs import check_file

if TYPE_CHECKING:
    from kadr.law.review import Doubt
    from kadr.law.reviewers import Stats

DEFAULT = "under-16"
"""Whoever reviews, reviews for a law."""

app = typer.Typer(
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
        callback=inherited,
    ),
]
WhoOption = Annotated[
    str | None,
    typer.Option("--who", help="Who decides. Default: the user's name.", callback=inherited),
]
WhyOption = Annotated[str, typer.Option("--why", help="The reason, which is kept.")]
PhotoArgument = Annotated[str, typer.Argument(help="A photo's path, or its digest.")]


def _user(who: str | None) -> str:
    from kadr.law import review

    return who or review.user()


@app.callback(invoke_without_command=True)
def review_command(
    context: typer.Context,
    library: LibraryOption = None,
    policy: PolicyOption = None,
    country: CountryOption = None,
    who: WhoOption = None,
    why: WhyOption = "",
    as_json: JsonFlag = False,
) -> None:
    """Show the photos in doubt, one by one, and take decisions."""
    if context.invoked_subcommand is not None:
        return
    from kadr.cli.session import Session
    from kadr.law import review

    rules = load_policy(policy or DEFAULT, country)
    with opened(library) as store:
        doubts = review.queue(store, rules)
        if as_json:
            print_json({"policy": rules.name, "photos": [_as_json(doubt) for doubt in doubts]})
        elif not doubts:
            why_none = "" if rules.hides_children else f"Policy {rules.name} hides nothing. "
            say(f"{why_none}No photo waits for a decision")
        else:
            Session(store, doubts, _user(who), why).run()


@app.command("export")
def export_command(
    file: Annotated[Path, typer.Argument(help="The CSV to write.")],
    library: LibraryOption = None,
    policy: PolicyOption = None,
    country: CountryOption = None,
) -> None:
    """Write the photos in doubt as a sheet, for reviewers to fill in verdict and why."""
    from kadr.law import review, reviewers
    from kadr.photos import files

    check_file(file)
    rules = load_policy(policy or DEFAULT, country)
    with opened(library) as store:
        doubts = review.queue(store, rules)
    text = "\ufeff" + reviewers.to_csv(doubts)  # without the mark Excel takes it for no UTF-8
    files.save(file, text.encode("utf-8"), mode=0o600)  # it names people and places
    note(f"Photos in {file}: {len(doubts):,}")
    hint("Filled in, it comes back by: kadr review import")


@app.command("import")
def import_command(
    file: Annotated[Path, typer.Argument(help="A sheet that was filled in.")],
    library: LibraryOption = None,
    who: WhoOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Put the decisions of a sheet on record. Doing it again changes nothing.

    A row that is wrong is left out and named; so is every disagreement of two reviewers, which
    brings the photo to the head of the queue. Exits 1 where there are any.
    """
    from kadr.cli.session import OUTCOMES
    from kadr.law import reviewers

    text = read_text(file)
    with opened(library) as store:
        imported = reviewers.from_csv(store, text, printable(file), _user(who))
    if as_json:
        print_json(imported)
    else:
        counts = [f"{count:,} {OUTCOMES[outcome]}" for outcome, count in imported.outcomes.items()]
        say(f"{', '.join(counts) or 'No decision'}; {imported.blank:,} rows without a verdict")
        for problem in imported.problems:
            warn(f"{problem.file}, row {problem.row}: {problem.message}")
    raise typer.Exit(1 if imported.problems else 0)


@app.command("stats")
def stats_command(
    library: LibraryOption = None,
    policy: PolicyOption = None,
    country: CountryOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Tell how much is left, how reviewers agree, and how they judge the machine."""
    from kadr.law import reviewers

    rules = load_policy(policy or DEFAULT, country)
    with opened(library) as store:
        stats = reviewers.stats(store, rules)
    if as_json:
        print_json({"policy": rules.name, **asdict(stats)})
    else:
        _print_stats(stats)


@app.command("decide")
def decide_command(
    photo: PhotoArgument,
    decision: Annotated[
        Literal["allow", "hide", "withdraw"],
        typer.Argument(help="withdraw takes the decision in force back."),
    ],
    why: WhyOption,
    library: LibraryOption = None,
    who: WhoOption = None,
) -> None:
    """Decide about one photo, whoever decided before."""
    from kadr.law import review

    name = _user(who)
    with opened(library) as store:
        digest = review.find(store, photo)
        if decision == "withdraw":
            review.withdraw(store, digest, name, why)
        else:
            ruling = review.ruling(decision, name, why)
            review.decide(store, digest, ruling, over=store.ruling(digest))
    say(f"{digest}: {decision}, by {name}")


@app.command("appeal")
def appeal_command(
    photo: PhotoArgument, why: WhyOption, library: LibraryOption = None, who: WhoOption = None
) -> None:
    """Ask for a photo to be looked at again, whatever the machine or a person said.

    It comes to the head of the queue; kadr audit show --photo shows what became of it.
    """
    from kadr.law import review

    with opened(library) as store:
        digest = review.find(store, photo)
        review.appeal(store, digest, _user(who), why)
    say(f"{digest}: will be looked at again")


def _as_json(doubt: "Doubt") -> dict[str, Any]:
    return {
        "digest": doubt.digest,
        "paths": doubt.paths,
        "assessment": asdict(doubt.assessment) if doubt.assessment else None,
        "ruling": asdict(doubt.ruling) if doubt.ruling else None,
        "request": asdict(doubt.request) if doubt.request else None,
    }


def _print_stats(stats: "Stats") -> None:
    say(
        f"Photos left: {stats.left:,}, of them by appeal or dispute: {stats.asked:,}",
        f"Decisions: {_counts(stats.decided)}",
    )
    for alone, decisions in stats.machine.items():
        say(f"  where the machine alone says {alone}: {_counts(decisions)}")
    say(f"Photos that several judged: {stats.judged_twice:,}, all alike: {stats.agreed:,}")
    for pair in stats.pairs:
        kappa = "" if pair.kappa is None else f", kappa {pair.kappa:.2f}"
        say(f"  {' and '.join(pair.reviewers)}: {pair.alike:,} of {pair.photos:,} alike{kappa}")


def _counts(decisions: Any) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in decisions.items())
