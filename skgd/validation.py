"""The validation set of early stopping: how it is split off, its loss and its score."""

import copy
import warnings

import numpy as np
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.model_selection import train_test_split

from skgd._checks import shown
from skgd._engine import value_and_gradient
from skgd._names import check_choice


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
    """Held-out rows, and what a candidate model makes of them.

    Parameters
    ----------
    estimator : GDClassifier or GDRegressor
    held_out : Sample
    problem : Problem
        Its rows for the engine.
    dtype : numpy dtype
        That of the coefficients that a fit would return.
    constant : tuple
        Coefficients and intercepts of the best constant model, whose loss `tol` is relative to.
    """

    def __init__(self, estimator, held_out, problem, dtype, constant):
        self.estimator, self.problem, self.dtype = estimator, problem, dtype
        self.rows = held_out.rows
        self.scorer = None
        scoring = estimator.scoring
        if not (scoring is None or isinstance(scoring, str) or callable(scoring)):
            raise TypeError(
                f"scoring={shown(scoring)}: pass one name of a score, a callable or None."
            )
        if scoring is not None and scoring != "loss":
            if isinstance(scoring, str):
                check_choice("scoring", scoring, ("loss", *get_scorer_names()))
            self.scorer = check_scoring(estimator, scoring=scoring)
            # A scorer needs the rows as a matrix of their own.
            self.X, self.y = held_out.taken(held_out.X), held_out.taken(held_out.y)
            weights = held_out.taken(held_out.weights)
            self.metadata = {} if weights is None else {"sample_weight": weights}
        self.constant_loss = self._loss(*constant)

    def _loss(self, coef, intercept):
        return value_and_gradient(
            self.problem, coef, intercept, gradient=False, subset=self.rows
        )[0].sum()

    def __call__(self, coef, intercept):
        """Return the weighted loss, and the score or NaN."""
        loss = self._loss(coef, intercept)
        if self.scorer is None:
            return loss, np.nan
        candidate = copy.copy(self.estimator)
        vars(candidate).update(candidate._coefficients(coef, intercept, self.dtype))
        return loss, self.scorer(candidate, self.X, self.y, **self.metadata)

    def least_change(self, loss, tol):
        """Return how much better an epoch with this loss must be to count as an improvement.

        As for the objective, ``tol`` is relative to the gain over the best constant model; of a
        score it is the difference.
        """
        return tol if self.scorer is not None else tol * max(self.constant_loss - loss, 0.0)
