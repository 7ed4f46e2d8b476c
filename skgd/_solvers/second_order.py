"""Newton's method with its warm starts and its checks.

Many rows are sampled for the start. Where too many rows are so far from their targets that the
Hessian does not see them, L-BFGS continues. Where a duality gap is cheap, it distinguishes plateaus
from the minimum.
"""

import numpy as np

from skgd._descent.full_batch import train_full_batch
from skgd._descent.solution import Solution, Stop
from skgd._objective.smoothing import smoothing_path
from skgd._solvers import duality_gap, newton, preconditioned_lbfgs
from skgd._solvers.costs import Auto, Gap, LBFGSStart, Work
from skgd._solvers.hessian import products_go_first
from skgd._solvers.hessian_cost import hessian_work, is_factorised_cheaply, passes_per_hessian
from skgd._solvers.newton import Newton
from skgd._solvers.preconditioned_lbfgs import PreconditionedLBFGS
from skgd._solvers.warm_start import GradientStart, descend_on_subsamples
from skgd.optimizers import LBFGS


def suits(objective):
    """Tell whether Newton's method can minimise an objective without smoothing."""
    return newton.suits(objective) and len(smoothing_path(objective)) == 1


def cost(objective):
    """Return about how many multiplications the descent takes."""
    work = hessian_work(objective) / LBFGSStart.as_fast
    products = Work.products * Work.of_pass(objective)
    steps = Work.exact_steps if objective.loss.constant_hessian else Work.newton_steps
    return steps * min(work, products)


def minimise(objective, x, history, *, reported=None, enough=0.0, confirm=None, on_path=False):
    """Return the `Solution` of a descent from x; see `auto.solve` and `train_full_batch`.

    Parameters
    ----------
    reported : Objective or None
        That of which the objective is a smoothed one.
    enough : float
        What `tol` would be if it were only to end this descent, on the way to another one.
    confirm : callable or None
        Tells whether a point at which the gradient says "tol" is near the minimum.
    on_path : bool
        Whether the loss is one of a smoothing path.
    """
    solver = Newton(gradually=enough > 0.0)
    if not history.n_iter:
        x = _warm_start(solver, objective, x, history, reported)
        if history.has_failed:
            return Solution(x)
        history.resume()
    if not on_path and preconditioned_lbfgs.suits(objective):
        start = PreconditionedLBFGS()
        x = train_full_batch(start, objective, x, history, confirm=confirm)
        if history.stop is not None:
            return Solution(x)
        solver.decrement = start.decrement
    x = train_full_batch(
        solver, objective, x, history, reported=reported, enough=enough, confirm=confirm
    )
    hessian = solver.hessian if objective.loss.constant_hessian else None
    solution = Solution(x, hessian=hessian)
    if solver.misses_null_space:
        x = train_full_batch(LBFGS(), objective, x, history, reported=reported)
        solution = Solution(x, hessian=hessian)
    elif not on_path and history.stop == Stop.TOL:
        solution = _leave_plateau(objective, solution, solver, history)
    history.finish(Stop.PRECISION)
    return solution


def _warm_start(newton, objective, x, history, reported):
    """Return a point that cheaper steps than Newton's lead to, and ready them for it."""
    start_value = float(objective.metric.unit @ history.baseline.objectives)
    x, newton.hessian = descend_on_subsamples(objective, x, start_value)
    passes = passes_per_hessian(objective)
    if newton.hessian is None and passes and not preconditioned_lbfgs.suits(objective):
        start = GradientStart(passes)
        x = train_full_batch(
            start, objective, x, history, reported=reported, enough=LBFGSStart.near
        )
        newton.decrement = start.decrement
        newton.products_first = not (start.is_slow and is_factorised_cheaply(objective))
    if newton.hessian is None and products_go_first(objective):
        newton.products_first = True
    return x


def _leave_plateau(objective, solution, solver, history):
    """Descend on, as long as a bound on the minimum says that it is far from the last iterate.

    Where few rows are far longer than the others, Newton's method crosses plateaus that look like
    the minimum: along those rows nothing else is seen until the loss has no curvature there. A
    bound takes what a step takes, or nothing where that of the last step is good enough.
    """
    if objective.loss.constant_hessian or not duality_gap.knows_conjugate(objective.loss):
        return solution
    cheap, hessian = duality_gap.work(objective) <= Gap.affordable, solver.hessian
    # The Hessian of a sample is exact for the sample alone.
    known = hessian is not None and hessian.objective.problem.n == objective.problem.n
    if not cheap and not (known and hessian.is_exact):
        return solution
    start_value = float(objective.metric.unit @ history.baseline.objectives)
    bound, x = duality_gap.LowerBound(objective), solution.x
    if known and solver.whole_step is not None:
        bound.improve(hessian.dual_point(solver.whole_step), np.abs(x).reshape(objective.shape))
        bound.is_tight = _is_near(bound, objective, x, history, start_value)
        if bound.is_tight:
            return Solution(x, lower_bound=bound)
    share = max(Auto.left * history.tol**2, Auto.no_plateau)
    observe = duality_gap.observer(
        bound, Gap.steps, near=lambda value: share * (start_value - value)
    )
    solver, looks = Newton(observe), []
    # A first look, of which the history need not hear: most often no step follows.
    solver.solve(objective, x, lambda *_: looks.append(x) or len(looks) > 1)
    if len(looks) > 1:
        history.resume()
        x = train_full_batch(solver, objective, x, history, ignores_tol=True)
        history.finish(Stop.TOL)
    return Solution(x, lower_bound=bound)


def _is_near(bound, objective, x, history, start_value):
    """Tell whether a bound on the minimum is as near as `tol` lets the descent end."""
    value = objective.at(x).value + objective.nonsmooth_value(x)
    gap = value - float(bound.units @ (bound.lower - bound.rounding))
    return gap <= max(history.tol**2, Auto.no_plateau) * (start_value - value)
