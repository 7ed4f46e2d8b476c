# cython: language_level=3, cdivision=True
"""What a penalty is: its rule, over one row of coefficients, and the class that users see."""

import numpy as np
from sklearn.base import BaseEstimator

from libc.math cimport NAN
from libc.string cimport memcpy

from skgd._engine.arrays cimport floats, writeable_floats

from skgd._utils.checks import as_floats
from skgd._utils.rules import check_complete, defines, make_rule, overrides

__all__ = ["Penalty"]


cdef class PenaltyRule:
    """The mathematics of a penalty, over one row of coefficients."""

    def __cinit__(self, *args, **kwargs):
        self.hessian_diag = NAN

    cdef double value(self, Py_ssize_t d, const double* w) except? -1 nogil:
        return 0.0

    cdef double smooth_value(self, Py_ssize_t d, const double* w) except? -1 nogil:
        return 0.0

    cdef int add_gradient(self, Py_ssize_t d, const double* w, double alpha,
                          double* g) except -1 nogil:
        return 0

    cdef int prox(self, Py_ssize_t d, double* w, const double* step) except -1 nogil:
        return 0

    cdef int prox_within(self, Py_ssize_t d, double* w, const double* step, const double* lower,
                         const double* upper, Py_ssize_t stride) except -1 nogil:
        # In one dimension the best point of an interval is the one that is nearest to the minimum.
        cdef Py_ssize_t j
        self.prox(d, w, step)
        for j in range(d):
            w[j] = clipped(w[j], lower[j * stride], upper[j * stride])
        return 0

    cdef int project(self, Py_ssize_t d, double* w) except -1 nogil:
        return 0

    @property
    def is_proximal(self):
        """Whether the penalty has a part that is not smooth."""
        return self.proximal

    def check(self, Py_ssize_t d):
        """Raise ValueError where the penalty does not fit d features."""

    def separable_form(self, Py_ssize_t d):
        """Return (l1, lower, upper) of each of d coefficients, or None where there is no such form.

        The part that is not smooth is then ``sum_j l1_j |w_j|`` within the bounds.
        """

    def group_form(self, Py_ssize_t d):
        """Return (groups, weights) of each of d coefficients, or None where there is no such form.

        The part that is not smooth is then the sum over the groups of the norms of ``weights * w``.
        """

    def part(self, Py_ssize_t d, columns):
        """Return the penalty of some of d coefficients where the others are 0.

        None where it is not known, as for a penalty of the user's.
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

    def apply_projection(self, coef):
        """Replace coef by the nearest point within bounds; a rounding error off one is on it."""
        cdef Py_ssize_t c, d = coef.shape[1]
        cdef double* w = writeable_floats(coef, coef.shape)
        self.check(d)
        for c in range(len(coef)):
            self.project(d, w + c * d)


cdef class PythonPenaltyRule(PenaltyRule):
    """Calls the methods of a user's penalty back, with arrays of their own."""

    cdef object penalty

    def __init__(self, penalty):
        self.penalty = penalty
        self.proximal = penalty._has("prox")

    cdef double value(self, Py_ssize_t d, const double* w) except? -1 nogil:
        with gil:
            return checked_number(self.penalty.value(copied(d, w)), "value")

    cdef double smooth_value(self, Py_ssize_t d, const double* w) except? -1 nogil:
        with gil:
            return checked_number(self.penalty.smooth_value(copied(d, w)), "smooth_value")

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
    array = np.ascontiguousarray(as_floats(result, f"A penalty's {method}"))
    if array.shape != (d,):
        raise ValueError(
            f"A penalty's {method} returned shape {array.shape} for {d} coefficients: "
            f"return an array of shape ({d},)."
        )
    return array


def checked_number(result, method):
    """Return a user's result as a float."""
    array = as_floats(result, f"A penalty's {method}")
    if array.size != 1 or result is None:
        raise ValueError(f"A penalty's {method} returned {result!r}: return one number.")
    return array.item()


class Penalty(BaseEstimator):
    """Base class of the penalties; subclass it to write your own.

    A penalty of your own needs ``value(coef)``, ``gradient(coef)`` for its smooth part and
    ``prox(coef, step)`` for its non-smooth part. ``coef`` is one row of coefficients, of shape
    (n_features,).

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
            return self.value(coef)
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
        proximal = defines(self, Penalty, "prox")
        if not proximal:
            parts = ("gradient(coef) or prox(coef, step)",)
        else:
            parts = ("smooth_value(coef)",) if defines(self, Penalty, "gradient") else ()
        check_complete(self, Penalty, "value(coef)", *parts)
        if overrides(type(self), Penalty, {"value", "smooth_value", "gradient", "prox"}):
            return PythonPenaltyRule(self)
        return self._rule()

    def _has(self, method):
        """Tell whether a user's penalty has a method, or its parent's rule a part of that kind."""
        if defines(self, Penalty, method):
            return True
        return method == "prox" and type(self).Rule is not None and self._rule().is_proximal

    def _rule(self):
        return make_rule(self)


def _row(coef):
    row = np.asarray(coef, dtype=float)
    if row.ndim != 1 or not row.size:
        raise ValueError(f"coef has shape {row.shape}: pass one row, (n_features,).")
    return np.ascontiguousarray(row).reshape(1, -1)
