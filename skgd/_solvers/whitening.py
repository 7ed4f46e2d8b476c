"""Full preconditioning: coordinates in which an objective bends alike along every direction.

In the coordinates ``u`` of the diagonal metric the matrix ``H = c A'SA / sum(s) + penalty``, with
the rows ``A`` and the loss's curvature ``c``, bounds the curvature of the objective. With its
factors ``H = L L'`` the descent takes place in ``v = L' u``: neither scales nor correlations of the
columns matter, and for squared errors ``H`` is the curvature itself.
"""

from dataclasses import dataclass, fields, replace

import numpy as np
from scipy import linalg

from skgd._objective.objective import Objective
from skgd._solvers.hessian import FACTORISED, Curvature
from skgd._utils.linalg import damped, one_thread
from skgd.losses import SquaredError

# What is added to H, whose diagonal is 1: along flat directions nothing can be gained.
FLAT = 1e-11


@dataclass
class Whitened(Objective):
    """An objective in the coordinates ``v = L' u``.

    Attributes
    ----------
    factors : list of arrays of shape (n_parameters, n_parameters)
        L of each output, or one for all.
    """

    factors: list = ()

    def coordinates(self, x):
        """Return the coordinates v of parameters u of the metric."""
        return self._each(x, lambda factor, u: factor.T @ u)

    def to_raw(self, x):
        return super().to_raw(self._each(x, lambda factor, v: linalg.solve_triangular(
            factor, v, lower=True, trans="T", check_finite=False
        )))  # fmt: skip

    def losses_and_gradients(self, coef, intercept, margins=None):
        gradient, *rest = super().losses_and_gradients(coef, intercept, margins)
        return self._each(gradient, lambda factor, g: linalg.solve_triangular(
            factor, g, lower=True, check_finite=False
        )), *rest  # fmt: skip

    def _each(self, x, function):
        """Return what a function makes of each output's factor and parameters."""
        rows = x.reshape(self.metric.inverse.shape)
        factors = self.factors if len(self.factors) > 1 else [self.factors[0]] * len(rows)
        with one_thread():
            return np.concatenate(list(map(function, factors, rows)))


def whitened(objective, X, x):
    """Return the objective in coordinates without correlations, and x in them.

    Parameters
    ----------
    objective : Objective
        In a diagonal metric, with a smooth penalty.
    X : array or CSR matrix of shape (n_samples, n_features)
    x : array of shape (n_parameters,)
    """
    p = objective.metric.inverse.shape[1]
    if objective.proximal:
        raise ValueError(
            "precondition='full' with a penalty that is not smooth, or bounds: pass "
            "precondition='auto', or optimizer='auto'."
        )
    if p > FACTORISED:
        raise ValueError(
            f"precondition='full' with {p} parameters, where a matrix of at most {FACTORISED} is "
            "factorised: pass precondition='auto'."
        )
    loss, problem, bound = SquaredError(), objective.problem, objective.curvature[:, None]
    rows = replace(
        objective, problem=problem.with_loss(loss.compiled(problem.k)), latest=None,
        penalty_curvature=objective.penalty_curvature / bound,
    )  # fmt: skip
    with one_thread():
        blocks = Curvature(rows, loss, X, x, sampled=False).blocks
        factors = [
            linalg.cholesky(damped(scale * block, FLAT), lower=True, check_finite=False)
            for scale, block in zip(objective.curvature, blocks, strict=False)
        ]
    same = {field.name: getattr(objective, field.name) for field in fields(objective)}
    result = Whitened(**same, factors=factors)
    return result, result.coordinates(x)
