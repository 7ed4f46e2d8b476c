"""The validation set of early stopping: its loss and score for any coefficients."""

import copy

import numpy as np
from sklearn.metrics import check_scoring

from skgd._engine import Problem, value_and_gradient


class Validation:
    """Held-out rows, and what a candidate model makes of them.

    Parameters
    ----------
    estimator : GDClassifier or GDRegressor
    held_out : tuple
        X, y as passed, y encoded, and the weights or None.
    loss : Loss
    n_outputs : int
    dtype : numpy dtype
        That of the coefficients that a fit would return.
    """

    def __init__(self, estimator, held_out, loss, n_outputs, dtype):
        self.X, self.y, targets, self.weights = held_out
        self.problem = Problem(self.X, targets, self.weights, loss.compiled(n_outputs), n_outputs)
        self.estimator, self.dtype = estimator, dtype
        self.scorer = None
        scoring = estimator.scoring
        if not (scoring is None or isinstance(scoring, str) or callable(scoring)):
            raise TypeError(f"scoring={scoring!r}: pass one name of a score, a callable or None.")
        if scoring is not None and scoring != "loss":
            self.scorer = check_scoring(estimator, scoring=scoring)

    def __call__(self, coef, intercept):
        """Return the weighted loss, and the score or NaN."""
        loss = value_and_gradient(self.problem, coef, intercept, gradient=False)[0].sum()
        if self.scorer is None:
            return loss, np.nan
        candidate = copy.copy(self.estimator)
        candidate._set_coefficients(coef, intercept, self.dtype)
        weights = {} if self.weights is None else {"sample_weight": self.weights}
        return loss, self.scorer(candidate, self.X, self.y, **weights)
