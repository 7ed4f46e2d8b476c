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
    dual : DualPoint or None
        The dual variables of the rows.
    """

    alpha: float
    model: tuple
    dual: object


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
    previous, dual = None, None
    if last is not None:
        previous = last.model
        dual = None if last.dual is None else (last.dual, settings.alpha / last.alpha)
        if settings.loss.smooth:
            settings = replace(settings, tol=Limits.share * settings.tol)
    state = FitState.empty(sample.X.shape[1], targets.n_outputs)
    run = Run(settings, targets, sample, state, previous=previous)
    coef, intercept, _ = run.kept(*run.descend(dual))
    found = None if run.solution is None else run.solution.dual
    return run, (coef, intercept), End(settings.alpha, (coef, intercept), found)
