"""Columns of the rows of many folds: the gradients of all columns at once, Gram matrices of a few.

With the shares s_i of the rows of a fold, their means mu and scales d of the columns, the columns
``z_ij = (x_ij - mu_j) / d_j`` have the products

    c_j = sum_i s_i z_ij r_i,        H_jk = sum_i s_i z_ij z_ik

with residuals r and with one another. The products with the residuals of all folds take one pass
over X. The Gram matrix of dense columns grows: few are ever asked for. They are copied, centred by
the fold's own means, so that nothing cancels. Sparse columns have no Gram matrix: they are centred
in the products.
"""

from functools import cached_property

import numpy as np
from scipy import sparse

from skgd._problem.column_store import sparse_columns
from skgd._problem.fold_grams import loses_digits, usual_steps
from skgd._problem.moments import Moments
from skgd._problem.scaled_rows import row_blocks

# The squared mean of a sparse column, in units of its variance, up to which it is centred so.
FAR = 1e4


class FoldColumns:
    """The columns of X, for regressions on one target.

    Parameters
    ----------
    X : array or CSR matrix of shape (n_samples, n_features)
    rows : Rows
        The engine's view of X.
    target : array of shape (n_samples,)
    """

    def __init__(self, X, rows, target):
        self.X, self.rows, self.target = X, rows, target
        self.is_sparse = sparse.issparse(X)
        if self.is_sparse:
            self.by_column = X.tocsc().astype(float, copy=False)
            self.sparse = sparse_columns(self.by_column)

    def products(self, residuals):
        """Return the sums over the rows of each column times residuals of shape (n_samples, k)."""
        if self.is_sparse:
            return self.sparse.products(residuals)
        if self.X.dtype == np.float64:
            return (np.ascontiguousarray(residuals.T) @ self.X).T
        total = np.zeros((self.X.shape[1], residuals.shape[1]))
        for part in row_blocks(*self.X.shape):
            total += self.X[part].astype(float).T @ residuals[part]
        return total

    def folds(self, weights, *, centred, map_jobs=map):
        """Return the columns as folds see them, or None for a fold where they are out of range.

        Parameters
        ----------
        weights : list of arrays of shape (n_samples,), or None
        centred : bool
            Whether about the means, or about 0.
        map_jobs : callable
            Returns the results of a function for each of some jobs.
        """
        known = self._sparse_moments(weights) if self.is_sparse else [None] * len(weights)

        def view(job):
            each, moments = job
            moments = Moments.of(self.rows, each) if moments is None else moments
            if not np.isfinite(moments.variance(about_mean=centred)).all():
                return None
            return FoldView(self, each, moments, centred)

        return list(map_jobs(view, list(zip(weights, known, strict=True))))

    def _sparse_moments(self, weights):
        """Return the moments of each fold, from sums that are taken together; None for some."""
        n = len(self.target)
        weights = np.column_stack([np.ones(n) if each is None else each for each in weights])
        X = self.by_column
        squares = sparse.csc_matrix((X.data**2, X.indices, X.indptr), shape=X.shape)
        sums = weights.sum(axis=0)
        means, squares = self.sparse.products(weights) / sums, squares.T @ weights
        found = []
        for total, mean, square in zip(sums, means.T, squares.T, strict=True):
            deviation = np.maximum(square - total * mean**2, 0.0)
            # Elsewhere the difference has too few digits.
            is_known = np.all(deviation * FAR >= total * mean**2)
            found.append(Moments(total, mean, deviation) if is_known else None)
        return found


