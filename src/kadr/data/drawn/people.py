"""How people are drawn. Children are smaller, and their heads are larger for their height."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kadr.data.drawn.canvas import Point, Sheet, lighter
from kadr.data.drawn.dice import Dice
from kadr.data.drawn.vocabulary import RGB

SKINS: Final[tuple[RGB, ...]] = ((246, 208, 178), (226, 176, 138), (176, 122, 84), (120, 80, 56))
HAIRS: Final[tuple[RGB, ...]] = ((40, 30, 26), (92, 58, 34), (150, 96, 44), (222, 180, 90))
TROUSERS: Final[tuple[RGB, ...]] = ((52, 60, 92), (66, 62, 58), (96, 84, 68), (44, 48, 54))
INK: RGB = (40, 30, 30)


@dataclass(frozen=True, slots=True)
class Build:
    """A body's measures: height from the feet to the neck, the head's radius, limb thickness."""

    body: float
    head: float
    limb: float


BUILDS: Final[Mapping[str, Build]] = {
    "man": Build(104, 14, 12),
    "woman": Build(98, 13.5, 9.5),
    "boy": Build(60, 14.5, 8.5),
    "girl": Build(58, 14.5, 7.5),
    "baby": Build(34, 14.5, 9),
}


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the joints are, in heights of the body; left and right as we see them."""

    hip: Point
    neck: Point
    elbows: tuple[Point, Point]
    hands: tuple[Point, Point]
    knees: tuple[Point, Point]
    feet: tuple[Point, Point]


_STANDING = Pose(
    (0, 0.5), (0, 0.96), ((-0.2, 0.68), (0.2, 0.68)), ((-0.23, 0.45), (0.23, 0.45)),
    ((-0.08, 0.26), (0.08, 0.26)), ((-0.1, 0.03), (0.1, 0.03)),
)  # fmt: skip

POSES: Final[Mapping[str, Pose]] = {
    "standing": _STANDING,
    "holding": Pose(
        (0, 0.5), (0, 0.96), ((-0.2, 0.68), (0.24, 0.7)), ((-0.23, 0.45), (0.42, 0.82)),
        ((-0.08, 0.26), (0.08, 0.26)), ((-0.1, 0.03), (0.1, 0.03)),
    ),
    "running": Pose(
        (0, 0.52), (0.1, 0.97), ((-0.13, 0.72), (0.32, 0.72)), ((-0.3, 0.56), (0.46, 0.92)),
        ((-0.06, 0.27), (0.26, 0.44)), ((-0.38, 0.2), (0.28, 0.12)),
    ),
    "jumping": Pose(
        (0, 0.55), (0, 1.0), ((-0.27, 1.08), (0.27, 1.08)), ((-0.36, 1.38), (0.36, 1.38)),
        ((-0.24, 0.38), (0.24, 0.38)), ((-0.42, 0.16), (0.42, 0.16)),
    ),
    "sitting": Pose(
        (-0.15, 0.09), (-0.12, 0.55), ((-0.25, 0.3), (0.06, 0.3)), ((-0.36, 0.06), (0.24, 0.24)),
        ((0.18, 0.26), (0.26, 0.3)), ((0.42, 0.04), (0.54, 0.04)),
    ),
    "crawling": Pose(
        (-0.42, 0.42), (0.4, 0.5), ((0.26, 0.25), (0.46, 0.25)), ((0.26, 0.08), (0.56, 0.08)),
        ((-0.36, 0.1), (-0.2, 0.1)), ((-0.8, 0.1), (-0.66, 0.12)),
    ),
    "sailing": Pose(
        (0, 0.5), (0.02, 0.96), ((-0.15, 0.7), (0.24, 0.7)), ((-0.1, 0.52), (0.4, 0.62)),
        ((-0.06, 0.42), (0.06, 0.42)), ((-0.06, 0.4), (0.06, 0.4)),
    ),
    "riding": Pose(
        (0, 0.5), (0.08, 0.96), ((0.2, 0.72), (0.24, 0.72)), ((0.36, 0.64), (0.42, 0.62)),
        ((0.16, 0.3), (0.24, 0.32)), ((0.1, 0.03), (0.14, 0.05)),
    ),
}  # fmt: skip


