"""Whether the time to parse a query grows with its length only, whatever it repeats.

Usage: python benchmarks/parsing.py

Prints, for each repeated piece, the seconds for a long query and its ratio to one a tenth as long:
about 10 where time is linear, about 100 where it is quadratic. Short runs vary: a ratio well above
10 wants a look at longer queries before it means anything.
"""

import contextlib
import time

from kadr.errors import KadrError
from kadr.library.queries import parse

PIECES = ("a ", "a + ", '"', '" ', "'", "'a ", "' '", "« ", "+ ", "9", "1:", '"a"', "x '", " ")
LONG = 200_000
"""Repetitions."""


def seconds(text: str) -> float:
    """The least of three tries."""
    tries = []
    for _ in range(3):
        begun = time.perf_counter()
        with contextlib.suppress(KadrError):
            parse([text])
        tries.append(time.perf_counter() - begun)
    return min(tries)


def main() -> None:
    """Print a line for each piece."""
    for piece in PIECES:
        long, short = seconds(piece * LONG), seconds(piece * (LONG // 10))
        print(f"{piece!r:8} {long:8.4f} s  {long / short:6.1f}")


if __name__ == "__main__":
    main()
