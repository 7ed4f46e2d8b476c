"""Fits with more columns than rows: as many parameters as rows are enough.

With a squared penalty on every coefficient the minimum lies in the span of the rows. In units in
which the penalty is ``|v|^2 / 2`` the rows are ``A``, and ``A' = Q R`` gives the same objective in
``t = Q' v`` over the rows ``R'``.

References
----------
Hastie and Tibshirani, Efficient quadratic regularization for expression arrays, 2004.
Cox and Higham, Stability of Householder QR factorization for weighted least squares problems, 1998.
"""

from dataclasses import dataclass

import numpy as np
from scipy import linalg, sparse

from skgd._engine import Problem, rows_of
from skgd._objective.metric import Moments, diagonal_metric
from skgd._objective.objective import Objective
from skgd._utils.linalg import one_thread
from skgd.penalties import L2

# Multiplications of a factorisation that costs less than what it saves, and the number of columns
# up to which there is nothing to save.
AFFORDABLE, FEW = 1e9, 100
# The same for losses that are not smooth, whose other way is that of smoothed losses: hinge on
# 1000 x 5000 takes 36 s along it.
AFFORDABLE_NONSMOOTH = 1e10
# The size of the smallest column, as a share of the largest, from which pivots may be left out.
EVEN = 1e-3


@dataclass
class InRowSpace(Objective):
    """An objective in coordinates of the span of the rows.

    Attributes
    ----------
    X : array of shape (n_samples, n_samples)
        The rows in these coordinates, ``R'``.
    basis : array of shape (n_samples, n_features)
        ``Q'``, divided by the roots of the penalty's curvature.
    centre : array of shape (n_features,)
        What the rows were centred with.
    hessian_diag : array of shape (n_features,)
        The curvature of the penalty.
    """

    X: np.ndarray | None = None
    basis: np.ndarray | None = None
    centre: np.ndarray | None = None
    hessian_diag: np.ndarray | None = None

    def coordinates(self, coef, intercept):
        """Return the parameters of the nearest model in the span of the rows."""
        inner = (coef * self.hessian_diag) @ self.basis.T
        if self.metric.inverse.shape[1] > self.problem.d:
            intercept = intercept + coef @ self.centre
        return self.metric.from_raw(inner, intercept).ravel()

    def model(self, x):
        coef, intercept = self.raw(x)
        coef = coef @ self.basis
        if self.metric.inverse.shape[1] > self.problem.d:
            intercept = intercept - coef @ self.centre
        return coef, intercept


def in_row_space(objective, loss, X):
    """Return the objective in the span of the rows; None where that has no advantage."""
    hessian_diag = objective.penalty_curvature
    n, d = X.shape
    affordable = AFFORDABLE if loss.smooth else AFFORDABLE_NONSMOOTH
    if n >= d or d <= FEW or objective.proximal or n**2 * d > affordable:
        return None
    if objective.metric.identity or not (
        np.all(hessian_diag == hessian_diag[0]) and np.all(hessian_diag > 0)
    ):
        return None
    scale = np.sqrt(hessian_diag[0])
    columns = X.toarray().T if sparse.issparse(X) else np.asarray(X, dtype=float).T
    columns = (columns - objective.metric.mean[:, None]) / scale[:, None]
    columns[objective.metric.inverse[0, :d] == 0] = 0.0
    # Large columns first, and pivots: then each column has its own relative precision.
    sizes = np.abs(columns).max(axis=1)
    order = np.argsort(-sizes, kind="stable")
    if not np.all(np.isfinite(columns[order[0]])):
        return None
    even = sizes[sizes > 0].min(initial=np.inf) >= EVEN * sizes[order[0]]
    with one_thread():
        Q, R, *pivots = linalg.qr(
            columns[order], mode="economic", pivoting=not even, overwrite_a=True,
            check_finite=False,
        )  # fmt: skip
    rows, basis = np.empty((n, n)), np.empty((n, d))
    rows[pivots[0] if pivots else slice(None)], basis[:, order] = R.T, Q.T
    basis /= scale
    return InRowSpace(
        **_over(rows, objective, loss), n_threads=objective.n_threads,
        X=rows, basis=basis, centre=objective.metric.mean, hessian_diag=hessian_diag[0],
    )  # fmt: skip


def _over(rows, objective, loss):
    """Return the parts of the objective over other rows, where the penalty is ``|t|^2 / 2``."""
    old, k = objective.problem, objective.problem.k
    problem = Problem(rows_of(rows), old.targets, old.weights, loss.compiled(k), k)
    ones = np.ones(k)
    metric = diagonal_metric(
        Moments.of(problem.rows, problem.weights), objective.curvature,
        np.ones((k, problem.d)), objective.metric.unit,
        objective.metric.inverse.shape[1] > old.d,
    )  # fmt: skip
    return {
        "problem": problem, "penalty": L2().compiled(), "alpha": ones, "metric": metric,
        "curvature": objective.curvature, "penalty_curvature": np.ones((k, problem.d)),
        "coupled": objective.coupled,
    }  # fmt: skip
