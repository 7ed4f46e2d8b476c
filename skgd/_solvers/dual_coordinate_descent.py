"""Dual coordinate descent for piecewise-linear losses with a squared penalty.

A loss ``max over low <= a <= high of a (z - position) - band |a|`` has the conjugate
``position a + band |a|`` between its bounds. With the shares s_i of the rows, the dual variables
``u_i = s_i a_i``, the mean row m and the penalty ``delta |w|^2 / 2``, the dual problem is::

    max over u of  - |sum_i u_i (x_i - m)|^2 / (2 delta) - sum_i (position_i u_i + band_i |u_i|)
    s_i low_i <= u_i <= s_i high_i,   sum_i u_i = 0 with an intercept

and ``w = -sum_i u_i (x_i - m) / delta``. Each step minimises along one variable in closed form. The
rows of a sweep are in random order; those whose variables press against a bound are left out until
the next check (shrinking). The constraint is kept by the method of multipliers: a step sees the
margin ``z_i = w'(x_i - m) + b - rho sum_i u_i``, and ``b -= rho sum_i u_i`` follows each sweep. That
is the proximal point method on a coefficient without penalty. Columns that are far steeper than the
others are treated alike: they are scaled down, and a proximal term that moves with each sweep takes
the place of the penalty that they lack then.

The descent stops on the duality gap. The primal point has the best intercept for w, a weighted
quantile; the dual point is scaled on the heavier side until it satisfies the constraint.

References
----------
Hsieh, Chang, Lin, Keerthi and Sundararajan, A dual coordinate descent method for large-scale linear
SVM, 2008.
Ho and Lin, Large-scale linear support vector regression, 2012.
Bertsekas, Constrained Optimization and Lagrange Multiplier Methods, 1982.
"""

from dataclasses import dataclass

import numpy as np

from skgd._descent.full_batch import train_full_batch
from skgd._descent.solution import Solution, Stop
from skgd._engine import DualCoordinates, shuffle, weighted_quantile
from skgd._solvers import duality_gap
from skgd._solvers.costs import DualDescent as Limits
from skgd._solvers.costs import Gap, Work
from skgd.optimizers import FullBatchOptimizer


def suits(objective):
    """Tell whether dual coordinate descent can minimise an objective, and an exact method is dear.

    Small tables take the interior point method a few milliseconds.
    """
    problem, penalty = objective.problem, objective.penalty_curvature
    frozen = objective.metric.inverse[:, :problem.d] == 0
    if objective.proximal or not np.all((penalty == penalty[0]) & ((penalty > 0) | frozen)):
        return False
    short, long = sorted((problem.n, problem.d))
    if float(short) ** 2 * long < Limits.exact or frozen.all():
        return False
    is_separable = objective.penalty.separable_form(problem.d) is not None
    return is_separable and _loss_terms(objective.loss, np.zeros((1, problem.k))) is not None


def cost(objective):
    """Return about how many multiplications the descent takes.

    If rows are fewer than columns, they are nearly orthogonal. Otherwise the sweeps grow with the
    share of its box that a dual variable needs for a change of its own margin by 1.
    """
    problem = objective.problem
    sweeps = Limits.sweeps
    if 2 * problem.n > problem.d:
        relative = _relative_variances(objective).sum()
        sweeps += Limits.sweeps_per_hardness * float(relative) / problem.n
    return sweeps * _work_of_pass(problem)


def _work_of_pass(problem):
    return 4.0 * problem.n * problem.width * problem.k


def minimise(objective, x, history, *, affordable=np.inf):
    """Return the `Solution` of a descent from x; see `auto.solve`.

    A descent whose gap stalls leaves open why it stopped.

    Parameters
    ----------
    affordable : float
        The multiplications before which a descent is never given up.
    """
    if not history.start_objective > 0.0:  # piecewise-linear losses are never below zero
        history.finish(Stop.PRECISION)
        return Solution(x)
    solver = DualCoordinateDescent(history, affordable / _work_of_pass(objective.problem))
    x = train_full_batch(solver, objective, x, history)
    if solver.end is not None:
        history.finish(solver.end)
    return Solution(x, lower_bound=solver.lower_bound(objective, x), dual=solver.dual)


