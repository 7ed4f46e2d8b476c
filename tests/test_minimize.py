"""skgd.minimize: the optimizers on any function, alone and as a method of scipy's minimize."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import optimize
from scipy.optimize import Bounds, rosen, rosen_der
from sklearn.datasets import load_diabetes
from valleys import (
    RULES,
    SOLVERS,
    beale,
    bowl,
    bowl_der,
    double_well,
    double_well_der,
    every_rule,
    every_solver,
    himmelblau,
    saddle,
    saddle_der,
)

from skgd import GDRegressor, minimize
from skgd.optimizers import SGD, AcceleratedGradient, Adam, Optimizer
from skgd.schedules import Cosine, ReduceOnPlateau, Step


class SignDescent(Optimizer):
    slots = 1

    def update(self, w, g, state, rate, t):
        state[0] += np.sign(g)
        w -= rate * np.sign(g)


# ---- the rules ----------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", [*RULES, SignDescent])
def test_the_path_is_that_of_the_rule_step_by_step(kind):
    rates = 0.05 / (1 + np.arange(30))
    result = minimize(
        bowl, [-1.2, 3.0], jac=bowl_der, optimizer=kind(), max_iter=30, tol=None,
        learning_rate=lambda t: 0.05 / (1 + t),
    )  # fmt: skip
    rule, w = kind(), np.array([-1.2, 3.0])
    state, path = np.zeros((rule.slots, 2)), [w.copy()]
    for t, rate in enumerate(rates):
        rule.update(w, bowl_der(w), state, rate, t)
        path.append(w.copy())
    assert_array_equal(result.path, path)
    assert_allclose(result.path_fun, [bowl(x) for x in path], rtol=1e-15)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov", "adam"])
def test_a_fit_takes_the_same_path(optimizer):
    X, y = load_diabetes(return_X_y=True)
    X, y = 10 * X, y / 100

    def objective(w):
        residual = X @ w[:-1] + w[-1] - y
        gradient = np.append(residual @ X / len(y) + 0.1 * w[:-1], residual.mean())
        return 0.5 * residual @ residual / len(y) + 0.05 * w[:-1] @ w[:-1], gradient

    result = minimize(
        objective, np.zeros(11), jac=True, optimizer=optimizer, learning_rate=0.1, max_iter=20,
        tol=None,
    )  # fmt: skip
    model = GDRegressor(
        alpha=0.1, optimizer=optimizer, learning_rate=0.1, batch_size="full", precondition=None,
        max_iter=20, tol=None,
    ).fit(X, y)
    assert_allclose(np.append(model.coef_, model.intercept_), result.x, rtol=1e-9, atol=1e-12)
    assert_allclose(model.history_["objective"], result.path_fun[1:], rtol=1e-12)


@every_rule
def test_every_rule_descends(kind):
    result = minimize(bowl, [3.0, -1.0], jac=bowl_der, optimizer=kind(), max_iter=50)
    assert result.fun < result.path_fun[0]
    assert result.fun == bowl(result.x)


@every_rule
def test_without_a_rate_a_rule_takes_its_plain_one(kind):
    settings = {"jac": bowl_der, "optimizer": kind(), "max_iter": 20, "tol": None}
    assert_array_equal(
        minimize(bowl, [3.0, -1.0], **settings).path,
        minimize(bowl, [3.0, -1.0], learning_rate=kind.plain_rate, **settings).path,
    )


@pytest.mark.parametrize("optimizer", ["dog", "adadelta"])
def test_rules_that_need_no_rate_find_a_minimum_without_one(optimizer):
    result = minimize(bowl, [3.0, -1.0], jac=bowl_der, optimizer=optimizer)
    assert result.success
    assert_allclose(result.x, [1, 1], atol=1e-6)


@every_solver
@pytest.mark.parametrize(
    ("fun", "start", "minimiser"),
    [
        (rosen, [0.98, 0.97], [1, 1]),
        (beale, [1.0, 1.0], [3, 0.5]),
        (himmelblau, [1.0, 1.0], [3, 2]),
        (himmelblau, [-1.0, 1.0], [-2.805118, 3.131312]),
        (himmelblau, [-1.0, -1.0], [-3.779310, -3.283186]),
    ],
)
def test_every_solver_finds_the_minimum_of_the_valley(kind, fun, start, minimiser):
    result = minimize(fun, start, jac="3-point", optimizer=kind(), tol=1e-3, max_iter=3000)
    assert result.success and result.status == 0
    assert_allclose(result.x, minimiser, atol=5e-3)


@pytest.mark.parametrize(
    ("optimizer", "rate"), [("momentum", 1e-3), ("nesterov", 1e-3), ("adam", 0.1)]
)
def test_step_rules_find_the_end_of_rosenbrocks_valley(optimizer, rate):
    result = minimize(
        rosen, [-1.2, 1.0], jac=rosen_der, optimizer=optimizer, learning_rate=rate, max_iter=5000
    )
    assert result.success
    assert_allclose(result.x, [1, 1], atol=1e-5)
    plain = minimize(
        rosen, [-1.2, 1.0], jac=rosen_der, optimizer="sgd", learning_rate=1e-3,
        max_iter=result.nit, tol=None,
    )  # fmt: skip
    assert rosen(plain.x) > 1e4 * rosen(result.x)


@pytest.mark.parametrize(("optimizer", "rate"), [("adam", 0.1), ("nesterov", 5e-3)])
@pytest.mark.parametrize(
    ("fun", "start", "minimiser"),
    [(beale, [1.0, 1.0], [3, 0.5]), (himmelblau, [-1.0, 1.0], [-2.805118, 3.131313])],
)
def test_step_rules_find_the_minimum_of_the_valley(fun, start, minimiser, optimizer, rate):
    result = minimize(fun, start, optimizer=optimizer, learning_rate=rate, tol=1e-5)
    assert result.success
    assert_allclose(result.x, minimiser, atol=1e-4)


# ---- valleys and saddles ------------------------------------------------------------------------

@pytest.mark.parametrize("optimizer", ["momentum", "nesterov"])
def test_momentum_leaves_the_shallow_valley_that_plain_descent_stays_in(optimizer):
    settings = {"jac": double_well_der, "learning_rate": 0.02}
    plain = minimize(double_well, [2.0], optimizer="sgd", **settings)
    heavy = minimize(double_well, [2.0], optimizer=optimizer, **settings)
    assert plain.success and heavy.success
    assert_allclose(plain.x, [0.960150], atol=1e-5)
    assert_allclose(heavy.x, [-1.035579], atol=1e-5)
    assert np.all(plain.path > 0.9)
    assert heavy.fun < plain.fun - 0.5


@pytest.mark.parametrize("optimizer", ["momentum", "nesterov", "adam"])
def test_momentum_leaves_a_saddle_that_plain_descent_lingers_at(optimizer):
    settings = {"jac": saddle_der, "learning_rate": 0.05, "max_iter": 60, "tol": None}
    plain = minimize(saddle, [1.0, 1e-6], optimizer="sgd", **settings)
    heavy = minimize(saddle, [1.0, 1e-6], optimizer=optimizer, **settings)
    assert np.abs(plain.x).max() < 0.01
    assert abs(heavy.x[1]) > 1


def test_noise_leaves_a_saddle_that_plain_descent_runs_into():
    generator = np.random.default_rng(0)

    def noisy(x):
        return saddle_der(x) + generator.normal(0, 0.1, 2)

    settings = {"optimizer": "sgd", "learning_rate": 0.05}
    plain = minimize(saddle, [1.0, 0.0], jac=saddle_der, **settings)
    assert plain.success
    assert_allclose(plain.x, [0, 0], atol=1e-6)
    noise = minimize(saddle, [1.0, 0.0], jac=noisy, max_iter=100, tol=None, **settings)
    assert noise.fun < -1


# ---- what comes back ----------------------------------------------------------------------------

@pytest.mark.parametrize("optimizer", ["adagrad", "adam", "lbfgs", "accelerated_gradient"])
def test_the_path_begins_with_the_start_and_ends_with_the_result(optimizer):
    result = minimize(rosen, [-1.2, 0.5], jac=rosen_der, optimizer=optimizer, max_iter=7)
    assert isinstance(result, optimize.OptimizeResult)
    assert result.nit == 7
    assert result.path.shape == (8, 2) and result.path_fun.shape == (8,)
    assert_array_equal(result.path[0], [-1.2, 0.5])
    assert_array_equal(result.path[-1], result.x)
    assert_array_equal(result.path_fun, [rosen(x) for x in result.path])
    assert result.fun == result.path_fun[-1]
    assert_array_equal(result.jac, rosen_der(result.x))
    assert not result.success and result.status == 1
    assert "max_iter=7 steps were taken" in result.message


def test_the_path_is_left_out_on_request():
    result = minimize(bowl, [3.0, -1.0], keep_path=False)
    assert "path" not in result and "path_fun" not in result
    assert_array_equal(result.x, minimize(bowl, [3.0, -1.0]).x)


@pytest.mark.parametrize("shape", [(), (1,), (6,), (2, 3), (1, 2, 3)])
@pytest.mark.parametrize("jac", [True, None])
def test_parameters_of_any_shape(shape, jac):
    def fun(x):
        assert x.shape == (shape or (1,))
        value = float((x - 2.0).ravel() @ (x - 2.0).ravel())
        return (value, 2 * (x - 2.0)) if jac else value

    result = minimize(fun, np.zeros(shape), jac=jac, optimizer="sgd", learning_rate=0.2)
    shape = shape or (1,)
    assert result.x.shape == result.jac.shape == shape
    assert result.path.shape == (result.nit + 1, *shape)
    assert_allclose(result.x, np.full(shape, 2.0), atol=1e-5)


def test_calls_are_counted():
    calls = {"fun": 0, "jac": 0}

    def fun(x):
        calls["fun"] += 1
        return bowl(x)

    def jac(x):
        calls["jac"] += 1
        return bowl_der(x)

    for optimizer in ("sgd", "lbfgs", "gradient_descent"):
        for derivatives in (jac, None, "3-point"):
            calls.update(fun=0, jac=0)
            result = minimize(fun, [3.0, -1.0], jac=derivatives, optimizer=optimizer, max_iter=5)
            assert result.nfev == calls["fun"]
            if derivatives is jac:
                assert result.njev == calls["jac"]
            if optimizer == "sgd":
                assert result.njev == 6
                assert result.nfev == 6 * {jac: 1, None: 3, "3-point": 5}[derivatives]


@pytest.mark.parametrize("jac", [None, "2-point", "3-point", "cs", rosen_der])
def test_derivatives_are_approximated_like_scipys(jac):
    result = minimize(rosen, [-1.2, 1.0], jac=jac, optimizer="lbfgs", tol=1e-4)
    assert result.success
    assert_allclose(result.x, [1, 1], atol=1e-4)


def test_more_arguments_reach_the_function_and_its_derivatives():
    result = minimize(
        lambda x, a, b: a * (x - b) @ (x - b), [0.0], args=(2.0, 3.0),
        jac=lambda x, a, b: 2 * a * (x - b), optimizer="sgd", learning_rate=0.1,
    )  # fmt: skip
    assert_allclose(result.x, [3], atol=1e-6)


def test_neither_the_start_nor_the_path_is_changed():
    start, seen = np.array([3.0, -1.0]), []

    def fun(x):
        seen.append(x)
        x_before = x.copy()
        x[:] = np.nan
        return bowl(x_before)

    result = minimize(fun, start, jac=bowl_der, learning_rate=0.1, max_iter=5)
    assert_array_equal(start, [3.0, -1.0])
    assert_array_equal(result.path[0], start)
    assert np.all(np.isfinite(result.path))


@pytest.mark.parametrize("optimizer", ["sgd", "gradient_descent"])
def test_tol_is_the_largest_derivative(optimizer):
    result = minimize(
        bowl, [3.0, -1.0], jac=bowl_der, optimizer=optimizer, learning_rate=None, tol=0.01
    )
    steepness = [np.abs(bowl_der(x)).max() for x in result.path]
    assert result.success and result.status == 0
    assert steepness[-1] <= 0.01 < min(steepness[:-1])
    assert "tol=0.01" in result.message
    started_there = minimize(bowl, [1.0, 1.0], jac=bowl_der, optimizer=optimizer)
    assert started_there.success and started_there.nit == 0


def test_without_tol_all_steps_are_taken_and_that_is_success():
    result = minimize(bowl, [1.0, 1.0], jac=bowl_der, max_iter=9, tol=None)
    assert result.nit == 9 and result.success
    assert result.message == "max_iter=9 steps were taken."


@every_solver
def test_derivatives_that_are_wrong_are_no_success(kind):
    result = minimize(bowl, [3.0, -1.0], jac=lambda x: -bowl_der(x), optimizer=kind())
    assert not result.success
    assert result.fun == pytest.approx(10, rel=1e-6)


def test_a_solver_that_cannot_go_on_says_so():
    result = minimize(bowl, [3.0, -1.0], jac=lambda x: -bowl_der(x), optimizer="lbfgs")
    assert result.status == 3
    assert "No step from here lowers fun" in result.message and "check jac" in result.message


# ---- rates --------------------------------------------------------------------------------------

def test_in_a_schedule_an_epoch_is_a_step():
    def steps(schedule):
        result = minimize(
            lambda x: -x.sum(), [0.0], jac=lambda x: [-1.0], optimizer="sgd", tol=None, max_iter=4,
            learning_rate=schedule,
        )  # fmt: skip
        return np.diff(result.path[:, 0])

    assert_allclose(steps(Step(1.0, factor=0.5, epochs=2)), [1, 1, 0.5, 0.5])
    assert_allclose(steps(Cosine(1.0)), 0.5 + 0.5 * np.cos(np.pi * np.arange(4) / 4))
    assert_allclose(steps(lambda t: 1.0 / (1 + t)), [1, 1 / 2, 1 / 3, 1 / 4])
    assert_allclose(steps(2), [2, 2, 2, 2])
    assert_allclose(steps(None), [0.01] * 4)


def test_reduce_on_plateau_is_told_the_function():
    schedule = ReduceOnPlateau(1.0, factor=0.5, patience=0, min_rate=1e-3)
    result = minimize(
        lambda x: np.abs(x).sum(), [0.8], jac=np.sign, optimizer="sgd", tol=None, max_iter=40,
        learning_rate=schedule,
    )  # fmt: skip
    assert abs(result.x[0]) < 1e-3
    assert vars(schedule) == vars(
        ReduceOnPlateau(1.0, factor=0.5, patience=0, min_rate=1e-3)
    )


# ---- bounds -------------------------------------------------------------------------------------

@pytest.mark.parametrize(
    "bounds",
    [[(None, 0.5), (-1, 1)], Bounds([-np.inf, -1], [0.5, 1]), np.array([[-9, 0.5], [-1, 1]])],
)
@pytest.mark.parametrize(
    ("optimizer", "rate"),
    [("sgd", 1e-3), ("momentum", 1e-3), ("adam", 0.03), ("accelerated_gradient", None)],
)
def test_bounds_are_kept_at_every_step(bounds, optimizer, rate):
    result = minimize(
        rosen, [2.0, 3.0], jac=rosen_der, optimizer=optimizer, learning_rate=rate, bounds=bounds,
        max_iter=3000,
    )  # fmt: skip
    assert result.success
    assert_allclose(result.x, [0.5, 0.25], atol=1e-5)
    assert_array_equal(result.path[0], [0.5, 1.0])
    assert result.path[:, 0].max() <= 0.5 and np.abs(result.path[:, 1]).max() <= 1


def test_differences_stay_within_the_bounds():
    def fun(x):
        assert np.all(x >= 0) and np.all(x <= 1)
        return np.sqrt(x[0]) - x[1]

    result = minimize(fun, [0.5, 0.5], bounds=[(0, 1), (0, 1)], learning_rate=0.1)
    assert result.success
    assert_allclose(result.x, [0, 1], atol=1e-7)


def test_bounds_may_be_one_pair_for_all_and_may_fix_a_parameter():
    result = minimize(bowl, [0.0, 0.0], bounds=Bounds(-1, 0.5), learning_rate=0.1)
    assert_array_equal(result.x, [0.5, 0.5])
    fixed = minimize(bowl, [0.0, 0.0], bounds=[(0.25, 0.25), (None, None)], learning_rate=0.1)
    assert_allclose(fixed.x, [0.25, 1], atol=1e-5)


# ---- callbacks ----------------------------------------------------------------------------------

@pytest.mark.parametrize("optimizer", ["sgd", "lbfgs", "gradient_descent"])
def test_a_callback_sees_every_iterate_and_stops_the_descent(optimizer):
    seen = []

    def stop_by_value(x):
        seen.append(x)
        return len(seen) == 3

    def stop_by_exception(intermediate_result):
        seen.append(intermediate_result.x)
        assert intermediate_result.fun == rosen(intermediate_result.x)
        assert intermediate_result.nit == len(seen)
        assert_array_equal(intermediate_result.jac, rosen_der(intermediate_result.x))
        if len(seen) == 3:
            raise StopIteration

    for callback in (stop_by_value, stop_by_exception):
        seen.clear()
        result = minimize(
            rosen, [-1.2, 1.0], jac=rosen_der, optimizer=optimizer, callback=callback
        )
        assert result.nit == 3 and not result.success and result.status == 99
        assert result.message == "The callback stopped the descent at step 3."
        assert_array_equal(seen, result.path[1:])


def test_a_callback_cannot_change_the_path_and_its_errors_reach_the_user():
    def vandal(x):
        x[:] = np.nan

    result = minimize(bowl, [3.0, -1.0], jac=bowl_der, callback=vandal, max_iter=5)
    assert np.all(np.isfinite(result.path))

    def broken(x):
        raise ArithmeticError("mine")

    with pytest.raises(ArithmeticError, match="mine"):
        minimize(bowl, [3.0, -1.0], callback=broken)


# ---- as scipy's method --------------------------------------------------------------------------

@pytest.mark.parametrize("kind", [*RULES, *SOLVERS])
def test_every_optimizer_is_a_method_of_scipys_minimize(kind):
    method = pickle.loads(pickle.dumps(kind().minimizer(max_iter=20)))
    result = optimize.minimize(rosen, [-1.2, 1.0], jac=rosen_der, method=method)
    ours = minimize(rosen, [-1.2, 1.0], jac=rosen_der, optimizer=kind(), max_iter=20)
    assert_array_equal(result.path, ours.path)
    assert result.message == ours.message


def test_scipys_arguments_are_understood():
    def fun(x, centre):
        return (x - centre) @ (x - centre), 2 * (x - centre)

    seen = []
    result = optimize.minimize(
        fun, [5.0, 5.0], args=(np.array([1.0, 3.0]),), jac=True, tol=1e-3,
        method=SGD().minimizer(learning_rate=0.1), bounds=Bounds([2, -9], [9, 9]),
        callback=lambda xk: seen.append(xk), options={"maxiter": 500},
    )  # fmt: skip
    assert result.success and "tol=0.001" in result.message
    assert_allclose(result.x, [2, 3], atol=1e-3)
    assert len(seen) == result.nit
    short = optimize.minimize(
        rosen, [0.0, 0.0], method=Adam().minimizer(), options={"maxiter": 3, "keep_path": False}
    )
    assert short.nit == 3 and "path" not in short


def test_constraints_are_refused():
    with pytest.raises(ValueError, match="constraints .*: pass bounds, or method='SLSQP'"):
        optimize.minimize(
            bowl, [0.0, 0.0], method=Adam().minimizer(),
            constraints=[{"type": "eq", "fun": lambda x: x.sum()}],
        )  # fmt: skip


def test_an_optimizer_for_a_method_is_not_changed():
    optimizer = AcceleratedGradient()
    optimizer.minimizer(max_iter=3)
    assert vars(optimizer) == vars(AcceleratedGradient())
