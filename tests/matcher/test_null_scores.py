"""Probabilities without judgements: what they compare, and that they mean the same everywhere."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kadr.encoders import load_image_encoder, load_text_encoder
from kadr.errors import BundleError, KadrError
from kadr.library.library import Library
from kadr.matcher import bundle, label_free, null_scores, reference_texts
from kadr.matcher.bundle import MANIFEST, Matcher
from kadr.matcher.null_scores import NullScores
from kadr.matcher.relevance import Embeddings
from kadr.photos import files
from kadr.types import Vectors
from libraries import assess, colour_matcher, paint

DIM = 48


def unit(rows: Vectors) -> Vectors:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def planted(seed: int, count: int, noise: float = 1.0) -> tuple[Vectors, Vectors]:
    """Photos and their texts: two views of one vector."""
    random = np.random.default_rng(seed)
    meant = random.normal(size=(count, DIM))
    views = (meant + noise * random.normal(size=(count, DIM)) for _ in range(2))
    photos, texts = (unit(view.astype(np.float32)) for view in views)
    return photos, texts


def made(photos: Vectors | None = None, scale: float = 1.0, shift: float = 0.0) -> Matcher:
    """A matcher of such a space; `scale` and `shift` make its cosines those of another encoder."""
    captions = squeezed(planted(1, 400)[1], scale, shift)
    space = label_free.shared(captions)
    fakes = load_image_encoder("colours"), load_text_encoder("words")
    found = Matcher("colours", "words", *fakes, space, NullScores.learn(space.text_bank))
    return found if photos is None else found.among(lambda: photos)


def squeezed(rows: Vectors, scale: float, shift: float) -> Vectors:
    """Unit vectors whose cosines are scaled and shifted, by another part that all share."""
    common = np.full((len(rows), 1), np.sqrt(shift), np.float32)
    rest = np.zeros((len(rows), 1), np.float32)
    kept = np.sqrt(scale) * rows
    return unit(np.hstack([kept, common, rest]))


def sides(matcher: Matcher, photos: Vectors, texts: Vectors) -> tuple[Embeddings, Embeddings]:
    return matcher.images(photos), matcher.texts(texts)


@pytest.mark.parametrize("known", [True, False])
def test_pairs_that_belong_together_are_more_probable(*, known: bool) -> None:
    photos, texts = (squeezed(rows, 1, 0.2) for rows in planted(2, 300))
    matcher = made(photos if known else None, shift=0.2)
    table = matcher.relevance.table(*sides(matcher, photos, texts))
    assert table.shape == (300, 300)
    assert ((table > 0) & (table < 1)).all()
    own = np.diag(table)
    assert np.median(own) > 0.5
    assert np.median(table) < 0.1


def test_cosines_of_another_scale_mean_the_same() -> None:
    """As CLIP's, which lie between 0.1 and 0.35."""
    photos, texts = planted(2, 200)
    tables = []
    for scale, shift in ((1.0, 0.0), (0.2, 0.2)):
        seen, said = (squeezed(rows, scale, shift) for rows in (photos, texts))
        matcher = made(seen, scale, shift)
        tables.append(matcher.relevance.table(*sides(matcher, seen, said)))
    np.testing.assert_allclose(tables[0], tables[1], atol=0.01)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**16), count=st.integers(1, 30), texts=st.integers(1, 6))
def test_a_pair_s_probability_does_not_depend_on_the_pairs_beside_it(
    seed: int, count: int, texts: int
) -> None:
    random = np.random.default_rng(seed)
    photos, words = planted(seed, 30)
    matcher = made(squeezed(photos, 1, 0), 1, 0)
    seen, said = sides(matcher, squeezed(photos, 1, 0), squeezed(words, 1, 0))
    left = random.integers(0, 30, count).astype(np.intp)
    right = random.integers(0, texts, count).astype(np.intp)
    together = matcher.relevance.probability(seen.take(left), said.take(right))
    whole = matcher.relevance.table(seen, said)
    np.testing.assert_allclose(together, whole[right, left], atol=1e-5)


def test_a_photo_more_in_the_library_hardly_matters_and_none_is_no_error() -> None:
    photos, texts = (squeezed(rows, 1, 0) for rows in planted(4, 200))
    matcher = made(None)
    probabilities = []
    for library in (photos, photos[:-1], photos[:0]):
        among = matcher.among(partial(np.asarray, library))
        probabilities.append(among.relevance.table(*sides(among, photos[:20], texts[:20])))
    np.testing.assert_allclose(probabilities[0], probabilities[1], atol=0.02)
    assert isinstance(among.relevance, NullScores)
    assert among.relevance.photos is None


@pytest.mark.parametrize("count", [1, 50])
def test_photos_that_are_all_alike_make_nothing_certain(count: int) -> None:
    photos, texts = (squeezed(rows, 1, 0) for rows in planted(4, 20))
    matcher = made(np.repeat(photos[:1], count, axis=0))
    table = matcher.relevance.table(*sides(matcher, photos[:1], texts))
    assert np.ptp(table) < 0.99
    assert ((table > 1e-6) & (table < 1 - 1e-6)).all()


def test_a_matcher_that_learned_from_judgements_asks_for_no_photos() -> None:
    judged = colour_matcher()
    assert judged.among(lambda: pytest.fail("asked")) is judged


