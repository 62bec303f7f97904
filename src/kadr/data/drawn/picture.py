"""A scene becomes a picture of 400 x 300 pixels."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, ImageChops

from kadr.data.drawn import animals, backdrops, objects
from kadr.data.drawn.canvas import OVERSAMPLING, SIZE, Point, Sheet, shadow
from kadr.data.drawn.dice import Dice
from kadr.data.drawn.people import BUILDS, Person
from kadr.data.drawn.scene import Figure, Scene
from kadr.data.drawn.vocabulary import COLOURS, PEOPLE, RGB

LEAVES: Final[tuple[RGB, ...]] = ((74, 150, 66), (98, 160, 58), (56, 128, 70))
SNOWY: Final[RGB] = (232, 240, 246)


@dataclass(frozen=True, slots=True)
class Sprite:
    """A sheet's size and who draws on it, with the figure's action."""

    width: float
    height: float
    draw: Callable[[Sheet, RGB, str], None]


def _still(draw: Callable[[Sheet, RGB], None]) -> Callable[[Sheet, RGB, str], None]:
    return lambda sheet, colour, _action: draw(sheet, colour)


SPRITES: Final[Mapping[str, Sprite]] = {
    "dog": Sprite(112, 84, animals.dog),
    "cat": Sprite(98, 76, animals.cat),
    "horse": Sprite(150, 134, animals.horse),
    "bird": Sprite(96, 74, animals.bird),
    "car": Sprite(136, 62, _still(objects.car)),
    "bicycle": Sprite(120, 66, _still(objects.bicycle)),
    "boat": Sprite(132, 134, _still(objects.boat)),
    "ball": Sprite(40, 38, _still(objects.ball)),
    "balloon": Sprite(42, 114, _still(objects.balloon)),
    "kite": Sprite(64, 112, _still(objects.kite)),
    "umbrella": Sprite(116, 122, _still(objects.umbrella)),
    "tree": Sprite(126, 180, _still(objects.tree)),
    "house": Sprite(152, 142, _still(objects.house)),
}

ZOOMS: Final[Mapping[str, float]] = {
    "dog": 0.95, "cat": 0.9, "horse": 1.1, "bird": 0.85, "car": 1.15, "tree": 1.15, "kite": 0.8,
    "ball": 1.1,
}  # fmt: skip
SEATS: Final[Mapping[str, Point]] = {"bicycle": (-13, 50), "horse": (-4, 76), "boat": (-26, 20)}
"""Where a rider's hip is on what is ridden."""

FAR: Final = frozenset({"house", "tree"})
"""Kinds that stand behind the others."""


def draw(scene: Scene, dice: Dice) -> Image.Image:
    """The scene as an RGB picture; the dice decide about what no caption ever states."""
    picture = Image.new("RGB", (SIZE[0] * OVERSAMPLING, SIZE[1] * OVERSAMPLING))
    backdrops.paint(picture, scene.place, scene.sky, dice)
    crowding = {1: 1.3, 2: 1.12, 3: 0.92}[len(scene.figures)]
    for figure in sorted(scene.figures, key=lambda one: one.kind not in FAR):
        _draw_figure(picture, figure, scene, crowding * dice.between(0.92, 1.06), dice)
    return _weathered(picture.reduce(OVERSAMPLING), scene.sky, dice)


def _draw_figure(
    picture: Image.Image, figure: Figure, scene: Scene, zoom: float, dice: Dice
) -> None:
    half = _half_width(figure) * zoom
    x = min(max(figure.x * SIZE[0], half), SIZE[0] - half)
    foot = (x, SIZE[1] - _ground_height(figure, scene, dice))
    if figure.kind in PEOPLE:
        _draw_person(picture, figure, foot, zoom, dice)
        return
    if figure.kind == "kite" or figure.action == "flying":
        foot = (foot[0], dice.between(105, 130))
    else:
        shadow(picture, foot, (SPRITES[figure.kind].width * zoom * 0.5, 8 * zoom))
    sheet = _sheet(figure, scene.place, zoom, dice)
    if dice.chance(0.5):
        sheet.mirrored()
    sheet.lay_on(picture, foot)


def _half_width(figure: Figure) -> float:
    """Half of what a figure takes of the picture's width at zoom 1, with what it rides."""
    body = figure.object if figure.action == "riding" and figure.object else figure
    sprite = SPRITES.get(body.kind)
    return sprite.width / 2 * ZOOMS.get(body.kind, 1.0) if sprite else 45.0


def _ground_height(figure: Figure, scene: Scene, dice: Dice) -> float:
    if figure.kind in FAR:
        return dice.between(92, 104)
    if scene.place == "sea":
        return dice.between(50, 84)
    return dice.between(26, 52)


def _sheet(figure: Figure, place: str, zoom: float, dice: Dice) -> Sheet:
    sprite = SPRITES[figure.kind]
    sheet = Sheet(sprite.width, sprite.height, zoom * ZOOMS.get(figure.kind, 1.0))
    if figure.kind == "tree":
        wintry = place == "snow"
        (objects.fir if wintry else objects.tree)(sheet, SNOWY if wintry else dice.pick(LEAVES))
    else:
        sprite.draw(sheet, COLOURS[figure.colour or "grey"], figure.action or "")
    return sheet


