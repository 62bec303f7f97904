"""Damaged photos by the thousand: each is decoded or refused, with little work and memory.

By hand, on as many files made of a folder's photos as wanted:
python tests/photos/test_fuzz_images.py fuzz FOLDER COUNT
"""

import io
import json
import os
import random
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pillow_heif
import pytest
from PIL import Image

from calls import Calls
from kadr.data.drawn.dice import Dice
from kadr.data.drawn.picture import draw
from kadr.data.drawn.scene import compose
from kadr.errors import ImageError
from kadr.photos.images import read

CORPUS = 1200
MOST_CALLS = 10
"""Calls of functions that a file may cost for each of its bytes, and of 500 more."""
GROWTH = 500
"""MB that may be added to what the first whole photos took."""

MAGIC = (
    *(b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0", b"MM\0*", bytes(8)),
    *(b"RIFF\xff\xff\xff\xffWEBPVP8X", b"\0\0\0\x18ftypheic", b"\0\0\0\x18ftypavif"),
)

FORMS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "HEIF")

Damage = Callable[[bytearray, random.Random], bytes | bytearray]


def exif() -> bytes:
    tags = Image.Exif()
    tags[0x010F] = "NIKON CORPORATION"
    tags[0x0110] = "NIKON D90"
    tags[0x0112] = 6
    tags[0x8769] = {0x9003: "2021:07:03 18:05:09"}
    tags[0x8825] = {1: "S", 2: (33.0, 51.0, 27.0), 3: "E", 4: (151.0, 12.0, 54.0)}
    return tags.tobytes()


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    if form == "HEIF":
        pillow_heif.from_pillow(image).save(file, exif=exif(), quality=50)
    elif "compression" in options:  # Pillow can't write EXIF into these
        image.save(file, form, **options)
    else:
        image.save(file, form, exif=exif(), **options)
    return file.getvalue()


def whole_photos(pictures: Sequence[Image.Image]) -> list[bytes]:
    """Each picture in every format, the first in odd modes too."""
    files = [encoded(picture, form) for picture in pictures for form in FORMS]
    first, *others = pictures
    deep = first.convert("L").convert("I;16")
    return [
        *files,
        encoded(first, "JPEG", progressive=True),
        encoded(first.convert("CMYK"), "JPEG"),
        encoded(first.convert("RGBA"), "PNG"),
        encoded(first.quantize(16), "PNG", transparency=3),
        encoded(deep, "PNG"),
        encoded(deep, "TIFF", compression="tiff_deflate"),
        encoded(first, "TIFF", compression="tiff_lzw"),
        encoded(first, "TIFF", compression="jpeg"),
        encoded(first.convert("F"), "TIFF"),
        encoded(first.convert("RGBA"), "WEBP", lossless=True),
        *(encoded(first, form, save_all=True, append_images=others) for form in ("GIF", "PNG")),
        encoded(first, "WEBP", save_all=True, append_images=others),
        encoded(first, "MPO", save_all=True, append_images=others),
    ]


def truncated(file: bytearray, dice: random.Random) -> bytearray:
    return file[: dice.randrange(len(file))]


def head_flipped(file: bytearray, dice: random.Random) -> bytearray:
    return _flipped(file, dice, 300)


def body_flipped(file: bytearray, dice: random.Random) -> bytearray:
    return _flipped(file, dice, len(file))


def _flipped(file: bytearray, dice: random.Random, reach: int) -> bytearray:
    for _ in range(dice.randint(1, 12)):
        file[dice.randrange(min(reach, len(file)))] ^= 1 << dice.randrange(8)
    return file


def zeroed(file: bytearray, dice: random.Random) -> bytearray:
    start, end = _range(file, dice)
    file[start:end] = bytes(end - start)
    return file


def repeated(file: bytearray, dice: random.Random) -> bytearray:
    start, end = _range(file, dice)
    return file[:end] + file[start:end] * dice.choice((1, 3)) + file[end:]


def swapped(file: bytearray, dice: random.Random) -> bytearray:
    one, two, three = sorted(dice.randrange(len(file)) for _ in range(3))
    return file[:one] + file[two:three] + file[one:two] + file[three:]


def _range(file: bytearray, dice: random.Random) -> tuple[int, int]:
    start = dice.randrange(len(file))
    return start, min(len(file), start + dice.choice((4, 40, 400, 4000)))


def with_insane_numbers(file: bytearray, dice: random.Random) -> bytearray:
    """Sizes, counts and offsets of the header become huge, negative or odd."""
    for _ in range(dice.randint(1, 3)):
        start = dice.randrange(min(200, len(file) - 4))
        number = dice.choice((0, 1, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFFF0))
        kinds = ("<I", ">I") if number > 0xFFFF else ("<I", ">I", "<H", ">H")
        packed = struct.pack(dice.choice(kinds), number)
        file[start : start + len(packed)] = packed
    return file


def with_wrong_magic(file: bytearray, dice: random.Random) -> bytearray:
    new = dice.choice(MAGIC)
    return bytearray(new) + file[len(new) :]


