# cython: language_level=3, cdivision=True
"""The data term of the objective, and one full pass over the rows for its value and gradient.

For each block of rows: the margins ``z = X w + b``, the loss's gradient with respect to the margins
over the whole block, then ``X' dz`` added to the gradient with respect to the coefficients.
"""

cimport cython
from libc.string cimport memcpy

import numpy as np

from skgd._engine.rows import chunk_starts, in_chunks, rows_of

from skgd._engine.arrays cimport floats, integers, writeable_floats
from skgd._engine.rows cimport BLOCK, MANY_OUTPUTS, Rows, SparseRows, Workspace
from skgd.losses.base cimport LossRule

cdef extern from "margins.h" nogil:
    void skgd_shift(Py_ssize_t m, double number, double* z)
    double skgd_weigh(Py_ssize_t m, double factor, const double* weight, double* x)

cdef extern from "transpose.h" nogil:
    void skgd_transpose(Py_ssize_t m, Py_ssize_t k, const double* numbers, Py_ssize_t stride,
                        double* out, Py_ssize_t out_stride)


cdef inline void signs_of_codes(Py_ssize_t m, Py_ssize_t k, const double* code,
                                double* y) noexcept nogil:
    """Set the targets of k outputs to +1 for the class of a row and -1 for the others."""
    cdef Py_ssize_t i, c
    for c in range(k):
        for i in range(m):
            y[c * m + i] = 2.0 * (code[i] == c) - 1.0


cdef class DataTerm:
    """The data term of the objective: rows of X, targets, weights and a loss.

    Targets are numbers of shape (n_samples, n_outputs), or class codes of shape (n_samples,) that
    stand for +1 in the output of the class and -1 in the others.
    """

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
        return DataTerm(self.rows, self.targets, self.weights, loss, self.k)

    def row_weights(self):
        """Return the weight of each row, which is 1 without weights."""
        return np.ones(self.n) if self.weights is None else self.weights

    cdef void fill_targets(self, const Py_ssize_t* index, Py_ssize_t m, double* y) noexcept nogil:
        cdef Py_ssize_t i, c
        cdef double code[BLOCK]
        if self.codes != NULL:
            for i in range(m):
                code[i] = self.codes[index[i]]
            signs_of_codes(m, self.k, code, y)
        else:
            for i in range(m):
                for c in range(self.k):
                    y[c * m + i] = self.numbers[index[i] * self.k + c]

    cdef void prepare(self, const Py_ssize_t* index, Py_ssize_t m, Workspace space,
                      Py_ssize_t first, const double* intercept) noexcept nogil:
        """Put a block's targets and weights into the workspace, unless they are there, and add the
        intercepts to the margins of the outputs from the first on."""
        cdef Py_ssize_t i, c
        cdef const double* targets = self.codes if self.codes != NULL else self.numbers
        if space.targets_of != targets:
            self.fill_targets(index, m, space.y)
            space.targets_of = targets
        if self.s != NULL and not space.unweighted and space.weights_of != self.s:
            for i in range(m):
                space.weight[i] = self.s[index[i]]
            space.weights_of = self.s
        for c in range(self.k):
            skgd_shift(m, intercept[c], space.z + (first + c) * m)

    cdef int add_values(self, Py_ssize_t m, Workspace space, Py_ssize_t first,
                        double* value) except -1 nogil:
        """Add a prepared block's weighted losses to value, output by output."""
        self.loss.value(self.k, m, space.y, space.z + first * m, space.dz + first * m)
        self.weigh(m, space, first, 1.0, value, 1)
        return 0

    cdef int add_margin_gradients(self, Py_ssize_t m, Workspace space, Py_ssize_t first,
                                  double factor, double* total,
                                  Py_ssize_t total_stride) except -1 nogil:
        """Set dz of the workspace for a prepared block, weighted; add its sums to total."""
        self.loss.gradient(self.k, m, space.y, space.z + first * m, space.dz + first * m)
        self.weigh(m, space, first, factor, total, total_stride)
        return 0

    cdef void weigh(self, Py_ssize_t m, Workspace space, Py_ssize_t first, double factor,
                    double* total, Py_ssize_t total_stride) noexcept nogil:
        """Multiply dz of the workspace by the block's weights and add its sums to total."""
        cdef Py_ssize_t c
        cdef const double* weight = NULL
        if self.s != NULL and not space.unweighted:
            weight = space.weight
        for c in range(self.k):
            total[c * total_stride] += skgd_weigh(m, factor, weight, space.dz + (first + c) * m)

    cdef int add_block(self, const Py_ssize_t* index, Py_ssize_t m, Workspace space,
                       const double* intercept, double factor, double* value,
                       double* g_intercept, Py_ssize_t g_intercept_stride) except -1 nogil:
        """Add a block's weighted losses to value and its gradient to that of the workspace.

        Either is left out where there is no place for it: for the sums of dz, g_intercept. The
        caller has begun the block, and may have put its targets and weights into the workspace.
        """
        self.rows.dot(index, m, space)
        self.prepare(index, m, space, 0, intercept)
        if value != NULL:
            self.add_values(m, space, 0, value)
        if g_intercept != NULL:
            self.add_margin_gradients(m, space, 0, factor, g_intercept, g_intercept_stride)
            self.rows.add(index, m, space)
        return 0

    cdef bint prefetches(self, subset):
        """Tell whether a pass over a subset of the rows, or over all, fetches the next ones."""
        # Rows in their order come by themselves. Without prefetches passes took 0.8 of the time for
        # one output on 20 000 x 500, 0.75 for ten on 3750 x 784, and 0.78 for one output on CSR of
        # 20 000 x 100 000 with 100 numbers a row.
        return subset is not None

    cdef int add_rows(self, const Py_ssize_t* rows, Py_ssize_t start, Py_ssize_t stop,
                      bint prefetches, Workspace space, const double* intercept, double* value,
                      double* g_intercept, double* z) except -1 nogil:
        """Add rows from start to stop, of those given or of all, as `add_block` does.

        Their margins, of shape (n, k), are left out where there is no place for them.
        """
        cdef Py_ssize_t index[2 * BLOCK]
        cdef Py_ssize_t i, m, ahead, row = start
        while row < stop:
            m = min(stop - row, space.block)
            ahead = min(stop - row - m, m) if prefetches else 0
            for i in range(m + ahead):
                index[i] = rows[row + i] if rows != NULL else row + i
            self.rows.queue_prefetch(index + m, ahead, g_intercept != NULL, space)
            space.begin_block()
            self.add_block(index, m, space, intercept, 1.0, value, g_intercept, 1)
            if z != NULL:
                skgd_transpose(self.k, m, space.z, m, z + row * self.k, self.k)
            row += m
        return 0


