"""Training: the split is the brief's, held-out photos teach nothing, equal inputs equal bundles."""

import json
import math
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.model_selection import GroupShuffleSplit

from kadr.data import Judges, dataset
from kadr.data import drawn as scenes
from kadr.encoders import load_image_encoder, load_text_encoder
from kadr.encoders.vectors import VectorCache
from kadr.errors import DataError, KadrError
from kadr.law import policy as law
from kadr.matcher import Classifier, heads
from kadr.matcher import bundle as matcher
from kadr.matcher.alignment import Alignment
from kadr.matcher.bundle import MANIFEST, WEIGHTS
from kadr.matcher.relevance import Relevance
from kadr.study import encoded
from kadr.study.train import Config, Trained, fit_alignment, gather, split, train
from kadr.study.train import learn as learn_head
from kadr.types import Dataset, Judgement, Label
from libraries import judged

CONFIG = Config(image_encoder="colours", text_encoder="words")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("train") / "archive"
    scenes.generate(path, images=50, seed=1)
    return path


@pytest.fixture(scope="module")
def drawn(folder: Path) -> Dataset:
    return dataset.load(folder)


def learn(data: Dataset, config: Config = CONFIG) -> Trained:
    cache = VectorCache(Path(":memory:"))
    try:
        return train(data, config, cache)
    finally:
        cache.close()


def weights(trained: Trained, folder: Path) -> bytes:
    return (matcher.save(trained.matcher, folder) / WEIGHTS).read_bytes()


@pytest.fixture(scope="module")
def trained(drawn: Dataset) -> Trained:
    return learn(drawn)


def images_of(trained: Trained, part: str) -> set[str]:
    return set(trained.matcher.manifest["split"][part])


def opposite(judgement: Judgement) -> Judgement:
    return replace(judgement, grade=5 - judgement.grade)


def contradicted(data: Dataset, images: set[str]) -> Dataset:
    """The archive with every judgement of these images turned into its opposite."""
    return replace(
        data,
        judgements=tuple(opposite(j) if j.image in images else j for j in data.judgements),
        votes=tuple(replace(v, yes=v.no, no=v.yes) if v.image in images else v for v in data.votes),
    )


def test_split_is_scikit_learns_over_sorted_images() -> None:
    images = [f"{number:03}.jpg" for number in random.Random(4).sample(range(1000), 87)]
    splitter = GroupShuffleSplit(1, test_size=0.3, random_state=42)
    train_rows, test_rows = next(splitter.split(sorted(images), groups=sorted(images)))
    expected = tuple(tuple(sorted(images)[row] for row in rows) for rows in (train_rows, test_rows))
    assert split(sorted(images), 0.3, 42) == expected
    assert split(sorted(images), 0.3, 43) != expected


def test_manifest_holds_the_same_split_under_both_laws(drawn: Dataset, trained: Trained) -> None:
    part = split(sorted(drawn.train_images), 0.3, 42)
    expected = {"training": list(part[0]), "held_out": list(part[1])}
    assert trained.matcher.manifest["split"] == expected
    assert learn(drawn, replace(CONFIG, policy="none")).matcher.manifest["split"] == expected


def test_an_archive_of_one_image_cannot_be_split() -> None:
    with pytest.raises(DataError, match="1 images can't be split"):
        split(["a.jpg"], 0.3, 42)


def test_held_out_judgements_teach_nothing(
    drawn: Dataset, trained: Trained, tmp_path: Path
) -> None:
    before = weights(trained, tmp_path / "before")
    held_out = contradicted(drawn, images_of(trained, "held_out"))
    assert weights(learn(held_out), tmp_path / "held-out") == before
    taught = contradicted(drawn, set(sorted(images_of(trained, "training"))[:2]))
    assert weights(learn(taught), tmp_path / "taught") != before


