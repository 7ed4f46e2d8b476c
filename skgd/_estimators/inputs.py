"""Checks of X and y that scikit-learn's estimators share, and of what its loops would trust."""

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import validate_data

from skgd._utils.checks import (
    canonical,
    check_dense,
    check_sparse,
    out_of_range,
    raise_naming_columns,
)
from skgd._utils.collections import gathered

FLOATS = (np.float64, np.float32)


def check_data(estimator, X, y, *, reset):
    """Return checked rows and targets; the estimator learns the number and names of the columns."""
    X, y = gathered(X, "X"), gathered(y, "y")
    check_sparse(X)
    if y is None:
        # scikit-learn's own sentence, for estimators that need targets.
        validate_data(estimator, X, y, reset=reset)
    check_dense(y)
    try:
        X, y = validate_data(
            estimator, X, y, reset=reset, accept_sparse="csr", dtype=FLOATS, order=None,
            multi_output=not isinstance(estimator, ClassifierMixin), accept_large_sparse=True,
        )  # fmt: skip
    except (ValueError, TypeError) as error:
        raise_naming_columns(X, error)
    except OverflowError as error:
        raise out_of_range("X or y") from error
    return canonical(X), y
