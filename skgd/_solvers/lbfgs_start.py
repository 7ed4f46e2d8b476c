"""A start along gradients: where a Hessian costs as much as many passes, L-BFGS takes the first.

Where columns are alike and light-tailed that is most of the way, and systems that need few products
are then solved without a Hessian too. Where it leads on slowly, Newton's method has lost little.

References
----------
Nocedal and Wright, Numerical Optimization, 2006, chapter 7.
"""

import numpy as np
from scipy import sparse

from skgd._objective.scaled_rows import parts_of
from skgd._solvers.hessian import Curvature, hessian_work
from skgd.optimizers import LBFGS, FullBatchOptimizer

# Multiplications for a Hessian from which gradients go first.
MANY = 3e8
# Multiplications for a Hessian that take as long as one of a pass.
AS_FAST = 3.0
# The passes that may be taken, in what as many Hessians cost, and at most.
HESSIANS, MOST_PASSES = 4.0, 100
# The share of the fall so far that as many steps have to bring.
SLOW, STEPS = 1e-3, 10
# As near as `tol` would have it, to where Newton's method is fast.
NEAR = 3e-4
# The products that a system may take without a Hessian, at least and at most.
PRODUCTS = 25.0, 100.0
# The share of a step that the solution of a system may miss, for a decrement that can be trusted.
TRUSTED = 0.2


def passes_per_hessian(objective, loss):
    """Return how many passes take as long as a Hessian; 0 for Hessians that are cheap."""
    if loss.constant_hessian or objective.proximal:
        return 0.0
    work = hessian_work(objective, loss)
    passes = work / (AS_FAST * 4.0 * objective.problem.n * objective.metric.inverse.size)
    return passes if work > MANY else 0.0


class Gradients(FullBatchOptimizer):
    """L-BFGS as long as it leads on, for a start.

    Parameters
    ----------
    passes : float
        The passes that cost as much as a Hessian.
    """

    def __init__(self, passes):
        self.passes = passes

    def solve(self, objective, x, monitor):
        last = objective.passes + min(HESSIANS * self.passes, MOST_PASSES)
        values = []

        def ends(x, value, gradient, step):
            values.append(value)
            slow = len(values) > STEPS and (
                values[-1 - STEPS] - value <= SLOW * (values[0] - value)
            )
            return monitor(x, value, gradient, step) or slow or objective.passes >= last

        return LBFGS().solve(objective, x, ends)


class DiagonalCurvature(Curvature):
    """The Hessian of an objective, of which the diagonal alone is made.

    Attributes
    ----------
    solved : bool
        Whether the last system took no more products than are worth it.
    """

    def _factorise(self, sampled):
        objective, second = self.objective, self.hessian_terms
        metric, d = objective.metric, objective.problem.d
        if self.loss.is_multiclass(self.shape[0]):
            second = second * (1.0 - second)
        second = second * (self.weights / self.weights.sum())[:, None]
        squares = np.repeat(second.sum(axis=0)[:, None], self.shape[1], axis=1)
        squares[:, :d] = _centred_squares(self.X, metric.mean, second)
        hessian_diag = squares * metric.inverse**2 * metric.unit[:, None]
        hessian_diag += objective.penalty_hessian_diag
        inverse = np.divide(1.0, hessian_diag, out=np.zeros(self.shape), where=hessian_diag > 0)
        self.solvers = [lambda row, scale=scale: scale * row for scale in inverse]
        passes = passes_per_hessian(objective, self.loss)
        self.products, self.alone = np.clip(passes, *PRODUCTS), np.isinf(passes)

    def solve(self, gradient, tol, damping=0.0):
        direction = self._conjugate_gradient(
            gradient, min(tol, TRUSTED), damping, max_iter=int(self.products)
        )
        self.solved = self.solved or self.alone
        return direction


def _centred_squares(X, mean, weights):
    """Return the weighted sums of the squares of centred columns, for each column of weights."""
    if sparse.issparse(X):
        around_zero = X.power(2).T @ weights - 2.0 * mean[:, None] * (X.T @ weights)
        return np.maximum(around_zero + mean[:, None] ** 2 * weights.sum(axis=0), 0.0).T
    result = np.zeros((weights.shape[1], len(mean)))
    for part in parts_of(X):
        result += weights[part].T @ (X[part] - mean) ** 2
    return result
