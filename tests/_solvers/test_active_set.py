"""The minimum of a quadratic plus l1 and bounds."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skgd._solvers.active_set import SeparablePenalty, active_set_qp


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
