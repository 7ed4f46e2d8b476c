/* Loops over rows of X and over parameters: what the engine does in C, in the same instruction sets as
   `_vector.h`. */
#ifndef SKGD_ROWS_H
#define SKGD_ROWS_H

#include "../_vector.h"

/* ---- rows to come ---------------------------------------------------------------- */

SKGD_INLINE void skgd_prefetch(const char *address, ptrdiff_t bytes)
{
    for (ptrdiff_t b = 0; b < bytes; b += 64)
        SKGD_PREFETCH(address + b);
    /* A row that does not begin with a cache line ends in one more. */
    if (bytes > 1)
        SKGD_PREFETCH(address + bytes - 1);
#if defined(__GNUC__)
    /* A function that does nothing but fetch has no effect that GCC knows of: it would be left out. */
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
} skgd_coming;

SKGD_INLINE void skgd_fetch(skgd_coming *coming)
{
    for (ptrdiff_t i = 0; i < coming->pace && coming->n > 0; i++, coming->n--)
        skgd_prefetch(coming->base + *coming->row++ * coming->stride, coming->bytes);
}

/* ---- rows of a dense matrix ------------------------------------------------------ */

/* z[i] = rows[i] . w for m rows, and g[j] += sum_i c[i] rows[i][j], four rows at a time; fewer are filled
   up with copies of the last one, which do not count. The numbers behind the last whole group of lanes
   are read as the end of a group that overlaps the one before, with weights of zero for the overlap. */
#if defined(__GNUC__)
#define SKGD_ROW(i) rows[(i) < m ? (i) : m - 1]
#define SKGD_DOT(T)                                                                        \
    double last[SKGD_LANES], sums[4];                                                      \
    ptrdiff_t whole = d - d % SKGD_LANES, end = d - SKGD_LANES;                            \
    for (ptrdiff_t l = 0; l < SKGD_LANES && end > 0; l++)                                  \
        last[l] = end + l < whole ? 0.0 : w[end + l];                                      \
    for (ptrdiff_t i = 0; i < m; i += 4) {                                                 \
        const T *x[4];                                                                     \
        skgd_lanes s[4], v;                                                                \
        skgd_fetch(coming);                                                                \
        for (int r = 0; r < 4; r++) {                                                      \
            x[r] = (const T *)SKGD_ROW(i + r);                                             \
            SKGD_ZERO(s[r]);                                                               \
        }                                                                                  \
        for (ptrdiff_t j = 0; j < whole; j += SKGD_LANES) {                                \
            SKGD_LOAD(v, w + j);                                                           \
            for (int r = 0; r < 4; r++)                                                    \
                s[r] += SKGD_LANES_OF_##T(x[r] + j) * v;                                   \
        }                                                                                  \
        if (whole < d && end > 0) {                                                        \
            SKGD_LOAD(v, last);                                                            \
            for (int r = 0; r < 4; r++)                                                    \
                s[r] += SKGD_LANES_OF_##T(x[r] + end) * v;                                 \
        }                                                                                  \
        skgd_four_sums(s, sums);                                                           \
        for (ptrdiff_t r = 0; r < 4 && i + r < m; r++) {                                   \
            for (ptrdiff_t j = 0; j < d && end < 0; j++)                                   \
                sums[r] += x[r][j] * w[j];                                                 \
            z[i + r] = sums[r];                                                            \
        }                                                                                  \
    }
