"""How far a model is from the minimum: an upper bound, by Fenchel duality.

For squared errors with a smooth penalty the distance is ``g' H^-1 g / 2`` (`gap_terms`).
Otherwise any dual variables ``a_i`` of the rows in the domain of the loss's conjugate bound the
minimum from below::

    min F >= -1/S sum_i s_i l*(y_i, a_i) - sum_j penalty_j*(-q_j),    q_j = 1/S sum_i s_i a_i x_ij

where their weighted sum is 0 with an intercept. The dual variables after one Newton step,
``a_i = l'(z_i) + l''(z_i) dz_i``, satisfy these conditions exactly, and near the minimum the
duality gap is of the fourth order in the distance. Far from it a few Newton steps lead to points
whose dual variables are better; where all fails, the dual variables 0 say that F is not below the
least value of the loss, so that the bound is F itself.

References
----------
Boyd and Vandenberghe, Convex Optimization, 2004, chapter 5.
"""

import math
import time
from dataclasses import dataclass, replace

import numpy as np

from skgd._descent.solution import Stop
from skgd._objective.smoothing import smoothing_path
from skgd._solvers import interior_point, newton
from skgd._solvers.costs import Gap, InteriorPointLimits
from skgd._solvers.gap_terms import penalty_conjugates, quadratic_gap
from skgd._solvers.group_lasso import nonsmooth_penalty
from skgd._solvers.hessian_cost import factorised_size
from skgd._solvers.newton import Newton
from skgd._solvers.row_space import make_hessian, woodbury_suits
from skgd._utils.linalg import one_thread


@dataclass
class Allowance:
    """What a gap may cost.

    Attributes
    ----------
    steps : float
        Newton steps, or those of an interior point method.
    deadline : float
        What `time.perf_counter` says when no other step may begin.
    """

    steps: float = math.inf
    deadline: float = math.inf

    def spend(self):
        """Take a step off; return whether there was none left, or no time."""
        self.steps -= 1
        return self.steps < 0 or time.perf_counter() >= self.deadline


def steps_within(objective, solution, budget):
    """Return how many steps for a gap take a budget of multiplications."""
    cost = work(objective, solution)
    if cost and objective.proximal:
        size, blocks = factorised_size(objective)
        cost += Gap.proximal_step * float(size) ** 3 * blocks
    return budget // cost if cost else math.inf


def work(objective, solution=None):
    """Return the multiplications for a gap: 0 where a descent has left a bound or what makes one.

    Otherwise those for a Newton step; inf where no Hessian can be factorised.
    """
    if solution is not None:
        objective = solution.reduced or objective
        if _has_tight_bound(solution):
            return 0.0
        if solution.hessian is not None and solution.hessian.is_exact and not objective.proximal:
            return 0.0
        if solution.dual is not None:
            return 0.0
    (k, p), n = objective.shape, objective.problem.n
    if woodbury_suits(objective):
        return Gap.step + n**2 * float(n + p)
    size, blocks = factorised_size(objective)
    if not size:
        return np.inf
    step = Gap.step + max(n, size) * float(size) ** 2 * blocks
    if size == p and objective.problem.is_multiclass:
        # The outputs' blocks are no more than the preconditioner of conjugate gradients.
        step += Gap.products * 4.0 * max(n, p) * k * p
    return step


def duality_gap(objective, coef, intercept, solution=None, allowance=None):
    """Return an upper bound on the distance of a model's objective from the minimum.

    Parameters
    ----------
    objective : Objective
        In a diagonal metric.
    coef : array of shape (n_outputs, n_features)
    intercept : array of shape (n_outputs,)
    solution : Solution or None
        What a descent found out about the minimum.
    allowance : Allowance or None
        None for any cost.

    Returns
    -------
    float
        inf where no bound is known, as for losses without a conjugate.
    """
    if not knows_conjugate(objective.loss):
        return np.inf
    reduced = solution.reduced if solution is not None else None
    if reduced is not None:
        x, outside = reduced.nearest(coef, intercept)
        rest = replace(solution, reduced=None)
        return outside + duality_gap(reduced, *reduced.raw(x), rest, allowance)
    # Bounds that single precision has moved are no reason for an infinite objective.
    coef, intercept = objective.feasible(coef, intercept)
    x = objective.parameters(coef, intercept)
    with one_thread(), np.errstate(over="ignore", invalid="ignore"):
        hessian = solution.hessian if solution is not None else None
        is_known = hessian is None and _has_tight_bound(solution)
        if objective.loss.constant_hessian and not objective.proximal and not is_known:
            hessian = make_hessian(objective, x) if hessian is None else hessian
            if hessian.is_exact:
                return quadratic_gap(objective, hessian, x)
        values = objective.values(coef, intercept)[1]
        return _gap(objective, x, values, solution, allowance or Allowance())


