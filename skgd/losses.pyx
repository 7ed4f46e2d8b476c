# cython: language_level=3, cdivision=True
"""Losses: the data term of the objective, in order of increasing complexity.

The objective that every estimator minimises, written once::

    F(W, b) = 1/sum(s) * sum_i s_i * loss(y_i, W x_i + b)
              + alpha * (l1_ratio * |W|_1 + (1 - l1_ratio)/2 * |W|_2^2)

with ``s`` the sample weights times the class weights. The intercept is never penalised.

A loss is two adjacent classes. The rule has the mathematics, as loops over arrays of margins; it is
made afresh for each run. The public class has the hyperparameters and the documentation.
Binary targets are -1 and +1; with several classes each output has its own -1 and +1.
"""

import re
from functools import cache
from numbers import Real

import numpy as np
from scipy import optimize, special
from sklearn.base import BaseEstimator
from sklearn.metrics import d2_pinball_score, r2_score

from libc.math cimport exp, fabs, log, log1p, sinh, tanh
from libc.string cimport memcpy, memset

from skgd._engine.arrays cimport floats, writeable_floats

from skgd._checks import as_floats, check_second_derivatives, shown
from skgd._pieces import check_complete, make_rule, overrides

__all__ = [
    "Loss",
    "SquaredError",
    "AbsoluteError",
    "Quantile",
    "EpsilonInsensitive",
    "Huber",
    "SquaredEpsilonInsensitive",
    "LogCosh",
    "Cauchy",
    "Poisson",
    "Gamma",
    "Tweedie",
    "Perceptron",
    "Hinge",
    "SquaredHinge",
    "ModifiedHuber",
    "LogLoss",
    "Focal",
    "by_name",
]

cdef extern from "_engine/vector.h" nogil:
    void skgd_exp(Py_ssize_t n, const double* x, double* out)
    void skgd_softplus(Py_ssize_t n, const double* x, double* out)
    void skgd_sigmoid(Py_ssize_t n, const double* x, double* out)
    void skgd_logistic_slope(Py_ssize_t n, const double* y, const double* z, double* out)
    void skgd_softmax(Py_ssize_t k, Py_ssize_t m, const double* y, const double* z, double* out)
    void skgd_softmax_loss(Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                           double* out)

cdef enum:
    PIECE = 64  # numbers that are worked on together, in buffers on the stack


# ---- the contract -------------------------------------------------------------------------------

cdef class LossRule:
    """The mathematics of a loss: values and derivatives over a block of margins."""

    cdef int value(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                   double* out) except -1 nogil:
        with gil:
            raise NotImplementedError(f"{type(self).__name__} has no value.")

    cdef int gradient(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                      double* out) except -1 nogil:
        with gil:
            raise NotImplementedError(f"{type(self).__name__} has no gradient.")

    cdef int hessian(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                     double* out) except -1 nogil:
        with gil:
            raise NotImplementedError(f"{type(self).__name__} has no second derivative.")

    def apply(self, what, y, z):
        """Run one of the three functions over arrays of shape (n_samples, n_outputs)."""
        targets, margins = np.ascontiguousarray(y.T), np.ascontiguousarray(z.T)
        result = np.empty(margins.shape)
        cdef Py_ssize_t k = margins.shape[0], m = margins.shape[1]
        cdef const double* a = floats(targets, margins.shape)
        cdef const double* b = floats(margins, margins.shape)
        cdef double* out = writeable_floats(result, margins.shape)
        cdef int which = ("value", "gradient", "hessian").index(what)
        with nogil:
            if which == 0:
                self.value(k, m, a, b, out)
            elif which == 1:
                self.gradient(k, m, a, b, out)
            else:
                self.hessian(k, m, a, b, out)
        return result.T

    def total(self, y, z):
        """Return the sum of the values over C-ordered arrays of shape (n_outputs, n_samples)."""
        cdef Py_ssize_t k = z.shape[0], m = z.shape[1]
        values = np.empty((k, m))
        cdef const double* a = floats(y, (k, m))
        cdef const double* b = floats(z, (k, m))
        cdef double* out = writeable_floats(values, (k, m))
        with nogil:
            self.value(k, m, a, b, out)
        return values.sum()


cdef class QuadraticRule(LossRule):
    """``b z^2 / 2``, where b stands for the targets."""

    cdef int value(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                   double* out) except -1 nogil:
        cdef Py_ssize_t i
        for i in range(k * m):
            out[i] = 0.5 * y[i] * z[i] * z[i]
        return 0

    cdef int gradient(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                      double* out) except -1 nogil:
        cdef Py_ssize_t i
        for i in range(k * m):
            out[i] = y[i] * z[i]
        return 0


cdef class SoftmaxQuadraticRule(LossRule):
    """``z' (diag(p) - p p') z / 2``, where p stands for the targets."""

    cdef int value(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                   double* out) except -1 nogil:
        cdef Py_ssize_t i, c
        self.gradient(k, m, y, z, out)
        for i in range(m):
            out[i] *= 0.5 * z[i]
        for c in range(1, k):
            for i in range(m):
                out[i] += 0.5 * z[c * m + i] * out[c * m + i]
                out[c * m + i] = 0.0
        return 0

    cdef int gradient(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                      double* out) except -1 nogil:
        cdef Py_ssize_t i, c
        for i in range(m):
            out[i] = 0.0
        for c in range(k):
            for i in range(m):
                out[i] += y[c * m + i] * z[c * m + i]
        for c in range(k - 1, -1, -1):
            for i in range(m):
                out[c * m + i] = y[c * m + i] * (z[c * m + i] - out[i])
        return 0


