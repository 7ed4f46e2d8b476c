"""Proximal Newton by coordinate descent over working sets, for many columns and few coefficients.

    min over x of  sum_i s_i l(y_i, z_i) + sum_j (diag_j x_j^2 / 2 + l1_j |x_j|)  within bounds

A round reads all rows once, for the gradient of every coordinate. The working set is made of the
coordinates that are not at a kink (a bound, or 0 where l1 counts), and of those at one that would
move most, ``|x_j - prox_j(x_j - g_j)|``; there are twice as many as the former. On the working set
proximal Newton steps go to the minimum over v of

    sum_i s_i (l'_i (a_i'v) + l''_i (a_i'v)^2 / 2)
        + sum_j (damping v_j^2 / 2 + diag_j (x_j + v_j)^2 / 2 + l1_j |x_j + v_j|)

by coordinate descent on the columns (`column_quadratic`), output after output. With a group lasso,
``sum_g |N_g x_g|`` is in the place of l1 and bounds: all coordinates of a group are in the working
set or none is, and go to their minimum together (`group_lasso`). Rows without curvature, as most
have where a kink is rounded over little, have fixed slopes and are not read. Newton steps are
halved until F falls by 1e-4 of what was predicted. Squared errors need one step. The
method stops as `History` says, on a duality gap where one is known: with the derivatives ``l'`` as
dual variables, scaled into the dual feasible set.

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
from skgd._objective.smoothing import smoothing_path
from skgd._solvers import duality_gap
from skgd._solvers.active_set import SeparablePenalty
from skgd._solvers.column_quadratic import ColumnQuadratic, descend_coordinates
from skgd._solvers.costs import Factorisation, Work
from skgd._solvers.costs import WorkingSetLimits as Limits
from skgd._solvers.group_lasso import descend_blocks, nonsmooth_penalty
from skgd._utils.linalg import one_thread
from skgd.optimizers import FullBatchOptimizer


def suits(objective):
    """Tell whether working sets can minimise an objective without smoothing."""
    return has_columns(objective) and len(smoothing_path(objective)) == 1


def has_columns(objective):
    """Tell whether coordinate descent on the columns is possible: penalty and loss suit it."""
    loss, problem = objective.loss, objective.problem
    return (
        objective.proximal and loss.convex and loss.has_hessian
        and problem.may_gather and problem.keeps_margins
        and nonsmooth_penalty(objective) is not None
    )  # fmt: skip


def cost(objective):
    """Return about how many multiplications the descent takes."""
    problem = objective.problem
    passes = Limits.quadratic_passes if objective.loss.constant_hessian else Limits.passes
    return passes * 4.0 * problem.n * problem.k * problem.width + _work_of_groups(objective)


def _work_of_groups(objective):
    """Return the multiplications for the blocks of the Hessian that belong to groups."""
    problem = objective.problem
    form = objective.penalty.group_form(problem.d)
    if form is None or objective.penalty.separable_form(problem.d) is not None:
        return 0.0
    sizes = np.bincount(form[0]).astype(float)
    steps = Work.exact_steps if objective.loss.constant_hessian else Work.newton_steps
    per_output = problem.n * (sizes**2).sum() / 2.0 + Factorisation.as_slow * (sizes**3).sum()
    return steps * problem.k * float(per_output)


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
    """Rounds of proximal Newton steps, each over the coordinates that matter.

    Parameters
    ----------
    store : ColumnStore or None, default=None
        The columns, where they are known.
    """

    def __init__(self, store=None):
        self.store = store

    def solve(self, objective, x, monitor):
        with one_thread():
            return self._solve(objective, x, monitor)

    def _solve(self, objective, x, monitor):
        penalty = nonsmooth_penalty(objective)
        x, length = penalty.clip(x), 1.0
        store = self.store or objective.problem.column_store(objective.metric.mean)
        point, losses = objective.at(x), RowLosses(objective.problem)
        while not monitor(x, point.value, point.gradient, length):
            steps = squared_steps(objective, penalty, x, point.gradient)
            working = working_set(steps, penalty, x)
            part = Subproblem(objective, store, penalty, x, point.margins, working)
            length = part.descend(losses, Limits.inner * float(steps.sum()))
            if length == 0.0:
                break
            x = part.solution()
            point = objective.at(x)
        return x


def squared_steps(objective, penalty, x, gradient):
    """Return the squared steps of the coefficients to the proximal point; 0 of the intercepts."""
    steps = penalty.proximal_steps(objective, x, gradient) ** 2
    steps.reshape(objective.shape)[:, objective.problem.d:] = 0.0
    return steps


def working_set(steps, penalty, x):
    """Tell which coordinates to work on: those that are not at a kink, and that would move most."""
    free, steps = penalty.free(x), penalty.by_group(steps)
    working = free & (steps >= 0.0)
    others = np.flatnonzero(~free & (steps > 0.0))
    most = max(Limits.least, np.count_nonzero(free))
    if len(others) > most:
        others = others[np.argpartition(-steps[others], most)[:most]]
    working[others] = True
    # Groups are in it as a whole.
    return penalty.by_group(working) > 0


class RowLosses:
    """The losses of the rows as functions of their margins."""

    def __init__(self, problem):
        self.loss, self.rule = problem.loss, problem.loss.compiled(problem.k)
        self.targets, self.is_multiclass = problem.signed_targets(), problem.is_multiclass

    def values(self, margins):
        return self.rule.apply("value", self.targets, margins)

    def gradient(self, margins):
        return self.rule.apply("gradient", self.targets, margins)

    def hessian_terms(self, margins):
        return self.loss.hessian_terms(self.targets, margins)

    def hessian_product(self, terms, direction):
        return self.loss.hessian_product(terms, direction)


class _Output:
    """The coordinates of one output in a working set, and the columns that belong to them."""

    def __init__(self, store, numbers, x, objective, penalty, c):
        start = c * objective.shape[1]
        at = penalty.ordered(start + numbers)
        self.numbers = numbers = at - start
        self.columns, self.x = store.take(numbers), x[numbers]
        self.gram = store.gram if store.is_centred else None
        self.scale = objective.metric.inverse[c][numbers]
        self.diag = objective.penalty_hessian_diag[c][numbers]
        self.penalty = penalty.part(at)
        is_separable = isinstance(penalty, SeparablePenalty)
        self.descend = descend_coordinates if is_separable else descend_blocks
        # The curvature of an intercept where that of coefficients is 1.
        self.unit = float(objective.smoothness[c] * objective.metric.unit[c])
        self.has_intercept = objective.shape[1] > objective.problem.d

    def minimise(self, r, h, x, damping, tol):
        """Move x to the minimum of the damped quadratic about self.x.

        Parameters
        ----------
        r, h : array of shape (n,)
            First and second derivatives of the rows at x.
        x : array of shape (m,)
            Changed in place.
        damping, tol : float

        Returns
        -------
        change : array of shape (n,)
            That of the margins.
        offset : float
            That of the intercept, which is in it.
        """
        before, numbers = x.copy(), self.numbers
        quadratic = ColumnQuadratic(
            self.columns, self.scale, r, h, self.diag + damping, -damping * self.x,
            damping * self.unit if self.has_intercept else None,
            self.gram and (lambda part, h: self.gram(numbers[part], h)),
        )  # fmt: skip
        self.descend(quadratic, self.penalty, x, tol)
        return quadratic.change(x - before), quadratic.offset[0]

    def penalty_value(self, x):
        return self.penalty.value(x) + 0.5 * float(self.diag @ x**2)


class Subproblem:
    """An objective over a working set of its coordinates, with all others held.

    Parameters
    ----------
    objective : Objective
    store : ColumnStore
    penalty : SeparablePenalty
    x : array of shape (n_parameters,)
    margins : array of shape (n_samples, n_outputs)
    working : bool array of shape (n_parameters,)
    """

    def __init__(self, objective, store, penalty, x, margins, working):
        self.objective, self.store, self.start = objective, store, x
        k, p = objective.shape
        self.weights = objective.problem.shares()[:, None] * objective.metric.unit
        self.margins, self.intercept, self.outputs = margins, np.zeros(k), []
        self.damping = 0.0 if objective.loss.constant_hessian else Limits.first_damping
        x, working = x.reshape(k, p), working.reshape(k, p)
        for c in range(k):
            numbers = np.flatnonzero(working[c, :objective.problem.d])
            self.outputs.append(_Output(store, numbers, x[c], objective, penalty, c))

    def descend(self, losses, enough):
        """Take Newton steps until one promises no more than enough; return the last length."""
        value, last, length = self._value(losses, self.margins), 0.0, 0.0
        exact = self.objective.loss.constant_hessian
        for _ in range(Limits.steps):
            tol = enough if exact else max(enough, Limits.forcing * last)
            goals, change, shifts, decrease = self._direction(losses, tol)
            if not decrease > Limits.nothing * abs(value):
                break
            step, value = self._search(losses, value, goals, change, shifts, decrease)
            length, last = step or length, decrease
            if step <= Limits.short:
                self.damping = max(10.0 * self.damping, Limits.first_damping)
            else:
                self.damping = max(0.1 * self.damping, Limits.least_damping)
            if exact or decrease <= enough or self.damping > Limits.largest_damping:
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

    def _direction(self, losses, tol):
        """Return where each output goes, how its margins and intercept change, and the decrease."""
        gradient = self._weighted(losses.gradient(self.margins))
        terms = losses.hessian_terms(self.margins)
        change, shifts = np.zeros(self.margins.shape), np.zeros(len(self.outputs))
        goals = [output.x.copy() for output in self.outputs]
        curvature = self._weighted(terms * (1.0 - terms) if losses.is_multiclass else terms)
        for _ in range(Limits.cycles if losses.is_multiclass else 1):
            farthest = 0.0
            for c, output in enumerate(self.outputs):
                r, h = gradient[:, c].copy(), curvature[:, c].copy()
                if losses.is_multiclass:
                    r += self._weighted(losses.hessian_product(terms, change))[:, c]
                part, shift = output.minimise(r, h, goals[c], self.damping, tol)
                change[:, c] += part
                shifts[c] += shift
                farthest = max(farthest, float(h @ part**2))
            if farthest <= tol:
                break
        decrease = -float(np.sum(gradient * change))
        for output, goal in zip(self.outputs, goals, strict=True):
            decrease += output.penalty_value(output.x) - output.penalty_value(goal)
            decrease += 0.5 * float(output.diag @ (goal - output.x) ** 2)
        return goals, change, shifts, decrease

    def _search(self, losses, value, goals, change, shifts, decrease):
        """Halve a step until the objective falls enough.

        Returns
        -------
        length : float
            0 where no step does.
        value : float
            The losses behind the step.
        """
        before = [output.x for output in self.outputs]
        start = value + sum(o.penalty_value(x) for o, x in zip(self.outputs, before, strict=True))
        length = 1.0
        while length > Limits.shortest:
            margins = self.margins + length * change
            points = goals if length == 1.0 else [
                x + length * (goal - x) for x, goal in zip(before, goals, strict=True)
            ]
            new = self._value(losses, margins)
            end = new + sum(o.penalty_value(x) for o, x in zip(self.outputs, points, strict=True))
            if start - end >= 1e-4 * length * decrease - Limits.rounding * abs(start):
                self.margins, self.intercept = margins, self.intercept + length * shifts
                for output, point in zip(self.outputs, points, strict=True):
                    output.x = point
                return length, new
            length *= 0.5
        return 0.0, value

    def _value(self, losses, margins):
        return float(self._weighted(losses.values(margins)).sum())

    def _weighted(self, values):
        """Return numbers of the rows times their weights; rows without weight may have any."""
        return np.where(self.weights > 0.0, self.weights * values, 0.0)
