/* Products of a block of rows with many rows of coefficients, in tiles that stay in registers.

   Margins run with the rows of the block side by side, for which it lies column by column; gradients
   run with the features side by side. Both lie in whole vectors. */
#ifndef SKGD_PRODUCTS_H
#define SKGD_PRODUCTS_H

#include "rows.h"

/* Four outputs, or fewer: the rest are copies that are not kept. */
#define SKGD_FOUR(TYPE, name, source)                                                      \
    TYPE name[4];                                                                          \
    int used = k - c < 4 ? (int)(k - c) : 4;                                               \
    for (int r = 0; r < 4; r++)                                                            \
        name[r] = source(c + (r < used ? r : 0));

/* Margins of 8 GROUPS rows of the block from i on. */
#define SKGD_MARGIN_TILE(GROUPS)                                                           \
    {                                                                                      \
        skgd_lanes s[4][GROUPS], v;                                                        \
        for (int r = 0; r < 4; r++)                                                        \
            for (int q = 0; q < GROUPS; q++)                                               \
                SKGD_ZERO(s[r][q]);                                                        \
        for (ptrdiff_t j = 0; j < d; j++)                                                  \
            for (int q = 0; q < GROUPS; q++) {                                             \
                SKGD_LOAD(v, columns + j * stride + i + SKGD_LANES * q);                   \
                for (int r = 0; r < 4; r++)                                                \
                    SKGD_MULTIPLY_ADD(s[r][q], coef[r][j], v);                             \
            }                                                                              \
        for (int r = 0; r < used; r++)                                                     \
            for (int q = 0; q < GROUPS; q++) {                                             \
                double *out = z + (c + r) * m + i + SKGD_LANES * q;                        \
                ptrdiff_t left = m - i - SKGD_LANES * q;                                   \
                if (left >= SKGD_LANES) {                                                  \
                    SKGD_STORE(out, s[r][q]);                                              \
                } else {                                                                   \
                    for (ptrdiff_t e = 0; e < left; e++)                                   \
                        out[e] = SKGD_LANE(s[r][q], e);                                    \
                }                                                                          \
            }                                                                              \
    }

/* z[c m + i] = sum_j columns[j stride + i] w[c][j] for m rows and k outputs; columns have room for
   whole vectors. */
#define SKGD_COEF(c) w[c]
SKGD_CLONES static void skgd_margins(
    const double *columns, ptrdiff_t stride, ptrdiff_t m, ptrdiff_t d, ptrdiff_t k,
    const double **w, double *z, skgd_coming *coming)
{
    for (ptrdiff_t c = 0; c < k; c += 4) {
        skgd_fetch(coming);
        SKGD_FOUR(const double *, coef, SKGD_COEF)
        ptrdiff_t i = 0;
        for (; i + 3 * SKGD_LANES < m; i += 4 * SKGD_LANES)
            SKGD_MARGIN_TILE(4)
        for (; i + 2 * SKGD_LANES < m; i += 3 * SKGD_LANES)
            SKGD_MARGIN_TILE(3)
        for (; i + SKGD_LANES < m; i += 2 * SKGD_LANES)
            SKGD_MARGIN_TILE(2)
        for (; i < m; i += SKGD_LANES)
            SKGD_MARGIN_TILE(1)
    }
}

/* Gradients in 8 GROUPS features from j on, of which those from d on are not kept. */
#define SKGD_GRADIENT_TILE(GROUPS)                                                         \
    {                                                                                      \
        skgd_lanes s[4][GROUPS], v;                                                        \
        for (int r = 0; r < 4; r++)                                                        \
            for (int q = 0; q < GROUPS; q++)                                               \
                SKGD_ZERO(s[r][q]);                                                        \
        for (ptrdiff_t i = 0; i < m; i++)                                                  \
            for (int q = 0; q < GROUPS; q++) {                                             \
                SKGD_LOAD(v, rows + i * stride + j + SKGD_LANES * q);                      \
                for (int r = 0; r < 4; r++)                                                \
                    SKGD_MULTIPLY_ADD(s[r][q], slope[r][i], v);                            \
            }                                                                              \
        for (int r = 0; r < used; r++)                                                     \
            for (int q = 0; q < GROUPS; q++) {                                             \
                double *out = g[c + r] + j + SKGD_LANES * q;                               \
                ptrdiff_t left = d - j - SKGD_LANES * q;                                   \
                if (left >= SKGD_LANES) {                                                  \
                    SKGD_ADD_TO(out, s[r][q]);                                             \
                } else {                                                                   \
                    for (ptrdiff_t e = 0; e < left; e++)                                   \
                        out[e] += SKGD_LANE(s[r][q], e);                                   \
                }                                                                          \
            }                                                                              \
    }

/* g[c][j] += sum_i slopes[c m + i] rows[i stride + j] for k outputs; rows have room for whole
   vectors. */
#define SKGD_SLOPE(c) slopes + (c) * m
SKGD_CLONES static void skgd_gradients(
    const double *rows, ptrdiff_t stride, ptrdiff_t m, ptrdiff_t d, ptrdiff_t k,
    const double *slopes, double **g, skgd_coming *coming)
{
    for (ptrdiff_t c = 0; c < k; c += 4) {
        skgd_fetch(coming);
        SKGD_FOUR(const double *, slope, SKGD_SLOPE)
        ptrdiff_t j = 0;
        for (; j + 3 * SKGD_LANES < d; j += 4 * SKGD_LANES)
            SKGD_GRADIENT_TILE(4)
        for (; j + 2 * SKGD_LANES < d; j += 3 * SKGD_LANES)
            SKGD_GRADIENT_TILE(3)
        for (; j + SKGD_LANES < d; j += 2 * SKGD_LANES)
            SKGD_GRADIENT_TILE(2)
        for (; j < d; j += SKGD_LANES)
            SKGD_GRADIENT_TILE(1)
    }
}

#endif
