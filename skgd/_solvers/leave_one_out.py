"""Leave-one-out losses along values of alpha, for smooth losses with a squared penalty.

Squared errors need one eigendecomposition (`ridge_path`). Other losses are descended to their
minimum at each alpha in turn. With the minimum u of the last alpha, its Hessian H moved to the next
one, and the slope p' of the penalty,

    u - H^-1 (alpha - last alpha) p'(u)

starts near the minimum and takes no pass over the rows, and neither does the step at the end: with
the gradient g and H there, the minimum is at ``u - H^-1 g`` and lower by ``g' H^-1 g / 2``. It
gives the leave-one-out losses by one product with the rows (`_problem.leave_one_out`): with the
Hessian there and all rows where that is little work, else with the Hessian that led there and a
sample of the rows, which tells how far the losses of the rows exceed those in the fit.

A softmax of many classes has too many parameters for a Hessian of all outputs together. Those of
the single outputs stand for it: in products, which precondition with them, and in the losses, which
are known less well (`_problem.leave_one_out`), and not at all far below the best alpha.

`alpha_walk` says which alphas are tried.

References
----------
Rad and Maleki, A scalable estimate of the out-of-sample prediction error via approximate
leave-one-out cross-validation, 2020.
"""

from dataclasses import replace

import numpy as np

from skgd._objective.metric import diagonal_metric
from skgd._problem.leave_one_out import excess_of_left_out
from skgd._solvers import newton, ridge_path, row_space
from skgd._solvers.alpha_walk import Losses, between, still_falls, walk
from skgd._solvers.costs import Factorisation
from skgd._solvers.costs import LeaveOneOut as Limits
from skgd._solvers.hessian import Hessian
from skgd._solvers.newton import Newton
from skgd._solvers.warm_start import descend_on_subsamples
from skgd._utils.linalg import inverse_root, one_thread


def suits(objective):
    """Tell whether leave-one-out losses follow from the minimum of an objective."""
    problem, loss = objective.problem, objective.loss
    if not (loss.smooth and newton.suits(objective)) or objective.proximal:
        return False
    if not objective.penalty_curvature.any():
        return False
    if not _reduces(objective):
        return _is_factorised(problem, objective.shape[1])
    return problem.n**2 * problem.d <= Limits.reduced and _is_factorised(problem, problem.n + 1)


def _is_factorised(problem, size):
    """Tell whether the Hessian is factorised with that many parameters an output."""
    if problem.is_multiclass:
        is_joint = problem.k * size <= Factorisation.largest_joint
        return is_joint or size <= Limits.largest_output
    return size <= Factorisation.largest


def _reduces(objective):
    """Tell whether the rows span fewer dimensions than there are columns."""
    return objective.problem.n < objective.problem.d and row_space.has_ridge(objective)


