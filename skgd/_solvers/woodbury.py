"""Squared errors of more columns than rows: systems of as many equations as rows.

With a squared penalty on every coefficient the Hessian is ``A'A + I``, in units in which the
penalty is ``|v|^2 / 2``, and ``(A'A + I)^-1 = I - A' (I + AA')^-1 A``. Columns that are far larger
than the others, along which this has no digits, are apart from it, as the intercept is. What is
left of rounding is corrected by conjugate gradients, in a step or two.

References
----------
Saunders, Gammerman and Vovk, Ridge regression learning algorithm in dual variables, 1998.
"""

import numpy as np
from scipy import linalg, sparse

from skgd._solvers.hessian import Curvature
from skgd._utils.linalg import solver

# Rows up to which their products are factorised, and numbers of X of which a copy may be made.
FACTORISED, COPIED = 3072, 2**26
# The number of columns up to which a Hessian of them costs no more.
FEW = 100
# The largest curvature of a column, and of all, in units of the penalty's, of which rounding leaves
# enough for the others; and how many columns may be apart.
STEEP, STEEPEST, APART = 1e12, 1e15, 30
# The share of a step that the solution of its system may miss.
EXACT = 1e-13


def takes_dual(objective, loss):
    """Tell whether systems of as many equations as rows are possible, and cheaper."""
    problem, hessian_diag = objective.problem, objective.penalty_curvature
    n, d = problem.n, problem.d
    if not loss.constant_hessian or not FEW < d or not n < d or objective.proximal:
        return False
    if n > FACTORISED or n * d > COPIED or objective.metric.identity:
        return False
    if not (np.all(hessian_diag == hessian_diag[0]) and np.all(hessian_diag > 0)):
        return False
    steepness = _steepness(objective)
    steep = steepness > STEEP
    return np.count_nonzero(steep) <= APART and steepness[~steep].sum() <= STEEPEST


def _steepness(objective):
    """Return the loss's curvature along each coefficient in units of the penalty's."""
    share = objective.penalty_hessian_diag[0, :objective.problem.d]
    return np.divide(1.0 - share, share, out=np.zeros(len(share)), where=share > 0)


class DualCurvature(Curvature):
    """The Hessian of squared errors, whose systems are solved over the rows."""

    def _factorise(self, sampled):
        objective, (k, p) = self.objective, self.shape
        metric, d = objective.metric, objective.problem.d
        self.exact = True
        root = np.append(1.0 / np.sqrt(objective.penalty_curvature[0]), np.ones(p - d))
        share = np.sqrt(self.weights / self.weights.sum())[:, None]
        rows = self.X.toarray() if sparse.issparse(self.X) else self.X
        rows = np.subtract(rows, metric.mean, dtype=float)
        rows *= root[:d]
        rows[:, metric.inverse[0, :d] == 0] = 0.0
        rows *= share
        steep = np.flatnonzero(_steepness(objective) > STEEP)
        apart = np.hstack([rows[:, steep], np.repeat(share, p - d, axis=1)])
        rows[:, steep] = 0.0
        solve = _bordered(rows, apart, np.append(np.ones(len(steep)), np.zeros(p - d)))
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
        return self._conjugate_gradient(gradient, EXACT, damping)


def _bordered(rows, apart, hessian_diag):
    """Return the function that solves systems with ``[A C]' [A C]`` plus a diagonal.

    Parameters
    ----------
    rows : array of shape (n, d)
        A, where the diagonal is 1.
    apart : array of shape (n, m)
        C.
    hessian_diag : array of shape (m,)
        The diagonal there.
    """
    products = rows @ rows.T
    # What rounding may have taken is added.
    products[np.diag_indices(len(rows))] += 1.0 + np.finfo(float).eps * products.trace()
    factor = linalg.cho_factor(products, overwrite_a=True, check_finite=False)
    border = linalg.cho_solve(factor, apart, check_finite=False)
    solve_apart = solver(np.diag(hessian_diag) + apart.T @ border)

    def solve(right, right_apart):
        along = linalg.cho_solve(factor, rows @ right, check_finite=False)
        result_apart = solve_apart(right_apart - along @ apart)
        return right - (along + border @ result_apart) @ rows, result_apart

    return solve


def curvature_at(objective, loss, X, x):
    """Return the curvature of an objective at a point, for Newton systems."""
    kind = DualCurvature if takes_dual(objective, loss) else Curvature
    return kind(objective, loss, X, x)
