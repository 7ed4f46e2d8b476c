"""Quasi-Newton steps from a limited memory, against BFGS with whole matrices."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skgd._solvers.limited_memory import LimitedMemory

MOST, SIZE = 4, 12


def inverse_hessian(pairs):
    """Return the inverse Hessian of BFGS after some pairs, from the scale of the last one."""
    step, change = pairs[-1]
    result = np.eye(SIZE) * (step @ change) / (change @ change)
    for step, change in pairs:
        left = np.eye(SIZE) - np.outer(step, change) / (step @ change)
        result = left @ result @ left.T + np.outer(step, step) / (step @ change)
    return result


@pytest.mark.parametrize("n_pairs", [1, 3, MOST, MOST + 1, 3 * MOST + 2])
def test_directions_are_those_of_bfgs(n_pairs):
    rng = np.random.default_rng(0)
    root = rng.normal(size=(SIZE, SIZE))
    hessian = root @ root.T + np.eye(SIZE)
    memory, pairs = LimitedMemory(MOST, 0.5), []
    gradient = rng.normal(size=SIZE)
    assert_allclose(memory.direction(gradient), -0.5 * gradient)
    for _ in range(n_pairs):
        step = rng.normal(size=SIZE)
        new = gradient + hessian @ step
        memory.add(step, gradient, new)
        pairs, gradient = [*pairs, (step, new - gradient)][-MOST:], new
        expected = -inverse_hessian(pairs) @ gradient
        assert_allclose(memory.direction(gradient), expected, rtol=1e-8, atol=1e-10)


def test_a_step_without_curvature_ends_what_is_remembered():
    memory, gradient = LimitedMemory(MOST, 0.5), np.ones(SIZE)
    memory.add(np.ones(SIZE), gradient, 3.0 * gradient)
    memory.add(np.ones(SIZE), 3.0 * gradient, gradient)
    assert_allclose(memory.direction(gradient), -0.5 * gradient)
    memory.add(np.ones(SIZE), gradient, 5.0 * gradient)
    assert_allclose(memory.direction(5.0 * gradient), -1.25 * gradient)
