"""The training loop: epochs of update steps, or the iterations of a full-batch optimizer.

A run is a start, a way of descending and a history. Step rules descend in sweeps of update steps
(`train_steps`), full-batch optimizers by themselves (`train_full_batch`); both tell the `History`,
which keeps the history and the best iterate and says when to stop.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from skgd._descent.batching import epoch_order
from skgd._descent.solution import Stop
from skgd._engine import Sweep, VarianceReducedSweep, cache_aligned
from skgd.schedules import checked_rates

# Rows on which a stochastic run watches its objective between the epochs, in runs of neighbours,
# which are faster to read.
MONITORED_ROWS, NEIGHBOURS = 16384, 16
# Multiplications between two looks at signals: some milliseconds. Not seconds: where an epoch is
# cut must not depend on the machine's load, because rounding may depend on it.
SLICE_WORK = 1e7
# A step rule on full batches may swing for this many times as many epochs before it stops.
FULL_PATIENCE = 10


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

    def move_to(self, old, new):
        """Express the parameters in the coordinates of a new metric."""
        parts = zip(old.numbers(), new.numbers(), strict=True)
        if all(np.array_equal(*part) for part in parts):
            return
        for name in ("parameters", "average"):
            array = getattr(self, name)
            if array is not None:
                setattr(self, name, new.from_raw(*old.to_raw(array)))


def make_sweep(steps, objective, plan):
    """Return the engine's sweep for a run of update steps."""
    optimizer = plan.optimizer
    optimizer.check(objective)
    steps.align_to_cache_lines()
    k, rule = objective.problem.k, optimizer.compiled()
    rules = [optimizer.compiled() for _ in range(k)] if rule.keeps_arrays else k * [rule]
    kind = Sweep
    if optimizer.snapshots is not None:
        kind = partial(VarianceReducedSweep, optimizer.snapshots)
    sweep = kind(
        objective.problem.data_term, objective.penalty, rules, steps.parameters, steps.state,
        objective.alpha, objective.metric, plan.weight_scale, steps.average,
        objective.problem.n_threads,
    )  # fmt: skip
    if steps.table is not None:
        sweep.resume(steps.table)
    return sweep


def sweep_epoch(steps, sweep, plan, rates_of):
    """Take the steps of one epoch, in slices short enough for Ctrl-C; return the last rates.

    Parameters
    ----------
    steps : Steps
    sweep : Sweep, or models in lock step
        With ``run`` and ``work``.
    plan : Plan
    rates_of : callable
        Returns what the sweep takes as rates, for an array of step numbers.
    """
    bounds = plan.bounds
    order = epoch_order(
        bounds[-1], steps.generator, shuffle=plan.shuffle, in_blocks=plan.in_blocks
    )
    if plan.rows is not None:
        order = plan.rows[order]
    size, first = max(1, int(SLICE_WORK / sweep.work(plan.batch_length))), 0
    while first < len(bounds) - 1:
        last = min(first + size, len(bounds) - 1)
        averaged = _average_count(steps, plan)
        if averaged < 0 <= plan.average_from < steps.t + last - first:
            last = max(first + 1, first + plan.average_from - steps.t)
        rates = rates_of(np.arange(steps.t, steps.t + last - first))
        sweep.run(order, bounds[first:last + 1], rates, steps.t, averaged)
        steps.t += last - first
        steps.averaged += (last - first) if averaged >= 0 else 0
        first = last
    return rates[..., -1]


def full_step(steps, sweep, objective, plan, gradients):
    """Take one step along the gradient of all rows; return its rate."""
    rate = checked_rates(plan.schedule, np.array([steps.t]))[0]
    # In partial_fit the totals so far may differ from those of this call's rows.
    factor = plan.weight_scale * objective.problem.weight_sum / plan.bounds[-1]
    averaged = _average_count(steps, plan)
    sweep.step_along(*(gradient * factor for gradient in gradients), rate, steps.t, averaged)
    steps.averaged += averaged >= 0
    steps.t += 1
    return rate


def _average_count(steps, plan):
    """Return how many steps are in the average, or -1 where it has not begun."""
    return steps.averaged if 0 <= plan.average_from <= steps.t else -1


