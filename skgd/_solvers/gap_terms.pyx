# cython: language_level=3, cdivision=True
"""Terms of duality gaps, of small arrays that a dozen calls of NumPy each would take longer for.

The gap of squared errors with a smooth penalty is ``g' H^-1 g / 2``. For an approximate solution d
of ``H d = g``, with ``r = g - H d``, it is ``(g' d + d' r + r' H^-1 r) / 2``, and H is at least the
curvature of the penalty: along directions in which a solve sees none, that decides. So it does for
the rounding of the sums in g. That of the margins is in the span of the rows, where H is not small.

The conjugate of a separable penalty at slopes ``-q`` is, coordinate by coordinate, the supremum of
``-q v - l1 |v| - diag v^2 / 2`` within its bounds.

References
----------
Boyd and Vandenberghe, Convex Optimization, 2004, chapters 5 and 9.
"""

import numpy as np

from skgd._solvers.costs import Gap

from libc.math cimport fabs, isinf, sqrt

from skgd._engine.arrays cimport floats, writeable_floats
from skgd.penalties.base cimport clipped


def quadratic_gap(objective, hessian, x):
    """Return how far the objective at x is from its minimum.

    Parameters
    ----------
    objective : Objective
    hessian : Hessian
    x : array of shape (n_parameters,)
    """
    point, shape = objective.at(x), hessian.shape
    step = np.ascontiguousarray(hessian.solve(point.gradient, 0.0))
    image, values = hessian.product(step), objective.with_penalty(point.losses, point.raw[0])
    squares, hidden, lengths = np.empty(shape), np.empty(shape), np.zeros(shape[0])
    n_faint = _hide(objective, point, x, image, values, squares, hidden)
    if 0 < n_faint <= Gap.few_faint:
        least = Gap.rounding * objective.metric.unit * np.abs(values)
        for at in np.flatnonzero(squares > least[:, None]):
            lengths[at // shape[1]] += hidden.flat[at] * sqrt(_inverse_at(objective, hessian, at))
            squares.flat[at] = 0.0
    lengths += np.sqrt(squares.sum(axis=1))
    cdef Py_ssize_t k, p, c, j
    k, p = shape
    margins = objective.margin_size(x)
    cdef const double* d = floats(step, (k * p,))
    cdef const double* g = floats(point.gradient, (k * p,))
    cdef const double* of_step = floats(image, (k * p,))
    cdef const double* units = floats(objective.metric.unit, (k,))
    cdef const double* bound = floats(objective.smoothness, (k,))
    cdef const double* value = floats(values, (k,))
    cdef const double* length = floats(lengths, (k,))
    cdef const double* margin = floats(margins, (k,))
    cdef double rounded = Gap.rounded, rounding = Gap.rounding, gap, root, total = 0.0
    for c in range(k):
        gap = length[c] * length[c]
        for j in range(c * p, c * p + p):
            gap += d[j] * (2.0 * g[j] - of_step[j])
        root = sqrt(0.0 if gap < 0.0 else gap) + rounded * sqrt(bound[c] * units[c]) * margin[c]
        gap = 0.5 * root * root / units[c] + rounding * value[c]
        # No squares are below zero.
        total += gap if gap < value[c] else value[c]
    return total


cdef Py_ssize_t _hide(objective, point, x, image, values, squares, hidden) except -1:
    """Set how large the residual of a solve may be, and its square over what H is at least.

    Return the number of squares that bound nothing: next to a column that depends on others its own
    small penalty does not.
    """
    cdef Py_ssize_t k, p, c, j, i, n_faint = 0, n_features = objective.problem.d
    k, p = hidden.shape
    metric = objective.metric
    cdef const double* g = floats(point.gradient, (k * p,))
    cdef const double* of_step = floats(image, (k * p,))
    cdef const double* u = floats(x, (k * p,))
    cdef const double* diag = floats(objective.penalty_hessian_diag, (k, p))
    cdef const double* inverse = floats(metric.inverse, (k, p))
    cdef const double* mean = floats(metric.mean, (n_features,))
    cdef const double* bound = floats(objective.smoothness, (k,))
    cdef const double* units = floats(metric.unit, (k,))
    cdef const double* losses = floats(point.losses, (k,))
    cdef const double* value = floats(values, (k,))
    cdef double* square = writeable_floats(squares, (k, p))
    cdef double* size = writeable_floats(hidden, (k, p))
    cdef double rounded = Gap.rounded, rounding = Gap.rounding, faint = Gap.faint
    cdef double eps = np.finfo(float).eps, terms, root, residual
    for c in range(k):
        root, residual = sqrt(bound[c] * units[c]), sqrt(units[c] * fabs(losses[c]))
        for j in range(p):
            i = c * p + j
            # The size of what a number of the gradient sums up.
            terms = 1.0 + (fabs(mean[j]) * inverse[i] * root if j < n_features else 0.0)
            terms = residual * terms + diag[i] * fabs(u[i])
            size[i] = fabs(g[i] - of_step[i]) + rounded * terms
            square[i] = size[i] * size[i] / (diag[i] if diag[i] > faint else eps)
            n_faint += square[i] > rounding * units[c] * fabs(value[c])
    return n_faint


def _inverse_at(objective, hessian, Py_ssize_t j):
    """Return a bound on a diagonal element of the inverse of a Hessian."""
    diag = objective.penalty_hessian_diag.ravel()
    floor = np.where(diag > Gap.faint, diag, np.finfo(float).eps)
    unit = np.zeros(len(floor))
    unit[j] = 1.0
    step = hessian.solve(unit, 0.0)
    residual = unit - hessian.product(step)
    bound = float(step @ (unit + residual) + np.sum(residual**2 / floor))
    return min(bound, 1.0 / floor[j])


cdef double conjugate(double q, double term_size, double l1, double low, double high, double size,
                      double diag, double balanced) noexcept nogil:
    """Return the conjugate of a coordinate's penalty."""
    cdef double pull = fabs(q) - l1, v
    # Not by max(), which would lose what is not a number.
    pull = 0.0 if pull < 0.0 else pull
    pull = -pull if q > 0.0 else (pull if q < 0.0 else 0.0 * pull)
    if diag > 0.0:
        v = pull / diag
    else:
        v = high if pull > 0.0 else (low if pull < 0.0 else 0.0)
    v = clipped(v, low, high)
    if isinf(v) and fabs(pull) <= balanced * term_size:
        # What should be zero and is rounding counts with the size of the parameters.
        v = 10.0 * (1.0 + size) * (1.0 if pull > 0.0 else (-1.0 if pull < 0.0 else 0.0))
    return -q * v - l1 * fabs(v) - 0.5 * diag * v * v


def penalty_conjugates(sums, sizes, rounding, l1, lower, upper, size, diag):
    """Return the conjugate of each output's penalty, and what the rounding of sums may add to it.

    Parameters
    ----------
    sums, sizes : array of shape (n_outputs, n_parameters)
        Of dual variables times features, and of the absolute values of what is summed up.
    rounding : array of shape (n_outputs, n_parameters)
        That of the sums, which counts where the penalty is curved.
    l1, lower, upper : array of shape (n_outputs, n_parameters)
    size : array of shape (n_outputs, n_parameters)
        That of parameters near the minimum.
    diag : array of shape (n_outputs, n_parameters)

    Returns
    -------
    values, further : array of shape (n_outputs,)
    """
    cdef Py_ssize_t k, p, c, j
    shape = k, p = sums.shape
    values, further = np.zeros(k), np.zeros(k)
    cdef const double* q = floats(sums, shape)
    cdef const double* terms = floats(sizes, shape)
    cdef const double* hidden = floats(rounding, shape)
    cdef const double* weight = floats(l1, shape)
    cdef const double* low = floats(lower, shape)
    cdef const double* high = floats(upper, shape)
    cdef const double* u = floats(size, shape)
    cdef const double* curvature = floats(diag, shape)
    cdef double* value = writeable_floats(values, (k,))
    cdef double* more = writeable_floats(further, (k,))
    cdef double balanced = Gap.balanced, here, moved
    with nogil:
        for c in range(k):
            for j in range(c * p, c * p + p):
                here = conjugate(q[j], terms[j], weight[j], low[j], high[j], u[j], curvature[j],
                                 balanced)
                value[c] += here
                if curvature[j] > 0.0:
                    moved = q[j] + hidden[j] * ((q[j] > 0.0) - (q[j] < 0.0))
                    more[c] += conjugate(moved, terms[j], weight[j], low[j], high[j], u[j],
                                         curvature[j], balanced) - here
    return values, further
