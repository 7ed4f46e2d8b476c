"""Linear algebra: symmetric systems that may be nearly singular, and BLAS on one thread."""

from functools import cache
from threading import Lock

import numpy as np
from scipy import linalg
from scipy.linalg import blas, lapack
from threadpoolctl import ThreadpoolController

# The share of the largest curvature below which a direction counts as flat, in double and in single
# precision.
SINGULAR, SINGULAR_SINGLE = 1e-13, 1e-6


@cache
def one_thread():
    """Return the context in which BLAS has one thread, the same for all fits of the process.

    The number of threads is the process's. Fits that run at the same time in threads of Python
    must not take each other's limit for the number to go back to: the first to come sets the
    limit, and the last to leave lifts it.
    """
    return _OneThread()


class _OneThread:
    def __init__(self):
        self.libraries = ThreadpoolController().select(user_api="blas").lib_controllers
        self.lock, self.inside, self.limited = Lock(), 0, []

    def __enter__(self):
        with self.lock:
            if not self.inside:
                numbers = [(library, library.num_threads) for library in self.libraries]
                self.limited = [(library, number) for library, number in numbers if number != 1]
                for library, _ in self.limited:
                    library.set_num_threads(1)
            self.inside += 1

    def __exit__(self, *error):
        with self.lock:
            self.inside -= 1
            if not self.inside:
                for library, number in self.limited:
                    library.set_num_threads(number)


def damped(hessian, damping):
    """Return a Hessian with damping added, which shortens the steps.

    In the metric no curvature is above 1 anywhere. Shares of the curvature here would not do: it
    does not see the rows that are far off, and may come back.
    """
    return hessian + damping * np.eye(len(hessian)) if damping else hessian


def solver(hessian):
    """Return the function that solves systems with a Hessian: one, or one a row.

    Directions without curvature are left alone: along them the gradient is only rounding. A Hessian
    in single precision is factorised in it unless it is nearly singular.
    """
    diagonal = hessian.diagonal()
    live = diagonal > 0
    if not live.all() or not live.size:
        return _live_solver(hessian, live)
    solve = _single_solver(hessian) if hessian.dtype == np.float32 else None
    if solve is not None:
        return solve
    scale = 1.0 / np.sqrt(diagonal)
    factor, (values, vectors) = _factorised(hessian, scale)
    if factor is not None:
        return lambda rows: scale * _with_factor(factor, scale * rows)
    return lambda rows: scale * ((((scale * rows) @ vectors) / values) @ vectors.T)


def _single_solver(hessian):
    """Return the same for a matrix in single precision; None where that has too few digits."""
    scale = 1.0 / np.sqrt(hessian.diagonal())
    factor, failed = lapack.spotrf((hessian * scale[:, None] * scale).T, lower=1, clean=0)
    if failed or not factor.diagonal().min() > SINGULAR_SINGLE**0.5:
        return None

    def solve(rows):
        # The small numbers of a gradient near the minimum are beyond the range of floats.
        size = np.abs(rows).max(initial=0.0) or 1.0
        right = (rows * (scale / size)).astype(np.float32)
        return _with_factor(factor, right) * (scale * size)

    return solve


def _with_factor(factor, rows):
    """Return the solutions of systems with a Cholesky factor: one, or one a row."""
    is_single = factor.dtype == np.float32
    if rows.ndim > 1:
        solve = lapack.spotrs if is_single else lapack.dpotrs
        return solve(factor, rows.T, lower=1)[0].T
    # For one system of 500 unknowns LAPACK's own function takes three to four times as long.
    solve = blas.strsv if is_single else blas.dtrsv
    return solve(factor, solve(factor, rows, lower=1), lower=1, trans=1)


def inverse_root(hessian):
    """Return a matrix whose product with its transpose is the inverse of a Hessian.

    Directions without curvature are left out.
    """
    diagonal = hessian.diagonal()
    scale = np.zeros(len(diagonal))
    np.divide(1.0, np.sqrt(np.abs(diagonal)), out=scale, where=diagonal > 0)
    factor, (values, vectors) = _factorised(hessian, scale)
    if factor is not None:
        return scale[:, None] * np.tril(lapack.dtrtri(factor, lower=1)[0]).T
    return scale[:, None] * vectors / np.sqrt(values)


def _factorised(hessian, scale):
    """Return the Cholesky factor of a Hessian in some scales, and eigenvalues and eigenvectors.

    The factor is None for a Hessian that is singular but for rounding; the latter are for it alone.
    """
    regular = hessian * scale[:, None] * scale
    # LAPACK itself: around it SciPy's functions take longer than a small system.
    factor, failed = lapack.dpotrf(regular.T, lower=1, clean=0)
    if not failed and factor.diagonal().min() > SINGULAR**0.5:
        return factor, (None, None)
    values, vectors = linalg.eigh(regular, driver="evd", check_finite=False)
    bent = values > SINGULAR * values[-1]
    return None, (values[bent], vectors[:, bent])


def _live_solver(hessian, live):
    """Return a solver that leaves directions whose own curvature is not above 0 alone."""
    columns = np.flatnonzero(live)
    if not len(columns):
        return np.zeros_like
    solve = solver(hessian[np.ix_(columns, columns)])

    def solve_live(rows):
        result = np.zeros(rows.shape)
        result[..., columns] = solve(rows[..., columns])
        return result

    return solve_live
