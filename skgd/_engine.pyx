# cython: language_level=3, cdivision=True
"""The two compiled primitives: a full pass and a sweep of update steps.

Rows of X are read where they lie, in blocks of 64 while they are in cache: the margins first, then
the loss's gradient over the whole block, then its accumulation. The GIL is released throughout;
what comes in is checked here, in Python, before a loop starts.
"""

from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from libc.math cimport fabs
from libc.stdint cimport uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from skgd._arrays cimport floats, integers, writeable_floats, writeable_integers
from skgd.losses cimport LossRule
from skgd.optimizers cimport Rule
from skgd.penalties cimport PenaltyRule

cdef extern from "_vector.h" nogil:
    void skgd_axpy(Py_ssize_t n, double a, const double* x, double* y)

cdef extern from "_rows.h" nogil:
    enum:
        SKGD_RECORD
        SKGD_TILE
        SKGD_PARTS
    ctypedef struct skgd_coming:
        const char* base
        Py_ssize_t stride, bytes
        const Py_ssize_t* row
        Py_ssize_t n, pace
    void skgd_dot_f64(const char** rows, Py_ssize_t m, Py_ssize_t d, const double* w, double* z,
                      skgd_coming* coming)
    void skgd_dot_f32(const char** rows, Py_ssize_t m, Py_ssize_t d, const double* w, double* z,
                      skgd_coming* coming)
    void skgd_add_f64(const char** rows, Py_ssize_t m, Py_ssize_t d, const double* c, double* g,
                      skgd_coming* coming)
    void skgd_add_f32(const char** rows, Py_ssize_t m, Py_ssize_t d, const double* c, double* g,
                      skgd_coming* coming)
    void skgd_pack_f64(const char** rows, Py_ssize_t m, Py_ssize_t d, Py_ssize_t stride,
                       Py_ssize_t out_stride, double* out)
    void skgd_pack_f32(const char** rows, Py_ssize_t m, Py_ssize_t d, Py_ssize_t stride,
                       Py_ssize_t out_stride, double* out)
    double skgd_moments_f64(const char** rows, Py_ssize_t m, Py_ssize_t d, const double* s,
                            double weight, double* mean, double* deviation, double* block)
    double skgd_moments_f32(const char** rows, Py_ssize_t m, Py_ssize_t d, const double* s,
                            double weight, double* mean, double* deviation, double* block)
    void skgd_take_f64(const char* row, Py_ssize_t d, const double* mean, double* out)
    void skgd_take_f32(const char* row, Py_ssize_t d, const double* mean, double* out)
    void skgd_reduced_step(Py_ssize_t d, const double* x, const double* a, double rate, double c,
                           double trust, double share, double l2, double* g, double* w)
    void skgd_step_behind_plain(
        Py_ssize_t d, double* before, double* here, double* next, double* a, double step,
        double decay, double next_decay, double* w, double* p, double* q, const char* ahead,
        Py_ssize_t size, Py_ssize_t last)
    void skgd_step_behind_metric(
        Py_ssize_t d, double* before, double* here, double* next, double* a, double step,
        double decay, double next_decay, double* w, double* p, double* q, const char* ahead,
        Py_ssize_t size, Py_ssize_t last)
    ctypedef struct skgd_csr_kernels:
        double (*dot)(const void* x, const void* column, Py_ssize_t start, Py_ssize_t stop,
                      const double* w) noexcept nogil
        void (*add)(const void* x, const void* column, Py_ssize_t start, Py_ssize_t stop, double c,
                    double* g) noexcept nogil
        double (*gather)(const void* x, const void* column, Py_ssize_t start, Py_ssize_t stop,
                         const double* record, double total, double l2, double* w,
                         double* since) noexcept nogil
        void (*scatter)(const void* x, const void* column, Py_ssize_t start, Py_ssize_t stop,
                        double* record, double total, double c, const double* w) noexcept nogil
        double (*values_dot)(const void* x, Py_ssize_t start, Py_ssize_t m,
                             const double* w) noexcept nogil
        void (*fetch)(const void* column, Py_ssize_t start, Py_ssize_t stop, Py_ssize_t k,
                      const double* w) noexcept nogil
        void (*margins)(const void* x, const void* column, Py_ssize_t start, Py_ssize_t stop,
                        Py_ssize_t k, const double* w, double* z) noexcept nogil
        void (*gradients)(const void* x, const void* column, Py_ssize_t start, Py_ssize_t stop,
                          Py_ssize_t k, const double* slopes, double* g) noexcept nogil
        void (*count)(const void* column, Py_ssize_t start, Py_ssize_t stop,
                      Py_ssize_t* counts) noexcept nogil
        void (*cut)(const void* x, const void* column, Py_ssize_t start, Py_ssize_t stop,
                    uint32_t row, const Py_ssize_t* end, Py_ssize_t* next, double* numbers,
                    uint32_t* places) noexcept nogil
    const skgd_csr_kernels skgd_csr[2][2]
    void skgd_tile_dot(Py_ssize_t n, const double* x, const uint32_t* place, const double* w,
                       double* z)
    void skgd_tile_add(Py_ssize_t n, const double* x, const uint32_t* place, const double* c,
                       double* g)
    void skgd_add_scaled(Py_ssize_t d, const double* extra, const double* inverse, double* g)
    void skgd_shift(Py_ssize_t m, double number, double* z)
    double skgd_weigh(Py_ssize_t m, double factor, const double* weight, double* x)
    void skgd_settle(Py_ssize_t d, const double* record, double total, double l2, double* w,
                     double* since)
    void skgd_to_metric(Py_ssize_t d, double total, const double* mean, const double* inverse,
                        double unit, double* g)
    double skgd_from_metric(Py_ssize_t d, const double* u, const double* inverse,
                            const double* mean, double* w)
    void skgd_average(Py_ssize_t d, double share, const double* u, double* average)
    void skgd_prefetch(const char* address, Py_ssize_t size)
    void skgd_fetch(skgd_coming* coming)

cdef extern from "_products.h" nogil:
    enum:
        SKGD_LANES
    void skgd_margins(const double* columns, Py_ssize_t stride, Py_ssize_t m, Py_ssize_t d,
                      Py_ssize_t k, const double** w, double* z, skgd_coming* coming)
    void skgd_gradients(const double* rows, Py_ssize_t stride, Py_ssize_t m, Py_ssize_t d,
                        Py_ssize_t k, const double* slopes, double** g, skgd_coming* coming)
    void skgd_transpose(Py_ssize_t m, Py_ssize_t k, const double* numbers, Py_ssize_t stride,
                        double* out, Py_ssize_t out_stride)

ctypedef void (*dot_function)(const char**, Py_ssize_t, Py_ssize_t, const double*, double*,
                              skgd_coming*) noexcept nogil
ctypedef void (*add_function)(const char**, Py_ssize_t, Py_ssize_t, const double*, double*,
                              skgd_coming*) noexcept nogil
ctypedef void (*pack_function)(const char**, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t,
                               double*) noexcept nogil
ctypedef double (*moments_function)(const char**, Py_ssize_t, Py_ssize_t, const double*, double,
                                    double*, double*, double*) noexcept nogil
ctypedef void (*step_function)(Py_ssize_t, double*, double*, double*, double*, double, double,
                               double, double*, double*, double*, const char*, Py_ssize_t,
                               Py_ssize_t) noexcept nogil
ctypedef void (*take_function)(const char*, Py_ssize_t, const double*, double*) noexcept nogil

cdef enum:
    BLOCK = 64  # rows that are in cache together, at most
    LEAST = 8  # and at least
    LONG = 16384  # bytes of a row that are fetched ahead, at most
    NEAR = 4096  # numbers of a block, of which two fit into the nearest cache
    AHEAD = 16  # rows between a prefetch and its use, one by one
    MANY = 4  # outputs from which products in tiles are faster than output by output
    KINDS = 16  # kinds of rows, by the models of a fleet for which they count, at most
    FEW = 32  # rows of a kind in a batch that are worth a block of their own
    TALLEST = 65535  # rows of a batch that can be cut into tiles
    STORED = 524288  # numbers of batches that are cut at once

# Numbers of X that one chunk of a full pass reads: a millisecond or so, whatever the threads.
CHUNK = 2**20