@cython.final
cdef class OrderedTargets:
    """The targets and weights of rows in the order in which batches take them, gathered at once.

    Fetched block by block between rows of X, each costs the latency of the memory.

    Parameters
    ----------
    problem : DataTerm
    """

    def __init__(self, DataTerm problem not None):
        self.problem = problem
        self.width = 1 if problem.codes != NULL else problem.k
        self.array = np.empty((0, self.width + (problem.s != NULL)))
        self.first = NULL

    cdef int gather(self, const Py_ssize_t* index, Py_ssize_t n) except -1:
        """Gather the targets and weights of n rows, which stay where they are."""
        cdef DataTerm p = self.problem
        cdef Py_ssize_t i, width = self.width
        cdef const double* targets = p.codes if p.codes != NULL else p.numbers
        if len(self.array) < n:
            self.array = np.empty((n, width + (p.s != NULL)))
        self.first, self.targets = index, writeable_floats(self.array, self.array.shape)
        self.weights = self.targets + n * width if p.s != NULL else NULL
        with nogil:
            if width == 1:
                for i in range(n):
                    self.targets[i] = targets[index[i]]
            else:
                for i in range(n):
                    memcpy(self.targets + i * width, targets + index[i] * width,
                           width * sizeof(double))
            if p.s != NULL:
                for i in range(n):
                    self.weights[i] = p.s[index[i]]
        return 0

    cdef int gather_single(self, const Py_ssize_t* index, Py_ssize_t n) except -1:
        """Gather as `gather` does for one output, whose class codes become signs."""
        self.gather(index, n)
        if self.problem.codes != NULL:
            with nogil:
                signs_of_codes(n, 1, self.targets, self.targets)
        return 0

    cdef void put(self, const Py_ssize_t* index, Py_ssize_t m, Workspace space) noexcept nogil:
        """Begin a block of m of the rows in order, with their targets and weights."""
        cdef Py_ssize_t first = index - self.first
        space.begin_block()
        if self.problem.codes != NULL:
            signs_of_codes(m, self.problem.k, self.targets + first, space.y)
            space.targets_of = self.problem.codes
        else:
            skgd_transpose(m, self.width, self.targets + first * self.width, self.width, space.y,
                           m)
            space.targets_of = self.problem.numbers
        if self.problem.s != NULL and not space.unweighted:
            memcpy(space.weight, self.weights + first, m * sizeof(double))
            space.weights_of = self.problem.s


