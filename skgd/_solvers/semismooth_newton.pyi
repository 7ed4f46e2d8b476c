import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float64]

DONE: int
BUSY: int
FAILED: int

class SemismoothNewton:
    def __init__(self) -> None: ...
    def start(
        self,
        hessian: _Floats,
        linear: _Floats,
        l1: _Floats,
        ridge: _Floats,
        lower: _Floats,
        upper: _Floats,
        x: _Floats,
        *,
        tol: float,
    ) -> None: ...
    def run(self, work: int) -> int: ...
