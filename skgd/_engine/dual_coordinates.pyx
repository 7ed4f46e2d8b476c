# cython: language_level=3, cdivision=True
"""Sweeps over the dual variables of single rows, the loops of dual coordinate descent.

With the dual variables u, their sums ``v = sum_i u_i x_i - offset`` and ``U = sum_i u_i``, the
mean m, the penalty delta and the curvature rho of the intercept's proximal term, the margin of row
i is::

    z_i = -(x_i - m)'(v - U m) / delta + b - rho U

X is centred without being filled: only products with m are kept. A loss is
``max over low <= a <= high of a (z - position) - band |a| - ridge a^2 / 2``. The variable of row i
goes to its own minimum, ``u_i = clip(soft(u_i - g_i / Q_i, band / Q_i), low_i, high_i)`` with
``g_i = position_i - z_i + ridge_i u_i`` and ``Q_i = |x_i - m|^2 / delta + rho + ridge_i``.
"""

import numpy as np

from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport INFINITY, fabs

from skgd._engine.arrays cimport floats, writeable_floats, writeable_integers
from skgd._engine.rows cimport DenseRows, Rows, SparseRows

cdef extern from "dual.h" nogil:
    double skgd_row_dot_f64(Py_ssize_t d, const void* row, const double* w)
    double skgd_row_dot_f32(Py_ssize_t d, const void* row, const double* w)
    double skgd_row_square_f64(Py_ssize_t d, const void* row)
    double skgd_row_square_f32(Py_ssize_t d, const void* row)
    void skgd_row_add_f64(Py_ssize_t d, const void* row, double c, double* v)
    void skgd_row_add_f32(Py_ssize_t d, const void* row, double c, double* v)

cdef enum:
    AHEAD = 4  # rows between a prefetch and its use
    SLICE = 16_777_216  # numbers of X that are read between two looks for signals


cdef class SingleRows:
    """Rows of X one by one: products, sums and squared lengths.

    Parameters
    ----------
    rows : Rows
        Dense rows must have their numbers side by side.
    """

    cdef Rows rows
    cdef DenseRows dense
    cdef SparseRows csr
    cdef bint is_sparse, is_single
    cdef readonly Py_ssize_t n, d

    def __init__(self, Rows rows not None):
        self.rows, self.n, self.d = rows, rows.n, rows.d
        self.is_sparse = isinstance(rows, SparseRows)
        if self.is_sparse:
            self.csr = rows
            self.is_single = self.csr.itemsize == 4
            return
        self.dense = rows
        if self.dense.packed:
            raise ValueError("X: pass rows in C order.")
        self.is_single = self.dense.column_stride == 4

    cdef inline Py_ssize_t size(self, Py_ssize_t i) noexcept nogil:
        return self.csr.start(i + 1) - self.csr.start(i) if self.is_sparse else self.d

    cdef inline void prefetch(self, Py_ssize_t i) noexcept nogil:
        if self.is_sparse:
            self.csr.prefetch(i)

    cdef inline const void* address(self, Py_ssize_t i) noexcept nogil:
        return self.dense.base + i * self.dense.row_stride

    cdef inline double dot(self, Py_ssize_t i, const double* w) noexcept nogil:
        if self.is_sparse:
            return self.csr.kernels.dot(self.csr.data, self.csr.indices, self.csr.start(i),
                                        self.csr.start(i + 1), w)
        if self.is_single:
            return skgd_row_dot_f32(self.d, self.address(i), w)
        return skgd_row_dot_f64(self.d, self.address(i), w)

    cdef inline void add(self, Py_ssize_t i, double c, double* v) noexcept nogil:
        if self.is_sparse:
            self.csr.kernels.add(self.csr.data, self.csr.indices, self.csr.start(i),
                                 self.csr.start(i + 1), c, v)
        elif self.is_single:
            skgd_row_add_f32(self.d, self.address(i), c, v)
        else:
            skgd_row_add_f64(self.d, self.address(i), c, v)

    cdef inline double square(self, Py_ssize_t i) noexcept nogil:
        cdef const char* row
        if self.is_sparse:
            row = <const char*>self.csr.data + self.csr.start(i) * self.csr.itemsize
        else:
            row = <const char*>self.address(i)
        if self.is_single:
            return skgd_row_square_f32(self.size(i), row)
        return skgd_row_square_f64(self.size(i), row)

    cdef inline int spend(self, Py_ssize_t i, Py_ssize_t* left) except -1 nogil:
        """Take a row's numbers off the rest of a slice; look for signals at its end."""
        left[0] -= self.size(i)
        if left[0] < 0:
            left[0] = SLICE
            with gil:
                PyErr_CheckSignals()
        return 0

    def squares(self):
        """Return the squared length of each row."""
        result = np.empty(self.n)
        cdef double* out = writeable_floats(result, (self.n,))
        cdef Py_ssize_t i, left = SLICE
        with nogil:
            for i in range(self.n):
                self.spend(i, &left)
                out[i] = self.square(i)
        return result

    def products(self, vector):
        """Return the product of each row with a vector of shape (n_features,)."""
        result = np.empty(self.n)
        cdef double* out = writeable_floats(result, (self.n,))
        cdef const double* w = floats(vector, (self.d,))
        cdef Py_ssize_t i, left = SLICE
        with nogil:
            for i in range(self.n):
                self.spend(i, &left)
                out[i] = self.dot(i, w)
        return result

    def sums(self, factors):
        """Return the sum of the rows times factors of shape (n_samples,)."""
        result = np.zeros(self.d)
        cdef double* v = writeable_floats(result, (self.d,))
        cdef const double* f = floats(factors, (self.n,))
        cdef Py_ssize_t i, left = SLICE
        with nogil:
            for i in range(self.n):
                if f[i] != 0.0:
                    self.spend(i, &left)
                    self.add(i, f[i], v)
        return result


