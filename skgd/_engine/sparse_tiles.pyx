# cython: language_level=3, cdivision=True
"""Mini-batch steps over CSR rows, tile by tile of columns, for rules that work elementwise.

A batch's gradient touches every tile of columns once. While a tile's parameters are in the nearest
cache, its gradient is summed, its parameters take their step, and the margins of the next batch
take the new coefficients in. What a batch stores in a tile is read once for several outputs, which
lie side by side for each row and each column; their parameters lie apart.
"""

import numpy as np

from libc.stdint cimport uint32_t
from libc.string cimport memcpy, memset

from skgd._engine.arrays cimport floats, integers, writeable_floats, writeable_integers
from skgd._engine.parameters cimport Parameters
from skgd._engine.rows cimport BLOCK, SKGD_LANES, SKGD_TILE, SparseRows, Workspace

cdef extern from "transpose.h" nogil:
    void skgd_transpose(Py_ssize_t m, Py_ssize_t k, const double* numbers, Py_ssize_t stride,
                        double* out, Py_ssize_t out_stride)

cdef extern from "rows.h" nogil:
    enum:
        SKGD_PARTS

cdef extern from "sparse_tiles.h" nogil:
    void skgd_lay_apart(const double* numbers, Py_ssize_t stride, double* out)
    void skgd_lay_abreast(const double* numbers, Py_ssize_t stride, double* out)
    void skgd_tile_dot(Py_ssize_t n, const double* x, const uint32_t* place, const double* w,
                       double* z)
    void skgd_tile_add(Py_ssize_t n, const double* x, const uint32_t* place, const double* dz,
                       double* g)

cdef enum:
    MAX_BATCH = 65535  # rows of a batch, whose numbers share 32 bits with those of columns
    # Of batches that are cut into tiles at once, 25 MB. Models then come into cache less often: ten
    # epochs of 80 models (20 000 x 30 000) took 8.1 s, 8.6 with half of it and 9.7 with an eighth.
    MAX_TILED_VALUES = 2097152
    # Numbers of a group of rows in a tile, on average, from which groups pay for the zeros that
    # fill each up: with 87, an epoch of 80 models on five folds (20 000 x 30 000) took 1.11 to
    # 1.20 s, and 1.10 to 1.33 s without groups.
    MIN_SEGMENT = 64
    # Numbers between the outputs of a tile that lie apart: no output displaces another in cache.
    TILE_STRIDE = SKGD_TILE + SKGD_LANES


cdef inline Py_ssize_t whole_parts(Py_ssize_t n) noexcept nogil:
    """Return the least multiple of SKGD_PARTS that is at least n."""
    return (n + SKGD_PARTS - 1) // SKGD_PARTS * SKGD_PARTS


