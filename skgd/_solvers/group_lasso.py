"""The norms of groups of coefficients: the penalty in the metric, and its descent on columns.

    min over x of  q(x) + sum_g |N_g x_g|

with a quadratic q and diagonal matrices N. Blocks of coordinates go to their own minima
(`group_descent`) until the groups that are not zero are likely known. Newton's method in their
coordinates, along which the norms are smooth, then does what many sweeps would. A sweep over all
groups confirms the minimum or finds further groups.

References
----------
Yuan and Lin, Model selection and estimation in regression with grouped variables, 2006.
Massias, Gramfort and Salmon, Celer: a fast solver for the lasso with dual extrapolation, 2018.
"""

import numpy as np

from skgd._solvers.active_set import SeparablePenalty
from skgd._solvers.costs import GroupLimits as Limits
from skgd._solvers.group_descent import descend_groups
from skgd._utils.linalg import solver


def nonsmooth_penalty(objective):
    """Return the non-smooth part of a penalty in the metric, None if it has no form known here.

    Returns
    -------
    SeparablePenalty, GroupPenalty or None
    """
    return SeparablePenalty.of(objective) or GroupPenalty.of(objective)


class GroupPenalty:
    """A penalty's non-smooth part, ``sum_g |N_g x_g|``, in the metric.

    Parameters
    ----------
    groups : intp array of shape (n_parameters,)
        The number of the group of each parameter.
    norms : array of shape (n_parameters,)
        The diagonal of N; a parameter of which it is 0 is in a group of its own.
    """

    def __init__(self, groups, norms):
        self.groups, self.norms = groups, norms

    @classmethod
    def of(cls, objective):
        """Return that of an objective; None where its penalty has no such form."""
        metric, d = objective.metric, objective.problem.d
        form = objective.penalty.group_form(d)
        if form is None:
            return None
        shape = metric.inverse.shape
        groups, norms = np.zeros(shape, dtype=np.intp), np.zeros(shape)
        groups[:, :d] = form[0] + d * np.arange(shape[0])[:, None]
        norms[:, :d] = (objective.alpha * metric.unit)[:, None] * form[1] * metric.inverse[:, :d]
        alone = norms == 0
        groups[alone] = d * shape[0] + np.arange(np.count_nonzero(alone))
        # What nothing depends on, of a constant column, is kept at 0 and takes no part.
        norms[:, :d][metric.inverse[:, :d] == 0] = 1.0
        return cls(groups.ravel(), norms.ravel())

    def ordered(self, at):
        """Return parameter numbers group after group."""
        return at[np.argsort(self.groups[at], kind="stable")]

    def part(self, at):
        """Return that of some of the parameters, group after group."""
        return GroupPenalty(np.unique(self.groups[at], return_inverse=True)[1], self.norms[at])

    def clip(self, x):
        """Return the nearest point where the penalty is finite: x itself."""
        return x

    def lengths(self, x):
        """Return ``|N_g x_g|`` of each group."""
        return np.sqrt(np.bincount(self.groups, (self.norms * x) ** 2))

    def value(self, x):
        return float(self.lengths(x).sum())

    def free(self, x):
        """Tell which coordinates are in a group that is not zero, or in none with a norm."""
        return (self.lengths(x) > 0)[self.groups] | (self.norms == 0)

    def proximal_steps(self, objective, x, gradient):
        """Return the steps of the parameters to the proximal point."""
        return objective.prox(x - gradient, 1.0) - x

    def by_group(self, squares):
        """Return the sum over each parameter's group."""
        return np.bincount(self.groups, squares)[self.groups]

    def closed(self):
        """Tell for which parameters the penalty rises in both directions."""
        return self.norms > 0

    def allowed(self, sums, diag):
        """Return what dual products with the columns, times it, are in the domain of the conjugate.

        Parameters
        ----------
        sums : array of shape (n_parameters,)
        diag : array of shape (n_parameters,)
            The curvature of the penalty, which is not needed here.
        """
        ratios = np.divide(sums, self.norms, out=np.zeros(len(sums)), where=self.norms > 0)
        lengths = np.sqrt(self.by_group(ratios**2))
        return np.divide(1.0, lengths, out=np.ones(len(sums)), where=lengths > 1.0)

    def dual_bounds(self, sums):
        """Return (l1, lower, upper) with the same conjugate at products in its domain."""
        infinite = np.full(len(sums), np.inf)
        return np.where(self.norms > 0, np.abs(sums), 0.0), -infinite, infinite


