"""The simplest model that is as good as the best one within the noise of the folds."""

import numpy as np

from skgd._utils.checks import shown

__all__ = ["one_standard_error"]


def one_standard_error(cv_results, scoring=None):
    """Return the index of the largest ``alpha`` whose score the folds cannot tell from the best.

    That is the candidate with the largest alpha among those whose mean score is at least that of
    the best candidate less one standard error of it,

    ``mean >= best - std / sqrt(n_splits - 1)``

    where ``std``, as in ``cv_results_``, divides by ``n_splits``. All other parameters are those of
    the best candidate, and its alpha is the smallest that can be chosen.

    Parameters
    ----------
    cv_results : dict
        The ``cv_results_`` of a search over ``alpha``, also that of a step of a Pipeline. Pass the
        function itself as ``refit`` of ``GDSearchCV``, ``GridSearchCV`` or ``RandomizedSearchCV``.
    scoring : str, default=None
        Which score, of several: pass ``functools.partial(one_standard_error, scoring="r2")`` as
        ``refit``. None is the only one.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If alpha was not searched, or no score is a number.

    References
    ----------
    Breiman, Friedman, Olshen and Stone, Classification and regression trees, 1984, section 3.4.3.
    Hastie, Tibshirani and Friedman, The elements of statistical learning, 2009, section 7.10.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skgd import GDRegressor, GDSearchCV, one_standard_error
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = GDRegressor(penalty="l1")
    >>> best = GDSearchCV(model, {"alpha": "path"}).fit(X, y)
    >>> simple = GDSearchCV(model, {"alpha": "path"}, refit=one_standard_error).fit(X, y)
    >>> for search in (best, simple):
    ...     print((search.best_estimator_.coef_ != 0).sum())
    9
    5
    """
    key = "score" if scoring is None else scoring
    if f"mean_test_{key}" not in cv_results:
        names = [name.removeprefix("mean_test_") for name in cv_results
                 if name.startswith("mean_test_")]  # fmt: skip
        if not names:
            raise ValueError(
                f"cv_results={shown(cv_results)}: it has no scores; pass the cv_results_ of a "
                "fitted search."
            )
        raise ValueError(
            f"scoring={scoring!r}: the search has the scores {names}; pass one of them, as by "
            f"functools.partial(one_standard_error, scoring={names[0]!r})."
        )
    mean = np.asarray(cv_results[f"mean_test_{key}"], dtype=float)
    if np.isnan(mean).all():
        raise ValueError("cv_results: no score is a number; look at the errors of the fits.")
    best, name = int(np.nanargmax(mean)), alpha_parameter(cv_results)
    splits = [part for part in cv_results
              if part.startswith("split") and part.endswith(f"_test_{key}")]  # fmt: skip
    error = cv_results[f"std_test_{key}"][best] / np.sqrt(max(len(splits) - 1, 1))
    params = cv_results["params"]
    others = _without(params[best], name)
    candidates = [
        i for i, each in enumerate(params)
        if each[name] >= params[best][name] and mean[i] >= mean[best] - error
        and _are_same(_without(each, name), others)
    ]  # fmt: skip
    # Of equal alphas the better one.
    return max(candidates, key=lambda i: (params[i][name], mean[i]))


def alpha_parameter(cv_results):
    """Return the name of the parameter of a search that is an alpha."""
    names = {name for params in cv_results["params"] for name in params
             if name.split("__")[-1] == "alpha"}  # fmt: skip
    if len(names) != 1:
        raise ValueError(
            f"search: {len(names)} of its parameters are an alpha; pass a search over one."
        )
    return names.pop()


def _without(params, name):
    return {other: value for other, value in params.items() if other != name}


def _are_same(params, others):
    """Tell whether two candidates have the same values, or the same objects."""
    return params.keys() == others.keys() and all(
        value is others[name] or repr(value) == repr(others[name])
        for name, value in params.items()
    )  # fmt: skip
