"""The rate of a step rule where the user gave none: from the data, then from the descent itself."""

from functools import cached_property

import numpy as np
from scipy import sparse

from skgd._engine import value_and_gradient
from skgd.schedules import Schedule

# The share of its first rate with which a step rule goes on after another optimizer's fit.
REFINED = 0.03
# What an automatic rate grows by in an epoch that is the best so far.
GROWTH = 1.2
# The last share of a run, in which an automatic rate falls to zero.
ENDING = 0.2
# A rate is halved after as many epochs, and memories of its rule, without a new least objective.
FLAT_EPOCHS, FLAT_MEMORIES = 4, 2
# A fall by less than this share of the objective may be rounding, which must not decide on a rate.
TOLD = 1e-12
# An objective is back at the least one within this share of the possible decrease.
NEAR = 0.01
# Cuts in a row after which the objective will not come back: then it was not noise.
IN_VAIN = 8
# A rate that was cut to this share of its first value will not do.
HOPELESS = 1e-9
# The share of the largest gradient below which another is rounding.
ROUNDING = 1e-12
# Batches on which the step along the signs of a gradient is measured.
BATCHES = 8
# A stream's rate begins to fall after as many steps, and rows for each parameter; see
# examples/benchmarks/streams.py: 5 learns 100 columns as fast as 20, with a third of the noise.
STREAM_STEPS, STREAM_ROWS = 50.0, 5.0
# The least share of its first rate with which a stream goes on. On 1e5 rows that turn their
# coefficients by 3 radians, R2 is 0.980 with it and 0.970 without.
LEAST_SHARE = 0.01
# Rows from which deviations are known well enough for full steps: of two rows some column has next
# to none. Without it, R2 of 100 columns, one row a call, is 0.29 after 200 rows instead of 0.8.
SURE_ROWS = 16


class Decaying(Schedule):
    """The automatic rate of a step rule on a stream: ``rate / (1 + (t - first) / steps)^power``.

    The first rows tell little of those to come, so that the rate is estimated anew each time that
    the rows have doubled.
    """

    partial = True
    rate = 0.0
    noise = 1.0
    factor = 1.0
    estimated_at = 0

    def __init__(self, first, share):
        self.first = first
        self.share = share

    def estimate(self, optimizer, curvatures, plan, n_rows, noise):
        """Estimate the rate after a number of rows, where it is time to.

        Parameters
        ----------
        optimizer : Optimizer
        curvatures : Curvatures
            Those of the stream so far.
        plan : Plan
        n_rows : int
        noise : float
            What makes the steps of single rows longer than the curvature tells.
        """
        if optimizer.reach is None:
            self.noise = 1.0 + noise / plan.batch_length
        if n_rows < 2 * self.estimated_at:
            return
        self.estimated_at = n_rows
        rate, self.power = optimizer.automatic_rate(np.inf, plan.batch_length, curvatures)
        # Of a step along the signs, few rows may see nothing.
        if optimizer.reach is not None:
            # Steps along the signs have no curvature to follow: with the whole power, R2 of 10
            # columns is 0.76 after 1000 rows instead of 0.87.
            self.power *= 0.5
        rate *= self.share * min(1.0, n_rows / SURE_ROWS)
        self.rate = rate if optimizer.reach is None else max(rate, self.rate)
        rows = STREAM_ROWS * curvatures.typical
        self.steps = max(STREAM_STEPS, rows / plan.batch_length)

    def begin_again(self, t):
        """Let the rate fall from the step t on, as from the first."""
        self.first, self.estimated_at = t, 0

    def rates(self, t):
        fallen = (1.0 + (np.asarray(t) - self.first) / self.steps) ** -self.power
        return self.factor * self.rate / self.noise * np.maximum(fallen, LEAST_SHARE)

    def recover(self, diverged):
        if self.factor < HOPELESS or not diverged:
            return False
        self.factor /= 4
        return True