#define SKGD_ADD(T)                                                                        \
    double keep[SKGD_LANES];                                                               \
    ptrdiff_t whole = d - d % SKGD_LANES, end = d - SKGD_LANES;                            \
    for (ptrdiff_t l = 0; l < SKGD_LANES; l++)                                             \
        keep[l] = end + l < whole ? 0.0 : 1.0;                                             \
    for (ptrdiff_t i = 0; i < m; i += 4) {                                                 \
        const T *x[4];                                                                     \
        double a[4];                                                                       \
        skgd_lanes v;                                                                      \
        skgd_fetch(coming);                                                                \
        for (int r = 0; r < 4; r++) {                                                      \
            x[r] = (const T *)SKGD_ROW(i + r);                                             \
            a[r] = i + r < m ? c[i + r] : 0.0;                                             \
        }                                                                                  \
        for (ptrdiff_t j = 0; j < whole; j += SKGD_LANES)                                  \
            SKGD_ADD_TO(g + j, SKGD_FOUR_TERMS(T, j));                                     \
        if (whole < d && end > 0) {                                                        \
            SKGD_LOAD(v, keep);                                                            \
            SKGD_ADD_TO(g + end, v * SKGD_FOUR_TERMS(T, end));                             \
        }                                                                                  \
        for (ptrdiff_t j = 0; j < d && end < 0; j++)                                       \
            g[j] += (a[0] * x[0][j] + a[1] * x[1][j]) + (a[2] * x[2][j] + a[3] * x[3][j]); \
    }
#define SKGD_FOUR_TERMS(T, j)                                                              \
    ((a[0] * SKGD_LANES_OF_##T(x[0] + (j)) + a[1] * SKGD_LANES_OF_##T(x[1] + (j)))         \
     + (a[2] * SKGD_LANES_OF_##T(x[2] + (j)) + a[3] * SKGD_LANES_OF_##T(x[3] + (j))))
#else
#define SKGD_DOT(T)                                                                        \
    for (ptrdiff_t i = 0; i < m; i++) {                                                    \
        z[i] = 0;                                                                          \
        for (ptrdiff_t j = 0; j < d; j++)                                                  \
            z[i] += ((const T *)rows[i])[j] * w[j];                                        \
    }                                                                                      \
    (void)coming;
#define SKGD_ADD(T)                                                                        \
    for (ptrdiff_t i = 0; i < m; i++)                                                      \
        for (ptrdiff_t j = 0; j < d; j++)                                                  \
            g[j] += c[i] * ((const T *)rows[i])[j];                                        \
    (void)coming;
#endif

#define SKGD_DENSE(T, NAME)                                                                \
    SKGD_CLONES static void skgd_dot_##NAME(                                               \
        const char **rows, ptrdiff_t m, ptrdiff_t d, const double *w, double *z,           \
        skgd_coming *coming)                                                               \
    {                                                                                      \
        SKGD_DOT(T)                                                                        \
    }                                                                                      \
    SKGD_CLONES static void skgd_add_##NAME(                                               \
        const char **rows, ptrdiff_t m, ptrdiff_t d, const double *c, double *g,           \
        skgd_coming *coming)                                                               \
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
#define SKGD_TAKE(T, NAME)                                                                 \
    SKGD_CLONES static void skgd_take_##NAME(                                              \
        const char *row, ptrdiff_t d, const double *mean, double *out)                     \
    {                                                                                      \
        const T *x = (const T *)row;                                                       \
        SKGD_SIMD()                                                                        \
        for (ptrdiff_t j = 0; j < d; j++)                                                  \
            out[j] = x[j] - mean[j];                                                       \
    }

SKGD_TAKE(double, f64)
SKGD_TAKE(float, f32)

/* A step along the change c x of a row's gradient plus the mean gradient g, which takes a share of the
   change in; w -= rate A (c x + trust g + l2 w). */
SKGD_CLONES static void skgd_reduced_step(
    ptrdiff_t d, const double *x, const double *a, double rate, double c, double trust,
    double share, double l2, double *g, double *w)
{
    SKGD_SIMD()
    for (ptrdiff_t j = 0; j < d; j++) {
        double change = c * x[j];
        w[j] -= rate * a[j] * (change + trust * g[j] + l2 * w[j]);
        g[j] += share * change;
    }
}

/* Step w along the row before, w -= A (step before + decay w), while the slope of the row here is on
   its way; p and q make the margin of the next row after the step along this one, p - rate c q.
   Buffers have room for whole groups of lanes, filled up with zeros. A row that is read soon, whose
   numbers have `size` bytes and whose last byte is at `last`, is fetched group by group: all at once it would hold up long rows. */
