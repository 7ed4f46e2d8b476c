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

import numpy as np
from scipy import linalg

from skgd._problem.leave_one_out import normal_equations, squared_losses_of_left_out
from skgd._solvers.costs import LeaveOneOut as Limits


def suits(objective):
    """Tell whether all alphas of an objective share one eigendecomposition."""
    curvature = objective.penalty_curvature
    is_squared = objective.loss.constant_hessian and not objective.proximal
    return is_squared and bool(np.all(curvature == curvature[0]) and np.all(curvature > 0))


def losses(objective, alphas):
    """Return the leave-one-out losses of alphas, and how many rows have a leverage near 1.

    None where the eigendecomposition is not precise enough.

    Parameters
    ----------
    objective : Objective
        Which `suits`, with any alpha.
    alphas : array of shape (n_alphas,)
        Factors of the objective's own squared penalty.
    """
    problem, metric, d = objective.problem, objective.metric, objective.problem.d
    has_intercept = objective.shape[1] > d
    weights = problem.row_weights()
    centre = weights @ problem.targets / problem.weight_sum * has_intercept
    scale = metric.inverse[0, :d]
    gram, right = normal_equations(problem, metric.mean, scale, centre)
    penalty = objective.penalty_curvature[0] * scale**2
    vectors, values = _eigen(gram, penalty)
    if vectors is None or not _is_precise(gram, penalty, vectors, values, alphas):
        return None
    # Directions without curvature have neither a coefficient nor a leverage.
    seen = values > Limits.flat * ((vectors**2).T @ gram.diagonal())
    values = values[seen]
    basis = vectors[:, seen] / np.sqrt(values)
    coefs, shrunk = basis.T @ right, alphas / (values[:, None] + alphas)
    return squared_losses_of_left_out(
        problem, metric.mean, scale, centre, basis, coefs, shrunk, has_intercept
    )


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


def _is_precise(gram, penalty, vectors, values, alphas):
    """Tell whether systems of the smallest and the largest alpha are solved."""
    generator, free = np.random.default_rng(0), penalty > 0
    for alpha in (alphas.min(), alphas.max()):
        system = gram + alpha * np.diag(penalty)
        scale = np.sqrt(system.diagonal())
        right = scale * generator.normal(size=len(scale)) * free
        solution = vectors @ ((vectors.T @ right) / (values + alpha))
        missed = np.divide(system @ solution - right, scale, out=np.zeros(len(scale)), where=free)
        size = np.divide(right, scale, out=np.zeros(len(scale)), where=free)
        if not linalg.norm(missed) <= Limits.precise * linalg.norm(size):
            return False
    return True
