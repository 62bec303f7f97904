"""MatchClassifier as scikit-learn's own estimators are used."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import estimator_checks_generator

from archives import write_archive
from kadr import Library, MatchClassifier, load_dataset
from kadr.errors import DataError

APPLICABLE = {
    "check_classifiers_regression_target",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_sparse_array",
    "check_estimator_tags_renamed",
    "check_estimators_unfitted",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_n_features_in_after_fitting",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_valid_tag_types",
}
"""Checks of scikit-learn that don't fit on columns of figures, which are no photos and texts."""


@pytest.fixture(scope="module")
def pairs(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
    """Each photo with its own caption and with that of another photo."""
    folder = write_archive(tmp_path_factory.mktemp("archive"), images=40)
    archive = load_dataset(str(folder))
    own = [(archive.train_images[q.image], q.text) for q in archive.queries.values() if q.image]
    texts = [text for _, text in own]
    rows = [
        *own,
        *((photo, texts[n - 1]) for n, (photo, text) in enumerate(own) if texts[n - 1] != text),
    ]
    return np.array(rows, dtype=object), np.arange(len(rows)) < len(own)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vectors") / "cache.sqlite"


@pytest.mark.parametrize(
    ("texts", "features", "head"),
    [("mini", "aligned", "logistic"), ("tfidf", "aligned", "logistic"), ("mini", "concat", "mlp")],
)
def test_it_learns_pairs(pairs: Any, cache: Path, texts: str, features: Any, head: Any) -> None:
    rows, y = pairs
    model = MatchClassifier(text_encoder=texts, features=features, classifier=head, cache=cache)
    probabilities = model.fit(rows, y).predict_proba(rows)
    assert probabilities.shape == (len(rows), 2)
    assert np.allclose(probabilities.sum(1), 1)
    assert ((probabilities > 0) & (probabilities < 1)).all()
    assert probabilities[y, 1].mean() > probabilities[~y, 1].mean()
    assert (model.predict(rows) == (probabilities[:, 1] > 0.5)).all()
    assert model.score(rows, y) == (model.predict(rows) == y).mean()


def test_classes_may_have_any_names(pairs: Any, cache: Path) -> None:
    rows, y = pairs
    named = MatchClassifier(cache=cache).fit(rows, np.where(y, "yes", "no"))
    plain = MatchClassifier(cache=cache).fit(rows.tolist(), y)
    assert list(named.classes_) == ["no", "yes"]
    assert set(named.predict(rows)) <= {"no", "yes"}
    assert np.array_equal(named.predict_proba(rows), plain.predict_proba(rows))


def test_it_is_searched_in_a_pipeline_with_photos_kept_apart(pairs: Any, cache: Path) -> None:
    rows, y = pairs
    lower = FunctionTransformer(
        lambda rows: np.array([(p, t.lower()) for p, t in rows], dtype=object)
    )
    steps = make_pipeline(lower, MatchClassifier(cache=cache))
    grid = {"matchclassifier__features": ["aligned", "concat"]}
    photos = [str(photo) for photo in rows[:, 0]]
    search = GridSearchCV(steps, grid, cv=GroupKFold(2), scoring="roc_auc").fit(
        rows, y, groups=photos
    )
    assert search.best_params_["matchclassifier__features"] in {"aligned", "concat"}
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_it_clones_pickles_and_repeats(pairs: Any, cache: Path) -> None:
    rows, y = pairs
    model = MatchClassifier(cache=cache, random_state=3)
    again = clone(model)
    assert again.get_params() == model.get_params()
    first = model.fit(rows, y).predict_proba(rows)
    assert np.array_equal(first, again.fit(rows, y).predict_proba(rows))
    assert cross_val_score(
        clone(model), rows, y, cv=GroupKFold(2), groups=list(map(str, rows[:, 0]))
    ).shape == (2,)
    fresh = pickle.loads(pickle.dumps(MatchClassifier(features="concat")))
    assert fresh.features == "concat"


def test_weights_count(pairs: Any, cache: Path) -> None:
    rows, y = pairs
    plain = MatchClassifier(cache=cache).fit(rows, y).predict_proba(rows)[:, 1]
    weights = np.where(y, 10.0, 1.0)
    weighted = (
        MatchClassifier(cache=cache).fit(rows, y, sample_weight=weights).predict_proba(rows)[:, 1]
    )
    assert not np.allclose(plain, weighted)


def test_what_it_learned_searches_a_library(pairs: Any, cache: Path, tmp_path: Path) -> None:
    rows, y = pairs
    learned = MatchClassifier(cache=cache).fit(rows, y)
    with Library.open(tmp_path / "photos.kadr", model=learned.matcher_) as library:
        library.index(rows[0, 0].parent)
        assert len(library.search("a red circle", limit=3)) == 3


def test_rows_that_it_cannot_learn_from(pairs: Any, cache: Path, tmp_path: Path) -> None:
    rows, y = pairs
    model = MatchClassifier(cache=cache)
    with pytest.raises(NotFittedError):
        model.predict(rows)
    with pytest.raises(ValueError, match=r"shape \(\d+, 3\). Give n pairs in two columns"):
        model.fit(np.hstack([rows, rows[:, :1]]), y)
    with pytest.raises(ValueError, match="two: yes and no"):
        model.fit(rows, np.arange(len(rows)))
    with pytest.raises(ValueError, match="two: yes and no"):
        model.fit(rows, np.ones(len(rows)))
    with pytest.raises(ValueError, match="inconsistent"):
        model.fit(rows, y[:-1])
    with pytest.raises(ValueError, match="texts"):
        model.fit(np.array([[rows[0, 0], 5]] * 4, dtype=object), [0, 1, 0, 1])
    with pytest.raises(ValueError, match="too few"):
        model.fit(rows[:4], [0, 1, 0, 1])
    with pytest.raises(ValueError, match="at least one non-zero"):
        model.fit(rows, y, sample_weight=np.zeros(len(rows)))
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no photo")
    with pytest.raises(DataError, match=r"broken\.jpg"):
        model.fit(np.vstack([rows, [[str(broken), "a dog"]]]), [*y, True])


def test_checks_of_scikit_learn() -> None:
    checks = {
        getattr(check, "func", check).__name__: check
        for _, check in estimator_checks_generator(MatchClassifier())
    }
    for name in APPLICABLE:
        checks[name](MatchClassifier())