#if defined(__GNUC__)
#define SKGD_AT(x) (*(skgd_lanes *)(x + j))
#define SKGD_STEP_GROUP(A, vp, vq)                                                         \
    {                                                                                      \
        SKGD_PREFETCH(ahead + j * size);                                                   \
        skgd_lanes moved = SKGD_AT(w) - A (step * SKGD_AT(before) + decay * SKGD_AT(w));   \
        SKGD_AT(w) = moved;                                                                \
        vp += SKGD_AT(next) * (moved - next_decay * (A moved));                            \
        vq += SKGD_AT(next) * (A SKGD_AT(here));                                           \
    }
#define SKGD_STEP_BODY(A)                                                                  \
    skgd_lanes p0, p1, q0, q1;                                                             \
    ptrdiff_t j = 0;                                                                       \
    SKGD_ZERO(p0), SKGD_ZERO(p1), SKGD_ZERO(q0), SKGD_ZERO(q1);                            \
    for (; j + SKGD_LANES < d; j += SKGD_LANES) {                                          \
        SKGD_STEP_GROUP(A, p0, q0)                                                         \
        j += SKGD_LANES;                                                                   \
        SKGD_STEP_GROUP(A, p1, q1)                                                         \
    }                                                                                      \
    if (j < d)                                                                             \
        SKGD_STEP_GROUP(A, p0, q0)                                                         \
    p0 += p1, q0 += q1;                                                                    \
    *p = skgd_sum_lanes(p0), *q = skgd_sum_lanes(q0);
#else
#define SKGD_AT(x) x[j]
#define SKGD_STEP_BODY(A)                                                                  \
    *p = *q = 0;                                                                           \
    for (ptrdiff_t j = 0; j < d; j++) {                                                    \
        double moved = w[j] - A (step * before[j] + decay * w[j]);                         \
        w[j] = moved;                                                                      \
        *p += next[j] * (moved - next_decay * (A moved));                                  \
        *q += next[j] * (A here[j]);                                                       \
    }
#endif

#define SKGD_STEP_BEHIND(NAME, A)                                                          \
    SKGD_CLONES static void skgd_step_behind_##NAME(                                       \
        ptrdiff_t d, double *before, double *here, double *next, double *a, double step,   \
        double decay, double next_decay, double *w, double *p, double *q,                  \
        const char *ahead, ptrdiff_t size, ptrdiff_t last)                                 \
    {                                                                                      \
        (void)a;                                                                           \
        SKGD_PREFETCH(ahead + last);                                                       \
        SKGD_STEP_BODY(A)                                                                  \
    }

SKGD_STEP_BEHIND(plain, 1.0 *)
SKGD_STEP_BEHIND(metric, SKGD_AT(a) *)

/* Merge a block of rows into running weighted means and sums of squared deviations (Chan, Golub and
   LeVeque, 1983): the block's own mean first, while its rows are in cache. weight is the weight of
   what was merged before; s may be NULL. Returns the weight of the block. */
