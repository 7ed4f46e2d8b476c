from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import ArrayLike
from scipy.optimize import Bounds, OptimizeResult

from skgd.optimizers import FullBatchOptimizer, Optimizer
from skgd.schedules import Schedule

__all__ = ["minimize"]

def minimize(
    fun: Callable[..., Any],
    x0: ArrayLike,
    args: tuple[Any, ...] = (),
    *,
    jac: Callable[..., Any] | bool | None = None,
    optimizer: str | Optimizer | FullBatchOptimizer = "adam",
    learning_rate: float | Schedule | Callable[[Any], Any] | None = None,
    bounds: Bounds | Sequence[tuple[float | None, float | None]] | None = None,
    max_iter: int = 1000,
    tol: float | None = 1e-6,
    callback: Callable[..., Any] | None = None,
    keep_path: bool = True,
) -> OptimizeResult: ...
def scipy_method(
    fun: Callable[..., Any],
    x0: ArrayLike,
    args: tuple[Any, ...] = (),
    jac: Any = None,
    hess: Any = None,
    hessp: Any = None,
    bounds: Any = None,
    constraints: Any = (),
    callback: Callable[..., Any] | None = None,
    *,
    maxiter: int | None = None,
    **settings: Any,
) -> OptimizeResult: ...
