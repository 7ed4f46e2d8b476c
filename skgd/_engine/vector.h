/* Loops over arrays of doubles, compiled for several instruction sets.

   On x86-64 Linux with GCC each function marked SKGD_CLONES exists three times in the
   binary (AVX-512, AVX2, SSE2) and the loader picks one; elsewhere, or with
   -DSKGD_PLAIN_C, it is plain C. Reductions name their order freedom with `omp simd`;
   nothing else is reassociated, so the arithmetic tricks below are safe. */
#ifndef SKGD_VECTOR_H
#define SKGD_VECTOR_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The kernels are worth GCC's whole effort, whatever the rest of a file is compiled with (setup.py). */
#if defined(__GNUC__) && !defined(__clang__)
#define SKGD_KERNEL unused, optimize("O3")
#else
#define SKGD_KERNEL unused
#endif

#if !defined(SKGD_PLAIN_C) && defined(__x86_64__) && defined(__GLIBC__) \
    && defined(__GNUC__) && !defined(__clang__)
#define SKGD_CLONES_DIFFER
#define SKGD_CLONES                                                                        \
    __attribute__((SKGD_KERNEL, target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#elif defined(__GNUC__)
#define SKGD_CLONES __attribute__((SKGD_KERNEL))
#else
#define SKGD_CLONES
#endif

#if defined(__GNUC__)
#define SKGD_INLINE static inline __attribute__((always_inline, unused))
#define SKGD_PREFETCH(address) __builtin_prefetch(address)
#define SKGD_PRAGMA(text) _Pragma(#text)
#define SKGD_SIMD(...) SKGD_PRAGMA(omp simd __VA_ARGS__)
#else
#define SKGD_SIMD(...)
#define SKGD_INLINE static inline
#define SKGD_PREFETCH(address) ((void)(address))
#endif

/* ---- eight numbers side by side --------------------------------------------------- */

/* Arrays that are read in whole groups of eight are filled up with zeros. */
#define SKGD_LANES 8

#if defined(__GNUC__)
typedef double skgd_lanes __attribute__((vector_size(64), aligned(8), may_alias));
/* Half of them, for processors whose vectors are no longer: what is longer, GCC keeps on the stack. A step
   along a row of 100 numbers took 240 ns in whole groups on AVX2, and 32 ns in halves. */
typedef double skgd_halves __attribute__((vector_size(32), aligned(8), may_alias));
/* Into how many vectors of a type a group is divided, and how long they are. */
#define SKGD_PIECES(V) ((int)(SKGD_LANES * sizeof(double) / sizeof(V)))
#define SKGD_LENGTH(V) ((ptrdiff_t)(sizeof(V) / sizeof(double)))
#define SKGD_READ_double(V, x) (*(const V *)(x))
/* Floats one by one: GCC makes one conversion of them, and three of __builtin_convertvector. */
#define SKGD_READ_float(V, x) SKGD_FLOATS_AS_##V((const float *)(x))
#define SKGD_FLOATS_AS_skgd_halves(x) (skgd_halves){(x)[0], (x)[1], (x)[2], (x)[3]}
#define SKGD_FLOATS_AS_skgd_lanes(x) \
    (skgd_lanes){(x)[0], (x)[1], (x)[2], (x)[3], (x)[4], (x)[5], (x)[6], (x)[7]}
#define SKGD_LOAD(v, address) v = *(const skgd_lanes *)(address)
#define SKGD_STORE(address, v) *(skgd_lanes *)(address) = v
/* The sum of a group that is divided into vectors. */
SKGD_INLINE double skgd_sum_of_skgd_lanes(const skgd_lanes *v)
{
    return ((v[0][0] + v[0][4]) + (v[0][2] + v[0][6])) + ((v[0][1] + v[0][5]) + (v[0][3] + v[0][7]));
}
SKGD_INLINE double skgd_sum_of_skgd_halves(const skgd_halves *v)
{
    skgd_halves sum = v[0] + v[1];
    return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}
#endif

#if defined(__GNUC__) && defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define SKGD_SHUFFLES
#endif
#endif

/* Whether a group fits into one of the processor's vectors: where it is longer, GCC shuffles number by
   number. */
#if defined(SKGD_CLONES_DIFFER)
#define SKGD_HAS_LONG_VECTORS __builtin_cpu_supports("avx512f")
#elif defined(__AVX512F__)
#define SKGD_HAS_LONG_VECTORS 1
#else
#define SKGD_HAS_LONG_VECTORS 0
#endif
/* Statements over vectors of the type that the processor has. */
#if defined(__GNUC__)
#define SKGD_IN_VECTORS(BODY, ...)                                                         \
    if (SKGD_HAS_LONG_VECTORS) {                                                           \
        BODY(skgd_lanes, __VA_ARGS__)                                                      \
    } else {                                                                               \
        BODY(skgd_halves, __VA_ARGS__)                                                     \
    }
#else
#define SKGD_IN_VECTORS(BODY, ...) BODY(double, __VA_ARGS__)
#endif

#ifdef SKGD_SHUFFLES
/* The numbers of two groups in turn: one by one, in twos, in fours. */
#define SKGD_ONES(a, b, first) __builtin_shufflevector(                                    \
    a, b, first, 8 + first, 2 + first, 10 + first, 4 + first, 12 + first, 6 + first, 14 + first)
#define SKGD_TWOS(a, b, first) __builtin_shufflevector(                                    \
    a, b, first, 1 + first, 8 + first, 9 + first, 4 + first, 5 + first, 12 + first, 13 + first)
