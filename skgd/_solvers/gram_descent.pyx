# cython: language_level=3, cdivision=True
"""Coordinate descent on a quadratic with l1 and bounds, for warm starts along a path.

Minimises ``x' H x / 2 - b' x + sum_j l1_j |x_j| + sum_j ridge_j x_j^2 / 2`` within bounds. A sweep
over all coordinates, each of which goes to its own minimum, finds the active set: those that are
not 0. Sweeps over the active set alone follow until they move x no more; another sweep over all
coordinates then has to confirm the active set. With m the squared move of a sweep, the caller, who
may solve the system of the active set, is told as soon as

    log(goal / m) / log(m / m_before) > patience + n_active / 8

sweeps are left at the rate of the last two.

References
----------
Friedman, Hastie and Tibshirani, Regularization paths for generalized linear models via coordinate
descent, 2010.
"""

import numpy as np

from libc.math cimport INFINITY, log

from skgd._engine.arrays cimport floats, writeable_floats, writeable_integers

cdef extern from "../_engine/vector.h" nogil:
    void skgd_axpy(Py_ssize_t n, double a, const double* x, double* y)

# Why a call returned.
DONE, SLOW, BUSY = 0, 1, 2
cdef double FAINT = 1e-300


cdef struct Quadratic:
    Py_ssize_t p
    const double* H
    const double* l1
    const double* ridge
    const double* lower
    const double* upper
    double* x
    double* g


cdef inline double move(const Quadratic* q, Py_ssize_t j) noexcept nogil:
    """Take coordinate j to its minimum; return how far, squared, in the norm of H's diagonal."""
    cdef double curvature = q.H[j * q.p + j] + q.ridge[j], pull, best, step
    if not curvature > 0.0:
        return 0.0
    pull = curvature * q.x[j] - (q.g[j] + q.ridge[j] * q.x[j])
    if pull > q.l1[j]:
        best = (pull - q.l1[j]) / curvature
    elif pull < -q.l1[j]:
        best = (pull + q.l1[j]) / curvature
    else:
        best = 0.0
    best = q.lower[j] if best < q.lower[j] else best
    best = q.upper[j] if best > q.upper[j] else best
    step = best - q.x[j]
    if step == 0.0:
        return 0.0
    q.x[j] = best
    skgd_axpy(q.p, step, q.H + j * q.p, q.g)
    return curvature * step * step


def descend(hessian, l1, ridge, lower, upper, x, gradient, active, *, tol, patience, work):
    """Descend from x until a sweep over all coordinates moves it no more.

    Parameters
    ----------
    hessian : array of shape (p, p)
        H, symmetric; a coordinate without curvature stays.
    l1, ridge, lower, upper : array of shape (p,)
    x : array of shape (p,)
        Within the bounds; changed in place.
    gradient : array of shape (p,)
        ``H x - b``; changed in place.
    active : intp array of shape (p,)
        Receives the coordinates that are not 0.
    tol : float
        The squared move of the last sweep, as a share of x squared, in the norm of H's diagonal.
    patience : float
        Sweeps that are worth taking in any case; see above. inf for all of them.
    work : int
        Multiplications after which to return.

    Returns
    -------
    reason : int
        `DONE`, `SLOW` or `BUSY`.
    n_active : int
    """
    cdef Quadratic q
    cdef Py_ssize_t p = len(x), j, i, n_active = 0, sweeps, left
    cdef Py_ssize_t budget = work
    cdef Py_ssize_t* a = writeable_integers(active, (p,))
    cdef double moved, size, goal, before, needed, enough = tol, most = patience
    cdef int reason = 0
    cdef bint shrank
    q.p, q.H = p, floats(hessian, (p, p))
    q.l1, q.ridge = floats(l1, (p,)), floats(ridge, (p,))
    q.lower, q.upper = floats(lower, (p,)), floats(upper, (p,))
    q.x, q.g = writeable_floats(x, (p,)), writeable_floats(gradient, (p,))
    with nogil:
        left = budget
        while True:
            moved, size, n_active = 0.0, 0.0, 0
            for j in range(p):
                moved += move(&q, j)
                if q.x[j] != 0.0:
                    a[n_active] = j
                    n_active += 1
                    size += (q.H[j * p + j] + q.ridge[j]) * q.x[j] * q.x[j]
            left -= p * (n_active + 1)
            goal = enough * size if enough * size > FAINT else FAINT
            if not moved > goal:
                reason = 0
                break
            if left <= 0:
                reason = 2
                break
            before, sweeps = moved, 0
            while True:
                moved, shrank = 0.0, False
                for i in range(n_active):
                    moved += move(&q, a[i])
                    shrank = shrank or q.x[a[i]] == 0.0
                sweeps += 1
                left -= p * n_active
                if not moved > goal or left <= 0:
                    break
                if shrank:
                    n_active = without_zeros(&q, a, n_active)
                if sweeps >= 3 and not shrank:
                    needed = log(goal / moved) / log(moved / before) if moved < before else INFINITY
                    if needed > most + n_active / 8.0:
                        reason = 1
                        break
                before = moved
            if reason == 1:
                break
            if left <= 0:
                reason = 2
                break
    return reason, n_active


cdef Py_ssize_t without_zeros(const Quadratic* q, Py_ssize_t* active, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i, kept = 0
    for i in range(n):
        if q.x[active[i]] != 0.0:
            active[kept] = active[i]
            kept += 1
    return kept


def gradient_of(hessian, linear, x):
    """Return ``H x - b``, from the columns of H where x is not 0."""
    nonzero = np.flatnonzero(x)
    if len(nonzero) * 4 > len(x):
        return hessian @ x - linear
    return x[nonzero] @ hessian[nonzero] - linear
