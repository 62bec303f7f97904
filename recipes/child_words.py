"""Write forms.json, the table of child words that a search reads, and neighbours.txt.

    python recipes/child_words.py

Reads src/kadr/law/children.toml and simplemma's dictionaries (a development dependency), and takes
a minute or two, for it compares their 1.5 million words with the forms. tests/law/test_words.py
checks that the table in the repository is the one that this recipe writes.
"""

import json
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from simplemma.strategies.dictionaries.dictionary_factory import DefaultDictionaryFactory

from kadr.law import spelling
from kadr.law.words import FORMS, plain

LISTS = FORMS.with_name("children.toml")
LANGUAGES = ("en", "ru")


def build(lists: Mapping[str, Any]) -> dict[str, Any]:
    """The table: form -> lemma, the brief's lemmas, phrases by group, exceptions as one pattern."""
    brief = [lemma for code in LANGUAGES for lemma in lists["words"]["brief"][code]]
    return {
        "brief": sorted(plain(lemma) for lemma in brief),
        "forms": dict(sorted(forms(lists).items())),
        "phrases": {
            name: either(group["patterns"], lists["lists"])
            for name, group in lists["phrases"].items()
        },
        "exceptions": either(
            (pattern for group in lists["exceptions"].values() for pattern in group["patterns"]),
            lists["lists"],
        ),
    }


def forms(lists: Mapping[str, Any]) -> dict[str, str]:
    """Every inflected form of every listed lemma, both in plain form."""
    found: dict[str, str] = {}
    for code in LANGUAGES:
        found |= inflections(lemmas(lists, code), code)
    for lemma, more in lists["more_forms"].items():
        found |= dict.fromkeys(more, lemma)
    unwanted = {plain(form) for form in lists["not_forms"]["words"]}
    return {form: lemma for form, lemma in found.items() if form not in unwanted}


def lemmas(lists: Mapping[str, Any], code: str) -> list[str]:
    """All listed lemmas of one language, in the file's order."""
    return [lemma for group in lists["words"].values() for lemma in group.get(code, ())]


def inflections(listed: Iterable[str], code: str) -> dict[str, str]:
    """Forms to which simplemma's dictionary gives a listed lemma, or the lemma of a listed word.

    It keeps ребёнок and ребенок apart and calls малышка a form of малышок, so each listed word
    stands for itself, for its spelling without ё and for what the dictionary makes of both.
    """
    dictionary = DefaultDictionaryFactory().get_dictionary(code)
    wanted: dict[str, str] = {}
    for lemma in listed:
        for written in (lemma, lemma.replace("ё", "е")):
            wanted.setdefault(written, plain(lemma))
            wanted.setdefault(dictionary.get(written) or written, plain(lemma))
    found = {plain(form): wanted[lemma] for form, lemma in dictionary.items() if lemma in wanted}
    own = {plain(lemma): plain(lemma) for lemma in listed}
    return {form: lemma for form, lemma in (found | own).items() if " " not in form}


def neighbours(listed: Mapping[str, str]) -> list[str]:
    """Real words that are as close to a listed form as a misspelling of it."""
    close: set[str] = set()
    near = defaultdict[str, set[str]](set)
    for form in listed:
        for key in (
            form,
            *_without_a_letter(form),
            form[:2] if len(form) >= spelling.LONG else form,
        ):
            near[key].add(form)
    for code in LANGUAGES:
        for written in DefaultDictionaryFactory().get_dictionary(code):
            word = written.replace("ё", "е")
            if len(word) < spelling.SHORTEST - 1 or not word.isalpha() or not word.islower():
                continue
            keys = (word, *_without_a_letter(word), word[:2])
            forms = {form for key in keys for form in near.get(key, ()) if form[0] == word[0]}
            if word not in listed and any(spelling.is_slip(word, form) for form in forms):
                close.add(word)
    return sorted(close)


def _without_a_letter(word: str) -> Iterator[str]:
    return (word[:at] + word[at + 1 :] for at in range(1, len(word)))


def either(patterns: Iterable[str], named: Mapping[str, str]) -> str:
    """One regular expression for several, with every <list> written out."""
    return "|".join(re.sub(r"<(\w+)>", lambda name: named[name[1]], one) for one in patterns)


def read() -> dict[str, Any]:
    """The curated lists."""
    return tomllib.loads(LISTS.read_text(encoding="utf-8"))


if __name__ == "__main__":
    table = build(read())
    FORMS.write_text(json.dumps(table, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
    close = neighbours(table["forms"])
    spelling.NEIGHBOURS.write_text("\n".join(close) + "\n", encoding="utf-8")
    print(f"{len(close)} real words near them: {spelling.NEIGHBOURS.name}")
    print(f"{len(table['forms'])} forms, {FORMS.stat().st_size:,} bytes: {FORMS.name}")
