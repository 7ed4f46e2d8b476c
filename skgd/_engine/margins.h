/* Margins of a block of rows, and the loss's gradient with respect to them. */
#ifndef SKGD_MARGINS_H
#define SKGD_MARGINS_H

#include "rows.h"

/* z += number */
SKGD_CLONES static void skgd_shift(ptrdiff_t m, double number, double *z)
{
    for (ptrdiff_t i = 0; i < m; i++)
        z[i] += number;
}

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

#endif
