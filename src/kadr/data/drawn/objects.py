"""How inanimate things are drawn. Each draws onto a sheet whose origin is on the ground."""

import math

from kadr.data.drawn.canvas import Sheet, lighter
from kadr.data.drawn.vocabulary import RGB

TYRE: RGB = (38, 38, 42)
STEEL: RGB = (188, 192, 200)
GLASS: RGB = (176, 214, 232)
WOOD: RGB = (112, 76, 48)


def car(sheet: Sheet, paint: RGB) -> None:
    """A saloon car from the side, about 130 wide."""
    dark = lighter(paint, -0.35)
    sheet.blob(
        [(-62, 16), (-63, 30), (-50, 35), (-34, 38), (-20, 54), (4, 57), (22, 54), (38, 37),
         (56, 34), (63, 28), (63, 15), (30, 13), (-30, 13)],
        paint,
    )  # fmt: skip
    sheet.polygon([(-29, 38), (-17, 51), (-1, 53), (-1, 38)], GLASS)
    sheet.polygon([(4, 38), (4, 53), (19, 51), (32, 38)], GLASS)
    sheet.polygon([(-12, 38), (-5, 52), (-1, 53), (-8, 38)], lighter(GLASS, 0.5))
    sheet.stroke([(-58, 19), (60, 19)], 3, dark)
    sheet.stroke([(1.5, 20), (1.5, 37)], 1.2, dark)
    sheet.stroke([(7, 32), (13, 32)], 2, dark)
    sheet.oval((60, 28), (4, 4), (255, 244, 190))
    sheet.oval((-61, 28), (3, 4), (150, 20, 20))
    for x in (-36, 37):
        sheet.oval((x, 14), (16, 16), dark)
        sheet.oval((x, 13), (13, 13), TYRE)
        sheet.oval((x, 13), (7, 7), STEEL)
        sheet.oval((x, 13), (2.5, 2.5), TYRE)


def bicycle(sheet: Sheet, paint: RGB) -> None:
    """A bicycle from the side, about 110 wide; the saddle is at (-17, 52)."""
    for x in (-34, 34):
        sheet.ring((x, 22), 22, 3.6, TYRE)
        sheet.ring((x, 22), 18.6, 1.2, STEEL)
        for turn in range(6):
            dx, dy = 18 * math.cos(turn * math.pi / 6), 18 * math.sin(turn * math.pi / 6)
            sheet.stroke([(x - dx, 22 - dy), (x + dx, 22 + dy)], 0.6, STEEL)
    crank, seat, head, fork = (-4, 20), (-14, 45), (22, 47), (34, 22)
    for line in ([crank, seat], [crank, head], [(-12, 42), head], [(-34, 22), crank],
                 [(-34, 22), (-13, 42)], [fork, head, (20, 56)]):  # fmt: skip
        sheet.stroke(line, 3.4, paint)
    sheet.stroke([(-14, 44), (-17, 51)], 2.2, STEEL)
    sheet.stroke([(-25, 52), (-11, 52)], 4.5, TYRE)
    sheet.stroke([(20, 56), (29, 59), (31, 54)], 2.8, TYRE)
    sheet.ring(crank, 6, 2, STEEL)
    sheet.stroke([(-9, 12), (1, 28)], 2, TYRE)


def boat(sheet: Sheet, paint: RGB) -> None:
    """A sailing boat, about 120 wide and 130 high, hull in the given colour."""
    sheet.stroke([(4, 18), (4, 128)], 3, WOOD)
    sheet.blob([(8, 122), (26, 88), (46, 40), (30, 34), (8, 33), (7, 80)], (246, 243, 232))
    sheet.blob([(0, 112), (-16, 74), (-36, 38), (-20, 34), (0, 34), (1, 70)], (228, 224, 212))
    sheet.polygon([(4, 128), (4, 120), (20, 124)], paint)
    hull(sheet, paint)


def hull(sheet: Sheet, paint: RGB) -> None:
    """The boat's body alone, so that people can be put behind it."""
    sheet.polygon([(-58, 28), (62, 28), (42, 4), (-42, 4)], paint)
    sheet.polygon([(-58, 28), (62, 28), (59, 23), (-55, 23)], (246, 246, 240))
    sheet.polygon([(-46, 9), (46, 9), (42, 4), (-42, 4)], lighter(paint, -0.4))


def tree(sheet: Sheet, leaves: RGB) -> None:
    """A leafy tree, about 120 wide and 175 high."""
    sheet.polygon([(-9, 0), (9, 0), (6, 80), (-6, 80)], WOOD)
    sheet.stroke([(0, 55), (-22, 88)], 6, WOOD)
    sheet.stroke([(1, 60), (24, 92)], 5, WOOD)
    sheet.stroke([(3, 6), (3, 62)], 2, lighter(WOOD, -0.25))
    for x, y, r in ((-32, 98, 25), (33, 100, 26), (0, 92, 26), (-22, 130, 30), (24, 132, 30),
                    (0, 150, 26)):  # fmt: skip
        sheet.oval((x, y), (r, r * 0.92), lighter(leaves, -0.2))
    for x, y, r in ((-34, 104, 17), (30, 108, 18), (-24, 136, 21), (20, 138, 21), (-3, 154, 17)):
        sheet.oval((x, y), (r, r * 0.85), leaves)
    for x, y in ((-38, 112), (-12, 118), (16, 116), (34, 120), (-26, 146), (8, 152), (20, 144)):
        sheet.oval((x, y), (7, 5), lighter(leaves, 0.18))


