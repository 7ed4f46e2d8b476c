"""The outer loop of full-batch optimizers: an iteration is a row of the history, which stops it."""

import numpy as np

from skgd._descent.solution import Stop


def train_full_batch(
    optimizer, objective, x, history, *, reported=None, enough=0.0, ignores_tol=False,
    confirm=None,
):  # fmt: skip
    """Let a full-batch optimizer descend; return the last iterate in the metric's coordinates.

    Parameters
    ----------
    optimizer : FullBatchOptimizer
    objective : Objective
    x : array of shape (n_parameters,)
    history : History
    reported : Objective or None
        The objective whose values the history gets, where this one is a smoothed one.
    enough : float, default=0.0
        What `tol` would be if it were only to end this descent, on the way to another one.
    ignores_tol : bool, default=False
        Whether the optimizer itself tells when the minimum is reached.
    confirm : callable or None
        Returns whether a point whose gradient satisfies "tol" is the minimum. Where it is not, the
        descent continues, and asks again once the gradient is half as long.
    """
    monitor = _Monitor(optimizer, objective, x, history, reported, enough, ignores_tol, confirm)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        end = optimizer.solve(objective, x, monitor)
    if history.stop == Stop.DIVERGED:
        return monitor.x
    if np.shape(end) != x.shape or not np.all(np.isfinite(end)):
        raise ValueError(
            f"{type(optimizer).__name__}.solve returned {end!r}: return the last iterate, finite "
            f"numbers of shape {x.shape}."
        )
    return np.asarray(end)


class _Monitor:
    """What a full-batch optimizer calls at its start and after each iteration; True ends it.

    The loss and the objective of each output are `values`, where the optimizer knows them.

    Attributes
    ----------
    x : array of shape (n_parameters,)
        The last iterate.
    denied : float
        The squared gradient length at which convergence was not confirmed.
    """

    def __init__(self, optimizer, objective, x, history, reported, enough, ignores_tol, confirm):
        self.objective, self.x, self.history, self.reported = objective, x, history, reported
        self.enough, self.ignores_tol, self.confirm = enough, ignores_tol, confirm
        self.bound = None if optimizer.descends else np.inf
        self.is_first, self.denied = True, np.inf

    def __call__(self, x, value, gradient, step, decrement=None, *, values=None):
        objective, history, unit = self.objective, self.history, self.objective.metric.unit
        if decrement is None:
            decrement = objective.decrement(x, gradient)
        losses, objectives = self._values(x) if values is None else values
        x = x.copy()
        if self.is_first:
            self._check_start(objectives, decrement)
            history.waited_validation = 0
            stops = history.is_flat(decrement, unit, objectives, self.ignores_tol)
        else:
            stops = history.add(
                lambda: objective.model(x), step=history.n_iter + 1, passes=objective.passes,
                losses=losses, objectives=objectives, decrement=decrement, unit=unit, rate=step,
                bound=self.bound, ignores_tol=self.ignores_tol,
            )  # fmt: skip
        self.is_first, self.x = False, x
        if history.stop == Stop.TOL and self.confirm is not None:
            stops = self._is_confirmed(x, decrement)
        if not stops and self.enough:
            possible = history.baseline.possible_decrease(unit, objectives)
            stops = decrement <= self.enough**2 * possible
        if not stops:
            history.begin_epoch()
        return stops

    def _values(self, x):
        objective = self.objective
        if self.reported is not None:
            # In the coordinates of its rows, which `model` may leave.
            return self.reported.values(*objective.raw(x))
        point = objective.at(x)
        return point.losses, objective.with_penalty(point.losses, point.raw[0])

    def _check_start(self, objectives, decrement):
        if not np.isfinite(objectives).all() or np.isnan(decrement):
            raise ValueError(
                f"At the start of the descent the objective is {objectives.sum():.3g} and the "
                f"length of its gradient {np.sqrt(decrement):.3g}: pass an init at which both "
                "are finite, or fix the loss or the penalty."
            )

    def _is_confirmed(self, x, decrement):
        """Tell whether a point at which the gradient says so is the minimum; or continue."""
        is_asked = decrement <= 0.25 * self.denied
        if is_asked and self.confirm(x):
            return True
        self.denied = decrement if is_asked else self.denied
        self.history.resume()
        return False


def enter_end(objective, x, history):
    """Enter the end of a descent that had nothing to do as its only iteration."""
    gradient = objective.value_and_gradient(x)[1]
    history.begin_epoch()
    model = objective.model(x)
    losses, objectives = objective.values(*objective.raw(x))
    history.add_end(
        lambda: model, step=1, passes=objective.passes, losses=losses,
        objectives=objectives,
        decrement=objective.decrement(x, gradient), unit=objective.metric.unit, rate=0.0,
    )  # fmt: skip
