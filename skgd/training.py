"""The training loop: epochs, history, stopping.

A run is a start, a way of descending and a record. Step rules descend in sweeps of update steps
(`train_steps`), full-batch optimizers by themselves (`train_full_batch`); both tell the `Record`,
which keeps the history and the best iterate and says when to stop.
"""

import time
import warnings
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skgd._engine import ReducedSweep, Sweep, value_and_gradient
from skgd.batching import epoch_order
from skgd.schedules import checked_rates

# Rows on which a stochastic run watches its objective between the epochs.
WATCHED_ROWS = 16384
# Seconds of compiled work between two looks at signals.
SLICE_SECONDS = 0.04
# A run has exploded where its objective is this many times that of the best constant model.
EXPLODED = 10.0
# A run has ended worse than it began where its objective is higher by this share: noise is not.
WORSE = 0.01
# A step rule on full batches may swing for this many times as many epochs before it stops.
FULL_PATIENCE = 10
# Gradients this small, in the metric and relative to the root of the objective, are rounding.
ROUNDING = 4e-15

HISTORY = (
    "epoch", "step", "passes", "loss", "objective", "gradient_norm", "learning_rate", "seconds",
    "validation_loss", "validation_score",
)  # fmt: skip


class DivergenceWarning(ConvergenceWarning):
    """The descent exploded; the estimator has the best iterate from before."""


@dataclass
class Objective:
    """The objective of a fit in the coordinates of a metric.

    Attributes
    ----------
    problem : Problem
    penalty : PenaltyRule
    alpha : array of shape (n_outputs,)
    metric : Metric
    curvature : array of shape (n_outputs,)
        The second derivative of the loss, or a bound of it.
    penalty_curvature : array of shape (n_outputs, n_features)
        The second derivative of alpha times the penalty.
    n_threads : int
    first_step : float
        The step that a line search tries first.
    reported : Objective or None
        The objective whose values a record gets, where this one stands in for it.
    """

    problem: object
    penalty: object
    alpha: np.ndarray
    metric: object
    curvature: np.ndarray
    penalty_curvature: np.ndarray
    n_threads: int = 1
    first_step: float = 1.0
    passes: int = 0
    latest: tuple | None = None
    reported: object = None

    @property
    def proximal(self):
        return self.penalty.is_proximal

    def values(self, coef, intercept, subset=None):
        """Return the loss and the objective of raw coefficients, output by output."""
        losses, _, _ = value_and_gradient(
            self.problem, coef, intercept, gradient=False, subset=subset, n_threads=self.n_threads
        )
        return losses, losses + self.alpha * self.penalty.apply_value(coef)

    def losses_and_gradients(self, x):
        """Return the smooth part's gradient at x, each output's loss, and the losses' gradients."""
        coef, intercept = self.raw(x)
        losses, *gradients = value_and_gradient(
            self.problem, coef, intercept, n_threads=self.n_threads
        )
        self.passes += 1
        # A sum that cancels to rounding is zero: rules that normalise would make it a step.
        size = np.sqrt(self.curvature * (np.abs(losses) + 1.0 / self.metric.unit))
        gradients[1][np.abs(gradients[1]) <= ROUNDING * size] = 0.0
        penalty_gradient = self.alpha[:, None] * self.penalty.apply_gradient(coef)
        return self.metric.gradient(*gradients, penalty_gradient).ravel(), losses, gradients

    def value_and_gradient(self, x):
        """Return the smooth part and its gradient, both in the units of the metric."""
        gradient, losses, _ = self.losses_and_gradients(x)
        self.latest = x.copy(), losses
        smooth = losses + self.alpha * self.penalty.apply_smooth_value(self.raw(x)[0])
        return float(self.metric.unit @ smooth), gradient

    def raw(self, x):
        """Return the coefficients and the intercepts at x."""
        return self.feasible(*self.metric.to_raw(x.reshape(self.metric.inverse.shape)))

    def feasible(self, coef, intercept):
        """Return raw coefficients within bounds, and intercepts with the same mean margin.

        What rounding moved off a bound, between one set of coordinates and another, is on it.
        """
        if not self.proximal:
            return coef, intercept
        moved = coef.copy()
        self.penalty.apply_projection(moved)
        return moved, intercept - (moved - coef) @ self.metric.mean

    def losses(self, x):
        """Return the loss of each output at x, which is known where x was the last point."""
        if self.latest is None or not np.array_equal(self.latest[0], x):
            self.value_and_gradient(x)
        return self.latest[1]

    def rest(self, x):
        """Return the part of the penalty that is not smooth, in the units of the metric."""
        if not self.proximal:
            return 0.0
        coef, _ = self.raw(x)
        rest = self.penalty.apply_value(coef) - self.penalty.apply_smooth_value(coef)
        return float(self.metric.unit @ (self.alpha * rest))

    def prox(self, x, step):
        """Return the proximal point of parameters after a step of a given size."""
        if not self.proximal:
            return x
        u = x.reshape(self.metric.inverse.shape).copy()
        d = len(self.metric.mean)
        inverse = self.metric.inverse[:, :d]
        coef = np.ascontiguousarray(u[:, :d] * inverse)
        steps = step * inverse**2 * (self.metric.unit * self.alpha)[:, None]
        self.penalty.apply_prox(coef, steps)
        np.divide(coef, inverse, out=u[:, :d], where=inverse != 0)
        return u.ravel()

    def decrement(self, x, gradient):
        """Return the squared length of the gradient, or of the proximal gradient's step."""
        if not self.proximal:
            return float(gradient @ gradient)
        step = x - self.prox(x - gradient, 1.0)
        return float(step @ step)


