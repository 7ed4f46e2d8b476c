# cython: language_level=3, cdivision=True
"""Models and gradients in the coordinates of a diagonal metric, in one call each.

Around a pass over few rows, NumPy's calls for a dozen small arrays took longer than the pass: 88 us
of 113 us for 150 x 4.
"""

import numpy as np

from libc.math cimport fabs, isfinite, sqrt

from skgd._engine.arrays cimport floats, writeable_floats
from skgd.penalties.base cimport PenaltyRule

cdef enum:
    PIECE = 128  # products that are added up before their sum is


cdef double product(Py_ssize_t d, const double* a, const double* b) noexcept nogil:
    """Return the sum of products, with less rounding than one after the other would have."""
    cdef Py_ssize_t j, start, stop = 0
    cdef double total = 0.0, part
    while stop < d:
        start, stop, part = stop, min(d, stop + PIECE), 0.0
        for j in range(start, stop):
            part += a[j] * b[j]
        total += part
    return total


cdef tuple checked_shape(mean, inverse):
    k, p = inverse.shape
    d = len(mean)
    if p != d and p != d + 1:
        raise ValueError(f"inverse: got {p} columns for {d} features; pass as many, or one more.")
    return k, p, d


def to_raw(u, mean, inverse, bint is_centred):
    """Return the coefficients and the intercepts of parameters u.

    Parameters
    ----------
    u : array of shape (n_outputs, n_parameters)
    mean : array of shape (n_features,)
    inverse : array of shape (n_outputs, n_parameters)
    is_centred : bool
        Whether the margins of the means are in the parameter of the intercept.
    """
    cdef Py_ssize_t k, p, d, c, j
    k, p, d = checked_shape(mean, inverse)
    coef, intercept = np.empty((k, d)), np.zeros(k)
    cdef const double* x = floats(u, (k, p))
    cdef const double* scale = floats(inverse, (k, p))
    cdef const double* centre = floats(mean, (d,))
    cdef double* w = writeable_floats(coef, (k, d))
    cdef double* b = writeable_floats(intercept, (k,))
    with nogil:
        for c in range(k):
            for j in range(d):
                w[j] = x[j] * scale[j]
            if p > d:
                b[c] = x[d] * scale[d]
                if is_centred:
                    b[c] -= product(d, w, centre)
            w += d
            x += p
            scale += p
    return coef, intercept


cdef void centre_outputs(Py_ssize_t k, Py_ssize_t d, double* numbers) noexcept nogil:
    """Subtract from each column of numbers its mean over the outputs."""
    cdef Py_ssize_t c, j
    cdef double total
    for j in range(d):
        total = 0.0
        for c in range(k):
            total += numbers[c * d + j]
        total /= k
        for c in range(k):
            numbers[c * d + j] -= total


