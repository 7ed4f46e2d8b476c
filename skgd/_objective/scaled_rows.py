"""Rows of X in the coordinates of a metric, in blocks that stay in cache."""

import numpy as np
from scipy import sparse

# Numbers of X that are copied at a time.
BLOCK = 2**17


class Scaled:
    """Rows in the coordinates of a metric; sparse ones are centred without being filled.

    Parameters
    ----------
    X : array or CSR matrix of shape (n_rows, n_features)
    mean : array of shape (n_features,)
    scale : array of shape (n_parameters,)
        What the centred columns are multiplied with, and the intercept's if there is one.
    """

    def __init__(self, X, mean, scale):
        self.X, self.mean, self.scale, self.zeros = X, mean, scale, 0.0
        if not sparse.issparse(X):
            # Explicitly, for the sake of columns far from zero.
            self.X, self.mean, self.zeros = X - mean, np.zeros(len(mean)), -mean

    @property
    def _intercept(self):
        return self.scale[len(self.mean):]

    def only(self, rows):
        return Scaled(self.X[rows], self.mean, self.scale)

    def times(self, v):
        """Return the rows times the parameters v."""
        d = len(self.mean)
        v = (v.T * self.scale).T
        return self.X @ v[:d] + v[d:].sum(axis=0) - self.mean @ v[:d]

    def transposed(self, r):
        """Return the transposed rows times r."""
        centred = self.X.T @ r - self.mean * r.sum()
        return np.append(centred, np.full(len(self._intercept), r.sum())) * self.scale

    def squares(self):
        """Return the squared length of each row."""
        d, square = len(self.mean), self.scale**2
        squared = self.X.multiply(self.X) if sparse.issparse(self.X) else self.X**2
        filled = squared @ square[:d] - 2.0 * (self.X @ (self.mean * square[:d]))
        return filled + self.mean**2 @ square[:d] + square[d:].sum()

    def seen(self):
        """Return the share of the rows in which each parameter plays a part."""
        n = self.X.shape[0]
        if sparse.issparse(self.X):
            nonzero = np.bincount(self.X.indices, minlength=self.X.shape[1])
        else:
            nonzero = (self.X != self.zeros).sum(axis=0)
        return np.append(nonzero / n, np.ones(len(self._intercept)))


def blocks_of_rows(n_rows, n_features):
    """Return slices of rows of which a dense copy is small."""
    step = max(64, BLOCK // n_features)
    return [slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]


def parts_of(X):
    """Return slices of rows for products with other matrices: one slice of a sparse X."""
    return [slice(0, X.shape[0])] if sparse.issparse(X) else blocks_of_rows(*X.shape)


def margins(X, coef, intercept):
    """Return the margins of all rows, of shape (n_samples, n_outputs)."""
    result = np.empty((X.shape[0], len(coef)))
    for part in parts_of(X):
        result[part] = X[part] @ coef.T + intercept
    return result


def gram(scaled, weights):
    """Return the weighted product of rows with themselves.

    Parameters
    ----------
    scaled : callable
        Returns the rows times factors.
    weights : array of shape (m,)
    """
    rows = scaled(np.sqrt(np.abs(weights)))
    negative = weights < 0
    if not negative.any():
        return rows.T @ rows
    return rows[~negative].T @ rows[~negative] - rows[negative].T @ rows[negative]


def standardised(X, rows, mean, scale):
    """Return the rows as a dense copy in standardised columns, with one for the intercept."""
    d = X.shape[1]
    result = np.empty((len(rows), len(scale)))
    for part in blocks_of_rows(len(rows), d):
        block = X[rows[part]]
        result[part, :d] = (block.toarray() if sparse.issparse(block) else block) - mean
    result[:, d:] = 1.0
    result *= scale
    return result
