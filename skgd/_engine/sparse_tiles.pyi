import numpy as np
from numpy.typing import NDArray

from skgd._engine.rows import SparseRows
from skgd.threads import Threads

_Integers = NDArray[np.intp]

class Tiles:
    def __init__(
        self, rows: SparseRows, order: _Integers, bounds: _Integers, threads: Threads
    ) -> None: ...

def tiles_fit(bounds: _Integers) -> bool: ...
