"""What "auto" stands for: the plan of a fit, the rate of a step rule, the solver without one."""

import re
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import sparse

from skgd import optimizers
from skgd.curvature import takes_kinks
from skgd.growing import descend_on_samples
from skgd.interior import InteriorPoint, takes_hinges
from skgd.metric import diagonal_metric, identity_metric
from skgd.newton import Newton, stand_ins
from skgd.optimizers import (
    LBFGS,
    SGD,
    AcceleratedGradient,
    Adam,
    FullBatchOptimizer,
    Optimizer,
)
from skgd.rowspace import in_row_space
from skgd.schedules import Schedule, as_schedule
from skgd.training import train_full_batch

# Each public optimizer by its name in snake_case, and what goes by names of their own.
OPTIMIZERS = {
    re.sub("(?<=[a-z])(?=[A-Z][a-z])", "_", name).lower(): getattr(optimizers, name)
    for name in optimizers.__all__
    if name not in ("Optimizer", "FullBatchOptimizer")
} | {
    "momentum": lambda: SGD(momentum=0.9),
    "nesterov": lambda: SGD(momentum=0.9, nesterov=True),
}
# The share of its first rate with which a step rule goes on after another optimizer's fit.
REFINED = 0.03


@dataclass
class Plan:
    """How a fit descends.

    Attributes
    ----------
    optimizer : Optimizer, FullBatchOptimizer or None
        None is the solver of `solve`, which needs no rate.
    schedule : Schedule or None
        None where the optimizer finds its own steps.
    batch_length : int
    bounds : array of int of shape (n_batches + 1,)
        Where the batches of an epoch begin and the last one ends.
    rows : array of int or None
        The rows to train on; None for all.
    preconditioned : bool
    centred : bool
        Whether the coordinates may be centred; single sparse rows could not be stepped along then.
    shuffle, in_blocks : bool
    average_from : int
        The update step from which parameters are averaged; -1 for never.
    weight_scale : float
        Rows divided by the sum of their weights.
    """

    optimizer: object
    schedule: object
    batch_length: int
    bounds: np.ndarray
    rows: np.ndarray | None
    preconditioned: bool
    centred: bool = True
    shuffle: bool = True
    in_blocks: bool = False
    average_from: int = -1
    weight_scale: float = 1.0

    @property
    def takes_steps(self):
        return isinstance(self.optimizer, Optimizer)

    @property
    def shares_passes(self):
        """Whether other runs may take their steps on the same batches in the same passes."""
        return self.takes_steps and len(self.bounds) > 2 and self.optimizer.snapshots is None


def make_optimizer(optimizer):
    """Return the optimizer object that a user's ``optimizer`` means; None for "auto"."""
    if isinstance(optimizer, Optimizer | FullBatchOptimizer):
        return optimizer
    if isinstance(optimizer, str):
        if optimizer == "auto":
            return None
        if optimizer in OPTIMIZERS:
            return OPTIMIZERS[optimizer]()
        names = ", ".join(repr(name) for name in ("auto", *OPTIMIZERS))
        raise ValueError(f"optimizer={optimizer!r}: pass one of {names}, or an Optimizer.")
    raise TypeError(
        f"optimizer={optimizer!r}: pass a string or an object from skgd.optimizers, such as Adam()."
    )


def choose_optimizer(optimizer, learning_rate, batch_size, *, partial):
    """Return the optimizer of a fit, checked to go with the rate and the batches."""
    chosen = make_optimizer(optimizer)
    rate_given = not (isinstance(learning_rate, str) and learning_rate == "auto")
    if rate_given:
        as_schedule(learning_rate)
    batches = not (isinstance(batch_size, str) and batch_size in ("auto", "full"))
    if chosen is None:
        return Adam() if partial or rate_given or batches else None
    name = type(chosen).__name__
    if rate_given and isinstance(chosen, FullBatchOptimizer):
        raise ValueError(
            f"learning_rate={learning_rate!r} with optimizer={optimizer!r}: {name} finds its "
            "own step lengths; pass learning_rate='auto', or a step rule such as "
            "optimizer='adam'."
        )
    if batches and not chosen.takes_batches:
        raise ValueError(
            f"batch_size={batch_size!r} with optimizer={optimizer!r}: {name} needs all rows; "
            "pass batch_size='full', or a step rule such as optimizer='adam'."
        )
    return chosen


# ---- rates of step rules ------------------------------------------------------------------------

class _Decaying(Schedule):
    """``rate / (1 + t / steps)^power``: the automatic rate of a step rule on batches."""

    def __init__(self, rate, steps, power):
        self.rate = rate
        self.steps = steps
        self.power = power

    def rates(self, t):
        return self.rate / (1.0 + np.asarray(t) / self.steps) ** self.power


def automatic_schedule(optimizer, objective, X, plan, generator, *, trained):
    """Return a schedule for a step rule whose rate comes from the data.

    A model that is trained already is only refined.
    """
    rate, power = optimizer.automatic_rate(
        plan.bounds[-1], plan.batch_length, Curvatures(objective, X, plan, generator)
    )
    n_batches = len(plan.bounds) - 1
    return _Decaying(rate * (REFINED if trained else 1.0), max(5.0 * n_batches, 50.0), power)


