from typing import Any

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float64]
_Integers = NDArray[np.intp]

CHUNK: int

def chunk_starts(rows: Rows, n: int) -> range: ...

class Rows:
    @property
    def n(self) -> int: ...
    @property
    def d(self) -> int: ...
    @property
    def width(self) -> float: ...

class DenseRows(Rows):
    def __init__(self, X: NDArray[np.floating]) -> None: ...
    def moments(
        self,
        weights: _Floats | None,
        start: int,
        stop: int,
        weight: float,
        mean: _Floats,
        deviation: _Floats,
    ) -> float: ...

class SparseRows(Rows):
    def __init__(self, X: Any) -> None: ...

def rows_of(X: Any) -> Rows: ...

class Workspace:
    def __init__(self, rows: Rows, k: int) -> None: ...

def shuffle(order: _Integers, seed: int) -> None: ...
