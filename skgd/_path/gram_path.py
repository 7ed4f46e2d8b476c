"""Squared errors along falling alphas, from a Gram matrix: no row is read again.

With the Gram matrix G of the centred columns and c their products with the targets, the objective
is, but for a constant,

    F(w) = w' G w / 2 - c' w + alpha sum_j (l1_j |w_j| + v_j w_j^2 / 2),    lower <= w <= upper

**l2.** In ``t = sqrt(v) w`` the penalty is a multiple of ``|t|^2``, so that one eigendecomposition
of G serves all alphas. Columns of very different scales, or an eigenvalue that rounding has got
wrong, would spoil it: each solution's gradient is checked in the columns' own scales, and where it
is too large the system of that alpha is factorised there.

**l1 and bounds**, in the columns' own scales. While the active set stays, the solution is linear
in alpha, so each alpha starts on the line through the last two solutions. A semismooth Newton
method (`semismooth_newton`) takes one or two steps from there. Where it fails, as from far away,
coordinate descent (`gram_descent`) follows. Where sweeps are slow the system of the active set is
solved, up to the first coordinate that reaches 0 or a bound; where that does not end, the matrix is
nearly singular and the active-set method (`active_set`) takes over. Gradients are taken again for
each alpha: updates would add up rounding.

References
----------
Friedman, Hastie and Tibshirani, Regularization paths for generalized linear models via coordinate
descent, 2010.
Osborne, Presnell and Turlach, A new approach to variable selection in least squares problems, 2000.
"""

import numpy as np
from scipy import linalg

from skgd._fit.build_objective import penalty_rule
from skgd._path.costs import GramLimits as Limits
from skgd._path.points import PathPoint
from skgd._problem.fold_grams import FoldGrams
from skgd._solvers.active_set import SeparablePenalty, active_set_qp
from skgd._solvers.gram_descent import BUSY, DONE, descend, gradient_of
from skgd._solvers.semismooth_newton import BUSY as STEPPING
from skgd._solvers.semismooth_newton import FAILED, SemismoothNewton
from skgd._utils.linalg import solver
from skgd.losses import SquaredError
from skgd.penalties import L1, L2, Box, ElasticNet


def is_for(settings):
    """Tell whether the loss is the squared error."""
    return type(settings.loss) is SquaredError


def suits(settings, d, n):
    """Tell whether the path of an objective can be walked on a Gram matrix.

    Parameters
    ----------
    settings : Settings
    d : int
        The number of columns.
    n : int
        The number of rows that count.
    """
    if not is_for(settings) or d > Limits.largest:
        return False
    penalty = settings.penalty
    inner = penalty.penalty if type(penalty) is Box else penalty
    if type(inner) not in (L2, L1, ElasticNet):
        return False
    l1, lower, upper = penalty_rule(settings, d).separable_form(d)
    if np.any(lower > 0) or np.any(upper < 0):
        return False
    # Rounding in the null space of G would be divided by alpha.
    return n > d or bool(np.all(l1 > 0))


def path(gram, settings, alphas, n_outputs, pause=lambda: None):
    """Return the minimisers for alphas, as one `PathPoint` each.

    Parameters
    ----------
    gram : Gram
        Of the rows, with the targets as their last columns.
    settings : Settings
    alphas : array of shape (n_alphas,)
        In any order.
    n_outputs : int
    pause : callable
        Called again and again; raises where the path is to be left.
    """
    alphas, d = np.asarray(alphas, dtype=float), len(gram.mean) - n_outputs
    quadratic = _Quadratic(gram, settings, d)
    if quadratic.is_smooth:
        coefs = quadratic.smooth_path(alphas)
    else:
        coefs = np.empty((len(alphas), n_outputs, d))
        for c in range(n_outputs):
            coefs[:, c] = quadratic.separable_path(alphas, c, pause)
    return [quadratic.point(alpha, coef) for alpha, coef in zip(alphas, coefs, strict=True)]


def path_of_sample(sample, settings, alphas, pause=lambda: None):
    """Return the minimisers for alphas on a sample; None for each where they are not to be had.

    Parameters
    ----------
    sample : Sample
    settings : Settings
    alphas : array of shape (n_alphas,)
    pause : callable
    """
    (n, d), weights = sample.X.shape, sample.once("weights", sample.masked_weights)
    counted = n if weights is None else np.count_nonzero(weights)
    if suits(settings, d, counted):
        grams = FoldGrams(sample.X, sample.targets, np.ones((1, n), dtype=int), weights)
        gram = grams.of_fold(0, [grams.of_group(0)])
        if not grams.loses_digits(0, gram, centred=settings.fit_intercept):
            return path(gram, settings, alphas, sample.n_outputs, pause)
    return [None] * len(alphas)