def gradient(losses, coef_gradient, intercept_gradient, coef, PenaltyRule penalty not None, alpha,
             metric, smoothness, double rounding, bint is_multiclass):
    """Return the gradient of losses and of a penalty's smooth part with respect to u.

    Sums over the rows that cancel to rounding become zero: rules that normalise would step. What
    such a slope along an intercept has in the gradients of columns that are far off goes, too. A
    softmax is flat along equal changes of all outputs: what is left there is rounding.

    Parameters
    ----------
    losses : array of shape (n_outputs,)
    coef_gradient : array of shape (n_outputs, n_features)
        That of the losses; changed in place.
    intercept_gradient : array of shape (n_outputs,)
        Changed in place.
    coef : array of shape (n_outputs, n_features)
    penalty : PenaltyRule
    alpha : array of shape (n_outputs,)
    metric : Metric
    smoothness : array of shape (n_outputs,)
    rounding : float
        As a share of the size of derivatives.
    is_multiclass : bool

    Returns
    -------
    array of shape (n_outputs * n_parameters,)
    """
    cdef Py_ssize_t k, p, d, c, j
    mean, slopes = metric.mean, metric.slopes
    k, p, d = checked_shape(mean, slopes)
    penalty.check(d)
    result = np.empty(k * p)
    cdef const double* loss = floats(losses, (k,))
    cdef double* raw = writeable_floats(coef_gradient, (k, d))
    cdef double* raw_intercept = writeable_floats(intercept_gradient, (k,))
    cdef const double* w = floats(coef, (k, d))
    cdef const double* factor = floats(alpha, (k,))
    cdef const double* centre = floats(mean, (d,))
    cdef const double* slope = floats(slopes, (k, p))
    cdef const double* bound = floats(smoothness, (k,))
    cdef const double* units = floats(metric.unit, (k,))
    cdef double* g = writeable_floats(result, (k * p,))
    with nogil:
        if is_multiclass:
            centre_outputs(k, d, raw)
            centre_outputs(k, 1, raw_intercept)
        for c in range(k):
            if fabs(raw_intercept[c]) <= rounding * sqrt(
                bound[c] * (fabs(loss[c]) + 1.0 / units[c])
            ):
                for j in range(d):
                    raw[j] -= raw_intercept[c] * centre[j]
                raw_intercept[c] = 0.0
            for j in range(d):
                g[j] = raw[j] - raw_intercept[c] * centre[j]
            penalty.add_gradient(d, w, factor[c], g)
            if p > d:
                g[d] = raw_intercept[c]
            for j in range(p):
                g[j] *= slope[j]
            raw += d
            w += d
            slope += p
            g += p
    return result


def with_penalty(losses, coef, PenaltyRule penalty not None, alpha):
    """Return the objective of each output: its loss and alpha times its penalty."""
    cdef Py_ssize_t c, k = coef.shape[0], d = coef.shape[1]
    objectives = np.empty(k)
    cdef const double* w = floats(coef, (k, d))
    cdef const double* loss = floats(losses, (k,))
    cdef const double* a = floats(alpha, (k,))
    cdef double* objective = writeable_floats(objectives, (k,))
    penalty.check(d)
    for c in range(k):
        objective[c] = loss[c] + a[c] * penalty.value(d, w + c * d)
    return objectives


def smooth_value(losses, coef, PenaltyRule penalty not None, alpha, unit):
    """Return losses and the smooth part of a penalty, in the unit of the objective.

    Parameters
    ----------
    losses : array of shape (n_outputs,)
    coef : array of shape (n_outputs, n_features)
    penalty : PenaltyRule
    alpha, unit : array of shape (n_outputs,)
    """
    cdef Py_ssize_t k = coef.shape[0], d = coef.shape[1], c
    penalty.check(d)
    cdef const double* loss = floats(losses, (k,))
    cdef const double* w = floats(coef, (k, d))
    cdef const double* factor = floats(alpha, (k,))
    cdef const double* units = floats(unit, (k,))
    cdef double value = 0.0
    for c in range(k):
        value += units[c] * (loss[c] + factor[c] * penalty.smooth_value(d, w + c * d))
    return value


def margin_sizes(x, coef, metric, smoothness):
    """Return the size of what the margins of each output are made of.

    Parameters
    ----------
    x : array of shape (n_outputs * n_parameters,)
        The parameters.
    coef : array of shape (n_outputs, n_features)
        What `to_raw` makes of them.
    metric : Metric
    smoothness : array of shape (n_outputs,)
    """
    cdef Py_ssize_t k, p, d, c, j
    k, p, d = checked_shape(metric.mean, metric.inverse)
    result = np.empty(k)
    cdef const double* u = floats(x, (k * p,))
    cdef const double* w = floats(coef, (k, d))
    cdef const double* centre = floats(metric.mean, (d,))
    cdef const double* bound = floats(smoothness, (k,))
    cdef const double* units = floats(metric.unit, (k,))
    cdef double* size = writeable_floats(result, (k,))
    cdef double squares
    with nogil:
        for c in range(k):
            squares, size[c] = 0.0, 0.0
            for j in range(d):
                size[c] += fabs(w[c * d + j]) * fabs(centre[j])
            for j in range(p):
                squares += u[c * p + j] * u[c * p + j]
            size[c] += sqrt(squares / (bound[c] * units[c]))
    return result


