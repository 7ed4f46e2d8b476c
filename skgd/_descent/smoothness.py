"""The rate of a step rule where the user gave none: from the data, then from the descent itself."""

from functools import cached_property

import numpy as np

from skgd.schedules.automatic import REFINED, Decaying, Watched

# The share of the largest gradient below which another is rounding.
ROUNDING = 1e-12
# Batches on which the step along the signs of a gradient is measured.
BATCHES = 8


def automatic_schedule(optimizer, objective, plan, start, steps, history, *, trained):
    """Return a schedule for a step rule whose rate comes from the data.

    A model that is trained already is only refined.
    """
    share = REFINED if trained else 1.0
    if history.is_partial:
        return Decaying(steps.t, share)
    curvatures = Curvatures(objective, plan, start, steps.generator)
    rate, power = optimizer.automatic_rate(plan.bounds[-1], plan.batch_length, curvatures)
    return Watched(
        share * rate, power > 0, optimizer.momentum_horizon, history.best_objective,
        history.baseline.ceiling, history.tol,
    )


class Curvatures:
    """Lipschitz constants of the gradients, in the coordinates of the metric.

    Attributes
    ----------
    mean : float
        The largest curvature of the mean objective, by power iterations on a sample of rows.
    least : float
        The least curvature of the mean objective along which it has any; 0 for more parameters
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

    def __init__(self, objective, plan, start, generator, n_rows=1024, *, on_stream=False):
        self.objective, self.plan, self.start = objective, plan, start
        self.generator, self.n_rows, self.on_stream = generator, n_rows, on_stream

    @cached_property
    def _rows(self):
        """The numbers of the rows of the sample."""
        problem = self.objective.problem
        n = problem.n_weighted
        if n <= self.n_rows:
            return problem.row_numbers(np.arange(n))
        return problem.row_numbers(np.sort(self.generator.choice(n, self.n_rows, replace=False)))

    @cached_property
    def _sample(self):
        """The sample in the metric's coordinates, and the rows' shares of the weight."""
        problem, rows = self.objective.problem, self._rows
        weights = problem.row_weights(rows)
        shares = weights / max(weights.sum(), np.finfo(float).tiny)
        return problem.scaled_rows(rows, *self._mean_and_scale), shares

    @property
    def _mean_and_scale(self):
        metric = self.objective.metric
        size = np.sqrt(self.objective.smoothness[0] * metric.unit[0])
        return metric.mean, size * metric.inverse[0]

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
            v = sample.transposed_times(weights * sample.times(v)) + self._penalty * v
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
        single = 2.0 * float(weights @ sample.squared_norms()) + float(self._penalty.max())
        return max(single, self._largest) or 1.0

    @cached_property
    def single(self):
        largest = self.objective.problem.largest_weighted_norm(*self._mean_and_scale)
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
        found, curvature, seen = 0.0, 0.0, sample.density()
        for batch in np.array_split(order, -(-len(order) // batch_length))[:BATCHES]:
            rows, shares = sample.take(batch), weights[batch] / weights[batch].sum()
            _, *gradients = self.objective.problem.losses_and_gradients(
                *self.start, subset=np.sort(self._rows[batch])
            )
            often = 1.0 - (1.0 - seen) ** len(batch)
            for gradient in metric.gradient(*gradients, np.zeros(gradients[0].shape)):
                # What is rounding has no sign: at the best constant the intercept's gradient is.
                gradient[np.abs(gradient) <= ROUNDING * np.abs(gradient).max()] = 0.0
                move = np.sign(gradient) / np.sqrt(np.maximum(often, second_moment_window))
                found += gradient @ move
                curvature += shares @ rows.times(move) ** 2 + self._penalty @ move**2
        return found / curvature if curvature > 0.0 else 1.0