#define SKGD_FOURS(a, b, first) __builtin_shufflevector(                                   \
    a, b, first, 1 + first, 2 + first, 3 + first, 8 + first, 9 + first, 10 + first, 11 + first)

/* out = the sums of four groups. */
SKGD_INLINE void skgd_four_sums_of_skgd_lanes(const skgd_lanes *s, double *out)
{
    skgd_lanes a = SKGD_ONES(s[0], s[1], 0) + SKGD_ONES(s[0], s[1], 1);
    skgd_lanes b = SKGD_ONES(s[2], s[3], 0) + SKGD_ONES(s[2], s[3], 1);
    skgd_lanes c = SKGD_TWOS(a, b, 0) + SKGD_TWOS(a, b, 2);
    for (int i = 0; i < 4; i++)
        out[i] = c[i] + c[i + 4];
}
#elif defined(__GNUC__)
SKGD_INLINE void skgd_four_sums_of_skgd_lanes(const skgd_lanes *s, double *out)
{
    for (int i = 0; i < 4; i++)
        out[i] = skgd_sum_of_skgd_lanes(s + i);
}
#endif
#if defined(__GNUC__)
SKGD_INLINE void skgd_four_sums_of_skgd_halves(const skgd_halves *s, double *out)
{
    for (int i = 0; i < 4; i++)
        out[i] = skgd_sum_of_skgd_halves(s + 2 * i);
}
#endif

/* GCC turns loops over eight numbers into the vectors that a processor has, long or short. */
typedef struct { double lane[SKGD_LANES]; } skgd_group;
#define SKGD_OVER_LANES for (int l = 0; l < SKGD_LANES; l++)

/* ---- elementary functions -------------------------------------------------------- */

/* exp(x) to 1 ulp or so, for x up to 709.4: x = n ln 2 + r, a Taylor polynomial in |r| <= ln(2)/2, and n put
   into the exponent's bits. Adding 1.5 * 2^52 rounds to an integer in every instruction set. */