cdef class PythonLossRule(LossRule):
    """Calls the methods of a user's loss back, with arrays of their own."""

    cdef object loss

    def __init__(self, loss):
        self.loss = loss

    cdef int call(self, method, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                  double* out) except -1:
        targets, margins = np.empty((k, m)), np.empty((k, m))
        memcpy(writeable_floats(targets, (k, m)), y, k * m * sizeof(double))
        memcpy(writeable_floats(margins, (k, m)), z, k * m * sizeof(double))
        targets, margins = (targets[0], margins[0]) if k == 1 else (targets.T, margins.T)
        result = as_floats(method(targets, margins), method.__qualname__)
        if result.shape != margins.shape:
            raise ValueError(
                f"{method.__qualname__} returned shape {result.shape} for margins of shape "
                f"{margins.shape}: return one number per margin."
            )
        result = np.ascontiguousarray(result.reshape(m, k).T)
        memcpy(out, floats(result, (k, m)), k * m * sizeof(double))
        return 0

    cdef int value(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                   double* out) except -1 nogil:
        with gil:
            return self.call(self.loss.value, k, m, y, z, out)

    cdef int gradient(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                      double* out) except -1 nogil:
        with gil:
            return self.call(self.loss.gradient, k, m, y, z, out)

    cdef int hessian(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                     double* out) except -1 nogil:
        with gil:
            return self.call(self.loss.hessian, k, m, y, z, out)


