# cython: language_level=3, cdivision=True
"""Penalties on the coefficients, in order of increasing complexity.

A penalty has a value, the gradient of its smooth part and the proximal operator of the rest. The
estimator's ``alpha`` multiplies it; the penalty object carries its shape.
"""

from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator

from libc.math cimport INFINITY, NAN, fabs, fmax, sqrt
from libc.string cimport memcpy

from skgd._engine.arrays cimport floats, integers, writeable_floats

from skgd._checks import as_floats, shown
from skgd._pieces import check_complete, defines, make_rule, overrides

cdef extern from "_engine/vector.h" nogil:
    void skgd_axpy(Py_ssize_t n, double a, const double* x, double* y)
    void skgd_shrink(Py_ssize_t n, double share, const double* weight, const double* step,
                     double* w)


__all__ = ["Penalty", "L2", "L1", "ElasticNet", "GroupLasso", "Box"]

# Bounds for a problem without any.
cdef double LOWEST = -INFINITY
cdef double HIGHEST = INFINITY
# A coefficient that is this near to a bound, relative to its size, is on it.
cdef double ROUNDING = 1e-15


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

    def apply_projection(self, coef):
        """Replace coef by the nearest point within bounds; a rounding error off one is on it."""
        cdef Py_ssize_t c, d = coef.shape[1]
        cdef double* w = writeable_floats(coef, coef.shape)
        self.check(d)
        for c in range(len(coef)):
            self.project(d, w + c * d)


cdef inline double clipped(double x, double lower, double upper) noexcept nogil:
    """Return the point of an interval that is nearest to x; NaN stays."""
    return lower if x < lower else (upper if x > upper else x)


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


# ---- l1 and l2 ----------------------------------------------------------------------------------

cdef class WeightedRule(PenaltyRule):
    """A penalty with a weight for each feature."""

    cdef object owner
    cdef const double* weights

    def __init__(self, weights):
        self.weights = NULL
        if weights is not None:
            try:
                array = np.ascontiguousarray(weights, dtype=float)
            except (TypeError, ValueError, OverflowError):
                array = np.empty(0)
            # An array of no dimension has got one.
            usable = array.size and np.ndim(weights) == 1 and np.all(np.isfinite(array))
            if not usable or np.any(array < 0):
                raise ValueError(
                    f"weights={shown(weights)} of a penalty: pass one finite number >= 0 per "
                    "feature, or None."
                )
            self.owner, self.weights = array, floats(array, array.shape)

    def check(self, Py_ssize_t d):
        if self.weights != NULL and len(self.owner) != d:
            raise ValueError(
                f"weights of the penalty has {len(self.owner)} numbers and X has {d} "
                "features: pass one weight per feature."
            )


cdef class ElasticNetRule(WeightedRule):
    cdef double l1_ratio

    def __init__(self, double l1_ratio, weights=None):
        WeightedRule.__init__(self, weights)
        if not 0 <= l1_ratio <= 1:
            raise ValueError(f"l1_ratio={l1_ratio!r}: pass a number from 0 (l2) to 1 (l1).")
        self.l1_ratio = l1_ratio
        self.proximal = l1_ratio > 0
        if weights is None:
            self.bend = 1.0 - l1_ratio

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
        skgd_shrink(d, self.l1_ratio, self.weights, step, w)
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


# ---- groups -------------------------------------------------------------------------------------

