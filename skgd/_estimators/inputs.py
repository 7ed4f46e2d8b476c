"""Checks of X and y that scikit-learn's estimators share, and of what its loops would trust."""

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import validate_data

from skgd._problem import Moments
from skgd._utils.checks import canonical, check_dense, check_sparse, naming_columns, out_of_range

FLOATS = (np.float64, np.float32)


def check_data(estimator, X, y, *, reset, finite=True):
    """Return checked rows and targets; the estimator learns the number and names of the columns.

    Without `finite`, `check_finite` has to follow.
    """
    check_sparse(X)
    if y is None:
        # scikit-learn's own sentence, for estimators that need targets.
        validate_data(estimator, X, y, reset=reset)
    check_dense(y)
    try:
        X, y = validate_data(
            estimator, X, y, reset=reset, accept_sparse="csr", dtype=FLOATS, order=None,
            multi_output=not isinstance(estimator, ClassifierMixin), accept_large_sparse=True,
            ensure_all_finite=finite,
        )  # fmt: skip
    except (ValueError, TypeError) as error:
        raise naming_columns(X, error) from error
    except OverflowError as error:
        raise out_of_range("X or y") from error
    return canonical(X), y


def checks_moments(settings, sample_weight, *, holds_out=False):
    """Tell whether the moments of the columns show each number of X that is not finite."""
    return settings.class_weight is None and sample_weight is None and not holds_out


def check_finite(estimator, settings, sample, given):
    """Raise the error of `check_data` where a number of X is not finite.

    A fit needs the moments of the columns anyway, and these are not finite then. They may be beyond
    the range of doubles for other reasons, too.

    Parameters
    ----------
    estimator : estimator
    settings : Settings
    sample : Sample
    given : tuple
        X and y as the user passed them.
    """
    moments = sample.once(("moments", repr(settings.class_weight)), lambda: Moments.of(
        sample.engine_rows(), None, effective_n_jobs(settings.n_jobs)
    ))  # fmt: skip
    if not (np.isfinite(moments.mean).all() and np.isfinite(moments.deviation).all()):
        check_data(estimator, *given, reset=False)
