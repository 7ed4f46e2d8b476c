import numpy as np
from numpy.typing import NDArray

from skgd._objective.objective import Objective
from skgd._solvers.hessian import Hessian

def quadratic_gap(objective: Objective, hessian: Hessian, x: NDArray[np.float64]) -> float: ...
