from typing import Any

import numpy as np
from numpy.typing import NDArray

from skgd._engine.data_term import DataTerm
from skgd.optimizers.base import Rule
from skgd.penalties.base import PenaltyRule

_Floats = NDArray[np.float64]
_Integers = NDArray[np.intp]

def check_steps(order: _Integers, bounds: _Integers, n_rows: int) -> None: ...

class Sweep:
    def __init__(
        self,
        problem: DataTerm,
        penalty: PenaltyRule,
        rules: list[Rule],
        parameters: _Floats,
        state: _Floats,
        alpha: _Floats,
        metric: Any,
        weight_scale: float,
        average: _Floats | None = None,
        n_threads: int = 1,
    ) -> None: ...
    def run(
        self, order: _Integers, bounds: _Integers, rates: _Floats, t: int, averaged: int = -1
    ) -> None: ...
    def step_along(
        self,
        coef_gradient: _Floats,
        intercept_gradient: _Floats,
        rate: float,
        t: int,
        averaged: int = -1,
    ) -> None: ...
    def raw(self) -> tuple[_Floats, _Floats]: ...
    def begin_epoch(self) -> int: ...
    def work(self, length: int) -> float: ...
    def check_average(self, averaged: int) -> None: ...
