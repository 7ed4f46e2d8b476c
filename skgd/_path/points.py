"""A point of a path: a model, and the attributes that a fit that reached it would have."""

from dataclasses import dataclass

import numpy as np

from skgd._descent.history import COLUMNS
from skgd._descent.solution import Stop
from skgd._fit.run import coefficient_type


@dataclass(frozen=True, eq=False)
class PathPoint:
    """The minimiser of an objective for one alpha.

    Attributes
    ----------
    alpha : float
    coef : array of shape (n_outputs, n_features)
    intercept : array of shape (n_outputs,)
    weight : float
        The sum of the weights of the rows.
    values : callable
        Returns the loss and the objective of each output.
    passes : int
        The passes over the rows that it took.
    n_iter : int
        The steps.
    stop : Stop
        Why the descent stopped.
    """

    alpha: float
    coef: np.ndarray
    intercept: np.ndarray
    weight: float
    values: object
    passes: int = 1
    n_iter: int = 1
    stop: Stop = Stop.TOL

    def predictor(self, targets, X_dtype, y):
        """Return the attributes that predictions need.

        Parameters
        ----------
        targets : Targets
        X_dtype : dtype
            That of X, which the coefficients get where it has their digits.
        y : array or None
            The targets of a regression.
        """
        numbers = [self.coef, self.intercept] + ([] if y is None else [y])
        dtype = coefficient_type(X_dtype, numbers)
        return targets.coefficients(self.coef, self.intercept, dtype)

    def attributes(self):
        """Return the public attributes of an estimator that are not for predictions."""
        losses, objectives = self.values()
        known = {"epoch": self.n_iter, "step": self.n_iter, "passes": self.passes,
                 "loss": losses.sum(), "objective": objectives.sum(), "learning_rate": 1.0,
                 "seconds": 0.0}  # fmt: skip
        return {
            "history_": {name: np.array([known.get(name, np.nan)]) for name in COLUMNS},
            "n_iter_": self.n_iter, "t_": self.n_iter, "stop_reason_": str(self.stop),
            "converged_": self.stop.is_converged, "learning_rate_": 1.0, "optimality_": np.nan,
            "alpha_": self.alpha, "alpha_path_": None,
            "_weight_sum": self.weight,
        }  # fmt: skip
