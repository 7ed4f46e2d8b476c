"""How far a model is from the minimum: an upper bound, and a true one.

For squared errors with a smooth penalty the distance is ``g' H^-1 g / 2``. Otherwise any slopes
``a_i`` of the rows that lie in the domain of the loss's conjugate bound the minimum from below::

    F* >= -1/sum(s) sum_i s_i loss*(y_i, a_i) - sum_j penalty_j*(-q_j),
          q_j = 1/sum(s) sum_i s_i a_i x_ij

where the slopes' weighted sum is 0 with an intercept. The slopes after one Newton step,
``a_i = loss'(z_i) + loss''(z_i) dz_i``, satisfy these conditions exactly, and near the minimum
their bound misses it by the fourth power of the distance. Far from it a few Newton steps lead to
points whose slopes are better; where all fails, the slopes 0 say that F* is not below the least
value of the loss, so that the bound is F itself.
"""

import math
import time
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from skgd.blas import one_thread
from skgd.curvature import factorised_size, margins, parts_of, takes_kinks
from skgd.dual import curvature_at, takes_dual
from skgd.interior import InteriorPoint, takes_hinges
from skgd.kinks import Kinks
from skgd.newton import Newton, smoothing_path

# Multiplications for a Hessian up to which a fit tells its distance unasked.
AFFORDABLE = 3e8
# What a Newton step takes beside its multiplications, in multiplications.
STEP = 1e6
# Products with a Hessian that is not factorised, for a step.
PRODUCTS = 100
# Multiplications that take as long as a step over kinks, per cube of the parameters: 9 ms for 41,
# 170 ms for 121 (squared_hinge, 25 rows, alpha=1e-6, the elastic net).
OVER_KINKS = 100.0
# Newton steps that may lead to better slopes.
STEPS = 50
# A bound is good enough where so small a share of it lies below the minimum, or of the objective.
ENOUGH, SMALL = 0.05, 1e-6
# A promised fall above this share of the objective is one from afar.
FAR = 0.1
# A distance that is this share of the objective is hardly more than rounding.
NEGLIGIBLE = 1e-13
# Sums that must be zero may be this share of their terms, which is rounding and inexact solves.
BALANCED = 1e-7
# What slopes may be shrunk by to get from just outside the conjugate's domain into it.
SHRUNK = (1.0, 1.0 - 1e-9, 1.0 - 1e-7)
# A penalty's curvature, where that of all is 1, from which nothing follows: in units of targets of
# 1e-140 or 1e140, say. A bound without it is as true.
FAINT = np.finfo(float).eps ** 2
# The rounding of a sum that a bound allows for, as a share of its terms.
ROUNDING = 32 * np.finfo(float).eps
# Parameters whose rounding is bounded by the Hessian's inverse where their penalty is too small to.
FEW_FAINT = 16
# The same for the sums of a gradient, whose terms' rounding is as often above as below zero.
ROUNDED = 2 * np.finfo(float).eps


