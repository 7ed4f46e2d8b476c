# cython: language_level=3, cdivision=True
"""Block coordinate descent over groups of columns on weighted least squares with their norms.

    min over x, c of  sum_i (g_i v_i + h_i v_i^2 / 2) + sum_j (linear_j x_j + diag_j x_j^2 / 2)
                      + sum_g |N_g x_g|

with the changes ``v_i = c + sum_j scale_j a_ij (x_j - x0_j)`` of the margins, and the intercept c
eliminated, as in `column_descent`. A step takes a group to its own minimum. With its block H of the
Hessian, its gradient q and the decomposition ``N^-1 H N^-1 = Q E Q'``, that is in the coordinates
``s = Q' N x``

    s_i = r b_i / (e_i r + 1),    b = E s - Q' N^-1 q,    |s| = r,

and 0 where ``|b| <= 1``. So r is the root of ``1 / |p(r)| = 1`` with ``p_i = b_i / (e_i r + 1)``.
Newton's method finds it in a few steps: ``1 / |p|`` is concave in r, so that after the first step r
rises to the root.

References
----------
Qin, Scheinberg and Goldfarb, Efficient block-coordinate descent algorithms for the group lasso,
2013.
"""

import numpy as np

from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport sqrt
from skgd._engine.arrays cimport floats, integers, writeable_floats, writeable_integers
from skgd._problem.columns cimport Columns

# Numbers that are read between two looks at signals: some 20 ms.
cdef Py_ssize_t SLICE = 1 << 24
# Newton steps to the length of a group at most, and the rounding of that length.
cdef int STEPS = 100
cdef double ROUNDING = 4e-16


cdef struct Terms:
    const Py_ssize_t* start
    const double* scale
    const double* h
    const double* sums
    const double* linear
    const double* diag
    const double* norm
    const double* basis  # N^-1 Q of each group, one after the other
    const Py_ssize_t* at  # where that of each group begins
    const double* curvature  # E
    double total
    double* r
    double* x
    double* offset
    double* s  # room for the numbers of a group
    double* b


cdef inline double length(Py_ssize_t size, const double* e, const double* b,
                          double r) noexcept nogil:
    """Return the root r of ``sum_i (b_i / (e_i r + 1))^2 = 1``; 0 if there is none above it."""
    cdef Py_ssize_t i
    cdef int _step
    cdef double squares = 0.0, slope, p, rest, norm, new
    for i in range(size):
        squares += b[i] * b[i]
    if not squares > 1.0:
        return 0.0
    for _step in range(STEPS):
        squares = slope = 0.0
        for i in range(size):
            rest = 1.0 / (e[i] * r + 1.0)
            p = b[i] * rest
            squares += p * p
            slope += p * p * e[i] * rest
        norm = sqrt(squares)
        new = r + (norm - 1.0) * squares / slope
        if not new > 0.0:
            new = 0.0
        if new - r <= ROUNDING * r and r - new <= ROUNDING * r:
            return new
        r = new
    return r


cdef double step_along(Columns A, Py_ssize_t g, const Terms* t) noexcept nogil:
    """Move a group to its minimum; return how far, squared, in the norm of its curvature."""
    cdef Py_ssize_t first = t.start[g], size = t.start[g + 1] - first, i, j
    cdef const double* basis = t.basis + t.at[g]
    cdef const double* e = t.curvature + first
    cdef const double* norm = t.norm + first
    cdef const double* x = t.x + first
    cdef double q, r = 0.0, moved = 0.0, step, move, weight
    for i in range(size):
        t.s[i] = t.b[i] = 0.0
    for j in range(size):
        q = t.scale[first + j] * (A.dot(first + j, t.r) + t.offset[0] * t.sums[first + j])
        q += t.linear[first + j] + t.diag[first + j] * x[j]
        weight = norm[j] * norm[j] * x[j] if norm[j] > 0.0 else x[j]
        for i in range(size):
            t.s[i] += basis[j * size + i] * weight
            t.b[i] -= basis[j * size + i] * q
    for i in range(size):
        # Without curvature there is no slope but by rounding.
        t.b[i] = e[i] * t.s[i] + t.b[i] if e[i] > 0.0 else 0.0
        r += t.s[i] * t.s[i]
    if norm[0] > 0.0:
        r = length(size, e, t.b, sqrt(r))
        for i in range(size):
            t.b[i] *= r / (e[i] * r + 1.0)
    else:
        t.b[0] = t.b[0] / e[0] if e[0] > 0.0 else t.s[0]
    for i in range(size):
        move = t.b[i] - t.s[i]
        moved += e[i] * move * move
        t.s[i] = move
    for j in range(size):
        step = 0.0
        for i in range(size):
            step += basis[j * size + i] * t.s[i]
        # A group that goes to 0 is there to the bit.
        move = -x[j] if r == 0.0 and norm[0] > 0.0 else step
        if move == 0.0:
            continue
        t.x[first + j] += move
        move *= t.scale[first + j]
        A.add(first + j, move, t.h, t.r)
        if t.total > 0.0:
            t.offset[0] -= move * t.sums[first + j] / t.total
    return moved