SKGD_INLINE double skgd_exp_below(double x)
{
    const double magic = 6755399441055744.0;
    double shifted = x * 1.4426950408889634074 + magic;
    double n = shifted - magic;
    double r = (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
    /* Estrin's order: pairs, pairs of pairs, ..., for a short chain of dependent operations. */
    double r2 = r * r, r4 = r2 * r2, r8 = r4 * r4;
    double a = (1.0 + r) + r2 * (1.0 / 2 + r * (1.0 / 6));
    double b = (1.0 / 24 + r * (1.0 / 120)) + r2 * (1.0 / 720 + r * (1.0 / 5040));
    double c = (1.0 / 40320 + r * (1.0 / 362880))
             + r2 * (1.0 / 3628800 + r * (1.0 / 39916800))
             + r4 * (1.0 / 479001600 + r * (1.0 / 6227020800));
    double p = (a + r4 * b) + r8 * c;
    int64_t bits;
    double power;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (int64_t)(((uint64_t)bits + 1023u) << 52);
    memcpy(&power, &bits, sizeof power);
    /* Beyond the range of the exponent the above is of no use: the ends are put in last. */
    return x < -708.0 ? 0.0 : p * power;
}

SKGD_INLINE double skgd_exp1(double x)
{
    double value = skgd_exp_below(x);
    return x > 709.4 ? INFINITY : value;
}

/* 2 artanh(s) for |s| <= 1/3: its series in q = s^2 with coefficients fitted on 0 <= q <= 1/9, to 5e-18,
   in Estrin's order. */
SKGD_INLINE double skgd_two_artanh(double s)
{
    double q = s * s, q2 = q * q, q4 = q2 * q2;
    double a = (0x1.5555555555555p-2 + q * 0x1.999999999a3ddp-3)
             + q2 * (0x1.24924923d44c6p-3 + q * 0x1.c71c727143318p-4);
    double b = (0x1.745cf0b0e03bdp-4 + q * 0x1.3b18b294bebf9p-4)
             + q2 * (0x1.10ac75dc602b1p-4 + q * 0x1.eb905e8575054p-5);
    double c = 0x1.687a6e7c95176p-5 + q * 0x1.4b0a26c5f2aefp-4;
    return 2.0 * s + 2.0 * s * q * (a + q4 * (b + q4 * c));
}

/* log(1 + e) for 0 <= e <= 1, with full relative accuracy. */
SKGD_INLINE double skgd_log1p_unit(double e)
{
    return skgd_two_artanh(e / (2.0 + e));
}

/* log(x) for x >= 1: the exponent's bits, and the logarithm of what is left from 1/sqrt(2) to sqrt(2). */
SKGD_INLINE double skgd_log1(double x)
{
    const double magic = 4503599627370496.0; /* 2^52, whose last bits count ones */
    uint64_t bits, power, rest;
    double exponent, f;
    memcpy(&bits, &x, sizeof bits);
    bits += 0x3ff0000000000000u - 0x3fe6a09e667f3bcdu;
    power = (bits >> 52) | 0x4330000000000000u;
    rest = (bits & 0x000fffffffffffffu) + 0x3fe6a09e667f3bcdu;
    memcpy(&exponent, &power, sizeof exponent);
    memcpy(&f, &rest, sizeof f);
    f = (exponent - (magic + 1023.0)) * 6.93147180559945309417e-01
      + skgd_two_artanh((f - 1.0) / (f + 1.0));
    /* Infinity and NaN are what they were. */
    return x < INFINITY ? f : x;
}

/* y += a x */
SKGD_CLONES static void skgd_axpy(ptrdiff_t n, double a, const double *x, double *y)
{
    SKGD_SIMD()
    for (ptrdiff_t i = 0; i < n; i++)
        y[i] += a * x[i];
}

/* w moves towards zero by share * weight * step and stays there; weight may be NULL. A branch for each
   number would be guessed wrongly half the time. */
SKGD_CLONES static void skgd_shrink(
    ptrdiff_t n, double share, const double *weight, const double *step, double *w)
{
    for (ptrdiff_t i = 0; i < n; i++) {
        double rest = fabs(w[i]) - share * step[i] * (weight ? weight[i] : 1.0);
        w[i] = rest <= 0.0 ? 0.0 : copysign(rest, w[i]);
    }
}

/* The sums of weight * |w| and of weight * w^2; weight may be NULL. */
#define SKGD_WEIGHTED_SUM(NAME, TERM)                                                      \
    SKGD_CLONES static double skgd_##NAME(ptrdiff_t n, const double *weight, const double *w) \
    {                                                                                      \
        double s = 0;                                                                      \
        if (weight) {                                                                      \
            SKGD_SIMD(reduction(+ : s))                                                    \
            for (ptrdiff_t i = 0; i < n; i++)                                              \
                s += (TERM) * weight[i];                                                   \
        } else {                                                                           \
            SKGD_SIMD(reduction(+ : s))                                                    \
            for (ptrdiff_t i = 0; i < n; i++)                                              \
                s += TERM;                                                                 \
        }                                                                                  \
        return s;                                                                          \
    }

SKGD_WEIGHTED_SUM(absolute_sum, fabs(w[i]))
SKGD_WEIGHTED_SUM(square_sum, w[i] * w[i])

/* |x - y|, or |x| where y is NULL. */
SKGD_CLONES static double skgd_distance(ptrdiff_t n, const double *x, const double *y)
{
    double s = 0;
    SKGD_SIMD(reduction(+ : s))
    for (ptrdiff_t i = 0; i < n; i++) {
        double r = y ? x[i] - y[i] : x[i];
        s += r * r;
    }
    return sqrt(s);
}

/* sqrt(v) to 1 ulp or so, for v >= 0: 1/sqrt from the halved exponent, by a polynomial in its error h, and the
   root by one more, in half the time that processors with AVX-512 take for it. What is less than all normal
   numbers counts as the least of them, so that there is no division by zero. */
SKGD_INLINE double skgd_sqrt1(double v)
{
    double a = v < 0x1p-1022 ? 0x1p-1022 : v, y, s, h;
    uint64_t bits;
    memcpy(&bits, &a, sizeof bits);
    bits = 0x5fe6eb50c7b537a9u - (bits >> 1);
    memcpy(&y, &bits, sizeof y);
    /* |h| < 0.07, then |h| < 2e-6. */
    h = 1.0 - a * y * y;
    y *= 0.9999992536225938 + h * (0.5000004233573354 + h * (0.3762790116350381 + h * 0.3130540969692133));
    s = a * y;
    h = 1.0 - s * y;
    s += s * h * (0.5 + h * 0.375);
    /* Infinity and NaN are what they were. */
    return v < INFINITY ? s : v;
}

/* The running means m of the gradient and v of its square take a new one in. */
#define SKGD_REMEMBER(i)                                                                   \
    m[i] += (1.0 - beta_1) * (g[i] - m[i]);                                                \
    v[i] = beta_2 * v[i] + (1.0 - beta_2) * g[i] * g[i];

SKGD_CLONES static void skgd_remember(
    ptrdiff_t n, double beta_1, double beta_2, const double *g, double *m, double *v)
{
    SKGD_SIMD()
    for (ptrdiff_t i = 0; i < n; i++) {
        SKGD_REMEMBER(i)
    }
}

/* w -= rate m / (sqrt(v) + eps) */
#define SKGD_DESCEND(ROOT, i) w[i] -= rate * (m[i] / (ROOT(v[i]) + eps));

/* The processor's root, at least of what skgd_sqrt1 takes. */
#define SKGD_ROOT(v) sqrt((v) < 0x1p-1022 ? 0x1p-1022 : (v))

/* Numbers one after the other, with the faster of the two roots: on AVX2 a parameter of Adam took 1.2 ns with
   the processor's and 1.8 ns with skgd_sqrt1. */
#define SKGD_WITH_ROOTS(n, BODY, ...)                                                      \
    if (SKGD_HAS_LONG_VECTORS) {                                                           \
        SKGD_SIMD(__VA_ARGS__)                                                             \
        for (ptrdiff_t i = 0; i < n; i++) {                                                \
            BODY(skgd_sqrt1, i)                                                            \
        }                                                                                  \
    } else {                                                                               \
        SKGD_SIMD(__VA_ARGS__)                                                             \
        for (ptrdiff_t i = 0; i < n; i++) {                                                \
            BODY(SKGD_ROOT, i)                                                             \
        }                                                                                  \
    }

SKGD_CLONES static void skgd_descend(
    ptrdiff_t n, const double *m, const double *v, double rate, double eps, double *w)
{
    SKGD_WITH_ROOTS(n, SKGD_DESCEND, )
}

/* Both at once: the means of many parameters are read from memory once. */
#define SKGD_REMEMBER_AND_DESCEND(ROOT, i)                                                 \
    SKGD_REMEMBER(i)                                                                       \
    SKGD_DESCEND(ROOT, i)

SKGD_CLONES static void skgd_remember_and_descend(
    ptrdiff_t n, double beta_1, double beta_2, const double *g, double *m, double *v,
    double rate, double eps, double *w)
{
    SKGD_WITH_ROOTS(n, SKGD_REMEMBER_AND_DESCEND, )
}

/* And with the metric, in which g is a loss's gradient for raw columns; w becomes the coefficients, whose
   margin at the means is returned. All that is read waits for memory behind roots and quotients: 1.5 ns a
   parameter in cache instead of 2.0. w may be g. */
#define SKGD_DESCEND_IN_METRIC(ROOT, i)                                                    \
    double gi = (g[i] - sum * mean[i] + l2 * (u[i] * inverse[i])) * (inverse[i] * unit);   \
    double mi = m[i] + (1.0 - beta_1) * (gi - m[i]);                                       \
    double vi = beta_2 * v[i] + (1.0 - beta_2) * gi * gi;                                  \
    double ui = u[i] - rate * (mi / (ROOT(vi) + eps)), wi = ui * inverse[i];               \
    m[i] = mi, v[i] = vi, u[i] = ui, w[i] = wi;                                            \
    s += mean[i] * wi;

SKGD_CLONES static double skgd_descend_in_metric(
    ptrdiff_t n, double beta_1, double beta_2, const double *g, double sum, const double *mean,
    double l2, const double *inverse, double unit, double *m, double *v, double rate, double eps,
    double *u, double *w)
{
    double s = 0;
    SKGD_WITH_ROOTS(n, SKGD_DESCEND_IN_METRIC, reduction(+ : s))
    return s;
}

SKGD_CLONES static void skgd_exp(ptrdiff_t n, const double *x, double *out)
{
    for (ptrdiff_t i = 0; i < n; i++)
        out[i] = skgd_exp1(x[i]);
}

/* log(1 + exp(x)) without overflow. */
SKGD_CLONES static void skgd_softplus(ptrdiff_t n, const double *x, double *out)
{
    for (ptrdiff_t i = 0; i < n; i++)
        out[i] = (x[i] > 0.0 ? x[i] : 0.0) + skgd_log1p_unit(skgd_exp_below(-fabs(x[i])));
}

/* 1 / (1 + exp(-x)), the derivative of softplus: no branch that a single number could miss. */
SKGD_CLONES static void skgd_sigmoid(ptrdiff_t n, const double *x, double *out)
{
    for (ptrdiff_t i = 0; i < n; i++)
        out[i] = 1.0 / (1.0 + skgd_exp1(-x[i]));
}

#define SKGD_LOGISTIC_SLOPE(i) out[i] = -y[i] / (1.0 + skgd_exp1(y[i] * z[i]));

/* The derivative of softplus(-y z) in z, for y = -1 or +1; out is an array of its own. What is left is the
   end of a group that overlaps the one before: number by number it would take as long as several. */
SKGD_CLONES static void skgd_logistic_slope(
    ptrdiff_t n, const double *y, const double *z, double *out)
{
    ptrdiff_t end = n - SKGD_LANES, left = end < 0 ? 0 : n - n % SKGD_LANES;
    SKGD_SIMD()
    for (ptrdiff_t i = 0; i < left; i++)
        SKGD_LOGISTIC_SLOPE(i)
    if (left == n)
        return;
    if (end < 0) {
        for (ptrdiff_t i = 0; i < n; i++)
            SKGD_LOGISTIC_SLOPE(i)
    } else {
        SKGD_SIMD()
        for (ptrdiff_t i = end; i < end + SKGD_LANES; i++)
            SKGD_LOGISTIC_SLOPE(i)
    }
}

/* The largest of the k outputs of some rows, at most a group, which lie m apart. */
SKGD_INLINE void skgd_tops(
    ptrdiff_t k, ptrdiff_t m, ptrdiff_t size, const double *z, double *top)
{
    for (ptrdiff_t i = 0; i < size; i++)
        top[i] = z[i];
    for (ptrdiff_t c = 1; c < k; c++) {
        SKGD_SIMD()
        for (ptrdiff_t i = 0; i < size; i++)
            top[i] = z[c * m + i] > top[i] ? z[c * m + i] : top[i];
    }
}

/* out = exp(z - top) / total over the k outputs of a group of rows, less one where target is positive. */
SKGD_INLINE void skgd_softmax_rows(
    ptrdiff_t k, ptrdiff_t m, ptrdiff_t size, const double *target, const double *z, double *out)
{
    double top[SKGD_LANES], total[SKGD_LANES];
    skgd_tops(k, m, size, z, top);
    for (ptrdiff_t i = 0; i < size; i++)
        total[i] = 0.0;
    for (ptrdiff_t c = 0; c < k; c++) {
        SKGD_SIMD()
        for (ptrdiff_t i = 0; i < size; i++) {
            out[c * m + i] = skgd_exp_below(z[c * m + i] - top[i]);
            total[i] += out[c * m + i];
        }
    }
    for (ptrdiff_t i = 0; i < size; i++)
        total[i] = 1.0 / total[i];
    for (ptrdiff_t c = 0; c < k; c++) {
        if (target) {
            SKGD_SIMD()
            for (ptrdiff_t i = 0; i < size; i++)
                out[c * m + i] = out[c * m + i] * total[i] - (target[c * m + i] > 0.0 ? 1.0 : 0.0);
        } else {
            SKGD_SIMD()
            for (ptrdiff_t i = 0; i < size; i++)
                out[c * m + i] *= total[i];
        }
    }
}

/* The negative logarithm of the softmax in the output whose target is positive, less the logarithm of what
   goes to the second output. */
SKGD_INLINE void skgd_softmax_loss_rows(
    ptrdiff_t k, ptrdiff_t m, ptrdiff_t size, const double *target, const double *z, double *out)
{
    double top[SKGD_LANES], total[SKGD_LANES], hit[SKGD_LANES];
    skgd_tops(k, m, size, z, top);
    for (ptrdiff_t i = 0; i < size; i++)
        total[i] = hit[i] = 0.0;
    for (ptrdiff_t c = 0; c < k; c++) {
        SKGD_SIMD()
        for (ptrdiff_t i = 0; i < size; i++) {
            total[i] += skgd_exp_below(z[c * m + i] - top[i]);
            hit[i] += target[c * m + i] > 0.0 ? z[c * m + i] : 0.0;
        }
    }
    for (ptrdiff_t i = 0; i < size; i++)
        out[i] = top[i] - hit[i], out[m + i] = total[i];
}

/* Of m rows the last group overlaps the one before; fewer rows than a group are one. */
#define SKGD_ROWS_IN_GROUPS(rows_of, y)                                                    \
    ptrdiff_t end = m - SKGD_LANES;                                                        \
    for (ptrdiff_t i = 0; i < m && end >= 0; i += SKGD_LANES) {                            \
        ptrdiff_t first = i < end ? i : end;                                               \
        rows_of(k, m, SKGD_LANES, y ? y + first : NULL, z + first, out + first);           \
    }                                                                                      \
    if (end < 0)                                                                           \
        rows_of(k, m, m, y, z, out);

/* Over the k outputs of each of m rows, y, z and out of shape (k, m); y may be NULL, out is an array of
   its own. */
SKGD_CLONES static void skgd_softmax(
    ptrdiff_t k, ptrdiff_t m, const double *y, const double *z, double *out)
{
    SKGD_ROWS_IN_GROUPS(skgd_softmax_rows, y)
}

/* The loss of each of m rows into the first of k >= 2 outputs; zeros into the others. */
SKGD_CLONES static void skgd_softmax_loss(
    ptrdiff_t k, ptrdiff_t m, const double *y, const double *z, double *out)
{
    SKGD_ROWS_IN_GROUPS(skgd_softmax_loss_rows, y)
    SKGD_SIMD()
    for (ptrdiff_t i = 0; i < m; i++)
        out[i] += skgd_log1(out[m + i]);
    memset(out + m, 0, (k - 1) * m * sizeof(double));
}

#endif
