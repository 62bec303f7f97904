"""Where scenes play: skies and grounds, painted over the whole picture before the figures."""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from PIL import Image

from kadr.data.drawn.canvas import OVERSAMPLING, SIZE, Point, Sheet, lighter
from kadr.data.drawn.dice import Dice
from kadr.data.drawn.objects import fir, tree
from kadr.data.drawn.vocabulary import RGB

HORIZON: Final = 150
"""Height of the horizon over the lower edge of the picture."""

SKY_COLOURS: Final[Mapping[str, tuple[RGB, RGB]]] = {
    "sun": ((70, 150, 225), (196, 226, 246)),
    "clouds": ((128, 148, 170), (206, 214, 222)),
    "rain": ((84, 94, 110), (150, 158, 168)),
    "snowfall": ((150, 162, 180), (222, 228, 236)),
    "night": ((22, 28, 74), (74, 88, 150)),
    "sunset": ((92, 64, 128), (252, 164, 84)),
    "indoors": ((226, 208, 178), (206, 184, 150)),
}

Painter = Callable[[Image.Image, Dice], None]


def paint(picture: Image.Image, place: str, sky: str, dice: Dice) -> None:
    """Fills an oversampled picture with the sky and the ground of a place."""
    _gradient(picture, 0, SIZE[1], SKY_COLOURS[sky])
    if sky != "indoors":
        _sky(picture, sky, dice)
    GROUNDS[place](picture, dice)


def _gradient(picture: Image.Image, top: float, bottom: float, colours: tuple[RGB, RGB]) -> None:
    """Blends two colours from `top` to `bottom`, both in pixels below the upper edge."""
    share = np.linspace(0.0, 1.0, max(2, round(bottom - top)))[:, None, None]
    upper, lower = (np.array(colour, dtype=np.float64) for colour in colours)
    column = (upper + (lower - upper) * share).round().astype(np.uint8)
    size = (SIZE[0] * OVERSAMPLING, round((bottom - top) * OVERSAMPLING))
    band = Image.fromarray(column).resize(size, Image.Resampling.NEAREST)
    picture.paste(band, (0, round(top * OVERSAMPLING)))


def _sky(picture: Image.Image, sky: str, dice: Dice) -> None:
    sheet, x = Sheet.over(picture), dice.between(-160, 160)
    if sky == "sun":
        _sun(sheet, (x, dice.between(240, 270)))
    elif sky == "sunset":
        sheet.oval((x, HORIZON + 22), (34, 34), (255, 206, 120))
        sheet.oval((x, HORIZON + 22), (27, 27), (255, 236, 170))
    elif sky == "night":
        _stars(sheet, dice)
        sheet.oval((x, 256), (20, 20), (244, 240, 212))
        sheet.oval((x + 8, 261), (17, 17), (16, 21, 54))
    if sky in ("sun", "clouds", "rain"):
        tone: RGB = {"sun": (252, 253, 255), "clouds": (236, 239, 243)}.get(sky, (112, 120, 134))
        for _ in range(2 if sky == "sun" else 6):
            _cloud(sheet, (dice.between(-200, 200), dice.between(215, 285)), tone, dice)


def _sun(sheet: Sheet, centre: Point) -> None:
    for turn in np.linspace(0, 2 * np.pi, 12, endpoint=False):
        x, y = float(np.cos(turn)), float(np.sin(turn))
        inner = (centre[0] + 25 * x, centre[1] + 25 * y)
        sheet.stroke([inner, (centre[0] + 35 * x, centre[1] + 35 * y)], 3, (255, 224, 110))
    sheet.oval(centre, (20, 20), (255, 220, 84))


def _cloud(sheet: Sheet, centre: Point, tone: RGB, dice: Dice) -> None:
    x, y = centre
    size = dice.between(0.8, 1.4)
    for dx, dy, r in ((-26, 0, 13), (-9, 8, 18), (11, 6, 16), (28, 0, 12), (0, -2, 16)):
        sheet.oval((x + dx * size, y + dy * size), (r * size * 1.2, r * size * 0.8), tone)


def _stars(sheet: Sheet, dice: Dice) -> None:
    for _ in range(45):
        radius = dice.between(0.5, 1.5)
        place = (dice.between(-200, 200), dice.between(HORIZON, 298))
        sheet.oval(place, (radius, radius), (235, 236, 250))


def _ground(picture: Image.Image, colours: tuple[RGB, RGB], top: float = HORIZON) -> None:
    _gradient(picture, SIZE[1] - top, SIZE[1], colours)


