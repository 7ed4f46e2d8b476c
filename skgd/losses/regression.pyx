# cython: language_level=3, cdivision=True
"""Losses of residuals that are smooth by themselves."""

import numpy as np
from scipy import optimize, special

from libc.math cimport exp, fabs, log1p, sinh, tanh

from skgd.losses.base cimport LossRule

from skgd.losses.base import Loss, weighted_mean
from skgd.losses.piecewise_linear import AbsoluteError, Smoothed

__all__ = [
    "SquaredError",
    "SquaredEpsilonInsensitive",
    "LogCosh",
    "Cauchy",
]


cdef class SquaredErrorRule(LossRule):
    cdef int value(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                   double* out) except -1 nogil:
        cdef Py_ssize_t i
        for i in range(k * m):
            out[i] = 0.5 * (z[i] - y[i]) * (z[i] - y[i])
        return 0

    cdef int gradient(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                      double* out) except -1 nogil:
        cdef Py_ssize_t i
        for i in range(k * m):
            out[i] = z[i] - y[i]
        return 0

    cdef int hessian(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                     double* out) except -1 nogil:
        cdef Py_ssize_t i
        for i in range(k * m):
            out[i] = 1.0
        return 0


class SquaredError(Loss):
    """Half the squared residual.

    ``loss(y, z) = (z - y)^2 / 2``

    Examples
    --------
    >>> from skgd.losses import SquaredError
    >>> SquaredError().value([1.0, 2.0], [3.0, 2.0])
    array([2., 0.])
    """

    Rule = SquaredErrorRule
    smoothness = 1.0
    has_hessian = True
    constant_hessian = True

    def best_constant(self, y, sample_weight):
        return weighted_mean(y, sample_weight)

    def conjugate(self, y, slope):
        return slope * (y + 0.5 * slope)


cdef class SquaredEpsilonInsensitiveRule(LossRule):
    cdef double epsilon

    def __init__(self, double epsilon):
        if not 0 <= epsilon < float("inf"):
            raise ValueError(f"epsilon={epsilon!r}: pass a number >= 0, the unit is that of y.")
        self.epsilon = epsilon

    cdef int value(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                   double* out) except -1 nogil:
        cdef Py_ssize_t i
        cdef double t
        for i in range(k * m):
            t = fabs(z[i] - y[i]) - self.epsilon
            t = 0.0 if t < 0.0 else t
            out[i] = t * t
        return 0

    cdef int gradient(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                      double* out) except -1 nogil:
        cdef Py_ssize_t i
        cdef double r, t
        for i in range(k * m):
            r = z[i] - y[i]
            t = fabs(r) - self.epsilon
            t = 0.0 if t < 0.0 else 2.0 * t
            out[i] = -t if r < 0.0 else t
        return 0

    cdef int hessian(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                     double* out) except -1 nogil:
        cdef Py_ssize_t i
        for i in range(k * m):
            out[i] = 2.0 if fabs(z[i] - y[i]) >= self.epsilon else 0.0
        return 0


class SquaredEpsilonInsensitive(Loss):
    """The square of the epsilon-insensitive loss, with a continuous derivative.

    ``loss(y, z) = max(0, |z - y| - epsilon)^2``

    Parameters
    ----------
    epsilon : float, default=0.1
        In units of y.

    Examples
    --------
    >>> from skgd.losses import SquaredEpsilonInsensitive
    >>> SquaredEpsilonInsensitive(epsilon=0.5).value([0.0, 0.0], [0.25, -3.0])
    array([0.  , 6.25])
    """

    Rule = SquaredEpsilonInsensitiveRule
    smoothness = 2.0
    has_hessian = True

    def __init__(self, epsilon=0.1):
        self.epsilon = epsilon

    def conjugate(self, y, slope):
        return slope * y + self.epsilon * np.abs(slope) + 0.25 * slope**2


