"""A run of update steps: its state, and the steps of some batches."""

from dataclasses import dataclass, replace

import numpy as np

from skgd._engine import cache_aligned

# Multiplications between two looks at signals: some milliseconds. Not seconds: where an epoch is
# cut must not depend on the machine's load, because rounding may depend on it.
SLICE_WORK = 1e7


@dataclass
class Steps:
    """A run of update steps: all that lasts from one epoch, or one partial_fit, to the next.

    Attributes
    ----------
    parameters : array of shape (n_outputs, n_parameters)
    state : array of shape (n_outputs, slots, n_parameters)
        The optimizer's memory.
    average : array of shape (n_outputs, n_parameters) or None
    generator : numpy.random.Generator
    t : int
        Update steps so far.
    averaged : int
        Steps in the average.
    epochs : int
    table : dict or None
        The rows' gradients that a variance-reduced rule holds, while a run lasts.
    """

    parameters: np.ndarray
    state: np.ndarray
    average: np.ndarray | None
    generator: np.random.Generator
    t: int = 0
    averaged: int = 0
    epochs: int = 0
    table: dict | None = None

    @property
    def kept(self):
        """The parameters that a run would return: the average, if it has begun.

        A mean of iterates is hardly ever zero: the zeros of l1 and of bounds are the last one's.
        """
        if not self.averaged:
            return self.parameters
        return np.where(self.parameters == 0.0, 0.0, self.average)

    def start_from(self, parameters):
        """Put other parameters in the place of what the steps have led to."""
        self.parameters[:] = parameters
        if self.average is not None:
            self.average[:] = parameters

    def align_to_cache_lines(self):
        """Lay the arrays out as the engine reads them fastest."""
        for name in ("parameters", "state", "average"):
            array = getattr(self, name)
            if array is not None:
                setattr(self, name, cache_aligned(array))

    def average_or_not(self, wanted):
        """Begin a mean of the iterates from here, or drop it, where there is none or one."""
        if wanted != (self.average is not None):
            self.average, self.averaged = self.parameters.copy() if wanted else None, 0

    def copy(self):
        """Return a run that continues from here without changing this one."""
        average = None if self.average is None else self.average.copy()
        return replace(
            self, parameters=self.parameters.copy(), state=self.state.copy(), average=average
        )

    def move_to(self, old, new):
        """Express the parameters in the coordinates of a new metric."""
        parts = zip(old.numbers(), new.numbers(), strict=True)
        if all(np.array_equal(*part) for part in parts):
            return
        for name in ("parameters", "average"):
            array = getattr(self, name)
            if array is not None:
                setattr(self, name, new.from_raw(*old.to_raw(array)))


def fresh_rules(optimizer, n_outputs):
    """Return a compiled rule for each output: one for all, unless rules keep arrays."""
    rule = optimizer.compiled()
    if not rule.keeps_arrays:
        return n_outputs * [rule]
    return [optimizer.compiled() for _ in range(n_outputs)]


def take_steps(steps, sweep, plan, order, bounds, rates_of):
    """Take steps along batches, in slices short enough for Ctrl-C; return the last rates.

    Parameters
    ----------
    steps : Steps
        Changed in place.
    sweep : Sweep, or models in lock step
    plan : Plan
    order : intp array
        The numbers of the rows.
    bounds : intp array of shape (n_batches + 1,)
        Where each batch begins in the order, and where the last one ends.
    rates_of : callable
        Returns what the sweep takes as rates, for an array of step numbers.
    """
    size, first = max(1, int(SLICE_WORK / sweep.work(plan.batch_length))), 0
    while first < len(bounds) - 1:
        last = min(first + size, len(bounds) - 1)
        averaged = average_count(steps, plan)
        if averaged < 0 <= plan.average_from < steps.t + last - first:
            last = max(first + 1, first + plan.average_from - steps.t)
        rates = rates_of(np.arange(steps.t, steps.t + last - first))
        sweep.run(order, bounds[first:last + 1], rates, steps.t, averaged)
        steps.t += last - first
        steps.averaged += (last - first) if averaged >= 0 else 0
        first = last
    return rates[..., -1]


def average_count(steps, plan):
    """Return how many steps are in the average, or -1 where it has not begun."""
    return steps.averaged if 0 <= plan.average_from <= steps.t else -1
