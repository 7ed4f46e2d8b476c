"""An active-set method for quadratics with l1 and bounds.

    min over v of  (v - x)' H (v - x) / 2 + g' (v - x) + sum_j l1_j |v_j|,   lower <= v <= upper

The active coordinates are those at a point of non-differentiability: a bound, or 0 where l1 counts.
While signs hold and no further coordinate becomes active, the sum is a quadratic in the free ones,
and its minimum one solve. Coordinates that become active on the way there stay. Each subproblem's
minimum lies below that of the one before, so that none comes twice. Coordinate descent finds the
first active set; where the minimum is to be exact, and it is fast, it goes all the way. The method
stops where the coordinate-wise minimisers move v by no more than the tolerance, in the norm of H's
diagonal.

References
----------
Gill, Murray, Saunders and Wright, Inertia-controlling methods for general quadratic programming,
1991.
Massias, Gramfort and Salmon, Celer: a fast solver for the lasso with dual extrapolation, 2018.
"""

import numpy as np

from skgd._solvers.coordinate_descent import sweep_coordinates
from skgd._solvers.costs import ActiveSet
from skgd._solvers.gram_descent import descend
from skgd._utils.linalg import solver


class SeparablePenalty:
    """A penalty's non-smooth part, ``sum_j l1_j |x_j|`` within bounds, in the metric.

    Attributes
    ----------
    l1, lower, upper : array of shape (n_parameters,)
    """

    def __init__(self, l1, lower, upper):
        self.l1, self.lower, self.upper = l1, lower, upper

    @classmethod
    def of(cls, objective):
        """Return that of an objective; None where coefficients enter its penalty together."""
        metric, d = objective.metric, objective.problem.d
        separable = objective.penalty.separable_form(d)
        if separable is None:
            return None
        shape, inverse = metric.inverse.shape, metric.inverse[:, :d]
        parts = np.zeros(shape), np.full(shape, -np.inf), np.full(shape, np.inf)
        l1, lower, upper = separable
        parts[0][:, :d] = (objective.alpha * metric.unit)[:, None] * l1 * inverse
        # What nothing depends on, of a constant column, is kept at 0 and takes no part.
        parts[0][:, :d][inverse == 0] = 1.0
        for part, bound in zip(parts[1:], (lower, upper), strict=True):
            np.divide(bound, inverse, out=part[:, :d], where=inverse > 0)
        return cls(*(part.ravel() for part in parts))

    def part(self, part):
        """Return that of some of the coordinates."""
        return SeparablePenalty(self.l1[part], self.lower[part], self.upper[part])

    def clip(self, x):
        """Return the nearest point within the bounds."""
        return np.clip(x, self.lower, self.upper)

    def value(self, x):
        return float(self.l1 @ np.abs(x))

    def free(self, x):
        """Tell which coordinates are not active."""
        return (self.lower < x) & (x < self.upper) & ((x != 0) | (self.l1 == 0))

    def ordered(self, at):
        """Return parameter numbers in the order in which a descent takes them."""
        return at

    def proximal_steps(self, objective, x, gradient):
        """Return the steps of the parameters to the proximal point."""
        return self.coordinate_steps(x, gradient, np.ones(len(x)))

    def by_group(self, squares):
        """Return the sum over each parameter's group, which is the parameter alone."""
        return squares

    def closed(self):
        """Tell for which parameters the penalty rises in both directions."""
        return (self.l1 > 0) | (np.isfinite(self.lower) & np.isfinite(self.upper))

    def allowed(self, sums, diag):
        """Return what dual products with the columns, times it, are in the domain of the conjugate.

        Parameters
        ----------
        sums, diag : array of shape (n_parameters,)
            The products, and the curvature of the penalty.
        """
        if not self.l1.any():
            return np.ones(len(sums))
        is_open = np.isinf(np.where(sums > 0, self.lower, self.upper))
        shrunk = (diag == 0) & is_open & (self.l1 > 0) & (sums != 0)
        allowed = np.divide(self.l1, np.abs(sums), out=np.ones(len(sums)), where=shrunk)
        return np.minimum(1.0, allowed)

    def dual_bounds(self, sums):
        """Return (l1, lower, upper) with the same conjugate at products in its domain."""
        return self.l1, self.lower, self.upper

    def orthant(self, x):
        """Return the ends between which each free coordinate of x keeps its sign, if l1 has one."""
        low = np.where((self.l1 > 0) & (x > 0), np.maximum(self.lower, 0.0), self.lower)
        high = np.where((self.l1 > 0) & (x < 0), np.minimum(self.upper, 0.0), self.upper)
        return low, high

    def coordinate_steps(self, x, gradient, curvature):
        """Return the step of each coordinate to its minimum while all others stay."""
        length = np.divide(1.0, curvature, out=np.zeros(len(curvature)), where=curvature > 0)
        goal = x - length * gradient
        goal = np.sign(goal) * np.maximum(np.abs(goal) - length * self.l1, 0.0)
        return self.clip(goal) - x


