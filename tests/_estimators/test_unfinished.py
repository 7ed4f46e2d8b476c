"""Fits that are interrupted or raise in the middle leave one whole model, the old or the new."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import NotFittedError

from skgd import GDClassifier, GDRegressor
from skgd.callbacks import Callback
from skgd.losses import SquaredError, SquaredHinge

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

CANCER = load_breast_cancer(return_X_y=True)
IRIS = load_iris(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True)


class Failing:
    """A loss whose gradient raises after some calls; 0 is never."""

    calls, error = 0, RuntimeError

    def gradient(self, y, z):
        kind = type(self)
        kind.calls -= 1
        if kind.calls == 0:
            raise kind.error("on purpose")
        return super().gradient(y, z)


class FailingHinge(Failing, SquaredHinge):
    """For classes."""


class FailingSquares(Failing, SquaredError):
    """For numbers."""


class Raising(Callback):
    """Raises after some epochs."""

    def __init__(self, error, epochs=2):
        self.error, self.epochs = error, epochs

    def on_fit_task_end(self, estimator, context):
        if context.task_name == "epoch" and context.task_id + 1 == self.epochs:
            raise self.error("on purpose")


@pytest.fixture(autouse=True)
def reset():
    yield
    for loss in (FailingHinge, FailingSquares):
        loss.calls, loss.error = 0, RuntimeError


def assert_whole(model, X):
    """Assert that a model's attributes go with one another, and that it predicts."""
    k, d = len(model.classes_), model.n_features_in_
    assert model.coef_.shape == (1 if k == 2 else k, d)
    assert model.intercept_.shape == (1 if k == 2 else k,)
    assert set(model.predict(np.zeros((3, d)))) <= set(model.classes_)
    if X.shape[1] == d:
        assert len(model.predict(X)) == X.shape[0]


OPTIMIZERS = ["auto", "lbfgs", "adam", "saga"]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("first, second", [(CANCER, IRIS), (IRIS, CANCER)], ids=["more", "fewer"])
def test_an_interrupt_in_the_descent_leaves_the_new_model(first, second, optimizer):
    model = GDClassifier(optimizer=optimizer, random_state=0).fit(*first)
    with pytest.raises(KeyboardInterrupt):
        model.set_callbacks(Raising(KeyboardInterrupt, 1)).fit(*second)
    assert model.stop_reason_ == "interrupted"
    assert not model.converged_
    assert_array_equal(model.classes_, np.unique(second[1]))
    assert len(model.history_["epoch"]) == 1
    assert_whole(model, second[0])
    model.set_callbacks().fit(*second)
    assert_array_equal(model.coef_, clone(model).fit(*second).coef_)


@pytest.mark.parametrize("calls", range(1, 7))
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, SystemExit])
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
def test_wherever_a_second_fit_ends_the_model_is_whole(kind, error, calls):
    (X, y), (X_2, y_2) = CANCER, IRIS
    model = GDClassifier(FailingHinge(), optimizer="adam", batch_size=64, random_state=0)
    model.fit(X, y)
    before = model.coef_.copy(), model.history_, model.optimality_
    FailingHinge.calls, FailingHinge.error = calls, error
    with pytest.raises(error):
        model.fit(kind(X_2), y_2)
    assert_whole(model, kind(X_2))
    if len(model.classes_) == 2:
        assert_array_equal(model.coef_, before[0])
        assert model.history_ is before[1]
        assert model.optimality_ is before[2]
    if error is KeyboardInterrupt:
        assert model.stop_reason_ == "interrupted"
    else:
        assert len(model.classes_) == 2


@pytest.mark.parametrize("where", ["loss", "callback"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_an_error_in_the_middle_of_a_second_fit_leaves_the_first_model(optimizer, where):
    names = [f"x{number}" for number in range(10)]
    model = GDRegressor(FailingSquares(), optimizer=optimizer, random_state=0)
    model.fit(pd.DataFrame(DIABETES[0], columns=names), DIABETES[1])
    expected = {name: value for name, value in vars(model).items() if name.endswith("_")}
    if where == "loss":
        FailingSquares.calls = 5
    else:
        model.set_callbacks(Raising(RuntimeError, 1))
    with pytest.raises(RuntimeError, match="on purpose"):
        model.fit(IRIS[0], IRIS[0])
    found = {name: value for name, value in vars(model).items() if name.endswith("_")}
    assert found.keys() == expected.keys()
    assert all(found[name] is expected[name] for name in expected)
    assert list(model.feature_names_in_) == names
    rows = pd.DataFrame(DIABETES[0], columns=names)
    assert model.predict(rows).shape == DIABETES[1].shape


@pytest.mark.parametrize("fit", ["fit", "partial_fit"])
def test_an_error_in_the_first_fit_leaves_no_model(fit):
    model = GDClassifier(FailingHinge(), optimizer="adam")
    unfitted = set(vars(model))
    FailingHinge.calls = 2
    more = {"classes": [0, 1, 2]} if fit == "partial_fit" else {}
    with pytest.raises(RuntimeError, match="on purpose"):
        getattr(model, fit)(*IRIS, **more)
    assert set(vars(model)) == unfitted
    with pytest.raises(NotFittedError):
        model.predict(IRIS[0])
    assert model.fit(*CANCER).coef_.shape == (1, 30)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "dog"])
@pytest.mark.parametrize("average", [False, True])
def test_a_call_of_partial_fit_that_fails_has_taught_nothing(average, optimizer, error):
    settings = {"optimizer": optimizer, "average": average, "batch_size": 16, "random_state": 0}
    model = GDClassifier(FailingHinge(), class_weight="balanced", **settings)
    other = clone(model)
    for each in (model, other):
        each.partial_fit(IRIS[0][::2], IRIS[1][::2], classes=[0, 1, 2])
    FailingHinge.calls, FailingHinge.error = 1, error
    with pytest.raises(error):
        model.partial_fit(*IRIS)
    assert_array_equal(model.coef_, other.coef_)
    if error is RuntimeError:
        for _ in range(2):
            model.partial_fit(*IRIS)
            other.partial_fit(*IRIS)
        assert_array_equal(model.coef_, other.coef_)
        assert model.t_ == other.t_


def test_a_warm_start_that_fails_goes_on_from_the_model_before():
    model = GDClassifier(
        FailingHinge(), optimizer="adam", warm_start=True, max_iter=3, tol=None, random_state=0
    ).fit(*IRIS)
    other = clone(model).fit(*IRIS)
    FailingHinge.calls = 9
    with pytest.raises(RuntimeError, match="on purpose"):
        model.fit(*IRIS)
    with pytest.raises(ValueError, match="warm_start=True: coef_ has shape"):
        model.fit(IRIS[0][:, :2], IRIS[1])
    assert model.n_features_in_ == 4
    assert_array_equal(model.fit(*IRIS).coef_, other.fit(*IRIS).coef_)
