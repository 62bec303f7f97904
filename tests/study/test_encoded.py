"""An encoded archive: every row is the one that its name says."""

from pathlib import Path

import numpy as np
import pytest

from archives import write_archive
from kadr.data import dataset
from kadr.encoders import load_image_encoder, load_text_encoder
from kadr.encoders.vectors import VectorCache
from kadr.matcher import alignment
from kadr.photos import images
from kadr.study import encoded
from kadr.study.encoded import Encoded, Projected
from kadr.types import Dataset


@pytest.fixture(scope="module")
def archive_of_colours(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return dataset.load(write_archive(tmp_path_factory.mktemp("encoded") / "archive"))


def encode(data: Dataset, cache: VectorCache, *, with_test: bool = True) -> Encoded:
    photos, words = load_image_encoder("colours"), load_text_encoder("words")
    return encoded.encode(data, photos, words, cache, with_test=with_test)


@pytest.fixture(scope="module")
def both(archive_of_colours: Dataset, cache: VectorCache) -> Encoded:
    return encode(archive_of_colours, cache)


@pytest.fixture(scope="module")
def sides(both: Encoded) -> Projected:
    n = min(len(both.images), len(both.texts))
    return encoded.project(both, alignment.fit(both.images[:n], both.texts[:n], dim=4))


def test_vectors_are_those_of_the_named_photo_and_text(
    both: Encoded, archive_of_colours: Dataset
) -> None:
    photos, words = load_image_encoder("colours"), load_text_encoder("words")
    paths = {**archive_of_colours.train_images, **archive_of_colours.test_images}
    assert both.image_rows.keys() == paths.keys() == both.digests.keys()
    for name, path in paths.items():
        pixels = photos.prepare(images.decode(path, photos.size))
        np.testing.assert_allclose(
            both.images[both.image_rows[name]], photos.encode([pixels])[0], atol=1e-6
        )
    texts = {i: query.text for i, query in archive_of_colours.queries.items()}
    texts |= {query.id: query.text for query in archive_of_colours.test_queries}
    assert both.query_rows.keys() == texts.keys()
    for query, text in texts.items():
        np.testing.assert_array_equal(both.texts[both.query_rows[query]], words.encode([text])[0])


def test_without_the_test_part(
    both: Encoded, archive_of_colours: Dataset, cache: VectorCache
) -> None:
    part = encode(archive_of_colours, cache, with_test=False)
    assert part.image_rows.keys() == archive_of_colours.train_images.keys()
    assert part.query_rows.keys() == archive_of_colours.queries.keys()
    assert part.image_rows.keys() < both.image_rows.keys()


def some_pairs(both: Encoded, n: int = 40) -> list[tuple[str, str]]:
    rng = np.random.default_rng(0)
    return list(zip(
        rng.choice(sorted(both.query_rows), n).tolist(),
        rng.choice(sorted(both.image_rows), n).tolist(),
        strict=True,
    ))  # fmt: skip


def test_rows_are_those_of_naive_lookups(both: Encoded) -> None:
    pairs = some_pairs(both)
    image_rows, query_rows = both.rows(pairs)
    assert image_rows.dtype == query_rows.dtype == np.intp
    assert image_rows.tolist() == [both.image_rows[image] for _, image in pairs]
    assert query_rows.tolist() == [both.query_rows[query] for query, _ in pairs]
    assert [len(rows) for rows in both.rows([])] == [0, 0]


def test_knows_what_has_both_vectors(both: Encoded) -> None:
    query, image = some_pairs(both, 1)[0]
    assert both.knows((query, image))
    assert not both.knows((query, "nowhere.jpg"))
    assert not both.knows(("nowhere.jpg#0", image))
    assert not both.knows((image, query))


def test_pick_stands_row_by_row(sides: Projected) -> None:
    pairs = some_pairs(sides.encoded)
    picked_images, picked_texts = sides.pick(pairs)
    for row, (query, image) in enumerate(pairs):
        at = sides.encoded.image_rows[image], sides.encoded.query_rows[query]
        np.testing.assert_array_equal(picked_images.raw[row], sides.encoded.images[at[0]])
        np.testing.assert_array_equal(picked_texts.raw[row], sides.encoded.texts[at[1]])
        np.testing.assert_array_equal(
            picked_images.joint.vectors[row], sides.images.joint.vectors[at[0]]
        )
        np.testing.assert_array_equal(
            picked_texts.joint.density[row], sides.texts.joint.density[at[1]]
        )
    assert len(sides.pick([])[0].raw) == 0


def test_cross_holds_each_once_in_the_order_asked(sides: Projected) -> None:
    queries = sorted(sides.encoded.query_rows)[::-2]
    names = sorted(sides.encoded.image_rows)[::-3]
    left, right = sides.cross(queries, names)
    np.testing.assert_array_equal(
        left.raw, np.stack([sides.encoded.images[sides.encoded.image_rows[n]] for n in names])
    )
    np.testing.assert_array_equal(
        right.raw, np.stack([sides.encoded.texts[sides.encoded.query_rows[q]] for q in queries])
    )
    assert (len(left.joint.vectors), len(right.joint.vectors)) == (len(names), len(queries))


def test_a_photo_that_cannot_be_read_has_no_row(tmp_path: Path, cache: VectorCache) -> None:
    data = dataset.load(write_archive(tmp_path / "archive", seed=1))
    victim = sorted(data.train_images)[3]
    data.train_images[victim].write_bytes(data.train_images[victim].read_bytes()[:150])
    found = encode(data, cache)
    assert victim not in found.image_rows
    assert victim not in found.digests
    (why,) = found.skipped
    assert victim in why
    assert sorted(found.image_rows.values()) == list(range(len(found.images)))


def test_what_is_cached_is_not_encoded_again(
    archive_of_colours: Dataset,
    cache: VectorCache,
    both: Encoded,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    photos, words = load_image_encoder("colours"), load_text_encoder("words")
    for encoder in (photos, words):
        monkeypatch.setattr(type(encoder), "encode", lambda *_: pytest.fail("encoded again"))
    calls: list[tuple[str, int, int]] = []
    again = encoded.encode(
        archive_of_colours,
        photos,
        words,
        cache,
        with_test=True,
        on_progress=lambda *c: calls.append(c),
    )
    np.testing.assert_array_equal(again.images, both.images)
    np.testing.assert_array_equal(again.texts, both.texts)
    assert {stage for stage, _, _ in calls} <= {"photos", "texts"}
