# cython: language_level=3
# Steps along the gradients of single rows, for sweeps.

cimport cython

from skgd._engine.parameters cimport Parameters
from skgd._engine.data_term cimport DataTerm
from skgd._engine.rows cimport DenseRows, SparseRows, Workspace


cdef extern from "sparse_steps.h" nogil:
    ctypedef struct skgd_step_kernels:
        void (*products)(const void* x, Py_ssize_t start, Py_ssize_t m, Py_ssize_t k,
                         const double* w, double* z) noexcept nogil
        void (*gather_decayed)(const void* x, const void* column, Py_ssize_t start, Py_ssize_t m,
                               Py_ssize_t k, const double* record, double decay, double* v,
                               double* w, double* step, double* z) noexcept nogil
        void (*scatter_decayed)(const void* x, const void* column, Py_ssize_t start, Py_ssize_t m,
                                Py_ssize_t k, const double* dz, const double* v,
                                const double* step, double* record, Py_ssize_t next,
                                Py_ssize_t n_next) noexcept nogil
        void (*gather_lazy)(const void* column, Py_ssize_t start, Py_ssize_t m, Py_ssize_t k,
                            bint scaled, const double* record, double total, double l2,
                            double alpha, double* w, double* threshold) noexcept nogil
        void (*scatter_lazy)(const void* x, const void* column, Py_ssize_t start, Py_ssize_t m,
                             Py_ssize_t k, bint scaled, double total, const double* dz,
                             const double* w, double* record, Py_ssize_t next,
                             Py_ssize_t n_next) noexcept nogil
        void (*add)(const void* x, const void* column, Py_ssize_t start, Py_ssize_t m, double c,
                    double* w, Py_ssize_t next, Py_ssize_t n_next) noexcept nogil


cdef bint takes_single_rows(Parameters parameters) except -1


cdef class DenseRowSteps:
    cdef DataTerm problem
    cdef DenseRows rows
    cdef Parameters parameters
    cdef double weight_scale

    cdef int run(self, const Py_ssize_t* row, Py_ssize_t n_steps, const double* rate) except -1
    cdef int take_steps(self, DataTerm p, DenseRows rows, Parameters q, const Py_ssize_t* row,
                        Py_ssize_t n_steps, const double* rate, const double* target,
                        const double* weight, Py_ssize_t padded_d,
                        double* buffers) except -1 nogil
    cdef void gather(self, DataTerm p, const Py_ssize_t* row, Py_ssize_t m, double* target,
                     double* weight) noexcept nogil


@cython.final
cdef class SparseRowSteps:
    cdef DataTerm problem
    cdef SparseRows rows
    cdef Parameters parameters
    cdef double weight_scale
    cdef const skgd_step_kernels* kernels

    cdef int run(self, const Py_ssize_t* row, Py_ssize_t n_steps, const double* rate) except -1
    cdef int take_scaled_steps(self, DataTerm p, SparseRows rows, Parameters q,
                               const Py_ssize_t* row, Py_ssize_t n_steps, const double* rate,
                               Workspace space) except -1 nogil
    cdef int run_decayed(self, DataTerm p, SparseRows rows, Parameters q, const Py_ssize_t* row,
                         Py_ssize_t n_steps, const double* rate, Workspace space) except -1
    cdef int take_decayed_steps(self, DataTerm p, SparseRows rows, Parameters q,
                                const Py_ssize_t* row, Py_ssize_t n_steps, const double* rate,
                                double* record, Workspace space, double* v) except -1 nogil
    cdef int run_lazy(self, DataTerm p, SparseRows rows, Parameters q, const Py_ssize_t* row,
                      Py_ssize_t n_steps, const double* rate, Workspace space) except -1
    cdef int take_lazy_steps(self, DataTerm p, SparseRows rows, Parameters q,
                             const Py_ssize_t* row, Py_ssize_t n_steps, const double* rate,
                             double* record, Workspace space, double* w) except -1 nogil
    cdef void fetch_ahead(self, DataTerm p, SparseRows rows, const Py_ssize_t* row, Py_ssize_t i,
                          Py_ssize_t n_steps, Py_ssize_t size, const double* record) noexcept nogil
    cdef int step_intercepts(self, DataTerm p, Parameters q, Py_ssize_t row, double rate,
                             Workspace space) except -1 nogil
