"""The same data in another storage, order or weighting, which give the same model."""

from functools import cache

import numpy as np
import pytest
from exact_fits import (
    COLUMNS,
    DIABETES_Y,
    LABELLED,
    TIGHT,
    assert_close,
    assert_same_model,
    labelled,
    weights_of,
)
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.linear_model import LogisticRegression, Ridge

from skgd import GDClassifier, GDRegressor
from skgd.losses import Huber, Tweedie

# ---- the same data in other shapes --------------------------------------------------------------


def as_csr_int64(X):
    result = sparse.csr_matrix(X)
    result.indices, result.indptr = result.indices.astype(np.int64), result.indptr.astype(np.int64)
    return result


STORED = {
    "fortran": np.asfortranarray,
    "csr": sparse.csr_matrix,
    "csr_int64": as_csr_int64,
    "strided": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
}
FITS = {
    "squared_error": (GDRegressor(), "raw"),
    "squared_error l1": (GDRegressor(penalty="l1", alpha=1.0), "standardised"),
    "huber": (GDRegressor(Huber(30.0)), "raw"),
    "gamma": (GDRegressor("gamma", alpha=1e-2), "raw"),
    "tweedie l1": (GDRegressor(Tweedie(1.2), penalty="l1", alpha=0.1), "standardised"),
    "log_loss": (GDClassifier(alpha=1e-2), "breast_cancer"),
    "softmax": (GDClassifier(alpha=1e-2), "wine"),
    "squared_hinge": (GDClassifier("squared_hinge", alpha=1e-2), "wine"),
    "lbfgs": (GDClassifier(alpha=1e-1, optimizer="lbfgs"), "iris"),
    "accelerated_gradient": (GDRegressor(optimizer="accelerated_gradient"), "standardised"),
}


def fit_of(name):
    estimator, data = FITS[name]
    X, y = (COLUMNS[data], DIABETES_Y) if data in COLUMNS else LABELLED[data]
    return estimator.set_params(**TIGHT), X, y


def assert_same_fit(name, actual, expected, rtol=1e-7):
    assert_close(actual, expected, rtol, smallest=1 if name == "lbfgs" else 1e-3)


def fitted(estimator, *data, **keywords):
    """Return coefficients and intercepts of a fit, side by side."""
    estimator.fit(*data, **keywords)
    coef = np.atleast_2d(estimator.coef_)
    return np.column_stack([coef, estimator.intercept_])


@cache
def plain_fit(name):
    """Return the fit that those of other shapes, orders and starts are compared with."""
    return fitted(*fit_of(name))


@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("name", FITS)
def test_the_storage_of_X_does_not_matter(name, stored):
    estimator, X, y = fit_of(name)
    assert_same_fit(name, fitted(estimator, STORED[stored](X), y), plain_fit(name))


@pytest.mark.parametrize("mode", ["r", "c"])
@pytest.mark.parametrize("name", ["squared_error", "softmax"])
def test_a_read_only_memory_map_is_like_memory(name, mode, tmp_path):
    estimator, X, y = fit_of(name)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode=mode)
    assert_close(fitted(estimator, mapped, y), plain_fit(name), 1e-7)


@pytest.mark.parametrize("convert", [np.array, sparse.csr_matrix, np.asfortranarray])
@pytest.mark.parametrize("name", FITS)
def test_float32_gives_the_coefficients_in_float32(name, convert):
    estimator, X, y = fit_of(name)
    single = X.astype(np.float32)
    expected = fitted(estimator, single.astype(np.float64), y)
    actual = fitted(estimator, convert(single), y)
    assert estimator.coef_.dtype == np.float32
    assert_same_fit(name, actual, expected, 1e-6)


STEPS = {
    "sgd": {"optimizer": "sgd", "learning_rate": 0.05},
    "momentum": {"optimizer": "momentum", "learning_rate": 0.01},
    "adagrad": {"optimizer": "adagrad", "learning_rate": 0.1},
    "adam": {"optimizer": "adam", "learning_rate": 0.01},
    "rmsprop": {"optimizer": "rmsprop", "learning_rate": 0.01},
}


@pytest.mark.parametrize("convert", [sparse.csr_matrix, as_csr_int64, np.asfortranarray])
@pytest.mark.parametrize("batch_size", [16, "full"])
@pytest.mark.parametrize("steps", STEPS)
def test_update_steps_take_the_same_path_over_any_storage(steps, batch_size, convert):
    X, y = labelled("wine", standardise=False)
    estimator = GDClassifier(
        **STEPS[steps], batch_size=batch_size, max_iter=5, tol=None, random_state=0
    )
    assert_close(fitted(estimator, convert(X), y), fitted(estimator, X, y), 1e-7)


@pytest.mark.parametrize("steps", STEPS)
def test_single_row_steps_in_raw_coordinates_take_the_same_path_over_csr(steps):
    X, y = labelled("wine", standardise=True)
    X = np.where(X > 0.5, X, 0.0)
    estimator = GDClassifier(
        **STEPS[steps], batch_size=1, max_iter=3, tol=None, random_state=0, precondition=None
    )
    assert_close(fitted(estimator, sparse.csr_array(X), y), fitted(estimator, X, y), 1e-7)


