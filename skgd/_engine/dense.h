/* Rows of a dense matrix: products with coefficients, sums, moments, copies. */
#ifndef SKGD_DENSE_H
#define SKGD_DENSE_H

#include "rows.h"

/* Whether rows of some bytes are better read one after another than four side by side. In their order from
   memory, passes took this share of the time one after another: .93 for 20 doubles, 1.03 for 30, .86 for
   50, .62 for 100, .79 for 200, .96 for 400, 1.05 for 600, 1.21 for 1000; from the nearest cache, 1.1 each. */
#define SKGD_BY_ROW(bytes) ((bytes) > 256 && (bytes) < 4096)

/* z[i] = rows[i] . w for m rows, and g[j] += sum_i c[i] rows[i][j], four rows at a time; fewer are filled
   up with copies of the last one, which do not count. The numbers behind the last whole group of lanes
   are read as the end of a group that overlaps the one before, with weights of zero for the overlap. */
#if defined(__GNUC__)
#define SKGD_ROW(i) rows[(i) < m ? (i) : m - 1]
#define SKGD_DOT_FOUR(V, T, from, with)                                                    \
    for (int h = 0; h < SKGD_PIECES(V); h++) {                                             \
        v = *(const V *)((with) + h * SKGD_LENGTH(V));                                     \
        for (int r = 0; r < 4; r++)                                                        \
            s[r][h] += SKGD_READ_##T(V, x[r] + (from) + h * SKGD_LENGTH(V)) * v;           \
    }
#define SKGD_DOT_GROUP(V, T, s, from, with)                                                \
    for (int h = 0; h < SKGD_PIECES(V); h++)                                               \
        s[h] += SKGD_READ_##T(V, x + (from) + h * SKGD_LENGTH(V))                          \
              * *(const V *)((with) + h * SKGD_LENGTH(V));
/* One row after another. */
#define SKGD_DOT_ROWS(V, T)                                                                \
    for (ptrdiff_t i = 0; i < m; i++) {                                                    \
        const T *x = (const T *)rows[i];                                                   \
        V s0[SKGD_PIECES(V)], s1[SKGD_PIECES(V)];                                          \
        ptrdiff_t j = 0;                                                                   \
        if (i % 4 == 0)                                                                    \
            skgd_prefetch_queued(queue);                                                   \
        for (int h = 0; h < SKGD_PIECES(V); h++)                                           \
            s0[h] = s1[h] = (V){0};                                                        \
        for (; j + SKGD_LANES < whole; j += 2 * SKGD_LANES) {                              \
            SKGD_DOT_GROUP(V, T, s0, j, w + j)                                             \
            SKGD_DOT_GROUP(V, T, s1, j + SKGD_LANES, w + j + SKGD_LANES)                   \
        }                                                                                  \
        if (j < whole)                                                                     \
            SKGD_DOT_GROUP(V, T, s0, j, w + j)                                             \
        if (whole < d && end > 0)                                                          \
            SKGD_DOT_GROUP(V, T, s1, end, last)                                            \
        for (int h = 0; h < SKGD_PIECES(V); h++)                                           \
            s0[h] += s1[h];                                                                \
        z[i] = skgd_sum_of_##V(s0);                                                        \
        for (ptrdiff_t l = 0; l < d && end < 0; l++)                                       \
            z[i] += x[l] * w[l];                                                           \
    }
#define SKGD_DOT_ROWS_BY_FOURS(V, T)                                                       \
    for (ptrdiff_t i = 0; i < m; i += 4) {                                                 \
        const T *x[4];                                                                     \
        double sums[4];                                                                    \
        V s[4][SKGD_PIECES(V)], v;                                                         \
        skgd_prefetch_queued(queue);                                                       \
        for (int r = 0; r < 4; r++) {                                                      \
            x[r] = (const T *)SKGD_ROW(i + r);                                             \
            for (int h = 0; h < SKGD_PIECES(V); h++)                                       \
                s[r][h] = (V){0};                                                          \
        }                                                                                  \
        for (ptrdiff_t j = 0; j < whole; j += SKGD_LANES)                                  \
            SKGD_DOT_FOUR(V, T, j, w + j)                                                  \
        if (whole < d)                                                                     \
            SKGD_DOT_FOUR(V, T, end, last)                                                 \
        skgd_four_sums_of_##V((const V *)s, sums);                                         \
        for (ptrdiff_t r = 0; r < 4 && i + r < m; r++)                                     \
            z[i + r] = sums[r];                                                            \
    }
