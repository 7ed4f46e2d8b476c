"""What a descent returns, and why it stopped."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np


class Stop(StrEnum):
    """Why a descent stopped; `History` alone decides."""

    TOL = "tol"
    PRECISION = "precision"
    MAX_ITER = "max_iter"
    EARLY_STOPPING = "early_stopping"
    CALLBACK = "callback"
    DIVERGED = "diverged"
    INTERRUPTED = "interrupted"
    RACE = "race"

    @property
    def is_converged(self):
        return self in (Stop.TOL, Stop.PRECISION, Stop.EARLY_STOPPING)


@dataclass(frozen=True, eq=False)
class Solution:
    """The end of a solver's descent, and what it found out about the minimum.

    Attributes
    ----------
    x : array of shape (n_parameters,)
        In the coordinates of the objective that was to be minimised.
    lower_bound : LowerBound or None
        Of the objective's minimum.
    dual : DualPoint or None
        Dual variables of the rows that bound the minimum.
    interior : InteriorIterate or None
        Where an interior point method may start for another alpha.
    hessian : Hessian or None
        Where it is the same everywhere.
    reduced : RowSpaceObjective or None
        The objective in the span of the rows, of which the bound and the Hessian are.
    objective : Objective or None
        That of the descent, in the coordinates of x: its last point is known.
    """

    x: np.ndarray
    lower_bound: object = None
    dual: object = None
    interior: object = None
    hessian: object = None
    reduced: object = None
    objective: object = None
