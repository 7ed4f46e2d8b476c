# cython: language_level=3, cdivision=True
"""Losses of residuals that are made of straight pieces, and what rounds their kinks."""

from numbers import Real

import numpy as np
from sklearn.metrics import d2_pinball_score

from libc.math cimport fabs

from skgd._engine.arrays cimport floats
from skgd.losses.base cimport LossRule

from skgd._utils.checks import shown
from skgd._utils.rules import make_rule
from skgd.losses.base import Loss

__all__ = [
    "AbsoluteError",
    "Quantile",
    "EpsilonInsensitive",
    "Huber",
]


cdef class TwoSidedRule(LossRule):
    """Linear on both sides of a band around the target; the kinks may be rounded over a width."""

    cdef double epsilon, smoothing
    cdef Py_ssize_t count
    cdef const double* below
    cdef const double* above
    cdef object owners

    def __init__(self, below=1.0, above=1.0, double epsilon=0.0, double smoothing=0.0):
        """Slopes below and above the target are numbers, or one for each output."""
        if not 0 <= epsilon < float("inf"):
            raise ValueError(f"epsilon={epsilon!r}: pass a number >= 0, the unit is that of y.")
        below, above = np.atleast_1d(below).astype(float), np.atleast_1d(above).astype(float)
        self.count, self.owners = len(below), (below, above)
        self.below, self.above = floats(below, (self.count,)), floats(above, (self.count,))
        self.epsilon, self.smoothing = epsilon, smoothing

    cdef int value(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                   double* out) except -1 nogil:
        cdef Py_ssize_t i, c
        cdef double r, t, below, above
        for c in range(k):
            below, above = self.below[c % self.count], self.above[c % self.count]
            for i in range(c * m, (c + 1) * m):
                r = z[i] - y[i]
                t = rounded(fabs(r) - self.epsilon, self.smoothing)
                out[i] = (below if r < 0.0 else above) * t
        return 0

    cdef int gradient(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                      double* out) except -1 nogil:
        cdef Py_ssize_t i, c
        cdef double r, t
        cdef double side[2]  # read without a branch on the sign
        for c in range(k):
            side[0], side[1] = self.above[c % self.count], -self.below[c % self.count]
            for i in range(c * m, (c + 1) * m):
                r = z[i] - y[i]
                t = fabs(r) - self.epsilon
                t = clipped(t / self.smoothing) if self.smoothing > 0.0 else t > 0.0
                out[i] = t * side[r < 0.0] if r == r else r
        return 0

    cdef int hessian(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                     double* out) except -1 nogil:
        cdef Py_ssize_t i, c
        cdef double r, t, below, above
        for c in range(k):
            below = self.below[c % self.count] / self.smoothing
            above = self.above[c % self.count] / self.smoothing
            for i in range(c * m, (c + 1) * m):
                r = z[i] - y[i]
                t = fabs(r) - self.epsilon
                out[i] = (below if r < 0.0 else above) if 0.0 <= t <= self.smoothing else 0.0
        return 0


class PiecewiseLinear(Loss):
    """A loss with kinks, whose rule takes the width over which they are rounded."""

    smooth = False
    smoothing = 0.0

    def smoothed(self, smoothing):
        return Smoothed(self, smoothing)


class Smoothed(Loss):
    """A piecewise linear loss with its kinks rounded: at most ``smoothing / 2`` below it."""

    has_hessian = True

    def __init__(self, loss, smoothing):
        self.loss = loss
        self.smoothing = smoothing

    @property
    def task(self):
        return self.loss.task

    @property
    def smoothness(self):
        return 1.0 / self.smoothing

    def compiled(self, n_outputs=1):
        return self._rule(n_outputs)

    def sample_targets(self, shape, seed=0):
        return self.loss.sample_targets(shape, seed)

    def _rule(self, n_outputs):
        return make_rule(self.loss, smoothing=self.smoothing)


