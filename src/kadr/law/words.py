"""Words and phrases that name a person under 16, in English and Russian.

What is listed, and why, stands in `children.toml`. `recipes/child_words.py` adds every inflected
form that simplemma knows and writes `forms.json`; a search reads that table alone, because
simplemma's dictionaries take two seconds to load.
"""

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias

FORMS = Path(__file__).with_name("forms.json")

Vocabulary: TypeAlias = Literal["brief", "wide"]
"""`brief`: the eight lemmas of the brief and their Russian equals. `wide`: all of the lists."""

Kind: TypeAlias = Literal["word", "phrase"]

_APOSTROPHES = str.maketrans(dict.fromkeys("’‘ʼ`´＇", "'"))
_IGNORED = frozenset({"Cf", "Mn"})
"""Unicode categories that a reader doesn't see: zero-width and bidi marks, stress marks."""
_POSSESSIVE = re.compile(r"\s?'\s?s\b|'")
_INNER_HYPHEN = re.compile(r"(?<=\w)[-‐–_]|[-‐–_](?=\w)")
_TOKEN = re.compile(r"[^\W_]+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Finding:
    """A part of a text that names a child: the part in plain form, its lemma (or phrase group)."""

    word: str
    lemma: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class _Table:
    forms: Mapping[str, str]
    brief: frozenset[str]
    phrases: re.Pattern[str]
    exceptions: re.Pattern[str]


def find(text: str, vocabulary: Vocabulary = "wide") -> tuple[Finding, ...]:
    """Everything in the text that names a child, in the text's order.

    `brief` knows words only. The exceptions (kid gloves, baby goat) hold for both vocabularies.
    """
    table, readable = _table(), without_exceptions(text)
    findings = list(_words(readable, table, vocabulary))
    if vocabulary == "wide":
        findings += _phrases(readable, table)
    return tuple(finding for _, finding in sorted(findings, key=lambda item: item[0]))


def without_exceptions(text: str) -> str:
    """The text in plain form, a bar in place of what looks like a child and isn't (kid gloves)."""
    return _table().exceptions.sub("|", plain(text))


def forms() -> Mapping[str, str]:
    """Every listed form, and its lemma."""
    return _table().forms


def names_child(text: str, vocabulary: Vocabulary = "wide") -> bool:
    """Whether the text names a person under 16. A False says nothing about the image beside it."""
    return bool(find(text, vocabulary))


def plain(text: str) -> str:
    """The text as the lists see it: words and punctuation marks, one space between.

    NFKC, case folded, ё as е, without invisible marks and possessive 's, hyphenated words apart.
    """
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_APOSTROPHES)
    if not folded.isascii():
        folded = "".join(c for c in folded if unicodedata.category(c) not in _IGNORED)
    apart = _INNER_HYPHEN.sub(" ", _POSSESSIVE.sub(" ", folded.replace("ё", "е")))
    return " ".join(_TOKEN.findall(apart))


def _words(readable: str, table: _Table, vocabulary: Vocabulary) -> Iterator[tuple[int, Finding]]:
    for match in re.finditer(r"\S+", readable):
        lemma = table.forms.get(match.group())
        if lemma is not None and (vocabulary == "wide" or lemma in table.brief):
            yield match.start(), Finding(match.group(), lemma, "word")


def _phrases(readable: str, table: _Table) -> Iterator[tuple[int, Finding]]:
    for match in table.phrases.finditer(readable):
        yield match.start(), Finding(match.group(), str(match.lastgroup), "phrase")


@cache
def _table() -> _Table:
    stored = json.loads(FORMS.read_text(encoding="utf-8"))
    groups = "|".join(f"(?P<{name}>{pattern})" for name, pattern in stored["phrases"].items())
    return _Table(
        forms=stored["forms"],
        brief=frozenset(stored["brief"]),
        phrases=_whole(groups),
        exceptions=_whole(stored["exceptions"]),
    )


def _whole(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\S)(?:{pattern})(?!\S)")
