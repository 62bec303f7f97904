"""How animals are drawn: from the side, looking to the right, the origin on the ground."""

from kadr.data.drawn.canvas import Point, Sheet, lighter
from kadr.data.drawn.vocabulary import RGB

INK: RGB = (28, 26, 28)
Leg = tuple[Point, Point, Point]


def dog(sheet: Sheet, coat: RGB, action: str) -> None:
    """A dog, about 95 wide and 75 high."""
    dark = lighter(coat, -0.3) if sum(coat) > 160 else lighter(coat, 0.22)
    if action == "sitting":
        _sitting_dog(sheet, coat, dark)
        return
    far, near = _DOG_RUNS if action == "running" else _DOG_STANDS
    for leg in far:
        sheet.stroke(leg, 6.5, dark)
    sheet.stroke([(-28, 42), (-38, 50), (-43, 64)], 5, coat)
    sheet.blob([(-33, 37), (-28, 47), (-8, 47), (14, 49), (26, 48), (27, 36), (20, 25), (2, 26),
                (-14, 31), (-28, 28)], coat)  # fmt: skip
    for leg in near:
        sheet.stroke(leg, 7.5, coat)
        sheet.stroke([leg[2], (leg[2][0] + 4, leg[2][1])], 5, coat)
    sheet.stroke([(20, 41), (30, 56)], 15, coat)
    _dog_head(sheet, (33, 60), coat, dark)


_DOG_STANDS: tuple[tuple[Leg, ...], tuple[Leg, ...]] = (
    (((-22, 34), (-26, 18), (-20, 3)), ((16, 32), (15, 18), (16, 3))),
    (((-26, 36), (-32, 19), (-27, 3)), ((22, 34), (23, 18), (23, 3))),
)
_DOG_RUNS: tuple[tuple[Leg, ...], tuple[Leg, ...]] = (
    (((-22, 34), (-36, 24), (-44, 12)), ((18, 32), (34, 26), (42, 16))),
    (((-26, 36), (-40, 28), (-50, 18)), ((22, 34), (36, 20), (48, 10))),
)


def _sitting_dog(sheet: Sheet, coat: RGB, dark: RGB) -> None:
    sheet.stroke([(-20, 6), (-34, 6), (-42, 16)], 5.5, coat)
    sheet.stroke([(10, 34), (12, 3)], 7, dark)
    sheet.blob([(-24, 4), (-26, 18), (-16, 34), (2, 52), (18, 56), (23, 44), (18, 28), (8, 10),
                (-4, 3)], coat)  # fmt: skip
    sheet.blob([(-24, 3), (-24, 16), (-12, 24), (0, 16), (4, 3)], lighter(coat, -0.12))
    sheet.stroke([(-8, 3), (8, 3)], 6, coat)
    sheet.stroke([(17, 38), (19, 3), (23, 3)], 7, coat)
    sheet.stroke([(12, 46), (20, 62)], 15, coat)
    _dog_head(sheet, (23, 67), coat, dark)


def _dog_head(sheet: Sheet, centre: Point, coat: RGB, dark: RGB) -> None:
    x, y = centre
    sheet.oval((x, y), (12, 11), coat)
    sheet.blob([(x + 4, y + 4), (x + 16, y + 1), (x + 22, y - 2), (x + 20, y - 7), (x + 6, y - 9)],
               coat)  # fmt: skip
    sheet.stroke([(x + 9, y - 7), (x + 18, y - 6)], 1, INK)
    sheet.oval((x + 21, y - 1), (3, 2.6), INK)
    sheet.oval((x + 6, y + 4), (2, 2.2), INK)
    sheet.oval((x + 6.6, y + 4.8), (0.7, 0.7), (255, 255, 255))
    sheet.blob([(x - 8, y + 9), (x - 1, y + 8), (x, y - 4), (x - 5, y - 12), (x - 11, y - 3)], dark)
    sheet.stroke([(x - 12, y - 9), (x + 1, y - 14)], 3, (190, 30, 40))


