"""Figures: only of photos that taught nothing, and as an independent computation finds them."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from kadr.data import dataset, labels
from kadr.data import drawn as scenes
from kadr.encoders import vectors
from kadr.encoders.vectors import VectorCache
from kadr.errors import DataError, PolicyError
from kadr.law import policy as law
from kadr.matcher import bundle as matcher
from kadr.matcher.bundle import Matcher
from kadr.matcher.relevance import Embeddings
from kadr.study import evaluate as flow
from kadr.study.evaluate import EXAMPLES, SHOWN, Asked, Evaluation, evaluate
from kadr.study.figures import PairFigures
from kadr.study.train import Config, train
from kadr.types import Dataset, Floats, Interval, Label

CONFIG = Config(image_encoder="colours", text_encoder="words")
LAW, FREE = law.PRESETS["under-16"], law.PRESETS["none"]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path = tmp_path_factory.mktemp("evaluate") / "archive"
    scenes.generate(path, images=70, seed=5, test_share=0.3)
    return dataset.load(path)


@pytest.fixture(scope="module")
def scorer(drawn: Dataset, cache: VectorCache) -> Matcher:
    return train(drawn, CONFIG, cache).matcher


@pytest.fixture(scope="module")
def found(scorer: Matcher, drawn: Dataset, cache: VectorCache) -> Evaluation:
    return evaluate(scorer, drawn, cache, policy=LAW)


@pytest.fixture(scope="module")
def born_aligned(scorer: Matcher) -> Matcher:
    """The same matcher, as if its joint space had been learned elsewhere."""
    return replace(scorer, manifest={**scorer.manifest, "aligned_elsewhere": True})


@pytest.fixture(scope="module")
def cross_validated(born_aligned: Matcher, drawn: Dataset, cache: VectorCache) -> Evaluation:
    return evaluate(born_aligned, drawn, cache, policy=LAW)


def sides(
    scorer: Matcher, data: Dataset, cache: VectorCache, images: list[str], texts: list[str]
) -> tuple[Embeddings, Embeddings]:
    paths = {**data.train_images, **data.test_images}
    files, _ = vectors.identify([paths[name] for name in images], data.folder, cache)
    pixels = vectors.encode_images(scorer.image_encoder, files, cache).vectors
    words = vectors.encode_texts(scorer.text_encoder, texts, cache)
    return scorer.images(pixels), scorer.texts(words)


def held_out(scorer: Matcher, data: Dataset) -> list[tuple[str, str]]:
    images = set(scorer.manifest["split"]["held_out"])
    return [pair for pair in labels.verdicts(data.judgements) if pair[1] in images]


def figures(found: Evaluation, name: str) -> PairFigures:
    (one,) = (item for item in found.pair_figures if item.name == name)
    return one


def test_pair_figures_are_of_held_out_images(
    found: Evaluation, scorer: Matcher, drawn: Dataset, cache: VectorCache
) -> None:
    pairs = held_out(scorer, drawn)
    verdicts = labels.verdicts(drawn.judgements)
    truth = [verdicts[pair] for pair in pairs]
    texts = [drawn.queries[query].text for query, _ in pairs]
    probability, _ = scorer.pairs(
        *sides(scorer, drawn, cache, [image for _, image in pairs], texts)
    )
    one = figures(found, "image-disjoint")
    assert (one.pairs, one.matches) == (len(pairs), sum(truth))
    assert one.images == len({image for _, image in pairs})
    assert one.roc_auc.value == pytest.approx(roc_auc_score(truth, probability))
    assert one.brier.value == pytest.approx(np.mean((probability - truth) ** 2))


def test_the_law_takes_its_images_from_the_second_set(
    found: Evaluation, scorer: Matcher, drawn: Dataset
) -> None:
    everything = labels.combine(drawn.judgements, drawn.votes)
    matches = [(item.query, item.image) for item in everything if item.target >= 0.5]
    hidden = law.assess(drawn, LAW, matches).images
    legal = [pair for pair in held_out(scorer, drawn) if pair[1] not in hidden]
    assert len(legal) < len(held_out(scorer, drawn))
    assert figures(found, "image-disjoint, after the law").pairs == len(legal)


def test_no_law_no_second_set(scorer: Matcher, drawn: Dataset, cache: VectorCache) -> None:
    free = evaluate(scorer, drawn, cache, policy=FREE, cross_validate=False)
    names = [item.name for item in free.pair_figures] + [item.name for item in free.retrieval]
    assert names == ["image-disjoint", "test queries"]
    assert free.cross_validated is None
    assert not any(example.refused or example.hidden for example in free.examples)
    assert free.asked == Asked(len(drawn.test_queries))
    assert not any(shown.hidden for example in free.examples for shown in example.shown)


def test_a_joint_space_of_this_archive_is_not_cross_validated(found: Evaluation) -> None:
    """It has seen every text, so such figures would flatter."""
    assert found.cross_validated is None
    assert {"image-disjoint", "image-disjoint, after the law"} == {
        item.name for item in found.pair_figures
    }


def test_figures_are_shares_with_intervals_around_them(cross_validated: Evaluation) -> None:
    found = cross_validated
    assert found.cross_validated is not None
    assert len(found.pair_figures) == 4
    shares: list[Interval] = [found.cross_validated.roc_auc]
    for item in found.pair_figures:
        shares += [item.roc_auc, item.average_precision, item.brier]
        shares += [item.expected_calibration_error, item.mae, item.rmse]
        assert -1 <= item.tau_c.value <= 1
        assert 0 < item.constant_mae < 1
        assert 0 < item.constant_rmse < 1
    for one in found.retrieval:
        shares += [one.recall_1, one.recall_5, one.recall_10, one.mean_reciprocal_rank]
    for share in shares:
        assert 0 <= share.low <= share.high <= 1
        assert 0 <= share.value <= 1


def test_constant_is_the_one_that_training_would_give(
    found: Evaluation, scorer: Matcher, drawn: Dataset
) -> None:
    grades = labels.mean_grades(drawn.judgements)
    targets = np.array([(grades[pair] - 1) / 3 for pair in held_out(scorer, drawn)])
    known = scorer.manifest["training_targets"]
    one = figures(found, "image-disjoint")
    assert one.constant_mae == pytest.approx(np.abs(targets - known["median"]).mean())
    assert one.constant_rmse == pytest.approx(math.sqrt(((targets - known["mean"]) ** 2).mean()))


class _Spy:
    """Stands for a head: remembers what it learned from and what it was asked."""

    def __init__(self, items: Sequence[Label]) -> None:
        self.items = items
        self.asked: Embeddings | None = None

    def probability(self, images: Embeddings, texts: Embeddings) -> Floats:
        self.asked = texts
        return np.linspace(0, 1, len(images.raw))


def test_heads_of_the_query_disjoint_set_saw_neither_image_nor_text(
    born_aligned: Matcher, drawn: Dataset, cache: VectorCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = sorted({j.query for j in drawn.judgements})
    text = drawn.queries[ids[0]].text  # two queries of one text belong to one fold
    queries = {**drawn.queries, ids[1]: replace(drawn.queries[ids[1]], text=text)}
    spies: list[_Spy] = []

    def learn(_m: object, _e: object, items: Sequence[Label], *_rest: object) -> _Spy:
        spies.append(_Spy(items))
        return spies[-1]

    monkeypatch.setattr(flow, "_learn", learn)
    monkeypatch.setattr(flow, "_cross_validated", lambda *_: None)
    found = evaluate(born_aligned, replace(drawn, queries=queries), cache, policy=LAW)
    held = set(born_aligned.manifest["split"]["held_out"])
    assert len(spies) == 5
    for spy in spies:
        assert spy.items
        assert spy.asked is not None
        assert held.isdisjoint(item.image for item in spy.items)
        known = born_aligned.text_encoder.encode([queries[i.query].text for i in spy.items])
        learned = {row.tobytes() for row in known}
        assert learned.isdisjoint(row.tobytes() for row in spy.asked.raw)
    one = figures(found, "query-disjoint head")
    assert one.pairs == figures(found, "image-disjoint").pairs


def test_sets_that_are_not_measured_have_a_reason(
    scorer: Matcher, drawn: Dataset, cache: VectorCache
) -> None:
    """`scorer` fitted its joint space to this archive; nobody asked for test queries."""
    without = replace(drawn, test_queries=())
    found = evaluate(scorer, without, cache, policy=FREE)
    assert found.unmeasured == {
        "query-disjoint head": "fitted",
        "published protocols": "fitted",
        "test queries": "no_queries",
    }
    agreed = [replace(item, grade=1) for item in drawn.judgements]
    alike = evaluate(
        scorer, replace(drawn, judgements=tuple(agreed)), cache, policy=FREE, cross_validate=False
    )
    assert alike.unmeasured == {"image-disjoint": "alike"}
    assert alike.pair_figures == ()


def test_thresholds_are_of_the_pairs_that_the_figures_are_of(found: Evaluation) -> None:
    main = found.pair_figures[0]
    assert all(item.shown <= main.pairs for item in found.thresholds)
    assert sum(item.count for item in found.reliability) == main.pairs
    for item in found.thresholds:
        assert item.recall.value == pytest.approx(item.matches / main.matches)


def test_a_matcher_that_saw_every_photo_is_not_measured(drawn: Dataset, cache: VectorCache) -> None:
    every = train(drawn, replace(CONFIG, test_share=0), cache).matcher
    with pytest.raises(DataError, match="every judged image"):
        evaluate(every, drawn, cache, policy=LAW)


def test_photos_are_known_by_their_bytes_not_their_names(
    scorer: Matcher, drawn: Dataset, cache: VectorCache
) -> None:
    """Renamed in the manifest's split or not, a photo that taught is not measured."""
    one = held_out(scorer, drawn)[0][1]
    (file,), _ = vectors.identify([drawn.train_images[one]], drawn.folder, cache)
    photos = [*scorer.manifest["training_photos"], file.digest]
    taught = replace(scorer, manifest={**scorer.manifest, "training_photos": photos})
    before = evaluate(scorer, drawn, cache, policy=FREE, cross_validate=False)
    after = evaluate(taught, drawn, cache, policy=FREE, cross_validate=False)
    lost = sum(image == one for _, image in held_out(scorer, drawn))
    assert before.pair_figures[0].pairs - after.pair_figures[0].pairs == lost > 0


