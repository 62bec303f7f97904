"""Which frames of a film stand for what it shows: where the picture changes, and now and then."""

from collections import deque
from collections.abc import Iterator
from statistics import median
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Look: TypeAlias = NDArray[np.uint8]
"""A frame made small: uint8 [HEIGHT, WIDTH, 3]."""
WIDTH, HEIGHT = 32, 18
GAP = 2.0
"""Seconds between two chosen frames, at least."""
LONGEST = 10.0
"""Seconds after which a frame is chosen though little changed, or it shows next to nothing."""
CHANGE = 24.0
"""Mean difference to the frame chosen before, of 255, from which the picture is another."""
CONTRAST = 16.0
"""A frame shows something where its brightness deviates so much from their mean, of 255. Less only
delays the choice: what is dark or hazy to this measure may show a face to people."""
LARGE, KEY = 4.0, 0.3
"""A packet begins a scene where it has so many times its neighbours' bytes, and such a share of the
last keyframe's."""
STEP = 0.5
"""Seconds between two keyframes that are looked at, at least."""
_NEIGHBOURS = 12


class Chooser:
    """Chooses among frames that come in order."""

    def __init__(self) -> None:
        self._first: float | None = None
        self._seen = 0.0
        self._blank: float | None = None
        self._last: float | None = None
        self._look: NDArray[np.int16] | None = None

    def wants(self, at: float, look: Look) -> bool:
        """Whether the frame at this second is one to keep."""
        self._first, self._seen = at if self._first is None else self._first, at
        if self._last is not None and at - self._last < GAP:
            return False
        is_due = at - (self._first if self._last is None else self._last) >= LONGEST
        if not is_due and float(look.mean(axis=2).std()) < CONTRAST:
            self._blank = at if self._blank is None else self._blank
            return False
        wide = look.astype(np.int16)
        if self._last is not None and not is_due and self._is_like_last(wide):
            return False
        self._last, self._look, self._blank = at, wide, None
        return True

    def left(self, seconds: float) -> float | None:
        """Where a film ends that lasts so long: the second of a frame whose choice was delayed.

        None where there is none, or where other frames were chosen and what it shows is short.
        """
        if self._blank is None or self._last is None:
            return self._blank
        return self._blank if max(self._seen, seconds) - self._blank >= GAP else None

    def _is_like_last(self, look: NDArray[np.int16]) -> bool:
        return self._look is not None and float(np.abs(look - self._look).mean()) < CHANGE


class Spans:
    """Between keyframes: where packets are large, scenes may begin whose keyframes come late.

    Packets are added in order; what lies after a keyframe is known once the next one was added,
    which may be before the frame of either was decoded.
    """

    def __init__(self) -> None:
        self._key: float | None = None
        self._key_size = 0
        self._recent: list[int] = []
        self._large: list[float] = []
        self._known: deque[tuple[float, list[float]]] = deque()

    def add(self, at: float | None, size: int, *, key: bool) -> bool:
        """Take note of a packet: its second, its bytes; whether it is to be decoded.

        Keyframes nearer than STEP to the one before aren't: some films hold nothing else.
        """
        if not key:
            self._note(at, size)
            return False
        if at is not None and self._key is not None and 0 <= at - self._key < STEP:
            return False
        if at is not None:
            self.end(at)
            self._key, self._key_size = at, size
        return True

    def _note(self, at: float | None, size: int) -> None:
        recent = self._recent
        is_large = size >= KEY * self._key_size and size > LARGE * median(recent or [size])
        if at is not None and is_large:
            self._large.append(at)
        recent.append(size)
        del recent[:-_NEIGHBOURS]

    def end(self, until: float) -> None:
        """The film, or the part of it after a keyframe, ends."""
        if self._key is not None:
            self._known.append((self._key, _wanted(self._large, self._key, until)))
        self._recent, self._large = [], []

    def before(self, at: float) -> Iterator[tuple[float, list[float]]]:
        """Keyframes before a second, each with the seconds after it at which frames are wanted."""
        while self._known and self._known[0][0] < at:
            keyframe, wanted = self._known.popleft()
            if wanted:
                yield keyframe, wanted


def _wanted(large: list[float], after: float, until: float) -> list[float]:
    found = [at for at in large if after < at < until]
    found += np.arange(after + LONGEST + GAP / 4, until, GAP).tolist()
    wanted: list[float] = []
    for at in sorted(found):
        if not wanted or at - wanted[-1] >= GAP / 4:
            wanted.append(at)
    return wanted
