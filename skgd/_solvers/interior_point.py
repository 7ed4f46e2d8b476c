"""A primal-dual interior point method for losses of straight pieces.

Such a loss is a sum of hinges, ``max over low <= a <= high of a (z - position)``, and so are l1 and
bounds on the coefficients. With the slopes ``a`` as unknowns beside the parameters, each iteration
solves one system with as many unknowns as there are parameters, whatever the scale of the columns,
and some twenty iterations lead from anywhere to rounding. The slopes bound the minimum from below.

References
----------
Mehrotra, On the implementation of a primal-dual interior point method, 1992.
"""

import numpy as np
from scipy import linalg

from skgd._objective.scaled_rows import blocks_of_rows, standardised
from skgd._solvers.active_set import Kinks
from skgd._solvers.hessian import FACTORISED
from skgd._utils.linalg import one_thread
from skgd.optimizers import FullBatchOptimizer

# Numbers of X of which a standardised copy may be made.
COPIED = 2**25
# The share of the way to the nearest bound that a step takes, and the step that rounding stops.
TO_BOUND, STUCK = 0.995, 1e-8
# How much nearer to the minimum a path goes than tol asks.
FURTHER = 1e3
# The least distance of a slope from its ends.
TINY = 1e-18
# A parameter tends to a kink that is nearer than this share of its slope's distance from its ends.
NEAR = 1e-3
# What is added to a matrix that is singular but for rounding.
DAMPINGS = (0.0, *10.0 ** np.arange(-15.0, -5.0))
# The mean of the products at which a path ends.
REACHED = 1e-15


def takes_hinges(objective, loss):
    """Tell whether the interior point method can descend an objective."""
    problem = objective.problem
    p = objective.metric.inverse.shape[1]
    return (
        loss.piecewise_linear(np.zeros((1, problem.k))) is not None
        and p <= FACTORISED
        and problem.n * p <= COPIED
        and objective.penalty.separable_form(problem.d) is not None
    )


class InteriorPoint(FullBatchOptimizer):
    """Predictor and corrector steps, output by output.

    Parameters
    ----------
    loss : Loss
        With ``piecewise_linear``.
    X : array or CSR matrix of shape (n_samples, n_features)
    """

    descends = False

    def __init__(self, loss, X):
        self.loss = loss
        self.X = X

    def solve(self, objective, x, monitor):
        with one_thread(), np.errstate(over="ignore"):
            return self._solve(objective, x, monitor)

    def _solve(self, objective, x, monitor):
        paths = _paths(objective, self.loss, self.X, x)
        n = objective.problem.n
        step, gap = 1.0, np.inf
        while not monitor(x, np.nan, np.zeros(len(x)), step, gap):
            step = max(path.advance() for path in paths)
            objective.passes += 3
            x = np.concatenate([path.point() for path in paths])
            # A step more than the objective needs tells which parameters are zero.
            gap = FURTHER * sum(path.gap() for path in paths)
            objective.slopes = np.column_stack([path.slopes(n) for path in paths])
            if step < STUCK:
                break
        return x


def _paths(objective, loss, X, x):
    """Return a path for each output, in coordinates and units in which all numbers are near 1."""
    problem, metric = objective.problem, objective.metric
    shape = metric.inverse.shape
    kinks, x = Kinks.of(objective), x.reshape(shape)
    l1, lower, upper = (part.reshape(shape) for part in (kinks.l1, kinks.lower, kinks.upper))
    weights = problem.row_weights()
    rows = np.flatnonzero(weights)
    share, hessian_diag = weights[rows] / weights.sum(), objective.penalty_hessian_diag
    position, low, high = np.broadcast_arrays(*loss.piecewise_linear(objective.targets[rows]))
    paths, features = [], None
    for c in range(problem.k):
        scale = metric.inverse[c] * metric.unit[c]
        if c == 0 or not np.array_equal(scale, metric.inverse[c - 1] * metric.unit[c - 1]):
            features = standardised(X, rows, metric.mean, scale)
        losses = _Hinges(
            metric.unit[c] * position[..., c], low[..., c], high[..., c], share, features @ x[c]
        )
        zeros, ones = np.zeros(shape[1]), np.ones(shape[1])
        # l1, the lower and the upper bounds; what is infinite is no bound.
        penalties = _Hinges(
            np.array([zeros, *(np.where(np.isfinite(b[c]), b[c], 0.0) for b in (lower, upper))]),
            np.array([-ones, -np.inf * ones, zeros]), np.array([ones, zeros, np.inf * ones]),
            np.array([l1[c], np.isfinite(lower[c]), np.isfinite(upper[c])]), x[c],
        )  # fmt: skip
        paths.append(_Path(features, rows, x[c], hessian_diag[c], losses, penalties))
    return paths