cdef inline (double, double) derivatives(double g, double u, double low, double high,
                                         double band) noexcept nogil:
    """Return the objective's right and left derivative along u; no way out of the bounds.

    The right one is infinite at the upper bound, the left one minus infinity at the lower one.
    """
    return (INFINITY if u >= high else g + (band if u >= 0.0 else -band),
            -INFINITY if u <= low else g + (band if u > 0.0 else -band))


cdef class DualCoordinates:
    """The dual variables of the rows for one output.

    Parameters
    ----------
    rows : SingleRows
    position, low, high, band, ridge : array of shape (n_samples,)
        The terms of the loss; low and high are times the row's share, ridge is divided by it.
    mean_products, curvature : array of shape (n_samples,)
        Products of the rows with the mean, and Q.
    penalty, mean_square, rho : float
        delta, the squared length of the mean, and the curvature of the intercept.

    Attributes
    ----------
    dual : array of shape (n_samples,)
        u.
    sums : array of shape (n_features,)
        v.
    total, mean_sum, intercept : float
        U, the product of the mean and v, and b.
    """

    cdef SingleRows rows
    cdef tuple arrays
    cdef const double* position
    cdef const double* low
    cdef const double* high
    cdef const double* band
    cdef const double* ridge
    cdef const double* mean_products
    cdef const double* curvature
    cdef double penalty, mean_square, rho
    cdef readonly object dual, sums
    cdef double* u
    cdef double* v
    cdef public double total, mean_sum, intercept

    def __init__(self, SingleRows rows not None, position, low, high, band, ridge,
                 mean_products, curvature, *, double penalty, double mean_square, double rho):
        cdef Py_ssize_t n = rows.n
        self.rows = rows
        self.arrays = position, low, high, band, ridge, mean_products, curvature
        self.position, self.low = floats(position, (n,)), floats(low, (n,))
        self.high, self.band = floats(high, (n,)), floats(band, (n,))
        self.ridge = floats(ridge, (n,))
        self.mean_products = floats(mean_products, (n,))
        self.curvature = floats(curvature, (n,))
        self.penalty, self.mean_square, self.rho = penalty, mean_square, rho
        self.dual, self.sums = np.zeros(n), np.zeros(rows.d)
        self.u = writeable_floats(self.dual, (n,))
        self.v = writeable_floats(self.sums, (rows.d,))

    cdef inline double margin(self, Py_ssize_t i) noexcept nogil:
        cdef double along = (self.rows.dot(i, self.v) - self.total * self.mean_products[i]
                             - self.mean_sum + self.total * self.mean_square)
        return self.intercept - self.rho * self.total - along / self.penalty

    cdef inline double step(self, Py_ssize_t i, double g) noexcept nogil:
        """Return the value at which the objective is least along the variable of row i."""
        cdef double length = 1.0 / self.curvature[i], shrunk = self.band[i] * length
        cdef double goal = self.u[i] - g * length
        goal = goal - shrunk if goal > shrunk else goal + shrunk if goal < -shrunk else 0.0
        return min(max(goal, self.low[i]), self.high[i])

    def sweep(self, order, Py_ssize_t n_active, double threshold):
        """Take a step along each of the first n_active rows of an order.

        Rows whose variables press against a bound by more than the threshold are left out from now
        on: they go to the end of the order.

        Returns
        -------
        n_active : int
        violation : float
            The largest derivative along which a variable could move.
        decrease : float
            What the steps have taken off the dual objective that is minimised.
        """
        cdef Py_ssize_t* row = writeable_integers(order, (self.rows.n,))
        cdef Py_ssize_t i, k = 0, left = SLICE, active = n_active
        cdef double g, right, down, away, goal, change, violation = 0.0, decrease = 0.0
        if not 0 <= n_active <= self.rows.n:
            raise ValueError(f"n_active={n_active}: pass a number from 0 to {self.rows.n}.")
        if n_active and not 0 <= order[:n_active].min() <= order[:n_active].max() < self.rows.n:
            raise ValueError(f"order: pass row numbers from 0 to {self.rows.n - 1}.")
        with nogil:
            while k < active:
                i = row[k]
                if k + AHEAD < active:
                    self.rows.prefetch(row[k + AHEAD])
                self.rows.spend(i, &left)
                g = self.position[i] - self.margin(i) + self.ridge[i] * self.u[i]
                right, down = derivatives(g, self.u[i], self.low[i], self.high[i], self.band[i])
                if right > threshold and down < -threshold:
                    active -= 1
                    row[k], row[active] = row[active], i
                    continue
                k += 1
                away = max(-right, down)
                if not away > 0.0:
                    continue
                violation = max(violation, away)
                goal = self.step(i, g)
                change = goal - self.u[i]
                if change != 0.0:
                    decrease -= (g + 0.5 * self.curvature[i] * change) * change
                    decrease += self.band[i] * (fabs(self.u[i]) - fabs(goal))
                    self.u[i] = goal
                    self.rows.add(i, change, self.v)
                    self.total += change
                    self.mean_sum += change * self.mean_products[i]
        return active, violation, decrease

    def settle(self, mean):
        """Compute U and the product of the mean and v again, which rounding has moved."""
        self.total, self.mean_sum = float(np.sum(self.dual)), float(self.sums @ mean)

    def margins(self):
        """Return the margins of all rows without the intercept's part."""
        result = self.rows.products(self.sums)
        result -= self.total * self.arrays[5]
        result -= self.mean_sum - self.total * self.mean_square
        result /= -self.penalty
        return result

    def activate(self, order, margins, double threshold):
        """Put the rows whose variables may move at given margins first.

        Parameters
        ----------
        order : intp array of shape (n_samples,)
            Changed in place.
        margins : array of shape (n_samples,)
            What `margins` returns.
        threshold : float
            As for `sweep`.

        Returns
        -------
        n_active : int
        violation : float
        """
        cdef Py_ssize_t n = self.rows.n, i, active = 0, inactive = n
        cdef Py_ssize_t* row = writeable_integers(order, (n,))
        cdef const double* z = floats(margins, (n,))
        cdef double g, right, down, violation = 0.0, b = self.intercept - self.rho * self.total
        with nogil:
            for i in range(n):
                g = self.position[i] - z[i] - b + self.ridge[i] * self.u[i]
                right, down = derivatives(g, self.u[i], self.low[i], self.high[i], self.band[i])
                if right > threshold and down < -threshold:
                    inactive -= 1
                    row[inactive] = i
                else:
                    row[active] = i
                    active += 1
                violation = max(violation, -right, down)
        return active, violation


