# cython: language_level=3, cdivision=True
"""Sweeps of many models over the same rows, which are read once for all."""

import numpy as np

from skgd._engine.sweep import check_steps, run_in_tiles
from skgd._engine.sparse_tiles import tiles_fit
from skgd.threads import ALONE

from libc.stdlib cimport free, malloc

from skgd._engine.arrays cimport floats, integers, writeable_integers
from skgd._engine.rows cimport BLOCK, MANY, DenseRows, Rows, Workspace
from skgd._engine.sweep cimport Sweep

cdef enum:
    KINDS = 16  # kinds of rows, by the models for which they count, at most
    FEW = 32  # rows of a kind in a batch that are worth a block of their own


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

    cdef list sweeps
    cdef object threads
    cdef Rows rows
    cdef Workspace space
    cdef Py_ssize_t k, n, n_kinds
    cdef object owners
    cdef bint masked  # whether all weights are 0 or 1
    cdef const unsigned char* kind  # of each row
    cdef const Py_ssize_t* counts  # (n_kinds, n_sweeps): whether rows of a kind count for a sweep

    def __init__(self, list sweeps, threads=ALONE):
        cdef Sweep sweep
        if not sweeps:
            raise ValueError("sweeps: pass at least one Sweep.")
        self.sweeps, self.threads = list(sweeps), threads
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
        self.masked = all([((each == 0) | (each == 1)).all() for each in distinct.values()])
        masks, kinds = [0], np.zeros(self.n, dtype=np.intp)
        if len(distinct) <= KINDS:
            bits = {key: 1 << i for i, key in enumerate(distinct)}
            mask = np.zeros(self.n, dtype=np.intp)
            for key, each in distinct.items():
                mask += bits[key] * (each == 0)
            found = np.flatnonzero(np.bincount(mask))
            if len(found) <= KINDS:
                kind_of = np.zeros(found[-1] + 1, dtype=np.intp)
                kind_of[found] = np.arange(len(found))
                masks, kinds = found.tolist(), kind_of[mask]
        counts = np.array(
            [[each is None or not bits[id(each)] & mask for each in weights] for mask in masks],
            dtype=np.intp,
        ) if any(masks) else np.ones((1, len(weights)), dtype=np.intp)
        # In bytes the kinds of many rows stay in cache.
        kinds = kinds.astype(np.uint8).tobytes()
        self.owners, self.n_kinds = (kinds, counts), len(masks)
        self.kind = kinds
        self.counts = integers(counts, counts.shape)
        return 0

    def work(self, length):
        """Return about how many multiplications a step along a batch of some rows takes."""
        work = sum([sweep.work(length) for sweep in self.sweeps])
        return work / self.threads.n if self.space is None else work

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
        cdef Py_ssize_t coming, n_sweeps = len(self.sweeps)
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
                run_in_tiles(self.sweeps, order, bounds, rates, t, averaged, self.threads)
                return
            self.threads.map(
                lambda job: job[0].run(order, bounds, job[1], t, job[2]),
                zip(self.sweeps, rates, averaged, strict=True),
            )
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
        # Rows of a batch that count for the same models lie together.
        cdef Py_ssize_t n_kinds = self.n_kinds
        if last - bound[0] < FEW * n_kinds * n_batches:
            n_kinds = 1
        self.space.unweighted = self.masked and n_kinds > 1
        order_by_kind, ends = np.empty(last, dtype=np.intp), np.zeros((n_batches, n_kinds), np.intp)
        cdef Py_ssize_t* sorted_row = writeable_integers(order_by_kind, (last,))
        cdef Py_ssize_t* end_of = writeable_integers(ends, (n_batches, n_kinds))
        try:
            with nogil:
                for b in range(n_batches):
                    self.sort_batch(row, bound[b], bound[b + 1], n_kinds, sorted_row,
                                    end_of + b * n_kinds)
                for b in range(n_batches):
                    size = bound[b + 1] - bound[b]
                    for j in range(n_sweeps):
                        (<Sweep>sweeps[j]).begin_batch()
                    i = bound[b]
                    for kind in range(n_kinds):
                        end = end_of[b * n_kinds + kind]
                        while i < end:
                            m = min(end - i, <Py_ssize_t>BLOCK)
                            coming = min(<Py_ssize_t>BLOCK, last - i - m)
                            # Most searches have one array of targets.
                            (<Sweep>sweeps[0]).problem.expect(sorted_row + i + m, coming,
                                                              self.space)
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

    cdef void sort_batch(self, const Py_ssize_t* row, Py_ssize_t start, Py_ssize_t stop,
                         Py_ssize_t n_kinds, Py_ssize_t* sorted_row,
                         Py_ssize_t* end) noexcept nogil:
        """Sort the rows of a batch by their kinds; set where each kind ends from zeros."""
        cdef Py_ssize_t i, kind, before = start, size
        for i in range(start, stop):
            end[self.kind[row[i]] if n_kinds > 1 else 0] += 1
        for kind in range(n_kinds):
            size, end[kind] = end[kind], before
            before += size
        for i in range(start, stop):
            kind = self.kind[row[i]] if n_kinds > 1 else 0
            sorted_row[end[kind]] = row[i]
            end[kind] += 1

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
