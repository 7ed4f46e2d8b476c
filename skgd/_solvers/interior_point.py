"""A primal-dual interior point method for piecewise-linear losses.

Such a loss is a sum of functions ``max over low <= a <= high of a (z - position)``, and so are l1
and bounds on the coefficients. With the dual variables a as unknowns in addition to the parameters
x, and slacks ``z - position = above - below``, the conditions of optimality are::

    diag x + A' (share a) + (penalty's a) = 0
    above (high - a) = 0,   below (a - low) = 0,   above, below >= 0

Each iteration takes a Newton step on them with the products at a common centre, first a predictor
with centre 0, then a corrector with the centre ``(ahead / before)^3`` and the second-order terms of
the predictor. It solves one system ``A' D A + E`` with as many unknowns as there are parameters,
whatever the scale of the columns, and some twenty iterations lead from anywhere to rounding. With
fewer rows than parameters, ``B = D^(1/2) A`` and the columns C of B of parameters without penalty,
it is one of as many unknowns as there are rows::

    (I + B E^-1 B') y = B E^-1 r + C v_C,   C' y = r_C,   v = E^-1 (r - B' y)

The method stops on the gap between the objective and the bound of the dual variables. For the next
alpha it starts from an iterate that was well inside the bounds, where the products are alike: from
the end, most steps would be cut off at a bound that is not that of the other minimum.

References
----------
Gondzio, Warm start of the primal-dual method applied in the cutting-plane scheme, 1998.
Mehrotra, On the implementation of a primal-dual interior point method, 1992.
"""

import numpy as np
from scipy import linalg

from skgd._descent.full_batch import train_full_batch
from skgd._descent.solution import Solution, Stop
from skgd._problem.scaled_rows import row_blocks
from skgd._solvers import flat_intercept
from skgd._solvers.active_set import SeparablePenalty
from skgd._solvers.costs import Factorisation, LBFGSStart, Work
from skgd._solvers.costs import InteriorPointLimits as Limits
from skgd._solvers.interior_iterate import InteriorIterate
from skgd._utils.linalg import one_thread
from skgd.optimizers import FullBatchOptimizer


def suits(objective):
    """Tell whether the interior point method can minimise an objective."""
    problem, p = objective.problem, objective.shape[1]
    return (
        objective.loss.piecewise_linear(np.zeros((1, problem.k))) is not None
        and min(p, problem.n) <= Factorisation.largest
        and problem.n * p <= Limits.copied
        and problem.may_gather
        and objective.penalty.separable_form(problem.d) is not None
    )


def cost(objective):
    """Return about how many multiplications the descent takes."""
    n, (k, p) = objective.problem.n, objective.shape
    return Work.interior_point_steps * k * n * p * float(min(n, p)) / LBFGSStart.as_fast


def minimise(objective, x, history, *, interior=None):
    """Return the `Solution` of a descent from x; see `auto.solve`.

    Parameters
    ----------
    interior : InteriorIterate or None
        That of a descent for another alpha.
    """
    size = float(objective.metric.unit @ np.abs(history.baseline.objectives))
    solver = InteriorPoint(interior, size)
    if history.start_objective > 0.0:  # piecewise-linear losses are never below zero
        x = train_full_batch(solver, objective, x, history)
    history.finish(Stop.PRECISION)
    return Solution(x, dual=solver.dual, interior=solver.interior)


