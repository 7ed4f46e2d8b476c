"""Warm starts of Newton's method: on samples of the rows, and by L-BFGS."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.signal import lfilter
from sklearn.linear_model import LogisticRegression

from skgd import GDClassifier, GDRegressor
from skgd._solvers import second_order, warm_start
from skgd._solvers.costs import LBFGSStart, Products, SubsampleStart

RNG = np.random.default_rng(0)
WIDE = RNG.normal(size=(30, 120)) * np.logspace(-3, 3, 120) + np.linspace(-5.0, 5.0, 120)
NUMBERS = WIDE @ (1.0 / np.logspace(-3, 3, 120)) + RNG.normal(size=30)
CLASSES = np.digitize(NUMBERS, np.quantile(NUMBERS, [0.3, 0.7]))


def stay(objective, x, start_value):
    """Stand for the descent on samples, and go nowhere."""
    return x, None


@pytest.mark.parametrize("k", [2, 3])
def test_samples_change_the_way_alone(k, monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(6000, 3)) * [1.0, 100.0, 0.01] + [0.0, 1e3, 1.0]
    margins = (X - [0.0, 1e3, 1.0]) / [1.0, 100.0, 0.01]
    y = np.digitize(margins.sum(axis=1) + rng.logistic(size=6000), [0.0, 1.0][:k - 1])
    model = GDClassifier(tol=1e-10)
    short = dict(vars(model.fit(X, y)))
    monkeypatch.setattr(second_order, "descend_on_subsamples", stay)
    long = dict(vars(model.fit(X, y)))
    assert short["n_iter_"] < long["n_iter_"]
    scale = [1.0, 100.0, 0.01]
    assert_allclose(short["coef_"] * scale, long["coef_"] * scale, atol=1e-8)


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix], ids=["dense", "CSR"])
def test_a_softmax_with_more_parameters_than_rows_takes_gradients_first(make, monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 300))
    y = (X @ rng.normal(size=(300, 6))).argmax(axis=1)
    model = GDClassifier(alpha=1e-3, tol=1e-8)
    short = dict(vars(model.fit(make(X), y)))
    monkeypatch.setattr(LBFGSStart, "joint_work", np.inf)
    long = dict(vars(model.fit(make(X), y)))
    assert short["n_iter_"] > long["n_iter_"]
    assert_allclose(short["coef_"], long["coef_"], atol=1e-6)
    assert short["optimality_"] <= 1e-12


@pytest.mark.parametrize("products", [(0.0, 0.0), (15.0, 100.0)], ids=["few", "many"])
@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix], ids=["dense", "CSR"])
@pytest.mark.parametrize("kind, y", [
    (GDClassifier(), CLASSES > 0), (GDClassifier(), CLASSES), (GDRegressor("huber"), NUMBERS),
], ids=["2 classes", "3 classes", "huber"])  # fmt: skip
def test_gradients_first_change_the_way_alone(kind, y, make, products, monkeypatch):
    X = make(WIDE[:, 40:80])
    model = kind.set_params(alpha=0.01, tol=1e-10)
    expected = dict(vars(model.fit(X, y)))
    monkeypatch.setattr(LBFGSStart, "hessian_work", 0.0)
    monkeypatch.setattr(Products, "least", products[0])
    monkeypatch.setattr(Products, "most", products[1])
    taken, start = [], warm_start.GradientStart
    monkeypatch.setattr(
        second_order, "GradientStart", lambda passes: taken.append(passes) or start(passes)
    )
    model.fit(X, y)
    assert taken
    scale = WIDE[:, 40:80].std(axis=0)
    assert_allclose(model.coef_ * scale, expected["coef_"] * scale, rtol=1e-6, atol=1e-7)
    assert model.converged_


def test_gradients_give_way_where_they_lead_on_slowly(monkeypatch):
    # Columns that nearly depend on one another: L-BFGS alone takes more steps than are left.
    rng = np.random.default_rng(0)
    X = np.cumsum(rng.normal(size=(200, 30)), axis=1)
    y = X[:, 3] - X[:, 17] + rng.logistic(size=200) > 0
    expected = GDClassifier().fit(X, y)
    monkeypatch.setattr(LBFGSStart, "hessian_work", 0.0)
    model = GDClassifier(max_iter=60).fit(X, y)
    assert model.converged_
    first, *_, last = model.history_["objective"]
    least = expected.history_["objective"][-1]
    assert last - least <= 1e-6 * (first - least)


def test_a_sample_that_misleads_is_forgotten(monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(6000, 2))
    y = X[:, 0] > 0
    # The rows that are drawn first have the other labels.
    first = np.random.default_rng(0).choice(len(y), len(y) // SubsampleStart.growth, replace=False)
    y[first] = ~y[first]
    model = GDClassifier(tol=1e-10).fit(X, y)
    with monkeypatch.context() as patch:
        patch.setattr(second_order, "descend_on_subsamples", stay)
        expected = GDClassifier(tol=1e-10).fit(X, y)
    assert model.n_iter_ == expected.n_iter_
    assert_array_equal(model.coef_, expected.coef_)


def test_gradients_end_where_little_decrease_is_left():
    """Where the gradient alone is below `tol`, 1e-6 of the decrease is missing."""
    generator = np.random.default_rng(0)
    X = lfilter([0.8], [1.0, -0.6], generator.normal(size=(2000, 400)), axis=1)
    y = X @ generator.normal(size=400) > 0.5 * generator.normal(size=2000)
    alpha, signs = 1e-4, np.where(y, 1.0, -1.0)
    exact = LogisticRegression(C=1 / (2000 * alpha), solver="newton-cholesky", tol=1e-7)

    def objective(model):
        margins = signs * model.decision_function(X)
        return np.logaddexp(0.0, -margins).mean() + 0.5 * alpha * (model.coef_**2).sum()

    fitted, least = GDClassifier(alpha=alpha).fit(X, y), objective(exact.fit(X, y))
    assert objective(fitted) - least <= 5e-8 * (np.log(2.0) - least)
    assert fitted.history_["passes"][-1] <= 100