@dataclass
class Record:
    """What a run remembers: its history, its best iterate and why it stopped.

    Attributes
    ----------
    max_iter : int
    tol : float or None
    patience : int
        The epochs without improvement after which a stochastic run stops.
    constant_objectives : array of shape (n_outputs,)
        The objective of the best constant model, output by output.
    constant : tuple
        Its coefficients and intercepts.
    partial : bool
        Whether the run is one epoch of a stream, whose rows may be harder than those before.
    validation : Validation or None
    callback : callable
        Called with (record, coef, intercept) after each epoch; True stops the run.
    """

    max_iter: int
    tol: float | None
    patience: int
    constant_objectives: np.ndarray
    constant: tuple | None = None
    partial: bool = False
    validation: object = None
    callback: object = None
    history: dict = field(default_factory=lambda: {key: [] for key in HISTORY})
    stop_reason: str | None = None
    best_objective: float = np.inf
    best: tuple | None = None
    best_validation: float = np.inf
    best_validated: tuple | None = None
    started: float = field(default_factory=time.perf_counter)
    epochs_before: int = 0
    waited: int = 0
    waited_validation: int = 0
    exploded_at: int | None = None
    start_objective: float = 0.0

    @property
    def constant_objective(self):
        return float(self.constant_objectives.sum())

    @property
    def n_iter(self):
        return len(self.history["epoch"])

    def start(self, coef, intercept, objective):
        """Count the starting point in as the first candidate for the best iterate."""
        self.start_objective = objective
        if np.isfinite(objective):
            self.best, self.best_objective = (coef, intercept), objective

    def add(self, coef, intercept, *, step, passes, loss, objective, gradient_norm, rate):
        """Enter an epoch and return whether the run shall stop."""
        validation_loss = validation_score = np.nan
        if self.validation is not None:
            validation_loss, validation_score = self.validation(coef, intercept)
        entries = {
            "epoch": self.epochs_before + self.n_iter + 1, "step": step, "passes": passes,
            "loss": loss, "objective": objective, "gradient_norm": gradient_norm,
            "learning_rate": rate, "seconds": time.perf_counter() - self.started,
            "validation_loss": validation_loss, "validation_score": validation_score,
        }  # fmt: skip
        for key, value in entries.items():
            self.history[key].append(value)
        if not np.isfinite(objective) or objective > self.bound:
            self.stop_reason, self.exploded_at = "diverged", step
            return True
        improvement = self.best_objective - objective
        if improvement > 0:
            self.best, self.best_objective = (coef, intercept), objective
        significant = improvement > (self.tol or 0.0) * max(
            self.constant_objective - objective, 0.0
        )
        self.waited = 0 if significant and improvement > 0 else self.waited + 1
        if self.callback is not None and self.callback(self, coef, intercept):
            self.stop_reason = "callback"
        elif self.validation is not None and self._validated(
            coef, intercept, validation_loss, validation_score
        ):
            self.stop_reason = "early_stopping"
        elif self.n_iter >= self.max_iter:
            self.stop_reason = "max_iter"
        return self.stop_reason is not None

    def flat(self, decrement, unit, objectives):
        """Return whether the squared gradient length says that the minimum is reached."""
        if self.stop_reason is None and self.tol is not None:
            possible = float(unit @ (self.constant_objectives - objectives))
            if decrement <= self.tol**2 * possible:
                self.stop_reason = "tol"
            elif decrement <= ROUNDING**2 * float(unit @ np.abs(self.constant_objectives)):
                self.stop_reason = "precision"
        return self.stop_reason is not None

    def stalled(self, factor=1):
        """Return whether the last epochs of a run brought nothing."""
        patience = factor * self.patience
        if self.stop_reason is None and self.tol is not None and self.waited >= patience:
            self.stop_reason = "tol"
        return self.stop_reason is not None

    @property
    def bound(self):
        """The objective above which a run has exploded."""
        known = np.array([self.constant_objective, self.start_objective])
        return EXPLODED * max(np.abs(known[np.isfinite(known)]), default=0.0)

    @property
    def start_bound(self):
        """The objective above which a run has ended worse than it began."""
        if self.partial:
            return self.bound
        worst = max(self.constant_objective, self.start_objective)
        return worst + WORSE * abs(worst) + np.finfo(float).tiny

    def _validated(self, coef, intercept, loss, score):
        measure = loss if np.isnan(score) else -score
        if measure < self.best_validation:
            self.best_validation, self.best_validated = measure, (coef, intercept)
            self.waited_validation = 0
        else:
            self.waited_validation += 1
        return self.waited_validation >= self.patience

    def as_arrays(self):
        """Return the history as a dict of arrays."""
        return {key: np.array(values) for key, values in self.history.items()}


