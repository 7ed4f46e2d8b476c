"""Proximal Newton over working sets: the conditions of optimality at the minima it finds."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.linear_model import ElasticNet, Lasso

from skgd import GDClassifier, GDRegressor
from skgd._solvers import auto, working_sets
from skgd.losses import (
    Huber,
    LogCosh,
    LogLoss,
    ModifiedHuber,
    Poisson,
    SquaredEpsilonInsensitive,
    SquaredError,
    SquaredHinge,
)
from skgd.penalties import L1, Box

RNG = np.random.default_rng(0)
N, D = 60, 300
X = RNG.normal(size=(N, D)) * RNG.choice([0.0, 0.0, 1.0], size=(N, D))
Z = X[:, :8] @ RNG.normal(size=8) + 0.1 * RNG.normal(size=N)
WEIGHTS = RNG.integers(0, 4, N).astype(float)
CLASSES = np.where(Z > 0, 1.0, -1.0)
TARGETS = {
    SquaredError(): Z, Huber(): Z, LogCosh(): Z, SquaredEpsilonInsensitive(): Z,
    Poisson(): RNG.poisson(np.exp(0.3 * Z)).astype(float), LogLoss(): CLASSES,
    SquaredHinge(): CLASSES, ModifiedHuber(): CLASSES,
}  # fmt: skip
TIGHT = {"tol": 1e-9, "max_iter": 10_000}


@pytest.fixture(autouse=True)
def chosen(monkeypatch):
    """Let working sets descend alone; return how many descents there were."""
    calls, minimise = [], working_sets.minimise

    def counted(*args, **kwargs):
        calls.append(args)
        return minimise(*args, **kwargs)

    monkeypatch.setattr(working_sets, "minimise", counted)
    monkeypatch.setattr(auto, "SOLVERS", (*auto.SOLVERS[-2:], working_sets))
    return calls


def assert_is_minimum(model, X, y, loss, *, l1, atol=1e-6, weights=None):
    """Check the subgradients of ``mean loss + l1 |w|``."""
    weights = np.ones(len(y)) if weights is None else weights
    z, w = X @ np.ravel(model.coef_) + np.ravel(model.intercept_), np.ravel(model.coef_)
    slopes = weights * loss.gradient(y, z) / weights.sum()
    slope = X.T @ slopes
    assert abs(slopes.sum()) < atol
    assert_allclose(slope[w != 0], -l1 * np.sign(w[w != 0]), atol=atol)
    assert np.all(np.abs(slope) <= l1 + atol)
    assert 0 < np.count_nonzero(w) < len(w) / 2


@pytest.mark.parametrize("storage", ["dense", "CSR"])
@pytest.mark.parametrize("loss", list(TARGETS), ids=repr)
def test_subgradients_are_zero_at_the_minimum(loss, storage, chosen):
    y = TARGETS[loss]
    rows = sparse.csr_array(X) if storage == "CSR" else X
    kind = GDClassifier if loss.task == "classification" else GDRegressor
    model = kind(loss, penalty="l1", alpha=0.03, **TIGHT).fit(rows, y, WEIGHTS)
    assert chosen
    assert model.converged_
    assert_is_minimum(model, X, y, loss, l1=0.03, weights=WEIGHTS)


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.4])
def test_elastic_nets_are_those_of_scikit_learn(positive, l1_ratio):
    settings = {"alpha": 0.05, "l1_ratio": l1_ratio, "positive": positive}
    model = GDRegressor(penalty="elasticnet", **settings, **TIGHT).fit(X, Z)
    expected = ElasticNet(**settings, tol=1e-12, max_iter=100_000).fit(X, Z)
    assert_allclose(model.coef_, expected.coef_, atol=1e-7)
    assert_allclose(model.intercept_, expected.intercept_, atol=1e-7)
    assert_array_equal(model.coef_ == 0, expected.coef_ == 0)


@pytest.mark.parametrize("shift", [0.0, 50.0])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_dense_and_sparse_columns_of_any_scale_and_mean(fit_intercept, shift):
    scale = 10.0 ** RNG.integers(-6, 7, D)
    rows = (X + shift) if fit_intercept else X
    l1 = L1(weights=scale)
    settings = {"alpha": 0.05, "fit_intercept": fit_intercept, **TIGHT}
    plain = GDRegressor(penalty="l1", **settings).fit(rows, Z)
    for layout in (np.asarray, sparse.csr_array):
        scaled = GDRegressor(penalty=l1, **settings).fit(layout(rows * scale), Z)
        assert_allclose(scaled.coef_ * scale, plain.coef_, atol=1e-6)
    oracle = Lasso(alpha=0.05, fit_intercept=fit_intercept, tol=1e-12, max_iter=10**5).fit(rows, Z)
    assert_allclose(plain.coef_, oracle.coef_, atol=1e-6)


def test_float32_and_repeated_rows_have_the_same_minimum():
    single = X.astype(np.float32)
    model = GDRegressor(penalty="l1", alpha=0.05, **TIGHT).fit(single, Z, WEIGHTS)
    assert model.coef_.dtype == np.float32
    twice = np.repeat(np.arange(N), WEIGHTS.astype(int))
    other = GDRegressor(penalty="l1", alpha=0.05, **TIGHT).fit(single[twice], Z[twice])
    double = GDRegressor(penalty="l1", alpha=0.05, **TIGHT).fit(single.astype(float), Z, WEIGHTS)
    assert_allclose(model.coef_, double.coef_, atol=1e-6)
    assert_allclose(other.coef_, double.coef_, atol=1e-6)


def test_outputs_are_fitted_as_if_alone_and_bounds_hold():
    targets = np.column_stack([Z, X[:, 20] - 2 * X[:, 21], -Z])
    box = Box(-0.4, 0.6, L1())
    model = GDRegressor(penalty=box, alpha=0.03, **TIGHT).fit(X, targets)
    for c in range(3):
        alone = GDRegressor(penalty=box, alpha=0.03, **TIGHT).fit(X, targets[:, c])
        assert_allclose(model.coef_[c], alone.coef_, atol=1e-7)
    assert model.coef_.min() == -0.4 and model.coef_.max() == 0.6


def test_a_softmax_has_the_subgradients_of_its_minimum():
    y = np.digitize(Z, np.quantile(Z, [0.3, 0.7]))
    model = GDClassifier(penalty="l1", alpha=0.02, **TIGHT).fit(X, y)
    slopes = (model.predict_proba(X) - np.eye(3)[y]) / N
    slope, w = slopes.T @ X, model.coef_
    assert_allclose(slopes.sum(axis=0), 0.0, atol=1e-6)
    assert_allclose(slope[w != 0], -0.02 * np.sign(w[w != 0]), atol=1e-6)
    assert np.all(np.abs(slope) <= 0.02 + 1e-6)


def test_rows_far_from_their_targets_are_seen():
    model = GDRegressor(Huber(1.0), penalty="l1", alpha=0.1, **TIGHT).fit(X, 100 * Z, WEIGHTS)
    assert_is_minimum(model, X, 100 * Z, Huber(1.0), l1=0.1, weights=WEIGHTS)


def test_a_second_fit_from_the_minimum_takes_no_step():
    model = GDRegressor(penalty="l1", alpha=0.05, warm_start=True).fit(X, Z)
    before = model.coef_.copy()
    assert model.fit(X, Z).n_iter_ == 1
    assert_allclose(model.coef_, before, atol=1e-3)