def with_garbage(file: bytearray, dice: random.Random) -> bytes:
    return bytes(file) + dice.randbytes(dice.choice((1, 100, 10_000)))


def with_broken_exif(file: bytearray, dice: random.Random) -> bytearray:
    start = file.find(exif()[6:14])
    if start < 0:  # a format without EXIF, or with one of its own
        return _flipped(file, dice, 300)
    for _ in range(dice.randint(1, 40)):
        place = start + dice.randrange(len(exif()) - 6)
        file[place] = dice.choice((0, 255, dice.randrange(256)))
    return file


DAMAGES: tuple[Damage, ...] = (
    truncated,
    head_flipped,
    body_flipped,
    zeroed,
    repeated,
    swapped,
    with_insane_numbers,
    with_wrong_magic,
    with_garbage,
    with_broken_exif,
)


def write_corpus(folder: Path, photos: Sequence[bytes], count: int, seed: int) -> None:
    """The same damaged files for the same photos, count and seed."""
    dice = random.Random(seed)
    for number in range(count):
        damage = DAMAGES[number % len(DAMAGES)]
        file = bytearray(photos[dice.randrange(len(photos))])
        if number % 23 == 22:  # two files glued
            file = file[: dice.randrange(len(file))] + dice.choice(photos)
        suffix = dice.choice((".jpg", ".png", ".heic", ""))
        name = f"{number:06d}-{damage.__name__.replace('_', '-')}{suffix}"
        (folder / name).write_bytes(damage(file, dice))


def judge(folder: Path) -> dict[str, Any]:
    """Reads every file: what became of it, the most calls a byte, the growth of this process."""
    outcomes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    costliest, before = (0.0, ""), 0.0
    for number, path in enumerate(sorted(folder.iterdir())):
        calls = Calls()
        try:
            with calls:
                photo, _ = read(path, 64)
            assert photo.mode == "RGB", path
            assert min(photo.size) > 0, path
            photo.tobytes()
            outcomes["decoded"] += 1
        except ImageError as error:
            assert "\n" not in str(error), path
            assert str(path) not in str(error), path
            outcomes["refused"] += 1
            reasons[str(error)] += 1
        costliest = max(costliest, (calls.count / (path.stat().st_size + 500), path.name))
        if number == 50:
            before = peak_memory()
    growth = peak_memory() - before
    return {
        **outcomes,
        "costliest": costliest,
        "growth": growth,
        "reasons": reasons.most_common(40),
    }


def peak_memory() -> float:
    """MB of this process at its largest."""
    resource = pytest.importorskip("resource")
    peak: float = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def judged_apart(folder: Path, seconds: float) -> dict[str, Any]:
    """In a process of its own, so that a crash, a hang or a hunger for memory is seen."""
    run = subprocess.run(
        [sys.executable, "-W", "error", __file__, "judge", str(folder)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert not run.stderr, f"a decoder wrote to the terminal: {run.stderr[:2000]}"
    verdict: dict[str, Any] = json.loads(run.stdout)
    return verdict


def assert_safe(verdict: dict[str, Any], count: int) -> None:
    assert verdict["decoded"] + verdict["refused"] == count
    assert min(verdict["decoded"], verdict["refused"]) > count / 10
    assert verdict["costliest"][0] < MOST_CALLS
    assert verdict["growth"] < GROWTH


def test_damaged_photos_are_decoded_or_refused(tmp_path: Path) -> None:
    scenes = (compose(Dice(3, number), with_child=False) for number in range(2))
    pictures = [draw(scene, Dice(4)).resize((96, 72)) for scene in scenes]
    write_corpus(tmp_path, whole_photos(pictures), CORPUS, seed=5)
    assert_safe(judged_apart(tmp_path, 120), CORPUS)


@pytest.mark.archive
def test_damaged_photos_of_the_archive_are_decoded_or_refused(
    archive: Path, tmp_path: Path
) -> None:
    paths = islice(sorted((archive / "train_images").iterdir()), 0, 200, 4)
    photos = [path.read_bytes() for path in paths]
    write_corpus(tmp_path, photos, 500, seed=6)
    assert_safe(judged_apart(tmp_path, 120), 500)


def photos_of(folder: Path, count: int) -> list[bytes]:
    """Photos as they lie in a folder, and small copies in the other formats."""
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    chosen = paths[:: max(1, len(paths) // count)][:count]
    small = [read(path, 96)[0].resize((120, 90)) for path in chosen[:20]]
    return [*(path.read_bytes() for path in chosen), *whole_photos(small)]


def main(command: str, folder: Path, count: int = 10_000) -> None:
    if command == "judge":
        print(json.dumps(judge(folder)))
    else:
        with TemporaryDirectory() as corpus:
            write_corpus(Path(corpus), photos_of(folder, 300), count, seed=7)
            print(json.dumps(judged_apart(Path(corpus), 3600), indent=1))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:]))
