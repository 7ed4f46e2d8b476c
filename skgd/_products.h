/* Products of a block of rows with many rows of coefficients, in tiles that stay in registers.

   Rows are read where they lie. Margins run with the outputs side by side, for which the coefficients
   lie feature by feature; gradients run with the features side by side. */
#ifndef SKGD_PRODUCTS_H
#define SKGD_PRODUCTS_H

#include "_vector.h"

/* Margins of m rows, four at a time, and 8 GROUPS outputs from c on; `wide` has the coefficients of
   feature j at wide + j k. */
#define SKGD_MARGIN_TILES(GROUPS)                                                          \
    for (ptrdiff_t first = 0; first < m; first += 4) {                                     \
        const double *x[4];                                                                \
        skgd_lanes s[4][GROUPS], v;                                                        \
        for (int i = 0; i < 4; i++) {                                                      \
            x[i] = (const double *)rows[first + i < m ? first + i : m - 1];                \
            for (int q = 0; q < GROUPS; q++)                                               \
                SKGD_ZERO(s[i][q]);                                                        \
        }                                                                                  \
        for (ptrdiff_t j = 0; j < d; j++)                                                  \
            for (int q = 0; q < GROUPS; q++) {                                             \
                SKGD_LOAD(v, wide + j * k + c + SKGD_LANES * q);                           \
                for (int i = 0; i < 4; i++)                                                \
                    SKGD_MULTIPLY_ADD(s[i][q], x[i][j], v);                                \
            }                                                                              \
        for (int i = 0; i < 4; i++)                                                        \
            for (int q = 0; q < GROUPS; q++)                                               \
                SKGD_STORE(z + (first + i) * k + c + SKGD_LANES * q, s[i][q]);             \
    }

/* z[i k + c] = rows[i] . w_c for m rows and k outputs, k a multiple of 8; z has room for a multiple of
   four rows. */
SKGD_CLONES static void skgd_margins(
    const char **rows, ptrdiff_t m, ptrdiff_t d, ptrdiff_t k, const double *wide, double *z)
{
    ptrdiff_t c = 0;
    for (; c + 4 * SKGD_LANES <= k; c += 4 * SKGD_LANES)
        SKGD_MARGIN_TILES(4)
    for (; c + 2 * SKGD_LANES <= k; c += 2 * SKGD_LANES)
        SKGD_MARGIN_TILES(2)
    for (; c < k; c += SKGD_LANES)
        SKGD_MARGIN_TILES(1)
}

/* Gradients of four outputs (or fewer: the rest are copies that are not kept) and 8 GROUPS features. */
#define SKGD_GRADIENT_TILE(GROUPS)                                                         \
    {                                                                                      \
        skgd_lanes s[4][GROUPS], v;                                                        \
        for (int r = 0; r < 4; r++)                                                        \
            for (int q = 0; q < GROUPS; q++)                                               \
                SKGD_ZERO(s[r][q]);                                                        \
        for (ptrdiff_t i = 0; i < m; i++) {                                                \
            const double *x = (const double *)rows[i] + j;                                 \
            for (int q = 0; q < GROUPS; q++) {                                             \
                SKGD_LOAD(v, x + SKGD_LANES * q);                                          \
                for (int r = 0; r < 4; r++)                                                \
                    SKGD_MULTIPLY_ADD(s[r][q], slope[r][i], v);                            \
            }                                                                              \
        }                                                                                  \
        for (int r = 0; r < used; r++)                                                     \
            for (int q = 0; q < GROUPS; q++)                                               \
                SKGD_ADD_TO(g + (c + r) * stride + j + SKGD_LANES * q, s[r][q]);           \
    }

