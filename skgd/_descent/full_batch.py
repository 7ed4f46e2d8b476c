"""The outer loop of full-batch optimizers: an iteration is a row of the history, which stops it."""

import numpy as np


def train_full_batch(optimizer, objective, x, record, enough=0.0, confirm=None):
    """Let a full-batch optimizer descend; return the last iterate in the metric's coordinates.

    Parameters
    ----------
    optimizer : FullBatchOptimizer
    objective : Objective
    x : array of shape (n_parameters,)
    record : Record
    enough : float, default=0.0
        What `tol` would be if it were only to end this descent, on the way to another one.
    confirm : callable or None
        Tells of a point at which the gradient says "tol" whether that is so. Where it is not, the
        descent goes on, and asks again once the gradient is half as long.
    """
    last = {"x": x, "first": True, "denied": np.inf}
    unit = objective.metric.unit

    def monitor(x, value, gradient, step, decrement=None):
        coef, intercept = objective.model(x)
        if objective.reported is None:
            point = objective.at(x)
            losses, objectives = point.losses, objective.with_penalty(point.losses, point.raw[0])
        else:
            # In the coordinates of its rows, which `model` may leave.
            losses, objectives = objective.reported.values(*objective.raw(x))
        if decrement is None:
            decrement = objective.decrement(x, gradient)
        first, last["first"], last["x"] = last["first"], False, x.copy()
        if first:
            if not np.isfinite(objectives).all() or np.isnan(decrement):
                raise ValueError(
                    f"At the start of the descent the objective is {objectives.sum():.3g} and the "
                    f"length of its gradient {np.sqrt(decrement):.3g}: pass an init at which both "
                    "are finite, or mend the loss or the penalty."
                )
            record.waited_validation = 0
            stop = record.flat(decrement, unit, objectives)
        else:
            stop = record.add(
                coef, intercept, step=record.n_iter + 1, passes=objective.passes, losses=losses,
                objectives=objectives, decrement=decrement, unit=unit, rate=step,
                bound=record.bound if optimizer.descends else np.inf,
            )  # fmt: skip
        if record.stop_reason == "tol" and confirm is not None:
            asked = decrement <= 0.25 * last["denied"]
            if not (asked and confirm(x)):
                last["denied"] = decrement if asked else last["denied"]
                record.stop_reason, stop = None, False
        if not stop and enough:
            stop = decrement <= enough**2 * record.possible(unit, objectives)
        if not stop:
            record.begin_epoch()
        return stop

    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        end = optimizer.solve(objective, x, monitor)
    if record.stop_reason == "diverged":
        return last["x"]
    if np.shape(end) != x.shape or not np.all(np.isfinite(end)):
        raise ValueError(
            f"{type(optimizer).__name__}.solve returned {end!r}: return the last iterate, finite "
            f"numbers of shape {x.shape}."
        )
    return np.asarray(end)


def enter_end(objective, x, record):
    """Enter the end of a descent that had nothing to do as its only iteration."""
    reason, gradient = record.stop_reason, objective.value_and_gradient(x)[1]
    record.begin_epoch()
    coef, intercept = objective.raw(x)
    losses, objectives = objective.values(coef, intercept)
    record.add(
        coef, intercept, step=1, passes=objective.passes, losses=losses, objectives=objectives,
        decrement=objective.decrement(x, gradient), unit=objective.metric.unit, rate=0.0,
    )  # fmt: skip
    if record.stop_reason != "callback":
        record.stop_reason = reason
