# cython: language_level=3
# Steps along the gradients of single rows, for sweeps.

cimport cython

from skgd._engine.parameters cimport Parameters
from skgd._engine.data_term cimport DataTerm
from skgd._engine.rows cimport DenseRows, SparseRows, Workspace


cdef bint takes_single_rows(Parameters parameters) except -1


cdef class DenseRowSteps:
    cdef DataTerm problem
    cdef DenseRows rows
    cdef Parameters parameters
    cdef double weight_scale

    cdef int run(self, const Py_ssize_t* row, Py_ssize_t n_steps, const double* rate) except -1
    cdef int take_steps(self, DataTerm p, DenseRows rows, Parameters q, const Py_ssize_t* row,
                        Py_ssize_t n_steps, const double* rate, Py_ssize_t padded_d,
                        double* buffers) except -1 nogil


@cython.final
cdef class SparseRowSteps:
    cdef DataTerm problem
    cdef SparseRows rows
    cdef Parameters parameters
    cdef double weight_scale

    cdef int run(self, const Py_ssize_t* row, Py_ssize_t n_steps, const double* rate) except -1
    cdef int take_scaled_steps(self, DataTerm p, SparseRows rows, Parameters q,
                               const Py_ssize_t* row, Py_ssize_t n_steps, const double* rate,
                               Workspace space) except -1 nogil
    cdef int take_lazy_steps(self, DataTerm p, SparseRows rows, Parameters q,
                             const Py_ssize_t* row, Py_ssize_t n_steps, const double* rate,
                             double* record, Workspace space, double* w,
                             double* since) except -1 nogil
    cdef int settle(self, Parameters q, const double* record, double total) except -1 nogil
