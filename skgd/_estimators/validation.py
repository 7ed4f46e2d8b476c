"""The scores of early stopping, which are those of copies of the estimator."""

import copy

from sklearn.metrics import check_scoring, get_scorer_names

from skgd._fit.early_stopping import Validation
from skgd._utils.names import check_choice, shown


def make_validation(estimator, targets, held_out, dtype):
    """Return what makes the validation of a run, or None without held-out rows.

    Parameters
    ----------
    estimator : GDClassifier or GDRegressor
        Of which a copy with the coefficients of an epoch is scored.
    targets : Targets
    held_out : Sample or None
    dtype : numpy dtype
        That of the coefficients that a fit would return.

    Returns
    -------
    callable
        Of a function that makes the problem of a sample, and of the best constant model.
    """
    if held_out is None:
        return None
    score = _score_of(estimator, targets, held_out, dtype)

    def validation(make_problem, constant):
        problem = make_problem(held_out, masked=False)
        return Validation(problem, held_out.rows, score, constant)

    return validation


def _score_of(estimator, targets, held_out, dtype):
    """Return the score of coefficients and intercepts; None where the loss is watched."""
    scoring = estimator.scoring
    if not (scoring is None or isinstance(scoring, str) or callable(scoring)):
        raise TypeError(f"scoring={shown(scoring)}: pass one name of a score, a callable or None.")
    if scoring is None or scoring == "loss":
        return None
    if isinstance(scoring, str):
        check_choice("scoring", scoring, ("loss", *get_scorer_names()))
    scorer = check_scoring(estimator, scoring=scoring)
    # A scorer needs the rows as a matrix of their own.
    X, y = held_out.taken(held_out.X), held_out.taken(held_out.y)
    weights = held_out.taken(held_out.weights)
    metadata = {} if weights is None else {"sample_weight": weights}

    def score(coef, intercept):
        candidate = copy.copy(estimator)
        vars(candidate).update(targets.coefficients(coef, intercept, dtype))
        return scorer(candidate, X, y, **metadata)

    return score