class _Quadratic:
    """The objective on a Gram matrix, in the columns' own scales: ``x = w * scale``."""

    def __init__(self, gram, settings, d):
        self.fits_intercept, self.weight = settings.fit_intercept, gram.weight
        self.mean, self.targets = gram.mean[:d], gram.mean[d:]
        moments = gram.moments(d, centred=settings.fit_intercept)
        self.gram, self.cross, self.scale, self.squares = moments
        if not all(np.isfinite(part).all() for part in (self.gram, self.cross)):
            raise FloatingPointError("Squares of the columns are beyond the range of doubles.")
        self.inverse = np.divide(1.0, self.scale, out=np.zeros(d), where=self.scale > 0)
        self.hessian = np.ascontiguousarray(self.gram * self.inverse[:, None] * self.inverse)
        self.linear = np.ascontiguousarray((self.cross * self.inverse[:, None]).T)
        rule = penalty_rule(settings, d)
        self.l1, self.lower, self.upper = rule.separable_form(d)
        self.ridge = np.broadcast_to(np.asarray(settings.penalty.curvature(d), dtype=float), (d,))
        self.is_smooth = not rule.is_proximal

    def point(self, alpha, coef):
        """Return the point of a path with given coefficients."""
        intercept = np.zeros(len(coef))
        if self.fits_intercept:
            intercept = self.targets - coef @ self.mean
        return PathPoint(alpha, coef, intercept, self.weight, lambda: self._values(alpha, coef))

    def _values(self, alpha, coef):
        """Return the loss and the objective of each output."""
        products = np.einsum("ij,ij->i", coef @ self.gram, coef)
        losses = 0.5 * (self.squares - 2.0 * np.einsum("ij,ji->i", coef, self.cross) + products)
        losses = np.maximum(losses, 0.0)
        return losses, losses + alpha * (np.abs(coef) @ self.l1 + 0.5 * coef**2 @ self.ridge)

    # ---- l2 -------------------------------------------------------------------------------------

    def smooth_path(self, alphas):
        """Return the coefficients for each alpha, of shape (n_alphas, n_outputs, n_features)."""
        x = np.zeros((len(alphas), *self.linear.shape))
        wrong = np.arange(len(alphas))
        if len(alphas) >= Limits.few_alphas and self._is_even():
            x = self._by_eigenvectors(alphas)
            wrong = np.flatnonzero(self._is_wrong(x, alphas))
        for i in wrong:
            x[i] = self._by_factorisation(alphas[i])
        return x * self.inverse

    def _is_even(self):
        """Tell whether columns in units of the penalty are of about one scale."""
        if not self.ridge.all():
            return False
        sizes = (self.scale / np.sqrt(self.ridge))[self.scale > 0]
        return bool(sizes.size and sizes.max() < Limits.uneven * sizes.min())

    def _by_eigenvectors(self, alphas):
        sizes = self.scale / np.sqrt(self.ridge)
        values, vectors = linalg.eigh(
            self.hessian * sizes[:, None] * sizes, driver="evd", check_finite=False
        )
        parts = (self.linear * sizes) @ vectors
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = parts / (np.maximum(values, 0.0) + alphas[:, None])[:, None]
        return shares @ vectors.T * sizes

    def _is_wrong(self, x, alphas):
        """Tell for which alphas the gradient is not 0, in the metric of the objective."""
        ridge = alphas[:, None, None] * self.ridge * self.inverse**2
        slopes = (x @ self.hessian - self.linear + ridge * x) / np.sqrt(1.0 + ridge)
        size = Limits.solved * (self.linear**2).sum()
        return ~((slopes**2).sum(axis=(1, 2)) <= size)

    def _by_factorisation(self, alpha):
        ridge = alpha * self.ridge * self.inverse**2
        scale = 1.0 / np.sqrt(1.0 + ridge)
        matrix = self.hessian * scale[:, None] * scale
        matrix[np.diag_indices(len(matrix))] += ridge * scale**2
        solve = solver(matrix)
        return np.array([solve(row * scale) * scale for row in self.linear])

    # ---- l1 and bounds --------------------------------------------------------------------------

    def separable_path(self, alphas, output, pause):
        """Return the coefficients of an output for each alpha, of shape (n_alphas, n_features)."""
        result = np.empty((len(alphas), len(self.scale)))
        bounds = [np.nan_to_num(bound * self.scale, nan=0.0, posinf=np.inf, neginf=-np.inf)
                  for bound in (self.lower, self.upper)]  # fmt: skip
        x, before, last = np.zeros(len(self.scale)), None, None
        newton = newton_method(*bounds)
        for i in np.argsort(-alphas, kind="stable"):
            start = predicted(alphas[i], last, before, *bounds)
            x = x.copy() if start is None else start
            descent = GramDescent(
                self.hessian, alphas[i] * self.l1 * self.inverse,
                alphas[i] * self.ridge * self.inverse**2, *bounds,
            )  # fmt: skip
            descent.run(x, self.linear[output], pause, newton)
            before, last = last, (alphas[i], x)
            result[i] = x * self.inverse
        return result


