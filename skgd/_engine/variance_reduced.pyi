from typing import Any

from skgd._engine.parameters import Parameters
from skgd._engine.single_rows import DenseRowSteps
from skgd._engine.sweep import Sweep

class GradientTable:
    def __init__(
        self, n: int, k: int, p: int, n_weighted: float, replaces_visited: bool
    ) -> None: ...

class VarianceReducedSweep(Sweep):
    def __init__(self, snapshot_epochs: int, *arguments: Any) -> None: ...
    def begin_epoch(self) -> int: ...
    def table_state(self) -> dict[str, Any]: ...
    def resume(self, state: dict[str, Any]) -> None: ...

class VarianceReducedRowSteps(DenseRowSteps):
    def __init__(
        self, parameters: Parameters, weight_scale: float, table: GradientTable
    ) -> None: ...
