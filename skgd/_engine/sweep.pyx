# cython: language_level=3, cdivision=True
"""The second primitive: a sweep of update steps over rows in a given order."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from skgd._engine.tiles import tiles_fit
from skgd.threads import ALONE

cimport cython
from libc.math cimport fabs
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from skgd._arrays cimport floats, integers, writeable_floats
from skgd._engine.problem cimport Problem
from skgd._engine.rows cimport (
    AHEAD, BLOCK, SKGD_LANES, DenseRows, SparseRows, Workspace
)
from skgd._engine.team cimport SKGD_SECTIONS, SKGD_TEAMS, Team
from skgd._engine.tiles cimport SKGD_TILE, Tiles
from skgd.optimizers.base cimport Rule
from skgd.penalties.base cimport PenaltyRule

cdef extern from "../_vector.h" nogil:
    void skgd_axpy(Py_ssize_t n, double a, const double* x, double* y)

cdef extern from "rows.h" nogil:
    Py_ssize_t skgd_record_size(Py_ssize_t k)

cdef extern from "steps.h" nogil:
    void skgd_step_behind_plain(
        Py_ssize_t d, double* before, double* here, double* next, double* a, double step,
        double decay, double next_decay, double* w, double* p, double* q, const char* ahead,
        Py_ssize_t size, Py_ssize_t last)
    void skgd_step_behind_metric(
        Py_ssize_t d, double* before, double* here, double* next, double* a, double step,
        double decay, double next_decay, double* w, double* p, double* q, const char* ahead,
        Py_ssize_t size, Py_ssize_t last)
    void skgd_record(Py_ssize_t d, Py_ssize_t k, const double* u, Py_ssize_t p,
                     const double* inverse, const double* unit, double* record)
    void skgd_settle(Py_ssize_t d, Py_ssize_t k, const double* record, double total, double l2,
                     double* w, Py_ssize_t p, double* since)
    void skgd_add_scaled(Py_ssize_t d, const double* extra, const double* inverse, double* g)
    void skgd_to_metric(Py_ssize_t d, double total, const double* mean, double l2, const double* u,
                        const double* inverse, double unit, double* g)
    double skgd_from_metric(Py_ssize_t d, const double* u, const double* inverse,
                            const double* mean, double* w)
    void skgd_average(Py_ssize_t d, double share, const double* u, double* average)

cdef extern from "transpose.h" nogil:
    void skgd_transpose(Py_ssize_t m, Py_ssize_t k, const double* numbers, Py_ssize_t stride,
                        double* out, Py_ssize_t out_stride)

ctypedef void (*step_function)(Py_ssize_t, double*, double*, double*, double*, double, double,
                               double, double*, double*, double*, const char*, Py_ssize_t,
                               Py_ssize_t) noexcept nogil

cdef enum:
    STORED = 524288  # numbers of batches that are cut into tiles at once
    SHORT = 16  # rows of a section, at least
    WIDE = 65536  # parameters of gradients that are summed up by section, at most

# Multiplications of steps that are worth a thread, at least.
THREADED = 2**20


def on_lines(array):
    """Return a float64 array, or a copy of it, whose numbers begin on a cache line.

    Loops over columns are faster when no eight numbers lie on two lines.
    """
    if array.__array_interface__["data"][0] % 64 == 0:
        return array
    room = np.empty(array.size + SKGD_LANES - 1)
    first = -(room.__array_interface__["data"][0] // 8) % SKGD_LANES
    copy = room[first:first + array.size].reshape(array.shape)
    copy[...] = array
    return copy


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
    n_threads : int, default=1
        That share a batch of dense rows; what comes out is the same to the bit for any number.
    """

    def __cinit__(self):
        self.rule = NULL

    def __dealloc__(self):
        free(self.rule)

    def __init__(self, Problem problem not None, PenaltyRule penalty not None, list rules,
                 parameters, state, alpha, metric, double weight_scale, average=None,
                 Py_ssize_t n_threads=1):
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
        self.sections = 1
        if isinstance(problem.rows, DenseRows) and self.k * self.p <= WIDE:
            self.sections = SKGD_SECTIONS
        self.n_threads = min(n_threads, self.sections) if SKGD_TEAMS else 1
        gradient = np.zeros((self.sections, *shape))
        step, offset = np.zeros(shape), np.zeros(self.k)
        coef = parameters if self.identity else np.zeros(shape)
        self.owners = [parameters, state, alpha, metric.inverse, metric.mean, metric.unit, average,
                       gradient, step, offset, coef]
        self.u = writeable_floats(parameters, shape)
        self.w = writeable_floats(coef, shape)
        self.g = writeable_floats(gradient, gradient.shape)
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
                rule.bind(parameters[c], gradient[0, c], state[c])
            self.rule[c] = <void*>rule
            self.refresh_all(c)
        # Of a penalty that treats all features alike, and of most rules, each number is alone.
        self.alike = penalty.hessian_diag == penalty.hessian_diag
        self.coordinatewise = self.alike and all([(<Rule>item).coordinatewise for item in rules])
        self.tile = SKGD_TILE if self.coordinatewise else self.p

    cdef int make_room(self) except -1:
        """Make a workspace for blocks of rows; in a fleet there is one for all."""
        if self.space is None:
            self.space = Workspace(self.problem.rows, self.k)
        return 0

    @cython.final
    cdef double refresh_part(self, Py_ssize_t c, Py_ssize_t first, Py_ssize_t size,
                             double* w) noexcept nogil:
        """Set w to the coefficients of some parameters; return the margin of their means."""
        cdef Py_ssize_t j = c * self.p + first
        if self.identity:
            return 0.0
        return skgd_from_metric(size, self.u + j, self.inverse + j, self.mean + first, w)

    @cython.final
    cdef void refresh_all(self, Py_ssize_t c) noexcept nogil:
        """Bring the coefficients and the offset of output c up to its parameters."""
        self.refresh(c, self.refresh_part(c, 0, self.d, self.w + c * self.p))

    @cython.final
    cdef void refresh(self, Py_ssize_t c, double shift) noexcept nogil:
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
        """The same for a tile, from its gradient and the intercept's.

        Sets w to the tile's coefficients, and adds the margin of their means to shift. Before, they
        are there for a penalty that does not treat all features alike.
        """
        cdef Py_ssize_t j, last = min(first + self.tile, self.p)
        cdef Py_ssize_t size = min(last, self.d) - first
        cdef double* u = self.u + c * self.p + first
        cdef double* step = self.step + c * self.p
        cdef const double* inverse = self.inverse + c * self.p + first
        cdef double unit = self.unit[c], l2 = self.alpha[c] * self.penalty.hessian_diag
        if self.identity:
            self.penalty.add_gradient(size, w, self.alpha[c], g)
        else:
            # The mean is zero without an intercept: there is nothing to centre with.
            skgd_to_metric(size, total, self.mean + first, l2 if self.alike else 0.0, u, inverse,
                           unit, g)
            if last > self.d:
                g[size] *= inverse[size] * unit
            if not self.alike:
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
                   Py_ssize_t number) except -1 nogil:
        """Set g to the raw gradient of a batch's loss, estimated for all rows.

        Of the known rows those to come, of this batch and of the next, are fetched ahead. Returns
        whether a helper has failed.
        """
        cdef Py_ssize_t section, n_sections = self.count_sections(size)
        self.team.open(number)
        for section in range(n_sections):
            if self.team.begin(section, number):
                self.add_section(index, size, known, section, 0, self.space)
                self.team.end(section, number)
        for section in range(n_sections):
            if not self.team.await_end(section, number):
                return 1
            if section > 0:
                skgd_axpy(self.k * self.p, 1.0, self.g + section * self.k * self.p, self.g)
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

    cdef int add_section(self, const Py_ssize_t* index, Py_ssize_t size, Py_ssize_t known,
                         Py_ssize_t section, Py_ssize_t thread,
                         Workspace space) except -1 nogil:
        """Set a section's gradient, of a batch of some rows.

        When it ends, the thread goes on with the next of its own sections.
        """
        cdef Py_ssize_t n_sections = self.count_sections(size), n_threads = self.team.n_threads
        cdef Py_ssize_t i = section * size // n_sections, stop = (section + 1) * size // n_sections
        cdef Py_ssize_t m, coming, block = self.problem.rows.block
        cdef Py_ssize_t n_blocks = (stop - i + block - 1) // block
        cdef Py_ssize_t after = stop
        cdef double unused = 0.0
        cdef double* g = self.g + section * self.k * self.p
        cdef double* total = g + self.d if self.fit_intercept else &unused
        if section + 1 == (thread + 1) * n_sections // n_threads:
            after = size + thread * n_sections // n_threads * size // n_sections
        # Blocks of one length, in whole groups of the rows that are worked on together.
        block = min(block, ((stop - i + n_blocks - 1) // n_blocks + 3) // 4 * 4)
        memset(g, 0, self.k * self.p * sizeof(double))
        space.point(0, self.k, self.w, self.p, g, self.p)
        while i < stop:
            m = min(stop - i, block)
            coming = i + m if i + m < stop else after
            self.problem.expect(index + coming, min(block, known - coming), space)
            self.problem.add_block(index + i, m, space, self.offset, self.weight_scale / size, NULL,
                                   total, self.p if self.fit_intercept else 0)
            i += m
        return 0

    cdef Py_ssize_t count_sections(self, Py_ssize_t size) noexcept nogil:
        return max(<Py_ssize_t>1, min(self.sections, size // SHORT))

    cdef void begin_batch(self) noexcept nogil:
        memset(self.g, 0, self.k * self.p * sizeof(double))

    cdef Py_ssize_t join(self, Workspace space, Py_ssize_t first) noexcept nogil:
        """Say in the workspace of a fleet where the numbers are; return the number of outputs."""
        space.point(first, self.k, self.w, self.p, self.g, self.p)
        return self.k

    cdef Py_ssize_t slopes(self, const Py_ssize_t* index, Py_ssize_t m, Py_ssize_t size,
                           Workspace space, Py_ssize_t first) except -1 nogil:
        """Turn a fleet's margins into weighted slopes."""
        cdef double unused = 0.0
        cdef double* total = self.g + self.d if self.fit_intercept else &unused
        self.problem.prepare(index, m, space, first, self.offset)
        self.problem.add_slopes(m, space, first, self.weight_scale / size, total,
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
        cdef double z, target, c = 0.0, l2 = self.alpha[0] * self.penalty.hessian_diag
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
            p.row_slopes(row[i], &z, self.weight_scale, &target, &c)
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
        cdef Py_ssize_t j, c, width = rows.widest * self.k
        cdef Workspace space = Workspace(rows, self.k)
        cdef double* record
        cdef double* room
        if self.identity and not self.penalty.proximal:
            if self.k > 1:
                space.lay_beside(self.d, self.w, self.p, False)
            with nogil:
                self.scaled_steps(p, rows, row, n_steps, rate, space)
        else:
            record = space.numbers(self.d * skgd_record_size(self.k))
            room = space.numbers(2 * width)
            with nogil:
                skgd_record(self.d, self.k, self.u, self.p, self.inverse, self.unit, record)
                self.sparse_steps(p, rows, row, n_steps, rate, record, space, room, room + width)
                for c in range(self.k):
                    for j in range(c * self.p, c * self.p + self.d):
                        if self.inverse[j] != 0.0:
                            self.u[j] = self.w[j] / self.inverse[j]
        for c in range(self.k):
            if self.fit_intercept:
                j = c * self.p + self.d
                self.u[j] = self.offset[c] / self.inverse[j]
            self.refresh_all(c)
        return 0

    cdef int scaled_steps(self, Problem p, SparseRows rows, const Py_ssize_t* row,
                          Py_ssize_t n_steps, const double* rate,
                          Workspace space) except -1 nogil:
        """Steps whose l2 decay is that of one number, which multiplies all coefficients."""
        cdef Py_ssize_t i, j, c, start, stop, k = self.k
        cdef Py_ssize_t beside = space.beside if space.beside else 1
        cdef double scale = 1.0, l2 = self.alpha[0] * self.penalty.hessian_diag
        cdef double speed = 1.0 if self.fit_intercept else 0.0
        cdef double weight_scale = self.weight_scale
        cdef double* v = space.w_beside if space.beside else self.w
        cdef double* b = self.offset
        cdef double* y = space.y
        cdef double* z = space.z
        cdef double* step = space.c
        for i in range(n_steps):
            if i + AHEAD < n_steps:
                rows.prefetch(row[i + AHEAD])
                p.prefetch_target(row[i + AHEAD])
            if beside > 1 and i + 1 < n_steps:
                rows.fetch(row[i + 1], beside, v)
            start, stop = rows.start(row[i]), rows.start(row[i] + 1)
            rows.row_dot(start, stop, beside, v, z)
            for c in range(k):
                z[c] = b[c] + scale * z[c]
            p.row_slopes(row[i], z, rate[i] * weight_scale, y, step)
            scale *= 1.0 - rate[i] * l2
            if fabs(scale) < 1e-100:
                for j in range(self.d * beside):
                    v[j] *= scale
                scale = 1.0
            for c in range(k):
                b[c] -= speed * step[c]
                step[c] /= -scale
            rows.row_add(start, stop, beside, step, v)
        for j in range(self.d * beside):
            v[j] *= scale
        if beside > 1:
            skgd_transpose(self.d, k, v, beside, self.w, self.p)
        return 0

    cdef int sparse_steps(self, Problem p, SparseRows rows, const Py_ssize_t* row,
                          Py_ssize_t n_steps, const double* rate, double* record, Workspace space,
                          double* w, double* since) except -1 nogil:
        """Steps after which the penalty reaches a coefficient when a row next needs it.

        With the rates summed up since, its l2 part is a decay, its l1 part one threshold.
        """
        cdef Py_ssize_t i, j, c, start, stop, k = self.k, size = skgd_record_size(k)
        cdef double total = 0.0, alpha = self.alpha[0], l2 = alpha * self.penalty.hessian_diag
        cdef bint proximal = self.penalty.proximal
        cdef const double* inverse = self.inverse + self.d
        cdef double* b = self.offset
        cdef double* y = space.y
        cdef double* z = space.z
        cdef double* step = space.c
        for i in range(n_steps):
            if i + AHEAD < n_steps:
                rows.prefetch(row[i + AHEAD])
                p.prefetch_target(row[i + AHEAD])
            if i + 2 < n_steps:
                rows.fetch(row[i + 2], size, record)
            start, stop = rows.start(row[i]), rows.start(row[i] + 1)
            rows.kernels.gather(rows.data, rows.indices, start, stop, k, record, total, l2, w,
                                since, z)
            if proximal:
                for j in range((stop - start) * k):
                    since[j] *= alpha
                self.penalty.prox((stop - start) * k, w, since)
                rows.kernels.products(rows.data, start, stop - start, k, w, z)
            for c in range(k):
                z[c] += b[c]
            p.row_slopes(row[i], z, rate[i] * self.weight_scale, y, step)
            for c in range(k):
                if self.fit_intercept:
                    b[c] -= inverse[c * self.p] ** 2 * self.unit[c] * step[c]
            rows.kernels.scatter(rows.data, rows.indices, start, stop, k, record, total, step, w)
            total += rate[i]
        skgd_settle(self.d, k, record, total, l2, self.w, self.p, self.g)
        if proximal:
            for j in range(k * self.p):
                self.g[j] *= alpha
            for c in range(k):
                self.penalty.prox(self.d, self.w + c * self.p, self.g + c * self.p)
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
            run_in_tiles([self], order, bounds, rates[None], t, [averaged], ALONE)
            return
        self.assemble(order, bounds)
        try:
            with nogil:
                for b in range(n_batches):
                    size = bound[b + 1] - bound[b]
                    if self.batch(row + bound[b], size, last - bound[b], b + 1):
                        break
                    share = 1.0 / (averaged + b + 1) if averaged >= 0 else 0.0
                    self.finish_all(rate[b], t + b, share)
        finally:
            self.team.disband()
        self.team.dismiss()

    cdef int assemble(self, order, bounds) except -1:
        """Make a team of threads for some batches."""
        cdef Py_ssize_t n_threads = self.n_threads
        n_rows = bounds[len(bounds) - 1] - bounds[0]
        if self.k * self.problem.rows.width * n_rows < THREADED:
            n_threads = 1
        if n_threads > 1 and self.pool is None:
            self.pool = ThreadPoolExecutor(n_threads - 1)
        self.team = Team(self.pool, n_threads, partial(_help, self, order, bounds))
        return 0

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
        return self.coordinatewise and isinstance(self.problem.rows, SparseRows)

    cdef int run_tiles(self, Tiles tiles, const double* rate, Py_ssize_t t,
                       Py_ssize_t averaged) except -1:
        """Take one step for each of the batches that are cut into tiles."""
        self.make_room()
        cdef Py_ssize_t b, c, tallest = tiles.tallest
        buffers = np.empty((2, self.k, tallest)), on_lines(np.zeros((2, SKGD_TILE)))
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
            self.finish_part(c, first, g, w, total, rate, t, share, &shift)
            if first < self.d and b + 1 < tiles.n_batches:
                tiles.dot(b + 1, tile, w, z)
        self.refresh(c, shift)
        return 0

    cdef bint goes_row_by_row(self):
        """Whether margin, slope and step of a row can be done on its coefficients at once."""
        penalty, rows = self.penalty, self.problem.rows
        if not all([(<Rule>rule).plain for rule in self.rules]):
            return False
        if not self.alike:
            return False
        if isinstance(rows, DenseRows):
            return self.k == 1 and not penalty.proximal and not (<DenseRows>rows).packed
        # Centring would touch every coefficient, and one decay is that of all outputs.
        return (<SparseRows>rows).canonical and not np.any(self.owners[4]) and not np.ptp(
            self.owners[2]
        )

    def check_average(self, averaged):
        if averaged >= 0 and self.average == NULL:
            raise ValueError("averaged: there is no array for the average.")


def run_in_tiles(sweeps, order, bounds, rates, Py_ssize_t t, averaged, threads):
    """Take one step per batch with each sweep, whose parameters stay in cache for many batches.

    The batches are cut once for all; a thread takes the next sweep that is left.
    """
    cdef SparseRows rows = (<Sweep>sweeps[0]).problem.rows
    cdef Py_ssize_t first = 0, last, n_batches = len(bounds) - 1

    def step(job):
        sweep, rate, count = job
        part = rate[first:last]
        (<Sweep>sweep).run_tiles(tiles, floats(part, part.shape), t + first,
                                 count + first if count >= 0 else -1)

    while first < n_batches:
        # At least one.
        farthest = bounds[first] + max(1, int(STORED / rows.width))
        last = max(first + 1, np.searchsorted(bounds, farthest, side="right") - 1)
        tiles = Tiles(rows, order, np.ascontiguousarray(bounds[first:last + 1]), threads)
        threads.map(step, zip(sweeps, rates, averaged, strict=True))
        first = last


def _help(Sweep sweep, order, bounds, Team team, Py_ssize_t thread):
    """Work on sections of batches until there are none any more."""
    cdef Py_ssize_t n_batches = len(bounds) - 1
    cdef const Py_ssize_t* row = integers(order, (len(order),))
    cdef const Py_ssize_t* bound = integers(bounds, (len(bounds),))
    cdef Workspace space = Workspace(sweep.problem.rows, sweep.k)
    try:
        with nogil:
            sweep.help(row, bound, n_batches, team, thread, space)
    finally:
        team.disband()
