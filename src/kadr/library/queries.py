"""Search queries: words, pictures, and sums of them with weights. No models."""

import math
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kadr.errors import KadrError
from kadr.photos import films, folders
from kadr.types import Picture

_QUOTES = r"""(?:"[^"]*"|«[^»]*»|“[^”]*”)"""
_APOSTROPHES = r"(?:'(?:[^']|'(?!\s|\Z))*'(?=\s|\Z))"  # 'a dog's ball' is quoted as a whole
_WEIGHT = r"(?:[+-]?[0-9]{1,9}(?:[.,][0-9]{0,9})?:(?=[^\s0-9]))"
FILTERS = ("after", "before", "camera", "kind", "in", "collection", "place")
"""Filters that a query may hold, as `camera:canon`."""
_KEY = rf"(?:(?:{'|'.join(FILTERS)}):(?=\S))"
MINUS = "\N{MINUS SIGN}"
"""The sign itself; what a keyboard has in its place is a hyphen."""
_NOT = rf"[-{MINUS}]"
_WORD = re.compile(rf"(?:{_KEY}|{_NOT})?{_QUOTES}\S*|\S+")
_FIRST_WORD = re.compile(
    rf"{_WEIGHT}?(?:{_APOSTROPHES}|{_QUOTES}\S*)|(?:{_KEY}|{_NOT}){_QUOTES}\S*|\S+"
)
_NEGATED = re.compile(rf"{_NOT}({_QUOTES}|[^\W\d_]\S.*)", re.DOTALL)
_FILTER = re.compile(rf"({'|'.join(FILTERS)}):(\S.*)", re.DOTALL)
_QUOTED = re.compile(rf"{_QUOTES}|{_APOSTROPHES}")
_WITHOUT = re.compile(
    r"\s(?:without|без|(?:with\s+)?no)\s(?!(?:one|longer|man['’]s)\b)", re.IGNORECASE
)
_LEADING_WEIGHT = re.compile(_WEIGHT)
_SPACE = re.compile(r"\s*")
_PATH = re.compile(r"~?[/\\]|\.\.?[/\\]|[A-Za-z]:[/\\]" if os.name == "nt" else r"~?/|\.\.?/")


@dataclass(frozen=True, slots=True)
class Part:
    """A text or a picture (the other is None); weight is finite, not 0, negative if subtracted.

    A picture is a file, a picture at hand, or the number of a photo of the library. A text is in
    Unicode's form NFC, however it was typed.
    """

    weight: float
    text: str | None
    picture: Path | Picture | int | None

    def __post_init__(self) -> None:
        if self.text is not None:
            object.__setattr__(self, "text", unicodedata.normalize("NFC", self.text))


@dataclass(frozen=True, slots=True)
class Expression:
    """A query: at least one part, at least one of them added; `source` is what was typed.

    `filters` are keys of `FILTERS` and values as they were typed. `without` are texts of what
    photos must not show.
    """

    parts: tuple[Part, ...]
    source: str
    filters: tuple[tuple[str, str], ...] = ()
    without: tuple[str, ...] = ()

    @property
    def text(self) -> str | None:
        """The text of a query that is one text of weight 1; None for any other."""
        only = self.parts[0]
        return only.text if len(self.parts) == 1 and only.weight == 1 else None

    @property
    def quoted(self) -> bool:
        """Whether all that was typed is one text in quotes: words that should be on record."""
        return self.text is not None and re.fullmatch(_QUOTES, self.source.strip()) is not None


