"""What ``optimizer="auto"`` stands for: the cheapest solver that suits the objective.

More columns than rows are descended in the span of the rows. Each solver's module says for itself
whether it suits an objective, what it costs (see `costs`), and how it minimises it.
"""

from dataclasses import replace

from skgd._solvers import (
    duality_gap,
    first_order,
    interior_point,
    row_space,
    second_order,
    smoothing,
)
from skgd._solvers.costs import Compression

SOLVERS = interior_point, second_order, smoothing, first_order


def choose(objective):
    """Return the module of the cheapest solver that suits an objective."""
    suitable = [solver for solver in SOLVERS if solver.suits(objective)]
    return min(suitable, key=lambda solver: solver.cost(objective))


def solve(objective, x, history):
    """Descend to the minimum without a learning rate.

    Parameters
    ----------
    objective : Objective
    x : array of shape (n_parameters,)
    history : History
        Gets a row for each iteration, and says when to stop.

    Returns
    -------
    Solution
    """
    objective = replace(objective, keeps_margins=True)
    reduced = row_space.in_row_space(objective) if row_space.suits(objective) else None
    if reduced is not None:
        solution = solve(reduced, reduced.coordinates(*objective.raw(x)), history)
        x = objective.metric.from_raw(*reduced.model(solution.x)).ravel()
        return replace(solution, x=x, reduced=reduced, objective=None)
    objective = _compressed(objective)
    solver = choose(objective)
    solution = solver.minimise(objective, x, history)
    if solver is interior_point and duality_gap.is_stuck(objective, solution, history):
        history.resume()
        smoothed = smoothing.minimise(objective, solution.x, history)
        solution = replace(smoothed, dual=solution.dual)
    return replace(solution, objective=objective)


def _compressed(objective):
    """Return the objective over CSR rows where dense ones are mostly zero."""
    problem = objective.problem
    if problem.n * problem.d < Compression.least:
        return objective
    compressed = problem.compressed(Compression.share)
    return objective if compressed is problem else replace(objective, problem=compressed)
