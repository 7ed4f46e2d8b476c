"""Piecewise-linear losses on wide tables: dual coordinate descent comes to the exact minimum."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import QuantileRegressor
from sklearn.svm import SVC

from skgd import GDClassifier, GDRegressor
from skgd.losses import EpsilonInsensitive, Quantile
from skgd.penalties import L2

N, D = 120, 900
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, D)) * (RNG.random((N, D)) < 0.3)
Z = X[:, :10].sum(axis=1) + RNG.normal(size=N)
S = RNG.integers(0, 4, N).astype(float)
LOSSES = {
    "hinge": (GDClassifier, "hinge", Z > 0.5),
    "absolute_error": (GDRegressor, "absolute_error", 3 * Z + 100),
    "epsilon_insensitive": (GDRegressor, EpsilonInsensitive(0.3), Z),
    "quantile": (GDRegressor, Quantile(0.8), Z),
    "quantiles": (GDRegressor, Quantile([0.2, 0.7]), Z),
    "multi-output": (GDRegressor, "absolute_error", np.column_stack([Z, Z**2])),
    "one-vs-rest": (GDClassifier, "hinge", np.digitize(Z, [-1.5, 1.0])),
}
every_loss = pytest.mark.parametrize("name", LOSSES)


def objective(model, A, y, s=None, weights=1.0):
    """Return the objective that the documentation states, of a fitted model."""
    z = np.asarray(A @ np.atleast_2d(model.coef_).T) + model.intercept_
    loss = model.loss
    if isinstance(model, GDClassifier):
        signs = np.where(np.asarray(y)[:, None] == model.classes_[-z.shape[1]:], 1.0, -1.0)
        losses = np.maximum(0.0, 1.0 - signs * z)
    else:
        r = np.reshape(y, (len(y), -1)) - z
        if loss == "absolute_error":
            losses = np.abs(r)
        elif isinstance(loss, EpsilonInsensitive):
            losses = np.maximum(np.abs(r) - loss.epsilon, 0.0)
        else:
            losses = np.maximum(np.multiply(loss.quantile, r), np.multiply(loss.quantile, r) - r)
    penalty = 0.5 * model.alpha * np.sum(weights * np.square(model.coef_))
    return np.average(losses, axis=0, weights=s).sum() + penalty


def least_hinge(A, y, alpha, s=None, weights=1.0):
    """Return the minimum of the hinge with an intercept by scikit-learn's kernel machine."""
    s = np.ones(len(y)) if s is None else s
    A, y, s = A[s > 0], y[s > 0], s[s > 0]
    K = (A / weights) @ A.T
    model = SVC(C=1 / (alpha * s.sum()), kernel="precomputed", tol=1e-10).fit(K, y, s)
    u = np.zeros(len(y))
    u[model.support_] = model.dual_coef_[0]
    losses = np.maximum(0.0, 1.0 - np.where(y, 1.0, -1.0) * (K @ u + model.intercept_))
    return np.average(losses, weights=s) + 0.5 * alpha * u @ K @ u


def assert_at_minimum(model, A, y, s=None, *, rtol=1e-4):
    """Check that the bound is one, that it is small, and that the history tells the truth."""
    value = objective(model, A, y, s)
    assert model.stop_reason_ in ("tol", "precision")
    assert_allclose(model.history_["objective"][-1], value, rtol=1e-12)
    assert 0 <= model.optimality_ <= rtol * value


