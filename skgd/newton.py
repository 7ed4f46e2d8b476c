"""Newton's method for the smooth objectives of "auto": no rate, and an end at rounding.

The linear system of each step is solved by conjugate gradients in the coordinates of a whitening:
the Cholesky factor of each output's Hessian, from all rows or from a sample of many. Where the
whitening is the Hessian itself, one solve is the step.
"""

from functools import cache

import numpy as np
from scipy import linalg, sparse
from threadpoolctl import ThreadpoolController

from skgd._engine import Problem, value_and_gradient
from skgd.losses import SquaredError
from skgd.optimizers import FullBatchOptimizer

# The largest number of parameters of an output for which its Hessian is factorised.
FACTORISED = 1536
# Floating-point operations up to which the Hessian of all rows is made anew at each step.
CHEAP_HESSIAN = 3e8
# Rows of the sample that stands for all rows otherwise, at least and per parameter.
SAMPLED_ROWS, SAMPLED_ROWS_PER_PARAMETER = 8192, 20
# The share of the largest curvature below which a direction counts as flat.
SINGULAR = 1e-13
# Numbers of X that are copied at a time.
BLOCK = 2**18


class Newton(FullBatchOptimizer):
    """Damped Newton steps with conjugate gradients.

    Parameters
    ----------
    loss : Loss
        With second derivatives.
    X : array or CSR matrix of shape (n_samples, n_features)
    """

    def __init__(self, loss, X):
        self.loss = loss
        self.X = X

    def solve(self, objective, x, monitor):
        # More threads make BLAS slower on small blocks, and the last bits depend on their number.
        with _threads().limit(limits=1, user_api="blas"):
            return self._solve(objective, x, monitor)

    def _solve(self, objective, x, monitor):
        value, gradient = objective.value_and_gradient(x)
        first, step, damping = float(gradient @ gradient), 1.0, 0.0
        curvature = decrement = None
        while not monitor(x, value, gradient, step, decrement):
            if curvature is None or not self.loss.constant_hessian:
                curvature = Curvature(objective, self.loss, self.X, x)
            size = float(gradient @ gradient)
            # Tighter systems would only amplify rounding along directions without curvature.
            tol = np.clip(np.sqrt(size / first), 1e-6, 0.1) if first > 0 else 0.1
            while True:
                direction = curvature.solve(gradient, tol, damping)
                step, point = _search(objective, x, value, gradient, direction)
                if step >= 0.1 or damping >= 1e6:
                    break
                damping = max(10 * damping, 1e-6)
            if step == 0.0:
                return x
            if step == 1.0:
                damping = damping / 10 if damping > 1e-9 else 0.0
            x, value, gradient = point
            # The Hessian of the last point will do to tell how far the minimum is.
            decrement = float(gradient @ curvature.precondition(gradient))
        return x


@cache
def _threads():
    return ThreadpoolController()


def _search(objective, x, value, gradient, direction):
    """Halve a step until the objective falls enough; 0 where rounding hides any fall."""
    slope, step = float(gradient @ direction), 1.0
    size = float(gradient @ gradient)
    while slope > 0 and step > 1e-10:
        candidate = x - step * direction
        new_value, new_gradient = objective.value_and_gradient(candidate)
        rounding = 4e-15 * (abs(value) + abs(new_value))
        if new_value < value - 1e-4 * step * slope - rounding:
            return step, (candidate, new_value, new_gradient)
        # Where values differ by no more than rounding, the gradient tells which point is better.
        if new_value <= value + rounding and new_gradient @ new_gradient < 0.25 * size:
            return step, (candidate, new_value, new_gradient)
        step *= 0.5 if np.isfinite(new_value) else 0.05
    return 0.0, None