class FoldView:
    """The columns in the scales of a fold, and those that were asked for.

    Attributes
    ----------
    weight : float
    mean, scale : array of shape (n_features,)
        The scale of a constant column is 0.
    target_mean, target_square : float
        The second about the first.
    numbers : array of int of shape (m,)
        Of the columns that were asked for, in the order in which they came.
    gram : array of shape (m, m)
        Of dense columns.
    cross : array of shape (m,)
        Their products with the target.
    """

    def __init__(self, columns, weights, moments, centred):
        self.columns, n = columns, len(columns.target)
        self.is_centred, self.is_sparse = centred, columns.is_sparse
        self.weight, scale = moments.weight, np.sqrt(moments.variance(about_mean=centred))
        self.scale, self.mean = scale, moments.mean if centred else np.zeros(len(scale))
        self.inverse = np.divide(1.0, scale, out=np.zeros(len(scale)), where=scale > 0)
        self.samples = np.arange(n) if weights is None else np.flatnonzero(weights)
        weights = np.ones(n) if weights is None else weights[self.samples]
        self.shares, target = weights / weights.sum(), columns.target[self.samples]
        self.target_mean = float(self.shares @ target) if centred else 0.0
        self.target = target - self.target_mean
        self.target_square = float(self.shares @ self.target**2)
        self.numbers, self.gram = np.empty(0, dtype=np.intp), np.empty((0, 0))
        self.cross, self.steps = np.empty(0), np.empty(0)
        self.kept = np.empty((0, len(self.samples)))

    def extend(self, new):
        """Ask for more columns, with given numbers.

        Raises
        ------
        FloatingPointError
            Where that would lose digits.
        """
        m, numbers = len(self.numbers), np.concatenate([self.numbers, new])
        if self.is_sparse:
            if np.any((self.mean[new] * self.inverse[new]) ** 2 > FAR):
                raise FloatingPointError("Sparse columns are too far from 0 to be centred.")
            self.numbers = numbers
            return
        block, cross, steps = self._dense_products(new)
        gram = np.empty((len(numbers), len(numbers)))
        gram[:m, :m], gram[:, m:], gram[m:, :m] = self.gram, block, block[:m].T
        self.gram, self.numbers = gram, numbers
        self.cross, self.steps = np.append(self.cross, cross), np.append(self.steps, steps)
        if loses_digits(self.gram, self.steps):
            raise FloatingPointError("Few rows hide the others.")

    def _dense_products(self, new):
        part = self.columns.X[np.ix_(self.samples, new)].T.astype(float)
        part -= self.mean[new][:, None]
        part *= self.inverse[new][:, None]
        self._keep(part)
        kept = self.kept[:len(self.numbers) + len(new)]
        steps = usual_steps(part.T)
        part *= self.shares
        return kept @ part.T, part @ self.target, steps

    def _keep(self, part):
        count = len(self.numbers) + len(part)
        if count > len(self.kept):
            kept = np.empty((max(count, 2 * len(self.kept)), len(self.samples)))
            kept[:len(self.numbers)] = self.kept[:len(self.numbers)]
            self.kept = kept
        self.kept[len(self.numbers):count] = part

    def sparse(self):
        """Return the sparse columns that were asked for, as `Columns`."""
        return self.columns.sparse.take(self.numbers)

    def gram_of(self, numbers):
        """Return the Gram matrix of a few sparse columns, filled, and their products with y."""
        part = self.columns.by_column[:, numbers].toarray()[self.samples]
        part -= self.mean[numbers]
        part *= self.inverse[numbers]
        weighted = part * self.shares[:, None]
        return part.T @ weighted, self.target @ weighted

    @cached_property
    def row_shares(self):
        """The shares of all rows, 0 for those of other folds."""
        shares = np.zeros(len(self.columns.target))
        shares[self.samples] = self.shares
        return shares

    def residuals(self, x):
        """Return the residuals of a model and their products with the shares.

        Parameters
        ----------
        x : array of shape (m,)
            The scaled coefficients of the columns that were asked for.

        Returns
        -------
        square : float
            The mean square of the residuals.
        weighted : array of shape (n_samples,)
            The residuals times the shares of their rows.
        """
        used = np.flatnonzero(x)
        numbers = self.numbers[used]
        if self.is_sparse:
            coef = x[used] * self.inverse[numbers]
            margins = self.columns.sparse.take(numbers).times(coef)[self.samples]
            margins -= self.mean[numbers] @ coef
        else:
            margins = x[used] @ self.kept[used]
        rest, weighted = self.target - margins, np.zeros(len(self.columns.target))
        weighted[self.samples] = self.shares * rest
        return float(self.shares @ rest**2), weighted

    def slopes(self, products, weighted):
        """Return the products of the scaled columns with residuals, from those of raw columns."""
        return (products - self.mean * weighted.sum()) * self.inverse

