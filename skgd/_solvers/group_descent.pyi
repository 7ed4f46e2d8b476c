import numpy as np
from numpy.typing import NDArray

from skgd._problem.columns import Columns

_Floats = NDArray[np.float64]

def descend_groups(
    columns: Columns,
    starts: NDArray[np.intp],
    scale: _Floats,
    h: _Floats,
    sums: _Floats,
    total: float,
    linear: _Floats,
    diag: _Floats,
    norm: _Floats,
    basis: _Floats,
    curvature: _Floats,
    r: _Floats,
    x: _Floats,
    offset: _Floats,
    *,
    n_sweeps: int,
    tol: float,
) -> float: ...