def _loss_terms(loss, targets):
    """Return position, low, high and band of a loss for each target; None for other losses."""
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
    return (position[0], low, high, band) if is_bounded else None


class DualCoordinateDescent(FullBatchOptimizer):
    """Rounds of sweeps for each output, each with a check of the duality gap.

    Parameters
    ----------
    history : History
        Knows `tol` and what the gap is measured against.
    patience : float
        The passes before which a descent is never given up.

    Attributes
    ----------
    end : Stop or None
        Why a descent ended that the history has not stopped; None where it has stalled.
    dual : DualPoint
        The best dual variables of the rows at the end of a descent.
    """

    descends = False

    def __init__(self, history, patience):
        self.history, self.patience, self.end, self.dual = history, patience, None, None

    def solve(self, objective, x, monitor):
        rows = _Rows.of(objective)
        problem = objective.problem
        terms = _loss_terms(problem.loss, problem.signed_targets())
        outputs = [_Output(rows, objective, x, c, terms) for c in range(problem.k)]
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
            passes = [
                output.advance() for output in outputs
                if output.gap * unit[output.c] > goal / len(outputs) and not output.is_exact
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
        needed = tol * self.history.baseline.possible_decrease(unit, objectives)
        return min(needed, tol * float(unit @ np.abs(objectives))), needed

    def _decrement(self, gap, goal, needed):
        """Return the squared gradient that stops a history where a gap has reached its goal."""
        if self.history.tol is None:
            return gap
        return self.history.tol * gap * (needed / goal if goal > 0.0 else 1.0)

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


@dataclass(frozen=True, eq=False)
class _Rows:
    """The rows in coordinates in which the penalty is ``delta |v|^2 / 2``, but for steep columns.

    Attributes
    ----------
    single : SingleRows
    scale : array of shape (n_features,) or float
        Coefficients of X are those of the rows times the scale.
    mean : array of shape (n_features,)
        The mean that is to be subtracted from the rows.
    delta : float
    steep : intp array of shape (m,)
        The columns that are scaled down.
    lacking : array of shape (m,)
        The share of delta that their penalty lacks.
    spread : array of shape (m,)
        Their standard deviations, scaled.
    mean_products, squares : array of shape (n_samples,)
        The products of the rows with the mean, and the squared lengths of the centred rows.
    """

    single: object
    scale: object
    mean: np.ndarray
    delta: float
    steep: np.ndarray
    lacking: np.ndarray
    spread: np.ndarray
    mean_products: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, objective):
        problem, metric, penalty = objective.problem, objective.metric, objective.penalty_curvature
        penalty, inverse = penalty[0], metric.inverse[0, :problem.d]
        relative = _relative_variances(objective)
        steep, reduction = _steep_columns(relative)
        is_plain = (
            not len(steep) and not np.ptp(penalty) and not _is_frozen(metric).any()
            and _is_near_zero(metric.mean, penalty * relative)
        )  # fmt: skip
        if is_plain:
            scale, delta, centre, centred = 1.0, float(penalty[0]), metric.mean, None
            single = problem.single_rows()
        else:
            scale = np.divide(1.0, np.sqrt(penalty), out=np.zeros(problem.d), where=inverse > 0)
            scale[steep] *= reduction
            delta, centred = 1.0, None if problem.is_sparse else metric.mean
            single = problem.single_rows(scale, centred)
            centre = scale * metric.mean if problem.is_sparse else np.zeros(problem.d)
        squares, products = single.squares(), np.zeros(problem.n)
        if centre.any():
            products = single.products(np.ascontiguousarray(centre))
            least = Limits.rounding * squares
            squares = np.maximum(squares - 2.0 * products + centre @ centre, least)
        return cls(
            single, scale, centre, delta, steep, 1.0 - reduction**2,
            reduction * np.sqrt(relative[steep]), products, squares,
        )  # fmt: skip


def _relative_variances(objective):
    """Return the variances of the columns over their penalties; zeros in raw coordinates.

    The metric knows them.
    """
    metric, penalty, d = objective.metric, objective.penalty_curvature[0], objective.problem.d
    if metric.identity:
        return np.zeros(d)
    inverse, scale = metric.inverse[0, :d], metric.unit[0] * penalty
    curvature = np.divide(1.0, inverse**2 * scale, out=np.ones(d), where=(inverse > 0) & (scale > 0))
    return np.maximum(curvature - 1.0, 0.0) / objective.smoothness[0]