#define SKGD_MOMENTS(T, NAME)                                                              \
    SKGD_CLONES static double skgd_moments_##NAME(                                         \
        const char **rows, ptrdiff_t m, ptrdiff_t d, const double *s, double weight,       \
        double *mean, double *deviation, double *block)                                    \
    {                                                                                      \
        double total = 0;                                                                  \
        for (ptrdiff_t i = 0; i < m; i++)                                                  \
            total += s ? s[i] : 1.0;                                                       \
        if (total <= 0)                                                                    \
            return 0;                                                                      \
        for (ptrdiff_t j = 0; j < d; j++)                                                  \
            block[j] = 0;                                                                  \
        for (ptrdiff_t i = 0; i < m; i++) {                                                \
            const T *a = (const T *)rows[i];                                               \
            double share = (s ? s[i] : 1.0) / total;                                       \
            SKGD_SIMD()                                                                    \
            for (ptrdiff_t j = 0; j < d; j++)                                              \
                block[j] += share * a[j];                                                  \
        }                                                                                  \
        for (ptrdiff_t i = 0; i < m; i++) {                                                \
            const T *a = (const T *)rows[i];                                               \
            double si = s ? s[i] : 1.0;                                                    \
            SKGD_SIMD()                                                                    \
            for (ptrdiff_t j = 0; j < d; j++)                                              \
                deviation[j] += si * (a[j] - block[j]) * (a[j] - block[j]);                \
        }                                                                                  \
        double share = total / (weight + total), between = weight * share;                 \
        SKGD_SIMD()                                                                        \
        for (ptrdiff_t j = 0; j < d; j++) {                                                \
            double change = block[j] - mean[j];                                            \
            deviation[j] += between * change * change;                                     \
            mean[j] += share * change;                                                     \
        }                                                                                  \
        return total;                                                                      \
    }

SKGD_MOMENTS(double, f64)
SKGD_MOMENTS(float, f32)

SKGD_DENSE(double, f64)
SKGD_DENSE(float, f32)

/* x = factor * weight * x, and the sum of it. A weight of zero takes a row out, whatever its number is;
   weight may be NULL. */
SKGD_CLONES static double skgd_weigh(ptrdiff_t m, double factor, const double *weight, double *x)
{
    double s = 0;
    if (weight) {
        SKGD_SIMD(reduction(+ : s))
        for (ptrdiff_t i = 0; i < m; i++) {
            x[i] = weight[i] != 0.0 ? factor * weight[i] * x[i] : 0.0;
            s += x[i];
        }
    } else {
        SKGD_SIMD(reduction(+ : s))
        for (ptrdiff_t i = 0; i < m; i++) {
            x[i] *= factor;
            s += x[i];
        }
    }
    return s;
}

/* ---- rows of a CSR matrix -------------------------------------------------------- */

/* In loops over the columns of a row: numbers that lie anywhere are faster fetched one by one than
   gathered into vectors, as GCC would. */
#if defined(__GNUC__)
#define SKGD_ONE_BY_ONE __asm__ volatile("")
#else
#define SKGD_ONE_BY_ONE (void)0
#endif

/* Columns whose parameters are updated while they are in the nearest cache. */
#define SKGD_TILE 512

/* What single sparse rows need of a column lies together: its coefficients of k outputs, the total of the
   rates up to which they have decayed, and their squared scales in the metric, a. A record is 32 bytes or
   whole cache lines long. */
SKGD_INLINE ptrdiff_t skgd_record_size(ptrdiff_t k)
{
    return k == 1 ? 4 : (2 * k + 1 + SKGD_LANES - 1) / SKGD_LANES * SKGD_LANES;
}

/* w decays by exp(-l2 since), which is a short polynomial as long as all exponents are small. */
SKGD_INLINE void skgd_decay(ptrdiff_t n, double l2, const double *since, double *w)
{
    double longest = 0;
    SKGD_SIMD(reduction(max : longest))
    for (ptrdiff_t i = 0; i < n; i++)
        longest = since[i] > longest ? since[i] : longest;
    if (l2 * longest > 1e-3) {
        for (ptrdiff_t i = 0; i < n; i++)
            w[i] *= skgd_exp1(-l2 * since[i]);
    } else if (l2 * longest > 0) {
        SKGD_SIMD()
        for (ptrdiff_t i = 0; i < n; i++) {
            double e = -l2 * since[i];
            w[i] *= 1 + e * (1 + e * (1.0 / 2 + e * (1.0 / 6 + e * (1.0 / 24))));
        }
    }
}

