"""Kinks of a penalty, coordinate by coordinate, and the minimum of a quadratic with them.

Where signs hold and no coordinate comes to a kink, the sum is a quadratic: a face. Its minimum is a
solve, and those that come to a kink on the way there stay. No later face's minimum is above that of
an earlier one, so that none comes twice.

References
----------
Gill, Murray, Saunders and Wright, Inertia-controlling methods for general quadratic programming,
1991.
Massias, Gramfort and Salmon, Celer: a fast solver for the lasso with dual extrapolation, 2018.
"""

import numpy as np

from skgd._quadratic import sweep_coordinates
from skgd._utils.linalg import solver

# Sweeps over the coordinates that find a face, and the faces that may be found.
SWEEPS, ROUNDS = 10, 200
# The coordinates that are swept, at least, and as a multiple of those at no kink.
FEW, GROWTH = 64, 2
# The damping of a face's solves, and the curvature below which it falls no further.
FLAT, LEAST_DAMPED = 1e-12, 1e-3
# The coordinates that may come to a kink before the others are factorised anew.
HELD = 100
# Moves this small, squared, as a share of the point's size, are rounding.
STILL = 1e-26


class Kinks:
    """A penalty's part that is not smooth: ``sum_j l1_j |x_j|`` within bounds, in the metric.

    Attributes
    ----------
    l1, lower, upper : array of shape (n_parameters,)
    """

    def __init__(self, l1, lower, upper):
        self.l1, self.lower, self.upper = l1, lower, upper

    @classmethod
    def of(cls, objective):
        """Return the kinks of an objective; None where coefficients enter its penalty together."""
        metric, d = objective.metric, objective.problem.d
        separable_form = objective.penalty.separable_form(d)
        if separable_form is None:
            return None
        shape, inverse = metric.inverse.shape, metric.inverse[:, :d]
        parts = np.zeros(shape), np.full(shape, -np.inf), np.full(shape, np.inf)
        l1, lower, upper = separable_form
        parts[0][:, :d] = (objective.alpha * metric.unit)[:, None] * l1 * inverse
        for part, bound in zip(parts[1:], (lower, upper), strict=True):
            np.divide(bound, inverse, out=part[:, :d], where=inverse > 0)
        return cls(*(part.ravel() for part in parts))

    def part(self, part):
        return Kinks(self.l1[part], self.lower[part], self.upper[part])

    def clip(self, x):
        return np.clip(x, self.lower, self.upper)

    def value(self, x):
        return float(self.l1 @ np.abs(x))

    def free(self, x):
        """Tell which coordinates are at no kink."""
        return (self.lower < x) & (x < self.upper) & ((x != 0) | (self.l1 == 0))

    def orthant(self, x):
        """Return the ends between which each free coordinate of x keeps its sign, if l1 has one."""
        low = np.where((self.l1 > 0) & (x > 0), np.maximum(self.lower, 0.0), self.lower)
        high = np.where((self.l1 > 0) & (x < 0), np.minimum(self.upper, 0.0), self.upper)
        return low, high

    def moves_alone(self, x, slope, hessian_diag):
        """Return the move of each coordinate to its minimum while all others stay."""
        length = np.zeros(len(hessian_diag))
        np.divide(1.0, hessian_diag, out=length, where=hessian_diag > 0)
        goal = x - length * slope
        goal = np.sign(goal) * np.maximum(np.abs(goal) - length * self.l1, 0.0)
        return self.clip(goal) - x


def minimise(hessian, gradient, x, kinks, tol):
    """Return the minimum of ``(v - x)' H (v - x) / 2 + gradient' (v - x)`` plus the kinks.

    Parameters
    ----------
    hessian : array of shape (p, p)
        H; a coordinate without curvature stays.
    gradient, x : array of shape (p,)
    kinks : Kinks
    tol : float
        The error that is allowed, as a share of the way from x.
    """
    v, slope, hessian_diag = x.copy(), gradient, hessian.diagonal()
    for _ in range(ROUNDS):
        moves = hessian_diag * kinks.moves_alone(v, slope, hessian_diag) ** 2
        still = max(STILL * float(hessian_diag @ v**2), tol**2 * float(hessian_diag @ (v - x) ** 2))
        if moves.sum() <= still:
            break
        moves[kinks.free(v) & (hessian_diag > 0)] = np.inf
        some = _largest(moves)
        inner = np.ascontiguousarray(hessian[np.ix_(some, some)])
        v[some] = _descend(inner, slope[some], v[some], kinks.part(some), still)
        slope = gradient + hessian @ (v - x)
    return v


def _largest(moves):
    """Return the coordinates to work on: those at no kink, and some that leave theirs."""
    some, most = np.flatnonzero(moves), max(FEW, GROWTH * int(np.isinf(moves).sum()))
    if len(some) > most:
        some = np.sort(some[np.argpartition(-moves[some], most)[:most]])
    return some


def _descend(hessian, slope, v, kinks, still):
    """Return the minimum of the face that sweeps find, or of one below."""
    sweep_coordinates(
        hessian, kinks.l1, kinks.lower, kinks.upper, v, slope, n_sweeps=SWEEPS, tol=still
    )
    # A little damping about this point: along flat directions l1 still has a slope.
    start, first = v.copy(), slope
    hessian[np.diag_indices(len(v))] += FLAT * np.maximum(hessian.diagonal(), LEAST_DAMPED)
    held = True
    while held:
        held = _descend_face(hessian, slope, v, kinks)
        slope = first + hessian @ (v - start)
    return v


def _descend_face(hessian, slope, v, kinks):
    """Move v towards the minimum of its face; return whether coordinates came to a kink.

    Those are held there: with the columns of the inverse that belong to them, the minimum along
    the others is known without another factorisation.
    """
    free = np.flatnonzero(kinks.free(v))
    inner, at, kinks = hessian[np.ix_(free, free)], v[free], kinks.part(free)
    low, high = kinks.orthant(at)
    solve, slope = solver(inner), slope[free] + kinks.l1 * np.sign(at)
    lowest = goal = at - solve(slope)
    held, columns = np.empty(0, dtype=int), np.empty((len(free), 0))
    while len(held) <= HELD:
        at, slope = _lower(inner, slope, at, np.clip(goal, low, high), _stop(at, goal, low, high))
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


def _lower(hessian, slope, at, *points):
    """Return the point at which a quadratic is lower, and its slope there."""
    changes = [hessian @ (point - at) for point in points]
    falls = [
        float((slope + 0.5 * change) @ (point - at))
        for point, change in zip(points, changes, strict=True)
    ]
    best = int(np.argmin(falls))
    return points[best], slope + changes[best]
