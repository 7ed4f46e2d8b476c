from typing import Any

import numpy as np
from numpy.typing import NDArray

from skgd._engine.data_term import DataTerm
from skgd.optimizers.base import Rule
from skgd.penalties.base import PenaltyRule

_Floats = NDArray[np.float64]

def cache_aligned(array: _Floats) -> _Floats: ...
def aligned_zeros(shape: tuple[int, ...]) -> _Floats: ...

class Parameters:
    @property
    def problem(self) -> DataTerm: ...
    @property
    def k(self) -> int: ...
    @property
    def d(self) -> int: ...
    @property
    def p(self) -> int: ...
    def __init__(
        self,
        problem: DataTerm,
        penalty: PenaltyRule,
        rules: list[Rule],
        parameters: _Floats,
        state: _Floats,
        alpha: _Floats,
        metric: Any,
        average: _Floats | None,
    ) -> None: ...
    def raw(self) -> tuple[_Floats, _Floats]: ...
