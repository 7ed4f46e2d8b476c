"""Systems of linear equations whose matrix is symmetric and bends upwards, or is nearly flat."""

import numpy as np
from scipy import linalg
from scipy.linalg import lapack

# The share of the largest curvature below which a direction counts as flat.
SINGULAR = 1e-13


def damped(hessian, damping):
    """Return a Hessian with damping added, which shortens the steps.

    In the metric no curvature is above 1 anywhere. Shares of the curvature here would not do: it
    does not see the rows that are far off, and may come back.
    """
    return hessian + damping * np.eye(len(hessian)) if damping else hessian


def solver(hessian):
    """Return the function that solves systems with a Hessian.

    Directions without curvature are left alone: along them the gradient is nothing but rounding.
    """
    hessian_diag = hessian.diagonal()
    scale = np.zeros(len(hessian_diag))
    np.divide(1.0, np.sqrt(np.abs(hessian_diag)), out=scale, where=hessian_diag > 0)
    regular = hessian * scale[:, None] * scale
    if not len(hessian_diag):
        return lambda row: row
    # LAPACK itself: around it SciPy's functions take longer than a small system.
    factor, failed = lapack.dpotrf(regular.T, lower=1, clean=0)
    if not failed and factor.diagonal().min() > SINGULAR**0.5:
        return lambda row: scale * lapack.dpotrs(factor, scale * row, lower=1)[0]
    values, vectors = linalg.eigh(regular, driver="evd", check_finite=False)
    bent = values > SINGULAR * values[-1]
    vectors, values = vectors[:, bent], values[bent]
    return lambda row: scale * (vectors @ (((scale * row) @ vectors) / values))
