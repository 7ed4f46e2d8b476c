import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float64]
_Integers = NDArray[np.intp]

class Columns:
    n: int
    m: int
    def __init__(
        self,
        data: _Floats,
        rows: _Integers | None = None,
        starts: _Integers | None = None,
        stops: _Integers | None = None,
        n_rows: int = 0,
    ) -> None: ...
    def take(self, numbers: _Integers) -> Columns: ...
    def times(self, coef: _Floats) -> _Floats: ...
    def transposed_times(self, numbers: _Floats) -> _Floats: ...
    def weighted_moments(self, weights: _Floats) -> tuple[_Floats, _Floats]: ...
