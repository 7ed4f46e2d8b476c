"""When a duality gap ends a descent by update steps, before the objective has stopped falling.

Steps of single rows and batches end in the noise of their rows. The derivatives of the losses at an
epoch's end are dual variables that bound the minimum (`duality_gap`), and a run stops where the gap
says that little is missing::

    F - bound <= share * tol * (F0 - F)

On text under l2 the gap is about as large as what is missing, for a pass over the rows. On columns
that depend on one another it is far larger, and stops nothing.
"""

import math
from dataclasses import replace

import numpy as np

from skgd._descent.solution import Solution
from skgd._solvers.costs import GapStopping
from skgd._solvers.duality_gap import LowerBound, knows_gap


class GapStop:
    """Tells whether an epoch of update steps has led near enough to the minimum.

    Parameters
    ----------
    objective : Objective

    Attributes
    ----------
    solution : Solution or None
        With the lower bound, once it has ended a run.
    """

    def __init__(self, objective):
        self.objective, self.solution = replace(objective, keeps_margins=True), None

    def ends(self, model, history):
        """Tell whether the last epoch of a history ends the run; say there when to ask again."""
        is_asked = history.tol and history.patience < np.inf
        is_best = history.objective == history.best_objective
        if not (is_asked and is_best and history.n_iter >= history.gap_due):
            return False
        excess = self._excess(*model(), history)
        epochs = GapStopping.epochs_to_halve * math.log2(excess) if 1.0 < excess < np.inf else 0.0
        history.gap_due = history.n_iter + max(1, round(epochs))
        return excess <= 1.0

    def _excess(self, coef, intercept, history):
        """Return by how many times the gap is too large; inf where nothing has been gained yet."""
        objective, bound = self.objective, LowerBound(self.objective)
        x = objective.parameters(coef, intercept)
        values = objective.with_penalty(objective.at(x).losses, objective.raw(x)[0])
        possible = float(np.sum(history.baseline.objectives - values))
        if not possible > 0.0:
            return np.inf
        bound.improve_at(x)
        excess = bound.gap(values) / (GapStopping.share * history.tol * possible)
        bound.is_tight = excess <= 1.0
        self.solution = Solution(None, lower_bound=bound) if bound.is_tight else None
        return excess


def gap_stop(objective, plan, is_automatic):
    """Return what ends a run by its gap, at an automatic rate; None where no gap is known."""
    takes_batches = is_automatic and len(plan.bounds) > 2
    if takes_batches and objective.loss.smooth and knows_gap(objective):
        return GapStop(objective)
    return None
