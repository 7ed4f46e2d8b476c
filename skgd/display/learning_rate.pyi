from typing import Any, Self

from numpy.typing import ArrayLike

from skgd.display.base import Display

__all__ = ["LearningRateDisplay"]

class LearningRateDisplay(Display):
    rates: ArrayLike
    values: ArrayLike
    suggestion: float | None
    spread: ArrayLike | None
    value_name: str
    def __init__(
        self,
        *,
        rates: ArrayLike,
        values: ArrayLike,
        suggestion: float | None,
        spread: ArrayLike | None = None,
        value_name: str = "Mean objective of a short run",
    ) -> None: ...
    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        ax: Any = None,
        line_kw: dict[str, Any] | None = None,
        **test_settings: Any,
    ) -> Self: ...
    @classmethod
    def from_search(
        cls,
        search: Any,
        *,
        scoring: str | None = None,
        ax: Any = None,
        line_kw: dict[str, Any] | None = None,
    ) -> Self: ...
    def plot(self, ax: Any = None, *, line_kw: dict[str, Any] | None = None) -> Self: ...
