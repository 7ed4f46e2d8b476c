"""Losses of rows that are left out of a fit, from the fit to all rows.

A row that is left out moves the others' minimum by one Newton step (Rad and Maleki). With the
Hessian H of the objective, and the row's share ``s_i / S``, slope ``l'_i`` and second derivative
``l''_i`` at its margin z_i, that is the margin

    z_i + h_i l'_i / (1 - h_i l''_i),    h_i = s_i/S a_i' H^-1 a_i,    a_i = scale * (x_i - mean, 1)

and for a softmax, with ``L_i = diag(p) - p p'`` and blocks of H^-1 for ``H_i``, of shape (k, k),

    z_i + (I - H_i L_i)^-1 H_i l'_i.

With many classes H is too large. The Hessians ``H_c`` of the single outputs, the others held fixed,
are ``H_c - s_i/S p_ic (1 - p_ic) a_i a_i'`` without row i, so that each margin moves by itself, to

    z_ic + h_ic l'_ic / (1 - h_ic p_ic (1 - p_ic)),    h_ic = s_i/S a_i' H_c^-1 a_i.

Around the best alpha, the loss is 0 to 4 % above that with H on digits and satellite. Where classes
can nearly be separated it is too low: by 18 % on digits where it is 30 times the loss of the fit.

One step falls short where a row takes curvature along, as where classes can nearly be separated.
Further steps come nearer to the fit without it (`left_out_fits`): rows take them whose losses rise
by much along a long step, where they make too much of the sum uncertain.

For squared errors it is exact (Golub, Heath and Wahba). There ``s_i/S |U_i|^2`` is a row's leverage
without a penalty, in coordinates in which the Hessian of the losses is I and that of the penalty a
diagonal, and all alphas share one product of the rows.

References
----------
Golub, Heath and Wahba, Generalized cross-validation as a method for choosing a good ridge
parameter, 1979.
Rad and Maleki, A scalable estimate of the out-of-sample prediction error via approximate
leave-one-out cross-validation, 2020.
"""

from typing import NamedTuple

import numpy as np

from skgd._problem import left_out_fits
from skgd._problem.scaled_rows import gram_blocks, margins_of

# What 1 - h_i l''_i is at least: below, a row alone decides about its own margin.
LEAST = 1e-12
# Above which h_i l''_i counts as near 1.
NEAR = 0.99
# What remains of a row outside of the span of the others, below which it is rounding.
ROUNDING = 1e-11
# Numbers of U that are kept for further alphas: 8 MB.
KEPT = 2**20


class LeftOut(NamedTuple):
    """What leaving out each row does: the mean excess over its loss, and the rows near 1."""

    excess: float
    near: int


def excess_of_left_out(
    problem, coef, intercept, inverse, mean, scale, weight_sum, *, chances=None, penalty=None,
    expanded=None, before=None, n_refined=0, steps=1, enough=np.inf, certain=0.0,
):  # fmt: skip
    """Return by how much the mean loss of rows exceeds theirs where each is left out, a `LeftOut`.

    Parameters
    ----------
    problem : Problem
        Of all rows, or of a sample of them.
    coef, intercept : arrays of shape (n_outputs, n_features) and (n_outputs,)
        The model fitted to all rows.
    inverse : array of shape (n_outputs, n_parameters, n_parameters)
        Roots of the inverse Hessians of the outputs; for a softmax the same, as a list, or the
        inverse of the Hessian itself, of shape (n_outputs, n_parameters, n_outputs, n_parameters).
    mean, scale : arrays of shape (n_features,) and (n_parameters,)
        The coordinates of the Hessian.
    weight_sum : float
        The weights of all rows.
    chances : array of shape (n_samples,) or None
        With which each row came into the sample; None for all rows.
    penalty : array of shape (n_outputs, n_parameters) or None
        The second derivative of the penalty, for more than one step.
    expanded : Expansion or None
        The losses about the point of the Hessian, where that is another one: with its second
        derivatives no leverage is above 1.
    before : Expansion or None
        The losses about the point of the Hessian, where that is too far for this.
    n_refined : int
        The rows that may take more than one step; 0 for a sample, and for a softmax without the
        inverse of its Hessian.
    steps : int
        How many they take, at most.
    enough : float
        The excess from which on no row takes more than one.
    certain : float
        How much of the excess may be uncertain. The first step is about as wrong, relative to
        itself, as it is long in units in which the loss bends.
    """
    margins = margins_of(problem.X, coef, intercept)
    expansion = problem.expand(coef, intercept, margins) if expanded is None else expanded
    rule, second = problem.loss.compiled(problem.k), expansion.hessians(slice(None))
    h = _products(problem, expansion, inverse, mean, scale, weight_sum)
    stands_for = 1.0 if chances is None else 1.0 / chances
    counted = problem.shares() * (problem.weight_sum / weight_sum) * stands_for
    if before is not None:
        h *= _shrinkage(problem, h, second, before, stands_for, len(scale))
    targets = problem.signed_targets()
    slopes = rule.apply("gradient", targets, margins)
    if h.ndim == 3:
        moves, leverages = _softmax_moves(h, slopes, second)
    else:
        moves, leverages = _moves(h, slopes, expansion.hessian_diagonals(slice(None)))
    excess = _weighted(counted, _rises(rule, targets, margins, moves))
    uncertain = excess * np.minimum(np.abs(moves).max(axis=1), 1.0)
    near = int(np.count_nonzero(leverages[counted > 0] > NEAR))
    left = _uncertain_rows(uncertain, n_refined, certain)
    if len(left) and not excess.sum() > enough:
        rows = problem.dense_scaled_rows(np.arange(problem.n), mean, scale)
        whole = inverse if problem.is_multiclass else [root @ root.T for root in inverse]
        moves = left_out_fits.moves(
            problem, margins, rows, left, whole, second[left], penalty, steps, LEAST
        )  # fmt: skip
        share = problem.shares()[left] * (problem.weight_sum / weight_sum)
        rises = _rises(rule, problem.signed_targets()[left], margins[left], moves)
        excess[left] = _weighted(share, rises)
    return LeftOut(float(excess.sum()), near)


