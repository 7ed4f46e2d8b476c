"""Schedules against torch and closed forms, and in fits."""

import pickle
import warnings
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import record_torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.exceptions import ConvergenceWarning

from skgd import GDClassifier, GDRegressor, schedules
from skgd.callbacks import Callback, Checkpoint
from skgd.schedules import (
    Constant,
    Cosine,
    Exponential,
    InverseScaling,
    OneCycle,
    Polynomial,
    ReduceOnPlateau,
    Schedule,
    Step,
    Warmup,
    as_schedule,
    checked_rates,
)

TORCH = np.load(Path(__file__).with_name("torch_schedules.npz"))
CANCER = load_breast_cancer(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True, scaled=False)
CLASSES = [
    kind for name in schedules.__all__ if (kind := getattr(schedules, name)) is not Schedule
]
STEPS = np.array([0, 1, 3, 99])

every_class = pytest.mark.parametrize("kind", CLASSES)


# ---- values -------------------------------------------------------------------------------------

def test_a_constant_is_the_same_at_every_step():
    np.testing.assert_array_equal(Constant(0.3).rates(STEPS), [0.3, 0.3, 0.3, 0.3])


def test_inverse_scaling_falls_with_a_power_of_the_step_number():
    rates = InverseScaling(0.3, power=0.5).rates(STEPS)
    np.testing.assert_allclose(rates, [0.3, 0.3 / np.sqrt(2), 0.15, 0.03], rtol=1e-15)
    np.testing.assert_array_equal(InverseScaling(0.3, power=0).rates(STEPS), np.full(4, 0.3))


TORCH_TWINS = {
    "linear": Polynomial(0.3),
    "polynomial": Polynomial(0.3, power=2.5),
    "cosine": Cosine(0.3),
    "cosine_min": Cosine(0.3, min_rate=0.02),
    "one_cycle": OneCycle(0.3),
    "one_cycle_early": OneCycle(0.3, rising=0.1, start_divisor=5, end_divisor=20),
    "warmup": Warmup(8, then=Cosine(0.3)),
}


if find_spec("torch"):

    def test_the_recording_is_what_torch_does_today():
        for name, values in record_torch.rates(import_module("torch")).items():
            assert_allclose(values, TORCH[name], rtol=1e-12)


@pytest.mark.parametrize("name", TORCH_TWINS)
def test_the_rates_of_all_steps_are_torchs(name):
    rates = TORCH_TWINS[name].bound(60, 6).rates(np.arange(60))
    assert_allclose(rates, TORCH[name], rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "schedule"),
    [
        ("exponential", Exponential(0.3, factor=0.8)),
        ("step", Step(0.3, factor=0.5, epochs=4)),
        ("milestones", Step(0.3, factor=0.5, epochs=[7, 2, 3])),
    ],
)
def test_the_rates_at_the_beginning_of_each_epoch_are_torchs(name, schedule):
    rates = schedule.bound(60, 6).rates(np.arange(60))
    assert_allclose(rates[::6], TORCH[name], rtol=1e-12)
    if isinstance(schedule, Step):
        assert_array_equal(rates.reshape(10, 6), np.repeat(rates[::6], 6).reshape(10, 6))
    else:
        assert_allclose(rates[1:] / rates[:-1], np.full(59, 0.8 ** (1 / 6)), rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "schedule"),
    [
        ("plateau", ReduceOnPlateau(0.3, patience=3, min_rate=0)),
        (
            "plateau_coarse",
            ReduceOnPlateau(0.3, factor=0.5, patience=2, threshold=0.1, min_rate=0.05),
        ),
    ],
)
def test_reduce_on_plateau_does_what_torch_does(name, schedule):
    own, rates = schedule.bound(600, 10), []
    for objective in TORCH["objectives"]:
        own.observe(objective)
        rates.append(own.rates(np.arange(1))[0])
    assert_allclose(rates, TORCH[name], rtol=1e-12)


