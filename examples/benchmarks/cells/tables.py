"""The tables of the cells: made data, and scikit-learn's bundled sets."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.signal import lfilter
from sklearn import datasets


class Table(NamedTuple):
    """Rows and targets by a name.

    Attributes
    ----------
    name : str
    read : callable
        Of what to divide the sizes by: X and y.
    """

    name: str
    read: object


def made(kind, n, d, task, stored=80):
    """Return a table of made rows.

    Parameters
    ----------
    kind : {"dense", "correlated", "factors", "one-hot", "text"}
        Neighbouring columns of a "correlated" table are nearly equal; three factors make most of
        the columns of "factors"; "one-hot" has 26 categories as dense columns; "text" is a CSR
        matrix of weighted counts with rows of length 1.
    n, d : int
    task : {"numbers", "counts", "classes"} or int
        An int is a number of classes.
    stored : int, default=80
        The numbers in a row of "text", at most.
    """
    size = "CSR" if kind == "text" else kind
    targets = f"{task} classes" if isinstance(task, int) else task
    name = f"{size} {n}x{d}, {targets}"
    return Table(name, lambda divisor=1: _made(
        kind, max(50, n // divisor), max(10, d // divisor), task, stored
    ))  # fmt: skip


@lru_cache(2)
def _made(kind, n, d, task, stored):
    rng = np.random.default_rng(0)
    if kind == "correlated":
        X = lfilter([1.0], [1.0, -0.98], rng.normal(size=(n, d)), axis=1)
    elif kind == "factors":
        X = 5 * rng.normal(size=(n, 3)) @ rng.normal(size=(3, d)) + rng.normal(size=(n, d))
    elif kind == "one-hot":
        X = _one_hot(rng, n, d)
    elif kind == "text":
        X = _text(rng, n, d, min(stored, d // 2))
    else:
        X = rng.normal(size=(n, d))
    outputs = task if isinstance(task, int) else 1
    few = np.arange(d) < max(50, d // 100)
    counts = np.ones(d, dtype=bool) if kind in ("one-hot", "text") else few
    Z = X @ (rng.normal(size=(d, outputs)) * counts[:, None])
    Z = (Z - Z.mean(axis=0)) / Z.std(axis=0)
    return X, _targets(rng, Z, task)


def _targets(rng, Z, task):
    if isinstance(task, int):
        return (Z + 0.1 * rng.normal(size=Z.shape)).argmax(axis=1)
    if task == "counts":
        return rng.poisson(np.exp(Z[:, 0])).astype(float)
    z = Z[:, 0] + 0.1 * rng.normal(size=len(Z))
    return (z > np.median(z)).astype(int) if task == "classes" else z


def _one_hot(rng, n, d):
    """Return categories with levels of unequal frequency, each level a column of zeros and ones."""
    X, rows = np.zeros((n, d)), np.arange(n)
    for columns in np.array_split(np.arange(d), 26):
        shares = 1.0 / np.arange(1.0, len(columns) + 1.0)
        if len(columns):
            X[rows, rng.choice(columns, n, p=shares / shares.sum())] = 1.0
    return X


def _text(rng, n, d, stored):
    """Return weighted counts whose columns are as rare as words are."""
    shares = 1.0 / np.arange(2.0, d + 2.0)
    words = rng.choice(d, size=(n, stored), p=shares / shares.sum())
    starts = np.arange(0, n * stored + 1, stored)
    X = sparse.csr_matrix((np.ones(n * stored), words.ravel(), starts), shape=(n, d))
    X.sum_duplicates()
    X.data = 1.0 + np.log(X.data)
    frequency = np.bincount(X.indices, minlength=d)
    X = X @ sparse.diags(1.0 + np.log((1 + n) / (1 + frequency)))
    lengths = np.sqrt(X.multiply(X).sum(axis=1)).A1
    return sparse.csr_matrix(sparse.diags(1.0 / lengths) @ X)


def bundled(name, *, counts=False):
    """Return one of scikit-learn's sets, raw."""
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    y = np.round(y / 10) if counts else y
    return Table(f"{name} {len(X)}x{X.shape[1]}", lambda divisor=1: (X, y))


def enlarged_digits():
    """Return digits as 28 x 28 pictures at random places, of which classes are nearly separable."""
    def read(divisor=1):
        X, y = datasets.load_digits(return_X_y=True)
        rng = np.random.default_rng(0)
        rows = rng.choice(len(X), max(50, 3750 // divisor))
        pictures = np.zeros((len(rows), 28, 28))
        large = np.kron(X[rows].reshape(-1, 8, 8), np.ones((1, 3, 3)))
        places = rng.integers(0, 5, (len(rows), 2))
        for picture, digit, (i, j) in zip(pictures, large, places, strict=True):
            picture[i:i + 24, j:j + 24] = digit
        return 16.0 * pictures.reshape(len(rows), -1), y[rows]

    return Table("enlarged digits 3750x784", read)