class AbsoluteError(PiecewiseLinear):
    """The absolute residual, whose best constant is the median.

    ``loss(y, z) = |z - y|``

    Examples
    --------
    >>> from skgd.losses import AbsoluteError
    >>> AbsoluteError().gradient([1.0, 2.0, 5.0], [3.0, 2.0, 1.0])
    array([ 1.,  0., -1.])
    """

    Rule = TwoSidedRule

    def best_constant(self, y, sample_weight):
        return _weighted_quantiles(y, sample_weight, 0.5)

    def lipschitz(self, n_outputs):
        return 1.0

    def conjugate(self, y, slope):
        return np.where(np.abs(slope) <= 1.0, slope * y, np.inf)

    def piecewise_linear(self, y):
        return y[None], -1.0, 1.0


def _weighted_quantiles(y, sample_weight, quantile):
    """Return the smallest target of each column with a share of the weight up to it."""
    order = np.argsort(y, axis=0, kind="stable")
    cumulated = np.cumsum(sample_weight[order], axis=0)
    rank = (cumulated < quantile * cumulated[len(cumulated) - 1]).sum(axis=0)
    columns = np.arange(y.shape[1])
    return y[order[rank, columns], columns]


cdef class QuantileRule(TwoSidedRule):
    def __init__(self, quantile, double smoothing=0.0):
        quantile = np.atleast_1d(quantile)
        TwoSidedRule.__init__(self, quantile, 1.0 - quantile, smoothing=smoothing)


class Quantile(PiecewiseLinear):
    """The pinball loss, whose best constant is a quantile.

    ``loss(y, z) = quantile (y - z)`` where ``z < y``, else ``(1 - quantile) (z - y)``

    With a list of quantiles, ``coef_`` has shape (n_quantiles, n_features) and ``predict`` returns
    shape (n_samples, n_quantiles). The quantiles are fitted independently, so they may cross.
    ``score`` is the mean over the quantiles of ``sklearn.metrics.d2_pinball_score``.

    Parameters
    ----------
    quantile : float or list of float, default=0.5
        Between 0 and 1.

    References
    ----------
    Koenker and Bassett, Regression quantiles, 1978.

    Examples
    --------
    >>> from skgd.losses import Quantile
    >>> Quantile(0.9).value([0.0, 0.0], [-1.0, 1.0]).round(2)
    array([0.9, 0.1])
    >>> from sklearn.datasets import load_diabetes
    >>> from skgd import GDRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = GDRegressor(Quantile([0.1, 0.5, 0.9])).fit(X, y)
    >>> (y[:, None] <= model.predict(X)).mean(axis=0).round(1)
    array([0.1, 0.5, 0.9])
    """

    Rule = QuantileRule

    def __init__(self, quantile=0.5):
        self.quantile = quantile

    @property
    def expands(self):
        """Whether the quantiles are a list."""
        return np.ndim(self.quantile) > 0

    def best_constant(self, y, sample_weight):
        columns = np.broadcast_to(self._quantiles(), y.shape[1])
        return np.concatenate([
            _weighted_quantiles(y[:, c:c + 1], sample_weight, quantile)
            for c, quantile in enumerate(columns)
        ])

    def conjugate(self, y, slope):
        below = self._quantiles()
        inside = (slope >= -below) & (slope <= 1.0 - below)
        return np.where(inside, slope * y, np.inf)

    def piecewise_linear(self, y):
        return y[None], -self._quantiles(), 1.0 - self._quantiles()

    def encoded(self, y):
        y = PiecewiseLinear.encoded(self, y)
        if not self.expands:
            return y
        if y.shape[1] > 1:
            raise ValueError(
                f"y has {y.shape[1]} outputs with loss={self!r}: pass one output, or one quantile."
            )
        return np.repeat(y, len(self._quantiles()), axis=1)

    def score(self, y, predictions, sample_weight=None):
        if not self.expands:
            return PiecewiseLinear.score(self, y, predictions, sample_weight)
        return float(np.mean([
            d2_pinball_score(y, column, alpha=quantile, sample_weight=sample_weight)
            for quantile, column in zip(self._quantiles(), predictions.T, strict=True)
        ]))

    def _quantiles(self):
        listed = np.ndim(self.quantile) == 1 and len(self.quantile) > 0
        given = self.quantile if listed else [self.quantile]
        for quantile in given:
            if not isinstance(quantile, Real) or not 0 < quantile < 1:
                raise ValueError(
                    f"quantile={shown(self.quantile)}: pass a number between 0 and 1, or a list of "
                    "such."
                )
        return np.array(given, dtype=float)

    def _rule(self, n_outputs):
        quantiles = self._quantiles()
        if len(quantiles) not in (1, n_outputs):
            raise ValueError(
                f"quantile={self.quantile!r} with margins of {n_outputs} outputs: pass "
                f"{len(quantiles)}, one for each quantile."
            )
        return PiecewiseLinear._rule(self, n_outputs)