cdef class GroupLassoRule(WeightedRule):
    cdef list groups
    cdef Py_ssize_t d
    cdef object owners
    cdef Py_ssize_t n_groups
    cdef const Py_ssize_t* column  # the columns of the first group, of the second, ...
    cdef const Py_ssize_t* start  # where each group begins, and where the last one ends

    def __init__(self, groups=None, weights=None):
        WeightedRule.__init__(self, weights)
        self.groups = checked_groups(groups)
        self.proximal = True
        self.d = -1

    def check(self, Py_ssize_t d):
        WeightedRule.check(self, d)
        if d == self.d:
            return
        named = np.concatenate([np.empty(0, dtype=np.intp), *self.groups])
        if named.size and named.max() >= d:
            raise ValueError(
                f"groups: column {named.max()} is named and X has {d} features; pass column "
                f"numbers from 0 to {d - 1}."
            )
        single = np.setdiff1d(np.arange(d), named)
        sizes = [len(group) for group in self.groups] + [1] * len(single)
        columns = np.concatenate([named, single]).astype(np.intp)
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.intp)
        self.owners = columns, starts
        self.column, self.start = integers(columns, (d,)), integers(starts, starts.shape)
        self.n_groups, self.d = len(sizes), d

    cdef inline double weight(self, Py_ssize_t group, Py_ssize_t i) noexcept nogil:
        """The weight of the i-th column of all, which is in the given group."""
        cdef double w = sqrt(<double>(self.start[group + 1] - self.start[group]))
        return w * self.weights[self.column[i]] if self.weights != NULL else w

    cdef double value(self, Py_ssize_t d, const double* w) except? -1 nogil:
        cdef Py_ssize_t group, i
        cdef double total = 0.0, squares, part
        for group in range(self.n_groups):
            squares = 0.0
            for i in range(self.start[group], self.start[group + 1]):
                part = self.weight(group, i) * w[self.column[i]]
                squares += part * part
            total += sqrt(squares)
        return total

    cdef int prox(self, Py_ssize_t d, double* w, const double* step) except -1 nogil:
        return self.prox_within(d, w, step, &LOWEST, &HIGHEST, 0)

    cdef int prox_within(self, Py_ssize_t d, double* w, const double* step, const double* lower,
                         const double* upper, Py_ssize_t stride) except -1 nogil:
        cdef Py_ssize_t group, i, j
        cdef double length
        for group in range(self.n_groups):
            length = self.length(group, w, step, lower, upper, stride)
            for i in range(self.start[group], self.start[group + 1]):
                j = self.column[i]
                w[j] = self.point(group, i, length, w, step, lower, upper, stride)
        return 0

    cdef inline double point(self, Py_ssize_t group, Py_ssize_t i, double length, const double* w,
                             const double* step, const double* lower, const double* upper,
                             Py_ssize_t stride) noexcept nogil:
        """The proximal point of a column in a group whose proximal point has a known length.

        For that length r, the norm is the parabola |v|^2 / (2 r) + r/2 to the first order.
        """
        cdef Py_ssize_t j = self.column[i]
        cdef double a = self.weight(group, i)
        cdef double pull = step[j] * a * a, v = w[j]
        if pull > 0.0:
            v = w[j] / (1.0 + pull / length) if length > 0.0 or length != length else 0.0
        return clipped(v, lower[j * stride], upper[j * stride])

    cdef double length(self, Py_ssize_t group, const double* w, const double* step,
                       const double* lower, const double* upper,
                       Py_ssize_t stride) noexcept nogil:
        """The length r of a group's proximal point: the root of ``|point(r)| = r``.

        ``r / |point(r)|`` rises with r, and nearly on a line: Newton's method from below, held in
        a bracket. Where the steps of the group are alike, its first guess is the root.
        """
        cdef Py_ssize_t i, j, _iteration
        cdef double low = 0.0, high = 0.0, strongest = 0.0, squares = 0.0, ratios = 0.0
        cdef double a, v, pull, r, slope, size, near
        for i in range(self.start[group], self.start[group + 1]):
            j = self.column[i]
            a = self.weight(group, i)
            if a == 0.0:
                continue
            pull = step[j] * a * a
            strongest = fmax(strongest, pull)
            v = clipped(w[j], lower[j * stride], upper[j * stride])
            near = clipped(0.0, lower[j * stride], upper[j * stride])
            squares += a * a * w[j] * w[j]
            high += a * a * fmax(v * v, near * near)
            if near != 0.0 or pull == 0.0:
                low += a * a * (near * near if near != 0.0 else v * v)
            elif v * w[j] > 0.0 or w[j] != w[j]:
                ratios += (a * w[j] / pull) ** 2
        high, low = sqrt(high), sqrt(low)
        if ratios <= 1.0 and low == 0.0:
            return 0.0
        r = fmax(low, sqrt(squares) - strongest)
        if not low < r < high:
            r = low if low > 0.0 else 0.5 * high
        for _iteration in range(200):
            # With p the points over r: h = |p|^2, which falls from above 1 to below 1, and q is
            # minus half its derivative.
            size = slope = 0.0
            for i in range(self.start[group], self.start[group + 1]):
                j = self.column[i]
                a = self.weight(group, i)
                v = self.point(group, i, r, w, step, lower, upper, stride)
                pull = step[j] * a * a
                near = w[j] / (1.0 + pull / r) if pull > 0.0 else w[j]
                squares = (a * v / r) ** 2
                size += squares
                slope += squares / (r + pull if v == near else r)
            if size >= 1.0:
                low = r
            else:
                high = r
            v = r + size * (sqrt(size) - 1.0) / slope
            if fabs(v - r) <= 4e-16 * r or v != v:
                return v
            r = v if low < v < high else 0.5 * (low + high)
            if not low < r < high:
                return r
        return r


