/* Steps along single rows of a CSR matrix, of all types of numbers and column numbers.

   What a step needs of a column lies together in a record, for its k outputs. Most of the time is spent
   waiting for records, so they are short: at 20 000 x 100 000 with 100 numbers a row, 32 bytes took 17 ns a
   number, 24 bytes 12 and 16 bytes 8. */
#ifndef SKGD_SPARSE_STEPS_H
#define SKGD_SPARSE_STEPS_H

#include "rows.h"

/* The numbers of a record: few, or whole cache lines of them. */
SKGD_INLINE ptrdiff_t skgd_record_size(ptrdiff_t numbers)
{
    return numbers <= 4 ? numbers : (numbers + SKGD_LANES - 1) / SKGD_LANES * SKGD_LANES;
}

/* exp(h) is even + odd and exp(-h) even - odd, given h and its square, to the last bit for exponents up to
   here. */
#define SKGD_SHORT_EXPONENT 0.0625
#define SKGD_EXP_EVEN(s) (1 + (s) * (1.0 / 2 + (s) * (1.0 / 24 + (s) * (1.0 / 720 + (s) * (1.0 / 40320)))))
#define SKGD_EXP_ODD(h, s) ((h) * (1 + (s) * (1.0 / 6 + (s) * (1.0 / 120 + (s) * (1.0 / 5040)))))

/* ---- records of a common decay ---------------------------------------------------- */

/* With a smooth penalty, w = v exp(-a decay), where the decay is that of all steps so far: the records
   are v and a, and no column remembers when it was last seen. */

/* The records of parameters u, where nothing has decayed: w = u inverse. u and inverse are (k, p). Returns
   the largest a. */
SKGD_CLONES static double skgd_decayed_records(
    ptrdiff_t d, ptrdiff_t k, const double *u, ptrdiff_t p, const double *inverse,
    const double *unit, double *record)
{
    ptrdiff_t size = skgd_record_size(2 * k);
    double largest = 0;
    for (ptrdiff_t j = 0; j < d; j++) {
        double *r = record + size * j;
        for (ptrdiff_t c = 0; c < k; c++) {
            double scale = inverse[c * p + j];
            r[c] = u[c * p + j] * scale;
            r[k + c] = scale * scale * unit[c];
            largest = r[k + c] > largest ? r[k + c] : largest;
        }
    }
    return largest;
}

/* Begin again with v = w; no a is larger than `largest`. */
SKGD_CLONES static void skgd_settle_decay(
    ptrdiff_t d, ptrdiff_t k, double decay, double largest, double *record)
{
    ptrdiff_t size = skgd_record_size(2 * k);
    int is_short = decay * largest <= SKGD_SHORT_EXPONENT;
    for (ptrdiff_t j = 0; j < d; j++)
        for (ptrdiff_t c = 0; c < k; c++) {
            double h = decay * record[size * j + k + c], s = h * h;
            record[size * j + c] *=
                is_short ? SKGD_EXP_EVEN(s) - SKGD_EXP_ODD(h, s) : skgd_exp1(-h);
        }
}

/* w and a exp(a decay), given v and a. */
SKGD_INLINE void skgd_decay_both(
    ptrdiff_t n, double decay, const double *v, double *w, double *step)
{
    double longest = 0;
    SKGD_SIMD(reduction(max : longest))
    for (ptrdiff_t i = 0; i < n; i++)
        longest = step[i] > longest ? step[i] : longest;
    if (decay * longest <= SKGD_SHORT_EXPONENT) {
        SKGD_SIMD()
        for (ptrdiff_t i = 0; i < n; i++) {
            double h = decay * step[i], s = h * h;
            double even = SKGD_EXP_EVEN(s), odd = SKGD_EXP_ODD(h, s);
            w[i] = v[i] * (even - odd);
            step[i] *= even + odd;
        }
    } else {
        for (ptrdiff_t i = 0; i < n; i++) {
            double h = decay * step[i];
            w[i] = v[i] * skgd_exp1(-h);
            step[i] *= skgd_exp1(h);
        }
    }
}

/* ---- records that remember -------------------------------------------------------- */

/* A threshold does not commute with steps, so each column remembers the total of the rates up to which
   it has seen the penalty: the records are w, that total and, in a metric, a. */
