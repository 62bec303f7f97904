"""How a library corrects the machine's probabilities by what its reviewers decided.

Platt's method (1999): log-odds of scene and words, times a slope, plus an intercept. It is kept
apart from the weights that kadr ships: in a note of the library and in its audit log. It counts
only where both say the same, and for the classifier that it was learned for.
"""

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from kadr.law import scene
from kadr.stores import Store
from kadr.types import Floats

NOTE = "law.calibration"
"""Key of the note that holds the library's own calibration."""
EVENT = "calibrated"
"""Name of the log's entries about it."""
SLOPES, INTERCEPTS = (0.3, 3.0), (-4.0, 4.0)
"""What a slope and an intercept may be: what lies beyond isn't learned, it is damage."""
_AGAIN = "Learn anew: kadr review learn"

Odds = TypeVar("Odds", float, Floats)


@dataclass(frozen=True, slots=True)
class Calibration:
    """A correction of log-odds; `classifier` is the version that it was learned for."""

    classifier: str
    slope: float = 1.0
    intercept: float = 0.0

    def __post_init__(self) -> None:
        """Check the figures; ValueError where they can't be."""
        for value, (low, high) in ((self.slope, SLOPES), (self.intercept, INTERCEPTS)):
            if not (math.isfinite(value) and low <= value <= high):
                raise ValueError(f"{value} isn't from {low} to {high}")

    @property
    def version(self) -> str:
        """Names it among the versions of an assessment's layers."""
        return f"calibrated-{hashlib.sha256(_json(self).encode()).hexdigest()[:12]}"

    def corrected(self, odds: Odds) -> Odds:
        """Log-odds of scene and words, corrected."""
        return self.slope * odds + self.intercept


def in_force(store: Store) -> tuple[Calibration | None, str | None]:
    """The library's own calibration, and why it has none though it had one; None: the shipped one.

    Whoever could change the note alone, or damage, can't make photos be shown.
    """
    noted, logged = store.meta(NOTE), _logged(store)
    if noted is None and logged is None:
        return None, None
    if noted != logged:
        return None, f"The library's calibration isn't the one on record, so isn't used. {_AGAIN}"
    assert noted is not None
    known = _restored(noted)
    if known is None:
        return None, f"The library's calibration is damaged, so isn't used. {_AGAIN}"
    if known.classifier != scene.load().version:
        why = "The library's calibration was learned for another version of the classifier"
        return None, f"{why}, so isn't used. {_AGAIN}"
    return known, None


def adopt(store: Store, calibration: Calibration | None, **facts: Any) -> None:
    """Put a calibration in force and on record, or take it back (None); `facts` go into the log."""
    noted = None if calibration is None else _json(calibration)
    with store.durable():
        store.note(**{NOTE: noted})
        store.record(EVENT, {"calibration": noted, **facts})


def problems(store: Store) -> Iterator[str]:
    """Where the note isn't what the log says."""
    if store.meta(NOTE) != _logged(store):
        yield "the calibration isn't the log's"


def _logged(store: Store) -> str | None:
    said = None
    for entry in store.entries(EVENT):
        said = entry.facts.get("calibration")
    return said if isinstance(said, str) else None


def _json(calibration: Calibration) -> str:
    return json.dumps(asdict(calibration), sort_keys=True)


def _restored(noted: str) -> Calibration | None:
    try:
        return Calibration(**json.loads(noted))
    except (ValueError, TypeError):
        return None
