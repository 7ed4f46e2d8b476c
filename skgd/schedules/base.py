"""What a schedule is, and what a user's ``learning_rate`` means."""

import copy

import numpy as np
from sklearn.base import BaseEstimator

from skgd._utils.checks import as_floats, is_finite, is_number, shown
from skgd._utils.names import suggestion

__all__ = ["Schedule", "Constant"]


class Schedule(BaseEstimator):
    """Base class of the schedules; subclass it to write your own.

    A schedule of your own needs ``rates(t)``. A run works on its own copy, with the attributes
    ``total_steps`` and ``steps_per_epoch``, and passes it the objective after each epoch.

    Examples
    --------
    >>> import numpy as np
    >>> from skgd.schedules import Schedule
    >>> class Sawtooth(Schedule):
    ...     def rates(self, t):
    ...         return 0.1 / (1 + t % 10)
    >>> Sawtooth().rates(np.array([0, 1, 10]))
    array([0.1 , 0.05, 0.1 ])
    """

    total_steps = None
    steps_per_epoch = None

    def rates(self, t):
        """Return the rate of each step.

        Parameters
        ----------
        t : array of int of shape (n_steps,)
            Step numbers, from 0.

        Returns
        -------
        array of shape (n_steps,)
        """
        raise NotImplementedError(f"{type(self).__name__} does not define rates(t): define it.")

    def bound(self, total_steps, steps_per_epoch):
        """Return a copy that knows the horizon of a run.

        Parameters
        ----------
        total_steps : int
            The number of steps until ``max_iter``.
        steps_per_epoch : int
            The number of batches in an epoch.
        """
        own = copy.deepcopy(self)
        own.total_steps, own.steps_per_epoch = total_steps, steps_per_epoch
        return own

    def observe(self, objective):
        """Receive the objective at the end of an epoch; only a run's own copy is told.

        Parameters
        ----------
        objective : float
        """

    def settled(self, t):
        """Return whether the rate has fallen as far as it will after t steps.

        Before that, a stall is not the end of a descent: a run does not stop for it.

        Parameters
        ----------
        t : int

        Returns
        -------
        bool
            True unless a subclass knows better.
        """
        return True

    def ran_to_its_end(self, t):
        """Return whether the schedule has an end that t steps have reached."""
        return not self.settled(0) and self.settled(t)

    def recover(self, diverged):
        """Cut the rate where the objective is above that of the start and of no model.

        Only a run's own copy is asked, after an epoch.

        Parameters
        ----------
        diverged : bool
            Whether the run ends otherwise.

        Returns
        -------
        bool
            Whether it was cut, so that the run begins again from its best point; False unless a
            subclass knows better.
        """
        return False

    def _epochs(self, t):
        """Return the epochs that lie behind the steps t, as real numbers."""
        return np.asarray(t) / (self.steps_per_epoch or 1)


class Constant(Schedule):
    """The same rate at every step; a plain number as ``learning_rate`` means this.

    Parameters
    ----------
    rate : float, default=0.01

    Examples
    --------
    >>> import numpy as np
    >>> from skgd.schedules import Constant
    >>> Constant(0.1).rates(np.arange(3))
    array([0.1, 0.1, 0.1])
    """

    def __init__(self, rate=0.01):
        self.rate = rate

    def rates(self, t):
        return np.full(len(t), number(self, "rate"))


class _Number(Constant):
    """A user's number, which is shown as what it was passed as."""

    def bound(self, total_steps, steps_per_epoch):
        # A deep copy takes a sixth of the time in which a search makes a run.
        own = _Number(self.rate)
        own.total_steps, own.steps_per_epoch = total_steps, steps_per_epoch
        return own

    def __repr__(self):
        return repr(self.rate)


# What NumPy says where a function of a number gets an array.
SCALARS_ONLY = ("truth value of an array", "can be converted to Python scalars")


class _Function(Schedule):
    """A user's function of an array of step numbers, shown as what it was passed as."""

    def __init__(self, function):
        self.function = function

    def rates(self, t):
        try:
            return self.function(t)
        except (TypeError, ValueError) as error:
            if not any(words in str(error) for words in SCALARS_ONLY):
                raise
            raise type(error)(
                f"learning_rate={self!r} takes no array, and t is one, of step numbers: write "
                "np.where(t < 100, a, b) for `a if t < 100 else b`, np.exp for math.exp, and "
                f"np.maximum for max. ({error})"
            ) from error

    def __repr__(self):
        return repr(self.function)