def cat(sheet: Sheet, coat: RGB, action: str) -> None:
    """A cat, about 75 wide and 65 high, its face towards us."""
    dark = lighter(coat, -0.28) if sum(coat) > 160 else lighter(coat, 0.2)
    if action == "sitting":
        sheet.stroke([(-10, 6), (-30, 6), (-36, 18), (-28, 28)], 6, coat)
        sheet.blob([(-20, 3), (-21, 18), (-10, 36), (6, 42), (16, 30), (19, 12), (16, 2)], coat)
        for y in (14, 22, 30):
            sheet.stroke([(-18 + (y - 14) * 0.5, y), (-8, y + 2)], 2.2, dark)
        for x in (2, 11):
            sheet.stroke([(x, 24), (x, 3)], 6.5, lighter(coat, 0.12))
        _cat_head(sheet, (6, 50), coat, dark)
        return
    sheet.stroke([(-28, 28), (-40, 36), (-42, 52), (-34, 60)], 5, coat)
    for x in (-20, 16):
        sheet.stroke([(x, 24), (x, 3)], 6, dark)
    sheet.blob([(-32, 24), (-26, 36), (0, 37), (22, 36), (27, 24), (18, 16), (-4, 17), (-26, 15)],
               coat)  # fmt: skip
    for x in (-20, -11, -2, 7):
        sheet.stroke([(x, 35), (x - 1, 26)], 2.4, dark)
    for x in (-27, 22):
        sheet.stroke([(x, 24), (x, 3), (x + 3, 3)], 6, coat)
    _cat_head(sheet, (27, 44), coat, dark)


def _cat_head(sheet: Sheet, centre: Point, coat: RGB, dark: RGB) -> None:
    x, y = centre
    for side in (-1, 1):
        sheet.polygon(
            [(x + side * 14, y + 2), (x + side * 12, y + 20), (x + side * 2, y + 9)], coat
        )
        sheet.polygon([(x + side * 12, y + 6), (x + side * 11, y + 16), (x + side * 5, y + 9)],
                      (226, 150, 150))  # fmt: skip
    sheet.oval((x, y), (15.5, 12.5), coat)
    for dx in (-4, 0, 4):
        sheet.stroke([(x + dx, y + 11), (x + dx * 0.8, y + 6)], 1.6, dark)
    sheet.oval((x, y - 5), (7, 4.6), lighter(coat, 0.45))
    for side in (-1, 1):
        sheet.oval((x + side * 6, y + 2), (3, 3.2), (196, 206, 84))
        sheet.oval((x + side * 6, y + 2), (1.2, 3), INK)
        for rise in (-1, 2):
            sheet.stroke([(x + side * 5, y - 4), (x + side * 20, y - 5 + rise * 2)], 0.7, dark)
    sheet.polygon([(x - 2, y - 2), (x + 2, y - 2), (x, y - 5)], (220, 120, 125))


def horse(sheet: Sheet, coat: RGB, action: str) -> None:
    """A horse, about 140 wide and 130 high; the saddle is at (-4, 80)."""
    mane = (36, 28, 26) if sum(coat) > 160 else (92, 92, 98)
    mane = (205, 198, 184) if sum(coat) > 600 else mane
    far, near = _HORSE_RUNS if action in ("running", "riding") else _HORSE_STANDS
    for leg in far:
        _horse_leg(sheet, leg, lighter(coat, -0.25))
    sheet.stroke([(-46, 74), (-58, 66), (-62, 48), (-60, 34)], 7, mane)
    sheet.blob([(-50, 66), (-44, 80), (-22, 80), (0, 77), (22, 82), (36, 78), (38, 62), (26, 50),
                (0, 48), (-24, 51), (-44, 52)], coat)  # fmt: skip
    sheet.blob([(14, 76), (26, 92), (38, 112), (50, 118), (54, 106), (46, 90), (40, 64), (28, 58)],
               coat)  # fmt: skip
    for leg in near:
        _horse_leg(sheet, leg, coat)
    _horse_head(sheet, coat, mane)