def test_held_out_photos_teach_nothing(folder: Path, trained: Trained, tmp_path: Path) -> None:
    def spoil(part: str) -> Dataset:
        copy = shutil.copytree(folder, tmp_path / part)
        noise = np.random.default_rng(0)
        for name in sorted(images_of(trained, part)):
            pixels = noise.integers(0, 255, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(copy / "train_images" / name)
        return dataset.load(copy)

    before = weights(trained, tmp_path / "before")
    assert weights(learn(spoil("held_out")), tmp_path / "after") == before
    assert weights(learn(spoil("training")), tmp_path / "control") != before


def test_same_inputs_give_the_same_bytes(drawn: Dataset, trained: Trained, tmp_path: Path) -> None:
    one = matcher.save(trained.matcher, tmp_path / "one")
    two = matcher.save(learn(drawn).matcher, tmp_path / "two")
    for name in (WEIGHTS, MANIFEST):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_law_keeps_flagged_images_out_of_training(drawn: Dataset, trained: Trained) -> None:
    free = learn(drawn, replace(CONFIG, policy="none"))
    assert free.exclusions.images_removed == 0
    assert free.exclusions.pairs_removed == 0
    assert trained.exclusions.images_removed > 0
    assert trained.exclusions.images_total == len(drawn.train_images)
    assert trained.matcher.manifest["pairs"] < free.matcher.manifest["pairs"]
    assert trained.matcher.manifest["excluded_images"] == trained.exclusions.images_removed


def test_an_image_is_flagged_by_its_own_caption(drawn: Dataset, tmp_path: Path) -> None:
    """Whatever is said of an image whose caption names a child changes no weight."""
    named = {
        str(query.image)
        for query in drawn.queries.values()
        if law.refuses(law.PRESETS["under-16"], query.text)
    }
    training = set(split(sorted(drawn.train_images), 0.3, 42)[0])
    flagged = named & training
    assert flagged
    for policy, same in (("under-16", True), ("none", False)):
        config = replace(CONFIG, policy=policy)
        # The prior of the crowd's votes comes from all training votes, so only experts are turned.
        turned = replace(
            drawn,
            judgements=tuple(
                opposite(j) if j.image in flagged and j.query not in _children(drawn) else j
                for j in drawn.judgements
            ),
        )
        one = weights(learn(drawn, config), tmp_path / f"{policy}-one")
        two = weights(learn(turned, config), tmp_path / f"{policy}-two")
        assert (one == two) is same


def _children(data: Dataset) -> set[str]:
    rules = law.PRESETS["under-16"]
    return {query.id for query in data.queries.values() if law.refuses(rules, query.text)}


def _few_images(data: Dataset) -> Dataset:
    few = set(sorted(data.train_images)[:5])
    return replace(
        data,
        judgements=tuple(j for j in data.judgements if j.image in few),
        votes=tuple(v for v in data.votes if v.image in few),
    )


def _all_alike(data: Dataset) -> Dataset:
    return replace(
        data,
        judgements=tuple(replace(j, grade=1) for j in data.judgements),
        votes=tuple(replace(v, yes=0, no=3) for v in data.votes),
    )


def _no_judgement(data: Dataset) -> Dataset:
    return replace(data, judgements=(), votes=())


@pytest.mark.parametrize("spoil", [_few_images, _all_alike, _no_judgement])
def test_too_little_to_learn_from_is_said(drawn: Dataset, spoil: object) -> None:
    assert callable(spoil)
    with pytest.raises(DataError, match="left to learn from"):
        learn(spoil(drawn))


def test_no_test_share_trains_on_all(drawn: Dataset) -> None:
    every = learn(drawn, replace(CONFIG, test_share=0, policy="none")).matcher.manifest
    assert every["split"] == {"training": sorted(drawn.train_images), "held_out": []}
    assert len(every["training_photos"]) == len(drawn.train_images)
    assert every["metrics"] == {}


@pytest.mark.parametrize("weight", [-0.01, 1.01, math.nan, math.inf])
def test_expert_weight_outside_its_limits_is_refused(drawn: Dataset, weight: float) -> None:
    with pytest.raises(KadrError, match="expert-weight"):
        learn(drawn, replace(CONFIG, expert_weight=weight))


@pytest.mark.parametrize("share", [-0.1, 1.0, math.nan])
def test_test_share_outside_its_limits_is_refused(drawn: Dataset, share: float) -> None:
    with pytest.raises(KadrError, match="test-share"):
        learn(drawn, replace(CONFIG, test_share=share))


def test_expert_weight_decides_who_is_heard(drawn: Dataset, tmp_path: Path) -> None:
    crowd, experts = (
        weights(learn(drawn, replace(CONFIG, expert_weight=share)), tmp_path / str(share))
        for share in (0.0, 1.0)
    )
    assert crowd != experts


def test_unknown_encoder_is_said(drawn: Dataset) -> None:
    with pytest.raises(KadrError, match="nope"):
        learn(drawn, replace(CONFIG, image_encoder="nope"))


def test_progress_reaches_the_end_of_every_stage(drawn: Dataset, tmp_path: Path) -> None:
    calls: list[tuple[str, int, int]] = []
    cache = VectorCache(tmp_path / "cache.sqlite")
    train(drawn, CONFIG, cache, on_progress=lambda *call: calls.append(call))
    cache.close()
    last = {stage: (done, total) for stage, done, total in calls}
    assert last == {
        "photos": (len(drawn.train_images),) * 2,
        "texts": (len(drawn.queries),) * 2,
        "head": (1, 1),
    }
    assert _rising([done for stage, done, _ in calls if stage == "photos"])


def _rising(numbers: Sequence[int]) -> bool:
    return len(numbers) > 1 and list(numbers) == sorted(numbers)


def test_manifest_tells_what_it_was_made_of(drawn: Dataset, trained: Trained) -> None:
    manifest = json.loads(json.dumps(trained.matcher.manifest))
    assert manifest["data"] == dict(drawn.digests)
    assert manifest["config"]["text_encoder"] == "words"
    assert manifest["config"]["expert_weight"] == 0.6
    assert manifest["versions"]["kadr"] == version("kadr")
    assert len(manifest["training_photos"]) == len(manifest["split"]["training"])
    found = manifest["metrics"]
    assert found["held_out_pairs"] > 0
    for name in ("roc_auc", "average_precision", "brier", "expected_calibration_error"):
        assert 0 <= found[name] <= 1


def test_a_photo_that_cannot_be_read_is_left_out(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    names = split(sorted(path.name for path in (copy / "train_images").iterdir()), 0.3, 42)[0]
    victim = copy / "train_images" / names[0]
    victim.write_bytes(victim.read_bytes()[:200])
    found = learn(dataset.load(copy))
    assert len(found.skipped) == 1
    assert names[0] in found.skipped[0]


def crowd_turned(data: Dataset) -> Dataset:
    return replace(data, votes=tuple(replace(v, yes=v.no, no=v.yes) for v in data.votes))


def experts_turned(data: Dataset) -> Dataset:
    return replace(data, judgements=tuple(opposite(j) for j in data.judgements))


@pytest.mark.parametrize(
    ("judges", "others", "own"),
    [("experts", crowd_turned, experts_turned), ("crowd", experts_turned, crowd_turned)],
)
def test_judges_are_learned_from_alone(
    drawn: Dataset,
    judges: Judges,
    others: Callable[[Dataset], Dataset],
    own: Callable[[Dataset], Dataset],
    tmp_path: Path,
) -> None:
    # No law: it hears everybody, and is tested below.
    config = replace(CONFIG, judges=judges, policy="none")
    before = weights(learn(drawn, config), tmp_path / "before")
    assert weights(learn(others(drawn), config), tmp_path / "others") == before
    assert weights(learn(own(drawn), config), tmp_path / "own") != before
    both = replace(config, judges="both")
    assert weights(learn(drawn, both), tmp_path / "both") != before
    assert weights(learn(others(drawn), both), tmp_path / "both-others") != weights(
        learn(drawn, both), tmp_path / "again"
    )


@pytest.mark.parametrize("judges", ["experts", "crowd"])
def test_labels_are_of_pairs_that_the_judges_saw(drawn: Dataset, judges: Judges) -> None:
    lesson = gather(drawn, replace(CONFIG, judges=judges, policy="none"))
    graded = {(j.query, j.image) for j in drawn.judgements}
    voted = {(v.query, v.image) for v in drawn.votes}
    seen = graded if judges == "experts" else voted
    assert {(item.query, item.image) for item in lesson.labels} <= seen
    assert (graded - voted) or (voted - graded)
    assert {item.image for item in lesson.labels} <= set(lesson.training)


@pytest.mark.parametrize("judges", ["experts", "crowd"])
def test_the_law_hears_all_judges(drawn: Dataset, judges: Judges) -> None:
    """Whose word teaches is a choice; what the law hides is not."""
    both, part = (gather(drawn, replace(CONFIG, judges=who)) for who in ("both", judges))
    assert both.exclusions.images_removed > 0
    assert part.exclusions == both.exclusions
    known = {item.image for item in both.labels}
    assert {item.image for item in part.labels} <= known


def test_an_image_flagged_by_the_other_judges_teaches_nothing(drawn: Dataset) -> None:
    """Only experts say that it matches a text that names a child; learning is from the crowd."""
    child = sorted(_children(drawn))[0]
    free = gather(drawn, replace(CONFIG, judges="crowd"))
    victim = sorted({item.image for item in free.labels})[0]
    said = tuple(Judgement(child, victim, rater, 4) for rater in ("a", "b", "c"))
    others = tuple(j for j in drawn.judgements if (j.query, j.image) != (child, victim))
    votes = tuple(v for v in drawn.votes if (v.query, v.image) != (child, victim))
    flagged = gather(
        replace(drawn, judgements=others + said, votes=votes), replace(CONFIG, judges="crowd")
    )
    assert victim not in {item.image for item in flagged.labels}


def test_verdicts_of_a_crowd_lesson_are_not_learned_from(drawn: Dataset) -> None:
    """They measure: of held-out images too, whoever taught."""
    lesson = gather(drawn, replace(CONFIG, judges="crowd"))
    assert {image for _, image in lesson.verdicts} & set(lesson.held_out)


def test_judges_without_a_word_are_said(drawn: Dataset) -> None:
    mute = replace(drawn, votes=())
    with pytest.raises(DataError, match="too few"):
        gather(mute, replace(CONFIG, judges="crowd"))
    assert gather(mute, replace(CONFIG, judges="experts")).labels


@pytest.mark.parametrize("classifier", ["logistic", "mlp"])
def test_search_keeps_the_settings_that_it_found(
    drawn: Dataset, classifier: Classifier, tmp_path: Path
) -> None:
    config = replace(CONFIG, classifier=classifier, search=True)
    found = learn(drawn, config).matcher
    assert judged(found).settings in heads.GRID[classifier]
    assert found.manifest["config"]["search"] is True
    folder = matcher.save(found, tmp_path / "bundle")
    kept = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["relevance"]["settings"]
    assert kept == dict(judged(found).settings)
    assert judged(matcher.load(folder)).settings == kept
    chosen = judged(learn(drawn, replace(config, search=False)).matcher).settings
    assert chosen == heads.GRID[classifier][0]


def test_search_takes_the_best_of_the_grid(drawn: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of settings of which one learns nothing, the other is found in either order."""
    for grid in (({"C": 1e-6}, {"C": 1e-3}), ({"C": 1e-3}, {"C": 1e-6})):
        monkeypatch.setitem(heads.GRID, "logistic", grid)
        found = judged(learn(drawn, replace(CONFIG, search=True)).matcher)
        assert found.validation == max(learn_with(drawn, settings).validation for settings in grid)


def learn_with(data: Dataset, settings: heads.Settings) -> Relevance:
    cache = VectorCache(Path(":memory:"))
    photos, words = load_image_encoder("colours"), load_text_encoder("words")
    both = encoded.encode(data, photos, words, cache)
    cache.close()
    fit = partial(fit_alignment, CONFIG, both)
    return learn_head(gather(data, CONFIG), both, CONFIG, fit, settings=settings).relevance


def test_a_joint_space_of_this_archive_is_learned_anew_in_each_fold(drawn: Dataset) -> None:
    """So that calibration looks at pairs that the space hasn't seen: five folds, once for all."""
    cache = VectorCache(Path(":memory:"))
    photos, words = load_image_encoder("colours"), load_text_encoder("words")
    both = encoded.encode(drawn, photos, words, cache)
    cache.close()
    lesson, asked = gather(drawn, CONFIG), []

    def space(items: tuple[Label, ...]) -> Alignment:
        asked.append(items)
        return fit_alignment(CONFIG, both, items)

    learned = learn_head(lesson, both, CONFIG, space)
    assert len(asked) == 6
    assert asked[0] == lesson.labels == learned.labels
    left_out = [{i.image for i in asked[0]} - {i.image for i in part} for part in asked[1:]]
    assert all(left_out)
    assert sum(map(len, left_out)) == len({i.image for i in asked[0]})
    fixed = learn_head(lesson, both, CONFIG, learned.alignment)
    assert (fixed.relevance.slope, fixed.relevance.intercept) != (
        learned.relevance.slope,
        learned.relevance.intercept,
    )
    assert fixed.relevance.validation > learned.relevance.validation  # it has seen what it is asked


def test_too_few_matching_pairs_are_said(drawn: Dataset) -> None:
    cache = VectorCache(Path(":memory:"))
    photos, words = load_image_encoder("colours"), load_text_encoder("words")
    both = encoded.encode(drawn, photos, words, cache)
    cache.close()
    items = gather(drawn, CONFIG).labels
    lonely = [item for item in items if item.target < 0.5][:4]
    with pytest.raises(DataError, match="too few to align"):
        fit_alignment(CONFIG, both, lonely)
