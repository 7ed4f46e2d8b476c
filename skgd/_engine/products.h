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

/* Rows, or features, of a tile, at most. */
#define SKGD_TALL (4 * SKGD_LANES)

/* The sums of a tile, one output after the other: numbers that are read one by one would not stay in
   registers. Of the last tile some are not kept. */
#define SKGD_SUMS(GROUPS, rest)                                                            \
    ptrdiff_t left = (rest) < SKGD_LANES * GROUPS ? (rest) : SKGD_LANES * GROUPS;          \
    double sums[4][SKGD_LANES * GROUPS];                                                   \
    for (int r = 0; r < 4; r++)                                                            \
        for (int q = 0; q < GROUPS; q++)                                                   \
            SKGD_STORE(sums[r] + SKGD_LANES * q, s[r][q]);

/* Margins of 8 GROUPS rows of the block from i on. */
#define SKGD_MARGIN_TILES(GROUPS)                                                          \
    for (ptrdiff_t c = 0; c < k; c += 4) {                                                 \
        skgd_lanes s[4][GROUPS], v;                                                        \
        SKGD_FOUR(const double *, coef, SKGD_COEF)                                         \
        skgd_fetch(coming);                                                                \
        for (int r = 0; r < 4; r++)                                                        \
            for (int q = 0; q < GROUPS; q++)                                               \
                SKGD_ZERO(s[r][q]);                                                        \
        for (ptrdiff_t j = 0; j < d; j++)                                                  \
            for (int q = 0; q < GROUPS; q++) {                                             \
                SKGD_LOAD(v, columns + j * stride + i + SKGD_LANES * q);                   \
                for (int r = 0; r < 4; r++)                                                \
                    SKGD_MULTIPLY_ADD(s[r][q], coef[r][j], v);                             \
            }                                                                              \
        SKGD_SUMS(GROUPS, m - i)                                                           \
        for (int r = 0; r < used; r++)                                                     \
            memcpy(z + (c + r) * m + i, sums[r], left * sizeof(double));                   \
    }

/* z[c m + i] = sum_j columns[j stride + i] w[c][j] for m rows and k outputs; columns have room for
   whole vectors. */
#define SKGD_COEF(c) w[c]
SKGD_CLONES static void skgd_margins(
    const double *columns, ptrdiff_t stride, ptrdiff_t m, ptrdiff_t d, ptrdiff_t k,
    const double **w, double *z, skgd_coming *coming)
{
    ptrdiff_t i = 0;
    for (; i + 3 * SKGD_LANES < m; i += SKGD_TALL)
        SKGD_MARGIN_TILES(4)
    for (; i + 2 * SKGD_LANES < m; i += 3 * SKGD_LANES)
        SKGD_MARGIN_TILES(3)
    for (; i + SKGD_LANES < m; i += 2 * SKGD_LANES)
        SKGD_MARGIN_TILES(2)
    for (; i < m; i += SKGD_LANES)
        SKGD_MARGIN_TILES(1)
}

/* Gradients in 8 GROUPS features from j on, of which those from d on are not kept. */
#define SKGD_GRADIENT_TILES(GROUPS)                                                        \
    for (ptrdiff_t c = 0; c < k; c += 4) {                                                 \
        skgd_lanes s[4][GROUPS], v;                                                        \
        SKGD_FOUR(const double *, slope, SKGD_SLOPE)                                       \
        skgd_fetch(coming);                                                                \
        for (int r = 0; r < 4; r++)                                                        \
            for (int q = 0; q < GROUPS; q++)                                               \
                SKGD_ZERO(s[r][q]);                                                        \
        for (ptrdiff_t i = 0; i < m; i++)                                                  \
            for (int q = 0; q < GROUPS; q++) {                                             \
                SKGD_LOAD(v, rows + i * stride + j + SKGD_LANES * q);                      \
                for (int r = 0; r < 4; r++)                                                \
                    SKGD_MULTIPLY_ADD(s[r][q], slope[r][i], v);                            \
            }                                                                              \
        SKGD_SUMS(GROUPS, d - j)                                                           \
        for (int r = 0; r < used; r++)                                                     \
            for (ptrdiff_t e = 0; e < left; e++)                                           \
                g[c + r][j + e] += sums[r][e];                                             \
    }

/* g[c][j] += sum_i slopes[c m + i] rows[i stride + j] for k outputs; rows have room for whole
   vectors. */
#define SKGD_SLOPE(c) slopes + (c) * m
SKGD_CLONES static void skgd_gradients(
    const double *rows, ptrdiff_t stride, ptrdiff_t m, ptrdiff_t d, ptrdiff_t k,
    const double *slopes, double **g, skgd_coming *coming)
{
    ptrdiff_t j = 0;
    for (; j + 3 * SKGD_LANES < d; j += SKGD_TALL)
        SKGD_GRADIENT_TILES(4)
    for (; j + 2 * SKGD_LANES < d; j += 3 * SKGD_LANES)
        SKGD_GRADIENT_TILES(3)
    for (; j + SKGD_LANES < d; j += 2 * SKGD_LANES)
        SKGD_GRADIENT_TILES(2)
    for (; j < d; j += SKGD_LANES)
        SKGD_GRADIENT_TILES(1)
}

#endif
