"""More columns than rows: systems and descents of as many unknowns as rows.

With a squared penalty on every coefficient, and the rows A centred and in units in which the
penalty is ``|v|^2 / 2``, the minimum lies in the span of the rows.

Row-space reduction, for any loss: with an orthonormal basis Q of the span, `row_span`, the same
objective in ``t = Q' v`` has the rows ``A Q``.

The Woodbury identity, for squared errors, whose Hessian is ``A'A + I``::

    (A'A + I)^-1 = I - A' (I + A A')^-1 A

Columns that are far larger than the others, along which it has no digits, and the intercept are
eliminated on their own, by a bordered system. Rounding is corrected by conjugate gradients.

References
----------
Hastie and Tibshirani, Efficient quadratic regularization for expression arrays, 2004.
Saunders, Gammerman and Vovk, Ridge regression learning algorithm in dual variables, 1998.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import linalg

from skgd._objective.metric import diagonal_metric
from skgd._objective.objective import Objective
from skgd._problem.scaled_rows import row_blocks
from skgd._solvers.costs import RowSpace, WoodburyLimits
from skgd._solvers.hessian import Hessian
from skgd._solvers.row_span import span_of
from skgd._utils.linalg import solver
from skgd.penalties import L2


def has_ridge(objective):
    """Tell whether each coefficient has the same squared penalty in all outputs, and no other."""
    diag = objective.penalty_curvature
    smooth = not objective.proximal and not objective.metric.identity
    return smooth and bool(np.all(diag == diag[0]) and np.all(diag > 0))


# ---- row-space reduction ------------------------------------------------------------------------

@dataclass(frozen=True, eq=False)
class RowSpaceObjective(Objective):
    """An objective in coordinates of the span of the rows.

    Attributes
    ----------
    span : GramSpan or QRSpan
        That of the centred rows, divided by the roots of the penalty's second derivative.
    centre : array of shape (n_features,)
        The mean that the rows were centred with.
    penalty_diag : array of shape (n_features,)
        The penalty's second derivative.
    whole : Objective
        That of the coefficients themselves.
    """

    span: object = None
    centre: np.ndarray | None = None
    penalty_diag: np.ndarray | None = None
    whole: Objective | None = None

    @cached_property
    def roots(self):
        """The roots of the penalty's second derivative."""
        return np.sqrt(self.penalty_diag)

    def coordinates(self, coef, intercept):
        """Return the parameters of the nearest model in the span of the rows."""
        return self._parameters(self.span.coordinates(coef * self.roots), coef, intercept)

    def _parameters(self, inner, coef, intercept):
        if self.shape[1] > self.problem.d:
            intercept = intercept + coef @ self.centre
        return self.metric.from_raw(inner, intercept).ravel()

    def model(self, x):
        coef, intercept = self.coefficients(x)
        return self.whole.for_all_columns(coef), intercept

    def coefficients(self, x):
        """Return the coefficients and the intercepts of the whole objective that x stands for."""
        coef, intercept = self.raw(x)
        coef = self.span.vectors(coef) / self.roots
        if self.shape[1] > self.problem.d:
            intercept = intercept - coef @ self.centre
        return coef, intercept

    def nearest(self, coef, intercept):
        """Return the parameters of the nearest model in the span, and the penalty of the rest."""
        v = coef * self.roots
        inner = self.span.coordinates(v)
        outside = v - self.span.vectors(inner)
        rest = max(0.5 * float(np.sum(outside * (2.0 * v - outside))), 0.0)
        return self._parameters(inner, coef, intercept), rest


def suits(objective):
    """Tell whether an objective has fewer coordinates in the span of its rows."""
    n, d, loss = objective.problem.n, objective.problem.d, objective.loss
    has_solver = loss.has_hessian or loss.smoothing is not None
    if not (loss.convex and has_solver and objective.problem.may_gather):
        return False
    affordable = RowSpace.affordable if loss.smooth else RowSpace.affordable_nonsmooth
    small = n < d and d > RowSpace.few and n**2 * d <= affordable
    return small and has_ridge(objective)


def in_row_space(objective, *, may_use_qr=None):
    """Return the objective in the span of the rows, None where X is not finite after centring.

    Parameters
    ----------
    objective : Objective
    may_use_qr : bool, default=None
        Whether to continue where the products of rows have too few digits. None is True but for
        squared errors where the Woodbury identity has the digits; otherwise the result is None.
    """
    if may_use_qr is None:
        may_use_qr = not woodbury_suits(objective)
    problem, metric, diag = objective.problem, objective.metric, objective.penalty_curvature[0]
    d, has_intercept = problem.d, objective.shape[1] > problem.d
    rows = _scaled(problem, metric.mean, 1.0 / np.sqrt(diag), metric.inverse[0, :d] == 0)
    span = span_of(rows, is_centred=has_intercept, may_use_qr=may_use_qr)
    if span is None:
        return None
    reduced, ones = problem.with_features(span.rows), np.ones((problem.k, span.rows.shape[1]))
    return RowSpaceObjective(
        problem=reduced, penalty=L2().compiled(), alpha=np.ones(problem.k),
        metric=diagonal_metric(
            reduced.moments(), objective.smoothness, ones, metric.unit, has_intercept
        ),
        smoothness=objective.smoothness, penalty_curvature=ones,
        keeps_margins=objective.keeps_margins, span=span, centre=metric.mean, penalty_diag=diag,
        whole=objective,
    )  # fmt: skip