class Loss(BaseEstimator):
    """Base class of the losses; subclass it to write your own.

    A loss of your own needs ``value(y, z)`` and ``gradient(y, z)``: functions of arrays of targets
    and margins that return an array of the same shape. With ``hessian(y, z)`` and
    ``has_hessian = True`` the curvature of the objective is used as well.

    Attributes
    ----------
    task : {"regression", "classification"}
        Which estimator takes the loss. Targets of a classification are -1 and +1.
    smooth : bool
        Whether the derivative is continuous.
    convex : bool
        Whether every minimum is the global one.
    curvature : float or None
        An upper bound of the second derivative; None if there is none.
    width : float or None
        The residuals over which the slope turns from one end's to the other's, 0 for a kink; None
        where it goes on growing. Beside targets that are spread far more widely descent begins with
        what `smoothed` returns.
    homogeneous : bool
        Whether twice the margins have twice the loss. Zero margins are a minimum then that tells
        nothing, so that only update steps lead to a model.
    decided_below : float or None
        The loss of a row below which the row is on its right side, for losses that fall for ever
        on that side: classes that can be separated have no best coefficients then.
    expands : bool
        Whether one target has several outputs.
    domain : str
        The targets that the loss takes, in words; `in_domain` decides.

    Examples
    --------
    >>> import numpy as np
    >>> from skgd import GDRegressor
    >>> from skgd.losses import Loss
    >>> class Quartic(Loss):
    ...     def value(self, y, z):
    ...         return (y - z) ** 4 / 4
    ...     def gradient(self, y, z):
    ...         return (z - y) ** 3
    >>> X, y = np.arange(6.0).reshape(-1, 1), np.array([1.0, 3, 5, 7, 9, 11])
    >>> GDRegressor(loss=Quartic(), alpha=0).fit(X, y).predict([[10.0]]).round(1)
    array([21.])
    """

    Rule = None
    task = "regression"
    smooth = True
    convex = True
    curvature = None
    has_hessian = False
    constant_hessian = False
    homogeneous = False
    width = None
    decided_below = None
    expands = False
    domain = "finite numbers"

    def value(self, y, z):
        """Return the loss at each target and margin.

        Parameters
        ----------
        y : array of shape (n_samples,) or (n_samples, n_outputs)
            Targets; -1 and +1 for a classification.
        z : array of the same shape
            Margins, ``W x + b``.

        Returns
        -------
        array of the same shape; of shape (n_samples,) for a softmax over several outputs.
        """
        return self._apply("value", y, z)

    def gradient(self, y, z):
        """Return the derivative of the loss with respect to each margin, shaped like ``z``.

        Parameters
        ----------
        y, z : arrays of the same shape
            Targets and margins, as in ``value``.
        """
        return self._apply("gradient", y, z)

    def hessian(self, y, z):
        """Return the second derivative with respect to each margin, shaped like ``z``.

        Parameters
        ----------
        y, z : arrays of the same shape
            Targets and margins, as in ``value``.
        """
        return self._apply("hessian", y, z)

    def bends(self, y, z):
        """Return what ``bend`` needs to know of the targets and margins.

        Parameters
        ----------
        y, z : arrays of shape (n_samples, n_outputs)
            Targets and margins.
        """
        if np.ndim(z) != 2:
            raise ValueError(f"z has shape {np.shape(z)}: pass (n_samples, n_outputs).")
        rule = self.compiled(z.shape[1])
        bends = rule.apply("hessian", y, z)
        if isinstance(rule, PythonLossRule):
            check_second_derivatives(bends, f"{type(self).__name__}.hessian", self.convex)
        return bends

    def bend(self, bends, direction):
        """Return the second derivative times a direction.

        Parameters
        ----------
        bends : array of shape (n_samples, n_outputs)
            What ``bends`` returned.
        direction : array of shape (n_samples, n_outputs)
            A change of the margins.
        """
        return self.quadratic(bends.shape[1]).apply("gradient", bends, direction)

    def quadratic(self, n_outputs):
        """Return the rule of the loss's quadratic part, whose targets are what ``bends`` returned.

        Parameters
        ----------
        n_outputs : int
            The number of margins of a row.
        """
        return SoftmaxQuadraticRule() if self.couples(n_outputs) else QuadraticRule()

    def conjugate(self, y, slope):
        """Return ``sup_z slope z - loss(y, z)`` for slopes shaped like ``y``; inf if unknown.

        With it a fit can say how far from the minimum it ended; the loss must be convex.
        """
        return np.full(np.shape(slope), np.inf)

    def compiled(self, n_outputs=1):
        """Return the rule that the engine runs; one that calls back where a subclass overrides.

        Parameters
        ----------
        n_outputs : int, default=1
            The number of margins of a row.
        """
        hessian = ("hessian(y, z)",) if self.has_hessian else ()
        check_complete(self, Loss, "value(y, z)", "gradient(y, z)", *hessian)
        if overrides(type(self), Loss, {"value", "gradient", "hessian"}):
            return PythonLossRule(self)
        return self._rule(n_outputs)

    def best_constant(self, y, sample_weight):
        """Return the constant margin with the least weighted loss, one per column of ``y``.

        The root of the derivative, by Brent's method in a bracket grown around the targets.

        Parameters
        ----------
        y : array of shape (n_samples, n_outputs)
            Targets.
        sample_weight : array of shape (n_samples,)
            The weight of each row.
        """
        result, rule = np.empty(y.shape[1]), self.compiled()
        for c, column in enumerate(y.T):
            targets = np.ascontiguousarray(column)[:, None]

            def slope(b):
                gradient = rule.apply("gradient", targets, np.full(targets.shape, b))
                return sample_weight @ gradient[:, 0]

            centre = float(np.average(column, weights=sample_weight))
            width = max(float(np.ptp(column)), 1e-12 * (abs(centre) + 1))
            low, high = centre - width, centre + width
            for _ in range(30):
                if slope(low) > 0:
                    low -= 2 * (high - low)
                elif slope(high) < 0:
                    high += 2 * (high - low)
                else:
                    break
            if slope(low) * slope(high) < 0:
                result[c] = optimize.brentq(slope, low, high, xtol=1e-12 * width)
            else:
                result[c] = 0.5 * (low + high)
        return result

    def hinges(self, y):
        """Return (position, low, high) for targets of shape (n_samples, n_outputs).

        For losses that are sums of hinges, ``max over low <= a <= high of a (z - position)``: the
        position has the shape (hinges, n_samples, n_outputs); None for other losses.
        """
        return None

    def smoothed(self, width):
        """Return a loss whose slope turns over a larger width, for those that have a ``width``.

        Parameters
        ----------
        width : float
            In the unit of the margins.
        """
        return self

    def couples(self, n_outputs):
        """Tell whether the outputs enter the loss of a row together, as in a softmax.

        Parameters
        ----------
        n_outputs : int
            The number of margins of a row.
        """
        return False

    def steepest(self, n_outputs):
        """Return the length of the longest gradient of a row's loss in its margins.

        Of a loss that does not couple its outputs, that of the derivative in one of them; infinity
        where there is no bound, or none is known.

        Parameters
        ----------
        n_outputs : int
            The number of margins of a row.
        """
        return np.inf

    def predictions(self, z):
        """Return what margins predict for a regression: the inverse link, shaped like ``z``."""
        return z

    def in_domain(self, y):
        """Tell for each target whether the loss is defined there."""
        return np.isfinite(y)

    def encoded(self, y):
        """Return targets of shape (n_samples, n_outputs), one column for each margin.

        Raises
        ------
        ValueError
            If a target is out of the domain.
        """
        outside = y[~self.in_domain(y)]
        if outside.size:
            raise ValueError(
                f"y has the value {outside[0]:g}, and loss={self!r} needs {self.domain}: pass such "
                "targets, or another loss."
            )
        return y

    def scales(self, mean, spread):
        """Return the curvature that descent expects of the loss, and a unit for the objective.

        Both follow from the targets, so that descent is the same whatever their unit.

        Parameters
        ----------
        mean, spread : array of shape (n_outputs,)
            The targets' mean and standard deviation.

        Returns
        -------
        curvature, unit : array of shape (n_outputs,)
        """
        if not self.smooth:
            # A kink bends by its slope, which is 1, over the spread of the targets.
            return 1.0 / spread, 1.0 / spread
        # So does a slope that turns within a width which is small beside the spread.
        share = np.ones(spread.shape) if self.width is None else np.minimum(1, self.width / spread)
        return share * (self.curvature or 1.0), 1.0 / (share * spread**2)

    def score(self, y, predictions, sample_weight=None):
        """Return the score of a regression: R^2, averaged over the outputs."""
        return r2_score(y, predictions, sample_weight=sample_weight)

    def sample_targets(self, shape, seed=0):
        """Return random targets of a given shape that the loss is defined for."""
        generator = np.random.default_rng(seed)
        if self.task == "classification":
            return generator.choice([-1.0, 1.0], shape)
        return generator.normal(0.5, 2.0, shape)

    def _rule(self, n_outputs):
        return make_rule(self)

    def _apply(self, what, y, z):
        y, z = np.asarray(y, dtype=float), np.asarray(z, dtype=float)
        if y.shape != z.shape or z.ndim not in (1, 2):
            raise ValueError(
                f"y has shape {y.shape} and z has shape {z.shape}: pass equal shapes, (n_samples,) "
                "or (n_samples, n_outputs)."
            )
        n_outputs = 1 if z.ndim == 1 else z.shape[1]
        shape = (-1, n_outputs) if z.size else (0, n_outputs)
        result = self._rule(n_outputs).apply(what, y.reshape(shape), z.reshape(shape))
        if what == "value" and self.couples(n_outputs):
            return result[:, 0].copy()
        return np.ascontiguousarray(result).reshape(z.shape)


