"""The augmented Lagrangian method for piecewise-linear losses with l1 or bounds.

A loss ``max over low <= a <= high of a (z - target) - band |a|`` is rounded over a width about
dual variables c::

    l(z; c) = max over low <= a <= high of  a (z - target) - band |a| - width (a - c)^2 / 2

which is the loss that is rounded about 0, with the target ``target - width c``. Its minimum over
the coefficients is a step of the proximal point method on the dual variables, and ``a`` there is
the next c (Rockafellar). Unlike a smoothing path, the minima tend to that of the loss itself at any
width. Where slopes of the two sides differ, those of each side have their own unit for a, so that
the step is one in a Bregman distance.

Each minimum is found by proximal Newton steps over working sets (`working_sets`), up to a share of
the proximal step at which it began. Few rows are on a rounded kink, and the others have no
curvature. At a vertex there are as many rows at kinks as there are coefficients that are not; while
there are more on rounded kinks, the width is halved.

The method stops on the duality gap. The dual variables are made feasible by scaling the heavier
sign until they sum to 0, and all of them until l1 allows the products with the columns.

References
----------
Rockafellar, Augmented Lagrangians and applications of the proximal point algorithm in convex
programming, 1976.
Li, Sun and Toh, A highly efficient semismooth Newton augmented Lagrangian method for solving lasso
problems, 2018.
"""

from dataclasses import replace

import numpy as np

from skgd._descent.full_batch import train_full_batch
from skgd._descent.solution import Solution, Stop
from skgd._objective.smoothing import target_spread
from skgd._problem.dual_point import balancing
from skgd._solvers import duality_gap
from skgd._solvers.active_set import SeparablePenalty
from skgd._solvers.costs import Multipliers as Limits
from skgd._solvers.working_sets import WorkingSets
from skgd._utils.linalg import one_thread
from skgd.losses.piecewise_linear import PiecewiseLinear
from skgd.optimizers import FullBatchOptimizer


def suits(objective):
    """Tell whether the augmented Lagrangian method can minimise an objective.

    Its gap must be known, and a change of the margins must be one of the targets.
    """
    loss, problem = objective.loss, objective.problem
    return (
        objective.proximal and isinstance(loss, PiecewiseLinear) and not loss.homogeneous
        and loss.piecewise_linear(np.zeros((1, problem.k))) is not None
        and objective.penalty.separable_form(problem.d) is not None
        and problem.may_gather and problem.keeps_margins and duality_gap.knows_gap(objective)
    )  # fmt: skip


def cost(objective):
    """Return about how many multiplications the descent takes."""
    problem = objective.problem
    return Limits.passes * 4.0 * problem.n * problem.k * problem.width


def minimise(objective, x, history, *, most_free=1.0):
    """Return the `Solution` of a descent from x; see `auto.solve`.

    A descent that is given up leaves open why it stopped.

    Parameters
    ----------
    most_free : float, default=1.0
        The share of the coefficients that are not at a kink above which it is given up.
    """
    solver = AugmentedLagrangian(objective, history, most_free)
    if history.start_objective > 0.0:  # piecewise-linear losses are never below zero
        x = train_full_batch(solver, objective, x, history)
    if not solver.gave_up:
        history.finish(Stop.PRECISION)
    solver.bound.is_tight = True
    return Solution(x, lower_bound=solver.bound)


