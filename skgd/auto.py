"""What ``optimizer="auto"`` stands for: the solver that needs no rate."""

from dataclasses import replace

import numpy as np

from skgd import certificate
from skgd.curvature import takes_kinks
from skgd.dual import takes_dual
from skgd.gradients import NEAR, Gradients, passes_per_hessian
from skgd.growing import descend_on_samples
from skgd.interior import InteriorPoint, takes_hinges
from skgd.newton import Newton, smoothing_path
from skgd.optimizers import LBFGS, AcceleratedGradient
from skgd.rowspace import in_row_space
from skgd.training import train_full_batch

# As near as `tol` would have it, to the minimum of a loss that stands in for another.
ON_THE_WAY = 1e-4
# The distance from the minimum that may be left, in units of what `tol` says of the gradient, and
# the share of the possible fall that is no plateau.
LEFT, NO_PLATEAU = 100.0, 1e-9


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
    space = row_space(objective, loss, X)
    if space is not None:
        objective.space = space
        x = solve(space, loss, space.X, space.coordinates(*objective.raw(x)), record)
        return objective.metric.from_raw(*space.model(x)).ravel()
    if takes_hinges(objective, loss):
        if record.start_objective > 0.0:  # hinges are never below zero
            x = train_full_batch(InteriorPoint(loss, X), objective, x, record)
        if not _is_stuck(objective, loss, X, x, record):
            record.stop_reason = record.stop_reason or "precision"
            return x
        record.stop_reason = None
    losses, inner = smoothing_path(objective, loss), objective
    for smooth in losses:
        so_far, inner = inner.passes, objective
        inner.passes = so_far
        if smooth is not loss:
            problem = objective.problem.with_loss(smooth.compiled(objective.problem.k))
            inner = replace(objective, problem=problem, latest=None, reported=objective)
        record.stop_reason = None
        solver = _solver(inner, smooth, X, gradually=smooth is not losses[-1])
        if isinstance(solver, Newton) and not record.n_iter:
            x = _approach(solver, inner, smooth, X, x, record)
            if record.stop_reason not in (None, "tol", "precision"):
                break
            record.stop_reason = None
        enough, confirm = ON_THE_WAY, None
        if smooth is losses[-1]:
            enough = 0.0
            if not loss.smooth or isinstance(solver, AcceleratedGradient):
                confirm = _confirmed_by_gap(objective, loss, smooth, X, record)
        x = train_full_batch(solver, inner, x, record, enough, confirm)
        if isinstance(solver, Newton) and solver.overlooks:
            x = train_full_batch(LBFGS(), inner, x, record)
        elif isinstance(solver, Newton) and len(losses) == 1 and record.stop_reason == "tol":
            x = _leave_plateau(objective, loss, X, x, record, solver.curvature)
        record.stop_reason = record.stop_reason or "precision"
        if record.stop_reason not in ("tol", "precision"):
            break
    return x


def row_space(objective, loss, X):
    """Return the objective in the span of the rows; None where that has no advantage."""
    curved = loss.has_hessian or loss.smoothing is not None
    if not (loss.convex and curved) or takes_dual(objective, loss):
        return None
    return in_row_space(objective, loss, X)


def _is_stuck(objective, loss, X, x, record):
    """Tell whether rounding has ended an interior point method far from the minimum."""
    if record.stop_reason not in (None, "precision") or objective.slopes is None:
        return False
    if record.tol is None or not certificate.knows_gap(objective, loss):
        return False
    bound = certificate.LowerBound(objective, loss, X)
    bound.improve(objective.slopes, np.abs(x).reshape(bound.hessian_diag.shape))
    values = objective.values(*objective.raw(x))[1]
    possible = float(np.sum(record.constant_objectives - values))
    return bound.distance(values) > record.tol * possible


def _approach(newton, objective, loss, X, x, record):
    """Return a point that cheaper steps than Newton's lead to, and ready them for it."""
    worth = float(objective.metric.unit @ record.constant_objectives)
    x, newton.curvature = descend_on_samples(objective, loss, X, x, worth)
    passes = passes_per_hessian(objective, loss)
    if newton.curvature is None and passes:
        x = train_full_batch(Gradients(passes), objective, x, record, NEAR)
        newton.products_first = True
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


def _confirmed_by_gap(objective, loss, smooth, X, record):
    """Return what tells of a point whether its duality gap is as small as `tol` says.

    The metric's gradient says little of the distance where columns are correlated or a loss is
    smoothed. None where no gap is known at an ordinary point.
    """
    if record.tol is None or not certificate.knows_gap(objective, loss):
        return None
    bound = objective.bound = certificate.LowerBound(objective, loss, X)

    def confirm(x):
        bound.improve_at(x, smooth)
        values = objective.values(*objective.raw(x))[1]
        possible = float(np.sum(record.constant_objectives - values))
        bound.tight = bound.distance(values) <= record.tol * possible
        return bound.tight

    return confirm


def _solver(objective, loss, X, gradually):
    has_hessian = loss.has_hessian and loss.convex
    if objective.proximal and not (has_hessian and takes_kinks(objective, loss)):
        return AcceleratedGradient()
    return Newton(loss, X, gradually=gradually) if has_hessian else LBFGS()
