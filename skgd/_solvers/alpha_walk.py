"""A path over alpha to the least loss of rows that are left out.

The alphas fall in large steps until the loss has risen. With the losses of the best one and of its
neighbours on both sides, a parabola over their positions among the alphas says where the minimum
is, and how much lower: it is visited while that makes a difference (successive parabolic
interpolation). Fits that follow each row, where alpha is too small, take longest, and there
approximate losses may be too low: the path does not come to them.

References
----------
Brent, Algorithms for minimization without derivatives, 1973, chapter 5.
"""

import copy
from typing import NamedTuple

import numpy as np

from skgd._solvers.costs import LeaveOneOut as Limits


class Losses(NamedTuple):
    """Leave-one-out losses of alphas, and how many rows have a leverage near 1 at each."""

    alphas: np.ndarray
    losses: np.ndarray
    near: np.ndarray

    def with_more(self, *others):
        return Losses(*map(np.append, self, others))


def still_falls(alphas, losses):
    """Tell whether the least loss is that of the smallest alpha, and falls towards it."""
    order = np.argsort(alphas)[:2]
    if len(order) < 2 or np.nanargmin(losses) != order[0]:
        return False
    return bool(losses[order[0]] < (1.0 - Limits.falling) * losses[order[1]])


def walk(model, alphas, baseline, first=Limits.first):
    """Return the losses of alphas until they have risen, and of more around the best one.

    Parameters
    ----------
    model : object
        Its ``move_to(alpha)`` fits it, from where it is; ``left_out(enough)`` returns the loss,
        which need not be known well from ``enough`` on, and how many rows have a leverage near 1.
        Copies of it go their own ways.
    alphas : array of shape (n_alphas,)
        Falling.
    baseline : float
        The loss of the best constant model.
    first : int
        The number of the alpha where the path begins.
    """
    path, first = _Path(baseline), min(first, len(alphas) - 1)
    path.along(model, alphas[first::Limits.apart_at_first])
    if path.alphas[path.best] == alphas[first]:
        path.along(copy.copy(path.model), alphas[:first][::-Limits.apart_at_first])
    path.interpolate(alphas)
    return Losses(path.alphas, path.losses, np.array([row[2] for row in path.found]))


class _Path:
    """The alphas that have been visited, with their losses, and the model of the best one."""

    def __init__(self, baseline):
        self.baseline, self.found, self.model = baseline, [], None

    @property
    def alphas(self):
        return np.array([row[0] for row in self.found])

    @property
    def losses(self):
        return np.array([row[1] for row in self.found])

    @property
    def best(self):
        return int(np.argmin(self.losses))

    def visit(self, model, alpha):
        """Fit a model for an alpha and return its loss."""
        model.move_to(alpha)
        enough = self.losses[self.best] if self.found else np.inf
        loss, near = model.left_out(enough)
        self.found.append((alpha, np.inf if np.isnan(loss) else loss, near))
        if self.best == len(self.found) - 1:
            self.model = copy.copy(model)
        return self.found[-1][1]

    def interpolate(self, alphas):
        """Visit where parabolas have their minimum, each from the best alpha."""
        logs = -np.log(alphas)
        for _ in range(Limits.interpolated):
            order = np.argsort(-self.alphas)
            positions = np.interp(-np.log(self.alphas[order]), logs, np.arange(len(alphas)))
            target = self._target(positions, self.losses[order], len(alphas) - 1)
            if target is None:
                break
            alpha = np.exp(-np.interp(target, np.arange(len(alphas)), logs))
            self.visit(copy.copy(self.model), alpha)

    def _target(self, positions, losses, last):
        """Return the position to visit next; None where no other makes a difference."""
        best = int(np.argmin(losses))
        if best in {0, len(losses) - 1}:
            # The path has ended at the best alpha: there is another one half a step away.
            step = 1.0 if best == 0 and len(losses) > 1 else -1.0
            target = positions[best] + 0.5 * Limits.apart_at_first * step
            is_near = np.any(np.abs(positions - target) < Limits.near)
            return None if is_near or not 0 <= target <= last else target
        if np.isinf(losses[best + 1]):  # not known: the minimum may be before it
            target = 0.5 * (positions[best] + positions[best + 1])
            return None if target - positions[best] < Limits.near else target
        x, f = positions[best - 1:best + 2] - positions[best], losses[best - 1:best + 2]
        rises = (f[[0, 2]] - f[1]) / x[[0, 2]]
        curvature = (rises[1] - rises[0]) / (x[2] - x[0])
        if not 0 < curvature < np.inf:
            return None
        slope = rises[0] - curvature * x[0]
        target = -0.5 * slope / curvature
        if slope**2 / (4.0 * curvature) <= Limits.gain * self._decrease():
            return None
        sides = x[[0, 2]]
        target = np.clip(target, Limits.inside * sides[0], Limits.inside * sides[1])
        is_near = np.min(np.abs(x - target)) < Limits.near
        return None if is_near else positions[best] + target

    def along(self, model, alphas):
        """Visit alphas until their losses have risen, or are flat without being the least."""
        losses, n_rises, n_flat = [], 0, 0
        for alpha in alphas:
            losses.append(self.visit(model, alpha))
            least = self.losses[self.best]
            n_rises = n_rises + 1 if losses[-1] > self._above(Limits.rise) else 0
            n_flat = n_flat + 1 if losses[-1] > least and self._is_flat(losses) else 0
            if n_rises >= Limits.rising or n_flat >= Limits.rising:
                break
            if losses[-1] > self._above(Limits.far):
                break

    def _above(self, share):
        return _far_above(self.losses[self.best], self.baseline, share)

    def _is_flat(self, losses):
        """Tell whether the last alpha makes hardly a difference."""
        is_known = len(losses) > 1
        return is_known and abs(losses[-1] - losses[-2]) <= Limits.flat * self._decrease()

    def _decrease(self):
        """Return by how much the best loss is below that of a constant model."""
        least = self.losses[self.best]
        return max(self.baseline - least, Limits.flat_least * abs(self.baseline))


def between(alphas, losses):
    """Return further alphas, between the best one and its neighbours where these are far."""
    order = np.argsort(alphas)
    logs, best = np.log(alphas[order]), int(np.nanargmin(losses[order]))
    further = []
    for neighbour in (best - 1, best + 1):
        if 0 <= neighbour < len(logs):
            distance = logs[neighbour] - logs[best]
            count = int(np.ceil(abs(distance) / np.log(Limits.apart)))
            steps = np.arange(1, min(count, Limits.between + 1)) / min(count, Limits.between + 1)
            further.extend(np.exp(logs[best] + distance * steps))
    return np.array(further)


def _far_above(least, baseline, share):
    """Return the loss that is above the least one by a share of its decrease from a constant's.

    Before there is a clear decrease, half of the constant's loss stands for it.
    """
    decrease = baseline - least
    is_clear = decrease > Limits.clear * abs(baseline)
    return least + share * (decrease if is_clear else 0.5 * abs(baseline))
