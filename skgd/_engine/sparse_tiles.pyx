# cython: language_level=3, cdivision=True
"""Mini-batch steps over CSR rows, tile by tile of columns, for rules that work elementwise.

A batch's gradient touches every tile of columns once. While a tile's parameters are in the nearest
cache, its gradient is summed, its parameters take their step, and the margins of the next batch
take the new coefficients in.
"""

import numpy as np

from libc.stdint cimport uint32_t
from libc.string cimport memcpy, memset

from skgd._engine.arrays cimport floats, integers, writeable_floats, writeable_integers
from skgd._engine.parameters cimport Parameters
from skgd._engine.rows cimport BLOCK, SKGD_LANES, SKGD_TILE, SparseRows, Workspace

cdef extern from "rows.h" nogil:
    enum:
        SKGD_PARTS

cdef extern from "sparse_tiles.h" nogil:
    void skgd_tile_dot(Py_ssize_t n, const double* x, const uint32_t* place, const double* w,
                       double* z)
    void skgd_tile_add(Py_ssize_t n, const double* x, const uint32_t* place, const double* dz,
                       double* g)

cdef enum:
    MAX_BATCH = 65535  # rows of a batch, whose numbers share 32 bits with those of columns
    MAX_TILED_VALUES = 524288  # of batches that are cut into tiles at once
    # Numbers of a group of rows in a tile, on average, from which groups pay for the zeros that
    # fill each up: with 87, an epoch of 80 models on five folds (20 000 x 30 000) took 1.11 to
    # 1.20 s, and 1.10 to 1.33 s without groups.
    MIN_SEGMENT = 64


cdef inline Py_ssize_t whole_parts(Py_ssize_t n) noexcept nogil:
    """Return the least multiple of SKGD_PARTS that is at least n."""
    return (n + SKGD_PARTS - 1) // SKGD_PARTS * SKGD_PARTS


cdef class Tiles:
    """Batches of CSR rows, cut into tiles of columns: what a batch stores in a tile lies together.

    Where models leave out groups of rows, what a tile has of a group lies together.

    Parameters
    ----------
    rows : SparseRows
    order : intp array
        Row numbers.
    bounds : intp array of shape (n_batches + 1,)
        Where each batch begins in `order`, and where the last one ends.
    threads : Threads
        That share out the batches.
    groups : intp array of shape (n_samples,) or None
        The group of each row; None for one group.
    n_groups : int
    """

    def __init__(self, SparseRows rows, order, bounds, threads, groups, Py_ssize_t n_groups):
        cdef Py_ssize_t b, i, before = 0
        self.rows, self.group_array, self.n_groups = rows, groups, n_groups
        self.group = NULL if groups is None else integers(groups, (rows.n,))
        self.n_batches, self.max_batch = len(bounds) - 1, np.diff(bounds).max()
        self.n_tiles = (rows.d + SKGD_TILE - 1) // SKGD_TILE
        self.n_segments = self.n_tiles * n_groups
        starts = np.zeros((self.n_batches, self.n_segments + 1), dtype=np.intp)
        self.row, self.bound = integers(order, (len(order),)), integers(bounds, (len(bounds),))
        self.start = writeable_integers(starts, starts.shape)
        for b in range(self.n_batches):
            self.start[b * (self.n_segments + 1)] = before
            for i in range(self.bound[b], self.bound[b + 1]):
                before += rows.start(self.row[i] + 1) - rows.start(self.row[i])
            # Each segment has whole groups of parts, which are filled up with zeros.
            before = whole_parts(before + self.n_segments * (SKGD_PARTS - 1))
        values, places = np.zeros(before), np.zeros(before, dtype=np.uint32)
        self.order_array, self.bound_array, self.start_array = order, bounds, starts
        self.value_array, self.place_array = values, places
        self.values = writeable_floats(values, (before,))
        self.places = <uint32_t*><size_t>places.__array_interface__["data"][0]
        threads.map(self._fill, range(self.n_batches))

    def _fill(self, Py_ssize_t b):
        """Lay out what a batch stores, by groups of rows and by tiles."""
        cdef Py_ssize_t i, row, first, segment
        cdef Py_ssize_t* start = self.start + b * (self.n_segments + 1)
        nexts = np.empty(self.n_segments, dtype=np.intp)
        cdef Py_ssize_t* next = writeable_integers(nexts, nexts.shape)
        cdef SparseRows rows = self.rows
        with nogil:
            for i in range(self.bound[b], self.bound[b + 1]):
                row = self.row[i]
                rows.kernels.count(rows.indices, rows.start(row), rows.start(row + 1),
                                   start + 1 + self.first_segment(row))
            for segment in range(self.n_segments):
                start[segment + 1] = start[segment] + whole_parts(start[segment + 1])
            memcpy(next, start, self.n_segments * sizeof(Py_ssize_t))
            for i in range(self.bound[b], self.bound[b + 1]):
                row = self.row[i]
                first = self.first_segment(row)
                rows.kernels.cut(rows.data, rows.indices, rows.start(row), rows.start(row + 1),
                                 i - self.bound[b], start + 1 + first, next + first,
                                 self.values, self.places)

    cdef inline Py_ssize_t first_segment(self, Py_ssize_t row) noexcept nogil:
        """Return the segment of a row's group in the first tile."""
        return 0 if self.group == NULL else self.group[row] * self.n_tiles

    cdef Py_ssize_t size(self, Py_ssize_t b) noexcept nogil:
        return self.bound[b + 1] - self.bound[b]

    cdef void dot(self, const Py_ssize_t* members, Py_ssize_t b, Py_ssize_t tile, const double* w,
                  double* z) noexcept nogil:
        """Add the products of a batch with the coefficients of a tile to its margins.

        Of the groups of rows that are members.
        """
        cdef Py_ssize_t group
        cdef Py_ssize_t* start = self.start + b * (self.n_segments + 1) + tile
        for group in range(self.n_groups):
            if members[group]:
                skgd_tile_dot(start[1] - start[0], self.values + start[0], self.places + start[0],
                              w, z)
            start += self.n_tiles

    cdef void dot_all(self, const Py_ssize_t* members, Py_ssize_t b, const double* w,
                      double* z) noexcept nogil:
        cdef Py_ssize_t tile
        for tile in range(self.n_tiles):
            self.dot(members, b, tile, w + tile * SKGD_TILE, z)

    cdef void add(self, const Py_ssize_t* members, Py_ssize_t b, Py_ssize_t tile, const double* dz,
                  double* g) noexcept nogil:
        """Add a batch's rows times the loss's derivatives to the gradient of a tile."""
        cdef Py_ssize_t group
        cdef Py_ssize_t* start = self.start + b * (self.n_segments + 1) + tile
        for group in range(self.n_groups):
            if members[group]:
                skgd_tile_add(start[1] - start[0], self.values + start[0], self.places + start[0],
                              dz, g)
            start += self.n_tiles


