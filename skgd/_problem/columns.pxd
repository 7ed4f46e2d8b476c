# cython: language_level=3
cdef class Columns:
    cdef readonly Py_ssize_t n, m
    cdef object owners
    cdef const double* data
    cdef const Py_ssize_t* row  # NULL where each row has a number
    cdef const Py_ssize_t* start
    cdef const Py_ssize_t* stop

    cdef double dot(self, Py_ssize_t j, const double* r) noexcept nogil
    cdef void add(self, Py_ssize_t j, double step, const double* h, double* r) noexcept nogil
    cdef void clear(self, Py_ssize_t j, double* r) noexcept nogil
    cdef void moments(self, Py_ssize_t j, const double* h, double* first,
                      double* second) noexcept nogil
