"""Pictures for the OCR engine `signs` of the tests, which reads what their colour says."""

from pathlib import Path

import numpy as np
from PIL import Image


def paint_sign(path: Path, colour: str, seed: int = 0) -> Path:
    """A photo of one colour, but for some dots in a corner that make it another content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    photo = Image.new("RGB", (96, 64), colour)
    dots = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    photo.paste(Image.fromarray(dots), (0, 0))
    photo.save(path, "PNG")
    return path
