"""One output of dual coordinate descent: the rows in its coordinates, its dual and primal points.

`dual_coordinate_descent` states the mathematics.
"""

from dataclasses import dataclass

import numpy as np
from scipy import optimize

from skgd._engine import DualCoordinates, shuffle, weighted_quantile
from skgd._solvers.costs import DualDescent as Limits
from skgd._solvers.costs import Gap


@dataclass(frozen=True, eq=False)
class PenalisedRows:
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
        relative = relative_variances(objective)
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


def relative_variances(objective):
    """Return the variances of the columns over their penalties; zeros in raw coordinates.

    The metric knows them.
    """
    metric, penalty, d = objective.metric, objective.penalty_curvature[0], objective.problem.d
    if metric.identity:
        return np.zeros(d)
    inverse, scale = metric.inverse[0, :d], metric.unit[0] * penalty
    known = (inverse > 0) & (scale > 0)
    curvature = np.divide(1.0, inverse**2 * scale, out=np.ones(d), where=known)
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


def _times_shares(shares, low, high, ridge):
    """Return bounds and curvatures of conjugates for dual variables times the rows' shares."""
    counts = shares > 0
    low, high = (
        np.multiply(shares, end, out=np.zeros(len(shares)), where=counts) for end in (low, high)
    )
    return low, high, np.divide(ridge, shares, out=np.zeros(len(shares)), where=counts)


class OutputDual:
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
        position, low, high, band, ridge = (
            np.ascontiguousarray(np.broadcast_to(part, (problem.n, problem.k))[:, c], dtype=float)
            for part in terms
        )
        low, high, self.ridge = _times_shares(shares, low, high, ridge)
        self.terms = position, low, high, band
        curvature, self.rho = rows.squares / rows.delta, 0.0
        if self.has_intercept:
            # Where the penalty is so strong that margins hardly move, targets alone have a scale.
            spread = np.abs(position - self._best_intercept(np.zeros(problem.n)))
            self.rho = Limits.intercept * max(float(shares @ curvature), float(shares @ spread))
        self.state = DualCoordinates(
            rows.single, *self.terms, self.ridge, rows.mean_products,
            np.maximum(curvature + self.rho + self.ridge, np.finfo(float).tiny), penalty=rows.delta,
            mean_square=float(rows.mean @ rows.mean), rho=self.rho,
        )  # fmt: skip
        self.offset = np.zeros(len(rows.steep))
        self.order, self.active = np.arange(problem.n), problem.n
        self.seed, self.sweeps, self.work, self.checked_at = 0, 0, 0.0, 0.0
        self.threshold, self.lower, self.looks = np.inf, -np.inf, []
        self._start(objective, x)

    def _start(self, objective, x):
        """Take the start as the best model so far, and its slopes as dual variables.

        Its intercept is the best one for its coefficients.
        """
        coef = objective.raw(x)[0][self.c]
        scale = np.broadcast_to(self.rows.scale, coef.shape)
        v = np.divide(coef, scale, out=np.zeros(len(coef)), where=scale > 0)
        state, rows, margins = self.state, self.rows, np.zeros(len(self.order))
        if v.any():
            margins = rows.single.products(v) - float(rows.mean @ v)
        intercept = state.intercept = self._best_intercept(margins)
        margins += intercept
        loss = self._loss(margins)
        self.best, self.best_values = (v, intercept), (loss, loss + self._penalty(v))
        if v.any():
            state.dual[:] = self._slopes(margins)
            state.sums[:] = rows.single.sums(state.dual)
            self._bound()
        if not self.lower > 0.0:
            # Zeros are better: they say that no loss is below zero.
            self.lower, self.best_dual = 0.0, np.zeros(len(self.order))
            state.dual[:] = state.sums[:] = 0.0
        state.settle(rows.mean)

    def start_from(self, dual, ratio):
        """Start from the dual variables of another penalty.

        Parameters
        ----------
        dual : array of shape (n_samples,)
            Times the rows' shares.
        ratio : float
            What delta is as a share of the one there.
        """
        (_, low, high, _), state = self.terms, self.state
        near = Limits.at_bound * (high - low)
        is_bound = (low < 0) & (dual <= low + near) | (high > 0) & (dual >= high - near)
        state.dual[:] = np.clip(np.where(is_bound, dual, ratio * dual), low, high)
        state.sums[:] = self.rows.single.sums(state.dual)
        self._bound()
        state.settle(self.rows.mean)

    def _slopes(self, z):
        """Return the dual variables that are derivatives of the losses at given margins."""
        position, low, high, band = self.terms
        away = z - position
        away = np.sign(away) * np.maximum(np.abs(away) - band, 0.0)
        if not self.ridge.any():
            return np.where(away > 0, high, np.where(away < 0, low, 0.0))
        steps = np.divide(away, self.ridge, out=np.zeros(len(away)), where=self.ridge > 0)
        return np.clip(steps, low, high)

    def _loss(self, z):
        """Return the mean loss at given margins."""
        position, _, _, band = self.terms
        u, away = self._slopes(z), z - position
        return float(u @ away - np.abs(u) @ band - 0.5 * self.ridge @ u**2)

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

    def advance(self, goal):
        """Sweep until the gap may have come to a goal, and check; return the passes of the rows.

        As long as a single sweep takes more off the dual objective, the gap is larger.
        """
        n, began, decrease = len(self.order), self.work, np.inf
        least = began + min(max(Limits.least, Limits.growth * began), Limits.most)
        most = began + min(max(Limits.least, began), Limits.most)
        while self.active and (self.work < least or decrease > goal and self.work < most):
            shuffle(self.order[:self.active], self.seed)
            self.seed += n
            count = self.active
            self.active, violation, decrease = self.state.sweep(self.order, count, self.threshold)
            self.work += max(count / n, Limits.sweep)
            self.threshold = violation + self._move_multipliers()
        self._check()
        self.looks.append((self.work, self.gap))
        return 2.0 + self.work - began

    def _move_multipliers(self):
        """Move the proximal terms to where the sweep has led; return how far margins may move."""
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
        """Look at the primal and the dual point, and choose the active rows again."""
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
        if self.ridge.any():
            return self._root_of_slopes(margins)
        position, low, high, band = self.terms
        if not band.any():
            return weighted_quantile(position - margins, high - low, -low.sum())
        edges = np.concatenate([position - band - margins, position + band - margins])
        return weighted_quantile(edges, np.concatenate([-low, high]), -low.sum())

    def _root_of_slopes(self, margins):
        """Return the intercept at which the sum of the slopes is zero."""
        position = self.terms[0]
        low, high = (float(f(position - margins)) for f in (np.min, np.max))

        def total(b):
            return float(self._slopes(margins + b).sum())

        if total(low) >= 0.0:
            return low
        return optimize.brentq(total, low, high) if total(high) > 0.0 else high

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
        conjugates = dual @ position + np.abs(dual) @ band + 0.5 * self.ridge @ dual**2
        lower = -float(conjugates) - squares.sum() / (2.0 * rows.delta)
        if lower > self.lower:
            self.lower, self.best_dual = lower, dual