# ---- regression ---------------------------------------------------------------------------------

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
    curvature = 1.0
    has_hessian = True
    constant_hessian = True

    def best_constant(self, y, sample_weight):
        return np.average(y, axis=0, weights=sample_weight)

    def conjugate(self, y, slope):
        return slope * (y + 0.5 * slope)


cdef inline double rounded(double t, double width) noexcept nogil:
    """max(0, t), with the kink at 0 rounded over a width: at most width / 2 below it."""
    if t <= 0.0:
        return 0.0
    return 0.5 * t * t / width if t < width else t - 0.5 * width


cdef class TwoSidedRule(LossRule):
    """Linear on both sides of a band around the target; the kinks may be rounded over a width."""

    cdef double epsilon, width
    cdef Py_ssize_t count
    cdef const double* below
    cdef const double* above
    cdef object owners

    def __init__(self, below=1.0, above=1.0, double epsilon=0.0, double width=0.0):
        """Slopes below and above the target are numbers, or one for each output."""
        if not 0 <= epsilon < float("inf"):
            raise ValueError(f"epsilon={epsilon!r}: pass a number >= 0, the unit is that of y.")
        below, above = np.atleast_1d(below).astype(float), np.atleast_1d(above).astype(float)
        self.count, self.owners = len(below), (below, above)
        self.below, self.above = floats(below, (self.count,)), floats(above, (self.count,))
        self.epsilon, self.width = epsilon, width

    cdef int value(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                   double* out) except -1 nogil:
        cdef Py_ssize_t i, c
        cdef double r, below, above
        for c in range(k):
            below, above = self.below[c % self.count], self.above[c % self.count]
            for i in range(c * m, (c + 1) * m):
                r = z[i] - y[i]
                out[i] = (below if r < 0.0 else above) * rounded(fabs(r) - self.epsilon, self.width)
        return 0

    cdef int gradient(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                      double* out) except -1 nogil:
        cdef Py_ssize_t i, c
        cdef double r, t, below, above
        for c in range(k):
            below, above = self.below[c % self.count], self.above[c % self.count]
            for i in range(c * m, (c + 1) * m):
                r = z[i] - y[i]
                t = fabs(r) - self.epsilon
                t = t / self.width if t < self.width else 1.0
                t = 0.0 if fabs(r) <= self.epsilon else t
                out[i] = t * (-below if r < 0.0 else above) if r == r else r
        return 0

    cdef int hessian(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                     double* out) except -1 nogil:
        cdef Py_ssize_t i, c
        cdef double r, t, below, above
        for c in range(k):
            below = self.below[c % self.count] / self.width
            above = self.above[c % self.count] / self.width
            for i in range(c * m, (c + 1) * m):
                r = z[i] - y[i]
                t = fabs(r) - self.epsilon
                out[i] = (below if r < 0.0 else above) if 0.0 <= t <= self.width else 0.0
        return 0


class _PiecewiseLinear(Loss):
    """A loss with kinks, whose rule takes the width over which they are rounded."""

    smooth = False
    width = 0.0

    def smoothed(self, width):
        return _Smoothed(self, width)


class _Smoothed(Loss):
    """A piecewise linear loss with its kinks rounded: at most ``width / 2`` below it."""

    has_hessian = True

    def __init__(self, loss, width):
        self.loss = loss
        self.width = width

    @property
    def task(self):
        return self.loss.task

    @property
    def curvature(self):
        return 1.0 / self.width

    def compiled(self, n_outputs=1):
        return self._rule(n_outputs)

    def sample_targets(self, shape, seed=0):
        return self.loss.sample_targets(shape, seed)

    def _rule(self, n_outputs):
        return make_rule(self.loss, width=self.width)


class AbsoluteError(_PiecewiseLinear):
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

    def steepest(self, n_outputs):
        return 1.0

    def conjugate(self, y, slope):
        return np.where(np.abs(slope) <= 1.0, slope * y, np.inf)

    def hinges(self, y):
        return y[None], -1.0, 1.0


def _weighted_quantiles(y, sample_weight, quantile):
    """Return the smallest target of each column with a share of the weight up to it."""
    order = np.argsort(y, axis=0, kind="stable")
    cumulated = np.cumsum(sample_weight[order], axis=0)
    rank = (cumulated < quantile * cumulated[len(cumulated) - 1]).sum(axis=0)
    columns = np.arange(y.shape[1])
    return y[order[rank, columns], columns]


