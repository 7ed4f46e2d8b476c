"""Dual coordinate descent for hinge-like losses with a squared penalty.

A loss ``max over low <= a <= high of a (z - position) - band |a| - ridge a^2 / 2`` has the
conjugate ``c(a) = position a + band |a| + ridge a^2 / 2`` between its bounds; without a ridge it is
piecewise linear. With the shares s_i of the rows, the dual variables ``u_i = s_i a_i``, the mean
row m and the penalty ``delta |w|^2 / 2``, the dual problem is::

    max over u of  - |sum_i u_i (x_i - m)|^2 / (2 delta) - sum_i s_i c_i(u_i / s_i)
    s_i low_i <= u_i <= s_i high_i,   sum_i u_i = 0 with an intercept

and ``w = -sum_i u_i (x_i - m) / delta``. Each step minimises along one variable in closed form. The
rows of a sweep are in random order; those whose variables press against a bound are left out until
the next check (shrinking). The constraint is kept by the method of multipliers: a step sees the
margin ``z_i = w'(x_i - m) + b - rho sum_i u_i``, and ``b -= rho sum_i u_i`` follows each sweep.
That is the proximal point method on a coefficient without penalty. Columns that are far steeper
than the others are treated alike: they are scaled down, and a proximal term that moves with each
sweep takes the place of the penalty that they lack then.

Along a path of alphas the dual variables of the last one are a start: those at a bound stay there,
and the others are scaled with delta, which leaves w as it is.

The descent stops on the duality gap. The primal point has the best intercept for w, which is a
weighted quantile for piecewise-linear losses; the dual point is scaled on the heavier side until it
satisfies the constraint.

References
----------
Hsieh, Chang, Lin, Keerthi and Sundararajan, A dual coordinate descent method for large-scale linear
SVM, 2008.
Ho and Lin, Large-scale linear support vector regression, 2012.
Bertsekas, Constrained Optimization and Lagrange Multiplier Methods, 1982.
"""

import numpy as np

from skgd._descent.full_batch import train_full_batch
from skgd._descent.solution import Solution, Stop
from skgd._solvers import duality_gap
from skgd._solvers.costs import DualDescent as Limits
from skgd._solvers.dual_output import OutputDual, PenalisedRows, relative_variances
from skgd.optimizers import FullBatchOptimizer


def suits(objective):
    """Tell whether dual coordinate descent can minimise an objective, and an exact method is dear.

    Small tables take the interior point method a few milliseconds.
    """
    problem, penalty = objective.problem, objective.penalty_curvature
    short, long = sorted((problem.n, problem.d))
    if objective.proximal or float(short) ** 2 * long < Limits.exact or not problem.may_gather:
        return False
    # Smooth losses have Newton's method, which is fast on many dense rows.
    if objective.loss.smooth and not problem.is_sparse and problem.n >= problem.d:
        return False
    if not duality_gap.knows_conjugate(objective.loss):
        return False
    frozen = objective.metric.inverse[:, :problem.d] == 0
    if frozen.all() or not np.all((penalty == penalty[0]) & ((penalty > 0) | frozen)):
        return False
    is_separable = objective.penalty.separable_form(problem.d) is not None
    return is_separable and _loss_terms(objective.loss, np.zeros((1, problem.k))) is not None


def cost(objective):
    """Return about how many multiplications the descent takes.

    If rows are fewer than columns, the margins can be moved one by one. Otherwise the sweeps grow
    with the share of its box that a dual variable needs for a change of its own margin by 1.
    """
    problem = objective.problem
    sweeps = Limits.sweeps
    if problem.n > problem.d:
        relative = relative_variances(objective).sum()
        sweeps += Limits.sweeps_per_hardness * float(relative) / problem.n
    return sweeps * _work_of_pass(problem)


def _work_of_pass(problem):
    return 4.0 * problem.n * problem.width * problem.k


def minimise(objective, x, history, *, affordable=np.inf, dual=None):
    """Return the `Solution` of a descent from x; see `auto.solve`.

    A descent whose gap stalls leaves open why it stopped.

    Parameters
    ----------
    affordable : float
        The multiplications before which a descent is never given up.
    dual : tuple or None
        Dual variables of the minimum for another alpha, and what alpha is as a share of that one.
    """
    if not history.start_objective > 0.0:  # no loss is below zero
        history.finish(Stop.PRECISION)
        bound = duality_gap.LowerBound(objective)
        bound.is_tight = True
        return Solution(x, lower_bound=bound)
    patience = affordable / _work_of_pass(objective.problem)
    solver = DualCoordinateDescent(objective.loss, history, patience, dual)
    x = train_full_batch(solver, objective, x, history)
    if solver.end is not None:
        history.finish(solver.end)
    return Solution(x, lower_bound=solver.lower_bound(objective, x), dual=solver.dual)


