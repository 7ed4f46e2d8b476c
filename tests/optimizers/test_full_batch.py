"""Full-batch optimizers on quadratics, a curved valley and the lasso."""

import numpy as np
import pytest
from scipy import optimize
from sklearn.linear_model import Lasso

from skgd import optimizers
from skgd.optimizers import (
    LBFGS,
    AcceleratedGradient,
    BarzilaiBorwein,
    FullBatchOptimizer,
    GradientDescent,
)

PUBLIC = [getattr(optimizers, name) for name in optimizers.__all__]
FULL_BATCH = [
    kind
    for kind in PUBLIC
    if issubclass(kind, FullBatchOptimizer) and kind is not FullBatchOptimizer
]


@pytest.mark.parametrize(
    "optimizer",
    [
        *(kind(shrink=bad) for kind in (GradientDescent, AcceleratedGradient)
          for bad in (0.0, 1.0, -1.0, np.nan)),
        *(kind(grow=bad) for kind in (GradientDescent, AcceleratedGradient)
          for bad in (0.5, np.inf, np.nan)),
        *(kind(memory=bad) for kind in (LBFGS, BarzilaiBorwein) for bad in (0, -1, 2.5, np.nan)),
        *(BarzilaiBorwein(shrink=bad) for bad in (0.0, 1.0, -1.0, np.nan)),
    ],
    ids=repr,
)  # fmt: skip
def test_bad_hyperparameters_of_full_batch_solvers_are_errors(optimizer):
    with pytest.raises((ValueError, TypeError), match="shrink|grow|memory"):
        optimizer.solve(Quadratic(), np.ones(5), Monitor(1e-9))


class Quadratic:
    """The mean squared residual of random rows, with l1 on request."""

    first_step = 1.0

    def __init__(self, alpha=0.0, n=40, d=5):
        generator = np.random.default_rng(0)
        self.X = generator.normal(size=(n, d)) * np.linspace(0.5, 2, d)
        self.y = self.X @ np.array([2, 0, 0, -1, 0.5]) + generator.normal(size=n)
        self.alpha, self.proximal = alpha, alpha > 0

    def value_and_gradient(self, x):
        r = self.X @ x - self.y
        return 0.5 * r @ r / len(r), self.X.T @ r / len(r)

    def nonsmooth_value(self, x):
        return self.alpha * np.abs(x).sum()

    def prox(self, x, step):
        return np.sign(x) * np.maximum(np.abs(x) - step * self.alpha, 0)


class Monitor:
    """Stops at a small step of the proximal gradient, and fails where a descent has no end."""

    def __init__(self, tol, objective=None):
        self.tol, self.objective, self.values = tol, objective, []

    def __call__(self, x, value, gradient, step):
        self.values.append(value)
        assert step > 0 and len(self.values) < 2000
        if self.objective is None:
            return np.linalg.norm(gradient) < self.tol
        smooth, slope = self.objective.value_and_gradient(x)
        assert value == pytest.approx(smooth + self.objective.nonsmooth_value(x), rel=1e-14)
        np.testing.assert_allclose(gradient, slope, rtol=1e-12, atol=1e-14)
        return np.linalg.norm(x - self.objective.prox(x - gradient, 1.0)) < self.tol


class Rosenbrock(Quadratic):
    proximal, alpha = False, 0.0

    def __init__(self):
        pass

    def value_and_gradient(self, x):
        return optimize.rosen(x), optimize.rosen_der(x)


@pytest.mark.parametrize("kind", FULL_BATCH)
def test_full_batch_solvers_reach_the_minimum_of_a_quadratic(kind):
    problem = Quadratic()
    monitor = Monitor(1e-12, problem)
    x = kind().solve(problem, np.zeros(5), monitor)
    np.testing.assert_allclose(x, np.linalg.lstsq(problem.X, problem.y)[0], rtol=1e-10)
    assert monitor.values[-1] < monitor.values[0]


