"""One Russian caption per scene, with the cases and genders that its words ask for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from kadr.data.drawn.captions import relations
from kadr.data.drawn.scene import Figure, Scene
from kadr.data.drawn.vocabulary import PEOPLE

Gender = Literal["m", "f", "n"]
Case = Literal["nominative", "accusative", "genitive", "instrumental", "prepositional"]


@dataclass(frozen=True, slots=True)
class Noun:
    """A noun in the singular by its cases."""

    gender: Gender
    nominative: str
    accusative: str
    genitive: str
    instrumental: str
    prepositional: str
    animate: bool = False


NOUNS: Final[Mapping[str, Noun]] = {
    "man": Noun("m", "мужчина", "мужчину", "мужчины", "мужчиной", "мужчине", animate=True),
    "woman": Noun("f", "женщина", "женщину", "женщины", "женщиной", "женщине", animate=True),
    "boy": Noun("m", "мальчик", "мальчика", "мальчика", "мальчиком", "мальчике", animate=True),
    "girl": Noun("f", "девочка", "девочку", "девочки", "девочкой", "девочке", animate=True),
    "baby": Noun("m", "малыш", "малыша", "малыша", "малышом", "малыше", animate=True),
    "dog": Noun("f", "собака", "собаку", "собаки", "собакой", "собаке", animate=True),
    "cat": Noun("f", "кошка", "кошку", "кошки", "кошкой", "кошке", animate=True),
    "horse": Noun("f", "лошадь", "лошадь", "лошади", "лошадью", "лошади", animate=True),
    "bird": Noun("f", "птица", "птицу", "птицы", "птицей", "птице", animate=True),
    "car": Noun("f", "машина", "машину", "машины", "машиной", "машине"),
    "bicycle": Noun("m", "велосипед", "велосипед", "велосипеда", "велосипедом", "велосипеде"),
    "boat": Noun("f", "лодка", "лодку", "лодки", "лодкой", "лодке"),
    "ball": Noun("m", "мяч", "мяч", "мяча", "мячом", "мяче"),
    "balloon": Noun("m", "шарик", "шарик", "шарика", "шариком", "шарике"),
    "kite": Noun("m", "воздушный змей", "воздушного змея", "воздушного змея", "воздушным змеем",
                 "воздушном змее"),
    "umbrella": Noun("m", "зонт", "зонт", "зонта", "зонтом", "зонте"),
    "tree": Noun("n", "дерево", "дерево", "дерева", "деревом", "дереве"),
    "house": Noun("m", "дом", "дом", "дома", "домом", "доме"),
    "shirt": Noun("f", "рубашка", "рубашку", "рубашки", "рубашкой", "рубашке"),
    "dress": Noun("n", "платье", "платье", "платья", "платьем", "платье"),
    "suit": Noun("m", "костюмчик", "костюмчик", "костюмчика", "костюмчиком", "костюмчике"),
}  # fmt: skip

GARMENTS: Final[Mapping[str, str]] = {
    "man": "shirt", "boy": "shirt", "woman": "dress", "girl": "dress", "baby": "suit",
}  # fmt: skip

STEMS: Final[Mapping[str, str]] = {
    "red": "красн", "blue": "син", "yellow": "жёлт", "green": "зелён", "white": "бел",
    "black": "чёрн", "brown": "коричнев", "grey": "сер", "orange": "оранжев", "pink": "розов",
    "purple": "фиолетов",
}  # fmt: skip

HARD_ENDINGS: Final[Mapping[Case, tuple[str, str, str]]] = {
    "nominative": ("ый", "ая", "ое"),
    "accusative": ("ый", "ую", "ое"),
    "genitive": ("ого", "ой", "ого"),
    "instrumental": ("ым", "ой", "ым"),
    "prepositional": ("ом", "ой", "ом"),
}
SOFT_ENDINGS: Final[Mapping[Case, tuple[str, str, str]]] = {
    "nominative": ("ий", "яя", "ее"),
    "accusative": ("ий", "юю", "ее"),
    "genitive": ("его", "ей", "его"),
    "instrumental": ("им", "ей", "им"),
    "prepositional": ("ем", "ей", "ем"),
}

VERBS: Final[Mapping[str, str]] = {
    "standing": "стоит", "running": "бежит", "sitting": "сидит", "jumping": "прыгает",
    "crawling": "ползёт", "flying": "летит", "parked": "стоит", "sailing": "плывёт",
}  # fmt: skip

PLACES: Final[Mapping[str, str]] = {
    "beach": "на пляже", "sea": "в море", "snow": "на снегу", "street": "на городской улице",
    "forest": "в лесу", "park": "в парке", "room": "в комнате",
}  # fmt: skip

PLACES_BELOW: Final[Mapping[str, str]] = {
    "beach": "над пляжем", "sea": "над морем", "snow": "над снегом", "street": "над улицей",
    "forest": "над лесной тропой", "park": "над парком", "room": "в комнате",
}  # fmt: skip

SKIES: Final[Mapping[str, str]] = {
    "sun": "в солнечный день", "clouds": "в пасмурный день", "rain": "под дождём",
    "snowfall": "в снегопад", "night": "ночью", "sunset": "на закате", "indoors": "",
}  # fmt: skip


def caption_ru(scene: Scene) -> str:
    """The scene in one Russian sentence: the lead, what it does, its neighbour, place and sky."""
    lead, *others = scene.figures
    parts = [_subject(lead), _deed(lead), *(_neighbour(lead, other) for other in others[:1])]
    place = (PLACES_BELOW if lead.action == "flying" else PLACES)[scene.place]
    text = " ".join(filter(None, (*parts, place, SKIES[scene.sky])))
    return f"{text[0].upper()}{text[1:]}."


def _subject(figure: Figure) -> str:
    if figure.kind not in PEOPLE:
        return _phrase(figure.kind, figure.colour, "nominative")
    garment = _phrase(GARMENTS[figure.kind], figure.colour, "prepositional")
    return f"{NOUNS[figure.kind].nominative} в {garment}"


def _deed(figure: Figure) -> str:
    carried = figure.object
    if carried is None:
        return "лежит" if figure.kind == "ball" else VERBS[figure.action or "standing"]
    if figure.action == "holding":
        return f"держит {_phrase(carried.kind, carried.colour, 'accusative')}"
    thing = _phrase(carried.kind, carried.colour, "prepositional")
    return f"плывёт в {thing}" if carried.kind == "boat" else f"едет на {thing}"


def _neighbour(figure: Figure, other: Figure) -> str:
    relation = relations(figure, other)[-1]
    preposition, case = _PREPOSITIONS[relation]
    if other.kind in PEOPLE:
        return f"{preposition} {_form(NOUNS[other.kind], case)}"
    return f"{preposition} {_phrase(other.kind, other.colour, case)}"


_PREPOSITIONS: Final[Mapping[str, tuple[str, Case]]] = {
    "next to": ("рядом с", "instrumental"),
    "left of": ("слева от", "genitive"),
    "right of": ("справа от", "genitive"),
    "under": ("под", "instrumental"),
}


def _phrase(noun: str, colour: str | None, case: Case) -> str:
    forms = NOUNS[noun]
    return " ".join(filter(None, (_adjective(colour, forms, case), _form(forms, case))))


def _form(noun: Noun, case: Case) -> str:
    form: str = getattr(noun, case)
    return form


def _adjective(colour: str | None, noun: Noun, case: Case) -> str:
    if colour is None:
        return ""
    if colour == "orange" and noun.animate:
        return "рыж" + {"nominative": "ая", "accusative": "ую"}.get(case, "ей")
    if case == "accusative" and noun.gender == "m" and noun.accusative == noun.genitive:
        case = "genitive"
    endings = SOFT_ENDINGS if colour == "blue" else HARD_ENDINGS
    return STEMS[colour] + endings[case]["mfn".index(noun.gender)]
