"""Coordinate descent on quadratics plus l1 and bounds."""

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
from scipy import optimize

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