def test_reduce_on_plateau_counts_progress_below_zero_too():
    schedule = ReduceOnPlateau(1.0, patience=0, threshold=0.1).bound(10, 1)
    rates = []
    for objective in (-10.0, -10.5, -11.5, np.nan):
        schedule.observe(objective)
        rates.append(schedule.rates(np.arange(1))[0])
    assert_allclose(rates, [1, 0.1, 0.1, 0.01])


def test_a_step_of_a_fraction_of_an_epoch():
    rates = Step(1.0, factor=0.5, epochs=0.5).bound(40, 10).rates(np.array([0, 4, 5, 9, 10]))
    assert_array_equal(rates, [1, 1, 0.5, 0.5, 0.25])


@pytest.mark.parametrize("kind", [Polynomial, Cosine, OneCycle])
def test_the_end_is_where_epochs_says_and_the_rate_stays_there(kind):
    whole, early = kind(0.5).bound(30, 10), kind(0.5, epochs=3).bound(1000, 10)
    assert early.end == whole.end == 30
    steps = np.arange(200)
    assert_array_equal(whole.rates(steps), early.rates(steps))
    after = whole.rates(np.arange(30, 1000))
    assert_array_equal(after, np.full(970, after[0]))
    assert after[0] < 1e-5
    assert [whole.settled(t) for t in (0, 29, 30, 31)] == [False, False, True, True]
    assert not whole.ran_to_its_end(29) and whole.ran_to_its_end(30)


@pytest.mark.parametrize("kind", [Polynomial, Cosine, OneCycle])
@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 10])
def test_short_runs_have_rates_too(kind, length):
    rates = checked_rates(kind(0.5).bound(length, 1), np.arange(length))
    assert np.all(rates <= 0.5) and np.all(rates >= 0)


@pytest.mark.parametrize("rising", [0, 0.1, 0.5, 1])
def test_one_cycle_is_highest_where_it_stops_to_rise(rising):
    rates = OneCycle(0.5, rising=rising).bound(100, 10).rates(np.arange(100))
    peak = max(100 * rising - 1, 0)
    assert abs(rates.argmax() - peak) <= 1
    assert_allclose(rates.max(), 0.5, rtol=1e-2)
    assert np.all(np.diff(rates[: int(peak) + 1]) > 0)
    assert np.all(np.diff(rates[int(peak) + 1:]) < 0)


@pytest.mark.parametrize("kind", [Polynomial, Cosine, OneCycle])
def test_a_schedule_that_does_not_know_its_end_says_so(kind):
    with pytest.raises(ValueError, match=rf"{kind.__name__}\(\) .*: pass epochs, or call bound"):
        kind().rates(STEPS)


@pytest.mark.parametrize("kind", [Constant, InverseScaling, Exponential, Step])
def test_a_schedule_without_an_end_is_settled_from_the_start(kind):
    schedule = kind().bound(30, 10)
    assert schedule.settled(0) and not schedule.ran_to_its_end(30)


# ---- warm-up ------------------------------------------------------------------------------------

@pytest.mark.parametrize("then", [0.4, lambda t: 0.4 / (1 + t), InverseScaling(0.4, power=1)])
def test_a_warm_up_rises_to_what_follows(then):
    rates = checked_rates(Warmup(4, then=then).bound(100, 10), np.arange(7))
    follows = np.full(3, 0.4) if then == 0.4 else 0.4 / np.arange(1, 4)
    assert_allclose(rates, np.concatenate([[0.1, 0.2, 0.3, 0.4], follows]), rtol=1e-15)


def test_a_warm_up_of_a_warm_up_and_of_no_steps():
    inner = Warmup(2, then=1.0)
    assert_array_equal(
        Warmup(3, then=inner).bound(10, 1).rates(np.arange(6)),
        np.array([1 / 6, 2 / 6, 3 / 6, 0.5, 1, 1]),
    )
    assert_array_equal(Warmup(0, then=inner).rates(np.arange(3)), inner.rates(np.arange(3)))