def active_set_qp(hessian, gradient, x, penalty, tol):
    """Return the minimum of a quadratic about x plus a separable penalty.

    Parameters
    ----------
    hessian : array of shape (p, p)
        H; a coordinate without curvature stays.
    gradient, x : array of shape (p,)
    penalty : SeparablePenalty
    tol : float
        The error that is allowed, as a share of the way from x.
    """
    v, slope, curvature = x.copy(), gradient, hessian.diagonal()
    if tol == 0.0:
        slope = _descend(hessian, gradient, v, penalty)
    for _ in range(ActiveSet.rounds):
        steps = curvature * penalty.coordinate_steps(v, slope, curvature) ** 2
        enough = max(
            ActiveSet.rounding * float(curvature @ v**2), tol**2 * float(curvature @ (v - x) ** 2)
        )
        if steps.sum() <= enough:
            break
        steps[penalty.free(v) & (curvature > 0)] = np.inf
        working = _working_set(steps)
        block = np.ascontiguousarray(hessian[np.ix_(working, working)])
        v[working] = _minimise(block, slope[working], v[working], penalty.part(working), enough)
        slope = gradient + hessian @ (v - x)
    return v


def _descend(hessian, gradient, v, penalty):
    """Move v by coordinate descent where that is fast; return the gradient there."""
    start, slope = v.copy(), gradient.copy()
    descend(
        np.ascontiguousarray(hessian), penalty.l1, np.zeros(len(v)), penalty.lower, penalty.upper,
        v, slope, np.empty(len(v), dtype=np.intp), tol=ActiveSet.rounding,
        patience=ActiveSet.patience, work=ActiveSet.work,
    )  # fmt: skip
    # Updates add up rounding.
    return gradient + hessian @ (v - start)


def _working_set(steps):
    """Return the coordinates to work on: the free ones, and the active ones that move most."""
    working = np.flatnonzero(steps)
    most = max(ActiveSet.least, ActiveSet.growth * int(np.isinf(steps).sum()))
    if len(working) > most:
        working = np.sort(working[np.argpartition(-steps[working], most)[:most]])
    return working


def _minimise(hessian, gradient, v, penalty, enough):
    """Return the minimum with the active set that coordinate descent finds, or with a later one."""
    sweep_coordinates(
        hessian, penalty.l1, penalty.lower, penalty.upper, v, gradient,
        n_sweeps=ActiveSet.sweeps, tol=enough,
    )  # fmt: skip
    # A little damping about this point: along flat directions l1 still has a derivative.
    start, first, diagonal = v.copy(), gradient, np.diag_indices(len(v))
    hessian[diagonal] += ActiveSet.damping * np.maximum(
        hessian.diagonal(), ActiveSet.least_damped
    )
    grew = True
    while grew:
        grew = _minimise_free(hessian, gradient, v, penalty)
        gradient = first + hessian @ (v - start)
    return v


def _minimise_free(hessian, gradient, v, penalty):
    """Move v towards the minimum in the free coordinates; return whether some became active.

    Those are held there: with the columns of the inverse that belong to them, the minimum along
    the others is known without another factorisation.
    """
    free = np.flatnonzero(penalty.free(v))
    block, at, penalty = hessian[np.ix_(free, free)], v[free], penalty.part(free)
    low, high = penalty.orthant(at)
    solve, slope = solver(block), gradient[free] + penalty.l1 * np.sign(at)
    lowest = goal = at - solve(slope)
    held, columns = np.empty(0, dtype=int), np.empty((len(free), 0))
    while len(held) <= ActiveSet.held:
        inside, stopped = np.clip(goal, low, high), _stop(at, goal, low, high)
        at, slope = _lowest(block, slope, at, inside, stopped)
        new = np.setdiff1d(np.flatnonzero((at == low) | (at == high)), held)
        if not len(new):
            break
        held = np.append(held, new)
        units = np.equal.outer(np.arange(len(free)), new).astype(float)
        columns = np.column_stack([columns, *(solve(unit) for unit in units.T)])
        goal = lowest + columns @ solver(columns[held])(at[held] - lowest[held])
        goal[held] = at[held]
    v[free] = at
    return len(held) > 0


def _stop(at, goal, low, high):
    """Return the point on the way to a goal where the first coordinate comes to an end."""
    move = goal - at
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(move > 0, (high - at) / move, np.where(move < 0, (low - at) / move, np.inf))
    step = min(1.0, room.min(initial=np.inf))
    return np.where(room <= step, np.where(move > 0, high, low), at + step * move)


def _lowest(hessian, gradient, at, *points):
    """Return the point at which a quadratic is lowest, and its gradient there."""
    changes = [hessian @ (point - at) for point in points]
    values = [
        float((gradient + 0.5 * change) @ (point - at))
        for point, change in zip(points, changes, strict=True)
    ]
    best = int(np.argmin(values))
    return points[best], gradient + changes[best]
