"""The curvature of an objective at a point: Newton systems, products, and steps over kinks.

Everything is in the coordinates of the objective's metric. Where the parameters are few, the
Hessian is made of all rows or of a sample of many and factorised: that of all outputs together
where a softmax couples them, otherwise one block an output. What was factorised is the answer if it
is the Hessian, and else the preconditioner of conjugate gradients.
"""

import numpy as np
from scipy import sparse

from skgd._engine import Problem, value_and_gradient
from skgd._objective.scaled_rows import blocks_of_rows, gram, margins
from skgd._quadratic import scale_rows
from skgd._solvers.active_set import minimise
from skgd._utils.linalg import damped, solver

# The largest number of parameters of a Hessian that is factorised: one output's, all outputs', and
# all outputs' where kinks leave no other way.
FACTORISED, FACTORISED_JOINTLY, FACTORISED_WITH_KINKS = 1536, 1024, 3072
# Multiplications up to which the Hessian of all rows is made anew at each step.
CHEAP_HESSIAN = 3e8
# Multiplications for a Hessian above which it is used for several steps where that will do.
COSTLY = 1e7
# Rows of the sample that stands for all rows otherwise, at least and per parameter.
SAMPLED_ROWS, SAMPLED_ROWS_PER_PARAMETER = 8192, 20


