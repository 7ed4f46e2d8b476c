# cython: language_level=3, cdivision=True
"""Sweeps of update steps whose noise dies out: SVRG and SAGA."""

import numpy as np

from skgd._engine.rows import chunk_starts

from libc.string cimport memset

from skgd._arrays cimport integers, writeable_floats
from skgd._engine.problem cimport Problem
from skgd._engine.rows cimport AHEAD, DenseRows, Workspace, skgd_coming, skgd_prefetch
from skgd._engine.sweep cimport Sweep

cdef extern from "../_vector.h" nogil:
    void skgd_axpy(Py_ssize_t n, double a, const double* x, double* y)

cdef extern from "dense.h" nogil:
    void skgd_dot_f64(const char** rows, Py_ssize_t m, Py_ssize_t d, const double* w, double* z,
                      skgd_coming* coming)

cdef extern from "steps.h" nogil:
    void skgd_reduced_step(Py_ssize_t d, const double* x, const double* a, double rate, double c,
                           double trust, double share, double l2, double* g, double* w)


cdef class ReducedSweep(Sweep):
    """Update steps along estimates of the gradient whose noise dies out near the minimum.

    A slope of the loss is remembered for each row and output, and the gradient that these slopes
    make together. The estimate is a batch's gradient of the changes since, plus that gradient.

    Parameters
    ----------
    every : int
        The epochs from one time to the next that the slopes of all rows are taken anew (SVRG); 0
        for slopes that are taken anew when their row is visited (SAGA).
    others
        As for `Sweep`.
    """

    cdef readonly object known, total
    cdef double n  # the rows that count
    cdef Py_ssize_t every
    cdef Py_ssize_t age  # epochs since all slopes were taken; -1 at the beginning
    cdef bint filling  # whether it is the first epoch of a descent from zero
    cdef double* slope  # (n, k)
    cdef double* gradient  # (k, p), for raw columns

    def __init__(self, Py_ssize_t every, *arguments):
        Sweep.__init__(self, *arguments)
        self.make_room()
        self.every, self.age, self.n_threads = every, -1, 1
        self.n = self.weight_scale * self.problem.weight_sum
        self.known = np.zeros((self.problem.n, self.k))
        self.total = np.zeros((self.k, self.p))
        self.slope = writeable_floats(self.known, self.known.shape)
        self.gradient = writeable_floats(self.total, self.total.shape)

    def begin_epoch(self):
        """Take the slopes of all rows anew where it is time; return the passes that this took.

        A descent that begins at zero knows nothing yet: its first epoch is plain gradient descent.
        """
        if self.age < 0:
            renews = np.any(self.owners[0][:, :self.d])
            self.filling = not renews
        else:
            renews = self.every and (self.filling or self.age == self.every)
            self.filling = False
        self.age = 1 if renews or self.age < 0 else self.age + 1
        if not renews:
            return 0
        self.known[:] = self.total[:] = 0.0
        starts = chunk_starts(self.problem.rows, self.problem.n)
        for start in starts:
            rows = np.arange(start, min(start + starts.step, self.problem.n), dtype=np.intp)
            self.look_at(rows)
        return 1

    cdef int look_at(self, rows) except -1:
        """Take the slopes of some rows anew."""
        cdef Py_ssize_t m = len(rows)
        cdef const Py_ssize_t* index = integers(rows, (m,))
        with nogil:
            self.changes(self.problem, self.space, index, m, m, self.weight_scale / m, True)
            skgd_axpy(self.k * self.p, m / self.n, self.g, self.gradient)
        return 0

    cdef int changes(self, Problem p, Workspace space, const Py_ssize_t* index,
                     Py_ssize_t size, Py_ssize_t known, double factor,
                     bint renews) except -1 nogil:
        """Set g to the mean gradient of the changes of some rows' slopes."""
        cdef Py_ssize_t i = 0, j, m, c
        cdef double unused = 0.0, fresh
        cdef double* slope
        cdef double* total = self.g + self.d if self.fit_intercept else &unused
        memset(self.g, 0, self.k * self.p * sizeof(double))
        space.point(0, self.k, self.w, self.p, self.g, self.p)
        while i < size:
            m = min(size - i, p.rows.block)
            p.expect(index + i + m, min(p.rows.block, known - i - m), space)
            space.forget()
            p.rows.dot(index + i, m, space)
            p.prepare(index + i, m, space, 0, self.offset)
            p.loss.gradient(self.k, m, space.y, space.z, space.c)
            for j in range(m):
                slope = self.slope + index[i + j] * self.k
                for c in range(self.k):
                    fresh = space.c[c * m + j]
                    space.c[c * m + j] = fresh - slope[c]
                    slope[c] = fresh if renews else slope[c]
            p.weigh(m, space, 0, factor, total, self.p if self.fit_intercept else 0)
            p.rows.add(index + i, m, space)
            i += m
        return 0

    cdef int batch(self, const Py_ssize_t* index, Py_ssize_t size, Py_ssize_t known,
                   Py_ssize_t number) except -1 nogil:
        cdef Py_ssize_t j
        cdef double change, share = size / self.n if self.every == 0 else 0.0
        self.changes(self.problem, self.space, index, size, known, self.weight_scale / size,
                     self.every == 0)
        for j in range(self.k * self.p):
            change = self.g[j]
            self.g[j] += 0.0 if self.filling else self.gradient[j]
            self.gradient[j] += share * change
        return 0

    cdef bint takes_tiles(self):
        return False

    cdef bint goes_row_by_row(self):
        return isinstance(self.problem.rows, DenseRows) and Sweep.goes_row_by_row(self)

    cdef int dense_steps(self, Problem p, DenseRows rows, const Py_ssize_t* row,
                         Py_ssize_t n_steps, const double* rate, Py_ssize_t width,
                         double* space) except -1 nogil:
        cdef Py_ssize_t i, j, d = self.d, size = d * rows.column_stride
        cdef double target, z, fresh, c, l2 = self.alpha[0] * self.penalty.hessian_diag
        cdef double share = 1.0 / self.n if self.every == 0 else 0.0
        cdef double trust = 0.0 if self.filling else 1.0
        cdef double b = self.u[d] * self.inverse[d] if self.fit_intercept else 0.0
        cdef double speed = self.inverse[d] ** 2 * self.unit[0] if self.fit_intercept else 0.0
        cdef double total = self.gradient[d] if self.fit_intercept else 0.0
        cdef double* w = space
        cdef double* a = space + width
        cdef double* x = space + 2 * width
        # For centred columns while it lasts.
        for j in range(d):
            self.gradient[j] -= self.mean[j] * total
        for i in range(n_steps):
            if i + AHEAD < n_steps:
                skgd_prefetch(rows.base + row[i + AHEAD] * rows.row_stride, size)
                skgd_prefetch(<const char*>(self.slope + row[i + AHEAD]), 1)
                p.prefetch_target(row[i + AHEAD])
            rows.take(rows.base + row[i] * rows.row_stride, d, self.mean, x)
            skgd_dot_f64(<const char**>&x, 1, d, w, &z, &self.space.coming)
            z += b
            p.loss.gradient(1, 1, p.row_targets(row[i], &target), &z, &fresh)
            c = fresh - self.slope[row[i]]
            if share > 0.0:
                self.slope[row[i]] = fresh
            c *= self.weight_scale * (p.s[row[i]] if p.s != NULL else 1.0)
            skgd_reduced_step(d, x, a, rate[i], c, trust, share, l2, self.gradient, w)
            b -= rate[i] * speed * (c + trust * total)
            total += share * c
        for j in range(d):
            self.gradient[j] += self.mean[j] * total
        if self.fit_intercept:
            self.gradient[d] = total
            self.u[d] = b / self.inverse[d]
        return 0
