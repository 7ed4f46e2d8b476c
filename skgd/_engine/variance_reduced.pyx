# cython: language_level=3, cdivision=True
"""Variance-reduced gradients: SVRG (Johnson, Zhang, 2013) and SAGA (Defazio et al., 2014).

A table holds the loss's gradient with respect to the margins of each row, ``dz_i``, as it was at
some earlier iterate, and the mean gradient ``G = mean_i s_i dz_i x_i`` that these make. A step goes
along ``mean_B s_i (dz_i(w) - dz_i) x_i + G``, an unbiased estimate of the gradient whose variance
vanishes at the minimum. SAGA replaces ``dz_i`` when row i is visited; SVRG replaces all of them
every few epochs.
"""

import numpy as np

from skgd._engine.rows import chunk_starts

cimport cython
from libc.string cimport memset

from skgd._engine.arrays cimport integers, writeable_floats
from skgd._engine.parameters cimport Parameters
from skgd._engine.data_term cimport DataTerm
from skgd._engine.rows cimport (
    PREFETCH_DISTANCE, DenseRows, Workspace, skgd_prefetch, skgd_prefetch_queue
)
from skgd._engine.single_rows cimport DenseRowSteps
from skgd._engine.sweep cimport Sweep

cdef extern from "vector.h" nogil:
    void skgd_axpy(Py_ssize_t n, double a, const double* x, double* y)

cdef extern from "dense.h" nogil:
    void skgd_dot_f64(const char** rows, Py_ssize_t m, Py_ssize_t d, const double* w, double* z,
                      skgd_prefetch_queue* queue)

cdef extern from "steps.h" nogil:
    void skgd_variance_reduced_step(
        Py_ssize_t d, const double* x, const double* a, double rate, double change,
        double mean_weight, double row_share, double l2, double* mean_gradient, double* w)


@cython.final
cdef class GradientTable:
    """The rows' gradients with respect to margins at earlier iterates, and their mean gradient.

    Parameters
    ----------
    n, k, p : int
        The numbers of rows, of outputs and of an output's parameters.
    n_weighted : float
        The number of rows that the weights stand for.
    replaces_visited : bool
        Whether a row's gradient is replaced when the row is visited (SAGA).
    """

    cdef object table_array, mean_array
    cdef double* table  # (n, k)
    cdef double* mean  # (k, p), for raw columns
    cdef double n_weighted
    cdef bint replaces_visited
    # Whether it is the first epoch of a descent from zero, whose steps leave the mean out.
    cdef bint filling

    def __init__(self, Py_ssize_t n, Py_ssize_t k, Py_ssize_t p, double n_weighted,
                 bint replaces_visited):
        self.n_weighted, self.replaces_visited = n_weighted, replaces_visited
        self.table_array, self.mean_array = np.zeros((n, k)), np.zeros((k, p))
        self.table = writeable_floats(self.table_array, (n, k))
        self.mean = writeable_floats(self.mean_array, (k, p))

    cdef int clear(self) except -1:
        self.table_array[:] = self.mean_array[:] = 0.0
        return 0