/* g[c stride + j] += sum_i slopes[c m + i] rows[i][j] for k outputs. */
SKGD_CLONES static void skgd_gradients(
    const char **rows, ptrdiff_t m, ptrdiff_t d, ptrdiff_t k, const double *slopes, double *g,
    ptrdiff_t stride)
{
    for (ptrdiff_t c = 0; c < k; c += 4) {
        const double *slope[4];
        int used = k - c < 4 ? (int)(k - c) : 4;
        for (int r = 0; r < 4; r++)
            slope[r] = slopes + (c + (r < used ? r : 0)) * m;
        ptrdiff_t j = 0;
        for (; j + 4 * SKGD_LANES <= d; j += 4 * SKGD_LANES)
            SKGD_GRADIENT_TILE(4)
        for (; j + 2 * SKGD_LANES <= d; j += 2 * SKGD_LANES)
            SKGD_GRADIENT_TILE(2)
        for (; j + SKGD_LANES <= d; j += SKGD_LANES)
            SKGD_GRADIENT_TILE(1)
        if (j < d && d >= SKGD_LANES) {
            /* The last features: a tile that overlaps the one before, of which the end is kept. */
            skgd_lanes s[4], v;
            for (int r = 0; r < 4; r++)
                SKGD_ZERO(s[r]);
            for (ptrdiff_t i = 0; i < m; i++) {
                SKGD_LOAD(v, (const double *)rows[i] + d - SKGD_LANES);
                for (int r = 0; r < 4; r++)
                    SKGD_MULTIPLY_ADD(s[r], slope[r][i], v);
            }
            for (int r = 0; r < used; r++)
                for (ptrdiff_t e = j; e < d; e++)
                    g[(c + r) * stride + e] += SKGD_LANE(s[r], e - d + SKGD_LANES);
        } else if (j < d) {
            for (int r = 0; r < used; r++)
                for (ptrdiff_t i = 0; i < m; i++)
                    for (ptrdiff_t e = j; e < d; e++)
                        g[(c + r) * stride + e] += slope[r][i] * ((const double *)rows[i])[e];
        }
    }
}

#if defined(__GNUC__) && defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define SKGD_SHUFFLES
#endif
#endif

#ifdef SKGD_SHUFFLES
/* Two rows' numbers in turn: one by one, in twos, in fours. */
#define SKGD_ONES(a, b, first) __builtin_shufflevector(                                    \
    a, b, first, 8 + first, 2 + first, 10 + first, 4 + first, 12 + first, 6 + first, 14 + first)
#define SKGD_TWOS(a, b, first) __builtin_shufflevector(                                    \
    a, b, first, 1 + first, 8 + first, 9 + first, 4 + first, 5 + first, 12 + first, 13 + first)
#define SKGD_FOURS(a, b, first) __builtin_shufflevector(                                   \
    a, b, first, 1 + first, 2 + first, 3 + first, 8 + first, 9 + first, 10 + first, 11 + first)

SKGD_INLINE void skgd_turn(
    const double *in, ptrdiff_t in_stride, double *out, ptrdiff_t out_stride)
{
    skgd_lanes a[8], b[8];
    for (int i = 0; i < 8; i++)
        SKGD_LOAD(a[i], in + i * in_stride);
    for (int i = 0; i < 8; i += 2)
        b[i] = SKGD_ONES(a[i], a[i + 1], 0), b[i + 1] = SKGD_ONES(a[i], a[i + 1], 1);
    for (int i = 0; i < 8; i += 4)
        for (int q = i; q < i + 2; q++)
            a[q] = SKGD_TWOS(b[q], b[q + 2], 0), a[q + 2] = SKGD_TWOS(b[q], b[q + 2], 2);
    for (int i = 0; i < 4; i++) {
        SKGD_STORE(out + i * out_stride, SKGD_FOURS(a[i], a[i + 4], 0));
        SKGD_STORE(out + (i + 4) * out_stride, SKGD_FOURS(a[i], a[i + 4], 4));
    }
}
#endif

/* out[c out_stride + i] = in[i in_stride + c] for m rows and k columns. */
SKGD_CLONES static void skgd_transpose(
    ptrdiff_t m, ptrdiff_t k, const double *in, ptrdiff_t in_stride, double *out,
    ptrdiff_t out_stride)
{
    ptrdiff_t turned_m = 0, turned_k = 0;
#ifdef SKGD_SHUFFLES
    turned_m = m - m % 8, turned_k = k - k % 8;
    for (ptrdiff_t c = 0; c < turned_k; c += 8)
        for (ptrdiff_t i = 0; i < turned_m; i += 8)
            skgd_turn(in + i * in_stride + c, in_stride, out + c * out_stride + i, out_stride);
#endif
    for (ptrdiff_t i = 0; i < m; i++)
        for (ptrdiff_t c = i < turned_m ? turned_k : 0; c < k; c++)
            out[c * out_stride + i] = in[i * in_stride + c];
}

#endif
