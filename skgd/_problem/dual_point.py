"""Dual variables, one for each row and output, and the terms of the Fenchel dual.

For any ``a_i`` in the domain of the conjugates ``l*``, where ``q = 1/S sum_i s_i a_i (x_i, 1)``::

    min F >= -1/S sum_i s_i l*(y_i, a_i) - penalty*(-q)
"""

import numpy as np
from scipy import sparse

from skgd._problem.row_products import add_centred_products
from skgd._problem.scaled_rows import product_blocks


class DualPoint:
    """Dual variables.

    Parameters
    ----------
    problem : Problem
    values : callable
        Of a slice of rows: their dual variables, of shape (part, n_outputs).
    factors : array of shape (n_outputs,) or float, default=1.0
        What the values are multiplied with.
    """

    def __init__(self, problem, values, factors=1.0):
        self.problem, self.values, self.factors = problem, values, factors
        parts = problem.row_parts()
        self.kept = values(slice(None)) * factors if len(parts) == 1 else None
        self.kept_conjugates = None

    def scaled(self, factors):
        """Return the dual variables times a factor for each output."""
        if np.all(np.equal(factors, 1.0)):
            return self  # with the conjugates that it has taken
        if self.kept is None:
            return DualPoint(self.problem, self.values, self.factors * factors)
        return DualPoint(self.problem, lambda part: self.kept[part], factors)

    def for_problem(self, problem):
        """Return the same dual variables for another loss of the same rows."""
        if problem is self.problem:
            return self
        return DualPoint(problem, self.at)

    def at(self, part=slice(None)):
        """Return the dual variables of a slice of rows, of shape (part, n_outputs)."""
        return self.values(part) * self.factors if self.kept is None else self.kept[part]

    def is_feasible(self):
        """Tell whether all dual variables are in the domain of the loss's conjugate."""
        parts = self.problem.row_parts()
        return all(np.all(np.isfinite(self._conjugates(part))) for part in parts)

    def _conjugates(self, part):
        """Return the conjugates of some rows' losses; rows without weight do not count."""
        if self.kept is None:
            return self._new_conjugates(part)
        if self.kept_conjugates is None:
            self.kept_conjugates = self._new_conjugates(slice(None))
        return self.kept_conjugates[part]

    def _new_conjugates(self, part):
        problem = self.problem
        values = problem.loss.conjugate(problem.signed_targets(part), self.at(part))
        values = values.reshape(len(values), -1)
        return np.where(problem.shares(part)[:, None] > 0, values, 0.0)

    def conjugates(self):
        """Return the mean conjugate of each output, and the mean of its absolute values.

        Those of a softmax, which has one conjugate for all outputs, have the shape (1,).
        """
        problem, mean, size = self.problem, 0.0, 0.0
        for part in problem.row_parts():
            values, share = self._conjugates(part), problem.shares(part)
            mean, size = mean + share @ values, size + share @ np.abs(values)
        return mean, size

    def moments(self):
        """Return each output's weighted mean of the squares and of the absolute values."""
        squares, sizes = 0.0, 0.0
        for part in self.problem.row_parts():
            values, share = self.at(part), self.problem.shares(part)
            squares, sizes = squares + share @ values**2, sizes + share @ np.abs(values)
        return squares, sizes

    def weighted_sums(self, mean, *, with_sizes):
        """Return the weighted sums of centred rows times dual variables, and of their sizes.

        Returns
        -------
        sums, sizes : arrays of shape (n_outputs, n_features + 1)
            Those of the dual variables alone come last. Sizes are sums of absolute values; those of
            the columns are 0 where they are not wanted.
        """
        problem, d = self.problem, self.problem.d
        sums, sizes = np.zeros((problem.k, d + 1)), np.zeros((problem.k, d + 1))
        for part in problem.row_parts():
            weighted = self.at(part) * problem.shares(part)[:, None]
            of_sizes = sizes if with_sizes else None
            _add_products(problem.rows_at(part), weighted, mean, sums, of_sizes)
            sums[:, d] += weighted.sum(axis=0)
            sizes[:, d] += np.abs(weighted).sum(axis=0)
        return sums, sizes


def balancing(up, down):
    """Return the factors of derivatives above and below 0 with which their sums are the same."""
    least = np.minimum(up, down)
    return tuple(np.divide(least, s, out=np.ones(len(s)), where=s > 0) for s in (up, down))


def _add_products(X, weighted, mean, sums, sizes):
    """Add products of centred rows with numbers to sums, and those of absolute values to sizes."""
    d = len(mean)
    if sparse.issparse(X):
        sums[:, :d] += (X.T @ weighted).T - np.outer(weighted.sum(axis=0), mean)
        if sizes is not None:
            sizes[:, :d] += (abs(X).T @ np.abs(weighted)).T
            sizes[:, :d] += np.outer(np.abs(weighted).sum(axis=0), np.abs(mean))
        return
    for part in product_blocks(X):
        if len(sums) == 1:
            _add_products_of_one(X[part], weighted[part, 0], mean, sums, sizes)
            continue
        rows, w = X[part] - mean, weighted[part]
        sums[:, :d] += w.T @ rows
        if sizes is not None:
            sizes[:, :d] += np.abs(w).T @ np.abs(rows)


def _add_products_of_one(rows, weighted, mean, sums, sizes):
    """Do as `_add_products` for a block of dense rows and one output."""
    rows, weighted = np.ascontiguousarray(rows, dtype=float), np.ascontiguousarray(weighted)
    block, size = np.zeros((2, len(mean)))
    add_centred_products(rows, mean, weighted, block, None if sizes is None else size)
    sums[0, :len(mean)] += block
    if sizes is not None:
        sizes[0, :len(mean)] += size