/* The margins of m coefficients of each output, k side by side, and as many numbers of a row. */
#define SKGD_PRODUCTS(T, NAME)                                                             \
    SKGD_INLINE void skgd_products_some_##NAME(                                            \
        const T *x, ptrdiff_t m, ptrdiff_t k, const double *w, double *z)                  \
    {                                                                                      \
        if (k == 1) {                                                                      \
            double s = 0;                                                                  \
            SKGD_SIMD(reduction(+ : s))                                                    \
            for (ptrdiff_t e = 0; e < m; e++)                                              \
                s += x[e] * w[e];                                                          \
            z[0] = s;                                                                      \
            return;                                                                        \
        }                                                                                  \
        for (ptrdiff_t c = 0; c < k; c++)                                                  \
            z[c] = 0;                                                                      \
        for (ptrdiff_t e = 0; e < m; e++)                                                  \
            for (ptrdiff_t c = 0; c < k; c++)                                              \
                z[c] += x[e] * w[e * k + c];                                               \
    }                                                                                      \
    SKGD_CLONES static void skgd_products_##NAME(                                          \
        const void *data, ptrdiff_t start, ptrdiff_t m, ptrdiff_t k, const double *w,      \
        double *z)                                                                         \
    {                                                                                      \
        skgd_products_some_##NAME((const T *)data + start, m, k, w, z);                    \
    }

SKGD_PRODUCTS(double, f64)
SKGD_PRODUCTS(float, f32)

/* gather brings the coefficients of a row up to date, k side by side for each column, and makes their
   margins z: each has decayed by exp(-l2 a (total - last)); since holds a (total - last), for a threshold.
   scatter steps along the row and puts them back. One output is compiled by itself. */
#define SKGD_RECORDS(T, X, I, NAME)                                                        \
    SKGD_INLINE void skgd_gather_some_##NAME(                                              \
        const T *x, const I *column, ptrdiff_t m, ptrdiff_t k, const double *record,       \
        double total, double l2, double *w, double *since, double *z)                      \
    {                                                                                      \
        for (ptrdiff_t e = 0; e < m; e++) {                                                \
            const double *r = record + skgd_record_size(k) * column[e];                    \
            for (ptrdiff_t c = 0; c < k; c++) {                                            \
                w[e * k + c] = r[c];                                                       \
                since[e * k + c] = r[k + 1 + c] * (total - r[k]);                          \
            }                                                                              \
            SKGD_ONE_BY_ONE;                                                               \
        }                                                                                  \
        skgd_decay(m * k, l2, since, w);                                                   \
        skgd_products_some_##X(x, m, k, w, z);                                             \
    }                                                                                      \
    SKGD_CLONES static void skgd_gather_##NAME(                                            \
        const void *data, const void *indices, ptrdiff_t start, ptrdiff_t stop,            \
        ptrdiff_t k, const double *record, double total, double l2, double *w,             \
        double *since, double *z)                                                          \
    {                                                                                      \
        const T *x = (const T *)data + start;                                              \
        const I *column = (const I *)indices + start;                                      \
        ptrdiff_t m = stop - start;                                                        \
        if (k == 1)                                                                        \
            skgd_gather_some_##NAME(x, column, m, 1, record, total, l2, w, since, z);      \
        else                                                                               \
            skgd_gather_some_##NAME(x, column, m, k, record, total, l2, w, since, z);      \
    }                                                                                      \
    SKGD_INLINE void skgd_scatter_some_##NAME(                                             \
        const T *x, const I *column, ptrdiff_t m, ptrdiff_t k, double *record,             \
        double total, const double *step, const double *w)                                 \
    {                                                                                      \
        for (ptrdiff_t e = 0; e < m; e++) {                                                \
            double *r = record + skgd_record_size(k) * column[e];                          \
            for (ptrdiff_t c = 0; c < k; c++)                                              \
                r[c] = w[e * k + c] - step[c] * r[k + 1 + c] * x[e];                       \
            r[k] = total;                                                                  \
            SKGD_ONE_BY_ONE;                                                               \
        }                                                                                  \
    }                                                                                      \
    SKGD_CLONES static void skgd_scatter_##NAME(                                           \
        const void *data, const void *indices, ptrdiff_t start, ptrdiff_t stop,            \
        ptrdiff_t k, double *record, double total, const double *step, const double *w)    \
    {                                                                                      \
        const T *x = (const T *)data + start;                                              \
        const I *column = (const I *)indices + start;                                      \
        double one = step[0];                                                              \
        if (k == 1)                                                                        \
            skgd_scatter_some_##NAME(x, column, stop - start, 1, record, total, &one, w);  \
        else                                                                               \
            skgd_scatter_some_##NAME(x, column, stop - start, k, record, total, step, w);  \
    }

