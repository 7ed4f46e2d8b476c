from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult
from sklearn.base import BaseEstimator

__all__ = [
    "Optimizer",
    "SGD",
    "Lion",
    "Rprop",
    "Adagrad",
    "RMSprop",
    "Adadelta",
    "Adam",
    "AdamW",
    "Adamax",
    "NAdam",
    "RAdam",
    "Yogi",
    "DoG",
    "SVRG",
    "SAGA",
    "FullBatchOptimizer",
    "GradientDescent",
    "AcceleratedGradient",
    "BarzilaiBorwein",
    "LBFGS",
]

_Floats = NDArray[np.float64]
_Monitor = Callable[[_Floats, float, _Floats, float], bool]

class Rule:
    unpenalised: int
    def bind(self, w: _Floats, g: _Floats, state: _Floats) -> None: ...
    def apply(
        self, w: _Floats, g: _Floats, state: _Floats, rate: float, t: int
    ) -> _Floats: ...

class PythonRule(Rule):
    def __init__(self, optimizer: Optimizer) -> None: ...

class _Minimizer(BaseEstimator):
    def minimizer(
        self,
        *,
        learning_rate: Any = None,
        max_iter: int = 1000,
        tol: float | None = 1e-6,
        keep_path: bool = True,
    ) -> Callable[..., OptimizeResult]: ...

class Optimizer(_Minimizer):
    Rule: ClassVar[type[Rule] | None]
    takes_batches: ClassVar[bool]
    takes_streams: ClassVar[bool]
    plain_rate: ClassVar[float]
    @property
    def snapshots(self) -> int | None: ...
    @property
    def first_rate(self) -> float: ...
    @property
    def stream_batch(self) -> int | None: ...
    @property
    def reach(self) -> float | None: ...
    @property
    def rarest(self) -> float: ...
    @property
    def memory(self) -> float: ...
    @property
    def slots(self) -> int: ...
    def __init__(self) -> None: ...
    def update(
        self, w: _Floats, g: _Floats, state: _Floats, rate: float, t: int
    ) -> float | _Floats | None: ...
    def automatic_batch(self, n_rows: int, n_features: int, width: float) -> int: ...
    def automatic_rate(
        self, n_rows: int, batch_length: int, curvatures: Any
    ) -> tuple[float, float]: ...
    def check(self, objective: Any) -> None: ...
    def compiled(self) -> Rule: ...

class SGD(Optimizer):
    momentum: float
    nesterov: bool
    dampening: float
    def __init__(
        self, *, momentum: float = 0.0, nesterov: bool = False, dampening: float = 0.0
    ) -> None: ...

class Lion(Optimizer):
    beta_1: float
    beta_2: float
    def __init__(self, *, beta_1: float = 0.9, beta_2: float = 0.99) -> None: ...

class Rprop(Optimizer):
    etas: tuple[float, float]
    step_sizes: tuple[float, float]
    def __init__(
        self,
        *,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50.0),
    ) -> None: ...

class Adagrad(Optimizer):
    eps: float
    def __init__(self, *, eps: float = 1e-10) -> None: ...

class RMSprop(Optimizer):
    rho: float
    momentum: float
    centered: bool
    eps: float
    def __init__(
        self,
        *,
        rho: float = 0.99,
        momentum: float = 0.0,
        centered: bool = False,
        eps: float = 1e-8,
    ) -> None: ...

class Adadelta(Optimizer):
    rho: float
    eps: float
    def __init__(self, *, rho: float = 0.9, eps: float = 1e-6) -> None: ...

class _Means(Optimizer): ...
class _MeanSquares(_Means): ...

class Adam(_MeanSquares):
    beta_1: float
    beta_2: float
    eps: float
    amsgrad: bool
    def __init__(
        self,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        eps: float = 1e-8,
        amsgrad: bool = False,
    ) -> None: ...

class AdamW(_MeanSquares):
    beta_1: float
    beta_2: float
    eps: float
    weight_decay: float
    amsgrad: bool
    def __init__(
        self,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        amsgrad: bool = False,
    ) -> None: ...

class Adamax(_Means):
    beta_1: float
    beta_2: float
    eps: float
    def __init__(
        self, *, beta_1: float = 0.9, beta_2: float = 0.999, eps: float = 1e-8
    ) -> None: ...

class NAdam(_MeanSquares):
    beta_1: float
    beta_2: float
    eps: float
    momentum_decay: float
    def __init__(
        self,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        eps: float = 1e-8,
        momentum_decay: float = 4e-3,
    ) -> None: ...

class RAdam(_MeanSquares):
    beta_1: float
    beta_2: float
    eps: float
    def __init__(
        self, *, beta_1: float = 0.9, beta_2: float = 0.999, eps: float = 1e-8
    ) -> None: ...

class Yogi(_MeanSquares):
    beta_1: float
    beta_2: float
    eps: float
    def __init__(
        self, *, beta_1: float = 0.9, beta_2: float = 0.999, eps: float = 1e-3
    ) -> None: ...

class DoG(Optimizer):
    initial_distance: float
    def __init__(self, *, initial_distance: float = 1e-6) -> None: ...

class SVRG(Optimizer):
    every: int
    def __init__(self, *, every: int = 2) -> None: ...

class SAGA(Optimizer):
    def __init__(self) -> None: ...

class FullBatchOptimizer(_Minimizer):
    takes_batches: ClassVar[bool]
    takes_streams: ClassVar[bool]
    descends: ClassVar[bool]
    def __init__(self) -> None: ...
    def solve(self, objective: Any, x: _Floats, monitor: _Monitor) -> _Floats: ...

class GradientDescent(FullBatchOptimizer):
    shrink: float
    grow: float
    def __init__(self, *, shrink: float = 0.5, grow: float = 1.5) -> None: ...
    def solve(self, objective: Any, x: _Floats, monitor: _Monitor) -> _Floats: ...

class AcceleratedGradient(FullBatchOptimizer):
    shrink: float
    grow: float
    def __init__(self, *, shrink: float = 0.5, grow: float = 1.05) -> None: ...
    def solve(self, objective: Any, x: _Floats, monitor: _Monitor) -> _Floats: ...

class BarzilaiBorwein(FullBatchOptimizer):
    memory: int
    shrink: float
    def __init__(self, *, memory: int = 10, shrink: float = 0.5) -> None: ...
    def solve(self, objective: Any, x: _Floats, monitor: _Monitor) -> _Floats: ...

class LBFGS(FullBatchOptimizer):
    memory: int
    def __init__(self, *, memory: int = 10) -> None: ...
    def solve(self, objective: Any, x: _Floats, monitor: _Monitor) -> _Floats: ...
