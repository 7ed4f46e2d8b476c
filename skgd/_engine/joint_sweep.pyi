import numpy as np
from numpy.typing import NDArray

from skgd._engine.sweep import Sweep
from skgd._utils.threads import Threads

_Floats = NDArray[np.float64]
_Integers = NDArray[np.intp]

class RowGroups:
    def __init__(self, weights: list[_Floats | None], n_rows: int) -> None: ...
    def arrays(self) -> tuple[_Integers, _Integers]: ...

class JointSweep:
    def __init__(self, sweeps: list[Sweep], threads: Threads = ...) -> None: ...
    def work(self, length: int) -> float: ...
    def run(
        self,
        order: _Integers,
        bounds: _Integers,
        rates: _Floats,
        t: int,
        averaged: list[int] | None = None,
    ) -> None: ...