cdef class QuantileRule(TwoSidedRule):
    def __init__(self, quantile, double width=0.0):
        quantile = np.atleast_1d(quantile)
        TwoSidedRule.__init__(self, quantile, 1.0 - quantile, width=width)


class Quantile(_PiecewiseLinear):
    """The pinball loss, whose best constant is a quantile.

    ``loss(y, z) = quantile (y - z)`` where ``z < y``, else ``(1 - quantile) (z - y)``

    A list of quantiles gives one output for each: ``coef_`` has shape (n_quantiles, n_features) and
    ``predict`` returns (n_samples, n_quantiles). Each is fitted by itself, so they may cross.
    ``score`` is then the mean D^2 over the quantiles, that of ``sklearn.metrics.d2_pinball_score``.

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

    def hinges(self, y):
        return y[None], -self._quantiles(), 1.0 - self._quantiles()

    def encoded(self, y):
        y = _PiecewiseLinear.encoded(self, y)
        if not self.expands:
            return y
        if y.shape[1] > 1:
            raise ValueError(
                f"y has {y.shape[1]} outputs with loss={self!r}: pass one output, or one quantile."
            )
        return np.repeat(y, len(self._quantiles()), axis=1)

    def score(self, y, predictions, sample_weight=None):
        if not self.expands:
            return _PiecewiseLinear.score(self, y, predictions, sample_weight)
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
        return _PiecewiseLinear._rule(self, n_outputs)


class EpsilonInsensitive(_PiecewiseLinear):
    """The loss of support vector regression: residuals up to epsilon cost nothing.

    ``loss(y, z) = max(0, |z - y| - epsilon)``

    Parameters
    ----------
    epsilon : float, default=0.1
        In the unit of y.

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

    def hinges(self, y):
        below = np.array([-1.0, 0.0]).reshape(2, *np.ones(y.ndim, dtype=int))
        return np.array([y - self.epsilon, y + self.epsilon]), below, below + 1.0

    def best_constant(self, y, sample_weight):
        # Half the absolute residuals of both edges of the band, up to a constant.
        edges = np.vstack([y - self.epsilon, y + self.epsilon])
        return _weighted_quantiles(edges, np.tile(sample_weight, 2), 0.5)


cdef class HuberRule(TwoSidedRule):
    def __init__(self, double delta, double width=0.0):
        if not 0 < delta < float("inf"):
            raise ValueError(f"delta={delta!r}: pass a positive number, the unit is that of y.")
        TwoSidedRule.__init__(self, delta, delta, width=max(width, delta))


