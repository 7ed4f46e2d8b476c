"""What "auto" stands for: the plan of a fit, the rate of a step rule, the solver without one."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from skgd.curvature import takes_kinks
from skgd.interior import InteriorPoint, takes_hinges
from skgd.metric import diagonal_metric, identity_metric
from skgd.newton import Newton, stand_ins
from skgd.optimizers import (
    LBFGS,
    SGD,
    AcceleratedGradient,
    Adagrad,
    Adam,
    FullBatchOptimizer,
    GradientDescent,
    Optimizer,
    RMSprop,
)
from skgd.schedules import Schedule, as_schedule
from skgd.training import train_full_batch

OPTIMIZERS = {
    "sgd": lambda: SGD(),
    "momentum": lambda: SGD(momentum=0.9),
    "nesterov": lambda: SGD(momentum=0.9, nesterov=True),
    "adagrad": lambda: Adagrad(),
    "rmsprop": lambda: RMSprop(),
    "adam": lambda: Adam(),
    "gradient_descent": lambda: GradientDescent(),
    "accelerated_gradient": lambda: AcceleratedGradient(),
    "lbfgs": lambda: LBFGS(),
}
AUTO_BATCH = 256
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
    if isinstance(chosen, FullBatchOptimizer):
        name = type(chosen).__name__
        if rate_given:
            raise ValueError(
                f"learning_rate={learning_rate!r} with optimizer={optimizer!r}: {name} finds its "
                "own step lengths; pass learning_rate='auto', or a step rule such as "
                "optimizer='adam'."
            )
        if batches:
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

    For gradient descent, the largest stable rate: one over the curvature of the mean objective plus
    the share of a single row's curvature that a batch of its size leaves (Gower et al., SGD:
    general analysis and improved rates, 2019). For rules that normalise the gradient, a step that
    is small in standardised coordinates. A model that is trained already is only refined.
    """
    schedule = _untrained_schedule(optimizer, objective, X, plan, generator)
    if trained:
        schedule.rate *= REFINED
    return schedule


def _untrained_schedule(optimizer, objective, X, plan, generator):
    n_batches = len(plan.bounds) - 1
    steps = max(5.0 * n_batches, 50.0)
    share = plan.batch_length / plan.bounds[-1]
    if isinstance(optimizer, SGD):
        mean, single = curvatures(objective, X, generator)
        noise = (1 - share) * single / plan.batch_length / (1 - optimizer.momentum)
        rate = 1.0 / (mean + noise)
        return _Decaying(rate, steps, 0.0 if n_batches == 1 else 1.0)
    first = 0.5 if isinstance(optimizer, Adagrad) else 0.03
    if isinstance(optimizer, RMSprop):
        # Its first step is longer, because its mean of squared gradients starts at zero.
        first *= np.sqrt(1 - optimizer.rho) * 3
    if n_batches == 1:
        return _Decaying(first, steps, 0.0 if isinstance(optimizer, Adagrad) else 0.5)
    share = min(1.0, np.sqrt(plan.batch_length / AUTO_BATCH))
    return _Decaying(first * share, steps, 1.0)


def curvatures(objective, X, generator, n_rows=1024):
    """Return the largest curvature of the mean objective and that of single rows, in the metric.

    Both from a sample of rows: power iterations on the rows' mean outer product, and the mean of
    the rows' squared lengths, doubled for safety.
    """
    metric, n = objective.metric, X.shape[0]
    rows = np.arange(n) if n <= n_rows else np.sort(generator.choice(n, n_rows, replace=False))
    sample = X[rows]
    sample = sample.toarray() if sparse.issparse(sample) else np.asarray(sample, dtype=float)
    sample = (sample - metric.mean) * metric.inverse[0, :X.shape[1]]
    if metric.inverse.shape[1] > X.shape[1]:
        sample = np.column_stack([sample, np.full(len(rows), metric.inverse[0, -1])])
    sample *= np.sqrt(objective.curvature[0] * metric.unit[0])
    weights = np.ones(len(rows))
    if objective.problem.weights is not None:
        weights = objective.problem.weights[rows]
    weights = weights / max(weights.sum(), np.finfo(float).tiny)
    extra = np.zeros(metric.inverse.shape[1])
    extra[:X.shape[1]] = (
        objective.penalty_curvature[0] * metric.inverse[0, :X.shape[1]] ** 2 * metric.unit[0]
    )
    v = generator.normal(size=sample.shape[1])
    largest = 1.0
    for _ in range(20):
        v = sample.T @ (weights * (sample @ v)) + extra * v
        largest = float(np.linalg.norm(v))
        if largest == 0.0:
            return 1.0, 1.0
        v /= largest
    single = 2.0 * float(weights @ (sample**2).sum(axis=1)) + float(extra.max())
    return 1.1 * largest, max(single, largest)


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
    from the last one's minimum.
    """
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
        x = train_full_batch(_solver(inner, smooth, X), inner, x, record)
        record.stop_reason = record.stop_reason or "precision"
        if record.stop_reason not in ("tol", "precision"):
            break
    return x


def _solver(objective, loss, X):
    bends = loss.has_hessian and loss.convex
    if objective.proximal and not (bends and takes_kinks(objective, loss)):
        return AcceleratedGradient()
    return Newton(loss, X) if bends else LBFGS()
