import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float64]

def sweep_coordinates(
    hessian: _Floats,
    l1: _Floats,
    lower: _Floats,
    upper: _Floats,
    x: _Floats,
    gradient: _Floats,
    *,
    n_sweeps: int,
    tol: float,
) -> float: ...