def parse(words: Sequence[str], *, files: bool = True) -> Expression:
    r"""The query that a command line's words, or one whole line, stand for.

    Several words come from a shell, which has removed the quotes: what a word holds is one piece,
    and only a word that is + or - is an operator. One word alone is a line, such as
    `"dog on grass" + 0.5:./mydog.jpg - "leash"`:

    - An operator is a + or - that stands alone between spaces: "t-shirt", "C++" are text. The
      first part may have one before it. Something must be added: `- leash` alone is refused.
    - Where the whole query is in "…", «…» or “…”, only photos that have these words on record are
      wanted, if there are any.
    - Inside "…", «…» and “…” that open a word, and '…' that opens a part, nothing is an operator or
      a weight. Quotes around a whole part are dropped, others stay part of the text.
    - A weight is a positive number and a colon at the start of a part: `0.5:leash`, `2:"10 cats"`.
      What follows must be neither a space nor a digit, so "10:30 train" and "16:9" are text.
    - A word such as `after:2021`, `before:2024-05`, `camera:"canon eos"`, `kind:png`, `in:summer`,
      `place:berlin` or `collection:favourites` is a filter, wherever it stands. Another key
      is text, and so is all that is in quotes.
    - A word with a minus before it, as `-leash` or `-"red leash"`, names what photos must not show.
      A letter and more must follow: "-5°" and "t-shirt" are text.
    - Where the query is one text without quotes and weights, so does what follows "without", "no"
      or "без": "dog without a leash".
    - A part is a picture where it starts with ./ ../ ~/ or / (on Windows C:\ too), or where it ends
      like a photo (.jpg) and that file exists. Quotes don't change that. Anything else is text, and
      so is everything where `files` is false: nobody looks whether there is such a file.

    Raises:
        KadrError: empty query or part, operator without a part, quote that isn't closed, weight
            that isn't positive, path without a file, nothing but subtractions or filters.
    """
    source = " ".join(words)
    tokens = list(_line_words(words[0]) if len(words) == 1 else words)
    if not source.strip():
        raise KadrError("The query is empty. Say what to look for, such as: dog on grass")
    filters = tuple(match.groups() for word in tokens if (match := _FILTER.fullmatch(word)))
    negated = [match[1] for word in tokens if (match := _NEGATED.fullmatch(word))]
    tokens = [w for w in tokens if not _FILTER.fullmatch(w) and not _NEGATED.fullmatch(w)]
    if not tokens:
        raise KadrError(_only(source, filters=bool(filters)))
    parts = tuple(_part(sign, raw, source, files) for sign, raw in _signed(tokens, source))
    parts, left_out = _negated(parts, source)
    if all(part.weight < 0 for part in parts):
        raise KadrError(
            f"The query {_shown(source)} only subtracts. Put first what to look for, such as: "
            "dog - leash"
        )
    said = tuple((key, _unquoted(value)) for key, value in filters)
    without = (*left_out, *(text for word in negated if (text := _unquoted(word))))
    return Expression(parts, source, said, without)


def _only(source: str, *, filters: bool) -> str:
    does, such = ("filters", "dog after:2021") if filters else ("leaves out", "dog -leash")
    return f"The query {_shown(source)} only {does}. Say what to look for too, such as: {such}"


def _negated(parts: tuple[Part, ...], source: str) -> tuple[tuple[Part, ...], tuple[str, ...]]:
    """The parts of one text, cut before its "without", and what follows that and each further."""
    text = parts[0].text
    is_quoted = set(source) & set('"«“') or source.lstrip().startswith("'")
    if len(parts) > 1 or parts[0].weight != 1 or text is None or is_quoted:
        return parts, ()
    wanted, *rest = (piece.strip() for piece in _WITHOUT.split(text))
    if not wanted or not rest or not all(rest):
        return parts, ()
    return (Part(1.0, wanted, None),), tuple(rest)


def expression(query: str | Expression) -> Expression:
    """A query as it was parsed, or a line to be parsed; raises as `parse` does."""
    return query if isinstance(query, Expression) else parse([query])


def read(lines: Iterable[str]) -> list[Expression]:
    """One query a line; blank lines and lines that start with # are passed over.

    Raises:
        KadrError: a line is no query; the message names its number, the first is 1.
    """
    expressions = []
    for number, line in enumerate(lines, start=1):
        query = line.removeprefix("\ufeff").strip()
        if query and not query.startswith("#"):
            try:
                expressions.append(parse([query]))
            except KadrError as error:
                raise KadrError(f"Line {number}: {error}") from error
    return expressions


