"""Learning-rate schedules: the rate as a function of the step number, for whole arrays of steps."""

import copy

import numpy as np
from sklearn.base import BaseEstimator

from skgd._checks import is_number

__all__ = ["Schedule", "Constant", "InverseScaling"]


class Schedule(BaseEstimator):
    """Base class of the schedules; subclass it to write your own.

    A schedule of your own needs ``rates(t)``. A run works on its own copy, to which it adds
    ``total_steps`` and ``steps_per_epoch``.

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
        return np.full(len(t), _number(self, "rate"))


class InverseScaling(Schedule):
    """A rate that falls with a power of the step number.

    ``rate(t) = rate / (t + 1)^power``

    Parameters
    ----------
    rate : float, default=0.01
        The first rate.
    power : float, default=0.5
        How fast the rate falls.

    Examples
    --------
    >>> import numpy as np
    >>> from skgd.schedules import InverseScaling
    >>> InverseScaling(0.1, power=1.0).rates(np.arange(2))
    array([0.1 , 0.05])
    """

    def __init__(self, rate=0.01, power=0.5):
        self.rate = rate
        self.power = power

    def rates(self, t):
        return _number(self, "rate") / (np.asarray(t) + 1.0) ** _number(self, "power")


def _number(schedule, name):
    value = getattr(schedule, name)
    if not is_number(value):
        raise TypeError(f"{name}={value!r} of {type(schedule).__name__}: pass a number.")
    return float(value)


class _Function(Schedule):
    """A user's function of an array of step numbers."""

    def __init__(self, function):
        self.function = function

    def rates(self, t):
        return self.function(t)


def as_schedule(learning_rate):
    """Return the schedule that a user's ``learning_rate`` means."""
    if isinstance(learning_rate, Schedule):
        return learning_rate
    if is_number(learning_rate):
        return Constant(float(learning_rate))
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
    error = ValueError if isinstance(learning_rate, str) else TypeError
    raise error(f"learning_rate={learning_rate!r}: pass {remedy}.")


def checked_rates(schedule, t):
    """Return the rates of the steps t as float64, or say what is wrong with them."""
    rates = np.asarray(schedule.rates(t), dtype=float)
    name = schedule.function if isinstance(schedule, _Function) else schedule
    if rates.shape == ():
        rates = np.full(t.shape, float(rates))
    if rates.shape != t.shape:
        raise ValueError(
            f"learning_rate={name!r} returned shape {rates.shape} for {len(t)} step numbers: "
            "return one rate for each."
        )
    if not np.all(rates >= 0) or np.any(np.isinf(rates)):
        bad = rates[~(rates >= 0) | np.isinf(rates)][0]
        raise ValueError(
            f"learning_rate={name!r} gives the rate {bad}: pass finite rates above or equal to 0."
        )
    return rates
