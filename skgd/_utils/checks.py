"""Checks of what the user passed; each error names the parameter, the value and the remedy."""

import math
import sys
import warnings
from numbers import Integral, Real

import numpy as np
from scipy import sparse
from sklearn.base import MetaEstimatorMixin
from sklearn.utils.validation import check_array

from skgd._utils.names import shown

# That of numpy.random.RandomState.
LARGEST_SEED = 2**32 - 1
# The share of the greatest second derivative of a convex loss by which another one may be negative:
# differences of numbers of that size leave 1e-16 of them.
NEGATIVE = 1e-8
# Squares of numbers up to this size can be added up in doubles.
LARGEST = 1e150


def is_number(value):
    """Whether value is a real number and not a bool."""
    if type(value) in (float, int):
        return True
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_)


def is_finite(value):
    """Whether value is a real number within the range of floats, which huge integers are not."""
    try:
        return is_number(value) and math.isfinite(value)
    except OverflowError:
        return False


def as_floats(result, name):
    """Return what a user's function of a name has returned as an array of floats."""
    if result is None:
        raise TypeError(f"{name} returned None: return numbers.")
    try:
        return np.asarray(result, dtype=float)
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(f"{name} returned {shown(result)}: return numbers.") from error


def check_second_derivatives(values, name, convex):
    """Raise unless what a user's hessian has returned can be that of a loss."""
    least, greatest = values.min(initial=0.0), values.max(initial=0.0)
    if not (np.isfinite(least) and np.isfinite(greatest)):
        raise ValueError(
            f"{name} returned NaN or infinite values: return finite numbers, or set has_hessian = "
            "False."
        )
    if convex and least < -NEGATIVE * greatest:
        raise ValueError(
            f"{name} returned {least:.3g}: the second derivatives of a convex loss are not "
            "negative; correct them, or set convex = False."
        )


def check_count(name, value, *others):
    """Raise unless a value is an integer above 0, or one of the others."""
    if any(isinstance(value, type(other)) and value == other for other in others):
        return
    remedy = " or ".join(["pass an integer >= 1", *map(repr, others)])
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"{name}={shown(value)}: {remedy}.")
    if value < 1:
        raise ValueError(f"{name}={shown(value)}: {remedy}.")
    if value > sys.maxsize:
        raise ValueError(f"{name}={shown(value)}: {remedy}; the largest is {sys.maxsize}.")


def check_flag(name, value):
    """Raise unless a value is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name}={shown(value)}: pass True or False.")


def check_tol(tol):
    """Raise unless a tolerance is None or a finite number that is not negative."""
    if tol is not None and not (is_finite(tol) and tol >= 0):
        raise ValueError(f"tol={shown(tol)}: pass a finite number >= 0, or None.")


def check_seed(random_state):
    """Raise unless random_state is one of scikit-learn's three kinds."""
    whole = isinstance(random_state, Integral) and not isinstance(random_state, bool)
    if random_state is None or isinstance(random_state, np.random.RandomState):
        return
    if not whole or not 0 <= random_state <= LARGEST_SEED:
        raise ValueError(
            f"random_state={shown(random_state)}: pass None, an integer from 0 to {LARGEST_SEED} "
            "or a numpy.random.RandomState."
        )


def check_n_jobs(n_jobs):
    """Raise unless n_jobs is None or an integer other than 0."""
    if n_jobs is None:
        return
    whole = isinstance(n_jobs, Integral) and not isinstance(n_jobs, bool)
    if not whole or n_jobs == 0 or abs(n_jobs) > sys.maxsize:
        raise ValueError(f"n_jobs={shown(n_jobs)}: pass None or an integer other than 0.")


def make_generator(random_state):
    """Return a generator for scikit-learn's three kinds of random_state."""
    check_seed(random_state)
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(np.iinfo(np.int32).max))
    return np.random.default_rng(random_state)