class Person:
    """One person with a face, hair and clothes, on a sheet whose origin is between the feet."""

    def __init__(self, kind: str, clothes: RGB, action: str, dice: Dice) -> None:
        self.kind, self.clothes = kind, clothes
        self.build, self.pose = BUILDS[kind], POSES[action]
        self.skin, self.hair, self.trousers = (
            dice.pick(SKINS),
            dice.pick(HAIRS),
            dice.pick(TROUSERS),
        )

    def joint(self, point: Point) -> Point:
        """A joint of the pose, measured on the sheet."""
        return point[0] * self.build.body, point[1] * self.build.body

    def draw(self, sheet: Sheet) -> None:
        """Draws from the back to the front."""
        if self.kind in ("woman", "girl"):
            self._long_hair(sheet)
        self._arm(sheet, 0)
        self._legs(sheet)
        self._trunk(sheet)
        self._head(sheet)
        self._arm(sheet, 1)

    @property
    def _dressed(self) -> bool:
        return self.kind in ("woman", "girl")

    def _arm(self, sheet: Sheet, side: int) -> None:
        neck, thick = self.pose.neck, self.build.limb
        shoulder = self.joint((neck[0] + (-0.11, 0.11)[side], neck[1] - 0.06))
        elbow, hand = self.joint(self.pose.elbows[side]), self.joint(self.pose.hands[side])
        sleeve = lighter(self.clothes, -0.16)
        sheet.stroke([shoulder, elbow], thick * 0.9, sleeve)
        sheet.stroke([elbow, hand], thick * 0.75, self.skin if self.kind != "man" else sleeve)
        sheet.oval(hand, (thick * 0.48, thick * 0.48), self.skin)

    def _legs(self, sheet: Sheet) -> None:
        thick = self.build.limb
        bare = self._dressed
        cloth = {"baby": self.clothes}.get(self.kind, self.skin if bare else self.trousers)
        shorts = self.kind == "boy"
        for side, spread in ((0, -0.06), (1, 0.06)):
            hip = self.joint((self.pose.hip[0] + spread, self.pose.hip[1]))
            knee, foot = self.joint(self.pose.knees[side]), self.joint(self.pose.feet[side])
            sheet.stroke([hip, knee], thick * (0.8 if bare else 1.1), cloth)
            sheet.stroke([knee, foot], thick * 0.75, self.skin if shorts else cloth)
            sheet.stroke([foot, (foot[0] + thick * 0.6, foot[1])], thick * 0.7, INK)

    def _trunk(self, sheet: Sheet) -> None:
        (hx, hy), (nx, ny) = self.joint(self.pose.hip), self.joint(self.pose.neck)
        wide, thick = self.build.body * 0.13, self.build.limb
        if self.kind == "baby":
            sheet.stroke([(hx, hy), (nx, ny - 4)], self.build.body * 0.5, self.clothes)
            return
        hem = wide * (0.8 if self._dressed else 0.9)
        sheet.polygon([(nx - wide, ny - 2), (nx + wide, ny - 2), (hx + hem, hy), (hx - hem, hy)],
                      self.clothes)  # fmt: skip
        sheet.stroke([(nx - wide, ny - 5), (nx + wide, ny - 5)], thick * 0.8, self.clothes)
        sheet.stroke([(hx - hem * 0.6, hy), (hx + hem * 0.6, hy)], thick, self.clothes)
        if self._dressed:
            self._skirt(sheet)

    def _skirt(self, sheet: Sheet) -> None:
        hx, hy = self.joint(self.pose.hip)
        (ax, ay), (bx, by) = (self.joint(knee) for knee in self.pose.knees)
        wide = self.build.body * 0.12
        waist = [(hx - wide, hy + wide), (hx + wide, hy + wide)]
        sheet.polygon([*waist, (bx + wide, by), (ax - wide * 1.1, ay)], self.clothes)
        sheet.stroke([(ax - wide * 1.1, ay), (bx + wide, by)], 2.4, lighter(self.clothes, -0.25))

    def _face_centre(self) -> Point:
        x, y = self.joint(self.pose.neck)
        forward = self.build.head * 0.9 if self.pose is POSES["crawling"] else 0
        return x + forward, y + self.build.head * 1.05 - forward * 0.4

    def _long_hair(self, sheet: Sheet) -> None:
        (x, y), r = self._face_centre(), self.build.head
        if self.kind == "girl":
            for side in (-1, 1):
                sheet.stroke([(x + side * r, y + 1), (x + side * r * 1.55, y - r)], 8, self.hair)
                sheet.oval((x + side * r * 1.1, y + 2), (3.5, 3.5), self.clothes)
            return
        sheet.blob([(x - r, y + r * 0.4), (x, y + r * 1.2), (x + r, y + r * 0.4),
                    (x + r * 1.2, y - r * 1.6), (x, y - r * 1.2), (x - r * 1.2, y - r * 1.6)],
                   self.hair)  # fmt: skip

    def _head(self, sheet: Sheet) -> None:
        (x, y), r = self._face_centre(), self.build.head
        neck = self.joint(self.pose.neck)
        sheet.stroke([(neck[0], neck[1] - 4), (x, y - r * 0.6)], r * 0.7, lighter(self.skin, -0.12))
        sheet.oval((x, y), (r * 0.95, r * 1.05), self.skin)
        for side in (-1, 1):
            sheet.oval((x + side * r * 0.38 + 1, y - r * 0.05), (r * 0.1, r * 0.14), INK)
            sheet.oval(
                (x + side * r * 0.58 + 1, y - r * 0.38), (r * 0.17, r * 0.1), (236, 150, 140)
            )
        sheet.stroke([(x - 3, y - r * 0.45), (x + 1, y - r * 0.55), (x + 5, y - r * 0.45)], 1.3,
                     (170, 60, 60))  # fmt: skip
        self._fringe(sheet, (x, y), r)

    def _fringe(self, sheet: Sheet, face: Point, r: float) -> None:
        x, y = face
        if self.kind == "baby":
            sheet.stroke(
                [(x - 2, y + r), (x + 2, y + r * 1.15), (x + 4, y + r * 0.85)], 2, self.hair
            )
            return
        low = 0.25 if self.kind == "man" else 0.1
        sheet.blob([(x - r, y + r * low), (x - r * 0.9, y + r * 0.85), (x, y + r * 1.25),
                    (x + r * 0.9, y + r * 0.85), (x + r, y + r * low), (x + r * 0.5, y + r * 0.55),
                    (x - r * 0.4, y + r * 0.6)], self.hair)  # fmt: skip
