"""Statements that run inside somebody's transaction: notes, and what a sound record is."""

from collections.abc import Callable
from typing import Any, TypeAlias

from kadr.stores.postgres.texts import from_text, to_text

Run: TypeAlias = Callable[..., Any]
"""Runs an SQL statement inside a transaction; gives its cursor."""

MARK = (
    "CASE WHEN photo < 4503599627370496 AND probability >= 0 AND probability <= 1"
    " THEN photo * 1000003 + trunc(probability * 1099511627776.0::float8)::bigint * 8"
    " + (version <> '')::int * 4 + (failed = '[]')::int * 2 + (faces IS NOT NULL)::int END"
)
"""What a sound assessment's mark is: all that decides over showing, within 2^-40. The server alone
computes it, so that every search can check every assessment. Out of bounds there is none, for an
overflow would end every search."""
RULING_MARK = "verdict || encode(digest, 'hex')"


def put_note(run: Run, key: str, value: str) -> None:
    """Note a value in place of an older one."""
    run(
        "INSERT INTO notes VALUES (%s, %s) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (to_text(key), to_text(value)),
    )


def get_note(run: Run, key: str) -> str | None:
    """What is noted under a key."""
    row = run("SELECT value FROM notes WHERE key = %s", (to_text(key),)).fetchone()
    return from_text(row[0]) if row else None
