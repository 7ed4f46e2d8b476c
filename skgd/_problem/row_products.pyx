# cython: language_level=3, cdivision=True
"""Rows in preconditioned coordinates times numbers, of which Hessians and gradients are made."""

import numpy as np

from libc.math cimport fabs, sqrt

from skgd._engine.arrays cimport floats, writeable_floats


cdef inline void scale_row(Py_ssize_t d, Py_ssize_t p, const double* x, const double* centre,
                           const double* scale, double factor, double* z) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(d):
        z[j] = (x[j] - centre[j]) * scale[j] * factor
    if p > d:
        z[d] = scale[d] * factor


def scale_rows(rows, mean, scale, factors, out):
    """Write rows, less the mean, times the scale, times each of their factors.

    Parameters
    ----------
    rows : array of shape (m, d)
    mean : array of shape (d,)
    scale : array of shape (p,)
        p is d, or d + 1 where a column of ones comes last.
    factors : array of shape (m, k)
    out : array of shape (m, k * p)
        Changed in place: the row times its first factor comes first.
    """
    cdef Py_ssize_t m = len(rows), d = len(mean), p = len(scale), k = factors.shape[1], i, c
    cdef const double* x = floats(rows, (m, d))
    cdef const double* centre = floats(mean, (d,))
    cdef const double* s = floats(scale, (p,))
    cdef const double* f = floats(factors, (m, k))
    cdef double* z = writeable_floats(out, (m, k * p))
    if p != d and p != d + 1:
        raise ValueError(f"scale: got {p} numbers for {d} columns; pass as many, or one more.")
    with nogil:
        for i in range(m):
            for c in range(k):
                scale_row(d, p, x, centre, s, f[i * k + c], z)
                z += p
            x += d


def weigh_rows(rows, mean, scale, shares, numbers, out):
    """Write rows, less the mean, times the scale, times the roots of their weights' sizes.

    Parameters
    ----------
    rows : array of shape (m, d)
    mean : array of shape (d,)
    scale : array of shape (p,)
        As for `scale_rows`.
    shares, numbers : array of shape (m,)
        Whose products are the weights.
    out : array of shape (m, p)
        Changed in place.

    Returns
    -------
    bool
        Whether no weight is below 0.
    """
    cdef Py_ssize_t m = len(rows), d = len(mean), p = len(scale), i
    cdef const double* x = floats(rows, (m, d))
    cdef const double* centre = floats(mean, (d,))
    cdef const double* s = floats(scale, (p,))
    cdef const double* share = floats(shares, (m,))
    cdef const double* number = floats(numbers, (m,))
    cdef double* z = writeable_floats(out, (m, p))
    cdef double weight
    cdef bint is_positive = True
    if p != d and p != d + 1:
        raise ValueError(f"scale: got {p} numbers for {d} columns; pass as many, or one more.")
    with nogil:
        for i in range(m):
            weight = share[i] * number[i]
            is_positive = is_positive and not weight < 0.0
            scale_row(d, p, x, centre, s, sqrt(fabs(weight)), z)
            z += p
            x += d
    return is_positive


def softmax_factors(probabilities, shares):
    """Return by what rows are multiplied for the two parts of a softmax's Hessian.

    Parameters
    ----------
    probabilities : array of shape (m, k)
    shares : array of shape (m,)

    Returns
    -------
    own, joint : arrays of shape (m, k)
        The roots of the share times ``p_c (1 - p_c)``, and that of the share times ``p_c``.
    """
    cdef Py_ssize_t m = len(probabilities), k = probabilities.shape[1], i, c, other
    own, joint = np.empty((2, m, k))
    cdef const double* p = floats(probabilities, (m, k))
    cdef const double* share = floats(shares, (m,))
    cdef double* of_own = writeable_floats(own, (m, k))
    cdef double* of_joint = writeable_floats(joint, (m, k))
    cdef double root, others
    with nogil:
        for i in range(m):
            root = sqrt(share[i])
            for c in range(k):
                # Sums over the other classes: a difference from 1 would have fewer digits.
                others = 0.0
                for other in range(k):
                    if other != c:
                        others += p[other]
                of_own[c] = sqrt(p[c] * others) * root
                of_joint[c] = p[c] * root
            p += k
            of_own += k
            of_joint += k
    return own, joint


def add_centred_products(rows, mean, numbers, sums, sizes):
    """Add centred rows, each times its number, to sums, and their absolute values to sizes.

    Parameters
    ----------
    rows : array of shape (m, d)
    mean : array of shape (d,)
    numbers : array of shape (m,)
    sums : array of shape (d,)
        Changed in place.
    sizes : array of shape (d,) or None
        Changed in place.
    """
    cdef Py_ssize_t m = len(rows), d = len(mean), i, j
    cdef const double* x = floats(rows, (m, d))
    cdef const double* centre = floats(mean, (d,))
    cdef const double* number = floats(numbers, (m,))
    cdef double* total = writeable_floats(sums, (d,))
    cdef double* size = NULL
    cdef double product
    if sizes is not None:
        size = writeable_floats(sizes, (d,))
    with nogil:
        for i in range(m):
            if size == NULL:
                for j in range(d):
                    total[j] += (x[j] - centre[j]) * number[i]
            else:
                for j in range(d):
                    product = (x[j] - centre[j]) * number[i]
                    total[j] += product
                    size[j] += fabs(product)
            x += d