def signed_targets(targets, Py_ssize_t n_outputs):
    """Return targets of shape (n_samples, n_outputs): class codes as -1 and +1, others as is."""
    if targets.ndim != 1:
        return targets
    cdef Py_ssize_t n = len(targets), i, c
    codes, result = np.ascontiguousarray(targets, dtype=float), np.empty((n, n_outputs))
    cdef const double* code = floats(codes, (n,))
    cdef double* sign = writeable_floats(result, (n, n_outputs))
    for i in range(n):
        for c in range(n_outputs):
            sign[i * n_outputs + c] = 1.0 if code[i] == c else -1.0
    return result


def _pass_over_chunk(DataTerm p, coef, intercept, Py_ssize_t start, Py_ssize_t stop, subset,
                     bint want_gradient, margins):
    """Return the weighted loss of some rows and its gradients, not divided by anything."""
    cdef Workspace space = Workspace(p.rows, p.k)
    cdef const double* w = floats(coef, (p.k, p.d))
    cdef const double* b = floats(intercept, (p.k,))
    cdef const Py_ssize_t* rows = NULL
    cdef double* g = NULL
    cdef double* g_intercept = NULL
    cdef bint prefetches = p.prefetches(subset)
    cdef double* z = NULL
    values = np.zeros(p.k)
    cdef double* value = writeable_floats(values, (p.k,))
    gradient = intercept_gradient = None
    if want_gradient:
        gradient, intercept_gradient = np.zeros((p.k, p.d)), np.zeros(p.k)
        g = writeable_floats(gradient, (p.k, p.d))
        g_intercept = writeable_floats(intercept_gradient, (p.k,))
    if subset is not None:
        rows = integers(subset, (len(subset),))
    if margins is not None:
        z = writeable_floats(margins, (p.n if subset is None else len(subset), p.k))
    n_read = (stop - start) * p.rows.row_nnz
    if p.k >= MANY_OUTPUTS and isinstance(p.rows, SparseRows) and n_read >= p.d:
        space.lay_by_feature(p.d, w, p.d, want_gradient)
    with nogil:
        space.point_to(0, p.k, w, p.d, g, p.d)
        p.add_rows(rows, start, stop, prefetches, space, b, value, g_intercept, z)
        if space.padded_k and g != NULL:
            skgd_transpose(p.d, p.k, space.g_by_feature, space.padded_k, g, p.d)
    return values, gradient, intercept_gradient