def train_full_batch(optimizer, objective, x, record):
    """Let a full-batch optimizer descend; return the last iterate in the metric's coordinates.

    Parameters
    ----------
    optimizer : FullBatchOptimizer
    objective : Objective
    x : array of shape (n_parameters,)
    record : Record
    """
    last = {"x": x, "first": True}
    unit = objective.metric.unit

    def monitor(x, value, gradient, step, decrement=None):
        coef, intercept = objective.raw(x)
        if objective.reported is None:
            losses = objective.losses(x)
            objectives = losses + objective.alpha * objective.penalty.apply_value(coef)
        else:
            losses, objectives = objective.reported.values(coef, intercept)
        if decrement is None:
            decrement = objective.decrement(x, gradient)
        first, last["first"], last["x"] = last["first"], False, x.copy()
        if not first and record.add(
            coef, intercept, step=record.n_iter + 1, passes=objective.passes,
            loss=losses.sum(), objective=objectives.sum(), gradient_norm=np.sqrt(decrement),
            rate=step,
        ):  # fmt: skip
            return True
        return record.flat(decrement, unit, objectives)

    x = optimizer.solve(objective, x, monitor)
    return last["x"] if record.stop_reason == "diverged" else x


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
    """

    parameters: np.ndarray
    state: np.ndarray
    average: np.ndarray | None
    generator: np.random.Generator
    t: int = 0
    averaged: int = 0
    epochs: int = 0

    def move_to(self, old, new):
        """Express the parameters in the coordinates of a new metric."""
        for name in ("parameters", "average"):
            array = getattr(self, name)
            if array is not None:
                setattr(self, name, new.from_raw(*old.to_raw(array)))


def sweep_epoch(steps, sweep, objective, schedule, plan):
    """Take the steps of one epoch, in slices short enough for Ctrl-C; return the last rate."""
    n = objective.problem.n
    bounds = plan.bounds
    order = epoch_order(n, steps.generator, shuffle=plan.shuffle, in_blocks=plan.in_blocks)
    size, first, rate = plan.slice, 0, np.nan
    while first < len(bounds) - 1:
        last = min(first + size, len(bounds) - 1)
        averaged = _average_count(steps, plan)
        if averaged < 0 <= plan.average_from < steps.t + last - first:
            last = max(first + 1, first + plan.average_from - steps.t)
        rates = checked_rates(schedule, np.arange(steps.t, steps.t + last - first))
        begun = time.perf_counter()
        sweep.run(order, bounds[first:last + 1], rates, steps.t, averaged)
        elapsed = time.perf_counter() - begun
        steps.t += last - first
        steps.averaged += (last - first) if averaged >= 0 else 0
        first, rate = last, rates[-1]
        if elapsed < SLICE_SECONDS / 3:
            size *= 2
        elif elapsed > SLICE_SECONDS:
            size = max(1, size // 2)
    plan.slice = size
    return rate


def full_step(steps, sweep, objective, schedule, plan, gradients):
    """Take one step along the gradient of all rows; return its rate."""
    problem = objective.problem
    rate = checked_rates(schedule, np.array([steps.t]))[0]
    # In partial_fit the totals so far may differ from those of this call's rows.
    factor = plan.weight_scale * problem.weight_sum / problem.n
    averaged = _average_count(steps, plan)
    sweep.step_along(*(gradient * factor for gradient in gradients), rate, steps.t, averaged)
    steps.averaged += averaged >= 0
    steps.t += 1
    return rate


def _average_count(steps, plan):
    """Return how many steps are in the average, or -1 where it has not begun."""
    return steps.averaged if 0 <= plan.average_from <= steps.t else -1


def train_steps(steps, objective, optimizer, schedule, plan, record):
    """Run epochs of update steps until the record says stop; return the raw parameters to keep.

    Parameters
    ----------
    steps : Steps
        Changed in place.
    objective : Objective
    optimizer : Optimizer
    schedule : Schedule
        Bound to the horizon of the run.
    plan : Plan
    record : Record
    """
    optimizer.check(objective)
    problem = objective.problem
    rules = [optimizer.compiled() for _ in range(problem.k)]
    kind = Sweep if optimizer.snapshots is None else partial(ReducedSweep, optimizer.snapshots)
    sweep = kind(
        problem, objective.penalty, rules, steps.parameters, steps.state, objective.alpha,
        objective.metric, plan.weight_scale, steps.average,
    )  # fmt: skip
    with np.errstate(over="ignore", invalid="ignore"):
        if plan.batch_length == problem.n and plan.average_from < 0:
            return _full_epochs(steps, sweep, objective, schedule, plan, record)
        return _batch_epochs(steps, sweep, objective, schedule, plan, record)


def _full_epochs(steps, sweep, objective, schedule, plan, record):
    """One step an epoch: the pass that gives the next gradient tells the objective too."""
    _, losses, gradients = objective.losses_and_gradients(steps.parameters.ravel())
    while True:
        rate = full_step(steps, sweep, objective, schedule, plan, gradients)
        steps.epochs += 1
        x = steps.parameters.ravel()
        gradient, losses, gradients = objective.losses_and_gradients(x)
        coef, intercept = objective.raw(x)
        values = losses + objective.alpha * objective.penalty.apply_value(coef)
        decrement = objective.decrement(x, gradient)
        stop = record.add(
            coef, intercept, step=steps.t, passes=record.n_iter + 1, loss=losses.sum(),
            objective=values.sum(), gradient_norm=np.sqrt(decrement), rate=rate,
        )  # fmt: skip
        if stop or record.flat(decrement, objective.metric.unit, values):
            return coef, intercept
        if record.stalled(FULL_PATIENCE):
            return coef, intercept


def _batch_epochs(steps, sweep, objective, schedule, plan, record):
    """Many steps an epoch; a large set is watched on a part of its rows."""
    problem, watched = objective.problem, None
    if problem.n > WATCHED_ROWS:
        watched = np.sort(np.random.default_rng(0).choice(problem.n, WATCHED_ROWS, replace=False))
    passes = 0
    while True:
        passes += 1 + sweep.begin_epoch()
        if plan.batch_length == problem.n:
            gradients = objective.losses_and_gradients(steps.parameters.ravel())[2]
            rate = full_step(steps, sweep, objective, schedule, plan, gradients)
        else:
            rate = sweep_epoch(steps, sweep, objective, schedule, plan)
        steps.epochs += 1
        kept = steps.average if steps.averaged else steps.parameters
        coef, intercept = objective.raw(kept)
        losses, values = objective.values(coef, intercept, watched)
        stop = record.add(
            coef, intercept, step=steps.t, passes=passes, loss=losses.sum(),
            objective=values.sum(), gradient_norm=np.nan, rate=rate,
        )  # fmt: skip
        if stop or record.stalled():
            return coef, intercept


def warn_diverged(record, plan, on_divergence):
    """Say that the descent exploded, at which rate, and what to pass instead."""
    rate = record.history["learning_rate"][-1]
    at = f"update step {record.exploded_at} with learning rate {rate:.3g}"
    if plan.schedule is None:
        at = f"iteration {record.n_iter} of the full-batch optimizer"
    message = (
        f"The descent diverged at {at}: "
        f"the objective rose to {record.history['objective'][-1]:.3g}, where the best constant "
        f"model has {record.constant_objective:.3g}. {plan.remedy(rate)}"
    )
    if on_divergence == "raise":
        raise FloatingPointError(message)
    warnings.warn(
        message + " The estimator has the best coefficients from before.", DivergenceWarning
    )