class _Path:
    """The way of one output: minimise ``losses(A x) + penalties(x) + hessian_diag x^2 / 2``."""

    def __init__(self, features, rows, x, hessian_diag, losses, penalties):
        self.features, self.rows, self.x, self.hessian_diag = features, rows, x.copy(), hessian_diag
        self.parts = losses, penalties

    def advance(self):
        """Take a step; return its length, at most 1, and 0 where rounding is reached."""
        losses, penalties = self.parts
        count = sum(part.count for part in self.parts)
        before = sum(part.products() for part in self.parts)
        if not before > REACHED * count:
            return 0.0
        A, x = self.features, self.x
        residual = self._residual()
        matrix = np.diag(self.hessian_diag + penalties.stiffness())
        stiffness = losses.stiffness()
        for part in blocks_of_rows(*A.shape):
            weighted = A[part] * np.sqrt(stiffness[part])[:, None]
            matrix += weighted.T @ weighted
        solve = _solver(matrix)

        def move(centre, correct):
            pulls = [part.pull(at, centre, correct) for part, at in self._at(x)]
            change = solve(pulls[0] @ A + pulls[1] - residual)
            for part, at in self._at(change):
                part.plan(at)
            return change, min(part.room() for part in self.parts)

        _, step = move(0.0, correct=False)
        ahead = sum(part.products(min(1.0, step)) for part in self.parts)
        centre = (ahead / before) ** 3 * before / count
        change, room = move(centre, correct=True)
        step = min(1.0, TO_BOUND * room)
        for part in self.parts:
            part.advance(step)
        self.x = x + step * change
        return step

    def _at(self, x):
        """Return the losses and the penalties, each with what it sees of x."""
        losses, penalties = self.parts
        return (losses, self.features @ x), (penalties, x)

    def _residual(self):
        losses, penalties = self.parts
        return self.hessian_diag * self.x + losses.force() @ self.features + penalties.force()

    def gap(self):
        """Return how far the objective is from the bound of the slopes, about."""
        gap = sum(part.gap() for part in self.parts)
        return gap + float(np.abs(self._residual()) @ (1.0 + np.abs(self.x)))

    def point(self):
        """Return the parameters, exactly at the kinks that they tend to."""
        x = self.x.copy()
        at = self.parts[1].at_kink(x)
        for position, near in zip(self.parts[1].position, at, strict=True):
            x[near] = position[near]
        return x

    def slopes(self, n):
        result = np.zeros(n)
        result[self.rows] = self.parts[0].slope.sum(axis=0)
        return result


def _solver(matrix):
    """Return the function that solves systems with a matrix that may be singular but for rounding.

    Small curvatures count as much as large ones here, so that none is left out.
    """
    hessian_diag = matrix.diagonal()
    scale = np.zeros(len(hessian_diag))
    np.divide(1.0, np.sqrt(hessian_diag), out=scale, where=hessian_diag > 0)
    matrix = matrix * scale[:, None] * scale
    for damping in DAMPINGS:
        try:
            matrix[np.diag_indices(len(hessian_diag))] = 1.0 + damping
            factor = linalg.cho_factor(matrix, lower=True, check_finite=False)
            return lambda row: scale * linalg.cho_solve(factor, scale * row, check_finite=False)
        except linalg.LinAlgError:
            pass
    return np.zeros_like


