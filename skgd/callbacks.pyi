import os
from collections.abc import Callable
from typing import Any

from numpy.typing import ArrayLike, NDArray

__all__ = ["Callback", "Checkpoint", "EarlyStopping", "PrintProgress", "StopAtLoss", "TimeLimit"]

class Callback:
    def setup(self, estimator: Any, context: Any) -> None: ...
    def teardown(self, estimator: Any, context: Any) -> None: ...
    def on_fit_task_begin(self, estimator: Any, context: Any) -> None: ...
    # A subclass asks for more arguments by their names, which no signature of this one allows.
    @property
    def on_fit_task_end(self) -> Callable[..., bool | None]: ...

class _OfEpochs(Callback): ...

class TimeLimit(_OfEpochs):
    seconds: float
    def __init__(self, seconds: float) -> None: ...
    def seconds_left(self, fit: Any) -> float: ...

class StopAtLoss(_OfEpochs):
    threshold: float
    monitor: str
    def __init__(self, threshold: float, *, monitor: str = "loss") -> None: ...

class EarlyStopping(_OfEpochs):
    patience: int
    min_delta: float
    def __init__(
        self,
        X_val: Any,
        y_val: ArrayLike,
        *,
        sample_weight_val: ArrayLike | None = None,
        scoring: str | Callable[..., Any] | None = None,
        patience: int = 5,
        min_delta: float = 0.0,
    ) -> None: ...
    def get_state(self, estimator: Any) -> Any: ...
    def set_state(self, estimator: Any, state: Any) -> None: ...

class Checkpoint(_OfEpochs):
    every: int
    def __init__(self, path: str | os.PathLike[str], *, every: int = 1) -> None: ...
    def resume(self, fingerprint: Any) -> Any: ...
    def keep(self, estimator: Any, epoch: int, state: Any) -> None: ...

class PrintProgress(_OfEpochs):
    every: int
    def __init__(self, *, every: int = 1) -> None: ...
    def print_last(self, history: dict[str, NDArray[Any]]) -> None: ...
