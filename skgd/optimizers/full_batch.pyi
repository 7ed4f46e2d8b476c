from typing import Any, ClassVar

from skgd.optimizers.base import Minimizer

__all__ = [
    "FullBatchOptimizer",
    "GradientDescent",
    "AcceleratedGradient",
    "BarzilaiBorwein",
    "LBFGS",
]

class FullBatchOptimizer(Minimizer):
    takes_batches: ClassVar[bool]
    takes_streams: ClassVar[bool]
    descends: ClassVar[bool]
    def solve(self, objective: Any, x: Any, monitor: Any) -> Any: ...

class GradientDescent(FullBatchOptimizer):
    shrink: float
    grow: float
    def __init__(self, *, shrink: float = 0.5, grow: float = 1.5) -> None: ...

class AcceleratedGradient(FullBatchOptimizer):
    shrink: float
    grow: float
    def __init__(self, *, shrink: float = 0.5, grow: float = 1.05) -> None: ...

class BarzilaiBorwein(FullBatchOptimizer):
    memory: int
    shrink: float
    def __init__(self, *, memory: int = 10, shrink: float = 0.5) -> None: ...

class LBFGS(FullBatchOptimizer):
    memory: int
    def __init__(self, *, memory: int = 10) -> None: ...
    def solve(
        self, objective: Any, x: Any, monitor: Any, *, first_step: float | None = None
    ) -> Any: ...
