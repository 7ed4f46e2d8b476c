cdef class Rule:
    # Whether the step is the rate times the gradient and nothing else.
    cdef bint plain
    # The number of arrays of state.
    cdef readonly Py_ssize_t slots
    # The number of parameters at the end that no rule may shrink of its own accord: intercepts.
    cdef public Py_ssize_t unpenalised
    # Whether each coordinate is updated from its own numbers alone, so that the parameters may be
    # updated part by part.
    cdef bint coordinatewise
    # Whether the rule keeps the arrays that `bind` hands it, so that each row needs its own.
    cdef readonly bint keeps_arrays
    # One step: w and the state s, d numbers of each slot `stride` apart, in place. step, unless
    # NULL, receives the size of the step that a unit gradient takes in the steady state, which
    # proximal penalties must use.
    cdef int update(self, double* w, const double* g, double* s, Py_ssize_t stride, double rate,
                    Py_ssize_t t, Py_ssize_t d, double* step) except -1 nogil
    # Whether `update_in_metric` is there.
    cdef bint knows_metrics
    # The same for parameters u in a metric: w = u inverse are the coefficients, whose product with
    # the mean is returned, and (g - sum mean + l2 w) inverse unit is the gradient. w may be g.
    cdef double update_in_metric(self, double* u, const double* g, double* s, Py_ssize_t stride,
                                 double rate, Py_ssize_t t, Py_ssize_t d, double sum,
                                 const double* mean, double l2, const double* inverse,
                                 double unit, double* w) noexcept nogil
