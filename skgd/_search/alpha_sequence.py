"""The alphas to search through, for an estimator and its data."""

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from skgd._estimators.base import BaseGD, read_rows
from skgd._fit.alphas import check_sequence, falling_alphas
from skgd._fit.run import fresh_run
from skgd._fit.settings import Settings
from skgd._utils.checks import shown
from skgd._utils.collections import gathered

__all__ = ["alpha_sequence"]


@np.errstate(all="ignore")
def alpha_sequence(estimator, X, y, n=None, ratio=None, *, sample_weight=None):
    """Return values of ``alpha`` to search through, the largest first.

    With l1, the elastic net and groups, the first is the smallest alpha with which all coefficients
    are 0, and the others follow in equal ratios. With l2 no alpha empties a model: there they go
    from an alpha that shrinks nearly everything to one that shrinks nearly nothing, however the
    columns are scaled. ``GDSearchCV(estimator, {"alpha": "path"})`` searches through them.

    Parameters
    ----------
    estimator : GDClassifier, GDRegressor or a Pipeline that ends in one
        Its loss and its penalty decide; it is neither fitted nor changed. The steps before are
        fitted to all rows.
    X : array or sparse matrix of shape (n_samples, n_features)
    y : array of shape (n_samples,) or (n_samples, n_outputs)
    n : int, default=None
        How many; None is 100 where the penalty empties a model and 20 for l2.
    ratio : float, default=None
        The last alpha as a share of the first. None is 1e-3 where the penalty empties a model; for
        l2 it follows from the columns.
    sample_weight : array of shape (n_samples,), default=None

    Returns
    -------
    array of shape (n,)

    Raises
    ------
    ValueError
        If alpha has no effect, as without a penalty.

    References
    ----------
    Friedman, Hastie and Tibshirani, Regularization paths for generalized linear models via
    coordinate descent, 2010.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skgd import GDRegressor, alpha_sequence
    >>> X, y = load_diabetes(return_X_y=True)
    >>> alphas = alpha_sequence(GDRegressor(penalty="l1"), X, y)
    >>> len(alphas)
    100
    >>> for alpha in (alphas[0], alphas[1]):
    ...     print((GDRegressor(penalty="l1", alpha=alpha).fit(X, y).coef_ != 0).sum())
    0
    2
    """
    check_sequence(n, ratio)
    last = estimator
    if isinstance(estimator, Pipeline):
        X, last = clone(estimator[:-1]).fit_transform(X, y), estimator.steps[-1][1]
    if not isinstance(last, BaseGD):
        raise TypeError(
            f"estimator={shown(last)}: pass a GDClassifier, a GDRegressor, or a Pipeline that ends "
            "in one."
        )
    last = clone(last)
    settings = Settings.of(last)
    X, y = gathered(X, "X"), gathered(y, "y")
    targets, sample = read_rows(
        last, settings, X, y, gathered(sample_weight, "sample_weight"), reset=True, is_known=False
    )
    return falling_alphas(fresh_run(settings, targets, sample), n, ratio)