SKGD_INLINE ptrdiff_t skgd_lazy_size(ptrdiff_t k, int scaled)
{
    return skgd_record_size(scaled ? 2 * k + 1 : k + 1);
}

/* The records of parameters u, all up to date. */
SKGD_CLONES static void skgd_lazy_records(
    ptrdiff_t d, ptrdiff_t k, int scaled, const double *u, ptrdiff_t p, const double *inverse,
    const double *unit, double *record)
{
    ptrdiff_t size = skgd_lazy_size(k, scaled);
    for (ptrdiff_t j = 0; j < d; j++) {
        double *r = record + size * j;
        r[k] = 0.0;
        for (ptrdiff_t c = 0; c < k; c++) {
            double scale = inverse[c * p + j];
            r[c] = u[c * p + j] * scale;
            if (scaled)
                r[k + 1 + c] = scale * scale * unit[c];
        }
    }
}

/* All coefficients as they are at the end: w has decayed, threshold is still to be applied. */
SKGD_CLONES static void skgd_settle_lazy(
    ptrdiff_t d, ptrdiff_t k, int scaled, const double *record, double total, double l2,
    double alpha, double *w, ptrdiff_t p, double *threshold)
{
    ptrdiff_t size = skgd_lazy_size(k, scaled), block = 64;
    for (ptrdiff_t first = 0; first < d; first += block)
        for (ptrdiff_t c = 0; c < k; c++)
            for (ptrdiff_t j = first; j < d && j < first + block; j++) {
                const double *r = record + size * j;
                double since = (scaled ? r[k + 1 + c] : 1.0) * (total - r[k]);
                threshold[c * p + j] = alpha * since;
                w[c * p + j] = r[c] * skgd_exp1(-l2 * since);
            }
}

/* w has decayed by exp(-l2 since); since becomes a threshold. */
SKGD_INLINE void skgd_decay_one(
    ptrdiff_t n, double l2, double alpha, double *since, double *w)
{
    double longest = 0;
    SKGD_SIMD(reduction(max : longest))
    for (ptrdiff_t i = 0; i < n; i++)
        longest = since[i] > longest ? since[i] : longest;
    if (l2 * longest <= SKGD_SHORT_EXPONENT) {
        SKGD_SIMD()
        for (ptrdiff_t i = 0; i < n; i++) {
            double h = l2 * since[i], s = h * h;
            w[i] *= SKGD_EXP_EVEN(s) - SKGD_EXP_ODD(h, s);
            since[i] *= alpha;
        }
    } else {
        for (ptrdiff_t i = 0; i < n; i++) {
            w[i] *= skgd_exp1(-l2 * since[i]);
            since[i] *= alpha;
        }
    }
}

/* ---- rows ------------------------------------------------------------------------- */

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

/* gather makes a row's coefficients w, k side by side for each column, and what scatter needs to step along
   the row and to put them back. One output is compiled by itself; its records of the `n_next` columns from
   `next` on, of the row that comes next, are fetched meanwhile, which saves a sixth of the time. */
#define SKGD_FETCH_NEXT(size, array)                                                       \
    if (e < n_next)                                                                        \
        SKGD_PREFETCH((const char *)((array) + (size) * next[e]));