cdef class TiledSteps:
    """Steps of a model along batches that are cut into tiles.

    Parameters
    ----------
    parameters : Parameters
        Elementwise, of a problem with sparse rows; changed in place.
    weight_scale
        As for `Sweep`.
    """

    def __init__(self, Parameters parameters not None, double weight_scale):
        self.problem, self.parameters = parameters.problem, parameters
        self.weight_scale = weight_scale

    cdef int run(self, Tiles tiles, const Py_ssize_t* members, const double* rate, Py_ssize_t t,
                 Py_ssize_t averaged) except -1:
        """Take one step for each of the batches that are cut into tiles, along member groups."""
        cdef Py_ssize_t b, c, max_batch = tiles.max_batch, k = self.parameters.k
        if self.space is None:
            self.space = Workspace(self.problem.rows, k)
        # The margins of a batch and the gradients with respect to them; a tile's gradient and
        # coefficients, on whole cache lines.
        margins, tile = np.empty((2, k, max_batch)), np.zeros(2 * SKGD_TILE + SKGD_LANES)
        cdef double* z = writeable_floats(margins, margins.shape)
        cdef double* dz = z + k * max_batch
        cdef double* g = writeable_floats(tile, tile.shape)
        cdef double average_weight
        g += (64 - <size_t>g % 64) % 64 // sizeof(double)
        with nogil:
            for c in range(k):
                memset(z + c * max_batch, 0, tiles.size(0) * sizeof(double))
                tiles.dot_all(members, 0, self.parameters.w + c * self.parameters.p,
                              z + c * max_batch)
            for b in range(tiles.n_batches):
                average_weight = 1.0 / (averaged + b + 1) if averaged >= 0 else 0.0
                self.add_margin_gradients(tiles, b, z, dz)
                for c in range(k):
                    memset(z + c * max_batch, 0, max_batch * sizeof(double))
                    self.step_output(tiles, members, b, c, z + c * max_batch, dz + c * max_batch,
                                     g, rate[b], t + b, average_weight)
            for c in range(k):
                self.parameters.refresh(c)
        return 0

    cdef int add_margin_gradients(self, Tiles tiles, Py_ssize_t b, const double* z,
                                  double* dz) except -1 nogil:
        """Turn a batch's margins into the loss's derivatives, whose sum goes to the intercept."""
        cdef const Py_ssize_t* index = tiles.row + tiles.bound[b]
        cdef Py_ssize_t i = 0, m, c, size = tiles.size(b), k = self.parameters.k
        cdef double unused = 0.0
        cdef double* g_intercept = self.parameters.intercept_of(self.parameters.g, &unused)
        cdef Py_ssize_t stride = self.parameters.intercept_stride()
        for c in range(k):
            g_intercept[c * stride] = 0.0
        while i < size:
            m = min(size - i, <Py_ssize_t>BLOCK)
            for c in range(k):
                memcpy(self.space.z + c * m, z + c * tiles.max_batch + i, m * sizeof(double))
            self.space.begin_block()
            self.problem.prepare(index + i, m, self.space, 0, self.parameters.intercept)
            self.problem.add_margin_gradients(m, self.space, 0, self.weight_scale / size,
                                              g_intercept, stride)
            for c in range(k):
                memcpy(dz + c * tiles.max_batch + i, self.space.dz + c * m, m * sizeof(double))
            i += m
        return 0

    cdef int step_output(self, Tiles tiles, const Py_ssize_t* members, Py_ssize_t b, Py_ssize_t c,
                         double* z, const double* dz, double* g, double rate, Py_ssize_t t,
                         double average_weight) except -1 nogil:
        """Step along a batch's gradient, and take the margins of the next one on the way.

        The coefficients of a tile are made in a buffer behind g, which stays in cache.
        """
        cdef Py_ssize_t tile, first, d = self.parameters.d, p = self.parameters.p
        cdef double mean_margin = 0.0, g_intercept = 0.0
        cdef double* w = g + SKGD_TILE
        if self.parameters.fit_intercept:
            g_intercept = self.parameters.g[c * p + d]
        for tile in range((p + SKGD_TILE - 1) // SKGD_TILE):
            first = tile * SKGD_TILE
            memset(g, 0, SKGD_TILE * sizeof(double))
            if first < d:
                tiles.add(members, b, tile, dz, g)
            if first + SKGD_TILE >= p and self.parameters.fit_intercept:
                g[d - first] = g_intercept
            if self.parameters.identity:
                w = self.parameters.w + c * p + first
            self.parameters.step_part(c, first, g, w, g_intercept, rate, t, average_weight,
                                      &mean_margin)
            if first < d and b + 1 < tiles.n_batches:
                tiles.dot(members, b + 1, tile, w, z)
        self.parameters.refresh_intercept(c, mean_margin)
        return 0


def tiles_fit(bounds):
    """Whether the rows of each batch can be counted in a tile."""
    return np.diff(bounds).max() <= MAX_BATCH


def run_in_tiles(models, order, bounds, rates, Py_ssize_t t, averaged, threads, groups=None,
                 members=None):
    """Take one step per batch with each model, whose parameters stay in cache for many batches.

    The batches are cut once for all; a thread takes the next model that is left.

    Parameters
    ----------
    models : list of TiledSteps
        Of problems that share one Rows object.
    order, bounds, rates, t, averaged
        As for `JointSweep.run`.
    threads : Threads
    groups : intp array of shape (n_samples,) or None
        Groups of rows that have a weight in the same models.
    members : intp array of shape (n_models, n_groups) or None
        Whether the rows of each group have a weight in a model.
    """
    cdef SparseRows rows = (<TiledSteps>models[0]).problem.rows
    cdef Py_ssize_t first = 0, last, n_batches = len(bounds) - 1, n_groups = 1
    if groups is not None:
        n_groups = members.shape[1]
        n_tiles = (rows.d + SKGD_TILE - 1) // SKGD_TILE
        numbers = (bounds[n_batches] - bounds[0]) * rows.row_nnz
        if numbers < MIN_SEGMENT * n_groups * n_tiles * n_batches:
            groups, n_groups = None, 1
    if groups is None:
        members = np.ones((len(models), 1), dtype=np.intp)

    def step(job):
        model, member, rate, count = job
        part = rate[first:last]
        (<TiledSteps>model).run(tiles, integers(member, (n_groups,)),
                                floats(part, (last - first,)), t + first,
                                count + first if count >= 0 else -1)

    while first < n_batches:
        # At least one.
        farthest = bounds[first] + max(1, int(MAX_TILED_VALUES / rows.row_nnz))
        last = max(first + 1, np.searchsorted(bounds, farthest, side="right") - 1)
        part = np.ascontiguousarray(bounds[first:last + 1])
        tiles = Tiles(rows, order, part, threads, groups, n_groups)
        threads.map(step, zip(models, members, rates, averaged, strict=True))
        first = last
