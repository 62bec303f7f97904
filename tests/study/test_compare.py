"""Comparing: every row is of images and texts that taught it nothing, and is measured once."""

import json
import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from kadr.data import dataset, labels
from kadr.data import drawn as scenes
from kadr.encoders.vectors import VectorCache
from kadr.errors import KadrError
from kadr.matcher import heads
from kadr.metrics import resampling
from kadr.study import compare as flow
from kadr.study import figures, protocols, train
from kadr.study.compare import KEPT, TABLE, Comparison, compare
from kadr.study.train import Config, split
from kadr.types import Dataset, Interval, Label

PLUGINS = Path(__file__).parents[1] / "plugins"
CONFIG = Config(image_encoder="colours", text_encoder="words", policy="none", alignment="fitted")
THREE = (CONFIG, replace(CONFIG, features="concat"), replace(CONFIG, judges="experts"))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path = tmp_path_factory.mktemp("compare") / "archive"
    scenes.generate(path, images=60, seed=3)
    return dataset.load(path)


@pytest.fixture(autouse=True, scope="module")
def fewer_resamples() -> Iterator[None]:
    """Intervals are not what these tests look at."""
    real = resampling.bootstrap

    def bootstrap(*arguments: Any, **options: Any) -> Interval:
        return real(*arguments, **options | {"resamples": 40})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resampling, "bootstrap", bootstrap)
        patch.setattr(flow, "RESAMPLES", 200)
        yield


