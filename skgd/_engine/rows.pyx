# cython: language_level=3, cdivision=True
"""Rows of X, dense and CSR: margins ``X w``, gradients ``X' dz``, weighted moments of columns.

X is read where it lies, in its own dtype and layout, in blocks of at most 64 rows that stay in
cache. A thread's workspace holds what belongs to its block: targets, margins and the loss's
gradient with respect to the margins.
"""

from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from skgd._engine.arrays cimport floats, writeable_floats, writeable_integers

cdef extern from "dense.h" nogil:
    void skgd_dot_f64(const char** rows, Py_ssize_t m, Py_ssize_t d, const double* w, double* z,
                      skgd_prefetch_queue* queue)
    void skgd_dot_f32(const char** rows, Py_ssize_t m, Py_ssize_t d, const double* w, double* z,
                      skgd_prefetch_queue* queue)
    void skgd_add_f64(const char** rows, Py_ssize_t m, Py_ssize_t d, const double* c, double* g,
                      skgd_prefetch_queue* queue)
    void skgd_add_f32(const char** rows, Py_ssize_t m, Py_ssize_t d, const double* c, double* g,
                      skgd_prefetch_queue* queue)
    void skgd_pack_f64(const char** rows, Py_ssize_t m, Py_ssize_t d, Py_ssize_t stride,
                       Py_ssize_t out_stride, double* out)
    void skgd_pack_f32(const char** rows, Py_ssize_t m, Py_ssize_t d, Py_ssize_t stride,
                       Py_ssize_t out_stride, double* out)
    double skgd_moments_f64(const char** rows, Py_ssize_t m, Py_ssize_t d, const double* s,
                            double weight, double* mean, double* deviation, double* first)
    double skgd_moments_f32(const char** rows, Py_ssize_t m, Py_ssize_t d, const double* s,
                            double weight, double* mean, double* deviation, double* first)
    void skgd_load_row_f64(const char* row, Py_ssize_t d, const double* mean, double* out)
    void skgd_load_row_f32(const char* row, Py_ssize_t d, const double* mean, double* out)

cdef extern from "sparse.h" nogil:
    const skgd_csr_kernels skgd_csr[2][2]

cdef extern from "products.h" nogil:
    enum:
        SKGD_SIDE
    void skgd_margins(const double* columns, Py_ssize_t stride, Py_ssize_t m, Py_ssize_t d,
                      Py_ssize_t k, const double** w, double* z, skgd_prefetch_queue* queue)
    void skgd_gradients(const double* rows, Py_ssize_t stride, Py_ssize_t m, Py_ssize_t d,
                        Py_ssize_t k, const double* dz, double** g, skgd_prefetch_queue* queue)

cdef extern from "transpose.h" nogil:
    void skgd_transpose(Py_ssize_t m, Py_ssize_t k, const double* numbers, Py_ssize_t stride,
                        double* out, Py_ssize_t out_stride)

cdef enum:
    MIN_BLOCK = 8  # rows of a block, at least
    DRAWN = 32  # places of a random order that are drawn together
    # Bytes of a row that are fetched ahead, at most: the rest comes by itself, once it is begun.
    # Random rows of 800 bytes took 0.90 to 0.96 of the time with them, of 400 bytes 0.96.
    MAX_PREFETCHED_BYTES = 256
    NUMBERS_AHEAD = 512  # numbers of sparse rows between a prefetch and its use, one by one
    # Rows between a prefetch and a step along one dense row. Of 4, 8, 16 and 24, 8 was the fastest
    # or within noise of it at 20, 100, 300 and 1000 columns.
    DENSE_PREFETCH_DISTANCE = 8
    L1_NUMBERS = 4096  # numbers of a block, of which two fit into the nearest cache
    # Numbers of a block for many outputs, of which two fit into the second-level cache. A pass with
    # ten outputs over 3750 x 784 took 21 ms with blocks of L1_NUMBERS, and 11 ms with these.
    L2_NUMBERS = 16384

