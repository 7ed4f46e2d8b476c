# cython: language_level=3
# Update steps, for their subclasses and for fleets.

from skgd._engine.problem cimport Problem
from skgd._engine.rows cimport DenseRows, SparseRows, Workspace
from skgd._engine.team cimport Team
from skgd._engine.tiles cimport Tiles
from skgd.penalties.base cimport PenaltyRule


cdef class Sweep:
    cdef Problem problem
    cdef PenaltyRule penalty
    cdef list rules, owners
    cdef void** rule
    cdef Workspace space
    cdef object pool  # of helping threads
    cdef Team team
    cdef Py_ssize_t n_threads
    cdef Py_ssize_t sections  # of a batch, at most
    cdef Py_ssize_t k, d, p, slots
    cdef bint identity, fit_intercept
    cdef bint alike  # whether the penalty treats all features alike
    cdef bint coordinatewise  # whether the parameters may be updated part by part
    cdef Py_ssize_t tile  # parameters of an output that are updated together
    cdef double weight_scale
    cdef double* u
    cdef double* w
    cdef double* g  # (sections, k, p): the sections' gradients, of which the first is the batch's
    cdef double* step
    cdef double* state
    cdef double* offset
    cdef double* average
    cdef const double* alpha
    cdef const double* unit
    cdef const double* mean
    cdef const double* inverse
    cdef int make_room(self) except -1
    cdef double refresh_part(self, Py_ssize_t c, Py_ssize_t first, Py_ssize_t size,
                             double* w) noexcept nogil
    cdef void refresh_all(self, Py_ssize_t c) noexcept nogil
    cdef void refresh(self, Py_ssize_t c, double shift) noexcept nogil
    cdef int finish(self, Py_ssize_t c, double rate, Py_ssize_t t, double share) except -1 nogil
    cdef int finish_part(self, Py_ssize_t c, Py_ssize_t first, double* g, double* w, double total,
                         double rate, Py_ssize_t t, double share, double* shift) except -1 nogil
    cdef int batch(self, const Py_ssize_t* index, Py_ssize_t size, Py_ssize_t known,
                   Py_ssize_t number) except -1 nogil
    cdef int help(self, const Py_ssize_t* row, const Py_ssize_t* bound, Py_ssize_t n_batches,
                  Team team, Py_ssize_t thread, Workspace space) except -1 nogil
    cdef int add_section(self, const Py_ssize_t* index, Py_ssize_t size, Py_ssize_t known,
                         Py_ssize_t section, Py_ssize_t thread,
                         Workspace space) except -1 nogil
    cdef Py_ssize_t count_sections(self, Py_ssize_t size) noexcept nogil
    cdef int assemble(self, order, bounds) except -1
    cdef void begin_batch(self) noexcept nogil
    cdef Py_ssize_t join(self, Workspace space, Py_ssize_t first) noexcept nogil
    cdef Py_ssize_t slopes(self, const Py_ssize_t* index, Py_ssize_t m, Py_ssize_t size,
                           Workspace space, Py_ssize_t first) except -1 nogil
    cdef int finish_all(self, double rate, Py_ssize_t t, double share) except -1 nogil
    cdef int single_dense(self, Problem p, DenseRows rows, const Py_ssize_t* row,
                          Py_ssize_t n_steps, const double* rate) except -1
    cdef int dense_steps(self, Problem p, DenseRows rows, const Py_ssize_t* row,
                         Py_ssize_t n_steps, const double* rate, Py_ssize_t width,
                         double* space) except -1 nogil
    cdef int single_sparse(self, Problem p, SparseRows rows, const Py_ssize_t* row,
                           Py_ssize_t n_steps, const double* rate) except -1
    cdef int scaled_steps(self, Problem p, SparseRows rows, const Py_ssize_t* row,
                          Py_ssize_t n_steps, const double* rate,
                          Workspace space) except -1 nogil
    cdef int sparse_steps(self, Problem p, SparseRows rows, const Py_ssize_t* row,
                          Py_ssize_t n_steps, const double* rate, double* record, Workspace space,
                          double* w, double* since) except -1 nogil
    cdef bint takes_tiles(self)
    cdef int run_tiles(self, Tiles tiles, const double* rate, Py_ssize_t t,
                       Py_ssize_t averaged) except -1
    cdef int slopes_of_batch(self, Tiles tiles, Py_ssize_t b, const double* z,
                             double* slope) except -1 nogil
    cdef int step_in_tiles(self, Tiles tiles, Py_ssize_t b, Py_ssize_t c, double* z,
                           const double* slope, double* g, double rate, Py_ssize_t t,
                           double share) except -1 nogil
    cdef bint goes_row_by_row(self)
