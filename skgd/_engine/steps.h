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

/* Step w along the row before, w -= A (step before + decay w), and return its product with the next row less
   the mean, which is kept here: one pass over w a row. Rows need not be whole groups: what is left takes half
   a group and single numbers. A row that is read soon is fetched group by group: all at once it would hold
   up long rows. */
#if defined(__GNUC__)
#define SKGD_STEP_PIECE(V, T, A, j, s)                                                     \
    do {                                                                                   \
        V moved = SKGD_AT(V, w, j)                                                         \
                - A(V, j) (step * SKGD_AT(V, before, j) + decay * SKGD_AT(V, w, j));       \
        V kept = SKGD_READ_##T(V, x + (j)) - SKGD_AT(V, mean, j);                          \
        SKGD_AT(V, w, j) = moved;                                                          \
        SKGD_AT(V, here, j) = kept;                                                        \
        s += kept * moved;                                                                 \
    } while (0)
#define SKGD_STEP_IN(V, T, A)                                                              \
    V s[SKGD_PIECES(V)];                                                                   \
    for (int h = 0; h < SKGD_PIECES(V); h++)                                               \
        s[h] = (V){0};                                                                     \
    for (; j + SKGD_LANES <= d; j += SKGD_LANES) {                                         \
        SKGD_PREFETCH(ahead + j * (ptrdiff_t)sizeof(T));                                   \
        for (int h = 0; h < SKGD_PIECES(V); h++)                                           \
            SKGD_STEP_PIECE(V, T, A, j + h * SKGD_LENGTH(V), s[h]);                        \
    }                                                                                      \
    sum = skgd_sum_of_##V(s);
#define SKGD_STEP_GROUPS(T, A)                                                             \
    SKGD_IN_VECTORS(SKGD_STEP_IN, T, A)                                                    \
    if (j + SKGD_LENGTH(skgd_halves) <= d) {                                               \
        skgd_halves s = {0};                                                               \
        SKGD_STEP_PIECE(skgd_halves, T, A, j, s);                                          \
        sum += (s[0] + s[2]) + (s[1] + s[3]);                                              \
        j += SKGD_LENGTH(skgd_halves);                                                     \
    }
#define SKGD_AT(V, x, j) (*(V *)((x) + (j)))
#else
#define SKGD_STEP_GROUPS(T, A)
#define SKGD_AT(V, x, j) (x)[j]
#endif
#define SKGD_WITHOUT_METRIC(V, j)
#define SKGD_IN_METRIC(V, j) SKGD_AT(V, a, j) *

#define SKGD_STEP_ALONG_ROWS(NAME, T, A)                                                   \
    SKGD_CLONES static double skgd_step_##NAME(                                            \
        ptrdiff_t d, const char *next, const double *mean, const double *a, double step,   \
        double decay, double *before, double *here, double *w, const char *ahead)          \
    {                                                                                      \
        const T *x = (const T *)next;                                                      \
        double sum = 0.0;                                                                  \
        ptrdiff_t j = 0;                                                                   \
        (void)a;                                                                           \
        SKGD_PREFETCH(ahead + d * (ptrdiff_t)sizeof(T) - 1);                               \
        SKGD_STEP_GROUPS(T, A)                                                             \
        for (; j < d; j++) {                                                               \
            w[j] -= A(double, j) (step * before[j] + decay * w[j]);                        \
            here[j] = x[j] - mean[j];                                                      \
            sum += here[j] * w[j];                                                         \
        }                                                                                  \
        return sum;                                                                        \
    }

SKGD_STEP_ALONG_ROWS(plain_f64, double, SKGD_WITHOUT_METRIC)
SKGD_STEP_ALONG_ROWS(metric_f64, double, SKGD_IN_METRIC)
SKGD_STEP_ALONG_ROWS(plain_f32, float, SKGD_WITHOUT_METRIC)
SKGD_STEP_ALONG_ROWS(metric_f32, float, SKGD_IN_METRIC)

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
