"""Dask collections in place of arrays: their partitions are checked and read where they lie."""

import copy
import functools
from functools import partial

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, check_X_y, validate_data

from skgd._fit.block_sample import BlockSample, Part, labels_of, part_facts
from skgd._fit.targets import known_targets, learn_targets
from skgd._problem import dask_blocks
from skgd._utils.checks import (
    canonical,
    check_sparse,
    check_weights,
    is_number,
    raise_naming_columns,
)
from skgd._utils.collections import is_dask


def any_dask(*values):
    """Tell whether one of some values is a Dask collection."""
    return any(map(is_dask, values))


def read_collections(estimator, settings, X, y, sample_weight, *, is_known, reset=True):
    """Return the `Targets` of Dask collections, and the `BlockSample` of their rows.

    Parameters
    ----------
    estimator : GDClassifier or GDRegressor
        Learns the number and names of the columns.
    settings : Settings
    X, y : Dask collections, or y an array
    sample_weight : Dask collection, array, number or None
    is_known : bool
        Whether the targets must be those that the estimator knows already.
    reset : bool, default=True
        Whether the columns may be others than before.
    """
    if not is_dask(X):
        raise TypeError(
            "y or sample_weight is a Dask collection and X is not: pass both, or neither."
        )
    if settings.chooses_alpha:
        raise ValueError(
            "alpha='auto' with Dask collections: pass a number for alpha, such as the alpha_ that "
            "a fit to a sample in memory chooses."
        )
    if y is None:
        validate_data(estimator, np.zeros((1, 1)), y, reset=False)
    example = dask_blocks.example(X)
    validate_data(estimator, example, reset=reset, skip_check_array=True)
    dtype = _float_type(example)
    is_classification = isinstance(estimator, ClassifierMixin)
    if is_number(sample_weight):
        sample_weight = np.asarray(float(sample_weight))
    weights = None
    if sample_weight is not None:
        weights = dask_blocks.partitions(sample_weight, X, "sample_weight")
    parts = dask_blocks.of_partitions(
        _read_part, (dtype, is_classification),
        dask_blocks.partitions(X), dask_blocks.partitions(y, X, "y"), weights,
    )  # fmt: skip
    facts = parts.ask(partial(part_facts, is_classification=is_classification))
    full = [number for number, fact in enumerate(facts) if fact.n]
    if not full:
        raise ValueError("X has 0 rows in its partitions: pass at least one row.")
    facts = [facts[number] for number in full]
    parts = parts.only(full)
    _check_weight(sample_weight, sum(fact.weight for fact in facts))
    # Labels of all partitions, and the largest of the targets, describe all targets.
    seen = labels_of(facts) if is_classification else max(
        (fact.example for fact in facts), key=lambda row: np.abs(row.astype(float)).max()
    )  # fmt: skip
    learned = known_targets(settings, vars(estimator), seen) if is_known else (
        learn_targets(settings, seen)
    )  # fmt: skip
    targets = learned[0]
    n_features = estimator.n_features_in_
    return targets, BlockSample(X, y, sample_weight, parts, facts, targets, dtype, n_features)


def _float_type(example):
    """Return the type in which columns are read, that of an array of them if it is a float's."""
    types = getattr(example, "dtypes", None)
    try:
        dtype = example.dtype if types is None else np.result_type(*types)
    except TypeError:  # types of pandas alone
        return np.dtype(float)
    return np.dtype(np.float32 if dtype == np.float32 else np.float64)


def _check_weight(sample_weight, total):
    if sample_weight is not None and total == 0.0:
        raise ValueError(
            "sample_weight has only zeros: at least one weight must not be zero; pass one above 0."
        )
    if not np.isfinite(total):
        raise ValueError("sample_weight: the sum of the weights overflows; pass smaller weights.")


def _read_part(X, y, weights, dtype, is_classification):
    """Return the checked `Part` of a partition."""
    n = X.shape[0]
    y = np.asarray(y)
    if y.shape[:1] != (n,):
        raise ValueError(
            f"A partition of X has {n} rows, and that of y {len(y)}: pass both with the same "
            "partitions."
        )
    if not n:
        return Part(np.empty(X.shape, dtype), y, None if weights is None else np.empty(0))
    check_sparse(X)
    try:
        X, y = check_X_y(
            X, y, accept_sparse="csr", dtype=dtype, order=None, accept_large_sparse=True,
            multi_output=not is_classification,
        )  # fmt: skip
    except (ValueError, TypeError) as error:
        raise_naming_columns(X, error)
    if is_classification:
        check_classification_targets(y)
    if weights is not None:
        weights = np.asarray(weights)
        weights = np.full(n, float(weights)) if weights.ndim == 0 else weights
        weights = check_weights(weights, n, zeros=True)
    return Part(canonical(X), y, weights)


def lazy_on_collections(method):
    """Let a method that predicts from X return a lazy dask array for a Dask collection."""

    @functools.wraps(method)
    def method_or_lazy(self, X):
        if not is_dask(X):
            return method(self, X)
        return predicted(self, method, X)

    return method_or_lazy


def predicted(estimator, method, X):
    """Return the lazy predictions of a fitted estimator for a Dask collection."""
    check_is_fitted(estimator)
    validate_data(estimator, dask_blocks.example(X), reset=False, skip_check_array=True)
    # As it is now: a later fit changes other arrays.
    model = copy.copy(estimator)
    for name in ("_memory", "_skl_callbacks"):
        vars(model).pop(name, None)
    unnamed = copy.copy(model)
    vars(unnamed).pop("feature_names_in_", None)
    row = method(unnamed, np.zeros((1, estimator.n_features_in_)))
    of_rows = _OfRows(model, method.__name__, row[:0])
    return dask_blocks.lazy_rows(of_rows, X, row.shape[1:], row.dtype)


class _OfRows:
    """A method of a model as a function of rows, of which there may be none."""

    def __init__(self, model, name, empty):
        self.model, self.name, self.empty = model, name, empty

    def __call__(self, X):
        return getattr(self.model, self.name)(X) if X.shape[0] else self.empty
