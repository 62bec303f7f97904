"""A scene: which figures do what, where, under which sky. The ground truth of a drawn picture."""

from dataclasses import dataclass, replace

from kadr.data.drawn.dice import Dice
from kadr.data.drawn.vocabulary import ADULTS, CHILDREN, HELD, KINDS, PEOPLE, PLACES


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing of a scene. `x` is the place across the picture in [0, 1], nan where unknown.

    `action` is None for what does nothing; `object` is what the figure holds or rides.
    """

    kind: str
    colour: str | None = None
    action: str | None = None
    x: float = float("nan")
    object: "Figure | None" = None


@dataclass(frozen=True, slots=True)
class Scene:
    """One to three figures, the place, and the sky ("indoors" in a room)."""

    place: str
    sky: str
    figures: tuple[Figure, ...]

    @property
    def shows_child(self) -> bool:
        """Whether a boy, a girl or a baby is in the picture."""
        return any(figure.kind in CHILDREN for figure in self.figures)

    @property
    def things(self) -> tuple[Figure, ...]:
        """Everything that can be named: figures, what they hold or ride, and the backdrop."""
        objects = (figure.object for figure in self.figures if figure.object)
        return (*self.figures, *objects, *(Figure(kind) for kind in PLACES[self.place].backdrop))


def compose(dice: Dice, *, with_child: bool) -> Scene:
    """Invents a scene; it has a child, listed first, exactly when `with_child` is true."""
    place = dice.pick(tuple(PLACES))
    sky = dice.pick(PLACES[place].skies)
    lead = _lead(dice, place, with_child=with_child)
    others = _others(dice, place, lead)
    return Scene(place, sky, _arranged(dice, (lead, *others)))


def _lead(dice: Dice, place: str, *, with_child: bool) -> Figure:
    if with_child:
        return _figure(dice, dice.pick(sorted(CHILDREN)), place)
    if place == "sea" and dice.chance(0.5):
        return _figure(dice, "boat", place)
    if place == "sea" or dice.chance(0.5):
        return _figure(dice, dice.pick(ADULTS), place)
    return _figure(dice, dice.pick(_cast_without_people(place)), place)


def _cast_without_people(place: str) -> tuple[str, ...]:
    return tuple(kind for kind in PLACES[place].cast if kind not in PEOPLE)


def _others(dice: Dice, place: str, lead: Figure) -> tuple[Figure, ...]:
    taken = {lead.kind, lead.object.kind if lead.object else ""}
    cast = [kind for kind in PLACES[place].cast if kind not in taken]
    count = dice.pick((0, 1, 1, 1, 2)) if place != "sea" else dice.pick((0, 0, 1))
    return tuple(_figure(dice, kind, place, busy=False) for kind in dice.sample(cast, count))


def _figure(dice: Dice, kind: str, place: str, *, busy: bool = True) -> Figure:
    colours, actions = KINDS[kind].colours, KINDS[kind].actions
    figure = Figure(kind, dice.pick(colours) if colours else None)
    if kind in PEOPLE and busy:
        figure = _with_object(dice, figure, place)
    if figure.action is None and actions:
        figure = replace(figure, action=dice.pick(actions))
    return figure


def _with_object(dice: Dice, figure: Figure, place: str) -> Figure:
    rides = PLACES[place].rides
    may_ride = rides and figure.kind != "baby"
    if place == "sea" or (may_ride and dice.chance(0.25)):
        return replace(figure, action="riding", object=_bare(dice, dice.pick(rides)))
    if dice.chance(0.35):
        held = ("ball", "balloon") if figure.kind == "baby" else HELD
        return replace(figure, action="holding", object=_bare(dice, dice.pick(held)))
    return figure


def _bare(dice: Dice, kind: str) -> Figure:
    colours = KINDS[kind].colours
    return Figure(kind, dice.pick(colours) if colours else None)


def _arranged(dice: Dice, figures: tuple[Figure, ...]) -> tuple[Figure, ...]:
    """Spreads the figures across the picture; sometimes somebody is under the tree."""
    slots = {1: (0.5,), 2: (0.27, 0.73), 3: (0.17, 0.5, 0.83)}[len(figures)]
    places = [x + dice.between(-0.04, 0.04) for x in dice.sample(slots, len(slots))]
    shade = next((x for x, f in zip(places, figures, strict=True) if f.kind == "tree"), None)
    lead = figures[0]
    can_hide = lead.kind in PEOPLE | {"dog", "cat"} and lead.object is None
    if shade is not None and can_hide and dice.chance(0.6):
        places[0] = shade
    return tuple(_placed(figure, x) for figure, x in zip(figures, places, strict=True))


def _placed(figure: Figure, x: float) -> Figure:
    carried = replace(figure.object, x=x) if figure.object else None
    return replace(figure, x=x, object=carried)
