# cython: language_level=3, cdivision=True
"""Parameters in the coordinates of a metric, and one step of an optimizer on them.

The parameters u of an output are its coefficients and, with an intercept, one more number, in
coordinates that precondition the objective: ``w = u * inverse`` and
``b = u[-1] * inverse[-1] - mean . w`` for raw columns. A step turns the loss's gradient for raw
columns into the objective's for u, updates u by the optimizer's rule, applies the penalty's
proximal operator, and brings w, b and the running mean of the iterates up to date.
"""

from math import prod

import numpy as np

from libc.string cimport memcpy, memset

from skgd._engine.arrays cimport floats, integers, writeable_floats
from skgd._engine.data_term cimport DataTerm
from skgd._engine.rows cimport SKGD_LANES, SKGD_TILE
from skgd.optimizers.base cimport Rule
from skgd.penalties.base cimport PenaltyRule

cdef extern from "steps.h" nogil:
    void skgd_add_scaled(Py_ssize_t d, const double* extra, const double* inverse, double* g)
    void skgd_to_metric(Py_ssize_t d, double sum, const double* mean, double l2, const double* u,
                        const double* inverse, double unit, double* g)
    double skgd_from_metric(Py_ssize_t d, const double* u, const double* inverse,
                            const double* mean, double* w)
    void skgd_average(Py_ssize_t d, double weight, const double* u, double* average)


def cache_aligned(array):
    """Return a float64 array, or a copy of it, whose numbers begin on a cache line.

    Loops over columns are faster when no eight numbers lie on two lines.
    """
    if array.__array_interface__["data"][0] % 64 == 0:
        return array
    copy = aligned_zeros(array.shape)
    copy[...] = array
    return copy


