# cython: language_level=3, cdivision=True
"""Penalties on the coefficients, in order of increasing complexity.

A penalty has a value, the gradient of its smooth part and the proximal operator of the rest. The
estimator's ``alpha`` multiplies it; the penalty object carries its shape.
"""

import numpy as np
from sklearn.base import BaseEstimator

from libc.math cimport NAN, fabs
from libc.string cimport memcpy

from skgd._arrays cimport floats, writeable_floats

from skgd.losses import check_complete, make_rule, overrides

cdef extern from "_vector.h" nogil:
    void skgd_axpy(Py_ssize_t n, double a, const double* x, double* y)


__all__ = ["Penalty", "L2", "L1", "ElasticNet"]


# ---- the contract -------------------------------------------------------------------------------

cdef class PenaltyRule:
    """The mathematics of a penalty, over one row of coefficients."""

    def __cinit__(self, *args, **kwargs):
        self.bend = NAN

    cdef double value(self, Py_ssize_t d, const double* w) except? -1 nogil:
        return 0.0

    cdef double smooth_value(self, Py_ssize_t d, const double* w) except? -1 nogil:
        return 0.0

    cdef int add_gradient(self, Py_ssize_t d, const double* w, double alpha,
                          double* g) except -1 nogil:
        return 0

    cdef int prox(self, Py_ssize_t d, double* w, const double* step) except -1 nogil:
        return 0

    @property
    def is_proximal(self):
        """Whether the penalty has a part that is not smooth."""
        return self.proximal

    def check(self, Py_ssize_t d):
        """Raise ValueError where the penalty does not fit d features."""

    def separated(self, Py_ssize_t d):
        """Return (l1, lower, upper) of each of d coefficients, or None where there is no such form.

        The part that is not smooth is then ``sum_j l1_j |w_j|`` within the bounds.
        """

    def apply_value(self, coef):
        """Return the penalty of each row of coef, of shape (n_outputs, n_features)."""
        cdef Py_ssize_t c, d = coef.shape[1]
        cdef const double* w = floats(coef, coef.shape)
        self.check(d)
        return np.array([self.value(d, w + c * d) for c in range(len(coef))])

    def apply_smooth_value(self, coef):
        """Return the smooth part of the penalty of each row of coef."""
        cdef Py_ssize_t c, d = coef.shape[1]
        cdef const double* w = floats(coef, coef.shape)
        self.check(d)
        return np.array([self.smooth_value(d, w + c * d) for c in range(len(coef))])

    def apply_gradient(self, coef):
        """Return the gradient of the smooth part, shaped like coef."""
        result = np.zeros(coef.shape)
        cdef Py_ssize_t c, d = coef.shape[1]
        cdef const double* w = floats(coef, coef.shape)
        cdef double* g = writeable_floats(result, coef.shape)
        self.check(d)
        for c in range(len(coef)):
            self.add_gradient(d, w + c * d, 1.0, g + c * d)
        return result

    def apply_prox(self, coef, step):
        """Replace coef by its proximal point; step has the shape of coef."""
        cdef Py_ssize_t c, d = coef.shape[1]
        cdef double* w = writeable_floats(coef, coef.shape)
        cdef const double* steps = floats(step, coef.shape)
        self.check(d)
        for c in range(len(coef)):
            self.prox(d, w + c * d, steps + c * d)


