# cython: language_level=3, cdivision=True
"""Penalties on groups of coefficients."""

from numbers import Integral

import numpy as np

from libc.math cimport INFINITY, fabs, fmax, sqrt

from skgd._engine.arrays cimport integers
from skgd.penalties.base cimport clipped
from skgd.penalties.separable cimport WeightedRule

from skgd._utils.checks import shown
from skgd.penalties.base import Penalty

__all__ = ["GroupLasso"]

# Bounds for a problem without any.
cdef double LOWEST = -INFINITY
cdef double HIGHEST = INFINITY


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

    def separable_form(self, Py_ssize_t d):
        self.check(d)
        if self.n_groups == d:
            weights = np.ones(d) if self.weights == NULL else self.owner
            return weights, np.full(d, -np.inf), np.full(d, np.inf)

    def group_form(self, Py_ssize_t d):
        self.check(d)
        columns, starts = self.owners
        sizes = np.diff(starts)
        groups, weights = np.empty(d, dtype=np.intp), np.empty(d)
        groups[columns] = np.repeat(np.arange(self.n_groups), sizes)
        weights[columns] = np.sqrt(np.repeat(sizes, sizes))
        if self.weights != NULL:
            weights *= self.owner
        return groups, weights

    def part(self, Py_ssize_t d, columns):
        groups, weights = (numbers[columns] for numbers in self.group_form(d))
        _, numbers, sizes = np.unique(groups, return_inverse=True, return_counts=True)
        order, ends = np.argsort(numbers, kind="stable"), np.cumsum(sizes)
        # A group of fewer columns keeps the weight that it has as a whole.
        return GroupLassoRule(np.split(order, ends[:-1]), weights / np.sqrt(sizes[numbers]))

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
            f"groups={shown(groups)}: pass lists of column numbers such as [[0, 1], [2, 3]], or "
            "None for a group of its own for each column."
        )
    result, seen = [], set()
    for group in lists:
        columns = list(group) if np.iterable(group) and not isinstance(group, str) else []
        if not columns or not all(
            (type(j) is int or isinstance(j, Integral) and not isinstance(j, bool)) and j >= 0
            for j in columns
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
    """The sum of the norms of groups of coefficients: a group is zero as a whole or not at all.

    ``penalty(w) = sum_g sqrt(size_g) sqrt(sum_(j in g) v_j^2 w_j^2)``

    The square root of the group size makes groups of different sizes comparable, as in the paper.

    Parameters
    ----------
    groups : list of lists of int, default=None
        The columns of each group, which may not overlap. A column in no group is a group of its
        own, penalised as in :class:`L1`; None means L1.
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