def _water(sheet: Sheet, low: float, high: float, dice: Dice) -> None:
    """Waves between two heights, larger in front."""
    for _ in range(46):
        y = dice.between(low, high)
        near = 0.35 + (high - y) / (high - low + 1)
        x, half = dice.between(-205, 205), 11 * near
        crest = [(x - half, y), (x - half / 2, y + 3 * near), (x, y), (x + half / 2, y + 3 * near),
                 (x + half, y)]  # fmt: skip
        sheet.stroke(crest, 1.5 * near, (190, 222, 238))


def _beach(picture: Image.Image, dice: Dice) -> None:
    _ground(picture, ((28, 108, 170), (84, 180, 206)))
    _ground(picture, ((240, 218, 166), (216, 184, 122)), top=112)
    sheet = Sheet.over(picture)
    _water(sheet, 122, HORIZON - 3, dice)
    shore = [(x, 114 + 4 * np.sin(x / 31 + 1)) for x in range(-210, 211, 10)]
    sheet.polygon([*shore, (210, 104), *[(x, y - 10) for x, y in reversed(shore)]], (246, 250, 250))
    for _ in range(60):
        place = (dice.between(-200, 200), dice.between(2, 98))
        sheet.oval(place, (1.6, 1.0), (190, 156, 98))
    _palm(sheet, dice.pick((-178.0, 178.0)))


def _palm(sheet: Sheet, x: float) -> None:
    lean = -x / 12
    sheet.stroke([(x, 84), (x + lean * 0.3, 140), (x + lean, 200)], 8, (138, 98, 60))
    for dx, dy in ((-46, 4), (-38, 26), (-10, 36), (24, 32), (42, 12), (40, -12), (-38, -14)):
        top = (x + lean, 200.0)
        middle = (top[0] + dx * 0.55, top[1] + dy * 0.6 + 12)
        sheet.blob([top, middle, (top[0] + dx, top[1] + dy), (middle[0], middle[1] - 9)],
                   (48, 132, 72))  # fmt: skip


def _sea(picture: Image.Image, dice: Dice) -> None:
    _ground(picture, ((24, 92, 150), (14, 58, 112)))
    sheet = Sheet.over(picture)
    _water(sheet, 4, HORIZON - 4, dice)


def _snow(picture: Image.Image, dice: Dice) -> None:
    sheet = Sheet.over(picture)
    for x, height in ((-140, 88), (-30, 118), (90, 96), (180, 74)):
        peak = x + dice.between(-18, 18)
        sheet.polygon([(x - 110, HORIZON - 8), (peak, HORIZON + height), (x + 110, HORIZON - 8)],
                      (124, 142, 172))  # fmt: skip
        sheet.polygon([(peak - 34, HORIZON + height * 0.68), (peak, HORIZON + height),
                       (peak + 34, HORIZON + height * 0.68), (peak + 8, HORIZON + height * 0.76),
                       (peak - 12, HORIZON + height * 0.7)], (244, 248, 252))  # fmt: skip
    _ground(picture, ((226, 234, 246), (250, 252, 255)))
    _woods(picture, dice, [fir], 7, (236, 242, 248))
    drifts = Sheet.over(picture)
    for _ in range(9):
        place = (dice.between(-200, 200), dice.between(4, 120))
        drifts.oval(place, (dice.between(30, 70), 4), (214, 225, 242))


def _street(picture: Image.Image, dice: Dice) -> None:
    sheet = Sheet.over(picture)
    left = -205.0
    while left < 205:
        right = left + dice.between(56, 96)
        _building(sheet, (left, right), dice)
        left = right + 2
    _ground(picture, ((178, 176, 172), (164, 160, 156)), top=112)
    _ground(picture, ((92, 94, 100), (70, 72, 78)), top=78)
    marks = Sheet.over(picture)
    marks.box((-200, 75), (200, 80), (206, 204, 198))
    for x in range(-190, 200, 76):
        marks.polygon([(x, 22), (x + 40, 22), (x + 44, 28), (x + 6, 28)], (236, 234, 224))


def _building(sheet: Sheet, sides: Point, dice: Dice) -> None:
    walls: RGB = dice.pick(((176, 112, 92), (198, 178, 146), (140, 146, 158), (170, 140, 120)))
    (left, right), top = sides, dice.between(205, 275)
    sheet.box((left, 100), (right, top), walls)
    sheet.box((left - 1, top - 4), (right + 1, top), lighter(walls, -0.3))
    columns = np.linspace(left, right, 5)[1:-1]
    for y in range(128, int(top) - 12, 24):
        for x in columns:
            lit = dice.chance(0.3)
            pane: RGB = (250, 222, 140) if lit else (92, 116, 140)
            sheet.box((float(x) - 5, y), (float(x) + 5, y + 14), pane)