class InteriorPoint(FullBatchOptimizer):
    """Predictor and corrector steps, output by output.

    Parameters
    ----------
    start : InteriorIterate or None, default=None
        That of a descent for another alpha, to start from.
    size : float, default=inf
        The objective of the best constant model.

    Attributes
    ----------
    dual : DualPoint or None
        The dual variables of the rows at the end of a descent.
    interior : InteriorIterate or None
        The last iterate that was well inside.
    """

    descends = False

    def __init__(self, start=None, size=np.inf):
        self.start, self.size, self.dual, self.interior = start, size, None, start

    def solve(self, objective, x, monitor):
        with one_thread(), np.errstate(over="ignore"):
            return self._solve(objective, x, monitor)

    def _solve(self, objective, x, monitor):
        if self.start is not None:
            end, is_over = self._follow(objective, x, monitor, self.start)
            if is_over:
                return end
            # Rounding has taken over before the end.
        return self._follow(objective, x, monitor)[0]

    def _follow(self, objective, x, monitor, start=None):
        """Return where the paths lead from x, or from another iterate, and whether that is the end.

        It is not where they cannot be followed any further.
        """
        # Constant columns have no coefficients to find.
        varying = np.flatnonzero(objective.metric.inverse[0] > 0)
        paths = _paths(objective, x, varying)
        problem, length, gap = objective.problem, 1.0, np.inf
        small = Limits.further * Limits.no_gap * self.size
        rounding = _Rounding(
            Limits.further * Limits.small * self.size, Limits.risen if start is None else 0
        )
        if start is not None:
            start.enter(objective, paths, varying)
        while not monitor(x, np.nan, np.zeros(len(x)), length, gap):
            length = max(path.advance() for path in paths)
            problem.counter.passes += 3
            # A step more than the objective needs tells which parameters are zero.
            left = Limits.further * sum(path.gap() for path in paths)
            if rounding.takes_over(left):
                break
            penalty = sum(path.penalty() for path in paths)
            least = max(Limits.kept * self.size, Limits.kept_penalty * penalty)
            if left >= Limits.further * least:
                self.interior = InteriorIterate.of(objective, paths, varying)
            gap, x = left, np.zeros(objective.shape)
            x[:, varying] = [path.point() for path in paths]
            x = x.ravel()
            dual = np.column_stack([path.dual(problem.n) for path in paths])
            self.dual = problem.dual_point(dual)
            if length < Limits.stuck:
                break
        else:
            return x, True
        return x, gap <= small


class _Rounding:
    """Whether rounding has taken over: the gap rises though it is small, or does not fall again.

    Where parameters tend to infinity, a gap that is not small may rise for a few iterations.
    """

    def __init__(self, small, most_risen):
        self.small, self.most_risen = small, most_risen
        self.least, self.n_risen = np.inf, 0

    def takes_over(self, gap):
        """Take in the gap after an iteration; return whether smoothing takes over."""
        if gap <= Limits.rise * self.least:
            self.least, self.n_risen = gap, 0
            return False
        self.n_risen += 1
        return self.least <= self.small or self.n_risen > self.most_risen or np.isnan(gap)


def _paths(objective, x, varying):
    """Return a path for each output, in coordinates and units in which all numbers are near 1.

    Parameters
    ----------
    objective : Objective
    x : array of shape (n_parameters,)
    varying : intp array of shape (q,)
        Which parameters of an output are on its path.
    """
    problem, metric, shape = objective.problem, objective.metric, objective.shape
    penalty = SeparablePenalty.of(objective)
    x, l1, lower, upper = (
        part.reshape(shape)[:, varying] for part in (x, penalty.l1, penalty.lower, penalty.upper)
    )  # fmt: skip
    rows = problem.weighted_rows()
    rows = np.arange(problem.n) if rows is None else rows
    share, diag = problem.shares()[rows], objective.penalty_hessian_diag[:, varying]
    targets = problem.signed_targets()[rows]
    position, low, high = np.broadcast_arrays(*problem.loss.piecewise_linear(targets))
    paths, features = [], None
    for c in range(problem.k):
        scale = metric.inverse[c] * metric.unit[c]
        if c == 0 or not np.array_equal(scale, metric.inverse[c - 1] * metric.unit[c - 1]):
            features = problem.dense_scaled_rows(rows, metric.mean, scale)
            if len(varying) < shape[1]:
                features = features[:, varying]
        losses = _PiecewiseLinear(
            metric.unit[c] * position[..., c], low[..., c], high[..., c], share, features @ x[c]
        )
        zeros, ones = np.zeros(len(varying)), np.ones(len(varying))
        # l1, the lower and the upper bounds; what is infinite is no bound.
        penalties = _PiecewiseLinear(
            np.array([zeros, *(np.where(np.isfinite(b[c]), b[c], 0.0) for b in (lower, upper))]),
            np.array([-ones, -np.inf * ones, zeros]), np.array([ones, zeros, np.inf * ones]),
            np.array([l1[c], np.isfinite(lower[c]), np.isfinite(upper[c])]), x[c],
        )  # fmt: skip
        intercept = scale[-1] if shape[1] > problem.d else 0.0
        paths.append(_Path(features, rows, x[c], diag[c], losses, penalties, intercept))
    return paths