def train_steps(steps, objective, plan, history):
    """Run epochs of update steps until the history says stop; return the raw parameters to keep.

    Parameters
    ----------
    steps : Steps
        Changed in place.
    objective : Objective
    plan : Plan
        With a schedule that is bound to the horizon of the run.
    history : History
    """
    sweep = make_sweep(steps, objective, plan)
    one_step = len(plan.bounds) == 2
    epochs = _full_epochs if one_step and plan.average_from < 0 else _batch_epochs
    patience = history.patience * (FULL_PATIENCE if epochs is _full_epochs else 1)
    with np.errstate(over="ignore", invalid="ignore"):
        course = epochs(steps, sweep, objective, plan)
        while history.stop is None:
            history.begin_epoch()
            epoch = next(course)
            if enter(epoch, steps, objective, plan.schedule, history, patience):
                # Rules of rows remember slopes from before.
                sweep = make_sweep(steps, objective, plan)
                course = epochs(steps, sweep, objective, plan)
    return epoch.coef, epoch.intercept


def enter(epoch, steps, objective, schedule, history, patience):
    """Enter an epoch of update steps into the history, and let the schedule know.

    Returns
    -------
    bool
        Whether the steps have begun again, because they had exploded and the rate could be cut.
    """
    passes = epoch.passes + history.passes
    if epoch.values is None:
        history.add_unmonitored(
            epoch.coef, epoch.intercept, step=steps.t, passes=passes, rate=epoch.rate
        )
        return False
    # Before callbacks are told, who may keep the run's state.
    schedule.observe(epoch.values.sum())
    history.add(
        epoch.coef, epoch.intercept, step=steps.t, passes=passes, losses=epoch.losses,
        objectives=epoch.values, decrement=epoch.decrement, unit=objective.metric.unit,
        rate=epoch.rate,
        patience=patience if schedule.settled(steps.t) else None,
    )  # fmt: skip
    return conclude_epoch(steps, objective, schedule, history)


def conclude_epoch(steps, objective, schedule, history):
    """Cut the rate where the last epoch has exploded; return whether the steps have begun again."""
    if history.n_iter >= history.max_iter:
        history.is_cut_short = (
            history.stop in (Stop.MAX_ITER, Stop.DIVERGED) and history.tol is not None
            and history.has_risen and schedule.recover(diverged=True)
        )  # fmt: skip
        return False
    begins_again = (
        history.stop in (None, Stop.DIVERGED) and not history.is_halted
        and history.has_risen and history.best is not None
        and schedule.recover(history.stop == Stop.DIVERGED)
    )  # fmt: skip
    if begins_again:
        steps.start_from(objective.metric.from_raw(*history.restart()))
        steps.state[:], steps.table = 0.0, None
    return begins_again


class Epoch(NamedTuple):
    """What an epoch of update steps led to.

    Losses and values are None where nobody has looked at them; the decrement is NaN where no
    gradient is known.
    """

    coef: np.ndarray
    intercept: np.ndarray
    losses: np.ndarray | None
    values: np.ndarray | None
    rate: float
    decrement: float = np.nan
    passes: int = 1


def _full_epochs(steps, sweep, objective, plan):
    """Yield after each step: the pass that gives the next gradient tells the objective too."""
    _, losses, gradients = objective.losses_and_gradients(*objective.raw(steps.parameters))
    while True:
        rate = full_step(steps, sweep, objective, plan, gradients)
        steps.epochs += 1
        x = steps.parameters.ravel()
        coef, intercept = objective.raw(x)
        gradient, losses, gradients = objective.losses_and_gradients(coef, intercept)
        values = objective.with_penalty(losses, coef)
        yield Epoch(coef, intercept, losses, values, rate, objective.decrement(x, gradient))


def _batch_epochs(steps, sweep, objective, plan):
    """Yield after each epoch of steps; a large set is monitored on a part of its rows."""
    monitored = monitored_rows(objective.problem)
    rates_of = partial(checked_rates, plan.schedule)
    while True:
        passes = 1 + sweep.begin_epoch()
        if len(plan.bounds) == 2:
            gradients = objective.losses_and_gradients(*objective.raw(steps.parameters))[2]
            rate = full_step(steps, sweep, objective, plan, gradients)
        else:
            rate = sweep_epoch(steps, sweep, plan, rates_of)
        steps.epochs += 1
        if plan.optimizer.snapshots is not None:
            steps.table = sweep.table_state()
        coef, intercept = objective.raw(steps.kept)
        losses, values = objective.values(coef, intercept, monitored)
        yield Epoch(coef, intercept, losses, values, rate, passes=passes)


def monitored_rows(problem):
    """Return the rows on which the objective is monitored; None for all."""
    if problem.n <= MONITORED_ROWS:
        return None
    n = problem.n_weighted
    if n <= MONITORED_ROWS:
        return problem.weighted_rows()
    starts = NEIGHBOURS * np.sort(np.random.default_rng(0).choice(
        n // NEIGHBOURS, MONITORED_ROWS // NEIGHBOURS, replace=False
    ))  # fmt: skip
    return problem.row_numbers((starts[:, None] + np.arange(NEIGHBOURS)).ravel())
