"""The best model without coefficients: the intercepts with the least loss, and its derivatives.

No pass over X is needed: a constant model sees only the targets, and of a classification
only the weights of the classes.
"""

import numpy as np


class ConstantModel:
    """The losses of models whose coefficients are all zero.

    Parameters
    ----------
    problem : Problem
    task : {"classification", "regression"}
    shared : callable
        ``shared(key, make)`` returns what runs over the same rows share.
    """

    def __init__(self, problem, task, shared):
        self.problem, self.task, self.shared = problem, task, shared

    def best_intercept(self, fit_intercept):
        """Return the intercepts with the least loss, which are 0 where none are fitted."""
        if self.task == "regression":
            constant = self.problem.best_constant() if fit_intercept else None
            return np.zeros(self.problem.k) if constant is None else np.asarray(constant, float)
        constants = []
        for y, weights in self._classes():
            constant = self.problem.loss.best_constant(y, weights) if fit_intercept else None
            constants.append(np.zeros(y.shape[1]) if constant is None else constant)
        return np.concatenate(constants).astype(float)

    def losses(self, intercept):
        """Return the mean loss of each output."""
        if self.task == "regression":
            return self.problem.constant_losses(intercept)
        losses, first = [], 0
        for y, weights in self._classes():
            last = first + y.shape[1]
            margins = np.full(y.shape, intercept[first:last])
            values = self.problem.loss.compiled(y.shape[1]).apply("value", y, margins)
            losses.append(np.einsum("i,ij->j", weights, values) / weights.sum())
            first = last
        return np.concatenate(losses)

    def _classes(self):
        """Return classes and their weights, for one output after the other or for all at once."""
        problem = self.problem
        sums = self.shared("class sums", problem.class_sums)
        if problem.is_multiclass:
            return [(2.0 * np.eye(problem.k) - 1.0, sums)]
        total, signs = problem.weight_sum, np.array([[-1.0], [1.0]])
        return [(signs, np.array([total - part, part])) for part in sums]