cdef class LogCoshRule(LossRule):
    cdef int value(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                   double* out) except -1 nogil:
        # log cosh r = log(1 + 2 sinh^2(r / 2)) keeps the digits of small residuals.
        cdef Py_ssize_t i
        cdef double r, s
        for i in range(k * m):
            r = fabs(z[i] - y[i])
            if r < 1.0:
                s = sinh(0.5 * r)
                out[i] = log1p(2.0 * s * s)
            else:
                out[i] = r + log1p(exp(-2.0 * r)) - 0.6931471805599453
        return 0

    cdef int gradient(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                      double* out) except -1 nogil:
        cdef Py_ssize_t i
        for i in range(k * m):
            out[i] = tanh(z[i] - y[i])
        return 0

    cdef int hessian(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                     double* out) except -1 nogil:
        cdef Py_ssize_t i
        for i in range(k * m):
            out[i] = tanh(z[i] - y[i])
            out[i] = 1.0 - out[i] * out[i]
        return 0


class LogCosh(Loss):
    """Quadratic for small residuals and linear for large ones, and infinitely differentiable.

    ``loss(y, z) = log(cosh(z - y))``

    Examples
    --------
    >>> from skgd.losses import LogCosh
    >>> LogCosh().gradient([0.0, 0.0], [0.0, 100.0])
    array([0., 1.])
    """

    Rule = LogCoshRule
    smoothness = 1.0
    has_hessian = True
    smoothing = 1.0

    def smoothed(self, smoothing):
        return Smoothed(AbsoluteError(), smoothing)

    def lipschitz(self, n_outputs):
        return 1.0

    def conjugate(self, y, slope):
        with np.errstate(invalid="ignore"):
            ends = special.xlog1py(1.0 + slope, slope) + special.xlog1py(1.0 - slope, -slope)
        return np.where(np.abs(slope) <= 1.0, slope * y + 0.5 * ends, np.inf)


cdef class CauchyRule(LossRule):
    cdef double scale

    def __init__(self, double scale):
        if not 0 < scale < float("inf"):
            raise ValueError(f"scale={scale!r}: pass a positive number, the unit is that of y.")
        self.scale = scale

    cdef int value(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                   double* out) except -1 nogil:
        cdef Py_ssize_t i
        cdef double u
        for i in range(k * m):
            u = (z[i] - y[i]) / self.scale
            out[i] = 0.5 * self.scale * self.scale * log1p(u * u)
        return 0

    cdef int gradient(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                      double* out) except -1 nogil:
        cdef Py_ssize_t i
        cdef double r, u
        for i in range(k * m):
            r = z[i] - y[i]
            u = r / self.scale
            out[i] = r / (1.0 + u * u)
        return 0

    cdef int hessian(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                     double* out) except -1 nogil:
        cdef Py_ssize_t i
        cdef double u
        for i in range(k * m):
            u = (z[i] - y[i]) / self.scale
            out[i] = (1.0 - u * u) / ((1.0 + u * u) * (1.0 + u * u))
        return 0


class Cauchy(Loss):
    """A loss for heavy-tailed residuals, robust to outliers; not convex.

    ``loss(y, z) = scale^2 / 2 log(1 + ((z - y) / scale)^2)``

    The curvature is at most 1 and may be negative. Descent converges to a local minimum, from the
    best constant.

    Parameters
    ----------
    scale : float, default=1.0
        The residual beyond which the influence of a row decreases, in units of y.

    References
    ----------
    Black and Anandan, The robust estimation of multiple motions, 1996 (the Lorentzian).

    Examples
    --------
    >>> from skgd.losses import Cauchy
    >>> Cauchy().gradient([0.0, 0.0], [1.0, 1000.0]).round(3)
    array([0.5  , 0.001])
    """

    Rule = CauchyRule
    convex = False
    smoothness = 1.0
    has_hessian = True

    def __init__(self, scale=1.0):
        self.scale = scale

    def best_constant(self, y, sample_weight):
        return np.array([self._best(column.copy(), sample_weight) for column in y.T])

    def _best(self, y, sample_weight):
        """Return the best of the targets' quantiles, refined between its neighbours."""
        def total(b):
            return sample_weight @ self.value(y, np.full(y.shape, b))

        starts = np.unique(np.quantile(y, np.linspace(0, 1, 33)))
        at = int(np.argmin([total(b) for b in starts]))
        low, high = starts[max(at - 1, 0)], starts[min(at + 1, len(starts) - 1)]
        if low == high:
            return low
        found = optimize.minimize_scalar(
            total, bounds=(low, high), method="bounded", options={"xatol": 1e-9 * (high - low)}
        )
        return found.x if found.fun < total(starts[at]) else starts[at]