class EpsilonInsensitive(PiecewiseLinear):
    """The loss of support vector regression: zero for residuals up to epsilon.

    ``loss(y, z) = max(0, |z - y| - epsilon)``

    Parameters
    ----------
    epsilon : float, default=0.1
        In units of y.

    References
    ----------
    Vapnik, The nature of statistical learning theory, 1995.

    Examples
    --------
    >>> from skgd.losses import EpsilonInsensitive
    >>> EpsilonInsensitive(epsilon=0.5).value([0.0, 0.0], [0.25, -3.0])
    array([0. , 2.5])
    """

    Rule = TwoSidedRule

    def __init__(self, epsilon=0.1):
        self.epsilon = epsilon

    def conjugate(self, y, slope):
        return np.where(np.abs(slope) <= 1.0, slope * y + self.epsilon * np.abs(slope), np.inf)

    def piecewise_linear(self, y):
        below = np.array([-1.0, 0.0]).reshape(2, *np.ones(y.ndim, dtype=int))
        return np.array([y - self.epsilon, y + self.epsilon]), below, below + 1.0

    def best_constant(self, y, sample_weight):
        # Half the absolute residuals of both edges of the band, up to a constant.
        edges = np.vstack([y - self.epsilon, y + self.epsilon])
        return _weighted_quantiles(edges, np.tile(sample_weight, 2), 0.5)


cdef class HuberRule(TwoSidedRule):
    def __init__(self, double delta, double smoothing=0.0):
        if not 0 < delta < float("inf"):
            raise ValueError(f"delta={delta!r}: pass a positive number, the unit is that of y.")
        TwoSidedRule.__init__(self, delta, delta, smoothing=max(smoothing, delta))


class Huber(Loss):
    """Quadratic for small residuals, linear for large ones.

    ``loss(y, z) = r^2 / 2`` where ``|r| = |z - y| <= delta``, else ``delta (|r| - delta / 2)``

    Parameters
    ----------
    delta : float, default=1.35
        The residual at which the loss becomes linear, in units of y.

    References
    ----------
    Huber, Robust estimation of a location parameter, 1964.

    Examples
    --------
    >>> from skgd.losses import Huber
    >>> Huber(delta=1.0).value([0.0, 0.0], [0.5, 3.0])
    array([0.125, 2.5  ])
    """

    Rule = HuberRule
    smoothness = 1.0
    has_hessian = True

    def __init__(self, delta=1.35):
        self.delta = delta

    @property
    def smoothing(self):
        return self.delta

    def smoothed(self, smoothing):
        return Smoothed(self, smoothing)

    def lipschitz(self, n_outputs):
        return self.delta

    def conjugate(self, y, slope):
        return np.where(np.abs(slope) <= self.delta, slope * (y + 0.5 * slope), np.inf)
