"""Weighted least squares in the coefficients of some columns, with the intercept eliminated.

    q(x) = min over c of  sum_i (r_i v_i + h_i v_i^2 / 2) + sum_j (linear_j x_j + diag_j x_j^2 / 2)

with the changes ``v_i = c + sum_j scale_j a_ij (x_j - x0_j)`` of the margins. `descend_coordinates`
minimises it together with l1 and bounds, by coordinate descent on the columns, and by an active-set
method on the Gram matrix where columns are so few, and so correlated, that it costs less.
"""

import numpy as np

from skgd._solvers.active_set import active_set_qp
from skgd._solvers.column_descent import descend_columns
from skgd._solvers.costs import WorkingSetLimits as Limits


class ColumnQuadratic:
    """The quadratic about a point.

    Parameters
    ----------
    columns : Columns
        m columns a_j of n numbers.
    scale : array of shape (m,)
    r, h : array of shape (n,)
        First and second derivatives of the rows at x0.
    diag : array of shape (m,)
    linear : array of shape (m,)
    intercept : float or None
        The intercept's own curvature; None without an intercept.
    gram : callable or None
        Returns the products of chosen columns, weighted by numbers of the rows; None where
        `columns` does.

    Attributes
    ----------
    weights, r : array of shape (n_curved_rows,)
        The second derivatives, and the first ones without the intercept's part at the current
        point, of the rows that `columns` has: rows without curvature, whose slopes stay as they
        are, are not read where they are many.
    offset : array of shape (1,)
        The intercept c.
    curvature : array of shape (m,)
        The second derivative along each coordinate.
    """

    def __init__(self, columns, scale, r, h, diag, linear, intercept, gram=None):
        self.whole, self.scale, self.h, self.diag, self.gram = columns, scale, h, diag, gram
        self.sums, squares = columns.weighted_moments(h)
        self.total = 0.0 if intercept is None else float(h.sum()) + intercept
        if self.total > 0.0:
            squares = np.maximum(squares - self.sums**2 / self.total, 0.0)
        self.offset = np.array([-float(r.sum()) / self.total if self.total > 0.0 else 0.0])
        self.curvature = scale**2 * squares + diag
        self.columns, self.r, self.weights, slopes = self._curved_rows(r, h)
        self.linear = slopes + linear

    def _curved_rows(self, r, h):
        """Return columns, r and h at the rows with a curvature, and the slopes of the others."""
        curved = np.flatnonzero(h)
        if len(curved) > Limits.curved * len(h):
            return self.whole, r.copy(), h, 0.0
        slopes = self.scale * self.whole.transposed_times(np.where(h == 0.0, r, 0.0))
        return self.whole.at_rows(curved), r[curved], h[curved], slopes

    @property
    def has_few_rows(self):
        """Whether rows without curvature are not read."""
        return self.columns is not self.whole

    def gradient(self, x):
        """Return the gradient at x, the current point."""
        slopes = self.columns.transposed_times(self.r) + self.offset[0] * self.sums
        return self.scale * slopes + self.diag * x + self.linear

    def hessian(self, part):
        """Return the Hessian along the coordinates with given numbers."""
        scale, sums = self.scale[part], self.scale[part] * self.sums[part]
        if self.gram is None:
            hessian = self.columns.take(part).gram(self.weights)
        else:
            hessian = self.gram(part, self.h)
        hessian *= scale[:, None] * scale
        if self.total > 0.0:
            hessian -= np.outer(sums, sums) / self.total
        hessian[np.diag_indices(len(part))] += self.diag[part]
        return hessian

    def move(self, part, change):
        """Change the coordinates with given numbers: the intercept follows."""
        step = self.scale[part] * change
        self.r += self.weights * self.columns.take(part).times(step)
        self._shift(part, step)

    def _shift(self, part, step):
        if self.total > 0.0:
            self.offset -= self.sums[part] @ step / self.total

    def change(self, change):
        """Return the changes of all margins for those of the coordinates."""
        return self.whole.times(self.scale * change) + self.offset[0]


def descend_coordinates(quadratic, penalty, x, tol):
    """Move x to the minimum of a quadratic and a separable penalty.

    Parameters
    ----------
    quadratic : ColumnQuadratic
    penalty : SeparablePenalty
    x : array of shape (m,)
        Changed in place.
    tol : float
        Of the last step, squared and in the norm of the curvature.
    """
    q = quadratic
    sweeps, has_gram = _sweeps(q)
    left = descend_columns(
        q.columns, q.scale, q.weights, q.sums, q.total, q.curvature, q.linear, q.diag, penalty.l1,
        penalty.lower, penalty.upper, q.r, x, q.offset, n_sweeps=sweeps, tol=tol,
    )  # fmt: skip
    if has_gram and left > tol:
        every = np.arange(len(x))
        goal = active_set_qp(q.hessian(every), q.gradient(x), x, penalty, Limits.exact)
        q.move(every, goal - x)
        x[:] = goal


def _sweeps(quadratic):
    """Return the sweeps to take, and whether an active-set method does what they leave."""
    columns = quadratic.columns
    if not 0 < columns.m <= Limits.gram:
        return Limits.sweeps, False
    if quadratic.gram is not None:
        return 5 + int(Limits.sweeps_per_column * columns.m), True
    if not quadratic.has_few_rows:
        return Limits.sweeps, False
    most = Limits.sweeps_per_factorisation * float(columns.m) ** 3 / max(1, columns.size)
    return min(5 + int(most), Limits.sweeps), True
