# cython: language_level=3, cdivision=True
"""Mini-batch gradient descent: one update step per batch of rows, in a given order.

A sweep picks how its batches are stepped along: row by row (`single_rows`), tile by tile of columns
where there are many outputs (`sparse_tiles`), or along the gradient of the whole batch (`batches`).
"""

from skgd._engine.sparse_tiles import run_in_tiles, tiles_fit
from skgd._utils.threads import ALONE

from skgd._engine.arrays cimport floats, integers
from skgd._engine.batches cimport BatchGradient
from skgd._engine.parameters cimport Parameters
from skgd._engine.data_term cimport DataTerm
from skgd._engine.rows cimport BLOCK, DenseRows, Workspace
from skgd._engine.single_rows cimport DenseRowSteps, SparseRowSteps, takes_single_rows
from skgd._engine.sparse_tiles cimport TILED_OUTPUTS, TiledSteps
from skgd.penalties.base cimport PenaltyRule


def check_steps(order, bounds, Py_ssize_t n_rows):
    """Raise unless the batches between the bounds lie in an order of row numbers."""
    cdef Py_ssize_t i, n_batches = len(bounds) - 1
    cdef const Py_ssize_t* row = integers(order, (len(order),))
    cdef const Py_ssize_t* bound = integers(bounds, (len(bounds),))
    cdef bint fits = n_batches >= 1 and bound[0] >= 0
    for i in range(n_batches):
        fits = fits and bound[i] < bound[i + 1]
    if not fits:
        raise ValueError("bounds: pass positions in order that rise.")
    if bound[n_batches] > len(order):
        raise ValueError(f"bounds: the last one is beyond the {len(order)} rows of order.")
    with nogil:
        for i in range(bound[0], bound[n_batches]):
            fits &= 0 <= row[i] < n_rows
    if not fits:
        raise ValueError(f"order: pass row numbers from 0 to {n_rows - 1}.")


cdef class Sweep:
    """Update steps over rows in a given order, for parameters in the coordinates of a metric.

    The parameters u of an output are its coefficients and, with an intercept, one more number:
    ``w = u * inverse`` and ``b = u[-1] * inverse[-1] - mean . w``.

    Parameters
    ----------
    problem : DataTerm
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
    n_threads : int, default=1
        That share a batch of dense rows; what comes out is the same to the bit for any number.
    """

    def __init__(self, DataTerm problem not None, PenaltyRule penalty not None, list rules,
                 parameters, state, alpha, metric, double weight_scale, average=None,
                 Py_ssize_t n_threads=1):
        self.problem, self.weight_scale = problem, weight_scale
        self.parameters = Parameters(
            problem, penalty, rules, parameters, state, alpha, metric, average
        )
        self.batches = BatchGradient(self.parameters, weight_scale, n_threads)
        if isinstance(problem.rows, DenseRows):
            self.dense_rows = DenseRowSteps(self.parameters, weight_scale)
        else:
            self.sparse_rows = SparseRowSteps(self.parameters, weight_scale)
            if self.parameters.elementwise:
                self.tiled = TiledSteps(self.parameters, weight_scale)

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
        cdef Py_ssize_t n_batches = len(bounds) - 1
        cdef const Py_ssize_t* row = integers(order, (len(order),))
        cdef const Py_ssize_t* bound = integers(bounds, (len(bounds),))
        cdef const double* rate = floats(rates, (n_batches,))
        check_steps(order, bounds, self.problem.n)
        self.check_average(averaged)
        one_row_each = bound[n_batches] - bound[0] == n_batches
        if one_row_each and averaged < 0 and self.steps_row_by_row():
            if self.dense_rows is not None:
                self.dense_rows.run(row + bound[0], n_batches, rate)
            else:
                self.sparse_rows.run(row + bound[0], n_batches, rate)
        elif (self.tiled is not None and self.parameters.k >= TILED_OUTPUTS
              and tiles_fit(bounds)):
            run_in_tiles([self.tiled], order, bounds, rates[None], t, [averaged], ALONE)
        else:
            self.run_batches(order, bounds, rate, t, averaged)

    cdef bint steps_row_by_row(self) except -1:
        """Whether batches of one row are stepped along row by row."""
        if self.dense_rows is None and self.sparse_rows is None:
            return False
        return takes_single_rows(self.parameters)

    cdef int run_batches(self, order, bounds, const double* rate, Py_ssize_t t,
                         Py_ssize_t averaged) except -1:
        """Take one step along the gradient of each batch."""
        cdef Py_ssize_t b, last, n_batches = len(bounds) - 1
        cdef const Py_ssize_t* row = integers(order, (len(order),))
        cdef const Py_ssize_t* bound = integers(bounds, (len(bounds),))
        cdef double average_weight
        last = bound[n_batches]
        self.batches.assemble(order, bounds)
        try:
            with nogil:
                for b in range(n_batches):
                    if self.compute_gradient(row + bound[b], bound[b + 1] - bound[b],
                                             last - bound[b], b + 1):
                        break
                    average_weight = 1.0 / (averaged + b + 1) if averaged >= 0 else 0.0
                    self.parameters.step(rate[b], t + b, average_weight)
        finally:
            self.batches.team.disband()
        self.batches.team.dismiss()
        return 0

    cdef int compute_gradient(self, const Py_ssize_t* index, Py_ssize_t size,
                              Py_ssize_t n_remaining, Py_ssize_t number) except -1 nogil:
        """Set the gradient of the parameters to that of a batch; return whether that failed."""
        return self.batches.compute(index, size, n_remaining, number)

    cdef int add_margin_gradients(self, const Py_ssize_t* index, Py_ssize_t m, Py_ssize_t size,
                                  Workspace space, Py_ssize_t first) except -1 nogil:
        """Turn the margins of a block, of a batch of some size, into the loss's derivatives."""
        cdef double unused = 0.0
        self.problem.prepare(index, m, space, first, self.parameters.intercept)
        return self.problem.add_margin_gradients(
            m, space, first, self.weight_scale / size,
            self.parameters.intercept_of(self.parameters.g, &unused),
            self.parameters.intercept_stride()
        )

    def raw(self):
        """Return the coefficients and the intercepts of the parameters."""
        return self.parameters.raw()

    def begin_epoch(self):
        """Prepare for an epoch, and return how often all rows were read for it."""
        return 0

    def step_along(self, coef_gradient, intercept_gradient, double rate, Py_ssize_t t,
                   Py_ssize_t averaged=-1):
        """Take one step along the gradient of a full pass."""
        cdef double average_weight = 1.0 / (averaged + 1) if averaged >= 0 else 0.0
        self.check_average(averaged)
        self.parameters.load_gradient(coef_gradient, intercept_gradient)
        with nogil:
            self.parameters.step(rate, t, average_weight)

    def work(self, Py_ssize_t length):
        """Return about how many multiplications a step along a batch of some rows takes."""
        cdef double rows = self.parameters.k * length * (self.problem.rows.row_nnz + BLOCK)
        if length == 1 and self.steps_row_by_row():
            return rows
        return rows + 16 * self.parameters.k * self.parameters.d

    def check_average(self, averaged):
        """Raise where iterates are to be averaged without an array for their mean."""
        if averaged >= 0 and self.parameters.average == NULL:
            raise ValueError("averaged: there is no array for the average.")
