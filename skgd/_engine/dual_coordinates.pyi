import numpy as np
from numpy.typing import NDArray

from skgd._engine.rows import Rows

_Floats = NDArray[np.float64]
_Integers = NDArray[np.intp]

class SingleRows:
    n: int
    d: int
    def __init__(self, rows: Rows) -> None: ...
    def squares(self) -> _Floats: ...
    def products(self, vector: _Floats) -> _Floats: ...
    def sums(self, factors: _Floats) -> _Floats: ...

class DualCoordinates:
    dual: _Floats
    sums: _Floats
    total: float
    mean_sum: float
    intercept: float
    def __init__(
        self, rows: SingleRows, position: _Floats, low: _Floats, high: _Floats, band: _Floats,
        ridge: _Floats, mean_products: _Floats, curvature: _Floats, *, penalty: float,
        mean_square: float, rho: float,
    ) -> None: ...
    def sweep(
        self, order: _Integers, n_active: int, threshold: float
    ) -> tuple[int, float, float]: ...
    def settle(self, mean: _Floats) -> None: ...
    def margins(self) -> _Floats: ...
    def activate(
        self, order: _Integers, margins: _Floats, threshold: float
    ) -> tuple[int, float]: ...

def weighted_quantile(points: _Floats, weights: _Floats, level: float) -> float: ...
