"""Losses, penalties, optimizers and schedules of a user's own inside the estimators."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import HuberRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

from skgd import GDClassifier, GDRegressor
from skgd.losses import Huber, Loss
from skgd.optimizers import SGD, Adam, FullBatchOptimizer, Optimizer
from skgd.penalties import Penalty
from skgd.schedules import InverseScaling, Schedule

DIABETES = load_diabetes(return_X_y=True, scaled=False)
IRIS = load_iris(return_X_y=True)


class MyHuber(Loss):
    smoothness = 1.0

    def __init__(self, delta=50.0):
        self.delta = delta

    @property
    def smoothing(self):
        return self.delta

    def value(self, y, z):
        r = np.abs(z - y)
        inside = np.minimum(r, self.delta)
        return inside * (r - inside / 2)

    def gradient(self, y, z):
        return np.clip(z - y, -self.delta, self.delta)


class MyLogistic(Loss):
    task = "classification"
    smoothness = 0.25

    def value(self, y, z):
        return np.logaddexp(0, -y * z)

    def gradient(self, y, z):
        return -y / (1 + np.exp(y * z))


class MyRidge(Penalty):
    def __init__(self, factor=1.0):
        self.factor = factor

    def value(self, coef):
        return self.factor * (coef**2).sum() / 2

    def gradient(self, coef):
        return self.factor * coef


class MyLasso(Penalty):
    def value(self, coef):
        return np.abs(coef).sum()

    def prox(self, coef, step):
        return np.sign(coef) * np.maximum(np.abs(coef) - step, 0)


class MyMomentum(Optimizer):
    slots = 1

    def __init__(self, momentum=0.9):
        self.momentum = momentum

    def update(self, w, g, state, rate, t):
        state[0] *= self.momentum
        state[0] += g
        w -= rate * state[0]
        return rate / (1 - self.momentum)


class MySchedule(Schedule):
    def __init__(self, rate=0.05):
        self.rate = rate

    def rates(self, t):
        return self.rate / (1 + t) ** 0.5


def my_rate(t):
    return 0.05 / (1 + t) ** 0.5


class LoudAdam(Adam):
    """Overrides update and calls the compiled one."""

    def update(self, w, g, state, rate, t):
        return super().update(w, g, state, rate, t)


STEPS = {"batch_size": 16, "max_iter": 5, "tol": None, "random_state": 0}


@pytest.mark.parametrize("settings", [{}, {"optimizer": "lbfgs"}, {"penalty": "l1"}])
def test_a_users_loss_gives_the_model_of_the_built_in_one(settings):
    settings = {"alpha": 0.01, "tol": 1e-10, "max_iter": 20_000} | settings
    X, y = StandardScaler().fit_transform(DIABETES[0]), DIABETES[1]
    own, built_in = GDRegressor(MyHuber(), **settings), GDRegressor(Huber(50.0), **settings)
    assert_allclose(own.fit(X, y).coef_, built_in.fit(X, y).coef_, rtol=1e-4, atol=1e-5)
    own, built_in = GDClassifier(MyLogistic(), **settings), GDClassifier(**settings)
    y = DIABETES[1] > 140
    assert_allclose(own.fit(X, y).coef_, built_in.fit(X, y).coef_, rtol=1e-4, atol=1e-5)


def test_a_users_loss_takes_the_built_in_ones_path_in_steps():
    X, y = DIABETES
    own = GDRegressor(MyHuber(), optimizer="adam", learning_rate=0.1, **STEPS).fit(X, y)
    built_in = GDRegressor(Huber(50.0), optimizer="adam", learning_rate=0.1, **STEPS).fit(X, y)
    assert_allclose(own.coef_, built_in.coef_, rtol=1e-8)


def test_a_users_loss_for_several_classes_is_one_against_the_rest():
    X, y = IRIS
    model = GDClassifier(MyLogistic(), alpha=0.1, tol=1e-8).fit(X, y)
    for c in range(3):
        alone = GDClassifier(alpha=0.1, tol=1e-8).fit(X, y == c)
        assert_allclose(model.coef_[c], alone.coef_[0], atol=1e-5)


@pytest.mark.parametrize("own, built_in", [(MyRidge(), "l2"), (MyLasso(), "l1")], ids=str)
def test_a_users_penalty_gives_the_model_of_the_built_in_one(own, built_in):
    X, y = StandardScaler().fit_transform(DIABETES[0]), DIABETES[1]
    settings = {"alpha": 0.5, "tol": 1e-10, "max_iter": 20_000}
    expected = GDRegressor(penalty=built_in, **settings).fit(X, y).coef_
    actual = GDRegressor(penalty=own, **settings).fit(X, y).coef_
    assert_allclose(actual, expected, rtol=1e-6, atol=1e-8)
    assert_array_equal(actual == 0, expected == 0)


def test_a_users_optimizer_takes_the_built_in_ones_path():
    X, y = IRIS
    own = GDClassifier(optimizer=MyMomentum(), learning_rate=0.01, **STEPS).fit(X, y)
    built_in = GDClassifier(optimizer="momentum", learning_rate=0.01, **STEPS).fit(X, y)
    assert_allclose(own.coef_, built_in.coef_, rtol=1e-10)
    sparse_one = GDClassifier(
        optimizer=MyMomentum(), learning_rate=0.01, penalty="l1", alpha=0.05, **STEPS
    ).fit(X, y)
    expected = GDClassifier(
        optimizer="momentum", learning_rate=0.01, penalty="l1", alpha=0.05, **STEPS
    ).fit(X, y)
    assert_allclose(sparse_one.coef_, expected.coef_, rtol=1e-10)


def test_a_subclass_may_call_the_compiled_update():
    X, y = IRIS
    own = GDClassifier(optimizer=LoudAdam(), learning_rate=0.01, **STEPS).fit(X, y)
    built_in = GDClassifier(optimizer=Adam(), learning_rate=0.01, **STEPS).fit(X, y)
    assert_allclose(own.coef_, built_in.coef_, rtol=1e-10)


@pytest.mark.parametrize(
    "rate", [MySchedule(), my_rate, lambda t: 0.05 / (1 + t) ** 0.5],
    ids=["schedule", "function", "lambda"],
)  # fmt: skip
def test_a_users_schedule_or_function_gives_the_rates(rate):
    X, y = IRIS
    own = GDClassifier(optimizer="sgd", learning_rate=rate, **STEPS).fit(X, y)
    expected = GDClassifier(
        optimizer="sgd", learning_rate=InverseScaling(0.05, power=0.5), **STEPS
    ).fit(X, y)
    assert_allclose(own.coef_, expected.coef_, rtol=1e-12)
    assert_allclose(own.history_["learning_rate"], expected.history_["learning_rate"])


def test_users_pieces_go_through_a_grid_search_in_processes():
    X, y = StandardScaler().fit_transform(DIABETES[0]), DIABETES[1]
    estimator = GDRegressor(
        MyHuber(), penalty=MyRidge(), optimizer=MyMomentum(), learning_rate=MySchedule(), **STEPS
    )
    grid = {
        "loss__delta": [1.0, 50.0], "penalty__factor": [1.0, 1e4], "optimizer__momentum": [0.5],
        "learning_rate__rate": [0.02],
    }  # fmt: skip
    search = GridSearchCV(estimator, grid, cv=2, n_jobs=2).fit(X, y)
    assert len(set(search.cv_results_["mean_test_score"])) == 4
    assert search.best_params_["penalty__factor"] == 1.0
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    assert_array_equal(again.predict(X), search.best_estimator_.predict(X))


@pytest.mark.parametrize("method", ["value", "gradient"])
def test_an_exception_in_a_users_loss_comes_through(method):
    class Broken(MyHuber):
        pass

    def fail(self, y, z):
        raise ZeroDivisionError("mine")

    setattr(Broken, method, fail)
    with pytest.raises(ZeroDivisionError, match="mine"):
        GDRegressor(Broken()).fit(*DIABETES)
    with pytest.raises(ZeroDivisionError, match="mine"):
        GDRegressor(Broken(), optimizer="adam", batch_size=16).fit(*DIABETES)


def returning(kind, method, result):
    """Return a user's piece one of whose methods returns what it should not."""
    return type("Mine", (kind,), {method: lambda *_: result})()