cdef class Tiles:
    """Batches of CSR rows, cut into tiles of columns: what a batch stores in a tile lies together.

    Where models leave out groups of rows, what a tile has of a group lies together, next to what it
    has of the next group.

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
        """Lay out what a batch stores, by tiles and by groups of rows."""
        cdef Py_ssize_t i, row, group, segment
        cdef Py_ssize_t* start = self.start + b * (self.n_segments + 1)
        nexts = np.empty(self.n_segments, dtype=np.intp)
        cdef Py_ssize_t* next = writeable_integers(nexts, nexts.shape)
        cdef SparseRows rows = self.rows
        with nogil:
            for i in range(self.bound[b], self.bound[b + 1]):
                row = self.row[i]
                group = 0 if self.group == NULL else self.group[row]
                rows.kernels.count(rows.indices, rows.start(row), rows.start(row + 1),
                                   self.n_groups, start + 1 + group)
            for segment in range(self.n_segments):
                start[segment + 1] = start[segment] + whole_parts(start[segment + 1])
            memcpy(next, start, self.n_segments * sizeof(Py_ssize_t))
            for i in range(self.bound[b], self.bound[b + 1]):
                row = self.row[i]
                group = 0 if self.group == NULL else self.group[row]
                rows.kernels.cut(rows.data, rows.indices, rows.start(row), rows.start(row + 1),
                                 self.n_groups, i - self.bound[b], start + group, next + group,
                                 self.values, self.places)

    cdef Py_ssize_t size(self, Py_ssize_t b) noexcept nogil:
        return self.bound[b + 1] - self.bound[b]

    cdef void dot(self, const Py_ssize_t* runs, Py_ssize_t n_runs, Py_ssize_t b, Py_ssize_t tile,
                  const double* w, double* z) noexcept nogil:
        """Add the products of a batch with the coefficients of a tile to its margins.

        Of the groups of rows in some runs of groups.
        """
        cdef Py_ssize_t i, first, last
        cdef Py_ssize_t* start = self.start + b * (self.n_segments + 1) + tile * self.n_groups
        for i in range(n_runs):
            first, last = start[runs[2 * i]], start[runs[2 * i + 1]]
            skgd_tile_dot(last - first, self.values + first, self.places + first, w, z)

    cdef void add(self, const Py_ssize_t* runs, Py_ssize_t n_runs, Py_ssize_t b, Py_ssize_t tile,
                  const double* dz, double* g) noexcept nogil:
        """Add a batch's rows times the loss's derivatives to the gradient of a tile."""
        cdef Py_ssize_t i, first, last
        cdef Py_ssize_t* start = self.start + b * (self.n_segments + 1) + tile * self.n_groups
        for i in range(n_runs):
            first, last = start[runs[2 * i]], start[runs[2 * i + 1]]
            skgd_tile_add(last - first, self.values + first, self.places + first, dz, g)


cdef class TiledSteps:
    """A model that takes its steps along batches that are cut into tiles.

    Parameters
    ----------
    parameters : Parameters
        Elementwise, of a problem with sparse rows; changed in place.
    weight_scale
        As for `Sweep`.
    """

    def __init__(self, Parameters parameters not None, double weight_scale):
        self.parameters, self.weight_scale = parameters, weight_scale

    cdef void load(self, Py_ssize_t c, Py_ssize_t first, double* g) noexcept nogil:
        """Put the coefficients of output c in a tile into g."""
        memcpy(g, self.parameters.w + c * self.parameters.p + first,
               min(<Py_ssize_t>SKGD_TILE, self.parameters.d - first) * sizeof(double))

    cdef void begin_batch(self) noexcept nogil:
        """Set the derivatives of the intercepts to zero."""
        cdef Py_ssize_t c
        cdef double unused = 0.0
        cdef double* g_intercept = self.parameters.intercept_of(self.parameters.g, &unused)
        for c in range(self.parameters.k):
            g_intercept[c * self.parameters.intercept_stride()] = 0.0

    cdef int add_margin_gradients(self, const Py_ssize_t* index, Py_ssize_t m, Py_ssize_t size,
                                  Workspace space, Py_ssize_t first) except -1 nogil:
        """Turn the margins of a block, of a batch of some size, into the loss's derivatives."""
        cdef double unused = 0.0
        self.parameters.problem.prepare(index, m, space, first, self.parameters.intercept)
        return self.parameters.problem.add_margin_gradients(
            m, space, first, self.weight_scale / size,
            self.parameters.intercept_of(self.parameters.g, &unused),
            self.parameters.intercept_stride()
        )

    cdef int step_part(self, Py_ssize_t c, Py_ssize_t first, double* g, double rate, Py_ssize_t t,
                       Py_ssize_t averaged, double* mean_margin) except -1 nogil:
        """Step the parameters of output c in a tile; its coefficients take the gradient's place.

        A uniform penalty reads no coefficients but where they are the parameters.
        """
        cdef Py_ssize_t d = self.parameters.d, p = self.parameters.p
        cdef double g_intercept = 0.0
        cdef double average_weight = 1.0 / (averaged + 1) if averaged >= 0 else 0.0
        cdef double* w = g
        if first >= p:
            return 0
        if self.parameters.fit_intercept:
            g_intercept = self.parameters.g[c * p + d]
            if first + SKGD_TILE >= p:
                g[d - first] = g_intercept
        if self.parameters.identity:
            w = self.parameters.w + c * p + first
        self.parameters.step_part(c, first, g, w, g_intercept, rate, t, average_weight, mean_margin)
        if self.parameters.identity and first < d:
            self.load(c, first, g)
        return 0


