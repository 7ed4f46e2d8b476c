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

/* w and a exp(a decay), given v and a in their places. */
SKGD_INLINE void skgd_decay_both(ptrdiff_t n, double decay, double *w, double *step)
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
            w[i] *= even - odd;
            step[i] *= even + odd;
        }
    } else {
        for (ptrdiff_t i = 0; i < n; i++) {
            double h = decay * step[i];
            w[i] *= skgd_exp1(-h);
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

/* All coefficients as they are at the end: w has decayed, threshold is still to be applied. */
SKGD_CLONES static void skgd_settle_lazy(
    ptrdiff_t d, ptrdiff_t k, int scaled, const double *record, double total, double l2,
    double alpha, double *w, ptrdiff_t p, double *threshold)
{
    ptrdiff_t size = skgd_lazy_size(k, scaled), block = 64;
    for (ptrdiff_t first = 0; first < d; first += block)
        for (ptrdiff_t c = 0; c < k; c++) {
            ptrdiff_t n = d - first < block ? d - first : block, at = c * p + first;
            for (ptrdiff_t j = 0; j < n; j++) {
                const double *r = record + size * (first + j);
                threshold[at + j] = (scaled ? r[k + 1 + c] : 1.0) * (total - r[k]);
                w[at + j] = r[c];
            }
            skgd_decay_one(n, l2, alpha, threshold + at, w + at);
        }
}

/* ---- rows ------------------------------------------------------------------------- */

/* The row of a step: `m` numbers of X from `start` on. Meanwhile the records of the row that comes next are
   fetched, and piece by piece the numbers of a later one: to fetch whole rows of 100 numbers at once kept the
   loops over 20 000 x 100 000 waiting for a fifth of their time. */
typedef struct {
    const void *data, *indices;
    ptrdiff_t start, m;
    ptrdiff_t next, n_next;
    ptrdiff_t later, n_later;
} skgd_row;

/* What is left to fetch of a row's numbers and column numbers. */
typedef struct {
    const char *x, *x_end, *column, *column_end;
} skgd_unfetched;

/* Numbers of a row between two pieces, which are a cache line each. */
#define SKGD_PACE 8

SKGD_INLINE void skgd_fetch_piece(skgd_unfetched *left)
{
    if (left->x < left->x_end) {
        SKGD_PREFETCH(left->x);
        left->x += 64;
    }
    if (left->column < left->column_end) {
        SKGD_PREFETCH(left->column);
        left->column += 64;
    }
}

SKGD_INLINE void skgd_fetch_rest(skgd_unfetched *left, ptrdiff_t n)
{
    while (left->x < left->x_end || left->column < left->column_end)
        skgd_fetch_piece(left);
    /* A row that does not begin with a cache line ends in one more. */
    if (n > 0) {
        SKGD_PREFETCH(left->x_end - 1);
        SKGD_PREFETCH(left->column_end - 1);
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
        const skgd_row *row, ptrdiff_t k, const double *w, double *z)                      \
    {                                                                                      \
        skgd_products_some_##NAME((const T *)row->data + row->start, row->m, k, w, z);     \
    }

SKGD_PRODUCTS(double, f64)
SKGD_PRODUCTS(float, f32)

/* The numbers and the columns of a row, and what is left to fetch of a later one. */
#define SKGD_READ_ROW(T, I)                                                                \
    const T *x = (const T *)row->data + row->start;                                        \
    const I *column = (const I *)row->indices + row->start;                                \
    const ptrdiff_t m = row->m;                                                            \
    skgd_unfetched left = {                                                                \
        (const char *)((const T *)row->data + row->later),                                 \
        (const char *)((const T *)row->data + row->later + row->n_later),                  \
        (const char *)((const I *)row->indices + row->later),                              \
        (const char *)((const I *)row->indices + row->later + row->n_later),               \
    };

#if defined(__GNUC__) && !defined(__clang__)
#define SKGD_UNROLLED SKGD_PRAGMA(GCC unroll 4)
#else
#define SKGD_UNROLLED
#endif

/* A statement for each number e of a row; records of some size in an array are fetched for the next. */
#define SKGD_FOR_NUMBERS(I, size, array, STATEMENT)                                        \
    {                                                                                      \
        const I *next = (const I *)row->indices + row->next;                               \
        ptrdiff_t e = 0, both = row->m < row->n_next ? row->m : row->n_next;               \
        SKGD_UNROLLED                                                                      \
        for (; e < both; e++) {                                                            \
            SKGD_PREFETCH((const char *)((array) + (size) * next[e]));                     \
            STATEMENT                                                                      \
        }                                                                                  \
        for (; e < row->m; e++) {                                                          \
            STATEMENT                                                                      \
        }                                                                                  \
    }

/* Four records of one output with a common decay, while exponents are short: their part of the margin, and
   what a step takes from them. */
#if defined(__GNUC__)
#define SKGD_FOUR_DECAYED(T, x, c, record, decay, sum, step)                               \
    {                                                                                      \
        const double *r0 = (record) + 2 * (ptrdiff_t)(c)[0];                               \
        const double *r1 = (record) + 2 * (ptrdiff_t)(c)[1];                               \
        const double *r2 = (record) + 2 * (ptrdiff_t)(c)[2];                               \
        const double *r3 = (record) + 2 * (ptrdiff_t)(c)[3];                               \
        skgd_halves v = {r0[0], r1[0], r2[0], r3[0]}, a = {r0[1], r1[1], r2[1], r3[1]};    \
        skgd_halves numbers = SKGD_READ_##T(skgd_halves, x), h = (decay) * a, s = h * h;   \
        skgd_halves even = SKGD_EXP_EVEN(s), odd = SKGD_EXP_ODD(h, s);                     \
        sum += numbers * v * (even - odd);                                                 \
        *(skgd_halves *)(step) = numbers * a * (even + odd);                               \
    }
#define SKGD_MANY_DECAYED(T)                                                               \
    {                                                                                      \
        skgd_halves sum = {0};                                                             \
        for (; e + SKGD_PACE <= m; e += SKGD_PACE) {                                       \
            SKGD_FOUR_DECAYED(T, x + e, column + e, record, decay, sum, step + e)          \
            SKGD_FOUR_DECAYED(T, x + e + 4, column + e + 4, record, decay, sum, step + e + 4) \
            skgd_fetch_piece(&left);                                                       \
        }                                                                                  \
        z = (sum[0] + sum[2]) + (sum[1] + sum[3]);                                         \
    }
#else
#define SKGD_MANY_DECAYED(T)
#endif

/* gather makes a row's coefficients w, k side by side for each column, and what scatter needs to step along
   the row and to put them back. One output is compiled by itself; its records are fetched for the row that
   comes next, which saves a sixth of the time. */
#define SKGD_STEPS(T, X, I, NAME)                                                          \
    SKGD_CLONES static double skgd_dot_##NAME(const skgd_row *row, const double *w)        \
    {                                                                                      \
        SKGD_READ_ROW(T, I)                                                                \
        double s0 = 0, s1 = 0, s2 = 0, s3 = 0;                                             \
        ptrdiff_t e = 0;                                                                   \
        for (; e + SKGD_PACE <= m; e += SKGD_PACE) {                                       \
            skgd_fetch_piece(&left);                                                       \
            for (ptrdiff_t q = e; q < e + SKGD_PACE; q += 4) {                             \
                s0 += x[q] * w[column[q]];                                                 \
                s1 += x[q + 1] * w[column[q + 1]];                                         \
                s2 += x[q + 2] * w[column[q + 2]];                                         \
                s3 += x[q + 3] * w[column[q + 3]];                                         \
                SKGD_ONE_BY_ONE;                                                           \
            }                                                                              \
        }                                                                                  \
        for (; e < m; e++)                                                                 \
            s0 += x[e] * w[column[e]];                                                     \
        skgd_fetch_rest(&left, row->n_later);                                              \
        return (s0 + s2) + (s1 + s3);                                                      \
    }                                                                                      \
    SKGD_CLONES static void skgd_add_##NAME(const skgd_row *row, double c, double *w)      \
    {                                                                                      \
        const T *x = (const T *)row->data + row->start;                                    \
        const I *column = (const I *)row->indices + row->start;                            \
        SKGD_FOR_NUMBERS(I, 1, w, w[column[e]] += c * x[e];)                               \
    }                                                                                      \
    SKGD_CLONES static double skgd_gather_one_decayed_##NAME(                              \
        const skgd_row *row, const double *record, double decay, double *step)             \
    {                                                                                      \
        SKGD_READ_ROW(T, I)                                                                \
        double z = 0;                                                                      \
        ptrdiff_t e = 0;                                                                   \
        SKGD_MANY_DECAYED(T)                                                               \
        for (; e < m; e++) {                                                               \
            const double *r = record + 2 * (ptrdiff_t)column[e];                           \
            double h = decay * r[1], s = h * h;                                            \
            double even = SKGD_EXP_EVEN(s), odd = SKGD_EXP_ODD(h, s);                      \
            z += x[e] * r[0] * (even - odd);                                               \
            step[e] = x[e] * r[1] * (even + odd);                                          \
        }                                                                                  \
        skgd_fetch_rest(&left, row->n_later);                                              \
        return z;                                                                          \
    }                                                                                      \
    SKGD_CLONES static void skgd_gather_decayed_##NAME(                                    \
        const skgd_row *row, ptrdiff_t k, const double *record, double decay, double *w,   \
        double *step, double *z)                                                           \
    {                                                                                      \
        SKGD_READ_ROW(T, I)                                                                \
        for (ptrdiff_t e = 0; e < m; e++) {                                                \
            const double *r = record + skgd_record_size(2 * k) * column[e];                \
            for (ptrdiff_t c = 0; c < k; c++) {                                            \
                w[e * k + c] = r[c];                                                       \
                step[e * k + c] = r[k + c];                                                \
            }                                                                              \
            if (e % SKGD_PACE == 0)                                                        \
                skgd_fetch_piece(&left);                                                   \
            SKGD_ONE_BY_ONE;                                                               \
        }                                                                                  \
        skgd_fetch_rest(&left, row->n_later);                                              \
        skgd_decay_both(m * k, decay, w, step);                                            \
        skgd_products_some_##X(x, m, k, w, z);                                             \
        for (ptrdiff_t e = 0; e < m; e++)                                                  \
            for (ptrdiff_t c = 0; c < k; c++)                                              \
                step[e * k + c] *= x[e];                                                   \
    }                                                                                      \
    SKGD_CLONES static void skgd_scatter_decayed_##NAME(                                   \
        const skgd_row *row, ptrdiff_t k, const double *dz, const double *step,            \
        double *record)                                                                    \
    {                                                                                      \
        const I *column = (const I *)row->indices + row->start;                            \
        double one = dz[0];                                                                \
        if (k == 1) {                                                                      \
            SKGD_FOR_NUMBERS(I, 2, record, record[2 * (ptrdiff_t)column[e]] -= one * step[e];) \
            return;                                                                        \
        }                                                                                  \
        for (ptrdiff_t e = 0; e < row->m; e++) {                                           \
            double *r = record + skgd_record_size(2 * k) * column[e];                      \
            for (ptrdiff_t c = 0; c < k; c++)                                              \
                r[c] -= dz[c] * step[e * k + c];                                           \
            SKGD_ONE_BY_ONE;                                                               \
        }                                                                                  \
    }                                                                                      \
    SKGD_INLINE void skgd_gather_lazy_some_##NAME(                                         \
        const skgd_row *row, ptrdiff_t k, int scaled, const double *record, double total,  \
        double l2, double alpha, double *w, double *threshold)                             \
    {                                                                                      \
        SKGD_READ_ROW(T, I)                                                                \
        (void)x;                                                                           \
        for (ptrdiff_t e = 0; e < m; e++) {                                                \
            const double *r = record + skgd_lazy_size(k, scaled) * column[e];              \
            for (ptrdiff_t c = 0; c < k; c++) {                                            \
                w[e * k + c] = r[c];                                                       \
                threshold[e * k + c] = (scaled ? r[k + 1 + c] : 1.0) * (total - r[k]);     \
            }                                                                              \
            if (e % SKGD_PACE == 0)                                                        \
                skgd_fetch_piece(&left);                                                   \
            SKGD_ONE_BY_ONE;                                                               \
        }                                                                                  \
        skgd_fetch_rest(&left, row->n_later);                                              \
        skgd_decay_one(m * k, l2, alpha, threshold, w);                                    \
    }                                                                                      \
    SKGD_CLONES static void skgd_gather_lazy_##NAME(                                       \
        const skgd_row *row, ptrdiff_t k, int scaled, const double *record, double total,  \
        double l2, double alpha, double *w, double *threshold)                             \
    {                                                                                      \
        if (k == 1 && scaled)                                                              \
            skgd_gather_lazy_some_##NAME(row, 1, 1, record, total, l2, alpha, w, threshold); \
        else if (k == 1)                                                                   \
            skgd_gather_lazy_some_##NAME(row, 1, 0, record, total, l2, alpha, w, threshold); \
        else                                                                               \
            skgd_gather_lazy_some_##NAME(                                                  \
                row, k, scaled, record, total, l2, alpha, w, threshold);                   \
    }                                                                                      \
    SKGD_INLINE void skgd_scatter_lazy_some_##NAME(                                        \
        const skgd_row *row, ptrdiff_t k, int scaled, double total, const double *dz,      \
        const double *w, double *record)                                                   \
    {                                                                                      \
        const T *x = (const T *)row->data + row->start;                                    \
        const I *column = (const I *)row->indices + row->start;                            \
        SKGD_FOR_NUMBERS(I, skgd_lazy_size(k, scaled), record,                             \
            double *r = record + skgd_lazy_size(k, scaled) * column[e];                    \
            for (ptrdiff_t c = 0; c < k; c++)                                              \
                r[c] = w[e * k + c] - dz[c] * (scaled ? r[k + 1 + c] : 1.0) * x[e];        \
            r[k] = total;                                                                  \
            SKGD_ONE_BY_ONE;)                                                              \
    }                                                                                      \
    SKGD_CLONES static void skgd_scatter_lazy_##NAME(                                      \
        const skgd_row *row, ptrdiff_t k, int scaled, double total, const double *dz,      \
        const double *w, double *record)                                                   \
    {                                                                                      \
        double one = dz[0];                                                                \
        if (k == 1 && scaled)                                                              \
            skgd_scatter_lazy_some_##NAME(row, 1, 1, total, &one, w, record);              \
        else if (k == 1)                                                                   \
            skgd_scatter_lazy_some_##NAME(row, 1, 0, total, &one, w, record);              \
        else                                                                               \
            skgd_scatter_lazy_some_##NAME(row, k, scaled, total, dz, w, record);           \
    }

