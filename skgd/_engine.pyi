from typing import Any

import numpy as np
from numpy.typing import NDArray

from skgd.losses import LossRule
from skgd.optimizers import Rule
from skgd.penalties import PenaltyRule

_Floats = NDArray[np.float64]
_Integers = NDArray[np.intp]

CHUNK: int

def chunk_starts(rows: Rows, n: int) -> range: ...
def rows_of(X: Any) -> Rows: ...
def shuffle(order: _Integers, seed: int) -> None: ...

class Rows:
    @property
    def n(self) -> int: ...
    @property
    def d(self) -> int: ...
    @property
    def width(self) -> float: ...

class DenseRows(Rows):
    def __init__(self, X: NDArray[np.floating]) -> None: ...
    def moments(
        self,
        weights: _Floats | None,
        start: int,
        stop: int,
        weight: float,
        mean: _Floats,
        deviation: _Floats,
    ) -> float: ...

class SparseRows(Rows):
    def __init__(self, X: Any) -> None: ...

class Problem:
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
    def with_loss(self, loss: LossRule) -> Problem: ...
    def row_weights(self) -> _Floats: ...

def signed_targets(targets: _Floats, n_outputs: int) -> _Floats: ...

class Workspace:
    def __init__(self, rows: Rows, k: int) -> None: ...

def value_and_gradient(
    problem: Problem,
    coef: _Floats,
    intercept: _Floats,
    *,
    gradient: bool = True,
    subset: _Integers | None = None,
    n_threads: int = 1,
    margins: _Floats | None = None,
) -> tuple[_Floats, _Floats | None, _Floats | None]: ...

class Tiles:
    def __init__(self, rows: SparseRows, order: _Integers, bounds: _Integers) -> None: ...

def tiles_fit(bounds: _Integers) -> bool: ...
def run_in_tiles(
    sweeps: list[Sweep],
    order: _Integers,
    bounds: _Integers,
    rates: _Floats,
    t: int,
    averaged: list[int],
) -> None: ...

class Sweep:
    def __init__(
        self,
        problem: Problem,
        penalty: PenaltyRule,
        rules: list[Rule],
        parameters: _Floats,
        state: _Floats,
        alpha: _Floats,
        metric: Any,
        weight_scale: float,
        average: _Floats | None = None,
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

def check_steps(order: _Integers, bounds: _Integers, n_rows: int) -> None: ...

class Fleet:
    def __init__(self, sweeps: list[Sweep]) -> None: ...
    def run(
        self,
        order: _Integers,
        bounds: _Integers,
        rates: _Floats,
        t: int,
        averaged: list[int] | None = None,
    ) -> None: ...

def joint_losses(
    problems: list[Problem], coef: _Floats, intercept: _Floats, subset: _Integers | None
) -> _Floats: ...

class ReducedSweep(Sweep):
    @property
    def known(self) -> _Floats: ...
    @property
    def total(self) -> _Floats: ...
    def __init__(self, every: int, *arguments: Any) -> None: ...
    def begin_epoch(self) -> int: ...