@pytest.mark.parametrize("kind", FULL_BATCH)
def test_the_first_step_may_be_far_too_long_or_too_short(kind):
    for first_step in (1e8, 1e-4):
        problem = Quadratic()
        problem.first_step = first_step
        x = kind().solve(problem, np.zeros(5), Monitor(1e-12))
        np.testing.assert_allclose(x, np.linalg.lstsq(problem.X, problem.y)[0], rtol=1e-10)


@pytest.mark.parametrize("share", [1e-3, 0.3])
def test_the_first_step_of_lbfgs_is_the_share_of_the_gradient_that_it_is_told(share):
    start, tried = np.array([-1.2, 1.0]), []

    class Recorder(Rosenbrock):
        def value_and_gradient(self, x):
            tried.append(x.copy())
            return super().value_and_gradient(x)

    end = LBFGS().solve(Recorder(), start, Monitor(1e-9), first_step=share)
    moved = next(x for x in tried if (x != start).any())
    np.testing.assert_allclose(moved, start - share * optimize.rosen_der(start), rtol=1e-12)
    np.testing.assert_allclose(end, [1, 1], rtol=1e-7)


@pytest.mark.parametrize("kind", [AcceleratedGradient, BarzilaiBorwein, LBFGS])
def test_faster_solvers_find_the_end_of_a_curved_valley(kind):
    x = kind().solve(Rosenbrock(), np.array([-1.2, 1.0]), Monitor(1e-9))
    np.testing.assert_allclose(x, [1, 1], rtol=1e-7)


def test_gradient_descent_never_goes_up():
    problem = Quadratic(alpha=0.1)
    monitor = Monitor(1e-6, problem)
    GradientDescent().solve(problem, np.ones(5), monitor)
    assert len(monitor.values) > 10 and np.all(np.diff(monitor.values) <= 1e-14)


@pytest.mark.parametrize("kind", [GradientDescent, AcceleratedGradient, BarzilaiBorwein])
@pytest.mark.parametrize("alpha", [0.01, 0.3, 100.0])
def test_proximal_solvers_reach_the_lasso_of_scikit_learn(kind, alpha):
    problem = Quadratic(alpha)
    x = kind().solve(problem, np.full(5, 0.7), Monitor(1e-13, problem))
    lasso = Lasso(alpha, fit_intercept=False, tol=1e-15, max_iter=10_000)
    coef = lasso.fit(problem.X, problem.y).coef_
    np.testing.assert_allclose(x, coef, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(x == 0, coef == 0)


def test_barzilai_and_borweins_steps_are_those_of_the_formulas():
    problem, steps = Quadratic(), []

    def monitor(x, value, gradient, step):
        steps.append((x, gradient, step))
        return len(steps) > 6

    BarzilaiBorwein().solve(problem, np.ones(5), monitor)
    for i in range(1, 7):
        s, y = steps[i][0] - steps[i - 1][0], steps[i][1] - steps[i - 1][1]
        expected = s @ s / (s @ y) if i % 2 else s @ y / (y @ y)
        assert steps[i][2] == pytest.approx(expected, rel=1e-12)


def test_lbfgs_says_that_it_needs_a_smooth_penalty():
    with pytest.raises(ValueError, match="smooth"):
        LBFGS().solve(Quadratic(alpha=0.1), np.zeros(5), Monitor(1e-9))


@pytest.mark.parametrize("kind", FULL_BATCH)
def test_a_start_that_satisfies_the_monitor_is_returned_as_it_is(kind):
    start = np.full(5, 3.0)
    x = kind().solve(Quadratic(), start, lambda *arguments: True)
    np.testing.assert_array_equal(x, np.full(5, 3.0))


@pytest.mark.parametrize("kind", FULL_BATCH)
def test_the_start_is_not_written_to(kind):
    start = np.zeros(5)
    kind().solve(Quadratic(), start, Monitor(1e-9))
    np.testing.assert_array_equal(start, np.zeros(5))


def test_a_full_batch_solver_without_solve_is_an_error():
    with pytest.raises(NotImplementedError, match="solve"):
        FullBatchOptimizer().solve(Quadratic(), np.zeros(5), Monitor(1))
