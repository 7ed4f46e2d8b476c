/* Rows of a CSR matrix, of all types of numbers and column numbers. */
#ifndef SKGD_SPARSE_H
#define SKGD_SPARSE_H

#include "rows.h"

/* square adds up the numbers of each column and their squares, and spread those of chosen columns about the
   first number of each. Sums are fetched ahead, up to the number at `end`: for 2 million numbers in 100 000
   columns spread took 9 ms instead of 34, and square takes two thirds of it. */
#define SKGD_SUMS_AHEAD 24
#define SKGD_CSR(T, I, NAME)                                                               \
    SKGD_CLONES static double skgd_csr_dot_##NAME(                                         \
        const void *data, const void *indices, ptrdiff_t start, ptrdiff_t stop,            \
        const double *w)                                                                   \
    {                                                                                      \
        const T *x = (const T *)data;                                                      \
        const I *column = (const I *)indices;                                              \
        double s0 = 0, s1 = 0, s2 = 0, s3 = 0;                                             \
        ptrdiff_t k = start;                                                               \
        for (; k + 4 <= stop; k += 4) {                                                    \
            s0 += x[k] * w[column[k]];                                                     \
            s1 += x[k + 1] * w[column[k + 1]];                                             \
            s2 += x[k + 2] * w[column[k + 2]];                                             \
            s3 += x[k + 3] * w[column[k + 3]];                                             \
            SKGD_ONE_BY_ONE;                                                               \
        }                                                                                  \
        for (; k < stop; k++)                                                              \
            s0 += x[k] * w[column[k]];                                                     \
        return (s0 + s2) + (s1 + s3);                                                      \
    }                                                                                      \
    SKGD_CLONES static void skgd_csr_add_##NAME(                                           \
        const void *data, const void *indices, ptrdiff_t start, ptrdiff_t stop, double c,  \
        double *g)                                                                         \
    {                                                                                      \
        const T *x = (const T *)data;                                                      \
        const I *column = (const I *)indices;                                              \
        for (ptrdiff_t k = start; k < stop; k++)                                           \
            g[column[k]] += c * x[k];                                                      \
    }                                                                                      \
    static void skgd_csr_square_##NAME(                                                    \
        const void *data, const void *indices, ptrdiff_t start, ptrdiff_t stop,            \
        ptrdiff_t end, double weight, double *sums)                                        \
    {                                                                                      \
        const T *x = (const T *)data;                                                      \
        const I *column = (const I *)indices;                                              \
        for (ptrdiff_t k = start; k < stop; k++) {                                         \
            double *sum = sums + 2 * (ptrdiff_t)column[k], number = x[k];                  \
            ptrdiff_t later = k + SKGD_SUMS_AHEAD < end ? k + SKGD_SUMS_AHEAD : k;         \
            SKGD_PREFETCH((const char *)(sums + 2 * (ptrdiff_t)column[later]));            \
            sum[0] += weight * number;                                                     \
            sum[1] += weight * number * number;                                            \
        }                                                                                  \
    }                                                                                      \
    static void skgd_csr_spread_##NAME(                                                    \
        const void *data, const void *indices, ptrdiff_t start, ptrdiff_t stop,            \
        ptrdiff_t end, double weight, const char *chosen, skgd_column_sums *sums)          \
    {                                                                                      \
        const T *x = (const T *)data;                                                      \
        const I *column = (const I *)indices;                                              \
        for (ptrdiff_t k = start; k < stop; k++) {                                         \
            skgd_column_sums *sum = sums + column[k];                                      \
            double away;                                                                   \
            ptrdiff_t later = k + SKGD_SUMS_AHEAD < end ? k + SKGD_SUMS_AHEAD : k;         \
            if (!chosen[column[k]])                                                        \
                continue;                                                                  \
            SKGD_PREFETCH((const char *)(sums + column[later]));                           \
            sum->origin += (sum->weight == 0) * (x[k] - sum->origin);                      \
            away = x[k] - sum->origin;                                                     \
            sum->weight += weight;                                                         \
            sum->first += weight * away;                                                   \
            sum->second += weight * away * away;                                           \
        }                                                                                  \
    }

SKGD_CSR(double, int32_t, f64_i32)
SKGD_CSR(double, int64_t, f64_i64)
SKGD_CSR(float, int32_t, f32_i32)
SKGD_CSR(float, int64_t, f32_i64)

/* Products of a row with many outputs, whose numbers for a column are side by side: `k` of them, in whole
   groups, of which the first is on a cache line. Those of the row's columns are fetched ahead by
   skgd_csr_fetch. */
#if defined(__GNUC__)
#define SKGD_CSR_TILE(V, GROUPS)                                                           \
    for (; c + (GROUPS) * SKGD_LANES <= k; c += (GROUPS) * SKGD_LANES) {                   \
        V s[(GROUPS) * SKGD_PIECES(V)];                                                    \
        for (int q = 0; q < (GROUPS) * SKGD_PIECES(V); q++)                                \
            s[q] = (V){0};                                                                 \
        for (ptrdiff_t e = start; e < stop; e++) {                                         \
            const double *v = w + column[e] * k + c;                                       \
            for (int q = 0; q < (GROUPS) * SKGD_PIECES(V); q++)                            \
                s[q] += (double)x[e] * *(const V *)(v + SKGD_LENGTH(V) * q);               \
        }                                                                                  \
        memcpy(z + c, s, sizeof s);                                                        \
    }
