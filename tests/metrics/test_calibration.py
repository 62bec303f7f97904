import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from sklearn import metrics as reference

from kadr.data import dataset, labels
from kadr.metrics import calibration
from kadr.types import Floats
from predictions import scored, simulated

Flags = NDArray[np.bool_]


class TestCalibration:
    @settings(max_examples=50)
    @given(scored())
    def test_brier_is_that_of_sklearn(self, data: tuple[Floats, Flags]) -> None:
        probabilities, truth = (data[0] + 1.5) / 3, data[1]
        assert calibration.brier(probabilities, truth) == pytest.approx(
            reference.brier_score_loss(truth, probabilities)
        )

    @pytest.mark.parametrize("binning", ["mass", "width"])
    def test_calibrated_predictor_has_almost_no_error(self, binning: calibration.Binning) -> None:
        probabilities, truth = simulated(50_000)
        error = calibration.expected_calibration_error(probabilities, truth, binning=binning)
        assert error < 0.01

    @pytest.mark.parametrize("binning", ["mass", "width"])
    @pytest.mark.parametrize("shift", [0.05, 0.2])
    def test_shifted_predictor_shows_the_shift(
        self, binning: calibration.Binning, shift: float
    ) -> None:
        source = np.random.default_rng(1)
        probabilities = source.uniform(0.3, 0.7, 50_000)
        truth = source.random(50_000) < probabilities - shift
        error = calibration.expected_calibration_error(probabilities, truth, binning=binning)
        assert error == pytest.approx(shift, abs=0.01)

    def test_noise_of_a_calibrated_predictor_is_as_documented(self) -> None:
        source = np.random.default_rng(2)
        found = []
        for _ in range(50):
            probabilities = source.uniform(0.15, 0.25, 1500)
            truth = source.random(1500) < probabilities
            found.append(calibration.expected_calibration_error(probabilities, truth))
        assert np.mean(found) == pytest.approx(0.8 * math.sqrt(0.2 * 0.8 * 15 / 1500), rel=0.1)

    def test_known_case_by_hand(self) -> None:
        low, high = calibration.reliability(
            [0.125, 0.375, 0.625, 0.875], [0, 0, 0, 1], bins=2, binning="width"
        )
        assert low == calibration.Bin(0.0, 0.5, 2, 0.25, 0.0)
        assert high == calibration.Bin(0.5, 1.0, 2, 0.75, 0.5)
        error = calibration.expected_calibration_error(
            [0.125, 0.375, 0.625, 0.875], [0, 0, 0, 1], bins=2, binning="width"
        )
        assert error == 0.25

    def test_bins_of_equal_mass_hold_as_many(self) -> None:
        probabilities, truth = simulated(1500)
        found = calibration.reliability(probabilities, truth)
        assert [part.count for part in found] == [100] * 15
        assert all(left.high < right.low for left, right in pairwise(found))

    def test_equal_probabilities_share_a_bin(self) -> None:
        (only,) = calibration.reliability(np.full(100, 0.25), np.arange(100) < 40)
        assert only == calibration.Bin(0.25, 0.25, 100, 0.25, 0.4)

    @given(scored(), st.sampled_from(["mass", "width"]))
    def test_bins_hold_every_point_once_in_any_order(
        self, data: tuple[Floats, Flags], binning: calibration.Binning
    ) -> None:
        probabilities, truth = (data[0] + 1.5) / 3, data[1]
        found = calibration.reliability(probabilities, truth, binning=binning)
        assert sum(part.count for part in found) == len(truth)
        assert all(part.low <= part.mean_probability + 1e-12 for part in found)
        assert all(part.mean_probability <= part.high + 1e-12 for part in found)
        back = calibration.reliability(probabilities[::-1], truth[::-1], binning=binning)
        assert [(p.low, p.high, p.count) for p in back] == [(p.low, p.high, p.count) for p in found]

    @pytest.mark.parametrize("wrong", [-0.1, 1.1])
    def test_refuses_what_is_no_probability(self, wrong: float) -> None:
        with pytest.raises(ValueError, match=r"\[0, 1\]"):
            calibration.brier([0.5, wrong], [True, False])

    def test_refuses_unknown_bins(self) -> None:
        with pytest.raises(ValueError, match="at least 1"):
            calibration.reliability([0.5], [True], bins=0)
        with pytest.raises(ValueError, match="mass or width"):
            calibration.reliability([0.5], [True], binning="depth")  # type: ignore[arg-type]


class TestErrors:
    def test_known_case(self) -> None:
        assert calibration.mae([0, 0.5], [0.5, 0.5]) == 0.25
        assert calibration.rmse([0, 0.5], [0.5, 0.5]) == pytest.approx(math.sqrt(0.125))

    @given(hnp.arrays(np.float64, st.integers(1, 20), elements=st.floats(0, 1)), st.floats(0, 1))
    def test_no_constant_beats_the_median_and_the_mean(self, targets: Floats, other: float) -> None:
        guess = np.full_like(targets, other)
        median, mean = (np.full_like(targets, of(targets)) for of in (np.median, np.mean))
        assert calibration.mae(median, targets) <= calibration.mae(guess, targets) + 1e-12
        assert calibration.rmse(mean, targets) <= calibration.rmse(guess, targets) + 1e-12


class TestTraps:
    def test_a_constant_flatters_mae(self) -> None:
        """A figure that looks good is worth nothing without the constant's beside it."""
        targets = np.repeat([0, 1 / 3, 1], [60, 30, 10])
        found = calibration.mae(np.full(100, np.median(targets)), targets)
        assert found == pytest.approx(0.2)
        assert found < calibration.mae(np.full(100, targets.mean()), targets)


@pytest.mark.archive
class TestRealArchive:
    def test_constant_looks_good_on_the_mean_grade(self, archive: Path) -> None:
        grades = labels.grades(dataset.load(archive).judgements, "mean")
        targets = (np.array(list(grades.values())) - 1) / 3
        median, mean = (np.full_like(targets, of(targets)) for of in (np.median, np.mean))
        assert calibration.mae(median, targets) == pytest.approx(0.194, abs=5e-4)
        assert calibration.rmse(mean, targets) == pytest.approx(0.269, abs=5e-4)
