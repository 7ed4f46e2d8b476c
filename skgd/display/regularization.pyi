from collections.abc import Mapping, Sequence
from typing import Any, Self

from numpy.typing import ArrayLike, NDArray

from skgd.display.base import Display

__all__ = ["RegularizationPathDisplay"]

class RegularizationPathDisplay(Display):
    errors_: Any
    alphas: NDArray[Any]
    values: NDArray[Any]
    errors: NDArray[Any] | None
    marks: Mapping[str, float] | None
    names: Sequence[str] | None
    value_name: str
    def __init__(
        self,
        *,
        alphas: NDArray[Any],
        values: NDArray[Any],
        errors: NDArray[Any] | None = None,
        marks: Mapping[str, float] | None = None,
        names: Sequence[str] | None = None,
        value_name: str = "Coefficient",
    ) -> None: ...
    @classmethod
    def from_search(
        cls,
        search: Any,
        *,
        scoring: str | None = None,
        ax: Any = None,
        line_kw: dict[str, Any] | None = None,
    ) -> Self: ...
    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        alphas: ArrayLike | None = None,
        ax: Any = None,
        line_kw: dict[str, Any] | None = None,
    ) -> Self: ...
    def plot(self, ax: Any = None, *, line_kw: dict[str, Any] | None = None) -> Self: ...
