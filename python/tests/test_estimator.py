"""scikit-learn's own tests of an estimator, and what people do with one."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.ensemble import BaggingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from gpu_subset import SubsetClassifier

# each with its reason, which docs/python.md has as well
EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": "the order of mini-batches follows from the number of examples",
}


@parametrize_with_checks([SubsetClassifier()], expected_failed_checks=lambda _: EXPECTED_FAILURES)
def test_scikit_learn(estimator, check):
    check(estimator)


def test_parameters_are_untouched_and_cloned():
    settings = {"momentum": 0.8}
    given = SubsetClassifier([32], settings=settings, budget=3.0, class_weight="balanced", random_state=7)
    assert given.settings is settings
    copy = clone(given).set_params(budget=4.0)
    assert copy.get_params() == {**given.get_params(), "budget": 4.0}


def test_a_pickled_one_says_the_same(fitted, digits):
    copy = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(copy.predict_proba(digits[2]), fitted.predict_proba(digits[2]))
    assert copy.weights_.sha256 == fitted.weights_.sha256
    damaged = bytearray(fitted.weights_.to_bytes())
    damaged[-1] ^= 1
    with pytest.raises(ValueError, match="damaged"):
        type(fitted.weights_).from_bytes(bytes(damaged))


def test_probabilities_are_those_of_the_decision(fitted, digits):
    logits, proba = fitted.decision_function(digits[2]), fitted.predict_proba(digits[2])
    assert logits.shape == proba.shape == (360, 10)
    assert np.allclose(proba.sum(axis=1), 1, atol=1e-12)
    assert np.array_equal(fitted.classes_[logits.argmax(axis=1)], fitted.predict(digits[2]))
    assert fitted.score(digits[2], digits[3]) > 0.9
    assert fitted.n_iter_ == len(fitted.history_) > 0 and fitted.n_features_in_ == 64


def test_pipelines_searches_and_ensembles(features):
    X, y, X_test, y_test = features
    X, y = X[:300], y[:300]
    steps = make_pipeline(StandardScaler(), SubsetClassifier([16], budget=4.0, random_state=0))
    search = GridSearchCV(steps, {"subsetclassifier__budget": [4.0, 40.0]}, cv=2).fit(X, y)
    assert search.best_params_ == {"subsetclassifier__budget": 40.0}
    assert search.score(X_test, y_test) > 0.8
    scores = cross_val_score(SubsetClassifier([16], random_state=0), *load_iris(return_X_y=True), cv=3)
    assert scores.mean() > 0.9
    several = BaggingClassifier(SubsetClassifier([16], budget=20.0), n_estimators=3, random_state=0).fit(X, y)
    assert several.score(X_test, y_test) > 0.8


def test_a_search_may_have_numbers_of_numpy(features):
    X, y, *_ = features
    given = {
        "model": tuple(np.array([16])),
        "budget": np.int64(20),
        "weight_decay": np.float32(1e-3),
        "settings": {"batches.batch": np.int32(32)},
        "device": 0,
    }
    found = SubsetClassifier(**given).fit(X[:300], y[:300])
    assert found.weights_.model.parameters == 64 * 16 + 16 + 16 * 10 + 10


def test_pictures_go_through_a_search(digits):
    X, y, *_ = digits
    search = GridSearchCV(SubsetClassifier(random_state=0), {"budget": [2.0, 16.0]}, cv=2).fit(X[:400], y[:400])
    assert search.best_params_ == {"budget": 16.0}


@pytest.mark.parametrize("kind", ["strings", "objects", "negative numbers", "booleans"])
def test_labels_of_any_kind(features, kind):
    X, y, X_test, y_test = features
    to = {
        "strings": lambda y: np.array([f"is {label}" for label in y]),
        "objects": lambda y: np.array([f"is {label}" for label in y], dtype=object),
        "negative numbers": lambda y: y.astype(np.int64) * 1000 - 5000,
        "booleans": lambda y: y > 4,
    }[kind]
    found = SubsetClassifier([32], budget=10.0, random_state=0).fit(X, to(y))
    assert set(found.classes_) == set(to(y))
    assert found.predict(X_test).dtype == to(y_test).dtype
    assert found.score(X_test, to(y_test)) > 0.8
    if kind == "booleans":
        assert found.decision_function(X_test).shape == (360,)


def test_what_is_not_fitted_says_so(digits):
    with pytest.raises(NotFittedError):
        SubsetClassifier().predict(digits[0])


def test_partial_fit_goes_on(digits):
    X, y, X_test, y_test = digits
    parts = SubsetClassifier(random_state=0)
    with pytest.raises(ValueError, match="classes must be passed"):
        parts.partial_fit(X, y)
    scores = []
    for start in range(0, len(X), 180):
        chunk = slice(start, start + 180)
        parts.partial_fit(X[chunk], y[chunk], classes=range(10))
        scores.append(parts.score(X_test, y_test))
    assert scores[-1] > 0.85 and scores[-1] > scores[0]
    few = SubsetClassifier([4], random_state=0).partial_fit(X[:3].reshape(3, -1), y[:3], classes=range(10))
    assert few.n_iter_ >= 1, "as much as a first step takes"
    with pytest.raises(ValueError, match="not the same"):
        parts.partial_fit(X, y, classes=range(11))
    with pytest.raises(ValueError, match="no classes"):
        parts.partial_fit(X[:2], [3, 99])


def test_a_warm_start_begins_where_the_fit_before_ended(digits):
    X, y, X_test, y_test = digits
    warm = SubsetClassifier(budget=2.0, warm_start=True, random_state=0)
    first = warm.fit(X, y).history_[0]["loss"]
    assert warm.fit(X, y).history_[0]["loss"] < first / 2
    # of other classes it begins anew
    few = y < 5
    assert warm.fit(X[few], y[few]).predict_proba(X_test).shape == (360, 5)


def test_weights_of_classes_and_of_examples_move_the_decision(features):
    X, y, X_test, y_test = features
    few = (y == 3) | (y == 8)
    X, y, is_8 = X[few], y[few], y_test[(y_test == 3) | (y_test == 8)] == 8
    X_test = X_test[(y_test == 3) | (y_test == 8)]
    plain = SubsetClassifier([], budget=20.0, random_state=0)

    def of_8(**how):
        weights = how.pop("sample_weight", None)
        return clone(plain).set_params(**how).fit(X, y, sample_weight=weights).predict_proba(X_test)[:, 1].mean()

    by_class = of_8(class_weight={3: 1, 8: 50})
    by_example = of_8(sample_weight=np.where(y == 8, 50.0, 1.0))
    assert by_class > of_8() + 0.01 and by_example > of_8() + 0.01
    assert of_8(sample_weight=np.full(len(y), 3.0)) == of_8(), "the same for all is none"
    without = np.where(np.arange(len(y)) < 100, 0.0, 1.0)
    kept = clone(plain).fit(X[100:], y[100:])
    left_out = clone(plain).fit(X, y, sample_weight=without)
    assert kept.weights_.sha256 == left_out.weights_.sha256, "what counts 0 is left out"
    assert is_8.any()
    with pytest.raises(ValueError, match="zero"):
        plain.fit(X, y, sample_weight=np.zeros(len(y)))