cdef class VarianceReducedSweep(Sweep):
    """Update steps along variance-reduced estimates of the gradient.

    Parameters
    ----------
    snapshot_epochs : int
        The epochs from one replacement of all rows' gradients to the next (SVRG); 0 for gradients
        that are replaced when their row is visited (SAGA).
    others
        As for `Sweep`.
    """

    cdef GradientTable table
    cdef Py_ssize_t snapshot_epochs
    cdef Py_ssize_t age  # epochs since all gradients were replaced; -1 at the beginning

    def __init__(self, Py_ssize_t snapshot_epochs, *arguments):
        Sweep.__init__(self, *arguments)
        cdef DataTerm problem = self.problem
        self.snapshot_epochs, self.age = snapshot_epochs, -1
        self.table = GradientTable(
            problem.n, self.parameters.k, self.parameters.p,
            self.weight_scale * problem.weight_sum, snapshot_epochs == 0,
        )
        self.batches.n_threads = 1
        self.tiled = self.sparse_rows = None
        if isinstance(problem.rows, DenseRows):
            self.dense_rows = VarianceReducedRowSteps(
                self.parameters, self.weight_scale, self.table
            )

    def begin_epoch(self):
        """Replace the gradients of all rows where it is time; return the passes that this took.

        A descent that begins at zero has none yet: its first epoch is plain gradient descent.
        """
        cdef GradientTable table = self.table
        if self.age < 0:
            renews = np.any(self.parameters.parameter_array[:, :self.parameters.d])
            table.filling = not renews
        else:
            renews = self.snapshot_epochs and (
                table.filling or self.age == self.snapshot_epochs
            )
            table.filling = False
        self.age = 1 if renews or self.age < 0 else self.age + 1
        if not renews:
            return 0
        table.clear()
        starts = chunk_starts(self.problem.rows, self.problem.n)
        for start in starts:
            rows = np.arange(start, min(start + starts.step, self.problem.n), dtype=np.intp)
            self.replace(rows)
        return 1

    def table_state(self):
        """Return the table and its age, to resume from; the arrays are no copies."""
        return {
            "margin_gradients": self.table.table_array, "mean_gradient": self.table.mean_array,
            "age": self.age, "filling": bool(self.table.filling),
        }

    def resume(self, state):
        """Continue from the table of another sweep over the same rows."""
        cdef GradientTable table = self.table
        for name, own in (
            ("margin_gradients", table.table_array), ("mean_gradient", table.mean_array)
        ):
            if np.shape(state[name]) != own.shape:
                raise ValueError(
                    f"{name} has shape {np.shape(state[name])}: pass one of shape {own.shape}."
                )
            own[...] = state[name]
        self.age, table.filling = state["age"], state["filling"]

    cdef int replace(self, rows) except -1:
        """Replace the gradients of some rows, which the table has as zeros, by those at w."""
        cdef Py_ssize_t m = len(rows)
        cdef Workspace space = self.batches.workspace()
        cdef const Py_ssize_t* index = integers(rows, (m,))
        self.batches.targets.gather(index, m)
        with nogil:
            self.compute_change(self.problem, self.parameters, self.table, space, index, m, m,
                                self.weight_scale / m, True)
            skgd_axpy(self.parameters.k * self.parameters.p, m / self.table.n_weighted,
                      self.parameters.g, self.table.mean)
        return 0

    cdef int compute_change(self, DataTerm p, Parameters q, GradientTable table, Workspace space,
                            const Py_ssize_t* index, Py_ssize_t size, Py_ssize_t n_remaining,
                            double factor, bint replaces) except -1 nogil:
        """Set g to the mean gradient of how some rows' dz differ from the table."""
        cdef Py_ssize_t i = 0, j, m, c
        cdef double unused = 0.0, fresh
        cdef double* stored
        cdef double* g_intercept = q.intercept_of(q.g, &unused)
        q.clear_gradient()
        q.attach(space, 0, q.g)
        while i < size:
            m = min(size - i, p.rows.block)
            p.rows.queue_prefetch(index + i + m, min(p.rows.block, n_remaining - i - m), True,
                                  space)
            self.batches.targets.put(index + i, m, space)
            p.rows.dot(index + i, m, space)
            p.prepare(index + i, m, space, 0, q.intercept)
            p.loss.gradient(q.k, m, space.y, space.z, space.dz)
            for j in range(m):
                stored = table.table + index[i + j] * q.k
                for c in range(q.k):
                    fresh = space.dz[c * m + j]
                    space.dz[c * m + j] = fresh - stored[c]
                    stored[c] = fresh if replaces else stored[c]
            p.weigh(m, space, 0, factor, g_intercept, q.intercept_stride())
            p.rows.add(index + i, m, space)
            i += m
        return 0

    cdef int compute_gradient(self, const Py_ssize_t* index, Py_ssize_t size,
                              Py_ssize_t n_remaining, Py_ssize_t number) except -1 nogil:
        cdef Py_ssize_t j
        cdef double change, row_share = 0.0
        cdef double* g = self.parameters.g
        cdef double* mean = self.table.mean
        cdef bint filling = self.table.filling
        if self.table.replaces_visited:
            row_share = size / self.table.n_weighted
        self.compute_change(self.problem, self.parameters, self.table, self.batches.space, index,
                            size, n_remaining, self.weight_scale / size,
                            self.table.replaces_visited)
        for j in range(self.parameters.k * self.parameters.p):
            change = g[j]
            g[j] += 0.0 if filling else mean[j]
            mean[j] += row_share * change
        return 0