def chunk_starts(Rows rows, n):
    """Return where the chunks of a pass over n rows begin; they depend on nothing but the data."""
    return range(0, n, BLOCK * max(1, int(CHUNK / rows.width) // BLOCK))


# ---- rows of X ----------------------------------------------------------------------------------

cdef class Rows:
    """Rows of X, read where they lie; `add` follows `dot` over the same block of rows."""

    cdef readonly Py_ssize_t n, d
    cdef readonly double width  # numbers stored per row
    cdef readonly Py_ssize_t block  # rows of a block
    cdef object owners

    cdef void dot(self, const Py_ssize_t* index, Py_ssize_t m, Workspace space) noexcept nogil:
        """Set z of the workspace to the products of m rows with each w of the workspace."""

    cdef void add(self, const Py_ssize_t* index, Py_ssize_t m, Workspace space) noexcept nogil:
        """Add the m rows times c of the workspace to each g of the workspace."""

    cdef void expect(self, const Py_ssize_t* index, Py_ssize_t m, bint adds,
                     Workspace space) noexcept nogil:
        """Fetch m rows to come while `dot`, and `add` if it follows, work on a block."""


cdef class DenseRows(Rows):
    cdef const char* base
    cdef Py_ssize_t row_stride, column_stride
    cdef Py_ssize_t ahead  # rows between a prefetch and its use, one by one
    cdef bint packed, narrow
    cdef dot_function dot_rows
    cdef add_function add_rows
    cdef pack_function pack_rows
    cdef moments_function moments_of_rows
    cdef take_function take

    def __init__(self, X):
        self.owners = X
        self.n, self.d = X.shape
        self.width = self.d
        self.block = max(LEAST, min(BLOCK, NEAR // self.d // 4 * 4))
        self.ahead = max(4, min(AHEAD, 8 * NEAR // self.d))
        self.row_stride, self.column_stride = X.strides
        self.base = <const char*><size_t>X.__array_interface__["data"][0]
        # Rows whose numbers are not adjacent are copied, a block at a time.
        self.packed = self.column_stride != X.itemsize
        self.narrow = X.dtype == np.float32
        if X.dtype == np.float64:
            self.pack_rows = skgd_pack_f64
        else:
            self.pack_rows = skgd_pack_f32
        if self.packed or X.dtype == np.float64:
            self.dot_rows, self.add_rows = skgd_dot_f64, skgd_add_f64
            self.moments_of_rows = skgd_moments_f64
            self.take = skgd_take_f64
        else:
            self.dot_rows, self.add_rows = skgd_dot_f32, skgd_add_f32
            self.moments_of_rows = skgd_moments_f32
            self.take = skgd_take_f32

    cdef inline void find(self, const Py_ssize_t* index, Py_ssize_t m, Workspace space,
                          const char** rows) noexcept nogil:
        """Point at m rows, or at the copies of them that `dot` has made."""
        cdef Py_ssize_t i
        if space.packed != NULL:
            for i in range(m):
                rows[i] = <const char*>(space.packed + i * space.width)
        else:
            for i in range(m):
                rows[i] = self.base + index[i] * self.row_stride

    cdef void dot(self, const Py_ssize_t* index, Py_ssize_t m, Workspace space) noexcept nogil:
        cdef const char* rows[BLOCK]
        cdef Py_ssize_t i, c
        if space.packed != NULL:
            for i in range(m):
                rows[i] = self.base + index[i] * self.row_stride
            self.pack_rows(rows, m, self.d, self.column_stride, space.width, space.packed)
        if space.columns != NULL:
            skgd_transpose(m, self.d, space.packed, space.width, space.columns, BLOCK)
            skgd_margins(space.columns, BLOCK, m, self.d, space.k, space.w, space.z, &space.coming)
        else:
            self.find(index, m, space, rows)
            for c in range(space.k):
                self.dot_rows(rows, m, self.d, space.w[c], space.z + c * m, &space.coming)

    cdef void add(self, const Py_ssize_t* index, Py_ssize_t m, Workspace space) noexcept nogil:
        cdef const char* rows[BLOCK]
        cdef Py_ssize_t c
        if space.columns != NULL:
            skgd_gradients(space.packed, space.width, m, self.d, space.k, space.c, space.g,
                           &space.coming)
        else:
            self.find(index, m, space, rows)
            for c in range(space.k):
                self.add_rows(rows, m, self.d, space.c + c * m, space.g[c], &space.coming)

    def moments(self, weights, Py_ssize_t start, Py_ssize_t stop, double weight, mean, deviation):
        """Merge rows start to stop into running means and sums of squared deviations."""
        cdef double* m = writeable_floats(mean, (self.d,))
        cdef double* v = writeable_floats(deviation, (self.d,))
        cdef const double* s = NULL if weights is None else floats(weights, (self.n,))
        cdef const char* rows[BLOCK]
        cdef Py_ssize_t i, size, row = start
        scratch = np.empty((BLOCK if self.packed else 0) * self.d + self.d)
        cdef double* block = writeable_floats(scratch, scratch.shape)
        cdef double* packed = block + self.d
        if not 0 <= start <= stop <= self.n:
            raise ValueError(f"start={start}, stop={stop}: pass row numbers up to {self.n}.")
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
                    rows, size, self.d, NULL if s == NULL else s + row, weight, m, v, block
                )
                row += size
        return weight

    cdef void expect(self, const Py_ssize_t* index, Py_ssize_t m, bint adds,
                     Workspace space) noexcept nogil:
        if self.packed:
            return
        space.coming.base, space.coming.stride = self.base, self.row_stride
        # Rows as long as that come by themselves, once they are begun.
        space.coming.bytes = min(self.d * self.column_stride, <Py_ssize_t>LONG)
        space.coming.row, space.coming.n = index, m
        space.coming.pace = 2 if adds else 4
        if space.columns != NULL:
            # With every four outputs.
            space.coming.pace = 1 + 4 * m // (space.k * (2 if adds else 1))


cdef class SparseRows(Rows):
    cdef const void* data
    cdef const void* indices
    cdef const void* indptr
    cdef bint wide  # 64-bit indices
    cdef Py_ssize_t itemsize, index_size
    cdef const skgd_csr_kernels* kernels
    cdef readonly Py_ssize_t widest  # numbers stored in the longest row
    cdef readonly bint canonical  # whether no row names a column twice

    def __init__(self, X):
        self.owners = (X.data, X.indices, X.indptr)
        self.n, self.d = X.shape
        self.width = max(1.0, X.nnz / max(1, self.n))
        self.block = BLOCK
        self.data = <const void*><size_t>X.data.__array_interface__["data"][0]
        self.indices = <const void*><size_t>X.indices.__array_interface__["data"][0]
        self.indptr = <const void*><size_t>X.indptr.__array_interface__["data"][0]
        self.wide = X.indices.dtype == np.int64
        self.itemsize, self.index_size = X.data.itemsize, X.indices.itemsize
        self.widest = max(1, int(np.diff(X.indptr).max()))
        self.canonical = X.has_canonical_format
        self.kernels = &skgd_csr[X.data.dtype == np.float32][self.wide]

    cdef inline void prefetch_records(self, Py_ssize_t row, const double* record) noexcept nogil:
        """Fetch the records of the columns of a row."""
        cdef Py_ssize_t k
        cdef const double* record_of
        for k in range(self.start(row), self.start(row + 1)):
            if self.wide:
                record_of = record + SKGD_RECORD * (<const long long*>self.indices)[k]
            else:
                record_of = record + SKGD_RECORD * (<const int*>self.indices)[k]
            skgd_prefetch(<const char*>record_of, 1)

    cdef inline Py_ssize_t start(self, Py_ssize_t row) noexcept nogil:
        if self.wide:
            return (<const long long*>self.indptr)[row]
        return (<const int*>self.indptr)[row]

    cdef void dot(self, const Py_ssize_t* index, Py_ssize_t m, Workspace space) noexcept nogil:
        cdef Py_ssize_t i, c
        if space.beside:
            for i in range(m):
                self.fetch_beside(index, i + 1, m, space, space.w_beside)
                self.kernels.margins(
                    self.data, self.indices, self.start(index[i]), self.start(index[i] + 1),
                    space.beside, space.w_beside, space.rows_beside + i * space.beside,
                )
            skgd_transpose(m, space.k, space.rows_beside, space.beside, space.z, m)
            return
        for c in range(space.k):
            for i in range(m):
                if i < space.coming.n and c == 0:
                    self.prefetch(space.coming.row[i])
                space.z[c * m + i] = self.kernels.dot(
                    self.data, self.indices, self.start(index[i]), self.start(index[i] + 1),
                    space.w[c],
                )

    cdef void add(self, const Py_ssize_t* index, Py_ssize_t m, Workspace space) noexcept nogil:
        cdef Py_ssize_t i, c
        if space.beside:
            skgd_transpose(space.k, m, space.c, m, space.rows_beside, space.beside)
            for i in range(m):
                self.fetch_beside(index, i + 1, m, space, space.g_beside)
                self.kernels.gradients(
                    self.data, self.indices, self.start(index[i]), self.start(index[i] + 1),
                    space.beside, space.rows_beside + i * space.beside, space.g_beside,
                )
            return
        for c in range(space.k):
            for i in range(m):
                if space.c[c * m + i] != 0.0:
                    self.kernels.add(
                        self.data, self.indices, self.start(index[i]), self.start(index[i] + 1),
                        space.c[c * m + i], space.g[c],
                    )

    cdef inline void fetch_beside(self, const Py_ssize_t* index, Py_ssize_t i, Py_ssize_t m,
                                  Workspace space, const double* numbers) noexcept nogil:
        """Fetch what the columns of row i of m have of the outputs."""
        if i < m:
            self.kernels.fetch(
                self.indices, self.start(index[i]), self.start(index[i] + 1), space.beside, numbers
            )

    cdef inline void prefetch(self, Py_ssize_t row) noexcept nogil:
        cdef Py_ssize_t start = self.start(row), size = self.start(row + 1) - start
        skgd_prefetch(<const char*>self.data + start * self.itemsize, size * self.itemsize)
        skgd_prefetch(<const char*>self.indices + start * self.index_size, size * self.index_size)

    cdef void expect(self, const Py_ssize_t* index, Py_ssize_t m, bint adds,
                     Workspace space) noexcept nogil:
        space.coming.row, space.coming.n = index, m


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


def shuffle(order, unsigned long long seed):
    """Put row numbers into a random order, in place (Fisher and Yates, with splitmix64)."""
    cdef Py_ssize_t* row = writeable_integers(order, (len(order),))
    cdef Py_ssize_t i, j, n = len(order)
    cdef unsigned long long bits
    if n >= 2**32:
        raise ValueError(f"order has {n} rows: pass fewer than 2**32.")
    with nogil:
        for i in range(n - 1, 0, -1):
            seed += 0x9E3779B97F4A7C15ULL
            bits = (seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9ULL
            bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EBULL
            j = ((bits >> 32) * <unsigned long long>(i + 1)) >> 32
            row[i], row[j] = row[j], row[i]


# ---- the problem --------------------------------------------------------------------------------

cdef class Problem:
    """The data term of the objective: rows of X, targets, weights and a loss.

    Targets are numbers of shape (n_samples, n_outputs), or class codes of shape (n_samples,) that
    stand for +1 in the output of the class and -1 in the others.
    """

    cdef readonly Py_ssize_t n, d, k
    cdef readonly Rows rows
    cdef readonly double weight_sum
    cdef readonly object targets, weights
    cdef LossRule loss
    cdef const double* codes
    cdef const double* numbers
    cdef const double* s

    def __init__(self, X, targets, weights, LossRule loss not None, Py_ssize_t n_outputs):
        self.rows = X if isinstance(X, Rows) else rows_of(X)
        self.n, self.d, self.k = self.rows.n, self.rows.d, n_outputs
        self.loss = loss
        self.codes = self.numbers = self.s = NULL
        if targets.ndim == 1:
            self.codes = floats(targets, (self.n,))
        else:
            self.numbers = floats(targets, (self.n, self.k))
        if weights is not None:
            self.s = floats(weights, (self.n,))
        self.weight_sum = self.n if weights is None else weights.sum()
        self.targets, self.weights = targets, weights

    def with_loss(self, LossRule loss not None):
        """Return the same rows, targets and weights with another loss."""
        return Problem(self.rows, self.targets, self.weights, loss, self.k)

    def row_weights(self):
        """Return the weight of each row, which is 1 without weights."""
        return np.ones(self.n) if self.weights is None else self.weights

    cdef inline void prefetch_target(self, Py_ssize_t row) noexcept nogil:
        if self.codes != NULL:
            skgd_prefetch(<const char*>(self.codes + row), 1)
        else:
            skgd_prefetch(<const char*>(self.numbers + row * self.k), 1)
        if self.s != NULL:
            skgd_prefetch(<const char*>(self.s + row), 1)

    cdef inline void expect(self, const Py_ssize_t* index, Py_ssize_t m, Py_ssize_t known,
                            Workspace space) noexcept nogil:
        """Fetch, of the known rows, as many as are worked on now, one block further on."""
        cdef Py_ssize_t i, far = self.rows.block
        self.rows.expect(index + far, min(m, known - far), True, space)
        for i in range(far, min(far + m, known)):
            self.prefetch_target(index[i])

    cdef inline void fill_targets(self, const Py_ssize_t* index, Py_ssize_t m,
                                  double* y) noexcept nogil:
        cdef Py_ssize_t i, c
        cdef double code[BLOCK]
        if self.codes != NULL:
            for i in range(m):
                code[i] = self.codes[index[i]]
            for c in range(self.k):
                for i in range(m):
                    y[c * m + i] = 1.0 if code[i] == c else -1.0
        else:
            for i in range(m):
                for c in range(self.k):
                    y[c * m + i] = self.numbers[index[i] * self.k + c]

    cdef inline void fill(self, const Py_ssize_t* index, Py_ssize_t m,
                          Workspace space) noexcept nogil:
        """Put a block's targets and weights into the workspace, unless they are there."""
        cdef Py_ssize_t i
        cdef const double* targets = self.codes if self.codes != NULL else self.numbers
        if space.targets_of != targets:
            self.fill_targets(index, m, space.y)
            space.targets_of = targets
        if self.s != NULL and space.weights_of != self.s:
            for i in range(m):
                space.weight[i] = self.s[index[i]]
            space.weights_of = self.s

    cdef int add_value(self, const Py_ssize_t* index, Py_ssize_t m, Workspace space,
                       Py_ssize_t first, const double* offset, double* value) except -1 nogil:
        """Add a block's weighted losses to value, where margins and outputs begin at the first."""
        self.fill(index, m, space)
        self.add_offset(m, offset + first, space.z + first * m)
        self.loss.value(self.k, m, space.y, space.z + first * m, space.c + first * m)
        self.weigh(m, space, 1.0, space.c + first * m, value + first, 1)
        return 0

    cdef inline void add_offset(self, Py_ssize_t m, const double* offset, double* z) noexcept nogil:
        cdef Py_ssize_t c
        for c in range(self.k):
            skgd_shift(m, offset[c], z + c * m)

    cdef inline int single_slope(self, Py_ssize_t row, double z, double factor,
                                 double* slope) except -1 nogil:
        """Set slope to the weighted derivative of a row with one output and the margin z."""
        cdef double y = self.numbers[row]
        cdef double weight = factor * self.s[row] if self.s != NULL else factor
        self.loss.gradient(1, 1, &y, &z, slope)
        slope[0] = slope[0] * weight if weight != 0.0 else 0.0
        return 0

    cdef inline void weigh(self, Py_ssize_t m, Workspace space, double factor, double* numbers,
                           double* total, Py_ssize_t stride) noexcept nogil:
        """Multiply a block's numbers with its weights and add each output's sum to total."""
        cdef Py_ssize_t c
        cdef const double* weight = space.weight if self.s != NULL else NULL
        for c in range(self.k):
            total[c * stride] += skgd_weigh(m, factor, weight, numbers + c * m)


def signed_targets(targets, n_outputs):
    """Return targets of shape (n_samples, n_outputs): class codes as -1 and +1, others as is."""
    if targets.ndim == 1:
        return np.where(targets[:, None] == np.arange(n_outputs), 1.0, -1.0)
    return targets


cdef class Workspace:
    """One thread's block of margins, targets and slopes, for k outputs."""

    cdef list owners
    cdef Py_ssize_t k, width
    cdef const double** w  # the coefficients of each output, and where its gradient goes
    cdef double** g
    cdef double* z  # (k, m) for a block of m rows, as are y and c
    cdef double* y
    cdef double* c
    cdef double* weight  # (m,)
    # Whose targets and weights of the block are here.
    cdef const double* targets_of
    cdef const double* weights_of
    # The block's rows as adjacent float64, for many outputs or where X has them otherwise, and for
    # many outputs its columns; both in whole vectors.
    cdef double* packed
    cdef double* columns
    # The coefficients and gradients of a column side by side, for passes over sparse rows: so many
    # in whole vectors, 0 where they are not used.
    cdef Py_ssize_t beside
    cdef double* w_beside
    cdef double* g_beside
    cdef double* rows_beside  # as are the margins and slopes of a row
    cdef skgd_coming coming

    def __cinit__(self, Rows rows, Py_ssize_t k):
        cdef bint many = isinstance(rows, DenseRows) and k >= MANY
        # In whole cache lines, as pointers are as long as numbers and BLOCK is a multiple.
        cdef Py_ssize_t pointers = (k + SKGD_LANES - 1) // SKGD_LANES * SKGD_LANES
        self.owners = []
        self.k, self.width = k, (rows.d + SKGD_LANES - 1) // SKGD_LANES * SKGD_LANES
        cdef double* room = self.numbers(2 * pointers + (3 * k + 1) * BLOCK)
        self.w, self.g = <const double**>room, <double**>(room + pointers)
        self.z = room + 2 * pointers
        self.y, self.c = self.z + BLOCK * k, self.z + 2 * BLOCK * k
        self.weight = self.z + 3 * BLOCK * k
        self.forget()
        if many or (isinstance(rows, DenseRows) and (<DenseRows>rows).packed):
            self.packed = self.numbers(BLOCK * self.width)
        if many:
            self.columns = self.numbers(BLOCK * rows.d)

    cdef double* numbers(self, Py_ssize_t n) except NULL:
        """Return room for as many numbers, from the beginning of a cache line on."""
        block = np.zeros(n + SKGD_LANES)
        self.owners.append(block)
        cdef double* start = writeable_floats(block, block.shape)
        return start + (64 - <size_t>start % 64) % 64 // sizeof(double)

    cdef inline void forget(self) noexcept nogil:
        """Hear that another block begins."""
        self.targets_of = self.weights_of = NULL

    cdef inline void point(self, Py_ssize_t first, Py_ssize_t k, const double* w,
                           Py_ssize_t w_stride, double* g, Py_ssize_t g_stride) noexcept nogil:
        """Hear where the coefficients and the gradients of k outputs lie, from the first on."""
        cdef Py_ssize_t c
        for c in range(k):
            self.w[first + c] = w + c * w_stride
            self.g[first + c] = g + c * g_stride if g != NULL else NULL

    cdef int lay_beside(self, Py_ssize_t d, const double* w, bint adds) except -1:
        """Lay coefficients of shape (k, d) out so that those of a column are side by side."""
        self.beside = (self.k + SKGD_LANES - 1) // SKGD_LANES * SKGD_LANES
        self.w_beside = self.numbers(d * self.beside)
        self.rows_beside = self.numbers(BLOCK * self.beside)
        if adds:
            self.g_beside = self.numbers(d * self.beside)
        with nogil:
            skgd_transpose(self.k, d, w, d, self.w_beside, self.beside)
        return 0


cdef int add_block(Problem p, Workspace space, const Py_ssize_t* index, Py_ssize_t m,
                   const double* offset, double factor, double* value, double* g_offset,
                   Py_ssize_t g_offset_stride) except -1 nogil:
    """Add one block's weighted loss to value, output by output, and its gradient to the space's."""
    space.forget()
    p.rows.dot(index, m, space)
    p.fill(index, m, space)
    p.add_offset(m, offset, space.z)
    if value != NULL:
        p.loss.value(p.k, m, space.y, space.z, space.c)
        p.weigh(m, space, 1.0, space.c, value, 1)
    if g_offset != NULL:
        p.loss.gradient(p.k, m, space.y, space.z, space.c)
        p.weigh(m, space, factor, space.c, g_offset, g_offset_stride)
        p.rows.add(index, m, space)
    return 0


# ---- the first primitive: a full pass -----------------------------------------------------------

def _chunk(Problem p, coef, intercept, Py_ssize_t start, Py_ssize_t stop, subset,
           bint want_gradient, margins):
    """Return the weighted loss of some rows and its gradients, not divided by anything."""
    cdef Workspace space = Workspace(p.rows, p.k)
    cdef const double* w = floats(coef, (p.k, p.d))
    cdef const double* offset = floats(intercept, (p.k,))
    cdef const Py_ssize_t* rows = NULL
    cdef double* g = NULL
    cdef double* g_offset = NULL
    cdef Py_ssize_t index[2 * BLOCK]
    cdef Py_ssize_t i, m, ahead, block = p.rows.block, row = start
    cdef double* z = NULL
    values = np.zeros(p.k)
    cdef double* value = writeable_floats(values, (p.k,))
    gradient = intercept_gradient = None
    if want_gradient:
        gradient, intercept_gradient = np.zeros((p.k, p.d)), np.zeros(p.k)
        g = writeable_floats(gradient, (p.k, p.d))
        g_offset = writeable_floats(intercept_gradient, (p.k,))
    if subset is not None:
        rows = integers(subset, (len(subset),))
    if margins is not None:
        z = writeable_floats(margins, (p.n if subset is None else len(subset), p.k))
    if p.k >= MANY and isinstance(p.rows, SparseRows) and (stop - start) * p.rows.width >= p.d:
        space.lay_beside(p.d, w, want_gradient)
    with nogil:
        space.point(0, p.k, w, p.d, g, p.d)
        while row < stop:
            m = min(stop - row, block)
            ahead = min(stop - row - m, m)
            for i in range(m + ahead):
                index[i] = rows[row + i] if rows != NULL else row + i
            p.rows.expect(index + m, ahead, g != NULL, space)
            add_block(p, space, index, m, offset, 1.0, value, g_offset, 1)
            if z != NULL:
                skgd_transpose(p.k, m, space.z, m, z + row * p.k, p.k)
            row += m
        if space.beside and g != NULL:
            skgd_transpose(p.d, p.k, space.g_beside, space.beside, g, p.d)
    return values, gradient, intercept_gradient


def value_and_gradient(Problem problem, coef, intercept, *, gradient=True, subset=None,
                       n_threads=1, margins=None):
    """Return the mean weighted losses and their gradients in one pass over the rows.

    Rows are cut into chunks whose size depends on nothing but the data, and the chunks' sums are
    added in their order: the result is the same to the bit for any number of threads.

    Parameters
    ----------
    problem : Problem
    coef : float64 array of shape (n_outputs, n_features), C order
    intercept : float64 array of shape (n_outputs,)
    gradient : bool, default=True
        Whether to compute the gradients; None is returned in their place otherwise.
    subset : intp array, default=None
        The rows to read instead of all.
    n_threads : int, default=1
    margins : float64 array of shape (n_samples, n_outputs), default=None
        Receives the margins of the rows that are read.

    Returns
    -------
    values : array of shape (n_outputs,)
        The loss of each output; that of a coupled loss is the first.
    coef_gradient : array of shape (n_outputs, n_features) or None
    intercept_gradient : array of shape (n_outputs,) or None
    """
    n = problem.n
    if subset is not None:
        n = len(subset)
        integers(subset, (n,))
        if not n or (subset.min() < 0 or subset.max() >= problem.n):
            raise ValueError(f"subset: pass some row numbers from 0 to {problem.n - 1}.")
    weight_sum = problem.weight_sum
    if subset is not None:
        weight_sum = n if problem.weights is None else problem.weights[subset].sum()
    starts = chunk_starts(problem.rows, n)

    def chunk(start):
        stop = min(start + starts.step, n)
        return _chunk(problem, coef, intercept, start, stop, subset, gradient, margins)

    if n_threads > 1 and len(starts) > 1:
        with ThreadPoolExecutor(n_threads) as pool:
            return _sum(_in_order(pool, chunk, starts, 2 * n_threads), weight_sum)
    return _sum(map(chunk, starts), weight_sum)


def _in_order(pool, function, arguments, most):
    """Yield results in order, with at most so many under way or waiting in memory."""
    under_way = deque()
    for argument in arguments:
        if len(under_way) == most:
            yield under_way.popleft().result()
        under_way.append(pool.submit(function, argument))
    while under_way:
        yield under_way.popleft().result()


def _sum(chunks, weight_sum):
    values, coef_gradient, intercept_gradient = next(chunks := iter(chunks))
    for more, more_coef, more_intercept in chunks:
        values += more
        if coef_gradient is not None:
            coef_gradient += more_coef
            intercept_gradient += more_intercept
    if coef_gradient is not None:
        coef_gradient /= weight_sum
        intercept_gradient /= weight_sum
    return values / weight_sum, coef_gradient, intercept_gradient


# ---- sparse batches in tiles --------------------------------------------------------------------

cdef class Tiles:
    """Batches of CSR rows, cut into tiles of columns: what a batch stores in a tile lies together.

    Parameters
    ----------
    rows : SparseRows
    order : intp array
        Row numbers.
    bounds : intp array of shape (n_batches + 1,)
        Where each batch begins in `order`, and where the last one ends.
    """

    cdef object owners
    cdef Py_ssize_t n_batches, n_tiles, tallest
    cdef const Py_ssize_t* row
    cdef const Py_ssize_t* bound
    cdef Py_ssize_t* start  # of each tile of each batch, and the end
    cdef double* numbers
    cdef uint32_t* places

    def __init__(self, SparseRows rows, order, bounds):
        cdef Py_ssize_t b, i, tile, before = 0
        cdef Py_ssize_t* start
        self.n_batches, self.tallest = len(bounds) - 1, np.diff(bounds).max()
        self.n_tiles = (rows.d + SKGD_TILE - 1) // SKGD_TILE
        starts = np.zeros(self.n_batches * self.n_tiles + 1, dtype=np.intp)
        nexts = np.empty(self.n_tiles, dtype=np.intp)
        self.row, self.bound = integers(order, (len(order),)), integers(bounds, (len(bounds),))
        self.start = start = writeable_integers(starts, starts.shape)
        cdef Py_ssize_t* next = writeable_integers(nexts, nexts.shape)
        with nogil:
            for b in range(self.n_batches):
                for i in range(self.bound[b], self.bound[b + 1]):
                    rows.kernels.count(rows.indices, rows.start(self.row[i]),
                                       rows.start(self.row[i] + 1),
                                       start + 1 + b * self.n_tiles)
            # Whole groups of parts, which are filled up with zeros.
            for tile in range(1, self.n_batches * self.n_tiles + 1):
                before += (start[tile] + SKGD_PARTS - 1) // SKGD_PARTS * SKGD_PARTS
                start[tile] = before
        numbers, places = np.zeros(before), np.zeros(before, dtype=np.uint32)
        self.owners = order, bounds, starts, numbers, places
        self.numbers = writeable_floats(numbers, (before,))
        self.places = <uint32_t*><size_t>places.__array_interface__["data"][0]
        with nogil:
            for b in range(self.n_batches):
                start = self.start + b * self.n_tiles
                memcpy(next, start, self.n_tiles * sizeof(Py_ssize_t))
                for i in range(self.bound[b], self.bound[b + 1]):
                    rows.kernels.cut(rows.data, rows.indices, rows.start(self.row[i]),
                                     rows.start(self.row[i] + 1), i - self.bound[b], start + 1,
                                     next, self.numbers, self.places)

    cdef inline Py_ssize_t size(self, Py_ssize_t b) noexcept nogil:
        return self.bound[b + 1] - self.bound[b]

    cdef inline void dot(self, Py_ssize_t b, Py_ssize_t tile, const double* w,
                         double* z) noexcept nogil:
        """Add the products of a batch with the coefficients of a tile to its margins."""
        cdef Py_ssize_t* start = self.start + b * self.n_tiles + tile
        skgd_tile_dot(start[1] - start[0], self.numbers + start[0], self.places + start[0], w, z)

    cdef inline void dot_all(self, Py_ssize_t b, const double* w, double* z) noexcept nogil:
        cdef Py_ssize_t tile
        for tile in range(self.n_tiles):
            self.dot(b, tile, w + tile * SKGD_TILE, z)

    cdef inline void add(self, Py_ssize_t b, Py_ssize_t tile, const double* slope,
                         double* g) noexcept nogil:
        """Add a batch's rows times their slopes to the gradient of a tile."""
        cdef Py_ssize_t* start = self.start + b * self.n_tiles + tile
        skgd_tile_add(start[1] - start[0], self.numbers + start[0], self.places + start[0], slope,
                      g)


def tiles_fit(bounds):
    """Whether the rows of each batch can be counted in a tile."""
    return np.diff(bounds).max() <= TALLEST


def run_in_tiles(sweeps, order, bounds, rates, Py_ssize_t t, averaged):
    """Take one step per batch with each sweep, whose parameters stay in cache for many batches."""
    cdef Sweep sweep = sweeps[0]
    cdef Py_ssize_t j, n_sweeps = len(sweeps), first = 0, last, n_batches = len(bounds) - 1
    cdef SparseRows rows = sweep.problem.rows
    cdef const double* rate = floats(rates, (n_sweeps, n_batches))
    while first < n_batches:
        # At least one.
        farthest = bounds[first] + max(1, int(STORED / rows.width))
        last = max(first + 1, np.searchsorted(bounds, farthest, side="right") - 1)
        tiles = Tiles(rows, order, np.ascontiguousarray(bounds[first:last + 1]))
        for j in range(n_sweeps):
            sweep = sweeps[j]
            sweep.run_tiles(tiles, rate + j * n_batches + first, t + first,
                            averaged[j] + first if averaged[j] >= 0 else -1)
        first = last


# ---- the second primitive: a sweep of update steps ----------------------------------------------

def check_steps(order, bounds, n_rows):
    """Raise unless the batches between the bounds lie in an order of row numbers."""
    n_batches = len(bounds) - 1
    if n_batches < 1 or bounds[0] < 0 or np.any(bounds[1:] <= bounds[:n_batches]):
        raise ValueError("bounds: pass positions in order that rise.")
    if bounds[n_batches] > len(order):
        raise ValueError(f"bounds: the last one is beyond the {len(order)} rows of order.")
    used = order[bounds[0]:bounds[n_batches]]
    if used.min() < 0 or used.max() >= n_rows:
        raise ValueError(f"order: pass row numbers from 0 to {n_rows - 1}.")


cdef class Sweep:
    """Update steps over rows in a given order, for parameters in the coordinates of a metric.

    The parameters u of an output are its coefficients and, with an intercept, one more number:
    ``w = u * inverse`` and ``b = u[-1] * inverse[-1] - mean . w``.

    Parameters
    ----------
    problem : Problem
    penalty : PenaltyRule
    rules : list of Rule
        One fresh rule per output.
    parameters : float64 array of shape (n_outputs, n_parameters)
        Changed in place.
    state : float64 array of shape (n_outputs, slots, n_parameters)
        Changed in place.
    alpha : float64 array of shape (n_outputs,)
    metric : object
        With ``inverse`` of shape (n_outputs, n_parameters), ``mean`` of shape (n_features,),
        ``unit`` of shape (n_outputs,), and ``identity``, which says that the three change nothing.
    weight_scale : float
        The number of rows divided by the sum of their weights, over all that was seen so far.
    average : float64 array of shape (n_outputs, n_parameters), default=None
        The running mean of the parameters, changed in place.
    """

    cdef Problem problem
    cdef PenaltyRule penalty
    cdef list rules, owners
    cdef void** rule
    cdef Workspace space
    cdef Py_ssize_t k, d, p, slots
    cdef bint identity, fit_intercept
    cdef Py_ssize_t tile  # parameters of an output that are updated together
    cdef double weight_scale
    cdef double* u
    cdef double* w
    cdef double* g
    cdef double* step
    cdef double* state
    cdef double* offset
    cdef double* average
    cdef const double* alpha
    cdef const double* unit
    cdef const double* mean
    cdef const double* inverse

    def __cinit__(self):
        self.rule = NULL

    def __dealloc__(self):
        free(self.rule)

    def __init__(self, Problem problem not None, PenaltyRule penalty not None, list rules,
                 parameters, state, alpha, metric, double weight_scale, average=None):
        cdef Rule rule
        if parameters.ndim != 2 or state.ndim != 3:
            raise ValueError(
                f"parameters have shape {parameters.shape} and state {state.shape}: pass "
                "(n_outputs, n_parameters) and (n_outputs, slots, n_parameters)."
            )
        self.problem, self.penalty, self.rules = problem, penalty, list(rules)
        self.k, self.d, self.slots = problem.k, problem.d, state.shape[1]
        self.p = parameters.shape[1]
        self.fit_intercept = self.p > self.d
        self.weight_scale, self.identity = weight_scale, metric.identity
        shape = (self.k, self.d + self.fit_intercept)
        gradient, step, offset = np.zeros(shape), np.zeros(shape), np.zeros(self.k)
        coef = parameters if self.identity else np.zeros(shape)
        self.owners = [parameters, state, alpha, metric.inverse, metric.mean, metric.unit, average,
                       gradient, step, offset, coef]
        self.u = writeable_floats(parameters, shape)
        self.w = writeable_floats(coef, shape)
        self.g = writeable_floats(gradient, shape)
        self.step = writeable_floats(step, shape)
        self.offset = writeable_floats(offset, (self.k,))
        self.state = writeable_floats(state, (self.k, self.slots, self.p))
        self.average = NULL if average is None else writeable_floats(average, shape)
        self.alpha = floats(alpha, (self.k,))
        self.unit = floats(metric.unit, (self.k,))
        self.mean = floats(metric.mean, (self.d,))
        self.inverse = floats(metric.inverse, shape)
        penalty.check(self.d)
        if len(rules) != self.k:
            raise ValueError(f"rules: pass {self.k}, one for each output, not {len(rules)}.")
        self.rule = <void**>malloc(self.k * sizeof(void*))
        if self.rule == NULL:
            raise MemoryError()
        for c in range(self.k):
            rule = self.rules[c]
            if rule.slots > self.slots:
                raise ValueError(
                    f"state has {self.slots} slots: pass {rule.slots}, as {type(rule).__name__} "
                    "needs."
                )
            rule.unpenalised = self.fit_intercept
            if rule.keeps_arrays:
                rule.bind(parameters[c], gradient[c], state[c])
            self.rule[c] = <void*>rule
            self.refresh_all(c)
        # Of a penalty that treats all features alike, and of most rules, each number is alone.
        self.tile = self.p
        if penalty.bend == penalty.bend and all([(<Rule>item).apart for item in rules]):
            self.tile = SKGD_TILE

    cdef int make_room(self) except -1:
        """Make a workspace for blocks of rows; in a fleet there is one for all."""
        if self.space is None:
            self.space = Workspace(self.problem.rows, self.k)
        return 0

    cdef inline double refresh_part(self, Py_ssize_t c, Py_ssize_t first, Py_ssize_t size,
                                    double* w) noexcept nogil:
        """Set w to the coefficients of some parameters; return the margin of their means."""
        cdef Py_ssize_t j = c * self.p + first
        if self.identity:
            return 0.0
        return skgd_from_metric(size, self.u + j, self.inverse + j, self.mean + first, w)

    cdef inline void refresh_all(self, Py_ssize_t c) noexcept nogil:
        """Bring the coefficients and the offset of output c up to its parameters."""
        self.refresh(c, self.refresh_part(c, 0, self.d, self.w + c * self.p))

    cdef inline void refresh(self, Py_ssize_t c, double shift) noexcept nogil:
        """Bring the offset of output c up to its parameters."""
        cdef Py_ssize_t j = c * self.p + self.d
        if self.fit_intercept:
            self.offset[c] = self.u[j] if self.identity else self.u[j] * self.inverse[j] - shift

    cdef int finish(self, Py_ssize_t c, double rate, Py_ssize_t t, double share) except -1 nogil:
        """Turn the raw gradient of output c into a step of its parameters."""
        cdef double* g = self.g + c * self.p
        cdef double shift = 0.0, total = g[self.d] if self.fit_intercept else 0.0
        cdef Py_ssize_t first = 0
        while first < self.p:
            self.finish_part(c, first, g + first, self.w + c * self.p + first, total, rate, t,
                             share, &shift)
            first += self.tile
        self.refresh(c, shift)
        return 0

    cdef int finish_part(self, Py_ssize_t c, Py_ssize_t first, double* g, double* w, double total,
                         double rate, Py_ssize_t t, double share, double* shift) except -1 nogil:
        """The same for a tile, from its gradient and coefficients and the intercept's gradient.

        Adds the margin of the tile's means to shift.
        """
        cdef Py_ssize_t j, last = min(first + self.tile, self.p)
        cdef Py_ssize_t size = min(last, self.d) - first
        cdef double* u = self.u + c * self.p + first
        cdef double* step = self.step + c * self.p
        cdef const double* inverse = self.inverse + c * self.p + first
        cdef double unit = self.unit[c]
        if not self.identity:
            # The mean is zero without an intercept: there is nothing to centre with.
            skgd_to_metric(size, total, self.mean + first, inverse, unit, g)
            if last > self.d:
                g[size] *= inverse[size] * unit
        if self.identity:
            self.penalty.add_gradient(size, w, self.alpha[c], g)
        else:
            memset(step, 0, size * sizeof(double))
            self.penalty.add_gradient(size, w, self.alpha[c] * unit, step)
            skgd_add_scaled(size, step, inverse, g)
        (<Rule>self.rule[c]).update(
            u, g, self.state + c * self.slots * self.p + first, self.p, rate, t, last - first,
            step if self.penalty.proximal else NULL
        )
        if self.penalty.proximal:
            for j in range(size):
                step[j] *= inverse[j] * inverse[j] * unit * self.alpha[c]
                w[j] = u[j] * inverse[j]
            self.penalty.prox(size, w, step)
            for j in range(size):
                u[j] = w[j] / inverse[j] if inverse[j] != 0.0 else u[j]
        if share > 0.0:
            skgd_average(last - first, share, u, self.average + c * self.p + first)
        shift[0] += self.refresh_part(c, first, size, w)
        return 0

    cdef int batch(self, const Py_ssize_t* index, Py_ssize_t size, Py_ssize_t known,
                   double factor) except -1 nogil:
        """Set g to the raw gradient of a batch's loss, estimated for all rows.

        Of the known rows those to come, of this batch and of the next, are fetched ahead.
        """
        cdef Py_ssize_t i = 0, m
        cdef double unused = 0.0
        cdef double* g_offset = self.g + self.d if self.fit_intercept else &unused
        memset(self.g, 0, self.k * self.p * sizeof(double))
        self.space.point(0, self.k, self.w, self.p, self.g, self.p)
        while i < size:
            m = min(size - i, self.problem.rows.block)
            self.problem.expect(index + i, m, known - i, self.space)
            add_block(self.problem, self.space, index + i, m, self.offset, factor, NULL, g_offset,
                      self.p if self.fit_intercept else 0)
            i += m
        return 0

    cdef void begin_batch(self) noexcept nogil:
        memset(self.g, 0, self.k * self.p * sizeof(double))

    cdef Py_ssize_t join(self, Workspace space, Py_ssize_t first) noexcept nogil:
        """Say in the workspace of a fleet where the numbers are; return the number of outputs."""
        space.point(first, self.k, self.w, self.p, self.g, self.p)
        return self.k

    cdef Py_ssize_t slopes(self, const Py_ssize_t* index, Py_ssize_t m, Py_ssize_t size,
                           Workspace space, Py_ssize_t first) except -1 nogil:
        """Turn a fleet's margins into weighted slopes."""
        cdef double* z = space.z + first * m
        cdef double* c = space.c + first * m
        cdef double unused = 0.0
        cdef double* total = self.g + self.d if self.fit_intercept else &unused
        self.problem.fill(index, m, space)
        self.problem.add_offset(m, self.offset, z)
        self.problem.loss.gradient(self.k, m, space.y, z, c)
        self.problem.weigh(m, space, self.weight_scale / size, c, total,
                           self.p if self.fit_intercept else 0)
        return self.k

    cdef int finish_all(self, double rate, Py_ssize_t t, double share) except -1 nogil:
        cdef Py_ssize_t c
        for c in range(self.k):
            self.finish(c, rate, t, share)
        return 0

    cdef int single_dense(self, Problem p, DenseRows rows, const Py_ssize_t* row,
                          Py_ssize_t n_steps, const double* rate) except -1:
        """Steps along single rows' gradients, for a rule whose step is rate times gradient."""
        cdef Py_ssize_t j, width = (self.d + SKGD_LANES - 1) // SKGD_LANES * SKGD_LANES
        cdef double shift = 0.0
        # The coefficients, their squared scales and four rows to come, on whole cache lines.
        memory = np.zeros(6 * width + SKGD_LANES)
        cdef double* space = writeable_floats(memory, memory.shape)
        space += (64 - <size_t>space % 64) % 64 // sizeof(double)
        for j in range(self.d):
            space[j] = self.w[j]
            space[width + j] = self.inverse[j] * self.inverse[j] * self.unit[0]
        with nogil:
            self.dense_steps(p, rows, row, n_steps, rate, width, space)
        for j in range(self.d):
            self.w[j] = space[j]
            shift += self.mean[j] * self.w[j]
            if not self.identity and self.inverse[j] != 0.0:
                self.u[j] = self.w[j] / self.inverse[j]
        if self.fit_intercept:
            self.offset[0] = self.u[self.d] * self.inverse[self.d] - shift
        return 0

    cdef int dense_steps(self, Problem p, DenseRows rows, const Py_ssize_t* row,
                         Py_ssize_t n_steps, const double* rate, Py_ssize_t width,
                         double* space) except -1 nogil:
        """The steps themselves; the coefficients stay one step behind.

        So a step waits for nothing but the loss of the one before: the margin of row i is
        p - rate[i - 1] c[i - 1] q, with p the margin without that step and q the product of the two
        rows.
        """
        cdef Py_ssize_t i, d = self.d, size = rows.column_stride, ahead = rows.ahead
        cdef Py_ssize_t last = d * size - 1
        cdef const char* coming
        cdef double z, c = 0.0, l2 = self.alpha[0] * self.penalty.bend
        cdef double b = self.u[d] * self.inverse[d] if self.fit_intercept else 0.0
        cdef double speed = self.inverse[d] ** 2 * self.unit[0] if self.fit_intercept else 0.0
        cdef double p_next = 0.0, q_next = 0.0, last_rate = 0.0, step, decay
        cdef double* w = space
        cdef double* a = space + width
        cdef double* ring = space + 2 * width
        cdef double* before = ring + 3 * width
        cdef step_function step_behind = skgd_step_behind_metric
        if self.identity:
            step_behind = skgd_step_behind_plain
        for i in range(min(n_steps, <Py_ssize_t>2)):
            rows.take(rows.base + row[i] * rows.row_stride, d, self.mean, ring + i * width)
        coming = rows.base + row[0] * rows.row_stride
        step_behind(width, before, before, ring, a, 0.0, 0.0, 0.0, w, &p_next, &q_next, coming,
                    size, last)
        for i in range(n_steps):
            if i + ahead < n_steps:
                coming = rows.base + row[i + ahead] * rows.row_stride
                p.prefetch_target(row[i + ahead])
            z = p_next + b - last_rate * c * (q_next + speed)
            b -= last_rate * speed * c
            step, decay = last_rate * c, last_rate * l2
            if i + 2 < n_steps:
                rows.take(rows.base + row[i + 2] * rows.row_stride, d, self.mean,
                          ring + (i + 2) % 4 * width)
            # Nothing here waits for the slope that follows.
            step_behind(
                width, ring + (i + 3) % 4 * width, ring + i % 4 * width,
                ring + (i + 1) % 4 * width, a, step, decay, rate[i] * l2, w, &p_next, &q_next,
                coming, size, last
            )
            p.single_slope(row[i], z, self.weight_scale, &c)
            last_rate = rate[i]
        before = ring + (n_steps - 1) % 4 * width
        step_behind(
            width, before, before, before, a, last_rate * c, last_rate * l2, 0.0, w, &p_next,
            &q_next, coming, size, last
        )
        if self.fit_intercept:
            self.u[d] = (b - last_rate * speed * c) / self.inverse[d]
        return 0

    cdef int single_sparse(self, Problem p, SparseRows rows, const Py_ssize_t* row,
                           Py_ssize_t n_steps, const double* rate) except -1:
        """Steps along single rows' gradients that touch the coefficients of the row alone."""
        cdef Py_ssize_t j, d = self.d
        cdef double* space
        if self.identity and not self.penalty.proximal:
            with nogil:
                self.scaled_steps(p, rows, row, n_steps, rate)
            self.refresh_all(0)
            return 0
        records = np.zeros((d, SKGD_RECORD))
        buffers = np.empty((2, rows.widest))
        cdef double* record = writeable_floats(records, (d, SKGD_RECORD))
        space = writeable_floats(buffers, (2, rows.widest))
        for j in range(d):
            record[SKGD_RECORD * j] = self.u[j] * self.inverse[j]
            record[SKGD_RECORD * j + 2] = self.inverse[j] * self.inverse[j] * self.unit[0]
        with nogil:
            self.sparse_steps(p, rows, row, n_steps, rate, record, space)
        for j in range(d):
            if self.inverse[j] != 0.0:
                self.u[j] = self.w[j] / self.inverse[j]
        self.refresh_all(0)
        return 0

    cdef int scaled_steps(self, Problem p, SparseRows rows, const Py_ssize_t* row,
                          Py_ssize_t n_steps, const double* rate) except -1 nogil:
        """Steps whose l2 decay is that of one number, which multiplies all coefficients."""
        cdef Py_ssize_t i, j, start, stop
        cdef double z, c, scale = 1.0, l2 = self.alpha[0] * self.penalty.bend
        cdef double b = self.u[self.d] if self.fit_intercept else 0.0
        cdef double* v = self.w
        for i in range(n_steps):
            if i + AHEAD < n_steps:
                rows.prefetch(row[i + AHEAD])
                p.prefetch_target(row[i + AHEAD])
            start, stop = rows.start(row[i]), rows.start(row[i] + 1)
            z = b + scale * rows.kernels.dot(rows.data, rows.indices, start, stop, v)
            p.single_slope(row[i], z, self.weight_scale, &c)
            scale *= 1.0 - rate[i] * l2
            if fabs(scale) < 1e-100:
                for j in range(self.d):
                    v[j] *= scale
                scale = 1.0
            rows.kernels.add(rows.data, rows.indices, start, stop, -rate[i] * c / scale, v)
            b -= rate[i] * c
        for j in range(self.d):
            v[j] *= scale
        if self.fit_intercept:
            self.u[self.d] = b
        return 0

    cdef int sparse_steps(self, Problem p, SparseRows rows, const Py_ssize_t* row,
                          Py_ssize_t n_steps, const double* rate, double* record,
                          double* space) except -1 nogil:
        """Steps after which the penalty reaches a coefficient when a row next needs it.

        With the rates summed up since, its l2 part is a decay, its l1 part one threshold.
        """
        cdef Py_ssize_t i, j, start, stop, m
        cdef double z, c, total = 0.0
        cdef double l2 = self.alpha[0] * self.penalty.bend
        cdef double b = self.u[self.d] * self.inverse[self.d] if self.fit_intercept else 0.0
        cdef double speed = (
            self.inverse[self.d] ** 2 * self.unit[0] if self.fit_intercept else 0.0
        )
        cdef double* w = space
        cdef double* since = space + rows.widest
        for i in range(n_steps):
            if i + AHEAD < n_steps:
                rows.prefetch(row[i + AHEAD])
                p.prefetch_target(row[i + AHEAD])
            if i + 2 < n_steps:
                rows.prefetch_records(row[i + 2], record)
            start, stop = rows.start(row[i]), rows.start(row[i] + 1)
            m = stop - start
            z = b + rows.kernels.gather(
                rows.data, rows.indices, start, stop, record, total, l2, w, since
            )
            if self.penalty.proximal:
                for j in range(m):
                    since[j] *= self.alpha[0]
                self.penalty.prox(m, w, since)
                z = b + rows.kernels.values_dot(rows.data, start, m, w)
            p.single_slope(row[i], z, self.weight_scale, &c)
            rows.kernels.scatter(
                rows.data, rows.indices, start, stop, record, total, rate[i] * c, w
            )
            total += rate[i]
            b -= rate[i] * speed * c
        skgd_settle(self.d, record, total, l2, self.w, self.g)
        if self.penalty.proximal:
            for j in range(self.d):
                self.g[j] *= self.alpha[0]
            self.penalty.prox(self.d, self.w, self.g)
        if self.fit_intercept:
            self.u[self.d] = b / self.inverse[self.d]
        return 0

    def run(self, order, bounds, rates, Py_ssize_t t, Py_ssize_t averaged=-1):
        """Take one step per batch.

        Parameters
        ----------
        order : intp array
            Row numbers.
        bounds : intp array of shape (n_batches + 1,)
            Where each batch begins in `order`, and where the last one ends.
        rates : float64 array of shape (n_batches,)
        t : int
            The number of the first step.
        averaged : int, default=-1
            The number of steps in the running mean before; -1 for no averaging.
        """
        cdef Py_ssize_t b, size, last, n_batches = len(bounds) - 1
        cdef double share
        cdef const Py_ssize_t* row = integers(order, (len(order),))
        cdef const Py_ssize_t* bound = integers(bounds, (len(bounds),))
        cdef const double* rate = floats(rates, (n_batches,))
        check_steps(order, bounds, self.problem.n)
        self.check_average(averaged)
        last = bound[n_batches]
        if last - bound[0] == n_batches and averaged < 0 and self.goes_row_by_row():
            if isinstance(self.problem.rows, DenseRows):
                self.single_dense(self.problem, self.problem.rows, row + bound[0], n_batches, rate)
            else:
                self.single_sparse(self.problem, self.problem.rows, row + bound[0], n_batches, rate)
            return
        self.make_room()
        if self.takes_tiles() and tiles_fit(bounds):
            run_in_tiles([self], order, bounds, rates[None], t, [averaged])
            return
        with nogil:
            for b in range(n_batches):
                size = bound[b + 1] - bound[b]
                self.batch(row + bound[b], size, last - bound[b], self.weight_scale / size)
                share = 1.0 / (averaged + b + 1) if averaged >= 0 else 0.0
                self.finish_all(rate[b], t + b, share)

    def raw(self):
        """Return the coefficients and the intercepts of the parameters."""
        offset, coef = self.owners[-2:]
        return coef[:, :self.d].copy(), offset.copy()

    def begin_epoch(self):
        """Prepare for an epoch, and return how often all rows were read for it."""
        return 0

    def step_along(self, coef_gradient, intercept_gradient, double rate, Py_ssize_t t,
                   Py_ssize_t averaged=-1):
        """Take one step along the gradient of a full pass."""
        cdef Py_ssize_t c
        cdef double share = 1.0 / (averaged + 1) if averaged >= 0 else 0.0
        cdef const double* g = floats(coef_gradient, (self.k, self.d))
        cdef const double* g_offset = floats(intercept_gradient, (self.k,))
        self.check_average(averaged)
        with nogil:
            for c in range(self.k):
                memcpy(self.g + c * self.p, g + c * self.d, self.d * sizeof(double))
                if self.fit_intercept:
                    self.g[c * self.p + self.d] = g_offset[c]
            self.finish_all(rate, t, share)

    def work(self, Py_ssize_t length):
        """Return about how many multiplications a step along a batch of some rows takes."""
        rows = self.k * length * (self.problem.rows.width + BLOCK)
        return rows if length == 1 and self.goes_row_by_row() else rows + 16 * self.k * self.d

    cdef bint takes_tiles(self):
        """Whether the gradient of a batch can be taken, and followed, tile by tile."""
        return isinstance(self.problem.rows, SparseRows) and (
            self.tile < self.p or self.tile == SKGD_TILE
        )

    cdef int run_tiles(self, Tiles tiles, const double* rate, Py_ssize_t t,
                       Py_ssize_t averaged) except -1:
        """Take one step for each of the batches that are cut into tiles."""
        self.make_room()
        cdef Py_ssize_t b, c, tallest = tiles.tallest
        buffers = np.empty((2, self.k, tallest)), np.empty((2, SKGD_TILE))
        cdef double* z = writeable_floats(buffers[0], buffers[0].shape)
        cdef double* slope = z + self.k * tallest
        cdef double* g = writeable_floats(buffers[1], (2, SKGD_TILE))
        cdef double share
        with nogil:
            for c in range(self.k):
                memset(z + c * tallest, 0, tiles.size(0) * sizeof(double))
                tiles.dot_all(0, self.w + c * self.p, z + c * tallest)
            for b in range(tiles.n_batches):
                share = 1.0 / (averaged + b + 1) if averaged >= 0 else 0.0
                self.slopes_of_batch(tiles, b, z, slope)
                for c in range(self.k):
                    memset(z + c * tallest, 0, tallest * sizeof(double))
                    self.step_in_tiles(tiles, b, c, z + c * tallest, slope + c * tallest, g,
                                       rate[b], t + b, share)
            for c in range(self.k):
                self.refresh_all(c)
        return 0

    cdef int slopes_of_batch(self, Tiles tiles, Py_ssize_t b, const double* z,
                             double* slope) except -1 nogil:
        """Turn the margins of a batch into its weighted slopes, whose sum goes to the intercept."""
        cdef const Py_ssize_t* index = tiles.row + tiles.bound[b]
        cdef Py_ssize_t i = 0, m, c, size = tiles.size(b)
        for c in range(self.k if self.fit_intercept else 0):
            self.g[c * self.p + self.d] = 0.0
        while i < size:
            m = min(size - i, <Py_ssize_t>BLOCK)
            for c in range(self.k):
                memcpy(self.space.z + c * m, z + c * tiles.tallest + i, m * sizeof(double))
            self.space.forget()
            self.slopes(index + i, m, size, self.space, 0)
            for c in range(self.k):
                memcpy(slope + c * tiles.tallest + i, self.space.c + c * m, m * sizeof(double))
            i += m
        return 0

    cdef int step_in_tiles(self, Tiles tiles, Py_ssize_t b, Py_ssize_t c, double* z,
                           const double* slope, double* g, double rate, Py_ssize_t t,
                           double share) except -1 nogil:
        """Step along a batch's slopes, and take the margins of the next one on the way.

        The coefficients of a tile are made in a buffer behind g, which stays in cache.
        """
        cdef Py_ssize_t tile, first
        cdef double shift = 0.0
        cdef double* w = g + SKGD_TILE
        cdef double total = self.g[c * self.p + self.d] if self.fit_intercept else 0.0
        for tile in range((self.p + SKGD_TILE - 1) // SKGD_TILE):
            first = tile * SKGD_TILE
            memset(g, 0, SKGD_TILE * sizeof(double))
            if first < self.d:
                tiles.add(b, tile, slope, g)
            if first + SKGD_TILE >= self.p and self.fit_intercept:
                g[self.d - first] = total
            if self.identity:
                w = self.w + c * self.p + first
            self.refresh_part(c, first, min(SKGD_TILE, self.d - first), w)
            self.finish_part(c, first, g, w, total, rate, t, share, &shift)
            if first < self.d and b + 1 < tiles.n_batches:
                tiles.dot(b + 1, tile, w, z)
        self.refresh(c, shift)
        return 0

    cdef bint goes_row_by_row(self):
        """Whether margin, slope and step of a row can be done on its coefficients at once."""
        penalty, rows = self.penalty, self.problem.rows
        if self.k > 1 or self.problem.numbers == NULL or not (<Rule>self.rule[0]).plain:
            return False
        if penalty.bend != penalty.bend:  # NaN: the features are not alike
            return False
        if isinstance(rows, DenseRows):
            return not penalty.proximal and not (<DenseRows>rows).packed
        # Centring would touch every coefficient.
        return (<SparseRows>rows).canonical and not np.any(self.owners[4])

    def check_average(self, averaged):
        if averaged >= 0 and self.average == NULL:
            raise ValueError("averaged: there is no array for the average.")


# ---- many models in one sweep -------------------------------------------------------------------

cdef class Fleet:
    """Sweeps of independent models over the same rows, in lock step.

    A block of rows is read once for all models. What comes out is what each sweep would give alone,
    up to rounding.

    Parameters
    ----------
    sweeps : list of Sweep
        Their problems have the same `Rows` object.
    """

    cdef list sweeps
    cdef Rows rows
    cdef Workspace space
    cdef Py_ssize_t k, n, n_kinds
    cdef object owners
    cdef const Py_ssize_t* kind  # of each row
    cdef const Py_ssize_t* counts  # (n_kinds, n_sweeps): whether rows of a kind count for a sweep

    def __init__(self, list sweeps):
        cdef Sweep sweep
        if not sweeps:
            raise ValueError("sweeps: pass at least one Sweep.")
        self.sweeps = list(sweeps)
        self.k = 0
        for item in sweeps:
            sweep = item
            if self.rows is not None and sweep.problem.rows is not self.rows:
                raise ValueError("sweeps: pass problems that share one Rows object.")
            self.rows = sweep.problem.rows
            self.k += sweep.k
        self.n = self.rows.n
        if isinstance(self.rows, DenseRows) and self.k >= MANY:
            self.space = Workspace(self.rows, self.k)
            self.sort_rows([(<Sweep>item).problem.weights for item in sweeps])

    cdef int sort_rows(self, list weights) except -1:
        """Find out for which models each row counts: the others need not look at it."""
        distinct = {id(each): each for each in weights if each is not None}
        masks, kinds = [0], np.zeros(self.n, dtype=np.intp)
        if len(distinct) < 64:
            bits = {key: 1 << i for i, key in enumerate(distinct)}
            mask = np.zeros(self.n, dtype=np.uint64)
            for key, each in distinct.items():
                mask |= np.where(each == 0, np.uint64(bits[key]), np.uint64(0))
            found = np.unique(mask)
            if len(found) <= KINDS:
                masks, kinds = found.tolist(), np.searchsorted(found, mask).astype(np.intp)
        counts = np.array(
            [[each is None or not bits[id(each)] & mask for each in weights] for mask in masks],
            dtype=np.intp,
        ) if any(masks) else np.ones((1, len(weights)), dtype=np.intp)
        self.owners, self.n_kinds = (kinds, counts), len(masks)
        self.kind = integers(kinds, kinds.shape)
        self.counts = integers(counts, counts.shape)
        return 0

    def run(self, order, bounds, rates, Py_ssize_t t, averaged=None):
        """Take one step per batch with each model.

        Parameters
        ----------
        order, bounds : intp arrays
            As in `Sweep.run`.
        rates : float64 array of shape (n_sweeps, n_batches)
        t : int
            The number of the first step.
        averaged : list of int, default=None
            The number of steps in each running mean before; -1 for no averaging.
        """
        cdef Py_ssize_t b, m, i, j, kind, size, last, end, n_batches = len(bounds) - 1
        cdef Py_ssize_t n_sweeps = len(self.sweeps)
        cdef double share
        averaged = [-1] * n_sweeps if averaged is None else averaged
        cdef const double* rate = floats(rates, (n_sweeps, n_batches))
        check_steps(order, bounds, self.n)
        if len(averaged) != n_sweeps:
            raise ValueError(f"averaged: pass {n_sweeps} numbers, one for each sweep.")
        for item, count in zip(self.sweeps, averaged, strict=True):
            (<Sweep>item).check_average(count)
        if self.space is None:
            # Sparse rows are short beside the models: one model after the other stays in cache.
            tiled = tiles_fit(bounds) and all([(<Sweep>item).takes_tiles() for item in self.sweeps])
            if tiled and bounds[n_batches] - bounds[0] > n_batches:
                run_in_tiles(self.sweeps, order, bounds, rates, t, averaged)
                return
            for j in range(n_sweeps):
                (<Sweep>self.sweeps[j]).run(order, bounds, rates[j], t, averaged[j])
            return
        cdef const Py_ssize_t* row = integers(order, (len(order),))
        cdef const Py_ssize_t* bound = integers(bounds, (len(bounds),))
        counts = np.array(averaged, dtype=np.intp)
        cdef const Py_ssize_t* count_of = integers(counts, (n_sweeps,))
        cdef void** sweeps = <void**>malloc(n_sweeps * sizeof(void*))
        if sweeps == NULL:
            raise MemoryError()
        for j in range(n_sweeps):
            sweeps[j] = <void*>self.sweeps[j]
        last = bound[n_batches]
        # Rows of a batch that count for the same models lie together; one more place for what is
        # written before it is known whether it stays.
        cdef Py_ssize_t n_kinds = self.n_kinds
        if last - bound[0] < FEW * n_kinds * n_batches:
            n_kinds = 1
        order_by_kind = np.empty(last + 1, dtype=np.intp)
        ends = np.empty((n_batches, n_kinds), dtype=np.intp)
        cdef Py_ssize_t* sorted_row = writeable_integers(order_by_kind, (last + 1,))
        cdef Py_ssize_t* end_of = writeable_integers(ends, (n_batches, n_kinds))
        try:
            with nogil:
                for b in range(n_batches):
                    i = bound[b]
                    for kind in range(n_kinds):
                        for j in range(bound[b], bound[b + 1]):
                            sorted_row[i] = row[j]
                            i += n_kinds == 1 or self.kind[row[j]] == kind
                        end_of[b * n_kinds + kind] = i
                for b in range(n_batches):
                    size = bound[b + 1] - bound[b]
                    for j in range(n_sweeps):
                        (<Sweep>sweeps[j]).begin_batch()
                    i = bound[b]
                    for kind in range(n_kinds):
                        end = end_of[b * n_kinds + kind]
                        while i < end:
                            m = min(end - i, <Py_ssize_t>BLOCK)
                            self.rows.expect(sorted_row + i + m,
                                             min(<Py_ssize_t>BLOCK, last - i - m), True, self.space)
                            self.add_block(
                                sweeps, n_sweeps,
                                self.counts + kind * n_sweeps if n_kinds > 1 else NULL,
                                sorted_row + i, m, size
                            )
                            i += m
                    for j in range(n_sweeps):
                        share = 1.0 / (count_of[j] + b + 1) if count_of[j] >= 0 else 0.0
                        (<Sweep>sweeps[j]).finish_all(rate[j * n_batches + b], t + b, share)
        finally:
            free(sweeps)

    cdef int add_block(self, void** sweeps, Py_ssize_t n_sweeps, const Py_ssize_t* counts,
                       const Py_ssize_t* index, Py_ssize_t m, Py_ssize_t size) except -1 nogil:
        """Add the gradients of a block of rows to those of the models for which they count."""
        cdef Py_ssize_t j, first = 0
        for j in range(n_sweeps):
            if counts == NULL or counts[j]:
                first += (<Sweep>sweeps[j]).join(self.space, first)
        if first == 0:
            return 0
        self.space.k = first
        self.space.forget()
        self.rows.dot(index, m, self.space)
        first = 0
        for j in range(n_sweeps):
            if counts == NULL or counts[j]:
                first += (<Sweep>sweeps[j]).slopes(index, m, size, self.space, first)
        self.rows.add(index, m, self.space)
        return 0


def joint_losses(list problems, coef, intercept, subset):
    """Return the mean weighted losses of many models on some rows, which are read once for all.

    Parameters
    ----------
    problems : list of Problem
        With the same `Rows` object and the same weights.
    coef : float64 array of shape (n_outputs, n_features), C order
        Those of the first problem's outputs, then those of the next, and so on.
    intercept : float64 array of shape (n_outputs,)
    subset : intp array
        The row numbers.

    Returns
    -------
    array of shape (n_outputs,)
    """
    cdef Problem p = problems[0]
    cdef Py_ssize_t i = 0, j, m, first, k = len(coef), n = len(subset)
    cdef Py_ssize_t n_problems = len(problems)
    cdef Rows rows = p.rows
    cdef Workspace space = Workspace(rows, k)
    cdef const double* w = floats(coef, (k, rows.d))
    cdef const double* offset = floats(intercept, (k,))
    cdef const Py_ssize_t* index = integers(subset, (n,))
    if sum([problem.k for problem in problems]) != k:
        raise ValueError(f"coef: pass one row for each output of the problems, not {k}.")
    if any([problem.rows is not rows or problem.weights is not p.weights for problem in problems]):
        raise ValueError("problems: pass some that share one Rows object and their weights.")
    if not n or subset.min() < 0 or subset.max() >= rows.n:
        raise ValueError(f"subset: pass some row numbers from 0 to {rows.n - 1}.")
    if isinstance(rows, SparseRows) and k >= MANY:
        space.lay_beside(rows.d, w, False)
    losses = np.zeros(k)
    cdef double* value = writeable_floats(losses, (k,))
    members = np.array([<size_t><void*>problem for problem in problems], dtype=np.intp)
    cdef const Py_ssize_t* member = integers(members, (n_problems,))
    with nogil:
        space.point(0, k, w, rows.d, NULL, 0)
        while i < n:
            m = min(n - i, <Py_ssize_t>BLOCK)
            rows.expect(index + i + m, min(<Py_ssize_t>BLOCK, n - i - m), False, space)
            space.forget()
            rows.dot(index + i, m, space)
            first = 0
            for j in range(n_problems):
                (<Problem><void*>member[j]).add_value(index + i, m, space, first, offset, value)
                first += (<Problem><void*>member[j]).k
            i += m
    return losses / (n if p.weights is None else p.weights[subset].sum())


# ---- steps whose noise dies out -----------------------------------------------------------------

cdef class ReducedSweep(Sweep):
    """Update steps along estimates of the gradient whose noise dies out near the minimum.

    A slope of the loss is remembered for each row and output, and the gradient that these slopes
    make together. The estimate is a batch's gradient of the changes since, plus that gradient.

    Parameters
    ----------
    every : int
        The epochs from one time to the next that the slopes of all rows are taken anew (SVRG); 0
        for slopes that are taken anew when their row is visited (SAGA).
    others
        As for `Sweep`.
    """

    cdef readonly object known, total
    cdef double n  # the rows that count
    cdef Py_ssize_t every
    cdef Py_ssize_t age  # epochs since all slopes were taken; -1 at the beginning
    cdef bint filling  # whether it is the first epoch of a descent from zero
    cdef double* slope  # (n, k)
    cdef double* gradient  # (k, p), for raw columns

    def __init__(self, Py_ssize_t every, *arguments):
        Sweep.__init__(self, *arguments)
        self.make_room()
        self.every, self.age = every, -1
        self.n = self.weight_scale * self.problem.weight_sum
        self.known = np.zeros((self.problem.n, self.k))
        self.total = np.zeros((self.k, self.p))
        self.slope = writeable_floats(self.known, self.known.shape)
        self.gradient = writeable_floats(self.total, self.total.shape)

    def begin_epoch(self):
        """Take the slopes of all rows anew where it is time; return the passes that this took.

        A descent that begins at zero knows nothing yet: its first epoch is plain gradient descent.
        """
        if self.age < 0:
            renews = np.any(self.owners[0][:, :self.d])
            self.filling = not renews
        else:
            renews = self.every and (self.filling or self.age == self.every)
            self.filling = False
        self.age = 1 if renews or self.age < 0 else self.age + 1
        if not renews:
            return 0
        self.known[:] = self.total[:] = 0.0
        starts = chunk_starts(self.problem.rows, self.problem.n)
        for start in starts:
            rows = np.arange(start, min(start + starts.step, self.problem.n), dtype=np.intp)
            self.look_at(rows)
        return 1

    cdef int look_at(self, rows) except -1:
        """Take the slopes of some rows anew."""
        cdef Py_ssize_t m = len(rows)
        cdef const Py_ssize_t* index = integers(rows, (m,))
        with nogil:
            self.changes(self.problem, self.space, index, m, m, self.weight_scale / m, True)
            skgd_axpy(self.k * self.p, m / self.n, self.g, self.gradient)
        return 0

    cdef int changes(self, Problem p, Workspace space, const Py_ssize_t* index,
                     Py_ssize_t size, Py_ssize_t known, double factor,
                     bint renews) except -1 nogil:
        """Set g to the mean gradient of the changes of some rows' slopes."""
        cdef Py_ssize_t i = 0, j, m, c
        cdef double unused = 0.0, fresh
        cdef double* slope
        cdef double* total = self.g + self.d if self.fit_intercept else &unused
        memset(self.g, 0, self.k * self.p * sizeof(double))
        space.point(0, self.k, self.w, self.p, self.g, self.p)
        while i < size:
            m = min(size - i, p.rows.block)
            p.expect(index + i, m, known - i, space)
            space.forget()
            p.rows.dot(index + i, m, space)
            p.fill(index + i, m, space)
            p.add_offset(m, self.offset, space.z)
            p.loss.gradient(self.k, m, space.y, space.z, space.c)
            for j in range(m):
                slope = self.slope + index[i + j] * self.k
                for c in range(self.k):
                    fresh = space.c[c * m + j]
                    space.c[c * m + j] = fresh - slope[c]
                    slope[c] = fresh if renews else slope[c]
            p.weigh(m, space, factor, space.c, total, self.p if self.fit_intercept else 0)
            p.rows.add(index + i, m, space)
            i += m
        return 0

    cdef int batch(self, const Py_ssize_t* index, Py_ssize_t size, Py_ssize_t known,
                   double factor) except -1 nogil:
        cdef Py_ssize_t j
        cdef double change, share = size / self.n if self.every == 0 else 0.0
        self.changes(self.problem, self.space, index, size, known, factor, self.every == 0)
        for j in range(self.k * self.p):
            change = self.g[j]
            self.g[j] += 0.0 if self.filling else self.gradient[j]
            self.gradient[j] += share * change
        return 0

    cdef bint takes_tiles(self):
        return False

    cdef bint goes_row_by_row(self):
        return isinstance(self.problem.rows, DenseRows) and Sweep.goes_row_by_row(self)

    cdef int dense_steps(self, Problem p, DenseRows rows, const Py_ssize_t* row,
                         Py_ssize_t n_steps, const double* rate, Py_ssize_t width,
                         double* space) except -1 nogil:
        cdef Py_ssize_t i, j, d = self.d, size = d * rows.column_stride
        cdef double y, z, fresh, c, l2 = self.alpha[0] * self.penalty.bend
        cdef double share = 1.0 / self.n if self.every == 0 else 0.0
        cdef double trust = 0.0 if self.filling else 1.0
        cdef double b = self.u[d] * self.inverse[d] if self.fit_intercept else 0.0
        cdef double speed = self.inverse[d] ** 2 * self.unit[0] if self.fit_intercept else 0.0
        cdef double total = self.gradient[d] if self.fit_intercept else 0.0
        cdef double* w = space
        cdef double* a = space + width
        cdef double* x = space + 2 * width
        # For centred columns while it lasts.
        for j in range(d):
            self.gradient[j] -= self.mean[j] * total
        for i in range(n_steps):
            if i + AHEAD < n_steps:
                skgd_prefetch(rows.base + row[i + AHEAD] * rows.row_stride, size)
                skgd_prefetch(<const char*>(self.slope + row[i + AHEAD]), 1)
                p.prefetch_target(row[i + AHEAD])
            rows.take(rows.base + row[i] * rows.row_stride, d, self.mean, x)
            skgd_dot_f64(<const char**>&x, 1, d, w, &z, &self.space.coming)
            z += b
            y = p.numbers[row[i]]
            p.loss.gradient(1, 1, &y, &z, &fresh)
            c = fresh - self.slope[row[i]]
            if share > 0.0:
                self.slope[row[i]] = fresh
            c *= self.weight_scale * (p.s[row[i]] if p.s != NULL else 1.0)
            skgd_reduced_step(d, x, a, rate[i], c, trust, share, l2, self.gradient, w)
            b -= rate[i] * speed * (c + trust * total)
            total += share * c
        for j in range(d):
            self.gradient[j] += self.mean[j] * total
        if self.fit_intercept:
            self.gradient[d] = total
            self.u[d] = b / self.inverse[d]
        return 0