_HORSE_STANDS: tuple[tuple[Leg, ...], tuple[Leg, ...]] = (
    (((-34, 60), (-36, 32), (-33, 6)), ((22, 58), (20, 32), (21, 6))),
    (((-42, 62), (-47, 34), (-44, 6)), ((32, 60), (32, 32), (32, 6))),
)
_HORSE_RUNS: tuple[tuple[Leg, ...], tuple[Leg, ...]] = (
    (((-32, 58), (-28, 34), (-40, 14)), ((24, 58), (44, 46), (40, 24))),
    (((-42, 60), (-56, 40), (-66, 18)), ((32, 58), (54, 40), (66, 22))),
)


def _horse_leg(sheet: Sheet, leg: Leg, coat: RGB) -> None:
    hip, knee, hoof = leg
    sheet.stroke([hip, knee], 11, coat)
    sheet.stroke([knee, hoof], 7, coat)
    sheet.stroke([hoof, (hoof[0] + 2, hoof[1] - 3)], 8, INK)


def _horse_head(sheet: Sheet, coat: RGB, mane: RGB) -> None:
    sheet.polygon([(40, 116), (42, 130), (48, 118)], coat)
    sheet.blob([(40, 118), (48, 120), (58, 112), (70, 96), (68, 88), (60, 88), (50, 100),
                (42, 106)], coat)  # fmt: skip
    sheet.blob([(42, 122), (34, 116), (24, 100), (12, 82), (20, 82), (32, 98), (42, 110)], mane)
    sheet.oval((66, 91), (4.5, 4), lighter(coat, -0.25))
    sheet.oval((68, 92), (1, 1), INK)
    sheet.oval((52, 110), (2, 2.2), INK)
    sheet.stroke([(58, 110), (52, 98)], 1.4, (90, 50, 30))
    sheet.stroke([(62, 92), (40, 88)], 1.4, (90, 50, 30))


def bird(sheet: Sheet, coat: RGB, action: str) -> None:
    """A bird, about 70 wide: on its legs 50 high, or with spread wings."""
    wing = lighter(coat, -0.25) if sum(coat) > 160 else lighter(coat, 0.25)
    beak = (238, 160, 40)
    if action == "flying":
        sheet.blob([(-4, 30), (-16, 52), (-30, 66), (-10, 62), (6, 46), (10, 32)], wing)
        sheet.polygon([(-22, 30), (-44, 36), (-46, 28), (-42, 22)], wing)
        sheet.blob([(-28, 28), (-8, 36), (14, 37), (24, 32), (12, 22), (-10, 22)], coat)
        sheet.blob([(-2, 32), (-4, 56), (8, 70), (14, 52), (14, 34)], coat)
        sheet.oval((24, 35), (9, 8), coat)
        sheet.polygon([(31, 38), (42, 33), (31, 32)], beak)
        sheet.oval((27, 37), (1.6, 1.6), INK)
        return
    for x in (-2, 6):
        sheet.stroke([(x, 14), (x, 2), (x + 5, 1)], 1.8, beak)
    sheet.polygon([(-16, 20), (-42, 14), (-40, 22), (-16, 30)], wing)
    sheet.blob([(-22, 22), (-6, 36), (14, 42), (22, 30), (12, 14), (-8, 12)], coat)
    sheet.oval((16, 42), (11, 10), coat)
    sheet.oval((14, 22), (7, 8), lighter(coat, 0.4))
    sheet.blob([(-26, 18), (-8, 32), (6, 30), (2, 20), (-10, 16)], wing)
    sheet.polygon([(25, 45), (38, 41), (25, 38)], beak)
    sheet.oval((19, 45), (1.8, 1.8), INK)