@pytest.mark.parametrize("optimizer", ["auto", "adam"])
@pytest.mark.parametrize(
    "pieces, words",
    [
        ({"loss": returning(MyHuber, "value", "a")}, "returned 'a': return numbers"),
        ({"loss": returning(MyHuber, "value", None)}, "returned None: return numbers"),
        ({"loss": returning(MyHuber, "gradient", 1.0)}, r"shape \(\).*one number per margin"),
        ({"penalty": returning(MyRidge, "value", "a")}, "value returned 'a': return numbers"),
        ({"penalty": returning(MyRidge, "value", np.ones(3))}, "value .*: return one number"),
        ({"penalty": returning(MyRidge, "value", None)}, "value returned None: return numbers"),
        ({"penalty": returning(MyRidge, "gradient", 0.0)}, "gradient returned shape"),
    ],
    ids=lambda part: None if isinstance(part, str) else repr(part)[:9],
)  # fmt: skip
def test_what_a_users_method_must_not_return_is_an_error_that_names_it(pieces, words, optimizer):
    with pytest.raises((ValueError, TypeError), match=words):
        GDRegressor(optimizer=optimizer, **pieces).fit(*DIABETES)


@pytest.mark.parametrize("result, words", [("a", "return numbers"), (np.ones(3), "a step size")])
def test_a_step_size_of_another_shape_or_kind_is_an_error(result, words):
    optimizer = returning(SGD, "update", result)
    with pytest.raises((ValueError, TypeError), match=words):
        GDRegressor(penalty="l1", optimizer=optimizer, learning_rate=0.1).fit(*DIABETES)


