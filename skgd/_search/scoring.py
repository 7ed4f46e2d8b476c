"""Scores of many models whose decision values are known: no model looks at X again.

scikit-learn's scorers get copies of the models that answer with the known values. The scores that
searches use most come straight from the answers, to the same numbers, without the checks of targets
that take a scorer most of its time.
"""

import numpy as np
from scipy import sparse
from sklearn.base import ClassifierMixin

from skgd._estimators.classifier import GDClassifier
from skgd._estimators.regressor import GDRegressor
from skgd._utils.sklearn_compat import (
    BaseScorer,
    MultimetricScorer,
    PassthroughScorer,
    score_with,
    scorers_by_name,
)
from skgd.losses import make_loss

# Numbers of X and decision values that are taken at once, and the fewest rows.
NUMBERS = 2**18
MIN_ROWS = 256
# The share of sparse columns with a coefficient from which the others are read as well.
USED = 0.25


def decision_values(X, rows, coef, intercept):
    """Return the decision values of some rows for the coefficients of many models.

    Parameters
    ----------
    X : array or CSR matrix of shape (n_samples, n_features)
    rows : array of int of shape (n_rows,)
    coef : array of shape (n_outputs, n_features)
    intercept : array of shape (n_outputs,)

    Returns
    -------
    array of shape (n_outputs, n_rows)
    """
    values = np.empty((len(coef), len(rows)), dtype=np.result_type(X.dtype, coef.dtype))
    used = slice(None)
    if sparse.issparse(X):
        numbers = np.flatnonzero(coef.any(axis=0))
        used = numbers if len(numbers) < USED * coef.shape[1] else used
        coef = np.ascontiguousarray(coef[:, used].T)
    size = max(MIN_ROWS, NUMBERS // (len(values) + X.size // X.shape[0]))
    for start in range(0, len(rows), size):
        block, several = X[rows[start:start + size]], values[:, start:start + size]
        if sparse.issparse(block):
            several[:] = (block[:, used] @ coef).T
        else:
            np.matmul(coef, block.T, out=several)
    values += intercept[:, None]
    return values


def with_known_decision(estimator, values):
    """Return a copy of a fitted estimator that answers with known decision values."""
    model = shallow_copy(estimator)
    vars(model)["_decision"] = lambda X: values
    return model


def loss_of(estimator):
    """Return the loss object of an estimator."""
    task = "classification" if isinstance(estimator, ClassifierMixin) else "regression"
    return make_loss(estimator.loss, task, type(estimator).__name__)


def shallow_copy(estimator):
    """Return an estimator with the same attributes, without copy's way over what pickles keep."""
    copied = type(estimator).__new__(type(estimator))
    vars(copied).update(vars(estimator))
    return copied


# ---- scores from answers; None where scikit-learn's scorer has something to say ------------------

def _accuracies(models, values, y, weights):
    if type(models[0]).predict is not GDClassifier.predict:
        return None
    classes = models[0].classes_
    codes = _positions(classes, y)
    right = _chosen(values, codes) & (classes[codes] == y)
    if weights is None:
        return [np.count_nonzero(each) / len(y) for each in right]
    return np.average(right, axis=1, weights=weights).tolist()


def _chosen(values, codes):
    """Return whether each model predicts a class for each row, as the classifier does.

    For decision values of shape (n_models, n_outputs, n_rows); the codes are of shape (n_rows,).
    """
    if values.shape[1] == 1:
        return (values[:, 0] > 0) == (codes == 1)
    greatest = values == values.max(axis=1, keepdims=True)
    if np.count_nonzero(greatest) == greatest.size // values.shape[1]:
        return greatest[:, codes, np.arange(len(codes))]
    # The first of several, or NaN.
    return values.argmax(axis=1) == codes


def _positions(classes, y):
    """Return where each label is among the classes, or 0 where it is not."""
    codes = np.searchsorted(classes, y)
    codes[codes == len(classes)] = 0
    return codes


def _one_by_one(rule):
    """Return the rule for many models that comes from one for a model which answers."""
    def scores(models, values, y, weights):
        pairs = zip(models, values, strict=True)
        answers = (with_known_decision(model, each.T) for model, each in pairs)
        found = [rule(model, y, weights) for model in answers]
        return None if None in found else found
    return scores


def _neg_log_loss(model, y, weights):
    if not hasattr(model, "predict_proba"):
        return None
    probabilities = model.predict_proba(None)
    codes = _codes(model, y)
    if codes is None:
        return None
    eps = np.finfo(probabilities.dtype).eps
    chosen = np.clip(probabilities[np.arange(len(y)), codes], eps, 1 - eps)
    return float(np.average(np.log(chosen), weights=weights))


def _roc_auc(model, y, weights):
    codes = _codes(model, y)
    if codes is None or len(model.classes_) > 2:
        return None
    _, level = np.unique(model.decision_function(None), return_inverse=True)
    weights = np.ones(len(y)) if weights is None else weights
    positive = np.bincount(level, weights=weights * codes)
    negative = np.bincount(level, weights=weights * (1 - codes))
    below = np.cumsum(negative) - 0.5 * negative
    return float(positive @ below / (positive.sum() * negative.sum()))


def _codes(model, y):
    """Return the positions of the labels among the classes, or None unless y has all of them."""
    codes = _positions(model.classes_, y)
    if np.any(model.classes_[codes] != y) or not np.bincount(
        codes, minlength=len(model.classes_)
    ).all():
        return None
    return codes


def _of_predictions(rule):
    """Return the rule for many regression models that comes from one for all their predictions.

    The rule gets the errors of the predictions, their shape (n_models, n_targets, n_rows), the
    targets of shape (n_targets, n_rows), and weights; None says that it does not know.
    """
    def scores(models, values, y, weights):
        model = models[0]
        loss = loss_of(model)
        if type(model).predict is not GDRegressor.predict or loss.expands:
            return None
        y = np.asarray(y)
        if y.dtype.kind not in "biuf" or len(y) < 2:
            return None
        targets = y.astype(float).reshape(len(y), -1).T
        predictions = loss.predictions(values.astype(float, copy=False))
        if predictions.shape[1:] != targets.shape or not np.isfinite(predictions).all():
            return None
        found = rule(predictions - targets, targets, weights)
        return None if found is None else found.tolist()
    return scores


def _r2(errors, targets, weights):
    mean = np.average(targets, axis=1, weights=weights)[:, None]
    total = _weighted((targets - mean) ** 2, weights)
    if not total.all():
        return None
    return (1.0 - _weighted(errors**2, weights) / total).mean(axis=1)


def _neg_squared_error(errors, targets, weights):
    return -_mean(errors**2, weights).mean(axis=1)


def _neg_root_squared_error(errors, targets, weights):
    return -np.sqrt(_mean(errors**2, weights)).mean(axis=1)


def _neg_absolute_error(errors, targets, weights):
    return -_mean(np.abs(errors), weights).mean(axis=1)


def _weighted(values, weights):
    """Return weighted sums over the rows."""
    return values.sum(axis=-1) if weights is None else values @ weights


def _mean(values, weights):
    return _weighted(values, weights) / (values.shape[-1] if weights is None else weights.sum())


def _are_plain(weights):
    """Whether scikit-learn's scorers would take the weights without a word."""
    weights = np.asarray(weights)
    known = weights.ndim == 1 and weights.dtype.kind in "biuf"
    return known and 0.0 <= weights.min() and 0.0 < weights.sum() < np.inf


LEAN = {
    "accuracy": _accuracies,
    "neg_log_loss": _one_by_one(_neg_log_loss),
    "roc_auc": _one_by_one(_roc_auc),
    "r2": _of_predictions(_r2),
    "neg_mean_squared_error": _of_predictions(_neg_squared_error),
    "neg_root_mean_squared_error": _of_predictions(_neg_root_squared_error),
    "neg_mean_absolute_error": _of_predictions(_neg_absolute_error),
}


class Scoring:
    """What the candidates of a search are scored with.

    Parameters
    ----------
    scorer : callable
        Of an estimator, X and y.
    scoring : str, callable, list, dict or None
        What the user passed for it.
    error_score : "raise" or number
        The score where scoring fails.
    """

    def __init__(self, scorer, scoring, error_score):
        self.scorer, self.error_score = scorer, error_score
        several = isinstance(scorer, MultimetricScorer)
        self.scorers = scorers_by_name(scorer) if several else {"score": scorer}
        if isinstance(scoring, dict):
            self.names = dict(scoring)
        elif several:
            self.names = {name: name for name in self.scorers}
        else:
            self.names = {"score": scoring}
        self.several = several

    @property
    def needs_answers_alone(self):
        """Whether the scorers are scikit-learn's, which hand X to the model and to nothing else."""
        known = BaseScorer | PassthroughScorer
        return all(isinstance(scorer, known) for scorer in self.scorers.values())

    def score_answers(self, models, values, y, params):
        """Return the score, or the dict of scores, of the decision values of fitted estimators.

        Parameters
        ----------
        models : list of GDClassifier or GDRegressor
            That differ only in their parameters and coefficients.
        values : array of shape (n_models, n_outputs, n_rows)
        y : array of shape (n_rows,) or (n_rows, n_targets)
        params : dict
            More arguments for the scorer.
        """
        scores = self._lean_scores(models, values, y, params)
        if scores is None:
            return [
                self.score(with_known_decision(model, each.T), None, y, params)
                for model, each in zip(models, values, strict=True)
            ]
        if not self.several:
            return scores["score"]
        return [dict(zip(scores, each, strict=True)) for each in zip(*scores.values(), strict=True)]

    def score(self, estimator, X, y, params):
        """Return the score, or the dict of scores, of a fitted estimator."""
        return score_with(estimator, X, y, self.scorer, params, self.error_score)

    def _lean_scores(self, models, values, y, params):
        """Return the scores of all models by name, or None."""
        rules = {name: self._lean_rule(models[0], each) for name, each in self.names.items()}
        if None in rules.values() or params.keys() - {"sample_weight"} or not len(y):
            return None
        weights = params.get("sample_weight")
        if not (weights is None or _are_plain(weights)):
            return None
        weights = None if weights is None else np.asarray(weights, dtype=float)
        scores = {name: rule(models, values, y, weights)
                  for name, rule in rules.items()}  # fmt: skip
        return None if None in scores.values() else scores

    def _lean_rule(self, model, scoring):
        if scoring is None and type(model).score is GDClassifier.score:
            return _accuracies
        if scoring is None and type(model).score is GDRegressor.score:
            return LEAN["r2"]
        return LEAN.get(scoring) if isinstance(scoring, str) else None