# Numbers of X that one chunk of a full pass reads: a millisecond or so, whatever the threads.
CHUNK = 2**20
# As many for each column where a chunk needs room for all columns, but no more than take 0.1 s.
CHUNK_OF_COLUMN, LARGEST_CHUNK = 32, 2**23
# The share of a column's mean square that its variance must have to be their difference: with more,
# at most two digits are lost.
cdef double CANCELLED = 0.01


def chunk_starts(Rows rows, n, *, by_column=False):
    """Return where the chunks of a pass over n rows begin; they depend only on the data.

    By column, chunks are larger where there are many columns.
    """
    numbers = CHUNK
    if by_column:
        numbers = max(CHUNK, min(LARGEST_CHUNK, CHUNK_OF_COLUMN * rows.d))
    return range(0, n, BLOCK * max(1, int(numbers / rows.row_nnz) // BLOCK))


def in_chunks(Rows rows, n, function, n_threads, *, by_column=False):
    """Yield what a function returns for each chunk, of rows start to stop, in order.

    At most a few results wait for their turn.
    """
    starts = chunk_starts(rows, n, by_column=by_column)
    ends = [(start, min(start + starts.step, n)) for start in starts]
    if n_threads == 1 or len(ends) == 1:
        for chunk in ends:
            yield function(*chunk)
        return
    under_way = deque()
    with ThreadPoolExecutor(n_threads) as pool:
        for chunk in ends:
            if len(under_way) == 2 * n_threads:
                yield under_way.popleft().result()
            under_way.append(pool.submit(function, *chunk))
        while under_way:
            yield under_way.popleft().result()


cdef Py_ssize_t ceil_div(Py_ssize_t n, Py_ssize_t size) noexcept nogil:
    """Return n / size, rounded up."""
    return (n + size - 1) // size


cdef Py_ssize_t padded(Py_ssize_t n) noexcept nogil:
    """Return the least multiple of SKGD_LANES that is at least n."""
    return ceil_div(n, SKGD_LANES) * SKGD_LANES


cdef const double* checked_weights(Rows rows, weights, Py_ssize_t start,
                                   Py_ssize_t stop) except? NULL:
    """Return the weights of all rows, NULL for none, after a check of the range of rows."""
    if not 0 <= start <= stop <= rows.n:
        raise ValueError(f"start={start}, stop={stop}: pass row numbers up to {rows.n}.")
    return NULL if weights is None else floats(weights, (rows.n,))


cdef class Rows:
    """Rows of X, read where they lie; `add` follows `dot` over the same block of rows."""

    def moments(self, weights, Py_ssize_t start, Py_ssize_t stop, mean, deviation):
        """Set the means and sums of squared deviations of some rows; return their weight."""
        raise NotImplementedError

    cdef void dot(self, const Py_ssize_t* index, Py_ssize_t m, Workspace space) noexcept nogil:
        """Set z of the workspace to the products of m rows with each w of the workspace."""

    cdef void add(self, const Py_ssize_t* index, Py_ssize_t m, Workspace space) noexcept nogil:
        """Add the m rows times dz of the workspace to each g of the workspace."""

    cdef void queue_prefetch(self, const Py_ssize_t* index, Py_ssize_t m, bint adds,
                             Workspace space) noexcept nogil:
        """Prefetch m rows of the next block while `dot`, and `add` if it follows, work on one."""


cdef class DenseRows(Rows):
    def __init__(self, X):
        self.arrays = X
        self.n, self.d = X.shape
        self.row_nnz = self.d
        self.block = max(MIN_BLOCK, min(BLOCK, L1_NUMBERS // self.d // 4 * 4))
        self.ahead = max(4, min(DENSE_PREFETCH_DISTANCE, 8 * L1_NUMBERS // self.d))
        self.row_stride, self.column_stride = X.strides
        self.base = <const char*><size_t>X.__array_interface__["data"][0]
        # Rows whose numbers are not adjacent are copied, a block at a time.
        self.packed = self.column_stride != X.itemsize
        if X.dtype == np.float64:
            self.pack_rows = skgd_pack_f64
        else:
            self.pack_rows = skgd_pack_f32
        if self.packed or X.dtype == np.float64:
            self.dot_rows, self.add_rows = skgd_dot_f64, skgd_add_f64
            self.moments_of_rows = skgd_moments_f64
            self.load_row = skgd_load_row_f64
        else:
            self.dot_rows, self.add_rows = skgd_dot_f32, skgd_add_f32
            self.moments_of_rows = skgd_moments_f32
            self.load_row = skgd_load_row_f32

    cdef void locate(self, const Py_ssize_t* index, Py_ssize_t m, Workspace space,
                     const char** rows) noexcept nogil:
        """Point at m rows, or at the copies of them that `dot` has made."""
        cdef Py_ssize_t i
        if space.packed != NULL:
            for i in range(m):
                rows[i] = <const char*>(space.packed + i * space.padded_d)
        else:
            for i in range(m):
                rows[i] = self.base + index[i] * self.row_stride

    cdef void dot(self, const Py_ssize_t* index, Py_ssize_t m, Workspace space) noexcept nogil:
        cdef const char* rows[BLOCK]
        cdef Py_ssize_t i, c, stride
        if space.packed != NULL:
            for i in range(m):
                rows[i] = self.base + index[i] * self.row_stride
            self.pack_rows(rows, m, self.d, self.column_stride, space.padded_d, space.packed)
        if space.columns != NULL:
            # In whole groups both ways, where there is room for more than the block. Columns that
            # are an odd number of cache lines apart do not displace each other.
            stride = (padded(m) // SKGD_LANES | 1) * SKGD_LANES
            skgd_transpose(padded(m), space.padded_d, space.packed, space.padded_d, space.columns,
                           stride)
            skgd_margins(space.columns, stride, m, self.d, space.k, space.w, space.z, &space.queue)
        else:
            self.locate(index, m, space, rows)
            for c in range(space.k):
                self.dot_rows(rows, m, self.d, space.w[c], space.z + c * m, &space.queue)

    cdef void add(self, const Py_ssize_t* index, Py_ssize_t m, Workspace space) noexcept nogil:
        cdef const char* rows[BLOCK]
        cdef Py_ssize_t c
        if space.columns != NULL:
            skgd_gradients(space.packed, space.padded_d, m, self.d, space.k, space.dz, space.g,
                           &space.queue)
        else:
            self.locate(index, m, space, rows)
            for c in range(space.k):
                self.add_rows(rows, m, self.d, space.dz + c * m, space.g[c], &space.queue)

    def moments(self, weights, Py_ssize_t start, Py_ssize_t stop, mean, deviation):
        cdef double* m = writeable_floats(mean, (self.d,))
        cdef double* v = writeable_floats(deviation, (self.d,))
        cdef const double* s = checked_weights(self, weights, start, stop)
        cdef const char* rows[BLOCK]
        cdef Py_ssize_t i, size, row = start
        cdef double weight = 0.0
        scratch = np.empty((BLOCK if self.packed else 0) * self.d + self.d)
        cdef double* first = writeable_floats(scratch, scratch.shape)
        cdef double* packed = first + self.d
        mean[:] = deviation[:] = 0.0
        with nogil:
            while row < stop:
                size = min(stop - row, <Py_ssize_t>BLOCK)
                for i in range(size):
                    rows[i] = self.base + (row + i) * self.row_stride
                if self.packed:
                    self.pack_rows(rows, size, self.d, self.column_stride, self.d, packed)
                    for i in range(size):
                        rows[i] = <const char*>(packed + i * self.d)
                weight += self.moments_of_rows(
                    rows, size, self.d, NULL if s == NULL else s + row, weight, m, v, first
                )
                row += size
        return weight

    cdef void queue_prefetch(self, const Py_ssize_t* index, Py_ssize_t m, bint adds,
                             Workspace space) noexcept nogil:
        cdef Py_ssize_t tiles
        # No rows to come have no pace, and a thread's next section may lie beyond the order's end.
        space.queue.n = 0
        if self.packed or m <= 0:
            return
        space.queue.base, space.queue.stride = self.base, self.row_stride
        space.queue.bytes = min(self.d * self.column_stride, <Py_ssize_t>MAX_PREFETCHED_BYTES)
        space.queue.row, space.queue.n = index, m
        space.queue.pace = 2 if adds else 4
        if space.columns != NULL:
            # With every tile of the products.
            tiles = ceil_div(ceil_div(m, SKGD_LANES), SKGD_SIDE)
            if adds:
                tiles += ceil_div(ceil_div(self.d, SKGD_LANES), SKGD_SIDE)
            space.queue.pace = 1 + m // (ceil_div(space.k, SKGD_SIDE) * tiles)


cdef class SparseRows(Rows):
    def __init__(self, X):
        self.arrays = (X.data, X.indices, X.indptr)
        self.n, self.d = X.shape
        self.row_nnz = max(1.0, X.nnz / max(1, self.n))
        self.block = BLOCK
        self.data = <const void*><size_t>X.data.__array_interface__["data"][0]
        self.indices = <const void*><size_t>X.indices.__array_interface__["data"][0]
        self.indptr = <const void*><size_t>X.indptr.__array_interface__["data"][0]
        self.wide = X.indices.dtype == np.int64
        self.itemsize, self.index_size = X.data.itemsize, X.indices.itemsize
        self.ahead = max(2, min(PREFETCH_DISTANCE, int(NUMBERS_AHEAD / self.row_nnz)))
        self.max_row_nnz = max(1, int(np.diff(X.indptr).max()))
        self.canonical = X.has_canonical_format
        self.kernels = &skgd_csr[X.data.dtype == np.float32][self.wide]

    def moments(self, weights, Py_ssize_t start, Py_ssize_t stop, mean, deviation):
        cdef double* m = writeable_floats(mean, (self.d,))
        cdef double* v = writeable_floats(deviation, (self.d,))
        cdef const double* s = checked_weights(self, weights, start, stop)
        cdef Py_ssize_t i, j
        cdef double first, second, row_weight, weight = 0.0
        cdef bint any_chosen = False
        scratch, chosen = np.zeros(2 * self.d + SKGD_LANES), bytearray(self.d)
        cdef double* sums = writeable_floats(scratch, scratch.shape)
        cdef char* is_chosen = chosen
        sums += <size_t>sums % 16 // sizeof(double)  # no two numbers of a column on two cache lines
        mean[:] = deviation[:] = 0.0
        with nogil:
            for i in range(start, stop):
                row_weight = s[i] if s != NULL else 1.0
                if row_weight != 0.0:
                    weight += row_weight
                    self.kernels.square(self.data, self.indices, self.start(i), self.start(i + 1),
                                        self.start(stop), row_weight, sums)
            for j in range(self.d):
                first, second = sums[2 * j], sums[2 * j + 1]
                if first == 0.0 and second == 0.0:
                    continue
                m[j] = first / weight
                v[j] = second - first * m[j]
                # What is not a number is chosen, too.
                is_chosen[j] = not v[j] > CANCELLED * second
                any_chosen |= is_chosen[j]
        if any_chosen:
            self.spread(s, start, stop, weight, is_chosen, m, v)
        return weight

    cdef int spread(self, const double* s, Py_ssize_t start, Py_ssize_t stop, double weight,
                    const char* chosen, double* mean, double* deviation) except -1:
        """Set the moments of chosen columns by sums about the first number of each."""
        cdef Py_ssize_t i, j
        cdef double change, stored_mean, row_weight
        cdef skgd_column_sums* sum
        # On whole cache lines.
        scratch = np.zeros(4 * self.d + SKGD_LANES)
        cdef double* first = writeable_floats(scratch, scratch.shape)
        cdef skgd_column_sums* sums = <skgd_column_sums*>(
            first + (64 - <size_t>first % 64) % 64 // sizeof(double)
        )
        with nogil:
            for i in range(start, stop):
                row_weight = s[i] if s != NULL else 1.0
                if row_weight != 0.0:
                    self.kernels.spread(self.data, self.indices, self.start(i), self.start(i + 1),
                                        self.start(stop), row_weight, chosen, sums)
            for j in range(self.d):
                sum = sums + j
                if sum.weight == 0.0:
                    continue
                # About the mean of what is stored, and then about that of all with the zeros.
                change = sum.first / sum.weight
                stored_mean = sum.origin + change
                mean[j] = stored_mean * (sum.weight / weight)
                deviation[j] = sum.second - sum.first * change
                # Not by max(), which would lose what is not a number.
                deviation[j] = 0.0 if deviation[j] < 0.0 else deviation[j]
                if sum.weight < weight:
                    deviation[j] += stored_mean * mean[j] * (weight - sum.weight)
        return 0

    cdef void dot(self, const Py_ssize_t* index, Py_ssize_t m, Workspace space) noexcept nogil:
        cdef Py_ssize_t i, c
        if space.padded_k:
            for i in range(m):
                if i + 1 < m:
                    self.fetch(index[i + 1], space.padded_k, space.w_by_feature)
                self.row_dot(self.start(index[i]), self.start(index[i] + 1), space.padded_k,
                             space.w_by_feature, space.values_by_row + i * space.padded_k)
            skgd_transpose(m, space.k, space.values_by_row, space.padded_k, space.z, m)
            return
        for c in range(space.k):
            for i in range(m):
                if i < space.queue.n and c == 0:
                    self.prefetch(space.queue.row[i])
                self.row_dot(self.start(index[i]), self.start(index[i] + 1), 1, space.w[c],
                             space.z + c * m + i)

    cdef void add(self, const Py_ssize_t* index, Py_ssize_t m, Workspace space) noexcept nogil:
        cdef Py_ssize_t i, c
        if space.padded_k:
            skgd_transpose(space.k, m, space.dz, m, space.values_by_row, space.padded_k)
            for i in range(m):
                if i + 1 < m:
                    self.fetch(index[i + 1], space.padded_k, space.g_by_feature)
                self.row_add(self.start(index[i]), self.start(index[i] + 1), space.padded_k,
                             space.values_by_row + i * space.padded_k, space.g_by_feature)
            return
        for c in range(space.k):
            for i in range(m):
                if space.dz[c * m + i] != 0.0:
                    self.row_add(self.start(index[i]), self.start(index[i] + 1), 1,
                                 space.dz + c * m + i, space.g[c])

    cdef void queue_prefetch(self, const Py_ssize_t* index, Py_ssize_t m, bint adds,
                             Workspace space) noexcept nogil:
        space.queue.row, space.queue.n = index, m


def rows_of(X):
    """Return the Rows of a dense array or CSR matrix of float32 or float64, checked for bounds."""
    if hasattr(X, "format") and X.format != "csr":
        raise TypeError(f"X has the sparse format {X.format}: pass CSR.")
    values = X.data if hasattr(X, "format") else X
    if values.dtype not in (np.float64, np.float32) or not values.dtype.isnative:
        raise TypeError(f"X has dtype {values.dtype}: pass float64 or float32.")
    if len(X.shape) != 2 or X.shape[0] < 1 or X.shape[1] < 1:
        raise ValueError(f"X has shape {X.shape}: pass (n_samples, n_features), each at least 1.")
    if values is X:
        return DenseRows(X)
    if X.indices.dtype != X.indptr.dtype:
        raise TypeError("X: pass a CSR matrix whose indices and indptr have one dtype.")
    if X.indices.dtype not in (np.int32, np.int64):
        raise TypeError(f"X has indices of {X.indices.dtype}: pass int32 or int64.")
    for part in (X.data, X.indices, X.indptr):
        if not part.flags.c_contiguous:
            raise ValueError("X: pass a CSR matrix with contiguous data, indices and indptr.")
    starts = X.indptr
    if len(starts) != X.shape[0] + 1 or starts[0] < 0 or np.any(starts[1:] < starts[:-1]):
        raise ValueError("X.indptr: pass n_samples + 1 numbers that never fall.")
    if starts[len(starts) - 1] > min(len(X.data), len(X.indices)):
        raise ValueError("X.indptr: its last number is beyond the end of data or indices.")
    if len(X.indices) and (X.indices.min() < 0 or X.indices.max() >= X.shape[1]):
        raise ValueError(f"X.indices: pass column numbers from 0 to {X.shape[1] - 1}.")
    return SparseRows(X)


cdef class Workspace:
    """A thread's block of targets, margins and gradients with respect to them, for k outputs."""

    def __cinit__(self, Rows rows, Py_ssize_t k):
        cdef bint many = isinstance(rows, DenseRows) and k >= MANY_OUTPUTS
        # In whole cache lines, as pointers are as long as numbers and BLOCK is a multiple.
        cdef Py_ssize_t pointers = padded(k)
        self.arrays = []
        self.k, self.padded_d, self.block = k, padded(rows.d), rows.block
        if many:
            self.block = max(MIN_BLOCK, min(BLOCK, L2_NUMBERS // rows.d // SKGD_LANES * SKGD_LANES))
        cdef double* room = self.allocate(2 * pointers + (3 * k + 1) * BLOCK)
        self.w, self.g = <const double**>room, <double**>(room + pointers)
        self.z = room + 2 * pointers
        self.y, self.dz = self.z + BLOCK * k, self.z + 2 * BLOCK * k
        self.weight = self.z + 3 * BLOCK * k
        self.begin_block()
        if many or (isinstance(rows, DenseRows) and (<DenseRows>rows).packed):
            self.packed = self.allocate(BLOCK * self.padded_d)
        if many:
            self.columns = self.allocate((BLOCK + SKGD_LANES) * self.padded_d)

    cdef double* allocate(self, Py_ssize_t n) except NULL:
        """Return room for as many numbers, from the beginning of a cache line on."""
        block = np.zeros(n + SKGD_LANES)
        self.arrays.append(block)
        cdef double* start = writeable_floats(block, block.shape)
        return start + (64 - <size_t>start % 64) % 64 // sizeof(double)

    cdef int lay_by_feature(self, Py_ssize_t d, const double* w, Py_ssize_t w_stride,
                            bint adds) except -1:
        """Copy the coefficients, outputs `w_stride` numbers apart, into a feature-major layout."""
        self.padded_k = padded(self.k)
        self.w_by_feature = self.allocate(d * self.padded_k)
        self.values_by_row = self.allocate(BLOCK * self.padded_k)
        if adds:
            self.g_by_feature = self.allocate(d * self.padded_k)
        with nogil:
            skgd_transpose(self.k, d, w, w_stride, self.w_by_feature, self.padded_k)
        return 0


def shuffle(order, unsigned long long seed):
    """Put row numbers into a random order, in place (Fisher and Yates, with splitmix64)."""
    cdef Py_ssize_t* row = writeable_integers(order, (len(order),))
    cdef Py_ssize_t drawn[DRAWN]
    cdef Py_ssize_t i, j, m, n = len(order), last = n - 1
    cdef unsigned long long bits
    if n >= 2**32:
        raise ValueError(f"order has {n} rows: pass fewer than 2**32.")
    with nogil:
        while last > 0:
            # The places are drawn some at a time, and fetched before any is needed.
            m = min(last, <Py_ssize_t>DRAWN)
            for i in range(m):
                seed += 0x9E3779B97F4A7C15ULL
                bits = (seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9ULL
                bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EBULL
                drawn[i] = ((bits >> 32) * <unsigned long long>(last - i + 1)) >> 32
                skgd_prefetch(<const char*>(row + drawn[i]), 1)
            for i in range(m):
                j = drawn[i]
                row[last - i], row[j] = row[j], row[last - i]
            last -= m
