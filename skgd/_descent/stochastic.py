"""The training loop: epochs of update steps, or the iterations of a full-batch optimizer.

A run is a start, a way of descending and a history. Step rules descend in sweeps of update steps
(`train_steps`), full-batch optimizers by themselves (`train_full_batch`); both tell the `History`,
which keeps the history and the best iterate and says when to stop.
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from skgd._descent.batching import epoch_order
from skgd._descent.block_sweep import BlockSweep
from skgd._descent.solution import Stop
from skgd._descent.steps import average_count, fresh_rules, take_steps
from skgd._engine import MeanLosses, Sweep, VarianceReducedSweep
from skgd.schedules import checked_rates

# Rows on which a stochastic run monitors its objective between the epochs: all of few, and a sample
# of many, which is bounded by its rows, its numbers and its share of the rows, and has a least
# size. It consists of runs of neighbours, which are faster to read. All rows up to 16 384 took up
# to 70 % of an epoch of 20 000 x 1 000, an eighth of them 8 % of an epoch of CSR, a million numbers
# 5.4 % of an epoch of 200 000 x 100.
ALL_MONITORED, LEAST_MONITORED, NEIGHBOURS = 2048, 1024, 16
MONITORED_ROWS, MONITORED_NUMBERS, MONITORED_SHARE = 16384, 2**19, 1 / 16
# Rows of fewer numbers are copied: 12 500 of 200 000 x 20 took 0.7 ms an epoch instead of 1.0. To
# copy 1 250 rows of 1 000 numbers takes as long as to read them five times where they are.
COPIED_WIDTH = 64
# A step rule on full batches may swing for this many times as many epochs before it stops.
FULL_PATIENCE = 10


def make_sweep(steps, objective, plan):
    """Return the engine's sweep for a run of update steps."""
    optimizer, problem = plan.optimizer, objective.problem
    optimizer.check(objective)
    steps.align_to_cache_lines()
    kind = Sweep
    if optimizer.snapshots is not None:
        kind = partial(VarianceReducedSweep, optimizer.snapshots)

    def make(data_term):
        return kind(
            data_term, objective.penalty, fresh_rules(optimizer, problem.k), steps.parameters,
            steps.state, objective.alpha, objective.metric, plan.weight_scale, steps.average,
            problem.n_threads,
        )  # fmt: skip

    if problem.is_in_blocks and optimizer.snapshots is None:
        return BlockSweep(objective, plan, make)
    sweep = make(problem.data_term)
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
    if isinstance(sweep, BlockSweep):
        return sweep.run_epoch(steps, rates_of)
    bounds = plan.bounds
    order = epoch_order(
        bounds[-1], steps.generator, shuffle=plan.shuffle, in_blocks=plan.in_blocks
    )
    if plan.rows is not None:
        order = plan.rows[order]
    return take_steps(steps, sweep, plan, order, bounds, rates_of)


def full_step(steps, sweep, objective, plan, gradients):
    """Take one step along the gradient of all rows; return its rate."""
    rate = checked_rates(plan.schedule, np.array([steps.t]))[0]
    # In partial_fit the totals so far may differ from those of this call's rows.
    factor = plan.weight_scale * objective.problem.weight_sum / plan.bounds[-1]
    averaged = average_count(steps, plan)
    sweep.step_along(*(gradient * factor for gradient in gradients), rate, steps.t, averaged)
    steps.averaged += averaged >= 0
    steps.t += 1
    return rate


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
        Whether the steps have begun again, because they had diverged and the rate could be cut.
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
        lambda: (epoch.coef, epoch.intercept), step=steps.t, passes=passes, losses=epoch.losses,
        objectives=epoch.values, decrement=epoch.decrement, unit=objective.metric.unit,
        rate=epoch.rate,
        patience=patience if schedule.settled(steps.t) else None,
    )  # fmt: skip
    return conclude_epoch(steps, objective, schedule, history)


def conclude_epoch(steps, objective, schedule, history):
    """Cut the rate where the last epoch has diverged; return whether the steps have begun again."""
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
    monitor = Monitor(objective)
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
        losses, values = monitor.values(coef, intercept)
        yield Epoch(coef, intercept, losses, values, rate, passes=passes)


class Monitor:
    """The objective between epochs of steps; a large set is monitored on a part of its rows.

    Parameters
    ----------
    objective : Objective
    """

    def __init__(self, objective):
        problem, rows = objective.problem, monitored_rows(objective.problem)
        if rows is not None and (problem.is_in_blocks or problem.width < COPIED_WIDTH):
            problem, rows = problem.take(rows), None
        self.with_penalty = objective.with_penalty
        if problem.is_in_blocks or problem.n_threads > 1:
            self.losses = partial(problem.losses, subset=rows)
        else:
            # A look at 1024 x 20 took 33 us after an epoch by `losses`, and takes 22 so.
            self.losses = MeanLosses(problem.data_term, rows)

    def values(self, coef, intercept):
        """Return the loss and the objective of raw coefficients, output by output."""
        losses = self.losses(coef, intercept)
        return losses, self.with_penalty(losses, coef)


def n_monitored(problem):
    """Return on how many rows the objective is monitored, at most."""
    if problem.n <= ALL_MONITORED:
        return problem.n
    most = min(
        MONITORED_ROWS, MONITORED_NUMBERS / problem.width, MONITORED_SHARE * problem.n
    )
    return max(LEAST_MONITORED, int(most) // NEIGHBOURS * NEIGHBOURS)


def monitored_rows(problem):
    """Return the rows on which the objective is monitored; None for all."""
    size = n_monitored(problem)
    if problem.n <= size:
        return None
    n = problem.n_weighted
    if n <= size:
        return problem.weighted_rows()
    # One run in each of as many equal parts: rows may be sorted.
    bounds = np.linspace(0, n // NEIGHBOURS, size // NEIGHBOURS + 1).astype(np.intp)
    starts = NEIGHBOURS * np.random.default_rng(0).integers(bounds[:-1], bounds[1:])
    return problem.row_numbers((starts[:, None] + np.arange(NEIGHBOURS)).ravel())