def aligned_zeros(shape):
    """Return zeros that begin on a cache line, which take no memory before they are changed."""
    size = prod(shape)
    room = np.zeros(size + SKGD_LANES - 1)
    first = -(room.__array_interface__["data"][0] // 8) % SKGD_LANES
    return room[first:first + size].reshape(shape)


cdef class Parameters:
    """The parameters of all outputs, with the rules, the penalty and the metric of their steps.

    Parameters
    ----------
    problem, penalty, rules, parameters, state, alpha, metric, average
        As for `Sweep`.
    """

    def __init__(self, DataTerm problem not None, PenaltyRule penalty not None, list rules,
                 parameters, state, alpha, metric, average):
        cdef Py_ssize_t k = problem.k, d = problem.d
        if parameters.ndim != 2 or state.ndim != 3:
            raise ValueError(
                f"parameters have shape {parameters.shape} and state {state.shape}: pass "
                "(n_outputs, n_parameters) and (n_outputs, slots, n_parameters)."
            )
        self.problem, self.k, self.d = problem, k, d
        self.p, self.slots = parameters.shape[1], state.shape[1]
        self.fit_intercept, self.identity = self.p > d, metric.identity
        shape = (k, d + self.fit_intercept)
        coef = parameters if self.identity else aligned_zeros(shape)
        self.parameter_array, self.state_array = parameters, state
        self.average_array, self.alpha_array = average, alpha
        self.inverse_array, self.mean_array, self.unit_array = (
            metric.inverse, metric.mean, metric.unit
        )
        self.coef_array, self.intercept_array = coef, np.zeros(k)
        self.gradient_array = aligned_zeros(shape)
        self.step_size_array = aligned_zeros(shape)
        self.u = writeable_floats(parameters, shape)
        self.w = writeable_floats(coef, shape)
        self.intercept = writeable_floats(self.intercept_array, (k,))
        self.g = writeable_floats(self.gradient_array, shape)
        self.step_size = writeable_floats(self.step_size_array, shape)
        self.state = writeable_floats(state, (k, self.slots, self.p))
        self.average = NULL if average is None else writeable_floats(average, shape)
        self.alpha = floats(alpha, (k,))
        self.unit = floats(metric.unit, (k,))
        self.mean = floats(metric.mean, (d,))
        self.inverse = floats(metric.inverse, shape)
        penalty.check(d)
        self.penalty, self.penalty_curvature = penalty, penalty.hessian_diag
        self.uniform_penalty = self.penalty_curvature == self.penalty_curvature
        self.plain_steps = all([(<Rule>rule).plain for rule in rules])
        # Of a penalty with one curvature, and of most rules, each parameter stands alone.
        self.elementwise = self.uniform_penalty and all(
            [(<Rule>rule).coordinatewise for rule in rules]
        )
        self.in_metric = (
            self.elementwise and not self.identity and not penalty.proximal
            and all([(<Rule>rule).knows_metrics for rule in rules])
        )
        self.tile = SKGD_TILE if self.elementwise else self.p
        self.set_rules(rules)

    cdef int set_rules(self, list rules) except -1:
        """Take one rule for each output, and bring its coefficients up to date."""
        cdef Py_ssize_t c
        cdef Rule rule
        if len(rules) != self.k:
            raise ValueError(f"rules: pass {self.k}, one for each output, not {len(rules)}.")
        for c in range(self.k):
            rule = rules[c]
            if rule.slots > self.slots:
                raise ValueError(
                    f"state has {self.slots} slots: pass {rule.slots}, as {type(rule).__name__} "
                    "needs."
                )
            rule.unpenalised = self.fit_intercept
            if rule.keeps_arrays:
                rule.bind(self.parameter_array[c], self.gradient_array[c], self.state_array[c])
            self.refresh(c)
        self.rules = list(rules)
        self.rule_array = np.array([<size_t><void*>rule for rule in rules], dtype=np.intp)
        self.rule = integers(self.rule_array, (self.k,))
        return 0

    # ---- coefficients and intercepts for raw columns --------------------------------------------

    def raw(self):
        """Return the coefficients and the intercepts of the parameters."""
        return self.coef_array[:, :self.d].copy(), self.intercept_array.copy()

    cdef double refresh_part(self, Py_ssize_t c, Py_ssize_t first, Py_ssize_t size,
                             double* w) noexcept nogil:
        """Set w to the coefficients of some parameters; return their margin at the means."""
        cdef Py_ssize_t j = c * self.p + first
        if self.identity:
            return 0.0
        return skgd_from_metric(size, self.u + j, self.inverse + j, self.mean + first, w)

    cdef void refresh(self, Py_ssize_t c) noexcept nogil:
        """Bring the coefficients and the intercept of output c up to its parameters.

        Tile by tile, as after a step: a sweep that resumes has the same intercept to the bit.
        """
        cdef Py_ssize_t first = 0, size
        cdef double mean_margin = 0.0
        while first < self.d:
            size = min(self.tile, self.d - first)
            mean_margin += self.refresh_part(c, first, size, self.w + c * self.p + first)
            first += self.tile
        self.refresh_intercept(c, mean_margin)

    cdef void refresh_intercept(self, Py_ssize_t c, double mean_margin) noexcept nogil:
        """Bring the intercept of output c up to its parameters."""
        cdef Py_ssize_t j = c * self.p + self.d
        if not self.fit_intercept:
            return
        self.intercept[c] = self.u[j]
        if not self.identity:
            self.intercept[c] = self.u[j] * self.inverse[j] - mean_margin

    # ---- a step ---------------------------------------------------------------------------------

    cdef void clear_gradient(self) noexcept nogil:
        memset(self.g, 0, self.k * self.p * sizeof(double))

    cdef int load_gradient(self, coef_gradient, intercept_gradient) except -1:
        """Copy the gradients of a full pass to g."""
        cdef Py_ssize_t c
        cdef const double* g = floats(coef_gradient, (self.k, self.d))
        cdef const double* g_intercept = floats(intercept_gradient, (self.k,))
        for c in range(self.k):
            memcpy(self.g + c * self.p, g + c * self.d, self.d * sizeof(double))
            if self.fit_intercept:
                self.g[c * self.p + self.d] = g_intercept[c]
        return 0

    cdef int step(self, double rate, Py_ssize_t t, double average_weight) except -1 nogil:
        """Take step t along g; the running mean takes the new iterate in with some weight."""
        cdef Py_ssize_t c
        for c in range(self.k):
            self.step_output(c, rate, t, average_weight)
        return 0

    cdef int step_output(self, Py_ssize_t c, double rate, Py_ssize_t t,
                         double average_weight) except -1 nogil:
        cdef double* g = self.g + c * self.p
        cdef double mean_margin = 0.0, g_intercept = g[self.d] if self.fit_intercept else 0.0
        cdef Py_ssize_t first = 0
        while first < self.p:
            self.step_part(c, first, g + first, self.w + c * self.p + first, g_intercept, rate, t,
                           average_weight, &mean_margin)
            first += self.tile
        self.refresh_intercept(c, mean_margin)
        return 0

    cdef int step_part(self, Py_ssize_t c, Py_ssize_t first, double* g, double* w,
                       double g_intercept, double rate, Py_ssize_t t, double average_weight,
                       double* mean_margin) except -1 nogil:
        """Step the parameters of a tile, given its gradient and the intercept's derivative.

        Sets w to the tile's coefficients, and adds their margin at the means to mean_margin.
        Before, w holds the coefficients that a penalty without a uniform curvature reads.
        """
        cdef Py_ssize_t last = min(first + self.tile, self.p)
        cdef Py_ssize_t size = min(last, self.d) - first
        cdef double* u = self.u + c * self.p + first
        if self.in_metric:
            self.step_in_metric(c, first, g, w, g_intercept, rate, t, mean_margin)
            if average_weight > 0.0:
                skgd_average(last - first, average_weight, u, self.average + c * self.p + first)
            return 0
        self.complete_gradient(c, first, last, g, w, g_intercept)
        (<Rule><void*>self.rule[c]).update(
            u, g, self.state + c * self.slots * self.p + first, self.p, rate, t, last - first,
            self.step_size + c * self.p if self.penalty.proximal else NULL
        )
        if self.penalty.proximal:
            self.apply_prox(c, first, size, w)
        if average_weight > 0.0:
            skgd_average(last - first, average_weight, u, self.average + c * self.p + first)
        mean_margin[0] += self.refresh_part(c, first, size, w)
        return 0

    cdef int step_in_metric(self, Py_ssize_t c, Py_ssize_t first, double* g, double* w,
                            double g_intercept, double rate, Py_ssize_t t,
                            double* mean_margin) except -1 nogil:
        """Do all of a step at once but for the running mean, by rules that know metrics."""
        cdef Py_ssize_t j = c * self.p + first, last = min(first + self.tile, self.p)
        cdef Py_ssize_t size = min(last, self.d) - first
        cdef double* state = self.state + c * self.slots * self.p + first
        cdef double unit = self.unit[c], g_last
        if last > self.d:
            g_last = g[size] * self.inverse[j + size] * unit
        mean_margin[0] += (<Rule><void*>self.rule[c]).update_in_metric(
            self.u + j, g, state, self.p, rate, t, size, g_intercept, self.mean + first,
            self.alpha[c] * self.penalty_curvature, self.inverse + j, unit, w
        )
        if last > self.d:
            (<Rule><void*>self.rule[c]).update(self.u + j + size, &g_last, state + size, self.p,
                                               rate, t, 1, NULL)
        return 0

    cdef int complete_gradient(self, Py_ssize_t c, Py_ssize_t first, Py_ssize_t last, double* g,
                               double* w, double g_intercept) except -1 nogil:
        """Turn the loss's gradient for raw columns into the objective's for the parameters."""
        cdef Py_ssize_t size = min(last, self.d) - first
        cdef double unit = self.unit[c]
        cdef double* u = self.u + c * self.p + first
        cdef double* extra = self.step_size + c * self.p
        cdef const double* inverse = self.inverse + c * self.p + first
        if self.identity:
            return self.penalty.add_gradient(size, w, self.alpha[c], g)
        # The mean is zero without an intercept: there is nothing to centre with.
        skgd_to_metric(size, g_intercept, self.mean + first,
                       self.alpha[c] * self.penalty_curvature if self.uniform_penalty else 0.0, u,
                       inverse, unit, g)
        if last > self.d:
            g[size] *= inverse[size] * unit
        if not self.uniform_penalty:
            memset(extra, 0, size * sizeof(double))
            self.penalty.add_gradient(size, w, self.alpha[c] * unit, extra)
            skgd_add_scaled(size, extra, inverse, g)
        return 0

    cdef int apply_prox(self, Py_ssize_t c, Py_ssize_t first, Py_ssize_t size,
                        double* w) except -1 nogil:
        """Apply the penalty's proximal operator to the coefficients, with the rule's step sizes."""
        cdef Py_ssize_t j
        cdef double unit = self.unit[c]
        cdef double* u = self.u + c * self.p + first
        cdef double* step_size = self.step_size + c * self.p
        cdef const double* inverse = self.inverse + c * self.p + first
        for j in range(size):
            step_size[j] *= inverse[j] * inverse[j] * unit * self.alpha[c]
            w[j] = u[j] * inverse[j]
        self.penalty.prox(size, w, step_size)
        for j in range(size):
            u[j] = w[j] / inverse[j] if inverse[j] != 0.0 else u[j]
        return 0