def _steep_columns(relative):
    """Return the columns that make up too much of the rows, and what they are multiplied with.

    Parameters
    ----------
    relative : array of shape (n_features,)
        The variances of the columns in units in which all have one penalty.
    """
    most = min(Limits.eliminated, len(relative) // 2)
    order = np.argpartition(-relative, most)
    rest = float(relative[order[most:]].sum())
    steep = np.sort(order[:most][relative[order[:most]] > Limits.steep * rest])
    if not rest > 0.0:
        steep = steep[:0]
    return steep, np.sqrt(Limits.steep * rest / relative[steep])


def _is_frozen(metric):
    """Tell which columns must be left out: those without a coefficient that are not empty."""
    frozen = metric.inverse[0, :len(metric.mean)] == 0
    if metric.constant is not None:
        frozen = frozen & ~(metric.constant & (metric.values == 0))
    return frozen


def _is_near_zero(mean, variance):
    """Tell whether columns can be centred without losing too many digits."""
    return float(mean @ mean) <= Limits.far * max(float(variance.sum()), 0.0) or not variance.any()


class _Output:
    """The dual and the primal variables of one output.

    Attributes
    ----------
    best : tuple
        The coefficients and the intercept of the centred rows of the lowest objective so far.
    best_values : tuple
        Their loss and objective.
    best_dual : array of shape (n_samples,)
        The u of the best bound so far.
    gap : float
        The objective less the bound.
    """

    def __init__(self, rows, objective, x, c, terms):
        problem = objective.problem
        self.rows, self.c, self.has_intercept = rows, c, objective.shape[1] > problem.d
        shares = problem.shares()
        position, low, high, band = (
            np.ascontiguousarray(np.broadcast_to(part, (problem.n, problem.k))[:, c], dtype=float)
            for part in terms
        )
        self.terms = position, shares * low, shares * high, band
        curvature, self.rho = rows.squares / rows.delta, 0.0
        if self.has_intercept:
            # Where the penalty is so strong that margins hardly move, targets alone have a scale.
            spread = np.abs(position - objective.metric.to_raw(x.reshape(objective.shape))[1][c])
            self.rho = Limits.intercept * max(float(shares @ curvature), float(shares @ spread))
        self.state = DualCoordinates(
            rows.single, *self.terms, rows.mean_products,
            np.maximum(curvature + self.rho, np.finfo(float).tiny), penalty=rows.delta,
            mean_square=float(rows.mean @ rows.mean), rho=self.rho,
        )  # fmt: skip
        self.offset = np.zeros(len(rows.steep))
        self.order, self.active = np.arange(problem.n), problem.n
        self.seed, self.sweeps, self.work, self.checked_at = 0, 0, 0.0, 0.0
        self.threshold, self.lower, self.looks = np.inf, -np.inf, []
        self._start(objective, x)

    def _start(self, objective, x):
        """Take the start as the best model so far, and its slopes as dual variables."""
        coef, intercept = objective.raw(x)
        coef, intercept = coef[self.c], float(intercept[self.c])
        if self.has_intercept:
            intercept += float(objective.metric.mean @ coef)
        scale = np.broadcast_to(self.rows.scale, coef.shape)
        v = np.divide(coef, scale, out=np.zeros(len(coef)), where=scale > 0)
        state, rows, margins = self.state, self.rows, np.zeros(len(self.order))
        if v.any():
            margins = rows.single.products(v) - float(rows.mean @ v)
        state.intercept = intercept
        margins += intercept
        loss = self._loss(margins)
        self.best, self.best_values = (v, intercept), (loss, loss + self._penalty(v))
        if v.any():
            position, low, high, band = self.terms
            away = margins - position
            state.dual[:] = np.where(away > band, high, np.where(away < -band, low, 0.0))
            state.sums[:] = rows.single.sums(state.dual)
            self._bound()
        if not self.lower > 0.0:
            # Zeros are better: they say that no loss is below zero.
            self.lower, self.best_dual = 0.0, np.zeros(len(self.order))
            state.dual[:] = state.sums[:] = 0.0
        state.settle(rows.mean)

    def _loss(self, z):
        """Return the mean loss at given margins."""
        position, low, high, band = self.terms
        r = z - position
        return float(
            high @ np.maximum(r - band, 0.0) + low @ np.minimum(r + band, 0.0)
        )

    def _penalty(self, v):
        steep = v[self.rows.steep]
        return 0.5 * self.rows.delta * (float(v @ v) - float(self.rows.lacking @ steep**2))

    @property
    def gap(self):
        return max(self.best_values[1] - self.lower, 0.0)

    @property
    def is_exact(self):
        return self.gap <= Gap.negligible * abs(self.best_values[1])

    @property
    def has_stalled(self):
        """Whether the gap has hardly fallen while the work has doubled."""
        if self.work < Limits.patience:
            return False
        before = [gap for work, gap in self.looks if work <= 0.5 * self.work]
        return bool(before) and self.gap > Limits.stalled * before[-1]

    def advance(self):
        """Sweep for a round, and check; return the passes over the rows that this took."""
        n, began, sweeps = len(self.order), self.work, 0
        goal = min(max(Limits.least, Limits.growth * self.work), Limits.most)
        while self.work - began < goal and self.active and sweeps < Limits.sweeps_of_round:
            shuffle(self.order[:self.active], self.seed)
            self.seed += n
            count = self.active
            self.active, violation = self.state.sweep(self.order, count, self.threshold)
            self.work, sweeps = self.work + count / n, sweeps + 1
            self.threshold = violation + self._move_multipliers()
        self._check()
        self.looks.append((self.work, self.gap))
        return 2.0 + self.work - began

    def _move_multipliers(self):
        """Move the proximal terms to where the sweep has led; return how far the margins may move."""
        state, rows = self.state, self.rows
        change = -self.rho * state.total
        state.intercept += change
        moved = abs(change)
        if len(rows.steep):
            steep = rows.steep
            v = (state.total * rows.mean[steep] - state.sums[steep]) / rows.delta
            offset = rows.delta * rows.lacking * v
            state.sums[steep] += self.offset - offset
            state.mean_sum += float(rows.mean[steep] @ (self.offset - offset))
            moved += float(np.abs(offset - self.offset) @ rows.spread) / rows.delta
            self.offset = offset
        return moved

    def _check(self):
        """Look at the primal and the dual point, and choose the active rows anew."""
        state, rows = self.state, self.rows
        state.settle(rows.mean)
        margins = state.margins()
        v = (state.total * rows.mean - state.sums) / rows.delta
        b = self._best_intercept(margins)
        loss = self._loss(margins + b)
        value = loss + self._penalty(v)
        if value < self.best_values[1]:
            self.best, self.best_values = (v, b), (loss, value)
        self._bound()
        self.active, violation = state.activate(self.order, margins, self.threshold)
        if not self.active:
            self.order[:], self.active = np.arange(len(self.order)), len(self.order)
        self.threshold = max(self.threshold, violation)

    def _best_intercept(self, margins):
        """Return the intercept of the least loss at given margins."""
        if not self.has_intercept:
            return 0.0
        position, low, high, band = self.terms
        if not band.any():
            return weighted_quantile(position - margins, high - low, -low.sum())
        edges = np.concatenate([position - band - margins, position + band - margins])
        return weighted_quantile(edges, np.concatenate([-low, high]), -low.sum())

    def _bound(self):
        """Bound the minimum from below by dual variables whose sum is zero."""
        dual, rows, sums = self.state.dual.copy(), self.rows, None
        if self.has_intercept:
            up, down = np.maximum(dual, 0.0).sum(), np.maximum(-dual, 0.0).sum()
            least = min(up, down)
            dual[dual > 0] *= least / up if up else 1.0
            dual[dual < 0] *= least / down if down else 1.0
            sums = rows.single.sums(dual)
        else:
            sums = self.state.sums.copy()
            sums[rows.steep] += self.offset
        position, _, _, band = self.terms
        squares = sums**2
        squares[rows.steep] /= 1.0 - rows.lacking
        lower = -float(dual @ position + np.abs(dual) @ band) - squares.sum() / (2.0 * rows.delta)
        if lower > self.lower:
            self.lower, self.best_dual = lower, dual