def test_ranks_are_those_of_an_independent_computation(
    found: Evaluation, scorer: Matcher, drawn: Dataset, cache: VectorCache
) -> None:
    names = sorted(drawn.test_images)
    texts = [query.text for query in drawn.test_queries]
    photos, words = sides(scorer, drawn, cache, names, texts)
    ranks = []
    for row, query in enumerate(drawn.test_queries):
        text = words.take(np.full(len(names), row, dtype=np.intp))
        probability = scorer.pairs(photos, text)[0]
        own = probability[names.index(str(query.image))]
        ranks.append(1 + int((probability > own).sum()))
    one = found.retrieval[0]
    assert (one.name, one.queries, one.images) == ("test queries", len(texts), len(names))
    for k, recall in ((1, one.recall_1), (5, one.recall_5), (10, one.recall_10)):
        assert recall.value == pytest.approx(np.mean([rank <= k for rank in ranks]))
    assert one.mean_reciprocal_rank.value == pytest.approx(np.mean([1 / rank for rank in ranks]))
    assert one.median_rank == np.median(ranks)
    by_text = {(query.text, query.image): rank
               for query, rank in zip(drawn.test_queries, ranks, strict=True)}  # fmt: skip
    for example in (*found.examples, *found.failures):
        assert example.rank == by_text[example.text, example.image]