def as_schedule(learning_rate):
    """Return the schedule that a user's ``learning_rate`` means."""
    if isinstance(learning_rate, Schedule):
        return learning_rate
    if is_number(learning_rate):
        if not is_finite(learning_rate):
            raise ValueError(f"learning_rate={shown(learning_rate)}: pass a finite number above 0.")
        if learning_rate == 0:
            raise ValueError(f"learning_rate={learning_rate!r}: pass a number above 0, or 'auto'.")
        return _Number(learning_rate)
    if callable(learning_rate) and not isinstance(learning_rate, type):
        return _Function(learning_rate)
    remedies = {
        "constant": "a number, 0.01 for instance",
        "invscaling": "skgd.schedules.InverseScaling(rate, power)",
        "optimal": "'auto', which finds the rate from the data",
        "adaptive": "'auto', which finds the rate from the data",
        "pa1": "'auto', which finds the rate from the data",
        "pa2": "'auto', which finds the rate from the data",
    }
    remedy = remedies.get(learning_rate) if isinstance(learning_rate, str) else None
    if remedy is None:
        remedy = "'auto', a positive number, a Schedule, or a function of an array of step numbers"
    if not isinstance(learning_rate, str):
        raise TypeError(f"learning_rate={shown(learning_rate)}: pass {remedy}.")
    if suggestion("learning_rate", learning_rate, ("auto",)):
        remedy = "'auto'"
    raise ValueError(f"learning_rate={shown(learning_rate)}: pass {remedy}.")


def same_rates(one, other):
    """Return whether two values of ``learning_rate`` mean the same, parameter by parameter."""
    if not isinstance(one, Schedule):
        return one is other or (type(one) is type(other) and np.array_equal(one, other))
    return type(one) is type(other) and all(
        same_rates(value, getattr(other, name))
        for name, value in one.get_params(deep=False).items()
    )


def checked_rates(schedule, t):
    """Return the rates of the steps t as float64, or say what is wrong with them."""
    return _checked(schedule.rates(t), schedule, t)


def all_checked_rates(schedules, t):
    """Return the rates of many schedules, of shape (n_schedules, n_steps)."""
    several = [schedule.rates(t) for schedule in schedules]
    if all(isinstance(rates, np.ndarray) and rates.shape == t.shape for rates in several):
        together = np.array(several)
        if together.dtype == np.float64 and _in_range(together):
            return together
    return np.array([_checked(*pair, t) for pair in zip(several, schedules, strict=True)])


def _checked(rates, schedule, t):
    # A schedule is only shown where something is wrong: that takes longer than a short epoch.
    if not (isinstance(rates, np.ndarray) and rates.dtype == np.float64):
        rates = as_floats(rates, _shown(schedule))
    if rates.shape == ():
        rates = np.full(t.shape, float(rates))
    if rates.shape != t.shape:
        raise ValueError(
            f"{_shown(schedule)} returned shape {rates.shape} for {len(t)} step numbers: "
            "return one rate for each."
        )
    if not _in_range(rates):
        bad = rates[~(rates >= 0) | np.isinf(rates)][0]
        raise ValueError(
            f"{_shown(schedule)} gives the rate {bad}: pass finite rates above or equal to 0."
        )
    return rates


def _in_range(rates):
    # NaN fails both comparisons.
    return rates.min(initial=0.0) >= 0 and rates.max(initial=0.0) < np.inf


def _shown(schedule):
    return f"learning_rate={schedule!r}"


def number(schedule, name):
    value = getattr(schedule, name)
    if not is_number(value):
        raise TypeError(f"{name}={shown(value)} of {type(schedule).__name__}: pass a number.")
    if not is_finite(value):
        raise ValueError(
            f"{name}={shown(value)} of {type(schedule).__name__}: pass a finite number."
        )
    return float(value)


def positive(schedule, name):
    value = number(schedule, name)
    if not 0 < value < np.inf:
        raise ValueError(
            f"{name}={shown(value)} of {type(schedule).__name__}: pass a finite number above 0."
        )
    return value


def not_negative(schedule, name):
    value = number(schedule, name)
    if not 0 <= value < np.inf:
        raise ValueError(f"{name}={value!r} of {type(schedule).__name__}: pass a number >= 0.")
    return value


def min_rate_of(schedule):
    lowest, rate = not_negative(schedule, "min_rate"), number(schedule, "rate")
    if lowest > rate >= 0:
        raise ValueError(
            f"min_rate={schedule.min_rate!r} of {type(schedule).__name__} is above "
            f"rate={schedule.rate!r}: pass a min_rate up to the rate."
        )
    return lowest