class _Path:
    """The path of one output: minimise ``losses(A x) + penalties(x) + x' diag x / 2``.

    The last column is that of the intercept, unless that is 0.
    """

    def __init__(self, features, rows, x, diag, losses, penalties, intercept):
        self.intercept = intercept
        self.features, self.rows, self.x, self.diag = features, rows, x.copy(), diag
        self.parts = losses, penalties
        # More parameters with a curvature, of l1 or bounds at least, than rows.
        bounded = (penalties.share > 0).any(axis=0) | (diag > 0)
        self.by_rows = len(features) + np.count_nonzero(~bounded) < len(diag)

    def advance(self):
        """Take a step; return its length, at most 1, and 0 where rounding is reached."""
        losses, penalties = self.parts
        count = sum(part.count for part in self.parts)
        before = sum(part.products() for part in self.parts)
        if not before > Limits.reached * count:
            return 0.0
        A, x = self.features, self.x
        residual = self._residual()
        diag = self.diag + penalties.second_derivatives()
        second = losses.second_derivatives()
        solve = (_row_system if self.by_rows else _system)(A, second, diag)

        def direction(centre, correct):
            sides = [part.right_hand_side(at, centre, correct) for part, at in self._at(x)]
            change = solve(sides[0] @ A + sides[1] - residual)
            for part, at in self._at(change):
                part.set_direction(at)
            return change, min(part.longest_step() for part in self.parts)

        _, length = direction(0.0, correct=False)
        ahead = sum(part.products(min(1.0, length)) for part in self.parts)
        centre = (ahead / before) ** 3 * before / count
        change, longest = direction(centre, correct=True)
        length = min(1.0, Limits.to_bound * longest)
        for part in self.parts:
            part.advance(length)
        self.x = x + length * change
        return length

    def _at(self, x):
        """Return the losses and the penalties, each with what it sees of x."""
        losses, penalties = self.parts
        return (losses, self.features @ x), (penalties, x)

    def _residual(self):
        losses, penalties = self.parts
        return self.diag * self.x + losses.gradient() @ self.features + penalties.gradient()

    def gap(self):
        """Return how far the objective is from the bound of the dual variables, about."""
        gap = sum(part.products() for part in self.parts)
        return gap + float(np.abs(self._residual()) @ (1.0 + np.abs(self.x)))

    def penalty(self):
        """Return the penalty of the parameters."""
        penalties = self.parts[1]
        linear = np.abs(penalties.share * penalties.dual).sum(axis=0) @ np.abs(self.x)
        return 0.5 * float(self.diag @ self.x**2) + float(linear)

    def point(self):
        """Return the parameters, exactly at the kinks that they tend to."""
        x = self.x.copy()
        at = self.parts[1].at_kink(x)
        for position, near in zip(self.parts[1].position, at, strict=True):
            x[near] = position[near]
        x = self._on_row_kinks(x, ~at.any(axis=0)) if self.by_rows else x
        if self.intercept:
            losses = self.parts[0]
            x[-1] += flat_intercept.to_centre(
                self.features @ x, losses.position, losses.low, losses.high, losses.share
            ) / self.intercept  # fmt: skip
        return x

    def _on_row_kinks(self, x, free):
        """Return x with its free part moved to where rows are at the kinks that they tend to.

        What parameters at kinks have been moved by would count with the slopes of these rows.
        """
        losses, z = self.parts[0], self.features @ x
        at = losses.at_kink(self.features @ self.x)
        rows = np.flatnonzero(at.any(axis=0))
        if not 0 < len(rows) <= np.count_nonzero(free):
            return x
        goal = np.where(at, losses.position, 0.0).sum(axis=0)[rows] - z[rows]
        size = np.abs(x[free])
        move = size * linalg.lstsq(
            self.features[np.ix_(rows, free)] * size, goal, lapack_driver="gelsy",
            check_finite=False,
        )[0]  # fmt: skip
        if np.all(np.abs(move) < size):
            x[free] += move
        return x

    def dual(self, n):
        """Return the dual variables of all n rows."""
        result = np.zeros(n)
        result[self.rows] = self.parts[0].dual.sum(axis=0)
        return result


