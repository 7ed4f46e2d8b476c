"""Coordinates in the span of the rows, of as many numbers as there are rows.

Any vector in the span of the rows A is ``v = Q t`` with orthonormal columns Q, and ``A Q`` are the
rows in the coordinates t. Two factorisations give Q.

- QR, ``A' = Q R``, with pivots where the columns of A have different sizes.
- Cholesky with pivots, ``A A' = L L'``, of which the rows ``A_1`` that were chosen first have the
  square factor ``L_1``: ``Q' = L_1^-1 A_1`` and the rows are L. Q is never formed. The products
  square the condition of A, so this serves where the pivots do not fall far. Centred rows sum to
  zero, so that one of them is left over.

References
----------
Higham, Accuracy and Stability of Numerical Algorithms, 2002, chapters 10 and 19.
Cox and Higham, Stability of Householder QR factorization for weighted least squares problems, 1998.
"""

import numpy as np
from scipy import linalg
from scipy.linalg import lapack

from skgd._solvers.costs import RowSpace
from skgd._utils.linalg import one_thread


def span_of(A, *, is_centred, may_use_qr=True):
    """Return the span of rows.

    Parameters
    ----------
    A : array of shape (n_samples, n_features)
    is_centred : bool
        Whether a weighted sum of the rows is zero.

    Returns
    -------
    GramSpan, QRSpan or None
        None where A is not finite, or only QR would do and may not be used.
    """
    sizes = np.maximum(A.max(axis=0), -A.min(axis=0))
    largest = sizes.max()
    if not np.isfinite(largest):
        return None
    is_even = sizes[sizes > 0].min(initial=np.inf) >= RowSpace.even * largest
    with one_thread():
        span = GramSpan.of(A, is_centred) if is_even else None
        if span is None and may_use_qr:
            span = QRSpan.of(A, sizes, pivoting=not is_even)
        return span


class GramSpan:
    """A span by the Cholesky factor of products of rows.

    Attributes
    ----------
    rows : array of shape (n_samples, n_coordinates)
        The rows in the coordinates of the span.
    """

    def __init__(self, A, factor, first):
        self.A, self.first, n_coordinates = A, first, factor.shape[1]
        self.rows = np.empty(factor.shape)
        self.rows[first] = factor
        self.first = first[:n_coordinates]
        self.square = np.asfortranarray(factor[:n_coordinates])

    @classmethod
    def of(cls, A, is_centred):
        """Return the span; None where it has too few digits, or fewer dimensions than it should."""
        n, products = len(A), A @ A.T
        largest = products.diagonal().max()
        if not np.isfinite(largest):
            return None
        rounding = n * np.finfo(float).eps * largest
        factor, order, rank, _ = lapack.dpstrf(products.T, tol=rounding, lower=1, overwrite_a=1)
        pivots = factor.diagonal()[:rank] ** 2
        if rank < n - is_centred or pivots.min(initial=np.inf) < RowSpace.least_pivot * largest:
            return None
        return cls(A, np.tril(factor)[:, :rank], order - 1)

    def coordinates(self, v):
        """Return the coordinates t of the points of the span that are next to vectors v."""
        if not v.any():
            return np.zeros((len(v), len(self.first)))
        return self._solved((v @ self.A.T)[:, self.first], trans=0)

    def vectors(self, t):
        """Return the vectors of coordinates t."""
        factors = np.zeros((len(t), len(self.A)))
        factors[:, self.first] = self._solved(t, trans=1)
        return factors @ self.A

    def _solved(self, t, trans):
        return lapack.dtrtrs(self.square, t.T, lower=1, trans=trans)[0].T


class QRSpan:
    """A span by an orthonormal basis.

    Attributes
    ----------
    rows : array of shape (n_samples, n_coordinates)
    basis : array of shape (n_coordinates, n_features)
        ``Q'``.
    """

    def __init__(self, rows, basis):
        self.rows, self.basis = rows, basis

    @classmethod
    def of(cls, A, sizes, *, pivoting):
        """Return the span of rows, given the sizes of their columns."""
        # Large columns first, and pivots: then each column has its own relative precision.
        order = np.argsort(-sizes, kind="stable")
        Q, R, *pivots = linalg.qr(
            A.T[order], mode="economic", pivoting=pivoting, overwrite_a=True, check_finite=False
        )
        rows, basis = np.empty((len(A), len(R))), np.empty((len(R), len(order)))
        rows[pivots[0] if pivots else slice(None)], basis[:, order] = R.T, Q.T
        # Rows that others span have coordinates of their own, which are rounding alone.
        lengths = linalg.norm(rows, axis=1, check_finite=False)
        known = (np.abs(rows) > len(A) * np.finfo(float).eps * lengths[:, None]).any(axis=0)
        return cls(rows[:, known], basis[known]) if known.any() else cls(rows, basis)

    def coordinates(self, v):
        return v @ self.basis.T

    def vectors(self, t):
        return t @ self.basis