def test_what_follows_a_warm_up_ends_with_the_run():
    schedule = Warmup(10, then=Cosine(1.0)).bound(40, 10)
    assert schedule.then.end == 30
    assert [schedule.settled(t) for t in (0, 10, 39, 40)] == [False, False, False, True]
    assert_allclose(schedule.rates(np.array([25, 40])), [0.5, 0.0], atol=1e-15)
    longer_than_the_run = Warmup(10, then=Cosine(1.0)).bound(5, 1)
    assert_allclose(longer_than_the_run.rates(np.arange(5)), np.arange(1, 6) / 10)


def test_schedules_within_schedules_are_cloned_and_searched_like_estimators():
    schedule = Warmup(10, then=Warmup(5, then=Cosine(0.3)))
    copy = clone(schedule)
    assert copy.then is not schedule.then and copy.then.then is not schedule.then.then
    assert schedule.get_params()["then__then__rate"] == 0.3
    model = GDRegressor(learning_rate=copy).set_params(learning_rate__then__then__rate=0.7)
    assert model.learning_rate.then.then.rate == 0.7
    assert schedule.then.then.rate == 0.3
    assert repr(schedule) == "Warmup(steps=10, then=Warmup(steps=5, then=Cosine(rate=0.3)))"


# ---- in a fit -----------------------------------------------------------------------------------

