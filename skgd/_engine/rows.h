/* What all loops over rows of X share. They are compiled in the same instruction sets as `vector.h`. */
#ifndef SKGD_ROWS_H
#define SKGD_ROWS_H

#include "vector.h"

SKGD_INLINE void skgd_prefetch(const char *address, ptrdiff_t bytes)
{
    for (ptrdiff_t b = 0; b < bytes; b += 64)
        SKGD_PREFETCH(address + b);
    /* A row that does not begin with a cache line ends in one more. */
    if (bytes > 1)
        SKGD_PREFETCH(address + bytes - 1);
#if defined(__GNUC__)
    /* A function that only fetches has no effect that GCC can see, and would be left out. */
    __asm__ volatile("");
#endif
}

/* Rows that are read soon. Loops over a block fetch `pace` of them with every four rows that they work
   on, so that the memory is never idle. */
typedef struct {
    const char *base;
    ptrdiff_t stride, bytes;
    const ptrdiff_t *row;
    ptrdiff_t n, pace;
} skgd_prefetch_queue;

SKGD_INLINE void skgd_prefetch_queued(skgd_prefetch_queue *queue)
{
    for (ptrdiff_t i = 0; i < queue->pace && queue->n > 0; i++, queue->n--)
        skgd_prefetch(queue->base + *queue->row++ * queue->stride, queue->bytes);
}

/* In loops over the columns of a row: numbers that lie anywhere are faster fetched one by one than
   gathered into vectors, as GCC would. */
#if defined(__GNUC__)
#define SKGD_ONE_BY_ONE __asm__ volatile("")
#else
#define SKGD_ONE_BY_ONE (void)0
#endif

/* Columns whose parameters are updated while they are in the nearest cache. */
#define SKGD_TILE 512

/* What a batch stores in a tile lies together, as numbers and places: the row in the batch in the high
   half, the column in the tile in the low one. A model whose parameters are updated tile by tile reads and
   writes nothing else than what is in the nearest cache. Neighbours are taken from eight parts of the tile in
   turn, so that no sum waits for the one before. */
#define SKGD_PARTS 8

/* What the moments of a column need of its stored numbers where their mean is much larger than their
   deviations, on one cache line: their weight, and the sums of their deviations from the first one and of the
   squares of these. The first one is no more than sqrt(n) standard deviations from the mean. */
typedef struct {
    double origin, weight, first, second;
} skgd_column_sums;

/* What is done with rows whose numbers and column numbers are of one type each. */
typedef struct {
    double (*dot)(const void *, const void *, ptrdiff_t, ptrdiff_t, const double *);
    void (*add)(const void *, const void *, ptrdiff_t, ptrdiff_t, double, double *);
    void (*square)(const void *, const void *, ptrdiff_t, ptrdiff_t, ptrdiff_t, double, double *);
    void (*spread)(const void *, const void *, ptrdiff_t, ptrdiff_t, ptrdiff_t, double,
                   const char *, skgd_column_sums *);
    void (*fetch)(const void *, ptrdiff_t, ptrdiff_t, ptrdiff_t, const double *);
    void (*margins)(const void *, const void *, ptrdiff_t, ptrdiff_t, ptrdiff_t, const double *,
                    double *);
    void (*gradients)(const void *, const void *, ptrdiff_t, ptrdiff_t, ptrdiff_t, const double *,
                      double *);
    void (*count)(const void *, ptrdiff_t, ptrdiff_t, ptrdiff_t, ptrdiff_t *);
    void (*cut)(const void *, const void *, ptrdiff_t, ptrdiff_t, ptrdiff_t, uint32_t,
                const ptrdiff_t *, ptrdiff_t *, double *, uint32_t *);
} skgd_csr_kernels;

#endif
