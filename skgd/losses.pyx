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

import numpy as np
from scipy import optimize
from sklearn.base import BaseEstimator

from libc.math cimport fabs
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from skgd._arrays cimport floats, writeable_floats

__all__ = [
    "Loss",
    "SquaredError",
    "AbsoluteError",
    "Huber",
    "Hinge",
    "SquaredHinge",
    "ModifiedHuber",
    "LogLoss",
]

cdef extern from "_vector.h" nogil:
    void skgd_exp(Py_ssize_t n, const double* x, double* out)
    void skgd_softplus(Py_ssize_t n, const double* x, double* out)
    void skgd_sigmoid(Py_ssize_t n, const double* x, double* out)
    void skgd_softmax(Py_ssize_t k, Py_ssize_t m, const double* z, double* out, double* log_total)


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
        if what == "value":
            self.value(k, m, a, b, out)
        elif what == "gradient":
            self.gradient(k, m, a, b, out)
        else:
            self.hessian(k, m, a, b, out)
        return result.T


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
        result = np.asarray(method(targets, margins), dtype=float)
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


def make_rule(piece, needed):
    """Return the rule of a loss, penalty or optimizer with its hyperparameters."""
    for base in type(piece).__mro__:
        if base.__dict__.get("Rule") is not None:
            parameters = {name: getattr(piece, name) for name in base._get_param_names()}
            try:
                return base.Rule(**parameters)
            except TypeError as error:
                raise TypeError(f"{piece!r}: pass numbers for its parameters ({error}).") from error
    raise NotImplementedError(f"{type(piece).__name__} needs {needed} of its own: define it.")


def check_complete(piece, needed):
    """Raise for a user's subclass that defines nothing of its own."""
    if type(piece).Rule is None:
        raise TypeError(f"{type(piece).__name__} is not complete: define {needed}.")


def overrides(cls, root, methods):
    """Tell whether a subclass of a compiled piece, or of the base class, has methods of its own."""
    for base in cls.__mro__:
        if base is root or base.__dict__.get("Rule") is not None:
            return False
        if not methods.isdisjoint(base.__dict__):
            return True
    return False


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
    curvature : float or None
        An upper bound of the second derivative; None if there is none.

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
    curvature = None
    has_hessian = False
    constant_hessian = False

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
        """Return the derivative of the loss with respect to each margin, shaped like ``z``."""
        return self._apply("gradient", y, z)

    def hessian(self, y, z):
        """Return the second derivative with respect to each margin, shaped like ``z``."""
        return self._apply("hessian", y, z)

    def bends(self, y, z):
        """Return what ``bend`` needs to know of the targets and margins, (n_samples, n_outputs)."""
        if np.ndim(z) != 2:
            raise ValueError(f"z has shape {np.shape(z)}: pass (n_samples, n_outputs).")
        return self.hessian(y, z)

    def bend(self, bends, direction):
        """Return the second derivative times a direction of shape (n_samples, n_outputs)."""
        return bends * direction

    def compiled(self, n_outputs=1):
        """Return the rule that the engine runs; one that calls back where a subclass overrides."""
        if overrides(type(self), Loss, {"value", "gradient", "hessian"}):
            return PythonLossRule(self)
        check_complete(self, "value(y, z) and gradient(y, z)")
        return self._rule(n_outputs)

    def best_constant(self, y, sample_weight):
        """Return the constant margin with the least weighted loss, one per column of ``y``.

        The root of the derivative, by Brent's method in a bracket grown around the targets.
        """
        result = np.empty(y.shape[1])
        for c, column in enumerate(y.T):
            targets = np.ascontiguousarray(column)

            def slope(b):
                return sample_weight @ self.gradient(targets, np.full(targets.shape, b))

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

    def smoothed(self, width):
        """Return a smooth loss within ``width`` of this one, for the losses that are not smooth."""
        return self

    def couples(self, n_outputs):
        """Tell whether the outputs enter the loss of a row together, as in a softmax."""
        return False

    def _rule(self, n_outputs):
        return make_rule(self, "each method that is called")

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


cdef class AbsoluteErrorRule(LossRule):
    cdef int value(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                   double* out) except -1 nogil:
        cdef Py_ssize_t i
        for i in range(k * m):
            out[i] = fabs(z[i] - y[i])
        return 0

    cdef int gradient(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                      double* out) except -1 nogil:
        cdef Py_ssize_t i
        for i in range(k * m):
            out[i] = (z[i] > y[i]) - <double>(z[i] < y[i]) if z[i] == z[i] else z[i]
        return 0