@dataclass
class Allowance:
    """What a bound may cost.

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


def steps_within(objective, loss, budget):
    """Return how many steps for a bound take a budget of multiplications."""
    cost = work(objective, loss)
    if cost and objective.proximal:
        size, blocks = factorised_size(objective, loss)
        cost += OVER_KINKS * float(size) ** 3 * blocks
    return budget // cost if cost else math.inf


def work(objective, loss):
    """Return the multiplications for a bound: 0 where a descent has left one, or the Hessian.

    Otherwise those for a Newton step; inf where no Hessian can be factorised.
    """
    objective = objective.space or objective
    if objective.slopes is not None or (objective.bound is not None and objective.bound.tight):
        return 0.0
    if objective.hessian is not None and objective.hessian.exact and not objective.proximal:
        return 0.0
    (k, p), n = objective.metric.inverse.shape, objective.problem.n
    if takes_dual(objective, loss):
        return STEP + n**2 * float(n + p)
    size, blocks = factorised_size(objective, loss)
    if not size:
        return np.inf
    step = STEP + max(n, size) * float(size) ** 2 * blocks
    if size == p and loss.is_multiclass(k):
        # The outputs' blocks are no more than the preconditioner of conjugate gradients.
        step += PRODUCTS * 4.0 * max(n, p) * k * p
    return step


def optimality(objective, loss, X, coef, intercept, allowance=None):
    """Return an upper bound on the distance of a model's objective from the minimum.

    Parameters
    ----------
    objective : Objective
        In a diagonal metric.
    loss : Loss
    X : array or CSR matrix of shape (n_samples, n_features)
    coef : array of shape (n_outputs, n_features)
    intercept : array of shape (n_outputs,)
    allowance : Allowance or None

    Returns
    -------
    float
        inf where no bound is known, as for losses without a conjugate.
    """
    if not knows_conjugate(loss):
        return np.inf
    space = objective.space
    if space is not None:
        x = space.coordinates(coef, intercept)
        beside = coef - space.model(x)[0]
        excess = 0.5 * float(np.sum(space.hessian_diag * beside * (2.0 * coef - beside)))
        return max(excess, 0.0) + optimality(
            space, loss, space.X, *space.raw(x), allowance
        )
    # Bounds that single precision has moved are no reason for an infinite objective.
    coef, intercept = objective.feasible(coef, intercept)
    x = objective.metric.from_raw(coef, intercept).ravel()
    with one_thread(), np.errstate(over="ignore", invalid="ignore"):
        if loss.constant_hessian and not objective.proximal:
            curvature = objective.hessian
            if curvature is None:
                curvature = curvature_at(objective, loss, X, x)
            if curvature.exact:
                return _of_quadratic(objective, curvature, x)
        values = objective.values(coef, intercept)[1]
        return _of_slopes(objective, loss, X, x, values, allowance or Allowance())


def _of_quadratic(objective, curvature, x):
    """Return ``g' H^-1 g / 2`` for an approximate solution d of ``H d = g``.

    With ``r = g - H d`` it is ``(g' d + d' r + r' H^-1 r) / 2``, and H is at least the curvature of
    the penalty: along directions in which a solve sees none, that decides. So it does for the
    rounding of the sums in g. That of the margins is in the span of the rows, where H is not small.
    """
    point, unit, shape = objective.at(x), objective.metric.unit, curvature.shape
    move = curvature.solve(point.gradient, 0.0)
    left = point.gradient - curvature.product(move)
    hessian_diag = objective.penalty_hessian_diag
    floor = np.where(hessian_diag > FAINT, hessian_diag, np.finfo(float).eps)
    hidden = np.abs(left).reshape(shape) + ROUNDED * objective.gradient_terms(x)
    values = objective.with_penalty(point.losses, point.raw[0])
    rest = hidden**2 / floor
    # Next to a column that depends on others its own small penalty bounds nothing.
    faint = rest > ROUNDING * (unit * np.abs(values))[:, None]
    lengths = np.zeros(shape)
    if np.count_nonzero(faint) <= FEW_FAINT:
        for j in np.flatnonzero(faint):
            inverse = _inverse_at(curvature, j, floor.ravel())
            lengths.flat[j] = hidden.flat[j] * np.sqrt(min(inverse, 1.0 / floor.flat[j]))
            rest.flat[j] = 0.0
    lengths = np.sqrt(rest.sum(axis=1)) + lengths.sum(axis=1)
    squares = (move * (point.gradient + left)).reshape(shape).sum(axis=1) + lengths**2
    roots = np.sqrt(np.maximum(squares, 0.0))
    roots += ROUNDED * np.sqrt(objective.curvature * unit) * objective.margin_size(x)
    distance = 0.5 * roots**2 / unit + ROUNDING * values
    # No squares are below zero.
    return float(np.sum(np.where(distance < values, distance, values)))


def _inverse_at(curvature, j, floor):
    """Return a bound on a diagonal element of the inverse of a Hessian that is at least a floor."""
    unit = np.zeros(len(floor))
    unit[j] = 1.0
    move = curvature.solve(unit, 0.0)
    left = unit - curvature.product(move)
    return float(move @ (unit + left) + np.sum(left**2 / floor))


def _of_slopes(objective, loss, X, x, values, allowance):
    bound = objective.bound
    if bound is not None and bound.tight:
        return bound.distance(values)
    bound = LowerBound(objective, loss, X)
    if bound.kinks is None or (objective.proximal and not takes_kinks(objective, loss)):
        if knows_gap(objective, loss):
            bound.improve_at(x)
        return bound.distance(values)
    if takes_hinges(objective, loss):
        if objective.slopes is None:
            scale = float(objective.metric.unit @ np.abs(values))
            InteriorPoint(loss, X).solve(objective, x, _ends(scale, allowance))
        if objective.slopes is not None:
            bound.improve(objective.slopes, np.abs(x).reshape(bound.hessian_diag.shape))
        return bound.distance(values)
    losses = smoothing_path(objective, loss)
    if len(losses) > 1:
        # Slopes of the closest stand-in will do at a point that its own descent found.
        _improve_along(bound, objective, losses[-1], x, values, 1, allowance)
        if bound.distance(values) <= SMALL * np.abs(values).sum():
            return bound.distance(values)
    for smooth in losses:
        if smooth.has_hessian:
            x = _improve_along(bound, objective, smooth, x, values, STEPS, allowance)
        if smooth is losses[-1]:
            break
        end = objective.values(*objective.raw(x))[1]
        if bound.distance(end) <= ENOUGH * bound.distance(values):
            break
    return bound.distance(values)


def _ends(scale, allowance):
    """Return a monitor that ends an interior point descent where its own gap is small."""
    left = STEPS

    def monitor(x, value, gradient, step, gap):
        nonlocal left
        left -= 1
        return left < 0 or gap <= SMALL * scale or allowance.spend()

    return monitor


def _improve_along(bound, objective, smooth, x, values, steps, allowance):
    """Take Newton steps on a smooth loss until their slopes bound the minimum well."""
    problem = objective.problem.with_loss(smooth.compiled(objective.problem.k))
    inner = replace(objective, problem=problem, latest=None)
    start = float(objective.metric.unit @ values)
    observe = observer(bound, steps, allowance, start=start)
    return Newton(smooth, bound.X, observe).solve(inner, x, lambda *_: allowance.spend())


def observer(bound, steps, allowance=None, *, start=None, near=None):
    """Return what takes the slopes of Newton steps for a bound, and ends a descent in time.

    Parameters
    ----------
    bound : LowerBound
    steps : int
        That a descent may take.
    allowance : Allowance or None
        From which each step has been taken off.
    start : float or None
        The value, in units of the metric, whose distance from the minimum is asked for; None for
        that of each point. Where it is known well enough the descent ends.
    near : callable or None
        Of a value: the distance from the minimum at which the descent ends instead.
    """
    left = steps

    def observe(curvature, x, value, move, fall):
        nonlocal left
        left -= 1
        improved = bound.improve(curvature.slopes(move), np.abs(x + move).reshape(curvature.shape))
        lower = float(bound.units @ bound.lower)
        distance = (value if start is None else start) - lower
        # Near the minimum half of the fall is what is left; from afar it may promise too much.
        bound.tight = improved and (
            distance <= NEGLIGIBLE * abs(value)
            or fall <= FAR * abs(value) and value - 0.5 * fall - lower <= ENOUGH * distance
        )
        last = left == 0 or (allowance is not None and allowance.steps < 1)
        return last or (bound.tight if near is None else distance <= near(value))

    return observe


class LowerBound:
    """The best lower bound so far on the minimum of an objective.

    Attributes
    ----------
    lower : array of shape (n_outputs,), or (1,) where the loss couples the outputs
    tight : bool
        Whether little of the distance that was asked for lies below the minimum.
    """

    def __init__(self, objective, loss, X):
        self.objective, self.loss, self.X, self.tight = objective, loss, X, False
        problem, metric = objective.problem, objective.metric
        self.kinks = Kinks.of(objective)
        self.coupled = loss.is_multiclass(problem.k)
        self.units = metric.unit[:1] if self.coupled else metric.unit
        self.lower, self.rounding = np.full(len(self.units), -np.inf), np.zeros(len(self.units))
        weights = problem.row_weights()
        self.share = weights / weights.sum()
        self.targets, hessian_diag = objective.targets, objective.penalty_hessian_diag
        self.hessian_diag = np.where(hessian_diag > FAINT, hessian_diag, 0.0)
        # Rows without slopes say that no loss is below its least value.
        flat = self._conjugate(np.zeros((problem.n, problem.k)))
        if np.all(np.isfinite(flat)):
            self.lower = -self.share @ flat

    def distance(self, values):
        """Return how far values of the objective, output by output, can be from the minimum."""
        values = self._by_group(values)
        return float(np.sum(np.maximum(values - self.lower, 0.0) + self.rounding))

    @np.errstate(over="ignore", invalid="ignore")
    def improve(self, slopes, parameter_sizes=0.0):
        """Take slopes of the rows, of shape (n_samples, n_outputs), and tell if they bound better.

        parameter_sizes are near the minimum: sums that should be zero and are not quite
        count with it.
        """
        for share in SHRUNK:
            if np.all(np.isfinite(self._conjugate(share * slopes))):
                lower, rounding = self._bound(share * slopes, parameter_sizes)
                better = lower - rounding > self.lower - self.rounding
                self.lower = np.where(better, lower, self.lower)
                self.rounding = np.where(better, rounding, self.rounding)
                return bool(np.any(better))
        return False

    def improve_at(self, x, smooth=None):
        """Take the slopes of the rows at a point, those of a smooth loss in place of the own.

        Where they pull an intercept, those that pull it harder are scaled down.
        """
        objective = self.objective
        k, p = objective.metric.inverse.shape
        z = margins(self.X, *objective.raw(x))
        slopes = (smooth or self.loss).compiled(k).apply("gradient", objective.targets, z)
        if p > objective.problem.d:
            up, down = (self.share @ np.maximum(part, 0.0) for part in (slopes, -slopes))
            least = np.minimum(up, down)
            up, down = (np.divide(least, s, out=np.ones(k), where=s > 0) for s in (up, down))
            slopes = slopes * np.where(slopes > 0, up, down)
        return self.improve(slopes, np.abs(x).reshape(self.hessian_diag.shape))

    def _bound(self, slopes, parameter_sizes):
        """Return the bound of slopes and its rounding, by group of outputs."""
        sums, sizes = self._sums(slopes)
        if self.coupled:
            # A row's probabilities add up to 1: what rounding leaves of one is no share of it.
            sizes = np.broadcast_to(sizes.max(axis=0), sizes.shape)
        penalties = further = np.zeros(sums.shape)
        if self.kinks is not None:
            l1, low, high = (
                part.reshape(sums.shape)
                for part in (self.kinks.l1, self.kinks.lower, self.kinks.upper)
            )
            # Slopes that ask for more than l1 allows are shrunk until they do not.
            free = (self.hessian_diag == 0) & np.isinf(np.where(sums > 0, low, high)) & (l1 > 0)
            allowed = np.divide(l1, np.abs(sums), out=np.ones(sums.shape), where=free & (sums != 0))
            allowed = np.minimum(1.0, allowed.min(axis=1))
            allowed = np.full(len(sums), allowed.min()) if self.coupled else allowed
            slopes, sums = slopes * allowed, sums * allowed[:, None]
            penalties = self._conjugates(sums, sizes, l1, low, high, parameter_sizes)
            hidden = np.where(
                self.hessian_diag > 0, np.sign(sums) * self._rounding_of_sums(slopes), 0.0
            )
            further = self._conjugates(sums + hidden, sizes, l1, low, high, parameter_sizes)
            further = further - penalties
        penalties, further = (
            self._by_group(part.sum(axis=1) / self.objective.metric.unit)
            for part in (penalties, further)
        )
        conjugates = self._conjugate(slopes)
        lower = -self.share @ conjugates - penalties
        terms = self.share @ np.abs(conjugates) + np.abs(penalties)
        return np.where(np.isfinite(lower), lower, -np.inf), ROUNDING * terms + further

    def _rounding_of_sums(self, slopes):
        """Return the rounding of the sums of slopes times features.

        In the metric no feature has a larger spread than one over the root of the loss's curvature.
        """
        metric = self.objective.metric
        size = np.sqrt(self.share @ slopes**2 * metric.unit / self.objective.curvature)[:, None]
        if sparse.issparse(self.X):
            far = np.zeros(metric.inverse.shape)
            far[:, :len(metric.mean)] = np.abs(metric.mean)
            sums = (self.share @ np.abs(slopes) * metric.unit)[:, None]
            size = size + far * metric.inverse * sums
        return ROUNDED * size

    def _conjugate(self, slopes):
        """Return the conjugates of the rows' losses; rows without weight do not count."""
        values = self.loss.conjugate(self.targets, slopes).reshape(len(slopes), -1)
        return np.where(self.share[:, None] > 0, values, 0.0)

    def _sums(self, slopes):
        """Return the weighted sums of slopes times features, and of the terms' sizes.

        The sizes are those of parameters without penalty, whose sums must be zero.
        """
        metric, d = self.objective.metric, self.objective.problem.d
        weighted = slopes * self.share[:, None]
        sums, sizes = (np.zeros(metric.inverse.shape) for _ in range(2))
        sized = np.any(self.hessian_diag[:, :d] == 0)
        for part in parts_of(self.X):
            rows, w = self.X[part], weighted[part]
            if sparse.issparse(rows):
                sums[:, :d] += (rows.T @ w).T - np.outer(w.sum(axis=0), metric.mean)
                if sized:
                    sizes[:, :d] += (abs(rows).T @ np.abs(w)).T
                    sizes[:, :d] += np.outer(np.abs(w).sum(axis=0), np.abs(metric.mean))
            else:
                rows = rows - metric.mean
                sums[:, :d] += w.T @ rows
                if sized:
                    sizes[:, :d] += np.abs(w).T @ np.abs(rows)
        sums[:, d:], sizes[:, d:] = (w.sum(axis=0)[:, None] for w in (weighted, np.abs(weighted)))
        scale = metric.inverse * metric.unit[:, None]
        return sums * scale, sizes * scale

    def _conjugates(self, sums, sizes, l1, low, high, parameter_sizes):
        """Return ``sup_v -q v - l1 |v| - hessian_diag v^2 / 2`` within bounds, per parameter."""
        pull = -np.sign(sums) * np.maximum(np.abs(sums) - l1, 0.0)
        end = np.where(pull > 0, high, np.where(pull < 0, low, 0.0))
        v = np.divide(pull, self.hessian_diag, out=end, where=self.hessian_diag > 0)
        v = np.clip(v, low, high)
        # What should be zero and is rounding counts with the size of the parameters.
        rounding = np.isinf(v) & (np.abs(pull) <= BALANCED * sizes)
        v = np.where(rounding, 10.0 * np.sign(pull) * (1.0 + parameter_sizes), v)
        return -sums * v - l1 * np.abs(v) - 0.5 * self.hessian_diag * v**2

    def _by_group(self, values):
        return values.sum(keepdims=True) if self.coupled else values


def knows_gap(objective, loss):
    """Tell whether the slopes of the rows at an ordinary point bound the minimum from below.

    Without an end and a penalty, a coefficient leaves them no freedom; nor does a softmax, whose
    slopes must vanish together over the outputs of each row and over the rows of each output.
    """
    kinks = Kinks.of(objective)
    if kinks is None or loss.is_multiclass(objective.problem.k) or not knows_conjugate(loss):
        return False
    shape = objective.metric.inverse.shape
    closed = (kinks.l1 > 0) | (np.isfinite(kinks.lower) & np.isfinite(kinks.upper))
    closed = closed.reshape(shape) | (objective.penalty_hessian_diag > 0)
    closed |= objective.metric.inverse == 0
    return bool(np.all(closed[:, :objective.problem.d]))


def knows_conjugate(loss):
    """Tell whether a loss's conjugate is its own, and not that of a class whose loss it changed."""
    def depth(*names):
        classes = enumerate(type(loss).__mro__)
        return next(i for i, owner in classes if any(name in vars(owner) for name in names))

    return depth("conjugate") <= depth("value", "gradient", "Rule")
