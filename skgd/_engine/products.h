/* Products of a block of rows with many rows of coefficients, in tiles that stay in registers.

   Margins run with the rows of the block side by side, for which it lies column by column; gradients
   run with the features side by side. Both lie in whole vectors. */
#ifndef SKGD_PRODUCTS_H
#define SKGD_PRODUCTS_H

#include "rows.h"

/* A tile is as many outputs and as many groups of numbers that lie side by side, at most. */
#define SKGD_SIDE 4

/* Its shapes, each a case of its own, so that its sums stay in registers. */
#define SKGD_SHAPE(outputs, groups) (SKGD_SIDE * (outputs) + (groups))
#define SKGD_SHAPES(TILE)                                                                  \
    TILE(1, 1) TILE(1, 2) TILE(1, 3) TILE(1, 4) TILE(2, 1) TILE(2, 2) TILE(2, 3) TILE(2, 4) \
    TILE(3, 1) TILE(3, 2) TILE(3, 3) TILE(3, 4) TILE(4, 1) TILE(4, 2) TILE(4, 3) TILE(4, 4)

/* The tiles, of about one size, that n outputs or groups take. */
SKGD_INLINE ptrdiff_t skgd_tiles(ptrdiff_t n)
{
    return (n + SKGD_SIDE - 1) / SKGD_SIDE;
}

/* Two rounds of a loop at once: what a round costs on top of the sums counts half. */
#if defined(__GNUC__)
#define SKGD_UNROLL SKGD_PRAGMA(GCC unroll 2)
#else
#define SKGD_UNROLL
#endif

/* s[r][q] = sum_i a[r][i] x[i stride + 8 q], and likewise for the seven next to it. */
SKGD_INLINE void skgd_tile(
    int outputs, int groups, ptrdiff_t n, const double **a, const double *x, ptrdiff_t stride,
    skgd_group s[SKGD_SIDE][SKGD_SIDE])
{
    skgd_group v;
    for (int r = 0; r < outputs; r++)
        for (int q = 0; q < groups; q++)
            SKGD_OVER_LANES s[r][q].lane[l] = 0.0;
    SKGD_UNROLL
    for (ptrdiff_t i = 0; i < n; i++)
        for (int q = 0; q < groups; q++) {
            SKGD_OVER_LANES v.lane[l] = x[i * stride + SKGD_LANES * q + l];
            for (int r = 0; r < outputs; r++)
                SKGD_OVER_LANES s[r][q].lane[l] += a[r][i] * v.lane[l];
        }
}

SKGD_INLINE void skgd_add_group(const double *x, double *y)
{
#if defined(__GNUC__)
    for (int l = 0; l < SKGD_LANES; l += SKGD_LENGTH(skgd_halves))
        *(skgd_halves *)(y + l) += *(const skgd_halves *)(x + l);
#else
    SKGD_OVER_LANES y[l] += x[l];
#endif
}

/* On processors with shorter vectors a tile is one group, in halves, or what is left in one, and more outputs:
   twelve sums, two halves and a factor fill their registers. On AVX2, with 51 rows, 64 outputs and 50
   features, margins took 11.7 us, 14.3 with four outputs, whose sums went over the stack, and gradients 13.0
   instead of 17.8; a batch of 256 rows for 80 models on five folds took 212 us instead of 231. The functions
   are not inlined: in a longer one GCC keeps the pointers to the outputs on the stack. */
#if defined(__GNUC__)
#define SKGD_SHORT_SIDE 6
#define SKGD_SHORT_SHAPE(outputs, halves) (2 * (outputs) + (halves))
#define SKGD_SHORT_SHAPES(TILE)                                                            \
    TILE(1, 1) TILE(2, 1) TILE(3, 1) TILE(4, 1) TILE(5, 1) TILE(6, 1)                      \
    TILE(1, 2) TILE(2, 2) TILE(3, 2) TILE(4, 2) TILE(5, 2) TILE(6, 2)
#define SKGD_SHORT_HALVES(left) ((left) > SKGD_LENGTH(skgd_halves) ? 2 : 1)

