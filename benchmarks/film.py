"""A film of an hour: what indexing it takes, and whether queries find the right minute.

Usage: python benchmarks/film.py COCO [--minutes 60] [--scenes 150] [--queries 100] [--preset
ultrafast] [--film FILE]

COCO is a folder with captions.tsv (image, text) and images/, of which nothing was trained on. Two
scenes of three are its photos, the third is drawn; each is zoomed into slowly. The film is H.264,
1280x720, 25 frames a second; `--film` keeps it, or takes one that was kept. It is indexed and asked
through the command line. Of each photo one caption is a query. Told is in how many answers the
first moment, or one of the first five, lies in a minute that shows the photo.
"""

import argparse
import csv
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from kadr.data.drawn.dice import Dice
from kadr.data.drawn.picture import draw
from kadr.data.drawn.scene import compose

WIDTH, HEIGHT, RATE = 1280, 720, 25
STEP = 25
"""Frames after which the zoom goes on."""
ZOOM = 1.25
FIRST = 5


@dataclass(frozen=True)
class Scene:
    """A photo of the film: its name, None where it is drawn; when it is shown, in seconds."""

    photo: str | None
    start: float
    end: float


def planned(photos: Sequence[str], count: int, seconds: float) -> list[Scene]:
    """Scenes of unequal lengths, in a random order that is always the same."""
    dice = random.Random(0)
    names: list[str | None] = [*dice.sample(photos, 2 * count // 3)]
    names += [None] * (count - len(names))
    dice.shuffle(names)
    lengths = np.array([dice.uniform(0.5, 1.5) for _ in names])
    ends = np.cumsum(lengths / lengths.sum() * seconds)
    starts = [0.0, *ends[:-1].tolist()]
    return [Scene(*one) for one in zip(names, starts, ends.tolist(), strict=True)]


def shown(scene: Scene, number: int, folder: Path) -> Image.Image:
    """A scene's picture, large enough for the zoom."""
    if scene.photo is None:
        dice = Dice(number, 7)
        picture = draw(compose(dice, with_child=False), dice)
    else:
        picture = Image.open(folder / scene.photo).convert("RGB")
    size = round(WIDTH * ZOOM), round(HEIGHT * ZOOM)
    factor = max(size[0] / picture.width, size[1] / picture.height)
    whole = round(picture.width * factor), round(picture.height * factor)
    large = picture.resize(whole, Image.Resampling.BICUBIC)
    left, top = (whole[0] - size[0]) // 2, (whole[1] - size[1]) // 2
    return large.crop((left, top, left + size[0], top + size[1]))


def zoomed(picture: Image.Image, share: float) -> Image.Image:
    """The picture as it is seen after a share of its scene."""
    part = 1 - (1 - 1 / ZOOM) * share
    width, height = picture.width * part, picture.height * part
    left, top = (picture.width - width) / 2, (picture.height - height) / 2
    box = (left, top, left + width, top + height)
    return picture.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR, box=box)


def pictures(scenes: Sequence[Scene], folder: Path) -> Iterator[Image.Image]:
    """The film, frame by frame."""
    done = 0
    for number, scene in enumerate(scenes):
        picture, last = shown(scene, number, folder), round(scene.end * RATE)
        for frame in range(done, last):
            if (frame - done) % STEP == 0:
                seen = zoomed(picture, (frame - done) / (last - done))
            yield seen
        done = last


def make(path: Path, scenes: Sequence[Scene], folder: Path, preset: str) -> None:
    """Write the film."""
    import av

    draft = path.with_suffix(".part.mp4")
    with av.open(str(draft), "w", format="mp4") as container:
        options = {"preset": preset, "crf": "23", "sc_threshold": "40"}
        stream = container.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        before, frame = None, None
        for picture in pictures(scenes, folder):
            if picture is not before or frame is None:
                frame = av.VideoFrame.from_image(picture).reformat(format="yuv420p")
                before = picture
            frame.pts = None
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    draft.rename(path)


def kadr(library: Path, *arguments: str) -> tuple[str, float, float]:
    """What the command line says, and the seconds and CPU seconds that it takes."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    result = subprocess.run(
        [sys.executable, "-m", "kadr.cli.main", *arguments, "--library", str(library), "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if result.returncode not in {0, 1}:
        sys.exit(result.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return result.stdout, time.monotonic() - started, cpu


def moments(answer: dict[str, Any]) -> list[float]:
    """Seconds of the frames, best first, one a minute."""
    kept: dict[int, float] = {}
    for hit in answer["hits"]:
        kept.setdefault(int(hit["at"] // 60), hit["at"])
    return list(kept.values())


def is_right(at: float, scene: Scene) -> bool:
    """Whether the minute of a moment shows the scene."""
    return scene.start // 60 <= at // 60 <= scene.end // 60


def ask(library: Path, scenes: Sequence[Scene], queries: dict[str, str], folder: Path) -> None:
    """Print how many queries find their minute, of the first ten, and of all."""
    asked = [scene for scene in scenes if scene.photo in queries]
    random.Random(1).shuffle(asked)
    texts = folder / "queries.txt"
    texts.write_text("".join(f"{queries[str(one.photo)]}\n" for one in asked), "utf-8")
    out, seconds, _ = kadr(library, "search", "--queries", str(texts), "--frames", "-n", "40")
    found = [moments(answer) for answer in json.loads(out)]
    firsts = [is_right(of[0], one) for of, one in zip(found, asked, strict=True)]
    fives = [
        any(is_right(at, one) for at in of[:FIRST]) for of, one in zip(found, asked, strict=True)
    ]
    for count in (10, len(asked)):
        print(
            f"of {count} queries the right minute is the first for {sum(firsts[:count])}, among the"
            f" first {FIRST} for {sum(fives[:count])}"
        )
    print(f"{len(asked)} queries: {seconds:.1f} s")


def captions(folder: Path) -> dict[str, str]:
    """A caption of each photo, the first with five words or more."""
    said: dict[str, str] = {}
    with (folder / "captions.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if len(row["text"].split()) >= 5:
                said.setdefault(row["image"], row["text"])
    return said


def main() -> None:
    """Make the film, index it, ask."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--scenes", type=int, default=150)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--preset", default="ultrafast")
    parser.add_argument("--film", type=Path)
    options = parser.parse_args()
    said = captions(options.folder)
    scenes = planned(sorted(said), options.scenes, 60 * options.minutes)
    queries = {one.photo: said[one.photo] for one in scenes if one.photo}
    queries = dict(list(queries.items())[: options.queries])
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        (work / "films").mkdir()
        film = options.film or work / "film.mp4"
        if not film.exists():
            make(film, scenes, options.folder / "images", options.preset)
        (work / "films" / "hour.mp4").symlink_to(film.resolve())
        print(f"{options.minutes:g} min, {len(scenes)} scenes, {film.stat().st_size / 1e6:.0f} MB")
        out, seconds, cpu = kadr(work / "library.kadr", "index", str(work / "films"))
        print(f"indexed: {json.loads(out)['encoded']} frames, {seconds:.1f} s, CPU {cpu:.1f} s")
        _, seconds, cpu = kadr(work / "library.kadr", "index", str(work / "films"))
        print(f"again, nothing new: {seconds:.1f} s, CPU {cpu:.1f} s")
        ask(work / "library.kadr", scenes, queries, work)


if __name__ == "__main__":
    main()
