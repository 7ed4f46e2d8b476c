/* The floor under the engine's single-row steps: SGD of the logistic loss in plain C.

   A step takes one row: its margin, the sigmoid, and the step along the row. Rows are read in a given
   order and fetched ahead, whole. There is no preconditioning, no history, no check of anything. The
   l2 penalty is one factor for all coefficients. */
#include <math.h>
#include <stddef.h>

#define AHEAD 8

static void fetch(const void *start, ptrdiff_t bytes)
{
    for (ptrdiff_t b = 0; b < bytes; b += 64)
        __builtin_prefetch((const char *)start + b);
}

static double slope(double z, double y)
{
    return -y / (1.0 + exp(y * z));
}

/* An epoch over dense rows; y is -1 or +1, and b the intercept. */
void dense_epoch(ptrdiff_t n, ptrdiff_t d, const double *X, const double *y, const ptrdiff_t *order,
                 double rate, double l2, double *restrict w, double *b)
{
    double factor = 1.0;
    for (ptrdiff_t i = 0; i < n; i++) {
        const double *restrict x = X + order[i] * d;
        double s0 = 0.0, step;
        /* Long rows are half read when the next one comes: one ahead is enough. */
        ptrdiff_t ahead = d > 256 ? 1 : AHEAD;
        if (i + ahead < n)
            fetch(X + order[i + ahead] * d, d * (ptrdiff_t)sizeof *X);
#pragma omp simd reduction(+ : s0)
        for (ptrdiff_t j = 0; j < d; j++)
            s0 += x[j] * w[j];
        step = rate * slope(factor * s0 + *b, y[order[i]]);
        factor *= 1.0 - rate * l2;
        *b -= step;
        step /= factor;
#pragma omp simd
        for (ptrdiff_t j = 0; j < d; j++)
            w[j] -= step * x[j];
    }
    for (ptrdiff_t j = 0; j < d; j++)
        w[j] *= factor;
}

/* An epoch over CSR rows. */
void sparse_epoch(ptrdiff_t n, ptrdiff_t d, const double *data, const int *column, const int *start,
                  const double *y, const ptrdiff_t *order, double rate, double l2,
                  double *restrict w, double *b)
{
    double factor = 1.0;
    for (ptrdiff_t i = 0; i < n; i++) {
        ptrdiff_t first = start[order[i]], last = start[order[i] + 1];
        double s = 0.0, step;
        if (i + AHEAD < n) {
            ptrdiff_t from = start[order[i + AHEAD]], size = start[order[i + AHEAD] + 1] - from;
            fetch(data + from, size * (ptrdiff_t)sizeof *data);
            fetch(column + from, size * (ptrdiff_t)sizeof *column);
        }
        for (ptrdiff_t e = first; e < last; e++)
            s += data[e] * w[column[e]];
        step = rate * slope(factor * s + *b, y[order[i]]);
        factor *= 1.0 - rate * l2;
        *b -= step;
        step /= factor;
        for (ptrdiff_t e = first; e < last; e++)
            w[column[e]] -= step * data[e];
    }
    for (ptrdiff_t j = 0; j < d; j++)
        w[j] *= factor;
}
