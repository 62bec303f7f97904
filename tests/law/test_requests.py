"""What a query asks for besides child words: ages, slips, roundabout ways."""

from dataclasses import replace

import pytest

from kadr.law.policy import PRESETS, refuses
from kadr.law.requests import find

LAW = PRESETS["under-16"]

ASKS = [
    "people under 16", "people under 18", "anyone under 12 at the beach", "swimmers under 16",
    "persons younger than 14", "younger than sixteen", "no older than 15", "under the age of 16",
    "below the age of ten", "under 16 years old", "up to 12 years of age", "people < 16", "under 16s",
    "10 years old", "ten years old", "a 7 year old", "seven-year-old on a bike", "5 yo", "5 y.o.",
    "aged 12", "ages 6 to 9", "aged between 5 and 10", "between 5 and 10 years old",
    "люди младше 18", "люди младше шестнадцати", "моложе 14 лет", "не старше 15", "до 16 лет",
    "люди до 16", "лица, не достигшие 16 лет", "в возрасте 12 лет", "возраст 10", "10-летний",
    "шестилетняя на пляже", "пятнадцатилетние", "им по 7 лет", "от 5 до 10 лет",
    "little one", "the little one by the sea", "little ones", "a tiny human",
    "на детской площадке", "детская площадка зимой", "children's playground", "в детском саду",
    "малчик", "рибенок", "малыж", "хлопчик", "хлопчики", "мальчек", "девачка", "дивочка", "ребенак",
    "падросток", "grils", "childd", "chidren", "teenegers", "todler", "a todlers on grass", "adolecent",
    "schoolbuoys",
]  # fmt: skip

HARMLESS = [
    "people", "люди на пляже", "a man of 45 years", "people over 18", "люди старше 18", "30 лет",
    "a 40 year old man", "aged 70", "людям за 60", "тридцатилетний мужчина", "60-летний юбилей",
    "under 2 umbrellas", "under 10 feet of snow", "a bridge under three arches", "5 years ago",
    "5 лет назад", "10 people", "two dogs", "16:9", "до 16 часов", "a 10 year old dog",
    "twenty-five years old", "двадцать пять лет", "people under 40", "младше 40",
    "one of the little dogs", "a little dog", "маленькая собака", "малый бизнес", "a chill evening",
    "light bulbs", "grill", "gulls", "a boat", "a bay",
    "мальва", "малина", "девятка", "детина", "площадка для гольфа", "town square",
    "playing cards", "детектив", "chilled drinks", "miners", "toddy",
]  # fmt: skip


@pytest.mark.parametrize("query", ASKS)
def test_it_is_refused(query: str) -> None:
    assert refuses(LAW, query)
    assert refuses(LAW, query.upper())
    assert not refuses(replace(LAW, refuses_queries=False), query)
    assert not refuses(PRESETS["none"], query)


@pytest.mark.parametrize("query", HARMLESS)
def test_it_may_be_asked(query: str) -> None:
    assert refuses(LAW, query) == ()


@pytest.mark.parametrize(
    ("query", "ages"),
    [
        ("17 years old", {18, 21}),
        ("17-летний", {18, 21}),
        ("aged seventeen", {18, 21}),
        ("16 лет", {18, 21}),
        ("people under 21", {16, 18, 21}),
        ("people under 25", {21}),
        ("младше 23", {18, 21}),
        ("12 years old", {14, 16, 18, 21}),
    ],
)
def test_ages_are_compared_with_the_policy_s(query: str, ages: set[int]) -> None:
    assert {age for age in (12, 14, 16, 18, 21) if find(query, age)} == ages