def test_examples_say_what_the_law_hides(found: Evaluation, drawn: Dataset) -> None:
    everything = labels.combine(drawn.judgements, drawn.votes)
    matches = [(item.query, item.image) for item in everything if item.target >= 0.5]
    hidden = law.assess(drawn, LAW, matches).images
    assert len(found.examples) == EXAMPLES
    for example in found.examples:
        assert example.refused is bool(law.refuses(LAW, example.text))
        assert example.hidden is (example.image in hidden)
        assert len(example.shown) == SHOWN
        for shown in example.shown:
            assert shown.hidden is (shown.image in hidden)
            assert shown.right is (shown.image == example.image)
        probabilities = [shown.probability for shown in example.shown]
        assert probabilities == sorted(probabilities, reverse=True)
    assert any(example.refused for example in found.examples)
    assert any(shown.hidden for example in found.examples for shown in example.shown)
    assert not any(example.refused or example.hidden for example in found.failures)
    queries = drawn.test_queries
    refused = [bool(law.refuses(LAW, query.text)) for query in queries]
    only_hidden = [q.image in hidden and not no for q, no in zip(queries, refused, strict=True)]
    assert found.asked == Asked(len(queries), sum(refused), sum(only_hidden))
    after = found.retrieval[1].queries
    assert 0 < after == len(queries) - sum(refused) - sum(only_hidden)
    worst = [example.rank for example in found.failures]
    assert worst == sorted(worst, reverse=True)


def test_seed_chooses_the_examples(
    found: Evaluation, scorer: Matcher, drawn: Dataset, cache: VectorCache
) -> None:
    other = evaluate(scorer, drawn, cache, policy=LAW, cross_validate=False, seed=1)
    assert other.examples != found.examples
    assert other.pair_figures == found.pair_figures


@pytest.mark.archive
def test_shipped_matcher_keeps_its_promises(
    archive: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    session = VectorCache(tmp_path_factory.getbasetemp() / "archive.sqlite")
    found = evaluate(
        matcher.load(), dataset.load(archive), session, policy=LAW, cross_validate=False
    )
    session.close()
    pairs, test = figures(found, "image-disjoint"), found.retrieval[0]
    recalls = (test.recall_1.value, test.recall_5.value, test.recall_10.value)
    ece = pairs.expected_calibration_error.value
    print(f"ROC-AUC {pairs.roc_auc.value:.4f}, ECE {ece:.4f}, recall@1/5/10 {recalls}")
    assert (test.queries, test.images) == (500, 100)
    assert pairs.roc_auc.value >= 0.91
    assert ece <= 0.03
    assert all(value >= floor for value, floor in zip(recalls, (0.54, 0.84, 0.91), strict=True))


def test_a_manifest_names_no_policy_file(
    born_aligned: Matcher, drawn: Dataset, cache: VectorCache, tmp_path: Path
) -> None:
    """A matcher from elsewhere can't make kadr read a file of this machine."""
    rules = tmp_path / "rules.toml"
    rules.write_text('[policies.mine]\nextends = "none"\n', encoding="utf-8")
    config = {**born_aligned.manifest["config"], "policy": str(rules)}
    noted = replace(born_aligned, manifest={**born_aligned.manifest, "config": config})
    assert evaluate(noted, drawn, cache, policy=LAW, cross_validate=False).policy == LAW.name
    older = {key: value for key, value in noted.manifest.items() if key != "policy"}
    foreign = replace(born_aligned, manifest=older)
    with pytest.raises(PolicyError, match="There is no policy"):
        evaluate(foreign, drawn, cache, policy=LAW)