@pytest.mark.parametrize("scale", [1.0, 30.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_hinge_is_the_support_vector_machine_with_a_free_intercept(weighted, scale):
    s = S if weighted else None
    A = X * np.where(np.arange(D) == 3, scale, 1.0)  # one raw column, far steeper than the others
    for alpha in (1.0, 10.0):
        # From above: the kernel machine works on products in single precision.
        least = least_hinge(A, Z > 0.5, alpha, s)
        for rows in (A, sparse.csr_matrix(A)):
            model = GDClassifier("hinge", alpha=alpha).fit(rows, Z > 0.5, s)
            assert_at_minimum(model, A, Z > 0.5, s)
            value = objective(model, A, Z > 0.5, s)
            assert least * (1 - 1e-3) <= value <= least * (1 + 1e-4)
            assert value - model.optimality_ <= least


@every_loss
def test_every_layout_has_the_same_minimum(name):
    make, loss, y = LOSSES[name]
    A = X.astype(np.float32)
    exact = A.astype(float)
    values = []
    for rows in (exact, sparse.csr_matrix(exact), np.asfortranarray(exact), A, sparse.csr_array(A)):
        model = make(loss, alpha=1e-2).fit(rows, y, S)
        assert model.coef_.dtype == rows.dtype
        assert model.optimality_ <= 1.1e-4 * model.history_["objective"][-1]
        values.append(objective(model, exact, y, S))
    assert_allclose(values, values[0], rtol=1e-4)
    repeated = make(loss, alpha=1e-2).fit(np.repeat(exact, S.astype(int), axis=0), np.repeat(
        y, S.astype(int), axis=0
    ))  # fmt: skip
    assert_allclose(objective(repeated, exact, y, S), values[0], rtol=1e-4)


@every_loss
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_a_small_tol_leads_to_the_minimum_of_a_quadratic_program(name, fit_intercept):
    make, loss, y = LOSSES[name]
    y = y if fit_intercept or make is GDClassifier else y - np.mean(y, axis=0)
    model = make(loss, alpha=1e-2, tol=1e-9, fit_intercept=fit_intercept).fit(X, y)
    value = objective(model, X, y)
    assert model.optimality_ <= 1e-8 * value

    # Any other model is worse: the objective is convex, so small changes of this one suffice.
    rng = np.random.default_rng(1)
    coef, intercept = model.coef_.copy(), np.copy(model.intercept_)
    for size in (1e-1, 1e-3, 1e-5):
        for _ in range(5):
            model.coef_ = coef + size * rng.normal(size=coef.shape) * np.abs(coef).mean()
            model.intercept_ = intercept + fit_intercept * size * rng.normal(size=intercept.shape)
            assert objective(model, X, y) >= value * (1 - 1e-8)


def test_penalties_of_their_own_constant_and_far_columns_are_no_trouble():
    weights = RNG.uniform(0.1, 2.0, D)
    model = GDClassifier("hinge", penalty=L2(weights=weights), alpha=1e-2).fit(X, Z > 0.5)
    value = objective(model, X, Z > 0.5, weights=weights)
    assert_allclose(value, least_hinge(X, Z > 0.5, 1e-2, weights=weights), rtol=1e-4)

    expected = objective(GDClassifier("hinge", alpha=1e-2).fit(X, Z > 0.5), X, Z > 0.5)
    for column in (np.full(N, 1e6), 1e6 + X[:, 0]):
        A = np.column_stack([X[:, 1:], column])
        for rows in (A, sparse.csr_matrix(A)):
            model = GDClassifier("hinge", alpha=1e-2).fit(rows, Z > 0.5)
            assert model.optimality_ <= 1e-4 * model.history_["objective"][-1]
            if not np.ptp(column):
                assert model.coef_[0, -1] == 0
            else:
                assert_allclose(model.history_["objective"][-1], expected, rtol=2e-4)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_the_gradient_of_the_squared_hinge_vanishes(fit_intercept):
    s, signs = S / S.sum(), np.where(Z > 0.5, 1.0, -1.0)
    for rows in (X, sparse.csr_matrix(X)):
        model = GDClassifier(
            "squared_hinge", alpha=1e-2, tol=1e-6, fit_intercept=fit_intercept
        ).fit(rows, Z > 0.5, S)  # fmt: skip
        slopes = -2.0 * s * signs * np.maximum(0.0, 1.0 - signs * model.decision_function(rows))
        assert_allclose(slopes @ X + 1e-2 * model.coef_[0], 0, atol=1e-6)
        assert not fit_intercept or abs(slopes.sum()) < 1e-6
        assert 0 <= model.optimality_ <= 1e-10


def test_nearly_as_many_rows_as_columns_take_few_passes():
    """Newton's method takes 155: the rows with a loss change with each step."""
    generator = np.random.default_rng(0)
    A = generator.normal(size=(280, 300))
    y = A[:, :20] @ generator.normal(size=20) + generator.normal(size=280) > 0.0
    alpha, signs = 1e-4, np.where(y, 1.0, -1.0)
    model = GDClassifier("squared_hinge", alpha=alpha, tol=1e-5).fit(A, y)
    slopes = -2.0 * signs * np.maximum(0.0, 1.0 - signs * model.decision_function(A)) / len(A)
    assert_allclose(A.T @ slopes + alpha * model.coef_[0], 0.0, atol=1e-5)
    assert model.history_["passes"][-1] <= 125


@pytest.mark.parametrize("alpha", [1e-8, 1e5])
@every_loss
def test_any_alpha_ends_at_its_minimum(name, alpha):
    make, loss, y = LOSSES[name]
    model = make(loss, alpha=alpha).fit(X, y)
    assert model.converged_
    assert model.optimality_ <= 1e-4 * objective(model, X, y)
    if alpha > 1.0:
        assert np.abs(model.coef_).max() < 1e-3


def test_n_jobs_and_random_state_change_no_bit():
    y = LOSSES["one-vs-rest"][2]
    one, other = (
        GDClassifier("hinge", n_jobs=n_jobs, random_state=n_jobs).fit(X, y) for n_jobs in (1, 2)
    )
    assert_array_equal(one.coef_, other.coef_)
    assert_array_equal(one.intercept_, other.intercept_)


def test_max_iter_ends_a_descent_with_a_bound_and_a_warning():
    model = GDClassifier("hinge", max_iter=1, tol=1e-12)
    with pytest.warns(ConvergenceWarning, match="max_iter=1"):
        model.fit(X, Z > 0.5)
    least = least_hinge(X, Z > 0.5, model.alpha)
    assert model.n_iter_ == 1 and model.stop_reason_ == "max_iter"
    assert model.history_["objective"][-1] - model.optimality_ <= least * (1 + 1e-7)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert GDClassifier("hinge", max_iter=3, tol=None).fit(X, Z > 0.5).n_iter_ == 3


@every_loss
def test_a_warm_start_is_no_worse_than_its_start(name):
    make, loss, y = LOSSES[name]
    model = make(loss, alpha=1e-2, warm_start=True).fit(X, y)
    passes, value = model.history_["passes"][-1], objective(model, X, y)
    model.fit(X, y)
    assert objective(model, X, y) <= value * (1 + 1e-12)
    assert model.history_["passes"][-1] <= passes
    model.set_params(alpha=2e-2).fit(X, y)
    assert_at_minimum(model, X, y, rtol=2e-4)


def test_what_has_nothing_to_learn_is_the_constant_model():
    model = GDRegressor("absolute_error").fit(X, np.full(N, 3.0))
    assert_array_equal(model.coef_, 0)
    assert model.optimality_ == 0
    model = GDClassifier("hinge").fit(X, Z > 0.5, (Z > 0.5).astype(float))
    assert_array_equal(model.coef_, 0)
    assert model.intercept_[0] == 1


def test_a_descent_that_stalls_ends_with_another_solver():
    # Rows in a space of few dimensions, and hardly a penalty.
    factors = RNG.normal(size=(N, 10))
    A = factors @ RNG.normal(size=(10, D))
    y = factors.sum(axis=1) + RNG.normal(size=N)
    least = QuantileRegressor(alpha=0.0).fit(factors, y)
    model = GDRegressor("absolute_error", alpha=1e-9).fit(A, y)
    assert model.converged_
    assert_allclose(
        model.history_["objective"][-1], np.abs(y - least.predict(factors)).mean(), rtol=1e-5
    )
