"""Perceptual hashes are those of ImageHash; parts without content have none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kadr.photos import hashes

imagehash = pytest.importorskip("imagehash")


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.tuples(st.integers(40, 300), st.integers(40, 300)),
    mode=st.sampled_from(["RGB", "L"]),
)
def test_they_are_those_of_imagehash(seed: int, size: tuple[int, int], mode: str) -> None:
    cells = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    image = Image.fromarray(cells).resize(size, Image.Resampling.BICUBIC).convert(mode)
    small = image.reduce(max(1, min(size) // 128))
    theirs = int(str(imagehash.phash(small)), 16)
    # Two frequencies that are all but equal may lie on either side of the median.
    assert (theirs ^ hashes.perceptual_hash(image)).bit_count() <= 2
    assert len(hashes.part_hashes(image)) == 7


def test_plain_parts_have_no_hash() -> None:
    image = Image.new("RGB", (200, 200), "teal")
    assert set(hashes.part_hashes(image)) == {0}
    noise = np.random.default_rng(1).integers(0, 256, (100, 100, 3), dtype=np.uint8)
    image.paste(Image.fromarray(noise), (0, 0))
    whole, first, *others = hashes.part_hashes(image)[:5]
    assert whole
    assert first
    assert others == [0, 0, 0]


def test_the_picture_in_a_frame_is_the_picture() -> None:
    cells = np.random.default_rng(3).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    picture = Image.fromarray(cells).resize((256, 256), Image.Resampling.BICUBIC)
    sheet = Image.new("RGB", (420, 480), (240, 240, 240))
    sheet.paste(picture, (80, 100))
    within, whole = hashes.part_hashes(sheet)[6], hashes.part_hashes(picture)[0]
    assert (within ^ whole).bit_count() <= 8
