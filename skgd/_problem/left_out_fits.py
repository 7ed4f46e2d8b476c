"""Fits without each of some rows, all at once, from the fit to all rows.

With the Hessian ``H_i = H - s_i/S L_i (x) a_i a_i'`` without row i at the minimum x of all rows,
each fit takes Newton's steps with a fixed Hessian,

    d_i <- d_i - H_i^-1 grad F_i(x + d_i),

of which the first is the approximation of `leave_one_out`. Where steps do not shrink, they are
halved. H_i^-1 follows from H^-1 by the Woodbury identity.
"""

import numpy as np

# The share of a move below which further steps make no difference.
SMALL = 1e-7


def moves(problem, margins, rows, left, inverse, second, penalty, steps, least):
    """Return how far the margins of some rows move in the fits without each of them.

    Parameters
    ----------
    problem : Problem
    margins : array of shape (n_samples, n_outputs)
    rows : array of shape (n_samples, n_parameters)
    left : intp array of shape (n_left,)
        The numbers of those that are left out, one in each fit.
    inverse : array of shape (n_outputs, n_parameters, n_parameters)
        The inverse Hessians, or that of a softmax, as for `excess_of_left_out`.
    second : array of shape (n_left, n_outputs)
        What the Hessian knows of the losses of these rows.
    penalty : array of shape (n_outputs, n_parameters)
        The second derivative of the penalty.
    steps : int
    least : float
        What one less a leverage is at least.

    Returns
    -------
    array of shape (n_left, n_outputs)
    """
    fits = _Fits(problem, margins, rows, left, inverse, second, penalty, least)
    change = np.zeros((len(left), *penalty.shape))
    result, size, length = np.zeros(margins[left].shape), np.inf, np.ones((len(left), 1))
    for _ in range(steps):
        step = fits.step(change)
        along = np.einsum("ikp,ip->ik", step, fits.own)
        before, size = size, np.abs(along).max(axis=1)
        length[size >= before] *= 0.5
        goes_on = size > SMALL * np.abs(result).max(axis=1)
        if not goes_on.any():
            break
        change += length[:, :, None] * step
        result += length * along
    return result


class _Fits:
    def __init__(self, problem, margins, rows, left, inverse, second, penalty, least):
        self.rule, self.k = problem.loss.compiled(problem.k), problem.k
        self.rows, self.margins, self.penalty = rows, margins, penalty
        self.left, self.own = left, rows[left]
        self.targets, self.shares = problem.signed_targets(), problem.shares()[:, None]
        self.slopes = self.rule.apply("gradient", self.targets, margins)
        self.second = second
        self.share = self.shares[left]
        self.is_joint, self.inverse = problem.is_multiclass, inverse
        if self.is_joint:
            self._ready_joint(least)
            return
        self.images = np.stack([self.own @ block for block in inverse], axis=1)
        leverages = self.share * np.einsum("ikp,ip->ik", self.images, self.own) * self.second
        self.factor = self.share * self.second / np.maximum(1.0 - leverages, least)

    def _ready_joint(self, least):
        (m, p), k, second = self.own.shape, self.k, self.second
        self.images = np.stack([
            (self.own @ self.inverse[c].reshape(p, -1)).reshape(m, k, p) for c in range(k)
        ], axis=1)  # fmt: skip
        h = self.share[:, :, None] * np.einsum("ickp,ip->ick", self.images, self.own)
        products = h * second[:, None] - (h @ second[:, :, None]) * second[:, None]
        self.systems = (1.0 + least) * np.eye(k) - products

    def step(self, change):
        """Return the next step of each fit."""
        (n, k), m = self.margins.shape, len(self.left)
        moved = change.reshape(m * k, -1) @ self.rows.T
        moved = moved.reshape(m, k, n).transpose(0, 2, 1) + self.margins
        targets = np.broadcast_to(self.targets, (m, n, k)).reshape(-1, k)
        slopes = self.rule.apply("gradient", targets, moved.reshape(-1, k)).reshape(m, n, k)
        slopes = slopes - self.slopes
        slopes[np.arange(m), self.left] = -self.slopes[self.left]
        gradient = (slopes * self.shares).transpose(0, 2, 1).reshape(m * k, n) @ self.rows
        return -self._solve(gradient.reshape(m, k, -1) + self.penalty * change)

    def _solve(self, gradient):
        if not self.is_joint:
            result = np.stack(
                [gradient[:, c] @ block for c, block in enumerate(self.inverse)], axis=1
            )
            along = np.einsum("ikp,ip->ik", result, self.own)
            return result + self.images * (self.factor * along)[:, :, None]
        n, size = len(gradient), self.penalty.size
        result = gradient.reshape(n, size) @ self.inverse.reshape(size, size)
        result = result.reshape(gradient.shape)
        along = np.einsum("ikp,ip->ik", result, self.own)
        along = np.linalg.solve(self.systems, along[:, :, None])[:, :, 0]
        second = self.second
        factor = self.share * second * (along - (second * along).sum(axis=1, keepdims=True))
        return result + np.einsum("ickp,ic->ikp", self.images, factor)
