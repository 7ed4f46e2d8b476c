"""Squared errors with l1 along falling alphas, on few of many columns.

In the columns' own scales the objective of a fold is, but for a constant,

    F(x) = x' H x / 2 - c' x + sum_j (l1_j |x_j| + ridge_j x_j^2 / 2),    lower <= x <= upper

with l1_j and ridge_j proportional to alpha. The sequential strong rule expects a coordinate to be 0
at alpha where its slope at the alpha before was below ``(2 alpha - alpha_before) l1_j / alpha``.
The others, and those of earlier alphas, are the working set, whose columns of H are made when they
first come up. Coordinate descent on H (`gram_path`), or on sparse columns themselves
(`column_descent`), starts on the line through the last two solutions. What the rule has left out is
then checked: one product of X with the residuals of all folds gives the slopes of all coordinates.
Those that would leave 0 join the working set, until there are none: the solution is that on all
columns.

Sweeps over sparse columns are slow where a model with about as many coefficients as rows is far
from its start. Such an alpha is approached from the last solution through alphas between the two
(continuation), so that sweeps find the active set. The minimum on that is found on its Gram matrix:
by Newton's method, or by an active-set method where few rows make the matrix nearly singular.

References
----------
Tibshirani, Bien, Friedman, Hastie, Simon, Taylor and Tibshirani, Strong rules for discarding
predictors in lasso-type problems, 2012.
Hale, Yin and Zhang, Fixed-point continuation for l1-minimization: methodology and convergence,
2008.
Massias, Gramfort and Salmon, Celer: a fast solver for the lasso with dual extrapolation, 2018.
"""

from dataclasses import dataclass

import numpy as np

from skgd._fit.build_objective import penalty_rule
from skgd._path import gram_path
from skgd._path.costs import LassoPathLimits as Limits
from skgd._path.points import PathPoint
from skgd._problem.fold_columns import FoldColumns
from skgd._solvers.column_descent import descend_columns
from skgd.penalties import L1, Box, ElasticNet


@dataclass(frozen=True, eq=False)
class SparsePoint:
    """The minimiser for one alpha, without its zeros.

    Attributes
    ----------
    alpha : float
    numbers : array of int
        Of the columns whose coefficients are not 0.
    coef : array
        Of these.
    intercept, weight, loss, objective : float
    """

    alpha: float
    numbers: np.ndarray
    coef: np.ndarray
    intercept: float
    weight: float
    loss: float
    objective: float

    def filled(self, d):
        """Return the point with the coefficients of all columns."""
        coef = np.zeros((1, d))
        coef[0, self.numbers] = self.coef
        values = np.array([self.loss]), np.array([self.objective])
        return PathPoint(
            self.alpha, coef, np.array([self.intercept]), self.weight, lambda: values
        )  # fmt: skip


def suits(settings, n_outputs, d):
    """Tell whether the path of an objective can be walked on few of its columns.

    Parameters
    ----------
    settings : Settings
    n_outputs, d : int
    """
    if not gram_path.is_for(settings) or n_outputs != 1:
        return False
    penalty = settings.penalty
    inner = penalty.penalty if type(penalty) is Box else penalty
    if type(inner) not in (L1, ElasticNet):
        return False
    l1, lower, upper = penalty_rule(settings, d).separable_form(d)
    return bool(np.all(l1 > 0) and np.all(lower <= 0) and np.all(upper >= 0))