#define SKGD_STEPS(T, X, I, NAME)                                                          \
    SKGD_INLINE void skgd_gather_decayed_some_##NAME(                                      \
        const T *x, const I *column, ptrdiff_t m, ptrdiff_t k, const double *record,       \
        double decay, double *v, double *w, double *step, double *z)                       \
    {                                                                                      \
        for (ptrdiff_t e = 0; e < m; e++) {                                                \
            const double *r = record + skgd_record_size(2 * k) * column[e];                \
            for (ptrdiff_t c = 0; c < k; c++) {                                            \
                v[e * k + c] = r[c];                                                       \
                step[e * k + c] = r[k + c];                                                \
            }                                                                              \
            SKGD_ONE_BY_ONE;                                                               \
        }                                                                                  \
        skgd_decay_both(m * k, decay, v, w, step);                                         \
        skgd_products_some_##X(x, m, k, w, z);                                             \
    }                                                                                      \
    SKGD_CLONES static void skgd_gather_decayed_##NAME(                                    \
        const void *data, const void *indices, ptrdiff_t start, ptrdiff_t m, ptrdiff_t k,  \
        const double *record, double decay, double *v, double *w, double *step, double *z) \
    {                                                                                      \
        const T *x = (const T *)data + start;                                              \
        const I *column = (const I *)indices + start;                                      \
        if (k == 1)                                                                        \
            skgd_gather_decayed_some_##NAME(x, column, m, 1, record, decay, v, w, step, z); \
        else                                                                               \
            skgd_gather_decayed_some_##NAME(x, column, m, k, record, decay, v, w, step, z); \
    }                                                                                      \
    SKGD_INLINE void skgd_scatter_decayed_some_##NAME(                                     \
        const T *x, const I *column, ptrdiff_t m, ptrdiff_t k, const double *dz,           \
        const double *v, const double *step, double *record, const I *next,                \
        ptrdiff_t n_next)                                                                  \
    {                                                                                      \
        for (ptrdiff_t e = 0; e < m; e++) {                                                \
            double *r = record + skgd_record_size(2 * k) * column[e];                      \
            SKGD_FETCH_NEXT(skgd_record_size(2 * k), record)                               \
            for (ptrdiff_t c = 0; c < k; c++)                                              \
                r[c] = v[e * k + c] - dz[c] * step[e * k + c] * x[e];                      \
            SKGD_ONE_BY_ONE;                                                               \
        }                                                                                  \
    }                                                                                      \
    SKGD_CLONES static void skgd_scatter_decayed_##NAME(                                   \
        const void *data, const void *indices, ptrdiff_t start, ptrdiff_t m, ptrdiff_t k,  \
        const double *dz, const double *v, const double *step, double *record,             \
        ptrdiff_t next, ptrdiff_t n_next)                                                  \
    {                                                                                      \
        const T *x = (const T *)data + start;                                              \
        const I *column = (const I *)indices + start;                                      \
        double one = dz[0];                                                                \
        if (k == 1)                                                                        \
            skgd_scatter_decayed_some_##NAME(x, column, m, 1, &one, v, step, record,       \
                                             (const I *)indices + next, n_next);           \
        else                                                                               \
            skgd_scatter_decayed_some_##NAME(                                              \
                x, column, m, k, dz, v, step, record, NULL, 0);                            \
    }                                                                                      \
    SKGD_INLINE void skgd_gather_lazy_some_##NAME(                                         \
        const I *column, ptrdiff_t m, ptrdiff_t k, int scaled, const double *record,       \
        double total, double l2, double alpha, double *w, double *threshold)               \
    {                                                                                      \
        for (ptrdiff_t e = 0; e < m; e++) {                                                \
            const double *r = record + skgd_lazy_size(k, scaled) * column[e];              \
            for (ptrdiff_t c = 0; c < k; c++) {                                            \
                w[e * k + c] = r[c];                                                       \
                threshold[e * k + c] = (scaled ? r[k + 1 + c] : 1.0) * (total - r[k]);     \
            }                                                                              \
            SKGD_ONE_BY_ONE;                                                               \
        }                                                                                  \
        skgd_decay_one(m * k, l2, alpha, threshold, w);                                    \
    }                                                                                      \
    SKGD_CLONES static void skgd_gather_lazy_##NAME(                                       \
        const void *indices, ptrdiff_t start, ptrdiff_t m, ptrdiff_t k, int scaled,        \
        const double *record, double total, double l2, double alpha, double *w,            \
        double *threshold)                                                                 \
    {                                                                                      \
        const I *column = (const I *)indices + start;                                      \
        if (k == 1 && scaled)                                                              \
            skgd_gather_lazy_some_##NAME(                                                  \
                column, m, 1, 1, record, total, l2, alpha, w, threshold);                  \
        else if (k == 1)                                                                   \
            skgd_gather_lazy_some_##NAME(                                                  \
                column, m, 1, 0, record, total, l2, alpha, w, threshold);                  \
        else                                                                               \
            skgd_gather_lazy_some_##NAME(                                                  \
                column, m, k, scaled, record, total, l2, alpha, w, threshold);             \
    }                                                                                      \
    SKGD_INLINE void skgd_scatter_lazy_some_##NAME(                                        \
        const T *x, const I *column, ptrdiff_t m, ptrdiff_t k, int scaled, double total,   \
        const double *dz, const double *w, double *record, const I *next,                  \
        ptrdiff_t n_next)                                                                  \
    {                                                                                      \
        for (ptrdiff_t e = 0; e < m; e++) {                                                \
            double *r = record + skgd_lazy_size(k, scaled) * column[e];                    \
            SKGD_FETCH_NEXT(skgd_lazy_size(k, scaled), record)                             \
            for (ptrdiff_t c = 0; c < k; c++)                                              \
                r[c] = w[e * k + c] - dz[c] * (scaled ? r[k + 1 + c] : 1.0) * x[e];        \
            r[k] = total;                                                                  \
            SKGD_ONE_BY_ONE;                                                               \
        }                                                                                  \
    }                                                                                      \
    SKGD_CLONES static void skgd_scatter_lazy_##NAME(                                      \
        const void *data, const void *indices, ptrdiff_t start, ptrdiff_t m, ptrdiff_t k,  \
        int scaled, double total, const double *dz, const double *w, double *record,       \
        ptrdiff_t next, ptrdiff_t n_next)                                                  \
    {                                                                                      \
        const T *x = (const T *)data + start;                                              \
        const I *column = (const I *)indices + start;                                      \
        double one = dz[0];                                                                \
        if (k == 1 && scaled)                                                              \
            skgd_scatter_lazy_some_##NAME(x, column, m, 1, 1, total, &one, w, record,      \
                                          (const I *)indices + next, n_next);              \
        else if (k == 1)                                                                   \
            skgd_scatter_lazy_some_##NAME(x, column, m, 1, 0, total, &one, w, record,      \
                                          (const I *)indices + next, n_next);              \
        else                                                                               \
            skgd_scatter_lazy_some_##NAME(                                                 \
                x, column, m, k, scaled, total, dz, w, record, NULL, 0);                   \
    }                                                                                      \
    SKGD_CLONES static void skgd_add_##NAME(                                               \
        const void *data, const void *indices, ptrdiff_t start, ptrdiff_t m, double c,     \
        double *w, ptrdiff_t next_start, ptrdiff_t n_next)                                 \
    {                                                                                      \
        const T *x = (const T *)data + start;                                              \
        const I *column = (const I *)indices + start;                                      \
        const I *next = (const I *)indices + next_start;                                   \
        for (ptrdiff_t e = 0; e < m; e++) {                                                \
            SKGD_FETCH_NEXT(1, w)                                                          \
            w[column[e]] += c * x[e];                                                      \
        }                                                                                  \
    }

