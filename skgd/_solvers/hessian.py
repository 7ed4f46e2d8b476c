"""The Hessian of an objective at a point: Newton systems, products, and proximal Newton steps.

In the coordinates of the objective's metric::

    H = unit/S sum_i s_i L_i (x) a_i a_i' + penalty'',   a_i = (x_i - mean, 1) * inverse

with ``L_i`` the Hessian of the loss in the margins of row i. Where the parameters are few, H is
factorised: that of all outputs together for a softmax, else one block for each output. What was
factorised is the answer if it is H, and else the preconditioner of conjugate gradients, which stop
where the residual in its norm is the share ``tol`` of the first one.

References
----------
Nocedal and Wright, Numerical Optimization, 2006, chapters 5 and 7.
"""

import copy

import numpy as np

from skgd._solvers.active_set import active_set_qp
from skgd._solvers.costs import Factorisation, LBFGSStart, Products, Work
from skgd._solvers.hessian_cost import (
    factorised_size,
    hessian_work,
    passes_per_hessian,
    sampled_rows,
)
from skgd._utils.linalg import damped, solver


class Hessian:
    """The Hessian of an objective at a point: systems with it, and products.

    Parameters
    ----------
    objective : Objective
        Its loss has second derivatives.
    x : array of shape (n_parameters,)
    may_sample : bool, default=True
        Whether a sample of many rows may stand for all in what is factorised.
    dtype : dtype, default=float
        Of the blocks of single outputs. In single precision they take half the time and serve
        steps, which need few digits.

    Attributes
    ----------
    blocks : list of arrays, or None
        What was factorised; None where the parameters are too many.
    loss_diagonals : array of shape (n_blocks, n_block_parameters), or None
        The diagonals of the blocks without the penalty.
    is_joint : bool
        Whether one block has the parameters of all outputs.
    is_exact : bool
        Whether the blocks are the Hessian itself.
    is_costly : bool
        Whether steps that need no new one save time.
    is_solved : bool
        Whether the last system was solved as well as was asked for.
    stretch : float
        How much farther the minimum was, the last time, than what was factorised says.
    """

    def __init__(self, objective, x, *, may_sample=True, dtype=float):
        self.objective, self.shape, self.x = objective, objective.shape, x
        self.expansion, self.may_sample, self.dtype = objective.expand(x), may_sample, dtype
        self.is_exact, self.is_joint, self.is_costly = False, False, False
        self.is_solved, self.stretch = True, 1.0
        self.blocks = self.solvers = self.damping = self.shift_inverse = None
        self.loss_diagonals = None
        self._factorise()

    def _factorise(self):
        """Factorise what is the Hessian, or stands for it."""
        objective, (k, p) = self.objective, self.shape
        size = factorised_size(objective)[0]
        self.is_joint = size > p
        if not size:
            return
        rows, expansion = sampled_rows(objective) if self.may_sample else None, self.expansion
        if rows is not None:
            expansion = objective.problem.take(rows).expand(*objective.raw(self.x))
        self.is_exact = rows is None and (self.is_joint or not objective.problem.is_multiclass)
        make = self._softmax_hessian if self.is_joint else self._output_hessians
        self.blocks = make(expansion)
        n_rows = objective.problem.n if rows is None else len(rows)
        work = n_rows * size**2 * (1 if self.is_joint else k)
        self.is_costly = not objective.loss.constant_hessian and work > Factorisation.costly

    def _output_hessians(self, expansion):
        """Return the Hessian of each output's parameters, other outputs held fixed."""
        objective, metric = self.objective, self.objective.metric
        n_blocks = 1 if self._is_shared() else self.shape[0]
        is_constant = objective.loss.constant_hessian
        result = expansion.output_hessians(
            metric.mean, metric.inverse[0], 1 if is_constant else n_blocks, self.dtype
        )
        if is_constant and n_blocks > 1:
            result = np.repeat(result, n_blocks, axis=0)
        result[0] *= metric.unit[0]
        for c in range(1, n_blocks):
            scale = self._relative_scale(c)
            result[c] *= scale[:, None] * scale * metric.unit[c]
        self.loss_diagonals = _diagonals(result).copy()
        _diagonals(result)[:] += objective.penalty_hessian_diag[:n_blocks]
        return list(result)

    def _softmax_hessian(self, expansion):
        """Return the Hessian of all outputs' parameters together."""
        (k, p), objective, metric = self.shape, self.objective, self.objective.metric
        result, own = expansion.softmax_hessian(metric.mean, metric.inverse[0])
        own *= metric.unit[0]
        result *= metric.unit[0]
        loss_diag = _diagonals(own).copy()
        _diagonals(own)[:] += objective.penalty_hessian_diag
        pairs = result.reshape(k, p, k, p)
        for c in range(k):
            pairs[c, :, c] = own[c]
        # Along an equal change of all outputs the loss is flat, and `precondition` knows the rest.
        shift = own[0].diagonal() * objective.shift_invariant / k
        np.einsum("cjdj->cdj", pairs)[...] += shift
        self.loss_diagonals = (loss_diag + shift).reshape(1, -1)
        return [result]

    def _relative_scale(self, c):
        inverse = self.objective.metric.inverse
        return np.divide(inverse[c], inverse[0], out=np.zeros(self.shape[1]), where=inverse[0] > 0)

    def _is_shared(self):
        """Whether all outputs have the same Hessian."""
        objective, metric = self.objective, self.objective.metric
        if self.shape[0] == 1:
            return True
        same = objective.penalty_curvature, metric.inverse, metric.unit
        return objective.loss.constant_hessian and all(np.all(part == part[:1]) for part in same)

    def moved_to(self, objective):
        """Return the Hessian of the same losses at the same point with another squared penalty.

        Parameters
        ----------
        objective : Objective
            Of the same problem, with its own metric and penalty.
        """
        def scale(metric):
            return (metric.inverse * np.sqrt(metric.unit)[:, None]).reshape(len(self.blocks), -1)

        if len(self.blocks) < self.shape[0] and not self.is_joint:
            return Hessian(objective, self.x)
        moved, before = copy.copy(self), scale(self.objective.metric)
        ratio = np.divide(
            scale(objective.metric), before, out=np.zeros(before.shape), where=before > 0
        )
        moved.objective, moved.damping = objective, None
        moved.blocks = [
            block * row[:, None] * row for block, row in zip(self.blocks, ratio, strict=True)
        ]
        moved.loss_diagonals = self.loss_diagonals * ratio**2
        diagonals = moved.loss_diagonals + objective.penalty_hessian_diag.reshape(ratio.shape)
        for block, diagonal in zip(moved.blocks, diagonals, strict=True):
            np.fill_diagonal(block, diagonal)
        moved.ready_solvers(0.0)
        return moved

    def at(self, x):
        """Return the Hessian at another point, where it is the same everywhere."""
        moved = copy.copy(self)
        moved.x, moved.expansion = x, self.objective.expand(x)
        return moved

    def dual_point(self, step):
        """Return the dual variables of the rows after a step of the parameters."""
        return self.expansion.dual_point(*self.objective.metric.to_raw(step.reshape(self.shape)))

    # ---- systems --------------------------------------------------------------------------------

    def solve(self, gradient, tol, damping=0.0):
        """Return the direction whose image under the damped Hessian is the gradient."""
        if self.blocks is not None and damping != self.damping:
            self.ready_solvers(damping)
        if self.is_exact:
            return self.precondition(gradient)
        return self._conjugate_gradient(gradient, tol, damping)

    def ready_solvers(self, damping):
        """Make the functions that solve systems with the damped blocks."""
        self.damping = damping
        self.solvers = [solver(damped(block, damping)) for block in self.blocks]
        if len(self.blocks) == 1 and len(self.blocks[0]) == self.shape[1]:
            self.solvers = self.solvers * self.shape[0]
        if self.is_joint:
            objective = self.objective
            diag = objective.penalty_hessian_diag[0] + damping
            self.shift_inverse = np.divide(
                objective.shift_invariant, diag, out=np.zeros(len(diag)), where=diag > 0
            )

    def precondition(self, residual):
        """Return the solution with what was factorised: the Hessian, or its outputs' blocks.

        Equal changes of all outputs are orthogonal to the others: they see the penalty alone.
        """
        if self.solvers is None:
            return residual
        if len(self.solvers) == 1 and not self.is_joint:
            return self.solvers[0](residual)
        if not self.is_joint:
            rows = zip(self.solvers, residual.reshape(len(self.solvers), -1), strict=True)
            return np.concatenate([solve(row) for solve, row in rows])
        residual = residual.reshape(self.shape)
        mean = residual.sum(axis=0) * self.objective.shift_invariant / len(residual)
        direction = self.solvers[0]((residual - mean).ravel())
        return (direction.reshape(self.shape) + mean * self.shift_inverse).ravel()

    def null_space_residual(self, gradient, direction):
        """Return the part of a gradient in the null space of what was factorised.

        It is looked for output by output: zeros stand for it where outputs are factorised jointly.

        Parameters
        ----------
        gradient : array of shape (n_parameters,)
        direction : array of shape (n_parameters,)
            What `precondition` makes of it.
        """
        if self.blocks is None or self.solvers is None or self.is_joint:
            return np.zeros(len(gradient))
        if len(self.solvers) == 1:
            image = self.blocks[0] @ direction.astype(self.blocks[0].dtype, copy=False)
            residual = gradient - image
            return residual - self.damping * direction if self.damping else residual
        blocks = self.blocks * (len(self.solvers) // len(self.blocks))
        directions = direction.reshape(len(blocks), -1)
        images = [
            block @ row.astype(block.dtype, copy=False)
            for block, row in zip(blocks, directions, strict=True)
        ]
        return gradient - np.concatenate(images) - self.damping * direction

    def proximal_step(self, x, gradient, penalty, tol, damping=0.0):
        """Return the minimum of the quadratic with this Hessian plus a separable penalty.

        Parameters
        ----------
        x : array of shape (n_parameters,)
        gradient : array of shape (n_parameters,)
            That of the smooth part at x.
        penalty : SeparablePenalty
        tol : float
            The error that is allowed, as a share of the way from x.
        damping : float
        """
        result = np.empty_like(x)
        size = len(self.blocks[0])
        for start in range(0, len(x), size):
            part = slice(start, start + size)
            block = self.blocks[start // size if len(self.blocks) > 1 else 0]
            block = damped(block, damping)
            result[part] = active_set_qp(block, gradient[part], x[part], penalty.part(part), tol)
        return result

    @property
    def least_curvature(self):
        """The least second derivative along a parameter in what was factorised."""
        return min(float(block.diagonal().min()) for block in self.blocks)

    def model_gradient(self, gradient, step, damping):
        """Return the gradient of the damped quadratic with the factorised blocks after a step."""
        steps = step.reshape(-1, len(self.blocks[0]))
        blocks = self.blocks * (len(steps) // len(self.blocks))
        images = [block @ row for block, row in zip(blocks, steps, strict=True)]
        return gradient + np.concatenate(images) + damping * step

    def _conjugate_gradient(self, gradient, tol, damping, max_iter=100):
        direction, residual = np.zeros_like(gradient), gradient.copy()
        search = self.precondition(residual)
        size = goal = float(residual @ search)
        for _ in range(max_iter):
            if size <= tol**2 * goal or size <= 0:
                break
            image = self.product(search) + damping * search
            curvature = float(search @ image)
            if curvature <= 0:
                break
            direction += size / curvature * search
            residual -= size / curvature * image
            conditioned = self.precondition(residual)
            size, old = float(residual @ conditioned), size
            search = conditioned + size / old * search
        self.is_solved = size <= tol**2 * goal
        if goal > 0:
            self.stretch = max(1.0, float(gradient @ direction) / goal)
        return direction if direction.any() else self.precondition(gradient)

    def product(self, v):
        """Return the Hessian times parameters v, in one pass over the rows."""
        metric = self.objective.metric
        coef, intercept = metric.to_raw(v.reshape(self.shape))
        images = self.expansion.product(coef, intercept)
        return metric.gradient(*images, self.objective.penalty_curvature * coef).ravel()


class DiagonalHessian(Hessian):
    """The Hessian of an objective, of which the diagonal alone is made, as a preconditioner.

    Attributes
    ----------
    is_solved : bool
        Whether the last system took no more products than a factorised Hessian would cost.
    """

    def _factorise(self):
        objective, metric = self.objective, self.objective.metric
        coef, intercept = self.expansion.hessian_diagonal(metric.mean)
        diagonal = np.repeat(intercept[:, None], self.shape[1], axis=1)
        diagonal[:, :objective.problem.d] = coef
        diagonal = diagonal * metric.inverse**2 * metric.unit[:, None]
        diagonal += objective.penalty_hessian_diag
        inverse = np.divide(1.0, diagonal, out=np.zeros(self.shape), where=diagonal > 0)
        self.solvers = [lambda row, scale=scale: scale * row for scale in inverse]
        passes = passes_per_hessian(objective)
        if products_go_first(objective):
            passes = Products.tried
        self.products = int(np.clip(passes, Products.least, Products.most))
        self.is_only_choice = np.isinf(passes)

    def solve(self, gradient, tol, damping=0.0):
        # Where one step is all, another start would only lose the directions of the last.
        is_last = self.objective.loss.constant_hessian
        tol = min(tol, Products.exact if is_last else Products.tol)
        direction = self._conjugate_gradient(gradient, tol, damping, max_iter=self.products)
        self.is_solved = self.is_solved or self.is_only_choice
        return direction


def products_go_first(objective):
    """Tell whether products are worth a try before the Hessian of squared errors is factorised.

    Sparse rows have cheap ones: if they do not solve the system, little time is lost.
    """
    if not objective.problem.is_sparse or not objective.loss.constant_hessian:
        return False
    work = hessian_work(objective) / objective.shape[0]
    if objective.proximal or not LBFGSStart.hessian_work < work < np.inf:
        return False
    passes = work / (LBFGSStart.as_fast * Work.of_pass(objective))
    return passes >= Products.share * Products.tried


def _diagonals(matrices):
    """Return a view of the diagonals of square matrices."""
    return matrices.reshape(len(matrices), -1)[:, ::matrices.shape[1] + 1]