@pytest.mark.parametrize("slots", [-1, 1.5, "one", None, True])
def test_slots_that_are_no_number_of_arrays_are_an_error(slots):
    optimizer = returning(SGD, "update", None)
    type(optimizer).slots = slots
    with pytest.raises(ValueError, match=f"slots={slots!r}.*integer >= 0"):
        GDRegressor(optimizer=optimizer, learning_rate=0.1).fit(*DIABETES)


@pytest.mark.parametrize("end", [None, "end", np.ones(3), np.full(11, np.nan)], ids=str)
def test_an_end_that_is_no_iterate_is_an_error(end):
    with pytest.raises(ValueError, match="Mine.solve returned .*: return the last iterate"):
        GDRegressor(optimizer=returning(FullBatchOptimizer, "solve", end)).fit(*DIABETES)


@pytest.mark.parametrize("optimizer", ["auto", "lbfgs", "gradient_descent", "barzilai_borwein"])
@pytest.mark.parametrize("method", ["value", "gradient"])
def test_a_descent_that_begins_where_nothing_is_finite_is_an_error(method, optimizer):
    def nothing(self, y, z):
        return np.full(z.shape, np.nan)

    loss = type("Mine", (MyHuber,), {method: nothing})()
    with pytest.raises(ValueError, match="At the start of the descent .* nan.*fix the loss"):
        GDRegressor(loss, optimizer=optimizer).fit(*DIABETES)


@pytest.mark.parametrize(
    "optimizer", ["auto", "accelerated_gradient", "gradient_descent", "barzilai_borwein"]
)
def test_a_proximal_point_that_is_nan_far_from_the_start_ends_a_descent(optimizer):
    class Torn(Penalty):
        def value(self, coef):
            return 0.0

        def prox(self, coef, step):
            return np.where(np.abs(coef) > 100.0, np.nan, coef)

    model = GDRegressor(penalty=Torn(), optimizer=optimizer).fit(*DIABETES)
    assert np.abs(model.coef_).max() <= 100.0


def test_an_exception_in_a_users_optimizer_comes_through():
    class Broken(Optimizer):
        def update(self, w, g, state, rate, t):
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        GDRegressor(optimizer=Broken(), learning_rate=0.1).fit(*DIABETES)


# ---- nothing of the user's is changed -----------------------------------------------------------


def contents(value):
    """Return a string of everything in an object, its private attributes included."""
    if hasattr(value, "get_params"):
        return type(value).__name__, sorted((k, contents(v)) for k, v in vars(value).items())
    return repr(value)


