"""Proximal Newton by coordinate descent over working sets, for many columns and few coefficients.

    min over x of  F(x) = sum_i s_i l(y_i, z_i) + sum_j (diag_j x_j^2 / 2 + l1_j |x_j|),  l <= x <= h

A round reads all rows once, for the gradient of every coordinate. The working set is made of the
coordinates that are not at a kink (a bound, or 0 where l1 counts), and of those at one that would
move most, ``|x_j - prox_j(x_j - g_j)|``; there are twice as many as the former. On the working set
proximal Newton steps go to the minimum over v of

    sum_i s_i (l'_i a_i'v + l''_i (a_i'v)^2 / 2) + sum_j (diag_j (x_j + v_j)^2 / 2 + l1_j |x_j + v_j|)

by coordinate descent on the columns (`column_descent`), output after output. They are halved until
F falls by 1e-4 of what was predicted. Squared errors need one step. The method stops as `History`
says, on a duality gap where one is known: with the derivatives ``l'`` as dual variables, scaled
into the dual feasible set.

References
----------
Massias, Gramfort and Salmon, Celer: a fast solver for the lasso with dual extrapolation, 2018.
Bertrand, Klopfenstein, Bannier, Gidel and Massias, Beyond L1: faster and better sparse models with
skglm, 2022.
Yuan, Ho and Lin, An improved GLMNET for l1-regularized logistic regression, 2012.
"""

import numpy as np

from skgd._descent.full_batch import train_full_batch
from skgd._descent.solution import Solution, Stop
from skgd._solvers import duality_gap
from skgd._solvers.active_set import SeparablePenalty
from skgd._solvers.column_descent import descend_columns
from skgd._solvers.costs import WorkingSetLimits as Limits
from skgd._utils.linalg import one_thread
from skgd.optimizers import FullBatchOptimizer


def suits(objective):
    """Tell whether working sets can minimise an objective."""
    loss, problem = objective.loss, objective.problem
    return (
        objective.proximal and loss.convex and loss.has_hessian
        and objective.penalty.separable_form(problem.d) is not None
        and len(problem.row_parts()) == 1
    )  # fmt: skip


def cost(objective):
    """Return about how many multiplications the descent takes."""
    problem = objective.problem
    return Limits.passes * 4.0 * problem.n * problem.k * problem.width


def minimise(objective, x, history, *, reported=None, enough=0.0, confirm=None):
    """Return the `Solution` of a descent from x; see `auto.solve` and `train_full_batch`."""
    bound = None
    if confirm is None and reported is None:
        bound, confirm = duality_gap.confirmation(objective, history)
    x = train_full_batch(
        WorkingSets(), objective, x, history, reported=reported, enough=enough, confirm=confirm
    )
    history.finish(Stop.PRECISION)
    return Solution(x, lower_bound=bound)


class WorkingSets(FullBatchOptimizer):
    """Rounds of proximal Newton steps, each over the coordinates that matter."""

    def solve(self, objective, x, monitor):
        with one_thread():
            return self._solve(objective, x, monitor)

    def _solve(self, objective, x, monitor):
        penalty = SeparablePenalty.of(objective)
        x, length = penalty.clip(x), 1.0
        store = objective.problem.column_store(objective.metric.mean)
        point = objective.at(x)
        while not monitor(x, point.value, point.gradient, length):
            steps = self._steps(objective, penalty, x, point.gradient)
            enough = Limits.inner * float(steps.sum())
            working = _working_set(steps, penalty.free(x))
            part = Subproblem(objective, store, penalty, x, point, working)
            length = part.descend(enough)
            if length == 0.0:
                break
            x = part.solution()
            point = objective.at(x)
        return x

    def _steps(self, objective, penalty, x, gradient):
        """Return the squared steps of the coefficients to the proximal point, 0 of intercepts."""
        steps = penalty.coordinate_steps(x, gradient, np.ones(len(x))) ** 2
        steps.reshape(objective.shape)[:, objective.problem.d:] = 0.0
        return steps


def _working_set(steps, free):
    """Tell which coordinates to work on: those that are not at a kink, and that would move most."""
    working = free & (steps >= 0.0)
    others = np.flatnonzero(~free & (steps > 0.0))
    most = max(Limits.least, np.count_nonzero(free))
    if len(others) > most:
        others = others[np.argpartition(-steps[others], most)[:most]]
    working[others] = True
    return working


class _Output:
    """The coordinates of one output in a working set, and the columns that belong to them."""

    def __init__(self, columns, numbers, x, objective, penalty, c):
        self.numbers, self.columns, self.x = numbers, columns, x[numbers]
        self.scale = objective.metric.inverse[c][numbers]
        self.diag = objective.penalty_hessian_diag[c][numbers]
        at = c * objective.shape[1] + numbers
        self.penalty = penalty.part(at)

    def minimise(self, r, h, centred, x, *, tol):
        """Move x to the minimum of the quadratic; return the change of the margins, and how far.

        r are the derivatives of the rows there, and h their second derivatives.
        """
        sums, squares = self.columns.weighted_moments(h)
        total = float(h.sum()) if centred else 0.0
        if total > 0.0:
            squares = np.maximum(squares - sums**2 / total, 0.0)
        offset = np.array([-float(r.sum()) / total if total > 0.0 else 0.0])
        before, first = x.copy(), offset[0]
        r, penalty = r.copy(), self.penalty
        descend_columns(
            self.columns, self.scale, h, sums, total, self.scale**2 * squares + self.diag,
            self.diag, penalty.l1, penalty.lower, penalty.upper, r, x, offset,
            n_sweeps=Limits.sweeps, tol=tol,
        )  # fmt: skip
        moved = x - before
        return self.columns.times(self.scale * moved) + offset[0], offset[0], moved, first


