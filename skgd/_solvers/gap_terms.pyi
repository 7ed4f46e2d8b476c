import numpy as np
from numpy.typing import NDArray

from skgd._objective.objective import Objective
from skgd._solvers.hessian import Hessian

_Floats = NDArray[np.float64]

def quadratic_gap(objective: Objective, hessian: Hessian, x: _Floats) -> float: ...
def penalty_conjugates(
    sums: _Floats,
    sizes: _Floats,
    rounding: _Floats,
    l1: _Floats,
    lower: _Floats,
    upper: _Floats,
    size: _Floats,
    diag: _Floats,
) -> tuple[_Floats, _Floats]: ...