#define SKGD_DOT_IN(V, T)                                                                  \
    double last[SKGD_LANES];                                                               \
    ptrdiff_t whole = d - d % SKGD_LANES, end = d - SKGD_LANES;                            \
    for (ptrdiff_t l = 0; l < SKGD_LANES && end > 0; l++)                                  \
        last[l] = end + l < whole ? 0.0 : w[end + l];                                      \
    if (end < 0 || SKGD_BY_ROW(d * (ptrdiff_t)sizeof(T))) {                                \
        SKGD_DOT_ROWS(V, T)                                                                \
    } else {                                                                               \
        SKGD_DOT_ROWS_BY_FOURS(V, T)                                                       \
    }
#define SKGD_FOUR_TERMS(V, T, j)                                                           \
    ((a[0] * SKGD_READ_##T(V, x[0] + (j)) + a[1] * SKGD_READ_##T(V, x[1] + (j)))           \
     + (a[2] * SKGD_READ_##T(V, x[2] + (j)) + a[3] * SKGD_READ_##T(V, x[3] + (j))))
#define SKGD_ADD_IN(V, T)                                                                  \
    double keep[SKGD_LANES];                                                               \
    ptrdiff_t whole = d - d % SKGD_LANES, end = d - SKGD_LANES;                            \
    for (ptrdiff_t l = 0; l < SKGD_LANES; l++)                                             \
        keep[l] = end + l < whole ? 0.0 : 1.0;                                             \
    for (ptrdiff_t i = 0; i < m; i += 4) {                                                 \
        const T *x[4];                                                                     \
        double a[4];                                                                       \
        skgd_prefetch_queued(queue);                                                       \
        for (int r = 0; r < 4; r++) {                                                      \
            x[r] = (const T *)SKGD_ROW(i + r);                                             \
            a[r] = i + r < m ? c[i + r] : 0.0;                                             \
        }                                                                                  \
        for (ptrdiff_t j = 0; j < whole; j += SKGD_LENGTH(V))                              \
            *(V *)(g + j) += SKGD_FOUR_TERMS(V, T, j);                                     \
        for (ptrdiff_t l = 0; l < SKGD_LANES && whole < d && end > 0; l += SKGD_LENGTH(V)) \
            *(V *)(g + end + l) += *(V *)(keep + l) * SKGD_FOUR_TERMS(V, T, end + l);      \
        for (ptrdiff_t j = 0; j < d && end < 0; j++)                                       \
            g[j] += (a[0] * x[0][j] + a[1] * x[1][j]) + (a[2] * x[2][j] + a[3] * x[3][j]); \
    }
#define SKGD_DOT(T) SKGD_IN_VECTORS(SKGD_DOT_IN, T)
#define SKGD_ADD(T) SKGD_IN_VECTORS(SKGD_ADD_IN, T)
#else
#define SKGD_DOT(T)                                                                        \
    for (ptrdiff_t i = 0; i < m; i++) {                                                    \
        z[i] = 0;                                                                          \
        for (ptrdiff_t j = 0; j < d; j++)                                                  \
            z[i] += ((const T *)rows[i])[j] * w[j];                                        \
    }                                                                                      \
    (void)queue;
#define SKGD_ADD(T)                                                                        \
    for (ptrdiff_t i = 0; i < m; i++)                                                      \
        for (ptrdiff_t j = 0; j < d; j++)                                                  \
            g[j] += c[i] * ((const T *)rows[i])[j];                                        \
    (void)queue;
#endif

#define SKGD_DENSE(T, NAME)                                                                \
    SKGD_CLONES static void skgd_dot_##NAME(                                               \
        const char **rows, ptrdiff_t m, ptrdiff_t d, const double *w, double *z,           \
        skgd_prefetch_queue *queue)                                                        \
    {                                                                                      \
        SKGD_DOT(T)                                                                        \
    }                                                                                      \
    SKGD_CLONES static void skgd_add_##NAME(                                               \
        const char **rows, ptrdiff_t m, ptrdiff_t d, const double *c, double *g,           \
        skgd_prefetch_queue *queue)                                                        \
    {                                                                                      \
        SKGD_ADD(T)                                                                        \
    }                                                                                      \
    SKGD_CLONES static void skgd_pack_##NAME(                                              \
        const char **rows, ptrdiff_t m, ptrdiff_t d, ptrdiff_t stride,                     \
        ptrdiff_t out_stride, double *out)                                                 \
    {                                                                                      \
        if (stride == sizeof(T)) {                                                         \
            for (ptrdiff_t i = 0; i < m; i++)                                              \
                for (ptrdiff_t j = 0; j < d; j++)                                          \
                    out[i * out_stride + j] = ((const T *)rows[i])[j];                     \
            return;                                                                        \
        }                                                                                  \
        for (ptrdiff_t j = 0; j < d; j++)                                                  \
            for (ptrdiff_t i = 0; i < m; i++)                                              \
                out[i * out_stride + j] = *(const T *)(rows[i] + j * stride);              \
    }