/* s[r][h] = sum_i a[r][i] x[i stride + 4 h], and likewise for the three next to it. */
#define SKGD_SHORT_SUMS(outputs, halves, n, x)                                             \
    skgd_halves s[outputs][halves], v[halves];                                             \
    for (int r = 0; r < outputs; r++)                                                      \
        for (int h = 0; h < halves; h++)                                                   \
            s[r][h] = (skgd_halves){0};                                                    \
    for (ptrdiff_t e = 0; e < n; e++) {                                                    \
        for (int h = 0; h < halves; h++)                                                   \
            v[h] = *(const skgd_halves *)((x) + e * stride + 4 * h);                       \
        for (int r = 0; r < outputs; r++)                                                  \
            for (int h = 0; h < halves; h++)                                               \
                s[r][h] += a[r][e] * v[h];                                                 \
    }

#define SKGD_SHORT_MARGIN_TILE(outputs, halves)                                            \
    case SKGD_SHORT_SHAPE(outputs, halves): {                                              \
        SKGD_SHORT_SUMS(outputs, halves, d, columns + i)                                   \
        for (int r = 0; r < outputs; r++)                                                  \
            for (int h = 0; h < halves; h++)                                               \
                *(skgd_halves *)(z + (c + r) * m + i + 4 * h) = s[r][h];                   \
        break;                                                                             \
    }

SKGD_CLONES static void skgd_short_margins(
    const double *columns, ptrdiff_t stride, ptrdiff_t m, ptrdiff_t d, ptrdiff_t k,
    const double **w, double *z, skgd_prefetch_queue *queue)
{
    ptrdiff_t across = (k + SKGD_SHORT_SIDE - 1) / SKGD_SHORT_SIDE;
    for (ptrdiff_t p = 0; p < across; p++) {
        ptrdiff_t c = p * k / across, outputs = (p + 1) * k / across - c;
        const double **a = w + c;
        for (ptrdiff_t i = (m - 1) / SKGD_LANES * SKGD_LANES; i >= 0; i -= SKGD_LANES) {
            skgd_prefetch_queued(queue);
            switch (SKGD_SHORT_SHAPE(outputs, SKGD_SHORT_HALVES(m - i))) {
                SKGD_SHORT_SHAPES(SKGD_SHORT_MARGIN_TILE)
            }
        }
    }
}

/* Of the last half those numbers that are no features are left out. */
#define SKGD_SHORT_GRADIENT_TILE(outputs, halves)                                          \
    case SKGD_SHORT_SHAPE(outputs, halves): {                                              \
        SKGD_SHORT_SUMS(outputs, halves, m, rows + j)                                      \
        for (int r = 0; r < outputs; r++) {                                                \
            double *to = g[c + r] + j, last[4];                                            \
            if (halves == 2)                                                               \
                *(skgd_halves *)to += s[r][0];                                             \
            memcpy(last, &s[r][halves - 1], sizeof last);                                  \
            to += 4 * (halves - 1);                                                        \
            if (left >= 4 * halves)                                                        \
                *(skgd_halves *)to += s[r][halves - 1];                                    \
            else                                                                           \
                for (ptrdiff_t l = 0; l < left - 4 * (halves - 1); l++)                    \
                    to[l] += last[l];                                                      \
        }                                                                                  \
        break;                                                                             \
    }

SKGD_CLONES static void skgd_short_gradients(
    const double *rows, ptrdiff_t stride, ptrdiff_t m, ptrdiff_t d, ptrdiff_t k,
    const double *dz, double **g, skgd_prefetch_queue *queue)
{
    ptrdiff_t across = (k + SKGD_SHORT_SIDE - 1) / SKGD_SHORT_SIDE;
    const double *a[SKGD_SHORT_SIDE];
    for (ptrdiff_t p = 0; p < across; p++) {
        ptrdiff_t c = p * k / across, outputs = (p + 1) * k / across - c;
        for (ptrdiff_t r = 0; r < outputs; r++)
            a[r] = dz + (c + r) * m;
        for (ptrdiff_t j = 0; j < d; j += SKGD_LANES) {
            ptrdiff_t left = d - j;
            skgd_prefetch_queued(queue);
            switch (SKGD_SHORT_SHAPE(outputs, SKGD_SHORT_HALVES(left))) {
                SKGD_SHORT_SHAPES(SKGD_SHORT_GRADIENT_TILE)
            }
        }
    }
}
#endif

#define SKGD_KEEP(outputs, groups, to)                                                     \
    for (int r = 0; r < outputs; r++)                                                      \
        for (int q = 0; q < groups; q++)                                                   \
            SKGD_OVER_LANES (to)[SKGD_LANES * q + l] = s[r][q].lane[l];