def _line_words(line: str) -> Iterator[str]:
    """Words of a line: what stands in quotes stays one word, quotes included."""
    at, opens_part = _SPACE.match(line, 0).end(), True  # type: ignore[union-attr]  # \s* always fits
    while match := (_FIRST_WORD if opens_part else _WORD).match(line, at):
        word = match[0]
        _check_closed(word, line, opens_part=opens_part)
        yield word
        opens_part = word in {"+", "-"}
        at = _SPACE.match(line, match.end()).end()  # type: ignore[union-attr]


def _unquoted(value: str) -> str:
    quoted = _QUOTED.match(value)
    return value[1:-1].strip() if quoted and quoted.end() == len(value) else value


def _check_closed(word: str, line: str, *, opens_part: bool) -> None:
    """A word that opens a quote holds its end too, or there is none."""
    body = word
    if opens_part and (weight := _LEADING_WEIGHT.match(word)):
        body = word[weight.end() :]
    elif match := _FILTER.fullmatch(word):
        body, opens_part = match[2], False
    elif word[:1] in {"-", MINUS}:
        body, opens_part = word[1:], False
    opening = '"«“' + "'" * opens_part
    if body[:1] and body[0] in opening and not _QUOTED.match(body):
        raise KadrError(
            f"The quote {body[0]} in {_shown(line)} isn't closed. Close it, or put the whole text "
            "into quotes of another kind."
        )


def _signed(words: Iterable[str], source: str) -> Iterator[tuple[str, str]]:
    """Each part with the operator before it, + where there is none."""
    sign, gathered = "", list[str]()
    for word in words:
        if word not in {"+", "-"}:
            gathered.append(word)
        elif gathered:
            yield sign or "+", " ".join(gathered)
            sign, gathered = word, []
        elif sign:
            raise KadrError(_dangling(sign, source))
        else:
            sign = word
    if not gathered:
        raise KadrError(_dangling(sign, source))
    yield sign or "+", " ".join(gathered)


def _dangling(sign: str, source: str) -> str:
    return (
        f"Nothing follows the {sign} in {_shown(source)}. Put a text or a picture after it, or "
        "quotes around it if it is text."
    )


def _part(sign: str, raw: str, source: str, files: bool) -> Part:
    text, weight = raw.strip(), 1.0
    if match := _LEADING_WEIGHT.match(text):
        weight, text = _positive(match[0], source), text[match.end() :]
    if (quoted := _QUOTED.match(text)) and quoted.end() == len(text):
        text = text[1:-1].strip()
    if not text:
        raise KadrError(
            f"A part of the query {_shown(source)} is empty. Put a text or a picture there."
        )
    picture = _picture(text) if files else None
    signed = math.copysign(weight, -1 if sign == "-" else 1)
    return Part(signed, None if picture else text, picture)


def _positive(prefix: str, source: str) -> float:
    weight = float(prefix.rstrip(":").replace(",", "."))
    if prefix[0] in "+-" or weight == 0:
        raise KadrError(
            f"The weight {prefix} in {_shown(source)} must be a positive number without a sign. "
            "To subtract, write the sign apart: dog - 0.5:leash"
        )
    return weight


def _picture(text: str) -> Path | None:
    """The photo that a text names; None if it is a text."""
    named = _PATH.match(text)
    if not named and not _ends_like_a_photo(text):
        return None
    path = os.path.expanduser(text)  # noqa: PTH111 - Path.expanduser() raises without a home
    if os.path.isfile(films.file_of(Path(path))):  # noqa: PTH113 - Path.is_file() raises where a parent is shut
        return Path(path)
    if named:
        raise KadrError(f"{_shown(text)} is no file. Name a photo, or write a text without a path.")
    return None


def _ends_like_a_photo(text: str) -> bool:
    return folders.is_photo(text)


def _shown(text: str) -> str:
    """A text on one line, not too long, in quotes."""
    return repr(text if len(text) <= 80 else text[:80] + "…")