def _has_tight_bound(solution):
    """Tell whether a descent has left a bound that needs no better dual variables."""
    bound = solution.lower_bound if solution is not None else None
    return bound is not None and bound.is_tight


def _gap(objective, x, values, solution, allowance):
    if _has_tight_bound(solution):
        return solution.lower_bound.gap(values)
    bound = LowerBound(objective)
    dual = solution.dual if solution is not None else None
    if dual is None and interior_point.suits(objective):
        dual = _interior_dual(objective, x, values, allowance)
    if dual is not None:
        bound.improve(dual, np.abs(x).reshape(objective.shape))
        return bound.gap(values)
    if bound.penalty is None or (objective.proximal and not newton.has_proximal_step(objective)):
        if knows_gap(objective):
            bound.improve_at(x)
        return bound.gap(values)
    if interior_point.suits(objective):
        return bound.gap(values)
    hessian = None
    if objective.loss.constant_hessian:
        # Here the residuals at the minimum are the best dual variables.
        bound.improve_at(x)
        if bound.gap(values) <= Gap.exact * np.abs(values).sum():
            return bound.gap(values)
        if solution is not None and solution.hessian is not None:
            hessian = solution.hessian.at(x)
    return _gap_along_path(bound, objective, x, values, allowance, hessian)


def _interior_dual(objective, x, values, allowance):
    """Return dual variables from a descent by the interior point method."""
    solver, left = interior_point.InteriorPoint(), Gap.steps
    enough = Gap.small * float(objective.metric.unit @ np.abs(values))

    def ends(x, value, gradient, length, gap):
        nonlocal left
        left -= 1
        return left < 0 or gap <= enough or allowance.spend()

    solver.solve(objective, x, ends)
    return solver.dual


def _gap_along_path(bound, objective, x, values, allowance, hessian):
    """Return the gap with dual variables from Newton steps on the loss, or on smoothed ones.

    The Hessian at x may be known.
    """
    losses = smoothing_path(objective)
    if len(losses) > 1:
        # Dual variables of the last smoothed loss will do at a point that its own descent found.
        _improve_along(bound, objective, losses[-1], x, values, 1, allowance, hessian)
        if bound.gap(values) <= Gap.small * np.abs(values).sum():
            return bound.gap(values)
    for smooth in losses:
        if smooth.has_hessian:
            x = _improve_along(bound, objective, smooth, x, values, Gap.steps, allowance, hessian)
        if smooth is losses[-1]:
            break
        end = objective.values(*objective.raw(x))[1]
        if bound.gap(end) <= Gap.enough * bound.gap(values):
            break
    return bound.gap(values)


def _improve_along(bound, objective, smooth, x, values, steps, allowance, hessian=None):
    """Take Newton steps on a smooth loss until their dual variables bound the minimum well."""
    inner = objective
    if smooth is not objective.loss:
        inner = replace(objective, problem=objective.problem.with_loss(smooth), keeps_margins=True)
    elif not objective.keeps_margins:
        inner = replace(objective, keeps_margins=True)
    start = float(objective.metric.unit @ values)
    solver = Newton(observer(bound, steps, allowance, start=start))
    solver.hessian = hessian
    return solver.solve(inner, x, lambda *_: allowance.spend())


