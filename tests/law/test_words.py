"""Which texts name a person under 16: sentences, forms, real captions."""

import csv
import json
import re
import runpy
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import simplemma
from hypothesis import given
from hypothesis import strategies as st

from kadr.law.words import FORMS, Finding, find, names_child, plain

RECIPE = Path(__file__).parents[2] / "recipes" / "child_words.py"

CHILDREN = """
A child in a pink dress is climbing up a set of stairs
Two KIDS splashing
Several teens at a crowded event
The baby's hat
Babies crawling on a floor
a baby sitting by a dog
A baby ducks under the table
Toddlers with balloons
Selling alcohol to a minor
a minor is drinking
Three adolescents skating
The king and his offspring
A boy and his dog
the boys' bicycles
The girl 's hair streams behind her
Girls in bikinis
a boy-scout saluting
A newborn in a blanket
A youth riding a skateboard
A father and son are flying a kite
Mother and daughter at a fountain
grandchildren on the sofa
Schoolchildren chase some pigeons
a pre-teen with braces
A six-year-old with ice cream
6-year-old on a swing
a 15 year old skater
a 6yo with a hat
two to three year olds in a sandbox
portrait of someone aged 12
an eighteen month old crawling
An 18-month-old asleep
her fifth birthday
Little League slides into plate
Little leaguer getting ready
Third graders on a bus
kindergarten on a walk
High school basketball players reach for the ball
Highschoolers smile at a dance
Young soccer players race to the goal
A young Ohio baseball player
under-12s on the pitch
A U-14 team lines up
a mother with her little ones
the little lady in a tutu
a big brother helps a little sister
A woman pushing a baby stroller
A kid rock climbing against a green valley
kids shop for shoes
children drawing on a sidewalk
a baby in a bear costume
a baby bear costume on a sofa
a 10 year old dog walker
A ball boy runs
a baby, ducks and a pond
A ｂｏｙ in full-width letters
A bo\u200by with a zero-width space
the child’s gaze
👶 with a bottle
6-year-old boys
a baby wipes his mouth
Ребёнок на качелях
ребенок на качелях
РЕБЁНОК НА КАЧЕЛЯХ
Дети играют в снегу
двое детей
с детьми на пляже
Ма\u0301льчик с мячом
мальчики бегут
Девочка в красном платье
подростки на скейтбордах
Младенец спит
малыша несут на руках
Школьники у доски
мама с сыном
отец с дочерью
дедушка с внуками
шестилетняя гимнастка
6-летний футболист
спортсменке 12 лет
ей пять лет
полугодовалый карапуз
детский сад на прогулке
женщина с детской коляской
первоклассница с букетом
несовершеннолетние в кафе
восьмимесячный малыш
тринадцатилетнюю теннисистку поздравляют
группа семилетних спортсменок
15-летней пловчихе вручают медаль
толкает детскую коляску
тинэйджеры у фонтана
младший брат спит
The girl is 5 years old
"""

NOT_CHILDREN = """

A cowboy rides a bull
Two cow-boys on horses
Cowgirls in a parade
A showgirl on a stage
A man hugging two colorfully dressed show girls
A playboy in a suit
A busboy and a bellboy
Two girlfriends smiling
Her boyfriend drives
The bridegroom dances
A baby blue car
A pianist at a baby grand
A woman in kid gloves
Young man on a bike
Two young women chatting
a young lady in a bikini
A young guy surfing
Several young people at a party
A little dog runs
the large dog watches the little one
a little old lady
Minor league pitcher
A minor injury on the knee
A minor road in the hills
A sonata in E flat minor
No kidding
A 40 year old man
a twenty-five-year-old man
a 25-year-old woman
aged 45
a 16-year-old driver
her twenty-first birthday
a two-year-old dog
A 10 year old black labrador
A 12-year-old whisky
The dog is three years old
whisky aged 12 years
A woman holding a baby goat
A goat kid in the grass
Several baby ducks nearby
a baby elephant
a baby black bear
Two newborn puppies are being held
A monkey holding its baby
A mother bird looks over her babies
A dog wrestles in a kiddie pool
A dog plays in a baby pool
puppies on a couch beside a baby bottle
A man near a playground
A man stands in front of a child 's playground
A vendor sells children's toys
A man dressed as " Teen Wolf "
A youth hostel by the lake
A babysitter on the phone
Two brothers in suits
College students on campus
thirteen geese
a person and a person
sister city
one yo-yo and two yo-yos
The Simpsons cartoon
A dilated pupil
her mother-in-law and her son-in-law
A plant nursery
an altar with cherubs
Lassie in the snow
a boa constrictor
Девушка на пляже
Молодой человек с гитарой
Парень на велосипеде
Студенты в библиотеке
Юноша с гитарой
Детская площадка у дома
пустая детская игровая площадка
мужчине 35 лет
ему двадцать пять лет
фото сделано 5 лет назад
за 5 лет город вырос
двухлетняя собака
коту пять лет
детёныш пингвина
малыш панды на ветке
десятилетний опыт
крошки хлеба
чад от костра
сукин сын
старый друг детства
взрослые дети
двухсотлетний дуб
тридцатилетняя певица
25-летний боксёр
пять летних платьев
трёхлетнего коня
орел и первый класс самолёта
Женщина с собакой
"""


def lines(table: str) -> list[str]:
    return [line for line in table.splitlines() if line]


@pytest.fixture(scope="module")
def recipe() -> dict[str, Any]:
    return runpy.run_path(str(RECIPE))


@pytest.mark.parametrize("text", lines(CHILDREN))
def test_a_text_that_names_a_child_is_found(text: str) -> None:
    assert find(text)