cdef class PythonPenaltyRule(PenaltyRule):
    """Calls the methods of a user's penalty back, with arrays of their own."""

    cdef object penalty

    def __init__(self, penalty):
        self.penalty = penalty
        self.proximal = penalty._has("prox")

    cdef double value(self, Py_ssize_t d, const double* w) except? -1 nogil:
        with gil:
            return self.penalty.value(copied(d, w))

    cdef double smooth_value(self, Py_ssize_t d, const double* w) except? -1 nogil:
        with gil:
            return self.penalty.smooth_value(copied(d, w))

    cdef int add_gradient(self, Py_ssize_t d, const double* w, double alpha,
                          double* g) except -1 nogil:
        cdef Py_ssize_t j
        cdef const double* gradient
        with gil:
            result = checked(self.penalty.gradient(copied(d, w)), d, "gradient")
            gradient = floats(result, (d,))
            for j in range(d):
                g[j] += alpha * gradient[j]
        return 0

    cdef int prox(self, Py_ssize_t d, double* w, const double* step) except -1 nogil:
        with gil:
            result = checked(self.penalty.prox(copied(d, w), copied(d, step)), d, "prox")
            memcpy(w, floats(result, (d,)), d * sizeof(double))
        return 0


cdef copied(Py_ssize_t d, const double* w):
    array = np.empty(d)
    memcpy(writeable_floats(array, (d,)), w, d * sizeof(double))
    return array


def checked(result, d, method):
    """Return a user's result as an array of d floats."""
    array = np.ascontiguousarray(result, dtype=float)
    if array.shape != (d,):
        raise ValueError(
            f"A penalty's {method} returned shape {array.shape} for {d} coefficients: "
            f"return an array of shape ({d},)."
        )
    return array


cdef class PositiveRule(PenaltyRule):
    """A penalty with the constraint that no coefficient is negative."""

    cdef PenaltyRule penalty

    def __init__(self, PenaltyRule penalty):
        self.penalty = penalty
        self.proximal = True

    def check(self, Py_ssize_t d):
        self.penalty.check(d)

    def separated(self, Py_ssize_t d):
        parts = self.penalty.separated(d)
        if parts is not None:
            l1, lower, upper = parts
            return l1, np.maximum(lower, 0.0), np.maximum(upper, 0.0)

    cdef double value(self, Py_ssize_t d, const double* w) except? -1 nogil:
        return self.penalty.value(d, w)

    cdef double smooth_value(self, Py_ssize_t d, const double* w) except? -1 nogil:
        return self.penalty.smooth_value(d, w)

    cdef int add_gradient(self, Py_ssize_t d, const double* w, double alpha,
                          double* g) except -1 nogil:
        return self.penalty.add_gradient(d, w, alpha, g)

    cdef int prox(self, Py_ssize_t d, double* w, const double* step) except -1 nogil:
        cdef Py_ssize_t j
        for j in range(d):
            w[j] = 0.0 if w[j] < 0.0 else w[j]
        return self.penalty.prox(d, w, step)


