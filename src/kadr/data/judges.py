"""Flow: archive -> what the judges say of each other."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import numpy as np

from kadr.data import dawid_skene, labels
from kadr.data.agreement import (
    CrowdAgreement,
    ExpertAgreement,
    crowd_agreement,
    expert_agreement,
    grade_table,
    shared_pairs,
)
from kadr.data.dawid_skene import Confusion
from kadr.data.labels import LabelReport
from kadr.errors import DataError, MissingExtraError
from kadr.metrics import ranking, resampling
from kadr.types import Dataset, Interval, Judgement, Pair, Votes

COLUMNS_ARE_NO_PERSONS = (
    "The expert columns are the sorted grades of each pair, the lowest first, whoever gave them. "
    "They are no persons: read severity, confusions and one expert against the others as figures "
    "of the lowest, middle and highest grade."
)

Inputs = ParamSpec("Inputs")
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class ExpertAuc:
    """How well one expert's grade ranks the verdict of the others (their median is at least 3).

    `pairs` are those that this expert and at least one other graded, `matches` those of them that
    the others call a match. The interval is by image.
    """

    rater: str
    pairs: int
    matches: int
    roc_auc: Interval


@dataclass(frozen=True, slots=True)
class JudgeStudy:
    """How the judges of an archive compare; images' own captions are included.

    `coverage` counts pairs by whose label they get when the most frequent grade decides.
    `crowd_auc` says how well the crowd's share of yes ranks the experts' verdict on common pairs.
    What can't be known is None, and `notices` say why; they also warn of sorted columns.
    """

    expert_pairs: int
    crowd_pairs: int
    coverage: LabelReport
    agreement: ExpertAgreement | None
    confusions: tuple[Confusion, ...] | None
    expert_aucs: tuple[ExpertAuc, ...]
    crowd: CrowdAgreement | None
    crowd_auc: Interval | None
    notices: tuple[str, ...]


def study(dataset: Dataset, *, seed: int = 0) -> JudgeStudy:
    """Compare experts with one another, and the crowd with the experts.

    Args:
        dataset: The archive; its photos and texts don't matter.
        seed: Of the bootstrap intervals.

    Raises:
        DataError: A rater graded a pair twice.
    """
    judgements, votes = dataset.judgements, dataset.votes
    grade_table(judgements)  # refuses what no figure below could make sense of
    notices: list[str] = []
    agreement = _unless_unknown(notices, expert_agreement, judgements)
    if agreement is not None and agreement.columns_sorted:
        notices.append(COLUMNS_ARE_NO_PERSONS)
    crowd = _unless_unknown(notices, crowd_agreement, judgements, votes)
    return JudgeStudy(
        expert_pairs=len(labels.verdicts(judgements)),
        crowd_pairs=len(labels.shares(votes)),
        coverage=labels.coverage(judgements, votes),
        agreement=agreement,
        confusions=_unless_unknown(notices, dawid_skene.confusions, judgements),
        expert_aucs=tuple(_expert_aucs(judgements, seed)),
        crowd=crowd,
        crowd_auc=None if crowd is None else _crowd_auc(judgements, votes, seed),
        notices=tuple(notices),
    )


def _unless_unknown(
    notices: list[str],
    measure: Callable[Inputs, Found],
    *inputs: Inputs.args,
    **options: Inputs.kwargs,
) -> Found | None:
    """Measure; where the archive or the installation doesn't allow it, note why."""
    try:
        return measure(*inputs, **options)
    except (DataError, MissingExtraError) as error:
        notices.append(str(error))
        return None


def _expert_aucs(judgements: Sequence[Judgement], seed: int) -> Iterator[ExpertAuc]:
    for rater in sorted({judgement.rater for judgement in judgements}):
        grade = {(j.query, j.image): j.grade for j in judgements if j.rater == rater}
        verdict = labels.verdicts([j for j in judgements if j.rater != rater])
        pairs = sorted(grade.keys() & verdict.keys())
        if pairs:
            matches = [verdict[pair] for pair in pairs]
            auc = _auc(pairs, [grade[pair] for pair in pairs], matches, seed)
            yield ExpertAuc(rater, len(pairs), sum(matches), auc)


def _crowd_auc(judgements: Sequence[Judgement], votes: Sequence[Votes], seed: int) -> Interval:
    shared = shared_pairs(judgements, votes)
    return _auc(shared.pairs, shared.shares.tolist(), shared.verdicts.tolist(), seed)


def _auc(
    pairs: Sequence[Pair], scores: Sequence[float], matches: Sequence[bool], seed: int
) -> Interval:
    score, match = np.asarray(scores, dtype=np.float64), np.asarray(matches, dtype=np.bool_)
    return resampling.bootstrap(
        lambda rows: ranking.roc_auc(score[rows], match[rows]),
        [image for _, image in pairs],
        seed=seed,
    )
