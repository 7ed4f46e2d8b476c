# cython: language_level=3, cdivision=True
"""SGD with batches of one row: margin, gradient and step are taken on the coefficients at once.

For rules whose step is the rate times the gradient, ``w -= rate A (dz x + l2 w)`` with A the
squared scales of the metric. Along dense rows, one pass over the coefficients takes a step and
gives the margin of the next row. Sparse rows touch the coefficients of their own columns alone, in
O(nnz). The l2 decay is one factor for all coefficients, or in a metric ``exp(-A sum of rates)``,
which every coefficient lacks until a row needs it. With a threshold of l1 or bounds, each column
remembers up to when it has seen the penalty.
"""

import numpy as np

from libc.math cimport fabs

from skgd._engine.arrays cimport writeable_floats
from skgd._engine.parameters cimport Parameters
from skgd._engine.data_term cimport DataTerm, OrderedTargets
from skgd._engine.rows cimport SKGD_LANES, DenseRows, SparseRows, Workspace

cdef extern from "steps.h" nogil:
    double skgd_step_plain_f64(
        Py_ssize_t d, const char* next, const double* mean, const double* a, double step,
        double decay, double* before, double* here, double* w, const char* ahead)
    double skgd_step_metric_f64(
        Py_ssize_t d, const char* next, const double* mean, const double* a, double step,
        double decay, double* before, double* here, double* w, const char* ahead)
    double skgd_step_plain_f32(
        Py_ssize_t d, const char* next, const double* mean, const double* a, double step,
        double decay, double* before, double* here, double* w, const char* ahead)
    double skgd_step_metric_f32(
        Py_ssize_t d, const char* next, const double* mean, const double* a, double step,
        double decay, double* before, double* here, double* w, const char* ahead)

cdef extern from "sparse_steps.h" nogil:
    const double SKGD_SHORT_EXPONENT
    const skgd_step_kernels skgd_steps[2][2]
    Py_ssize_t skgd_record_size(Py_ssize_t numbers)
    double skgd_decayed_records(Py_ssize_t d, Py_ssize_t k, const double* u, Py_ssize_t p,
                                const double* inverse, const double* unit, double* record)
    void skgd_settle_decay(Py_ssize_t d, Py_ssize_t k, double decay, double largest,
                           double* record)
    Py_ssize_t skgd_lazy_size(Py_ssize_t k, bint scaled)
    void skgd_lazy_records(Py_ssize_t d, Py_ssize_t k, bint scaled, const double* u, Py_ssize_t p,
                           const double* inverse, const double* unit, double* record)
    void skgd_settle_lazy(Py_ssize_t d, Py_ssize_t k, bint scaled, const double* record,
                          double total, double l2, double alpha, double* w, Py_ssize_t p,
                          double* threshold)

cdef extern from "transpose.h" nogil:
    void skgd_transpose(Py_ssize_t m, Py_ssize_t k, const double* numbers, Py_ssize_t stride,
                        double* out, Py_ssize_t out_stride)

ctypedef double (*step_function)(Py_ssize_t, const char*, const double*, const double*, double,
                                 double, double*, double*, double*, const char*) noexcept nogil

# A common decay is settled beyond this exponent, far from overflow; or where exponents are no
# longer short, after steps that took this many times the work.
cdef enum:
    LARGEST_EXPONENT = 300
    SETTLED_WORK = 4


cdef bint takes_single_rows(Parameters parameters) except -1:
    """Whether margin, gradient and step of a row can be taken on its coefficients at once."""
    if not parameters.plain_steps or not parameters.uniform_penalty:
        return False
    rows = parameters.problem.rows
    if isinstance(rows, DenseRows):
        return (parameters.k == 1 and not parameters.penalty.proximal
                and not (<DenseRows>rows).packed)
    # Centring would touch every coefficient, and one decay is that of all outputs.
    return ((<SparseRows>rows).canonical and not np.any(parameters.mean_array)
            and not np.ptp(parameters.alpha_array))


cdef step_function step_of(bint identity, Py_ssize_t itemsize) noexcept nogil:
    """Return the step along rows of numbers of some bytes, in a metric or without one."""
    if itemsize == sizeof(double):
        return skgd_step_plain_f64 if identity else skgd_step_metric_f64
    return skgd_step_plain_f32 if identity else skgd_step_metric_f32


