"""The schedule of a run: the one of earlier calls, a new one of the user's, or an automatic one."""

import copy

import numpy as np

from skgd._descent.smoothness import Curvatures
from skgd._fit.start import target_noise
from skgd.schedules import as_schedule, same_rates
from skgd.schedules.automatic import is_for


def bound_schedule(run):
    """Return a run's own schedule, which lasts as long as the rate that the user passed.

    Parameters
    ----------
    run : Run
        With steps; its state is changed in place.
    """
    state, plan, rate = run.state, run.plan, run.settings.learning_rate
    steps, history, is_automatic = state.steps, run.history, run.settings.has_automatic_rate
    is_known = state.schedule is not None and same_rates(state.learning_rate, rate)
    is_known = is_known and is_for(state.schedule, run.is_partial)
    if not is_known:
        state.learning_rate = copy.deepcopy(rate)
        state.schedule = (
            run.automatic_schedule(_is_trained(run)) if is_automatic else as_schedule(rate)
        )
    if run.is_partial and is_automatic:
        curvatures = Curvatures(run.objective, plan, run.start, steps.generator, on_stream=True)
        noise = target_noise(run.settings, state.target_moments, run.problem.k)
        state.schedule.estimate(plan.optimizer, curvatures, plan, state.rows, noise)
    if is_known and run.is_partial:
        return state.schedule
    n_batches = len(plan.bounds) - 1
    end = steps.t + n_batches * (run.settings.max_iter - history.n_iter)
    if not (history.n_iter and state.schedule.total_steps == end):
        state.schedule = state.schedule.bound(end, n_batches)
    return state.schedule


def _is_trained(run):
    """Whether the start knows more than the best constant model, which bounds may move."""
    is_known = not np.array_equal(run.start[0], run.history.baseline.model[0])
    return is_known and run.settings.init != "random"
