"""Smooth losses along falling alphas: Newton's method with few Hessians, proximal for l1.

All alphas share the metric of the smallest one, so that the Hessian of the mean loss L'' serves
for every alpha,

    H(alpha) = L'' + alpha diag(v).

A descent starts at the minimum of the alpha before, where the gradient for the new alpha is known
without a pass over the rows: the loss's part of it stays. The first step is therefore free. Each
further one takes a pass, whose change of the gradient goes into quasi-Newton pairs (s, y). At the
end of a descent the pairs, without the penalty's part of y, go into the matrix itself, which serves
for the next alpha. It is scaled to the curvature along the first step, and then updated (BFGS):

    L'' *= (y' s) / (s' L'' s),    L'' += y y' / (y' s) - L'' s s' L'' / (s' L'' s)

The Hessian is computed again only where the steps that are left, at the rate of the last one, would
take longer.

Large Hessians are made and factorised in single precision, unless its rounding is near the least
curvature of the penalty: they shape steps, while gradients and values keep all their digits.

**l1 and bounds.** Steps are proximal: to the minimum of the quadratic model and the penalty, by
coordinate descent. Pairs go into the matrix after each of them. The penalty's own slopes, and its
active set, are exact. Steps are damped where whole ones do not lower the objective: rows beyond the
kink of a slope, as that of the squared hinge, have no curvature until a step reaches them.

**Many classes.** The Hessian of all outputs of a softmax is too large to keep, and those of the
single outputs learn little from pairs. Each descent is Newton's method with products (`Newton`).

*Stops* on ``g' H^-1 g <= (SHARE tol)^2 (F0 - F)``. From a warm start a descent ends just below
what it is asked for, and not far below as from afar: `SHARE` makes up for that. What does not
converge, as where classes are separable without a penalty, is left to a fit of its own.

References
----------
Friedman, Hastie and Tibshirani, Regularization paths for generalized linear models via coordinate
descent, 2010.
Nocedal and Wright, Numerical Optimization, 2006, chapters 6 and 7.
Lee, Sun and Saunders, Proximal Newton-type methods for minimizing composite functions, 2014.
"""

import copy

import numpy as np

from skgd._objective.objective import ROUNDING
from skgd._path.costs import NewtonPathLimits as Limits
from skgd._path.gram_path import GramDescent
from skgd._path.points import PathPoint
from skgd._solvers import newton, row_space
from skgd._solvers.active_set import SeparablePenalty
from skgd._solvers.costs import Factorisation, LBFGSStart, NewtonLimits, Work
from skgd._solvers.hessian import Hessian
from skgd._solvers.hessian_cost import factorised_size, hessian_work, passes_per_hessian
from skgd._solvers.newton import Newton, QuasiNewtonPairs, line_search


def suits(run):
    """Tell whether the path of a run's objective can be walked by Newton's method.

    Parameters
    ----------
    run : Run
        Of the smallest alpha.
    """
    objective = run.objective
    return (
        newton.suits(objective) and not objective.loss.constant_hessian
        and objective.loss.smooth and not row_space.suits(objective)
        and 0 < factorised_size(objective)[0] <= Factorisation.largest
    )  # fmt: skip


def path(run, alphas, pause=lambda: None):
    """Return the minimisers for alphas, as one `PathPoint` each; None where one is not found.

    Parameters
    ----------
    run : Run
        Of the smallest alpha.
    alphas : array of shape (n_alphas,)
        In any order.
    pause : callable
        Called again and again; raises where the path is to be left.
    """
    walk, points = _Walk(run), [None] * len(alphas)
    with np.errstate(all="ignore"):
        for i in np.argsort(-np.asarray(alphas), kind="stable"):
            points[i] = walk.to(float(alphas[i]), pause)
    return points


