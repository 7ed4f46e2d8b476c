/* Single dense rows: products with coefficients, sums, squared lengths. Four parts of a row are summed side
   by side, so that no sum waits for the one before. */
#ifndef SKGD_DUAL_H
#define SKGD_DUAL_H

#include "vector.h"

#define SKGD_SINGLE_ROW(T, NAME)                                                           \
    SKGD_CLONES static double skgd_row_dot_##NAME(                                         \
        ptrdiff_t d, const void *row, const double *w)                                     \
    {                                                                                      \
        const T *x = (const T *)row;                                                       \
        ptrdiff_t q = d / 4;                                                               \
        double s0 = 0, s1 = 0, s2 = 0, s3 = 0;                                             \
        SKGD_SIMD(reduction(+ : s0, s1, s2, s3))                                           \
        for (ptrdiff_t j = 0; j < q; j++) {                                                \
            s0 += x[j] * w[j];                                                             \
            s1 += x[q + j] * w[q + j];                                                     \
            s2 += x[2 * q + j] * w[2 * q + j];                                             \
            s3 += x[3 * q + j] * w[3 * q + j];                                             \
        }                                                                                  \
        for (ptrdiff_t j = 4 * q; j < d; j++)                                              \
            s0 += x[j] * w[j];                                                             \
        return (s0 + s2) + (s1 + s3);                                                      \
    }                                                                                      \
    SKGD_CLONES static double skgd_row_square_##NAME(ptrdiff_t d, const void *row)         \
    {                                                                                      \
        const T *x = (const T *)row;                                                       \
        double s = 0;                                                                      \
        SKGD_SIMD(reduction(+ : s))                                                        \
        for (ptrdiff_t j = 0; j < d; j++)                                                  \
            s += (double)x[j] * x[j];                                                      \
        return s;                                                                          \
    }                                                                                      \
    SKGD_CLONES static void skgd_row_add_##NAME(                                           \
        ptrdiff_t d, const void *row, double c, double *v)                                 \
    {                                                                                      \
        const T *x = (const T *)row;                                                       \
        SKGD_SIMD()                                                                        \
        for (ptrdiff_t j = 0; j < d; j++)                                                  \
            v[j] += c * x[j];                                                              \
    }

SKGD_SINGLE_ROW(double, f64)
SKGD_SINGLE_ROW(float, f32)

#endif