def margin_rounding(x, coef, double value, metric, smoothness):
    """Return what the sizes of margins are worth in the objective, where it has a value.

    Parameters
    ----------
    x, coef, metric, smoothness
        As for `margin_sizes`.
    value : float
        In the unit of the objective.
    """
    cdef Py_ssize_t k = len(coef), c
    sizes = margin_sizes(x, coef, metric, smoothness)
    cdef const double* size = floats(sizes, (k,))
    cdef const double* bound = floats(smoothness, (k,))
    cdef const double* units = floats(metric.unit, (k,))
    cdef double total = 0.0
    for c in range(k):
        # The derivative of a loss of that value, times the margins.
        total += units[c] * sqrt(bound[c] * (fabs(value / units[c]) + 1.0 / units[c])) * size[c]
    return total


def inverse_scales(curvature, variance, penalty_curvature, unit, Py_ssize_t p):
    """Return one over the root of the objective's curvature along each coefficient; 0 for none.

    Parameters
    ----------
    curvature, unit : array of shape (n_outputs,)
        The second derivative of the loss, and the unit of the objective.
    variance : array of shape (n_features,)
    penalty_curvature : array of shape (n_outputs, n_features)
    p : int
        The parameters of an output: with an intercept, whose column is 1, one more.

    Returns
    -------
    inverse : array of shape (n_outputs, p)
        Also 0 where its square is beyond the range of doubles.
    is_flat : bool
        Whether some are 0.
    """
    cdef Py_ssize_t k = len(curvature), d = len(variance), c, j
    result = np.zeros((k, p))
    cdef const double* bound = floats(curvature, (k,))
    cdef const double* v = floats(variance, (d,))
    cdef const double* diag = floats(penalty_curvature, (k, d))
    cdef const double* units = floats(unit, (k,))
    cdef double* out = writeable_floats(result, (k, p))
    cdef double along
    cdef bint is_flat = False
    if p != d and p != d + 1:
        raise ValueError(f"p: got {p} parameters for {d} features; pass as many, or one more.")
    with nogil:
        for c in range(k):
            for j in range(p):
                along = bound[c] * v[j] + diag[c * d + j] if j < d else bound[c]
                if along > 0.0:
                    out[j] = 1.0 / sqrt(along * units[c])
                    if not isfinite(out[j] * out[j]):
                        out[j] = 0.0
                is_flat = is_flat or out[j] == 0.0
            out += p
    return result, is_flat


def slopes_along(coef_slopes, intercept_slopes, penalty_slopes, mean, slopes):
    """Return derivatives with respect to u, of those for raw columns.

    Parameters
    ----------
    coef_slopes, penalty_slopes : array of shape (n_outputs, n_features)
        Those of the losses and of the penalty.
    intercept_slopes : array of shape (n_outputs,)
    mean : array of shape (n_features,)
    slopes : array of shape (n_outputs, n_parameters)
        What makes slopes along the parameters, in their units, of raw ones.
    """
    cdef Py_ssize_t k, p, d, c, j
    k, p, d = checked_shape(mean, slopes)
    result = np.empty((k, p))
    cdef const double* raw = floats(coef_slopes, (k, d))
    cdef const double* raw_intercept = floats(intercept_slopes, (k,))
    cdef const double* extra = floats(penalty_slopes, (k, d))
    cdef const double* centre = floats(mean, (d,))
    cdef const double* slope = floats(slopes, (k, p))
    cdef double* g = writeable_floats(result, (k, p))
    with nogil:
        for c in range(k):
            for j in range(d):
                g[j] = (raw[j] - raw_intercept[c] * centre[j] + extra[j]) * slope[j]
            if p > d:
                g[d] = raw_intercept[c] * slope[d]
            raw += d
            extra += d
            slope += p
            g += p
    return result
