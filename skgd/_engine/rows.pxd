# cython: language_level=3
# Rows of X, and a thread's block of them. Methods that stand here are compiled into the loops over
# rows and blocks that call them.

cimport cython
from libc.stdint cimport uint32_t

cdef extern from "vector.h" nogil:
    enum:
        SKGD_LANES

cdef extern from "rows.h" nogil:
    enum:
        SKGD_TILE
    ctypedef struct skgd_prefetch_queue:
        const char* base
        Py_ssize_t stride, bytes
        const Py_ssize_t* row
        Py_ssize_t n, pace
    ctypedef struct skgd_column_sums:
        double origin, weight, first, second
    ctypedef struct skgd_csr_kernels:
        double (*dot)(const void* x, const void* column, Py_ssize_t start, Py_ssize_t stop,
                      const double* w) noexcept nogil
        void (*add)(const void* x, const void* column, Py_ssize_t start, Py_ssize_t stop, double c,
                    double* g) noexcept nogil
        void (*square)(const void* x, const void* column, Py_ssize_t start, Py_ssize_t stop,
                       Py_ssize_t end, double weight, double* sums) noexcept nogil
        void (*spread)(const void* x, const void* column, Py_ssize_t start, Py_ssize_t stop,
                       Py_ssize_t end, double weight, const char* chosen,
                       skgd_column_sums* sums) noexcept nogil
        void (*fetch)(const void* column, Py_ssize_t start, Py_ssize_t stop, Py_ssize_t k,
                      const double* w) noexcept nogil
        void (*margins)(const void* x, const void* column, Py_ssize_t start, Py_ssize_t stop,
                        Py_ssize_t k, const double* w, double* z) noexcept nogil
        void (*gradients)(const void* x, const void* column, Py_ssize_t start, Py_ssize_t stop,
                          Py_ssize_t k, const double* dz, double* g) noexcept nogil
        void (*count)(const void* column, Py_ssize_t start, Py_ssize_t stop, Py_ssize_t stride,
                      Py_ssize_t* counts) noexcept nogil
        void (*cut)(const void* x, const void* column, Py_ssize_t start, Py_ssize_t stop,
                    Py_ssize_t stride, uint32_t row, const Py_ssize_t* begin, Py_ssize_t* next,
                    double* numbers, uint32_t* places) noexcept nogil
    void skgd_prefetch(const char* address, Py_ssize_t size)

ctypedef void (*dot_function)(const char**, Py_ssize_t, Py_ssize_t, const double*, double*,
                              skgd_prefetch_queue*) noexcept nogil
ctypedef void (*add_function)(const char**, Py_ssize_t, Py_ssize_t, const double*, double*,
                              skgd_prefetch_queue*) noexcept nogil
ctypedef void (*pack_function)(const char**, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t,
                               double*) noexcept nogil
ctypedef double (*moments_function)(const char**, Py_ssize_t, Py_ssize_t, const double*, double,
                                    double*, double*, double*) noexcept nogil
ctypedef void (*load_function)(const char*, Py_ssize_t, const double*, double*) noexcept nogil

cdef enum:
    BLOCK = 64  # rows that are in cache together, at most
    MANY_OUTPUTS = 4  # outputs from which products in tiles are faster than output by output
    PREFETCH_DISTANCE = 16  # rows between a prefetch and its use, one by one


cdef class Rows:
    cdef readonly Py_ssize_t n, d
    cdef readonly double row_nnz  # numbers stored in a row, on average
    cdef readonly Py_ssize_t block  # rows of a block
    cdef object arrays  # keeps what is pointed to alive
    cdef void dot(self, const Py_ssize_t* index, Py_ssize_t m, Workspace space) noexcept nogil
    cdef void add(self, const Py_ssize_t* index, Py_ssize_t m, Workspace space) noexcept nogil
    cdef void queue_prefetch(self, const Py_ssize_t* index, Py_ssize_t m, bint adds,
                             Workspace space) noexcept nogil


@cython.final
cdef class DenseRows(Rows):
    cdef const char* base
    cdef Py_ssize_t row_stride, column_stride
    cdef Py_ssize_t ahead  # rows between a prefetch and its use, one by one
    cdef bint packed
    cdef dot_function dot_rows
    cdef add_function add_rows
    cdef pack_function pack_rows
    cdef moments_function moments_of_rows
    cdef load_function load_row
    cdef void locate(self, const Py_ssize_t* index, Py_ssize_t m, Workspace space,
                     const char** rows) noexcept nogil


