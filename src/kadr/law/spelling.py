"""Misspelled child words of a query: close to a listed form, and no word of their own.

`recipes/child_words.py` writes `neighbours.txt`: the real words of simplemma's dictionaries that
are as close to a listed form as a misspelling would be (chill, малый).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

NEIGHBOURS = Path(__file__).with_name("neighbours.txt")
SHORTEST, LONG = 5, 9
"""Letters of a form from which one slip is forgiven, and two."""


def lemma(token: str, forms: Mapping[str, str]) -> str | None:
    """The lemma that a misspelled word stands for; None where it is spelled right, or another word.

    The first letter is taken to be right, the second too where two slips are forgiven.
    """
    if len(token) < SHORTEST - 1 or token in forms or not token.isalpha():
        return None
    for form in by_initial(tuple(forms)).get(token[0], ()):
        if is_slip(token, form):
            return None if token in _neighbours() else forms[form]
    return None


def is_slip(token: str, form: str) -> bool:
    """Whether a word is as close to a form as a misspelling."""
    forgiven = 2 if len(form) >= LONG and token[:2] == form[:2] else int(len(form) >= SHORTEST)
    return abs(len(token) - len(form)) <= forgiven and _distance(token, form) <= forgiven


@cache
def by_initial(forms: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """Forms by their first letter."""
    grouped = defaultdict[str, list[str]](list)
    for form in forms:
        grouped[form[0]].append(form)
    return {initial: tuple(group) for initial, group in grouped.items()}


def _distance(one: str, other: str) -> int:
    """Letters put in, left out, replaced, or swapped with the next (optimal string alignment)."""
    before, last = [0] * (len(other) + 1), list(range(len(other) + 1))
    for i, letter in enumerate(one, start=1):
        row = [i]
        for j, wanted in enumerate(other, start=1):
            least = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                least = min(least, before[j - 2] + 1)
            row.append(least)
        before, last = last, row
    return last[-1]


@cache
def _neighbours() -> frozenset[str]:
    return frozenset(NEIGHBOURS.read_text(encoding="utf-8").split())