def observer(bound, steps, allowance=None, *, start=None, near=None):
    """Return what takes the dual variables of Newton steps, and ends a descent in time.

    Parameters
    ----------
    bound : LowerBound
    steps : int
        That a descent may take.
    allowance : Allowance or None
        From which each step has been taken off.
    start : float or None
        The value, in units of the metric, whose gap is asked for; None for that of each point.
        Where it is known well enough the descent ends.
    near : callable or None
        Of a value: the gap at which the descent ends instead.
    """
    left = steps

    def observe(hessian, x, value, step, decrease):
        nonlocal left
        left -= 1
        size = np.abs(x + step).reshape(hessian.shape)
        improved = bound.improve(hessian.dual_point(step), size)
        lower = float(bound.units @ bound.lower)
        gap = (value if start is None else start) - lower
        # Near the minimum half of the predicted decrease is what is left; from afar it may promise
        # too much.
        bound.is_tight = improved and (
            gap <= Gap.negligible * abs(value)
            or decrease <= Gap.far * abs(value)
            and value - 0.5 * decrease - lower <= Gap.enough * gap
        )  # fmt: skip
        last = left == 0 or (allowance is not None and allowance.steps < 1)
        return last or (bound.is_tight if near is None else gap <= near(value))

    return observe


class LowerBound:
    """The best lower bound so far on the minimum of an objective.

    Attributes
    ----------
    lower : array of shape (n_outputs,), or (1,) for a softmax
    is_tight : bool
        Whether little of the gap that was asked for lies below the minimum.
    """

    def __init__(self, objective):
        self.objective, self.is_tight = objective, False
        self.penalty = nonsmooth_penalty(objective)
        self.units = objective.metric.unit[:1 if objective.problem.is_multiclass else None]
        self.lower, self.rounding = np.full(len(self.units), -np.inf), np.zeros(len(self.units))
        diag = objective.penalty_hessian_diag
        self.penalty_diag = np.where(diag > Gap.faint, diag, 0.0)
        self.knows_origin = False

    def gap(self, values):
        """Return how far values of the objective, output by output, can be from the minimum."""
        return float(np.sum(self.gaps(values)))

    def gaps(self, values):
        """Return the same by group of outputs."""
        values = self._by_group(values)
        gaps = np.maximum(values - self.lower, 0.0) + self.rounding
        if not self.knows_origin and np.any(gaps > Gap.small * np.abs(values)):
            self._improve_at_origin()
            gaps = np.maximum(values - self.lower, 0.0) + self.rounding
        return gaps

    def _improve_at_origin(self):
        """Take the dual variables 0, which say that no loss is below its least value."""
        self.knows_origin, origin = True, self.objective.problem.dual_origin()
        if origin.is_feasible():
            self._take(-origin.conjugates()[0], np.zeros(len(self.units)))

    def _take(self, lower, rounding):
        """Take lower bounds with their rounding, and tell if some are better."""
        better = lower - rounding > self.lower - self.rounding
        self.lower = np.where(better, lower, self.lower)
        self.rounding = np.where(better, rounding, self.rounding)
        return bool(np.any(better))

    @np.errstate(over="ignore", invalid="ignore")
    def improve(self, dual, size=0.0):
        """Take dual variables of the rows, and tell if they bound better.

        size is that of parameters near the minimum: sums that should be zero and are not quite
        count with it.
        """
        # Of a smoothed loss, in whose own conjugate's domain they need not be.
        dual = dual.for_problem(self.objective.problem)
        for factor in Gap.shrunk:
            shrunk = dual.scaled(factor)
            if shrunk.is_feasible():
                return self._take(*self._bound(shrunk, size))
        return False

    def improve_at(self, x, smooth=None):
        """Take the derivatives of the losses at a point, or of smoothed ones, as dual variables."""
        objective = self.objective
        problem = objective.problem if smooth is None else objective.problem.with_loss(smooth)
        has_intercept = objective.shape[1] > problem.d
        dual = problem.gradient_dual_point(
            *objective.raw(x), balanced=has_intercept, margins=objective.known_margins(x)
        )
        return self.improve(dual, np.abs(x).reshape(objective.shape))

    def _bound(self, dual, size):
        """Return the bound of dual variables and its rounding, by group of outputs."""
        sums, sizes = self._sums(dual)
        if self.objective.problem.is_multiclass:
            # A row's probabilities add up to 1: what rounding leaves of one is no share of it.
            sizes = np.broadcast_to(sizes.max(axis=0), sizes.shape)
        penalties = further = np.zeros(len(sums))
        if self.penalty is not None:
            # Dual variables that ask for more than the penalty allows are shrunk until they do not.
            allowed = self.penalty.allowed(sums.ravel(), self.penalty_diag.ravel())
            allowed = allowed.reshape(sums.shape).min(axis=1)
            if self.objective.problem.is_multiclass:
                allowed = np.full(len(sums), allowed.min())
            dual, sums = dual.scaled(allowed), sums * allowed[:, None]
            bounds = (part.reshape(sums.shape) for part in self.penalty.dual_bounds(sums.ravel()))
            parts = sums, sizes, self._rounding_of_sums(dual), *bounds, size, self.penalty_diag
            penalties, further = penalty_conjugates(*(
                np.ascontiguousarray(
                    part if np.shape(part) == sums.shape else np.broadcast_to(part, sums.shape)
                ) for part in parts
            ))  # fmt: skip
        penalties, further = (
            self._by_group(part / self.objective.metric.unit) for part in (penalties, further)
        )
        mean, mean_size = dual.conjugates()
        lower, terms = -mean - penalties, mean_size + np.abs(penalties)
        return np.where(np.isfinite(lower), lower, -np.inf), Gap.rounding * terms + further

    def _rounding_of_sums(self, dual):
        """Return the rounding of the sums of dual variables times features.

        In the metric no feature has a larger spread than one over the root of the loss's curvature.
        """
        objective, metric = self.objective, self.objective.metric
        squares, sizes = dual.moments()
        size = np.sqrt(squares * metric.unit / objective.smoothness)[:, None]
        if objective.problem.is_sparse:
            far = np.zeros(objective.shape)
            far[:, :len(metric.mean)] = np.abs(metric.mean)
            size = size + far * metric.inverse * (sizes * metric.unit)[:, None]
        return Gap.rounded * size

    def _sums(self, dual):
        """Return the weighted sums of dual variables times features, and of the terms' sizes.

        The sizes are those of parameters without penalty, whose sums must be zero.
        """
        metric, (_, p), d = self.objective.metric, self.objective.shape, self.objective.problem.d
        sized = bool(np.any(self.penalty_diag[:, :d] == 0))
        sums, sizes = dual.weighted_sums(metric.mean, with_sizes=sized)
        scale = metric.inverse * metric.unit[:, None]
        return sums[:, :p] * scale, sizes[:, :p] * scale

    def _by_group(self, values):
        return values.sum(keepdims=True) if self.objective.problem.is_multiclass else values