SKGD_STEPS(double, f64, int32_t, f64_i32)
SKGD_STEPS(double, f64, int64_t, f64_i64)
SKGD_STEPS(float, f32, int32_t, f32_i32)
SKGD_STEPS(float, f32, int64_t, f32_i64)

typedef struct {
    void (*products)(const void *, ptrdiff_t, ptrdiff_t, ptrdiff_t, const double *, double *);
    void (*gather_decayed)(const void *, const void *, ptrdiff_t, ptrdiff_t, ptrdiff_t,
                           const double *, double, double *, double *, double *, double *);
    void (*scatter_decayed)(const void *, const void *, ptrdiff_t, ptrdiff_t, ptrdiff_t,
                            const double *, const double *, const double *, double *, ptrdiff_t,
                            ptrdiff_t);
    void (*gather_lazy)(const void *, ptrdiff_t, ptrdiff_t, ptrdiff_t, int, const double *, double,
                        double, double, double *, double *);
    void (*scatter_lazy)(const void *, const void *, ptrdiff_t, ptrdiff_t, ptrdiff_t, int, double,
                         const double *, const double *, double *, ptrdiff_t, ptrdiff_t);
    void (*add)(const void *, const void *, ptrdiff_t, ptrdiff_t, double, double *, ptrdiff_t,
                ptrdiff_t);
} skgd_step_kernels;

#define SKGD_STEP_KERNELS(X, NAME)                                                         \
    {                                                                                      \
        skgd_products_##X, skgd_gather_decayed_##NAME, skgd_scatter_decayed_##NAME,        \
        skgd_gather_lazy_##NAME, skgd_scatter_lazy_##NAME, skgd_add_##NAME                 \
    }

/* By whether the numbers are float32 and whether the column numbers have 64 bits. */
static const skgd_step_kernels skgd_steps[2][2] = {
    {SKGD_STEP_KERNELS(f64, f64_i32), SKGD_STEP_KERNELS(f64, f64_i64)},
    {SKGD_STEP_KERNELS(f32, f32_i32), SKGD_STEP_KERNELS(f32, f32_i64)},
};

#endif
