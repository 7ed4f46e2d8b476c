"""What ``optimizer="auto"`` stands for: the cheapest solver that suits the objective.

More columns than rows are descended in the span of the rows. Each solver's module says
whether it suits an objective, what it costs (see `costs`), and how it minimises it.
"""

from dataclasses import replace

from skgd._descent.full_batch import enter_end
from skgd._solvers import (
    augmented_lagrangian,
    dual_coordinate_descent,
    duality_gap,
    first_order,
    interior_point,
    row_space,
    second_order,
    smoothing,
    varying_columns,
    working_sets,
)
from skgd._solvers.costs import Compression, Multipliers
from skgd._solvers.warm_start import no_worse_than

SOLVERS = (
    interior_point, dual_coordinate_descent, augmented_lagrangian, second_order, working_sets,
    smoothing, first_order,
)  # fmt: skip

# Those whose steps read single rows or columns, which must be in one place.
LOCAL = dual_coordinate_descent, augmented_lagrangian, working_sets


def choose(objective, without=None):
    """Return the module of the cheapest solver that suits an objective."""
    suitable = [s for s in SOLVERS if s is not without and s.suits(objective)]
    return min(suitable, key=lambda solver: solver.cost(objective))


def solve(objective, x, history, last=None):
    """Descend to the minimum without a learning rate.

    Parameters
    ----------
    objective : Objective
    x : array of shape (n_parameters,)
    history : History
        Gets a row for each iteration, and says when to stop.
    last : tuple or None
        The solution for another alpha, and what alpha is as a share of that one.

    Returns
    -------
    Solution
    """
    objective = replace(objective, keeps_margins=True)
    x = no_worse_than(history.baseline, objective, x)
    part = varying_columns.in_varying_columns(objective)
    if part is None:
        return _solve(objective, x, history, last)
    coef, intercept = objective.raw(x)
    start = part.metric.from_raw(part.of_own_columns(coef), intercept).ravel()
    solution = _solve(part, start, history, last)
    x = objective.metric.from_raw(*part.model(solution.x)).ravel()
    return replace(solution, x=x, objective=solution.objective or part)


def _solve(objective, x, history, last=None):
    """Do as `solve` does with an objective whose columns all count."""
    solver = choose(objective)
    if objective.problem.is_in_blocks and solver in LOCAL:
        objective = replace(objective, problem=objective.problem.gathered)
        solver = choose(objective)
    if solver is not dual_coordinate_descent:
        interior = None if last is None else last[0].interior
        return _solve_otherwise(objective, x, history, solver, interior)
    is_wide = row_space.suits(objective)
    other = None if is_wide else choose(objective, without=dual_coordinate_descent)
    solution = dual_coordinate_descent.minimise(
        objective, x, history, affordable=0.0 if is_wide else other.cost(objective),
        dual=None if last is None or last[0].dual is None else (last[0].dual, last[1]),
    )
    if history.stop is not None:
        return solution
    better = _solve_otherwise(objective, solution.x, history)
    return _better(objective, better, solution, history)


def _solve_otherwise(objective, x, history, solver=None, interior=None):
    """Do as `solve` does, without dual coordinate descent, by a solver that is known or not."""
    reduced = row_space.in_row_space(objective) if row_space.suits(objective) else None
    if reduced is not None:
        solution = _solve_otherwise(reduced, reduced.coordinates(*objective.raw(x)), history)
        x = objective.metric.from_raw(*reduced.coefficients(solution.x)).ravel()
        return replace(solution, x=x, reduced=reduced, objective=None)
    compressed = _compressed(objective)
    if solver is None or compressed is not objective:
        solver = choose(compressed, without=dual_coordinate_descent)
    objective = compressed
    if solver is augmented_lagrangian and interior_point.suits(objective):
        is_tall = objective.problem.n >= Multipliers.tall * objective.shape[1]
        solution = solver.minimise(
            objective, x, history, most_free=1.0 if is_tall else Multipliers.most_free
        )
        if history.stop is None:
            solver = interior_point
            solution = solver.minimise(objective, solution.x, history)
    elif solver is interior_point:
        solution = solver.minimise(objective, x, history, interior=interior)
    else:
        solution = solver.minimise(objective, x, history)
    if solver is interior_point and duality_gap.is_stuck(objective, solution, history):
        history.resume()
        smoothed = smoothing.minimise(objective, solution.x, history)
        solution = replace(
            _better(objective, smoothed, solution, history),
            dual=solution.dual, lower_bound=smoothed.lower_bound,
        )  # fmt: skip
    return replace(solution, objective=objective)


def _better(objective, solution, before, history):
    """Return the better one of a solution and an earlier one, as the end of the descent."""
    values = [objective.values(*objective.raw(s.x))[1].sum() for s in (solution, before)]
    if values[0] <= values[1] or history.has_failed:
        return solution
    enter_end(objective, before.x, history)
    return before


def _compressed(objective):
    """Return the objective over CSR rows where dense ones are mostly zero."""
    problem = objective.problem
    if problem.n * problem.d < Compression.least or problem.is_in_blocks:
        return objective
    compressed = problem.compressed(Compression.share)
    return objective if compressed is problem else replace(objective, problem=compressed)
