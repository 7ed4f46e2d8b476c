"""Full preconditioning: coordinates in which the objective has the same curvature everywhere.

In the coordinates ``u`` of the diagonal metric the matrix ``H = c A'SA / S + penalty''``, with the
rows ``A`` and the smoothness c of the loss, bounds the objective's Hessian. With its Cholesky
factor ``H = L L'`` the descent takes place in ``v = L' u``: neither scales nor correlations of the
columns matter, and for squared errors ``H`` is the Hessian itself.

References
----------
Boehning and Lindsay, Monotonicity of quadratic-approximation algorithms, 1988.
"""

from dataclasses import dataclass, fields, replace

import numpy as np
from scipy import linalg

from skgd._objective.objective import Objective
from skgd._solvers.costs import Factorisation
from skgd._solvers.hessian import Hessian
from skgd._utils.linalg import damped, one_thread
from skgd.losses import SquaredError

# What is added to H, whose diagonal is 1: along flat directions nothing can be gained.
FLAT = 1e-11


@dataclass(frozen=True, eq=False)
class WhitenedObjective(Objective):
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
        rows = x.reshape(self.shape)
        factors = self.factors if len(self.factors) > 1 else [self.factors[0]] * len(rows)
        with one_thread():
            return np.concatenate(list(map(function, factors, rows)))


def whitened(objective, x):
    """Return the objective in coordinates without correlations, and x in them.

    Parameters
    ----------
    objective : Objective
        In a diagonal metric, with a smooth penalty.
    x : array of shape (n_parameters,)
    """
    p = objective.shape[1]
    if objective.proximal:
        raise ValueError(
            "precondition='full' with a penalty that is not smooth, or bounds: pass "
            "precondition='auto', or optimizer='auto'."
        )
    if p > Factorisation.largest:
        raise ValueError(
            f"precondition='full' with {p} parameters, where a matrix of at most "
            f"{Factorisation.largest} is factorised: pass precondition='auto'."
        )
    squared = replace(
        objective, problem=objective.problem.with_loss(SquaredError()),
        penalty_curvature=objective.penalty_curvature / objective.smoothness[:, None],
    )  # fmt: skip
    with one_thread():
        blocks = Hessian(squared, x, may_sample=False).blocks
        factors = [
            linalg.cholesky(damped(scale * block, FLAT), lower=True, check_finite=False)
            for scale, block in zip(objective.smoothness, blocks, strict=False)
        ]
    same = {field.name: getattr(objective, field.name) for field in fields(objective) if field.init}
    result = WhitenedObjective(**same, factors=factors)
    return result, result.coordinates(x)