def fir(sheet: Sheet, leaves: RGB) -> None:
    """A fir tree, about 100 wide and 175 high; a pale colour looks like snow on it."""
    sheet.box((-6, 0), (6, 26), WOOD)
    for level, half in ((20, 48), (58, 40), (94, 31), (126, 21)):
        top = level + 56
        sheet.polygon([(-half, level), (half, level), (0, top)], (38, 92, 62))
        sheet.polygon([(-half * 0.42, level + 28), (half * 0.42, level + 28), (0, top)], leaves)
        for tooth in range(-2, 3):
            x = tooth * half * 0.4
            sheet.polygon([(x - 9, level + 1), (x + 9, level + 1), (x, level - 7)], (30, 78, 54))


def house(sheet: Sheet, walls: RGB) -> None:
    """A cottage with a gable roof, about 150 wide and 140 high."""
    roof, frame = (132, 62, 48), (250, 250, 246)
    sheet.box((34, 100), (48, 138), (120, 70, 58))
    sheet.box((-60, 0), (60, 80), walls)
    for y in range(10, 80, 12):
        sheet.stroke([(-60, y), (60, y)], 0.7, lighter(walls, -0.15))
    sheet.polygon([(-74, 76), (74, 76), (40, 128), (-40, 128)], roof)
    for y in (86, 97, 108, 119):
        sheet.stroke([(-66 + (y - 80) * 0.6, y), (66 - (y - 80) * 0.6, y)], 1, lighter(roof, -0.3))
    sheet.box((-12, 0), (12, 46), frame)
    sheet.box((-10, 0), (10, 44), WOOD)
    sheet.oval((6, 22), (1.6, 1.6), (230, 200, 90))
    for x in (-38, 38):
        sheet.box((x - 14, 28), (x + 14, 58), frame)
        sheet.box((x - 12, 30), (x + 12, 56), GLASS)
        sheet.stroke([(x, 30), (x, 56)], 1.6, frame)
        sheet.stroke([(x - 12, 43), (x + 12, 43)], 1.6, frame)


def ball(sheet: Sheet, paint: RGB) -> None:
    """A beach ball, 36 across."""
    sheet.oval((0, 18), (18, 18), paint)
    sheet.blob([(0, 36), (-7, 27), (-8, 18), (-6, 8), (0, 0), (6, 8), (8, 18), (7, 27)],
               (248, 246, 240))  # fmt: skip
    sheet.stroke([(-17, 20), (-9, 17)], 1, lighter(paint, -0.3))
    sheet.stroke([(9, 17), (17, 20)], 1, lighter(paint, -0.3))
    sheet.oval((-8, 27), (4, 3), lighter(paint, 0.6))


def balloon(sheet: Sheet, paint: RGB) -> None:
    """A balloon on a string, about 36 wide and 110 high; the string ends at the origin."""
    sheet.stroke([(0, 0), (2, 25), (-1, 50), (0, 66)], 1, (90, 90, 96))
    sheet.polygon([(-4, 64), (4, 64), (0, 70)], lighter(paint, -0.2))
    sheet.blob([(0, 67), (-14, 78), (-18, 92), (-12, 106), (0, 111), (12, 106), (18, 92), (14, 78)],
               paint)  # fmt: skip
    sheet.oval((-7, 98), (4, 6), lighter(paint, 0.55))


def kite(sheet: Sheet, paint: RGB) -> None:
    """A diamond kite with a tail, about 60 wide and 110 high."""
    sheet.stroke([(0, 42), (6, 30), (-4, 18), (4, 6), (0, 0)], 1.2, (90, 84, 90))
    for x, y in ((5, 31), (-3, 18), (3, 6)):
        sheet.polygon([(x - 7, y + 4), (x - 7, y - 4), (x, y)], paint)
        sheet.polygon([(x + 7, y + 4), (x + 7, y - 4), (x, y)], paint)
    sheet.polygon([(0, 108), (28, 80), (0, 42), (-28, 80)], paint)
    sheet.polygon([(0, 108), (28, 80), (0, 80)], lighter(paint, 0.35))
    sheet.polygon([(-28, 80), (0, 80), (0, 42)], lighter(paint, -0.2))
    sheet.stroke([(0, 108), (0, 42)], 1.2, WOOD)
    sheet.stroke([(-28, 80), (28, 80)], 1.2, WOOD)


def umbrella(sheet: Sheet, paint: RGB) -> None:
    """An open umbrella, about 110 wide and 120 high; the shaft ends at the origin."""
    sheet.stroke([(0, 0), (0, 116)], 3, (92, 74, 60))
    rim = [(-54, 74), (-36, 80), (-18, 75), (0, 81), (18, 75), (36, 80), (54, 74)]
    dome = [(54 * math.cos(a), 74 + 42 * math.sin(a)) for a in _turns(24)]
    sheet.polygon([*dome, *rim], paint)
    for low, tone in ((-54, -0.15), (-18, 0.3), (18, -0.15)):
        edge = [(x, y) for x, y in rim if low <= x <= low + 18]
        sheet.polygon([(0, 116), *edge], lighter(paint, tone))
    sheet.stroke([(0, 115), (0, 119)], 2.4, (92, 74, 60))


def _turns(count: int) -> list[float]:
    return [math.pi * step / count for step in range(count + 1)]