SKGD_RECORDS(double, f64, int32_t, f64_i32)
SKGD_RECORDS(double, f64, int64_t, f64_i64)
SKGD_RECORDS(float, f32, int32_t, f32_i32)
SKGD_RECORDS(float, f32, int64_t, f32_i64)

/* The records of parameters u, all up to date: w = u inverse. Rows of u, and of inverse, are p apart. */
SKGD_CLONES static void skgd_record(
    ptrdiff_t d, ptrdiff_t k, const double *u, ptrdiff_t p, const double *inverse,
    const double *unit, double *record)
{
    for (ptrdiff_t j = 0; j < d; j++) {
        double *r = record + skgd_record_size(k) * j;
        r[k] = 0;
        for (ptrdiff_t c = 0; c < k; c++) {
            double scale = inverse[c * p + j];
            r[c] = u[c * p + j] * scale;
            r[k + 1 + c] = scale * scale * unit[c];
        }
    }
}

/* Bring all coefficients up to date at the end: w has decayed, since is left for a threshold. */
SKGD_CLONES static void skgd_settle(
    ptrdiff_t d, ptrdiff_t k, const double *record, double total, double l2, double *w, ptrdiff_t p,
    double *since)
{
    ptrdiff_t size = skgd_record_size(k), block = 64;
    for (ptrdiff_t first = 0; first < d; first += block)
        for (ptrdiff_t c = 0; c < k; c++)
            for (ptrdiff_t j = first; j < d && j < first + block; j++) {
                const double *r = record + size * j;
                since[c * p + j] = r[k + 1 + c] * (total - r[k]);
                w[c * p + j] = r[c] * skgd_exp1(-l2 * since[c * p + j]);
            }
}

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
    static void skgd_csr_spread_##NAME(                                                    \
        const void *data, const void *indices, ptrdiff_t start, ptrdiff_t stop,            \
        double weight, const double *mean, double *deviation, double *stored)              \
    {                                                                                      \
        const T *x = (const T *)data;                                                      \
        const I *column = (const I *)indices;                                              \
        for (ptrdiff_t k = start; k < stop; k++) {                                         \
            double away = x[k] - mean[column[k]];                                          \
            deviation[column[k]] += weight * away * away;                                  \
            stored[column[k]] += weight;                                                   \
        }                                                                                  \
    }

SKGD_CSR(double, int32_t, f64_i32)
SKGD_CSR(double, int64_t, f64_i64)
SKGD_CSR(float, int32_t, f32_i32)
SKGD_CSR(float, int64_t, f32_i64)

/* Products of a row with many outputs, whose numbers for a column are side by side: `k` of them, in whole
   groups, of which the first is on a cache line. Those of the row's columns are fetched ahead by
   skgd_csr_fetch. */