def test_a_bundle_keeps_them_and_not_the_photos(tmp_path: Path) -> None:
    photos, texts = (squeezed(rows, 1, 0) for rows in planted(4, 50))
    matcher = made(photos)
    bundle.save(matcher, tmp_path / "bundle")
    again = bundle.load(tmp_path / "bundle")
    assert isinstance(again.relevance, NullScores)
    assert again.relevance.photos is None
    ours = matcher.among(lambda: photos[:0])
    for one, other in zip(*(m.pairs(*sides(m, photos, texts)) for m in (ours, again)), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("closeness", [[1.0], [1.0, 2.0, 3.0], [0.0, 0.0], [np.nan, 1.0]])
def test_broken_arrays_are_refused(closeness: list[float]) -> None:
    with pytest.raises(ValueError, match=r"unpack|closeness"):
        null_scores.restore({"closeness": np.array(closeness)})
    with pytest.raises(KeyError):
        null_scores.restore({})


def test_a_forged_manifest_is_a_broken_bundle(tmp_path: Path) -> None:
    bundle.save(colour_matcher(), tmp_path / "bundle")
    manifest = tmp_path / "bundle" / MANIFEST
    text = manifest.read_text(encoding="utf-8")
    forged = text.replace('"relevance": {', '"relevance": {"judged": false,')
    manifest.write_text(forged, encoding="utf-8")
    with pytest.raises(BundleError, match="closeness"):
        bundle.load(tmp_path / "bundle")


class TestBuild:
    def test_encoders_without_a_space_in_common_are_refused(self) -> None:
        with pytest.raises(KadrError, match="48 figures, words of 64"):
            label_free.build("colours", "words")

    def test_it_is_a_matcher_that_knows_things(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(type(load_text_encoder("words")), "dim", 48)
        told: list[tuple[int, int]] = []
        found = label_free.build("colours", "words", lambda *done: told.append(done))
        count = len(reference_texts.captions()) + len(reference_texts.things())
        assert told[-1] == (count, count)
        assert len(found.alignment.text_bank) == 1000
        assert len(found.alignment.thing_bank) > 400, "which differ to an encoder of words"
        assert isinstance(found.relevance, NullScores)


def fake_matcher() -> Matcher:
    """The fakes' matcher, without judgements."""
    space = label_free.shared(unit(np.random.default_rng(0).random((200, 48)).astype(np.float32)))
    words = np.random.default_rng(1).random((64, 48)).astype(np.float32)
    space = replace(space, text_map=words, text_mean=np.zeros(64, np.float32))
    return replace(colour_matcher(), alignment=space, relevance=NullScores.learn(space.text_bank))


def log_odds(probability: float | None) -> float:
    assert probability is not None
    return float(np.log(probability) - np.log1p(-probability))


@pytest.mark.parametrize("asked_before", [True, False])
def test_what_is_explained_is_the_probability_that_is_shown(
    tmp_path: Path, asked_before: bool
) -> None:
    """A word's effect is what the text loses without it, among the library's photos."""
    for seed in range(12):
        paint(tmp_path / "photos" / f"{seed}.png", seed)
    with Library.open(tmp_path / "a.kadr", model=fake_matcher()) as library:
        library.index([tmp_path / "photos"])
        shown, without = (library.search(text, 20) for text in ("red dog", "dog"))
    rest = {hit.image.id: log_odds(hit.probability) for hit in without.hits}
    with Library.open(tmp_path / "a.kadr", model=fake_matcher()) as library:
        if asked_before:
            library.search("blue", 1)
        told = library.explained("red dog", shown)
        for hit in told.hits:
            assert hit.explanation is not None
            lost = log_odds(hit.probability) - rest[hit.image.id]
            assert hit.explanation.words[0].effect == pytest.approx(lost, abs=1e-4)
            score, why = library.explain("red dog", int(hit.image.id))
            assert score.probability == pytest.approx(hit.probability, abs=1e-5)
            assert why.words[0].effect == pytest.approx(lost, abs=1e-4)


def test_hidden_photos_change_no_probability(tmp_path: Path) -> None:
    """What is hidden is no part of the photos that a text is compared with."""
    matcher = fake_matcher()
    said = []
    for hidden in ((), (40, 41)):
        folder = tmp_path / str(len(hidden))
        seeds = (*range(12), *hidden)
        paths = [paint(folder / "photos" / f"{seed}.png", seed) for seed in seeds]
        with Library.open(folder / "a.kadr", model=matcher) as library:
            library.index([folder / "photos"])  # without a law: mini finds such pictures alike
        with Library.open(folder / "a.kadr", model=matcher, policy="under-16") as library:
            numbers = [library.photo_number(files.digest(path)) for path in paths]
            assess(library.store, dict.fromkeys(filter(None, numbers[:12]), 0.0))
            assess(library.store, dict.fromkeys(filter(None, numbers[12:]), 0.99))
            answer = library.search("a red dog", 20)
        said.append({hit.image.path.name: hit.probability for hit in answer.hits})
    assert said[0].keys() == said[1].keys() == {f"{seed}.png" for seed in range(12)}
    assert said[0] == pytest.approx(said[1], abs=1e-6)


def test_the_texts_are_many_and_differ() -> None:
    for texts in (reference_texts.captions(), reference_texts.things()):
        assert len(texts) >= 1000
        assert all(text == text.strip() != "" for text in texts)
    things = reference_texts.things()
    assert len(set(things)) == len(things)