class Curvatures:
    """How the objective bends in the coordinates of the metric.

    Attributes
    ----------
    mean : float
        The largest curvature of the mean objective, by power iterations on a sample of rows.
    least : float
        The least curvature of the mean objective along which it bends at all; 0 for more parameters
        than rows in the sample.
    typical : float
        The mean curvature of single rows' objectives along their rows, doubled for safety.
    single : float
        The largest curvature of a single row's objective, by a pass over all rows.
    """

    def __init__(self, objective, X, plan, generator, n_rows=1024):
        self.objective, self.X, self.plan = objective, X, plan
        self.generator, self.n_rows = generator, n_rows

    @cached_property
    def _sample(self):
        """Return rows in the metric's coordinates, scaled by the loss's curvature, and weights."""
        n, rows = self.X.shape[0], slice(None)
        if n > self.n_rows:
            rows = np.sort(self.generator.choice(n, self.n_rows, replace=False))
        weights = self._weights(rows)
        return self._scaled(rows), weights / max(weights.sum(), np.finfo(float).tiny)

    def _weights(self, rows):
        return self.objective.problem.row_weights()[rows]

    def _scaled(self, rows):
        d, metric = self.X.shape[1], self.objective.metric
        sample = self.X[rows]
        sample = sample.toarray() if sparse.issparse(sample) else np.asarray(sample, dtype=float)
        sample = (sample - metric.mean) * metric.inverse[0, :d]
        if metric.inverse.shape[1] > d:
            sample = np.column_stack([sample, np.full(len(sample), metric.inverse[0, -1])])
        return sample * np.sqrt(self.objective.curvature[0] * metric.unit[0])

    @cached_property
    def _penalty(self):
        """The curvature of the penalty, for each parameter."""
        d, metric = self.X.shape[1], self.objective.metric
        extra = np.zeros(metric.inverse.shape[1])
        bend = self.objective.penalty_curvature[0]
        extra[:d] = bend * metric.inverse[0, :d] ** 2 * metric.unit[0]
        return extra

    @cached_property
    def mean(self):
        sample, weights = self._sample
        v, largest = self.generator.normal(size=sample.shape[1]), 0.0
        for _ in range(20):
            v = sample.T @ (weights * (sample @ v)) + self._penalty * v
            largest = float(np.linalg.norm(v))
            if largest == 0.0:
                return 1.0
            v /= largest
        return 1.1 * largest

    @cached_property
    def least(self):
        sample, weights = self._sample
        if sample.shape[1] > min(len(sample), self.n_rows // 2):
            return 0.0
        bends = np.linalg.eigvalsh((sample.T * weights) @ sample + np.diag(self._penalty))
        return float(min(bends[bends > 1e-6 * bends[-1]], default=0.0))

    @cached_property
    def typical(self):
        sample, weights = self._sample
        single = 2.0 * float(weights @ (sample**2).sum(axis=1)) + float(self._penalty.max())
        return max(single, self.mean / 1.1)

    @cached_property
    def single(self):
        problem, largest = self.objective.problem, 0.0
        size = max(1, 2**15 // self.X.shape[1])
        for start in range(0, problem.n, size):
            rows = slice(start, start + size)
            sample = self._scaled(rows)
            squares = np.einsum("ij,ij->i", sample, sample)
            largest = max(largest, float((squares * self._weights(rows)).max()))
        # A row's gradient is estimated for all rows that count.
        return largest * self.plan.weight_scale + float(self._penalty.max())


# ---- metrics ------------------------------------------------------------------------------------

def make_metric(plan, moments, loss_curvature, penalty_curvature, unit, fit_intercept):
    """Return the coordinates of a fit: raw ones or the diagonal metric's."""
    if not plan.preconditioned:
        k, d = penalty_curvature.shape
        return identity_metric(d, k, fit_intercept)
    return diagonal_metric(
        moments, loss_curvature, penalty_curvature, unit, fit_intercept, centred=plan.centred
    )


# ---- the solver that needs no rate --------------------------------------------------------------

def solve(objective, loss, X, x, record):
    """Descend to the minimum without a rate; return the last iterate.

    Newton's method, proximal where the penalty has kinks coordinate by coordinate; L-BFGS and
    accelerated proximal gradient where a loss is not convex or the Hessian is unknown or too large.
    Losses of straight pieces have an interior point method; where there are too many parameters, a
    loss that is not smooth is replaced by smooth ones that come ever closer to it, each started
    from the last one's minimum. Many rows are sampled for the start, and more columns than rows are
    descended in the span of the rows.
    """
    space = in_row_space(objective, loss, X) if loss.convex and loss.has_hessian else None
    if space is not None:
        objective.space = space
        x = solve(space, loss, space.X, space.coordinates(*objective.raw(x)), record)
        return objective.metric.from_raw(*space.model(x)).ravel()
    if takes_hinges(objective, loss):
        x = train_full_batch(InteriorPoint(loss, X), objective, x, record)
        record.stop_reason = record.stop_reason or "precision"
        return x
    for smooth in stand_ins(objective, loss):
        inner = objective
        if smooth is not loss:
            problem = objective.problem.with_loss(smooth.compiled(objective.problem.k))
            inner = replace(objective, problem=problem, latest=None, reported=objective)
        record.stop_reason = None
        solver = _solver(inner, smooth, X)
        if isinstance(solver, Newton) and not record.n_iter:
            worth = float(inner.metric.unit @ record.constant_objectives)
            x = descend_on_samples(inner, smooth, X, x, worth)
        x = train_full_batch(solver, inner, x, record)
        record.stop_reason = record.stop_reason or "precision"
        if record.stop_reason not in ("tol", "precision"):
            break
    return x


def _solver(objective, loss, X):
    bends = loss.has_hessian and loss.convex
    if objective.proximal and not (bends and takes_kinks(objective, loss)):
        return AcceleratedGradient()
    return Newton(loss, X) if bends else LBFGS()
