from typing import Any

from numpy.typing import ArrayLike, NDArray

__all__ = ["alpha_sequence"]

def alpha_sequence(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    n: int | None = None,
    ratio: float | None = None,
    *,
    sample_weight: ArrayLike | None = None,
) -> NDArray[Any]: ...