class _Walk:
    """A descent from one alpha to the next.

    Attributes
    ----------
    objective : Objective
        At the alpha where the walk is.
    x : array of shape (n_parameters,)
        The minimum there.
    hessian : Hessian or None
        That of the mean loss alone, at an earlier point.
    dtype : dtype
        Of Hessians.
    by_products : bool
        Whether the Hessian is too large to be factorised for all outputs of a softmax together.
    """

    def __init__(self, run):
        self.run, self.hessian = run, None
        penalty = run.settings.penalty
        curvature = np.zeros(run.problem.d) if penalty is None else penalty.curvature(run.problem.d)
        self.unit_curvature = np.broadcast_to(
            np.asarray(curvature, dtype=float), run.objective.penalty_curvature.shape
        )
        self.objective = self._at_alpha(run.objective, run.settings.alpha)
        self.x = self.objective.metric.from_raw(*run.start).ravel()
        self.tol = Limits.share * run.settings.tol
        objective = run.objective
        self.least_curvature = objective.penalty_hessian_diag[:, :run.problem.d].min(initial=np.inf)
        is_separate = not (objective.proximal or run.problem.is_multiclass)
        is_single = is_separate and self.least_curvature > 0.0 and passes_per_hessian(objective) > 0
        self.dtype = np.float32 if is_single else float
        pass_work = LBFGSStart.as_fast * Work.of_pass(objective)
        self.passes_per_hessian = hessian_work(objective) / pass_work
        size = factorised_size(objective)[0]
        self.by_products = run.problem.is_multiclass and size < np.prod(objective.shape)

    def _at_alpha(self, objective, alpha):
        return objective.with_alpha(alpha, alpha * self.unit_curvature)

    def to(self, alpha, pause):
        """Return the point at an alpha, or None where the descent does not end.

        Without a penalty there may be no minimum, of which a fit of its own tells.
        """
        if alpha == 0.0 and self.objective.loss.separable_loss is not None:
            return None
        self.objective = self._at_alpha(self.objective, alpha)
        first, start = self.objective.passes, self.x
        kind = _ProductDescent if self.by_products else _Descent
        descent = kind(self, pause)
        if not descent.run():
            self.x, self.hessian = start, None
            return None
        descent.pass_on()
        self.x, objective, run = descent.x, self.objective, self.run
        point = objective.at(self.x)
        coef, intercept = run.targets.identified(*objective.raw(self.x), objective)
        losses = point.losses.copy()
        values = losses, objective.with_penalty(losses, point.raw[0])
        return PathPoint(
            alpha, coef.copy(), intercept.copy(), run.problem.weight_sum, lambda: values,
            passes=objective.passes - first, n_iter=max(1, descent.n_steps),
        )  # fmt: skip

    def goal(self, x):
        """Return the decrement at which the descent ends."""
        objective, point = self.objective, self.objective.at(x)
        baseline, unit = self.run.history.baseline, objective.metric.unit
        objectives = objective.with_penalty(point.losses, point.raw[0])
        possible = baseline.possible_decrease(unit, objectives)
        rounding = ROUNDING**2 * baseline.size(unit)
        return max(self.tol**2 * possible, rounding)

    def loss_hessian(self, x):
        """Return the Hessian of the mean loss at x."""
        hessian = Hessian(self._at_alpha(self.objective, 0.0), x, dtype=self.dtype)
        if self.dtype == np.float32 and not self._has_digits(hessian):
            self.dtype = float
            return self.loss_hessian(x)
        return hessian

    def _has_digits(self, hessian):
        """Tell whether the rounding of single precision is small compared with the penalty."""
        size = max(float(np.linalg.norm(block)) for block in hessian.blocks)
        return size * np.finfo(np.float32).eps <= Limits.single * self.least_curvature