def check_weights(sample_weight, n_samples, name="sample_weight", zeros=False):
    """Return the weights as float64, or None for None; all zeros pass only on request."""
    if sample_weight is None:
        return None
    if is_number(sample_weight):
        sample_weight = np.full(n_samples, sample_weight)
    if isinstance(sample_weight, str | bytes) or sparse.issparse(sample_weight):
        raise TypeError(f"{name}={shown(sample_weight)}: pass one weight a row, or None.")
    try:
        weights = check_array(
            sample_weight, ensure_2d=False, dtype=np.float64, order="C", input_name=name
        )
    except OverflowError as error:
        raise out_of_range(name) from error
    except (TypeError, ValueError) as error:
        if name in str(error):
            raise
        raise type(error)(
            f"{name}={shown(sample_weight)}: pass one weight a row, or None. ({error})"
        ) from error
    weights = np.require(weights, requirements="A")
    if weights.ndim != 1:
        raise ValueError("Sample weights must be 1D array or scalar")
    if weights.shape != (n_samples,):
        raise ValueError(
            f"{name}.shape == {weights.shape}, expected {(n_samples,)}: pass one weight a row."
        )
    if np.any(weights < 0):
        raise ValueError(f"{name} has negative values: pass weights >= 0.")
    if not zeros and not np.any(weights):
        raise ValueError(
            f"{name} has only zeros: at least one weight must not be zero; pass one above 0."
        )
    with np.errstate(over="ignore"):
        total = weights.sum()
    if not np.isfinite(total):
        raise ValueError(f"{name}: the sum of the weights overflows; pass smaller weights.")
    if 0 < total < np.finfo(float).tiny:
        raise ValueError(f"{name}: the sum of the weights underflows; pass larger weights.")
    return weights


def check_size(targets):
    """Raise where squares of the targets are beyond the range of doubles."""
    largest = np.abs(targets).max(initial=0.0)
    if not (largest == 0.0 or 1.0 / LARGEST <= largest <= LARGEST):
        raise ValueError(
            f"y: the largest number has the size {largest:.3g}, and its square is beyond the range "
            "of doubles: multiply or divide y by a power of ten."
        )


def check_sparse(X):
    """Raise where the arrays of a sparse matrix do not describe one.

    SciPy's compiled loops trust them, so this comes before any conversion, product or slice.
    """
    if not sparse.issparse(X) or X.ndim != 2 or X.format in ("dok", "lil"):
        return
    n_values = len(X.data)
    if X.format in ("csr", "csc", "bsr"):
        lines, numbers = X.shape[::-1] if X.format == "csc" else X.shape
        if X.format == "bsr":
            lines, numbers = lines // X.blocksize[0], numbers // X.blocksize[1]
        starts = _indices_of(X, "indptr")
        if len(starts) != lines + 1 or starts[0] != 0 or np.any(starts[1:] < starts[:-1]):
            raise ValueError(
                f"X.indptr of shape {starts.shape} for X of shape {X.shape}: pass {lines + 1} "
                "numbers that begin with 0 and never fall, as SciPy makes them from any other "
                "format."
            )
        _check_indices(X, "indices", numbers)
        n_indices = len(X.indices)
        if n_indices != n_values or starts[-1] > n_values:
            raise ValueError(
                f"X.indptr ends with {starts[-1]}, where X.indices has {n_indices} numbers and "
                f"X.data {n_values}: pass as many of both, and an indptr that ends there."
            )
    elif X.format == "coo":
        for name, size in zip(("row", "col"), X.shape, strict=True):
            _check_indices(X, name, size)
            if len(getattr(X, name)) != n_values:
                raise ValueError(
                    f"X.{name} has {len(getattr(X, name))} numbers and X.data {n_values}: pass as "
                    "many of both."
                )
    elif X.format == "dia" and len(X.offsets) != n_values:
        raise ValueError(
            f"X.offsets has {len(X.offsets)} numbers and X.data {n_values} rows: pass as many of "
            "both."
        )


def check_dense(y):
    """Raise where targets are a sparse matrix."""
    if sparse.issparse(y):
        raise TypeError(f"y is a sparse matrix of shape {y.shape}: pass an array, y.toarray().")


def out_of_range(name):
    """Return the error of integers that no float is as large as."""
    return ValueError(
        f"{name} has integers beyond the range of floats: pass them divided by a power of ten."
    )


def _indices_of(X, name):
    """Return an array of a sparse matrix that holds row or column numbers."""
    array = np.asarray(getattr(X, name))
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(
            f"X.{name} has dtype {array.dtype} and shape {array.shape}: pass one dimension of "
            "int32 or int64."
        )
    return array