def knows_gap(objective):
    """Tell whether the derivatives of the losses at an ordinary point bound the minimum from below.

    A coefficient without bounds and penalty leaves them no freedom; nor does a softmax, whose
    derivatives must vanish together over the outputs of each row and over the rows of each output.
    """
    penalty, problem = nonsmooth_penalty(objective), objective.problem
    if penalty is None or problem.is_multiclass or not knows_conjugate(objective.loss):
        return False
    closed = penalty.closed().reshape(objective.shape) | (objective.penalty_hessian_diag > 0)
    closed |= objective.metric.inverse == 0
    return bool(np.all(closed[:, :problem.d]))


def confirmation(objective, history, smooth=None):
    """Return a bound, and a function that checks whether the gap of a point meets `tol`.

    The metric's gradient says little of the distance where columns are correlated or a loss is
    smoothed. None and None where no gap is known at an ordinary point.
    """
    if history.tol is None or not knows_gap(objective):
        return None, None
    bound = LowerBound(objective)

    def confirm(x):
        bound.improve_at(x, smooth)
        values = objective.values(*objective.raw(x))[1]
        possible = float(np.sum(history.baseline.objectives - values))
        bound.is_tight = bound.gap(values) <= history.tol * possible
        return bound.is_tight

    return bound, confirm


def is_stuck(objective, solution, history):
    """Tell whether rounding has ended an interior point method far from the minimum."""
    if history.stop not in (None, Stop.PRECISION) or solution.dual is None:
        return False
    if history.tol is None:
        return False
    bound = LowerBound(objective)
    bound.improve(solution.dual, np.abs(solution.x).reshape(objective.shape))
    values = objective.values(*objective.raw(solution.x))[1]
    possible = float(np.sum(history.baseline.objectives - values))
    none = InteriorPointLimits.no_gap * float(np.sum(np.abs(history.baseline.objectives)))
    return bound.gap(values) > max(history.tol * possible, none)


def knows_conjugate(loss):
    """Tell whether a loss's conjugate is its own, and not that of a class whose loss it changed."""
    def depth(*names):
        classes = enumerate(type(loss).__mro__)
        return next(i for i, owner in classes if any(name in vars(owner) for name in names))

    return depth("conjugate") <= depth("value", "gradient", "Rule")
