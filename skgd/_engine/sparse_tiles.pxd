# cython: language_level=3
# Batches of sparse rows in tiles of columns, and steps along them, for sweeps.

cimport cython
from libc.stdint cimport uint32_t

from skgd._engine.parameters cimport Parameters
from skgd._engine.data_term cimport DataTerm
from skgd._engine.rows cimport SparseRows, Workspace

cdef extern from "sparse_tiles.h" nogil:
    enum:
        SKGD_ABREAST

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
    cdef Py_ssize_t* start  # of each group of each tile of each batch, and each batch's end
    cdef double* values
    cdef uint32_t* places
    cdef Py_ssize_t size(self, Py_ssize_t b) noexcept nogil
    cdef void dot(self, const Py_ssize_t* runs, Py_ssize_t n_runs, Py_ssize_t b, Py_ssize_t tile,
                  const double* w, double* z) noexcept nogil
    cdef void add(self, const Py_ssize_t* runs, Py_ssize_t n_runs, Py_ssize_t b, Py_ssize_t tile,
                  const double* dz, double* g) noexcept nogil


@cython.final
cdef class TiledSteps:
    cdef Parameters parameters
    cdef double weight_scale
    cdef void load(self, Py_ssize_t c, Py_ssize_t first, double* g) noexcept nogil
    cdef void begin_batch(self) noexcept nogil
    cdef int add_margin_gradients(self, const Py_ssize_t* index, Py_ssize_t m, Py_ssize_t size,
                                  Workspace space, Py_ssize_t first) except -1 nogil
    cdef int step_part(self, Py_ssize_t c, Py_ssize_t first, double* g, double rate, Py_ssize_t t,
                       Py_ssize_t averaged, double* mean_margin) except -1 nogil


@cython.final
cdef class TiledModels:
    cdef list models
    cdef object model_array, output_array, run_array
    cdef const Py_ssize_t* model  # the addresses of the models
    cdef const Py_ssize_t* output  # (k, 2): the model of each output, and its number there
    cdef const Py_ssize_t* runs  # (n_runs, 2): the first of the member groups, and the last plus 1
    cdef Py_ssize_t n_models, n_runs
    cdef Py_ssize_t k, n_packs  # of outputs side by side
    cdef Workspace space
    cdef void load(self, Py_ssize_t pack, Py_ssize_t tile, double* g) noexcept nogil
    cdef void begin(self, Tiles tiles, double* z, double* tile_room) noexcept nogil
    cdef int add_margin_gradients(self, Tiles tiles, Py_ssize_t b, const double* z,
                                  double* dz) except -1 nogil
    cdef int step_pack(self, Tiles tiles, Py_ssize_t pack, Py_ssize_t b, const double* dz,
                       double* z, double* tile_room, const double* rates, Py_ssize_t t,
                       const Py_ssize_t* averaged) except -1 nogil