def _check_indices(X, name, size):
    array = _indices_of(X, name)
    if len(array) and not 0 <= array.min() <= array.max() < size:
        raise ValueError(
            f"X.{name} goes from {array.min()} to {array.max()}: pass numbers from 0 to {size - 1}."
        )


def check_place(callback, estimator):
    """Warn of a callback of epochs on an estimator around others, which has none.

    Raise for one that keeps a file, which serves one fit.
    """
    if not (isinstance(estimator, MetaEstimatorMixin) or hasattr(estimator, "steps")):
        return
    name, other = type(callback).__name__, type(estimator).__name__
    message = (
        f"{name} on {other} hears of no epoch: set it on the estimator inside, as in "
        f"{other}(GDClassifier().set_callbacks({name}(...)), ...)."
    )
    if hasattr(callback, "resume"):
        raise TypeError(message)
    warnings.warn(message, UserWarning)


def canonical(X):
    """Return X as the engine reads it.

    A dense X has aligned numbers; the arrays of a CSR matrix have the engine's types, and a row
    names no column twice, so that squares of columns are those of the numbers.
    """
    if not sparse.issparse(X):
        return np.require(X, requirements="A")
    if not all(part.flags.aligned for part in (X.data, X.indices, X.indptr)):
        X = X.copy()  # which copies each array to an aligned one
    if X.indices.dtype != X.indptr.dtype or X.indices.dtype not in (np.int32, np.int64):
        X = X.copy()
        X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return X


def raise_naming_columns(X, error):
    """Raise an error, with the names of the columns of a frame that it is about."""
    named = _naming_columns(X, error)
    if named is error and "NA is ambiguous" in str(error):  # scikit-learn compares labels
        named = ValueError("y has missing values, pd.NA: fill them, or drop these rows.")
    # An error that were its own cause would have no end for those who follow causes, as Dask does.
    raise named from (error.__cause__ if named is error else error)


def _naming_columns(X, error):
    """Return the error with the names of the columns of a frame that it is about."""
    if not hasattr(X, "columns") or not hasattr(X, "__getitem__"):
        return error
    if len(set(X.columns)) < len(X.columns):
        return error
    text, missing = [], []
    for name in X.columns:
        column = np.asarray(X[name])
        if column.dtype.kind in "mM":
            text.append(str(name))
            continue
        if column.dtype.kind not in "biuf":
            try:
                column = column.astype(float)
            except (ValueError, TypeError):
                text.append(str(name))
                continue
        if column.dtype.kind == "f" and np.isnan(column).any():
            missing.append(str(name))
    if text:
        return ValueError(
            f"column {', '.join(map(repr, text))} is not numeric: encode it, with "
            f"sklearn.preprocessing.OneHotEncoder for instance. ({error})"
        )
    if missing:
        return ValueError(
            f"column {', '.join(map(repr, missing))} contains NaN: fill it, with "
            f"sklearn.impute.SimpleImputer for instance. ({error})"
        )
    return error


def given_start(init, k, d, fit_intercept):
    """Return a user's (coef, intercept), checked."""
    try:
        coef, intercept = (np.array(part, dtype=float) for part in init)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"init={shown(init)}: {_init_remedy(k, d)}") from error
    vectors = coef.shape == (d,) and k == 1
    one = intercept.size == 1 and intercept.ndim <= 1 and (k == 1 or not fit_intercept)
    if not (vectors or coef.shape == (k, d)) or not (one or intercept.shape == (k,)):
        raise ValueError(
            f"init has coef of shape {coef.shape} and intercept of shape {intercept.shape}: "
            f"{_init_remedy(k, d)}"
        )
    if not (np.all(np.isfinite(coef)) and np.all(np.isfinite(intercept))):
        raise ValueError("init has NaN or infinite values: pass finite numbers.")
    return coef.reshape(k, d), intercept.reshape(k) if fit_intercept else np.zeros(k)


def _init_remedy(k, d):
    shapes = f"({k}, {d}) and ({k},)" if k > 1 else f"({d},) and (1,)"
    return f"pass 'zeros', 'random', or (coef, intercept) of shapes {shapes}."
