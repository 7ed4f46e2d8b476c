"""Checks of what the user passed; each error names the parameter, the value and the remedy."""

from numbers import Integral, Real

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_array

# Squares of numbers up to this size can be added up in doubles.
LARGEST = 1e150


def is_number(value):
    """Whether value is a real number and not a bool."""
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_)


def as_floats(result, name):
    """Return what a user's function of a name has returned as an array of floats."""
    try:
        return np.asarray(result, dtype=float)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} returned {result!r}: return numbers.") from error


def check_count(name, value, *others):
    """Raise unless a value is an integer above 0, or one of the others."""
    if any(isinstance(value, type(other)) and value == other for other in others):
        return
    remedy = " or ".join(["pass an integer >= 1", *map(repr, others)])
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"{name}={value!r}: {remedy}.")
    if value < 1:
        raise ValueError(f"{name}={value!r}: {remedy}.")


def check_tol(tol):
    """Raise unless a tolerance is None or a finite number that is not negative."""
    if tol is not None and not (is_number(tol) and 0 <= tol < np.inf):
        raise ValueError(f"tol={tol!r}: pass a finite number >= 0, or None.")


def check_parameters(estimator):
    """Raise for the first constructor parameter that cannot be used."""
    for name in ("alpha", "l1_ratio"):
        if not is_number(getattr(estimator, name)):
            raise TypeError(f"{name}={getattr(estimator, name)!r}: pass a number.")
    if not 0 <= estimator.alpha < np.inf:
        raise ValueError(f"alpha={estimator.alpha!r}: pass a finite number >= 0.")
    if not 0 <= estimator.l1_ratio <= 1:
        raise ValueError(f"l1_ratio={estimator.l1_ratio!r}: pass a number from 0 to 1.")
    check_count("max_iter", estimator.max_iter)
    check_count("n_iter_no_change", estimator.n_iter_no_change)
    check_tol(estimator.tol)
    for name in ("fit_intercept", "positive", "shuffle", "early_stopping", "warm_start"):
        if not isinstance(getattr(estimator, name), bool | np.bool_):
            raise TypeError(f"{name}={getattr(estimator, name)!r}: pass True or False.")
    choices = {
        "precondition": (estimator.precondition, ("auto", "diagonal", "full", None)),
        "on_divergence": (estimator.on_divergence, ("recover", "raise")),
    }
    for name, (value, allowed) in choices.items():
        if not (value is None or isinstance(value, str)) or value not in allowed:
            raise ValueError(f"{name}={value!r}: pass one of {', '.join(map(repr, allowed))}.")
    if not is_number(estimator.validation_fraction) or not 0 < estimator.validation_fraction < 1:
        raise ValueError(
            f"validation_fraction={estimator.validation_fraction!r}: pass a number between 0 and 1."
        )
    if not isinstance(estimator.average, bool | np.bool_) and not (
        isinstance(estimator.average, Integral) and estimator.average >= 0
    ):
        raise ValueError(
            f"average={estimator.average!r}: pass True, False, or the update step from which to "
            "average."
        )
    if not isinstance(estimator.verbose, bool | Integral):
        raise TypeError(f"verbose={estimator.verbose!r}: pass an integer.")
    n_jobs = estimator.n_jobs
    if n_jobs is not None and (
        not isinstance(n_jobs, Integral) or isinstance(n_jobs, bool) or n_jobs == 0
    ):
        raise ValueError(f"n_jobs={n_jobs!r}: pass None or an integer other than 0.")


def make_generator(random_state):
    """Return a generator for scikit-learn's three kinds of random_state."""
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(np.iinfo(np.int32).max))
    whole = isinstance(random_state, Integral) and not isinstance(random_state, bool)
    if random_state is None or (whole and random_state >= 0):
        return np.random.default_rng(random_state)
    raise ValueError(
        f"random_state={random_state!r}: pass None, an integer >= 0 or a numpy.random.RandomState."
    )


def check_weights(sample_weight, n_samples, name="sample_weight", zeros=False):
    """Return the weights as float64, or None for None; all zeros pass only on request."""
    if sample_weight is None:
        return None
    if isinstance(sample_weight, Real):
        sample_weight = np.full(n_samples, sample_weight)
    if isinstance(sample_weight, str):
        raise TypeError(f"{name}={sample_weight!r}: pass one weight a row, or None.")
    weights = check_array(
        sample_weight, ensure_2d=False, dtype=np.float64, order="C", input_name=name
    )
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


def canonical(X):
    """Return X as the engine reads it.

    A dense X has aligned numbers; the arrays of a CSR matrix have the engine's types, and a row
    names no column twice, so that squares of columns are those of the numbers.
    """
    if not sparse.issparse(X):
        return np.require(X, requirements="A")
    if not all(part.flags.aligned for part in (X.data, X.indices, X.indptr)):
        X = X.copy()  # which copies each array to an aligned one
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    if X.indices.dtype != X.indptr.dtype or X.indices.dtype not in (np.int32, np.int64):
        X = X.copy()
        X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


def naming_columns(X, error):
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
        coef, intercept = init
        coef = np.array(coef, dtype=float)
        intercept = np.array(np.broadcast_to(np.asarray(intercept, dtype=float).ravel(), k))
        coef = coef.reshape(k, d)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"init={init!r}: pass 'zeros', 'random', or (coef, intercept) with {k} x {d} and {k} "
            "numbers."
        ) from error
    if not (np.all(np.isfinite(coef)) and np.all(np.isfinite(intercept))):
        raise ValueError("init has NaN or infinite values: pass finite numbers.")
    return coef, intercept if fit_intercept else np.zeros(k)
