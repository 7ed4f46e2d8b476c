"""What skgd.minimize says to bad arguments, and where it cannot reach a minimum."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import rosen, rosen_der
from valleys import RULES, SOLVERS, bowl, every_solver

from skgd import minimize
from skgd.optimizers import LBFGS, Optimizer

# ---- functions that are not finite --------------------------------------------------------------

def test_a_rate_that_is_too_large_is_named_with_the_step():
    result = minimize(rosen, [-1.2, 1.0], jac=rosen_der, optimizer="sgd", learning_rate=1.0)
    assert not result.success and result.status == 2
    assert f"not finite after step {result.nit + 1} at rate 1: " in result.message
    assert "a smaller learning_rate" in result.message
    assert np.all(np.isfinite(result.path)) and np.all(np.isfinite(result.path_fun))
    assert_array_equal(result.x, result.path[-1])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("part", ["fun", "jac"])
def test_a_value_or_a_derivative_that_is_not_finite_ends_the_descent(part, bad):
    def fun(x):
        broken = x[0] < 1
        return bad if part == "fun" and broken else x[0], [bad if part == "jac" and broken else 1.0]

    result = minimize(fun, [2.25], jac=True, optimizer="sgd", learning_rate=0.5)
    assert result.status == 2 and "after step 3 at rate 0.5" in result.message
    assert_array_equal(result.path, [[2.25], [1.75], [1.25]])
    at_once = minimize(fun, [0.5], jac=True, optimizer="sgd")
    assert not at_once.success and at_once.nit == 0
    assert at_once.message == "fun or jac is not finite at x0: pass another x0."


@every_solver
def test_line_searches_turn_back_from_where_the_function_is_not_finite(kind):
    def fun(x):
        return x.sum() - np.log(x).sum(), 1 - 1 / x

    result = minimize(fun, [3.0, 7.0], jac=True, optimizer=kind(), tol=1e-5, max_iter=5000)
    assert result.success
    assert_allclose(result.x, [1, 1], atol=1e-4)


@every_solver
def test_a_solver_ends_where_a_function_has_no_minimum(kind):
    result = minimize(lambda x: (-np.exp(x[0]), -np.exp(x)), [0.0], jac=True, optimizer=kind())
    assert not result.success


# ---- bad arguments ------------------------------------------------------------------------------

@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"optimizer": "auto"}, ValueError, "optimizer='auto' is for estimators: pass 'adam'"),
        ({"optimizer": "newton"}, ValueError, "optimizer='newton': pass one of"),
        ({"optimizer": 3}, TypeError, "optimizer=3: pass a string or an object"),
        (
            {"optimizer": "lbfgs", "learning_rate": 0.1},
            ValueError,
            "learning_rate=0.1 with optimizer='lbfgs': LBFGS finds its own",
        ),
        (
            {"optimizer": "lbfgs", "bounds": [(0, 1), (0, 1)]},
            ValueError,
            "bounds with optimizer='lbfgs': pass optimizer='accelerated_gradient'",
        ),
        ({"learning_rate": -1}, ValueError, "gives the rate -1.0: pass finite rates"),
        ({"learning_rate": "fast"}, ValueError, "learning_rate='fast': pass"),
        ({"jac": "exact"}, ValueError, "jac='exact': pass a function, True, None"),
        ({"jac": lambda x: [1.0]}, ValueError, "derivatives have shape .1,., where x has .2,."),
        ({"max_iter": 0}, ValueError, "max_iter=0: pass an integer >= 1"),
        ({"max_iter": 1.5}, TypeError, "max_iter=1.5: pass an integer"),
        ({"tol": -1}, ValueError, "tol=-1: pass a finite number >= 0, or None"),
        ({"tol": "small"}, ValueError, "tol='small': pass a finite number >= 0, or None"),
        ({"callback": 3}, TypeError, "callback=3: pass a function"),
        ({"bounds": [(0, 1)]}, ValueError, "pass one .low, high. for each of the 2 parameters"),
        ({"bounds": [(0, 1), (2, 1)]}, ValueError, "pass lower bounds that are not above"),
        ({"bounds": 3}, ValueError, "pass one .low, high. for each of the 2 parameters"),
        ({"fun": lambda x: x}, ValueError, "fun returned array.*: return one real number"),
        ({"fun": lambda x: None}, ValueError, "fun returned None: return one real number"),
        ({"fun": lambda x: 1j}, ValueError, "fun returned 1j: return one real number"),
        ({"jac": True}, ValueError, "fun returned .*with jac=True a pair"),
        ({"fun": "x"}, TypeError, "fun='x': pass a function"),
        ({"x0": []}, ValueError, r"x0=\[\] is empty: pass one number"),
        ({"x0": [np.nan, 0]}, ValueError, "x0=.*: pass finite real numbers"),
        ({"x0": ["a", "b"]}, ValueError, "x0=.*: pass finite real numbers"),
        ({"x0": [1j, 0]}, ValueError, "x0=.*: pass finite real numbers"),
    ],
)
def test_what_cannot_be_used_is_an_error_that_says_what_to_pass(arguments, error, message):
    with pytest.raises(error, match=message):
        minimize(**{"fun": bowl, "x0": [3.0, -1.0]} | arguments)


# ---- convergence --------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", [*RULES, *SOLVERS])
@pytest.mark.parametrize("unit", [1.0, 1e-8, 1e8])
def test_a_function_without_a_minimum_is_no_success(kind, unit):
    # Where x is large, a step along the gradient is rounded away.
    for start in (0.0, 1e16 * unit):
        result = minimize(
            lambda x: -unit * x.sum(), np.full(3, start), jac=lambda x: np.full(3, -unit),
            optimizer=kind(), tol=1e-6 * unit, max_iter=5 if kind is LBFGS else 100,
        )  # fmt: skip
        assert not result.success and result.status in (1, 2, 3)
        assert_array_equal(result.jac, -unit)


@pytest.mark.parametrize("tol", [1e-6, None])
def test_steps_that_are_rounded_away_are_no_success(tol):
    result = minimize(lambda x: -x.sum(), [1e16], jac=lambda x: -np.ones(1), tol=tol, max_iter=9)
    assert not result.success and result.status == 3
    assert "rounded away" in result.message and "larger learning_rate" in result.message


@pytest.mark.parametrize("kind", [kind for kind in [*RULES, *SOLVERS] if kind.__name__ != "LBFGS"])
def test_a_derivative_within_narrow_bounds_counts_in_full(kind):
    settings = {"jac": lambda x: -np.ones(1), "optimizer": kind(), "bounds": [(0, 1e-7)]}
    within = minimize(lambda x: -x.sum(), [5e-8], max_iter=1, learning_rate=(
        1e-9 if issubclass(kind, Optimizer) else None
    ), **settings)  # fmt: skip
    assert within.success == (within.x[0] == 1e-7)
    at_bound = minimize(lambda x: -x.sum(), [1e-7], **settings)
    assert at_bound.success and at_bound.nit == 0


@pytest.mark.parametrize("kind", SOLVERS)
def test_a_line_search_turns_back_from_where_the_function_ends(kind):
    result = minimize(
        lambda x: float((-np.log(1 - x) - 3 * x).sum()) if np.all(x < 1) else np.nan, [0.0],
        jac=lambda x: 1 / (1 - x) - 3, optimizer=kind(),
    )  # fmt: skip
    assert result.success
    assert_allclose(result.x, 2 / 3, rtol=1e-5)