#define SKGD_CSR_TILE(T, I, GROUPS)                                                        \
    {                                                                                      \
        skgd_lanes s[GROUPS], v;                                                           \
        for (int q = 0; q < GROUPS; q++)                                                   \
            SKGD_ZERO(s[q]);                                                               \
        for (ptrdiff_t e = start; e < stop; e++)                                           \
            for (int q = 0; q < GROUPS; q++) {                                             \
                SKGD_LOAD(v, w + column[e] * k + c + SKGD_LANES * q);                      \
                SKGD_MULTIPLY_ADD(s[q], x[e], v);                                          \
            }                                                                              \
        for (int q = 0; q < GROUPS; q++)                                                   \
            SKGD_STORE(z + c + SKGD_LANES * q, s[q]);                                      \
    }

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
        for (; c + 4 * SKGD_LANES <= k; c += 4 * SKGD_LANES)                               \
            SKGD_CSR_TILE(T, I, 4)                                                         \
        for (; c + 2 * SKGD_LANES <= k; c += 2 * SKGD_LANES)                               \
            SKGD_CSR_TILE(T, I, 2)                                                         \
        for (; c < k; c += SKGD_LANES)                                                     \
            SKGD_CSR_TILE(T, I, 1)                                                         \
    }                                                                                      \
    SKGD_CLONES static void skgd_csr_gradients_##NAME(                                     \
        const void *data, const void *indices, ptrdiff_t start, ptrdiff_t stop,            \
        ptrdiff_t k, const double *slopes, double *g)                                      \
    {                                                                                      \
        const T *x = (const T *)data;                                                      \
        const I *column = (const I *)indices;                                              \
        for (ptrdiff_t e = start; e < stop; e++) {                                         \
            double *out = g + column[e] * k;                                               \
            for (ptrdiff_t c = 0; c < k; c += SKGD_LANES) {                                \
                skgd_lanes v, sum;                                                         \
                SKGD_LOAD(v, slopes + c);                                                  \
                SKGD_LOAD(sum, out + c);                                                   \
                SKGD_MULTIPLY_ADD(sum, x[e], v);                                           \
                SKGD_STORE(out + c, sum);                                                  \
            }                                                                              \
        }                                                                                  \
    }

SKGD_CSR_MANY(double, int32_t, f64_i32)
SKGD_CSR_MANY(double, int64_t, f64_i64)
SKGD_CSR_MANY(float, int32_t, f32_i32)
SKGD_CSR_MANY(float, int64_t, f32_i64)

/* ---- batches of CSR rows, cut into tiles of columns ----------------------------------- */

/* What a batch stores in a tile lies together, as numbers and places: the row in the batch in the high
   half, the column in the tile in the low one. A model whose parameters are updated tile by tile reads and
   writes nothing else than what is in the nearest cache. Neighbours are taken from eight parts of the tile in
   turn, so that no sum waits for the one before. */
#define SKGD_PARTS 8
#define SKGD_CUT(T, I, NAME)                                                               \
    static void skgd_count_##NAME(                                                         \
        const void *indices, ptrdiff_t start, ptrdiff_t stop, ptrdiff_t *count)            \
    {                                                                                      \
        for (ptrdiff_t k = start; k < stop; k++)                                           \
            count[((const I *)indices)[k] / SKGD_TILE]++;                                  \
    }                                                                                      \
    static void skgd_cut_##NAME(                                                           \
        const void *data, const void *indices, ptrdiff_t start, ptrdiff_t stop,            \
        uint32_t row, const ptrdiff_t *end, ptrdiff_t *next, double *numbers,              \
        uint32_t *places)                                                                  \
    {                                                                                      \
        for (ptrdiff_t k = start; k < stop; k++) {                                         \
            ptrdiff_t column = ((const I *)indices)[k], tile = column / SKGD_TILE;         \
            ptrdiff_t at = next[tile];                                                     \
            numbers[at] = ((const T *)data)[k];                                            \
            places[at] = row << 16 | (uint32_t)(column % SKGD_TILE);                       \
            at += SKGD_PARTS;                                                              \
            next[tile] = at < end[tile] ? at : at % SKGD_PARTS + 1 + end[tile - 1];        \
        }                                                                                  \
    }

SKGD_CUT(double, int32_t, f64_i32)
SKGD_CUT(double, int64_t, f64_i64)
SKGD_CUT(float, int32_t, f32_i32)
SKGD_CUT(float, int64_t, f32_i64)

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

