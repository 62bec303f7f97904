"""What a query asks for besides words that name a child: ages, slips of the pen, roundabout ways.

A query is read more strictly than a photo's texts: whoever is refused may ask in other words, and
what a dog on a playground is to a caption, `на детской площадке` is to a search.
"""

import re
from collections.abc import Iterator
from functools import cache

from kadr.law import spelling
from kadr.law.words import Finding, forms, plain, without_exceptions

REACH = 5
"""Who asks for people under an age asks for children where that age is at most so far above."""

_WORDS = (
    "one один одного одной", "two два две двух", "three три трех", "four четыре четырех",
    "five пять пяти", "six шесть шести", "seven семь семи", "eight восемь восьми",
    "nine девять девяти", "ten десять десяти", "eleven одиннадцать одиннадцати",
    "twelve двенадцать двенадцати", "thirteen тринадцать тринадцати",
    "fourteen четырнадцать четырнадцати", "fifteen пятнадцать пятнадцати",
    "sixteen шестнадцать шестнадцати", "seventeen семнадцать семнадцати",
    "eighteen восемнадцать восемнадцати", "nineteen девятнадцать девятнадцати",
    "twenty двадцать двадцати",
)  # fmt: skip
_NUMBERS = {word: n for n, words in enumerate(_WORDS, start=1) for word in words.split()}
_NUMBER = rf"(?P<n>\d{{1,3}}|{'|'.join(_NUMBERS)})"
_YEARS = r"(?:years?|yrs?|y ?/? ?o|yos?)"
_LET = r"(?:лет|года?|годик(?:а|ов)?|годочк[а-я]+)"
_PEOPLE = r"(?:people|persons?|anyone|anybody|those|everyone|somebody|someone|all)"
_LYUDI = r"(?:люд[а-я]+|лиц[а-я]*|человек[а-я]*|персон[а-я]*|граждан[а-я]*)"
_MORE = r"(?= (?:and|or|who|that|in|on|at|with|by|near|playing|\w+ing)\b| [^\w\s]|$)"

_UNDER = (
    rf"(?:younger|less) than (?:the age of )?{_NUMBER}(?: {_YEARS})?",
    rf"(?:not|no) (?:older|more) than {_NUMBER}(?: {_YEARS}(?: (?:old|of age))?)?",
    rf"(?:under|below|before) the age of {_NUMBER}",
    rf"(?:under|below|up to|<) {_NUMBER} {_YEARS}",
    rf"{_PEOPLE} (?:up to|<) {_NUMBER}{_MORE}",
    rf"(?:under|below) {_NUMBER}{_MORE}",
    rf"under {_NUMBER}s",
    rf"(?:младше|моложе|юнее|не старше|меньше чем|не достиг[а-я]+) {_NUMBER}(?: {_LET})?",
    rf"(?:до|меньше|менее|не более|<) {_NUMBER} {_LET}",
    rf"{_LYUDI} (?:[а-я]+ )?(?:до|меньше|менее|<) {_NUMBER}\b",
)
_AGED = (
    rf"{_NUMBER} {_YEARS}(?: olds?| of age| young)",
    rf"{_NUMBER} ?(?:yos?|y o|y / o|y \. o(?: \.)?)",
    rf"(?:aged?|ages) (?:of |from |between )?{_NUMBER}(?! (?:feet|meters|metres))",
    rf"between {_NUMBER} and \w+ {_YEARS}",
    rf"{_NUMBER} (?:to|or|and|-|–) \w+ {_YEARS}(?: olds?| of age)",
    rf"{_NUMBER} {_LET}(?! (?:назад|спустя|вместе|подряд|тому|брака|работы|службы|опыта|войны))",
    rf"{_NUMBER} ?(?:ти |и |х |ми )?летн[а-я]+",
    r"(?P<whole>[а-я]+)летн[а-я]+",
    rf"(?:в )?возраст[а-я]* (?:от |до )?{_NUMBER}",
    rf"(?:от|с) {_NUMBER} до \w+ {_LET}",
)
_WAYS = (
    r"(?:the |a |an |my |our |his |her |their )?little ones?", r"wee ones?", r"young ones?",
    r"(?:kids?|children|childrens|kiddie|baby) (?:\w+ )?(?:playgrounds?|play areas?|pools?|parks?)",
    r"детск[а-я]+ (?:[а-я]+ )?(?:площадк|городк|городок|бассейн|горк|сад|лагер|парк)[а-я]*",
    r"(?:маленьк|юн|мелк)[а-я]+ (?:человек|люд)[а-я]*", r"(?:little|small|tiny|young) humans?",
)  # fmt: skip


def find(text: str, age: int) -> tuple[Finding, ...]:
    """Everything in a query that asks for people below an age in years."""
    whole, readable = plain(text), without_exceptions(text)
    ages = (
        Finding(match.group(), "age", "phrase")
        for pattern, most in ((_pattern(_UNDER), age + REACH), (_pattern(_AGED), age - 1))
        for match in pattern.finditer(readable)
        if 0 < _years(match) <= most
    )
    ways = (Finding(match.group(), "way", "phrase") for match in _pattern(_WAYS).finditer(whole))
    return (*ages, *ways, *_slips(readable))


def _slips(readable: str) -> Iterator[Finding]:
    for token in readable.split():
        if lemma := spelling.lemma(token, forms()):
            yield Finding(token, lemma, "word")


def _years(match: re.Match[str]) -> int:
    """The age that a phrase names; 0 where it names none."""
    groups = {name.rstrip("0123456789"): text for name, text in match.groupdict().items() if text}
    word = groups.get("n") or groups.get("whole") or ""
    return int(word) if word.isdecimal() else _NUMBERS.get(word, 0)


@cache
def _pattern(patterns: tuple[str, ...]) -> re.Pattern[str]:
    numbered = (
        re.sub(r"\?P<(n|whole)>", rf"?P<\g<1>{place}>", one) for place, one in enumerate(patterns)
    )
    return re.compile(rf"(?<!\S)(?:{'|'.join(numbered)})(?!\S)")
