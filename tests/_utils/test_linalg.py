"""Symmetric systems that may be nearly singular."""

import numpy as np
from numpy.testing import assert_allclose

from skgd._utils.linalg import solver

RNG = np.random.default_rng(0)


def test_a_system_is_solved_where_it_has_curvature_and_left_alone_where_it_is_flat():
    A = RNG.normal(size=(6, 3)) * [1e-8, 1.0, 1e6]
    hessian = A.T @ A
    solution = RNG.normal(size=3) / [1e-8, 1.0, 1e6]
    assert_allclose(solver(hessian)(hessian @ solution), solution, rtol=1e-9)
    flat = np.zeros((4, 4))
    flat[:3, :3] = hessian
    assert_allclose(solver(flat)(flat @ np.append(solution, 1.0))[:3], solution, rtol=1e-9)
    assert solver(flat)(np.ones(4))[3] == 0
    twice = np.block([[hessian, hessian], [hessian, hessian]])
    image = twice @ np.append(solution, solution)
    assert_allclose(twice @ solver(twice)(image), image, rtol=1e-6)
