"""Short runs at many learning rates."""

import inspect
import re
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgd import GDClassifier, GDRegressor, RateTest, find_learning_rate
from skgd.schedules import Constant, Cosine, OneCycle, Schedule, Warmup

CANCER = load_breast_cancer(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True, scaled=False)
DIGITS = load_digits(return_X_y=True)
WINE = load_wine(return_X_y=True)


def quietly(function, *args, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return function(*args, **settings)


@pytest.mark.parametrize(
    ("estimator", "data"),
    [
        (GDClassifier(optimizer="adam", batch_size=32), CANCER),
        (GDClassifier(optimizer="momentum", batch_size="full"), CANCER),
        (GDClassifier(optimizer="sgd", batch_size=1), WINE),
        (GDClassifier(optimizer="rmsprop"), DIGITS),
        (GDRegressor(optimizer="sgd", batch_size=16), DIABETES),
        (GDRegressor("huber", optimizer="adagrad", batch_size=64), DIABETES),
    ],
    ids=["adam", "full batch", "single rows", "softmax", "regression", "huber"],
)
def test_the_suggestion_is_near_the_best_rate_of_a_grid(estimator, data):
    suggestion = find_learning_rate(estimator, *data).suggestion

    def final(rate):
        model = clone(estimator).set_params(
            learning_rate=rate, max_iter=40, tol=None, random_state=1
        )
        return quietly(model.fit, *data).history_["objective"][-1]

    finals = [final(rate) for rate in 10.0 ** np.arange(-4, 1.5, 0.5)]
    assert final(suggestion) <= 2 * np.nanmin(finals)


def test_the_losses_are_means_over_short_runs():
    model = GDClassifier(optimizer="sgd", batch_size=64, random_state=3)
    test = find_learning_rate(model, *CANCER, rates=[0.3, 0.01, 1e6], epochs=8)
    assert isinstance(test, RateTest)
    assert_array_equal(test.rates, [0.01, 0.3, 1e6])
    for rate, loss in zip(test.rates[:2], test.losses[:2], strict=True):
        run = clone(model).set_params(learning_rate=rate, max_iter=8, tol=None).fit(*CANCER)
        assert loss == run.history_["objective"][2:].mean()
    assert test.losses[2] == np.inf
    assert test.suggestion == 0.3


@pytest.mark.parametrize(
    ("batch_size", "max_iter", "epochs"), [(32, 1000, 20), ("full", 1000, 100), (32, 7, 7)]
)
def test_a_run_has_twenty_epochs_or_a_hundred_steps(batch_size, max_iter, epochs):
    model = GDClassifier(optimizer="sgd", batch_size=batch_size, max_iter=max_iter, random_state=0)
    automatic = find_learning_rate(model, *CANCER, rates=[0.1, 0.2])
    given = find_learning_rate(model, *CANCER, rates=[0.1, 0.2], epochs=epochs)
    assert_array_equal(automatic.losses, given.losses)


def test_the_estimator_is_left_alone_and_the_test_repeats():
    model = GDClassifier(optimizer="adam", early_stopping=True, on_divergence="raise")
    before = model.get_params()
    first = find_learning_rate(model, *WINE, rates=[0.01, 0.1, 1e3])
    second = find_learning_rate(model, *WINE, rates=[0.01, 0.1, 1e3])
    assert model.get_params() == before and not hasattr(model, "coef_")
    assert_array_equal(first.losses, second.losses)


def test_weights_count_and_sparse_rows_are_read():
    X, y = CANCER
    weights = np.where(y == 1, 1.0, 0.0)
    weights[0] = 1e-3
    model = GDClassifier(optimizer="sgd", batch_size=64)
    heavy = find_learning_rate(model, X, y, weights, rates=[0.1])
    assert heavy.losses[0] < 0.05 < find_learning_rate(model, X, y, rates=[0.1]).losses[0]
    sparse = find_learning_rate(model, csr_matrix(X), y, rates=[0.1])
    dense = find_learning_rate(model, X, y, rates=[0.1])
    assert_allclose(sparse.losses, dense.losses, rtol=1e-9)


def test_a_large_set_is_drawn_from():
    X, y = np.tile(CANCER[0], (3, 1)), np.tile(CANCER[1], 3)
    model = GDClassifier(optimizer="sgd", batch_size=64)
    weights = np.ones(len(y))
    few = find_learning_rate(model, X, y, weights, rates=[0.1], max_samples=100, epochs=5)
    again = find_learning_rate(model, X, y, rates=[0.1], max_samples=100, epochs=5)
    whole = find_learning_rate(model, X, y, rates=[0.1], max_samples=None, epochs=5)
    assert few.losses[0] == again.losses[0] != whole.losses[0]


def test_a_pipeline_is_tested_after_its_transformers():
    model = GDClassifier(optimizer="sgd", batch_size=32, precondition=None, random_state=0)
    X, y = CANCER
    scaled = StandardScaler().fit_transform(X)
    direct = find_learning_rate(model, scaled, y, rates=[0.01, 0.1])
    piped = find_learning_rate(make_pipeline(StandardScaler(), model), X, y, rates=[0.01, 0.1])
    alone = find_learning_rate(make_pipeline(model), scaled, y, rates=[0.01, 0.1])
    assert_array_equal(direct.losses, piped.losses)
    assert_array_equal(direct.losses, alone.losses)


@pytest.mark.parametrize(
    ("schedule", "of_rate"),
    [
        (Cosine(0.5), lambda rate: Cosine(rate)),
        (Warmup(10, then=OneCycle(0.5)), lambda rate: Warmup(10, then=OneCycle(rate))),
        (Warmup(10, then=0.5), lambda rate: Warmup(10, then=rate)),
        (Constant(0.5), lambda rate: rate),
        (lambda t: 0.5, lambda rate: rate),
        (0.5, lambda rate: rate),
    ],
    ids=["cosine", "warm-up", "warm-up to a number", "constant", "function", "number"],
)
def test_the_rate_of_a_schedule_is_looked_for(schedule, of_rate):
    model = GDClassifier(optimizer="sgd", batch_size=32, learning_rate=schedule, random_state=0)
    test = find_learning_rate(model, *WINE, rates=[0.01, 0.1], epochs=8)
    for rate, loss in zip(test.rates, test.losses, strict=True):
        run = clone(model).set_params(learning_rate=of_rate(rate), max_iter=8, tol=None).fit(*WINE)
        assert loss == run.history_["objective"][2:].mean()


def test_a_range_test_is_shown_in_one_line():
    model = GDRegressor(optimizer="sgd", precondition=None, random_state=0)
    test = find_learning_rate(model, *DIABETES)
    assert re.fullmatch(
        r"RateTest\(suggestion=\S+, rates=<25 from 1e-05 to 10>, \d+ diverged\)", repr(test)
    )
    assert len(str(inspect.signature(find_learning_rate))) < 150


class Sawtooth(Schedule):
    def rates(self, t):
        return 0.1 / (1 + t % 10)


@pytest.mark.parametrize(
    ("estimator", "settings", "error", "message"),
    [
        (GaussianNB(), {}, TypeError, "pass a GDClassifier, a GDRegressor, or a Pipeline"),
        (
            GDClassifier(optimizer="lbfgs"), {}, ValueError,
            "^estimator has optimizer='lbfgs', which finds its own .*: pass .* optimizer='adam'",
        ),
        (
            GDClassifier(learning_rate=Sawtooth()), {}, ValueError,
            "has no parameter 'rate' to set: pass an estimator with learning_rate='auto'",
        ),
        (GDClassifier(), {"rates": []}, ValueError, "rates=.*: pass finite numbers above 0"),
        (GDClassifier(), {"rates": [0.1, -1]}, ValueError, "rates=.*: pass finite numbers above 0"),
        (GDClassifier(), {"rates": ["a"]}, TypeError, "rates=.*: pass a list of numbers"),
        (GDClassifier(), {"epochs": 0}, ValueError, "epochs=0: pass an integer >= 1 or 'auto'"),
        (GDClassifier(), {"epochs": 1.5}, TypeError, "epochs=1.5: pass an integer >= 1 or 'auto'"),
        (GDClassifier(), {"max_samples": 0}, ValueError, "max_samples=0: pass an integer >= 1"),
        (
            GDClassifier(optimizer="sgd"), {"rates": [1e4, 1e5]}, ValueError,
            "diverged at all of them, 1e\\+04 to 1e\\+05; pass smaller rates",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_tested_is_an_error(estimator, settings, error, message):
    with pytest.raises(error, match=message):
        find_learning_rate(estimator, *WINE, **settings)