class AbsoluteError(Loss):
    """The absolute residual, whose best constant is the median.

    ``loss(y, z) = |z - y|``

    Examples
    --------
    >>> from skgd.losses import AbsoluteError
    >>> AbsoluteError().gradient([1.0, 2.0, 5.0], [3.0, 2.0, 1.0])
    array([ 1.,  0., -1.])
    """

    Rule = AbsoluteErrorRule
    smooth = False

    def best_constant(self, y, sample_weight):
        order = np.argsort(y, axis=0, kind="stable")
        cumulated = np.cumsum(sample_weight[order], axis=0)
        middle = (cumulated < 0.5 * cumulated[len(cumulated) - 1]).sum(axis=0)
        columns = np.arange(y.shape[1])
        return y[order[middle, columns], columns]

    def smoothed(self, width):
        return _SmoothedAbsoluteError(width)


cdef class HuberRule(LossRule):
    cdef double delta

    def __init__(self, double delta):
        if not 0 < delta < float("inf"):
            raise ValueError(f"delta={delta!r}: pass a positive number, the unit is that of y.")
        self.delta = delta

    cdef int value(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                   double* out) except -1 nogil:
        cdef Py_ssize_t i
        cdef double r, inside
        for i in range(k * m):
            r = fabs(z[i] - y[i])
            inside = self.delta if r > self.delta else r
            out[i] = inside * (r - 0.5 * inside)
        return 0

    cdef int gradient(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                      double* out) except -1 nogil:
        cdef Py_ssize_t i
        cdef double r
        for i in range(k * m):
            r = z[i] - y[i]
            r = self.delta if r > self.delta else r
            out[i] = -self.delta if r < -self.delta else r
        return 0

    cdef int hessian(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                     double* out) except -1 nogil:
        cdef Py_ssize_t i
        for i in range(k * m):
            out[i] = 1.0 if fabs(z[i] - y[i]) <= self.delta else 0.0
        return 0


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


cdef class _SmoothedAbsoluteErrorRule(HuberRule):
    def __init__(self, double width):
        HuberRule.__init__(self, width)

    cdef int value(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                   double* out) except -1 nogil:
        HuberRule.value(self, k, m, y, z, out)
        return scale(k * m, 1.0 / self.delta, out)

    cdef int gradient(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                      double* out) except -1 nogil:
        HuberRule.gradient(self, k, m, y, z, out)
        return scale(k * m, 1.0 / self.delta, out)

    cdef int hessian(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                     double* out) except -1 nogil:
        HuberRule.hessian(self, k, m, y, z, out)
        return scale(k * m, 1.0 / self.delta, out)


cdef inline int scale(Py_ssize_t n, double factor, double* out) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        out[i] *= factor
    return 0


class _SmoothedAbsoluteError(Loss):
    """The absolute error with its kink rounded: at most ``width / 2`` below it."""

    Rule = _SmoothedAbsoluteErrorRule
    has_hessian = True

    def __init__(self, width):
        self.width = width
        self.curvature = 1.0 / width


# ---- classification -----------------------------------------------------------------------------

cdef class HingeRule(LossRule):
    cdef int value(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                   double* out) except -1 nogil:
        cdef Py_ssize_t i
        cdef double t
        for i in range(k * m):
            t = 1.0 - y[i] * z[i]
            out[i] = 0.0 if t < 0.0 else t
        return 0

    cdef int gradient(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                      double* out) except -1 nogil:
        cdef Py_ssize_t i
        for i in range(k * m):
            out[i] = -y[i] if 1.0 - y[i] * z[i] > 0.0 else 0.0
            out[i] = out[i] if z[i] == z[i] else z[i]
        return 0


class Hinge(Loss):
    """The loss of the support vector machine.

    ``loss(y, z) = max(0, 1 - y z)``

    Examples
    --------
    >>> from skgd.losses import Hinge
    >>> Hinge().value([1.0, -1.0], [3.0, 0.5])
    array([0. , 1.5])
    """

    Rule = HingeRule
    task = "classification"
    smooth = False

    def smoothed(self, width):
        return _SmoothedHinge(width)


