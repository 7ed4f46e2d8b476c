"""Leave-one-out losses of squared errors with a squared penalty, for all alphas at once.

With the weighted Gram matrix C of the centred columns and the penalty's diagonal P,

    C v_j = lambda_j P v_j,    u(alpha) = sum_j v_j v_j' r / (lambda_j + alpha)

solve the normal equations ``(C + alpha P) u = r`` of each alpha. A row's leverage and residual are
those without a penalty plus sums over j of what alpha takes away, a share ``alpha / (lambda_j +
alpha)``: nothing cancels, however small alpha is (see `_problem.leave_one_out`).

Columns of very different scales give a graded matrix ``P^-1/2 C P^-1/2``. Sorted from large to
small, QR iterations keep the relative precision of its small eigenvalues; solutions of both ends of
the path are checked in the coordinates of their metric.

References
----------
Golub, Heath and Wahba, Generalized cross-validation as a method for choosing a good ridge
parameter, 1979.
Barlow and Demmel, Computing accurate eigensystems of scaled diagonally dominant matrices, 1990.
"""

from functools import cached_property

import numpy as np
from scipy import linalg

from skgd._problem.leave_one_out import SquaredLosses, normal_equations
from skgd._solvers.costs import LeaveOneOut as Limits


def suits(objective):
    """Tell whether all alphas of an objective share one eigendecomposition."""
    curvature = objective.penalty_curvature
    is_squared = objective.loss.constant_hessian and not objective.proximal
    return is_squared and bool(np.all(curvature == curvature[0]) and np.all(curvature > 0))


class RidgePath:
    """Squared errors with a squared penalty, for any alpha.

    Parameters
    ----------
    objective : Objective
        Which `suits`; alpha is the factor of its squared penalty.
    """

    def __init__(self, objective):
        problem, metric, d = objective.problem, objective.metric, objective.problem.d
        self.problem, self.mean, self.scale = problem, metric.mean, metric.inverse[0, :d]
        self.has_intercept = objective.shape[1] > d
        shares = problem.row_weights() / problem.weight_sum
        self.centre = shares @ problem.targets * self.has_intercept
        self.gram, self.right = normal_equations(problem, self.mean, self.scale, self.centre)
        self.penalty = objective.penalty_curvature[0] * self.scale**2
        self.vectors, self.values = _eigen(self.gram, self.penalty)
        if self.vectors is not None:
            # Directions without curvature have neither a coefficient nor a leverage.
            sizes = (self.vectors**2).T @ self.gram.diagonal()
            seen = self.values > Limits.no_curvature * sizes
            self.vectors, self.values = self.vectors[:, seen], self.values[seen]

    def is_precise(self, alphas):
        """Tell whether systems of the smallest and the largest alpha are solved.

        Their right sides are sums of rows: these have nothing in the null space of the Gram matrix,
        whose eigenvalues are rounding.
        """
        if self.vectors is None:
            return False
        generator, free = np.random.default_rng(0), self.penalty > 0
        for alpha in (alphas.min(), alphas.max()):
            system = self.gram + alpha * np.diag(self.penalty)
            scale = np.sqrt(system.diagonal())
            inverse = np.divide(1.0, scale, out=np.zeros(len(scale)), where=free)
            parts = np.sqrt(self.values) * generator.normal(size=len(self.values))
            right = self.penalty * (self.vectors @ parts)
            solution = self.vectors @ (parts / (self.values + alpha))
            missed = linalg.norm((system @ solution - right) * inverse)
            if not missed <= Limits.precise * linalg.norm(right * inverse):
                return False
        return True

    def losses(self, alphas):
        """Return the leave-one-out losses, and how many rows have a leverage near 1."""
        return self.left_out.of(alphas / (self.values[:, None] + alphas))

    @cached_property
    def left_out(self):
        """The squared errors of rows that are left out."""
        return SquaredLosses(
            self.problem, self.mean, self.scale, self.centre, self.basis, self.coefs,
            self.has_intercept,
        )  # fmt: skip

    @cached_property
    def basis(self):
        """What makes rows of the rows of which the Hessian is I."""
        return self.vectors / np.sqrt(self.values)

    @cached_property
    def coefs(self):
        """The coefficients without a penalty, for these rows."""
        return self.basis.T @ self.right

    def fitted(self, alphas):
        """Return the losses of the fits, and generalised cross-validation, without a pass.

        The latter divides the former by ``(1 - tr(h) / n)^2``: every row has the mean of the
        leverages h.
        """
        problem, shrunk = self.problem, alphas / (self.values[:, None] + alphas)
        shares = problem.row_weights() / problem.weight_sum
        squares = shares @ (problem.targets - self.centre) ** 2 - (self.coefs**2).sum(axis=0)
        fitted = np.maximum(squares, 0.0).sum() + (self.coefs**2).sum(axis=1) @ shrunk**2
        leverages = (1.0 - shrunk).sum(axis=0) + self.has_intercept
        left = np.maximum(1.0 - leverages / problem.n_weighted, np.finfo(float).tiny ** 0.25)
        return 0.5 * fitted, 0.5 * fitted / left**2


def _eigen(gram, penalty):
    """Return the generalised eigenvectors, of which ``V' P V = I``, and the eigenvalues."""
    free = np.flatnonzero(penalty > 0)
    roots = np.sqrt(penalty[free])
    order = np.argsort(-gram.diagonal()[free] / penalty[free], kind="stable")
    free, roots = free[order], roots[order]
    graded = gram[np.ix_(free, free)] / roots[:, None] / roots
    sizes = graded.diagonal()
    if not np.all(np.isfinite(graded)):
        return None, None
    is_even = sizes.size == 0 or sizes[-1] >= Limits.even * sizes[0]
    driver = "evd" if is_even else "ev"
    values, basis = linalg.eigh(graded, lower=True, driver=driver, check_finite=False)
    vectors = np.zeros((len(gram), len(free)))
    vectors[free] = basis / roots[:, None]
    return vectors, np.maximum(values, 0.0)
