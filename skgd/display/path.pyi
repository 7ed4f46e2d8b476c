from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from numpy.typing import ArrayLike

from skgd.display.base import Display

__all__ = ["PathDisplay"]

class PathDisplay(Display):
    paths: Sequence[Any]
    names: Sequence[str]
    surface: Any
    labels: Sequence[str]
    def __init__(
        self, *, paths: Sequence[Any], names: Sequence[str], surface: Any, labels: Sequence[str]
    ) -> None: ...
    @classmethod
    def from_result(
        cls,
        result: Any,
        fun: Callable[..., Any],
        *,
        name: str = "path",
        ax: Any = None,
        **settings: Any,
    ) -> Self: ...
    @classmethod
    def from_results(
        cls,
        results: Mapping[str, Any] | Sequence[Any],
        fun: Callable[..., Any],
        *,
        names: Sequence[str] | None = None,
        args: tuple[Any, ...] = (),
        parameters: Sequence[int] = (0, 1),
        ax: Any = None,
        **plot_settings: Any,
    ) -> Self: ...
    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        features: Sequence[Any] = (0, 1),
        output: int = 0,
        name: str | None = None,
        ax: Any = None,
        **plot_settings: Any,
    ) -> Self: ...
    def plot(
        self, ax: Any = None, *, limits: Any = None, line_kw: dict[str, Any] | None = None
    ) -> Self: ...