@cython.final
cdef class SparseRows(Rows):
    cdef const void* data
    cdef const void* indices
    cdef const void* indptr
    cdef bint wide  # 64-bit indices
    cdef Py_ssize_t itemsize, index_size
    cdef Py_ssize_t ahead  # rows between a prefetch and its use, one by one
    cdef const skgd_csr_kernels* kernels
    cdef readonly Py_ssize_t max_row_nnz  # numbers stored in the longest row
    cdef readonly bint canonical  # whether no row names a column twice

    cdef int spread(self, const double* s, Py_ssize_t start, Py_ssize_t stop, double weight,
                    const char* chosen, double* mean, double* deviation) except -1

    cdef inline Py_ssize_t start(self, Py_ssize_t row) noexcept nogil:
        if self.wide:
            return (<const long long*>self.indptr)[row]
        return (<const int*>self.indptr)[row]

    cdef inline void prefetch_start(self, Py_ssize_t row) noexcept nogil:
        skgd_prefetch(<const char*>self.indptr + row * self.index_size, 1)

    cdef inline void prefetch(self, Py_ssize_t row) noexcept nogil:
        cdef Py_ssize_t start = self.start(row), size = self.start(row + 1) - start
        skgd_prefetch(<const char*>self.data + start * self.itemsize, size * self.itemsize)
        skgd_prefetch(<const char*>self.indices + start * self.index_size, size * self.index_size)

    cdef inline void fetch(self, Py_ssize_t row, Py_ssize_t k, const double* w) noexcept nogil:
        """Fetch k numbers of w for each column of a row."""
        self.kernels.fetch(self.indices, self.start(row), self.start(row + 1), k, w)

    cdef inline void row_dot(self, Py_ssize_t start, Py_ssize_t stop, Py_ssize_t k,
                             const double* w, double* z) noexcept nogil:
        """Set z to the products of a row's numbers with one output, or with k in whole vectors."""
        if k == 1:
            z[0] = self.kernels.dot(self.data, self.indices, start, stop, w)
        else:
            self.kernels.margins(self.data, self.indices, start, stop, k, w, z)

    cdef inline void row_add(self, Py_ssize_t start, Py_ssize_t stop, Py_ssize_t k,
                             const double* c, double* g) noexcept nogil:
        """Add a row's numbers times c to the gradient of one output, or of k in whole vectors."""
        if k == 1:
            self.kernels.add(self.data, self.indices, start, stop, c[0], g)
        else:
            self.kernels.gradients(self.data, self.indices, start, stop, k, c, g)


@cython.final
cdef class Workspace:
    cdef list arrays  # keep what is pointed to alive
    cdef Py_ssize_t k, padded_d
    cdef Py_ssize_t block  # rows of a block
    cdef const double** w  # the coefficients of each output, and where its gradient goes
    cdef double** g
    cdef double* z  # margins, (k, m) for a block of m rows, as are y and dz
    cdef double* y  # targets
    cdef double* dz  # the loss's gradient with respect to the margins
    cdef double* weight  # (m,)
    cdef bint unweighted  # whether all rows of a block that count weigh 1
    # Whose targets and weights of the block are here.
    cdef const double* targets_of
    cdef const double* weights_of
    # The block's rows as adjacent float64, for many outputs or where X has them otherwise, and for
    # many outputs its columns; both in whole vectors.
    cdef double* packed
    cdef double* columns
    # The coefficients and gradients of all outputs, feature by feature, for passes over sparse
    # rows: padded_k numbers each, in whole vectors; 0 where this layout is not used.
    cdef Py_ssize_t padded_k
    cdef double* w_by_feature
    cdef double* g_by_feature
    cdef double* values_by_row  # (m, padded_k): the margins, or dz, row by row
    cdef skgd_prefetch_queue queue
    cdef double* allocate(self, Py_ssize_t n) except NULL
    cdef int lay_by_feature(self, Py_ssize_t d, const double* w, Py_ssize_t w_stride,
                            bint adds) except -1

    cdef inline void begin_block(self) noexcept nogil:
        """Begin another block, whose targets and weights are not here yet."""
        self.targets_of = self.weights_of = NULL

    cdef inline void point_to(self, Py_ssize_t first, Py_ssize_t k, const double* w,
                              Py_ssize_t w_stride, double* g, Py_ssize_t g_stride) noexcept nogil:
        """Point to the coefficients and the gradients of k outputs, from the first on."""
        cdef Py_ssize_t c
        for c in range(k):
            self.w[first + c] = w + c * w_stride
            self.g[first + c] = g + c * g_stride if g != NULL else NULL
