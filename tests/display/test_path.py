"""Paths over contours and curves."""

import numpy as np
import pytest
from display_cases import CANCER, labels_of
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import rosen
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_wine

from skgd import GDClassifier, GDRegressor, PathDisplay, find_learning_rate, minimize
from skgd.callbacks import Callback

DIABETES = load_diabetes(return_X_y=True, scaled=False)
WINE = load_wine(return_X_y=True)


# ---- paths --------------------------------------------------------------------------------------

def test_paths_over_contours(results):
    display = PathDisplay.from_results(results, rosen)
    for line, result in zip(display.lines_, results.values(), strict=True):
        assert_array_equal(line.get_xydata(), result.path)
    assert labels_of(display) == ["sgd", "momentum", "start", "end"]
    assert display.contours_ is not None and display.curve_ is None
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("x[0]", "x[1]")
    points = np.concatenate([result.path for result in results.values()])
    (left, right), (low, high) = display.ax_.get_xlim(), display.ax_.get_ylim()
    assert left < points[:, 0].min() and points[:, 0].max() < right
    assert low < points[:, 1].min() and points[:, 1].max() < high


def test_the_contours_are_those_of_the_function():
    result = minimize(lambda x: x @ ([1.0, 4.0] * x), [2.0, 1.0], learning_rate=0.1, max_iter=30)
    display = PathDisplay.from_result(result, lambda x: x @ ([1.0, 4.0] * x))
    for level, path in zip(display.contours_.levels, display.contours_.get_paths(), strict=True):
        if len(path.vertices) and level > 0.5:
            values = path.vertices[:, 0] ** 2 + 4 * path.vertices[:, 1] ** 2
            assert_allclose(values, level, rtol=0.02)


def test_a_path_on_a_curve():
    def double_well(x):
        return (x[0] ** 2 - 1) ** 2 + 0.3 * x[0]

    result = minimize(double_well, [2.0], optimizer="momentum", learning_rate=0.02)
    display = PathDisplay.from_result(result, double_well, name="momentum")
    (line,) = display.lines_
    assert_array_equal(line.get_xdata(), result.path[:, 0])
    assert_allclose(line.get_ydata(), result.path_fun, rtol=1e-12)
    assert display.contours_ is None
    x, y = display.curve_.get_data()
    assert_allclose(y, (x**2 - 1) ** 2 + 0.3 * x, rtol=1e-12)
    assert labels_of(display) == ["function", "momentum", "start", "end"]
    assert display.ax_.get_ylim()[1] < 1.3 * result.path_fun.max()


def test_two_parameters_of_many_and_of_any_shape():
    centre = np.arange(6.0).reshape(2, 3)
    calls = []

    def fun(x, scale):
        assert x.shape == (2, 3)
        calls.append(x[0, 0])
        return scale * np.sum((x - centre) ** 2)

    result = minimize(fun, np.zeros((2, 3)), args=(2.0,), learning_rate=0.1, max_iter=20)
    calls.clear()
    display = PathDisplay.from_result(result, fun, args=(2.0,), parameters=(4, -4))
    assert_array_equal(display.lines_[0].get_xydata(), result.path.reshape(-1, 6)[:, [4, 2]])
    assert display.ax_.get_xlabel() == "x[4]" and display.ax_.get_ylabel() == "x[2]"
    assert set(calls) == {result.x[0, 0]}


def test_functions_that_return_their_derivatives_and_that_are_not_finite():
    def fun(x):
        return x.sum() - np.log(x).sum(), 1 - 1 / x

    result = minimize(fun, [3.0, 0.1], jac=True, learning_rate=0.1, max_iter=50)
    display = PathDisplay.from_result(result, fun, limits=[(-1, 4), (-1, 2)])
    assert display.ax_.get_xlim() == (-1, 4) and display.ax_.get_ylim() == (-1, 2)
    assert display.contours_ is not None


def test_a_path_that_does_not_move_and_a_function_that_is_flat():
    result = minimize(lambda x: 1.0, [1.0, 2.0])
    assert PathDisplay.from_result(result, lambda x: 1.0).contours_ is None
    assert PathDisplay.from_result(minimize(lambda x: 1.0, [1.0]), lambda x: 1.0).curve_ is not None


@pytest.mark.parametrize("parameters", [(0, 0), (0, 2), (0,), (-3, 0)])
def test_parameters_that_are_not_there_are_an_error(results, parameters):
    with pytest.raises(ValueError, match="parameters=.*: pass two numbers from 0 to 1"):
        PathDisplay.from_results(results, rosen, parameters=parameters)