class _Hinges:
    """``sum share * max over low <= a <= high of a (z - position)``, and the slopes a.

    Where z lies above the position by ``above`` and below it by ``below``, both at least 0, the
    slope is at its upper and its lower end: ``above * (high - slope)`` and
    ``below * (slope - low)`` go to 0 together along the path.

    Attributes
    ----------
    position, low, high, slope, above, below : array of shape (kinks, q)
    share : array of shape (q,) or (kinks, q)
        0 where there is no hinge.
    """

    def __init__(self, position, low, high, share, z):
        self.position, self.low, self.high, self.share = np.broadcast_arrays(
            np.atleast_2d(position), low, high, share
        )
        self.upper, self.lower = (
            np.isfinite(end) & (self.share > 0) for end in (self.high, self.low)
        )
        self.count = float(np.sum(self.share * (1.0 * self.upper + self.lower)))
        away = z - self.position
        slack = 0.1 + np.mean(np.abs(away))
        self.above = np.where(self.upper, np.maximum(away, 0.0) + slack, 0.0)
        self.below = np.where(self.lower, np.maximum(-away, 0.0) + slack, 0.0)
        low, high = np.where(self.lower, self.low, -2.0), np.where(self.upper, self.high, 2.0)
        low = np.where(self.lower | ~self.upper, low, high - 2.0)
        high = np.where(self.upper | ~self.lower, high, low + 2.0)
        self.slope = np.where(self.share > 0, 0.5 * (low + high), 0.0)

    def _sides(self):
        up = np.where(self.upper, self.high - self.slope, 1.0)
        down = np.where(self.lower, self.slope - self.low, 1.0)
        # Differences that rounding has made 0 are not.
        return np.maximum(up, TINY), np.maximum(down, TINY)

    def stiffness(self):
        """Return the second derivatives that stand for the hinges in the system."""
        up, down = self._sides()
        self.inverse = np.zeros(self.slope.shape)
        hessian_diag = self.above / up + self.below / down
        np.divide(1.0, hessian_diag, out=self.inverse, where=hessian_diag > 0)
        return np.sum(self.share * self.inverse, axis=0)

    def pull(self, z, centre, correct):
        """Return the right-hand side of the system, for products that all go to centre.

        correct tells whether to allow for the second-order terms of the last direction.
        """
        up, down = self._sides()
        goal_up, goal_down = centre - self.above * up, centre - self.below * down
        if correct:
            goal_up = goal_up + self.d_above * self.d_slope
            goal_down = goal_down - self.d_below * self.d_slope
        self.goal_up = np.where(self.upper, goal_up, 0.0) / up
        self.goal_down = np.where(self.lower, goal_down, 0.0) / down
        off = z - self.position - self.above + self.below
        self.offset = self.goal_up - self.goal_down - off
        return np.sum(self.share * self.inverse * self.offset, axis=0)

    def plan(self, dz):
        """Keep the direction that goes with a change of z."""
        up, down = self._sides()
        self.d_slope = self.inverse * (dz - self.offset)
        self.d_above = np.where(self.upper, self.goal_up + self.above / up * self.d_slope, 0.0)
        self.d_below = np.where(self.lower, self.goal_down - self.below / down * self.d_slope, 0.0)

    def room(self):
        """Return the step along the direction at which the first inequality becomes an equation."""
        up, down = self._sides()
        room = 1e300
        for value, change, where in (
            (self.above, self.d_above, self.upper), (self.below, self.d_below, self.lower),
            (up, -self.d_slope, self.upper), (down, self.d_slope, self.lower),
        ):  # fmt: skip
            falling = where & (change < 0)
            room = min(room, np.min(value[falling] / -change[falling], initial=1e300))
        return room

    def products(self, step=0.0):
        """Return the sum of what goes to 0, here or after a step."""
        up, down = self._sides()
        if step:
            up, down = up - step * self.d_slope, down + step * self.d_slope
            above, below = self.above + step * self.d_above, self.below + step * self.d_below
        else:
            above, below = self.above, self.below
        return float(np.sum(self.share * (self.upper * above * up + self.lower * below * down)))

    gap = products

    def advance(self, step):
        self.slope = self.slope + step * self.d_slope
        self.above = self.above + step * self.d_above
        self.below = self.below + step * self.d_below

    def force(self):
        return np.sum(self.share * self.slope, axis=0)

    def at_kink(self, z):
        """Tell of each hinge whether z is near its kink, and its slope far from the ends."""
        up, down = self._sides()
        away = np.abs(z - self.position)
        room = np.minimum(np.where(self.upper, up, np.inf), np.where(self.lower, down, np.inf))
        return (self.share > 0) & (away < NEAR * room)
