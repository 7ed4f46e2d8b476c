"""The rate of a step rule where the user gave none: from the data, then from the descent itself."""

from functools import cached_property

import numpy as np
from scipy import sparse

from skgd._engine import value_and_gradient
from skgd.schedules.automatic import REFINED, Decaying, Watched

# The share of the largest gradient below which another is rounding.
ROUNDING = 1e-12
# Batches on which the step along the signs of a gradient is measured.
BATCHES = 8


def automatic_schedule(optimizer, objective, X, plan, start, steps, record, *, trained):
    """Return a schedule for a step rule whose rate comes from the data.

    A model that is trained already is only refined.
    """
    share = REFINED if trained else 1.0
    if record.partial:
        return Decaying(steps.t, share)
    curvatures = Curvatures(objective, X, plan, start, steps.generator)
    rate, power = optimizer.automatic_rate(plan.bounds[-1], plan.batch_length, curvatures)
    return Watched(
        share * rate, power > 0, optimizer.momentum_horizon, record.best_objective, record.ceiling
    )


class Curvatures:
    """How the objective bends in the coordinates of the metric.

    Attributes
    ----------
    mean : float
        The largest curvature of the mean objective, by power iterations on a sample of rows.
    least : float
        The least curvature of the mean objective along which it bends at all; 0 for more parameters
        than rows in the sample.
    typical : float
        The mean curvature of single rows' objectives along their rows; in a fit, doubled for
        safety.
    single : float
        The largest curvature of a single row's objective, by a pass over all rows.

    On a stream the rows at hand may be few: the metric, which knows all rows so far, tells the mean
    curvature of single ones.

    Where nothing has a curvature, 1 stands for that of all.
    """

    def __init__(self, objective, X, plan, start, generator, n_rows=1024, *, on_stream=False):
        self.objective, self.X, self.plan, self.start = objective, X, plan, start
        self.generator, self.n_rows, self.on_stream = generator, n_rows, on_stream

    @cached_property
    def _rows(self):
        """The numbers of the rows of the sample."""
        rows, weights = self.plan.rows, self.objective.problem.weights
        if weights is not None:
            rows = np.flatnonzero(weights)
        elif rows is None:
            rows = np.arange(self.X.shape[0])
        if len(rows) <= self.n_rows:
            return rows
        return np.sort(self.generator.choice(rows, self.n_rows, replace=False))

    @cached_property
    def _sample(self):
        """The sample in the metric's coordinates, and the rows' shares of the weight."""
        weights = self._weights(self._rows)
        return self._scaled(self._rows), weights / max(weights.sum(), np.finfo(float).tiny)

    def _weights(self, rows):
        return self.objective.problem.row_weights()[rows]

    def _scaled(self, rows):
        metric = self.objective.metric
        size = np.sqrt(self.objective.curvature[0] * metric.unit[0])
        return _Scaled(self.X[rows], metric.mean, size * metric.inverse[0])

    @cached_property
    def _penalty(self):
        """The curvature of the penalty, for each parameter."""
        return self.objective.penalty_hessian_diag[0]

    @cached_property
    def _largest(self):
        """The largest curvature of the sample's mean objective, by power iterations; or 0."""
        sample, weights = self._sample
        v, largest = self.generator.normal(size=len(self._penalty)), 0.0
        for _ in range(20):
            v = sample.transposed(weights * sample.times(v)) + self._penalty * v
            largest = float(np.linalg.norm(v))
            if largest == 0.0:
                break
            v /= largest
        return largest

    @cached_property
    def mean(self):
        largest = 1.1 * self._largest
        if largest == 0.0:
            return 1.0
        if self.on_stream:
            # Of few rows the largest curvature is more by about what a batch of them leaves of one.
            return max(largest - self.typical / len(self._rows), 0.0)
        return largest

    @cached_property
    def least(self):
        sample, weights = self._sample
        if len(self._penalty) > min(len(weights), self.n_rows // 2):
            return 0.0
        rows = sample.times(np.eye(len(self._penalty)))
        eigenvalues = np.linalg.eigvalsh((rows.T * weights) @ rows + np.diag(self._penalty))
        return float(min(eigenvalues[eigenvalues > 1e-6 * eigenvalues[-1]], default=0.0))

    @cached_property
    def typical(self):
        metric = self.objective.metric
        if self.on_stream and not metric.identity:
            # Along each axis that is not frozen, all rows' curvature and the penalty's add up to 1.
            return max(1.0, np.count_nonzero(metric.inverse[0]) - float(self._penalty.sum()))
        sample, weights = self._sample
        single = 2.0 * float(weights @ sample.squares()) + float(self._penalty.max())
        return max(single, self._largest) or 1.0

    @cached_property
    def single(self):
        problem, largest = self.objective.problem, 0.0
        size = max(1, 2**15 // self.X.shape[1])
        if sparse.issparse(self.X):
            size = problem.n
        for start in range(0, problem.n, size):
            rows = slice(start, start + size)
            squares = self._scaled(rows).squares()
            largest = max(largest, float((squares * self._weights(rows)).max()))
        # A row's gradient is estimated for all rows that count.
        single = largest * self.plan.weight_scale + float(self._penalty.max())
        return single if single > 0.0 else 1.0

    def sign_step(self, batch_length, second_moment_window):
        """Return how far along the signs of a batch's gradient its objective is least.

        Parameters
        ----------
        batch_length : int
        second_moment_window : float
            The least share of the steps for which a rule's mean of squared gradients has a memory:
            in a column that plays a part less and less often, steps get longer down to there.
        """
        (sample, weights), metric = self._sample, self.objective.metric
        order = np.arange(len(weights))
        if batch_length < len(order):
            self.generator.shuffle(order)
        found, curvature, seen = 0.0, 0.0, sample.seen()
        for batch in np.array_split(order, -(-len(order) // batch_length))[:BATCHES]:
            rows, shares = sample.only(batch), weights[batch] / weights[batch].sum()
            _, *gradients = value_and_gradient(
                self.objective.problem, *self.start, subset=np.sort(self._rows[batch])
            )
            often = 1.0 - (1.0 - seen) ** len(batch)
            for gradient in metric.gradient(*gradients, 0.0):
                # What is rounding has no sign: at the best constant the intercept's gradient is.
                gradient[np.abs(gradient) <= ROUNDING * np.abs(gradient).max()] = 0.0
                move = np.sign(gradient) / np.sqrt(np.maximum(often, second_moment_window))
                found += gradient @ move
                curvature += shares @ rows.times(move) ** 2 + self._penalty @ move**2
        return found / curvature if curvature > 0.0 else 1.0


class _Scaled:
    """Rows in the coordinates of a metric; sparse ones are centred without being filled.

    Parameters
    ----------
    X : array or CSR matrix of shape (n_rows, n_features)
    mean : array of shape (n_features,)
    scale : array of shape (n_parameters,)
        What the centred columns are multiplied with, and the intercept's if there is one.
    """

    def __init__(self, X, mean, scale):
        self.X, self.mean, self.scale, self.zeros = X, mean, scale, 0.0
        if not sparse.issparse(X):
            # Explicitly, for the sake of columns far from zero.
            self.X, self.mean, self.zeros = X - mean, np.zeros(len(mean)), -mean

    @property
    def _intercept(self):
        return self.scale[len(self.mean):]

    def only(self, rows):
        return _Scaled(self.X[rows], self.mean, self.scale)

    def times(self, v):
        """Return the rows times the parameters v."""
        d = len(self.mean)
        v = (v.T * self.scale).T
        return self.X @ v[:d] + v[d:].sum(axis=0) - self.mean @ v[:d]

    def transposed(self, r):
        """Return the transposed rows times r."""
        centred = self.X.T @ r - self.mean * r.sum()
        return np.append(centred, np.full(len(self._intercept), r.sum())) * self.scale

    def squares(self):
        """Return the squared length of each row."""
        d, square = len(self.mean), self.scale**2
        squared = self.X.multiply(self.X) if sparse.issparse(self.X) else self.X**2
        filled = squared @ square[:d] - 2.0 * (self.X @ (self.mean * square[:d]))
        return filled + self.mean**2 @ square[:d] + square[d:].sum()

    def seen(self):
        """Return the share of the rows in which each parameter plays a part."""
        n = self.X.shape[0]
        if sparse.issparse(self.X):
            nonzero = np.bincount(self.X.indices, minlength=self.X.shape[1])
        else:
            nonzero = (self.X != self.zeros).sum(axis=0)
        return np.append(nonzero / n, np.ones(len(self._intercept)))
