"""What a stranger's tokenizer does to a text before it is cut into tokens, and what that may cost.

A file of a few hundred bytes can make a text a million times as long, or hold a pattern that takes
for ever. Both are told from the file; no text is tried.
"""

import base64
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

MOST_GROWTH = 200
"""Times as long as it was a text may become. SentencePiece's table of characters alone makes 66."""
MOST_STEPS = 32
LONGEST_PATTERN = 2000
"""Characters; the longest known pattern, o200k's, has 300."""
_LOOPS, _CHOICES = 2, 8
"""Endless repetitions, and groups and optional parts, in one alternative of a pattern: those that
CLIP, GPT and Llama use have two and three. Time grows with a text's length to the power of the
first, and doubles with each of the second."""
_GROWTH = {
    "NFC": 1, "NFD": 1, "NFKC": 1, "NFKD": 1, "Lowercase": 1, "Strip": 1, "StripAccents": 1,
    "Nmt": 1, "BertNormalizer": 3, "ByteLevel": 2,
}  # fmt: skip
"""Of steps that have no content of their own; what grows only once counts as 1."""
_TOKEN = re.compile(
    r"""
      (?P<atom> \\[pP]\{\^?\w+\} | \\x\{\w+\} | \\[^gkpP]
        | \[ \^? \]? (?: \\. | \[:\w+:\] | [^\]\\] )* \] )
    | (?P<open> \( (?: \?(?: [a-z]*: | <?[=!] ) )? (?! [?*] ) )
    | (?P<close> \) )
    | (?P<or> \| )
    | (?P<repeat> [*+] | \{ \d* ,? \d* \} )
    | (?P<optional> \? )
    | (?P<other> [^\\\[()] )
    """,
    re.VERBOSE | re.DOTALL,
)


def problem(tokenizer: Any) -> str | None:
    """Why a tokenizer's steps could cost too much; None: they can't."""
    try:
        normalizers = list(_flat_of(tokenizer.normalizer))
        steps = [*normalizers, *_flat_of(tokenizer.pre_tokenizer)]
        growth = math.prod(map(_growth, normalizers))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        return f"its steps aren't known ({str(error)[:80]})"
    patterns = [pattern for step in steps if (pattern := _pattern(step)) is not None]
    if len(steps) > MOST_STEPS:
        return f"{len(steps):,} steps for a text"
    if growth > MOST_GROWTH:
        return f"texts could become {growth:,.0f} times as long"
    slow = next((pattern for pattern in patterns if not is_quick(pattern)), None)
    return None if slow is None else f"a pattern that could take for ever ({slow[:60]!r})"


def is_quick(pattern: str) -> bool:
    """Whether a pattern's time stays bounded, as far as its repetitions tell."""
    if len(pattern) > LONGEST_PATTERN:
        return False
    loops = choices = depth = place = 0
    before = ""
    while place < len(pattern):
        found = _TOKEN.match(pattern, place)
        if found is None:
            return False
        kind = str(found.lastgroup)
        if kind == "repeat" and before == "close":  # a repetition of repetitions
            return False
        depth += (kind == "open") - (kind == "close")
        if kind == "or" and depth == 0:
            loops = choices = 0
        loops += kind == "repeat"
        choices += kind in {"open", "optional"}
        if loops > _LOOPS or choices > _CHOICES:
            return False
        before, place = kind, found.end()
    return True


def _flat_of(part: Any) -> Iterator[Mapping[str, Any]]:
    return iter(()) if part is None else _flat(json.loads(part.__getstate__()))


def _flat(step: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if step["type"] != "Sequence":
        yield step
        return
    for inner in step.get("normalizers") or step.get("pretokenizers") or ():
        yield from _flat(inner)


def _growth(step: Mapping[str, Any]) -> float:
    kind = step["type"]
    if kind == "Replace":
        pattern = step["pattern"].get("String")
        if pattern:
            return max(1.0, len(step["content"]) / len(pattern))
        return 1.0 + len(step["content"])
    if kind == "Prepend":
        return 1.0 + len(step["prepend"])
    if kind == "Precompiled":
        table = base64.b64decode(step["precompiled_charsmap"])
        start = 4 + int.from_bytes(table[:4], "little")
        return float(max(1, *map(len, table[start:].split(b"\0"))))
    return _GROWTH[kind]


def _pattern(step: Mapping[str, Any]) -> str | None:
    pattern = step.get("pattern")
    return pattern.get("Regex") if isinstance(pattern, Mapping) else None
