"""Losses of straight pieces: the defaults reach the minimum that linear programming finds."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import optimize, sparse
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.linear_model import QuantileRegressor
from sklearn.svm import SVC

from skgd import GDClassifier, GDRegressor
from skgd.losses import EpsilonInsensitive, Quantile

X, Y = load_diabetes(return_X_y=True, scaled=False)
CANCER_X, CANCER = load_breast_cancer(return_X_y=True)


@pytest.mark.parametrize("alpha", [1e-3, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
def test_absolute_error_with_l1_is_median_regression(alpha, weighted):
    s = np.random.default_rng(0).integers(0, 4, len(Y)).astype(float) if weighted else None
    oracle = QuantileRegressor(quantile=0.5, alpha=alpha / 2).fit(X, Y, s)
    model = GDRegressor("absolute_error", penalty="l1", alpha=alpha).fit(X, Y, s)
    values = [
        np.average(np.abs(Y - m.predict(X)), weights=s) + alpha * np.abs(m.coef_).sum()
        for m in (model, oracle)
    ]
    assert values[0] <= values[1] * (1 + 1e-7)
    assert_array_equal(model.coef_ == 0, oracle.coef_ == 0)
    assert model.n_iter_ < 30


def test_a_list_of_quantiles_is_each_by_itself():
    together = GDRegressor(Quantile([0.1, 0.7]), penalty="l1", alpha=0.1).fit(X, Y)
    for row, quantile in zip(together.coef_, (0.1, 0.7), strict=True):
        oracle = QuantileRegressor(quantile=quantile, alpha=0.1).fit(X, Y)
        assert_allclose(row, oracle.coef_, rtol=1e-5, atol=1e-6)
    assert together.optimality_ <= 1e-6 * together.history_["objective"][-1]


@pytest.mark.parametrize("alpha", [1e-4, 1e-2])
def test_hinge_with_l1_is_a_linear_program(alpha):
    n, d = CANCER_X.shape
    y = 2.0 * CANCER - 1
    margins = np.hstack([CANCER_X, -CANCER_X, np.ones((n, 1))])
    oracle = optimize.linprog(
        np.concatenate([np.full(2 * d, alpha), [0.0], np.full(n, 1 / n)]),
        np.hstack([-y[:, None] * margins, -np.eye(n)]), -np.ones(n),
        bounds=[(0, None)] * (2 * d) + [(None, None)] + [(0, None)] * n,
    )  # fmt: skip
    model = GDClassifier("hinge", penalty="l1", alpha=alpha).fit(CANCER_X, CANCER)
    # The program's own constraints hold to 1e-7.
    assert_allclose(model.history_["objective"][-1], oracle.fun, rtol=0, atol=5e-7)
    assert model.optimality_ <= 1e-8
    expected = oracle.x[:d] - oracle.x[d:2 * d]
    assert_array_equal(model.coef_[0] == 0, np.abs(expected) < 1e-9)
    assert model.n_iter_ < 50


@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet", None])
@pytest.mark.parametrize("make", [GDClassifier, GDRegressor])
def test_weights_repeat_rows_and_sparse_rows_are_dense_ones(make, penalty):
    A, y = (CANCER_X, CANCER) if make is GDClassifier else (X, Y)
    rng = np.random.default_rng(0)
    rows = rng.choice(len(y), 200, replace=False)
    A, y, s = A[rows, :6], y[rows], rng.integers(0, 4, 200)
    model = make("hinge" if make is GDClassifier else "absolute_error", penalty=penalty)
    expected = model.fit(np.repeat(A, s, axis=0), np.repeat(y, s)).coef_
    assert_allclose(model.fit(A, y, s).coef_, expected, rtol=1e-5, atol=1e-10)
    assert_allclose(model.fit(sparse.csr_matrix(A), y, s).coef_, expected, rtol=1e-5, atol=1e-10)


def test_bounds_hold_exactly():
    model = GDRegressor("absolute_error", positive=True).fit(X, Y)
    assert np.all(model.coef_ >= 0)
    assert np.sum(model.coef_ == 0) >= 2
    assert model.optimality_ <= 1e-6 * model.history_["objective"][-1]


def test_separable_classes_and_a_constant_column_are_no_trouble():
    A, y = load_wine(return_X_y=True)
    A = np.column_stack([A, np.full(len(A), 1e6)])
    for penalty in ("l2", None):
        model = GDClassifier("hinge", penalty=penalty).fit(A, y)
        assert model.score(A, y) == 1
        assert np.all(np.isfinite(model.coef_))
        assert_array_equal(model.coef_[:, -1], 0)


@pytest.mark.parametrize("width", [1.0, 1.0 - 1e-9])
def test_targets_within_epsilon_are_no_explosion(width):
    y = np.where(Y > np.median(Y), 1.0, -1.0)
    model = GDRegressor(EpsilonInsensitive(width), alpha=1e-2).fit(X, y)
    assert model.converged_
    assert model.history_["objective"][-1] <= 1.0 - width + 1e-15


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("quantile", [0.5, 0.9])
def test_more_columns_than_rows_with_l1_reach_the_minimum_of_the_linear_program(quantile, storage):
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(40, 200)) * 10.0 ** rng.integers(-1, 2, 200)
    y, s = rng.normal(size=40) + rows[:, 0], rng.integers(0, 4, 40).astype(float)
    oracle = QuantileRegressor(quantile=quantile, alpha=0.02).fit(rows, y, s)
    model = GDRegressor(Quantile(quantile), penalty="l1", alpha=0.02).fit(storage(rows), y, s)
    z = rows @ oracle.coef_ + oracle.intercept_
    least = np.average(Quantile(quantile).value(y, z), weights=s)
    least += 0.02 * np.abs(oracle.coef_).sum()
    assert_allclose(model.history_["objective"][-1], least, rtol=1e-5)
    assert_array_equal(model.coef_ == 0, np.abs(oracle.coef_) < 1e-12)
    assert model.optimality_ <= 1e-5 * least
    assert model.n_iter_ < 50


@pytest.mark.parametrize("positive", [False, True])
def test_hinge_with_l1_and_more_columns_than_rows_has_no_gap(positive):
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(50, 300))
    y = rows[:, :3].sum(axis=1) > 0
    model = GDClassifier("hinge", penalty="l1", alpha=0.03, positive=positive).fit(rows, y)
    assert model.converged_
    assert model.optimality_ <= 1e-5 * model.history_["objective"][-1]
    assert 0 < np.count_nonzero(model.coef_) < 50
    assert not positive or model.coef_.min() == 0.0


@pytest.mark.parametrize("alpha", [1e-7, 1e-2])
def test_where_a_constant_is_best_it_is_the_end(alpha):
    rng = np.random.default_rng(0)
    rows, y = rng.normal(size=(60, 2)), np.arange(60) < 20
    model = GDClassifier("hinge", penalty="l1", alpha=alpha).fit(rows, y)
    # That of the intercept -1: a third of the rows lies at a distance of 2 from its side.
    assert model.history_["objective"][-1] <= 2 / 3 * (1 + 1e-12)
    assert model.n_iter_ < 20


@pytest.mark.parametrize("n, seed", [(12, 22), (40, 11), (40, 22)])
def test_rows_that_a_far_plane_separates_have_no_loss(n, seed):
    rows = np.random.default_rng(seed).normal(size=(n, 2))
    heights = rows @ [1.0, -0.2]
    y = heights >= np.sort(heights)[-2]
    model = GDClassifier("hinge", penalty=None).fit(rows, y)
    assert model.history_["objective"][-1] <= 1e-9
    assert model.score(rows, y) == 1


def test_rows_at_their_kinks_are_on_neither_side_of_the_intercept():
    """Rounding puts them on one side, where the loss may seem to be flat."""
    for seed in range(165, 185):
        rng = np.random.default_rng(seed)
        rows, y, s = rng.random((15, 30)), rng.integers(0, 3, 15) == 0, rng.integers(0, 5, 15)
        model = GDClassifier("hinge", alpha=1e-4).fit(rows, y, sample_weight=s)
        oracle = SVC(kernel="linear", C=1e4 / s.sum(), tol=1e-8).fit(rows, y, sample_weight=s)
        values = [
            s @ np.maximum(0.0, 1.0 - np.where(y, 1, -1) * m.decision_function(rows)) / s.sum()
            + 0.5e-4 * np.sum(m.coef_**2)
            for m in (model, oracle)
        ]
        assert values[0] <= values[1] * (1 + 1e-6), seed
