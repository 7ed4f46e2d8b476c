"""What every schedule does, what stands for one, and what must be refused."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.datasets import load_diabetes

from skgd import GDRegressor, schedules
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
    same_rates,
)

DIABETES = load_diabetes(return_X_y=True, scaled=False)
CLASSES = [
    kind for name in schedules.__all__ if (kind := getattr(schedules, name)) is not Schedule
]
STEPS = np.array([0, 1, 3, 99])

every_class = pytest.mark.parametrize("kind", CLASSES)


class Sawtooth(Schedule):
    def rates(self, t):
        return 0.1 / (1 + t % 10)


# ---- every schedule -----------------------------------------------------------------------------

@every_class
def test_parameters_are_set_by_their_names(kind):
    steps = np.arange(100)
    before, after = kind(), kind()
    name = "then" if kind is Warmup else "rate"
    after.set_params(**{name: 10 * getattr(before, name)})
    rates = before.bound(100, 10).rates(steps)
    assert_allclose(after.bound(100, 10).rates(steps), 10 * rates, rtol=1e-12)


def test_a_schedule_of_ones_own_knows_the_horizon():
    class Linear(Schedule):
        def rates(self, t):
            return 0.1 * (1 - t / self.total_steps)

    rates = checked_rates(as_schedule(Linear()).bound(10, 5), np.array([0, 5]))
    np.testing.assert_allclose(rates, [0.1, 0.05], rtol=1e-15)


def test_a_schedule_without_rates_is_an_error():
    with pytest.raises(NotImplementedError, match="rates"):
        Schedule().rates(STEPS)


# ---- what stands for a schedule -----------------------------------------------------------------

@pytest.mark.parametrize("number", [1, 0.25, np.float32(0.25), np.float64(2), np.int64(3)])
def test_a_number_is_a_constant(number):
    schedule = as_schedule(number)
    assert isinstance(schedule, Constant)
    np.testing.assert_array_equal(checked_rates(schedule, STEPS), np.full(4, float(number)))


@pytest.mark.parametrize("schedule", [Constant(), InverseScaling(), Sawtooth()])
def test_a_schedule_is_itself(schedule):
    assert as_schedule(schedule) is schedule


@pytest.mark.parametrize("function", [lambda t: 1.0 / (1 + t), Sawtooth().rates])
def test_a_function_gets_the_array_of_steps(function):
    rates = checked_rates(as_schedule(function).bound(10, 1), STEPS)
    np.testing.assert_array_equal(rates, function(STEPS))


def test_a_function_may_return_one_number_or_a_list():
    np.testing.assert_array_equal(checked_rates(as_schedule(lambda t: 0.5), STEPS), [0.5] * 4)
    rates = checked_rates(as_schedule(lambda t: [1, 2, 3, 4]), STEPS)
    np.testing.assert_array_equal(rates, [1.0, 2, 3, 4])


@pytest.mark.parametrize(
    ("word", "advice"),
    [
        ("constant", "a number"),
        ("invscaling", "InverseScaling"),
        ("optimal", "'auto'"),
        ("adaptive", "'auto'"),
        ("pa1", "'auto'"),
        ("pa2", "'auto'"),
        ("nonsense", "'auto', a positive number, a Schedule, or a function"),
    ],
)
def test_the_words_of_other_libraries_are_errors_that_say_what_to_pass(word, advice):
    with pytest.raises(ValueError, match=f"learning_rate='{word}': pass .*{advice}"):
        as_schedule(word)


@pytest.mark.parametrize("bad", [None, True, np.True_, [0.1], 1j, Constant, {"rate": 1}], ids=repr)
def test_what_is_no_rate_is_a_type_error(bad):
    with pytest.raises(TypeError, match="learning_rate=.* pass "):
        as_schedule(bad)


@every_class
def test_rates_are_the_same_where_the_parameters_are(kind):
    assert same_rates(kind(), clone(kind()))
    assert not same_rates(kind(), Sawtooth())
    name = next(iter(kind().get_params(deep=False)))
    assert not same_rates(kind(), kind(**{name: 7}))


def test_numbers_functions_and_nested_schedules_are_compared_too():
    assert same_rates(0.1, 0.1) and not same_rates(0.1, 0.2) and not same_rates(0.1, "auto")
    assert same_rates("auto", "auto")
    assert same_rates(np.sqrt, np.sqrt) and not same_rates(np.sqrt, np.exp)
    assert same_rates(Step(epochs=[1, 2]), Step(epochs=[1, 2]))
    assert not same_rates(Step(epochs=[1, 2]), Step(epochs=[1, 3]))
    assert same_rates(Warmup(3, then=Cosine(0.3)), Warmup(3, then=Cosine(0.3)))
    assert not same_rates(Warmup(3, then=Cosine(0.3)), Warmup(3, then=Cosine(0.4)))


# ---- bad parameters -----------------------------------------------------------------------------

@pytest.mark.parametrize(
    ("schedule", "error", "message"),
    [
        (Exponential(factor=0), ValueError, "factor=0.* of Exponential: .*above 0"),
        (Exponential(factor=-0.5), ValueError, "factor=-0.5 of Exponential: .*above 0"),
        (Exponential(factor=np.inf), ValueError, "factor=inf of Exponential: .*finite"),
        (Exponential(factor="0.5"), TypeError, "factor='0.5' of Exponential: pass a number"),
        (Step(factor=0), ValueError, "factor=0.* of Step: .*above 0"),
        (Step(epochs=0), ValueError, "epochs=0.* of Step: .*above 0"),
        (Step(epochs="often"), TypeError, "epochs='often' of Step: .*a number or a list"),
        (Step(epochs=None), TypeError, "epochs=None of Step: .*a number or a list"),
        (Polynomial(power=0), ValueError, "power=0.* of Polynomial: .*above 0"),
        (Polynomial(min_rate=-1), ValueError, "min_rate=-1.* of Polynomial: .*>= 0"),
        (Polynomial(min_rate=1), ValueError, "min_rate=1 of Polynomial is above rate=0.01: pass"),
        (Cosine(min_rate=0.5), ValueError, "min_rate=0.5 of Cosine is above rate=0.01: pass"),
        (Cosine(min_rate=None), TypeError, "min_rate=None of Cosine: pass a number"),
        (Cosine(epochs=0), ValueError, "epochs=0.* of Cosine: .*above 0"),
        (Cosine(epochs="all"), TypeError, "epochs='all' of Cosine: pass a number"),
        (OneCycle(rising=1.5), ValueError, "rising=1.5 of OneCycle: .*from 0 to 1"),
        (OneCycle(rising=np.nan), ValueError, "rising=nan of OneCycle: .*from 0 to 1"),
        (OneCycle(start_divisor=0), ValueError, "start_divisor=0.* of OneCycle: .*above 0"),
        (OneCycle(end_divisor=-1), ValueError, "end_divisor=-1.* of OneCycle: .*above 0"),
        (Warmup(-1), ValueError, "steps=-1 of Warmup: pass an integer >= 0"),
        (Warmup(0.1), TypeError, "steps=0.1 of Warmup: pass an integer"),
        (Warmup(True), TypeError, "steps=True of Warmup: pass an integer"),
        (Warmup(5, then="cosine"), ValueError, "then='cosine' of Warmup: pass "),
        (Warmup(5, then=None), TypeError, "then=None of Warmup: pass "),
        (Warmup(5, then=-1), ValueError, "then=-1 of Warmup: pass a finite number above 0"),
        (Warmup(5, then=0), ValueError, "then=0 of Warmup: pass a finite number above 0"),
        (ReduceOnPlateau(factor=1), ValueError, "factor=1 of .*: pass a number between 0 and 1"),
        (ReduceOnPlateau(factor=0), ValueError, "factor=0 of .*: pass a number between 0 and 1"),
        (ReduceOnPlateau(min_rate=1), ValueError, "min_rate=1 of .* is above rate=0.01: pass"),
        (ReduceOnPlateau(patience=-1), ValueError, "patience=-1.* of .*: pass a number >= 0"),
        (ReduceOnPlateau(patience=None), TypeError, "patience=None of .*: pass a number"),
        (ReduceOnPlateau(threshold=-1), ValueError, "threshold=-1.* of .*: pass a number >= 0"),
    ],
    ids=str,
)
def test_what_a_schedule_cannot_use_is_an_error_of_fit(schedule, error, message):
    with pytest.raises(error, match=message):
        GDRegressor(learning_rate=schedule, max_iter=3).fit(*DIABETES)


# ---- bad rates ----------------------------------------------------------------------------------

@pytest.mark.parametrize("bad", [-0.1, np.nan, np.inf, -np.inf])
def test_a_bad_rate_is_an_error_wherever_it_stands(bad):
    for schedule in (bad, lambda t: np.where(t == 3, bad, 0.1), InverseScaling(bad)):
        with pytest.raises(ValueError, match=f"rate[ =]{bad}.*: pass (a )?finite"):
            checked_rates(as_schedule(schedule), STEPS)


@pytest.mark.parametrize("rate", [-1, -0.5, Constant(-1)], ids=repr)
def test_a_bad_rate_is_shown_as_it_was_passed(rate):
    with pytest.raises(ValueError) as caught:
        GDRegressor(learning_rate=rate).fit(*DIABETES)
    assert str(caught.value).startswith(f"learning_rate={rate!r} gives the rate -")


@pytest.mark.parametrize(
    "returned", [np.ones(3), np.ones((4, 1)), np.ones((1, 4)), np.ones(0), np.ones(1)], ids=str
)
def test_rates_of_another_shape_are_errors(returned):
    with pytest.raises(ValueError, match="returned shape .* for 4 step numbers"):
        checked_rates(as_schedule(lambda t: returned), STEPS)


@pytest.mark.parametrize("returned", [None, "fast", [[1.0], [1.0, 2.0]]], ids=str)
def test_what_is_not_numbers_is_an_error(returned):
    with pytest.raises((ValueError, TypeError), match="learning_rate=.*: (return numbers|pass)"):
        checked_rates(as_schedule(lambda t: returned), STEPS)


def test_a_schedule_is_shown_in_errors_alone():
    class Unseen(Schedule):
        def rates(self, t):
            return np.full(len(t), 0.5)

        def __repr__(self):
            raise AssertionError("shown")

    np.testing.assert_array_equal(checked_rates(Unseen(), STEPS), np.full(4, 0.5))


def test_the_error_of_a_function_reaches_the_user():
    def broken(t):
        raise ArithmeticError("mine")

    with pytest.raises(ArithmeticError, match="mine"):
        checked_rates(as_schedule(broken), STEPS)
