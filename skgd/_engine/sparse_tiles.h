/* Products with batches of sparse rows that are cut into tiles of columns. */
#ifndef SKGD_SPARSE_TILES_H
#define SKGD_SPARSE_TILES_H

#include "rows.h"

/* z[row] += x w[column] over n places of a tile, and g[column] += x c[row]. */
SKGD_CLONES static void skgd_tile_dot(
    ptrdiff_t n, const double *x, const uint32_t *place, const double *w, double *z)
{
    for (ptrdiff_t k = 0; k < n; k += SKGD_PARTS) {
        double product[SKGD_PARTS];
        for (int q = 0; q < SKGD_PARTS; q++)
            product[q] = x[k + q] * w[place[k + q] & 0xffff];
        for (int q = 0; q < SKGD_PARTS; q++) {
            z[place[k + q] >> 16] += product[q];
            SKGD_ONE_BY_ONE;
        }
    }
}

SKGD_CLONES static void skgd_tile_add(
    ptrdiff_t n, const double *x, const uint32_t *place, const double *c, double *g)
{
    for (ptrdiff_t k = 0; k < n; k += SKGD_PARTS) {
        double product[SKGD_PARTS];
        for (int q = 0; q < SKGD_PARTS; q++)
            product[q] = x[k + q] * c[place[k + q] >> 16];
        for (int q = 0; q < SKGD_PARTS; q++) {
            g[place[k + q] & 0xffff] += product[q];
            SKGD_ONE_BY_ONE;
        }
    }
}

#endif
