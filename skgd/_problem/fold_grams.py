"""Centred Gram matrices of the rows of many folds.

    G_f = 1/S_f sum_i s_fi (x_i - mu_f)(x_i - mu_f)',    S_f = sum_i s_fi

of rows x_i that have the targets as their last columns. Folds share most of their rows: those that
count the same number of times in every fold form a group, whose Gram matrix is taken once. Each
block of rows is centred by its own mean, and blocks and groups are combined by adding what lies
between their means (Chan, Golub and LeVeque). All terms are squares, so nothing cancels: neither
one row of huge numbers nor a group that lies far off takes digits from the others.

References
----------
Chan, Golub and LeVeque, Algorithms for computing the sample variance, 1983.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.linalg import lapack

from skgd._problem.moments import ROUNDING
from skgd._problem.scaled_rows import row_blocks

# Adding a Gram matrix costs as much as taking that of this many rows: it is read from memory.
ROWS_PER_SUM = 3
# Numbers of all the Gram matrices of groups that are kept: 512 MB.
KEPT = 2**26
# The usual step of a column between two rows, as a share of its standard deviation, whose square
# rounding leaves half of the digits; and the steps that tell.
HIDDEN, STEPS = 1e-4, 256


@dataclass(frozen=True, eq=False)
class Gram:
    """The weight, the means and the centred sums of products of some rows.

    Attributes
    ----------
    weight : float
    mean : array of shape (n_features + n_outputs,)
    products : array of shape (n_features + n_outputs, n_features + n_outputs)
    """

    weight: float
    mean: np.ndarray
    products: np.ndarray

    @classmethod
    def combined(cls, grams, factors):
        """Return the Gram matrix of the rows of several, each this many times."""
        weights = np.array([gram.weight for gram in grams]) * factors
        reference = grams[0].mean
        offsets = np.array([gram.mean - reference for gram in grams])
        shift = weights @ offsets / weights.sum()
        between = (offsets - shift) * np.sqrt(weights)[:, None]
        products = between.T @ between
        for gram, factor in zip(grams, factors, strict=True):
            products += factor * gram.products
        return cls(float(weights.sum()), reference + shift, products)

    @classmethod
    def of_rows(cls, X, targets, rows, weights):
        """Return the Gram matrix of some rows, which have a weight above 0.

        Parameters
        ----------
        X : array or CSR matrix of shape (n_samples, n_features)
        targets : array of shape (n_samples, n_outputs)
        rows : array of int
        weights : array or None
            Of these rows.
        """
        d, p, total = X.shape[1], X.shape[1] + targets.shape[1], None
        for part in row_blocks(len(rows), p):
            index = rows[part]
            block = np.empty((len(index), p))
            block[:, :d] = X[index].toarray() if sparse.issparse(X) else X[index]
            block[:, d:] = targets[index]
            share = np.ones(len(index)) if weights is None else weights[part]
            first, weight = block[0].copy(), float(share.sum())
            block -= first
            shift = share @ block / weight
            block -= shift
            if weights is not None:
                block *= np.sqrt(share)[:, None]
            gram = cls(weight, first + shift, block.T @ block)
            total = gram if total is None else cls.combined([total, gram], np.ones(2))
        return total

    def moments(self, d, *, centred):
        """Return the mean products of the columns with one another and with the targets.

        Parameters
        ----------
        d : int
            The number of columns that are features.
        centred : bool
            Whether about the means, or about 0.

        Returns
        -------
        gram : array of shape (n_features, n_features)
        cross : array of shape (n_features, n_outputs)
        scale : array of shape (n_features,)
            The root of the diagonal; 0 for columns that are constant but for rounding.
        squares : array of shape (n_outputs,)
            The mean squares of the targets.
        """
        products = self.products / self.weight
        spread = np.sqrt(products.diagonal()[:d])
        is_constant = spread <= ROUNDING * np.abs(self.mean[:d])
        if not centred:
            products = products + np.outer(self.mean, self.mean)
            spread, is_constant = np.sqrt(products.diagonal()[:d]), np.zeros(d, dtype=bool)
        scale = np.where(is_constant, 0.0, spread)
        return products[:d, :d], products[:d, d:], scale, products.diagonal()[d:]


class FoldGrams:
    """The Gram matrices of folds.

    Parameters
    ----------
    X : array or CSR matrix of shape (n_samples, n_features)
    targets : array of shape (n_samples, n_outputs)
    counts : array of int of shape (n_folds, n_samples)
        How often each fold has each row.
    weights : array of shape (n_samples,) or None
        The weights of the rows, whatever the fold.
    """

    def __init__(self, X, targets, counts, weights=None):
        self.X, self.targets, self.weights, self.counts = X, targets, weights, counts
        self.p = X.shape[1] + targets.shape[1]
        if weights is not None:
            counts = np.where(weights > 0, counts, 0)
        numbers, patterns = _groups(counts)
        if self._saves_work(counts, patterns):
            order = np.argsort(numbers, kind="stable")
            ends = np.cumsum(np.bincount(numbers, minlength=len(patterns)))
            groups = np.split(order, ends[:-1])
            used = np.flatnonzero(patterns.any(axis=1))
            self.groups = [(groups[g], None if weights is None else weights[groups[g]])
                           for g in used]  # fmt: skip
            self.factors = patterns[used].T.astype(float)
        else:
            self.groups = [self._rows_of(row) for row in counts]
            self.factors = np.eye(len(counts))

    def _saves_work(self, counts, patterns):
        """Tell whether groups cost less than a Gram matrix for each fold."""
        if len(patterns) * self.p**2 > KEPT:
            return False
        n_sums = np.count_nonzero(patterns)
        return counts.shape[1] + ROWS_PER_SUM * n_sums < np.count_nonzero(counts)

    def _rows_of(self, counts):
        rows = np.flatnonzero(counts)
        weights = counts[rows].astype(float)
        return rows, weights if self.weights is None else weights * self.weights[rows]

    def of_group(self, number):
        """Return the Gram matrix of a group."""
        return Gram.of_rows(self.X, self.targets, *self.groups[number])

    def of_fold(self, number, of_groups):
        """Return the Gram matrix of a fold from those of all groups."""
        used = np.flatnonzero(self.factors[number])
        if len(used) == 1 and self.factors[number, used[0]] == 1.0:
            return of_groups[used[0]]
        return Gram.combined([of_groups[g] for g in used], self.factors[number, used])

    def loses_digits(self, number, gram, *, centred):
        """Tell whether few rows hide what the others say of how columns go together; see below."""
        d = self.X.shape[1]
        moments, _, scale, _ = gram.moments(d, centred=centred)
        rows = np.flatnonzero(self.counts[number])
        inverse = np.divide(1.0, scale, out=np.zeros(d), where=scale > 0)
        steps = usual_steps(self.X, rows) * inverse
        return loses_digits(moments * inverse[:, None] * inverse, np.where(scale > 0, steps, 1.0))


def usual_steps(X, rows=None):
    """Return the usual step of each column from one row to the next, where it moves; or inf.

    Parameters
    ----------
    X : array or CSR matrix
    rows : array of int or None
        The rows to look at; None for all.
    """
    rows = np.arange(X.shape[0]) if rows is None else rows
    if len(rows) < 2:
        return np.full(X.shape[1], np.inf)
    first = np.unique(np.linspace(0, len(rows) - 2, STEPS).astype(int))
    steps = np.abs(X[rows[first + 1]] - X[rows[first]])
    steps = steps.toarray() if sparse.issparse(steps) else np.asarray(steps, dtype=float)
    steps[steps == 0] = np.inf
    middle = np.isfinite(steps).sum(axis=0) // 2
    steps.sort(axis=0)
    return np.append(steps, np.full((1, steps.shape[1]), np.inf), axis=0)[
        middle, np.arange(steps.shape[1])
    ]


def loses_digits(gram, steps):
    """Tell whether few rows hide what the others say of how columns go together.

    Where the variance of a column comes from one row, or from some rows that lie far off, the
    products of two such columns have no digits for the other rows: a Gram matrix is too little
    to tell the columns apart. Steps from one row to the next show what variance is usual.

    Parameters
    ----------
    gram : array of shape (m, m)
        With a diagonal of 1.
    steps : array of shape (m,)
        The usual step of each column from one row to the next, in units of its scale.
    """
    hidden = np.flatnonzero(steps < HIDDEN)
    if len(hidden) < 2:
        return False
    factor, failed = lapack.dpotrf(gram[np.ix_(hidden, hidden)], lower=1)
    return bool(failed or factor.diagonal().min() < HIDDEN)


def _groups(counts):
    """Return the number of each row's group, and how often each fold has the rows of each group."""
    numbers = np.zeros(counts.shape[1], dtype=np.int64)
    for row in counts:
        base = int(row.max()) + 1
        _, numbers = np.unique(numbers * base + row, return_inverse=True)
    n_groups = int(numbers.max()) + 1
    patterns = np.zeros((n_groups, len(counts)), dtype=np.int64)
    patterns[numbers] = counts.T
    return numbers, patterns
