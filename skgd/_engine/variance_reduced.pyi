from typing import Any

import numpy as np
from numpy.typing import NDArray

from skgd._engine.sweep import Sweep

_Floats = NDArray[np.float64]

class VarianceReducedSweep(Sweep):
    @property
    def known(self) -> _Floats: ...
    @property
    def total(self) -> _Floats: ...
    def __init__(self, every: int, *arguments: Any) -> None: ...
    def begin_epoch(self) -> int: ...