def checked_groups(groups):
    """Return lists of columns as arrays."""
    if groups is None:
        return []
    lists = list(groups) if np.iterable(groups) else []
    if not lists:
        raise ValueError(
            f"groups={shown(groups)}: pass lists of column numbers such as [[0, 1], [2, 3]], or None "
            "for a group of its own for each column."
        )
    result, seen = [], set()
    for group in lists:
        columns = list(group) if np.iterable(group) and not isinstance(group, str) else []
        if not columns or not all(
            isinstance(j, Integral) and not isinstance(j, bool) and j >= 0 for j in columns
        ):
            raise ValueError(
                f"groups: {group!r} is not a list of column numbers; pass lists such as "
                "[[0, 1], [2, 3]]."
            )
        if len(set(columns)) < len(columns) or not seen.isdisjoint(columns):
            raise ValueError(
                f"groups: a column of {group!r} is named twice; pass groups that do not overlap."
            )
        seen.update(columns)
        result.append(np.array(columns, dtype=np.intp))
    return result


class GroupLasso(Penalty):
    """The sum of the lengths of groups of coefficients, which are zero together or not at all.

    ``penalty(w) = sum_g sqrt(size_g) sqrt(sum_(j in g) v_j^2 w_j^2)``

    The root of a group's size makes groups of different sizes alike, as in the paper.

    Parameters
    ----------
    groups : list of lists of int, default=None
        The columns of each group, which may not overlap. A column that no group names is a group of
        its own, penalised as by :class:`L1`; so None is L1.
    weights : array of shape (n_features,), default=None
        The weight v_j >= 0 of each feature; None means 1, and 0 leaves a feature free.

    References
    ----------
    Yuan and Lin, Model selection and estimation in regression with grouped variables, 2006.

    Examples
    --------
    >>> from skgd.penalties import GroupLasso
    >>> penalty = GroupLasso([[0, 1, 2, 3], [4]])
    >>> penalty.value([1.0, 1.0, 1.0, 1.0, 1.0])
    5.0
    >>> penalty.prox([2.0, 2.0, 2.0, 2.0, 2.0], step=1.5)
    array([0.5, 0.5, 0.5, 0.5, 0.5])
    >>> penalty.prox([1.0, 1.0, 1.0, 1.0, 2.0], step=1.5)
    array([0. , 0. , 0. , 0. , 0.5])
    """

    Rule = GroupLassoRule

    def __init__(self, groups=None, weights=None):
        self.groups = groups
        self.weights = weights


# ---- bounds -------------------------------------------------------------------------------------

cdef class FreeRule(PenaltyRule):
    """No penalty."""

    def __init__(self):
        self.bend = 0.0

    def separated(self, Py_ssize_t d):
        return np.zeros(d), np.full(d, -np.inf), np.full(d, np.inf)