cdef class DenseRowSteps:
    """Steps along the gradients of single dense rows, for one output.

    Parameters
    ----------
    parameters : Parameters
        Changed in place.
    weight_scale
        As for `Sweep`.
    """

    def __init__(self, Parameters parameters not None, double weight_scale):
        self.problem, self.parameters = parameters.problem, parameters
        self.rows, self.weight_scale = parameters.problem.rows, weight_scale
        self.targets = OrderedTargets(self.problem)

    cdef int run(self, const Py_ssize_t* row, Py_ssize_t n_steps, const double* rate) except -1:
        """Take one step along the gradient of each row."""
        cdef Parameters q = self.parameters
        cdef DataTerm problem = self.problem
        cdef DenseRows rows = self.rows
        cdef Py_ssize_t j, padded_d = (q.d + SKGD_LANES - 1) // SKGD_LANES * SKGD_LANES
        # The coefficients, their squared scales and two rows, on whole cache lines.
        memory = np.zeros(4 * padded_d + SKGD_LANES)
        cdef double* buffers = writeable_floats(memory, memory.shape)
        buffers += (64 - <size_t>buffers % 64) % 64 // sizeof(double)
        for j in range(q.d):
            buffers[j] = q.w[j]
            buffers[padded_d + j] = q.inverse[j] * q.inverse[j] * q.unit[0]
        self.targets.gather_single(row, n_steps)
        with nogil:
            self.take_steps(problem, rows, q, row, n_steps, rate, padded_d, buffers)
        for j in range(q.d):
            if q.inverse[j] != 0.0:
                q.u[j] = buffers[j] / q.inverse[j]
        # The coefficients of the parameters, which may differ by their last bit: those are what a
        # sweep that resumes from the parameters has.
        q.refresh(0)
        return 0

    cdef int take_steps(self, DataTerm p, DenseRows rows, Parameters q, const Py_ssize_t* row,
                        Py_ssize_t n_steps, const double* rate, Py_ssize_t padded_d,
                        double* buffers) except -1 nogil:
        """Take the steps, each in the pass over the coefficients that gives the next margin."""
        cdef Py_ssize_t i, j, d = q.d, ahead = rows.ahead
        cdef const char* upcoming = rows.base + row[0] * rows.row_stride
        cdef double z, dz, weight, step = 0.0, decay = 0.0
        cdef double l2 = q.alpha[0] * q.penalty_curvature
        cdef double b = q.u[d] * q.inverse[d] if q.fit_intercept else 0.0
        cdef double b_scale = q.inverse[d] ** 2 * q.unit[0] if q.fit_intercept else 0.0
        cdef double* w = buffers
        cdef double* a = buffers + padded_d
        cdef double* here = buffers + 2 * padded_d
        cdef double* before = buffers + 3 * padded_d
        cdef step_function take_step = step_of(q.identity, rows.column_stride)
        for i in range(n_steps):
            if i + ahead < n_steps:
                upcoming = rows.base + row[i + ahead] * rows.row_stride
            z = b + take_step(d, rows.base + row[i] * rows.row_stride, q.mean, a, step, decay,
                              before, here, w, upcoming)
            p.loss.gradient(1, 1, self.targets.targets + i, &z, &dz)
            weight = self.weight_of(i)
            step, decay = rate[i] * weight * dz if weight != 0.0 else 0.0, rate[i] * l2
            b -= b_scale * step
            before, here = here, before
        for j in range(d):
            w[j] -= a[j] * (step * before[j] + decay * w[j])
        if q.fit_intercept:
            q.u[d] = b / q.inverse[d]
        return 0