def _woods(
    picture: Image.Image,
    dice: Dice,
    kinds: list[Callable[[Sheet, RGB], None]],
    count: int,
    leaves: RGB,
) -> None:
    """A row of small trees on the horizon."""
    for step in range(count):
        sheet = Sheet(124, 186, zoom=dice.between(0.4, 0.62))
        dice.pick(kinds)(sheet, leaves)
        x = (step + dice.between(0.2, 0.8)) * SIZE[0] / count
        sheet.lay_on(picture, (x, SIZE[1] - HORIZON + 12))


def _forest(picture: Image.Image, dice: Dice) -> None:
    _gradient(picture, 0, SIZE[1] - HORIZON, ((150, 196, 170), (196, 220, 160)))
    _ground(picture, ((112, 142, 66), (88, 110, 50)))
    for row, (count, zoom, foot) in enumerate(((7, 0.9, 10), (5, 1.35, 34))):
        for step in range(count):
            sheet = Sheet(124, 186, zoom=zoom * dice.between(0.85, 1.1))
            leaves: RGB = dice.pick(((62, 128, 62), (88, 146, 66), (48, 108, 66)))
            dice.pick((tree, fir))(sheet, lighter(leaves, -0.15 + 0.1 * row))
            x = (step + dice.between(0.2, 0.8)) * SIZE[0] / count
            sheet.lay_on(picture, (x, SIZE[1] - HORIZON + foot))
    path = Sheet.over(picture)
    path.blob([(-40, 112), (20, 112), (40, 60), (110, -20), (-90, -20), (-30, 50)], (168, 138, 92))
    _tufts(path, dice, (58, 92, 40), 110)


def _park(picture: Image.Image, dice: Dice) -> None:
    hills = Sheet.over(picture)
    for x, colour in ((-150.0, (112, 160, 96)), (60, (98, 150, 88)), (210, (120, 168, 100))):
        hills.oval((x + dice.between(-20, 20), HORIZON - 22), (150, 56), colour)
    _ground(picture, ((126, 186, 82), (72, 142, 56)))
    sheet = Sheet.over(picture)
    _tufts(sheet, dice, (54, 118, 46), 142)
    for _ in range(26):
        x, y = dice.between(-200, 200), dice.between(4, 120)
        petals: RGB = dice.pick(((250, 240, 240), (250, 214, 90), (240, 150, 170)))
        sheet.oval((x, y), (2.2, 2.2), petals)
        sheet.oval((x, y), (0.9, 0.9), (240, 180, 40))


def _tufts(sheet: Sheet, dice: Dice, colour: RGB, top: float) -> None:
    for _ in range(70):
        x, y = dice.between(-200, 200), dice.between(2, top)
        for lean in (-3, 0, 3):
            sheet.stroke([(x, y), (x + lean, y + 6)], 1, colour)


def _room(picture: Image.Image, dice: Dice) -> None:
    walls: RGB = dice.pick(((232, 214, 184), (196, 212, 206), (222, 200, 204), (208, 210, 224)))
    _gradient(picture, 0, SIZE[1] - 110, (walls, lighter(walls, -0.12)))
    _ground(picture, ((176, 128, 82), (146, 98, 58)), top=110)
    sheet = Sheet.over(picture)
    for y in (14, 36, 58, 78, 95):
        sheet.stroke([(-205, y), (205, y)], 1, (122, 82, 48))
    sheet.box((-205, 106), (205, 114), (246, 242, 234))
    sheet.blob([(-120, 40), (0, 64), (120, 40), (0, 12)], dice.pick(((150, 60, 64), (70, 92, 130))))
    _window(sheet, dice.pick((-110.0, 100.0)))


def _window(sheet: Sheet, x: float) -> None:
    sheet.box((x - 46, 150), (x + 46, 262), (250, 248, 242))
    sheet.box((x - 41, 155), (x + 41, 257), (170, 212, 238))
    sheet.stroke([(x, 152), (x, 260)], 4, (250, 248, 242))
    sheet.stroke([(x - 44, 206), (x + 44, 206)], 4, (250, 248, 242))
    for side in (-1, 1):
        sheet.polygon([(x + side * 58, 272), (x + side * 20, 272), (x + side * 38, 200),
                       (x + side * 58, 140)], (188, 88, 80))  # fmt: skip
    picture_at = -x
    sheet.box((picture_at - 30, 190), (picture_at + 30, 240), (122, 84, 50))
    sheet.box((picture_at - 25, 195), (picture_at + 25, 235), (222, 226, 206))
    sheet.polygon([(picture_at - 22, 197), (picture_at - 4, 225), (picture_at + 16, 197)],
                  (110, 140, 110))  # fmt: skip


GROUNDS: Final[Mapping[str, Painter]] = {
    "beach": _beach,
    "sea": _sea,
    "snow": _snow,
    "street": _street,
    "forest": _forest,
    "park": _park,
    "room": _room,
}
