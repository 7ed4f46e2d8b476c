import numpy as np
from numpy.typing import NDArray

from skgd._engine.parameters import Parameters
from skgd._engine.rows import SparseRows
from skgd._utils.threads import Threads

_Floats = NDArray[np.float64]
_Integers = NDArray[np.intp]

class Tiles:
    def __init__(
        self,
        rows: SparseRows,
        order: _Integers,
        bounds: _Integers,
        threads: Threads,
        groups: _Integers | None,
        n_groups: int,
    ) -> None: ...

class TiledSteps:
    def __init__(self, parameters: Parameters, weight_scale: float) -> None: ...

class TiledModels:
    def __init__(self, models: list[TiledSteps], members: _Integers) -> None: ...
    def run(self, tiles: Tiles, rates: _Floats, t: int, averaged: _Integers) -> None: ...

def together(models: list[TiledSteps], members: _Integers) -> list[_Integers]: ...
def tiles_fit(bounds: _Integers) -> bool: ...
def run_in_tiles(
    models: list[TiledSteps],
    order: _Integers,
    bounds: _Integers,
    rates: _Floats,
    t: int,
    averaged: list[int],
    threads: Threads,
    groups: _Integers | None = None,
    members: _Integers | None = None,
) -> None: ...
