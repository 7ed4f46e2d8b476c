"""What a fit warns of when it has ended: what its user could not see otherwise."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skgd.optimizers import make_optimizer
from skgd.record import warn_diverged

# A run of steps that stopped falling warns where more than this share of what the objective has
# fallen may be missing.
FAR = 0.05
# A squared gradient above this share of the best constant model's objective is no rounding.
STEEP = 1e-6


def tell(estimator, run, model):
    """Warn of what the user should know of a run.

    Parameters
    ----------
    estimator : BaseGD
        Fitted.
    run : Run
    model : tuple
        The coefficients and intercepts that the estimator keeps.
    """
    record = run.record
    _tell_of_columns(estimator, run)
    if run.without_minimum(*model):
        warnings.warn(
            f"alpha={estimator.alpha!r} and penalty={estimator.penalty!r}: the classes can be "
            "separated without an error, so the minimum is at infinite coefficients, which are "
            "large here and would grow with max_iter; pass a penalty with alpha > 0.",
            ConvergenceWarning,
        )
    elif record.stop_reason == "diverged":
        names = getattr(estimator, "feature_names_in_", None)
        warn_diverged(record, run.place(), run.remedy(names), estimator.on_divergence)
    elif record.stop_reason == "max_iter" and record.tol is not None:
        _tell_of_more_epochs(estimator, run.plan)
    elif record.stop_reason == "precision":
        _tell_of_a_slope(estimator, run)
    elif run.in_doubt:
        _tell_of_what_is_missing(estimator, run, model)
    elif run.may_be_far:
        _tell_of_a_plateau(estimator, run)


def _tell_of_columns(estimator, run):
    beyond = np.flatnonzero(run.objective.metric.beyond)
    if beyond.size:
        columns = getattr(estimator, "feature_names_in_", np.arange(run.problem.d))[beyond]
        warnings.warn(
            f"X: squares of the numbers in the columns {columns.tolist()} are beyond the range "
            "of doubles, so these columns were left out: multiply or divide them by a power of "
            "ten.",
            UserWarning,
        )


def _tell_of_more_epochs(estimator, plan):
    if plan.takes_steps and plan.schedule.ran_to_its_end(estimator.t_):
        return
    rate_given = plan.takes_steps and not isinstance(estimator.learning_rate, str)
    advice = ", or learning_rate='auto'" if rate_given else ""
    warnings.warn(
        f"max_iter={estimator.max_iter} was reached before tol={estimator.tol}: pass a larger "
        f"max_iter or tol{advice}.",
        ConvergenceWarning,
    )


def _tell_of_a_slope(estimator, run):
    slope = estimator.history_["gradient_norm"][-1]
    worth = run.record.worth(run.objective.metric.unit)
    smooth = run.loss.smooth and not run.objective.proximal
    if smooth and slope**2 > STEEP * worth:
        warnings.warn(
            f"No step lowers the objective, and yet its gradient has the length {slope:.2g} in "
            "the metric: check the gradients of the loss and the penalty, or set smooth = "
            "False in a loss with kinks.",
            ConvergenceWarning,
        )


def _tell_of_what_is_missing(estimator, run, model):
    fallen = run.record.constant_objective - estimator.history_["objective"][-1]
    above, missing = "up to", estimator.optimality_
    if not np.isfinite(missing):
        above, missing = "at least", run.further_fall(*model)
    if missing > FAR * max(fallen, 0.0) + run.negligible:
        warnings.warn(
            f"The objective stopped falling (tol={estimator.tol}, n_iter_no_change="
            f"{estimator.n_iter_no_change}) {above} {missing:.2g} above its minimum, after a fall "
            f"of {fallen:.2g}: pass {_closer(estimator, run.plan)}.",
            ConvergenceWarning,
        )


def _closer(estimator, plan):
    """Say what brings a run of steps closer to the minimum and is not set already."""
    advice = [] if len(plan.bounds) == 2 else ["a larger batch_size"]
    advice.append("a smaller tol")
    if make_optimizer(estimator.optimizer) is not None:
        advice.append("optimizer='auto'")
    elif not isinstance(estimator.batch_size, str):
        advice.append("batch_size='auto'")
    return ", or ".join(filter(None, (", ".join(advice[:-1]), advice[-1])))


def _tell_of_a_plateau(estimator, run):
    fallen = run.record.constant_objective - estimator.history_["objective"][-1]
    share, missing = max(FAR, estimator.tol or 0.0), estimator.optimality_
    if missing > share * max(fallen, 0.0) + run.negligible:
        warnings.warn(
            f"The objective stopped falling at {estimator.history_['objective'][-1]:.3g}, after a "
            f"fall of {fallen:.2g}, and may be up to {missing:.2g} above its minimum: pass a "
            "larger alpha, or X without values that are far larger than the others of their "
            "columns, as a QuantileTransformer makes it.",
            ConvergenceWarning,
        )