def _uncertain_rows(uncertain, most, enough):
    """Return the rows that leave little uncertain once they take more steps; none if too many."""
    if not uncertain.sum() > enough:
        return np.empty(0, dtype=np.intp)
    order = np.argsort(-uncertain, kind="stable")
    left = uncertain.sum() - np.cumsum(uncertain[order])
    n_rows = int(np.count_nonzero(left > enough)) + 1
    return np.sort(order[:most]) if n_rows <= most else np.empty(0, dtype=np.intp)


def _rises(rule, targets, margins, moves):
    """Return by how much the losses of rows rise as their margins move."""
    change = rule.apply("value", targets, margins + moves) - rule.apply("value", targets, margins)
    return change.sum(axis=1)


def _weighted(share, rises):
    """Return products with shares; 0 for rows without one, whose losses may be infinite."""
    return np.multiply(share, rises, out=np.zeros(len(share)), where=share > 0)


def _products(problem, expansion, inverse, mean, scale, weight_sum):
    """Return each row's h_i: numbers for each output, or matrices where they are coupled."""
    k, size, is_joint = problem.k, len(scale), np.ndim(inverse[0]) == 3
    h = np.empty((problem.n, k, k) if is_joint else (problem.n, k))
    for part, share, weighted in expansion.blocks(mean, scale):
        rows = weighted(np.sqrt(share * (problem.weight_sum / weight_sum)))
        for c in range(k):
            if is_joint:
                images = (rows @ inverse[c].reshape(size, -1)).reshape(len(rows), k, size)
                h[part, c] = np.einsum("mkp,mp->mk", images, rows)
            else:
                images = rows @ inverse[c]
                h[part, c] = np.einsum("mp,mp->m", images, images)
    return h


def _shrinkage(problem, h, second, before, stands_for, n_parameters):
    """Return by what h_i change where the Hessian is that of a point from before.

    It has grown as the second derivatives of the rows have: by their median ratio, for shares in
    the degrees of freedom, the sum of ``h_i l''_i``. Rows of rare categories may differ. What the
    penalty takes of the degrees of freedom has not grown.
    """
    def freedom(second):
        if not problem.is_multiclass:
            return (h * second).sum(axis=1)
        pairs = np.einsum("mcd,mc,md->m", h, second, second)
        return np.einsum("mcc,mc->m", h, second) - pairs

    known, found = freedom(before.hessians(slice(None))), freedom(second)
    counts = (known > 0) & (found > 0)
    if not counts.any():
        return 1.0
    ratios = found[counts] / known[counts]
    order = np.argsort(ratios)
    sums = np.cumsum((stands_for * known)[counts][order])
    growth = float(ratios[order][np.searchsorted(sums, 0.5 * sums[-1])])
    n_outputs = problem.k - 1 if problem.is_multiclass else problem.k
    share = min(float(sums[-1]) / (n_outputs * n_parameters), 1.0)
    return 1.0 / (1.0 + share * (growth - 1.0))


def _moves(h, slopes, second):
    """Return how far each margin moves, and the largest leverage of each row."""
    leverages = h * second
    return h * slopes / np.maximum(1.0 - leverages, LEAST), leverages.max(axis=1)


