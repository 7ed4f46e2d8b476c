/* Columns of X against numbers of the rows. */
#ifndef SKGD_COLUMNS_H
#define SKGD_COLUMNS_H

#include "vector.h"

/* sum_i a_i r_i */
SKGD_CLONES static double skgd_column_dot(ptrdiff_t n, const double *a, const double *r)
{
    double s = 0;
    SKGD_SIMD(reduction(+ : s))
    for (ptrdiff_t i = 0; i < n; i++)
        s += a[i] * r[i];
    return s;
}

/* r_i += step h_i a_i */
SKGD_CLONES static void skgd_column_add(
    ptrdiff_t n, double step, const double *a, const double *h, double *r)
{
    SKGD_SIMD()
    for (ptrdiff_t i = 0; i < n; i++)
        r[i] += step * h[i] * a[i];
}

/* The sums of h_i a_i and of h_i a_i^2. */
SKGD_CLONES static void skgd_column_moments(
    ptrdiff_t n, const double *a, const double *h, double *first, double *second)
{
    double s = 0, t = 0;
    SKGD_SIMD(reduction(+ : s, t))
    for (ptrdiff_t i = 0; i < n; i++) {
        s += h[i] * a[i];
        t += h[i] * a[i] * a[i];
    }
    *first = s;
    *second = t;
}

/* The same for a column of m numbers in the given rows, all others being 0. */
SKGD_CLONES static double skgd_sparse_column_dot(
    ptrdiff_t m, const ptrdiff_t *row, const double *a, const double *r)
{
    double s = 0, t = 0;
    ptrdiff_t e = 0;
    for (; e + 1 < m; e += 2) {
        s += a[e] * r[row[e]];
        t += a[e + 1] * r[row[e + 1]];
    }
    return s + t + (e < m ? a[e] * r[row[e]] : 0.0);
}

SKGD_CLONES static void skgd_sparse_column_add(
    ptrdiff_t m, double step, const ptrdiff_t *row, const double *a, const double *h, double *r)
{
    for (ptrdiff_t e = 0; e < m; e++)
        r[row[e]] += step * h[row[e]] * a[e];
}

SKGD_CLONES static void skgd_sparse_column_moments(
    ptrdiff_t m, const ptrdiff_t *row, const double *a, const double *h, double *first,
    double *second)
{
    double s = 0, t = 0;
    for (ptrdiff_t e = 0; e < m; e++) {
        s += h[row[e]] * a[e];
        t += h[row[e]] * a[e] * a[e];
    }
    *first = s;
    *second = t;
}

#endif