cdef class VarianceReducedRowSteps(DenseRowSteps):
    """Variance-reduced steps along the gradients of single dense rows.

    Parameters
    ----------
    parameters, weight_scale
        As for `DenseRowSteps`.
    table : GradientTable
    """

    cdef GradientTable table

    def __init__(self, Parameters parameters not None, double weight_scale,
                 GradientTable table not None):
        DenseRowSteps.__init__(self, parameters, weight_scale)
        self.table = table

    cdef int take_steps(self, DataTerm p, DenseRows rows, Parameters q, const Py_ssize_t* row,
                        Py_ssize_t n_steps, const double* rate, Py_ssize_t padded_d,
                        double* buffers) except -1 nogil:
        cdef Py_ssize_t i, j, d = q.d, size = d * rows.column_stride
        cdef bint replaces_visited = self.table.replaces_visited
        cdef double z, fresh, change, l2 = q.alpha[0] * q.penalty_curvature
        cdef double row_share = 1.0 / self.table.n_weighted if replaces_visited else 0.0
        cdef double mean_weight = 0.0 if self.table.filling else 1.0
        cdef double b = q.u[d] * q.inverse[d] if q.fit_intercept else 0.0
        cdef double b_scale = q.inverse[d] ** 2 * q.unit[0] if q.fit_intercept else 0.0
        cdef double* stored = self.table.table
        cdef double* mean = self.table.mean
        cdef double mean_intercept = mean[d] if q.fit_intercept else 0.0
        cdef double* w = buffers
        cdef double* a = buffers + padded_d
        cdef double* x = buffers + 2 * padded_d
        cdef skgd_prefetch_queue queue
        memset(&queue, 0, sizeof(queue))
        # For centred columns while it lasts.
        for j in range(d):
            mean[j] -= q.mean[j] * mean_intercept
        for i in range(n_steps):
            if i + PREFETCH_DISTANCE < n_steps:
                skgd_prefetch(rows.base + row[i + PREFETCH_DISTANCE] * rows.row_stride, size)
                skgd_prefetch(<const char*>(stored + row[i + PREFETCH_DISTANCE]), 1)
            rows.load_row(rows.base + row[i] * rows.row_stride, d, q.mean, x)
            skgd_dot_f64(<const char**>&x, 1, d, w, &z, &queue)
            z += b
            p.loss.gradient(1, 1, self.targets.targets + i, &z, &fresh)
            change = fresh - stored[row[i]]
            if row_share > 0.0:
                stored[row[i]] = fresh
            change *= self.weight_of(i)
            skgd_variance_reduced_step(d, x, a, rate[i], change, mean_weight, row_share, l2, mean,
                                       w)
            b -= rate[i] * b_scale * (change + mean_weight * mean_intercept)
            mean_intercept += row_share * change
        for j in range(d):
            mean[j] += q.mean[j] * mean_intercept
        if q.fit_intercept:
            mean[d] = mean_intercept
            q.u[d] = b / q.inverse[d]
        return 0
