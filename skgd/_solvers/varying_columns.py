"""Columns that do not vary: the same objective without them.

The intercept fits what a constant column could, so that its coefficient is 0 at the minimum under
every penalty and every bound that allows for 0. With J the columns that vary, the objective in
``(w_J, b)`` has the rows ``X_J``, the axes of the metric along J, the penalty of ``w_J``, and the
same values, gradients and minimum: solvers are chosen, and Hessians made, for as many parameters as
there are to find.
"""

from dataclasses import dataclass, fields

import numpy as np

from skgd._objective.objective import Objective
from skgd._solvers.costs import ConstantColumns


@dataclass(frozen=True, eq=False)
class PartObjective(Objective):
    """An objective of some of the columns, where the coefficients of the others are 0.

    Attributes
    ----------
    columns : intp array
        Their numbers.
    n_columns : int
        How many columns there are in all.
    """

    columns: np.ndarray | None = None
    n_columns: int = 0

    def for_all_columns(self, coef):
        result = np.zeros((len(coef), self.n_columns))
        result[:, self.columns] = coef
        return result

    def of_own_columns(self, coef):
        return np.take(coef, self.columns, axis=1)


def in_varying_columns(objective):
    """Return the objective in the columns that vary, None where nothing is gained by it."""
    metric, problem = objective.metric, objective.problem
    if metric.constant is None or metric.held is not None or problem.is_in_blocks:
        return None
    columns, d = np.flatnonzero(~metric.constant), problem.d
    n_constant = d - len(columns)
    if not len(columns) or n_constant < max(ConstantColumns.least, ConstantColumns.share * d):
        return None
    numbers = problem.n * (problem.width if problem.is_sparse else len(columns))
    if numbers > ConstantColumns.copied:
        return None
    penalty = objective.penalty.part(d, columns)
    if penalty is None:
        return None
    same = {field.name: getattr(objective, field.name) for field in fields(objective) if field.init}
    return PartObjective(**same | {
        "problem": problem.with_columns(columns), "penalty": penalty,
        "metric": metric.of_columns(columns), "columns": columns, "n_columns": d,
        "penalty_curvature": np.take(objective.penalty_curvature, columns, axis=1),
    })  # fmt: skip
