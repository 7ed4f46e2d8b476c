# cython: language_level=3, cdivision=True
"""Cyclic coordinate descent over columns on a weighted least-squares problem with l1 and bounds.

    min over x, c of  sum_i (g_i v_i + h_i v_i^2 / 2)
                      + sum_j (linear_j x_j + diag_j x_j^2 / 2 + l1_j |x_j|)

within bounds, with the changes ``v_i = c + sum_j scale_j a_ij (x_j - x0_j)`` of the margins. The
derivatives ``r_i = g_i + h_i v_i`` are kept, so that a step reads and changes one column::

    q = scale_j sum_i a_ij r_i + linear_j + diag_j x_j
    H = scale_j^2 sum_i h_i (a_ij - m_j)^2 + diag_j,   m_j = sum_i h_i a_ij / sum_i h_i
    x_j = clip(soft(x_j - q / H, l1_j / H))

The intercept c is eliminated: its minimum over all else follows each step, so that the columns are
centred by their weighted means, without being filled.

References
----------
Friedman, Hastie and Tibshirani, Regularization paths for generalized linear models via coordinate
descent, 2010.
"""

import numpy as np

from cpython.exc cimport PyErr_CheckSignals
from skgd._engine.arrays cimport floats, writeable_floats, writeable_integers
from skgd._problem.columns cimport Columns

# Numbers that are read between two looks at signals: some 20 ms.
cdef Py_ssize_t SLICE = 1 << 24


cdef struct Terms:
    const double* scale
    const double* h
    const double* sums
    const double* curvature
    const double* linear
    const double* diag
    const double* l1
    const double* lower
    const double* upper
    double total
    double* r
    double* x
    double* offset


cdef inline double step_along(Columns A, Py_ssize_t j, const Terms* t) noexcept nogil:
    """Move a coordinate to its minimum; return how far, squared, in the norm of the curvature."""
    cdef double H = t.curvature[j], s = t.scale[j], x = t.x[j], best, move
    if not H > 0.0:
        return 0.0
    best = x - (s * (A.dot(j, t.r) + t.offset[0] * t.sums[j]) + t.linear[j] + t.diag[j] * x) / H
    if best > t.l1[j] / H:
        best -= t.l1[j] / H
    elif best < -t.l1[j] / H:
        best += t.l1[j] / H
    else:
        best = 0.0
    best = t.lower[j] if best < t.lower[j] else best
    best = t.upper[j] if best > t.upper[j] else best
    move = best - x
    if move == 0.0:
        return 0.0
    t.x[j] = best
    A.add(j, s * move, t.h, t.r)
    if t.total > 0.0:
        t.offset[0] -= s * move * t.sums[j] / t.total
    return H * move * move


def descend_columns(
    Columns columns, scale, h, sums, total, curvature, linear, diag, l1, lower, upper, r, x, offset,
    *, n_sweeps, tol
):
    """Minimise over x, one coordinate at a time, and over the intercept.

    Sweeps over all coordinates alternate with sweeps over those that are not at a kink.

    Parameters
    ----------
    columns : Columns
        m columns a_j of n numbers.
    scale : array of shape (m,)
    h : array of shape (n,)
    sums : array of shape (m,)
        ``sum_i h_i a_ij``.
    total : float
        ``sum_i h_i``, and the intercept's own curvature; 0 without an intercept.
    curvature : array of shape (m,)
        H; a coordinate without curvature stays.
    linear, diag, l1, lower, upper : array of shape (m,)
    r : array of shape (n,)
        The derivatives without the intercept's part; changed in place.
    x : array of shape (m,)
        Within the bounds; changed in place.
    offset : array of shape (1,)
        The intercept c, at its minimum; changed in place.
    n_sweeps : int
    tol : float
        Where a sweep over all coordinates moves x by no more, squared and in the norm of the
        curvature, it is the last.

    Returns
    -------
    float
        How far the last sweep over all coordinates moved x.
    """
    cdef Py_ssize_t m = columns.m, n = columns.n, left = n_sweeps, slice = SLICE, i, j, count = 0
    cdef Terms t
    cdef double goal = tol, moved = 0.0, within, enough
    free = np.empty(m, dtype=np.intp)
    cdef Py_ssize_t* active = writeable_integers(free, (m,))
    t.scale, t.h, t.sums = floats(scale, (m,)), floats(h, (n,)), floats(sums, (m,))
    t.linear = floats(linear, (m,))
    t.curvature, t.diag, t.l1 = floats(curvature, (m,)), floats(diag, (m,)), floats(l1, (m,))
    t.lower, t.upper, t.total = floats(lower, (m,)), floats(upper, (m,)), total
    t.r, t.x = writeable_floats(r, (n,)), writeable_floats(x, (m,))
    t.offset = writeable_floats(offset, (1,))
    with nogil:
        while left > 0:
            left -= 1
            moved, count = 0.0, 0
            for j in range(m):
                moved += step_along(columns, j, &t)
                if t.lower[j] < t.x[j] < t.upper[j] and (t.x[j] != 0.0 or t.l1[j] == 0.0):
                    active[count] = j
                    count += 1
                slice -= columns.stop[j] - columns.start[j]
                if slice < 0:
                    slice = SLICE
                    with gil:
                        PyErr_CheckSignals()
            if not moved > goal:
                break
            enough, within = 0.1 * moved if 0.1 * moved > goal else goal, moved
            while left > 0 and within > enough:
                left -= 1
                within = 0.0
                for i in range(count):
                    within += step_along(columns, active[i], &t)
                    slice -= columns.stop[active[i]] - columns.start[active[i]]
                    if slice < 0:
                        slice = SLICE
                        with gil:
                            PyErr_CheckSignals()
    return moved
