# cython: language_level=3
# Steps along the gradients of single rows, for sweeps.

cimport cython

from skgd._engine.parameters cimport Parameters
from skgd._engine.data_term cimport DataTerm, OrderedTargets
from skgd._engine.rows cimport DenseRows, SparseRows, Workspace


cdef extern from "sparse_steps.h" nogil:
    ctypedef struct skgd_row:
        const void* data
        const void* indices
        Py_ssize_t start, m
        Py_ssize_t next, n_next
        Py_ssize_t later, n_later
    ctypedef struct skgd_step_kernels:
        double (*dot)(const skgd_row* row, const double* w) noexcept nogil
        void (*add)(const skgd_row* row, double c, double* w) noexcept nogil
        void (*products)(const skgd_row* row, Py_ssize_t k, const double* w,
                         double* z) noexcept nogil
        double (*gather_one_decayed)(const skgd_row* row, const double* record, double decay,
                                     double* step) noexcept nogil
        void (*gather_decayed)(const skgd_row* row, Py_ssize_t k, const double* record,
                               double decay, double* w, double* step, double* z) noexcept nogil
        void (*scatter_decayed)(const skgd_row* row, Py_ssize_t k, const double* dz,
                                const double* step, double* record) noexcept nogil
        void (*gather_lazy)(const skgd_row* row, Py_ssize_t k, bint scaled, const double* record,
                            double total, double l2, double alpha, double* w,
                            double* threshold) noexcept nogil
        void (*scatter_lazy)(const skgd_row* row, Py_ssize_t k, bint scaled, double total,
                             const double* dz, const double* w, double* record) noexcept nogil


cdef bint takes_single_rows(Parameters parameters) except -1


cdef class DenseRowSteps:
    cdef DataTerm problem
    cdef DenseRows rows
    cdef Parameters parameters
    cdef OrderedTargets targets
    cdef double weight_scale

    cdef int run(self, const Py_ssize_t* row, Py_ssize_t n_steps, const double* rate) except -1
    cdef int take_steps(self, DataTerm p, DenseRows rows, Parameters q, const Py_ssize_t* row,
                        Py_ssize_t n_steps, const double* rate, Py_ssize_t padded_d,
                        double* buffers) except -1 nogil

    cdef inline double weight_of(self, Py_ssize_t i) noexcept nogil:
        """Return the weight of the row of a step, in the scale of the weights."""
        if self.targets.weights == NULL:
            return self.weight_scale
        return self.weight_scale * self.targets.weights[i]


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
                                double* record, Workspace space, double* w) except -1 nogil
    cdef int run_lazy(self, DataTerm p, SparseRows rows, Parameters q, const Py_ssize_t* row,
                      Py_ssize_t n_steps, const double* rate, Workspace space) except -1
    cdef int take_lazy_steps(self, DataTerm p, SparseRows rows, Parameters q,
                             const Py_ssize_t* row, Py_ssize_t n_steps, const double* rate,
                             double* record, Workspace space, double* w) except -1 nogil
    cdef void locate(self, DataTerm p, SparseRows rows, const Py_ssize_t* row, Py_ssize_t i,
                     Py_ssize_t n_steps, skgd_row* here) noexcept nogil
    cdef void fetch_long(self, SparseRows rows, const Py_ssize_t* row, Py_ssize_t i,
                         Py_ssize_t n_steps, Py_ssize_t size, const double* record) noexcept nogil
    cdef int step_intercepts(self, DataTerm p, Parameters q, Py_ssize_t row, double rate,
                             Workspace space) except -1 nogil
