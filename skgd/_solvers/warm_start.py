"""Warm starts: most of the way to the minimum for less than one step of Newton's method.

On growing samples of the rows: the minimum over a sample is as far from that over all rows as the
size of the sample makes it, so each sample is descended no further than that, and only the last
steps see all rows.

By L-BFGS, where a Hessian costs as much as many passes. The squared gradient falls by a rate that
the last steps show. The start ends as soon as it would not fall far enough, at that rate, within
the passes that a few Hessians cost; Newton's method then factorises its Hessian, unless that takes
longer than to compute it. Where the gradient is small, and little decrease is left at the rate of
the last steps, the start has reached the minimum. Otherwise Newton's method solves its systems by
products with the Hessian, as long as few of them are enough.

References
----------
Agarwal, Chapelle, Dudik and Langford, A reliable effective terascale linear learning system, 2014.
Nocedal and Wright, Numerical Optimization, 2006, chapter 7.
"""

from dataclasses import replace

import numpy as np

from skgd._solvers.costs import LBFGSStart as Limits
from skgd._solvers.costs import SubsampleStart
from skgd._solvers.hessian_cost import factorised_size
from skgd._solvers.limited_memory import LimitedMemory
from skgd._solvers.newton import Newton, evaluate, long_line_search
from skgd._utils.linalg import one_thread
from skgd.optimizers import FullBatchOptimizer


def descend_on_subsamples(objective, x, start_value):
    """Return parameters nearer to the minimum, and the Hessian that led there.

    They are x and None where samples say too little about all rows.

    Parameters
    ----------
    objective : Objective
        Smooth, with second derivatives.
    x : array of shape (n_parameters,)
    start_value : float
        The objective at x, in the units of the metric.
    """
    start, n_parameters = x, factorised_size(objective)[0]
    if objective.loss.constant_hessian or not n_parameters or objective.raw(x)[0].any():
        return x, None
    sizes = _sample_sizes(objective.problem, n_parameters)
    if sizes:
        rows = _random_rows(objective.problem, sizes[-1])
        numbers = np.sort(rows)
        largest = objective.problem.take(numbers)
    for size in sizes:
        # The smaller samples are parts of the largest one, whose rows are fetched once.
        is_part = size < len(numbers)
        chosen = np.searchsorted(numbers, np.sort(rows[:size])) if is_part else None
        sample = largest.take(chosen) if is_part else largest
        newton = Newton()
        x = newton.solve(replace(objective, problem=sample), x, _ends())
    if x is start or evaluate(objective, x)[0] >= start_value:
        return start, None
    return x, newton.hessian


def _sample_sizes(problem, n_parameters):
    """Return the sizes of the samples in rising order."""
    least = max(SubsampleStart.least_rows, SubsampleStart.rows_per_parameter * n_parameters)
    size = problem.n_weighted // SubsampleStart.growth
    size = min(size, int(SubsampleStart.most_numbers / problem.width))
    sizes = []
    while size >= least:
        sizes.append(size)
        size //= SubsampleStart.growth
    return sizes[::-1]


def _random_rows(problem, size):
    """Return the numbers of some rows with weight, in random order."""
    chosen = np.random.default_rng(0).choice(problem.n_weighted, size, replace=False)
    return problem.row_numbers(chosen)


def _ends():
    """Return a monitor that ends a descent where its sample has told what it can."""
    first, left = None, SubsampleStart.steps

    def monitor(x, value, gradient, length, decrement):
        nonlocal first, left
        if first is None:
            first = value
            return False
        left -= 1
        return left <= 0 or decrement <= SubsampleStart.enough * (first - value)

    return monitor


def decrease_left(values, window):
    """Return the decrease that is left at the rate of the last steps, and the logarithmic rate.

    It is the last decrease, and the rate 0, where decreases do not become smaller.

    Parameters
    ----------
    values : list of float
        The objective after each step.
    window : int
        The steps over which a rate is taken, at most.
    """
    window = min(window, (len(values) - 1) // 2)
    if window < 2:
        return 0.0, 0.0
    last, before = values[-1 - window] - values[-1], values[-1 - 2 * window] - values[-1 - window]
    if not 0.0 < last < before:
        return max(last, 0.0), 0.0
    return last * last / (before - last), np.log(before / last) / window


class GradientStart(FullBatchOptimizer):
    """L-BFGS as long as it leads on.

    Parameters
    ----------
    passes : float
        The passes that cost as much as a Hessian.

    Attributes
    ----------
    is_slow : bool
        Whether the last descent ended because it would take too many passes.
    decrement : float or None
        How far the minimum is from where the last descent ended.
    """

    def __init__(self, passes):
        self.passes, self.is_slow, self.decrement = passes, False, None

    def solve(self, objective, x, monitor):
        first = objective.passes
        most = min(Limits.hessians * self.passes, Limits.most_passes)
        squares, values = [], []

        def ends(x, value, gradient, length):
            squares.append(float(gradient @ gradient))
            values.append(value)
            used = objective.passes - first
            self.is_slow = used + self._passes_left(squares, used) > most
            self.decrement = max(squares[-1], 2.0 * decrease_left(values, Limits.steps)[0])
            return monitor(x, value, gradient, length, self.decrement) or self.is_slow

        with one_thread():
            return self._descend(objective, x, ends)

    @staticmethod
    def _descend(objective, x, ends):
        # Each axis has curvature 1, and the p of them that n rows span have p / n on average.
        n, p = objective.problem.n, objective.shape[1]
        memory, length = LimitedMemory(Limits.memory, min(n / p, 1.0)), 1.0
        value, gradient = evaluate(objective, x)
        while not ends(x, value, gradient, length):
            step = memory.direction(gradient)
            length, point = long_line_search(
                objective, x, value, gradient, step, -float(gradient @ step)
            )
            if length == 0.0:
                break
            memory.add(point[0] - x, gradient, point[2])
            x, value, gradient = point
        return x

    @staticmethod
    def _passes_left(squares, used):
        """Return how many passes the squared gradient will take to its goal at its last rate."""
        if len(squares) <= Limits.steps or not squares[-1] > 0.0:
            return 0.0
        rate = np.log(squares[-1 - Limits.steps] / squares[-1]) / Limits.steps
        distance = np.log(squares[-1] / (Limits.enough * squares[0]))
        if distance <= 0.0:
            return 0.0
        return distance / rate * used / (len(squares) - 1) if rate > 0.0 else np.inf


def no_worse_than(baseline, objective, x):
    """Return a start, or the best constant model for outputs at which that one is better.

    The minimum of a convex loss is the same from everywhere, but its slopes far away may have no
    curvature.

    Parameters
    ----------
    baseline : Baseline
    objective : Objective
    x : array of shape (n_parameters,)
    """
    coef, intercept = objective.raw(x)
    if not coef.any() or baseline.is_homogeneous or not objective.loss.convex:
        return x
    values = objective.with_penalty(objective.at(x).losses, coef)
    worse = ~(values <= baseline.objectives)
    if objective.problem.is_multiclass:
        worse[:] = not values.sum() <= baseline.objective
    if not worse.any():
        return x
    constant = baseline.model
    return objective.parameters(
        np.where(worse[:, None], constant[0], coef), np.where(worse, constant[1], intercept)
    )
