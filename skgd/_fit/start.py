"""Where a run starts: at zero, at random, at coefficients that are given, or where a fit ended."""

import numpy as np

from skgd._utils.checks import given_start


def has_link(loss, n_outputs):
    """Tell whether a margin of zero stands for another prediction, as with the log link."""
    return bool(np.any(loss.predictions(np.zeros((1, n_outputs))) != 0.0))


def only_zeros(settings, moments, n_outputs):
    """Return for which outputs all targets so far put the minimum at an intercept of -inf."""
    zeros = (moments.mean == 0.0) & (moments.weight > 0.0)
    if settings.task == "regression" and zeros.any():
        return zeros & has_link(settings.loss, n_outputs)
    return np.zeros(n_outputs, dtype=bool)


def target_noise(settings, moments, n_outputs):
    """Return the targets' variance in squares of their mean, for losses with a link; else 0.

    So long are the steps of single rows with a log link, where others have at most 1.
    """
    is_linked = settings.task == "regression" and has_link(settings.loss, n_outputs)
    seen = moments.mean > 0.0
    if not is_linked or not np.any(seen):
        return 0.0
    return float((moments.variance(about_mean=True)[seen] / moments.mean[seen] ** 2).max())


def make_start(settings, objective, constant, generator, *, previous, is_partial, preconditioned):
    """Return the coefficients and intercepts to start from.

    Parameters
    ----------
    settings : Settings
    objective : Objective
    constant : array of shape (n_outputs,)
        The best intercepts without coefficients.
    generator : callable
        Returns the random generator of the run.
    previous : tuple or None
        The model of an earlier call to continue from.
    is_partial, preconditioned : bool
    """
    k, d = objective.problem.k, objective.problem.d
    if previous is not None:
        return given_start(previous, k, d, settings.fit_intercept)
    if not (isinstance(settings.init, str) and settings.init in ("zeros", "random")):
        return given_start(settings.init, k, d, settings.fit_intercept)
    # Where descent is free of scales, targets far from zero are no harder than others. A stream's
    # first rows may lack a class, and a hinge may be just at its kink.
    is_automatic = settings.has_automatic_rate and not is_partial and settings.loss.smooth
    is_centred = preconditioned and (is_automatic or settings.task == "regression")
    intercept, coef = constant.copy() if is_centred else np.zeros(k), np.zeros((k, d))
    if settings.init == "random":
        u = 0.1 * generator().normal(size=objective.shape)
        coef = objective.metric.to_raw(u)[0]
    return coef, intercept


def restarted(settings, coef, intercept, outputs, state):
    """Return a start in which outputs that have known only zeros start again.

    Parameters
    ----------
    outputs : bool array of shape (n_outputs,)
    state : FitState
        Changed in place.
    """
    coef[outputs] = 0.0
    if settings.fit_intercept:
        means = state.target_moments.mean[None, outputs]
        intercept[outputs] = settings.loss.best_constant(means, np.ones(1))
    if state.steps is not None:
        state.steps.state[outputs] = 0.0
        if hasattr(state.schedule, "begin_again"):
            state.schedule.begin_again(state.steps.t)
        elif settings.has_automatic_rate:
            state.schedule = None
    return coef, intercept
