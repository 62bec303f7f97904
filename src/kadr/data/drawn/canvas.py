"""A sheet drawn large, for smooth outlines, and pasted onto the picture small."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from kadr.data.drawn.vocabulary import RGB

SIZE = (400, 300)
"""Width and height of a picture in pixels; all drawing is measured in these."""

OVERSAMPLING = 2

Point = tuple[float, float]


def lighter(colour: RGB, share: float) -> RGB:
    """The colour moved towards white by `share` in [0, 1], or towards black by -share."""
    goal = 255 if share > 0 else 0
    red, green, blue = (round(part + (goal - part) * abs(share)) for part in colour)
    return red, green, blue


class Sheet:
    """A transparent sheet with the origin at the middle of its lower edge and y upwards."""

    def __init__(self, width: float, height: float, zoom: float = 1.0) -> None:
        self.scale = zoom * OVERSAMPLING
        self.width, self.height = width, height
        pixels = (round(width * self.scale), round(height * self.scale))
        self.image = Image.new("RGBA", pixels, (0, 0, 0, 0))
        self.pen = ImageDraw.Draw(self.image)

    @classmethod
    def over(cls, picture: Image.Image) -> "Sheet":
        """A sheet that draws straight onto an oversampled picture."""
        sheet = cls(1, 1)
        sheet.width, sheet.height = SIZE
        sheet.image, sheet.pen = picture, ImageDraw.Draw(picture)
        return sheet

    def _pixel(self, point: Point) -> Point:
        x, y = point
        return (x + self.width / 2) * self.scale, (self.height - y) * self.scale

    def oval(self, centre: Point, radii: Point, colour: RGB) -> None:
        """An ellipse by its centre and its half axes."""
        (x, y), (rx, ry) = centre, radii
        left, top = self._pixel((x - rx, y + ry))
        right, bottom = self._pixel((x + rx, y - ry))
        self.pen.ellipse((left, top, right, bottom), fill=colour)

    def ring(self, centre: Point, radius: float, width: float, colour: RGB) -> None:
        """A circle's line."""
        left, top = self._pixel((centre[0] - radius, centre[1] + radius))
        right, bottom = self._pixel((centre[0] + radius, centre[1] - radius))
        thick = max(1, round(width * self.scale))
        self.pen.ellipse((left, top, right, bottom), outline=colour, width=thick)

    def box(self, low: Point, high: Point, colour: RGB, radius: float = 0.0) -> None:
        """A rectangle by its lower left and upper right corner, with round corners."""
        left, bottom = self._pixel(low)
        right, top = self._pixel(high)
        self.pen.rounded_rectangle((left, top, right, bottom), radius * self.scale, fill=colour)

    def polygon(self, points: Sequence[Point], colour: RGB) -> None:
        """A shape with corners."""
        self.pen.polygon([self._pixel(point) for point in points], fill=colour)

    def blob(self, points: Sequence[Point], colour: RGB) -> None:
        """A shape without corners, through all the points."""
        self.polygon(_smooth(points), colour)

    def stroke(self, points: Sequence[Point], width: float, colour: RGB) -> None:
        """A line through the points with round ends."""
        pixels = [self._pixel(point) for point in points]
        thick = max(1, round(width * self.scale))
        self.pen.line(pixels, fill=colour, width=thick, joint="curve")
        for x, y in (pixels[0], pixels[-1]):
            radius = thick / 2 - 0.5
            self.pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)

    def mirrored(self) -> None:
        """Turns the sheet's left to its right."""
        self.image = self.image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        self.pen = ImageDraw.Draw(self.image)

    def lay_on(self, picture: Image.Image, foot: Point) -> None:
        """Puts the sheet, lit from the upper left, onto an oversampled picture.

        `foot` is where the sheet's origin goes, in pixels of the picture before oversampling.
        """
        colour = ImageChops.multiply(self.image.convert("RGB"), _light(self.image.size))
        left = round(foot[0] * OVERSAMPLING - self.image.width / 2)
        top = round(foot[1] * OVERSAMPLING - self.image.height)
        picture.paste(colour, (left, top), self.image.getchannel("A"))


def _smooth(points: Sequence[Point], steps: int = 8) -> list[Point]:
    """A closed Catmull-Rom curve through the points."""
    p1 = np.asarray(points, dtype=np.float64)
    p0, p2, p3 = np.roll(p1, 1, 0), np.roll(p1, -1, 0), np.roll(p1, -2, 0)
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    p0, p1, p2, p3 = (p[:, None, :] for p in (p0, p1, p2, p3))
    bend = 2 * p0 - 5 * p1 + 4 * p2 - p3
    curve = p1 + 0.5 * t * (p2 - p0 + t * (bend + t * (3 * (p1 - p2) + p3 - p0)))
    return [(float(x), float(y)) for x, y in curve.reshape(-1, 2)]


@lru_cache(maxsize=64)
def _light(size: tuple[int, int]) -> Image.Image:
    """Light that falls off from the upper left to the lower right, as a factor times 255."""
    across = np.linspace(0.0, 1.0, 32)
    fall = 255 * (1.0 - 0.12 * across[None, :] - 0.22 * across[:, None])
    grey = Image.fromarray(fall.astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)
    return Image.merge("RGB", (grey, grey, grey))


def shadow(picture: Image.Image, foot: Point, radii: Point) -> None:
    """A soft dark ellipse on the ground."""
    width, height = (max(2, round(2 * r * OVERSAMPLING)) for r in radii)
    mask = _soft_spot().resize((width, height), Image.Resampling.BILINEAR)
    corner = (round(foot[0] * OVERSAMPLING - width / 2), round(foot[1] * OVERSAMPLING - height / 2))
    picture.paste((18, 22, 34), corner, mask)


@lru_cache(maxsize=1)
def _soft_spot() -> Image.Image:
    across = np.linspace(-1, 1, 48)
    distance = np.sqrt(across[None, :] ** 2 + across[:, None] ** 2)
    return Image.fromarray((115 * np.clip(1.15 - distance, 0, 0.8)).astype(np.uint8))