class _Watched(Schedule):
    """The automatic rate of a step rule in a fit, which watches the objective.

    It grows with each epoch that is the best so far, and is halved where the objective has stopped
    falling: so it stays as long as noise and curvature allow, which is what columns that depend on
    one another need. It is cut to a quarter where the descent has exploded and begins again, and
    falls to zero, in a line, in the last part of the run.

    Parameters
    ----------
    rate : float
        The first rate.
    decays : bool
        Whether the rule needs a rate that falls; otherwise it is cut after explosions alone.
    memory : float
        The steps for which the rule goes on along a gradient: before they are over, nothing tells
        what a rate does.
    best : float
        The least objective so far.
    highest : float
        The objective of the best constant model.
    """

    partial = False
    factor = 1.0
    waited = 0
    in_vain = 0
    far = False

    def __init__(self, rate, decays, memory, best, highest):
        self.rate = rate
        self.decays = decays
        self.memory = memory
        self.best = best
        self.highest = highest

    def rates(self, t):
        rate = self.rate * self.factor
        if not (self.decays and self.total_steps):
            return np.full(len(t), rate)
        left = (self.total_steps - np.asarray(t)) / (ENDING * self.total_steps)
        return rate * np.clip(left, 0.0, 1.0)

    @property
    def _memory(self):
        """The epochs for which the rule goes on along a gradient, at least one."""
        return max(1.0, self.memory / self.steps_per_epoch)

    def observe(self, objective):
        if objective < self.best - TOLD * abs(self.best):
            self.best, self.waited, self.in_vain, self.far = objective, 0, 0, False
            if self.decays:
                self.factor *= GROWTH ** (1.0 / np.sqrt(self._memory))
            return
        self.waited += 1
        self.far = not objective - self.best <= NEAR * (self.highest - self.best)
        if self.waited >= max(FLAT_EPOCHS, FLAT_MEMORIES * self._memory) and self.decays:
            self.factor, self.waited, self.in_vain = self.factor / 2, 0, self.in_vain + 1

    def recover(self, diverged):
        # Before its memory is over a rule may come back by itself.
        if self.factor < HOPELESS or not (diverged or self.waited >= self._memory):
            return False
        self.factor, self.waited = self.factor / 4, 0
        return True

    def settled(self, t):
        # A stall says something where it outlasts two cuts, or where nothing rose at all.
        calm = self.in_vain >= 2 or not (self.in_vain or self.waited)
        return not self.decays or (calm and not self.far) or self.in_vain >= IN_VAIN

    def ran_to_its_end(self, t):
        return False


def automatic_schedule(optimizer, objective, X, plan, start, steps, record, *, trained):
    """Return a schedule for a step rule whose rate comes from the data.

    A model that is trained already is only refined.
    """
    share = REFINED if trained else 1.0
    if record.partial:
        return Decaying(steps.t, share)
    curvatures = Curvatures(objective, X, plan, start, steps.generator)
    rate, power = optimizer.automatic_rate(plan.bounds[-1], plan.batch_length, curvatures)
    rate *= share
    return _Watched(
        rate, power > 0, optimizer.memory, record.best_objective, record.ceiling
    )


def made_from(state):
    """Return an automatic schedule of the kind whose state this is, to resume from it."""
    kind = _Watched if "highest" in state else Decaying
    return kind.__new__(kind)


def is_for(schedule, partial):
    """Return whether a schedule goes with a stream, or else with a fit; a user's with both."""
    return getattr(schedule, "partial", partial) == partial


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
        return self.objective.penalty_bend[0]

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
        bends = np.linalg.eigvalsh((rows.T * weights) @ rows + np.diag(self._penalty))
        return float(min(bends[bends > 1e-6 * bends[-1]], default=0.0))

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

    def sign_step(self, batch_length, rarest):
        """Return how far along the signs of a batch's gradient its objective is least.

        Parameters
        ----------
        batch_length : int
        rarest : float
            The least share of the steps for which a rule's mean of squared gradients has a memory:
            in a column that plays a part less and less often, steps get longer down to there.
        """
        (sample, weights), metric = self._sample, self.objective.metric
        order = np.arange(len(weights))
        if batch_length < len(order):
            self.generator.shuffle(order)
        found, bends, seen = 0.0, 0.0, sample.seen()
        for batch in np.array_split(order, -(-len(order) // batch_length))[:BATCHES]:
            rows, shares = sample.only(batch), weights[batch] / weights[batch].sum()
            _, *gradients = value_and_gradient(
                self.objective.problem, *self.start, subset=np.sort(self._rows[batch])
            )
            often = 1.0 - (1.0 - seen) ** len(batch)
            for gradient in metric.gradient(*gradients, 0.0):
                # What is rounding has no sign: at the best constant the intercept's gradient is.
                gradient[np.abs(gradient) <= ROUNDING * np.abs(gradient).max()] = 0.0
                move = np.sign(gradient) / np.sqrt(np.maximum(often, rarest))
                found += gradient @ move
                bends += shares @ rows.times(move) ** 2 + self._penalty @ move**2
        return found / bends if bends > 0.0 else 1.0


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
