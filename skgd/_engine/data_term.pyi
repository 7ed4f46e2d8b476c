from typing import Any

import numpy as np
from numpy.typing import NDArray

from skgd._engine.rows import Rows
from skgd.losses.base import LossRule

_Floats = NDArray[np.float64]
_Integers = NDArray[np.intp]

class DataTerm:
    @property
    def n(self) -> int: ...
    @property
    def d(self) -> int: ...
    @property
    def k(self) -> int: ...
    @property
    def rows(self) -> Rows: ...
    @property
    def weight_sum(self) -> float: ...
    @property
    def targets(self) -> _Floats: ...
    @property
    def weights(self) -> _Floats | None: ...
    def __init__(
        self, X: Any, targets: _Floats, weights: _Floats | None, loss: LossRule, n_outputs: int
    ) -> None: ...
    def with_loss(self, loss: LossRule) -> DataTerm: ...
    def row_weights(self) -> _Floats: ...

class MeanLosses:
    def __init__(self, problem: DataTerm, subset: _Integers | None = None) -> None: ...
    def __call__(self, coef: _Floats, intercept: _Floats) -> _Floats: ...

def signed_targets(targets: _Floats, n_outputs: int) -> _Floats: ...
def value_and_gradient(
    problem: DataTerm,
    coef: _Floats,
    intercept: _Floats,
    *,
    gradient: bool = True,
    subset: _Integers | None = None,
    n_threads: int = 1,
    margins: _Floats | None = None,
) -> tuple[_Floats, _Floats | None, _Floats | None]: ...
def joint_losses(
    problems: list[DataTerm], coef: _Floats, intercept: _Floats, subset: _Integers | None
) -> _Floats: ...