#define SKGD_MARGIN_TILE(outputs, groups)                                                  \
    case SKGD_SHAPE(outputs, groups): {                                                    \
        skgd_group s[SKGD_SIDE][SKGD_SIDE];                                                \
        skgd_tile(outputs, groups, d, a, columns + i, stride, s);                          \
        SKGD_KEEP(outputs, groups, z + (c + r) * m + i)                                    \
        break;                                                                             \
    }

/* z[c m + i] = sum_j columns[j stride + i] w[c][j] for m rows and k outputs. Columns and z have room for
   whole vectors: what is behind an output's last number is overwritten by the next output, which is why
   the last rows come first. */
SKGD_CLONES static void skgd_margins(
    const double *columns, ptrdiff_t stride, ptrdiff_t m, ptrdiff_t d, ptrdiff_t k,
    const double **w, double *z, skgd_prefetch_queue *queue)
{
    ptrdiff_t groups = (m + SKGD_LANES - 1) / SKGD_LANES;
    ptrdiff_t across = skgd_tiles(k), along = skgd_tiles(groups);
#if defined(__GNUC__)
    if (!SKGD_HAS_LONG_VECTORS) {
        skgd_short_margins(columns, stride, m, d, k, w, z, queue);
        return;
    }
#endif
    for (ptrdiff_t p = 0; p < across; p++) {
        ptrdiff_t c = p * k / across, outputs = (p + 1) * k / across - c;
        for (ptrdiff_t t = along - 1; t >= 0; t--) {
            ptrdiff_t first = t * groups / along, i = SKGD_LANES * first;
            const double **a = w + c;
            skgd_prefetch_queued(queue);
            switch (SKGD_SHAPE(outputs, (t + 1) * groups / along - first)) {
                SKGD_SHAPES(SKGD_MARGIN_TILE)
            }
        }
    }
}

/* The sums are added as whole groups: lane by lane, GCC would take them apart. Of the last group of
   features those that are none are left out. */
#define SKGD_GRADIENT_TILE(outputs, groups)                                                \
    case SKGD_SHAPE(outputs, groups): {                                                    \
        skgd_group s[SKGD_SIDE][SKGD_SIDE];                                                \
        double sums[SKGD_SIDE][SKGD_SIDE * SKGD_LANES];                                    \
        ptrdiff_t last = SKGD_LANES * (groups - 1), left = d - j - last;                   \
        skgd_tile(outputs, groups, m, a, rows + j, stride, s);                             \
        SKGD_KEEP(outputs, groups, sums[r])                                                \
        for (int r = 0; r < outputs; r++) {                                                \
            double *to = g[c + r] + j;                                                     \
            for (int q = 0; q < groups - 1; q++)                                           \
                skgd_add_group(sums[r] + SKGD_LANES * q, to + SKGD_LANES * q);             \
            if (left >= SKGD_LANES)                                                        \
                skgd_add_group(sums[r] + last, to + last);                                 \
            else                                                                           \
                for (ptrdiff_t e = last; e < last + left; e++)                             \
                    to[e] += sums[r][e];                                                   \
        }                                                                                  \
        break;                                                                             \
    }

/* g[c][j] += sum_i dz[c m + i] rows[i stride + j] for k outputs; rows have room for whole
   vectors. */
SKGD_CLONES static void skgd_gradients(
    const double *rows, ptrdiff_t stride, ptrdiff_t m, ptrdiff_t d, ptrdiff_t k,
    const double *dz, double **g, skgd_prefetch_queue *queue)
{
    ptrdiff_t groups = (d + SKGD_LANES - 1) / SKGD_LANES;
    ptrdiff_t across = skgd_tiles(k), along = skgd_tiles(groups);
    const double *a[SKGD_SIDE];
#if defined(__GNUC__)
    if (!SKGD_HAS_LONG_VECTORS) {
        skgd_short_gradients(rows, stride, m, d, k, dz, g, queue);
        return;
    }
#endif
    for (ptrdiff_t p = 0; p < across; p++) {
        ptrdiff_t c = p * k / across, outputs = (p + 1) * k / across - c;
        for (ptrdiff_t r = 0; r < outputs; r++)
            a[r] = dz + (c + r) * m;
        for (ptrdiff_t t = 0; t < along; t++) {
            ptrdiff_t first = t * groups / along, j = SKGD_LANES * first;
            skgd_prefetch_queued(queue);
            switch (SKGD_SHAPE(outputs, (t + 1) * groups / along - first)) {
                SKGD_SHAPES(SKGD_GRADIENT_TILE)
            }
        }
    }
}

#endif