cdef class TiledModels:
    """Models that read the same groups of rows and take their steps together.

    Their outputs are in packs of at most `SKGD_ABREAST`, which lie side by side for each row and
    each column. In what a pack lacks there are numbers that nobody reads.

    Parameters
    ----------
    models : list of TiledSteps
        Of problems that share one Rows object.
    members : intp array of shape (n_groups,)
        Whether the rows of each group have a weight in the models.
    """

    def __init__(self, list models, members):
        self.models, self.n_models = models, len(models)
        self.model_array = np.array([<size_t><void*>each for each in models], dtype=np.intp)
        outputs = [
            (i, c) for i, model in enumerate(models)
            for c in range((<TiledSteps>model).parameters.k)
        ]
        self.output_array, self.k = np.array(outputs, dtype=np.intp), len(outputs)
        self.n_packs = (self.k + SKGD_ABREAST - 1) // SKGD_ABREAST
        edges = np.flatnonzero(np.diff(np.concatenate(([0], members, [0]))))
        self.run_array, self.n_runs = edges, len(edges) // 2
        self.model = integers(self.model_array, (self.n_models,))
        self.output = integers(self.output_array, (self.k, 2))
        self.runs = integers(self.run_array, (2 * self.n_runs,))
        cdef TiledSteps first = models[0]
        self.space = Workspace(first.parameters.problem.rows, self.n_packs * SKGD_ABREAST)

    def run(self, Tiles tiles, rates, Py_ssize_t t, averaged):
        """Take one step for each of the batches that are cut into tiles.

        Parameters
        ----------
        tiles : Tiles
        rates : float64 array of shape (n_models, n_batches)
        t : int
            The number of the first step.
        averaged : intp array of shape (n_models,)
            The number of steps in each running mean before; -1 for no averaging.
        """
        cdef Py_ssize_t b, pack, o, max_batch = tiles.max_batch
        cdef Py_ssize_t size = max_batch * SKGD_ABREAST
        cdef Py_ssize_t room = (SKGD_TILE + TILE_STRIDE) * SKGD_ABREAST
        cdef const double* rate = floats(rates, (self.n_models, tiles.n_batches))
        cdef const Py_ssize_t* count = integers(averaged, (self.n_models,))
        # The margins of a batch, the derivatives with respect to them, and a tile's numbers side by
        # side and output by output: each on whole cache lines.
        numbers = np.zeros(2 * self.n_packs * size + room + SKGD_LANES)
        cdef double* tile_room = writeable_floats(numbers, numbers.shape)
        tile_room += (64 - <size_t>tile_room % 64) % 64 // sizeof(double)
        cdef double* z = tile_room + room
        cdef double* dz = z + self.n_packs * size
        with nogil:
            self.begin(tiles, z, tile_room)
            for b in range(tiles.n_batches):
                self.add_margin_gradients(tiles, b, z, dz)
                for pack in range(self.n_packs):
                    memset(z + pack * size, 0, size * sizeof(double))
                    self.step_pack(tiles, pack, b, dz + pack * size, z + pack * size, tile_room,
                                   rate, t, count)
            for o in range(self.k):
                (<TiledSteps><void*>self.model[self.output[2 * o]]).parameters.refresh(
                    self.output[2 * o + 1]
                )

    cdef void begin(self, Tiles tiles, double* z, double* tile_room) noexcept nogil:
        """Set z to the margins of the first batch."""
        cdef Py_ssize_t pack, tile, size = tiles.max_batch * SKGD_ABREAST
        cdef double* g = tile_room + SKGD_TILE * SKGD_ABREAST
        for pack in range(self.n_packs):
            for tile in range(tiles.n_tiles):
                self.load(pack, tile, g)
                skgd_lay_abreast(g, TILE_STRIDE, tile_room)
                tiles.dot(self.runs, self.n_runs, 0, tile, tile_room, z + pack * size)

    cdef void load(self, Py_ssize_t pack, Py_ssize_t tile, double* g) noexcept nogil:
        """Put the coefficients of a tile into g, output by output."""
        cdef Py_ssize_t o, begin = pack * SKGD_ABREAST
        for o in range(begin, min(begin + SKGD_ABREAST, self.k)):
            (<TiledSteps><void*>self.model[self.output[2 * o]]).load(
                self.output[2 * o + 1], tile * SKGD_TILE, g + (o - begin) * TILE_STRIDE
            )

    cdef int add_margin_gradients(self, Tiles tiles, Py_ssize_t b, const double* z,
                                  double* dz) except -1 nogil:
        """Turn a batch's margins into the loss's derivatives, whose sums go to the intercepts."""
        cdef const Py_ssize_t* index = tiles.row + tiles.bound[b]
        cdef Py_ssize_t i = 0, o, m, pack, at, size = tiles.size(b)
        for o in range(self.n_models):
            (<TiledSteps><void*>self.model[o]).begin_batch()
        while i < size:
            m = min(size - i, <Py_ssize_t>BLOCK)
            for pack in range(self.n_packs):
                at = (pack * tiles.max_batch + i) * SKGD_ABREAST
                skgd_transpose(m, SKGD_ABREAST, z + at, SKGD_ABREAST,
                               self.space.z + pack * SKGD_ABREAST * m, m)
            self.space.begin_block()
            for o in range(self.k):
                if self.output[2 * o + 1] == 0:
                    (<TiledSteps><void*>self.model[self.output[2 * o]]).add_margin_gradients(
                        index + i, m, size, self.space, o
                    )
            for pack in range(self.n_packs):
                at = (pack * tiles.max_batch + i) * SKGD_ABREAST
                skgd_transpose(SKGD_ABREAST, m, self.space.dz + pack * SKGD_ABREAST * m, m,
                               dz + at, SKGD_ABREAST)
            i += m
        return 0

    cdef int step_pack(self, Tiles tiles, Py_ssize_t pack, Py_ssize_t b, const double* dz,
                       double* z, double* tile_room, const double* rates, Py_ssize_t t,
                       const Py_ssize_t* averaged) except -1 nogil:
        """Step along a batch's gradient, and take the margins of the next one on the way.

        Gradients and coefficients of a tile are made in two rooms, which stay in cache.
        """
        cdef Py_ssize_t tile, first, o, i, d = tiles.rows.d, begin = pack * SKGD_ABREAST
        cdef double mean_margin[SKGD_ABREAST]
        cdef double* g = tile_room + SKGD_TILE * SKGD_ABREAST
        memset(mean_margin, 0, SKGD_ABREAST * sizeof(double))
        # The intercepts may lie beyond the last tile of columns.
        for tile in range(d // SKGD_TILE + 1):
            first = tile * SKGD_TILE
            memset(tile_room, 0, SKGD_TILE * SKGD_ABREAST * sizeof(double))
            if first < d:
                tiles.add(self.runs, self.n_runs, b, tile, dz, tile_room)
            skgd_lay_apart(tile_room, TILE_STRIDE, g)
            for o in range(begin, min(begin + SKGD_ABREAST, self.k)):
                i = self.output[2 * o]
                (<TiledSteps><void*>self.model[i]).step_part(
                    self.output[2 * o + 1], first, g + (o - begin) * TILE_STRIDE,
                    rates[i * tiles.n_batches + b], t + b,
                    averaged[i] + b if averaged[i] >= 0 else -1, mean_margin + o - begin
                )
            if first < d and b + 1 < tiles.n_batches:
                skgd_lay_abreast(g, TILE_STRIDE, tile_room)
                tiles.dot(self.runs, self.n_runs, b + 1, tile, tile_room, z)
        for o in range(begin, min(begin + SKGD_ABREAST, self.k)):
            (<TiledSteps><void*>self.model[self.output[2 * o]]).parameters.refresh_intercept(
                self.output[2 * o + 1], mean_margin[o - begin]
            )
        return 0


def tiles_fit(bounds):
    """Whether the rows of each batch can be counted in a tile."""
    return np.diff(bounds).max() <= MAX_BATCH


def together(models, members):
    """Return the numbers of models that fill packs of outputs, and read the same groups of rows."""
    alike, found = {}, []
    for i, model in enumerate(models):
        alike.setdefault((members[i].tobytes(), (<TiledSteps>model).parameters.k), []).append(i)
    for (_, k), several in alike.items():
        n_models = max(1, SKGD_ABREAST // k)
        found += np.array_split(several, -(-len(several) // n_models))
    return found


def run_in_tiles(models, order, bounds, rates, Py_ssize_t t, averaged, threads, groups=None,
                 members=None):
    """Take one step per batch with each model, whose parameters stay in cache for many batches.

    The batches are cut once for all; a thread takes the next few models that are left.

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
    cdef SparseRows rows = (<TiledSteps>models[0]).parameters.problem.rows
    cdef Py_ssize_t first = 0, last, n_batches = len(bounds) - 1, n_groups = 1
    if groups is not None:
        n_groups = members.shape[1]
        n_tiles = (rows.d + SKGD_TILE - 1) // SKGD_TILE
        numbers = (bounds[n_batches] - bounds[0]) * rows.row_nnz
        if numbers < MIN_SEGMENT * n_groups * n_tiles * n_batches:
            groups, n_groups = None, 1
    if groups is None:
        members = np.ones((len(models), 1), dtype=np.intp)
    averaged = np.array(averaged, dtype=np.intp)
    jobs = [
        (TiledModels([models[i] for i in several], members[several[0]]), several)
        for several in together(models, members)
    ]

    def step(job):
        several, numbers = job
        counts = averaged[numbers]
        (<TiledModels>several).run(
            tiles, np.ascontiguousarray(rates[numbers, first:last]), t + first,
            np.where(counts >= 0, counts + first, -1)
        )

    while first < n_batches:
        # At least one.
        farthest = bounds[first] + max(1, int(MAX_TILED_VALUES / rows.row_nnz))
        last = max(first + 1, np.searchsorted(bounds, farthest, side="right") - 1)
        part = np.ascontiguousarray(bounds[first:last + 1])
        tiles = Tiles(rows, order, part, threads, groups, n_groups)
        threads.map(step, jobs)
        first = last