class Curvature:
    """The Hessian of an objective at a point: systems with it, and products.

    Parameters
    ----------
    objective : Objective
    loss : Loss
    X : array or CSR matrix of shape (n_samples, n_features)
    x : array of shape (n_parameters,)
    """

    def __init__(self, objective, loss, X, x):
        self.objective, self.loss, self.X = objective, loss, X
        problem = objective.problem
        self.shape = objective.metric.inverse.shape
        self.weights = np.ones(problem.n) if problem.weights is None else problem.weights
        self.margins, self.targets = margins_and_targets(problem, X, *objective.raw(x))
        k, p = self.shape
        self.bends = loss.bends(self.targets, self.margins) if k > 1 else None
        self.exact, self.blocks, self.solvers, self.damping = False, None, None, None
        joint = problem.n * (k * p) ** 2 / 2 <= CHEAP_HESSIAN and k * p <= FACTORISED
        if loss.couples(k) and joint:
            self.exact, self.blocks = True, [self._joint_hessian()]
        elif p <= FACTORISED:
            outputs = 1 if loss.constant_hessian else problem.k
            enough = max(SAMPLED_ROWS, SAMPLED_ROWS_PER_PARAMETER * p)
            cheap = loss.constant_hessian or problem.n * p**2 * outputs <= CHEAP_HESSIAN
            rows = None
            if not cheap and problem.n > enough:
                rows = np.sort(np.random.default_rng(0).choice(problem.n, enough, replace=False))
            self.exact = rows is None and not loss.couples(problem.k)
            self.blocks = self._hessians(rows)

    def _hessians(self, rows):
        """Return the Hessian of each output's parameters, other outputs held fixed."""
        metric, problem = self.objective.metric, self.objective.problem
        margins, targets, weights = self.margins, self.targets, self.weights
        if rows is not None:
            margins, targets, weights = margins[rows], targets[rows], weights[rows]
        second = self.loss.compiled(problem.k).apply("hessian", targets, margins)
        share = second * (weights / weights.sum())[:, None]
        outputs = range(1) if self._shared() else range(problem.k)
        d, p = problem.d, self.shape[1]
        result = [np.zeros((p, p)) for _ in outputs]
        for part in _blocks(len(weights), d):
            block = self._augmented(self.X[part if rows is None else rows[part]])
            for c in outputs:
                scaled = block * metric.inverse[c]
                result[c] += (scaled * share[part, c, None]).T @ scaled
        for c in outputs:
            penalty = self.objective.penalty_curvature[c] * metric.inverse[c, :d] ** 2
            result[c][np.arange(d), np.arange(d)] += penalty
            result[c] *= metric.unit[c]
        return result

    def _joint_hessian(self):
        """Return the Hessian of all outputs' parameters together."""
        metric, problem = self.objective.metric, self.objective.problem
        k, p = self.shape
        share = self.weights / self.weights.sum()
        result = np.zeros((k, p, k, p))
        for part in _blocks(problem.n, problem.d):
            block = self._augmented(self.X[part])
            for c in range(k):
                unit = np.zeros((1, k))
                unit[0, c] = 1.0
                bent = self.loss.bend(self.bends[part], np.broadcast_to(unit, (len(block), k)))
                bent = bent * share[part, None]
                for e in range(c + 1):
                    result[c, :, e] += (block * bent[:, e, None]).T @ block
        for c in range(k):
            for e in range(c):
                result[e, :, c] = result[c, :, e].T
            result[c, np.arange(problem.d), c, np.arange(problem.d)] += (
                self.objective.penalty_curvature[c]
            )
        result *= metric.inverse[:, :, None, None] * metric.inverse * metric.unit[0]
        return result.reshape(k * p, k * p)

    def _augmented(self, rows):
        """Return centred rows as a dense array, with a column of ones for the intercept."""
        metric = self.objective.metric
        block = (rows.toarray() if sparse.issparse(rows) else rows) - metric.mean
        if self.shape[1] > block.shape[1]:
            block = np.column_stack([block, np.ones(len(block))])
        return block

    def _shared(self):
        metric = self.objective.metric
        same = self.objective.penalty_curvature, metric.inverse, metric.unit
        return self.loss.constant_hessian and all(np.all(part == part[:1]) for part in same)

    def solve(self, gradient, tol, damping):
        """Return the direction whose image under the damped Hessian is the gradient."""
        if self.blocks is not None and damping != self.damping:
            self.damping = damping
            self.solvers = [_inverse(block, damping) for block in self.blocks]
            if len(self.blocks) == 1 and len(self.blocks[0]) == self.shape[1]:
                self.solvers = self.solvers * self.shape[0]
        if self.exact:
            return self.precondition(gradient)
        return self._conjugate_gradient(gradient, tol, damping)

    def precondition(self, residual):
        """Return the solution with what was factorised: the Hessian, or its outputs' blocks."""
        if self.solvers is None:
            return residual
        rows = zip(self.solvers, residual.reshape(len(self.solvers), -1), strict=True)
        return np.concatenate([solve(row) for solve, row in rows])

    def _conjugate_gradient(self, gradient, tol, damping, max_iter=100):
        direction, residual = np.zeros_like(gradient), gradient.copy()
        search = self.precondition(residual)
        size = goal = float(residual @ search)
        for _ in range(max_iter):
            if size <= tol**2 * goal or size <= 0:
                break
            image = self.product(search) + damping * search
            bend = float(search @ image)
            if bend <= 0:
                break
            direction += size / bend * search
            residual -= size / bend * image
            conditioned = self.precondition(residual)
            size, old = float(residual @ conditioned), size
            search = conditioned + size / old * search
        return direction if direction.any() else self.precondition(gradient)

    def product(self, v):
        """Return the Hessian times parameters v."""
        metric, problem = self.objective.metric, self.objective.problem
        coef, intercept = metric.to_raw(v.reshape(self.shape))
        self.objective.passes += 1
        if problem.k == 1:
            images = self._single_product(coef, intercept)
        else:
            images = self._joint_product(coef, intercept)
        penalty = self.objective.penalty_curvature * coef
        return metric.gradient(*images, penalty).ravel()

    def _single_product(self, coef, intercept):
        # The gradient of squared errors, weighted by the second derivatives: one compiled pass.
        problem = self.objective.problem
        if not hasattr(self, "_quadratic"):
            second = self.loss.compiled(1).apply("hessian", self.targets, self.margins)
            self._quadratic = Problem(
                problem.rows, np.zeros((problem.n, 1)),
                np.ascontiguousarray(second[:, 0] * self.weights), SquaredError().compiled(), 1,
            )  # fmt: skip
        _, image, intercept_image = value_and_gradient(
            self._quadratic, coef, intercept, n_threads=self.objective.n_threads
        )
        share = self._quadratic.weight_sum / self.weights.sum()
        return image * share, intercept_image * share

    def _joint_product(self, coef, intercept):
        image, intercept_image = np.zeros_like(coef), np.zeros_like(intercept)
        share = self.weights / self.weights.sum()
        for part in _blocks(len(share), self.X.shape[1]):
            rows = self.X[part]
            moves = self.loss.bend(self.bends[part], rows @ coef.T + intercept)
            moves = moves * share[part, None]
            image += (rows.T @ moves).T
            intercept_image += moves.sum(axis=0)
        return image, intercept_image