def _softmax_moves(h, slopes, p):
    """Return the same for a softmax, where leverages are matrices."""
    k = p.shape[1]
    products = h * p[:, None] - (h @ p[:, :, None]) * p[:, None]
    # A row that alone decides about its margins would make the system singular.
    systems = (1.0 + LEAST) * np.eye(k) - products
    moves = np.linalg.solve(systems, h @ slopes[:, :, None])[:, :, 0]
    return moves, np.trace(products, axis1=1, axis2=2) / max(k - 1, 1)


def normal_equations(problem, mean, scale, centre):
    """Return ``1/S sum_i s_i a_i a_i'`` and ``1/S sum_i s_i a_i (y_i - centre)'``."""
    gram, right = np.zeros((len(scale), len(scale))), np.zeros((len(scale), problem.k))
    for part, share, weighted in _expanded(problem).blocks(mean, scale):
        roots = np.sqrt(share)
        rows = weighted(roots)
        gram += rows.T @ rows
        right += rows.T @ (roots[:, None] * (problem.targets[part] - centre))
    return gram, right


class SquaredLosses:
    """Mean squared errors, halved, of rows that are left out, as functions of alpha.

    Parameters
    ----------
    problem : Problem
        Of squared errors.
    mean, scale, centre : arrays of shape (n_features,), (n_features,) and (n_outputs,)
        Coordinates of the columns, and what the targets are centred with.
    basis : array of shape (n_features, r)
        Makes U of the rows: the Hessian of the losses is I there.
    coefs : array of shape (r, n_outputs)
        The coefficients without a penalty.
    has_intercept : bool
    """

    def __init__(self, problem, mean, scale, centre, basis, coefs, has_intercept):
        self.problem, self.mean, self.scale, self.centre = problem, mean, scale, centre
        self.basis, self.coefs, self.has_intercept = basis, coefs, has_intercept
        self.kept = self.squares = None

    def of(self, shrunk):
        """Return the losses, summed over the outputs, and how many rows have leverages near 1.

        Parameters
        ----------
        shrunk : array of shape (r, n_alphas)
            The share of a coefficient that each alpha takes away.

        Returns
        -------
        losses : array of shape (n_alphas,)
        near : int array of shape (n_alphas,)
        """
        losses, near = np.zeros(shrunk.shape[1]), np.zeros(shrunk.shape[1], dtype=int)
        shrunk = np.ascontiguousarray(shrunk.T)
        shrunk_coefs = [column * shrunk for column in self.coefs.T]
        for rows, residuals, outside, has_weight in self._parts():
            squares = np.multiply(rows, rows, out=self.squares[:len(rows)])
            left = shrunk @ squares.T
            left += outside
            if left.min() < 1.0 - NEAR:
                near += (left[:, has_weight] < 1.0 - NEAR).sum(axis=1)
                np.maximum(left, np.finfo(float).tiny, out=left)
            for residual, shrunk_coef in zip(residuals.T, shrunk_coefs, strict=True):
                error = shrunk_coef @ rows.T
                error += residual
                error /= left
                losses += 0.5 * np.einsum("ij,ij->i", error, error)
        return losses, near

    def _parts(self):
        """Return U, the residuals, and what of each row is outside of the span, by blocks."""
        if self.kept is None:
            self.squares = np.empty((self._n_at_once, self.basis.shape[1]))
            if self.problem.n * self.basis.shape[1] > KEPT:
                return self._computed(np.empty_like(self.squares))
            self.kept = list(self._computed())
        return self.kept

    @property
    def _n_at_once(self):
        return gram_blocks(self.problem.n, len(self.scale))[0].stop

    def _computed(self, buffer=None):
        for part, share, weighted in _expanded(self.problem).blocks(self.mean, self.scale):
            roots = np.sqrt(share)
            out = None if buffer is None else buffer[:len(share)]
            rows = np.matmul(weighted(roots), self.basis, out=out)
            targets = self.problem.targets[part] - self.centre
            residuals = roots[:, None] * targets - rows @ self.coefs
            outside = 1.0 - np.einsum("ij,ij->i", rows, rows)
            outside -= share if self.has_intercept else 0.0
            spanned = outside < ROUNDING
            outside[spanned], residuals[spanned] = 0.0, 0.0
            yield rows, residuals, outside, share > 0


def _expanded(problem):
    """Return the losses to second order where the point does not matter."""
    origin = np.zeros((problem.k, problem.d)), np.zeros(problem.k)
    return problem.expand(*origin, np.broadcast_to(0.0, (problem.n, problem.k)))
