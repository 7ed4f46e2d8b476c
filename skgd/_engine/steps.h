/* Update steps along single rows, and the metric in which steps are taken. */
#ifndef SKGD_STEPS_H
#define SKGD_STEPS_H

#include "rows.h"

/* A step along the change of a row's gradient plus the mean gradient G of the table, which takes a share of
   the change in; w -= rate A (change x + mean_weight G + l2 w). */
SKGD_CLONES static void skgd_variance_reduced_step(
    ptrdiff_t d, const double *x, const double *a, double rate, double change, double mean_weight,
    double row_share, double l2, double *mean_gradient, double *w)
{
    SKGD_SIMD()
    for (ptrdiff_t j = 0; j < d; j++) {
        double change_j = change * x[j];
        w[j] -= rate * a[j] * (change_j + mean_weight * mean_gradient[j] + l2 * w[j]);
        mean_gradient[j] += row_share * change_j;
    }
}

/* Step w along the row before, w -= A (step before + decay w), while the loss's derivative at the row
   here is on its way; p and q make the margin of the next row after the step along this one, p - rate c q.
   Buffers have room for whole groups of lanes, filled up with zeros. A row that is read soon, whose
   numbers have `size` bytes and whose last byte is at `last`, is fetched group by group: all at once it would hold up long rows. */
#if defined(__GNUC__)
#define SKGD_AT(x) (*(piece *)(x + i))
#define SKGD_STEP_GROUP(A, p, q)                                                           \
    SKGD_PREFETCH(ahead + j * size);                                                       \
    for (int h = 0; h < SKGD_PIECES(piece); h++) {                                         \
        ptrdiff_t i = j + h * SKGD_LENGTH(piece);                                          \
        piece moved = SKGD_AT(w) - A (step * SKGD_AT(before) + decay * SKGD_AT(w));        \
        SKGD_AT(w) = moved;                                                                \
        p[h] += SKGD_AT(next) * (moved - next_decay * (A moved));                          \
        q[h] += SKGD_AT(next) * (A SKGD_AT(here));                                         \
    }
#define SKGD_STEP_IN(V, A)                                                                 \
    typedef V piece;                                                                       \
    piece p0[SKGD_PIECES(V)], p1[SKGD_PIECES(V)], q0[SKGD_PIECES(V)], q1[SKGD_PIECES(V)];  \
    ptrdiff_t j = 0;                                                                       \
    for (int h = 0; h < SKGD_PIECES(V); h++)                                               \
        p0[h] = p1[h] = q0[h] = q1[h] = (V){0};                                            \
    for (; j + SKGD_LANES < d; j += SKGD_LANES) {                                          \
        SKGD_STEP_GROUP(A, p0, q0)                                                         \
        j += SKGD_LANES;                                                                   \
        SKGD_STEP_GROUP(A, p1, q1)                                                         \
    }                                                                                      \
    if (j < d) {                                                                           \
        SKGD_STEP_GROUP(A, p0, q0)                                                         \
    }                                                                                      \
    for (int h = 0; h < SKGD_PIECES(V); h++)                                               \
        p0[h] += p1[h], q0[h] += q1[h];                                                    \
    *p = skgd_sum_of_##V(p0), *q = skgd_sum_of_##V(q0);
#define SKGD_STEP_BODY(A) SKGD_IN_VECTORS(SKGD_STEP_IN, A)
#else
#define SKGD_AT(x) x[j]
#define SKGD_STEP_BODY(A)                                                                  \
    *p = *q = 0;                                                                           \
    for (ptrdiff_t j = 0; j < d; j++) {                                                    \
        double moved = w[j] - A (step * before[j] + decay * w[j]);                         \
        w[j] = moved;                                                                      \
        *p += next[j] * (moved - next_decay * (A moved));                                  \
        *q += next[j] * (A here[j]);                                                       \
    }
#endif

#define SKGD_STEP_BEHIND(NAME, A)                                                          \
    SKGD_CLONES static void skgd_step_behind_##NAME(                                       \
        ptrdiff_t d, double *before, double *here, double *next, double *a, double step,   \
        double decay, double next_decay, double *w, double *p, double *q,                  \
        const char *ahead, ptrdiff_t size, ptrdiff_t last)                                 \
    {                                                                                      \
        (void)a;                                                                           \
        SKGD_PREFETCH(ahead + last);                                                       \
        SKGD_STEP_BODY(A)                                                                  \
    }

SKGD_STEP_BEHIND(plain, 1.0 *)
SKGD_STEP_BEHIND(metric, SKGD_AT(a) *)

/* g = (g - sum * mean + l2 * u * inverse) * inverse * unit: a loss's gradient for raw columns becomes the
   objective's for centred and scaled columns. */
SKGD_CLONES static void skgd_to_metric(
    ptrdiff_t d, double sum, const double *mean, double l2, const double *u, const double *inverse,
    double unit, double *g)
{
    SKGD_SIMD()
    for (ptrdiff_t j = 0; j < d; j++)
        g[j] = (g[j] - sum * mean[j] + l2 * (u[j] * inverse[j])) * (inverse[j] * unit);
}

/* w = u * inverse; returns mean . w. */
SKGD_CLONES static double skgd_from_metric(
    ptrdiff_t d, const double *u, const double *inverse, const double *mean, double *w)
{
    double s = 0;
    SKGD_SIMD(reduction(+ : s))
    for (ptrdiff_t j = 0; j < d; j++) {
        double wj = u[j] * inverse[j];
        w[j] = wj;
        s += mean[j] * wj;
    }
    return s;
}

/* g += extra * inverse */
SKGD_CLONES static void skgd_add_scaled(
    ptrdiff_t d, const double *extra, const double *inverse, double *g)
{
    for (ptrdiff_t j = 0; j < d; j++)
        g[j] += extra[j] * inverse[j];
}

/* average += weight * (u - average) */
SKGD_CLONES static void skgd_average(ptrdiff_t d, double weight, const double *u, double *average)
{
    for (ptrdiff_t j = 0; j < d; j++)
        average[j] += weight * (u[j] - average[j]);
}

#endif