def fitted(learning_rate, batch_size=64, **settings):
    model = GDRegressor(
        optimizer="sgd", learning_rate=learning_rate, batch_size=batch_size, random_state=0,
        **settings,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(*DIABETES)


@every_class
def test_a_fit_takes_the_rates_of_the_bound_schedule(kind):
    model = fitted(kind(), max_iter=5, tol=None)
    rates = kind().bound(35, 7).rates(np.arange(35))
    assert_array_equal(model.history_["learning_rate"], rates[6::7])
    assert model.learning_rate_ == rates[0]
    assert vars(model.learning_rate) == vars(kind())


# Where the rate depends on the objective, it falls within the few epochs of a test.
LIVELY = {
    ReduceOnPlateau: ReduceOnPlateau(0.5, factor=0.3, patience=0, threshold=0.1),
    Warmup: Warmup(10, then=ReduceOnPlateau(0.5, patience=0, threshold=0.1)),
}


@every_class
def test_calls_of_partial_fit_equal_as_many_epochs_of_fit(kind):
    settings = {
        "optimizer": "adam", "batch_size": 64, "shuffle": False, "max_iter": 6, "tol": None,
    }  # fmt: skip
    schedule = LIVELY.get(kind, kind())
    whole = GDRegressor(learning_rate=schedule, **settings).fit(*DIABETES)
    parts, rates = GDRegressor(learning_rate=schedule, **settings), []
    for _ in range(6):
        parts = pickle.loads(pickle.dumps(parts.partial_fit(*DIABETES)))
        rates.append(parts.history_["learning_rate"][-1])
    assert_allclose(parts.coef_, whole.coef_, rtol=1e-10)
    assert_array_equal(rates, whole.history_["learning_rate"])


class StopAtThird(Callback):
    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        return context.task_name == "epoch" and len(fitted_estimator.history_["epoch"]) == 3


@every_class
def test_a_fit_goes_on_from_a_checkpoint_with_the_rates_that_it_would_have_had(kind, tmp_path):
    schedule = LIVELY.get(kind, kind())
    model = GDRegressor(
        optimizer="adam", learning_rate=schedule, batch_size=64, max_iter=6, tol=None,
        random_state=0,
    )  # fmt: skip
    whole = clone(model).fit(*DIABETES)
    clone(model).set_callbacks(Checkpoint(tmp_path / "fit"), StopAtThird()).fit(*DIABETES)
    again = clone(model).set_callbacks(Checkpoint(tmp_path / "fit")).fit(*DIABETES)
    assert_array_equal(again.history_["learning_rate"], whole.history_["learning_rate"])
    assert_array_equal(again.coef_, whole.coef_)


def test_an_epoch_of_a_stream_stays_as_long_as_its_first_call():
    X, y = DIABETES
    model = GDRegressor(optimizer="sgd", batch_size=10, learning_rate=Step(0.01, epochs=2))
    rates = []
    for rows in (100, 100, 7, 100, 100, 100):
        rates.append(model.partial_fit(X[:rows], y[:rows]).learning_rate_)
    assert_allclose(rates, [0.01, 0.01, 0.001, 0.001, 0.001, 0.0001])


def test_a_new_rate_takes_effect_at_the_next_call_and_the_old_plateau_is_forgotten():
    model = GDRegressor(optimizer="sgd", learning_rate=ReduceOnPlateau(0.5, patience=0))
    for _ in range(20):
        model.partial_fit(*DIABETES)
    assert model.learning_rate_ < 0.5
    model.set_params(learning_rate__rate=0.25).partial_fit(*DIABETES)
    assert model.learning_rate_ == 0.25
    for rate in (0.125, 0.25, Constant(0.125)):
        model.set_params(learning_rate=rate).partial_fit(*DIABETES)
        assert model.learning_rate_ == as_schedule(rate).rates(np.arange(1))[0]
    automatic = model.set_params(learning_rate="auto").partial_fit(*DIABETES).learning_rate_
    assert automatic not in (0.25, 0.125)


def test_a_warm_start_gives_the_schedule_a_new_end():
    model = GDRegressor(
        optimizer="sgd", learning_rate=Polynomial(0.1), batch_size="full", max_iter=10, tol=None,
        warm_start=True,
    )  # fmt: skip
    first = model.fit(*DIABETES).history_["learning_rate"]
    second = model.fit(*DIABETES).history_["learning_rate"]
    assert_allclose(first, 0.1 * (1 - np.arange(10) / 10))
    assert_allclose(second, 0.1 * (1 - np.arange(10, 20) / 20))


@pytest.mark.parametrize("batch_size", [64, "full"])
@pytest.mark.parametrize("schedule", [Cosine(0.05), OneCycle(0.05), Warmup(10, Polynomial(0.05))])
def test_a_run_goes_to_the_end_of_its_schedule_and_is_content(schedule, batch_size):
    model = GDClassifier(
        optimizer="adam", learning_rate=schedule, batch_size=batch_size, max_iter=80, tol=0.05,
        random_state=0,
    )  # fmt: skip
    model.fit(*CANCER)
    if model.stop_reason_ == "max_iter":
        assert model.n_iter_ == 80
    else:
        # The gradient of a full batch may show the minimum before.
        assert batch_size == "full" and model.stop_reason_ == "tol"


def test_a_run_stops_for_want_of_progress_once_the_schedule_has_ended():
    model = fitted(Cosine(0.05, epochs=12), tol=1e-3)
    assert model.stop_reason_ == "tol"
    assert 12 <= model.n_iter_ <= 12 + model.n_iter_no_change


def test_a_run_shorter_than_its_schedule_is_told_to_last_longer():
    model = GDRegressor(optimizer="sgd", learning_rate=Cosine(0.05, epochs=50), max_iter=10)
    with pytest.warns(ConvergenceWarning, match="max_iter=10 was reached"):
        model.fit(*DIABETES)


def test_reduce_on_plateau_comes_nearer_to_the_minimum_than_its_first_rate():
    exact = GDRegressor(tol=1e-10).fit(*DIABETES).history_["objective"][-1]
    schedule = ReduceOnPlateau(0.1, factor=0.3, patience=2, min_rate=1e-4)
    reduced, constant = fitted(schedule, batch_size=8), fitted(0.1, batch_size=8)
    assert reduced.stop_reason_ == "tol"
    assert 1e-4 <= reduced.history_["learning_rate"][-1] < 1e-4 / 0.3
    assert np.all(np.diff(reduced.history_["learning_rate"]) <= 0)
    gap, constant_gap = (
        model.history_["objective"][-1] / exact - 1 for model in (reduced, constant)
    )
    assert gap < 0.2 * constant_gap