def _draw_person(
    picture: Image.Image, figure: Figure, foot: Point, zoom: float, dice: Dice
) -> None:
    aboard = figure.object is not None and figure.object.kind == "boat"
    pose = "sailing" if aboard else figure.action or "standing"
    person = Person(figure.kind, COLOURS[figure.colour or "grey"], pose, dice)
    if figure.action == "riding" and figure.object:
        _draw_rider(picture, person, figure.object, foot, zoom)
        return
    sheet = Sheet(150, 196, zoom)
    shadow(picture, foot, (BUILDS[figure.kind].body * 0.35 * zoom, 6 * zoom))
    person.draw(sheet)
    if not figure.object and dice.chance(0.5):
        sheet.mirrored()
    lift = 22 * zoom if figure.action == "jumping" else 0
    sheet.lay_on(picture, (foot[0], foot[1] - lift))
    if figure.object:
        _put_in_hand(picture, person, figure.object, foot, zoom)


def _draw_rider(
    picture: Image.Image, person: Person, mount: Figure, foot: Point, zoom: float
) -> None:
    sprite, (seat_x, seat_y) = SPRITES[mount.kind], SEATS[mount.kind]
    large = zoom * {"horse": 1.05, "bicycle": 1.1, "boat": 1.25}[mount.kind]
    if mount.kind != "boat":
        shadow(picture, foot, (sprite.width * large * 0.48, 8 * large))
    beneath = Sheet(sprite.width, sprite.height, large)
    sprite.draw(beneath, COLOURS[mount.colour or "grey"], "riding")
    hip_x, hip_y = person.joint(person.pose.hip)
    rider = Sheet(150, 196, large)
    person.draw(rider)
    seat = (foot[0] + (seat_x - hip_x) * large, foot[1] - (seat_y - hip_y) * large)
    beneath.lay_on(picture, foot)
    rider.lay_on(picture, seat)
    if mount.kind == "boat":
        front = Sheet(sprite.width, sprite.height, large)
        objects.hull(front, COLOURS[mount.colour or "grey"])
        front.lay_on(picture, foot)
        _waterline(picture, foot, large)


def _waterline(picture: Image.Image, foot: Point, zoom: float) -> None:
    water = Sheet(140, 12, zoom)
    water.blob([(-64, 4), (-20, 7), (20, 7), (66, 4), (30, 0), (-30, 0)], (70, 130, 176))
    water.lay_on(picture, (foot[0], foot[1] + 3))


def _put_in_hand(
    picture: Image.Image, person: Person, thing: Figure, foot: Point, zoom: float
) -> None:
    hand_x, hand_y = person.joint(person.pose.hands[1])
    sprite, small = SPRITES[thing.kind], 0.9 if thing.kind == "umbrella" else 1.0
    held = Sheet(sprite.width, sprite.height, zoom * small)
    sprite.draw(held, COLOURS[thing.colour or "grey"], "")
    low = 14 if thing.kind == "ball" else 4
    held.lay_on(picture, (foot[0] + hand_x * zoom, foot[1] - (hand_y - low) * zoom))


def _weathered(picture: Image.Image, sky: str, dice: Dice) -> Image.Image:
    """Grain, and over it what the sky does to the whole picture."""
    tint = {"night": (128, 136, 190), "sunset": (255, 214, 186), "rain": (196, 204, 214),
            "clouds": (228, 231, 236)}.get(sky)  # fmt: skip
    if tint:
        picture = ImageChops.multiply(picture, Image.new("RGB", picture.size, tint))
    pixels = np.asarray(picture, dtype=np.int16) + _grain(dice)
    picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    if sky in ("rain", "snowfall"):
        _precipitation(picture, sky, dice)
    return picture


def _grain(dice: Dice) -> "np.ndarray[tuple[int, ...], np.dtype[np.int16]]":
    """Coarse unevenness and fine noise: int16 [height, width, 1]."""
    coarse = dice.rng.integers(96, 160, (20, 26), dtype=np.uint8)
    smooth = Image.fromarray(coarse).resize(SIZE, Image.Resampling.BICUBIC)
    fine = dice.rng.integers(-4, 5, (SIZE[1], SIZE[0]), dtype=np.int16)
    grain: np.ndarray[tuple[int, ...], np.dtype[np.int16]] = (
        (np.asarray(smooth, dtype=np.int16) - 128) // 8 + fine
    )[:, :, None]
    return grain


def _precipitation(picture: Image.Image, sky: str, dice: Dice) -> None:
    sheet = Sheet(*SIZE)
    for _ in range(150):
        x, y = dice.between(-205, 205), dice.between(0, 300)
        if sky == "rain":
            sheet.stroke([(x, y), (x - 4, y - 15)], 1, (206, 218, 232))
        else:
            size = dice.between(1.2, 2.8)
            sheet.oval((x, y), (size, size), (252, 253, 255))
    drops = sheet.image.reduce(OVERSAMPLING)
    picture.paste(drops, (0, 0), drops)
