"""Smoothing: a non-smooth loss as the limit of a sequence of smooth ones.

A kink of the loss is rounded over a width, and the width falls tenfold from one loss to the next,
each started at the minimum of the one before.

References
----------
Nesterov, Smooth minimization of non-smooth functions, 2005.
"""

from dataclasses import replace

from skgd._objective.smoothing import smoothing_path
from skgd._solvers import duality_gap, first_order, newton, second_order, working_sets
from skgd._solvers.costs import Auto


def suits(objective):
    """Tell whether an objective has smoothed ones."""
    return len(smoothing_path(objective)) > 1


def cost(objective):
    """Return about how many multiplications the descent takes."""
    path = _objectives(objective)
    return sum(_solver(objective, smoothed).cost(smoothed) for smoothed in path)


def minimise(objective, x, history):
    """Return the `Solution` of descents along the smoothing path from x; see `auto.solve`."""
    *path, last = _objectives(objective)
    for smoothed in [*path, last]:
        history.resume()
        options = {} if smoothed.loss is objective.loss else {"reported": objective}
        solver = _solver(objective, smoothed)
        bound = None
        if smoothed is not last:
            options["enough"] = Auto.smoothed_tol
        elif not objective.loss.smooth or solver is not second_order and smoothed.proximal:
            bound, options["confirm"] = duality_gap.confirmation(
                objective, history, smoothed.loss
            )
        if solver is second_order:
            options["on_path"] = True
        solution = solver.minimise(smoothed, x, history, **options)
        x = solution.x
        if history.has_failed:
            break
    return solution if bound is None else replace(solution, lower_bound=bound)


def _objectives(objective):
    """Return the objective with the losses of its smoothing path."""
    return [
        objective if loss is objective.loss
        else replace(objective, problem=objective.problem.with_loss(loss))
        for loss in smoothing_path(objective)
    ]  # fmt: skip


def _solver(objective, smoothed):
    """Return the solver of a smoothed objective."""
    solvers = [second_order] if newton.suits(smoothed) else []
    # Kinks that are rounded over little have too much curvature for coordinate descent.
    if objective.loss.smooth and working_sets.has_columns(smoothed):
        solvers.append(working_sets)
    return min(solvers, key=lambda solver: solver.cost(smoothed), default=first_order)