def _system(A, second, diag):
    """Return the function that solves systems with ``A' D A + E``, of diagonals D and E."""
    matrix = np.diag(diag)
    for part in row_blocks(*A.shape):
        weighted = A[part] * np.sqrt(second[part])[:, None]
        matrix += weighted.T @ weighted
    return _solver(matrix)


def _row_system(A, second, diag):
    """Return the same function, by a system of as many unknowns as there are rows."""
    inverse, border = np.zeros(len(diag)), np.flatnonzero(diag == 0)
    np.divide(1.0, diag, out=inverse, where=diag > 0)
    weighted = A * np.sqrt(inverse)
    roots = np.sqrt(second)
    weighted *= roots[:, None]
    matrix = weighted @ weighted.T
    matrix[np.diag_indices(len(A))] += 1.0
    solve_rows, columns = _solver(matrix), roots[:, None] * A[:, border]
    images = np.column_stack([solve_rows(column) for column in columns.T]) if len(border) else (
        np.zeros(columns.shape)
    )
    solve_border = _solver(columns.T @ images)

    def solve(right):
        start = solve_rows(roots * (A @ (inverse * right)))
        free = solve_border(right[border] - columns.T @ start)
        result = inverse * (right - (roots * (start + images @ free)) @ A)
        result[border] = free
        return result

    def refined(right):
        result, residual = np.zeros(len(right)), right
        size = goal = float(np.linalg.norm(right))
        for _ in range(Limits.refinements):
            better = result + solve(residual)
            left = right - (second * (A @ better)) @ A - diag * better
            if not np.linalg.norm(left) < size:
                break
            result, residual, size = better, left, float(np.linalg.norm(left))
            if size <= Limits.refined * goal:
                break
        return result

    return refined


def _solver(matrix):
    """Return the function that solves systems with a matrix that may be singular but for rounding.

    Small curvatures count as much as large ones here, so that none is left out.
    """
    diagonal = matrix.diagonal()
    scale = np.divide(1.0, np.sqrt(diagonal), out=np.zeros(len(diagonal)), where=diagonal > 0)
    matrix = matrix * scale[:, None] * scale
    for damping in Limits.dampings:
        try:
            matrix[np.diag_indices(len(diagonal))] = 1.0 + damping
            factor = linalg.cho_factor(matrix, lower=True, check_finite=False)
            return lambda row: scale * linalg.cho_solve(factor, scale * row, check_finite=False)
        except linalg.LinAlgError:
            pass
    return np.zeros_like


