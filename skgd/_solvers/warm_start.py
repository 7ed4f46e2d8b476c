"""A start from growing samples of the rows: most of the way costs less than one pass over all.

The minimum over a sample is as far from that of all rows as its size makes it, so each sample is
descended no further than that, and the last steps alone see all rows.

References
----------
Agarwal, Chapelle, Dudik and Langford, A reliable effective terascale linear learning system, 2014.
"""

from dataclasses import replace

import numpy as np

from skgd._engine import Problem
from skgd._solvers.hessian import factorised_size
from skgd._solvers.newton import Newton, evaluate

# Rows of the first sample per parameter of a Hessian, and at least; growth from one to the next.
ROWS_PER_PARAMETER, LEAST_ROWS, GROWTH = 10, 512, 8
# Numbers of X in the largest sample: it is a copy.
MOST_NUMBERS = 2**22
# The squared gradient length, as a share of what a sample's descent has brought, that ends it.
ENOUGH = 1e-2
# Steps on one sample: where its minimum is at infinity there are no better ones.
STEPS = 30


def descend_on_samples(objective, loss, X, x, worth):
    """Return parameters nearer to the minimum, and the curvature that led there.

    They are x and None where samples say too little about all rows.

    Parameters
    ----------
    objective : Objective
    loss : Loss
        Smooth, with second derivatives.
    X : array or CSR matrix of shape (n_samples, n_features)
    x : array of shape (n_parameters,)
    worth : float
        The objective at x, in the units of the metric.
    """
    start, n_parameters = x, factorised_size(objective, loss)[0]
    if loss.constant_hessian or not n_parameters or objective.raw(x)[0].any():
        return x, None
    sizes = _sizes(objective.problem, n_parameters)
    rows = _shuffled_rows(objective.problem, sizes[-1]) if sizes else None
    for size in sizes:
        some = np.sort(rows[:size])
        part = X[some]
        newton = Newton(loss, part)
        x = newton.solve(_restricted(objective, loss, part, some), x, _ends())
    objective.keeps_margins = True
    if x is start or evaluate(objective, x)[0] >= worth:
        return start, None
    return x, newton.curvature


def _sizes(problem, n_parameters):
    """Return the sizes of the samples in rising order."""
    weights, least = problem.weights, max(LEAST_ROWS, ROWS_PER_PARAMETER * n_parameters)
    n_rows = problem.n if weights is None else np.count_nonzero(weights)
    size, sizes = min(n_rows // GROWTH, int(MOST_NUMBERS / problem.rows.row_nnz)), []
    while size >= least:
        sizes.append(size)
        size //= GROWTH
    return sizes[::-1]


def _shuffled_rows(problem, size):
    """Return rows with weight in random order."""
    rows = problem.n if problem.weights is None else np.flatnonzero(problem.weights)
    return np.random.default_rng(0).choice(rows, size, replace=False)


def _restricted(objective, loss, X, rows):
    """Return the objective of some rows alone, in the same metric."""
    problem = objective.problem
    weights = None if problem.weights is None else problem.weights[rows]
    part = Problem(X, problem.targets[rows], weights, loss.compiled(problem.k), problem.k)
    return replace(objective, problem=part, latest=None)


def _ends():
    """Return a monitor that ends a descent where its sample has told what it can."""
    first, left = None, STEPS

    def monitor(x, value, gradient, step, decrement):
        nonlocal first, left
        if first is None:
            first = value
            return False
        left -= 1
        return left <= 0 or decrement <= ENOUGH * (first - value)

    return monitor
