# cython: language_level=3
# The data term of the objective, block by block. Methods that stand here are compiled into the
# loops over rows and blocks that call them.

cimport cython

from skgd._engine.rows cimport Rows, Workspace, skgd_prefetch
from skgd.losses.base cimport LossRule


@cython.final
cdef class DataTerm:
    cdef readonly Py_ssize_t n, d, k
    cdef readonly Rows rows
    cdef readonly double weight_sum
    cdef readonly object targets, weights
    cdef LossRule loss
    cdef const double* codes  # targets as class codes, (n,), or else NULL
    cdef const double* numbers  # targets as numbers, (n, k), or else NULL
    cdef const double* s  # weights, (n,), or NULL
    cdef void fill_targets(self, const Py_ssize_t* index, Py_ssize_t m, double* y) noexcept nogil
    cdef void prepare(self, const Py_ssize_t* index, Py_ssize_t m, Workspace space,
                      Py_ssize_t first, const double* intercept) noexcept nogil
    cdef int add_values(self, Py_ssize_t m, Workspace space, Py_ssize_t first,
                        double* value) except -1 nogil
    cdef int add_margin_gradients(self, Py_ssize_t m, Workspace space, Py_ssize_t first,
                                  double factor, double* total,
                                  Py_ssize_t total_stride) except -1 nogil
    cdef void weigh(self, Py_ssize_t m, Workspace space, Py_ssize_t first, double factor,
                    double* total, Py_ssize_t total_stride) noexcept nogil
    cdef int add_block(self, const Py_ssize_t* index, Py_ssize_t m, Workspace space,
                       const double* intercept, double factor, double* value,
                       double* g_intercept, Py_ssize_t g_intercept_stride) except -1 nogil
    cdef bint prefetches(self, subset)
    cdef int add_rows(self, const Py_ssize_t* rows, Py_ssize_t start, Py_ssize_t stop,
                      bint prefetches, Workspace space, const double* intercept, double* value,
                      double* g_intercept, double* z) except -1 nogil

    cdef inline void prefetch_target(self, Py_ssize_t row) noexcept nogil:
        if self.codes != NULL:
            skgd_prefetch(<const char*>(self.codes + row), 1)
        else:
            skgd_prefetch(<const char*>(self.numbers + row * self.k), 1)
        if self.s != NULL:
            skgd_prefetch(<const char*>(self.s + row), 1)

    cdef inline void queue_prefetch(self, const Py_ssize_t* index, Py_ssize_t m,
                                    Workspace space) noexcept nogil:
        """Prefetch m rows of the next block, and their targets, while this one is worked on."""
        cdef Py_ssize_t i
        self.rows.queue_prefetch(index, m, True, space)
        for i in range(m):
            self.prefetch_target(index[i])

    cdef inline const double* row_targets(self, Py_ssize_t row, double* room) noexcept nogil:
        """Return where the targets of a row are, in room if they are made there."""
        if self.codes == NULL:
            return self.numbers + row * self.k
        self.fill_targets(&row, 1, room)
        return room

    cdef inline int row_margin_gradients(self, Py_ssize_t row, const double* z, double factor,
                                         double* room, double* dz) except -1 nogil:
        """Set dz to the weighted gradient of a row's loss with respect to its margins z."""
        cdef Py_ssize_t c
        cdef double weight = factor * self.s[row] if self.s != NULL else factor
        self.loss.gradient(self.k, 1, self.row_targets(row, room), z, dz)
        for c in range(self.k):
            dz[c] = dz[c] * weight if weight != 0.0 else 0.0
        return 0


@cython.final
cdef class OrderedTargets:
    cdef DataTerm problem
    cdef object array  # keeps what is pointed to alive
    cdef const Py_ssize_t* first  # the first of the rows in order
    cdef Py_ssize_t width  # numbers of a target
    cdef double* targets  # class codes or numbers, as in the problem
    cdef double* weights  # NULL where all rows count alike
    cdef int gather(self, const Py_ssize_t* index, Py_ssize_t n) except -1
    cdef int gather_single(self, const Py_ssize_t* index, Py_ssize_t n) except -1
    cdef void put(self, const Py_ssize_t* index, Py_ssize_t m, Workspace space) noexcept nogil