class Huber(Loss):
    """Squared for small residuals, linear for large ones.

    ``loss(y, z) = r^2 / 2`` where ``|r| = |z - y| <= delta``, else ``delta (|r| - delta / 2)``

    Parameters
    ----------
    delta : float, default=1.35
        Where the loss becomes linear, in the unit of y.

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
    curvature = 1.0
    has_hessian = True

    def __init__(self, delta=1.35):
        self.delta = delta

    @property
    def width(self):
        return self.delta

    def smoothed(self, width):
        return _Smoothed(self, width)

    def steepest(self, n_outputs):
        return self.delta

    def conjugate(self, y, slope):
        return np.where(np.abs(slope) <= self.delta, slope * (y + 0.5 * slope), np.inf)


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
        In the unit of y.

    Examples
    --------
    >>> from skgd.losses import SquaredEpsilonInsensitive
    >>> SquaredEpsilonInsensitive(epsilon=0.5).value([0.0, 0.0], [0.25, -3.0])
    array([0.  , 6.25])
    """

    Rule = SquaredEpsilonInsensitiveRule
    curvature = 2.0
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
    """Squared for small residuals and linear for large ones, with all derivatives.

    ``loss(y, z) = log(cosh(z - y))``

    Examples
    --------
    >>> from skgd.losses import LogCosh
    >>> LogCosh().gradient([0.0, 0.0], [0.0, 100.0])
    array([0., 1.])
    """

    Rule = LogCoshRule
    curvature = 1.0
    has_hessian = True
    width = 1.0

    def smoothed(self, width):
        return _Smoothed(AbsoluteError(), width)

    def steepest(self, n_outputs):
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
    """The loss of residuals with heavy tails, which outliers hardly move. Not convex.

    ``loss(y, z) = scale^2 / 2 log(1 + ((z - y) / scale)^2)``

    The curvature is at most 1 and may be negative: descent ends in a local minimum, near the best
    constant where it starts.

    Parameters
    ----------
    scale : float, default=1.0
        The residual beyond which a larger one pulls less, in the unit of y.

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
    curvature = 1.0
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


# ---- regression of the logarithm of a mean ------------------------------------------------------

cdef inline int exponentials(Py_ssize_t n, double factor, const double* x,
                             double* out) noexcept nogil:
    """exp(factor x)"""
    cdef Py_ssize_t i
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
        mean = np.average(y, axis=0, weights=sample_weight)
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

    ``predict`` returns the mean ``exp(z)``. Counts over different exposures are fitted as rates:
    ``y / exposure`` with the exposures as weights.

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

    ``predict`` returns the mean ``exp(z)``. Mean amounts of several events are fitted with the
    numbers of events as weights.

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

    Power 1 is `Poisson`, 2 is `Gamma`, 3 the inverse Gaussian; between 1 and 2 lie sums of a random
    number of amounts, zero included. Convex for ``1 <= power <= 2`` only: above, descent ends in a
    local minimum. Powers below 1 are refused: that of 0 is `SquaredError`.

    ``predict`` returns the mean ``exp(z)``. Amounts over different exposures are fitted as
    ``y / exposure`` with the exposures as weights.

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


# ---- classification -----------------------------------------------------------------------------

cdef class HingeRule(LossRule):
    """max(0, threshold - y z); the kink may be rounded over a width."""

    cdef double threshold, width

    def __init__(self, double threshold=1.0, double width=0.0):
        self.threshold, self.width = threshold, width

    cdef int value(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                   double* out) except -1 nogil:
        cdef Py_ssize_t i
        for i in range(k * m):
            out[i] = rounded(self.threshold - y[i] * z[i], self.width)
        return 0

    cdef int gradient(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                      double* out) except -1 nogil:
        # A row on the kink itself has a slope: a perceptron at zero must leave it.
        cdef Py_ssize_t i
        cdef double t, slope
        for i in range(k * m):
            t = self.threshold - y[i] * z[i]
            slope = t / self.width if t < self.width else 1.0
            slope = 0.0 if t < 0.0 else slope
            out[i] = -y[i] * slope if t == t else t
        return 0

    cdef int hessian(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                     double* out) except -1 nogil:
        cdef Py_ssize_t i
        cdef double t
        for i in range(k * m):
            t = self.threshold - y[i] * z[i]
            out[i] = 1.0 / self.width if 0.0 <= t <= self.width else 0.0
        return 0


cdef class PerceptronRule(HingeRule):
    def __init__(self, double width=0.0):
        HingeRule.__init__(self, 0.0, width)


class Perceptron(_PiecewiseLinear):
    """The loss of the perceptron: rows on the wrong side cost their distance.

    ``loss(y, z) = max(0, -y z)``

    Its minimum is 0 at zero coefficients, so nothing can be learned by minimising it to the end: it
    is trained by update steps, and "auto" is SGD. The perceptron algorithm is
    ``GDClassifier("perceptron", penalty=None, optimizer="sgd", learning_rate=1.0, batch_size=1,
    precondition=None)``.

    References
    ----------
    Rosenblatt, The perceptron: a probabilistic model for information storage and organization in
    the brain, 1958.

    Examples
    --------
    >>> from skgd.losses import Perceptron
    >>> Perceptron().value([1.0, -1.0], [3.0, 0.5])
    array([0. , 0.5])
    """

    Rule = PerceptronRule
    task = "classification"
    homogeneous = True

    def best_constant(self, y, sample_weight):
        return np.zeros(y.shape[1])


class Hinge(_PiecewiseLinear):
    """The loss of the support vector machine.

    ``loss(y, z) = max(0, 1 - y z)``

    References
    ----------
    Cortes and Vapnik, Support-vector networks, 1995.

    Examples
    --------
    >>> from skgd.losses import Hinge
    >>> Hinge().value([1.0, -1.0], [3.0, 0.5])
    array([0. , 1.5])
    """

    Rule = HingeRule
    task = "classification"

    def steepest(self, n_outputs):
        return 1.0

    def conjugate(self, y, slope):
        return np.where(np.abs(y * slope + 0.5) <= 0.5, y * slope, np.inf)

    def hinges(self, y):
        return y[None], np.where(y > 0, -1.0, 0.0), np.where(y > 0, 0.0, 1.0)


cdef class SquaredHingeRule(LossRule):
    cdef int value(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                   double* out) except -1 nogil:
        cdef Py_ssize_t i
        cdef double t
        for i in range(k * m):
            t = 1.0 - y[i] * z[i]
            t = 0.0 if t < 0.0 else t
            out[i] = t * t
        return 0

    cdef int gradient(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                      double* out) except -1 nogil:
        cdef Py_ssize_t i
        cdef double t
        for i in range(k * m):
            t = 1.0 - y[i] * z[i]
            t = 0.0 if t < 0.0 else t
            out[i] = -2.0 * y[i] * t
        return 0

    cdef int hessian(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                     double* out) except -1 nogil:
        cdef Py_ssize_t i
        for i in range(k * m):
            out[i] = 2.0 if 1.0 - y[i] * z[i] > 0.0 else 0.0
        return 0


class SquaredHinge(Loss):
    """The square of the hinge, with a continuous derivative.

    ``loss(y, z) = max(0, 1 - y z)^2``

    Examples
    --------
    >>> from skgd.losses import SquaredHinge
    >>> SquaredHinge().value([1.0, -1.0], [3.0, 0.5])
    array([0.  , 2.25])
    """

    Rule = SquaredHingeRule
    task = "classification"
    curvature = 2.0
    has_hessian = True

    def conjugate(self, y, slope):
        return np.where(y * slope <= 0.0, y * slope + 0.25 * slope**2, np.inf)


cdef class ModifiedHuberRule(LossRule):
    cdef int value(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                   double* out) except -1 nogil:
        cdef Py_ssize_t i
        cdef double t, inside
        for i in range(k * m):
            t = 1.0 - y[i] * z[i]
            t = 0.0 if t < 0.0 else t
            inside = 2.0 if t > 2.0 else t
            out[i] = inside * (2.0 * t - inside)
        return 0

    cdef int gradient(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                      double* out) except -1 nogil:
        cdef Py_ssize_t i
        cdef double t
        for i in range(k * m):
            t = 1.0 - y[i] * z[i]
            t = 0.0 if t < 0.0 else t
            t = 2.0 if t > 2.0 else t
            out[i] = -2.0 * y[i] * t
        return 0

    cdef int hessian(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                     double* out) except -1 nogil:
        cdef Py_ssize_t i
        cdef double t
        for i in range(k * m):
            t = 1.0 - y[i] * z[i]
            out[i] = 2.0 if 0.0 < t <= 2.0 else 0.0
        return 0


class ModifiedHuber(Loss):
    """A squared hinge that is linear for large errors; its margins give probabilities.

    ``loss(y, z) = max(0, 1 - y z)^2`` where ``y z >= -1``, else ``-4 y z``

    References
    ----------
    Zhang, Solving large scale linear prediction problems using stochastic gradient descent
    algorithms, ICML 2004.

    Examples
    --------
    >>> from skgd.losses import ModifiedHuber
    >>> ModifiedHuber().value([1.0, 1.0], [0.0, -3.0])
    array([ 1., 12.])
    """

    Rule = ModifiedHuberRule
    task = "classification"
    curvature = 2.0
    has_hessian = True

    def steepest(self, n_outputs):
        return 4.0

    def conjugate(self, y, slope):
        return np.where(np.abs(y * slope + 2.0) <= 2.0, y * slope + 0.25 * slope**2, np.inf)

    def probabilities(self, z):
        """Return the probabilities of the classes.

        Parameters
        ----------
        z : array of shape (n_samples, n_outputs)
            Margins.
        """
        return _against_the_rest((np.clip(z, -1, 1) + 1) / 2)


def _against_the_rest(positive):
    """Return the probabilities of the classes from those of each class against the others."""
    if positive.shape[1] == 1:
        return np.hstack([1 - positive, positive])
    total = positive.sum(axis=1, keepdims=True)
    uniform = np.full_like(positive, 1 / positive.shape[1])
    return np.divide(positive, total, out=uniform, where=total > 0)


cdef class LogLossRule(LossRule):
    cdef int value(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                   double* out) except -1 nogil:
        cdef Py_ssize_t i
        for i in range(k * m):
            out[i] = -y[i] * z[i]
        skgd_softplus(k * m, out, out)
        return 0

    cdef int gradient(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                      double* out) except -1 nogil:
        skgd_logistic_slope(k * m, y, z, out)
        return 0

    cdef int hessian(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                     double* out) except -1 nogil:
        cdef Py_ssize_t i
        for i in range(k * m):
            out[i] = -fabs(z[i])
        skgd_sigmoid(k * m, out, out)
        for i in range(k * m):
            out[i] *= 1.0 - out[i]
        return 0


cdef class SoftmaxRule(LossRule):
    cdef int value(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                   double* out) except -1 nogil:
        skgd_softmax_loss(k, m, y, z, out)
        return 0

    cdef int gradient(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                      double* out) except -1 nogil:
        skgd_softmax(k, m, y, z, out)
        return 0

    cdef int hessian(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                     double* out) except -1 nogil:
        # The diagonal of diag(p) - p p'.
        cdef Py_ssize_t i
        skgd_softmax(k, m, NULL, z, out)
        for i in range(k * m):
            out[i] *= 1.0 - out[i]
        return 0


class LogLoss(Loss):
    """The negative log-likelihood of a logistic model: sigmoid for two classes, softmax for more.

    ``loss(y, z) = log(1 + exp(-y z))`` for two classes, and
    ``loss(y, z) = log(sum_c exp(z_c)) - z_y`` for three and more.

    Examples
    --------
    >>> from skgd.losses import LogLoss
    >>> LogLoss().value([1.0, -1.0], [0.0, -1e4])
    array([0.69314718, 0.        ])
    """

    Rule = LogLossRule
    task = "classification"
    has_hessian = True
    decided_below = log(2.0)

    @property
    def curvature(self):
        """The bound for the sigmoid; a softmax of K outputs has (1 - 1/K)/2 (Boehning 1988)."""
        return 0.25

    def couples(self, n_outputs):
        return n_outputs > 1

    def steepest(self, n_outputs):
        return np.sqrt(2.0) if self.couples(n_outputs) else 1.0

    def conjugate(self, y, slope):
        if self.couples(1 if np.ndim(y) == 1 else y.shape[1]):
            p = slope + (y > 0)
            balanced = np.abs(p.sum(axis=1) - 1.0) <= 1e-9
            # A probability that a Newton step takes to zero may end a rounding error below.
            balanced &= np.all(p >= -1e-15, axis=1)
            p = np.maximum(p, 0.0)
            return np.where(balanced, special.xlogy(p, p).sum(axis=1), np.inf)
        p = -y * slope
        entropy = special.xlogy(p, p) + special.xlog1py(1.0 - p, -p)
        return np.where((p >= 0) & (p <= 1), entropy, np.inf)

    def scales(self, mean, spread):
        k = len(spread)
        return np.full(k, 0.25 if k == 1 else 0.5 * (1 - 1 / k)), np.ones(k)

    def probabilities(self, z):
        """Return the probabilities of the classes.

        Parameters
        ----------
        z : array of shape (n_samples, n_outputs)
            Margins.
        """
        if z.shape[1] == 1:
            return special.expit(np.hstack([-z, z]))
        exponentials = np.exp(z - z.max(axis=1, keepdims=True))
        return exponentials / exponentials.sum(axis=1, keepdims=True)

    def bends(self, y, z):
        return self.probabilities(z) if self.couples(z.shape[1]) else Loss.bends(self, y, z)

    def best_constant(self, y, sample_weight):
        share = np.average(y > 0, axis=0, weights=sample_weight)
        with np.errstate(divide="ignore"):
            if len(share) == 1:
                return np.clip(np.log(share / (1 - share)), -30, 30)
            logs = np.maximum(np.log(share), -30)
        return logs - logs.mean()

    def _rule(self, n_outputs):
        return SoftmaxRule() if n_outputs > 1 else LogLossRule()


cdef class FocalRule(LossRule):
    """With p = sigmoid(y z), q = 1 - p and s = -log(p): q^gamma s."""

    cdef double gamma

    def __init__(self, double gamma):
        if not 0 <= gamma < float("inf"):
            raise ValueError(f"gamma={gamma!r}: pass a finite number >= 0.")
        self.gamma = gamma

    cdef int value(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                   double* out) except -1 nogil:
        cdef Py_ssize_t i
        cdef double s
        self.logs(k * m, y, z, out)
        for i in range(k * m):
            s = out[i]
            # -log(q) is y z + s.
            out[i] = exp(-self.gamma * (y[i] * z[i] + s)) * s
        return 0

    cdef int gradient(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                      double* out) except -1 nogil:
        cdef Py_ssize_t i
        cdef double s, p, q
        self.logs(k * m, y, z, out)
        for i in range(k * m):
            s = out[i]
            p, q = exp(-s), exp(-(y[i] * z[i] + s))
            out[i] = -y[i] * exp(-self.gamma * (y[i] * z[i] + s)) * (self.gamma * p * s + q)
        return 0

    cdef int hessian(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                     double* out) except -1 nogil:
        cdef Py_ssize_t i
        cdef double s, p, q, g = self.gamma
        self.logs(k * m, y, z, out)
        for i in range(k * m):
            s = out[i]
            p, q = exp(-s), exp(-(y[i] * z[i] + s))
            out[i] = p * exp(-g * (y[i] * z[i] + s)) * (
                g * s * (g * p - q) + (2.0 * g + 1.0) * q
            )
        return 0

    cdef void logs(self, Py_ssize_t n, const double* y, const double* z,
                   double* out) noexcept nogil:
        cdef Py_ssize_t i
        for i in range(n):
            out[i] = -y[i] * z[i]
        skgd_softplus(n, out, out)


class Focal(Loss):
    """A logistic loss in which rows that are classified well count less. Not convex.

    ``loss(y, z) = -(1 - p)^gamma log(p)`` with ``p = sigmoid(y z)``

    Its sigmoid is not the probability of the class. ``predict_proba`` is: the probability for which
    the margin is the best one, ``g(-1, z) / (g(-1, z) - g(1, z))`` with the derivative g of the
    loss. Three and more classes are one-versus-rest.

    Parameters
    ----------
    gamma : float, default=2.0
        How much less they count; 0 is the logistic loss.

    References
    ----------
    Lin, Goyal, Girshick, He and Dollar, Focal loss for dense object detection, 2017.
    Charoenphakdee, Vongkulbhisal, Chairatanakul and Sugiyama, On focal loss for class-posterior
    probability estimation, 2021.

    Examples
    --------
    >>> from skgd.losses import Focal
    >>> Focal(gamma=2.0).value([1.0, 1.0], [0.0, 2.0]).round(4)
    array([0.1733, 0.0018])
    """

    Rule = FocalRule
    task = "classification"
    convex = False
    has_hessian = True

    def __init__(self, gamma=2.0):
        self.gamma = gamma

    @property
    def curvature(self):
        """The largest second derivative, from a fine grid of margins."""
        z = np.linspace(-10.0, 10.0, 4001)
        return 1.0001 * self.hessian(np.ones(z.shape), z).max()

    @property
    def decided_below(self):
        """The loss of a row at the margin 0."""
        return 0.5**self.gamma * log(2.0)

    def best_constant(self, y, sample_weight):
        # Beyond, as where all rows are of one class, the loss is less than rounding.
        return np.clip(Loss.best_constant(self, y, sample_weight), -30, 30)

    def probabilities(self, z):
        """Return the probabilities of the classes from margins of shape (n_samples, n_outputs)."""
        if z.shape[1] == 1:
            z = np.hstack([-z, z])
        ones = np.ones(z.shape)
        up, down = self.gradient(-ones, z), self.gradient(ones, z)
        return _against_the_rest(up / (up - down))


# ---- names --------------------------------------------------------------------------------------

@cache
def _snake_case(name):
    return re.sub("(?<!^)(?=[A-Z])", "_", name).lower()


@cache
def by_name(task):
    """Return the losses of a task by the names that the estimators take.

    Parameters
    ----------
    task : {"regression", "classification"}

    Returns
    -------
    dict
        From "squared_error" to `SquaredError`, and so on.

    Examples
    --------
    >>> from skgd.losses import by_name
    >>> by_name("classification")["log_loss"]()
    LogLoss()
    """
    found = [globals()[name] for name in __all__]
    return {
        _snake_case(kind.__name__): kind
        for kind in found
        if isinstance(kind, type) and kind.Rule is not None and kind.task == task
    }
