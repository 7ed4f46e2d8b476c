from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

_T = TypeVar("_T")
_Floats = NDArray[np.float64]
_Integers = NDArray[np.intp]

CHUNK: int

def chunk_starts(rows: Rows, n: int, *, by_column: bool = False) -> range: ...
def in_chunks(
    rows: Rows, n: int, function: Callable[[int, int], _T], n_threads: int, *,
    by_column: bool = False,
) -> Iterator[_T]: ...

class Rows:
    @property
    def n(self) -> int: ...
    @property
    def d(self) -> int: ...
    @property
    def block(self) -> int: ...
    @property
    def row_nnz(self) -> float: ...
    def moments(
        self, weights: _Floats | None, start: int, stop: int, mean: _Floats, deviation: _Floats
    ) -> float: ...

class DenseRows(Rows):
    def __init__(self, X: NDArray[np.floating]) -> None: ...

class SparseRows(Rows):
    @property
    def canonical(self) -> bool: ...
    @property
    def max_row_nnz(self) -> int: ...
    def __init__(self, X: Any) -> None: ...

def rows_of(X: Any) -> Rows: ...

class Workspace:
    def __init__(self, rows: Rows, k: int) -> None: ...

def shuffle(order: _Integers, seed: int) -> None: ...