class _PiecewiseLinear:
    """``sum share * max over low <= a <= high of a (z - position)``, and the dual variables a.

    Where z lies above the position by ``above`` and below it by ``below``, both at least 0, the
    dual variable is at its upper and its lower end: ``above * (high - dual)`` and
    ``below * (dual - low)`` go to 0 together along the path.

    Attributes
    ----------
    position, low, high, dual, above, below : array of shape (kinks, q)
    share : array of shape (q,) or (kinks, q)
        0 where there is no kink.
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
        self.dual = np.where(self.share > 0, 0.5 * (low + high), 0.0)

    def move_to(self, dual, above, below, unit):
        """Take the dual variables and distances of another path, which are in other units."""
        self.dual = dual.copy()
        self.above, self.below = (
            np.where(where, unit * part, 0.0)
            for part, where in ((above, self.upper), (below, self.lower))
        )

    def _sides(self):
        up = np.where(self.upper, self.high - self.dual, 1.0)
        down = np.where(self.lower, self.dual - self.low, 1.0)
        # Differences that rounding has made 0 are not.
        return np.maximum(up, Limits.tiny), np.maximum(down, Limits.tiny)

    def second_derivatives(self):
        """Return the second derivatives that stand for the kinks in the system."""
        up, down = self._sides()
        self.inverse = np.zeros(self.dual.shape)
        resistance = self.above / up + self.below / down
        np.divide(1.0, resistance, out=self.inverse, where=resistance > 0)
        return np.sum(self.share * self.inverse, axis=0)

    def right_hand_side(self, z, centre, correct):
        """Return the right-hand side of the system, for products that all go to centre.

        correct tells whether to allow for the second-order terms of the last direction.
        """
        up, down = self._sides()
        goal_up, goal_down = centre - self.above * up, centre - self.below * down
        if correct:
            goal_up = goal_up + self.d_above * self.d_dual
            goal_down = goal_down - self.d_below * self.d_dual
        self.goal_up = np.where(self.upper, goal_up, 0.0) / up
        self.goal_down = np.where(self.lower, goal_down, 0.0) / down
        off = z - self.position - self.above + self.below
        self.offset = self.goal_up - self.goal_down - off
        return np.sum(self.share * self.inverse * self.offset, axis=0)

    def set_direction(self, dz):
        """Keep the direction that goes with a change of z."""
        up, down = self._sides()
        self.d_dual = self.inverse * (dz - self.offset)
        self.d_above = np.where(self.upper, self.goal_up + self.above / up * self.d_dual, 0.0)
        self.d_below = np.where(self.lower, self.goal_down - self.below / down * self.d_dual, 0.0)

    def longest_step(self):
        """Return the step along the direction at which the first inequality becomes an equation."""
        up, down = self._sides()
        longest = 1e300
        for value, change, where in (
            (self.above, self.d_above, self.upper), (self.below, self.d_below, self.lower),
            (up, -self.d_dual, self.upper), (down, self.d_dual, self.lower),
        ):  # fmt: skip
            falling = where & (change < 0)
            longest = min(longest, np.min(value[falling] / -change[falling], initial=1e300))
        return longest

    def products(self, step=0.0):
        """Return the sum of what goes to 0, here or after a step."""
        up, down = self._sides()
        if step:
            up, down = up - step * self.d_dual, down + step * self.d_dual
            above, below = self.above + step * self.d_above, self.below + step * self.d_below
        else:
            above, below = self.above, self.below
        return float(np.sum(self.share * (self.upper * above * up + self.lower * below * down)))

    def advance(self, step):
        self.dual = self.dual + step * self.d_dual
        self.above = self.above + step * self.d_above
        self.below = self.below + step * self.d_below

    def gradient(self):
        return np.sum(self.share * self.dual, axis=0)

    def at_kink(self, z):
        """Return for each kink whether z is near it and its dual variable far from the ends."""
        up, down = self._sides()
        away = np.abs(z - self.position)
        longest = np.minimum(np.where(self.upper, up, np.inf), np.where(self.lower, down, np.inf))
        return (self.share > 0) & (away < Limits.near * longest)