def descend_blocks(quadratic, penalty, x, tol):
    """Move x to the minimum of a quadratic and the norms of groups.

    Parameters
    ----------
    quadratic : ColumnQuadratic
    penalty : GroupPenalty
        Of the columns, group after group.
    x : array of shape (m,)
        Changed in place.
    tol : float
        Of the last step, squared and in the norm of the curvature.
    """
    q, m = quadratic, len(x)
    starts = np.flatnonzero(np.diff(penalty.groups, prepend=-1, append=m)).astype(np.intp)
    basis, curvature = _eigenbases(q, penalty, starts)
    for round_ in range(Limits.rounds):
        free = np.flatnonzero(penalty.free(x))
        is_last = round_ == Limits.rounds - 1 or len(free) > Limits.gram
        left = descend_groups(
            q.columns, starts, q.scale, q.weights, q.sums, q.total, q.linear, q.diag,
            penalty.norms, basis, curvature, q.r, x, q.offset,
            n_sweeps=Limits.all_sweeps if is_last else _sweeps(q, len(free)), tol=tol,
        )  # fmt: skip
        free = np.flatnonzero(penalty.free(x))
        if left <= tol or is_last:
            break
        if len(free) <= Limits.gram:
            change = _newton_change(q.hessian(free), q.gradient(x)[free], x[free],
                                    penalty.part(free), 0.1 * tol)  # fmt: skip
            q.move(free, change)
            x[free] += change


def _sweeps(quadratic, n_free):
    """Return the sweeps in the time of a Newton step."""
    size = max(1, quadratic.columns.size)
    share = n_free / max(1, quadratic.columns.m)
    products = Limits.sweeps_per_column * n_free * share
    return Limits.least_sweeps + int(products + Limits.per_cube * float(n_free) ** 3 / size)


def _eigenbases(quadratic, penalty, starts):
    """Return ``N^-1 Q`` and E of each group's block ``N^-1 H N^-1 = Q E Q'`` of the Hessian."""
    q, sizes = quadratic, np.diff(starts)
    blocks = q.columns.group_grams(starts, q.weights)
    ends = np.append(0, np.cumsum(sizes**2))
    scale = q.scale / np.where(penalty.norms > 0, penalty.norms, 1.0)
    inverse = np.divide(1.0, penalty.norms, out=np.ones(len(scale)), where=penalty.norms > 0)
    curvature = np.empty(len(scale))
    for size in np.unique(sizes):
        groups = np.flatnonzero(sizes == size)
        at = starts[groups][:, None] + np.arange(size)
        places = ends[groups][:, None] + np.arange(size**2)
        block = blocks[places].reshape(-1, size, size)
        if q.total > 0.0:
            block -= q.sums[at][:, :, None] * q.sums[at][:, None, :] / q.total
        block *= scale[at][:, :, None] * scale[at][:, None, :]
        block[:, np.arange(size), np.arange(size)] += (q.diag * inverse**2)[at]
        values, vectors = np.linalg.eigh(block)
        values[values <= Limits.flat * values[:, -1:]] = 0.0
        curvature[at] = values
        blocks[places] = (inverse[at][:, :, None] * vectors).reshape(places.shape)
    return blocks, curvature


def _newton_change(hessian, gradient, x, penalty, tol):
    """Return the way from x to the minimum in groups that are not zero, along which F is smooth.

    Parameters
    ----------
    hessian : array of shape (m, m)
    gradient, x : array of shape (m,)
    penalty : GroupPenalty
    tol : float
        The predicted decrease that ends it.
    """
    change, slope = np.zeros(len(x)), gradient
    squares, ids = penalty.norms**2, penalty.groups
    for _ in range(Limits.newton_steps):
        v = x + change
        lengths = penalty.lengths(v)[ids]
        pull = np.divide(squares * v, lengths, out=np.zeros(len(x)), where=lengths > 0)
        curved = hessian + np.diag(
            np.divide(squares, lengths, out=np.zeros(len(x)), where=lengths > 0)
        )
        same = ids[:, None] == ids
        curved -= np.where(same, pull[:, None] * pull, 0.0) / np.where(lengths > 0, lengths, 1.0)
        total = slope + pull
        step = -solver(curved)(total)
        decrease = -float(total @ step)
        if not decrease > tol:
            break
        length, before = 1.0, penalty.value(v)
        product = hessian @ step
        while length > Limits.shortest:
            rise = length * float(slope @ step) + 0.5 * length**2 * float(step @ product)
            rise += penalty.value(v + length * step) - before
            if rise <= -1e-4 * length * decrease:
                break
            length *= 0.5
        else:
            break
        change, slope = change + length * step, slope + length * product
    return change
