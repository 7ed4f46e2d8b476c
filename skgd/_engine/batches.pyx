# cython: language_level=3, cdivision=True
"""The stochastic gradient of a mini-batch, whose sections threads share.

A batch of dense rows is cut into sections whose number depends on its length alone. Each section
sums its rows' gradients, and the sections are added in their order: the gradient is the same to the
bit for any number of threads.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from libc.string cimport memset

from skgd._engine.arrays cimport integers, writeable_floats
from skgd._engine.data_term cimport OrderedTargets
from skgd._engine.parameters cimport Parameters
from skgd._engine.rows cimport DenseRows, Workspace
from skgd._engine.team cimport SKGD_SECTIONS, SKGD_TEAMS, Team

cdef extern from "vector.h" nogil:
    void skgd_axpy(Py_ssize_t n, double a, const double* x, double* y)

cdef enum:
    MIN_SECTION_ROWS = 16
    MAX_SECTION_PARAMETERS = 65536  # of gradients that are summed section by section

# Multiplications of the steps of one call that are worth a thread, at least.
MIN_THREADED_WORK = 2**20


cdef class BatchGradient:
    """The gradient of a batch's loss, estimated for all rows.

    Parameters
    ----------
    parameters : Parameters
        Whose coefficients are read, and whose gradient is set.
    weight_scale, n_threads
        As for `Sweep`.
    """

    def __init__(self, Parameters parameters not None, double weight_scale, Py_ssize_t n_threads):
        self.problem, self.parameters = parameters.problem, parameters
        self.targets = OrderedTargets(self.problem)
        self.weight_scale = weight_scale
        self.max_sections = 1
        is_dense = isinstance(self.problem.rows, DenseRows)
        if is_dense and parameters.k * parameters.p <= MAX_SECTION_PARAMETERS:
            self.max_sections = SKGD_SECTIONS
        self.n_threads = min(n_threads, self.max_sections) if SKGD_TEAMS else 1
        self.section_array = np.zeros((self.max_sections - 1, parameters.k, parameters.p))
        self.section_gradients = writeable_floats(self.section_array, self.section_array.shape)

    cdef Workspace workspace(self):
        """Return the workspace for blocks of rows, made when it is first needed."""
        if self.space is None:
            self.space = Workspace(self.problem.rows, self.parameters.k)
        return self.space

    cdef int assemble(self, order, bounds) except -1:
        """Assemble the threads and the targets for some batches."""
        cdef Py_ssize_t n_threads = self.n_threads, first = bounds[0]
        cdef const Py_ssize_t* row = integers(order, (len(order),))
        n_rows = bounds[len(bounds) - 1] - first
        self.targets.gather(row + first, n_rows)
        if self.parameters.k * self.problem.rows.row_nnz * n_rows < MIN_THREADED_WORK:
            n_threads = 1
        if n_threads > 1 and self.pool is None:
            self.pool = ThreadPoolExecutor(n_threads - 1)
        self.workspace()
        self.team = Team(self.pool, n_threads, partial(_help, self, order, bounds))
        return 0

    cdef Py_ssize_t count_sections(self, Py_ssize_t size) noexcept nogil:
        return max(<Py_ssize_t>1, min(self.max_sections, size // MIN_SECTION_ROWS))

    cdef int compute(self, const Py_ssize_t* index, Py_ssize_t size, Py_ssize_t n_remaining,
                     Py_ssize_t number) except -1 nogil:
        """Set the gradient for raw columns to that of a batch; return whether a helper has failed.

        Of the rows that remain, those to come, of this batch and of the next, are fetched ahead.
        """
        cdef Py_ssize_t section, n_sections = self.count_sections(size)
        cdef Py_ssize_t n = self.parameters.k * self.parameters.p
        self.team.open(number)
        for section in range(n_sections):
            if self.team.begin(section, number):
                self.add_section(index, size, n_remaining, section, 0, self.space)
                self.team.end(section, number)
        for section in range(n_sections):
            if not self.team.await_end(section, number):
                return 1
            if section > 0:
                skgd_axpy(n, 1.0, self.section_gradients + (section - 1) * n, self.parameters.g)
        return 0

    cdef int help(self, const Py_ssize_t* row, const Py_ssize_t* bound, Py_ssize_t n_batches,
                  Team team, Py_ssize_t thread, Workspace space) except -1 nogil:
        """Work on a thread's sections of each batch that is opened."""
        cdef Py_ssize_t b = team.next(0), section, n_sections, start, size
        while b > 0:
            start, size = bound[b - 1], bound[b] - bound[b - 1]
            n_sections = self.count_sections(size)
            for section in range(thread * n_sections // team.n_threads,
                                 (thread + 1) * n_sections // team.n_threads):
                if team.begin(section, b):
                    self.add_section(row + start, size, bound[n_batches] - start, section, thread,
                                     space)
                    team.end(section, b)
            b = team.next(b)
        return 0

    cdef int add_section(self, const Py_ssize_t* index, Py_ssize_t size, Py_ssize_t n_remaining,
                         Py_ssize_t section, Py_ssize_t thread,
                         Workspace space) except -1 nogil:
        """Set a section's gradient, of a batch of some rows.

        When it ends, the thread continues with the next of its own sections.
        """
        cdef Py_ssize_t n_sections = self.count_sections(size), n_threads = self.team.n_threads
        cdef Py_ssize_t i = section * size // n_sections, stop = (section + 1) * size // n_sections
        cdef Py_ssize_t m, next_row, block = self.problem.rows.block
        cdef Py_ssize_t n_blocks = (stop - i + block - 1) // block
        cdef Py_ssize_t n = self.parameters.k * self.parameters.p
        cdef Py_ssize_t after = stop  # the first row of the thread's next section
        cdef double unused = 0.0
        cdef double* g = self.parameters.g
        if section > 0:
            g = self.section_gradients + (section - 1) * n
        if section + 1 == (thread + 1) * n_sections // n_threads:
            after = size + thread * n_sections // n_threads * size // n_sections
        # Blocks of one length, in whole groups of the rows that are worked on together.
        block = min(block, ((stop - i + n_blocks - 1) // n_blocks + 3) // 4 * 4)
        memset(g, 0, n * sizeof(double))
        self.parameters.attach(space, 0, g)
        while i < stop:
            m = min(stop - i, block)
            next_row = i + m if i + m < stop else after
            self.problem.rows.queue_prefetch(
                index + next_row, min(block, n_remaining - next_row), True, space
            )
            self.targets.put(index + i, m, space)
            self.problem.add_block(index + i, m, space, self.parameters.intercept,
                                   self.weight_scale / size, NULL,
                                   self.parameters.intercept_of(g, &unused),
                                   self.parameters.intercept_stride())
            i += m
        return 0


def _help(BatchGradient gradient, order, bounds, Team team, Py_ssize_t thread):
    """Work on sections of batches until there are none any more."""
    cdef Py_ssize_t n_batches = len(bounds) - 1
    cdef const Py_ssize_t* row = integers(order, (len(order),))
    cdef const Py_ssize_t* bound = integers(bounds, (len(bounds),))
    cdef Workspace space = Workspace(gradient.problem.rows, gradient.parameters.k)
    try:
        with nogil:
            gradient.help(row, bound, n_batches, team, thread, space)
    finally:
        team.disband()