cdef class _SmoothedHingeRule(LossRule):
    cdef double width

    def __init__(self, double width):
        self.width = width

    cdef int value(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                   double* out) except -1 nogil:
        cdef Py_ssize_t i
        cdef double t, inside
        for i in range(k * m):
            t = 1.0 - y[i] * z[i]
            t = 0.0 if t < 0.0 else t
            inside = self.width if t > self.width else t
            out[i] = inside * (t - 0.5 * inside) / self.width
        return 0

    cdef int gradient(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                      double* out) except -1 nogil:
        cdef Py_ssize_t i
        cdef double t
        for i in range(k * m):
            t = 1.0 - y[i] * z[i]
            t = 0.0 if t < 0.0 else t
            t = self.width if t > self.width else t
            out[i] = -y[i] * t / self.width
        return 0

    cdef int hessian(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                     double* out) except -1 nogil:
        cdef Py_ssize_t i
        cdef double t
        for i in range(k * m):
            t = 1.0 - y[i] * z[i]
            out[i] = 1.0 / self.width if 0.0 <= t <= self.width else 0.0
        return 0


class _SmoothedHinge(Loss):
    """The hinge with its kink rounded: at most ``width / 2`` below it."""

    Rule = _SmoothedHingeRule
    task = "classification"
    has_hessian = True

    def __init__(self, width):
        self.width = width
        self.curvature = 1.0 / width


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

    def probabilities(self, z):
        """Return the probabilities of the classes from margins of shape (n_samples, n_outputs)."""
        positive = (np.clip(z, -1, 1) + 1) / 2
        if z.shape[1] == 1:
            return np.hstack([1 - positive, positive])
        total = positive.sum(axis=1, keepdims=True)
        uniform = np.full_like(positive, 1 / z.shape[1])
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
        cdef Py_ssize_t i
        for i in range(k * m):
            out[i] = -y[i] * z[i]
        skgd_sigmoid(k * m, out, out)
        for i in range(k * m):
            out[i] *= -y[i]
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
        cdef Py_ssize_t i, c
        cdef double* log_total = <double*>malloc(m * sizeof(double))
        if log_total == NULL:
            with gil:
                raise MemoryError()
        skgd_softmax(k, m, z, out, log_total)
        for c in range(k):
            for i in range(m):
                out[c * m + i] = 0.0
                log_total[i] -= z[c * m + i] if y[c * m + i] > 0.0 else 0.0
        memcpy(out, log_total, m * sizeof(double))
        free(log_total)
        return 0

    cdef int gradient(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                      double* out) except -1 nogil:
        cdef Py_ssize_t i
        skgd_softmax(k, m, z, out, NULL)
        for i in range(k * m):
            out[i] -= 1.0 if y[i] > 0.0 else 0.0
        return 0

    cdef int hessian(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                     double* out) except -1 nogil:
        # The diagonal of diag(p) - p p'.
        cdef Py_ssize_t i
        skgd_softmax(k, m, z, out, NULL)
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

    @property
    def curvature(self):
        """The bound for the sigmoid; a softmax of K outputs has (1 - 1/K)/2 (Boehning 1988)."""
        return 0.25

    def couples(self, n_outputs):
        return n_outputs > 1

    def probabilities(self, z):
        """Return the probabilities of the classes from margins of shape (n_samples, n_outputs)."""
        if z.shape[1] == 1:
            z = np.hstack([np.zeros_like(z), z])
        exponentials = np.exp(z - z.max(axis=1, keepdims=True))
        return exponentials / exponentials.sum(axis=1, keepdims=True)

    def bends(self, y, z):
        return self.probabilities(z) if self.couples(z.shape[1]) else Loss.bends(self, y, z)

    def bend(self, bends, direction):
        if not self.couples(bends.shape[1]):
            return bends * direction
        return bends * (direction - (bends * direction).sum(axis=1, keepdims=True))

    def best_constant(self, y, sample_weight):
        share = np.average(y > 0, axis=0, weights=sample_weight)
        with np.errstate(divide="ignore"):
            if len(share) == 1:
                return np.clip(np.log(share / (1 - share)), -30, 30)
            logs = np.maximum(np.log(share), -30)
        return logs - logs.mean()

    def _rule(self, n_outputs):
        return SoftmaxRule() if n_outputs > 1 else LogLossRule()