class _Descent:
    """Newton's method at one alpha.

    Attributes
    ----------
    hessian : Hessian or None
        Of the objective, as far as it is known.
    is_fresh : bool
        Whether it was made at this alpha.
    """

    def __init__(self, walk, pause):
        self.walk, self.objective, self.pause = walk, walk.objective, pause
        self.penalty = SeparablePenalty.of(self.objective) if self.objective.proximal else None
        self.x, self.n_steps = walk.x, 0
        self.damping = 0.0
        self.hessian, self.is_fresh = self._with_penalty(walk.hessian), False
        self.pairs = QuasiNewtonPairs()
        self.slow = Limits.slow if self.penalty is None else Limits.slow_proximal

    def _with_penalty(self, loss_hessian):
        """Return the Hessian of the objective from that of the loss."""
        if loss_hessian is None:
            return None
        hessian, diag = copy.copy(loss_hessian), self.objective.penalty_hessian_diag
        hessian.objective, hessian.solvers, hessian.damping = self.objective, None, None
        parts = [diag.ravel()] if hessian.is_joint else diag
        hessian.blocks = [block.copy() for block in hessian.blocks]
        for block, part in zip(hessian.blocks, parts, strict=False):
            block[np.diag_indices(len(block))] += part + self.damping
        if self.penalty is None:
            hessian.ready_solvers(0.0)
        return hessian

    def _make_hessian(self):
        self.walk.hessian = self.walk.loss_hessian(self.x)
        self.hessian, self.is_fresh = self._with_penalty(self.walk.hessian), True
        self.pairs = QuasiNewtonPairs()

    def run(self):
        """Descend; return whether that ended at the minimum."""
        if self.penalty is not None:
            self.x = self.penalty.clip(self.x)
        value, gradient = newton.evaluate(self.objective, self.x)
        before = np.inf
        while self.n_steps <= Limits.steps:
            self.pause()
            if self.hessian is None:
                self._make_hessian()
            step, decrement, decrease = self._step(gradient)
            goal = self.walk.goal(self.x)
            if decrement <= goal and not self.damping:
                return self._sees_all(gradient)
            if not self.is_fresh and self._is_slow(decrement, before, goal):
                self._make_hessian()
                before = np.inf
                continue
            length, point = line_search(self.objective, self.x, value, gradient, step, decrease)
            if length == 0.0:
                if not self.is_fresh:
                    self._make_hessian()
                elif decrement <= NewtonLimits.hidden * abs(value):
                    return not self.damping
                elif not self._damp():
                    return False
                before = np.inf
                continue
            self.n_steps += 1
            self._learn(point[0] - self.x, point[2] - gradient)
            # The Hessian of another point says little about the next one.
            self.is_fresh = self.is_fresh and length == 1.0 and decrement <= self.slow * before
            self.x, value, gradient = point
            before = decrement
            if self.damping and length == 1.0:
                self._relax()
        return False

    def _damp(self):
        """Shorten the steps of the Hessian; return whether that is possible."""
        self.damping = max(10.0 * self.damping, NewtonLimits.first_damping)
        self.hessian = self._with_penalty(self.walk.hessian)
        return self.damping <= NewtonLimits.largest_damping

    def _relax(self):
        """Shorten steps less where whole ones have served."""
        self.damping = self.damping / 10.0 if self.damping > NewtonLimits.first_damping else 0.0
        self.hessian = self._with_penalty(self.walk.hessian)

    def _step(self, gradient):
        """Return the next step, how far the minimum is, and the predicted decrease."""
        if self.penalty is not None:
            step, decrease = self._proximal_step(gradient)
            return step, decrease, decrease
        step, decrease = self.pairs.step(self.hessian, gradient)
        return step, decrease, decrease

    def _proximal_step(self, gradient):
        """Return the step to the minimum of the quadratic model, and the predicted decrease."""
        penalty, target = self.penalty, self.x.copy()
        size = len(self.hessian.blocks[0])
        for i, block in enumerate(self.hessian.blocks):
            part = slice(i * size, (i + 1) * size)
            there, own = target[part], penalty.part(part)
            linear = block @ there - gradient[part]
            descent = GramDescent(
                block, own.l1, np.zeros(size), own.lower, own.upper, Limits.model_tol
            )
            descent.run(there, linear, self.pause)
        decrease = penalty.value(self.x) - penalty.value(target)
        return target - self.x, max(decrease - float(gradient @ (target - self.x)), 0.0)

    def _learn(self, step, change):
        """Take in by how much a step has changed the gradient."""
        self.pairs.add(step, change)
        if self.penalty is not None:
            _learn(self.walk.hessian, self._of_loss())
            self.pairs = QuasiNewtonPairs()
            self.hessian = self._with_penalty(self.walk.hessian)

    def _of_loss(self):
        """Return the pairs of steps and changes of the loss's gradient alone."""
        diag = self.objective.penalty_hessian_diag.ravel()
        return [(step, change - diag * step) for step, change, _ in self.pairs.pairs]

    def pass_on(self):
        """Let the Hessian of the loss learn, for the next alpha, what the steps here have told."""
        hessian, pairs = self.walk.hessian, self._of_loss()
        if pairs and (hessian.is_joint or not self.objective.problem.is_multiclass):
            _rescale(hessian, *pairs[0])
            _learn(hessian, pairs)

    def _is_slow(self, decrement, before, goal):
        """Tell whether the steps that are left at this rate take longer than a Hessian."""
        rate = decrement / before
        if self.penalty is not None or rate > self.slow:
            return rate > self.slow
        return np.log(decrement / goal) > -np.log(rate) * self.walk.passes_per_hessian

    def _sees_all(self, gradient):
        """Tell whether the Hessian sees all rows that pull."""
        if self.penalty is not None:
            return True
        direction = self.hessian.precondition(gradient)
        residual = self.hessian.null_space_residual(gradient, direction)
        size = self.walk.tol**2 * self.walk.run.history.baseline.size(self.objective.metric.unit)
        return float(residual @ residual) <= size


