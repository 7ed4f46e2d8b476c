# cython: language_level=3, cdivision=True
"""Deviances of a mean whose logarithm is the margin."""

import numpy as np
from scipy import special

from libc.math cimport fabs, log
from libc.string cimport memset

from skgd.losses.base cimport LossRule

from skgd.losses.base import Loss, weighted_mean

__all__ = [
    "Poisson",
    "Gamma",
    "Tweedie",
]

cdef extern from "../_engine/vector.h" nogil:
    void skgd_exp(Py_ssize_t n, const double* x, double* out)

cdef enum:
    PIECE = 64  # numbers that are worked on together, in buffers on the stack


cdef inline int exponentials(Py_ssize_t n, double factor, const double* x,
                             double* out) noexcept nogil:
    """exp(factor x)"""
    cdef Py_ssize_t i
    if factor == 0.0:
        for i in range(n):
            out[i] = 1.0
        return 0
    for i in range(n):
        out[i] = factor * x[i]
    skgd_exp(n, out, out)
    return 0


cdef inline int excesses(Py_ssize_t n, double factor, const double* x, double* out) noexcept nogil:
    """(exp(factor x) - 1 - factor x) / factor, and its limit 0 where the factor is 0."""
    cdef Py_ssize_t i
    cdef double t, series, share
    if factor == 0.0:
        memset(out, 0, n * sizeof(double))
        return 0
    share = 1.0 / factor
    exponentials(n, factor, x, out)
    for i in range(n):
        t = factor * x[i]
        # Near 0 the difference would lose its digits: Taylor's terms 2 t^j / (j + 2)!.
        series = 1.0 / 19958400.0 + t * (1.0 / 239500800.0 + t * (1.0 / 3113510400.0))
        series = 1.0 / 20160.0 + t * (1.0 / 181440.0 + t * (1.0 / 1814400.0 + t * series))
        series = 1.0 / 60.0 + t * (1.0 / 360.0 + t * (1.0 / 2520.0 + t * series))
        series = 1.0 + t * (1.0 / 3.0 + t * (1.0 / 12.0 + t * series))
        out[i] = share * (0.5 * t * t * series if fabs(t) < 0.25 else out[i] - 1.0 - t)
    return 0


cdef class TweedieRule(LossRule):
    """Half the deviance; with the gap d = z - log(y) it is, for a = 2 - p and b = 1 - p,
    y^a ((exp(a d) - 1 - a d) / a - (exp(b d) - 1 - b d) / b)."""

    cdef double a, b

    def __init__(self, double power):
        if power == 0.0:
            raise ValueError(
                "power=0.0: pass a number >= 1; the deviance of power 0 is that of squared errors, "
                "SquaredError()."
            )
        if not 1.0 <= power < float("inf"):
            raise ValueError(f"power={power!r}: pass a number >= 1.")
        self.a, self.b = 2.0 - power, 1.0 - power

    cdef int value(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                   double* out) except -1 nogil:
        cdef Py_ssize_t i, size, start = 0
        cdef double factor
        cdef double logs[PIECE]
        cdef double gaps[PIECE]
        cdef double first[PIECE]
        cdef double second[PIECE]
        while start < k * m:
            size = min(<Py_ssize_t>PIECE, k * m - start)
            for i in range(size):
                logs[i] = log(y[start + i]) if y[start + i] > 0.0 else 0.0
                gaps[i] = z[start + i] - logs[i]
            excesses(size, self.a, gaps, first)
            excesses(size, self.b, gaps, second)
            if self.a != 1.0:
                exponentials(size, self.a, logs, logs)
            for i in range(size):
                factor = y[start + i] if self.a == 1.0 else logs[i]
                if y[start + i] > 0.0:
                    out[start + i] = factor * (first[i] - second[i])
                else:
                    out[start + i] = first[i] + gaps[i] + 1.0 / self.a
            start += size
        return 0

    cdef int gradient(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                      double* out) except -1 nogil:
        return self.slopes(k * m, 1.0, 1.0, y, z, out)

    cdef int hessian(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                     double* out) except -1 nogil:
        return self.slopes(k * m, self.a, self.b, y, z, out)

    cdef int slopes(self, Py_ssize_t n, double first, double second, const double* y,
                    const double* z, double* out) noexcept nogil:
        """first exp(a z) - second y exp(b z)"""
        cdef Py_ssize_t i, size, start = 0
        cdef double others[PIECE]
        while start < n:
            size = min(<Py_ssize_t>PIECE, n - start)
            exponentials(size, self.a, z + start, out + start)
            exponentials(size, self.b, z + start, others)
            for i in range(start, start + size):
                out[i] = first * out[i] - second * y[i] * others[i - start]
            start += size
        return 0


cdef class PoissonRule(TweedieRule):
    def __init__(self):
        TweedieRule.__init__(self, 1.0)


cdef class GammaRule(TweedieRule):
    def __init__(self):
        TweedieRule.__init__(self, 2.0)