def predicted(alpha, last, before, lower, upper):
    """Return the point at an alpha on the line through the last two solutions; None without two.

    Coordinates that were 0 stay there, and those whose sign would change go to 0.
    """
    if before is None or not before[0] > last[0]:
        return None
    share = (alpha - last[0]) / (last[0] - before[0])
    goal = last[1] + share * (last[1] - before[1])
    return np.clip(np.where(goal * last[1] > 0, goal, 0.0), lower, upper)


def newton_method(lower, upper):
    """Return a semismooth Newton method for a path; None where it does not know the bounds."""
    is_known = np.all((lower == 0) | np.isinf(lower)) and np.all((upper == 0) | np.isinf(upper))
    return SemismoothNewton() if is_known else None


class GramDescent:
    """The minimum at one alpha: by Newton's method, or by coordinate descent where that fails."""

    def __init__(self, hessian, l1, ridge, lower, upper, tol=Limits.tol):
        self.hessian, self.l1, self.ridge, self.tol = hessian, l1, ridge, tol
        self.lower, self.upper = lower, upper

    def run(self, x, linear, pause, newton=None):
        """Move x to the minimum; `newton` is the path's own method, or None."""
        if newton is not None and self._by_newton(x, linear, pause, newton):
            return
        gradient = gradient_of(self.hessian, linear, x)
        active, patience = np.empty(len(x), dtype=np.intp), Limits.patience
        n_solves = 0
        while n_solves < Limits.solves:
            pause()
            reason, n_active = descend(
                self.hessian, self.l1, self.ridge, self.lower, self.upper, x, gradient, active,
                tol=self.tol, patience=patience, work=Limits.work,
            )  # fmt: skip
            if reason == DONE:
                return
            if reason != BUSY:
                self._solve_active(x, gradient, active[:n_active])
                # Rounding may keep sweeps from what the solve found.
                patience *= Limits.more_patience
                n_solves += 1
        self._solve_by_active_sets(x, gradient)

    def run_without_sweeps(self, x, linear, pause, newton):
        """Move x to the minimum: by Newton's method, or by active sets where that fails."""
        if newton is None or not self._by_newton(x, linear, pause, newton):
            self._solve_by_active_sets(x, gradient_of(self.hessian, linear, x))

    def _by_newton(self, x, linear, pause, newton):
        """Move x to the minimum, if the start is near enough; return whether it was."""
        start, tol = x.copy(), self.tol * Limits.newton
        newton.start(self.hessian, linear, self.l1, self.ridge, self.lower, self.upper, x, tol=tol)
        while (reason := newton.run(Limits.work)) == STEPPING:
            pause()
        if reason == FAILED:
            x[:] = start
        return reason != FAILED

    def _solve_by_active_sets(self, x, gradient):
        """Move x to the minimum of a system that is nearly singular."""
        matrix = self.hessian + np.diag(self.ridge)
        penalty = SeparablePenalty(self.l1, self.lower, self.upper)
        x[:] = active_set_qp(matrix, gradient + self.ridge * x, x, penalty, 0.0)

    def _solve_active(self, x, gradient, active):
        """Move x towards the minimum on the active set, up to the first sign or bound."""
        at, l1, signs = x[active], self.l1[active], np.sign(x[active])
        block = np.ascontiguousarray(self.hessian[np.ix_(active, active)])
        # A little damping: along flat directions l1 still has a slope.
        block[np.diag_indices(len(at))] *= 1.0 + Limits.damping
        block[np.diag_indices(len(at))] += self.ridge[active]
        step = -solver(block)(gradient[active] + self.ridge[active] * at + l1 * signs)
        low = np.where((l1 > 0) & (at > 0), np.maximum(self.lower[active], 0), self.lower[active])
        high = np.where((l1 > 0) & (at < 0), np.minimum(self.upper[active], 0), self.upper[active])
        with np.errstate(divide="ignore", invalid="ignore"):
            room = np.where(step > 0, (high - at) / step, np.where(step < 0, (low - at) / step,
                                                                   np.inf))  # fmt: skip
        length = min(1.0, float(room.min(initial=np.inf)))
        end = np.clip(at + length * step, low, high)
        end = np.where(room <= length, np.where(step > 0, high, low), end)
        x[active] = end
        gradient += (end - at) @ self.hessian[active]
