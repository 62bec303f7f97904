"""Text in pictures: what reading it costs, how small it may be, and what it does to searches.

Usage: python benchmarks/ocr.py [--pictures 16] [--photos FOLDER] [--count 200] [--texts FILE]

It needs the extra `ocr`. Signs are words in Roboto of several heights, a little turned, on drawn
scenes of 1600x1200 pixels; told is the share of words that are on record then, by height. With
--photos: of so many photos of a folder, chosen by a seed, what is read, by how surely. With --texts
(captions, a tab or comma before each): which of their 1,000 most frequent words are read in which
photo, so that one may look whether a search for one would bring what it shouldn't.
"""

import argparse
import random
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from font_roboto import RobotoMedium
from PIL import Image, ImageDraw, ImageFont

from kadr.data.drawn.dice import Dice
from kadr.data.drawn.picture import draw
from kadr.data.drawn.scene import compose
from kadr.photos import images, ocr
from kadr.photos.rapidocr import RapidOcr
from kadr.stores import words
from kadr.types import PictureText, TextLine

SIZE = 1600, 1200
HEIGHTS = 10, 14, 20, 28, 40, 80
"""Of letters' bodies, in pixels; capitals are 0.7 as high."""
EACH = 2
WORDS = re.findall(
    r"\S+",
    """
    bakery bridge camera castle coffee corner desert dinner doctor exit flower forest garden harbour
    hospital hotel island kitchen library market menu museum office open orange parking pharmacy
    pizza police platform railway restaurant river sale school station street
    summer theatre ticket tower
    """,
)
LIMITS = (0.5, 0.6, 0.7, 0.8, 0.9)
FREQUENT = 1000


def sign(text: str, height: int, dice: random.Random) -> Image.Image:
    """A plate with a word, turned by a few degrees: RGBA."""
    font = ImageFont.truetype(RobotoMedium, height)
    left, top, right, bottom = font.getbbox(text)
    plate = Image.new("RGBA", (int(right - left) + height, int(bottom - top) + height // 2))
    dark, light = (dice.randrange(0, 90), 40, 60, 255), (255, 250, dice.randrange(150, 255), 255)
    ground, ink = dice.sample([dark, light], 2)
    pen = ImageDraw.Draw(plate)
    pen.rectangle((0, 0, *plate.size), fill=ground)
    pen.text((height // 2 - left, height // 4 - top), text, ink, font)
    return plate.rotate(dice.uniform(-8, 8), Image.Resampling.BICUBIC, expand=True)


def picture(seed: int) -> tuple[Image.Image, list[tuple[str, int]]]:
    """A drawn scene with signs of all heights, and which word is of which."""
    dice = random.Random(seed)
    scene = Dice(seed, 427)
    ground = draw(compose(scene, with_child=False), scene).resize(SIZE)
    sizes = [height for height in HEIGHTS for _ in range(EACH)]
    placed = list(zip(dice.sample(WORDS, len(sizes)), sizes, strict=True))
    rows = list(range(len(sizes)))
    dice.shuffle(rows)
    for row, (word, height) in zip(rows, placed, strict=True):
        plate = sign(word.upper() if dice.random() < 0.5 else word.title(), height, dice)
        top = (row // 2) * 200 + (200 - plate.height) // 2
        ground.paste(plate, ((row % 2) * 800 + dice.randrange(40, 180), top), plate)
    return ground, placed


def read(engine: RapidOcr, image: Image.Image) -> tuple[PictureText, float]:
    """The text in a picture, and the CPU seconds that it took."""
    image.thumbnail((ocr.SIDE, ocr.SIDE))
    started = time.process_time()
    lines = engine.read(image)
    return PictureText(engine.version, tuple(lines)), time.process_time() - started


def signs(engine: RapidOcr, count: int) -> None:
    """Print the share of words on record, by height."""
    found, seconds = Counter[int](), 0.0
    for seed in range(count):
        ground, placed = picture(seed)
        text, took = read(engine, ground)
        seconds += took
        for word, height in placed:
            found[height] += bool(words.regions(words.wanted(word), text)[0])
    print(f"{count} drawn scenes of {SIZE[0]}x{SIZE[1]}: {seconds / count:.2f} s of CPU each")
    for height in HEIGHTS:
        print(f"  letters of {height:3} px: {found[height]:3} of {count * EACH} words")


def photos(engine: RapidOcr, folder: Path, count: int, texts: Path | None) -> None:
    """Print what is read in photos of a folder."""
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in {".jpg", ".jpeg"})
    chosen = random.Random(0).sample(files, min(count, len(files)))
    known, seconds = list[tuple[Path, PictureText]](), 0.0
    for file in chosen:
        text, took = read(engine, images.decode(file, ocr.SIDE).convert("RGB"))
        known.append((file, text))
        seconds += took
    print(f"{len(known)} photos: {seconds / len(known):.2f} s of CPU each")
    lines = [line for _, text in known for line in text.lines]
    for low, high in zip(LIMITS, (*LIMITS[1:], 1.01), strict=True):
        between = [line.text for line in lines if low <= line.confidence < high]
        print(f"  read {low}-{min(high, 1)} surely: {len(between)} lines: {', '.join(between)}")
    if texts is not None:
        frequent = frequent_words(texts)
        for limit in LIMITS:
            met = list(meetings(known, frequent, limit))
            print(f"  {len(met)} meetings with frequent words from {limit} on: {', '.join(met)}")


def frequent_words(texts: Path) -> set[str]:
    """The most frequent words of captions, but those that tell nothing."""
    said = re.findall(r"[a-z]{2,}", texts.read_text("utf-8").lower())
    counts = Counter(word for word in said if word not in words.STOP | {"jpg"})
    return {word for word, _ in counts.most_common(FREQUENT)}


def meetings(
    known: Sequence[tuple[Path, PictureText]], frequent: set[str], limit: float
) -> Iterator[str]:
    """Which of the words are read in which photos, from so surely on."""
    for file, text in known:
        for line in text.lines:
            if line.confidence >= limit:
                yield from (
                    f"{word} ({file.stem[:6]})" for word in spoken(line) if word in frequent
                )


def spoken(line: TextLine) -> list[str]:
    """The words of a line."""
    return re.findall(r"[a-z]{2,}", line.text.lower())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=16)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--texts", type=Path)
    given = parser.parse_args()
    made = RapidOcr()
    if given.pictures:
        signs(made, given.pictures)
    if given.photos:
        photos(made, given.photos, given.count, given.texts)