cdef class SparseRowSteps:
    """Steps along the gradients of single sparse rows, for any number of outputs.

    Parameters
    ----------
    parameters, weight_scale
        As for `DenseRowSteps`.
    """

    def __init__(self, Parameters parameters not None, double weight_scale):
        self.problem, self.parameters = parameters.problem, parameters
        self.rows, self.weight_scale = parameters.problem.rows, weight_scale
        self.kernels = &skgd_steps[self.rows.itemsize == sizeof(float)][self.rows.wide]

    cdef int run(self, const Py_ssize_t* row, Py_ssize_t n_steps, const double* rate) except -1:
        """Take one step along the gradient of each row."""
        cdef Parameters q = self.parameters
        cdef DataTerm problem = self.problem
        cdef SparseRows rows = self.rows
        cdef Py_ssize_t j, c
        cdef Workspace space = Workspace(rows, q.k)
        if q.identity and not q.penalty.proximal:
            if q.k > 1:
                space.lay_by_feature(q.d, q.w, q.p, False)
            with nogil:
                self.take_scaled_steps(problem, rows, q, row, n_steps, rate, space)
        elif not q.penalty.proximal:
            self.run_decayed(problem, rows, q, row, n_steps, rate, space)
        else:
            self.run_lazy(problem, rows, q, row, n_steps, rate, space)
        for c in range(q.k):
            if q.fit_intercept:
                j = c * q.p + q.d
                q.u[j] = q.intercept[c] / q.inverse[j]
            q.refresh(c)
        return 0

    cdef int take_scaled_steps(self, DataTerm p, SparseRows rows, Parameters q,
                               const Py_ssize_t* row, Py_ssize_t n_steps, const double* rate,
                               Workspace space) except -1 nogil:
        """Take steps whose l2 decay is one factor that multiplies all coefficients."""
        cdef Py_ssize_t i, j, c, k = q.k
        cdef Py_ssize_t padded_k = space.padded_k if space.padded_k else 1
        cdef double factor = 1.0, l2 = q.alpha[0] * q.penalty_curvature
        cdef double b_scale = 1.0 if q.fit_intercept else 0.0
        cdef double weight_scale = self.weight_scale
        cdef const skgd_step_kernels* kernels = self.kernels
        cdef double* v = space.w_by_feature if space.padded_k else q.w
        cdef double* b = q.intercept
        cdef double* y = space.y
        cdef double* z = space.z
        cdef double* dz = space.dz
        cdef skgd_row here
        for i in range(n_steps):
            self.locate(p, rows, row, i, n_steps, &here)
            if padded_k > 1:
                if here.n_later:
                    rows.prefetch(row[i + rows.ahead])
                if i + 1 < n_steps:
                    rows.fetch(row[i + 1], padded_k, v)
                rows.row_dot(here.start, here.start + here.m, padded_k, v, z)
            else:
                z[0] = kernels.dot(&here, v)
            for c in range(k):
                z[c] = b[c] + factor * z[c]
            p.row_margin_gradients(row[i], z, rate[i] * weight_scale, y, dz)
            factor *= 1.0 - rate[i] * l2
            if fabs(factor) < 1e-100:
                for j in range(q.d * padded_k):
                    v[j] *= factor
                factor = 1.0
            for c in range(k):
                b[c] -= b_scale * dz[c]
                dz[c] /= -factor
            if padded_k > 1:
                rows.row_add(here.start, here.start + here.m, padded_k, dz, v)
            else:
                kernels.add(&here, dz[0], v)
        for j in range(q.d * padded_k):
            v[j] *= factor
        if padded_k > 1:
            skgd_transpose(q.d, k, v, padded_k, q.w, q.p)
        return 0

    cdef int run_decayed(self, DataTerm p, SparseRows rows, Parameters q, const Py_ssize_t* row,
                         Py_ssize_t n_steps, const double* rate, Workspace space) except -1:
        """Take steps on records that have their decay in common, and put the coefficients back."""
        cdef Py_ssize_t record_size = skgd_record_size(2 * q.k)
        cdef double* record = space.allocate(q.d * record_size)
        cdef double* room = space.allocate(2 * rows.max_row_nnz * q.k)
        with nogil:
            self.take_decayed_steps(p, rows, q, row, n_steps, rate, record, space, room)
            put_back(q, record, record_size)
        return 0

    cdef int take_decayed_steps(self, DataTerm p, SparseRows rows, Parameters q,
                                const Py_ssize_t* row, Py_ssize_t n_steps, const double* rate,
                                double* record, Workspace space, double* w) except -1 nogil:
        """Take steps whose l2 decay is one exponent, times the squared scale of a column."""
        cdef Py_ssize_t i, k = q.k, settled = 0
        cdef double decay = 0.0, l2 = q.alpha[0] * q.penalty_curvature
        cdef double largest = skgd_decayed_records(q.d, k, q.u, q.p, q.inverse, q.unit, record)
        cdef double enough = SETTLED_WORK * (q.d / rows.row_nnz)
        cdef const skgd_step_kernels* kernels = self.kernels
        cdef double* step = w + rows.max_row_nnz * k
        cdef skgd_row here
        for i in range(n_steps):
            self.locate(p, rows, row, i, n_steps, &here)
            self.fetch_long(rows, row, i, n_steps, skgd_record_size(2 * k), record)
            if k == 1 and decay * largest <= SKGD_SHORT_EXPONENT:
                space.z[0] = kernels.gather_one_decayed(&here, record, decay, step)
            else:
                kernels.gather_decayed(&here, k, record, decay, w, step, space.z)
            self.step_intercepts(p, q, row[i], rate[i], space)
            kernels.scatter_decayed(&here, k, space.dz, step, record)
            decay += rate[i] * l2
            if decay * largest > LARGEST_EXPONENT or (
                decay * largest > SKGD_SHORT_EXPONENT and i - settled > enough
            ):
                skgd_settle_decay(q.d, k, decay, largest, record)
                decay, settled = 0.0, i
        skgd_settle_decay(q.d, k, decay, largest, record)
        return 0

    cdef int run_lazy(self, DataTerm p, SparseRows rows, Parameters q, const Py_ssize_t* row,
                      Py_ssize_t n_steps, const double* rate, Workspace space) except -1:
        """Take steps on records that remember, and put the coefficients back."""
        cdef Py_ssize_t c, j
        cdef double* record = space.allocate(q.d * skgd_lazy_size(q.k, not q.identity))
        cdef double* room = space.allocate(2 * rows.max_row_nnz * q.k)
        with nogil:
            self.take_lazy_steps(p, rows, q, row, n_steps, rate, record, space, room)
            for c in range(q.k):
                for j in range(c * q.p, c * q.p + q.d):
                    if q.inverse[j] != 0.0:
                        q.u[j] = q.w[j] / q.inverse[j]
        return 0

    cdef int take_lazy_steps(self, DataTerm p, SparseRows rows, Parameters q,
                             const Py_ssize_t* row, Py_ssize_t n_steps, const double* rate,
                             double* record, Workspace space, double* w) except -1 nogil:
        """Take steps after which the penalty reaches a coefficient when a row next needs it.

        With the rates summed up since, its l2 part is a decay, its l1 part one threshold.
        """
        cdef Py_ssize_t i, c, k = q.k
        cdef bint scaled = not q.identity
        cdef double total = 0.0, alpha = q.alpha[0], l2 = alpha * q.penalty_curvature
        cdef const skgd_step_kernels* kernels = self.kernels
        cdef double* threshold = w + rows.max_row_nnz * k
        cdef skgd_row here
        skgd_lazy_records(q.d, k, scaled, q.u, q.p, q.inverse, q.unit, record)
        for i in range(n_steps):
            self.locate(p, rows, row, i, n_steps, &here)
            self.fetch_long(rows, row, i, n_steps, skgd_lazy_size(k, scaled), record)
            kernels.gather_lazy(&here, k, scaled, record, total, l2, alpha, w, threshold)
            q.penalty.prox(here.m * k, w, threshold)
            kernels.products(&here, k, w, space.z)
            self.step_intercepts(p, q, row[i], rate[i], space)
            kernels.scatter_lazy(&here, k, scaled, total, space.dz, w, record)
            total += rate[i]
        skgd_settle_lazy(q.d, k, scaled, record, total, l2, alpha, q.w, q.p, q.g)
        for c in range(k):
            q.penalty.prox(q.d, q.w + c * q.p, q.g + c * q.p)
        return 0

    cdef void locate(self, DataTerm p, SparseRows rows, const Py_ssize_t* row, Py_ssize_t i,
                     Py_ssize_t n_steps, skgd_row* here) noexcept nogil:
        """Point to the row of a step, and to the rows whose records and numbers come later."""
        cdef Py_ssize_t later = i + rows.ahead
        here.data, here.indices = rows.data, rows.indices
        here.start = rows.start(row[i])
        here.m = rows.start(row[i] + 1) - here.start
        here.next = here.n_next = here.later = here.n_later = 0
        # The records of several outputs are fetched by `fetch_long`, where they are long.
        if i + 1 < n_steps and self.parameters.k == 1:
            here.next = rows.start(row[i + 1])
            here.n_next = rows.start(row[i + 1] + 1) - here.next
        if later < n_steps:
            here.later = rows.start(row[later])
            here.n_later = rows.start(row[later] + 1) - here.later
            p.prefetch_target(row[later])
        if later + rows.ahead < n_steps:
            rows.prefetch_start(row[later + rows.ahead])

    cdef void fetch_long(self, SparseRows rows, const Py_ssize_t* row, Py_ssize_t i,
                         Py_ssize_t n_steps, Py_ssize_t size, const double* record) noexcept nogil:
        """Fetch long records of a row to come; short ones come as fast by themselves."""
        if size >= SKGD_LANES and i + 2 < n_steps:
            rows.fetch(row[i + 2], size, record)

    cdef int step_intercepts(self, DataTerm p, Parameters q, Py_ssize_t row, double rate,
                             Workspace space) except -1 nogil:
        """Set dz to the rate times the loss's derivatives; step the intercepts along them."""
        cdef Py_ssize_t c
        for c in range(q.k):
            space.z[c] += q.intercept[c]
        p.row_margin_gradients(row, space.z, rate * self.weight_scale, space.y, space.dz)
        if q.fit_intercept:
            for c in range(q.k):
                q.intercept[c] -= q.inverse[c * q.p + q.d] ** 2 * q.unit[c] * space.dz[c]
        return 0


cdef void put_back(Parameters q, const double* record, Py_ssize_t size) noexcept nogil:
    """Set the parameters to those whose coefficients begin each record."""
    cdef Py_ssize_t c, j
    for c in range(q.k):
        for j in range(q.d):
            if q.inverse[c * q.p + j] != 0.0:
                q.u[c * q.p + j] = record[size * j + c] / q.inverse[c * q.p + j]
