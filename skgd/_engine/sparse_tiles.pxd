# cython: language_level=3
# Batches of sparse rows in tiles of columns.

cimport cython
from libc.stdint cimport uint32_t

from skgd._engine.rows cimport SparseRows

cdef extern from "rows.h" nogil:
    enum:
        SKGD_TILE


@cython.final
cdef class Tiles:
    cdef object owners
    cdef SparseRows rows
    cdef Py_ssize_t n_batches, n_tiles, tallest
    cdef const Py_ssize_t* row
    cdef const Py_ssize_t* bound
    cdef Py_ssize_t* start  # of each tile of each batch, and each batch's end
    cdef double* numbers
    cdef uint32_t* places
    cdef Py_ssize_t size(self, Py_ssize_t b) noexcept nogil
    cdef void dot(self, Py_ssize_t b, Py_ssize_t tile, const double* w, double* z) noexcept nogil
    cdef void dot_all(self, Py_ssize_t b, const double* w, double* z) noexcept nogil
    cdef void add(self, Py_ssize_t b, Py_ssize_t tile, const double* slope,
                  double* g) noexcept nogil
