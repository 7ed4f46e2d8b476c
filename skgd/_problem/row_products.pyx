# cython: language_level=3, cdivision=True
"""Rows in preconditioned coordinates times numbers, of which Hessians and gradients are made."""

from libc.math cimport fabs

from skgd._engine.arrays cimport floats, writeable_floats


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
    cdef Py_ssize_t m = len(rows), d = len(mean), p = len(scale), k = factors.shape[1], i, j, c
    cdef const double* x = floats(rows, (m, d))
    cdef const double* centre = floats(mean, (d,))
    cdef const double* s = floats(scale, (p,))
    cdef const double* f = floats(factors, (m, k))
    cdef double* z = writeable_floats(out, (m, k * p))
    cdef double factor
    if p != d and p != d + 1:
        raise ValueError(f"scale: got {p} numbers for {d} columns; pass as many, or one more.")
    with nogil:
        for i in range(m):
            for c in range(k):
                factor = f[i * k + c]
                for j in range(d):
                    z[j] = (x[j] - centre[j]) * s[j] * factor
                if p > d:
                    z[d] = s[d] * factor
                z += p
            x += d


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