def along(objective_at, alphas, start, baseline):
    """Return the leave-one-out `Losses` of alphas, in their order.

    Those that cannot be the best are left out. None is returned where the rows have no span of
    finite coordinates.

    Parameters
    ----------
    objective_at : callable
        Returns the objective of an alpha, in a centred diagonal metric.
    alphas : array of shape (n_alphas,)
        In falling order.
    start : tuple
        The coefficients and intercepts of the best constant model.
    baseline : float
        The objective there.
    """
    with one_thread():
        first = objective_at(alphas[0])
        if _reduces(first):
            reduced = row_space.in_row_space(first, may_use_qr=True)
            if reduced is None:
                return None
            objective_at = _in_row_space(reduced, alphas[0])
            start = reduced.raw(reduced.coordinates(*start))
        middle = alphas[len(alphas) // 2]
        objective = objective_at(middle)
        if ridge_path.suits(objective):
            unit = replace(objective, penalty_curvature=objective.penalty_curvature / middle)
            found = _at_once(unit, alphas)
            if found is not None:
                return found
        is_tall = objective.problem.n >= Limits.tall * np.prod(objective.shape)
        first = Limits.first_of_tall if is_tall else Limits.first
        found = walk(_Minimum(objective_at, start, baseline), alphas, baseline, first)
        is_known = np.isfinite(found.losses)
        return Losses(*(part[is_known] for part in found)) if is_known.any() else found


def _in_row_space(reduced, first):
    """Return the objective of any alpha in the span of the rows, given that of the first alpha."""
    moments = reduced.problem.moments()
    d, has_intercept = reduced.problem.d, reduced.shape[1] > reduced.problem.d

    def objective_at(alpha):
        diag = np.full((reduced.problem.k, d), alpha / first)
        metric = diagonal_metric(
            moments, reduced.smoothness, diag, reduced.metric.unit, has_intercept
        )
        return replace(reduced, alpha=diag[:, 0].copy(), metric=metric, penalty_curvature=diag)

    return objective_at


# ---- squared errors -----------------------------------------------------------------------------

def _at_once(objective, alphas):
    """Return the losses of alphas; None where one decomposition is not precise enough."""
    path = ridge_path.RidgePath(objective)
    if not path.is_precise(alphas):
        return None
    found = _near_the_best(path, alphas)
    for _ in range(Limits.extensions):
        if not still_falls(found.alphas, found.losses):
            break
        smaller = found.alphas.min() * np.geomspace(1.0, Limits.extension, 7)[1:]
        found = found.with_more(smaller, *path.losses(smaller))
    further = between(found.alphas, found.losses)
    return found.with_more(further, *path.losses(further)) if len(further) else found


def _near_the_best(path, alphas):
    """Return the losses of all alphas, or of those that may be the best where rows are many.

    Generalised cross-validation says around which alpha the best one may be. Every other alpha
    comes with it, but for those whose loss in the fit is already above the least one: leaving out
    rows only adds to it.
    """
    if path.problem.n * len(path.values) <= Limits.all_alphas:
        return Losses(alphas, *path.losses(alphas))
    fitted, expected = path.fitted(alphas)
    losses, near = np.full(len(alphas), np.inf), np.zeros(len(alphas), dtype=int)
    new, is_coarse = np.zeros((2, len(alphas)), dtype=bool)
    is_coarse[::2] = True
    best, least = int(np.argmin(expected)), expected.min()
    while True:
        new[max(best - 1, 0):best + 2] = True
        new = (new | (is_coarse & (fitted <= least))) & np.isinf(losses)
        if not new.any():
            break
        losses[new], near[new] = path.losses(alphas[new])
        best, least = int(np.argmin(losses)), losses.min()
    known = np.isfinite(losses)
    return Losses(alphas[known], losses[known], near[known])


# ---- one alpha after the other ------------------------------------------------------------------

class _Minimum:
    """The minimum of an objective, as alpha changes along a path."""

    def __init__(self, objective_at, start, baseline):
        self.objective_at, self.model, self.baseline = objective_at, start, baseline
        self.objective = self.hessian = self.loss = None
        self.sample = self.chances = None

    def move_to(self, alpha):
        """Descend to the minimum for another alpha."""
        objective = replace(self.objective_at(alpha), keeps_margins=True)
        solver, x = Newton(), objective.metric.from_raw(*self.model).ravel()
        if self.objective is None:
            start_value = float(objective.metric.unit @ np.full(
                len(objective.alpha), self.baseline / len(objective.alpha)
            ))  # fmt: skip
            x, solver.hessian = descend_on_subsamples(objective, x, start_value)
            if solver.hessian is not None and solver.hessian.blocks is None:
                solver.hessian = None
        elif not self._is_in_outputs:
            solver.hessian = self.hessian.moved_to(objective)
            x = x - solver.hessian.precondition(self._slope(objective))
        steps, unit = Limits.steps, float(objective.metric.unit.max())

        def ends(x, value, gradient, length, decrement):
            nonlocal steps
            steps -= 1
            hessian = solver.hessian
            if decrement is None and hessian is not None and hessian.solvers is not None:
                decrement = abs(float(gradient @ hessian.precondition(gradient)))
            near = Limits.tol * max(unit * self.baseline - value, Limits.least * abs(value))
            return steps < 0 or (decrement is not None and decrement <= near)

        x = solver.solve(objective, x, ends)
        self.objective, self.hessian = objective, solver.hessian
        if self.hessian is None or self._is_small(objective):
            self.hessian = Hessian(objective, x, may_sample=not self._is_small(objective))
        self._end_at(x)

    def _end_at(self, x):
        """Take the last step to the minimum, and the loss there, without a pass."""
        objective, point = self.objective, self.objective.at(x)
        if self.hessian.solvers is None:
            self.hessian.ready_solvers(0.0)
        step = self.hessian.precondition(point.gradient)
        if self._is_in_outputs:
            step = self.hessian.solve(point.gradient, Limits.last_step)
        decrease = (point.gradient * step).reshape(objective.shape).sum(axis=1)
        self.model = objective.to_raw(x - step)
        values = objective.with_penalty(point.losses, point.raw[0])
        values = values - 0.5 * decrease / objective.metric.unit
        penalties = objective.with_penalty(np.zeros(len(values)), self.model[0])
        self.loss = float(np.sum(values - penalties))

    def _slope(self, objective):
        """Return the gradient of another alpha at the last minimum, without a pass."""
        before, coef = self.objective, self.model[0]
        raw = np.zeros(before.shape)
        raw[:, :objective.problem.d] = (
            objective.penalty_curvature - before.penalty_curvature
        ) * coef
        return (raw * objective.metric.inverse * objective.metric.unit[:, None]).ravel()

    @property
    def _is_in_outputs(self):
        """Whether Hessians of single outputs stand for that of a softmax."""
        return self.objective.problem.is_multiclass and not self.hessian.is_joint

    def _is_small(self, objective):
        """Whether Hessians are so little work that each alpha has its own.

        Those of the single outputs of a softmax always are, next to the products of its fits.
        """
        if self.hessian is not None and self._is_in_outputs:
            return True
        most = Limits.own_softmax if _has_few_rows(objective) else Limits.own_hessian
        return objective.problem.n * self._leverage_work(objective) <= most

    def _leverage_work(self, objective):
        """Return the multiplications of a row's leverage."""
        (k, p), problem = objective.shape, objective.problem
        return (k**2 if problem.is_multiclass else k) * p**2

    def left_out(self, enough=np.inf):
        """Return the leave-one-out loss, and how many rows have a leverage near 1.

        Parameters
        ----------
        enough : float
            A loss that is too much to be known well.
        """
        objective, metric, loss = self.objective, self.objective.metric, self.loss
        (k, p), problem = objective.shape, objective.problem
        weight_sum = problem.weight_sum
        most = Limits.own_softmax if _has_few_rows(objective) else Limits.all_rows
        is_in_outputs = self._is_in_outputs
        if not is_in_outputs and problem.n * self._leverage_work(objective) > most:
            self._draw_sample(objective)
            problem = self.sample
        roots = np.sqrt(metric.unit)[:, None]
        if self.hessian.is_joint:
            root = inverse_root(self.hessian.blocks[0]) * roots[0]
            inverse = (root @ root.T).reshape(k, p, k, p)
        else:
            blocks = self.hessian.blocks * (k // len(self.hessian.blocks))
            relative = np.divide(
                metric.inverse, metric.inverse[0], out=np.zeros((k, p)),
                where=metric.inverse[0] > 0,
            )  # fmt: skip
            inverse = [
                relative[c][:, None] * inverse_root(block) * roots[c]
                for c, block in enumerate(blocks)
            ]
        penalty = np.zeros((k, p))
        penalty[:, :problem.d] = objective.penalty_curvature
        n_refined, expanded, before = 0, self.hessian.expansion, None
        if problem is not objective.problem or not self._is_small(objective):
            before = problem.expand(expanded.coef, expanded.intercept)
            expanded = None
        may_refine = not (is_in_outputs or objective.loss.constant_hessian)
        if problem is objective.problem and may_refine:
            a_fit = (problem.n * k * p + self._leverage_work(objective)) * Limits.left_out_steps
            n_refined = min(problem.n, int(Limits.refined / a_fit))
        found = excess_of_left_out(
            problem, *self.model, inverse, metric.mean, metric.inverse[0], weight_sum,
            chances=self.chances, penalty=penalty * metric.inverse[0]**2,
            expanded=expanded, before=before, n_refined=n_refined,
            steps=Limits.left_out_steps, enough=enough - loss, certain=Limits.certain * abs(loss),
        )  # fmt: skip
        if is_in_outputs and found.excess > Limits.believed * loss:
            return np.inf, found.near
        return loss + found.excess, found.near

    def _draw_sample(self, objective):
        """Draw rows once; those far from the mean, which may cause most excess, more likely."""
        if self.sample is not None:
            return
        problem, metric = objective.problem, objective.metric
        sizes = problem.weighted_norms(metric.mean, metric.inverse[0])
        sizes = sizes / sizes.sum() + problem.shares()
        least = Limits.least_of_softmax if problem.is_multiclass else Limits.least_rows
        enough = max(least, Limits.sample / self._leverage_work(objective))
        chances = np.minimum(sizes * (enough / sizes.sum()), 1.0)
        rows = np.flatnonzero(np.random.default_rng(0).random(problem.n) < chances)
        self.sample, self.chances = problem.take(rows), chances[rows]


def _has_few_rows(objective):
    """Tell whether a softmax has too few rows for Hessians of another alpha, and for samples."""
    k, p = objective.shape
    return objective.problem.is_multiclass and objective.problem.n <= Limits.few_rows * k * p
