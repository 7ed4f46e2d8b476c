/* Numbers by row, laid by column. */
#ifndef SKGD_TRANSPOSE_H
#define SKGD_TRANSPOSE_H

#include "vector.h"

#ifdef SKGD_SHUFFLES
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
    if (SKGD_HAS_LONG_VECTORS)
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
