"""Newton's method: damping, Hessians that serve for several steps, quasi-Newton pairs."""

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skgd import GDClassifier, GDRegressor
from skgd._estimators.base import fitted_run
from skgd._solvers import row_space
from skgd._solvers.costs import Factorisation, NewtonLimits
from skgd._solvers.hessian import Hessian
from skgd._solvers.newton import Newton, QuasiNewtonPairs, _Iteration, evaluate, line_search


def test_a_damping_that_hides_a_decrease_is_left(monkeypatch):
    # An earlier step may have needed it: with it the next one would be lost in rounding.
    def found(*args):
        return line_search(*args) if args[-1] > 1e-12 else (0.0, None)

    monkeypatch.setattr("skgd._solvers.newton.line_search", found)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4)) * [1.0, 100.0, 1e-3, 3.0] + [0.0, 1e3, 0.0, 5.0]
    y = rng.choice([-1.0, 1.0], 60)
    model = GDClassifier(alpha=0.1).fit(X, y)
    objective = fitted_run(model, X, y, rng.integers(1, 4, 60)).objective
    minimum = Newton().solve(objective, np.zeros(5), lambda *_: False)
    x = minimum + 3e-6
    value, gradient = evaluate(objective, x)
    iteration = _Iteration(Newton(), objective, None, gradient)
    iteration.damping = NewtonLimits.largest_damping / 10
    length, point = iteration.take(x, value, gradient)
    assert length == 1.0
    assert_allclose(point[0], minimum, atol=1e-9)


@pytest.mark.parametrize("k", [2, 3])
def test_a_costly_hessian_is_used_again(k, monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 40)) * np.logspace(-3, 3, 40) + 10.0
    margins = 2.0 * ((X - 10.0) / np.logspace(-3, 3, 40))[:, :k].sum(axis=1)
    y = np.digitize(margins + rng.logistic(size=3000), [0.0, 2.0][:k - 1])
    made = []

    class Counted(Hessian):
        def __init__(self, *args):
            made.append(self)
            super().__init__(*args)

    def fit():
        made.clear()
        model = GDClassifier(alpha=0.01, tol=1e-11).fit(X, y)
        return model, len(made)

    monkeypatch.setattr(row_space, "Hessian", Counted)
    monkeypatch.setattr(Factorisation, "costly", 1e6)
    model, several = fit()
    monkeypatch.setattr(Factorisation, "costly", np.inf)
    expected, each = fit()
    assert several < each
    scale = X.std(axis=0)
    assert_allclose(model.coef_ * scale, expected.coef_ * scale, atol=1e-9)
    assert model.optimality_ <= 1e-12


def test_quasi_newton_pairs_on_a_quadratic_are_conjugate_gradients():
    # With exact line searches both reach the minimum in as many steps as there are parameters.
    hessian = np.diag(np.logspace(0.0, 2.0, 6))
    known = SimpleNamespace(precondition=lambda row: row / np.linspace(1.0, 2.0, 6))
    x, pairs = np.ones(6), QuasiNewtonPairs()
    for _ in range(6):
        step, decrease = pairs.step(known, hessian @ x)
        assert_allclose(decrease, -(hessian @ x) @ step)
        step = decrease / (step @ hessian @ step) * step
        pairs.add(step, hessian @ step)
        x = x + step
    assert_allclose(x, 0.0, atol=1e-12)


@pytest.mark.parametrize("penalty", ["l1", "elasticnet"])
@pytest.mark.parametrize("loss", ["huber", "log_cosh", "modified_huber", "log_loss"])
def test_a_point_without_curvature_is_not_the_minimum(loss, penalty):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    y = X @ [1.0, -2.0, 0.5] + rng.normal(size=60)
    make = GDRegressor if loss in ("huber", "log_cosh") else GDClassifier
    y = y if make is GDRegressor else y > 0
    model = make(loss, penalty=penalty, alpha=1e-2, tol=1e-9).fit(X, y)
    objective = fitted_run(model, X, y).objective
    far = objective.metric.from_raw(np.full((1, 3), 1e3), np.array([-1e3])).ravel()
    coef, _ = objective.to_raw(Newton().solve(objective, far, lambda *_: False))
    assert_allclose(coef.ravel(), model.coef_.ravel(), rtol=1e-5, atol=1e-7)
