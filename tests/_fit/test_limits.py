"""The limits of numbers: constant columns and targets, bounds, and what float32 cannot hold."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import load_diabetes, load_wine
from sklearn.linear_model import LogisticRegression, Ridge

from skgd import GDClassifier, GDRegressor
from skgd.penalties import Box

X, Y = load_diabetes(return_X_y=True)
WINE = load_wine(return_X_y=True)
pytestmark = pytest.mark.filterwarnings("ignore:max_iter:sklearn.exceptions.ConvergenceWarning")


def with_column(value, dtype=float):
    return np.column_stack([X, np.full(len(X), value)]).astype(dtype)


SETTINGS = [
    {}, {"learning_rate": 0.03}, {"optimizer": "lbfgs"}, {"optimizer": "adam"},
    {"optimizer": "sgd", "batch_size": 1}, {"optimizer": "lion"}, {"optimizer": "saga"},
    {"optimizer": "lbfgs", "precondition": "full"}, {"optimizer": "adam", "precondition": None},
    {"optimizer": "lbfgs", "precondition": None}, {"penalty": "elasticnet"}, {"positive": True},
]  # fmt: skip


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix], ids=["dense", "CSR"])
@pytest.mark.parametrize("value", [2026.0, 1.7e9, 0.1])
def test_a_constant_column_has_a_coefficient_of_zero(value, make, settings):
    for init in ("zeros", "random", (np.ones(11), 1.0)):
        for dtype in (float, np.float32):
            model = GDRegressor(max_iter=3, init=init, random_state=0, **settings)
            model.fit(make(with_column(value, dtype)), Y)
            assert model.coef_[-1] == 0.0
            assert np.all(np.isfinite(model.coef_))


def test_the_other_coefficients_are_those_of_ridge():
    exact = Ridge(1e-4 * len(X), solver="svd").fit(X, Y)
    for value in (2026.0, 1.7e9 + 0.3, 1.7e12):
        model = GDRegressor(tol=1e-10).fit(with_column(value), Y)
        assert_allclose(model.coef_[:-1], exact.coef_, rtol=1e-7)


def test_what_varies_in_rows_without_weight_alone_is_constant():
    column, weights = np.full(len(X), 3.0), np.ones(len(X))
    column[::5], weights[::5] = np.arange(len(column[::5])), 0.0
    model = GDRegressor(optimizer="adam", max_iter=3, random_state=0)
    model.fit(np.column_stack([X, column]), Y, sample_weight=weights)
    assert model.coef_[-1] == 0.0


@pytest.mark.parametrize("optimizer", ["auto", "adam"])
def test_without_an_intercept_a_constant_column_is_one(optimizer):
    model = GDRegressor(fit_intercept=False, optimizer=optimizer, random_state=0)
    model.fit(with_column(1.0), Y)
    assert_allclose(model.coef_[-1], Y.mean(), rtol=0.01)


def test_the_mean_of_many_sparse_rows_is_no_reason_for_a_coefficient():
    A = sparse.csr_matrix(np.column_stack([np.arange(200_000) % 7, np.full(200_000, 0.1)]))
    model = GDRegressor(optimizer="adam", batch_size=20_000, max_iter=1, tol=None, random_state=0)
    assert model.fit(A, np.arange(200_000) % 3).coef_[1] == 0.0


@pytest.mark.parametrize("precondition", ["auto", None])
def test_a_stream_keeps_given_coefficients_until_their_columns_vary(precondition):
    init = np.arange(1.0, 12.0), 5.0
    model = GDRegressor(optimizer="sgd", learning_rate=1e-6, init=init, precondition=precondition)
    rows = with_column(7.0)
    expected = rows @ init[0] + init[1]
    model.partial_fit(rows[:40], expected[:40])
    assert_allclose(model.coef_, init[0], rtol=1e-3)
    assert_allclose(model.intercept_, 5.0, rtol=1e-3)
    rows[40:, -1] = np.linspace(0, 1, len(rows) - 40)
    expected = rows @ init[0] + init[1]
    model.partial_fit(rows[40:], expected[40:])
    assert_allclose(model.coef_, init[0], rtol=1e-3)


@pytest.mark.parametrize("penalty, positive", [("l2", True), (Box(-0.1, 5.0), False)], ids=str)
@pytest.mark.parametrize("optimizer", ["auto", "adam"])
def test_classes_are_centred_within_bounds(optimizer, penalty, positive):
    model = GDClassifier(
        penalty=penalty, positive=positive, alpha=0, optimizer=optimizer, max_iter=50,
        random_state=0,
    )  # fmt: skip
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(WINE[0][:, :5], WINE[1])
    lower, upper = (0.0, np.inf) if positive else (-0.1, 5.0)
    assert model.coef_.min() >= lower
    assert model.coef_.max() <= upper
    # Where the bounds forbid a sum of zero, some class is at one.
    at_bound = np.any(np.isclose(model.coef_, lower) | np.isclose(model.coef_, upper), axis=0)
    assert np.all(at_bound | (np.abs(model.coef_.sum(axis=0)) < 1e-9))
    infinite = any("infinite coefficients" in str(warning.message) for warning in caught)
    assert not infinite or positive


@pytest.mark.parametrize("scale", [1e39, 1e120, 1e-60])
@pytest.mark.parametrize("optimizer", ["auto", "adam"])
def test_float32_rows_with_targets_beyond_their_range(optimizer, scale):
    rows = X.astype(np.float32)
    model = GDRegressor(optimizer=optimizer, random_state=0).fit(rows, Y * scale)
    same = GDRegressor(optimizer=optimizer, random_state=0).fit(X, Y * scale)
    assert_allclose(model.coef_, same.coef_, rtol=1e-3)
    assert_allclose(model.predict(rows), same.predict(X), rtol=1e-3)
    assert GDRegressor().fit(rows, Y).coef_.dtype == np.float32


@pytest.mark.parametrize("optimizer", ["auto", "adam", "saga", "lbfgs"])
@pytest.mark.parametrize("loss", ["squared_error", "poisson", "gamma", "absolute_error"])
def test_constant_targets_are_fitted_in_silence(loss, optimizer):
    for value in np.exp(np.random.default_rng(0).uniform(-15, 15, size=5)):
        model = GDRegressor(loss, optimizer=optimizer, on_divergence="raise", random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model.fit(X[:50], np.full(50, value))
        assert_allclose(model.predict(X[:50]), value, rtol=1e-6)
        assert model.converged_


@pytest.mark.parametrize("estimator", [GDRegressor, GDClassifier])
def test_single_rows_are_no_explosion(estimator):
    model = estimator(optimizer="sgd", random_state=0)
    classes = {"classes": [0, 1]} if estimator is GDClassifier else {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for x in np.random.default_rng(0).integers(0, 2, size=(60, 1, 1)).astype(float):
            model.partial_fit(x, x[0], **classes)
    assert_allclose(model.predict([[0.0], [1.0]]), [0, 1], atol=0.05)


def test_advice_is_never_what_is_set():
    model = GDRegressor("squared_error", batch_size=8, tol=0.3, n_iter_no_change=1, random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X[:100], Y[:100])
    for warning in caught:
        assert "optimizer='auto'" not in str(warning.message)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("alpha", [2e-14, 1e-10])
def test_the_bound_allows_for_what_rounding_hides(alpha, seed):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(50, 100))
    y = 50 * (3 * rows[:, 0] + rng.normal(size=50))

    def objective(model):
        coef = np.asarray(model.coef_, dtype=np.longdouble)
        residuals = rows.astype(np.longdouble) @ coef + np.longdouble(model.intercept_) - y
        return (residuals**2).sum() / 100 + alpha / 2 * (coef**2).sum()

    model, exact = GDRegressor(alpha=alpha).fit(rows, y), Ridge(50 * alpha, solver="svd")
    gap = float(np.squeeze(objective(model)) - objective(exact.fit(rows, y)))
    assert gap <= model.optimality_ <= 2 * abs(gap) + 1e-6 * float(np.squeeze(objective(model)))


@pytest.mark.parametrize("optimizer", ["auto", "adam", "lbfgs"])
def test_a_caller_who_raises_floating_point_errors_can_fit(optimizer):
    with np.errstate(all="raise"):
        for loss in ("squared_error", "poisson", "log_cosh"):
            GDRegressor(loss, optimizer=optimizer, max_iter=5, random_state=0).fit(X, Y).predict(X)
        model = GDClassifier(optimizer=optimizer, max_iter=5, random_state=0).fit(*WINE)
        assert_allclose(model.predict_proba(WINE[0]).sum(axis=1), 1.0)


def test_a_constant_column_leaves_probabilities_as_they_are():
    far = np.column_stack([WINE[0], np.full(len(WINE[0]), 1.7e12)]).astype(np.float32)
    exact = LogisticRegression(C=1 / (1e-4 * len(far)), solver="newton-cholesky", max_iter=500)
    expected = exact.fit(WINE[0], WINE[1]).predict(WINE[0])
    model = GDClassifier().fit(far, WINE[1])
    assert_array_equal(model.coef_[:, -1], 0.0)
    assert np.mean(model.predict(far) == expected) > 0.99


@pytest.mark.parametrize("loss, unit", [("poisson", 1e140), ("absolute_error", 1e-140)])
@pytest.mark.parametrize("optimizer", ["auto", "adam"])
def test_extreme_units_are_no_reason_to_call_the_minimum_far(loss, unit, optimizer):
    model = GDRegressor(loss, optimizer=optimizer, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X[:60, :3], Y[:60] * unit)
    assert model.optimality_ <= 0.05 * model.history_["objective"][-1]
