# cython: language_level=3
# Sweeps of update steps, for their subclasses and for sweeps of many models.

from skgd._engine.batches cimport BatchGradient
from skgd._engine.parameters cimport Parameters
from skgd._engine.data_term cimport DataTerm
from skgd._engine.rows cimport Workspace
from skgd._engine.single_rows cimport DenseRowSteps, SparseRowSteps
from skgd._engine.sparse_tiles cimport TiledSteps


cdef class Sweep:
    cdef DataTerm problem
    cdef Parameters parameters
    cdef double weight_scale
    cdef BatchGradient batches
    # How single rows of X are stepped along; one of the two.
    cdef DenseRowSteps dense_rows
    cdef SparseRowSteps sparse_rows
    cdef TiledSteps tiled  # None unless batches can be cut into tiles
    cdef bint steps_row_by_row(self) except -1
    cdef int run_batches(self, order, bounds, const double* rate, Py_ssize_t t,
                         Py_ssize_t averaged) except -1
    cdef int compute_gradient(self, const Py_ssize_t* index, Py_ssize_t size,
                              Py_ssize_t n_remaining, Py_ssize_t number) except -1 nogil
    cdef int add_margin_gradients(self, const Py_ssize_t* index, Py_ssize_t m, Py_ssize_t size,
                                  Workspace space, Py_ssize_t first) except -1 nogil