def _loss_terms(loss, targets):
    """Return position, low, high, band and ridge of a loss for each target; or None."""
    terms = loss.quadratic_conjugate(targets)
    if terms is not None:
        position, low, high, ridge = terms
        return position, low, high, np.zeros(targets.shape), np.full(targets.shape, ridge)
    terms = loss.piecewise_linear(targets)
    if terms is None:
        return None
    position, low, high = np.broadcast_arrays(*terms)
    if len(position) == 1:
        band = np.zeros(targets.shape)
    elif len(position) == 2 and np.all(high[0] + low[1] == 0):
        # Two kinks with a level piece between them.
        band = 0.5 * (position[1] - position[0])
        position = 0.5 * (position[0] + position[1])[None]
    else:
        return None
    low, high = low.sum(axis=0), high.sum(axis=0)
    is_bounded = np.all((low <= 0) & (high >= 0) & np.isfinite(high - low))
    return (position[0], low, high, band, np.zeros(targets.shape)) if is_bounded else None


class DualCoordinateDescent(FullBatchOptimizer):
    """Rounds of sweeps for each output, each with a check of the duality gap.

    Parameters
    ----------
    loss : Loss
    history : History
        Knows `tol` and what the gap is measured against.
    patience : float
        The passes before which a descent is never given up.
    known : tuple or None
        Dual variables to start from; see `minimise`.

    Attributes
    ----------
    end : Stop or None
        Why a descent ended that the history has not stopped; None where it has stalled.
    dual : DualPoint
        The best dual variables of the rows at the end of a descent.
    """

    descends = False

    def __init__(self, loss, history, patience, known=None):
        self.history, self.patience, self.end, self.dual = history, patience, None, None
        self.loss, self.known = loss, known

    def solve(self, objective, x, monitor):
        rows = PenalisedRows.of(objective)
        problem = objective.problem
        terms = _loss_terms(problem.loss, problem.signed_targets())
        outputs = [OutputDual(rows, objective, x, c, terms) for c in range(problem.k)]
        if self.known is not None:
            dual, ratio = self.known
            for output, values in zip(outputs, dual.at().T, strict=True):
                output.start_from(values * problem.shares(), ratio)
        unit = objective.metric.unit
        while True:
            losses, objectives = np.array([output.best_values for output in outputs]).T
            gap = float(unit @ [output.gap for output in outputs])
            goal, needed = self._goals(unit, objectives)
            x = _point(objective, rows, outputs)
            if monitor(x, np.nan, None, 1.0, self._decrement(gap, goal, needed),
                       values=(losses, objectives)):  # fmt: skip
                break
            if all(output.is_exact for output in outputs):
                self.end = Stop.PRECISION
                break
            if self._gives_up(outputs, gap <= needed):
                break
            goals = goal / unit / len(outputs)
            passes = [
                output.advance(goals[output.c]) for output in outputs
                if output.gap > goals[output.c] and not output.is_exact
            ]  # fmt: skip
            problem.counter.passes += int(np.ceil(sum(passes) / len(outputs)))
        shares = problem.shares()
        dual = np.column_stack([output.best_dual for output in outputs])
        np.divide(dual, shares[:, None], out=dual, where=shares[:, None] > 0)
        self.dual = problem.dual_point(dual)
        return x

    def _gives_up(self, outputs, is_enough):
        """Tell whether to end a descent that has stalled, at a gap that may be small enough."""
        stalled = [output for output in outputs if output.has_stalled]
        if is_enough and stalled:
            self.end = Stop.TOL
        return bool(stalled) and (is_enough or max(o.work for o in stalled) > self.patience)

    def _goals(self, unit, objectives):
        """Return the gap to reach, and the one that `tol` asks for, in units of the metric.

        Where the objective is far smaller than its decrease, a share of the objective is worth the
        few sweeps that it takes.
        """
        tol = self.history.tol
        if tol is None:
            return 0.0, 0.0
        possible = self.history.baseline.possible_decrease(unit, objectives)
        if self.loss.smooth:
            # As near as where the squared gradient is `tol^2` times the decrease.
            return tol**2 * possible, tol**2 * possible
        return min(tol * possible, tol * float(unit @ np.abs(objectives))), tol * possible

    def _decrement(self, gap, goal, needed):
        """Return the squared gradient that stops a history where a gap has reached its goal."""
        if self.history.tol is None:
            return gap
        factor = 1.0 if self.loss.smooth else self.history.tol
        return factor * gap * (needed / goal if goal > 0.0 else 1.0)

    def lower_bound(self, objective, x):
        """Return the bound of the dual variables on the minimum, the tightest that is known."""
        bound = duality_gap.LowerBound(objective)
        bound.improve(self.dual, np.abs(x).reshape(objective.shape))
        bound.is_tight = True
        return bound


def _point(objective, rows, outputs):
    """Return the parameters of the best models of all outputs."""
    coef = np.array([rows.scale * output.best[0] for output in outputs])
    intercept = np.array([output.best[1] for output in outputs])
    if objective.shape[1] > objective.problem.d:
        intercept = intercept - objective.metric.shift(coef)
    return objective.metric.from_raw(coef, intercept).ravel()
