# cython: language_level=3, cdivision=True
"""Some columns of X, each in one piece in memory, for methods that move one coefficient at a time.

The numbers are doubles; sparse columns keep their zeros implicit.
"""

import numpy as np

from cpython.exc cimport PyErr_CheckSignals
from libc.string cimport memset
from skgd._engine.arrays cimport floats, integers, writeable_floats, writeable_integers

cdef extern from "../_engine/columns.h" nogil:
    double skgd_column_dot(Py_ssize_t n, const double* a, const double* r)
    void skgd_column_add(Py_ssize_t n, double step, const double* a, const double* h, double* r)
    void skgd_column_moments(Py_ssize_t n, const double* a, const double* h, double* first,
                             double* second)
    double skgd_sparse_column_dot(Py_ssize_t m, const Py_ssize_t* row, const double* a,
                                  const double* r)
    void skgd_sparse_column_dots(Py_ssize_t m, const Py_ssize_t* row, const double* a,
                                 const double* r, double* out)
    void skgd_sparse_column_add(Py_ssize_t m, double step, const Py_ssize_t* row, const double* a,
                                const double* h, double* r)
    void skgd_sparse_column_moments(Py_ssize_t m, const Py_ssize_t* row, const double* a,
                                    const double* h, double* first, double* second)

# Numbers that are read between two looks at signals: some 20 ms.
cdef Py_ssize_t SLICE = 1 << 24
# Numbers of a row that `products` takes at once.
cdef enum:
    LANES = 8