@pytest.mark.parametrize("text", lines(NOT_CHILDREN))
def test_a_text_that_names_no_child_passes(text: str) -> None:
    assert find(text) == ()


@pytest.mark.parametrize("text", lines(CHILDREN))
def test_an_unrelated_word_or_sentence_beside_it_changes_nothing(text: str) -> None:
    assert names_child(f"Outdoors , {text} .")
    assert names_child(f"{text} . A red car .")


def test_findings_say_what_was_read_in_the_text_s_order() -> None:
    assert find("Two Boys and a six-year-old sister") == (
        Finding("boys", "boy", "word"),
        Finding("six year old", "age", "phrase"),
    )


def test_the_brief_vocabulary_knows_its_lemmas_only() -> None:
    assert names_child("toddlers and children", "brief")
    assert names_child("играют дети", "brief")
    assert not names_child("a boy", "brief")
    assert not names_child("a six-year-old", "brief")
    assert not names_child("kid gloves", "brief")


@pytest.mark.parametrize(
    ("raw", "seen"),
    [
        ("Six–Year–Old", "six year old"),
        ("the child 's, toy", "the child , toy"),
        ("KIDS’", "kids"),
        ("Ё\u00adлка", "елка"),
        ("  \t\n", ""),
    ],
)
def test_plain_form(raw: str, seen: str) -> None:
    assert plain(raw) == seen


@given(st.text())
def test_any_text_is_read_alike_in_every_normal_form(text: str) -> None:
    found = find(text)
    assert find(unicodedata.normalize("NFC", text)) == found
    assert find(unicodedata.normalize("NFKC", text)) == found
    assert find(plain(text)) == found


@given(st.sampled_from(lines(CHILDREN + NOT_CHILDREN)), st.data())
def test_case_changes_nothing(text: str, data: st.DataObject) -> None:
    upper = data.draw(st.lists(st.booleans(), min_size=len(text), max_size=len(text)))
    mixed = "".join(c.upper() if up else c.lower() for c, up in zip(text, upper, strict=True))
    assert find(mixed) == find(text)


@given(st.sampled_from(lines(CHILDREN)), st.text(alphabet="qxzйщ ,.", max_size=20))
def test_words_around_it_don_t_unflag(text: str, noise: str) -> None:
    assert names_child(f"{noise} | {text} | {noise}")


def test_the_table_is_what_the_recipe_writes(recipe: dict[str, Any]) -> None:
    table = recipe["build"](recipe["read"]())
    assert json.loads(FORMS.read_text(encoding="utf-8")) == table


def test_simplemma_gives_every_form_its_lemma_or_the_lists_say_otherwise(
    recipe: dict[str, Any],
) -> None:
    lists = recipe["read"]()
    listed = lemmas(recipe, lists)
    by_hand = {plain(form) for more in lists["more_forms"].values() for form in more}
    unexplained = {
        form
        for form in recipe["forms"](lists)
        if form not in by_hand and not simplemma_names_child(form, listed)
    }
    assert unexplained == set()


def test_every_listed_word_is_in_the_table(recipe: dict[str, Any]) -> None:
    lists = recipe["read"]()
    written = [one for code in ("en", "ru") for one in recipe["lemmas"](lists, code)]
    assert len(set(written)) == len(written)
    assert all(find(lemma) for lemma in written)


@pytest.mark.archive
def test_the_share_of_test_queries_that_each_vocabulary_flags(archive: Path) -> None:
    with (archive / "test_queries.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="|"))
    flagged = {
        vocabulary: [row for row in rows if names_child(row["query_text"], vocabulary)]
        for vocabulary in ("brief", "wide")
    }
    assert {name: len(found) for name, found in flagged.items()} == {"brief": 54, "wide": 169}
    images = {name: len({row["image"] for row in found}) for name, found in flagged.items()}
    assert images == {"brief": 23, "wide": 44}


@pytest.mark.archive
def test_real_words_are_flagged_as_simplemma_would(archive: Path, recipe: dict[str, Any]) -> None:
    lists = recipe["read"]()
    listed = lemmas(recipe, lists)
    table = recipe["forms"](lists)
    excused = {plain(form) for form in lists["not_forms"]["words"]} | {
        plain(form) for more in lists["more_forms"].values() for form in more
    }
    words = {word for text in real_texts(archive) for word in plain(text).split()} - excused
    assert len(words) > 1000
    differing = {word for word in words if (word in table) != simplemma_names_child(word, listed)}
    assert differing == set()


def lemmas(recipe: dict[str, Any], lists: dict[str, Any]) -> dict[str, set[str]]:
    """What simplemma may answer for a child word, by language."""
    answers: dict[str, set[str]] = {}
    for code in ("en", "ru"):
        listed = recipe["lemmas"](lists, code)
        spelled = {form for word in listed for form in (word, word.replace("ё", "е"))}
        answers[code] = spelled | {simplemma.lemmatize(word, code) for word in spelled}
    return answers


def simplemma_names_child(word: str, listed: dict[str, set[str]]) -> bool:
    code = "ru" if re.search("[а-я]", word) else "en"
    return simplemma.lemmatize(word, code) in listed[code]


def real_texts(archive: Path) -> Iterator[str]:
    with (archive / "train_dataset.csv").open(encoding="utf-8", newline="") as file:
        yield from (row["query_text"] for row in csv.DictReader(file))
    with (archive / "test_queries.csv").open(encoding="utf-8", newline="") as file:
        yield from (row["query_text"] for row in csv.DictReader(file, delimiter="|"))
    captions = archive.parent / "flickr8k" / "captions.txt"
    if captions.is_file():
        with captions.open(encoding="utf-8", newline="") as file:
            yield from (row["caption"] for row in csv.DictReader(file))
