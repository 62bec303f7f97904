"""Animations: the frame that stands for all."""

from PIL import Image, ImageStat

FRAMES = 100
"""Frames that are looked at, at most."""
CONTRAST = 16
"""A frame shows something where its samples deviate so much from their mean, of 255."""
SIDE = 64
"""A frame is looked at so small."""
FORMATS = frozenset({"GIF", "PNG", "WEBP", "AVIF"})
"""Those whose further pictures are frames; those of a TIFF are pages."""


def seek_shown(image: Image.Image, most_pixels: int) -> None:
    """Go to the first frame that shows something; where none does, to the one that shows most.

    Args:
        image: at its first frame, which is read.
        most_pixels: of all frames that are looked at together.
    """
    if image.format not in FORMATS or not getattr(image, "is_animated", False):
        return
    count = min(FRAMES, most_pixels // (image.width * image.height))
    best, contrast = 0, _contrast(image)
    number = 0
    while contrast < CONTRAST and number + 1 < count:
        try:
            image.seek(number + 1)
            shown = _contrast(image)
        except Exception:  # noqa: BLE001 - the end, or damage; the frames before are whole
            break
        number += 1
        if shown > contrast + 1:
            best, contrast = number, shown
    image.seek(best)
    image.load()


def _contrast(image: Image.Image) -> float:
    """The deviation of a frame's brightness, on white, of 255."""
    small = image.convert("RGBA")
    small.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    canvas = Image.new("RGBA", small.size, "white")
    canvas.alpha_composite(small)
    return ImageStat.Stat(canvas.convert("L")).stddev[0]