/* Single rows, taken into aligned and padded buffers in which every loop is whole vectors. */
#define SKGD_LOAD_ROW(T, NAME)                                                             \
    SKGD_CLONES static void skgd_load_row_##NAME(                                          \
        const char *row, ptrdiff_t d, const double *mean, double *out)                     \
    {                                                                                      \
        const T *x = (const T *)row;                                                       \
        SKGD_SIMD()                                                                        \
        for (ptrdiff_t j = 0; j < d; j++)                                                  \
            out[j] = x[j] - mean[j];                                                       \
    }

SKGD_LOAD_ROW(double, f64)
SKGD_LOAD_ROW(float, f32)

/* Merge a block of rows into running weighted means and sums of squared deviations in one pass over it: with
   first and second the sums of the deviations from the means so far and of their squares, and total the
   weight with the block's, the means move by first / total, and second - first^2 / total joins the sums (Chan,
   Golub and LeVeque, 1983). The first block is read once more before, for its means. weight is the weight of
   what was merged before; s may be NULL. Returns the weight of the block. */
#define SKGD_MOMENTS(T, NAME)                                                              \
    SKGD_CLONES static double skgd_moments_##NAME(                                         \
        const char **rows, ptrdiff_t m, ptrdiff_t d, const double *s, double weight,       \
        double *mean, double *deviation, double *first)                                    \
    {                                                                                      \
        double block = 0.0, share;                                                         \
        for (ptrdiff_t i = 0; i < m; i++)                                                  \
            block += s ? s[i] : 1.0;                                                       \
        if (block <= 0.0)                                                                  \
            return 0.0;                                                                    \
        for (ptrdiff_t i = 0; i < m && weight == 0.0; i++) {                               \
            const T *a = (const T *)rows[i];                                               \
            share = (s ? s[i] : 1.0) / block;                                              \
            SKGD_SIMD()                                                                    \
            for (ptrdiff_t j = 0; j < d; j++)                                              \
                mean[j] += share * a[j];                                                   \
        }                                                                                  \
        memset(first, 0, d * sizeof *first);                                               \
        for (ptrdiff_t i = 0; i < m; i++) {                                                \
            const T *a = (const T *)rows[i];                                               \
            double si = s ? s[i] : 1.0;                                                    \
            SKGD_SIMD()                                                                    \
            for (ptrdiff_t j = 0; j < d; j++) {                                            \
                double change = a[j] - mean[j], weighted = si * change;                    \
                first[j] += weighted;                                                      \
                deviation[j] += weighted * change;                                         \
            }                                                                              \
        }                                                                                  \
        share = 1.0 / (weight + block);                                                    \
        SKGD_SIMD()                                                                        \
        for (ptrdiff_t j = 0; j < d; j++) {                                                \
            double change = share * first[j];                                              \
            double rest = deviation[j] - first[j] * change;                                \
            /* By rounding a sum may fall below zero; what is no number stays so. */       \
            deviation[j] = rest < 0.0 ? 0.0 : rest;                                        \
            mean[j] += change;                                                             \
        }                                                                                  \
        return block;                                                                      \
    }

SKGD_MOMENTS(double, f64)
SKGD_MOMENTS(float, f32)

SKGD_DENSE(double, f64)
SKGD_DENSE(float, f32)

#endif
