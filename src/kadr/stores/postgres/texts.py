"""Texts as PostgreSQL takes them: neither NUL nor half a surrogate pair can be in its columns."""

import re

_MARK = "\ue000"
"""Of Unicode's private use: whoever writes it has it doubled."""
_FOREIGN = re.compile("[\0\ud800-\udfff\ue000]")
_ESCAPED = re.compile(f"{_MARK}(?:({_MARK})|([0-9a-f]{{4}}))")


def to_text(text: str | None) -> str | None:
    """A text for a column: what PostgreSQL can't hold is escaped."""
    if text is None or not _FOREIGN.search(text):
        return text
    return _FOREIGN.sub(lambda m: _MARK + (_MARK if m[0] == _MARK else f"{ord(m[0]):04x}"), text)


def from_text(column: str | None) -> str | None:
    """The text of a column."""
    if column is None or _MARK not in column:
        return column
    return _ESCAPED.sub(lambda m: m[1] or chr(int(m[2], 16)), column)
