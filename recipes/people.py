"""Does a caption name a person? English, for the captions that the recipes and figures read."""

import re

from kadr.law.words import names_child

_GROUPS = r"people|crowds?|couples?|teams?|famil(?:y|ies)|friends?|band|police|spectators?"
_PLAIN = (
    r"persons?|humans?|adults?|males?|females?|guys?|lady|ladies|gentlem[ae]n|someone|somebody|"
    r"mother|father|mom|dad|brothers?|sisters?|bride|groom|athletes?|musicians?|artists?|students?|"
    r"cyclists?|motorcyclists?|bicyclists?|pedestrians?|soldiers?|owners?|gymnasts?|cowboys?|"
    r"vendors?|ballplayers?"
)
_DOERS = (
    r"(?:\w*rid|bik|ski|skat|surf|\w*board|climb|hik|swimm|div|runn|rac|jogg|danc|sing|perform|"
    r"wrestl|box|fight|cheerlead|work|firefight|hunt|driv|passeng|kayak|raft|row|play|football|"
    r"onlook|offic|worship|shopp|teenag)ers?|sailors?"
)
_MEN = r"\w*(?<!sno)(?<!snow)(?<!ger)(?<!speci)(?:wo)?m[ae]n"
_PERSON = re.compile(rf"\b(?:{_GROUPS}|{_PLAIN}|{_DOERS}|{_MEN}|\w+players?)\b")
_THINGS = re.compile(r"\b(?:boxers?|record players?|dvd players?|cd players?|golden retriever)\b")
"""A boxer is a dog more often than a man in these captions, a record player never is."""


def names_person(caption: str) -> bool:
    """Whether a caption names a person of any age. Pronouns don't count: a dog is a "he" too."""
    text = _THINGS.sub(" ", caption.lower())
    return names_child(caption) or _PERSON.search(text) is not None