cdef class Columns:
    """Columns of X.

    Parameters
    ----------
    data : float64 array
        Of shape (m, n), a column in each row; or of shape (nnz,), the numbers of sparse columns.
    rows : intp array of shape (nnz,) or None, default=None
        The row of each number of sparse columns; a column has at most one in a row.
    starts, stops : intp arrays of shape (m,) or None, default=None
        Where the numbers of each sparse column begin and end.
    n_rows : int, default=0
        The number of rows of sparse columns.

    Attributes
    ----------
    n, m : int
        The numbers of rows and of columns.
    """

    def __init__(self, data, rows=None, starts=None, stops=None, n_rows=0):
        if rows is None:
            self.m, self.n = data.shape
            starts = np.arange(self.m, dtype=np.intp) * self.n
            stops = starts + self.n
        else:
            self.n, self.m = n_rows, len(starts)
            inside = not len(rows) or (rows.min() >= 0 and rows.max() < n_rows)
            ordered = not self.m or (
                starts.min() >= 0 and np.all(starts <= stops) and stops.max() <= len(rows)
            )
            if not (inside and ordered):
                raise ValueError(
                    f"got sparse columns with numbers outside of {n_rows} rows or of the data: "
                    "pass the indices and indptr of a CSC matrix."
                )
            self.row = integers(rows, data.shape)
        self.data, self.owners = floats(data, data.shape), (data, rows, starts, stops)
        self.start, self.stop = integers(starts, (self.m,)), integers(stops, (self.m,))

    def take(self, numbers):
        """Return the columns with given numbers, which are not copied."""
        data, rows, starts, stops = self.owners
        cdef Columns result = Columns.__new__(Columns)
        starts, stops = starts[numbers], stops[numbers]
        result.n, result.m, result.data, result.row = self.n, len(starts), self.data, self.row
        result.owners = data, rows, starts, stops
        result.start = integers(starts, (result.m,))
        result.stop = integers(stops, (result.m,))
        return result

    def at_rows(self, numbers):
        """Return a copy of the columns at some rows.

        Parameters
        ----------
        numbers : intp array of shape (m_rows,)
            Different row numbers.
        """
        cdef Py_ssize_t size = len(numbers), j, e, at = 0, first, total = 0, left = SLICE
        if size and not 0 <= np.min(numbers) <= np.max(numbers) < self.n:
            raise ValueError(f"got row numbers outside of {self.n} rows: pass numbers of rows.")
        place = np.full(self.n, -1, dtype=np.intp)
        place[numbers] = np.arange(size)
        for j in range(self.m):
            total += size if self.row == NULL else self.stop[j] - self.start[j]
        data, rows = np.empty(total), np.empty(total, dtype=np.intp)
        bounds = np.zeros(self.m + 1, dtype=np.intp)
        cdef const Py_ssize_t* new = integers(place, (self.n,))
        cdef const Py_ssize_t* old = integers(numbers, (size,))
        cdef Py_ssize_t* bound = writeable_integers(bounds, (self.m + 1,))
        cdef Py_ssize_t* row = writeable_integers(rows, (total,))
        cdef double* out = writeable_floats(data, (total,))
        with nogil:
            for j in range(self.m):
                first = self.start[j]
                if self.row == NULL:
                    for e in range(size):
                        out[at + e] = self.data[first + old[e]]
                    at += size
                else:
                    for e in range(first, self.stop[j]):
                        if new[self.row[e]] >= 0:
                            row[at], out[at] = new[self.row[e]], self.data[e]
                            at += 1
                bound[j + 1] = at
                left -= size if self.row == NULL else self.stop[j] - first
                if left < 0:
                    left = SLICE
                    with gil:
                        PyErr_CheckSignals()
        if self.row == NULL:
            return Columns(data.reshape(self.m, size))
        return Columns(data[:at], rows[:at], bounds[:-1], bounds[1:], size)

    def gram(self, weights):
        """Return the products of the columns with each other, weighted by rows."""
        return self.group_grams(np.array([0, self.m], dtype=np.intp), weights).reshape(
            self.m, self.m
        )

    def group_grams(self, starts, weights):
        """Return the products of the columns of each group with each other, weighted by rows.

        Parameters
        ----------
        starts : intp array of shape (n_groups + 1,)
            Where the columns of each group begin, and where the last ones end.
        weights : array of shape (n,)

        Returns
        -------
        array of shape (sum_g size_g^2,)
            A matrix after the other.
        """
        sizes = np.diff(starts)
        if np.any(sizes < 0) or starts[0] != 0 or starts[-1] != self.m:
            raise ValueError(f"got {starts!r}: pass where groups of {self.m} columns begin.")
        result, scaled = np.empty(int(np.sum(sizes**2))), np.zeros(self.n)
        cdef Py_ssize_t groups = len(sizes), g, i, j, first, size, left = SLICE
        cdef const Py_ssize_t* start = integers(starts, (groups + 1,))
        cdef const double* h = floats(weights, (self.n,))
        cdef double* out = writeable_floats(result, result.shape)
        cdef double* column = writeable_floats(scaled, (self.n,))
        with nogil:
            for g in range(groups):
                first, size = start[g], start[g + 1] - start[g]
                for j in range(size):
                    self.add(first + j, 1.0, h, column)
                    for i in range(j + 1):
                        out[i * size + j] = out[j * size + i] = self.dot(first + i, column)
                        left -= self.stop[first + i] - self.start[first + i]
                    self.clear(first + j, column)
                    if left < 0:
                        left = SLICE
                        with gil:
                            PyErr_CheckSignals()
                out += size * size
        return result

    @property
    def size(self):
        """The numbers that the columns have in memory."""
        starts, stops = self.owners[2:]
        return int(np.sum(stops - starts))

    cdef double dot(self, Py_ssize_t j, const double* r) noexcept nogil:
        """The sum of a column times numbers of the rows."""
        cdef Py_ssize_t first = self.start[j]
        if self.row == NULL:
            return skgd_column_dot(self.n, self.data + first, r)
        return skgd_sparse_column_dot(
            self.stop[j] - first, self.row + first, self.data + first, r
        )

    cdef void add(self, Py_ssize_t j, double step, const double* h, double* r) noexcept nogil:
        """Add a column, times a step and a weight of each row, to numbers of the rows."""
        cdef Py_ssize_t first = self.start[j]
        if self.row == NULL:
            skgd_column_add(self.n, step, self.data + first, h, r)
        else:
            skgd_sparse_column_add(
                self.stop[j] - first, step, self.row + first, self.data + first, h, r
            )

    cdef void clear(self, Py_ssize_t j, double* r) noexcept nogil:
        """Set numbers of the rows to 0 where a column has numbers."""
        cdef Py_ssize_t e
        if self.row == NULL:
            memset(r, 0, self.n * sizeof(double))
        else:
            for e in range(self.start[j], self.stop[j]):
                r[self.row[e]] = 0.0

    cdef void moments(self, Py_ssize_t j, const double* h, double* first,
                      double* second) noexcept nogil:
        """The weighted sums of a column and of its squares."""
        cdef Py_ssize_t at = self.start[j]
        if self.row == NULL:
            skgd_column_moments(self.n, self.data + at, h, first, second)
        else:
            skgd_sparse_column_moments(
                self.stop[j] - at, self.row + at, self.data + at, h, first, second
            )

    def times(self, coef):
        """Return the sum of the columns, each times a coefficient."""
        result, ones = np.zeros(self.n), np.ones(self.n)
        cdef const double* w = floats(coef, (self.m,))
        cdef const double* one = floats(ones, (self.n,))
        cdef double* z = writeable_floats(result, (self.n,))
        cdef Py_ssize_t j, left = SLICE
        with nogil:
            for j in range(self.m):
                if w[j] != 0.0:
                    self.add(j, w[j], one, z)
                    left -= self.stop[j] - self.start[j]
                if left < 0:
                    left = SLICE
                    with gil:
                        PyErr_CheckSignals()
        return result

    def transposed_times(self, numbers):
        """Return the sum of each column times numbers of the rows."""
        result = np.empty(self.m)
        cdef const double* r = floats(numbers, (self.n,))
        cdef double* q = writeable_floats(result, (self.m,))
        cdef Py_ssize_t j, left = SLICE
        with nogil:
            for j in range(self.m):
                q[j] = self.dot(j, r)
                left -= self.stop[j] - self.start[j]
                if left < 0:
                    left = SLICE
                    with gil:
                        PyErr_CheckSignals()
        return result

    def products(self, numbers):
        """Return the sums of each sparse column times several numbers of the rows.

        Parameters
        ----------
        numbers : array of shape (n, k)

        Returns
        -------
        array of shape (m, k)
            In Fortran order.
        """
        if self.row == NULL:
            raise ValueError("got dense columns: multiply the matrices.")
        k = numbers.shape[1]
        result = np.empty((self.m, k), order="F")
        cdef const double* r
        cdef double* q
        cdef Py_ssize_t j, first, left = SLICE
        for start in range(0, k, LANES):
            part = numbers[:, start:start + LANES]
            several, sums = np.zeros((self.n, LANES)), np.empty((self.m, LANES))
            several[:, :part.shape[1]] = part
            r, q = floats(several, (self.n, LANES)), writeable_floats(sums, (self.m, LANES))
            with nogil:
                for j in range(self.m):
                    first = self.start[j]
                    skgd_sparse_column_dots(
                        self.stop[j] - first, self.row + first, self.data + first, r, q + LANES * j
                    )
                    left -= self.stop[j] - first
                    if left < 0:
                        left = SLICE
                        with gil:
                            PyErr_CheckSignals()
            result[:, start:start + LANES] = sums[:, :part.shape[1]]
        return result

    def weighted_moments(self, weights):
        """Return the weighted sums of each column and of its squares."""
        first, second = np.empty(self.m), np.empty(self.m)
        cdef const double* h = floats(weights, (self.n,))
        cdef double* s = writeable_floats(first, (self.m,))
        cdef double* t = writeable_floats(second, (self.m,))
        cdef Py_ssize_t j, left = SLICE
        with nogil:
            for j in range(self.m):
                self.moments(j, h, s + j, t + j)
                left -= self.stop[j] - self.start[j]
                if left < 0:
                    left = SLICE
                    with gil:
                        PyErr_CheckSignals()
        return first, second
