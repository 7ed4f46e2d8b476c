# cython: language_level=3, cdivision=True
"""Mini-batch gradient descent of many models over the same rows, which are read once for all.

Over dense rows the models' coefficients are multiplied together, as one matrix, with each block of
rows; a model leaves out the groups of rows that have no weight in it. Over sparse rows one model
after the other takes many steps, so that its parameters stay in cache.
"""

import numpy as np

from skgd._engine.sparse_tiles import run_in_tiles, tiles_fit
from skgd._engine.sweep import check_steps
from skgd._utils.threads import ALONE

cimport cython

from skgd._engine.arrays cimport floats, integers, writeable_integers
from skgd._engine.rows cimport BLOCK, MANY_OUTPUTS, DenseRows, Rows, Workspace
from skgd._engine.sparse_tiles cimport SKGD_ABREAST, TILED_OUTPUTS
from skgd._engine.sweep cimport Sweep

cdef enum:
    MAX_GROUPS = 16  # of rows, by the models in which they have a weight
    MIN_GROUP_ROWS = 32  # of a batch, on average, that are worth a block of their own


@cython.final
cdef class RowGroups:
    """Rows in groups that have a weight in the same models.

    Parameters
    ----------
    weights : list
        The weights of all rows in each model, or None.
    n_rows : int
    """

    cdef Py_ssize_t n
    cdef bint binary  # whether all weights are 0 or 1
    cdef object group_bytes, member_array
    cdef const unsigned char* group  # of each row
    cdef const Py_ssize_t* members  # (n, n_models): whether a group's rows have a weight in a model

    def __init__(self, list weights, Py_ssize_t n_rows):
        distinct = {id(each): each for each in weights if each is not None}
        self.binary = all([((each == 0) | (each == 1)).all() for each in distinct.values()])
        masks, groups = [0], np.zeros(n_rows, dtype=np.intp)
        if len(distinct) <= MAX_GROUPS:
            bits = {key: 1 << i for i, key in enumerate(distinct)}
            mask = np.zeros(n_rows, dtype=np.intp)
            for key, each in distinct.items():
                mask += bits[key] * (each == 0)
            found = np.flatnonzero(np.bincount(mask))
            if len(found) <= MAX_GROUPS:
                group_of = np.zeros(found[-1] + 1, dtype=np.intp)
                group_of[found] = np.arange(len(found))
                masks, groups = found.tolist(), group_of[mask]
        self.member_array = np.array(
            [[each is None or not bits[id(each)] & mask for each in weights] for mask in masks],
            dtype=np.intp,
        ) if any(masks) else np.ones((1, len(weights)), dtype=np.intp)
        # In bytes the groups of many rows stay in cache.
        self.group_bytes, self.n = groups.astype(np.uint8).tobytes(), len(masks)
        self.group = self.group_bytes
        self.members = integers(self.member_array, self.member_array.shape)

    def arrays(self):
        """Return the group of each row, and which groups have a weight in each model."""
        if self.n == 1:
            return None, None
        groups = np.frombuffer(self.group_bytes, dtype=np.uint8).astype(np.intp)
        return groups, np.ascontiguousarray(self.member_array.T)

    cdef void sort_batch(self, const Py_ssize_t* row, Py_ssize_t start, Py_ssize_t stop,
                         Py_ssize_t n_groups, Py_ssize_t* sorted_row,
                         Py_ssize_t* end) noexcept nogil:
        """Sort the rows of a batch by their groups; set where each group ends from zeros."""
        cdef Py_ssize_t i, group, before = start, size
        for i in range(start, stop):
            end[self.group[row[i]] if n_groups > 1 else 0] += 1
        for group in range(n_groups):
            size, end[group] = end[group], before
            before += size
        for i in range(start, stop):
            group = self.group[row[i]] if n_groups > 1 else 0
            sorted_row[end[group]] = row[i]
            end[group] += 1


