# cython: language_level=3, cdivision=True
"""Cyclic coordinate descent on a quadratic with l1 and bounds.

Coordinate j goes to its own minimum, ``x_j = clip(soft(x_j - g_j / H_jj, l1_j / H_jj))``, with the
gradient ``g = H x + c`` updated by a column of H.

References
----------
Friedman, Hastie and Tibshirani, Regularization paths for generalized linear models via coordinate
descent, 2010.
"""

from skgd._engine.arrays cimport floats, writeable_floats

cdef extern from "../_engine/vector.h" nogil:
    void skgd_axpy(Py_ssize_t n, double a, const double* x, double* y)


def sweep_coordinates(hessian, l1, lower, upper, x, gradient, *, n_sweeps, tol):
    """Minimise ``x' H x / 2 + c' x + sum_j l1_j |x_j|`` within bounds, one coordinate at a time.

    Parameters
    ----------
    hessian : array of shape (p, p)
        H, symmetric; a coordinate without curvature stays.
    l1, lower, upper : array of shape (p,)
    x : array of shape (p,)
        Within the bounds; changed in place.
    gradient : array of shape (p,)
        ``H x + c``; changed in place.
    n_sweeps : int
    tol : float
        A sweep that moves x by no more, squared and measured by H's diagonal, is the last.

    Returns
    -------
    float
        How far the last sweep moved x.
    """
    cdef Py_ssize_t p = len(x), j, left = n_sweeps
    cdef const double* H = floats(hessian, (p, p))
    cdef const double* a = floats(l1, (p,))
    cdef const double* low = floats(lower, (p,))
    cdef const double* high = floats(upper, (p,))
    cdef double* w = writeable_floats(x, (p,))
    cdef double* g = writeable_floats(gradient, (p,))
    cdef double goal = tol, moved = 0.0, curvature, best, move
    with nogil:
        while left > 0:
            left -= 1
            moved = 0.0
            for j in range(p):
                curvature = H[j * p + j]
                if not curvature > 0.0:
                    continue
                best = w[j] - g[j] / curvature
                if best > a[j] / curvature:
                    best -= a[j] / curvature
                elif best < -a[j] / curvature:
                    best += a[j] / curvature
                else:
                    best = 0.0
                best = low[j] if best < low[j] else best
                best = high[j] if best > high[j] else best
                move = best - w[j]
                if move != 0.0:
                    w[j] = best
                    skgd_axpy(p, move, H + j * p, g)
                    moved += curvature * move * move
            if not moved > goal:
                break
    return moved
