# cython: language_level=3
# The parameters of a sweep in the metric's coordinates, for the modules that take steps.

cimport cython

from skgd._engine.data_term cimport DataTerm
from skgd._engine.rows cimport Workspace
from skgd.penalties.base cimport PenaltyRule


@cython.final
cdef class Parameters:
    cdef readonly DataTerm problem
    # k outputs with d coefficients each, and p parameters: with an intercept, one more.
    cdef readonly Py_ssize_t k, d, p
    cdef Py_ssize_t slots
    cdef bint fit_intercept
    cdef bint identity  # whether the metric changes nothing
    cdef PenaltyRule penalty
    cdef double penalty_curvature  # of each coefficient, if it is the same for all; else NaN
    cdef bint uniform_penalty  # whether it is the same for all
    cdef bint plain_steps  # whether each rule's step is the rate times the gradient
    cdef bint elementwise  # whether the parameters may be updated tile by tile
    cdef bint in_metric  # whether the rules step in the metric by themselves
    cdef Py_ssize_t tile  # parameters of an output that are updated together
    cdef list rules
    cdef const Py_ssize_t* rule  # the address of each output's rule
    # The arrays behind the pointers below.
    cdef object parameter_array, state_array, average_array, alpha_array
    cdef object inverse_array, mean_array, unit_array
    cdef object coef_array, intercept_array, gradient_array, step_size_array, rule_array
    cdef double* u  # the parameters, (k, p)
    cdef double* w  # their coefficients for raw columns, (k, p); u itself without a metric
    cdef double* intercept  # their intercepts for raw columns, (k,)
    cdef double* g  # the gradient for raw columns, which a step overwrites, (k, p)
    cdef double* step_size  # of each coordinate, for proximal operators, (k, p)
    cdef double* state  # of the rules, (k, slots, p)
    cdef double* average  # the running mean of u, (k, p), or NULL
    cdef const double* alpha
    cdef const double* unit
    cdef const double* mean
    cdef const double* inverse

    cdef int set_rules(self, list rules) except -1
    cdef double refresh_part(self, Py_ssize_t c, Py_ssize_t first, Py_ssize_t size,
                             double* w) noexcept nogil
    cdef void refresh(self, Py_ssize_t c) noexcept nogil
    cdef void refresh_intercept(self, Py_ssize_t c, double mean_margin) noexcept nogil
    cdef void clear_gradient(self) noexcept nogil
    cdef int load_gradient(self, coef_gradient, intercept_gradient) except -1
    cdef int step(self, double rate, Py_ssize_t t, double average_weight) except -1 nogil
    cdef int step_output(self, Py_ssize_t c, double rate, Py_ssize_t t,
                         double average_weight) except -1 nogil
    cdef int step_part(self, Py_ssize_t c, Py_ssize_t first, double* g, double* w,
                       double g_intercept, double rate, Py_ssize_t t, double average_weight,
                       double* mean_margin) except -1 nogil
    cdef int step_in_metric(self, Py_ssize_t c, Py_ssize_t first, double* g, double* w,
                            double g_intercept, double rate, Py_ssize_t t,
                            double* mean_margin) except -1 nogil
    cdef int complete_gradient(self, Py_ssize_t c, Py_ssize_t first, Py_ssize_t last, double* g,
                               double* w, double g_intercept) except -1 nogil
    cdef int apply_prox(self, Py_ssize_t c, Py_ssize_t first, Py_ssize_t size,
                        double* w) except -1 nogil

    cdef inline void attach(self, Workspace space, Py_ssize_t first, double* g) noexcept nogil:
        """Point a workspace's outputs, from the first on, to the coefficients and to g."""
        space.point_to(first, self.k, self.w, self.p, g, self.p)

    cdef inline double* intercept_of(self, double* g, double* unused) noexcept nogil:
        """Return where a gradient has the intercept's derivatives; unused if there is none."""
        return g + self.d if self.fit_intercept else unused

    cdef inline Py_ssize_t intercept_stride(self) noexcept nogil:
        """Return how far apart the outputs' derivatives are."""
        return self.p if self.fit_intercept else 0
