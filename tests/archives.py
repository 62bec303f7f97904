"""A tiny valid archive in the layout of search_by_query, made up from colours and shapes."""

import csv
import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

COLOURS = ("red", "green", "blue", "yellow", "purple", "orange")
SHAPES = ("circle", "square", "triangle")
BACKGROUNDS = ("white", "black", "gray")
SIZE = (64, 48)
CAPTIONS = (
    "A {colour} {shape} on a {background} wall .",
    "There is a {colour} {shape} , and the wall is {background} .",
    'Somebody painted a " {colour} {shape} " on the {background} wall .',
    "The {shape} is {colour} .",
    "A child drew this {colour} {shape} .",
)
"""Commas and quotes, so that the CSV is quoted; the last one names a child."""


@dataclass(frozen=True)
class Picture:
    name: str
    colour: str
    shape: str
    background: str

    def caption(self, number: int) -> str:
        return CAPTIONS[number % len(CAPTIONS)].format(
            colour=self.colour, shape=self.shape, background=self.background
        )


def write_archive(folder: Path, images: int = 12, seed: int = 0) -> Path:
    """Write `images` (at least 4) training photos, a quarter as many test photos, and judgements.

    Training queries are caption 2 of a photo; those of the last quarter of the photos have votes
    but no text. Experts and crowd judge overlapping sets of pairs, own captions among them.
    Test photos have five queries each and share no name with training photos.
    """
    rng = random.Random(seed)
    pictures = [_picture(number, rng) for number in range(images + max(2, images // 4))]
    train, test = pictures[:images], pictures[images:]
    _draw(folder / "train_images", train, rng)
    _draw(folder / "test_images", test, rng)
    _write_judgements(folder, train, rng)
    _write_test_part(folder, test)
    return folder


def query_id(picture: Picture, number: int = 2) -> str:
    return f"{picture.name}#{number}"


def _picture(number: int, rng: random.Random) -> Picture:
    return Picture(
        name=f"{1000000000 + number}_{rng.randrange(16**10):010x}.jpg",
        colour=COLOURS[number % len(COLOURS)],
        shape=SHAPES[number // len(COLOURS) % len(SHAPES)],
        background=rng.choice(BACKGROUNDS),
    )


def _draw(folder: Path, pictures: Iterable[Picture], rng: random.Random) -> None:
    folder.mkdir(parents=True)
    for picture in pictures:
        photo = Image.new("RGB", SIZE, picture.background)
        centre = (rng.randint(22, 42), rng.randint(20, 28), rng.randint(12, 18))
        draw = ImageDraw.Draw(photo)
        if picture.shape == "circle":
            draw.circle(centre[:2], centre[2], fill=picture.colour)
        else:
            sides = 4 if picture.shape == "square" else 3
            draw.regular_polygon(centre, sides, fill=picture.colour)
        photo.save(folder / picture.name, quality=90)


def _write_judgements(folder: Path, train: list[Picture], rng: random.Random) -> None:
    worded = train[: len(train) - max(1, len(train) // 4)]
    graded = [(query, image) for query in worded for image in _images_for(query, train, 5, rng)]
    voted = [(query, image) for query in train for image in _images_for(query, train, 7, rng)]
    _write(
        folder / "train_dataset.csv",
        ((image.name, query_id(query), query.caption(2)) for query, image in graded),
        header=("image", "query_id", "query_text"),
    )
    _write(
        folder / "ExpertAnnotations.tsv",
        ((image.name, query_id(query), *_grades(query, image, rng)) for query, image in graded),
        delimiter="\t",
    )
    _write(
        folder / "CrowdAnnotations.tsv",
        ((image.name, query_id(query), *_votes(query, image, rng)) for query, image in voted),
        delimiter="\t",
    )


def _write_test_part(folder: Path, test: list[Picture]) -> None:
    captions = [(picture, number) for picture in test for number in range(len(CAPTIONS))]
    _write(
        folder / "test_queries.csv",
        (
            (row, query_id(picture, number), picture.caption(number), picture.name)
            for row, (picture, number) in enumerate(captions)
        ),
        header=("", "query_id", "query_text", "image"),
        delimiter="|",
    )
    _write(folder / "test_images.csv", ((picture.name,) for picture in test), header=("image",))


def _images_for(
    query: Picture, train: list[Picture], count: int, rng: random.Random
) -> list[Picture]:
    """Return the query's own photo and others, in a set order."""
    others = [picture for picture in train if picture is not query]
    return [query, *rng.sample(others, min(count - 1, len(others)))]


def _likeness(query: Picture, image: Picture) -> int:
    """Return 0 to 3: how much of colour, shape and background is right."""
    return (
        (query.colour == image.colour)
        + (query.shape == image.shape)
        + (query.background == image.background)
    )


def _grades(query: Picture, image: Picture, rng: random.Random) -> list[int]:
    grade = 1 + _likeness(query, image)
    return [min(4, max(1, grade + rng.choice((-1, 0, 0, 0, 1)))) for _ in range(3)]


def _votes(query: Picture, image: Picture, rng: random.Random) -> tuple[str, int, int]:
    voters = rng.choice((3, 3, 3, 4, 5))
    chance = (0.02, 0.1, 0.4, 0.95)[_likeness(query, image)]
    yes = sum(rng.random() < chance for _ in range(voters))
    return f"{yes / voters:.15g}", yes, voters - yes


def _write(
    path: Path,
    rows: Iterable[Iterable[object]],
    header: Iterable[str] = (),
    delimiter: str = ",",
) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        writer.writerows([header] if header else [])
        writer.writerows(rows)


def read_rows(path: Path, delimiter: str) -> list[list[str]]:
    """All rows of a table."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file, delimiter=delimiter))
