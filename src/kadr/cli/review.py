"""kadr review: people decide what the machine can't."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from kadr.cli import completion
from kadr.cli.audit import opened
from kadr.cli.console import hint, load_policy, note, print_json, printable, say, warn
from kadr.cli.options import LAW, CountryOption, JsonFlag, LibraryOption, inherited
from kadr.cli.outputs import check_file
from kadr.errors import KadrError, ReadOnlyError

if TYPE_CHECKING:
    from kadr.law.learning import Lesson
    from kadr.law.policy import Policy
    from kadr.law.proposals import Proposal
    from kadr.law.review import Doubt
    from kadr.law.reviewers import Stats
    from kadr.law.sampling import Estimate
    from kadr.stores import Store

DEFAULT = "under-16"
"""Whoever reviews, reviews for a law."""

app = typer.Typer(
    help="Decide about the photos that the machine is unsure of, those first that settle most.\n\n"
    "Keys: a allow, h hide, s skip, u undo, q quit, ? help; y decides as it was decided about a "
    "near duplicate. A decision is in force at once, "
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
        autocompletion=completion.policies,
    ),
]
WhoOption = Annotated[
    str | None,
    typer.Option("--who", help="Who decides. Default: the user's name.", callback=inherited),
]
WhyOption = Annotated[str, typer.Option("--why", help="The reason, which is kept.")]
SampleFlag = Annotated[
    bool,
    typer.Option(
        "--sample", help="The sample of what is shown (kadr review sample), not what waits."
    ),
]
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
    sample: SampleFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Show the photos in doubt, one by one, and take decisions."""
    if context.invoked_subcommand is not None:
        return
    from kadr.cli.session import Session

    rules = load_policy(policy or DEFAULT, country)
    with opened(library) as store:
        doubts = _queue(store, rules, sample=sample)
        if doubts and store.readonly and not as_json:
            raise ReadOnlyError(
                f"{store.name} may only be read here, so nothing can be decided. Name a user or a "
                "place that may write; --json lists the photos in doubt."
            )
        if as_json:
            print_json({"policy": rules.name, "photos": [_as_json(doubt) for doubt in doubts]})
        elif not doubts:
            why_none = "" if rules.hides_children else f"Policy {rules.name} hides nothing. "
            say(f"{why_none}No photo {'of a sample ' if sample else ''}waits for a decision")
        else:
            Session(store, doubts, _user(who), why).run()


def _queue(store: "Store", policy: "Policy", *, sample: bool) -> "list[Doubt]":
    from kadr.law import review, sampling

    return sampling.queue(store, policy) if sample else review.queue(store, policy)


@app.command("export")
def export_command(
    file: Annotated[Path, typer.Argument(help="The CSV to write.")],
    library: LibraryOption = None,
    policy: PolicyOption = None,
    country: CountryOption = None,
    sample: SampleFlag = False,
) -> None:
    """Write the photos in doubt as a sheet, for reviewers to fill in verdict and why."""
    from kadr.law import reviewers
    from kadr.photos import files

    check_file(file)
    rules = load_policy(policy or DEFAULT, country)
    with opened(library) as store:
        doubts = _queue(store, rules, sample=sample)
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

    try:
        sheet = file.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise KadrError(f"{file}: can't be read ({reason}). Name a sheet.") from error
    with opened(library) as store:
        imported = reviewers.from_csv(store, sheet, printable(file), _user(who))
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


