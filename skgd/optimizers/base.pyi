from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult
from sklearn.base import BaseEstimator

_Floats = NDArray[np.float64]

__all__ = ["Optimizer"]

class Rule:
    unpenalised: int
    def bind(self, w: _Floats, g: _Floats, state: _Floats) -> None: ...
    def apply(
        self, w: _Floats, g: _Floats, state: _Floats, rate: float, t: int
    ) -> _Floats: ...

class PythonRule(Rule):
    def __init__(self, optimizer: Optimizer) -> None: ...

class Minimizer(BaseEstimator):  # type: ignore[misc]
    def minimizer(
        self,
        *,
        learning_rate: Any = None,
        max_iter: int = 1000,
        tol: float | None = 1e-6,
        keep_path: bool = True,
    ) -> Callable[..., OptimizeResult]: ...

_Rule = Rule

class Optimizer(Minimizer):
    Rule: ClassVar[type[Rule] | None]
    takes_batches: ClassVar[bool]
    takes_streams: ClassVar[bool]
    plain_rate: ClassVar[float]
    slots: int
    @property
    def snapshots(self) -> int | None: ...
    @property
    def first_rate(self) -> float: ...
    @property
    def stream_batch(self) -> int | None: ...
    @property
    def sign_step_factor(self) -> float | None: ...
    @property
    def second_moment_window(self) -> float: ...
    @property
    def momentum_horizon(self) -> float: ...
    def __init__(self) -> None: ...
    def update(
        self, w: _Floats, g: _Floats, state: _Floats, rate: float, t: int
    ) -> float | _Floats | None: ...
    def automatic_batch(self, n_rows: int, n_features: int, row_nnz: float) -> int: ...
    def automatic_rate(
        self, n_rows: int, batch_length: int, curvatures: Any
    ) -> tuple[float, float]: ...
    def check(self, objective: Any) -> None: ...
    def compiled(self) -> _Rule: ...