@pytest.fixture(scope="module")
def folder(drawn: Dataset, cache: VectorCache, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the three combinations were measured; never written to again."""
    path = tmp_path_factory.mktemp("compared")
    compare(drawn, THREE, cache, path)
    return path


@pytest.fixture
def found(folder: Path) -> Comparison:
    return flow.load(folder)


def kept(folder: Path) -> dict[str, dict[str, Any]]:
    """Kept measurements by the name of their row."""
    tables = [json.loads(path.read_text("utf-8")) for path in (folder / KEPT).iterdir()]
    return {table["row"]["name"]: table for table in tables}


def held_out(data: Dataset) -> set[str]:
    return set(split(sorted(data.train_images), CONFIG.test_share, CONFIG.seed)[1])


def contradicted(data: Dataset, wrong: Callable[[str, str], bool]) -> Dataset:
    """The archive with the judgements of these (query, image) pairs turned round."""
    return replace(
        data,
        judgements=tuple(
            replace(j, grade=5 - j.grade) if wrong(j.query, j.image) else j for j in data.judgements
        ),
        votes=tuple(
            replace(v, yes=v.no, no=v.yes) if wrong(v.query, v.image) else v for v in data.votes
        ),
    )


class _Spy:
    """Stands before `train.learn`: counts and remembers, and may raise."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.labels: list[tuple[Label, ...]] = []
        self.configs: list[Config] = []
        self.raises: Callable[[Config], BaseException | None] = lambda _: None
        self._real = train.learn
        monkeypatch.setattr(train, "learn", self)

    def __call__(self, lesson: Any, both: Any, config: Config, *rest: Any, **named: Any) -> Any:
        error = self.raises(config)
        if error is not None:
            raise error
        self.labels.append(lesson.labels)
        self.configs.append(config)
        return self._real(lesson, both, config, *rest, **named)


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> _Spy:
    return _Spy(monkeypatch)


class TestTable:
    def test_rows_are_the_combinations_best_first(self, found: Comparison) -> None:
        assert {row.config for row in found.rows} == set(THREE)
        areas = [row.seen.roc_auc.value for row in found.rows]
        assert areas == sorted(areas, reverse=True)
        assert [row.config and flow.name(row.config) for row in found.rows] == [
            row.name for row in found.rows
        ]
        assert found.failed == {}

    def test_figures_are_of_the_kept_probabilities(
        self, found: Comparison, folder: Path, drawn: Dataset
    ) -> None:
        verdicts, held = labels.verdicts(drawn.judgements), held_out(drawn)
        expected = [pair for pair in verdicts if pair[1] in held]
        tables = kept(folder)
        for row in found.rows:
            table = tables[row.name]
            assert [tuple(pair) for pair in table["pairs"]] == expected
            truth = [verdicts[pair] for pair in expected]
            assert row.seen.pairs == len(expected)
            assert row.seen.matches == sum(truth)
            assert row.seen.roc_auc.value == pytest.approx(
                roc_auc_score(truth, table["probabilities"])
            )

    def test_row_tells_all_that_it_promises(self, found: Comparison) -> None:
        for row in found.rows:
            assert row.unseen is not None
            assert row.unseen.pairs == row.seen.pairs
            assert row.unseen.roc_auc.value != row.seen.roc_auc.value
            assert row.retrieval is not None
            assert 0 < row.validation < 1
            assert row.settings == {"C": 1e-3}
            assert row.seconds > 0
            assert row.microseconds > 0

    def test_best_is_behind_nobody_and_others_by_their_difference(self, found: Comparison) -> None:
        best, *others = found.rows
        assert best.behind is None
        for row in others:
            assert row.behind is not None
            expected = row.seen.roc_auc.value - best.seen.roc_auc.value
            assert row.behind.value == pytest.approx(expected, abs=1e-12)
            assert row.behind.low <= row.behind.value <= row.behind.high
            assert 0 < row.behind.p <= 1

    def test_baselines_know_nothing(self, found: Comparison) -> None:
        constant, random = found.baselines
        assert (constant.name, random.name) == ("constant", "random")
        assert constant.seen.roc_auc.value == 0.5
        assert math.isnan(constant.seen.tau_c.value)
        # Few held-out pairs match: an area's standard deviation by chance is 0.13 here.
        assert abs(random.seen.roc_auc.value - 0.5) < 0.3
        assert constant.retrieval is None
        assert random.retrieval is not None
        for row in found.baselines:
            assert row.config is None
            assert row.behind is None
            assert math.isnan(row.validation)

    def test_load_gives_what_compare_gave(
        self, drawn: Dataset, cache: VectorCache, folder: Path, tmp_path: Path
    ) -> None:
        shutil.copytree(folder, tmp_path / "again")
        again = compare(drawn, THREE, cache, tmp_path / "again")
        assert repr(flow.load(tmp_path / "again")) == repr(again)  # NaN is no equal of itself
        assert {type(row.config) for row in again.rows} == {Config}

    def test_repeated_combinations_count_once(
        self, drawn: Dataset, cache: VectorCache, tmp_path: Path, spy: _Spy
    ) -> None:
        again = compare(drawn, [CONFIG, CONFIG], cache, tmp_path)
        assert len(again.rows) == 1
        assert len(spy.configs) == 6

    def test_the_shipped_space_is_minis_alone(
        self, drawn: Dataset, cache: VectorCache, folder: Path, tmp_path: Path, spy: _Spy
    ) -> None:
        """Other pairs are always fitted, so that asking for either space is asking once."""
        copy = shutil.copytree(folder, tmp_path / "copy")
        asked = [replace(CONFIG, alignment="shipped"), CONFIG]
        (row,) = compare(drawn, asked, cache, copy).rows
        assert row.config == CONFIG
        assert spy.configs == []

    def test_name_tells_what_differs(self) -> None:
        assert flow.name(Config()) == "mini · mini · aligned · logistic"
        told = flow.name(replace(CONFIG, judges="crowd", expert_weight=0.2, experts="mean"))
        for part in ("colours", "words", "judges crowd", "expert weight 0.2", "experts mean"):
            assert part in told


class TestLeaks:
    def test_held_out_images_teach_nothing(
        self, drawn: Dataset, cache: VectorCache, folder: Path, tmp_path: Path
    ) -> None:
        held = held_out(drawn)
        compare(contradicted(drawn, lambda _, image: image in held), THREE, cache, tmp_path)
        # The archive's digests are those of before, so that only what was learned could differ.
        before, after = kept(folder), kept(tmp_path)
        for name, table in before.items():
            assert after[name]["probabilities"] == table["probabilities"]
            assert after[name]["row"]["validation"] == table["row"]["validation"]
            assert after[name]["row"]["seen"]["roc_auc"] != table["row"]["seen"]["roc_auc"]

    def test_training_images_teach(
        self, drawn: Dataset, cache: VectorCache, folder: Path, tmp_path: Path
    ) -> None:
        """The control of the test above."""
        taught = set(sorted(drawn.train_images.keys() - held_out(drawn))[:3])
        compare(contradicted(drawn, lambda _, image: image in taught), [CONFIG], cache, tmp_path)
        name = flow.name(CONFIG)
        assert kept(tmp_path)[name]["probabilities"] != kept(folder)[name]["probabilities"]

    def test_texts_of_a_fold_teach_its_scores_nothing(
        self, drawn: Dataset, cache: VectorCache, tmp_path: Path, spy: _Spy
    ) -> None:
        """Two queries of one text stand in one fold; calibration alone has seen all texts."""
        ids = sorted({j.query for j in drawn.judgements})
        text = drawn.queries[ids[0]].text
        twins = {**drawn.queries, ids[1]: replace(drawn.queries[ids[1]], text=text)}
        compare(replace(drawn, queries=twins), [CONFIG], cache, tmp_path)
        everything, *folds = [{twins[item.query].text for item in part} for part in spy.labels]
        assert len(folds) == 5
        left_out = [everything - part for part in folds]
        assert all(left_out)
        assert set.union(*left_out) == everything
        assert sum(map(len, left_out)) == len(everything)
        assert sum(text in part for part in left_out) == 1

    @pytest.mark.parametrize("features", ["aligned", "concat"])
    def test_unseen_scores_of_a_fold_ignore_its_judgements(
        self,
        drawn: Dataset,
        cache: VectorCache,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        features: Any,
    ) -> None:
        """Turn round what was said of one fold's texts: their own raw order stays."""
        said: list[dict[tuple[str, str], float]] = []
        real = figures.pair_figures

        def remember(name: str, judged: Any, pairs: Any, crowd: Any, score: Any, c: Any) -> Any:
            if name == protocols.QUERY_DISJOINT_PIPELINE:
                said.append(dict(zip(pairs, score(pairs).tolist(), strict=True)))
            return real(name, judged, pairs, crowd, score, c)

        monkeypatch.setattr(figures, "pair_figures", remember)
        fold = protocols.text_folds(drawn)[0]
        config = replace(CONFIG, features=features)
        turned = contradicted(drawn, lambda query, _: query in fold)
        # The prior of the crowd's votes comes from all of them; so keep the votes.
        turned = replace(turned, votes=drawn.votes)
        for number, data in enumerate((drawn, turned)):
            compare(data, [config], cache, tmp_path / str(number))
        own = [pair for pair in said[0] if pair[0] in fold]
        others = [pair for pair in said[0] if pair[0] not in fold]
        assert own
        assert others
        orders = [np.argsort([s[pair] for pair in own], kind="stable").tolist() for s in said]
        assert orders[0] == orders[1]
        orders = [np.argsort([s[pair] for pair in others], kind="stable").tolist() for s in said]
        assert orders[0] != orders[1]


class TestKept:
    def test_a_second_run_learns_nothing(
        self, drawn: Dataset, cache: VectorCache, folder: Path, tmp_path: Path, spy: _Spy
    ) -> None:
        copy = shutil.copytree(folder, tmp_path / "copy")
        calls: list[tuple[str, int, int]] = []
        again = compare(drawn, THREE, cache, copy, on_progress=lambda *call: calls.append(call))
        assert spy.configs == []
        assert repr(again) == repr(flow.load(folder))
        assert [call for call in calls if call[0] == "combinations"] == [("combinations", 3, 3)]

    def test_one_more_combination_costs_itself_alone(
        self, drawn: Dataset, cache: VectorCache, folder: Path, tmp_path: Path, spy: _Spy
    ) -> None:
        copy = shutil.copytree(folder, tmp_path / "copy")
        before = {path.name for path in (copy / KEPT).iterdir()}
        new = replace(CONFIG, experts="mean")
        found = compare(drawn, [*THREE, new], cache, copy)
        assert set(spy.configs) == {new}
        assert len(spy.configs) == 6  # once on all texts, five times without a fifth of them
        assert len({path.name for path in (copy / KEPT).iterdir()} - before) == 1
        assert len(found.rows) == 4

    def test_fewer_combinations_are_ranked_among_themselves(
        self, drawn: Dataset, cache: VectorCache, folder: Path, tmp_path: Path, spy: _Spy
    ) -> None:
        copy = shutil.copytree(folder, tmp_path / "copy")
        worst = flow.load(folder).rows[-1]
        assert worst.config is not None
        (row,) = compare(drawn, [worst.config], cache, copy).rows
        assert spy.configs == []
        assert row == replace(worst, behind=None)

    def test_another_archive_is_measured_anew(
        self, drawn: Dataset, cache: VectorCache, folder: Path, tmp_path: Path, spy: _Spy
    ) -> None:
        copy = shutil.copytree(folder, tmp_path / "copy")
        some = next(iter(drawn.digests))
        compare(replace(drawn, digests={**drawn.digests, some: "0" * 64}), [CONFIG], cache, copy)
        assert len(spy.configs) == 6
        assert len(list((copy / KEPT).iterdir())) == 4

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("a bug")])
    def test_what_was_measured_outlives_an_interruption(
        self, drawn: Dataset, cache: VectorCache, tmp_path: Path, spy: _Spy, error: BaseException
    ) -> None:
        spy.raises = lambda config: error if config == THREE[1] else None
        with pytest.raises(type(error)):
            compare(drawn, THREE[:2], cache, tmp_path)
        assert kept(tmp_path).keys() == {flow.name(THREE[0])}
        spy.raises = lambda _: None
        spy.configs.clear()
        found = compare(drawn, THREE[:2], cache, tmp_path)
        assert set(spy.configs) == {THREE[1]}
        assert len(found.rows) == 2

    def test_a_crash_while_writing_leaves_no_half_a_file(
        self, drawn: Dataset, cache: VectorCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", lambda *_: pytest.fail("killed"))
            with pytest.raises(pytest.fail.Exception):
                compare(drawn, [CONFIG], cache, tmp_path)
        assert list((tmp_path / KEPT).iterdir()) == []

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b'{"row": {',
            b"[]",
            b"null",
            b'{"row": {}, "pairs": [], "probabilities": []}',
            b'{"row": null, "pairs": [], "probabilities": []}',
            b"\xff\xfe",
        ],
    )
    def test_a_broken_measurement_is_named(
        self, drawn: Dataset, cache: VectorCache, folder: Path, tmp_path: Path, content: bytes
    ) -> None:
        copy = shutil.copytree(folder, tmp_path / "copy")
        victim = sorted((copy / KEPT).iterdir())[0]
        victim.write_bytes(content)
        with pytest.raises(KadrError) as caught:
            compare(drawn, THREE, cache, copy)
        assert victim.name in str(caught.value)
        assert "Delete it" in str(caught.value)
        assert "\n" not in str(caught.value)
        victim.unlink()
        assert len(compare(drawn, THREE, cache, copy).rows) == 3

    @pytest.mark.parametrize("key", ["pairs", "probabilities"])
    def test_a_measurement_that_lost_a_pair_is_named(
        self, drawn: Dataset, cache: VectorCache, folder: Path, tmp_path: Path, key: str
    ) -> None:
        copy = shutil.copytree(folder, tmp_path / "copy")
        victim = sorted((copy / KEPT).iterdir())[0]
        table = json.loads(victim.read_text("utf-8"))
        table[key].pop()
        victim.write_text(json.dumps(table), "utf-8")
        with pytest.raises(KadrError, match=victim.name):
            compare(drawn, THREE, cache, copy)

    def test_load_says_what_to_do(self, folder: Path, tmp_path: Path) -> None:
        with pytest.raises(KadrError, match="kadr compare"):
            flow.load(tmp_path)
        for content in (b"", b"[]", b'{"rows": [{}]}', b"\xff", b"null", b'{"rows": [7]}'):
            (tmp_path / TABLE).write_bytes(content)
            with pytest.raises(KadrError, match=TABLE) as caught:
                flow.load(tmp_path)
            assert "\n" not in str(caught.value)

    def test_a_folder_that_is_a_file_is_refused(
        self, drawn: Dataset, cache: VectorCache, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("mine")
        with pytest.raises(KadrError, match="can't be written"):
            compare(drawn, [CONFIG], cache, tmp_path / "file")
        assert (tmp_path / "file").read_text() == "mine"


class TestFailures:
    def test_unknown_encoders_fail_beside_those_that_are_measured(
        self, drawn: Dataset, cache: VectorCache, folder: Path, tmp_path: Path
    ) -> None:
        copy = shutil.copytree(folder, tmp_path / "copy")
        unknown = [replace(CONFIG, image_encoder="nope"), replace(CONFIG, text_encoder="neither")]
        found = compare(drawn, [unknown[0], *THREE, unknown[1]], cache, copy)
        assert len(found.rows) == 3
        assert found.failed.keys() == {flow.name(config) for config in unknown}
        assert "'nope'" in found.failed[flow.name(unknown[0])]
        assert flow.load(copy).failed == found.failed

    def test_a_combination_that_can_t_learn_fails_alone(
        self, drawn: Dataset, cache: VectorCache, tmp_path: Path, spy: _Spy
    ) -> None:
        spy.raises = lambda c: KadrError("too few") if c.features == "concat" else None
        found = compare(drawn, THREE[:2], cache, tmp_path)
        assert [row.config for row in found.rows] == [CONFIG]
        assert found.failed == {flow.name(THREE[1]): "too few"}
        spy.raises = lambda _: None
        assert len(compare(drawn, THREE[:2], cache, tmp_path).rows) == 2  # a failure isn't kept

    def test_all_failing_says_why(self, drawn: Dataset, cache: VectorCache, tmp_path: Path) -> None:
        with pytest.raises(KadrError, match=r"No combination.*'nope'"):
            compare(drawn, [replace(CONFIG, image_encoder="nope")], cache, tmp_path)
        assert not (tmp_path / TABLE).exists()

    @pytest.mark.parametrize("change", [{"seed": 1}, {"test_share": 0.4}])
    def test_splits_are_not_mixed(
        self, drawn: Dataset, cache: VectorCache, tmp_path: Path, change: dict[str, Any]
    ) -> None:
        with pytest.raises(KadrError, match="share one split"):
            compare(drawn, [CONFIG, replace(CONFIG, **change)], cache, tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_nothing_asked_is_said(
        self, drawn: Dataset, cache: VectorCache, tmp_path: Path
    ) -> None:
        with pytest.raises(KadrError, match="no combination"):
            compare(drawn, [], cache, tmp_path)

    def test_nothing_held_out_is_said(
        self, drawn: Dataset, cache: VectorCache, tmp_path: Path
    ) -> None:
        with pytest.raises(KadrError, match="--test-share"):
            compare(drawn, [replace(CONFIG, test_share=0.0)], cache, tmp_path)

    def test_verdicts_all_alike_are_said(
        self, drawn: Dataset, cache: VectorCache, tmp_path: Path
    ) -> None:
        held = held_out(drawn)
        alike = tuple(replace(j, grade=1) if j.image in held else j for j in drawn.judgements)
        with pytest.raises(KadrError, match="all alike"):
            compare(replace(drawn, judgements=alike), [CONFIG], cache, tmp_path)


def values(rows: Sequence[flow.Row]) -> str:
    """Rows as text, without the time they took and without what is drawn at random."""
    drawn = ("seconds", "microseconds", "low", "high")
    text = json.dumps([asdict(row) for row in rows])
    return repr(
        json.loads(text, object_hook=lambda d: {k: v for k, v in d.items() if k not in drawn})
    )


def test_jobs_change_no_figure(
    drawn: Dataset, cache: VectorCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{PLUGINS}:{Path(flow.__file__).parents[2]}")
    asked = (*THREE[::2], replace(CONFIG, text_encoder="nope"))
    one = compare(drawn, asked, cache, tmp_path / "one")
    two = compare(drawn, asked, cache, tmp_path / "two", jobs=2)
    assert values(one.rows) == values(two.rows)
    assert one.failed == two.failed
    assert len(one.rows) == 2


def test_search_tunes_the_head(drawn: Dataset, cache: VectorCache, tmp_path: Path) -> None:
    (row,) = compare(drawn, [replace(CONFIG, search=True)], cache, tmp_path).rows
    assert row.settings in heads.GRID["logistic"]


def test_what_is_kept_is_json_without_nan(folder: Path) -> None:
    """JSON has no NaN; null comes back as one."""

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is no JSON")

    for path in folder.rglob("*.json"):
        json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    constant = next(row for row in flow.load(folder).baselines if row.name == "constant")
    assert np.isnan(constant.validation)
    assert np.isnan(constant.seen.tau_c.value)