def _blocks(n_rows, n_features):
    step = max(64, BLOCK // n_features)
    return [slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]


def _inverse(hessian, damping):
    """Return the function that solves systems with a damped Hessian.

    Directions without curvature are left alone: along them the gradient is nothing but rounding.
    """
    regular = hessian + damping * np.eye(len(hessian))
    try:
        factor = linalg.cholesky(regular, lower=True, check_finite=False)
        pivots = np.diag(factor)
        if pivots.min() > SINGULAR**0.5 * pivots.max():
            return lambda row: linalg.cho_solve((factor, True), row, check_finite=False)
    except linalg.LinAlgError:
        pass
    values, vectors = linalg.eigh(hessian, check_finite=False)
    bent = values > SINGULAR * max(values[-1], np.finfo(float).tiny)
    vectors, values = vectors[:, bent], values[bent] + damping
    return lambda row: vectors @ ((row @ vectors) / values)


def margins_and_targets(problem, X, coef, intercept):
    """Return the margins of all rows and their targets, both of shape (n_samples, n_outputs)."""
    margins = np.empty((problem.n, problem.k))
    for part in _blocks(problem.n, problem.d):
        margins[part] = X[part] @ coef.T + intercept
    targets = problem.targets
    if targets.ndim == 1:
        targets = np.where(targets[:, None] == np.arange(problem.k), 1.0, -1.0)
    return margins, targets
