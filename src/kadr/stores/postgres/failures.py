"""What the server's errors mean, each in one line that says what to do."""

import psycopg

from kadr.errors import LibraryError, LibraryUnavailableError, ReadOnlyError

_GONE = ("08", "57P01", "57P02", "57P03", "57P05", "53300", "25P03")
"""Connections that failed or were ended, a server that starts, stops or is full of them."""
_NO_DATABASE = ": there is no such database. Make one: createdb NAME"
_MEANT: dict[tuple[str, ...], tuple[type[LibraryError], str]] = {
    ("40001", "40P01", "55P03", "57014"): (
        LibraryUnavailableError,
        ": the server was busy for too long ({text}). Try again in a moment.",
    ),
    ("3D000",): (LibraryError, _NO_DATABASE),
    ("25006",): (ReadOnlyError, " may only be read here ({text}). Name the primary server."),
    ("42501",): (
        LibraryError,
        ": this user lacks a right ({text}). Ask for it, or name another user.",
    ),
    ("53100", "58030"): (
        LibraryError,
        ": the server's disk is full ({text}). What was indexed so far is kept; make room and run "
        "it again.",
    ),
}
"""By SQLSTATE: the kind of error, and what follows the library's name."""
_REFUSED = ("password authentication failed", "no password supplied", "no pg_hba.conf entry",
            "authentication failed", "role \"")  # fmt: skip
_FIXED = ("SSL", "certificate", "could not translate host name", "invalid port", "sslmode")
"""Of a connection that fails the same way the next time; libpq gives these no code."""


def translated(error: psycopg.Error, name: str, *, unknown: tuple[str, ...] = ()) -> Exception:
    """An error of psycopg as one of ours; ValueError where a value can't be stored.

    Args:
        error: what psycopg raised.
        name: the library's.
        unknown: what the message may not hold.
    """
    text, whole = _first(error), reason(error)
    for secret in unknown:
        text = text.replace(secret, "***")
    state = error.sqlstate or ""
    if isinstance(error, psycopg.DataError) or state.startswith(("22", "54")):
        return ValueError(text)
    return _by_state(state, text, name) or _by_text(error, whole, text, name)


def _first(error: psycopg.Error) -> str:
    """What libpq says first; it goes on with advice, or with its other tries."""
    lines = (error.diag.message_primary or str(error)).strip().splitlines()
    return " ".join(lines[0].split())[:300] if lines else type(error).__name__


def reason(error: psycopg.Error) -> str:
    """What went wrong, on one line."""
    said = error.diag.message_primary or str(error) or type(error).__name__
    return " ".join(said.split())[:300]


def _by_state(state: str, text: str, name: str) -> LibraryError | None:
    if state.startswith(_GONE):
        return unavailable(name, text)
    if state in {"28P01", "28000"}:
        return refused(name, text)
    for states, (kind, words) in _MEANT.items():
        if state in states:
            return kind(f"{name}{words.format(text=text)}")
    return None


def _by_text(error: psycopg.Error, whole: str, text: str, name: str) -> LibraryError:
    if "does not exist" in whole and "database" in whole:
        return LibraryError(f"{name}{_NO_DATABASE}")
    if any(words in whole for words in _REFUSED):
        return refused(name, text)
    if any(words in whole for words in _FIXED):
        return LibraryError(
            f"{name}: can't connect ({text}). Check the address and its parameters."
        )
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and not error.sqlstate:
        return unavailable(name, text)
    return LibraryError(
        f"{name}: the library can't be read ({text}). Look at it with kadr library verify."
    )


def unavailable(name: str, text: str) -> LibraryUnavailableError:
    """The server doesn't answer now; it may in a moment."""
    return LibraryUnavailableError(
        f"{name}: the server can't be reached ({text}). Check that it runs, and try again."
    )


def refused(name: str, text: str) -> LibraryError:
    """The server knows nobody of this name and password."""
    return LibraryError(
        f"{name}: the server refuses this user ({text}). Check the user, and the password in "
        "PGPASSWORD or ~/.pgpass."
    )