class Subproblem:
    """An objective over a working set of its coordinates, with all others held."""

    def __init__(self, objective, store, penalty, x, point, working):
        self.objective, self.store, self.start = objective, store, x
        k, p = objective.shape
        problem, d = objective.problem, objective.problem.d
        self.centred, self.is_multiclass = p > d, problem.is_multiclass
        self.targets, self.rule = problem.signed_targets(), problem.loss.compiled(k)
        self.weights = problem.shares()[:, None] * objective.metric.unit
        self.margins = point.margins.copy()
        self.intercept, self.outputs = np.zeros(k), []
        x, working = x.reshape(k, p), working.reshape(k, p)
        for c in range(k):
            numbers = np.flatnonzero(working[c, :d])
            self.outputs.append(
                _Output(store.take(numbers), numbers, x[c], objective, penalty, c)
            )

    def descend(self, enough):
        """Take Newton steps until they promise no more than enough; return the last one's length."""
        value, tol, length, last = self._losses(self.margins), enough, 0.0, 0.0
        exact = self.objective.loss.constant_hessian
        for _ in range(Limits.steps):
            if not exact:
                tol = max(enough, Limits.forcing * last)
            goals, change, shifts, decrease = self._direction(tol)
            if not decrease > 0.0:
                break
            last, value = decrease, self._search(value, goals, change, shifts, decrease)
            length = self.length or length
            if self.length == 0.0 or exact or decrease <= enough:
                break
        return length

    def solution(self):
        """Return the parameters of the objective."""
        objective = self.objective
        metric, (k, p), d = objective.metric, objective.shape, objective.problem.d
        x = self.start.reshape(k, p).copy()
        for c, output in enumerate(self.outputs):
            moved = output.x - x[c, output.numbers]
            x[c, output.numbers] = output.x
            if p > d:
                shift = self.intercept[c]
                if not self.store.is_centred:
                    shift += float((metric.mean[output.numbers] * output.scale) @ moved)
                x[c, d] += shift / metric.inverse[c, d]
        return x.ravel()

    # ---- steps ----------------------------------------------------------------------------------

    def _direction(self, tol):
        """Return where each output goes, how its margins and intercept change, and the decrease."""
        objective, loss = self.objective, self.objective.loss
        gradient = self._weighted(self.rule.apply("gradient", self.targets, self.margins))
        terms = loss.hessian_terms(self.targets, self.margins)
        change, shifts = np.zeros(self.margins.shape), np.zeros(len(self.outputs))
        goals = [output.x.copy() for output in self.outputs]
        for cycle in range(Limits.cycles if self.is_multiclass else 1):
            farthest = 0.0
            for c, output in enumerate(self.outputs):
                r, h = gradient[:, c], terms[:, c]
                if self.is_multiclass:
                    if cycle or c:
                        image = self._weighted(loss.hessian_product(terms, change))
                        r = r + image[:, c]
                    h = h * (1.0 - h)
                h = self._weighted(h[:, None], c)[:, 0]
                part, shift, moved, first = output.minimise(
                    np.ascontiguousarray(r), h, self.centred, goals[c], tol=tol
                )
                change[:, c] += part
                shifts[c] += shift
                farthest = max(farthest, float(h @ part**2))
            if farthest <= tol:
                break
        decrease = -float(np.sum(gradient * change))
        for output, goal in zip(self.outputs, goals, strict=True):
            decrease += self._penalty_value(output, output.x) - self._penalty_value(output, goal)
            decrease += 0.5 * float(output.diag @ (goal - output.x) ** 2)
        return goals, change, shifts, decrease

    def _search(self, value, goals, change, shifts, decrease):
        """Halve a step until the objective falls enough; take it and return the losses behind it."""
        before = [output.x for output in self.outputs]
        penalties = sum(map(self._penalty_value, self.outputs, before))
        self.length = 1.0
        while self.length > Limits.shortest:
            margins = self.margins + self.length * change
            points = [x + self.length * (goal - x) for x, goal in zip(before, goals, strict=True)]
            new = self._losses(margins)
            fallen = value + penalties - new - sum(map(self._penalty_value, self.outputs, points))
            if fallen >= 1e-4 * self.length * decrease - Limits.rounding * abs(value):
                self.margins, self.intercept = margins, self.intercept + self.length * shifts
                for output, point, goal in zip(self.outputs, points, goals, strict=True):
                    output.x = goal if self.length == 1.0 else point
                return new
            self.length *= 0.5
        self.length = 0.0
        return value

    def _losses(self, margins):
        values = self._weighted(self.rule.apply("value", self.targets, margins))
        return float(values.sum())

    def _weighted(self, values, c=slice(None)):
        """Return numbers of the rows times their weights; rows without weight may have any."""
        weights = self.weights[:, [c]] if np.isscalar(c) else self.weights
        return np.where(weights > 0.0, weights * values, 0.0)

    @staticmethod
    def _penalty_value(output, x):
        return output.penalty.value(x) + 0.5 * float(output.diag @ x**2)