class Penalty(BaseEstimator):
    """Base class of the penalties; subclass it to write your own.

    A penalty of your own needs ``value(coef)`` and, for the part that is smooth,
    ``gradient(coef)``, for the part that is not, ``prox(coef, step)``. ``coef`` is one row of
    coefficients, of shape (n_features,).

    Examples
    --------
    >>> import numpy as np
    >>> from skgd import GDRegressor
    >>> from skgd.penalties import Penalty
    >>> class AtMostOne(Penalty):
    ...     def value(self, coef):
    ...         return 0.0
    ...     def prox(self, coef, step):
    ...         return np.clip(coef, -1, 1)
    >>> X, y = np.arange(6.0).reshape(-1, 1), 3 * np.arange(6.0)
    >>> GDRegressor(penalty=AtMostOne()).fit(X, y).coef_
    array([1.])
    """

    Rule = None

    def value(self, coef):
        """Return the penalty of one row of coefficients.

        Parameters
        ----------
        coef : array of shape (n_features,)
            One row of coefficients.
        """
        return float(self._rule().apply_value(_row(coef))[0])

    def smooth_value(self, coef):
        """Return the part of the value whose gradient ``gradient`` gives.

        A penalty of your own needs it only if it has both ``gradient`` and ``prox``.

        Parameters
        ----------
        coef : array of shape (n_features,)
            One row of coefficients.
        """
        if type(self).Rule is None and not self._has("gradient"):
            return 0.0
        if type(self).Rule is None and not self._has("prox"):
            return float(self.value(coef))
        return float(self._rule().apply_smooth_value(_row(coef))[0])

    def gradient(self, coef):
        """Return the gradient of the smooth part, of shape (n_features,).

        Parameters
        ----------
        coef : array of shape (n_features,)
            One row of coefficients.
        """
        if type(self).Rule is None:
            return np.zeros(len(coef))
        return self._rule().apply_gradient(_row(coef))[0]

    def prox(self, coef, step):
        """Return the proximal point of the part that is not smooth.

        ``argmin_v sum_j (v_j - coef_j)^2 / (2 step_j) + penalty(v)``

        Parameters
        ----------
        coef : array of shape (n_features,)
        step : float or array of shape (n_features,)
            The step size of each coordinate times ``alpha``.

        Returns
        -------
        array of shape (n_features,)
        """
        row = _row(coef).copy()
        if type(self).Rule is None:
            return row[0]
        steps = np.ascontiguousarray(np.broadcast_to(np.asarray(step, dtype=float), row.shape))
        self._rule().apply_prox(row, steps)
        return row[0]

    def curvature(self, n_features):
        """Return the second derivative of the smooth part for each feature.

        Parameters
        ----------
        n_features : int
            The number of coefficients in a row.
        """
        return np.zeros(n_features)

    def compiled(self):
        """Return the rule that the engine runs; one that calls back where a subclass overrides."""
        if overrides(type(self), Penalty, {"value", "smooth_value", "gradient", "prox"}):
            return PythonPenaltyRule(self)
        check_complete(self, "value(coef), and gradient(coef) or prox(coef, step)")
        return self._rule()

    def _has(self, method):
        """Tell whether a user's penalty has a method, or its parent's rule a part of that kind."""
        if getattr(type(self), method) is not getattr(Penalty, method):
            return True
        return method == "prox" and type(self).Rule is not None and self._rule().is_proximal

    def _rule(self):
        return make_rule(self, "each method that is called")


def _row(coef):
    row = np.asarray(coef, dtype=float)
    if row.ndim != 1 or not row.size:
        raise ValueError(f"coef has shape {row.shape}: pass one row, (n_features,).")
    return np.ascontiguousarray(row).reshape(1, -1)


# ---- l1 and l2 ----------------------------------------------------------------------------------

