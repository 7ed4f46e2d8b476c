# cython: language_level=3, cdivision=True
"""Batches of sparse rows in tiles of columns, whose parameters stay in the nearest cache."""

import numpy as np

from libc.stdint cimport uint32_t
from libc.string cimport memcpy

from skgd._engine.arrays cimport integers, writeable_floats, writeable_integers
from skgd._engine.rows cimport SparseRows

cdef extern from "rows.h" nogil:
    enum:
        SKGD_PARTS

cdef extern from "sparse_tiles.h" nogil:
    void skgd_tile_dot(Py_ssize_t n, const double* x, const uint32_t* place, const double* w,
                       double* z)
    void skgd_tile_add(Py_ssize_t n, const double* x, const uint32_t* place, const double* c,
                       double* g)

cdef inline Py_ssize_t whole_parts(Py_ssize_t n) noexcept nogil:
    """Return the least number of at least n that is a whole group of parts."""
    return (n + SKGD_PARTS - 1) // SKGD_PARTS * SKGD_PARTS


cdef enum:
    TALLEST = 65535  # rows of a batch that can be cut into tiles


cdef class Tiles:
    """Batches of CSR rows, cut into tiles of columns: what a batch stores in a tile lies together.

    Parameters
    ----------
    rows : SparseRows
    order : intp array
        Row numbers.
    bounds : intp array of shape (n_batches + 1,)
        Where each batch begins in `order`, and where the last one ends.
    threads : Threads
        That share out the batches.
    """

    def __init__(self, SparseRows rows, order, bounds, threads):
        cdef Py_ssize_t b, i, before = 0
        self.rows = rows
        self.n_batches, self.tallest = len(bounds) - 1, np.diff(bounds).max()
        self.n_tiles = (rows.d + SKGD_TILE - 1) // SKGD_TILE
        starts = np.zeros((self.n_batches, self.n_tiles + 1), dtype=np.intp)
        self.row, self.bound = integers(order, (len(order),)), integers(bounds, (len(bounds),))
        self.start = writeable_integers(starts, starts.shape)
        for b in range(self.n_batches):
            self.start[b * (self.n_tiles + 1)] = before
            for i in range(self.bound[b], self.bound[b + 1]):
                before += rows.start(self.row[i] + 1) - rows.start(self.row[i])
            # Each tile has whole groups of parts, which are filled up with zeros.
            before = whole_parts(before + self.n_tiles * (SKGD_PARTS - 1))
        numbers, places = np.zeros(before), np.zeros(before, dtype=np.uint32)
        self.owners = order, bounds, starts, numbers, places
        self.numbers = writeable_floats(numbers, (before,))
        self.places = <uint32_t*><size_t>places.__array_interface__["data"][0]
        threads.map(self._cut, range(self.n_batches))

    def _cut(self, Py_ssize_t b):
        """Lay out what a batch stores, by tiles."""
        cdef Py_ssize_t i, tile
        cdef Py_ssize_t* start = self.start + b * (self.n_tiles + 1)
        nexts = np.empty(self.n_tiles, dtype=np.intp)
        cdef Py_ssize_t* next = writeable_integers(nexts, nexts.shape)
        cdef SparseRows rows = self.rows
        with nogil:
            for i in range(self.bound[b], self.bound[b + 1]):
                rows.kernels.count(rows.indices, rows.start(self.row[i]),
                                   rows.start(self.row[i] + 1), start + 1)
            for tile in range(self.n_tiles):
                start[tile + 1] = start[tile] + whole_parts(start[tile + 1])
            memcpy(next, start, self.n_tiles * sizeof(Py_ssize_t))
            for i in range(self.bound[b], self.bound[b + 1]):
                rows.kernels.cut(rows.data, rows.indices, rows.start(self.row[i]),
                                 rows.start(self.row[i] + 1), i - self.bound[b], start + 1, next,
                                 self.numbers, self.places)

    cdef Py_ssize_t size(self, Py_ssize_t b) noexcept nogil:
        return self.bound[b + 1] - self.bound[b]

    cdef void dot(self, Py_ssize_t b, Py_ssize_t tile, const double* w, double* z) noexcept nogil:
        """Add the products of a batch with the coefficients of a tile to its margins."""
        cdef Py_ssize_t* start = self.start + b * (self.n_tiles + 1) + tile
        skgd_tile_dot(start[1] - start[0], self.numbers + start[0], self.places + start[0], w, z)

    cdef void dot_all(self, Py_ssize_t b, const double* w, double* z) noexcept nogil:
        cdef Py_ssize_t tile
        for tile in range(self.n_tiles):
            self.dot(b, tile, w + tile * SKGD_TILE, z)

    cdef void add(self, Py_ssize_t b, Py_ssize_t tile, const double* slope,
                  double* g) noexcept nogil:
        """Add a batch's rows times their slopes to the gradient of a tile."""
        cdef Py_ssize_t* start = self.start + b * (self.n_tiles + 1) + tile
        skgd_tile_add(start[1] - start[0], self.numbers + start[0], self.places + start[0], slope,
                      g)


def tiles_fit(bounds):
    """Whether the rows of each batch can be counted in a tile."""
    return np.diff(bounds).max() <= TALLEST
