"""The minimum of a quadratic plus l1 and bounds: coordinate descent, and solves on a face."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import optimize

from skgd._solvers.active_set import SeparablePenalty, active_set_qp
from skgd._solvers.coordinate_descent import sweep_coordinates

RNG = np.random.default_rng(0)


def test_sweeps_reach_the_bounded_minimum_that_scipy_finds():
    A = RNG.normal(size=(20, 6))
    hessian, c = A.T @ A, 10 * RNG.normal(size=6)
    lower, upper, l1 = np.full(6, -0.2), np.full(6, 0.3), np.zeros(6)
    x = np.zeros(6)
    left = sweep_coordinates(hessian, l1, lower, upper, x, c.copy(), n_sweeps=1000, tol=1e-28)
    assert left <= 1e-28
    expected = optimize.lsq_linear(
        A, -np.linalg.lstsq(A.T, c, rcond=None)[0], (lower, upper), tol=1e-14
    ).x
    assert_allclose(x, expected, atol=1e-7)


def test_a_sweep_keeps_the_gradient_and_leaves_flat_coordinates():
    hessian, c = np.diag([2.0, 0.0, 4.0]), np.array([-4.0, 1.0, 1.0])
    x, gradient = np.zeros(3), c.copy()
    moved = sweep_coordinates(
        hessian, np.array([0.0, 0.0, 2.0]), np.full(3, -np.inf), np.full(3, np.inf), x, gradient,
        n_sweeps=1, tol=0.0,
    )  # fmt: skip
    assert_array_equal(x, [2.0, 0.0, 0.0])
    assert_array_equal(gradient, hessian @ x + c)
    assert moved == 8.0


def unbounded(l1):
    return SeparablePenalty(l1, np.full(len(l1), -np.inf), np.full(len(l1), np.inf))


@pytest.mark.parametrize("lower, upper", [(-np.inf, np.inf), (0.0, np.inf), (-0.1, 0.2)])
@pytest.mark.parametrize("seed", range(4))
def test_the_minimum_is_exact_where_columns_are_many_and_their_kinks_span_scales(
    seed, lower, upper
):
    rng = np.random.default_rng(seed)
    A, y = rng.normal(size=(12, 60)) / np.sqrt(12), rng.normal(size=12)
    penalty = SeparablePenalty(
        10.0 ** rng.integers(-12, 1, 60), np.full(60, lower), np.full(60, upper)
    )
    v = active_set_qp(A.T @ A, -A.T @ y, np.zeros(60), penalty, 0.0)
    # What the slope leaves at a kink, and at the others nothing.
    slope = A.T @ (A @ v - y)
    low = slope + np.where(v > 0, penalty.l1, -penalty.l1)
    high = slope + np.where(v < 0, -penalty.l1, penalty.l1)
    assert np.all((low <= 1e-12) | (v == lower))
    assert np.all((high >= -1e-12) | (v == upper))
    assert np.all((lower <= v) & (v <= upper))


def test_coordinates_without_curvature_stay():
    hessian, x = np.diag([2.0, 0.0]), np.array([0.0, 3.0])
    v = active_set_qp(hessian, np.array([-4.0, 1.0]), x, unbounded(np.array([1.0, 1.0])), 1e-10)
    assert_allclose(v, [1.5, 3.0], rtol=1e-11)
