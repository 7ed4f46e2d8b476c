from collections.abc import Sequence
from typing import Any, Self

from numpy.typing import NDArray

from skgd.display.base import Display

__all__ = ["CoefficientDisplay"]

class CoefficientDisplay(Display):
    bars_: Any
    features: Sequence[str]
    coefficients: NDArray[Any]
    label: str
    def __init__(
        self, *, features: Sequence[str], coefficients: NDArray[Any], label: str = "Coefficient"
    ) -> None: ...
    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, **settings: Any) -> Self: ...
    @classmethod
    def from_estimators(
        cls,
        estimators: Sequence[Any],
        *,
        output: Any = None,
        per_deviation: bool = True,
        ax: Any = None,
        **plot_settings: Any,
    ) -> Self: ...
    def plot(
        self, ax: Any = None, *, n_largest: int | None = 10, bar_kw: dict[str, Any] | None = None
    ) -> Self: ...
