"""English captions: what a caption states, how it is worded, and how far it is true of a scene."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Final

from kadr.data.drawn.dice import Dice
from kadr.data.drawn.scene import Figure, Scene
from kadr.data.drawn.vocabulary import GENERAL_WORDS, KINDS, KINDS_OF, PEOPLE, SPECIFIC_WORDS

UNDER_REACH: Final = 0.06
"""How far from the tree's or the umbrella's middle one still stands under it."""


@dataclass(frozen=True, slots=True)
class Mention:
    """What a caption states about one thing; None is not stated."""

    word: str
    colour: str | None = None
    action: str | None = None
    object: "Mention | None" = None

    @property
    def facts(self) -> int:
        """How many facts are stated."""
        stated = 1 + (self.colour is not None) + (self.action is not None)
        return stated + (self.object.facts if self.object else 0)


@dataclass(frozen=True, slots=True)
class Statement:
    """What a caption states: one or two things, how they relate, place and sky."""

    mentions: tuple[Mention, ...]
    relation: str | None = None
    place: str | None = None
    sky: str | None = None

    @property
    def facts(self) -> int:
        """How many facts are stated."""
        around = (self.relation, self.place, self.sky)
        return sum(m.facts for m in self.mentions) + sum(fact is not None for fact in around)


def relevance(statement: Statement, scene: Scene) -> float:
    """The share in [0, 1] of the stated facts that hold in the scene.

    Each mention is read as the thing that makes most of the statement true. A thing of the same
    family (a cat for a dog) keeps the facts that it shares; one of another family keeps none.
    """
    around = (statement.place == scene.place) + (statement.sky == scene.sky)
    return (around + _held_by_things(statement, scene)) / statement.facts


def _held_by_things(statement: Statement, scene: Scene) -> int:
    things = scene.things
    if len(statement.mentions) == 1:
        return max(_held(statement.mentions[0], thing) for thing in things)
    first, second = statement.mentions
    alone = max(_held(mention, thing) for mention in statement.mentions for thing in things)
    pairs = (
        _held(first, one) + _held(second, other) + _related(statement, one, other)
        for one, other in permutations(things, 2)
    )
    return max(alone, *pairs, 0)


def _held(mention: Mention, thing: Figure) -> int:
    if KINDS[next(iter(KINDS_OF[mention.word]))].family != KINDS[thing.kind].family:
        return 0
    held = int(thing.kind in KINDS_OF[mention.word])
    held += mention.colour is not None and mention.colour == thing.colour
    held += mention.action is not None and mention.action == thing.action
    if mention.object and thing.object:
        held += _held(mention.object, thing.object)
    return held


def _related(statement: Statement, one: Figure, other: Figure) -> bool:
    named = zip(statement.mentions, (one, other), strict=True)
    if statement.relation is None or any(t.kind not in KINDS_OF[m.word] for m, t in named):
        return False
    return statement.relation in relations(one, other)


def relations(one: Figure, other: Figure) -> tuple[str, ...]:
    """How one thing relates to another: next to, left of, right of, under."""
    if other.kind in ("tree", "umbrella") and abs(one.x - other.x) < UNDER_REACH:
        return ("next to", "under")
    if one.x < other.x - UNDER_REACH:
        return ("next to", "left of")
    if one.x > other.x + UNDER_REACH:
        return ("next to", "right of")
    return ("next to",)


def describe(scene: Scene, dice: Dice) -> tuple[tuple[Statement, str], ...]:
    """Five statements about a scene with their wordings; every one is wholly true.

    The first names the lead precisely, so a child is named at least once.
    """
    statements = [_statement(scene, dice, full=number == 0) for number in range(5)]
    return tuple((statement, wording(statement, dice)) for statement in statements)


def _statement(scene: Scene, dice: Dice, *, full: bool) -> Statement:
    figures = scene.figures
    lead = figures[0] if full or dice.chance(0.8) else dice.pick(figures)
    others = [figure for figure in figures if figure is not lead]
    mentions: tuple[Mention, ...] = (_mention(lead, dice, full=full),)
    relation = None
    if others and dice.chance(0.6):
        other = dice.pick(others)
        mentions = (*mentions, _mention(other, dice, full=False, still=True))
        relation = dice.pick(relations(lead, other))
    alone = len(mentions) == 1 and mentions[0].facts == 1
    place = scene.place if alone or full or dice.chance(0.7) else None
    says_sky = dice.chance(0.35) and place != "room"
    return Statement(mentions, relation, place, scene.sky if says_sky else None)


def _mention(figure: Figure, dice: Dice, *, full: bool, still: bool = False) -> Mention:
    general = GENERAL_WORDS[figure.kind]
    vague = bool(general) and not full and dice.chance(0.4)
    word = dice.pick(general if vague else SPECIFIC_WORDS[figure.kind])
    colour = figure.colour if dice.chance(0.95 if full else 0.6) else None
    if still:
        return Mention(word, colour)
    carried = figure.object
    if carried:
        item = _mention(carried, dice, full=False, still=True)
        return Mention(word, colour, figure.action, item)
    return Mention(word, colour, figure.action if full or dice.chance(0.75) else None)


VERBS: Final[Mapping[str, tuple[str, ...]]] = {
    "standing": ("is standing", "stands", "standing"),
    "running": ("is running", "runs", "running"),
    "sitting": ("is sitting", "sits", "sitting"),
    "jumping": ("is jumping", "jumps up", "jumping into the air"),
    "crawling": ("is crawling", "crawls", "crawling"),
    "flying": ("is flying", "flies", "flying"),
    "parked": ("is parked", "parked"),
    "sailing": ("is sailing", "sails", "sailing"),
    "holding": ("is holding", "holds", "holding", "with"),
    "riding": ("is riding", "rides", "riding", "on"),
}
BOAT_VERBS: Final = ("is sitting in", "sails in", "sailing in", "in")

PLACE_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "beach": ("on the beach", "on a sandy beach", "at the beach"),
    "sea": ("on the sea", "on the water", "on the ocean"),
    "snow": ("in the snow", "in a snowy field", "on snowy ground"),
    "street": ("on a city street", "in the street", "in the city"),
    "forest": ("in the forest", "in the woods", "on a forest path"),
    "park": ("in a park", "on the grass", "in a grassy field"),
    "room": ("in a room", "on a wooden floor", "on the floor of a room"),
}
SKY_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "sun": ("on a sunny day", "under a blue sky", "in the sunshine"),
    "clouds": ("on a cloudy day", "under a cloudy sky"),
    "rain": ("in the rain", "on a rainy day"),
    "snowfall": ("while it is snowing", "in falling snow"),
    "night": ("at night", "in the moonlight"),
    "sunset": ("at sunset", "in the evening light"),
    "indoors": ("indoors",),
}
RELATION_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "next to": ("near", "next to", "not far from"),
    "left of": ("to the left of", "on the left of"),
    "right of": ("to the right of", "on the right of"),
    "under": ("under", "beneath"),
}


def wording(statement: Statement, dice: Dice) -> str:
    """One way to say a statement, in the manner of Flickr8k's captions."""
    lead, *others = statement.mentions
    parts = [_noun_phrase(lead, dice), _verb_phrase(lead, dice)]
    if others and statement.relation:
        parts += [dice.pick(RELATION_WORDS[statement.relation]), _noun_phrase(others[0], dice)]
    if statement.place:
        parts.append(dice.pick(PLACE_WORDS[statement.place]))
    sky = dice.pick(SKY_WORDS[statement.sky]) if statement.sky else ""
    if sky and dice.chance(0.25):
        parts = [sky, ",", *parts]
    elif sky:
        parts.append(sky)
    text = " ".join(part for part in parts if part)
    return text[0].upper() + text[1:] + (" ." if dice.chance(0.9) else "")


def _verb_phrase(mention: Mention, dice: Dice) -> str:
    if mention.action is None:
        return ""
    if mention.object is None:
        return dice.pick(VERBS[mention.action])
    in_boat = mention.object.word in SPECIFIC_WORDS["boat"]
    verb = dice.pick(BOAT_VERBS if in_boat else VERBS[mention.action])
    return f"{verb} {_noun_phrase(mention.object, dice)}"


def _noun_phrase(mention: Mention, dice: Dice) -> str:
    kinds = KINDS_OF[mention.word]
    if not kinds <= PEOPLE:
        return _with_article(" ".join(filter(None, (mention.colour, mention.word))))
    phrase = _with_article(mention.word)
    if mention.colour is None:
        return phrase
    clothes = dice.pick(("clothes", _garment(kinds)))
    article = "" if clothes == "clothes" else "a "
    worn = dice.pick(("in {}", "wearing {}")).format(f"{article}{mention.colour} {clothes}")
    return f"{phrase} {worn}".replace(" a orange", " an orange")


def _garment(kinds: frozenset[str]) -> str:
    if kinds <= {"woman", "girl"}:
        return "dress"
    return "shirt" if kinds <= {"man", "boy"} else "clothes"


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