#define SKGD_CSR_TILES(V, c)                                                               \
    SKGD_CSR_TILE(V, 4)                                                                    \
    SKGD_CSR_TILE(V, 2)                                                                    \
    SKGD_CSR_TILE(V, 1)
#define SKGD_CSR_OUTPUTS(V, e)                                                             \
    for (; e < stop; e++)                                                                  \
        for (ptrdiff_t c = 0; c < k; c += SKGD_LENGTH(V))                                  \
            *(V *)(g + column[e] * k + c) += (double)x[e] * *(const V *)(dz + c);
#else
#define SKGD_CSR_TILES(V, c)                                                               \
    for (; c < k; c++) {                                                                   \
        z[c] = 0.0;                                                                        \
        for (ptrdiff_t e = start; e < stop; e++)                                           \
            z[c] += x[e] * w[column[e] * k + c];                                           \
    }
#define SKGD_CSR_OUTPUTS(V, e)                                                             \
    for (; e < stop; e++)                                                                  \
        for (ptrdiff_t c = 0; c < k; c++)                                                  \
            g[column[e] * k + c] += x[e] * dz[c];
#endif

#define SKGD_CSR_MANY(T, I, NAME)                                                          \
    static void skgd_csr_fetch_##NAME(                                                     \
        const void *indices, ptrdiff_t start, ptrdiff_t stop, ptrdiff_t k, const double *w) \
    {                                                                                      \
        const I *column = (const I *)indices;                                              \
        for (ptrdiff_t e = start; e < stop; e++)                                           \
            for (ptrdiff_t c = 0; c < k; c += SKGD_LANES)                                  \
                SKGD_PREFETCH((const char *)(w + column[e] * k + c));                      \
        SKGD_ONE_BY_ONE;                                                                   \
    }                                                                                      \
    SKGD_CLONES static void skgd_csr_margins_##NAME(                                       \
        const void *data, const void *indices, ptrdiff_t start, ptrdiff_t stop,            \
        ptrdiff_t k, const double *w, double *z)                                           \
    {                                                                                      \
        const T *x = (const T *)data;                                                      \
        const I *column = (const I *)indices;                                              \
        ptrdiff_t c = 0;                                                                   \
        SKGD_IN_VECTORS(SKGD_CSR_TILES, c)                                                 \
    }                                                                                      \
    SKGD_CLONES static void skgd_csr_gradients_##NAME(                                     \
        const void *data, const void *indices, ptrdiff_t start, ptrdiff_t stop,            \
        ptrdiff_t k, const double *dz, double *g)                                          \
    {                                                                                      \
        const T *x = (const T *)data;                                                      \
        const I *column = (const I *)indices;                                              \
        ptrdiff_t e = start;                                                               \
        SKGD_IN_VECTORS(SKGD_CSR_OUTPUTS, e)                                               \
    }

SKGD_CSR_MANY(double, int32_t, f64_i32)
SKGD_CSR_MANY(double, int64_t, f64_i64)
SKGD_CSR_MANY(float, int32_t, f32_i32)
SKGD_CSR_MANY(float, int64_t, f32_i64)

/* Where the numbers of a batch go that is cut into tiles, which are `stride` segments apart. */
#define SKGD_CUT(T, I, NAME)                                                               \
    static void skgd_count_##NAME(                                                         \
        const void *indices, ptrdiff_t start, ptrdiff_t stop, ptrdiff_t stride,            \
        ptrdiff_t *count)                                                                  \
    {                                                                                      \
        for (ptrdiff_t k = start; k < stop; k++)                                           \
            count[((const I *)indices)[k] / SKGD_TILE * stride]++;                         \
    }                                                                                      \
    static void skgd_cut_##NAME(                                                           \
        const void *data, const void *indices, ptrdiff_t start, ptrdiff_t stop,            \
        ptrdiff_t stride, uint32_t row, const ptrdiff_t *begin, ptrdiff_t *next,           \
        double *numbers, uint32_t *places)                                                 \
    {                                                                                      \
        for (ptrdiff_t k = start; k < stop; k++) {                                         \
            ptrdiff_t column = ((const I *)indices)[k];                                    \
            ptrdiff_t segment = column / SKGD_TILE * stride, at = next[segment];           \
            numbers[at] = ((const T *)data)[k];                                            \
            places[at] = row << 16 | (uint32_t)(column % SKGD_TILE);                       \
            at += SKGD_PARTS;                                                              \
            next[segment] =                                                                \
                at < begin[segment + 1] ? at : at % SKGD_PARTS + 1 + begin[segment];       \
        }                                                                                  \
    }

SKGD_CUT(double, int32_t, f64_i32)
SKGD_CUT(double, int64_t, f64_i64)
SKGD_CUT(float, int32_t, f32_i32)
SKGD_CUT(float, int64_t, f32_i64)

#define SKGD_KERNELS(NAME)                                                                 \
    {                                                                                      \
        skgd_csr_dot_##NAME, skgd_csr_add_##NAME, skgd_csr_square_##NAME,                  \
        skgd_csr_spread_##NAME, skgd_csr_fetch_##NAME, skgd_csr_margins_##NAME,            \
        skgd_csr_gradients_##NAME, skgd_count_##NAME, skgd_cut_##NAME                      \
    }

/* By whether the numbers are float32 and whether the column numbers have 64 bits. */
static const skgd_csr_kernels skgd_csr[2][2] = {
    {SKGD_KERNELS(f64_i32), SKGD_KERNELS(f64_i64)},
    {SKGD_KERNELS(f32_i32), SKGD_KERNELS(f32_i64)},
};

#endif