def _scaled(problem, mean, scale, is_left_out):
    """Return the rows as dense numbers, centred and scaled, with zeros in some columns."""
    X, rows = problem.dense_rows(), np.empty((problem.n, problem.d))
    # In blocks that stay in cache, an array is read once.
    for part in row_blocks(*X.shape):
        np.subtract(X[part], mean, out=rows[part])
        rows[part] *= scale
    if is_left_out.any():
        rows[:, is_left_out] = 0.0
    return rows


# ---- the Woodbury identity ----------------------------------------------------------------------

def woodbury_suits(objective):
    """Tell whether systems of as many equations as rows are possible, and cheaper."""
    n, d = objective.problem.n, objective.problem.d
    if not objective.loss.constant_hessian or not WoodburyLimits.few < d or not n < d:
        return False
    if not objective.problem.may_gather:
        return False
    if n > WoodburyLimits.largest or n * d > WoodburyLimits.copied or not has_ridge(objective):
        return False
    curvature = _relative_curvature(objective)
    steep = curvature > WoodburyLimits.steep
    few = np.count_nonzero(steep) <= WoodburyLimits.eliminated
    return bool(few and curvature[~steep].sum() <= WoodburyLimits.total)


def _relative_curvature(objective):
    """Return the loss's curvature along each coefficient in units of the penalty's."""
    share = objective.penalty_hessian_diag[0, :objective.problem.d]
    return np.divide(1.0 - share, share, out=np.zeros(len(share)), where=share > 0)


class WoodburyHessian(Hessian):
    """The Hessian of squared errors, whose systems are solved over the rows."""

    def _factorise(self):
        objective, (k, p) = self.objective, self.shape
        problem, metric, d = objective.problem, objective.metric, objective.problem.d
        self.is_exact = True
        root = np.append(1.0 / np.sqrt(objective.penalty_curvature[0]), np.ones(p - d))
        share = np.sqrt(problem.shares())[:, None]
        rows = _scaled(problem, metric.mean, root[:d], metric.inverse[0, :d] == 0)
        rows *= share
        steep = np.flatnonzero(_relative_curvature(objective) > WoodburyLimits.steep)
        border = np.hstack([rows[:, steep], np.repeat(share, p - d, axis=1)])
        rows[:, steep] = 0.0
        diag = np.append(np.ones(len(steep)), np.zeros(p - d))
        solve = _bordered_solver(rows, border, diag)
        columns = np.append(steep, np.arange(d, p))
        scale = np.zeros(self.shape)
        np.divide(1.0, metric.inverse, out=scale, where=metric.inverse > 0)

        def of_output(c):
            def solve_row(row):
                part = root * scale[c] * row / metric.unit[c]
                part[:d], part[columns] = solve(part[:d], part[columns])
                return root * scale[c] * part
            return solve_row

        self.solvers = [of_output(c) for c in range(k)]

    def solve(self, gradient, tol, damping=0.0):
        return self._conjugate_gradient(gradient, WoodburyLimits.tol, damping)


def _bordered_solver(rows, border, diag):
    """Return the function that solves systems with ``[A C]' [A C]`` plus a diagonal.

    Parameters
    ----------
    rows : array of shape (n, d)
        A, where the diagonal is 1.
    border : array of shape (n, m)
        C.
    diag : array of shape (m,)
        The diagonal there.
    """
    products = rows @ rows.T
    # What rounding may have taken is added.
    products[np.diag_indices(len(rows))] += 1.0 + np.finfo(float).eps * products.trace()
    factor = linalg.cho_factor(products, overwrite_a=True, check_finite=False)
    images = linalg.cho_solve(factor, border, check_finite=False)
    solve_border = solver(np.diag(diag) + border.T @ images)

    def solve(right, right_border):
        along = linalg.cho_solve(factor, rows @ right, check_finite=False)
        result = solve_border(right_border - along @ border)
        return right - (along + images @ result) @ rows, result

    return solve


def make_hessian(objective, x):
    """Return the Hessian of an objective at a point, for Newton systems."""
    return (WoodburyHessian if woodbury_suits(objective) else Hessian)(objective, x)