SKGD_STEPS(double, f64, int32_t, f64_i32)
SKGD_STEPS(double, f64, int64_t, f64_i64)
SKGD_STEPS(float, f32, int32_t, f32_i32)
SKGD_STEPS(float, f32, int64_t, f32_i64)

typedef struct {
    double (*dot)(const skgd_row *, const double *);
    void (*add)(const skgd_row *, double, double *);
    void (*products)(const skgd_row *, ptrdiff_t, const double *, double *);
    double (*gather_one_decayed)(const skgd_row *, const double *, double, double *);
    void (*gather_decayed)(const skgd_row *, ptrdiff_t, const double *, double, double *, double *,
                           double *);
    void (*scatter_decayed)(const skgd_row *, ptrdiff_t, const double *, const double *, double *);
    void (*gather_lazy)(const skgd_row *, ptrdiff_t, int, const double *, double, double, double,
                        double *, double *);
    void (*scatter_lazy)(const skgd_row *, ptrdiff_t, int, double, const double *, const double *,
                         double *);
} skgd_step_kernels;

#define SKGD_STEP_KERNELS(X, NAME)                                                         \
    {                                                                                      \
        skgd_dot_##NAME, skgd_add_##NAME, skgd_products_##X,                               \
        skgd_gather_one_decayed_##NAME, skgd_gather_decayed_##NAME,                        \
        skgd_scatter_decayed_##NAME, skgd_gather_lazy_##NAME, skgd_scatter_lazy_##NAME     \
    }

/* By whether the numbers are float32 and whether the column numbers have 64 bits. */
static const skgd_step_kernels skgd_steps[2][2] = {
    {SKGD_STEP_KERNELS(f64, f64_i32), SKGD_STEP_KERNELS(f64, f64_i64)},
    {SKGD_STEP_KERNELS(f32, f32_i32), SKGD_STEP_KERNELS(f32, f32_i64)},
};

#endif