class _ProductDescent:
    """Newton's method at one alpha by products with the Hessian, from the minimum of the last."""

    def __init__(self, walk, pause):
        self.walk, self.pause = walk, pause
        self.x, self.n_steps, self.has_ended = walk.x, -1, False

    def run(self):
        """Descend; return whether that ended at the minimum."""
        self.x = Newton().solve(self.walk.objective, self.x, self._ends)
        return self.has_ended

    def _ends(self, x, value, gradient, length, decrement):
        self.pause()
        self.n_steps += 1
        if decrement is not None:
            goal = max(self.walk.goal(x), NewtonLimits.hidden * abs(value))
            self.has_ended = decrement <= goal
        return self.has_ended or self.n_steps > Limits.steps

    def pass_on(self):
        """Leave only the minimum for the next alpha."""


def _blocks(hessian, vector):
    """Return the parts of a vector of parameters that belong to the blocks of a Hessian."""
    return vector.reshape(len(hessian.blocks), -1)


def _rescale(hessian, step, change):
    """Scale a Hessian to the curvature along a step."""
    for block, s, y in zip(
        hessian.blocks, _blocks(hessian, step), _blocks(hessian, change), strict=True
    ):
        seen, curvature = float((block @ s.astype(block.dtype)) @ s), float(s @ y)
        if seen > 0.0 and curvature > Limits.curved * seen:
            block *= curvature / seen


def _learn(hessian, pairs):
    """Update a Hessian by pairs of steps and changes of the gradient (BFGS)."""
    for i, block in enumerate(hessian.blocks):
        terms, signs = [], []
        for s, y in ((_blocks(hessian, part)[i] for part in pair) for pair in pairs):
            image, curvature = block @ s.astype(block.dtype), float(s @ y)
            if terms:
                image = image + (signs * (np.array(terms) @ s)) @ np.array(terms)
            seen = float(s @ image)
            if curvature > Limits.curved * seen > 0.0:
                terms += [y / np.sqrt(curvature), image / np.sqrt(seen)]
                signs += [1.0, -1.0]
        if terms:
            sides = np.array(terms, dtype=block.dtype)
            block += (sides.T * np.array(signs, dtype=block.dtype)) @ sides
