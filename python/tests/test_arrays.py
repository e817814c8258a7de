"""What X may be."""

import numpy as np
import pandas as pd
import pytest

import gpu_subset
from gpu_subset import SubsetClassifier


@pytest.mark.parametrize("kind", ["uint8", "float32", "float64", "int64", "list"])
def test_features_of_any_number(features, kind):
    X, y, X_test, y_test = features
    to = (lambda X: X.tolist()) if kind == "list" else (lambda X: X.astype(kind))
    found = SubsetClassifier([32], budget=10.0, random_state=0).fit(to(X), y)
    assert found.score(to(X_test), y_test) > 0.9
    assert found.weights_.is_bytes == (kind == "uint8")


def test_pictures_of_floats_and_of_colours(digits):
    X, y, X_test, y_test = digits
    grey = SubsetClassifier(budget=4.0, random_state=0).fit(X / 16, y)
    assert grey.image_shape_ == (8, 8) and grey.score(X_test / 16, y_test) > 0.9
    colours = np.stack([X, 16 - X, X // 2], axis=-1)
    found = SubsetClassifier("digits-1k", budget=4.0, random_state=0).fit(colours, y)
    assert found.image_shape_ == (8, 8, 3) and found.n_features_in_ == 192
    assert found.score(np.stack([X_test, 16 - X_test, X_test // 2], axis=-1), y_test) > 0.9
    # channels last: another order of axes is another picture
    one = SubsetClassifier("digits-1k", budget=4.0, random_state=0).fit(X[..., None], y)
    assert one.weights_.sha256 == SubsetClassifier("digits-1k", budget=4.0, random_state=0).fit(X, y).weights_.sha256


def test_pictures_are_read_row_by_row_and_channels_last(digits):
    X, y, *_ = digits
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (5, 4, 6, 3), dtype=np.uint8)
    back, labels = gpu_subset.Dataset(pictures, [1, 0, 1, 0, 2]).arrays()
    assert np.array_equal(back, pictures) and labels.tolist() == [1, 0, 1, 0, 2]


def test_bytes_may_come_as_floats_where_they_are_bytes(fitted, digits):
    X_test = digits[2]
    assert np.array_equal(fitted.predict(X_test.astype(float)), fitted.predict(X_test))
    with pytest.raises(ValueError, match="no bytes from 0 to 255"):
        fitted.predict(X_test / 3)


def test_frames_have_names():
    X, y = np.random.default_rng(0).normal(size=(60, 2)), np.arange(60) % 2
    frame = pd.DataFrame(X, columns=["length", "width"])
    found = SubsetClassifier([4], budget=20.0).fit(frame, y)
    assert found.feature_names_in_.tolist() == ["length", "width"]
    with pytest.raises(ValueError, match="feature names"):
        found.predict(frame[["width", "length"]])


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("shape", [(20, 3), (20, 8, 8)])
def test_what_is_not_finite_is_refused(value, shape):
    X = np.zeros(shape)
    X.flat[7] = value
    with pytest.raises(ValueError, match="contains (NaN|infinity)"):
        SubsetClassifier().fit(X, np.arange(20) % 2)


def test_other_shapes_are_refused(fitted, digits):
    X, y, *_ = digits
    for other, why in [
        (X[:, :4], "X has pictures of \\(4, 8\\)"),
        (X.reshape(-1, 64), "X has no pictures"),
    ]:
        with pytest.raises(ValueError, match=why):
            fitted.predict(other)
    with pytest.raises(ValueError, match="dim 5"):
        SubsetClassifier().fit(X.reshape(-1, 2, 4, 4, 2), y)
    of_features = SubsetClassifier([8], budget=2.0).fit(X.reshape(-1, 64), y)
    with pytest.raises(ValueError, match="expecting 64 features"):
        of_features.predict(X)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        SubsetClassifier().fit(X, y[:-1])
