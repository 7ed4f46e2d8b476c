"""The coefficients along alpha on all rows."""

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from skgd._estimators.base import BaseGD, read_rows
from skgd._fit.run import fresh_run
from skgd._fit.settings import Settings
from skgd._path import gram_path, newton_path
from skgd._search.candidates import candidate
from skgd._search.one_standard_error import alpha_parameter
from skgd._search.path_search import ends_at_minimum, squared_error_path
from skgd._utils.checks import shown
from skgd._utils.collections import gathered
from skgd._utils.linalg import one_thread


def path_of_search(search, X, y, sample_weight):
    """Return the path on all rows that goes with the best candidate of a fitted search."""
    if search.refit is False:
        raise ValueError(
            "return_path=True with refit=False: pass refit=True, or another refit that chooses the "
            "candidate whose other parameters the path has."
        )
    name, best = alpha_parameter(search.cv_results_), search.best_params_
    alphas = [
        each[name] for each in search.cv_results_["params"]
        if repr(each | {name: 0}) == repr(best | {name: 0})
    ]  # fmt: skip
    return regularization_path(
        candidate(search.estimator, best), X, y, np.unique(alphas), sample_weight
    )  # fmt: skip


@np.errstate(all="ignore")
def regularization_path(estimator, X, y, alphas, sample_weight=None):
    """Return the models of an estimator for many alphas.

    Parameters
    ----------
    estimator : GDClassifier, GDRegressor or a Pipeline that ends in one
        Not changed. The steps before are fitted to all rows.
    X : array or sparse matrix of shape (n_samples, n_features)
    y : array of shape (n_samples,) or (n_samples, n_outputs)
    alphas : array of shape (n_alphas,)
    sample_weight : array of shape (n_samples,), default=None

    Returns
    -------
    dict of arrays
        "alpha", the values in falling order; "coef" and "intercept", in whose first axis they are.
    """
    alphas = np.sort(np.asarray(alphas, dtype=float).ravel())[::-1]
    last = clone(estimator)
    if isinstance(estimator, Pipeline):
        X, last = clone(estimator[:-1]).fit_transform(X, y), clone(estimator.steps[-1][1])
    if not isinstance(last, BaseGD):
        raise TypeError(
            f"estimator={shown(last)}: pass a GDClassifier, a GDRegressor, or a Pipeline that ends "
            "in one."
        )
    last.set_params(alpha=float(alphas[-1]))
    known = _known_models(last, X, y, alphas, sample_weight)
    models = []
    for alpha, model in zip(alphas, known, strict=True):
        if model is None:
            fitted = clone(last).set_params(alpha=float(alpha)).fit(X, y, sample_weight)
            model = {"coef_": fitted.coef_, "intercept_": fitted.intercept_}
        models.append(model)
    return {"alpha": alphas, "coef": np.array([model["coef_"] for model in models]),
            "intercept": np.array([model["intercept_"] for model in models])}  # fmt: skip


def _known_models(estimator, X, y, alphas, sample_weight):
    """Return the coefficients for each alpha, or None where no path leads to them."""
    informed = clone(estimator)
    settings = Settings.of(informed)
    X, y = gathered(X, "X"), gathered(y, "y")
    targets, sample = read_rows(
        informed, settings, X, y, gathered(sample_weight, "sample_weight"), reset=True,
        is_known=False,
    )  # fmt: skip
    if not ends_at_minimum(settings):
        return [None] * len(alphas)
    with one_thread():
        points = _points(settings, targets, sample, alphas)
    is_regression = settings.task == "regression"
    return [
        None if point is None
        else point.predictor(targets, sample.dtype, sample.targets if is_regression else None)
        for point in points
    ]  # fmt: skip


def _points(settings, targets, sample, alphas):
    if gram_path.is_for(settings):
        return squared_error_path(sample, settings, alphas)
    run = fresh_run(settings, targets, sample)
    return newton_path.path(run, alphas) if newton_path.suits(run) else [None] * len(alphas)