class _LogLink(Loss):
    """Half a deviance of the mean exp(z), whose variance is proportional to a power of it."""

    has_hessian = True

    @property
    def domain(self):
        return "y >= 0" if self.power < 2 else "y > 0"

    def in_domain(self, y):
        return np.isfinite(y) & (y >= 0 if self.power < 2 else y > 0)

    def encoded(self, y):
        self.compiled()  # which checks the power before it says what targets are allowed
        return Loss.encoded(self, y)

    def predictions(self, z):
        return np.exp(z)

    def best_constant(self, y, sample_weight):
        mean = weighted_mean(y, sample_weight)
        return np.log(np.maximum(mean, np.finfo(float).tiny))

    def scales(self, mean, spread):
        # The second derivative at the best constant.
        curvature = np.where(mean > 0, mean, 1.0) ** (2.0 - self.power)
        return curvature, 1.0 / curvature

    def sample_targets(self, shape, seed=0):
        generator = np.random.default_rng(seed)
        y = generator.gamma(2.0, 1.0, shape)
        return y if self.power >= 2 else y * generator.integers(0, 3, shape)


class Poisson(_LogLink):
    """Half the Poisson deviance, for counts; the margin is the logarithm of the mean.

    ``loss(y, z) = exp(z) - y z + y log(y) - y``, for ``y >= 0``

    ``predict`` returns the mean ``exp(z)``. Fit counts over different exposures as rates: ``y /
    exposure`` with the exposures as sample weights.

    References
    ----------
    Nelder and Wedderburn, Generalized linear models, 1972. The value is that of
    ``sklearn.linear_model.PoissonRegressor``, so alpha has the same meaning.

    Examples
    --------
    >>> import numpy as np
    >>> from skgd import GDRegressor
    >>> X = np.array([[0.0], [0.0], [1.0], [1.0]])
    >>> claims, years = np.array([1, 3, 2, 10]), np.array([1.0, 3.0, 1.0, 5.0])
    >>> model = GDRegressor("poisson", alpha=0).fit(X, claims / years, sample_weight=years)
    >>> model.predict([[0.0], [1.0]]).round(3)
    array([1., 2.])
    """

    Rule = PoissonRule
    power = 1.0

    def conjugate(self, y, slope):
        mean = slope + y
        inside = special.xlogy(mean, np.maximum(mean, 0.0)) - special.xlogy(y, y) - slope
        return np.where(mean >= 0, inside, np.inf)


class Gamma(_LogLink):
    """Half the gamma deviance, for positive amounts; the margin is the logarithm of the mean.

    ``loss(y, z) = y exp(-z) + z - log(y) - 1``, for ``y > 0``

    ``predict`` returns the mean ``exp(z)``. Fit mean amounts of several events with the numbers of
    events as sample weights.

    References
    ----------
    Nelder and Wedderburn, Generalized linear models, 1972. The value is that of
    ``sklearn.linear_model.GammaRegressor``, so alpha has the same meaning.

    Examples
    --------
    >>> from skgd.losses import Gamma
    >>> Gamma().gradient([1.0, 4.0], [0.0, 0.0])
    array([ 0., -3.])
    """

    Rule = GammaRule
    power = 2.0

    def conjugate(self, y, slope):
        rest = np.maximum(1.0 - slope, 0.0)
        inside = special.xlogy(rest, rest) + slope * (1.0 + np.log(y))
        return np.where(slope <= 1.0, inside, np.inf)


class Tweedie(_LogLink):
    """Half the Tweedie deviance; the margin is the logarithm of the mean.

    ``loss(y, z) = exp((2 - p) z) / (2 - p) - y exp((1 - p) z) / (1 - p)
    + y^(2 - p) / ((1 - p) (2 - p))`` with the power p, for ``y >= 0``, and ``y > 0`` from p = 2

    Power 1 is `Poisson`, 2 is `Gamma`, 3 the inverse Gaussian; powers between 1 and 2 suit sums of
    a random number of amounts, zeros included. The loss is convex for ``1 <= power <= 2``; above 2,
    descent converges to a local minimum. Power 0 is `SquaredError`; other powers below 1 are not
    supported.

    ``predict`` returns the mean ``exp(z)``. Fit amounts over different exposures as ``y /
    exposure`` with the exposures as sample weights.

    Parameters
    ----------
    power : float, default=1.5
        The variance is proportional to this power of the mean; at least 1.

    References
    ----------
    Jorgensen, Exponential dispersion models, 1987. The value is that of
    ``sklearn.linear_model.TweedieRegressor``, so alpha has the same meaning.

    Examples
    --------
    >>> from skgd.losses import Tweedie
    >>> Tweedie(power=1.5).value([0.0, 1.0], [0.0, 0.0])
    array([2., 0.])
    """

    Rule = TweedieRule

    def __init__(self, power=1.5):
        self.power = power

    @property
    def convex(self):
        """Whether every minimum is the global one: for powers from 1 to 2."""
        return 1 <= self.power <= 2