cdef class ElasticNetRule(PenaltyRule):
    cdef double l1_ratio
    cdef object owner
    cdef const double* weights

    def __init__(self, double l1_ratio, weights=None):
        if not 0 <= l1_ratio <= 1:
            raise ValueError(f"l1_ratio={l1_ratio!r}: pass a number from 0 (l2) to 1 (l1).")
        self.l1_ratio = l1_ratio
        self.proximal = l1_ratio > 0
        self.weights = NULL
        if weights is None:
            self.bend = 1.0 - l1_ratio
        else:
            array = np.ascontiguousarray(weights, dtype=float)
            if array.ndim != 1 or not np.all(np.isfinite(array)) or np.any(array < 0):
                raise ValueError(
                    "weights of a penalty: pass one finite number >= 0 per feature, "
                    f"got {weights!r}."
                )
            self.owner, self.weights = array, floats(array, array.shape)

    def check(self, Py_ssize_t d):
        if self.weights != NULL and len(self.owner) != d:
            raise ValueError(
                f"weights of the penalty has {len(self.owner)} numbers and X has {d} "
                "features: pass one weight per feature."
            )

    def separated(self, Py_ssize_t d):
        weights = np.ones(d) if self.weights == NULL else self.owner
        return self.l1_ratio * weights, np.full(d, -np.inf), np.full(d, np.inf)

    cdef double value(self, Py_ssize_t d, const double* w) except? -1 nogil:
        cdef Py_ssize_t j
        cdef double l1 = 0.0
        for j in range(d):
            l1 += fabs(w[j]) * (self.weights[j] if self.weights != NULL else 1.0)
        return self.l1_ratio * l1 + self.smooth_value(d, w)

    cdef double smooth_value(self, Py_ssize_t d, const double* w) except? -1 nogil:
        cdef Py_ssize_t j
        cdef double l2 = 0.0
        for j in range(d):
            l2 += w[j] * w[j] * (self.weights[j] if self.weights != NULL else 1.0)
        return 0.5 * (1.0 - self.l1_ratio) * l2

    cdef int add_gradient(self, Py_ssize_t d, const double* w, double alpha,
                          double* g) except -1 nogil:
        cdef Py_ssize_t j
        cdef double l2 = alpha * (1.0 - self.l1_ratio)
        if l2 == 0.0:
            return 0
        if self.weights == NULL:
            skgd_axpy(d, l2, w, g)
        else:
            for j in range(d):
                g[j] += l2 * self.weights[j] * w[j]
        return 0

    cdef int prox(self, Py_ssize_t d, double* w, const double* step) except -1 nogil:
        cdef Py_ssize_t j
        cdef double threshold, weight = 1.0
        for j in range(d):
            if self.weights != NULL:
                weight = self.weights[j]
            threshold = self.l1_ratio * weight * step[j]
            if w[j] > threshold:
                w[j] -= threshold
            elif w[j] < -threshold:
                w[j] += threshold
            elif w[j] == w[j]:
                w[j] = 0.0
        return 0


class ElasticNet(Penalty):
    """A mixture of l1 and l2.

    ``penalty(w) = l1_ratio * sum_j v_j |w_j| + (1 - l1_ratio)/2 * sum_j v_j w_j^2``

    Parameters
    ----------
    l1_ratio : float, default=0.15
        The share of l1, from 0 to 1.
    weights : array of shape (n_features,), default=None
        The weight v_j >= 0 of each feature; None means 1.

    References
    ----------
    Zou and Hastie, Regularization and variable selection via the elastic net, 2005.

    Examples
    --------
    >>> from skgd.penalties import ElasticNet
    >>> ElasticNet(l1_ratio=0.5).value([3.0, -1.0])
    4.5
    """

    Rule = ElasticNetRule

    def __init__(self, l1_ratio=0.15, weights=None):
        self.l1_ratio = l1_ratio
        self.weights = weights

    def curvature(self, n_features):
        weights = np.ones(n_features) if self.weights is None else np.asarray(self.weights, float)
        return (1.0 - self.l1_ratio) * weights


class L2(ElasticNet):
    """Half the squared length of the coefficients.

    ``penalty(w) = sum_j v_j w_j^2 / 2``

    Parameters
    ----------
    weights : array of shape (n_features,), default=None
        The weight v_j >= 0 of each feature; None means 1.

    Examples
    --------
    >>> from skgd.penalties import L2
    >>> L2().value([3.0, -1.0])
    5.0
    """

    l1_ratio = 0.0

    def __init__(self, weights=None):
        self.weights = weights

    def _rule(self):
        return ElasticNetRule(0.0, self.weights)


class L1(ElasticNet):
    """The sum of the absolute coefficients, which sets many of them to exactly zero.

    ``penalty(w) = sum_j v_j |w_j|``

    Parameters
    ----------
    weights : array of shape (n_features,), default=None
        The weight v_j >= 0 of each feature; None means 1.

    References
    ----------
    Tibshirani, Regression shrinkage and selection via the lasso, 1996.

    Examples
    --------
    >>> from skgd.penalties import L1
    >>> L1().prox([3.0, -1.0], step=2.0)
    array([1., 0.])
    """

    l1_ratio = 1.0

    def __init__(self, weights=None):
        self.weights = weights

    def _rule(self):
        return ElasticNetRule(1.0, self.weights)