def weighted_quantile(points, weights, double level):
    """Return the smallest point up to which the weights of all points add up to a level.

    Parameters
    ----------
    points, weights : array of shape (n,)
        Weights are at least 0. The largest point is returned where they add up to less.
    level : float
    """
    cdef Py_ssize_t n = len(points), first = 0, stop = n, i, less, more
    if not n:
        raise ValueError("points: pass at least one.")
    points, weights = np.array(points, dtype=float), np.array(weights, dtype=float)
    cdef double* p = writeable_floats(points, (n,))
    cdef double* w = writeable_floats(weights, (n,))
    cdef double below = 0.0, under, equal, pivot = p[0]
    with nogil:
        while first < stop:
            pivot = middle(p[first], p[first + (stop - first) // 2], p[stop - 1])
            # Smaller points go before `less`, larger ones from `more` on.
            less, more, i, under, equal = first, stop, first, 0.0, 0.0
            while i < more:
                if p[i] < pivot:
                    under += w[i]
                    swap(p, w, i, less)
                    less += 1
                    i += 1
                elif p[i] > pivot:
                    more -= 1
                    swap(p, w, i, more)
                else:
                    equal += w[i]
                    i += 1
            if less > first and below + under >= level:
                stop = less
            elif below + under + equal >= level:
                break
            else:
                below += under + equal
                first = more
    return pivot


cdef inline void swap(double* p, double* w, Py_ssize_t i, Py_ssize_t j) noexcept nogil:
    p[i], p[j] = p[j], p[i]
    w[i], w[j] = w[j], w[i]


cdef inline double middle(double a, double b, double c) noexcept nogil:
    return max(min(a, b), min(max(a, b), c))