cdef class BoxRule(PenaltyRule):
    """A penalty with bounds on the coefficients."""

    cdef PenaltyRule penalty
    cdef object owners
    cdef const double* lower
    cdef const double* upper
    cdef Py_ssize_t stride, length

    def __init__(self, lower, upper, PenaltyRule penalty not None):
        low = checked_bound("lower", -np.inf if lower is None else lower)
        high = checked_bound("upper", np.inf if upper is None else upper)
        if isinstance(penalty, BoxRule):
            low = np.maximum(low, (<BoxRule>penalty).owners[0])
            high = np.minimum(high, (<BoxRule>penalty).owners[1])
            penalty = (<BoxRule>penalty).penalty
        try:
            low, high = (np.ascontiguousarray(x) for x in np.broadcast_arrays(low, high))
        except ValueError as error:
            raise ValueError(
                f"lower has {low.size} numbers and upper {high.size}: pass one per feature to both."
            ) from error
        if np.any(low > high) or np.any(low == np.inf) or np.any(high == -np.inf):
            raise ValueError(
                f"lower={lower!r}, upper={upper!r}: pass bounds with a number between them."
            )
        self.penalty, self.owners, self.length = penalty, (low, high), low.size
        self.lower, self.upper = floats(low, low.shape), floats(high, high.shape)
        self.stride = low.size > 1
        self.proximal = (
            penalty.proximal or bool(np.any(np.isfinite(low)) or np.any(np.isfinite(high)))
        )
        if not self.stride and low[0] <= 0 <= high[0]:
            self.bend = penalty.bend

    def check(self, Py_ssize_t d):
        self.penalty.check(d)
        if self.stride and self.length != d:
            raise ValueError(
                f"lower and upper, the bounds, have {self.length} numbers and X has {d} features: "
                "pass one number, or one per feature."
            )

    def separated(self, Py_ssize_t d):
        parts = self.penalty.separated(d)
        if parts is not None:
            l1, lower, upper = parts
            return l1, np.maximum(lower, self.owners[0]), np.minimum(upper, self.owners[1])

    cdef double value(self, Py_ssize_t d, const double* w) except? -1 nogil:
        cdef Py_ssize_t j
        cdef double nothing = 0.0
        for j in range(d):
            if w[j] < self.lower[j * self.stride] or w[j] > self.upper[j * self.stride]:
                return INFINITY
            nothing += 0.0 * w[j]  # NaN where w is
        return nothing + self.penalty.value(d, w)

    cdef double smooth_value(self, Py_ssize_t d, const double* w) except? -1 nogil:
        return self.penalty.smooth_value(d, w)

    cdef int add_gradient(self, Py_ssize_t d, const double* w, double alpha,
                          double* g) except -1 nogil:
        return self.penalty.add_gradient(d, w, alpha, g)

    cdef int prox(self, Py_ssize_t d, double* w, const double* step) except -1 nogil:
        return self.penalty.prox_within(d, w, step, self.lower, self.upper, self.stride)

    cdef int project(self, Py_ssize_t d, double* w) except -1 nogil:
        cdef Py_ssize_t j
        cdef double lower, upper
        for j in range(d):
            lower, upper = self.lower[j * self.stride], self.upper[j * self.stride]
            if w[j] < lower or fabs(w[j] - lower) <= ROUNDING * fabs(w[j]):
                w[j] = lower
            elif w[j] > upper or fabs(w[j] - upper) <= ROUNDING * fabs(w[j]):
                w[j] = upper
        return 0


def checked_bound(name, bound):
    """Return a bound as an array of one number, or of one per feature."""
    try:
        array = np.asarray(bound, dtype=float)
    except (TypeError, ValueError, OverflowError):
        array = np.empty(0)
    if array.ndim > 1 or not array.size or np.any(np.isnan(array)) or isinstance(bound, bool):
        raise ValueError(
            f"{name}={shown(bound)}: pass a number, or an array with one per feature."
        )
    return np.atleast_1d(array)


class Box(Penalty):
    """Bounds on the coefficients, alone or together with a penalty.

    ``lower_j <= w_j <= upper_j``; the value is infinite outside and the penalty's inside. The
    intercept is free.

    Parameters
    ----------
    lower, upper : float or array of shape (n_features,), default=None
        The bounds, which may be infinite; None means no bound. Coefficients of several outputs have
        the same ones.
    penalty : Penalty, default=None
        The penalty inside of the bounds; None means no penalty.

    References
    ----------
    Parikh and Boyd, Proximal algorithms, 2014, section 6.

    Examples
    --------
    >>> from skgd.penalties import L1, Box
    >>> Box(-1.0, 1.0, L1()).prox([-3.0, 0.2, 1.4], step=0.5)
    array([-1. ,  0. ,  0.9])
    >>> import numpy as np
    >>> from skgd import GDRegressor
    >>> X, y = np.arange(6.0).reshape(-1, 1), 3 * np.arange(6.0)
    >>> GDRegressor(penalty=Box(upper=0.25)).fit(X, y).coef_
    array([0.25])
    """

    Rule = BoxRule

    def __init__(self, lower=None, upper=None, penalty=None):
        self.lower = lower
        self.upper = upper
        self.penalty = penalty

    def curvature(self, n_features):
        return super().curvature(n_features) if self.penalty is None else (
            self.penalty.curvature(n_features)
        )

    def _rule(self):
        if self.penalty is None:
            return BoxRule(self.lower, self.upper, FreeRule())
        if not isinstance(self.penalty, Penalty):
            raise TypeError(
                f"penalty={shown(self.penalty)} of a Box: pass None or an object from skgd.penalties, "
                "such as L1()."
            )
        return BoxRule(self.lower, self.upper, self.penalty.compiled())
