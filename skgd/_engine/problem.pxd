# cython: language_level=3
# The data term of the objective, block by block. Methods that stand here are compiled into the
# loops over rows and blocks that call them.

cimport cython

from skgd._engine.rows cimport Rows, Workspace, skgd_prefetch
from skgd.losses.base cimport LossRule


@cython.final
cdef class Problem:
    cdef readonly Py_ssize_t n, d, k
    cdef readonly Rows rows
    cdef readonly double weight_sum
    cdef readonly object targets, weights
    cdef LossRule loss
    cdef const double* codes
    cdef const double* numbers
    cdef const double* s
    cdef void fill_targets(self, const Py_ssize_t* index, Py_ssize_t m, double* y) noexcept nogil
    cdef void prepare(self, const Py_ssize_t* index, Py_ssize_t m, Workspace space,
                      Py_ssize_t first, const double* offset) noexcept nogil
    cdef int add_values(self, Py_ssize_t m, Workspace space, Py_ssize_t first,
                        double* value) except -1 nogil
    cdef int add_slopes(self, Py_ssize_t m, Workspace space, Py_ssize_t first, double factor,
                        double* total, Py_ssize_t stride) except -1 nogil
    cdef void weigh(self, Py_ssize_t m, Workspace space, Py_ssize_t first, double factor,
                    double* total, Py_ssize_t stride) noexcept nogil
    cdef int add_block(self, const Py_ssize_t* index, Py_ssize_t m, Workspace space,
                       const double* offset, double factor, double* value, double* g_offset,
                       Py_ssize_t stride) except -1 nogil

    cdef inline void prefetch_target(self, Py_ssize_t row) noexcept nogil:
        if self.codes != NULL:
            skgd_prefetch(<const char*>(self.codes + row), 1)
        else:
            skgd_prefetch(<const char*>(self.numbers + row * self.k), 1)
        if self.s != NULL:
            skgd_prefetch(<const char*>(self.s + row), 1)

    cdef inline void expect(self, const Py_ssize_t* index, Py_ssize_t m,
                            Workspace space) noexcept nogil:
        """Fetch m rows to come, and their targets, while a block is worked on."""
        cdef Py_ssize_t i
        self.rows.expect(index, m, True, space)
        for i in range(m):
            self.prefetch_target(index[i])

    cdef inline const double* row_targets(self, Py_ssize_t row, double* room) noexcept nogil:
        """Return where the targets of a row are, in room if they are made there."""
        if self.codes == NULL:
            return self.numbers + row * self.k
        self.fill_targets(&row, 1, room)
        return room

    cdef inline int row_slopes(self, Py_ssize_t row, const double* z, double factor, double* room,
                               double* slope) except -1 nogil:
        """Set slope to the weighted derivatives of a row with the margins z."""
        cdef Py_ssize_t c
        cdef double weight = factor * self.s[row] if self.s != NULL else factor
        self.loss.gradient(self.k, 1, self.row_targets(row, room), z, slope)
        for c in range(self.k):
            slope[c] = slope[c] * weight if weight != 0.0 else 0.0
        return 0
