# cython: language_level=3
# Batches of sparse rows in tiles of columns, and steps along them, for sweeps.

cimport cython
from libc.stdint cimport uint32_t

from skgd._engine.parameters cimport Parameters
from skgd._engine.data_term cimport DataTerm
from skgd._engine.rows cimport SparseRows, Workspace

cdef enum:
    # Outputs, of all models together, from which tiles pay for the time to cut batches into them:
    # an epoch of Adam takes 20 ms with tiles and 31 ms without for 20 outputs, 9 and 8 ms for 5, 41
    # and 27 ms for one (20 000 x 30 000, 80 numbers in a row).
    TILED_OUTPUTS = 6


@cython.final
cdef class Tiles:
    cdef SparseRows rows
    cdef Py_ssize_t n_batches, n_tiles, n_groups, n_segments, max_batch
    # The arrays behind the pointers below.
    cdef object order_array, bound_array, group_array, start_array, value_array, place_array
    cdef const Py_ssize_t* row
    cdef const Py_ssize_t* bound
    cdef const Py_ssize_t* group  # of each row; NULL for one group
    cdef Py_ssize_t* start  # of each tile of each group of each batch, and each batch's end
    cdef double* values
    cdef uint32_t* places
    cdef Py_ssize_t size(self, Py_ssize_t b) noexcept nogil
    cdef Py_ssize_t first_segment(self, Py_ssize_t row) noexcept nogil
    cdef void dot(self, const Py_ssize_t* members, Py_ssize_t b, Py_ssize_t tile, const double* w,
                  double* z) noexcept nogil
    cdef void dot_all(self, const Py_ssize_t* members, Py_ssize_t b, const double* w,
                      double* z) noexcept nogil
    cdef void add(self, const Py_ssize_t* members, Py_ssize_t b, Py_ssize_t tile, const double* dz,
                  double* g) noexcept nogil


@cython.final
cdef class TiledSteps:
    cdef DataTerm problem
    cdef Parameters parameters
    cdef double weight_scale
    cdef Workspace space  # None before the first step
    cdef int run(self, Tiles tiles, const Py_ssize_t* members, const double* rate, Py_ssize_t t,
                 Py_ssize_t averaged) except -1
    cdef int add_margin_gradients(self, Tiles tiles, Py_ssize_t b, const double* z,
                                  double* dz) except -1 nogil
    cdef int step_output(self, Tiles tiles, const Py_ssize_t* members, Py_ssize_t b, Py_ssize_t c,
                         double* z, const double* dz, double* g, double rate, Py_ssize_t t,
                         double average_weight) except -1 nogil
