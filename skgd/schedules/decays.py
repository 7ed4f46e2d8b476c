"""Schedules that lower the rate: by the step number, or where the objective stops falling."""

import sys
from numbers import Integral

import numpy as np

from skgd._utils.checks import is_finite, is_number, shown
from skgd.schedules.base import (
    Schedule,
    as_schedule,
    checked_rates,
    min_rate_of,
    not_negative,
    number,
    positive,
)

__all__ = [
    "InverseScaling",
    "Exponential",
    "Step",
    "Polynomial",
    "Cosine",
    "OneCycle",
    "Warmup",
    "ReduceOnPlateau",
]


class InverseScaling(Schedule):
    """A learning rate that decays with a power of the step number.

    ``rate(t) = rate / (t + 1)^power``

    Parameters
    ----------
    rate : float, default=0.01
        The first rate.
    power : float, default=0.5
        The exponent of the decay.

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
        return number(self, "rate") / (np.asarray(t) + 1.0) ** number(self, "power")


class Exponential(Schedule):
    """A learning rate that decays by the same factor in each epoch, a little at each step.

    ``rate(t) = rate factor^(t / steps_per_epoch)``

    At the beginning of each epoch it is ``torch.optim.lr_scheduler.ExponentialLR``; in between, as
    Keras's ``ExponentialDecay``, it does not jump.

    Parameters
    ----------
    rate : float, default=0.01
        The first rate.
    factor : float, default=0.95
        The factor of each epoch, above 0.

    Examples
    --------
    >>> import numpy as np
    >>> from skgd.schedules import Exponential
    >>> Exponential(0.8, factor=0.5).rates(np.arange(3))
    array([0.8, 0.4, 0.2])
    """

    def __init__(self, rate=0.01, factor=0.95):
        self.rate = rate
        self.factor = factor

    def rates(self, t):
        return number(self, "rate") * positive(self, "factor") ** self._epochs(t)


class Step(Schedule):
    """A learning rate that drops at regular intervals or at given epochs.

    ``rate(t) = rate factor^k`` after k drops; ``torch.optim.lr_scheduler.StepLR``, and
    ``MultiStepLR`` for a list.

    Parameters
    ----------
    rate : float, default=0.01
        The first rate.
    factor : float, default=0.1
        The factor of each drop, above 0.
    epochs : float or list of float, default=30
        The number of epochs between drops, or a list of the epochs, counted from 0, that start with
        a drop.

    Examples
    --------
    >>> import numpy as np
    >>> from skgd.schedules import Step
    >>> Step(1.0, factor=0.5, epochs=2).rates(np.arange(5))
    array([1.  , 1.  , 0.5 , 0.5 , 0.25])
    >>> Step(1.0, factor=0.5, epochs=[1, 4]).rates(np.arange(5))
    array([1.  , 0.5 , 0.5 , 0.5 , 0.25])
    """

    def __init__(self, rate=0.01, factor=0.1, epochs=30):
        self.rate = rate
        self.factor = factor
        self.epochs = epochs

    def rates(self, t):
        if is_number(self.epochs):
            drops = np.floor(self._epochs(t) / positive(self, "epochs"))
        else:
            drops = np.searchsorted(self._milestones(), self._epochs(t), side="right")
        return number(self, "rate") * positive(self, "factor") ** drops

    def _milestones(self):
        try:
            milestones = np.sort(np.atleast_1d(self.epochs))
        except (TypeError, ValueError):  # of lists of unequal lengths
            milestones = np.empty(0, dtype=object)
        if milestones.ndim != 1 or milestones.dtype.kind not in "iuf":
            raise TypeError(
                f"epochs={shown(self.epochs)} of Step: pass a number or a list of numbers."
            )
        return milestones


class _Annealing(Schedule):
    """A schedule with an end: ``epochs`` epochs from the start, or the end of the run."""

    @property
    def end(self):
        """The number of steps after which the rate stays as it is."""
        if self.epochs is not None:
            return positive(self, "epochs") * (self.steps_per_epoch or 1)
        if self.total_steps is None:
            raise ValueError(
                f"{self!r} does not know its end: pass epochs, or call "
                "bound(total_steps, steps_per_epoch), as a fit does."
            )
        return self.total_steps

    def settled(self, t):
        return t >= self.end

    def _share(self, t):
        """Return which share of the way to the end lies behind the steps t."""
        return np.minimum(np.asarray(t) / self.end, 1.0)

    def _between(self, share):
        """Return the rates with a share, from 0 to 1, of the distance from min_rate to rate."""
        low = min_rate_of(self)
        return low + (number(self, "rate") - low) * share


class Polynomial(_Annealing):
    """A learning rate that decays with a power of the remaining part of the run: linear by default.

    ``rate(t) = min_rate + (rate - min_rate) (1 - t / end)^power``, and min_rate after the end;
    ``torch.optim.lr_scheduler.PolynomialLR``, Keras's ``PolynomialDecay``.

    Parameters
    ----------
    rate : float, default=0.01
        The first rate.
    power : float, default=1.0
        The exponent, above 0.
    min_rate : float, default=0.0
        The last rate.
    epochs : float, default=None
        The epochs until the end; None means ``max_iter``.

    Examples
    --------
    >>> import numpy as np
    >>> from skgd.schedules import Polynomial
    >>> Polynomial(1.0, epochs=4).rates(np.arange(6))
    array([1.  , 0.75, 0.5 , 0.25, 0.  , 0.  ])
    """

    def __init__(self, rate=0.01, power=1.0, min_rate=0.0, epochs=None):
        self.rate = rate
        self.power = power
        self.min_rate = min_rate
        self.epochs = epochs

    def rates(self, t):
        return self._between((1.0 - self._share(t)) ** positive(self, "power"))


class Cosine(_Annealing):
    """A learning rate that decays along half a cosine: slowly, fast, slowly.

    ``rate(t) = min_rate + (rate - min_rate) (1 + cos(pi t / end)) / 2``, and min_rate after the
    end; ``torch.optim.lr_scheduler.CosineAnnealingLR``, Keras's ``CosineDecay``.

    Parameters
    ----------
    rate : float, default=0.01
        The first rate.
    min_rate : float, default=0.0
        The last rate.
    epochs : float, default=None
        The epochs until the end; None means ``max_iter``.

    References
    ----------
    Loshchilov and Hutter, SGDR: stochastic gradient descent with warm restarts, ICLR 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from skgd import GDClassifier
    >>> from skgd.schedules import Cosine
    >>> Cosine(1.0, epochs=4).rates(np.arange(6)).round(3)
    array([1.   , 0.854, 0.5  , 0.146, 0.   , 0.   ])
    >>> GDClassifier(learning_rate=Cosine(0.05), max_iter=20).learning_rate
    Cosine(rate=0.05)
    """

    def __init__(self, rate=0.01, min_rate=0.0, epochs=None):
        self.rate = rate
        self.min_rate = min_rate
        self.epochs = epochs

    def rates(self, t):
        return self._between(_half_cosine(self._share(t)))


class OneCycle(_Annealing):
    """A learning rate that increases to its maximum and then decays to nearly zero.

    From ``rate / start_divisor`` up to ``rate`` in the first ``rising`` share of the steps, then
    down to ``rate / start_divisor / end_divisor`` at the last one, both along half a cosine;
    ``torch.optim.lr_scheduler.OneCycleLR``, without its cycle of the momentum.

    Parameters
    ----------
    rate : float, default=0.01
        The highest rate.
    rising : float, default=0.3
        The fraction of the steps in which the rate increases, from 0 to 1.
    start_divisor : float, default=25.0
        The highest rate divided by the first, above 0.
    end_divisor : float, default=10000.0
        The first rate divided by the last, above 0.
    epochs : float, default=None
        The epochs until the end; None means ``max_iter``.

    References
    ----------
    Smith and Topin, Super-convergence: very fast training of neural networks using large learning
    rates, 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from skgd.schedules import OneCycle
    >>> OneCycle(1.0, rising=0.5, epochs=6).rates(np.arange(6)).round(3)
    array([0.04, 0.52, 1.  , 0.75, 0.25, 0.  ])
    """

    def __init__(
        self, rate=0.01, rising=0.3, start_divisor=25.0, end_divisor=10000.0, epochs=None
    ):  # fmt: skip
        self.rate = rate
        self.rising = rising
        self.start_divisor = start_divisor
        self.end_divisor = end_divisor
        self.epochs = epochs

    def rates(self, t):
        t, last, highest = np.asarray(t, dtype=float), self.end - 1.0, number(self, "rate")
        rising = self.rising
        if not is_number(rising):
            raise TypeError(f"rising={shown(rising)} of OneCycle: pass a number from 0 to 1.")
        if not 0 <= rising <= 1:
            raise ValueError(f"rising={shown(rising)} of OneCycle: pass a number from 0 to 1.")
        first = highest / positive(self, "start_divisor")
        lowest = first / positive(self, "end_divisor")
        top, tiny = rising * self.end - 1.0, 1e-9
        up = _half_cosine(np.clip(t / max(top, tiny), 0.0, 1.0))
        down = _half_cosine(np.clip((t - top) / max(last - top, tiny), 0.0, 1.0))
        return np.where(
            t <= top, highest + (first - highest) * up, lowest + (highest - lowest) * down
        )


class Warmup(Schedule):
    """A learning rate that increases linearly to the first rate of another schedule, which follows.

    ``rate(t) = first (t + 1) / steps`` for ``t < steps``, where first is the other schedule's rate
    at its step 0; then that schedule, which counts its own steps from 0 and ends with the run.
    In torch: ``LinearLR(start_factor=1/steps, total_iters=steps-1)``, by ``SequentialLR``.

    Parameters
    ----------
    steps : int, default=100
        The update steps of the warm-up, at least 0.
    then : float, Schedule or callable, default=0.01
        What follows.

    References
    ----------
    Goyal et al., Accurate, large minibatch SGD: training ImageNet in 1 hour, 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from skgd.schedules import Cosine, Warmup
    >>> schedule = Warmup(4, then=Cosine(1.0)).bound(total_steps=8, steps_per_epoch=2)
    >>> schedule.rates(np.arange(8)).round(3)
    array([0.25 , 0.5  , 0.75 , 1.   , 1.   , 0.854, 0.5  , 0.146])
    """

    def __init__(self, steps=100, then=0.01):
        self.steps = steps
        self.then = then

    def bound(self, total_steps, steps_per_epoch):
        own = super().bound(total_steps, steps_per_epoch)
        own.then = own.following().bound(
            max(1, total_steps - self._checked_steps()), steps_per_epoch
        )
        return own

    def rates(self, t):
        t, steps, then = np.asarray(t), self._checked_steps(), self.following()
        first = checked_rates(then, np.zeros(1, dtype=np.intp))
        rising = np.minimum(t + 1.0, steps) / max(steps, 1) * first
        return np.where(t < steps, rising, checked_rates(then, np.maximum(t - steps, 0)))

    def observe(self, objective):
        self.then.observe(objective)

    def settled(self, t):
        steps = self._checked_steps()
        return t >= steps and self.following().settled(t - steps)

    def following(self):
        then = self.then
        if not (is_finite(then) and then > 0 or isinstance(then, Schedule) or callable(then)):
            error = ValueError if isinstance(then, str) or is_number(then) else TypeError
            raise error(
                f"then={shown(then)} of Warmup: pass a finite number above 0, a Schedule, or a "
                "function of an array of step numbers."
            )
        return as_schedule(then)

    def _checked_steps(self):
        if not isinstance(self.steps, Integral) or isinstance(self.steps, bool):
            raise TypeError(
                f"steps={shown(self.steps)} of Warmup: pass an integer, the number of update steps."
            )
        if self.steps < 0:
            raise ValueError(f"steps={shown(self.steps)} of Warmup: pass an integer >= 0.")
        if self.steps > sys.maxsize:
            raise ValueError(
                f"steps={shown(self.steps)} of Warmup: pass an integer <= {sys.maxsize}."
            )
        return int(self.steps)


class ReduceOnPlateau(Schedule):
    """A learning rate that decays when the objective stops decreasing.

    After more than ``patience`` epochs in a row in which the objective F did not come below
    ``F_best - threshold |F_best|``, the rate is multiplied by ``factor``. The definition is that of
    ``torch.optim.lr_scheduler.ReduceLROnPlateau``. A run doesn't stop by ``tol`` before the rate
    has reached ``min_rate``.

    Parameters
    ----------
    rate : float, default=0.01
        The first rate.
    factor : float, default=0.1
        The factor of each reduction, between 0 and 1.
    patience : int, default=5
        The number of epochs without improvement before a reduction.
    threshold : float, default=1e-4
        The improvement that counts, relative to the objective.
    min_rate : float, default=1e-6
        The lowest rate.

    Examples
    --------
    >>> import numpy as np
    >>> from skgd.schedules import ReduceOnPlateau
    >>> schedule = ReduceOnPlateau(0.1, factor=0.5, patience=1).bound(100, 1)
    >>> for objective in (3.0, 2.0, 2.0, 2.0):
    ...     schedule.observe(objective)
    >>> schedule.rates(np.arange(4, 6))
    array([0.05, 0.05])
    """

    best = np.inf
    waited = 0
    reductions = 0

    def __init__(self, rate=0.01, factor=0.1, patience=5, threshold=1e-4, min_rate=1e-6):
        self.rate = rate
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        self.min_rate = min_rate

    def rates(self, t):
        return np.full(len(t), self._rate())

    def observe(self, objective):
        threshold, patience = not_negative(self, "threshold"), not_negative(self, "patience")
        margin = threshold * abs(self.best) if np.isfinite(self.best) else 0.0
        if objective < self.best - margin:
            self.best, self.waited = objective, 0
        else:
            self.waited += 1
        if self.waited > patience:
            self.reductions, self.waited = self.reductions + 1, 0

    def settled(self, t):
        return self._rate() <= self.min_rate

    def _rate(self):
        factor, lowest = number(self, "factor"), min_rate_of(self)
        if not 0 < factor < 1:
            raise ValueError(
                f"factor={self.factor!r} of ReduceOnPlateau: pass a number between 0 and 1."
            )
        return max(not_negative(self, "rate") * factor**self.reductions, lowest)


def _half_cosine(share):
    """Return 1 at 0, 0 at 1, and half a cosine in between."""
    return 0.5 * (1.0 + np.cos(np.pi * share))
