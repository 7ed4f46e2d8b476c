"""Schedules: their values, what stands for them, and rates that cannot be."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone

from skgd import schedules
from skgd.schedules import Constant, InverseScaling, Schedule, as_schedule, checked_rates

CLASSES = [
    kind for name in schedules.__all__ if (kind := getattr(schedules, name)) is not Schedule
]
STEPS = np.array([0, 1, 3, 99])

every_class = pytest.mark.parametrize("kind", CLASSES)


class Sawtooth(Schedule):
    def rates(self, t):
        return 0.1 / (1 + t % 10)


# ---- values -------------------------------------------------------------------------------------

def test_a_constant_is_the_same_at_every_step():
    np.testing.assert_array_equal(Constant(0.3).rates(STEPS), [0.3, 0.3, 0.3, 0.3])


def test_inverse_scaling_falls_with_a_power_of_the_step_number():
    rates = InverseScaling(0.3, power=0.5).rates(STEPS)
    np.testing.assert_allclose(rates, [0.3, 0.3 / np.sqrt(2), 0.15, 0.03], rtol=1e-15)
    np.testing.assert_array_equal(InverseScaling(0.3, power=0).rates(STEPS), np.full(4, 0.3))


@every_class
def test_the_rates_are_finite_and_shaped_like_the_steps(kind):
    schedule = kind().bound(1000, 10)
    for t in (np.arange(0), np.arange(1), np.arange(1000)):
        rates = checked_rates(schedule, t)
        assert rates.shape == t.shape and rates.dtype == np.float64
    assert rates[0] > 0


@every_class
def test_the_rate_of_a_step_does_not_depend_on_the_other_steps(kind):
    schedule = kind().bound(100, 10)
    all_at_once = schedule.rates(np.arange(100))
    one_by_one = [schedule.rates(np.array([t]))[0] for t in range(100)]
    np.testing.assert_array_equal(all_at_once, one_by_one)


@every_class
def test_binding_leaves_the_users_object_alone(kind):
    schedule = kind()
    own = schedule.bound(1000, 10)
    assert (own.total_steps, own.steps_per_epoch) == (1000, 10)
    assert own is not schedule and type(own) is kind
    assert schedule.total_steps is None and schedule.steps_per_epoch is None
    assert vars(schedule) == vars(kind())


@every_class
def test_clone_repr_and_pickle_go_round(kind):
    schedule = kind()
    for copy in (clone(schedule), pickle.loads(pickle.dumps(schedule)), kind()):
        assert repr(copy) == repr(schedule) == f"{kind.__name__}()"
        assert copy.get_params() == schedule.get_params()
    assert schedule.set_params(rate=0.7).rates(np.arange(1))[0] == 0.7


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

@pytest.mark.parametrize("number", [1, 0.25, np.float32(0.25), np.float64(2), np.int64(3), 0])
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


# ---- bad rates ----------------------------------------------------------------------------------

@pytest.mark.parametrize("bad", [-0.1, np.nan, np.inf, -np.inf])
def test_a_bad_rate_is_an_error_wherever_it_stands(bad):
    for schedule in (bad, lambda t: np.where(t == 3, bad, 0.1), InverseScaling(bad)):
        with pytest.raises(ValueError, match=f"gives the rate {bad}: pass finite rates"):
            checked_rates(as_schedule(schedule), STEPS)


@pytest.mark.parametrize(
    "returned", [np.ones(3), np.ones((4, 1)), np.ones((1, 4)), np.ones(0), np.ones(1)], ids=str
)
def test_rates_of_another_shape_are_errors(returned):
    with pytest.raises(ValueError, match="returned shape .* for 4 step numbers"):
        checked_rates(as_schedule(lambda t: returned), STEPS)


@pytest.mark.parametrize("returned", [None, "fast", [[1.0], [1.0, 2.0]]], ids=str)
def test_what_is_not_numbers_is_an_error(returned):
    with pytest.raises((ValueError, TypeError)):
        checked_rates(as_schedule(lambda t: returned), STEPS)


def test_the_error_of_a_function_reaches_the_user():
    def broken(t):
        raise ArithmeticError("mine")

    with pytest.raises(ArithmeticError, match="mine"):
        checked_rates(as_schedule(broken), STEPS)
