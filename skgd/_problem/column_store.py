"""The columns of X for coordinate descent: those of sparse rows at once, dense ones as needed."""

import numpy as np
from scipy import sparse

from skgd._problem.columns import Columns
from skgd._problem.scaled_rows import BLOCK


def sparse_columns(X):
    """Return the columns of a CSC matrix, as doubles, which are copied only from other types."""
    bounds = X.indptr.astype(np.intp)
    return Columns(
        X.data.astype(float, copy=False), X.indices.astype(np.intp),
        np.ascontiguousarray(bounds[:-1]), np.ascontiguousarray(bounds[1:]), X.shape[0],
    )  # fmt: skip


class ColumnStore:
    """Columns of X as doubles, each in one piece.

    Parameters
    ----------
    X : array or CSR matrix of shape (n_samples, n_features)
    mean : array of shape (n_features,)
        What dense columns are centred with. Sparse ones stay as they are.

    Attributes
    ----------
    is_centred : bool
    """

    def __init__(self, X, mean):
        self.X, self.mean, self.is_centred = X, mean, not sparse.issparse(X)
        if not self.is_centred:
            self.columns = sparse_columns(X.tocsc())
            return
        self.kept, self.count = np.empty((0, X.shape[0])), 0
        self.place = np.full(X.shape[1], -1, dtype=np.intp)
        self.columns = None

    def take(self, numbers):
        """Return the columns with given numbers."""
        if not self.is_centred:
            return self.columns.take(numbers)
        new = numbers[self.place[numbers] < 0]
        if len(new) or self.columns is None:
            self._copy(new)
        return self.columns.take(self.place[numbers])

    def _copy(self, new):
        count = self.count + len(new)
        if count > len(self.kept):
            kept = np.empty((min(max(count, 2 * len(self.kept)), self.X.shape[1]), len(self.X)))
            kept[:self.count] = self.kept[:self.count]
            self.kept = kept
        self.place[new] = np.arange(self.count, count)
        np.subtract(self.X[:, new].T, self.mean[new][:, None], out=self.kept[self.count:count])
        self.count = count
        self.columns = Columns(self.kept)

    def gram(self, numbers, weights):
        """Return the products of dense columns with each other, weighted by rows."""
        rows, place = np.flatnonzero(weights), self.place[numbers]
        roots, result = np.sqrt(weights[rows]), np.zeros((len(numbers), len(numbers)))
        step = max(64, BLOCK // max(1, len(numbers)))
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            block = self.kept[np.ix_(place, rows[part])] * roots[part]
            result += block @ block.T
        return result
