cdef class LossRule:
    # Targets, margins and results are (k, m) in C order: k outputs, a block of m rows. A coupled
    # loss (softmax) puts a row's value into the first output and zeros into the others.
    cdef int value(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                   double* out) except -1 nogil
    cdef int gradient(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                      double* out) except -1 nogil
    cdef int hessian(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                     double* out) except -1 nogil
