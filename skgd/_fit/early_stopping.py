"""The validation set of early stopping: how it is split off, its loss and its score."""

import warnings

import numpy as np
from sklearn.model_selection import train_test_split


def split(sample, fraction, random_state, *, stratified):
    """Return two samples of the same arrays: the rows to train on and those held out.

    All rows are trained on, with a warning and None, where a side would lack rows, a class or
    weight.

    Parameters
    ----------
    sample : Sample
    fraction : float
        The share of the rows to hold out.
    random_state : int, RandomState or None
    stratified : bool
        Whether each side gets its share of every class.
    """
    rows, others = np.arange(len(sample.y), dtype=np.intp), np.empty(0, dtype=np.intp)
    weights = sample.weights
    if weights is not None and stratified:
        # A class without weight tells nothing of a model, and may be too small for two sides.
        codes = np.unique(sample.y, return_inverse=True)[1]
        counted = np.bincount(codes, weights=weights)[codes] > 0
        rows, others = np.flatnonzero(counted), np.flatnonzero(~counted)
    try:
        train, test = train_test_split(
            rows, test_size=float(fraction), stratify=sample.y[rows] if stratified else None,
            random_state=random_state,
        )
        if weights is not None and not (weights[train].any() and weights[test].any()):
            raise ValueError("one side would have no weight.")
    except ValueError as error:
        warnings.warn(
            f"early_stopping=True: no validation set was split off, because {error} All rows were "
            "used for training; pass X_val and y_val, or early_stopping=False.",
            UserWarning,
        )
        return sample, None
    return sample.only(np.sort(np.concatenate([train, others]))), sample.only(np.sort(test))


class Validation:
    """Held-out rows, and what a model makes of them.

    Parameters
    ----------
    problem : Problem
        The rows.
    rows : intp array or None
        The numbers of those that count; None for all.
    score : callable or None
        Of coefficients and intercepts; None where the loss is watched.
    constant : tuple
        Coefficients and intercepts of the best constant model, whose loss `tol` is relative to.
    """

    def __init__(self, problem, rows, score, constant):
        self.problem, self.rows, self.score = problem, rows, score
        self.constant_loss = self._loss(*constant)

    def _loss(self, coef, intercept):
        return self.problem.losses(coef, intercept, self.rows).sum()

    def __call__(self, coef, intercept):
        """Return the weighted loss, and the score or NaN."""
        score = np.nan if self.score is None else self.score(coef, intercept)
        return self._loss(coef, intercept), score

    def least_change(self, loss, tol):
        """Return how much better an epoch with this loss must be to count as an improvement.

        As for the objective, ``tol`` is relative to the gain over the best constant model; of a
        score it is the difference.
        """
        return tol if self.score is not None else tol * max(self.constant_loss - loss, 0.0)
