# cython: language_level=3, cdivision=True
"""The duality gap of squared errors with a smooth penalty: ``g' H^-1 g / 2``.

For an approximate solution d of ``H d = g``, with ``r = g - H d``, it is
``(g' d + d' r + r' H^-1 r) / 2``, and H is at least the curvature of the penalty: along directions
in which a solve sees none, that decides. So it does for the rounding of the sums in g. That of the
margins is in the span of the rows, where H is not small.

References
----------
Boyd and Vandenberghe, Convex Optimization, 2004, chapters 5 and 9.
"""

import numpy as np

from skgd._solvers.costs import Gap

from libc.math cimport fabs, sqrt

from skgd._engine.arrays cimport floats, writeable_floats


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
