"""What can be drawn and said: kinds of things, the words for them, places and skies."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

RGB = tuple[int, int, int]

COLOURS: Final[Mapping[str, RGB]] = {
    "red": (205, 45, 42),
    "blue": (45, 92, 190),
    "yellow": (242, 200, 48),
    "green": (58, 145, 70),
    "white": (240, 240, 236),
    "black": (42, 42, 48),
    "brown": (128, 82, 48),
    "grey": (140, 143, 150),
    "orange": (230, 130, 45),
    "pink": (236, 130, 165),
    "purple": (122, 70, 160),
}

PAINT = ("red", "blue", "yellow", "green", "white", "black")
TOY_PAINT = ("red", "blue", "yellow", "green", "orange", "pink", "purple")
CLOTHES_PAINT = ("red", "blue", "yellow", "green", "white", "black", "orange", "pink", "purple")


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of thing: its family, the colours and the actions that it may have."""

    family: str
    colours: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()


_ADULT = Kind("person", CLOTHES_PAINT, ("standing", "running", "sitting", "jumping"))

KINDS: Final[Mapping[str, Kind]] = {
    "man": _ADULT,
    "woman": _ADULT,
    "boy": _ADULT,
    "girl": _ADULT,
    "baby": Kind("person", CLOTHES_PAINT, ("sitting", "crawling")),
    "dog": Kind(
        "animal", ("brown", "black", "white", "orange"), ("standing", "running", "sitting")
    ),
    "cat": Kind("animal", ("orange", "black", "white", "grey"), ("standing", "sitting")),
    "horse": Kind("animal", ("brown", "black", "white"), ("standing", "running")),
    "bird": Kind("animal", ("red", "blue", "yellow", "white", "black"), ("flying", "standing")),
    "car": Kind("vehicle", PAINT, ("parked",)),
    "bicycle": Kind("vehicle", PAINT),
    "boat": Kind("vehicle", PAINT, ("sailing",)),
    "ball": Kind("toy", TOY_PAINT),
    "balloon": Kind("toy", TOY_PAINT),
    "kite": Kind("toy", TOY_PAINT, ("flying",)),
    "umbrella": Kind("umbrella", TOY_PAINT),
    "tree": Kind("plant"),
    "house": Kind("building", ("red", "blue", "yellow", "white")),
}

CHILDREN: Final = frozenset({"boy", "girl", "baby"})
ADULTS: Final = ("man", "woman")
PEOPLE: Final = CHILDREN | frozenset(ADULTS)

KINDS_OF: Final[Mapping[str, frozenset[str]]] = {
    **{kind: frozenset({kind}) for kind in KINDS},
    "guy": frozenset({"man"}),
    "lady": frozenset({"woman"}),
    "young boy": frozenset({"boy"}),
    "little boy": frozenset({"boy"}),
    "young girl": frozenset({"girl"}),
    "little girl": frozenset({"girl"}),
    "toddler": frozenset({"baby"}),
    "child": CHILDREN,
    "kid": CHILDREN,
    "person": PEOPLE,
    "bike": frozenset({"bicycle"}),
    "sailboat": frozenset({"boat"}),
    "cottage": frozenset({"house"}),
}
"""The kinds that a word is true of."""

SPECIFIC_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    kind: tuple(word for word, kinds in KINDS_OF.items() if kinds == {kind}) for kind in KINDS
}
"""The words that are true of one kind alone."""

GENERAL_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    kind: tuple(word for word, kinds in KINDS_OF.items() if kind in kinds and len(kinds) > 1)
    for kind in KINDS
}
"""The words that are true of this kind and of others."""

CHILD_WORDS: Final = frozenset(word for word, kinds in KINDS_OF.items() if kinds <= CHILDREN)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a scene plays: who may be there, under which skies, and what stands there anyway."""

    cast: tuple[str, ...]
    skies: tuple[str, ...]
    rides: tuple[str, ...] = ()
    backdrop: tuple[str, ...] = ()


_OPEN_SKIES = ("sun", "sun", "clouds", "rain", "night", "sunset")

PLACES: Final[Mapping[str, Place]] = {
    "beach": Place(
        ("man", "woman", "dog", "horse", "ball", "umbrella", "kite", "bird"),
        _OPEN_SKIES,
        ("horse", "bicycle"),
    ),
    "sea": Place(("boat", "bird", "kite"), ("sun", "clouds", "night", "sunset"), ("boat",)),
    "snow": Place(
        ("man", "woman", "dog", "horse", "house", "tree", "car", "bird"),
        ("sun", "clouds", "snowfall", "night"),
        ("horse",),
    ),
    "street": Place(
        ("man", "woman", "dog", "cat", "car", "bicycle", "umbrella", "tree"),
        _OPEN_SKIES,
        ("bicycle",),
        ("house",),
    ),
    "forest": Place(
        ("man", "woman", "dog", "horse", "bicycle", "bird", "cat"),
        ("sun", "clouds", "rain"),
        ("horse", "bicycle"),
        ("tree",),
    ),
    "park": Place(
        ("man", "woman", "dog", "cat", "horse", "ball", "kite", "tree", "house", "bicycle"),
        _OPEN_SKIES,
        ("horse", "bicycle"),
    ),
    "room": Place(("man", "woman", "cat", "dog", "ball", "umbrella"), ("indoors",)),
}

HELD: Final = ("ball", "balloon", "umbrella")
