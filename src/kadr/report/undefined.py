"""Why a figure can't be computed, in words: nobody can do anything about nan."""

import math
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from kadr.report.wording import Wording

_BOUNDS = {"value", "low", "high"}


@cache
def english() -> Wording:
    """The words of the command line and of JSON."""
    return Wording("en")


def why(key: str, value: object, say: Wording | None = None) -> str | None:
    """Why a figure, an interval or an array of that name has no number; None where it has."""
    say = say or english()
    missing = tuple(_missing(value))
    if not any(missing):
        return None
    whole_but_its_ends = isinstance(_parts(value), Mapping) and not missing[0]
    return say("undefined.interval") if whole_but_its_ends else reason(key, say)


def reason(key: str, say: Wording) -> str:
    """Why a figure of that name has no number, where it has none."""
    text = say.name("undefined", key)
    return say("undefined.other") if text == key else text


def reasons(record: Mapping[str, Any]) -> dict[str, str]:
    """Of a record's figures, those that have no number, and why."""
    if record.keys() >= _BOUNDS:
        return {}  # an interval: the record around it knows its name
    found = {key: why(key, value) for key, value in record.items()}
    return {key: text for key, text in found.items() if text is not None}


def _parts(value: object) -> object:
    """An interval as a mapping, an array as a list; others as they are."""
    if all(hasattr(value, name) for name in _BOUNDS):
        return {name: getattr(value, name) for name in ("value", "low", "high")}
    return value.tolist() if hasattr(value, "tolist") else value


def _missing(value: object) -> Iterator[bool]:
    """Whether each number of a figure is none; nothing for what is no figure."""
    parts = _parts(value)
    if isinstance(parts, float):
        yield math.isnan(parts)
    elif isinstance(parts, Mapping):
        if parts.keys() >= _BOUNDS:
            yield from (one for name in ("value", "low", "high") for one in _missing(parts[name]))
    elif isinstance(parts, list) and parts and isinstance(parts[0], list | float):
        yield from (one for part in parts for one in _missing(part))