def test_a_result_without_a_path_is_an_error():
    result = minimize(rosen, [-1.0, 1.0], max_iter=3, keep_path=False)
    with pytest.raises(ValueError, match="has no path; pass keep_path=True"):
        PathDisplay.from_result(result, rosen)
    with pytest.raises(ValueError, match="results: 3 has no path; pass keep_path=True"):
        PathDisplay.from_result(3, rosen)


# ---- paths of estimators ------------------------------------------------------------------------

def test_the_path_of_two_coefficients_is_that_of_ever_longer_fits():
    model = GDRegressor(optimizer="adam", batch_size=64, learning_rate=0.1, random_state=0)
    model.set_params(max_iter=6, tol=None)
    display = PathDisplay.from_estimator(model, *DIABETES, features=(2, 8))
    expected = [
        clone(model).set_params(max_iter=epochs).fit(*DIABETES).coef_[[2, 8]]
        for epochs in range(1, 7)
    ]
    assert_array_equal(display.paths[0], [[0, 0], *expected])
    assert not hasattr(model, "coef_")
    assert display.labels == ["coefficient of column 2", "coefficient of column 8"]
    assert labels_of(display) == ["GDRegressor", "start", "end"]


@pytest.mark.parametrize(
    ("model", "data"),
    [
        (GDRegressor(), DIABETES),
        (GDRegressor("huber", penalty="l1", alpha=0.1), DIABETES),
        (GDClassifier(class_weight="balanced", tol=1e-8), CANCER),
        (GDClassifier(optimizer="lbfgs", alpha=0.01), WINE),
    ],
    ids=["regression", "l1", "class weights", "softmax"],
)
def test_the_surface_is_the_objective(model, data):
    weights = np.random.default_rng(0).uniform(0.5, 2, len(data[1]))
    display = PathDisplay.from_estimator(model, *data, weights, features=(0, -1))
    reached = clone(model).fit(*data, sample_weight=weights).history_["objective"][-1]
    end = display.paths[0][-1]
    assert_allclose(display.surface(end), reached, rtol=1e-10)
    for move in ([0.1, 0.0], [0.0, 0.1], [-0.1, 0.1]):
        assert display.surface(end * (1 + np.array(move)) + np.array(move)) > reached


def test_columns_are_chosen_by_name_and_outputs_by_number():
    frame, y = load_wine(return_X_y=True, as_frame=True)
    model = GDClassifier(optimizer="adam", max_iter=3, tol=None, random_state=0)
    display = PathDisplay.from_estimator(
        model, frame, y, features=("hue", "ash"), output=2, name="mine"
    )
    assert display.labels == ["coefficient of hue", "coefficient of ash"]
    fit = clone(model).fit(frame, y)
    columns = [list(frame.columns).index(name) for name in ("hue", "ash")]
    assert_array_equal(display.paths[0][-1], fit.coef_[2, columns])
    assert labels_of(display)[0] == "mine"


def test_the_contours_of_many_rows_are_those_of_a_sample():
    X, y = np.tile(CANCER[0], (3, 1)), np.tile(CANCER[1], 3)
    display = PathDisplay.from_estimator(GDClassifier(), X, y, np.ones(len(y)))
    reached = GDClassifier().fit(X, y).history_["objective"][-1]
    assert_allclose(display.surface(display.paths[0][-1]), reached, rtol=0.2)


def test_a_start_that_is_given_is_not_taken_for_zeros():
    model = GDRegressor(init=(np.ones(10), 0.0), optimizer="sgd", max_iter=2, tol=None)
    display = PathDisplay.from_estimator(model, *DIABETES)
    assert len(display.paths[0]) == 3
    assert_array_equal(display.paths[0][0], [1, 1])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"features": (0, 10)}, "features=.*: pass two numbers from 0 to 9, or two names"),
        ({"features": ("a", "b")}, "features=.*: pass two numbers from 0 to 9, or two names"),
        ({"features": (0, 0)}, "features=.*: pass two different columns"),
        ({"features": (0, 1, 2)}, "features=.*: pass two different columns"),
        ({"output": 1}, "output=1: pass a number from 0 to 0"),
    ],
)
def test_columns_that_are_not_there_are_an_error(settings, message):
    with pytest.raises(ValueError, match=message):
        PathDisplay.from_estimator(GDRegressor(), *DIABETES, **settings)


def test_callbacks_of_the_estimator_hear_nothing():
    class Listener(Callback):
        def on_fit_task_end(self, estimator, context):
            raise AssertionError("called")

    model = GDRegressor(optimizer="sgd", max_iter=2).set_callbacks(Listener())
    find_learning_rate(model, *DIABETES, rates=[0.1])
    PathDisplay.from_estimator(model, *DIABETES)