@app.command("sample")
def sample_command(
    library: LibraryOption = None,
    policy: PolicyOption = None,
    country: CountryOption = None,
    who: WhoOption = None,
    size: Annotated[int, typer.Option("-n", "--size", min=1, help="Photos of the sample.")] = 200,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Of the draw. Default: that of the sample before, which is then made larger; else "
            "one that nobody can foresee. It goes on record.",
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Draw a sample of what is shown, to learn how many photos of children were missed.

    Each photo that the policy shows and nobody ruled on is as likely as any other. Then look at
    them (kadr review --sample), in their order; they stay shown until somebody hides them. What
    came of it: kadr review estimate.
    """
    from kadr.law import sampling

    rules = load_policy(policy or DEFAULT, country)
    with opened(library) as store:
        drawn = sampling.draw(store, rules, size, _user(who), seed)
        left = len(sampling.queue(store, rules))
    if as_json:
        print_json({**asdict(drawn), "photos": [digest for digest, _ in drawn.photos]})
    else:
        say(
            f"Drawn: {len(drawn.photos):,} of {drawn.population:,} photos that {rules.name} shows. "
            f"Not looked at yet: {left:,}"
        )
        hint("Look at them: kadr review --sample")


@app.command("estimate")
def estimate_command(
    library: LibraryOption = None,
    policy: PolicyOption = None,
    country: CountryOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Tell how much of what is shown shows a child, by the sample that people looked at."""
    from kadr.law import sampling

    rules = load_policy(policy or DEFAULT, country)
    with opened(library) as store:
        found = sampling.estimate(store, rules)
    if as_json:
        counted = {"drawn": len(found.sample.photos), "confidence": sampling.CONFIDENCE}
        sample = {name: value for name, value in asdict(found.sample).items() if name != "photos"}
        print_json({**asdict(found), "sample": sample | counted})
    else:
        _print_estimate(found)


@app.command("learn")
def learn_command(
    library: LibraryOption = None,
    policy: PolicyOption = None,
    country: CountryOption = None,
    who: WhoOption = None,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Put what was learned in force, where it isn't worse.")
    ] = False,
    forget: Annotated[
        bool, typer.Option("--forget", help="Take it back: what kadr ships is in force again.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Fit the machine's probabilities to what people decided, for this library alone.

    Prints what that would change and changes nothing, but with --adopt or --forget; kadr index
    then assesses all photos anew. What is learned shows nothing that kadr's own calibration
    withholds. Exits 1 where it can't be adopted: it is worse than what is in force, or too few
    photos of a sample were looked at to tell.
    """
    from kadr.law import learning

    if adopt and forget:
        raise KadrError("--adopt and --forget contradict each other. Choose one")
    rules = load_policy(policy or DEFAULT, country)
    with opened(library) as store:
        if forget:
            learning.forget(store, _user(who))
            say("The library's calibration is forgotten. Now run kadr index")
            return
        learned = learning.learn(store, rules)
        if adopt and learned.objection is None:
            learning.adopt(store, learned, _user(who))
    adopted = adopt and learned.objection is None
    if as_json:
        print_json({"policy": rules.name, **asdict(learned), "adopted": adopted})
    else:
        _print_lesson(learned, adopted=adopted)
    raise typer.Exit(1 if learned.objection else 0)


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
        "alike": doubt.alike,
        "proposal": _proposal(doubt.proposal) if doubt.proposal else None,
    }


def _proposal(proposal: "Proposal") -> dict[str, Any]:
    return {
        "photo": proposal.photo, "paths": proposal.paths, "ruling": asdict(proposal.ruling)
    }  # fmt: skip


def _print_estimate(found: "Estimate") -> None:
    sample, left = found.sample, ""
    if found.left:
        left = f"; {found.left:,} of the sample not looked at yet"
    if found.share is None:
        say(f"Nobody has looked at the sample yet: {found.left:,} photos. kadr review --sample")
    else:
        say(
            f"Between {found.share.low:.1%} and {found.share.high:.1%} of what is shown shows a "
            f"child (95%, {found.children:,} of {found.looked:,} looked at{left})"
        )
    say(
        f"Drawn on {sample.when} from {sample.population:,} photos that {sample.policy} showed and "
        f"nobody had ruled on; about {found.shown:,} are shown now"
    )
    if found.passed:
        say(f"Passed over, so that they count as either: {found.passed:,}")
    if found.gone:
        say(f"Left the library before anybody looked: {found.gone:,}")
    if found.reassessed:
        say(
            f"Assessed anew since: {found.reassessed:,}. This tells of what was shown then; for "
            "what is shown now draw again: kadr review sample"
        )


def _print_lesson(learned: "Lesson", *, adopted: bool) -> None:
    of = learned.calibration
    say(
        f"Learned from {learned.decisions:,} decisions, {learned.hidden:,} of them to hide, "
        f"{learned.sampled:,} about the sample: slope {of.slope:.2f}, intercept {of.intercept:+.2f}"
    )
    for name, figures in (("in force", learned.before), ("learned", learned.after)):
        say(
            f"  {name:8}  Brier {figures.brier:.4f}   of what people hid {figures.recall:.1%} "
            f"withheld, of what they allowed {figures.over_blocking:.1%}"
        )
    if learned.objection:
        warn(f"It can't be adopted. {learned.objection}")
    elif adopted:
        say("In force and on record. Now run kadr index")
    else:
        hint("To put it in force: kadr review learn --adopt")


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