def paths(samples, settings, alphas, pause=lambda: None, map_jobs=map):
    """Return the minimisers of folds for alphas, as one list of `SparsePoint` for each fold.

    None stands for those to which the path of a fold has not come.

    Parameters
    ----------
    samples : list of Sample
        With the same rows and targets, and weights of their own.
    settings : Settings
    alphas : array of shape (n_alphas,)
        In any order.
    pause : callable
        Called again and again; raises where the paths are to be left.
    map_jobs : callable
        Returns the results of a function for each of some jobs.
    """
    first, points = samples[0], [[None] * len(alphas) for _ in samples]
    columns = FoldColumns(first.X, first.engine_rows(), first.targets[:, 0])
    n, d = first.X.shape
    largest = d if columns.is_sparse else min(Limits.columns, Limits.kept // (len(samples) * n))
    views = columns.folds([sample.weights for sample in samples], centred=settings.fit_intercept,
                          map_jobs=map_jobs)  # fmt: skip
    folds = [None if view is None else _Fold(view, settings, largest) for view in views]
    _look(columns, [fold for fold in folds if fold is not None])
    for i in np.argsort(-np.asarray(alphas), kind="stable"):
        alpha = float(alphas[i])
        going = [fold for fold in folds if fold is not None and fold.is_well]
        if not alpha > 0.0 or not going:
            break
        _move(columns, going, alpha, pause, map_jobs)
        for fold, found in zip(folds, points, strict=True):
            if fold is not None and fold.is_well:
                found[i] = fold.point(alpha)
    return points


def path_of_sample(sample, settings, alphas, pause=lambda: None):
    """Return the minimisers for alphas on a sample, as one `PathPoint` each, or None."""
    if not suits(settings, sample.n_outputs, sample.X.shape[1]):
        return [None] * len(alphas)
    (points,) = paths([sample], settings, alphas, pause)
    return [None if point is None else point.filled(sample.X.shape[1]) for point in points]


def _move(columns, folds, alpha, pause, map_jobs):
    """Take folds to the minimum at an alpha."""
    open_folds = [fold for fold in folds if fold.expects_columns(alpha)]
    while open_folds:
        pause()
        list(map_jobs(lambda fold: fold.descend(alpha, pause), open_folds))
        slow = [fold for fold in open_folds if fold.is_slow]
        open_folds = [fold for fold in open_folds if not fold.is_slow]
        _look(columns, open_folds)
        open_folds = [fold for fold in open_folds if fold.is_well and fold.misses_columns(alpha)]
        if slow:
            _move_in_steps(columns, slow, alpha, pause, map_jobs)


def _move_in_steps(columns, folds, alpha, pause, map_jobs):
    """Take folds from their last minimum to that at an alpha, through alphas between them."""
    for fold in folds:
        fold.go_back()
    _look(columns, folds)
    largest = max(fold.alpha for fold in folds)
    n_steps = int(np.ceil(np.log(alpha / largest) / np.log(Limits.step)))
    # The last one exactly, which geomspace rounds.
    for each in [*np.geomspace(largest, alpha, n_steps + 1)[1:-1].tolist(), alpha]:
        _move(columns, [fold for fold in folds if fold.is_well], each, pause, map_jobs)


def _look(columns, folds):
    """Tell folds the slopes of all coordinates, from one product for all of them."""
    if folds:
        products = columns.products(np.column_stack([fold.residuals for fold in folds]))
        for fold, each in zip(folds, products.T, strict=True):
            fold.take_slopes(each)


class _Fold:
    """The path of a fold.

    Attributes
    ----------
    is_well : bool
        Whether the path continues: neither are there too many columns, nor do they lose digits.
    is_slow : bool
        Whether sweeps were too slow for a minimum that is far from the last one.
    x : array of shape (m,)
        The coefficients of the working set.
    square : float
        The mean square of the residuals.
    residuals : array of shape (n_samples,)
        Times the shares of their rows.
    pulls : array of shape (n_features,)
        The alpha up to which the slopes of each coordinate would move it from 0.
    alpha : float
        Where the path is; at first the smallest alpha whose model is empty.
    """

    def __init__(self, view, settings, largest):
        self.view, self.largest, self.is_well, self.is_slow = view, largest, True, False
        inverse, scale, d = view.inverse, view.scale, len(view.scale)
        l1, lower, upper = penalty_rule(settings, d).separable_form(d)
        ridge = np.broadcast_to(np.asarray(settings.penalty.curvature(d), dtype=float), (d,))
        self.l1, self.ridge = l1 * inverse, ridge * inverse**2
        self.lower, self.upper = (
            np.nan_to_num(bound * scale, nan=0.0, posinf=np.inf, neginf=-np.inf)
            for bound in (lower, upper)
        )
        self.can_rise, self.can_fall = self.upper > 0, self.lower < 0
        self.newton = gram_path.newton_method(self.lower, self.upper)
        self.x, self.is_in = np.zeros(0), scale == 0.0
        self.last, self.before, self.alpha = None, None, None
        self.square, self.residuals = view.residuals(self.x)

    def take_slopes(self, products):
        """Take in the products of raw columns with the residuals."""
        slopes = self.view.slopes(products, self.residuals)
        # Only in directions in which a coordinate may go.
        pulls = np.where(slopes > 0, self.can_rise, self.can_fall) * np.abs(slopes)
        self.pulls = np.divide(pulls, self.l1, out=np.zeros(len(pulls)), where=self.l1 > 0)
        if self.alpha is None:
            self.alpha = float(self.pulls.max(initial=0.0))

    def expects_columns(self, alpha):
        """Choose the working set by the strong rule; return whether the model is not empty."""
        if alpha >= self.alpha and not len(self.x):
            return False
        self._extend(self.pulls > max(2.0 * alpha - self.alpha, 0.0))
        if not self.is_well:
            return False
        start = self._predicted(alpha)
        self.x = self.x.copy() if start is None else start
        return True

    def _extend(self, chosen):
        """Take columns into the working set, those that are pulled most; tell whether any came."""
        new = np.flatnonzero(chosen & ~self.is_in)
        most = max(Limits.least, np.count_nonzero(self.x))
        if len(new) > most:
            new = np.sort(new[np.argpartition(-self.pulls[new], most)[:most]])
        if not len(new):
            return False
        try:
            if len(self.x) + len(new) > self.largest:
                raise FloatingPointError("The working set is too large.")
            self.view.extend(new)
        except FloatingPointError:
            self.is_well = False
            return False
        self.is_in[new] = True
        self.x = np.append(self.x, np.zeros(len(new)))
        return True

    def go_back(self):
        """Return to the last minimum, with the working set as it is now."""
        x = np.zeros(len(self.x))
        if self.last is not None:
            x[:len(self.last[1])] = self.last[1]
        self.x, self.is_slow = x, False
        self.square, self.residuals = self.view.residuals(x)

    def _predicted(self, alpha):
        """Return the point on the line through the last two solutions."""
        if self.before is None:
            return None
        m, numbers = len(self.x), self.view.numbers
        last, before = ((a, np.append(x, np.zeros(m - len(x)))) for a, x in
                        (self.last, self.before))  # fmt: skip
        return gram_path.predicted(alpha, last, before, self.lower[numbers], self.upper[numbers])

    def descend(self, alpha, pause):
        """Move to the minimum on the working set."""
        view, numbers = self.view, self.view.numbers
        l1, ridge = alpha * self.l1[numbers], alpha * self.ridge[numbers]
        bounds = self.lower[numbers], self.upper[numbers]
        if view.is_sparse:
            is_far = alpha < Limits.far * self.alpha
            self._sweep_columns(l1, ridge, *bounds, pause, is_far)
        else:
            descent = gram_path.GramDescent(view.gram, l1, ridge, *bounds, Limits.tol)
            descent.run(self.x, view.cross, pause, self.newton)
        self.square, self.residuals = view.residuals(self.x)

    def _sweep_columns(self, l1, ridge, lower, upper, pause, is_far):
        """Move to the minimum on sparse columns, or give up where that takes too long.

        From far away that is sooner: `is_slow` then says that steps between are needed.
        """
        view, numbers, offset = self.view, self.view.numbers, np.zeros(1)
        columns, derivatives = view.sparse(), -view.residuals(self.x)[1]
        for i in range(Limits.rounds):
            pause()
            size = max((1.0 + ridge) @ self.x**2, Limits.least_size * view.target_square)
            left = descend_columns(
                columns, view.inverse[numbers], view.row_shares, view.mean[numbers],
                float(view.is_centred), 1.0 + ridge, np.zeros(len(numbers)), ridge, l1, lower,
                upper, derivatives, self.x, offset, n_sweeps=Limits.sweeps,
                tol=Limits.tol_sparse * size,
            )  # fmt: skip
            if left <= Limits.tol_sparse * size:
                return
            if i + 1 >= Limits.patience and is_far:
                self.is_slow = True
                return
            if i + 1 >= Limits.patience and self._solve_active(l1, ridge, lower, upper, pause):
                derivatives, offset = -view.residuals(self.x)[1], np.zeros(1)
        self.is_well = False

    def _solve_active(self, l1, ridge, lower, upper, pause):
        """Move to the minimum on the coordinates that are not 0, if they are few enough."""
        view, active = self.view, np.flatnonzero(self.x)
        if len(active) > min(Limits.columns, Limits.kept // len(view.samples)):
            return False
        gram, cross = view.gram_of(view.numbers[active])
        x = self.x[active]
        parts = [part[active] for part in (l1, ridge, lower, upper)]
        newton = gram_path.newton_method(*parts[2:])
        gram_path.GramDescent(gram, *parts, Limits.tol).run_without_sweeps(x, cross, pause, newton)
        self.x[active] = x
        return True

    def misses_columns(self, alpha):
        """Look at the slopes of all columns; return whether some have joined the working set."""
        if self._extend(self.pulls > alpha * (1.0 + Limits.slack)):
            return True
        self.before, self.last, self.alpha = self.last, (alpha, self.x), alpha
        return False

    def point(self, alpha):
        """Return the point at an alpha."""
        view, used = self.view, np.flatnonzero(self.x)
        numbers = view.numbers[used]
        coef, loss = self.x[used] * view.inverse[numbers], 0.5 * self.square
        intercept = view.target_mean - float(view.mean[numbers] @ coef)
        penalty = self.l1[numbers] @ np.abs(self.x[used])
        penalty += 0.5 * self.ridge[numbers] @ self.x[used] ** 2
        return SparsePoint(
            alpha, numbers, coef, intercept, view.weight, loss, loss + alpha * float(penalty)
        )  # fmt: skip
