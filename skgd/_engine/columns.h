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

/* y += a[0] x[0] + a[1] x[1] + a[2] x[2] + a[3] x[3], of columns x: y is read once for four. */
SKGD_CLONES static void skgd_add_four_columns(
    ptrdiff_t n, const double *a, const double *const *x, double *y)
{
    const double *p = x[0], *q = x[1], *r = x[2], *s = x[3];
    const double A = a[0], B = a[1], C = a[2], D = a[3];
    SKGD_SIMD()
    for (ptrdiff_t i = 0; i < n; i++)
        y[i] += (A * p[i] + B * q[i]) + (C * r[i] + D * s[i]);
}

/* out[k] = sum_i x[k]_i r_i of four columns: r is read once, and no sum waits for another. */
SKGD_CLONES static void skgd_four_column_dots(
    ptrdiff_t n, const double *const *x, const double *r, double *out)
{
    const double *p = x[0], *q = x[1], *s = x[2], *t = x[3];
    double P = 0, Q = 0, S = 0, T = 0;
    SKGD_SIMD(reduction(+ : P, Q, S, T))
    for (ptrdiff_t i = 0; i < n; i++) {
        P += p[i] * r[i];
        Q += q[i] * r[i];
        S += s[i] * r[i];
        T += t[i] * r[i];
    }
    out[0] = P, out[1] = Q, out[2] = S, out[3] = T;
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

/* out[l] = sum_e a_e r[8 row_e + l], the same for eight numbers of a row, which lie side by side. */
SKGD_CLONES static void skgd_sparse_column_dots(
    ptrdiff_t m, const ptrdiff_t *row, const double *a, const double *r, double *out)
{
#if defined(__GNUC__)
    skgd_halves s[4] = {0};
    ptrdiff_t e = 0;
    for (; e + 1 < m; e += 2) {
        const double *p = r + SKGD_LANES * row[e], *q = r + SKGD_LANES * row[e + 1];
        s[0] += a[e] * *(const skgd_halves *)p;
        s[1] += a[e] * *(const skgd_halves *)(p + 4);
        s[2] += a[e + 1] * *(const skgd_halves *)q;
        s[3] += a[e + 1] * *(const skgd_halves *)(q + 4);
    }
    if (e < m) {
        s[0] += a[e] * *(const skgd_halves *)(r + SKGD_LANES * row[e]);
        s[1] += a[e] * *(const skgd_halves *)(r + SKGD_LANES * row[e] + 4);
    }
    *(skgd_halves *)out = s[0] + s[2];
    *(skgd_halves *)(out + 4) = s[1] + s[3];
#else
    for (int l = 0; l < SKGD_LANES; l++)
        out[l] = 0.0;
    for (ptrdiff_t e = 0; e < m; e++)
        for (int l = 0; l < SKGD_LANES; l++)
            out[l] += a[e] * r[SKGD_LANES * row[e] + l];
#endif
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