cdef class JointSweep:
    """Sweeps of independent models over the same rows, in lock step.

    A block of rows is read once for all models. What comes out is what each sweep would give alone,
    up to rounding.

    Parameters
    ----------
    sweeps : list of Sweep
        Their problems have the same `Rows` object.
    threads : Threads, default=ALONE
        That share out models which do not multiply together.
    """

    cdef list sweeps, tiled
    cdef object threads, sweep_array
    cdef const Py_ssize_t* sweep  # the addresses of the sweeps
    cdef Rows rows
    cdef Workspace space  # of all models; None where they take their steps one after the other
    cdef RowGroups groups
    cdef Py_ssize_t n_sweeps, k

    def __init__(self, list sweeps, threads=ALONE):
        cdef Py_ssize_t k = 0
        cdef Sweep sweep
        if not sweeps:
            raise ValueError("sweeps: pass at least one Sweep.")
        self.sweeps, self.threads, self.n_sweeps = list(sweeps), threads, len(sweeps)
        for item in sweeps:
            sweep = item
            if self.rows is not None and sweep.problem.rows is not self.rows:
                raise ValueError("sweeps: pass problems that share one Rows object.")
            self.rows = sweep.problem.rows
            k += sweep.parameters.k
        self.k, self.tiled = k, [(<Sweep>item).tiled for item in sweeps]
        self.sweep_array = np.array([<size_t><void*>item for item in self.sweeps], dtype=np.intp)
        self.sweep = integers(self.sweep_array, (self.n_sweeps,))
        is_dense = isinstance(self.rows, DenseRows)
        if k >= (MANY_OUTPUTS if is_dense else TILED_OUTPUTS):
            self.groups = RowGroups(
                [(<Sweep>item).problem.weights for item in sweeps], self.rows.n
            )
            self.space = Workspace(self.rows, k) if is_dense else None

    def work(self, length):
        """Return about how many multiplications a step along a batch of some rows takes."""
        each = [sweep.work(length) for sweep in self.sweeps]
        if self.space is not None:
            return sum(each)
        # Between models, or a few in tiles, there is time to look at signals.
        return max(each) * SKGD_ABREAST if self.takes_tiles(length) else sum(each) / self.threads.n

    cdef bint takes_tiles(self, length) except -1:
        """Whether steps along batches of some rows are taken tile by tile."""
        is_tiled = length > 1 and self.space is None and self.k >= TILED_OUTPUTS
        return is_tiled and None not in self.tiled

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
        averaged = [-1] * self.n_sweeps if averaged is None else averaged
        floats(rates, (self.n_sweeps, len(bounds) - 1))
        check_steps(order, bounds, self.rows.n)
        if len(averaged) != self.n_sweeps:
            raise ValueError(f"averaged: pass {self.n_sweeps} numbers, one for each sweep.")
        for item, count in zip(self.sweeps, averaged, strict=True):
            (<Sweep>item).check_average(count)
        if self.space is None:
            self.run_in_turn(order, bounds, rates, t, averaged)
        else:
            self.run_together(order, bounds, rates, t, averaged)

    cdef int run_in_turn(self, order, bounds, rates, Py_ssize_t t, averaged) except -1:
        """Take the steps of one model after the other: sparse rows are shorter than the models."""
        if self.takes_tiles(np.diff(bounds).max()) and tiles_fit(bounds):
            run_in_tiles(self.tiled, order, bounds, rates, t, averaged, self.threads,
                         *self.groups.arrays())
            return 0
        jobs = [
            (sweep, order, bounds, rate, t, count)
            for sweep, rate, count in zip(self.sweeps, rates, averaged, strict=True)
        ]
        self.threads.map(_run_sweep, jobs)
        return 0

    cdef int run_together(self, order, bounds, rates, Py_ssize_t t, averaged) except -1:
        """Take each step of all models at once, with blocks of rows that are read for all."""
        cdef Py_ssize_t b, j, n_batches = len(bounds) - 1
        cdef const Py_ssize_t* row = integers(order, (len(order),))
        cdef const Py_ssize_t* bound = integers(bounds, (len(bounds),))
        cdef const double* rate = floats(rates, (self.n_sweeps, n_batches))
        counts = np.array(averaged, dtype=np.intp)
        cdef const Py_ssize_t* count = integers(counts, (self.n_sweeps,))
        cdef double average_weight
        # Rows of a batch that have a weight in the same models lie together.
        cdef Py_ssize_t last = bound[n_batches], n_groups = self.groups.n
        if last - bound[0] < MIN_GROUP_ROWS * n_groups * n_batches:
            n_groups = 1
        self.space.unweighted = self.groups.binary and n_groups > 1
        sorted_rows, ends = np.empty(last, dtype=np.intp), np.zeros((n_batches, n_groups), np.intp)
        cdef Py_ssize_t* sorted_row = writeable_integers(sorted_rows, (last,))
        cdef Py_ssize_t* end = writeable_integers(ends, (n_batches, n_groups))
        with nogil:
            for b in range(n_batches):
                self.groups.sort_batch(row, bound[b], bound[b + 1], n_groups, sorted_row,
                                       end + b * n_groups)
            for b in range(n_batches):
                self.compute_gradients(sorted_row, bound[b], bound[b + 1], last, n_groups,
                                       end + b * n_groups)
                for j in range(self.n_sweeps):
                    average_weight = 1.0 / (count[j] + b + 1) if count[j] >= 0 else 0.0
                    (<Sweep><void*>self.sweep[j]).parameters.step(rate[j * n_batches + b], t + b,
                                                                  average_weight)
        return 0

    cdef int compute_gradients(self, const Py_ssize_t* row, Py_ssize_t start, Py_ssize_t stop,
                               Py_ssize_t last, Py_ssize_t n_groups,
                               const Py_ssize_t* end) except -1 nogil:
        """Set the gradients of all models to those of a batch, whose rows are sorted by group."""
        cdef Py_ssize_t i = start, j, m, group
        for j in range(self.n_sweeps):
            (<Sweep><void*>self.sweep[j]).parameters.clear_gradient()
        for group in range(n_groups):
            while i < end[group]:
                m = min(end[group] - i, <Py_ssize_t>BLOCK)
                # Most searches have one array of targets.
                (<Sweep><void*>self.sweep[0]).problem.queue_prefetch(
                    row + i + m, min(<Py_ssize_t>BLOCK, last - i - m), self.space
                )
                self.add_block(
                    self.groups.members + group * self.n_sweeps if n_groups > 1 else NULL, row + i,
                    m, stop - start
                )
                i += m
        return 0

    cdef int add_block(self, const Py_ssize_t* members, const Py_ssize_t* index, Py_ssize_t m,
                       Py_ssize_t size) except -1 nogil:
        """Add the gradients of a block of rows to those of its members, or of all models."""
        cdef Py_ssize_t j, k = 0
        for j in range(self.n_sweeps):
            if members == NULL or members[j]:
                (<Sweep><void*>self.sweep[j]).parameters.attach(
                    self.space, k, (<Sweep><void*>self.sweep[j]).parameters.g
                )
                k += (<Sweep><void*>self.sweep[j]).parameters.k
        if k == 0:
            return 0
        self.space.k = k
        self.space.begin_block()
        self.rows.dot(index, m, self.space)
        k = 0
        for j in range(self.n_sweeps):
            if members == NULL or members[j]:
                (<Sweep><void*>self.sweep[j]).add_margin_gradients(index, m, size, self.space, k)
                k += (<Sweep><void*>self.sweep[j]).parameters.k
        self.rows.add(index, m, self.space)
        return 0


def _run_sweep(job):
    sweep, *arguments = job
    sweep.run(*arguments)