@pytest.mark.parametrize("n_jobs", [2, -1])
@pytest.mark.parametrize("name", FITS)
def test_threads_give_the_same_bits(name, n_jobs):
    estimator, X, y = fit_of(name)
    X, y = np.tile(X, (12, 1)), np.tile(y, 12)
    estimator.set_params(tol=1e-4)
    expected = fitted(estimator, X, y)
    actual = fitted(estimator.set_params(n_jobs=n_jobs), X, y)
    estimator.set_params(n_jobs=None)
    assert_array_equal(actual, expected)


# ---- weights ------------------------------------------------------------------------------------


@pytest.mark.parametrize("convert", [np.array, sparse.csr_matrix])
@pytest.mark.parametrize("name", FITS)
def test_a_weight_of_k_is_the_row_repeated_k_times(name, convert):
    estimator, X, y = fit_of(name)
    s = weights_of(len(y))
    rows = np.repeat(np.arange(len(y)), s)
    expected = fitted(estimator, convert(X[rows]), y[rows])
    assert_same_fit(name, fitted(estimator, convert(X), y, sample_weight=s), expected)


@pytest.mark.parametrize("name", FITS)
def test_weights_have_no_unit(name):
    estimator, X, y = fit_of(name)
    s = weights_of(len(y))
    expected = fitted(estimator, X, y, sample_weight=s)
    assert_same_fit(name, fitted(estimator, X, y, sample_weight=1e6 * s), expected)
    assert_same_fit(name, fitted(estimator, X, y, sample_weight=1e-6 * s), expected)


@pytest.mark.parametrize("loss", ["log_loss", "squared_hinge", "modified_huber"])
@pytest.mark.parametrize("name", ["breast_cancer", "wine"])
def test_class_weights_multiply_sample_weights(name, loss):
    X, y = labelled(name, standardise=False)
    s = weights_of(len(y))
    factors = {0: 2.0, 1: 0.5}
    by_hand = s * np.array([2.0, 0.5, 1.0])[y]
    estimator = GDClassifier(loss, alpha=1e-2, **TIGHT)
    expected = fitted(estimator, X, y, sample_weight=by_hand)
    estimator.set_params(class_weight=factors)
    assert_close(fitted(estimator, X, y, sample_weight=s), expected, 1e-7)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", LABELLED)
def test_balanced_gives_the_classes_equal_weight(name, weighted):
    X, y = labelled(name, standardise=False)
    rows = np.arange(len(y)) % 3 < 1 + (y == 1)
    X, y = X[rows], y[rows]
    s = weights_of(len(y)) if weighted else np.ones(len(y))
    by_hand = s / np.bincount(y, weights=s)[y]
    estimator = GDClassifier(alpha=1e-2, **TIGHT)
    expected = fitted(estimator, X, y, sample_weight=by_hand)
    estimator.set_params(class_weight="balanced")
    actual = fitted(estimator, X, y, sample_weight=s if weighted else None)
    assert_close(actual, expected, 1e-7)


def test_balanced_is_that_of_logistic_regression():
    X, y = labelled("breast_cancer", standardise=True)
    oracle = LogisticRegression(
        C=1.0, class_weight="balanced", solver="newton-cholesky", tol=1e-14
    ).fit(X, y)
    model = GDClassifier(alpha=1 / len(y), class_weight="balanced", **TIGHT).fit(X, y)
    assert_same_model(model, oracle)


# ---- targets and order --------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["squared_error", Huber(30.0)])
@pytest.mark.parametrize("penalty", ["l2", "l1"])
def test_each_of_several_outputs_is_as_if_alone(loss, penalty):
    X = COLUMNS["standardised"]
    rng = np.random.default_rng(0)
    Y = np.column_stack(
        [DIABETES_Y, 1e3 * X[:, 0] - DIABETES_Y, rng.normal(50, 40, len(X))]
    )
    estimator = GDRegressor(loss, penalty=penalty, alpha=0.1, **TIGHT)
    estimator.fit(X, Y)
    coef, intercept = estimator.coef_, estimator.intercept_
    assert coef.shape == (3, X.shape[1])
    for c in range(3):
        estimator.fit(X, Y[:, c])
        assert_close(coef[c], estimator.coef_)
        assert_close(intercept[c:c + 1], estimator.intercept_)


def test_several_outputs_are_those_of_ridge():
    X = COLUMNS["standardised"]
    Y = np.column_stack([DIABETES_Y, X[:, 2] ** 2])
    oracle = Ridge(2.0, solver="cholesky").fit(X, Y)
    model = GDRegressor(alpha=2.0 / len(X), **TIGHT).fit(X, Y)
    assert_same_model(model, oracle)
    assert_allclose(model.predict(X), oracle.predict(X), rtol=1e-6)


@pytest.mark.parametrize("name", FITS)
def test_the_order_of_the_rows_does_not_matter(name):
    estimator, X, y = fit_of(name)
    order = np.random.default_rng(0).permutation(len(y))
    assert_same_fit(name, fitted(estimator, X[order], y[order]), plain_fit(name))


@pytest.mark.parametrize("name", ["squared_error", "log_loss", "softmax"])
def test_the_start_does_not_matter(name):
    estimator, X, y = fit_of(name)
    expected = plain_fit(name)
    estimator.set_params(init="random", random_state=0)
    assert_close(fitted(estimator, X, y), expected, 1e-7)
    rng = np.random.default_rng(0)
    start = rng.normal(size=estimator.coef_.shape), rng.normal(size=estimator.intercept_.shape)
    estimator.set_params(init=start)
    actual = fitted(estimator, X, y)
    estimator.set_params(init="zeros", random_state=None)
    assert_close(actual, expected, 1e-7)