def value_and_gradient(DataTerm problem, coef, intercept, *, gradient=True, subset=None,
                       n_threads=1, margins=None):
    """Return the mean weighted losses and their gradients in one pass over the rows.

    Rows are cut into chunks whose size depends only on the data, and the chunks' sums are added in
    their order: the result is the same to the bit for any number of threads.

    Parameters
    ----------
    problem : DataTerm
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
    n, weight_sum = _size_and_weight(problem, subset)

    def chunk(start, stop):
        return _pass_over_chunk(problem, coef, intercept, start, stop, subset, gradient, margins)

    return _mean_of_sums(in_chunks(problem.rows, n, chunk, n_threads), weight_sum)


def _size_and_weight(DataTerm problem, subset):
    """Return how many rows a checked subset has, or the problem, and the sum of their weights."""
    if subset is None:
        return problem.n, problem.weight_sum
    n = len(subset)
    integers(subset, (n,))
    if not n or (subset.min() < 0 or subset.max() >= problem.n):
        raise ValueError(f"subset: pass some row numbers from 0 to {problem.n - 1}.")
    return n, n if problem.weights is None else problem.weights[subset].sum()


def _mean_of_sums(chunks, weight_sum):
    values, coef_gradient, intercept_gradient = next(chunks)
    for more, more_coef, more_intercept in chunks:
        values += more
        if coef_gradient is not None:
            coef_gradient += more_coef
            intercept_gradient += more_intercept
    if coef_gradient is not None:
        coef_gradient /= weight_sum
        intercept_gradient /= weight_sum
    return values / weight_sum, coef_gradient, intercept_gradient


@cython.final
cdef class MeanLosses:
    """The mean weighted losses of the same rows, for one model after another.

    They are those of `value_and_gradient` to the bit. What does not depend on the model is made
    once, so that an object serves one thread.

    Parameters
    ----------
    problem : DataTerm
    subset : intp array, default=None
        The rows to read instead of all.
    """

    cdef DataTerm problem
    cdef Workspace space
    cdef object subset
    cdef const Py_ssize_t* rows
    cdef Py_ssize_t n, chunk
    cdef double weight_sum
    cdef bint prefetches

    def __init__(self, DataTerm problem not None, subset=None):
        self.problem, self.subset, self.rows = problem, subset, NULL
        self.n, self.weight_sum = _size_and_weight(problem, subset)
        if subset is not None:
            self.rows = integers(subset, (self.n,))
        self.chunk = chunk_starts(problem.rows, self.n).step
        self.prefetches = problem.prefetches(subset)
        self.space = Workspace(problem.rows, problem.k)

    def __call__(self, coef, intercept):
        """Return the loss of each output at a model, of shape (n_outputs,)."""
        cdef DataTerm p = self.problem
        cdef Workspace space = self.space
        cdef const double* w = floats(coef, (p.k, p.d))
        cdef const double* b = floats(intercept, (p.k,))
        losses = np.zeros((2, p.k))
        cdef double* total = writeable_floats(losses, (2, p.k))
        cdef double* value = total + p.k
        cdef Py_ssize_t c, stop, start = 0
        if p.k >= MANY_OUTPUTS and isinstance(p.rows, SparseRows):
            return value_and_gradient(p, coef, intercept, gradient=False, subset=self.subset)[0]
        with nogil:
            space.point_to(0, p.k, w, p.d, NULL, 0)
            while start < self.n:
                stop = min(self.n, start + self.chunk)
                for c in range(p.k):
                    value[c] = 0.0
                p.add_rows(self.rows, start, stop, self.prefetches, space, b, value, NULL, NULL)
                for c in range(p.k):
                    total[c] += value[c]
                start = stop
            for c in range(p.k):
                total[c] /= self.weight_sum
        return losses[0]


def joint_losses(list problems, coef, intercept, subset):
    """Return the mean weighted losses of many models on some rows, which are read once for all.

    Parameters
    ----------
    problems : list of DataTerm
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
    cdef DataTerm p = problems[0]
    cdef Py_ssize_t i = 0, j, m, first, k = len(coef), n = len(subset)
    cdef Py_ssize_t n_problems = len(problems)
    cdef Rows rows = p.rows
    cdef Workspace space = Workspace(rows, k)
    cdef const double* w = floats(coef, (k, rows.d))
    cdef const double* b = floats(intercept, (k,))
    cdef const Py_ssize_t* index = integers(subset, (n,))
    if sum([problem.k for problem in problems]) != k:
        raise ValueError(f"coef: pass one row for each output of the problems, not {k}.")
    if any([problem.rows is not rows or problem.weights is not p.weights for problem in problems]):
        raise ValueError("problems: pass some that share one Rows object and their weights.")
    if not n or subset.min() < 0 or subset.max() >= rows.n:
        raise ValueError(f"subset: pass some row numbers from 0 to {rows.n - 1}.")
    if isinstance(rows, SparseRows) and k >= MANY_OUTPUTS:
        space.lay_by_feature(rows.d, w, rows.d, False)
    losses = np.zeros(k)
    cdef double* value = writeable_floats(losses, (k,))
    members = np.array([<size_t><void*>problem for problem in problems], dtype=np.intp)
    cdef const Py_ssize_t* member = integers(members, (n_problems,))
    with nogil:
        space.point_to(0, k, w, rows.d, NULL, 0)
        while i < n:
            m = min(n - i, <Py_ssize_t>BLOCK)
            rows.queue_prefetch(index + i + m, min(<Py_ssize_t>BLOCK, n - i - m), False, space)
            space.begin_block()
            rows.dot(index + i, m, space)
            first = 0
            for j in range(n_problems):
                (<DataTerm><void*>member[j]).prepare(index + i, m, space, first, b + first)
                (<DataTerm><void*>member[j]).add_values(m, space, first, value + first)
                first += (<DataTerm><void*>member[j]).k
            i += m
    return losses / (n if p.weights is None else p.weights[subset].sum())
