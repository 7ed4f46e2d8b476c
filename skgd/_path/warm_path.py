"""Fits along falling alphas, each from where the last one ended.

Piecewise-linear losses take the dual variables of the rows from one alpha to the next (see
`dual_coordinate_descent`), or the coefficients as the start of an interior point method. Working
sets start from the coefficients, which are the working set. Near its start a descent ends just
below what it is asked for: `share` makes up for that where the loss is smooth.
"""

from dataclasses import dataclass, replace

from skgd._fit.run import Run
from skgd._fit.state import FitState
from skgd._path.costs import NewtonPathLimits as Limits
from skgd._solvers import auto, dual_coordinate_descent, interior_point, working_sets


@dataclass(frozen=True, eq=False)
class End:
    """Where a fit ended.

    Attributes
    ----------
    alpha : float
    model : tuple
        Its coefficients and intercepts.
    solution : Solution or None
        With the dual variables of the rows, or an iterate of an interior point method.
    """

    alpha: float
    model: tuple
    solution: object


def suits(run):
    """Tell whether a fit gains by a start near its minimum."""
    if run.plan.optimizer is not None or not run.settings.alpha > 0.0:
        return False
    solver = auto.choose(run.objective)
    return solver in (dual_coordinate_descent, interior_point) or (
        solver is working_sets and run.objective.proximal
    )


def fit(settings, targets, sample, last=None):
    """Return the run of a fit, the model that it keeps, and its `End`.

    Parameters
    ----------
    settings : Settings
    targets : Targets
    sample : Sample
    last : End or None
        That of the fit for another alpha.
    """
    previous, known = None, None
    if last is not None:
        previous = last.model
        known = None if last.solution is None else (last.solution, settings.alpha / last.alpha)
        if settings.loss.smooth or known is not None and last.solution.interior is not None:
            settings = replace(settings, tol=Limits.share * settings.tol)
    state = FitState.empty(sample.X.shape[1], targets.n_outputs)
    run = Run(settings, targets, sample, state, previous=previous)
    coef, intercept, _ = run.kept(*run.descend(known))
    return run, (coef, intercept), End(settings.alpha, (coef, intercept), run.solution)