@pytest.mark.parametrize(
    "pieces",
    [
        {"optimizer": Adam(beta_1=0.8), "learning_rate": InverseScaling(0.01)},
        {"optimizer": SGD(momentum=0.9, nesterov=True), "learning_rate": MySchedule()},
        {"optimizer": MyMomentum(), "learning_rate": 0.01, "loss": MyHuber()},
        {"loss": Huber(50.0), "penalty": MyRidge()},
        {"penalty": MyLasso(), "alpha": 1.0, "tol": 0.1},
    ],
    ids=str,
)
def test_a_fit_changes_no_parameter_and_no_piece(pieces):
    X, y = StandardScaler().fit_transform(DIABETES[0]), DIABETES[1]
    data = X.copy(), y.copy()
    estimator = GDRegressor(random_state=0).set_params(**pieces)
    before = {name: contents(value) for name, value in estimator.get_params(deep=False).items()}
    if "optimizer" in pieces:
        estimator.set_params(max_iter=3, tol=None)
        before |= {"max_iter": "3", "tol": "None"}
    estimator.fit(X, y)
    if "optimizer" in pieces:
        estimator.partial_fit(X, y)
    after = {name: contents(value) for name, value in estimator.get_params(deep=False).items()}
    assert after == before
    for name, piece in pieces.items():
        assert getattr(estimator, name) is piece
    assert_array_equal(X, data[0])
    assert_array_equal(y, data[1])


@pytest.mark.parametrize("make", [Adam, MyMomentum, lambda: SGD(momentum=0.9)])
def test_two_estimators_that_share_an_optimizer_do_not_meet(make):
    shared = make()
    settings = {"learning_rate": 0.01, "batch_size": 16, "random_state": 0}
    first = GDClassifier(optimizer=shared, **settings)
    second = GDRegressor(optimizer=shared, **settings)
    for _ in range(3):
        first.partial_fit(*IRIS, classes=[0, 1, 2])
        second.partial_fit(*DIABETES)
    alone = GDClassifier(optimizer=make(), **settings)
    for _ in range(3):
        alone.partial_fit(*IRIS, classes=[0, 1, 2])
    assert_array_equal(first.coef_, alone.coef_)
    alone = GDRegressor(optimizer=make(), **settings)
    for _ in range(3):
        alone.partial_fit(*DIABETES)
    assert_array_equal(second.coef_, alone.coef_)


def test_a_users_huber_reaches_huber_regressors_model():
    X, y = StandardScaler().fit_transform(DIABETES[0]), DIABETES[1]
    oracle = HuberRegressor(alpha=1e-4, max_iter=10_000).fit(X, y)
    model = GDRegressor(
        MyHuber(1.35 * oracle.scale_), alpha=1e-4 * oracle.scale_ / len(y), tol=1e-8
    ).fit(X, y)
    assert_allclose(model.coef_, oracle.coef_, atol=1e-3 * np.abs(oracle.coef_).max())


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("optimizer", ["auto", "adam"])
@pytest.mark.parametrize("factor", [-1.0, 0.0, 0.5, 3.0])
def test_a_gradient_of_another_loss_is_told(factor, optimizer):
    class Scaled(MyHuber):
        def gradient(self, y, z):
            return factor * super().gradient(y, z)

    class Straight(MyHuber):
        def gradient(self, y, z):
            return np.ones_like(z)

    for loss in (Scaled(), Straight()):
        model = GDRegressor(loss, optimizer=optimizer, max_iter=5, random_state=0)
        with pytest.warns(UserWarning, match=r"gradient is not the derivative of \w+.value\(y"):
            model.fit(*DIABETES)


def test_a_gradient_of_another_penalty_is_told():
    class Half(MyRidge):
        def gradient(self, coef):
            return 0.5 * super().gradient(coef)

    with pytest.warns(UserWarning, match=r"Half.gradient is not the .* of Half.value\(coef\)"):
        GDRegressor(penalty=Half()).fit(*DIABETES)


@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_gradients_that_are_right_are_not_doubted(scale):
    X, y = DIABETES
    for loss in (MyHuber(), MyHuber(1e-2 * scale), MyHuber(50 * scale)):
        GDRegressor(loss, max_iter=3, tol=None).fit(X, scale * y)
    for penalty in (MyRidge(), MyLasso()):
        GDRegressor(penalty=penalty, max_iter=3, tol=None).fit(X, scale * y)
    GDClassifier(MyLogistic(), max_iter=3, tol=None).fit(IRIS[0][:100], IRIS[1][:100])


@pytest.mark.parametrize("bound", [-1.0, np.nan, np.inf, "1"])
def test_a_smoothness_that_bounds_nothing_is_an_error(bound):
    loss = MyHuber()
    loss.smoothness = bound
    with pytest.raises(ValueError, match="smoothness=.* of MyHuber: define it as a finite bound"):
        GDRegressor(loss).fit(*DIABETES)
