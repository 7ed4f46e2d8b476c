"""What "auto" stands for: the plan of a fit, its metric, the solver that needs no rate."""

import re
from dataclasses import dataclass, replace

import numpy as np

from skgd import certificate, optimizers
from skgd.curvature import takes_kinks
from skgd.dual import takes_dual
from skgd.gradients import NEAR, Gradients, passes_per_hessian
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
from skgd.schedules import as_schedule
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
# As near as `tol` would have it, to the minimum of a loss that stands in for another.
ON_THE_WAY = 1e-4
# The distance from the minimum that may be left, in units of what `tol` says of the gradient, and
# the share of the possible fall that is no plateau.
LEFT, NO_PLATEAU = 100.0, 1e-9


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
    from the last one's minimum. Where too many rows are so far from their targets that Newton's
    method sees no curvature, L-BFGS goes on. Many rows are sampled for the start, and more columns
    than rows are descended in the span of the rows.
    """
    space = None
    if loss.convex and loss.has_hessian and not takes_dual(objective, loss):
        space = in_row_space(objective, loss, X)
    if space is not None:
        objective.space = space
        x = solve(space, loss, space.X, space.coordinates(*objective.raw(x)), record)
        return objective.metric.from_raw(*space.model(x)).ravel()
    if takes_hinges(objective, loss):
        if record.start_objective > 0.0:  # hinges are never below zero
            x = train_full_batch(InteriorPoint(loss, X), objective, x, record)
        record.stop_reason = record.stop_reason or "precision"
        return x
    losses = stand_ins(objective, loss)
    for smooth in losses:
        inner = objective
        if smooth is not loss:
            problem = objective.problem.with_loss(smooth.compiled(objective.problem.k))
            inner = replace(objective, problem=problem, latest=None, reported=objective)
        record.stop_reason = None
        solver = _solver(inner, smooth, X, gradually=smooth is not losses[-1])
        if isinstance(solver, Newton) and not record.n_iter:
            worth = float(inner.metric.unit @ record.constant_objectives)
            x, solver.curvature = descend_on_samples(inner, smooth, X, x, worth)
            passes = passes_per_hessian(inner, smooth)
            if solver.curvature is None and passes:
                x = train_full_batch(Gradients(passes), inner, x, record, NEAR)
                if record.stop_reason not in (None, "tol", "precision"):
                    break
                record.stop_reason, solver.products_first = None, True
        enough = 0.0 if smooth is losses[-1] else ON_THE_WAY
        x = train_full_batch(solver, inner, x, record, enough)
        if isinstance(solver, Newton) and solver.overlooks:
            x = train_full_batch(LBFGS(), inner, x, record)
        elif isinstance(solver, Newton) and len(losses) == 1 and record.stop_reason == "tol":
            x = _leave_plateau(objective, loss, X, x, record, solver.curvature)
        record.stop_reason = record.stop_reason or "precision"
        if record.stop_reason not in ("tol", "precision"):
            break
    return x


def _leave_plateau(objective, loss, X, x, record, curvature):
    """Descend on, as long as a bound on the minimum says that it is far from the last iterate.

    Where few rows are far longer than the others, Newton's method crosses plateaus that look like
    the minimum: along those rows nothing else is seen until the loss has no curvature there. A
    bound takes what a step takes.
    """
    if loss.constant_hessian or not certificate.knows_conjugate(loss):
        return x
    cheap = certificate.work(objective, loss) <= certificate.AFFORDABLE
    # The Hessian of a sample is exact for the sample alone.
    known = curvature is not None and curvature.objective.problem.n == objective.problem.n
    if not cheap and not (known and curvature.exact):
        return x
    worth = float(objective.metric.unit @ record.constant_objectives)
    objective.bound, tol = certificate.LowerBound(objective, loss, X), record.tol
    share = max(LEFT * tol**2, NO_PLATEAU)
    observe = certificate.observer(
        objective.bound, certificate.STEPS, near=lambda value: share * (worth - value)
    )
    solver, looks = Newton(loss, X, observe), []
    # A first look, of which the record need not hear: most often no step follows.
    solver.solve(objective, x, lambda *_: looks.append(x) or len(looks) > 1)
    if len(looks) == 1:
        return x
    record.tol = record.stop_reason = None
    x = train_full_batch(solver, objective, x, record)
    record.tol, record.stop_reason = tol, record.stop_reason or "tol"
    return x


def _solver(objective, loss, X, gradually):
    bends = loss.has_hessian and loss.convex
    if objective.proximal and not (bends and takes_kinks(objective, loss)):
        return AcceleratedGradient()
    return Newton(loss, X, gradually=gradually) if bends else LBFGS()