class Curvature:
    """The Hessian of an objective at a point: systems with it, and products.

    Parameters
    ----------
    objective : Objective
    loss : Loss
        With second derivatives.
    X : array or CSR matrix of shape (n_samples, n_features)
    x : array of shape (n_parameters,)
    sampled : bool, default=True
        Whether a sample of many rows may stand for all.

    Attributes
    ----------
    blocks : list of arrays, or None
        What was factorised; None where the parameters are too many.
    joint : bool
        Whether one block has the parameters of all outputs.
    exact : bool
        Whether the blocks are the Hessian itself.
    costly : bool
        Whether steps that need no new one save time.
    solved : bool
        Whether the last system was solved as well as was asked for.
    stretch : float
        How much farther the minimum was, the last time, than what was factorised says.
    """

    def __init__(self, objective, loss, X, x, *, sampled=True):
        self.objective, self.loss, self.X = objective, loss, X
        self.shape = objective.metric.inverse.shape
        self.weights = objective.problem.row_weights()
        self.margins = objective.margins(x)
        if self.margins is None:
            self.margins = margins(X, *objective.raw(x))
        self.hessian_terms = loss.hessian_terms(objective.targets, self.margins)
        self.exact, self.joint, self.costly = False, False, False
        self.solved, self.stretch = True, 1.0
        self.blocks = self.solvers = self.damping = self.even = self.quadratic = None
        self._factorise(sampled)

    def _factorise(self, sampled):
        """Factorise what is the Hessian, or stands for it."""
        objective, loss, (k, p) = self.objective, self.loss, self.shape
        size = factorised_size(objective, loss)[0]
        self.joint = size > p
        if not size:
            return
        rows = self._rows(size) if sampled else None
        self.exact = rows is None and (self.joint or not loss.is_multiclass(k))
        self.blocks = [self._joint_hessian(rows)] if self.joint else self._hessians(rows)
        n_rows = objective.problem.n if rows is None else len(rows)
        blocks = 1 if self.joint else k
        self.costly = not loss.constant_hessian and n_rows * size**2 * blocks > COSTLY

    def slopes(self, move):
        """Return the slopes of the rows after a move of the parameters, to first order."""
        change = margins(self.X, *self.objective.metric.to_raw(move.reshape(self.shape)))
        rule = self.loss.compiled(self.shape[0])
        return rule.apply("gradient", self.objective.targets, self.margins) + (
            self.loss.hessian_product(self.hessian_terms, change)
        )

    def _rows(self, n_parameters):
        """Return the rows of the sample that stands for all; None for all."""
        problem = self.objective.problem
        enough = max(SAMPLED_ROWS, SAMPLED_ROWS_PER_PARAMETER * n_parameters)
        work = problem.n * n_parameters**2 * (1 if self.joint else problem.k)
        if self.loss.constant_hessian or work <= CHEAP_HESSIAN or problem.n <= enough:
            return None
        return np.sort(np.random.default_rng(0).choice(problem.n, enough, replace=False))

    def _blocks(self, rows, k=1):
        """Yield parts of the rows with their share of the weight, and what makes their products.

        That is a function of factors of shape (part, k), which returns the rows in the metric of
        output 0 times each factor, side by side; it holds until the next call.
        """
        metric = self.objective.metric
        weights = self.weights if rows is None else self.weights[rows]
        share, width = weights / weights.sum(), k * self.shape[1]
        parts = blocks_of_rows(len(share), width)
        buffer = np.empty((parts[0].stop, width))
        for part in parts:
            chosen = part if rows is None else rows[part]
            block = self.X[chosen]
            block = block.toarray() if sparse.issparse(block) else block
            block = np.ascontiguousarray(block, dtype=float)

            def scaled(factors, block=block):
                columns = np.ascontiguousarray(factors.reshape(len(block), -1))
                out = buffer[:len(block)].reshape(-1)[:columns.size * self.shape[1]]
                out = out.reshape(len(block), -1)
                scale_rows(block, metric.mean, metric.inverse[0], columns, out)
                return out

            yield chosen, share[part], scaled

    def _hessians(self, rows):
        """Return the Hessian of each output's parameters, other outputs held fixed."""
        objective, p = self.objective, self.shape[1]
        second = self.hessian_terms
        if self.loss.is_multiclass(self.shape[0]):
            second = second * (1.0 - second)
        outputs = range(1) if self._shared() else range(self.shape[0])
        result = np.zeros((len(outputs), p, p))
        for part, share, scaled in self._blocks(rows):
            for c in outputs:
                result[c] += gram(scaled, share * second[part, c])
        for c in outputs:
            scale = self._relative_scale(c)
            result[c] *= scale[:, None] * scale * objective.metric.unit[c]
        _diagonals(result)[:] += objective.penalty_hessian_diag[:len(outputs)]
        return list(result)

    def _joint_hessian(self, rows):
        """Return the Hessian of all outputs' parameters together.

        A row's is ``diag(b) - b b'`` over the outputs, times the product of its features.
        """
        k, p = self.shape
        result, own = np.zeros((k * p, k * p)), np.zeros((k, p, p))
        others = 1.0 - np.eye(k)
        for part, share, scaled in self._blocks(rows, k):
            terms, roots = self.hessian_terms[part], np.sqrt(share)[:, None]
            # Sums of the others, as a difference from the sum of all has less digits.
            each = scaled(np.sqrt(terms * (terms @ others)) * roots).reshape(-1, k, p)
            for c in range(k):
                own[c] += each[:, c].T @ each[:, c]
            all_outputs = scaled(terms * roots)
            result -= all_outputs.T @ all_outputs
        own *= self.objective.metric.unit[0]
        result *= self.objective.metric.unit[0]
        _diagonals(own)[:] += self.objective.penalty_hessian_diag
        pairs = result.reshape(k, p, k, p)
        for c in range(k):
            pairs[c, :, c] = own[c]
        # Along an equal change of all outputs the loss is flat, and `precondition` knows the rest.
        columns = np.flatnonzero(self.objective.alike)
        pairs[:, columns, :, columns] += own[0].diagonal()[columns, None, None] / k
        return result

    def _relative_scale(self, c):
        inverse = self.objective.metric.inverse
        return np.divide(inverse[c], inverse[0], out=np.zeros(self.shape[1]), where=inverse[0] > 0)

    def _shared(self):
        metric = self.objective.metric
        same = self.objective.penalty_curvature, metric.inverse, metric.unit
        return self.loss.constant_hessian and all(np.all(part == part[:1]) for part in same)

    # ---- systems --------------------------------------------------------------------------------

    def solve(self, gradient, tol, damping=0.0):
        """Return the direction whose image under the damped Hessian is the gradient."""
        if self.blocks is not None and damping != self.damping:
            self.damping = damping
            self.solvers = [solver(damped(block, damping)) for block in self.blocks]
            if len(self.blocks) == 1 and len(self.blocks[0]) == self.shape[1]:
                self.solvers = self.solvers * self.shape[0]
            if self.joint:
                alike = self.objective.alike
                hessian_diag = self.objective.penalty_hessian_diag[0] + damping
                self.even = np.divide(
                    alike, hessian_diag, out=np.zeros(len(hessian_diag)), where=hessian_diag > 0
                )
        if self.exact:
            return self.precondition(gradient)
        return self._conjugate_gradient(gradient, tol, damping)

    def precondition(self, residual):
        """Return the solution with what was factorised: the Hessian, or its outputs' blocks.

        Equal changes of all outputs are apart from all others: they see the penalty alone.
        """
        if self.solvers is None:
            return residual
        if not self.joint:
            rows = zip(self.solvers, residual.reshape(len(self.solvers), -1), strict=True)
            return np.concatenate([solve(row) for solve, row in rows])
        residual = residual.reshape(self.shape)
        mean = residual.sum(axis=0) * self.objective.alike / len(residual)
        move = self.solvers[0]((residual - mean).ravel())
        return (move.reshape(self.shape) + mean * self.even).ravel()

    def unseen(self, gradient, direction):
        """Return the part of a gradient along which what was factorised does not bend.

        It is looked for output by output: zeros stand for it where outputs are factorised jointly.

        Parameters
        ----------
        gradient : array of shape (n_parameters,)
        direction : array of shape (n_parameters,)
            What `precondition` makes of it.
        """
        if self.blocks is None or self.solvers is None or self.joint:
            return np.zeros(len(gradient))
        blocks = self.blocks * (len(self.solvers) // len(self.blocks))
        moves = direction.reshape(len(blocks), -1)
        images = [block @ row for block, row in zip(blocks, moves, strict=True)]
        return gradient - np.concatenate(images) - self.damping * direction

    def target(self, x, gradient, kinks, tol, damping=0.0):
        """Return the minimum of the quadratic with this Hessian plus the kinks.

        Parameters
        ----------
        x : array of shape (n_parameters,)
        gradient : array of shape (n_parameters,)
            That of the smooth part at x.
        kinks : Kinks
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
            result[part] = minimise(block, gradient[part], x[part], kinks.part(part), tol)
        return result

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
        self.solved = size <= tol**2 * goal
        if goal > 0:
            self.stretch = max(1.0, float(gradient @ direction) / goal)
        return direction if direction.any() else self.precondition(gradient)

    def product(self, v):
        """Return the Hessian times parameters v, in one pass over the rows."""
        objective, problem = self.objective, self.objective.problem
        coef, intercept = objective.metric.to_raw(v.reshape(self.shape))
        if self.quadratic is None:
            rule, terms = self.loss.quadratic(problem.k), np.ascontiguousarray(self.hessian_terms)
            self.quadratic = Problem(problem.rows, terms, problem.weights, rule, problem.k)
        objective.passes += 1
        _, *images = value_and_gradient(
            self.quadratic, coef, intercept, n_threads=objective.n_threads
        )
        return objective.metric.gradient(*images, objective.penalty_curvature * coef).ravel()


def factorised_size(objective, loss):
    """Return the number of parameters of the Hessians that are factorised, and how many there are.

    That of all outputs together where a loss couples them, if it is small enough.
    """
    k, p = objective.metric.inverse.shape
    largest = FACTORISED_WITH_KINKS if objective.proximal else FACTORISED_JOINTLY
    if k > 1 and loss.is_multiclass(k) and k * p <= largest:
        return k * p, 1
    return (p, k) if p <= FACTORISED else (0, 0)


def hessian_work(objective, loss):
    """Return the multiplications for what is factorised; inf where there are too many parameters.

    It is made of a sample of many rows.
    """
    size, blocks = factorised_size(objective, loss)
    if not size:
        return np.inf
    n, squares = objective.problem.n, float(size) ** 2 * blocks
    enough = max(SAMPLED_ROWS, SAMPLED_ROWS_PER_PARAMETER * size)
    sampled = not loss.constant_hessian and n * squares > CHEAP_HESSIAN
    return (min(n, enough) if sampled else n) * squares


def takes_kinks(objective, loss):
    """Tell whether an objective's kinks can be stepped over with a Hessian of all parameters."""
    k, p = objective.metric.inverse.shape
    size = factorised_size(objective, loss)[0]
    whole = size == k * p if loss.is_multiclass(k) else size > 0
    return whole and objective.penalty.separable_form(objective.problem.d) is not None


def _diagonals(matrices):
    """Return a view of the diagonals of square matrices."""
    return matrices.reshape(len(matrices), -1)[:, ::matrices.shape[1] + 1]