def descend_groups(
    Columns columns, starts, scale, h, sums, total, linear, diag, norm, basis, curvature, r, x,
    offset, *, n_sweeps, tol
):
    """Minimise over x, one group at a time, and over the intercept.

    Sweeps over all groups alternate with sweeps over those that are not zero.

    Parameters
    ----------
    columns : Columns
        m columns a_j of n numbers, group after group.
    starts : intp array of shape (n_groups + 1,)
        Where the columns of each group begin, and where the last ones end.
    scale : array of shape (m,)
    h : array of shape (n,)
    sums : array of shape (m,)
        ``sum_i h_i a_ij``.
    total : float
        ``sum_i h_i``, and the intercept's own curvature; 0 without an intercept.
    linear, diag, norm : array of shape (m,)
        A column whose norm is 0 is a group of its own.
    basis : array of shape (sum_g size_g^2,)
        ``N^-1 Q`` of each group, with N = 1 where the norm is 0.
    curvature : array of shape (m,)
        E; along a direction without curvature a group has no slope.
    r : array of shape (n,)
        The derivatives without the intercept's part; changed in place.
    x : array of shape (m,)
        Changed in place.
    offset : array of shape (1,)
        The intercept c, at its minimum; changed in place.
    n_sweeps : int
    tol : float
        Where a sweep over all groups moves x by no more, squared and in the norm of the curvature,
        it is the last.

    Returns
    -------
    float
        How far the last sweep over all groups moved x.
    """
    cdef Py_ssize_t m = columns.m, n = columns.n, groups = len(starts) - 1, left = n_sweeps
    cdef Py_ssize_t slice = SLICE, g, i, j, count = 0
    cdef bint is_free
    cdef Terms t
    cdef double goal = tol, moved = 0.0, within, enough
    sizes = np.diff(starts)
    if groups < 0 or starts[0] != 0 or starts[groups] != m or np.any(sizes < 1):
        raise ValueError(f"starts={starts!r}: pass where groups of {m} columns begin and end.")
    if np.any((norm == 0) & (np.repeat(sizes, sizes) > 1)):
        raise ValueError("got columns without a norm in larger groups: pass groups of their own.")
    places = np.cumsum(np.append(0, sizes**2))
    cdef Py_ssize_t largest = np.max(sizes, initial=1)
    free, room = np.empty(groups, dtype=np.intp), np.empty((2, largest))
    cdef Py_ssize_t* active = writeable_integers(free, (groups,))
    t.start, t.at = integers(starts, (groups + 1,)), integers(places, (groups + 1,))
    t.scale, t.h, t.sums = floats(scale, (m,)), floats(h, (n,)), floats(sums, (m,))
    t.linear, t.diag, t.norm = floats(linear, (m,)), floats(diag, (m,)), floats(norm, (m,))
    t.basis, t.curvature = floats(basis, (int(places[groups]),)), floats(curvature, (m,))
    t.r, t.x = writeable_floats(r, (n,)), writeable_floats(x, (m,))
    t.offset, t.total = writeable_floats(offset, (1,)), total
    t.s = writeable_floats(room, (2, largest))
    t.b = t.s + largest
    with nogil:
        while left > 0:
            left -= 1
            moved, count = 0.0, 0
            for g in range(groups):
                moved += step_along(columns, g, &t)
                is_free = False
                for j in range(t.start[g], t.start[g + 1]):
                    slice -= columns.stop[j] - columns.start[j]
                    is_free = is_free or t.x[j] != 0.0 or t.norm[j] == 0.0
                if is_free:
                    active[count] = g
                    count += 1
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
                    for j in range(t.start[active[i]], t.start[active[i] + 1]):
                        slice -= columns.stop[j] - columns.start[j]
                    if slice < 0:
                        slice = SLICE
                        with gil:
                            PyErr_CheckSignals()
    return moved