class AugmentedLagrangian(FullBatchOptimizer):
    """Steps of the multipliers, each with a minimum over the coefficients.

    Parameters
    ----------
    objective : Objective
    history : History
        Knows `tol` and what the gap is measured against.
    most_free : float
        The share of the coefficients that are not at a kink above which a descent is given up.

    Attributes
    ----------
    bound : LowerBound
        The best bound of the dual variables so far.
    gave_up : bool
    """

    descends = False

    def __init__(self, objective, history, most_free=1.0):
        self.history, self.bound = history, duality_gap.LowerBound(objective)
        self.most_free, self.gave_up = most_free, False

    def solve(self, objective, x, monitor):
        with one_thread():
            return self._solve(objective, x, monitor)

    def _solve(self, objective, x, monitor):
        multipliers = _Multipliers(objective)
        working_sets = WorkingSets(objective.problem.column_store(objective.metric.mean))
        while True:
            values = objective.values(*objective.raw(x))
            gap = self._gap(objective, values[1])
            share = 1.0 if self.history.tol is None else self.history.tol
            if monitor(x, np.nan, None, 1.0, share * gap, values=values):
                return x
            if multipliers.free_share(x) > self.most_free:
                self.gave_up = True
                return x
            multipliers.adapt(gap)
            rounded = multipliers.rounded()
            goal = working_sets.solve(rounded, x, _Share(rounded))
            has_moved = multipliers.update(rounded, goal)
            self.bound.improve(multipliers.dual_point(), np.abs(goal).reshape(objective.shape))
            if not has_moved and np.array_equal(goal, x):
                return x
            x = goal

    def _gap(self, objective, values):
        """Return the duality gap in units of the metric."""
        return float(objective.metric.unit @ self.bound.gaps(values))


class _Share:
    """Ends a minimisation at a share of the proximal step with which it began."""

    def __init__(self, objective):
        self.objective, self.first, self.left = objective, None, Limits.rounds

    def __call__(self, x, value, gradient, length):
        decrement = self.objective.decrement(x, gradient)
        if self.first is None:
            self.first = decrement
            return decrement == 0.0
        self.left -= 1
        return decrement <= Limits.inner**2 * self.first or self.left < 1


class _Multipliers:
    """The dual variables of the rows, about which their losses are rounded.

    Attributes
    ----------
    slopes : array of shape (n_samples, n_outputs)
        The dual variables c.
    width : float
    """

    def __init__(self, objective):
        problem = objective.problem
        self.objective, self.width = objective, Limits.first_width * target_spread(objective)
        self.targets = problem.signed_targets()
        self.slopes = np.zeros(self.targets.shape)
        _, low, high = np.broadcast_arrays(*problem.loss.piecewise_linear(self.targets))
        self.low, self.high = low.sum(axis=0), high.sum(axis=0)
        self.penalty = SeparablePenalty.of(objective)
        self.last_gap, self.waited = np.inf, 0

    def _in_units(self, slopes):
        """Return dual variables in units of the end on their side."""
        end = np.where(slopes > 0, self.high, -self.low)
        return np.divide(slopes, end, out=np.zeros(slopes.shape), where=end > 0)

    def rounded(self):
        """Return the objective with losses that are rounded about the dual variables."""
        problem = self.objective.problem
        return replace(self.objective, keeps_margins=True, problem=problem.with_targets(
            self.targets - self.width * self._in_units(self.slopes),
            problem.loss.smoothed(self.width),
        ))  # fmt: skip

    def free_share(self, x):
        """Return the share of the coefficients that are not at a kink."""
        return np.count_nonzero(self.penalty.free(x)) / len(x)

    def adapt(self, gap):
        """Halve the width where the gap has not been halved for some steps."""
        self.waited += 1
        if gap <= 0.5 * self.last_gap:
            self.last_gap, self.waited = gap, 0
        elif self.waited > Limits.patience:
            self.last_gap, self.waited = gap, 0
            self.width *= Limits.shrinkage

    def update(self, rounded, x):
        """Take the slopes of rounded losses at a point, and tell whether they are other ones."""
        problem = rounded.problem
        slopes = problem.loss.compiled(problem.k).apply(
            "gradient", problem.signed_targets(), rounded.at(x).margins
        )
        has_moved = not np.array_equal(slopes, self.slopes)
        self.slopes = slopes
        at_kinks = np.count_nonzero((slopes > self.low) & (slopes < self.high) & (slopes != 0.0))
        if at_kinks > Limits.excess * np.count_nonzero(self.penalty.free(x)):
            self.width *= Limits.shrinkage
            has_moved = True
        return has_moved

    def dual_point(self):
        """Return the dual variables, which sum to 0 where there is an intercept."""
        problem, slopes = self.objective.problem, self.slopes
        if self.objective.shape[1] > problem.d:
            share = problem.shares()
            up, down = share @ np.maximum(slopes, 0.0), share @ np.maximum(-slopes, 0.0)
            factors = balancing(up, down)
            slopes = slopes * np.where(slopes > 0, *factors)
        return problem.dual_point(slopes)
