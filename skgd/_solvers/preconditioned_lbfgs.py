"""L-BFGS in the metric of one matrix for all outputs of a softmax.

Where the Hessian of all outputs together is too large to factorise, that of each output is dear: k
matrices for k outputs. One matrix stands for all, with the mean eigenvalue of the Hessian of the
loss in the margins ``L_i = diag(p_i) - p_i p_i'`` on the space of margins whose sum is 0::

    M = unit/S sum_i s_i w_i a_i a_i' + penalty'',   w_i = sum_c p_ic (1 - p_ic) / (k - 1)

The step is ``-B^-1 g``, with a multiple of ``I (x) M`` as the first matrix of L-BFGS and pairs of
earlier steps, and is halved as those of Newton's method are. The first steps take the identity for
M: far from the minimum, where curvatures are about to change, M leads astray. Where two steps in a
row are short, the identity serves again for a while. Otherwise M follows the point: it is computed
again once the steps since have taken several times as long. The pairs stay: they belong to
the same Hessian.

The method stops where ``g' B^-1 g``, and twice the decrease that is left if the objective continues
to decrease as in the last steps, are below `tol`. Where that would take longer than Newton's
method, it leaves the rest to it.

References
----------
Boehning, Multinomial logistic regression algorithm, 1992.
Nocedal and Wright, Numerical Optimization, 2006, chapter 7.
"""

import numpy as np

from skgd._solvers.costs import PreconditionedLBFGS as Limits
from skgd._solvers.hessian_cost import factorised_size, hessian_passes
from skgd._solvers.newton import QuasiNewtonPairs, evaluate, long_line_search
from skgd._solvers.warm_start import decrease_left
from skgd._utils.linalg import one_thread, solver
from skgd.optimizers import FullBatchOptimizer


def suits(objective):
    """Tell whether an objective is a softmax with a Hessian of each output alone, and a dear one.

    Each coefficient must have a squared penalty, without which the matrix may be singular.
    """
    if not objective.problem.is_multiclass or objective.proximal:
        return False
    is_dear = hessian_passes(objective) >= Limits.least_hessian
    is_alone = factorised_size(objective)[0] == objective.shape[1]
    return is_dear and is_alone and bool((objective.penalty_curvature > 0).all())


class PreconditionedLBFGS(FullBatchOptimizer):
    """L-BFGS in the metric of the mean Hessian of the outputs.

    It ends, too, where rounding hides any decrease along its steps.

    Attributes
    ----------
    decrement : float
        How far the minimum is from the last iterate.
    """

    decrement = np.inf

    def solve(self, objective, x, monitor):
        with one_thread():
            return self._solve(objective, x, monitor)

    def _solve(self, objective, x, monitor):
        value, gradient = evaluate(objective, x)
        pairs, length, tail = QuasiNewtonPairs(Limits.memory), 1.0, _Tail(objective)
        matrix = _Matrix(objective)
        while True:
            matrix.follow(x, pairs, length)
            step, decrease = pairs.step(matrix, gradient)
            least = max(decrease, float(gradient @ gradient))
            self.decrement = tail.decrement(value, least)
            if monitor(x, value, gradient, length, self.decrement) or tail.is_long:
                return x
            length, point = long_line_search(objective, x, value, gradient, step, decrease)
            if length == 0.0:
                return x
            pairs.add(point[0] - x, point[2] - gradient)
            x, value, gradient = point


class _Tail:
    """The decrease that is left if the objective keeps falling as it has."""

    def __init__(self, objective):
        self.values, self.n_slow = [], 0
        self.newton = Limits.newton_passes + Limits.newton_hessians * hessian_passes(objective)

    @property
    def is_long(self):
        """Whether Newton's method takes less time to the minimum, as it has seemed for a while."""
        return self.n_slow > Limits.window

    def decrement(self, value, least):
        """Return twice the decrease that is left, and at least so much."""
        self.values.append(value)
        left, rate = decrease_left(self.values, Limits.window)
        distance = np.log(max(left / (Limits.enough * self.values[0]), 1.0))
        self.n_slow = self.n_slow + 1 if 0.0 < rate * self.newton < distance else 0
        return max(least, 2.0 * left)


class _Matrix:
    """The first matrix of L-BFGS: M or the identity, in the scale of the last pair."""

    def __init__(self, objective):
        self.objective, self.solve = objective, None
        self.scale, self.made, self.n_short = 1.0, objective.passes, 0
        self.left = Limits.first_passes
        self.lasting = max(
            Limits.least_passes,
            Limits.passes_per_matrix * hessian_passes(objective) / objective.shape[0],
        )

    def follow(self, x, pairs, length):
        """Take the matrix for the next step from x."""
        passes = self.objective.passes
        self.n_short = self.n_short + 1 if length < Limits.short else 0
        leads_astray = self.solve is not None and self.n_short > 1
        if leads_astray or passes - self.made >= self.left:
            self.solve = None if leads_astray else self._solver(x)
            self.left, self.made = self.lasting, passes
        self.scale = 1.0
        if pairs.pairs:
            _, change, curvature = pairs.pairs[-1]
            self.scale = curvature / float(change @ self.precondition(change))

    def _solver(self, x):
        objective, metric = self.objective, self.objective.metric
        matrix = objective.expand(x).mean_output_hessian(metric.mean, metric.inverse[0])
        matrix *= metric.unit[0]
        matrix[np.diag_indices(len(matrix))] += objective.penalty_hessian_diag[0]
        return solver(matrix)

    def precondition(self, residual):
        """Return the solution of a system with the matrix."""
        if self.solve is None:
            return self.scale * residual
        return self.scale * self.solve(residual.reshape(self.objective.shape)).ravel()
