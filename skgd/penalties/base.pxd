# cython: language_level=3, cdivision=True
cdef class PenaltyRule:
    cdef bint proximal
    # The second derivative where it is the same for every coefficient and everywhere, else NaN.
    cdef double hessian_diag
    cdef double value(self, Py_ssize_t d, const double* w) except? -1 nogil
    # the smooth part of the value
    cdef double smooth_value(self, Py_ssize_t d, const double* w) except? -1 nogil
    # g += alpha * the gradient of the smooth part
    cdef int add_gradient(self, Py_ssize_t d, const double* w, double alpha,
                          double* g) except -1 nogil
    # w = argmin_v sum (v - w)^2 / (2 step) + the part that is not smooth; step has alpha in it
    cdef int prox(self, Py_ssize_t d, double* w, const double* step) except -1 nogil
    # The same where each v_j stays within lower[j * stride] and upper[j * stride].
    cdef int prox_within(self, Py_ssize_t d, double* w, const double* step, const double* lower,
                         const double* upper, Py_ssize_t stride) except -1 nogil
    # w = the nearest point within bounds, if there are any
    cdef int project(self, Py_ssize_t d, double* w) except -1 nogil


cdef inline double clipped(double x, double lower, double upper) noexcept nogil:
    """Return the point of an interval that is nearest to x; NaN stays."""
    return lower if x < lower else (upper if x > upper else x)
