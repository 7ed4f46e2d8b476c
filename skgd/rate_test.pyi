from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["RateTest", "find_learning_rate"]

class RateTest:
    rates: NDArray[np.float64]
    losses: NDArray[np.float64]
    suggestion: float
    def __init__(
        self, rates: NDArray[np.float64], losses: NDArray[np.float64], suggestion: float
    ) -> None: ...

def find_learning_rate(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    rates: ArrayLike | None = None,
    epochs: int | str = "auto",
    max_samples: int | None = 20000,
    random_state: int = 0,
) -> RateTest: ...
def drawn_rows(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    sample_weight: ArrayLike | None,
    n_samples: int,
    random_state: int,
) -> tuple[Any, Any, Any]: ...
