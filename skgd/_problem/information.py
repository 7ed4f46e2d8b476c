"""What the rows say about the parameters of a likelihood, for standard errors.

With the derivatives ``l'_i`` and ``l''_i`` of the losses in the margins at given coefficients, the
expected second derivatives ``h_i``, those of targets that equal their predictions, and the rows
``a_i = scale * (x_i - mean, 1)``::

    H = 1/S sum_i s_i l''_i a_i a_i'           the observed information
    J = 1/S sum_i s_i h_i a_i a_i'             the expected, or Fisher, information
    M = sum_i (s_i / S)^2 (l'_i)^2 a_i a_i'    the variance of the gradient
    1/S sum_i s_i (l'_i)^2 / h_i               Pearson's statistic

Each is taken for one output at a time. The outputs of a softmax depend on each other: there h_i is
a matrix, and H, J and M are those of all outputs' parameters.
"""

import numpy as np

from skgd._problem.expansion import Expansion


class Information(Expansion):
    """The losses of all rows to second order about given coefficients, observed or expected.

    Parameters
    ----------
    problem : Problem
    coef : array of shape (n_outputs, n_features)
    intercept : array of shape (n_outputs,)
    is_expected : bool
    """

    def __init__(self, problem, coef, intercept, *, is_expected):
        super().__init__(problem, coef, intercept)
        self.is_expected = is_expected

    def _hessians_at(self, part):
        problem, margins = self.problem, self.margins(part)
        if not self.is_expected or problem.loss.task == "classification":
            return super()._hessians_at(part)
        return problem.loss.hessian_terms(problem.loss.predictions(margins), margins)

    def _slopes(self, part):
        """Return the derivatives of the losses of some rows."""
        rule = self.problem.loss.compiled(self.problem.k)
        return rule.apply("gradient", self.problem.signed_targets(part), self.margins(part))

    def matrices(self, mean, scale):
        """Return the information about each output's parameters, or about all of a softmax.

        Returns
        -------
        array of shape (n_outputs, n_parameters, n_parameters), or for a softmax of shape \
(1, n_outputs * n_parameters, n_outputs * n_parameters)
        """
        k, p = self.problem.k, len(scale)
        if not self.problem.is_multiclass:
            return self.output_hessians(mean, scale, k)
        result, diagonal = self.softmax_hessian(mean, scale)
        for c in range(k):
            block = slice(c * p, (c + 1) * p)
            result[block, block] = diagonal[c]
        return result[None]

    def gradient_variance(self, mean, scale):
        """Return the variance of the gradient, in the shape of the information."""
        k = self.problem.k
        n_blocks = 1 if self.problem.is_multiclass else k
        size = k * len(scale) // n_blocks
        result = np.zeros((n_blocks, size, size))
        for part, share, weighted in self.blocks(mean, scale, k):
            rows = weighted(self._slopes(part) * share[:, None]).reshape(-1, n_blocks, size)
            for block in range(n_blocks):
                result[block] += rows[:, block].T @ rows[:, block]
        return result

    def pearson(self):
        """Return Pearson's statistic of each output, of expected losses."""
        return sum(
            self.problem.shares(part) @ (self._slopes(part) ** 2 / self.hessian_diagonals(part))
            for part in self.problem.row_parts()
        )
