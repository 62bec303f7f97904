"""Judgements and votes of a few pairs, for the tests of labels and agreement."""

from collections import defaultdict

from hypothesis import strategies as st

from kadr.types import Dataset, Judgement, Pair, Votes


def panel(query: str, image: str, *given_grades: int) -> list[Judgement]:
    return [
        Judgement(query, image, str(rater), grade)
        for rater, grade in enumerate(given_grades, start=1)
    ]


def unanimous_pairs(real: Dataset) -> dict[Pair, int]:
    panels: defaultdict[Pair, set[int]] = defaultdict(set)
    for judgement in real.judgements:
        panels[judgement.query, judgement.image].add(judgement.grade)
    return {pair: min(given) for pair, given in panels.items() if len(given) == 1}


pairs = st.tuples(st.sampled_from(["q1", "q2", "q3"]), st.sampled_from(["a.jpg", "b.jpg"]))
grade_lists = st.lists(st.integers(1, 4), min_size=1, max_size=5)
judgement_tables = st.dictionaries(pairs, grade_lists, max_size=6).map(
    lambda table: [j for (query, image), g in table.items() for j in panel(query, image, *g)]
)
counts = st.tuples(st.integers(0, 6), st.integers(0, 6)).filter(lambda count: sum(count) > 0)
vote_tables = st.dictionaries(pairs, counts, max_size=6).map(
    lambda table: [Votes(query, image, *count) for (query, image), count in table.items()]
)
