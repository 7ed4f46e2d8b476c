import numpy as np
from numpy.typing import NDArray

from skgd._problem.columns import Columns

_Floats = NDArray[np.float64]

def descend_columns(
    columns: Columns,
    scale: _Floats,
    h: _Floats,
    sums: _Floats,
    total: float,
    curvature: _Floats,
    linear: _Floats,
    diag: _Floats,
    l1: _Floats,
    lower: _Floats,
    upper: _Floats,
    r: _Floats,
    x: _Floats,
    offset: _Floats,
    *,
    n_sweeps: int,
    tol: float,
) -> float: ...
