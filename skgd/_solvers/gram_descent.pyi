import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float64]

DONE: int
SLOW: int
BUSY: int

def descend(
    hessian: _Floats,
    l1: _Floats,
    ridge: _Floats,
    lower: _Floats,
    upper: _Floats,
    x: _Floats,
    gradient: _Floats,
    active: NDArray[np.intp],
    *,
    tol: float,
    patience: float,
    work: int,
) -> tuple[int, int]: ...
def gradient_of(hessian: _Floats, linear: _Floats, x: _Floats) -> _Floats: ...