/* What is done with rows whose numbers and column numbers are of one type each. */
typedef struct {
    double (*dot)(const void *, const void *, ptrdiff_t, ptrdiff_t, const double *);
    void (*add)(const void *, const void *, ptrdiff_t, ptrdiff_t, double, double *);
    void (*spread)(const void *, const void *, ptrdiff_t, ptrdiff_t, double, const double *,
                   double *, double *);
    void (*gather)(const void *, const void *, ptrdiff_t, ptrdiff_t, ptrdiff_t, const double *,
                   double, double, double *, double *, double *);
    void (*products)(const void *, ptrdiff_t, ptrdiff_t, ptrdiff_t, const double *, double *);
    void (*scatter)(const void *, const void *, ptrdiff_t, ptrdiff_t, ptrdiff_t, double *, double,
                    const double *, const double *);
    void (*fetch)(const void *, ptrdiff_t, ptrdiff_t, ptrdiff_t, const double *);
    void (*margins)(const void *, const void *, ptrdiff_t, ptrdiff_t, ptrdiff_t, const double *,
                    double *);
    void (*gradients)(const void *, const void *, ptrdiff_t, ptrdiff_t, ptrdiff_t, const double *,
                      double *);
    void (*count)(const void *, ptrdiff_t, ptrdiff_t, ptrdiff_t *);
    void (*cut)(const void *, const void *, ptrdiff_t, ptrdiff_t, uint32_t, const ptrdiff_t *,
                ptrdiff_t *, double *, uint32_t *);
} skgd_csr_kernels;

#define SKGD_KERNELS(X, NAME)                                                              \
    {                                                                                      \
        skgd_csr_dot_##NAME, skgd_csr_add_##NAME, skgd_csr_spread_##NAME,                  \
        skgd_gather_##NAME, skgd_products_##X, skgd_scatter_##NAME, skgd_csr_fetch_##NAME, \
        skgd_csr_margins_##NAME, skgd_csr_gradients_##NAME, skgd_count_##NAME,             \
        skgd_cut_##NAME                                                                    \
    }

/* By whether the numbers are float32 and whether the column numbers have 64 bits. */
static const skgd_csr_kernels skgd_csr[2][2] = {
    {SKGD_KERNELS(f64, f64_i32), SKGD_KERNELS(f64, f64_i64)},
    {SKGD_KERNELS(f32, f32_i32), SKGD_KERNELS(f32, f32_i64)},
};

/* ---- parameters in the coordinates of a metric ------------------------------------- */

/* g = (g - sum * mean) * inverse * unit: a gradient for raw columns becomes one for centred and scaled
   columns. */
SKGD_CLONES static void skgd_to_metric(
    ptrdiff_t d, double sum, const double *mean, const double *inverse, double unit, double *g)
{
    for (ptrdiff_t j = 0; j < d; j++)
        g[j] = (g[j] - sum * mean[j]) * inverse[j] * unit;
}

/* w = u * inverse; returns mean . w. */
SKGD_CLONES static double skgd_from_metric(
    ptrdiff_t d, const double *u, const double *inverse, const double *mean, double *w)
{
    double s = 0;
    SKGD_SIMD(reduction(+ : s))
    for (ptrdiff_t j = 0; j < d; j++) {
        double wj = u[j] * inverse[j];
        w[j] = wj;
        s += mean[j] * wj;
    }
    return s;
}

/* g += extra * inverse */
SKGD_CLONES static void skgd_add_scaled(
    ptrdiff_t d, const double *extra, const double *inverse, double *g)
{
    for (ptrdiff_t j = 0; j < d; j++)
        g[j] += extra[j] * inverse[j];
}

/* z += number */
SKGD_CLONES static void skgd_shift(ptrdiff_t m, double number, double *z)
{
    for (ptrdiff_t i = 0; i < m; i++)
        z[i] += number;
}

/* average += share * (u - average) */
SKGD_CLONES static void skgd_average(ptrdiff_t d, double share, const double *u, double *average)
{
    for (ptrdiff_t j = 0; j < d; j++)
        average[j] += share * (u[j] - average[j]);
}

#endif
