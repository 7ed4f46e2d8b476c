from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from skgd.display.base import Display

__all__ = ["DescentDisplay"]

class DescentDisplay(Display):
    best_: list[Any]
    histories: Sequence[Any]
    names: Sequence[str]
    def __init__(self, *, histories: Sequence[Any], names: Sequence[str]) -> None: ...
    @classmethod
    def from_estimator(
        cls, estimator: Any, *, name: str | None = None, ax: Any = None, **plot_settings: Any
    ) -> Self: ...
    @classmethod
    def from_estimators(
        cls,
        estimators: Mapping[str, Any] | Sequence[Any],
        *,
        names: Sequence[str] | None = None,
        ax: Any = None,
        **plot_settings: Any,
    ) -> Self: ...
    def plot(
        self,
        ax: Any = None,
        *,
        x: Literal["epoch", "passes", "seconds", "step"] = "epoch",
        y: str | None = None,
        excess: bool | float = False,
        line_kw: dict[str, Any] | None = None,
    ) -> Self: ...
